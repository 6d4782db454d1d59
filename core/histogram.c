#include "core/histogram.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "core/limits.h"
#include "core/saturate.h"

static bool same_bounds(const struct pw_histogram *a, const struct pw_histogram *b)
{
    return a->bucket_count == b->bucket_count &&
           (a->bucket_count < 2 ||
            memcmp(a->bounds, b->bounds, (a->bucket_count - 1) * sizeof(*a->bounds)) == 0);
}

static void become_mixed(struct pw_histogram *histogram)
{
    pw_histogram_done(histogram);
    histogram->kind = PW_HISTOGRAM_MIXED;
}

/* --- exponential buckets --- */

/* The index of the bucket that holds bucket `index` when the scale is lowered by `shift`. */
static int64_t coarser(int64_t index, int64_t shift)
{
    return index >> (shift < 63 ? shift : 63);
}

/* Lower bound of the bucket, base^index; 0 or infinity beyond the doubles. */
static double bound_of(double index, int32_t scale)
{
    /* Any exponent beyond the doubles' does; and -INT32_MIN would overflow. */
    int exponent = scale < -5000 ? 5000 : scale > 5000 ? -5000 : -scale;
    return exp2(ldexp(index, exponent));
}

/* The populated buckets of one or two ranges. */
struct extent {
    bool populated;
    int64_t low, high;
};

static void extend(struct extent *extent, const struct pw_histogram_range *range, int64_t shift)
{
    size_t first = 0;
    size_t end = range->count;
    while (first < end && range->counts[first] == 0) {
        first++;
    }
    while (end > first && range->counts[end - 1] == 0) {
        end--;
    }
    if (first == end) {
        return;
    }
    int64_t low = coarser((int64_t)range->offset + (int64_t)first, shift);
    int64_t high = coarser((int64_t)range->offset + (int64_t)end - 1, shift);
    extent->low = extent->populated && extent->low < low ? extent->low : low;
    extent->high = extent->populated && extent->high > high ? extent->high : high;
    extent->populated = true;
}

static bool extent_fits(const struct extent *extent)
{
    return !extent->populated || (extent->high - extent->low < PW_LIMIT_HISTOGRAM_BUCKETS &&
                                  extent->low >= INT32_MIN && extent->high <= INT32_MAX);
}

static int range_make(struct pw_histogram_range *range, const struct extent *extent,
                      struct pw_err *err)
{
    if (!extent->populated) {
        return 0;
    }
    size_t count = (size_t)(extent->high - extent->low) + 1;
    range->counts = calloc(count, sizeof(*range->counts));
    if (!range->counts) {
        pw_err_memory(err);
        return -1;
    }
    range->count = count;
    range->offset = (int32_t)extent->low;
    return 0;
}

/* into += from, where every populated bucket of `from` has its place. */
static void range_add(struct pw_histogram_range *into, const struct pw_histogram_range *from,
                      int64_t shift)
{
    if (!into->counts) { /* no bucket is populated */
        return;
    }
    for (size_t i = 0; i < from->count; i++) {
        if (from->counts[i] > 0) {
            int64_t index = coarser((int64_t)from->offset + (int64_t)i, shift);
            uint64_t *count = &into->counts[index - into->offset];
            *count = pw_add_saturated(*count, from->counts[i]);
        }
    }
}

/* Moves what the zero bucket reaches out of the range; true if that raised the threshold. */
static bool range_fold_zero(struct pw_histogram *histogram, struct pw_histogram_range *range)
{
    double before = histogram->zero_threshold;
    for (size_t i = 0; i < range->count; i++) {
        double index = (double)range->offset + (double)i;
        if (bound_of(index, histogram->scale) >= histogram->zero_threshold) {
            break;
        }
        if (range->counts[i] == 0) {
            continue;
        }
        histogram->zero_count = pw_add_saturated(histogram->zero_count, range->counts[i]);
        range->counts[i] = 0;
        double upper = fmin(bound_of(index + 1, histogram->scale), DBL_MAX);
        histogram->zero_threshold = fmax(histogram->zero_threshold, upper);
    }
    return histogram->zero_threshold > before;
}

