#include "sla/inputs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "core/file.h"
#include "core/json.h"
#include "core/limits.h"
#include "sla/inputs_impl.h"

#define SUMMARY_NAME "summary.json"

enum { FIRST_SLOTS = 256 };

/* ---------------------------------------------------------------- files that were taken */

static size_t slot_of(const struct pw_input_file *files, size_t slots, dev_t device, ino_t inode)
{
    uint64_t hash = ((uint64_t)inode ^ ((uint64_t)device << 32)) * 0x9E3779B97F4A7C15U;
    size_t slot = (size_t)(hash >> 32) & (slots - 1);
    while (files[slot].used && (files[slot].device != device || files[slot].inode != inode)) {
        slot = (slot + 1) & (slots - 1);
    }
    return slot;
}

/* Keeps the table at most half full. */
static int grow_files(struct pw_input_walk *walk, struct pw_err *err)
{
    if (walk->inputs.count * 2 < walk->slots) {
        return 0;
    }
    size_t slots = walk->slots > 0 ? walk->slots * 2 : FIRST_SLOTS;
    struct pw_input_file *files = calloc(slots, sizeof(*files));
    if (!files) {
        pw_err_memory(err);
        return -1;
    }
    for (size_t i = 0; i < walk->slots; i++) {
        const struct pw_input_file *file = &walk->files[i];
        if (file->used) {
            files[slot_of(files, slots, file->device, file->inode)] = *file;
        }
    }
    free(walk->files);
    walk->files = files;
    walk->slots = slots;
    return 0;
}

static int add_path(struct pw_inputs *inputs, const char *path, struct pw_err *err)
{
    if (inputs->count == inputs->capacity) {
        size_t capacity = inputs->capacity > 0 ? inputs->capacity * 2 : 16;
        char **paths = reallocarray(inputs->paths, capacity, sizeof(*paths));
        if (!paths) {
            return pw_err_memory(err);
        }
        inputs->paths = paths;
        inputs->capacity = capacity;
    }
    char *own = strdup(path);
    if (!own) {
        return pw_err_memory(err);
    }
    inputs->paths[inputs->count++] = own;
    return 0;
}

int pw_input_add_file(struct pw_input_walk *walk, const char *path, const struct stat *info,
                      struct pw_err *err)
{
    if (grow_files(walk, err) != 0) {
        return -1;
    }
    walk->matched++;
    struct pw_input_file *file =
        &walk->files[slot_of(walk->files, walk->slots, info->st_dev, info->st_ino)];
    if (file->used) {
        return 0;
    }
    if (walk->inputs.count == PW_LIMIT_INPUT_FILES) {
        pw_err_set(err, PW_ERR_INPUT, "`%s`: more than %d summaries", walk->word,
                   PW_LIMIT_INPUT_FILES);
        return pw_err_remedy(err, "Name fewer, or a folder further down.");
    }
    *file = (struct pw_input_file){info->st_dev, info->st_ino, true};
    if (add_path(&walk->inputs, path, err) != 0) {
        return -1;
    }
    return walk->taken
               ? walk->taken(walk->inputs.paths[walk->inputs.count - 1], info, walk->context, err)
               : 0;
}

/* ---------------------------------------------------------------- folders */

size_t pw_input_path_push(struct pw_str *path, const char *name, size_t length)
{
    size_t before = path->length;
    if (before > 0 && path->text[before - 1] != '/') {
        pw_str_add_char(path, '/');
    }
    pw_str_add_bytes(path, name, length);
    return before;
}

void pw_input_path_pop(struct pw_str *path, size_t length)
{
    if (!path->failed && length < path->length) {
        path->length = length;
        path->text[length] = '\0';
    }
}

static int compare_names(const void *a, const void *b)
{
    const struct pw_input_name *first = a, *second = b;
    return strcmp(first->name, second->name);
}

static int add_name(struct pw_input_names *names, const char *name, bool folder, struct pw_err *err)
{
    if (names->count == names->capacity) {
        size_t capacity = names->capacity > 0 ? names->capacity * 2 : 16;
        struct pw_input_name *items = reallocarray(names->items, capacity, sizeof(*items));
        if (!items) {
            return pw_err_memory(err);
        }
        names->items = items;
        names->capacity = capacity;
    }
    struct pw_input_name *place = &names->items[names->count];
    place->name = strdup(name);
    place->folder = folder;
    if (!place->name) {
        return pw_err_memory(err);
    }
    names->count++;
    return 0;
}

