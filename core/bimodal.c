/*
 * Hartigan's dip test of unimodality (Hartigan and Hartigan 1985): the dip is the least distance
 * between the sample's distribution function and any with a single mode. Threshold: what 3 % of
 * normally distributed samples exceed, and no more of skewed ones (log-normal), nor of ones with
 * outliers. The paper's own threshold, of the uniform distribution, is so high that few samples
 * with two clear modes exceed it: Cheng and Hall 1998, who calibrate with a normal distribution
 * too.
 *
 * Values that were rounded stand on top of each other, which the test would take for modes. Equal
 * values are therefore spread evenly over the width of one step, the smallest distance between two
 * different values; what has only two different values is then one uniform block.
 */
#include "core/bimodal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "core/file.h"
#include "core/stats.h"

/* Upper 3 % points of sqrt(n) * dip of n normal values, from 10^6 samples each (from n = 200:
 * 300000 down to 10000). */
static const struct {
    double n, scaled_dip;
} thresholds[] = {
    {10, 0.4199},  {12, 0.4176},  {15, 0.4221},  {20, 0.4217},   {30, 0.4201},   {50, 0.4152},
    {100, 0.4041}, {200, 0.3895}, {500, 0.3684}, {1000, 0.3493}, {5000, 0.3033},
};
enum { THRESHOLD_COUNT = sizeof(thresholds) / sizeof(thresholds[0]) };

/* Ranks within the ascending values; heights are counts of values. */
struct dip {
    const double *x;
    double *minorant, *majorant; /* at each value */
    size_t *knots;
};

/* The hull of the points (x[i], i + offset), low <= i <= high: from below (side 1) or above (side
 * -1). Its height at each x[i] goes to `height`. */
static void fit_hull(struct dip *dip, size_t low, size_t high, double offset, double side,
                     double *height)
{
    const double *x = dip->x;
    size_t count = 0;
    for (size_t i = low; i <= high; i++) {
        while (count >= 2) {
            size_t u = dip->knots[count - 2];
            size_t v = dip->knots[count - 1];
            double turn = (x[v] - x[u]) * (double)(i - u) - (x[i] - x[u]) * (double)(v - u);
            if (side * turn > 0) {
                break;
            }
            count--;
        }
        dip->knots[count++] = i;
    }
    for (size_t k = 0; k + 1 < count; k++) {
        size_t u = dip->knots[k];
        size_t v = dip->knots[k + 1];
        height[u] = (double)u + offset;
        for (size_t i = u + 1; i < v; i++) {
            height[i] = (double)u + offset + (double)(v - u) * ((x[i] - x[u]) / (x[v] - x[u]));
        }
    }
    height[high] = (double)high + offset;
}

/* Section 2 of the paper: the modal interval shrinks until the hulls within it are closer than the
 * distances outside. Differences in `x` must be above 0. */
static double dip_of(struct dip *dip, size_t n)
{
    double distance = 1;
    size_t low = 0;
    size_t high = n - 1;
    while (low < high) {
        fit_hull(dip, low, high, 0, 1, dip->minorant);
        fit_hull(dip, low, high, 1, -1, dip->majorant);
        size_t widest = low;
        for (size_t i = low; i <= high; i++) {
            double gap = dip->majorant[i] - dip->minorant[i];
            if (gap > dip->majorant[widest] - dip->minorant[widest]) {
                widest = i;
            }
        }
        if (dip->majorant[widest] - dip->minorant[widest] <= distance) {
            break;
        }
        size_t modal_low = widest; /* the nearest points where the hulls touch */
        while (dip->minorant[modal_low] < (double)modal_low) {
            modal_low--;
        }
        size_t modal_high = widest;
        while (dip->majorant[modal_high] > (double)modal_high + 1) {
            modal_high++;
        }
        for (size_t i = low; i <= modal_low; i++) {
            distance = fmax(distance, (double)i + 1 - dip->minorant[i]);
        }
        for (size_t i = modal_high; i <= high; i++) {
            distance = fmax(distance, dip->majorant[i] - (double)i);
        }
        if (modal_low == low && modal_high == high) {
            break;
        }
        low = modal_low;
        high = modal_high;
    }
    return distance / (2 * (double)n);
}

static double threshold(size_t n)
{
    double size = (double)n;
    size_t above = 1;
    while (above + 1 < THRESHOLD_COUNT && thresholds[above].n < size) {
        above++;
    }
    double left = log(thresholds[above - 1].n);
    double right = log(thresholds[above].n);
    double share = fmin(1, (log(size) - left) / (right - left));
    double scaled = thresholds[above - 1].scaled_dip +
                    share * (thresholds[above].scaled_dip - thresholds[above - 1].scaled_dip);
    return scaled / sqrt(size);
}

/* Spreads equal values over the step of rounding around them: false if all are equal. Distances of
 * a billionth of the range are equal too: what conversions of units leave. */
static bool separate(double *sorted, size_t n)
{
    double equal = 1e-9 * (sorted[n - 1] - sorted[0]);
    if (!isfinite(equal) || !(equal > 0)) {
        return false;
    }
    double step = INFINITY;
    for (size_t i = 1; i < n; i++) {
        double distance = sorted[i] - sorted[i - 1];
        step = distance > equal ? fmin(step, distance) : step;
    }
    for (size_t i = 0; i < n;) {
        size_t first = i++;
        double value = sorted[first];
        while (i < n && sorted[i] - value <= equal) {
            i++;
        }
        double count = (double)(i - first);
        for (size_t k = first; count > 1 && k < i; k++) {
            sorted[k] = value + step * (((double)(k - first) + 0.5) / count - 0.5);
        }
    }
    return true;
}

int pw_dip_of(const double *values, size_t n, double *ret_dip, struct pw_err *err)
{
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(values[i])) {
            return pw_err_set(err, PW_ERR_INPUT, "value %zu of a sample is not a finite number",
                              i + 1);
        }
    }
    if (n == 0) {
        *ret_dip = 0;
        return 0;
    }
    PW_FREE_AUTO double *room = calloc(3 * n, sizeof(*room));
    PW_FREE_AUTO size_t *knots = calloc(n, sizeof(*knots));
    if (!room || !knots) {
        return pw_err_memory(err);
    }
    memcpy(room, values, n * sizeof(*room));
    pw_stats_sort(room, n);
    struct dip dip = {room, room + n, room + 2 * n, knots};
    *ret_dip = separate(room, n) ? dip_of(&dip, n) : 0;
    return 0;
}

int pw_is_bimodal(const double *values, size_t n, bool *ret_bimodal, struct pw_err *err)
{
    double dip = 0;
    if (pw_dip_of(values, n, &dip, err) != 0) {
        return -1;
    }
    *ret_bimodal = n >= PW_BIMODAL_LEAST && dip > threshold(n);
    return 0;
}
