/*
 * The memory, descriptors, threads and CPU time of any running process tree: one or more roots,
 * whoever started them, and all below them. perfwrap itself is left out if it is among those.
 *
 * A process once found stays in the tree until it has ended, also when its parent ended and it has
 * another one since; it is known by its pid and its start time, so a pid that was given again is
 * never mistaken for it. The tree of a worker that perfwrap started is wrapper/probe/tree.h, which
 * is exact about CPU time; this one can be used on what was there before.
 *
 * Sums: a number that is absent of one process is absent of the whole, with the same reason; 0 is
 * never put in its place. Threads: one at a time. Source: proc(5), proc_pid_smaps_rollup(5).
 */
#ifndef PW_PROBE_FOOTPRINT_H
#define PW_PROBE_FOOTPRINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "core/err.h"
#include "core/value.h"
#include "wrapper/probe/tree.h"

enum pw_foot_id {
    PW_FOOT_RSS,
    PW_FOOT_PSS,
    PW_FOOT_USS, /* Private_Clean + Private_Dirty */
    PW_FOOT_PSS_ANON,
    PW_FOOT_PSS_FILE,
    PW_FOOT_PSS_SHMEM,
    PW_FOOT_SWAP_PSS,
    PW_FOOT_HUGETLB,  /* private and shared; in none of the others */
    PW_FOOT_PEAK_RSS, /* VmHWM: of a tree, the sum of peaks that need not have been at one time */
    PW_FOOT_THREADS,
    PW_FOOT_OPEN_FILES,
    PW_FOOT_CPU_USER, /* of the living processes, from clock ticks of 10 ms */
    PW_FOOT_CPU_SYSTEM,
    PW_FOOT_PROCESS_FIELDS, /* the above are told of each process, the rest of the whole only */

    /* Of guests of machine monitors in the tree: known of QEMU, by its name and `-m`, and of the
     * one that pw_footprint_set_guest() names. Absent: PW_ABSENT_NOT_SUPPORTED if there is no
     * monitor, PW_ABSENT_NO_SAMPLES if no mapping of it has the size of its guest. */
    PW_FOOT_GUEST_RSS = PW_FOOT_PROCESS_FIELDS,
    PW_FOOT_GUEST_PSS, /* both with huge pages of hugetlbfs */
    PW_FOOT_OVERHEAD,  /* all that is not the guests': PSS + HUGETLB - GUEST_PSS */
    PW_FOOT_COUNT
};
enum pw_foot_unit { PW_FOOT_KIB, PW_FOOT_NUMBER, PW_FOOT_SECONDS };

struct pw_foot_field {
    const char *key;   /* in JSON: "pss_kib" */
    const char *label; /* in reports */
    enum pw_foot_unit unit;
};
extern const struct pw_foot_field pw_foot_fields[PW_FOOT_COUNT];

enum { PW_FOOT_NAME_BYTES = 65 }; /* a comm, and room: a kernel thread's is longer */

struct pw_foot_process {
    pid_t pid, ppid;
    char state; /* as in /proc/PID/stat */
    bool is_root, is_kernel_thread;
    char name[PW_FOOT_NAME_BYTES];
    uint64_t guest_kib; /* memory of the guest whose monitor it is; 0: it is none */
    struct pw_value values[PW_FOOT_COUNT];
};

struct pw_foot_look {
    size_t process_count; /* alive, zombies are not */
    size_t skipped;       /* for want of room: PW_LIMIT_TREE_PROCESSES */
    struct pw_value totals[PW_FOOT_COUNT];
    /* User and system time of the whole tree since its start. Never decreases over looks, and is
     * never above the truth but for what is hidden in clock ticks of 10 ms. What a process used
     * that ended between two looks is in it only if its parent waited for it. */
    uint64_t cpu_ns;
};

enum pw_foot_outcome {
    PW_FOOT_SEEN,
    PW_FOOT_GONE,   /* no root is left */
    PW_FOOT_DENIED, /* there is a root, but /proc does not show it */
};

struct pw_footprint;

/* `proc` must live longer. Errors: PW_ERR_MEMORY. */
int pw_footprint_open(struct pw_proc *proc, const pid_t *roots, size_t count,
                      struct pw_footprint **ret_footprint, struct pw_err *err);
void pw_footprint_close(struct pw_footprint *footprint); /* NULL is fine */
/* `pid` is the monitor of a guest with so much memory, whatever its name. */
void pw_footprint_set_guest(struct pw_footprint *footprint, pid_t pid, uint64_t guest_kib);
/* *ret_look is untouched unless PW_FOOT_SEEN. */
enum pw_foot_outcome pw_footprint_look(struct pw_footprint *footprint,
                                       struct pw_foot_look *ret_look);
/* The living processes of the last look, in the order in which they were found; until the next
 * call. */
const struct pw_foot_process *pw_footprint_process(const struct pw_footprint *footprint,
                                                   size_t index);

#endif
