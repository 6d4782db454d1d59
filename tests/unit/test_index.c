/* The baseline index: contract section 8, and what perfwrap adds. The golden files are checked by
 * tests/cli/test_index.py. */
#include "sla/index.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/json.h"
#include "core/limits.h"
#include "core/str.h"
#include "core/summary.h"
#include "sla/index_impl.h"
#include "tests/unit/sample_moments.h"
#include "tests/unit/unit.h"

/* ---------------------------------------------------------------- files to index */

static void write_text(const char *path, const char *text)
{
    assert_int_equal(pw_file_write(path, text, strlen(text), 0600, NULL), 0);
    /* As if it had been there for a while, so that it may be cached. */
    struct timespec times[2] = {{.tv_sec = 1700000000}, {.tv_sec = 1700000000}};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

/* `machine`: the environment object; "" for none. */
static void write_summary(void **state, const char *name, const char *profile, const char *time,
                          double latency, const char *machine)
{
    PW_STR_AUTO text = PW_STR_INIT;
    char *path = in_folder(state, name);
    pw_str_addf(
        &text,
        "{\"generated_at\": \"%s\", \"run_dir\": \"out/%s\", \"profile\": {\"name\": %s}, "
        "%s%s%s\"summary\": {\"latency_ms\": {\"mean\": %.17g, \"p95\": %.17g, \"p50\": \"7\"}, "
        "\"throughput_runs_per_sec\": {\"mean\": %.17g}, \"failed_runs_total\": 0, "
        "\"max_rss_mb\": {\"mean\": \"12\"}, \"peak_open_fds\": {\"mean\": null}}, "
        "\"runs\": []}",
        time, name, profile, *machine ? "\"environment\": " : "", machine, *machine ? ", " : "",
        latency, latency * 2, 1000 / latency);
    write_text(path, text.text);
    free(path);
}

static json_t *build(void **state, struct pw_index_options options,
                     struct pw_index_counts *ret_counts)
{
    char *pattern = in_folder(state, "*.json");
    struct pw_err err = PW_ERR_INIT;
    json_t *index = NULL;
    options.window = options.window ? options.window : 30;
    options.min_samples = options.min_samples ? options.min_samples : 5;
    if (pw_index_build((const char *const[]){pattern}, 1, options, &index, ret_counts, &err) != 0) {
        fail_msg("%s", err.message);
    }
    free(pattern);
    return index;
}

static const json_t *at(const json_t *index, const char *path)
{
    const json_t *found = pw_json_find(index, path);
    if (!found) {
        fail_msg("there is no %s", path);
    }
    return found;
}

#define assert_number(index, path, expected) \
    assert_near(json_number_value(at(index, path)), expected)
#define assert_text(index, path, expected) \
    assert_string_equal(json_string_value(at(index, path)), expected)

/* ---------------------------------------------------------------- times and names */

static void test_times(void **state)
{
    (void)state;
    int64_t sec = 0;
    int32_t nsec = 0;
    assert_true(pw_index_parse_time("1970-01-01T00:00:01.5Z", &sec, &nsec));
    assert_int_equal(sec, 1);
    assert_int_equal(nsec, 500000000);
    assert_true(pw_index_parse_time("2026-02-23T10:13:12.962507+02:30", &sec, &nsec));
    assert_int_equal(sec, 1771832592);
    assert_int_equal(nsec, 962507000);
    assert_true(pw_index_parse_time("2026-02-23 05:13:12-02:30", &sec, &nsec));
    assert_int_equal(sec, 1771832592);
    assert_true(pw_index_parse_time("2026-02-23T07:43:12", &sec, &nsec));
    assert_int_equal(sec, 1771832592);
    assert_true(pw_index_parse_time("2026-02-23T07:43:12.1234567891234Z", &sec, &nsec));
    assert_int_equal(nsec, 123456789);
    static const char *const none[] = {
        "",
        "today",
        "2026",
        "2026-02-23",
        "2026-13-01T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00+2:00",
        "2026-01-01T00:00:00Z ",
        "2026-01-01T00:00:00+0200",
        "99999999999999999999",
    };
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        if (pw_index_parse_time(none[i], &sec, &nsec)) {
            fail_msg("`%s` is taken for a time", none[i]);
        }
    }
}

static void check_name(const char *profile, const char *run_dir, const char *path, bool exact,
                       const char *expected)
{
    char own[128];
    snprintf(own, sizeof own, "%s", path);
    struct pw_index_run run = {.path = own};
    run.texts[PW_INDEX_PROFILE_NAME] = profile;
    run.texts[PW_INDEX_RUN_DIR] = run_dir;
    char *name = pw_index_group_name(&run, exact, NULL);
    assert_string_equal(name, expected);
    free(name);
}

