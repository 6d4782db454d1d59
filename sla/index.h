/*
 * The baseline index (contract, section 8): many summaries, grouped, each metric's last value
 * judged against those before it.
 *
 * The contract's keys are exactly the contract's. Beside them each metric has: `robust_z_fallback`
 * and `status_strict` (a spread of zero is no blindness); `baseline` {n, median, mad, robust_z,
 * robust_z_fallback, delta_pct, noise_floor, status}: the current run against the runs before it
 * only, differences below the metric table's noise floor never warn; `change_points`
 * [{index, path, generated_at, before, after, change_pct, p, worse}]; `trend` {slope_per_run,
 * slope_low, slope_high, p}. A profile has `environment` (fingerprint of the latest run: CPU model,
 * core count, kernel release, architecture, accelerator; null where unknown) and
 * `excluded_other_environment`: runs of other machines are left out of its metrics unless mixed.
 * The file has `skipped` [{path, reason}].
 *
 * Threads: reads with as many threads as CPUs are allowed, none outlives the call.
 */
#ifndef PW_SLA_INDEX_H
#define PW_SLA_INDEX_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include "core/err.h"
#include "core/metric.h"
#include "sla/inputs.h"

/* The metrics of an index, in the contract's order. */
struct pw_index_metric {
    const char *key; /* "latency_p95_ms" */
    enum pw_metric_id metric;
    enum pw_stat stat;
    bool higher_is_better;
};
enum { PW_INDEX_METRIC_COUNT = 13 };
extern const struct pw_index_metric pw_index_metrics[PW_INDEX_METRIC_COUNT];

struct pw_index_options {
    unsigned window, min_samples;
    bool exact;               /* group mode */
    bool mix;                 /* runs of different machines together */
    const char *cache_path;   /* NULL: none */
    const char *generated_at; /* NULL: the time of the call */
};

struct pw_index_counts {
    size_t files, read, from_cache, skipped;
};

/* *ret_index is the document (new reference). A file that is broken or no summary is named in
 * `skipped`; none that is usable: PW_ERR_INPUT. A cache that cannot be read is made anew, one that
 * cannot be written is an error after the index was made. */
int pw_index_build(const struct pw_inputs *inputs, struct pw_index_options options,
                   json_t **ret_index, struct pw_index_counts *ret_counts, struct pw_err *err);

/* Reads a file that pw_index_build() (or the older harness) made. PW_ERR_INPUT, with what is wrong,
 * if it is anything else. New reference. */
json_t *pw_index_load(const char *path, struct pw_err *err);

#endif
