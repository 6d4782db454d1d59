/*
 * Exact accounting of workers' process trees by eBPF: what sampling cannot see.
 *
 * Programs on raw, BTF-typed tracepoints of the scheduler, of memory, block I/O and TCP follow only
 * the trees of the workers: a map of tracked threads, which fork extends and exit shrinks; all
 * others cost one lookup. Sums live in maps, one entry a worker; each process that ends is told
 * over a ring buffer. The programs (account.bpf.c and account_*.bpf.h) are compiled with clang,
 * need nothing of the build machine's kernel (only the fields that are used are declared, CO-RE),
 * and are carried inside perfwrap as a skeleton. Nothing is pinned: when the process goes, however
 * it does, the kernel detaches and frees all.
 *
 * Needs: Linux 5.8, BTF (/sys/kernel/btf/vmlinux), CAP_BPF and CAP_PERFMON or root. Sources:
 * bpf(2), Documentation/bpf. Threads: one at a time.
 */
#ifndef PW_PROBE_BPF_ACCOUNT_H
#define PW_PROBE_BPF_ACCOUNT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "core/err.h"
#include "core/kernel_account.h"

struct pw_account;

struct pw_account_options {
    unsigned slots; /* workers at once */
    bool syscalls;  /* also count and time system calls: costs each call of the whole machine */
};

/*
 * Loads and attaches. Programs whose tracepoint or fields this kernel does not have are left out;
 * see pw_account_powers(). PW_ERR_SYSTEM with the remedy if not even the tree can be followed: no
 * BTF, no privilege, locked down, built without (PW_BPF=OFF), memory limit. Some 100 ms at most.
 */
int pw_account_open(const struct pw_account_options *options, struct pw_account **ret_account,
                    struct pw_err *err);
void pw_account_close(struct pw_account *account); /* NULL is fine; nothing stays attached */
const struct pw_kernel_powers *pw_account_powers(const struct pw_account *account);
/* Why some of the powers are missing, "" if none is. */
const char *pw_account_why_not(const struct pw_account *account);

/* All that `warden_pid` (as this process's pid namespace numbers it) starts from now on belongs to
 * `slot`, whose sums begin at zero. Before its target starts. */
int pw_account_watch(struct pw_account *account, unsigned slot, pid_t warden_pid,
                     struct pw_err *err);
/* Its last moment, if it is taken as of one before its end: the wall is kept as it is then. */
void pw_account_mark(struct pw_account *account, unsigned slot);
/* Readable when the ring buffer is a quarter full; for poll(2). */
int pw_account_fd(const struct pw_account *account);
void pw_account_drain(struct pw_account *account);
/* The slot's account; its watching ends, living processes are forgotten. The worker lasted from
 * `spawned_at_ns` to `ended_at_ns`, as perfwrap measured it: the wall's parts add up to that.
 * `ret` must be initialised. */
int pw_account_take(struct pw_account *account, unsigned slot, int64_t spawned_at_ns,
                    int64_t ended_at_ns, struct pw_kernel_account *ret, struct pw_err *err);

#endif
