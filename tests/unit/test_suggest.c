#include <signal.h>
#include "core/json.h"
#include "core/str.h"
#include "sla/index.h"
#include "sla/suggest.h"
#include "sla/suggest_impl.h"
#include "tests/unit/unit.h"

static json_t *new_document(void)
{
    json_t *document = pw_suggest_new("here", NULL);
    assert_non_null(document);
    return document;
}

/* The entry of a list with that signal, of a profile or (NULL) any; NULL if there is none. */
static const json_t *find(const json_t *document, const char *list, const char *profile,
                          const char *signal)
{
    const json_t *entries = json_object_get(document, list);
    for (size_t i = 0; i < json_array_size(entries); i++) {
        const json_t *entry = json_array_get(entries, i);
        if (strcmp(json_string_value(json_object_get(entry, "signal")), signal) == 0 &&
            (!profile ||
             strcmp(json_string_value(json_object_get(entry, "profile")), profile) == 0)) {
            return entry;
        }
    }
    return NULL;
}

static const char *text_at(const json_t *entry, const char *path)
{
    const char *text = json_string_value(pw_json_find(entry, path));
    assert_non_null(text);
    return text;
}

/* The contract's rules, against the answers of the older suggester. */

static void same_warnings(const char *folder, const char *mode)
{
    PW_STR_AUTO path = PW_STR_INIT;
    struct pw_err err = PW_ERR_INIT;
    json_t *index, *expected, *document = new_document();
    pw_str_addf(&path, "%s/expected/baseline-index-%s.json", folder, mode);
    index = pw_index_load(path.text, &err);
    if (!index) {
        fail_msg("%s", err.message);
    }
    assert_int_equal(pw_suggest_from_index(index, path.text, document, &err), 0);
    pw_str_clear(&path);
    pw_str_addf(&path, "%s/expected/suggestions-%s.json", folder, mode);
    assert_int_equal(pw_json_read_file(path.text, &expected, &err), 0);
    const json_t *ours = json_object_get(document, "warnings");
    const json_t *theirs = json_object_get(expected, "warnings");
    assert_int_equal(json_array_size(ours), json_array_size(theirs));
    for (size_t i = 0; i < json_array_size(theirs); i++) {
        static const char *const keys[] = {"profile", "severity", "signal"};
        for (size_t k = 0; k < 3; k++) {
            assert_string_equal(text_at(json_array_get(ours, i), keys[k]),
                                text_at(json_array_get(theirs, i), keys[k]));
        }
        assert_true(strlen(text_at(json_array_get(ours, i), "suggestion")) > 20);
    }
    json_decref(index);
    json_decref(expected);
    json_decref(document);
}

static void test_reference(void **state)
{
    const char *folder = getenv("PW_REFERENCE_DIR");
    (void)state;
    if (!folder) {
        print_message("skipped: PW_REFERENCE_DIR is not set\n");
        skip();
    }
    same_warnings(folder, "exact");
    same_warnings(folder, "heuristic");
    same_warnings(folder, "heuristic-w3-m2");
}

/* Suggestions for an index of one profile `p` with these metrics. */
static json_t *suggest_for_metrics(const char *metrics)
{
    PW_STR_AUTO text = PW_STR_INIT;
    pw_str_addf(
        &text,
        "{\"profiles\": {\"p\": {\"sample_count\": 9, \"latest_summary_path\": \"a b.json\","
        " \"metrics\": %s}}}",
        metrics);
    json_t *index = json_loads(text.text, JSON_REJECT_DUPLICATES, NULL);
    json_t *document = new_document();
    assert_non_null(index);
    assert_int_equal(pw_suggest_from_index(index, "index.json", document, NULL), 0);
    json_decref(index);
    return document;
}

