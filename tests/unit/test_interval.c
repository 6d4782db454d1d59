#include "core/interval.h"

#include "core/stats.h"
#include "tests/unit/statistics.h"

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a > b) - (a < b);
}

static json_t *table_of(void **state, const char *name)
{
    json_t *table = json_object_get(json_object_get(*state, "distributions"), name);
    assert_true(json_array_size(table) > 10);
    return table;
}

/* Tolerances are of scipy's own functions, too. */
static void test_normal(void **state)
{
    size_t i = 0;
    json_t *row = NULL;
    json_array_foreach(table_of(state, "normal_cdf"), i, row)
    {
        double expected = number_at(row, 1);
        assert_within(pw_normal_cdf(number_at(row, 0)), expected, 1e-12 * expected);
    }
    json_array_foreach(table_of(state, "normal_quantile"), i, row)
    {
        assert_within(pw_normal_quantile(number_at(row, 0)), number_at(row, 1),
                      1e-14 * fmax(1, fabs(number_at(row, 1))));
    }
    assert_true(pw_normal_quantile(0) == -INFINITY);
    assert_true(pw_normal_quantile(1) == INFINITY);
}

static void test_student(void **state)
{
    size_t i = 0;
    json_t *row = NULL;
    json_array_foreach(table_of(state, "student_cdf"), i, row)
    {
        double expected = number_at(row, 2);
        assert_within(pw_student_cdf(number_at(row, 0), number_at(row, 1)), expected,
                      1e-10 * expected);
    }
    json_array_foreach(table_of(state, "student_quantile"), i, row)
    {
        double expected = number_at(row, 2);
        assert_within(pw_student_quantile(number_at(row, 0), number_at(row, 1)), expected,
                      1e-11 * fmax(1, fabs(expected)));
    }
    /* With one degree of freedom it is Cauchy's, with two it has a closed form. */
    assert_within(pw_student_quantile(0.975, 1), tan(M_PI * 0.475), 1e-12);
    assert_within(pw_student_quantile(0.9, 2), 0.8 / sqrt(2 * 0.9 * 0.1), 1e-12);
    assert_true(pw_student_quantile(0, 5) == -INFINITY);
    assert_true(pw_student_quantile(1, 5) == INFINITY);
}

static void test_binomial(void **state)
{
    size_t i = 0;
    json_t *row = NULL;
    json_array_foreach(table_of(state, "binomial_cdf"), i, row)
    {
        double actual = pw_binomial_cdf((size_t)number_at(row, 0), (size_t)number_at(row, 1),
                                        number_at(row, 2));
        assert_within(actual, number_at(row, 3), 1e-11);
    }
}

static void test_needed(void **state)
{
    size_t i = 0;
    json_t *row = NULL;
    json_array_foreach(cases_of(state, "needed", 10), i, row)
    {
        double p = number_at(row, 0);
        double confidence = number_at(row, 1);
        size_t needed = pw_interval_needed(p, confidence);
        assert_int_equal(needed, (size_t)number_at(row, 2));
        /* Fewer values do not give that end. */
        double *values = calloc(needed, sizeof(*values));
        assert_non_null(values);
        struct pw_interval enough = pw_interval_of_percentile(values, needed, p, confidence);
        struct pw_interval few = pw_interval_of_percentile(values, needed - 1, p, confidence);
        free(values);
        assert_true(isfinite(p < 0.5 ? enough.low : enough.high));
        assert_false(isfinite(p < 0.5 ? few.low : few.high));
    }
    assert_true(pw_interval_needed(1, 0.95) == SIZE_MAX);
    assert_true(pw_interval_needed(0.95, 1) == SIZE_MAX);
}

