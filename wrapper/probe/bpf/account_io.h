/*
 * The I/O half of the accounting by eBPF, user space's side: block requests, TCP connections and
 * system calls. What each of them counts, and what it cannot see, is told at the head of
 * account_block.bpf.h, account_tcp.bpf.h and account_syscall.bpf.h.
 *
 * All of it is optional, each part on its own: a part is left out, and its power false, where the
 * kernel's BTF has no tracepoint of the expected form (built without CONFIG_BLOCK or CONFIG_INET,
 * or changed by a later version), system calls also unless asked for. Life: prepare before the
 * object is loaded, find after; then take and forget each worker's slot. Owns nothing: the maps are
 * the object's. Threads: one at a time.
 */
#ifndef PW_PROBE_BPF_ACCOUNT_IO_H
#define PW_PROBE_BPF_ACCOUNT_IO_H

#include <stdbool.h>
#include "core/err.h"
#include "core/kernel_account.h"
#include "core/str.h"

struct bpf_object;
struct btf;

struct pw_account_io { /* file descriptors of maps */
    int sums, bios, sockets, remotes, syscalls;
};

/* Before the object is loaded: sizes the maps for `slots` workers and leaves out what `kernel`, the
 * running one's BTF, has no tracepoint for. Sets `block`, `tcp` and `syscalls` of the powers; adds
 * a sentence to `why_not` for each that is missing though wanted. */
int pw_account_io_prepare(struct bpf_object *object, const struct btf *kernel, unsigned slots,
                          bool syscalls, struct pw_kernel_powers *powers, struct pw_str *why_not,
                          struct pw_err *err);
/* Leaves all of it out, for an object that the kernel did not load with it. */
void pw_account_io_leave_out(struct bpf_object *object, struct pw_kernel_powers *powers);
int pw_account_io_find(const struct bpf_object *object, struct pw_account_io *ret_io,
                       struct pw_err *err);

/* Sets the block, TCP and system call members of `ret`, and the lists of remotes and of slowest
 * calls, which must be empty; adds to `lost`. Members of powers that are missing are left alone:
 * set `ret->powers` before. */
int pw_account_io_take(const struct pw_account_io *io, unsigned slot, struct pw_kernel_account *ret,
                       struct pw_err *err);
/* Everything of the slot is zero again, and what it has under way belongs to nobody. When none of
 * its threads is tracked any more. */
void pw_account_io_forget(const struct pw_account_io *io, unsigned slot);

#endif
