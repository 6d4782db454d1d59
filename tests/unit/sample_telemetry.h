/* Telemetry with known numbers: a metric of each type, two of them under one name, actions from
 * each source, spans, and losses. */
#ifndef PW_TESTS_UNIT_SAMPLE_TELEMETRY_H
#define PW_TESTS_UNIT_SAMPLE_TELEMETRY_H

#include "core/telemetry.h"
#include "tests/unit/unit.h"

static inline void add_durations(struct pw_durations *durations, const double *ms, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(pw_durations_add(durations, ms[i], NULL), 0);
    }
}

static inline void *copy_of(const void *bytes, size_t size)
{
    void *copy = malloc(size);
    assert_non_null(copy);
    return memcpy(copy, bytes, size);
}

/* 1 value up to 10, 1 up to 20, 2 up to 50. */
static inline void fill_buckets(struct pw_histogram *histogram)
{
    static const double bounds[] = {10, 20, 50};
    static const uint64_t counts[] = {1, 1, 2, 0};
    *histogram = (struct pw_histogram){
        .kind = PW_HISTOGRAM_EXPLICIT,
        .bounds = copy_of(bounds, sizeof bounds),
        .counts = copy_of(counts, sizeof counts),
        .bucket_count = 4,
    };
}

static inline struct pw_otel_metric *new_metrics(size_t count)
{
    struct pw_otel_metric *metrics = calloc(count, sizeof *metrics);
    assert_non_null(metrics);
    return metrics;
}

static inline struct pw_otel_metric named_metric(const char *name, const char *unit,
                                                 enum pw_otel_type type, unsigned families,
                                                 uint64_t points)
{
    return (struct pw_otel_metric){.name = strdup(name),
                                   .unit = strdup(unit),
                                   .type = type,
                                   .families = families,
                                   .total = {.points = points}};
}

static inline void fill_metrics(struct pw_telemetry *telemetry)
{
    static const uint64_t exponential[] = {2};
    struct pw_otel_metric *metrics = new_metrics(7);
    metrics[0] = named_metric("agent.queue.depth", "{item}", PW_OTEL_GAUGE,
                              PW_FAMILY_BIT(PW_FAMILY_QUEUE), 3);
    metrics[0].total.last = pw_value_of(2);
    metrics[0].total.last_at_ns = 1000;
    metrics[0].total.count = 3;
    metrics[0].total.sum = pw_value_of(9);
    metrics[0].total.min = pw_value_of(2);
    metrics[0].total.max = pw_value_of(4);

    metrics[1] =
        named_metric("codex.tool.call", "", PW_OTEL_SUM, PW_FAMILY_BIT(PW_FAMILY_ACTION), 4);
    metrics[1].total.total = pw_value_of(6);
    metrics[1].sets = calloc(2, sizeof *metrics[1].sets);
    metrics[1].set_count = 2;
    metrics[1].sets[0] = (struct pw_otel_set){
        .attributes = strdup("{\"ok\":true,\"tool\":\"patch\"}"),
        .total = {.points = 1, .total = pw_value_of(2)},
    };
    metrics[1].sets[1] = (struct pw_otel_set){
        .attributes = strdup("{\"tool\":\"exec\"}"),
        .total = {.points = 3, .total = pw_value_of(4)},
    };

    metrics[2] = named_metric("codex.turn.queue_ms", "ms", PW_OTEL_HISTOGRAM,
                              PW_FAMILY_BIT(PW_FAMILY_TURN) | PW_FAMILY_BIT(PW_FAMILY_QUEUE), 1);
    metrics[2].total.count = 4;
    metrics[2].total.sum = pw_value_of(100);
    metrics[2].total.min = pw_value_of(10);
    metrics[2].total.max = pw_value_of(50);
    fill_buckets(&metrics[2].total.histogram);

    metrics[3] = named_metric("latency", "s", PW_OTEL_EXPONENTIAL_HISTOGRAM, 0, 1);
    metrics[3].total.count = 2;
    metrics[3].total.sum = pw_value_of(3);
    metrics[3].total.histogram = (struct pw_histogram){
        .kind = PW_HISTOGRAM_EXPONENTIAL,
        .positive = {.counts = copy_of(exponential, sizeof exponential), .count = 1},
    };
    metrics[3].sets_dropped = true;

    metrics[4] = named_metric("sessions", "", PW_OTEL_GAUGE, 0, 1);
    metrics[4].total.last = pw_value_of(5);
    metrics[4].total.count = 1;
    metrics[4].total.sum = pw_value_of(5);
    metrics[4].total.min = metrics[4].total.max = pw_value_of(5);
    metrics[5] = named_metric("sessions", "{session}", PW_OTEL_UPDOWN, 0, 2);
    metrics[5].total.total = pw_value_of(-1);
    metrics[5].total.last = pw_value_of(7);

    metrics[6] = named_metric("sizes", "By", PW_OTEL_SUMMARY, 0, 2);
    metrics[6].total.count = 2;
    metrics[6].total.sum = pw_value_of(7);
    telemetry->metrics = metrics;
    telemetry->metric_count = 7;
}

