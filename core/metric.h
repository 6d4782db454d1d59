/*
 * THE metric table: every number that perfwrap can report is one row of core/metrics.def, and
 * whatever speaks of metrics is a loop over it: record, summary writer and reader, Markdown, JSON
 * Schema, the docs page. To add a metric is to add a row there and to set the value where it is
 * measured.
 *
 * The table is constant data; any thread may read it.
 */
#ifndef PW_CORE_METRIC_H
#define PW_CORE_METRIC_H

#include <stdbool.h>
#include <stddef.h>

enum pw_metric_id {
#define PW_METRIC(id, ...) PW_METRIC_##id,
#include "core/metrics.def"
#undef PW_METRIC
    PW_METRIC_COUNT
};

/* How an iteration's value comes from its workers' (contract, section 4). */
enum pw_fold {
    PW_FOLD_WINDOW, /* known of the iteration itself: set by whoever ran it, not folded */
    PW_FOLD_MAX,    /* largest of the workers that have it */
    PW_FOLD_MEAN,   /* mean over the workers that have it */
    PW_FOLD_SUM,    /* sum over the workers that have it */
    PW_FOLD_POOL,   /* no iteration value: statistics go over all successful workers of the run */
};

/* Statistics of a metric in the summary, over measured iterations (PW_FOLD_POOL: over workers). */
enum pw_stat {
    PW_STAT_MEAN,
    PW_STAT_P50,
    PW_STAT_P90,
    PW_STAT_P95,
    PW_STAT_P99,
    PW_STAT_MIN,
    PW_STAT_MAX,
    PW_STAT_STDDEV,
    PW_STAT_MAD,
    PW_STAT_TOTAL,
    PW_STAT_P50_CI95_LOW,
    PW_STAT_P50_CI95_HIGH,
    PW_STAT_SCALAR, /* the metric's path is itself the number: the sum over iterations */
    PW_STAT_COUNT
};
#define PW_STAT_BIT(stat) (1u << (stat))
/* The sets that rows use. */
#define PW_STATS_BASIC \
    (PW_STAT_BIT(PW_STAT_MEAN) | PW_STAT_BIT(PW_STAT_P50) | PW_STAT_BIT(PW_STAT_P95))
#define PW_STATS_PEAK (PW_STATS_BASIC | PW_STAT_BIT(PW_STAT_MAX))
#define PW_STATS_RANGE (PW_STATS_PEAK | PW_STAT_BIT(PW_STAT_MIN))
#define PW_STATS_FULL                                                                             \
    (PW_STATS_RANGE | PW_STAT_BIT(PW_STAT_P90) | PW_STAT_BIT(PW_STAT_P99) |                       \
     PW_STAT_BIT(PW_STAT_STDDEV) | PW_STAT_BIT(PW_STAT_MAD) | PW_STAT_BIT(PW_STAT_P50_CI95_LOW) | \
     PW_STAT_BIT(PW_STAT_P50_CI95_HIGH))
#define PW_STATS_SCALAR PW_STAT_BIT(PW_STAT_SCALAR)

enum pw_better { PW_BETTER_LOWER, PW_BETTER_HIGHER, PW_BETTER_NEITHER };

struct pw_metric {
    enum pw_metric_id id;
    const char *path;    /* dotted place under `summary`; unique */
    const char *key;     /* key in runs[] and worker_results[]; NULL: not there */
    const char *unit;    /* "ms", "MiB", "count", …: as the contract writes it */
    bool worker_only;    /* `key` stands in worker_results[] only */
    bool iteration_only; /* `key` stands in runs[] only */
    bool frozen;         /* schema v4: may never be renamed or dropped, nor change its unit */
    bool optional;       /* left out of documents that have neither a number nor a reason for its
                            absence (other than "not_measured") */
    bool integer;        /* whole numbers in runs[] and worker_results[] */
    enum pw_fold fold;
    unsigned stats; /* PW_STAT_BIT()s */
    enum pw_better better;
    double noise_floor;    /* smaller differences mean nothing; in `unit` */
    const char *source;    /* where the number comes from */
    const char *fallback;  /* used where the source is missing, or "none" */
    const char *otel_name; /* OpenTelemetry metric name */
    const char *otel_unit; /* UCUM, as OpenTelemetry wants it */
    double otel_factor;    /* otel value = value * otel_factor */
    const char *help;      /* one sentence */
};

extern const struct pw_metric pw_metrics[PW_METRIC_COUNT];

/* "mean", "p50", …, "p50_ci95_low"; "" for PW_STAT_SCALAR. */
const char *pw_stat_name(enum pw_stat stat);
const char *pw_fold_name(enum pw_fold fold);
const char *pw_better_name(enum pw_better better);
/* The row with that path, or NULL. */
const struct pw_metric *pw_metric_find(const char *path);

/*
 * Checks the table: unique and well-formed paths, keys and OpenTelemetry names; a path is no prefix
 * of another; units known; statistics fitting the fold; texts there. Returns the number of faults
 * and describes each in one line of *faults (all of them, not just the first). `table`/`count` is a
 * parameter so that a test can plant faults.
 */
struct pw_str;
size_t pw_metric_check_table(const struct pw_metric *table, size_t count, struct pw_str *faults);

#endif
