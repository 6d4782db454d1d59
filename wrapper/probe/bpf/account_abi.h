/*
 * What the accounting programs and account*.c share: values of maps and the ring buffer's events.
 * Included by both, so it names types that both have. All counts of a slot are zero when its
 * watching begins; times are of bpf_ktime_get_ns(), which is CLOCK_MONOTONIC.
 */
#ifndef PW_PROBE_BPF_ACCOUNT_ABI_H
#define PW_PROBE_BPF_ACCOUNT_ABI_H

#include <linux/types.h>

enum {
    PW_BPF_COMM = 16,
    PW_BPF_SLOTS_MAX = 1024,  /* workers at once */
    PW_BPF_HISTOGRAM = 32,    /* PW_KERNEL_SLOTS */
    PW_BPF_WAITS = 9,         /* PW_WAIT_COUNT; the same numbers */
    PW_BPF_MEMBERS = 4,       /* of an mm's RSS: file, anon, swap, shmem */
    PW_BPF_SYSCALLS_MAX = 512 /* numbers above are not told apart */
};

enum pw_bpf_wait { /* enum pw_wait of core/kernel_account.h */
                   PW_BPF_WAIT_RUNQ,
                   PW_BPF_WAIT_IO,
                   PW_BPF_WAIT_LOCK,
                   PW_BPF_WAIT_SLEEP,
                   PW_BPF_WAIT_POLL,
                   PW_BPF_WAIT_NETWORK,
                   PW_BPF_WAIT_CHILD,
                   PW_BPF_WAIT_PIPE,
                   PW_BPF_WAIT_OTHER,
                   PW_BPF_WAIT_FILE /* of a system call's table only: look at what the descriptor is
                                     */
};

enum pw_thread_state { PW_THREAD_ON_CPU, PW_THREAD_RUNQ, PW_THREAD_BLOCKED };

/* The kernel's own counts of threads: sums are made of all alike. */
struct pw_task_counts {
    __u64 cpu_ns, voluntary, involuntary;
    __u64 minor_faults, major_faults;
    __u64 read_chars, written_chars, read_bytes, written_bytes;
};
enum { PW_TASK_COUNTS = sizeof(struct pw_task_counts) / sizeof(__u64) };

/* One thread, by the address of its task_struct: unlike its number, that does not change when a
 * thread other than the first executes a program, and is not used again before it is gone. */
struct pw_thread_entry {
    __u32 slot;
    __u32 state;  /* enum pw_thread_state, since `since_ns` */
    __u32 reason; /* enum pw_bpf_wait, while blocked */
    __u32 leader;
    __u64 since_ns;
    __u64 process;                /* key of its struct pw_process_entry */
    struct pw_task_counts counts; /* as of its last switch-out */
    /* The system call that it is in, if those are timed: account_syscall.bpf.h. */
    __u64 syscall_at_ns;
    __s32 syscall;
    __u32 zero;
};

/* One process, by the address of its signal_struct, for the same reasons. */
struct pw_process_entry {
    __u32 slot;
    __s32 pid, ppid; /* as perfwrap's pid namespace numbers them */
    __s32 status;    /* its first thread's, once that has ended */
    __u32 flags;     /* PW_PROCESS_* */
    __u32 threads;   /* that it ever had */
    __u64 alive;     /* threads before their exit */
    __u64 present;   /* threads before their last switch-out */
    __u64 started_ns, ended_ns;
    __u64 cpu_ns;
    __u64 mm;         /* key of its struct pw_mm_entry; 0: none */
    __u64 peak_pages; /* of the address spaces that it had before */
    __u64 snap_seq;   /* the peak of the tree to which the next belongs, by those before */
    __u64 snap_pages;
    char comm[PW_BPF_COMM];
};
enum { PW_PROCESS_ROOT = 1, PW_PROCESS_CHILD = 2 /* forked by the root */ };

/* An address space, by the address of its mm_struct. */
struct pw_mm_entry {
    __u32 slot;
    __u32 events;     /* modulo 64; kernels before 6.2 */
    __u64 users;      /* processes */
    __u64 generation; /* it was tracked in */
    __s64 pages[PW_BPF_MEMBERS];
    __s64 total; /* of them, without swap */
    __u64 peak_pages;
    __u64 snap_seq; /* the peak of the tree to which the next belongs */
    __u64 snap_pages;
};

struct pw_slot_sums {
    __u32 used; /* it is watched */
    __s32 warden_pid;
    __u32 level; /* of perfwrap's pid namespace */
    __u32 root_pid;
    __u64 lost, untracked;
    __u64 untraced;               /* switches that the program was not called for: ran_unseen() */
    __u64 began_ns, root_exit_ns; /* 0: not yet */

    __u64 processes, threads, execs;
    __u64 present;        /* threads of which there is an entry */
    __u64 live, children; /* processes just then */
    __u64 peak_processes, peak_children;
    struct pw_task_counts counts; /* of threads that have ended */
    __u64 wait_ns[PW_BPF_WAITS];
    __u64 runq_slots[PW_BPF_HISTOGRAM];
    __u64 longest_runq_ns;

    /* The wall: how many threads are on a CPU, could be, wait for I/O, 21 bits each. */
    __u64 states;
    __u64 last_ns; /* until when the time is attributed */
    __u64 wall_on_cpu_ns, wall_runq_ns, wall_io_ns;
    __u64 wall_blocked_ns[PW_BPF_WAITS];

    __s64 rss_pages;
    __u64 peak_rss_pages, peak_rss_at_ns;
    __u64 peak_seq; /* counts the peaks, from 1 */
};

struct pw_process_event { /* of the ring buffer: a process has ended */
    __u32 slot;
    __s32 pid, ppid;
    __s32 status;
    __u32 threads;
    __u32 flags;
    __u64 started_ns, ended_ns, cpu_ns;
    __u64 peak_pages, snap_seq, snap_pages;
    char comm[PW_BPF_COMM];
};

#endif
