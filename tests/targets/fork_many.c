/*
 * fork_many COUNT [orphan|vfork]: forks COUNT children one after the other, each of which ends at
 * once and is waited for. With `orphan` each child forks one more that ends at once, and does not
 * wait for it. With `vfork` they share the parent's memory, which is faster by far.
 *
 * Truth: COUNT + 1 processes (2 * COUNT + 1 with `orphan`), at most two (three) of them alive at
 * one moment but for orphans that have not ended yet; none executes a program.
 */
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include "tests/targets/target.h"

int main(int argc, char **argv)
{
    if (argc < 2) {
        target_usage("COUNT [orphan|vfork]");
    }
    long count = target_number(argv[1]);
    bool shares = argc > 2 && strcmp(argv[2], "vfork") == 0;
    for (long i = 0; i < count; i++) {
        pid_t child = shares ? vfork() : fork();
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
