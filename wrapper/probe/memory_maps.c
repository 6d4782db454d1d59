#include "wrapper/probe/memory_maps.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/limits.h"
#include "core/saturate.h"

enum {
    READ_BYTES = 65536,
    LINE_BYTES = 20480, /* a path of PATH_MAX, of which each byte may be written as \ooo */
    FIRST_SLOTS = 256,  /* a power of two */
};

struct sum {
    uint64_t hash;
    size_t name_at, name_length; /* in `names` */
    uint64_t pss_bytes, rss_bytes, swap_bytes;
    uint32_t processes, last_process;
};

struct pw_memory_maps {
    struct sum *sums;
    size_t count, capacity;
    uint32_t *slots; /* hash table: index into `sums` plus 1, 0 for free */
    size_t slot_count;
    char *names;
    size_t names_length, names_capacity;
    struct sum beyond; /* what has no entry of its own */
    uint64_t bytes_read;
    uint32_t process; /* number of the one that is being read, from 1 */
    bool partial;
    /* Of the text: */
    char line[LINE_BYTES];
    size_t line_length;
    bool has_mapping;
    char name[LINE_BYTES];
    size_t name_length;
    uint64_t pss_bytes, rss_bytes, swap_bytes;
    char piece[READ_BYTES];
};

static const char beyond_name[] = "[beyond the limit]";

int pw_memory_maps_new(struct pw_memory_maps **ret_maps, struct pw_err *err)
{
    struct pw_memory_maps *maps = calloc(1, sizeof *maps);

    if (maps == NULL)
        return pw_err_memory(err);
    maps->slots = calloc(FIRST_SLOTS, sizeof *maps->slots);
    if (maps->slots == NULL) {
        free(maps);
        return pw_err_memory(err);
    }
    maps->slot_count = FIRST_SLOTS;
    pw_memory_maps_begin(maps);
    *ret_maps = maps;
    return 0;
}

void pw_memory_maps_free(struct pw_memory_maps *maps)
{
    if (maps == NULL)
        return;
    free(maps->sums);
    free(maps->slots);
    free(maps->names);
    free(maps);
}

void pw_memory_maps_begin(struct pw_memory_maps *maps)
{
    memset(maps->slots, 0, maps->slot_count * sizeof *maps->slots);
    maps->count = maps->names_length = maps->line_length = 0;
    maps->beyond = (struct sum){0};
    maps->bytes_read = 0;
    maps->process = 1;
    maps->partial = maps->has_mapping = false;
}

/* Sums by name */

