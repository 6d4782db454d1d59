/* sla/compare: which samples are compared, what counts for a gate, the correction for many metrics,
 * and what makes two sides less than alike. The statistics themselves: test_two_samples. */
#include "tests/unit/unit.h"

#include "core/json.h"
#include "sla/compare.h"
#include "tests/unit/sample_moments.h"
#include "tests/unit/sample_run.h"

enum { N = 20, VALUES_MAX = 64 };
static const struct pw_compare_options usual = {.floor_pct = 3, .confidence = 0.95};

static void begin(struct pw_run_record *run, const char *command, int concurrency)
{
    pw_run_record_init(run);
    run->run_dir = strdup("/tmp/out/x-20261121-083002");
    run->command = strdup(command);
    run->profile =
        json_pack("{s:n, s:s, s:i}", "name", "phase", "measure", "concurrency", concurrency);
    run->environment = json_pack("{s:s, s:i, s:s, s:s}", "cpu_model", "One", "cpu_count", 2,
                                 "kernel", "6.1", "arch", "x86_64");
}

static struct pw_summary *end(struct pw_run_record *run)
{
    struct pw_summary *summary = pw_summary_build(run, NULL);
    assert_non_null(summary);
    pw_run_record_done(run);
    return summary;
}

/* `count` iterations of one worker that lasts first_ms, first_ms + step_ms … and has `rss_mb`. */
static struct pw_summary *make_run(size_t count, double first_ms, double step_ms, double rss_mb)
{
    struct pw_run_record run;
    begin(&run, "target", 1);
    for (size_t i = 0; i < count; i++) {
        struct pw_iteration_record iteration;
        assert_int_equal(
            pw_iteration_record_init(&iteration, (unsigned)run.iteration_count + 1, 1, NULL), 0);
        struct pw_worker_record *worker = iteration.workers;
        worker->duration_ms = first_ms + (double)i * step_ms;
        worker->started_at_ns = PW_NS_PER_SEC;
        worker->ended_at_ns = PW_NS_PER_SEC + pw_ms_to_ns(worker->duration_ms);
        worker->values[PW_METRIC_MAX_RSS_MB] = pw_value_of(rss_mb);
        worker->values[PW_METRIC_MAX_RSS_KB] = pw_value_of(rss_mb * 1024);
        worker->values[PW_METRIC_CPU_PCT] = pw_value_of(50 + (double)(i % 3));
        assert_int_equal(pw_iteration_fold(&iteration, NULL), 0);
        assert_int_equal(pw_run_record_append(&run, &iteration, NULL), 0);
    }
    return end(&run);
}

/* Compares and frees the two. */
static struct pw_comparison compare(struct pw_summary *a, struct pw_summary *b,
                                    struct pw_compare_options options)
{
    struct pw_comparison comparison;
    struct pw_err err = PW_ERR_INIT;
    const struct pw_summary *sides[] = {a, b};
    if (pw_compare_run("one", &sides[0], 1, "two", &sides[1], 1, options, &comparison, &err) != 0) {
        fail_msg("%s", err.message);
    }
    pw_summary_free(a);
    pw_summary_free(b);
    return comparison;
}

static const struct pw_comparison_row *row_of(const struct pw_comparison *comparison,
                                              enum pw_metric_id id)
{
    for (size_t i = 0; i < comparison->count; i++) {
        if (comparison->rows[i].metric->id == id) {
            return &comparison->rows[i];
        }
    }
    fail_msg("no row of %s", pw_metrics[id].path);
    return NULL;
}

static bool warns(const struct pw_comparison *comparison, const char *part)
{
    for (size_t i = 0; i < comparison->warning_count; i++) {
        if (strstr(comparison->warnings[i], part)) {
            return true;
        }
    }
    return false;
}

