/* The JSON Schemas, by a loop over the metric table; what is no metric stands in the lists below.
 */
#include <string.h>
#include "core/json.h"
#include "core/schema_impl.h"
#include "core/str.h"
#include "core/summary.h"

#define SCHEMA_DIALECT "https://json-schema.org/draft/2020-12/schema"

static const struct pw_schema_field document_fields[] = {
    {"schema_version", "string", "Version of this format."},
    {"perfwrap_version", "string", "Version of perfwrap that wrote the file."},
    {"generated_at", "string", "When it was written: RFC 3339, UTC."},
    {"run_dir", "string", "The run's folder."},
    {"command", "string", "The measured command, quoted for a shell."},
    {"config_path", "string", "Configuration file, empty if there is none."},
    {"profile", "object", "What was asked for: every option that changes the measurement."},
    {"iterations", "integer", "Measured iterations in runs."},
    {"stop_reason", "string", "Why no further iteration was started."},
    {"stop_detail", "string", "The same in one sentence."},
    {"interrupted", "boolean", "True if a signal ended the run."},
    {"interrupted_by", "integer|null", "Number of that signal."},
    {"summary", "object", "The aggregates."},
    {"warnings", "array", "Findings about the run itself, with advice."},
    {"orphans", "object", "Processes that outlived the command that started them."},
    {"observer", "object", "What observing cost, and what it may have missed."},
    {"accounting", "object|null", "Where the numbers come from, and what cannot be seen there."},
    {"environment", "object", "The machine; what could not be read is null."},
    {"runs", "array", "One object a measured iteration, as in its iteration file."},
};

static const struct pw_schema_field profile_fields[] = {
    {"name", "string|null", "Name of the profile, if given."},
    {"phase", "string|null", "Phase of the run."},
    {"concurrency", "integer", "Workers that one iteration starts at once."},
    {"warmup", "integer", "Iterations before the measured ones."},
    {"iterations", "integer", "Measured iterations that were asked for."},
};

static const struct pw_schema_field warning_fields[] = {
    {"kind", "string", "What kind of finding, for programs."},
    {"message", "string", "The finding, with its numbers."},
    {"advice", "string", "What to do about it."},
    {"data", "object|null", "The numbers of the message."},
};

static const struct pw_schema_field orphans_fields[] = {
    {"total", "integer", "All of them."},
    {"listed", "array", "The first of them."},
};

static const struct pw_schema_field orphan_fields[] = {
    {"iteration", "integer", "Iteration that left it; 0 for warm-up."},
    {"worker_id", "integer", "Worker that left it."},
    {"pid", "integer", "Its process number."},
    {"comm", "string", "Its command name."},
    {"kept", "boolean", "True if it was left alone."},
};

static const struct pw_schema_field observer_fields[] = {
    {"sampler_cpu_ms", "number", "CPU time of the sampling thread. Unit: ms."},
    {"observed_ms", "number", "Time that it covers. Unit: ms."},
    {"sampler_cpu_pct", "number|null", "The one over the other. Unit: percent of one core."},
    {"samples", "integer", "Samples, of one worker's tree each."},
    {"largest_gap_ms", "number|null", "Longest time between two samples. Unit: ms."},
    {"lengthened_gaps", "integer", "Gaps that were made longer to keep the CPU budget."},
    {"processes_skipped", "integer", "Processes of trees too large to sample."},
    {"budget_pct", "number", "CPU budget of the sampler. Unit: percent of one core."},
    {"interval_ms", "number", "Longest gap that was asked for. Unit: ms."},
    {"tree_source", "string|null", "How the processes of a tree were found."},
    {"exit_clock", "string|null", "How the watcher of exits was scheduled."},
};

static const struct pw_schema_field aggregate_fields[] = {
    {"queue_cancel_metrics", "object", "Datapoints of each metric about queues and cancelling."},
    {"failed_iterations", "array", "Numbers of the iterations with a return code other than 0."},
    {"resource_budget", "object", "Where time and CPU went, and how stable the runs were."},
    {"unavailable", "object", "Path of each metric without a value, and the reason."},
};

static const struct pw_schema_field xctrace_fields[] = {
    {"trace_paths", "array", "Files of the recorded profiles, relative to run_dir."},
    {"hotspots_top", "array",
     "Heaviest frames first: frame, weight_ms, samples, total_ms, object."},
};

