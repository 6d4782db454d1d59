#include "core/histogram.h"

#include <float.h>
#include "core/limits.h"
#include "tests/unit/unit.h"

static const struct pw_value none = {.state = PW_ABSENT_NOT_MEASURED};

/* The same in every run: splitmix64. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static double random_unit(uint64_t *state)
{
    return ((double)(next_random(state) >> 11) + 0.5) * 0x1p-53;
}

/* Borrows its arrays. */
static struct pw_histogram explicit_view(double *bounds, uint64_t *counts, size_t bucket_count)
{
    return (struct pw_histogram){.kind = PW_HISTOGRAM_EXPLICIT,
                                 .bounds = bounds,
                                 .counts = counts,
                                 .bucket_count = bucket_count};
}

static struct pw_histogram exponential_view(int32_t scale, int32_t offset, uint64_t *counts,
                                            size_t count)
{
    return (struct pw_histogram){
        .kind = PW_HISTOGRAM_EXPONENTIAL, .scale = scale, .positive = {offset, counts, count}};
}

static void add(struct pw_histogram *into, const struct pw_histogram *from)
{
    assert_int_equal(pw_histogram_add(into, from, NULL), 0);
}

/* --- quantiles --- */

static void test_explicit_quantiles(void **state)
{
    (void)state;
    double bounds[] = {10, 20, 50};
    uint64_t counts[] = {1, 1, 2, 0};
    struct pw_histogram histogram = explicit_view(bounds, counts, 4);
    assert_value(pw_histogram_quantile(&histogram, 0.5, none, none), 20.0);
    assert_value(pw_histogram_quantile(&histogram, 0.75, none, none), 35.0);
    assert_value(pw_histogram_quantile(&histogram, 0.125, none, none), 5.0);
    assert_value(pw_histogram_quantile(&histogram, 0.0, none, none), 0.0);
    assert_value(pw_histogram_quantile(&histogram, 1.0, none, none), 50.0);
    /* What is known of the extremes. */
    assert_value(pw_histogram_quantile(&histogram, 0.125, pw_value_of(8), none), 9.0);
    assert_value(pw_histogram_quantile(&histogram, 0.75, none, pw_value_of(40)), 30.0);
    assert_value(pw_histogram_quantile(&histogram, 0.0, pw_value_of(8), pw_value_of(40)), 8.0);
    assert_value(pw_histogram_quantile(&histogram, 1.0, pw_value_of(8), pw_value_of(40)), 40.0);
    /* Extremes that contradict each other are not used. */
    assert_value(pw_histogram_quantile(&histogram, 0.75, pw_value_of(40), pw_value_of(8)), 35.0);
    assert_absent(pw_histogram_quantile(&histogram, 1.5, none, none), PW_ABSENT_NOT_MEASURED);
    assert_absent(pw_histogram_quantile(&histogram, NAN, none, none), PW_ABSENT_NOT_MEASURED);

    /* The last bucket is open: its lower bound, unless the maximum is known. */
    counts[3] = 4;
    assert_value(pw_histogram_quantile(&histogram, 0.9, none, none), 50.0);
    assert_value(pw_histogram_quantile(&histogram, 0.75, none, pw_value_of(150)), 100.0);

    /* The first one too: from 0 if that lies below its bound. */
    double negative_bounds[] = {-5, 5};
    uint64_t low[] = {4, 0, 0};
    histogram = explicit_view(negative_bounds, low, 3);
    assert_value(pw_histogram_quantile(&histogram, 0.5, none, none), -5.0);
    assert_value(pw_histogram_quantile(&histogram, 0.5, pw_value_of(-15), none), -10.0);
}

