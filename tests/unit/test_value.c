#include "core/value.h"

#include "tests/unit/unit.h"

static void test_numbers(void **state)
{
    (void)state;
    assert_true(pw_value_is_present(pw_value_of(0)));
    assert_value(pw_value_of(-2.5), -2.5);
}

static void test_not_finite_is_absent(void **state)
{
    (void)state;
    static const double none[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 3; i++) {
        struct pw_value value = pw_value_of(none[i]);
        assert_absent(value, PW_ABSENT_NOT_MEASURED);
        assert_true(isfinite(value.number));
    }
}

static void test_reasons(void **state)
{
    (void)state;
    struct pw_value zeroed = {0};
    assert_false(pw_value_is_present(zeroed));
    assert_false(pw_value_is_present(pw_value_absent(PW_ABSENT_NO_PERMISSION)));
    assert_string_equal(pw_absence_name(zeroed.state), "not_measured");
    assert_string_equal(pw_absence_name(PW_PRESENT), "present");
    assert_string_equal(pw_absence_name(PW_ABSENT_NOT_SUPPORTED), "not_supported");
    assert_string_equal(pw_absence_name(PW_ABSENT_NO_PERMISSION), "no_permission");
    assert_string_equal(pw_absence_name(PW_ABSENT_NO_SAMPLES), "no_samples");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_not_finite_is_absent),
        cmocka_unit_test(test_reasons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
