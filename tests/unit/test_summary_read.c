#include <dirent.h>
#include "core/str.h"
#include "core/summary.h"
#include "tests/unit/unit.h"

static void write_text(const char *path, const char *text)
{
    assert_int_equal(pw_file_write(path, text, strlen(text), 0666, NULL), 0);
}

static void test_refuses(void **state)
{
    static const char *const cases[][2] = {
        {"[]", "not a JSON object"},
        {"{}", "no object `summary`"},
        {"{\"summary\": [], \"runs\": []}", "no object `summary`"},
        {"{\"summary\": {\"latency_ms\": {}}}", "no list `runs`"},
        {"{\"summary\": {\"latency_ms\": {}}, \"runs\": {}}", "no list `runs`"},
        {"{\"summary\": {}, \"runs\": []}", "no object `latency_ms`"},
        {"{\"summary\": {\"latency_ms\": 5}, \"runs\": []}", "no object `latency_ms`"},
        {"{\"summary\": {\"latency_ms\": {}}, \"runs\": [}", "line 1, column"},
        {"", "line 1"},
    };
    PW_FREE_AUTO char *path = in_folder(state, "summary.json");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pw_err err = PW_ERR_INIT;
        write_text(path, cases[i][0]);
        assert_null(pw_summary_load(path, &err));
        assert_int_equal(err.cls, PW_ERR_INPUT);
        assert_contains(err.message, cases[i][1]);
        assert_contains(err.message, path);
    }
    struct pw_err err = PW_ERR_INIT;
    assert_null(pw_summary_load("/nonexistent/summary.json", &err));
    assert_int_equal(err.cls, PW_ERR_INPUT);
    pw_summary_free(NULL);
}

static const char sample[] =
    "{\"iterations\": 3, \"command\": \"x y\", \"profile\": {\"name\": \"cold\", \"warmup\": 2},"
    " \"summary\": {"
    "  \"latency_ms\": {\"mean\": 1.5, \"p50\": \"1.5\", \"p95\": null, \"max\": true},"
    "  \"max_rss_mb\": {\"mean\": null}, \"failed_runs_total\": 4, \"iterations\": \"none\","
    "  \"queue_cancel_metrics\": {\"codex.queue.count\": 7},"
    "  \"unavailable\": {\"max_rss_mb\": \"no_permission\", \"cpu_pct\": \"not_supported\","
    "                    \"peak_open_fds\": \"present\", \"user_cpu_sec\": 5}},"
    " \"runs\": [{\"duration_ms\": 1}, {\"duration_ms\": 2.25}]}";

static struct pw_summary *load_sample(void **state)
{
    PW_FREE_AUTO char *path = in_folder(state, "summary.json");
    write_text(path, sample);
    struct pw_summary *summary = pw_summary_load(path, NULL);
    assert_non_null(summary);
    return summary;
}

static void test_stat(void **state)
{
    struct pw_summary *summary = load_sample(state);
    assert_value(pw_summary_stat(summary, PW_METRIC_LATENCY, PW_STAT_MEAN), 1.5);
    /* A string is no number, nor is a boolean, null, or what is not there. */
    assert_absent(pw_summary_stat(summary, PW_METRIC_LATENCY, PW_STAT_P50), PW_ABSENT_NOT_MEASURED);
    assert_absent(pw_summary_stat(summary, PW_METRIC_LATENCY, PW_STAT_P95), PW_ABSENT_NOT_MEASURED);
    assert_absent(pw_summary_stat(summary, PW_METRIC_LATENCY, PW_STAT_MAX), PW_ABSENT_NOT_MEASURED);
    assert_absent(pw_summary_stat(summary, PW_METRIC_LATENCY, PW_STAT_MIN), PW_ABSENT_NOT_MEASURED);
    assert_value(pw_summary_stat(summary, PW_METRIC_FAILED_RUNS, PW_STAT_SCALAR), 4);
    assert_absent(pw_summary_stat(summary, PW_METRIC_LATENCY, PW_STAT_SCALAR),
                  PW_ABSENT_NOT_MEASURED);
    /* With the document's reason, if it is one. */
    assert_absent(pw_summary_stat(summary, PW_METRIC_MAX_RSS_MB, PW_STAT_MEAN),
                  PW_ABSENT_NO_PERMISSION);
    assert_absent(pw_summary_stat(summary, PW_METRIC_CPU_PCT, PW_STAT_P95),
                  PW_ABSENT_NOT_SUPPORTED);
    assert_absent(pw_summary_stat(summary, PW_METRIC_PEAK_OPEN_FDS, PW_STAT_MEAN),
                  PW_ABSENT_NOT_MEASURED);
    assert_absent(pw_summary_stat(summary, PW_METRIC_USER_CPU, PW_STAT_MEAN),
                  PW_ABSENT_NOT_MEASURED);
    pw_summary_free(summary);
}

