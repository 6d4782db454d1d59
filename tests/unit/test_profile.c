#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "core/json.h"
#include "core/limits.h"
#include "core/str.h"
#include "sla/profile.h"
#include "tests/unit/unit.h"

/* A profile around these thresholds. */
#define PROFILE(thresholds) "{\"name\": \"p\",\n \"thresholds\": [\n" thresholds "\n]}"

static void parse(const char *text, struct pw_profile *profile)
{
    struct pw_err err = PW_ERR_INIT;
    if (pw_profile_parse(text, strlen(text), "p.json", profile, &err) != 0) {
        fail_msg("%s: %s", text, err.message);
    }
}

/* Refused with exactly this place, and a message that says so. */
static void refuse(const char *text, const char *place, const char *says)
{
    struct pw_err err = PW_ERR_INIT;
    struct pw_profile profile = {.name = NULL};
    if (pw_profile_parse(text, strlen(text), "p.json", &profile, &err) == 0) {
        fail_msg("not refused: %s", text);
    }
    PW_STR_AUTO start = PW_STR_INIT;
    pw_str_addf(&start, "`p.json`: %s: ", place);
    if (strncmp(err.message, start.text, start.length) != 0) {
        fail_msg("`%s` does not begin with `%s`", err.message, start.text);
    }
    assert_contains(err.message + start.length, says);
    assert_int_equal(err.cls, PW_ERR_INPUT);
    assert_null(profile.name);
    assert_int_equal(profile.bounds.count, 0);
    /* The same without anybody who cares. */
    assert_int_equal(pw_profile_parse(text, strlen(text), "p.json", &profile, NULL), -1);
}

static void test_strings_and_objects(void **state)
{
    (void)state;
    struct pw_profile profile;
    parse("{\"$schema\": \"x\", \"name\": \"nightly\", \"description\": \"two\\nlines\","
          " \"min_samples\": 5, \"thresholds\": ["
          "  \"otel.codex.turn p(50) <= 1500ms\","
          "  {\"bound\": \"latency_ms p(95) <= 1s\", \"missing\": \"skip\", \"on_noise\": \"fail\","
          "   \"severity\": \"warning\", \"min_samples\": 20, \"description\": \"\","
          "   \"when\": [\"top_attach\", \"xctrace.trace_count > 0\"]},"
          "  {\"bound\": \"max_rss_mb mean <= 100\", \"label\": \"memory\", \"min_samples\": 0},"
          "  \"failed_runs_total <= 0\"]}",
          &profile);
    assert_string_equal(profile.name, "nightly");
    assert_int_equal(profile.bounds.count, 4);
    /* In the contract's order, own bounds last. */
    const struct pw_bound *failed = &profile.bounds.items[0], *latency = &profile.bounds.items[1],
                          *memory = &profile.bounds.items[2], *turn = &profile.bounds.items[3];
    assert_string_equal(failed->label, "failed_runs_total");
    assert_int_equal(failed->min_samples, 0); /* made of no sample */
    assert_string_equal(latency->label, "latency_p95_ms");
    assert_string_equal(latency->text, "latency_ms p(95) <= 1s");
    assert_int_equal(latency->missing, PW_MISSING_SKIP);
    assert_int_equal(latency->on_noise, PW_NOISE_FAIL);
    assert_int_equal(latency->severity, PW_SEVERITY_WARNING);
    assert_int_equal(latency->min_samples, 20);
    assert_int_equal(latency->condition_count, 2);
    assert_string_equal(latency->conditions[0], "top_attach");
    assert_string_equal(latency->conditions[1], "xctrace.trace_count > 0");
    assert_string_equal(memory->label, "memory");
    assert_int_equal(memory->min_samples, 0);
    assert_int_equal(memory->order, 4);
    assert_int_equal(turn->subject, PW_SUBJECT_OTEL);
    assert_int_equal(turn->min_samples, 5);
    assert_int_equal(turn->order, PW_BOUND_ORDER_OWN);
    assert_int_equal(turn->missing, PW_MISSING_FAIL);
    assert_int_equal(turn->on_noise, PW_NOISE_INCONCLUSIVE);
    assert_int_equal(turn->severity, PW_SEVERITY_ERROR);
    pw_profile_done(&profile);
}

