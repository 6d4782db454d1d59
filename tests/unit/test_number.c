#include <dirent.h>
#include "core/json.h"
#include "core/stats.h"
#include "core/str.h"
#include "core/summary.h"
#include "sla/expression.h"
#include "sla/number.h"
#include "tests/unit/sample_moments.h"
#include "tests/unit/sample_run.h"
#include "tests/unit/unit.h"

static struct pw_summary *load_text(void **state, const char *text)
{
    PW_FREE_AUTO char *path = in_folder(state, "summary.json");
    struct pw_err err = PW_ERR_INIT;
    assert_int_equal(pw_file_write(path, text, strlen(text), 0666, NULL), 0);
    struct pw_summary *summary = pw_summary_load(path, &err);
    if (!summary) {
        fail_msg("%s", err.message);
    }
    return summary;
}

static struct pw_number find(const struct pw_summary *summary, const char *left)
{
    char text[200];
    struct pw_bound bound;
    struct pw_number number;
    struct pw_err err = PW_ERR_INIT;
    snprintf(text, sizeof(text), "%s <= 1", left);
    if (pw_expression_parse(text, &bound, NULL, &err) != 0) {
        fail_msg("%s: %s", text, err.message);
    }
    assert_int_equal(pw_number_find(summary, &bound, &number, &err), 0);
    assert_int_equal(number.reason == NULL, pw_value_is_present(number.value));
    pw_bound_done(&bound);
    return number;
}

/* Worker values: 10, 20 | 30 (failed), 50 | 40; iterations: 25, 60, 40. */
static const char sample[] =
    "{\"iterations\": 3, \"command\": \"x\", \"profile\": {\"name\": \"cold\", \"warmup\": 2},"
    " \"summary\": {"
    "  \"latency_ms\": {\"mean\": 41.5, \"p50\": \"40\", \"p95\": null, \"min\": 25},"
    "  \"worker_latency_ms\": {\"mean\": 30, \"p90\": 47.5, \"p50_ci95_low\": 10},"
    "  \"max_rss_mb\": null, \"user_cpu_sec\": 5, \"system_cpu_sec\": true,"
    "  \"failed_runs_total\": 1, \"successful_runs_total\": \"4\", \"otel_spans_total\": 2.5,"
    "  \"process_tree_sampled\": {\"sample_count\": {\"mean\": 3}},"
    "  \"otel_turn_action_stream\": {\"turn_metric_points\": {\"mean\": 2, \"total\": 6}},"
    "  \"queue_cancel_metrics\": {\"codex.queue.count\": 7},"
    "  \"otel_metrics\": {"
    "    \"codex.turn.e2e_duration_ms\": {\"unit\": \"ms\", \"type\": \"histogram\", \"points\": 5,"
    "       \"count\": 12, \"sum\": 1200, \"mean\": 100, \"min\": 1, \"max\": 500, \"p50\": 90,"
    "       \"p95\": 400, \"p99\": null},"
    "    \"codex.calls\": {\"unit\": \"{call}\", \"type\": \"sum\", \"points\": 3, \"total\": 9},"
    "    \"strange\": {\"unit\": \"furlong\", \"type\": \"gauge\", \"mean\": \"3\", \"max\": 4},"
    "    \"bare\": {\"unit\": \"\", \"max\": 4}, \"no object\": 5},"
    "  \"otel_actions\": [{\"name\": \"exec_command\", \"count\": 4, \"failures\": 1,"
    "       \"total_ms\": 100, \"mean_ms\": 25, \"median_ms\": 24, \"p95_ms\": 40, \"p99_ms\": 41,"
    "       \"min_ms\": 10, \"max_ms\": 42, \"stddev_ms\": 5}, 7, {\"name\": 8}],"
    "  \"otel_spans\": [{\"name\": \"tool call\", \"count\": 2, \"errors\": 1, \"median_ms\": 11,"
    "       \"p95_ms\": null}],"
    "  \"unavailable\": {\"max_rss_mb\": \"no_permission\", \"latency_ms\": \"no_samples\"}},"
    " \"runs\": ["
    "  {\"duration_ms\": 25, \"return_code\": 0, \"user_cpu_sec\": 1, \"throughput_runs_per_sec\": 8,"
    "   \"worker_results\": [{\"return_code\": 0, \"duration_ms\": 10, \"sample_count\": 2},"
    "                        {\"return_code\": 0, \"duration_ms\": 20, \"sample_count\": 4}]},"
    "  {\"duration_ms\": 60, \"return_code\": 1, \"user_cpu_sec\": null,"
    "   \"worker_results\": [{\"return_code\": 9, \"duration_ms\": 30},"
    "                        {\"return_code\": 0, \"duration_ms\": 50, \"sample_count\": 6}]},"
    "  {\"duration_ms\": 40, \"return_code\": 0, \"worker_count\": 1, \"user_cpu_sec\": \"2\"},"
    "  17]}";

