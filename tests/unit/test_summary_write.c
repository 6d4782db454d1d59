#include <dirent.h>
#include <sys/stat.h>
#include "core/json.h"
#include "core/summary.h"
#include "tests/unit/sample_run.h"

struct fixture {
    struct pw_run_record run;
    struct pw_summary *summary;
};

static int make_fixture(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    make_sample(&fixture->run);
    fixture->summary = pw_summary_build(&fixture->run, NULL);
    *state = fixture;
    return fixture->summary ? 0 : -1;
}

static int drop_fixture(void **state)
{
    struct fixture *fixture = *state;
    pw_summary_done(&fixture->summary);
    pw_run_record_done(&fixture->run);
    free(fixture);
    return 0;
}

static const json_t *at(const struct pw_summary *summary, const char *path)
{
    const json_t *value = pw_json_find(pw_summary_root(summary), path);
    if (!value) {
        fail_msg("%s is missing", path);
    }
    return value;
}

#define assert_number(summary, path, expected)                \
    do {                                                      \
        const json_t *number_v = at(summary, path);           \
        assert_true(json_is_number(number_v));                \
        assert_near(json_number_value(number_v), (expected)); \
    } while (0)
#define assert_null_at(summary, path) assert_true(json_is_null(at(summary, path)))
#define assert_text(summary, path, expected) \
    assert_string_equal(json_string_value(at(summary, path)), (expected))

static void test_head(void **state)
{
    const struct pw_summary *summary = ((struct fixture *)*state)->summary;
    assert_text(summary, "schema_version", PW_SUMMARY_SCHEMA_VERSION);
    assert_true(json_is_string(at(summary, "perfwrap_version")));
    assert_int_equal(strlen(json_string_value(at(summary, "generated_at"))), 32);
    assert_text(summary, "run_dir", "/tmp/out/x-20261121-083002");
    assert_text(summary, "command", "sleep 0.1");
    assert_text(summary, "config_path", "");
    assert_null_at(summary, "profile.name");
    assert_number(summary, "profile.concurrency", 2);
    assert_number(summary, "iterations", 2);
    assert_text(summary, "stop_reason", "iterations");
    assert_text(summary, "stop_detail", "All iterations are done.");
    assert_true(json_is_false(at(summary, "interrupted")));
    assert_null_at(summary, "interrupted_by");
    assert_number(summary, "environment.cpu_count", 2);
    assert_number(summary, "orphans.total", 1);
    assert_text(summary, "orphans.listed.0.comm", "daemon");
    assert_number(summary, "observer.sampler_cpu_pct", 0.5);
    assert_number(summary, "observer.largest_gap_ms", 21);
    assert_int_equal(json_array_size(at(summary, "warnings")), 0);
}

/* Windows 120 and 300 ms; workers 100, 120, 110 ms, and one timed out after 300. */
static void test_statistics(void **state)
{
    const struct pw_summary *summary = ((struct fixture *)*state)->summary;
    assert_number(summary, "summary.latency_ms.mean", 210);
    assert_number(summary, "summary.latency_ms.p50", 210);
    assert_number(summary, "summary.latency_ms.p95", 291);
    assert_number(summary, "summary.latency_ms.min", 120);
    assert_number(summary, "summary.latency_ms.max", 300);
    assert_number(summary, "summary.throughput_runs_per_sec.mean", (2 / 0.12 + 1 / 0.3) / 2);
    assert_number(summary, "summary.worker_latency_ms.mean", 110);
    assert_number(summary, "summary.worker_latency_ms.max", 120);
    assert_number(summary, "summary.worker_latency_ms.stddev", 10);
    assert_number(summary, "summary.worker_latency_ms.mad", 10);
    assert_number(summary, "summary.worker_latency_ms.p50_ci95_low", 100);
    assert_number(summary, "summary.worker_latency_ms.p50_ci95_high", 120);
    /* Largest of the workers: 1025 and 1035. */
    assert_number(summary, "summary.max_rss_kb.mean", 1030);
    assert_true(json_is_real(at(summary, "summary.max_rss_kb.max")));
    assert_number(summary, "summary.user_cpu_sec.mean", 0.75);
    assert_null_at(summary, "summary.cpu_pct.p95");
    assert_null_at(summary, "summary.xctrace.trace_count");
    assert_null_at(summary, "summary.otel_turn_action_stream.turn_metric_points.total");
    assert_int_equal(json_object_size(at(summary, "summary.queue_cancel_metrics")), 0);
    assert_int_equal(json_array_size(at(summary, "summary.xctrace.trace_paths")), 0);
    assert_int_equal(json_array_size(at(summary, "summary.xctrace.hotspots_top")), 0);
    assert_true(json_is_integer(at(summary, "summary.successful_runs_total")));
    assert_number(summary, "summary.successful_runs_total", 3);
    assert_number(summary, "summary.failed_runs_total", 1);
    assert_int_equal(json_array_size(at(summary, "summary.failed_iterations")), 1);
    assert_number(summary, "summary.failed_iterations.0", 2);
}

