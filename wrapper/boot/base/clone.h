/*
 * A private copy of a large file, made as fast as the file system allows: by sharing its blocks
 * (FICLONE), else by having the kernel copy them (copy_file_range(2)), else by reading and writing.
 * Holes stay holes (SEEK_DATA). Threads: no shared state. Sources: ioctl_ficlone(2), lseek(2).
 */
#ifndef PW_BOOT_BASE_CLONE_H
#define PW_BOOT_BASE_CLONE_H

#include <stdint.h>
#include "core/err.h"

struct pw_clone {
    const char *how;      /* "reflink", "copy_file_range" or "copy": constant; NULL: none made */
    uint64_t bytes;       /* the file's size */
    uint64_t moved_bytes; /* that had to be copied */
    int64_t took_ns;
};

/* `to` (mode 0600) must not exist; on failure nothing is left of it. PW_ERR_INPUT if `from` is no
 * regular file that can be read; PW_ERR_SYSTEM, with a remedy if there is no room. It is not
 * flushed to the disk. `ret_clone` may be NULL. */
int pw_file_clone(const char *from, const char *to, struct pw_clone *ret_clone, struct pw_err *err);

#endif
