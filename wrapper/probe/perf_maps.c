#include "wrapper/probe/perf_maps.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "core/clock.h"
#include "core/file.h"
#include "core/limits.h"
#include "wrapper/probe/perf_index.h"
#include "wrapper/probe/perf_ring.h"

enum {
    GONE_MAX = 1024,
    FIRST_BUCKETS = 64,
    PATH_BYTES = 256,
    MAPS_BYTES_MAX = 64 << 20,
    FIRST_CAPACITY = 16
};

struct map {
    uint64_t start, end, offset; /* addresses from start to end (without it); in its file */
    uint32_t object;
};

struct space {
    size_t users;     /* processes that have it */
    struct map *maps; /* by address, none over another */
    size_t count, capacity;
};

struct process {
    struct process *next; /* in its bucket */
    pid_t pid;
    unsigned threads; /* 0: it has gone */
    struct space *space;
    char comm[PW_PERF_COMM_BYTES];
};

struct pw_perf_maps {
    struct process **buckets;
    size_t bucket_count, process_count; /* a power of two; without those that have gone */
    pid_t gone[GONE_MAX];               /* the last of those, a ring; 0: none */
    size_t gone_at;                     /* the oldest */
    struct pw_perf_object *objects;
    size_t object_count, object_capacity;
    struct pw_perf_index object_index;
    uint64_t dropped;
};

/* As the kernel writes them: PERF_RECORD_FORK and EXIT, COMM, MMAP2 of perf_event_open(2). */
struct task_body {
    uint32_t pid, ppid, tid, ptid;
    uint64_t time_ns;
};
struct comm_body {
    uint32_t pid, tid;
    char comm[];
};
struct mmap_body {
    uint32_t pid, tid;
    uint64_t address, length, offset;
    uint32_t major, minor;
    uint64_t inode, generation;
    uint32_t protection, flags;
    char path[];
};

/* Address spaces */

static void drop_space(struct space *space)
{
    if (space && --space->users == 0) {
        free(space->maps);
        free(space);
    }
}

static struct space *new_space(void)
{
    struct space *space = calloc(1, sizeof *space);
    if (space) {
        space->users = 1;
    }
    return space;
}

/* The process's own, that it can change. NULL: out of memory. */
static struct space *own_space(struct process *process)
{
    struct space *shared = process->space;
    if (shared && shared->users == 1) {
        return shared;
    }
    struct space *space = new_space();
    if (!space || !shared || shared->count == 0) {
        if (space) {
            drop_space(shared);
            process->space = space;
        }
        return space;
    }
    space->maps = malloc(shared->count * sizeof *space->maps);
    if (!space->maps) {
        free(space);
        return NULL;
    }
    memcpy(space->maps, shared->maps, shared->count * sizeof *space->maps);
    space->count = space->capacity = shared->count;
    drop_space(shared);
    process->space = space;
    return space;
}

