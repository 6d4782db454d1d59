/* sla/check: what is a pass, what is not, and how it reads in each report. */
#include "sla/check.h"

#include <unistd.h>
#include "core/json.h"
#include "core/summary.h"
#include "sla/check_impl.h"
#include "sla/expression.h"
#include "sla/flags.h"
#include "tests/unit/sample_moments.h"
#include "tests/unit/unit.h"

/* ---------------------------------------------------------------- making summaries and bounds */

/* The document becomes a summary by way of a file, as all do. */
static struct pw_summary *load(json_t *root)
{
    char path[] = "/tmp/perfwrap-unit-check-XXXXXX";
    struct pw_err err = PW_ERR_INIT;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(pw_json_write_file(path, root, &err), 0);
    struct pw_summary *summary = pw_summary_load(path, &err);
    unlink(path);
    json_decref(root);
    if (!summary) {
        fail_msg("%s", err.message);
    }
    return summary;
}

/* Each statistic of each metric is `number`; `own`: a file of perfwrap's. NAN: null. */
static json_t *whole(double number, bool own)
{
    json_t *root = json_pack("{s:{}, s:[], s:i}", "summary", "runs", "iterations", 3);
    json_t *summary = json_object_get(root, "summary");
    bool failed = false;
    if (own) {
        json_object_set_new(root, "perfwrap_version", json_string("1"));
    }
    for (size_t i = 0; i < PW_METRIC_COUNT; i++) {
        char path[256];
        for (enum pw_stat stat = 0; stat < PW_STAT_COUNT; stat++) {
            if (!(pw_metrics[i].stats & PW_STAT_BIT(stat))) {
                continue;
            }
            bool scalar = stat == PW_STAT_SCALAR;
            snprintf(path, sizeof(path), "%s", pw_metrics[i].path);
            char *last = strrchr(path, '.');
            json_t *place = summary;
            const char *key = pw_stat_name(stat);
            if (scalar) {
                key = last ? last + 1 : path;
            }
            if (scalar && last) {
                *last = '\0';
            }
            if (!scalar || last) {
                place = pw_json_make_path(summary, path, &failed);
            }
            pw_json_put(place, key, pw_json_number(pw_value_of(number), false), &failed);
        }
    }
    assert_false(failed);
    return root;
}

/* Latencies of runs[] are `values`; mean and p95 are stated as given,
 * the largest is 200. */
static json_t *sampled(const double *values, size_t count, double mean, double p95)
{
    json_t *root = json_pack("{s:{s:{s:f, s:f, s:f}, s:i}, s:[], s:i}", "summary", "latency_ms",
                             "mean", mean, "p95", p95, "max", 200.0, "failed_runs_total", 0, "runs",
                             "iterations", (int)count);
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(json_object_get(root, "runs"),
                              json_pack("{s:f}", "duration_ms", values[i]));
    }
    return root;
}

static void add(struct pw_bounds *bounds, const char *text)
{
    struct pw_bound bound;
    struct pw_err err = PW_ERR_INIT;
    if (pw_expression_parse(text, &bound, NULL, &err) != 0) {
        fail_msg("%s: %s", text, err.message);
    }
    assert_int_equal(pw_bounds_add(bounds, &bound, &err), 0);
}

static struct pw_bound *last(struct pw_bounds *bounds)
{
    return &bounds->items[bounds->count - 1];
}

static void when(struct pw_bound *bound, const char *condition)
{
    bound->conditions[bound->condition_count++] = strdup(condition);
}

static struct pw_check_report run(const struct pw_summary *summary, const struct pw_bounds *bounds,
                                  struct pw_check_options options)
{
    struct pw_check_report report;
    struct pw_err err = PW_ERR_INIT;
    if (pw_check_run(summary, "a/summary.json", "perf", bounds, options, &report, &err) != 0) {
        fail_msg("%s", err.message);
    }
    return report;
}

/* One expression on a summary where all numbers are `number`. */
static enum pw_verdict verdict_of(const char *text, double number)
{
    struct pw_bounds bounds = {0};
    struct pw_summary *summary = load(whole(number, false));
    add(&bounds, text);
    struct pw_check_report report = run(summary, &bounds, (struct pw_check_options){0});
    enum pw_verdict verdict = report.results[0].verdict;
    pw_check_report_done(&report);
    pw_bounds_done(&bounds);
    pw_summary_free(summary);
    return verdict;
}

static void render(const char *format, const struct pw_check_report *report, bool tell_apart,
                   struct pw_str *out)
{
    const struct pw_check_reports reports = {report, 1, false, tell_apart};
    assert_non_null(pw_check_format_find(format));
    assert_int_equal(pw_check_format_find(format)->render(&reports, out, NULL), 0);
}

/* ---------------------------------------------------------------- by value */

