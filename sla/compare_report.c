#include <math.h>
#include <stdio.h>
#include <string.h>
#include "core/json.h"
#include "sla/compare.h"

/* Rows that a reader gets; a gate sees them all. */
static bool is_listed(const struct pw_comparison *comparison, const struct pw_comparison_row *row)
{
    return comparison->options.all || row->rank != PW_COMPARISON_REST;
}

static json_t *number(double value)
{
    return pw_json_number(pw_value_of(value), false); /* not finite: null */
}

static json_t *side_to_json(const struct pw_comparison_side *side, bool *failed)
{
    json_t *object = json_object();
    pw_json_put(object, "name", pw_json_string_or_null(side->name), failed);
    pw_json_put(object, "command", pw_json_string_or_null(side->command), failed);
    pw_json_put(object, "summaries", json_integer((json_int_t)side->summaries), failed);
    pw_json_put(object, "iterations", json_integer((json_int_t)side->iterations), failed);
    pw_json_put(object, "workers", pw_json_number(pw_value_of(side->workers), true), failed);
    pw_json_put(object, "failed", pw_json_number(pw_value_of(side->failed), true), failed);
    return object;
}

static json_t *row_to_json(const struct pw_comparison_row *row, bool *failed)
{
    const struct pw_two_samples *result = &row->result;
    json_t *object = json_object();
    const struct {
        const char *key;
        double value;
    } numbers[] = {
        {"median_a", result->median_a},
        {"median_b", result->median_b},
        {"shift", result->shift},
        {"shift_low", result->shift_ci.low},
        {"shift_high", result->shift_ci.high},
        {"shift_pct", row->shift_pct},
        {"p", result->p},
        {"p_adjusted", row->p_adjusted},
        {"effect", result->effect},
        {"floor", row->floor},
    };
    pw_json_put(object, "metric", json_string(row->metric->path), failed);
    pw_json_put(object, "unit", json_string(row->metric->unit), failed);
    pw_json_put(object, "better", json_string(pw_better_name(row->metric->better)), failed);
    pw_json_put(object, "gate", json_boolean(row->rank == PW_COMPARISON_GATE), failed);
    pw_json_put(object, "verdict", json_string(pw_comparison_verdict_name(row->verdict)), failed);
    pw_json_put(object, "n_a", json_integer((json_int_t)result->n_a), failed);
    pw_json_put(object, "n_b", json_integer((json_int_t)result->n_b), failed);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        pw_json_put(object, numbers[i].key, number(numbers[i].value), failed);
    }
    pw_json_put(object, "bimodal_a", json_boolean(result->bimodal_a), failed);
    pw_json_put(object, "bimodal_b", json_boolean(result->bimodal_b), failed);
    pw_json_put(object, "note", pw_json_string_or_null(row->note), failed);
    return object;
}

json_t *pw_comparison_to_json(const struct pw_comparison *comparison, struct pw_err *err)
{
    bool failed = false;
    json_t *root = json_object(), *rows = json_array(), *warnings = json_array();
    pw_json_put(root, "a", side_to_json(&comparison->a, &failed), &failed);
    pw_json_put(root, "b", side_to_json(&comparison->b, &failed), &failed);
    pw_json_put(root, "confidence", number(comparison->options.confidence), &failed);
    pw_json_put(root, "floor_pct", number(comparison->options.floor_pct), &failed);
    for (size_t i = 0; i < comparison->count; i++) {
        if (is_listed(comparison, &comparison->rows[i])) {
            pw_json_append(rows, row_to_json(&comparison->rows[i], &failed), &failed);
        }
    }
    for (size_t i = 0; i < comparison->warning_count; i++) {
        pw_json_append(warnings, pw_json_string_or_null(comparison->warnings[i]), &failed);
    }
    pw_json_put(root, "metrics", rows, &failed);
    pw_json_put(root, "warnings", warnings, &failed);
    if (failed) {
        json_decref(root);
        pw_err_memory(err);
        return NULL;
    }
    return root;
}

