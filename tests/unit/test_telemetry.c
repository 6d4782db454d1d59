#include "core/telemetry.h"

#include "core/limits.h"
#include "tests/unit/unit.h"

/* --- names --- */

static void test_names_are_complete_and_differ(void **state)
{
    (void)state;
    const char *losses[PW_LOSS_COUNT];
    for (int i = 0; i < PW_LOSS_COUNT; i++) {
        losses[i] = pw_loss_name((enum pw_loss)i);
        assert_non_null(losses[i]);
        for (int j = 0; j < i; j++) {
            assert_string_not_equal(losses[i], losses[j]);
        }
    }
    for (int i = 0; i < PW_OTEL_TYPE_COUNT; i++) {
        assert_non_null(pw_otel_type_name((enum pw_otel_type)i));
    }
    for (int i = 0; i < PW_FAMILY_COUNT; i++) {
        assert_non_null(pw_family_name((enum pw_family)i));
    }
    assert_string_equal(pw_loss_name(PW_LOSS_NOT_A_NUMBER), "not_a_number");
    assert_string_equal(pw_otel_type_name(PW_OTEL_UPDOWN), "updown_sum");
    assert_string_equal(pw_signal_name(PW_SIGNAL_LOGS), "logs");
    assert_string_equal(pw_family_name(PW_FAMILY_QUEUE), "queue");
    assert_string_equal(pw_action_source_name(PW_ACTION_HISTOGRAM), "histogram");
}

/* --- totals --- */

static void test_sums_add_up(void **state)
{
    (void)state;
    struct pw_otel_total a = {.points = 2, .total = pw_value_of(5)};
    struct pw_otel_total b = {.points = 3, .total = pw_value_of(7)};
    struct pw_otel_total unknown = {.points = 1};
    assert_int_equal(pw_otel_total_add(&a, &b, PW_OTEL_SUM, NULL), 0);
    assert_int_equal(pw_otel_total_add(&a, &unknown, PW_OTEL_SUM, NULL), 0);
    assert_value(a.total, 12.0);
    assert_int_equal(a.points, 6);
    assert_int_equal(pw_otel_total_add(&unknown, &a, PW_OTEL_SUM, NULL), 0);
    assert_value(unknown.total, 12.0);
}

static struct pw_otel_total last_of(double last, int64_t at_ns)
{
    return (struct pw_otel_total){.last = pw_value_of(last), .last_at_ns = at_ns};
}

static void test_last_of_gauges_is_the_newest_and_of_updown_sums_the_sum(void **state)
{
    (void)state;
    struct pw_otel_total old = last_of(5, 100);
    struct pw_otel_total newer = last_of(7, 200);
    struct pw_otel_total none = {.last_at_ns = 300};
    struct pw_otel_total gauge = {0};
    struct pw_otel_total updown = {0};
    const struct pw_otel_total *order[] = {&newer, &old, &none};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pw_otel_total_add(&gauge, order[i], PW_OTEL_GAUGE, NULL), 0);
        assert_int_equal(pw_otel_total_add(&updown, order[i], PW_OTEL_UPDOWN, NULL), 0);
    }
    assert_value(gauge.last, 7.0);
    assert_int_equal(gauge.last_at_ns, 200);
    assert_value(updown.last, 12.0);
    assert_int_equal(updown.last_at_ns, 200);
}

static void test_extremes_are_known_only_of_all_values(void **state)
{
    (void)state;
    struct pw_otel_total total = {0};
    struct pw_otel_total a = {
        .count = 2, .sum = pw_value_of(10), .min = pw_value_of(4), .max = pw_value_of(6)};
    struct pw_otel_total b = {
        .count = 1, .sum = pw_value_of(3), .min = pw_value_of(3), .max = pw_value_of(3)};
    struct pw_otel_total blind = {.count = 1};
    struct pw_otel_total empty = {0};
    assert_int_equal(pw_otel_total_add(&total, &a, PW_OTEL_HISTOGRAM, NULL), 0);
    assert_int_equal(pw_otel_total_add(&total, &b, PW_OTEL_HISTOGRAM, NULL), 0);
    assert_int_equal(pw_otel_total_add(&total, &empty, PW_OTEL_HISTOGRAM, NULL), 0);
    assert_int_equal(total.count, 3);
    assert_value(total.sum, 13.0);
    assert_value(total.min, 3.0);
    assert_value(total.max, 6.0);
    assert_int_equal(pw_otel_total_add(&total, &blind, PW_OTEL_HISTOGRAM, NULL), 0);
    assert_int_equal(total.count, 4);
    assert_absent(total.sum, PW_ABSENT_NOT_MEASURED);
    assert_absent(total.min, PW_ABSENT_NOT_MEASURED);
    assert_absent(total.max, PW_ABSENT_NOT_MEASURED);
}

