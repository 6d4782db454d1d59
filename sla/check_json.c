/*
 * The report for programs. All keys are always there; what is not known is null.
 *
 *   {"verdict": "fail",            pass, fail, inconclusive, no_data: of all reports, the worst
 *    "exit_status": 1,
 *    "reports": [
 *      {"label": "cold", "summary": PATH, "verdict": "fail",
 *       "counts": {"pass": 9, "fail": 1, "inconclusive": 0, "no_data": 0, "skipped": 2,
 *                  "warnings": 0},            of bounds of severity error, before on_noise; the
 * last: bounds of severity warning that are not kept "bounds": [                           in the
 * order of the bounds
 *         {"name": "latency_p95_ms", "expression": "latency_ms p(95) <= 1000",
 *          "verdict": "fail",                 as above, or skipped
 *          "taken_for": "fail",               the same, but for noise what on_noise says
 *          "severity": "error",               or warning
 *          "value": 1200.5, "unit": "ms", "op": "<=", "limit": 1000, "tolerance": null,
 *          "interval": {"low": 1100, "high": null},    null: no interval, or an end that is
 * infinite "samples": 20,                     null: there is no sample "reason": null}]}]} why no
 * data, inconclusive or skipped
 */
#include <math.h>
#include <stdlib.h>
#include "core/json.h"
#include "sla/check_impl.h"

static json_t *number_or_null(bool known, double number)
{
    return pw_json_number(known ? pw_value_of(number) : pw_value_absent(PW_ABSENT_NOT_MEASURED),
                          false);
}

static json_t *interval_of(const struct pw_check_result *result, bool *failed)
{
    if (!result->has_interval) {
        return json_null();
    }
    json_t *interval = json_object();
    pw_json_put(interval, "low", number_or_null(true, result->interval.low), failed);
    pw_json_put(interval, "high", number_or_null(true, result->interval.high), failed);
    return interval;
}

static json_t *row_of(const struct pw_check_result *result, bool *failed)
{
    const struct pw_bound *bound = result->bound;
    bool warning = bound->severity == PW_SEVERITY_WARNING, within = bound->op == PW_OP_WITHIN;
    json_t *row = json_object();
    pw_json_put(row, "name", pw_json_string_or_null(bound->label), failed);
    pw_json_put(row, "expression", pw_json_string_or_null(bound->text), failed);
    pw_json_put(row, "verdict", json_string(pw_verdict_name(result->verdict)), failed);
    pw_json_put(row, "taken_for", json_string(pw_verdict_name(result->taken_for)), failed);
    pw_json_put(row, "severity", json_string(warning ? "warning" : "error"), failed);
    pw_json_put(row, "value", pw_json_number(result->value, result->integer), failed);
    pw_json_put(row, "unit", pw_json_string_or_null(result->unit), failed);
    pw_json_put(row, "op", json_string(pw_bound_op_text(bound->op)), failed);
    pw_json_put(row, "limit", number_or_null(result->has_limit, result->limit), failed);
    pw_json_put(row, "tolerance", number_or_null(result->has_limit && within, result->tolerance),
                failed);
    pw_json_put(row, "interval", interval_of(result, failed), failed);
    pw_json_put(row, "samples",
                result->samples > 0 ? json_integer((json_int_t)result->samples) : json_null(),
                failed);
    pw_json_put(row, "reason", pw_json_string_or_null(result->reason), failed);
    return row;
}

static json_t *report_of(const struct pw_check_report *report, bool tell_apart, bool *failed)
{
    json_t *object = json_object(), *counts = json_object(), *bounds = json_array();
    enum pw_verdict verdict = pw_check_verdict(report, tell_apart);
    for (enum pw_verdict v = 0; v < PW_VERDICT_COUNT; v++) {
        pw_json_put(counts, pw_verdict_name(v), json_integer((json_int_t)report->verdicts[v]),
                    failed);
    }
    pw_json_put(counts, "warnings", json_integer((json_int_t)report->warnings), failed);
    for (size_t i = 0; i < report->count; i++) {
        pw_json_append(bounds, row_of(&report->results[i], failed), failed);
    }
    pw_json_put(object, "label", pw_json_string_or_null(report->label), failed);
    pw_json_put(object, "summary", pw_json_string_or_null(report->path), failed);
    pw_json_put(object, "verdict", json_string(pw_verdict_name(verdict)), failed);
    pw_json_put(object, "counts", counts, failed);
    pw_json_put(object, "bounds", bounds, failed);
    return object;
}

int pw_check_to_json(const struct pw_check_reports *reports, struct pw_str *ret_text,
                     struct pw_err *err)
{
    bool failed = false;
    json_t *root = json_object(), *list = json_array();
    enum pw_verdict verdict =
        pw_check_verdict_of_all(reports->items, reports->count, reports->tell_apart);
    pw_json_put(root, "verdict", json_string(pw_verdict_name(verdict)), &failed);
    pw_json_put(root, "exit_status",
                json_integer(pw_check_exit_status(verdict, reports->tell_apart)), &failed);
    for (size_t i = 0; i < reports->count; i++) {
        pw_json_append(list, report_of(&reports->items[i], reports->tell_apart, &failed), &failed);
    }
    pw_json_put(root, "reports", list, &failed);
    char *text = failed ? NULL : pw_json_dump(root, err);
    json_decref(root);
    if (!text) {
        return failed ? pw_err_memory(err) : -1;
    }
    pw_str_add(ret_text, text);
    free(text);
    return ret_text->failed ? pw_err_memory(err) : 0;
}
