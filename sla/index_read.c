/*
 * One summary, as fast as it can be read.
 *
 * More than half of most summaries is the list `runs`, of which an index needs nothing. So of a
 * file as perfwrap writes it (indented by two, all that is wanted before `runs`) only the
 * beginning and the end are read: what stands before the runs is understood as ever, and behind
 * them the document must end in the one way in which such a document ends, so that a file that was
 * cut off is never taken. Where anything is otherwise, all of the file is read.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/clock.h"
#include "core/file.h"
#include "core/json_pick.h"
#include "core/limits.h"
#include "core/str.h"
#include "core/summary.h"
#include "sla/guest.h"
#include "sla/index_impl.h"

enum {
    FIRST_BUFFER_BYTES = 256 << 10,
    KEPT_BUFFER_BYTES = 8 << 20, /* a larger one is given back */
    HEAD_BYTES = 16 << 10,       /* read of a file's beginning; enough without telemetry */
    ENDS_LEAST_BYTES = 18 << 10, /* smaller files are read whole */
    PATH_MAX_BYTES = 128,
    GUEST_TEXTS = 2, /* accelerator and guest_kernel come first among pw_guest_keys */
    GUEST_VALUE_BYTES = 500,
};

/* What is picked out of a summary: first the metrics, then these. */
enum {
    PICK_SUMMARY = PW_INDEX_METRIC_COUNT,
    PICK_RUNS,
    PICK_LATENCY,
    PICK_PROFILES,
    PICK_WINDOW,
    PICK_CPU_COUNT,
    PICK_KVM,
    PICK_GUESTS, /* pw_guest_keys, but for the two that are texts of their own */
    PICK_TEXTS = PICK_GUESTS + PW_GUEST_KEYS - GUEST_TEXTS, /* in the order of enum pw_index_text */
    PICK_COUNT = PICK_TEXTS + PW_INDEX_TEXT_COUNT
};

static const char *const places[PICK_COUNT] = {
    [PICK_SUMMARY] = "summary",
    [PICK_RUNS] = "runs",
    [PICK_LATENCY] = "summary.latency_ms",
    [PICK_PROFILES] = "profiles",
    [PICK_WINDOW] = "window",
    [PICK_CPU_COUNT] = "environment.cpu_count",
    [PICK_KVM] = "environment.kvm",
    [PICK_GUESTS] = "environment.monitor",
    [PICK_GUESTS + 1] = "environment.boot_start",
    [PICK_GUESTS + 2] = "environment.cache_state",
    [PICK_GUESTS + 3] = "environment.transparent_hugepage",
    [PICK_GUESTS + 4] = "environment.ksm",
    [PICK_TEXTS + PW_INDEX_GENERATED_AT] = "generated_at",
    [PICK_TEXTS + PW_INDEX_PROFILE_NAME] = "profile.name",
    [PICK_TEXTS + PW_INDEX_RUN_DIR] = "run_dir",
    [PICK_TEXTS + PW_INDEX_CPU_MODEL] = "environment.cpu_model",
    [PICK_TEXTS + PW_INDEX_KERNEL] = "environment.kernel",
    [PICK_TEXTS + PW_INDEX_ARCH] = "environment.arch",
    [PICK_TEXTS + PW_INDEX_ACCELERATOR] = "environment.accelerator",
    [PICK_TEXTS + PW_INDEX_GUEST] = "environment.guest_kernel",
    [PICK_TEXTS + PW_INDEX_MOMENTS] = "summary.marks", /* whether there are any */
};

struct pw_index_reader {
    struct pw_json_picker *picker;
    char metric_places[PW_INDEX_METRIC_COUNT][PATH_MAX_BYTES];
    char *buffer;
    size_t capacity; /* without the padding */
    size_t size;     /* of the file in it */
};

/* ---------------------------------------------------------------- life */

static void fill_places(struct pw_index_reader *reader, const char *ret_places[PICK_COUNT])
{
    memcpy(ret_places, places, sizeof places);
    for (size_t i = 0; i < PW_INDEX_METRIC_COUNT; i++) {
        const struct pw_index_metric *metric = &pw_index_metrics[i];
        const char *stat = pw_stat_name(metric->stat);
        snprintf(reader->metric_places[i], PATH_MAX_BYTES, "summary.%s%s%s",
                 pw_metrics[metric->metric].path, *stat ? "." : "", stat);
        ret_places[i] = reader->metric_places[i];
    }
}

