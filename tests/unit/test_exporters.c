/* exporters: the document, its two renderings, and what the reports say of a summary. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/document.h"
#include "core/json.h"
#include "core/record.h"
#include "core/summary.h"
#include "exporters/exporter.h"
#include "exporters/report.h"
#include "tests/unit/sample_moments.h"
#include "tests/unit/sample_run.h"

static void fill(struct pw_document *document)
{
    static const char *const headers[] = {"Name", "N"};
    pw_document_heading(document, 2, "A *title*");
    pw_document_field(document, "One", "%d", 1);
    pw_document_bad_field(document, "Tick", "a`b");
    pw_document_paragraph(document, "x < y");
    pw_document_finding(document, "kind", "it\nis", "do");
    pw_document_table(document, headers, 2, 1);
    pw_document_cell(document, "a|b\x1b[2J");
    pw_document_cell(document, "%d", 7);
    pw_document_cell(document, "\xc3\xa9");
    pw_document_cell(document, "%d", 100);
}

static void test_markdown(void **state)
{
    (void)state;
    PW_DOCUMENT_AUTO document = PW_DOCUMENT_INIT;
    PW_STR_AUTO text = PW_STR_INIT;
    fill(&document);
    assert_int_equal(pw_document_to_markdown(&document, &text, NULL), 0);
    assert_string_equal(text.text, "## A \\*title\\*\n\n"
                                   "- One: `1`\n"
                                   "- Tick: `` a`b ``\n\n"
                                   "x &lt; y\n\n"
                                   "- **kind**: it is\n  do\n\n"
                                   "| Name | N |\n|---|---:|\n"
                                   "| a\\|b \\[2J | 7 |\n"
                                   "| \xc3\xa9 | 100 |\n");
}

static void test_text(void **state)
{
    (void)state;
    PW_DOCUMENT_AUTO document = PW_DOCUMENT_INIT;
    PW_STR_AUTO plain = PW_STR_INIT;
    PW_STR_AUTO color = PW_STR_INIT;
    fill(&document);
    assert_int_equal(pw_document_to_text(&document, false, &plain, NULL), 0);
    assert_string_equal(plain.text, "A *title*\n"
                                    "One   1\n"
                                    "Tick  a`b\n"
                                    "x < y\n"
                                    "warning: it is [kind]\n  do\n"
                                    "Name       N\n"
                                    "a|b [2J    7\n"
                                    "\xc3\xa9        100\n");
    assert_int_equal(pw_document_to_text(&document, true, &color, NULL), 0);
    assert_non_null(strstr(color.text, "\x1b[31ma`b\x1b[0m"));
    assert_null(strstr(color.text, "\x1b[2J"));
}

static void test_failure_is_told(void **state)
{
    (void)state;
    PW_DOCUMENT_AUTO document = PW_DOCUMENT_INIT;
    PW_STR_AUTO text = PW_STR_INIT;
    struct pw_err err = PW_ERR_INIT;
    pw_document_cell(&document, "no table"); /* also how running out of memory ends */
    assert_int_equal(pw_document_to_markdown(&document, &text, &err), -1);
    assert_int_equal(err.cls, PW_ERR_MEMORY);
    assert_int_equal(pw_document_to_text(&document, false, &text, NULL), -1);
}

static void test_numbers(void **state)
{
    char buffer[PW_NUMBER_MAX];
    (void)state;
    assert_string_equal(pw_report_number(buffer, pw_value_of(1.23456), 3), "1.235");
    assert_string_equal(pw_report_number(buffer, pw_value_of(0), 0), "0");
    assert_string_equal(pw_report_number(buffer, pw_value_absent(PW_ABSENT_NO_SAMPLES), 3), "n/a");
    assert_string_equal(pw_report_number(buffer, pw_value_of(1e300), 3), "1.0000000000000001e+300");
}

/* Three iterations of two workers; one worker failed; every metric of workers has the value 4. */
static struct pw_summary *make_summary_with(bool optional)
{
    struct pw_run_record run;
    struct pw_err err = PW_ERR_INIT;
    pw_run_record_init(&run);
    run.run_dir = strdup("/tmp/run");
    run.command = strdup("tool 'a|b'");
    run.config_path = strdup("");
    run.stop_detail = strdup("interrupted by signal 2");
    run.stop = PW_STOP_INTERRUPTED;
    run.profile = json_pack("{s:n, s:s, s:i, s:i, s:i}", "name", "phase", "measure", "concurrency",
                            2, "warmup", 1, "iterations", 3);
    run.environment = json_pack("{s:s, s:{s:i, s:[s, s]}}", "kernel", "6.1", "cgroup", "version", 2,
                                "controllers", "cpu", "pids");
    for (unsigned i = 1; i <= 3; i++) {
        struct pw_iteration_record iteration;
        assert_int_equal(pw_iteration_record_init(&iteration, i, 2, &err), 0);
        for (unsigned w = 0; w < 2; w++) {
            struct pw_worker_record *worker = &iteration.workers[w];
            worker->end = PW_END_EXITED;
            worker->return_code = i == 2 && w == 1 ? 3 : 0;
            worker->started_at_ns = 0;
            worker->ended_at_ns = (int64_t)(100 + i * 10 + w) * 1000000;
            worker->duration_ms = 100 + i * 10 + w;
            for (size_t m = 0; m < PW_METRIC_COUNT; m++) {
                if (optional || !pw_metrics[m].optional) {
                    worker->values[m] = pw_value_of(4);
                }
            }
        }
        assert_int_equal(pw_iteration_fold(&iteration, NULL), 0);
        assert_int_equal(pw_run_record_append(&run, &iteration, &err), 0);
    }
    struct pw_orphan orphan = {.iteration = 2, .worker_id = 1, .pid = 77, .comm = "left-over"};
    assert_int_equal(pw_run_record_add_orphan(&run, &orphan, &err), 0);
    assert_int_equal(pw_run_record_warn(&run, "outliers", "be quiet", NULL, "%d odd", 2), 0);
    struct pw_summary *summary = pw_summary_build(&run, &err);
    pw_run_record_done(&run);
    assert_non_null(summary);
    return summary;
}

