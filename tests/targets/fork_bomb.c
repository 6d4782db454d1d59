/*
 * fork_bomb COUNT [MS]: forks COUNT children as fast as it can, without waiting in between, then
 * reaps them all. Each child ends at once, or ignores TERM and stays for MS ms.
 *
 * Truth: COUNT + 1 processes lived; with MS all of them at once.
 */
#include <signal.h>
#include <sys/wait.h>
#include "tests/targets/target.h"

int main(int argc, char **argv)
{
    if (argc < 2) {
        target_usage("COUNT [MS]");
    }
    long count = target_number(argv[1]);
    long ms = argc > 2 ? target_number(argv[2]) : 0;
    if (ms > 0) {
        signal(SIGTERM, SIG_IGN);
    }
    for (long i = 0; i < count; i++) {
        pid_t child = fork();
        if (child < 0) {
            target_die("fork");
        }
        if (child == 0) {
            target_pause_ms(ms);
            _exit(0);
        }
    }
    for (long i = 0; i < count; i++) {
        if (wait(NULL) < 0) {
            target_die("wait");
        }
    }
    return 0;
}