static void add_side(const struct pw_comparison_side *side, const char *label, bool with_command,
                     struct pw_document *report)
{
    char runs[64] = "";
    if (side->summaries > 1) {
        snprintf(runs, sizeof runs, " in %zu runs", side->summaries);
    }
    pw_document_field(report, label, "%s, %zu iterations%s%s%s", side->name, side->iterations, runs,
                      with_command ? ": " : "", with_command && side->command ? side->command : "");
}

/* "faster" and "slower" of what takes no time. */
static const char *word_for(const struct pw_comparison_row *row)
{
    bool timed = strcmp(row->metric->unit, "ms") == 0 || strcmp(row->metric->unit, "s") == 0 ||
                 strcmp(row->metric->unit, "runs/s") == 0;
    switch (row->verdict) {
    case PW_COMPARISON_FASTER: return timed ? "faster" : "better";
    case PW_COMPARISON_SLOWER: return timed ? "slower" : "worse";
    default: return pw_comparison_verdict_name(row->verdict);
    }
}

/* In percent of A's median where that says anything, else in the unit. */
static void add_shift(const struct pw_comparison_row *row, struct pw_document *report)
{
    const struct pw_two_samples *result = &row->result;
    bool relative = isfinite(row->shift_pct);
    double scale = relative ? 100 / fabs(result->median_a) : 1;
    const char *suffix = relative ? " %" : "";
    int digits = relative ? 1 : 3;
    pw_document_cell(report, "%+.*f%s", digits, result->shift * scale, suffix);
    if (isfinite(result->shift_ci.low) && isfinite(result->shift_ci.high)) {
        pw_document_cell(report, "%+.*f to %+.*f%s", digits, result->shift_ci.low * scale, digits,
                         result->shift_ci.high * scale, suffix);
    } else {
        pw_document_cell(report, "any");
    }
}

static void add_table(const struct pw_comparison *comparison, struct pw_document *report)
{
    char interval[32];
    snprintf(interval, sizeof interval, "%.4g %% interval", comparison->options.confidence * 100);
    const char *const headers[] = {"Metric", "Verdict", "A", "B",      "Unit",
                                   "Shift",  interval,  "p", "Effect", "Floor"};
    pw_document_table(report, headers, sizeof headers / sizeof *headers, 2);
    for (size_t i = 0; i < comparison->count; i++) {
        const struct pw_comparison_row *row = &comparison->rows[i];
        if (!is_listed(comparison, row)) {
            continue;
        }
        pw_document_cell(report, "%s", row->metric->path);
        pw_document_cell(report, "%s", word_for(row));
        pw_document_cell(report, "%.6g", row->result.median_a);
        pw_document_cell(report, "%.6g", row->result.median_b);
        pw_document_cell(report, "%s", row->metric->unit);
        add_shift(row, report);
        pw_document_cell(report, "%.2g", row->p_adjusted);
        pw_document_cell(report, "%+.2f", row->result.effect);
        pw_document_cell(report, "%.3g", row->floor);
    }
}

void pw_comparison_report(const struct pw_comparison *comparison, struct pw_document *report)
{
    const char *a = comparison->a.command, *b = comparison->b.command;
    bool one_command = a && b && strcmp(a, b) == 0;
    pw_document_heading(report, 1, "Comparison");
    add_side(&comparison->a, "A", !one_command && a, report);
    add_side(&comparison->b, "B", !one_command && b, report);
    if (one_command) {
        pw_document_field(report, "Command", "%s", a);
    }
    add_table(comparison, report);
    pw_document_paragraph(
        report,
        "A and B are medians of iterations. Shift: from A to B (Hodges-Lehmann). p: Mann-Whitney, "
        "corrected for the number of metrics (Holm). Effect: how often B is above A, less how often "
        "below (Cliff). Changes below the floor mean nothing; it is the larger of %.4g %% of A and "
        "what perfwrap can measure.",
        comparison->options.floor_pct);
    for (size_t i = 0; i < comparison->warning_count; i++) {
        pw_document_finding(report, "not alike", comparison->warnings[i], NULL);
    }
    for (size_t i = 0; i < comparison->count; i++) {
        const struct pw_comparison_row *row = &comparison->rows[i];
        if (row->note && is_listed(comparison, row)) {
            pw_document_finding(report, row->metric->path, row->note, NULL);
        }
    }
}