/* Buckets that do not hold all values would give wrong quantiles. */
static void test_buckets_of_some_values_only_are_dropped(void **state)
{
    (void)state;
    double bounds[] = {1};
    uint64_t counts[] = {1, 2};
    struct pw_otel_total with = {
        .count = 3,
        .histogram = {
            .kind = PW_HISTOGRAM_EXPLICIT, .bounds = bounds, .counts = counts, .bucket_count = 2}};
    struct pw_otel_total without = {.count = 4};
    struct pw_otel_total total = {0};
    assert_int_equal(pw_otel_total_add(&total, &with, PW_OTEL_HISTOGRAM, NULL), 0);
    assert_int_equal(pw_otel_total_add(&total, &with, PW_OTEL_HISTOGRAM, NULL), 0);
    assert_int_equal(total.histogram.kind, PW_HISTOGRAM_EXPLICIT);
    assert_int_equal(total.histogram.counts[1], 4);
    assert_int_equal(pw_otel_total_add(&total, &without, PW_OTEL_HISTOGRAM, NULL), 0);
    assert_int_equal(total.histogram.kind, PW_HISTOGRAM_MIXED);
    assert_int_equal(total.count, 10);
    pw_otel_total_done(&total);
    assert_int_equal(pw_otel_total_add(&total, &without, PW_OTEL_HISTOGRAM, NULL), 0);
    assert_int_equal(pw_otel_total_add(&total, &with, PW_OTEL_HISTOGRAM, NULL), 0);
    assert_int_equal(total.histogram.kind, PW_HISTOGRAM_MIXED);
    pw_otel_total_done(&total);
}

/* --- durations --- */

static void test_durations_of_a_few(void **state)
{
    (void)state;
    static const double ms[] = {4, 7, 13, 16, 1e9 + 4, 0};
    struct pw_durations durations = {0};
    double sum = 0;
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(pw_durations_add(&durations, ms[i], NULL), 0);
        sum += ms[i];
    }
    double squares = 0;
    for (size_t i = 0; i < 6; i++) {
        squares += (ms[i] - sum / 6) * (ms[i] - sum / 6);
    }
    assert_int_equal(durations.count, 6);
    assert_near(durations.sum_ms, sum);
    assert_near(durations.mean_ms, sum / 6);
    assert_near(durations.m2, squares);
    assert_near(durations.min_ms, 0.0);
    assert_near(durations.max_ms, 1e9 + 4);
    assert_int_equal(durations.kept_count, 6);
    assert_memory_equal(durations.kept, ms, sizeof(ms));
    pw_durations_done(&durations);
}

/* As many as `count`, from `first` on, one by one. */
static void add_range(struct pw_durations *durations, int first, int count)
{
    for (int i = first; i < first + count; i++) {
        assert_int_equal(pw_durations_add(durations, i, NULL), 0);
    }
}

/* A uniform sample of 0 to count - 1 has about a tenth in each tenth. Six standard deviations. */
static void assert_uniform(const struct pw_durations *durations, int count)
{
    int tenths[10] = {0};
    assert_int_equal(durations->kept_count, PW_LIMIT_OTEL_DURATIONS);
    for (size_t i = 0; i < durations->kept_count; i++) {
        assert_true(durations->kept[i] >= 0 && durations->kept[i] < count);
        tenths[(int)(durations->kept[i] * 10 / count)]++;
    }
    for (int i = 0; i < 10; i++) {
        assert_in_range(tenths[i], 1000 - 180, 1000 + 180);
    }
}

static int compare_doubles(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a > b) - (a < b);
}