static void finds_a_shift(void **state)
{
    (void)state;
    struct pw_comparison comparison =
        compare(make_run(N, 100, 0.1, 64), make_run(N, 110, 0.1, 80), usual);
    const struct pw_comparison_row *latency = row_of(&comparison, PW_METRIC_LATENCY);
    assert_int_equal(latency->verdict, PW_COMPARISON_SLOWER);
    assert_int_equal(latency->rank, PW_COMPARISON_GATE);
    assert_int_equal(latency->result.n_a, N);
    assert_true(fabs(latency->result.shift - 10) < 1e-6);
    assert_true(fabs(latency->shift_pct - 10 / 100.95 * 100) < 1e-6);
    assert_true(fabs(latency->floor - 3.0285) < 1e-6); /* 3 % of 100.95 ms is more than 0.1 ms */
    assert_null(latency->note);
    const struct pw_comparison_row *memory = row_of(&comparison, PW_METRIC_MAX_RSS_MB);
    assert_int_equal(memory->verdict, PW_COMPARISON_SLOWER); /* worse */
    assert_near(memory->result.shift, 16);
    /* Both are of the gate, and nothing else is that has more than one value: Holm with two. */
    const struct pw_comparison_row *first =
        latency->result.p <= memory->result.p ? latency : memory;
    const struct pw_comparison_row *second = first == latency ? memory : latency;
    assert_near(first->p_adjusted, 2 * first->result.p);
    assert_near(second->p_adjusted, fmax(first->p_adjusted, second->result.p));
    assert_true(pw_comparison_has(&comparison, PW_COMPARISON_SLOWER, false));
    assert_false(pw_comparison_has(&comparison, PW_COMPARISON_FASTER, false));
    assert_string_equal(comparison.a.command, "target");
    assert_int_equal(comparison.b.iterations, N);
    assert_int_equal(comparison.warning_count, 0);
    pw_comparison_done(&comparison);

    comparison = compare(make_run(N, 110, 0.1, 80), make_run(N, 100, 0.1, 64), usual);
    assert_int_equal(row_of(&comparison, PW_METRIC_LATENCY)->verdict, PW_COMPARISON_FASTER);
    assert_int_equal(row_of(&comparison, PW_METRIC_MAX_RSS_MB)->verdict, PW_COMPARISON_FASTER);
    /* Throughput rises with it, and "better" is more of it. */
    assert_int_equal(row_of(&comparison, PW_METRIC_THROUGHPUT)->verdict, PW_COMPARISON_FASTER);
    assert_true(row_of(&comparison, PW_METRIC_THROUGHPUT)->result.shift > 0);
    assert_false(pw_comparison_has(&comparison, PW_COMPARISON_SLOWER, true));
    pw_comparison_done(&comparison);
}

static void finds_nothing_in_the_same(void **state)
{
    (void)state;
    struct pw_comparison comparison =
        compare(make_run(N, 100, 0.01, 64), make_run(N, 100, 0.01, 64), usual);
    assert_true(comparison.count > 5);
    for (size_t i = 0; i < comparison.count; i++) {
        assert_near(comparison.rows[i].result.shift, 0);
        assert_int_equal(comparison.rows[i].verdict, PW_COMPARISON_SAME);
    }
    pw_comparison_done(&comparison);
}

/* A change of 2 %, as sure as can be, is below a floor of 3 %, and above one of 1 %. */
static void floors(void **state)
{
    (void)state;
    struct pw_compare_options fine = usual;
    struct pw_comparison comparison =
        compare(make_run(N, 100, 0.01, 64), make_run(N, 102, 0.01, 64), usual);
    assert_int_equal(row_of(&comparison, PW_METRIC_LATENCY)->verdict, PW_COMPARISON_SAME);
    pw_comparison_done(&comparison);
    fine.floor_pct = 1;
    comparison = compare(make_run(N, 100, 0.01, 64), make_run(N, 102, 0.01, 64), fine);
    assert_int_equal(row_of(&comparison, PW_METRIC_LATENCY)->verdict, PW_COMPARISON_SLOWER);
    pw_comparison_done(&comparison);
    /* What the metric table calls noise is none, whatever the percentage: 0.05 of 1 ms. */
    fine.floor_pct = 0;
    comparison = compare(make_run(N, 1, 0, 64), make_run(N, 1.05, 0, 64), fine);
    assert_near(row_of(&comparison, PW_METRIC_LATENCY)->floor, 0.1);
    assert_int_equal(row_of(&comparison, PW_METRIC_LATENCY)->verdict, PW_COMPARISON_SAME);
    pw_comparison_done(&comparison);
}

