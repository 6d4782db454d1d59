/* The document: the contract's keys, then perfwrap's own. */
#include <string.h>
#include <time.h>
#include "core/clock.h"
#include "core/json.h"
#include "core/metric.h"
#include "sla/index_impl.h"

static void put_value(json_t *object, const char *key, struct pw_value value, bool *failed)
{
    pw_json_put(object, key, pw_json_number(value, false), failed);
}

static void put_number(json_t *object, const char *key, double number, bool *failed)
{
    put_value(object, key, pw_value_of(number), failed);
}

static void put_count(json_t *object, const char *key, size_t count, bool *failed)
{
    pw_json_put(object, key, json_integer((json_int_t)count), failed);
}

static void put_status(json_t *object, const char *key, enum pw_index_status status, bool *failed)
{
    pw_json_put(object, key, json_string(pw_index_status_name(status)), failed);
}

/* ---------------------------------------------------------------- a metric */

static void put_contract(json_t *to, const struct pw_index_judgement *judgement, bool *failed)
{
    const struct pw_index_standing *window = &judgement->window;
    pw_json_put(to, "present", json_true(), failed);
    pw_json_put(to, "higher_is_better", json_boolean(judgement->higher_is_better), failed);
    put_count(to, "n", judgement->n, failed);
    put_number(to, "current", judgement->current, failed);
    put_number(to, "mean", judgement->mean, failed);
    put_value(to, "median", window->median, failed);
    put_number(to, "trimmed_mean_10", judgement->trimmed_mean, failed);
    put_number(to, "p95", judgement->p95, failed);
    put_number(to, "p99", judgement->p99, failed);
    put_number(to, "min", judgement->min, failed);
    put_number(to, "max", judgement->max, failed);
    put_number(to, "std", judgement->std, failed);
    put_value(to, "cv", judgement->cv, failed);
    put_value(to, "mad", window->mad, failed);
    put_number(to, "iqr", judgement->iqr, failed);
    put_value(to, "delta_pct_from_median", window->delta_pct, failed);
    put_value(to, "robust_z", window->robust_z, failed);
    put_status(to, "status", judgement->status, failed);
    put_value(to, "robust_z_fallback", window->robust_z_fallback, failed);
    put_status(to, "status_strict", judgement->strict, failed);
}

static json_t *baseline_to_json(const struct pw_index_judgement *judgement, bool *failed)
{
    const struct pw_index_standing *before = &judgement->baseline;
    json_t *to = json_object();
    put_count(to, "n", before->n, failed);
    put_value(to, "median", before->median, failed);
    put_value(to, "mad", before->mad, failed);
    put_value(to, "robust_z", before->robust_z, failed);
    put_value(to, "robust_z_fallback", before->robust_z_fallback, failed);
    put_value(to, "delta_pct", before->delta_pct, failed);
    put_number(to, "noise_floor", judgement->noise_floor, failed);
    put_status(to, "status", judgement->baseline_status, failed);
    return to;
}

static json_t *points_to_json(const struct pw_index_judgement *judgement,
                              const struct pw_index_group *group, bool *failed)
{
    json_t *to = json_array();
    for (size_t i = 0; i < judgement->point_count; i++) {
        const struct pw_change_point *point = &judgement->points[i];
        const struct pw_index_run *run = group->runs[point->index];
        double change = point->after - point->before;
        json_t *one = json_object();
        put_count(one, "index", point->index, failed);
        pw_json_put(one, "path", pw_json_string_or_null(run->path), failed);
        pw_json_put(one, "generated_at", pw_json_string_or_null(run->texts[PW_INDEX_GENERATED_AT]),
                    failed);
        put_number(one, "before", point->before, failed);
        put_number(one, "after", point->after, failed);
        put_number(one, "change_pct", change / point->before * 100, failed);
        put_number(one, "p", point->p, failed);
        pw_json_put(one, "worse",
                    json_boolean(judgement->higher_is_better ? change < 0 : change > 0), failed);
        pw_json_append(to, one, failed);
    }
    return to;
}

static json_t *trend_to_json(const struct pw_index_judgement *judgement, bool *failed)
{
    if (!judgement->has_trend) {
        return json_null();
    }
    json_t *to = json_object();
    put_number(to, "slope_per_run", judgement->trend.slope, failed);
    put_number(to, "slope_low", judgement->trend.slope_ci.low, failed);
    put_number(to, "slope_high", judgement->trend.slope_ci.high, failed);
    put_number(to, "p", judgement->trend.p, failed);
    return to;
}

static json_t *metric_to_json(const struct pw_index_judgement *judgement,
                              const struct pw_index_group *group, bool *failed)
{
    json_t *to = json_object();
    if (judgement->n == 0) {
        pw_json_put(to, "present", json_false(), failed);
    } else {
        put_contract(to, judgement, failed);
        pw_json_put(to, "baseline", baseline_to_json(judgement, failed), failed);
        pw_json_put(to, "change_points", points_to_json(judgement, group, failed), failed);
        pw_json_put(to, "trend", trend_to_json(judgement, failed), failed);
    }
    return to;
}

/* ---------------------------------------------------------------- a group */

/* The lines of a boot's text as members. */
static void put_guest(json_t *to, const char *text, bool *failed)
{
    while (text && *text) {
        const char *equals = strchr(text, '='), *end = strchr(text, '\n');
        char key[32];
        if (!equals || !end || end < equals || (size_t)(equals - text) >= sizeof key) {
            return;
        }
        memcpy(key, text, (size_t)(equals - text));
        key[equals - text] = '\0';
        pw_json_put(to, key, json_stringn(equals + 1, (size_t)(end - equals - 1)), failed);
        text = end + 1;
    }
}

