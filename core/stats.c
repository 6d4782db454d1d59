#include "core/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "core/file.h"
#include "core/limits.h"
#include "core/random.h"

int pw_stats_compare(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a > b) - (a < b);
}

void pw_stats_sort(double *values, size_t n)
{
    if (n > 0) { /* qsort(3) may not be given NULL */
        qsort(values, n, sizeof(*values), pw_stats_compare);
    }
}

double *pw_stats_sorted_copy(const double *values, size_t n, struct pw_err *err)
{
    double *copy = calloc(n, sizeof(*copy));
    if (!copy) {
        pw_err_memory(err);
        return NULL;
    }
    memcpy(copy, values, n * sizeof(*copy));
    pw_stats_sort(copy, n);
    return copy;
}

double pw_stats_median_sorted(const double *sorted, size_t n)
{
    return sorted[(n - 1) / 2] / 2 + sorted[n / 2] / 2; /* the sum of both might overflow */
}

double pw_stats_percentile_sorted(const double *sorted, size_t n, double p)
{
    double position = p * (double)(n - 1);
    size_t below = (size_t)position;
    if (below >= n - 1) {
        return sorted[n - 1];
    }
    double share = position - (double)below;
    return sorted[below] + share * (sorted[below + 1] - sorted[below]);
}

static double random_unit(uint64_t *state)
{
    return ((double)(pw_splitmix64(state) >> 11) + 0.5) * 0x1p-53; /* never 0, never 1 */
}

/* Gamma variate of shape >= 1 (Marsaglia and Tsang 2000), normal variates by Box and Muller. */
static double random_gamma(uint64_t *state, double shape)
{
    double d = shape - 1.0 / 3.0;
    double c = 1.0 / sqrt(9.0 * d);
    for (;;) {
        double radius = sqrt(-2.0 * log(random_unit(state)));
        double normal = radius * cos(2.0 * M_PI * random_unit(state));
        double v = 1.0 + c * normal;
        v = v * v * v;
        if (v > 0.0 && log(random_unit(state)) < normal * normal / 2.0 + d - d * v + d * log(v)) {
            return d * v;
        }
    }
}

static double value_at(const double *sorted, size_t n, double unit)
{
    size_t index = (size_t)(unit * (double)n);
    return sorted[index < n ? index : n - 1];
}

/*
 * The median of one resample. A resample picks values at n uniform random places of the sorted
 * sample, and its median is the value at the middle of these places. That middle follows a beta
 * distribution, so it is drawn at once: the same distribution as by picking n values, at a cost
 * that does not grow with n. With an even n the next place is the lowest of the places left above
 * it.
 */
static double resampled_median(const double *sorted, size_t n, uint64_t *state)
{
    size_t rank = (n + 1) / 2;
    double left = random_gamma(state, (double)rank);
    double place = left / (left + random_gamma(state, (double)(n + 1 - rank)));
    double median = value_at(sorted, n, place);
    if (n % 2 == 0) {
        double rest = pow(random_unit(state), 1.0 / (double)(n - rank));
        double next = value_at(sorted, n, 1.0 - (1.0 - place) * rest);
        median += (next - median) / 2.0;
    }
    return median;
}

static void bootstrap_median(const double *sorted, size_t n, struct pw_stats *stats)
{
    double medians[PW_LIMIT_BOOTSTRAP_RESAMPLES];
    uint64_t state = 20260223; /* any fixed number */
    for (size_t i = 0; i < PW_LIMIT_BOOTSTRAP_RESAMPLES; i++) {
        medians[i] = resampled_median(sorted, n, &state);
    }
    pw_stats_sort(medians, PW_LIMIT_BOOTSTRAP_RESAMPLES);
    stats->p50_ci95_low =
        pw_value_of(pw_stats_percentile_sorted(medians, PW_LIMIT_BOOTSTRAP_RESAMPLES, 0.025));
    stats->p50_ci95_high =
        pw_value_of(pw_stats_percentile_sorted(medians, PW_LIMIT_BOOTSTRAP_RESAMPLES, 0.975));
}

/* Replaces the sample by its distances from the median. */
static double absolute_deviation(double *sorted, size_t n, double median)
{
    for (size_t i = 0; i < n; i++) {
        sorted[i] = fabs(sorted[i] - median);
    }
    pw_stats_sort(sorted, n);
    return pw_stats_percentile_sorted(sorted, n, 0.5);
}

int pw_stats_describe(const double *values, size_t n, bool with_interval,
                      struct pw_stats *ret_stats, struct pw_err *err)
{
    struct pw_stats stats = {.n = n};
    if (n == 0) {
        *ret_stats = stats;
        return 0;
    }
    PW_FREE_AUTO double *sorted = pw_stats_sorted_copy(values, n, err);
    if (!sorted) {
        return -1;
    }
    long double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += sorted[i];
    }
    long double mean = sum / (long double)n;
    long double squares = 0;
    for (size_t i = 0; i < n; i++) {
        squares += (sorted[i] - mean) * (sorted[i] - mean);
    }
    stats.mean = pw_value_of((double)mean);
    stats.total = pw_value_of((double)sum);
    stats.min = pw_value_of(sorted[0]);
    stats.max = pw_value_of(sorted[n - 1]);
    stats.p50 = pw_value_of(pw_stats_percentile_sorted(sorted, n, 0.50));
    stats.p90 = pw_value_of(pw_stats_percentile_sorted(sorted, n, 0.90));
    stats.p95 = pw_value_of(pw_stats_percentile_sorted(sorted, n, 0.95));
    stats.p99 = pw_value_of(pw_stats_percentile_sorted(sorted, n, 0.99));
    if (n > 1) {
        stats.stddev = pw_value_of((double)sqrtl(squares / (long double)(n - 1)));
        if (with_interval) {
            bootstrap_median(sorted, n, &stats);
        }
    }
    stats.mad = pw_value_of(absolute_deviation(sorted, n, stats.p50.number));
    *ret_stats = stats;
    return 0;
}

int pw_stats_count_outliers(const double *values, size_t n, size_t *ret_outliers, size_t *ret_high,
                            struct pw_err *err)
{
    size_t low = 0;
    size_t high = 0;
    if (n >= 4) {
        PW_FREE_AUTO double *sorted = pw_stats_sorted_copy(values, n, err);
        if (!sorted) {
            return -1;
        }
        double q1 = pw_stats_percentile_sorted(sorted, n, 0.25);
        double q3 = pw_stats_percentile_sorted(sorted, n, 0.75);
        double reach = 3.0 * (q3 - q1);
        for (size_t i = 0; i < n; i++) {
            low += sorted[i] < q1 - reach;
            high += sorted[i] > q3 + reach;
        }
    }
    *ret_outliers = low + high;
    *ret_high = high;
    return 0;
}
