#include "core/record.h"

#include "core/limits.h"
#include "tests/unit/sample_run.h"

static struct pw_value folded(const double *numbers, size_t count, enum pw_metric_id id)
{
    struct pw_iteration_record iteration;
    assert_int_equal(pw_iteration_record_init(&iteration, 1, count, NULL), 0);
    for (size_t i = 0; i < count; i++) {
        iteration.workers[i].values[id] = pw_value_of(numbers[i]); /* NAN: absent */
    }
    assert_int_equal(pw_iteration_fold(&iteration, NULL), 0);
    struct pw_value value = iteration.values[id];
    pw_iteration_record_done(&iteration);
    return value;
}

static void test_folds(void **state)
{
    (void)state;
    const double numbers[] = {NAN, 3, -7, NAN, 10};
    assert_value(folded(numbers, 5, PW_METRIC_MAX_RSS_KB), 10);
    assert_value(folded(numbers, 5, PW_METRIC_USER_CPU), 2);
    assert_value(folded(numbers, 5, PW_METRIC_TREE_MISSED_EXITS), 6);
    assert_value(folded(numbers + 2, 1, PW_METRIC_MAX_RSS_KB), -7);
    assert_absent(folded(numbers, 1, PW_METRIC_MAX_RSS_KB), PW_ABSENT_NOT_MEASURED);
    assert_absent(folded(numbers, 5, PW_METRIC_WORKER_LATENCY), PW_ABSENT_NOT_MEASURED);
}

static void test_fold_keeps_the_reason(void **state)
{
    (void)state;
    struct pw_iteration_record iteration;
    assert_int_equal(pw_iteration_record_init(&iteration, 1, 3, NULL), 0);
    struct pw_worker_record *workers = iteration.workers;
    workers[1].values[PW_METRIC_TREE_PEAK_RSS_KB] = pw_value_absent(PW_ABSENT_NO_SAMPLES);
    workers[2].values[PW_METRIC_TREE_PEAK_RSS_KB] = pw_value_absent(PW_ABSENT_NO_PERMISSION);
    iteration.values[PW_METRIC_OTEL_PAYLOADS] = pw_value_of(5);
    iteration.values[PW_METRIC_OTEL_DATAPOINTS] = pw_value_absent(PW_ABSENT_NOT_SUPPORTED);
    assert_int_equal(pw_iteration_fold(&iteration, NULL), 0);
    assert_absent(iteration.values[PW_METRIC_TREE_PEAK_RSS_KB], PW_ABSENT_NO_SAMPLES);
    /* Known of the iteration itself: left as set. */
    assert_value(iteration.values[PW_METRIC_OTEL_PAYLOADS], 5);
    assert_absent(iteration.values[PW_METRIC_OTEL_DATAPOINTS], PW_ABSENT_NOT_SUPPORTED);
    pw_iteration_record_done(&iteration);
    pw_iteration_record_done(&iteration); /* twice is fine */
}

static void test_window(void **state)
{
    (void)state;
    struct pw_iteration_record iteration;
    assert_int_equal(pw_iteration_record_init(&iteration, 7, 4, NULL), 0);
    struct pw_worker_record *workers = iteration.workers;
    assert_int_equal(workers[3].id, 4);
    workers[0].started_at_ns = pw_ms_to_ns(1010);
    workers[0].ended_at_ns = pw_ms_to_ns(1200);
    workers[1].started_at_ns = pw_ms_to_ns(1000);
    workers[1].ended_at_ns = pw_ms_to_ns(1100);
    workers[1].return_code = 3;
    workers[2].started_at_ns = pw_ms_to_ns(1020);
    workers[2].ended_at_ns = pw_ms_to_ns(1250);
    assert_int_equal(pw_iteration_fold(&iteration, NULL), 0);
    /* The fourth never ran. */
    assert_near(iteration.duration_ms, 250);
    assert_value(iteration.values[PW_METRIC_LATENCY], 250);
    assert_value(iteration.values[PW_METRIC_THROUGHPUT], 8);
    assert_value(iteration.values[PW_METRIC_SUCCESSFUL_RUNS], 2);
    assert_value(iteration.values[PW_METRIC_FAILED_RUNS], 1);
    assert_int_equal(pw_iteration_return_code(&iteration), 1);
    workers[1].return_code = 0;
    assert_int_equal(pw_iteration_return_code(&iteration), 0);
    pw_iteration_record_done(&iteration);
}

