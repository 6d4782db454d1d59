#include <stdlib.h>
#include <string.h>
#include "core/clock.h"
#include "core/file.h"
#include "core/json.h"
#include "core/summary.h"
#include "core/summary_impl.h"

#ifndef PERFWRAP_VERSION
#define PERFWRAP_VERSION "0.1.0"
#endif

enum { PATH_PARENT_MAX = 128 };

struct builder {
    const struct pw_run_record *run;
    double *scratch; /* room for a value of every worker, or of every iteration */
    struct pw_run_counts counts;
    struct pw_stats stats[PW_METRIC_COUNT];
    bool failed; /* memory ran out */
};

static void count_workers(struct builder *builder)
{
    struct pw_run_counts *counts = &builder->counts;
    for (size_t i = 0; i < builder->run->iteration_count; i++) {
        const struct pw_iteration_record *iteration = &builder->run->iterations[i];
        for (size_t j = 0; j < iteration->worker_count; j++) {
            const struct pw_worker_record *worker = &iteration->workers[j];
            counts->successful += worker->return_code == 0;
            counts->failed += worker->return_code != 0;
            counts->timeouts += worker->end == PW_END_TIMEOUT;
        }
    }
}

/* The sample of a metric into `scratch`: of iterations, or of successful workers if it is pooled.
 */
static size_t gather(const struct builder *builder, const struct pw_metric *row)
{
    size_t n = 0;
    for (size_t i = 0; i < builder->run->iteration_count; i++) {
        const struct pw_iteration_record *iteration = &builder->run->iterations[i];
        if (row->fold != PW_FOLD_POOL) {
            struct pw_value value = iteration->values[row->id];
            if (pw_value_is_present(value)) {
                builder->scratch[n++] = value.number;
            }
            continue;
        }
        for (size_t j = 0; j < iteration->worker_count; j++) {
            const struct pw_worker_record *worker = &iteration->workers[j];
            struct pw_value value = pw_worker_value(worker, row->id);
            if (worker->return_code == 0 && pw_value_is_present(value)) {
                builder->scratch[n++] = value.number;
            }
        }
    }
    return n;
}

static int describe_metrics(struct builder *builder, struct pw_err *err)
{
    size_t room = builder->run->iteration_count + builder->counts.successful + 1;
    PW_FREE_AUTO double *scratch = calloc(room, sizeof(*scratch));
    if (!scratch) {
        return pw_err_memory(err);
    }
    builder->scratch = scratch;
    int status = 0;
    for (size_t i = 0; status == 0 && i < PW_METRIC_COUNT; i++) {
        size_t n = gather(builder, &pw_metrics[i]);
        bool with_interval = (pw_metrics[i].stats & PW_STAT_BIT(PW_STAT_P50_CI95_LOW)) != 0;
        status = pw_stats_describe(scratch, n, with_interval, &builder->stats[i], err);
    }
    builder->scratch = NULL;
    return status;
}

/* These two are known even if nothing was measured. */
static struct pw_value scalar_of(const struct builder *builder, enum pw_metric_id id)
{
    if (id == PW_METRIC_SUCCESSFUL_RUNS) {
        return pw_value_of((double)builder->counts.successful);
    }
    if (id == PW_METRIC_FAILED_RUNS) {
        return pw_value_of((double)builder->counts.failed);
    }
    return builder->stats[id].total;
}

