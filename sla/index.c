#include "sla/index.h"

#include <stdlib.h>
#include <string.h>
#include "core/json.h"
#include "sla/index_impl.h"

/* ---------------------------------------------------------------- making one */

static void count_states(const struct pw_index_runs *runs, struct pw_index_counts *counts)
{
    counts->files = runs->count;
    for (size_t i = 0; i < runs->count; i++) {
        enum pw_index_state state = pw_index_runs_at(runs, i)->state;
        counts->read += state == PW_INDEX_READ;
        counts->from_cache += state == PW_INDEX_FROM_CACHE;
        counts->skipped += state == PW_INDEX_SKIPPED;
    }
}

/* Not one run: the first reason stands for all. */
static int fail_without_runs(const struct pw_index_runs *runs, struct pw_err *err)
{
    if (runs->count == 0) {
        return pw_err_set(err, PW_ERR_INPUT, "no summary given");
    }
    const char *reason = pw_index_runs_at(runs, 0)->reason;
    if (runs->count == 1) {
        return pw_err_set(err, PW_ERR_INPUT, "%s", reason);
    }
    return pw_err_set(err, PW_ERR_INPUT, "none of %zu files is a summary; the first: %s",
                      runs->count, reason);
}

static int build(const struct pw_index_runs *runs, const struct pw_index_options *options,
                 json_t **ret_index, struct pw_index_counts *ret_counts, struct pw_err *err)
{
    struct pw_index_groups groups = {0};
    count_states(runs, ret_counts);
    if (ret_counts->read + ret_counts->from_cache == 0) {
        return fail_without_runs(runs, err);
    }
    if (pw_index_groups_make(runs, options, &groups, err) != 0) {
        return -1;
    }
    *ret_index = pw_index_to_json(&groups, runs, options, err);
    pw_index_groups_done(&groups);
    return *ret_index ? 0 : -1;
}

int pw_index_build(const char *const *words, size_t count, struct pw_index_options options,
                   json_t **ret_index, struct pw_index_counts *ret_counts, struct pw_err *err)
{
    struct pw_index_counts counts = {0};
    struct pw_index_cache *cache = NULL;
    struct pw_index_runs runs = {0};
    json_t *index = NULL;
    if (options.cache_path &&
        pw_index_cache_open(options.cache_path, &cache, &counts.cache_fault, err) != 0) {
        return -1;
    }
    int failed = pw_index_load_runs(words, count, cache, &options, &runs, err);
    if (!failed) {
        failed = build(&runs, &options, &index, &counts, err);
    }
    if (!failed) {
        *ret_index = index;
        *ret_counts = counts;
        if (cache) {
            failed = pw_index_cache_update(cache, options.cache_path, &runs, err);
        }
    }
    pw_index_runs_done(&runs);
    pw_index_cache_free(cache);
    return failed;
}

/* ---------------------------------------------------------------- reading one */

/* What is wrong with a document that should be an index, or NULL. */
static const char *fault_of(const json_t *root)
{
    const json_t *profiles = json_object_get(root, "profiles");
    const char *name = NULL;
    json_t *profile = NULL;
    if (!json_is_object(root)) {
        return "it is not a JSON object";
    }
    if (!json_is_object(profiles)) {
        return json_is_object(json_object_get(root, "summary"))
                   ? "it is a summary: make an index of it with `perfwrap index`"
                   : "it has no object `profiles`";
    }
    if (!json_is_integer(json_object_get(root, "window")) ||
        !json_is_integer(json_object_get(root, "min_samples"))) {
        return "it has no numbers `window` and `min_samples`";
    }
    json_object_foreach((json_t *)profiles, name, profile)
    {
        const json_t *metrics = json_object_get(profile, "metrics");
        const char *key = NULL;
        json_t *metric = NULL;
        if (!json_is_object(metrics)) {
            return "a profile in it has no object `metrics`";
        }
        json_object_foreach((json_t *)metrics, key, metric)
        {
            if (!json_is_boolean(json_object_get(metric, "present"))) {
                return "a metric in it does not say whether it is `present`";
            }
        }
    }
    return NULL;
}

json_t *pw_index_load(const char *path, struct pw_err *err)
{
    json_t *root = NULL;
    if (pw_json_read_file(path, &root, err) != 0) {
        return NULL;
    }
    const char *fault = fault_of(root);
    if (fault) {
        json_decref(root);
        pw_err_set(err, PW_ERR_INPUT, "`%s` is no baseline index: %s", path, fault);
        pw_err_remedy(err, "Give a file that `perfwrap index` made.");
        return NULL;
    }
    return root;
}
