/*
 * The current value of a metric against the others of its group. Contract, section 8, and beside it
 * what the contract's rule is blind to: a spread of zero, a current value that is part of its own
 * baseline, changes that happened some runs ago, and drift.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "core/stats.h"
#include "sla/index_impl.h"

/* Makes the median absolute deviation, and the mean one, a standard deviation for normal values:
 * 1 / (normal quantile of 3/4), and the square root of pi / 2. Iglewicz and Hoaglin 1993. */
#define MAD_SCALE 1.4826
#define MEAN_AD_SCALE 1.2533
#define Z_RED 3.0
#define Z_YELLOW 1.5
#define TREND_CONFIDENCE 0.95
enum {
    BASELINE_LEAST = 2, /* one value before it has no spread at all */
    TREND_LEAST = 4,    /* with three, no order is rare */
};

const struct pw_index_metric pw_index_metrics[PW_INDEX_METRIC_COUNT] = {
    {"failed_runs_total", PW_METRIC_FAILED_RUNS, PW_STAT_SCALAR, false},
    {"latency_p95_ms", PW_METRIC_LATENCY, PW_STAT_P95, false},
    {"latency_mean_ms", PW_METRIC_LATENCY, PW_STAT_MEAN, false},
    {"throughput_mean", PW_METRIC_THROUGHPUT, PW_STAT_MEAN, true},
    {"rss_mean_mb", PW_METRIC_MAX_RSS_MB, PW_STAT_MEAN, false},
    {"peak_fds_mean", PW_METRIC_PEAK_OPEN_FDS, PW_STAT_MEAN, false},
    {"peak_children_mean", PW_METRIC_PEAK_DIRECT_CHILDREN, PW_STAT_MEAN, false},
    {"sampled_peak_tree_rss_mean_mb", PW_METRIC_TREE_PEAK_RSS_MB, PW_STAT_MEAN, false},
    {"sampled_peak_tree_cpu_p95", PW_METRIC_TREE_PEAK_CPU, PW_STAT_P95, false},
    {"top_peak_cpu_p95", PW_METRIC_TOP_PEAK_CPU, PW_STAT_P95, false},
    {"monitor_loop_mean_ms", PW_METRIC_STEP_MONITOR_LOOP, PW_STAT_MEAN, false},
    {"spawn_proc_mean_ms", PW_METRIC_STEP_SPAWN_PROC, PW_STAT_MEAN, false},
    {"parse_stats_mean_ms", PW_METRIC_STEP_PARSE_STATS, PW_STAT_MEAN, false},
    {"footprint_rss_p95_mb", PW_METRIC_FOOT_RSS, PW_STAT_P95, false},
    {"footprint_pss_p95_mb", PW_METRIC_FOOT_PSS, PW_STAT_P95, false},
    {"footprint_monitor_overhead_p95_mb", PW_METRIC_FOOT_OVERHEAD, PW_STAT_P95, false},
};

const char *pw_index_status_name(enum pw_index_status status)
{
    static const char *const names[PW_INDEX_STATUS_COUNT] = {"insufficient_data", "green", "yellow",
                                                             "red"};
    return names[status];
}

/* The values of one metric in a group, oldest first, and room to sort them. */
struct series {
    double *values, *sorted, *scratch;
    size_t *runs; /* which run each is of */
    size_t n;
};

static void series_done(struct series *series)
{
    free(series->values);
    free(series->sorted);
    free(series->scratch);
    free(series->runs);
}

static int series_make(const struct pw_index_group *group, struct series *series,
                       struct pw_err *err)
{
    series->values = calloc(group->count, sizeof(double));
    series->sorted = calloc(group->count, sizeof(double));
    series->scratch = calloc(group->count, sizeof(double));
    series->runs = calloc(group->count, sizeof(size_t));
    return series->values && series->sorted && series->scratch && series->runs ? 0
                                                                               : pw_err_memory(err);
}

/* NAN: the run has none. */
static void series_add(struct series *series, size_t run, double value)
{
    if (!isnan(value)) {
        series->values[series->n] = value;
        series->runs[series->n++] = run;
    }
}

static double mean_of(const double *values, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += values[i];
    }
    return sum / (double)n;
}

