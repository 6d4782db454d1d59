/*
 * Two sets of runs, metric by metric: what changed, by how much, and how sure that is.
 *
 * Samples: all iterations' values of the summaries of each side (PW_FOLD_POOL: of workers).
 * Verdicts follow the metric's `better`: faster and slower stand for better and worse, whatever the
 * metric. "same": the whole interval of the shift lies within the floor. "slower"/"faster": p <=
 * alpha after Holm's correction over the metrics with a direction, the interval excludes zero, and
 * the shift is at least the floor. Else "unsure". Floor: the larger of `floor_pct` of A's median
 * and the metric table's noise floor. Too few values: "unsure", with the number needed.
 */
#ifndef PW_SLA_COMPARE_H
#define PW_SLA_COMPARE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include "core/document.h"
#include "core/err.h"
#include "core/metric.h"
#include "core/summary.h"
#include "core/two_samples.h"

enum pw_comparison_verdict {
    PW_COMPARISON_FASTER,
    PW_COMPARISON_SLOWER,
    PW_COMPARISON_SAME,
    PW_COMPARISON_UNSURE,
    PW_COMPARISON_CHANGED, /* significant, of a metric without a better direction */
};
const char *pw_comparison_verdict_name(enum pw_comparison_verdict verdict);

struct pw_comparison_row {
    const struct pw_metric *metric;
    struct pw_two_samples result; /* shift in the metric's unit */
    double shift_pct;             /* of A's median; NAN for median 0 */
    double p_adjusted, floor;     /* floor in the metric's unit */
    enum pw_comparison_verdict verdict;
    char *note; /* bimodality, too few values; NULL: none */
};
struct pw_comparison {
    char *name_a, *name_b;
    struct pw_comparison_row *rows; /* metrics that both sides have values of, in table order */
    size_t count;
    char **warnings; /* other machine, failures of one side, … */
    size_t warning_count;
};
struct pw_compare_options {
    double floor_pct;  /* default 3 */
    double confidence; /* 0.95 */
    bool all;          /* also rows of metrics without a direction, or of less interest */
};

int pw_compare_run(const char *name_a, const struct pw_summary *const *a, size_t count_a,
                   const char *name_b, const struct pw_summary *const *b, size_t count_b,
                   struct pw_compare_options options, struct pw_comparison *ret_comparison,
                   struct pw_err *err);
void pw_comparison_done(struct pw_comparison *comparison);
json_t *pw_comparison_to_json(const struct pw_comparison *comparison, struct pw_err *err);
void pw_comparison_report(const struct pw_comparison *comparison, struct pw_document *report);
/* Whether any row that counts for a gate (latency_ms, worker_latency_ms, throughput, max_rss_mb,
 * CPU seconds; `all`: every row) has this verdict. */
bool pw_comparison_has(const struct pw_comparison *comparison, enum pw_comparison_verdict verdict,
                       bool all);

#endif