/* "exec" from all sources, "patch" from a histogram in seconds, "read" from logs. */
static inline void fill_actions(struct pw_telemetry *telemetry)
{
    static const double exec_ms[] = {10, 60, 20};
    static const double read_ms[] = {500};
    struct pw_otel_action *actions = calloc(5, sizeof *actions);
    assert_non_null(actions);
    actions[0] =
        (struct pw_otel_action){.name = strdup("exec"), .source = PW_ACTION_LOG, .failures = 1};
    add_durations(&actions[0].durations, exec_ms, 3);
    actions[1] = (struct pw_otel_action){.name = strdup("exec"), .source = PW_ACTION_SPAN};
    add_durations(&actions[1].durations, exec_ms, 2);
    actions[2] = (struct pw_otel_action){.name = strdup("exec"), .source = PW_ACTION_HISTOGRAM};
    actions[3] = (struct pw_otel_action){
        .name = strdup("patch"),
        .source = PW_ACTION_HISTOGRAM,
        .failures = 2,
        .unit_ms = 1000,
        .total = {.points = 1,
                  .count = 4,
                  .sum = pw_value_of(100),
                  .min = pw_value_of(10),
                  .max = pw_value_of(50)},
    };
    fill_buckets(&actions[3].total.histogram);
    actions[4] = (struct pw_otel_action){.name = strdup("read"), .source = PW_ACTION_LOG};
    add_durations(&actions[4].durations, read_ms, 1);
    telemetry->actions = actions;
    telemetry->action_count = 5;
}

static inline void fill_spans(struct pw_telemetry *telemetry)
{
    static const double call_ms[] = {5, 15};
    static const double turn_ms[] = {100};
    struct pw_otel_span *spans = calloc(2, sizeof *spans);
    assert_non_null(spans);
    spans[0] = (struct pw_otel_span){.name = strdup("call"), .errors = 1, .self_ms = 20};
    add_durations(&spans[0].durations, call_ms, 2);
    spans[1] = (struct pw_otel_span){.name = strdup("turn"), .self_ms = 80};
    add_durations(&spans[1].durations, turn_ms, 1);
    telemetry->span_names = spans;
    telemetry->span_name_count = 2;
}

/* Into zeroed memory; end it with pw_telemetry_done(). */
static inline void fill_telemetry(struct pw_telemetry *telemetry)
{
    telemetry->payloads[PW_SIGNAL_METRICS] = 2;
    telemetry->payloads[PW_SIGNAL_TRACES] = 1;
    telemetry->payloads[PW_SIGNAL_LOGS] = 3;
    telemetry->bytes = 4096;
    telemetry->datapoints = 14;
    telemetry->spans = 3;
    telemetry->log_records = 9;
    telemetry->joined_spans = 2;
    telemetry->losses[PW_LOSS_LATE] = 1;
    telemetry->losses[PW_LOSS_TOO_LARGE] = 2;
    telemetry->losses[PW_LOSS_SPAN_LIMIT] = 5;
    fill_metrics(telemetry);
    fill_actions(telemetry);
    fill_spans(telemetry);
}

#endif
