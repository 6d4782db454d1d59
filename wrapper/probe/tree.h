/*
 * One worker's process tree, read from /proc.
 *
 * The tree is every descendant of the worker's warden (wrapper/run/warden.h), which is its
 * subreaper: so a process that was orphaned, called setsid or forked twice is still in it, and a
 * process of another worker never is. The warden itself is not part of the tree. A process once
 * found stays in the tree until reading it says that it is gone; descriptors are kept open, so a
 * reused pid is never mistaken for it.
 *
 * What it is not: it does not schedule samples (wrapper/run/sampler.h) nor aggregate them
 * (wrapper/probe/tree_stats.h).
 *
 * Threads: a tree and its struct pw_proc belong to one thread at a time. Units: ns, bytes.
 * Source: proc(5), clock_getcpuclockid(3), Documentation/filesystems/proc.rst.
 */
#ifndef PW_PROBE_TREE_H
#define PW_PROBE_TREE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "core/err.h"
#include "core/memory_breakdown.h"
#include "core/value.h"
#include "wrapper/probe/memory_maps.h"

/* The mounted /proc: shared by all trees of a sampler. */
struct pw_proc;

/* `root`: "/proc", or a fake tree in tests. Errors: PW_ERR_SYSTEM if it cannot be opened. */
int pw_proc_open(const char *root, struct pw_proc **ret_proc, struct pw_err *err);
void pw_proc_close(struct pw_proc *proc);
/* How descendants are found: "children" (/proc/PID/task/TID/children), "scan" (ppid of all of
 * /proc, where the kernel lacks the former), or "none" (/proc hidden or unreadable). Constant. */
const char *pw_proc_tree_source(const struct pw_proc *proc);

struct pw_tree;

/* One look at the tree. Sums are over all live processes found (zombies too, they hold no memory).
 */
struct pw_tree_sample {
    /* CLOCK_MONOTONIC. Each number is of some moment between these: reading had ended at latest_ns,
     * and earliest_ns is the kernel's last tick (core/clock.h) before it began. What a running
     * thread uses is added to its CPU time at ticks, and when it stops running. */
    int64_t earliest_ns, latest_ns;
    uint32_t processes, threads; /* live; zombies are not counted */
    uint64_t rss_bytes, root_rss_bytes;
    int64_t cpu_ns; /* user + system time of the whole tree since its start, ended and waited-for
                       processes included; never decreases, never above the truth */
    int64_t cpu_most_ns;     /* that, and the most that is hidden by waited-for time being given in
                                whole clock ticks of 10 ms */
    int64_t cpu_followed_ns; /* the part of it that was read as processes' own time, which is in ns;
                                never decreases */
    int64_t root_cpu_ns;     /* of the worker process alone, without its children */
    struct pw_value open_fds, direct_children;  /* of the worker process; absent with reason */
    struct pw_value pss_bytes, footprint_bytes; /* if asked for with PW_TREE_WANT_MAPS */
};

enum pw_tree_want {
    PW_TREE_WANT_BASIC = 0,
    PW_TREE_WANT_MAPS = 1, /* also smaps_rollup of every process: slow */
};

enum pw_tree_outcome {
    PW_TREE_SAMPLED, /* at least one process was read */
    PW_TREE_GONE,    /* no live process is left, or none can be read */
};

/* Starts with the worker process `root_pid`, child of `warden_pid` (checked by its ppid). The
 * worker may already be gone: then samples say so. Errors: PW_ERR_MEMORY. */
int pw_tree_open(struct pw_proc *proc, pid_t warden_pid, pid_t root_pid, struct pw_tree **ret_tree,
                 struct pw_err *err);
void pw_tree_close(struct pw_tree *tree);
/* *ret_sample is untouched unless PW_TREE_SAMPLED. */
enum pw_tree_outcome pw_tree_sample(struct pw_tree *tree, unsigned want,
                                    struct pw_tree_sample *ret_sample);
/* What the memory of the processes that the last sample found consists of; sets all but
 * `peak_footprint_bytes`. `maps` is for use meanwhile, and empty or used before. About as slow as
 * twice PW_TREE_WANT_MAPS. False, and *ret_breakdown untouched: nothing could be read (no
 * permission, Linux before 4.14, all have ended). */
bool pw_tree_break_down(struct pw_tree *tree, struct pw_memory_maps *maps,
                        struct pw_memory_breakdown *ret_breakdown);
uint64_t pw_tree_processes_seen(const struct pw_tree *tree); /* different ones, over all samples */
uint64_t pw_tree_missed_exits(const struct pw_tree *tree); /* listed, but gone before first read */
/* Over PW_LIMIT_TREE_PROCESSES: the most that one sample left out. */
uint64_t pw_tree_skipped(const struct pw_tree *tree);
/* Why there were no samples: PW_ABSENT_NO_SAMPLES, _NO_PERMISSION or _NOT_SUPPORTED. */
enum pw_absence pw_tree_absence(const struct pw_tree *tree);

#endif