static void test_names(void **state)
{
    (void)state;
    check_name("swarm-cli-startup-cold", NULL, "x/summary.json", false, "cold");
    check_name("swarm-cli-startup-cold", NULL, "x/summary.json", true, "swarm-cli-startup-cold");
    check_name("EXEC-streaming", NULL, "x", false, "streaming");
    check_name("cold-throughput", NULL, "x", false, "throughput");
    check_name("Startup", NULL, "x", false, "cold");
    check_name("exec-smoke", NULL, "x", false, "exec");
    check_name("smoke-stress", NULL, "x", false, "smoke");
    check_name("stress", NULL, "x", false, "stress");
    check_name("plain", NULL, "x", false, "plain");
    check_name("plain-20260101-000000", NULL, "x", true, "plain");
    check_name(NULL, "/results/mine-20260101-000000/", "other/summary.json", true, "mine");
    check_name("", "mine-20260101-000000", "other/summary.json", true, "mine");
    check_name(NULL, NULL, "a/other-20260101-000000/summary.json", true, "other");
    check_name(NULL, "", "/summary.json", true, "unnamed");
    check_name(NULL, NULL, "summary.json", true, "unnamed");
    check_name(NULL, "x-2026010-000000", "x", true, "x-2026010-000000");
    check_name(NULL, "-20260101-000000", "x", true, "-20260101-000000");
}

/* ---------------------------------------------------------------- judging */

enum { METRIC_LATENCY = 2, METRIC_THROUGHPUT = 3, METRIC_FDS = 5 };

/* A group whose runs have these values; NAN: none. */
struct sample {
    struct pw_index_run runs[64];
    struct pw_index_run *pointers[64];
    struct pw_index_group group;
};

static struct pw_index_judgement judge(struct sample *sample, size_t metric, const double *values,
                                       size_t n, unsigned min_samples)
{
    struct pw_index_judgement judgement;
    *sample = (struct sample){0};
    for (size_t i = 0; i < n; i++) {
        for (size_t m = 0; m < PW_INDEX_METRIC_COUNT; m++) {
            sample->runs[i].values[m] = NAN;
        }
        sample->runs[i].values[metric] = values[i];
        sample->pointers[i] = &sample->runs[i];
    }
    sample->group.runs = sample->pointers;
    sample->group.count = n;
    assert_int_equal(pw_index_judge(&sample->group, metric, min_samples, &judgement, NULL), 0);
    return judgement;
}

#define VALUES(...) \
    (const double[]){__VA_ARGS__}, sizeof((const double[]){__VA_ARGS__}) / sizeof(double)

static void test_statistics(void **state)
{
    (void)state;
    struct sample sample;
    struct pw_index_judgement found =
        judge(&sample, METRIC_LATENCY, VALUES(3, 1, NAN, 2, 10, 4, 6, 5, 8, 7, 9), 5);
    assert_int_equal(found.n, 10);
    assert_near(found.current, 9);
    assert_near(found.mean, 5.5);
    assert_near(found.trimmed_mean, 5.5);
    assert_value(found.window.median, 5.5);
    assert_value(found.window.mad, 2.5);
    assert_near(found.p95, 9.55);
    assert_near(found.p99, 9.91);
    assert_near(found.iqr, 4.5);
    assert_near(found.std, sqrt(8.25));
    assert_value(found.cv, sqrt(8.25) / 5.5);
    assert_value(found.window.delta_pct, 3.5 / 5.5 * 100);
    assert_value(found.window.robust_z, 3.5 / (1.4826 * 2.5));
    assert_value(found.window.robust_z_fallback, 3.5 / (1.2533 * 2.5));
    assert_int_equal(found.status, PW_INDEX_GREEN);
    assert_int_equal(found.baseline.n, 9);
    assert_value(found.baseline.median, 5);
    pw_index_judgement_done(&found);
}

static void test_few_values(void **state)
{
    (void)state;
    struct sample sample;
    struct pw_index_judgement found = judge(&sample, METRIC_LATENCY, VALUES(NAN, NAN), 1);
    assert_int_equal(found.n, 0);
    found = judge(&sample, METRIC_LATENCY, VALUES(4), 1);
    assert_int_equal(found.n, 1);
    assert_near(found.std, 0);
    assert_absent(found.window.robust_z, PW_ABSENT_NOT_MEASURED);
    assert_int_equal(found.status, PW_INDEX_INSUFFICIENT);
    assert_int_equal(found.strict, PW_INDEX_GREEN);
    assert_int_equal(found.baseline_status, PW_INDEX_INSUFFICIENT);
    assert_int_equal(found.baseline.n, 0);
    assert_false(found.has_trend);
    pw_index_judgement_done(&found);
    found = judge(&sample, METRIC_LATENCY, VALUES(0, 0, 0, 0), 5);
    assert_int_equal(found.status, PW_INDEX_INSUFFICIENT);
    assert_int_equal(found.strict, PW_INDEX_INSUFFICIENT);
    assert_absent(found.cv, PW_ABSENT_NOT_MEASURED);
    assert_absent(found.window.delta_pct, PW_ABSENT_NOT_MEASURED);
    pw_index_judgement_done(&found);
}

