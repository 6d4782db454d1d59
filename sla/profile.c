#include "sla/profile.h"

#include <stdlib.h>
#include <string.h>
#include "core/file.h"
#include "core/limits.h"
#include "core/str.h"
#include "sla/profile_impl.h"

/* The profiles that are being read: each file is extended by the one above it. */
struct frame {
    const struct frame *above;
    const char *path; /* as messages name it */
    const char *real; /* without links and dots, to know it again */
    unsigned depth;
};

void pw_profile_done(struct pw_profile *profile)
{
    free(profile->name);
    pw_bounds_done(&profile->bounds);
    *profile = (struct pw_profile){0};
}

const struct pw_named_profile *pw_named_profile_find(const char *name)
{
    for (size_t i = 0; i < PW_NAMED_PROFILE_COUNT; i++) {
        if (strcmp(pw_named_profiles[i].name, name) == 0) {
            return &pw_named_profiles[i];
        }
    }
    return NULL;
}

/* Behind a file that cannot be read, if its name may have been meant for one that perfwrap carries.
 */
static void add_names(const char *name, struct pw_err *err)
{
    const char *names[PW_NAMED_PROFILE_COUNT + 1] = {NULL};
    PW_STR_AUTO list = PW_STR_INIT;
    if (strchr(name, '/')) {
        return;
    }
    for (size_t i = 0; i < PW_NAMED_PROFILE_COUNT; i++) {
        names[i] = pw_named_profiles[i].name;
        pw_str_addf(&list, "%s%s", i > 0 ? ", " : "", names[i]);
    }
    const char *nearest = pw_nearest_name(name, names);
    if (nearest) {
        (void)pw_err_remedy(err, "Did you mean `%s`? perfwrap carries %s.", nearest, list.text);
    } else {
        (void)pw_err_remedy(err, "A profile is a JSON file, or one that perfwrap carries: %s.",
                            list.text);
    }
}

static int read_text(const struct frame *frame, const char *text, size_t size,
                     struct pw_profile_entries *entries, char **ret_name, struct pw_err *err);

/* From the text of the file at `path`. */
static int read_file(const struct frame *above, const char *path, const char *text, size_t size,
                     struct pw_profile_entries *entries, char **ret_name, struct pw_err *err)
{
    PW_FREE_AUTO char *real = realpath(path, NULL);
    const struct frame frame = {.above = above,
                                .path = path,
                                .real = real ? real : path,
                                .depth = above ? above->depth + 1 : 0};
    return read_text(&frame, text, size, entries, ret_name, err);
}

static int read_named(const struct frame *above, const struct pw_named_profile *named,
                      struct pw_profile_entries *entries, char **ret_name, struct pw_err *err)
{
    const struct frame frame = {.above = above,
                                .path = named->name,
                                .real = named->name,
                                .depth = above ? above->depth + 1 : 0};
    return read_text(&frame, named->text, named->size, entries, ret_name, err);
}

/* The path of `word` from the folder of the file at `from`; free() it. */
static char *beside(const char *from, const char *word, struct pw_err *err)
{
    PW_STR_AUTO path = PW_STR_INIT;
    const char *slash = strrchr(from, '/');
    if (word[0] != '/' && slash) {
        pw_str_add_bytes(&path, from, (size_t)(slash + 1 - from));
    }
    pw_str_add(&path, word);
    return pw_str_take(&path, err);
}

/* The profile that is being read from the same file, or NULL. */
static const struct frame *find_frame(const struct frame *frame, const char *path)
{
    PW_FREE_AUTO char *real = realpath(path, NULL);
    while (real && frame && strcmp(frame->real, real) != 0) {
        frame = frame->above;
    }
    return real ? frame : NULL;
}