static void test_number(void **state)
{
    struct pw_summary *summary = load_sample(state);
    assert_value(pw_summary_number(summary, "latency_ms.mean"), 1.5);
    assert_value(pw_summary_number(summary, "summary.latency_ms.mean"), 1.5);
    assert_value(pw_summary_number(summary, "runs.1.duration_ms"), 2.25);
    assert_value(pw_summary_number(summary, "profile.warmup"), 2);
    assert_value(pw_summary_number(summary, "queue_cancel_metrics.codex.queue.count"), 7);
    assert_value(pw_summary_number(summary, "iterations"), 3); /* under `summary` it is no number */
    static const char *const none[] = {"latency_ms",
                                       "latency_ms.p50",
                                       "latency_ms.p95",
                                       "latency_ms.max",
                                       "runs.2.duration_ms",
                                       "command",
                                       "",
                                       "."};
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        assert_absent(pw_summary_number(summary, none[i]), PW_ABSENT_NOT_MEASURED);
    }
    assert_string_equal(pw_summary_string(summary, "command"), "x y");
    assert_string_equal(pw_summary_string(summary, "profile.name"), "cold");
    assert_null(pw_summary_string(summary, "profile.warmup"));
    assert_null(pw_summary_string(summary, "none"));
    pw_summary_free(summary);
}

static void list_number(const char *name, double number, void *context)
{
    pw_str_addf(context, "%s=%g\n", name, number);
}

static void test_each_number(void **state)
{
    struct pw_summary *summary = load_sample(state);
    PW_STR_AUTO list = PW_STR_INIT;
    pw_summary_each_number(summary, list_number, &list);
    assert_string_equal(list.text, "iterations=3\nprofile.warmup=2\nsummary.latency_ms.mean=1.5\n"
                                   "summary.failed_runs_total=4\n"
                                   "summary.queue_cancel_metrics.codex.queue.count=7\n"
                                   "summary.unavailable.user_cpu_sec=5\n"
                                   "runs.0.duration_ms=1\nruns.1.duration_ms=2.25\n");
    pw_summary_free(summary);
}

/* The reference: every number that a walk of the document of its own finds. */

struct walk {
    const struct pw_summary *summary;
    struct pw_str *names; /* "name=number" lines in document order */
    size_t numbers, of_metrics;
};

/* Finds a number below `summary` through the metric table. */
static bool reached_by_table(const struct pw_summary *summary, const char *name, double expected)
{
    for (size_t i = 0; i < PW_METRIC_COUNT; i++) {
        const struct pw_metric *row = &pw_metrics[i];
        for (enum pw_stat stat = 0; stat < PW_STAT_COUNT; stat++) {
            if (!(row->stats & PW_STAT_BIT(stat))) {
                continue;
            }
            char full[200];
            bool scalar = stat == PW_STAT_SCALAR;
            snprintf(full, sizeof(full), "%s%s%s", row->path, scalar ? "" : ".",
                     pw_stat_name(stat));
            if (strcmp(full, name) == 0) {
                struct pw_value value = pw_summary_stat(summary, row->id, stat);
                return pw_value_is_present(value) && value.number == expected;
            }
        }
    }
    return false;
}

