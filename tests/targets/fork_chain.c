/*
 * fork_chain MS LOCK [setsid] [root-stays]: a process that forks its successor and ends, again and
 * again for MS ms. The root ends at once, or with `root-stays` after MS ms. With `setsid` the first
 * link leads a session of its own. All of them hold the lock (flock(2)) on the file LOCK together.
 *
 * Truth: at any moment there are one or two links alive, each for well below a millisecond: whoever
 * lists processes and then signals them comes too late most of the time. The lock is free only when
 * none lives.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <sys/file.h>
#include "tests/targets/target.h"

static long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int main(int argc, char **argv)
{
    bool session = false, root_stays = false;
    if (argc < 3) {
        target_usage("MS LOCK [setsid] [root-stays]");
    }
    long ms = target_number(argv[1]);
    if (flock(open(argv[2], O_RDWR | O_CREAT, 0644), LOCK_EX) < 0) {
        target_die(argv[2]);
    }
    for (int i = 3; i < argc; i++) {
        session = session || strcmp(argv[i], "setsid") == 0;
        root_stays = root_stays || strcmp(argv[i], "root-stays") == 0;
    }
    long until_ms = now_ms() + ms;
    pid_t first = fork();
    if (first < 0) {
        target_die("fork");
    }
    if (first > 0) {
        target_pause_ms(root_stays ? ms : 0);
        return 0;
    }
    if (session) {
        setsid();
    }
    while (now_ms() < until_ms) {
        if (fork() > 0) {
            _exit(0);
        }
    }
    return 0;
}