static void assert_no_value_twice(struct pw_durations *durations)
{
    qsort(durations->kept, durations->kept_count, sizeof(double), compare_doubles);
    for (size_t i = 1; i < durations->kept_count; i++) {
        assert_true(durations->kept[i - 1] < durations->kept[i]);
    }
}

static void test_durations_over_the_limit_are_a_uniform_sample(void **state)
{
    (void)state;
    struct pw_durations durations = {0};
    add_range(&durations, 0, PW_LIMIT_OTEL_DURATIONS);
    assert_int_equal(durations.kept_count, PW_LIMIT_OTEL_DURATIONS);
    assert_near(durations.kept[777], 777.0);
    add_range(&durations, PW_LIMIT_OTEL_DURATIONS, 90000);
    assert_int_equal(durations.count, 100000);
    assert_near(durations.mean_ms, 49999.5);
    assert_near(durations.max_ms, 99999.0);
    assert_uniform(&durations, 100000);
    assert_no_value_twice(&durations);
    pw_durations_done(&durations);
}

static void test_durations_merge(void **state)
{
    (void)state;
    struct pw_durations into = {0};
    struct pw_durations from = {0};
    struct pw_durations both = {0};
    add_range(&from, 0, 3);
    assert_int_equal(pw_durations_merge(&into, &from, NULL), 0); /* into an empty one */
    pw_durations_done(&from);
    assert_int_equal(pw_durations_merge(&into, &from, NULL), 0); /* from an empty one */
    add_range(&from, 100, 5000);
    assert_int_equal(pw_durations_merge(&into, &from, NULL), 0);
    add_range(&both, 0, 3);
    add_range(&both, 100, 5000);
    assert_int_equal(into.count, 5003);
    assert_int_equal(into.kept_count, 5003);
    assert_memory_equal(into.kept, both.kept, 5003 * sizeof(double));
    assert_near(into.sum_ms, both.sum_ms);
    assert_near(into.mean_ms, both.mean_ms);
    assert_true(fabs(into.m2 - both.m2) < 1e-9 * both.m2);
    assert_near(into.min_ms, 0.0);
    assert_near(into.max_ms, 5099.0);
    pw_durations_done(&into);
    pw_durations_done(&from);
    pw_durations_done(&both);
}

/* However the values are spread over the two sides, the sample of the union is uniform. */
static void test_durations_merge_over_the_limit(void **state)
{
    (void)state;
    static const int splits[] = {0, 1, 500, 9999, 10000, 30000, 50000, 99999};
    for (size_t i = 0; i < sizeof(splits) / sizeof(*splits); i++) {
        struct pw_durations into = {0};
        struct pw_durations from = {0};
        add_range(&into, 0, splits[i]);
        add_range(&from, splits[i], 100000 - splits[i]);
        size_t kept = from.kept_count;
        PW_FREE_AUTO double *copy = malloc(kept * sizeof(double));
        assert_non_null(copy);
        memcpy(copy, from.kept, kept * sizeof(double));
        assert_int_equal(pw_durations_merge(&into, &from, NULL), 0);
        assert_memory_equal(copy, from.kept, kept * sizeof(double)); /* as it was */
        assert_int_equal(into.count, 100000);
        assert_near(into.mean_ms, 49999.5);
        assert_near(into.min_ms, 0.0);
        assert_uniform(&into, 100000);
        assert_no_value_twice(&into);
        pw_durations_done(&into);
        pw_durations_done(&from);
    }
}

/* --- merging --- */

/* A telemetry of one metric, of type sum, whose sets are "{"k":N}" with total N and points 1. */
static struct pw_telemetry sum_of_sets(const char *name, const int *keys, size_t count)
{
    struct pw_telemetry telemetry = {.metrics = calloc(1, sizeof(struct pw_otel_metric)),
                                     .metric_count = 1};
    struct pw_otel_metric *metric = telemetry.metrics;
    assert_non_null(metric);
    metric->name = strdup(name);
    metric->unit = strdup("");
    metric->type = PW_OTEL_SUM;
    metric->families = PW_FAMILY_BIT(PW_FAMILY_ACTION);
    for (size_t i = 0; i < count; i++) {
        char attributes[32];
        snprintf(attributes, sizeof(attributes), "{\"k\":%d}", keys[i]);
        struct pw_otel_metric set = {.type = PW_OTEL_SUM,
                                     .attributes = attributes,
                                     .total = {.points = 1, .total = pw_value_of(keys[i])}};
        assert_int_equal(pw_otel_metric_add(metric, &set, NULL), 0);
    }
    return telemetry;
}