static void test_unavailable(void **state)
{
    const struct pw_summary *summary = ((struct fixture *)*state)->summary;
    const json_t *reasons = at(summary, "summary.unavailable");
    assert_string_equal(json_string_value(json_object_get(reasons, "cpu_pct")), "not_measured");
    const json_t *pss = json_object_get(reasons, "process_tree_sampled.peak_tree_pss_mb");
    assert_string_equal(json_string_value(pss), "no_permission");
    assert_null(json_object_get(reasons, "latency_ms"));
    assert_null(json_object_get(reasons, "worker_latency_ms"));
    assert_null(json_object_get(reasons, "failed_runs_total"));
}

static void test_resource_budget(void **state)
{
    const struct pw_summary *summary = ((struct fixture *)*state)->summary;
#define BUDGET "summary.resource_budget."
    /* Means of two workers: 1.5 + 2.5 + 3.5 + 4.5 + 5.5 ms. */
    assert_number(summary, BUDGET "time_budget_ms.wall_mean_ms", 210);
    assert_number(summary, BUDGET "time_budget_ms.observed_worker_step_mean_ms", 17.5);
    assert_number(summary, BUDGET "time_budget_ms.unaccounted_time_mean_ms", 192.5);
    assert_number(summary, BUDGET "time_budget_ms.build_cmd_share_pct", 100 * 1.5 / 210);
    assert_number(summary, BUDGET "time_budget_ms.spawn_proc_share_pct", 100 * 2.5 / 210);
    assert_number(summary, BUDGET "time_budget_ms.monitor_loop_share_pct", 100 * 3.5 / 210);
    assert_number(summary, BUDGET "time_budget_ms.communicate_share_pct", 100 * 4.5 / 210);
    assert_number(summary, BUDGET "time_budget_ms.parse_stats_share_pct", 100 * 5.5 / 210);
    assert_number(summary, BUDGET "time_budget_ms.unaccounted_share_pct", 100 * 192.5 / 210);
    assert_number(summary, BUDGET "cpu_budget.user_cpu_mean_sec", 0.75);
    assert_number(summary, BUDGET "cpu_budget.system_cpu_mean_sec", 6);
    assert_number(summary, BUDGET "cpu_budget.total_cpu_mean_sec", 6.75);
    assert_number(summary, BUDGET "cpu_budget.cpu_core_utilization_pct", 100 * 6.75 / 0.21);
    assert_number(summary, BUDGET "process_budget.peak_open_fds_mean", 9);
    assert_null_at(summary, BUDGET "process_budget.sampled_peak_tree_rss_mean_kb");
    assert_number(summary, BUDGET "stability.total_runs", 4);
    assert_number(summary, BUDGET "stability.successful_runs_total", 3);
    assert_number(summary, BUDGET "stability.failed_runs_total", 1);
    assert_number(summary, BUDGET "stability.timeout_runs_total", 1);
    assert_number(summary, BUDGET "stability.failure_rate_pct", 25);
    assert_number(summary, BUDGET "stability.timeout_rate_pct", 25);
}

