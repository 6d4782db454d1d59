/*
 * A control group for each worker: membership that nobody escapes, and the kernel's own sums of it.
 *
 * Below perfwrap's own group, in each hierarchy that has something to tell (version 2; version 1
 * for memory, pids and cpuacct where version 2 does not have them), stands a folder
 * `perfwrap-XXXXXX` with a leaf `worker-N.M` for each worker of each iteration. Leaves are not used
 * twice: making and removing one costs a tenth of moving a process into it, and no counter has to
 * be set back.
 *
 * The folder is locked (flock(2)) while its perfwrap lives. Folders whose lock is free were left by
 * one that was killed: open() kills what is in them and removes them. It keeps its hands off groups
 * that a systemd manages and has not delegated, unless forced.
 *
 * The warden is a member of its worker's leaf. Its CPU time up to the end of enter() is not in the
 * sums; what it uses afterwards (some hundred microseconds, to start and to reap) and the memory
 * that it touches afterwards (some pages) are.
 *
 * Sources: Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/{memory,cpuacct,pids}.rst,
 * cgroups(7), systemd's CGROUP_DELEGATION. Threads: one at a time.
 */
#ifndef PW_PROBE_CGROUP_H
#define PW_PROBE_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include "core/err.h"
#include "core/value.h"

struct pw_cgroups;

struct pw_cgroups_setup {
    const char *proc_root; /* "/proc", which says what is mounted where; or a fake in tests */
    const char *run_root;  /* "/run", where systemd shows that it manages the machine; likewise */
    bool is_forced;        /* also in a group that systemd has not delegated */
};
#define PW_CGROUPS_SETUP_INIT \
    ((struct pw_cgroups_setup){.proc_root = "/proc", .run_root = "/run", .is_forced = false})

/* What the leaves can tell; tried, not guessed. */
struct pw_cgroup_powers {
    bool is_v2;        /* leaves are in the version 2 hierarchy (perhaps also in others) */
    bool kill;         /* cgroup.kill: a whole leaf at once (Linux 5.14) */
    bool cpu;          /* CPU time */
    bool memory_peak;  /* memory.peak (Linux 5.19), or version 1 */
    bool memory_v1;    /* of these, version 1 */
    bool pids_peak;    /* pids.peak (Linux 6.1) */
    bool io;           /* io.stat */
    bool pressure;     /* *.pressure */
    bool moved;        /* perfwrap moved itself to a leaf, so that controllers could be enabled */
    char why_not[256]; /* what is missing and why, or "" */
};

/* Makes the folder, and tries it with a process that does nothing. PW_ERR_SYSTEM, with the remedy,
 * if no hierarchy takes it; nothing is left behind then. The caller may have threads. */
int pw_cgroups_open(const struct pw_cgroups_setup *setup, struct pw_cgroups **ret_cgroups,
                    struct pw_err *err);
/* Ends what is left in leaves, removes all, and moves perfwrap back to where it was. NULL is fine.
 */
void pw_cgroups_close(struct pw_cgroups *cgroups);
void pw_cgroups_get_powers(const struct pw_cgroups *cgroups, struct pw_cgroup_powers *ret_powers);

/*
 * Makes a leaf and moves the warden there, before its target starts. Takes 0.2 to 1 ms a hierarchy,
 * in which no process of the machine can fork, exec or exit for long: so before the first target
 * starts. Fails if no hierarchy takes it; the worker can be measured all the same, without sums.
 */
int pw_cgroup_enter(struct pw_cgroups *cgroups, unsigned worker, pid_t warden_pid,
                    struct pw_err *err);

/* Since enter(), of all that were ever in the leaf. */
struct pw_cgroup_sums {
    struct pw_value cpu_ns;                     /* exact to the context switch */
    struct pw_value cpu_user_ns, cpu_system_ns; /* the same, divided as ticks fell (v2) */
    /* Of the nearest group with the cpu controller that perfwrap is in, for all in it. Leaves do
     * not get that controller: it would change how their processes are scheduled. */
    struct pw_value throttled_ns;
    /* At one moment; with page cache that the worker was the first to touch, and kernel memory. The
     * kernel counts in portions of 64 pages a CPU. */
    struct pw_value memory_peak_bytes;
    struct pw_value oom_kills;
    struct pw_value pids_peak;                     /* threads at one moment, without the warden */
    struct pw_value io_read_bytes, io_write_bytes; /* of block devices; also written back later */
    struct pw_value io_reads, io_writes;
    struct pw_value cpu_some_ns, cpu_full_ns; /* pressure: some or all wanted it and waited */
    struct pw_value memory_some_ns, memory_full_ns;
    struct pw_value io_some_ns, io_full_ns;
};
/* All absent (PW_ABSENT_NOT_MEASURED) for a worker that is in no leaf. */
void pw_cgroup_read(const struct pw_cgroups *cgroups, unsigned worker,
                    struct pw_cgroup_sums *ret_sums);
/* Who is in it, zombies left out; free(*ret_pids). Empty for a worker that is in no leaf. */
int pw_cgroup_members(const struct pw_cgroups *cgroups, unsigned worker, pid_t **ret_pids,
                      size_t *ret_count, struct pw_err *err);
/* After the warden's end: kills what is left in the leaf and removes it. Waits two seconds at most;
 * what does not end until then, close() and the next open() try again. */
int pw_cgroup_leave(struct pw_cgroups *cgroups, unsigned worker, struct pw_err *err);
/* Lets them live, outside: for a worker that outlives the session, before close(). */
int pw_cgroup_release(struct pw_cgroups *cgroups, unsigned worker, struct pw_err *err);

#endif