/* Some file systems do not say in the folder what an entry is. */
static bool is_folder(int at, const struct dirent *entry)
{
    struct stat info;
    if (entry->d_type != DT_UNKNOWN) {
        return entry->d_type == DT_DIR;
    }
    return fstatat(at, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(info.st_mode);
}

static int fail_folder(struct pw_err *err, int sys, const char *path)
{
    return pw_err_set(err, PW_ERR_INPUT, "read folder `%s`: %s", path, strerror(sys));
}

int pw_input_names_read(const char *path, bool (*wanted)(const char *name, void *context),
                        void *context, struct pw_input_names *ret_names, struct pw_err *err)
{
    struct pw_input_names names = {0};
    DIR *dir = opendir(path);
    if (!dir && (errno == ENOENT || errno == ENOTDIR)) {
        *ret_names = names;
        return 0;
    }
    if (!dir) {
        return fail_folder(err, errno, path);
    }
    int failed = 0;
    const struct dirent *entry = NULL;
    while (!failed && (errno = 0, entry = readdir(dir))) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
            continue;
        }
        if (wanted(name, context)) {
            failed = add_name(&names, name, is_folder(dirfd(dir), entry), err);
        }
    }
    if (!failed && errno != 0) {
        failed = fail_folder(err, errno, path);
    }
    closedir(dir);
    if (failed) {
        pw_input_names_done(&names);
        return -1;
    }
    if (names.count > 1) {
        qsort(names.items, names.count, sizeof(*names.items), compare_names);
    }
    *ret_names = names;
    return 0;
}

void pw_input_names_done(struct pw_input_names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        free(names->items[i].name);
    }
    free(names->items);
    *names = (struct pw_input_names){0};
}

static bool any_name(const char *name, void *context)
{
    (void)name;
    (void)context;
    return true;
}

/* All summary.json at and below `path`. */
static int add_below(struct pw_input_walk *walk, struct pw_str *path, unsigned depth,
                     struct pw_err *err)
{
    struct pw_input_names names;
    struct stat info;
    if (depth > PW_LIMIT_FOLDER_DEPTH) {
        return pw_err_set(err, PW_ERR_INPUT, "`%s`: folders more than %d deep", walk->word,
                          PW_LIMIT_FOLDER_DEPTH);
    }
    if (pw_input_names_read(path->text, any_name, NULL, &names, err) != 0) {
        return -1;
    }
    int failed = 0;
    for (size_t i = 0; i < names.count && !failed; i++) {
        const struct pw_input_name *name = &names.items[i];
        bool summary = !name->folder && strcmp(name->name, SUMMARY_NAME) == 0;
        if (!name->folder && !summary) {
            continue;
        }
        size_t length = pw_input_path_push(path, name->name, strlen(name->name));
        if (path->failed) {
            failed = pw_err_memory(err);
        } else if (name->folder) {
            failed = add_below(walk, path, depth + 1, err);
        } else if (stat(path->text, &info) == 0 && !S_ISDIR(info.st_mode)) {
            failed = pw_input_add_file(walk, path->text, &info, err);
        }
        pw_input_path_pop(path, length);
    }
    pw_input_names_done(&names);
    return failed;
}

int pw_input_add_folder(struct pw_input_walk *walk, const char *path, struct pw_err *err)
{
    PW_STR_AUTO place = PW_STR_INIT;
    struct stat info;
    pw_str_add(&place, path);
    size_t length = pw_input_path_push(&place, SUMMARY_NAME, strlen(SUMMARY_NAME));
    if (place.failed) {
        return pw_err_memory(err);
    }
    if (stat(place.text, &info) == 0 && !S_ISDIR(info.st_mode)) {
        return pw_input_add_file(walk, place.text, &info, err);
    }
    pw_input_path_pop(&place, length);
    return add_below(walk, &place, 0, err);
}

/* ---------------------------------------------------------------- words */

static int expand_word(struct pw_input_walk *walk, struct pw_err *err)
{
    const char *word = walk->word;
    struct stat info;
    if (!*word) {
        return pw_err_set(err, PW_ERR_INPUT, "an empty word names no summary");
    }
    if (stat(word, &info) == 0) {
        if (!S_ISDIR(info.st_mode)) {
            return pw_input_add_file(walk, word, &info, err);
        }
        if (pw_input_add_folder(walk, word, err) != 0) {
            return -1;
        }
        if (walk->matched == 0) {
            pw_err_set(err, PW_ERR_INPUT, "folder `%s` holds no " SUMMARY_NAME, word);
            return pw_err_remedy(err, "Give a run folder, or one with run folders below it.");
        }
        return 0;
    }
    int sys = errno;
    if (!strpbrk(word, "*?[")) {
        return pw_err_set(err, PW_ERR_INPUT, "`%s`: %s", word, strerror(sys));
    }
    if (pw_input_add_glob(walk, err) != 0) {
        return -1;
    }
    if (walk->matched == 0) {
        return pw_err_set(err, PW_ERR_INPUT, "`%s` matches no summary", word);
    }
    return 0;
}

int pw_inputs_expand_each(const char *const *words, size_t count,
                          int (*taken)(const char *path, const struct stat *info, void *context,
                                       struct pw_err *err),
                          void *context, struct pw_inputs *ret_inputs, struct pw_err *err)
{
    struct pw_input_walk walk = {.taken = taken, .context = context};
    int failed = 0;
    for (size_t i = 0; i < count && !failed; i++) {
        walk.word = words[i];
        walk.matched = 0;
        failed = expand_word(&walk, err);
    }
    free(walk.files);
    if (failed) {
        pw_inputs_done(&walk.inputs);
        return -1;
    }
    *ret_inputs = walk.inputs;
    return 0;
}