static void test_quantile_without_buckets(void **state)
{
    (void)state;
    uint64_t one[] = {7};
    uint64_t zeros[] = {0, 0};
    double bound[] = {1};
    struct pw_histogram empty = {0};
    struct pw_histogram mixed = {.kind = PW_HISTOGRAM_MIXED};
    struct pw_histogram single = explicit_view(NULL, one, 1);
    struct pw_histogram nothing = explicit_view(bound, zeros, 2);
    struct pw_value low = pw_value_of(10);
    struct pw_value high = pw_value_of(20);
    assert_absent(pw_histogram_quantile(&empty, 0.5, low, high), PW_ABSENT_NOT_MEASURED);
    assert_absent(pw_histogram_quantile(&mixed, 0.5, low, high), PW_ABSENT_NOT_MEASURED);
    assert_absent(pw_histogram_quantile(&nothing, 0.5, low, high), PW_ABSENT_NOT_MEASURED);
    assert_absent(pw_histogram_quantile(&single, 0.5, low, none), PW_ABSENT_NOT_MEASURED);
    assert_value(pw_histogram_quantile(&single, 0.5, low, high), 15.0);
}

static void test_exponential_quantiles(void **state)
{
    (void)state;
    uint64_t counts[] = {2, 2};
    struct pw_histogram histogram = exponential_view(0, 0, counts, 2); /* (1, 2], (2, 4] */
    assert_value(pw_histogram_quantile(&histogram, 0.5, none, none), 2.0);
    assert_value(pw_histogram_quantile(&histogram, 0.25, none, none), sqrt(2.0));
    assert_value(pw_histogram_quantile(&histogram, 0.75, none, none), 2.0 * sqrt(2.0));
    assert_value(pw_histogram_quantile(&histogram, 0.0, none, none), 1.0);
    assert_value(pw_histogram_quantile(&histogram, 1.0, none, none), 4.0);
    assert_value(pw_histogram_quantile(&histogram, 0.99, none, pw_value_of(3)), 3.0);
    assert_value(pw_histogram_quantile(&histogram, 0.01, pw_value_of(1.5), none), 1.5);

    /* Scale -1: base 4; index -2 is (1/16, 1/4]. Scale 2: base 2^(1/4). */
    histogram = exponential_view(-1, -2, counts, 1);
    assert_value(pw_histogram_quantile(&histogram, 0.5, none, none), 0.125);
    histogram = exponential_view(2, 4, counts, 1);
    assert_value(pw_histogram_quantile(&histogram, 1.0, none, none), pow(2.0, 5.0 / 4.0));

    /* Negative ones mirrored, from the largest distance to zero; then the zero bucket. */
    uint64_t negative[] = {4, 4};
    uint64_t positive[] = {4};
    histogram = exponential_view(0, 0, positive, 1);
    histogram.negative = (struct pw_histogram_range){0, negative, 2};
    histogram.zero_count = 4;
    histogram.zero_threshold = 0.5;
    assert_value(pw_histogram_quantile(&histogram, 0.0, none, none), -4.0);
    assert_value(pw_histogram_quantile(&histogram, 2.0 / 16, none, none), -2.0 * sqrt(2.0));
    assert_value(pw_histogram_quantile(&histogram, 6.0 / 16, none, none), -sqrt(2.0));
    assert_value(pw_histogram_quantile(&histogram, 8.0 / 16, none, none), -1.0);
    assert_value(pw_histogram_quantile(&histogram, 9.0 / 16, none, none), -0.25);
    assert_value(pw_histogram_quantile(&histogram, 10.0 / 16, none, none), 0.0);
    assert_value(pw_histogram_quantile(&histogram, 14.0 / 16, none, none), sqrt(2.0));
}

/* One piece of a distribution, as the definitions in the specification have it. */
struct piece {
    long double low, high; /* for a geometric piece: exponents of 2 of the distance to zero */
    bool geometric, negative;
    uint64_t count;
};

