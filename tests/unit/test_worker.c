/* wrapper/run/worker and the warden: what is reported of a target, step by step. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "core/clock.h"
#include "core/file.h"
#include "wrapper/run/signals.h"
#include "wrapper/run/worker.h"

enum { EVENT_TIMEOUT_MS = 20000 };

static int warden_fd, null_fd;

static struct pw_worker_spec spec_for(char *const *argv)
{
    struct pw_worker_spec spec = {.argv = argv,
                                  .environment = environ,
                                  .stdin_fd = null_fd,
                                  .stdout_fd = -1,
                                  .stderr_fd = -1};
    spec.go = (struct pw_warden_order){.kind = PW_ORDER_GO, .grace_ns = PW_NS_PER_SEC};
    getrlimit(RLIMIT_NOFILE, &spec.go.nofile);
    return spec;
}

static void wait_until(struct pw_worker *worker, enum pw_worker_state state)
{
    while (worker->state < state) {
        struct pollfd event = {.fd = worker->control_fd, .events = POLLIN};
        assert_int_equal(poll(&event, 1, EVENT_TIMEOUT_MS), 1);
        pw_worker_read(worker);
    }
}

/* Runs a command to its end; the caller calls pw_worker_done(). */
static void run(struct pw_worker *worker, const struct pw_worker_spec *spec)
{
    *worker = (struct pw_worker){.id = 1};
    assert_int_equal(pw_worker_start(worker, warden_fd, spec, NULL), 0);
    wait_until(worker, PW_WORKER_READY);
    assert_int_equal(pw_worker_go(worker, NULL), 0);
    wait_until(worker, PW_WORKER_EXITED);
    if (!spec->go.keep_orphans)
        pw_worker_order(worker, PW_ORDER_END);
    wait_until(worker, PW_WORKER_ENDED);
}

static void record_of(struct pw_worker *worker, struct pw_worker_record *record)
{
    *record = (struct pw_worker_record){0};
    pw_tail_drain(&worker->err, SIZE_MAX);
    pw_worker_record(worker, record);
}

static void shell(struct pw_worker *worker, char *script, struct pw_worker_record *record)
{
    char *argv[] = {(char *)"sh", (char *)"-c", script, NULL};
    struct pw_worker_spec spec = spec_for(argv);
    run(worker, &spec);
    record_of(worker, record);
}

static void exit_code_and_output(void **state)
{
    (void)state;
    struct pw_worker worker;
    struct pw_worker_record record;
    shell(&worker, (char *)"echo one >&2; echo two >&2; exit 7", &record);
    assert_int_equal(record.end, PW_END_EXITED);
    assert_int_equal(record.return_code, 7);
    assert_string_equal(record.stderr_tail, "one\ntwo");
    assert_true(record.duration_ms > 0);
    assert_int_equal(record.values[PW_METRIC_IO_WCHAR].number, 8);
    assert_true(record.values[PW_METRIC_MAX_RSS_KB].number > 100);
    free(record.stderr_tail);
    pw_worker_done(&worker);
}

static void signals_are_128_plus(void **state)
{
    (void)state;
    struct pw_worker worker;
    struct pw_worker_record record;
    shell(&worker, (char *)"kill -USR1 $$", &record);
    assert_int_equal(record.end, PW_END_SIGNALED);
    assert_int_equal(record.signal, SIGUSR1);
    assert_int_equal(record.return_code, 128 + SIGUSR1);
    free(record.stderr_tail);
    pw_worker_done(&worker);
}

static void start_failure(char *command, enum pw_err_class cls, int sys)
{
    struct pw_worker worker;
    struct pw_err err = PW_ERR_INIT;
    char *argv[] = {command, NULL};
    struct pw_worker_spec spec = spec_for(argv);
    run(&worker, &spec);
    assert_true(worker.failed_start);
    assert_int_equal(pw_worker_start_error(&worker, command, &err), -1);
    assert_int_equal(err.cls, cls);
    assert_int_equal(err.sys, sys);
    assert_non_null(strstr(err.message, command));
    assert_non_null(strstr(err.message, "exec"));
    pw_worker_done(&worker);
}

