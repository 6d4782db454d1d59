/*
 * Two sets of runs, metric by metric: what changed, by how much, and how sure that is.
 *
 * Samples: all iterations' values of the summaries of each side, one an iteration; of workers that
 * ran at once (PW_FOLD_POOL) the median of each iteration, for they share a machine and a moment,
 * and are not independent of each other; of marks and phases the mean of each iteration's
 * successful workers, as runs[] has it. Iterations of one run count as independent: what differs
 * from run to run (page cache, CPU clock, address layout) is in no interval. `perfwrap ab`
 * interleaves the sides for that reason.
 *
 * Verdicts follow the metric's `better`: faster and slower stand for better and worse, whatever the
 * metric. "same": the whole interval of the shift lies within the floor. "slower"/"faster": p <=
 * alpha after Holm's correction, the interval excludes zero, and the shift is at least the floor.
 * Else "unsure". Floor: the larger of `floor_pct` of A's median and the metric table's noise floor.
 * Too few values: "unsure", with the number needed.
 *
 * Holm's correction is over the metrics that count for a gate (latency_ms, worker_latency_ms,
 * throughput, max_rss_mb, CPU seconds), and over the others by themselves: with no real change at
 * all, the chance that any metric of the gate is called slower or faster is at most alpha, and the
 * many others do not make it blind. Metrics that say again what another says (KiB beside MiB;
 * throughput and worker latency where one worker runs at a time; a phase that begins at the spawn
 * beside its mark) count in neither. Marks and phases are among the others.
 *
 * Threads: no state.
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
    PW_COMPARISON_VERDICT_COUNT
};
const char *pw_comparison_verdict_name(enum pw_comparison_verdict verdict);

/* How interesting a metric is in this comparison. */
enum pw_comparison_rank {
    PW_COMPARISON_GATE,   /* counts for a gate */
    PW_COMPARISON_DETAIL, /* has a better direction, and tells something of its own */
    PW_COMPARISON_REST, /* no direction, a repetition, perfwrap's own cost, or nowhere but 0: listed
                           with `all` only */
};

/* A mark or a phase as a metric: marks.ready_ms. Its `id` is PW_METRIC_COUNT. */
struct pw_comparison_moment {
    struct pw_metric metric;
    char *path; /* metric.path */
};

struct pw_comparison_row {
    const struct pw_metric *metric; /* of the table, or one of the comparison's `moments` */
    enum pw_comparison_rank rank;
    struct pw_two_samples result; /* shift in the metric's unit */
    double shift_pct;             /* of A's median; NAN for median 0 */
    double p_adjusted, floor;     /* floor in the metric's unit */
    enum pw_comparison_verdict verdict;
    char *note; /* bimodality, too few values; NULL: none */
};
struct pw_comparison_side {
    char *name;
    char *command; /* NULL: not known, or not the same in all its summaries */
    size_t summaries, iterations;
    double workers, failed; /* measured; those that returned something else than 0 */
};
struct pw_compare_options {
    double floor_pct;  /* default 3 */
    double confidence; /* 0.95 */
    bool all;          /* also rows of rank REST */
    bool across;       /* boots of machines that differ (sla/guest.h) too, with a warning */
};
enum { PW_COMPARISON_WARNINGS_MAX = 32 };
struct pw_comparison {
    struct pw_compare_options options;
    struct pw_comparison_side a, b;
    struct pw_comparison_row *rows; /* metrics that both sides have values of, in table order,
                                       then marks and phases */
    size_t count;
    struct pw_comparison_moment *moments;
    size_t moment_count;
    char *warnings[PW_COMPARISON_WARNINGS_MAX]; /* other machine, failures of one side, … */
    size_t warning_count;
};

/* Errors: PW_ERR_INPUT if the sides, or the summaries of one, are boots on machines that differ
 * (sla/guest.h) and `across` is not set, if a side has no measured iteration, or no metric of the
 * gate is known of both; PW_ERR_MEMORY. */
int pw_compare_run(const char *name_a, const struct pw_summary *const *a, size_t count_a,
                   const char *name_b, const struct pw_summary *const *b, size_t count_b,
                   struct pw_compare_options options, struct pw_comparison *ret_comparison,
                   struct pw_err *err);
void pw_comparison_done(struct pw_comparison *comparison);
json_t *pw_comparison_to_json(const struct pw_comparison *comparison, struct pw_err *err);
void pw_comparison_report(const struct pw_comparison *comparison, struct pw_document *report);
/* Whether any row that counts for a gate (`all`: any row) has this verdict. */
bool pw_comparison_has(const struct pw_comparison *comparison, enum pw_comparison_verdict verdict,
                       bool all);
/* Whether a larger share of B's workers failed than of A's. Then B's times mean little: what fails
 * early is fast. */
bool pw_comparison_fails_more(const struct pw_comparison *comparison);

/* The verdict on one metric, by the rules above. A result whose interval is infinite is unsure. */
enum pw_comparison_verdict pw_comparison_decide(const struct pw_two_samples *result,
                                                double p_adjusted, double floor,
                                                enum pw_better better, double alpha);

#endif
