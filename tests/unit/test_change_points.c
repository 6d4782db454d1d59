#include "core/change_points.h"

#include "core/err.h"
#include "tests/unit/statistics.h"

/* Where they are, -1 behind the last; the caller's list must be freed. */
static size_t find(const double *values, size_t n, double significance, double floor,
                   struct pw_change_point **ret_points)
{
    size_t count = 99999;
    struct pw_err err = PW_ERR_INIT;
    assert_int_equal(
        pw_change_points_find(values, n, significance, floor, ret_points, &count, &err), 0);
    for (size_t i = 0; i < count; i++) {
        const struct pw_change_point *point = *ret_points + i;
        assert_in_range(point->index, 1, n - 1);
        assert_true(i == 0 || point->index > point[-1].index);
        assert_true(point->p > 0 && point->p <= significance);
        assert_true(fabs(point->after - point->before) >= floor);
    }
    return count;
}

/* The best split by the paper's definition is found, with levels planted so clearly that it must be
 * significant. */
static void test_agreement(void **state)
{
    size_t i = 0;
    json_t *series = NULL;
    json_array_foreach(cases_of(state, "change_points", 20), i, series)
    {
        double values[STATISTICS_VALUES_MAX];
        size_t n = values_of(series, "values", values);
        PW_FREE_AUTO struct pw_change_point *points = NULL;
        size_t count = find(values, n, PW_CHANGE_POINTS_SIGNIFICANCE, 10, &points);
        size_t index = (size_t)number_of(series, "index");
        bool found = false;
        for (size_t k = 0; k < count; k++) {
            found = found || points[k].index == index;
        }
        if (!found) {
            fail_msg("case %zu: no change point at %zu", i, index);
        }
        assert_in_range(count, 1, 2);
    }
}

static void test_levels(void **state)
{
    (void)state;
    enum { N = 40 };
    uint64_t random = 5;
    double values[N];
    for (size_t i = 0; i < N; i++) {
        values[i] = (i < 12 ? 100 : i < 30 ? 130 : 90) + random_normal(&random);
    }
    PW_FREE_AUTO struct pw_change_point *points = NULL;
    assert_int_equal(find(values, N, PW_CHANGE_POINTS_SIGNIFICANCE, 3, &points), 2);
    assert_int_equal(points[0].index, 12);
    assert_within(points[0].before, 100, 1);
    assert_within(points[0].after, 130, 1);
    assert_int_equal(points[1].index, 30);
    assert_within(points[1].before, 130, 1);
    assert_within(points[1].after, 90, 1);
    /* A higher floor leaves the larger change only; its sides are then all the rest. */
    PW_FREE_AUTO struct pw_change_point *large = NULL;
    assert_int_equal(find(values, N, PW_CHANGE_POINTS_SIGNIFICANCE, 35, &large), 1);
    assert_int_equal(large[0].index, 30);
    PW_FREE_AUTO struct pw_change_point *none = NULL;
    assert_int_equal(find(values, N, PW_CHANGE_POINTS_SIGNIFICANCE, 45, &none), 0);
    /* The same at any scale. */
    for (size_t i = 0; i < N; i++) {
        values[i] = values[i] * 1e-12 + 1e-9;
    }
    PW_FREE_AUTO struct pw_change_point *scaled = NULL;
    assert_int_equal(find(values, N, PW_CHANGE_POINTS_SIGNIFICANCE, 0, &scaled), 2);
    assert_int_equal(scaled[0].index, 12);
    assert_int_equal(scaled[1].index, 30);
}