/* By the definition, over a list of pieces, in long double and from the top down. */
static double slow_quantile(const struct piece *pieces, size_t n, double q)
{
    long double total = 0;
    long double above = 0;
    for (size_t i = 0; i < n; i++) {
        total += (long double)pieces[i].count;
    }
    for (size_t i = n; i > 0; i--) {
        const struct piece *piece = &pieces[i - 1];
        long double before = total - above - (long double)piece->count;
        bool is_first = true;
        for (size_t j = 0; j + 1 < i; j++) {
            is_first = is_first && pieces[j].count == 0;
        }
        if (piece->count > 0 && (before < (long double)q * total || is_first)) {
            long double share = ((long double)q * total - before) / (long double)piece->count;
            long double at = piece->low + share * (piece->high - piece->low);
            if (!piece->geometric) {
                return (double)at;
            }
            return (double)(piece->negative ? -powl(2.0L, at) : powl(2.0L, at));
        }
        above += (long double)piece->count;
    }
    return NAN;
}

static void test_quantiles_against_definition(void **state)
{
    (void)state;
    uint64_t random = 1;
    for (int round = 0; round < 2000; round++) {
        struct piece pieces[40];
        double bounds[12];
        uint64_t counts[13];
        size_t n = 1 + next_random(&random) % 12;
        double bound = random_unit(&random) * 20 - 10;
        for (size_t i = 0; i < n; i++) {
            bounds[i] = bound;
            bound += 0.01 + random_unit(&random) * 10;
        }
        uint64_t any = 0;
        for (size_t i = 0; i <= n; i++) {
            counts[i] = next_random(&random) % 3 == 0 ? 0 : next_random(&random) % 100;
            any += counts[i];
            pieces[i] = (struct piece){.low = i == 0 ? fmin(0, bounds[0]) : bounds[i - 1],
                                       .high = i == n ? bounds[n - 1] : bounds[i],
                                       .count = counts[i]};
        }
        double q = random_unit(&random);
        struct pw_histogram histogram = explicit_view(bounds, counts, n + 1);
        struct pw_value estimate = pw_histogram_quantile(&histogram, q, none, none);
        if (any == 0) {
            assert_absent(estimate, PW_ABSENT_NOT_MEASURED);
        } else {
            assert_true(fabs(estimate.number - slow_quantile(pieces, n + 1, q)) < 1e-9);
        }

        int32_t scale = (int32_t)(next_random(&random) % 8) - 3;
        int32_t offset = (int32_t)(next_random(&random) % 20) - 10;
        double factor = exp2(-scale);
        histogram = exponential_view(scale, offset, counts, n);
        histogram.negative = (struct pw_histogram_range){offset, counts, n};
        histogram.zero_count = counts[n];
        histogram.zero_threshold = exp2(offset * factor) / 2;
        for (size_t i = 0; i < n; i++) {
            double low = (double)(offset + (int32_t)i) * factor;
            pieces[n - 1 - i] = (struct piece){low + factor, low, true, true, counts[i]};
            pieces[n + 1 + i] = (struct piece){low, low + factor, true, false, counts[i]};
        }
        pieces[n] = (struct piece){-histogram.zero_threshold, histogram.zero_threshold, false,
                                   false, counts[n]};
        estimate = pw_histogram_quantile(&histogram, q, none, none);
        if (any > 0) {
            double slow = slow_quantile(pieces, 2 * n + 1, q);
            assert_true(fabs(estimate.number - slow) <= 1e-9 * fabs(slow) + 1e-300);
        }
    }
}

static int compare_doubles(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a > b) - (a < b);
}

/* The index of the bucket, by the definition: base^i < value <= base^(i+1). */
static int64_t index_of(double value, int32_t scale)
{
    return (int64_t)ceil(ldexp(log2(value), scale)) - 1;
}

enum { VALUES = 200, INDEX_MOST = 3000 };

struct values {
    double list[VALUES], min, max;
};

static void draw(struct values *values, uint64_t *random, double spread)
{
    for (size_t i = 0; i < VALUES; i++) {
        values->list[i] = exp(random_unit(random) * spread - spread / 3);
    }
    qsort(values->list, VALUES, sizeof(values->list[0]), compare_doubles);
    values->min = values->list[0];
    values->max = values->list[VALUES - 1];
}

