#include "core/metric.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "core/str.h"

const struct pw_metric pw_metrics[PW_METRIC_COUNT] = {
#define PW_METRIC(name, ...) [PW_METRIC_##name] = {.id = PW_METRIC_##name, __VA_ARGS__},
#include "core/metrics.def"
#undef PW_METRIC
};

const char *pw_stat_name(enum pw_stat stat)
{
    static const char *const names[PW_STAT_COUNT] = {
        [PW_STAT_MEAN] = "mean",
        [PW_STAT_P50] = "p50",
        [PW_STAT_P90] = "p90",
        [PW_STAT_P95] = "p95",
        [PW_STAT_P99] = "p99",
        [PW_STAT_MIN] = "min",
        [PW_STAT_MAX] = "max",
        [PW_STAT_STDDEV] = "stddev",
        [PW_STAT_MAD] = "mad",
        [PW_STAT_TOTAL] = "total",
        [PW_STAT_P50_CI95_LOW] = "p50_ci95_low",
        [PW_STAT_P50_CI95_HIGH] = "p50_ci95_high",
        [PW_STAT_SCALAR] = "",
    };
    return names[stat];
}

const char *pw_fold_name(enum pw_fold fold)
{
    static const char *const names[] = {
        [PW_FOLD_WINDOW] = "window", [PW_FOLD_MAX] = "max",   [PW_FOLD_MEAN] = "mean",
        [PW_FOLD_SUM] = "sum",       [PW_FOLD_POOL] = "pool",
    };
    return names[fold];
}

const char *pw_better_name(enum pw_better better)
{
    static const char *const names[] = {
        [PW_BETTER_LOWER] = "lower",
        [PW_BETTER_HIGHER] = "higher",
        [PW_BETTER_NEITHER] = "neither",
    };
    return names[better];
}

const struct pw_metric *pw_metric_find(const char *path)
{
    for (size_t i = 0; i < PW_METRIC_COUNT; i++) {
        if (strcmp(pw_metrics[i].path, path) == 0) {
            return &pw_metrics[i];
        }
    }
    return NULL;
}

/* The self-test. */

/* What a unit of the contract is in OpenTelemetry. NULL: any annotation in braces. */
static const struct unit {
    const char *unit;
    const char *otel_unit;
    double factor;
} units[] = {
    {"ms", "s", 0.001},   {"s", "s", 1},       {"MiB", "By", 1048576},   {"KiB", "KiBy", 1},
    {"B", "By", 1},       {"%", "1", 0.01},    {"runs/s", "{run}/s", 1}, {"count", NULL, 1},
    {"samples", NULL, 1}, {"points", NULL, 1}, {"workers", NULL, 1},     {"metric's own", "1", 1},
};

/* Keys of runs[] and worker_results[] that are no metrics. */
static const char *const reserved_keys[] = {
    "iteration",
    "started_at",
    "return_code",
    "worker_count",
    "queue_cancel_datapoints",
    "otel_metrics",
    "otel_actions",
    "telemetry",
    "stderr_tail",
    "worker_results",
    "xctrace_trace_path",
    "xctrace_hotspots",
    "worker_id",
    "pid",
    "termination",
    "signal",
    "trace_id",
    "verdict",
    "verdict_detail",
    "kernel",
    "memory_at_peak",
    NULL,
};

struct checker {
    const struct pw_metric *row; /* under test */
    struct pw_str *faults;
    size_t count;
};

static void fault(struct checker *checker, const char *what, const char *detail)
{
    const char *path = checker->row->path;
    checker->count++;
    pw_str_addf(checker->faults, "row %zu (%s): %s%s%s\n", (size_t)checker->row->id,
                path ? path : "no path", what, detail ? ": " : "", detail ? detail : "");
}

static bool is_text(const char *text)
{
    return text && text[0] != '\0';
}

/* Segments of lower-case letters, digits and underscores that start with a letter; `dots` between.
 */
static bool is_name(const char *name, bool dots)
{
    bool at_start = true;
    for (; *name != '\0'; name++) {
        if (*name == '.') {
            if (at_start || !dots) {
                return false;
            }
            at_start = true;
            continue;
        }
        bool letter = *name >= 'a' && *name <= 'z';
        bool other = (*name >= '0' && *name <= '9') || *name == '_';
        if (!letter && (at_start || !other)) {
            return false;
        }
        at_start = false;
    }
    return !at_start;
}

static bool is_one_of(const char *name, const char *const *names)
{
    for (; *names; names++) {
        if (strcmp(name, *names) == 0) {
            return true;
        }
    }
    return false;
}

static void check_names(struct checker *checker)
{
    const struct pw_metric *row = checker->row;
    if (!is_text(row->path) || !is_name(row->path, true)) {
        fault(checker, "path is missing or malformed", NULL);
    }
    if (row->key && !is_name(row->key, false)) {
        fault(checker, "key is malformed", row->key);
    } else if (row->key && is_one_of(row->key, reserved_keys)) {
        fault(checker, "key has another meaning there", row->key);
    }
    if (row->worker_only && row->iteration_only) {
        fault(checker, "both worker_only and iteration_only", NULL);
    }
    if (!row->key && (row->worker_only || row->iteration_only)) {
        fault(checker, "worker_only or iteration_only, but no key", NULL);
    }
    if (!is_text(row->otel_name) || !is_name(row->otel_name, true) ||
        strncmp(row->otel_name, "perfwrap.", strlen("perfwrap.")) != 0) {
        fault(checker, "otel_name is missing, malformed or not of perfwrap", row->otel_name);
    }
}

