/* The tables of keys, and what is checked by them: no unknown key, all required ones, types. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "core/limits.h"
#include "core/str.h"
#include "sla/profile_impl.h"

static const struct pw_profile_key keys[] = {
    {"$schema", PW_PROFILE_NOTE, false, {NULL}, "Where an editor finds this schema."},
    {"name",
     PW_PROFILE_TEXT,
     true,
     {NULL},
     "Name of the profile: what reports call it, unless --label says otherwise."},
    {"description", PW_PROFILE_NOTE, false, {NULL}, "For people."},
    {"extends",
     PW_PROFILE_TEXT,
     false,
     {NULL},
     "A profile that perfwrap carries (cold, throughput, exec, streaming, boot, boot-tcg), or a file, its path from "
     "this one's folder. This profile's thresholds take the place of its thresholds on the same "
     "number in the same direction."},
    {"min_samples",
     PW_PROFILE_WHOLE,
     false,
     {NULL},
     "Fewer samples than this decide nothing: for all bounds over a sample that say none "
     "themselves, also those of the profile that this one extends."},
    {"thresholds",
     PW_PROFILE_THRESHOLDS,
     false,
     {NULL},
     "The bounds. Required, unless the profile extends another."},
};
const struct pw_profile_keys pw_profile_keys = {keys, sizeof keys / sizeof *keys};

static const struct pw_profile_key threshold_keys[] = {
    {"bound", PW_PROFILE_TEXT, true, {NULL}, "The expression: METRIC AGGREGATE OP LIMIT."},
    {"label",
     PW_PROFILE_TEXT,
     false,
     {NULL},
     "What reports call the bound, instead of the contract's name or the left side of `bound`."},
    {"description", PW_PROFILE_NOTE, false, {NULL}, "For people."},
    {"when",
     PW_PROFILE_CONDITIONS,
     false,
     {NULL},
     "The bound applies only if all of these hold. Each is the dotted name of a block of the "
     "summary (it is there; in a file of perfwrap's own: a number is in it) or an expression "
     "without a baseline (its number is there and keeps it)."},
    {"missing",
     PW_PROFILE_CHOICE,
     false,
     {"fail", "skip"},
     "What a number that is missing means. Default: fail."},
    {"on_noise",
     PW_PROFILE_CHOICE,
     false,
     {"inconclusive", "pass", "fail"},
     "With --decide ci: what an interval that spans the bound means for the exit status. Default: "
     "inconclusive."},
    {"severity",
     PW_PROFILE_CHOICE,
     false,
     {"error", "warning"},
     "A breached warning is reported and fails nothing. Default: error."},
    {"min_samples",
     PW_PROFILE_WHOLE,
     false,
     {NULL},
     "Fewer samples than this decide nothing. 0: any number does."},
};
const struct pw_profile_keys pw_profile_threshold_keys = {
    threshold_keys, sizeof threshold_keys / sizeof *threshold_keys};

enum { KEYS_MAX = 16 };
_Static_assert(sizeof keys / sizeof *keys < KEYS_MAX, "names_of() has room");
_Static_assert(sizeof threshold_keys / sizeof *threshold_keys < KEYS_MAX, "names_of() has room");

struct pw_profile_at pw_profile_at_key(struct pw_profile_at at, const char *key)
{
    at.steps[at.count++] = (struct pw_json_step){.key = key};
    return at;
}

struct pw_profile_at pw_profile_at_index(struct pw_profile_at at, size_t index)
{
    at.steps[at.count++] = (struct pw_json_step){.index = index};
    return at;
}

int pw_profile_fail(const struct pw_profile_source *source, struct pw_profile_at at, bool of_key,
                    struct pw_err *err, const char *format, ...)
{
    char message[PW_ERR_MESSAGE_MAX];
    struct pw_json_place place = {.line = 1, .column = 1};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    (void)pw_json_place_find(source->text, source->size, at.steps, at.count, of_key, &place);
    return pw_err_set(err, PW_ERR_INPUT, "`%s`: line %u, column %u: %s", source->path, place.line,
                      place.column, message);
}

/* Reports are lines: what stands in them may not break them. */
static bool is_one_line(const char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < ' ' || *text == '\x7F') {
            return false;
        }
    }
    return true;
}