static void merge(struct pw_telemetry *into, struct pw_telemetry from)
{
    assert_int_equal(pw_telemetry_merge(into, &from, NULL), 0);
    pw_telemetry_done(&from);
}

static void test_merge_sets(void **state)
{
    (void)state;
    struct pw_telemetry telemetry = {0};
    merge(&telemetry, sum_of_sets("m", (int[]){5}, 1));
    assert_null(telemetry.metrics->sets);
    assert_int_equal(telemetry.metrics->set_count, 0);
    assert_string_equal(telemetry.metrics->attributes, "{\"k\":5}");
    merge(&telemetry, sum_of_sets("m", (int[]){5}, 1));
    assert_null(telemetry.metrics->sets);
    assert_value(telemetry.metrics->total.total, 10.0);

    /* A second set: the first one comes out of hiding with its own numbers. */
    merge(&telemetry, sum_of_sets("m", (int[]){3}, 1));
    assert_null(telemetry.metrics->attributes);
    assert_int_equal(telemetry.metrics->set_count, 2);
    assert_string_equal(telemetry.metrics->sets[0].attributes, "{\"k\":3}");
    assert_value(telemetry.metrics->sets[0].total.total, 3.0);
    assert_string_equal(telemetry.metrics->sets[1].attributes, "{\"k\":5}");
    assert_value(telemetry.metrics->sets[1].total.total, 10.0);
    assert_int_equal(telemetry.metrics->sets[1].total.points, 2);
    assert_value(telemetry.metrics->total.total, 13.0);

    merge(&telemetry, sum_of_sets("m", (int[]){9, 3, 1}, 3));
    assert_int_equal(telemetry.metrics->set_count, 4);
    assert_string_equal(telemetry.metrics->sets[0].attributes, "{\"k\":1}");
    assert_value(telemetry.metrics->sets[1].total.total, 6.0);
    assert_value(telemetry.metrics->total.total, 26.0);
    assert_false(telemetry.metrics->sets_dropped);

    int many[PW_LIMIT_OTEL_SETS - 3];
    for (int i = 0; i < PW_LIMIT_OTEL_SETS - 3; i++) {
        many[i] = 100 + i;
    }
    merge(&telemetry, sum_of_sets("m", many, PW_LIMIT_OTEL_SETS - 4));
    assert_int_equal(telemetry.metrics->set_count, PW_LIMIT_OTEL_SETS);
    merge(&telemetry, sum_of_sets("m", &many[PW_LIMIT_OTEL_SETS - 4], 1));
    assert_null(telemetry.metrics->sets);
    assert_null(telemetry.metrics->attributes);
    assert_int_equal(telemetry.metrics->set_count, 0);
    assert_true(telemetry.metrics->sets_dropped);
    merge(&telemetry, sum_of_sets("m", (int[]){1}, 1)); /* they do not come back */
    assert_int_equal(telemetry.metrics->set_count, 0);
    assert_null(telemetry.metrics->attributes);
    assert_true(telemetry.metrics->sets_dropped);
    pw_telemetry_done(&telemetry);
}

/* Names that are new each time, as those with an id in them, do not pile up without end. */
static void test_merge_is_bounded(void **state)
{
    (void)state;
    struct pw_telemetry telemetry = {0};
    for (int i = 0; i < PW_LIMIT_OTEL_NAMES + 3; i++) {
        char name[32];
        snprintf(name, sizeof name, "span %d", i);
        struct pw_telemetry from = {.span_names = calloc(1, sizeof(struct pw_otel_span)),
                                    .span_name_count = 1};
        from.span_names[0].name = strdup(name);
        assert_int_equal(pw_durations_add(&from.span_names[0].durations, 1, NULL), 0);
        assert_int_equal(pw_durations_add(&from.span_names[0].durations, 2, NULL), 0);
        merge(&telemetry, from);
    }
    assert_int_equal(telemetry.span_name_count, PW_LIMIT_OTEL_NAMES);
    assert_int_equal(telemetry.losses[PW_LOSS_NAME_LIMIT], 6);
    pw_telemetry_done(&telemetry);
}

