/* The report as Markdown: a heading and a table for each summary. */
#include "sla/check_impl.h"

static void add_row(struct pw_document *document, const struct pw_check_result *result,
                    enum pw_check_row row)
{
    PW_STR_AUTO value = PW_STR_INIT;
    PW_STR_AUTO interval = PW_STR_INIT;
    PW_STR_AUTO limit = PW_STR_INIT;
    if (pw_value_is_present(result->value)) {
        pw_check_add_value(&value, result);
    } else {
        pw_str_add(&value, "unavailable");
    }
    pw_check_add_interval(&interval, result);
    pw_check_add_limit(&limit, result);
    bool taken = result->taken_for != result->verdict;
    pw_document_cell(document, "%s", pw_check_row_word(row));
    pw_document_cell(document, "%s", result->bound->label);
    pw_document_cell(document, "%s%s%s", result->reason ? result->reason : "",
                     taken ? "; taken for " : "", taken ? pw_verdict_name(result->taken_for) : "");
    pw_document_cell(document, "%s", value.text);
    pw_document_cell(document, "%s", interval.text);
    pw_document_cell(document, "%s", limit.text);
    document->failed = document->failed || value.failed || interval.failed || limit.failed;
}

static void add_report(struct pw_document *document, const struct pw_check_report *report,
                       bool tell_apart)
{
    static const char *const headers[] = {"Verdict", "Number",        "Why",
                                          "Value",   "95 % interval", "Bound"};
    PW_STR_AUTO title = PW_STR_INIT;
    size_t skipped = 0;
    pw_str_addf(&title, "%s: %s", report->label,
                pw_check_verdict_word(pw_check_verdict(report, tell_apart)));
    document->failed = document->failed || title.failed;
    pw_document_heading(document, 3, title.text);
    pw_document_field(document, "Summary", "%s", report->path);
    pw_document_table(document, headers, 6, 3);
    for (int row = PW_ROW_FAIL; row >= PW_ROW_PASS; row--) {
        for (size_t i = 0; i < report->count; i++) {
            if (pw_check_row_of(&report->results[i], tell_apart) == (enum pw_check_row)row) {
                add_row(document, &report->results[i], (enum pw_check_row)row);
            }
        }
    }
    for (size_t i = 0; i < report->count; i++) {
        skipped += report->results[i].verdict == PW_VERDICT_SKIPPED;
    }
    if (skipped > 0) {
        pw_document_paragraph(document, "%zu further bound%s did not apply to this summary.",
                              skipped, skipped == 1 ? "" : "s");
    }
}

static void add_matrix(struct pw_document *document, const struct pw_check_reports *reports)
{
    static const char *const headers[] = {"Profile", "Verdict"};
    pw_document_heading(document, 3, "Profile matrix");
    pw_document_table(document, headers, 2, 2);
    for (size_t i = 0; i < reports->count; i++) {
        enum pw_verdict verdict = pw_check_verdict(&reports->items[i], reports->tell_apart);
        pw_document_cell(document, "%s", reports->items[i].label);
        pw_document_cell(document, "%s", pw_check_verdict_word(verdict));
    }
}

int pw_check_to_markdown(const struct pw_check_reports *reports, struct pw_str *ret_text,
                         struct pw_err *err)
{
    PW_DOCUMENT_AUTO document = PW_DOCUMENT_INIT;
    for (size_t i = 0; i < reports->count; i++) {
        add_report(&document, &reports->items[i], reports->tell_apart);
    }
    if (reports->matrix) {
        add_matrix(&document, reports);
    }
    return pw_document_to_markdown(&document, ret_text, err);
}