static void test_stated(void **state)
{
    static const struct {
        const char *left;
        double value;
        const char *unit; /* as text; NULL: unknown */
        bool integer;
        size_t samples;
    } cases[] = {
        /* As stated, not as the sample has it. */
        {"latency_ms mean", 41.5, "ms", false, 3},
        {"latency_ms.mean", 41.5, "ms", false, 3},
        {"latency_ms min", 25, "ms", false, 3},
        {"worker_latency_ms p(90)", 47.5, "ms", false, 4},
        {"worker_latency_ms.p50_ci95_low", 10, "ms", true, 0},
        {"failed_runs_total", 1, "workers", true, 0},
        {"otel_spans_total", 2.5, "count", false, 0},
        {"process_tree_sampled.sample_count mean", 3, "samples", false, 2},
        {"otel_turn_action_stream.turn_metric_points total", 6, "points", true, 0},
        {"queue_cancel_metrics.codex.queue.count", 7, "count", true, 0},
        {"profile.warmup", 2, NULL, true, 0},
        {"iterations", 3, NULL, true, 0},
        {"runs.1.duration_ms", 60, "ms", true, 0},
        {"runs.0.worker_results.1.duration_ms", 20, "ms", true, 0},
        {"otel.codex.turn.e2e_duration_ms p(95)", 400, "ms", false, 12},
        {"otel.codex.turn.e2e_duration_ms mean", 100, "ms", false, 12},
        {"otel.codex.turn.e2e_duration_ms total", 1200, "ms", false, 12},
        {"otel.codex.turn.e2e_duration_ms count", 12, "count", true, 12},
        {"otel.codex.calls total", 9, "{call}", false, 0},
        {"otel.strange max", 4, "furlong", false, 0},
        {"otel.bare max", 4, NULL, false, 0},
        {"otel_metrics.codex.turn.e2e_duration_ms.p50", 90, "ms", true, 0},
        {"otel_metrics.codex.turn.e2e_duration_ms.points", 5, "count", true, 0},
        {"action.exec_command p(95)", 40, "ms", false, 4},
        {"action.exec_command med", 24, "ms", false, 4},
        {"action.exec_command p(99)", 41, "ms", false, 4},
        {"action.exec_command stddev", 5, "ms", false, 4},
        {"action.exec_command min", 10, "ms", false, 4},
        {"action.exec_command max", 42, "ms", false, 4},
        {"action.exec_command mean", 25, "ms", false, 4},
        {"action.exec_command total", 100, "ms", false, 4},
        {"action.exec_command count", 4, "count", true, 4},
        {"action.exec_command failures", 1, "count", true, 4},
        {"\"span.tool call\" errors", 1, "count", true, 2},
        {"\"span.tool call\" median", 11, "ms", false, 2},
        {"otel_actions.0.failures", 1, NULL, true, 0},
        {"otel_actions.0.p95_ms", 40, "ms", true, 0},
    };
    struct pw_summary *summary = load_text(state, sample);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pw_number number = find(summary, cases[i].left);
        if (number.reason) {
            fail_msg("%s: %s", cases[i].left, number.reason);
        }
        assert_value(number.value, cases[i].value);
        assert_string_equal(number.unit_text ? number.unit_text : "unknown",
                            cases[i].unit ? cases[i].unit : "unknown");
        bool known = cases[i].unit && strcmp(cases[i].unit, "furlong") != 0;
        assert_int_equal(number.unit != NULL, known);
        if (number.integer != cases[i].integer || number.sample_count != cases[i].samples) {
            fail_msg("%s: integer %d, %zu samples", cases[i].left, number.integer,
                     number.sample_count);
        }
        pw_number_done(&number);
    }
    pw_summary_free(summary);
}

