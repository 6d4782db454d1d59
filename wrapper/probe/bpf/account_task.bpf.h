/*
 * The tree: which threads belong to a worker, and what the scheduler does with them.
 *
 * A worker's warden is known by its number; what it forks is the root of a tree, what a tracked
 * thread forks is tracked. The fork tracepoint comes before the child can run, so nothing escapes.
 * A thread is tracked until it is switched out for the last time, when its counts are final.
 */
#ifndef PW_PROBE_BPF_ACCOUNT_TASK_BPF_H
#define PW_PROBE_BPF_ACCOUNT_TASK_BPF_H

#include "wrapper/probe/bpf/account_abi.h"
#include "wrapper/probe/bpf/account_types.bpf.h"

/* Set before loading. */
const volatile unsigned int own_pid_namespace = 0; /* inode number */
const volatile bool have_fetch = false;            /* atomic operations that tell what was there */
const volatile bool have_reasons = false;
const volatile unsigned int missed_comings = 0, missed_leavings = 0; /* struct pw_account_knobs */
const volatile unsigned long ring_bytes = 1 << 20;
/* Why a thread waits in a system call: enum pw_bpf_wait. */
const volatile unsigned char wait_of_syscall[PW_BPF_SYSCALLS_MAX] = {};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1); /* set before loading, as of the next two */
    __type(key, __u64);
    __type(value, struct pw_thread_entry);
} threads SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1);
    __type(key, __u64);
    __type(value, struct pw_process_entry);
} processes SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct pw_slot_sums);
} slots SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, PW_BPF_SLOTS_MAX);
    __type(key, __u32); /* pid as perfwrap numbers it */
    __type(value, __u32);
} wardens SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 1 << 20);
} ring SEC(".maps");

static __always_inline struct pw_thread_entry *tracked(struct task_struct *task)
{
    __u64 key = (__u64)task;
    return bpf_map_lookup_elem(&threads, &key);
}

static __always_inline struct pw_thread_entry *tracked_current(void)
{
    __u64 key = bpf_get_current_task();
    return bpf_map_lookup_elem(&threads, &key);
}

static __always_inline struct pw_slot_sums *sums_of(__u32 slot)
{
    return bpf_map_lookup_elem(&slots, &slot);
}

static __always_inline struct pw_process_entry *process_of(__u64 key)
{
    return bpf_map_lookup_elem(&processes, &key);
}

static __always_inline void add(__u64 *sum, __u64 value)
{
    __sync_fetch_and_add(sum, value);
}

/* The sum after adding; on kernels without such operations (before 5.12) what others did at the
 * same moment may be in it. */
static __always_inline __u64 add_and_get(__u64 *sum, __u64 value)
{
    if (have_fetch)
        return __sync_fetch_and_add(sum, value) + value;
    /* Written out, because the compiler would make one operation of both. */
    asm volatile("lock *(u64 *)(%0 + 0) += %1" : : "r"(sum), "r"(value) : "memory");
    return *(volatile __u64 *)sum;
}

/* Races of two CPUs for a new maximum are settled by trying again. */
static __always_inline void raise_to(__u64 *maximum, __u64 value)
{
    for (int i = 0; i < 4; i++) {
        __u64 seen = *(volatile __u64 *)maximum;
        if (value <= seen)
            return;
        if (!have_fetch) {
            *(volatile __u64 *)maximum = value;
            return;
        }
        if (__sync_val_compare_and_swap(maximum, seen, value) == seen)
            return;
    }
}

#include "wrapper/probe/bpf/account_memory.bpf.h"
#include "wrapper/probe/bpf/account_wait.bpf.h"

/* The number of `pid` at a level of pid namespaces; 0 if it has none there. The array is as long
 * as the pid is deep, which its type does not tell. */