/* Five equal values, then one ten times as large: the contract's example. */
static void test_no_spread(void **state)
{
    (void)state;
    struct sample sample;
    struct pw_index_judgement found = judge(&sample, METRIC_LATENCY, VALUES(5, 5, 5, 5, 5, 50), 5);
    assert_int_equal(found.status, PW_INDEX_INSUFFICIENT);
    assert_absent(found.window.robust_z, PW_ABSENT_NOT_MEASURED);
    assert_value(found.window.robust_z_fallback, 45 / (1.2533 * 7.5));
    assert_int_equal(found.strict, PW_INDEX_RED);
    assert_int_equal(found.baseline_status, PW_INDEX_RED);
    pw_index_judgement_done(&found);

    found = judge(&sample, METRIC_THROUGHPUT, VALUES(5, 5, 5, 5, 5, 50), 5);
    assert_int_equal(found.strict, PW_INDEX_GREEN);
    assert_int_equal(found.baseline_status, PW_INDEX_GREEN);
    pw_index_judgement_done(&found);

    /* A smaller change than the metric table's noise floor, 0.1 ms. */
    found = judge(&sample, METRIC_LATENCY, VALUES(5, 5, 5, 5, 5, 5.09), 5);
    assert_int_equal(found.baseline_status, PW_INDEX_GREEN);
    pw_index_judgement_done(&found);
    /* One descriptor more is one too many. */
    found = judge(&sample, METRIC_FDS, VALUES(5, 5, 5, 5, 5, 6), 5);
    assert_int_equal(found.baseline_status, PW_INDEX_RED);
    pw_index_judgement_done(&found);
    found = judge(&sample, METRIC_FDS, VALUES(5, 5, 5, 5, 5, 5), 5);
    assert_int_equal(found.strict, PW_INDEX_GREEN);
    assert_int_equal(found.baseline_status, PW_INDEX_GREEN);
    pw_index_judgement_done(&found);
    /* No spread but for one value: the mean deviation sees it. */
    found = judge(&sample, METRIC_LATENCY, VALUES(5, 5, 5, 7, 5, 50), 5);
    assert_value(found.baseline.robust_z_fallback, 45 / (1.2533 * 0.4));
    assert_int_equal(found.baseline_status, PW_INDEX_RED);
    pw_index_judgement_done(&found);
}

static void test_both_sides(void **state)
{
    (void)state;
    struct sample sample;
    struct pw_index_judgement found =
        judge(&sample, METRIC_LATENCY, VALUES(10, 11, 9, 10, 12, 8, 15), 5);
    assert_int_equal(found.status, PW_INDEX_RED); /* 5 / 1.4826 */
    pw_index_judgement_done(&found);
    found = judge(&sample, METRIC_LATENCY, VALUES(10, 11, 9, 10, 12, 8, 13), 5);
    assert_int_equal(found.status, PW_INDEX_YELLOW);
    pw_index_judgement_done(&found);
    found = judge(&sample, METRIC_LATENCY, VALUES(10, 11, 9, 10, 12, 8, 5), 5);
    assert_int_equal(found.status, PW_INDEX_GREEN);
    pw_index_judgement_done(&found);
    found = judge(&sample, METRIC_THROUGHPUT, VALUES(10, 11, 9, 10, 12, 8, 5), 5);
    assert_int_equal(found.status, PW_INDEX_RED);
    pw_index_judgement_done(&found);
}

static void test_level(void **state)
{
    (void)state;
    struct sample sample;
    double values[40];
    for (size_t i = 0; i < 40; i++) {
        values[i] = i % 4 == 3 ? NAN : (i < 20 ? 100 : 130) + (double)(i * 7 % 5);
    }
    struct pw_index_judgement found = judge(&sample, METRIC_LATENCY, values, 40, 5);
    assert_int_equal(found.point_count, 1);
    assert_int_equal(found.points[0].index, 20); /* the run, not the value */
    assert_near(found.points[0].before, 102);
    assert_near(found.points[0].after, 132);
    assert_true(found.has_trend && found.trend.slope > 0 && found.trend.p < 0.01);
    pw_index_judgement_done(&found);
}

/* ---------------------------------------------------------------- whole indexes */

#define MACHINE_A \
    "{\"cpu_model\": \"A\", \"cpu_count\": 2, \"kernel\": \"6.1\", \"arch\": \"x86_64\", \"kvm\": \"available\"}"
#define MACHINE_B \
    "{\"cpu_model\": \"A\", \"cpu_count\": 4, \"kernel\": \"6.1\", \"arch\": \"x86_64\", \"kvm\": \"available\"}"

static void test_order(void **state)
{
    struct pw_index_counts counts;
    /* Text order would be another one. */
    write_summary(state, "a.json", "\"p\"", "2026-01-01T12:00:00+05:00", 1, "");
    write_summary(state, "b.json", "\"p\"", "2026-01-01T09:00:00.25Z", 3, "");
    write_summary(state, "c.json", "\"p\"", "2026-01-01T09:00:00.3Z", 4, "");
    write_summary(state, "d.json", "\"p\"", "2026-01-01T08:00:00Z", 2, "");
    write_summary(state, "e.json", "\"p\"", "unknown", 0.5, "");
    json_t *index = build(state, (struct pw_index_options){.window = 3}, &counts);
    assert_int_equal(counts.files, 5);
    assert_int_equal(counts.read, 5);
    assert_number(index, "profiles.p.sample_count", 3);
    assert_number(index, "profiles.p.metrics.latency_mean_ms.current", 4);
    assert_number(index, "profiles.p.metrics.latency_mean_ms.min", 2);
    assert_number(index, "profiles.p.metrics.latency_p95_ms.current", 8);
    assert_true(json_is_true(at(index, "profiles.p.metrics.throughput_mean.higher_is_better")));
    /* A text and a null are no numbers. */
    assert_true(json_is_false(at(index, "profiles.p.metrics.rss_mean_mb.present")));
    assert_true(json_is_false(at(index, "profiles.p.metrics.peak_fds_mean.present")));
    assert_true(json_is_null(at(index, "profiles.p.environment.cpu_model")));
    json_decref(index);
}

