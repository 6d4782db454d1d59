#include "core/two_samples.h"

#include "core/bimodal.h"
#include "core/err.h"
#include "core/trend.h"
#include "tests/unit/statistics.h"

static void check_intervals(const json_t *sample, const double *a, size_t n_a, const double *b,
                            size_t n_b)
{
    size_t i = 0;
    json_t *row = NULL;
    json_array_foreach(json_object_get(sample, "intervals"), i, row)
    {
        struct pw_two_samples result;
        assert_int_equal(pw_two_samples_compare(a, n_a, b, n_b, number_at(row, 0), &result, NULL),
                         0);
        assert_within(result.shift_ci.low, end_at(row, 1, -INFINITY), 0);
        assert_within(result.shift_ci.high, end_at(row, 2, INFINITY), 0);
    }
}

static void test_agreement(void **state)
{
    size_t i = 0;
    json_t *sample = NULL;
    json_array_foreach(cases_of(state, "two_samples", 100), i, sample)
    {
        double a[STATISTICS_VALUES_MAX];
        double b[STATISTICS_VALUES_MAX];
        size_t n_a = values_of(sample, "a", a);
        size_t n_b = values_of(sample, "b", b);
        struct pw_two_samples result;
        assert_int_equal(pw_two_samples_compare(a, n_a, b, n_b, 0.95, &result, NULL), 0);
        assert_int_equal(result.n_a, n_a);
        assert_int_equal(result.n_b, n_b);
        assert_near(result.median_a, number_of(sample, "median_a"));
        assert_near(result.median_b, number_of(sample, "median_b"));
        assert_near(result.shift, number_of(sample, "shift"));
        assert_near(result.effect, number_of(sample, "effect"));
        double p = number_of(sample, "p");
        assert_within(result.p, p, 1e-11 * p);
        check_intervals(sample, a, n_a, b, n_b);

        /* The other way round. */
        struct pw_two_samples mirrored;
        assert_int_equal(pw_two_samples_compare(b, n_b, a, n_a, 0.95, &mirrored, NULL), 0);
        assert_near(mirrored.shift, -result.shift);
        assert_near(mirrored.effect, -result.effect);
        assert_within(mirrored.p, p, 1e-11 * p);
        assert_within(mirrored.shift_ci.low, -result.shift_ci.high, 0);
        assert_within(mirrored.shift_ci.high, -result.shift_ci.low, 0);
    }
}

static void test_input(void **state)
{
    (void)state;
    struct pw_two_samples result = {.p = 42};
    struct pw_err err = PW_ERR_INIT;
    const double good[] = {1, 2, 3};
    const double bad[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 3; i++) {
        const double values[] = {1, bad[i], 3};
        assert_int_equal(pw_two_samples_compare(values, 3, good, 3, 0.95, &result, &err), -1);
        assert_int_equal(err.cls, PW_ERR_INPUT);
        assert_int_equal(pw_two_samples_compare(good, 3, values, 3, 0.95, &result, &err), -1);
        assert_int_equal(err.cls, PW_ERR_INPUT);
        struct pw_trend trend = {.p = 42};
        assert_int_equal(pw_trend_of(values, 3, 0.95, &trend, &err), -1);
        assert_int_equal(err.cls, PW_ERR_INPUT);
        assert_true(trend.p == 42);
        bool bimodal = true;
        assert_int_equal(pw_is_bimodal(values, 3, &bimodal, &err), -1);
        assert_int_equal(err.cls, PW_ERR_INPUT);
        assert_true(bimodal);
    }
    assert_int_equal(pw_two_samples_compare(good, 0, good, 3, 0.95, &result, &err), -1);
    assert_int_equal(err.cls, PW_ERR_INPUT);
    assert_int_equal(pw_two_samples_compare(good, 3, good, 0, 0.95, &result, &err), -1);
    assert_int_equal(err.cls, PW_ERR_INPUT);
    /* Their differences are infinite. */
    const double huge[] = {1e308, -1e308};
    assert_int_equal(pw_two_samples_compare(huge, 2, huge, 2, 0.95, &result, &err), -1);
    assert_int_equal(err.cls, PW_ERR_INPUT);
    assert_true(result.p == 42);
    struct pw_trend trend;
    assert_int_equal(pw_trend_of(huge, 2, 0.95, &trend, &err), -1);
    assert_int_equal(pw_trend_of(good, 1, 0.95, &trend, &err), -1);
    assert_int_equal(err.cls, PW_ERR_INPUT);
}

