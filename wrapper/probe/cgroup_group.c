#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "core/clock.h"
#include "core/file.h"
#include "core/limits.h"
#include "wrapper/probe/cgroup_impl.h"

enum { REMOVE_WAIT_MS = 2000, LOOK_MS = 5 };

static int open_file(int dir_fd, const char *group, const char *file, int flags)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s/%s", group, file);

    if (length >= (int)sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return openat(dir_fd, path, flags | O_CLOEXEC | O_NOFOLLOW);
}

int pw_cgroup_write(int dir_fd, const char *group, const char *file, const char *text)
{
    PW_FD_AUTO fd = open_file(dir_fd, group, file, O_WRONLY);
    int sys = 0;

    if (fd < 0)
        return -1;
    /* One write(2): the kernel takes each for a whole order. */
    if (write(fd, text, strlen(text)) < 0)
        sys = errno;
    pw_fd_done(&fd);
    errno = sys;
    return sys == 0 ? 0 : -1;
}

int pw_cgroup_attach(int dir_fd, const char *group, pid_t pid)
{
    char text[16];

    (void)snprintf(text, sizeof text, "%d", (int)pid);
    return pw_cgroup_write(dir_fd, group, "cgroup.procs", text);
}

bool pw_cgroup_has_file(int dir_fd, const char *group, const char *file)
{
    PW_FD_AUTO fd = open_file(dir_fd, group, file, O_RDONLY);
    return fd >= 0;
}

void pw_cgroup_pids_done(struct pw_cgroup_pids *pids)
{
    free(pids->pids);
    *pids = (struct pw_cgroup_pids){.pids = NULL};
}

static int add_pid(struct pw_cgroup_pids *pids, pid_t pid)
{
    if (pids->count == pids->capacity) {
        size_t capacity = pids->capacity == 0 ? 64 : 2 * pids->capacity;
        pid_t *grown = reallocarray(pids->pids, capacity, sizeof *grown);
        if (grown == NULL)
            return -1;
        pids->pids = grown;
        pids->capacity = capacity;
    }
    pids->pids[pids->count++] = pid;
    return 0;
}

/* A member outside of our pid namespace is 0 here: nothing can be done with it. */
static int list_group(int dir_fd, const char *group, struct pw_cgroup_pids *pids)
{
    int fd = open_file(dir_fd, group, "cgroup.procs", O_RDONLY), outcome = 0;
    FILE *rows = fd < 0 ? NULL : fdopen(fd, "r");
    char row[32];

    if (rows == NULL) {
        if (fd >= 0)
            close(fd);
        return -1;
    }
    while (outcome == 0 && pids->count < PW_LIMIT_TREE_PROCESSES &&
           fgets(row, sizeof row, rows) != NULL) {
        long pid = strtol(row, NULL, 10);
        if (pid > 0 && pid <= INT_MAX)
            outcome = add_pid(pids, (pid_t)pid);
    }
    (void)fclose(rows);
    return outcome;
}

/* The folders in a group; `visit` gets the group's descriptor and their names. */
static int visit_groups(int dir_fd, const char *group, int (*visit)(int, const char *, void *, int),
                        void *context, int depth)
{
    int fd = openat(dir_fd, group, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), outcome = 0;
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;

    if (dir == NULL) {
        if (fd >= 0)
            close(fd);
        return -1;
    }
    while (outcome == 0 && depth < PW_LIMIT_FOLDER_DEPTH && (entry = readdir(dir)) != NULL) {
        if (entry->d_type == DT_DIR && strcmp(entry->d_name, ".") != 0 &&
            strcmp(entry->d_name, "..") != 0)
            outcome = visit(dirfd(dir), entry->d_name, context, depth + 1);
    }
    int sys = errno;
    (void)closedir(dir);
    errno = sys;
    return outcome;
}

/* A threaded group (v2) does not list processes: its members are in the list of one above. */
static int list_one(int dir_fd, const char *group, void *context, int depth)
{
    if (list_group(dir_fd, group, context) != 0 && errno != EOPNOTSUPP && errno != ENOENT &&
        errno != ENODEV)
        return -1;
    return visit_groups(dir_fd, group, list_one, context, depth);
}

int pw_cgroup_list(int dir_fd, const char *group, struct pw_cgroup_pids *pids)
{
    return list_one(dir_fd, group, pids, 0);
}

static bool has_pid(const struct pw_cgroup_pids *pids, pid_t pid)
{
    for (size_t i = 0; i < pids->count; i++) {
        if (pids->pids[i] == pid)
            return true;
    }
    return false;
}

/*
 * Without cgroup.kill. A pid may be used again between reading and killing: so a descriptor is
 * taken first, and who has that pid then must be in the list once more. If the process behind the
 * descriptor still lives after that, it was the member.
 */
static void kill_one(int dir_fd, const char *group, pid_t pid)
{
    PW_FD_AUTO pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
    struct pw_cgroup_pids again = {.pids = NULL};

    if (pid_fd < 0 || pid == getpid())
        return;
    if (pw_cgroup_list(dir_fd, group, &again) == 0 && has_pid(&again, pid))
        (void)syscall(SYS_pidfd_send_signal, pid_fd, SIGKILL, NULL, 0);
    pw_cgroup_pids_done(&again);
}

static void kill_members(int dir_fd, const char *group)
{
    struct pw_cgroup_pids pids = {.pids = NULL};

    if (pw_cgroup_write(dir_fd, group, "cgroup.kill", "1") == 0)
        return;
    if (pw_cgroup_list(dir_fd, group, &pids) == 0) {
        for (size_t i = 0; i < pids.count; i++)
            kill_one(dir_fd, group, pids.pids[i]);
    }
    pw_cgroup_pids_done(&pids);
}

/* rmdir(2) is enough: the files in a group are not in the way. */
static int remove_groups(int dir_fd, const char *group, void *context, int depth)
{
    if (unlinkat(dir_fd, group, AT_REMOVEDIR) == 0 || errno == ENOENT || errno == ENODEV)
        return 0;
    if (errno != EBUSY && errno != ENOTEMPTY)
        return -1;
    if (visit_groups(dir_fd, group, remove_groups, context, depth) != 0)
        return -1;
    return unlinkat(dir_fd, group, AT_REMOVEDIR);
}

/* Until something changes in it (v2), or a little while. */
static void wait_for_change(int dir_fd, const char *group)
{
    PW_FD_AUTO fd = open_file(dir_fd, group, "cgroup.events", O_RDONLY);
    char text[256];
    ssize_t length = fd < 0 ? 0 : pread(fd, text, sizeof text - 1, 0);
    struct pollfd events = {.fd = fd, .events = POLLPRI};

    text[length > 0 ? length : 0] = '\0';
    if (length <= 0)
        (void)poll(NULL, 0, LOOK_MS);
    else if (strstr(text, "populated 0") == NULL)
        (void)poll(&events, 1, 4 * LOOK_MS);
    else
        (void)poll(NULL, 0, 1);
}

int pw_cgroup_remove(int dir_fd, const char *group)
{
    int64_t until_ns = pw_clock_now_ns() + REMOVE_WAIT_MS * PW_NS_PER_MS;

    while (remove_groups(dir_fd, group, NULL, 0) != 0) {
        if (errno != EBUSY || pw_clock_now_ns() > until_ns) {
            return -1;
        }
        kill_members(dir_fd, group);
        wait_for_change(dir_fd, group);
    }
    return 0;
}
