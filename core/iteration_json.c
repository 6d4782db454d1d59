#include "core/clock.h"
#include "core/json.h"
#include "core/summary.h"
#include "core/summary_impl.h"

struct pw_value pw_worker_value(const struct pw_worker_record *worker, enum pw_metric_id id)
{
    if (id != PW_METRIC_LATENCY && id != PW_METRIC_WORKER_LATENCY) {
        return worker->values[id];
    }
    return worker->duration_ms > 0 ? pw_value_of(worker->duration_ms)
                                   : pw_value_absent(PW_ABSENT_NOT_MEASURED);
}

static bool is_left_out(const struct pw_metric *row, struct pw_value value)
{
    return row->optional && value.state == PW_ABSENT_NOT_MEASURED;
}

static json_t *integer_or_null(int number)
{
    return number != 0 ? json_integer(number) : json_null();
}

/* Shared, for these blocks do not change any more. */
static json_t *block_or_null(json_t *block)
{
    return block ? json_incref(block) : json_null();
}

/* What not every worker has. */
static void put_block(json_t *object, const char *key, json_t *block, bool *failed)
{
    if (block) {
        pw_json_put(object, key, json_incref(block), failed);
    }
}

static void put_moments(json_t *object, const struct pw_worker_record *worker,
                        const struct pw_moment_names *names, bool *failed)
{
    if (names) {
        pw_json_put(object, "marks", pw_moments_to_json(names, &worker->moments, failed), failed);
        pw_json_put(
            object, "phases",
            pw_phases_to_json(names, &worker->moments, pw_worker_duration_ns(worker), failed),
            failed);
    }
}

static json_t *worker_to_json(const struct pw_worker_record *worker,
                              const struct pw_moment_names *names, bool *failed)
{
    json_t *object = json_object();
    pw_json_put(object, "worker_id", json_integer(worker->id), failed);
    pw_json_put(object, "pid", integer_or_null(worker->pid), failed);
    pw_json_put(object, "return_code", json_integer(worker->return_code), failed);
    pw_json_put(object, "termination", json_string(pw_end_name(worker->end)), failed);
    pw_json_put(object, "signal", integer_or_null(worker->signal), failed);
    if (worker->verdict) {
        pw_json_put(object, "verdict", json_string(worker->verdict), failed);
        pw_json_put(object, "verdict_detail", pw_json_string_or_null(worker->verdict_detail),
                    failed);
    }
    for (size_t i = 0; i < PW_METRIC_COUNT; i++) {
        const struct pw_metric *row = &pw_metrics[i];
        if (row->key && !row->iteration_only) {
            struct pw_value value = pw_worker_value(worker, row->id);
            if (!is_left_out(row, value)) {
                pw_json_put(object, row->key, pw_json_number(value, row->integer), failed);
            }
        }
    }
    put_moments(object, worker, names, failed);
    put_block(object, "kernel", worker->kernel, failed);
    put_block(object, "memory_at_peak", worker->memory_at_peak, failed);
    pw_json_put(object, "xctrace_trace_path", json_null(), failed);
    pw_json_put(object, "xctrace_hotspots", json_null(), failed);
    pw_json_put(object, "stderr_tail", pw_json_string_or_null(worker->stderr_tail), failed);
    pw_json_put(object, "trace_id",
                worker->trace_id[0] != '\0' ? json_string(worker->trace_id) : json_null(), failed);
    pw_json_put(object, "telemetry",
                worker->has_telemetry
                    ? pw_telemetry_worker_to_json(&worker->telemetry, worker->family_points, failed)
                    : json_null(),
                failed);
    return object;
}

/* Of the first worker that failed, else of the first. */
static const char *stderr_tail_of(const struct pw_iteration_record *iteration)
{
    size_t chosen = 0;
    while (chosen < iteration->worker_count && iteration->workers[chosen].return_code == 0) {
        chosen++;
    }
    if (chosen == iteration->worker_count) {
        chosen = 0;
    }
    const char *tail = iteration->worker_count > 0 ? iteration->workers[chosen].stderr_tail : NULL;
    return tail ? tail : "";
}

static json_t *started_at(const struct pw_iteration_record *iteration)
{
    if (iteration->started_wall.tv_sec == 0) {
        return json_null();
    }
    char text[PW_RFC3339_MAX];
    pw_clock_format_rfc3339(iteration->started_wall, text);
    return json_string(text);
}

json_t *pw_iteration_to_json(const struct pw_iteration_record *iteration, struct pw_err *err)
{
    bool failed = false;
    json_t *object = json_object();
    pw_json_put(object, "iteration", json_integer(iteration->number), &failed);
    pw_json_put(object, "started_at", started_at(iteration), &failed);
    pw_json_put(object, "return_code", json_integer(pw_iteration_return_code(iteration)), &failed);
    pw_json_put(object, "worker_count", json_integer((json_int_t)iteration->worker_count), &failed);
    for (size_t i = 0; i < PW_METRIC_COUNT; i++) {
        const struct pw_metric *row = &pw_metrics[i];
        if (row->key && !row->worker_only && !is_left_out(row, iteration->values[i])) {
            pw_json_put(object, row->key, pw_json_number(iteration->values[i], row->integer),
                        &failed);
        }
    }
    pw_summary_put_iteration_moments(object, iteration, &failed);
    pw_json_put(object, "queue_cancel_datapoints",
                iteration->queue_cancel ? json_incref(iteration->queue_cancel) : json_object(),
                &failed);
    pw_json_put(object, "otel_metrics", block_or_null(iteration->otel_metrics), &failed);
    pw_json_put(object, "otel_actions", block_or_null(iteration->otel_actions), &failed);
    pw_json_put(object, "telemetry",
                iteration->has_telemetry
                    ? pw_telemetry_counts_to_json(&iteration->telemetry, &failed)
                    : json_null(),
                &failed);
    pw_json_put(object, "xctrace_trace_path", pw_json_string_or_null(iteration->trace_path),
                &failed);
    pw_json_put(object, "xctrace_hotspots", block_or_null(iteration->hotspots), &failed);
    pw_json_put(object, "stderr_tail", pw_json_string_or_null(stderr_tail_of(iteration)), &failed);
    json_t *workers = json_array();
    for (size_t i = 0; i < iteration->worker_count; i++) {
        pw_json_append(workers,
                       worker_to_json(&iteration->workers[i], iteration->moment_names, &failed),
                       &failed);
    }
    pw_json_put(object, "worker_results", workers, &failed);
    if (failed) {
        json_decref(object);
        pw_err_memory(err);
        return NULL;
    }
    return object;
}
