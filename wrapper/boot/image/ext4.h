/*
 * ext4 files, made by mke2fs(8). Threads: no shared state.
 */
#ifndef PW_BOOT_IMAGE_EXT4_H
#define PW_BOOT_IMAGE_EXT4_H

#include <stdint.h>
#include "core/err.h"
#include "wrapper/boot/image/tree.h"

struct pw_ext4 {
    const char *mke2fs; /* may be NULL */
    const char *root, *disk;
    const struct pw_tree *tree;
    unsigned disk_mib;
    const char *seed;   /* hex digits, of which its UUID is made */
    const char *script; /* for debugfs; "": none */
    const char *folder; /* a private one */
};
int pw_ext4_build(const struct pw_ext4 *ext4, struct pw_err *err);
/* PW_ERR_INPUT if it is none. */
int pw_ext4_check(const char *path, uint64_t *ret_bytes, struct pw_err *err);
/* PW_ERR_SYSTEM unless so many bytes are free. */
int pw_ext4_check_room(const char *folder, uint64_t bytes, struct pw_err *err);

#endif
