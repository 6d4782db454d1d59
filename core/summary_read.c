#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/json.h"
#include "core/limits.h"
#include "core/str.h"
#include "core/summary.h"
#include "core/summary_impl.h"

struct pw_summary *pw_summary_new(json_t *root, struct pw_err *err)
{
    struct pw_summary *summary = malloc(sizeof(*summary));
    if (!summary) {
        json_decref(root);
        pw_err_memory(err);
        return NULL;
    }
    summary->root = root;
    return summary;
}

void pw_summary_free(struct pw_summary *summary)
{
    if (summary) {
        json_decref(summary->root);
        free(summary);
    }
}

void pw_summary_done(struct pw_summary **summary)
{
    pw_summary_free(*summary);
    *summary = NULL;
}

/* What is wrong with a document that should be a summary, or NULL. */
static const char *fault_of(const json_t *root)
{
    if (!json_is_object(root)) {
        return "it is not a JSON object";
    }
    const json_t *summary = json_object_get(root, "summary");
    if (!json_is_object(summary)) {
        return "it has no object `summary`";
    }
    if (!json_is_array(json_object_get(root, "runs"))) {
        return "it has no list `runs`";
    }
    if (!json_is_object(json_object_get(summary, "latency_ms"))) {
        return "`summary` has no object `latency_ms`";
    }
    return NULL;
}

struct pw_summary *pw_summary_load(const char *path, struct pw_err *err)
{
    json_t *root = NULL;
    if (pw_json_read_file(path, &root, err) != 0) {
        return NULL;
    }
    const char *fault = fault_of(root);
    if (fault) {
        json_decref(root);
        pw_err_set(err, PW_ERR_INPUT, "`%s` is no summary: %s", path, fault);
        pw_err_remedy(err, "Give the summary.json of a run.");
        return NULL;
    }
    return pw_summary_new(root, err);
}

const json_t *pw_summary_root(const struct pw_summary *summary)
{
    return summary->root;
}

static struct pw_value number_of(const json_t *value)
{
    return json_is_number(value) ? pw_value_of(json_number_value(value))
                                 : pw_value_absent(PW_ABSENT_NOT_MEASURED);
}

/* The reason under `unavailable`; a document of the old harness has none. */
static enum pw_absence reason_of(const struct pw_summary *summary, const char *path)
{
    const json_t *reasons = pw_json_find(summary->root, "summary.unavailable");
    const char *name = json_string_value(json_object_get(reasons, path));
    for (enum pw_absence state = 0; name && state <= PW_ABSENT_NO_SAMPLES; state++) {
        if (state != PW_PRESENT && strcmp(name, pw_absence_name(state)) == 0) {
            return state;
        }
    }
    return PW_ABSENT_NOT_MEASURED;
}

struct pw_value pw_summary_stat(const struct pw_summary *summary, enum pw_metric_id metric,
                                enum pw_stat stat)
{
    const char *path = pw_metrics[metric].path;
    const json_t *place = pw_json_find(json_object_get(summary->root, "summary"), path);
    if (stat != PW_STAT_SCALAR) {
        place = json_object_get(place, pw_stat_name(stat));
    }
    struct pw_value value = number_of(place);
    return pw_value_is_present(value) ? value : pw_value_absent(reason_of(summary, path));
}

struct pw_value pw_summary_number(const struct pw_summary *summary, const char *name)
{
    const json_t *inside = pw_json_find_number(json_object_get(summary->root, "summary"), name);
    return number_of(inside ? inside : pw_json_find_number(summary->root, name));
}

const char *pw_summary_string(const struct pw_summary *summary, const char *name)
{
    return json_string_value(pw_json_find(summary->root, name));
}

/* State of pw_summary_each_number(). */
struct walk {
    void (*visit)(const char *name, double number, void *context);
    void *context;
    struct pw_str name;
    int depth;
};

static void walk_value(struct walk *walk, const json_t *value);

/* `segment` names `value` within what walk->name names. */
static void walk_member(struct walk *walk, const char *segment, const json_t *value)
{
    size_t length = walk->name.length;
    /* The root is at depth 1 here; an empty key is a segment too. */
    pw_str_addf(&walk->name, "%s%s", walk->depth > 1 ? "." : "", segment);
    walk_value(walk, value);
    if (!walk->name.failed) {
        walk->name.length = length;
        walk->name.text[length] = '\0';
    }
}

/* As deep as names reach that pw_json_find() takes. */
static void walk_value(struct walk *walk, const json_t *value)
{
    if (json_is_number(value) && !walk->name.failed) {
        walk->visit(walk->name.text, json_number_value(value), walk->context);
    }
    if (walk->depth == PW_LIMIT_PATH_DEPTH) {
        return;
    }
    walk->depth++;
    if (json_is_object(value)) {
        const char *key = NULL;
        json_t *member = NULL;
        json_object_foreach((json_t *)value, key, member)
        {
            walk_member(walk, key, member);
        }
    } else if (json_is_array(value)) {
        for (size_t i = 0; i < json_array_size(value); i++) {
            char index[24];
            snprintf(index, sizeof(index), "%zu", i);
            walk_member(walk, index, json_array_get(value, i));
        }
    }
    walk->depth--;
}

void pw_summary_each_number(const struct pw_summary *summary,
                            void (*visit)(const char *name, double number, void *context),
                            void *context)
{
    struct walk walk = {.visit = visit, .context = context, .name = PW_STR_INIT};
    walk_value(&walk, summary->root);
    pw_str_done(&walk.name);
}
