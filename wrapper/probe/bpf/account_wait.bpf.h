/*
 * Why threads wait, and what that means for the wall clock of the tree.
 */
#ifndef PW_PROBE_BPF_ACCOUNT_WAIT_BPF_H
#define PW_PROBE_BPF_ACCOUNT_WAIT_BPF_H

/* The kernel's; none of them is in BTF. */
#define TASK_UNINTERRUPTIBLE 0x2
#define TASK_DEAD 0x80
#define S_IFMT 0170000
#define S_IFSOCK 0140000
#define S_IFIFO 0010000
#define SIGNAL_GROUP_EXIT 0x4

/* One thread in struct pw_slot_sums.states. */
#define STATE_ON_CPU 1ULL
#define STATE_RUNQ (1ULL << 21)
#define STATE_IO (1ULL << 42)
#define STATE_MASK ((1ULL << 21) - 1)

static __always_inline long state_of(struct task_struct *task)
{
    struct task_struct___old *old = (void *)task;
    if (bpf_core_field_exists(task->__state))
        return task->__state;
    return BPF_CORE_READ(old, state);
}

/* Slot i of the histogram counts [2^i, 2^(i+1)) microseconds. */
static __always_inline __u32 histogram_slot(__u64 ns)
{
    __u64 us = ns / 1000;
    __u32 slot = 0;
#pragma unroll
    for (int bits = 16; bits; bits /= 2) {
        if (us >> bits) {
            us >>= bits;
            slot += bits;
        }
    }
    return slot & (PW_BPF_HISTOGRAM - 1);
}

static __always_inline void begin_wall(struct pw_slot_sums *sums, __u64 now)
{
    sums->last_ns = now;
    sums->began_ns = now;
}

/* A thread leaves state `from` for `to` (0: neither on a CPU, runnable nor in I/O). The time since
 * the last such change belongs to the highest state that any thread was in. Because `last_ns` is
 * exchanged, the parts add up to the whole exactly, also if several CPUs come at once. What is only
 * found out later (see missed_in()) changes nothing before the last change. */
static __always_inline void move(struct pw_slot_sums *sums, __u64 from, __u64 to, __u32 reason,
                                 __u64 now)
{
    if (!have_fetch)
        return;
    __u64 before = __sync_fetch_and_add(&sums->states, to - from);
    if (sums->root_exit_ns)
        return;
    __u64 last = *(volatile __u64 *)&sums->last_ns;
    if ((__s64)(now - last) < 0)
        now = last;
    __u64 elapsed = now - __sync_lock_test_and_set(&sums->last_ns, now);
    if (before & STATE_MASK)
        add(&sums->wall_on_cpu_ns, elapsed);
    else if (before & STATE_MASK * STATE_RUNQ)
        add(&sums->wall_runq_ns, elapsed);
    else if (before & STATE_MASK * STATE_IO)
        add(&sums->wall_io_ns, elapsed);
    else if (reason < PW_BPF_WAITS)
        add(&sums->wall_blocked_ns[reason], elapsed);
}

static __always_inline void end_wall(struct pw_slot_sums *sums, __u64 now)
{
    move(sums, 0, 0, PW_BPF_WAIT_OTHER, now);
    sums->root_exit_ns = now;
}

/* What a descriptor of the running task is, for read and write. */
static __always_inline __u32 file_reason(struct task_struct *task, __u64 descriptor)
{
    struct fdtable *table = BPF_CORE_READ(task, files, fdt);
    struct file **files = BPF_CORE_READ(table, fd);
    struct file *file = NULL;

    if (descriptor >= BPF_CORE_READ(table, max_fds) ||
        bpf_probe_read_kernel(&file, sizeof file, files + descriptor) || !file)
        return PW_BPF_WAIT_OTHER;
    unsigned short kind = BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT;
    if (kind == S_IFSOCK)
        return PW_BPF_WAIT_NETWORK;
    return kind == S_IFIFO ? PW_BPF_WAIT_PIPE : PW_BPF_WAIT_OTHER;
}

/* By the system call that the running task is in, if it is in one. */
static __always_inline __u32 call_reason(struct task_struct *task)
{
    if (!have_reasons)
        return PW_BPF_WAIT_OTHER;
    struct pt_regs___kernel *regs = (void *)bpf_task_pt_regs(bpf_get_current_task_btf());
#if defined(__TARGET_ARCH_arm64)
    __s64 number = BPF_CORE_READ(regs, syscallno);
    __u64 first = BPF_CORE_READ(regs, regs[0]);
#else
    __s64 number = BPF_CORE_READ(regs, orig_ax);
    __u64 first = BPF_CORE_READ(regs, di);
#endif
    if (number < 0 || number >= PW_BPF_SYSCALLS_MAX)
        return PW_BPF_WAIT_OTHER;
    __u32 reason = wait_of_syscall[number & (PW_BPF_SYSCALLS_MAX - 1)];
    return reason == PW_BPF_WAIT_FILE ? file_reason(task, first & 0xffffffff) : reason;
}

static __always_inline __u32 wait_reason(struct task_struct *task, long state)
{
    if (BPF_CORE_READ_BITFIELD(task, in_iowait))
        return PW_BPF_WAIT_IO;
    __u32 reason = call_reason(task);
    if (state & TASK_UNINTERRUPTIBLE && reason != PW_BPF_WAIT_CHILD && reason != PW_BPF_WAIT_IO)
        return PW_BPF_WAIT_LOCK;
    return reason;
}

#endif