/* Large samples: a known shift, and the selection against a full list of the differences. */
static int compare(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a > b) - (a < b);
}

static void test_large(void **state)
{
    (void)state;
    enum { N_A = 1500, N_B = 1301 };
    uint64_t random = 1;
    double *a = calloc(N_A, sizeof(*a));
    double *b = calloc(N_B, sizeof(*b));
    double *all = calloc((size_t)N_A * N_B, sizeof(*all));
    assert_true(a && b && all);
    for (size_t i = 0; i < N_A; i++) {
        a[i] = random_normal(&random);
    }
    for (size_t i = 0; i < N_B; i++) {
        b[i] = random_normal(&random) + 0.25;
    }
    size_t count = 0;
    for (size_t i = 0; i < N_A; i++) {
        for (size_t j = 0; j < N_B; j++) {
            all[count++] = b[j] - a[i];
        }
    }
    qsort(all, count, sizeof(*all), compare);
    struct pw_two_samples result;
    assert_int_equal(pw_two_samples_compare(a, N_A, b, N_B, 0.95, &result, NULL), 0);
    assert_near(result.shift, (all[count / 2 - 1] + all[count / 2]) / 2);
    double center = (double)count / 2;
    double reach = 1.959963984540054 * sqrt((double)count * (N_A + N_B + 1) / 12.0);
    size_t k = (size_t)floor(center + 0.5 - reach);
    assert_near(result.shift_ci.low, all[k - 1]);
    assert_near(result.shift_ci.high, all[count - k]);
    assert_true(result.shift_ci.low < 0.25 && result.shift_ci.high > 0.25);
    assert_true(result.p < 1e-5);
    free(a);
    free(b);
    free(all);
}

static void test_dip(void **state)
{
    size_t i = 0;
    json_t *sample = NULL;
    json_array_foreach(cases_of(state, "dips", 20), i, sample)
    {
        double values[STATISTICS_VALUES_MAX];
        size_t n = values_of(sample, "values", values);
        double dip = -1;
        assert_int_equal(pw_dip_of(values, n, &dip, NULL), 0);
        assert_within(dip, number_of(sample, "dip"), 1e-9);
    }
    double dip = -1;
    const double equal[] = {2, 2, 2};
    assert_int_equal(pw_dip_of(equal, 3, &dip, NULL), 0);
    assert_true(dip == 0);
    dip = -1;
    assert_int_equal(pw_dip_of(NULL, 0, &dip, NULL), 0);
    assert_true(dip == 0);
}

enum shape { NORMAL, LOG_NORMAL, OUTLIERS, ROUNDED, ONE_OF_TWO, TWO_MODES };

static double draw(enum shape shape, uint64_t *random)
{
    double z = random_normal(random);
    double chance = random_unit(random);
    switch (shape) {
    case NORMAL: return 100 + 5 * z;
    case LOG_NORMAL: return 100 * exp(0.5 * z);
    case OUTLIERS: return 100 + 5 * z + (chance < 0.05 ? 300 * random_unit(random) : 0);
    case ROUNDED: return round(100 + 5 * z) * 0.1; /* with the noise that a change of unit leaves */
    case ONE_OF_TWO: return chance < 0.5 ? 5 : 6;
    case TWO_MODES: return z + (chance < 0.5 ? 8 : 0);
    }
    return 0;
}