static void fold_zero(struct pw_histogram *histogram)
{
    bool raised = histogram->zero_threshold > 0;
    while (raised) {
        raised = range_fold_zero(histogram, &histogram->positive);
        raised = range_fold_zero(histogram, &histogram->negative) || raised;
    }
}

static double sane_threshold(double threshold)
{
    return threshold > 0 ? fmin(threshold, DBL_MAX) : 0;
}

/* Makes the empty `out` the sum of `a` and `b`, both exponential; `b` may be NULL. */
static int sum_exponential(struct pw_histogram *out, const struct pw_histogram *a,
                           const struct pw_histogram *b, struct pw_err *err)
{
    struct extent positive = {0};
    struct extent negative = {0};
    int64_t scale = b && b->scale < a->scale ? b->scale : a->scale;
    extend(&positive, &a->positive, a->scale - scale);
    extend(&negative, &a->negative, a->scale - scale);
    if (b) {
        extend(&positive, &b->positive, b->scale - scale);
        extend(&negative, &b->negative, b->scale - scale);
    }
    while (!extent_fits(&positive) || !extent_fits(&negative)) {
        scale--;
        positive.low = coarser(positive.low, 1);
        positive.high = coarser(positive.high, 1);
        negative.low = coarser(negative.low, 1);
        negative.high = coarser(negative.high, 1);
    }
    if (scale < INT32_MIN) {
        out->kind = PW_HISTOGRAM_MIXED;
        return 0;
    }
    out->kind = PW_HISTOGRAM_EXPONENTIAL;
    out->scale = (int32_t)scale;
    out->zero_threshold =
        sane_threshold(b ? fmax(a->zero_threshold, b->zero_threshold) : a->zero_threshold);
    out->zero_count = pw_add_saturated(a->zero_count, b ? b->zero_count : 0);
    if (range_make(&out->positive, &positive, err) != 0 ||
        range_make(&out->negative, &negative, err) != 0) {
        pw_histogram_done(out);
        return -1;
    }
    range_add(&out->positive, &a->positive, a->scale - scale);
    range_add(&out->negative, &a->negative, a->scale - scale);
    if (b) {
        range_add(&out->positive, &b->positive, b->scale - scale);
        range_add(&out->negative, &b->negative, b->scale - scale);
    }
    fold_zero(out);
    return 0;
}

/* Whether `range` has a place for each populated bucket of `part`, of the same scale. */
static bool range_holds(const struct pw_histogram_range *range,
                        const struct pw_histogram_range *part)
{
    struct extent extent = {0};
    extend(&extent, part, 0);
    return !extent.populated || (extent.low >= range->offset &&
                                 extent.high < (int64_t)range->offset + (int64_t)range->count);
}

static int add_exponential(struct pw_histogram *into, const struct pw_histogram *from,
                           struct pw_err *err)
{
    if (into->scale == from->scale && into->zero_threshold <= 0 && !(from->zero_threshold > 0) &&
        range_holds(&into->positive, &from->positive) &&
        range_holds(&into->negative, &from->negative)) {
        range_add(&into->positive, &from->positive, 0);
        range_add(&into->negative, &from->negative, 0);
        into->zero_count = pw_add_saturated(into->zero_count, from->zero_count);
        return 0;
    }
    struct pw_histogram sum = {0};
    if (sum_exponential(&sum, into, from, err) != 0) {
        return -1;
    }
    pw_histogram_done(into);
    *into = sum;
    return 0;
}

/*
 * Looks up what `earlier` has in each bucket of `later`, whose scale is lower by `shift`. False if
 * `later` has less somewhere. What the zero threshold of `later` reaches goes to *ret_zero, for it
 * cuts through no populated bucket. With `take`, it is taken out of `later`.
 */
