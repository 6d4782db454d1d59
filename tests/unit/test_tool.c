/* wrapper/boot/base/tool: programs of others, found and run. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "core/clock.h"
#include "core/limits.h"
#include "core/str.h"
#include "wrapper/boot/base/tool.h"

static int sh(const char *script, struct pw_str *output, unsigned timeout_sec, struct pw_err *err)
{
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};
    const struct pw_tool_call call = {.argv = argv, .timeout_sec = timeout_sec, .output = output};
    return pw_tool_run(&call, err);
}

static void is_found(void **state)
{
    struct pw_err err = PW_ERR_INIT;
    char *path = NULL;
    char *tool = in_folder(state, "own-tool");
    assert_int_equal(pw_file_write(tool, "#!/bin/sh\n", 10, 0755, &err), 0);
    assert_int_equal(setenv("PATH", *state, 1), 0);
    assert_int_equal(pw_tool_find("own-tool", NULL, NULL, &path, &err), 0);
    assert_string_equal(path, tool);
    free(path);
    assert_int_equal(pw_tool_find("other", tool, NULL, &path, &err), 0);
    assert_string_equal(path, tool);
    free(path);
    assert_int_equal(pw_tool_find("other", "own-tool", NULL, &path, &err), 0);
    assert_string_equal(path, tool);
    free(path);

    /* Not in PATH, but where a user's PATH often does not look. */
    assert_int_equal(pw_tool_find("ldconfig", NULL, NULL, &path, &err), 0);
    assert_contains(path, "/sbin/ldconfig");
    free(path);
    free(tool);
}

static void from_here_is_absolute(void **state)
{
    struct pw_err err = PW_ERR_INIT;
    char *tool = in_folder(state, "own-tool");
    char *before = getcwd(NULL, 0);
    char *path = NULL;
    assert_int_equal(pw_file_write(tool, "#!/bin/sh\n", 10, 0755, &err), 0);
    assert_int_equal(chdir(*state), 0);
    assert_int_equal(pw_tool_find("other", "./own-tool", NULL, &path, &err), 0);
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(access(path, X_OK), 0);
    assert_int_equal(chdir(before), 0);
    free(path);
    free(before);
    free(tool);
}

static void not_found(void **state)
{
    struct pw_err err = PW_ERR_INIT;
    char *plain = in_folder(state, "plain");
    char *path = NULL;
    assert_int_equal(pw_file_write(plain, "x", 1, 0644, &err), 0);
    assert_int_equal(setenv("PATH", *state, 1), 0);
    assert_int_equal(pw_tool_find("no-such-tool", NULL, "some-package", &path, &err), -1);
    assert_int_equal(err.cls, PW_ERR_INPUT);
    assert_int_equal(err.sys, ENOENT);
    assert_contains(err.remedy, "apt-get install some-package");
    assert_int_equal(pw_tool_find("plain", NULL, NULL, &path, &err), -1);
    assert_int_equal(err.sys, EACCES);
    assert_int_equal(pw_tool_find("sh", plain, NULL, &path, &err), -1);
    assert_int_equal(err.sys, EACCES);
    assert_int_equal(pw_tool_find("sh", *state, NULL, &path, &err), -1);
    assert_int_equal(err.sys, EACCES); /* a folder */
    assert_int_equal(pw_tool_find("sh", "/no/such/file", NULL, &path, &err), -1);
    assert_int_equal(err.sys, ENOENT);
    assert_null(path);
    free(plain);
}

static void output_comes_whole(void **state)
{
    (void)state;
    struct pw_err err = PW_ERR_INIT;
    PW_STR_AUTO output = PW_STR_INIT;
    /* More than both pipes hold, in turns: reading one after the other would wait forever. */
    const char *script =
        "i=0; while [ $i -lt 300 ]; do printf '%01000d' 7; printf '%01000d' 8 >&2; "
        "i=$((i+1)); done";
    assert_int_equal(sh(script, &output, 60, &err), 0);
    assert_int_equal(output.length, 300000);
}

static void is_called_as_wanted(void **state)
{
    struct pw_err err = PW_ERR_INIT;
    PW_STR_AUTO output = PW_STR_INIT;
    assert_int_equal(setenv("LC_ALL", "xx_YY", 1), 0);
    const char *const argv[] = {
        "/bin/sh", "-c",
        "echo $LC_ALL; pwd -P; read x || echo no input; ps -o pgid= -p $$ | tr -d ' '; "
        "echo $$; ls /proc/self/fd | wc -l",
        NULL};
    const struct pw_tool_call call = {
        .argv = argv, .folder = *state, .timeout_sec = 30, .output = &output};
    int inherited = fcntl(1, F_DUPFD, 100); /* without close-on-exec */
    assert_int_equal(pw_tool_run(&call, &err), 0);
    close(inherited);
    char expected[512];
    (void)snprintf(expected, sizeof(expected), "C\n%s\nno input\n", (char *)*state);
    assert_memory_equal(output.text, expected, strlen(expected));
    char *at = output.text + strlen(expected);
    const long group = strtol(at, &at, 10), pid = strtol(at, &at, 10);
    assert_true(pid > 1 && group > 1);
    assert_int_not_equal(group, getpgrp());
    assert_int_equal(strtol(at, &at, 10), 4); /* 0, 1, 2, and that of ls for the folder */
    assert_int_equal(unsetenv("LC_ALL"), 0);
}

