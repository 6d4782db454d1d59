#include "wrapper/probe/perf_stacks.h"

#include <stdlib.h>
#include <string.h>
#include "core/limits.h"

enum {
    FIRST_CAPACITY = 64,
    /* No code is below it: what compilers without frame pointers leave in the register, and zero,
     * which is how the outermost frame says that it is that (x86-64 psABI, 3.4.1). */
    LOWEST_ADDRESS = 4096,
};

/* A sample on its way into the table. */
struct chain {
    uint32_t words[PW_LIMIT_SAMPLED_DEPTH];
    struct pw_perf_stack stack;
};

static bool reserve(void *pointer_to_array, size_t count, size_t *capacity, size_t size)
{
    void **array = pointer_to_array;
    if (count <= *capacity) {
        return true;
    }
    size_t more = *capacity ? *capacity * 2 : FIRST_CAPACITY;
    if (more < count) {
        more = count;
    }
    void *larger = reallocarray(*array, more, size);
    if (!larger) {
        return false;
    }
    *array = larger;
    *capacity = more;
    return true;
}

struct looked_for {
    const struct pw_perf_stacks *stacks;
    const void *thing;
};

static bool is_same_frame(const void *context, uint32_t number)
{
    const struct looked_for *wanted = context;
    const struct pw_perf_frame *a = wanted->thing, *b = &wanted->stacks->frames[number];
    return a->object == b->object && a->offset == b->offset;
}

static uint32_t get_frame(struct pw_perf_stacks *stacks, const struct pw_perf_frame *frame)
{
    uint32_t hash = pw_perf_hash(frame->object, &frame->offset, sizeof frame->offset);
    struct looked_for wanted = {.stacks = stacks, .thing = frame};
    uint32_t number = pw_perf_index_find(&stacks->frame_index, hash, is_same_frame, &wanted);
    if (number != PW_PERF_INDEX_NONE) {
        return number;
    }
    number = (uint32_t)stacks->frame_count;
    if (number >= PW_LIMIT_SAMPLED_FRAMES ||
        !reserve(&stacks->frames, stacks->frame_count + 1, &stacks->frame_capacity,
                 sizeof *stacks->frames) ||
        !pw_perf_index_add(&stacks->frame_index, hash, number)) {
        return PW_PERF_INDEX_NONE;
    }
    stacks->frames[stacks->frame_count++] = *frame;
    return number;
}

static bool is_same_comm(const void *context, uint32_t number)
{
    const struct looked_for *wanted = context;
    return strcmp(wanted->thing, wanted->stacks->comms[number]) == 0;
}

static uint32_t get_comm(struct pw_perf_stacks *stacks, const char *comm)
{
    uint32_t hash = pw_perf_hash(0, comm, strlen(comm));
    struct looked_for wanted = {.stacks = stacks, .thing = comm};
    uint32_t number = pw_perf_index_find(&stacks->comm_index, hash, is_same_comm, &wanted);
    if (number != PW_PERF_INDEX_NONE) {
        return number;
    }
    number = (uint32_t)stacks->comm_count;
    if (number >= PW_LIMIT_TREE_PROCESSES ||
        !reserve(&stacks->comms, stacks->comm_count + 1, &stacks->comm_capacity,
                 sizeof *stacks->comms) ||
        !pw_perf_index_add(&stacks->comm_index, hash, number)) {
        return PW_PERF_INDEX_NONE;
    }
    memcpy(stacks->comms[stacks->comm_count++], comm, strlen(comm) + 1);
    return number;
}

static bool is_same_stack(const void *context, uint32_t number)
{
    const struct looked_for *wanted = context;
    const struct chain *chain = wanted->thing;
    const struct pw_perf_stack *a = &chain->stack, *b = &wanted->stacks->stacks[number];
    return a->depth == b->depth && a->user_depth == b->user_depth && a->comm == b->comm &&
           a->cut == b->cut &&
           memcmp(chain->words, wanted->stacks->words + b->first,
                  a->depth * sizeof *chain->words) == 0;
}

static struct pw_perf_stack *get_stack(struct pw_perf_stacks *stacks, const struct chain *chain)
{
    const struct pw_perf_stack *stack = &chain->stack;
    uint32_t head[] = {stack->depth, stack->user_depth, stack->comm, stack->cut};
    uint32_t hash = pw_perf_hash(pw_perf_hash(0, head, sizeof head), chain->words,
                                 stack->depth * sizeof *chain->words);
    struct looked_for wanted = {.stacks = stacks, .thing = chain};
    uint32_t number = pw_perf_index_find(&stacks->stack_index, hash, is_same_stack, &wanted);
    if (number != PW_PERF_INDEX_NONE) {
        return &stacks->stacks[number];
    }
    number = (uint32_t)stacks->stack_count;
    if (number >= PW_LIMIT_SAMPLED_STACKS ||
        !reserve(&stacks->stacks, stacks->stack_count + 1, &stacks->stack_capacity,
                 sizeof *stacks->stacks) ||
        !reserve(&stacks->words, stacks->word_count + stack->depth, &stacks->word_capacity,
                 sizeof *stacks->words) ||
        !pw_perf_index_add(&stacks->stack_index, hash, number)) {
        return NULL;
    }
    struct pw_perf_stack *added = &stacks->stacks[stacks->stack_count++];
    *added = *stack;
    added->first = stacks->word_count;
    memcpy(stacks->words + stacks->word_count, chain->words, stack->depth * sizeof *chain->words);
    stacks->word_count += stack->depth;
    return added;
}

