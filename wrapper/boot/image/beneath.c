/* openat2(2) confines each step of the way, links included, to the root (RESOLVE_IN_ROOT). glibc
 * has no function for it. */
#include "wrapper/boot/image/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "core/file.h"

enum { AGAIN_TRIES = 100, FD_PATH_BYTES = 32 };

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

int pw_read_regular(int fd, const char *name, size_t limit, char **ret_text, size_t *ret_size,
                    struct pw_err *err)
{
    struct stat info;
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        return pw_err_set(err, PW_ERR_INPUT, "`%s` is not a regular file", name);
    }
    return pw_fd_read_all(fd, name, limit, ret_text, ret_size, err);
}

int pw_beneath_read(int root, const char *path, size_t limit, char **ret_text, size_t *ret_size,
                    struct pw_err *err)
{
    /* Opening a device may do something already, so first it is only looked at. */
    PW_FD_AUTO place = pw_beneath_open(root, path, O_PATH);
    struct stat info;
    if (place < 0) {
        bool is_missing = errno == ENOENT || errno == ENOTDIR || errno == ELOOP;
        return is_missing ? 0 : pw_err_system(err, errno, "open `%s` of the image", path);
    }
    if (fstat(place, &info) != 0 || !S_ISREG(info.st_mode)) {
        return 0;
    }
    char opened[FD_PATH_BYTES];
    snprintf(opened, sizeof(opened), "/proc/self/fd/%d", place);
    return pw_file_read(opened, limit, ret_text, ret_size, err) == 0
               ? 1
               : pw_err_prefix(err, "`%s` of the image", path);
}
