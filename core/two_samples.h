/*
 * Is B different from A, and by how much? For two independent samples of one metric. No assumption
 * of a normal distribution: run times are skewed and have outliers.
 *
 * Threads: no state; the permutation test has a fixed seed, so the same data give the same answer.
 */
#ifndef PW_CORE_TWO_SAMPLES_H
#define PW_CORE_TWO_SAMPLES_H

#include <stdbool.h>
#include <stddef.h>
#include "core/err.h"
#include "core/interval.h"

enum { PW_TWO_SAMPLES_EXACT_MAX = 50 }; /* of each: exact distributions up to here, if no ties */

struct pw_two_samples {
    size_t n_a, n_b;
    double median_a, median_b;
    double shift;                /* Hodges-Lehmann: median of all differences b - a */
    struct pw_interval shift_ci; /* of the shift, by inverting the rank-sum test (Bauer 1972);
                                    infinite where there are too few values */
    double p;      /* two-sided Mann-Whitney; exact without ties, else normal with tie and
                      continuity correction; by permutations of the rank sum for small tied samples */
    double effect; /* Cliff's delta in [-1, 1]: P(b > a) - P(b < a) */
    bool bimodal_a, bimodal_b; /* see pw_is_bimodal() */
};

/* `confidence` of shift_ci, such as 0.95. n_a, n_b >= 1. Memory is bounded: from samples larger
 * than some thousands the shift and its interval are found by selection, not by listing all
 * differences. Errors: PW_ERR_MEMORY, PW_ERR_INPUT for a value that is not finite. */
int pw_two_samples_compare(const double *a, size_t n_a, const double *b, size_t n_b,
                           double confidence, struct pw_two_samples *ret_result,
                           struct pw_err *err);

/* Whether the values fall into two groups with a gap between them that chance does not make: say
 * which test (source), its threshold, and n below which it is always false. */
int pw_is_bimodal(const double *values, size_t n, bool *ret_bimodal, struct pw_err *err);

/* Theil-Sen slope of `values` over 0, 1, 2 … (median of all pairwise slopes) with its interval (Sen
 * 1968), and the two-sided p of Mann-Kendall (tie-corrected). n >= 2. */
struct pw_trend {
    double slope; /* per step */
    struct pw_interval slope_ci;
    double p;
};
int pw_trend_of(const double *values, size_t n, double confidence, struct pw_trend *ret_trend,
                struct pw_err *err);

#endif
