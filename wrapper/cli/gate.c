#include "wrapper/cli/gate.h"

#include <stdlib.h>
#include <string.h>
#include "sla/expression.h"
#include "wrapper/cli/help.h"
#include "wrapper/cli/sla_options.h"

/* With --extend-to, the share of the iterations so far that is added before the bounds are looked
 * at again. Each look is another chance to decide by luck; growing steps keep them few. */
enum { EXTEND_DIVISOR = 4 };

bool pw_gate_is_there(const struct pw_gate *gate)
{
    return gate->bounds.count > 0;
}

void pw_gate_done(struct pw_gate *gate)
{
    pw_bounds_done(&gate->bounds);
    free(gate->label);
    pw_summary_free(gate->baseline);
    *gate = (struct pw_gate){0};
}

static int refuse_without_bounds(const struct pw_run_options *options, struct pw_err *err)
{
    const char *name = options->decide       ? "decide"
                       : options->baseline   ? "baseline"
                       : options->tell_apart ? "tell-apart"
                       : options->extend_to  ? "extend-to"
                                             : NULL;
    if (!name) {
        return 0;
    }
    pw_err_set(err, PW_ERR_USAGE, "option --%s without a bound", name);
    return pw_err_remedy(err, "name a profile with --sla, or give a bound with --bound");
}

static int add_profile(const char *name, struct pw_gate *gate, struct pw_err *err)
{
    struct pw_profile profile;
    if (pw_profile_load(name, &profile, err) != 0) {
        return pw_err_prefix(err, "option --sla");
    }
    gate->bounds = profile.bounds;
    profile.bounds = (struct pw_bounds){0};
    gate->label = profile.name;
    profile.name = NULL;
    pw_profile_done(&profile);
    return 0;
}

static int add_bounds(const struct pw_option_list *texts, struct pw_gate *gate, struct pw_err *err)
{
    for (size_t i = 0; i < texts->count; i++) {
        struct pw_bound bound;
        if (pw_expression_parse(texts->items[i], &bound, NULL, err) != 0) {
            return pw_err_prefix(err, "option --bound `%s`", texts->items[i]);
        }
        if (pw_bounds_override(&gate->bounds, &bound, err) != 0) {
            return -1;
        }
    }
    return pw_bounds_check_possible(&gate->bounds, err);
}

static int load(const struct pw_run_options *options, struct pw_gate *gate, struct pw_err *err)
{
    if (options->sla && add_profile(options->sla, gate, err) != 0) {
        return -1;
    }
    if (add_bounds(&options->bounds, gate, err) != 0 ||
        pw_sla_load_baseline(options->baseline, &gate->bounds, &gate->baseline, err) != 0) {
        return -1;
    }
    gate->check.baseline = gate->baseline;
    if (options->extend_to > 0 && options->extend_to <= options->iterations) {
        return pw_err_set(err, PW_ERR_USAGE, "--extend-to %u is no more than --iterations %u",
                          options->extend_to, options->iterations);
    }
    if (options->extend_to > 0 && options->decide && strcmp(options->decide, "ci") != 0) {
        return pw_err_set(err, PW_ERR_USAGE, "--extend-to needs --decide ci: values always decide");
    }
    bool by_interval = options->extend_to > 0 || (options->decide && *options->decide == 'c');
    gate->check.decide = by_interval ? PW_DECIDE_CI : PW_DECIDE_VALUE;
    gate->extend_to = options->extend_to;
    gate->tell_apart = options->tell_apart;
    if (options->profile_name || !gate->label) {
        free(gate->label);
        gate->label = strdup(options->profile_name ? options->profile_name : "perf");
    }
    return gate->label ? 0 : pw_err_memory(err);
}

int pw_gate_load(const struct pw_run_options *options, struct pw_gate *ret_gate, struct pw_err *err)
{
    struct pw_gate gate = {.ask_again = 0};
    if (!options->sla && options->bounds.count == 0) {
        return refuse_without_bounds(options, err);
    }
    if (load(options, &gate, err) != 0) {
        pw_gate_done(&gate);
        return -1;
    }
    *ret_gate = gate;
    return 0;
}

/* Whether a bound is open, and nothing that is decided makes it pointless to go on. */
static int is_open(const struct pw_gate *gate, const struct pw_run_record *run, bool *ret_open,
                   struct pw_err *err)
{
    struct pw_check_report report;
    struct pw_summary *summary = pw_summary_build(run, err);
    if (!summary) {
        return pw_err_prefix(err, "build a summary for --extend-to");
    }
    int result = pw_check_run(summary, "", gate->label, &gate->bounds, gate->check, &report, err);
    pw_summary_free(summary);
    if (result != 0) {
        return pw_err_prefix(err, "judge the bounds for --extend-to");
    }
    *ret_open = report.verdicts[PW_VERDICT_INCONCLUSIVE] > 0 &&
                pw_check_verdict(&report, true) != PW_VERDICT_FAIL;
    pw_check_report_done(&report);
    return 0;
}

int pw_gate_wants_more(struct pw_gate *gate, const struct pw_run_record *run, bool *ret_more,
                       enum pw_stop *ret_stop, struct pw_err *err)
{
    size_t count = run->iteration_count;
    bool open = false, extended = gate->ask_again > 0;
    *ret_more = false;
    *ret_stop = PW_STOP_COUNT;
    if (gate->extend_to == 0 || run->stop == PW_STOP_TIME_BUDGET) {
        return 0;
    }
    if (count < gate->ask_again) {
        *ret_more = true;
        return 0;
    }
    if (is_open(gate, run, &open, err) != 0) {
        return -1;
    }
    if (open && count < gate->extend_to) {
        size_t step = count / EXTEND_DIVISOR;
        gate->ask_again = count + (step > 0 ? step : 1);
        gate->ask_again = gate->ask_again < gate->extend_to ? gate->ask_again : gate->extend_to;
        *ret_more = true;
    } else if (open) {
        *ret_stop = PW_STOP_SLA_UNDECIDED;
    } else if (extended) {
        *ret_stop = PW_STOP_SLA_DECIDED;
    }
    return 0;
}

int pw_gate_judge(const struct pw_gate *gate, const struct pw_summary *summary, const char *path,
                  struct pw_str *ret_text, int *ret_status, struct pw_err *err)
{
    struct pw_check_report report;
    if (pw_check_run(summary, path, gate->label, &gate->bounds, gate->check, &report, err) != 0) {
        return pw_err_prefix(err, "judge the bounds");
    }
    const struct pw_check_reports reports = {
        .items = &report, .count = 1, .tell_apart = gate->tell_apart};
    int result = pw_check_format_find("text")->render(&reports, ret_text, err);
    *ret_status =
        pw_check_exit_status(pw_check_verdict(&report, gate->tell_apart), gate->tell_apart);
    pw_check_report_done(&report);
    return result;
}
