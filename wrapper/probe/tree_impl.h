/* What the parts of tree.h share: tree.c takes samples, tree_memory.c looks into the memory of the
 * processes that a sample found. Threads: one at a time. */
#ifndef PW_PROBE_TREE_IMPL_H
#define PW_PROBE_TREE_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "wrapper/probe/proc.h"
#include "wrapper/probe/tree.h"

struct pw_tree_process {
    pid_t pid;
    bool is_root, seen, gone;
    int stat_fd, children_fd; /* kept, or -1 */
    clockid_t clock;          /* its CPU clock, or 0 */
    uint64_t starttime_ticks; /* if seen */
    uint64_t own_ns;          /* user and system time when last read */
};

struct pw_tree {
    struct pw_proc *proc;
    struct pw_tree_process warden;
    int root_fds_fd; /* the worker's /proc/PID/fd, kept, or -1 */
    struct pw_tree_process *processes;
    size_t count, capacity;
    uint32_t *slots;   /* hash table by pid: index into `processes` plus 1, 0 for free */
    size_t slot_count; /* a power of two */
    bool denied;       /* something was there, but not ours to read */
    uint64_t seen, missed, skipped;
    uint64_t warden_ns, root_ns, followed_ns, tree_ns; /* CPU time */
};

#endif
