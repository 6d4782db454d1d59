#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/file.h"
#include "core/json.h"
#include "core/stats.h"
#include "sla/compare_impl.h"
#include "sla/guest.h"
#include "sla/number.h"

static const json_t *runs_of(const struct pw_summary *summary)
{
    return json_object_get(pw_summary_root(summary), "runs");
}

static double number_or_zero(const struct pw_summary *summary, const char *name)
{
    struct pw_value value = pw_summary_number(summary, name);
    return pw_value_is_present(value) ? value.number : 0;
}

int pw_compare_describe_side(const struct pw_compare_input *input,
                             struct pw_comparison_side *ret_side, struct pw_err *err)
{
    const char *command = pw_summary_string(input->summaries[0], "command");
    ret_side->summaries = input->count;
    for (size_t i = 0; i < input->count; i++) {
        const struct pw_summary *summary = input->summaries[i];
        const char *own = pw_summary_string(summary, "command");
        double failed = number_or_zero(summary, "failed_runs_total");
        ret_side->iterations += json_array_size(runs_of(summary));
        ret_side->failed += failed;
        ret_side->workers += failed + number_or_zero(summary, "successful_runs_total");
        if (!own || !command || strcmp(own, command) != 0) {
            command = NULL;
        }
    }
    ret_side->command = command ? strdup(command) : NULL;
    return command && !ret_side->command ? pw_err_memory(err) : 0;
}

double pw_compare_concurrency(const struct pw_compare_input *input)
{
    double most = 1;
    for (size_t i = 0; i < input->count; i++) {
        const json_t *runs = runs_of(input->summaries[i]), *run;
        size_t index;
        json_array_foreach(runs, index, run)
        {
            const json_t *workers = json_object_get(run, "worker_count");
            if (json_is_number(workers) && json_number_value(workers) > most) {
                most = json_number_value(workers);
            }
        }
    }
    return most;
}

/* The median duration of an iteration's successful workers; false if there are none. */
static bool median_of_workers(const json_t *workers, double *scratch, double *ret_median)
{
    const char *key = pw_metrics[PW_METRIC_LATENCY].key;
    size_t count = 0, index;
    const json_t *worker;
    json_array_foreach(workers, index, worker)
    {
        const json_t *code = json_object_get(worker, "return_code");
        const json_t *duration = json_object_get(worker, key);
        if (json_is_integer(code) && json_integer_value(code) == 0 && json_is_number(duration)) {
            scratch[count++] = json_number_value(duration);
        }
    }
    if (count == 0) {
        return false;
    }
    pw_stats_sort(scratch, count);
    *ret_median = pw_stats_percentile_sorted(scratch, count, 0.5);
    return true;
}

static int sample_of_medians(const struct pw_summary *summary, double **ret_values,
                             size_t *ret_count, struct pw_err *err)
{
    const json_t *runs = runs_of(summary), *run;
    size_t index, most = 1;
    json_array_foreach(runs, index, run)
    {
        size_t workers = json_array_size(json_object_get(run, "worker_results"));
        most = workers > most ? workers : most;
    }
    size_t size = json_array_size(runs);
    double *values = calloc(size > 0 ? size : 1, sizeof *values);
    PW_FREE_AUTO double *scratch = calloc(most, sizeof *scratch);
    if (!values || !scratch) {
        free(values);
        return pw_err_memory(err);
    }
    size_t count = 0;
    json_array_foreach(runs, index, run)
    {
        count += median_of_workers(json_object_get(run, "worker_results"), scratch, &values[count]);
    }
    *ret_values = values;
    *ret_count = count;
    return 0;
}

/* Of which number the sample is. */
struct wanted {
    const struct pw_metric *metric; /* NULL: of the mark or phase at `moment` */
    const char *moment;
};

static int sample_of(const struct pw_summary *summary, const struct wanted *wanted,
                     double **ret_values, size_t *ret_count, struct pw_err *err)
{
    if (!wanted->metric) {
        return pw_sample_of_moment(summary, wanted->moment, ret_values, ret_count, err);
    }
    return wanted->metric->fold == PW_FOLD_POOL
               ? sample_of_medians(summary, ret_values, ret_count, err)
               : pw_sample_of_metric(summary, wanted->metric, ret_values, ret_count, err);
}