static void test_budget_with_unknown_parts(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < 2; i++) {
        struct pw_value *values = fixture->run.iterations[i].values;
        values[PW_METRIC_USER_CPU] = pw_value_absent(PW_ABSENT_NOT_SUPPORTED);
        values[PW_METRIC_STEP_COMMUNICATE] = pw_value_absent(PW_ABSENT_NOT_SUPPORTED);
    }
    pw_summary_done(&fixture->summary);
    fixture->summary = pw_summary_build(&fixture->run, NULL);
    const struct pw_summary *summary = fixture->summary;
    assert_null_at(summary, BUDGET "cpu_budget.user_cpu_mean_sec");
    assert_null_at(summary, BUDGET "cpu_budget.total_cpu_mean_sec");
    assert_null_at(summary, BUDGET "cpu_budget.cpu_core_utilization_pct");
    assert_number(summary, BUDGET "cpu_budget.system_cpu_mean_sec", 6);
    assert_null_at(summary, BUDGET "time_budget_ms.observed_worker_step_mean_ms");
    assert_null_at(summary, BUDGET "time_budget_ms.unaccounted_share_pct");
    assert_number(summary, BUDGET "time_budget_ms.build_cmd_share_pct", 100 * 1.5 / 210);
}

static void test_runs(void **state)
{
    struct fixture *fixture = *state;
    const struct pw_summary *summary = fixture->summary;
    assert_number(summary, "runs.1.iteration", 2);
    assert_text(summary, "runs.1.started_at", "2026-11-21T08:30:02.000000+00:00");
    assert_number(summary, "runs.1.duration_ms", 300);
    assert_number(summary, "runs.1.return_code", 1);
    assert_number(summary, "runs.1.worker_count", 2);
    assert_number(summary, "runs.1.successful_runs", 1);
    assert_number(summary, "runs.1.failed_runs", 1);
    assert_true(json_is_integer(at(summary, "runs.1.max_rss_kb")));
    assert_number(summary, "runs.1.max_rss_kb", 1035);
    assert_null_at(summary, "runs.1.cpu_pct");
    assert_null_at(summary, "runs.1.otel_payload_count");
    assert_text(summary, "runs.0.stderr_tail", "first\n");
    assert_text(summary, "runs.1.stderr_tail", "bad \xEF\xBF\xBD byte\n"); /* who failed first */
    assert_null(pw_json_find(pw_summary_root(summary), "runs.0.sampled_peak_parent_rss_kb"));

    assert_number(summary, "runs.1.worker_results.1.worker_id", 2);
    assert_number(summary, "runs.1.worker_results.1.pid", 101);
    assert_number(summary, "runs.1.worker_results.1.return_code", 124);
    assert_text(summary, "runs.1.worker_results.1.termination", "timeout");
    assert_number(summary, "runs.1.worker_results.1.signal", 9);
    assert_null_at(summary, "runs.1.worker_results.0.signal");
    assert_number(summary, "runs.1.worker_results.0.duration_ms", 110);
    assert_null_at(summary, "runs.1.worker_results.0.sampled_peak_parent_rss_kb");
    assert_null_at(summary, "runs.0.worker_results.1.stderr_tail");
    assert_null(pw_json_find(pw_summary_root(summary), "runs.0.worker_results.0.successful_runs"));

    json_t *iteration = pw_iteration_to_json(&fixture->run.iterations[1], NULL);
    assert_true(json_equal(iteration, at(summary, "runs.1")));
    json_decref(iteration);
}