static void test_syntax(void **state)
{
    (void)state;
    refuse("", "line 1, column 1", "");
    refuse("{\n \"name\": \"a\",\n \"name\": \"b\"}", "line 3, column 7", "duplicate object key");
    refuse("{\"name\": \"a\", \"thresholds\": [\"latency_ms mean <= 1\",]}", "line 1, column 53",
           "unexpected token");
    refuse(PROFILE("\"latency_ms mean <= 1\"") "x", "line 4, column 3", "end of file expected");
    refuse("[]", "line 1, column 1", "a profile is an object, not an array");
}

static void test_keys(void **state)
{
    (void)state;
    refuse("{\"name\": \"p\",\n  \"treshold\": []}", "line 2, column 3",
           "unknown key `treshold`; did you mean `thresholds`?");
    refuse("{\"name\": \"p\", \"quux\": 1}", "line 1, column 15", "unknown key `quux`");
    refuse(PROFILE("{\"bound\": \"latency_ms mean <= 1\",\n  \"severty\": \"error\"}"),
           "line 4, column 3", "unknown key `severty`; did you mean `severity`?");
    refuse("{\"thresholds\": [\"latency_ms mean <= 1\"]}", "line 1, column 1", "`name` is missing");
    refuse("{\"name\": \"p\"}", "line 1, column 1", "`thresholds` is missing");
    refuse(PROFILE("\"latency_ms mean <= 1\",\n {\"label\": \"x\"}"), "line 4, column 2",
           "`bound` is missing");
    refuse("{\"name\": \"p\", \"a\\u001b\": 1}", "line 1, column 15", "control character");
    struct pw_err err = PW_ERR_INIT;
    struct pw_profile profile;
    const char *text = "{\"nme\": \"p\"}";
    assert_int_equal(pw_profile_parse(text, strlen(text), "p.json", &profile, &err), -1);
    assert_contains(err.remedy, "`name`, `description`, `extends`");
}

static void test_types(void **state)
{
    (void)state;
    refuse("{\"name\": 7}", "line 1, column 10", "`name` is a number; it must be a string");
    refuse("{\"name\": \"\"}", "line 1, column 10", "`name` is empty");
    refuse("{\"name\": \"a\\nb\"}", "line 1, column 10", "`name` holds a control character");
    refuse("{\"name\": \"p\", \"description\": null}", "line 1, column 30",
           "`description` is null; it must be a string");
    refuse("{\"name\": \"p\", \"min_samples\": 2.5}", "line 1, column 30",
           "`min_samples` is a number with a fraction; it must be a whole number");
    refuse("{\"name\": \"p\", \"min_samples\": -1}", "line 1, column 30", "`min_samples` is -1");
    refuse("{\"name\": \"p\", \"min_samples\": 1000001}", "line 1, column 30", "from 0 to 1000000");
    refuse("{\"name\": \"p\", \"min_samples\": \"5\"}", "line 1, column 30",
           "`min_samples` is a string");
    refuse("{\"name\": \"p\", \"thresholds\": {}}", "line 1, column 29",
           "`thresholds` is an object; it must be an array");
    refuse("{\"name\": \"p\", \"thresholds\": []}", "line 1, column 29", "gate nothing");
    refuse(PROFILE("\"latency_ms mean <= 1\", true"), "line 3, column 25",
           "an entry of `thresholds` is true or false");
    refuse(PROFILE("{\"bound\": \"latency_ms mean <= 1\", \"when\": \"top_attach\"}"),
           "line 3, column 43", "`when` is a string; it must be an array of strings");
    refuse(PROFILE("{\"bound\": \"latency_ms mean <= 1\", \"when\": [{}]}"), "line 3, column 44",
           "an entry of `when` is an object");
    refuse(PROFILE("{\"bound\": \"latency_ms mean <= 1\", \"when\": "
                   "[\"top_attach\",\"top_attach\",\"top_attach\",\"top_attach\",\"top_attach\"]}"),
           "line 3, column 43", "more than 4 entries");
    refuse(PROFILE("{\"bound\": [\"latency_ms mean <= 1\"]}"), "line 3, column 11",
           "`bound` is an array");
}

