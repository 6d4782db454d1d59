#include "core/json.h"
#include "core/limits.h"
#include "core/str.h"
#include "core/telemetry_impl.h"
#include "tests/unit/sample_telemetry.h"

static const json_t *at(const json_t *root, const char *path)
{
    const json_t *value = pw_json_find(root, path);
    if (!value) {
        fail_msg("%s is missing", path);
    }
    return value;
}

#define assert_number(root, path, expected)                   \
    do {                                                      \
        const json_t *number_v = at(root, path);              \
        assert_true(json_is_number(number_v));                \
        assert_near(json_number_value(number_v), (expected)); \
    } while (0)
#define assert_null_at(root, path) assert_true(json_is_null(at(root, path)))
#define assert_text(root, path, expected) \
    assert_string_equal(json_string_value(at(root, path)), (expected))

/* "a b c" */
static void assert_keys(const json_t *object, const char *expected)
{
    PW_STR_AUTO keys = PW_STR_INIT;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value)
    {
        pw_str_addf(&keys, "%s%s", keys.length > 0 ? " " : "", key);
    }
    assert_string_equal(keys.text, expected);
}

static json_t *metrics_of(const struct pw_telemetry *telemetry, bool sets)
{
    bool failed = false;
    json_t *metrics = pw_telemetry_metrics_to_json(telemetry, sets, &failed);
    assert_false(failed);
    assert_non_null(metrics);
    return metrics;
}

static void test_numbers_of_each_type(void **state)
{
    (void)state;
    struct pw_telemetry telemetry = {0};
    fill_telemetry(&telemetry);
    json_t *metrics = metrics_of(&telemetry, false);
    assert_keys(metrics, "agent.queue.depth codex.tool.call codex.turn.queue_ms latency sessions "
                         "sizes");
    assert_keys(at(metrics, "agent.queue.depth"),
                "unit type families points last count mean min max");
    assert_text(metrics, "agent.queue.depth.unit", "{item}");
    assert_text(metrics, "agent.queue.depth.type", "gauge");
    assert_number(metrics, "agent.queue.depth.points", 3);
    assert_number(metrics, "agent.queue.depth.last", 2);
    assert_number(metrics, "agent.queue.depth.mean", 3);
    assert_number(metrics, "agent.queue.depth.max", 4);

    assert_keys(at(metrics, "codex.tool.call"), "unit type families points total");
    assert_number(metrics, "codex.tool.call.total", 6);
    assert_text(metrics, "codex.tool.call.unit", "");

    assert_keys(at(metrics, "codex.turn.queue_ms"),
                "unit type families points count sum mean min max p50 p95 p99 estimated");
    assert_int_equal(json_array_size(at(metrics, "codex.turn.queue_ms.families")), 2);
    assert_text(metrics, "codex.turn.queue_ms.families.0", "turn");
    assert_text(metrics, "codex.turn.queue_ms.families.1", "queue");
    assert_number(metrics, "codex.turn.queue_ms.mean", 25);
    assert_number(metrics, "codex.turn.queue_ms.p50",
                  20); /* rank 2 of 4: the second bucket's end */
    assert_number(metrics, "codex.turn.queue_ms.p95", 47);
    assert_number(metrics, "codex.turn.queue_ms.p99", 49.4);
    assert_true(json_is_true(at(metrics, "codex.turn.queue_ms.estimated")));
    assert_true(json_is_integer(at(metrics, "codex.turn.queue_ms.count")));

    assert_text(metrics, "latency.type", "exponential_histogram");
    assert_near(json_number_value(at(metrics, "latency.p50")), 1.4142135623731);
    assert_null_at(metrics, "latency.min"); /* not known */
    assert_keys(at(metrics, "sizes"), "unit type families points count sum mean");
    assert_number(metrics, "sizes.mean", 3.5);
    json_decref(metrics);
    pw_telemetry_done(&telemetry);
}

