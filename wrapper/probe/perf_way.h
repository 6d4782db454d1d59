/*
 * In which of its ways this kernel lets the CPU clock be sampled: all that run or those that
 * inherit an event, with the kernel's part or without, and what older kernels do not know.
 * Threads: no shared state.
 */
#ifndef PW_PROBE_PERF_WAY_H
#define PW_PROBE_PERF_WAY_H

#include <linux/perf_event.h>
#include <stdbool.h>
#include "core/err.h"

struct pw_perf_way {
    struct perf_event_attr attr; /* off at first if `is_whole` */
    bool is_whole;               /* one event a CPU for all that run there */
    unsigned most_addresses;     /* where the kernel stops walking a stack */
    struct pw_err why_not_whole; /* if that was wanted and is refused */
};

enum { PW_PERF_HZ_MAX = 10000 };

/* kernel.perf_event_max_sample_rate; PW_PERF_HZ_MAX if that is less or the kernel does not say. */
double pw_perf_most_hz(const char *proc_root);
/* PW_ERR_USAGE: not such a rate, or above pw_perf_most_hz(); PW_ERR_SYSTEM: nothing is allowed. */
int pw_perf_way_find(const char *proc_root, double hz, bool want_whole, struct pw_perf_way *ret_way,
                     struct pw_err *err);
/* Says what a failed perf_event_open(2) means and what helps. Returns -1. */
int pw_perf_refused(struct pw_err *err, int sys, const char *what);

#endif