int pw_index_reader_new(struct pw_index_reader **ret_reader, struct pw_err *err)
{
    struct pw_index_reader *reader = calloc(1, sizeof(*reader));
    if (!reader) {
        return pw_err_memory(err);
    }
    const char *all[PICK_COUNT];
    fill_places(reader, all);
    if (pw_json_picker_new(all, PICK_COUNT, &reader->picker, err) != 0) {
        free(reader);
        return -1;
    }
    *ret_reader = reader;
    return 0;
}

void pw_index_reader_free(struct pw_index_reader *reader)
{
    if (reader) {
        pw_json_picker_free(reader->picker);
        free(reader->buffer);
        free(reader);
    }
}

/* ---------------------------------------------------------------- the file */

static int64_t ns_of(struct timespec time)
{
    return time.tv_sec * PW_NS_PER_SEC + time.tv_nsec;
}

void pw_index_identify(const struct stat *info, struct pw_index_identity *ret_identity)
{
    *ret_identity = (struct pw_index_identity){.device = info->st_dev,
                                               .inode = info->st_ino,
                                               .size = (uint64_t)info->st_size,
                                               .mtime_ns = ns_of(info->st_mtim),
                                               .ctime_ns = ns_of(info->st_ctim)};
}

bool pw_index_identity_equal(const struct pw_index_identity *a, const struct pw_index_identity *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns;
}

static int grow(struct pw_index_reader *reader, size_t capacity, struct pw_err *err)
{
    if (capacity > PW_LIMIT_JSON_BYTES + 1) {
        capacity = PW_LIMIT_JSON_BYTES + 1;
    }
    if (capacity > reader->capacity) {
        char *larger = realloc(reader->buffer, capacity + PW_JSON_PADDING);
        if (!larger) {
            return pw_err_memory(err);
        }
        reader->buffer = larger;
        reader->capacity = capacity;
    }
    return 0;
}

static int fail_file(struct pw_err *err, int sys, const char *what, const char *path)
{
    pw_err_system(err, sys, "%s `%s`", what, path);
    err->cls = PW_ERR_INPUT;
    return -1;
}

static int fail_size(const struct pw_index_run *run, struct pw_err *err)
{
    return pw_err_set(err, PW_ERR_INPUT, "read `%s`: larger than %d bytes", run->path,
                      PW_LIMIT_JSON_BYTES);
}

static int read_all(struct pw_index_reader *reader, int fd, const struct pw_index_run *run,
                    struct pw_err *err)
{
    size_t expected = run->regular ? (size_t)run->identity.size + 1 : 0;
    if (grow(reader, expected > FIRST_BUFFER_BYTES ? expected : FIRST_BUFFER_BYTES, err) != 0) {
        return -1;
    }
    reader->size = 0;
    for (;;) {
        ssize_t count = read(fd, reader->buffer + reader->size, reader->capacity - reader->size);
        if (count < 0 && errno != EINTR) {
            return fail_file(err, errno, "read", run->path);
        }
        if (count == 0) {
            return 0;
        }
        reader->size += count > 0 ? (size_t)count : 0;
        if (reader->size > PW_LIMIT_JSON_BYTES) {
            return fail_size(run, err);
        }
        if (reader->size == run->identity.size && run->regular) {
            return 0; /* what grows now has changed, and is read again the next time */
        }
        if (reader->size == reader->capacity && grow(reader, reader->capacity * 2, err) != 0) {
            return -1;
        }
    }
}

/* Where the runs begin in the document's beginning: behind their bracket. NULL: not in it. Brackets
 * are rare, so they are what is searched for (memmem(3) takes longer than all the rest). */
static char *find_runs(char *head)
{
    static const char list[] = "\n  \"runs\": [";
    enum { LIST = sizeof list - 1 };
    char *bracket = memrchr(head, '[', HEAD_BYTES - 1);
    while (bracket && bracket - head >= LIST) {
        if (memcmp(bracket + 1 - LIST, list, LIST) == 0 && bracket[1] == '\n') {
            return bracket + 1;
        }
        bracket = memrchr(head, '[', (size_t)(bracket - head));
    }
    return NULL;
}

/* Reads what stands before the runs, and closes the document there. False: all is to be read. */
static bool read_ends(struct pw_index_reader *reader, int fd, const struct pw_index_run *run)
{
    static const char tail[] = "\n  ]\n}\n";
    enum { TAIL = sizeof tail - 1 };
    char end[TAIL];
    if (!run->regular || run->identity.size < ENDS_LEAST_BYTES ||
        grow(reader, FIRST_BUFFER_BYTES, NULL) != 0 ||
        pread(fd, reader->buffer, HEAD_BYTES, 0) != HEAD_BYTES ||
        pread(fd, end, TAIL, (off_t)run->identity.size - TAIL) != TAIL ||
        memcmp(end, tail, TAIL) != 0) {
        return false;
    }
    char *found = find_runs(reader->buffer);
    if (!found) {
        return false;
    }
    found[0] = ']'; /* there is room: the padding */
    found[1] = '}';
    reader->size = (size_t)(found + 2 - reader->buffer);
    return true;
}