static const struct pw_schema_field time_budget_fields[] = {
    {"wall_mean_ms", "number|null", "Mean duration of an iteration. Unit: ms."},
    {"observed_worker_step_mean_ms", "number|null", "Sum of the means of the steps. Unit: ms."},
    {"unaccounted_time_mean_ms", "number|null", "The difference. Unit: ms."},
    {"build_cmd_share_pct", "number|null", "Share of the wall time. Unit: percent."},
    {"spawn_proc_share_pct", "number|null", "Share of the wall time. Unit: percent."},
    {"monitor_loop_share_pct", "number|null", "Share of the wall time. Unit: percent."},
    {"communicate_share_pct", "number|null", "Share of the wall time. Unit: percent."},
    {"parse_stats_share_pct", "number|null", "Share of the wall time. Unit: percent."},
    {"unaccounted_share_pct", "number|null", "Share of the wall time. Unit: percent."},
};

static const struct pw_schema_field cpu_budget_fields[] = {
    {"user_cpu_mean_sec", "number|null", "Mean user CPU time. Unit: s."},
    {"system_cpu_mean_sec", "number|null", "Mean system CPU time. Unit: s."},
    {"total_cpu_mean_sec", "number|null", "Their sum. Unit: s."},
    {"cpu_core_utilization_pct", "number|null", "Total CPU over wall time. Unit: percent."},
};

static const struct pw_schema_field process_budget_fields[] = {
    {"peak_open_fds_mean", "number|null", "Mean of the most open descriptors. Unit: count."},
    {"peak_direct_children_mean", "number|null", "Mean of the most children. Unit: count."},
    {"sampled_peak_tree_rss_mean_kb", "number|null", "Mean of the tree's peak. Unit: KiB."},
    {"sampled_peak_tree_rss_mean_mb", "number|null", "Mean of the tree's peak. Unit: MiB."},
    {"sampled_peak_tree_cpu_p95", "number|null", "p95 of the tree's peak. Unit: percent."},
};

static const struct pw_schema_field stability_fields[] = {
    {"total_runs", "integer", "Workers of all measured iterations."},
    {"successful_runs_total", "integer", "Workers that returned 0."},
    {"failed_runs_total", "integer", "All others."},
    {"timeout_runs_total", "integer", "Workers that were ended at their deadline."},
    {"failure_rate_pct", "number|null", "Share of failed workers. Unit: percent."},
    {"timeout_rate_pct", "number|null", "Share of timed-out workers. Unit: percent."},
};

static const struct pw_schema_field iteration_fields[] = {
    {"iteration", "integer", "Its number, from 1."},
    {"started_at", "string|null", "When it began: RFC 3339, UTC."},
    {"return_code", "integer", "0 if every worker returned 0, else 1."},
    {"worker_count", "integer", "Workers that it started."},
    {"queue_cancel_datapoints", "object", "Datapoints of each metric about queues and cancelling."},
    {"xctrace_trace_path", "string|null", "The recorded profile, relative to run_dir."},
    {"xctrace_hotspots", "array|null", "Heaviest frames of it."},
    {"stderr_tail", "string", "End of standard error of the first failed worker, or the first."},
    {"worker_results", "array", "One object a worker."},
};

static const struct pw_schema_field worker_fields[] = {
    {"worker_id", "integer", "Its number, from 1."},
    {"pid", "integer|null", "Its process number."},
    {"return_code", "integer", "Exit status; 124: timed out; 128 + N: killed by signal N."},
    {"termination", "string", "How it ended."},
    {"signal", "integer|null", "Signal that ended it."},
    {"xctrace_trace_path", "string|null", "The recorded profile, relative to run_dir."},
    {"xctrace_hotspots", "array|null", "Heaviest frames of it."},
    {"stderr_tail", "string|null", "Last lines of its standard error."},
};

/* A metric's value, or one statistic of it. */
static json_t *number_schema(const struct pw_metric *row, const char *text, bool integer,
                             bool *failed)
{
    PW_STR_AUTO description = PW_STR_INIT;
    pw_str_addf(&description, "%s Unit: %s.", text, row->unit);
    return pw_schema_of(integer ? "integer|null" : "number|null", description.text, failed);
}

/* Required or not, as the metric is. Returns `member`, borrowed. */
static json_t *add_member(json_t *schema, const struct pw_metric *row, const char *key,
                          json_t *member, bool *failed)
{
    if (!row->optional) {
        return pw_schema_add(schema, key, member, failed);
    }
    pw_schema_add_optional(schema, key, member, failed);
    return json_object_get(json_object_get(schema, "properties"), key);
}