/* The third iteration of two: its first worker reported. */
static void test_telemetry(void **state)
{
    struct fixture *fixture = *state;
    add_reporting_iteration(&fixture->run);
    fixture->run.strays.unknown_path = 3;
    pw_summary_done(&fixture->summary);
    fixture->summary = pw_summary_build(&fixture->run, NULL);
    const struct pw_summary *summary = fixture->summary;
    assert_number(summary, "summary.telemetry.received.payloads", 6);
    assert_number(summary, "summary.telemetry.late", 1);
    assert_number(summary, "summary.telemetry.dropped.repeated", 0);
    assert_number(summary, "summary.telemetry.strays.unknown_path", 3);
    assert_number(summary, "summary.telemetry.strays.unauthorized", 0);
    assert_number(summary, "summary.otel_metrics.codex.tool.call.total", 6);
    assert_number(summary, "summary.otel_metrics.codex.tool.call.sets.1.points", 3);
    assert_text(summary, "summary.otel_actions.0.name", "patch");
    assert_text(summary, "summary.otel_spans.0.name", "turn");
    assert_number(summary, "summary.queue_cancel_metrics.agent.queue.depth", 3);
    assert_number(summary, "summary.otel_payloads_total", 6);
    assert_number(summary, "summary.otel_spans_total", 3);
    assert_number(summary, "summary.telemetry_lost_total", 3);
    assert_number(summary, "summary.otel_turn_action_stream.action_metric_value_sum.mean", 6);
    const json_t *reasons = at(summary, "summary.unavailable");
    assert_null(json_object_get(reasons, "otel_metrics"));
    assert_null(json_object_get(reasons, "otel_payloads_total"));

    assert_null_at(summary, "runs.0.telemetry");
    assert_null_at(summary, "runs.0.otel_metrics");
    assert_null_at(summary, "runs.0.worker_results.0.telemetry");
    assert_null_at(summary, "runs.0.worker_results.0.trace_id");
    assert_int_equal(json_object_size(at(summary, "runs.0.queue_cancel_datapoints")), 0);
    assert_number(summary, "runs.2.telemetry.refused.too_large", 2);
    assert_number(summary, "runs.2.otel_metrics.codex.tool.call.total", 6);
    assert_null(pw_json_find(at(summary, "runs.2.otel_metrics"), "codex.tool.call.sets"));
    assert_int_equal(json_array_size(at(summary, "runs.2.otel_actions")), 3);
    assert_number(summary, "runs.2.queue_cancel_datapoints.codex.turn.queue_ms", 4);
    assert_number(summary, "runs.2.otel_payload_count", 6);
    assert_text(summary, "runs.2.worker_results.0.trace_id", "0000000000000000000000000000000a");
    assert_number(summary, "runs.2.worker_results.0.telemetry.points.action", 4);
    assert_number(summary, "runs.2.worker_results.0.telemetry.lost.span_limit", 5);
    assert_int_equal(json_object_size(at(summary, "runs.2.worker_results.1.telemetry.lost")), 0);
    assert_number(summary, "runs.2.worker_results.1.telemetry.received.payloads", 0);
}

/* Without a collector: unknown, with the reason, and not 0. */
static void test_no_telemetry(void **state)
{
    const struct pw_summary *summary = ((struct fixture *)*state)->summary;
    static const char *const blocks[] = {"otel_metrics", "otel_actions", "otel_spans", "telemetry"};
    const json_t *reasons = at(summary, "summary.unavailable");
    for (size_t i = 0; i < 4; i++) {
        assert_true(json_is_null(json_object_get(at(summary, "summary"), blocks[i])));
        assert_string_equal(json_string_value(json_object_get(reasons, blocks[i])), "not_measured");
    }
    assert_null_at(summary, "summary.otel_spans_total");
    assert_null_at(summary, "summary.telemetry_lost_total");
}

/* What the iteration's file holds is what runs[] repeats, though most of it is let go between. */
static void test_telemetry_before_and_after(void **state)
{
    (void)state;
    struct pw_run_record run;
    pw_run_record_init(&run);
    struct pw_iteration_record iteration;
    make_reporting_iteration(&iteration, 1);
    json_t *before = pw_iteration_to_json(&iteration, NULL);
    assert_int_equal(pw_run_record_append(&run, &iteration, NULL), 0);
    json_t *after = pw_iteration_to_json(&run.iterations[0], NULL);
    assert_true(json_equal(before, after));
    json_decref(before);
    json_decref(after);
    pw_run_record_done(&run);
}

/* Not one iteration: well-formed all the same, with nulls. */
static void test_empty_run(void **state)
{
    (void)state;
    struct pw_run_record run;
    pw_run_record_init(&run);
    run.stop = PW_STOP_INTERRUPTED;
    run.interrupted_by = 15;
    struct pw_summary *summary = pw_summary_build(&run, NULL);
    assert_non_null(summary);
    assert_number(summary, "iterations", 0);
    assert_true(json_is_true(at(summary, "interrupted")));
    assert_number(summary, "interrupted_by", 15);
    assert_null_at(summary, "summary.latency_ms.mean");
    assert_null_at(summary, "summary.worker_latency_ms.p50_ci95_low");
    assert_null_at(summary, "summary.otel_payloads_total");
    assert_number(summary, "summary.successful_runs_total", 0);
    assert_number(summary, "summary.failed_runs_total", 0);
    assert_number(summary, BUDGET "stability.total_runs", 0);
    assert_null_at(summary, BUDGET "stability.failure_rate_pct");
    assert_null_at(summary, BUDGET "time_budget_ms.build_cmd_share_pct");
    assert_null_at(summary, "observer.sampler_cpu_pct");
    assert_int_equal(json_array_size(at(summary, "runs")), 0);
    pw_summary_free(summary);
    pw_run_record_done(&run);
}

