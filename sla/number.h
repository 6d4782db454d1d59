/*
 * From a bound's name and aggregate to the number in a summary, and to the sample behind it.
 *
 * A number is what the summary states under that name where it states it. An aggregate that it does
 * not state (latency_ms p(90), stddev) is computed from the sample: the values of runs[], or of the
 * successful workers for metrics that pool them. Percentiles as core/stats.h has them. What schema
 * v4 demands of a summary (latency_ms.p95) is never computed: missing there is missing. The sample
 * of a mark or a phase is that of the successful workers, as the statistics in the summary are.
 */
#ifndef PW_SLA_NUMBER_H
#define PW_SLA_NUMBER_H

#include <stddef.h>
#include "core/err.h"
#include "core/summary.h"
#include "core/value.h"
#include "sla/bound.h"
#include "sla/unit.h"

struct pw_number {
    struct pw_value value;
    const struct pw_unit *unit; /* NULL: the summary does not say, or a unit that is not known */
    const char *unit_text;      /* as the summary or the table writes it; NULL: unknown. Borrowed */
    bool integer;               /* a count: written without a fraction */
    double *sample;             /* values behind it, ascending; NULL: there is no sample. free() */
    size_t sample_count;        /* of a stated OTLP statistic: its count, without a sample */
    char *reason;               /* why it is absent; NULL if present. free() */
};

/* Finds the number of `bound` in `summary`. A missing number is no error: *ret_number says why.
 * Errors: PW_ERR_MEMORY. */
int pw_number_find(const struct pw_summary *summary, const struct pw_bound *bound,
                   struct pw_number *ret_number, struct pw_err *err);
void pw_number_done(struct pw_number *number);

/* The sample of a metric in a summary, in order of runs[]: its value of each iteration, folded from
 * worker_results[] if it stands there only; of PW_FOLD_POOL that of each successful worker. Numbers
 * only, nulls left out. free(*ret_values); NULL and 0 if it has none. */
int pw_sample_of_metric(const struct pw_summary *summary, const struct pw_metric *metric,
                        double **ret_values, size_t *ret_count, struct pw_err *err);
/* As pw_sample_of_metric(), but of every successful worker, for metrics with a key in
 * worker_results[] (in runs[] where an iteration of one worker has no workers there). */
int pw_worker_sample_of_metric(const struct pw_summary *summary, const struct pw_metric *metric,
                               double **ret_values, size_t *ret_count, struct pw_err *err);
/* As pw_worker_sample_of_metric(), of the mark or phase at `path`: "marks.ready_ms". */
int pw_worker_sample_of_moment(const struct pw_summary *summary, const char *path,
                               double **ret_values, size_t *ret_count, struct pw_err *err);
/* The same as runs[] has it, one value an iteration: the mean of its successful workers. */
int pw_sample_of_moment(const struct pw_summary *summary, const char *path, double **ret_values,
                        size_t *ret_count, struct pw_err *err);

#endif
