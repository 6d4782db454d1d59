#include "core/metric.h"

#include "core/str.h"
#include "tests/unit/unit.h"

static void test_table_is_sound(void **state)
{
    (void)state;
    PW_STR_AUTO faults = PW_STR_INIT;
    size_t count = pw_metric_check_table(pw_metrics, PW_METRIC_COUNT, &faults);
    if (count != 0) {
        fail_msg("%s", faults.text);
    }
    assert_string_equal(faults.text, "");
}

static void test_names(void **state)
{
    (void)state;
    assert_ptr_equal(pw_metric_find("latency_ms"), &pw_metrics[PW_METRIC_LATENCY]);
    assert_ptr_equal(pw_metric_find("process_tree_sampled.peak_tree_rss_mb"),
                     &pw_metrics[PW_METRIC_TREE_PEAK_RSS_MB]);
    assert_null(pw_metric_find("process_tree_sampled"));
    assert_null(pw_metric_find(""));
    assert_string_equal(pw_stat_name(PW_STAT_P50_CI95_LOW), "p50_ci95_low");
    assert_string_equal(pw_stat_name(PW_STAT_SCALAR), "");
    for (enum pw_stat stat = 0; stat < PW_STAT_COUNT; stat++) {
        assert_non_null(pw_stat_name(stat));
    }
    assert_string_equal(pw_fold_name(PW_FOLD_POOL), "pool");
    assert_string_equal(pw_better_name(PW_BETTER_NEITHER), "neither");
}

#define BASIC "mean p50 p95 "
#define PEAK "mean p50 p95 max "
#define RANGE "mean p50 p95 min max "

/* The frozen part, written down a second time: a change of the table that breaks it must fail here.
 */
static const struct {
    const char *path, *unit, *stats, *key;
} frozen[] = {
    {"latency_ms", "ms", RANGE, "duration_ms"},
    {"throughput_runs_per_sec", "runs/s", BASIC, "throughput_runs_per_sec"},
    {"max_rss_kb", "KiB", RANGE, "max_rss_kb"},
    {"max_rss_mb", "MiB", RANGE, "max_rss_mb"},
    {"user_cpu_sec", "s", BASIC, "user_cpu_sec"},
    {"system_cpu_sec", "s", BASIC, "system_cpu_sec"},
    {"cpu_pct", "%", BASIC, "cpu_pct"},
    {"voluntary_ctx_switches", "count", BASIC, "voluntary_ctx_switches"},
    {"involuntary_ctx_switches", "count", BASIC, "involuntary_ctx_switches"},
    {"peak_open_fds", "count", PEAK, "peak_open_fds"},
    {"peak_direct_children", "count", PEAK, "peak_direct_children"},
    {"process_tree_sampled.peak_tree_rss_kb", "KiB", PEAK, "sampled_peak_tree_rss_kb"},
    {"process_tree_sampled.peak_tree_rss_mb", "MiB", PEAK, "sampled_peak_tree_rss_mb"},
    {"process_tree_sampled.peak_tree_cpu_pct", "%", PEAK, "sampled_peak_tree_cpu_pct"},
    {"process_tree_sampled.mean_tree_cpu_pct", "%", BASIC, "sampled_mean_tree_cpu_pct"},
    {"worker_step_timings_ms.build_cmd", "ms", BASIC, "build_cmd_ms"},
    {"worker_step_timings_ms.spawn_proc", "ms", BASIC, "spawn_proc_ms"},
    {"worker_step_timings_ms.monitor_loop", "ms", BASIC, "monitor_loop_ms"},
    {"worker_step_timings_ms.communicate", "ms", BASIC, "communicate_ms"},
    {"worker_step_timings_ms.parse_stats", "ms", BASIC, "parse_stats_ms"},
    {"top_attach.sample_count", "samples", BASIC, "top_sample_count"},
    {"top_attach.peak_rss_mb", "MiB", PEAK, "top_peak_rss_mb"},
    {"top_attach.mean_rss_mb", "MiB", BASIC, "top_mean_rss_mb"},
    {"top_attach.peak_cpu_pct", "%", PEAK, "top_peak_cpu_pct"},
    {"top_attach.mean_cpu_pct", "%", BASIC, "top_mean_cpu_pct"},
    {"vmmap_snapshots.start_physical_footprint_mb", "MiB", BASIC,
     "vmmap_start_physical_footprint_mb"},
    {"vmmap_snapshots.mid_physical_footprint_mb", "MiB", BASIC, "vmmap_mid_physical_footprint_mb"},
    {"vmmap_snapshots.end_physical_footprint_mb", "MiB", BASIC, "vmmap_end_physical_footprint_mb"},
    {"xctrace.trace_count", "count", " ", NULL},
    {"otel_turn_action_stream.turn_metric_points", "points", BASIC "total ", "turn_metric_points"},
    {"otel_turn_action_stream.turn_metric_value_sum", "metric's own", BASIC,
     "turn_metric_value_sum"},
    {"otel_turn_action_stream.action_metric_points", "points", BASIC "total ",
     "action_metric_points"},
    {"otel_turn_action_stream.action_metric_value_sum", "metric's own", BASIC,
     "action_metric_value_sum"},
    {"otel_turn_action_stream.stream_metric_points", "points", BASIC "total ",
     "stream_metric_points"},
    {"otel_turn_action_stream.stream_metric_value_sum", "metric's own", BASIC,
     "stream_metric_value_sum"},
    {"otel_payloads_total", "count", " ", "otel_payload_count"},
    {"metric_datapoints_total", "count", " ", "metric_datapoint_count"},
    {"successful_runs_total", "workers", " ", "successful_runs"},
    {"failed_runs_total", "workers", " ", "failed_runs"},
};