static int gather(const struct pw_compare_input *input, const struct wanted *wanted,
                  double **ret_values, size_t *ret_count, struct pw_err *err)
{
    double *all = NULL;
    size_t count = 0;
    for (size_t i = 0; i < input->count; i++) {
        PW_FREE_AUTO double *values = NULL;
        size_t more = 0;
        int result = sample_of(input->summaries[i], wanted, &values, &more, err);
        double *bigger = NULL;
        if (result == 0 && more > 0) {
            bigger = reallocarray(all, count + more, sizeof *all);
            result = bigger ? 0 : pw_err_memory(err);
        }
        if (result != 0) {
            free(all);
            return -1;
        }
        if (bigger) {
            all = bigger;
            memcpy(all + count, values, more * sizeof *all);
            count += more;
        }
    }
    *ret_values = all;
    *ret_count = count;
    return 0;
}

int pw_compare_sample(const struct pw_compare_input *input, const struct pw_metric *metric,
                      double **ret_values, size_t *ret_count, struct pw_err *err)
{
    return gather(input, &(struct wanted){.metric = metric}, ret_values, ret_count, err);
}

int pw_compare_sample_moment(const struct pw_compare_input *input, const char *path,
                             double **ret_values, size_t *ret_count, struct pw_err *err)
{
    return gather(input, &(struct wanted){.moment = path}, ret_values, ret_count, err);
}

__attribute__((format(printf, 3, 4))) static int warn(struct pw_comparison *comparison,
                                                      struct pw_err *err, const char *format, ...)
{
    char *text;
    va_list arguments;
    if (comparison->warning_count == PW_COMPARISON_WARNINGS_MAX) {
        return 0;
    }
    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (length < 0) {
        return pw_err_memory(err);
    }
    comparison->warnings[comparison->warning_count++] = text;
    return 0;
}

/* The two sides as one row of summaries: A's first. */
struct both {
    const struct pw_compare_input *a, *b;
};

static size_t count_of(const struct both *both)
{
    return both->a->count + both->b->count;
}

static const json_t *root_of(const struct both *both, size_t index)
{
    size_t first = both->a->count;
    return pw_summary_root(index < first ? both->a->summaries[index]
                                         : both->b->summaries[index - first]);
}

static const char *side_of(const struct both *both, size_t index)
{
    return index < both->a->count ? "A" : "B";
}

/* Warns if some summary has another value at `path` than the first that has one. What is missing or
 * null is not known, and differs from nothing. */
static int warn_different(struct pw_comparison *comparison, const struct both *both,
                          const char *what, const char *name, const char *path, struct pw_err *err)
{
    const json_t *first = NULL;
    size_t first_index = 0;
    for (size_t i = 0; i < count_of(both); i++) {
        const json_t *value = pw_json_find(root_of(both, i), path);
        if (!value || json_is_null(value)) {
            continue;
        }
        if (!first) {
            first = value;
            first_index = i;
        } else if (!json_equal(first, value)) {
            PW_FREE_AUTO char *one = json_dumps(first, JSON_ENCODE_ANY);
            PW_FREE_AUTO char *other = json_dumps(value, JSON_ENCODE_ANY);
            return one && other
                       ? warn(comparison, err, "%s: %s is %s in %s and %s in %s", what, name, one,
                              side_of(both, first_index), other, side_of(both, i))
                       : pw_err_memory(err);
        }
    }
    return 0;
}

static int refuse_guest(const char *key, const json_t *first, const char *first_side,
                        const json_t *other, const char *other_side, struct pw_err *err)
{
    PW_STR_AUTO one = PW_STR_INIT;
    PW_STR_AUTO two = PW_STR_INIT;
    pw_guest_add_value(&one, first);
    pw_guest_add_value(&two, other);
    pw_err_set(err, PW_ERR_INPUT,
               "these machines cannot be compared: %s is `%s` in %s and `%s` in %s", key, one.text,
               first_side, two.text, other_side);
    return pw_err_remedy(err, "measure both on the same; --across compares them all the same, "
                              "which tells more of that difference than of yours");
}

