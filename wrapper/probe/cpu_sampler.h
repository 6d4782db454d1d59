/*
 * Samples of what runs on the CPUs, from perf events, of process trees that are born below a
 * process that is known before: each worker's warden.
 *
 * One event a CPU on each warden (PERF_COUNT_SW_CPU_CLOCK, or the hardware's cycles where they are
 * there), inherited by all that it starts; the warden itself does nothing and so is not in it. The
 * events of one CPU share a ring buffer. The kernel also tells which files are mapped where (MMAP2,
 * with build ids where it knows them), names (COMM), forks and exits, so that addresses can be told
 * apart long after the process has gone.
 *
 * Records are drained into memory as they come, by pw_cpu_sampler_drain() (from one thread, some
 * times a second and when a descriptor is readable), and aggregated: a stack is kept once, with
 * addresses. Nothing is symbolized before pw_cpu_sampler_take().
 *
 * Powers: needs perf_event_paranoid <= 2 for own user space, <= 1 or CAP_PERFMON for the kernel's
 * part; where the kernel's part is refused, it is left out and said. Sources: perf_event_open(2).
 * Threads: one at a time, but for what is said.
 */
#ifndef PW_PROBE_CPU_SAMPLER_H
#define PW_PROBE_CPU_SAMPLER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "core/cpu_profile.h"
#include "core/err.h"

struct pw_cpu_sampler;

struct pw_cpu_sampler_options {
    double hz;             /* 1 to 10000; the kernel's limit (perf_event_max_sample_rate) holds */
    unsigned slots;        /* workers at once */
    const char *proc_root; /* "/proc" */
};

/* PW_ERR_SYSTEM with the remedy (perf_event_paranoid, CAP_PERFMON, a kernel without perf events).
 */
int pw_cpu_sampler_new(const struct pw_cpu_sampler_options *options,
                       struct pw_cpu_sampler **ret_sampler, struct pw_err *err);
void pw_cpu_sampler_free(struct pw_cpu_sampler *sampler); /* NULL is fine */
/* "cpu-clock" or "cycles"; whether kernel stacks are seen. Constant. */
const char *pw_cpu_sampler_event(const struct pw_cpu_sampler *sampler);
bool pw_cpu_sampler_has_kernel(const struct pw_cpu_sampler *sampler);

/* From now on all that `warden_pid` starts is sampled for `slot`. Before its target starts. */
int pw_cpu_sampler_watch(struct pw_cpu_sampler *sampler, unsigned slot, pid_t warden_pid,
                         struct pw_err *err);
/* The slot's events end; what they have told is drained. */
void pw_cpu_sampler_unwatch(struct pw_cpu_sampler *sampler, unsigned slot);
/* Readable when a buffer fills; for poll(2). */
int pw_cpu_sampler_fd(const struct pw_cpu_sampler *sampler);
void pw_cpu_sampler_drain(struct pw_cpu_sampler *sampler);
/* The slot's samples since pw_cpu_sampler_watch(), symbolized, into an initialised profile; the
 * slot is empty then. `symbols`: shared by all, see symbols.h. */
struct pw_symbols;
int pw_cpu_sampler_take(struct pw_cpu_sampler *sampler, unsigned slot, struct pw_symbols *symbols,
                        struct pw_cpu_profile *profile, struct pw_err *err);

#endif
