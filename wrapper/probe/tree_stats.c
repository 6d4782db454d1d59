#include "wrapper/probe/tree_stats.h"

#include <stdlib.h>

#define KIB 1024.0
#define MIB 1048576.0

static int64_t time_between(const struct pw_tree_stats_at *from, const struct pw_tree_stats_at *to)
{
    return to->latest_ns - from->earliest_ns;
}

static double percent(int64_t cpu_ns, int64_t time_ns)
{
    return (double)cpu_ns * 100.0 / (double)time_ns;
}

/* Not more than was used. */
static struct pw_value window_pct(const struct pw_tree_stats_at *from,
                                  const struct pw_tree_stats_at *to)
{
    int64_t cpu_ns = to->cpu_ns - from->most_ns;
    int64_t followed_ns = to->followed_ns - from->followed_ns;

    return pw_value_of(
        percent(cpu_ns > followed_ns ? cpu_ns : followed_ns, time_between(from, to)));
}

/* The larger one of numbers; a reason only as long as there is no number. */
static void raise_peak(struct pw_value *peak, struct pw_value value)
{
    bool is_higher =
        pw_value_is_present(value) && (!pw_value_is_present(*peak) || value.number > peak->number);
    bool is_reason = !pw_value_is_present(*peak) && value.state != PW_ABSENT_NOT_MEASURED;

    if (is_higher || is_reason)
        *peak = value;
}

/* CPU use of a series of points */

static void cpu_start(struct pw_tree_stats_cpu *cpu, const struct pw_tree_stats_at *at)
{
    cpu->window = *at;
    cpu->peak_pct = cpu->mean_pct = pw_value_absent(PW_ABSENT_NO_SAMPLES);
}

static void cpu_add(struct pw_tree_stats_cpu *cpu, const struct pw_tree_stats_at *at)
{
    if (!cpu->has_points)
        cpu->first = *at;
    cpu->has_points = true;
    cpu->last = *at;
    if (time_between(&cpu->window, at) < PW_TREE_WINDOW_NS)
        return;
    raise_peak(&cpu->peak_pct, window_pct(&cpu->window, at));
    cpu->previous_window = cpu->window;
    cpu->has_window = true;
    cpu->window = *at;
}

/* `life_pct` stands in for what the points are too near to each other for. */
static void cpu_end(struct pw_tree_stats_cpu *cpu, struct pw_value life_pct)
{
    if (!cpu->has_points)
        return;
    if (cpu->has_window && cpu->last.latest_ns > cpu->window.latest_ns)
        raise_peak(&cpu->peak_pct, window_pct(&cpu->previous_window, &cpu->last));
    int64_t time_ns = time_between(&cpu->first, &cpu->last);
    cpu->mean_pct = time_ns >= PW_TREE_WINDOW_NS
                        ? pw_value_of(percent(cpu->last.cpu_ns - cpu->first.cpu_ns, time_ns))
                        : life_pct;
    raise_peak(&cpu->peak_pct, cpu->mean_pct);
}

/* Footprints: the first is always kept, the last aside, and of those between every stride-th. */

static void add_footprint(struct pw_tree_stats *stats, struct pw_tree_stats_footprint point)
{
    stats->last_footprint = point;
    if (stats->footprint_total++ % stats->footprint_stride != 0)
        return;
    if (stats->footprint_count == PW_TREE_FOOTPRINT_POINTS) {
        for (size_t i = 0; i < PW_TREE_FOOTPRINT_POINTS / 2; i++)
            stats->footprints[i] = stats->footprints[2 * i];
        stats->footprint_count = PW_TREE_FOOTPRINT_POINTS / 2;
        stats->footprint_stride *= 2;
    }
    stats->footprints[stats->footprint_count++] = point;
}

static double mid_footprint(const struct pw_tree_stats *stats)
{
    int64_t at_ns = stats->started_at_ns + (stats->ended_at_ns - stats->started_at_ns) / 2;
    struct pw_tree_stats_footprint best = stats->last_footprint;

    for (unsigned i = 0; i < stats->footprint_count; i++) {
        struct pw_tree_stats_footprint point = stats->footprints[i];
        if (llabs(point.at_ns - at_ns) < llabs(best.at_ns - at_ns))
            best = point;
    }
    return best.bytes;
}