/* All values, one by one, as an SDK would count them; `counts` holds 2 * INDEX_MOST. */
static struct pw_histogram count_exponential(const struct values *values, size_t first, size_t end,
                                             int32_t scale, uint64_t *counts)
{
    memset(counts, 0, (size_t)2 * INDEX_MOST * sizeof(*counts));
    for (size_t i = first; i < end; i++) {
        int64_t index = index_of(values->list[i], scale);
        assert_true(index >= -INDEX_MOST && index < INDEX_MOST);
        counts[index + INDEX_MOST]++;
    }
    return exponential_view(scale, -INDEX_MOST, counts, 2 * (size_t)INDEX_MOST);
}

static void test_estimates_lie_in_the_right_bucket(void **state)
{
    (void)state;
    static uint64_t counts[2 * INDEX_MOST];
    uint64_t random = 2;
    for (int round = 0; round < 200; round++) {
        struct values values;
        double bounds[] = {0.1, 0.5, 1, 2, 5, 10, 50, 100, 1000};
        uint64_t buckets[10] = {0};
        draw(&values, &random, 8);
        struct pw_value min = pw_value_of(values.min);
        struct pw_value max = pw_value_of(values.max);
        for (size_t i = 0; i < VALUES; i++) {
            size_t at = 0;
            while (at < 9 && values.list[i] > bounds[at]) {
                at++;
            }
            buckets[at]++;
        }
        double q = random_unit(&random);
        double truth = values.list[(size_t)(ceil(q * VALUES)) - 1];
        struct pw_histogram histogram = explicit_view(bounds, buckets, 10);
        double estimate = pw_histogram_quantile(&histogram, q, min, max).number;
        size_t at = 0;
        while (at < 9 && truth > bounds[at]) {
            at++;
        }
        assert_true(estimate <= fmin(at < 9 ? bounds[at] : INFINITY, values.max));
        assert_true(estimate >= fmax(at > 0 ? bounds[at - 1] : 0, values.min));

        int32_t scale = (int32_t)(next_random(&random) % 7) - 1;
        histogram = count_exponential(&values, 0, VALUES, scale, counts);
        estimate = pw_histogram_quantile(&histogram, q, min, max).number;
        double base = exp2(exp2(-scale));
        assert_true(estimate <= truth * base * (1 + 1e-12));
        assert_true(estimate >= truth / base * (1 - 1e-12));
    }
}

/* --- adding --- */

static void test_explicit_adds(void **state)
{
    (void)state;
    double bounds[] = {1, 2};
    uint64_t counts[] = {1, 2, UINT64_MAX - 1};
    struct pw_histogram view = explicit_view(bounds, counts, 3);
    struct pw_histogram sum = {0};
    add(&sum, &view);
    assert_ptr_not_equal(sum.counts, counts);
    const uint64_t *kept = sum.counts;
    counts[2] = 1;
    add(&sum, &view);
    assert_ptr_equal(sum.counts, kept); /* nothing is allocated for known bounds */
    assert_int_equal(sum.counts[0], 2);
    assert_int_equal(sum.counts[1], 4);
    assert_true(sum.counts[2] == UINT64_MAX);
    add(&sum, &view);
    assert_true(sum.counts[2] == UINT64_MAX);
    assert_true(pw_histogram_count(&sum) == UINT64_MAX);
    assert_int_equal(pw_histogram_bytes(&sum), 2 * 8 + 3 * 8);

    struct pw_histogram copy = {0};
    assert_int_equal(pw_histogram_copy(&copy, &view, NULL), 0);
    kept = copy.counts;
    counts[0] = 77;
    assert_int_equal(pw_histogram_copy(&copy, &view, NULL), 0);
    assert_ptr_equal(copy.counts, kept);
    assert_int_equal(copy.counts[0], 77);
    pw_histogram_done(&copy);
    pw_histogram_done(&sum);
    pw_histogram_done(&sum); /* twice is fine */
}