static void test_choices(void **state)
{
    (void)state;
    refuse(PROFILE("{\"bound\": \"latency_ms mean <= 1\", \"missing\": \"ignore\"}"),
           "line 3, column 46", "`missing` is `ignore`; it must be `fail` or `skip`");
    refuse(PROFILE("{\"bound\": \"latency_ms mean <= 1\", \"on_noise\": \"\"}"),
           "line 3, column 47", "it must be `inconclusive`, `pass` or `fail`");
    refuse(PROFILE("{\"bound\": \"latency_ms mean <= 1\", \"severity\": 1}"), "line 3, column 47",
           "`severity` is a number; it must be `error` or `warning`");
}

/* Each choice means what its enum says. */
static void test_choices_mean(void **state)
{
    (void)state;
    static const struct {
        const char *pair;
        unsigned missing, on_noise, severity;
    } cases[] = {
        {"\"missing\": \"fail\"", PW_MISSING_FAIL, 0, 0},
        {"\"missing\": \"skip\"", PW_MISSING_SKIP, 0, 0},
        {"\"on_noise\": \"inconclusive\"", 0, PW_NOISE_INCONCLUSIVE, 0},
        {"\"on_noise\": \"pass\"", 0, PW_NOISE_PASS, 0},
        {"\"on_noise\": \"fail\"", 0, PW_NOISE_FAIL, 0},
        {"\"severity\": \"error\"", 0, 0, PW_SEVERITY_ERROR},
        {"\"severity\": \"warning\"", 0, 0, PW_SEVERITY_WARNING},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        PW_STR_AUTO text = PW_STR_INIT;
        pw_str_addf(&text, PROFILE("{\"bound\": \"latency_ms mean <= 1\", %s}"), cases[i].pair);
        struct pw_profile profile;
        parse(text.text, &profile);
        assert_int_equal(profile.bounds.items[0].missing, cases[i].missing);
        assert_int_equal(profile.bounds.items[0].on_noise, cases[i].on_noise);
        assert_int_equal(profile.bounds.items[0].severity, cases[i].severity);
        pw_profile_done(&profile);
    }
}

/* The place within the string, escapes counted as they are written. */
static void test_expressions(void **state)
{
    (void)state;
    refuse(PROFILE("  \"latncy_ms p(95) <= 1\""), "line 3, column 4", "unknown metric `latncy_ms`");
    refuse(PROFILE("\"latency_ms p(195) <= 1\""), "line 3, column 13", "no such percentile");
    refuse(PROFILE("\"latency_ms mean <= 1MiB\""), "line 3, column 22", "");
    refuse(PROFILE("{\"label\": \"x\", \"bound\":\n   \"latency_ms\\u0020p(195) <= 1\"}"),
           "line 4, column 21", "no such percentile");
    refuse(PROFILE("\"\""), "line 3, column 1", "empty");
    refuse(PROFILE("\"latency_ms\\tmean <= 1\""), "line 3, column 1", "control character");
    /* Told once: as the file's column. */
    struct pw_err err = PW_ERR_INIT;
    struct pw_profile profile;
    const char *text = PROFILE("\"latency_ms p(195) <= 1\"");
    assert_int_equal(pw_profile_parse(text, strlen(text), "p.json", &profile, &err), -1);
    const char *first = strstr(err.message, "column ");
    assert_non_null(first);
    assert_null(strstr(first + 1, "column "));
    /* With the remedy. */
    text = PROFILE("\"latncy_ms p(95) <= 1\"");
    assert_int_equal(pw_profile_parse(text, strlen(text), "p.json", &profile, &err), -1);
    assert_contains(err.remedy, "latency_ms");
}

