#include "core/stats.h"

#include "tests/unit/unit.h"

/* Expected numbers: python's statistics module (fmean, median, stdev, quantiles "inclusive"). */

static void test_nothing(void **state)
{
    (void)state;
    struct pw_stats stats = {.n = 9};
    assert_int_equal(pw_stats_describe(NULL, 0, true, &stats, NULL), 0);
    assert_int_equal(stats.n, 0);
    assert_absent(stats.mean, PW_ABSENT_NOT_MEASURED);
    assert_absent(stats.p50, PW_ABSENT_NOT_MEASURED);
    assert_absent(stats.max, PW_ABSENT_NOT_MEASURED);
    assert_absent(stats.mad, PW_ABSENT_NOT_MEASURED);
    assert_absent(stats.total, PW_ABSENT_NOT_MEASURED);
    assert_absent(stats.p50_ci95_low, PW_ABSENT_NOT_MEASURED);
}

static void test_one(void **state)
{
    (void)state;
    const double values[] = {3.5};
    struct pw_stats stats;
    assert_int_equal(pw_stats_describe(values, 1, true, &stats, NULL), 0);
    assert_value(stats.mean, 3.5);
    assert_value(stats.p50, 3.5);
    assert_value(stats.p99, 3.5);
    assert_value(stats.min, 3.5);
    assert_value(stats.max, 3.5);
    assert_value(stats.mad, 0);
    assert_value(stats.total, 3.5);
    assert_absent(stats.stddev, PW_ABSENT_NOT_MEASURED);
    assert_absent(stats.p50_ci95_low, PW_ABSENT_NOT_MEASURED);
    assert_absent(stats.p50_ci95_high, PW_ABSENT_NOT_MEASURED);
}

static void test_two(void **state)
{
    (void)state;
    const double values[] = {4.0, 1.5};
    struct pw_stats stats;
    assert_int_equal(pw_stats_describe(values, 2, true, &stats, NULL), 0);
    assert_value(stats.mean, 2.75);
    assert_value(stats.p50, 2.75);
    assert_value(stats.p90, 3.75);
    assert_value(stats.p95, 3.875);
    assert_value(stats.p99, 3.975);
    assert_value(stats.stddev, 1.7677669529663689);
    assert_value(stats.mad, 1.25);
    /* A quarter of all resamples of two are twice the smaller: the interval is all there is. */
    assert_value(stats.p50_ci95_low, 1.5);
    assert_value(stats.p50_ci95_high, 4.0);
}

static void test_ten(void **state)
{
    (void)state;
    const double values[] = {12.5, 3.25, 100.0, 7.0, 7.0, 8.125, 9.5, -2.0, 15.75, 11.0};
    double before[10];
    memcpy(before, values, sizeof(before));
    struct pw_stats stats;
    assert_int_equal(pw_stats_describe(values, 10, false, &stats, NULL), 0);
    assert_int_equal(stats.n, 10);
    assert_value(stats.mean, 17.2125);
    assert_value(stats.p50, 8.8125);
    assert_value(stats.p90, 24.175);
    assert_value(stats.p95, 62.0875);
    assert_value(stats.p99, 92.4175);
    assert_value(stats.min, -2.0);
    assert_value(stats.max, 100.0);
    assert_value(stats.stddev, 29.49847277120179);
    assert_value(stats.mad, 2.9375);
    assert_value(stats.total, 172.125);
    assert_absent(stats.p50_ci95_low, PW_ABSENT_NOT_MEASURED);
    assert_memory_equal(values, before, sizeof(before));
}

static void test_all_equal(void **state)
{
    (void)state;
    double values[300];
    for (size_t i = 0; i < 300; i++) {
        values[i] = 0.1;
    }
    struct pw_stats stats;
    assert_int_equal(pw_stats_describe(values, 300, true, &stats, NULL), 0);
    assert_true(stats.mean.number == 0.1); /* to the last bit */
    assert_true(stats.p95.number == 0.1);
    assert_value(stats.stddev, 0);
    assert_value(stats.mad, 0);
    assert_value(stats.p50_ci95_low, 0.1);
    assert_value(stats.p50_ci95_high, 0.1);
}

