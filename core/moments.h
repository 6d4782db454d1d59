/*
 * Moments of a worker: named points in time after its spawn (--mark), and the phases between them.
 *
 * A phase is named after the moment at its end: phase NAME lasts from the moment that came just
 * before NAME, or from the spawn, to NAME; phase "end" from the last moment to the worker's end. So
 * a worker's phases add up to its duration. Moments that did not come are absent, and no phase ends
 * in them.
 *
 * Plain data in the run record. Names are those of the session, in the order of the command line.
 * Threads: one at a time.
 */
#ifndef PW_CORE_MOMENTS_H
#define PW_CORE_MOMENTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/err.h"
#include "core/limits.h"
#include "core/value.h"

/* PW_LIMIT_MOMENTS = 32 names, each at most PW_LIMIT_MOMENT_NAME = 64 bytes of [A-Za-z0-9_-]. */
struct pw_moment_names {
    size_t count;
    char names[PW_LIMIT_MOMENTS][PW_LIMIT_MOMENT_NAME + 1];
};

/* One worker's. In nanoseconds from its spawn; < 0: it did not come. */
struct pw_moments {
    int64_t at_ns[PW_LIMIT_MOMENTS];
};
void pw_moments_init(struct pw_moments *moments); /* none came */

/* The phase after the last moment; no mark may have that name. */
#define PW_PHASE_END "end"

/* The key of a moment or a phase in JSON: "ready_ms". */
enum { PW_MOMENT_KEY_MAX = PW_LIMIT_MOMENT_NAME + sizeof("_ms") };
void pw_moment_key(const char *name, char ret_key[PW_MOMENT_KEY_MAX]);

/* Phases of a worker that lasted `duration_ns`: *ret_phase_ns[i] of moment i, [count] of "end"; < 0
 * where there is none, and of all if `duration_ns` < 0 (it never ran). What came at one time keeps
 * the order of the names, and a moment after the worker's end counts as its end: phases are never
 * negative and add up to `duration_ns`. */
void pw_moments_phases(const struct pw_moment_names *names, const struct pw_moments *moments,
                       int64_t duration_ns, int64_t ret_phase_ns[PW_LIMIT_MOMENTS + 1]);

/* {"ready_ms": 12.5, …} and {"ready_ms": 12.5, "end_ms": 3.1}: for worker_results[]. null where
 * absent. A moment is as it came, also after the end. New references. */
json_t *pw_moments_to_json(const struct pw_moment_names *names, const struct pw_moments *moments,
                           bool *failed);
json_t *pw_phases_to_json(const struct pw_moment_names *names, const struct pw_moments *moments,
                          int64_t duration_ns, bool *failed);

#endif