static void test_conditions(void **state)
{
    (void)state;
#define WHEN(condition) \
    PROFILE("{\"bound\": \"latency_ms mean <= 1\", \"when\": [\"" condition "\"]}")
    static const char *const good[] = {
        WHEN("top_attach"),
        WHEN("latency_ms"),
        WHEN("resource_budget.stability"),
        WHEN("otel_spans"),
        WHEN("marks"),
        WHEN("phases.ready_ms"),
        WHEN("marks.ready_ms p95 > 1"),
        WHEN("worker_step_timings_ms.build_cmd"),
        WHEN("xctrace.trace_count > 0"),
        WHEN("latency_ms p95 within 10% of 50"),
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct pw_profile profile;
        parse(good[i], &profile);
        assert_int_equal(profile.bounds.items[0].condition_count, 1);
        pw_profile_done(&profile);
    }
    refuse(WHEN("top_atach"), "line 3, column 45",
           "no summary has a block `top_atach`; did you mean `top_attach`?");
    refuse(WHEN("gpu"), "line 3, column 45", "no summary has a block `gpu`");
    refuse(WHEN("top"), "line 3, column 45", "no summary has a block `top`");
    refuse(WHEN("top_attach."), "line 3, column 45", "no summary has a block");
    refuse(WHEN("latency_ms mean <= baseline*1.1"), "line 3, column 45", "baseline");
    refuse(WHEN("latency_ms mean <= 1 GiB"), "line 3, column 66", "");
    refuse(WHEN(""), "line 3, column 44", "empty");
#undef WHEN
    assert_true(pw_condition_is_block("a.b-c_D9"));
    assert_false(pw_condition_is_block(""));
    assert_false(pw_condition_is_block("a b"));
    assert_false(pw_condition_is_block("a<=1"));
}

static void test_duplicates(void **state)
{
    (void)state;
    refuse(PROFILE("\"latency_ms p(50) <= 5\",\n\"max_rss_mb mean <= 9\",\n\"latency_ms med < 6\""),
           "line 5, column 1",
           "same number in the same direction as `latency_ms p(50) <= 5` in line 3");
    refuse(
        PROFILE("{\"bound\": \"latency_ms mean <= 5\", \"when\": [\"top_attach\", \"xctrace\"]},\n"
                "{\"bound\": \"latency_ms mean <= 6\", \"when\": [\"xctrace\", \"top_attach\"]}"),
        "line 4, column 1", "in line 3");
    struct pw_profile profile;
    parse(PROFILE("{\"bound\": \"latency_ms mean <= 5\", \"when\": [\"top_attach\"]},"
                  "{\"bound\": \"latency_ms mean <= 6\", \"when\": [\"xctrace\"]},"
                  "\"latency_ms mean <= 7\", \"latency_ms mean >= 1\", \"latency_ms p(95) <= 5\""),
          &profile);
    assert_int_equal(profile.bounds.count, 5);
    pw_profile_done(&profile);
}

static void test_impossible(void **state)
{
    (void)state;
    refuse(
        PROFILE("\"latency_ms mean <= 5\",\n\"max_rss_mb mean <= 9\",\n  \"latency_ms mean >= 6\""),
        "line 5, column 3", "`latency_ms mean >= 6` and, in line 3, `latency_ms mean <= 5`");
    refuse(PROFILE("\"latency_ms p(95) <= 5\",\n\"latency_ms p(50) >= 10\""), "line 4, column 1",
           "cannot both hold");
    refuse(PROFILE("{\"bound\": \"latency_ms mean <= 5\", \"when\": [\"top_attach\"]},\n"
                   "\"latency_ms mean >= 6\""),
           "line 4, column 1", "cannot both hold");
    struct pw_profile profile;
    /* These may exclude each other. */
    parse(PROFILE("{\"bound\": \"latency_ms mean <= 5\", \"when\": [\"top_attach\"]},\n"
                  "{\"bound\": \"latency_ms mean >= 6\", \"when\": [\"xctrace\"]}"),
          &profile);
    pw_profile_done(&profile);
}

static void write_in(void **state, const char *name, const char *text)
{
    PW_FREE_AUTO char *path = in_folder(state, name);
    assert_int_equal(pw_file_write(path, text, strlen(text), 0666, NULL), 0);
}

static int load(void **state, const char *name, struct pw_profile *profile, struct pw_err *err)
{
    PW_FREE_AUTO char *path = in_folder(state, name);
    return pw_profile_load(path, profile, err);
}