static void exec_failures_are_told_apart(void **state)
{
    (void)state;
    start_failure((char *)"/nonexistent/program", PW_ERR_EXEC_MISSING, ENOENT);
    start_failure((char *)"no-such-program-in-path", PW_ERR_EXEC_MISSING, ENOENT);
    start_failure((char *)"/etc/passwd", PW_ERR_EXEC_DENIED, EACCES);
    start_failure((char *)"/etc", PW_ERR_EXEC_DENIED, EACCES);
    struct pw_worker worker; /* 127 from the target itself is not a failed start */
    struct pw_worker_record record;
    shell(&worker, (char *)"exit 127", &record);
    assert_false(worker.failed_start);
    assert_int_equal(record.return_code, 127);
    free(record.stderr_tail);
    pw_worker_done(&worker);
}

static void deadline_ends_what_ignores_term(void **state)
{
    (void)state;
    struct pw_worker worker;
    struct pw_worker_record record;
    char *argv[] = {(char *)"sh", (char *)"-c",
                    (char *)"trap '' TERM; (setsid sleep 100 &); while :; do sleep 100; done",
                    NULL};
    struct pw_worker_spec spec = spec_for(argv);
    spec.go.timeout_ns = 100 * PW_NS_PER_MS;
    spec.go.grace_ns = 100 * PW_NS_PER_MS;
    run(&worker, &spec);
    record_of(&worker, &record);
    assert_int_equal(record.end, PW_END_TIMEOUT);
    assert_int_equal(record.return_code, 124);
    assert_int_equal(record.signal, SIGKILL);
    assert_true(record.duration_ms >= 199.9);
    assert_false(worker.survivors);
    free(record.stderr_tail);
    pw_worker_done(&worker);
}

static void stopped_target_is_ended(void **state)
{
    (void)state;
    struct pw_worker worker;
    struct pw_worker_record record;
    char *argv[] = {(char *)"sh", (char *)"-c", (char *)"kill -STOP $$", NULL};
    struct pw_worker_spec spec = spec_for(argv);
    spec.go.timeout_ns = 50 * PW_NS_PER_MS;
    run(&worker, &spec);
    record_of(&worker, &record);
    assert_int_equal(record.end, PW_END_TIMEOUT);
    assert_int_equal(record.signal, SIGTERM); /* was continued, so TERM was enough */
    free(record.stderr_tail);
    pw_worker_done(&worker);
}

static void orphans_are_reported_and_ended(void **state)
{
    (void)state;
    struct pw_worker worker;
    struct pw_worker_record record;
    shell(&worker, (char *)"sleep 100 & (setsid sleep 100 &) ; exit 0", &record);
    assert_int_equal(record.return_code, 0);
    assert_int_equal(worker.orphan_count, 2);
    assert_int_equal(worker.done.done.orphans, 2);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(kill(worker.orphans[i].pid, 0), -1);
    free(record.stderr_tail);
    pw_worker_done(&worker);
}

static void kept_orphans_live_on(void **state)
{
    (void)state;
    struct pw_worker worker;
    char *argv[] = {(char *)"sh", (char *)"-c", (char *)"sleep 100 & exit 0", NULL};
    struct pw_worker_spec spec = spec_for(argv);
    spec.go.keep_orphans = true;
    run(&worker, &spec);
    assert_int_equal(worker.orphan_count, 1);
    pid_t orphan = worker.orphans[0].pid;
    pw_worker_done(&worker);
    assert_int_equal(kill(orphan, 0), 0);
    kill(orphan, SIGKILL);
}

