/*
 * A CPU profile: stacks with their weights, of one iteration or of a whole run. Plain data, filled
 * by a probe and the symbolizer, rendered by the exporters, and merged like telemetry.
 *
 * A frame is a name and the object that it lies in; frames are interned, stacks are lists of frame
 * numbers, the leaf first. Weights are nanoseconds of CPU time: samples times the period that each
 * stands for. A stack whose unwinding ended before the outermost function is `broken`: its leaf is
 * right, its callers are not all there.
 *
 * Life: pw_cpu_profile_init(), add, merge, read, pw_cpu_profile_done(). Owns everything in it.
 * Limits: PW_LIMIT_PROFILE_FRAMES, _STACKS and _PROCESSES; what is beyond goes to a frame or a
 * process "[beyond the limit]", and its samples are counted. A stack deeper than
 * PW_LIMIT_PROFILE_DEPTH loses its outer callers and is broken; a name is cut at
 * PW_LIMIT_PROFILE_NAME_BYTES. Threads: one at a time.
 */
#ifndef PW_CORE_CPU_PROFILE_H
#define PW_CORE_CPU_PROFILE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/err.h"

enum pw_frame_kind { PW_FRAME_USER, PW_FRAME_KERNEL, PW_FRAME_JIT, PW_FRAME_UNKNOWN };

struct pw_frame {
    char *name;   /* "parse_body", or "[libc.so.6+0x2a1b0]" where there is no symbol */
    char *object; /* "/usr/lib/x86_64-linux-gnu/libc.so.6", "[kernel]", "[perf map]"; "" unknown */
    enum pw_frame_kind kind;
};

struct pw_stack {
    uint32_t *frames; /* numbers of frames, the leaf first */
    uint32_t depth;
    uint32_t process; /* number of a process name, see below */
    uint64_t samples;
    int64_t weight_ns;
    bool broken;
};

struct pw_cpu_profile {
    struct pw_frame *frames;
    size_t frame_count, frame_capacity;
    char **processes; /* command names, as stacks begin with */
    size_t process_count, process_capacity;
    struct pw_stack *stacks;
    size_t stack_count, stack_capacity;
    void *index;                    /* of frames and stacks, for adding */
    uint64_t samples, broken, lost; /* lost: the kernel's buffers were full */
    uint64_t beyond_limit;          /* samples; as `broken` and `lost` */
    int64_t weight_ns;
    int64_t first_at_ns, last_at_ns; /* CLOCK_MONOTONIC of the first and last sample; 0: none */
    double hz;                       /* as it was taken */
};

void pw_cpu_profile_init(struct pw_cpu_profile *profile, double hz);
void pw_cpu_profile_done(struct pw_cpu_profile *profile);
/* The number of a frame, of a process name. PW_ERR_MEMORY. */
int pw_cpu_profile_frame(struct pw_cpu_profile *profile, const char *name, const char *object,
                         enum pw_frame_kind kind, uint32_t *ret_frame, struct pw_err *err);
int pw_cpu_profile_process(struct pw_cpu_profile *profile, const char *name, uint32_t *ret_process,
                           struct pw_err *err);
/* Adds to the stack with these frames, or makes it; a broken one is another than a whole one. One
 * without frames becomes "[unknown]"; a negative weight counts as 0. PW_ERR_MEMORY,
 * PW_ERR_INTERNAL (numbers that were never given). */
int pw_cpu_profile_add(struct pw_cpu_profile *profile, uint32_t process, const uint32_t *frames,
                       uint32_t depth, bool broken, uint64_t samples, int64_t weight_ns,
                       struct pw_err *err);
/* Adds all of `from`, also what was lost; the times become those of both, `hz` stays unless 0. */
int pw_cpu_profile_merge(struct pw_cpu_profile *into, const struct pw_cpu_profile *from,
                         struct pw_err *err);

/* One frame's part in a profile. */
struct pw_hotspot {
    const struct pw_frame *frame;
    uint64_t samples; /* with it as the leaf */
    int64_t self_ns;  /* likewise */
    int64_t total_ns; /* with it anywhere; counted once a stack */
};
/* All frames with self_ns > 0, heaviest first, ties by name. free(*ret_hotspots). */
int pw_cpu_profile_hotspots(const struct pw_cpu_profile *profile, struct pw_hotspot **ret_hotspots,
                            size_t *ret_count, struct pw_err *err);
/* The contract's list: [{"frame", "weight_ms", "samples", "total_ms", "object"}], at most `limit`;
 * "object" is null where it is unknown. New reference; incomplete or NULL if it sets *failed. */
json_t *pw_cpu_profile_hotspots_json(const struct pw_cpu_profile *profile, size_t limit,
                                     bool *failed);

#endif