static void signals_are_as_new(void **state)
{
    (void)state;
    struct pw_err err = PW_ERR_INIT;
    PW_STR_AUTO output = PW_STR_INIT;
    sigset_t blocked, before;
    sigfillset(&blocked);
    assert_int_equal(sigprocmask(SIG_SETMASK, &blocked, &before), 0);
    int status = sh("grep -E '^Sig(Blk|Ign):' /proc/self/status", &output, 30, &err);
    assert_int_equal(sigprocmask(SIG_SETMASK, &before, NULL), 0);
    assert_int_equal(status, 0);
    assert_contains(output.text, "SigBlk:\t0000000000000000");
}

static void failure_shows_the_last_lines(void **state)
{
    (void)state;
    struct pw_err err = PW_ERR_INIT;
    const char *script = "for i in 1 2 3 4 5 6 7; do echo line-$i >&2; done; "
                         "printf 'bell\\007 \\303\\244\\n\\n' >&2; exit 3";
    assert_int_equal(sh(script, NULL, 30, &err), -1);
    assert_int_equal(err.cls, PW_ERR_SYSTEM);
    assert_string_equal(err.message, "`sh` failed with status 3: line-4 | line-5 | line-6 | line-7 "
                                     "| bell\\x07 \\xc3\\xa4");
    assert_int_equal(sh("kill -9 $$", NULL, 30, &err), -1);
    assert_contains(err.message, "signal 9");
    /* One long line: its end is what says why. */
    assert_int_equal(sh("printf '%05000d the reason' 0 >&2; exit 1", NULL, 30, &err), -1);
    assert_contains(err.message, ": ...000");
    assert_contains(err.message, "the reason");
    assert_int_equal(sh("exit 9", NULL, 30, &err), -1);
    assert_string_equal(err.message, "`sh` failed with status 9");
}

static void cannot_be_run(void **state)
{
    struct pw_err err = PW_ERR_INIT;
    const char *const argv[] = {"/no/such/program", NULL};
    struct pw_tool_call call = {.argv = argv, .timeout_sec = 30};
    assert_int_equal(pw_tool_run(&call, &err), -1);
    assert_int_equal(err.cls, PW_ERR_SYSTEM);
    assert_int_equal(err.sys, ENOENT);
    assert_contains(err.message, "/no/such/program");

    char *text = in_folder(state, "text");
    assert_int_equal(pw_file_write(text, "text", 4, 0755, &err), 0);
    const char *const not_a_program[] = {text, NULL};
    call.argv = not_a_program;
    assert_int_equal(pw_tool_run(&call, &err), -1);
    assert_int_equal(err.sys, ENOEXEC);
    call.argv = (const char *const[]){"/bin/true", NULL};
    call.folder = "/no/such/folder";
    assert_int_equal(pw_tool_run(&call, &err), -1);
    assert_int_equal(err.sys, ENOENT);
    free(text);
}

static bool is_gone(pid_t pid)
{
    /* Killed, but perhaps not reaped by init yet. */
    char path[64];
    char *text = NULL;
    (void)snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
    bool gone = pw_file_read(path, 4096, &text, NULL, NULL) != 0 || strstr(text, ") Z ") ||
                strstr(text, ") X ");
    free(text);
    return gone;
}

static void too_late_is_killed_with_its_group(void **state)
{
    (void)state;
    struct pw_err err = PW_ERR_INIT;
    PW_STR_AUTO output = PW_STR_INIT;
    const int64_t began_ns = pw_clock_now_ns();
    assert_int_equal(sh("echo $$; sleep 300 & echo $!; wait", &output, 1, &err), -1);
    assert_int_equal(err.sys, ETIMEDOUT);
    assert_in_range(pw_clock_now_ns() - began_ns, PW_NS_PER_SEC, 30 * PW_NS_PER_SEC);
    char *at = output.text;
    pid_t tool = (pid_t)strtol(at, &at, 10);
    pid_t sleeper = (pid_t)strtol(at, &at, 10);
    /* The tool itself is gone, and reaped. */
    assert_true(tool > 1);
    assert_int_equal(kill(tool, 0), -1);
    assert_int_equal(errno, ESRCH);
    assert_true(sleeper > 1);
    while (!is_gone(sleeper)) { /* the test's own limit of time is the bound */
        sched_yield();
    }
}

