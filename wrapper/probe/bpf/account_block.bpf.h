/*
 * Block I/O: requests (struct bio) by the thread that hands them to the block layer, at the device
 * that its file system is on. Bytes and requests count when they are queued; times when they have
 * completed, with its last piece where the device made one be split. A request that a stacked
 * device (LVM, RAID, encryption) makes out of one is not counted again, nor are pieces. Flushes
 * that carry no data are requests of 0 bytes; discards and zone commands move no data and are left
 * out.
 *
 * What the page cache writes back later is queued by threads of the kernel and belongs to nobody
 * here: of buffered writes only what the worker itself waits for (fsync, O_SYNC) or is made to
 * write is seen. The journal of a file system is its own thread's. Requests of io_uring's workers
 * count if those threads are tracked.
 */
#ifndef PW_PROBE_BPF_ACCOUNT_BLOCK_BPF_H
#define PW_PROBE_BPF_ACCOUNT_BLOCK_BPF_H

#include "wrapper/probe/bpf/account_io.bpf.h"

enum { BLOCK_OP_MASK = 0xff, BLOCK_OP_READ = 0, BLOCK_OP_WRITE = 1 }; /* linux/blk_types.h */
enum { BLOCK_MERGED_MAX = 256 };

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, IO_BIOS);
    __type(key, __u64);
    __type(value, struct io_bio);
} io_bios SEC(".maps");

static __always_inline int block_queued(struct bio *bio)
{
    const struct pw_thread_entry *thread = tracked_current();
    if (!thread)
        return 0;
    struct task_struct___io *task = (void *)bpf_get_current_task();
    if (BPF_CORE_READ(task, bio_list))
        return 0; /* a stacked device's: counted above it */
    __u32 op = bio->bi_opf & BLOCK_OP_MASK, slot = thread->slot;
    if (op != BLOCK_OP_READ && op != BLOCK_OP_WRITE)
        return 0;
    struct io_sums *sums = io_sums_of(slot);
    if (!sums)
        return 0;
    add(&sums->block_requests, 1);
    add(op == BLOCK_OP_READ ? &sums->block_read_bytes : &sums->block_written_bytes,
        bio->bi_iter.bi_size);
    __u64 key = (__u64)bio;
    struct io_bio under_way = {.at_ns = bpf_ktime_get_ns(), .slot = slot};
    if (bpf_map_update_elem(&io_bios, &key, &under_way, BPF_ANY))
        add(&sums->lost_bios, 1);
    return 0;
}

/* Linux 5.11 took the queue away, which was the first argument; user space loads one of the two. */
SEC("?tp_btf/block_bio_queue")
int BPF_PROG(pw_bio_queue, struct bio *bio)
{
    return block_queued(bio);
}

SEC("?tp_btf/block_bio_queue")
int BPF_PROG(pw_bio_queue_old, void *queue, struct bio *bio)
{
    return block_queued(bio);
}

static __always_inline int block_completed(__u64 key)
{
    struct io_bio *under_way = bpf_map_lookup_elem(&io_bios, &key);
    if (!under_way)
        return 0;
    __u64 took_ns = bpf_ktime_get_ns() - under_way->at_ns;
    struct io_sums *sums = io_sums_of(under_way->slot);
    if (sums) {
        add(&sums->block_ns, took_ns);
        /* Not raise_to(): account.c cannot take its instructions out of a function that is called,
         * for kernels before 5.12. Of two that end at once on two CPUs the shorter may stay. */
        if (sums->longest_block_ns < took_ns)
            sums->longest_block_ns = took_ns;
    }
    bpf_map_delete_elem(&io_bios, &key);
    return 0;
}

/* Devices that take the requests as they are: LVM, RAID, zram. */
SEC("?tp_btf/block_bio_complete")
int BPF_PROG(pw_bio_complete, void *queue, struct bio *bio)
{
    return block_completed((__u64)bio);
}

/* Not static, which lets the kernel verify it once and not in each round of a loop; it takes no
 * pointers then, hence the addresses that are read as numbers. */
__noinline int account_block_part(__u64 bio)
{
    return block_completed(bio);
}

/* All other devices, for which the block layer merges neighbours into one struct request. Its first
 * `bytes` have completed: the requests that lie within them. */
SEC("?tp_btf/block_rq_complete")
int BPF_PROG(pw_rq_complete, struct request *merged, int error, unsigned int bytes)
{
    struct bio *bio = BPF_CORE_READ(merged, bio);
    for (int i = 0; i < BLOCK_MERGED_MAX && bio; i++) {
        unsigned int size = BPF_CORE_READ(bio, bi_iter.bi_size);
        if (size > bytes)
            break;
        account_block_part((__u64)bio);
        bytes -= size;
        bio = BPF_CORE_READ(bio, bi_next);
    }
    return 0;
}

#endif