static void test_extends(void **state)
{
    struct pw_err err = PW_ERR_INIT;
    PW_FREE_AUTO char *sub = in_folder(state, "sub");
    assert_int_equal(pw_dir_make(sub, NULL), 0);
    write_in(state, "base.json",
             "{\"name\": \"base\", \"min_samples\": 3, \"thresholds\": ["
             "{\"bound\": \"latency_ms mean <= 5\", \"when\": [\"top_attach\"]},"
             "{\"bound\": \"latency_ms mean <= 6\", \"when\": [\"xctrace\"]},"
             "\"max_rss_mb mean <= 9\", \"failed_runs_total <= 1\"]}");
    write_in(state, "sub/child.json",
             "{\"name\": \"child\", \"extends\": \"../base.json\","
             " \"thresholds\": [\"latency_ms mean <= 70\", \"failed_runs_total <= 0\"]}");
    write_in(state, "grandchild.json",
             "{\"name\": \"grandchild\", \"extends\": \"sub/child.json\", \"min_samples\": 8}");
    struct pw_profile profile;
    assert_int_equal(load(state, "sub/child.json", &profile, &err), 0);
    assert_string_equal(profile.name, "child");
    assert_int_equal(profile.bounds.count, 3); /* both of the mean gave way */
    assert_string_equal(profile.bounds.items[0].text, "failed_runs_total <= 0");
    assert_string_equal(profile.bounds.items[1].text, "latency_ms mean <= 70");
    assert_int_equal(profile.bounds.items[1].min_samples, 0);
    assert_string_equal(profile.bounds.items[2].text, "max_rss_mb mean <= 9");
    assert_int_equal(profile.bounds.items[2].min_samples, 3);
    pw_profile_done(&profile);
    assert_int_equal(load(state, "grandchild.json", &profile, &err), 0);
    assert_string_equal(profile.name, "grandchild");
    assert_int_equal(profile.bounds.count, 3);
    assert_int_equal(profile.bounds.items[1].min_samples, 8);
    assert_int_equal(profile.bounds.items[2].min_samples, 8);
    pw_profile_done(&profile);
}

static void test_extends_named(void **state)
{
    struct pw_err err = PW_ERR_INIT;
    write_in(state, "cold", "{}"); /* the carried one goes before a file */
    write_in(state, "mine.json",
             "{\"name\": \"mine\", \"extends\": \"cold\","
             " \"thresholds\": [\"latency_ms p(95) <= 2000\"]}");
    struct pw_profile mine, cold;
    assert_int_equal(load(state, "mine.json", &mine, &err), 0);
    assert_int_equal(pw_profile_load("cold", &cold, &err), 0);
    assert_int_equal(mine.bounds.count, cold.bounds.count);
    assert_string_equal(mine.bounds.items[1].label, "latency_p95_ms");
    assert_near(mine.bounds.items[1].limit.value, 2000);
    assert_near(cold.bounds.items[1].limit.value, 1000);
    pw_profile_done(&mine);
    pw_profile_done(&cold);
}

static void test_extends_refused(void **state)
{
    struct pw_err err = PW_ERR_INIT;
    struct pw_profile profile;
    write_in(state, "self.json", "{\"name\": \"a\",\n\"extends\": \"./self.json\"}");
    assert_int_equal(load(state, "self.json", &profile, &err), -1);
    assert_contains(err.message, "self.json`: line 2, column 12: the profile extends itself");
    write_in(state, "a.json", "{\"name\": \"a\", \"extends\": \"b.json\"}");
    write_in(state, "b.json", "{\"name\": \"b\", \"extends\": \"c.json\"}");
    write_in(state, "c.json", "{\"name\": \"c\", \"extends\": \"a.json\"}");
    assert_int_equal(load(state, "a.json", &profile, &err), -1);
    assert_contains(err.message, "c.json`: line 1, column 26: a circle: `");
    assert_contains(err.message, "/a.json` extends this profile");

    write_in(state, "lost.json", "{\"name\": \"a\", \"extends\": \"thrughput\"}");
    assert_int_equal(load(state, "lost.json", &profile, &err), -1);
    assert_contains(err.message, "lost.json`: line 1, column 26: open `");
    assert_contains(err.remedy, "Did you mean `throughput`?");
    assert_int_equal(err.cls, PW_ERR_INPUT);

    /* A fault of the other file is told as that file's. */
    write_in(state, "top.json", "{\"name\": \"a\", \"extends\": \"broken.json\"}");
    write_in(state, "broken.json", "{\"name\": \"a\",\n \"thresholds\": 1}");
    assert_int_equal(load(state, "top.json", &profile, &err), -1);
    assert_contains(err.message, "/broken.json`: line 2, column 16: `thresholds` is a number");

    /* Two files that cannot both hold. */
    write_in(state, "low.json", "{\"name\": \"a\", \"thresholds\": [\n\"latency_ms mean <= 5\"]}");
    write_in(state, "high.json",
             "{\"name\": \"a\", \"extends\": \"low.json\", \"thresholds\": [\n"
             " \"latency_ms min >= 6\"]}");
    assert_int_equal(load(state, "high.json", &profile, &err), -1);
    assert_contains(err.message, "high.json`: line 2, column 2: `latency_ms min >= 6` and, in line "
                                 "2 of `");
    assert_contains(err.message, "low.json`, `latency_ms mean <= 5` cannot both hold");
}

