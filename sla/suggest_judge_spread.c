/* Rules about how the iterations differ from one another: noise, tails, stragglers, growth. */
#include <math.h>
#include <stdlib.h>
#include "core/file.h"
#include "core/stats.h"
#include "core/two_samples.h"
#include "sla/number.h"
#include "sla/suggest_impl.h"

#define STAT(id, stat) pw_summary_stat(seen->summary, PW_METRIC_##id, PW_STAT_##stat)

/* From the median absolute deviation to the standard deviation of normal data. */
static const double mad_to_sigma = 1.4826;

PW_JUDGE(noise)
{
    struct pw_value mad = STAT(WORKER_LATENCY, MAD), median = STAT(WORKER_LATENCY, P50);
    if (!pw_value_is_present(mad) || !pw_value_is_present(median) || median.number <= 0 ||
        (double)seen->successful < pw_threshold(PW_NOISE_RUNS)) {
        return 0;
    }
    double spread_pct = 100 * mad_to_sigma * mad.number / median.number;
    /* A spread below what can be told apart is none, however small the median. */
    if (spread_pct < pw_threshold(PW_NOISE_PCT) ||
        mad_to_sigma * mad.number < pw_metrics[PW_METRIC_WORKER_LATENCY].noise_floor) {
        return 0;
    }
    return pw_rule_fire(
        rule, seen,
        (struct pw_rule_evidence){.metric = "worker_latency_ms.mad",
                                  .baseline = median,
                                  .baseline_is = "median duration, ms",
                                  .current = pw_value_of(mad_to_sigma * mad.number),
                                  .samples = (double)seen->successful},
        err,
        "Durations spread by %s ms (1.4826 MAD) around the median of %s ms: %s %%, over %zu runs.",
        PW_SHORT(mad_to_sigma * mad.number), PW_SHORT(median.number), PW_SHORT(spread_pct),
        seen->successful);
}

PW_JUDGE(tail)
{
    struct pw_value p99 = STAT(WORKER_LATENCY, P99), median = STAT(WORKER_LATENCY, P50);
    if (!pw_value_is_present(p99) || !pw_value_is_present(median) || median.number <= 0 ||
        (double)seen->successful < pw_threshold(PW_TAIL_RUNS) ||
        p99.number < pw_threshold(PW_TAIL_RATIO) * median.number ||
        p99.number - median.number < pw_metrics[PW_METRIC_WORKER_LATENCY].noise_floor) {
        return 0;
    }
    return pw_rule_fire(rule, seen,
                        (struct pw_rule_evidence){.metric = "worker_latency_ms.p99",
                                                  .baseline = median,
                                                  .baseline_is = "median duration, ms",
                                                  .current = p99,
                                                  .changed = true,
                                                  .samples = (double)seen->successful},
                        err, "p99 is %s ms, %s times the median of %s ms, of %zu runs.",
                        PW_SHORT(p99.number), PW_SHORT(p99.number / median.number),
                        PW_SHORT(median.number), seen->successful);
}

PW_JUDGE(stragglers)
{
    struct pw_value window = STAT(LATENCY, P50), median = STAT(WORKER_LATENCY, P50);
    if (seen->concurrency < 2 || !pw_value_is_present(window) || !pw_value_is_present(median) ||
        window.number < pw_threshold(PW_STRAGGLER_RATIO) * median.number ||
        window.number < pw_threshold(PW_LEAST_MS)) {
        return 0;
    }
    return pw_rule_fire(rule, seen,
                        (struct pw_rule_evidence){.metric = "latency_ms.p50",
                                                  .baseline = median,
                                                  .baseline_is = "median duration of a worker, ms",
                                                  .current = window,
                                                  .changed = true,
                                                  .samples = (double)seen->iterations},
                        err,
                        "The batch of %s workers lasts %s ms, a median worker %s ms: others wait "
                        "for the slowest.",
                        PW_SHORT(seen->concurrency), PW_SHORT(window.number),
                        PW_SHORT(median.number));
}