/* What a line of the target's own /proc/self/status says, in hexadecimal. */
static uint64_t target_status(const char *field, uint64_t blocked, bool sigpipe_ignored)
{
    struct pw_worker worker;
    char *argv[] = {(char *)"grep", (char *)field, (char *)"/proc/self/status", NULL};
    struct pw_worker_spec spec = spec_for(argv);
    spec.go.blocked_signals = blocked;
    spec.go.sigpipe_ignored = sigpipe_ignored;
    run(&worker, &spec);
    pw_tail_drain(&worker.out, SIZE_MAX);
    PW_FREE_AUTO char *text = pw_tail_text(&worker.out);
    assert_memory_equal(text, field, strlen(field));
    uint64_t bits = strtoull(text + strlen(field) + 1, NULL, 16);
    pw_worker_done(&worker);
    return bits;
}

static void target_gets_the_inherited_limits_and_signals(void **state)
{
    (void)state;
    uint64_t sigpipe = UINT64_C(1) << (SIGPIPE - 1), sigusr2 = UINT64_C(1) << (SIGUSR2 - 1);
    assert_int_equal(target_status("SigBlk", sigusr2, false), sigusr2);
    assert_int_equal(target_status("SigBlk", 0, false), 0);
    assert_int_equal(target_status("SigIgn", 0, false) & sigpipe, 0);
    assert_int_equal(target_status("SigIgn", 0, true) & sigpipe, sigpipe);

    struct pw_worker worker;
    struct pw_worker_record record;
    char *argv[] = {(char *)"sh", (char *)"-c", (char *)"ulimit -n >&2", NULL};
    struct pw_worker_spec spec = spec_for(argv);
    spec.go.nofile.rlim_cur = 123;
    run(&worker, &spec);
    record_of(&worker, &record);
    assert_string_equal(record.stderr_tail, "123");
    free(record.stderr_tail);
    pw_worker_done(&worker);
}

static void closing_the_socket_ends_the_tree(void **state)
{
    (void)state;
    struct pw_worker worker = {.id = 1};
    char *argv[] = {(char *)"sh", (char *)"-c", (char *)"echo up >&2; trap '' TERM; sleep 100",
                    NULL};
    struct pw_worker_spec spec = spec_for(argv);
    assert_int_equal(pw_worker_start(&worker, warden_fd, &spec, NULL), 0);
    wait_until(&worker, PW_WORKER_READY);
    assert_int_equal(pw_worker_go(&worker, NULL), 0);
    wait_until(&worker, PW_WORKER_RUNNING);
    pid_t target = worker.started.started.pid;
    int64_t began = pw_clock_now_ns();
    pw_worker_done(&worker); /* waits for the warden, which waits for the tree */
    assert_int_equal(kill(target, 0), -1);
    assert_true(pw_clock_now_ns() - began < 10 * PW_NS_PER_SEC);
}

static void killed_warden_is_noticed(void **state)
{
    (void)state;
    struct pw_worker worker = {.id = 1};
    struct pw_worker_record record;
    char *argv[] = {(char *)"sleep", (char *)"100", NULL};
    struct pw_worker_spec spec = spec_for(argv);
    assert_int_equal(pw_worker_start(&worker, warden_fd, &spec, NULL), 0);
    wait_until(&worker, PW_WORKER_READY);
    assert_int_equal(pw_worker_go(&worker, NULL), 0);
    wait_until(&worker, PW_WORKER_RUNNING);
    kill(worker.warden_pid, SIGKILL);
    wait_until(&worker, PW_WORKER_ENDED);
    assert_true(worker.lost);
    record_of(&worker, &record);
    assert_int_equal(record.end, PW_END_LOST);
    assert_int_not_equal(record.return_code, 0);
    free(record.stderr_tail);
    pw_worker_done(&worker);
}

/* Starts a shell whose standard input is a pipe; both ends are the caller's to close. */
static void start_reader(struct pw_worker *worker, char *script, int input[2])
{
    char *argv[] = {(char *)"sh", (char *)"-c", script, NULL};
    struct pw_worker_spec spec = spec_for(argv);
    *worker = (struct pw_worker){.id = 1};
    assert_int_equal(pipe2(input, O_CLOEXEC), 0);
    spec.stdin_fd = input[0];
    assert_int_equal(pw_worker_start(worker, warden_fd, &spec, NULL), 0);
    wait_until(worker, PW_WORKER_READY);
    assert_int_equal(pw_worker_go(worker, NULL), 0);
}