static void test_computed(void **state)
{
    static const struct {
        const char *left;
        double value;
    } cases[] = {
        {"latency_ms p(90)", 56},
        {"latency_ms p(0)", 25},
        {"latency_ms p(25)", 32.5},
        {"latency_ms p(100)", 60},
        {"latency_ms mad", 15},
        {"latency_ms stddev", 17.559422921421235},
        {"worker_latency_ms p50", 30},
        {"worker_latency_ms max", 50},
        {"worker_latency_ms min", 10},
        {"process_tree_sampled.sample_count p(50)", 4.5},
        {"process_tree_sampled.sample_count max", 6},
        {"throughput_runs_per_sec max", 8},
    };
    struct pw_summary *summary = load_text(state, sample);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pw_number number = find(summary, cases[i].left);
        if (number.reason) {
            fail_msg("%s: %s", cases[i].left, number.reason);
        }
        assert_value(number.value, cases[i].value);
        for (size_t j = 1; j < number.sample_count; j++) {
            assert_true(number.sample[j - 1] <= number.sample[j]);
        }
        pw_number_done(&number);
    }
    pw_summary_free(summary);
}

static void test_absent(void **state)
{
    static const struct {
        const char *left, *reason;
        enum pw_absence state;
    } cases[] = {
        {"latency_ms p(50)", "`latency_ms.p50` is a string, not a number", PW_ABSENT_NOT_MEASURED},
        {"latency_ms p(95)", "`latency_ms.p95` is null (no_samples)", PW_ABSENT_NO_SAMPLES},
        /* Schema v4 says that it is stated: it is not made up from runs[]. */
        {"latency_ms max", "the summary has no `latency_ms.max`", PW_ABSENT_NOT_MEASURED},
        {"max_rss_mb mean", "`max_rss_mb` is null (no_permission)", PW_ABSENT_NO_PERMISSION},
        {"max_rss_mb stddev", "`max_rss_mb` is null", PW_ABSENT_NO_PERMISSION},
        {"user_cpu_sec mean", "`user_cpu_sec` is a number, not an object", PW_ABSENT_NOT_MEASURED},
        {"system_cpu_sec max", "`system_cpu_sec` is a boolean, not an object",
         PW_ABSENT_NOT_MEASURED},
        {"cpu_pct mean", "the summary has no `cpu_pct.mean`", PW_ABSENT_NOT_MEASURED},
        {"cpu_pct stddev", "the summary has no value of `cpu_pct`", PW_ABSENT_NOT_MEASURED},
        {"throughput_runs_per_sec stddev", "1 value of `throughput_runs_per_sec`: no stddev",
         PW_ABSENT_NO_SAMPLES},
        {"successful_runs_total", "`successful_runs_total` is a string, not a number",
         PW_ABSENT_NOT_MEASURED},
        {"xctrace.trace_count", "the summary has no `xctrace.trace_count`", PW_ABSENT_NOT_MEASURED},
        {"worker_step_timings_ms.build_cmd mean", "no `worker_step_timings_ms.build_cmd.mean`",
         PW_ABSENT_NOT_MEASURED},
        {"otel.none mean", "no OTLP metric `none` was received", PW_ABSENT_NO_SAMPLES},
        {"\"otel.no object\" mean", "no OTLP metric", PW_ABSENT_NO_SAMPLES},
        {"otel.strange mean", "`strange.mean` is a string", PW_ABSENT_NOT_MEASURED},
        {"otel.strange p95", "the metric (gauge) has no p(95), only max", PW_ABSENT_NOT_MEASURED},
        {"otel.bare mean", "the metric (unknown type) has no mean, only max",
         PW_ABSENT_NOT_MEASURED},
        {"otel.codex.calls mean", "the metric (sum) has no mean, only total",
         PW_ABSENT_NOT_MEASURED},
        {"otel.codex.turn.e2e_duration_ms p(99)", "is null", PW_ABSENT_NOT_MEASURED},
        {"action.none mean", "no action `none` was received", PW_ABSENT_NO_SAMPLES},
        {"span.none mean", "no span `none` was received", PW_ABSENT_NO_SAMPLES},
        {"\"span.tool call\" p95", "`tool call.p95_ms` is null", PW_ABSENT_NOT_MEASURED},
        {"\"span.tool call\" max", "no `tool call.max_ms`", PW_ABSENT_NOT_MEASURED},
        {"profile.name", "`profile.name` is a string, not a number", PW_ABSENT_NOT_MEASURED},
        {"runs.9.duration_ms", "the summary has no `runs.9.duration_ms`", PW_ABSENT_NOT_MEASURED},
        {"runs.2.user_cpu_sec", "is a string", PW_ABSENT_NOT_MEASURED},
        {"runs.2", "is an object", PW_ABSENT_NOT_MEASURED},
        {"resource_budget.stability.total_runs", "the summary has no", PW_ABSENT_NOT_MEASURED},
    };
    struct pw_summary *summary = load_text(state, sample);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pw_number number = find(summary, cases[i].left);
        if (!number.reason) {
            fail_msg("%s is there: %g", cases[i].left, number.value.number);
        }
        assert_contains(number.reason, cases[i].reason);
        assert_absent(number.value, cases[i].state);
        pw_number_done(&number);
    }
    pw_summary_free(summary);
}