/* ---------------------------------------------------------------- what is in it */

/* As pw_summary_load() has it. */
static bool is_summary(const struct pw_json_picked picked[PICK_COUNT])
{
    return picked[PICK_SUMMARY].present && picked[PICK_SUMMARY].kind == PW_JSON_OBJECT &&
           picked[PICK_RUNS].present && picked[PICK_RUNS].kind == PW_JSON_ARRAY &&
           picked[PICK_LATENCY].present && picked[PICK_LATENCY].kind == PW_JSON_OBJECT;
}

static bool is_index(const struct pw_json_picked picked[PICK_COUNT])
{
    return !picked[PICK_SUMMARY].present && picked[PICK_PROFILES].present &&
           picked[PICK_PROFILES].kind == PW_JSON_OBJECT && picked[PICK_WINDOW].present &&
           picked[PICK_WINDOW].kind == PW_JSON_DOUBLE;
}

static double number_of(const struct pw_json_picked *picked)
{
    return picked->present && picked->kind == PW_JSON_DOUBLE && isfinite(picked->number)
               ? picked->number
               : NAN;
}

/* One text that is to be kept; NULL: none. */
struct piece {
    const char *text;
    size_t length;
};

/* All in one allocation. */
static int keep_texts(struct pw_index_run *run, const struct piece pieces[PW_INDEX_TEXT_COUNT],
                      struct pw_err *err)
{
    size_t size = 1;
    for (size_t i = 0; i < PW_INDEX_TEXT_COUNT; i++) {
        size_t most = i == PW_INDEX_MOMENTS ? (size_t)PW_LIMIT_INDEX_MOMENT_BYTES
                                            : (size_t)PW_LIMIT_INDEX_TEXT_BYTES;
        if (pieces[i].length > most ||
            (pieces[i].text && memchr(pieces[i].text, '\0', pieces[i].length))) {
            return pw_err_set(err, PW_ERR_INPUT,
                              "read `%s`: `%s` is longer than %zu bytes, or has a NUL in it",
                              run->path, places[PICK_TEXTS + i], most);
        }
        size += pieces[i].length + 1;
    }
    char *at = malloc(size);
    if (!at) {
        return pw_err_memory(err);
    }
    run->block = at;
    for (size_t i = 0; i < PW_INDEX_TEXT_COUNT; i++) {
        run->texts[i] = NULL;
        if (pieces[i].text) {
            memcpy(at, pieces[i].text, pieces[i].length);
            at[pieces[i].length] = '\0';
            run->texts[i] = at;
            at += pieces[i].length + 1;
        }
    }
    return 0;
}

static void add_moments(const char *text, size_t size, struct pw_str *ret_text)
{
    json_t *root = json_loadb(text, size, 0, NULL);
    pw_index_moments_text(json_object_get(root, "summary"), ret_text);
    json_decref(root);
}

/* Marks have names of their own, which no place can tell. So what stands before the runs is built,
 * of a file as perfwrap writes it; else all of one that is not large. Of a large file that somebody
 * else wrote there are no marks. */
static int read_moments(struct pw_index_reader *reader, const struct pw_json_picked *marks,
                        struct pw_str *ret_text, struct pw_err *err)
{
    static const char runs[] = "\n  \"runs\": [";
    if (!marks->present || marks->kind != PW_JSON_OBJECT) {
        return 0;
    }
    char *list = memmem(reader->buffer, reader->size, runs, sizeof runs - 1);
    if (list) {
        list += sizeof runs - 1;
        char before[2] = {list[0], list[1]}; /* nothing that was picked stands here */
        list[0] = ']';                       /* there is room: the padding */
        list[1] = '}';
        add_moments(reader->buffer, (size_t)(list + 2 - reader->buffer), ret_text);
        memcpy(list, before, sizeof before);
    }
    if (ret_text->length == 0 && reader->size <= KEPT_BUFFER_BYTES) {
        add_moments(reader->buffer, reader->size, ret_text);
    }
    return ret_text->failed ? pw_err_memory(err) : 0;
}

static struct piece piece_of(const struct pw_str *text)
{
    return text->length > 0 ? (struct piece){text->text, text->length} : (struct piece){NULL, 0};
}