static void test_what_does_not_go_together(void **state)
{
    (void)state;
    double bounds[] = {1, 2};
    double others[] = {1, 3};
    uint64_t counts[] = {1, 1, 1};
    uint64_t zeros[] = {0, 0, 0};
    struct pw_histogram view = explicit_view(bounds, counts, 3);
    struct pw_histogram other = explicit_view(others, counts, 3);
    struct pw_histogram empty = explicit_view(others, zeros, 3);
    struct pw_histogram exponential = exponential_view(0, 0, counts, 3);
    struct pw_histogram sum = {0};
    add(&sum, &(struct pw_histogram){0});
    assert_int_equal(sum.kind, PW_HISTOGRAM_NONE);
    add(&sum, &empty);
    add(&sum, &view); /* no value is in the wrong bucket */
    add(&sum, &empty);
    assert_int_equal(sum.kind, PW_HISTOGRAM_EXPLICIT);
    assert_int_equal(pw_histogram_count(&sum), 3);
    add(&sum, &other);
    assert_int_equal(sum.kind, PW_HISTOGRAM_MIXED);
    add(&sum, &view);
    assert_int_equal(sum.kind, PW_HISTOGRAM_MIXED);
    pw_histogram_done(&sum);

    add(&sum, &view);
    add(&sum, &exponential);
    assert_int_equal(sum.kind, PW_HISTOGRAM_MIXED);
    assert_int_equal(pw_histogram_bytes(&sum), 0);
    pw_histogram_done(&sum);

    static double many[PW_LIMIT_HISTOGRAM_BUCKETS];
    static uint64_t ones[PW_LIMIT_HISTOGRAM_BUCKETS + 1];
    for (int i = 0; i < PW_LIMIT_HISTOGRAM_BUCKETS; i++) {
        many[i] = i;
        ones[i] = 1;
    }
    struct pw_histogram large = explicit_view(many, ones, PW_LIMIT_HISTOGRAM_BUCKETS);
    add(&sum, &large);
    assert_int_equal(sum.kind, PW_HISTOGRAM_EXPLICIT);
    pw_histogram_done(&sum);
    large.bucket_count++;
    add(&sum, &large);
    assert_int_equal(sum.kind, PW_HISTOGRAM_MIXED);
    pw_histogram_done(&sum);
}

static uint64_t count_at(const struct pw_histogram_range *range, int64_t index)
{
    int64_t at = index - range->offset;
    return at >= 0 && at < (int64_t)range->count ? range->counts[at] : 0;
}

static void assert_same_buckets(const struct pw_histogram *a, const struct pw_histogram *b)
{
    assert_int_equal(a->scale, b->scale);
    assert_int_equal(a->zero_count, b->zero_count);
    for (int64_t index = -INDEX_MOST; index < INDEX_MOST; index++) {
        assert_int_equal(count_at(&a->positive, index), count_at(&b->positive, index));
        assert_int_equal(count_at(&a->negative, index), count_at(&b->negative, index));
    }
}

/* Parts at different scales come to the same as all values at the smallest one. */
static void test_exponential_adds(void **state)
{
    (void)state;
    static uint64_t counts[2 * INDEX_MOST];
    uint64_t random = 3;
    for (int round = 0; round < 100; round++) {
        struct values values;
        struct pw_histogram sum = {0};
        int32_t smallest = 6;
        draw(&values, &random, 5);
        for (size_t first = 0; first < VALUES; first += 50) {
            int32_t scale = (int32_t)(next_random(&random) % 8) - 2;
            smallest = scale < smallest ? scale : smallest;
            struct pw_histogram part = count_exponential(&values, first, first + 50, scale, counts);
            part.negative = part.positive;
            part.zero_count = 3;
            add(&sum, &part);
        }
        struct pw_histogram all = count_exponential(&values, 0, VALUES, smallest, counts);
        all.negative = all.positive;
        all.zero_count = 12;
        assert_same_buckets(&sum, &all);
        assert_int_equal(pw_histogram_count(&sum), 2 * VALUES + 12);
        pw_histogram_done(&sum);
    }
}

