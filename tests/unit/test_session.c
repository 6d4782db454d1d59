/* wrapper/run/session: how many iterations, in which order with hooks, and why it stopped. */
#include "tests/unit/unit.h"

#include <signal.h>
#include <unistd.h>
#include "core/file.h"
#include "core/limits.h"
#include "wrapper/run/session.h"
#include "wrapper/run/signals.h"

static char *folder; /* private, for run folders and what the commands write */

static struct pw_plan plan_for(char *const *argv)
{
    return (struct pw_plan){.argv = argv,
                            .command_text = "test",
                            .concurrency = 1,
                            .iterations = 3,
                            .iterations_given = true,
                            .max_iterations = 1000,
                            .timeout_sec = 60,
                            .kill_grace_ms = 1000,
                            .out_dir = folder,
                            .probe_interval_ms = 20,
                            .probe_budget_pct = 1};
}

static char *const do_nothing[] = {(char *)"true", NULL};

static void counts_iterations(void **state)
{
    (void)state;
    struct pw_plan plan = plan_for(do_nothing);
    struct pw_run_record run;
    pw_run_record_init(&run);
    plan.concurrency = 2;
    plan.warmup = 2;
    assert_int_equal(pw_session_run(&plan, NULL, &run, NULL), 0);
    assert_int_equal(run.iteration_count, 3);
    assert_int_equal(run.iterations[2].number, 3);
    assert_int_equal(run.iterations[0].worker_count, 2);
    assert_int_equal(run.stop, PW_STOP_ITERATIONS);
    assert_true(run.first_warmup_ms > 0);
    assert_true(pw_value_is_present(run.iterations[0].values[PW_METRIC_MAX_RSS_KB]));
    /* A collector listened, and nothing came: that is known. */
    assert_true(pw_value_is_present(run.iterations[0].values[PW_METRIC_OTEL_PAYLOADS]));
    assert_true(run.iterations[0].values[PW_METRIC_OTEL_PAYLOADS].number == 0);
    assert_int_equal(run.iterations[0].values[PW_METRIC_OTEL_TURN_SUM].state, PW_ABSENT_NO_SAMPLES);
    pw_run_record_done(&run);
}

static void time_budget_stops(void **state)
{
    (void)state;
    struct pw_plan plan = plan_for(do_nothing);
    struct pw_run_record run;
    pw_run_record_init(&run);
    plan.iterations_given = false;
    plan.max_time_sec = 0.2;
    assert_int_equal(pw_session_run(&plan, NULL, &run, NULL), 0);
    assert_true(run.iteration_count > plan.iterations); /* true takes far less than 40 ms */
    assert_int_equal(run.stop, PW_STOP_TIME_BUDGET);
    pw_run_record_done(&run);

    pw_run_record_init(&run); /* at least one, however small the budget */
    plan.max_time_sec = 1e-9;
    assert_int_equal(pw_session_run(&plan, NULL, &run, NULL), 0);
    assert_int_equal(run.iteration_count, 1);
    pw_run_record_done(&run);

    pw_run_record_init(&run); /* with --iterations, whichever comes first */
    plan.max_time_sec = 60;
    plan.iterations_given = true;
    assert_int_equal(pw_session_run(&plan, NULL, &run, NULL), 0);
    assert_int_equal(run.iteration_count, 3);
    assert_int_equal(run.stop, PW_STOP_ITERATIONS);
    pw_run_record_done(&run);
}

static void interval_stops(void **state)
{
    (void)state;
    char *argv[] = {(char *)"sleep", (char *)"0.02", NULL};
    struct pw_plan plan = plan_for(argv);
    struct pw_run_record run;
    pw_run_record_init(&run);
    plan.until_ci_pct = 100; /* any two runs are that alike */
    assert_int_equal(pw_session_run(&plan, NULL, &run, NULL), 0);
    assert_int_equal(run.stop, PW_STOP_CONFIDENCE);
    assert_int_equal(run.iteration_count, 3); /* no fewer than --iterations */
    pw_run_record_done(&run);

    pw_run_record_init(&run);
    plan.until_ci_pct = 1e-9; /* out of reach */
    plan.max_iterations = 6;
    assert_int_equal(pw_session_run(&plan, NULL, &run, NULL), 0);
    assert_int_equal(run.stop, PW_STOP_MAX_ITERATIONS);
    assert_int_equal(run.iteration_count, 6);
    assert_non_null(run.stop_detail);
    pw_run_record_done(&run);
}