static void test_same_name_twice(void **state)
{
    (void)state;
    struct pw_telemetry telemetry = {0};
    fill_telemetry(&telemetry);
    json_t *metrics = metrics_of(&telemetry, true);
    assert_text(metrics, "sessions.type", "gauge");
    assert_int_equal(json_array_size(at(metrics, "sessions.conflicting")), 1);
    assert_keys(at(metrics, "sessions.conflicting.0"),
                "unit type families points total last sets sets_dropped");
    assert_text(metrics, "sessions.conflicting.0.type", "updown_sum");
    assert_text(metrics, "sessions.conflicting.0.unit", "{session}");
    assert_number(metrics, "sessions.conflicting.0.total", -1);
    assert_number(metrics, "sessions.conflicting.0.last", 7);
    assert_null(pw_json_find(metrics, "sizes.conflicting"));
    json_decref(metrics);
    pw_telemetry_done(&telemetry);
}

static void test_sets(void **state)
{
    (void)state;
    struct pw_telemetry telemetry = {0};
    fill_telemetry(&telemetry);
    json_t *metrics = metrics_of(&telemetry, true);
    assert_int_equal(json_array_size(at(metrics, "codex.tool.call.sets")), 2);
    assert_keys(at(metrics, "codex.tool.call.sets.0"), "attributes points total");
    assert_text(metrics, "codex.tool.call.sets.1.attributes.tool", "exec");
    assert_true(json_is_true(at(metrics, "codex.tool.call.sets.0.attributes.ok")));
    assert_number(metrics, "codex.tool.call.sets.0.total", 2);
    assert_number(metrics, "codex.tool.call.sets.0.points", 1);
    assert_true(json_is_false(at(metrics, "codex.tool.call.sets_dropped")));
    assert_int_equal(json_array_size(at(metrics, "latency.sets")), 0);
    assert_true(json_is_true(at(metrics, "latency.sets_dropped")));
    json_decref(metrics);

    free(telemetry.metrics[1].sets[0].attributes);
    telemetry.metrics[1].sets[0].attributes = strdup("{\"a\\u0000b\":1}"); /* no key for jansson */
    free(telemetry.metrics[1].sets[1].attributes);
    telemetry.metrics[1].sets[1].attributes = strdup("{\"a\":\"b\\u0000\"}");
    metrics = metrics_of(&telemetry, true);
    assert_null_at(metrics, "codex.tool.call.sets.0.attributes");
    assert_int_equal(json_string_length(at(metrics, "codex.tool.call.sets.1.attributes.a")), 2);
    json_decref(metrics);
    pw_telemetry_done(&telemetry);
}

/* What has no value is null, not 0 and not left out. */
static void test_nothing_known(void **state)
{
    (void)state;
    struct pw_telemetry telemetry = {0};
    telemetry.metrics = new_metrics(PW_OTEL_TYPE_COUNT);
    telemetry.metric_count = PW_OTEL_TYPE_COUNT;
    for (enum pw_otel_type type = 0; type < PW_OTEL_TYPE_COUNT; type++) {
        telemetry.metrics[type] = named_metric(pw_otel_type_name(type), "", type, 0, 0);
    }
    json_t *metrics = metrics_of(&telemetry, false);
    for (enum pw_otel_type type = 0; type < PW_OTEL_TYPE_COUNT; type++) {
        const json_t *metric = at(metrics, pw_otel_type_name(type));
        assert_text(metric, "type", pw_otel_type_name(type));
        for (enum pw_otel_number number = 0; number < PW_OTEL_NUMBER_KINDS; number++) {
            const json_t *value = json_object_get(metric, pw_otel_number_name(number));
            if ((pw_otel_numbers(type) & PW_OTEL_NUMBER_BIT(number)) == 0) {
                assert_null(value);
            } else if (number == PW_OTEL_NUMBER_COUNT) {
                assert_int_equal(json_integer_value(value), 0);
            } else {
                assert_true(json_is_null(value));
            }
        }
    }
    json_decref(metrics);
    pw_telemetry_done(&telemetry);
}

