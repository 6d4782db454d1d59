/* Rules about where the time and the machine went: CPU, waiting, storage, memory, perfwrap itself.
 */
#include <math.h>
#include "core/json.h"
#include "sla/suggest_impl.h"

#define STAT(id, stat) pw_summary_stat(seen->summary, PW_METRIC_##id, PW_STAT_##stat)
static const double bytes_per_mib = 1048576;

static bool all_present(const struct pw_value *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!pw_value_is_present(values[i])) {
            return false;
        }
    }
    return true;
}
#define ALL_PRESENT(...)                                \
    all_present((const struct pw_value[]){__VA_ARGS__}, \
                sizeof((const struct pw_value[]){__VA_ARGS__}) / sizeof(struct pw_value))

static struct pw_value none(void)
{
    return pw_value_absent(PW_ABSENT_NOT_MEASURED);
}

/* CPU time of the workers in percent of their duration; absent if they were too short to tell. */
static struct pw_value cpu_share_pct(const struct pw_rule_case *seen)
{
    const struct pw_worker_sums *sums = &seen->sums;
    if (sums->count == 0 || sums->duration_ms < pw_threshold(PW_LEAST_MS) * (double)sums->count) {
        return none();
    }
    return pw_value_of(100 * 1000 * sums->cpu_sec / sums->duration_ms);
}

/* CPU time of all workers at once in percent of what the usable cores could give. */
static struct pw_value machine_share_pct(const struct pw_rule_case *seen)
{
    struct pw_value window = STAT(LATENCY, MEAN);
    if (!ALL_PRESENT(seen->cores, window, cpu_share_pct(seen)) || seen->iterations == 0 ||
        window.number <= 0) {
        return none();
    }
    double all_windows_ms = window.number * (double)seen->iterations;
    return pw_value_of(100 * 1000 * seen->sums.cpu_sec / (all_windows_ms * seen->cores.number));
}

PW_JUDGE(cpu_bound)
{
    struct pw_value share = cpu_share_pct(seen), machine = machine_share_pct(seen);
    double bound = pw_threshold(PW_CPU_BOUND_PCT);
    if (!ALL_PRESENT(share, machine) || share.number < bound || share.number >= 100 + bound ||
        machine.number >= bound) {
        return 0;
    }
    return pw_rule_fire(
        rule, seen,
        (struct pw_rule_evidence){.metric = "cpu_pct",
                                  .baseline = pw_value_of(100),
                                  .baseline_is = "one core, all the time",
                                  .current = share,
                                  .samples = (double)seen->sums.count},
        err,
        "Each worker kept one core busy for %s %% of its %s ms; all at once used %s %% of %s usable "
        "cores.",
        PW_SHORT(share.number), PW_SHORT(seen->sums.duration_ms / (double)seen->sums.count),
        PW_SHORT(machine.number), PW_SHORT(seen->cores.number));
}

PW_JUDGE(cpu_saturated)
{
    struct pw_value machine = machine_share_pct(seen);
    if (!pw_value_is_present(machine) || machine.number < pw_threshold(PW_CPU_BOUND_PCT)) {
        return 0;
    }
    return pw_rule_fire(rule, seen,
                        (struct pw_rule_evidence){.metric = "cpu_pct",
                                                  .baseline = pw_value_of(100),
                                                  .baseline_is = "all usable cores, all the time",
                                                  .current = machine,
                                                  .samples = (double)seen->sums.count},
                        err, "With %s at once, workers used %s %% of %s usable %s.",
                        PW_SHORT(seen->concurrency), PW_SHORT(machine.number),
                        PW_SHORT(seen->cores.number), seen->cores.number > 1 ? "cores" : "core");
}

/* What speaks for waiting in the run queue. */
struct crowd {
    double rate, each; /* preemptions: for each CPU second, of a worker */
    double at_once;    /* threads that may want a core */
    struct pw_value load;
};