static int count_bimodal(enum shape shape, size_t n)
{
    enum { SAMPLES = 2000 };
    uint64_t random = 20260223 + shape;
    int found = 0;
    for (int sample = 0; sample < SAMPLES; sample++) {
        double values[100];
        for (size_t i = 0; i < n; i++) {
            values[i] = draw(shape, &random);
        }
        bool bimodal = false;
        assert_int_equal(pw_is_bimodal(values, n, &bimodal, NULL), 0);
        found += bimodal;
    }
    return found;
}

static void test_bimodal(void **state)
{
    (void)state;
    const size_t sizes[] = {10, 20, 45, 100};
    for (size_t i = 0; i < 4; i++) {
        assert_in_range(count_bimodal(NORMAL, sizes[i]), 20, 100); /* 1 to 5 % */
        assert_in_range(count_bimodal(LOG_NORMAL, sizes[i]), 0, 100);
        assert_in_range(count_bimodal(OUTLIERS, sizes[i]), 0, 100);
        assert_in_range(count_bimodal(ROUNDED, sizes[i]), 0, 100);
        assert_int_equal(count_bimodal(ONE_OF_TWO, sizes[i]), 0);
    }
    assert_true(count_bimodal(TWO_MODES, 20) > 1800);
    assert_int_equal(count_bimodal(TWO_MODES, 9), 0);
    const double clear[] = {10, 10.1, 9.9, 10.2, 9.8, 20, 20.1, 19.9, 20.2, 19.8};
    bool bimodal = false;
    assert_int_equal(pw_is_bimodal(clear, 10, &bimodal, NULL), 0);
    assert_true(bimodal);
    struct pw_two_samples result;
    const double plain[] = {10, 11, 12, 13, 14, 15, 16, 17, 18, 19};
    assert_int_equal(pw_two_samples_compare(plain, 10, clear, 10, 0.95, &result, NULL), 0);
    assert_false(result.bimodal_a);
    assert_true(result.bimodal_b);
}

static void test_trend(void **state)
{
    size_t i = 0;
    json_t *series = NULL;
    json_array_foreach(cases_of(state, "trends", 40), i, series)
    {
        double values[STATISTICS_VALUES_MAX];
        size_t n = values_of(series, "values", values);
        struct pw_trend trend;
        assert_int_equal(pw_trend_of(values, n, 0.95, &trend, NULL), 0);
        assert_near(trend.slope, number_of(series, "slope"));
        double p = number_of(series, "p");
        assert_within(trend.p, p, 1e-11 * p);
        const json_t *interval = json_object_get(series, "interval");
        assert_within(trend.slope_ci.low, end_at(interval, 0, -INFINITY), 0);
        assert_within(trend.slope_ci.high, end_at(interval, 1, INFINITY), 0);
    }
}

/* Longer than what is looked at value by value. */
static void test_long_trend(void **state)
{
    (void)state;
    enum { N = 20011 };
    uint64_t random = 3;
    double *values = calloc(N, sizeof(*values));
    assert_non_null(values);
    for (size_t i = 0; i < N; i++) {
        values[i] = 0.001 * (double)i + random_normal(&random) + (i % 1000 == 7 ? 1e6 : 0);
    }
    struct pw_trend trend;
    assert_int_equal(pw_trend_of(values, N, 0.95, &trend, NULL), 0);
    assert_true(fabs(trend.slope - 0.001) < 1e-5);
    assert_true(trend.slope_ci.low < 0.001 && trend.slope_ci.high > 0.001);
    assert_true(trend.p < 1e-9);
    for (size_t i = 0; i < N; i++) {
        values[i] = 5;
    }
    assert_int_equal(pw_trend_of(values, N, 0.95, &trend, NULL), 0);
    assert_true(trend.slope == 0 && trend.p == 1);
    free(values);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_agreement),  cmocka_unit_test(test_input),
        cmocka_unit_test(test_large),      cmocka_unit_test(test_dip),
        cmocka_unit_test(test_bimodal),    cmocka_unit_test(test_trend),
        cmocka_unit_test(test_long_trend),
    };
    return cmocka_run_group_tests(tests, load_statistics, drop_statistics);
}
