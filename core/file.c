#include "core/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/str.h"

enum { READ_FIRST_BYTES = 65536, ASIDE_TRIES = 1000, CHECK_BYTES = 4096 };

void pw_fd_done(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

int pw_fd_take(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

void pw_free_done(void *pointer_to_pointer)
{
    free(*(void **)pointer_to_pointer);
}

static int fail_path(struct pw_err *err, int sys, const char *what, const char *path)
{
    pw_err_system(err, sys, "%s `%s`", what, path);
    if (sys == ENOSPC || sys == EDQUOT) {
        pw_err_remedy(err, "Free space on that file system, or choose another folder.");
    } else if (sys == EACCES || sys == EPERM || sys == EROFS) {
        pw_err_remedy(err, "Choose a folder that you may write to.");
    }
    return -1;
}

int pw_fd_write_all(int fd, const void *bytes, size_t size)
{
    const char *at = bytes;
    while (size > 0) {
        ssize_t count = write(fd, at, size);
        if (count < 0 && errno != EINTR) {
            return -1;
        }
        if (count > 0) {
            at += count;
            size -= (size_t)count;
        }
    }
    return 0;
}

/* fsync(2) gives EINVAL where there is nothing to flush, as on some pseudo file systems. */
static int flush(int fd)
{
    return fsync(fd) == 0 || errno == EINVAL ? 0 : -1;
}

/* Opens a new file next to `path`; free(*ret_aside). A name that a crash left behind is passed
 * over. */
static int open_aside(const char *path, mode_t mode, char **ret_aside, struct pw_err *err)
{
    int sys = EEXIST;
    for (unsigned i = 0; i < ASIDE_TRIES && sys == EEXIST; i++) {
        char *aside = NULL;
        if (asprintf(&aside, "%s.%ld-%u.tmp", path, (long)getpid(), i) < 0) {
            pw_err_memory(err);
            return -1;
        }
        int fd = open(aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
        if (fd >= 0) {
            *ret_aside = aside;
            return fd;
        }
        sys = errno;
        free(aside);
    }
    fail_path(err, sys, "create a file for", path);
    return -1;
}

int pw_file_write(const char *path, const void *bytes, size_t size, mode_t mode, struct pw_err *err)
{
    /* A rename would put a file in the place of a device. */
    struct stat old;
    if (stat(path, &old) == 0 && !S_ISREG(old.st_mode)) {
        return pw_err_set(err, PW_ERR_SYSTEM, "write `%s`: not a regular file", path);
    }
    PW_FREE_AUTO char *aside = NULL;
    PW_FD_AUTO fd = open_aside(path, mode, &aside, err);
    if (fd < 0) {
        return -1;
    }
    const char *step = "write";
    if (pw_fd_write_all(fd, bytes, size) != 0 || flush(fd) != 0) {
        goto fail;
    }
    step = "close";
    if (close(pw_fd_take(&fd)) != 0) {
        goto fail;
    }
    step = "rename to";
    if (rename(aside, path) != 0) {
        goto fail;
    }
    return 0;
fail:
    fail_path(err, errno, step, path);
    unlink(aside);
    return -1;
}

/* The size to begin with: that of a regular file and one more byte to see its end. */
static size_t first_capacity(int fd, size_t limit)
{
    struct stat info;
    size_t capacity = READ_FIRST_BYTES;
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 0) {
        capacity = (size_t)info.st_size + 1;
    }
    return capacity < limit + 1 ? capacity : limit + 1;
}

int pw_fd_read_all(int fd, const char *path, size_t limit, char **ret_text, size_t *ret_size,
                   struct pw_err *err)
{
    size_t capacity = first_capacity(fd, limit);
    size_t size = 0;
    PW_FREE_AUTO char *text = malloc(capacity + 1);
    if (!text) {
        return pw_err_memory(err);
    }
    for (;;) {
        ssize_t count = read(fd, text + size, capacity - size);
        if (count < 0 && errno != EINTR) {
            return pw_err_input(err, errno, "read `%s`", path);
        }
        if (count == 0) {
            break;
        }
        size += count > 0 ? (size_t)count : 0;
        if (size > limit) {
            return pw_err_set(err, PW_ERR_INPUT, "read `%s`: larger than %zu bytes", path, limit);
        }
        if (size == capacity) {
            capacity = capacity < limit / 2 ? capacity * 2 : limit + 1;
            char *larger = realloc(text, capacity + 1);
            if (!larger) {
                return pw_err_memory(err);
            }
            text = larger;
        }
    }
    text[size] = '\0';
    *ret_text = text;
    text = NULL;
    if (ret_size) {
        *ret_size = size;
    }
    return 0;
}

int pw_file_read(const char *path, size_t limit, char **ret_text, size_t *ret_size,
                 struct pw_err *err)
{
    PW_FD_AUTO fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return pw_err_input(err, errno, "open `%s`", path);
    }
    return pw_fd_read_all(fd, path, limit, ret_text, ret_size, err);
}

static bool is_dir(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

int pw_dir_make(const char *path, struct pw_err *err)
{
    PW_FREE_AUTO char *part = strdup(path);
    if (!part) {
        return pw_err_memory(err);
    }
    /* Each prefix that ends before a slash, then the whole. */
    for (size_t at = 1; at <= strlen(path); at++) {
        if (path[at] != '/' && path[at] != '\0') {
            continue;
        }
        part[at] = '\0';
        /* mkdir may refuse for other reasons than EEXIST what is there already. */
        if (mkdir(part, 0777) != 0) {
            int sys = errno;
            if (!is_dir(part)) {
                return fail_path(err, sys == EEXIST ? ENOTDIR : sys, "make folder", part);
            }
        }
        part[at] = path[at];
    }
    return is_dir(path) ? 0 : fail_path(err, ENOENT, "make folder", path);
}

int pw_dir_check_writable(const char *path, struct pw_err *err)
{
    PW_FREE_AUTO char *probe = pw_path_join(path, ".perfwrap-check-XXXXXX", err);
    if (!probe) {
        return -1;
    }
    PW_FD_AUTO fd = mkostemp(probe, O_CLOEXEC);
    if (fd < 0) {
        return fail_path(err, errno, "create a file in", path);
    }
    static const char zeros[CHECK_BYTES];
    int status = 0;
    if (pw_fd_write_all(fd, zeros, sizeof(zeros)) != 0 || flush(fd) != 0) {
        status = fail_path(err, errno, "write to a file in", path);
    }
    unlink(probe);
    return status;
}

int pw_dir_make_private(const char *prefix, char **ret_path, struct pw_err *err)
{
    const char *base = getenv("TMPDIR");
    char *path = NULL;
    if (asprintf(&path, "%s/%s-XXXXXX", base && base[0] ? base : "/tmp", prefix) < 0) {
        return pw_err_memory(err);
    }
    if (!mkdtemp(path)) {
        fail_path(err, errno, "make private folder", path);
        free(path);
        return -1;
    }
    *ret_path = path;
    return 0;
}

/*
 * Removal of a tree with one open folder at a time, so that neither depth nor the descriptor limit
 * matters: down into the first folder that is not empty, up again by "..". The way up is checked
 * against what was passed on the way down, for somebody may move folders meanwhile.
 */
struct place {
    dev_t device;
    ino_t inode;
};

struct remover {
    DIR *dir;
    struct place *passed; /* the folders above `dir`, outermost first, then `dir` itself */
    size_t depth, capacity;
};

/* Makes `fd` the current folder. Takes it. */
static int enter(struct remover *state, int fd)
{
    DIR *dir = fdopendir(fd);
    if (!dir) {
        int sys = errno;
        close(fd);
        errno = sys;
        return -1;
    }
    if (state->dir) {
        closedir(state->dir);
    }
    state->dir = dir;
    return 0;
}

static int remember(struct remover *state, const struct stat *info)
{
    if (state->depth == state->capacity) {
        size_t capacity = state->capacity * 2 + 16;
        struct place *larger = reallocarray(state->passed, capacity, sizeof(*larger));
        if (!larger) {
            return -1;
        }
        state->passed = larger;
        state->capacity = capacity;
    }
    state->passed[state->depth++] = (struct place){info->st_dev, info->st_ino};
    return 0;
}

static int go_down(struct remover *state, int at, const char *name)
{
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    struct stat info;
    int sys = fstat(fd, &info) != 0 ? errno : 0;
    if (sys == 0 && remember(state, &info) != 0) {
        sys = ENOMEM;
    }
    if (sys != 0) {
        close(fd);
        errno = sys;
        return -1;
    }
    /* A folder that its maker left read-only cannot be emptied; if this fails, unlinkat tells. */
    (void)fchmod(fd, 0700);
    return enter(state, fd);
}

static int go_up(struct remover *state)
{
    int fd = openat(dirfd(state->dir), "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    state->depth--;
    const struct place *expected = &state->passed[state->depth - 1];
    struct stat info;
    if (fstat(fd, &info) != 0 || info.st_dev != expected->device ||
        info.st_ino != expected->inode) {
        close(fd);
        errno = ESTALE;
        return -1;
    }
    return enter(state, fd);
}

/* Removes the current folder's entries, up to one that must be entered first.
 * Returns 1 if it went down, 0 if the folder is empty, -1 on failure. */
static int empty_folder(struct remover *state)
{
    int at = dirfd(state->dir);
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(state->dir);
        if (!entry) {
            return errno == 0 ? 0 : -1;
        }
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || unlinkat(at, name, 0) == 0 ||
            errno == ENOENT) {
            continue;
        }
        if (errno != EISDIR) {
            return -1;
        }
        if (unlinkat(at, name, AT_REMOVEDIR) == 0) {
            continue;
        }
        if (errno != ENOTEMPTY && errno != EEXIST) {
            return -1; /* a mount: EBUSY */
        }
        return go_down(state, at, name) == 0 ? 1 : -1;
    }
}

int pw_dir_remove_tree(const char *path, struct pw_err *err)
{
    struct remover state = {0};
    int status = go_down(&state, AT_FDCWD, path);
    if (status != 0 && errno == ENOENT) {
        return 0;
    }
    while (status == 0) {
        status = empty_folder(&state);
        if (status == 1) {
            status = 0;
        } else if (status == 0) {
            if (state.depth == 1) {
                break;
            }
            status = go_up(&state);
        }
    }
    if (status == 0) {
        status = rmdir(path);
    }
    if (status != 0) {
        fail_path(err, errno, "remove folder", path);
    }
    if (state.dir) {
        closedir(state.dir);
    }
    free(state.passed);
    return status;
}

char *pw_path_join(const char *a, const char *b, struct pw_err *err)
{
    size_t length = strlen(a);
    const char *slash = length == 0 || a[length - 1] == '/' ? "" : "/";
    char *path = NULL;
    if (asprintf(&path, "%s%s%s", a, slash, b) < 0) {
        pw_err_memory(err);
        return NULL;
    }
    return path;
}
