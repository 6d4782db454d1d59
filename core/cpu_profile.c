#include "core/cpu_profile.h"

#include <stdlib.h>
#include <string.h>
#include "core/limits.h"
#include "core/saturate.h"

#define BEYOND "[beyond the limit]"

enum { FIRST_CAPACITY = 64 };

/* Numbers by the hash of what they stand for: open addressing, linear probing, at most half full,
 * a power of two of slots. A slot without a number is free. */
struct slot {
    uint64_t hash;
    uint32_t number_plus_one;
};

struct table {
    struct slot *slots;
    size_t capacity, used;
};

struct index {
    struct table frames, processes, stacks;
};

/* What is looked for; `same` compares it with what has a number. */
struct key {
    const struct pw_cpu_profile *profile;
    uint64_t hash;
    const void *wanted;
    bool (*same)(const struct pw_cpu_profile *profile, uint32_t number, const void *wanted);
};

/* --- hashes --- */

/* FNV-1a (Fowler, Noll, Vo), 64 bits. */
static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t count)
{
    const unsigned char *at = bytes;
    for (size_t i = 0; i < count; i++) {
        hash = (hash ^ at[i]) * UINT64_C(0x100000001B3);
    }
    return hash;
}

/* With its length in front, so that ("ab", "c") is not ("a", "bc"). */
static uint64_t hash_text(uint64_t hash, const char *text, size_t length)
{
    return hash_bytes(hash_bytes(hash, &length, sizeof(length)), text, length);
}

static uint64_t hash_numbers(uint64_t hash, const uint32_t *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        hash = (hash ^ numbers[i]) * UINT64_C(0x100000001B3);
    }
    return hash;
}

/* The low bits choose the slot, and FNV's low bits do not see the high bits of its input. */
static uint64_t hash_end(uint64_t hash)
{
    hash = (hash ^ (hash >> 33)) * UINT64_C(0xFF51AFD7ED558CCD);
    return hash ^ (hash >> 33);
}

static const uint64_t hash_begin = UINT64_C(0xCBF29CE484222325);

/* --- tables --- */

static bool table_find(const struct table *table, const struct key *key, uint32_t *ret_number)
{
    if (table->capacity == 0) {
        return false;
    }
    size_t mask = table->capacity - 1;
    for (size_t at = key->hash & mask; table->slots[at].number_plus_one != 0;
         at = (at + 1) & mask) {
        const struct slot *slot = &table->slots[at];
        if (slot->hash == key->hash &&
            key->same(key->profile, slot->number_plus_one - 1, key->wanted)) {
            *ret_number = slot->number_plus_one - 1;
            return true;
        }
    }
    return false;
}

/* There is room: table_reserve() was called. */
static void table_put(struct table *table, uint64_t hash, uint32_t number)
{
    size_t mask = table->capacity - 1;
    size_t at = hash & mask;
    while (table->slots[at].number_plus_one != 0) {
        at = (at + 1) & mask;
    }
    table->slots[at] = (struct slot){.hash = hash, .number_plus_one = number + 1};
    table->used++;
}

static int table_reserve(struct table *table, struct pw_err *err)
{
    if (2 * (table->used + 1) <= table->capacity) {
        return 0;
    }
    size_t capacity = table->capacity > 0 ? 2 * table->capacity : (size_t)2 * FIRST_CAPACITY;
    struct table larger = {.slots = calloc(capacity, sizeof(*larger.slots)), .capacity = capacity};
    if (!larger.slots) {
        return pw_err_memory(err);
    }
    for (size_t i = 0; i < table->capacity; i++) {
        if (table->slots[i].number_plus_one != 0) {
            table_put(&larger, table->slots[i].hash, table->slots[i].number_plus_one - 1);
        }
    }
    free(table->slots);
    *table = larger;
    return 0;
}