void pw_tree_stats_init(struct pw_tree_stats *stats, int64_t started_at_ns, bool top_attach)
{
    struct pw_tree_stats_at start = {.earliest_ns = started_at_ns, .latest_ns = started_at_ns};

    *stats = (struct pw_tree_stats){.started_at_ns = started_at_ns,
                                    .ended_at_ns = started_at_ns,
                                    .top_attach = top_attach,
                                    .footprint_stride = 1};
    cpu_start(&stats->tree_cpu, &start);
    cpu_start(&stats->root_cpu, &start);
}

static void add_top_point(struct pw_tree_stats *stats, const struct pw_tree_stats_at *at,
                          double rss_bytes)
{
    /* Its windows lie between its own points. */
    if (stats->top_points++ == 0)
        cpu_start(&stats->top_cpu, at);
    cpu_add(&stats->top_cpu, at);
    stats->top_rss_sum_bytes += rss_bytes;
    if (rss_bytes > stats->top_rss_peak_bytes)
        stats->top_rss_peak_bytes = rss_bytes;
}

void pw_tree_stats_add(struct pw_tree_stats *stats, const struct pw_tree_sample *sample,
                       bool top_point)
{
    stats->samples++;
    stats->ended_at_ns = sample->latest_ns;
    if (sample->rss_bytes > stats->peak_rss_bytes)
        stats->peak_rss_bytes = sample->rss_bytes;
    if (sample->root_rss_bytes > stats->peak_root_rss_bytes)
        stats->peak_root_rss_bytes = sample->root_rss_bytes;
    if (sample->processes > stats->peak_processes)
        stats->peak_processes = sample->processes;
    if (sample->threads > stats->peak_threads)
        stats->peak_threads = sample->threads;
    raise_peak(&stats->peak_open_fds, sample->open_fds);
    raise_peak(&stats->peak_direct_children, sample->direct_children);
    raise_peak(&stats->peak_pss_bytes, sample->pss_bytes);
    int64_t earliest_ns = sample->earliest_ns;
    if (earliest_ns < stats->started_at_ns)
        earliest_ns = stats->started_at_ns;
    struct pw_tree_stats_at tree = {earliest_ns, sample->latest_ns, sample->cpu_ns,
                                    sample->cpu_most_ns, sample->cpu_followed_ns};
    struct pw_tree_stats_at root = {earliest_ns, sample->latest_ns, sample->root_cpu_ns,
                                    sample->root_cpu_ns, sample->root_cpu_ns};
    cpu_add(&stats->tree_cpu, &tree);
    cpu_add(&stats->root_cpu, &root);
    if (pw_value_is_present(sample->footprint_bytes))
        add_footprint(stats, (struct pw_tree_stats_footprint){sample->latest_ns,
                                                              sample->footprint_bytes.number});
    else if (sample->footprint_bytes.state != PW_ABSENT_NOT_MEASURED)
        stats->footprint_absence = sample->footprint_bytes.state;
    if (stats->top_attach && top_point)
        add_top_point(stats, &tree, (double)sample->rss_bytes);
}

void pw_tree_stats_add_breakdown(struct pw_tree_stats *stats,
                                 const struct pw_memory_breakdown *breakdown)
{
    if (breakdown->partial)
        return;
    raise_peak(&stats->peak_pss_bytes, pw_value_of((double)breakdown->pss_bytes));
    if (breakdown->has_parts)
        add_footprint(stats, (struct pw_tree_stats_footprint){breakdown->at_ns,
                                                              (double)breakdown->footprint_bytes});
}

/* Ends a series that began at the spawn with the kernel's CPU time, if known, and returns the use
 * over the whole life. Samples may know more than the kernel's sum: it lacks what nobody waited
 * for. */
static struct pw_value finish_cpu(struct pw_tree_stats_cpu *cpu, int64_t started_at_ns,
                                  int64_t ended_at_ns, int64_t cpu_ns)
{
    struct pw_value life_pct = pw_value_absent(PW_ABSENT_NO_SAMPLES);

    if (!cpu->has_points)
        return life_pct;
    if (cpu_ns >= 0) {
        if (cpu_ns < cpu->last.cpu_ns)
            cpu_ns = cpu->last.cpu_ns;
        struct pw_tree_stats_at end = {ended_at_ns, ended_at_ns, cpu_ns, cpu_ns,
                                       cpu->last.followed_ns};
        cpu_add(cpu, &end);
        if (ended_at_ns > started_at_ns)
            life_pct = pw_value_of(percent(cpu_ns, ended_at_ns - started_at_ns));
    }
    cpu_end(cpu, life_pct);
    return life_pct;
}

