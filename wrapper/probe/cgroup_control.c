#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "wrapper/probe/cgroup_impl.h"
#include "wrapper/probe/proc_file.h"

#define SUBTREE "cgroup.subtree_control"

const char *const pw_cgroup_controller_names[PW_CGROUP_CONTROLLERS] = {
    [PW_CGROUP_MEMORY] = "memory",
    [PW_CGROUP_PIDS] = "pids",
    [PW_CGROUP_IO] = "io",
};

/* Whether `name` is among the words of a group's file. */
static bool lists(int dir_fd, const char *file, const char *name)
{
    char text[1024];

    if (pw_proc_text_read(dir_fd, file, text, sizeof text) <= 0)
        return false;
    for (char *rest = text, *word; (word = strsep(&rest, " \n")) != NULL;) {
        if (strcmp(word, name) == 0)
            return true;
    }
    return false;
}

static int set(int dir_fd, char sign, enum pw_cgroup_controller controller)
{
    char order[16];

    (void)snprintf(order, sizeof order, "%c%s", sign, pw_cgroup_controller_names[controller]);
    return pw_cgroup_write(dir_fd, ".", SUBTREE, order);
}

static bool is_alone(const struct pw_cgroup_branch *branch)
{
    struct pw_cgroup_pids pids = {.pids = NULL};
    bool is_alone = false;

    /* Of all groups in it, our own empty folder among them: more than needed, and safe. */
    if (pw_cgroup_list(branch->own_fd, ".", &pids) == 0)
        is_alone = pids.count == 1 && pids.pids[0] == getpid();
    pw_cgroup_pids_done(&pids);
    return is_alone;
}

/* The root may have processes; it alone has no cgroup.events. In others the kernel would refuse
 * only some controllers: pids would make of the group a threaded one, in which leaves cannot be. */
static bool has_processes(const struct pw_cgroup_branch *branch)
{
    char text[16];

    return faccessat(branch->own_fd, "cgroup.events", F_OK, 0) == 0 &&
           pw_proc_text_read(branch->own_fd, "cgroup.procs", text, sizeof text) != 0;
}

/* A group with processes cannot give controllers to those in it ("no internal processes"), unless
 * it is the root. Whoever is the only one there can go down into a leaf. */
static int move_self(struct pw_cgroup_branch *branch)
{
    if (!is_alone(branch)) {
        errno = EBUSY;
        return -1;
    }
    if (mkdirat(branch->home_fd, PW_CGROUP_SELF, 0755) != 0 && errno != EEXIST)
        return -1;
    if (pw_cgroup_attach(branch->home_fd, PW_CGROUP_SELF, 0) != 0) {
        int sys = errno;
        (void)unlinkat(branch->home_fd, PW_CGROUP_SELF, AT_REMOVEDIR);
        errno = sys;
        return -1;
    }
    branch->has_moved = true;
    return 0;
}

static int enable(struct pw_cgroup_branch *branch, enum pw_cgroup_controller controller)
{
    const char *name = pw_cgroup_controller_names[controller];

    if (!lists(branch->own_fd, "cgroup.controllers", name)) {
        errno = ENOENT;
        return -1;
    }
    if (!lists(branch->own_fd, SUBTREE, name)) {
        if (has_processes(branch) && move_self(branch) != 0)
            return -1;
        if (set(branch->own_fd, '+', controller) != 0)
            return -1;
        branch->enabled[controller] = true;
    }
    return set(branch->home_fd, '+', controller);
}

void pw_cgroup_control_enable(struct pw_cgroup_branch *branch, char *why_not, size_t size)
{
    for (int i = 0; branch->is_v2 && i < PW_CGROUP_CONTROLLERS; i++) {
        size_t length = strlen(why_not);
        branch->has[i] = enable(branch, (enum pw_cgroup_controller)i) == 0;
        if (branch->has[i])
            continue;
        (void)snprintf(why_not + length, size - length, "%s%s: %s", length > 0 ? "; " : "",
                       pw_cgroup_controller_names[i],
                       errno == ENOENT  ? "not in this group's cgroup.controllers"
                       : errno == EBUSY ? "other processes are in perfwrap's group"
                                        : strerror(errno));
    }
}

/* Also others may rely on what we have enabled, at the root, where that does not take an empty
 * group. The kernel refuses it as long as somebody below passes it on, but not if somebody only
 * reads it: so any group beside ours keeps it. */
static bool has_sibling(const struct pw_cgroup_branch *branch)
{
    int fd = openat(branch->own_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;
    bool has_sibling = false;

    if (dir == NULL) {
        if (fd >= 0)
            close(fd);
        return true;
    }
    while (!has_sibling && (entry = readdir(dir)) != NULL)
        has_sibling = entry->d_type == DT_DIR && entry->d_name[0] != '.' &&
                      strcmp(entry->d_name, branch->home) != 0;
    (void)closedir(dir);
    return has_sibling;
}

void pw_cgroup_control_disable(struct pw_cgroup_branch *branch)
{
    bool keeps = !branch->has_moved && has_sibling(branch);

    for (int i = 0; i < PW_CGROUP_CONTROLLERS; i++) {
        if (branch->has[i])
            (void)set(branch->home_fd, '-', (enum pw_cgroup_controller)i);
        if (branch->enabled[i] && !keeps)
            (void)set(branch->own_fd, '-', (enum pw_cgroup_controller)i);
        branch->has[i] = branch->enabled[i] = false;
    }
}
