/*
 * What the I/O programs share: the slots' sums.
 */
#ifndef PW_PROBE_BPF_ACCOUNT_IO_BPF_H
#define PW_PROBE_BPF_ACCOUNT_IO_BPF_H

#include "wrapper/probe/bpf/account_io_abi.h"
#include "wrapper/probe/bpf/account_io_types.bpf.h"
#include "wrapper/probe/bpf/account_task.bpf.h"

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1); /* set before loading: slots */
    __type(key, __u32);
    __type(value, struct io_sums);
} io_sums SEC(".maps");

static __always_inline struct io_sums *io_sums_of(__u32 slot)
{
    return bpf_map_lookup_elem(&io_sums, &slot);
}

#endif