static struct pw_value pick(const struct builder *builder, enum pw_metric_id id, enum pw_stat stat)
{
    const struct pw_stats *stats = &builder->stats[id];
    switch (stat) {
    case PW_STAT_MEAN: return stats->mean;
    case PW_STAT_P50: return stats->p50;
    case PW_STAT_P90: return stats->p90;
    case PW_STAT_P95: return stats->p95;
    case PW_STAT_P99: return stats->p99;
    case PW_STAT_MIN: return stats->min;
    case PW_STAT_MAX: return stats->max;
    case PW_STAT_STDDEV: return stats->stddev;
    case PW_STAT_MAD: return stats->mad;
    case PW_STAT_TOTAL: return stats->total;
    case PW_STAT_P50_CI95_LOW: return stats->p50_ci95_low;
    case PW_STAT_P50_CI95_HIGH: return stats->p50_ci95_high;
    case PW_STAT_SCALAR: return scalar_of(builder, id);
    case PW_STAT_COUNT: break;
    }
    return pw_value_absent(PW_ABSENT_NOT_MEASURED);
}

/* Whether the run says nothing of it, and may. */
static bool is_left_out(const struct builder *builder, const struct pw_metric *row)
{
    for (size_t i = 0; row->optional && i < builder->run->iteration_count; i++) {
        if (builder->run->iterations[i].values[row->id].state != PW_ABSENT_NOT_MEASURED) {
            return false;
        }
    }
    return row->optional;
}

/* The object that holds the last segment of `path`, and that segment. */
static json_t *parent_of(json_t *root, const char *path, const char **ret_leaf, bool *failed)
{
    const char *dot = strrchr(path, '.');
    *ret_leaf = dot ? dot + 1 : path;
    if (!dot) {
        return root;
    }
    char parent[PATH_PARENT_MAX];
    size_t length = (size_t)(dot - path);
    if (length >= sizeof(parent)) {
        *failed = true;
        return NULL;
    }
    memcpy(parent, path, length);
    parent[length] = '\0';
    return pw_json_make_path(root, parent, failed);
}

static void put_metric(struct builder *builder, json_t *summary, const struct pw_metric *row)
{
    const char *leaf = NULL;
    json_t *parent = parent_of(summary, row->path, &leaf, &builder->failed);
    if (row->stats == PW_STATS_SCALAR) {
        struct pw_value value = pick(builder, row->id, PW_STAT_SCALAR);
        pw_json_put(parent, leaf, pw_json_number(value, row->integer), &builder->failed);
        return;
    }
    json_t *object = json_object();
    for (enum pw_stat stat = 0; stat < PW_STAT_COUNT; stat++) {
        if ((row->stats & PW_STAT_BIT(stat)) != 0) {
            bool integer = row->integer && stat == PW_STAT_TOTAL;
            pw_json_put(object, pw_stat_name(stat),
                        pw_json_number(pick(builder, row->id, stat), integer), &builder->failed);
        }
    }
    pw_json_put(parent, leaf, object, &builder->failed);
}

static const char *const telemetry_blocks[] = {"otel_metrics", "otel_actions", "otel_spans",
                                               "telemetry"};
enum { TELEMETRY_BLOCKS = sizeof(telemetry_blocks) / sizeof(telemetry_blocks[0]) };

/* What the workers reported, of all measured iterations. */
static void put_telemetry(struct builder *builder, json_t *summary)
{
    const struct pw_telemetry *telemetry = &builder->run->telemetry;
    bool *failed = &builder->failed;
    if (!builder->run->has_telemetry) {
        for (size_t i = 0; i < TELEMETRY_BLOCKS; i++) {
            pw_json_put(summary, telemetry_blocks[i], json_null(), failed);
        }
        return;
    }
    json_t *counts = pw_telemetry_counts_to_json(telemetry, failed);
    pw_json_put(counts, "strays", pw_strays_to_json(&builder->run->strays, failed), failed);
    pw_json_put(summary, "otel_metrics", pw_telemetry_metrics_to_json(telemetry, true, failed),
                failed);
    pw_json_put(summary, "otel_actions", pw_telemetry_actions_to_json(telemetry, failed), failed);
    pw_json_put(summary, "otel_spans", pw_telemetry_spans_to_json(telemetry, failed), failed);
    pw_json_put(summary, "telemetry", counts, failed);
}