/* "key=value" on a line. */
static void add_guest(struct pw_str *out, size_t key, const struct pw_json_picked *value)
{
    if (!value->present || (value->kind != PW_JSON_STRING && value->kind != PW_JSON_DOUBLE)) {
        return;
    }
    pw_str_addf(out, "%s=", pw_guest_keys[key]);
    if (value->kind == PW_JSON_STRING) {
        size_t length = value->length < GUEST_VALUE_BYTES ? value->length : GUEST_VALUE_BYTES;
        pw_str_add_bytes(out, value->text, length);
    } else {
        pw_str_addf(out, "%g", value->number);
    }
    pw_str_add_char(out, '\n');
}

/* What a boot was made on; nothing of other runs. */
static void read_guest(const struct pw_json_picked picked[PICK_COUNT], struct pw_str *ret_text)
{
    const struct pw_json_picked *kernel = &picked[PICK_TEXTS + PW_INDEX_GUEST];
    const struct pw_json_picked *monitor = &picked[PICK_GUESTS];
    if ((kernel->present && kernel->kind == PW_JSON_STRING) ||
        (monitor->present && monitor->kind == PW_JSON_STRING)) {
        add_guest(ret_text, 1, kernel);
        for (size_t i = 0; i < PW_GUEST_KEYS - GUEST_TEXTS; i++) {
            add_guest(ret_text, i + GUEST_TEXTS, &picked[PICK_GUESTS + i]);
        }
    }
}

/* The same of a document. */
static void read_guest_slowly(const json_t *root, struct pw_str *ret_text)
{
    for (size_t key = 1; pw_guest_is_one(root) && key < PW_GUEST_KEYS; key++) {
        const json_t *value = pw_guest_value(root, pw_guest_keys[key]);
        struct pw_json_picked picked = {.present = value != NULL, .kind = PW_JSON_DOUBLE};
        if (json_is_string(value)) {
            picked.kind = PW_JSON_STRING;
            picked.text = json_string_value(value);
            picked.length = json_string_length(value);
        } else {
            picked.number = json_number_value(value);
        }
        add_guest(ret_text, key, &picked);
    }
}

static int keep(struct pw_index_reader *reader, struct pw_index_run *run,
                const struct pw_json_picked picked[PICK_COUNT], struct pw_err *err)
{
    struct piece pieces[PW_INDEX_TEXT_COUNT] = {{0}};
    PW_STR_AUTO moments = PW_STR_INIT;
    PW_STR_AUTO guest = PW_STR_INIT;
    for (size_t i = 0; i < PW_INDEX_METRIC_COUNT; i++) {
        run->values[i] = number_of(&picked[i]);
    }
    run->cpu_count = number_of(&picked[PICK_CPU_COUNT]);
    for (size_t i = 0; i < PW_INDEX_TEXT_COUNT; i++) {
        const struct pw_json_picked *text = &picked[PICK_TEXTS + i];
        /* Where nothing names an accelerator, it matters whether there may be one. */
        if (i == PW_INDEX_ACCELERATOR && !(text->present && text->kind == PW_JSON_STRING)) {
            text = &picked[PICK_KVM];
        }
        if (text->present && text->kind == PW_JSON_STRING) {
            pieces[i] = (struct piece){text->text, text->length};
        }
    }
    if (read_moments(reader, &picked[PICK_TEXTS + PW_INDEX_MOMENTS], &moments, err) != 0) {
        return -1;
    }
    read_guest(picked, &guest);
    if (guest.failed) {
        return pw_err_memory(err);
    }
    pieces[PW_INDEX_MOMENTS] = piece_of(&moments);
    pieces[PW_INDEX_GUEST] = piece_of(&guest);
    return keep_texts(run, pieces, err);
}

/* Whether all of it stands before the runs that is wanted: then it does not stand behind them. */
static bool is_complete(const struct pw_json_picked picked[PICK_COUNT])
{
    for (size_t i = PICK_CPU_COUNT; i < PICK_COUNT; i++) {
        bool may_lack = i == PICK_TEXTS + PW_INDEX_ACCELERATOR ||
                        i == PICK_TEXTS + PW_INDEX_GUEST || i == PICK_TEXTS + PW_INDEX_MOMENTS ||
                        (i >= PICK_GUESTS && i < PICK_TEXTS);
        if (!picked[i].present && !may_lack) {
            return false;
        }
    }
    return is_summary(picked);
}

