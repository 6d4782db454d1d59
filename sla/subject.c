#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/metric.h"
#include "core/str.h"
#include "sla/flags.h"
#include "sla/subject_impl.h"

/* What a message quotes of a name. */
enum { SHOWN_BYTES = 80 };

bool pw_piece_is(struct pw_piece piece, const char *text)
{
    return strlen(text) == piece.length && memcmp(piece.text, text, piece.length) == 0;
}

int pw_piece_shown(struct pw_piece piece)
{
    size_t length = piece.length;
    if (length > SHOWN_BYTES) {
        length = SHOWN_BYTES;
        while (length > 0 && ((unsigned char)piece.text[length] & 0xC0) == 0x80) {
            length--;
        }
    }
    return (int)length;
}

static int shown(const char *name)
{
    return pw_piece_shown((struct pw_piece){name, strlen(name)});
}

/* Numbers that are no rows of the metric table. */

struct known_number {
    const char *name, *unit;
};
/* Contract, section 5. */
static const struct known_number budget_numbers[] = {
    {"resource_budget.time_budget_ms.wall_mean_ms", "ms"},
    {"resource_budget.time_budget_ms.observed_worker_step_mean_ms", "ms"},
    {"resource_budget.time_budget_ms.unaccounted_time_mean_ms", "ms"},
    {"resource_budget.time_budget_ms.build_cmd_share_pct", "%"},
    {"resource_budget.time_budget_ms.spawn_proc_share_pct", "%"},
    {"resource_budget.time_budget_ms.monitor_loop_share_pct", "%"},
    {"resource_budget.time_budget_ms.communicate_share_pct", "%"},
    {"resource_budget.time_budget_ms.parse_stats_share_pct", "%"},
    {"resource_budget.time_budget_ms.unaccounted_share_pct", "%"},
    {"resource_budget.cpu_budget.user_cpu_mean_sec", "s"},
    {"resource_budget.cpu_budget.system_cpu_mean_sec", "s"},
    {"resource_budget.cpu_budget.total_cpu_mean_sec", "s"},
    {"resource_budget.cpu_budget.cpu_core_utilization_pct", "%"},
    {"resource_budget.process_budget.peak_open_fds_mean", "count"},
    {"resource_budget.process_budget.peak_direct_children_mean", "count"},
    {"resource_budget.process_budget.sampled_peak_tree_rss_mean_kb", "KiB"},
    {"resource_budget.process_budget.sampled_peak_tree_rss_mean_mb", "MiB"},
    {"resource_budget.process_budget.sampled_peak_tree_cpu_p95", "%"},
    {"resource_budget.stability.total_runs", "workers"},
    {"resource_budget.stability.successful_runs_total", "workers"},
    {"resource_budget.stability.failed_runs_total", "workers"},
    {"resource_budget.stability.timeout_runs_total", "workers"},
    {"resource_budget.stability.failure_rate_pct", "%"},
    {"resource_budget.stability.timeout_rate_pct", "%"},
};
enum { BUDGET_COUNT = sizeof(budget_numbers) / sizeof(budget_numbers[0]) };

/* Blocks whose numbers depend on the run: any name in them may be there. */
static const char *const summary_blocks[] = {
    "queue_cancel_metrics", "otel_metrics",         "otel_actions", "otel_spans", "telemetry",
    "failed_iterations",    "xctrace.hotspots_top",
};
static const char *const top_blocks[] = {"profile",  "runs",    "environment",
                                         "observer", "orphans", "warnings"};
static const char *const top_numbers[] = {"iterations", "interrupted_by"};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* `name` is `block`, a dot, and more. */
static bool is_within(const char *name, const char *block)
{
    size_t length = strlen(block);
    return strncmp(name, block, length) == 0 && name[length] == '.' && name[length + 1] != '\0';
}

static bool is_one_of(const char *name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_within_one_of(const char *name, const char *const *blocks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (is_within(name, blocks[i])) {
            return true;
        }
    }
    return false;
}

