#include "core/json.h"
#include "core/summary_impl.h"

/* An unknown part makes the sum unknown. */
static struct pw_value plus(struct pw_value a, struct pw_value b)
{
    if (!pw_value_is_present(a) || !pw_value_is_present(b)) {
        return pw_value_absent(PW_ABSENT_NOT_MEASURED);
    }
    return pw_value_of(a.number + b.number);
}

static struct pw_value times(struct pw_value a, double factor)
{
    return pw_value_is_present(a) ? pw_value_of(a.number * factor) : a;
}

/* In percent; of nothing there is no share. */
static struct pw_value share_pct(struct pw_value part, struct pw_value whole)
{
    if (!pw_value_is_present(part) || !pw_value_is_present(whole) || whole.number == 0) {
        return pw_value_absent(PW_ABSENT_NOT_MEASURED);
    }
    return pw_value_of(100.0 * part.number / whole.number);
}

static void put(json_t *object, const char *key, struct pw_value value, bool *failed)
{
    pw_json_put(object, key, pw_json_number(value, false), failed);
}

static json_t *time_budget(const struct pw_stats *stats, bool *failed)
{
    static const struct {
        enum pw_metric_id metric;
        const char *key;
    } steps[] = {
        {PW_METRIC_STEP_BUILD_CMD, "build_cmd_share_pct"},
        {PW_METRIC_STEP_SPAWN_PROC, "spawn_proc_share_pct"},
        {PW_METRIC_STEP_MONITOR_LOOP, "monitor_loop_share_pct"},
        {PW_METRIC_STEP_COMMUNICATE, "communicate_share_pct"},
        {PW_METRIC_STEP_PARSE_STATS, "parse_stats_share_pct"},
    };
    enum { STEP_COUNT = sizeof(steps) / sizeof(steps[0]) };
    struct pw_value wall = stats[PW_METRIC_LATENCY].mean;
    struct pw_value observed = pw_value_of(0);
    for (size_t i = 0; i < STEP_COUNT; i++) {
        observed = plus(observed, stats[steps[i].metric].mean);
    }
    struct pw_value rest = plus(wall, times(observed, -1));
    json_t *budget = json_object();
    put(budget, "wall_mean_ms", wall, failed);
    put(budget, "observed_worker_step_mean_ms", observed, failed);
    put(budget, "unaccounted_time_mean_ms", rest, failed);
    for (size_t i = 0; i < STEP_COUNT; i++) {
        put(budget, steps[i].key, share_pct(stats[steps[i].metric].mean, wall), failed);
    }
    put(budget, "unaccounted_share_pct", share_pct(rest, wall), failed);
    return budget;
}

static json_t *cpu_budget(const struct pw_stats *stats, bool *failed)
{
    struct pw_value user = stats[PW_METRIC_USER_CPU].mean;
    struct pw_value system = stats[PW_METRIC_SYSTEM_CPU].mean;
    struct pw_value total = plus(user, system);
    struct pw_value wall_sec = times(stats[PW_METRIC_LATENCY].mean, 0.001);
    json_t *budget = json_object();
    put(budget, "user_cpu_mean_sec", user, failed);
    put(budget, "system_cpu_mean_sec", system, failed);
    put(budget, "total_cpu_mean_sec", total, failed);
    put(budget, "cpu_core_utilization_pct", share_pct(total, wall_sec), failed);
    return budget;
}

static json_t *process_budget(const struct pw_stats *stats, bool *failed)
{
    json_t *budget = json_object();
    put(budget, "peak_open_fds_mean", stats[PW_METRIC_PEAK_OPEN_FDS].mean, failed);
    put(budget, "peak_direct_children_mean", stats[PW_METRIC_PEAK_DIRECT_CHILDREN].mean, failed);
    put(budget, "sampled_peak_tree_rss_mean_kb", stats[PW_METRIC_TREE_PEAK_RSS_KB].mean, failed);
    put(budget, "sampled_peak_tree_rss_mean_mb", stats[PW_METRIC_TREE_PEAK_RSS_MB].mean, failed);
    put(budget, "sampled_peak_tree_cpu_p95", stats[PW_METRIC_TREE_PEAK_CPU].p95, failed);
    return budget;
}

static json_t *stability(const struct pw_run_counts *counts, bool *failed)
{
    size_t total = counts->successful + counts->failed;
    struct pw_value runs = pw_value_of((double)total);
    json_t *block = json_object();
    pw_json_put(block, "total_runs", json_integer((json_int_t)total), failed);
    pw_json_put(block, "successful_runs_total", json_integer((json_int_t)counts->successful),
                failed);
    pw_json_put(block, "failed_runs_total", json_integer((json_int_t)counts->failed), failed);
    pw_json_put(block, "timeout_runs_total", json_integer((json_int_t)counts->timeouts), failed);
    put(block, "failure_rate_pct", share_pct(pw_value_of((double)counts->failed), runs), failed);
    put(block, "timeout_rate_pct", share_pct(pw_value_of((double)counts->timeouts), runs), failed);
    return block;
}

json_t *pw_summary_budget(const struct pw_stats stats[PW_METRIC_COUNT],
                          const struct pw_run_counts *counts, bool *failed)
{
    json_t *budget = json_object();
    pw_json_put(budget, "time_budget_ms", time_budget(stats, failed), failed);
    pw_json_put(budget, "cpu_budget", cpu_budget(stats, failed), failed);
    pw_json_put(budget, "process_budget", process_budget(stats, failed), failed);
    pw_json_put(budget, "stability", stability(counts, failed), failed);
    return budget;
}