static void test_large_numbers(void **state)
{
    (void)state;
    /* Subtracting squares would lose everything here. */
    const double values[] = {1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16};
    struct pw_stats stats;
    assert_int_equal(pw_stats_describe(values, 4, false, &stats, NULL), 0);
    assert_value(stats.mean, 1e9 + 10);
    assert_value(stats.stddev, 5.477225575051661); /* sqrt(30) */
    const double huge[] = {1.7e308, 1.7e308};
    assert_int_equal(pw_stats_describe(huge, 2, false, &stats, NULL), 0);
    assert_value(stats.mean, 1.7e308);
    assert_absent(stats.total, PW_ABSENT_NOT_MEASURED); /* not finite */
}

static void test_interval(void **state)
{
    (void)state;
    double values[40];
    for (size_t i = 0; i < 40; i++) {
        values[i] = (double)(40 - i);
    }
    struct pw_stats stats;
    /* n = 11: the resampled median is at most k with P(Binomial(11, k/11) >= 6), which is 0.007 for
     * 2, 0.051 for 3, 0.949 for 8 and 0.993 for 9. */
    assert_int_equal(pw_stats_describe(values + 29, 11, true, &stats, NULL), 0);
    assert_value(stats.p50, 6);
    assert_value(stats.p50_ci95_low, 3);
    assert_value(stats.p50_ci95_high, 9);
    /* n = 40: 200000 resamples drawn value by value give 14.5 and 26.5. */
    assert_int_equal(pw_stats_describe(values, 40, true, &stats, NULL), 0);
    assert_true(fabs(stats.p50_ci95_low.number - 14.5) <= 0.5);
    assert_true(fabs(stats.p50_ci95_high.number - 26.5) <= 0.5);
    struct pw_stats again;
    assert_int_equal(pw_stats_describe(values, 40, true, &again, NULL), 0);
    assert_true(again.p50_ci95_low.number == stats.p50_ci95_low.number);
    assert_true(again.p50_ci95_high.number == stats.p50_ci95_high.number);
}

static void test_percentile_of_sorted(void **state)
{
    (void)state;
    const double sorted[] = {10, 20, 40};
    assert_near(pw_stats_percentile_sorted(sorted, 3, 0), 10);
    assert_near(pw_stats_percentile_sorted(sorted, 3, 0.25), 15);
    assert_near(pw_stats_percentile_sorted(sorted, 3, 0.5), 20);
    assert_near(pw_stats_percentile_sorted(sorted, 3, 0.9), 36);
    assert_near(pw_stats_percentile_sorted(sorted, 3, 1), 40);
    assert_near(pw_stats_percentile_sorted(sorted, 1, 0.3), 10);
}

static void assert_outliers(const double *values, size_t n, size_t outliers, size_t high)
{
    size_t got_outliers = 99;
    size_t got_high = 99;
    assert_int_equal(pw_stats_count_outliers(values, n, &got_outliers, &got_high, NULL), 0);
    assert_int_equal(got_outliers, outliers);
    assert_int_equal(got_high, high);
}

static void test_outliers(void **state)
{
    (void)state;
    /* Quartiles 11.5 and 16.5: fences at -3.5 and 31.5. */
    double values[] = {10, 11, 12, 13, 14, 15, 16, 17, 18, 100, -90};
    assert_outliers(values, 11, 2, 1);
    values[9] = 31.5;
    values[10] = -3.5;
    assert_outliers(values, 11, 0, 0);
    values[9] = 31.6;
    assert_outliers(values, 11, 1, 1);
    const double few[] = {1, 1, 1000};
    assert_outliers(few, 3, 0, 0);
    assert_outliers(NULL, 0, 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing),   cmocka_unit_test(test_one),
        cmocka_unit_test(test_two),       cmocka_unit_test(test_ten),
        cmocka_unit_test(test_all_equal), cmocka_unit_test(test_large_numbers),
        cmocka_unit_test(test_interval),  cmocka_unit_test(test_percentile_of_sorted),
        cmocka_unit_test(test_outliers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