/* Why a metric has no value: the first reason of an iteration that says something. */
static enum pw_absence reason_of(const struct builder *builder, const struct pw_metric *row)
{
    for (size_t i = 0; i < builder->run->iteration_count; i++) {
        enum pw_absence state = builder->run->iterations[i].values[row->id].state;
        if (state != PW_ABSENT_NOT_MEASURED && state != PW_PRESENT) {
            return state;
        }
    }
    return PW_ABSENT_NOT_MEASURED;
}

static json_t *unavailable(struct builder *builder)
{
    json_t *object = json_object();
    for (size_t i = 0; i < PW_METRIC_COUNT; i++) {
        const struct pw_metric *row = &pw_metrics[i];
        bool scalar = row->stats == PW_STATS_SCALAR;
        struct pw_value value = pick(builder, row->id, scalar ? PW_STAT_SCALAR : PW_STAT_MEAN);
        if (!pw_value_is_present(value) && !is_left_out(builder, row)) {
            const char *reason = pw_absence_name(reason_of(builder, row));
            pw_json_put(object, row->path, json_string(reason), &builder->failed);
        }
    }
    const char *reason = pw_absence_name(reason_of(builder, &pw_metrics[PW_METRIC_OTEL_PAYLOADS]));
    for (size_t i = 0; i < TELEMETRY_BLOCKS && !builder->run->has_telemetry; i++) {
        pw_json_put(object, telemetry_blocks[i], json_string(reason), &builder->failed);
    }
    return object;
}

static json_t *failed_iterations(struct builder *builder)
{
    json_t *array = json_array();
    for (size_t i = 0; i < builder->run->iteration_count; i++) {
        const struct pw_iteration_record *iteration = &builder->run->iterations[i];
        if (pw_iteration_return_code(iteration) != 0) {
            pw_json_append(array, json_integer(iteration->number), &builder->failed);
        }
    }
    return array;
}

/* How many workers got which verdict; nothing if none was judged. */
static void put_verdicts(struct builder *builder, json_t *summary)
{
    json_t *counts = NULL;
    for (size_t i = 0; i < builder->run->iteration_count; i++) {
        const struct pw_iteration_record *iteration = &builder->run->iterations[i];
        for (size_t j = 0; j < iteration->worker_count; j++) {
            const char *verdict = iteration->workers[j].verdict;
            if (!verdict) {
                continue;
            }
            counts = counts ? counts : json_object();
            json_int_t before = json_integer_value(json_object_get(counts, verdict));
            pw_json_put(counts, verdict, json_integer(before + 1), &builder->failed);
        }
    }
    if (counts) {
        pw_json_put(summary, "verdicts", counts, &builder->failed);
    }
}

/* The CPU profile of all measured iterations, under its frozen name. */
static void put_cpu_profile(struct builder *builder, json_t *summary)
{
    bool *failed = &builder->failed;
    json_t *traces = pw_json_make_path(summary, "xctrace", failed);
    pw_json_put(traces, "trace_paths", json_array(), failed);
    pw_json_put(traces, "hotspots_top", json_array(), failed);
    if (builder->run->cpu_profile && json_object_update(traces, builder->run->cpu_profile) != 0) {
        *failed = true;
    }
}

/* The aggregates: all rows of the table, and between them what is no number, as in the contract. */
static json_t *aggregates(struct builder *builder)
{
    bool *failed = &builder->failed;
    json_t *summary = json_object();
    for (size_t i = 0; i < PW_METRIC_COUNT; i++) {
        if (!is_left_out(builder, &pw_metrics[i])) {
            put_metric(builder, summary, &pw_metrics[i]);
        }
        if (i == PW_METRIC_TRACE_COUNT) {
            put_cpu_profile(builder, summary);
        } else if (i == PW_METRIC_OTEL_STREAM_SUM) {
            pw_json_put(summary, "queue_cancel_metrics",
                        pw_telemetry_queue_to_json(&builder->run->telemetry, failed), failed);
            put_telemetry(builder, summary);
        }
    }
    pw_json_put(summary, "failed_iterations", failed_iterations(builder), failed);
    pw_json_put(summary, "resource_budget",
                pw_summary_budget(builder->stats, &builder->counts, failed), failed);
    pw_json_put(summary, "unavailable", unavailable(builder), failed);
    pw_summary_put_moments(summary, builder->run, failed);
    put_verdicts(builder, summary);
    return summary;
}

