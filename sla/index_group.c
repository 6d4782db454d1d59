/* Runs into groups: by name, in order of time, of one machine, the last ones. Contract, section 8.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "core/limits.h"
#include "core/str.h"
#include "sla/index_impl.h"

/* ---------------------------------------------------------------- names */

/* In the contract's order: the first that fits. */
static const struct {
    const char *part, *group;
} kinds[] = {
    {"stream", "streaming"}, {"throughput", "throughput"},
    {"cold", "cold"},        {"startup", "cold"},
    {"exec", "exec"},        {"smoke", "smoke"},
    {"stress", "stress"},
};
enum { KIND_COUNT = sizeof kinds / sizeof *kinds };

/* The last segment of a path, without slashes at its end. */
static const char *last_segment(const char *path, size_t *ret_length)
{
    size_t end = strlen(path);
    while (end > 0 && path[end - 1] == '/') {
        end--;
    }
    size_t start = end;
    while (start > 0 && path[start - 1] != '/') {
        start--;
    }
    *ret_length = end - start;
    return path + start;
}

/* Of the folder that the run says it was written to, and if it does not say, of that it is in: a
 * summary that was copied elsewhere keeps its name. */
static const char *run_folder(const struct pw_index_run *run, size_t *ret_length)
{
    const char *name = NULL;
    if (run->texts[PW_INDEX_RUN_DIR]) {
        name = last_segment(run->texts[PW_INDEX_RUN_DIR], ret_length);
        if (*ret_length > 0) {
            return name;
        }
    }
    const char *file = strrchr(run->path, '/');
    const char *start = file;
    while (start && start > run->path && start[-1] != '/') {
        start--;
    }
    *ret_length = file ? (size_t)(file - start) : 0;
    return file ? start : "";
}

static bool all_digits(const char *text, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
    }
    return true;
}

/* Without "-YYYYMMDD-HHMMSS" at the end, unless that is all. */
static size_t cut_stamp(const char *name, size_t length)
{
    enum { STAMP_LENGTH = 16, DATE_LENGTH = 8, TIME_LENGTH = 6 };
    if (length <= STAMP_LENGTH) {
        return length;
    }
    const char *stamp = name + length - STAMP_LENGTH;
    bool is_stamp = stamp[0] == '-' && all_digits(stamp + 1, DATE_LENGTH) &&
                    stamp[1 + DATE_LENGTH] == '-' &&
                    all_digits(stamp + 2 + DATE_LENGTH, TIME_LENGTH);
    return is_stamp ? length - STAMP_LENGTH : length;
}

char *pw_index_group_name(const struct pw_index_run *run, bool exact, struct pw_err *err)
{
    const char *name = run->texts[PW_INDEX_PROFILE_NAME];
    size_t length = name ? strlen(name) : 0;
    if (length == 0) {
        name = run_folder(run, &length);
    }
    if (length == 0) {
        name = "unnamed";
        length = strlen(name);
    }
    char *own = strndup(name, cut_stamp(name, length));
    if (!own) {
        pw_err_memory(err);
        return NULL;
    }
    for (size_t i = 0; !exact && i < KIND_COUNT; i++) {
        if (strcasestr(own, kinds[i].part)) {
            free(own);
            own = strdup(kinds[i].group);
            if (!own) {
                pw_err_memory(err);
            }
            return own;
        }
    }
    return own;
}

/* ---------------------------------------------------------------- machines */

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_number(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

bool pw_index_same_machine(const struct pw_index_run *a, const struct pw_index_run *b)
{
    static const enum pw_index_text parts[] = {PW_INDEX_CPU_MODEL, PW_INDEX_KERNEL, PW_INDEX_ARCH,
                                               PW_INDEX_ACCELERATOR, PW_INDEX_GUEST};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (!same_text(a->texts[parts[i]], b->texts[parts[i]])) {
            return false;
        }
    }
    return same_number(a->cpu_count, b->cpu_count);
}

/* ---------------------------------------------------------------- order */

/* By time; what has none is older than what has one, and goes by its text. Then as given. */
static int compare_runs(const void *left, const void *right)
{
    const struct pw_index_run *a = *(struct pw_index_run *const *)left;
    const struct pw_index_run *b = *(struct pw_index_run *const *)right;
    int order = 0;
    if (a->has_time != b->has_time) {
        return a->has_time ? 1 : -1;
    }
    if (a->has_time) {
        order = (a->time_sec > b->time_sec) - (a->time_sec < b->time_sec);
        order = order ? order : (a->time_nsec > b->time_nsec) - (a->time_nsec < b->time_nsec);
    } else {
        const char *first = a->texts[PW_INDEX_GENERATED_AT];
        const char *second = b->texts[PW_INDEX_GENERATED_AT];
        order = strcmp(first ? first : "", second ? second : "");
    }
    return order ? order : (a->order > b->order) - (a->order < b->order);
}

