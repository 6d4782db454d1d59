/*
 * What the files behind core/summary.h share. Not for others.
 */
#ifndef PW_CORE_SUMMARY_IMPL_H
#define PW_CORE_SUMMARY_IMPL_H

#include <jansson.h>
#include "core/err.h"
#include "core/record.h"
#include "core/stats.h"
#include "core/value.h"

struct pw_summary {
    json_t *root;
};

/* Takes the reference to `root`, also on failure. */
struct pw_summary *pw_summary_new(json_t *root, struct pw_err *err);

/* A worker's value of a metric. Durations come from the worker's own field; 0 there: it never ran.
 */
struct pw_value pw_worker_value(const struct pw_worker_record *worker, enum pw_metric_id id);

/* From start to end; < 0: it never ran. */
int64_t pw_worker_duration_ns(const struct pw_worker_record *worker);

/* `marks` and `phases`, in core/summary_moments.c; without marks nothing. Of an iteration: the mean
 * over its successful workers that have it. */
void pw_summary_put_iteration_moments(json_t *object, const struct pw_iteration_record *iteration,
                                      bool *failed);
/* Of a run: the statistics over its successful workers, and where there are none the reason, into
 * `unavailable` of `summary`. */
void pw_summary_put_moments(json_t *summary, const struct pw_run_record *run, bool *failed);

/* How many workers of all measured iterations ended in which way. */
struct pw_run_counts {
    size_t successful, failed, timeouts; /* `failed` includes `timeouts` */
};

/* The `resource_budget` block (contract, section 5) from the statistics of each metric. New
 * reference. */
json_t *pw_summary_budget(const struct pw_stats stats[PW_METRIC_COUNT],
                          const struct pw_run_counts *counts, bool *failed);

#endif