/* An order that comes when the warden has nothing left to do must not cost its reports. */
static void late_orders_lose_no_report(void **state)
{
    (void)state;
    struct pw_worker worker;
    struct pw_worker_record record;
    siginfo_t info;
    int input[2];
    start_reader(&worker, (char *)"read line; exit 7", input);
    wait_until(&worker, PW_WORKER_RUNNING);
    kill(worker.warden_pid, SIGSTOP);
    assert_int_equal(waitid(P_PID, (id_t)worker.warden_pid, &info, WSTOPPED), 0);
    close(input[1]);
    for (struct pollfd end = {.fd = worker.out.fd, .events = POLLIN}; !(end.revents & POLLHUP);)
        assert_int_equal(poll(&end, 1, EVENT_TIMEOUT_MS), 1);
    for (int i = 0; i < 8; i++) /* it takes one or two of them */
        pw_worker_order(&worker, PW_ORDER_END);
    kill(worker.warden_pid, SIGCONT);
    assert_int_equal(waitid(P_PID, (id_t)worker.warden_pid, &info, WEXITED | WNOWAIT), 0);
    wait_until(&worker, PW_WORKER_ENDED);
    assert_false(worker.lost);
    record_of(&worker, &record);
    assert_int_equal(record.return_code, 7);
    free(record.stderr_tail);
    pw_worker_done(&worker);
    close(input[0]);
}

static bool has_text(struct pw_worker *worker, const char *expected)
{
    pw_tail_drain(&worker->out, SIZE_MAX);
    PW_FREE_AUTO char *text = pw_tail_text(&worker->out);
    return text && strcmp(text, expected) == 0;
}

/* What the target left answers TERM on the target's own pipe: not before that was read. */
static void what_is_left_waits_for_the_order(void **state)
{
    (void)state;
    enum { LONG_ENOUGH_US = 200000, LOOK_US = 1000 };
    struct pw_worker worker;
    int input[2];
    char script[] =
        "(trap 'echo heard; exit' TERM; echo up; while :; do sleep 0.01; done) & read line";
    start_reader(&worker, script, input);
    while (!has_text(&worker, "up\n"))
        usleep(LOOK_US);
    close(input[1]);
    wait_until(&worker, PW_WORKER_EXITED);
    usleep(LONG_ENOUGH_US);
    assert_true(has_text(&worker, "up\n"));
    pw_worker_order(&worker, PW_ORDER_END);
    wait_until(&worker, PW_WORKER_ENDED);
    assert_true(has_text(&worker, "up\nheard\n"));
    assert_true(worker.done.done.orphans > 0);
    assert_false(worker.survivors);
    pw_worker_done(&worker);
    close(input[0]);
}

static int open_both(void **state)
{
    (void)state;
    pw_signals_prepare();
    warden_fd = pw_warden_open(NULL);
    null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    return warden_fd < 0 || null_fd < 0;
}

static int close_both(void **state)
{
    (void)state;
    return close(warden_fd) || close(null_fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exit_code_and_output),
        cmocka_unit_test(signals_are_128_plus),
        cmocka_unit_test(exec_failures_are_told_apart),
        cmocka_unit_test(deadline_ends_what_ignores_term),
        cmocka_unit_test(stopped_target_is_ended),
        cmocka_unit_test(orphans_are_reported_and_ended),
        cmocka_unit_test(kept_orphans_live_on),
        cmocka_unit_test(target_gets_the_inherited_limits_and_signals),
        cmocka_unit_test(closing_the_socket_ends_the_tree),
        cmocka_unit_test(killed_warden_is_noticed),
        cmocka_unit_test(late_orders_lose_no_report),
        cmocka_unit_test(what_is_left_waits_for_the_order),
    };
    return cmocka_run_group_tests(tests, open_both, close_both);
}
