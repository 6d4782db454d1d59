/* core/moments.h and what becomes of moments in the documents, the judgement and the summary. */
#include "core/json.h"
#include "core/moments.h"
#include "core/summary.h"
#include "tests/unit/sample_moments.h"

static const struct pw_moment_names three = {.count = 3, .names = {"a", "b", "c"}};

static void assert_phases(const int64_t at_ns[3], int64_t duration_ns, const int64_t expected[4])
{
    struct pw_moments moments;
    int64_t phase_ns[PW_LIMIT_MOMENTS + 1];
    pw_moments_init(&moments);
    memcpy(moments.at_ns, at_ns, 3 * sizeof(*at_ns));
    pw_moments_phases(&three, &moments, duration_ns, phase_ns);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(phase_ns[i], expected[i]);
    }
    for (size_t i = 4; i <= PW_LIMIT_MOMENTS; i++) {
        assert_int_equal(phase_ns[i], -1);
    }
}

static void test_phases(void **state)
{
    (void)state;
    static const struct {
        int64_t at_ns[3], duration_ns, phase_ns[4];
    } cases[] = {
        {{10, 30, 60}, 100, {10, 20, 30, 40}},  /* in order */
        {{60, 10, 30}, 100, {30, 10, 20, 40}},  /* in another */
        {{-1, -1, -1}, 100, {-1, -1, -1, 100}}, /* nothing came */
        {{-1, 40, -1}, 100, {-1, 40, -1, 60}},  /* one did */
        {{0, 0, 100}, 100, {0, 0, 100, 0}},     /* at the spawn, at the end */
        {{50, 50, 20}, 100, {30, 0, 20, 50}},   /* at one time: in the order of names */
        {{50, 150, 120}, 100, {50, 0, 50, 0}},  /* told after the end */
        {{10, 30, 60}, 0, {0, 0, 0, 0}},        /* no time at all */
        {{10, 30, 60}, -1, {-1, -1, -1, -1}},   /* it never ran */
        {{INT64_MAX, 1, -1}, 2, {1, 1, -1, 0}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_phases(cases[i].at_ns, cases[i].duration_ns, cases[i].phase_ns);
    }
    struct pw_moments none;
    pw_moments_init(&none);
    for (size_t i = 0; i < PW_LIMIT_MOMENTS; i++) {
        assert_int_equal(none.at_ns[i], -1);
    }
}

static uint64_t random_state = 42;

/* SplitMix64 (Steele, Lea and Flood 2014). */
static uint64_t draw(uint64_t below)
{
    random_state += UINT64_C(0x9E3779B97F4A7C15);
    uint64_t bits = random_state;
    bits = (bits ^ (bits >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    bits = (bits ^ (bits >> 27)) * UINT64_C(0x94D049BB133111EB);
    return below > 0 ? (bits ^ (bits >> 31)) % below : 0;
}

/* Whatever came when: as many phases as moments and one, none negative, all of the duration. */
static void test_phases_add_up(void **state)
{
    (void)state;
    struct pw_moment_names names = {.count = 0};
    for (size_t i = 0; i < PW_LIMIT_MOMENTS; i++) {
        snprintf(names.names[i], sizeof(names.names[i]), "m%zu", i);
    }
    for (size_t round = 0; round < 5000; round++) {
        struct pw_moments moments;
        int64_t phase_ns[PW_LIMIT_MOMENTS + 1];
        int64_t duration_ns = (int64_t)draw(round % 2 ? 40 : UINT64_C(5000000000));
        size_t came = 0, phases = 0;
        int64_t sum_ns = 0;
        names.count = draw(PW_LIMIT_MOMENTS + 1);
        pw_moments_init(&moments);
        for (size_t i = 0; i < names.count; i++) {
            if (draw(4) > 0) {
                moments.at_ns[i] = (int64_t)draw((uint64_t)duration_ns + 20);
                came++;
            }
        }
        pw_moments_phases(&names, &moments, duration_ns, phase_ns);
        for (size_t i = 0; i <= PW_LIMIT_MOMENTS; i++) {
            bool expected = i == names.count || (i < names.count && moments.at_ns[i] >= 0);
            assert_int_equal(phase_ns[i] >= 0, expected);
            sum_ns += phase_ns[i] >= 0 ? phase_ns[i] : 0;
            phases += phase_ns[i] >= 0;
        }
        assert_int_equal(phases, came + 1);
        assert_int_equal(sum_ns, duration_ns);
    }
}

static void test_keys(void **state)
{
    (void)state;
    char key[PW_MOMENT_KEY_MAX];
    char longest[PW_LIMIT_MOMENT_NAME + 1];
    pw_moment_key("ready", key);
    assert_string_equal(key, "ready_ms");
    memset(longest, 'x', PW_LIMIT_MOMENT_NAME);
    longest[PW_LIMIT_MOMENT_NAME] = '\0';
    pw_moment_key(longest, key);
    assert_int_equal(strlen(key), PW_LIMIT_MOMENT_NAME + 3);
    assert_string_equal(key + PW_LIMIT_MOMENT_NAME, "_ms");
}

/* NAN: null. */
static void assert_number_at(const json_t *root, const char *path, double expected)
{
    const json_t *value = pw_json_find(root, path);
    if (!value || (isnan(expected) ? !json_is_null(value) : !json_is_number(value))) {
        fail_msg("`%s` is not there, or of another type", path);
    }
    if (!isnan(expected)) {
        assert_near(json_number_value(value), expected);
    }
}

static void test_worker_documents(void **state)
{
    (void)state;
    struct pw_run_record run;
    make_moments_sample(&run);
    assert_ptr_equal(run.moment_names, &sample_names);
    json_t *first = pw_iteration_to_json(&run.iterations[0], NULL);
    json_t *second = pw_iteration_to_json(&run.iterations[1], NULL);
    json_t *third = pw_iteration_to_json(&run.iterations[2], NULL);
    static const struct {
        int iteration;
        const char *path;
        double value;
    } cases[] = {
        {0, "worker_results.0.marks.ready_ms", 10},
        {0, "worker_results.0.marks.db-up_ms", 25},
        {0, "worker_results.0.marks.never_ms", NAN},
        {0, "worker_results.0.phases.ready_ms", 10},
        {0, "worker_results.0.phases.db-up_ms", 15},
        {0, "worker_results.0.phases.never_ms", NAN},
        {0, "worker_results.0.phases.end_ms", 75},
        {0, "worker_results.1.phases.db-up_ms", 5},
        {0, "worker_results.1.phases.ready_ms", 15},
        {0, "marks.ready_ms", 15},
        {0, "marks.db-up_ms", 15},
        {0, "marks.never_ms", NAN},
        {0, "phases.ready_ms", 12.5},
        {0, "phases.end_ms", 82.5},
        /* A failed worker has its own and is in no mean. */
        {1, "worker_results.1.marks.never_ms", 3},
        {1, "worker_results.1.phases.end_ms", 127},
        {1, "marks.ready_ms", 30},
        {1, "marks.db-up_ms", NAN},
        {1, "marks.never_ms", NAN},
        {1, "phases.end_ms", 90},
        /* Told after the end: the mark is as it came, the phase ends with the worker. */
        {2, "worker_results.1.marks.ready_ms", 60},
        {2, "worker_results.1.phases.ready_ms", 50},
        {2, "worker_results.1.phases.end_ms", 0},
    };
    const json_t *documents[] = {first, second, third};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_number_at(documents[cases[i].iteration], cases[i].path, cases[i].value);
    }
    assert_int_equal(json_object_size(json_object_get(first, "marks")), 3);
    assert_int_equal(json_object_size(json_object_get(first, "phases")), 4);
    json_decref(first);
    json_decref(second);
    json_decref(third);
    pw_run_record_done(&run);
}

static void test_summary(void **state)
{
    (void)state;
    struct pw_run_record run;
    make_moments_sample(&run);
    struct pw_summary *summary = pw_summary_build(&run, NULL);
    static const struct {
        const char *path;
        double value;
    } cases[] = {
        /* 10 20 30 40 60 */
        {"marks.ready_ms.count", 5},
        {"marks.ready_ms.mean", 32},
        {"marks.ready_ms.p50", 30},
        {"marks.ready_ms.p95", 56},
        {"marks.ready_ms.p99", 59.2},
        {"marks.ready_ms.min", 10},
        {"marks.ready_ms.max", 60},
        {"marks.ready_ms.stddev", 19.235384061671343},
        {"marks.db-up_ms.count", 2},
        {"marks.db-up_ms.mean", 15},
        {"marks.never_ms.count", 0},
        {"marks.never_ms.mean", NAN},
        {"marks.never_ms.stddev", NAN},
        /* 10 15 30 40 50, and 75 90 90 100 0 */
        {"phases.ready_ms.mean", 29},
        {"phases.end_ms.count", 5},
        {"phases.end_ms.mean", 71},
        {"phases.end_ms.min", 0},
        {"phases.never_ms.p50", NAN},
    };
    const json_t *block = json_object_get(pw_summary_root(summary), "summary");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_number_at(block, cases[i].path, cases[i].value);
    }
    const json_t *reasons = json_object_get(block, "unavailable");
    assert_string_equal(json_string_value(json_object_get(reasons, "marks.never_ms")),
                        "no_samples");
    assert_string_equal(json_string_value(json_object_get(reasons, "phases.never_ms")),
                        "no_samples");
    assert_null(json_object_get(reasons, "marks.ready_ms"));
    assert_value(pw_summary_number(summary, "runs.0.worker_results.1.marks.ready_ms"), 20);
    pw_summary_free(summary);
    pw_run_record_done(&run);
}

/* What a worker's phases are in the document adds up to its duration there. */
static void test_documents_add_up(void **state)
{
    (void)state;
    struct pw_run_record run;
    pw_run_record_init(&run);
    for (size_t i = 0; i < 200; i++) {
        struct moment_worker worker = {.duration_ms = 1 + (double)draw(1000000000) / 1e6};
        for (size_t m = 0; m < sample_names.count; m++) {
            worker.at_ms[m] =
                draw(5) == 0 ? -1 : (double)draw((uint64_t)(worker.duration_ms * 1e6)) / 1e6;
        }
        add_moment_iteration(&run, &sample_names, &worker, 1);
        json_t *iteration = pw_iteration_to_json(&run.iterations[i], NULL);
        const json_t *result = json_array_get(json_object_get(iteration, "worker_results"), 0);
        const json_t *phases = json_object_get(result, "phases"), *value = NULL;
        const char *key = NULL;
        double sum_ms = 0;
        json_object_foreach((json_t *)phases, key, value)
        {
            sum_ms += json_number_value(value); /* 0 of null */
        }
        double duration_ms = pw_ns_to_ms(run.iterations[i].workers[0].ended_at_ns -
                                         run.iterations[i].workers[0].started_at_ns);
        assert_near(sum_ms, duration_ms);
        json_decref(iteration);
    }
    pw_run_record_done(&run);
}

static void test_no_marks(void **state)
{
    (void)state;
    struct pw_run_record run;
    struct pw_iteration_record iteration;
    pw_run_record_init(&run);
    assert_int_equal(pw_iteration_record_init(&iteration, 1, 2, NULL), 0);
    assert_int_equal(iteration.workers[1].moments.at_ns[PW_LIMIT_MOMENTS - 1], -1);
    assert_int_equal(pw_iteration_fold(&iteration, NULL), 0);
    assert_int_equal(pw_run_record_append(&run, &iteration, NULL), 0);
    struct pw_summary *summary = pw_summary_build(&run, NULL);
    const json_t *root = pw_summary_root(summary);
    static const char *const places[] = {"summary", "runs.0", "runs.0.worker_results.0"};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        const json_t *place = pw_json_find(root, places[i]);
        assert_true(json_is_object(place));
        assert_null(json_object_get(place, "marks"));
        assert_null(json_object_get(place, "phases"));
    }
    assert_int_equal(pw_run_record_judge(&run, NULL), 0);
    for (size_t i = 0; i < run.warning_count; i++) {
        assert_null(strstr(run.warnings[i].kind, "mark"));
    }
    pw_summary_free(summary);
    pw_run_record_done(&run);
}

