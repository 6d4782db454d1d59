/* The thresholds of one profile file: from JSON to bounds that know where they stand. */
#include <stdlib.h>
#include <string.h>
#include "core/limits.h"
#include "sla/expression.h"
#include "sla/flags.h"
#include "sla/profile_impl.h"

static void entry_done(struct pw_profile_entry *entry)
{
    pw_bound_done(&entry->bound);
    free(entry->path);
    *entry = (struct pw_profile_entry){0};
}

void pw_profile_entries_done(struct pw_profile_entries *entries)
{
    for (size_t i = 0; i < entries->count; i++) {
        entry_done(&entries->items[i]);
    }
    free(entries->items);
    *entries = (struct pw_profile_entries){0};
}

int pw_profile_entries_add(struct pw_profile_entries *entries, struct pw_profile_entry *entry,
                           struct pw_err *err)
{
    if (entries->count == entries->capacity) {
        size_t capacity = entries->capacity > 0 ? 2 * entries->capacity : 16;
        struct pw_profile_entry *items = realloc(entries->items, capacity * sizeof *items);
        if (!items) {
            entry_done(entry);
            return pw_err_memory(err);
        }
        entries->items = items;
        entries->capacity = capacity;
    }
    entries->items[entries->count++] = *entry;
    *entry = (struct pw_profile_entry){0};
    return 0;
}

/* The message without the column that pw_expression_parse() puts in front: here it is told as one
 * of the file. */
static const char *without_column(const char *message)
{
    const char *end = strstr(message, ": ");
    return strncmp(message, "column ", strlen("column ")) == 0 && end ? end + 2 : message;
}

/* Takes over the fault of an expression that stands in the string at `at`: as this file's, with the
 * place of its column in the string. */
static int fail_in_string(const struct pw_profile_source *source, struct pw_profile_at at,
                          size_t column, const struct pw_err *fault, struct pw_err *err)
{
    if (fault->cls != PW_ERR_USAGE) {
        if (err) {
            *err = *fault;
        }
        return -1;
    }
    struct pw_json_place place = {.line = 1, .column = 1};
    if (pw_json_place_find(source->text, source->size, at.steps, at.count, false, &place)) {
        place =
            pw_json_place_in_string(source->text, source->size, place, column > 0 ? column - 1 : 0);
    }
    pw_err_set(err, PW_ERR_INPUT, "`%s`: line %u, column %u: %s", source->path, place.line,
               place.column, without_column(fault->message));
    return fault->remedy[0] != '\0' ? pw_err_remedy(err, "%s", fault->remedy) : -1;
}

static int read_conditions(const struct pw_profile_source *source, struct pw_profile_at at,
                           const json_t *conditions, struct pw_bound *bound, struct pw_err *err)
{
    size_t i;
    const json_t *entry;
    json_array_foreach(conditions, i, entry)
    {
        struct pw_err fault = PW_ERR_INIT;
        size_t column = 1;
        const char *condition = json_string_value(entry);
        if (pw_condition_check(condition, &column, &fault) != 0) {
            return fail_in_string(source, pw_profile_at_index(at, i), column, &fault, err);
        }
        char *copy = strdup(condition);
        if (!copy) {
            return pw_err_memory(err);
        }
        bound->conditions[bound->condition_count++] = copy;
    }
    return 0;
}

/* The place of a key's text among its choices, which are in the order of their enum; 0, the
 * default, if it is not there. */
static unsigned choice_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    for (size_t i = 0; text && i < pw_profile_threshold_keys.count; i++) {
        const struct pw_profile_key *key = &pw_profile_threshold_keys.items[i];
        for (unsigned j = 0; strcmp(key->name, name) == 0 && key->choices[j]; j++) {
            if (strcmp(key->choices[j], text) == 0) {
                return j;
            }
        }
    }
    return 0;
}

static int replace_text(char **text, const char *with, struct pw_err *err)
{
    char *copy = strdup(with);
    if (!copy) {
        return pw_err_memory(err);
    }
    free(*text);
    *text = copy;
    return 0;
}

