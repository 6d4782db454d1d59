/*
 * A process that is remembered across perfwraps: a pid alone may have come to another one since.
 * Threads: no shared state. Sources: proc(5), pidfd_open(2).
 */
#ifndef PW_BOOT_BASE_PROCESS_H
#define PW_BOOT_BASE_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "core/err.h"

enum { PW_BOOT_ID_TEXT = 37 };

struct pw_process {
    pid_t pid;
    uint64_t start_ticks; /* after the system's start: field 22 of /proc/PID/stat */
    char boot_id[PW_BOOT_ID_TEXT];
};

/* PW_ERR_INPUT with ESRCH if it is gone; one that only waits to be reaped is. */
int pw_process_find(pid_t pid, struct pw_process *ret_process, struct pw_err *err);
bool pw_process_runs(const struct pw_process *process);
/* Ends it, unless it has ended: TERM at once if `with_term`, grace, then KILL; returns when it has
 * ended. PW_ERR_SYSTEM if it may not be ended, or cannot be. */
int pw_process_end(const struct pw_process *process, bool with_term, struct pw_err *err);

#endif
