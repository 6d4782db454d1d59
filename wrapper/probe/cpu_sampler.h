/*
 * Samples of what runs on the CPUs, from perf events, of process trees that are born below a
 * process that is known before: each worker's warden.
 *
 * One event a CPU on each warden, inherited by all that it starts; what the warden itself uses is
 * left out. The event is the software clock (PERF_COUNT_SW_CPU_CLOCK), which every kernel has,
 * virtual machines included, and whose periods are nanoseconds of CPU time: cycles would have to be
 * converted by a frequency that nobody knows. The events of one CPU share a ring buffer. The kernel
 * also tells which files are mapped where (MMAP2, with device and inode), names (COMM), forks and
 * exits, so that addresses can be told apart long after the process has gone. All that inherits an
 * event carries its id: that says whose a record is.
 *
 * Records are drained by pw_cpu_sampler_drain() (from one thread, some times a second and when the
 * descriptor is readable), in the order of their times over all CPUs, and aggregated: a stack is
 * kept once, as places in files. Nothing is symbolized before pw_cpu_sampler_take().
 *
 * What it cannot see: a thread's clock begins anew on each CPU that it comes to, and what is left
 * of a period when it ends is in no sample: up to one period a thread and CPU is missing, and of
 * processes that live shorter than one mostly all. What runs with interrupts off is found where
 * they are on again. A CPU that is switched on later is not in it.
 *
 * With `whole_machine`, where that is allowed (perf_event_paranoid <= 0 or CAP_PERFMON), there is
 * instead one event a CPU for all that runs there, told apart by pid: below a warden is what a FORK
 * record says was begun by one who is. Its clocks run on when the CPU goes to another thread, so
 * short processes are sampled as what they are; forks cost nothing more. In return the weights are
 * a sample of the time, with its chance, and not a count of it, where CPUs are shared; what was
 * lost is counted for all that are watched. Events of a control group each (PERF_FLAG_PID_CGROUP)
 * would be as exact for short processes, but their clock is stopped and set at each switch between
 * the group and the idle CPU, which costs programs that wait for one another more than the clock
 * that runs on does.
 *
 * Broken stacks: callers are found by frame pointers (the kernel can do no more), so code without
 * them loses callers. A stack is whole if its outermost user frame is named as one with which
 * threads begin (_start, __libc_start_main, start_thread, clone, and such of musl and Go). Where
 * that frame has no name, the stack is whole if the frame lies in the C library or the loader, is
 * not the only one, claims no caller that is in no executable mapping, and the kernel did not stop
 * there because it walks no further. All others are broken. A stack without a user part (the
 * process is just going, or has none) is whole. The leaf is right in all cases. What this cannot
 * notice: leaf functions without a frame hide their direct caller.
 *
 * Powers: needs perf_event_paranoid <= 2 for own user space, <= 1 or CAP_PERFMON for the kernel's
 * part; where the kernel's part is refused, it is left out and said: the time there is then in no
 * sample. Sources: perf_event_open(2). Threads: one at a time.
 */
#ifndef PW_PROBE_CPU_SAMPLER_H
#define PW_PROBE_CPU_SAMPLER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "core/cpu_profile.h"
#include "core/err.h"
#include "wrapper/probe/symbolizer.h"

struct pw_cpu_sampler;

struct pw_cpu_sampler_options {
    double hz;             /* 1 to 10000, at most kernel.perf_event_max_sample_rate */
    bool whole_machine;    /* if it is allowed, see above */
    int64_t watch_ns;      /* samples later than that after the watch began are left out; 0: none */
    unsigned slots;        /* workers at once */
    const char *proc_root; /* "/proc" */
};

/* PW_ERR_SYSTEM with the remedy (perf_event_paranoid, CAP_PERFMON, a kernel without perf events).
 */
int pw_cpu_sampler_new(const struct pw_cpu_sampler_options *options,
                       struct pw_cpu_sampler **ret_sampler, struct pw_err *err);
void pw_cpu_sampler_free(struct pw_cpu_sampler *sampler); /* NULL is fine */
/* "cpu-clock"; whether the whole machine is sampled; whether kernel stacks are seen. Constant. */
const char *pw_cpu_sampler_event(const struct pw_cpu_sampler *sampler);
bool pw_cpu_sampler_is_whole(const struct pw_cpu_sampler *sampler);
/* Not set unless that was wanted and is refused. */
const struct pw_err *pw_cpu_sampler_why_not_whole(const struct pw_cpu_sampler *sampler);
bool pw_cpu_sampler_has_kernel(const struct pw_cpu_sampler *sampler);

/* From now on all that `warden_pid` starts is sampled for `slot`, which must not be watched; what
 * was not taken of it is forgotten. Before its target starts. One descriptor a CPU until
 * pw_cpu_sampler_unwatch(). */
int pw_cpu_sampler_watch(struct pw_cpu_sampler *sampler, unsigned slot, pid_t warden_pid,
                         struct pw_err *err);
/* The slot's events end; what they have told is drained. Nothing if it is not watched. */
void pw_cpu_sampler_unwatch(struct pw_cpu_sampler *sampler, unsigned slot);
/* Readable when a buffer is half full, until it is drained; for poll(2). */
int pw_cpu_sampler_fd(const struct pw_cpu_sampler *sampler);
void pw_cpu_sampler_drain(struct pw_cpu_sampler *sampler);
/* CPU time of the slot since pw_cpu_sampler_watch() as the kernel has counted it, the warden's own
 * included: what its samples' weights would add up to if they missed nothing. 0: not known, as when
 * the whole machine is sampled. */
int64_t pw_cpu_sampler_counted_ns(struct pw_cpu_sampler *sampler, unsigned slot);
/* The slot's samples since pw_cpu_sampler_watch(), symbolized, added to an initialised profile,
 * with what was lost (samples and other records) and when the first and last one was; the slot is
 * empty then, also on failure. */
int pw_cpu_sampler_take(struct pw_cpu_sampler *sampler, unsigned slot,
                        const struct pw_symbolizer *symbolizer, struct pw_cpu_profile *profile,
                        struct pw_err *err);

#endif
