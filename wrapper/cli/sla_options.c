#include "wrapper/cli/sla_options.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "core/file.h"
#include "sla/expression.h"
#include "sla/inputs.h"

enum { FLAG_FAILED_RUNS = 0 };

int pw_sla_check_decide(const char *text, struct pw_err *err)
{
    if (strcmp(text, "value") == 0 || strcmp(text, "ci") == 0) {
        return 0;
    }
    return pw_err_set(err, PW_ERR_USAGE, "`%s` is none of value, ci", text);
}

/* ---------------------------------------------------------------- bounds */

/* All, not only the first: a profile may bound one number several times, under conditions. */
static void remove_same(struct pw_bounds *bounds, const struct pw_bound *as)
{
    size_t kept = 0;
    for (size_t i = 0; i < bounds->count; i++) {
        struct pw_bound *bound = &bounds->items[i];
        if (pw_bound_is_same(bound, as)) {
            pw_bound_done(bound);
        } else {
            bounds->items[kept++] = *bound;
        }
    }
    bounds->count = kept;
}

static bool has_same(const struct pw_bounds *bounds, const struct pw_bound *as)
{
    for (size_t i = 0; i < bounds->count; i++) {
        if (pw_bound_is_same(&bounds->items[i], as)) {
            return true;
        }
    }
    return false;
}

/* The bounds that stand on the command line: both a flag and an expression on one number hold. */
static int read_given(const struct pw_sla_options *options, struct pw_bounds *given,
                      struct pw_err *err)
{
    struct pw_bound bound;
    double failed_runs = options->limits[FLAG_FAILED_RUNS];
    if (!isnan(failed_runs) && failed_runs != floor(failed_runs)) {
        return pw_err_set(err, PW_ERR_USAGE, "option --%s: %.15g is not a whole number",
                          pw_sla_flags[FLAG_FAILED_RUNS].flag, failed_runs);
    }
    for (size_t i = 0; i < PW_SLA_FLAG_COUNT; i++) {
        if (!isnan(options->limits[i]) &&
            (pw_sla_flag_bound(&pw_sla_flags[i], options->limits[i], &bound, err) != 0 ||
             pw_bounds_add(given, &bound, err) != 0)) {
            return -1;
        }
    }
    for (size_t i = 0; i < options->bounds.count; i++) {
        const char *text = options->bounds.items[i];
        if (pw_expression_parse(text, &bound, NULL, err) != 0) {
            return pw_err_prefix(err, "--bound `%s`", text);
        }
        if (pw_bounds_add(given, &bound, err) != 0) {
            return -1;
        }
    }
    return 0;
}

static int merge(struct pw_bounds *bounds, struct pw_bounds *given, struct pw_err *err)
{
    struct pw_bound failed_runs;
    for (size_t i = 0; i < given->count; i++) {
        remove_same(bounds, &given->items[i]);
    }
    for (size_t i = 0; i < given->count; i++) {
        if (pw_bounds_add(bounds, &given->items[i], err) != 0) {
            return -1;
        }
    }
    if (pw_sla_flag_bound(&pw_sla_flags[FLAG_FAILED_RUNS], 0, &failed_runs, err) != 0) {
        return -1;
    }
    if (has_same(bounds, &failed_runs)) {
        pw_bound_done(&failed_runs);
        return 0;
    }
    return pw_bounds_add(bounds, &failed_runs, err);
}

static int make_bounds(const struct pw_sla_options *options, struct pw_bounds *bounds,
                       struct pw_err *err)
{
    struct pw_bounds given = {0};
    int failed = read_given(options, &given, err);
    if (!failed) {
        failed = merge(bounds, &given, err);
    }
    pw_bounds_done(&given);
    return failed ? -1 : pw_bounds_check_possible(bounds, err);
}

/* ---------------------------------------------------------------- the gate */

int pw_sla_load_baseline(const char *word, const struct pw_bounds *bounds,
                         struct pw_summary **ret_baseline, struct pw_err *err)
{
    for (size_t i = 0; i < bounds->count && !word; i++) {
        if (pw_bound_uses_baseline(&bounds->items[i])) {
            pw_err_set(err, PW_ERR_USAGE, "bound `%s` needs a baseline", bounds->items[i].text);
            return pw_err_remedy(err, "Name its summary with --baseline.");
        }
    }
    if (!word) {
        return 0;
    }
    PW_FREE_AUTO char *path = NULL;
    if (pw_inputs_expand_one(word, "--baseline", &path, err) != 0) {
        return -1;
    }
    struct pw_summary *baseline = pw_inputs_load_summary(path, err);
    if (!baseline) {
        return pw_err_prefix(err, "--baseline");
    }
    *ret_baseline = baseline;
    return 0;
}

static int fill(const struct pw_sla_options *options, const char *profile, struct pw_sla_gate *gate,
                struct pw_err *err)
{
    gate->decide = strcmp(options->decide, "ci") == 0 ? PW_DECIDE_CI : PW_DECIDE_VALUE;
    gate->tell_apart = options->tell_apart || gate->decide == PW_DECIDE_CI;
    if (profile) {
        if (pw_profile_load(profile, &gate->profile, err) != 0) {
            return -1;
        }
    } else if (!(gate->profile.name = strdup("perf"))) {
        return pw_err_memory(err);
    }
    if (make_bounds(options, &gate->profile.bounds, err) != 0) {
        return -1;
    }
    return pw_sla_load_baseline(options->baseline, &gate->profile.bounds, &gate->baseline, err);
}

int pw_sla_gate_make(const struct pw_sla_options *options, const char *profile,
                     struct pw_sla_gate *ret_gate, struct pw_err *err)
{
    struct pw_sla_gate gate = {0};
    if (fill(options, profile, &gate, err) != 0) {
        pw_sla_gate_done(&gate);
        return -1;
    }
    *ret_gate = gate;
    return 0;
}

void pw_sla_gate_done(struct pw_sla_gate *gate)
{
    pw_profile_done(&gate->profile);
    pw_summary_free(gate->baseline);
    gate->baseline = NULL;
}

int pw_sla_gate_check(const struct pw_sla_gate *gate, const struct pw_summary *summary,
                      const char *path, const char *label, struct pw_check_report *ret_report,
                      struct pw_err *err)
{
    struct pw_check_options options = {.decide = gate->decide, .baseline = gate->baseline};
    return pw_check_run(summary, path, label ? label : gate->profile.name, &gate->profile.bounds,
                        options, ret_report, err);
}
