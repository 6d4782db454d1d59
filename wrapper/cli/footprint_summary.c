#include "wrapper/cli/footprint_summary.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/clock.h"
#include "core/json.h"
#include "core/limits.h"
#include "wrapper/cli/command.h"
#include "wrapper/probe/host.h"
#include "wrapper/run/run_dir.h"

void pw_foot_summary_done(struct pw_foot_summary *summary)
{
    if (summary->is_open) {
        if (!summary->result.summary && summary->result.run.run_dir) {
            rmdir(summary->result.run.run_dir); /* only if nothing is in it */
        }
        pw_result_done(&summary->result);
    }
}

static const char *profile_name(const struct pw_foot_options *given, const char *benchmark)
{
    return given->profile_name ? given->profile_name : benchmark;
}

static json_t *profile_of(const char *name, const char *benchmark)
{
    bool failed = false;
    json_t *profile = json_object();
    pw_json_put(profile, "name", json_string(name), &failed);
    pw_json_put(profile, "phase", json_string("measure"), &failed);
    pw_json_put(profile, "benchmark", json_string(benchmark), &failed);
    pw_json_put(profile, "concurrency", json_integer(1), &failed);
    pw_json_put(profile, "warmup", json_integer(0), &failed);
    pw_json_put(profile, "iterations", json_integer(1), &failed);
    if (failed) {
        json_decref(profile);
        return NULL;
    }
    return profile;
}

/* What a machine that `boot` left running was made of, under the names that its own summary has. */
static int describe_machine(const struct pw_foot_session *session, json_t *environment,
                            struct pw_err *err)
{
    static const struct {
        const char *from, *to;
    } keys[] = {{"backend", "accelerator"},
                {"guest_kernel", "guest_kernel"},
                {"monitor_version", "monitor"},
                {"start", "boot_start"},
                {"cache_condition", "cache_state"}};
    bool failed = false;
    for (size_t i = 0; session->is_machine && i < sizeof keys / sizeof *keys; i++) {
        const json_t *text = json_object_get(session->machine.machine, keys[i].from);
        if (json_is_string(text)) {
            pw_json_put(environment, keys[i].to, json_string(json_string_value(text)), &failed);
        }
    }
    return failed ? pw_err_memory(err) : 0;
}

int pw_foot_summary_begin(const struct pw_foot_options *given, const char *benchmark,
                          const struct pw_foot_session *session, struct pw_foot_summary *summary,
                          struct pw_err *err)
{
    struct pw_run_record *run = &summary->result.run;
    const char *name = profile_name(given, benchmark);
    PW_STR_AUTO command = PW_STR_INIT;
    pw_str_addf(&command, "perfwrap %s%s ", benchmark, given->match ? " --match" : "");
    pw_str_add_shell_word(&command, session->target.text);
    pw_result_init(&summary->result);
    summary->is_open = true;
    run->command = pw_str_take(&command, err);
    if (!run->command) {
        return -1;
    }
    run->config_path = strdup("");
    run->profile = profile_of(name, benchmark);
    if (!run->config_path || !run->profile) {
        return pw_err_memory(err);
    }
    run->environment = pw_host_describe("/proc", "/sys", err);
    if (!run->environment || describe_machine(session, run->environment, err) != 0) {
        return -1;
    }
    return pw_run_dir_make(given->out_dir, name, &run->run_dir, err);
}

static struct pw_value mib_of(struct pw_value kib)
{
    return pw_value_is_present(kib) ? pw_value_of(kib.number / 1024) : kib;
}

static void fill_values(const struct pw_steady_sample *sample,
                        struct pw_value values[PW_METRIC_COUNT])
{
    static const struct {
        enum pw_metric_id metric;
        enum pw_foot_id field;
    } pairs[] = {
        {PW_METRIC_FOOT_RSS, PW_FOOT_RSS},
        {PW_METRIC_FOOT_PSS, PW_FOOT_PSS},
        {PW_METRIC_FOOT_USS, PW_FOOT_USS},
        {PW_METRIC_FOOT_PSS_ANON, PW_FOOT_PSS_ANON},
        {PW_METRIC_FOOT_PSS_FILE, PW_FOOT_PSS_FILE},
        {PW_METRIC_FOOT_PSS_SHMEM, PW_FOOT_PSS_SHMEM},
        {PW_METRIC_FOOT_SWAP_PSS, PW_FOOT_SWAP_PSS},
        {PW_METRIC_FOOT_HUGETLB, PW_FOOT_HUGETLB},
        {PW_METRIC_FOOT_PEAK_RSS, PW_FOOT_PEAK_RSS},
        {PW_METRIC_FOOT_GUEST_RSS, PW_FOOT_GUEST_RSS},
        {PW_METRIC_FOOT_GUEST_PSS, PW_FOOT_GUEST_PSS},
        {PW_METRIC_FOOT_OVERHEAD, PW_FOOT_OVERHEAD},
        {PW_METRIC_FOOT_THREADS, PW_FOOT_THREADS},
        {PW_METRIC_FOOT_OPEN_FILES, PW_FOOT_OPEN_FILES},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct pw_value value = sample->totals[pairs[i].field];
        bool is_memory = pw_foot_fields[pairs[i].field].unit == PW_FOOT_KIB;
        values[pairs[i].metric] = is_memory ? mib_of(value) : value;
    }
    values[PW_METRIC_FOOT_CPU_PCT] = sample->cpu_percent;
    values[PW_METRIC_FOOT_PROCESSES] = pw_value_of((double)sample->process_count);
}