static void test_too_many_buckets_become_coarser(void **state)
{
    (void)state;
    static uint64_t counts[20 * PW_LIMIT_HISTOGRAM_BUCKETS];
    size_t n = sizeof(counts) / sizeof(*counts);
    for (size_t i = 0; i < n; i++) {
        counts[i] = 1;
    }
    struct pw_histogram wide = exponential_view(10, -1000, counts, n);
    struct pw_histogram sum = {0};
    add(&sum, &wide);
    assert_int_equal(sum.scale, 5); /* 20 times the limit: halved five times */
    assert_true(sum.positive.count <= PW_LIMIT_HISTOGRAM_BUCKETS);
    assert_int_equal(sum.positive.offset, -32); /* floor(-1000 / 32) */
    assert_int_equal(pw_histogram_count(&sum), n);

    /* Two that are far from each other. */
    uint64_t one[] = {1};
    struct pw_histogram low = exponential_view(20, -500000000, one, 1);
    struct pw_histogram high = exponential_view(20, 500000000, one, 1);
    pw_histogram_done(&sum);
    add(&sum, &low);
    add(&sum, &high);
    assert_true(sum.positive.count <= PW_LIMIT_HISTOGRAM_BUCKETS);
    assert_int_equal(pw_histogram_count(&sum), 2);
    assert_true(pw_histogram_quantile(&sum, 0.5, none, none).number < 1);
    assert_true(pw_histogram_quantile(&sum, 0.9, none, none).number > 1);
    pw_histogram_done(&sum);
}

static void test_zero_bucket(void **state)
{
    (void)state;
    uint64_t counts[] = {1, 2, 4, 8}; /* (1/4, 1/2], (1/2, 1], (1, 2], (2, 4] */
    struct pw_histogram view = exponential_view(0, -2, counts, 4);
    struct pw_histogram threshold = {
        .kind = PW_HISTOGRAM_EXPONENTIAL, .zero_threshold = 1, .zero_count = 100, .scale = 0};
    struct pw_histogram sum = {0};
    add(&sum, &view);
    add(&sum, &threshold); /* on a border */
    assert_int_equal(sum.zero_count, 103);
    assert_near(sum.zero_threshold, 1.0);
    assert_int_equal(count_at(&sum.positive, -1), 0);
    assert_int_equal(count_at(&sum.positive, 0), 4);

    threshold.zero_threshold = 1.5; /* within a populated bucket: up to its end */
    add(&sum, &threshold);
    assert_int_equal(sum.zero_count, 207);
    assert_near(sum.zero_threshold, 2.0);
    assert_int_equal(count_at(&sum.positive, 1), 8);

    threshold.zero_threshold = 0.001; /* the larger one stays */
    add(&sum, &threshold);
    assert_near(sum.zero_threshold, 2.0);
    assert_int_equal(sum.zero_count, 307);

    /* What comes in is measured by the threshold too, and raises it for both ranges. */
    struct pw_histogram negative = {.kind = PW_HISTOGRAM_EXPONENTIAL,
                                    .scale = -1, /* (1, 4] */
                                    .negative = {0, counts, 1}};
    add(&sum, &negative);
    assert_near(sum.zero_threshold, 4.0);
    assert_int_equal(sum.zero_count, 307 + 8 + 1);
    assert_int_equal(pw_histogram_count(&sum), 316);
    pw_histogram_done(&sum);
}

/* --- later and earlier states --- */