static const struct known_number *budget_number(const char *name)
{
    for (size_t i = 0; i < BUDGET_COUNT; i++) {
        if (strcmp(name, budget_numbers[i].name) == 0) {
            return &budget_numbers[i];
        }
    }
    return NULL;
}

/* The metric whose path is the beginning of `name`, before its last dot. */
static const struct pw_metric *metric_before_dot(const char *name, const char **ret_rest)
{
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < PW_METRIC_COUNT; i++) {
        const char *path = pw_metrics[i].path;
        if (strlen(path) == (size_t)(dot - name) && strncmp(path, name, strlen(path)) == 0) {
            *ret_rest = dot + 1;
            return &pw_metrics[i];
        }
    }
    return NULL;
}

static bool is_interval_end(const char *word)
{
    return strcmp(word, pw_stat_name(PW_STAT_P50_CI95_LOW)) == 0 ||
           strcmp(word, pw_stat_name(PW_STAT_P50_CI95_HIGH)) == 0;
}

static const char *const unit_suffixes[][2] = {
    {"_ms", "ms"},  {"_sec", "s"},  {"_ns", "ns"},   {"_us", "us"},
    {"_mb", "MiB"}, {"_kb", "KiB"}, {"_bytes", "B"}, {"_pct", "%"},
};

static const char *unit_of_suffix(const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 0; i < COUNT_OF(unit_suffixes); i++) {
        size_t suffix = strlen(unit_suffixes[i][0]);
        if (length > suffix && strcmp(name + length - suffix, unit_suffixes[i][0]) == 0) {
            return unit_suffixes[i][1];
        }
    }
    return NULL;
}

static const char *unit_of_key(const char *key)
{
    for (size_t i = 0; i < PW_METRIC_COUNT; i++) {
        if (pw_metrics[i].key && strcmp(pw_metrics[i].key, key) == 0) {
            return pw_metrics[i].unit;
        }
    }
    return NULL;
}

static const char *unit_of_number(const char *name, bool *ret_in_summary)
{
    const char *rest = NULL;
    const struct pw_metric *metric = metric_before_dot(name, &rest);
    const struct known_number *known = budget_number(name);
    if (metric) {
        return metric->unit;
    }
    if (known) {
        return known->unit;
    }
    if (is_within(name, "queue_cancel_metrics")) {
        return "count";
    }
    if (is_within(name, "otel_metrics")) {
        *ret_in_summary = true;
        return NULL;
    }
    const char *dot = strrchr(name, '.');
    const char *unit = dot && is_within(name, "runs") ? unit_of_key(dot + 1) : NULL;
    return unit ? unit : unit_of_suffix(name);
}

const char *pw_subject_unit(const struct pw_bound *bound, bool *ret_in_summary)
{
    *ret_in_summary = false;
    if (pw_aggregate_is_count(bound->aggregate.kind)) {
        return "count";
    }
    switch (bound->subject) {
    case PW_SUBJECT_METRIC: return bound->metric->unit;
    case PW_SUBJECT_OTEL: *ret_in_summary = true; return NULL;
    case PW_SUBJECT_ACTION:
    case PW_SUBJECT_SPAN:
    case PW_SUBJECT_MOMENT: return "ms";
    case PW_SUBJECT_NUMBER: return unit_of_number(bound->name, ret_in_summary);
    }
    return NULL;
}

/* Resolving. */

struct resolver {
    struct pw_bound *bound;
    struct pw_aggregate aggregate;
    enum pw_subject_fault fault;
    struct pw_err *err;
};

static int set_name(struct resolver *resolver, enum pw_subject_kind kind, const char *name)
{
    char *copy = strdup(name);
    if (!copy) {
        return pw_err_memory(resolver->err);
    }
    resolver->bound->subject = kind;
    resolver->bound->name = copy;
    resolver->bound->aggregate = resolver->aggregate;
    return 0;
}

