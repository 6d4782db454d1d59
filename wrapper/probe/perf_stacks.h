/*
 * Stacks of one worker as they were sampled, each once with its weight. A frame is a place in an
 * object (perf_maps.h), not an address: a program that runs a thousand times, each time somewhere
 * else in memory, has its stacks once.
 *
 * Callers are return addresses: what is kept is one byte before, which lies in the call (a call may
 * be its function's last instruction). The leaf, and the place where the kernel was entered, are
 * kept as they are. Limits: PW_LIMIT_SAMPLED_STACKS and _FRAMES; beyond it, or without memory, a
 * sample only counts. Threads: one at a time.
 */
#ifndef PW_PROBE_PERF_STACKS_H
#define PW_PROBE_PERF_STACKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "wrapper/probe/perf_index.h"
#include "wrapper/probe/perf_maps.h"
#include "wrapper/probe/perf_ring.h"

struct pw_perf_frame {
    uint32_t object; /* in the maps */
    pid_t pid;       /* the first that it was seen in */
    uint64_t offset; /* in its file, or the address */
    uint64_t address;
};

struct pw_perf_stack {
    size_t first; /* of its frames in `words` */
    uint32_t depth, user_depth;
    uint32_t comm;
    bool cut; /* its last frame's caller is no code, or there were too many frames */
    uint64_t samples;
    int64_t weight_ns;
};

/* Zeroed, it is empty. */
struct pw_perf_stacks {
    struct pw_perf_frame *frames;
    size_t frame_count, frame_capacity;
    struct pw_perf_stack *stacks;
    size_t stack_count, stack_capacity;
    uint32_t *words; /* numbers of frames: of each stack, the leaf first */
    size_t word_count, word_capacity;
    char (*comms)[PW_PERF_COMM_BYTES];
    size_t comm_count, comm_capacity;
    struct pw_perf_index frame_index, stack_index, comm_index;
    uint64_t beyond; /* samples, and their weight, that are in no stack */
    int64_t beyond_ns, first_at_ns, last_at_ns;
};

void pw_perf_stacks_done(struct pw_perf_stacks *stacks); /* empty after it */
/* A PERF_RECORD_SAMPLE that pw_perf_tail_read() accepted. The kernel stops a chain at
 * `most_addresses` without a word. */
void pw_perf_stacks_add(struct pw_perf_stacks *stacks, const struct pw_perf_maps *maps,
                        unsigned most_addresses, const struct perf_event_header *record);

#endif