static void ranks(void **state)
{
    (void)state;
    struct pw_comparison comparison =
        compare(make_run(N, 100, 0.1, 64), make_run(N, 110, 0.1, 80), usual);
    static const enum pw_metric_id repeated[] = {PW_METRIC_MAX_RSS_KB, PW_METRIC_THROUGHPUT,
                                                 PW_METRIC_WORKER_LATENCY, PW_METRIC_CPU_PCT};
    for (size_t i = 0; i < sizeof repeated / sizeof *repeated; i++) {
        assert_int_equal(row_of(&comparison, repeated[i])->rank, PW_COMPARISON_REST);
    }
    assert_int_equal(row_of(&comparison, PW_METRIC_CPU_PCT)->verdict, PW_COMPARISON_SAME);
    for (size_t i = 1; i < comparison.count; i++) { /* the table's order */
        assert_true(comparison.rows[i - 1].metric->id < comparison.rows[i].metric->id);
    }
    pw_comparison_done(&comparison);
}

static void too_few_values(void **state)
{
    (void)state;
    struct pw_comparison comparison =
        compare(make_run(2, 100, 1, 64), make_run(2, 200, 1, 64), usual);
    const struct pw_comparison_row *latency = row_of(&comparison, PW_METRIC_LATENCY);
    assert_int_equal(latency->verdict, PW_COMPARISON_UNSURE);
    /* Of 8 values there are 70 ways to choose 4: 2/70 < 0.05; 2/20 is not. */
    assert_string_equal(latency->note, "too few values to tell: 2 and 2, it takes 4 of each");
    pw_comparison_done(&comparison);
    comparison = compare(make_run(4, 100, 1, 64), make_run(4, 200, 1, 64), usual);
    assert_int_equal(row_of(&comparison, PW_METRIC_LATENCY)->verdict, PW_COMPARISON_SLOWER);
    pw_comparison_done(&comparison);
}

/* Workers that ran at once are no independent values: one median an iteration. */
static void workers_at_once(void **state)
{
    (void)state;
    struct pw_summary *sides[2];
    for (int side = 0; side < 2; side++) {
        struct pw_run_record run;
        begin(&run, "target", 4);
        for (int i = 0; i < 10; i++) {
            double base = 100 + side * 20 + i;
            const double duration_ms[] = {base, base + 1, base + 2, base + 500};
            const int codes[] = {0, 0, 0, side == 1 && i == 0 ? 3 : 0};
            add_iteration(&run, 4, duration_ms, codes);
        }
        sides[side] = end(&run);
    }
    struct pw_comparison comparison = compare(sides[0], sides[1], usual);
    const struct pw_comparison_row *workers = row_of(&comparison, PW_METRIC_WORKER_LATENCY);
    assert_int_equal(workers->result.n_a, 10);
    assert_int_equal(workers->rank, PW_COMPARISON_GATE);
    assert_near(workers->result.median_a, 106); /* median of 101.5 … 110.5 */
    assert_int_equal(row_of(&comparison, PW_METRIC_THROUGHPUT)->rank, PW_COMPARISON_GATE);
    assert_near(comparison.b.workers, 40);
    assert_near(comparison.b.failed, 1);
    assert_true(warns(&comparison, "workers failed: 0 of 40 of A, 1 of 40 of B"));
    assert_true(pw_comparison_fails_more(&comparison));
    pw_comparison_done(&comparison);
}

