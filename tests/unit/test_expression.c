#include "core/limits.h"
#include "core/str.h"
#include "sla/expression.h"
#include "tests/unit/unit.h"

/* A parsed bound on one line. */
static void describe(const struct pw_bound *bound, struct pw_str *line)
{
    static const char *const subjects[] = {"metric", "otel", "action", "span", "moment", "number"};
    static const char *const aggregates[] = {"none", "mean", "p",   "min",  "max",
                                             "sd",   "mad",  "sum", "count"};
    pw_str_addf(line, "%s %s %s", subjects[bound->subject], bound->name,
                aggregates[bound->aggregate.kind]);
    if (bound->aggregate.kind == PW_AGGREGATE_PERCENTILE) {
        pw_str_addf(line, "%.17g", 100 * bound->aggregate.p);
    }
    pw_str_addf(line, " %s", pw_bound_op_text(bound->op));
    if (bound->op == PW_OP_WITHIN) {
        pw_str_addf(line, " %.17g%s of", bound->tolerance.value,
                    bound->tolerance.unit ? bound->tolerance.unit : "");
    }
    if (bound->limit.factor != 0) {
        pw_str_addf(line, " %.15g*b+", bound->limit.factor);
    }
    pw_str_addf(line, " %.17g%s", bound->limit.value, bound->limit.unit ? bound->limit.unit : "");
}

static void assert_parses(const char *text, const char *expected)
{
    PW_STR_AUTO line = PW_STR_INIT;
    struct pw_bound bound;
    struct pw_err err = PW_ERR_INIT;
    size_t column = 77;
    if (pw_expression_parse(text, &bound, &column, &err) != 0) {
        fail_msg("`%s`: %s", text, err.message);
        return;
    }
    describe(&bound, &line);
    assert_string_equal(line.text, expected);
    assert_int_equal(column, 77);
    assert_int_equal(bound.order, PW_BOUND_ORDER_OWN);
    assert_int_equal(bound.metric != NULL, bound.subject == PW_SUBJECT_METRIC);
    assert_int_equal(bound.missing, PW_MISSING_FAIL);
    assert_int_equal(bound.condition_count, 0);
    assert_string_equal(
        strncmp(text + strspn(text, " \t"), bound.text, strlen(bound.text)) == 0 ? "" : bound.text,
        "");
    pw_bound_done(&bound);
}

