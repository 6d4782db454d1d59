/*
 * How far off the statistic of a sample may be: two-sided confidence intervals, for deciding a
 * bound. Plain functions of finite values; no state, any thread.
 *
 * An end that so few values cannot give is infinite: five values say nothing about how large a 95th
 * percentile may be. Of values that are not all finite both ends are infinite.
 */
#ifndef PW_CORE_INTERVAL_H
#define PW_CORE_INTERVAL_H

#include <stddef.h>

struct pw_interval {
    double low, high; /* may be -INFINITY and INFINITY */
};

/* Of percentile `p` (0 < p < 1), from order statistics: ranks from the binomial distribution, no
 * assumption about the distribution of values. Hahn and Meeker 1991, section 5.2. `sorted`
 * ascending, n >= 1; coverage at least `confidence`. */
struct pw_interval pw_interval_of_percentile(const double *sorted, size_t n, double p,
                                             double confidence);
/* The least n for which pw_interval_of_percentile() can have a finite upper end (lower for
 * `p` < 0.5: the finite end that is harder to get). */
size_t pw_interval_needed(double p, double confidence);
/* Of the mean: Student's t. n < 2: infinite both ways. */
struct pw_interval pw_interval_of_mean(const double *values, size_t n, double confidence);

/* Distribution functions that these and core/two_samples.h need; tested against tables. */
double pw_normal_cdf(double z);
double pw_normal_quantile(double p);
double pw_student_cdf(double t, double degrees);
double pw_student_quantile(double p, double degrees);
/* P(X <= k) of a binomial with n trials of probability p. */
double pw_binomial_cdf(size_t k, size_t n, double p);

#endif
