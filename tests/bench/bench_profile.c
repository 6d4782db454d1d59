/*
 * What the CPU profile costs: a program without it and with it, in turns.
 *
 *   bench_profile HZ ROUNDS PROGRAM [ARGUMENT...]
 *
 * Each round runs the program once without and twice with a profile, in an order that changes from
 * round to round: once by events that are inherited, once of the whole machine if that is allowed.
 * Draining is in this process and part of the time, as in a session. Printed, tab separated, for
 * each way: the median of its wall times over the median without, the same of the CPU time of the
 * program's tree, milliseconds of CPU time of this process (as a share of the program's wall time),
 * samples and lost ones of all rounds.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "core/clock.h"
#include "wrapper/run/profiler.h"

enum { WAYS = 3, ROUNDS_MAX = 1000, TICK_MS = 100 };
static const char *const ways[WAYS] = {"without", "inherited", "whole machine"};

struct way {
    struct pw_profiler *profiler; /* NULL: without */
    double wall_ms[ROUNDS_MAX], cpu_ms[ROUNDS_MAX], own_ms;
    uint64_t samples, lost;
};

__attribute__((noreturn)) static void die(const char *what)
{
    perror(what);
    exit(1);
}

static double ms_of(const struct timeval *user, const struct timeval *system)
{
    return (double)(user->tv_sec + system->tv_sec) * 1e3 +
           (double)(user->tv_usec + system->tv_usec) / 1e3;
}

/* A warden: waits for a word, runs the program, ends with it. */
static pid_t start_warden(char *const *argv, int *ret_go)
{
    int go[2];
    if (pipe2(go, O_CLOEXEC) != 0) {
        die("pipe2");
    }
    pid_t warden = fork();
    if (warden < 0) {
        die("fork");
    }
    if (warden > 0) {
        close(go[0]);
        *ret_go = go[1];
        return warden;
    }
    char word = 0;
    close(go[1]);
    if (read(go[0], &word, 1) != 1) {
        _exit(1);
    }
    pid_t pid = fork();
    if (pid == 0) {
        int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
        dup2(null_fd, STDOUT_FILENO);
        execvp(argv[0], argv);
        _exit(127);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

static void run(struct way *way, int round, char *const *argv)
{
    int go = -1, status = 0;
    struct rusage before, after, use;
    struct pw_err err = PW_ERR_INIT;
    pid_t warden = start_warden(argv, &go);
    struct pollfd polls[2] = {
        {.fd = (int)syscall(SYS_pidfd_open, warden, 0), .events = POLLIN},
        {.fd = way->profiler ? pw_profiler_fd(way->profiler) : -1, .events = POLLIN}};
    if (way->profiler && pw_profiler_watch(way->profiler, 0, warden, &err) != 0) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    getrusage(RUSAGE_SELF, &before);
    int64_t began_ns = pw_clock_now_ns();
    if (write(go, "g", 1) != 1) {
        die("write");
    }
    while (!(polls[0].revents & POLLIN)) {
        if (poll(polls, 2, TICK_MS) < 0) {
            die("poll");
        }
        if (way->profiler) {
            pw_profiler_drain(way->profiler);
        }
    }
    way->wall_ms[round] = (double)(pw_clock_now_ns() - began_ns) / 1e6;
    getrusage(RUSAGE_SELF, &after);
    way->own_ms +=
        ms_of(&after.ru_utime, &after.ru_stime) - ms_of(&before.ru_utime, &before.ru_stime);
    if (wait4(warden, &status, 0, &use) != warden || status != 0) {
        fprintf(stderr, "the program failed\n");
        exit(1);
    }
    way->cpu_ms[round] = ms_of(&use.ru_utime, &use.ru_stime);
    close(polls[0].fd);
    close(go);
    if (!way->profiler) {
        return;
    }
    struct pw_cpu_profile profile;
    pw_cpu_profile_init(&profile, 0);
    if (pw_profiler_take(way->profiler, 0, &profile, &err) != 0) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    way->samples += profile.samples;
    way->lost += profile.lost;
    pw_cpu_profile_done(&profile);
}

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, compare);
    return (values[count / 2] + values[(count - 1) / 2]) / 2;
}

/* False: the whole machine is not allowed. */
static bool open_way(struct way *way, double hz, bool inherited_only)
{
    struct pw_err err = PW_ERR_INIT;
    const struct pw_profiler_options options = {
        .hz = hz, .slots = 1, .inherited_only = inherited_only};
    if (pw_profiler_open(&options, &way->profiler, &err) != 0) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    if (!inherited_only && strcmp(pw_profiler_facts(way->profiler)->mode, "whole-machine") != 0) {
        pw_profiler_free(way->profiler);
        return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    static struct way all[WAYS];
    if (argc < 4) {
        fprintf(stderr, "usage: bench_profile HZ ROUNDS PROGRAM [ARGUMENT...]\n");
        return 1;
    }
    double hz = strtod(argv[1], NULL);
    int rounds = (int)strtol(argv[2], NULL, 10), count = WAYS;
    if (rounds < 1 || rounds > ROUNDS_MAX) {
        fprintf(stderr, "1 to %d rounds\n", ROUNDS_MAX);
        return 1;
    }
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < count; i++) {
            int which = (i + round) % count;
            /* Opened only while it is used: the kernel does more for an event that is off, too. */
            if (which == 0) {
                run(&all[0], round, argv + 3);
            } else if (open_way(&all[which], hz, which == 1)) {
                run(&all[which], round, argv + 3);
                pw_profiler_free(all[which].profiler);
            } else {
                count = which;
            }
        }
    }
    printf("way\twall\tcpu\town ms\tof wall\tsamples\tlost\n");
    double wall_ms = 0, cpu_ms = 0;
    for (int i = 0; i < count; i++) {
        double all_wall_ms = 0;
        for (int k = 0; k < rounds; k++) {
            all_wall_ms += all[i].wall_ms[k];
        }
        double own_wall_ms = median(all[i].wall_ms, rounds),
               own_cpu_ms = median(all[i].cpu_ms, rounds);
        if (i == 0) {
            wall_ms = own_wall_ms;
            cpu_ms = own_cpu_ms;
        }
        printf("%s\t%.4f\t%.4f\t%.1f\t%.2f %%\t%lu\t%lu\n", ways[i], own_wall_ms / wall_ms,
               own_cpu_ms / cpu_ms, all[i].own_ms, 100 * all[i].own_ms / all_wall_ms,
               (unsigned long)all[i].samples, (unsigned long)all[i].lost);
    }
    return 0;
}
