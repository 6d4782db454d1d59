/*
 * fork_many COUNT [orphan|shared]: forks COUNT children one after the other, each of which ends at
 * once and is waited for. With `orphan` each child forks one more that ends at once, and does not
 * wait for it. With `shared` they share the parent's memory until their end, as with
 * vfork(2), which is faster by far.
 *
 * Truth: COUNT + 1 processes (2 * COUNT + 1 with `orphan`), at most two (three) of them alive at
 * one moment but for orphans that have not ended yet; none executes a program.
 */
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include "tests/targets/target.h"

static int end_at_once(void *unused)
{
    (void)unused;
    return 0;
}

static pid_t fork_shared(void)
{
    static _Alignas(16) char stack[16384];
    return clone(end_at_once, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        target_usage("COUNT [orphan|shared]");
    }
    long count = target_number(argv[1]);
    bool shares = argc > 2 && strcmp(argv[2], "shared") == 0;
    for (long i = 0; i < count; i++) {
        pid_t child = shares ? fork_shared() : fork();
        if (child < 0) {
            target_die("fork");
        }
        if (child == 0) {
            _exit(argc > 2 && !shares && fork() < 0 ? TARGET_FAILED : 0);
        }
        int status = 0;
        if (waitpid(child, &status, 0) != child || status != 0) {
            target_die("waitpid");
        }
    }
    return 0;
}
