/*
 * The sampler: one thread that looks at all running workers' trees.
 *
 * First look right after exec, then at gaps that double up to the interval, so that a command of 5
 * ms has samples too. A CPU budget lengthens the gaps of trees that are dear to read. A gap of some
 * ticks of the kernel is cut so that it ends right behind one, when the CPU times of running
 * threads were brought up to date. The cost, the count and the largest gap are for the summary's
 * `observer` block.
 *
 * Threads: pw_sampler_add() and _take() may be called from one other thread while the sampler runs;
 * either may wait for one sample that is being taken.
 */
#ifndef PW_RUN_SAMPLER_H
#define PW_RUN_SAMPLER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "core/err.h"
#include "core/memory_breakdown.h"
#include "core/record.h"
#include "wrapper/run/plan.h"

struct pw_sampler;

/* One slot for each concurrent worker. Starts the thread, unless the plan's budget is 0 or /proc
 * cannot be opened: then all sampled values are absent, with the reason. */
int pw_sampler_new(const struct pw_plan *plan, struct pw_sampler **ret_sampler, struct pw_err *err);
/* Ends the thread. NULL is fine. */
void pw_sampler_free(struct pw_sampler *sampler);

/* A worker has started: its tree is sampled from now on. */
int pw_sampler_add(struct pw_sampler *sampler, unsigned slot, pid_t warden_pid, pid_t root_pid,
                   int64_t spawned_at_ns, struct pw_err *err);
/* It has ended, with `cpu_ns` by the kernel's account: sets the sampled metrics and
 * STEP_MONITOR_LOOP in `values` and frees the slot. Does nothing but set absences if the slot was
 * never added. */
void pw_sampler_take(struct pw_sampler *sampler, unsigned slot, int64_t ended_at_ns, int64_t cpu_ns,
                     struct pw_value *values);
/* After pw_sampler_take() and before the slot is added again: what the worker's memory consisted of
 * at its peak, as far as samples saw it, with the plan's vmmap_snapshots. Once; false, and
 * *ret_breakdown untouched, if there is none. */
bool pw_sampler_take_breakdown(struct pw_sampler *sampler, unsigned slot,
                               struct pw_memory_breakdown *ret_breakdown);
/* What sampling has cost since pw_sampler_new(), or since the last call. */
void pw_sampler_observer(struct pw_sampler *sampler, struct pw_observer *ret_observer);

#endif