static void test_merge_keeps_metrics_apart_and_sorted(void **state)
{
    (void)state;
    struct pw_telemetry telemetry = {0};
    const char *const names[] = {"m", "z", "a", "m", "q"};
    for (size_t i = 0; i < 5; i++) {
        merge(&telemetry, sum_of_sets(names[i], (int[]){1}, 1));
    }
    struct pw_telemetry other = sum_of_sets("m", (int[]){1}, 1);
    other.metrics[0].type = PW_OTEL_GAUGE;
    other.metrics[0].families = PW_FAMILY_BIT(PW_FAMILY_QUEUE);
    other.metrics[0].total =
        (struct pw_otel_total){.points = 4, .count = 4, .sum = pw_value_of(2.5)};
    merge(&telemetry, other);
    other = sum_of_sets("m", (int[]){1}, 1);
    free(other.metrics[0].unit);
    other.metrics[0].unit = strdup("s");
    merge(&telemetry, other);
    static const char *const expected[] = {"a", "m", "m", "m", "q", "z"};
    assert_int_equal(telemetry.metric_count, 6);
    for (size_t i = 0; i < 6; i++) {
        assert_string_equal(telemetry.metrics[i].name, expected[i]);
    }
    assert_int_equal(telemetry.metrics[1].type, PW_OTEL_GAUGE);
    assert_value(telemetry.metrics[2].total.total, 2.0);
    assert_string_equal(telemetry.metrics[3].unit, "s");
    assert_int_equal(pw_telemetry_family_points(&telemetry, PW_FAMILY_ACTION), 6);
    assert_near(pw_telemetry_family_value_sum(&telemetry, PW_FAMILY_ACTION), 6.0);
    assert_int_equal(pw_telemetry_family_points(&telemetry, PW_FAMILY_QUEUE), 4);
    assert_near(pw_telemetry_family_value_sum(&telemetry, PW_FAMILY_QUEUE), 2.5);
    assert_int_equal(pw_telemetry_family_points(&telemetry, PW_FAMILY_TURN), 0);
    pw_telemetry_done(&telemetry);
}

static void test_merge_counts(void **state)
{
    (void)state;
    struct pw_telemetry telemetry = {.payloads = {1, 2, 3}, .bytes = 10, .datapoints = UINT64_MAX};
    struct pw_telemetry from = {.payloads = {10, 20, 30},
                                .bytes = 5,
                                .datapoints = 4,
                                .spans = 3,
                                .log_records = 2,
                                .joined_spans = 1,
                                .losses = {[PW_LOSS_LATE] = 7}};
    assert_int_equal(pw_telemetry_merge(&telemetry, &from, NULL), 0);
    assert_int_equal(telemetry.payloads[PW_SIGNAL_LOGS], 33);
    assert_int_equal(pw_telemetry_payloads(&telemetry), 66);
    assert_int_equal(telemetry.bytes, 15);
    assert_true(telemetry.datapoints == UINT64_MAX);
    assert_int_equal(telemetry.spans + telemetry.log_records + telemetry.joined_spans, 6);
    assert_int_equal(telemetry.losses[PW_LOSS_LATE], 7);
    pw_telemetry_done(&telemetry);
}

static struct pw_telemetry one_action(const char *name, enum pw_action_source source, double ms)
{
    struct pw_telemetry telemetry = {0};
    struct pw_otel_action *action = pw_telemetry_add_action(&telemetry, name, source, NULL);
    assert_non_null(action);
    action->failures = 1;
    assert_int_equal(pw_durations_add(&action->durations, ms, NULL), 0);
    return telemetry;
}

