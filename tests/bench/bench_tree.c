/*
 * What a look at a process tree costs: forks sleeping processes under a subreaper and samples them.
 * Prints for each size: processes, µs per sample (median of many), µs per process, and the same
 * with smaps_rollup. Usage: bench_tree [PROCESSES...] (10 and 1000).
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "core/clock.h"
#include "wrapper/probe/tree.h"

enum { SAMPLES = 201, MAPS_SAMPLES = 21 };

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int by_value(const void *a, const void *b)
{
    const int64_t *left = a, *right = b;

    return (*left > *right) - (*left < *right);
}

static double median_us(struct pw_tree *tree, unsigned want, int count, uint32_t processes)
{
    int64_t spent_ns[SAMPLES] = {0};

    for (int i = 0; i < count; i++) {
        struct pw_tree_sample sample = {0};
        int64_t before_ns = pw_clock_thread_cpu_ns();
        enum pw_tree_outcome outcome = pw_tree_sample(tree, want, &sample);
        spent_ns[i] = pw_clock_thread_cpu_ns() - before_ns;
        if (outcome != PW_TREE_SAMPLED || sample.processes != processes) {
            fprintf(stderr, "%u processes instead of %u\n", sample.processes, processes);
            exit(1);
        }
    }
    qsort(spent_ns, (size_t)count, sizeof *spent_ns, by_value);
    int middle = count / 2;
    return (double)spent_ns[middle] / 1000;
}

static void measure(struct pw_proc *proc, uint32_t processes)
{
    int leash[2], ready[2];
    char byte;
    struct pw_tree *tree;
    struct pw_err err = PW_ERR_INIT;

    if (pipe2(leash, O_CLOEXEC) || pipe2(ready, O_CLOEXEC))
        die("pipe");
    pid_t root = fork();
    if (root == 0) {
        close(leash[1]);
        for (uint32_t i = 1; i < processes; i++) {
            pid_t child = fork();
            if (child < 0)
                die("fork");
            if (child == 0)
                _exit(read(leash[0], &byte, 1) != 0); /* until the leash is let go */
        }
        _exit(write(ready[1], "", 1) != 1 || read(leash[0], &byte, 1) != 0);
    }
    close(leash[0]);
    if (root < 0 || read(ready[0], &byte, 1) != 1)
        die("fork");
    if (pw_tree_open(proc, getpid(), root, &tree, &err) != 0) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    double us = median_us(tree, PW_TREE_WANT_BASIC, SAMPLES, processes);
    double maps_us = median_us(tree, PW_TREE_WANT_MAPS, MAPS_SAMPLES, processes);
    printf("processes %5u: %8.1f us per sample, %5.2f per process; with maps %8.1f, %6.2f\n",
           processes, us, us / processes, maps_us, maps_us / processes);
    pw_tree_close(tree);
    close(leash[1]);
    close(ready[0]);
    close(ready[1]);
    while (wait(NULL) > 0)
        ;
}

int main(int argc, char **argv)
{
    struct pw_proc *proc;
    struct pw_err err = PW_ERR_INIT;

    prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (pw_proc_open("/proc", &proc, &err) != 0) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    printf("source: %s\n", pw_proc_tree_source(proc));
    if (argc == 1) {
        measure(proc, 10);
        measure(proc, 1000);
    }
    for (int i = 1; i < argc; i++)
        measure(proc, (uint32_t)strtoul(argv[i], NULL, 10));
    pw_proc_close(proc);
    return 0;
}
