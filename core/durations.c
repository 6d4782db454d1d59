#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "core/file.h"
#include "core/limits.h"
#include "core/random.h"
#include "core/telemetry.h"

enum { FIRST_CAPACITY = 16 };

/* Output number `n` of splitmix64 with a fixed seed: no state to keep. */
static uint64_t random_at(uint64_t stream, uint64_t n)
{
    uint64_t state = (stream ^ UINT64_C(20260223)) + n * UINT64_C(0x9E3779B97F4A7C15);
    return pw_splitmix64(&state);
}

/* Uniform below `limit`. */
static uint64_t below(uint64_t random, uint64_t limit)
{
    return (uint64_t)(((unsigned __int128)random * limit) >> 64);
}

/* Room for `wanted`, which is at most the limit. */
static int reserve(struct pw_durations *durations, size_t wanted, struct pw_err *err)
{
    size_t capacity = durations->kept_capacity > 0 ? durations->kept_capacity : FIRST_CAPACITY;
    if (wanted <= durations->kept_capacity) {
        return 0;
    }
    while (capacity < wanted) {
        capacity *= 2;
    }
    capacity = capacity < PW_LIMIT_OTEL_DURATIONS ? capacity : PW_LIMIT_OTEL_DURATIONS;
    double *kept = reallocarray(durations->kept, capacity, sizeof(*kept));
    if (!kept) {
        pw_err_memory(err);
        return -1;
    }
    durations->kept = kept;
    durations->kept_capacity = capacity;
    return 0;
}

void pw_durations_done(struct pw_durations *durations)
{
    free(durations->kept);
    *durations = (struct pw_durations){0};
}

int pw_durations_add(struct pw_durations *durations, double ms, struct pw_err *err)
{
    if (durations->kept_count < PW_LIMIT_OTEL_DURATIONS) {
        if (reserve(durations, durations->kept_count + 1, err) != 0) {
            return -1;
        }
        durations->kept[durations->kept_count++] = ms;
    } else {
        uint64_t place = below(random_at(0, durations->count), durations->count + 1);
        if (place < durations->kept_count) {
            durations->kept[place] = ms;
        }
    }
    bool first = durations->count == 0;
    durations->count++;
    durations->sum_ms += ms;
    durations->min_ms = first ? ms : fmin(durations->min_ms, ms);
    durations->max_ms = first ? ms : fmax(durations->max_ms, ms);
    double distance = ms - durations->mean_ms;
    durations->mean_ms += distance / (double)durations->count;
    durations->m2 += distance * (ms - durations->mean_ms);
    return 0;
}

/* Moves a random one of the `count` values to the end, as one that is taken. */
static double take_any(double *values, size_t count, uint64_t random)
{
    size_t place = (size_t)below(random, count);
    double taken = values[place];
    values[place] = values[count - 1];
    values[count - 1] = taken;
    return taken;
}

/*
 * A uniform sample of the union of what both stand for: each place is drawn from one side with the
 * share that its values have of those left, then from the sample of that side. The number from each
 * side so is hypergeometric, and never above what its sample holds.
 */
static int merge_kept(struct pw_durations *into, const struct pw_durations *from,
                      struct pw_err *err)
{
    PW_FREE_AUTO double *other = calloc(from->kept_count + 1, sizeof(*other));
    double *drawn = calloc(PW_LIMIT_OTEL_DURATIONS, sizeof(*drawn));
    if (!other || !drawn) {
        free(drawn);
        pw_err_memory(err);
        return -1;
    }
    memcpy(other, from->kept, from->kept_count * sizeof(*from->kept));
    size_t other_count = from->kept_count;
    uint64_t left_into = into->count;
    uint64_t left_from = from->count;
    for (uint64_t i = 0; i < PW_LIMIT_OTEL_DURATIONS; i++) {
        uint64_t side = random_at(into->count, 2 * i);
        uint64_t which = random_at(into->count, 2 * i + 1);
        if (below(side, left_into + left_from) < left_into) {
            drawn[i] = take_any(into->kept, into->kept_count--, which);
            left_into--;
        } else {
            drawn[i] = take_any(other, other_count--, which);
            left_from--;
        }
    }
    free(into->kept);
    into->kept = drawn;
    into->kept_count = PW_LIMIT_OTEL_DURATIONS;
    into->kept_capacity = PW_LIMIT_OTEL_DURATIONS;
    return 0;
}

int pw_durations_merge(struct pw_durations *into, const struct pw_durations *from,
                       struct pw_err *err)
{
    if (from->count == from->kept_count) { /* all of them are there */
        for (size_t i = 0; i < from->kept_count; i++) {
            if (pw_durations_add(into, from->kept[i], err) != 0) {
                return -1;
            }
        }
        return 0;
    }
    if (merge_kept(into, from, err) != 0) {
        return -1;
    }
    double count = (double)into->count + (double)from->count;
    double distance = from->mean_ms - into->mean_ms;
    bool first = into->count == 0;
    into->m2 += from->m2 + distance * distance * (double)into->count * (double)from->count / count;
    into->mean_ms += distance * (double)from->count / count;
    into->sum_ms += from->sum_ms;
    into->min_ms = first ? from->min_ms : fmin(into->min_ms, from->min_ms);
    into->max_ms = first ? from->max_ms : fmax(into->max_ms, from->max_ms);
    into->count += from->count;
    return 0;
}