static void test_never_measured(void **state)
{
    (void)state;
    struct pw_iteration_record iteration;
    assert_int_equal(pw_iteration_record_init(&iteration, 1, 2, NULL), 0);
    assert_int_equal(pw_iteration_fold(&iteration, NULL), 0);
    for (size_t i = 0; i < PW_METRIC_COUNT; i++) {
        assert_absent(iteration.values[i], PW_ABSENT_NOT_MEASURED);
    }
    pw_iteration_record_done(&iteration);
    assert_int_equal(pw_iteration_record_init(&iteration, 1, 0, NULL), 0);
    assert_int_equal(pw_iteration_fold(&iteration, NULL), 0);
    assert_int_equal(pw_iteration_return_code(&iteration), 0);
    pw_iteration_record_done(&iteration);
}

static void test_append_takes(void **state)
{
    (void)state;
    struct pw_run_record run;
    pw_run_record_init(&run);
    for (unsigned number = 1; number <= 100; number++) {
        struct pw_iteration_record iteration;
        assert_int_equal(pw_iteration_record_init(&iteration, number, 1, NULL), 0);
        iteration.workers[0].stderr_tail = strdup("x");
        assert_int_equal(pw_run_record_append(&run, &iteration, NULL), 0);
        assert_null(iteration.workers);
        assert_int_equal(iteration.worker_count, 0);
    }
    assert_int_equal(run.iteration_count, 100);
    for (unsigned number = 1; number <= 100; number++) {
        assert_int_equal(run.iterations[number - 1].number, number);
    }
    pw_run_record_done(&run);
    assert_int_equal(run.iteration_count, 0);
    pw_run_record_done(&run);
}

static void test_telemetry_is_folded(void **state)
{
    (void)state;
    struct pw_iteration_record iteration;
    make_reporting_iteration(&iteration, 1);
    for (int times = 0; times < 2; times++) {
        const struct pw_value *values = iteration.values;
        assert_true(iteration.has_telemetry);
        assert_value(values[PW_METRIC_OTEL_PAYLOADS], 6);
        assert_value(values[PW_METRIC_OTEL_DATAPOINTS], 14);
        assert_value(values[PW_METRIC_OTEL_SPANS], 3);
        assert_value(values[PW_METRIC_OTEL_LOG_RECORDS], 9);
        assert_value(values[PW_METRIC_TELEMETRY_LOST], 3);
        assert_value(values[PW_METRIC_OTEL_TURN_POINTS], 1);
        assert_value(values[PW_METRIC_OTEL_TURN_SUM], 100);
        assert_value(values[PW_METRIC_OTEL_ACTION_POINTS], 4);
        assert_value(values[PW_METRIC_OTEL_ACTION_SUM], 6);
        assert_value(values[PW_METRIC_OTEL_STREAM_POINTS], 0);
        assert_absent(values[PW_METRIC_OTEL_STREAM_SUM], PW_ABSENT_NO_SAMPLES);
        assert_int_equal(iteration.workers[0].family_points[PW_FAMILY_QUEUE], 4);
        assert_int_equal(iteration.workers[1].family_points[PW_FAMILY_QUEUE], 0);
        assert_int_equal(json_object_size(iteration.otel_metrics), 6);
        assert_int_equal(json_array_size(iteration.otel_actions), 3);
        assert_int_equal(json_object_size(iteration.queue_cancel), 2);
        assert_int_equal(pw_iteration_fold(&iteration, NULL), 0); /* nothing is counted twice */
    }
    pw_iteration_record_done(&iteration);
    assert_null(iteration.otel_metrics);
}

