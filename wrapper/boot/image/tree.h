/*
 * Walks over a tree: to measure and to name it, and to give an unpacked one its last attributes.
 * Threads: no shared state.
 */
#ifndef PW_BOOT_IMAGE_TREE_H
#define PW_BOOT_IMAGE_TREE_H

#include <stdint.h>
#include "core/err.h"
#include "core/str.h"
#include "wrapper/boot/image/unpack.h"

struct pw_tree {
    uint64_t entries, bytes; /* bytes that its files will take, in whole blocks */
    char digest[PW_DIGEST_TEXT];
};
/* Measures; follows no link. PW_ERR_INPUT: not a folder, another file system mounted in it, too
 * large. */
int pw_tree_measure(const char *path, struct pw_tree *ret_tree, struct pw_err *err);
/* Gives folders their times and modes. `script` gets what debugfs has to set, if owners could not
 * be given. */
int pw_tree_finish(const struct pw_unpacking *unpacking, struct pw_str *script, struct pw_err *err);

#endif
