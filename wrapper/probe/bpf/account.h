/*
 * Exact accounting of workers' process trees by eBPF: what sampling cannot see.
 *
 * Programs on tracepoints of the scheduler, of memory, block I/O and TCP follow only the trees of
 * the workers: a map of tracked threads, which fork extends and exit shrinks; all others cost one
 * lookup. Sums live in maps per worker; single events (process start and end) come over a ring
 * buffer. The programs (account.bpf.c) are compiled with clang, need nothing of the build machine's
 * kernel (only the fields that are used are declared, CO-RE), and are carried in the program.
 *
 * This header is shared by the programs and by user space: the part up to PW_ACCOUNT_USER is all
 * that the programs see.
 */
#ifndef PW_PROBE_BPF_ACCOUNT_H
#define PW_PROBE_BPF_ACCOUNT_H

enum {
    PW_ACCOUNT_WORKERS = 1024,
    PW_ACCOUNT_THREADS = 262144, /* tracked at once */
    PW_ACCOUNT_RING_BYTES = 4 << 20,
    PW_ACCOUNT_COMM = 16,
    PW_ACCOUNT_SLOTS = 32,   /* of a histogram: slot i counts [2^i, 2^(i+1)) us */
    PW_ACCOUNT_REMOTES = 64, /* TCP endpoints of one worker */
};

/* Why a thread that is not on a CPU waits. */
enum pw_account_wait {
    PW_WAIT_RUNQ,    /* it could run, and no CPU is free */
    PW_WAIT_IO,      /* uninterruptible, in I/O wait */
    PW_WAIT_LOCK,    /* futex, or uninterruptible without I/O */
    PW_WAIT_SLEEP,   /* nanosleep, timers */
    PW_WAIT_POLL,    /* select, poll, epoll */
    PW_WAIT_NETWORK, /* recv, accept, connect */
    PW_WAIT_CHILD,   /* wait4 and its kin */
    PW_WAIT_PIPE,
    PW_WAIT_OTHER,
    PW_WAIT_COUNT
};

/* One worker's sums. */
struct pw_account_sums {
    unsigned long long forks, execs, exits, threads; /* processes that were started, that executed,
                                                        that ended; threads started */
    unsigned long long live, peak_live;              /* processes */
    unsigned long long cpu_ns;
    unsigned long long wait_ns[PW_WAIT_COUNT];                   /* of all threads */
    unsigned long long root_wait_ns[PW_WAIT_COUNT], root_cpu_ns; /* of the worker's first thread */
    unsigned long long voluntary, involuntary;                   /* context switches */
    unsigned long long minor_faults, major_faults;
    unsigned long long rss_pages, peak_rss_pages; /* of the tree, by rss_stat */
    unsigned long long peak_rss_at_ns;            /* CLOCK_MONOTONIC */
    unsigned long long peak_process_pages;        /* largest of one process */
    unsigned int peak_process_pid;
    char peak_process_comm[PW_ACCOUNT_COMM];
    unsigned long long block_read_bytes, block_write_bytes, block_requests, block_ns;
    unsigned long long tcp_connects, tcp_connect_ns, tcp_sent, tcp_received, tcp_retransmits;
    unsigned int runq_slots[PW_ACCOUNT_SLOTS]; /* waits for a CPU, in us */
    unsigned long long untracked;              /* threads beyond PW_ACCOUNT_THREADS */
};

enum pw_account_event_kind {
    PW_ACCOUNT_PROCESS_START = 1,
    PW_ACCOUNT_PROCESS_EXEC,
    PW_ACCOUNT_PROCESS_END
};
struct pw_account_event {
    unsigned int kind, worker;
    unsigned int pid, ppid;
    int exit_code; /* as of wait(2) */
    unsigned int reserved;
    unsigned long long at_ns, peak_rss_pages, cpu_ns;
    char comm[PW_ACCOUNT_COMM];
};

#ifndef PW_ACCOUNT_IN_KERNEL /* user space */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "core/err.h"

struct pw_account;

/* What could be attached; each is optional by itself. */
struct pw_account_powers {
    bool tree, memory, waits, faults, block, tcp;
    char why_not[256]; /* the first refusal, "" if none */
};

/* Loads and attaches. PW_ERR_SYSTEM with the remedy if not even the tree can be followed (no BTF,
 * no privilege: CAP_BPF and CAP_PERFMON, or root; lockdown). Takes at most some 100 ms. */
int pw_account_open(struct pw_account **ret_account, struct pw_err *err);
void pw_account_close(struct pw_account *account); /* NULL is fine; nothing stays attached */
void pw_account_get_powers(const struct pw_account *account, struct pw_account_powers *ret_powers);
/* All that `warden_pid` starts from now on belongs to `worker`, whose sums begin at zero. */
int pw_account_watch(struct pw_account *account, unsigned worker, pid_t warden_pid,
                     struct pw_err *err);
/* Reads what has come over the ring buffer; fd for poll(2). */
int pw_account_fd(const struct pw_account *account);
void pw_account_drain(struct pw_account *account);
/* The worker's sums as they are now, and whether events were lost (then nothing is exact). */
int pw_account_take(struct pw_account *account, unsigned worker, struct pw_account_sums *ret_sums,
                    uint64_t *ret_lost, struct pw_err *err);
#endif

#endif
