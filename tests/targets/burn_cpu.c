/*
 * burn_cpu MS [self | child | grandchild | threads]: uses MS ms of CPU time.
 *
 *   self        in the process itself (default)
 *   child       in a child that is waited for
 *   grandchild  in a child's child; both are waited for
 *   threads     half in each of two threads, at the same time where there are two cores
 *
 * Truth: MS ms of user plus system time by CLOCK_PROCESS_CPUTIME_ID (per thread by
 * CLOCK_THREAD_CPUTIME_ID), plus starting and ending, below 5 ms. It ends by the CPU clock, so a
 * loaded machine makes it longer but not more expensive. A process uses at most one core, `threads`
 * two. It is the hardest case for who watches: it asks for its CPU time only when it may be done,
 * and makes no other system call, so what others see of its CPU time is as old as the last tick.
 */
#include <pthread.h>
#include <sys/wait.h>
#include "tests/targets/target.h"

static long long read_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void burn(clockid_t clock, long ms)
{
    long long left_ns;
    while ((left_ns = ms * 1000000LL - read_ns(clock)) > 0) {
        /* CPU time does not go faster than time. */
        long long until_ns = read_ns(CLOCK_MONOTONIC) + left_ns;
        while (read_ns(CLOCK_MONOTONIC) < until_ns) {}
    }
}

static void *burn_thread(void *ms)
{
    burn(CLOCK_THREAD_CPUTIME_ID, *(const long *)ms);
    return NULL;
}

static void burn_in_threads(long ms)
{
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        errno = pthread_create(&threads[i], NULL, burn_thread, &ms);
        if (errno) {
            target_die("pthread_create");
        }
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
}

static void burn_below(int generations, long ms)
{
    if (generations == 0) {
        burn(CLOCK_PROCESS_CPUTIME_ID, ms);
        return;
    }
    pid_t child = fork();
    if (child < 0) {
        target_die("fork");
    }
    if (child == 0) {
        burn_below(generations - 1, ms);
        _exit(0);
    }
    int status = 0;
    if (waitpid(child, &status, 0) < 0 || status != 0) {
        target_die("wait");
    }
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        target_usage("MS [self|child|grandchild|threads]");
    }
    long ms = target_number(argv[1]);
    const char *where = argc > 2 ? argv[2] : "self";
    if (strcmp(where, "self") == 0) {
        burn_below(0, ms);
    } else if (strcmp(where, "child") == 0) {
        burn_below(1, ms);
    } else if (strcmp(where, "grandchild") == 0) {
        burn_below(2, ms);
    } else if (strcmp(where, "threads") == 0) {
        burn_in_threads(ms / 2);
    } else {
        target_usage("MS [self|child|grandchild|threads]");
    }
    return 0;
}
