/*
 * From samples of a tree to a worker's values: peaks, CPU use over windows, the time series of
 * --top-attach, and footprints at start, middle and end.
 *
 * CPU use is always a difference of CPU times over a difference of times, in percent of one core. A
 * peak is the largest of many such numbers, so if errors went upwards it would be that of the
 * largest error. Here they go downwards only, and a window never shows more than was used in it:
 *
 * - When CPU times were read is known to lie between two moments (struct pw_tree_sample). A window
 *   begins at the earlier one of its first sample and ends at the later one of its last: what is
 *   counted was used in there, however late the sampler was. With samples that are in time
 *   (wrapper/run/sampler.h), that makes the shortest window, of PW_TREE_WINDOW_NS, longer by some
 *   tenths of a percent.
 * - Time of processes that were waited for is read in whole clock ticks. What these may have hidden
 *   from the first sample does not count, but in a window what was followed as processes' own time
 *   counts in any case. So if much is used by processes that no sample sees, the shortest window is
 *   too low by up to 20 percent for each process that waits for them, and longer ones, the mean
 *   above all, by less.
 *
 * Left is an error upwards of one tick of the kernel, where its ticks are not at the moments that
 * core/clock.h says, and of two clock ticks for each process without a CPU clock.
 *
 * The windows follow each other from the spawn on; what is left at the end is too short for one and
 * counts together with the window before it. A mean needs as long a time too, from the first sample
 * (not before the spawn) to the kernel's exact times from pw_tree_stats_finish(), and what clock
 * ticks hide from it is not taken off. Where there was no such time, the whole life is the only
 * window, from the spawn to the end, with the kernel's times. A peak is never below the mean, which
 * is over a window as well.
 *
 * Plain memory of bounded size; no allocation. Threads: one at a time.
 */
#ifndef PW_PROBE_TREE_STATS_H
#define PW_PROBE_TREE_STATS_H

#include <stdbool.h>
#include <stdint.h>
#include "core/metric.h"
#include "core/value.h"
#include "wrapper/probe/tree.h"

#define PW_TREE_WINDOW_NS INT64_C(100000000)
enum { PW_TREE_FOOTPRINT_POINTS = 64 }; /* halved by dropping every second one when full */

/* All but `samples` is for tree_stats.c alone. */
struct pw_tree_stats {
    int64_t started_at_ns,
        ended_at_ns; /* the last sample stands in for the end until it is known */
    bool top_attach;
    uint64_t samples;
    uint64_t peak_rss_bytes, peak_root_rss_bytes;
    uint32_t peak_processes, peak_threads;
    struct pw_value peak_open_fds, peak_direct_children, peak_pss_bytes;
    struct pw_tree_stats_cpu {
        struct pw_tree_stats_at {
            int64_t earliest_ns, latest_ns;              /* when the CPU times were read */
            int64_t cpu_ns, most_ns, followed_ns;        /* as in struct pw_tree_sample */
        } first, last;                                   /* points of the series */
        struct pw_tree_stats_at window, previous_window; /* where they began */
        bool has_points, has_window;                     /* at least one window is full */
        struct pw_value peak_pct, mean_pct;
    } tree_cpu, root_cpu, top_cpu;
    uint64_t top_points;
    double top_rss_sum_bytes, top_rss_peak_bytes;
    struct pw_tree_stats_footprint {
        int64_t at_ns;
        double bytes;
    } footprints[PW_TREE_FOOTPRINT_POINTS], last_footprint;
    unsigned footprint_count, footprint_stride;
    uint64_t footprint_total;
    enum pw_absence footprint_absence;
};

/* `started_at_ns`: when the worker was spawned (CPU time 0). */
void pw_tree_stats_init(struct pw_tree_stats *stats, int64_t started_at_ns, bool top_attach);
/* `top_point`: this sample is also a point of the --top-attach series. */
void pw_tree_stats_add(struct pw_tree_stats *stats, const struct pw_tree_sample *sample,
                       bool top_point);
/* What was read between samples counts as of one. */
void pw_tree_stats_add_breakdown(struct pw_tree_stats *stats,
                                 const struct pw_memory_breakdown *breakdown);
/* Once, after the worker's end, with the kernel's CPU times: `cpu_ns` of the tree, `root_cpu_ns` of
 * the worker process; each < 0 if not known, then the last sample's stand in, which are not enough
 * for a life shorter than a window. */
void pw_tree_stats_finish(struct pw_tree_stats *stats, int64_t ended_at_ns, int64_t cpu_ns,
                          int64_t root_cpu_ns);
/* Sets the sampled metrics in `values`, indexed by enum pw_metric_id; those without a sample become
 * absent with the tree's reason, and those not asked for become PW_ABSENT_NOT_MEASURED. */
void pw_tree_stats_values(const struct pw_tree_stats *stats, const struct pw_tree *tree,
                          struct pw_value *values);

#endif