/* Names are what a sender made them. */
static void test_hostile_names_and_counts(void **state)
{
    (void)state;
    struct pw_telemetry telemetry = {0};
    telemetry.metrics = new_metrics(3);
    telemetry.metric_count = 3;
    telemetry.metrics[0] = named_metric("", "", PW_OTEL_SUM, 0, UINT64_MAX);
    telemetry.metrics[1] =
        named_metric("a\xFE", "\xFF", PW_OTEL_SUMMARY, PW_FAMILY_BIT(PW_FAMILY_QUEUE), 1);
    telemetry.metrics[2] =
        named_metric("a\xFF", "", PW_OTEL_SUMMARY, PW_FAMILY_BIT(PW_FAMILY_QUEUE), 1);
    telemetry.metrics[1].total.count = UINT64_MAX;
    telemetry.metrics[2].total.count = UINT64_MAX;
    json_t *metrics = metrics_of(&telemetry, true);
    assert_int_equal(json_object_size(metrics), 2); /* an empty name, and U+FFFD in the other */
    assert_near(json_number_value(json_object_get(json_object_get(metrics, ""), "points")),
                1.84467440737096e19);
    const json_t *mended = json_object_get(metrics, "a\xEF\xBF\xBD");
    assert_text(mended, "unit", "\xEF\xBF\xBD");
    assert_int_equal(json_array_size(at(mended, "conflicting")), 1);
    json_decref(metrics);

    bool failed = false;
    json_t *queue = pw_telemetry_queue_to_json(&telemetry, &failed);
    assert_false(failed);
    assert_int_equal(json_object_size(queue), 1);
    const json_t *total = json_object_get(queue, "a\xEF\xBF\xBD");
    assert_near(json_number_value(total), 3.68934881474191e19);
    json_decref(queue);
    pw_telemetry_done(&telemetry);
}

static void test_queue_totals(void **state)
{
    (void)state;
    struct pw_telemetry telemetry = {0};
    bool failed = false;
    fill_telemetry(&telemetry);
    json_t *queue = pw_telemetry_queue_to_json(&telemetry, &failed);
    assert_false(failed);
    assert_keys(queue, "agent.queue.depth codex.turn.queue_ms");
    assert_true(json_is_integer(at(queue, "agent.queue.depth")));
    assert_number(queue, "agent.queue.depth", 3);   /* a number point counts 1 */
    assert_number(queue, "codex.turn.queue_ms", 4); /* a histogram its values */
    json_decref(queue);
    pw_telemetry_done(&telemetry);
}

static json_t *actions_of(const struct pw_telemetry *telemetry)
{
    bool failed = false;
    json_t *actions = pw_telemetry_actions_to_json(telemetry, &failed);
    assert_false(failed);
    assert_non_null(actions);
    return actions;
}

static void test_actions(void **state)
{
    (void)state;
    struct pw_telemetry telemetry = {0};
    fill_telemetry(&telemetry);
    json_t *actions = actions_of(&telemetry);
    assert_int_equal(json_array_size(actions), 3);
    /* 100 s, 500 ms, 90 ms. */
    assert_text(actions, "0.name", "patch");
    assert_text(actions, "1.name", "read");
    assert_text(actions, "2.name", "exec");
    assert_keys(at(actions, "0"),
                "name source also count failures total_ms mean_ms median_ms p95_ms p99_ms min_ms "
                "max_ms stddev_ms estimated");

    assert_text(actions, "2.source", "log");
    assert_int_equal(json_array_size(at(actions, "2.also")), 2);
    assert_text(actions, "2.also.0", "span");
    assert_text(actions, "2.also.1", "histogram");
    assert_number(actions, "2.count", 3);
    assert_number(actions, "2.failures", 1);
    assert_number(actions, "2.total_ms", 90);
    assert_number(actions, "2.mean_ms", 30);
    assert_number(actions, "2.median_ms", 20);
    assert_number(actions, "2.p95_ms", 56); /* position 1.9 */
    assert_number(actions, "2.p99_ms", 59.2);
    assert_number(actions, "2.min_ms", 10);
    assert_number(actions, "2.max_ms", 60);
    assert_near(json_number_value(at(actions, "2.stddev_ms")), 26.4575131106459); /* sqrt(700) */
    assert_true(json_is_false(at(actions, "2.estimated")));

    assert_text(actions, "0.source", "histogram");
    assert_int_equal(json_array_size(at(actions, "0.also")), 0);
    assert_number(actions, "0.count", 4);
    assert_number(actions, "0.total_ms", 100000);
    assert_number(actions, "0.mean_ms", 25000);
    assert_number(actions, "0.median_ms", 20000);
    assert_number(actions, "0.p95_ms", 47000);
    assert_number(actions, "0.min_ms", 10000);
    assert_null_at(actions, "0.stddev_ms");
    assert_true(json_is_true(at(actions, "0.estimated")));

    assert_null_at(actions, "1.stddev_ms"); /* of one value */
    assert_number(actions, "1.p99_ms", 500);
    json_decref(actions);
    pw_telemetry_done(&telemetry);
}

