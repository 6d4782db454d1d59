#include "wrapper/probe/perf_index.h"

#include <stdlib.h>

enum { FIRST_CAPACITY = 256, MIX_SHIFT = 15 };
static const uint32_t fnv_start = 2166136261U, fnv_prime = 16777619U;

uint32_t pw_perf_hash(uint32_t before, const void *bytes, size_t size)
{
    const unsigned char *byte = bytes;
    uint32_t hash = before ^ fnv_start;
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ byte[i]) * fnv_prime;
    }
    return hash ^ hash >> MIX_SHIFT;
}

uint32_t pw_perf_index_find(const struct pw_perf_index *index, uint32_t hash,
                            bool (*is_same)(const void *context, uint32_t number),
                            const void *context)
{
    if (index->capacity == 0) {
        return PW_PERF_INDEX_NONE;
    }
    for (size_t at = hash & (index->capacity - 1);; at = (at + 1) & (index->capacity - 1)) {
        const struct pw_perf_index_place *place = &index->places[at];
        if (place->number_plus_1 == 0) {
            return PW_PERF_INDEX_NONE;
        }
        if (place->hash == hash && is_same(context, place->number_plus_1 - 1)) {
            return place->number_plus_1 - 1;
        }
    }
}

static void put(struct pw_perf_index_place *places, size_t capacity,
                struct pw_perf_index_place place)
{
    size_t at = place.hash & (capacity - 1);
    while (places[at].number_plus_1 != 0) {
        at = (at + 1) & (capacity - 1);
    }
    places[at] = place;
}

bool pw_perf_index_add(struct pw_perf_index *index, uint32_t hash, uint32_t number)
{
    if (index->count * 2 >= index->capacity) {
        size_t capacity = index->capacity ? index->capacity * 2 : FIRST_CAPACITY;
        struct pw_perf_index_place *places = calloc(capacity, sizeof *places);
        if (!places) {
            return false;
        }
        for (size_t i = 0; i < index->capacity; i++) {
            if (index->places[i].number_plus_1 != 0) {
                put(places, capacity, index->places[i]);
            }
        }
        free(index->places);
        index->places = places;
        index->capacity = capacity;
    }
    put(index->places, index->capacity,
        (struct pw_perf_index_place){.hash = hash, .number_plus_1 = number + 1});
    index->count++;
    return true;
}

void pw_perf_index_done(struct pw_perf_index *index)
{
    free(index->places);
    *index = (struct pw_perf_index){.places = NULL};
}