static bool is_crowded(const struct pw_rule_case *seen, struct crowd *ret_crowd)
{
    const struct pw_worker_sums *sums = &seen->sums;
    if (sums->count == 0 || sums->cpu_sec <= 0 || !pw_value_is_present(seen->cores)) {
        return false;
    }
    struct pw_value threads = STAT(TREE_PEAK_THREADS, MEAN);
    struct crowd crowd = {
        .rate = sums->preemptions / sums->cpu_sec,
        .each = sums->preemptions / (double)sums->count,
        .at_once = seen->concurrency * (pw_value_is_present(threads) ? fmax(1, threads.number) : 1),
        .load = pw_summary_number(seen->summary, "environment.load_1m"),
    };
    *ret_crowd = crowd;
    return crowd.rate >= pw_threshold(PW_PREEMPTIONS_PER_CPU_SEC) &&
           crowd.each >= pw_threshold(PW_PREEMPTIONS_LEAST) &&
           (crowd.at_once > seen->cores.number ||
            (pw_value_is_present(crowd.load) && crowd.load.number > seen->cores.number));
}

/* What part of a worker's time one part of the kernel's decomposition is; absent where there is
 * none, or the whole is too short to say anything. */
static struct pw_value wall_share_pct(const struct pw_rule_case *seen, enum pw_metric_id part)
{
    struct pw_value value = pw_summary_stat(seen->summary, part, PW_STAT_MEAN);
    struct pw_value whole = STAT(WORKER_LATENCY, MEAN);
    if (!pw_value_is_present(value) || !pw_value_is_present(whole) ||
        whole.number < pw_threshold(PW_LEAST_MS)) {
        return pw_value_absent(PW_ABSENT_NOT_MEASURED);
    }
    return pw_value_of(fmin(100, 100 * value.number / whole.number));
}

/* The kernel has measured it. */
static int judge_measured_queue(const struct pw_rule *rule, const struct pw_rule_case *seen,
                                struct pw_value share, struct pw_err *err)
{
    if (share.number < pw_threshold(PW_RUNQ_PCT)) {
        return 0;
    }
    return pw_rule_fire(
        rule, seen,
        (struct pw_rule_evidence){.metric = "kernel.wall.runq_ms",
                                  .baseline = pw_value_of(pw_threshold(PW_RUNQ_PCT)),
                                  .baseline_is = "the rule's threshold, percent of the duration",
                                  .current = share,
                                  .samples = (double)seen->sums.count},
        err, "For %s %% of the time workers could have run and no core was free.",
        PW_SHORT(share.number));
}

PW_JUDGE(run_queue)
{
    struct crowd crowd = {0};
    struct pw_value share = wall_share_pct(seen, PW_METRIC_KERNEL_WALL_RUNQ);
    if (pw_value_is_present(share)) {
        return judge_measured_queue(rule, seen, share, err);
    }
    if (!is_crowded(seen, &crowd)) {
        return 0;
    }
    return pw_rule_fire(
        rule, seen,
        (struct pw_rule_evidence){.metric = "involuntary_ctx_switches",
                                  .baseline = pw_value_of(pw_threshold(PW_PREEMPTIONS_PER_CPU_SEC)),
                                  .baseline_is = "the rule's threshold, for each CPU second",
                                  .current = pw_value_of(crowd.rate),
                                  .samples = (double)seen->sums.count,
                                  .inferred = true},
        err,
        "Workers lost the CPU %s times for each second of CPU time (%s times each). Threads at once: "
        "%s; load before the run: %s; usable cores: %s. So they waited for a core.",
        PW_SHORT(crowd.rate), PW_SHORT(crowd.each), PW_SHORT(crowd.at_once),
        pw_value_is_present(crowd.load) ? PW_SHORT(crowd.load.number) : "n/a",
        PW_SHORT(seen->cores.number));
}

PW_JUDGE(exit_tail)
{
    struct pw_value share = wall_share_pct(seen, PW_METRIC_KERNEL_WALL_EXIT_TAIL);
    if (!pw_value_is_present(share) || share.number < pw_threshold(PW_EXIT_TAIL_PCT)) {
        return 0;
    }
    return pw_rule_fire(
        rule, seen,
        (struct pw_rule_evidence){.metric = "kernel.wall.exit_tail_ms",
                                  .baseline = pw_value_of(pw_threshold(PW_EXIT_TAIL_PCT)),
                                  .baseline_is = "the rule's threshold, percent of the duration",
                                  .current = share,
                                  .samples = (double)seen->sums.count},
        err, "%s %% of the duration lay between the process's exit and its end.",
        PW_SHORT(share.number));
}

/* Whether workers waited for a core, measured or inferred. */
static bool waited_for_core(const struct pw_rule_case *seen)
{
    struct crowd crowd;
    struct pw_value share = wall_share_pct(seen, PW_METRIC_KERNEL_WALL_RUNQ);
    return pw_value_is_present(share) ? share.number >= pw_threshold(PW_RUNQ_PCT)
                                      : is_crowded(seen, &crowd);
}

