/*
 * GitHub Actions: the text report, which is what one reads in the job's log, then a workflow
 * command for each bound that is not kept, which makes it an annotation. A command is a line that
 * begins with "::"; no line of the text report does. Escaping as GitHub's own toolkit has it: % CR
 * LF in the message, and also : and , in a property.
 */
#include <string.h>
#include "sla/check_impl.h"

static void add_escaped(struct pw_str *out, const char *text, bool property)
{
    for (const char *c = text; *c; c++) {
        if (*c == '%' || *c == '\r' || *c == '\n' || (property && (*c == ':' || *c == ','))) {
            pw_str_addf(out, "%%%02X", (unsigned)*c);
        } else {
            pw_str_add_char(out, *c);
        }
    }
}

static void add_command(struct pw_str *out, const char *command,
                        const struct pw_check_report *report, const char *word, const char *message)
{
    PW_STR_AUTO title = PW_STR_INIT;
    pw_str_add(&title, "perfwrap ");
    pw_check_add_clean(&title, report->label);
    pw_str_addf(&title, ": %s", word);
    pw_str_addf(out, "::%s title=", command);
    add_escaped(out, title.text, true);
    pw_str_add(out, "::");
    add_escaped(out, message, false);
    pw_str_add_char(out, '\n');
    out->failed = out->failed || title.failed;
}

static void add_result(struct pw_str *out, const struct pw_check_report *report,
                       const struct pw_check_result *result, bool tell_apart)
{
    enum pw_check_row row = pw_check_row_of(result, tell_apart);
    bool breaks = result->taken_for != PW_VERDICT_PASS && row != PW_ROW_WARN;
    PW_STR_AUTO message = PW_STR_INIT;
    if (row == PW_ROW_PASS || row == PW_ROW_SKIPPED) {
        return;
    }
    pw_check_add_row(&message, result);
    pw_str_add(&message, "\nin ");
    pw_check_add_clean(&message, report->path);
    add_command(out, breaks ? "error" : "warning", report, pw_check_row_word(row), message.text);
    out->failed = out->failed || message.failed;
}

int pw_check_to_github(const struct pw_check_reports *reports, struct pw_str *ret_text,
                       struct pw_err *err)
{
    if (pw_check_to_text(reports, ret_text, err) != 0) {
        return -1;
    }
    for (size_t i = 0; i < reports->count; i++) {
        const struct pw_check_report *report = &reports->items[i];
        for (size_t k = 0; k < report->count; k++) {
            add_result(ret_text, report, &report->results[k], reports->tell_apart);
        }
    }
    return ret_text->failed ? pw_err_memory(err) : 0;
}