static __always_inline int number_at(struct pid *pid, __u32 level, unsigned int *ret_namespace)
{
    struct pid_namespace *namespace;
    unsigned int inum = 0;
    int nr = 0;
    __u64 address = 0;

    if (level > BPF_CORE_READ(pid, level))
        return 0;
    /* As a number: kernels before 6.3 add no variable to a pointer whose type they know. */
    bpf_probe_read_kernel(&address, sizeof address, &pid);
    address += bpf_core_field_offset(struct pid, numbers);
    const char *place = (const char *)(address + (__u64)level * bpf_core_type_size(struct upid));
    bpf_probe_read_kernel(&nr, sizeof nr, place + bpf_core_field_offset(struct upid, nr));
    if (ret_namespace) {
        bpf_probe_read_kernel(&namespace, sizeof namespace,
                              place + bpf_core_field_offset(struct upid, ns));
        bpf_core_read(&inum, sizeof inum, &namespace->ns.inum);
        *ret_namespace = inum;
    }
    return nr;
}

/* As numbers: see joined_pages() for why. */
static __always_inline __u64 signal_of(struct task_struct *task)
{
    return (__u64)BPF_CORE_READ(task, signal);
}

static __always_inline unsigned long mm_of(struct task_struct *task)
{
    return (unsigned long)BPF_CORE_READ(task, mm);
}

/* The slot of which `task` is the warden, or NULL. */
static __always_inline struct pw_slot_sums *warden_slot(struct task_struct *task, __u32 *ret_slot)
{
    struct pid *pid = BPF_CORE_READ(task, thread_pid);
    __u32 level = BPF_CORE_READ(pid, level);
    unsigned int namespace = 0;
    __u32 number = number_at(pid, level, &namespace);
    if (!number || namespace != own_pid_namespace)
        return NULL;
    __u32 *slot = bpf_map_lookup_elem(&wardens, &number);
    if (!slot)
        return NULL;
    struct pw_slot_sums *sums = sums_of(*slot);
    if (!sums || !sums->used)
        return NULL;
    sums->level = level;
    *ret_slot = *slot;
    return sums;
}