static const char *const taken[][2] = {
    {"latency_ms p(95)<=1000", "metric latency_ms p95 <= 1000"},
    {"max_rss_mb mean within 15% of 120", "metric max_rss_mb mean within 15% of 120"},
    {"otel.codex.turn.e2e_duration_ms p(50)<1500ms",
     "otel codex.turn.e2e_duration_ms p50 < 1500ms"},
    {"latency_ms med<=baseline*1.10+20", "metric latency_ms p50 <= 1.1*b+ 20"},
    {"failed_runs_total <= 0", "metric failed_runs_total none <= 0"},
    {"resource_budget.stability.failure_rate_pct <= 1%",
     "number resource_budget.stability.failure_rate_pct none <= 1%"},
    {"action.exec_command p(95) <= 2s", "action exec_command p95 <= 2s"},
    {"\"span.tool call\" count >= 3", "span tool call count >= 3"},
    {"latency_ms mean <= 1.5s", "metric latency_ms mean <= 1.5s"},
    {"max_rss_mb mean <= 0.5GiB", "metric max_rss_mb mean <= 0.5GiB"},
    {"max_rss_mb mean within 10MiB of baseline", "metric max_rss_mb mean within 10MiB of 1*b+ 0"},
    /* blanks */
    {"  \tlatency_ms\tp ( 95 )  <=  1000 ms  ", "metric latency_ms p95 <= 1000ms"},
    {"latency_ms p95<1", "metric latency_ms p95 < 1"},
    {"failed_runs_total==0", "metric failed_runs_total none == 0"},
    {"max_rss_mb mean within 15%of 120", "metric max_rss_mb mean within 15% of 120"},
    {"latency_ms mean <= baseline * 1.5 - 2 s", "metric latency_ms mean <= 1.5*b+ -2s"},
    {"latency_ms mean within 1.5s of baseline*2+1ms",
     "metric latency_ms mean within 1.5s of 2*b+ 1ms"},
    {"latency_ms mean within 5 of 120", "metric latency_ms mean within 5 of 120"},
    {"failed_runs_total within 50% of 4", "metric failed_runs_total none within 50% of 4"},
    /* aggregates */
    {"latency_ms avg > 1", "metric latency_ms mean > 1"},
    {"latency_ms median >= 1", "metric latency_ms p50 >= 1"},
    {"latency_ms min != 1", "metric latency_ms min != 1"},
    {"latency_ms max < 1", "metric latency_ms max < 1"},
    {"latency_ms stddev < 1", "metric latency_ms sd < 1"},
    {"latency_ms mad < 1", "metric latency_ms mad < 1"},
    {"latency_ms p(0) < 1", "metric latency_ms p0 < 1"},
    {"latency_ms p100 < 1", "metric latency_ms p100 < 1"},
    {"latency_ms p99.5 < 1", "metric latency_ms p99.5 < 1"},
    {"latency_ms p(99.5) < 1", "metric latency_ms p99.5 < 1"},
    {"otel_turn_action_stream.turn_metric_points total >= 1",
     "metric otel_turn_action_stream.turn_metric_points sum >= 1"},
    {"otel.requests total >= 1", "otel requests sum >= 1"},
    {"span.x stddev < 1s", "span x sd < 1s"},
    /* dotted statistics */
    {"latency_ms.p95 <= 1000", "metric latency_ms p95 <= 1000"},
    {"summary.latency_ms.p95 <= 1000", "metric latency_ms p95 <= 1000"},
    {"summary.latency_ms max <= 1000", "metric latency_ms max <= 1000"},
    {"worker_step_timings_ms.build_cmd.mean <= 25",
     "metric worker_step_timings_ms.build_cmd mean <= 25"},
    {"worker_latency_ms.p50_ci95_low > 1s", "number worker_latency_ms.p50_ci95_low none > 1s"},
    /* other numbers */
    {"runs.0.duration_ms < 1s", "number runs.0.duration_ms none < 1s"},
    {"runs.0.user_cpu_sec < 1s", "number runs.0.user_cpu_sec none < 1s"},
    {"summary.resource_budget.stability.total_runs > 3",
     "number resource_budget.stability.total_runs none > 3"},
    {"queue_cancel_metrics.codex.queue.depth < 3",
     "number queue_cancel_metrics.codex.queue.depth none < 3"},
    {"otel_metrics.codex.turn.e2e_duration_ms.p50 < 3s",
     "number otel_metrics.codex.turn.e2e_duration_ms.p50 none < 3s"},
    {"telemetry.dropped.late == 0", "number telemetry.dropped.late none == 0"},
    {"profile.warmup >= 1", "number profile.warmup none >= 1"},
    {"iterations >= 5", "number iterations none >= 5"},
    {"xctrace.hotspots_top.0.weight_ms < 5ms",
     "number xctrace.hotspots_top.0.weight_ms none < 5ms"},
    {"observer.sampler_cpu_pct < 1%", "number observer.sampler_cpu_pct none < 1%"},
    /* marks and phases */
    {"marks.ready_ms p(95) <= 300ms", "moment marks.ready_ms p95 <= 300ms"},
    {"phases.end_ms mean <= 5", "moment phases.end_ms mean <= 5"},
    {"marks.db-up_2_ms p(99.9) < 1s", "moment marks.db-up_2_ms p99.900000000000006 < 1s"},
    {"summary.marks.ready_ms.p95 < 1s", "moment marks.ready_ms p95 < 1s"},
    {"phases.ready_ms.count >= 20", "moment phases.ready_ms count >= 20"},
    {"marks.ready_ms mad <= baseline*1.5", "moment marks.ready_ms mad <= 1.5*b+ 0"},
    {"marks.boot_ms_ms max < 3", "moment marks.boot_ms_ms max < 3"},
    {"runs.0.marks.ready_ms < 3ms", "number runs.0.marks.ready_ms none < 3ms"},
    /* quotes */
    {"\"latency_ms\" p95<1", "metric latency_ms p95 < 1"},
    {"\"otel.a \\\"b\\\" \\\\ <c>\" max<1", "otel a \"b\" \\ <c> max < 1"},
    {"\"span.Größe\" max<1", "span Größe max < 1"},
    {"span.Größe max<1µs", "span Größe max < 1µs"},
    /* numbers */
    {"latency_ms mean >= -5", "metric latency_ms mean >= -5"},
    {"latency_ms mean < 1e3", "metric latency_ms mean < 1000"},
    {"latency_ms mean < 1.5E+3ms", "metric latency_ms mean < 1500ms"},
    {"latency_ms mean < 25e-1s", "metric latency_ms mean < 2.5s"},
    {"latency_ms mean < 007", "metric latency_ms mean < 7"},
    {"throughput_runs_per_sec mean>=2runs/s", "metric throughput_runs_per_sec mean >= 2runs/s"},
    {"cpu_pct mean < 80%", "metric cpu_pct mean < 80%"},
    {"otel.utilization max < 80%", "otel utilization max < 80%"},
};

