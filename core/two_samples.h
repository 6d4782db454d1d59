/*
 * Is B different from A, and by how much? For two independent samples of one metric. No assumption
 * of a normal distribution: run times are skewed and have outliers.
 *
 * Threads: no state. Nothing is random: the same data give the same answer.
 */
#ifndef PW_CORE_TWO_SAMPLES_H
#define PW_CORE_TWO_SAMPLES_H

#include <stdbool.h>
#include <stddef.h>
#include "core/bimodal.h"
#include "core/err.h"
#include "core/interval.h"
#include "core/trend.h"

enum { PW_TWO_SAMPLES_EXACT_MAX = 50 }; /* of each: exact distributions up to here */

struct pw_two_samples {
    size_t n_a, n_b;
    double median_a, median_b;
    double shift;                /* Hodges-Lehmann: median of all differences b - a */
    struct pw_interval shift_ci; /* of the shift, by inverting the rank-sum test (Bauer 1972);
                                    infinite where there are too few values */
    double p;      /* two-sided Mann-Whitney: exact for small samples (with ties: over all
                      permutations), else normal with tie and continuity correction */
    double effect; /* Cliff's delta in [-1, 1]: P(b > a) - P(b < a) */
    bool bimodal_a, bimodal_b; /* see pw_is_bimodal() */
};

/* `confidence` of shift_ci, such as 0.95. n_a, n_b >= 1. Time O(n log n), memory O(n). Errors:
 * PW_ERR_MEMORY, PW_ERR_INPUT for a value that is not finite, or a sample without any. */
int pw_two_samples_compare(const double *a, size_t n_a, const double *b, size_t n_b,
                           double confidence, struct pw_two_samples *ret_result,
                           struct pw_err *err);

#endif
