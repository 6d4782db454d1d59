#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/clock.h"
#include "core/file.h"
#include "wrapper/probe/cgroup_impl.h"

#define PREFIX "perfwrap-"
#define LETTERS "abcdefghijklmnopqrstuvwxyz012345"

enum { RANDOM_LENGTH = 6, TRIES = 16 };

int pw_cgroup_refuse(struct pw_err *err, int sys, const struct pw_cgroup_branch *branch)
{
    pw_err_system(err, sys, "cannot divide the control group `%s` (%s)", branch->folder,
                  branch->label);
    switch (sys) {
    case EACCES:
    case EPERM:
        return pw_err_remedy(err, "run it where the group is delegated: systemd-run --user --scope "
                                  "-p Delegate=yes perfwrap ...; or as root");
    case EROFS:
        return pw_err_remedy(err, "mount the control groups writable; containers: give it "
                                  "--privileged, or a runtime with writable control groups");
    case ENOSPC:
    case EAGAIN:
        return pw_err_remedy(err, "there are too many groups: remove those that nobody uses, or "
                                  "raise cgroup.max.descendants and cgroup.max.depth above it");
    case ENOENT:
    case ENODEV:
        return pw_err_remedy(err,
                             "the group was removed: start perfwrap from a new login or shell");
    case EOPNOTSUPP:
        return pw_err_remedy(err, "the group is threaded: start perfwrap in one of type domain");
    default: return -1;
    }
}

static bool is_home_name(const char *name)
{
    const size_t prefix = strlen(PREFIX);
    return strncmp(name, PREFIX, prefix) == 0 && strlen(name) == prefix + RANDOM_LENGTH &&
           strspn(name + prefix, LETTERS) == RANDOM_LENGTH;
}

static bool is_leaf_name(const char *name)
{
    return strcmp(name, PW_CGROUP_SELF) == 0 || strncmp(name, "worker-", strlen("worker-")) == 0;
}

static int open_locked(int dir_fd, const char *name)
{
    int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) == 0)
        return fd;
    int sys = errno;
    close(fd);
    errno = sys;
    return -1;
}

/* Whether all groups in it are such as we make: what is not is somebody else's. */
static bool looks_ours(int home_fd)
{
    PW_FD_AUTO fd = openat(home_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;
    bool is_ours = true;

    if (dir == NULL)
        return false;
    (void)pw_fd_take(&fd); /* closed with the stream */
    while (is_ours && (entry = readdir(dir)) != NULL)
        is_ours = entry->d_type != DT_DIR || entry->d_name[0] == '.' || is_leaf_name(entry->d_name);
    (void)closedir(dir);
    return is_ours;
}

static void remove_stale(int own_fd)
{
    int fd = openat(own_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;

    if (dir == NULL) {
        if (fd >= 0)
            close(fd);
        return;
    }
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_type != DT_DIR || !is_home_name(entry->d_name))
            continue;
        PW_FD_AUTO lock_fd = open_locked(own_fd, entry->d_name);
        if (lock_fd >= 0 && looks_ours(lock_fd))
            (void)pw_cgroup_remove(own_fd, entry->d_name);
    }
    (void)closedir(dir);
}

void pw_cgroup_home_choose(char name[PW_CGROUP_NAME_MAX])
{
    unsigned char bytes[RANDOM_LENGTH] = {0};
    char letters[RANDOM_LENGTH + 1] = "";

    /* A machine that has just started may have no random numbers yet. */
    if (getrandom(bytes, sizeof bytes, GRND_NONBLOCK) != (ssize_t)sizeof bytes) {
        uint64_t mixed =
            ((uint64_t)pw_clock_now_ns() << 16 ^ (uint64_t)getpid()) * 0x9e3779b97f4a7c15U;
        memcpy(bytes, &mixed, sizeof bytes);
    }
    for (int i = 0; i < RANDOM_LENGTH; i++)
        letters[i] = LETTERS[bytes[i] % strlen(LETTERS)];
    (void)snprintf(name, PW_CGROUP_NAME_MAX, PREFIX "%s", letters);
}

/* Another perfwrap that begins just then may take a folder that is not locked yet for a stale one:
 * then it has the lock, or the folder is gone, and the next name is tried. */
static int make_one(struct pw_cgroup_branch *branch)
{
    struct stat locked, named;

    if (mkdirat(branch->own_fd, branch->home, 0755) != 0)
        return -1;
    PW_FD_AUTO fd = open_locked(branch->own_fd, branch->home);
    if (fd < 0 && errno != EWOULDBLOCK && errno != ENOENT) {
        int sys = errno;
        (void)unlinkat(branch->own_fd, branch->home, AT_REMOVEDIR);
        errno = sys;
        return -1;
    }
    if (fd < 0 || fstat(fd, &locked) != 0 ||
        fstatat(branch->own_fd, branch->home, &named, AT_SYMLINK_NOFOLLOW) != 0 ||
        locked.st_ino != named.st_ino) {
        errno = EEXIST;
        return -1;
    }
    branch->home_fd = pw_fd_take(&fd);
    return 0;
}

int pw_cgroup_home_make(struct pw_cgroup_branch *branch, struct pw_err *err)
{
    int sys = EEXIST;

    branch->own_fd = open(branch->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (branch->own_fd < 0)
        return pw_cgroup_refuse(err, errno, branch);
    remove_stale(branch->own_fd);
    for (int i = 0; i < TRIES; i++) {
        if (make_one(branch) == 0)
            return 0;
        sys = errno;
        if (sys != EEXIST)
            break;
        pw_cgroup_home_choose(branch->home);
    }
    pw_cgroup_refuse(err, sys, branch);
    pw_fd_done(&branch->own_fd);
    return -1;
}

static void move_back(const struct pw_cgroup_branch *branch)
{
    struct pw_cgroup_pids pids = {.pids = NULL};

    (void)pw_cgroup_attach(branch->own_fd, ".", 0);
    if (pw_cgroup_list(branch->home_fd, PW_CGROUP_SELF, &pids) == 0) {
        for (size_t i = 0; i < pids.count; i++)
            (void)pw_cgroup_attach(branch->own_fd, ".", pids.pids[i]);
    }
    pw_cgroup_pids_done(&pids);
}

static bool is_inside(const struct pw_cgroup_branch *branch)
{
    struct pw_cgroup_pids pids = {.pids = NULL};
    bool is_inside = pw_cgroup_list(branch->own_fd, branch->home, &pids) != 0;

    for (size_t i = 0; i < pids.count; i++)
        is_inside = is_inside || pids.pids[i] == getpid();
    pw_cgroup_pids_done(&pids);
    return is_inside;
}

void pw_cgroup_home_remove(struct pw_cgroup_branch *branch)
{
    if (branch->home_fd >= 0) {
        pw_cgroup_control_disable(branch);
        if (branch->has_moved)
            move_back(branch);
        /* Removing kills: not where the way back was refused. */
        if (!branch->has_moved || !is_inside(branch))
            (void)pw_cgroup_remove(branch->own_fd, branch->home);
        branch->has_moved = false;
    }
    pw_fd_done(&branch->home_fd);
    pw_fd_done(&branch->own_fd);
}
