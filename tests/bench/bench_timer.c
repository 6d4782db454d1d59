/*
 * A command beside a timer that interrupts each CPU and does nothing more: what sampling so often
 * costs before anything is sampled.
 *
 *   bench_timer HZ COMMAND [ARG ...]
 *
 * The timer is that of a perf event on the CPU's clock, without a buffer (perf_event_open(2)).
 * Executes COMMAND; its descriptors keep the events alive. HZ 0: no timer.
 */
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MAX_HZ = 100000 };

static int interrupt_cpu(int cpu, long hz)
{
    struct perf_event_attr attr = {
        .type = PERF_TYPE_SOFTWARE,
        .size = sizeof attr,
        .config = PERF_COUNT_SW_CPU_CLOCK,
        .sample_period = 1000000000ULL / (unsigned long)hz,
        .exclude_idle = 1,
    };
    return syscall(SYS_perf_event_open, &attr, -1, cpu, -1, 0UL) < 0 ? -1 : 0;
}

int main(int argc, char *argv[])
{
    char *end = NULL;
    long hz = argc > 2 ? strtol(argv[1], &end, 10) : -1;
    if (hz < 0 || hz > MAX_HZ || *end) {
        fprintf(stderr, "usage: bench_timer HZ COMMAND [ARG ...]\n");
        return 2;
    }
    long cpus = hz > 0 ? sysconf(_SC_NPROCESSORS_CONF) : 0;
    for (int cpu = 0; cpu < cpus; cpu++) {
        if (interrupt_cpu(cpu, hz) && errno != ENODEV) { /* ENODEV: that CPU is offline */
            perror("bench_timer: perf_event_open");
            return 1;
        }
    }
    execvp(argv[2], &argv[2]);
    perror(argv[2]);
    return 127;
}