/* The first map that ends behind `address`. */
static size_t first_behind(const struct space *space, uint64_t address)
{
    size_t low = 0, high = space->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (space->maps[middle].end > address) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

/* Puts `map` over what was there: at most one older map is left in front of it and one behind. */
static bool add_map(struct space *space, struct map map)
{
    size_t first = first_behind(space, map.start), last = first;
    while (last < space->count && space->maps[last].start < map.end) {
        last++;
    }
    struct map pieces[3];
    size_t piece_count = 0;
    if (first < last && space->maps[first].start < map.start) {
        pieces[piece_count] = space->maps[first];
        pieces[piece_count++].end = map.start;
    }
    pieces[piece_count++] = map;
    if (first < last && space->maps[last - 1].end > map.end) {
        struct map *behind = &pieces[piece_count++];
        *behind = space->maps[last - 1];
        behind->offset += map.end - behind->start;
        behind->start = map.end;
    }
    size_t count = space->count - (last - first) + piece_count;
    if (count > PW_LIMIT_SAMPLED_MAPS) {
        return false;
    }
    if (count > space->capacity) {
        size_t capacity =
            space->capacity * 2 > count ? space->capacity * 2 : count + FIRST_CAPACITY;
        struct map *maps = reallocarray(space->maps, capacity, sizeof *maps);
        if (!maps) {
            return false;
        }
        space->maps = maps;
        space->capacity = capacity;
    }
    memmove(space->maps + first + piece_count, space->maps + last,
            (space->count - last) * sizeof *space->maps);
    memcpy(space->maps + first, pieces, piece_count * sizeof *pieces);
    space->count = count;
    return true;
}

/* Processes */

static struct process **place_of(const struct pw_perf_maps *maps, pid_t pid)
{
    struct process **place = &maps->buckets[(size_t)pid & (maps->bucket_count - 1)];
    while (*place && (*place)->pid != pid) {
        place = &(*place)->next;
    }
    return place;
}

static void grow_buckets(struct pw_perf_maps *maps)
{
    size_t count = maps->bucket_count * 2;
    struct process **buckets = calloc(count, sizeof(struct process *));
    if (!buckets) {
        return; /* slower, not wrong */
    }
    for (size_t i = 0; i < maps->bucket_count; i++) {
        struct process *next = NULL;
        for (struct process *process = maps->buckets[i]; process; process = next) {
            next = process->next;
            struct process **bucket = &buckets[(size_t)process->pid & (count - 1)];
            process->next = *bucket;
            *bucket = process;
        }
    }
    free(maps->buckets);
    maps->buckets = buckets;
    maps->bucket_count = count;
}

static void remove_process(struct pw_perf_maps *maps, struct process **place)
{
    struct process *process = *place;
    if (process) {
        *place = process->next;
        maps->process_count -= process->threads > 0;
        drop_space(process->space);
        free(process);
    }
}

/* The process, made if it is not known. */
static struct process *get_process(struct pw_perf_maps *maps, pid_t pid)
{
    struct process *process = *place_of(maps, pid);
    if (process && process->threads == 0) {
        remove_process(maps, place_of(maps, pid));
        process = NULL;
    }
    if (process) {
        return process;
    }
    process = maps->process_count < PW_LIMIT_TREE_PROCESSES ? calloc(1, sizeof *process) : NULL;
    if (!process) {
        maps->dropped++;
        return NULL;
    }
    if (maps->process_count >= maps->bucket_count) {
        grow_buckets(maps);
    }
    process->pid = pid;
    process->threads = 1;
    *place_of(maps, pid) = process;
    maps->process_count++;
    return process;
}

/* Objects */

struct looked_for {
    const struct pw_perf_maps *maps;
    const struct pw_perf_object *object;
};

static bool is_same_file(const struct pw_file_id *a, const struct pw_file_id *b)
{
    return a->inode == b->inode && a->generation == b->generation && a->major == b->major &&
           a->minor == b->minor;
}

static bool is_same_object(const void *context, uint32_t number)
{
    const struct looked_for *wanted = context;
    const struct pw_perf_object *a = wanted->object, *b = &wanted->maps->objects[number];
    return a->is_file == b->is_file && (a->is_file || a->pid == b->pid) &&
           strcmp(a->path, b->path) == 0 && is_same_file(&a->file, &b->file);
}

static uint32_t add_object(struct pw_perf_maps *maps, uint32_t hash,
                           const struct pw_perf_object *object)
{
    if (maps->object_count >= PW_LIMIT_SAMPLED_OBJECTS) {
        return PW_PERF_INDEX_NONE;
    }
    if (maps->object_count == maps->object_capacity) {
        size_t capacity = maps->object_capacity ? maps->object_capacity * 2 : FIRST_CAPACITY;
        struct pw_perf_object *objects = reallocarray(maps->objects, capacity, sizeof *objects);
        if (!objects) {
            return PW_PERF_INDEX_NONE;
        }
        maps->objects = objects;
        maps->object_capacity = capacity;
    }
    char *path = strdup(object->path);
    if (!path || !pw_perf_index_add(&maps->object_index, hash, (uint32_t)maps->object_count)) {
        free(path);
        return PW_PERF_INDEX_NONE;
    }
    struct pw_perf_object *added = &maps->objects[maps->object_count++];
    *added = *object;
    added->path = path;
    return (uint32_t)(maps->object_count - 1);
}

/* Paths of what is in no file: shared memory, where some JIT compilers write too. */
static bool is_memory(const char *path)
{
    static const char *const begins[] = {"//", "/memfd:", "/SYSV", "/dev/zero", "/anon_hugepage"};
    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++) {
        if (strncmp(path, begins[i], strlen(begins[i])) == 0) {
            return true;
        }
    }
    return false;
}

/* An image that the kernel maps without a file: what it tells as its offset there is none. */
static bool is_vdso(const char *path)
{
    return strcmp(path, "[vdso]") == 0;
}

static uint32_t get_object(struct pw_perf_maps *maps, struct pw_perf_object *object)
{
    object->is_file = (object->path[0] == '/' && !is_memory(object->path)) || is_vdso(object->path);
    /* The kernel's word for no name. */
    if (strcmp(object->path, "//anon") == 0) {
        object->path = "";
    }
    uint32_t hash = pw_perf_hash(object->is_file ? 0 : (uint32_t)object->pid, object->path,
                                 strlen(object->path));
    struct looked_for wanted = {.maps = maps, .object = object};
    uint32_t number = pw_perf_index_find(&maps->object_index, hash, is_same_object, &wanted);
    if (number == PW_PERF_INDEX_NONE) {
        return add_object(maps, hash, object);
    }
    maps->objects[number].pid = object->pid;
    return number;
}

