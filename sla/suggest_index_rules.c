/* The contract's rules (section 9) over a baseline index, and what else the index shows. */
#include <math.h>
#include <string.h>
#include "core/json.h"
#include "sla/suggest_impl.h"

/* When a rule fires and how bad it is. */
enum firing {
    FIRES_ON_FAILURES, /* the newest value is over 0: red */
    FIRES_ON_ALL,      /* all of its metrics warn: as bad as the first of them */
    FIRES_ON_ANY,      /* one of them warns: as bad as the worst */
};
static const char *const firing_words[] = {
    [FIRES_ON_FAILURES] = "the newest value is over 0 (always red)",
    [FIRES_ON_ALL] = "all warn; red if the first is, else yellow",
    [FIRES_ON_ANY] = "one warns; as bad as the worst of them",
};

enum { RULE_METRICS = 2 };
struct index_rule {
    const char *signal;
    enum firing firing;
    const char *metrics[RULE_METRICS];
    const char *advice;
    const char *next; /* template: {summary} is the newest of the profile */
};

#define SUGGEST "perfwrap suggest {summary}"
#define SHOW "perfwrap show --format md {summary}"

static const struct index_rule rules[] = {
    {"failed_runs_total",
     FIRES_ON_FAILURES,
     {"failed_runs_total", NULL},
     "Read the ends of standard error first (stderr_tail of the iteration files); then tell a wrong "
     "set-up (authentication, network) from failures at run time.",
     SUGGEST},
    {"latency_p95_ms+throughput_mean",
     FIRES_ON_ALL,
     {"latency_p95_ms", "throughput_mean"},
     "Slower and fewer at a time: look for contention on locks, for what observing costs, for "
     "children that are started and ended, and compare the step timings.",
     SUGGEST},
    {"monitor_loop_mean_ms",
     FIRES_ON_ANY,
     {"monitor_loop_mean_ms", NULL},
     "Observing costs more than it did: a longer probe interval, fewer probes, or sampling that is "
     "driven by events.",
     SHOW},
    {"spawn_proc_mean_ms",
     FIRES_ON_ANY,
     {"spawn_proc_mean_ms", NULL},
     "Starting costs more than it did: pool workers, and start and tear down less for each.",
     SHOW},
    {"parse_stats_mean_ms",
     FIRES_ON_ANY,
     {"parse_stats_mean_ms", NULL},
     "Making numbers of what was collected costs more than it did: parse less, more simply, or "
     "later.",
     SHOW},
    {"rss_mean_mb/sampled_peak_tree_rss_mean_mb",
     FIRES_ON_ANY,
     {"rss_mean_mb", "sampled_peak_tree_rss_mean_mb"},
     "Follow the footprint over a worker's life (--vmmap-snapshots), find what allocates most, and "
     "look for buffers that are kept.",
     SUGGEST},
    {"sampled_peak_tree_cpu_p95",
     FIRES_ON_ANY,
     {"sampled_peak_tree_cpu_p95", NULL},
     "Find the functions that use the CPU first (a CPU profile); think of locks after that.",
     SUGGEST},
    {"peak_fds_mean",
     FIRES_ON_ANY,
     {"peak_fds_mean", NULL},
     "List what is open and who opened it, and set close-on-exec.",
     SHOW},
};
enum { RULE_COUNT = sizeof(rules) / sizeof(rules[0]) };

/* A profile of the index, and where to put what is said of it. */
struct subject {
    const char *name;
    const json_t *profile, *metrics;
    const char *latest;
    json_t *document;
    bool warned[RULE_COUNT]; /* rules that fired */
};

static struct pw_value number_in(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? pw_value_of(json_number_value(value))
                                 : pw_value_absent(PW_ABSENT_NOT_MEASURED);
}

static enum pw_suggest_severity severity_in(const json_t *object, const char *path)
{
    const char *status = json_string_value(pw_json_find(object, path));
    for (enum pw_suggest_severity s = PW_SUGGEST_YELLOW; status && s <= PW_SUGGEST_RED; s++) {
        if (strcmp(status, pw_suggest_severity_name(s)) == 0) {
            return s;
        }
    }
    return PW_SUGGEST_NONE;
}

