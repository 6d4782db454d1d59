#include "sla/compare.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/file.h"
#include "core/moments.h"
#include "sla/compare_impl.h"

const char *pw_comparison_verdict_name(enum pw_comparison_verdict verdict)
{
    static const char *const names[PW_COMPARISON_VERDICT_COUNT] = {
        [PW_COMPARISON_FASTER] = "faster",   [PW_COMPARISON_SLOWER] = "slower",
        [PW_COMPARISON_SAME] = "same",       [PW_COMPARISON_UNSURE] = "unsure",
        [PW_COMPARISON_CHANGED] = "changed",
    };
    return names[verdict];
}

enum { ROWS_MAX = PW_METRIC_COUNT + PW_COMPARE_MOMENTS_MAX };

/* A comparison while it is made. */
struct work {
    struct pw_compare_input a, b;
    struct pw_comparison *comparison;
    bool one_at_a_time;
    bool constant[ROWS_MAX]; /* by row: all values of both sides are one */
};

static enum pw_comparison_rank rank_of(const struct work *work, enum pw_metric_id id)
{
    switch (id) {
    case PW_METRIC_LATENCY:
    case PW_METRIC_FOOT_RSS:
    case PW_METRIC_FOOT_PSS:
    case PW_METRIC_MAX_RSS_MB:
    case PW_METRIC_USER_CPU:
    case PW_METRIC_SYSTEM_CPU: return PW_COMPARISON_GATE;
    case PW_METRIC_WORKER_LATENCY: /* the iteration is the worker */
    case PW_METRIC_THROUGHPUT:     /* and this is 1000 / latency_ms */
        return work->one_at_a_time ? PW_COMPARISON_REST : PW_COMPARISON_GATE;
    case PW_METRIC_MAX_RSS_KB: /* in MiB too */
    case PW_METRIC_TREE_PEAK_RSS_KB:
    case PW_METRIC_PARENT_PEAK_RSS_KB: /* of a tree of one process the same */
    case PW_METRIC_STEP_BUILD_CMD:     /* perfwrap's own time */
    case PW_METRIC_STEP_SPAWN_PROC:
    case PW_METRIC_STEP_MONITOR_LOOP:
    case PW_METRIC_STEP_COMMUNICATE:
    case PW_METRIC_STEP_PARSE_STATS: return PW_COMPARISON_REST;
    default:
        return pw_metrics[id].better == PW_BETTER_NEITHER ||
                       (pw_metrics[id].stats & PW_STATS_SCALAR) /* counts, see the warnings */
                   ? PW_COMPARISON_REST
                   : PW_COMPARISON_DETAIL;
    }
}

static bool is_constant(const double *values, size_t count, double value)
{
    for (size_t i = 0; i < count; i++) {
        if (values[i] < value || values[i] > value) {
            return false;
        }
    }
    return true;
}

/* The values of both sides. */
struct values {
    double *a, *b;
    size_t n_a, n_b;
};

static void values_done(struct values *values)
{
    free(values->a);
    free(values->b);
}
#define VALUES_AUTO __attribute__((cleanup(values_done))) struct values

/* Nothing is added if a side has no values. */
static int add_row(struct work *work, const struct pw_metric *metric, enum pw_comparison_rank rank,
                   const struct values *values, struct pw_err *err)
{
    struct pw_comparison *comparison = work->comparison;
    if (values->n_a == 0 || values->n_b == 0) {
        return 0;
    }
    struct pw_comparison_row *row = &comparison->rows[comparison->count];
    *row = (struct pw_comparison_row){.metric = metric, .rank = rank};
    if (pw_two_samples_compare(values->a, values->n_a, values->b, values->n_b,
                               comparison->options.confidence, &row->result, err) != 0) {
        return pw_err_prefix(err, "compare %s", metric->path);
    }
    bool constant = is_constant(values->a, values->n_a, values->a[0]) &&
                    is_constant(values->b, values->n_b, values->a[0]);
    if (constant && is_constant(values->a, 1, 0)) {
        row->rank = PW_COMPARISON_REST;
    }
    double median = fabs(row->result.median_a);
    row->shift_pct = median > 0 ? row->result.shift / median * 100 : NAN;
    row->floor = fmax(comparison->options.floor_pct / 100 * median, metric->noise_floor);
    work->constant[comparison->count++] = constant;
    return 0;
}

static int add_metric(struct work *work, enum pw_metric_id id, struct pw_err *err)
{
    const struct pw_metric *metric = &pw_metrics[id];
    VALUES_AUTO values = {.a = NULL};
    if (pw_compare_sample(&work->a, metric, &values.a, &values.n_a, err) != 0 ||
        pw_compare_sample(&work->b, metric, &values.b, &values.n_b, err) != 0) {
        return -1;
    }
    return add_row(work, metric, rank_of(work, id), &values, err);
}

static bool is_same(const double *a, size_t n_a, const double *b, size_t n_b)
{
    for (size_t i = 0; n_a == n_b && i < n_a; i++) {
        if (a[i] < b[i] || a[i] > b[i]) {
            return false;
        }
    }
    return n_a == n_b;
}

