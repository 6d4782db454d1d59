/*
 * The kernel's account of a process that still runs, as far as there is one: for workers that are
 * measured to a mark and not ended (plan.h: hold). Sources: proc(5), /proc/PID/stat and
 * /proc/PID/status (VmHWM); clock_getcpuclockid(3). Threads: no shared state.
 */
#ifndef PW_RUN_LIVE_H
#define PW_RUN_LIVE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "core/value.h"

struct pw_live {
    int64_t at_ns; /* when it was read, CLOCK_MONOTONIC; the caller's */
    bool has_cpu;
    int64_t user_ns, system_ns;   /* so far, of the process and all it waited for */
    struct pw_value peak_rss_kib; /* so far, of the process itself since its last exec */
};

/* Sets all but at_ns. Of a process that is gone nothing is known. */
void pw_live_read(pid_t pid, struct pw_live *live);

#endif
