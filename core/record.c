#include "core/record.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/clock.h"
#include "core/limits.h"

const char *pw_end_name(enum pw_end end)
{
    static const char *const names[PW_END_COUNT] = {
        [PW_END_EXITED] = "exited",   [PW_END_SIGNALED] = "signaled",
        [PW_END_TIMEOUT] = "timeout", [PW_END_INTERRUPTED] = "interrupted",
        [PW_END_LOST] = "lost",
    };
    return names[end];
}

const char *pw_stop_name(enum pw_stop stop)
{
    static const char *const names[PW_STOP_COUNT] = {
        [PW_STOP_ITERATIONS] = "iterations",   [PW_STOP_TIME_BUDGET] = "time_budget",
        [PW_STOP_CONFIDENCE] = "confidence",   [PW_STOP_MAX_ITERATIONS] = "max_iterations",
        [PW_STOP_INTERRUPTED] = "interrupted", [PW_STOP_ERROR] = "error",
    };
    return names[stop];
}

void pw_run_record_init(struct pw_run_record *run)
{
    *run = (struct pw_run_record){.observer = {.tree_source = "none", .exit_clock = "normal"}};
}

static void warning_done(struct pw_warning *warning)
{
    free(warning->message);
    free(warning->advice);
    json_decref(warning->data);
    *warning = (struct pw_warning){0};
}

void pw_run_record_done(struct pw_run_record *run)
{
    for (size_t i = 0; i < run->iteration_count; i++) {
        pw_iteration_record_done(&run->iterations[i]);
    }
    for (size_t i = 0; i < run->warning_count; i++) {
        warning_done(&run->warnings[i]);
    }
    free(run->iterations);
    free(run->warnings);
    free(run->orphans);
    free(run->run_dir);
    free(run->command);
    free(run->config_path);
    free(run->stop_detail);
    json_decref(run->profile);
    json_decref(run->environment);
    pw_run_record_init(run);
}

int pw_run_record_append(struct pw_run_record *run, struct pw_iteration_record *iteration,
                         struct pw_err *err)
{
    if (run->iteration_count == run->iteration_capacity) {
        size_t capacity = run->iteration_capacity * 2 + 8;
        struct pw_iteration_record *larger =
            reallocarray(run->iterations, capacity, sizeof(*larger));
        if (!larger) {
            return pw_err_memory(err);
        }
        run->iterations = larger;
        run->iteration_capacity = capacity;
    }
    run->iterations[run->iteration_count++] = *iteration;
    *iteration = (struct pw_iteration_record){0};
    return 0;
}

int pw_run_record_add_orphan(struct pw_run_record *run, const struct pw_orphan *orphan,
                             struct pw_err *err)
{
    run->orphans_total++;
    if (run->orphan_count == PW_LIMIT_ORPHANS_LISTED) {
        return 0;
    }
    if (!run->orphans) {
        run->orphans = calloc(PW_LIMIT_ORPHANS_LISTED, sizeof(*run->orphans));
        if (!run->orphans) {
            return pw_err_memory(err);
        }
    }
    run->orphans[run->orphan_count++] = *orphan;
    return 0;
}

int pw_run_record_warn(struct pw_run_record *run, const char *kind, const char *advice,
                       json_t *data, const char *message, ...)
{
    if (run->warning_count == PW_LIMIT_WARNINGS) {
        json_decref(data);
        return 0;
    }
    struct pw_warning warning = {.kind = kind, .advice = strdup(advice), .data = data};
    va_list args;
    va_start(args, message);
    int length = vasprintf(&warning.message, message, args);
    va_end(args);
    if (length < 0) {
        warning.message = NULL;
    }
    if (!run->warnings) {
        run->warnings = calloc(PW_LIMIT_WARNINGS, sizeof(*run->warnings));
    }
    if (!warning.message || !warning.advice || !run->warnings) {
        warning_done(&warning);
        return -1;
    }
    run->warnings[run->warning_count++] = warning;
    return 0;
}

