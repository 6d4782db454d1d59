#include "core/record.h"

#include "tests/unit/sample_run.h"

static const struct pw_warning *warning_of(const struct pw_run_record *run, const char *kind)
{
    const struct pw_warning *found = NULL;
    for (size_t i = 0; i < run->warning_count; i++) {
        if (strcmp(run->warnings[i].kind, kind) == 0) {
            assert_null(found); /* once at most */
            found = &run->warnings[i];
        }
    }
    return found;
}

/* A quiet run of `n` iterations of one worker, 100.0, 100.1, 100.2 ms and so on. */
static void make_quiet(struct pw_run_record *run, size_t n)
{
    pw_run_record_init(run);
    run->environment = json_pack("{s:i, s:f}", "cpu_count", 4, "load_1m", 4.0);
    for (size_t i = 0; i < n; i++) {
        const double duration_ms = 100 + 0.1 * (double)i;
        add_iteration(run, 1, &duration_ms, NULL);
    }
}

static void set_duration(struct pw_run_record *run, size_t i, double duration_ms)
{
    run->iterations[i].values[PW_METRIC_LATENCY] = pw_value_of(duration_ms);
}

static void judge(struct pw_run_record *run)
{
    struct pw_err err = PW_ERR_INIT;
    if (pw_run_record_judge(run, &err) != 0) {
        fail_msg("%s", err.message);
    }
    for (size_t i = 0; i < run->warning_count; i++) {
        const struct pw_warning *warning = &run->warnings[i];
        assert_true(strlen(warning->message) > 10 && strlen(warning->advice) > 10);
        assert_true(json_is_object(warning->data) && json_object_size(warning->data) > 0);
    }
}

static double data_of(const struct pw_warning *warning, const char *key)
{
    const json_t *value = json_object_get(warning->data, key);
    assert_true(json_is_number(value));
    return json_number_value(value);
}

#define assert_no_warning(run, kind) assert_null(warning_of(run, kind))

static void test_quiet_run(void **state)
{
    (void)state;
    struct pw_run_record run;
    make_quiet(&run, 20);
    judge(&run);
    if (run.warning_count > 0) {
        fail_msg("%s", run.warnings[0].message);
    }
    pw_run_record_done(&run);
}

static void test_empty_run(void **state)
{
    (void)state;
    struct pw_run_record run;
    pw_run_record_init(&run);
    judge(&run);
    assert_int_equal(run.warning_count, 0);
    pw_run_record_done(&run);
}

static void test_outliers(void **state)
{
    (void)state;
    struct pw_run_record run;
    make_quiet(&run, 20);
    set_duration(&run, 10, 500);
    set_duration(&run, 11, 1);
    judge(&run);
    const struct pw_warning *warning = warning_of(&run, "outliers");
    assert_non_null(warning);
    assert_near(data_of(warning, "outliers"), 2);
    assert_near(data_of(warning, "slower"), 1);
    assert_near(data_of(warning, "iterations"), 20);
    assert_near(data_of(warning, "max_ms"), 500);
    assert_contains(warning->message, "2 of 20 iterations");
    pw_run_record_done(&run);

    make_quiet(&run, 9); /* too few to tell */
    set_duration(&run, 5, 500);
    judge(&run);
    assert_no_warning(&run, "outliers");
    pw_run_record_done(&run);
}

static void test_slow_first_run(void **state)
{
    (void)state;
    struct pw_run_record run;
    make_quiet(&run, 5);
    set_duration(&run, 0, 400);
    judge(&run);
    const struct pw_warning *warning = warning_of(&run, "slow_first_run");
    assert_non_null(warning);
    assert_near(data_of(warning, "first_ms"), 400);
    assert_near(data_of(warning, "median_ms"), 100.3);
    assert_contains(warning->advice, "--warmup 1");
    pw_run_record_done(&run);

    make_quiet(&run, 5);
    run.first_warmup_ms = 200;
    judge(&run);
    warning = warning_of(&run, "slow_first_run");
    assert_non_null(warning);
    assert_true(json_is_true(json_object_get(warning->data, "warmup")));
    assert_contains(warning->message, "warm-up");
    pw_run_record_done(&run);

    make_quiet(&run, 5);
    run.first_warmup_ms = 150; /* not clearly slower */
    set_duration(&run, 0, 400);
    judge(&run);
    assert_no_warning(&run, "slow_first_run");
    pw_run_record_done(&run);

    pw_run_record_init(&run);
    for (int i = 0; i < 5; i++) {
        const double duration_ms = 2;
        add_iteration(&run, 1, &duration_ms, NULL);
    }
    set_duration(&run, 0, 6.9); /* over three times, but not by 5 ms */
    judge(&run);
    assert_no_warning(&run, "slow_first_run");
    pw_run_record_done(&run);
}

static void test_high_load(void **state)
{
    (void)state;
    struct pw_run_record run;
    make_quiet(&run, 5);
    json_object_set_new(run.environment, "load_1m", json_real(4.5));
    judge(&run);
    const struct pw_warning *warning = warning_of(&run, "high_load");
    assert_non_null(warning);
    assert_near(data_of(warning, "load_1m"), 4.5);
    assert_near(data_of(warning, "cpu_count"), 4);
    pw_run_record_done(&run);

    make_quiet(&run, 5);
    json_object_set_new(run.environment, "load_1m", json_null()); /* not known */
    judge(&run);
    assert_no_warning(&run, "high_load");
    pw_run_record_done(&run);
}