static void test_contract_rules(void **state)
{
    static const struct {
        const char *metrics, *signal, *severity; /* severity NULL: no such warning */
    } cases[] = {
        {"{\"failed_runs_total\": {\"current\": 1, \"status\": \"green\"}}", "failed_runs_total",
         "red"},
        {"{\"failed_runs_total\": {\"current\": 0, \"status\": \"red\"}}", "failed_runs_total",
         NULL},
        {"{\"failed_runs_total\": {\"present\": false}}", "failed_runs_total", NULL},
        {"{\"failed_runs_total\": {\"current\": \"1\"}}", "failed_runs_total", NULL},
        {"{\"latency_p95_ms\": {\"status\": \"red\"}, \"throughput_mean\": {\"status\": \"yellow\"}}",
         "latency_p95_ms+throughput_mean", "red"},
        {"{\"latency_p95_ms\": {\"status\": \"yellow\"}, \"throughput_mean\": {\"status\": \"red\"}}",
         "latency_p95_ms+throughput_mean", "yellow"},
        {"{\"latency_p95_ms\": {\"status\": \"red\"}, \"throughput_mean\": {\"status\": \"green\"}}",
         "latency_p95_ms+throughput_mean", NULL},
        {"{\"latency_p95_ms\": {\"status\": \"red\"}}", "latency_p95_ms+throughput_mean", NULL},
        {"{\"monitor_loop_mean_ms\": {\"status\": \"yellow\"}}", "monitor_loop_mean_ms", "yellow"},
        {"{\"spawn_proc_mean_ms\": {\"status\": \"red\"}}", "spawn_proc_mean_ms", "red"},
        {"{\"parse_stats_mean_ms\": {\"status\": \"red\"}}", "parse_stats_mean_ms", "red"},
        {"{\"rss_mean_mb\": {\"status\": \"yellow\"}}", "rss_mean_mb/sampled_peak_tree_rss_mean_mb",
         "yellow"},
        {"{\"rss_mean_mb\": {\"status\": \"yellow\"},"
         " \"sampled_peak_tree_rss_mean_mb\": {\"status\": \"red\"}}",
         "rss_mean_mb/sampled_peak_tree_rss_mean_mb", "red"},
        {"{\"rss_mean_mb\": {\"status\": \"insufficient_data\"}}",
         "rss_mean_mb/sampled_peak_tree_rss_mean_mb", NULL},
        {"{\"sampled_peak_tree_cpu_p95\": {\"status\": \"yellow\"}}", "sampled_peak_tree_cpu_p95",
         "yellow"},
        {"{\"peak_fds_mean\": {\"status\": \"red\"}}", "peak_fds_mean", "red"},
        /* What only perfwrap's own judgement sees is no warning. */
        {"{\"peak_fds_mean\": {\"status\": \"green\", \"status_strict\": \"red\","
         " \"baseline\": {\"status\": \"red\"}}}",
         "peak_fds_mean", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_t *document = suggest_for_metrics(cases[i].metrics);
        const json_t *warning = find(document, "warnings", "p", cases[i].signal);
        if (!cases[i].severity) {
            if (warning) {
                fail_msg("%s: %s fires", cases[i].metrics, cases[i].signal);
            }
        } else {
            assert_non_null(warning);
            assert_string_equal(text_at(warning, "severity"), cases[i].severity);
            assert_null(json_object_get(warning, "basis"));
        }
        json_decref(document);
    }
}

static void test_warnings_cite_their_numbers(void **state)
{
    json_t *document = suggest_for_metrics(
        "{\"peak_fds_mean\": {\"n\": 25, \"current\": 30, \"median\": 20, \"robust_z\": 4.5,"
        " \"delta_pct_from_median\": 50, \"status\": \"red\"}}");
    (void)state;
    const json_t *warning = find(document, "warnings", "p", "peak_fds_mean");
    assert_non_null(warning);
    assert_string_equal(text_at(warning, "message"),
                        "peak_fds_mean is 30, the median of 25 runs 20 "
                        "(+50.0 %, robust z 4.5): red.");
    assert_string_equal(text_at(warning, "evidence.metric"), "peak_fds_mean");
    assert_string_equal(text_at(warning, "evidence.confidence"), "high");
    assert_string_equal(text_at(warning, "evidence.next_command"),
                        "perfwrap show --format md 'a b.json'");
    assert_near(json_number_value(pw_json_find(warning, "evidence.baseline")), 20);
    assert_near(json_number_value(pw_json_find(warning, "evidence.current")), 30);
    assert_near(json_number_value(pw_json_find(warning, "evidence.change_pct")), 50);
    assert_int_equal(json_integer_value(pw_json_find(warning, "evidence.samples")), 25);
    assert_int_equal(pw_suggest_worst(document), PW_SUGGEST_RED);
    json_decref(document);
}

static void test_index_findings(void **state)
{
    static const struct {
        const char *metrics, *signal, *severity, *basis; /* basis NULL: no such finding */
    } cases[] = {
        /* No rule of the contract names it alone. */
        {"{\"latency_p95_ms\": {\"status\": \"red\"}}", "latency_p95_ms", "red", "status"},
        {"{\"latency_mean_ms\": {\"status\": \"yellow\"}}", "latency_mean_ms", "yellow", "status"},
        {"{\"peak_fds_mean\": {\"status\": \"insufficient_data\", \"status_strict\": \"red\"}}",
         "peak_fds_mean", "red", "status_strict"},
        {"{\"peak_fds_mean\": {\"status\": \"green\", \"status_strict\": \"yellow\","
         " \"baseline\": {\"status\": \"yellow\", \"n\": 8, \"median\": 3}}}",
         "peak_fds_mean", "yellow", "baseline.status"},
        {"{\"peak_fds_mean\": {\"status\": \"green\", \"status_strict\": \"red\","
         " \"baseline\": {\"status\": \"yellow\"}}}",
         "peak_fds_mean", "red", "status_strict"},
        /* Nearer to the median than the noise floor, and just not. */
        {"{\"latency_p95_ms\": {\"status\": \"red\", \"current\": 10.05, \"median\": 10,"
         " \"baseline\": {\"noise_floor\": 0.1}}}",
         "latency_p95_ms", NULL, NULL},
        {"{\"latency_p95_ms\": {\"status\": \"red\", \"current\": 10.15, \"median\": 10,"
         " \"baseline\": {\"noise_floor\": 0.1}}}",
         "latency_p95_ms", "red", "status"},
        /* A warning speaks of it already. */
        {"{\"peak_fds_mean\": {\"status\": \"yellow\", \"status_strict\": \"red\"}}",
         "peak_fds_mean", NULL, NULL},
        {"{\"latency_p95_ms\": {\"status\": \"red\"}, \"throughput_mean\": {\"status\": \"red\"}}",
         "latency_p95_ms", NULL, NULL},
        {"{\"latency_p95_ms\": {\"status\": \"green\", \"n\": 40, \"change_points\":"
         " [{\"before\": 100, \"after\": 150, \"worse\": true, \"path\": \"r/summary.json\","
         "   \"generated_at\": \"2026-01-02T03:04:05Z\", \"p\": 0.001}]}}",
         "change_point:latency_p95_ms", "yellow", "change_points"},
        {"{\"latency_p95_ms\": {\"change_points\": [{\"before\": 100, \"after\": 150,"
         " \"worse\": true}, {\"before\": 150, \"after\": 90, \"worse\": false}]}}",
         "change_point:latency_p95_ms", NULL, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_t *document = suggest_for_metrics(cases[i].metrics);
        const json_t *finding = find(document, "findings", "p", cases[i].signal);
        if (!cases[i].basis) {
            assert_null(finding);
        } else {
            assert_non_null(finding);
            assert_string_equal(text_at(finding, "severity"), cases[i].severity);
            assert_string_equal(text_at(finding, "basis"), cases[i].basis);
        }
        json_decref(document);
    }
}

/* Whatever stands where an index has its numbers: no crash, no suggestion from nothing. */
static void test_odd_indexes(void **state)
{
    static const char *const indexes[] = {
        "{}", "{\"profiles\": []}", "{\"profiles\": {\"p\": 5}}",
        "{\"profiles\": {\"p\": {\"metrics\": [1]}}}",
        ("{\"profiles\": {\"p\": {\"metrics\": {\"peak_fds_mean\": \"red\", \"latency_p95_ms\": null,"
         " \"rss_mean_mb\": {\"status\": 3, \"baseline\": 4, \"change_points\": {\"a\": 1}},"
         " \"x\": {\"change_points\": [1, null, {\"worse\": true}]}}}}}")};
    (void)state;
    for (size_t i = 0; i < sizeof(indexes) / sizeof(indexes[0]); i++) {
        json_t *index = json_loads(indexes[i], 0, NULL), *document = new_document();
        assert_int_equal(pw_suggest_from_index(index, "i", document, NULL), 0);
        assert_int_equal(pw_suggest_worst(document), PW_SUGGEST_NONE);
        json_decref(index);
        json_decref(document);
    }
}

/* The own rules. */

/* Runs of equal workers, and what is laid over the document they are in. */
struct made {
    const char *signal;
    bool fires;
    int iterations, concurrency;
    double duration_ms, cpu_sec, preemptions;
    int code;
    const char *termination;
    const char *over;
};

static json_t *make_runs(const struct made *made)
{
    json_t *runs = json_array();
    for (int i = 0; i < made->iterations; i++) {
        json_t *workers = json_array();
        for (int k = 0; k < made->concurrency; k++) {
            json_array_append_new(
                workers,
                json_pack("{s:i, s:s, s:f, s:f, s:f, s:f}", "return_code", made->code,
                          "termination", made->termination ? made->termination : "exited",
                          "duration_ms", made->duration_ms, "user_cpu_sec", made->cpu_sec,
                          "system_cpu_sec", 0.0, "involuntary_ctx_switches", made->preemptions));
        }
        json_array_append_new(runs, json_pack("{s:i, s:i, s:f, s:o}", "iteration", i + 1,
                                              "return_code", made->code != 0, "duration_ms",
                                              made->duration_ms, "worker_results", workers));
    }
    return runs;
}

static json_t *suggest_for_root(void **state, json_t *root)
{
    PW_FREE_AUTO char *path = in_folder(state, "summary.json");
    struct pw_err err = PW_ERR_INIT;
    json_t *document = new_document();
    assert_int_equal(json_dump_file(root, path, 0), 0);
    json_decref(root);
    struct pw_summary *summary = pw_summary_load(path, &err);
    if (!summary || pw_suggest_from_summary(summary, "run/summary.json", document, &err) != 0) {
        fail_msg("%s", err.message);
    }
    pw_summary_free(summary);
    return document;
}

static json_t *make_root(const struct made *made)
{
    json_t *root = json_pack(
        "{s:s, s:s, s:s, s:{s:n, s:i}, s:i, s:o, s:{s:i, s:i}, s:{s:{s:f, s:f}, s:{s:f, s:f}}}",
        "generated_at", "2026-01-01T00:00:00Z", "run_dir", "/x/fleet-20260101-000000", "command",
        "prog 'a b'", "profile", "name", "concurrency", made->concurrency, "iterations",
        made->iterations, "runs", make_runs(made), "environment", "cpu_count", 8, "cpu_allowed", 4,
        "summary", "latency_ms", "mean", made->duration_ms, "p50", made->duration_ms,
        "worker_latency_ms", "mean", made->duration_ms, "p50", made->duration_ms);
    assert_non_null(root);
    if (made->over) {
        json_error_t fault;
        json_t *over = json_loads(made->over, 0, &fault);
        if (!over) {
            fail_msg("%s: %s", made->over, fault.text);
        }
        assert_int_equal(json_object_update_recursive(root, over), 0);
        json_decref(over);
    }
    return root;
}

#define WARNING(kind, data) \
    "{\"warnings\": [{\"kind\": \"" kind "\", \"message\": \"m\", \"data\": " data "}]}"

/* Each rule just where it fires, and just where it does not. 4 usable cores. */
static const struct made cases[] = {
    {"cpu_bound", true, 5, 1, 100, 0.0901, 0, 0, NULL, NULL},
    {"cpu_bound", false, 5, 1, 100, 0.089, 0, 0, NULL, NULL},
    {"cpu_bound", false, 5, 1, 100, 0.19, 0, 0, NULL, NULL}, /* two cores */
    {"cpu_bound", false, 5, 1, 19, 0.019, 0, 0, NULL, NULL}, /* too short to tell */
    {"cpu_bound", false, 5, 4, 100, 0.095, 0, 0, NULL, NULL},
    {"cpu_saturated", true, 5, 4, 100, 0.095, 0, 0, NULL, NULL},
    {"cpu_saturated", true, 5, 1, 100, 0.361, 0, 0, NULL, NULL},
    {"cpu_saturated", false, 5, 3, 100, 0.095, 0, 0, NULL, NULL},
    {"cpu_saturated", false, 5, 4, 100, 0.095, 0, 0, NULL,
     "{\"environment\": {\"cpu_allowed\": null, \"cpu_count\": null}}"},
    {"mostly_waiting", true, 5, 1, 100, 0.0199, 0, 0, NULL, NULL},
    {"mostly_waiting", false, 5, 1, 100, 0.021, 0, 0, NULL, NULL},
    {"mostly_waiting", false, 5, 8, 2000, 0.2, 60, 0, NULL, NULL}, /* it waits for a core */
    {"run_queue_wait", true, 5, 5, 2000, 0.2, 31, 0, NULL, NULL},
    {"run_queue_wait", false, 5, 5, 2000, 0.2, 29, 0, NULL, NULL},
    {"run_queue_wait", false, 5, 5, 20, 0.01, 19, 0, NULL, NULL},  /* 1900 a second, but of a few */
    {"run_queue_wait", false, 5, 4, 2000, 0.2, 60, 0, NULL, NULL}, /* a core for each */
    {"run_queue_wait", true, 5, 1, 2000, 0.2, 60, 0, NULL, "{\"environment\": {\"load_1m\": 4.5}}"},
    {"run_queue_wait", true, 5, 1, 2000, 0.2, 60, 0, NULL,
     "{\"summary\": {\"process_tree_sampled\": {\"peak_threads\": {\"mean\": 5}}}}"},
    /* What the kernel measured decides alone, whatever preemptions would say. */
    {"run_queue_wait", true, 5, 1, 100, 0.05, 0, 0, NULL,
     "{\"summary\": {\"kernel\": {\"wall\": {\"runq_ms\": {\"mean\": 10}}}}}"},
    {"run_queue_wait", false, 5, 1, 100, 0.05, 0, 0, NULL,
     "{\"summary\": {\"kernel\": {\"wall\": {\"runq_ms\": {\"mean\": 9.9}}}}}"},
    {"run_queue_wait", false, 5, 5, 2000, 0.2, 31, 0, NULL,
     "{\"summary\": {\"kernel\": {\"wall\": {\"runq_ms\": {\"mean\": 10}}}}}"},
    {"run_queue_wait", false, 5, 1, 19, 0.01, 0, 0, NULL, /* too short to tell */
     "{\"summary\": {\"kernel\": {\"wall\": {\"runq_ms\": {\"mean\": 10}}}}}"},
    {"mostly_waiting", false, 5, 1, 100, 0.01, 0, 0, NULL, /* it waited for a core */
     "{\"summary\": {\"kernel\": {\"wall\": {\"runq_ms\": {\"mean\": 80}}}}}"},
    {"exit_tail", true, 5, 1, 100, 0.05, 0, 0, NULL,
     "{\"summary\": {\"kernel\": {\"wall\": {\"exit_tail_ms\": {\"mean\": 10}}}}}"},
    {"exit_tail", false, 5, 1, 100, 0.05, 0, 0, NULL,
     "{\"summary\": {\"kernel\": {\"wall\": {\"exit_tail_ms\": {\"mean\": 9.9}}}}}"},
    {"storage_io", true, 5, 1, 1000, 0.5, 0, 0, NULL,
     "{\"summary\": {\"process_io\": {\"read_bytes\": {\"mean\": 10000000},"
     " \"write_bytes\": {\"mean\": 485760}}}}"},
    {"storage_io", false, 5, 1, 1000, 0.5, 0, 0, NULL,
     "{\"summary\": {\"process_io\": {\"read_bytes\": {\"mean\": 10485759},"
     " \"write_bytes\": {\"mean\": 0}}}}"},
    {"storage_io", false, 5, 1, 10, 0.5, 0, 0, NULL, /* fast, but less than a MiB */
     "{\"summary\": {\"process_io\": {\"read_bytes\": {\"mean\": 1048575},"
     " \"write_bytes\": {\"mean\": 0}}}}"},
    {"storage_io", false, 5, 1, 10, 0.5, 0, 0, NULL,
     "{\"summary\": {\"process_io\": {\"read_bytes\": {\"mean\": 99999999},"
     " \"write_bytes\": {\"mean\": null}}}}"},
    {"major_faults", true, 5, 1, 100, 0.05, 0, 0, NULL,
     "{\"summary\": {\"major_page_faults\": {\"mean\": 10}}}"},
    {"major_faults", false, 5, 1, 100, 0.05, 0, 0, NULL,
     "{\"summary\": {\"major_page_faults\": {\"mean\": 9.9}}}"},
    {"footprint_growth", true, 5, 1, 100, 0.05, 0, 0, NULL,
     "{\"summary\": {\"vmmap_snapshots\": {\"mid_physical_footprint_mb\": {\"mean\": 10},"
     " \"end_physical_footprint_mb\": {\"mean\": 12}}}}"},
    {"footprint_growth", false, 5, 1, 100, 0.05, 0, 0, NULL,
     "{\"summary\": {\"vmmap_snapshots\": {\"mid_physical_footprint_mb\": {\"mean\": 10},"
     " \"end_physical_footprint_mb\": {\"mean\": 11.9}}}}"},
    {"footprint_growth", false, 5, 1, 100, 0.05, 0, 0, NULL, /* below the noise floor */
     "{\"summary\": {\"vmmap_snapshots\": {\"mid_physical_footprint_mb\": {\"mean\": 1},"
     " \"end_physical_footprint_mb\": {\"mean\": 1.5}}}}"},
    {"memory_pressure", true, 5, 4, 100, 0.05, 0, 0, NULL,
     "{\"environment\": {\"memory_available_mb\": 1000},"
     " \"summary\": {\"process_tree_sampled\": {\"peak_tree_rss_mb\": {\"max\": 200}}}}"},
    {"memory_pressure", false, 5, 4, 100, 0.05, 0, 0, NULL,
     "{\"environment\": {\"memory_available_mb\": 1000},"
     " \"summary\": {\"process_tree_sampled\": {\"peak_tree_rss_mb\": {\"max\": 199}}}}"},
    {"spawn_cost", true, 5, 1, 10, 0.005, 0, 0, NULL,
     "{\"summary\": {\"worker_step_timings_ms\": {\"spawn_proc\": {\"mean\": 2}}}}"},
    {"spawn_cost", false, 5, 1, 10, 0.005, 0, 0, NULL,
     "{\"summary\": {\"worker_step_timings_ms\": {\"spawn_proc\": {\"mean\": 1.99}}}}"},
    {"collection_cost", true, 5, 1, 100, 0.05, 0, 0, NULL,
     "{\"summary\": {\"worker_step_timings_ms\": {\"communicate\": {\"mean\": 4},"
     " \"parse_stats\": {\"mean\": 1}}}}"},
    {"collection_cost", false, 5, 1, 100, 0.05, 0, 0, NULL,
     "{\"summary\": {\"worker_step_timings_ms\": {\"communicate\": {\"mean\": 4.9},"
     " \"parse_stats\": {\"mean\": 0}}}}"},
    {"observer_overhead", true, 5, 1, 100, 0.05, 0, 0, NULL,
     "{\"summary\": {\"worker_step_timings_ms\": {\"monitor_loop\": {\"mean\": 5}}}}"},
    {"observer_overhead", false, 5, 1, 19, 0.01, 0, 0, NULL,
     "{\"summary\": {\"worker_step_timings_ms\": {\"monitor_loop\": {\"mean\": 5}}}}"},
    {"noisy_runs", true, 10, 1, 100, 0.05, 0, 0, NULL,
     "{\"summary\": {\"worker_latency_ms\": {\"mad\": 6.75}}}"},
    {"noisy_runs", false, 10, 1, 100, 0.05, 0, 0, NULL,
     "{\"summary\": {\"worker_latency_ms\": {\"mad\": 6.74}}}"},
    {"noisy_runs", false, 9, 1, 100, 0.05, 0, 0, NULL,
     "{\"summary\": {\"worker_latency_ms\": {\"mad\": 50}}}"},
    {"slow_tail", true, 20, 1, 100, 0.05, 0, 0, NULL,
     "{\"summary\": {\"worker_latency_ms\": {\"p99\": 300}}}"},
    {"slow_tail", false, 20, 1, 100, 0.05, 0, 0, NULL,
     "{\"summary\": {\"worker_latency_ms\": {\"p99\": 299}}}"},
    {"slow_tail", false, 19, 1, 100, 0.05, 0, 0, NULL,
     "{\"summary\": {\"worker_latency_ms\": {\"p99\": 300}}}"},
    {"stragglers", true, 5, 3, 100, 0.05, 0, 0, NULL,
     "{\"summary\": {\"latency_ms\": {\"p50\": 150}}}"},
    {"stragglers", false, 5, 3, 100, 0.05, 0, 0, NULL,
     "{\"summary\": {\"latency_ms\": {\"p50\": 149}}}"},
    {"stragglers", false, 5, 1, 100, 0.05, 0, 0, NULL,
     "{\"summary\": {\"latency_ms\": {\"p50\": 150}}}"},
    {"hot_frame", true, 5, 1, 100, 0.05, 0, 0, NULL,
     "{\"summary\": {\"xctrace\": {\"hotspots_top\": [{\"frame\": \"a\", \"weight_ms\": 2},"
     " {\"frame\": \"b\", \"weight_ms\": 8}]}}}"},
    {"slow_action", true, 5, 2, 100, 0.05, 0, 0, NULL,
     "{\"summary\": {\"otel_actions\": [{\"name\": \"a\", \"total_ms\": 150, \"count\": 3},"
     " {\"name\": \"b\", \"total_ms\": 50, \"count\": 1}]}}"},
    {"slow_action", false, 5, 2, 100, 0.05, 0, 0, NULL,
     "{\"summary\": {\"otel_actions\": [{\"name\": \"a\", \"total_ms\": 199, \"count\": 3}]}}"},
    {"slow_action", false, 5, 2, 100, 0.05, 0, 0, NULL,
     "{\"summary\": {\"otel_actions\": [{\"name\": \"a\", \"total_ms\": null, \"count\": 3}, 7]}}"},
    {"slow_span", true, 5, 2, 100, 0.05, 0, 0, NULL,
     "{\"summary\": {\"otel_spans\": [{\"name\": \"a\", \"self_ms\": 200, \"count\": 3}]}}"},
    {"action_failures", true, 5, 1, 100, 0.05, 0, 0, NULL,
     "{\"summary\": {\"otel_actions\": [{\"name\": \"a\", \"failures\": 1, \"count\": 3}]}}"},
    {"action_failures", false, 5, 1, 100, 0.05, 0, 0, NULL,
     "{\"summary\": {\"otel_actions\": [{\"name\": \"a\", \"failures\": 0, \"count\": 3}]}}"},
    {"span_errors", true, 5, 1, 100, 0.05, 0, 0, NULL,
     "{\"summary\": {\"otel_spans\": [{\"name\": \"a\", \"errors\": 2, \"count\": 3}]}}"},
    {"orphans", true, 5, 1, 100, 0.05, 0, 0, NULL, WARNING("orphans", "{\"orphans\": 2}")},
    {"slow_first_run", true, 5, 1, 100, 0.05, 0, 0, NULL,
     WARNING("slow_first_run", "{\"first_ms\": 200, \"median_ms\": 100}")},
    {"outliers", true, 5, 1, 100, 0.05, 0, 0, NULL, WARNING("outliers", "{}")},
    {"few_runs_for_p95", true, 5, 1, 100, 0.05, 0, 0, NULL, WARNING("few_runs_for_p95", "null")},
    {"high_load", true, 5, 1, 100, 0.05, 0, 0, NULL, WARNING("high_load", "{\"load_1m\": 9}")},
    {"sampling_stretched", true, 5, 1, 100, 0.05, 0, 0, NULL, WARNING("sampling_stretched", "[]")},
    {"missed_exits", true, 5, 1, 100, 0.05, 0, 0, NULL, WARNING("missed_exits", "{}")},
    {"telemetry_lost", true, 5, 1, 100, 0.05, 0, 0, NULL, WARNING("telemetry_lost", "{}")},
    {"telemetry_limits", true, 5, 1, 100, 0.05, 0, 0, NULL, WARNING("telemetry_limits", "{}")},
    {"telemetry_limits", false, 5, 1, 100, 0.05, 0, 0, NULL,
     "{\"warnings\": [{\"kind\": \"telemetry_limits\"}, 5, null]}"},
    {"boots_failed", true, 5, 1, 100, 0.05, 0, 0, NULL,
     "{\"summary\": {\"verdicts\": {\"ok\": 4, \"timeout\": 1}}}"},
    {"boots_failed", false, 5, 1, 100, 0.05, 0, 0, NULL,
     "{\"summary\": {\"verdicts\": {\"ok\": 5}}}"},
    {"failure_timeout", true, 5, 1, 100, 0.05, 0, 124, "timeout", NULL},
    {"failure_timeout", false, 5, 1, 100, 0.05, 0, 124, "exited", NULL},
    {"failure_returned", true, 5, 1, 100, 0.05, 0, 124, "exited", NULL},
    {"failure_killed", true, 5, 1, 100, 0.05, 0, 137, "signaled", NULL},
    {"failure_killed", true, 5, 1, 100, 0.05, 0, 137, "exited", NULL},
    {"failure_killed", true, 5, 1, 100, 0.05, 0, -9, "exited", NULL},
    {"failure_killed", false, 5, 1, 100, 0.05, 0, 137, "timeout", NULL},
    {"failure_crashed", true, 5, 1, 100, 0.05, 0, 139, "signaled", NULL},
    {"failure_crashed", true, 5, 1, 100, 0.05, 0, 134, "signaled", NULL},
    {"failure_signaled", true, 5, 1, 100, 0.05, 0, 141, "signaled", NULL},
    {"failure_not_run", true, 5, 1, 100, 0.05, 0, 127, "exited", NULL},
    {"failure_not_run", true, 5, 1, 100, 0.05, 0, 126, "exited", NULL},
    {"failure_lost", true, 5, 1, 100, 0.05, 0, 1, "lost", NULL},
    {"failure_returned", true, 5, 1, 100, 0.05, 0, 255, "exited", NULL},
    {"failure_returned", false, 5, 1, 100, 0.05, 0, 130, "interrupted", NULL},
    {"failure_signaled", false, 5, 1, 100, 0.05, 0, 130, "interrupted", NULL},
    {"failure_returned", false, 5, 1, 100, 0.05, 0, 0, "exited", NULL},
};

static const struct pw_rule *rule_named(const char *signal)
{
    for (size_t i = 0; i < pw_rule_count; i++) {
        if (strcmp(pw_rules[i].signal, signal) == 0) {
            return &pw_rules[i];
        }
    }
    fail_msg("no rule `%s`", signal);
    return NULL;
}

static void test_own_rules(void **state)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct made *made = &cases[i];
        json_t *document = suggest_for_root(state, make_root(made));
        const json_t *finding = find(document, "findings", "fleet", made->signal);
        if (made->fires != (finding != NULL)) {
            fail_msg("case %zu: %s %s", i, made->signal, finding ? "fires" : "does not fire");
        }
        if (finding) {
            assert_string_equal(text_at(finding, "severity"),
                                pw_suggest_severity_name(rule_named(made->signal)->severity));
            assert_true(*text_at(finding, "message") != '\0');
            assert_true(*text_at(finding, "suggestion") != '\0');
            assert_true(*text_at(finding, "evidence.metric") != '\0');
            assert_null(strchr(text_at(finding, "evidence.next_command"), '{'));
        }
        json_decref(document);
    }
}

