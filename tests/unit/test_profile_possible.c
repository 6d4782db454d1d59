#include "sla/expression.h"
#include "sla/profile.h"
#include "tests/unit/unit.h"

/* Whether the two can hold together, in either order. */
static bool possible(const char *first, const char *second)
{
    bool answers[2];
    for (int order = 0; order < 2; order++) {
        const char *texts[] = {order == 0 ? first : second, order == 0 ? second : first};
        struct pw_bounds bounds = {0};
        struct pw_err err = PW_ERR_INIT;
        for (int i = 0; i < 2; i++) {
            struct pw_bound bound = {0};
            if (pw_expression_parse(texts[i], &bound, NULL, &err) != 0) {
                fail_msg("%s: %s", texts[i], err.message);
            }
            assert_int_equal(pw_bounds_add(&bounds, &bound, &err), 0);
        }
        answers[order] = pw_bounds_check_possible(&bounds, &err) == 0;
        if (!answers[order]) {
            assert_int_equal(err.cls, PW_ERR_USAGE);
            assert_contains(err.message, first);
            assert_contains(err.message, second);
        }
        pw_bounds_done(&bounds);
    }
    assert_true(answers[0] == answers[1]);
    return answers[0];
}

static void test_possible_on_one_number(void **state)
{
    (void)state;
    assert_false(possible("latency_ms mean<=5", "latency_ms mean>=6"));
    assert_true(possible("latency_ms mean<=5", "latency_ms mean>=5"));
    assert_false(possible("latency_ms mean<5", "latency_ms mean>=5"));
    assert_false(possible("latency_ms mean<=5", "latency_ms mean>5"));
    assert_true(possible("latency_ms mean<6", "latency_ms mean>5"));
    assert_false(possible("latency_ms mean==5", "latency_ms mean<5"));
    assert_true(possible("latency_ms mean==5", "latency_ms mean<=5"));
    assert_false(possible("latency_ms mean==5", "latency_ms mean==6"));
    assert_false(possible("latency_ms mean==5", "latency_ms mean!=5"));
    assert_true(possible("latency_ms mean==5", "latency_ms mean!=6"));
    assert_true(possible("latency_ms mean<=5", "latency_ms mean!=5"));
    assert_false(possible("latency_ms mean within 10% of 100", "latency_ms mean<=89"));
    assert_true(possible("latency_ms mean within 10% of 100", "latency_ms mean<=90"));
    assert_false(possible("latency_ms mean within 1ms of 100", "latency_ms mean>=101.5"));
    assert_false(possible("latency_ms mean within 1s of 5s", "latency_ms mean<=3999"));
    assert_true(possible("latency_ms mean within 1s of 5s", "latency_ms mean<=4000"));
    assert_false(possible("failed_runs_total <= 0", "failed_runs_total > 0"));
    /* Of other numbers nothing is known. */
    assert_true(possible("latency_ms mean<=5", "worker_latency_ms mean>=6"));
    assert_true(possible("latency_ms mean<=5", "latency_ms stddev>=6"));
    assert_true(possible("otel.a p(50)<=5", "otel.b p(50)>=6"));
    assert_true(possible("otel.a p(50)<=5", "span.a p(50)>=6"));
}

static void test_possible_across_units(void **state)
{
    (void)state;
    assert_false(possible("latency_ms mean<=1s", "latency_ms mean>=1001"));
    assert_true(possible("latency_ms mean<=1s", "latency_ms mean>=1000"));
    assert_false(possible("latency_ms mean<5ms", "latency_ms mean>=5000us"));
    assert_false(possible("max_rss_mb max<=1GiB", "max_rss_mb max>=1025"));
    assert_true(possible("max_rss_mb max<=1GiB", "max_rss_mb max>=1024MiB"));
    assert_false(possible("otel.x p(50)<=5ms", "otel.x p(50)>=1s"));
    /* One without a unit: it is not known what it is in. */
    assert_true(possible("otel.x p(50)<=5ms", "otel.x p(50)>=6"));
    assert_false(possible("otel.x p(50)<=5", "otel.x p(50)>=6"));
    assert_false(possible("latency_ms mean==1s", "latency_ms mean!=1000"));
}

static void test_possible_by_order(void **state)
{
    (void)state;
    assert_false(possible("latency_ms p(50)>=10", "latency_ms p(95)<=5"));
    assert_true(possible("latency_ms p(50)<=5", "latency_ms p(95)>=10"));
    assert_true(possible("latency_ms p(50)>=5", "latency_ms p(95)<=5"));
    assert_false(possible("latency_ms p(50)>5", "latency_ms p(95)<=5"));
    assert_false(possible("latency_ms min>=10", "latency_ms p(1)<=9"));
    assert_false(possible("latency_ms p(99.9)>=10", "latency_ms max<=9"));
    assert_false(possible("latency_ms min>=10", "latency_ms mean<=9"));
    assert_false(possible("latency_ms mean>=10", "latency_ms max<=9"));
    assert_true(possible("latency_ms mean>=10", "latency_ms p(50)<=5"));
    assert_false(possible("latency_ms p(50)==10", "latency_ms p(95) within 1 of 5"));
    assert_true(possible("latency_ms p(50)==10", "latency_ms p(95)!=10"));
}

static void test_possible_leaves_baselines(void **state)
{
    (void)state;
    assert_true(possible("latency_ms mean<=baseline*1.1", "latency_ms mean>=6"));
    assert_true(possible("latency_ms mean<=baseline", "latency_ms mean>=baseline*2"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_possible_on_one_number),
        cmocka_unit_test(test_possible_across_units),
        cmocka_unit_test(test_possible_by_order),
        cmocka_unit_test(test_possible_leaves_baselines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
