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
        [PW_END_LOST] = "lost",       [PW_END_UNTIL] = "until",
        [PW_END_MISSED] = "missed",   [PW_END_RUNNING] = "running",
    };
    return names[end];
}

const char *pw_stop_name(enum pw_stop stop)
{
    static const char *const names[PW_STOP_COUNT] = {
        [PW_STOP_ITERATIONS] = "iterations",   [PW_STOP_TIME_BUDGET] = "time_budget",
        [PW_STOP_CONFIDENCE] = "confidence",   [PW_STOP_MAX_ITERATIONS] = "max_iterations",
        [PW_STOP_INTERRUPTED] = "interrupted", [PW_STOP_ERROR] = "error",
        [PW_STOP_SLA_DECIDED] = "sla_decided", [PW_STOP_SLA_UNDECIDED] = "sla_undecided",
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
    pw_telemetry_done(&run->telemetry);
    free(run->iterations);
    free(run->warnings);
    free(run->orphans);
    free(run->run_dir);
    free(run->command);
    free(run->config_path);
    free(run->stop_detail);
    json_decref(run->profile);
    json_decref(run->environment);
    json_decref(run->machine);
    json_decref(run->cpu_profile);
    pw_run_record_init(run);
}

/* Ends all of it but the counts. */
static void keep_counts(struct pw_telemetry *telemetry)
{
    struct pw_telemetry counts = *telemetry;
    pw_telemetry_done(telemetry);
    counts.metrics = NULL;
    counts.actions = NULL;
    counts.span_names = NULL;
    counts.metric_count = counts.action_count = counts.span_name_count = 0;
    *telemetry = counts;
}

static void drop_blocks(struct pw_iteration_record *iteration)
{
    json_decref(iteration->otel_metrics);
    json_decref(iteration->otel_actions);
    iteration->otel_metrics = NULL;
    iteration->otel_actions = NULL;
}

/* Into the run's, and leaves the iteration what is kept of it. */
static int take_telemetry(struct pw_run_record *run, struct pw_iteration_record *iteration,
                          struct pw_err *err)
{
    size_t entries =
        json_object_size(iteration->otel_metrics) + json_array_size(iteration->otel_actions);
    if (pw_telemetry_merge(&run->telemetry, &iteration->telemetry, err) != 0) {
        return -1;
    }
    run->has_telemetry = true;
    keep_counts(&iteration->telemetry);
    for (size_t i = 0; i < iteration->worker_count; i++) {
        keep_counts(&iteration->workers[i].telemetry);
    }
    if (run->otel_listed + entries <= PW_LIMIT_OTEL_LISTED) {
        run->otel_listed += entries;
    } else {
        drop_blocks(iteration);
        run->otel_unlisted++;
    }
    return 0;
}

/* Lets go of the lists of processes when those kept are enough. */
static void bound_processes(struct pw_run_record *run, const struct pw_iteration_record *iteration)
{
    for (size_t i = 0; i < iteration->worker_count; i++) {
        json_t *kernel = iteration->workers[i].kernel;
        size_t listed = json_array_size(json_object_get(kernel, "processes"));
        if (run->processes_listed + listed <= PW_LIMIT_KERNEL_LISTED) {
            run->processes_listed += listed;
        } else {
            json_object_del(kernel, "processes");
        }
    }
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
    if (iteration->has_telemetry && take_telemetry(run, iteration, err) != 0) {
        return -1;
    }
    if (iteration->moment_names) {
        run->moment_names = iteration->moment_names;
    }
    bound_processes(run, iteration);
    run->iterations[run->iteration_count++] = *iteration;
    *iteration = (struct pw_iteration_record){0};
    return 0;
}

void pw_run_record_add_late(struct pw_run_record *run, unsigned iteration, unsigned worker_id,
                            uint64_t payloads)
{
    if (iteration == 0 || iteration > run->iteration_count) {
        return;
    }
    struct pw_iteration_record *record = &run->iterations[iteration - 1]; /* numbered from 1 */
    if (worker_id == 0 || worker_id > record->worker_count) {
        return;
    }
    record->workers[worker_id - 1].telemetry.losses[PW_LOSS_LATE] += payloads;
    record->telemetry.losses[PW_LOSS_LATE] += payloads;
    run->telemetry.losses[PW_LOSS_LATE] += payloads;
    record->values[PW_METRIC_TELEMETRY_LOST] =
        pw_value_of((double)pw_telemetry_lost_payloads(&record->telemetry));
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
        pw_moments_init(&workers[i].moments);
    }
    *iteration = (struct pw_iteration_record){
        .number = number,
        .workers = workers,
        .worker_count = worker_count,
    };
    return 0;
}

