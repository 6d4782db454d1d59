/*
 * How often the gates are wrong, and how fast they are, on generated run times.
 *
 *   bench_gate [COMPARISONS]
 *
 * `compare`: two samples of one metric, judged as `perfwrap compare` judges a single metric at its
 * defaults (alpha 0.05, floor 3 %), with no change and with B 10 % slower. Beside it, on the same
 * data, the rules that perfwrap is to be better than: the robust z of the run's mean among those of
 * the runs before it (window of 6 and of 30 runs with the run itself, yellow from 1.5, red from 3,
 * the worse side only), and the ratio to the mean of one run before it (5 %, 10 %).
 *
 * `check`: a bound that the true value just meets, judged by the interval of the statistic as by
 * `perfwrap check --decide ci`, and by the statistic alone.
 *
 * `change_points`: series of 30 runs without a change, and with one of 15 % at run 15 or at run 25.
 *
 * Prints one JSON object. The noise is 5 % (standard deviation; of most values where there are
 * outliers), its seed is fixed.
 */
#include <jansson.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/change_points.h"
#include "core/clock.h"
#include "core/interval.h"
#include "core/stats.h"
#include "core/two_samples.h"
#include "sla/compare.h"

enum { SAMPLE_MAX = 100, RUNS_MAX = 30, SHORT_WINDOW = 6, TRUTH_DRAWS = 2000000 };
static const double CONFIDENCE = 0.95, ALPHA = 0.05, FLOOR = 0.03;

enum shape { NORMAL, SKEWED, OUTLIERS, ROUNDED, BIMODAL, SHAPE_COUNT };
static const char *const shape_names[] = {"normal", "skewed", "outliers", "rounded", "bimodal"};

static uint64_t seed = 20260223;

/* Splitmix64 (Steele, Lea and Flood 2014). */
static double uniform(void)
{
    uint64_t z = seed += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    z ^= z >> 31;
    return ((double)(z >> 11) + 0.5) * 0x1p-53;
}

static double normal(void)
{
    double radius = sqrt(-2 * log(uniform()));
    return radius * cos(2 * M_PI * uniform());
}

/* About 100. */
static double draw(enum shape shape, double factor)
{
    double z = normal();
    switch (shape) {
    case NORMAL: return factor * (100 + 5 * z);
    case SKEWED: /* log-normal above a least time, standard deviation 5 */
        return factor * (100 + 5 / 1.3041 * (exp(0.8 * z) - 1));
    case OUTLIERS: return factor * (100 + 5 * z) * (uniform() < 0.05 ? 1.2 + 0.6 * uniform() : 1);
    case ROUNDED: return 5 * round(factor * (100 + 5 * z) / 5);
    case BIMODAL: return factor * (100 + (uniform() < 0.5 ? 4.6 : -4.6) + 2 * z);
    case SHAPE_COUNT: break;
    }
    abort();
}

static void fill(double *values, size_t n, enum shape shape, double factor)
{
    for (size_t i = 0; i < n; i++) {
        values[i] = draw(shape, factor);
    }
}

static void must(int result)
{
    if (result != 0) {
        fprintf(stderr, "bench_gate: a calculation failed\n");
        exit(1);
    }
}

static double mean_of(const double *values, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += values[i];
    }
    return sum / (double)n;
}

/* Of the last among the last `n` means. */
static double robust_z(const double *means, size_t n)
{
    struct pw_stats stats;
    must(pw_stats_describe(means + RUNS_MAX - n, n, false, &stats, NULL));
    return (means[RUNS_MAX - 1] - stats.p50.number) / (1.4826 * stats.mad.number);
}

struct tally {
    json_t *row;
    int count;
};

static struct tally tally(const char *shape, size_t n)
{
    struct tally tally = {.row = json_pack("{s:s, s:I}", "shape", shape, "n", (json_int_t)n)};
    must(tally.row ? 0 : -1);
    return tally;
}

/* Counts how often it holds; in percent in the end. */
static void count(struct tally *tally, const char *key, bool holds)
{
    double so_far = json_real_value(json_object_get(tally->row, key));
    must(json_object_set_new(tally->row, key, json_real(so_far + holds)));
}

static void append(json_t *rows, struct tally *tally)
{
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach(tally->row, key, value)
    {
        if (json_is_real(value)) {
            must(json_real_set(value, 100 * json_real_value(value) / tally->count));
        }
    }
    must(json_array_append_new(rows, tally->row));
}

