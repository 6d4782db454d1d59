#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "core/metric.h"
#include "sla/number.h"

struct sample {
    double *values;
    size_t count, capacity;
    bool failed;
};

static void add_number(struct sample *sample, double number)
{
    if (sample->failed) {
        return;
    }
    if (sample->count == sample->capacity) {
        size_t capacity = sample->capacity > 0 ? 2 * sample->capacity : 64;
        double *values = realloc(sample->values, capacity * sizeof(*values));
        if (!values) {
            sample->failed = true;
            return;
        }
        sample->values = values;
        sample->capacity = capacity;
    }
    sample->values[sample->count++] = number;
}

static void add(struct sample *sample, const json_t *value)
{
    if (json_is_number(value)) {
        add_number(sample, json_number_value(value));
    }
}

static int finish(struct sample *sample, double **ret_values, size_t *ret_count, struct pw_err *err)
{
    if (sample->failed) {
        free(sample->values);
        return pw_err_memory(err);
    }
    *ret_values = sample->values;
    *ret_count = sample->count;
    return 0;
}

static bool is_successful(const json_t *run)
{
    const json_t *code = json_object_get(run, "return_code");
    return json_is_number(code) && json_number_value(code) == 0;
}

/* Durations of workers stand under the key of the iteration's. */
static const char *worker_key(const struct pw_metric *metric)
{
    return metric->id == PW_METRIC_WORKER_LATENCY ? pw_metrics[PW_METRIC_LATENCY].key
           : metric->iteration_only               ? NULL
                                                  : metric->key;
}

static void add_workers(struct sample *sample, const json_t *run, const struct pw_metric *metric)
{
    const char *key = worker_key(metric);
    const json_t *workers = json_object_get(run, "worker_results");
    if (!key) {
        return;
    }
    if (json_array_size(workers) > 0) {
        for (size_t i = 0; i < json_array_size(workers); i++) {
            const json_t *worker = json_array_get(workers, i);
            if (is_successful(worker)) {
                add(sample, json_object_get(worker, key));
            }
        }
        return;
    }
    /* The older harness writes no workers where there is one: then the iteration is its worker. */
    const json_t *count = json_object_get(run, "worker_count");
    if (is_successful(run) && !metric->worker_only &&
        (!json_is_number(count) || json_number_value(count) == 1)) {
        add(sample, json_object_get(run, key));
    }
}

/* The iteration's value of what stands in its workers only, folded as core/record.c does. */
static void add_folded(struct sample *sample, const json_t *run, const struct pw_metric *metric)
{
    const json_t *workers = json_object_get(run, "worker_results");
    double largest = -INFINITY;
    double sum = 0;
    size_t count = 0;
    for (size_t i = 0; i < json_array_size(workers); i++) {
        const json_t *value = json_object_get(json_array_get(workers, i), metric->key);
        if (json_is_number(value)) {
            largest = fmax(largest, json_number_value(value));
            sum += json_number_value(value);
            count++;
        }
    }
    double folded = metric->fold == PW_FOLD_MAX    ? largest
                    : metric->fold == PW_FOLD_MEAN ? sum / (double)count
                                                   : sum;
    if (count > 0 && isfinite(folded)) {
        add_number(sample, folded);
    }
}

static int gather(const struct pw_summary *summary, const struct pw_metric *metric,
                  void (*add_run)(struct sample *sample, const json_t *run,
                                  const struct pw_metric *metric),
                  double **ret_values, size_t *ret_count, struct pw_err *err)
{
    struct sample sample = {.values = NULL};
    const json_t *runs = json_object_get(pw_summary_root(summary), "runs");
    for (size_t i = 0; i < json_array_size(runs); i++) {
        add_run(&sample, json_array_get(runs, i), metric);
    }
    return finish(&sample, ret_values, ret_count, err);
}

static void add_iteration(struct sample *sample, const json_t *run, const struct pw_metric *metric)
{
    if (metric->fold == PW_FOLD_POOL) {
        add_workers(sample, run, metric);
    } else if (metric->worker_only) {
        add_folded(sample, run, metric);
    } else if (metric->key) {
        add(sample, json_object_get(run, metric->key));
    }
}

int pw_sample_of_metric(const struct pw_summary *summary, const struct pw_metric *metric,
                        double **ret_values, size_t *ret_count, struct pw_err *err)
{
    return gather(summary, metric, add_iteration, ret_values, ret_count, err);
}

int pw_worker_sample_of_metric(const struct pw_summary *summary, const struct pw_metric *metric,
                               double **ret_values, size_t *ret_count, struct pw_err *err)
{
    return gather(summary, metric, add_workers, ret_values, ret_count, err);
}

/* The number at "marks.ready_ms" of a run or a worker; NULL if there is none. */
static const json_t *moment_of(const json_t *object, const char *path)
{
    size_t length = strcspn(path, ".");
    const json_t *block = json_object_getn(object, path, length);
    return path[length] == '.' ? json_object_get(block, path + length + 1) : NULL;
}

int pw_worker_sample_of_moment(const struct pw_summary *summary, const char *path,
                               double **ret_values, size_t *ret_count, struct pw_err *err)
{
    struct sample sample = {.values = NULL};
    const json_t *runs = json_object_get(pw_summary_root(summary), "runs");
    for (size_t i = 0; i < json_array_size(runs); i++) {
        const json_t *workers = json_object_get(json_array_get(runs, i), "worker_results");
        for (size_t j = 0; j < json_array_size(workers); j++) {
            const json_t *worker = json_array_get(workers, j);
            if (is_successful(worker)) {
                add(&sample, moment_of(worker, path));
            }
        }
    }
    return finish(&sample, ret_values, ret_count, err);
}

int pw_sample_of_moment(const struct pw_summary *summary, const char *path, double **ret_values,
                        size_t *ret_count, struct pw_err *err)
{
    struct sample sample = {.values = NULL};
    const json_t *runs = json_object_get(pw_summary_root(summary), "runs");
    for (size_t i = 0; i < json_array_size(runs); i++) {
        add(&sample, moment_of(json_array_get(runs, i), path));
    }
    return finish(&sample, ret_values, ret_count, err);
}
