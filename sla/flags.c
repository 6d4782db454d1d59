#include "sla/flags.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "sla/expression.h"

const struct pw_sla_flag pw_sla_flags[PW_SLA_FLAG_COUNT] = {
    {"max-failed-runs", "failed_runs_total", "failed_runs_total", PW_OP_LE},
    {"max-latency-p95-ms", "latency_p95_ms", "latency_ms p(95)", PW_OP_LE},
    {"max-latency-mean-ms", "latency_mean_ms", "latency_ms mean", PW_OP_LE},
    {"min-throughput-mean", "throughput_mean", "throughput_runs_per_sec mean", PW_OP_GE},
    {"max-rss-mean-mb", "rss_mean_mb", "max_rss_mb mean", PW_OP_LE},
    {"max-peak-fds-mean", "peak_fds_mean", "peak_open_fds mean", PW_OP_LE},
    {"max-peak-children-mean", "peak_children_mean", "peak_direct_children mean", PW_OP_LE},
    {"min-turn-metric-points-mean", "turn_metric_points_mean",
     "otel_turn_action_stream.turn_metric_points mean", PW_OP_GE},
    {"min-action-metric-points-mean", "action_metric_points_mean",
     "otel_turn_action_stream.action_metric_points mean", PW_OP_GE},
    {"min-stream-metric-points-mean", "stream_metric_points_mean",
     "otel_turn_action_stream.stream_metric_points mean", PW_OP_GE},
    {"max-turn-metric-value-sum-mean", "turn_metric_value_sum_mean",
     "otel_turn_action_stream.turn_metric_value_sum mean", PW_OP_LE},
    {"max-action-metric-value-sum-mean", "action_metric_value_sum_mean",
     "otel_turn_action_stream.action_metric_value_sum mean", PW_OP_LE},
    {"max-stream-metric-value-sum-mean", "stream_metric_value_sum_mean",
     "otel_turn_action_stream.stream_metric_value_sum mean", PW_OP_LE},
    {"max-sampled-peak-tree-rss-mean-mb", "sampled_peak_tree_rss_mean_mb",
     "process_tree_sampled.peak_tree_rss_mb mean", PW_OP_LE},
    {"max-sampled-peak-tree-cpu-p95", "sampled_peak_tree_cpu_p95",
     "process_tree_sampled.peak_tree_cpu_pct p(95)", PW_OP_LE},
    {"max-build-cmd-mean-ms", "build_cmd_mean_ms", "worker_step_timings_ms.build_cmd mean",
     PW_OP_LE},
    {"max-spawn-proc-mean-ms", "spawn_proc_mean_ms", "worker_step_timings_ms.spawn_proc mean",
     PW_OP_LE},
    {"max-monitor-loop-mean-ms", "monitor_loop_mean_ms", "worker_step_timings_ms.monitor_loop mean",
     PW_OP_LE},
    {"max-communicate-mean-ms", "communicate_mean_ms", "worker_step_timings_ms.communicate mean",
     PW_OP_LE},
    {"max-parse-stats-mean-ms", "parse_stats_mean_ms", "worker_step_timings_ms.parse_stats mean",
     PW_OP_LE},
    {"min-top-sample-count-mean", "top_sample_count_mean", "top_attach.sample_count mean",
     PW_OP_GE},
    {"max-top-peak-rss-mean-mb", "top_peak_rss_mean_mb", "top_attach.peak_rss_mb mean", PW_OP_LE},
    {"max-top-peak-cpu-p95", "top_peak_cpu_p95", "top_attach.peak_cpu_pct p(95)", PW_OP_LE},
    {"max-top-mean-cpu-mean", "top_mean_cpu_mean", "top_attach.mean_cpu_pct mean", PW_OP_LE},
    {"max-vmmap-start-physical-mean-mb", "vmmap_start_physical_mean_mb",
     "vmmap_snapshots.start_physical_footprint_mb mean", PW_OP_LE},
    {"max-vmmap-mid-physical-mean-mb", "vmmap_mid_physical_mean_mb",
     "vmmap_snapshots.mid_physical_footprint_mb mean", PW_OP_LE},
    {"max-vmmap-end-physical-mean-mb", "vmmap_end_physical_mean_mb",
     "vmmap_snapshots.end_physical_footprint_mb mean", PW_OP_LE},
    {"min-xctrace-trace-count", "xctrace_trace_count", "xctrace.trace_count", PW_OP_GE},
};

/* A decimal that reads back the same, with few digits, and without an exponent where it has few. */
enum { NUMBER_TEXT_MAX = 32 };
static void write_number(double number, char text[NUMBER_TEXT_MAX])
{
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, NUMBER_TEXT_MAX, "%.*g", digits, number);
        if (strtod(text, NULL) == number) {
            return;
        }
    }
}

static int parse_flag(const struct pw_sla_flag *flag, const char *limit, struct pw_bound *ret_bound,
                      struct pw_err *err)
{
    char text[160];
    snprintf(text, sizeof(text), "%s %s %s", flag->left, pw_bound_op_text(flag->op), limit);
    return pw_expression_parse(text, ret_bound, NULL, err);
}

int pw_sla_flag_bound(const struct pw_sla_flag *flag, double limit, struct pw_bound *ret_bound,
                      struct pw_err *err)
{
    if (!isfinite(limit)) {
        return pw_err_set(err, PW_ERR_USAGE, "--%s: the limit is not a finite number", flag->flag);
    }
    char number[NUMBER_TEXT_MAX];
    write_number(limit, number);
    struct pw_bound bound;
    if (parse_flag(flag, number, &bound, err) != 0) {
        return pw_err_prefix(err, "--%s", flag->flag);
    }
    char *label = strdup(flag->label);
    if (!label) {
        pw_bound_done(&bound);
        return pw_err_memory(err);
    }
    free(bound.label);
    bound.label = label;
    bound.order = (int)(flag - pw_sla_flags);
    *ret_bound = bound;
    return 0;
}

const struct pw_sla_flag *pw_sla_flag_of(const struct pw_bound *bound)
{
    if (bound->subject != PW_SUBJECT_METRIC) {
        return NULL;
    }
    size_t length = strlen(bound->name);
    for (size_t i = 0; i < PW_SLA_FLAG_COUNT; i++) {
        const struct pw_sla_flag *flag = &pw_sla_flags[i];
        struct pw_bound of_flag;
        if (strncmp(flag->left, bound->name, length) != 0 ||
            parse_flag(flag, "0", &of_flag, NULL) != 0) {
            continue;
        }
        bool same = pw_bound_is_same(&of_flag, bound);
        pw_bound_done(&of_flag);
        if (same) {
            return flag;
        }
    }
    return NULL;
}
