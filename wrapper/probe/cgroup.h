/*
 * A cgroup for each worker: membership that nobody escapes, and the kernel's own sums of it.
 *
 * Below perfwrap's own cgroup (v2 where it is delegated; for memory also v1), a folder
 * `perfwrap-PID-START` with a leaf `worker-N` each. What an earlier perfwrap that was killed left
 * is removed when it is found: no process in it, and no process of that pid and start time.
 * Sources: Documentation/admin-guide/cgroup-v2, cgroup-v1/memory. Threads: one at a time.
 */
#ifndef PW_PROBE_CGROUP_H
#define PW_PROBE_CGROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "core/err.h"
#include "core/value.h"

struct pw_cgroups;

struct pw_cgroup_powers {
    bool leaves, kill, cpu_stat, memory_peak, pids_peak, io_stat, pressure, memory_v1;
    char why_not[256];
};

/* PW_ERR_SYSTEM with the remedy if no leaf can be made. `sys_root`: "/sys/fs/cgroup", `proc_root`:
 * "/proc", or fakes in tests. */
int pw_cgroups_open(const char *sys_root, const char *proc_root, struct pw_cgroups **ret_cgroups,
                    struct pw_err *err);
void pw_cgroups_close(struct pw_cgroups *cgroups); /* removes all; NULL is fine */
void pw_cgroups_get_powers(const struct pw_cgroups *cgroups, struct pw_cgroup_powers *ret_powers);

/* Makes the leaf and moves the warden there, before its target starts. */
int pw_cgroup_enter(struct pw_cgroups *cgroups, unsigned worker, pid_t warden_pid,
                    struct pw_err *err);

struct pw_cgroup_sums {
    struct pw_value cpu_user_ns, cpu_system_ns, throttled_ns;
    struct pw_value memory_peak_bytes, pids_peak;
    struct pw_value io_read_bytes, io_write_bytes;
    struct pw_value cpu_some_us, io_some_us, memory_some_us; /* pressure stalls, total */
};
/* Less what the warden itself used. */
void pw_cgroup_read(struct pw_cgroups *cgroups, unsigned worker, struct pw_cgroup_sums *ret_sums);
/* Kills what is left in it and removes the leaf. */
void pw_cgroup_leave(struct pw_cgroups *cgroups, unsigned worker);

#endif