PW_JUDGE(waiting)
{
    struct pw_value share = cpu_share_pct(seen);
    if (!pw_value_is_present(share) || share.number > pw_threshold(PW_WAITING_PCT) ||
        waited_for_core(seen)) {
        return 0;
    }
    return pw_rule_fire(rule, seen,
                        (struct pw_rule_evidence){.metric = "cpu_pct",
                                                  .baseline = pw_value_of(100),
                                                  .baseline_is = "one core, all the time",
                                                  .current = share,
                                                  .samples = (double)seen->sums.count},
                        err, "Of a worker's %s ms, %s %% was CPU time; the rest was waiting.",
                        PW_SHORT(seen->sums.duration_ms / (double)seen->sums.count),
                        PW_SHORT(share.number));
}

PW_JUDGE(storage)
{
    struct pw_value read = STAT(IO_READ, MEAN), written = STAT(IO_WRITE, MEAN);
    if (!ALL_PRESENT(read, written, seen->wall_ms) || seen->wall_ms.number <= 0) {
        return 0;
    }
    double mib = (read.number + written.number) / bytes_per_mib;
    double rate = mib / (seen->wall_ms.number / 1000);
    if (mib < pw_threshold(PW_STORAGE_LEAST_MIB) || rate < pw_threshold(PW_STORAGE_MIB_PER_SEC)) {
        return 0;
    }
    return pw_rule_fire(
        rule, seen,
        (struct pw_rule_evidence){.metric = "process_io",
                                  .baseline = pw_value_of(pw_threshold(PW_STORAGE_MIB_PER_SEC)),
                                  .baseline_is = "the rule's threshold, MiB/s",
                                  .current = pw_value_of(rate),
                                  .samples = (double)seen->iterations},
        err, "A worker read %s MiB from storage and wrote %s MiB in %s ms: %s MiB/s.",
        PW_SHORT(read.number / bytes_per_mib), PW_SHORT(written.number / bytes_per_mib),
        PW_SHORT(seen->wall_ms.number), PW_SHORT(rate));
}

PW_JUDGE(major_faults)
{
    struct pw_value faults = STAT(MAJOR_FAULTS, MEAN);
    if (!pw_value_is_present(faults) || faults.number < pw_threshold(PW_MAJOR_FAULTS)) {
        return 0;
    }
    return pw_rule_fire(rule, seen,
                        (struct pw_rule_evidence){.metric = "major_page_faults.mean",
                                                  .baseline = pw_value_of(0),
                                                  .baseline_is = "everything in memory",
                                                  .current = faults,
                                                  .samples = (double)seen->iterations},
                        err, "A worker waited for a device %s times to get a page of its memory.",
                        PW_SHORT(faults.number));
}

PW_JUDGE(footprint)
{
    struct pw_value mid = STAT(FOOTPRINT_MID, MEAN), end = STAT(FOOTPRINT_END, MEAN);
    if (!ALL_PRESENT(mid, end)) {
        return 0;
    }
    double growth = end.number - mid.number;
    if (growth <= pw_metrics[PW_METRIC_FOOTPRINT_END].noise_floor ||
        growth < mid.number * pw_threshold(PW_FOOTPRINT_GROWTH_PCT) / 100) {
        return 0;
    }
    return pw_rule_fire(
        rule, seen,
        (struct pw_rule_evidence){.metric = "vmmap_snapshots.end_physical_footprint_mb.mean",
                                  .baseline = mid,
                                  .baseline_is = "in the middle of its life",
                                  .current = end,
                                  .changed = true,
                                  .samples = (double)seen->iterations},
        err,
        "The physical footprint was %s MiB in the middle of a worker's life and %s at its end.",
        PW_SHORT(mid.number), PW_SHORT(end.number));
}