/* A rule without a case that fires and, but for those that only pass a warning on, one that does
 * not is no rule that a test knows. */
static void test_every_rule_has_its_cases(void **state)
{
    (void)state;
    for (size_t r = 0; r < pw_rule_count; r++) {
        bool fires = pw_rules[r].judge == pw_judge_growth; /* see test_growth() */
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
            fires = fires || (cases[i].fires && strcmp(cases[i].signal, pw_rules[r].signal) == 0);
        }
        if (!fires) {
            fail_msg("no case in which %s fires", pw_rules[r].signal);
        }
    }
}

/* An ordinary run gives nothing, nor does one without any number. */
static void test_nothing_stands_out(void **state)
{
    const struct made quiet = {"", false, 30, 1, 100, 0.05, 2, 0, NULL, NULL};
    json_t *document = suggest_for_root(state, make_root(&quiet));
    assert_int_equal(pw_suggest_worst(document), PW_SUGGEST_NONE);
    assert_int_equal(json_array_size(json_object_get(document, "findings")), 0);
    json_decref(document);
    document = suggest_for_root(
        state, json_loads("{\"summary\": {\"latency_ms\": {}}, \"runs\": []}", 0, NULL));
    assert_int_equal(json_array_size(json_object_get(document, "findings")), 0);
    json_decref(document);
    document = suggest_for_root(
        state,
        json_loads("{\"summary\": {\"latency_ms\": {\"mean\": 0, \"p50\": 0}, \"otel_actions\":"
                   " {\"a\": 1}, \"xctrace\": 5}, \"runs\": [null, 5, {\"worker_results\":"
                   " [null, {\"return_code\": \"1\"}]}], \"warnings\": 7, \"profile\": []}",
                   0, NULL));
    assert_int_equal(json_array_size(json_object_get(document, "findings")), 0);
    json_decref(document);
}

