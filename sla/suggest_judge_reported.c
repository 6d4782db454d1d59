/* Rules about failures, the run's own warnings, and what workers reported about themselves. */
#include <string.h>
#include "core/json.h"
#include "sla/suggest_impl.h"

static void describe_codes(const struct pw_failures *failures, struct pw_str *out)
{
    for (size_t i = 0; i < failures->code_count; i++) {
        int code = failures->codes[i].code;
        pw_str_addf(out, "%s%d", i > 0 ? ", " : "", code);
        int sig = code > 128 ? code - 128 : -code;
        const char *name = (code > 128 || code < 0) ? sigabbrev_np(sig) : NULL;
        if (name) {
            pw_str_addf(out, " (SIG%s)", name);
        }
        if (failures->code_count > 1 || failures->further > 0) {
            pw_str_addf(out, " in %zu%s", failures->codes[i].count, i == 0 ? " runs" : "");
        }
    }
    if (failures->further > 0) {
        pw_str_addf(out, ", others in %zu", failures->further);
    }
    if (failures->returned > 0) {
        pw_str_addf(out,
                    "; %zu of them ended by themselves with that code, as a shell does whose "
                    "command was killed",
                    failures->returned);
    }
}

int pw_judge_failure(const struct pw_rule *rule, const struct pw_rule_case *seen,
                     struct pw_err *err)
{
    static const char *const what[PW_FAILURE_COUNT] = {
        [PW_FAILURE_TIMEOUT] = "were ended at the deadline",
        [PW_FAILURE_KILLED] = "were killed",
        [PW_FAILURE_CRASHED] = "crashed",
        [PW_FAILURE_SIGNALED] = "were ended by a signal",
        [PW_FAILURE_NOT_RUN] = "could not run their command",
        [PW_FAILURE_LOST] = "were lost with their warden",
        [PW_FAILURE_RETURNED] = "failed",
    };
    const struct pw_failures *failures = &seen->failures[rule->which];
    PW_STR_AUTO codes = PW_STR_INIT;
    if (failures->count == 0) {
        return 0;
    }
    describe_codes(failures, &codes);
    if (codes.failed) {
        return pw_err_memory(err);
    }
    return pw_rule_fire(rule, seen,
                        (struct pw_rule_evidence){.metric = "failed_runs_total",
                                                  .baseline = pw_value_of(0),
                                                  .baseline_is = "no failure",
                                                  .current = pw_value_of((double)failures->count),
                                                  .samples = (double)seen->workers,
                                                  .counted = true},
                        err, "%zu of %zu runs %s: return code %s.", failures->count, seen->workers,
                        what[rule->which], codes.text);
}

enum { VERDICT_LIST_BYTES = 200 };

/* Workers that are machines have verdicts of their own (wrapper/boot/verdict.h). */
int pw_judge_boots_failed(const struct pw_rule *rule, const struct pw_rule_case *seen,
                          struct pw_err *err)
{
    const json_t *verdicts = pw_json_find(pw_summary_root(seen->summary), "summary.verdicts");
    PW_STR_AUTO list = PW_STR_INIT;
    double failed = 0, all = 0;
    const char *name;
    const json_t *count;
    json_object_foreach((json_t *)verdicts, name, count)
    {
        double number = json_is_number(count) ? json_number_value(count) : 0;
        all += number;
        if (strcmp(name, "ok") == 0 || number <= 0) {
            continue;
        }
        failed += number;
        if (list.length < VERDICT_LIST_BYTES) {
            pw_str_addf(&list, "%s%s %.0f", list.length > 0 ? ", " : "", name, number);
        }
    }
    if (list.failed) {
        return pw_err_memory(err);
    }
    if (failed <= 0) {
        return 0;
    }
    return pw_rule_fire(rule, seen,
                        (struct pw_rule_evidence){.metric = "verdicts",
                                                  .baseline = pw_value_of(0),
                                                  .baseline_is = "no failure",
                                                  .current = pw_value_of(failed),
                                                  .samples = all,
                                                  .counted = true},
                        err, "%.0f of %.0f boots failed: %s.", failed, all, list.text);
}