static void test_extends_depth(void **state)
{
    struct pw_err err = PW_ERR_INIT;
    struct pw_profile profile;
    write_in(state, "p0.json", "{\"name\": \"p\", \"thresholds\": [\"failed_runs_total <= 0\"]}");
    for (int i = 1; i <= PW_LIMIT_PROFILE_EXTENDS + 1; i++) {
        char name[32], text[64];
        snprintf(name, sizeof name, "p%d.json", i);
        snprintf(text, sizeof text, "{\"name\": \"p\", \"extends\": \"p%d.json\"}", i - 1);
        write_in(state, name, text);
    }
    char name[32];
    snprintf(name, sizeof name, "p%d.json", PW_LIMIT_PROFILE_EXTENDS);
    assert_int_equal(load(state, name, &profile, &err), 0);
    assert_int_equal(profile.bounds.count, 1);
    pw_profile_done(&profile);
    snprintf(name, sizeof name, "p%d.json", PW_LIMIT_PROFILE_EXTENDS + 1);
    assert_int_equal(load(state, name, &profile, &err), -1);
    assert_contains(err.message, "/p1.json`: line 1, column 26: more than 8 profiles");
}

static void test_load_refused(void **state)
{
    struct pw_err err = PW_ERR_INIT;
    struct pw_profile profile;
    assert_int_equal(pw_profile_load("colt", &profile, &err), -1);
    assert_int_equal(err.cls, PW_ERR_INPUT);
    assert_contains(err.message, "colt");
    assert_contains(err.remedy, "Did you mean `cold`?");
    assert_int_equal(load(state, "none.json", &profile, &err), -1);
    assert_int_equal(err.cls, PW_ERR_INPUT);
    assert_int_equal(pw_profile_load(*state, &profile, &err), -1); /* a folder */
    assert_int_equal(err.cls, PW_ERR_INPUT);
}

/* As many thresholds as may be, and one more. */
static void test_many(void **state)
{
    (void)state;
    for (int count = PW_LIMIT_PROFILE_BOUNDS; count <= PW_LIMIT_PROFILE_BOUNDS + 1; count++) {
        PW_STR_AUTO text = PW_STR_INIT;
        pw_str_add(&text, "{\"name\": \"p\", \"thresholds\": [");
        for (int i = 0; i < count; i++) {
            pw_str_addf(&text, "%s\"otel.m%d mean <= 1\"", i > 0 ? "," : "", i);
        }
        pw_str_add(&text, "]}");
        struct pw_err err = PW_ERR_INIT;
        struct pw_profile profile = {0};
        int result = pw_profile_parse(text.text, text.length, "p.json", &profile, &err);
        assert_int_equal(result, count <= PW_LIMIT_PROFILE_BOUNDS ? 0 : -1);
        if (result != 0) {
            assert_contains(err.message, "more than 1000 thresholds");
        }
        pw_profile_done(&profile);
    }
    PW_STR_AUTO large = PW_STR_INIT;
    pw_str_addf(&large, "%*s", PW_LIMIT_PROFILE_BYTES + 1, "");
    struct pw_err err = PW_ERR_INIT;
    struct pw_profile profile;
    assert_int_equal(pw_profile_parse(large.text, large.length, "p.json", &profile, &err), -1);
    assert_contains(err.message, "larger than");
}