/* Values of runs[] that begin at `first` and change by `by` an iteration; every other by `zigzag`.
 */
static json_t *with_series(const char *key, int n, double first, double by, double zigzag)
{
    const struct made made = {"", false, n, 1, 100, 0.05, 0, 0, NULL, NULL};
    json_t *root = make_root(&made);
    json_t *runs = json_object_get(root, "runs");
    for (int i = 0; i < n; i++) {
        json_object_set_new(json_array_get(runs, (size_t)i), key,
                            json_real(first + by * i + (i % 2 ? zigzag : 0)));
    }
    return root;
}

static void test_growth(void **state)
{
    static const struct {
        const char *signal, *key;
        bool fires;
        int n;
        double first, by, zigzag;
    } series[] = {
        {"memory_growth", "max_rss_mb", true, 10, 100, 1, 0},
        {"memory_growth", "sampled_peak_tree_rss_mb", true, 30, 100, 1, 0.7},
        {"memory_growth", "max_rss_mb", false, 9, 100, 1, 0},    /* too few */
        {"memory_growth", "max_rss_mb", false, 10, 100, 0.5, 0}, /* 4.5 % */
        {"memory_growth", "max_rss_mb", false, 10, 1, 0.03, 0},  /* below the noise floor */
        {"memory_growth", "max_rss_mb", false, 10, 100, -2, 0},  /* it shrinks */
        {"memory_growth", "max_rss_mb", false, 10, 100, 0, 60},  /* no trend in that */
        {"memory_growth", "max_rss_mb", false, 30, 100, 0, 0},   /* all the same */
        {"descriptor_growth", "peak_open_fds", true, 20, 10, 0.5, 0},
        {"descriptor_growth", "peak_open_fds", false, 20, 10, 0.04, 0},
        {"latency_drift", "duration_ms", true, 2500, 100, 0.1, 3}, /* every third is looked at */
        {"latency_drift", "duration_ms", false, 2500, 100, 0, 3},
    };
    for (size_t i = 0; i < sizeof(series) / sizeof(series[0]); i++) {
        json_t *document =
            suggest_for_root(state, with_series(series[i].key, series[i].n, series[i].first,
                                                series[i].by, series[i].zigzag));
        const json_t *finding = find(document, "findings", NULL, series[i].signal);
        if (series[i].fires != (finding != NULL)) {
            fail_msg("series %zu: %s %s", i, series[i].signal, finding ? "fires" : "does not fire");
        }
        json_decref(document);
    }
    /* The line that is fitted is the evidence. */
    json_t *document = suggest_for_root(state, with_series("max_rss_mb", 20, 100, 2, 0));
    const json_t *finding = find(document, "findings", NULL, "memory_growth");
    assert_non_null(finding);
    assert_near(json_number_value(pw_json_find(finding, "evidence.baseline")), 100);
    assert_near(json_number_value(pw_json_find(finding, "evidence.current")), 138);
    assert_near(json_number_value(pw_json_find(finding, "evidence.change_pct")), 38);
    assert_string_equal(text_at(finding, "evidence.confidence"), "high");
    assert_contains(text_at(finding, "message"), "2 MiB an iteration");
    json_decref(document);
}