/* Where `current` stands among the first `n` values of the series; fills series->sorted. */
static void stand(struct series *series, size_t n, double current,
                  struct pw_index_standing *ret_standing)
{
    double deviation = 0;
    memcpy(series->sorted, series->values, n * sizeof(double));
    pw_stats_sort(series->sorted, n);
    double median = pw_stats_percentile_sorted(series->sorted, n, 0.5);
    for (size_t i = 0; i < n; i++) {
        series->scratch[i] = fabs(series->values[i] - median);
        deviation += series->scratch[i];
    }
    double mean_deviation = deviation / (double)n;
    pw_stats_sort(series->scratch, n);
    double mad = pw_stats_percentile_sorted(series->scratch, n, 0.5);
    ret_standing->n = n;
    ret_standing->median = pw_value_of(median);
    ret_standing->mad = pw_value_of(mad);
    /* What a division by zero gives is not finite, and so absent. */
    ret_standing->robust_z = pw_value_of((current - median) / (MAD_SCALE * mad));
    ret_standing->robust_z_fallback =
        pw_value_of((current - median) / (MEAN_AD_SCALE * mean_deviation));
    ret_standing->delta_pct = pw_value_of((current - median) / median * 100);
}

static enum pw_index_status status_of(double z, bool higher_is_better)
{
    double bad = higher_is_better ? -z : z;
    return bad >= Z_RED ? PW_INDEX_RED : bad >= Z_YELLOW ? PW_INDEX_YELLOW : PW_INDEX_GREEN;
}

static struct pw_value best_z(const struct pw_index_standing *standing)
{
    return pw_value_is_present(standing->robust_z) ? standing->robust_z
                                                   : standing->robust_z_fallback;
}

static void judge_window(struct pw_index_judgement *judgement, unsigned min_samples)
{
    if (judgement->n < min_samples) {
        return;
    }
    struct pw_value z = judgement->window.robust_z, strict = best_z(&judgement->window);
    if (pw_value_is_present(z)) {
        judgement->status = status_of(z.number, judgement->higher_is_better);
    }
    /* Without any deviation all values are the same, the current one too. */
    judgement->strict = pw_value_is_present(strict)
                            ? status_of(strict.number, judgement->higher_is_better)
                            : PW_INDEX_GREEN;
}

static void judge_baseline(struct pw_index_judgement *judgement, unsigned min_samples)
{
    const struct pw_index_standing *before = &judgement->baseline;
    if (judgement->n < min_samples || before->n < BASELINE_LEAST) {
        return;
    }
    double change = judgement->current - before->median.number;
    struct pw_value z = best_z(before);
    judgement->baseline_status = PW_INDEX_GREEN;
    if (change == 0 || fabs(change) < judgement->noise_floor) {
        return;
    }
    /* No spread at all, and yet another value: as far outside as can be. */
    judgement->baseline_status = status_of(
        pw_value_is_present(z) ? z.number : copysign(Z_RED, change), judgement->higher_is_better);
}

/* `series->sorted` holds all values. */
static void describe(const struct series *series, struct pw_index_judgement *judgement)
{
    size_t n = series->n, cut = n / 10;
    const double *sorted = series->sorted;
    double squares = 0;
    judgement->mean = mean_of(series->values, n);
    for (size_t i = 0; i < n; i++) {
        double off = series->values[i] - judgement->mean;
        squares += off * off;
    }
    judgement->std = n > 1 ? sqrt(squares / (double)n) : 0;
    judgement->cv = pw_value_of(judgement->std / fabs(judgement->mean));
    judgement->trimmed_mean = mean_of(sorted + cut, n - 2 * cut);
    judgement->p95 = pw_stats_percentile_sorted(sorted, n, 0.95);
    judgement->p99 = pw_stats_percentile_sorted(sorted, n, 0.99);
    judgement->min = sorted[0];
    judgement->max = sorted[n - 1];
    judgement->iqr =
        pw_stats_percentile_sorted(sorted, n, 0.75) - pw_stats_percentile_sorted(sorted, n, 0.25);
}