static void test_frozen_rows(void **state)
{
    (void)state;
    size_t marked = 0;
    for (size_t i = 0; i < PW_METRIC_COUNT; i++) {
        marked += pw_metrics[i].frozen;
    }
    assert_int_equal(marked, sizeof(frozen) / sizeof(frozen[0]));
    for (size_t i = 0; i < sizeof(frozen) / sizeof(frozen[0]); i++) {
        const struct pw_metric *row = pw_metric_find(frozen[i].path);
        if (!row) {
            fail_msg("%s is gone", frozen[i].path);
        }
        PW_STR_AUTO stats = PW_STR_INIT;
        for (enum pw_stat stat = 0; stat < PW_STAT_COUNT; stat++) {
            if (row->stats & PW_STAT_BIT(stat)) {
                pw_str_addf(&stats, "%s ", pw_stat_name(stat));
            }
        }
        assert_true(row->frozen);
        assert_string_equal(row->unit, frozen[i].unit);
        assert_string_equal(stats.text, frozen[i].stats);
        assert_string_equal(row->key ? row->key : "", frozen[i].key ? frozen[i].key : "");
    }
}

static const struct pw_metric sound[2] = {
    {
        .id = 0,
        .path = "a.b",
        .key = "ab_ms",
        .unit = "ms",
        .fold = PW_FOLD_MAX,
        .stats = PW_STATS_BASIC,
        .source = "here",
        .fallback = "none",
        .otel_name = "perfwrap.ab",
        .otel_unit = "s",
        .otel_factor = 0.001,
        .help = "What.",
    },
    {
        .id = 1,
        .path = "c",
        .key = "c_count",
        .unit = "count",
        .fold = PW_FOLD_WINDOW,
        .stats = PW_STATS_SCALAR,
        .source = "here",
        .fallback = "none",
        .integer = true,
        .otel_name = "perfwrap.c",
        .otel_unit = "{thing}",
        .otel_factor = 1,
        .help = "What else.",
    },
};

/* Plants one fault in the second row and wants exactly this one. */
#define ASSERT_FAULT(expected, ...)                                         \
    do {                                                                    \
        struct pw_metric table[2] = {sound[0], sound[1]};                   \
        struct pw_metric *row = &table[1];                                  \
        __VA_ARGS__;                                                        \
        PW_STR_AUTO faults = PW_STR_INIT;                                   \
        size_t count = pw_metric_check_table(table, 2, &faults);            \
        if (count != 1 || !strstr(faults.text, (expected))) {               \
            fail_msg("%s: %zu faults: %s", (expected), count, faults.text); \
        }                                                                   \
    } while (0)