static void map_object(struct pw_perf_maps *maps, struct map map, struct pw_perf_object *object)
{
    struct process *process = get_process(maps, object->pid);
    struct space *space = process ? own_space(process) : NULL;
    if (!space) {
        maps->dropped += process != NULL;
        return;
    }
    map.object = get_object(maps, object);
    if (is_vdso(object->path)) {
        map.offset = 0;
    }
    if (map.object == PW_PERF_INDEX_NONE || !add_map(space, map)) {
        maps->dropped++;
    }
}

/* Records */

static void note_fork(struct pw_perf_maps *maps, const struct task_body *body)
{
    if (body->pid == body->ppid) {
        struct process *process = get_process(maps, (pid_t)body->pid);
        if (process) {
            process->threads++;
        }
        return;
    }
    /* Whoever had the pid before has gone without a word that came through. */
    remove_process(maps, place_of(maps, (pid_t)body->pid));
    struct process *child = get_process(maps, (pid_t)body->pid);
    const struct process *parent = *place_of(maps, (pid_t)body->ppid);
    if (child && parent) {
        memcpy(child->comm, parent->comm, sizeof child->comm);
        child->space = parent->space;
        if (child->space) {
            child->space->users++;
        }
    }
}

static void note_exit(struct pw_perf_maps *maps, const struct task_body *body)
{
    struct process *process = *place_of(maps, (pid_t)body->pid);
    if (!process || process->threads == 0 || --process->threads > 0) {
        return;
    }
    /* What it does in the kernel after this record is its own still: a tenth of the time of a
     * process that does nothing else. */
    maps->process_count--;
    drop_space(process->space);
    process->space = NULL;
    pid_t *oldest = &maps->gone[maps->gone_at++ % GONE_MAX];
    struct process **evicted = place_of(maps, *oldest);
    if (*evicted && (*evicted)->threads == 0 && *oldest != process->pid) {
        remove_process(maps, evicted);
    }
    *oldest = process->pid;
}

static void note_comm(struct pw_perf_maps *maps, const struct perf_event_header *record)
{
    const struct comm_body *body = (const void *)(record + 1);
    bool is_exec = record->misc & PERF_RECORD_MISC_COMM_EXEC;
    if (!is_exec && body->pid != body->tid) {
        return; /* a thread's name is not its process's */
    }
    struct process *process = get_process(maps, (pid_t)body->pid);
    if (!process) {
        return;
    }
    size_t room = record->size - sizeof *record - sizeof *body;
    snprintf(process->comm, sizeof process->comm, "%.*s", (int)room, body->comm);
    if (is_exec) {
        drop_space(process->space);
        process->space = NULL;
        process->threads = 1;
    }
}

static void note_mmap(struct pw_perf_maps *maps, const struct perf_event_header *record,
                      uint64_t at_ns)
{
    const struct mmap_body *body = (const void *)(record + 1);
    size_t room = record->size - sizeof *record - sizeof *body;
    if (!(body->protection & PROT_EXEC) || body->length == 0 ||
        body->address + body->length < body->address || !memchr(body->path, '\0', room)) {
        return;
    }
    /* PERF_RECORD_MISC_MMAP_BUILD_ID means nothing in the records of who has not asked for build
     * ids: kernels leave it set after writing the same record for another who has. */
    struct pw_perf_object object = {.path = body->path,
                                    .pid = (pid_t)body->pid,
                                    .file = {.major = body->major,
                                             .minor = body->minor,
                                             .inode = body->inode,
                                             .generation = body->generation},
                                    .mapped_at_ns = (int64_t)at_ns};
    map_object(maps,
               (struct map){.start = body->address,
                            .end = body->address + body->length,
                            .offset = body->offset},
               &object);
}

void pw_perf_maps_record(struct pw_perf_maps *maps, const struct perf_event_header *record)
{
    const void *body = record + 1;
    size_t tail = sizeof(struct pw_perf_tail), size = record->size;
    struct pw_perf_tail end;
    if (record->type == PERF_RECORD_SAMPLE || !pw_perf_tail_read(record, &end)) {
        return;
    }
    size -= sizeof *record + tail;
    if (record->type == PERF_RECORD_FORK && size >= sizeof(struct task_body)) {
        note_fork(maps, body);
    } else if (record->type == PERF_RECORD_EXIT && size >= sizeof(struct task_body)) {
        note_exit(maps, body);
    } else if (record->type == PERF_RECORD_COMM && size > sizeof(struct comm_body)) {
        note_comm(maps, record);
    } else if (record->type == PERF_RECORD_MMAP2 && size > sizeof(struct mmap_body)) {
        note_mmap(maps, record, end.time_ns);
    }
}