static void test_operators(void **state)
{
    static const struct {
        const char *text;
        double number;
        bool kept;
    } cases[] = {
        {"latency_ms mean <= 5", 5, true},
        {"latency_ms mean <= 5", 5.001, false},
        {"latency_ms mean < 5", 4.999, true},
        {"latency_ms mean < 5", 5, false},
        {"latency_ms mean >= 5", 5, true},
        {"latency_ms mean >= 5", 4.999, false},
        {"latency_ms mean > 5", 5.001, true},
        {"latency_ms mean > 5", 5, false},
        {"latency_ms mean == 5", 5, true},
        {"latency_ms mean == 5", 5.001, false},
        {"latency_ms mean != 5", 5.001, true},
        {"latency_ms mean != 5", 5, false},
        {"latency_ms mean within 10% of 100", 110, true},
        {"latency_ms mean within 10% of 100", 90, true},
        {"latency_ms mean within 10% of 100", 110.1, false},
        {"latency_ms mean within 10% of 100", 89.9, false},
        {"latency_ms mean within 2 of 5", 7, true},
        {"latency_ms mean within 2 of 5", 2.9, false},
        {"latency_ms mean within 1s of 2s", 3000, true},
        {"latency_ms mean within 1s of 2s", 3001, false},
        {"latency_ms mean <= 2s", 2000, true},
        {"latency_ms mean <= 2s", 2001, false},
        {"max_rss_mb mean <= 1GiB", 1024, true},
        {"max_rss_mb mean <= 1GiB", 1025, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        enum pw_verdict verdict = verdict_of(cases[i].text, cases[i].number);
        if (verdict != (cases[i].kept ? PW_VERDICT_PASS : PW_VERDICT_FAIL)) {
            fail_msg("%s with %g: %s", cases[i].text, cases[i].number, pw_verdict_name(verdict));
        }
    }
}

/* Every gate fails where it must, passes where it may, and fails without a number. */
static void test_each_flag(void **state)
{
    (void)state;
    struct pw_summary *fives = load(whole(5, false)), *nulls = load(whole(NAN, false));
    for (size_t i = 0; i < PW_SLA_FLAG_COUNT; i++) {
        const struct pw_sla_flag *flag = &pw_sla_flags[i];
        bool most = flag->op == PW_OP_LE;
        for (int limit = 4; limit <= 6; limit++) {
            struct pw_bounds bounds = {0};
            struct pw_bound bound;
            PW_STR_AUTO text = PW_STR_INIT;
            char expected[256];
            bool kept = most ? limit >= 5 : limit <= 5;
            assert_int_equal(pw_sla_flag_bound(flag, limit, &bound, NULL), 0);
            assert_int_equal(pw_bounds_add(&bounds, &bound, NULL), 0);
            struct pw_check_report report = run(fives, &bounds, (struct pw_check_options){0});
            render("text", &report, false, &text);
            snprintf(expected, sizeof(expected), "[perf] summary=a/summary.json\n%s: %s=5 %s %d\n",
                     kept ? "PASS" : "FAIL", flag->label, most ? "<=" : ">=", limit);
            assert_string_equal(text.text, expected);
            assert_int_equal(pw_check_exit_status(pw_check_verdict(&report, false), false), !kept);
            pw_check_report_done(&report);
            pw_str_clear(&text);
            report = run(nulls, &bounds, (struct pw_check_options){0});
            render("text", &report, false, &text);
            snprintf(expected, sizeof(expected),
                     "[perf] summary=a/summary.json\nFAIL: %s unavailable; limit=%d.0\n",
                     flag->label, limit);
            assert_string_equal(text.text, expected);
            assert_int_equal(pw_check_exit_status(pw_check_verdict(&report, false), false), 1);
            assert_int_equal(pw_check_exit_status(pw_check_verdict(&report, true), true), 3);
            pw_check_report_done(&report);
            pw_bounds_done(&bounds);
        }
    }
    pw_summary_free(fives);
    pw_summary_free(nulls);
}

static void test_missing(void **state)
{
    (void)state;
    struct pw_bounds bounds = {0};
    struct pw_summary *summary = load(whole(NAN, false));
    add(&bounds, "latency_ms mean <= 5");
    add(&bounds, "max_rss_mb mean <= 5");
    last(&bounds)->missing = PW_MISSING_SKIP;
    add(&bounds, "otel.nothing mean <= 5ms");
    struct pw_check_report report = run(summary, &bounds, (struct pw_check_options){0});
    assert_int_equal(report.results[0].verdict, PW_VERDICT_NO_DATA);
    assert_int_equal(report.results[1].verdict, PW_VERDICT_SKIPPED);
    assert_int_equal(report.results[2].verdict, PW_VERDICT_NO_DATA);
    for (size_t i = 0; i < 3; i++) {
        assert_non_null(report.results[i].reason);
    }
    assert_int_equal(report.verdicts[PW_VERDICT_NO_DATA], 2);
    assert_int_equal(pw_check_verdict(&report, false), PW_VERDICT_FAIL);
    assert_int_equal(pw_check_verdict(&report, true), PW_VERDICT_NO_DATA);
    pw_check_report_done(&report);
    pw_bounds_done(&bounds);
    pw_summary_free(summary);
}

/* An interrupted run has zero failures, of nothing. */
static void test_nothing_measured(void **state)
{
    (void)state;
    struct pw_bounds bounds = {0};
    json_t *root = whole(0, false);
    json_object_set_new(root, "iterations", json_integer(0));
    struct pw_summary *summary = load(root);
    add(&bounds, "failed_runs_total <= 0");
    struct pw_check_report report = run(summary, &bounds, (struct pw_check_options){0});
    assert_int_equal(report.results[0].verdict, PW_VERDICT_NO_DATA);
    assert_string_equal(report.results[0].reason, "no iteration was measured");
    pw_check_report_done(&report);
    pw_bounds_done(&bounds);
    pw_summary_free(summary);
}

/* Of a document with these return codes and no failed_runs_total. */
static struct pw_check_result failed_runs_of(const char *runs, struct pw_bounds *bounds)
{
    json_t *list = json_loads(runs, 0, NULL);
    assert_non_null(list);
    struct pw_summary *summary =
        load(json_pack("{s:{s:{}}, s:o}", "summary", "latency_ms", "runs", list));
    struct pw_check_report report = run(summary, bounds, (struct pw_check_options){0});
    struct pw_check_result result = report.results[0];
    pw_check_report_done(&report);
    pw_summary_free(summary);
    return result;
}

static void test_failed_runs_of_old_summaries(void **state)
{
    (void)state;
    struct pw_bounds bounds = {0};
    add(&bounds, "failed_runs_total <= 0");
    struct pw_check_result result =
        failed_runs_of("[{\"return_code\":0},{\"return_code\":0}]", &bounds);
    assert_int_equal(result.verdict, PW_VERDICT_PASS);
    assert_value(result.value, 0);
    result = failed_runs_of("[{\"return_code\":0},{\"return_code\":9}]", &bounds);
    assert_int_equal(result.verdict, PW_VERDICT_FAIL);
    assert_value(result.value, 1);
    result = failed_runs_of("[{\"return_code\":0},{}]", &bounds);
    assert_int_equal(result.verdict, PW_VERDICT_NO_DATA);
    result = failed_runs_of("[]", &bounds);
    assert_int_equal(result.verdict, PW_VERDICT_NO_DATA);
    pw_bounds_done(&bounds);
}

/* ---------------------------------------------------------------- baselines */

static void test_baseline(void **state)
{
    (void)state;
    struct pw_bounds bounds = {0};
    PW_STR_AUTO text = PW_STR_INIT;
    struct pw_summary *tens = load(whole(10, false)), *twelves = load(whole(12, false)),
                      *nulls = load(whole(NAN, false));
    add(&bounds, "latency_ms mean <= baseline*1.1");
    add(&bounds, "latency_ms p(95) <= baseline*1.1+1ms");
    add(&bounds, "latency_ms max within 20% of baseline");
    add(&bounds, "latency_ms min within 19% of baseline");
    struct pw_check_report report =
        run(twelves, &bounds, (struct pw_check_options){.baseline = tens});
    render("text", &report, false, &text);
    assert_string_equal(text.text, "[perf] summary=a/summary.json\n"
                                   "PASS: latency_ms p(95)=12 <= 12 ms (baseline*1.1+1ms)\n"
                                   "PASS: latency_ms max=12 within 2 of 10 ms (baseline)\n"
                                   "FAIL: latency_ms mean=12 <= 11 ms (baseline*1.1)\n"
                                   "FAIL: latency_ms min=12 within 1.9 of 10 ms (baseline)\n");
    pw_check_report_done(&report);
    report = run(twelves, &bounds, (struct pw_check_options){.baseline = nulls});
    assert_int_equal(report.results[0].verdict, PW_VERDICT_NO_DATA);
    assert_contains(report.results[0].reason, "not in the baseline");
    pw_check_report_done(&report);
    bounds.items[0].missing = PW_MISSING_SKIP;
    report = run(twelves, &bounds, (struct pw_check_options){.baseline = nulls});
    assert_int_equal(report.results[0].verdict, PW_VERDICT_SKIPPED);
    pw_check_report_done(&report);
    report = run(twelves, &bounds, (struct pw_check_options){0});
    assert_string_equal(report.results[1].reason, "no baseline was given");
    pw_str_clear(&text);
    render("text", &report, false, &text);
    assert_contains(text.text,
                    "FAIL: latency_ms p(95)=12 <= baseline*1.1+1ms (no baseline was given)\n");
    pw_check_report_done(&report);
    pw_bounds_done(&bounds);
    pw_summary_free(tens);
    pw_summary_free(twelves);
    pw_summary_free(nulls);
}

/* ---------------------------------------------------------------- intervals */

enum { MANY = 200 };

/* 1, 2, … MANY in some order: mean 100.5, p95 190.05. */
static struct pw_summary *ramp(void)
{
    double values[MANY];
    for (size_t i = 0; i < MANY; i++) {
        values[i] = (double)((i * 77) % MANY + 1);
    }
    return load(sampled(values, MANY, 100.5, 190.05));
}

static enum pw_verdict by_interval(const struct pw_summary *summary, const char *text)
{
    struct pw_bounds bounds = {0};
    add(&bounds, text);
    struct pw_check_report report =
        run(summary, &bounds, (struct pw_check_options){.decide = PW_DECIDE_CI});
    enum pw_verdict verdict = report.results[0].verdict;
    if ((verdict == PW_VERDICT_INCONCLUSIVE) != (report.results[0].reason != NULL)) {
        fail_msg("%s: %s, %s", text, pw_verdict_name(verdict), report.results[0].reason);
    }
    pw_check_report_done(&report);
    pw_bounds_done(&bounds);
    return verdict;
}

static void test_intervals_decide(void **state)
{
    (void)state;
    struct pw_summary *summary = ramp();
    /* The mean's interval is about 100.5 +- 8.1, that of p95 from about 184 to 196. */
    assert_int_equal(by_interval(summary, "latency_ms mean <= 115"), PW_VERDICT_PASS);
    assert_int_equal(by_interval(summary, "latency_ms mean <= 101"), PW_VERDICT_INCONCLUSIVE);
    assert_int_equal(by_interval(summary, "latency_ms mean <= 100"), PW_VERDICT_INCONCLUSIVE);
    assert_int_equal(by_interval(summary, "latency_ms mean <= 90"), PW_VERDICT_FAIL);
    assert_int_equal(by_interval(summary, "latency_ms mean >= 90"), PW_VERDICT_PASS);
    assert_int_equal(by_interval(summary, "latency_ms mean >= 100"), PW_VERDICT_INCONCLUSIVE);
    assert_int_equal(by_interval(summary, "latency_ms mean > 115"), PW_VERDICT_FAIL);
    assert_int_equal(by_interval(summary, "latency_ms p(95) < 199"), PW_VERDICT_PASS);
    assert_int_equal(by_interval(summary, "latency_ms p(95) < 190"), PW_VERDICT_INCONCLUSIVE);
    assert_int_equal(by_interval(summary, "latency_ms p(95) < 170"), PW_VERDICT_FAIL);
    assert_int_equal(by_interval(summary, "latency_ms mean within 20% of 100"), PW_VERDICT_PASS);
    assert_int_equal(by_interval(summary, "latency_ms mean within 1% of 100"),
                     PW_VERDICT_INCONCLUSIVE);
    assert_int_equal(by_interval(summary, "latency_ms mean within 2% of 93"),
                     PW_VERDICT_INCONCLUSIVE);
    assert_int_equal(by_interval(summary, "latency_ms mean within 2% of 50"), PW_VERDICT_FAIL);
    assert_int_equal(by_interval(summary, "latency_ms mean == 100.5"), PW_VERDICT_INCONCLUSIVE);
    assert_int_equal(by_interval(summary, "latency_ms mean == 80"), PW_VERDICT_FAIL);
    assert_int_equal(by_interval(summary, "latency_ms mean != 80"), PW_VERDICT_PASS);
    /* A largest value and a count are what they are. */
    assert_int_equal(by_interval(summary, "latency_ms max <= 200"), PW_VERDICT_PASS);
    assert_int_equal(by_interval(summary, "failed_runs_total <= 0"), PW_VERDICT_PASS);
    pw_summary_free(summary);
}

/* The sample of a mark is that of its workers: 1, 2, … MANY ms, p95 190.05, as latencies above. */
static void test_intervals_of_marks(void **state)
{
    (void)state;
    struct pw_run_record run_record;
    pw_run_record_init(&run_record);
    for (size_t i = 0; i < MANY / 4; i++) {
        struct moment_worker workers[4];
        for (size_t j = 0; j < 4; j++) {
            double ready_ms = (double)(((4 * i + j) * 77) % MANY + 1);
            workers[j] = (struct moment_worker){0, 300, {ready_ms, -1, -1}};
        }
        add_moment_iteration(&run_record, &sample_names, workers, 4);
    }
    struct pw_summary *summary = pw_summary_build(&run_record, NULL);
    static const struct {
        const char *text;
        enum pw_verdict verdict;
    } cases[] = {
        {"marks.ready_ms p(95) <= 250ms", PW_VERDICT_PASS},
        {"marks.ready_ms p(95) <= 100", PW_VERDICT_FAIL},
        {"marks.ready_ms p(95) <= 190", PW_VERDICT_INCONCLUSIVE},
        {"marks.ready_ms mean <= 0.2s", PW_VERDICT_PASS},
        {"marks.ready_ms mean <= 50", PW_VERDICT_FAIL},
        {"marks.ready_ms mean <= 101", PW_VERDICT_INCONCLUSIVE},
        {"marks.ready_ms p(90) <= 150", PW_VERDICT_FAIL},
        {"phases.end_ms p(5) >= 50", PW_VERDICT_PASS},
        {"marks.ready_ms count == 200", PW_VERDICT_PASS},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        enum pw_verdict verdict = by_interval(summary, cases[i].text);
        if (verdict != cases[i].verdict) {
            fail_msg("%s: %s", cases[i].text, pw_verdict_name(verdict));
        }
    }
    struct pw_bounds bounds = {0};
    add(&bounds, "marks.never_ms p(95) <= 250");
    add(&bounds, "marks.nobody_ms p(95) <= 250");
    struct pw_check_report report =
        run(summary, &bounds, (struct pw_check_options){.decide = PW_DECIDE_CI});
    assert_int_equal(report.results[0].verdict, PW_VERDICT_NO_DATA);
    assert_int_equal(report.results[1].verdict, PW_VERDICT_NO_DATA);
    assert_contains(report.results[1].reason, "its marks are ready_ms, db-up_ms, never_ms");
    pw_check_report_done(&report);
    pw_bounds_done(&bounds);
    pw_summary_free(summary);
    pw_run_record_done(&run_record);
}

static void test_few_samples_are_no_proof(void **state)
{
    static const double five[] = {10, 11, 12, 13, 14};
    (void)state;
    struct pw_summary *summary = load(sampled(five, 5, 12, 13.8));
    struct pw_bounds bounds = {0};
    PW_STR_AUTO text = PW_STR_INIT;
    add(&bounds, "latency_ms p(95) <= 1000");
    add(&bounds, "latency_ms p(95) > 1");
    add(&bounds, "latency_ms mean <= 1000");
    add(&bounds, "latency_ms p(95) <= 9");
    struct pw_check_report report =
        run(summary, &bounds, (struct pw_check_options){.decide = PW_DECIDE_CI});
    assert_int_equal(report.results[0].verdict, PW_VERDICT_INCONCLUSIVE);
    assert_contains(report.results[0].reason,
                    "5 samples do not bound p(95) on both sides: it takes");
    assert_int_equal(report.results[1].verdict, PW_VERDICT_PASS);
    assert_int_equal(report.results[2].verdict, PW_VERDICT_PASS);
    assert_int_equal(report.results[3].verdict, PW_VERDICT_FAIL);
    assert_true(isinf(report.results[0].interval.high));
    render("text", &report, true, &text);
    assert_contains(text.text, "INCONCLUSIVE: latency_ms p(95)=13.8 [");
    assert_contains(text.text, ", inf] <= 1000 ms (5 samples do not bound");
    pw_check_report_done(&report);
    /* By value they pass. */
    report = run(summary, &bounds, (struct pw_check_options){0});
    assert_int_equal(report.results[0].verdict, PW_VERDICT_PASS);
    assert_false(report.results[0].has_interval);
    pw_check_report_done(&report);
    pw_bounds_done(&bounds);
    pw_summary_free(summary);
}

static void test_on_noise(void **state)
{
    static const struct {
        enum pw_on_noise on_noise;
        enum pw_verdict whole;
        int status, status_apart;
    } cases[] = {
        {PW_NOISE_INCONCLUSIVE, PW_VERDICT_INCONCLUSIVE, 1, 3},
        {PW_NOISE_PASS, PW_VERDICT_PASS, 0, 0},
        {PW_NOISE_FAIL, PW_VERDICT_FAIL, 1, 1},
    };
    (void)state;
    struct pw_summary *summary = ramp();
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct pw_bounds bounds = {0};
        PW_STR_AUTO text = PW_STR_INIT;
        add(&bounds, "latency_ms mean <= 101");
        last(&bounds)->on_noise = cases[i].on_noise;
        struct pw_check_report report =
            run(summary, &bounds, (struct pw_check_options){.decide = PW_DECIDE_CI});
        assert_int_equal(report.results[0].verdict, PW_VERDICT_INCONCLUSIVE);
        assert_int_equal(pw_check_verdict(&report, true), cases[i].whole);
        assert_int_equal(pw_check_exit_status(cases[i].whole, false), cases[i].status);
        assert_int_equal(pw_check_exit_status(cases[i].whole, true), cases[i].status_apart);
        render("text", &report, true, &text);
        assert_contains(text.text, "INCONCLUSIVE: latency_ms mean=100.5 [");
        assert_int_equal(strstr(text.text, "; taken for ") != NULL, i > 0);
        pw_check_report_done(&report);
        pw_bounds_done(&bounds);
    }
    pw_summary_free(summary);
}