static enum pw_suggest_severity severity_of_rule(const struct index_rule *rule,
                                                 const json_t *metrics)
{
    enum pw_suggest_severity worst = PW_SUGGEST_NONE, first = PW_SUGGEST_NONE;
    size_t warning = 0, count = 0;
    for (; count < RULE_METRICS && rule->metrics[count]; count++) {
        const json_t *metric = json_object_get(metrics, rule->metrics[count]);
        enum pw_suggest_severity severity = severity_in(metric, "status");
        first = count == 0 ? severity : first;
        worst = severity > worst ? severity : worst;
        warning += severity > PW_SUGGEST_NONE;
    }
    switch (rule->firing) {
    case FIRES_ON_FAILURES: {
        struct pw_value failed = number_in(json_object_get(metrics, rule->metrics[0]), "current");
        return pw_value_is_present(failed) && failed.number > 0 ? PW_SUGGEST_RED : PW_SUGGEST_NONE;
    }
    case FIRES_ON_ALL:
        if (warning < count) {
            return PW_SUGGEST_NONE;
        }
        return first == PW_SUGGEST_RED ? PW_SUGGEST_RED : PW_SUGGEST_YELLOW;
    case FIRES_ON_ANY: break;
    }
    return worst;
}

/* Where a status and the numbers behind it stand in a metric's object. */
struct basis {
    const char *status; /* its path, and the name of the basis */
    const char *z, *n, *median, *change;
    const char *baseline_is;
};
static const struct basis bases[] = {
    {"status", "robust_z", "n", "median", "delta_pct_from_median",
     "median of all runs of the window, the newest included"},
    {"baseline.status", "baseline.robust_z", "baseline.n", "baseline.median", "baseline.delta_pct",
     "median of the runs before the newest"},
    {"status_strict", "robust_z_fallback", "n", "median", "delta_pct_from_median",
     "median of all runs of the window, the newest included"},
};
enum { BASIS_COUNT = sizeof(bases) / sizeof(bases[0]) };

static struct pw_value number_at(const json_t *metric, const char *path)
{
    const json_t *value = pw_json_find(metric, path);
    return json_is_number(value) ? pw_value_of(json_number_value(value))
                                 : pw_value_absent(PW_ABSENT_NOT_MEASURED);
}

/* The z that a basis rests on: without a spread, the fallback. */
static struct pw_value z_of(const json_t *metric, const struct basis *basis)
{
    struct pw_value z = number_at(metric, basis->z);
    if (!pw_value_is_present(z) && strncmp(basis->status, "baseline.", 9) == 0) {
        z = number_at(metric, "baseline.robust_z_fallback");
    }
    return z;
}

/* Whether the newest value lies nearer to the basis' median than perfwrap can tell apart. An index
 * of the older harness knows no noise floor. */
static bool is_noise(const json_t *metric, const struct basis *basis)
{
    struct pw_value floor = number_at(metric, "baseline.noise_floor");
    struct pw_value current = number_at(metric, "current");
    struct pw_value median = number_at(metric, basis->median);
    return pw_value_is_present(floor) && pw_value_is_present(current) &&
           pw_value_is_present(median) && fabs(current.number - median.number) < floor.number;
}

/* "latency_p95_ms is 130, the median of 30 runs 100 (+30 %, robust z 4.2): red". */
static void describe_metric(struct pw_str *out, const char *name, const json_t *metric,
                            const struct basis *basis)
{
    struct pw_value current = number_at(metric, "current"), n = number_at(metric, basis->n);
    struct pw_value median = number_at(metric, basis->median), z = z_of(metric, basis);
    struct pw_value change = number_at(metric, basis->change);
    const char *status = json_string_value(pw_json_find(metric, basis->status));
    pw_str_addf(out, "%s%.100s is %s", out->length > 0 ? "; " : "", name,
                pw_value_is_present(current) ? PW_SHORT(current.number) : "n/a");
    if (pw_value_is_present(median) && pw_value_is_present(n)) {
        pw_str_addf(out, ", the median of %s runs %s", PW_SHORT(n.number), PW_SHORT(median.number));
    }
    const char *open = " (";
    if (pw_value_is_present(change)) {
        pw_str_addf(out, "%s%+.1f %%", open, change.number);
        open = ", ";
    }
    if (pw_value_is_present(z)) {
        pw_str_addf(out, "%srobust z %s", open, PW_SHORT(z.number));
        open = ", ";
    }
    pw_str_addf(out, "%s%.20s", *open == ',' ? "): " : ": ", status ? status : "n/a");
    if (is_noise(metric, basis)) {
        pw_str_addf(out, ", though %s or less is noise",
                    PW_SHORT(number_at(metric, "baseline.noise_floor").number));
    }
}

static enum pw_confidence confidence_of(struct pw_value n, struct pw_value z, bool counted)
{
    if (counted ||
        (n.number >= PW_CONFIDENT_SAMPLES && pw_value_is_present(z) && fabs(z.number) >= 3)) {
        return PW_CONFIDENCE_HIGH;
    }
    return n.number < PW_SOME_RUNS ? PW_CONFIDENCE_LOW : PW_CONFIDENCE_MEDIUM;
}

/* What an index says about one metric, on that basis. */
struct about {
    const char *list, *signal, *basis; /* `basis` is NULL for a warning of the contract */
    enum pw_suggest_severity severity;
    const char *metric, *message, *advice, *next;
};