static void test_return_codes_are_listed(void **state)
{
    const struct made made = {"", false, 9, 1, 100, 0.05, 0, 1, NULL, NULL};
    json_t *root = make_root(&made);
    for (size_t i = 0; i < 9; i++) {
        json_t *workers =
            json_object_get(json_array_get(json_object_get(root, "runs"), i), "worker_results");
        int code = i < 2 ? 3 : (int)i + 10;
        json_object_set_new(json_array_get(workers, 0), "return_code", json_integer(code));
    }
    json_t *document = suggest_for_root(state, root);
    const json_t *finding = find(document, "findings", NULL, "failure_returned");
    assert_non_null(finding);
    assert_string_equal(text_at(finding, "message"),
                        "9 of 9 runs failed: return code 3 in 2 runs, 12 in 1, 13 in 1, 14 in 1, "
                        "15 in 1, 16 in 1, others in 2.");
    json_decref(document);
    const struct made killed = {"", false, 2, 1, 100, 0.05, 0, 137, "exited", NULL};
    document = suggest_for_root(state, make_root(&killed));
    finding = find(document, "findings", NULL, "failure_killed");
    assert_non_null(finding);
    assert_contains(text_at(finding, "message"), "137 (SIGKILL); 2 of them ended by themselves");
    json_decref(document);
}

