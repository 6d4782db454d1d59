#include "sla/check.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/json.h"
#include "sla/expression.h"
#include "sla/guest.h"
#include "sla/number.h"
#include "sla/profile.h"
#include "sla/unit.h"

static const double confidence = 0.95;

/* What all bounds of one call share. */
struct checker {
    const struct pw_summary *summary;
    struct pw_check_options options;
    bool nothing_measured;
};

/* ---------------------------------------------------------------- deciding */

static void result_done(struct pw_check_result *result)
{
    free(result->unit);
    free(result->reason);
    *result = (struct pw_check_result){0};
}

__attribute__((format(printf, 4, 5))) static int conclude(struct pw_check_result *result,
                                                          enum pw_verdict verdict,
                                                          struct pw_err *err, const char *format,
                                                          ...)
{
    char *reason = NULL;
    va_list args;
    va_start(args, format);
    int length = vasprintf(&reason, format, args);
    va_end(args);
    if (length < 0) {
        return pw_err_memory(err);
    }
    free(result->reason);
    result->reason = reason;
    result->verdict = verdict;
    return 0;
}

static bool keeps(const struct pw_check_result *result, double value)
{
    double limit = result->limit;
    switch (result->bound->op) {
    case PW_OP_LE: return value <= limit;
    case PW_OP_LT: return value < limit;
    case PW_OP_GE: return value >= limit;
    case PW_OP_GT: return value > limit;
    case PW_OP_EQ: return value == limit;
    case PW_OP_NE: return value != limit;
    case PW_OP_WITHIN: return fabs(value - limit) <= result->tolerance;
    }
    return false;
}

/* Whether the interval holds a value between its ends that decides otherwise than both ends do. */
static bool turns_inside(const struct pw_check_result *result)
{
    double low = result->interval.low, high = result->interval.high;
    switch (result->bound->op) {
    case PW_OP_EQ:
    case PW_OP_NE: return low < result->limit && result->limit < high;
    case PW_OP_WITHIN:
        return low < result->limit - result->tolerance && high > result->limit + result->tolerance;
    case PW_OP_LE:
    case PW_OP_LT:
    case PW_OP_GE:
    case PW_OP_GT: break;
    }
    return false;
}

static int fail_spans(struct pw_check_result *result, struct pw_err *err)
{
    const struct pw_aggregate *aggregate = &result->bound->aggregate;
    bool open = isinf(result->interval.low) || isinf(result->interval.high);
    if (open && aggregate->kind == PW_AGGREGATE_PERCENTILE) {
        return conclude(result, PW_VERDICT_INCONCLUSIVE, err,
                        "%zu samples do not bound p(%.6g) on both sides: it takes %zu",
                        result->samples, aggregate->p * 100,
                        pw_interval_needed(aggregate->p, confidence));
    }
    return conclude(result, PW_VERDICT_INCONCLUSIVE, err,
                    "the 95 %% interval of %zu samples spans the bound", result->samples);
}

static int decide(struct pw_check_result *result, struct pw_err *err)
{
    if (!result->has_interval) {
        result->verdict = keeps(result, result->value.number) ? PW_VERDICT_PASS : PW_VERDICT_FAIL;
        return 0;
    }
    bool low = keeps(result, result->interval.low), high = keeps(result, result->interval.high);
    if (low != high || turns_inside(result)) {
        return fail_spans(result, err);
    }
    result->verdict = low ? PW_VERDICT_PASS : PW_VERDICT_FAIL;
    return 0;
}

/* ---------------------------------------------------------------- limits */

/* `value` in `unit` (NULL: already in the number's own) as a value in the number's unit. */
static bool to_own_unit(const struct pw_number *number, const char *unit, double value,
                        double *ret_value)
{
    if (!unit) {
        *ret_value = value;
        return true;
    }
    const struct pw_unit *from = pw_unit_find(unit, strlen(unit));
    return from && number->unit && pw_unit_convert(from, number->unit, value, ret_value);
}

/* The same number of the baseline, in the unit of the summary's. A verdict is set if there is
 * none. */
