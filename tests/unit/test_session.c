/* wrapper/run/session: how many iterations, in which order with hooks, and why it stopped. */
#include "tests/unit/unit.h"

#include <signal.h>
#include <sys/resource.h>
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
    plan.max_time_sec = 1;
    assert_int_equal(pw_session_run(&plan, NULL, &run, NULL), 0);
    assert_true(run.iteration_count > plan.iterations); /* true takes far less than 200 ms */
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
    plan.until_ci_pct = 1e6; /* any two runs are that alike, on a busy machine, too */
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

/* Two sessions at once, each of whose commands says who it is, which private folder it has, how
 * many descriptors it may open, and where it is to report. */
struct pair {
    char commands[2][700], log[512];
    char *argv[2][4];
    struct pw_plan plans[2];
    struct pw_run_record runs[2];
    struct pw_session *sessions[2];
};

static void open_pair(struct pair *pair, const struct pw_session_events *events)
{
    snprintf(pair->log, sizeof pair->log, "%s/pair", folder);
    unlink(pair->log);
    setenv("PAIR", pair->log, 1);
    for (int i = 0; i < 2; i++) {
        snprintf(pair->commands[i], sizeof pair->commands[i],
                 "echo %c$PERFWRAP_ITERATION $(dirname \"$PERFWRAP_WORKER_DIR\") $(ulimit -Sn) "
                 "$OTEL_EXPORTER_OTLP_ENDPOINT >>\"$PAIR\"",
                 'a' + i);
        char *const argv[] = {(char *)"sh", (char *)"-c", pair->commands[i], NULL};
        memcpy(pair->argv[i], argv, sizeof argv);
        pair->plans[i] = plan_for(pair->argv[i]);
        pair->plans[i].warmup = 1;
        pair->plans[i].cleanup = i ? "echo cleanup-b >>\"$PAIR\"" : "echo cleanup-a >>\"$PAIR\"";
        pw_run_record_init(&pair->runs[i]);
        assert_int_equal(
            pw_session_open(&pair->plans[i], events, &pair->runs[i], &pair->sessions[i], NULL), 0);
    }
}

static void close_pair(struct pair *pair)
{
    for (int i = 0; i < 2; i++)
        assert_int_equal(pw_session_close(pair->sessions[i], NULL), 0);
}

static void done_pair(struct pair *pair)
{
    for (int i = 0; i < 2; i++)
        pw_run_record_done(&pair->runs[i]);
}

/* Reads the log's lines: who, folder, descriptors, address. Returns how many. */
enum { PAIR_LINES_MAX = 16 };
static size_t read_pair(const struct pair *pair, char ret_lines[PAIR_LINES_MAX][4][256])
{
    char *text, *rest;
    size_t count = 0;
    assert_int_equal(pw_file_read(pair->log, 65536, &text, NULL, NULL), 0);
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        assert_in_range(count, 0, PAIR_LINES_MAX - 1);
        assert_true(sscanf(line, "%255s %255s %255s %255s", ret_lines[count][0],
                           ret_lines[count][1], ret_lines[count][2], ret_lines[count][3]) >= 1);
        count++;
    }
    free(text);
    return count;
}

static void two_at_once(void **state)
{
    (void)state;
    struct pair pair;
    struct rlimit before, after;
    bool kept, enough = false;
    getrlimit(RLIMIT_NOFILE, &before);
    struct rlimit lowered = {.rlim_cur = 512, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &lowered), 0);
    open_pair(&pair, NULL);
    assert_int_equal(pw_session_start(pair.sessions[0], NULL), 0);
    assert_int_equal(pw_session_start(pair.sessions[1], NULL), 0);
    for (int step = 0; step < 6; step++) { /* a b b a a b */
        struct pw_session *session = pair.sessions[(step + 1) / 2 % 2];
        assert_int_equal(pw_session_is_enough(session, &enough, NULL), 0);
        assert_false(enough);
        assert_int_equal(pw_session_step(session, &kept, NULL), 0);
        assert_true(kept);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pw_session_is_enough(pair.sessions[i], &enough, NULL), 0);
        assert_true(enough);
    }
    assert_int_equal(pw_session_step(pair.sessions[1], &kept, NULL), 0); /* beyond the plan */
    pw_session_stop(pair.sessions[1], PW_STOP_SLA_DECIDED, "after %d", 4);
    close_pair(&pair);
    getrlimit(RLIMIT_NOFILE, &after);
    assert_int_equal(after.rlim_cur, 512);
    setrlimit(RLIMIT_NOFILE, &before);
    assert_int_equal(pair.runs[0].iteration_count, 3);
    assert_int_equal(pair.runs[0].stop, PW_STOP_ITERATIONS);
    assert_int_equal(pair.runs[1].iteration_count, 4);
    assert_int_equal(pair.runs[1].stop, PW_STOP_SLA_DECIDED);
    assert_string_equal(pair.runs[1].stop_detail, "after 4");
    assert_string_not_equal(pair.runs[0].run_dir, pair.runs[1].run_dir);

    static const char *const order[] = {"a0", "b0", "a1", "b1",        "b2",       "a2",
                                        "a3", "b3", "b4", "cleanup-a", "cleanup-b"};
    char lines[PAIR_LINES_MAX][4][256];
    assert_int_equal(read_pair(&pair, lines), sizeof order / sizeof *order);
    for (size_t i = 0; i < sizeof order / sizeof *order; i++)
        assert_string_equal(lines[i][0], order[i]);
    for (size_t i = 2; i < 9; i++) {
        bool is_b = lines[i][0][0] == 'b';
        assert_string_equal(lines[i][1], lines[is_b][1]); /* its own session's, always the same */
        assert_string_equal(lines[i][2], "512");
        assert_string_not_equal(lines[i][3], lines[!is_b][3]);
    }
    assert_string_not_equal(lines[0][1], lines[1][1]);
    assert_int_not_equal(access(lines[0][1], F_OK), 0); /* removed */
    assert_int_not_equal(access(lines[1][1], F_OK), 0);
    done_pair(&pair);
}

static void a_signal_comes_to_one_of_two(void **state)
{
    (void)state;
    struct pair pair;
    bool kept;
    struct pw_session_events events = {.iteration_ended = interrupt};
    open_pair(&pair, &events);
    assert_int_equal(pw_session_step(pair.sessions[0], &kept, NULL), 0);
    assert_int_equal(pw_session_step(pair.sessions[1], &kept, NULL), 0);
    assert_int_equal(pw_session_step(pair.sessions[1], &kept, NULL), 0); /* and the signal */
    assert_true(kept);
    assert_int_equal(pw_session_interrupted_by(pair.sessions[1]), SIGTERM);
    assert_int_equal(pw_session_interrupted_by(pair.sessions[0]), 0);
    pw_session_follow(pair.sessions[0], pair.sessions[1]);
    assert_int_equal(pw_session_interrupted_by(pair.sessions[0]), SIGTERM);
    assert_int_equal(pw_session_step(pair.sessions[0], &kept, NULL), 0);
    assert_false(kept);
    close_pair(&pair);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pair.runs[i].interrupted_by, SIGTERM);
        assert_int_equal(pair.runs[i].stop, PW_STOP_INTERRUPTED);
    }
    assert_int_equal(pair.runs[0].iteration_count, 1);
    assert_int_equal(pair.runs[1].iteration_count, 2);
    done_pair(&pair);
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
        cmocka_unit_test(two_at_once),
        cmocka_unit_test(a_signal_comes_to_one_of_two),
        cmocka_unit_test(ignored_codes),
    };
    return cmocka_run_group_tests(tests, prepare, drop_folder);
}
