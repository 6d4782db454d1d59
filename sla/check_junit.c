/*
 * JUnit XML as Jenkins reads it: a testsuite for each summary, a testcase for each bound. A breach
 * is a failure; what could not be decided, for want of data or for noise, is an error; a bound that
 * does not apply is skipped. A warning, and noise that is taken for a pass, is a passed testcase
 * with the row as its output. Times are left out: a check is not what took time.
 */
#include <string.h>
#include "core/json_reader.h"
#include "sla/check_impl.h"

/* The length of the character at `text` if it is one that XML 1.0 allows, else 0. */
static size_t character_length(const char *text)
{
    const unsigned char *byte = (const unsigned char *)text;
    size_t length = byte[0] < 0x80 ? 1 : byte[0] < 0xe0 ? 2 : byte[0] < 0xf0 ? 3 : 4;
    if (length == 1) {
        return byte[0] >= 0x20 || strchr("\t\n\r", byte[0]) ? 1 : 0;
    }
    if (strnlen(text, length) < length || !pw_utf8_is_valid(text, length)) {
        return 0;
    }
    /* U+FFFE and U+FFFF are no characters. */
    bool none = byte[0] == 0xef && byte[1] == 0xbf && byte[2] >= 0xbe;
    return none ? 0 : length;
}

static const char *entity_of(char c)
{
    switch (c) {
    case '&': return "&amp;";
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '"': return "&quot;";
    /* As they are, they would be blanks in an attribute. */
    case '\t': return "&#9;";
    case '\n': return "&#10;";
    case '\r': return "&#13;";
    default: return NULL;
    }
}

/* For an attribute's value, and for text: the same escapes serve both. */
static void add_escaped(struct pw_str *out, const char *text)
{
    while (*text) {
        size_t length = character_length(text);
        const char *entity = entity_of(*text);
        if (length == 0) {
            pw_str_add(out, "\xef\xbf\xbd"); /* U+FFFD */
            length = 1;
        } else if (entity) {
            pw_str_add(out, entity);
        } else {
            pw_str_add_bytes(out, text, length);
        }
        text += length;
    }
}

static void add_attribute(struct pw_str *out, const char *name, const char *value)
{
    pw_str_addf(out, " %s=\"", name);
    add_escaped(out, value);
    pw_str_add_char(out, '"');
}

/* What a result is to JUnit. */
enum outcome { PASSED, NOTED, FAILED, UNDECIDED, SKIPPED, OUTCOME_COUNT };

static enum outcome outcome_of(const struct pw_check_result *result)
{
    if (result->verdict == PW_VERDICT_SKIPPED) {
        return SKIPPED;
    }
    if (pw_check_row_of(result, true) == PW_ROW_WARN) {
        return NOTED;
    }
    switch (result->taken_for) {
    case PW_VERDICT_PASS: return result->verdict == PW_VERDICT_PASS ? PASSED : NOTED;
    case PW_VERDICT_NO_DATA:
    case PW_VERDICT_INCONCLUSIVE: return UNDECIDED;
    case PW_VERDICT_FAIL:
    case PW_VERDICT_SKIPPED:
    case PW_VERDICT_COUNT: break;
    }
    return FAILED;
}

/* Test histories go by the name, so it has no limit in it, unless two bounds are on one number. */
static void add_name(struct pw_str *out, const struct pw_check_report *report, size_t at)
{
    const struct pw_bound *bound = report->results[at].bound;
    size_t same = 0;
    for (size_t i = 0; i < report->count; i++) {
        same += strcmp(report->results[i].bound->label, bound->label) == 0;
    }
    pw_str_add(out, same > 1 ? bound->text : bound->label);
}

static void add_outcome(struct pw_str *out, const struct pw_check_result *result,
                        enum outcome outcome)
{
    PW_STR_AUTO row = PW_STR_INIT;
    if (outcome == SKIPPED) {
        pw_str_add(out, "<skipped");
        add_attribute(out, "message", result->reason ? result->reason : "");
        pw_str_add(out, "/>");
        return;
    }
    pw_check_add_row(&row, result);
    if (outcome == NOTED) {
        pw_str_addf(out, "<system-out>%s: ", pw_check_row_word(pw_check_row_of(result, true)));
        add_escaped(out, row.text);
        pw_str_add(out, "</system-out>");
    } else {
        const char *element = outcome == FAILED ? "failure" : "error";
        pw_str_addf(out, "<%s type=\"%s\"", element, pw_verdict_name(result->verdict));
        add_attribute(out, "message", row.text);
        pw_str_add_char(out, '>');
        add_escaped(out, row.text);
        pw_str_add_char(out, '\n');
        add_escaped(out, result->bound->text);
        if (result->reason) {
            pw_str_add_char(out, '\n');
            add_escaped(out, result->reason);
        }
        pw_str_addf(out, "</%s>", element);
    }
    out->failed = out->failed || row.failed;
}

static void add_case(struct pw_str *out, const struct pw_check_report *report, size_t at)
{
    enum outcome outcome = outcome_of(&report->results[at]);
    PW_STR_AUTO class_name = PW_STR_INIT;
    PW_STR_AUTO name = PW_STR_INIT;
    pw_str_addf(&class_name, "perfwrap.%s", report->label);
    add_name(&name, report, at);
    pw_str_add(out, "    <testcase");
    add_attribute(out, "classname", class_name.text);
    add_attribute(out, "name", name.text);
    out->failed = out->failed || class_name.failed || name.failed;
    if (outcome == PASSED) {
        pw_str_add(out, "/>\n");
        return;
    }
    pw_str_add_char(out, '>');
    add_outcome(out, &report->results[at], outcome);
    pw_str_add(out, "</testcase>\n");
}

static void count_outcomes(const struct pw_check_report *report, size_t *counts)
{
    for (size_t i = 0; i < report->count; i++) {
        counts[outcome_of(&report->results[i])]++;
    }
}

static void add_suite(struct pw_str *out, const struct pw_check_report *report)
{
    size_t counts[OUTCOME_COUNT] = {0};
    count_outcomes(report, counts);
    pw_str_add(out, "  <testsuite");
    add_attribute(out, "name", report->label);
    pw_str_addf(out, " tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" skipped=\"%zu\">\n",
                report->count, counts[FAILED], counts[UNDECIDED], counts[SKIPPED]);
    pw_str_add(out, "    <properties><property name=\"summary\"");
    add_attribute(out, "value", report->path);
    pw_str_add(out, "/></properties>\n");
    for (size_t i = 0; i < report->count; i++) {
        add_case(out, report, i);
    }
    pw_str_add(out, "  </testsuite>\n");
}

int pw_check_to_junit(const struct pw_check_reports *reports, struct pw_str *ret_text,
                      struct pw_err *err)
{
    size_t counts[OUTCOME_COUNT] = {0}, tests = 0;
    for (size_t i = 0; i < reports->count; i++) {
        count_outcomes(&reports->items[i], counts);
        tests += reports->items[i].count;
    }
    pw_str_add(ret_text, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    pw_str_addf(
        ret_text,
        "<testsuites name=\"perfwrap check\" tests=\"%zu\" failures=\"%zu\" errors=\"%zu\">\n",
        tests, counts[FAILED], counts[UNDECIDED]);
    for (size_t i = 0; i < reports->count; i++) {
        add_suite(ret_text, &reports->items[i]);
    }
    pw_str_add(ret_text, "</testsuites>\n");
    return ret_text->failed ? pw_err_memory(err) : 0;
}
