/*
 * Does a series of values in order of time rise or fall? Robust: no assumption of a normal
 * distribution, single outliers do not bend it. Threads: no state.
 */
#ifndef PW_CORE_TREND_H
#define PW_CORE_TREND_H

#include <stddef.h>
#include "core/err.h"
#include "core/interval.h"

enum {
    PW_TREND_EXACT_MAX = 50,   /* values: the distribution is exact up to here, if no ties */
    PW_TREND_VALUES_MAX = 500, /* longer series: medians of equally long blocks */
};

/* Theil-Sen slope of `values` over 0, 1, 2 … (median of all pairwise slopes) with its interval (Sen
 * 1968), and the two-sided p of Mann-Kendall (tie-corrected). */
struct pw_trend {
    double slope;                /* per step */
    struct pw_interval slope_ci; /* infinite where there are too few values */
    double p;
};

/* n >= 2. Of a series longer than PW_TREND_VALUES_MAX blocks of consecutive values are taken
 * together, each by its median (a last block that is not full is left out); the slope is still per
 * value. Errors: PW_ERR_MEMORY, PW_ERR_INPUT for a value that is not finite and for n < 2. */
int pw_trend_of(const double *values, size_t n, double confidence, struct pw_trend *ret_trend,
                struct pw_err *err);

#endif