static int find_in_baseline(const struct checker *checker, const struct pw_number *number,
                            struct pw_check_result *result, double *ret_value, struct pw_err *err)
{
    struct pw_number there;
    if (!checker->options.baseline) {
        return conclude(result, PW_VERDICT_NO_DATA, err, "no baseline was given");
    }
    const char *key = pw_guest_difference(pw_summary_root(checker->summary),
                                          pw_summary_root(checker->options.baseline));
    if (key) {
        return conclude(result, PW_VERDICT_NO_DATA, err,
                        "the baseline was booted with another %s, which is not comparable", key);
    }
    if (pw_number_find(checker->options.baseline, result->bound, &there, err) != 0) {
        return -1;
    }
    int failed = 0;
    *ret_value = there.value.number;
    if (!pw_value_is_present(there.value)) {
        bool skip = result->bound->missing == PW_MISSING_SKIP;
        failed =
            conclude(result, skip ? PW_VERDICT_SKIPPED : PW_VERDICT_NO_DATA, err,
                     "not in the baseline: %s", there.reason ? there.reason : "no such number");
    } else if (there.unit && number->unit &&
               !pw_unit_convert(there.unit, number->unit, there.value.number, ret_value)) {
        failed = conclude(result, PW_VERDICT_NO_DATA, err, "the baseline has it in another unit");
    }
    pw_number_done(&there);
    return failed;
}

/* Resolves limit and tolerance. Without one the verdict is set. */
static int resolve_limit(const struct checker *checker, const struct pw_number *number,
                         struct pw_check_result *result, struct pw_err *err)
{
    const struct pw_bound *bound = result->bound;
    double base = 0, add = 0, tolerance = 0;
    if (pw_bound_uses_baseline(bound) &&
        find_in_baseline(checker, number, result, &base, err) != 0) {
        return -1;
    }
    if (result->verdict != PW_VERDICT_PASS) {
        return 0;
    }
    if (!to_own_unit(number, bound->limit.unit, bound->limit.value, &add)) {
        return conclude(result, PW_VERDICT_NO_DATA, err, "it is in %s, the limit in %s",
                        number->unit_text ? number->unit_text : "no known unit", bound->limit.unit);
    }
    double limit = bound->limit.factor * base + add;
    bool percent = bound->tolerance.unit && strcmp(bound->tolerance.unit, "%") == 0;
    if (percent) {
        tolerance = fabs(limit) * bound->tolerance.value / 100;
    } else if (!to_own_unit(number, bound->tolerance.unit, bound->tolerance.value, &tolerance)) {
        return conclude(result, PW_VERDICT_NO_DATA, err, "it is in %s, the tolerance in %s",
                        number->unit_text ? number->unit_text : "no known unit",
                        bound->tolerance.unit);
    }
    result->limit = limit;
    result->tolerance = tolerance;
    result->has_limit = true;
    return 0;
}

/* ---------------------------------------------------------------- conditions */

static bool has_number(const json_t *value)
{
    if (json_is_object(value)) {
        const char *key = NULL;
        json_t *member = NULL;
        json_object_foreach((json_t *)value, key, member)
        {
            if (has_number(member)) {
                return true;
            }
        }
    }
    for (size_t i = 0; i < json_array_size(value); i++) {
        if (has_number(json_array_get(value, i))) {
            return true;
        }
    }
    return json_is_number(value);
}

/* perfwrap's own files always carry all blocks: there "there" means that something is in it. */
static bool has_block(const struct pw_summary *summary, const char *name)
{
    const json_t *root = pw_summary_root(summary);
    const json_t *block = pw_json_find(json_object_get(root, "summary"), name);
    if (!block || json_is_null(block)) {
        return false;
    }
    return !json_object_get(root, "perfwrap_version") || has_number(block);
}

static int holds(const struct checker *checker, const char *condition, bool *ret_holds,
                 struct pw_err *err)
{
    struct pw_bound bound;
    struct pw_number number;
    if (pw_condition_is_block(condition)) {
        *ret_holds = has_block(checker->summary, condition);
        return 0;
    }
    if (pw_expression_parse(condition, &bound, NULL, err) != 0) {
        return pw_err_prefix(err, "condition `%s`", condition);
    }
    struct pw_check_result result = {.bound = &bound};
    int failed = pw_number_find(checker->summary, &bound, &number, err);
    if (failed == 0) {
        failed = resolve_limit(checker, &number, &result, err);
        *ret_holds = pw_value_is_present(number.value) && result.has_limit &&
                     keeps(&result, number.value.number);
        pw_number_done(&number);
    }
    result_done(&result);
    pw_bound_done(&bound);
    return failed;
}