/* Which numbers of a run's own warning are the evidence. */
static const struct {
    const char *kind, *metric;
    const char *baseline, *baseline_is; /* key of `data`; NULL: none */
    const char *current;
    bool changed;
} warning_numbers[] = {
    {"orphans", "orphans.total", NULL, NULL, "orphans", false},
    {"slow_first_run", "latency_ms", "median_ms", "median duration, ms", "first_ms", true},
    {"outliers", "latency_ms", "median_ms", "median duration, ms", "max_ms", true},
    {"few_runs_for_p95", "worker_latency_ms.p95", "needed", "runs needed", "successful_runs",
     false},
    {"high_load", "environment.load_1m", "cpu_count", "CPUs", "load_1m", true},
    {"sampling_stretched", "observer.lengthened_gaps", "samples", "samples taken",
     "lengthened_gaps", false},
    {"missed_exits", "process_tree_sampled.missed_exits", NULL, NULL, "missed_exits", false},
    {"telemetry_lost", "telemetry_lost_total", NULL, NULL, NULL, false},
    {"telemetry_limits", "telemetry.dropped", NULL, NULL, NULL, false},
};

static struct pw_value number_in(const json_t *object, const char *key)
{
    const json_t *value = key ? json_object_get(object, key) : NULL;
    return json_is_number(value) ? pw_value_of(json_number_value(value))
                                 : pw_value_absent(PW_ABSENT_NOT_MEASURED);
}

int pw_judge_run_warning(const struct pw_rule *rule, const struct pw_rule_case *seen,
                         struct pw_err *err)
{
    const json_t *warnings = json_object_get(pw_summary_root(seen->summary), "warnings");
    const json_t *warning = NULL;
    for (size_t i = 0; i < json_array_size(warnings) && !warning; i++) {
        const json_t *entry = json_array_get(warnings, i);
        const char *kind = json_string_value(json_object_get(entry, "kind"));
        warning = kind && strcmp(kind, rule->signal) == 0 ? entry : NULL;
    }
    const char *message = json_string_value(json_object_get(warning, "message"));
    if (!message) {
        return 0;
    }
    struct pw_rule_evidence evidence = {.samples = (double)seen->iterations, .counted = true};
    const json_t *data = json_object_get(warning, "data");
    for (size_t i = 0; i < sizeof(warning_numbers) / sizeof(warning_numbers[0]); i++) {
        if (strcmp(warning_numbers[i].kind, rule->signal) == 0) {
            evidence.metric = warning_numbers[i].metric;
            evidence.baseline = number_in(data, warning_numbers[i].baseline);
            evidence.baseline_is = warning_numbers[i].baseline_is;
            evidence.changed = warning_numbers[i].changed;
            evidence.current = warning_numbers[i].current
                                   ? number_in(data, warning_numbers[i].current)
                                   : pw_summary_number(seen->summary, evidence.metric);
        }
    }
    return pw_rule_fire(rule, seen, evidence, err, "%.1000s", message);
}

/* Actions and spans have the same shape, but for these keys. */
static const struct {
    const char *list, *weight, *failures, *what;
    enum pw_threshold_id share;
} named[] = {
    [PW_NAMED_ACTIONS] = {"otel_actions", "total_ms", "failures", "action", PW_ACTION_PCT},
    [PW_NAMED_SPANS] = {"otel_spans", "self_ms", "errors", "span", PW_SPAN_PCT},
};
enum { NAMES_SHOWN = 3 };

/* The heaviest entries by `key`, heaviest first; returns how many have any weight. */
static size_t heaviest(const json_t *list, const char *key, const json_t *top[NAMES_SHOWN],
                       double *ret_total)
{
    size_t found = 0, all = 0;
    *ret_total = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i);
        double weight = json_number_value(json_object_get(entry, key));
        if (weight <= 0 || !json_is_string(json_object_get(entry, "name"))) {
            continue;
        }
        all++;
        *ret_total += weight;
        size_t at = found;
        while (at > 0 && json_number_value(json_object_get(top[at - 1], key)) < weight) {
            if (at < NAMES_SHOWN) {
                top[at] = top[at - 1];
            }
            at--;
        }
        if (at < NAMES_SHOWN) {
            top[at] = entry;
            found += found < NAMES_SHOWN;
        }
    }
    return all;
}