/* Where no telemetry was collected, its blocks are null; of the older harness they are not there.
 */
static void test_no_telemetry(void **state)
{
    static const char *const lefts[] = {"otel.x mean", "action.x mean", "span.x mean"};
    static const char *const blocks[] = {
        "\"otel_metrics\": null, \"otel_actions\": null, \"otel_spans\": null,",
        "",
        "\"otel_metrics\": 5, \"otel_actions\": 5, \"otel_spans\": 5,",
        "\"otel_metrics\": [], \"otel_actions\": {}, \"otel_spans\": \"\",",
    };
    for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
        char text[400];
        snprintf(text, sizeof(text),
                 "{\"summary\": {%s \"latency_ms\": {}, \"unavailable\": 3}, \"runs\": []}",
                 blocks[i]);
        struct pw_summary *summary = load_text(state, text);
        for (size_t j = 0; j < sizeof(lefts) / sizeof(lefts[0]); j++) {
            struct pw_number number = find(summary, lefts[j]);
            assert_false(pw_value_is_present(number.value));
            assert_contains(number.reason, "otel_");
            pw_number_done(&number);
        }
        pw_summary_free(summary);
    }
}

/* Of successful workers: ready at 10, 20, 30, 40 and 60 ms. */
static void test_moments(void **state)
{
    (void)state;
    static const struct {
        const char *left;
        double value;
        size_t samples;
    } cases[] = {
        {"marks.ready_ms p(95)", 56, 5},  {"marks.ready_ms mean", 32, 5},
        {"marks.ready_ms.max", 60, 5},    {"marks.ready_ms count", 5, 5},
        {"marks.ready_ms p(90)", 52, 5}, /* not stated */
        {"marks.ready_ms p(0)", 10, 5},   {"marks.ready_ms mad", 10, 5},
        {"marks.db-up_ms p(50)", 15, 2},  {"marks.never_ms count", 0, 0},
        {"phases.ready_ms p(50)", 30, 5}, {"phases.end_ms mean", 71, 5},
        {"runs.0.marks.ready_ms", 15, 0}, {"runs.1.worker_results.1.marks.ready_ms", 1, 0},
    };
    static const struct {
        const char *left, *reason;
        enum pw_absence state;
    } absents[] = {
        {"marks.redy_ms p(95)",
         "the summary has no `marks.redy_ms`; its marks are ready_ms, db-up_ms, never_ms",
         PW_ABSENT_NOT_MEASURED},
        {"phases.x_ms mean", "its phases are ready_ms, db-up_ms, never_ms, end_ms",
         PW_ABSENT_NOT_MEASURED},
        {"marks.end_ms mean", "its marks are ready_ms", PW_ABSENT_NOT_MEASURED},
        {"marks.never_ms mean", "`marks.never_ms.mean` is null (no_samples)", PW_ABSENT_NO_SAMPLES},
        {"marks.never_ms p(90)", "the summary has no value of `marks.never_ms`",
         PW_ABSENT_NO_SAMPLES},
    };
    struct pw_run_record run;
    make_moments_sample(&run);
    struct pw_summary *summary = pw_summary_build(&run, NULL);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pw_number number = find(summary, cases[i].left);
        if (number.reason) {
            fail_msg("%s: %s", cases[i].left, number.reason);
        }
        assert_value(number.value, cases[i].value);
        assert_int_equal(number.sample_count, cases[i].samples);
        assert_string_equal(number.unit_text, strstr(cases[i].left, "count") ? "count" : "ms");
        for (size_t j = 1; j < number.sample_count; j++) {
            assert_true(number.sample[j - 1] <= number.sample[j]);
        }
        pw_number_done(&number);
    }
    for (size_t i = 0; i < sizeof(absents) / sizeof(absents[0]); i++) {
        struct pw_number number = find(summary, absents[i].left);
        assert_non_null(number.reason);
        assert_contains(number.reason, absents[i].reason);
        assert_absent(number.value, absents[i].state);
        pw_number_done(&number);
    }
    double *means = NULL;
    size_t count = 0;
    assert_int_equal(pw_sample_of_moment(summary, "marks.ready_ms", &means, &count, NULL), 0);
    assert_int_equal(count, 3);
    assert_near(means[0], 15);
    assert_near(means[1], 30);
    assert_near(means[2], 50);
    free(means);
    pw_summary_free(summary);
    pw_run_record_done(&run);
}