/* Sets the verdict if a condition does not hold. */
static int check_conditions(const struct checker *checker, struct pw_check_result *result,
                            struct pw_err *err)
{
    for (size_t i = 0; i < result->bound->condition_count; i++) {
        const char *condition = result->bound->conditions[i];
        bool fits = false;
        if (holds(checker, condition, &fits, err) != 0) {
            return -1;
        }
        if (!fits) {
            return conclude(result, PW_VERDICT_SKIPPED, err, "applies only where `%s`", condition);
        }
    }
    return 0;
}

/* ---------------------------------------------------------------- one bound */

/* Summaries from before failed runs were summed up have them in runs[], one worker an iteration. A
 * null is something else: not known. */
static void count_failed_runs(const struct pw_summary *summary, struct pw_number *number)
{
    const json_t *root = pw_summary_root(summary);
    const json_t *runs = json_object_get(root, "runs");
    double failed = 0;
    if (json_array_size(runs) == 0 || pw_json_find(root, "summary.failed_runs_total")) {
        return;
    }
    for (size_t i = 0; i < json_array_size(runs); i++) {
        const json_t *code = json_object_get(json_array_get(runs, i), "return_code");
        if (!json_is_integer(code)) {
            return;
        }
        failed += json_integer_value(code) != 0;
    }
    number->value = pw_value_of(failed);
    number->integer = true;
}

/* Statistics are of a sample; a total, a count and a plain number are what they are. */
static bool is_statistic(const struct pw_bound *bound)
{
    switch (bound->aggregate.kind) {
    case PW_AGGREGATE_MEAN:
    case PW_AGGREGATE_PERCENTILE:
    case PW_AGGREGATE_MIN:
    case PW_AGGREGATE_MAX:
    case PW_AGGREGATE_STDDEV:
    case PW_AGGREGATE_MAD: return true;
    case PW_AGGREGATE_NONE:
    case PW_AGGREGATE_TOTAL:
    case PW_AGGREGATE_COUNT:
    case PW_AGGREGATE_FAILURES: break;
    }
    return false;
}

/* The interval is made to hold the value: a summary states its statistics from all it measured, and
 * may keep fewer in runs[]. */
static void find_interval(const struct pw_number *number, struct pw_check_result *result)
{
    const struct pw_aggregate *aggregate = &result->bound->aggregate;
    size_t n = number->sample_count;
    bool inner = aggregate->kind == PW_AGGREGATE_PERCENTILE && aggregate->p > 0 && aggregate->p < 1;
    if (!number->sample || n == 0 || (!inner && aggregate->kind != PW_AGGREGATE_MEAN)) {
        return;
    }
    struct pw_interval interval =
        inner ? pw_interval_of_percentile(number->sample, n, aggregate->p, confidence)
              : pw_interval_of_mean(number->sample, n, confidence);
    result->interval.low = fmin(interval.low, number->value.number);
    result->interval.high = fmax(interval.high, number->value.number);
    result->has_interval = true;
}

static int no_data(const struct checker *checker, const char *reason,
                   struct pw_check_result *result, struct pw_err *err)
{
    bool skip = result->bound->missing == PW_MISSING_SKIP;
    if (checker->nothing_measured) {
        reason = "no iteration was measured";
    }
    return conclude(result, skip ? PW_VERDICT_SKIPPED : PW_VERDICT_NO_DATA, err, "%s",
                    reason ? reason : "no such number");
}