/* A run of plain commands. */
static struct pw_summary *make_summary(void)
{
    return make_summary_with(false);
}

static void render(const char *name, const struct pw_summary *summary, struct pw_str *text)
{
    struct pw_err err = PW_ERR_INIT;
    const struct pw_exporter *exporter = pw_exporter_find(name);
    assert_non_null(exporter);
    assert_int_equal(exporter->render(summary, (struct pw_export_style){0}, text, &err), 0);
}

static void assert_has(const struct pw_str *text, const char *part)
{
    if (!strstr(text->text, part)) {
        fail_msg("`%s` is not in:\n%s", part, text->text);
    }
}

static void test_full_report(void **state)
{
    (void)state;
    struct pw_summary *summary = make_summary();
    PW_STR_AUTO text = PW_STR_INIT;
    render("md", summary, &text);
    assert_has(&text, "- Command: `tool 'a|b'`\n");
    assert_has(&text, "- Stopped because: `interrupted by signal 2`\n");
    assert_has(&text, "- **outliers**: 2 odd\n  be quiet\n");
    assert_has(&text, "- Successful runs: `5`\n- Failed runs: `1`\n");
    assert_has(&text, "| latency_ms | 121.000 | 121.000 | 130.000 | 111.000 | 131.000 |\n");
    assert_has(&text, "| max_rss_mb | 4.00 | 4.00 | 4.00 | 4.00 | 4.00 |\n");
    assert_has(&text, "| build_cmd | 4.000 | 4.000 | 4.000 |\n");
    assert_has(&text, "| sampled_mean_tree_cpu_pct | 4.00 | 4.00 | 4.00 | n/a |\n");
    assert_has(&text, "| stability | failed_runs_total | 1 |\n");
    assert_has(&text, "| turn | n/a | n/a | n/a | n/a | n/a |\n");
    assert_has(&text, "| left-over | 2 | 1 | 77 | no |\n");
    assert_has(&text, "- cgroup.controllers: `cpu pids`\n");
    assert_has(&text, "## Observer\n");
    assert_has(&text, "| 2 | 1 | 2 | 1 | 1 | 121.000 | 4.00 | n/a |\n");
    assert_null(strstr(text.text, "max_rss_kb")); /* repeated in MiB */
    pw_summary_free(summary);
}

static void test_machines(void **state)
{
    (void)state;
    struct pw_run_record run;
    struct pw_err err = PW_ERR_INIT;
    make_machines_sample(&run);
    struct pw_summary *summary = pw_summary_build(&run, &err);
    pw_run_record_done(&run);
    assert_non_null(summary);
    PW_STR_AUTO text = PW_STR_INIT;
    render("md", summary, &text);
    assert_has(&text, "## Verdicts\n");
    assert_has(&text, "- ok: `2`\n- guest_command_failed: `1`\n");
    assert_has(&text, "| 2 | 1 | 3 | guest_command_failed | the command returned 3");
    assert_has(&text, "| teardown_ms | 15.000 | 15.000 | 15.000 |\n");
    assert_has(&text, "## Virtual Machine\n");
    assert_has(&text, "- accel: `tcg`\n");
    pw_str_clear(&text);
    render("text", summary, &text);
    assert_has(&text, "ok 2, guest_command_failed 1\n");
    assert_has(&text, "iteration 2, worker 1: guest_command_failed: the command returned 3\n");
    assert_null(strstr(text.text, "last line"));
    pw_summary_free(summary);
}

/* No metric is left out of the report by its path: each has a row, but those in KiB that repeat one
 * in MiB. */
