/*
 * stop_self [READY]: makes the file READY, stops itself with SIGSTOP, and returns 7 once it is
 * continued.
 *
 * Truth: it never ends unless somebody continues or kills it.
 */
#include <fcntl.h>
#include <signal.h>
#include "tests/targets/target.h"

int main(int argc, char **argv)
{
    if (argc > 1 && close(open(argv[1], O_WRONLY | O_CREAT | O_CLOEXEC, 0644)) < 0) {
        target_die(argv[1]);
    }
    raise(SIGSTOP);
    return 7;
}
