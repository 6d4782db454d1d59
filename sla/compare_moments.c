/* Marks and phases that both sides of a comparison have: they become rows as metrics do. */
#include <stdlib.h>
#include <string.h>
#include "core/moments.h"
#include "core/str.h"
#include "sla/compare_impl.h"

static const json_t *block_of(const struct pw_summary *summary, const char *block)
{
    const json_t *aggregates = json_object_get(pw_summary_root(summary), "summary");
    return json_object_get(aggregates, block);
}

static bool has_moment(const struct pw_compare_input *input, const char *block, const char *key)
{
    for (size_t i = 0; i < input->count; i++) {
        if (json_is_object(json_object_get(block_of(input->summaries[i], block), key))) {
            return true;
        }
    }
    return false;
}

static bool is_listed(const struct pw_comparison *comparison, const char *block, const char *key)
{
    size_t length = strlen(block);
    for (size_t i = 0; i < comparison->moment_count; i++) {
        const char *path = comparison->moments[i].metric.path;
        if (path && strncmp(path, block, length) == 0 && path[length] == '.' &&
            strcmp(path + length + 1, key) == 0) {
            return true;
        }
    }
    return false;
}

static int add(struct pw_comparison *comparison, const char *block, const char *key,
               struct pw_err *err)
{
    struct pw_str path = PW_STR_INIT;
    struct pw_comparison_moment *moment = &comparison->moments[comparison->moment_count];
    pw_str_addf(&path, "%s.%s", block, key);
    moment->path = pw_str_take(&path, err);
    if (!moment->path) {
        return -1;
    }
    moment->metric = (struct pw_metric){
        .id = PW_METRIC_COUNT,
        .path = moment->path,
        .unit = "ms",
        .better = PW_BETTER_LOWER,
        /* Both are times from the spawn, read from one clock. */
        .noise_floor = pw_metrics[PW_METRIC_LATENCY].noise_floor,
    };
    comparison->moment_count++;
    return 0;
}

static int add_block(struct pw_comparison *comparison, const struct pw_summary *summary,
                     const struct pw_compare_input *b, const char *block, struct pw_err *err)
{
    const char *key = NULL;
    const json_t *entry = NULL;
    /* jansson's iterator takes a pointer that is not const but changes nothing. */
    json_object_foreach((json_t *)block_of(summary, block), key, entry)
    {
        if (comparison->moment_count == PW_COMPARE_MOMENTS_MAX) {
            return 0; /* perfwrap writes no more; what does is not perfwrap's */
        }
        if (json_is_object(entry) && strlen(key) < PW_MOMENT_KEY_MAX && has_moment(b, block, key) &&
            !is_listed(comparison, block, key) && add(comparison, block, key, err) != 0) {
            return -1;
        }
    }
    return 0;
}

int pw_compare_find_moments(struct pw_comparison *comparison, const struct pw_compare_input *a,
                            const struct pw_compare_input *b, struct pw_err *err)
{
    static const char *const blocks[] = {"marks", "phases"};
    comparison->moments = calloc(PW_COMPARE_MOMENTS_MAX, sizeof *comparison->moments);
    if (!comparison->moments) {
        return pw_err_memory(err);
    }
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        for (size_t j = 0; j < a->count; j++) {
            if (add_block(comparison, a->summaries[j], b, blocks[i], err) != 0) {
                return -1;
            }
        }
    }
    return 0;
}
