#include "wrapper/run/scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "core/file.h"

#define PREFIX "perfwrap"

enum {
    RANDOM_LENGTH = 6, /* of mkdtemp(3) */
    MIN_AGE_SEC = 60,  /* a younger one may be just about to be locked */
};

static int open_locked(int dir_fd, const char *path)
{
    int fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB))
        pw_fd_done(&fd);
    return fd;
}

static bool has_our_name(const char *name)
{
    const size_t prefix = strlen(PREFIX "-");
    return strncmp(name, PREFIX "-", prefix) == 0 && strlen(name) == prefix + RANDOM_LENGTH;
}

/* Ours, private, old, and in nobody's use. */
static bool is_left_behind(int dir_fd, const char *name, int *ret_lock_fd)
{
    struct stat folder;
    if (!has_our_name(name) || fstatat(dir_fd, name, &folder, AT_SYMLINK_NOFOLLOW) ||
        !S_ISDIR(folder.st_mode) || (folder.st_mode & 07777) != 0700 ||
        folder.st_uid != geteuid() || time(NULL) - folder.st_mtime < MIN_AGE_SEC)
        return false;
    *ret_lock_fd = open_locked(dir_fd, name);
    return *ret_lock_fd >= 0;
}

static void remove_left_behind(const char *parent)
{
    DIR *dir = opendir(parent);
    const struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        PW_FD_AUTO lock_fd = -1;
        if (!is_left_behind(dirfd(dir), entry->d_name, &lock_fd))
            continue;
        PW_FREE_AUTO char *path = pw_path_join(parent, entry->d_name, NULL);
        if (path)
            pw_dir_remove_tree(path, NULL);
    }
    if (dir)
        closedir(dir);
}

int pw_scratch_open(struct pw_scratch *scratch, struct pw_err *err)
{
    if (pw_dir_make_private(PREFIX, &scratch->path, err))
        return -1;
    scratch->lock_fd = open_locked(AT_FDCWD, scratch->path);
    if (scratch->lock_fd < 0) {
        pw_err_system(err, errno, "lock folder `%s`", scratch->path);
        pw_scratch_close(scratch);
        return -1;
    }
    char *slash = strrchr(scratch->path, '/');
    PW_FREE_AUTO char *parent = strndup(scratch->path, (size_t)(slash - scratch->path));
    if (parent)
        remove_left_behind(parent);
    return 0;
}

void pw_scratch_close(struct pw_scratch *scratch)
{
    if (scratch->path)
        pw_dir_remove_tree(scratch->path, NULL);
    pw_fd_done(&scratch->lock_fd);
    free(scratch->path);
    scratch->path = NULL;
}