/* The metrics of an iteration or, with `of_worker`, of a worker. */
static void add_metric_values(json_t *schema, bool of_worker, bool *failed)
{
    for (size_t i = 0; i < PW_METRIC_COUNT; i++) {
        const struct pw_metric *row = &pw_metrics[i];
        if (row->key && !(of_worker ? row->iteration_only : row->worker_only)) {
            add_member(schema, row, row->key, number_schema(row, row->help, row->integer, failed),
                       failed);
        }
    }
}

static json_t *iteration_body(bool *failed)
{
    json_t *worker = pw_schema_object(NULL, failed);
    PW_SCHEMA_ADD_FIELDS(worker, worker_fields, failed);
    add_metric_values(worker, true, failed);
    pw_schema_add_worker_telemetry(worker, failed);
    pw_schema_add_worker_kernel(worker, failed);
    pw_schema_add_moments(worker, "of the worker", failed);
    pw_schema_add_optional(worker, "verdict",
                           pw_schema_of("string",
                                        "What became of it; only of a kind of worker that is "
                                        "judged, such as a virtual machine.",
                                        failed),
                           failed);
    pw_schema_add_optional(worker, "verdict_detail",
                           pw_schema_of("string|null", "Why. Only beside `verdict`.", failed),
                           failed);

    json_t *iteration = pw_schema_object(NULL, failed);
    PW_SCHEMA_ADD_FIELDS(iteration, iteration_fields, failed);
    add_metric_values(iteration, false, failed);
    pw_schema_add_iteration_telemetry(iteration, failed);
    pw_schema_add_moments(iteration, "mean over successful workers", failed);
    pw_schema_refine(iteration, "worker_results", pw_schema_array(worker, failed), failed);
    return iteration;
}

static json_t *statistics_schema(const struct pw_metric *row, bool *failed)
{
    json_t *schema = pw_schema_object(row->help, failed);
    for (enum pw_stat stat = 0; stat < PW_STAT_COUNT; stat++) {
        if ((row->stats & PW_STAT_BIT(stat)) != 0) {
            PW_STR_AUTO text = PW_STR_INIT;
            pw_str_addf(&text, "%s over %s.", pw_stat_name(stat),
                        row->fold == PW_FOLD_POOL ? "successful workers" : "measured iterations");
            bool integer = row->integer && stat == PW_STAT_TOTAL;
            pw_schema_add(schema, pw_stat_name(stat),
                          number_schema(row, text.text, integer, failed), failed);
        }
    }
    return schema;
}

/* Adds a metric at its path, with the objects on the way there. */
static void add_metric(json_t *schema, const struct pw_metric *row, bool *failed)
{
    PW_STR_AUTO key = PW_STR_INIT;
    const char *path = row->path;
    for (size_t length = strcspn(path, "."); path[length] != '\0'; length = strcspn(path, ".")) {
        pw_str_clear(&key);
        pw_str_add_bytes(&key, path, length);
        json_t *next = json_object_get(json_object_get(schema, "properties"), key.text);
        schema =
            next ? next : add_member(schema, row, key.text, pw_schema_object(NULL, failed), failed);
        path += length + 1;
    }
    json_t *member = row->stats == PW_STATS_SCALAR
                         ? number_schema(row, row->help, row->integer, failed)
                         : statistics_schema(row, failed);
    add_member(schema, row, path, member, failed);
    *failed = *failed || key.failed;
}

static json_t *budget_schema(bool *failed)
{
    json_t *time = pw_schema_object("Wall time by step.", failed);
    PW_SCHEMA_ADD_FIELDS(time, time_budget_fields, failed);
    json_t *cpu = pw_schema_object("CPU time.", failed);
    PW_SCHEMA_ADD_FIELDS(cpu, cpu_budget_fields, failed);
    json_t *process = pw_schema_object("Descriptors, children and memory.", failed);
    PW_SCHEMA_ADD_FIELDS(process, process_budget_fields, failed);
    json_t *stability = pw_schema_object("How many runs failed.", failed);
    PW_SCHEMA_ADD_FIELDS(stability, stability_fields, failed);

    json_t *budget = pw_schema_object(NULL, failed);
    pw_schema_add(budget, "time_budget_ms", time, failed);
    pw_schema_add(budget, "cpu_budget", cpu, failed);
    pw_schema_add(budget, "process_budget", process, failed);
    pw_schema_add(budget, "stability", stability, failed);
    return budget;
}

