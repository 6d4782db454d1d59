/*
 * System calls by their numbers: how many, how long. Loaded only when asked for, since from then on
 * each system call of the whole machine takes the kernel's slow way.
 *
 * A call counts when it is entered, its time when it comes back: exit, and whatever a kill ends,
 * has none. execve comes back, in the thread that is the first then. Numbers are those of the
 * machine's own calls; a 32-bit program's have another meaning and are counted beneath them.
 */
#ifndef PW_PROBE_BPF_ACCOUNT_SYSCALL_BPF_H
#define PW_PROBE_BPF_ACCOUNT_SYSCALL_BPF_H

#include "wrapper/probe/bpf/account_io.bpf.h"

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1); /* set before loading: times the slots, if loaded at all */
    __type(key, struct io_syscall_key);
    __type(value, struct io_syscall);
} io_syscalls SEC(".maps");

SEC("?tp_btf/sys_enter")
int BPF_PROG(pw_sys_enter, void *registers, long number)
{
    struct pw_thread_entry *thread = tracked_current();
    if (!thread)
        return 0;
    struct io_syscall_key key = {.slot = thread->slot, .number = number};
    if (number < 0 || number >= IO_SYSCALL_KINDS)
        key.number = IO_SYSCALL_OTHER;
    struct io_syscall *syscall = bpf_map_lookup_elem(&io_syscalls, &key);
    if (!syscall) {
        const struct io_syscall none = {};
        bpf_map_update_elem(&io_syscalls, &key, &none, BPF_NOEXIST);
        syscall = bpf_map_lookup_elem(&io_syscalls, &key);
    }
    if (!syscall) {
        struct io_sums *sums = io_sums_of(key.slot);
        if (sums)
            add(&sums->lost_syscalls, 1);
        return 0;
    }
    add(&syscall->count, 1);
    thread->syscall = key.number;
    thread->syscall_at_ns = bpf_ktime_get_ns();
    return 0;
}

SEC("?tp_btf/sys_exit")
int BPF_PROG(pw_sys_exit)
{
    struct pw_thread_entry *thread = tracked_current();
    if (!thread || !thread->syscall_at_ns)
        return 0; /* entered before it was tracked, as the fork that made it */
    struct io_syscall_key key = {.slot = thread->slot, .number = thread->syscall};
    __u64 took_ns = bpf_ktime_get_ns() - thread->syscall_at_ns;
    thread->syscall_at_ns = 0;
    struct io_syscall *syscall = bpf_map_lookup_elem(&io_syscalls, &key);
    if (!syscall)
        return 0;
    add(&syscall->total_ns, took_ns);
    raise_to(&syscall->longest_ns, took_ns);
    return 0;
}

#endif