int pw_iteration_record_init(struct pw_iteration_record *iteration, unsigned number,
                             size_t worker_count, struct pw_err *err)
{
    struct pw_worker_record *workers = calloc(worker_count + 1, sizeof(*workers));
    if (!workers) {
        return pw_err_memory(err);
    }
    for (size_t i = 0; i < worker_count; i++) {
        workers[i].id = (unsigned)i + 1;
    }
    *iteration = (struct pw_iteration_record){
        .number = number,
        .workers = workers,
        .worker_count = worker_count,
    };
    return 0;
}

void pw_iteration_record_done(struct pw_iteration_record *iteration)
{
    for (size_t i = 0; i < iteration->worker_count; i++) {
        free(iteration->workers[i].stderr_tail);
    }
    free(iteration->workers);
    *iteration = (struct pw_iteration_record){0};
}

int pw_iteration_return_code(const struct pw_iteration_record *iteration)
{
    for (size_t i = 0; i < iteration->worker_count; i++) {
        if (iteration->workers[i].return_code != 0) {
            return 1;
        }
    }
    return 0;
}

/* Duration, throughput and run counts. Workers that never ran have no end and count for nothing. */
static void fold_window(struct pw_iteration_record *iteration)
{
    int64_t first_ns = INT64_MAX;
    int64_t last_ns = INT64_MIN;
    unsigned successful = 0;
    unsigned ran = 0;
    for (size_t i = 0; i < iteration->worker_count; i++) {
        const struct pw_worker_record *worker = &iteration->workers[i];
        if (worker->ended_at_ns <= worker->started_at_ns) {
            continue;
        }
        first_ns = worker->started_at_ns < first_ns ? worker->started_at_ns : first_ns;
        last_ns = worker->ended_at_ns > last_ns ? worker->ended_at_ns : last_ns;
        successful += worker->return_code == 0;
        ran++;
    }
    if (ran == 0) {
        return;
    }
    iteration->duration_ms = pw_ns_to_ms(last_ns - first_ns);
    struct pw_value *values = iteration->values;
    values[PW_METRIC_LATENCY] = pw_value_of(iteration->duration_ms);
    values[PW_METRIC_THROUGHPUT] = pw_value_of(successful / pw_ns_to_sec(last_ns - first_ns));
    values[PW_METRIC_SUCCESSFUL_RUNS] = pw_value_of(successful);
    values[PW_METRIC_FAILED_RUNS] = pw_value_of((double)(ran - successful));
}

/* One metric over the workers that have it; where none has, the first reason that says something.
 */
static struct pw_value fold_workers(const struct pw_iteration_record *iteration,
                                    enum pw_metric_id id)
{
    enum pw_absence reason = PW_ABSENT_NOT_MEASURED;
    double sum = 0;
    double largest = 0;
    size_t present = 0;
    for (size_t i = 0; i < iteration->worker_count; i++) {
        struct pw_value value = iteration->workers[i].values[id];
        if (!pw_value_is_present(value)) {
            reason = reason == PW_ABSENT_NOT_MEASURED ? value.state : reason;
            continue;
        }
        largest = present == 0 || value.number > largest ? value.number : largest;
        sum += value.number;
        present++;
    }
    if (present == 0) {
        return pw_value_absent(reason);
    }
    switch (pw_metrics[id].fold) {
    case PW_FOLD_MAX: return pw_value_of(largest);
    case PW_FOLD_MEAN: return pw_value_of(sum / (double)present);
    case PW_FOLD_SUM: return pw_value_of(sum);
    case PW_FOLD_WINDOW:
    case PW_FOLD_POOL: break;
    }
    return pw_value_absent(PW_ABSENT_NOT_MEASURED);
}

void pw_iteration_fold(struct pw_iteration_record *iteration)
{
    fold_window(iteration);
    for (size_t id = 0; id < PW_METRIC_COUNT; id++) {
        enum pw_fold fold = pw_metrics[id].fold;
        if (fold != PW_FOLD_WINDOW && fold != PW_FOLD_POOL) {
            iteration->values[id] = fold_workers(iteration, (enum pw_metric_id)id);
        }
    }
}