static void test_planted_faults(void **state)
{
    (void)state;
    PW_STR_AUTO none = PW_STR_INIT;
    assert_int_equal(pw_metric_check_table(sound, 2, &none), 0);

    ASSERT_FAULT("id is not its place", row->id = 0);
    ASSERT_FAULT("path is missing", row->path = NULL);
    ASSERT_FAULT("path is missing", row->path = "");
    ASSERT_FAULT("malformed", row->path = "Upper");
    ASSERT_FAULT("malformed", row->path = "a..b");
    ASSERT_FAULT("malformed", row->path = ".c");
    ASSERT_FAULT("malformed", row->path = "c.");
    ASSERT_FAULT("malformed", row->path = "c.9");
    ASSERT_FAULT("path is there twice", row->path = "a.b");
    ASSERT_FAULT("path is the beginning of another: a.b", row->path = "a");
    ASSERT_FAULT("another path is its beginning: a.b", row->path = "a.b.c");
    ASSERT_FAULT("key is malformed", row->key = "a.b");
    ASSERT_FAULT("key is there twice: ab_ms", row->key = "ab_ms");
    ASSERT_FAULT("key has another meaning", row->key = "return_code");
    ASSERT_FAULT("no key", row->key = NULL; row->iteration_only = true);
    ASSERT_FAULT("both worker_only", row->worker_only = true; row->iteration_only = true);
    ASSERT_FAULT("unit is missing", row->unit = NULL);
    ASSERT_FAULT("unit is missing or unknown: furlong", row->unit = "furlong");
    ASSERT_FAULT("otel_unit is missing", row->otel_unit = NULL);
    ASSERT_FAULT("otel_unit does not fit", row->otel_unit = "1");
    ASSERT_FAULT("otel_factor does not fit", row->otel_factor = 0);
    ASSERT_FAULT("otel_name is missing", row->otel_name = NULL);
    ASSERT_FAULT("not of perfwrap", row->otel_name = "process.c");
    ASSERT_FAULT("otel_name is there twice", row->otel_name = "perfwrap.ab");
    ASSERT_FAULT("no statistics", row->stats = 0);
    ASSERT_FAULT("unknown one", row->stats = PW_STAT_BIT(PW_STAT_COUNT));
    ASSERT_FAULT("a scalar has no other", row->stats |= PW_STATS_BASIC);
    ASSERT_FAULT("a scalar cannot be folded so: max", row->fold = PW_FOLD_MAX);
    ASSERT_FAULT("fold is unknown", row->fold = (enum pw_fold)(PW_FOLD_POOL + 1));
    ASSERT_FAULT("better is unknown", row->better = (enum pw_better)(PW_BETTER_NEITHER + 1));
    ASSERT_FAULT("pooled", row->fold = PW_FOLD_POOL; row->stats = PW_STATS_BASIC);
    ASSERT_FAULT("but iteration_only", row->fold = PW_FOLD_SUM; row->iteration_only = true);
    ASSERT_FAULT("integer, but", row->fold = PW_FOLD_MEAN; row->stats = PW_STATS_BASIC);
    ASSERT_FAULT("without the other", row->stats = PW_STAT_BIT(PW_STAT_P50_CI95_LOW));
    ASSERT_FAULT("noise_floor", row->noise_floor = -1);
    ASSERT_FAULT("noise_floor", row->noise_floor = NAN);
    ASSERT_FAULT("source is missing", row->source = NULL);
    ASSERT_FAULT("fallback is missing", row->fallback = "");
    ASSERT_FAULT("help is missing", row->help = NULL);
    ASSERT_FAULT("no sentence", row->help = "What else");
}

/* Keys that never meet in one object may be the same. */
static void test_keys_that_never_meet(void **state)
{
    (void)state;
    struct pw_metric table[2] = {sound[0], sound[1]};
    table[0].worker_only = true;
    table[1].iteration_only = true;
    table[1].key = table[0].key;
    PW_STR_AUTO faults = PW_STR_INIT;
    assert_int_equal(pw_metric_check_table(table, 2, &faults), 0);
}

static void test_all_faults_are_told(void **state)
{
    (void)state;
    const struct pw_metric empty[3] = {{.id = 0}, {.id = 1}, {.id = 2}};
    PW_STR_AUTO faults = PW_STR_INIT;
    size_t count = pw_metric_check_table(empty, 3, &faults);
    size_t lines = 0;
    for (const char *at = faults.text; (at = strchr(at, '\n')); at++) {
        lines++;
    }
    assert_int_equal(lines, count);
    assert_int_equal(count, 3 * 7);
    assert_contains(faults.text, "row 2 (no path): help is missing");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_is_sound),       cmocka_unit_test(test_names),
        cmocka_unit_test(test_frozen_rows),          cmocka_unit_test(test_planted_faults),
        cmocka_unit_test(test_keys_that_never_meet), cmocka_unit_test(test_all_faults_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