static bool range_covers(const struct pw_histogram *later, const struct pw_histogram_range *range,
                         const struct pw_histogram_range *earlier, int64_t shift, bool take,
                         uint64_t *ret_zero)
{
    for (size_t i = 0; i < earlier->count;) {
        int64_t index = coarser((int64_t)earlier->offset + (int64_t)i, shift);
        uint64_t count = 0;
        while (i < earlier->count &&
               coarser((int64_t)earlier->offset + (int64_t)i, shift) == index) {
            count = pw_add_saturated(count, earlier->counts[i++]);
        }
        if (count == 0) {
            continue;
        }
        int64_t at = index - range->offset;
        uint64_t *place = at >= 0 && at < (int64_t)range->count ? &range->counts[at] : NULL;
        if (later->zero_threshold > 0 &&
            bound_of((double)index, later->scale) < later->zero_threshold) {
            *ret_zero = pw_add_saturated(*ret_zero, count);
        } else if (!place || *place < count) {
            return false;
        } else if (take) {
            *place -= count;
        }
    }
    return true;
}

static bool exponential_covers(const struct pw_histogram *later, const struct pw_histogram *earlier,
                               bool take, uint64_t *ret_zero)
{
    int64_t shift = (int64_t)earlier->scale - later->scale;
    uint64_t zero = earlier->zero_count;
    if (shift < 0 || later->zero_threshold < earlier->zero_threshold ||
        !range_covers(later, &later->positive, &earlier->positive, shift, take, &zero) ||
        !range_covers(later, &later->negative, &earlier->negative, shift, take, &zero)) {
        return false;
    }
    *ret_zero = zero;
    return zero <= later->zero_count;
}

/* --- all kinds --- */

void pw_histogram_done(struct pw_histogram *histogram)
{
    free(histogram->bounds);
    free(histogram->counts);
    free(histogram->positive.counts);
    free(histogram->negative.counts);
    *histogram = (struct pw_histogram){0};
}

size_t pw_histogram_bytes(const struct pw_histogram *histogram)
{
    size_t bounds = histogram->bucket_count > 0 ? histogram->bucket_count - 1 : 0;
    return bounds * sizeof(*histogram->bounds) +
           (histogram->bucket_count + histogram->positive.count + histogram->negative.count) *
               sizeof(*histogram->counts);
}

/* At least one of each, so that NULL means no memory. */
static int allocate_explicit(struct pw_histogram *histogram, size_t bucket_count,
                             struct pw_err *err)
{
    struct pw_histogram made = {.kind = PW_HISTOGRAM_EXPLICIT, .bucket_count = bucket_count};
    made.bounds = calloc(bucket_count > 1 ? bucket_count - 1 : 1, sizeof(*made.bounds));
    made.counts = calloc(bucket_count > 0 ? bucket_count : 1, sizeof(*made.counts));
    if (!made.bounds || !made.counts) {
        pw_histogram_done(&made);
        pw_err_memory(err);
        return -1;
    }
    *histogram = made;
    return 0;
}

static int copy_explicit(struct pw_histogram *to, const struct pw_histogram *from,
                         struct pw_err *err)
{
    if (from->bucket_count > PW_LIMIT_HISTOGRAM_BUCKETS) {
        become_mixed(to);
        return 0;
    }
    if (to->kind != PW_HISTOGRAM_EXPLICIT || to->bucket_count != from->bucket_count) {
        struct pw_histogram made;
        if (allocate_explicit(&made, from->bucket_count, err) != 0) {
            return -1;
        }
        pw_histogram_done(to);
        *to = made;
    }
    if (from->bucket_count > 1) {
        memcpy(to->bounds, from->bounds, (from->bucket_count - 1) * sizeof(*to->bounds));
    }
    if (from->bucket_count > 0) {
        memcpy(to->counts, from->counts, from->bucket_count * sizeof(*to->counts));
    }
    return 0;
}

int pw_histogram_copy(struct pw_histogram *to, const struct pw_histogram *from, struct pw_err *err)
{
    if (from->kind == PW_HISTOGRAM_EXPLICIT) {
        return copy_explicit(to, from, err);
    }
    struct pw_histogram made = {.kind = from->kind};
    if (from->kind == PW_HISTOGRAM_EXPONENTIAL && sum_exponential(&made, from, NULL, err) != 0) {
        return -1;
    }
    pw_histogram_done(to);
    *to = made;
    return 0;
}