int pw_compare_refuse_guests(const struct pw_compare_input *a, const struct pw_compare_input *b,
                             struct pw_err *err)
{
    const struct both both = {.a = a, .b = b};
    for (size_t k = 0; k < PW_GUEST_KEYS; k++) {
        const char *key = pw_guest_keys[k];
        size_t first = count_of(&both);
        for (size_t i = 0; i < count_of(&both); i++) {
            const json_t *root = root_of(&both, i);
            if (!pw_guest_is_one(root) || !pw_guest_value(root, key)) {
                continue;
            }
            if (first == count_of(&both)) {
                first = i;
            } else if (pw_guest_differs(root_of(&both, first), root, key)) {
                return refuse_guest(key, pw_guest_value(root_of(&both, first), key),
                                    side_of(&both, first), pw_guest_value(root, key),
                                    side_of(&both, i), err);
            }
        }
    }
    return 0;
}

/* With `across`. */
static int warn_guests(struct pw_comparison *comparison, const struct both *both,
                       struct pw_err *err)
{
    for (size_t i = 0; i < count_of(both); i++) {
        if (!pw_guest_is_one(root_of(both, i))) {
            return 0;
        }
    }
    for (size_t i = 0; i < PW_GUEST_KEYS; i++) {
        char path[64];
        snprintf(path, sizeof path, "environment.%s", pw_guest_keys[i]);
        if (warn_different(comparison, both, "another machine", pw_guest_keys[i], path, err) != 0) {
            return -1;
        }
    }
    return 0;
}

static int warn_machine(struct pw_comparison *comparison, const struct both *both,
                        struct pw_err *err)
{
    static const char *const names[] = {"cpu_model", "cpu_count", "kernel", "arch"};
    for (size_t i = 0; i < count_of(both); i++) {
        if (!json_is_object(json_object_get(root_of(both, i), "environment"))) {
            return warn(comparison, err,
                        "a summary of %s does not say on which machine it was made",
                        side_of(both, i));
        }
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[64];
        snprintf(path, sizeof path, "environment.%s", names[i]);
        if (warn_different(comparison, both, "another machine", names[i], path, err) != 0) {
            return -1;
        }
    }
    return 0;
}

/* Options that change what a run costs, or what is seen of it. */
static int warn_options(struct pw_comparison *comparison, const struct both *both,
                        struct pw_err *err)
{
    static const char *const names[] = {
        "concurrency",
        "warmup",
        "output",
        "input",
        "setup",
        "prepare",
        "conclude",
        "probe_interval_ms",
        "pss",
        "top_attach",
        "otlp",
        "vmmap_snapshots",
        "keep_orphans",
        "inherit_fds",
        "agent",
        "probe_budget_pct",
        "xctrace_capture",
        "cpu_profile_hz",
        "account_syscalls",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[64];
        snprintf(path, sizeof path, "profile.%s", names[i]);
        if (warn_different(comparison, both, "measured in another way", names[i], path, err) != 0) {
            return -1;
        }
    }
    return warn_different(comparison, both, "measured in another way", "accounting that was used",
                          "accounting.used", err);
}

static int warn_ends(struct pw_comparison *comparison, const struct both *both, struct pw_err *err)
{
    const struct pw_comparison_side *a = &comparison->a, *b = &comparison->b;
    if ((a->failed > 0 || b->failed > 0) &&
        warn(comparison, err,
             "workers failed: %.0f of %.0f of A, %.0f of %.0f of B; latency_ms holds their times "
             "too, and what fails early is fast",
             a->failed, a->workers, b->failed, b->workers) != 0) {
        return -1;
    }
    for (size_t i = 0; i < count_of(both); i++) {
        if (json_is_true(json_object_get(root_of(both, i), "interrupted")) &&
            warn(comparison, err, "a run of %s was interrupted: it has fewer iterations than meant",
                 side_of(both, i)) != 0) {
            return -1;
        }
    }
    return 0;
}

int pw_compare_warn(struct pw_comparison *comparison, const struct pw_compare_input *a,
                    const struct pw_compare_input *b, struct pw_err *err)
{
    const struct both both = {.a = a, .b = b};
    if (warn_ends(comparison, &both, err) != 0 || warn_machine(comparison, &both, err) != 0 ||
        warn_guests(comparison, &both, err) != 0 || warn_options(comparison, &both, err) != 0) {
        return -1;
    }
    return 0;
}