static void test_min_samples(void **state)
{
    static const double five[] = {10, 11, 12, 13, 14};
    (void)state;
    struct pw_summary *summary = load(sampled(five, 5, 12, 13.8));
    struct pw_bounds bounds = {0};
    add(&bounds, "latency_ms mean <= 1000");
    last(&bounds)->min_samples = 6;
    last(&bounds)->on_noise = PW_NOISE_PASS; /* too few is not noise */
    add(&bounds, "latency_ms p(95) <= 1000");
    last(&bounds)->min_samples = 5;
    add(&bounds, "failed_runs_total <= 0");
    last(&bounds)->min_samples = 6; /* a count needs no samples */
    struct pw_check_report report = run(summary, &bounds, (struct pw_check_options){0});
    assert_int_equal(report.results[0].verdict, PW_VERDICT_INCONCLUSIVE);
    assert_int_equal(report.results[0].taken_for, PW_VERDICT_INCONCLUSIVE);
    assert_string_equal(report.results[0].reason, "5 samples; the bound asks for 6");
    assert_int_equal(report.results[1].verdict, PW_VERDICT_PASS);
    assert_int_equal(report.results[2].verdict, PW_VERDICT_PASS);
    assert_int_equal(pw_check_exit_status(pw_check_verdict(&report, false), false), 1);
    pw_check_report_done(&report);
    pw_bounds_done(&bounds);
    pw_summary_free(summary);
}

