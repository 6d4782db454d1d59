/*
 * From samples of a tree to a worker's values: peaks, CPU use over windows, the time series of
 * --top-attach, and footprints at start, middle and end.
 *
 * CPU use is always a difference of CPU times over a difference of times, never a lifetime average of
 * something else. /proc counts CPU in ticks of 10 ms, so a window of PW_TREE_WINDOW_NS is the shortest
 * that a peak is taken over (10 % steps); a worker that ends before one window is full gets its whole
 * life as the only window, with the kernel's exact times from pw_tree_stats_finish().
 *
 * Plain memory of bounded size; no allocation. Threads: one at a time.
 */
#ifndef PW_PROBE_TREE_STATS_H
#define PW_PROBE_TREE_STATS_H

#include "core/metric.h"
#include "core/value.h"
#include "wrapper/probe/tree.h"

#define PW_TREE_WINDOW_NS INT64_C(100000000)
enum { PW_TREE_FOOTPRINT_POINTS = 64 }; /* halved by dropping every second one when full */

struct pw_tree_stats {
    int64_t started_at_ns;
    bool top_attach;
    uint64_t samples;
    /* … further fields, owned by tree_stats.c: see there */
    struct pw_tree_stats_peak {
        uint64_t rss_bytes, root_rss_bytes;
        uint32_t processes, threads;
        struct pw_value open_fds, direct_children, pss_bytes;
        struct pw_value cpu_pct, root_cpu_pct;
    } peak;
    struct pw_tree_stats_window {
        int64_t at_ns, cpu_ns, root_cpu_ns; /* where the current window began */
    } window, first;
    struct pw_tree_stats_top {
        uint64_t points;
        double rss_sum_bytes, rss_peak_bytes;
        double cpu_peak_pct;
        int64_t first_at_ns, last_at_ns, first_cpu_ns, last_cpu_ns;
        bool has_cpu;
    } top;
    struct pw_tree_stats_footprint {
        int64_t at_ns;
        double bytes;
    } footprints[PW_TREE_FOOTPRINT_POINTS];
    unsigned footprint_count, footprint_stride, footprint_skip;
};

/* `started_at_ns`: when the worker was spawned (CPU time 0). */
void pw_tree_stats_init(struct pw_tree_stats *stats, int64_t started_at_ns, bool top_attach);
/* `top_point`: this sample is also a point of the --top-attach series. */
void pw_tree_stats_add(struct pw_tree_stats *stats, const struct pw_tree_sample *sample,
                       bool top_point);
/* Once, after the worker's end, with the kernel's CPU times: `cpu_ns` of the tree, `root_cpu_ns` < 0 if
 * not known. */
void pw_tree_stats_finish(struct pw_tree_stats *stats, int64_t ended_at_ns, int64_t cpu_ns,
                          int64_t root_cpu_ns);
/* Sets the sampled metrics in `values`, indexed by enum pw_metric_id; those without a sample become absent
 * with the tree's reason. */
void pw_tree_stats_values(const struct pw_tree_stats *stats, const struct pw_tree *tree,
                          struct pw_value *values);

#endif