static int sample_moment(const struct work *work, const char *path, struct values *values,
                         struct pw_err *err)
{
    return pw_compare_sample_moment(&work->a, path, &values->a, &values->n_a, err) != 0 ||
                   pw_compare_sample_moment(&work->b, path, &values->b, &values->n_b, err) != 0
               ? -1
               : 0;
}

static int add_moment(struct work *work, const struct pw_metric *metric, struct pw_err *err)
{
    static const char prefix[] = "phases";
    const char *key = strchr(metric->path, '.');
    VALUES_AUTO values = {.a = NULL};
    VALUES_AUTO mark = {.a = NULL};
    if (sample_moment(work, metric->path, &values, err) != 0) {
        return -1;
    }
    enum pw_comparison_rank rank = PW_COMPARISON_DETAIL;
    if (key && strncmp(metric->path, prefix, strlen(prefix)) == 0) {
        /* The first mark's phase is the mark. */
        char path[sizeof("marks") + PW_MOMENT_KEY_MAX];
        snprintf(path, sizeof(path), "marks%s", key);
        if (sample_moment(work, path, &mark, err) != 0) {
            return -1;
        }
        if (is_same(values.a, values.n_a, mark.a, mark.n_a) &&
            is_same(values.b, values.n_b, mark.b, mark.n_b)) {
            rank = PW_COMPARISON_REST;
        }
    }
    return add_row(work, metric, rank, &values, err);
}

static int add_moments(struct work *work, struct pw_err *err)
{
    struct pw_comparison *comparison = work->comparison;
    if (pw_compare_find_moments(comparison, &work->a, &work->b, err) != 0) {
        return -1;
    }
    for (size_t i = 0; i < comparison->moment_count; i++) {
        if (add_moment(work, &comparison->moments[i].metric, err) != 0) {
            return -1;
        }
    }
    return 0;
}

/* The family of hypotheses that a rank is. What has one value on both sides can be no discovery, by
 * whatever division of the values into two sides, so it costs the others nothing (Tarone 1990). */
static size_t family_of(const struct work *work, enum pw_comparison_rank rank,
                        struct pw_comparison_row **ret_rows)
{
    struct pw_comparison *comparison = work->comparison;
    size_t count = 0;
    for (size_t i = 0; i < comparison->count; i++) {
        if (comparison->rows[i].rank != rank) {
            continue;
        }
        comparison->rows[i].p_adjusted = comparison->rows[i].result.p;
        if (!work->constant[i]) {
            ret_rows[count++] = &comparison->rows[i];
        }
    }
    return count;
}

static int by_p(const void *a, const void *b)
{
    const struct pw_comparison_row *const *x = a, *const *y = b;
    double p = (*x)->result.p, q = (*y)->result.p;
    return (p > q) - (p < q);
}

/* Holm 1979: the i-th smallest of m is multiplied by m - i, and none comes out below one before it.
 */
static void adjust(struct pw_comparison_row **rows, size_t count)
{
    double least = 0;
    qsort(rows, count, sizeof(struct pw_comparison_row *), by_p);
    for (size_t i = 0; i < count; i++) {
        least = fmax(least, fmin(1, rows[i]->result.p * (double)(count - i)));
        rows[i]->p_adjusted = least;
    }
}

/* The least p that a rank-sum test of so many values can give: both extremes of all ways to choose
 * which values are A's. */
static double least_p(double n_a, double n_b)
{
    return fmin(1, 2 * exp(lgamma(n_a + 1) + lgamma(n_b + 1) - lgamma(n_a + n_b + 1)));
}

static int note_row(struct pw_comparison_row *row, size_t family, double alpha, struct pw_err *err)
{
    const struct pw_two_samples *result = &row->result;
    struct pw_str note = PW_STR_INIT;
    size_t needed = 1;
    bool blind = least_p((double)result->n_a, (double)result->n_b) * (double)family > alpha;
    if (row->verdict == PW_COMPARISON_UNSURE && blind) {
        while (least_p((double)needed, (double)needed) * (double)family > alpha) {
            needed++;
        }
        pw_str_addf(&note, "too few values to tell: %zu and %zu, it takes %zu of each", result->n_a,
                    result->n_b, needed);
    }
    /* Two groups nearer than the floor are rounding, such as of CPU times to ticks. */
    bool grouped = result->bimodal_a || result->bimodal_b;
    if (grouped && row->verdict != PW_COMPARISON_SAME) {
        pw_str_addf(&note,
                    "%sthe values of %s fall into two groups: one shift does not describe them",
                    note.length > 0 ? "; " : "",
                    !result->bimodal_b   ? "A"
                    : !result->bimodal_a ? "B"
                                         : "A and of B");
    }
    if (note.length == 0 && !note.failed) {
        return 0;
    }
    row->note = pw_str_take(&note, err);
    return row->note ? 0 : -1;
}