static void test_workers_telemetry_adds_up(void **state)
{
    (void)state;
    struct pw_iteration_record iteration;
    assert_int_equal(pw_iteration_record_init(&iteration, 1, 3, NULL), 0);
    for (size_t i = 0; i < 3; i += 2) { /* to the one between nobody listened */
        iteration.workers[i].has_telemetry = true;
        fill_telemetry(&iteration.workers[i].telemetry);
    }
    assert_int_equal(pw_iteration_fold(&iteration, NULL), 0);
    assert_value(iteration.values[PW_METRIC_OTEL_PAYLOADS], 12);
    assert_value(iteration.values[PW_METRIC_OTEL_ACTION_SUM], 12);
    assert_value(iteration.values[PW_METRIC_OTEL_TURN_POINTS], 2);
    assert_int_equal(iteration.telemetry.metric_count, 7);
    pw_iteration_record_done(&iteration);
}

/* Nothing came: counts are 0, for somebody listened, but sums of values are not known. */
static void test_silent_workers(void **state)
{
    (void)state;
    struct pw_iteration_record iteration;
    assert_int_equal(pw_iteration_record_init(&iteration, 1, 1, NULL), 0);
    iteration.workers[0].has_telemetry = true;
    iteration.workers[0].telemetry.payloads[PW_SIGNAL_TRACES] = 1;
    assert_int_equal(pw_iteration_fold(&iteration, NULL), 0);
    assert_value(iteration.values[PW_METRIC_OTEL_PAYLOADS], 1);
    assert_value(iteration.values[PW_METRIC_OTEL_TURN_POINTS], 0);
    assert_value(iteration.values[PW_METRIC_TELEMETRY_LOST], 0);
    assert_absent(iteration.values[PW_METRIC_OTEL_TURN_SUM], PW_ABSENT_NO_SAMPLES);
    assert_int_equal(json_object_size(iteration.otel_metrics), 0);
    pw_iteration_record_done(&iteration);
}

static void test_append_merges_telemetry(void **state)
{
    (void)state;
    struct pw_run_record run;
    pw_run_record_init(&run);
    add_reporting_iteration(&run);
    add_reporting_iteration(&run);
    assert_true(run.has_telemetry);
    assert_int_equal(pw_telemetry_payloads(&run.telemetry), 12);
    assert_int_equal(run.telemetry.metric_count, 7);
    assert_int_equal(run.telemetry.action_count, 5);
    assert_int_equal(run.telemetry.actions[0].durations.count, 6);
    assert_int_equal(run.otel_listed, 2 * (6 + 3));
    for (size_t i = 0; i < 2; i++) {
        const struct pw_iteration_record *iteration = &run.iterations[i];
        assert_int_equal(pw_telemetry_payloads(&iteration->telemetry), 6);
        assert_int_equal(iteration->telemetry.joined_spans, 2);
        assert_null(iteration->telemetry.metrics); /* too large to be kept of each */
        assert_int_equal(iteration->telemetry.metric_count, 0);
        assert_null(iteration->workers[0].telemetry.actions);
        assert_int_equal(iteration->workers[0].telemetry.bytes, 4096);
        assert_int_equal(iteration->workers[0].family_points[PW_FAMILY_TURN], 1);
        assert_int_equal(json_object_size(iteration->otel_metrics), 6);
    }
    pw_run_record_done(&run);
}

static void test_blocks_over_the_limit(void **state)
{
    (void)state;
    struct pw_run_record run;
    pw_run_record_init(&run);
    run.otel_listed = PW_LIMIT_OTEL_LISTED - 9;
    add_reporting_iteration(&run);
    add_reporting_iteration(&run);
    assert_int_equal(run.otel_listed, PW_LIMIT_OTEL_LISTED);
    assert_int_equal(run.otel_unlisted, 1);
    assert_non_null(run.iterations[0].otel_metrics);
    assert_null(run.iterations[1].otel_metrics);
    assert_null(run.iterations[1].otel_actions);
    assert_non_null(run.iterations[1].queue_cancel);
    assert_true(run.iterations[1].has_telemetry);
    assert_int_equal(pw_telemetry_payloads(&run.telemetry),
                     12); /* it is in the run's all the same */
    pw_run_record_done(&run);
}

