/* For wrapper/probe/footprint.c alone: the numbers of one process. Threads: no state. */
#ifndef PW_PROBE_FOOTPRINT_READ_H
#define PW_PROBE_FOOTPRINT_READ_H

#include "wrapper/probe/footprint.h"
#include "wrapper/probe/proc.h"
#include "wrapper/probe/proc_file.h"

/* What one look at a process found. */
struct pw_foot_reading {
    struct pw_proc_stat stat;
    uint64_t own_ns; /* CPU time of its own */
};

/* /proc/PID/stat, and the process's CPU clock. `dir_fd` is /proc/PID, which stays with the process
 * that had the pid when it was opened. `name` may be NULL. */
enum pw_proc_outcome pw_foot_stat_read(const struct pw_proc *proc, int dir_fd, pid_t pid,
                                       struct pw_foot_reading *ret_reading,
                                       char name[PW_FOOT_NAME_BYTES]);
/* Fills process->values; false if the process has no memory any more, for it is ending. */
bool pw_foot_values_read(const struct pw_proc *proc, int dir_fd,
                         const struct pw_foot_reading *reading, struct pw_foot_process *process);
/* Nanoseconds of clock ticks. */
uint64_t pw_foot_ns_of(const struct pw_proc *proc, uint64_t ticks);

#endif
