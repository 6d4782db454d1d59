/*
 * A hash table from the hash of a thing to its number: the things are in an array of the owner, who
 * compares them. Nothing is taken out of it. Threads: one at a time.
 */
#ifndef PW_PROBE_PERF_INDEX_H
#define PW_PROBE_PERF_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pw_perf_index {
    struct pw_perf_index_place {
        uint32_t hash, number_plus_1; /* 0: free */
    } * places;
    size_t capacity, count; /* a power of two */
};

enum { PW_PERF_INDEX_NONE = UINT32_MAX };

uint32_t pw_perf_hash(uint32_t before, const void *bytes, size_t size); /* FNV-1a, mixed */
/* The number of what has this hash and `is_same` says yes to; PW_PERF_INDEX_NONE. */
uint32_t pw_perf_index_find(const struct pw_perf_index *index, uint32_t hash,
                            bool (*is_same)(const void *context, uint32_t number),
                            const void *context);
bool pw_perf_index_add(struct pw_perf_index *index, uint32_t hash, uint32_t number); /* memory */
void pw_perf_index_done(struct pw_perf_index *index); /* empty and usable after it */

#endif
