/* The parts of unpack.c among themselves. Threads: no shared state. */
#ifndef PW_BOOT_IMAGE_UNPACK_IMPL_H
#define PW_BOOT_IMAGE_UNPACK_IMPL_H

#include "wrapper/boot/image/inodes.h"
#include "wrapper/boot/image/unpack.h"

enum { PW_UNPACK_NAME_BYTES = 255 };

/* Where an entry goes. */
struct pw_unpack_place {
    const char *path; /* for messages */
    const char *name; /* in the folder */
    int folder;
    unsigned depth; /* of the folder */
};

struct archive;
struct archive_entry;
/* unpack_entry.c */
int pw_unpack_entry(struct pw_unpacking *unpacking, struct archive *archive,
                    struct archive_entry *entry, struct pw_err *err);
/* unpack_remove.c: removes `name` of the open folder and all below it, but what `layer` brought (0:
 * nothing is kept); errno. `name` NULL: all in the folder, but not itself. */
int pw_unpack_remove(const struct pw_inodes *inodes, unsigned layer, int folder, const char *name);

/* The archive's fault: PW_ERR_INPUT, "`name` why". */
int pw_unpack_refuse(struct pw_err *err, const char *name, const char *why);
/* The machine's refusal: "what `name`: errno". */
int pw_unpack_fail(struct pw_err *err, int sys, const char *what, const char *name);
/* Where the last part of `path` begins; the others are the folder, "" if there are none. */
const char *pw_unpack_split(const char *path, char ret_parent[PW_UNPACK_PATH_BYTES]);
/* One file more. */
int pw_unpack_count(struct pw_unpacking *unpacking, const char *path, struct pw_err *err);
/* Notes what was made at a place. Of owner and mode, those that the guest shall see. */
int pw_unpack_note(struct pw_unpacking *unpacking, const struct pw_unpack_place *place,
                   struct pw_inode inode, struct pw_err *err);
/* The depth that a folder really has, however short the way to it by links. */
int pw_unpack_find_depth(const struct pw_unpacking *unpacking, struct pw_unpack_place *place,
                         struct pw_err *err);
/* The folder of `path`, made if it is missing, and *ret_name in it: its descriptor, or -1. */
int pw_unpack_open_parent(struct pw_unpacking *unpacking, const char *path, const char **ret_name,
                          struct pw_err *err);
/* 1: it was a whiteout, or what belongs to one; 0: it is none; -1 */
int pw_unpack_whiteout(struct pw_unpacking *unpacking, const char *path, struct pw_err *err);

#endif