static bool is_outside_table(const char *name)
{
    static const char *const parts[] = {"resource_budget.", "xctrace.hotspots_top.",
                                        "failed_iterations.", "queue_cancel_metrics."};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (strncmp(name, parts[i], strlen(parts[i])) == 0) {
            return true;
        }
    }
    return false;
}

static void check_number(struct walk *walk, const char *name, double expected)
{
    static const char prefix[] = "summary.";
    pw_str_addf(walk->names, "%s=%.17g\n", name, expected);
    walk->numbers++;
    struct pw_value value = pw_summary_number(walk->summary, name);
    if (!pw_value_is_present(value) || value.number != expected) {
        fail_msg("%s is not found", name);
    }
    if (strncmp(name, prefix, strlen(prefix)) != 0) {
        return;
    }
    const char *inner = name + strlen(prefix);
    value = pw_summary_number(walk->summary, inner);
    if (!pw_value_is_present(value) || value.number != expected) {
        fail_msg("%s is not found without its prefix", name);
    }
    if (!is_outside_table(inner)) {
        if (!reached_by_table(walk->summary, inner, expected)) {
            fail_msg("%s is not reached by the metric table", name);
        }
        walk->of_metrics++;
    }
}

static void check_value(struct walk *walk, const char *name, json_t *value)
{
    char inner[400];
    if (json_is_number(value)) {
        check_number(walk, name, json_number_value(value));
    } else if (json_is_object(value)) {
        const char *key = NULL;
        json_t *member = NULL;
        json_object_foreach(value, key, member)
        {
            snprintf(inner, sizeof(inner), "%s%s%s", name, name[0] ? "." : "", key);
            check_value(walk, inner, member);
        }
    } else if (json_is_array(value)) {
        for (size_t i = 0; i < json_array_size(value); i++) {
            snprintf(inner, sizeof(inner), "%s.%zu", name, i);
            check_value(walk, inner, json_array_get(value, i));
        }
    }
}

static void list_exact(const char *name, double number, void *context)
{
    pw_str_addf(context, "%s=%.17g\n", name, number);
}

static size_t check_reference(const char *path)
{
    struct pw_err err = PW_ERR_INIT;
    struct pw_summary *summary = pw_summary_load(path, &err);
    if (!summary) {
        fail_msg("%s", err.message);
    }
    json_t *root = json_load_file(path, 0, NULL);
    assert_non_null(root);
    PW_STR_AUTO expected = PW_STR_INIT;
    PW_STR_AUTO visited = PW_STR_INIT;
    struct walk walk = {.summary = summary, .names = &expected};
    check_value(&walk, "", root);
    assert_true(walk.of_metrics >= 15); /* the oldest ones have few */
    pw_summary_each_number(summary, list_exact, &visited);
    assert_string_equal(visited.text, expected.text);
    json_decref(root);
    pw_summary_free(summary);
    return walk.numbers;
}

static void test_reference(void **state)
{
    (void)state;
    const char *root = getenv("PW_REFERENCE_DIR");
    if (!root) {
        print_message("skipped: PW_REFERENCE_DIR is not set\n");
        skip();
    }
    char path[900];
    snprintf(path, sizeof(path), "%s/summaries", root);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    size_t summaries = 0;
    size_t numbers = 0;
    for (const struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] != '.') {
            snprintf(path, sizeof(path), "%s/summaries/%s/summary.json", root, entry->d_name);
            numbers += check_reference(path);
            summaries++;
        }
    }
    closedir(dir);
    assert_int_equal(summaries, 26);
    assert_int_equal(numbers, 7301); /* counted by another program */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_refuses, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(test_stat, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(test_number, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(test_each_number, make_folder, drop_folder),
        cmocka_unit_test(test_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