static void test_few_runs(void **state)
{
    (void)state;
    struct pw_run_record run;
    make_quiet(&run, 20);
    run.iterations[3].workers[0].return_code = 1; /* a failed run is no run */
    judge(&run);
    const struct pw_warning *warning = warning_of(&run, "few_runs_for_p95");
    assert_non_null(warning);
    assert_near(data_of(warning, "successful_runs"), 19);
    assert_near(data_of(warning, "needed"), 20);
    pw_run_record_done(&run);
}

static void test_failures_and_timeouts(void **state)
{
    (void)state;
    struct pw_run_record run;
    make_sample(&run); /* one timeout of four */
    judge(&run);
    assert_no_warning(&run, "failures");
    const struct pw_warning *warning = warning_of(&run, "timeouts");
    assert_non_null(warning);
    assert_near(data_of(warning, "timeout_runs"), 1);
    assert_near(data_of(warning, "total_runs"), 4);
    pw_run_record_done(&run);

    make_sample(&run);
    run.iterations[0].workers[1].return_code = 139;
    run.iterations[1].workers[0].return_code = 3;
    judge(&run);
    warning = warning_of(&run, "failures");
    assert_non_null(warning);
    assert_near(data_of(warning, "failed_runs"), 2);
    assert_near(data_of(warning, "first_return_code"), 139);
    assert_contains(warning->message, "2 of 4");
    assert_non_null(warning_of(&run, "timeouts"));
    pw_run_record_done(&run);
}

static void test_orphans(void **state)
{
    (void)state;
    struct pw_run_record run;
    make_sample(&run);
    judge(&run);
    const struct pw_warning *warning = warning_of(&run, "orphans");
    assert_non_null(warning);
    assert_near(data_of(warning, "orphans"), 1);
    assert_contains(warning->message, "were ended");
    pw_run_record_done(&run);

    make_sample(&run);
    run.orphans[0].kept = true;
    judge(&run);
    assert_contains(warning_of(&run, "orphans")->message, "were left alone");
    pw_run_record_done(&run);
}

static void test_observation(void **state)
{
    (void)state;
    struct pw_run_record run;
    make_quiet(&run, 20);
    run.observer.samples = 100;
    run.observer.lengthened_gaps = 30;
    run.observer.largest_gap_ns = pw_ms_to_ns(250);
    run.observer.budget_pct = 1;
    run.iterations[2].values[PW_METRIC_TREE_MISSED_EXITS] = pw_value_of(3);
    run.iterations[4].values[PW_METRIC_TREE_MISSED_EXITS] = pw_value_of(4);
    judge(&run);
    const struct pw_warning *warning = warning_of(&run, "sampling_stretched");
    assert_non_null(warning);
    assert_near(data_of(warning, "lengthened_gaps"), 30);
    assert_near(data_of(warning, "largest_gap_ms"), 250);
    warning = warning_of(&run, "missed_exits");
    assert_non_null(warning);
    assert_near(data_of(warning, "missed_exits"), 7);
    assert_int_equal(run.warning_count, 2);
    pw_run_record_done(&run);
}

static void test_telemetry_lost(void **state)
{
    (void)state;
    struct pw_run_record run;
    make_quiet(&run, 20);
    run.has_telemetry = true;
    run.telemetry.losses[PW_LOSS_REPEATED] = 9; /* as it should be */
    run.telemetry.losses[PW_LOSS_NO_VALUE] = 9;
    judge(&run);
    assert_int_equal(run.warning_count, 0);
    run.telemetry.losses[PW_LOSS_LATE] = 3;
    run.telemetry.losses[PW_LOSS_CUT_OFF] = 2;
    run.telemetry.losses[PW_LOSS_TOO_LARGE] = 1;
    run.strays.unknown_path = 7;
    judge(&run);
    const struct pw_warning *warning = warning_of(&run, "telemetry_lost");
    assert_non_null(warning);
    assert_string_equal(warning->message,
                        "Not all telemetry is in the numbers: payloads late: 3, payloads cut off: "
                        "2, payloads too large: 1, requests to unknown paths: 7.");
    assert_contains(warning->advice, "before it exits, or raise --otel-flush-wait-ms. Let it send");
    assert_contains(warning->advice, "--otlp-max-body-mb. Whatever reports");
    assert_near(data_of(warning, "late"), 3);
    assert_near(data_of(warning, "undecodable"), 0);
    assert_near(data_of(warning, "unknown_path"), 7);
    assert_no_warning(&run, "telemetry_limits");
    pw_run_record_done(&run);
}

static void test_telemetry_limits(void **state)
{
    (void)state;
    struct pw_run_record run;
    make_quiet(&run, 20);
    run.has_telemetry = true;
    run.telemetry.losses[PW_LOSS_SERIES_LIMIT] = 12;
    run.otel_unlisted = 4;
    judge(&run);
    const struct pw_warning *warning = warning_of(&run, "telemetry_limits");
    assert_non_null(warning);
    assert_contains(warning->message, "datapoints of further series: 12, iterations whose");
    assert_near(data_of(warning, "series_limit"), 12);
    assert_near(data_of(warning, "span_limit"), 0);
    assert_near(data_of(warning, "unlisted_iterations"), 4);
    assert_no_warning(&run, "telemetry_lost");
    pw_run_record_done(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quiet_run),
        cmocka_unit_test(test_empty_run),
        cmocka_unit_test(test_outliers),
        cmocka_unit_test(test_slow_first_run),
        cmocka_unit_test(test_high_load),
        cmocka_unit_test(test_few_runs),
        cmocka_unit_test(test_failures_and_timeouts),
        cmocka_unit_test(test_telemetry_lost),
        cmocka_unit_test(test_telemetry_limits),
        cmocka_unit_test(test_orphans),
        cmocka_unit_test(test_observation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
