#include "wrapper/boot/image/inodes.h"

#include <stdlib.h>

enum { FIRST_CAPACITY = 1024 };

void pw_inodes_done(struct pw_inodes *inodes)
{
    free(inodes->slots);
    *inodes = (struct pw_inodes){0};
}

/* The slot of that number, or the empty one where it belongs. */
static struct pw_inode *slot_of(const struct pw_inodes *inodes, uint64_t number)
{
    size_t mask = inodes->capacity - 1;
    /* Knuth's multiplicative hash: numbers come in rows. */
    size_t at = (size_t)((number * UINT64_C(0x9e3779b97f4a7c15)) >> 20) & mask;
    while (inodes->slots[at].number != 0 && inodes->slots[at].number != number) {
        at = (at + 1) & mask;
    }
    return &inodes->slots[at];
}

const struct pw_inode *pw_inodes_find(const struct pw_inodes *inodes, uint64_t number)
{
    if (inodes->capacity == 0) {
        return NULL;
    }
    const struct pw_inode *slot = slot_of(inodes, number);
    return slot->number == 0 ? NULL : slot;
}

static int grow(struct pw_inodes *inodes)
{
    size_t capacity = inodes->capacity == 0 ? FIRST_CAPACITY : inodes->capacity * 2;
    struct pw_inodes larger = {.capacity = capacity, .count = inodes->count};
    larger.slots = calloc(capacity, sizeof(*larger.slots));
    if (!larger.slots) {
        return -1;
    }
    for (size_t i = 0; i < inodes->capacity; i++) {
        if (inodes->slots[i].number != 0) {
            *slot_of(&larger, inodes->slots[i].number) = inodes->slots[i];
        }
    }
    free(inodes->slots);
    *inodes = larger;
    return 0;
}

int pw_inodes_put(struct pw_inodes *inodes, const struct pw_inode *inode)
{
    if (inodes->count >= inodes->capacity / 4 * 3 && grow(inodes) != 0) {
        return -1;
    }
    struct pw_inode *slot = slot_of(inodes, inode->number);
    inodes->count += slot->number == 0;
    *slot = *inode;
    return 0;
}