static bool is_annotation(const char *unit)
{
    size_t length = strlen(unit);
    return length > 2 && unit[0] == '{' && unit[length - 1] == '}';
}

static void check_unit(struct checker *checker)
{
    const struct pw_metric *row = checker->row;
    const struct unit *known = NULL;
    for (size_t i = 0; row->unit && i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(units[i].unit, row->unit) == 0) {
            known = &units[i];
        }
    }
    if (!known) {
        fault(checker, "unit is missing or unknown", row->unit);
        return;
    }
    if (!row->otel_unit) {
        fault(checker, "otel_unit is missing", NULL);
    } else if (known->otel_unit ? strcmp(known->otel_unit, row->otel_unit) != 0
                                : !is_annotation(row->otel_unit)) {
        fault(checker, "otel_unit does not fit the unit", row->otel_unit);
    }
    if (fabs(row->otel_factor - known->factor) > 1e-12 * known->factor) {
        fault(checker, "otel_factor does not fit the unit", NULL);
    }
}

static void check_statistics(struct checker *checker)
{
    const struct pw_metric *row = checker->row;
    if (row->fold > PW_FOLD_POOL) {
        fault(checker, "fold is unknown", NULL);
        return;
    }
    if (row->better > PW_BETTER_NEITHER) {
        fault(checker, "better is unknown", NULL);
    }
    if (row->stats == 0 || row->stats >= PW_STAT_BIT(PW_STAT_COUNT)) {
        fault(checker, "no statistics, or an unknown one", NULL);
    }
    bool scalar = (row->stats & PW_STATS_SCALAR) != 0;
    if (scalar && row->stats != PW_STATS_SCALAR) {
        fault(checker, "a scalar has no other statistics", NULL);
    }
    if (scalar && row->fold != PW_FOLD_WINDOW && row->fold != PW_FOLD_SUM) {
        fault(checker, "a scalar cannot be folded so", pw_fold_name(row->fold));
    }
    if (row->fold == PW_FOLD_POOL && row->key) {
        fault(checker, "pooled, so it has no value of an iteration, but a key", row->key);
    }
    if (row->fold != PW_FOLD_WINDOW && row->iteration_only) {
        fault(checker, "folded from workers, but iteration_only", NULL);
    }
    if (row->fold == PW_FOLD_MEAN && row->integer && !row->worker_only) {
        fault(checker, "integer, but the mean over workers is none", NULL);
    }
    unsigned low = row->stats & PW_STAT_BIT(PW_STAT_P50_CI95_LOW);
    unsigned high = row->stats & PW_STAT_BIT(PW_STAT_P50_CI95_HIGH);
    if (!low != !high) {
        fault(checker, "one end of the interval without the other", NULL);
    }
    if (!isfinite(row->noise_floor) || row->noise_floor < 0) {
        fault(checker, "noise_floor is negative or not finite", NULL);
    }
}

static void check_texts(struct checker *checker)
{
    const struct pw_metric *row = checker->row;
    if (!is_text(row->source)) {
        fault(checker, "source is missing", NULL);
    }
    if (!is_text(row->fallback)) {
        fault(checker, "fallback is missing", NULL);
    }
    if (!is_text(row->help) || row->help[strlen(row->help) - 1] != '.') {
        fault(checker, "help is missing or no sentence", NULL);
    }
}

/* True if both stand in the same object: runs[] or worker_results[]. */
static bool meet(const struct pw_metric *a, const struct pw_metric *b)
{
    return !(a->worker_only && b->iteration_only) && !(a->iteration_only && b->worker_only);
}

static void check_against(struct checker *checker, const struct pw_metric *other)
{
    const struct pw_metric *row = checker->row;
    if (is_text(row->path) && is_text(other->path)) {
        size_t length = strlen(row->path);
        if (strcmp(row->path, other->path) == 0) {
            fault(checker, "path is there twice", NULL);
        } else if (strncmp(row->path, other->path, length) == 0 && other->path[length] == '.') {
            fault(checker, "path is the beginning of another", other->path);
        } else if (strncmp(row->path, other->path, strlen(other->path)) == 0 &&
                   row->path[strlen(other->path)] == '.') {
            fault(checker, "another path is its beginning", other->path);
        }
    }
    if (row->key && other->key && strcmp(row->key, other->key) == 0 && meet(row, other)) {
        fault(checker, "key is there twice", row->key);
    }
    if (row->otel_name && other->otel_name && strcmp(row->otel_name, other->otel_name) == 0) {
        fault(checker, "otel_name is there twice", row->otel_name);
    }
}

size_t pw_metric_check_table(const struct pw_metric *table, size_t count, struct pw_str *faults)
{
    struct checker checker = {.faults = faults};
    for (size_t i = 0; i < count; i++) {
        checker.row = &table[i];
        if (table[i].id != i) {
            fault(&checker, "id is not its place in the table", NULL);
        }
        check_names(&checker);
        check_unit(&checker);
        check_statistics(&checker);
        check_texts(&checker);
        for (size_t j = 0; j < i; j++) {
            check_against(&checker, &table[j]);
        }
    }
    return checker.count;
}