/* ---------------------------------------------------------------- conditions, severities */

static enum pw_verdict with_condition(json_t *root, const char *condition)
{
    struct pw_bounds bounds = {0};
    struct pw_summary *summary = load(root);
    add(&bounds, "latency_ms mean <= 5");
    when(last(&bounds), "latency_ms"); /* holds: all conditions must */
    when(last(&bounds), condition);
    struct pw_check_report report = run(summary, &bounds, (struct pw_check_options){0});
    enum pw_verdict verdict = report.results[0].verdict;
    if (verdict == PW_VERDICT_SKIPPED) {
        assert_contains(report.results[0].reason, condition);
    }
    pw_check_report_done(&report);
    pw_bounds_done(&bounds);
    pw_summary_free(summary);
    return verdict;
}

static json_t *without(json_t *root, const char *block)
{
    json_object_del(json_object_get(root, "summary"), block);
    return root;
}

static json_t *with_null_block(bool own)
{
    json_t *root = whole(5, own);
    json_object_set_new(json_object_get(root, "summary"), "top_attach",
                        json_pack("{s:{s:n}}", "sample_count", "mean"));
    return root;
}

static void test_conditions(void **state)
{
    (void)state;
    assert_int_equal(with_condition(whole(5, false), "top_attach"), PW_VERDICT_PASS);
    assert_int_equal(with_condition(whole(6, false), "top_attach"), PW_VERDICT_FAIL);
    assert_int_equal(with_condition(without(whole(5, false), "top_attach"), "top_attach"),
                     PW_VERDICT_SKIPPED);
    /* The older harness left a block out; perfwrap writes it with nulls. */
    assert_int_equal(with_condition(with_null_block(false), "top_attach"), PW_VERDICT_PASS);
    assert_int_equal(with_condition(with_null_block(true), "top_attach"), PW_VERDICT_SKIPPED);
    assert_int_equal(with_condition(whole(5, true), "top_attach"), PW_VERDICT_PASS);
    assert_int_equal(with_condition(whole(5, false), "xctrace.trace_count > 0"), PW_VERDICT_PASS);
    assert_int_equal(with_condition(whole(5, false), "xctrace.trace_count > 5"),
                     PW_VERDICT_SKIPPED);
    assert_int_equal(with_condition(without(whole(5, false), "xctrace"), "xctrace.trace_count > 0"),
                     PW_VERDICT_SKIPPED);
}

