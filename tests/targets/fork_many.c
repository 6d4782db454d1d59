/*
 * fork_many COUNT [orphan]: forks COUNT children one after the other, each of which ends at once and
 * is waited for. With `orphan` each child forks one more that ends at once, and does not wait for
 * it.
 *
 * Truth: COUNT + 1 processes (2 * COUNT + 1 with `orphan`), at most two (three) of them alive at one
 * moment but for orphans that have not ended yet; none executes a program.
 */
#include <sys/wait.h>
#include "tests/targets/target.h"

int main(int argc, char **argv)
{
    if (argc < 2) {
        target_usage("COUNT [orphan]");
    }
    long count = target_number(argv[1]);
    for (long i = 0; i < count; i++) {
        pid_t child = fork();
        if (child < 0) {
            target_die("fork");
        }
        if (child == 0) {
            _exit(argc > 2 && fork() < 0 ? TARGET_FAILED : 0);
        }
        int status = 0;
        if (waitpid(child, &status, 0) != child || status != 0) {
            target_die("waitpid");
        }
    }
    return 0;
}