static void test_machines(void **state)
{
    struct pw_index_counts counts;
    write_summary(state, "a.json", "\"p\"", "2026-01-01T00:00:00Z", 1, MACHINE_A);
    write_summary(state, "b.json", "\"p\"", "2026-01-02T00:00:00Z", 2, MACHINE_B);
    write_summary(state, "c.json", "\"p\"", "2026-01-03T00:00:00Z", 3, MACHINE_A);
    write_summary(state, "d.json", "\"q\"", "2026-01-03T00:00:00Z", 4, MACHINE_B);
    json_t *index = build(state, (struct pw_index_options){0}, &counts);
    assert_number(index, "profiles.p.sample_count", 2);
    assert_number(index, "profiles.p.excluded_other_environment", 1);
    assert_number(index, "profiles.p.environment.cpu_count", 2);
    assert_text(index, "profiles.p.environment.accelerator", "available");
    assert_number(index, "profiles.q.environment.cpu_count", 4);
    assert_number(index, "profiles.q.excluded_other_environment", 0);
    json_decref(index);
    index = build(state, (struct pw_index_options){.mix = true}, &counts);
    assert_number(index, "profiles.p.sample_count", 3);
    assert_true(json_is_true(at(index, "mixed")));
    json_decref(index);
}

static void test_broken_files(void **state)
{
    struct pw_index_counts counts;
    static const struct {
        const char *name, *text, *reason;
    } files[] = {
        {"1.json", "", "line 1"},
        {"2.json", "{\"summary\": {\"latency_ms\": {}}, \"runs\": [", "line 1, column"},
        {"3.json", "[]", "it is not a JSON object"},
        {"4.json", "{\"summary\": 1}", "it has no object `summary`"},
        {"5.json", "{\"summary\": {}}", "it has no list `runs`"},
        {"6.json", "{\"summary\": {\"latency_ms\": 1}, \"runs\": []}", "no object `latency_ms`"},
        {"7.json", "{\"profiles\": {}, \"window\": 30, \"min_samples\": 5}", "is a baseline index"},
        {"8.json", "{\"summary\": {\"latency_ms\": {}}, \"runs\": [], \"runs\": []}", "duplicate"},
        {"9.json", "{\"summary\": {\"latency_ms\": {}}, \"runs\": [], \"run_dir\": \"\\u0000\"}",
         "NUL"},
    };
    enum { COUNT = sizeof files / sizeof *files };
    for (size_t i = 0; i < COUNT; i++) {
        char *path = in_folder(state, files[i].name);
        write_text(path, files[i].text);
        free(path);
    }
    write_summary(state, "good.json", "null", "2026-01-01T00:00:00Z", 1, "");
    json_t *index = build(state, (struct pw_index_options){0}, &counts);
    assert_int_equal(counts.skipped, COUNT);
    assert_int_equal(counts.read, 1);
    for (size_t i = 0; i < COUNT; i++) {
        const json_t *skipped = json_array_get(at(index, "skipped"), i);
        assert_contains(json_string_value(json_object_get(skipped, "path")), files[i].name);
        assert_contains(json_string_value(json_object_get(skipped, "reason")), files[i].reason);
    }
    json_decref(index);
}

static void test_nothing_usable(void **state)
{
    struct pw_err err = PW_ERR_INIT;
    struct pw_index_counts counts = {.files = 77};
    json_t *index = NULL;
    char *path = in_folder(state, "a.json"), *folder = in_folder(state, "");
    struct pw_index_options options = {.window = 30, .min_samples = 5};
    const char *words[] = {path};
    assert_int_equal(pw_index_build(words, 1, options, &index, &counts, &err), -1);
    assert_contains(err.message, "a.json");
    write_text(path, "{}");
    assert_int_equal(pw_index_build(words, 1, options, &index, &counts, &err), -1);
    assert_int_equal(err.cls, PW_ERR_INPUT);
    assert_contains(err.message, "is no summary");
    words[0] = folder;
    assert_int_equal(pw_index_build(words, 1, options, &index, &counts, &err), -1);
    assert_contains(err.message, "holds no summary.json");
    assert_null(index);
    assert_int_equal(counts.files, 77);
    free(path);
    free(folder);
}

/* A long document as perfwrap writes it, of which only the ends are read; `behind` follows the
 * runs. */
static void long_document(struct pw_str *text, const char *machine, const char *behind)
{
    pw_str_clear(text);
    pw_str_addf(text,
                "{\n  \"generated_at\": \"2026-01-01T00:00:00Z\",\n  \"run_dir\": \"x\",\n"
                "  \"profile\": {\n    \"name\": null\n  },\n  \"summary\": {\n"
                "    \"latency_ms\": {\"mean\": 7}\n  },\n%s  \"runs\": [\n",
                machine);
    for (int i = 0; i < 2000; i++) {
        pw_str_addf(text, "    {\n      \"list\": [\n      ]\n    }%s\n", i < 1999 ? "," : "");
    }
    pw_str_addf(text, "  ]%s\n}\n", behind);
}