static __always_inline bool add_process(struct pw_slot_sums *sums, __u32 slot,
                                        struct task_struct *parent, struct task_struct *child,
                                        bool root, __u64 now)
{
    struct pw_process_entry entry = {.slot = slot, .threads = 1, .alive = 1, .present = 1};
    entry.started_ns = now;
    entry.pid = number_at(BPF_CORE_READ(child, thread_pid), sums->level, NULL);
    bpf_core_read(entry.comm, sizeof entry.comm, &child->comm);
    if (root) {
        entry.ppid = sums->warden_pid;
        entry.flags = PW_PROCESS_ROOT;
        sums->root_pid = entry.pid;
    } else {
        struct pw_process_entry *forker = process_of(signal_of(parent));
        if (forker) {
            entry.ppid = forker->pid;
            entry.flags = forker->flags & PW_PROCESS_ROOT ? PW_PROCESS_CHILD : 0;
        }
    }
    entry.mm = use_mm(sums, slot, mm_of(child));
    __u64 key = signal_of(child);
    if (bpf_map_update_elem(&processes, &key, &entry, BPF_ANY)) {
        leave_mm(sums, entry.mm, 0, NULL);
        return false;
    }
    add(&sums->processes, 1);
    raise_to(&sums->peak_processes, add_and_get(&sums->live, 1));
    if (entry.flags & PW_PROCESS_CHILD)
        raise_to(&sums->peak_children, add_and_get(&sums->children, 1));
    return true;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(pw_fork, struct task_struct *parent, struct task_struct *child)
{
    struct pw_thread_entry *forker = tracked(parent);
    struct pw_slot_sums *sums;
    __u32 slot = 0;
    __u64 process_key = signal_of(child);
    bool thread = process_key == signal_of(parent);

    if (forker) {
        slot = forker->slot;
        sums = sums_of(slot);
    } else {
        if (thread)
            return 0;
        sums = warden_slot(parent, &slot);
    }
    if (!sums || !sums->used)
        return 0;

    __u64 now = bpf_ktime_get_ns();
    struct pw_thread_entry entry = {.slot = slot, .state = PW_THREAD_RUNQ, .since_ns = now};
    __u64 key = (__u64)child;
    entry.process = process_key;
    entry.leader = !thread;
    struct pw_process_entry *process = NULL;
    if (thread) {
        process = process_of(entry.process);
        if (!process) {
            add(&sums->untracked, 1);
            return 0;
        }
    }
    if (bpf_map_update_elem(&threads, &key, &entry, BPF_ANY)) {
        add(&sums->untracked, 1);
        return 0;
    }
    if (process) {
        add(&sums->threads, 1);
        __sync_fetch_and_add(&process->threads, 1);
        add(&process->alive, 1);
        add(&process->present, 1);
    } else if (!add_process(sums, slot, parent, child, !forker && !sums->began_ns, now)) {
        bpf_map_delete_elem(&threads, &key);
        add(&sums->untracked, 1);
        return 0;
    }
    add(&sums->present, 1);
    if (!sums->began_ns)
        begin_wall(sums, now);
    move(sums, 0, STATE_RUNQ, PW_BPF_WAIT_OTHER, now);
    return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(pw_exec, struct task_struct *task)
{
    struct pw_thread_entry *entry = tracked(task);
    if (!entry)
        return 0;
    /* A thread that was not the first has taken that one's place. */
    entry->leader = 1;
    struct pw_process_entry *process = process_of(entry->process);
    struct pw_slot_sums *sums = sums_of(entry->slot);
    if (!process || !sums)
        return 0;
    add(&sums->execs, 1);
    bpf_core_read(process->comm, sizeof process->comm, &task->comm);
    unsigned long mm = mm_of(task);
    if (process->mm != mm) {
        leave_mm(sums, process->mm, 0, process);
        process->mm = use_mm(sums, entry->slot, mm);
    }
    return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(pw_exit, struct task_struct *task)
{
    struct pw_thread_entry *entry = tracked(task);
    if (!entry)
        return 0;
    struct pw_process_entry *process = process_of(entry->process);
    struct pw_slot_sums *sums = sums_of(entry->slot);
    if (!process || !sums)
        return 0;
    if (entry->leader) {
        process->status = task->exit_code;
        bpf_core_read(process->comm, sizeof process->comm, &task->comm);
    }
    if (add_and_get(&process->alive, -1ULL) != 0)
        return 0;

    /* The last thread: what the process was for others ends here, before any can see it ended. */
    __u64 now = bpf_ktime_get_ns();
    struct signal_struct *signal = (void *)signal_of(task);
    process->ended_ns = now;
    if (BPF_CORE_READ(signal, flags) & SIGNAL_GROUP_EXIT)
        process->status = BPF_CORE_READ(signal, group_exit_code);
    /* Since 6.16 this comes before the address space is left, else after; the kernel has noted its
     * highest by then. */
    unsigned long mm = mm_of(task), highest = BPF_CORE_READ(signal, maxrss);
    leave_mm(sums, process->mm, mm, process);
    process->mm = 0;
    if (!mm && highest > process->peak_pages)
        process->peak_pages = highest;
    add(&sums->live, -1ULL);
    if (process->flags & PW_PROCESS_CHILD)
        add(&sums->children, -1ULL);
    if (process->flags & PW_PROCESS_ROOT)
        end_wall(sums, now);
    return 0;
}

static __always_inline void tell_end(struct pw_slot_sums *sums, struct pw_process_entry *process)
{
    struct pw_process_event *event = bpf_ringbuf_reserve(&ring, sizeof *event, 0);
    if (!event) {
        add(&sums->lost, 1);
        return;
    }
    event->slot = process->slot;
    event->pid = process->pid;
    event->ppid = process->ppid;
    event->status = process->status;
    event->threads = process->threads;
    event->flags = process->flags;
    event->started_ns = process->started_ns;
    event->ended_ns = process->ended_ns;
    event->cpu_ns = process->cpu_ns;
    event->peak_pages = process->peak_pages;
    event->snap_seq = process->snap_seq;
    event->snap_pages = process->snap_pages;
    __builtin_memcpy(event->comm, process->comm, sizeof event->comm);
    bool much = bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) > ring_bytes / 4;
    bpf_ringbuf_submit(event, much ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP);
}

/* The kernel's own counts, as they stand when the thread leaves the CPU. */
static __always_inline void read_counts(struct task_struct *task, struct pw_task_counts *counts)
{
    counts->cpu_ns = task->se.sum_exec_runtime;
    counts->voluntary = task->nvcsw;
    counts->involuntary = task->nivcsw;
    counts->minor_faults = task->min_flt;
    counts->major_faults = task->maj_flt;
    counts->read_chars = task->ioac.rchar;
    counts->written_chars = task->ioac.wchar;
    counts->read_bytes = task->ioac.read_bytes;
    counts->written_bytes = task->ioac.write_bytes;
}

/* The thread's last switch-out. */
static __always_inline void thread_gone(struct pw_slot_sums *sums, struct pw_thread_entry *entry,
                                        __u64 key)
{
    /* A thread other than the first has been added to its process's sums before this switch, which
     * therefore no rusage counts. */
    if (!entry->leader)
        entry->counts.voluntary--;
    add(&sums->present, -1ULL);
    __u64 *sum = (__u64 *)&sums->counts;
    const __u64 *own = (const __u64 *)&entry->counts;
#pragma unroll
    for (int i = 0; i < PW_TASK_COUNTS; i++)
        add(&sum[i], own[i]);
    __u64 process_key = entry->process;
    struct pw_process_entry *process = process_of(process_key);
    if (process) {
        add(&process->cpu_ns, entry->counts.cpu_ns);
        if (add_and_get(&process->present, -1ULL) == 0) {
            tell_end(sums, process);
            bpf_map_delete_elem(&processes, &process_key);
        }
    }
    bpf_map_delete_elem(&threads, &key);
}

/* A blocked thread may run again. */
static __always_inline void unblock(struct pw_slot_sums *sums, struct pw_thread_entry *entry,
                                    __u64 now)
{
    __u32 reason = entry->reason;
    if (reason < PW_BPF_WAITS)
        add(&sums->wait_ns[reason], now - entry->since_ns);
    move(sums, reason == PW_BPF_WAIT_IO ? STATE_IO : 0, STATE_RUNQ, reason, now);
    entry->state = PW_THREAD_RUNQ;
    entry->since_ns = now;
}

static __always_inline void switch_in(struct pw_slot_sums *sums, struct pw_thread_entry *entry,
                                      __u64 now)
{
    if (entry->state == PW_THREAD_BLOCKED)
        unblock(sums, entry, now);
    if (entry->state == PW_THREAD_RUNQ) {
        __u64 wait = now - entry->since_ns;
        add(&sums->wait_ns[PW_BPF_WAIT_RUNQ], wait);
        add(&sums->runq_slots[histogram_slot(wait)], 1);
        raise_to(&sums->longest_runq_ns, wait);
        move(sums, STATE_RUNQ, STATE_ON_CPU, PW_BPF_WAIT_OTHER, now);
    }
    entry->state = PW_THREAD_ON_CPU;
    entry->since_ns = now;
}

/*
 * A kernel may leave out single calls of the tracepoint (seen on 6.18: of every thousand switches
 * one, counted by nobody). The scheduler's own count of the thread's time on CPUs then says when
 * what was missed happened: how long it has run since its last switch-out that was seen.
 */
static __always_inline __u64 ran_unseen(struct pw_slot_sums *sums, struct task_struct *task,
                                        struct pw_thread_entry *entry, __u64 now)
{
    __u64 ran = task->se.sum_exec_runtime - entry->counts.cpu_ns, elapsed = now - entry->since_ns;
    add(&sums->untraced, 1);
    return ran < elapsed ? ran : elapsed;
}

/* It seems not to run, and leaves a CPU. */
static __always_inline void missed_in(struct pw_slot_sums *sums, struct task_struct *task,
                                      struct pw_thread_entry *entry, __u64 now)
{
    switch_in(sums, entry, now - ran_unseen(sums, task, entry, now));
}

/* It seems to run, and comes to a CPU. What it waited for is not known: taken to be a CPU. */
static __always_inline void missed_out(struct pw_slot_sums *sums, struct task_struct *task,
                                       struct pw_thread_entry *entry, __u64 now)
{
    __u64 out = entry->since_ns + ran_unseen(sums, task, entry, now);
    move(sums, STATE_ON_CPU, STATE_RUNQ, PW_BPF_WAIT_OTHER, out);
    entry->state = PW_THREAD_RUNQ;
    entry->since_ns = out;
    entry->counts.cpu_ns = task->se.sum_exec_runtime;
}

static __always_inline void switch_out(struct pw_slot_sums *sums, bool preempt,
                                       struct task_struct *task, struct pw_thread_entry *entry,
                                       __u64 now)
{
    long state = state_of(task);
    read_counts(task, &entry->counts);
    if (state & TASK_DEAD) {
        move(sums, STATE_ON_CPU, 0, PW_BPF_WAIT_OTHER, now);
        thread_gone(sums, entry, (__u64)task);
        return;
    }
    entry->since_ns = now;
    if (preempt || !state) {
        entry->state = PW_THREAD_RUNQ;
        move(sums, STATE_ON_CPU, STATE_RUNQ, PW_BPF_WAIT_OTHER, now);
        return;
    }
    __u32 reason = wait_reason(task, state);
    entry->state = PW_THREAD_BLOCKED;
    entry->reason = reason;
    move(sums, STATE_ON_CPU, reason == PW_BPF_WAIT_IO ? STATE_IO : 0, PW_BPF_WAIT_OTHER, now);
}

static __always_inline void comes(struct task_struct *task)
{
    static __u64 count;
    struct pw_thread_entry *entry = tracked(task);
    struct pw_slot_sums *sums = entry ? sums_of(entry->slot) : NULL;
    if (!sums || (missed_comings && ++count % missed_comings == 0))
        return;
    __u64 now = bpf_ktime_get_ns();
    if (entry->state == PW_THREAD_ON_CPU)
        missed_out(sums, task, entry, now);
    switch_in(sums, entry, now);
}

static __always_inline void leaves(bool preempt, struct task_struct *task)
{
    static __u64 count;
    struct pw_thread_entry *entry = tracked(task);
    struct pw_slot_sums *sums = entry ? sums_of(entry->slot) : NULL;
    if (!sums || (missed_leavings && ++count % missed_leavings == 0))
        return;
    __u64 now = bpf_ktime_get_ns();
    if (entry->state != PW_THREAD_ON_CPU)
        missed_in(sums, task, entry, now);
    switch_out(sums, preempt, task, entry, now);
}

SEC("tp_btf/sched_switch")
int BPF_PROG(pw_switch, bool preempt, struct task_struct *prev, struct task_struct *next)
{
    if (next->pid)
        comes(next);
    if (prev->pid)
        leaves(preempt, prev);
    return 0;
}

SEC("tp_btf/sched_wakeup")
int BPF_PROG(pw_wakeup, struct task_struct *task)
{
    struct pw_thread_entry *entry = tracked(task);
    if (!entry || entry->state != PW_THREAD_BLOCKED)
        return 0;
    struct pw_slot_sums *sums = sums_of(entry->slot);
    if (sums)
        unblock(sums, entry, bpf_ktime_get_ns());
    return 0;
}

#endif