PW_JUDGE(memory_pressure)
{
    struct pw_value peak = STAT(TREE_PEAK_RSS_MB, MAX);
    struct pw_value available = pw_summary_number(seen->summary, "environment.memory_available_mb");
    if (!ALL_PRESENT(peak, available) || available.number <= 0) {
        return 0;
    }
    double needed = peak.number * seen->concurrency;
    if (needed < available.number * pw_threshold(PW_MEMORY_SHARE_PCT) / 100) {
        return 0;
    }
    return pw_rule_fire(
        rule, seen,
        (struct pw_rule_evidence){.metric = "process_tree_sampled.peak_tree_rss_mb.max",
                                  .baseline = available,
                                  .baseline_is = "MiB available before the run",
                                  .current = pw_value_of(needed),
                                  .samples = (double)seen->iterations,
                                  .inferred = true},
        err,
        "%s at once with a peak of %s MiB each come to %s MiB; %s MiB were available (pages that "
        "they share count in each).",
        PW_SHORT(seen->concurrency), PW_SHORT(peak.number), PW_SHORT(needed),
        PW_SHORT(available.number));
}

/* A share of the duration that steps of perfwrap took. */
static int judge_steps(const struct pw_rule *rule, const struct pw_rule_case *seen,
                       const char *metric, double step_ms, enum pw_threshold_id limit,
                       const char *what, struct pw_err *err)
{
    double share = 100 * step_ms / seen->wall_ms.number;
    if (!isfinite(share) || share < pw_threshold(limit)) {
        return 0;
    }
    return pw_rule_fire(rule, seen,
                        (struct pw_rule_evidence){.metric = metric,
                                                  .baseline = seen->wall_ms,
                                                  .baseline_is = "mean duration of a worker, ms",
                                                  .current = pw_value_of(step_ms),
                                                  .samples = (double)seen->workers},
                        err, "%s took %s ms, %s %% of a worker's %s ms.", what, PW_SHORT(step_ms),
                        PW_SHORT(share), PW_SHORT(seen->wall_ms.number));
}

PW_JUDGE(spawn)
{
    struct pw_value spawn = STAT(STEP_SPAWN_PROC, MEAN);
    if (!ALL_PRESENT(spawn, seen->wall_ms)) {
        return 0;
    }
    return judge_steps(rule, seen, "worker_step_timings_ms.spawn_proc.mean", spawn.number,
                       PW_SPAWN_PCT, "Starting a worker, from clone to exec,", err);
}

PW_JUDGE(collection)
{
    struct pw_value read = STAT(STEP_COMMUNICATE, MEAN), parse = STAT(STEP_PARSE_STATS, MEAN);
    if (!ALL_PRESENT(read, parse, seen->wall_ms) ||
        seen->wall_ms.number < pw_threshold(PW_LEAST_MS)) {
        return 0;
    }
    return judge_steps(rule, seen, "worker_step_timings_ms.communicate.mean",
                       read.number + parse.number, PW_COLLECT_PCT,
                       "Reading a worker's output and making numbers of what it reported", err);
}

PW_JUDGE(observer)
{
    struct pw_value monitor = STAT(STEP_MONITOR_LOOP, MEAN);
    if (!ALL_PRESENT(monitor, seen->wall_ms) || seen->wall_ms.number < pw_threshold(PW_LEAST_MS)) {
        return 0;
    }
    return judge_steps(rule, seen, "worker_step_timings_ms.monitor_loop.mean", monitor.number,
                       PW_OBSERVE_PCT, "Observing a worker", err);
}

PW_JUDGE(hot_frame)
{
    const json_t *frames =
        pw_json_find(pw_summary_root(seen->summary), "summary.xctrace.hotspots_top");
    double total = 0, heaviest = 0, samples = 0;
    const char *name = NULL;
    for (size_t i = 0; i < json_array_size(frames); i++) {
        const json_t *frame = json_array_get(frames, i);
        double weight = json_number_value(json_object_get(frame, "weight_ms"));
        const char *frame_name = json_string_value(json_object_get(frame, "frame"));
        total += weight;
        samples += json_number_value(json_object_get(frame, "samples"));
        if (frame_name && weight > heaviest) {
            heaviest = weight;
            name = frame_name;
        }
    }
    double share = total > 0 ? 100 * heaviest / total : 0;
    if (!name || share < pw_threshold(PW_HOT_FRAME_PCT)) {
        return 0;
    }
    return pw_rule_fire(rule, seen,
                        (struct pw_rule_evidence){.metric = "xctrace.hotspots_top",
                                                  .baseline = pw_value_of(total),
                                                  .baseline_is = "ms of all frames listed",
                                                  .current = pw_value_of(heaviest),
                                                  .samples = samples},
                        err, "`%.200s` has %s of %s ms that the CPU profile lists (%s %%).", name,
                        PW_SHORT(heaviest), PW_SHORT(total), PW_SHORT(share));
}