#define MACHINE_LINE "  \"environment\": " MACHINE_A ",\n"

static void test_ends(void **state)
{
    struct pw_index_counts counts;
    PW_STR_AUTO text = PW_STR_INIT;
    char *path = in_folder(state, "a.json");
    long_document(&text, MACHINE_LINE, "");
    write_text(path, text.text);
    json_t *index = build(state, (struct pw_index_options){0}, &counts);
    assert_number(index, "profiles.x.metrics.latency_mean_ms.current", 7);
    assert_text(index, "profiles.x.environment.kernel", "6.1");
    json_decref(index);

    /* What stands behind the runs counts where it is not before them. */
    long_document(&text, "", ",\n  \"environment\": " MACHINE_A ",\n  \"more\": [\n  ]");
    write_text(path, text.text);
    index = build(state, (struct pw_index_options){0}, &counts);
    assert_text(index, "profiles.x.environment.kernel", "6.1");
    json_decref(index);
    free(path);
}

/* Wherever such a document was cut off, it is told. */
static void test_ends_cut_off(void **state)
{
    PW_STR_AUTO text = PW_STR_INIT;
    char *path = in_folder(state, "a.json");
    struct pw_index_reader *reader = NULL;
    long_document(&text, MACHINE_LINE, "");
    assert_int_equal(pw_index_reader_new(&reader, NULL), 0);
    for (size_t size = text.length; size > 0; size -= size > text.length - 300 ? 1 : 997) {
        struct pw_index_runs runs = {0};
        struct stat info;
        struct pw_err err = PW_ERR_INIT;
        assert_int_equal(pw_file_write(path, text.text, size, 0600, NULL), 0);
        assert_int_equal(stat(path, &info), 0);
        assert_int_equal(pw_index_runs_add(&runs, path, &info, NULL), 0);
        int result = pw_index_reader_read(reader, pw_index_runs_at(&runs, 0), &err);
        /* Without its last newline it is still whole. */
        if ((result == 0) != (size >= text.length - 1)) {
            fail_msg("%zu of %zu bytes: %d", size, text.length, result);
        }
        pw_index_runs_done(&runs);
        if (size <= 997) {
            break;
        }
    }
    pw_index_reader_free(reader);
    free(path);
}

/* Enough files for several threads. */
static void test_many(void **state)
{
    enum { COUNT = 700, HALF = COUNT / 2 };
    struct pw_index_counts counts;
    char name[32], time[40];
    for (int i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "%d.json", i);
        snprintf(time, sizeof time, "2026-01-01T%02d:%02d:00Z", i / 60, i % 60);
        write_summary(state, name, i % 2 ? "\"odd\"" : "\"even\"", time, i + 1, "");
    }
    json_t *index = build(state, (struct pw_index_options){.window = 1000}, &counts);
    assert_int_equal(counts.read, COUNT);
    assert_number(index, "profiles.odd.sample_count", HALF);
    assert_number(index, "profiles.odd.metrics.latency_mean_ms.current", COUNT);
    assert_number(index, "profiles.even.metrics.latency_mean_ms.mean", HALF);
    json_decref(index);
}

/* ---------------------------------------------------------------- the cache */

static json_t *build_cached(void **state, const char *cache, struct pw_index_counts *ret_counts)
{
    return build(state, (struct pw_index_options){.cache_path = cache, .generated_at = "now"},
                 ret_counts);
}