static void test_parses(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
        assert_parses(taken[i][0], taken[i][1]);
    }
}

static void test_texts(void **state)
{
    (void)state;
    struct pw_bound bound;
    assert_int_equal(pw_expression_parse("  latency_ms  p(95)  <= 1s ", &bound, NULL, NULL), 0);
    assert_string_equal(bound.label, "latency_ms  p(95)");
    assert_string_equal(bound.text, "latency_ms  p(95)  <= 1s");
    pw_bound_done(&bound);
    assert_int_equal(pw_expression_parse("\"span.tool call\" count>=3", &bound, NULL, NULL), 0);
    assert_string_equal(bound.label, "\"span.tool call\" count");
    pw_bound_done(&bound);
    assert_int_equal(pw_expression_parse("failed_runs_total within 1 of 2", &bound, NULL, NULL), 0);
    assert_string_equal(bound.label, "failed_runs_total");
    pw_bound_done(&bound);
}

static void assert_refused(const char *text, size_t column, const char *message, const char *remedy)
{
    struct pw_bound bound = {.order = 42};
    struct pw_err err = PW_ERR_INIT;
    size_t at = 0;
    char prefix[40];
    if (pw_expression_parse(text, &bound, &at, &err) != -1) {
        fail_msg("`%s` is taken", text);
    }
    if (at != column) {
        fail_msg("`%s`: column %zu, not %zu", text, at, column);
    }
    snprintf(prefix, sizeof(prefix), "column %zu: ", column);
    assert_int_equal(strncmp(err.message, prefix, strlen(prefix)), 0);
    assert_int_equal(err.cls, PW_ERR_USAGE);
    assert_contains(err.message, message);
    assert_contains(err.remedy, remedy);
    assert_int_equal(bound.order, 42); /* untouched */
    /* Those who care for neither. */
    assert_int_equal(pw_expression_parse(text, &bound, NULL, NULL), -1);
}

struct refusal {
    const char *text;
    size_t column;
    const char *message, *remedy;
};

static void assert_all_refused(const struct refusal *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_refused(cases[i].text, cases[i].column, cases[i].message, cases[i].remedy);
    }
}

