#include "core/metric.h"
#include "sla/unit.h"
#include "tests/unit/unit.h"

static const struct pw_unit *find(const char *name)
{
    return pw_unit_find(name, strlen(name));
}

static void test_find(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum pw_dimension dimension;
        double factor;
    } cases[] = {
        {"ns", PW_DIMENSION_TIME, 1e-9},        {"us", PW_DIMENSION_TIME, 1e-6},
        {"µs", PW_DIMENSION_TIME, 1e-6},        {"μs", PW_DIMENSION_TIME, 1e-6},
        {"ms", PW_DIMENSION_TIME, 1e-3},        {"s", PW_DIMENSION_TIME, 1},
        {"min", PW_DIMENSION_TIME, 60},         {"h", PW_DIMENSION_TIME, 3600},
        {"B", PW_DIMENSION_BYTES, 1},           {"KB", PW_DIMENSION_BYTES, 1000},
        {"MB", PW_DIMENSION_BYTES, 1000000},    {"GB", PW_DIMENSION_BYTES, 1e9},
        {"KiB", PW_DIMENSION_BYTES, 1024},      {"MiB", PW_DIMENSION_BYTES, 1048576},
        {"GiB", PW_DIMENSION_BYTES, 0x1p30},    {"%", PW_DIMENSION_RATIO, 0.01},
        {"runs/s", PW_DIMENSION_RATE, 1},       {"count", PW_DIMENSION_COUNT, 1},
        {"By", PW_DIMENSION_BYTES, 1},          {"KiBy", PW_DIMENSION_BYTES, 1024},
        {"MiBy", PW_DIMENSION_BYTES, 1048576},  {"1", PW_DIMENSION_RATIO, 1},
        {"{call}", PW_DIMENSION_COUNT, 1},      {"{run}/s", PW_DIMENSION_RATE, 1},
        {"{tool call}", PW_DIMENSION_COUNT, 1}, {"Hz", PW_DIMENSION_RATE, 1},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct pw_unit *unit = find(cases[i].name);
        if (!unit) {
            fail_msg("%s is not known", cases[i].name);
            return;
        }
        assert_int_equal(unit->dimension, cases[i].dimension);
        assert_true(unit->factor == cases[i].factor);
    }
    static const char *const unknown[] = {"",  "m",    "Ms",     "MS",        "mib",    "sec",
                                          "{", "{a}b", "{a}/ms", "furlong/h", "{a}{b}", "m s"};
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        assert_null(find(unknown[i]));
    }
    assert_string_equal(pw_unit_find("msX", 2)->name, "ms"); /* no more than its length */
}

static double convert(const char *from, const char *to, double value)
{
    double converted = NAN;
    assert_true(pw_unit_convert(find(from), find(to), value, &converted));
    return converted;
}

/* Exact, so that a limit in another unit decides as if it were in the metric's. */
static void test_convert(void **state)
{
    (void)state;
    assert_true(convert("s", "ms", 1.5) == 1500);
    assert_true(convert("us", "ms", 250) == 0.25);
    assert_true(convert("ns", "ms", 1) == 1e-6);
    assert_true(convert("ms", "s", 1000) == 1);
    assert_true(convert("s", "ns", 1) == 1e9);
    assert_true(convert("min", "ms", 2) == 120000);
    assert_true(convert("h", "s", 0.5) == 1800);
    assert_true(convert("GiB", "MiB", 0.5) == 512);
    assert_true(convert("KiB", "MiB", 1) == 1.0 / 1024);
    assert_true(convert("GB", "B", 1) == 1e9);
    assert_true(convert("%", "1", 15) == 0.15);
    assert_true(convert("1", "%", 0.15) == 15);
    assert_true(convert("%", "%", 1.1) == 1.1);
    assert_near(convert("MB", "MiB", 100), 95.367431640625);
    double untouched = 7;
    assert_false(pw_unit_convert(find("ms"), find("MiB"), 1, &untouched));
    assert_false(pw_unit_convert(find("count"), find("%"), 1, &untouched));
    assert_true(untouched == 7);
}

/* Every unit of the metric table but one, which is no unit. */
static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_METRIC_COUNT; i++) {
        const struct pw_metric *row = &pw_metrics[i];
        const struct pw_unit *unit = find(row->unit);
        if (strcmp(row->unit, "metric's own") == 0) {
            assert_null(unit);
        } else if (!unit) {
            fail_msg("the unit of %s, %s, is not known", row->path, row->unit);
        } else if (unit->dimension == PW_DIMENSION_COUNT) {
            assert_int_equal(find(row->otel_unit)->dimension, PW_DIMENSION_COUNT);
        } else {
            assert_near(convert(row->unit, row->otel_unit, 3), 3 * row->otel_factor);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_convert),
        cmocka_unit_test(test_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
