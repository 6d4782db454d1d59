/* Shared by account*.c only. */
#ifndef PW_PROBE_BPF_ACCOUNT_IMPL_H
#define PW_PROBE_BPF_ACCOUNT_IMPL_H

#include <bpf/libbpf.h>
#include "core/limits.h"
#include "wrapper/probe/bpf/account.h"
#include "wrapper/probe/bpf/account_abi.h"
#include "wrapper/probe/bpf/account_io.h"

struct pw_account_bpf__data; /* <account.skel.h>, generated of account.bpf.c */

enum { PW_ACCOUNT_WHY = 256, PW_ACCOUNT_FDS_MAX = 40 };

/* Programs that are loaded and attached: as long as the descriptors are open. */
enum pw_account_map {
    PW_ACCOUNT_THREADS,
    PW_ACCOUNT_PROCESSES,
    PW_ACCOUNT_MMS,
    PW_ACCOUNT_SLOTS,
    PW_ACCOUNT_WARDENS,
    PW_ACCOUNT_RING,
    PW_ACCOUNT_DATA,
    PW_ACCOUNT_OWN_MAPS
};
struct pw_account_loaded {
    struct pw_kernel_powers powers;
    char why_not[PW_ACCOUNT_WHY];
    bool has_io;
    int fds[PW_ACCOUNT_FDS_MAX]; /* the maps above, those of struct pw_account_io if `has_io`, links
                                  */
    unsigned count;
};

/* What a worker's processes have told so far. */
struct pw_account_slot {
    bool watched, is_marked;
    pid_t warden_pid;
    struct pw_slot_sums at_mark;
    uint64_t lost; /* ended processes beyond the limit, or for which there was no memory */
    struct pw_process_event *ended;
    size_t count, capacity;
};

struct pw_account {
    struct pw_account_loaded loaded;
    struct pw_account_bpf__data *data; /* mapped */
    struct ring_buffer *ring;
    struct pw_account_io io; /* if it is loaded */
    uint64_t page_bytes;
    unsigned slot_count;
    struct pw_account_slot *slots;
};

/* What tests turn; 0: as usual. */
struct pw_account_knobs {
    unsigned ring_bytes; /* a power of two, whole pages */
    unsigned threads;    /* tracked at once */
    /* As if each so many-th switch to a worker's thread, or from one, were not traced. */
    unsigned missed_comings, missed_leavings;
    bool no_fetch;                   /* as on kernels before 5.12 */
    bool no_memory;                  /* as if the tracepoint were missing */
    bool refuses_io, refuses_memory; /* as if the kernel refused programs with these */
};
int pw_account_open_as(const struct pw_account_options *options,
                       const struct pw_account_knobs *knobs, struct pw_account **ret_account,
                       struct pw_err *err);

/*
 * Loads and attaches, in a process of its own that then ends: libbpf reads for it what the kernel
 * tells of all its types, some 15 MiB, which would be perfwrap's peak of memory from then on. What
 * comes back are descriptors. The caller may have threads.
 */
int pw_account_load(const struct pw_account_options *options, const struct pw_account_knobs *knobs,
                    struct pw_account_loaded *ret_loaded, struct pw_err *err);
void pw_account_unload(struct pw_account_loaded *loaded); /* also of a zeroed one */

/* For ring_buffer__new(): an ended process, to be kept. `context` is the account. */
int pw_account_keep(void *context, void *data, size_t size);
/* Fills table[number] with the enum pw_bpf_wait of system calls. */
void pw_account_fill_waits(unsigned char table[PW_BPF_SYSCALLS_MAX]);

#endif