static int add_iteration(struct pw_run_record *run, const struct pw_foot_session *session,
                         const struct pw_steady_sample *sample, struct pw_err *err)
{
    struct pw_iteration_record iteration;
    if (pw_iteration_record_init(&iteration, (unsigned)run->iteration_count + 1, 1, err) != 0) {
        return -1;
    }
    struct pw_worker_record *worker = &iteration.workers[0];
    worker->pid = session->target.pids[0];
    worker->end = PW_END_RUNNING;
    fill_values(sample, worker->values);
    iteration.started_wall = sample->at;
    iteration.values[PW_METRIC_SUCCESSFUL_RUNS] = pw_value_of(1);
    iteration.values[PW_METRIC_FAILED_RUNS] = pw_value_of(0);
    if (pw_iteration_fold(&iteration, err) != 0 ||
        pw_run_record_append(run, &iteration, err) != 0) {
        pw_iteration_record_done(&iteration);
        return -1;
    }
    return 0;
}

/* Why there are no more samples; `steady` may be NULL. */
static int set_stop(struct pw_run_record *run, const struct pw_steady *steady, struct pw_err *err)
{
    char *text = NULL;
    int length;
    if (!steady) {
        length = asprintf(&text, "one look");
    } else if (steady->end == PW_STEADY_DONE) {
        length = asprintf(&text, "%zu samples, every %g s for %g s", steady->count,
                          steady->interval_sec, steady->duration_sec);
    } else {
        run->stop = steady->end == PW_STEADY_INTERRUPTED ? PW_STOP_INTERRUPTED : PW_STOP_ERROR;
        run->interrupted_by = steady->signal;
        length = asprintf(&text, "%s after %.2f of %g s",
                          steady->signal ? "interrupted" : "what was looked at ended",
                          pw_ns_to_sec(steady->ended_ns), steady->duration_sec);
    }
    if (length < 0) {
        return pw_err_memory(err);
    }
    run->stop_detail = text;
    return 0;
}

static int put_plan(struct pw_run_record *run, const struct pw_steady *steady, struct pw_err *err)
{
    bool failed = false;
    pw_json_put(run->profile, "iterations", json_integer((json_int_t)run->iteration_count),
                &failed);
    pw_json_put(run->profile, "duration_sec", json_real(steady->duration_sec), &failed);
    pw_json_put(run->profile, "interval_sec", json_real(steady->interval_sec), &failed);
    return failed ? pw_err_memory(err) : 0;
}

int pw_foot_summary_write(struct pw_foot_summary *summary, const struct pw_foot_session *session,
                          const struct pw_steady *steady, struct pw_err *err)
{
    struct pw_run_record *run = &summary->result.run;
    size_t each =
        (steady->count + PW_LIMIT_FOOTPRINT_ITERATIONS - 1) / PW_LIMIT_FOOTPRINT_ITERATIONS;
    for (size_t i = 0; i < steady->count; i += each) {
        if (add_iteration(run, session, &steady->samples[i], err) != 0) {
            return -1;
        }
    }
    if (each > 1 &&
        pw_run_record_warn(run, "samples_thinned",
                           "What steady printed has all of them; a longer --interval takes fewer.",
                           NULL, "One of %zu samples is in this summary: %zu of %zu.", each,
                           run->iteration_count, steady->count) != 0) {
        return pw_err_memory(err);
    }
    if (set_stop(run, steady, err) != 0 || put_plan(run, steady, err) != 0) {
        return -1;
    }
    return pw_result_write(&summary->result, err);
}

int pw_foot_summary_write_one(struct pw_foot_summary *summary,
                              const struct pw_foot_session *session, struct pw_err *err)
{
    struct pw_run_record *run = &summary->result.run;
    struct pw_steady_sample sample = {.at = session->at,
                                      .process_count = session->look.process_count};
    memcpy(sample.totals, session->look.totals, sizeof sample.totals);
    if (add_iteration(run, session, &sample, err) != 0 || set_stop(run, NULL, err) != 0) {
        return -1;
    }
    return pw_result_write(&summary->result, err);
}

void pw_foot_summary_put_path(const struct pw_foot_summary *summary, json_t *json)
{
    const char *path = pw_result_summary_path(&summary->result);
    if (json && *path) {
        json_object_set_new(json, "summary_json", json_string(path));
    }
}

int pw_foot_summary_print(const struct pw_foot_options *given,
                          const struct pw_foot_summary *summary, const struct pw_document *document,
                          json_t *json)
{
    PW_STR_AUTO lines = PW_STR_INIT;
    pw_foot_summary_put_path(summary, json);
    int status = pw_foot_print(given, document, json);
    if (status != 0 || pw_foot_wants_json(given)) {
        return status;
    }
    pw_result_add_lines(&summary->result, &lines);
    return pw_cli_print(&lines);
}