static void test_explicit_differences(void **state)
{
    (void)state;
    double bounds[] = {1};
    double others[] = {2};
    uint64_t before[] = {3, 4};
    uint64_t after[] = {3, 9};
    struct pw_histogram earlier = explicit_view(bounds, before, 2);
    struct pw_histogram later = explicit_view(bounds, after, 2);
    struct pw_histogram other = explicit_view(others, after, 2);
    struct pw_histogram empty = {0};
    struct pw_histogram less = {0};
    assert_true(pw_histogram_follows(&later, &earlier));
    assert_true(pw_histogram_follows(&later, &later));
    assert_true(pw_histogram_follows(&later, &empty));
    assert_false(pw_histogram_follows(&earlier, &later));
    assert_false(pw_histogram_follows(&other, &earlier));
    assert_false(pw_histogram_follows(&empty, &earlier));
    add(&less, &later);
    assert_int_equal(pw_histogram_subtract(&less, &earlier, NULL), 0);
    assert_int_equal(less.counts[0], 0);
    assert_int_equal(less.counts[1], 5);
    assert_int_equal(pw_histogram_subtract(&less, &empty, NULL), 0);
    struct pw_err err = PW_ERR_INIT;
    assert_int_equal(pw_histogram_subtract(&less, &other, &err), -1);
    assert_int_equal(err.cls, PW_ERR_INTERNAL);
    assert_int_equal(less.counts[1], 5);
    pw_histogram_done(&less);
}

/* A cumulative histogram grows, its scale falls, its zero threshold rises: what was added between
 * two states is what was added. */
static void test_exponential_differences(void **state)
{
    (void)state;
    static uint64_t counts[2 * INDEX_MOST];
    uint64_t random = 4;
    for (int round = 0; round < 100; round++) {
        struct values values;
        struct pw_histogram cumulative = {0};
        struct pw_histogram earlier = {0};
        int32_t scale = 6;
        draw(&values, &random, 5);
        for (size_t first = 0; first < VALUES; first += 50) {
            scale -= (int32_t)(next_random(&random) % 3);
            struct pw_histogram part = count_exponential(&values, first, first + 50, scale, counts);
            part.zero_count = next_random(&random) % 5;
            if (next_random(&random) % 3 == 0) {
                part.zero_threshold = values.list[first / 4] * random_unit(&random);
            }
            assert_int_equal(pw_histogram_copy(&earlier, &cumulative, NULL), 0);
            add(&cumulative, &part);
            assert_true(pw_histogram_follows(&cumulative, &earlier));
            assert_int_equal(pw_histogram_follows(&earlier, &cumulative), false);

            struct pw_histogram less = {0};
            assert_int_equal(pw_histogram_copy(&less, &cumulative, NULL), 0);
            assert_int_equal(pw_histogram_subtract(&less, &earlier, NULL), 0);
            assert_int_equal(pw_histogram_count(&less), 50 + part.zero_count);
            struct pw_histogram part_alone = {0};
            struct pw_histogram threshold = {.kind = PW_HISTOGRAM_EXPONENTIAL,
                                             .scale = cumulative.scale,
                                             .zero_threshold = cumulative.zero_threshold};
            add(&part_alone, &part);
            add(&part_alone, &threshold);
            assert_same_buckets(&less, &part_alone);
            pw_histogram_done(&part_alone);
            pw_histogram_done(&less);
        }
        pw_histogram_done(&earlier);
        pw_histogram_done(&cumulative);
    }
}

static void test_exponential_resets(void **state)
{
    (void)state;
    uint64_t counts[] = {5, 5};
    uint64_t fewer[] = {5, 4};
    struct pw_histogram earlier = exponential_view(2, 8, counts, 2);
    struct pw_histogram later = exponential_view(2, 8, fewer, 2);
    assert_false(pw_histogram_follows(&later, &earlier));
    later = exponential_view(2, 9, counts, 2); /* the first bucket is gone */
    assert_false(pw_histogram_follows(&later, &earlier));
    later = exponential_view(3, 8, counts, 2); /* a finer scale cannot come of a coarser one */
    assert_false(pw_histogram_follows(&later, &earlier));
    earlier.zero_count = 1;
    later = exponential_view(2, 8, counts, 2);
    assert_false(pw_histogram_follows(&later, &earlier));
    later.zero_count = 1;
    assert_true(pw_histogram_follows(&later, &earlier));
    earlier.zero_threshold = 0.1;
    assert_false(pw_histogram_follows(&later, &earlier));
}

