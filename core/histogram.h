/*
 * Histograms as OpenTelemetry has them: counts in buckets, with explicit bounds or with bounds that
 * are powers of a base. Adding, subtracting and estimating quantiles.
 *
 * Explicit: bucket i holds values in (bounds[i-1], bounds[i]], the first from -infinity, the last
 * to +infinity. Exponential: at `scale` s the base is 2^(2^-s); bucket i of the positive range
 * holds (base^i, base^(i+1)], the negative range mirrors it, and values within [-zero_threshold,
 * zero_threshold] are in `zero_count`. Source: opentelemetry-specification, metrics data model,
 * "Histogram" and "ExponentialHistogram".
 *
 * A struct pw_histogram owns its arrays; zeroed memory is an empty one of no kind, which takes the
 * kind of the first that is added. Threads: one at a time. Limits: PW_LIMIT_HISTOGRAM_BUCKETS
 * buckets; an exponential range that would need more is made coarser (the scale lowered), an
 * explicit histogram with more becomes PW_HISTOGRAM_MIXED. Counts saturate at UINT64_MAX. What
 * comes in as `from` may borrow its arrays, and may have any scale and offsets.
 */
#ifndef PW_CORE_HISTOGRAM_H
#define PW_CORE_HISTOGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/err.h"
#include "core/value.h"

enum pw_histogram_kind {
    PW_HISTOGRAM_NONE = 0,    /* nothing was added yet, or only points without buckets */
    PW_HISTOGRAM_EXPLICIT,    /* bounds and counts */
    PW_HISTOGRAM_EXPONENTIAL, /* scale and two ranges */
    PW_HISTOGRAM_MIXED,       /* what was added does not go together: no quantiles */
};

/* A run of exponential buckets: counts[i] belongs to index offset + i. */
struct pw_histogram_range {
    int32_t offset;
    uint64_t *counts;
    size_t count;
};

struct pw_histogram {
    enum pw_histogram_kind kind;
    double *bounds;   /* explicit: `bucket_count` - 1 of them, strictly increasing */
    uint64_t *counts; /* explicit: `bucket_count` of them */
    size_t bucket_count;
    int32_t scale; /* exponential */
    double zero_threshold;
    uint64_t zero_count;
    struct pw_histogram_range positive, negative;
};

/* Frees the arrays and leaves an empty histogram. */
void pw_histogram_done(struct pw_histogram *histogram);
/* Makes `to` equal to `from`, within the limits; arrays that fit are used again. On failure `to` is
 * unchanged. */
int pw_histogram_copy(struct pw_histogram *to, const struct pw_histogram *from, struct pw_err *err);
size_t pw_histogram_bytes(const struct pw_histogram *histogram); /* of its arrays */
/* Values in all buckets. */
uint64_t pw_histogram_count(const struct pw_histogram *histogram);
/*
 * into += from. Explicit ones with different bounds, or of different kinds, become
 * PW_HISTOGRAM_MIXED, which stays, unless one has no values. Exponential ones go to the smaller
 * scale; the larger zero threshold wins, raised to the upper bound of a populated bucket that it
 * cuts through, and buckets that lie within it join the zero bucket. Fails only for memory; then
 * `into` is unchanged.
 */
int pw_histogram_add(struct pw_histogram *into, const struct pw_histogram *from,
                     struct pw_err *err);
/*
 * Whether `later` can be `earlier` with more values added: same kind and bounds (scale may have
 * become smaller, threshold larger), and no bucket lost values. False is how a reset of a
 * cumulative histogram shows. Both must be copies or sums made here, which have their zero
 * thresholds in order.
 */
bool pw_histogram_follows(const struct pw_histogram *later, const struct pw_histogram *earlier);
/* into -= earlier, where pw_histogram_follows(into, earlier). */
int pw_histogram_subtract(struct pw_histogram *into, const struct pw_histogram *earlier,
                          struct pw_err *err);
/*
 * Estimate of the quantile `q` (0 to 1) of the values, by linear (explicit) or geometric
 * (exponential) interpolation within the bucket that holds rank q * count. `min` and `max`, where
 * present, bound the first and last bucket and the result; q = 0 and 1 give them. Without `max` the
 * last explicit bucket gives its lower bound. Absent if the histogram is empty, NONE or MIXED.
 */
struct pw_value pw_histogram_quantile(const struct pw_histogram *histogram, double q,
                                      struct pw_value min, struct pw_value max);

#endif
