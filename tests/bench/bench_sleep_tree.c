/*
 * A tree of processes that sleep, to see what watching them costs.
 *
 *   bench_sleep_tree PROCESSES SECONDS READY_FILE
 *
 * PROCESSES counts the root; every process has at most FAN_OUT children. When all of them sleep the
 * root creates READY_FILE, waits SECONDS and lets the tree go. Nobody wakes up before: two pipes
 * carry the news. Each process closes its writing end of `up` once its children are forked, so that
 * the root reads the end of file when the last is there; the root alone keeps the writing end of
 * `hold`, on which all others sleep, and ends them by closing it (they also end if the root is
 * killed).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { FAN_OUT = 10, MAX_PROCESSES = 100000 };

static int up[2], hold[2];

static void read_until_closed(int fd)
{
    char byte;
    while (read(fd, &byte, 1) < 0 && errno == EINTR)
        ;
}

static int wait_for_children(void)
{
    int failed = 0, status;
    while (wait(&status) > 0)
        failed |= status != 0;
    return failed;
}

/* Forks so many descendants, evenly below FAN_OUT children. Children do not return. */
static void grow(long descendants)
{
    for (long slots = FAN_OUT; descendants > 0; slots--) {
        long share = (descendants + slots - 1) / slots;
        pid_t pid = fork();
        if (pid < 0) {
            perror("bench_sleep_tree: fork");
            _exit(1);
        }
        if (pid == 0) {
            close(up[0]); /* in a grandchild already closed */
            close(hold[1]);
            grow(share - 1);
            close(up[1]);
            read_until_closed(hold[0]);
            _exit(wait_for_children());
        }
        descendants -= share;
    }
}

int main(int argc, char *argv[])
{
    long processes = argc == 4 ? strtol(argv[1], NULL, 10) : 0;
    double seconds = argc == 4 ? strtod(argv[2], NULL) : 0;
    if (processes < 1 || processes > MAX_PROCESSES || !(seconds > 0 && seconds < 3600)) {
        fprintf(stderr, "usage: bench_sleep_tree PROCESSES SECONDS READY_FILE\n");
        return 2;
    }
    if (pipe(up) != 0 || pipe(hold) != 0) {
        perror("bench_sleep_tree: pipe");
        return 1;
    }
    grow(processes - 1);
    close(up[1]);
    read_until_closed(up[0]);
    int ready = open(argv[3], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (ready < 0) {
        perror(argv[3]);
        return 1;
    }
    close(ready);
    struct timespec pause = {.tv_sec = (time_t)seconds,
                             .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&pause, NULL);
    close(hold[1]);
    return wait_for_children();
}
