#include "core/clock.h"

#include "tests/unit/unit.h"

static void test_clocks_go_forward(void **state)
{
    (void)state;
    int64_t wall_ns = pw_clock_now_ns();
    int64_t cpu_ns = pw_clock_thread_cpu_ns();
    assert_true(wall_ns > 0);
    /* Both tick while this loop runs; if one stood still, the test's own time limit would end it.
     */
    while (pw_clock_now_ns() == wall_ns || pw_clock_thread_cpu_ns() == cpu_ns) {}
    assert_true(pw_clock_now_ns() > wall_ns);
    assert_true(pw_clock_thread_cpu_ns() > cpu_ns);
}

static void test_conversions(void **state)
{
    (void)state;
    assert_near(pw_ns_to_ms(1500000), 1.5);
    assert_near(pw_ns_to_sec(-2500000000), -2.5);
    assert_int_equal(pw_ms_to_ns(0.25), 250000);
    assert_int_equal(pw_ms_to_ns(86400000.0), INT64_C(86400) * PW_NS_PER_SEC);
}

static void test_ticks(void **state)
{
    (void)state;
    int64_t tick_ns = pw_clock_tick_ns();
    assert_in_range(tick_ns, 1, PW_NS_PER_SEC / 10);
    for (int64_t at_ms = 160; at_ms < 192; at_ms++) {
        assert_int_equal(pw_clock_tick_before_ns(at_ms, 16), (at_ms - 1) / 16 * 16);
        assert_int_equal(pw_clock_behind_tick_ns(at_ms, 16), (at_ms - 2) / 16 * 16 + 2);
    }
    assert_int_equal(pw_clock_tick_before_ns(77, 1), 77); /* none */
    assert_int_equal(pw_clock_behind_tick_ns(77, 1), 77);
}

static void test_rfc3339(void **state)
{
    (void)state;
    char text[PW_RFC3339_MAX];
    pw_clock_format_rfc3339((struct timespec){1795249802, 123456789}, text);
    assert_string_equal(text, "2026-11-21T08:30:02.123456+00:00");
    pw_clock_format_rfc3339((struct timespec){0, 999}, text);
    assert_string_equal(text, "1970-01-01T00:00:00.000000+00:00");
}

static void test_stamp_is_local_time(void **state)
{
    (void)state;
    char text[PW_TIMESTAMP_MAX];
    setenv("TZ", "UTC0", 1);
    tzset();
    pw_clock_format_stamp(1795249802, text);
    assert_string_equal(text, "20261121-083002");
    setenv("TZ", "XXX-15:30", 1);
    tzset();
    pw_clock_format_stamp(1795249802, text);
    assert_string_equal(text, "20261122-000002");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clocks_go_forward),
        cmocka_unit_test(test_conversions),
        cmocka_unit_test(test_ticks),
        cmocka_unit_test(test_rfc3339),
        cmocka_unit_test(test_stamp_is_local_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
