/*
 * The CPU profile in a session: the sampler of the workers' trees, and the names of what it saw.
 *
 * Opened once a session; each worker of an iteration is watched, ended and taken in its slot. All
 * running code is sampled (cpu_sampler.h: whole machine) where that is allowed, else events that
 * the worker's processes inherit; the summary says which, and why not the other. The rate is
 * lowered to what the kernel allows.
 *
 * Names are found in pw_profiler_take(), after the worker has gone: during the run nothing is read
 * but the kernel's buffers. So a file that only the worker's mount namespace had, or that was
 * changed, replaced or deleted, has no names: its frames say object and offset. Tables of files are
 * kept for all iterations.
 *
 * Nothing here is fatal for a session: whoever calls makes a warning of a failure and goes on
 * without. Threads: one at a time.
 */
#ifndef PW_RUN_PROFILER_H
#define PW_RUN_PROFILER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "core/cpu_profile.h"
#include "core/err.h"

struct pw_profiler;

struct pw_profiler_options {
    double hz;             /* 1 to 10000; less if the kernel allows less */
    double time_limit_sec; /* of each worker, from pw_profiler_watch() on; 0: none */
    unsigned slots;        /* workers at once */
    bool inherited_only;   /* not the whole machine, even if that is allowed */
    const char *proc_root; /* NULL: "/proc" */
};

/* What there is, for the summary. Constant. */
struct pw_profiler_facts {
    const char *event;     /* "cpu-clock" */
    const char *mode;      /* "whole-machine", "inherited" */
    double hz_asked, hz;   /* hz: granted */
    bool has_kernel;       /* the kernel's part is in the samples */
    bool has_kernel_names; /* and kernel.kptr_restrict does not hide its functions */
    char text[1024];       /* all of it in a sentence or two, with the reasons */
};

/* One clear error with its remedy: perf_event_paranoid, CAP_PERFMON, a seccomp filter, too many
 * files or events, perf_event_mlock_kb. PW_ERR_USAGE: the rate or the limit is none. */
int pw_profiler_open(const struct pw_profiler_options *options, struct pw_profiler **ret_profiler,
                     struct pw_err *err);
void pw_profiler_free(struct pw_profiler *profiler); /* NULL is fine; also ends what is watched */
const struct pw_profiler_facts *pw_profiler_facts(const struct pw_profiler *profiler);

/* All that the warden starts from now on, until pw_profiler_end(). Before the target starts. On
 * failure the slot is not watched, and its other calls do nothing. */
int pw_profiler_watch(struct pw_profiler *profiler, unsigned slot, pid_t warden_pid,
                      struct pw_err *err);
/* For poll(2): readable when a buffer is half full, until it is drained. */
int pw_profiler_fd(const struct pw_profiler *profiler);
/* When it is readable, and some times a second; ends what is beyond its time limit. */
void pw_profiler_drain(struct pw_profiler *profiler);
/* When the slot's tree has ended. Nothing if it is not watched. */
void pw_profiler_end(struct pw_profiler *profiler, unsigned slot);
/* What the slot's samples tell, with names, is added to an initialised profile (its `hz` is set if
 * it is 0), and forgotten here, also on failure. Ends the slot if that was not done. */
int pw_profiler_take(struct pw_profiler *profiler, unsigned slot, struct pw_cpu_profile *profile,
                     struct pw_err *err);

#endif
