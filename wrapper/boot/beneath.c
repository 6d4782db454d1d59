/* openat2(2) confines each step of the way, links included, to the root (RESOLVE_IN_ROOT). glibc
 * has no function for it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "core/file.h"
#include "wrapper/boot/image_impl.h"

enum { AGAIN_TRIES = 100 };

int pw_beneath_open(int root, const char *path, int flags)
{
    struct open_how how = {
        .flags = (unsigned)(flags | O_CLOEXEC),
        .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
    };
    /* EAGAIN: something was renamed somewhere meanwhile, and the kernel is not sure of a "..". */
    for (int i = 0; i < AGAIN_TRIES; i++) {
        long fd = syscall(SYS_openat2, root, path[0] == '\0' ? "." : path, &how, sizeof(how));
        if (fd >= 0 || errno != EAGAIN) {
            return (int)fd;
        }
    }
    return -1;
}

int pw_open_readable(int folder, const char *path)
{
    return openat(folder, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

int pw_beneath_check(struct pw_err *err)
{
    PW_FD_AUTO fd = pw_beneath_open(AT_FDCWD, ".", O_PATH);
    if (fd < 0 && (errno == ENOSYS || errno == EPERM)) {
        pw_err_system(err, errno, "unpack an image: the system call openat2");
        return pw_err_remedy(err, "Use Linux 5.6 or later, or unpack it elsewhere and give dir: "
                                  "or ext4:.");
    }
    return 0;
}

static int read_all(int fd, size_t limit, char *text, size_t *ret_size)
{
    size_t size = 0;
    while (size <= limit) {
        ssize_t count = read(fd, text + size, limit + 1 - size);
        if (count < 0 && errno != EINTR) {
            return -1;
        }
        if (count == 0) {
            *ret_size = size;
            return 0;
        }
        size += count > 0 ? (size_t)count : 0;
    }
    errno = EFBIG;
    return -1;
}

int pw_read_regular(int fd, const char *name, size_t limit, char **ret_text, size_t *ret_size,
                    struct pw_err *err)
{
    struct stat info;
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        return pw_err_set(err, PW_ERR_INPUT, "`%s` is not a regular file", name);
    }
    if (info.st_size < 0 || (uint64_t)info.st_size > limit) {
        return pw_err_set(err, PW_ERR_INPUT, "`%s` is larger than %zu bytes", name, limit);
    }
    size_t size = 0;
    size_t room = (size_t)info.st_size;
    char *text = malloc(room + 2);
    if (!text) {
        return pw_err_memory(err);
    }
    if (read_all(fd, room, text, &size) != 0) {
        pw_err_system(err, errno, "read `%s`", name);
        free(text);
        return -1;
    }
    text[size] = '\0';
    *ret_text = text;
    *ret_size = size;
    return 0;
}

int pw_beneath_read(int root, const char *path, size_t limit, char **ret_text, size_t *ret_size,
                    struct pw_err *err)
{
    /* O_NONBLOCK: a fifo does not make us wait. */
    PW_FD_AUTO fd = pw_beneath_open(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    struct stat info;
    if (fd < 0) {
        bool is_missing = errno == ENOENT || errno == ENOTDIR || errno == ELOOP || errno == ENXIO;
        return is_missing ? 0 : pw_err_system(err, errno, "open `%s` of the image", path);
    }
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        return 0;
    }
    return pw_read_regular(fd, path, limit, ret_text, ret_size, err) == 0 ? 1 : -1;
}