static void test_nothing(void **state)
{
    (void)state;
    double values[50] = {0};
    for (size_t n = 0; n <= 50; n++) {
        PW_FREE_AUTO struct pw_change_point *points = NULL;
        assert_int_equal(find(values, n, 0.05, 0, &points), 0);
        assert_non_null(points);
    }
    /* One outlier is no level, nor is a change of the spread alone. */
    values[20] = 1e6;
    PW_FREE_AUTO struct pw_change_point *outlier = NULL;
    assert_int_equal(find(values, 50, PW_CHANGE_POINTS_SIGNIFICANCE, 0, &outlier), 0);
    for (size_t i = 0; i < 50; i++) {
        values[i] = i < 25 ? 0 : i % 3 == 0 ? 10 : i % 3 == 1 ? -10 : 0;
    }
    PW_FREE_AUTO struct pw_change_point *spread = NULL;
    assert_int_equal(find(values, 50, PW_CHANGE_POINTS_SIGNIFICANCE, 0, &spread), 0);
    /* Three values on each side are too few to be sure. */
    const double few[] = {1, 1.1, 1.2, 9, 9.1, 9.2};
    PW_FREE_AUTO struct pw_change_point *unsure = NULL;
    assert_int_equal(find(few, 6, PW_CHANGE_POINTS_SIGNIFICANCE, 0, &unsure), 0);
}

static void test_input(void **state)
{
    (void)state;
    const double bad[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 3; i++) {
        const double values[] = {1, 2, bad[i]};
        struct pw_change_point *points = NULL;
        size_t count = 42;
        struct pw_err err = PW_ERR_INIT;
        assert_int_equal(pw_change_points_find(values, 3, 0.01, 0, &points, &count, &err), -1);
        assert_int_equal(err.cls, PW_ERR_INPUT);
        assert_null(points);
        assert_int_equal(count, 42);
    }
}

static int false_alarms(size_t n, int shape, double significance, int series)
{
    uint64_t random = 11 + (uint64_t)shape;
    int alarms = 0;
    for (int k = 0; k < series; k++) {
        double values[300];
        for (size_t i = 0; i < n; i++) {
            double z = random_normal(&random);
            double outlier = random_unit(&random) < 0.05 ? 100 : 0;
            values[i] = shape == 0   ? 100 + 5 * z
                        : shape == 1 ? 100 * exp(0.5 * z)
                        : shape == 2 ? round(2 * z)
                                     : 100 + 5 * z + outlier;
        }
        PW_FREE_AUTO struct pw_change_point *points = NULL;
        alarms += find(values, n, significance, 0, &points) > 0;
    }
    return alarms;
}

/* As many series of noise have a point as `significance` says. */
static void test_false_alarms(void **state)
{
    (void)state;
    for (int shape = 0; shape < 4; shape++) {
        assert_in_range(false_alarms(30, shape, PW_CHANGE_POINTS_SIGNIFICANCE, 1000), 0, 25);
        assert_in_range(false_alarms(30, shape, 0.05, 1000), 25, 75);
    }
    assert_in_range(false_alarms(300, 0, 0.05, 200), 2, 20); /* the way of long segments */
}

/* A long series is cut to its last values, its indexes are not. */
static void test_long(void **state)
{
    (void)state;
    enum { N = 1700 };
    uint64_t random = 9;
    double *values = calloc(N, sizeof(*values));
    assert_non_null(values);
    for (size_t i = 0; i < N; i++) {
        values[i] = (i < 300 ? 50 : i < 1100 ? 100 : i < 1550 ? 104 : 90) + random_normal(&random);
    }
    PW_FREE_AUTO struct pw_change_point *points = NULL;
    assert_int_equal(find(values, N, PW_CHANGE_POINTS_SIGNIFICANCE, 2, &points), 2);
    assert_in_range(points[0].index, 1099, 1101);
    assert_int_equal(points[1].index, 1550);
    free(values);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_agreement),    cmocka_unit_test(test_levels),
        cmocka_unit_test(test_nothing),      cmocka_unit_test(test_input),
        cmocka_unit_test(test_false_alarms), cmocka_unit_test(test_long),
    };
    return cmocka_run_group_tests(tests, load_statistics, drop_statistics);
}
