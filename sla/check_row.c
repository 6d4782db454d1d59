/* How one bound's result reads, in whatever report. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "sla/check_impl.h"

const struct pw_check_format pw_check_formats[PW_CHECK_FORMAT_COUNT] = {
    {"text", "one line a bound, passes first", pw_check_to_text},
    {"json", "all that is known, for programs", pw_check_to_json},
    {"markdown", "a table, for a comment or a job summary", pw_check_to_markdown},
    {"junit", "XML as CI systems read it", pw_check_to_junit},
    {"github", "text, then annotations of GitHub Actions", pw_check_to_github},
};

const struct pw_check_format *pw_check_format_find(const char *name)
{
    for (size_t i = 0; i < PW_CHECK_FORMAT_COUNT; i++) {
        if (strcmp(pw_check_formats[i].name, name) == 0) {
            return &pw_check_formats[i];
        }
    }
    return NULL;
}

enum pw_check_row pw_check_row_of(const struct pw_check_result *result, bool tell_apart)
{
    bool kept = result->taken_for == PW_VERDICT_PASS || result->taken_for == PW_VERDICT_SKIPPED;
    if (!kept && result->bound->severity == PW_SEVERITY_WARNING) {
        return PW_ROW_WARN;
    }
    switch (result->verdict) {
    case PW_VERDICT_PASS: return PW_ROW_PASS;
    case PW_VERDICT_INCONCLUSIVE: return PW_ROW_INCONCLUSIVE;
    case PW_VERDICT_NO_DATA: return tell_apart ? PW_ROW_NO_DATA : PW_ROW_FAIL;
    case PW_VERDICT_SKIPPED: return PW_ROW_SKIPPED;
    case PW_VERDICT_FAIL:
    case PW_VERDICT_COUNT: break;
    }
    return PW_ROW_FAIL;
}

const char *pw_check_row_word(enum pw_check_row row)
{
    static const char *const words[] = {
        [PW_ROW_PASS] = "PASS",
        [PW_ROW_WARN] = "WARN",
        [PW_ROW_INCONCLUSIVE] = "INCONCLUSIVE",
        [PW_ROW_NO_DATA] = "NO DATA",
        [PW_ROW_FAIL] = "FAIL",
        [PW_ROW_SKIPPED] = "SKIPPED",
    };
    return words[row];
}

const char *pw_check_verdict_word(enum pw_verdict verdict)
{
    switch (verdict) {
    case PW_VERDICT_FAIL: return "FAIL";
    case PW_VERDICT_INCONCLUSIVE: return "INCONCLUSIVE";
    case PW_VERDICT_NO_DATA: return "NO DATA";
    case PW_VERDICT_PASS:
    case PW_VERDICT_SKIPPED:
    case PW_VERDICT_COUNT: break;
    }
    return "PASS";
}

void pw_check_add_clean(struct pw_str *out, const char *text)
{
    for (const char *c = text; *c; c++) {
        unsigned char byte = (unsigned char)*c;
        pw_str_add_char(out, byte < 0x20 || byte == 0x7f ? ' ' : *c);
    }
}

/* As Python's repr() writes a float: digits from 1e-4 to below 1e16, else with an exponent. */
void pw_check_add_shortest(struct pw_str *out, double number)
{
    char text[40];
    int digits = 0;
    do {
        digits++;
        snprintf(text, sizeof(text), "%.*e", digits - 1, number);
    } while (digits < 17 && strtod(text, NULL) != number);
    const char *letter = strchr(text, 'e');
    long exponent = letter ? strtol(letter + 1, NULL, 10) : 0;
    if (!letter || exponent < -4 || exponent >= 16) {
        pw_str_add(out, text); /* also inf and nan */
    } else if (exponent >= digits - 1) {
        pw_str_addf(out, "%.1f", number);
    } else {
        pw_str_addf(out, "%.*f", digits - 1 - (int)exponent, number);
    }
}