static void hooks_in_order(void **state)
{
    (void)state;
    char log[512], command[700], expected[512];
    snprintf(log, sizeof log, "%s/order", folder);
    setenv("ORDER", log, 1);
    snprintf(command, sizeof command, "echo work-$PERFWRAP_ITERATION-$PERFWRAP_WORKER_ID >>$ORDER");
    char *argv[] = {(char *)"sh", (char *)"-c", command, NULL};
    struct pw_plan plan = plan_for(argv);
    plan.iterations = 2;
    plan.warmup = 1;
    plan.setup = "echo setup >>$ORDER";
    plan.prepare = "echo prepare-$PERFWRAP_ITERATION >>$ORDER";
    plan.conclude = "echo conclude-$PERFWRAP_ITERATION >>$ORDER";
    plan.cleanup = "test -d \"$PERFWRAP_RUN_DIR\" && echo cleanup >>$ORDER";
    struct pw_run_record run;
    pw_run_record_init(&run);
    assert_int_equal(pw_session_run(&plan, NULL, &run, NULL), 0);
    pw_run_record_done(&run);
    snprintf(expected, sizeof expected,
             "setup\nprepare-0\nwork-0-1\nconclude-0\nprepare-1\nwork-1-1\nconclude-1\n"
             "prepare-2\nwork-2-1\nconclude-2\ncleanup\n");
    char *text;
    assert_int_equal(pw_file_read(log, 4096, &text, NULL, NULL), 0);
    assert_string_equal(text, expected);
    free(text);
}

static void failing_hook_is_an_error(void **state)
{
    (void)state;
    struct pw_plan plan = plan_for(do_nothing);
    struct pw_err err = PW_ERR_INIT;
    struct pw_run_record run;
    pw_run_record_init(&run);
    plan.prepare = "test $PERFWRAP_ITERATION -lt 2"; /* fails before the second */
    assert_int_equal(pw_session_run(&plan, NULL, &run, &err), -1);
    assert_int_equal(err.cls, PW_ERR_SYSTEM);
    assert_non_null(strstr(err.message, "--prepare"));
    assert_int_equal(run.iteration_count, 1); /* what was measured is kept */
    assert_int_equal(run.stop, PW_STOP_ERROR);
    pw_run_record_done(&run);

    pw_run_record_init(&run);
    plan.prepare = NULL;
    plan.conclude = "test $PERFWRAP_ITERATION -lt 2"; /* fails behind the second */
    assert_int_equal(pw_session_run(&plan, NULL, &run, &err), -1);
    assert_non_null(strstr(err.message, "--conclude"));
    assert_int_equal(run.iteration_count, 2);
    pw_run_record_done(&run);
}

static void interrupt(void *context, bool warmup, const struct pw_iteration_record *iteration)
{
    (void)context;
    if (!warmup && iteration->number == 2)
        kill(getpid(), SIGTERM);
}

static void signal_stops_and_keeps(void **state)
{
    (void)state;
    struct pw_plan plan = plan_for(do_nothing);
    struct pw_session_events events = {.iteration_ended = interrupt};
    struct pw_run_record run;
    pw_run_record_init(&run);
    plan.iterations = 1000;
    assert_int_equal(pw_session_run(&plan, &events, &run, NULL), 0);
    assert_int_equal(run.interrupted_by, SIGTERM);
    assert_int_equal(run.stop, PW_STOP_INTERRUPTED);
    assert_int_equal(run.iteration_count, 2);
    pw_run_record_done(&run);
}

static void ignored_codes(void **state)
{
    (void)state;
    unsigned char codes[256] = {[3] = 1};
    struct pw_plan plan = {.ignored_codes = codes};
    assert_true(pw_plan_ignores(&plan, 3));
    assert_false(pw_plan_ignores(&plan, 4));
    plan.ignore_all_failures = true;
    assert_true(pw_plan_ignores(&plan, 4));
}

static int prepare(void **state)
{
    pw_signals_prepare();
    if (make_folder(state) != 0)
        return -1;
    folder = *state;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_iterations),
        cmocka_unit_test(time_budget_stops),
        cmocka_unit_test(interval_stops),
        cmocka_unit_test(hooks_in_order),
        cmocka_unit_test(failing_hook_is_an_error),
        cmocka_unit_test(signal_stops_and_keeps),
        cmocka_unit_test(ignored_codes),
    };
    return cmocka_run_group_tests(tests, prepare, drop_folder);
}