static void children_left_do_not_delay(void **state)
{
    (void)state;
    struct pw_err err = PW_ERR_INIT;
    PW_STR_AUTO output = PW_STR_INIT;
    const int64_t began_ns = pw_clock_now_ns();
    assert_int_equal(sh("sleep 300 & echo said", &output, 60, &err), 0);
    assert_string_equal(output.text, "said\n");
    assert_true(pw_clock_now_ns() - began_ns < 30 * PW_NS_PER_SEC);
}

static void too_much_output(void **state)
{
    (void)state;
    struct pw_err err = PW_ERR_INIT;
    PW_STR_AUTO output = PW_STR_INIT;
    assert_int_equal(sh("exec cat /dev/zero", &output, 60, &err), -1);
    assert_contains(err.message, "more than 16 MiB");
    assert_true(output.length <= PW_LIMIT_TOOL_OUTPUT_BYTES);
    assert_int_equal(sh("head -c 20000000 /dev/zero", NULL, 60, &err), 0); /* discarded */
}

/* Several at once fill a pipe faster than one reads: that may not keep the time from being looked
 * at. */
static void endless_output_is_too_late_too(void **state)
{
    (void)state;
    struct pw_err err = PW_ERR_INIT;
    const int64_t began_ns = pw_clock_now_ns();
    const char *script = "for i in 1 2 3 4; do cat /dev/zero & cat /dev/zero >&2 & done; wait";
    assert_int_equal(sh(script, NULL, 1, &err), -1);
    assert_int_equal(err.sys, ETIMEDOUT);
    assert_true(pw_clock_now_ns() - began_ns < 30 * PW_NS_PER_SEC);
}

static void interrupt_ends_it(void **state)
{
    (void)state;
    struct pw_err err = PW_ERR_INIT;
    sigset_t blocked, before;
    int sig = 0;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    assert_int_equal(sigprocmask(SIG_BLOCK, &blocked, &before), 0);
    char script[64];
    (void)snprintf(script, sizeof(script), "kill -TERM %ld; exec sleep 300", (long)getpid());
    assert_int_equal(sh(script, NULL, 60, &err), -1);
    assert_int_equal(err.sys, EINTR);
    assert_int_equal(sigwait(&blocked, &sig), 0); /* it is left for who handles it */
    assert_int_equal(sig, SIGTERM);
    assert_int_equal(sigprocmask(SIG_SETMASK, &before, NULL), 0);
}

/* perfwrap, played by a child, is killed while a tool runs that has a child itself. */
static void dies_with_perfwrap(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t perfwrap = fork();
    if (perfwrap == 0) {
        char script[128];
        (void)snprintf(script, sizeof(script),
                       "sleep 300 & echo $$ $! >/proc/%ld/fd/%d; exec sleep 300", (long)getpid(),
                       ends[1]);
        _exit(sh(script, NULL, 120, NULL) != 0);
    }
    close(ends[1]);
    char text[64] = "";
    assert_true(read(ends[0], text, sizeof(text) - 1) > 0);
    assert_int_equal(kill(perfwrap, SIGKILL), 0);
    assert_int_equal(waitpid(perfwrap, NULL, 0), perfwrap);
    char *at = text;
    for (int i = 0; i < 2; i++) {
        const pid_t pid = (pid_t)strtol(at, &at, 10);
        assert_true(pid > 1);
        while (!is_gone(pid)) {
            sched_yield();
        }
    }
    close(ends[0]);
}

int main(void)
{
    const char *set = getenv("PATH");
    char *path = strdup(set ? set : "/usr/bin:/bin");
    const struct CMUnitTest finding[] = {
        cmocka_unit_test_setup_teardown(is_found, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(from_here_is_absolute, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(not_found, make_folder, drop_folder),
    };
    const struct CMUnitTest running[] = {
        cmocka_unit_test(output_comes_whole),
        cmocka_unit_test_setup_teardown(is_called_as_wanted, make_folder, drop_folder),
        cmocka_unit_test(signals_are_as_new),
        cmocka_unit_test(failure_shows_the_last_lines),
        cmocka_unit_test_setup_teardown(cannot_be_run, make_folder, drop_folder),
        cmocka_unit_test(too_late_is_killed_with_its_group),
        cmocka_unit_test(children_left_do_not_delay),
        cmocka_unit_test(too_much_output),
        cmocka_unit_test(endless_output_is_too_late_too),
        cmocka_unit_test(interrupt_ends_it),
        cmocka_unit_test(dies_with_perfwrap),
    };
    int failed = cmocka_run_group_tests(finding, NULL, NULL);
    setenv("PATH", path, 1);
    free(path);
    return failed + cmocka_run_group_tests(running, NULL, NULL);
}