static json_t *runs(struct builder *builder)
{
    json_t *array = json_array();
    for (size_t i = 0; i < builder->run->iteration_count; i++) {
        pw_json_append(array, pw_iteration_to_json(&builder->run->iterations[i], NULL),
                       &builder->failed);
    }
    return array;
}

static json_t *observer_block(struct builder *builder)
{
    const struct pw_observer *observer = &builder->run->observer;
    bool *failed = &builder->failed;
    double cpu_ms = pw_ns_to_ms(observer->sampler_cpu_ns);
    double observed_ms = pw_ns_to_ms(observer->observed_ns);
    struct pw_value share = pw_value_absent(PW_ABSENT_NOT_MEASURED);
    struct pw_value gap_ms = share;
    if (observer->observed_ns > 0) {
        share = pw_value_of(100.0 * cpu_ms / observed_ms);
    }
    if (observer->samples > 0) {
        gap_ms = pw_value_of(pw_ns_to_ms(observer->largest_gap_ns));
    }
    json_t *block = json_object();
    pw_json_put(block, "sampler_cpu_ms", pw_json_number(pw_value_of(cpu_ms), false), failed);
    pw_json_put(block, "observed_ms", pw_json_number(pw_value_of(observed_ms), false), failed);
    pw_json_put(block, "sampler_cpu_pct", pw_json_number(share, false), failed);
    pw_json_put(block, "samples", json_integer((json_int_t)observer->samples), failed);
    pw_json_put(block, "largest_gap_ms", pw_json_number(gap_ms, false), failed);
    pw_json_put(block, "lengthened_gaps", json_integer((json_int_t)observer->lengthened_gaps),
                failed);
    pw_json_put(block, "processes_skipped", json_integer((json_int_t)observer->processes_skipped),
                failed);
    pw_json_put(block, "budget_pct", pw_json_number(pw_value_of(observer->budget_pct), false),
                failed);
    pw_json_put(block, "interval_ms", pw_json_number(pw_value_of(observer->interval_ms), false),
                failed);
    pw_json_put(block, "tree_source", pw_json_string_or_null(observer->tree_source), failed);
    pw_json_put(block, "exit_clock", pw_json_string_or_null(observer->exit_clock), failed);
    return block;
}

static json_t *orphans_block(struct builder *builder)
{
    const struct pw_run_record *run = builder->run;
    bool *failed = &builder->failed;
    json_t *listed = json_array();
    for (size_t i = 0; i < run->orphan_count; i++) {
        const struct pw_orphan *orphan = &run->orphans[i];
        char comm[sizeof(orphan->comm) + 1] = "";
        memcpy(comm, orphan->comm, sizeof(orphan->comm));
        json_t *entry = json_object();
        pw_json_put(entry, "iteration", json_integer(orphan->iteration), failed);
        pw_json_put(entry, "worker_id", json_integer(orphan->worker_id), failed);
        pw_json_put(entry, "pid", json_integer(orphan->pid), failed);
        pw_json_put(entry, "comm", pw_json_string_or_null(comm), failed);
        pw_json_put(entry, "kept", json_boolean(orphan->kept), failed);
        pw_json_append(listed, entry, failed);
    }
    json_t *block = json_object();
    pw_json_put(block, "total", json_integer((json_int_t)run->orphans_total), failed);
    pw_json_put(block, "listed", listed, failed);
    return block;
}