/* From the ends of the file alone; false: it cannot be had so. */
static bool understand_ends(struct pw_index_reader *reader, struct pw_index_run *run)
{
    struct pw_json_picked picked[PICK_COUNT];
    memset(reader->buffer + reader->size, 0, PW_JSON_PADDING);
    return pw_json_picker_run(reader->picker, reader->buffer, reader->size, picked, NULL) == 0 &&
           is_complete(picked) && keep(reader, run, picked, NULL) == 0;
}

/* The way that every other part of perfwrap reads summaries: for the words of its refusals, and for
 * whatever the fast way does not understand. */
static int read_slowly(struct pw_index_run *run, struct pw_err *err)
{
    struct piece pieces[PW_INDEX_TEXT_COUNT] = {{0}};
    PW_STR_AUTO moments = PW_STR_INIT;
    PW_STR_AUTO guest = PW_STR_INIT;
    __attribute__((cleanup(pw_summary_done))) struct pw_summary *summary =
        pw_summary_load(run->path, err);
    if (!summary) {
        return -1;
    }
    for (size_t i = 0; i < PW_INDEX_METRIC_COUNT; i++) {
        struct pw_value value =
            pw_summary_stat(summary, pw_index_metrics[i].metric, pw_index_metrics[i].stat);
        run->values[i] = pw_value_is_present(value) ? value.number : NAN;
    }
    struct pw_value cpus = pw_summary_number(summary, places[PICK_CPU_COUNT]);
    run->cpu_count = pw_value_is_present(cpus) ? cpus.number : NAN;
    for (size_t i = 0; i < PW_INDEX_TEXT_COUNT; i++) {
        const char *text = pw_summary_string(summary, places[PICK_TEXTS + i]);
        if (!text && i == PW_INDEX_ACCELERATOR) {
            text = pw_summary_string(summary, places[PICK_KVM]);
        }
        pieces[i] = (struct piece){text, text ? strlen(text) : 0};
    }
    pw_index_moments_text(json_object_get(pw_summary_root(summary), "summary"), &moments);
    read_guest_slowly(pw_summary_root(summary), &guest);
    if (moments.failed || guest.failed) {
        return pw_err_memory(err);
    }
    pieces[PW_INDEX_MOMENTS] = piece_of(&moments);
    pieces[PW_INDEX_GUEST] = piece_of(&guest);
    return keep_texts(run, pieces, err);
}

static int understand(struct pw_index_reader *reader, struct pw_index_run *run, struct pw_err *err)
{
    struct pw_json_picked picked[PICK_COUNT];
    memset(reader->buffer + reader->size, 0, PW_JSON_PADDING);
    bool parsed =
        pw_json_picker_run(reader->picker, reader->buffer, reader->size, picked, err) == 0;
    if (parsed && is_summary(picked)) {
        return keep(reader, run, picked, err);
    }
    if (parsed && is_index(picked)) {
        pw_err_set(err, PW_ERR_INPUT, "`%s` is a baseline index, not a summary", run->path);
        return pw_err_remedy(err, "Give the summary.json of runs.");
    }
    if (!parsed && err->cls != PW_ERR_INPUT) {
        return -1;
    }
    if (reader->size > KEPT_BUFFER_BYTES) {
        /* As a tree it would take too much memory, only to find better words. */
        return parsed ? pw_err_set(err, PW_ERR_INPUT, "`%s` is no summary", run->path)
                      : pw_err_prefix(err, "read `%s`", run->path);
    }
    return read_slowly(run, err);
}

static int read_file(struct pw_index_reader *reader, struct pw_index_run *run, struct pw_err *err)
{
    PW_FD_AUTO fd = open(run->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return fail_file(err, errno, "open", run->path);
    }
    if (read_ends(reader, fd, run) && understand_ends(reader, run)) {
        return 0;
    }
    return read_all(reader, fd, run, err) == 0 ? understand(reader, run, err) : -1;
}

/* Documents that take much memory are read one at a time. */
static pthread_mutex_t large_lock = PTHREAD_MUTEX_INITIALIZER;

int pw_index_reader_read(struct pw_index_reader *reader, struct pw_index_run *run,
                         struct pw_err *err)
{
    bool large = run->identity.size > KEPT_BUFFER_BYTES;
    if (run->identity.size > PW_LIMIT_JSON_BYTES) {
        return fail_size(run, err);
    }
    if (large) {
        pthread_mutex_lock(&large_lock);
    }
    int failed = read_file(reader, run, err);
    if (reader->capacity > KEPT_BUFFER_BYTES) {
        free(reader->buffer);
        reader->buffer = NULL;
        reader->capacity = 0;
    }
    if (large) {
        pw_json_picker_trim(reader->picker);
        pthread_mutex_unlock(&large_lock);
    }
    return failed;
}