static void test_refuses_names(void **state)
{
    (void)state;
    static const struct refusal cases[] = {
        {"latencyms p(95) <= 3", 1, "unknown metric `latencyms`", "`latency_ms`"},
        {" latency_m p(95) <= 3", 2, "unknown metric `latency_m`", "`latency_ms`"},
        {"peak_tree_rss_mb mean < 3", 1, "unknown metric",
         "`process_tree_sampled.peak_tree_rss_mb`"},
        {"process_tree_sampled.peek_tree_rss_mb mean < 3", 1, "unknown metric",
         "`process_tree_sampled.peak_tree_rss_mb`"},
        {"latency_p95_ms < 5", 1, "unknown metric", "`latency_ms p(95)`"},
        {"summary.latencyms mean < 5", 1, "unknown metric `summary.latencyms`", "`latency_ms`"},
        {"resource_budget.stability.failure_rate < 5", 1, "unknown metric",
         "`resource_budget.stability.failure_rate_pct`"},
        {"actions.exec mean < 4", 1, "unknown metric", "`action.exec`"},
        {"mark.ready_ms mean < 4", 1, "unknown metric `mark.ready_ms`", "`marks.ready_ms`"},
        {"phase.end_ms mean < 4", 1, "unknown metric `phase.end_ms`", "`phases.end_ms`"},
        {"marks.ready mean < 4", 1, "unknown metric `marks.ready`", "`marks.ready_ms`"},
        {"phases._ms mean < 4", 1, "unknown metric `phases._ms`", "`phases._ms_ms`"},
        {"marks. mean < 4", 1, "`marks.` has no name", "marks.NAME_ms"},
        {"marks.a.b_ms mean < 4", 1, "`marks.a.b_ms` is no name of a mark", "A-Z a-z 0-9"},
        {"marks.é_ms mean < 4", 1, "no name of a mark", "A-Z a-z 0-9"},
        {"marks.0123456789012345678901234567890123456789012345678901234567890123x_ms max < 4", 1,
         "no name of a mark", "at most 64"},
        {"marks < 4", 1, "unknown metric `marks`", ""},
        {"codex.turn mean < 4", 1, "unknown metric `codex.turn`", "otel.NAME"},
        {"profile < 3", 1, "unknown metric", "block"},
        {"resource_budget < 3", 1, "unknown metric", "block"},
        {"summary.iterations < 3", 1, "unknown metric `summary.iterations`", ""},
        {"summary.profile.warmup < 3", 1, "unknown metric", ""},
        {"runs. < 3", 1, "unknown metric", ""},
        {"otel. mean < 3", 1, "no name", ""},
        {"latency_ms. mean < 3", 1, "`latency_ms` has no ``", ""},
        {"latency_ms.p9x < 3", 1, "`latency_ms` has no `p9x`", "`latency_ms p95`"},
        {"latency_ms.p101 < 3", 1, "has no `p101`", ""},
        {"latency_ms.p50_ci95_low < 3", 1, "has no `p50_ci95_low`", ""},
        {"failed_runs_total.mean < 3", 1, "has no `mean`", "write `failed_runs_total`"},
        {"", 1, "empty", "A whole bound"},
        {" \t ", 4, "empty", "A whole bound"},
        {"<= 3", 1, "a name is missing", "A whole bound"},
        {"(latency_ms) <= 3", 1, "a name is missing", ""},
        {"\"\" <= 3", 1, "name is empty", ""},
        {"\"latency_ms mean <= 3", 1, "not closed", ""},
        {"\"latency_ms\\", 1, "not closed", ""},
        {"span.\"tool call\" count >= 3", 6, "quote", "whole name"},
        {"latency_ms\nmean <= 3", 11, "control character 0x0A", "one line"},
        {"latency_ms\x7F", 11, "control character 0x7F", ""},
        {"span.\xFF\xFE mean <= 3", 6, "UTF-8", ""},
        {"span.x mean <= 3\xC3", 17, "UTF-8", ""},
    };
    assert_all_refused(cases, sizeof(cases) / sizeof(cases[0]));
}