static void two_groups_are_told(void **state)
{
    (void)state;
    struct pw_run_record run;
    begin(&run, "target", 1);
    for (int i = 0; i < 40; i++) {
        const double duration_ms = (i % 2 ? 100 : 200) + i * 0.01;
        add_iteration(&run, 1, &duration_ms, NULL);
    }
    struct pw_comparison comparison = compare(make_run(40, 100, 0.1, 64), end(&run), usual);
    const struct pw_comparison_row *latency = row_of(&comparison, PW_METRIC_LATENCY);
    assert_true(latency->result.bimodal_b);
    assert_non_null(latency->note);
    assert_contains(latency->note, "the values of B fall into two groups");
    pw_comparison_done(&comparison);
}

static void unlike_sides_are_told(void **state)
{
    (void)state;
    static const double duration_ms = 10;
    struct pw_run_record a, b;
    begin(&a, "target", 1);
    begin(&b, "target --fast", 1);
    json_object_set_new(b.environment, "cpu_model", json_string("Other"));
    json_object_set_new(b.environment, "kernel", json_null()); /* not known differs from nothing */
    json_object_set_new(b.profile, "concurrency", json_integer(4));
    b.interrupted_by = 15;
    add_iteration(&a, 1, &duration_ms, NULL);
    add_iteration(&b, 1, &duration_ms, NULL);
    struct pw_comparison comparison = compare(end(&a), end(&b), usual);
    assert_true(
        warns(&comparison, "another machine: cpu_model is \"One\" in A and \"Other\" in B"));
    assert_true(warns(&comparison, "measured in another way: concurrency is 1 in A and 4 in B"));
    assert_true(warns(&comparison, "a run of B was interrupted"));
    assert_int_equal(comparison.warning_count, 3);
    assert_string_equal(comparison.b.command, "target --fast");
    assert_false(pw_comparison_fails_more(&comparison));
    pw_comparison_done(&comparison);
}

static void several_summaries_a_side(void **state)
{
    (void)state;
    struct pw_summary *all[3] = {make_run(5, 100, 0.1, 64), make_run(6, 100.5, 0.1, 64),
                                 make_run(7, 120, 0.1, 64)};
    const struct pw_summary *const *items = (const struct pw_summary *const *)all;
    struct pw_comparison comparison;
    struct pw_err err = PW_ERR_INIT;
    assert_int_equal(pw_compare_run("old", items, 2, "new", items + 2, 1, usual, &comparison, &err),
                     0);
    assert_int_equal(comparison.a.summaries, 2);
    assert_int_equal(comparison.a.iterations, 11);
    assert_int_equal(row_of(&comparison, PW_METRIC_LATENCY)->result.n_a, 11);
    assert_int_equal(row_of(&comparison, PW_METRIC_LATENCY)->verdict, PW_COMPARISON_SLOWER);
    pw_comparison_done(&comparison);
    assert_int_equal(pw_compare_run("old", items, 0, "new", items, 1, usual, &comparison, &err),
                     -1);
    for (int i = 0; i < 3; i++) {
        pw_summary_free(all[i]);
    }
}

static void nothing_is_no_pass(void **state)
{
    (void)state;
    struct pw_run_record run;
    begin(&run, "target", 1);
    struct pw_summary *empty = end(&run), *some = make_run(5, 100, 1, 64);
    const struct pw_summary *sides[] = {some, empty};
    struct pw_comparison comparison;
    struct pw_err err = PW_ERR_INIT;
    assert_int_equal(
        pw_compare_run("some", &sides[0], 1, "none", &sides[1], 1, usual, &comparison, &err), -1);
    assert_int_equal(err.cls, PW_ERR_INPUT);
    assert_contains(err.message, "`none` has no measured iteration");
    pw_summary_free(empty);
    pw_summary_free(some);
}