static int check_number(const struct checker *checker, const struct pw_number *number,
                        struct pw_check_result *result, struct pw_err *err)
{
    const struct pw_bound *bound = result->bound;
    result->value = number->value;
    result->integer = number->integer;
    result->samples = number->sample_count;
    if (number->unit_text && !(result->unit = strdup(number->unit_text))) {
        return pw_err_memory(err);
    }
    if (resolve_limit(checker, number, result, err) != 0) {
        return -1;
    }
    if (!pw_value_is_present(number->value) || checker->nothing_measured) {
        result->value = pw_value_absent(PW_ABSENT_NOT_MEASURED);
        return no_data(checker, number->reason, result, err);
    }
    if (!result->has_limit) {
        return 0;
    }
    if (is_statistic(bound) && result->samples < bound->min_samples) {
        return conclude(result, PW_VERDICT_INCONCLUSIVE, err, "%zu samples; the bound asks for %u",
                        result->samples, bound->min_samples);
    }
    if (checker->options.decide == PW_DECIDE_CI) {
        find_interval(number, result);
    }
    return decide(result, err);
}

/* Too few samples are never taken for a pass: only noise is. */
static enum pw_verdict taken_for(const struct pw_check_result *result)
{
    if (result->verdict != PW_VERDICT_INCONCLUSIVE || !result->has_interval) {
        return result->verdict;
    }
    switch (result->bound->on_noise) {
    case PW_NOISE_PASS: return PW_VERDICT_PASS;
    case PW_NOISE_FAIL: return PW_VERDICT_FAIL;
    case PW_NOISE_INCONCLUSIVE: break;
    }
    return result->verdict;
}

static int check_bound(const struct checker *checker, const struct pw_bound *bound,
                       struct pw_check_result *result, struct pw_err *err)
{
    struct pw_number number;
    *result = (struct pw_check_result){.bound = bound, .verdict = PW_VERDICT_PASS};
    if (check_conditions(checker, result, err) != 0) {
        return -1;
    }
    if (result->verdict != PW_VERDICT_SKIPPED) {
        if (pw_number_find(checker->summary, bound, &number, err) != 0) {
            return -1;
        }
        if (bound->metric && bound->metric->id == PW_METRIC_FAILED_RUNS &&
            !pw_value_is_present(number.value)) {
            count_failed_runs(checker->summary, &number);
        }
        int failed = check_number(checker, &number, result, err);
        pw_number_done(&number);
        if (failed) {
            return -1;
        }
    }
    result->taken_for = taken_for(result);
    return 0;
}

/* ---------------------------------------------------------------- a whole summary */

/* A run that was ended before its first measured iteration has zero failures, and says nothing. */
static bool is_nothing_measured(const struct pw_summary *summary)
{
    const json_t *root = pw_summary_root(summary);
    const json_t *iterations = json_object_get(root, "iterations");
    return json_array_size(json_object_get(root, "runs")) == 0 && json_is_integer(iterations) &&
           json_integer_value(iterations) == 0;
}

static void count_result(struct pw_check_report *report, const struct pw_check_result *result)
{
    bool kept = result->taken_for == PW_VERDICT_PASS || result->taken_for == PW_VERDICT_SKIPPED;
    if (result->bound->severity == PW_SEVERITY_ERROR) {
        report->verdicts[result->verdict]++;
    } else if (!kept) {
        report->warnings++;
    }
}

int pw_check_run(const struct pw_summary *summary, const char *path, const char *label,
                 const struct pw_bounds *bounds, struct pw_check_options options,
                 struct pw_check_report *ret_report, struct pw_err *err)
{
    struct checker checker = {summary, options, is_nothing_measured(summary)};
    struct pw_check_report report = {.label = strdup(label), .path = strdup(path)};
    report.results = calloc(bounds->count > 0 ? bounds->count : 1, sizeof(*report.results));
    if (!report.label || !report.path || !report.results) {
        pw_check_report_done(&report);
        return pw_err_memory(err);
    }
    for (size_t i = 0; i < bounds->count; i++) {
        struct pw_check_result *result = &report.results[report.count++];
        if (check_bound(&checker, &bounds->items[i], result, err) != 0) {
            pw_check_report_done(&report);
            return -1;
        }
        count_result(&report, result);
    }
    *ret_report = report;
    return 0;
}

void pw_check_report_done(struct pw_check_report *report)
{
    for (size_t i = 0; i < report->count; i++) {
        result_done(&report->results[i]);
    }
    free(report->results);
    free(report->label);
    free(report->path);
    *report = (struct pw_check_report){0};
}
