#include "sla/compare.h"

#include "tests/unit/unit.h"

static const double FLOOR = 3;

static enum pw_comparison_verdict decide(double low, double shift, double high, double p,
                                         enum pw_better better)
{
    struct pw_two_samples result = {.shift = shift, .shift_ci = {low, high}, .p = p};
    return pw_comparison_decide(&result, p, FLOOR, better, 0.05);
}

static void test_directions(void **state)
{
    (void)state;
    assert_int_equal(decide(4, 5, 6, 0.01, PW_BETTER_LOWER), PW_COMPARISON_SLOWER);
    assert_int_equal(decide(-6, -5, -4, 0.01, PW_BETTER_LOWER), PW_COMPARISON_FASTER);
    assert_int_equal(decide(4, 5, 6, 0.01, PW_BETTER_HIGHER), PW_COMPARISON_FASTER);
    assert_int_equal(decide(-6, -5, -4, 0.01, PW_BETTER_HIGHER), PW_COMPARISON_SLOWER);
    assert_int_equal(decide(4, 5, 6, 0.01, PW_BETTER_NEITHER), PW_COMPARISON_CHANGED);
    assert_int_equal(decide(-6, -5, -4, 0.01, PW_BETTER_NEITHER), PW_COMPARISON_CHANGED);
}

static void test_limits(void **state)
{
    (void)state;
    /* Just significant, just as large as the floor; and each just not. */
    assert_int_equal(decide(1, 3, 5, 0.05, PW_BETTER_LOWER), PW_COMPARISON_SLOWER);
    assert_int_equal(decide(1, 3, 5, 0.0501, PW_BETTER_LOWER), PW_COMPARISON_UNSURE);
    assert_int_equal(decide(1, 2.99, 5, 0.05, PW_BETTER_LOWER), PW_COMPARISON_UNSURE);
    assert_int_equal(decide(0, 3, 5, 0.05, PW_BETTER_LOWER), PW_COMPARISON_UNSURE);
    assert_int_equal(decide(-5, -3, 0, 0.05, PW_BETTER_LOWER), PW_COMPARISON_UNSURE);
    assert_int_equal(decide(1, 5, 9, NAN, PW_BETTER_LOWER), PW_COMPARISON_UNSURE);
    /* The same: the whole interval within the floor, whatever p is. */
    assert_int_equal(decide(-3, 0, 3, 0.9, PW_BETTER_LOWER), PW_COMPARISON_SAME);
    assert_int_equal(decide(1, 2, 3, 0.001, PW_BETTER_LOWER), PW_COMPARISON_SAME);
    assert_int_equal(decide(0, 0, 0, 1, PW_BETTER_NEITHER), PW_COMPARISON_SAME);
    assert_int_equal(decide(-3.01, 0, 3, 0.9, PW_BETTER_LOWER), PW_COMPARISON_UNSURE);
    assert_int_equal(decide(-3, 0, 3.01, 0.9, PW_BETTER_LOWER), PW_COMPARISON_UNSURE);
}

/* Too few values say nothing. */
static void test_infinite(void **state)
{
    (void)state;
    assert_int_equal(decide(-INFINITY, 0, INFINITY, 1, PW_BETTER_LOWER), PW_COMPARISON_UNSURE);
    assert_int_equal(decide(4, 5, INFINITY, 0.01, PW_BETTER_LOWER), PW_COMPARISON_UNSURE);
    assert_int_equal(decide(-INFINITY, -5, -4, 0.01, PW_BETTER_LOWER), PW_COMPARISON_UNSURE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_directions),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_infinite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