static void compare_once(struct tally *tally, enum shape shape, size_t n, double factor)
{
    double a[SAMPLE_MAX];
    double b[SAMPLE_MAX];
    double means[RUNS_MAX];
    for (size_t run = 0; run < RUNS_MAX - 1; run++) {
        fill(a, n, shape, 1); /* A is the last run before B */
        means[run] = mean_of(a, n);
    }
    fill(b, n, shape, factor);
    means[RUNS_MAX - 1] = mean_of(b, n);

    struct pw_two_samples result;
    must(pw_two_samples_compare(a, n, b, n, CONFIDENCE, &result, NULL));
    enum pw_comparison_verdict verdict =
        pw_comparison_decide(&result, result.p, FLOOR * result.median_a, PW_BETTER_LOWER, ALPHA);
    tally->count++;
    count(tally, "slower", verdict == PW_COMPARISON_SLOWER);
    count(tally, "faster", verdict == PW_COMPARISON_FASTER);
    count(tally, "same", verdict == PW_COMPARISON_SAME);
    count(tally, "unsure", verdict == PW_COMPARISON_UNSURE);
    count(tally, "p_only", result.p <= ALPHA);
    count(tally, "z6_yellow", robust_z(means, SHORT_WINDOW) >= 1.5);
    count(tally, "z6_red", robust_z(means, SHORT_WINDOW) >= 3);
    count(tally, "z30_yellow", robust_z(means, RUNS_MAX) >= 1.5);
    count(tally, "z30_red", robust_z(means, RUNS_MAX) >= 3);
    count(tally, "ratio_5", means[RUNS_MAX - 1] > 1.05 * means[RUNS_MAX - 2]);
    count(tally, "ratio_10", means[RUNS_MAX - 1] > 1.10 * means[RUNS_MAX - 2]);
}

static json_t *bench_compare(double factor, int comparisons)
{
    static const size_t sizes[] = {20, 10};
    json_t *rows = json_array();
    for (size_t i = 0; i < 2; i++) {
        for (int shape = 0; shape < SHAPE_COUNT; shape++) {
            struct tally row = tally(shape_names[shape], sizes[i]);
            for (int k = 0; k < comparisons; k++) {
                compare_once(&row, (enum shape)shape, sizes[i], factor);
            }
            append(rows, &row);
        }
    }
    return rows;
}

static int ascending(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a > b) - (a < b);
}

static void check_once(struct tally *tally, enum shape shape, size_t n, double p, double truth)
{
    double values[SAMPLE_MAX];
    fill(values, n, shape, 1);
    qsort(values, n, sizeof(values[0]), ascending);
    bool mean = isnan(p);
    struct pw_interval interval = mean ? pw_interval_of_mean(values, n, CONFIDENCE)
                                       : pw_interval_of_percentile(values, n, p, CONFIDENCE);
    double statistic = mean ? mean_of(values, n) : pw_stats_percentile_sorted(values, n, p);
    tally->count++;
    count(tally, "fail", interval.low > truth);
    count(tally, "pass", interval.high <= truth);
    count(tally, "fail_without", statistic > truth);
}

static json_t *bench_check(int comparisons)
{
    static const struct {
        const char *name;
        double p;
        size_t n;
    } statistics[] = {{"mean", NAN, 20}, {"median", 0.5, 20}, {"p90", 0.9, 20}, {"p95", 0.95, 100}};
    double *many = calloc(TRUTH_DRAWS, sizeof(*many));
    must(many ? 0 : -1);
    json_t *rows = json_array();
    for (int shape = 0; shape < SHAPE_COUNT; shape++) {
        fill(many, TRUTH_DRAWS, (enum shape)shape, 1);
        qsort(many, TRUTH_DRAWS, sizeof(*many), ascending);
        for (size_t i = 0; i < sizeof(statistics) / sizeof(statistics[0]); i++) {
            double p = statistics[i].p;
            double truth = isnan(p) ? mean_of(many, TRUTH_DRAWS)
                                    : pw_stats_percentile_sorted(many, TRUTH_DRAWS, p);
            struct tally row = tally(shape_names[shape], statistics[i].n);
            must(json_object_set_new(row.row, "statistic", json_string(statistics[i].name)));
            for (int k = 0; k < comparisons; k++) {
                check_once(&row, (enum shape)shape, statistics[i].n, p, truth);
            }
            append(rows, &row);
        }
    }
    free(many);
    return rows;
}