static void test_refuses_aggregates(void **state)
{
    (void)state;
    static const struct refusal cases[] = {
        {"latency_ms <= 3", 1, "which number", "mean, med, min, max, stddev, mad and p(0)"},
        {"otel_turn_action_stream.turn_metric_points > 1", 1, "which number", "total"},
        {"otel.x < 3", 1, "which number", "p(50), p(95) and p(99)"},
        {"otel.x.p95 < 3", 1, "which number", "`otel.x p95`"},
        {"latency_ms p(101) <= 3", 12, "no such percentile", "p(0) to p(100)"},
        {"latency_ms p(-1) <= 3", 12, "no such percentile", "p(0) to p(100)"},
        {"latency_ms p101 <= 3", 12, "no such percentile", "p(0) to p(100)"},
        {"latency_ms p95. <= 3", 12, "no such percentile", ""},
        {"latency_ms p() <= 3", 14, "the percentile is no number", ""},
        {"latency_ms p(", 14, "the percentile is missing", ""},
        {"latency_ms p(95 <= 3", 17, "`)` is missing", ""},
        {"latency_ms p(nan) <= 3", 14, "the percentile is no number", ""},
        {"latency_ms p <= 3", 12, "`p` of what", "p(95)"},
        {"latency_ms meen < 3", 12, "neither an aggregate", "`mean`"},
        {"latency_ms MEAN < 3", 12, "neither an aggregate", ""},
        {"latency_ms zzzzzzzzzzz < 3", 12, "neither an aggregate", "Aggregates: mean"},
        {"latency_ms total < 3", 12, "`latency_ms` has no total", "stddev"},
        {"latency_ms count < 3", 12, "`latency_ms` has no count", "stddev"},
        {"latency_ms.total < 3", 1, "has no total", ""},
        {"failed_runs_total mean < 3", 19, "one number", "Leave `mean` out"},
        {"failed_runs_total p95 < 3", 19, "one number and has no p(95)", ""},
        {"iterations mean < 3", 12, "one number", "Leave `mean` out"},
        {"latency_ms.p95 mean < 3", 16, "a statistic already", "one of the two"},
        {"action.x p(90) < 3", 10, "no p(90) of an action", "p(50), p(95) and p(99)"},
        {"action.x mad < 3", 10, "no mad of an action", ""},
        {"otel.x stddev < 3", 8, "no stddev of an OTLP metric", ""},
        {"otel.x failures < 3", 8, "no failures of an OTLP metric", ""},
        {"marks.ready_ms < 3", 1, "which number", "`marks.ready_ms p(95)`"},
        {"marks.ready_ms total < 3", 16, "`marks.ready_ms` has no total", "count"},
        {"phases.end_ms failures < 3", 15, "`phases.end_ms` has no failures", "count"},
        {"marks.ready_ms.p95 mean < 3", 20, "a statistic in its name already", "one of the two"},
        {"marks.ready_ms.total < 3", 1, "`marks.ready_ms` has no total", "count"},
        {"marks. mean < 3", 1, "no name behind it", "marks.NAME_ms"},
        {"latency_ms failures < 3", 12, "`latency_ms` has no failures", "stddev"},
        {"latency_ms mean mean < 3", 17, "comparison is missing", ""},
    };
    assert_all_refused(cases, sizeof(cases) / sizeof(cases[0]));
}