static void test_iteration_never_measured(void **state)
{
    (void)state;
    struct pw_iteration_record iteration;
    assert_int_equal(pw_iteration_record_init(&iteration, 3, 1, NULL), 0);
    json_t *object = pw_iteration_to_json(&iteration, NULL);
    assert_true(json_is_null(json_object_get(object, "duration_ms")));
    assert_true(json_is_null(json_object_get(object, "successful_runs")));
    assert_true(json_is_null(json_object_get(object, "started_at")));
    assert_string_equal(json_string_value(json_object_get(object, "stderr_tail")), "");
    assert_true(json_is_null(pw_json_find(object, "worker_results.0.duration_ms")));
    assert_true(json_is_null(pw_json_find(object, "worker_results.0.pid")));
    json_decref(object);
    pw_iteration_record_done(&iteration);
}

static void test_document_is_a_copy(void **state)
{
    struct fixture *fixture = *state;
    json_object_set_new(fixture->run.profile, "concurrency", json_integer(99));
    json_object_clear(fixture->run.environment);
    assert_number(fixture->summary, "profile.concurrency", 2);
    assert_number(fixture->summary, "environment.cpu_count", 2);
}

static void test_verdicts(void **state)
{
    (void)state;
    struct pw_run_record run;
    make_machines_sample(&run);
    struct pw_summary *summary = pw_summary_build(&run, NULL);
    assert_non_null(summary);
    assert_number(summary, "summary.verdicts.ok", 2);
    assert_number(summary, "summary.verdicts.guest_command_failed", 1);
    assert_int_equal(json_object_size(at(summary, "summary.verdicts")), 2);
    assert_text(summary, "runs.0.worker_results.0.verdict", "ok");
    assert_null_at(summary, "runs.0.worker_results.0.verdict_detail");
    assert_text(summary, "runs.1.worker_results.0.verdict_detail",
                "the command returned 3\nlast line");
    assert_number(summary, "runs.1.worker_results.0.teardown_ms", 15);
    assert_number(summary, "summary.until.teardown_ms.mean", 15);
    assert_number(summary, "summary.boot.disk_clone_ms.p95", 2);
    assert_text(summary, "machine.accel", "tcg");
    pw_summary_free(summary);
    pw_run_record_done(&run);
}

/* A run of plain commands has none of this. */
static void test_no_verdicts(void **state)
{
    struct fixture *fixture = *state;
    static const char *const absent[] = {"machine",
                                         "summary.verdicts",
                                         "summary.until",
                                         "summary.boot",
                                         "runs.0.worker_results.0.verdict",
                                         "runs.0.worker_results.0.verdict_detail"};
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++) {
        if (pw_json_find(pw_summary_root(fixture->summary), absent[i])) {
            fail_msg("%s is there", absent[i]);
        }
    }
}

static void test_warnings(void **state)
{
    struct fixture *fixture = *state;
    pw_run_record_warn(&fixture->run, "kind", "do", json_pack("{s:i}", "n", 5), "%d", 5);
    pw_run_record_warn(&fixture->run, "bare", "do", NULL, "x");
    pw_summary_done(&fixture->summary);
    fixture->summary = pw_summary_build(&fixture->run, NULL);
    assert_text(fixture->summary, "warnings.0.kind", "kind");
    assert_text(fixture->summary, "warnings.0.message", "5");
    assert_text(fixture->summary, "warnings.0.advice", "do");
    assert_number(fixture->summary, "warnings.0.data.n", 5);
    assert_null_at(fixture->summary, "warnings.1.data");
}

static void test_written_and_loaded(void **state)
{
    struct fixture *fixture = *state;
    char *folder = NULL;
    assert_int_equal(pw_dir_make_private("perfwrap-unit", &folder, NULL), 0);
    PW_FREE_AUTO char *path = pw_path_join(folder, "summary.json", NULL);
    assert_int_equal(pw_summary_write(fixture->summary, path, NULL), 0);
    struct pw_err err = PW_ERR_INIT;
    struct pw_summary *loaded = pw_summary_load(path, &err);
    if (!loaded) {
        fail_msg("%s", err.message);
    }
    PW_FREE_AUTO char *before = pw_json_dump(pw_summary_root(fixture->summary), NULL);
    PW_FREE_AUTO char *after = pw_json_dump(pw_summary_root(loaded), NULL);
    assert_string_equal(before, after);
    pw_summary_free(loaded);
    PW_FREE_AUTO char *missing = pw_path_join(folder, "none/summary.json", NULL);
    assert_int_equal(pw_summary_write(fixture->summary, missing, &err), -1);
    assert_contains(err.message, missing);
    assert_int_equal(pw_dir_remove_tree(folder, NULL), 0);
    free(folder);
}