void pw_tree_stats_finish(struct pw_tree_stats *stats, int64_t ended_at_ns, int64_t cpu_ns,
                          int64_t root_cpu_ns)
{
    int64_t started_at_ns = stats->started_at_ns;
    struct pw_value life_pct = finish_cpu(&stats->tree_cpu, started_at_ns, ended_at_ns, cpu_ns);

    finish_cpu(&stats->root_cpu, started_at_ns, ended_at_ns, root_cpu_ns);
    cpu_end(&stats->top_cpu, life_pct);
    stats->ended_at_ns = ended_at_ns;
}

/* From here on: writing values. */

static void set_top(const struct pw_tree_stats *stats, enum pw_absence reason,
                    struct pw_value *values)
{
    struct pw_value none = pw_value_absent(reason);
    bool has = stats->top_points > 0;
    double points = (double)stats->top_points;

    if (!stats->top_attach)
        none = pw_value_absent(PW_ABSENT_NOT_MEASURED);
    values[PW_METRIC_TOP_SAMPLES] = stats->top_attach ? pw_value_of(points) : none;
    values[PW_METRIC_TOP_PEAK_RSS] = has ? pw_value_of(stats->top_rss_peak_bytes / MIB) : none;
    values[PW_METRIC_TOP_MEAN_RSS] =
        has ? pw_value_of(stats->top_rss_sum_bytes / points / MIB) : none;
    values[PW_METRIC_TOP_PEAK_CPU] = has ? stats->top_cpu.peak_pct : none;
    values[PW_METRIC_TOP_MEAN_CPU] = has ? stats->top_cpu.mean_pct : none;
}

static void set_footprints(const struct pw_tree_stats *stats, struct pw_value *values)
{
    bool has = stats->footprint_count > 0;
    struct pw_value none = pw_value_absent(stats->footprint_absence);

    values[PW_METRIC_FOOTPRINT_START] = has ? pw_value_of(stats->footprints[0].bytes / MIB) : none;
    values[PW_METRIC_FOOTPRINT_MID] = has ? pw_value_of(mid_footprint(stats) / MIB) : none;
    values[PW_METRIC_FOOTPRINT_END] = has ? pw_value_of(stats->last_footprint.bytes / MIB) : none;
}

void pw_tree_stats_values(const struct pw_tree_stats *stats, const struct pw_tree *tree,
                          struct pw_value *values)
{
    bool has = stats->samples > 0;
    enum pw_absence reason = pw_tree_absence(tree);
    struct pw_value none = pw_value_absent(reason);
    double rss_bytes = (double)stats->peak_rss_bytes;

    values[PW_METRIC_TREE_SAMPLES] = pw_value_of((double)stats->samples);
    values[PW_METRIC_TREE_PROCESSES_SEEN] = pw_value_of((double)pw_tree_processes_seen(tree));
    values[PW_METRIC_TREE_MISSED_EXITS] = pw_value_of((double)pw_tree_missed_exits(tree));
    values[PW_METRIC_TREE_PEAK_RSS_KB] = has ? pw_value_of(rss_bytes / KIB) : none;
    values[PW_METRIC_TREE_PEAK_RSS_MB] = has ? pw_value_of(rss_bytes / MIB) : none;
    values[PW_METRIC_TREE_PEAK_PROCESSES] = has ? pw_value_of(stats->peak_processes) : none;
    values[PW_METRIC_TREE_PEAK_THREADS] = has ? pw_value_of(stats->peak_threads) : none;
    values[PW_METRIC_TREE_PEAK_CPU] = has ? stats->tree_cpu.peak_pct : none;
    values[PW_METRIC_TREE_MEAN_CPU] = has ? stats->tree_cpu.mean_pct : none;
    values[PW_METRIC_PARENT_PEAK_RSS_KB] =
        has ? pw_value_of((double)stats->peak_root_rss_bytes / KIB) : none;
    values[PW_METRIC_PARENT_PEAK_CPU] = has ? stats->root_cpu.peak_pct : none;
    values[PW_METRIC_PEAK_OPEN_FDS] = has ? stats->peak_open_fds : none;
    values[PW_METRIC_PEAK_DIRECT_CHILDREN] = has ? stats->peak_direct_children : none;
    values[PW_METRIC_TREE_PEAK_PSS_MB] = stats->peak_pss_bytes;
    if (pw_value_is_present(stats->peak_pss_bytes))
        values[PW_METRIC_TREE_PEAK_PSS_MB] = pw_value_of(stats->peak_pss_bytes.number / MIB);
    set_footprints(stats, values);
    set_top(stats, reason, values);
}
