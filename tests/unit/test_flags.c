#include "core/str.h"
#include "sla/expression.h"
#include "sla/flags.h"
#include "tests/unit/unit.h"

/* Facts of the contract's table, in its order. */
static const char *const contract[][3] = {
    {"max-failed-runs", "failed_runs_total", "failed_runs_total <= 1.5"},
    {"max-latency-p95-ms", "latency_p95_ms", "latency_ms p(95) <= 1.5"},
    {"max-latency-mean-ms", "latency_mean_ms", "latency_ms mean <= 1.5"},
    {"min-throughput-mean", "throughput_mean", "throughput_runs_per_sec mean >= 1.5"},
    {"max-rss-mean-mb", "rss_mean_mb", "max_rss_mb mean <= 1.5"},
    {"max-peak-fds-mean", "peak_fds_mean", "peak_open_fds mean <= 1.5"},
    {"max-peak-children-mean", "peak_children_mean", "peak_direct_children mean <= 1.5"},
    {"min-turn-metric-points-mean", "turn_metric_points_mean",
     "otel_turn_action_stream.turn_metric_points mean >= 1.5"},
    {"min-action-metric-points-mean", "action_metric_points_mean",
     "otel_turn_action_stream.action_metric_points mean >= 1.5"},
    {"min-stream-metric-points-mean", "stream_metric_points_mean",
     "otel_turn_action_stream.stream_metric_points mean >= 1.5"},
    {"max-turn-metric-value-sum-mean", "turn_metric_value_sum_mean",
     "otel_turn_action_stream.turn_metric_value_sum mean <= 1.5"},
    {"max-action-metric-value-sum-mean", "action_metric_value_sum_mean",
     "otel_turn_action_stream.action_metric_value_sum mean <= 1.5"},
    {"max-stream-metric-value-sum-mean", "stream_metric_value_sum_mean",
     "otel_turn_action_stream.stream_metric_value_sum mean <= 1.5"},
    {"max-sampled-peak-tree-rss-mean-mb", "sampled_peak_tree_rss_mean_mb",
     "process_tree_sampled.peak_tree_rss_mb mean <= 1.5"},
    {"max-sampled-peak-tree-cpu-p95", "sampled_peak_tree_cpu_p95",
     "process_tree_sampled.peak_tree_cpu_pct p(95) <= 1.5"},
    {"max-build-cmd-mean-ms", "build_cmd_mean_ms", "worker_step_timings_ms.build_cmd mean <= 1.5"},
    {"max-spawn-proc-mean-ms", "spawn_proc_mean_ms",
     "worker_step_timings_ms.spawn_proc mean <= 1.5"},
    {"max-monitor-loop-mean-ms", "monitor_loop_mean_ms",
     "worker_step_timings_ms.monitor_loop mean <= 1.5"},
    {"max-communicate-mean-ms", "communicate_mean_ms",
     "worker_step_timings_ms.communicate mean <= 1.5"},
    {"max-parse-stats-mean-ms", "parse_stats_mean_ms",
     "worker_step_timings_ms.parse_stats mean <= 1.5"},
    {"min-top-sample-count-mean", "top_sample_count_mean", "top_attach.sample_count mean >= 1.5"},
    {"max-top-peak-rss-mean-mb", "top_peak_rss_mean_mb", "top_attach.peak_rss_mb mean <= 1.5"},
    {"max-top-peak-cpu-p95", "top_peak_cpu_p95", "top_attach.peak_cpu_pct p(95) <= 1.5"},
    {"max-top-mean-cpu-mean", "top_mean_cpu_mean", "top_attach.mean_cpu_pct mean <= 1.5"},
    {"max-vmmap-start-physical-mean-mb", "vmmap_start_physical_mean_mb",
     "vmmap_snapshots.start_physical_footprint_mb mean <= 1.5"},
    {"max-vmmap-mid-physical-mean-mb", "vmmap_mid_physical_mean_mb",
     "vmmap_snapshots.mid_physical_footprint_mb mean <= 1.5"},
    {"max-vmmap-end-physical-mean-mb", "vmmap_end_physical_mean_mb",
     "vmmap_snapshots.end_physical_footprint_mb mean <= 1.5"},
    {"min-xctrace-trace-count", "xctrace_trace_count", "xctrace.trace_count >= 1.5"},
};