static json_t *machine_to_json(const struct pw_index_run *run, bool *failed)
{
    json_t *to = json_object();
    pw_json_put(to, "cpu_model", pw_json_string_or_null(run->texts[PW_INDEX_CPU_MODEL]), failed);
    pw_json_put(to, "cpu_count", pw_json_number(pw_value_of(run->cpu_count), true), failed);
    pw_json_put(to, "kernel", pw_json_string_or_null(run->texts[PW_INDEX_KERNEL]), failed);
    pw_json_put(to, "arch", pw_json_string_or_null(run->texts[PW_INDEX_ARCH]), failed);
    pw_json_put(to, "accelerator", pw_json_string_or_null(run->texts[PW_INDEX_ACCELERATOR]),
                failed);
    put_guest(to, run->texts[PW_INDEX_GUEST], failed);
    return to;
}

/* Beside the contract's metrics, for groups whose runs have marks. */
static void put_moments(json_t *metrics, const struct pw_index_group *group, unsigned min_samples,
                        bool *failed)
{
    struct pw_index_moment_names names = {0};
    if (pw_index_moment_names_of(group, &names, NULL) != 0) {
        *failed = true;
        return;
    }
    for (size_t i = 0; i < names.count && !*failed; i++) {
        struct pw_index_judgement judgement = {0};
        if (pw_index_judge_moment(group, names.names[i], min_samples, &judgement, NULL) != 0) {
            *failed = true;
            break;
        }
        pw_json_put(metrics, names.names[i], metric_to_json(&judgement, group, failed), failed);
        pw_index_judgement_done(&judgement);
    }
    pw_index_moment_names_done(&names);
}

/* `judgements`: of its metrics. */
static json_t *group_to_json(const struct pw_index_group *group,
                             const struct pw_index_judgement *judgements, unsigned min_samples,
                             bool *failed)
{
    const struct pw_index_run *latest = group->runs[group->count - 1];
    json_t *to = json_object(), *metrics = json_object();
    put_count(to, "sample_count", group->count, failed);
    pw_json_put(to, "latest_summary_path", pw_json_string_or_null(latest->path), failed);
    for (size_t i = 0; i < PW_INDEX_METRIC_COUNT; i++) {
        if (judgements[i].n > 0 || !pw_metrics[pw_index_metrics[i].metric].optional) {
            pw_json_put(metrics, pw_index_metrics[i].key,
                        metric_to_json(&judgements[i], group, failed), failed);
        }
    }
    put_moments(metrics, group, min_samples, failed);
    pw_json_put(to, "metrics", metrics, failed);
    pw_json_put(to, "environment", machine_to_json(latest, failed), failed);
    put_count(to, "excluded_other_environment", group->excluded, failed);
    return to;
}

/* ---------------------------------------------------------------- the whole */

static json_t *skipped_to_json(const struct pw_index_runs *runs, bool *failed)
{
    json_t *to = json_array();
    for (size_t i = 0; i < runs->count; i++) {
        const struct pw_index_run *run = pw_index_runs_at(runs, i);
        if (run->state == PW_INDEX_SKIPPED) {
            json_t *one = json_object();
            pw_json_put(one, "path", pw_json_string_or_null(run->path), failed);
            pw_json_put(one, "reason", pw_json_string_or_null(run->reason), failed);
            pw_json_append(to, one, failed);
        }
    }
    return to;
}

static json_t *time_to_json(const char *given)
{
    struct timespec now;
    char text[PW_RFC3339_MAX];
    if (given) {
        return pw_json_string_or_null(given);
    }
    clock_gettime(CLOCK_REALTIME, &now);
    pw_clock_format_rfc3339(now, text);
    return json_string(text);
}

/* A group's name is a key, so it is mended as any other text. */
static void put_group(json_t *profiles, const char *name, json_t *group, bool *failed)
{
    json_t *mended = pw_json_string_or_null(name);
    if (!mended) {
        json_decref(group);
        *failed = true;
        return;
    }
    pw_json_put(profiles, json_string_value(mended), group, failed);
    json_decref(mended);
}

json_t *pw_index_to_json(const struct pw_index_groups *groups, const struct pw_index_runs *runs,
                         const struct pw_index_options *options, struct pw_err *err)
{
    bool failed = false;
    struct pw_index_judgement *judgements = NULL;
    if (pw_index_judge_all(groups, options->min_samples, &judgements, err) != 0) {
        return NULL;
    }
    json_t *root = json_object(), *profiles = json_object();
    pw_json_put(root, "generated_at", time_to_json(options->generated_at), &failed);
    put_count(root, "window", options->window, &failed);
    put_count(root, "min_samples", options->min_samples, &failed);
    pw_json_put(root, "perfwrap_version", json_string(PERFWRAP_VERSION), &failed);
    pw_json_put(root, "group", json_string(options->exact ? "exact" : "heuristic"), &failed);
    pw_json_put(root, "mixed", json_boolean(options->mix), &failed);
    for (size_t i = 0; i < groups->count; i++) {
        const struct pw_index_group *group = &groups->items[i];
        put_group(profiles, group->name,
                  group_to_json(group, &judgements[i * PW_INDEX_METRIC_COUNT], options->min_samples,
                                &failed),
                  &failed);
    }
    pw_json_put(root, "profiles", profiles, &failed);
    pw_json_put(root, "skipped", skipped_to_json(runs, &failed), &failed);
    pw_index_judgements_free(judgements, groups->count);
    if (failed) {
        json_decref(root);
        pw_err_memory(err);
        return NULL;
    }
    return root;
}