static int judge(const struct work *work, struct pw_err *err)
{
    struct pw_comparison *comparison = work->comparison;
    double alpha = 1 - comparison->options.confidence;
    for (int rank = PW_COMPARISON_GATE; rank <= PW_COMPARISON_REST; rank++) {
        struct pw_comparison_row *rows[ROWS_MAX];
        size_t count = family_of(work, (enum pw_comparison_rank)rank, rows);
        adjust(rows, count);
        for (size_t i = 0; i < comparison->count; i++) {
            struct pw_comparison_row *row = &comparison->rows[i];
            if (row->rank != (enum pw_comparison_rank)rank) {
                continue;
            }
            row->verdict = pw_comparison_decide(&row->result, row->p_adjusted, row->floor,
                                                row->metric->better, alpha);
            if (note_row(row, count, alpha, err) != 0) {
                return -1;
            }
        }
    }
    return 0;
}

static int fill(struct work *work, struct pw_err *err)
{
    struct pw_comparison *comparison = work->comparison;
    bool gated = false;
    if (pw_compare_describe_side(&work->a, &comparison->a, err) != 0 ||
        pw_compare_describe_side(&work->b, &comparison->b, err) != 0) {
        return -1;
    }
    for (const struct pw_comparison_side *side = &comparison->a; side;
         side = side == &comparison->a ? &comparison->b : NULL) {
        if (side->iterations == 0) {
            return pw_err_set(err, PW_ERR_INPUT,
                              "nothing to compare: `%s` has no measured iteration", side->name);
        }
    }
    if (!comparison->options.across && pw_compare_refuse_guests(&work->a, &work->b, err) != 0) {
        return -1;
    }
    work->one_at_a_time =
        pw_compare_concurrency(&work->a) <= 1 && pw_compare_concurrency(&work->b) <= 1;
    for (int id = 0; id < PW_METRIC_COUNT; id++) {
        if (add_metric(work, (enum pw_metric_id)id, err) != 0) {
            return -1;
        }
    }
    if (add_moments(work, err) != 0) {
        return -1;
    }
    for (size_t i = 0; i < comparison->count; i++) {
        gated |= comparison->rows[i].rank == PW_COMPARISON_GATE;
    }
    if (!gated) { /* a gate must not pass on nothing */
        return pw_err_set(
            err, PW_ERR_INPUT,
            "nothing to compare: `%s` and `%s` have no latency, memory or CPU time in "
            "common",
            comparison->a.name, comparison->b.name);
    }
    if (judge(work, err) != 0) {
        return -1;
    }
    return pw_compare_warn(comparison, &work->a, &work->b, err);
}

int pw_compare_run(const char *name_a, const struct pw_summary *const *a, size_t count_a,
                   const char *name_b, const struct pw_summary *const *b, size_t count_b,
                   struct pw_compare_options options, struct pw_comparison *ret_comparison,
                   struct pw_err *err)
{
    struct pw_comparison comparison = {.options = options,
                                       .a = {.name = strdup(name_a)},
                                       .b = {.name = strdup(name_b)},
                                       .rows = calloc(ROWS_MAX, sizeof *comparison.rows)};
    struct work work = {.a = {a, count_a}, .b = {b, count_b}, .comparison = &comparison};
    int result = -1;
    if (!comparison.a.name || !comparison.b.name || !comparison.rows) {
        pw_err_memory(err);
    } else if (count_a == 0 || count_b == 0) {
        pw_err_set(err, PW_ERR_INPUT, "nothing to compare: no summary on one side");
    } else {
        result = fill(&work, err);
    }
    if (result != 0) {
        pw_comparison_done(&comparison);
        return -1;
    }
    *ret_comparison = comparison;
    return 0;
}

void pw_comparison_done(struct pw_comparison *comparison)
{
    for (size_t i = 0; i < comparison->count; i++) {
        free(comparison->rows[i].note);
    }
    for (size_t i = 0; i < comparison->warning_count; i++) {
        free(comparison->warnings[i]);
    }
    for (size_t i = 0; i < comparison->moment_count; i++) {
        free(comparison->moments[i].path);
    }
    free(comparison->moments);
    free(comparison->rows);
    free(comparison->a.name);
    free(comparison->a.command);
    free(comparison->b.name);
    free(comparison->b.command);
    *comparison = (struct pw_comparison){0};
}

bool pw_comparison_has(const struct pw_comparison *comparison, enum pw_comparison_verdict verdict,
                       bool all)
{
    for (size_t i = 0; i < comparison->count; i++) {
        const struct pw_comparison_row *row = &comparison->rows[i];
        if ((all || row->rank == PW_COMPARISON_GATE) && row->verdict == verdict) {
            return true;
        }
    }
    return false;
}

static double failed_share(const struct pw_comparison_side *side)
{
    return side->workers > 0 ? side->failed / side->workers : 0;
}

bool pw_comparison_fails_more(const struct pw_comparison *comparison)
{
    return failed_share(&comparison->b) > failed_share(&comparison->a);
}