static int put(const struct subject *subject, const struct about *about, const struct basis *basis,
               bool counted, struct pw_err *err)
{
    const json_t *metric = json_object_get(subject->metrics, about->metric);
    struct pw_value n = number_at(metric, basis->n);
    PW_STR_AUTO next = PW_STR_INIT;
    pw_rule_fill_command(about->next, NULL, subject->latest, &next);
    if (next.failed) {
        return pw_err_memory(err);
    }
    const struct pw_suggestion suggestion = {
        .profile = subject->name,
        .signal = about->signal,
        .severity = about->severity,
        .basis = about->basis,
        .message = about->message,
        .advice = about->advice,
        .metric = about->metric,
        .baseline = number_at(metric, basis->median),
        .baseline_is = basis->baseline_is,
        .changed = true,
        .current = number_at(metric, "current"),
        .samples = n.number,
        .confidence = is_noise(metric, basis) ? PW_CONFIDENCE_LOW
                                              : confidence_of(n, z_of(metric, basis), counted),
        .next_command = next.text,
    };
    return pw_suggestion_put(subject->document, about->list, &suggestion, err);
}

static int warn(const struct subject *subject, const struct index_rule *rule,
                enum pw_suggest_severity severity, struct pw_err *err)
{
    PW_STR_AUTO message = PW_STR_INIT;
    const char *cited = NULL;
    enum pw_suggest_severity worst = PW_SUGGEST_NONE;
    for (size_t i = 0; i < RULE_METRICS && rule->metrics[i]; i++) {
        const json_t *metric = json_object_get(subject->metrics, rule->metrics[i]);
        enum pw_suggest_severity own = severity_in(metric, "status");
        if (own > PW_SUGGEST_NONE || rule->firing == FIRES_ON_FAILURES) {
            describe_metric(&message, rule->metrics[i], metric, &bases[0]);
            cited = !cited || own > worst ? rule->metrics[i] : cited;
            worst = own > worst ? own : worst;
        }
    }
    pw_str_add_char(&message, '.');
    if (message.failed) {
        return pw_err_memory(err);
    }
    const struct about about = {.list = "warnings",
                                .signal = rule->signal,
                                .severity = severity,
                                .metric = cited,
                                .message = message.text,
                                .advice = rule->advice,
                                .next = rule->next};
    return put(subject, &about, &bases[0], rule->firing == FIRES_ON_FAILURES, err);
}

/* The rule of the contract that speaks of a metric, or NULL; *ret_warned: it fired. */
static const struct index_rule *rule_of(const struct subject *subject, const char *metric,
                                        bool *ret_warned)
{
    for (size_t i = 0; i < RULE_COUNT; i++) {
        for (size_t k = 0; k < RULE_METRICS && rules[i].metrics[k]; k++) {
            if (strcmp(rules[i].metrics[k], metric) == 0) {
                *ret_warned = subject->warned[i];
                return &rules[i];
            }
        }
    }
    *ret_warned = false;
    return NULL;
}

static const char general_advice[] =
    "No rule of the contract names this one by itself. Compare the newest run with an earlier one, "
    "and see what it says of itself.";

/* A metric that warns, on whatever basis, and that no warning of the contract speaks of. */
static int find_in_status(const struct subject *subject, const char *name, const json_t *metric,
                          struct pw_err *err)
{
    bool warned;
    const struct index_rule *rule = rule_of(subject, name, &warned);
    const struct basis *basis = NULL;
    enum pw_suggest_severity worst = PW_SUGGEST_NONE;
    for (size_t i = 0; i < BASIS_COUNT; i++) {
        enum pw_suggest_severity severity = severity_in(metric, bases[i].status);
        if (severity > worst && !is_noise(metric, &bases[i])) {
            worst = severity;
            basis = &bases[i];
        }
    }
    if (!basis || warned) {
        return 0;
    }
    PW_STR_AUTO message = PW_STR_INIT;
    describe_metric(&message, name, metric, basis);
    pw_str_add_char(&message, '.');
    if (message.failed) {
        return pw_err_memory(err);
    }
    const struct about about = {.list = "findings",
                                .signal = name,
                                .basis = basis->status,
                                .severity = worst,
                                .metric = name,
                                .message = message.text,
                                .advice = rule ? rule->advice : general_advice,
                                .next = SUGGEST};
    return put(subject, &about, basis, false, err);
}

/* The last change for the worse: the runs since then are the baseline by now, so no status warns.
 */
