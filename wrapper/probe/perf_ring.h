/*
 * The ring buffer that the kernel writes perf records of one CPU into.
 *
 * It belongs to an event that does nothing (PERF_COUNT_SW_DUMMY, off, on this process), so that it
 * stays while the events of workers, which are led into it by PERF_EVENT_IOC_SET_OUTPUT, come and
 * go. The kernel allows that if CPU and clock are the same. An event that is inherited can only be
 * mapped if it is bound to a CPU (perf_event_open(2)): hence one ring for each.
 * Threads: one at a time.
 */
#ifndef PW_PROBE_PERF_RING_H
#define PW_PROBE_PERF_RING_H

#include <linux/perf_event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "core/err.h"

/* What pw_perf_attr() makes the kernel put at the end of each record that is not a sample. */
struct pw_perf_tail {
    uint32_t pid, tid;
    uint64_t time_ns; /* CLOCK_MONOTONIC */
    uint64_t id;      /* of the event, also in all that have inherited it */
};
struct pw_perf_ring {
    int fd; /* of the event that it belongs to: readable when it is half full */
    int cpu;
    struct perf_event_mmap_page *page;
    size_t map_bytes, data_bytes;
    uint64_t head, tail; /* what is being read: from tail to head */
    bool is_next_known;
    struct pw_perf_tail next; /* of the oldest record */
    unsigned char *piece;     /* a record that goes over the end, put together */
};

/* What all events of a sampler have, and the system call. */
struct perf_event_attr pw_perf_attr(void);
int pw_perf_open(const struct perf_event_attr *attr, pid_t pid, int cpu); /* -1 and errno */

/* False, with nothing in `err`: the CPU is off. */
bool pw_perf_ring_open(struct pw_perf_ring *ring, int cpu, struct pw_err *err);
void pw_perf_ring_close(struct pw_perf_ring *ring);
/* What has come until here can be read. */
void pw_perf_ring_refresh(struct pw_perf_ring *ring);
/* The oldest record, valid until it is dropped; NULL: none is left. */
const struct perf_event_header *pw_perf_ring_peek(struct pw_perf_ring *ring);
/* The same, of its tail: quick if it is asked again. NULL: none. */
const struct pw_perf_tail *pw_perf_ring_peek_tail(struct pw_perf_ring *ring);
void pw_perf_ring_drop(struct pw_perf_ring *ring);

/* Of either kind of record. False: the record is too short. */
bool pw_perf_tail_read(const struct perf_event_header *record, struct pw_perf_tail *ret_tail);

/* A sample's fixed part, behind the header. */
struct pw_perf_sample {
    uint64_t id, ip;
    uint32_t pid, tid;
    uint64_t time_ns, period, chain_length;
    uint64_t chain[];
};

#endif