/* All pairs of values are looked at, so of a long run every k-th is. */
enum { TREND_VALUES_MAX = 1000 };

struct growth {
    double first, last; /* by the fitted line */
    double per_iteration, p;
    size_t n;
};

/* Theil-Sen: the slope is the median of all slopes, the intercept that of what it leaves. */
static int fit(double *values, size_t n, struct growth *ret_growth, struct pw_err *err)
{
    struct pw_trend trend;
    struct pw_stats rest;
    size_t stride = 1 + (n - 1) / TREND_VALUES_MAX, kept = 0;
    for (size_t i = 0; i < n; i += stride) {
        values[kept++] = values[i];
    }
    if (pw_trend_of(values, kept, 0.95, &trend, err) != 0) {
        return -1;
    }
    for (size_t i = 0; i < kept; i++) {
        values[i] -= trend.slope * (double)i;
    }
    if (pw_stats_describe(values, kept, false, &rest, err) != 0) {
        return -1;
    }
    *ret_growth = (struct growth){.first = rest.p50.number,
                                  .last = rest.p50.number + trend.slope * (double)(kept - 1),
                                  .per_iteration = trend.slope / (double)stride,
                                  .p = trend.p,
                                  .n = n};
    return 0;
}

static int growth_of(const struct pw_rule_case *seen, const struct pw_metric *metric,
                     struct growth *ret_growth, bool *ret_grows, struct pw_err *err)
{
    PW_FREE_AUTO double *values = NULL;
    size_t n = 0;
    struct growth growth = {0};
    *ret_grows = false;
    if (pw_sample_of_metric(seen->summary, metric, &values, &n, err) != 0) {
        return -1;
    }
    if (!values || (double)n < pw_threshold(PW_TREND_ITERATIONS)) {
        return 0;
    }
    if (fit(values, n, &growth, err) != 0) {
        return -1;
    }
    double by = growth.last - growth.first;
    *ret_grows = growth.p <= pw_threshold(PW_TREND_P) && by > metric->noise_floor &&
                 by >= fabs(growth.first) * pw_threshold(PW_TREND_GROWTH_PCT) / 100;
    *ret_growth = growth;
    return 0;
}

int pw_judge_growth(const struct pw_rule *rule, const struct pw_rule_case *seen, struct pw_err *err)
{
    /* The first that grows speaks for the others. */
    static const struct {
        size_t count;
        enum pw_metric_id metrics[2];
    } looked_at[] = {
        [PW_GROWING_MEMORY] = {2, {PW_METRIC_MAX_RSS_MB, PW_METRIC_TREE_PEAK_RSS_MB}},
        [PW_GROWING_DESCRIPTORS] = {1, {PW_METRIC_PEAK_OPEN_FDS}},
        [PW_GROWING_LATENCY] = {1, {PW_METRIC_LATENCY}},
    };
    for (size_t i = 0; i < looked_at[rule->which].count; i++) {
        const struct pw_metric *metric = &pw_metrics[looked_at[rule->which].metrics[i]];
        struct growth growth = {0};
        bool grows;
        if (growth_of(seen, metric, &growth, &grows, err) != 0) {
            return -1;
        }
        if (!grows) {
            continue;
        }
        return pw_rule_fire(
            rule, seen,
            (struct pw_rule_evidence){.metric = metric->path,
                                      .baseline = pw_value_of(growth.first),
                                      .baseline_is = "the first iteration, by the fitted line",
                                      .current = pw_value_of(growth.last),
                                      .changed = true,
                                      .samples = (double)growth.n,
                                      .inferred = growth.p > pw_threshold(PW_TREND_SURE_P)},
            err,
            "%s rose from %s to %s %s over %zu iterations (Theil-Sen slope %s %s an iteration, "
            "Mann-Kendall p = %.2g).",
            metric->path, PW_SHORT(growth.first), PW_SHORT(growth.last), metric->unit, growth.n,
            PW_SHORT(growth.per_iteration), metric->unit, growth.p);
    }
    return 0;
}
