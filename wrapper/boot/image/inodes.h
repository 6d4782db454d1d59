/*
 * What is known of the files of a tree that is being unpacked, by inode number. Threads: no shared
 * state.
 */
#ifndef PW_BOOT_IMAGE_INODES_H
#define PW_BOOT_IMAGE_INODES_H

#include <stddef.h>
#include <stdint.h>

struct pw_inode {
    uint64_t number; /* 0: an empty slot */
    int64_t mtime_sec;
    uint32_t mtime_nsec, uid, gid, mode; /* as they shall be in the guest */
    uint16_t layer, depth;
};
struct pw_inodes { /* a hash table with linear probing */
    struct pw_inode *slots;
    size_t capacity, count;
};
void pw_inodes_done(struct pw_inodes *inodes);
const struct pw_inode *pw_inodes_find(const struct pw_inodes *inodes, uint64_t number);
/* Puts it in the place of what was known of that number; -1 when out of memory. */
int pw_inodes_put(struct pw_inodes *inodes, const struct pw_inode *inode);

#endif
