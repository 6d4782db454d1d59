/*
 * Memory for one decoded request: taken in order, given back all at once. It feeds protobuf-c's
 * decoder, whose many small objects all die together.
 *
 * Memory is kept from one request to the next, up to ARENA_KEEP bytes (arena.c), so that it stays
 * flat and warm. Threads: one at a time. Start with PW_ARENA_INIT.
 */
#ifndef PW_COLLECTOR_ARENA_H
#define PW_COLLECTOR_ARENA_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include "core/limits.h"

struct pw_arena_block;
struct pw_arena {
    struct pw_arena_block *blocks; /* newest first */
    size_t used;                   /* in the newest */
    size_t total;                  /* bytes taken since the last reset, over all blocks */
    size_t limit;                  /* most of them */
};
#define PW_ARENA_INIT ((struct pw_arena){.limit = PW_LIMIT_OTLP_DECODED_BYTES})

enum { PW_ARENA_ALIGN = 16 };

/* What an object of `size` adds to `total`. */
static inline size_t pw_arena_taken(size_t size)
{
    return size == 0 ? PW_ARENA_ALIGN : (size + PW_ARENA_ALIGN - 1) & ~(size_t)(PW_ARENA_ALIGN - 1);
}

/* Aligned for any type; NULL when memory or the limit is reached. `size` 0 gives a valid pointer.
 */
void *pw_arena_alloc(struct pw_arena *arena, size_t size);
/* Everything taken becomes invalid. */
void pw_arena_reset(struct pw_arena *arena);
void pw_arena_done(struct pw_arena *arena);
/* For protobuf_c_message_unpack(): allocates here, frees nothing. Borrows the arena. */
ProtobufCAllocator pw_arena_allocator(struct pw_arena *arena);

#endif