/* A line of /proc/PID/maps: "start-end perms offset device inode   path". */
static void read_line(struct pw_perf_maps *maps, pid_t pid, const char *line)
{
    enum { BASE = 16, PERMS = 5, EXEC_AT = 2 };
    struct map map = {.object = 0};
    char *at = NULL;
    map.start = strtoull(line, &at, BASE);
    if (*at != '-') {
        return;
    }
    map.end = strtoull(at + 1, &at, BASE);
    if (*at != ' ' || strlen(at) <= PERMS || at[1 + EXEC_AT] != 'x' || map.end <= map.start) {
        return;
    }
    map.offset = strtoull(at + PERMS + 1, &at, BASE);
    struct pw_perf_object object = {.pid = pid, .mapped_at_ns = pw_clock_now_ns()};
    object.file.major = (uint32_t)strtoul(at, &at, BASE);
    object.file.minor = *at == ':' ? (uint32_t)strtoul(at + 1, &at, BASE) : 0;
    object.file.inode = strtoull(at, &at, 10);
    object.path = at + strspn(at, " ");
    map_object(maps, map, &object);
}

int pw_perf_maps_read(struct pw_perf_maps *maps, const char *proc_root, pid_t pid,
                      struct pw_err *err)
{
    PW_FREE_AUTO char *text = NULL;
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/%d/maps", proc_root, pid);
    if (pw_file_read(path, MAPS_BYTES_MAX, &text, NULL, err) != 0) {
        return -1;
    }
    snprintf(path, sizeof path, "%s/%d/comm", proc_root, pid);
    PW_FREE_AUTO char *name = NULL;
    if (pw_file_read(path, PATH_BYTES, &name, NULL, err) != 0) {
        return -1;
    }
    struct process *process = get_process(maps, pid);
    if (!process) {
        return pw_err_memory(err);
    }
    snprintf(process->comm, sizeof process->comm, "%.*s", (int)strcspn(name, "\n"), name);
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        read_line(maps, pid, line);
    }
    return 0;
}

/* Questions */

uint32_t pw_perf_maps_resolve(const struct pw_perf_maps *maps, pid_t pid, uint64_t address,
                              uint64_t *ret_offset)
{
    const struct process *process = *place_of(maps, pid);
    *ret_offset = address;
    if (!process || !process->space) {
        return PW_PERF_OBJECT_NOWHERE;
    }
    size_t at = first_behind(process->space, address);
    if (at == process->space->count || process->space->maps[at].start > address) {
        return PW_PERF_OBJECT_NOWHERE;
    }
    const struct map *map = &process->space->maps[at];
    if (maps->objects[map->object].is_file) {
        *ret_offset = address - map->start + map->offset;
    }
    return map->object;
}

const struct pw_perf_object *pw_perf_maps_object(const struct pw_perf_maps *maps, uint32_t number)
{
    return &maps->objects[number];
}

const char *pw_perf_maps_comm(const struct pw_perf_maps *maps, pid_t pid)
{
    const struct process *process = *place_of(maps, pid);
    return process ? process->comm : "";
}

void pw_perf_maps_forget(struct pw_perf_maps *maps, pid_t pid)
{
    remove_process(maps, place_of(maps, pid));
}

bool pw_perf_maps_knows(const struct pw_perf_maps *maps, pid_t pid)
{
    return *place_of(maps, pid) != NULL;
}

size_t pw_perf_maps_processes(const struct pw_perf_maps *maps)
{
    return maps->process_count;
}

uint64_t pw_perf_maps_dropped(const struct pw_perf_maps *maps)
{
    return maps->dropped;
}

struct pw_perf_maps *pw_perf_maps_new(void)
{
    struct pw_perf_maps *maps = calloc(1, sizeof *maps);
    if (!maps) {
        return NULL;
    }
    maps->bucket_count = FIRST_BUCKETS;
    maps->buckets = calloc(maps->bucket_count, sizeof(struct process *));
    struct pw_perf_object nowhere = {.path = ""}, kernel = {.path = "[kernel]"};
    if (!maps->buckets || add_object(maps, 0, &nowhere) != PW_PERF_OBJECT_NOWHERE ||
        add_object(maps, 0, &kernel) != PW_PERF_OBJECT_KERNEL) {
        pw_perf_maps_free(maps);
        return NULL;
    }
    return maps;
}

void pw_perf_maps_free(struct pw_perf_maps *maps)
{
    if (!maps) {
        return;
    }
    for (size_t i = 0; maps->buckets && i < maps->bucket_count; i++) {
        while (maps->buckets[i]) {
            remove_process(maps, &maps->buckets[i]);
        }
    }
    for (size_t i = 0; i < maps->object_count; i++) {
        free((char *)maps->objects[i].path);
    }
    pw_perf_index_done(&maps->object_index);
    free(maps->objects);
    free(maps->buckets);
    free(maps);
}