/* Marks, but no iteration that came to its end. */
static void test_nothing_measured(void **state)
{
    (void)state;
    struct pw_run_record run;
    pw_run_record_init(&run);
    run.moment_names = &sample_names;
    struct pw_summary *summary = pw_summary_build(&run, NULL);
    const json_t *block = json_object_get(pw_summary_root(summary), "summary");
    assert_number_at(block, "marks.ready_ms.count", 0);
    assert_number_at(block, "phases.end_ms.mean", NAN);
    assert_int_equal(pw_run_record_judge(&run, NULL), 0);
    assert_int_equal(run.warning_count, 0);
    pw_summary_free(summary);
    pw_run_record_done(&run);
}

static const struct pw_warning *warning_of(const struct pw_run_record *run, const char *mark)
{
    for (size_t i = 0; i < run->warning_count; i++) {
        const char *name = json_string_value(json_object_get(run->warnings[i].data, "mark"));
        if (name && strcmp(name, mark) == 0) {
            return &run->warnings[i];
        }
    }
    return NULL;
}

static void test_judged(void **state)
{
    (void)state;
    struct pw_run_record run;
    make_moments_sample(&run);
    assert_int_equal(pw_run_record_judge(&run, NULL), 0);
    assert_null(warning_of(&run, "ready"));
    const struct pw_warning *some = warning_of(&run, "db-up"), *none = warning_of(&run, "never");
    assert_non_null(some);
    assert_string_equal(some->kind, "mark_missing_in_some");
    assert_string_equal(some->message, "The mark db-up came for 2 of 5 successful runs.");
    assert_int_equal(json_integer_value(json_object_get(some->data, "workers")), 2);
    assert_non_null(none);
    assert_string_equal(none->kind, "mark_never_came");
    assert_string_equal(none->message, "The mark never came for 0 of 5 successful runs.");
    assert_true(strlen(none->advice) > 20);
    pw_run_record_done(&run);
}

/* Where no worker succeeded, the failures say it all. */
static void test_judged_all_failed(void **state)
{
    (void)state;
    static const struct moment_worker failed = {1, 10, {-1, -1, -1}};
    struct pw_run_record run;
    pw_run_record_init(&run);
    add_moment_iteration(&run, &sample_names, &failed, 1);
    assert_int_equal(pw_run_record_judge(&run, NULL), 0);
    assert_true(run.warning_count > 0);
    assert_null(warning_of(&run, "ready"));
    pw_run_record_done(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_phases),   cmocka_unit_test(test_phases_add_up),
        cmocka_unit_test(test_keys),     cmocka_unit_test(test_worker_documents),
        cmocka_unit_test(test_summary),  cmocka_unit_test(test_documents_add_up),
        cmocka_unit_test(test_no_marks), cmocka_unit_test(test_nothing_measured),
        cmocka_unit_test(test_judged),   cmocka_unit_test(test_judged_all_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