/* Sorts, and leaves the last `window` runs of the latest one's machine. */
static void settle(struct pw_index_group *group, const struct pw_index_options *options)
{
    if (!group->runs || group->count == 0) {
        return; /* there is none without a run */
    }
    qsort(group->runs, group->count, sizeof(struct pw_index_run *), compare_runs);
    const struct pw_index_run *latest = group->runs[group->count - 1];
    size_t kept = 0;
    for (size_t i = 0; i < group->count; i++) {
        if (options->mix || pw_index_same_machine(group->runs[i], latest)) {
            group->runs[kept++] = group->runs[i];
        }
    }
    group->excluded = group->count - kept;
    size_t window = kept < options->window ? kept : options->window;
    memmove(group->runs, group->runs + (kept - window), window * sizeof(struct pw_index_run *));
    group->count = window;
}

/* ---------------------------------------------------------------- groups */

/* Group of each name, by hash; open addressing. */
struct names {
    uint32_t *slots; /* index of a group and 1; 0: free */
    size_t slot_count;
};
enum { SLOT_COUNT = 4 * PW_LIMIT_INDEX_GROUPS }; /* the table never fills */
_Static_assert((SLOT_COUNT & (SLOT_COUNT - 1)) == 0, "a power of two");

static uint32_t *slot_of(const struct names *names, const struct pw_index_groups *groups,
                         const char *name)
{
    uint64_t hash = 0xCBF29CE484222325U; /* FNV-1a */
    for (const char *at = name; *at; at++) {
        hash = (hash ^ (unsigned char)*at) * 0x100000001B3U;
    }
    size_t slot = (size_t)(hash ^ hash >> 32) & (names->slot_count - 1);
    while (names->slots[slot] && strcmp(groups->items[names->slots[slot] - 1].name, name) != 0) {
        slot = (slot + 1) & (names->slot_count - 1);
    }
    return &names->slots[slot];
}

/* Takes `name`. */
static int add_group(struct pw_index_groups *groups, char *name, struct pw_err *err)
{
    if (groups->count == PW_LIMIT_INDEX_GROUPS) {
        free(name);
        pw_err_set(err, PW_ERR_INPUT, "more than %d groups of summaries", PW_LIMIT_INDEX_GROUPS);
        return pw_err_remedy(err, "Give runs that belong together the same --profile-name.");
    }
    if (groups->count == groups->capacity) {
        size_t capacity = groups->capacity > 0 ? groups->capacity * 2 : 16;
        struct pw_index_group *items = reallocarray(groups->items, capacity, sizeof(*items));
        if (!items) {
            free(name);
            return pw_err_memory(err);
        }
        groups->items = items;
        groups->capacity = capacity;
    }
    groups->items[groups->count++] = (struct pw_index_group){.name = name};
    return 0;
}

static int add_run(struct pw_index_groups *groups, size_t which, struct pw_index_run *run,
                   struct pw_err *err)
{
    if (!groups->items || which >= groups->count) {
        return pw_err_set(err, PW_ERR_INTERNAL, "index: no such group");
    }
    struct pw_index_group *group = &groups->items[which];
    if (group->count == group->capacity) {
        size_t capacity = group->capacity > 0 ? group->capacity * 2 : 16;
        struct pw_index_run **runs =
            reallocarray(group->runs, capacity, sizeof(struct pw_index_run *));
        if (!runs) {
            return pw_err_memory(err);
        }
        group->runs = runs;
        group->capacity = capacity;
    }
    group->runs[group->count++] = run;
    return 0;
}

static int sort_in(struct pw_index_groups *groups, const struct names *names,
                   struct pw_index_run *run, bool exact, struct pw_err *err)
{
    char *name = pw_index_group_name(run, exact, err);
    if (!name) {
        return -1;
    }
    uint32_t *slot = slot_of(names, groups, name);
    if (*slot) {
        free(name);
    } else {
        if (add_group(groups, name, err) != 0) {
            return -1;
        }
        *slot = (uint32_t)groups->count;
    }
    return add_run(groups, *slot - 1, run, err);
}

int pw_index_groups_make(const struct pw_index_runs *runs, const struct pw_index_options *options,
                         struct pw_index_groups *ret_groups, struct pw_err *err)
{
    struct pw_index_groups groups = {0};
    struct names names = {.slots = calloc(SLOT_COUNT, sizeof(uint32_t)), .slot_count = SLOT_COUNT};
    if (!names.slots) {
        return pw_err_memory(err);
    }
    int failed = 0;
    for (size_t i = 0; i < runs->count && !failed; i++) {
        struct pw_index_run *run = pw_index_runs_at(runs, i);
        if (run->state == PW_INDEX_READ || run->state == PW_INDEX_FROM_CACHE) {
            failed = sort_in(&groups, &names, run, options->exact, err);
        }
    }
    free(names.slots);
    if (failed) {
        pw_index_groups_done(&groups);
        return -1;
    }
    for (size_t i = 0; i < groups.count; i++) {
        settle(&groups.items[i], options);
    }
    *ret_groups = groups;
    return 0;
}

void pw_index_groups_done(struct pw_index_groups *groups)
{
    for (size_t i = 0; i < groups->count; i++) {
        free(groups->items[i].name);
        free(groups->items[i].runs);
    }
    free(groups->items);
    *groups = (struct pw_index_groups){0};
}