static void test_table(void **state)
{
    (void)state;
    assert_int_equal(sizeof(contract) / sizeof(contract[0]), PW_SLA_FLAG_COUNT);
    for (size_t i = 0; i < PW_SLA_FLAG_COUNT; i++) {
        const struct pw_sla_flag *flag = &pw_sla_flags[i];
        struct pw_bound bound;
        assert_string_equal(flag->flag, contract[i][0]);
        assert_int_equal(pw_sla_flag_bound(flag, 1.5, &bound, NULL), 0);
        assert_string_equal(bound.label, contract[i][1]);
        assert_string_equal(bound.text, contract[i][2]);
        assert_int_equal(bound.order, i);
        assert_int_equal(bound.subject, PW_SUBJECT_METRIC);
        assert_true(bound.metric->frozen);
        assert_true(bound.limit.value == 1.5 && bound.limit.factor == 0 && !bound.limit.unit);
        assert_ptr_equal(pw_sla_flag_of(&bound), flag);
        pw_bound_done(&bound);
    }
}

static void test_limits(void **state)
{
    (void)state;
    static const struct {
        double limit;
        const char *text;
    } cases[] = {
        {1000, "1000"}, {0, "0"},        {0.1, "0.1"},
        {-2.5, "-2.5"}, {1e20, "1e+20"}, {1.0 / 3, "0.3333333333333333"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pw_bound bound;
        char text[80];
        snprintf(text, sizeof(text), "latency_ms p(95) <= %s", cases[i].text);
        assert_int_equal(pw_sla_flag_bound(&pw_sla_flags[1], cases[i].limit, &bound, NULL), 0);
        assert_string_equal(bound.text, text);
        assert_true(bound.limit.value == cases[i].limit);
        pw_bound_done(&bound);
    }
    static const double refused[] = {INFINITY, -INFINITY, NAN};
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct pw_err err = PW_ERR_INIT;
        struct pw_bound bound;
        assert_int_equal(pw_sla_flag_bound(&pw_sla_flags[1], refused[i], &bound, &err), -1);
        assert_int_equal(err.cls, PW_ERR_USAGE);
        assert_contains(err.message, "--max-latency-p95-ms");
    }
}

/* A bound of a profile on the same number and in the same direction is the flag's. */
static void test_flag_of(void **state)
{
    (void)state;
    static const struct {
        const char *text, *flag; /* NULL: none */
    } cases[] = {
        {"latency_ms.p95 < 5s", "max-latency-p95-ms"},
        {"latency_ms p95 <= baseline*1.1", "max-latency-p95-ms"},
        {"latency_ms avg <= 5", "max-latency-mean-ms"},
        {"throughput_runs_per_sec mean > 2", "min-throughput-mean"},
        {"failed_runs_total < 1", "max-failed-runs"},
        {"latency_ms p95 >= 5", NULL},
        {"latency_ms p94 <= 5", NULL},
        {"latency_ms p95 == 5", NULL},
        {"latency_ms p95 within 1 of 5", NULL},
        {"worker_latency_ms p95 <= 5", NULL},
        {"max_rss_kb mean <= 5", NULL},
        {"otel.latency_ms p95 <= 5", NULL},
        {"resource_budget.stability.failed_runs_total <= 0", NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pw_bound bound;
        assert_int_equal(pw_expression_parse(cases[i].text, &bound, NULL, NULL), 0);
        const struct pw_sla_flag *flag = pw_sla_flag_of(&bound);
        assert_string_equal(flag ? flag->flag : "none", cases[i].flag ? cases[i].flag : "none");
        pw_bound_done(&bound);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_flag_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
