/*
 * What the kernel itself has accounted for one worker's process tree, from its spawn to its end:
 * plain data, filled by wrapper/probe (eBPF), rendered here for worker_results[].kernel.
 *
 * Sums are over all threads of the tree. Times are nanoseconds, CLOCK_MONOTONIC; memory is bytes.
 * What a probe could not see is marked by its power, not by zero.
 *
 * Life: pw_kernel_account_init(), filled, pw_kernel_account_done(). Owns its lists. Threads: one at
 * a time.
 */
#ifndef PW_CORE_KERNEL_ACCOUNT_H
#define PW_CORE_KERNEL_ACCOUNT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "core/err.h"
#include "core/value.h"

/* Why a thread that could not go on waited. */
enum pw_wait {
    PW_WAIT_RUNQ,    /* it could have run: no CPU was free */
    PW_WAIT_IO,      /* uninterruptible and in I/O wait: disk, pages from it */
    PW_WAIT_LOCK,    /* futex; uninterruptible without I/O */
    PW_WAIT_SLEEP,   /* nanosleep and timers */
    PW_WAIT_POLL,    /* select, poll, epoll */
    PW_WAIT_NETWORK, /* sockets: recv, accept, connect, read of one */
    PW_WAIT_CHILD,   /* wait4 and its kin, vfork */
    PW_WAIT_PIPE,    /* read and write of a pipe */
    PW_WAIT_OTHER,   /* whatever else, stopped, frozen, and where the kernel does not tell */
    PW_WAIT_COUNT
};
const char *pw_wait_name(enum pw_wait wait); /* "runq", "io", "lock", ... constant */

enum { PW_KERNEL_COMM = 16, PW_KERNEL_SLOTS = 32, PW_KERNEL_ADDRESS = 46 };

struct pw_kernel_process {
    pid_t pid, ppid; /* as perfwrap's pid namespace numbers them; ppid: who forked it */
    char comm[PW_KERNEL_COMM];
    int64_t started_at_ns, ended_at_ns; /* ended 0: it still ran */
    int status;                         /* as of wait(2) */
    unsigned threads;                   /* that it ever had */
    int64_t cpu_ns;
    uint64_t peak_rss_bytes;
    uint64_t rss_at_tree_peak_bytes; /* its part of the tree's peak */
};

struct pw_kernel_remote { /* a TCP endpoint that the worker connected to */
    char address[PW_KERNEL_ADDRESS];
    uint16_t port;
    uint64_t connects, failed, pending; /* attempts: established, refused or timed out, neither yet
                                         */
    int64_t connect_ns, longest_connect_ns; /* sum and longest of the established */
    uint64_t sent_bytes, received_bytes, retransmits;
};

struct pw_kernel_syscall {
    int number;
    uint64_t count;
    int64_t total_ns, longest_ns;
};

/* Wall-clock decomposition: at each moment the tree is in the first of these states that holds for
 * any of its threads. The parts add up to the worker's duration. */
struct pw_kernel_wall {
    int64_t spawn_ns;                     /* from the spawn until the first thread exists */
    int64_t on_cpu_ns;                    /* at least one thread was on a CPU */
    int64_t runq_ns;                      /* none was, and one could have been */
    int64_t io_ns;                        /* else one waited for I/O */
    int64_t blocked_ns;                   /* all waited for something else: */
    int64_t blocked_by_ns[PW_WAIT_COUNT]; /* what the thread waited for that ended it; adds up to
                                             blocked_ns */
    int64_t exit_tail_ns; /* from the last thread's exit in the root process until it was seen */
};

struct pw_kernel_powers { /* what could be seen; the rest below is 0 and means nothing */
    bool tree, memory, waits, decomposition, reasons, faults, io, block, tcp, syscalls;
};

struct pw_kernel_account {
    struct pw_kernel_powers powers;
    uint64_t lost;      /* events that the kernel could not hand over: the lists are not whole */
    uint64_t untracked; /* threads beyond the limit: nothing of this is exact */
    uint64_t untraced;  /* switches that the kernel did not trace: their moments were worked out */

    uint64_t processes, threads, execs; /* started, the root included; threads: beyond the first of
                                           each process */
    uint64_t peak_processes, peak_children; /* alive at once; of these begun by the root */
    int64_t cpu_ns;
    uint64_t voluntary, involuntary; /* context switches */
    int64_t wait_ns[PW_WAIT_COUNT];
    uint64_t runq_slots[PW_KERNEL_SLOTS]; /* waits for a CPU: slot i counts [2^i, 2^(i+1)) us; slot
                                             0 also shorter ones */
    int64_t longest_runq_ns;
    struct pw_kernel_wall wall;
    uint64_t minor_faults, major_faults;

    uint64_t peak_rss_bytes; /* of the tree at one moment (shared pages count in each process) */
    int64_t peak_rss_at_ns;
    uint64_t peak_process_rss_bytes;
    pid_t peak_process_pid;
    char peak_process_comm[PW_KERNEL_COMM];

    uint64_t read_chars, written_chars, read_bytes, written_bytes; /* proc(5), /proc/PID/io */
    uint64_t block_read_bytes, block_written_bytes, block_requests;
    int64_t block_ns, longest_block_ns;

    uint64_t tcp_connects, tcp_failed, tcp_sent_bytes, tcp_received_bytes, tcp_retransmits;
    int64_t tcp_connect_ns, longest_tcp_connect_ns;
    uint64_t syscalls;

    struct pw_kernel_process *process_list; /* at most PW_LIMIT_KERNEL_PROCESSES, by start */
    size_t process_count;
    struct pw_kernel_remote *remotes; /* at most PW_LIMIT_KERNEL_REMOTES, most connects first */
    size_t remote_count;
    struct pw_kernel_syscall *slowest; /* by total time, at most PW_LIMIT_KERNEL_SYSCALLS */
    size_t slowest_count;
};

void pw_kernel_account_init(struct pw_kernel_account *account);
void pw_kernel_account_done(struct pw_kernel_account *account);

/* Sets the rows KERNEL_* of a worker's values: present where the power is there, else absent as not
 * supported. */
void pw_kernel_account_set_values(const struct pw_kernel_account *account, struct pw_value *values);
/* What is no single number: wall, waits, histogram, holders of the peak, processes, remotes,
 * syscalls. Times of processes count from `spawned_at_ns`. New reference; incomplete or NULL if it
 * sets *failed. */
json_t *pw_kernel_account_to_json(const struct pw_kernel_account *account, int64_t spawned_at_ns,
                                  bool *failed);

#endif