/* Changes of level and drift over the window. */
static int look_back(const struct series *series, struct pw_index_judgement *judgement,
                     struct pw_err *err)
{
    if (pw_change_points_find(series->values, series->n, PW_CHANGE_POINTS_SIGNIFICANCE,
                              judgement->noise_floor, &judgement->points, &judgement->point_count,
                              err) != 0) {
        return -1;
    }
    for (size_t i = 0; i < judgement->point_count; i++) {
        judgement->points[i].index = series->runs[judgement->points[i].index];
    }
    if (series->n >= TREND_LEAST) {
        judgement->has_trend = true;
        return pw_trend_of(series->values, series->n, TREND_CONFIDENCE, &judgement->trend, err);
    }
    return 0;
}

static int judge_series(struct series *series, unsigned min_samples,
                        struct pw_index_judgement *judgement, struct pw_err *err)
{
    double current = series->values[series->n - 1];
    judgement->n = series->n;
    judgement->current = current;
    if (series->n > 1) {
        stand(series, series->n - 1, current, &judgement->baseline);
    }
    stand(series, series->n, current, &judgement->window);
    describe(series, judgement);
    judge_window(judgement, min_samples);
    judge_baseline(judgement, min_samples);
    return look_back(series, judgement, err);
}

/* Ends the series. */
static int finish(struct series *series, unsigned min_samples, struct pw_index_judgement *judgement,
                  struct pw_index_judgement *ret_judgement, struct pw_err *err)
{
    int failed = series->n > 0 ? judge_series(series, min_samples, judgement, err) : 0;
    series_done(series);
    if (failed) {
        pw_index_judgement_done(judgement);
        return -1;
    }
    *ret_judgement = *judgement;
    return 0;
}

int pw_index_judge(const struct pw_index_group *group, size_t metric, unsigned min_samples,
                   struct pw_index_judgement *ret_judgement, struct pw_err *err)
{
    struct series series = {0};
    struct pw_index_judgement judgement = {
        .higher_is_better = pw_index_metrics[metric].higher_is_better,
        .noise_floor = pw_metrics[pw_index_metrics[metric].metric].noise_floor};
    if (series_make(group, &series, err) != 0) {
        series_done(&series);
        return -1;
    }
    for (size_t i = 0; i < group->count; i++) {
        series_add(&series, i, group->runs[i]->values[metric]);
    }
    return finish(&series, min_samples, &judgement, ret_judgement, err);
}

int pw_index_judge_moment(const struct pw_index_group *group, const char *name,
                          unsigned min_samples, struct pw_index_judgement *ret_judgement,
                          struct pw_err *err)
{
    struct series series = {0};
    struct pw_index_judgement judgement = {.noise_floor =
                                               pw_metrics[PW_METRIC_LATENCY].noise_floor};
    if (series_make(group, &series, err) != 0) {
        series_done(&series);
        return -1;
    }
    for (size_t i = 0; i < group->count; i++) {
        series_add(&series, i, pw_index_moment(group->runs[i], name));
    }
    return finish(&series, min_samples, &judgement, ret_judgement, err);
}

struct judging {
    const struct pw_index_groups *groups;
    unsigned min_samples;
    struct pw_index_judgement *judgements;
};

static int judge_one(size_t i, void *context, struct pw_err *err)
{
    struct judging *judging = context;
    return pw_index_judge(&judging->groups->items[i / PW_INDEX_METRIC_COUNT],
                          i % PW_INDEX_METRIC_COUNT, judging->min_samples, &judging->judgements[i],
                          err);
}

int pw_index_judge_all(const struct pw_index_groups *groups, unsigned min_samples,
                       struct pw_index_judgement **ret_judgements, struct pw_err *err)
{
    size_t count = groups->count * PW_INDEX_METRIC_COUNT;
    struct judging judging = {groups, min_samples,
                              calloc(count + 1, sizeof(struct pw_index_judgement))};
    if (!judging.judgements) {
        return pw_err_memory(err);
    }
    if (pw_index_each(count, judge_one, &judging, err) != 0) {
        pw_index_judgements_free(judging.judgements, groups->count);
        return -1;
    }
    *ret_judgements = judging.judgements;
    return 0;
}

void pw_index_judgements_free(struct pw_index_judgement *judgements, size_t group_count)
{
    for (size_t i = 0; judgements && i < group_count * PW_INDEX_METRIC_COUNT; i++) {
        pw_index_judgement_done(&judgements[i]);
    }
    free(judgements);
}

void pw_index_judgement_done(struct pw_index_judgement *judgement)
{
    free(judgement->points);
    judgement->points = NULL;
    judgement->point_count = 0;
}