/* One address more. False: the chain ends in front of it. */
static bool add_address(struct pw_perf_stacks *stacks, const struct pw_perf_maps *maps,
                        struct chain *chain, pid_t pid, struct pw_perf_frame frame,
                        bool *ret_beyond)
{
    struct pw_perf_stack *stack = &chain->stack;
    bool is_kernel = frame.object == PW_PERF_OBJECT_KERNEL;
    if (!is_kernel) {
        if (stack->user_depth > 0 && frame.address < LOWEST_ADDRESS) {
            return false;
        }
        frame.object = pw_perf_maps_resolve(maps, pid, frame.address, &frame.offset);
        if (stack->user_depth > 0 && frame.object == PW_PERF_OBJECT_NOWHERE) {
            stack->cut = true;
            return false;
        }
    }
    uint32_t number =
        stack->depth < PW_LIMIT_SAMPLED_DEPTH ? get_frame(stacks, &frame) : PW_PERF_INDEX_NONE;
    if (number == PW_PERF_INDEX_NONE) {
        *ret_beyond = stack->depth < PW_LIMIT_SAMPLED_DEPTH;
        stack->cut = true;
        return false;
    }
    chain->words[stack->depth++] = number;
    stack->user_depth += !is_kernel;
    return true;
}

/* The addresses, with words in between of whose they are: PERF_CONTEXT_*. False: beyond a limit. */
static bool read_chain(struct pw_perf_stacks *stacks, const struct pw_perf_maps *maps,
                       unsigned most_addresses, struct chain *chain,
                       const struct pw_perf_sample *sample)
{
    bool is_kernel = false, is_first = true, beyond = false;
    uint64_t addresses = 0;
    for (uint64_t i = 0; i < sample->chain_length; i++) {
        uint64_t address = sample->chain[i];
        if (address >= (uint64_t)PERF_CONTEXT_MAX) {
            is_kernel = address == (uint64_t)PERF_CONTEXT_KERNEL;
            is_first = true;
            continue;
        }
        addresses++;
        address -= !is_first && address > 0;
        is_first = false;
        struct pw_perf_frame frame = {
            .object = is_kernel ? PW_PERF_OBJECT_KERNEL : PW_PERF_OBJECT_NOWHERE,
            .pid = (pid_t)sample->pid,
            .offset = address,
            .address = address,
        };
        if (!add_address(stacks, maps, chain, (pid_t)sample->pid, frame, &beyond)) {
            return !beyond;
        }
    }
    chain->stack.cut = addresses >= most_addresses;
    return true;
}

void pw_perf_stacks_add(struct pw_perf_stacks *stacks, const struct pw_perf_maps *maps,
                        unsigned most_addresses, const struct perf_event_header *record)
{
    const struct pw_perf_sample *sample = (const void *)(record + 1);
    size_t room = (record->size - sizeof *record - sizeof *sample) / sizeof sample->chain[0];
    if (sample->chain_length > room) {
        return;
    }
    int64_t at_ns = (int64_t)sample->time_ns, weight_ns = (int64_t)sample->period;
    if (stacks->first_at_ns == 0 || at_ns < stacks->first_at_ns) {
        stacks->first_at_ns = at_ns;
    }
    if (at_ns > stacks->last_at_ns) {
        stacks->last_at_ns = at_ns;
    }
    struct chain chain = {.stack = {.samples = 0}};
    chain.stack.comm = get_comm(stacks, pw_perf_maps_comm(maps, (pid_t)sample->pid));
    struct pw_perf_stack *stack = NULL;
    if (chain.stack.comm != PW_PERF_INDEX_NONE &&
        read_chain(stacks, maps, most_addresses, &chain, sample) && chain.stack.depth > 0) {
        stack = get_stack(stacks, &chain);
    }
    if (!stack) {
        stacks->beyond++;
        stacks->beyond_ns += weight_ns;
        return;
    }
    stack->samples++;
    stack->weight_ns += weight_ns;
}

void pw_perf_stacks_done(struct pw_perf_stacks *stacks)
{
    free(stacks->frames);
    free(stacks->stacks);
    free(stacks->words);
    free(stacks->comms);
    pw_perf_index_done(&stacks->frame_index);
    pw_perf_index_done(&stacks->stack_index);
    pw_perf_index_done(&stacks->comm_index);
    *stacks = (struct pw_perf_stacks){.frames = NULL};
}
