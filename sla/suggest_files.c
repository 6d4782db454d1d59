/* Suggestions for files: which is an index, which a summary, and where an index's summaries are. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/file.h"
#include "core/json.h"
#include "core/str.h"
#include "sla/index.h"
#include "sla/inputs.h"
#include "sla/suggest.h"

static int add_summary(const char *path, json_t *document, struct pw_err *err)
{
    struct pw_summary *summary = pw_summary_load(path, err);
    int result = summary ? pw_suggest_from_summary(summary, path, document, err) : -1;
    pw_summary_free(summary);
    return result;
}

/* `path` as it stands in an index: beside the index, else from the working folder. free(); NULL and
 * err without memory. */
static char *resolve(const char *index_path, const char *path, struct pw_err *err)
{
    const char *slash = strrchr(index_path, '/');
    if (*path != '/' && slash) {
        PW_STR_AUTO beside = PW_STR_INIT;
        pw_str_add_bytes(&beside, index_path, (size_t)(slash - index_path) + 1);
        pw_str_add(&beside, path);
        if (access(beside.text, F_OK) == 0) {
            return pw_str_take(&beside, err);
        }
    }
    char *same = strdup(path);
    if (!same) {
        pw_err_memory(err);
    }
    return same;
}

static int add_latest(const json_t *index, const char *index_path, json_t *document,
                      struct pw_err *err)
{
    const char *name;
    json_t *profile;
    json_object_foreach(json_object_get(index, "profiles"), name, profile)
    {
        struct pw_err fault = PW_ERR_INIT;
        const char *latest = json_string_value(json_object_get(profile, "latest_summary_path"));
        PW_FREE_AUTO char *path = latest ? resolve(index_path, latest, err) : NULL;
        if (latest && !path) {
            return -1;
        }
        if (path && add_summary(path, document, &fault) == 0) {
            continue;
        }
        if (path && fault.cls != PW_ERR_INPUT) {
            *err = fault;
            return -1;
        }
        PW_STR_AUTO note = PW_STR_INIT;
        pw_str_addf(&note, "The newest summary of profile %s was not looked at: %s.", name,
                    path ? fault.message : "the index does not name it");
        if (note.failed) {
            return pw_err_memory(err);
        }
        if (pw_suggest_note(document, note.text, err) != 0) {
            return -1;
        }
    }
    return 0;
}

static int add_index(const char *path, bool latest, json_t *document, struct pw_err *err)
{
    json_t *index = pw_index_load(path, err);
    if (!index) {
        return -1;
    }
    int result = pw_suggest_from_index(index, path, document, err);
    if (result == 0 && latest) {
        result = add_latest(index, path, document, err);
    }
    json_decref(index);
    return result;
}

static int add_file(const char *path, bool latest, json_t *document, struct pw_err *err)
{
    json_t *root = NULL;
    if (pw_json_read_file(path, &root, err) != 0) {
        return -1;
    }
    bool is_index = json_is_object(json_object_get(root, "profiles"));
    json_decref(root);
    return is_index ? add_index(path, latest, document, err) : add_summary(path, document, err);
}

static json_t *new_document(const char *index_path, const struct pw_inputs *inputs,
                            struct pw_err *err)
{
    PW_STR_AUTO from = PW_STR_INIT;
    pw_str_add(&from, index_path ? index_path : "");
    for (size_t i = 0; i < inputs->count; i++) {
        pw_str_addf(&from, "%s%s", from.length > 0 ? ", " : "", inputs->paths[i]);
    }
    if (from.failed) {
        pw_err_memory(err);
        return NULL;
    }
    return pw_suggest_new(from.text, err);
}

json_t *pw_suggest_from_files(const char *index_path, const char *const *words, size_t count,
                              bool latest, struct pw_err *err)
{
    struct pw_inputs inputs = {0};
    if (count > 0 && pw_inputs_expand(words, count, &inputs, err) != 0) {
        return NULL;
    }
    json_t *document = new_document(index_path, &inputs, err);
    int result = document ? 0 : -1;
    if (result == 0 && index_path) {
        result = add_index(index_path, latest, document, err);
    }
    for (size_t i = 0; result == 0 && i < inputs.count; i++) {
        result = add_file(inputs.paths[i], latest, document, err);
    }
    pw_inputs_done(&inputs);
    if (result != 0) {
        json_decref(document);
        return NULL;
    }
    return document;
}