static void add_number(struct pw_str *out, double number, bool integer)
{
    pw_str_addf(out, integer && number == trunc(number) ? "%.0f" : "%.6g", number);
}

static bool is_own(const struct pw_check_result *result)
{
    return result->bound->order == PW_BOUND_ORDER_OWN;
}

/* The contract's lines have no units. */
static void add_unit(struct pw_str *out, const struct pw_check_result *result, const char *unit)
{
    if (is_own(result) && unit && strcmp(unit, "count") != 0 && strcmp(unit, "1") != 0) {
        pw_str_add_char(out, ' ');
        pw_check_add_clean(out, unit);
    }
}

void pw_check_add_value(struct pw_str *out, const struct pw_check_result *result)
{
    add_number(out, result->value.number, result->integer);
}

void pw_check_add_interval(struct pw_str *out, const struct pw_check_result *result)
{
    if (result->has_interval) {
        pw_str_addf(out, "[%.6g, %.6g]", result->interval.low, result->interval.high);
    }
}

/* "baseline*1.1+20": what the limit was made from. */
static void add_baseline_terms(struct pw_str *out, const struct pw_operand *limit)
{
    pw_str_add(out, "baseline");
    if (limit->factor != 1) {
        pw_str_addf(out, "*%.6g", limit->factor);
    }
    if (limit->value != 0) {
        pw_str_addf(out, "%+.6g%s", limit->value, limit->unit ? limit->unit : "");
    }
}

/* The limit as it was asked for, where it cannot be resolved. */
static void add_limit_asked(struct pw_str *out, const struct pw_check_result *result)
{
    const struct pw_operand *limit = &result->bound->limit;
    if (pw_bound_uses_baseline(result->bound)) {
        add_baseline_terms(out, limit);
        return;
    }
    pw_check_add_shortest(out, limit->value);
    add_unit(out, result, limit->unit);
}

void pw_check_add_limit(struct pw_str *out, const struct pw_check_result *result)
{
    const struct pw_bound *bound = result->bound;
    pw_str_addf(out, "%s ", pw_bound_op_text(bound->op));
    if (!result->has_limit) {
        add_limit_asked(out, result);
        return;
    }
    if (bound->op == PW_OP_WITHIN) {
        add_number(out, result->tolerance, result->integer);
        pw_str_add(out, " of ");
    }
    add_number(out, result->limit, result->integer);
    add_unit(out, result, result->unit);
    if (pw_bound_uses_baseline(bound)) {
        pw_str_add(out, " (");
        add_baseline_terms(out, &bound->limit);
        pw_str_add(out, ")");
    }
}

static void add_reason(struct pw_str *out, const struct pw_check_result *result)
{
    bool taken = result->taken_for != result->verdict;
    if (!result->reason) {
        return;
    }
    pw_str_add(out, " (");
    pw_check_add_clean(out, result->reason);
    if (taken) {
        pw_str_addf(out, "; taken for %s", pw_verdict_name(result->taken_for));
    }
    pw_str_add(out, ")");
}

void pw_check_add_row(struct pw_str *out, const struct pw_check_result *result)
{
    pw_check_add_clean(out, result->bound->label);
    if (!pw_value_is_present(result->value)) {
        pw_str_add(out, " unavailable; limit=");
        if (result->has_limit) {
            pw_check_add_shortest(out, result->limit);
            add_unit(out, result, result->unit);
        } else {
            add_limit_asked(out, result);
        }
        if (is_own(result)) {
            add_reason(out, result);
        }
        return;
    }
    pw_str_add_char(out, '=');
    pw_check_add_value(out, result);
    if (result->has_interval) {
        pw_str_add_char(out, ' ');
        pw_check_add_interval(out, result);
    }
    pw_str_add_char(out, ' ');
    pw_check_add_limit(out, result);
    add_reason(out, result);
}