static void test_warnings(void **state)
{
    (void)state;
    struct pw_bounds bounds = {0};
    PW_STR_AUTO text = PW_STR_INIT;
    struct pw_summary *summary = load(whole(5, false));
    add(&bounds, "latency_ms mean <= 4");
    last(&bounds)->severity = PW_SEVERITY_WARNING;
    add(&bounds, "latency_ms max <= 5");
    last(&bounds)->severity = PW_SEVERITY_WARNING;
    add(&bounds, "otel.x mean <= 5ms");
    last(&bounds)->severity = PW_SEVERITY_WARNING;
    struct pw_check_report report = run(summary, &bounds, (struct pw_check_options){0});
    assert_int_equal(report.warnings, 2);
    assert_int_equal(report.verdicts[PW_VERDICT_FAIL], 0);
    assert_int_equal(pw_check_verdict(&report, true), PW_VERDICT_PASS);
    render("text", &report, false, &text);
    assert_contains(text.text, "PASS: latency_ms max=5 <= 5 ms\n"
                               "WARN: latency_ms mean=5 <= 4 ms\n"
                               "WARN: otel.x mean unavailable; limit=5.0 ms (");
    pw_str_clear(&text);
    render("github", &report, false, &text);
    assert_contains(text.text,
                    "\n::warning title=perfwrap perf%3A WARN::latency_ms mean=5 <= 4 ms");
    assert_null(strstr(text.text, "::error"));
    pw_str_clear(&text);
    render("junit", &report, false, &text);
    assert_contains(text.text, "tests=\"3\" failures=\"0\" errors=\"0\"");
    assert_contains(text.text, "<system-out>WARN: latency_ms mean=5 &lt;= 4 ms</system-out>");
    pw_check_report_done(&report);
    pw_bounds_done(&bounds);
    pw_summary_free(summary);
}

