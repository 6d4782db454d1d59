/*
 * From samples of a tree to a worker's values: peaks, CPU use over windows, the time series of
 * --top-attach, and footprints at start, middle and end.
 *
 * CPU use is always a difference of CPU times over a difference of times, in percent of one core.
 * /proc counts CPU in ticks of 10 ms, user and system time of each process for itself and cut off,
 * so a difference is off by up to 20 ms for each process that used CPU in between. That is why a
 * peak is taken over windows of at least PW_TREE_WINDOW_NS: in the shortest one, a single busy
 * process is known to 20 %, and longer ones are better in proportion. The windows follow each other
 * from the spawn on; what is left at the end is too short for one and counts together with the
 * window before it. A mean needs as long a time too. Where there was none, the whole life is the
 * only window, from the spawn to the end, with the kernel's exact times from
 * pw_tree_stats_finish(). A peak is never below the mean, which is over a window as well.
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
            int64_t at_ns, cpu_ns;
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