/* A change by `factor` at run `at`. */
static void find_once(struct tally *tally, enum shape shape, size_t at, double factor)
{
    double values[RUNS_MAX];
    fill(values, at, shape, 1);
    fill(values + at, RUNS_MAX - at, shape, factor);
    struct pw_change_point *points = NULL;
    size_t points_count = 0;
    must(pw_change_points_find(values, RUNS_MAX, PW_CHANGE_POINTS_SIGNIFICANCE, 100 * FLOOR,
                               &points, &points_count, NULL));
    bool near = false;
    for (size_t i = 0; i < points_count; i++) {
        near = near || (points[i].index + 1 >= at && points[i].index <= at + 1);
    }
    free(points);
    tally->count++;
    count(tally, "any", points_count > 0);
    count(tally, "near", near);
}

static json_t *bench_change_points(int series)
{
    static const struct {
        size_t at;
        double factor;
    } kinds[] = {{RUNS_MAX, 1}, {15, 1.15}, {25, 1.15}};
    json_t *rows = json_array();
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        for (int shape = 0; shape < SHAPE_COUNT; shape++) {
            struct tally row = tally(shape_names[shape], RUNS_MAX);
            must(json_object_set_new(row.row, "at", json_integer((json_int_t)kinds[i].at)));
            for (int k = 0; k < series; k++) {
                find_once(&row, (enum shape)shape, kinds[i].at, kinds[i].factor);
            }
            append(rows, &row);
        }
    }
    return rows;
}

/* CPU milliseconds of one comparison of two samples of `n`. */
static double time_compare(size_t n, enum shape shape)
{
    enum { ROUNDS = 10 };
    double *values = calloc(2 * n, sizeof(*values));
    must(values ? 0 : -1);
    fill(values, 2 * n, shape, 1);
    int64_t began = pw_clock_thread_cpu_ns();
    for (int i = 0; i < ROUNDS; i++) {
        struct pw_two_samples result;
        must(pw_two_samples_compare(values, n, values + n, n, CONFIDENCE, &result, NULL));
    }
    double ms = (double)(pw_clock_thread_cpu_ns() - began) / 1e6 / ROUNDS;
    free(values);
    return ms;
}

/* CPU milliseconds of one series of `n` with steps of 15 % every `every` values. */
static double time_change_points(size_t n, size_t every)
{
    enum { ROUNDS = 20 };
    double values[PW_CHANGE_POINTS_MAX_VALUES];
    double ms = 0;
    for (int i = 0; i < ROUNDS; i++) {
        for (size_t k = 0; k < n; k++) {
            values[k] = draw(NORMAL, k / every % 2 ? 1.15 : 1);
        }
        struct pw_change_point *points = NULL;
        size_t points_count = 0;
        int64_t began = pw_clock_thread_cpu_ns();
        must(pw_change_points_find(values, n, PW_CHANGE_POINTS_SIGNIFICANCE, 0, &points,
                                   &points_count, NULL));
        ms += (double)(pw_clock_thread_cpu_ns() - began) / 1e6 / ROUNDS;
        free(points);
    }
    return ms;
}

int main(int argc, char **argv)
{
    long wanted = argc > 1 ? strtol(argv[1], NULL, 10) : 1000;
    if (argc > 2 || wanted < 1 || wanted > 1000000) {
        fprintf(stderr, "usage: bench_gate [COMPARISONS]\n");
        return 2;
    }
    int comparisons = (int)wanted;
    json_t *document = json_pack(
        "{s:o, s:o, s:o, s:o, s:{s:f, s:f, s:f, s:f, s:f}}", "no_change",
        bench_compare(1, comparisons), "slower_10", bench_compare(1.1, comparisons), "check",
        bench_check(comparisons), "change_points", bench_change_points(comparisons), "ms",
        "compare_10000", time_compare(10000, NORMAL), "compare_50_tied", time_compare(50, ROUNDED),
        "points_30_noise", time_change_points(30, 30), "points_30_step", time_change_points(30, 15),
        "points_1000_steps", time_change_points(1000, 100));
    must(document ? 0 : -1);
    must(json_dumpf(document, stdout, JSON_INDENT(1)));
    putchar('\n');
    json_decref(document);
    return 0;
}