/* The array with room for one more element of `size`; NULL if there is no memory. */
static void *array_reserve(void *array, size_t count, size_t *capacity, size_t size,
                           struct pw_err *err)
{
    if (count < *capacity) {
        return array;
    }
    size_t more = *capacity > 0 ? 2 * *capacity : FIRST_CAPACITY;
    void *larger = reallocarray(array, more, size);
    if (!larger) {
        pw_err_memory(err);
        return NULL;
    }
    *capacity = more;
    return larger;
}

static struct index *index_of(struct pw_cpu_profile *profile, struct pw_err *err)
{
    if (!profile->index) {
        profile->index = calloc(1, sizeof(struct index));
        if (!profile->index) {
            pw_err_memory(err);
        }
    }
    return profile->index;
}

/* --- life --- */

void pw_cpu_profile_init(struct pw_cpu_profile *profile, double hz)
{
    *profile = (struct pw_cpu_profile){.hz = hz};
}

void pw_cpu_profile_done(struct pw_cpu_profile *profile)
{
    for (size_t i = 0; i < profile->frame_count; i++) {
        free(profile->frames[i].name);
        free(profile->frames[i].object);
    }
    for (size_t i = 0; i < profile->process_count; i++) {
        free(profile->processes[i]);
    }
    for (size_t i = 0; i < profile->stack_count; i++) {
        free(profile->stacks[i].frames);
    }
    free(profile->frames);
    free(profile->processes);
    free(profile->stacks);
    struct index *index = profile->index;
    if (index) {
        free(index->frames.slots);
        free(index->processes.slots);
        free(index->stacks.slots);
        free(index);
    }
    *profile = (struct pw_cpu_profile){.frames = NULL};
}

/* --- names --- */

/* What is kept of a name: not half a character of UTF-8 at its end. */
static size_t kept_length(const char *text)
{
    size_t character = 0; /* where the last one began */
    size_t i = 0;
    for (; text[i] != '\0'; i++) {
        if (((unsigned char)text[i] & 0xC0) != 0x80 || i - character > 3) {
            character = i;
        }
        if (i == PW_LIMIT_PROFILE_NAME_BYTES) {
            return character;
        }
    }
    return i;
}

struct text {
    const char *bytes;
    size_t length;
};

static bool text_same(const struct text *text, const char *other)
{
    return strncmp(text->bytes, other, text->length) == 0 && other[text->length] == '\0';
}

struct wanted_frame {
    struct text name, object;
    enum pw_frame_kind kind;
};

static bool frame_same(const struct pw_cpu_profile *profile, uint32_t number, const void *wanted)
{
    const struct wanted_frame *frame = wanted;
    const struct pw_frame *other = &profile->frames[number];
    return frame->kind == other->kind && text_same(&frame->name, other->name) &&
           text_same(&frame->object, other->object);
}

static bool process_same(const struct pw_cpu_profile *profile, uint32_t number, const void *wanted)
{
    return text_same(wanted, profile->processes[number]);
}

static int frame_make(struct pw_cpu_profile *profile, const struct wanted_frame *wanted,
                      struct pw_err *err)
{
    struct pw_frame *frames = array_reserve(profile->frames, profile->frame_count,
                                            &profile->frame_capacity, sizeof(*frames), err);
    if (!frames) {
        return -1;
    }
    profile->frames = frames;
    char *name = strndup(wanted->name.bytes, wanted->name.length);
    char *object = strndup(wanted->object.bytes, wanted->object.length);
    if (!name || !object) {
        free(name);
        free(object);
        return pw_err_memory(err);
    }
    profile->frames[profile->frame_count++] =
        (struct pw_frame){.name = name, .object = object, .kind = wanted->kind};
    return 0;
}