static int extend_file(const struct frame *frame, const struct pw_profile_source *source,
                       struct pw_profile_at at, const char *word,
                       struct pw_profile_entries *entries, struct pw_err *err)
{
    PW_FREE_AUTO char *path = beside(source->path, word, err);
    if (!path) {
        return -1;
    }
    const struct frame *same = find_frame(frame, path);
    if (same == frame) {
        return pw_profile_fail(source, at, false, err, "the profile extends itself");
    }
    if (same) {
        return pw_profile_fail(source, at, false, err, "a circle: `%s` extends this profile, %s",
                               same->path,
                               same == frame->above ? "which extends it" : "through others");
    }
    PW_FREE_AUTO char *text = NULL;
    PW_FREE_AUTO char *name = NULL;
    size_t size = 0;
    struct pw_err fault = PW_ERR_INIT;
    if (pw_file_read(path, PW_LIMIT_PROFILE_BYTES, &text, &size, &fault) != 0) {
        (void)pw_profile_fail(source, at, false, err, "%s", fault.message);
        add_names(word, err);
        return -1;
    }
    return read_file(frame, path, text, size, entries, &name, err);
}

/* Adds the bounds of the profile that this one extends, if it does. */
static int extend(const struct frame *frame, const struct pw_profile_source *source,
                  struct pw_profile_entries *entries, struct pw_err *err)
{
    const struct pw_profile_at at = pw_profile_at_key((struct pw_profile_at){0}, "extends");
    const char *word = json_string_value(json_object_get(source->root, "extends"));
    if (!word) {
        return 0;
    }
    if (frame->depth >= PW_LIMIT_PROFILE_EXTENDS) {
        return pw_profile_fail(source, at, false, err, "more than %d profiles behind one another",
                               PW_LIMIT_PROFILE_EXTENDS);
    }
    const struct pw_named_profile *named = pw_named_profile_find(word);
    if (named) {
        PW_FREE_AUTO char *name = NULL;
        return read_named(frame, named, entries, &name, err);
    }
    return extend_file(frame, source, at, word, entries, err);
}

/* Takes the entries of `base` that none of `own` replaces. */
static int inherit(struct pw_profile_entries *base, struct pw_profile_entries *own,
                   struct pw_err *err)
{
    struct pw_profile_entries all = {0};
    int result = 0;
    for (size_t i = 0; i < base->count && result == 0; i++) {
        bool replaced = false;
        for (size_t j = 0; j < own->count && !replaced; j++) {
            replaced = pw_bound_is_same(&base->items[i].bound, &own->items[j].bound);
        }
        result = replaced ? 0 : pw_profile_entries_add(&all, &base->items[i], err);
    }
    for (size_t i = 0; i < own->count && result == 0; i++) {
        result = pw_profile_entries_add(&all, &own->items[i], err);
    }
    pw_profile_entries_done(own);
    *own = all;
    return result;
}

/* Bounds on a number that is not made of a sample have no use for a number of samples. */
static void set_min_samples(struct pw_profile_entries *entries, unsigned min_samples)
{
    for (size_t i = 0; i < entries->count; i++) {
        struct pw_profile_entry *entry = &entries->items[i];
        enum pw_aggregate_kind kind = entry->bound.aggregate.kind;
        if (!entry->own_min_samples && kind != PW_AGGREGATE_NONE && !pw_aggregate_is_count(kind)) {
            entry->bound.min_samples = min_samples;
        }
    }
}

static int read_root(const struct frame *frame, const struct pw_profile_source *source,
                     struct pw_profile_entries *entries, struct pw_err *err)
{
    const struct pw_profile_at top = {0};
    if (pw_profile_check_keys(source, top, source->root, &pw_profile_keys, err) != 0) {
        return -1;
    }
    if (!json_object_get(source->root, "thresholds") && !json_object_get(source->root, "extends")) {
        return pw_profile_fail(source, top, false, err,
                               "`thresholds` is missing: the profile would gate nothing");
    }
    struct pw_profile_entries base = {0};
    int result = extend(frame, source, &base, err);
    if (result == 0) {
        result = pw_profile_read_thresholds(source, entries, err);
    }
    if (result == 0) {
        result = inherit(&base, entries, err);
    }
    pw_profile_entries_done(&base);
    if (result == 0 && entries->count > PW_LIMIT_PROFILE_BOUNDS) {
        result = pw_profile_fail(source, top, false, err,
                                 "more than %d thresholds with those of what it extends",
                                 PW_LIMIT_PROFILE_BOUNDS);
    }
    const json_t *min_samples = json_object_get(source->root, "min_samples");
    if (result == 0 && min_samples) {
        set_min_samples(entries, (unsigned)json_integer_value(min_samples));
    }
    return result;
}