/* Without marks, and with blocks that perfwrap did not write. */
static void test_strange_moments(void **state)
{
    static const struct {
        const char *blocks, *reason;
    } cases[] = {
        {"", "measured without --mark"},
        {"\"marks\": 5,", "`marks` is a number, not an object"},
        {"\"marks\": null,", "`marks` is null, not an object"},
        {"\"marks\": {},", "its marks are none"},
        {"\"marks\": {\"x_ms\": 5},", "no value of `marks.x_ms`"},
        {"\"marks\": {\"x_ms\": {\"p95\": \"5\"}},", "`marks.x_ms.p95` is a string"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[400];
        snprintf(text, sizeof(text),
                 "{\"summary\": {%s \"latency_ms\": {}}, \"runs\": [{\"marks\": 5,"
                 " \"worker_results\": [{\"return_code\": 0, \"marks\": []}, 8]}, 7]}",
                 cases[i].blocks);
        struct pw_summary *summary = load_text(state, text);
        struct pw_number number = find(summary, "marks.x_ms p(95)");
        assert_false(pw_value_is_present(number.value));
        assert_contains(number.reason, cases[i].reason);
        pw_number_done(&number);
        double *values = NULL;
        size_t count = 9;
        assert_int_equal(pw_sample_of_moment(summary, "marks.x_ms", &values, &count, NULL), 0);
        assert_int_equal(count, 0);
        assert_null(values);
        pw_summary_free(summary);
    }
}

static void assert_sample(const struct pw_summary *summary, enum pw_metric_id id, bool workers,
                          const char *expected)
{
    double *values = NULL;
    size_t count = 99;
    PW_STR_AUTO list = PW_STR_INIT;
    int status = workers
                     ? pw_worker_sample_of_metric(summary, &pw_metrics[id], &values, &count, NULL)
                     : pw_sample_of_metric(summary, &pw_metrics[id], &values, &count, NULL);
    assert_int_equal(status, 0);
    for (size_t i = 0; i < count; i++) {
        pw_str_addf(&list, "%g ", values[i]);
    }
    assert_string_equal(list.text, expected);
    assert_int_equal(values == NULL, count == 0);
    free(values);
}

static void test_samples(void **state)
{
    struct pw_summary *summary = load_text(state, sample);
    assert_sample(summary, PW_METRIC_LATENCY, false, "25 60 40 ");
    assert_sample(summary, PW_METRIC_WORKER_LATENCY, false, "10 20 50 40 ");
    assert_sample(summary, PW_METRIC_USER_CPU, false, "1 ");
    assert_sample(summary, PW_METRIC_TREE_SAMPLES, false, "3 6 "); /* folded */
    assert_sample(summary, PW_METRIC_THROUGHPUT, false, "8 ");
    assert_sample(summary, PW_METRIC_TRACE_COUNT, false, "");
    assert_sample(summary, PW_METRIC_CPU_PCT, false, "");
    assert_sample(summary, PW_METRIC_LATENCY, true, "10 20 50 40 ");
    assert_sample(summary, PW_METRIC_WORKER_LATENCY, true, "10 20 50 40 ");
    assert_sample(summary, PW_METRIC_TREE_SAMPLES, true, "2 4 6 ");
    assert_sample(summary, PW_METRIC_THROUGHPUT, true, "");
    assert_sample(summary, PW_METRIC_TRACE_COUNT, true, "");
    pw_summary_free(summary);
    /* Of the older harness: an iteration without workers stands for its worker, if it had one and
     * that was successful. */
    summary =
        load_text(state, "{\"summary\": {\"latency_ms\": {}}, \"runs\": ["
                         "{\"duration_ms\": 1, \"return_code\": 0},"
                         "{\"duration_ms\": 2, \"return_code\": 0, \"worker_count\": 1},"
                         "{\"duration_ms\": 3, \"return_code\": 0, \"worker_count\": 6},"
                         "{\"duration_ms\": 4, \"return_code\": 1, \"worker_count\": 1},"
                         "{\"duration_ms\": 5, \"return_code\": 0, \"worker_results\": []}]}");
    assert_sample(summary, PW_METRIC_LATENCY, false, "1 2 3 4 5 ");
    assert_sample(summary, PW_METRIC_LATENCY, true, "1 2 5 ");
    assert_sample(summary, PW_METRIC_WORKER_LATENCY, false, "1 2 5 ");
    pw_summary_free(summary);
}

static struct pw_value pick(const struct pw_stats *stats, enum pw_stat stat)
{
    const struct pw_value values[PW_STAT_COUNT] = {
        [PW_STAT_MEAN] = stats->mean, [PW_STAT_P50] = stats->p50,
        [PW_STAT_P90] = stats->p90,   [PW_STAT_P95] = stats->p95,
        [PW_STAT_P99] = stats->p99,   [PW_STAT_MIN] = stats->min,
        [PW_STAT_MAX] = stats->max,   [PW_STAT_STDDEV] = stats->stddev,
        [PW_STAT_MAD] = stats->mad,   [PW_STAT_TOTAL] = stats->total,
    };
    return values[stat];
}

/* In a summary of perfwrap's own the samples are those that its statistics were made of, of every
 * metric. */
static void test_own_samples(void **state)
{
    (void)state;
    struct pw_run_record run;
    make_sample(&run);
    for (size_t i = 0; i < run.iteration_count; i++) {
        for (enum pw_metric_id id = 0; id < PW_METRIC_COUNT; id++) {
            enum pw_fold fold = pw_metrics[id].fold;
            if (fold == PW_FOLD_WINDOW && id > PW_METRIC_TRACE_COUNT) {
                run.iterations[i].values[id] = pw_value_of((double)id + 3.0 * (double)i);
            } else if (fold != PW_FOLD_WINDOW && fold != PW_FOLD_POOL) {
                set_all(&run.iterations[i], id, (double)id + 7.5 * (double)i);
            }
        }
        assert_int_equal(pw_iteration_fold(&run.iterations[i], NULL), 0);
    }
    struct pw_summary *summary = pw_summary_build(&run, NULL);
    assert_non_null(summary);
    size_t checked = 0;
    for (enum pw_metric_id id = 0; id < PW_METRIC_COUNT; id++) {
        double *values = NULL;
        size_t count = 0;
        struct pw_stats stats;
        assert_int_equal(pw_sample_of_metric(summary, &pw_metrics[id], &values, &count, NULL), 0);
        assert_int_equal(pw_stats_describe(values, count, false, &stats, NULL), 0);
        for (enum pw_stat stat = 0; stat <= PW_STAT_TOTAL; stat++) {
            struct pw_value stated = pw_summary_stat(summary, id, stat);
            struct pw_value found = pick(&stats, stat);
            if (!pw_value_is_present(stated)) {
                continue;
            }
            if (!pw_value_is_present(found) ||
                fabs(found.number - stated.number) > 1e-9 * fabs(stated.number)) {
                fail_msg("%s.%s is %.17g, not %.17g", pw_metrics[id].path, pw_stat_name(stat),
                         found.number, stated.number);
            }
            checked++;
        }
        free(values);
    }
    assert_true(checked > 150);
    pw_summary_free(summary);
    pw_run_record_done(&run);
}

/* An aggregate of an entry in a block that perfwrap wrote is what stands there. */
static void assert_stated(const struct pw_summary *summary, const char *prefix, const char *name,
                          const char *aggregate, const json_t *stated)
{
    char left[200];
    snprintf(left, sizeof(left), "\"%s.%s\" %s", prefix, name, aggregate);
    struct pw_number number = find(summary, left);
    if (json_is_number(stated)) {
        assert_value(number.value, json_number_value(stated));
    } else {
        assert_false(pw_value_is_present(number.value));
    }
    pw_number_done(&number);
}

static void check_durations(const struct pw_summary *summary, const char *prefix, const char *block)
{
    static const char *const keys[][2] = {
        {"mean", "mean_ms"}, {"med", "median_ms"},  {"p95", "p95_ms"},
        {"p99", "p99_ms"},   {"min", "min_ms"},     {"max", "max_ms"},
        {"count", "count"},  {"total", "total_ms"}, {"stddev", "stddev_ms"},
    };
    const json_t *entries = pw_json_find(pw_summary_root(summary), block);
    assert_true(json_array_size(entries) > 0);
    for (size_t i = 0; i < json_array_size(entries); i++) {
        const json_t *entry = json_array_get(entries, i);
        const char *name = json_string_value(json_object_get(entry, "name"));
        for (size_t j = 0; j < sizeof(keys) / sizeof(keys[0]); j++) {
            const json_t *stated = json_object_get(entry, keys[j][1]);
            assert_non_null(stated); /* null or a number, but there */
            assert_stated(summary, prefix, name, keys[j][0], stated);
        }
    }
}

/* The telemetry blocks as perfwrap writes them. */
static void test_own_telemetry(void **state)
{
    (void)state;
    struct pw_run_record run;
    make_sample(&run);
    add_reporting_iteration(&run);
    struct pw_summary *summary = pw_summary_build(&run, NULL);
    assert_non_null(summary);
    check_durations(summary, "action", "summary.otel_actions");
    check_durations(summary, "span", "summary.otel_spans");
    const json_t *metrics = pw_json_find(pw_summary_root(summary), "summary.otel_metrics");
    const char *name = NULL;
    json_t *entry = NULL;
    size_t present = 0;
    json_object_foreach((json_t *)metrics, name, entry)
    {
        static const char *const keys[] = {"mean", "p50", "p95", "p99", "min", "max", "count"};
        for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
            present += json_is_number(json_object_get(entry, keys[i]));
            assert_stated(summary, "otel", name, keys[i], json_object_get(entry, keys[i]));
        }
        const json_t *total = json_object_get(entry, "total");
        assert_stated(summary, "otel", name, "total",
                      total ? total : json_object_get(entry, "sum"));
    }
    assert_true(present > 5);
    pw_summary_free(summary);
    pw_run_record_done(&run);
}

