#include "core/trend.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "core/file.h"
#include "core/stats.h"

/* A probability that equals its limit but for rounding keeps it. */
static const double SLACK = 1 + 1e-12;

/* Kendall's distribution: P(D <= d), D pairs in the wrong order among n values without ties. The
 * n-th value adds 0 … n - 1 such pairs, all equally likely. */
static int exact_lower_tail(size_t n, size_t pairs, double *ret_cumulative, struct pw_err *err)
{
    PW_FREE_AUTO double *share = calloc(pairs + 1, sizeof(*share));
    PW_FREE_AUTO double *next = calloc(pairs + 1, sizeof(*next));
    if (!share || !next) {
        return pw_err_memory(err);
    }
    share[0] = 1;
    for (size_t value = 2; value <= n; value++) {
        for (size_t d = 0; d <= pairs; d++) {
            double sum = 0;
            for (size_t added = 0; added < value && added <= d; added++) {
                sum += share[d - added];
            }
            next[d] = sum / (double)value;
        }
        memcpy(share, next, (pairs + 1) * sizeof(*share));
    }
    double sum = 0;
    for (size_t d = 0; d <= pairs; d++) {
        ret_cumulative[d] = sum += share[d];
    }
    return 0;
}

/* Sum over groups of t equal values of t (t - 1) (2 t + 5). */
static double tie_term(const double *sorted, size_t n)
{
    double term = 0;
    for (size_t i = 0; i < n;) {
        size_t first = i;
        while (i < n && sorted[i] == sorted[first]) {
            i++;
        }
        double t = (double)(i - first);
        term += t * (t - 1) * (2 * t + 5);
    }
    return term;
}

/* Ascending slopes of all pairs; S: how many more of them rise than fall. */
struct slopes {
    const double *sorted;
    size_t count;
    double s;
};

static void judge_exact(const struct slopes *slopes, const double *cumulative, double tail,
                        struct pw_trend *trend)
{
    double against = ((double)slopes->count - fabs(slopes->s)) / 2;
    trend->p = fmin(1, 2 * cumulative[(size_t)against]);
    size_t k = 0;
    while (k <= slopes->count / 2 && cumulative[k] <= tail) {
        k++;
    }
    if (k > 0 && 2 * k <= slopes->count) {
        trend->slope_ci.low = slopes->sorted[k - 1];
        trend->slope_ci.high = slopes->sorted[slopes->count - k];
    }
}

/* `deviation` of S. Continuity correction: S moves in steps of 2. */
static void judge_normal(const struct slopes *slopes, double deviation, double tail,
                         struct pw_trend *trend)
{
    double z = deviation > 0 ? fmax(0, fabs(slopes->s) - 1) / deviation : 0;
    trend->p = fmin(1, 2 * pw_normal_cdf(-z));
    double k = floor(((double)slopes->count + 1 + pw_normal_quantile(tail) * deviation) / 2);
    if (k >= 1 && 2 * k <= (double)slopes->count + 1) {
        trend->slope_ci.low = slopes->sorted[(size_t)k - 1];
        trend->slope_ci.high = slopes->sorted[slopes->count - (size_t)k];
    }
}

static double *make_slopes(const double *values, size_t n, struct slopes *slopes,
                           struct pw_err *err)
{
    slopes->count = n * (n - 1) / 2;
    slopes->s = 0;
    double *list = calloc(slopes->count, sizeof(*list));
    if (!list) {
        pw_err_memory(err);
        return NULL;
    }
    size_t count = 0;
    for (size_t j = 1; j < n; j++) {
        for (size_t i = 0; i < j; i++) {
            slopes->s += (values[j] > values[i]) - (values[j] < values[i]);
            list[count++] = (values[j] - values[i]) / (double)(j - i) + 0.0; /* no -0 */
        }
    }
    pw_stats_sort(list, count);
    slopes->sorted = list;
    return list;
}

/* `scratch`: room for as many doubles as there are slopes and values. */
static int judge(const double *values, size_t n, const struct slopes *slopes, double confidence,
                 double *scratch, struct pw_trend *trend, struct pw_err *err)
{
    memcpy(scratch, values, n * sizeof(*scratch));
    pw_stats_sort(scratch, n);
    double ties = tie_term(scratch, n);
    double tail = (1 - confidence) / 2 * SLACK;
    if (n <= PW_TREND_EXACT_MAX && !(ties > 0)) {
        if (exact_lower_tail(n, slopes->count, scratch, err) != 0) {
            return -1;
        }
        judge_exact(slopes, scratch, tail, trend);
        return 0;
    }
    double size = (double)n;
    double variance = (size * (size - 1) * (2 * size + 5) - ties) / 18;
    judge_normal(slopes, sqrt(fmax(0, variance)), tail, trend);
    return 0;
}

/* 2 <= n <= PW_TREND_VALUES_MAX. */
static int trend_of(const double *values, size_t n, double confidence, struct pw_trend *trend,
                    struct pw_err *err)
{
    struct slopes slopes = {0};
    PW_FREE_AUTO double *list = make_slopes(values, n, &slopes, err);
    if (!list) {
        return -1;
    }
    if (!isfinite(list[0]) || !isfinite(list[slopes.count - 1])) {
        pw_err_set(err, PW_ERR_INPUT, "the series' values are too large for a trend");
        return -1;
    }
    PW_FREE_AUTO double *scratch = calloc(slopes.count + n, sizeof(*scratch));
    if (!scratch) {
        return pw_err_memory(err);
    }
    *trend =
        (struct pw_trend){pw_stats_median_sorted(list, slopes.count), {-INFINITY, INFINITY}, 1};
    return judge(values, n, &slopes, confidence, scratch, trend, err);
}

static int trend_of_blocks(const double *values, size_t n, double confidence,
                           struct pw_trend *trend, struct pw_err *err)
{
    size_t length = (n + PW_TREND_VALUES_MAX - 1) / PW_TREND_VALUES_MAX;
    size_t blocks = n / length;
    double medians[PW_TREND_VALUES_MAX];
    PW_FREE_AUTO double *scratch = calloc(length, sizeof(*scratch));
    if (!scratch) {
        return pw_err_memory(err);
    }
    for (size_t block = 0; block < blocks; block++) {
        memcpy(scratch, values + block * length, length * sizeof(*scratch));
        pw_stats_sort(scratch, length);
        medians[block] = pw_stats_median_sorted(scratch, length);
    }
    if (trend_of(medians, blocks, confidence, trend, err) != 0) {
        return -1;
    }
    trend->slope /= (double)length;
    trend->slope_ci.low /= (double)length;
    trend->slope_ci.high /= (double)length;
    return 0;
}

int pw_trend_of(const double *values, size_t n, double confidence, struct pw_trend *ret_trend,
                struct pw_err *err)
{
    if (n < 2) {
        return pw_err_set(err, PW_ERR_INPUT, "a trend needs two values");
    }
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(values[i])) {
            return pw_err_set(err, PW_ERR_INPUT, "value %zu of a series is not a finite number",
                              i + 1);
        }
    }
    struct pw_trend trend = {.p = 1};
    int result = n > PW_TREND_VALUES_MAX ? trend_of_blocks(values, n, confidence, &trend, err)
                                         : trend_of(values, n, confidence, &trend, err);
    if (result == 0) {
        *ret_trend = trend;
    }
    return result;
}