__attribute__((format(printf, 3, 4))) static int wrong(struct resolver *resolver,
                                                       enum pw_subject_fault where,
                                                       const char *format, ...)
{
    char message[PW_ERR_MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    resolver->fault = where;
    return pw_err_set(resolver->err, PW_ERR_USAGE, "%s", message);
}

static int remedy_with_aggregates(struct resolver *resolver, const struct pw_metric *metric)
{
    bool total = (metric->stats & PW_STAT_BIT(PW_STAT_TOTAL)) != 0;
    return pw_err_remedy(resolver->err,
                         "It has mean, med, min, max, stddev, mad%s and p(0) to "
                         "p(100): `%s p(95)`.",
                         total ? ", total" : "", metric->path);
}

static int resolve_metric(struct resolver *resolver, const struct pw_metric *metric)
{
    enum pw_aggregate_kind kind = resolver->aggregate.kind;
    char text[PW_AGGREGATE_TEXT_MAX];
    pw_aggregate_text(resolver->aggregate, text);
    if (metric->stats == PW_STATS_SCALAR) {
        if (kind != PW_AGGREGATE_NONE) {
            wrong(resolver, PW_FAULT_AGGREGATE, "`%s` is one number and has no %s", metric->path,
                  text);
            return pw_err_remedy(resolver->err, "Leave `%s` out.", text);
        }
    } else if (kind == PW_AGGREGATE_NONE) {
        wrong(resolver, PW_FAULT_NAME, "`%s` is many values: which number of them?", metric->path);
        return remedy_with_aggregates(resolver, metric);
    } else if (pw_aggregate_is_count(kind) ||
               (kind == PW_AGGREGATE_TOTAL && !(metric->stats & PW_STAT_BIT(PW_STAT_TOTAL)))) {
        wrong(resolver, PW_FAULT_AGGREGATE, "`%s` has no %s", metric->path, text);
        return remedy_with_aggregates(resolver, metric);
    }
    resolver->bound->metric = metric;
    return set_name(resolver, PW_SUBJECT_METRIC, metric->path);
}

/* `latency_ms.p95`. */
static int resolve_statistic(struct resolver *resolver, const struct pw_metric *metric,
                             const char *name, const char *word)
{
    struct pw_aggregate aggregate;
    bool end = is_interval_end(word) && (metric->stats & PW_STAT_BIT(PW_STAT_P50_CI95_LOW));
    if (!end && (metric->stats == PW_STATS_SCALAR ||
                 !pw_aggregate_find((struct pw_piece){word, strlen(word)}, &aggregate))) {
        const char *nearest = pw_nearest_name(word, pw_aggregate_words);
        wrong(resolver, PW_FAULT_NAME, "`%s` has no `%.*s`", metric->path, shown(word), word);
        if (metric->stats == PW_STATS_SCALAR) {
            return pw_err_remedy(resolver->err, "It is one number: write `%s`.", metric->path);
        }
        return nearest
                   ? pw_err_remedy(resolver->err, "Did you mean `%s %s`?", metric->path, nearest)
                   : remedy_with_aggregates(resolver, metric);
    }
    if (resolver->aggregate.kind != PW_AGGREGATE_NONE) {
        wrong(resolver, PW_FAULT_AGGREGATE, "`%.*s` names a statistic already", shown(name), name);
        return pw_err_remedy(resolver->err, "Leave one of the two out: `%s p(95)` or `%s.p95`.",
                             metric->path, metric->path);
    }
    if (end) {
        return set_name(resolver, PW_SUBJECT_NUMBER, name);
    }
    resolver->aggregate = aggregate;
    int status = resolve_metric(resolver, metric);
    resolver->fault = PW_FAULT_NAME;
    return status;
}

static int resolve_telemetry(struct resolver *resolver, enum pw_subject_kind kind,
                             const char *whole, const char *name)
{
    struct pw_aggregate aggregate = resolver->aggregate;
    const char *what = kind == PW_SUBJECT_OTEL     ? "an OTLP metric"
                       : kind == PW_SUBJECT_ACTION ? "an action"
                                                   : "a span";
    const char *has =
        kind == PW_SUBJECT_OTEL
            ? "mean, min, max, total, count, p(50), p(95) and p(99)"
            : "mean, min, max, stddev, total, count, failures, p(50), p(95) and p(99)";
    char text[PW_AGGREGATE_TEXT_MAX];
    pw_aggregate_text(aggregate, text);
    if (name[0] == '\0') {
        wrong(resolver, PW_FAULT_NAME, "`%s` has no name behind it", whole);
        return pw_err_remedy(resolver->err, "`perfwrap show` lists what a summary has.");
    }
    if (aggregate.kind == PW_AGGREGATE_NONE) {
        wrong(resolver, PW_FAULT_NAME, "`%.*s` is many values: which number of them?", shown(whole),
              whole);
        const char *dot = strrchr(name, '.');
        struct pw_aggregate meant;
        if (dot && pw_aggregate_find((struct pw_piece){dot + 1, strlen(dot + 1)}, &meant)) {
            struct pw_piece stem = {whole, (size_t)(dot - whole)};
            return pw_err_remedy(resolver->err, "Write it with a blank: `%.*s %s`.",
                                 pw_piece_shown(stem), whole, dot + 1);
        }
        return pw_err_remedy(resolver->err, "%s has %s.", what, has);
    }
    bool has_percentile = aggregate.p == 0.5 || aggregate.p == 0.95 || aggregate.p == 0.99;
    if (aggregate.kind == PW_AGGREGATE_MAD ||
        (kind == PW_SUBJECT_OTEL &&
         (aggregate.kind == PW_AGGREGATE_STDDEV || aggregate.kind == PW_AGGREGATE_FAILURES)) ||
        (aggregate.kind == PW_AGGREGATE_PERCENTILE && !has_percentile)) {
        wrong(resolver, PW_FAULT_AGGREGATE, "a summary has no %s of %s", text, what);
        return pw_err_remedy(resolver->err, "It has %s.", has);
    }
    return set_name(resolver, kind, name);
}

static bool is_number_of_document(const char *name, bool from_top)
{
    const char *inner = from_top ? name : name + strlen("summary.");
    bool in_summary =
        budget_number(inner) || is_within_one_of(inner, summary_blocks, COUNT_OF(summary_blocks));
    return in_summary || (from_top && (is_within_one_of(name, top_blocks, COUNT_OF(top_blocks)) ||
                                       is_one_of(name, top_numbers, COUNT_OF(top_numbers))));
}

/* Everything that a name may have been meant to be, and how it is written. */
struct candidates {
    const char *names[2 * PW_METRIC_COUNT + 2 * PW_SLA_FLAG_COUNT + BUDGET_COUNT + 20];
    const char *meant[2 * PW_METRIC_COUNT + 2 * PW_SLA_FLAG_COUNT + BUDGET_COUNT + 20];
    size_t count;
};

static void add_candidate(struct candidates *candidates, const char *name, const char *meant)
{
    candidates->names[candidates->count] = name;
    candidates->meant[candidates->count++] = meant;
    candidates->names[candidates->count] = NULL;
}

static const char *meant_by(const char *name)
{
    struct candidates candidates = {.count = 0};
    for (size_t i = 0; i < PW_METRIC_COUNT; i++) {
        const char *path = pw_metrics[i].path;
        const char *dot = strrchr(path, '.');
        add_candidate(&candidates, path, path);
        if (dot) {
            add_candidate(&candidates, dot + 1, path);
        }
    }
    for (size_t i = 0; i < BUDGET_COUNT; i++) {
        add_candidate(&candidates, budget_numbers[i].name, budget_numbers[i].name);
    }
    for (size_t i = 0; i < PW_SLA_FLAG_COUNT; i++) {
        add_candidate(&candidates, pw_sla_flags[i].label, pw_sla_flags[i].left);
    }
    const char *nearest = pw_nearest_name(name, candidates.names);
    for (size_t i = 0; nearest && i < candidates.count; i++) {
        if (candidates.names[i] == nearest) {
            return candidates.meant[i];
        }
    }
    return NULL;
}

static int unknown_name(struct resolver *resolver, const char *written, const char *name)
{
    static const char *const prefixes[] = {"otel", "action", "span", "marks", "phases", NULL};
    const char *meant = meant_by(name);
    wrong(resolver, PW_FAULT_NAME, "unknown metric `%.*s`", shown(written), written);
    if (meant) {
        return pw_err_remedy(resolver->err, "Did you mean `%s`?", meant);
    }
    if (is_one_of(name, summary_blocks, COUNT_OF(summary_blocks)) ||
        is_one_of(name, top_blocks, COUNT_OF(top_blocks)) || strcmp(name, "resource_budget") == 0) {
        return pw_err_remedy(resolver->err, "It is a block: name a number in it, such as `%s`.",
                             strcmp(name, "resource_budget") == 0 ? budget_numbers[0].name
                                                                  : "profile.warmup");
    }
    char first[16] = "";
    size_t length = strcspn(name, ".");
    if (length < sizeof(first) && name[length] == '.') {
        memcpy(first, name, length);
        const char *prefix = pw_nearest_name(first, prefixes);
        if (prefix) {
            return pw_err_remedy(resolver->err, "Did you mean `%s%.*s`?", prefix,
                                 shown(name + length), name + length);
        }
    }
    return pw_err_remedy(resolver->err, "`perfwrap metrics` lists the metrics; an OTLP metric is "
                                        "otel.NAME, an action action.NAME, a span span.NAME, a "
                                        "mark marks.NAME_ms.");
}

static int resolve(struct resolver *resolver, const char *name)
{
    static const struct {
        const char *prefix;
        enum pw_subject_kind kind;
    } telemetry[] = {
        {"otel.", PW_SUBJECT_OTEL},
        {"action.", PW_SUBJECT_ACTION},
        {"span.", PW_SUBJECT_SPAN},
    };
    for (size_t i = 0; i < COUNT_OF(telemetry); i++) {
        size_t length = strlen(telemetry[i].prefix);
        if (strncmp(name, telemetry[i].prefix, length) == 0) {
            return resolve_telemetry(resolver, telemetry[i].kind, name, name + length);
        }
    }
    static const char prefix[] = "summary.";
    bool from_top = strncmp(name, prefix, strlen(prefix)) != 0;
    const char *inner = from_top ? name : name + strlen(prefix);
    const struct pw_metric *metric = pw_metric_find(inner);
    if (metric) {
        return resolve_metric(resolver, metric);
    }
    if (pw_subject_is_moment(inner)) {
        return pw_subject_resolve_moment(inner, resolver->aggregate, resolver->bound,
                                         &resolver->fault, resolver->err);
    }
    const char *rest = NULL;
    metric = metric_before_dot(inner, &rest);
    if (metric) {
        return resolve_statistic(resolver, metric, inner, rest);
    }
    if (!is_number_of_document(name, from_top)) {
        return unknown_name(resolver, name, inner);
    }
    if (resolver->aggregate.kind != PW_AGGREGATE_NONE) {
        char text[PW_AGGREGATE_TEXT_MAX];
        pw_aggregate_text(resolver->aggregate, text);
        wrong(resolver, PW_FAULT_AGGREGATE, "`%.*s` is one number and has no %s", shown(inner),
              inner, text);
        return pw_err_remedy(resolver->err, "Leave `%s` out.", text);
    }
    return set_name(resolver, PW_SUBJECT_NUMBER, inner);
}

int pw_subject_resolve(const char *name, struct pw_aggregate aggregate, struct pw_bound *bound,
                       enum pw_subject_fault *ret_fault, struct pw_err *err)
{
    struct resolver resolver = {.bound = bound, .aggregate = aggregate, .err = err};
    if (resolve(&resolver, name) != 0) {
        *ret_fault = resolver.fault;
        return -1;
    }
    return 0;
}