/* The contract's name and place if it is one of the contract's checks; the label given. */
static int name_bound(struct pw_bound *bound, const char *label, struct pw_err *err)
{
    const struct pw_sla_flag *flag = pw_sla_flag_of(bound);
    bound->order = flag ? (int)(flag - pw_sla_flags) : PW_BOUND_ORDER_OWN;
    if (!label && flag) {
        label = flag->label;
    }
    return label ? replace_text(&bound->label, label, err) : 0;
}

/* What a threshold says beside its expression. NULL: nothing, it is a string. */
static int read_details(const struct pw_profile_source *source, struct pw_profile_at at,
                        const json_t *object, struct pw_profile_entry *entry, struct pw_err *err)
{
    struct pw_bound *bound = &entry->bound;
    bound->missing = choice_of(object, "missing");
    bound->on_noise = choice_of(object, "on_noise");
    bound->severity = choice_of(object, "severity");
    const json_t *min_samples = json_object_get(object, "min_samples");
    entry->own_min_samples = min_samples != NULL;
    bound->min_samples = (unsigned)json_integer_value(min_samples);
    if (name_bound(bound, json_string_value(json_object_get(object, "label")), err) != 0) {
        return -1;
    }
    return read_conditions(source, pw_profile_at_key(at, "when"), json_object_get(object, "when"),
                           bound, err);
}

/* Fills *entry, also in part on failure. */
static int read_entry(const struct pw_profile_source *source, struct pw_profile_at at,
                      const json_t *threshold, struct pw_profile_entry *entry, struct pw_err *err)
{
    const json_t *text = threshold;
    const json_t *object = json_is_object(threshold) ? threshold : NULL;
    struct pw_profile_at text_at = at;
    if (object) {
        if (pw_profile_check_keys(source, at, object, &pw_profile_threshold_keys, err) != 0) {
            return -1;
        }
        text = json_object_get(object, "bound");
        text_at = pw_profile_at_key(at, "bound");
    }
    struct pw_err fault = PW_ERR_INIT;
    size_t column = 1;
    if (pw_expression_parse(json_string_value(text), &entry->bound, &column, &fault) != 0) {
        return fail_in_string(source, text_at, column, &fault, err);
    }
    entry->path = strdup(source->path);
    if (!entry->path) {
        return pw_err_memory(err);
    }
    (void)pw_json_place_find(source->text, source->size, text_at.steps, text_at.count, false,
                             &entry->place);
    return read_details(source, at, object, entry, err);
}

/* Refuses the entry if one of `entries` from `first` on is on the same number in the same direction
 * under the same conditions. */
static int check_new(const struct pw_profile_source *source,
                     const struct pw_profile_entries *entries, size_t first,
                     const struct pw_profile_entry *entry, struct pw_profile_at at,
                     struct pw_err *err)
{
    for (size_t i = first; i < entries->count; i++) {
        const struct pw_profile_entry *old = &entries->items[i];
        if (pw_bound_is_same(&old->bound, &entry->bound) &&
            pw_bound_same_conditions(&old->bound, &entry->bound)) {
            (void)pw_profile_fail(source, at, false, err,
                                  "`%s` bounds the same number in the same direction as `%s` in "
                                  "line %u",
                                  entry->bound.text, old->bound.text, old->place.line);
            return pw_err_remedy(err, "Keep one of the two, or let them differ in `when`.");
        }
    }
    return 0;
}

int pw_profile_read_thresholds(const struct pw_profile_source *source,
                               struct pw_profile_entries *entries, struct pw_err *err)
{
    const struct pw_profile_at all = pw_profile_at_key((struct pw_profile_at){0}, "thresholds");
    const size_t first = entries->count;
    size_t i;
    const json_t *threshold;
    json_array_foreach(json_object_get(source->root, "thresholds"), i, threshold)
    {
        struct pw_profile_at at = pw_profile_at_index(all, i);
        struct pw_profile_entry entry = {0};
        if (entries->count >= PW_LIMIT_PROFILE_BOUNDS) {
            return pw_profile_fail(source, at, false, err, "more than %d thresholds",
                                   PW_LIMIT_PROFILE_BOUNDS);
        }
        if (read_entry(source, at, threshold, &entry, err) != 0 ||
            check_new(source, entries, first, &entry, at, err) != 0) {
            entry_done(&entry);
            return -1;
        }
        if (pw_profile_entries_add(entries, &entry, err) != 0) {
            return -1;
        }
    }
    return 0;
}