static void add_verdicts(json_t *summary, bool *failed)
{
    json_t *verdicts = pw_schema_of("object",
                                    "How many workers of the measured iterations got which "
                                    "verdict; absent where none was judged.",
                                    failed);
    pw_json_put(verdicts, "additionalProperties", pw_schema_of("integer", NULL, failed), failed);
    pw_schema_add_optional(summary, "verdicts", verdicts, failed);
}

static json_t *aggregates_schema(bool *failed)
{
    json_t *summary = pw_schema_object(NULL, failed);
    for (size_t i = 0; i < PW_METRIC_COUNT; i++) {
        add_metric(summary, &pw_metrics[i], failed);
    }
    PW_SCHEMA_ADD_FIELDS(summary, aggregate_fields, failed);
    pw_schema_add_run_telemetry(summary, failed);
    pw_schema_add_run_moments(summary, failed);
    add_verdicts(summary, failed);
    json_t *traces = json_object_get(json_object_get(summary, "properties"), "xctrace");
    PW_SCHEMA_ADD_FIELDS(traces, xctrace_fields, failed);
    pw_schema_add_cpu_profile(traces, failed);
    pw_schema_refine(summary, "failed_iterations",
                     pw_schema_array(pw_schema_of("integer", NULL, failed), failed), failed);
    pw_schema_refine(summary, "resource_budget", budget_schema(failed), failed);
    json_t *reasons = pw_schema_of("object", NULL, failed);
    pw_json_put(reasons, "additionalProperties", pw_schema_of("string", NULL, failed), failed);
    pw_schema_refine(summary, "unavailable", reasons, failed);
    return summary;
}

static json_t *summary_body(bool *failed)
{
    json_t *root = pw_schema_object(NULL, failed);
    PW_SCHEMA_ADD_FIELDS(root, document_fields, failed);
    PW_SCHEMA_REFINE_FIELDS(root, "profile", profile_fields, failed);
    PW_SCHEMA_REFINE_FIELDS(root, "observer", observer_fields, failed);
    pw_schema_refine(root, "accounting", pw_schema_accounting(failed), failed);
    PW_SCHEMA_REFINE_FIELDS(root, "orphans", orphans_fields, failed);
    json_t *properties = json_object_get(root, "properties");
    json_t *orphan = pw_schema_object(NULL, failed);
    PW_SCHEMA_ADD_FIELDS(orphan, orphan_fields, failed);
    pw_schema_refine(json_object_get(properties, "orphans"), "listed",
                     pw_schema_array(orphan, failed), failed);
    json_t *warning = pw_schema_object(NULL, failed);
    PW_SCHEMA_ADD_FIELDS(warning, warning_fields, failed);
    pw_schema_refine(root, "warnings", pw_schema_array(warning, failed), failed);
    pw_schema_refine(root, "summary", aggregates_schema(failed), failed);
    pw_schema_refine(root, "runs", pw_schema_array(iteration_body(failed), failed), failed);
    pw_schema_add_optional(root, "machine",
                           pw_schema_of("object",
                                        "The virtual machine that each worker was; absent where "
                                        "workers are plain commands.",
                                        failed),
                           failed);
    return root;
}

/* Puts the heading before the body. Takes the body. */
static json_t *finish(json_t *body, const char *id, const char *title, bool failed,
                      struct pw_err *err)
{
    json_t *schema = json_object();
    pw_json_put(schema, "$schema", json_string(SCHEMA_DIALECT), &failed);
    pw_json_put(schema, "$id", json_string(id), &failed);
    pw_json_put(schema, "title", json_string(title), &failed);
    failed = json_object_update(schema, body) != 0 || failed;
    json_decref(body);
    if (failed) {
        json_decref(schema);
        pw_err_memory(err);
        return NULL;
    }
    return schema;
}

json_t *pw_summary_schema(struct pw_err *err)
{
    bool failed = false;
    json_t *body = summary_body(&failed);
    pw_json_put(body, "$defs", pw_schema_telemetry_definitions(true, &failed), &failed);
    return finish(body, "urn:perfwrap:schema:summary:" PW_SUMMARY_SCHEMA_VERSION,
                  "Summary of a perfwrap run (summary.json)", failed, err);
}

json_t *pw_iteration_schema(struct pw_err *err)
{
    bool failed = false;
    json_t *body = iteration_body(&failed);
    pw_json_put(body, "$defs", pw_schema_telemetry_definitions(false, &failed), &failed);
    return finish(body, "urn:perfwrap:schema:iteration:" PW_SUMMARY_SCHEMA_VERSION,
                  "One iteration of a perfwrap run (iteration-NNN.json)", failed, err);
}