static const struct pw_profile_key *find_key(const struct pw_profile_keys *table, const char *name)
{
    for (size_t i = 0; i < table->count; i++) {
        if (strcmp(table->items[i].name, name) == 0) {
            return &table->items[i];
        }
    }
    return NULL;
}

static int fail_unknown(const struct pw_profile_source *source, struct pw_profile_at at,
                        const char *name, const struct pw_profile_keys *table, struct pw_err *err)
{
    if (!is_one_line(name)) {
        return pw_profile_fail(source, pw_profile_at_key(at, name), true, err,
                               "unknown key, with a control character in it");
    }
    const char *names[KEYS_MAX];
    PW_STR_AUTO list = PW_STR_INIT;
    for (size_t i = 0; i < table->count; i++) {
        names[i] = table->items[i].name;
        pw_str_addf(&list, "%s`%s`", i > 0 ? ", " : "", names[i]);
    }
    names[table->count] = NULL;
    const char *nearest = pw_nearest_name(name, names);
    if (nearest) {
        (void)pw_profile_fail(source, pw_profile_at_key(at, name), true, err,
                              "unknown key `%s`; did you mean `%s`?", name, nearest);
    } else {
        (void)pw_profile_fail(source, pw_profile_at_key(at, name), true, err, "unknown key `%s`",
                              name);
    }
    return pw_err_remedy(err, "The keys here are %s.", list.text);
}

static const char *type_of(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "an array";
    case JSON_STRING: return "a string";
    case JSON_INTEGER: return "a number";
    case JSON_REAL: return "a number with a fraction";
    case JSON_NULL: return "null";
    default: return "true or false";
    }
}

/* `what` names the string in messages. */
static int check_line(const struct pw_profile_source *source, struct pw_profile_at at,
                      const char *what, const json_t *value, struct pw_err *err)
{
    const char *text = json_string_value(value);
    if (text[0] == '\0') {
        return pw_profile_fail(source, at, false, err, "%s is empty", what);
    }
    if (json_string_length(value) > PW_LIMIT_EXPRESSION_BYTES) {
        return pw_profile_fail(source, at, false, err, "%s is longer than %d bytes", what,
                               PW_LIMIT_EXPRESSION_BYTES);
    }
    if (!is_one_line(text)) {
        return pw_profile_fail(source, at, false, err, "%s holds a control character", what);
    }
    return 0;
}

static int check_choice(const struct pw_profile_source *source, struct pw_profile_at at,
                        const struct pw_profile_key *key, const json_t *value, struct pw_err *err)
{
    const char *text = json_string_value(value);
    PW_STR_AUTO list = PW_STR_INIT;
    for (size_t i = 0; key->choices[i]; i++) {
        if (text && strcmp(key->choices[i], text) == 0) {
            return 0;
        }
        const char *joint = i == 0 ? "" : key->choices[i + 1] ? ", " : " or ";
        pw_str_addf(&list, "%s`%s`", joint, key->choices[i]);
    }
    if (!text || !is_one_line(text)) {
        return pw_profile_fail(source, at, false, err, "`%s` is %s; it must be %s", key->name,
                               type_of(value), list.text);
    }
    return pw_profile_fail(source, at, false, err, "`%s` is `%.100s`; it must be %s", key->name,
                           text, list.text);
}