/* FNV-1a. */
static uint64_t hash_of(const char *name, size_t length)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)name[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static size_t slot_of(const struct pw_memory_maps *maps, uint64_t hash, const char *name,
                      size_t length)
{
    size_t mask = maps->slot_count - 1, slot = (size_t)hash & mask;

    for (; maps->slots[slot] != 0; slot = (slot + 1) & mask) {
        const struct sum *sum = &maps->sums[maps->slots[slot] - 1];
        if (sum->hash == hash && sum->name_length == length &&
            memcmp(maps->names + sum->name_at, name, length) == 0)
            break;
    }
    return slot;
}

/* At least half of the slots stay free. */
static bool grow_slots(struct pw_memory_maps *maps)
{
    size_t count = maps->slot_count * 2;
    uint32_t *slots = calloc(count, sizeof *slots);

    if (slots == NULL)
        return false;
    for (size_t i = 0; i < maps->count; i++) {
        size_t slot = (size_t)maps->sums[i].hash & (count - 1);
        while (slots[slot] != 0)
            slot = (slot + 1) & (count - 1);
        slots[slot] = (uint32_t)i + 1;
    }
    free(maps->slots);
    maps->slots = slots;
    maps->slot_count = count;
    return true;
}

static bool has_room(struct pw_memory_maps *maps, size_t name_length)
{
    if (maps->count >= PW_LIMIT_MAPPING_NAMES ||
        maps->names_length + name_length > PW_LIMIT_MAPPING_NAME_BYTES)
        return false;
    if ((maps->count + 1) * 2 > maps->slot_count && !grow_slots(maps))
        return false;
    if (maps->count == maps->capacity) {
        size_t capacity = maps->capacity == 0 ? FIRST_SLOTS / 2 : maps->capacity * 2;
        struct sum *sums = realloc(maps->sums, capacity * sizeof *sums);
        if (sums == NULL)
            return false;
        maps->sums = sums;
        maps->capacity = capacity;
    }
    if (maps->names_length + name_length > maps->names_capacity) {
        size_t capacity = (maps->names_length + name_length) * 2;
        char *names = realloc(maps->names, capacity);
        if (names == NULL)
            return false;
        maps->names = names;
        maps->names_capacity = capacity;
    }
    return true;
}

static struct sum *find_or_add(struct pw_memory_maps *maps, const char *name, size_t length)
{
    uint64_t hash = hash_of(name, length);
    size_t slot = slot_of(maps, hash, name, length);

    if (maps->slots[slot] != 0)
        return &maps->sums[maps->slots[slot] - 1];
    if (!has_room(maps, length)) {
        maps->partial = true;
        return &maps->beyond;
    }
    slot = slot_of(maps, hash, name, length); /* the table may have grown */
    struct sum *sum = &maps->sums[maps->count++];
    *sum = (struct sum){.hash = hash, .name_at = maps->names_length, .name_length = length};
    memcpy(maps->names + maps->names_length, name, length);
    maps->names_length += length;
    maps->slots[slot] = (uint32_t)maps->count;
    return sum;
}

/* The text */

static bool begins_with(const char *text, size_t length, const char *prefix)
{
    size_t prefix_length = strlen(prefix);

    return length >= prefix_length && memcmp(text, prefix, prefix_length) == 0;
}

/* The name under which a mapping counts. The kernel shows memory that never was a file in a folder
 * as a deleted one. */
static void set_name(struct pw_memory_maps *maps, const char *path, size_t length)
{
    static const char deleted[] = " (deleted)";
    static const char anon[] = "[anon]", shared[] = "[anon_shmem]";
    const size_t tail = sizeof deleted - 1;

    if (length > tail && memcmp(path + length - tail, deleted, tail) == 0) {
        size_t rest = length - tail;
        if (begins_with(path, rest, "/memfd:") || begins_with(path, rest, "/SYSV")) {
            path++;
            length = rest - 1;
        } else if (rest == strlen("/dev/zero") && begins_with(path, rest, "/dev/zero")) {
            path = shared;
            length = sizeof shared - 1;
        }
    } else if (length == 0) {
        path = anon;
        length = sizeof anon - 1;
    }
    memcpy(maps->name, path, length);
    maps->name_length = length;
}

static void end_mapping(struct pw_memory_maps *maps)
{
    bool is_empty = maps->pss_bytes == 0 && maps->rss_bytes == 0 && maps->swap_bytes == 0;

    if (maps->has_mapping && !is_empty) {
        struct sum *sum = find_or_add(maps, maps->name, maps->name_length);
        sum->pss_bytes = pw_add_saturated(sum->pss_bytes, maps->pss_bytes);
        sum->rss_bytes = pw_add_saturated(sum->rss_bytes, maps->rss_bytes);
        sum->swap_bytes = pw_add_saturated(sum->swap_bytes, maps->swap_bytes);
        sum->processes += sum->last_process != maps->process;
        sum->last_process = maps->process;
    }
    maps->has_mapping = false;
    maps->pss_bytes = maps->rss_bytes = maps->swap_bytes = 0;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

/* "55d0-55e0 r-xp 00001000 08:01 1234    /path": true, and where the path begins, or the line's
 * end. */
static bool find_path(const char *line, size_t length, size_t *ret_at)
{
    enum { FIELDS = 5 };
    size_t at = 0;

    while (at < length && is_hex(line[at]))
        at++;
    if (at == 0 || at == length || line[at] != '-')
        return false;
    for (int field = 0; field < FIELDS; field++) {
        while (at < length && line[at] != ' ')
            at++;
        while (at < length && line[at] == ' ')
            at++;
    }
    *ret_at = at;
    return true;
}

/* "Pss:      12 kB" */
static bool read_kib(const char *line, size_t length, const char *name, uint64_t *ret_bytes)
{
    const char *cursor = line + strlen(name), *end = line + length;
    uint64_t kib;

    if (!begins_with(line, length, name))
        return false;
    while (cursor < end && *cursor == ' ')
        cursor++;
    if (!pw_proc_number_next(&cursor, end, &kib))
        return false;
    *ret_bytes = kib > PW_PROC_NUMBER_MAX / 1024 ? PW_PROC_NUMBER_MAX : kib * 1024;
    return true;
}

static void end_line(struct pw_memory_maps *maps)
{
    const char *line = maps->line;
    size_t length = maps->line_length, path_at;

    maps->line_length = 0;
    if (find_path(line, length, &path_at)) {
        end_mapping(maps);
        maps->has_mapping = true;
        set_name(maps, line + path_at, length - path_at);
    } else if (maps->has_mapping) {
        (void)(read_kib(line, length, "Rss:", &maps->rss_bytes) ||
               read_kib(line, length, "Pss:", &maps->pss_bytes) ||
               read_kib(line, length, "SwapPss:", &maps->swap_bytes));
    }
}

void pw_memory_maps_feed(struct pw_memory_maps *maps, const char *text, size_t length)
{
    const char *end = text + length;

    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        size_t piece = (size_t)((newline != NULL ? newline : end) - text);
        size_t room = sizeof maps->line - maps->line_length;
        size_t taken = piece < room ? piece : room;
        memcpy(maps->line + maps->line_length, text, taken);
        maps->line_length += taken;
        text += piece;
        if (newline != NULL) {
            end_line(maps);
            text++;
        }
    }
}

void pw_memory_maps_end_process(struct pw_memory_maps *maps)
{
    if (maps->line_length > 0)
        end_line(maps);
    end_mapping(maps);
    maps->process++;
}

enum pw_proc_outcome pw_memory_maps_read(struct pw_memory_maps *maps, int fd)
{
    enum pw_proc_outcome outcome = PW_PROC_OK;

    for (;;) {
        if (maps->bytes_read >= PW_LIMIT_SMAPS_BYTES) {
            maps->partial = true;
            break;
        }
        ssize_t length = read(fd, maps->piece, sizeof maps->piece);
        if (length < 0 && errno == EINTR)
            continue;
        if (length < 0)
            outcome = pw_proc_outcome_of(errno);
        if (length <= 0)
            break;
        maps->bytes_read += (uint64_t)length;
        pw_memory_maps_feed(maps, maps->piece, (size_t)length);
    }
    pw_memory_maps_end_process(maps);
    return outcome;
}

/* The largest */

static bool is_larger(const struct pw_memory_maps *maps, const struct sum *a, const struct sum *b)
{
    if (a->pss_bytes != b->pss_bytes)
        return a->pss_bytes > b->pss_bytes;
    if (a->swap_bytes != b->swap_bytes)
        return a->swap_bytes > b->swap_bytes;
    /* By name, so that the order does not depend on that of the processes. */
    size_t shorter = a->name_length < b->name_length ? a->name_length : b->name_length;
    int order =
        shorter == 0 ? 0 : memcmp(maps->names + a->name_at, maps->names + b->name_at, shorter);
    return order != 0 ? order < 0 : a->name_length < b->name_length;
}

void pw_memory_maps_top(const struct pw_memory_maps *maps, struct pw_memory_breakdown *breakdown)
{
    const struct sum *top[PW_MEMORY_TOP + 1];
    const bool has_beyond = maps->beyond.processes > 0;
    const size_t total = maps->count + has_beyond;
    size_t count = 0;

    for (size_t i = 0; i < total; i++) {
        const struct sum *sum = i < maps->count ? &maps->sums[i] : &maps->beyond;
        size_t at = count;
        for (; at > 0 && is_larger(maps, sum, top[at - 1]); at--)
            top[at] = top[at - 1];
        top[at] = sum;
        count += count < PW_MEMORY_TOP;
    }
    for (size_t i = 0; i < count; i++) {
        struct pw_memory_mapping *mapping = &breakdown->mappings[i];
        bool is_beyond = top[i] == &maps->beyond;
        const char *name = is_beyond ? beyond_name : maps->names + top[i]->name_at;
        size_t length = is_beyond ? sizeof beyond_name - 1 : top[i]->name_length;
        pw_memory_name_set(mapping->name, name, length);
        mapping->pss_bytes = top[i]->pss_bytes;
        mapping->rss_bytes = top[i]->rss_bytes;
        mapping->swap_bytes = top[i]->swap_bytes;
        mapping->processes = top[i]->processes;
    }
    breakdown->mapping_count = count;
    breakdown->mapping_names = total;
    breakdown->partial = breakdown->partial || maps->partial;
}