static void test_refuses_limits(void **state)
{
    (void)state;
    static const struct refusal cases[] = {
        {"latency_ms mean", 16, "comparison is missing", "within"},
        {"latency_ms mean 3", 17, "comparison is missing", "within"},
        {"latency_ms mean = 3", 17, "`=` is no comparison", "`==`"},
        {"latency_ms mean =< 3", 17, "`=<` is no comparison", "`<=`"},
        {"latency_ms mean => 3", 17, "`=>` is no comparison", "`>=`"},
        {"latency_ms mean <> 3", 17, "`<>` is no comparison", "`!=`"},
        {"latency_ms mean <<= 3", 17, "`<<=` is no comparison", ""},
        {"latency_ms mean ! 3", 17, "`!` is no comparison", ""},
        {"latency_ms mean < = 3", 19, "the limit is no number: `=`", ""},
        {"latency_ms mean <", 18, "the limit is missing", "A whole bound"},
        {"latency_ms mean <  ", 20, "the limit is missing", "A whole bound"},
        {"latency_ms mean < x", 19, "the limit is no number: `x`", "decimal"},
        {"latency_ms mean < 0x10", 19, "the limit is no number: `0x10`", "decimal"},
        {"latency_ms mean < inf", 19, "no number: `inf`", ""},
        {"latency_ms mean < -inf", 19, "no number: `-inf`", ""},
        {"latency_ms mean < nan", 19, "no number: `nan`", ""},
        {"latency_ms mean < .5", 19, "no number: `.5`", ""},
        {"latency_ms mean < 5.", 19, "no number: `5.`", ""},
        {"latency_ms mean < 1.2.3", 19, "no number: `1.2.3`", ""},
        {"latency_ms mean < +5", 19, "no number: `+5`", ""},
        {"latency_ms mean < --5", 19, "no number: `--5`", ""},
        {"latency_ms mean < 1e999", 19, "too large", ""},
        {"latency_ms mean < 1,5", 20, "unexpected `,5`", ""},
        {"latency_ms mean < 1e", 20, "unknown unit `e`", ""},
        {"latency_ms mean < 5 and max_rss_mb mean < 3", 21, "unexpected `and`", "One bound"},
        {"latency_ms mean < 5ms or x", 23, "unexpected `or`", "One bound"},
        {"latency_ms mean < 5ms && x", 23, "unexpected `&&`", "One bound"},
        {"latency_ms mean < 5ms 7", 23, "unexpected `7`", "ends behind its limit"},
        {"latency_ms mean < 5ms7", 22, "unexpected `7`", ""},
        {"latency_ms mean < 5 < 6", 21, "unexpected `<`", ""},
        {"latency_ms mean within 5 120", 26, "`of` is missing", "15% of 120"},
        {"latency_ms mean within of 120", 24, "the tolerance is no number", ""},
        {"latency_ms mean within -5 of 120", 24, "the tolerance is no number", ""},
        {"latency_ms mean within 5 of", 28, "the limit is missing", ""},
        {"latency_ms mean <= within 5 of 3", 20, "the limit is no number", ""},
        {"latency_ms mean < baseline*0", 28, "not above zero", ""},
        {"latency_ms mean < baseline*", 28, "the factor is missing", ""},
        {"latency_ms mean < baseline*-1", 28, "the factor is no number", ""},
        {"latency_ms mean < baseline+", 28, "what is added to the baseline is missing", ""},
        {"latency_ms mean < baseline+-3", 28, "what is added to the baseline is no number", ""},
        {"latency_ms mean < baseline/2", 27, "unexpected `/2`", ""},
        {"latency_ms mean < baselines", 19, "the limit is no number: `baselines`", ""},
        {"latency_ms mean < 1.1*baseline", 22, "a factor stands behind", "`baseline*1.1`"},
        {"latency_ms mean <= baseline+10%", 31, "in ms, not in %", "`baseline*1.10`"},
    };
    assert_all_refused(cases, sizeof(cases) / sizeof(cases[0]));
}

static void test_refuses_units(void **state)
{
    (void)state;
    static const struct refusal cases[] = {
        {"latency_ms mean < 3 gib", 21, "unknown unit `gib`", "`GiB`"},
        {"latency_ms mean < 3MS", 20, "unknown unit `MS`", "`ms`"},
        {"latency_ms mean < 3m", 20, "unknown unit `m`", ""},
        {"latency_ms mean < 3 parsecs", 21, "unknown unit `parsecs`", "Units: ns us ms"},
        {"latency_ms mean < 3MiB", 20, "`latency_ms` is in ms, not in MiB", "in ms"},
        {"max_rss_mb mean < 3s", 20, "`max_rss_mb` is in MiB, not in s", ""},
        {"cpu_pct mean < 3s", 17, "in %, not in s", ""},
        {"throughput_runs_per_sec mean > 3s", 33, "in runs/s, not in s", ""},
        {"latency_ms mean within 3MiB of 5", 25, "in ms, not in MiB", ""},
        {"latency_ms mean < baseline*2+3MiB", 31, "in ms, not in MiB", ""},
        {"failed_runs_total <= 0s", 23, "a plain count", "without a unit"},
        {"peak_open_fds mean <= 6%", 24, "a plain count", "without a unit"},
        {"span.x count >= 3ms", 18, "a plain count", "without a unit"},
        {"span.x mean < 3MiB", 16, "in ms, not in MiB", ""},
        {"action.x mean < 3%", 18, "in ms, not in %", ""},
        {"otel.x count < 3ms", 17, "a plain count", ""},
        {"otel_turn_action_stream.turn_metric_value_sum mean < 3s", 55, "not known",
         "without a unit"},
        {"profile.warmup < 3s", 19, "unit of `profile.warmup` is not known", "without a unit"},
        {"resource_budget.time_budget_ms.wall_mean_ms < 3%", 48, "in ms, not in %", ""},
        {"runs.0.duration_ms < 3%", 23, "in ms, not in %", ""},
        {"queue_cancel_metrics.x < 3s", 27, "a plain count", ""},
    };
    assert_all_refused(cases, sizeof(cases) / sizeof(cases[0]));
}

