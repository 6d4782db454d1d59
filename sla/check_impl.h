/* What the evaluator and the reports share. */
#ifndef PW_SLA_CHECK_IMPL_H
#define PW_SLA_CHECK_IMPL_H

#include "core/document.h"
#include "core/str.h"
#include "sla/check.h"

/* A row as a report names it: the verdict it counts as, and in which form it is shown. */
enum pw_check_row {
    PW_ROW_PASS,
    PW_ROW_WARN, /* severity warning, and not kept */
    PW_ROW_INCONCLUSIVE,
    PW_ROW_NO_DATA,
    PW_ROW_FAIL,
    PW_ROW_SKIPPED,
};
/* Missing data is PW_ROW_FAIL, unless it is told apart. */
enum pw_check_row pw_check_row_of(const struct pw_check_result *result, bool tell_apart);
const char *pw_check_row_word(enum pw_check_row row); /* "PASS", … "NO DATA" */
/* "PASS", "FAIL", "INCONCLUSIVE", "NO DATA": of a whole report. */
const char *pw_check_verdict_word(enum pw_verdict verdict);

/* "NAME=VALUE <= LIMIT" or "NAME unavailable; limit=LIMIT", as the contract writes them; of own
 * expressions with the unit, and with why. */
void pw_check_add_row(struct pw_str *out, const struct pw_check_result *result);
/* The parts of it: "5.25", "[4, 6.5]" (nothing if there is no interval), "<= 6 ms". */
void pw_check_add_value(struct pw_str *out, const struct pw_check_result *result);
void pw_check_add_interval(struct pw_str *out, const struct pw_check_result *result);
void pw_check_add_limit(struct pw_str *out, const struct pw_check_result *result);
/* The shortest decimal that reads back the same, with ".0" if it is whole: "6.0", "1e+16". */
void pw_check_add_shortest(struct pw_str *out, double number);
/* Text from outside in a line of a report: control characters become blanks. */
void pw_check_add_clean(struct pw_str *out, const char *text);

int pw_check_to_text(const struct pw_check_reports *reports, struct pw_str *ret_text,
                     struct pw_err *err);
int pw_check_to_json(const struct pw_check_reports *reports, struct pw_str *ret_text,
                     struct pw_err *err);
int pw_check_to_markdown(const struct pw_check_reports *reports, struct pw_str *ret_text,
                         struct pw_err *err);
int pw_check_to_junit(const struct pw_check_reports *reports, struct pw_str *ret_text,
                      struct pw_err *err);
int pw_check_to_github(const struct pw_check_reports *reports, struct pw_str *ret_text,
                       struct pw_err *err);

#endif