static void as_json(void **state)
{
    (void)state;
    struct pw_comparison comparison =
        compare(make_run(1, 100, 0.1, 64), make_run(1, 110, 0.1, 80), usual);
    json_t *document = pw_comparison_to_json(&comparison, NULL);
    assert_non_null(document);
    assert_string_equal(json_string_value(pw_json_find(document, "a.name")), "one");
    assert_string_equal(json_string_value(pw_json_find(document, "metrics.0.metric")),
                        "latency_ms");
    assert_string_equal(json_string_value(pw_json_find(document, "metrics.0.verdict")), "unsure");
    assert_true(json_is_true(pw_json_find(document, "metrics.0.gate")));
    /* One value says nothing about how far off the shift may be. */
    assert_true(json_is_null(pw_json_find(document, "metrics.0.shift_low")));
    assert_true(json_is_null(pw_json_find(document, "metrics.0.shift_high")));
    assert_int_equal(json_array_size(json_object_get(document, "metrics")), 2);
    json_decref(document);
    comparison.options.all = true;
    document = pw_comparison_to_json(&comparison, NULL);
    assert_int_equal(json_array_size(json_object_get(document, "metrics")), comparison.count);
    json_decref(document);
    pw_comparison_done(&comparison);
}

/* Workers of 100 ms and a bit, ready at ready_ms and a bit, then up 20 ms later. */
static struct pw_summary *make_marked_run(const struct pw_moment_names *names, double ready_ms)
{
    struct pw_run_record run;
    begin(&run, "target", 1);
    for (size_t i = 0; i < N; i++) {
        double bit = 0.01 * (double)i;
        const struct moment_worker worker = {.duration_ms = 100 + bit,
                                             .at_ms = {ready_ms + bit, ready_ms + 20 + bit, -1}};
        add_moment_iteration(&run, names, &worker, 1);
    }
    return end(&run);
}

static const struct pw_comparison_row *moment_row(const struct pw_comparison *comparison,
                                                  const char *path)
{
    for (size_t i = 0; i < comparison->count; i++) {
        if (strcmp(comparison->rows[i].metric->path, path) == 0) {
            return &comparison->rows[i];
        }
    }
    return NULL;
}

static void marks_and_phases(void **state)
{
    (void)state;
    static const struct pw_moment_names other = {.count = 2, .names = {"ready", "new"}};
    struct pw_comparison comparison =
        compare(make_marked_run(&sample_names, 10), make_marked_run(&sample_names, 15), usual);
    const struct pw_comparison_row *ready = moment_row(&comparison, "marks.ready_ms");
    assert_non_null(ready);
    assert_int_equal(ready->verdict, PW_COMPARISON_SLOWER);
    assert_int_equal(ready->rank, PW_COMPARISON_DETAIL);
    assert_int_equal(ready->result.n_a, N);
    assert_true(fabs(ready->result.shift - 5) < 1e-6);
    assert_string_equal(ready->metric->unit, "ms");
    /* The first mark's phase says the same again; of the second there is a phase of its own. */
    assert_int_equal(moment_row(&comparison, "phases.ready_ms")->rank, PW_COMPARISON_REST);
    const struct pw_comparison_row *up = moment_row(&comparison, "phases.db-up_ms");
    assert_int_equal(up->rank, PW_COMPARISON_DETAIL);
    assert_int_equal(up->verdict, PW_COMPARISON_SAME);
    assert_int_equal(moment_row(&comparison, "phases.end_ms")->verdict, PW_COMPARISON_FASTER);
    assert_null(moment_row(&comparison, "marks.never_ms")); /* no value on either side */
    /* Behind the metrics, marks first. */
    size_t first = (size_t)(ready - comparison.rows);
    for (size_t i = 0; i < comparison.count; i++) {
        assert_int_equal(comparison.rows[i].metric->id == PW_METRIC_COUNT, i >= first);
    }
    /* No gate: the whole took as long as before. */
    assert_false(pw_comparison_has(&comparison, PW_COMPARISON_SLOWER, false));
    assert_true(pw_comparison_has(&comparison, PW_COMPARISON_SLOWER, true));
    PW_DOCUMENT_AUTO report = PW_DOCUMENT_INIT;
    PW_STR_AUTO markdown = PW_STR_INIT;
    pw_comparison_report(&comparison, &report);
    assert_int_equal(pw_document_to_markdown(&report, &markdown, NULL), 0);
    assert_contains(markdown.text, "| marks.ready_ms | slower |");
    pw_comparison_done(&comparison);

    comparison = compare(make_marked_run(&sample_names, 10), make_marked_run(&other, 10), usual);
    assert_non_null(moment_row(&comparison, "marks.ready_ms"));
    assert_null(moment_row(&comparison, "marks.db-up_ms"));
    assert_null(moment_row(&comparison, "marks.new_ms"));
    pw_comparison_done(&comparison);

    comparison = compare(make_marked_run(&sample_names, 10), make_run(N, 100, 0.01, 64), usual);
    assert_int_equal(comparison.moment_count, 0);
    pw_comparison_done(&comparison);
}

