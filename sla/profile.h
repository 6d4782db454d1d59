/*
 * SLA profiles: named lists of bounds, from a JSON file or from those that perfwrap carries.
 *
 *   {"name": "cold", "extends": "base.json", "min_samples": 5,
 *    "thresholds": ["failed_runs_total <= 0",
 *                   {"bound": "latency_ms p(95) <= 1000", "label": "latency_p95_ms",
 *                    "when": ["worker_step_timings_ms"], "missing": "fail",
 *                    "on_noise": "inconclusive", "severity": "error", "min_samples": 20}]}
 *
 * `extends`: a profile that perfwrap carries, or a file, its path from this one's folder (at most
 * PW_LIMIT_PROFILE_EXTENDS deep, no circle); this one's thresholds take the place of all of its
 * that are on the same number in the same direction. `when`: the bound applies only if all hold;
 * each is a dotted name of a block of `summary` (holds: it is there and, in a file of perfwrap's
 * own, some number is in it) or a bound without a baseline (holds: its number is there and keeps
 * it). `min_samples` beside `thresholds` is for all bounds over a sample that say none themselves,
 * also those of the profile that this one extends. `description`, and `$schema` at the top, are for
 * people and editors. schemas/sla-profile.schema.json.
 *
 * Strict: unknown or duplicate keys, wrong types, bad expressions, unknown blocks, two thresholds
 * of one file on the same number in the same direction under the same conditions, two bounds that
 * cannot both hold: PW_ERR_INPUT, "`FILE`: line L, column C: …" (columns are characters, from 1).
 * Threads: no state.
 */
#ifndef PW_SLA_PROFILE_H
#define PW_SLA_PROFILE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include "core/err.h"
#include "sla/bound.h"

struct pw_profile {
    char *name;
    struct pw_bounds bounds; /* with those that it extends, in the order of reports */
};

/* `name_or_path`: a name without a slash that perfwrap carries, else a file. */
int pw_profile_load(const char *name_or_path, struct pw_profile *ret_profile, struct pw_err *err);
/* From text, as if it were the file `path` (for messages, and for `extends`). */
int pw_profile_parse(const char *text, size_t size, const char *path,
                     struct pw_profile *ret_profile, struct pw_err *err);
void pw_profile_done(struct pw_profile *profile);

/* The profiles that perfwrap carries: cold, throughput, exec, streaming, which `check --profile
 * all` is about, then boot, boot-tcg. */
struct pw_named_profile {
    const char *name;
    const char *text; /* JSON, NUL-terminated */
    size_t size;      /* without the NUL */
};
enum { PW_NAMED_PROFILE_COUNT = 6, PW_MATRIX_PROFILE_COUNT = 4 };
extern const struct pw_named_profile pw_named_profiles[PW_NAMED_PROFILE_COUNT];
const struct pw_named_profile *pw_named_profile_find(const char *name);

/* Whether a condition of a bound is the name of a block; else it is an expression. */
bool pw_condition_is_block(const char *condition);

/* Refuses bounds that no summary can keep: on one number ("latency_ms mean<=5" and "latency_ms
 * mean>=6"), or on two of one metric whose order is known (min <= percentiles, in their order <=
 * max; min <= mean <= max). Limits in terms of a baseline, of units of different kinds, and bounds
 * whose conditions may exclude each other are left aside. PW_ERR_USAGE, naming both. */
int pw_bounds_check_possible(const struct pw_bounds *bounds, struct pw_err *err);

/* The JSON Schema (draft 2020-12) of profile files. New reference; NULL and err. */
json_t *pw_profile_schema(struct pw_err *err);

#endif
