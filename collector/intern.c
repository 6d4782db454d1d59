#include "collector/intern.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <xxhash.h>
#include "core/limits.h"

enum { FIRST_SLOTS = 64, CHUNK_BYTES = 1 << 16 };

struct pw_intern_slot {
    uint64_t hash;
    uint32_t taken; /* number + 1; 0: free */
};

struct pw_intern_key {
    const uint8_t *bytes;
    size_t size;
};

struct pw_intern_chunk {
    struct pw_intern_chunk *next;
    size_t size, used;
    uint8_t bytes[];
};

void pw_intern_done(struct pw_intern *table)
{
    while (table->chunks) {
        struct pw_intern_chunk *next = table->chunks->next;
        free(table->chunks);
        table->chunks = next;
    }
    free(table->slots);
    free(table->keys);
    *table = (struct pw_intern){0};
}

/* Where the key is, or the free slot where it would be. */
static struct pw_intern_slot *find(const struct pw_intern *table, uint64_t hash, const void *key,
                                   size_t size)
{
    size_t mask = table->slot_count - 1;
    for (size_t at = hash & mask;; at = (at + 1) & mask) {
        struct pw_intern_slot *slot = &table->slots[at];
        if (slot->taken == 0)
            return slot;
        const struct pw_intern_key *known = &table->keys[slot->taken - 1];
        if (slot->hash == hash && known->size == size && memcmp(known->bytes, key, size) == 0)
            return slot;
    }
}

/* Room for one more in slots and keys; slots are never more than three quarters full. */
static bool grow(struct pw_intern *table)
{
    size_t capacity = table->slot_count > 0 ? table->slot_count * 2 : FIRST_SLOTS;
    if (table->count + 1 <= table->slot_count / 4 * 3)
        return true;
    struct pw_intern_key *keys = reallocarray(table->keys, capacity / 4 * 3, sizeof *table->keys);
    if (!keys)
        return false;
    table->keys = keys;
    struct pw_intern_slot *slots = calloc(capacity, sizeof *slots);
    if (!slots)
        return false;
    for (size_t i = 0; i < table->slot_count; i++) {
        size_t at = table->slots[i].hash & (capacity - 1);
        if (table->slots[i].taken == 0)
            continue;
        while (slots[at].taken != 0)
            at = (at + 1) & (capacity - 1);
        slots[at] = table->slots[i];
    }
    free(table->slots);
    table->slots = slots;
    table->slot_count = capacity;
    return true;
}

/* A copy of the key that lives as long as the table; NULL without memory. */
static const uint8_t *keep(struct pw_intern *table, const void *key, size_t size)
{
    struct pw_intern_chunk *chunk = table->chunks;
    if (!chunk || chunk->size - chunk->used < size) {
        size_t room = size > CHUNK_BYTES ? size : CHUNK_BYTES;
        chunk = malloc(sizeof *chunk + room);
        if (!chunk)
            return NULL;
        *chunk = (struct pw_intern_chunk){.next = table->chunks, .size = room};
        table->chunks = chunk;
    }
    uint8_t *copy = chunk->bytes + chunk->used;
    if (size > 0)
        memcpy(copy, key, size);
    chunk->used += size;
    return copy;
}

/* Where the kernel has no random numbers yet, the time has to do. */
static uint64_t random_seed(void)
{
    uint64_t seed;
    struct timespec now = {0};
    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) == (ssize_t)sizeof seed)
        return seed;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000007U ^ (uint64_t)now.tv_nsec;
}

uint32_t pw_intern_put(struct pw_intern *table, const void *key, size_t size, size_t limit,
                       bool *ret_new)
{
    if (table->slot_count == 0) {
        table->seed = random_seed();
        if (!grow(table))
            return PW_INTERN_NONE;
    }
    uint64_t hash = XXH3_64bits_withSeed(key, size, table->seed);
    struct pw_intern_slot *slot = find(table, hash, key, size);
    if (slot->taken != 0) {
        *ret_new = false;
        return slot->taken - 1;
    }
    if (table->count >= limit || table->count >= PW_INTERN_NONE - 1 || !grow(table))
        return PW_INTERN_NONE;
    const uint8_t *copy = keep(table, key, size);
    if (!copy)
        return PW_INTERN_NONE;
    uint32_t number = (uint32_t)table->count++;
    table->keys[number] = (struct pw_intern_key){.bytes = copy, .size = size};
    slot = find(table, hash, key, size); /* growing may have moved it */
    *slot = (struct pw_intern_slot){.hash = hash, .taken = number + 1};
    table->key_bytes += size + sizeof *table->keys + 2 * sizeof *slot;
    *ret_new = true;
    return number;
}

const void *pw_intern_key(const struct pw_intern *table, uint32_t number, size_t *ret_size)
{
    *ret_size = table->keys[number].size;
    return table->keys[number].bytes;
}

size_t pw_name_length(const char *name)
{
    size_t length = strnlen(name, PW_LIMIT_OTEL_NAME_BYTES + 1);
    if (length <= PW_LIMIT_OTEL_NAME_BYTES)
        return length;
    length = PW_LIMIT_OTEL_NAME_BYTES;
    /* Bytes 10xxxxxx continue a character (RFC 3629, section 3). */
    while (length > 0 && ((unsigned char)name[length] & 0xC0) == 0x80)
        length--;
    return length;
}

uint32_t pw_intern_put_name(struct pw_intern *table, const char *name, size_t limit, bool *ret_new)
{
    char kept[PW_LIMIT_OTEL_NAME_BYTES + 1];
    size_t length = pw_name_length(name);
    memcpy(kept, name, length);
    kept[length] = '\0';
    return pw_intern_put(table, kept, length + 1, limit, ret_new);
}

const char *pw_intern_name(const struct pw_intern *table, uint32_t number)
{
    return (const char *)table->keys[number].bytes;
}