static void test_action_without_numbers(void **state)
{
    (void)state;
    struct pw_telemetry telemetry = {0};
    telemetry.actions = calloc(2, sizeof *telemetry.actions);
    telemetry.action_count = 2;
    telemetry.actions[0] =
        (struct pw_otel_action){.name = strdup("b"), .source = PW_ACTION_LOG, .failures = 4};
    telemetry.actions[1] = (struct pw_otel_action){
        .name = strdup("c"), .source = PW_ACTION_HISTOGRAM, .unit_ms = 1, .total = {.count = 2}};
    json_t *actions = actions_of(&telemetry);
    assert_text(actions, "0.name", "b"); /* the same total: by name */
    assert_number(actions, "0.count", 0);
    assert_number(actions, "0.failures", 4);
    assert_null_at(actions, "0.mean_ms");
    assert_null_at(actions, "0.median_ms");
    assert_null_at(actions, "0.min_ms");
    assert_null_at(actions, "0.stddev_ms");
    assert_null_at(actions, "1.total_ms");
    assert_null_at(actions, "1.mean_ms");
    assert_null_at(actions, "1.p95_ms");
    json_decref(actions);
    pw_telemetry_done(&telemetry);
}

/* Over the limit percentiles are of a sample; count, total and extremes are not. */
static void test_thinned_durations(void **state)
{
    (void)state;
    struct pw_telemetry telemetry = {0};
    telemetry.actions = calloc(1, sizeof *telemetry.actions);
    telemetry.action_count = 1;
    telemetry.actions[0] = (struct pw_otel_action){.name = strdup("a"), .source = PW_ACTION_SPAN};
    const size_t count = (size_t)PW_LIMIT_OTEL_DURATIONS * 3;
    for (size_t i = 1; i <= count; i++) {
        const double ms = (double)i;
        add_durations(&telemetry.actions[0].durations, &ms, 1);
    }
    json_t *actions = actions_of(&telemetry);
    assert_true(json_is_true(at(actions, "0.estimated")));
    assert_number(actions, "0.count", (double)count);
    assert_number(actions, "0.max_ms", (double)count);
    assert_number(actions, "0.total_ms", (double)count * (double)(count + 1) / 2);
    double median = json_number_value(at(actions, "0.median_ms"));
    assert_true(fabs(median / (double)count - 0.5) < 0.03); /* six standard errors */
    json_decref(actions);
    pw_telemetry_done(&telemetry);
}

static void test_spans(void **state)
{
    (void)state;
    struct pw_telemetry telemetry = {0};
    bool failed = false;
    fill_telemetry(&telemetry);
    json_t *spans = pw_telemetry_spans_to_json(&telemetry, &failed);
    assert_false(failed);
    assert_int_equal(json_array_size(spans), 2);
    assert_keys(at(spans, "0"), "name count errors total_ms self_ms mean_ms median_ms p95_ms "
                                "p99_ms min_ms max_ms stddev_ms estimated");
    assert_text(spans, "0.name", "turn");
    assert_number(spans, "0.self_ms", 80);
    assert_number(spans, "0.total_ms", 100);
    assert_text(spans, "1.name", "call");
    assert_number(spans, "1.count", 2);
    assert_number(spans, "1.errors", 1);
    assert_number(spans, "1.median_ms", 10);
    json_decref(spans);
    pw_telemetry_done(&telemetry);
}

/* The ones with most self time stay. */
static void test_too_many_spans(void **state)
{
    (void)state;
    enum { COUNT = PW_LIMIT_OTEL_NAMES + 7 };
    struct pw_telemetry telemetry = {0};
    bool failed = false;
    telemetry.span_names = calloc(COUNT, sizeof *telemetry.span_names);
    telemetry.span_name_count = COUNT;
    for (size_t i = 0; i < COUNT; i++) {
        char name[16];
        snprintf(name, sizeof name, "s%05zu", i);
        telemetry.span_names[i] =
            (struct pw_otel_span){.name = strdup(name), .self_ms = i < 10 ? 5 : (double)i};
    }
    json_t *spans = pw_telemetry_spans_to_json(&telemetry, &failed);
    assert_false(failed);
    assert_int_equal(json_array_size(spans), PW_LIMIT_OTEL_NAMES);
    assert_text(spans, "0.name", "s01006");
    assert_text(json_array_get(spans, PW_LIMIT_OTEL_NAMES - 3), "name",
                "s00000"); /* then by name */
    assert_text(json_array_get(spans, PW_LIMIT_OTEL_NAMES - 1), "name", "s00002");
    json_decref(spans);
    pw_telemetry_done(&telemetry);
}