/* The contract's table (section 7): label, direction, limit, and conditions. */
struct expected {
    const char *label, *op;
    double limit;
    const char *when[2];
};
#define STEPS                          \
    {                                  \
        "worker_step_timings_ms", NULL \
    }
#define TOP                \
    {                      \
        "top_attach", NULL \
    }
#define TRACE                                        \
    {                                                \
        "vmmap_snapshots", "xctrace.trace_count > 0" \
    }
#define ALWAYS     \
    {              \
        NULL, NULL \
    }

static void check_named(const char *name, const struct expected *rows, size_t count)
{
    struct pw_err err = PW_ERR_INIT;
    struct pw_profile profile;
    if (pw_profile_load(name, &profile, &err) != 0) {
        fail_msg("%s", err.message);
    }
    assert_string_equal(profile.name, name);
    assert_int_equal(profile.bounds.count, count);
    for (size_t i = 0; i < count; i++) {
        const struct pw_bound *bound = &profile.bounds.items[i];
        assert_string_equal(bound->label, rows[i].label);
        assert_string_equal(pw_bound_op_text(bound->op), rows[i].op);
        assert_true(bound->limit.value == rows[i].limit);
        assert_int_equal(bound->condition_count, !rows[i].when[0] ? 0 : !rows[i].when[1] ? 1 : 2);
        for (size_t j = 0; j < bound->condition_count; j++) {
            assert_string_equal(bound->conditions[j], rows[i].when[j]);
        }
        assert_int_equal(bound->min_samples, 0);
        assert_int_equal(bound->missing, PW_MISSING_FAIL);
        assert_int_equal(bound->severity, PW_SEVERITY_ERROR);
    }
    pw_profile_done(&profile);
}

static void test_named(void **state)
{
    (void)state;
    static const struct expected cold[] = {
        {"failed_runs_total", "<=", 0, ALWAYS},      {"latency_p95_ms", "<=", 1000, ALWAYS},
        {"throughput_mean", ">=", 2, ALWAYS},        {"peak_fds_mean", "<=", 6, ALWAYS},
        {"build_cmd_mean_ms", "<=", 25, STEPS},      {"spawn_proc_mean_ms", "<=", 250, STEPS},
        {"monitor_loop_mean_ms", "<=", 2500, STEPS}, {"communicate_mean_ms", "<=", 600, STEPS},
        {"parse_stats_mean_ms", "<=", 300, STEPS},   {"top_sample_count_mean", ">=", 1, TOP},
        {"top_peak_cpu_p95", "<=", 120, TOP},        {"xctrace_trace_count", ">=", 1, TRACE},
    };
    static const struct expected throughput[] = {
        {"failed_runs_total", "<=", 0, ALWAYS},      {"latency_p95_ms", "<=", 1200, ALWAYS},
        {"throughput_mean", ">=", 8, ALWAYS},        {"peak_fds_mean", "<=", 6, ALWAYS},
        {"build_cmd_mean_ms", "<=", 25, STEPS},      {"spawn_proc_mean_ms", "<=", 250, STEPS},
        {"monitor_loop_mean_ms", "<=", 3000, STEPS}, {"communicate_mean_ms", "<=", 700, STEPS},
        {"parse_stats_mean_ms", "<=", 300, STEPS},   {"top_sample_count_mean", ">=", 1, TOP},
        {"top_peak_cpu_p95", "<=", 220, TOP},
    };
    static const struct expected exec[] = {
        {"failed_runs_total", "<=", 0, ALWAYS},      {"latency_p95_ms", "<=", 8000, ALWAYS},
        {"throughput_mean", ">=", 0.14, ALWAYS},     {"peak_children_mean", "<=", 1.5, ALWAYS},
        {"turn_metric_points_mean", ">=", 1, STEPS}, {"build_cmd_mean_ms", "<=", 30, STEPS},
        {"spawn_proc_mean_ms", "<=", 300, STEPS},    {"monitor_loop_mean_ms", "<=", 7000, STEPS},
        {"communicate_mean_ms", "<=", 1000, STEPS},  {"parse_stats_mean_ms", "<=", 400, STEPS},
        {"top_sample_count_mean", ">=", 1, TOP},     {"top_peak_cpu_p95", "<=", 260, TOP},
        {"xctrace_trace_count", ">=", 1, TRACE},
    };
    static const struct expected streaming[] = {
        {"failed_runs_total", "<=", 0, ALWAYS},
        {"latency_p95_ms", "<=", 25000, ALWAYS},
        {"throughput_mean", ">=", 0.03, ALWAYS},
        {"turn_metric_points_mean", ">=", 1, ALWAYS},
        {"sampled_peak_tree_rss_mean_mb", "<=", 8, STEPS},
        {"monitor_loop_mean_ms", "<=", 30000, STEPS},
        {"parse_stats_mean_ms", "<=", 500, STEPS},
        {"top_sample_count_mean", ">=", 1, TOP},
        {"top_peak_cpu_p95", "<=", 260, TOP},
    };
#define CHECK(name) check_named(#name, (name), sizeof(name) / sizeof(name)[0])
    CHECK(cold);
    CHECK(throughput);
    CHECK(exec);
    CHECK(streaming);
#undef CHECK
    assert_null(pw_named_profile_find("all"));
}