static void test_cache(void **state)
{
    struct pw_index_counts counts;
    struct stat info;
    char *cache = in_folder(state, "cache"), *first = in_folder(state, "a.json");
    write_summary(state, "a.json", "null", "2026-01-01T00:00:00Z", 1, MACHINE_A);
    write_summary(state, "b.json", "\"\\u00fc\\\"\"", "2026-01-02T00:00:00Z", 2, "");
    json_t *cold = build_cached(state, cache, &counts);
    assert_int_equal(counts.read, 2);
    assert_null(counts.cache_fault);
    assert_int_equal(stat(cache, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    json_t *warm = build_cached(state, cache, &counts);
    assert_int_equal(counts.from_cache, 2);
    assert_int_equal(counts.read, 0);
    assert_true(json_equal(cold, warm));
    json_decref(warm);

    /* A file that is changed, of the same size and time; one more; one that is gone. */
    write_summary(state, "a.json", "null", "2026-01-01T00:00:00Z", 3, MACHINE_A);
    write_summary(state, "c.json", "null", "2026-01-03T00:00:00Z", 4, "");
    warm = build_cached(state, cache, &counts);
    assert_int_equal(counts.from_cache, 1);
    assert_int_equal(counts.read, 2);
    json_decref(warm);
    assert_int_equal(unlink(first), 0);
    warm = build_cached(state, cache, &counts);
    assert_int_equal(counts.from_cache, 2);
    json_decref(warm);
    struct pw_index_cache *opened = NULL;
    const char *fault = NULL;
    assert_int_equal(pw_index_cache_open(cache, &opened, &fault, NULL), 0);
    assert_null(fault);
    assert_int_equal(pw_index_cache_count(opened), 2);
    pw_index_cache_free(opened);
    json_decref(cold);
    free(cache);
    free(first);
}

/* What changed just now may change again unseen. */
static void test_cache_racy(void **state)
{
    struct pw_index_counts counts;
    char *cache = in_folder(state, "cache"), *path = in_folder(state, "a.json");
    write_summary(state, "a.json", "null", "2026-01-01T00:00:00Z", 1, "");
    assert_int_equal(utimensat(AT_FDCWD, path, NULL, 0), 0);
    for (int i = 0; i < 2; i++) {
        json_decref(build_cached(state, cache, &counts));
        assert_int_equal(counts.read, 1);
        assert_int_equal(counts.from_cache, 0);
    }
    free(cache);
    free(path);
}

/* A part of the files: what is known of the others stays. */
static void test_cache_part(void **state)
{
    struct pw_index_counts counts;
    json_t *index = NULL;
    char *cache = in_folder(state, "cache"), *path = in_folder(state, "c.json");
    write_summary(state, "a.json", "null", "2026-01-01T00:00:00Z", 1, "");
    write_summary(state, "b.json", "null", "2026-01-01T00:00:00Z", 1, "");
    json_decref(build_cached(state, cache, &counts));
    write_summary(state, "c.json", "null", "2026-01-01T00:00:00Z", 1, "");
    struct pw_index_options options = {.window = 1, .min_samples = 1, .cache_path = cache};
    assert_int_equal(pw_index_build((const char *const[]){path}, 1, options, &index, &counts, NULL),
                     0);
    assert_int_equal(counts.read, 1);
    json_decref(index);
    json_decref(build_cached(state, cache, &counts));
    assert_int_equal(counts.from_cache, 3);
    free(cache);
    free(path);
}

static void test_cache_damaged(void **state)
{
    struct pw_index_counts counts;
    char *cache = in_folder(state, "cache"), *bytes = NULL;
    size_t size = 0;
    write_summary(state, "a.json", "null", "2026-01-01T00:00:00Z", 1, "");
    json_t *cold = build_cached(state, cache, &counts);
    assert_int_equal(pw_file_read(cache, 1 << 20, &bytes, &size, NULL), 0);
    bytes[size - 9] ^= 1;
    assert_int_equal(pw_file_write(cache, bytes, size, 0600, NULL), 0);
    json_t *again = build_cached(state, cache, &counts);
    assert_non_null(counts.cache_fault);
    assert_int_equal(counts.read, 1);
    assert_true(json_equal(cold, again));
    json_decref(again);
    again = build_cached(state, cache, &counts);
    assert_null(counts.cache_fault);
    assert_int_equal(counts.from_cache, 1);
    json_decref(again);
    json_decref(cold);
    free(bytes);
    free(cache);
}

static void test_cache_is_something_else(void **state)
{
    struct pw_err err = PW_ERR_INIT;
    struct pw_index_counts counts;
    json_t *index = NULL;
    write_summary(state, "a.json", "null", "2026-01-01T00:00:00Z", 1, "");
    char *path = in_folder(state, "a.json"), *text = NULL;
    struct pw_index_options options = {.window = 1, .min_samples = 1, .cache_path = path};
    assert_int_equal(pw_index_build((const char *const[]){path}, 1, options, &index, &counts, &err),
                     -1);
    assert_contains(err.message, "is no cache of an index");
    assert_int_equal(pw_file_read(path, 1 << 20, &text, NULL, NULL), 0);
    assert_int_equal(text[0], '{');
    /* The index is there although its cache could not be written. */
    free(text);
    options.cache_path = "/dev/null/cache";
    if (pw_index_build((const char *const[]){path}, 1, options, &index, &counts, &err) == 0) {
        fail_msg("a cache below a device was written");
    }
    json_decref(index);
    free(path);
}

static char *copy_of(const char *bytes, size_t size)
{
    char *copy = malloc(size > 0 ? size : 1); /* exactly, so that AddressSanitizer sees more */
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    return copy;
}

/* Opens damaged bytes and takes each run out of it. */
static const char *probe(char *bytes, size_t size, const char *path)
{
    struct pw_index_cache *cache = NULL;
    const char *fault = NULL;
    char own[256];
    struct pw_index_run run = {.path = own};
    snprintf(own, sizeof own, "%s", path);
    assert_int_equal(pw_index_cache_decode(bytes, size, &cache, &fault, NULL), 0);
    pw_index_cache_take(cache, &run);
    pw_index_cache_free(cache);
    return fault;
}

static void test_cache_fuzz(void **state)
{
    struct pw_index_counts counts;
    char *cache = in_folder(state, "cache"), *path = in_folder(state, "a.json"), *bytes = NULL;
    size_t size = 0, sound = 0;
    enum { MAGIC_BYTES = 8, ROUNDS = 20000 };
    write_summary(state, "a.json", "\"one\"", "2026-01-01T00:00:00Z", 1, MACHINE_A);
    write_summary(state, "b.json", "null", "2026-01-01T00:00:00Z", 1, "");
    json_decref(build_cached(state, cache, &counts));
    assert_int_equal(pw_file_read(cache, 1 << 20, &bytes, &size, NULL), 0);
    assert_null(probe(copy_of(bytes, size), size, path));
    for (size_t i = 0; i < size; i++) {
        assert_non_null(probe(copy_of(bytes, i), i, path)); /* cut off */
        char *changed = copy_of(bytes, size);
        changed[i] ^= (char)(1 << i % 8);
        /* The magic is looked at before, by pw_index_cache_open(). */
        const char *fault = probe(changed, size, path);
        assert_true(fault || i < MAGIC_BYTES);
    }
    /* With sums that fit: lengths, texts and numbers themselves must be looked at. */
    srand(7);
    for (int i = 0; i < ROUNDS; i++) {
        size_t length = rand() % 4 ? size : (size_t)rand() % (size - 64) + 64;
        char *changed = copy_of(bytes, length);
        for (int changes = rand() % 4; changes >= 0; changes--) {
            changed[(size_t)rand() % length] = (char)(rand() % 3 ? rand() : rand() % 2 * 255);
        }
        pw_index_cache_seal(changed, length, rand() % 3 ? 2 : (uint64_t)rand());
        sound += !probe(changed, length, path);
    }
    assert_in_range(sound, 1, ROUNDS - 1);
    free(bytes);
    free(cache);
    free(path);
}

/* ---------------------------------------------------------------- reading an index */

static void test_load(void **state)
{
    struct pw_index_counts counts;
    struct pw_err err = PW_ERR_INIT;
    char *path = in_folder(state, "index");
    write_summary(state, "a.json", "null", "2026-01-01T00:00:00Z", 1, "");
    json_t *index = build(state, (struct pw_index_options){0}, &counts);
    assert_int_equal(pw_json_write_file(path, index, NULL), 0);
    json_t *loaded = pw_index_load(path, NULL);
    assert_non_null(loaded);
    assert_true(json_equal(index, loaded));
    json_decref(loaded);
    json_decref(index);
    static const char *const bad[][2] = {
        {"{", "line 1"},
        {"[]", "it is not a JSON object"},
        {"{\"summary\": {}}", "it is a summary"},
        {"{\"profiles\": []}", "no object `profiles`"},
        {"{\"profiles\": {}, \"window\": \"3\", \"min_samples\": 1}", "`window`"},
        {"{\"profiles\": {\"a\": 1}, \"window\": 3, \"min_samples\": 1}", "no object `metrics`"},
        {"{\"profiles\": {\"a\": {\"metrics\": {\"b\": {}}}}, \"window\": 3, \"min_samples\": 1}",
         "`present`"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_text(path, bad[i][0]);
        assert_null(pw_index_load(path, &err));
        assert_int_equal(err.cls, PW_ERR_INPUT);
        assert_contains(err.message, bad[i][1]);
    }
    free(path);
}

static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_INDEX_METRIC_COUNT; i++) {
        const struct pw_metric *metric = &pw_metrics[pw_index_metrics[i].metric];
        assert_true(metric->stats & PW_STAT_BIT(pw_index_metrics[i].stat));
        assert_true(metric->better == PW_BETTER_NEITHER ||
                    (metric->better == PW_BETTER_HIGHER) == pw_index_metrics[i].higher_is_better);
    }
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, drop_folder)

/* ---------------------------------------------------------------- marks and phases */

/* As perfwrap writes it: ready at `ready_ms`, the end 20 ms later; `iterations` make it large. */
static void write_marked(void **state, const char *name, double ready_ms, size_t iterations,
                         const struct pw_moment_names *names)
{
    const struct moment_worker worker = {.duration_ms = ready_ms + 20, .at_ms = {ready_ms, -1, -1}};
    struct pw_run_record run;
    char *path = in_folder(state, name);
    pw_run_record_init(&run);
    run.run_dir = strdup("out/x-20260101-000000");
    run.profile = json_pack("{s:s}", "name", "boot");
    run.environment = json_pack("{s:s, s:i, s:s, s:s, s:n}", "cpu_model", "One", "cpu_count", 2,
                                "kernel", "6.1", "arch", "x86_64", "accelerator");
    for (size_t i = 0; i < iterations; i++) {
        add_moment_iteration(&run, names, &worker, 1);
    }
    struct pw_summary *summary = pw_summary_build(&run, NULL);
    assert_int_equal(pw_summary_write(summary, path, NULL), 0);
    struct timespec times[2] = {{.tv_sec = 1700000000}, {.tv_sec = 1700000000}};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    pw_summary_free(summary);
    pw_run_record_done(&run);
    free(path);
}

/* The same on one line, and with its keys in another order. */
static void rewrite(void **state, const char *name, size_t flags)
{
    char *path = in_folder(state, name);
    json_t *root = NULL;
    assert_int_equal(pw_json_read_file(path, &root, NULL), 0);
    char *text = json_dumps(root, flags);
    write_text(path, text);
    free(text);
    free(path);
    json_decref(root);
}

static void test_marks(void **state)
{
    struct pw_index_counts counts;
    char *cache = in_folder(state, "cache");
    write_marked(state, "1.json", 10, 1, &sample_names);
    write_marked(state, "2.json", 11, 60, &sample_names); /* of which only the ends are read */
    write_marked(state, "3.json", 12, 2, &sample_names);
    write_marked(state, "4.json", 13, 2, &sample_names);
    write_marked(state, "5.json", 40, 2, &sample_names);
    rewrite(state, "3.json", JSON_COMPACT);
    rewrite(state, "4.json", JSON_INDENT(2) | JSON_SORT_KEYS);
    json_t *cold = build_cached(state, cache, &counts);
    assert_int_equal(counts.read, 5);
    assert_int_equal(json_object_size(at(cold, "profiles.boot.metrics")),
                     PW_INDEX_CONTRACT_COUNT + 3);
    const json_t *ready = json_object_get(at(cold, "profiles.boot.metrics"), "marks.ready_ms.p50");
    assert_number(ready, "n", 5);
    assert_number(ready, "median", 12);
    assert_number(ready, "current", 40);
    assert_number(ready, "baseline.median", 11.5);
    assert_text(ready, "baseline.status", "red");
    assert_true(json_is_false(json_object_get(ready, "higher_is_better")));
    const json_t *end = json_object_get(at(cold, "profiles.boot.metrics"), "phases.end_ms.p50");
    assert_number(end, "median", 20);
    assert_text(end, "baseline.status", "green");
    json_t *warm = build_cached(state, cache, &counts);
    assert_int_equal(counts.from_cache, 5);
    assert_true(json_equal(cold, warm));
    json_decref(warm);
    json_decref(cold);
    free(cache);
}

/* Runs with other marks, and without any. */
static void test_other_marks(void **state)
{
    static const struct pw_moment_names other = {.count = 1, .names = {"serving"}};
    struct pw_index_counts counts;
    write_marked(state, "1.json", 10, 1, &sample_names);
    write_marked(state, "2.json", 11, 1, &other);
    write_summary(state, "3.json", "\"cold\"", "2026-01-01T00:00:00Z", 1, MACHINE_A);
    json_t *index = build(state, (struct pw_index_options){.mix = true}, &counts);
    const json_t *metrics = at(index, "profiles.boot.metrics");
    assert_number(json_object_get(metrics, "marks.ready_ms.p50"), "n", 1);
    assert_number(json_object_get(metrics, "marks.serving_ms.p50"), "n", 1);
    assert_number(json_object_get(metrics, "phases.end_ms.p50"), "n", 2);
    assert_null(json_object_get(metrics, "marks.never_ms.p50")); /* no run has a value */
    assert_int_equal(json_object_size(at(index, "profiles.cold.metrics")), PW_INDEX_CONTRACT_COUNT);
    json_decref(index);
}

/* What a summary or a cache may hold that perfwrap did not write. */
static void test_strange_marks(void **state)
{
    (void)state;
    static const char summary[] =
        "{\"marks\": {\"a_ms\": {\"p50\": 1.5}, \"b\": {\"p50\": 2}, \"c_ms\": 5,"
        " \"d=\\n_ms\": {\"p50\": 3}, \"e_ms\": {\"p50\": null}, \"_ms\": {\"p50\": 4}},"
        " \"phases\": [1]}";
    PW_STR_AUTO text = PW_STR_INIT;
    json_t *root = json_loads(summary, 0, NULL);
    pw_index_moments_text(root, &text);
    assert_string_equal(text.text, "marks.a_ms.p50=1.5\n");
    json_decref(root);

    struct pw_index_run run = {0}, *runs[] = {&run};
    struct pw_index_group group = {.runs = runs, .count = 1};
    struct pw_index_moment_names names;
    run.texts[PW_INDEX_MOMENTS] = "x=1\n\n=5\nno number\ny=\nz=inf\nw=3 \nx=2\nlast=-4e1";
    assert_int_equal(pw_index_moment_names_of(&group, &names, NULL), 0);
    assert_int_equal(names.count, 2);
    assert_string_equal(names.names[0], "x");
    assert_string_equal(names.names[1], "last");
    assert_near(pw_index_moment(&run, "x"), 1);
    assert_near(pw_index_moment(&run, "last"), -40);
    assert_true(isnan(pw_index_moment(&run, "z")));
    assert_true(isnan(pw_index_moment(&run, "")));
    pw_index_moment_names_done(&names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_marks, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(test_other_marks, make_folder, drop_folder),
        cmocka_unit_test(test_strange_marks),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_statistics),
        cmocka_unit_test(test_few_values),
        cmocka_unit_test(test_no_spread),
        cmocka_unit_test(test_both_sides),
        cmocka_unit_test(test_level),
        IN_FOLDER(test_order),
        IN_FOLDER(test_machines),
        IN_FOLDER(test_broken_files),
        IN_FOLDER(test_nothing_usable),
        IN_FOLDER(test_ends),
        IN_FOLDER(test_ends_cut_off),
        IN_FOLDER(test_many),
        IN_FOLDER(test_cache),
        IN_FOLDER(test_cache_racy),
        IN_FOLDER(test_cache_part),
        IN_FOLDER(test_cache_damaged),
        IN_FOLDER(test_cache_is_something_else),
        IN_FOLDER(test_cache_fuzz),
        IN_FOLDER(test_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