static int read_text(const struct frame *frame, const char *text, size_t size,
                     struct pw_profile_entries *entries, char **ret_name, struct pw_err *err)
{
    if (size > PW_LIMIT_PROFILE_BYTES) {
        return pw_err_set(err, PW_ERR_INPUT, "`%s`: larger than %d bytes", frame->path,
                          PW_LIMIT_PROFILE_BYTES);
    }
    json_error_t fault;
    json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &fault);
    if (!root) {
        return pw_err_set(err, PW_ERR_INPUT, "`%s`: line %d, column %d: %s", frame->path,
                          fault.line > 0 ? fault.line : 1, fault.column > 0 ? fault.column : 1,
                          fault.text);
    }
    const struct pw_profile_source source = {
        .path = frame->path, .text = text, .size = size, .root = root};
    int result = read_root(frame, &source, entries, err);
    if (result == 0) {
        *ret_name = strdup(json_string_value(json_object_get(root, "name")));
        result = *ret_name ? 0 : pw_err_memory(err);
    }
    json_decref(root);
    return result;
}

/* A clash is told at the place of the later bound. */
static int fail_clash(const struct pw_profile_entry *early, const struct pw_profile_entry *late,
                      struct pw_err *err)
{
    if (early == late) {
        (void)pw_err_set(err, PW_ERR_INPUT, "no number keeps `%s`", late->bound.text);
    } else if (strcmp(early->path, late->path) == 0) {
        (void)pw_err_set(err, PW_ERR_INPUT, "`%s` and, in line %u, `%s` cannot both hold",
                         late->bound.text, early->place.line, early->bound.text);
    } else {
        (void)pw_err_set(err, PW_ERR_INPUT, "`%s` and, in line %u of `%s`, `%s` cannot both hold",
                         late->bound.text, early->place.line, early->path, early->bound.text);
    }
    return pw_err_prefix(err, "`%s`: line %u, column %u", late->path, late->place.line,
                         late->place.column);
}

static int check_possible(const struct pw_profile_entries *entries, struct pw_err *err)
{
    for (size_t i = 0; i < entries->count; i++) {
        for (size_t j = 0; j <= i; j++) {
            if (pw_bounds_clash(&entries->items[j].bound, &entries->items[i].bound)) {
                return fail_clash(&entries->items[j], &entries->items[i], err);
            }
        }
    }
    return 0;
}

/* Adds the bounds of the entries to *bounds, which takes them, if they can hold together. */
static int finish(struct pw_profile_entries *entries, struct pw_bounds *bounds, struct pw_err *err)
{
    int result = check_possible(entries, err);
    for (size_t i = 0; i < entries->count && result == 0; i++) {
        result = pw_bounds_add(bounds, &entries->items[i].bound, err);
    }
    return result;
}

int pw_profile_parse(const char *text, size_t size, const char *path,
                     struct pw_profile *ret_profile, struct pw_err *err)
{
    struct pw_profile_entries entries = {0};
    struct pw_profile profile = {0};
    int result = read_file(NULL, path, text, size, &entries, &profile.name, err);
    if (result == 0) {
        result = finish(&entries, &profile.bounds, err);
    }
    pw_profile_entries_done(&entries);
    if (result != 0) {
        pw_profile_done(&profile);
        return -1;
    }
    *ret_profile = profile;
    return 0;
}

int pw_profile_load(const char *name_or_path, struct pw_profile *ret_profile, struct pw_err *err)
{
    const struct pw_named_profile *named = pw_named_profile_find(name_or_path);
    if (named) {
        return pw_profile_parse(named->text, named->size, named->name, ret_profile, err);
    }
    PW_FREE_AUTO char *text = NULL;
    size_t size = 0;
    if (pw_file_read(name_or_path, PW_LIMIT_PROFILE_BYTES, &text, &size, err) != 0) {
        add_names(name_or_path, err);
        return -1;
    }
    return pw_profile_parse(text, size, name_or_path, ret_profile, err);
}