/* What pw_iteration_fold() made of the workers' telemetry. */
static void telemetry_done(struct pw_iteration_record *iteration)
{
    drop_blocks(iteration);
    json_decref(iteration->queue_cancel);
    iteration->queue_cancel = NULL;
    pw_telemetry_done(&iteration->telemetry);
    iteration->has_telemetry = false;
}

void pw_iteration_record_done(struct pw_iteration_record *iteration)
{
    for (size_t i = 0; i < iteration->worker_count; i++) {
        free(iteration->workers[i].stderr_tail);
        free(iteration->workers[i].verdict_detail);
        pw_telemetry_done(&iteration->workers[i].telemetry);
        json_decref(iteration->workers[i].kernel);
        json_decref(iteration->workers[i].memory_at_peak);
    }
    free(iteration->workers);
    free(iteration->trace_path);
    json_decref(iteration->hotspots);
    telemetry_done(iteration);
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

/* The numbers of the table that the iteration's telemetry gives. */
static void measure_telemetry(struct pw_iteration_record *iteration)
{
    static const struct {
        enum pw_family family;
        enum pw_metric_id points, sum;
    } families[] = {
        {PW_FAMILY_TURN, PW_METRIC_OTEL_TURN_POINTS, PW_METRIC_OTEL_TURN_SUM},
        {PW_FAMILY_ACTION, PW_METRIC_OTEL_ACTION_POINTS, PW_METRIC_OTEL_ACTION_SUM},
        {PW_FAMILY_STREAM, PW_METRIC_OTEL_STREAM_POINTS, PW_METRIC_OTEL_STREAM_SUM},
    };
    const struct pw_telemetry *telemetry = &iteration->telemetry;
    struct pw_value *values = iteration->values;
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        enum pw_family family = families[i].family;
        uint64_t points = pw_telemetry_family_points(telemetry, family);
        values[families[i].points] = pw_value_of((double)points);
        values[families[i].sum] = /* of no points there is no sum: not 0 */
            points > 0 ? pw_value_of(pw_telemetry_family_value_sum(telemetry, family))
                       : pw_value_absent(PW_ABSENT_NO_SAMPLES);
    }
    values[PW_METRIC_OTEL_PAYLOADS] = pw_value_of((double)pw_telemetry_payloads(telemetry));
    values[PW_METRIC_OTEL_DATAPOINTS] = pw_value_of((double)telemetry->datapoints);
    values[PW_METRIC_OTEL_SPANS] = pw_value_of((double)telemetry->spans);
    values[PW_METRIC_OTEL_LOG_RECORDS] = pw_value_of((double)telemetry->log_records);
    values[PW_METRIC_TELEMETRY_LOST] = pw_value_of((double)pw_telemetry_lost_payloads(telemetry));
}

static int fold_telemetry(struct pw_iteration_record *iteration, struct pw_err *err)
{
    struct pw_telemetry *telemetry = &iteration->telemetry;
    telemetry_done(iteration);
    for (size_t i = 0; i < iteration->worker_count; i++) {
        struct pw_worker_record *worker = &iteration->workers[i];
        if (!worker->has_telemetry) {
            continue;
        }
        for (enum pw_family family = 0; family < PW_FAMILY_COUNT; family++) {
            worker->family_points[family] = pw_telemetry_family_points(&worker->telemetry, family);
        }
        if (pw_telemetry_merge(telemetry, &worker->telemetry, err) != 0) {
            return -1;
        }
        iteration->has_telemetry = true;
    }
    if (!iteration->has_telemetry) {
        return 0;
    }
    measure_telemetry(iteration);
    bool failed = false;
    iteration->otel_metrics = pw_telemetry_metrics_to_json(telemetry, false, &failed);
    iteration->otel_actions = pw_telemetry_actions_to_json(telemetry, &failed);
    iteration->queue_cancel = pw_telemetry_queue_to_json(telemetry, &failed);
    return failed ? pw_err_memory(err) : 0;
}

int pw_iteration_fold(struct pw_iteration_record *iteration, struct pw_err *err)
{
    fold_window(iteration);
    for (size_t id = 0; id < PW_METRIC_COUNT; id++) {
        enum pw_fold fold = pw_metrics[id].fold;
        if (fold != PW_FOLD_WINDOW && fold != PW_FOLD_POOL) {
            iteration->values[id] = fold_workers(iteration, (enum pw_metric_id)id);
        }
    }
    return fold_telemetry(iteration, err);
}
