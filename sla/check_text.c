/* The contract's report, section 7: the passes, then what else there is, the failures last. */
#include "sla/check_impl.h"

static void add_rows(struct pw_str *out, const struct pw_check_report *report, bool tell_apart,
                     enum pw_check_row row)
{
    for (size_t i = 0; i < report->count; i++) {
        const struct pw_check_result *result = &report->results[i];
        if (pw_check_row_of(result, tell_apart) == row) {
            pw_str_addf(out, "%s: ", pw_check_row_word(row));
            pw_check_add_row(out, result);
            pw_str_add_char(out, '\n');
        }
    }
}

static void add_report(struct pw_str *out, const struct pw_check_report *report, bool tell_apart)
{
    pw_str_add_char(out, '[');
    pw_check_add_clean(out, report->label);
    pw_str_add(out, "] summary=");
    pw_check_add_clean(out, report->path);
    pw_str_add_char(out, '\n');
    for (enum pw_check_row row = PW_ROW_PASS; row <= PW_ROW_FAIL; row++) {
        add_rows(out, report, tell_apart, row);
    }
}

int pw_check_to_text(const struct pw_check_reports *reports, struct pw_str *ret_text,
                     struct pw_err *err)
{
    for (size_t i = 0; i < reports->count; i++) {
        add_report(ret_text, &reports->items[i], reports->tell_apart);
    }
    if (reports->matrix) {
        pw_str_add(ret_text, "\nprofile matrix:\n");
    }
    for (size_t i = 0; i < reports->count && reports->matrix; i++) {
        enum pw_verdict verdict = pw_check_verdict(&reports->items[i], reports->tell_apart);
        pw_str_add(ret_text, "- ");
        pw_check_add_clean(ret_text, reports->items[i].label);
        pw_str_addf(ret_text, ": %s\n", pw_check_verdict_word(verdict));
    }
    return ret_text->failed ? pw_err_memory(err) : 0;
}
