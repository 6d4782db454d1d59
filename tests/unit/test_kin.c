/* wrapper/run/kin: who descends from a process. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "wrapper/run/kin.h"

static pid_t pids[PW_KIN_MAX];

static bool is_listed(ssize_t count, pid_t pid)
{
    for (ssize_t i = 0; i < count; i++)
        if (pids[i] == pid)
            return true;
    return false;
}

/* A child that forks a grandchild, tells its pid, and both wait. */
static pid_t start_two(pid_t *ret_grandchild)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        pid_t grandchild = fork();
        if (grandchild > 0 && write(ends[1], &grandchild, sizeof grandchild) < 0)
            _exit(1);
        for (;;)
            pause();
    }
    assert_int_equal(read(ends[0], ret_grandchild, sizeof *ret_grandchild), sizeof *ret_grandchild);
    close(ends[0]);
    close(ends[1]);
    return child;
}

static void finds_grandchildren_and_orphans(void **state)
{
    (void)state;
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    pid_t grandchild, child = start_two(&grandchild);
    ssize_t count = pw_kin_list(getpid(), pids, PW_KIN_MAX);
    assert_int_equal(count, 2);
    assert_int_equal(pids[0], child);
    assert_int_equal(pids[1], grandchild);

    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    count = pw_kin_list(getpid(), pids, PW_KIN_MAX);
    assert_int_equal(count, 1);
    assert_true(is_listed(count, grandchild)); /* re-parented to us */

    kill(grandchild, SIGKILL);
    assert_int_equal(waitpid(grandchild, NULL, 0), grandchild);
    assert_int_equal(pw_kin_list(getpid(), pids, PW_KIN_MAX), 0);
}

static void respects_capacity(void **state)
{
    (void)state;
    pid_t grandchild, child = start_two(&grandchild);
    assert_int_equal(pw_kin_list(getpid(), pids, 1), 1);
    kill(grandchild, SIGKILL);
    kill(child, SIGKILL);
    while (waitpid(-1, NULL, 0) > 0)
        ;
}

static void describes_any_name(void **state)
{
    (void)state;
    char comm[PW_KIN_COMM_MAX], state_char;
    prctl(PR_SET_NAME, "a) R (b");
    assert_true(pw_kin_describe(getpid(), comm, &state_char));
    assert_string_equal(comm, "a) R (b");
    assert_int_equal(state_char, 'R');
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
    assert_true(pw_kin_describe(child, comm, &state_char));
    assert_int_equal(state_char, 'Z');
    waitpid(child, NULL, 0);
    assert_false(pw_kin_describe(child, comm, &state_char));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_grandchildren_and_orphans),
        cmocka_unit_test(respects_capacity),
        cmocka_unit_test(describes_any_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
