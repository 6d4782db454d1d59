/*
 * A table from byte strings to small numbers: each different key gets the next free one, from 0.
 * For the identities of metric series.
 *
 * The hash is XXH3 with a random seed, so that a sender cannot make keys that collide. Keys are
 * copied. Threads: one at a time. Zeroed memory is an empty table; end with pw_intern_done().
 */
#ifndef PW_COLLECTOR_INTERN_H
#define PW_COLLECTOR_INTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pw_intern_slot;
struct pw_intern_key;
struct pw_intern_chunk;
struct pw_intern {
    struct pw_intern_slot *slots; /* open addressing; a power of two */
    size_t slot_count, count;
    struct pw_intern_key *keys; /* by number */
    size_t key_capacity;
    struct pw_intern_chunk *chunks; /* where keys are kept */
    size_t key_bytes;               /* of all keys, with what a slot takes */
    uint64_t seed;
};
#define PW_INTERN_NONE UINT32_MAX

void pw_intern_done(struct pw_intern *table);
/* The number of `key`; *ret_new tells whether it was not there before. PW_INTERN_NONE if it was
 * not there and the table holds `limit` keys, or memory ran out. */
uint32_t pw_intern_put(struct pw_intern *table, const void *key, size_t size, size_t limit,
                       bool *ret_new);
/* The key of a number that pw_intern_put() gave; valid as long as the table. */
const void *pw_intern_key(const struct pw_intern *table, uint32_t number, size_t *ret_size);

/*
 * The same for names: C strings, of which at most PW_LIMIT_OTEL_NAME_BYTES are kept, without
 * cutting a character of UTF-8 apart.
 */
size_t pw_name_length(const char *name); /* of what is kept */
uint32_t pw_intern_put_name(struct pw_intern *table, const char *name, size_t limit, bool *ret_new);
const char *pw_intern_name(const struct pw_intern *table, uint32_t number);

#endif