/* One worker at a time of the older harness: runs[] itself, without `termination`. */
static void test_older_summary(void **state)
{
    json_t *document = suggest_for_root(
        state,
        json_loads("{\"summary\": {\"latency_ms\": {\"mean\": 100}}, \"runs\":"
                   " [{\"return_code\": 124}, {\"return_code\": -11}, {\"return_code\": 0}]}",
                   0, NULL));
    assert_non_null(find(document, "findings", "run", "failure_timeout"));
    assert_non_null(find(document, "findings", "run", "failure_crashed"));
    assert_contains(text_at(find(document, "findings", NULL, "failure_timeout"), "message"),
                    "1 of 3 runs");
    json_decref(document);
}

static void test_boots_that_failed(void **state)
{
    static const char head[] = "{\"summary\": {\"latency_ms\": {\"mean\": 100}, \"verdicts\": ";
    static const char tail[] = "}, \"runs\": [{\"return_code\": 0}]}";
    static const struct {
        const char *verdicts, *message;
    } rows[] = {
        {"{\"ok\": 7, \"timeout\": 2, \"guest_panic\": 1}",
         "3 of 10 boots failed: timeout 2, guest_panic 1."},
        {"{\"ok\": 7}", NULL},
        {"{}", NULL},
        {"null", NULL},
        {"[1]", NULL},
        {"{\"timeout\": \"2\", \"ok\": 0}", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        PW_STR_AUTO text = PW_STR_INIT;
        pw_str_addf(&text, "%s%s%s", head, rows[i].verdicts, tail);
        json_t *document = suggest_for_root(state, json_loads(text.text, 0, NULL));
        const json_t *finding = find(document, "findings", NULL, "boots_failed");
        assert_int_equal(finding != NULL, rows[i].message != NULL);
        if (finding) {
            assert_string_equal(text_at(finding, "message"), rows[i].message);
        }
        json_decref(document);
    }
}

static void test_next_commands_are_one_command(void **state)
{
    static const struct {
        const char *command, *filled;
    } commands[] = {
        {"sleep 0.1", "run -- sleep 0.1"},
        {"sh -c 'a; b'", "run -- sh -c 'a; b'"},
        {"x; rm -rf $HOME `id` | sh > y", "run -- 'x;' rm -rf '$HOME' '`id`' '|' sh '>' y"},
        {"a 'unclosed", "run -- CMD"},
        {"a\nb", "run -- a b"},
        {"a '\x1b[2J'", "run -- CMD"},
        {"", "run -- CMD"},
        {NULL, "run -- CMD"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        PW_STR_AUTO text = PW_STR_INIT;
        pw_rule_fill_command("run -- {command}", commands[i].command, "s", &text);
        assert_string_equal(text.text, commands[i].filled);
    }
    PW_STR_AUTO text = PW_STR_INIT;
    pw_rule_fill_command("show {summary} {other}", NULL, "a b;c", &text);
    assert_string_equal(text.text, "show 'a b;c' {other}");
}

/* The tables: signals are unique, thresholds known, used and explained. */
static void test_tables(void **state)
{
    bool used[PW_THRESHOLD_COUNT] = {false};
    (void)state;
    for (size_t i = 0; i < pw_rule_count; i++) {
        const struct pw_rule *rule = &pw_rules[i];
        size_t unknown;
        assert_ptr_equal(rule_named(rule->signal), rule);
        pw_rule_count_thresholds(rule->fires_when, &unknown);
        assert_int_equal(unknown, 0);
        assert_true(*rule->looks_at && *rule->advice && *rule->next);
        for (size_t k = 0; k < PW_THRESHOLD_COUNT; k++) {
            PW_STR_AUTO name = PW_STR_INIT;
            pw_str_addf(&name, "{%s}", pw_thresholds[k].name);
            used[k] = used[k] || strstr(rule->fires_when, name.text);
        }
    }
    for (size_t k = 0; k < PW_THRESHOLD_COUNT; k++) {
        assert_true(used[k]);
        assert_true(strlen(pw_thresholds[k].why) > 10);
    }
}

static void test_report(void **state)
{
    const struct made made = {
        "",   false, 5,   1,    100,
        0.02, 0,     137, NULL, "{\"profile\": {\"name\": \"a|b\\n<i>\\u001b[0m\"}}"};
    PW_DOCUMENT_AUTO report = PW_DOCUMENT_INIT;
    PW_STR_AUTO text = PW_STR_INIT;
    json_t *document = suggest_for_root(state, make_root(&made));
    assert_int_equal(pw_suggest_note(document, "a note", NULL), 0);
    pw_suggest_report(document, &report);
    assert_int_equal(pw_document_to_markdown(&report, &text, NULL), 0);
    const char *red = strstr(text.text, "## Red"), *info = strstr(text.text, "## Info");
    assert_true(red && info && red < info);
    assert_contains(text.text, "a note");
    assert_contains(text.text, "a\\|b &lt;i>");
    for (const char *c = text.text; *c; c++) {
        assert_true((unsigned char)*c >= 0x20 || *c == '\n');
    }
    json_decref(document);
    PW_DOCUMENT_AUTO rules = PW_DOCUMENT_INIT;
    pw_suggest_list_rules(&rules);
    pw_str_clear(&text);
    assert_int_equal(pw_document_to_markdown(&rules, &text, NULL), 0);
    for (size_t i = 0; i < pw_rule_count; i++) {
        assert_contains(text.text, pw_rules[i].signal);
    }
    json_t *as_json = pw_suggest_rules_to_json(NULL);
    assert_int_equal(json_array_size(json_object_get(as_json, "rules")), pw_rule_count + 8);
    json_decref(as_json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference),
        cmocka_unit_test(test_contract_rules),
        cmocka_unit_test(test_warnings_cite_their_numbers),
        cmocka_unit_test(test_index_findings),
        cmocka_unit_test(test_odd_indexes),
        cmocka_unit_test_setup_teardown(test_own_rules, make_folder, drop_folder),
        cmocka_unit_test(test_every_rule_has_its_cases),
        cmocka_unit_test_setup_teardown(test_nothing_stands_out, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(test_growth, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(test_return_codes_are_listed, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(test_older_summary, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(test_boots_that_failed, make_folder, drop_folder),
        cmocka_unit_test(test_next_commands_are_one_command),
        cmocka_unit_test(test_tables),
        cmocka_unit_test_setup_teardown(test_report, make_folder, drop_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