static void list_name(const char *name, double number, void *context)
{
    pw_str_addf(context, "\n%s=%g\n", name, number);
}

/* Numbers under names with dots, whatever stands in their way. */
static void test_dotted_keys(void **state)
{
    struct pw_summary *summary = load_text(
        state,
        "{\"summary\": {\"latency_ms\": {}, \"telemetry\": {"
        "  \"a\": {\"b\": {\"c\": 1}, \"b.c\": 2, \"x\": \"no\"}, \"a.b\": {\"c\": 3, \"d\": 4},"
        "  \"a.x\": 5, \"a.x.y\": {}, \"\": {\"\": 6}, \".\": 7, \"a.\": 8}},"
        " \"runs\": [], \"\": {\"x\": 9}}");
    static const struct {
        const char *name;
        double value;
    } cases[] = {
        {"telemetry.a.b.c", 3}, {"telemetry.a.b.d", 4}, {"telemetry.a.x", 5},
        {"telemetry..", 7},     {"telemetry.a.", 8},    {".x", 9},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_value(pw_summary_number(summary, cases[i].name), cases[i].value);
    }
    PW_STR_AUTO list = PW_STR_INIT;
    pw_summary_each_number(summary, list_name, &list);
    assert_contains(list.text, "\n.x=9\n");
    assert_contains(list.text, "\nsummary.telemetry..=7\n");
    pw_summary_free(summary);
}