/* "`read` 120 ms in 40, `write` …": of how many calls `key` is, and how many of them there were. */
static void describe_names(const json_t *const top[NAMES_SHOWN], size_t count, const char *key,
                           const char *unit, struct pw_str *out)
{
    for (size_t i = 0; i < count && i < NAMES_SHOWN; i++) {
        pw_str_addf(out, "%s`%.100s` %s%s of %s", i > 0 ? ", " : "",
                    json_string_value(json_object_get(top[i], "name")),
                    PW_SHORT(json_number_value(json_object_get(top[i], key))), unit,
                    PW_SHORT(json_number_value(json_object_get(top[i], "count"))));
    }
    if (count > NAMES_SHOWN) {
        pw_str_addf(out, ", and %zu further names", count - NAMES_SHOWN);
    }
}

static const json_t *list_of(const struct pw_rule *rule, const struct pw_rule_case *seen)
{
    const json_t *summary = json_object_get(pw_summary_root(seen->summary), "summary");
    return json_object_get(summary, named[rule->which].list);
}

int pw_judge_slow_name(const struct pw_rule *rule, const struct pw_rule_case *seen,
                       struct pw_err *err)
{
    const json_t *top[NAMES_SHOWN] = {NULL};
    const char *key = named[rule->which].weight;
    double total = 0, run_ms = seen->wall_ms.number * (double)seen->workers;
    size_t count = heaviest(list_of(rule, seen), key, top, &total);
    if (count == 0 || !pw_value_is_present(seen->wall_ms) || run_ms <= 0 ||
        100 * total / run_ms < pw_threshold(named[rule->which].share)) {
        return 0;
    }
    PW_STR_AUTO names = PW_STR_INIT;
    describe_names(top, count, key, " ms", &names);
    if (names.failed) {
        return pw_err_memory(err);
    }
    return pw_rule_fire(
        rule, seen,
        (struct pw_rule_evidence){.metric = named[rule->which].list,
                                  .baseline = pw_value_of(run_ms),
                                  .baseline_is = "ms of all workers together",
                                  .current = pw_value_of(total),
                                  .samples = json_number_value(json_object_get(top[0], "count"))},
        err, "%ss make %s of %s ms of run time (%s %%; more than 100 %% if they overlap): %s.",
        named[rule->which].what, PW_SHORT(total), PW_SHORT(run_ms), PW_SHORT(100 * total / run_ms),
        names.text);
}

int pw_judge_failed_name(const struct pw_rule *rule, const struct pw_rule_case *seen,
                         struct pw_err *err)
{
    const json_t *top[NAMES_SHOWN] = {NULL};
    const char *key = named[rule->which].failures;
    const json_t *list = list_of(rule, seen);
    double failures = 0, calls = 0;
    size_t count = heaviest(list, key, top, &failures);
    for (size_t i = 0; i < json_array_size(list); i++) {
        calls += json_number_value(json_object_get(json_array_get(list, i), "count"));
    }
    if (count == 0) {
        return 0;
    }
    PW_STR_AUTO names = PW_STR_INIT;
    describe_names(top, count, key, "", &names);
    if (names.failed) {
        return pw_err_memory(err);
    }
    return pw_rule_fire(rule, seen,
                        (struct pw_rule_evidence){.metric = named[rule->which].list,
                                                  .baseline = pw_value_of(0),
                                                  .baseline_is = "no failure",
                                                  .current = pw_value_of(failures),
                                                  .samples = calls,
                                                  .counted = true},
                        err, "%s of %s %ss failed: %s.", PW_SHORT(failures), PW_SHORT(calls),
                        named[rule->which].what, names.text);
}
