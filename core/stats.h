/*
 * Statistics over small samples of doubles. All take finite values in any order and leave the input
 * as it is; where a scratch copy is needed they allocate, and a failure is told through `err`.
 * Results for n = 0 are absent (`struct pw_value`), never 0.
 */
#ifndef PW_CORE_STATS_H
#define PW_CORE_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/err.h"
#include "core/value.h"

/* Everything a summary may need of one sample; see pw_stats_describe(). */
struct pw_stats {
    size_t n;
    struct pw_value mean, p50, p90, p95, p99, min, max;
    struct pw_value stddev; /* sample standard deviation (n - 1); absent for n < 2 */
    struct pw_value mad;    /* median absolute deviation from the median, not scaled */
    struct pw_value total;  /* sum */
    struct pw_value p50_ci95_low, p50_ci95_high; /* absent for n < 2, or unless asked for */
};

/* Order of doubles for qsort(3) and bsearch(3), and the two jobs that everybody has: ascending, in
 * place or as a copy (n > 0; free() it; NULL and err if memory runs out). */
int pw_stats_compare(const void *left, const void *right);
void pw_stats_sort(double *values, size_t n);
double *pw_stats_sorted_copy(const double *values, size_t n, struct pw_err *err);

/* Median of an ascending sample of any finite values. n >= 1. */
double pw_stats_median_sorted(const double *sorted, size_t n);
/* Percentile of an ascending sample, 0 <= p <= 1: linear between closest ranks, position p*(n-1)
 * (Hyndman and Fan 1996, type 7). n >= 1. */
double pw_stats_percentile_sorted(const double *sorted, size_t n, double p);

/* Describes `values`. With `with_interval` also the percentile-bootstrap 95 % interval of the
 * median (Efron and Tibshirani 1993, chapter 13), PW_LIMIT_BOOTSTRAP_RESAMPLES resamples, fixed
 * seed: the same data give the same interval. */
int pw_stats_describe(const double *values, size_t n, bool with_interval,
                      struct pw_stats *ret_stats, struct pw_err *err);

/* How many values lie outside the outer Tukey fences (quartiles -/+ 3 IQR), and how many of these
 * are high. Tukey 1977. n < 4: none. */
int pw_stats_count_outliers(const double *values, size_t n, size_t *ret_outliers, size_t *ret_high,
                            struct pw_err *err);

#endif
