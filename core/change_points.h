/*
 * Where does a series change its level? Hierarchical divisive estimation with energy statistics
 * (E-divisive: Matteson and James 2014), as in "Hunter" (Fleming et al. 2023, Apache Otava), but
 * with the significance of each point by permutations: core/change_points.c says why.
 *
 * Threads: no state. The permutations have a fixed seed: the same values give the same points.
 */
#ifndef PW_CORE_CHANGE_POINTS_H
#define PW_CORE_CHANGE_POINTS_H

#include <stddef.h>
#include "core/err.h"

struct pw_change_point {
    size_t index;         /* the first value of the new level, 1 <= index < n */
    double before, after; /* medians of the segments on either side, up to the next change points */
    double p;
};

/* What to use for `significance`: one in a hundred series of noise then has a point. */
#define PW_CHANGE_POINTS_SIGNIFICANCE 0.01

/* `values` in order of time. *ret_points in order of index, free(); at most n - 1. Points with p
 * above `significance` are not given, nor changes smaller than `floor` (absolute, in the values'
 * unit), nor changes of the spread alone. `significance` is the chance that a series of values that
 * only vary, independently of each other, has any point; below 0.0001 there is none. A segment has
 * at least PW_CHANGE_POINTS_LEAST values. Errors: PW_ERR_MEMORY, PW_ERR_INPUT for a value that is
 * not finite. Time and memory are bounded: series longer than PW_CHANGE_POINTS_MAX_VALUES are cut
 * to their last (indexes are still of the whole). */
enum { PW_CHANGE_POINTS_LEAST = 3, PW_CHANGE_POINTS_MAX_VALUES = 1000 };
int pw_change_points_find(const double *values, size_t n, double significance, double floor,
                          struct pw_change_point **ret_points, size_t *ret_count,
                          struct pw_err *err);

#endif
