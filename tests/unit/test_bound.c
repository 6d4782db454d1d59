#include "core/err.h"
#include "core/str.h"
#include "sla/bound.h"
#include "sla/expression.h"
#include "tests/unit/unit.h"

static struct pw_bound parse(const char *text)
{
    struct pw_bound bound;
    struct pw_err err = PW_ERR_INIT;
    if (pw_expression_parse(text, &bound, NULL, &err) != 0) {
        fail_msg("%s: %s", text, err.message);
    }
    return bound;
}

/* The texts of the bounds, each in a line. */
static void assert_bounds(const struct pw_bounds *bounds, const char *expected)
{
    PW_STR_AUTO list = PW_STR_INIT;
    for (size_t i = 0; i < bounds->count; i++) {
        pw_str_addf(&list, "%s\n", bounds->items[i].text);
    }
    assert_string_equal(list.text, expected);
}

static void add(struct pw_bounds *bounds, const char *text, int order)
{
    struct pw_bound bound = parse(text);
    bound.order = order;
    assert_int_equal(pw_bounds_add(bounds, &bound, NULL), 0);
    assert_null(bound.text); /* given away */
}

static void override(struct pw_bounds *bounds, const char *text, int order)
{
    struct pw_bound bound = parse(text);
    bound.order = order;
    assert_int_equal(pw_bounds_override(bounds, &bound, NULL), 0);
    assert_null(bound.text);
}

static void test_order(void **state)
{
    (void)state;
    struct pw_bounds bounds = {0};
    add(&bounds, "latency_ms mean<1", PW_BOUND_ORDER_OWN);
    add(&bounds, "latency_ms p50<2", PW_BOUND_ORDER_OWN);
    add(&bounds, "latency_ms p95<3", 5);
    add(&bounds, "failed_runs_total<=0", 0);
    add(&bounds, "latency_ms max<4", PW_BOUND_ORDER_OWN);
    add(&bounds, "latency_ms min<5", 5);
    assert_bounds(&bounds, "failed_runs_total<=0\nlatency_ms p95<3\nlatency_ms min<5\n"
                           "latency_ms mean<1\nlatency_ms p50<2\nlatency_ms max<4\n");
    pw_bounds_done(&bounds);
    assert_int_equal(bounds.count, 0);
    pw_bounds_done(&bounds);
}

static void test_many(void **state)
{
    (void)state;
    struct pw_bounds bounds = {0};
    for (int i = 0; i < 1000; i++) {
        char text[64];
        snprintf(text, sizeof(text), "latency_ms mean<%d", i);
        add(&bounds, text, 999 - i);
    }
    assert_int_equal(bounds.count, 1000);
    for (size_t i = 0; i < bounds.count; i++) {
        assert_true(bounds.items[i].limit.value == (double)(999 - i));
    }
    pw_bounds_done(&bounds);
}

static void test_override(void **state)
{
    (void)state;
    struct pw_bounds bounds = {0};
    add(&bounds, "failed_runs_total<=0", 0);
    add(&bounds, "latency_ms p(95)<=1000", 1);
    add(&bounds, "latency_ms mean<=500", PW_BOUND_ORDER_OWN);
    add(&bounds, "max_rss_mb mean<=9", PW_BOUND_ORDER_OWN);
    /* One of the same number and direction takes its place, however it is written. */
    override(&bounds, "latency_ms.p95<2000", PW_BOUND_ORDER_OWN);
    override(&bounds, "latency_ms avg<=600", PW_BOUND_ORDER_OWN);
    assert_bounds(&bounds, "failed_runs_total<=0\nlatency_ms.p95<2000\nlatency_ms avg<=600\n"
                           "max_rss_mb mean<=9\n");
    assert_int_equal(bounds.items[1].order, 1);
    /* Another direction, another statistic, another number, another meaning: beside it. */
    override(&bounds, "latency_ms p(95)>=10", PW_BOUND_ORDER_OWN);
    override(&bounds, "latency_ms p(94)<=10", PW_BOUND_ORDER_OWN);
    override(&bounds, "latency_ms p(95)==10", PW_BOUND_ORDER_OWN);
    override(&bounds, "latency_ms p(95)!=11", PW_BOUND_ORDER_OWN);
    override(&bounds, "latency_ms p(95) within 1 of 10", PW_BOUND_ORDER_OWN);
    override(&bounds, "otel.latency_ms p(95)<=10", PW_BOUND_ORDER_OWN);
    override(&bounds, "span.latency_ms p(95)<=10", PW_BOUND_ORDER_OWN);
    assert_int_equal(bounds.count, 11);
    override(&bounds, "latency_ms p(95)>20", PW_BOUND_ORDER_OWN);
    assert_int_equal(bounds.count, 11);
    assert_string_equal(bounds.items[4].text, "latency_ms p(95)>20");
    /* With a place of its own it goes there. */
    override(&bounds, "max_rss_mb mean<=8", 0);
    assert_int_equal(bounds.count, 11);
    assert_string_equal(bounds.items[0].text, "failed_runs_total<=0");
    assert_string_equal(bounds.items[1].text, "max_rss_mb mean<=8");
    pw_bounds_done(&bounds);
}

static void test_conditions(void **state)
{
    (void)state;
    struct pw_bound bound = parse("latency_ms mean<=baseline");
    bound.conditions[bound.condition_count++] = strdup("top_attach");
    bound.conditions[bound.condition_count++] = strdup("xctrace.trace_count > 0");
    assert_true(pw_bound_uses_baseline(&bound));
    pw_bound_done(&bound);
    assert_int_equal(bound.condition_count, 0);
    bound = parse("latency_ms mean<=5");
    assert_false(pw_bound_uses_baseline(&bound));
    pw_bound_done(&bound);
    bound = parse("latency_ms mean within 5% of baseline*1.1-3");
    assert_true(pw_bound_uses_baseline(&bound));
    pw_bound_done(&bound);
}

static void test_op_text(void **state)
{
    (void)state;
    static const char *const texts[] = {"<=", "<", ">=", ">", "==", "!=", "within"};
    for (enum pw_bound_op op = PW_OP_LE; op <= PW_OP_WITHIN; op++) {
        assert_string_equal(pw_bound_op_text(op), texts[op]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),    cmocka_unit_test(test_many),
        cmocka_unit_test(test_override), cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_op_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
