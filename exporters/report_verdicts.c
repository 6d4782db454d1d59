/* Verdicts on workers of a kind that is judged, such as virtual machines, in the reports. */
#include <string.h>
#include "exporters/report.h"

enum {
    SHOWN_FAILURES = 4,    /* lines of the short report */
    LISTED_FAILURES = 200, /* rows of the full one */
};

/* Of `object`, a run's `summary`: "ok 3, timeout 1". */
static void add_counts(const json_t *counts, struct pw_str *text)
{
    const char *name = NULL;
    const json_t *count = NULL;
    /* jansson's iterator takes a pointer that is not const but changes nothing. */
    json_object_foreach((json_t *)counts, name, count)
    {
        pw_str_addf(text, "%s%s %" JSON_INTEGER_FORMAT, text->length > 0 ? ", " : "", name,
                    json_integer_value(count));
    }
}

static bool has_failed(const json_t *worker)
{
    struct pw_value code = pw_report_number_in(worker, "return_code");
    return json_object_get(worker, "verdict") && pw_value_is_present(code) && code.number != 0;
}

/* Calls `add` for the first `most` judged workers that failed; returns how many there are. */
static size_t each_failure(const struct pw_summary *summary, size_t most,
                           void (*add)(const json_t *run, const json_t *worker,
                                       struct pw_document *document),
                           struct pw_document *document)
{
    const json_t *runs = json_object_get(pw_summary_root(summary), "runs");
    size_t found = 0;
    for (size_t i = 0; i < json_array_size(runs); i++) {
        const json_t *run = json_array_get(runs, i);
        const json_t *workers = json_object_get(run, "worker_results");
        for (size_t j = 0; j < json_array_size(workers); j++) {
            const json_t *worker = json_array_get(workers, j);
            if (!has_failed(worker)) {
                continue;
            }
            if (found++ < most) {
                add(run, worker, document);
            }
        }
    }
    return found;
}

static const json_t *counts_of(const struct pw_summary *summary)
{
    return json_object_get(json_object_get(pw_summary_root(summary), "summary"), "verdicts");
}

static void add_row(const json_t *run, const json_t *worker, struct pw_document *document)
{
    static const char *const keys[] = {"worker_id", "return_code"};
    char buffer[PW_NUMBER_MAX];
    pw_document_cell(document, "%s",
                     pw_report_number(buffer, pw_report_number_in(run, "iteration"), 0));
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        pw_document_cell(document, "%s",
                         pw_report_number(buffer, pw_report_number_in(worker, keys[i]), 0));
    }
    pw_document_cell(document, "%s", pw_report_string_or(worker, "verdict", "n/a"));
    pw_document_cell(document, "%s", pw_report_string_or(worker, "verdict_detail", ""));
}

void pw_report_verdicts(const struct pw_summary *summary, struct pw_document *document)
{
    static const char *const headers[] = {"Iteration", "Worker", "Return code", "Verdict",
                                          "Detail"};
    const json_t *counts = counts_of(summary);
    const char *name = NULL;
    const json_t *count = NULL;
    if (json_object_size(counts) == 0) {
        return;
    }
    pw_document_heading(document, 2, "Verdicts");
    json_object_foreach((json_t *)counts, name, count)
    {
        pw_document_field(document, name, "%" JSON_INTEGER_FORMAT, json_integer_value(count));
    }
    if (each_failure(summary, 0, add_row, document) == 0) {
        return;
    }
    pw_document_heading(document, 3, "Failed Workers");
    pw_document_table(document, headers, sizeof headers / sizeof *headers, 3);
    size_t found = each_failure(summary, LISTED_FAILURES, add_row, document);
    if (found > LISTED_FAILURES) {
        pw_document_paragraph(document, "%zu further failed workers are in summary.json.",
                              found - LISTED_FAILURES);
    }
}

/* The first line of a detail: it may be the end of a console. */
static void add_line(const json_t *run, const json_t *worker, struct pw_document *document)
{
    char iteration[PW_NUMBER_MAX], id[PW_NUMBER_MAX];
    const char *detail = pw_report_string_or(worker, "verdict_detail", "");
    int length = (int)strcspn(detail, "\r\n");
    pw_document_bad_field(document, "", "iteration %s, worker %s: %s%s%.*s",
                          pw_report_number(iteration, pw_report_number_in(run, "iteration"), 0),
                          pw_report_number(id, pw_report_number_in(worker, "worker_id"), 0),
                          pw_report_string_or(worker, "verdict", "n/a"), length > 0 ? ": " : "",
                          length, detail);
}

void pw_report_verdicts_short(const struct pw_summary *summary, struct pw_document *document)
{
    const json_t *counts = counts_of(summary);
    PW_STR_AUTO text = PW_STR_INIT;
    if (json_object_size(counts) == 0) {
        return;
    }
    add_counts(counts, &text);
    document->failed = document->failed || text.failed;
    pw_document_field(document, "Verdicts", "%s", text.text);
    size_t found = each_failure(summary, SHOWN_FAILURES, add_line, document);
    if (found > SHOWN_FAILURES) {
        pw_document_field(document, "", "%zu further failed workers are in summary.json",
                          found - SHOWN_FAILURES);
    }
}