/* As many as there can be. */
static void most_marks(void **state)
{
    (void)state;
    struct pw_moment_names names = {.count = PW_LIMIT_MOMENTS};
    struct moment_worker worker = {.duration_ms = 100};
    struct pw_summary *sides[2];
    for (size_t i = 0; i < names.count; i++) {
        snprintf(names.names[i], sizeof names.names[i], "m%zu", i);
        worker.at_ms[i] = 1 + (double)i;
    }
    for (size_t side = 0; side < 2; side++) {
        struct pw_run_record run;
        begin(&run, "target", 1);
        for (size_t i = 0; i < 6; i++) {
            add_moment_iteration(&run, &names, &worker, 1);
        }
        sides[side] = end(&run);
    }
    struct pw_comparison comparison = compare(sides[0], sides[1], usual);
    assert_int_equal(comparison.moment_count, 2 * PW_LIMIT_MOMENTS + 1);
    assert_non_null(moment_row(&comparison, "marks.m31_ms"));
    assert_non_null(moment_row(&comparison, "phases.end_ms"));
    pw_comparison_done(&comparison);
}

static void as_report(void **state)
{
    (void)state;
    struct pw_comparison comparison =
        compare(make_run(N, 100, 0.1, 64), make_run(N, 110, 0.1, 80), usual);
    PW_DOCUMENT_AUTO report = PW_DOCUMENT_INIT;
    PW_STR_AUTO text = PW_STR_INIT;
    PW_STR_AUTO markdown = PW_STR_INIT;
    pw_comparison_report(&comparison, &report);
    assert_int_equal(pw_document_to_text(&report, false, &text, NULL), 0);
    assert_int_equal(pw_document_to_markdown(&report, &markdown, NULL), 0);
    assert_contains(text.text, "Command  target");
    assert_contains(text.text, "one, 20 iterations");
    assert_contains(text.text, "slower");
    assert_contains(text.text, "worse"); /* of memory */
    assert_contains(text.text, "+9.9 %");
    assert_contains(markdown.text, "| latency_ms | slower |");
    assert_null(strstr(text.text, "max_rss_kb"));
    pw_comparison_done(&comparison);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_a_shift),
        cmocka_unit_test(finds_nothing_in_the_same),
        cmocka_unit_test(floors),
        cmocka_unit_test(ranks),
        cmocka_unit_test(too_few_values),
        cmocka_unit_test(workers_at_once),
        cmocka_unit_test(two_groups_are_told),
        cmocka_unit_test(unlike_sides_are_told),
        cmocka_unit_test(several_summaries_a_side),
        cmocka_unit_test(nothing_is_no_pass),
        cmocka_unit_test(marks_and_phases),
        cmocka_unit_test(most_marks),
        cmocka_unit_test(as_json),
        cmocka_unit_test(as_report),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
