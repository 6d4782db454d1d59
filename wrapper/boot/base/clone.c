#include "wrapper/boot/base/clone.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/clock.h"
#include "core/file.h"

/* At once: not so much that a signal would have to wait for long. */
enum { PIECE_BYTES = 64 << 20, BUFFER_BYTES = 1 << 20 };

struct copier {
    int from_fd, to_fd;
    char *buffer; /* NULL while the kernel copies */
    uint64_t moved_bytes;
};

/* copy_file_range(2) gives these where it cannot serve two file systems, or not this one. */
static bool is_unsupported(int sys)
{
    return sys == EXDEV || sys == EINVAL || sys == EOPNOTSUPP || sys == ENOSYS || sys == EPERM ||
           sys == EBADF;
}

static ssize_t copy_by_hand(struct copier *copier, off_t at, size_t size)
{
    size_t wanted = size < BUFFER_BYTES ? size : BUFFER_BYTES;
    ssize_t count = pread(copier->from_fd, copier->buffer, wanted, at);
    for (ssize_t done = 0; done < count;) {
        ssize_t written =
            pwrite(copier->to_fd, copier->buffer + done, (size_t)(count - done), at + done);
        if (written < 0 && errno != EINTR) {
            return -1;
        }
        done += written > 0 ? written : 0;
    }
    return count;
}

/* Bytes copied, 0 at the end of the source, -1 and errno. */
static ssize_t copy_piece(struct copier *copier, off_t at, size_t size)
{
    if (!copier->buffer) {
        loff_t from_at = at;
        loff_t to_at = at;
        ssize_t count = copy_file_range(copier->from_fd, &from_at, copier->to_fd, &to_at, size, 0);
        /* Some file systems of old kernels give 0 instead of an error. */
        if (count > 0 || (count < 0 && !is_unsupported(errno))) {
            return count;
        }
        copier->buffer = malloc(BUFFER_BYTES);
        if (!copier->buffer) {
            errno = ENOMEM;
            return -1;
        }
    }
    return copy_by_hand(copier, at, size);
}

static int copy_range(struct copier *copier, off_t at, off_t end)
{
    while (at < end) {
        off_t left = end - at;
        size_t size = left < PIECE_BYTES ? (size_t)left : (size_t)PIECE_BYTES;
        ssize_t count = copy_piece(copier, at, size);
        if (count < 0 && errno != EINTR) {
            return -1;
        }
        if (count == 0) { /* it became shorter meanwhile */
            errno = ESTALE;
            return -1;
        }
        at += count > 0 ? count : 0;
        copier->moved_bytes += count > 0 ? (uint64_t)count : 0;
    }
    return 0;
}

/* Where the next data begins and ends. A file system without holes has data everywhere. */
static int find_data(int fd, off_t at, off_t size, off_t *ret_data, off_t *ret_end)
{
    off_t data = lseek(fd, at, SEEK_DATA);
    if (data < 0 && errno == ENXIO) {
        *ret_data = *ret_end = size;
        return 0;
    }
    if (data < 0 && errno != EINVAL) {
        return -1;
    }
    off_t end = data < 0 ? size : lseek(fd, data, SEEK_HOLE);
    *ret_data = data < 0 ? at : data;
    *ret_end = end <= *ret_data || end > size ? size : end;
    return 0;
}

static int copy_data(struct copier *copier, off_t size)
{
    if (ftruncate(copier->to_fd, size) != 0) {
        return -1;
    }
    for (off_t at = 0; at < size;) {
        off_t data = 0;
        off_t end = 0;
        if (find_data(copier->from_fd, at, size, &data, &end) != 0 ||
            copy_range(copier, data, end) != 0) {
            return -1;
        }
        at = end;
    }
    return 0;
}

static int fill(int from_fd, int to_fd, off_t size, struct pw_clone *ret_clone)
{
    struct copier copier = {.from_fd = from_fd, .to_fd = to_fd};
    if (ioctl(to_fd, FICLONE, from_fd) == 0) {
        ret_clone->how = "reflink";
        return 0;
    }
    int failed = copy_data(&copier, size);
    int sys = errno;
    ret_clone->how = copier.buffer ? "copy" : "copy_file_range";
    ret_clone->moved_bytes = copier.moved_bytes;
    free(copier.buffer);
    errno = sys;
    return failed;
}

static int fail_copy(struct pw_err *err, int sys, const char *from, const char *to)
{
    pw_err_system(err, sys, "copy `%s` to `%s`", from, to);
    if (sys == ENOSPC || sys == EDQUOT || sys == EFBIG) {
        pw_err_remedy(err, "free space there, or set TMPDIR to a folder with room for each "
                           "machine's disk");
    }
    return -1;
}

static int check_source(int fd, const char *path, struct stat *ret_info, struct pw_err *err)
{
    if (fstat(fd, ret_info) != 0) {
        return pw_err_input(err, errno, "open `%s`", path);
    }
    return S_ISREG(ret_info->st_mode)
               ? 0
               : pw_err_set(err, PW_ERR_INPUT, "`%s` is not a regular file", path);
}

int pw_file_clone(const char *from, const char *to, struct pw_clone *ret_clone, struct pw_err *err)
{
    struct stat info = {0};
    int64_t began_ns = pw_clock_now_ns();
    PW_FD_AUTO from_fd = open(from, O_RDONLY | O_CLOEXEC);
    if (from_fd < 0) {
        return pw_err_input(err, errno, "open `%s`", from);
    }
    if (check_source(from_fd, from, &info, err) != 0) {
        return -1;
    }
    PW_FD_AUTO to_fd = open(to, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (to_fd < 0) {
        return fail_copy(err, errno, from, to);
    }
    struct pw_clone clone = {.bytes = (uint64_t)info.st_size};
    if (fill(from_fd, to_fd, info.st_size, &clone) != 0) {
        int sys = errno;
        unlink(to);
        return fail_copy(err, sys, from, to);
    }
    clone.took_ns = pw_clock_now_ns() - began_ns;
    if (ret_clone) {
        *ret_clone = clone;
    }
    return 0;
}