/* What the program carries is the file in the tree, byte by byte. */
static void test_named_are_the_files(void **state)
{
    (void)state;
    const char *source = getenv("PW_SOURCE_DIR");
    for (size_t i = 0; i < PW_NAMED_PROFILE_COUNT; i++) {
        const struct pw_named_profile *named = &pw_named_profiles[i];
        assert_ptr_equal(pw_named_profile_find(named->name), named);
        assert_int_equal(named->text[named->size], '\0');
        assert_int_equal(strlen(named->text), named->size);
        if (source) {
            PW_STR_AUTO path = PW_STR_INIT;
            pw_str_addf(&path, "%s/sla/profiles/%s.json", source, named->name);
            PW_FREE_AUTO char *text = NULL;
            assert_int_equal(pw_file_read(path.text, PW_LIMIT_PROFILE_BYTES, &text, NULL, NULL), 0);
            assert_string_equal(named->text, text);
        }
    }
    if (!source) {
        print_message("skipped: PW_SOURCE_DIR is not set\n");
        skip();
    }
}

/* The parser and the schema agree over the named profiles and over every fault that a schema can
 * tell: see check_profile_schema.py. */
static void test_schema(void **state)
{
    const char *source = getenv("PW_SOURCE_DIR");
    if (!source) {
        print_message("skipped: PW_SOURCE_DIR is not set\n");
        skip();
    }
    PW_FREE_AUTO char *schema_path = in_folder(state, "schema.json");
    PW_FREE_AUTO char *script = pw_path_join(source, "tests/unit/check_profile_schema.py", NULL);
    json_t *schema = pw_profile_schema(NULL);
    assert_non_null(schema);
    assert_int_equal(pw_json_write_file(schema_path, schema, NULL), 0);
    json_decref(schema);
    PW_FREE_AUTO char *profiles = pw_path_join(source, "sla/profiles", NULL);
    char *argv[] = {"/usr/bin/python3", script, schema_path, profiles, NULL};
    pid_t pid = fork();
    if (pid == 0) {
        execv(argv[0], argv);
        _exit(127);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77 || WEXITSTATUS(status) == 127) {
        print_message("skipped: /usr/bin/python3 with jsonschema is not there\n");
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, drop_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strings_and_objects),
        cmocka_unit_test(test_syntax),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_choices),
        cmocka_unit_test(test_choices_mean),
        cmocka_unit_test(test_expressions),
        cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_duplicates),
        cmocka_unit_test(test_impossible),
        IN_FOLDER(test_extends),
        IN_FOLDER(test_extends_named),
        IN_FOLDER(test_extends_refused),
        IN_FOLDER(test_extends_depth),
        IN_FOLDER(test_load_refused),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_named),
        cmocka_unit_test(test_named_are_the_files),
        IN_FOLDER(test_schema),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