static int find_in_change_points(const struct subject *subject, const char *name,
                                 const json_t *metric, struct pw_err *err)
{
    const json_t *points = json_object_get(metric, "change_points"), *last = NULL;
    for (size_t i = 0; i < json_array_size(points); i++) {
        last = json_array_get(points, i);
    }
    struct pw_value before = number_in(last, "before"), after = number_in(last, "after");
    if (!json_is_true(json_object_get(last, "worse")) || !pw_value_is_present(before) ||
        !pw_value_is_present(after)) {
        return 0;
    }
    const char *path = json_string_value(json_object_get(last, "path"));
    const char *when = json_string_value(json_object_get(last, "generated_at"));
    struct pw_value p = number_in(last, "p"), n = number_in(metric, "n");
    PW_STR_AUTO message = PW_STR_INIT, signal = PW_STR_INIT, next = PW_STR_INIT;
    pw_str_addf(&signal, "change_point:%.100s", name);
    pw_str_addf(&message, "%.100s went from %s to %s with the run `%.300s` (%.40s", name,
                PW_SHORT(before.number), PW_SHORT(after.number), path ? path : "n/a",
                when ? when : "no date");
    if (pw_value_is_present(p)) {
        pw_str_addf(&message, ", p = %.2g", p.number);
    }
    pw_str_add(&message, ") and has stayed there.");
    pw_rule_fill_command(SUGGEST, NULL, path ? path : subject->latest, &next);
    if (message.failed || signal.failed || next.failed) {
        return pw_err_memory(err);
    }
    const struct pw_suggestion suggestion = {
        .profile = subject->name,
        .signal = signal.text,
        .severity = PW_SUGGEST_YELLOW,
        .basis = "change_points",
        .message = message.text,
        .advice = "See what changed with that run: the program's version, its set-up, or the "
                  "machine.",
        .metric = name,
        .baseline = before,
        .baseline_is = "before the change",
        .changed = true,
        .current = after,
        .samples = n.number,
        .confidence = pw_confidence_of(n.number, false, false),
        .next_command = next.text,
    };
    return pw_suggestion_put(subject->document, "findings", &suggestion, err);
}

static int suggest_for(struct subject *subject, struct pw_err *err)
{
    for (size_t i = 0; i < RULE_COUNT; i++) {
        enum pw_suggest_severity severity = severity_of_rule(&rules[i], subject->metrics);
        subject->warned[i] = severity > PW_SUGGEST_NONE;
        if (subject->warned[i] && warn(subject, &rules[i], severity, err) != 0) {
            return -1;
        }
    }
    const char *name;
    json_t *metric;
    json_object_foreach((json_t *)subject->metrics, name, metric)
    {
        if (find_in_status(subject, name, metric, err) != 0 ||
            find_in_change_points(subject, name, metric, err) != 0) {
            return -1;
        }
    }
    return 0;
}

int pw_suggest_from_index(const json_t *index, const char *index_path, json_t *document,
                          struct pw_err *err)
{
    const char *name;
    json_t *profile;
    json_object_foreach(json_object_get(index, "profiles"), name, profile)
    {
        struct subject subject = {.name = name, .profile = profile, .document = document};
        subject.metrics = json_object_get(profile, "metrics");
        subject.latest = json_string_value(json_object_get(profile, "latest_summary_path"));
        subject.latest = subject.latest ? subject.latest : index_path;
        if (suggest_for(&subject, err) != 0) {
            return pw_err_prefix(err, "profile `%.100s`", name);
        }
    }
    return 0;
}

static const char *joined_metrics(const struct index_rule *rule, struct pw_str *out)
{
    pw_str_clear(out);
    for (size_t k = 0; k < RULE_METRICS && rule->metrics[k]; k++) {
        pw_str_addf(out, "%s%s", k > 0 ? ", " : "", rule->metrics[k]);
    }
    return out->text;
}

void pw_suggest_list_index_rules(struct pw_document *report)
{
    static const char *const headers[] = {"signal", "looks at", "fires when", "advice", "next"};
    PW_STR_AUTO metrics = PW_STR_INIT;
    pw_document_table(report, headers, 5, 5);
    for (size_t i = 0; i < RULE_COUNT; i++) {
        pw_document_cell(report, "%s", rules[i].signal);
        pw_document_cell(report, "%s", joined_metrics(&rules[i], &metrics));
        pw_document_cell(report, "%s", firing_words[rules[i].firing]);
        pw_document_cell(report, "%s", rules[i].advice);
        pw_document_cell(report, "%s", rules[i].next);
    }
}

int pw_suggest_index_rules_to_json(json_t *list, struct pw_err *err)
{
    PW_STR_AUTO metrics = PW_STR_INIT;
    for (size_t i = 0; i < RULE_COUNT; i++) {
        json_t *rule = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "table", "contract", "signal",
                                 rules[i].signal, "looks_at", joined_metrics(&rules[i], &metrics),
                                 "fires_when", firing_words[rules[i].firing], "suggestion",
                                 rules[i].advice, "next_command", rules[i].next);
        if (json_array_append_new(list, rule) != 0) {
            return pw_err_memory(err);
        }
    }
    return 0;
}
