/* Marks and phases of a run, for an index. Their names are the runs' own, so a run keeps them as
 * one text, which the cache keeps as any other: a line each, `NAME=NUMBER`. What is in a cache is
 * not believed: a line that is none says nothing. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "core/moments.h"
#include "sla/index_impl.h"

static const char *const blocks[] = {"marks", "phases"};

/* A key as perfwrap writes it: "ready_ms". */
static bool is_key(const char *key)
{
    static const char suffix[] = "_ms";
    size_t length = strlen(key), end = sizeof suffix - 1;
    return length > end && length < PW_MOMENT_KEY_MAX && strcmp(key + length - end, suffix) == 0 &&
           strspn(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") ==
               length;
}

void pw_index_moments_text(const json_t *summary, struct pw_str *ret_text)
{
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        const char *key = NULL;
        const json_t *entry = NULL;
        /* jansson's iterator takes a pointer that is not const but changes nothing. */
        json_object_foreach((json_t *)json_object_get(summary, blocks[i]), key, entry)
        {
            const json_t *median = json_object_get(entry, "p50");
            if (!is_key(key) || !json_is_number(median) ||
                ret_text->length + PW_INDEX_MOMENT_NAME_MAX + 32 > PW_LIMIT_INDEX_MOMENT_BYTES) {
                continue;
            }
            pw_str_addf(ret_text, "%s.%s.p50=%.17g\n", blocks[i], key, json_number_value(median));
        }
    }
}

/* The next line of *at: its name and number. False: there is none. A line that is none has no name.
 */
static bool next_line(const char **at, const char **ret_name, size_t *ret_length, double *ret_value)
{
    const char *line = *at;
    if (!line || *line == '\0') {
        return false;
    }
    size_t length = strcspn(line, "\n");
    size_t name = strcspn(line, "=\n");
    char *end = NULL;
    *at = line + length + (line[length] == '\n');
    *ret_name = line;
    *ret_length = 0;
    if (name == 0 || name >= length || name >= PW_INDEX_MOMENT_NAME_MAX) {
        return true;
    }
    double value = strtod(line + name + 1, &end);
    if (end == line + length && end > line + name + 1 && isfinite(value)) {
        *ret_length = name;
        *ret_value = value;
    }
    return true;
}

double pw_index_moment(const struct pw_index_run *run, const char *name)
{
    const char *at = run->texts[PW_INDEX_MOMENTS], *own = NULL;
    size_t length = 0;
    double value = NAN;
    while (next_line(&at, &own, &length, &value)) {
        if (length > 0 && strlen(name) == length && memcmp(own, name, length) == 0) {
            return value;
        }
    }
    return NAN;
}

static bool is_listed(const struct pw_index_moment_names *names, const char *name, size_t length)
{
    for (size_t i = 0; i < names->count; i++) {
        if (strlen(names->names[i]) == length && memcmp(names->names[i], name, length) == 0) {
            return true;
        }
    }
    return false;
}

int pw_index_moment_names_of(const struct pw_index_group *group,
                             struct pw_index_moment_names *ret_names, struct pw_err *err)
{
    struct pw_index_moment_names names = {0};
    for (size_t i = group->count; i > 0; i--) {
        const char *at = group->runs[i - 1]->texts[PW_INDEX_MOMENTS], *name = NULL;
        size_t length = 0;
        double value = 0;
        while (next_line(&at, &name, &length, &value) && names.count < PW_INDEX_GROUP_MOMENTS_MAX) {
            if (length == 0 || is_listed(&names, name, length)) {
                continue;
            }
            if (!names.names) {
                names.names = calloc(PW_INDEX_GROUP_MOMENTS_MAX, sizeof *names.names);
            }
            if (!names.names) {
                return pw_err_memory(err);
            }
            memcpy(names.names[names.count], name, length); /* zeros behind it */
            names.count++;
        }
    }
    *ret_names = names;
    return 0;
}

void pw_index_moment_names_done(struct pw_index_moment_names *names)
{
    free(names->names);
    *names = (struct pw_index_moment_names){0};
}