static json_t *warnings_list(struct builder *builder)
{
    const struct pw_run_record *run = builder->run;
    bool *failed = &builder->failed;
    json_t *list = json_array();
    for (size_t i = 0; i < run->warning_count; i++) {
        const struct pw_warning *warning = &run->warnings[i];
        json_t *data = warning->data ? json_deep_copy(warning->data) : json_null();
        json_t *entry = json_object();
        pw_json_put(entry, "kind", json_string(warning->kind), failed);
        pw_json_put(entry, "message", pw_json_string_or_null(warning->message), failed);
        pw_json_put(entry, "advice", pw_json_string_or_null(warning->advice), failed);
        pw_json_put(entry, "data", data, failed);
        pw_json_append(list, entry, failed);
    }
    return list;
}

/* A copy, for the document must not change when its maker's object does. */
static json_t *copy_object(const json_t *object)
{
    return object ? json_deep_copy(object) : json_object();
}

static json_t *string_or_empty(const char *text)
{
    return pw_json_string_or_null(text ? text : "");
}

static json_t *document(struct builder *builder)
{
    const struct pw_run_record *run = builder->run;
    bool *failed = &builder->failed;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    char generated_at[PW_RFC3339_MAX];
    pw_clock_format_rfc3339(now, generated_at);
    bool interrupted = run->interrupted_by != 0 || run->stop == PW_STOP_INTERRUPTED;

    json_t *root = json_object();
    pw_json_put(root, "schema_version", json_string(PW_SUMMARY_SCHEMA_VERSION), failed);
    pw_json_put(root, "perfwrap_version", json_string(PERFWRAP_VERSION), failed);
    pw_json_put(root, "generated_at", json_string(generated_at), failed);
    pw_json_put(root, "run_dir", string_or_empty(run->run_dir), failed);
    pw_json_put(root, "command", string_or_empty(run->command), failed);
    pw_json_put(root, "config_path", string_or_empty(run->config_path), failed);
    pw_json_put(root, "profile", copy_object(run->profile), failed);
    pw_json_put(root, "iterations", json_integer((json_int_t)run->iteration_count), failed);
    pw_json_put(root, "stop_reason", json_string(pw_stop_name(run->stop)), failed);
    pw_json_put(root, "stop_detail", string_or_empty(run->stop_detail), failed);
    pw_json_put(root, "interrupted", json_boolean(interrupted), failed);
    pw_json_put(root, "interrupted_by",
                run->interrupted_by ? json_integer(run->interrupted_by) : json_null(), failed);
    pw_json_put(root, "summary", aggregates(builder), failed);
    pw_json_put(root, "warnings", warnings_list(builder), failed);
    pw_json_put(root, "orphans", orphans_block(builder), failed);
    pw_json_put(root, "observer", observer_block(builder), failed);
    pw_json_put(root, "accounting", pw_accounting_to_json(&run->accounting, builder->stats, failed),
                failed);
    pw_json_put(root, "environment", copy_object(run->environment), failed);
    if (run->machine) {
        pw_json_put(root, "machine", copy_object(run->machine), failed);
    }
    pw_json_put(root, "runs", runs(builder), failed);
    return root;
}

struct pw_summary *pw_summary_build(const struct pw_run_record *run, struct pw_err *err)
{
    PW_FREE_AUTO struct builder *builder = calloc(1, sizeof(*builder));
    if (!builder) {
        pw_err_memory(err);
        return NULL;
    }
    builder->run = run;
    count_workers(builder);
    if (describe_metrics(builder, err) != 0) {
        return NULL;
    }
    json_t *root = document(builder);
    if (builder->failed) {
        json_decref(root);
        pw_err_memory(err);
        return NULL;
    }
    return pw_summary_new(root, err);
}

int pw_summary_write(const struct pw_summary *summary, const char *path, struct pw_err *err)
{
    return pw_json_write_file(path, summary->root, err);
}