/* --- anything that a sender may write --- */

static void test_extremes(void **state)
{
    (void)state;
    static const int32_t scales[] = {INT32_MIN, INT32_MIN + 1, -100,     -11, -1, 0, 1, 20,
                                     62,        100,           INT32_MAX};
    static const int32_t offsets[] = {INT32_MIN, INT32_MIN + 1, -1, 0, 1, INT32_MAX - 1, INT32_MAX};
    static const double thresholds[] = {0, 1e-300, 1, DBL_MAX, INFINITY, NAN, -1};
    uint64_t counts[] = {UINT64_MAX, 0, 1};
    uint64_t random = 5;
    for (int round = 0; round < 20000; round++) {
        struct pw_histogram sum = {0};
        for (int part = 0; part < 3; part++) {
            struct pw_histogram view = exponential_view(scales[next_random(&random) % 11],
                                                        offsets[next_random(&random) % 7], counts,
                                                        next_random(&random) % 4);
            view.negative = (struct pw_histogram_range){offsets[next_random(&random) % 7], counts,
                                                        next_random(&random) % 4};
            view.zero_threshold = thresholds[next_random(&random) % 7];
            view.zero_count = next_random(&random) % 2 ? UINT64_MAX : 0;
            struct pw_histogram earlier = {0};
            struct pw_histogram copy = {0};
            assert_int_equal(pw_histogram_copy(&earlier, &sum, NULL), 0);
            add(&sum, &view);
            assert_int_equal(pw_histogram_copy(&copy, &sum, NULL), 0);
            if (pw_histogram_follows(&copy, &earlier)) {
                assert_int_equal(pw_histogram_subtract(&copy, &earlier, NULL), 0);
            }
            pw_histogram_done(&earlier);
            pw_histogram_done(&copy);
        }
        struct pw_value median = pw_histogram_quantile(&sum, 0.5, none, none);
        if (pw_value_is_present(median)) {
            assert_true(isfinite(median.number));
        } else {
            assert_true(sum.kind == PW_HISTOGRAM_MIXED || pw_histogram_count(&sum) == 0);
        }
        assert_true(sum.positive.count <= PW_LIMIT_HISTOGRAM_BUCKETS);
        assert_true(sum.negative.count <= PW_LIMIT_HISTOGRAM_BUCKETS);
        pw_histogram_done(&sum);
    }
    double bounds[] = {-DBL_MAX, DBL_MAX};
    uint64_t full[] = {UINT64_MAX, UINT64_MAX, UINT64_MAX};
    struct pw_histogram view = explicit_view(bounds, full, 3);
    assert_value(pw_histogram_quantile(&view, 0.5, none, none), 0.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_explicit_quantiles),
        cmocka_unit_test(test_quantile_without_buckets),
        cmocka_unit_test(test_exponential_quantiles),
        cmocka_unit_test(test_quantiles_against_definition),
        cmocka_unit_test(test_estimates_lie_in_the_right_bucket),
        cmocka_unit_test(test_explicit_adds),
        cmocka_unit_test(test_what_does_not_go_together),
        cmocka_unit_test(test_exponential_adds),
        cmocka_unit_test(test_too_many_buckets_become_coarser),
        cmocka_unit_test(test_zero_bucket),
        cmocka_unit_test(test_explicit_differences),
        cmocka_unit_test(test_exponential_differences),
        cmocka_unit_test(test_exponential_resets),
        cmocka_unit_test(test_extremes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