/* Fails if `ours` lacks a key of `theirs`, at any depth. */
static void assert_has_keys(const json_t *theirs, const json_t *ours, const char *where)
{
    if (json_is_object(theirs)) {
        const char *key = NULL;
        json_t *value = NULL;
        json_object_foreach((json_t *)theirs, key, value)
        {
            char inner[300];
            snprintf(inner, sizeof(inner), "%s.%s", where, key);
            const json_t *mine = json_object_get(ours, key);
            if (!mine) {
                fail_msg("%s is missing", inner);
            }
            assert_has_keys(value, mine, inner);
        }
    } else if (json_is_array(theirs) && json_array_size(ours) > 0) {
        for (size_t i = 0; i < json_array_size(theirs); i++) {
            assert_has_keys(json_array_get(theirs, i), json_array_get(ours, 0), where);
        }
    }
}

static size_t compare_folder(const char *root, const char *name, const struct pw_summary *ours)
{
    char path[700];
    snprintf(path, sizeof(path), "%s/summaries/%s/summary.json", root, name);
    json_t *theirs = NULL;
    assert_int_equal(pw_json_read_file(path, &theirs, NULL), 0);
    const json_t *mine = pw_summary_root(ours);
    /* What the old harness did for accounts and on its platform only. */
    json_t *profile = json_object_get(theirs, "profile");
    static const char *const own[] = {
        "auth_source_home",  "auth_copied_workers",    "top_attach",
        "top_interval_ms",   "vmmap_snapshots",        "xctrace_capture",
        "monitor_sleep_ms",  "xctrace_time_limit_sec", "xctrace_hotspots_limit",
        "probe_interval_ms", "otel_flush_wait_ms",
    };
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        json_object_del(profile, own[i]);
    }
    assert_has_keys(theirs, mine, name);
    json_decref(theirs);

    snprintf(path, sizeof(path), "%s/summaries/%s/iteration-001.json", root, name);
    struct stat info;
    if (stat(path, &info) != 0) {
        return 0;
    }
    assert_int_equal(pw_json_read_file(path, &theirs, NULL), 0);
    assert_has_keys(theirs, pw_json_find(mine, "runs.0"), name);
    json_decref(theirs);
    return 1;
}

static void test_keys_of_the_reference(void **state)
{
    const struct fixture *fixture = *state;
    const char *root = getenv("PW_REFERENCE_DIR");
    if (!root) {
        print_message("skipped: PW_REFERENCE_DIR is not set\n");
        skip();
    }
    char path[600];
    snprintf(path, sizeof(path), "%s/summaries", root);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    size_t summaries = 0;
    size_t iterations = 0;
    for (const struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] != '.') {
            iterations += compare_folder(root, entry->d_name, fixture->summary);
            summaries++;
        }
    }
    closedir(dir);
    assert_int_equal(summaries, 26);
    assert_int_equal(iterations, 3);
}

int main(void)
{
#define WITH_SAMPLE(test) cmocka_unit_test_setup_teardown(test, make_fixture, drop_fixture)
    const struct CMUnitTest tests[] = {
        WITH_SAMPLE(test_head),
        WITH_SAMPLE(test_statistics),
        WITH_SAMPLE(test_unavailable),
        WITH_SAMPLE(test_resource_budget),
        WITH_SAMPLE(test_budget_with_unknown_parts),
        WITH_SAMPLE(test_runs),
        WITH_SAMPLE(test_telemetry),
        WITH_SAMPLE(test_no_telemetry),
        cmocka_unit_test(test_telemetry_before_and_after),
        cmocka_unit_test(test_verdicts),
        WITH_SAMPLE(test_no_verdicts),
        cmocka_unit_test(test_empty_run),
        cmocka_unit_test(test_iteration_never_measured),
        WITH_SAMPLE(test_document_is_a_copy),
        WITH_SAMPLE(test_warnings),
        WITH_SAMPLE(test_written_and_loaded),
        WITH_SAMPLE(test_keys_of_the_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
