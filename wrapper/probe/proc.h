/*
 * The mounted /proc as wrapper/probe/tree.c uses it: opening files below it, descriptors that are
 * kept within a bound, the CPU clocks of its processes, and the parent of every process where the
 * kernel does not list children. For wrapper/probe alone; its life cycle, pw_proc_open() and
 * pw_proc_close(), is in wrapper/probe/tree.h.
 *
 * Threads: one at a time.
 */
#ifndef PW_PROBE_PROC_H
#define PW_PROBE_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "core/value.h"
#include "wrapper/probe/proc_file.h"
#include "wrapper/probe/tree.h"

enum pw_proc_source { PW_PROC_CHILDREN, PW_PROC_SCAN, PW_PROC_NONE };

struct pw_proc {
    int root_fd;
    enum pw_proc_source source;
    enum pw_absence absence;   /* why it is PW_PROC_NONE */
    bool is_real;              /* not a fake tree */
    bool has_clocks;           /* its pids are those of our own namespace, and of CPU clocks */
    bool has_rollup;           /* smaps_rollup (Linux 4.14) */
    unsigned kept, kept_limit; /* descriptors */
    int64_t clock_tick_ns;     /* a CPU clock may be behind by as much; 1 without clocks */
    int64_t ns_per_tick;
    uint64_t page_bytes;
    struct pw_proc_link {
        pid_t parent, child;
    } * links; /* PW_PROC_SCAN: of all processes, sorted by parent */
    size_t link_count, link_capacity;
};

/* Opens a file below the root of /proc, close-on-exec. *ret_fd is the caller's to close. */
__attribute__((format(printf, 4, 5))) enum pw_proc_outcome pw_proc_open_file(
    const struct pw_proc *proc, int flags, int *ret_fd, const char *path, ...);

/* A descriptor to use for a while: one that is kept for the next time, or a fresh one. */
struct pw_proc_borrowed {
    int fd;
    bool is_kept;
};
#define PW_PROC_BORROWED_AUTO __attribute__((cleanup(pw_proc_give_back))) struct pw_proc_borrowed
/* Uses *kept if it is >= 0. Else opens the file, and keeps the descriptor in *kept if there is
 * room. Give it back in any case, after a failure too; *kept need not exist any more then. */
__attribute__((format(printf, 5, 6))) enum pw_proc_outcome pw_proc_borrow(
    struct pw_proc *proc, int *kept, int flags, struct pw_proc_borrowed *ret_borrowed,
    const char *path, ...);
void pw_proc_give_back(struct pw_proc_borrowed *borrowed);
/* Closes a kept descriptor; does nothing for -1. */
void pw_proc_keep_no_more(struct pw_proc *proc, int *kept);

/* The CPU time that the process has used, in ns: of all its threads, ended ones too, also of a
 * zombie, whosever it is. Of a thread that is running, what it has used since the kernel's last
 * tick may be missing. *clock is kept for the next time; 0 if there was none. False if it has no
 * clock or is gone. Only the caller can tell whether the pid was given again. */
bool pw_proc_clock_read(const struct pw_proc *proc, pid_t pid, clockid_t *clock,
                        uint64_t *ret_cpu_ns);

/* Reads the parent of every process anew. */
void pw_proc_scan(struct pw_proc *proc);
/* Calls `visit` for each process whose parent was `parent` in the last scan. */
void pw_proc_scanned_children(const struct pw_proc *proc, pid_t parent,
                              void (*visit)(void *context, pid_t pid), void *context);

#endif