int pw_inputs_expand(const char *const *words, size_t count, struct pw_inputs *ret_inputs,
                     struct pw_err *err)
{
    return pw_inputs_expand_each(words, count, NULL, NULL, ret_inputs, err);
}

void pw_inputs_done(struct pw_inputs *inputs)
{
    for (size_t i = 0; i < inputs->count; i++) {
        free(inputs->paths[i]);
    }
    free(inputs->paths);
    *inputs = (struct pw_inputs){0};
}

int pw_inputs_expand_one(const char *word, const char *what, char **ret_path, struct pw_err *err)
{
    struct pw_inputs inputs = {0};
    if (pw_inputs_expand(&word, 1, &inputs, err) != 0) {
        return pw_err_prefix(err, "%s", what);
    }
    int failed = 0;
    if (inputs.count == 1) {
        *ret_path = inputs.paths[0];
        inputs.count = 0;
    } else {
        failed = pw_err_set(err, PW_ERR_INPUT, "%s: `%s` stands for %zu summaries", what, word,
                            inputs.count);
        pw_err_remedy(err, "Give exactly one here.");
    }
    pw_inputs_done(&inputs);
    return failed;
}

/* ---------------------------------------------------------------- reading one */

static const char *type_name(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "a list";
    case JSON_STRING: return "a string";
    case JSON_INTEGER:
    case JSON_REAL: return "a number";
    case JSON_TRUE:
    case JSON_FALSE: return "true or false";
    case JSON_NULL: break;
    }
    return "null";
}

static bool is_number_or_nothing(const json_t *value)
{
    return !value || json_is_number(value) || json_is_null(value);
}

/* Each number that the metric table places under `summary` is one, is null, or is not there. */
static int check_summary_types(const json_t *summary, const char *path, struct pw_err *err)
{
    for (size_t i = 0; i < PW_METRIC_COUNT; i++) {
        const struct pw_metric *metric = &pw_metrics[i];
        const json_t *place = pw_json_find(summary, metric->path);
        bool scalar = (metric->stats & PW_STATS_SCALAR) != 0;
        bool fits = scalar ? is_number_or_nothing(place)
                           : !place || json_is_null(place) || json_is_object(place);
        if (!fits) {
            return pw_err_set(err, PW_ERR_INPUT, "`%s`: summary.%s is %s, not %s", path,
                              metric->path, type_name(place), scalar ? "a number" : "an object");
        }
        for (enum pw_stat stat = 0; stat < PW_STAT_SCALAR && !scalar; stat++) {
            const json_t *value = json_object_get(place, pw_stat_name(stat));
            if (!is_number_or_nothing(value)) {
                return pw_err_set(err, PW_ERR_INPUT, "`%s`: summary.%s.%s is %s, not a number",
                                  path, metric->path, pw_stat_name(stat), type_name(value));
            }
        }
    }
    return 0;
}

static int check_run_types(const json_t *runs, const char *path, struct pw_err *err)
{
    for (size_t r = 0; r < json_array_size(runs); r++) {
        const json_t *run = json_array_get(runs, r);
        if (!json_is_object(run)) {
            return pw_err_set(err, PW_ERR_INPUT, "`%s`: runs.%zu is %s, not an object", path, r,
                              type_name(run));
        }
        for (size_t i = 0; i < PW_METRIC_COUNT; i++) {
            const char *key = pw_metrics[i].key;
            const json_t *value = key ? json_object_get(run, key) : NULL;
            if (!is_number_or_nothing(value)) {
                return pw_err_set(err, PW_ERR_INPUT, "`%s`: runs.%zu.%s is %s, not a number", path,
                                  r, key, type_name(value));
            }
        }
    }
    return 0;
}

/* Says what a file is that was taken for a summary, where that is known. */
static void explain(const char *path, struct pw_err *err)
{
    json_t *root = NULL;
    struct pw_err ignored = PW_ERR_INIT;
    if (!err || err->cls != PW_ERR_INPUT || pw_json_read_file(path, &root, &ignored) != 0) {
        return;
    }
    if (json_is_object(json_object_get(root, "profiles")) && json_object_get(root, "window") &&
        json_object_get(root, "min_samples")) {
        pw_err_set(err, PW_ERR_INPUT, "`%s` is a baseline index, not a summary", path);
        pw_err_remedy(err, "Give the summary.json of a run; `perfwrap suggest` reads an index.");
    }
    json_decref(root);
}

struct pw_summary *pw_inputs_load_summary(const char *path, struct pw_err *err)
{
    struct pw_summary *summary = pw_summary_load(path, err);
    if (!summary) {
        explain(path, err);
        return NULL;
    }
    const json_t *root = pw_summary_root(summary);
    if (check_summary_types(json_object_get(root, "summary"), path, err) != 0 ||
        check_run_types(json_object_get(root, "runs"), path, err) != 0) {
        pw_summary_free(summary);
        return NULL;
    }
    return summary;
}
