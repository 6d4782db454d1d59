/* exporters: what the reports say of what the command reported about itself. */
#include "core/json.h"
#include "core/summary.h"
#include "exporters/exporter.h"
#include "exporters/report.h"
#include "tests/unit/sample_run.h"

static void render(const char *name, const struct pw_summary *summary, struct pw_str *text)
{
    const struct pw_exporter *exporter = pw_exporter_find(name);
    assert_non_null(exporter);
    assert_int_equal(exporter->render(summary, (struct pw_export_style){0}, text, NULL), 0);
}

static struct pw_summary *make_summary(bool reporting)
{
    struct pw_run_record run;
    make_sample(&run);
    if (reporting) {
        add_reporting_iteration(&run);
        run.strays.unknown_path = 4;
    }
    struct pw_summary *summary = pw_summary_build(&run, NULL);
    pw_run_record_done(&run);
    assert_non_null(summary);
    return summary;
}

static void test_sections(void **state)
{
    (void)state;
    struct pw_summary *summary = make_summary(true);
    PW_STR_AUTO text = PW_STR_INIT;
    render("md", summary, &text);
    assert_contains(text.text,
                    "## Telemetry\n\n"
                    "- Received: `6 payloads (2 of metrics, 1 of traces, 3 of logs), 4096 bytes`\n"
                    "- In them: `14 datapoints, 3 spans, 9 log records`\n"
                    "- Spans of the workers' traces: `2`\n"
                    "- Payloads lost: `late 1, too_large 2`\n"
                    "- Left out: `span_limit 5, unknown_path 4`\n");
    assert_contains(text.text,
                    "| Action | Source | Count | Failures | Total (ms) | Mean | P50 | P95 | P99 | "
                    "Min | Max | Stddev |\n");
    assert_contains(text.text, "| patch | histogram (estimated) | 4 | 2 | 100000.000 | 25000.000 | "
                               "20000.000 | 47000.000 | 49400.000 | 10000.000 | 50000.000 | n/a |\n"
                               "| read | log | 1 | 0 |");
    assert_contains(text.text, "| exec | log | 3 | 1 | 90.000 | 30.000 | 20.000 | 56.000 |");
    assert_contains(text.text, "| turn | 1 | 0 | 80.000 | 100.000 |");
    assert_contains(text.text, "| call | 2 | 1 | 20.000 | 20.000 | 10.000 | 10.000 |");
    /* Turns, actions and streams come first, then the others by name. */
    assert_contains(text.text,
                    "|\n| codex.tool.call | sum |  | 4 | n/a | 6 | n/a | n/a | n/a | n/a "
                    "|\n"
                    "| codex.turn.queue_ms | histogram | ms | 1 | 4 | 100 | 25 | 20 | 47 "
                    "| 50 |\n"
                    "| agent.queue.depth | gauge | {item} | 3 | 3 | 2 | 3 | n/a | n/a | 4 "
                    "|\n");
    assert_contains(text.text,
                    "| latency | exponential_histogram | s | 1 | 2 | 3 | 1.5 | 1.41421 |");
    assert_contains(text.text, "- Telemetry lost: `3`\n"); /* among the totals */
    pw_summary_free(summary);
}

static void test_nothing_came(void **state)
{
    (void)state;
    struct pw_summary *summary = make_summary(false);
    PW_STR_AUTO full = PW_STR_INIT;
    PW_STR_AUTO brief = PW_STR_INIT;
    render("md", summary, &full);
    render("text", summary, &brief);
    assert_null(strstr(full.text, "## Telemetry"));
    assert_null(strstr(full.text, "## Actions"));
    assert_null(strstr(full.text, "## Spans"));
    assert_null(strstr(full.text, "## Metrics of the Target"));
    assert_null(strstr(brief.text, "Telemetry"));
    pw_summary_free(summary);
}

static void test_short_report(void **state)
{
    (void)state;
    struct pw_summary *summary = make_summary(true);
    PW_STR_AUTO text = PW_STR_INIT;
    render("text", summary, &text);
    assert_contains(text.text, "Telemetry   6 payloads: 14 datapoints, 3 spans, 9 log records\n"
                               "            3 payloads are not in the numbers\n");
    pw_summary_free(summary);
}

/* Blocks without a summary around them, as `perfwrap collect` has them. */
static void test_blocks_alone(void **state)
{
    (void)state;
    const struct pw_telemetry telemetry = {0};
    bool failed = false;
    json_t *root = json_object();
    PW_DOCUMENT_AUTO document = PW_DOCUMENT_INIT;
    PW_STR_AUTO text = PW_STR_INIT;
    assert_false(pw_report_telemetry(root, &document));
    assert_false(pw_report_telemetry(NULL, &document));
    pw_json_put(root, "telemetry", pw_telemetry_counts_to_json(&telemetry, &failed), &failed);
    assert_false(pw_report_telemetry(root, &document));
    assert_int_equal(document.count, 0);
    pw_json_put(root, "strays", json_pack("{s:i, s:i}", "unknown_path", 2, "unauthorized", 0),
                &failed);
    assert_true(pw_report_telemetry(root, &document));
    assert_false(failed);
    assert_int_equal(pw_document_to_text(&document, false, &text, NULL), 0);
    assert_contains(text.text, "Payloads lost                 none\n"
                               "Left out                      unknown_path 2\n");
    json_decref(root);
}

static json_t *numbered(const char *key, size_t i, const char *family)
{
    char name[16];
    snprintf(name, sizeof name, "n%03zu", i);
    return json_pack("{s:s, s:s, s:s, s:[s], s:f}", "name", name, "type", "sum", "unit", "",
                     "families", family, key, (double)i);
}

static void test_long_lists_are_cut(void **state)
{
    (void)state;
    json_t *actions = json_array(), *spans = json_array(), *metrics = json_object();
    for (size_t i = 0; i < 100; i++) {
        char name[16];
        snprintf(name, sizeof name, "m%03zu", i);
        json_array_append_new(actions, numbered("total_ms", i, "turn"));
        json_array_append_new(spans, numbered("self_ms", i, "turn"));
        json_object_set_new(metrics, name, numbered("total", i, i == 99 ? "stream" : "queue"));
    }
    json_t *root = json_pack("{s:o, s:o, s:o}", "otel_actions", actions, "otel_spans", spans,
                             "otel_metrics", metrics);
    PW_DOCUMENT_AUTO document = PW_DOCUMENT_INIT;
    PW_STR_AUTO text = PW_STR_INIT;
    pw_report_telemetry(root, &document);
    assert_int_equal(pw_document_to_markdown(&document, &text, NULL), 0);
    assert_contains(text.text, "| n029 |");
    assert_null(strstr(text.text, "| n030 |"));
    assert_contains(text.text, "70 further actions are in");
    assert_contains(text.text, "85 further spans are in");
    assert_contains(text.text, "70 further metrics are in");
    assert_contains(text.text, "| m028 |"); /* and m099, which is of a family, before them */
    assert_null(strstr(text.text, "| m029 |"));
    assert_true(strstr(text.text, "| m099 |") < strstr(text.text, "| m000 |"));
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sections),           cmocka_unit_test(test_nothing_came),
        cmocka_unit_test(test_short_report),       cmocka_unit_test(test_blocks_alone),
        cmocka_unit_test(test_long_lists_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