static void test_exit_statuses(void **state)
{
    (void)state;
    assert_int_equal(pw_check_exit_status(PW_VERDICT_PASS, false), 0);
    assert_int_equal(pw_check_exit_status(PW_VERDICT_PASS, true), 0);
    assert_int_equal(pw_check_exit_status(PW_VERDICT_FAIL, false), 1);
    assert_int_equal(pw_check_exit_status(PW_VERDICT_FAIL, true), 1);
    assert_int_equal(pw_check_exit_status(PW_VERDICT_INCONCLUSIVE, false), 1);
    assert_int_equal(pw_check_exit_status(PW_VERDICT_INCONCLUSIVE, true), 3);
    assert_int_equal(pw_check_exit_status(PW_VERDICT_NO_DATA, false), 1);
    assert_int_equal(pw_check_exit_status(PW_VERDICT_NO_DATA, true), 3);
}

/* The worst of several summaries, of which one fails and one has no data. */
static void test_verdict_of_all(void **state)
{
    (void)state;
    struct pw_bounds bounds = {0};
    add(&bounds, "latency_ms mean <= 5");
    struct pw_summary *good = load(whole(5, false)), *bad = load(whole(6, false)),
                      *none = load(whole(NAN, false));
    struct pw_check_report reports[] = {run(good, &bounds, (struct pw_check_options){0}),
                                        run(none, &bounds, (struct pw_check_options){0}),
                                        run(bad, &bounds, (struct pw_check_options){0})};
    assert_int_equal(pw_check_verdict_of_all(reports, 1, true), PW_VERDICT_PASS);
    assert_int_equal(pw_check_verdict_of_all(reports, 2, true), PW_VERDICT_NO_DATA);
    assert_int_equal(pw_check_verdict_of_all(reports, 2, false), PW_VERDICT_FAIL);
    assert_int_equal(pw_check_verdict_of_all(reports, 3, true), PW_VERDICT_FAIL);
    for (size_t i = 0; i < 3; i++) {
        pw_check_report_done(&reports[i]);
    }
    pw_bounds_done(&bounds);
    pw_summary_free(good);
    pw_summary_free(bad);
    pw_summary_free(none);
}

/* ---------------------------------------------------------------- reports */

