/*
 * Layers, or an archived layout, unpacked into a folder. What they hold is hostile: names and links
 * stay beneath the folder, and all is bounded. Life cycle: pw_unpacking_start(), pw_unpack_tar()
 * for each, pw_tree_finish() (tree.h), pw_unpacking_done(). Threads: no shared state. Source: OCI
 * image specification 1.0, layer.md.
 */
#ifndef PW_BOOT_IMAGE_UNPACK_H
#define PW_BOOT_IMAGE_UNPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/err.h"
#include "wrapper/boot/image/inodes.h"
#include "wrapper/boot/image/oci.h"

struct pw_unpacking {
    int root;
    /* What is unpacked are layers of an image. Else it is an image layout, which has files and
     * folders only: links and devices are left out, and names with .wh. are as any. */
    bool is_layer;
    /* Owners can be given. If not, files are kept readable for us, and `inodes` knows better. */
    bool gives_owners;
    unsigned layer;          /* counted from 1 */
    uint64_t entries, bytes; /* so far, in all layers */
    uint64_t limit_entries, limit_bytes;
    size_t limit_script_bytes; /* of what pw_tree_finish() makes */
    uint64_t skipped;          /* devices and attributes that could not be made */
    struct pw_inodes inodes;
};
#define PW_UNPACKING_AUTO __attribute__((cleanup(pw_unpacking_done))) struct pw_unpacking
/* `folder` must be there, empty and private. PW_ERR_SYSTEM, also where openat2(2) is missing. */
int pw_unpacking_start(const char *folder, bool is_layer, struct pw_unpacking *ret_unpacking,
                       struct pw_err *err);
void pw_unpacking_done(struct pw_unpacking *unpacking);
/* A tar file, from where `fd` is, over what was unpacked before. `expected`: its digest, size and
 * compression; NULL: any. PW_ERR_INPUT: damaged, not what was expected, outside of the root, over a
 * bound; PW_ERR_SYSTEM. Then the folder is of no use. */
int pw_unpack_tar(struct pw_unpacking *unpacking, int fd, const struct pw_oci_descriptor *expected,
                  struct pw_err *err);

struct archive;
/* A reader of tar files with this compression; PW_OCI_OTHER: with any that there is. NULL: out of
 * memory, or libarchive lacks it. archive_read_free() */
struct archive *pw_tar_new(enum pw_oci_media media);
enum { PW_UNPACK_PATH_BYTES = 4096 };
/* A name as in a tar file as a path beneath a root: "a/b", "" for the root itself. PW_ERR_INPUT if
 * it reaches outside, or is too long or too deep. */
int pw_unpack_path(const char *name, char ret_path[PW_UNPACK_PATH_BYTES], struct pw_err *err);
#endif