/* pw_stats_describe() and both intervals, on the same samples. */
static void test_one_sample(void **state)
{
    size_t i = 0;
    json_t *sample = NULL;
    json_array_foreach(cases_of(state, "one_sample", 50), i, sample)
    {
        double values[STATISTICS_VALUES_MAX];
        size_t n = values_of(sample, "values", values);
        struct pw_stats stats;
        assert_int_equal(pw_stats_describe(values, n, false, &stats, NULL), 0);
        assert_value(stats.mean, number_of(sample, "mean"));
        assert_value(stats.p50, number_of(sample, "p50"));
        assert_value(stats.p90, number_of(sample, "p90"));
        assert_value(stats.p95, number_of(sample, "p95"));
        assert_value(stats.p99, number_of(sample, "p99"));
        assert_value(stats.min, number_of(sample, "min"));
        assert_value(stats.max, number_of(sample, "max"));
        assert_value(stats.mad, number_of(sample, "mad"));
        if (n > 1) {
            assert_value(stats.stddev, number_of(sample, "stddev"));
        } else {
            assert_absent(stats.stddev, PW_ABSENT_NOT_MEASURED);
        }
        size_t k = 0;
        json_t *row = NULL;
        json_array_foreach(json_object_get(sample, "mean_intervals"), k, row)
        {
            struct pw_interval interval = pw_interval_of_mean(values, n, number_at(row, 0));
            double low = end_at(row, 1, -INFINITY);
            double high = end_at(row, 2, INFINITY);
            double tolerance = n > 1 ? 1e-9 * (high - low) + 1e-15 * fabs(low) : 0;
            assert_within(interval.low, low, tolerance);
            assert_within(interval.high, high, tolerance);
        }
        qsort(values, n, sizeof(values[0]), compare);
        json_array_foreach(json_object_get(sample, "intervals"), k, row)
        {
            struct pw_interval interval =
                pw_interval_of_percentile(values, n, number_at(row, 0), number_at(row, 1));
            assert_within(interval.low, end_at(row, 2, -INFINITY), 0);
            assert_within(interval.high, end_at(row, 3, INFINITY), 0);
        }
    }
}

static void test_infinities(void **state)
{
    (void)state;
    const double bad[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 3; i++) {
        const double values[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, bad[i]};
        struct pw_interval interval = pw_interval_of_mean(values, 10, 0.95);
        assert_true(interval.low == -INFINITY && interval.high == INFINITY);
        interval = pw_interval_of_percentile(values, 10, 0.5, 0.95);
        assert_true(interval.low == -INFINITY && interval.high == INFINITY);
    }
    struct pw_interval none = pw_interval_of_percentile(NULL, 0, 0.5, 0.95);
    assert_true(none.low == -INFINITY && none.high == INFINITY);
}

/* An interval that misses what it is of more often than it says is worth nothing. */
static void test_coverage(void **state)
{
    (void)state;
    enum { SAMPLES = 4000, N = 40 };
    uint64_t random = 7;
    int missed_median = 0;
    int missed_p90 = 0;
    int missed_mean = 0;
    for (int sample = 0; sample < SAMPLES; sample++) {
        double values[N];
        for (int i = 0; i < N; i++) {
            values[i] = random_normal(&random);
        }
        struct pw_interval mean = pw_interval_of_mean(values, N, 0.95);
        missed_mean += mean.low > 0 || mean.high < 0;
        qsort(values, N, sizeof(values[0]), compare);
        struct pw_interval median = pw_interval_of_percentile(values, N, 0.5, 0.95);
        missed_median += median.low > 0 || median.high < 0;
        struct pw_interval p90 = pw_interval_of_percentile(values, N, 0.9, 0.95);
        missed_p90 += p90.low > 1.2815515655446004 || p90.high < 1.2815515655446004;
    }
    assert_in_range(missed_mean, SAMPLES * 4 / 100, SAMPLES * 6 / 100);
    assert_in_range(missed_median, SAMPLES * 2 / 100, SAMPLES * 5 / 100);
    assert_in_range(missed_p90, SAMPLES / 200, SAMPLES * 5 / 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_normal),     cmocka_unit_test(test_student),
        cmocka_unit_test(test_binomial),   cmocka_unit_test(test_needed),
        cmocka_unit_test(test_one_sample), cmocka_unit_test(test_infinities),
        cmocka_unit_test(test_coverage),
    };
    return cmocka_run_group_tests(tests, load_statistics, drop_statistics);
}
