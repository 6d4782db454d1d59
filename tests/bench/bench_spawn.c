/*
 * The bare loop that perfwrap is compared with: spawn a command, wait for it, note the time, again.
 *
 *   bench_spawn RUNS WARMUP COMMAND [ARGUMENT]...
 *
 * Nothing else happens between the two readings of CLOCK_MONOTONIC: posix_spawn(3), which in glibc
 * shares the address space until exec, then wait4(2). The command's standard streams are /dev/null.
 * Prints one JSON object: p50_ms, mean_ms, durations_ms[] in the order of the runs, and max_rss_kb,
 * the peak memory of the command or of a process that it waited for, whichever is largest (a
 * process shares its parent's high-water mark until exec, so a small parent is needed to know that
 * of a small child). Exit status 1 if the command cannot be started or does not return 0: a loop of
 * failures is no reference.
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_RUNS = 100000 };

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static bool read_count(const char *text, long least, long *ret_count)
{
    char *end;
    long value = strtol(text, &end, 10);
    if (end == text || *end != '\0' || value < least || value > MAX_RUNS)
        return false;
    *ret_count = value;
    return true;
}

/* Runs the command once. Returns false, having said why, if it did not start or did not return 0.
 */
static bool run_once(char *const argv[], const posix_spawn_file_actions_t *actions,
                     double *ret_duration_ms, long *ret_max_rss_kb)
{
    pid_t pid;
    int status;
    struct rusage usage;
    int64_t start_ns = now_ns();
    int error = posix_spawnp(&pid, argv[0], actions, NULL, argv, environ);
    if (error != 0) {
        fprintf(stderr, "bench_spawn: %s: %s\n", argv[0], strerror(error));
        return false;
    }
    if (wait4(pid, &status, 0, &usage) != pid) {
        perror("bench_spawn: wait4");
        return false;
    }
    int64_t end_ns = now_ns();
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fprintf(stderr, "bench_spawn: %s: wait status %#x\n", argv[0], (unsigned)status);
        return false;
    }
    *ret_duration_ms = (double)(end_ns - start_ns) / 1e6;
    *ret_max_rss_kb = usage.ru_maxrss;
    return true;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_result(double *durations_ms, size_t count, long max_rss_kb)
{
    double sum = 0;
    printf("{\"durations_ms\": [");
    for (size_t i = 0; i < count; i++) {
        sum += durations_ms[i];
        printf("%s%.6f", i == 0 ? "" : ", ", durations_ms[i]);
    }
    qsort(durations_ms, count, sizeof durations_ms[0], compare_doubles);
    double p50 = (durations_ms[(count - 1) / 2] + durations_ms[count / 2]) / 2;
    printf("], \"p50_ms\": %.6f, \"mean_ms\": %.6f, \"max_rss_kb\": %ld}\n", p50,
           sum / (double)count, max_rss_kb);
}

int main(int argc, char *argv[])
{
    long runs, warmup;
    if (argc < 4 || !read_count(argv[1], 1, &runs) || !read_count(argv[2], 0, &warmup)) {
        fprintf(stderr, "usage: bench_spawn RUNS WARMUP COMMAND [ARGUMENT]...\n");
        return 2;
    }
    posix_spawn_file_actions_t actions;
    double *durations_ms = calloc((size_t)runs, sizeof *durations_ms);
    if (durations_ms == NULL || posix_spawn_file_actions_init(&actions) != 0)
        return 1;
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);

    bool ok = true;
    double unused_ms;
    long rss_kb, max_rss_kb = 0;
    for (long i = 0; ok && i < warmup; i++)
        ok = run_once(argv + 3, &actions, &unused_ms, &rss_kb);
    for (long i = 0; ok && i < runs; i++) {
        ok = run_once(argv + 3, &actions, &durations_ms[i], &rss_kb);
        if (ok && rss_kb > max_rss_kb)
            max_rss_kb = rss_kb;
    }
    if (ok)
        print_result(durations_ms, (size_t)runs, max_rss_kb);
    posix_spawn_file_actions_destroy(&actions);
    free(durations_ms);
    return ok && fflush(stdout) == 0 ? 0 : 1;
}