/* Keys made so that a name can be read in very many ways end in bounded time. */
static void test_hostile_keys(void **state)
{
    (void)state;
    json_t *root = json_object();
    json_t *at = root;
    for (int depth = 0; depth < 20; depth++) {
        json_t *next = json_object();
        PW_STR_AUTO key = PW_STR_INIT;
        for (int segments = 0; segments < 30; segments++) {
            pw_str_add(&key, segments > 0 ? ".a" : "a");
            json_object_set(at, key.text, next);
        }
        json_decref(next);
        at = next;
    }
    PW_STR_AUTO name = PW_STR_INIT;
    for (int i = 0; i < 300; i++) {
        pw_str_add(&name, "a.");
    }
    pw_str_add(&name, "b");
    assert_null(pw_json_find(root, name.text));
    assert_null(pw_json_find_number(root, name.text));
    json_decref(root);
}

/* Every number that a document prints is found again under its name. Keys: of one to three
 * segments, so that names are ambiguous to read. */

struct random {
    uint64_t state;
};

static unsigned draw(struct random *random, unsigned below)
{
    random->state = random->state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(random->state >> 33) % below;
}

static json_t *random_object(struct random *random, int depth)
{
    static const char *const segments[] = {"a", "b", "0", "1", "c", ""};
    json_t *object = json_object();
    for (unsigned left = 1 + draw(random, 6); left > 0; left--) {
        PW_STR_AUTO key = PW_STR_INIT;
        for (unsigned parts = 1 + draw(random, 3); parts > 0; parts--) {
            pw_str_addf(&key, "%s%s", key.length > 0 ? "." : "", segments[draw(random, 6)]);
        }
        json_t *value = NULL;
        unsigned kind = draw(random, depth < 4 ? 8 : 3);
        if (kind < 2) {
            value = json_integer(draw(random, 1000000));
        } else if (kind == 2) {
            value = json_string("text");
        } else if (kind == 3) {
            value = json_array();
            json_array_append_new(value, json_integer(draw(random, 1000000)));
            json_array_append_new(value, random_object(random, depth + 1));
        } else {
            value = random_object(random, depth + 1);
        }
        json_object_set_new(object, key.text, value);
    }
    return object;
}