static void test_merge_actions_and_spans(void **state)
{
    (void)state;
    struct pw_telemetry telemetry = {0};
    merge(&telemetry, one_action("exec", PW_ACTION_LOG, 5));
    merge(&telemetry, one_action("exec", PW_ACTION_SPAN, 50));
    merge(&telemetry, one_action("apply", PW_ACTION_LOG, 500));
    merge(&telemetry, one_action("exec", PW_ACTION_LOG, 7));
    assert_int_equal(telemetry.action_count, 3);
    assert_string_equal(telemetry.actions[0].name, "apply");
    assert_int_equal(telemetry.actions[2].source, PW_ACTION_SPAN);
    assert_int_equal(telemetry.actions[1].source, PW_ACTION_LOG);
    assert_int_equal(telemetry.actions[1].failures, 2);
    assert_int_equal(telemetry.actions[1].durations.count, 2);
    assert_near(telemetry.actions[1].durations.mean_ms, 6.0);

    for (int i = 0; i < 3; i++) {
        struct pw_telemetry from = {.span_names = calloc(1, sizeof(struct pw_otel_span)),
                                    .span_name_count = 1};
        from.span_names[0].name = strdup(i == 1 ? "b" : "s");
        from.span_names[0].errors = 2;
        from.span_names[0].self_ms = 1.5;
        assert_int_equal(pw_durations_add(&from.span_names[0].durations, i, NULL), 0);
        merge(&telemetry, from);
    }
    assert_int_equal(telemetry.span_name_count, 2);
    assert_string_equal(telemetry.span_names[0].name, "b");
    assert_int_equal(telemetry.span_names[1].errors, 4);
    assert_near(telemetry.span_names[1].self_ms, 3.0);
    assert_near(telemetry.span_names[1].durations.sum_ms, 2.0);
    pw_telemetry_done(&telemetry);
}

static struct pw_telemetry histogram_action(double sum, double unit_ms)
{
    static double bounds[] = {1};
    static uint64_t counts[] = {1, 1};
    struct pw_telemetry telemetry = {0};
    struct pw_otel_action *action =
        pw_telemetry_add_action(&telemetry, "exec", PW_ACTION_HISTOGRAM, NULL);
    struct pw_otel_total total = {
        .count = 2,
        .sum = pw_value_of(sum),
        .min = pw_value_of(sum / 4),
        .max = pw_value_of(sum / 4 * 3),
        .histogram = {
            .kind = PW_HISTOGRAM_EXPLICIT, .bounds = bounds, .counts = counts, .bucket_count = 2}};
    assert_non_null(action);
    action->unit_ms = unit_ms;
    assert_int_equal(pw_otel_total_add(&action->total, &total, PW_OTEL_HISTOGRAM, NULL), 0);
    return telemetry;
}

/* A metric that changed its unit between iterations: seconds become milliseconds. */
static void test_merge_actions_of_different_units(void **state)
{
    (void)state;
    struct pw_telemetry telemetry = {0};
    merge(&telemetry, histogram_action(400, 1));
    merge(&telemetry, histogram_action(200, 1));
    assert_int_equal(telemetry.actions->total.histogram.kind, PW_HISTOGRAM_EXPLICIT);
    merge(&telemetry, histogram_action(2, 1000));
    const struct pw_otel_action *action = telemetry.actions;
    assert_int_equal(telemetry.action_count, 1);
    assert_near(action->unit_ms, 1.0);
    assert_int_equal(action->total.count, 6);
    assert_value(action->total.sum, 2600.0);
    assert_value(action->total.min, 50.0);
    assert_value(action->total.max, 1500.0);
    assert_int_equal(action->total.histogram.kind, PW_HISTOGRAM_MIXED);
    pw_telemetry_done(&telemetry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_are_complete_and_differ),
        cmocka_unit_test(test_sums_add_up),
        cmocka_unit_test(test_last_of_gauges_is_the_newest_and_of_updown_sums_the_sum),
        cmocka_unit_test(test_extremes_are_known_only_of_all_values),
        cmocka_unit_test(test_buckets_of_some_values_only_are_dropped),
        cmocka_unit_test(test_durations_of_a_few),
        cmocka_unit_test(test_durations_over_the_limit_are_a_uniform_sample),
        cmocka_unit_test(test_durations_merge),
        cmocka_unit_test(test_durations_merge_over_the_limit),
        cmocka_unit_test(test_merge_sets),
        cmocka_unit_test(test_merge_is_bounded),
        cmocka_unit_test(test_merge_keeps_metrics_apart_and_sorted),
        cmocka_unit_test(test_merge_counts),
        cmocka_unit_test(test_merge_actions_and_spans),
        cmocka_unit_test(test_merge_actions_of_different_units),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