static void test_long(void **state)
{
    (void)state;
    char text[PW_LIMIT_EXPRESSION_BYTES + 2];
    static const char start[] = "latency_ms mean < 1";
    memset(text, ' ', sizeof(text));
    memcpy(text, start, strlen(start));
    text[PW_LIMIT_EXPRESSION_BYTES] = '\0';
    assert_parses(text, "metric latency_ms mean < 1");
    text[PW_LIMIT_EXPRESSION_BYTES] = ' ';
    text[PW_LIMIT_EXPRESSION_BYTES + 1] = '\0';
    assert_refused(text, PW_LIMIT_EXPRESSION_BYTES + 1, "longer than 4096 bytes", "");

    /* As long a name, number, word as there can be; messages cut them between characters. */
    memset(text, '9', sizeof(text));
    memcpy(text, start, strlen(start));
    text[PW_LIMIT_EXPRESSION_BYTES] = '\0';
    assert_refused(text, 19, "too large", "");
    memset(text, 'x', PW_LIMIT_EXPRESSION_BYTES);
    assert_refused(text, 1, "unknown metric `xxxx", "otel.NAME");
    memset(text, '"', 1);
    assert_refused(text, 1, "not closed", "");
    for (size_t i = 0; i < PW_LIMIT_EXPRESSION_BYTES; i += 2) {
        memcpy(text + i, "\xC3\xA4", 2);
    }
    text[0] = '_'; /* the character boundaries are at odd offsets then: not UTF-8 */
    assert_refused(text, 2, "UTF-8", "");
    memcpy(text, "_a", 2);
    struct pw_err err = PW_ERR_INIT;
    struct pw_bound bound;
    assert_int_equal(pw_expression_parse(text, &bound, NULL, &err), -1);
    assert_contains(err.message, "\xC3\xA4`");
}

/* Each word that an error recommends for an aggregate is one. */
static void test_every_metric(void **state)
{
    (void)state;
    static const char *const words[] = {"mean", "med", "min", "max", "stddev", "mad", "p(33)"};
    for (size_t i = 0; i < PW_METRIC_COUNT; i++) {
        const struct pw_metric *row = &pw_metrics[i];
        for (size_t j = 0; j < sizeof(words) / sizeof(words[0]); j++) {
            char text[120];
            bool scalar = row->stats == PW_STATS_SCALAR;
            snprintf(text, sizeof(text), "%s %s < 5", row->path, scalar ? "" : words[j]);
            struct pw_bound bound;
            assert_int_equal(pw_expression_parse(text, &bound, NULL, NULL), 0);
            assert_ptr_equal(bound.metric, row);
            pw_bound_done(&bound);
        }
        for (enum pw_stat stat = 0; stat < PW_STAT_SCALAR; stat++) {
            char text[120];
            struct pw_bound bound;
            snprintf(text, sizeof(text), "%s.%s < 5", row->path, pw_stat_name(stat));
            if ((row->stats & PW_STAT_BIT(stat)) != 0) {
                assert_int_equal(pw_expression_parse(text, &bound, NULL, NULL), 0);
                pw_bound_done(&bound);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parses),         cmocka_unit_test(test_texts),
        cmocka_unit_test(test_refuses_names),  cmocka_unit_test(test_refuses_aggregates),
        cmocka_unit_test(test_refuses_limits), cmocka_unit_test(test_refuses_units),
        cmocka_unit_test(test_long),           cmocka_unit_test(test_every_metric),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