static void test_late_payloads(void **state)
{
    (void)state;
    struct pw_run_record run;
    pw_run_record_init(&run);
    add_reporting_iteration(&run);
    add_reporting_iteration(&run);
    pw_run_record_add_late(&run, 2, 1, 4);
    pw_run_record_add_late(&run, 0, 1, 100); /* warm-up */
    pw_run_record_add_late(&run, 3, 1, 100); /* not kept */
    pw_run_record_add_late(&run, 1, 0, 100); /* no worker */
    pw_run_record_add_late(&run, 1, 3, 100);
    assert_int_equal(run.telemetry.losses[PW_LOSS_LATE], 2 + 4);
    assert_int_equal(run.iterations[1].telemetry.losses[PW_LOSS_LATE], 1 + 4);
    assert_int_equal(run.iterations[1].workers[0].telemetry.losses[PW_LOSS_LATE], 1 + 4);
    assert_value(run.iterations[1].values[PW_METRIC_TELEMETRY_LOST], 3 + 4);
    assert_value(run.iterations[0].values[PW_METRIC_TELEMETRY_LOST], 3);
    pw_run_record_done(&run);
}

static void test_bounded_lists(void **state)
{
    (void)state;
    struct pw_run_record run;
    pw_run_record_init(&run);
    for (int i = 0; i < PW_LIMIT_ORPHANS_LISTED + 10; i++) {
        const struct pw_orphan orphan = {.pid = i + 1};
        assert_int_equal(pw_run_record_add_orphan(&run, &orphan, NULL), 0);
    }
    assert_int_equal(run.orphan_count, PW_LIMIT_ORPHANS_LISTED);
    assert_int_equal(run.orphans_total, PW_LIMIT_ORPHANS_LISTED + 10);
    assert_int_equal(run.orphans[PW_LIMIT_ORPHANS_LISTED - 1].pid, PW_LIMIT_ORPHANS_LISTED);
    json_t *data = json_object();
    for (int i = 0; i < PW_LIMIT_WARNINGS + 10; i++) {
        assert_int_equal(
            pw_run_record_warn(&run, "kind", "advice", json_incref(data), "number %d", i), 0);
    }
    assert_int_equal(run.warning_count, PW_LIMIT_WARNINGS);
    assert_string_equal(run.warnings[5].message, "number 5");
    assert_string_equal(run.warnings[5].advice, "advice");
    assert_int_equal(data->refcount, PW_LIMIT_WARNINGS + 1); /* the others were let go */
    pw_run_record_done(&run);
    assert_int_equal(data->refcount, 1);
    json_decref(data);
}

static void test_names(void **state)
{
    (void)state;
    static const char *const ends[] = {"exited", "signaled", "timeout", "interrupted",
                                       "lost",   "until",    "missed",  "running"};
    static const char *const stops[] = {"iterations",     "time_budget",  "confidence",
                                        "max_iterations", "interrupted",  "error",
                                        "sla_decided",    "sla_undecided"};
    assert_int_equal(PW_END_COUNT, 8);
    assert_int_equal(PW_STOP_COUNT, 8);
    for (int i = 0; i < PW_END_COUNT; i++) {
        assert_string_equal(pw_end_name((enum pw_end)i), ends[i]);
    }
    for (int i = 0; i < PW_STOP_COUNT; i++) {
        assert_string_equal(pw_stop_name((enum pw_stop)i), stops[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_folds),
        cmocka_unit_test(test_fold_keeps_the_reason),
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_never_measured),
        cmocka_unit_test(test_append_takes),
        cmocka_unit_test(test_bounded_lists),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_telemetry_is_folded),
        cmocka_unit_test(test_workers_telemetry_adds_up),
        cmocka_unit_test(test_silent_workers),
        cmocka_unit_test(test_append_merges_telemetry),
        cmocka_unit_test(test_blocks_over_the_limit),
        cmocka_unit_test(test_late_payloads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