/* Finds the frame, or makes it where fewer than `limit` exist; `*ret_beyond` if neither. */
static int frame_intern(struct pw_cpu_profile *profile, const struct wanted_frame *wanted,
                        size_t limit, uint32_t *ret_frame, bool *ret_beyond, struct pw_err *err)
{
    struct index *index = index_of(profile, err);
    if (!index) {
        return -1;
    }
    uint64_t hash = hash_text(hash_begin, wanted->name.bytes, wanted->name.length);
    hash = hash_text(hash, wanted->object.bytes, wanted->object.length);
    hash = hash_end(hash_bytes(hash, &wanted->kind, sizeof(wanted->kind)));
    const struct key key = {profile, hash, wanted, frame_same};
    if (table_find(&index->frames, &key, ret_frame)) {
        return 0;
    }
    if (profile->frame_count >= limit) {
        *ret_beyond = true;
        return 0;
    }
    if (table_reserve(&index->frames, err) != 0 || frame_make(profile, wanted, err) != 0) {
        return -1;
    }
    uint32_t number = (uint32_t)(profile->frame_count - 1);
    table_put(&index->frames, hash, number);
    *ret_frame = number;
    return 0;
}

/* The last number of each kind is kept for what is beyond the limit. */
static int frame_beyond(struct pw_cpu_profile *profile, uint32_t *ret_frame, struct pw_err *err)
{
    const struct wanted_frame wanted = {
        .name = {BEYOND, strlen(BEYOND)}, .object = {"", 0}, .kind = PW_FRAME_UNKNOWN};
    bool full = false;
    return frame_intern(profile, &wanted, PW_LIMIT_PROFILE_FRAMES, ret_frame, &full, err);
}

int pw_cpu_profile_frame(struct pw_cpu_profile *profile, const char *name, const char *object,
                         enum pw_frame_kind kind, uint32_t *ret_frame, struct pw_err *err)
{
    const struct wanted_frame wanted = {
        .name = {name, kept_length(name)}, .object = {object, kept_length(object)}, .kind = kind};
    bool beyond = false;
    if (frame_intern(profile, &wanted, PW_LIMIT_PROFILE_FRAMES - 1, ret_frame, &beyond, err) != 0) {
        return -1;
    }
    return beyond ? frame_beyond(profile, ret_frame, err) : 0;
}

static int process_intern(struct pw_cpu_profile *profile, const struct text *name, size_t limit,
                          uint32_t *ret_process, bool *ret_beyond, struct pw_err *err)
{
    struct index *index = index_of(profile, err);
    if (!index) {
        return -1;
    }
    uint64_t hash = hash_end(hash_text(hash_begin, name->bytes, name->length));
    const struct key key = {profile, hash, name, process_same};
    if (table_find(&index->processes, &key, ret_process)) {
        return 0;
    }
    if (profile->process_count >= limit) {
        *ret_beyond = true;
        return 0;
    }
    if (table_reserve(&index->processes, err) != 0) {
        return -1;
    }
    char **processes = array_reserve(profile->processes, profile->process_count,
                                     &profile->process_capacity, sizeof(*processes), err);
    if (!processes) {
        return -1;
    }
    profile->processes = processes;
    char *copy = strndup(name->bytes, name->length);
    if (!copy) {
        return pw_err_memory(err);
    }
    uint32_t number = (uint32_t)profile->process_count;
    profile->processes[profile->process_count++] = copy;
    table_put(&index->processes, hash, number);
    *ret_process = number;
    return 0;
}

static int process_beyond(struct pw_cpu_profile *profile, uint32_t *ret_process, struct pw_err *err)
{
    const struct text name = {BEYOND, strlen(BEYOND)};
    bool full = false;
    return process_intern(profile, &name, PW_LIMIT_PROFILE_PROCESSES, ret_process, &full, err);
}

int pw_cpu_profile_process(struct pw_cpu_profile *profile, const char *name, uint32_t *ret_process,
                           struct pw_err *err)
{
    const struct text text = {name, kept_length(name)};
    bool beyond = false;
    if (process_intern(profile, &text, PW_LIMIT_PROFILE_PROCESSES - 1, ret_process, &beyond, err) !=
        0) {
        return -1;
    }
    return beyond ? process_beyond(profile, ret_process, err) : 0;
}

/* --- stacks --- */