uint64_t pw_histogram_count(const struct pw_histogram *histogram)
{
    uint64_t count = histogram->zero_count;
    for (size_t i = 0; i < histogram->bucket_count; i++) {
        count = pw_add_saturated(count, histogram->counts[i]);
    }
    for (size_t i = 0; i < histogram->positive.count; i++) {
        count = pw_add_saturated(count, histogram->positive.counts[i]);
    }
    for (size_t i = 0; i < histogram->negative.count; i++) {
        count = pw_add_saturated(count, histogram->negative.counts[i]);
    }
    return count;
}

/* An empty one takes any buckets. */
static int add_other_buckets(struct pw_histogram *into, const struct pw_histogram *from,
                             struct pw_err *err)
{
    if (from->kind != PW_HISTOGRAM_MIXED && pw_histogram_count(into) == 0) {
        return pw_histogram_copy(into, from, err);
    }
    if (from->kind == PW_HISTOGRAM_MIXED || pw_histogram_count(from) > 0) {
        become_mixed(into);
    }
    return 0;
}

int pw_histogram_add(struct pw_histogram *into, const struct pw_histogram *from, struct pw_err *err)
{
    if (from->kind == PW_HISTOGRAM_NONE || into->kind == PW_HISTOGRAM_MIXED) {
        return 0;
    }
    if (into->kind == PW_HISTOGRAM_NONE) {
        return pw_histogram_copy(into, from, err);
    }
    if (into->kind != from->kind ||
        (into->kind == PW_HISTOGRAM_EXPLICIT && !same_bounds(into, from))) {
        return add_other_buckets(into, from, err);
    }
    if (into->kind == PW_HISTOGRAM_EXPONENTIAL) {
        return add_exponential(into, from, err);
    }
    for (size_t i = 0; i < into->bucket_count; i++) {
        into->counts[i] = pw_add_saturated(into->counts[i], from->counts[i]);
    }
    return 0;
}

bool pw_histogram_follows(const struct pw_histogram *later, const struct pw_histogram *earlier)
{
    uint64_t zero = 0;
    if (earlier->kind == PW_HISTOGRAM_NONE) {
        return true;
    }
    if (later->kind != earlier->kind) {
        return false;
    }
    if (later->kind == PW_HISTOGRAM_EXPONENTIAL) {
        return exponential_covers(later, earlier, false, &zero);
    }
    if (later->kind == PW_HISTOGRAM_MIXED) {
        return true;
    }
    if (!same_bounds(later, earlier)) {
        return false;
    }
    for (size_t i = 0; i < later->bucket_count; i++) {
        if (later->counts[i] < earlier->counts[i]) {
            return false;
        }
    }
    return true;
}

int pw_histogram_subtract(struct pw_histogram *into, const struct pw_histogram *earlier,
                          struct pw_err *err)
{
    uint64_t zero = 0;
    if (!pw_histogram_follows(into, earlier)) {
        return pw_err_set(err, PW_ERR_INTERNAL, "a histogram less one that it does not follow");
    }
    if (into->kind != earlier->kind) {
        return 0;
    }
    if (into->kind == PW_HISTOGRAM_EXPONENTIAL) {
        exponential_covers(into, earlier, true, &zero);
        into->zero_count -= zero;
    }
    for (size_t i = 0; i < into->bucket_count; i++) {
        into->counts[i] -= earlier->counts[i];
    }
    return 0;
}

/* --- quantiles --- */

/* A walk over buckets in the order of their values, to the one that holds the rank. */
struct search {
    double rank, below; /* values wanted, values seen */
    double share;       /* of the bucket that was found: how far into it */
};

static bool holds_rank(struct search *search, uint64_t count)
{
    double upto = search->below + (double)count;
    if (count == 0 || upto < search->rank) {
        search->below = upto;
        return false;
    }
    search->share = (search->rank - search->below) / (double)count;
    return true;
}

static double clamp(double number, struct pw_value min, struct pw_value max)
{
    if (pw_value_is_present(min) && number < min.number) {
        return min.number;
    }
    if (pw_value_is_present(max) && number > max.number) {
        return max.number;
    }
    return number;
}