static int check_whole(const struct pw_profile_source *source, struct pw_profile_at at,
                       const struct pw_profile_key *key, const json_t *value, struct pw_err *err)
{
    json_int_t number = json_integer_value(value);
    if (json_is_integer(value) && number >= 0 && number <= PW_LIMIT_ITERATIONS) {
        return 0;
    }
    if (json_is_integer(value)) {
        return pw_profile_fail(source, at, false, err,
                               "`%s` is %" JSON_INTEGER_FORMAT
                               "; it must be a whole number from 0 to %d",
                               key->name, number, PW_LIMIT_ITERATIONS);
    }
    return pw_profile_fail(source, at, false, err,
                           "`%s` is %s; it must be a whole number from 0 to %d", key->name,
                           type_of(value), PW_LIMIT_ITERATIONS);
}

static int check_array(const struct pw_profile_source *source, struct pw_profile_at at,
                       const struct pw_profile_key *key, const json_t *value, struct pw_err *err)
{
    bool mixed = key->type == PW_PROFILE_THRESHOLDS;
    const char *wanted = mixed ? "strings and objects" : "strings";
    if (!json_is_array(value)) {
        return pw_profile_fail(source, at, false, err, "`%s` is %s; it must be an array of %s",
                               key->name, type_of(value), wanted);
    }
    if (mixed && json_array_size(value) == 0) {
        return pw_profile_fail(source, at, false, err, "`%s` is empty: it would gate nothing",
                               key->name);
    }
    if (!mixed && json_array_size(value) > PW_BOUND_CONDITIONS_MAX) {
        return pw_profile_fail(source, at, false, err, "`%s` has more than %d entries", key->name,
                               PW_BOUND_CONDITIONS_MAX);
    }
    size_t i;
    const json_t *entry;
    json_array_foreach(value, i, entry)
    {
        if (!json_is_string(entry) && !(mixed && json_is_object(entry))) {
            return pw_profile_fail(source, pw_profile_at_index(at, i), false, err,
                                   "an entry of `%s` is %s; the entries are %s", key->name,
                                   type_of(entry), wanted);
        }
        if (json_is_string(entry) &&
            check_line(source, pw_profile_at_index(at, i), "an entry", entry, err) != 0) {
            return -1;
        }
    }
    return 0;
}

static int check_string(const struct pw_profile_source *source, struct pw_profile_at at,
                        const struct pw_profile_key *key, const json_t *value, struct pw_err *err)
{
    char what[32];
    snprintf(what, sizeof what, "`%s`", key->name);
    if (!json_is_string(value)) {
        return pw_profile_fail(source, at, false, err, "%s is %s; it must be a string", what,
                               type_of(value));
    }
    return key->type == PW_PROFILE_NOTE ? 0 : check_line(source, at, what, value, err);
}

static int check_value(const struct pw_profile_source *source, struct pw_profile_at at,
                       const struct pw_profile_key *key, const json_t *value, struct pw_err *err)
{
    switch (key->type) {
    case PW_PROFILE_CHOICE: return check_choice(source, at, key, value, err);
    case PW_PROFILE_WHOLE: return check_whole(source, at, key, value, err);
    case PW_PROFILE_THRESHOLDS:
    case PW_PROFILE_CONDITIONS: return check_array(source, at, key, value, err);
    default: return check_string(source, at, key, value, err);
    }
}

int pw_profile_check_keys(const struct pw_profile_source *source, struct pw_profile_at at,
                          const json_t *object, const struct pw_profile_keys *table,
                          struct pw_err *err)
{
    if (!json_is_object(object)) {
        return pw_profile_fail(source, at, false, err, "a profile is an object, not %s",
                               type_of(object));
    }
    const char *name;
    const json_t *value;
    json_object_foreach((json_t *)object, name, value)
    {
        const struct pw_profile_key *key = find_key(table, name);
        if (!key) {
            return fail_unknown(source, at, name, table, err);
        }
        if (check_value(source, pw_profile_at_key(at, name), key, value, err) != 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < table->count; i++) {
        if (table->items[i].required && !json_object_get(object, table->items[i].name)) {
            return pw_profile_fail(source, at, false, err, "`%s` is missing", table->items[i].name);
        }
    }
    return 0;
}