/* A broken stack is another than a whole one of the same frames. */
static bool stack_same(const struct pw_cpu_profile *profile, uint32_t number, const void *wanted)
{
    const struct pw_stack *stack = wanted;
    const struct pw_stack *other = &profile->stacks[number];
    return stack->process == other->process && stack->broken == other->broken &&
           stack->depth == other->depth &&
           memcmp(stack->frames, other->frames, stack->depth * sizeof(*stack->frames)) == 0;
}

static int stack_intern(struct pw_cpu_profile *profile, const struct pw_stack *wanted, size_t limit,
                        uint32_t *ret_stack, bool *ret_beyond, struct pw_err *err)
{
    struct index *index = index_of(profile, err);
    if (!index) {
        return -1;
    }
    const uint32_t head[] = {wanted->process, wanted->depth, wanted->broken};
    uint64_t hash = hash_numbers(hash_begin, head, sizeof(head) / sizeof(*head));
    hash = hash_end(hash_numbers(hash, wanted->frames, wanted->depth));
    const struct key key = {profile, hash, wanted, stack_same};
    if (table_find(&index->stacks, &key, ret_stack)) {
        return 0;
    }
    if (profile->stack_count >= limit) {
        *ret_beyond = true;
        return 0;
    }
    if (table_reserve(&index->stacks, err) != 0) {
        return -1;
    }
    struct pw_stack *stacks = array_reserve(profile->stacks, profile->stack_count,
                                            &profile->stack_capacity, sizeof(*stacks), err);
    if (!stacks) {
        return -1;
    }
    profile->stacks = stacks;
    uint32_t *frames = malloc(wanted->depth * sizeof(*frames));
    if (!frames) {
        return pw_err_memory(err);
    }
    memcpy(frames, wanted->frames, wanted->depth * sizeof(*frames));
    uint32_t number = (uint32_t)profile->stack_count;
    profile->stacks[profile->stack_count++] = (struct pw_stack){.frames = frames,
                                                                .depth = wanted->depth,
                                                                .process = wanted->process,
                                                                .broken = wanted->broken};
    table_put(&index->stacks, hash, number);
    *ret_stack = number;
    return 0;
}

static bool is_beyond(const struct pw_cpu_profile *profile, const struct pw_stack *stack)
{
    if (strcmp(profile->processes[stack->process], BEYOND) == 0) {
        return true;
    }
    for (uint32_t i = 0; i < stack->depth; i++) {
        const struct pw_frame *frame = &profile->frames[stack->frames[i]];
        if (frame->kind == PW_FRAME_UNKNOWN && strcmp(frame->name, BEYOND) == 0) {
            return true;
        }
    }
    return false;
}

static int check(const struct pw_cpu_profile *profile, const struct pw_stack *wanted,
                 struct pw_err *err)
{
    bool known = wanted->process < profile->process_count;
    for (uint32_t i = 0; known && i < wanted->depth; i++) {
        known = wanted->frames[i] < profile->frame_count;
    }
    return known ? 0 : pw_err_set(err, PW_ERR_INTERNAL, "a stack of frames that nobody named");
}