/* Linear between the bounds of bucket `at`; where one is open, what is known of it. */
static struct pw_value within_explicit(const struct pw_histogram *histogram, size_t at,
                                       double share, struct pw_value min, struct pw_value max)
{
    size_t last = histogram->bucket_count - 1;
    struct pw_value low = min;
    struct pw_value high = max;
    if (at > 0) {
        low = pw_value_of(histogram->bounds[at - 1]);
    } else if (!pw_value_is_present(min) && last > 0) {
        low = pw_value_of(fmin(0.0, histogram->bounds[0]));
    }
    if (at < last) {
        high = pw_value_of(histogram->bounds[at]);
    } else if (!pw_value_is_present(max) && last > 0) {
        high = pw_value_of(histogram->bounds[last - 1]);
    }
    if (!pw_value_is_present(low) || !pw_value_is_present(high)) {
        return pw_value_absent(PW_ABSENT_NOT_MEASURED);
    }
    double from = clamp(low.number, min, max);
    double to = clamp(high.number, min, max);
    return pw_value_of(from * (1.0 - share) + to * share);
}

static struct pw_value quantile_explicit(const struct pw_histogram *histogram,
                                         struct search *search, struct pw_value min,
                                         struct pw_value max)
{
    for (size_t i = 0; i < histogram->bucket_count; i++) {
        if (holds_rank(search, histogram->counts[i])) {
            return within_explicit(histogram, i, search->share, min, max);
        }
    }
    return pw_value_absent(PW_ABSENT_NOT_MEASURED);
}

static double quantile_exponential(const struct pw_histogram *histogram, struct search *search)
{
    const struct pw_histogram_range *negative = &histogram->negative;
    const struct pw_histogram_range *positive = &histogram->positive;
    double zero = histogram->zero_threshold;
    for (size_t i = negative->count; i > 0; i--) {
        if (holds_rank(search, negative->counts[i - 1])) {
            double index = (double)negative->offset + (double)i - search->share;
            return -fmin(bound_of(index, histogram->scale), DBL_MAX);
        }
    }
    if (holds_rank(search, histogram->zero_count)) {
        return zero * search->share - zero * (1.0 - search->share);
    }
    for (size_t i = 0; i < positive->count; i++) {
        if (holds_rank(search, positive->counts[i])) {
            double index = (double)positive->offset + (double)i + search->share;
            return fmin(bound_of(index, histogram->scale), DBL_MAX);
        }
    }
    return 0.0; /* not reached: the last populated bucket holds every rank */
}

/* Summed as the search sums, so that rounding cannot carry a rank beyond the last bucket. */
static double count_in_order(const struct pw_histogram *histogram)
{
    struct search all = {.rank = INFINITY};
    for (size_t i = 0; i < histogram->bucket_count; i++) {
        holds_rank(&all, histogram->counts[i]);
    }
    for (size_t i = histogram->negative.count; i > 0; i--) {
        holds_rank(&all, histogram->negative.counts[i - 1]);
    }
    holds_rank(&all, histogram->zero_count);
    for (size_t i = 0; i < histogram->positive.count; i++) {
        holds_rank(&all, histogram->positive.counts[i]);
    }
    return all.below;
}

struct pw_value pw_histogram_quantile(const struct pw_histogram *histogram, double q,
                                      struct pw_value min, struct pw_value max)
{
    double count = count_in_order(histogram);
    if (count <= 0 || !(q >= 0 && q <= 1)) {
        return pw_value_absent(PW_ABSENT_NOT_MEASURED);
    }
    if (pw_value_is_present(min) && pw_value_is_present(max) && min.number > max.number) {
        min = max = pw_value_absent(PW_ABSENT_NOT_MEASURED);
    }
    if (q <= 0 && pw_value_is_present(min)) {
        return min;
    }
    if (q >= 1 && pw_value_is_present(max)) {
        return max;
    }
    struct search search = {.rank = q * count};
    if (histogram->kind == PW_HISTOGRAM_EXPLICIT) {
        return quantile_explicit(histogram, &search, min, max);
    }
    return pw_value_of(clamp(quantile_exponential(histogram, &search), min, max));
}