static void test_every_metric_has_a_row(void **state)
{
    (void)state;
    struct pw_summary *summary = make_summary_with(true);
    PW_STR_AUTO text = PW_STR_INIT;
    render("md", summary, &text);
    for (size_t m = 0; m < PW_METRIC_COUNT; m++) {
        const struct pw_metric *metric = &pw_metrics[m];
        const char *dot = strrchr(metric->path, '.');
        bool own_form = metric->stats == PW_STATS_SCALAR || strncmp(metric->path, "otel_", 5) == 0;
        if (own_form || strcmp(metric->path, "max_rss_kb") == 0 ||
            strcmp(metric->path, "process_tree_sampled.peak_tree_rss_kb") == 0) {
            continue;
        }
        char by_path[128], by_key[128];
        snprintf(by_path, sizeof by_path, "\n| %s |", dot ? dot + 1 : metric->path);
        snprintf(by_key, sizeof by_key, "\n| %s |", metric->key ? metric->key : "no such row");
        if (!strstr(text.text, by_path) && !strstr(text.text, by_key)) {
            fail_msg("no row for %s", metric->path);
        }
    }
    pw_summary_free(summary);
}

static void test_short_report(void **state)
{
    (void)state;
    struct pw_summary *summary = make_summary();
    PW_STR_AUTO text = PW_STR_INIT;
    render("text", summary, &text);
    assert_has(&text, "tool 'a|b'\n");
    assert_has(&text, "interrupted by signal 2\n");
    assert_has(&text, "p50 120.000 ms, p95 130.800 ms, p99 130.960 ms\n");
    assert_has(&text, "(95 % interval)\n");
    assert_has(&text, "1 of 6 workers, 0 timed out\n");
    assert_has(&text, "warning: 2 odd [outliers]\n  be quiet\n");
    assert_null(strchr(text.text, '\x1b'));
    pw_summary_free(summary);
}

static void test_marks(void **state)
{
    (void)state;
    struct pw_run_record run;
    make_moments_sample(&run);
    struct pw_summary *summary = pw_summary_build(&run, NULL);
    PW_STR_AUTO full = PW_STR_INIT;
    PW_STR_AUTO brief = PW_STR_INIT;
    render("md", summary, &full);
    render("text", summary, &brief);
    assert_has(&full, "## Marks (ms from spawn)\n\n| Mark | Count | Mean | P50 |");
    assert_has(&full, "\n| ready | 5 | 32.000 | 30.000 | 56.000 | 59.200 | 10.000 | 60.000 |");
    assert_has(&full, "\n| never | 0 | n/a | n/a |");
    assert_has(&full, "## Phases (ms)\n\n| Up to | Count |");
    assert_has(&full, "\n| end | 5 | 71.000 |");
    assert_has(&brief, "ready: p50 30.000 ms, p95 56.000 ms, max 60.000 ms\n");
    assert_has(&brief, "never: never came in a successful run\n");
    pw_summary_free(summary);
    pw_run_record_done(&run);

    summary = make_summary();
    pw_str_clear(&full);
    pw_str_clear(&brief);
    render("md", summary, &full);
    render("text", summary, &brief);
    assert_null(strstr(full.text, "Marks"));
    assert_null(strstr(full.text, "Phases"));
    assert_null(strstr(brief.text, "Marks"));
    pw_summary_free(summary);
}

static void test_many_marks(void **state)
{
    (void)state;
    struct pw_moment_names names = {.count = PW_LIMIT_MOMENTS};
    struct moment_worker worker = {.duration_ms = 100};
    struct pw_run_record run;
    PW_STR_AUTO brief = PW_STR_INIT;
    for (size_t i = 0; i < names.count; i++) {
        snprintf(names.names[i], sizeof names.names[i], "m%zu", i);
        worker.at_ms[i] = (double)i;
    }
    pw_run_record_init(&run);
    add_moment_iteration(&run, &names, &worker, 1);
    struct pw_summary *summary = pw_summary_build(&run, NULL);
    render("text", summary, &brief);
    assert_has(&brief, "m7: p50 7.000 ms");
    assert_null(strstr(brief.text, "m8: "));
    assert_has(&brief, "24 further marks are in summary.json\n");
    pw_summary_free(summary);
    pw_run_record_done(&run);
}

static void test_json_is_the_document(void **state)
{
    (void)state;
    struct pw_summary *summary = make_summary();
    PW_STR_AUTO text = PW_STR_INIT;
    render("json", summary, &text);
    json_t *read = json_loads(text.text, 0, NULL);
    char *again = pw_json_dump(read, NULL);
    assert_string_equal(again, text.text);
    free(again);
    assert_int_equal(text.text[text.length - 1], '\n');
    json_decref(read);
    pw_summary_free(summary);
}

static void test_table_of_exporters(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_EXPORTER_COUNT; i++) {
        assert_ptr_equal(pw_exporter_find(pw_exporters[i].name), &pw_exporters[i]);
        assert_int_equal(pw_exporters[i].file_name == NULL, pw_exporters[i].result_key == NULL);
    }
    assert_null(pw_exporter_find("xml"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_markdown),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_failure_is_told),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_full_report),
        cmocka_unit_test(test_machines),
        cmocka_unit_test(test_every_metric_has_a_row),
        cmocka_unit_test(test_short_report),
        cmocka_unit_test(test_json_is_the_document),
        cmocka_unit_test(test_table_of_exporters),
        cmocka_unit_test(test_marks),
        cmocka_unit_test(test_many_marks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