int pw_cpu_profile_add(struct pw_cpu_profile *profile, uint32_t process, const uint32_t *frames,
                       uint32_t depth, bool broken, uint64_t samples, int64_t weight_ns,
                       struct pw_err *err)
{
    struct pw_stack wanted = {
        .frames = (uint32_t *)frames, .depth = depth, .process = process, .broken = broken};
    if (depth > PW_LIMIT_PROFILE_DEPTH) {
        wanted.depth = PW_LIMIT_PROFILE_DEPTH;
        wanted.broken = true;
    }
    if (check(profile, &wanted, err) != 0) {
        return -1;
    }
    uint32_t only = 0;
    if (depth == 0) {
        if (pw_cpu_profile_frame(profile, "[unknown]", "", PW_FRAME_UNKNOWN, &only, err) != 0) {
            return -1;
        }
        wanted.frames = &only;
        wanted.depth = 1;
    }
    bool full = false;
    uint32_t number = 0;
    if (stack_intern(profile, &wanted, PW_LIMIT_PROFILE_STACKS - 1, &number, &full, err) != 0) {
        return -1;
    }
    if (full) {
        struct pw_stack beyond = {.frames = &only, .depth = 1};
        if (frame_beyond(profile, &only, err) != 0 ||
            process_beyond(profile, &beyond.process, err) != 0 ||
            stack_intern(profile, &beyond, PW_LIMIT_PROFILE_STACKS, &number, &full, err) != 0) {
            return -1;
        }
    }
    struct pw_stack *stack = &profile->stacks[number];
    weight_ns = weight_ns > 0 ? weight_ns : 0;
    stack->samples = pw_add_saturated(stack->samples, samples);
    stack->weight_ns = pw_add_ns_saturated(stack->weight_ns, weight_ns);
    profile->samples = pw_add_saturated(profile->samples, samples);
    profile->weight_ns = pw_add_ns_saturated(profile->weight_ns, weight_ns);
    if (wanted.broken) {
        profile->broken = pw_add_saturated(profile->broken, samples);
    }
    if (is_beyond(profile, stack)) {
        profile->beyond_limit = pw_add_saturated(profile->beyond_limit, samples);
    }
    return 0;
}

/* --- merging --- */

static int merge_stacks(struct pw_cpu_profile *into, const struct pw_cpu_profile *from,
                        const uint32_t *frame_of, const uint32_t *process_of, struct pw_err *err)
{
    uint32_t frames[PW_LIMIT_PROFILE_DEPTH] = {0};
    size_t count = from->stack_count;
    for (size_t i = 0; i < count; i++) {
        const struct pw_stack *stack = &from->stacks[i];
        const uint32_t depth = stack->depth;
        for (uint32_t k = 0; k < depth; k++) {
            frames[k] = frame_of[stack->frames[k]];
        }
        if (pw_cpu_profile_add(into, process_of[stack->process], frames, depth, stack->broken,
                               stack->samples, stack->weight_ns, err) != 0) {
            return -1;
        }
    }
    return 0;
}

static int merge_names(struct pw_cpu_profile *into, const struct pw_cpu_profile *from,
                       uint32_t *frame_of, uint32_t *process_of, struct pw_err *err)
{
    for (size_t i = 0; i < from->frame_count; i++) {
        const struct pw_frame *frame = &from->frames[i];
        if (pw_cpu_profile_frame(into, frame->name, frame->object, frame->kind, &frame_of[i],
                                 err) != 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < from->process_count; i++) {
        if (pw_cpu_profile_process(into, from->processes[i], &process_of[i], err) != 0) {
            return -1;
        }
    }
    return 0;
}

int pw_cpu_profile_merge(struct pw_cpu_profile *into, const struct pw_cpu_profile *from,
                         struct pw_err *err)
{
    uint32_t *frame_of = calloc(from->frame_count + 1, sizeof(*frame_of));
    uint32_t *process_of = calloc(from->process_count + 1, sizeof(*process_of));
    int status = -1;
    if (!frame_of || !process_of) {
        pw_err_memory(err);
    } else if (merge_names(into, from, frame_of, process_of, err) == 0) {
        /* A stack that went beyond the limit as a whole lost its mark with it. */
        uint64_t broken = pw_add_saturated(into->broken, from->broken);
        status = merge_stacks(into, from, frame_of, process_of, err);
        into->broken = status == 0 ? broken : into->broken;
    }
    free(frame_of);
    free(process_of);
    if (status != 0) {
        return -1;
    }
    into->lost = pw_add_saturated(into->lost, from->lost);
    if (from->first_at_ns != 0 &&
        (into->first_at_ns == 0 || from->first_at_ns < into->first_at_ns)) {
        into->first_at_ns = from->first_at_ns;
    }
    into->last_at_ns = from->last_at_ns > into->last_at_ns ? from->last_at_ns : into->last_at_ns;
    into->hz = into->hz > 0 ? into->hz : from->hz;
    return 0;
}