static void test_counts(void **state)
{
    (void)state;
    struct pw_telemetry telemetry = {0};
    bool failed = false;
    fill_telemetry(&telemetry);
    json_t *counts = pw_telemetry_counts_to_json(&telemetry, &failed);
    assert_false(failed);
    assert_keys(at(counts, "received"),
                "payloads metrics traces logs bytes datapoints spans log_records");
    assert_number(counts, "received.payloads", 6);
    assert_number(counts, "received.metrics", 2);
    assert_number(counts, "received.traces", 1);
    assert_number(counts, "received.logs", 3);
    assert_number(counts, "received.bytes", 4096);
    assert_number(counts, "received.datapoints", 14);
    assert_number(counts, "joined_spans", 2);
    assert_number(counts, "late", 1);
    assert_number(counts, "cut_off", 0);
    assert_number(counts, "undecodable", 0);
    assert_keys(at(counts, "refused"), "too_large unsupported busy");
    assert_number(counts, "refused.too_large", 2);
    assert_keys(at(counts, "dropped"), "series_limit invalid_point not_a_number no_value repeated "
                                       "span_limit name_limit memory");
    assert_number(counts, "dropped.span_limit", 5);
    assert_int_equal(pw_telemetry_lost_payloads(&telemetry), 3);
    json_decref(counts);
    pw_telemetry_done(&telemetry);
}

static void test_worker_in_brief(void **state)
{
    (void)state;
    static const uint64_t points[PW_FAMILY_COUNT] = {1, 2, 3, 4};
    struct pw_telemetry telemetry = {0};
    bool failed = false;
    fill_telemetry(&telemetry);
    json_t *worker = pw_telemetry_worker_to_json(&telemetry, points, &failed);
    assert_false(failed);
    assert_keys(worker, "received joined_spans points lost");
    assert_number(worker, "received.payloads", 6);
    assert_keys(at(worker, "points"), "turn action stream queue");
    assert_number(worker, "points.queue", 4);
    assert_keys(at(worker, "lost"), "too_large late span_limit");
    assert_number(worker, "lost.span_limit", 5);
    json_decref(worker);
    pw_telemetry_done(&telemetry);
}

static void test_nothing_arrived(void **state)
{
    (void)state;
    const struct pw_telemetry telemetry = {0};
    bool failed = false;
    json_t *blocks[] = {
        pw_telemetry_metrics_to_json(&telemetry, true, &failed),
        pw_telemetry_queue_to_json(&telemetry, &failed),
        pw_telemetry_actions_to_json(&telemetry, &failed),
        pw_telemetry_spans_to_json(&telemetry, &failed),
    };
    assert_false(failed);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(json_object_size(blocks[i]) + json_array_size(blocks[i]), 0);
        assert_true(i < 2 ? json_is_object(blocks[i]) : json_is_array(blocks[i]));
        json_decref(blocks[i]);
    }
    json_t *counts = pw_telemetry_counts_to_json(&telemetry, &failed);
    assert_number(counts, "received.payloads", 0);
    assert_number(counts, "dropped.memory", 0);
    json_decref(counts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_of_each_type),
        cmocka_unit_test(test_same_name_twice),
        cmocka_unit_test(test_sets),
        cmocka_unit_test(test_nothing_known),
        cmocka_unit_test(test_hostile_names_and_counts),
        cmocka_unit_test(test_queue_totals),
        cmocka_unit_test(test_actions),
        cmocka_unit_test(test_action_without_numbers),
        cmocka_unit_test(test_thinned_durations),
        cmocka_unit_test(test_spans),
        cmocka_unit_test(test_too_many_spans),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_worker_in_brief),
        cmocka_unit_test(test_nothing_arrived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