static void test_shortest_decimals(void **state)
{
    static const struct {
        double number;
        const char *text;
    } cases[] = {
        {6, "6.0"},
        {0, "0.0"},
        {1.5, "1.5"},
        {0.1, "0.1"},
        {25000, "25000.0"},
        {1e15, "1000000000000000.0"},
        {0.0001, "0.0001"},
        {0.00001, "1e-05"},
        {1e16, "1e+16"},
        {123456789.25, "123456789.25"},
        {1.0 / 3, "0.3333333333333333"},
        {1.5e-7, "1.5e-07"},
        {2e22, "2e+22"},
        {100, "100.0"},
        {-2, "-2.0"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        PW_STR_AUTO text = PW_STR_INIT;
        pw_check_add_shortest(&text, cases[i].number);
        assert_string_equal(text.text, cases[i].text);
    }
}

/* Hostile texts, as a label and as a path. */
static struct pw_check_report hostile(struct pw_bounds *bounds)
{
    struct pw_check_report report;
    struct pw_summary *summary = load(whole(5, false));
    add(bounds, "latency_ms mean <= 4");
    assert_int_equal(pw_check_run(summary, "a,b:c%\n::error::x\r\x01\xff.json",
                                  "<&\"'>\n::set-env name=x::y\x1b[2J\xef\xbf\xbf", bounds,
                                  (struct pw_check_options){0}, &report, NULL),
                     0);
    pw_summary_free(summary);
    return report;
}

static void test_text_cannot_be_broken(void **state)
{
    (void)state;
    struct pw_bounds bounds = {0};
    PW_STR_AUTO text = PW_STR_INIT;
    struct pw_check_report report = hostile(&bounds);
    render("github", &report, false, &text);
    size_t lines = 0, commands = 0;
    for (const char *line = text.text; line && *line; line = strchr(line, '\n') + 1) {
        lines++;
        commands += strncmp(line, "::", 2) == 0;
    }
    assert_int_equal(lines, 3); /* head, failure, annotation */
    assert_int_equal(commands, 1);
    assert_null(strchr(text.text, '\r'));
    assert_null(strchr(text.text, 0x1b));
    pw_check_report_done(&report);
    pw_bounds_done(&bounds);
}

static void test_github_escapes(void **state)
{
    (void)state;
    struct pw_bounds bounds = {0};
    PW_STR_AUTO text = PW_STR_INIT;
    struct pw_check_report report;
    struct pw_summary *summary = load(whole(5, false));
    add(&bounds, "latency_ms mean within 1% of 4");
    assert_int_equal(pw_check_run(summary, "100%/s.json", "a:b,c%d", &bounds,
                                  (struct pw_check_options){0}, &report, NULL),
                     0);
    render("github", &report, false, &text);
    assert_contains(text.text, "\n::error title=perfwrap a%3Ab%2Cc%25d%3A FAIL::"
                               "latency_ms mean=5 within 0.04 of 4 ms%0Ain 100%25/s.json\n");
    pw_check_report_done(&report);
    pw_bounds_done(&bounds);
    pw_summary_free(summary);
}

static void test_junit_escapes(void **state)
{
    (void)state;
    struct pw_bounds bounds = {0};
    PW_STR_AUTO text = PW_STR_INIT;
    struct pw_check_report report = hostile(&bounds);
    render("junit", &report, false, &text);
    assert_contains(text.text, "<testsuite name=\"&lt;&amp;&quot;'&gt;&#10;::set-env name=x::y"
                               "\xef\xbf\xbd[2J\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    assert_contains(text.text, "value=\"a,b:c%&#10;::error::x&#13;\xef\xbf\xbd\xef\xbf\xbd.json\"");
    assert_contains(text.text, "<failure type=\"fail\" message=\"latency_ms mean=5 &lt;= 4 ms\">");
    pw_check_report_done(&report);
    pw_bounds_done(&bounds);
}

static void test_junit_outcomes(void **state)
{
    (void)state;
    struct pw_bounds bounds = {0};
    PW_STR_AUTO text = PW_STR_INIT;
    struct pw_summary *summary = load(whole(5, false));
    add(&bounds, "latency_ms mean <= 5");
    add(&bounds, "latency_ms mean >= 6");
    add(&bounds, "otel.x mean <= 5ms");
    add(&bounds, "max_rss_mb mean <= 5");
    when(last(&bounds), "xctrace.trace_count > 9");
    add(&bounds, "max_rss_mb max <= 5");
    last(&bounds)->min_samples = 3;
    struct pw_check_report report = run(summary, &bounds, (struct pw_check_options){0});
    render("junit", &report, false, &text);
    assert_contains(text.text, "<testsuites name=\"perfwrap check\" tests=\"5\" failures=\"1\" "
                               "errors=\"2\">\n");
    assert_contains(
        text.text,
        "<testsuite name=\"perf\" tests=\"5\" failures=\"1\" errors=\"2\" skipped=\"1\">");
    /* Two bounds on one number are told apart by the whole expression. */
    assert_contains(text.text, "name=\"latency_ms mean &lt;= 5\"/>");
    assert_contains(text.text, "name=\"latency_ms mean &gt;= 6\"><failure ");
    assert_contains(text.text, "name=\"otel.x mean\"><error type=\"no_data\" ");
    assert_contains(text.text, "name=\"max_rss_mb mean\"><skipped message=\"applies only where ");
    assert_contains(text.text, "name=\"max_rss_mb max\"><error type=\"inconclusive\" ");
    pw_check_report_done(&report);
    pw_bounds_done(&bounds);
    pw_summary_free(summary);
}

static void test_json(void **state)
{
    static const char *const keys[] = {
        "name", "expression", "verdict",   "taken_for", "severity", "value", "unit",
        "op",   "limit",      "tolerance", "interval",  "samples",  "reason"};
    (void)state;
    struct pw_bounds bounds = {0};
    PW_STR_AUTO text = PW_STR_INIT;
    struct pw_summary *summary = ramp();
    add(&bounds, "latency_ms mean <= 101");
    add(&bounds, "latency_ms p(95) within 5% of 190");
    add(&bounds, "otel.x mean <= 5ms");
    struct pw_check_report report =
        run(summary, &bounds, (struct pw_check_options){.decide = PW_DECIDE_CI});
    render("json", &report, true, &text);
    json_t *root = json_loads(text.text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(root);
    assert_string_equal(json_string_value(json_object_get(root, "verdict")), "no_data");
    assert_int_equal(json_integer_value(json_object_get(root, "exit_status")), 3);
    const json_t *rows = pw_json_find(root, "reports.0.bounds");
    assert_int_equal(json_array_size(rows), 3);
    for (size_t r = 0; r < 3; r++) {
        const json_t *row = json_array_get(rows, r);
        assert_int_equal(json_object_size(row), sizeof(keys) / sizeof(*keys));
        for (size_t k = 0; k < sizeof(keys) / sizeof(*keys); k++) {
            assert_non_null(json_object_get(row, keys[k]));
        }
    }
    assert_string_equal(json_string_value(pw_json_find(rows, "0.verdict")), "inconclusive");
    assert_true(json_number_value(pw_json_find(rows, "0.interval.low")) < 100.5);
    assert_int_equal(json_integer_value(pw_json_find(rows, "0.samples")), MANY);
    assert_true(json_is_null(pw_json_find(rows, "0.tolerance")));
    assert_near(json_number_value(pw_json_find(rows, "1.tolerance")), 9.5);
    assert_string_equal(json_string_value(pw_json_find(rows, "2.verdict")), "no_data");
    assert_true(json_is_null(pw_json_find(rows, "2.value")));
    json_decref(root);
    pw_check_report_done(&report);
    pw_bounds_done(&bounds);
    pw_summary_free(summary);
}

static void test_matrix(void **state)
{
    (void)state;
    struct pw_bounds bounds = {0};
    PW_STR_AUTO text = PW_STR_INIT;
    struct pw_summary *good = load(whole(5, false)), *bad = load(whole(6, false));
    add(&bounds, "latency_ms mean <= 5");
    struct pw_check_report items[] = {run(good, &bounds, (struct pw_check_options){0}),
                                      run(bad, &bounds, (struct pw_check_options){0})};
    const struct pw_check_reports reports = {items, 2, true, false};
    assert_int_equal(pw_check_format_find("text")->render(&reports, &text, NULL), 0);
    assert_string_equal(text.text, "[perf] summary=a/summary.json\n"
                                   "PASS: latency_ms mean=5 <= 5 ms\n"
                                   "[perf] summary=a/summary.json\n"
                                   "FAIL: latency_ms mean=6 <= 5 ms\n"
                                   "\nprofile matrix:\n- perf: PASS\n- perf: FAIL\n");
    pw_str_clear(&text);
    assert_int_equal(pw_check_format_find("markdown")->render(&reports, &text, NULL), 0);
    assert_contains(text.text, "### perf: FAIL\n\n- Summary: `a/summary.json`\n\n| Verdict |");
    assert_contains(text.text, "| FAIL | latency_ms mean |");
    assert_contains(text.text, "### Profile matrix\n\n| Profile | Verdict |\n|---|---|\n"
                               "| perf | PASS |\n| perf | FAIL |\n");
    pw_check_report_done(&items[0]);
    pw_check_report_done(&items[1]);
    pw_bounds_done(&bounds);
    pw_summary_free(good);
    pw_summary_free(bad);
}

static void test_formats(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_CHECK_FORMAT_COUNT; i++) {
        assert_ptr_equal(pw_check_format_find(pw_check_formats[i].name), &pw_check_formats[i]);
    }
    assert_null(pw_check_format_find("yaml"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_operators),
        cmocka_unit_test(test_each_flag),
        cmocka_unit_test(test_missing),
        cmocka_unit_test(test_nothing_measured),
        cmocka_unit_test(test_failed_runs_of_old_summaries),
        cmocka_unit_test(test_baseline),
        cmocka_unit_test(test_intervals_decide),
        cmocka_unit_test(test_intervals_of_marks),
        cmocka_unit_test(test_few_samples_are_no_proof),
        cmocka_unit_test(test_on_noise),
        cmocka_unit_test(test_min_samples),
        cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_warnings),
        cmocka_unit_test(test_exit_statuses),
        cmocka_unit_test(test_verdict_of_all),
        cmocka_unit_test(test_shortest_decimals),
        cmocka_unit_test(test_text_cannot_be_broken),
        cmocka_unit_test(test_github_escapes),
        cmocka_unit_test(test_junit_escapes),
        cmocka_unit_test(test_junit_outcomes),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_matrix),
        cmocka_unit_test(test_formats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
