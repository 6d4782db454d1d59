#include "collector/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>

enum {
    ARENA_FIRST_BLOCK = 64 << 10,
    ARENA_LARGEST_BLOCK = 1 << 20, /* of those for many objects */
    ARENA_OWN_BLOCK = 64 << 10,    /* an object from this size on gets a block of its own */
    ARENA_KEEP = 8 << 20,
};

struct pw_arena_block {
    struct pw_arena_block *next;
    size_t capacity;
    alignas(PW_ARENA_ALIGN) unsigned char bytes[];
};

static struct pw_arena_block *new_block(size_t capacity)
{
    struct pw_arena_block *block = malloc(sizeof(*block) + capacity);
    if (block)
        *block = (struct pw_arena_block){.capacity = capacity};
    return block;
}

static size_t clamp(size_t value, size_t least, size_t most)
{
    return value < least ? least : value > most ? most : value;
}

/* Behind the newest block, whose rest stays in use. */
static void *alloc_own(struct pw_arena *arena, size_t taken)
{
    struct pw_arena_block *block = new_block(taken);
    if (!block)
        return NULL;
    if (arena->blocks) {
        block->next = arena->blocks->next;
        arena->blocks->next = block;
    } else {
        arena->blocks = block;
        arena->used = taken;
    }
    arena->total += taken;
    return block->bytes;
}

void *pw_arena_alloc(struct pw_arena *arena, size_t size)
{
    if (size > SIZE_MAX - PW_ARENA_ALIGN || pw_arena_taken(size) > arena->limit - arena->total)
        return NULL;
    size_t taken = pw_arena_taken(size);
    if (!arena->blocks || taken > arena->blocks->capacity - arena->used) {
        if (taken >= ARENA_OWN_BLOCK)
            return alloc_own(arena, taken);
        struct pw_arena_block *block =
            new_block(clamp(arena->total, ARENA_FIRST_BLOCK, ARENA_LARGEST_BLOCK));
        if (!block)
            return NULL;
        block->next = arena->blocks;
        arena->blocks = block;
        arena->used = 0;
    }
    void *object = arena->blocks->bytes + arena->used;
    arena->used += taken;
    arena->total += taken;
    return object;
}

static void free_blocks(struct pw_arena *arena)
{
    while (arena->blocks) {
        struct pw_arena_block *next = arena->blocks->next;
        free(arena->blocks);
        arena->blocks = next;
    }
}

void pw_arena_reset(struct pw_arena *arena)
{
    struct pw_arena_block *newest = arena->blocks;
    /* One block for all of the last request, so that the next one of its size needs no other. */
    if (newest && (newest->next || newest->capacity > ARENA_KEEP)) {
        free_blocks(arena);
        arena->blocks = new_block(clamp(arena->total, ARENA_FIRST_BLOCK, ARENA_KEEP));
    }
    arena->used = 0;
    arena->total = 0;
}

void pw_arena_done(struct pw_arena *arena)
{
    free_blocks(arena);
    arena->used = 0;
    arena->total = 0;
}

static void *allocator_alloc(void *arena, size_t size)
{
    return pw_arena_alloc(arena, size);
}

static void allocator_free(void *arena, void *object)
{
    (void)arena;
    (void)object;
}

ProtobufCAllocator pw_arena_allocator(struct pw_arena *arena)
{
    return (ProtobufCAllocator){
        .alloc = allocator_alloc, .free = allocator_free, .allocator_data = arena};
}