struct names {
    const struct pw_summary *summary;
    struct pw_str list; /* "name=number\n" */
    size_t count;
};

static void add_name(const char *name, double number, void *context)
{
    struct names *names = context;
    pw_str_addf(&names->list, "\n%s=%.17g\n", name, number);
    names->count++;
}

static void check_name(const char *name, double number, void *context)
{
    struct names *names = context;
    struct pw_value value = pw_summary_number(names->summary, name);
    (void)number;
    if (!pw_value_is_present(value)) {
        fail_msg("%s is not found", name);
    }
    /* Two numbers may have one name: it is one of these. */
    PW_STR_AUTO line = PW_STR_INIT;
    pw_str_addf(&line, "\n%s=%.17g\n", name, value.number);
    assert_contains(names->list.text, line.text);
}

static void test_every_name(void **state)
{
    struct random random = {.state = 20260223};
    size_t numbers = 0;
    for (int i = 0; i < 500; i++) {
        json_t *block = random_object(&random, 0);
        PW_FREE_AUTO char *text = json_dumps(block, 0);
        PW_STR_AUTO document = PW_STR_INIT;
        pw_str_addf(
            &document,
            "{\"summary\": {\"latency_ms\": {\"p95\": 7}, \"telemetry\": %s}, \"runs\": [%s]}",
            text, text);
        struct pw_summary *summary = load_text(state, document.text);
        struct names names = {.summary = summary, .list = PW_STR_INIT};
        pw_summary_each_number(summary, add_name, &names);
        pw_summary_each_number(summary, check_name, &names);
        numbers += names.count;
        pw_str_done(&names.list);
        json_decref(block);
        pw_summary_free(summary);
    }
    assert_true(numbers > 5000);
}

/* The reference: every stated statistic of the table is found as a bound finds it, and none of the
 * older harness's files is odd enough to be in the way. */
static void check_reference(const char *path, size_t *found)
{
    struct pw_err err = PW_ERR_INIT;
    struct pw_summary *summary = pw_summary_load(path, &err);
    if (!summary) {
        fail_msg("%s", err.message);
    }
    for (size_t i = 0; i < PW_METRIC_COUNT; i++) {
        const struct pw_metric *row = &pw_metrics[i];
        for (enum pw_stat stat = 0; stat < PW_STAT_COUNT; stat++) {
            if ((row->stats & PW_STAT_BIT(stat)) == 0) {
                continue;
            }
            char left[120];
            bool scalar = stat == PW_STAT_SCALAR;
            snprintf(left, sizeof(left), "%s%s%s", row->path, scalar ? "" : ".",
                     pw_stat_name(stat));
            struct pw_number number = find(summary, left);
            struct pw_value stated = pw_summary_stat(summary, row->id, stat);
            if (row->frozen) {
                assert_int_equal(number.value.state, stated.state);
            }
            if (pw_value_is_present(stated)) {
                assert_true(number.value.number == stated.number);
                (*found)++;
            }
            pw_number_done(&number);
        }
    }
    pw_summary_free(summary);
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
    size_t found = 0;
    for (const struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] != '.') {
            snprintf(path, sizeof(path), "%s/summaries/%s/summary.json", root, entry->d_name);
            check_reference(path, &found);
            summaries++;
        }
    }
    closedir(dir);
    assert_int_equal(summaries, 26);
    assert_true(found > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_stated, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(test_computed, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(test_absent, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(test_no_telemetry, make_folder, drop_folder),
        cmocka_unit_test(test_moments),
        cmocka_unit_test_setup_teardown(test_strange_moments, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(test_samples, make_folder, drop_folder),
        cmocka_unit_test(test_own_samples),
        cmocka_unit_test(test_own_telemetry),
        cmocka_unit_test_setup_teardown(test_dotted_keys, make_folder, drop_folder),
        cmocka_unit_test(test_hostile_keys),
        cmocka_unit_test_setup_teardown(test_every_name, make_folder, drop_folder),
        cmocka_unit_test(test_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
