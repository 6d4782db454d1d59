#include "wrapper/probe/powers_impl.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "core/clock.h"
#include "wrapper/probe/proc_file.h"

/* What is still quiet: more would show in what is measured. */
enum {
    GAP_MOST_NS = 1000000,
    WAKEUP_MEDIAN_MOST_NS = 200000,
    WAKEUP_MOST_NS = 2000000,
    CLOCK_MOST_NS = 200, /* of one reading; one that needs a system call takes longer */
};
#define STEAL_MOST_PCT 1.0
#define LOAD_MOST_PER_CPU 0.5

enum {
    GAP_LOOP_NS = 20000000,
    WAKEUPS = 31, /* odd, for the median */
    WAKEUP_GAP_NS = 500000,
    CLOCK_ROUNDS = 50,
    CLOCK_READINGS = 20,
};

void pw_power_probe_governor(const struct pw_power_machine *machine, struct pw_power *power)
{
    char line[PW_POWER_LINE_BYTES];
    const char *text = pw_power_read_line(machine->sys_fd,
                                          "devices/system/cpu/cpu0/cpufreq/scaling_governor", line);

    if (text == NULL)
        pw_power_say(power, PW_POWER_ABSENT, "not known (as in most virtual machines)");
    else
        pw_power_say(power, strcmp(text, "performance") == 0 ? PW_POWER_OK : PW_POWER_LIMITED,
                     "%.64s", text);
}

static void *be_realtime(void *ret_sys)
{
    const struct sched_param lowest = {.sched_priority = sched_get_priority_min(SCHED_FIFO)};

    /* Of this thread alone, which ends at once. */
    if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &lowest) != 0)
        *(int *)ret_sys = errno;
    return NULL;
}

void pw_power_probe_realtime(const struct pw_power_machine *machine, struct pw_power *power)
{
    pthread_t thread;
    int refusal = 0;

    (void)machine;
    int sys = pthread_create(&thread, NULL, be_realtime, &refusal);
    if (sys == 0)
        (void)pthread_join(thread, NULL);
    if (sys != 0 || refusal != 0)
        pw_power_say_refusal(power, sys != 0 ? sys : refusal);
    else
        pw_power_say(power, PW_POWER_OK, "SCHED_FIFO was given to a thread");
}

/* In the quickest of some rounds: in others somebody else may have had the CPU. */
static double clock_reading_ns(void)
{
    int64_t least_ns = INT64_MAX;

    for (int round = 0; round < CLOCK_ROUNDS; round++) {
        int64_t start_ns = pw_clock_now_ns(), now_ns = start_ns;
        for (int i = 0; i < CLOCK_READINGS; i++)
            now_ns = pw_clock_now_ns();
        least_ns = now_ns - start_ns < least_ns ? now_ns - start_ns : least_ns;
    }
    return (double)least_ns / CLOCK_READINGS;
}

/* Clocks that the vDSO reads without a system call. */
static bool is_quick_clock(const char *name)
{
    static const char *const names[] = {
        "tsc", "kvm-clock", "arch_sys_counter", "hyperv_clocksource_tsc_page", "timebase", "tod"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) == 0)
            return true;
    }
    return false;
}

void pw_power_probe_clocksource(const struct pw_power_machine *machine, struct pw_power *power)
{
    char line[PW_POWER_LINE_BYTES];
    const char *name = pw_power_read_line(
        machine->sys_fd, "devices/system/clocksource/clocksource0/current_clocksource", line);

    if (name == NULL) {
        pw_power_say(power, PW_POWER_ABSENT, "not known");
    } else if (machine->is_real) {
        double ns = clock_reading_ns();
        pw_power_say(power, ns < CLOCK_MOST_NS ? PW_POWER_OK : PW_POWER_LIMITED,
                     "%.64s, %.0f ns a reading", name, ns);
    } else {
        pw_power_say(power, is_quick_clock(name) ? PW_POWER_OK : PW_POWER_LIMITED, "%.64s", name);
    }
}

/* CPUs that are online, by their rows in /proc/stat. */
static unsigned count_cpus(const struct pw_power_machine *machine)
{
    char text[PW_POWER_TEXT_BYTES];
    unsigned count = 0;

    if (pw_proc_text_read(machine->proc_fd, "stat", text, sizeof text) <= 0)
        return 0;
    for (const char *row = strstr(text, "\ncpu"); row != NULL; row = strstr(row + 1, "\ncpu"))
        count++;
    return count;
}

void pw_power_probe_load(const struct pw_power_machine *machine, struct pw_power *power)
{
    char line[PW_POWER_LINE_BYTES];
    const char *text = pw_power_read_line(machine->proc_fd, "loadavg", line);
    unsigned cpus = count_cpus(machine);
    char *end = NULL;
    double load = text == NULL ? 0 : strtod(text, &end);

    if (text == NULL || end == text || cpus == 0)
        pw_power_say(power, PW_POWER_ABSENT, "not known");
    else
        pw_power_say(power, load <= LOAD_MOST_PER_CPU * cpus ? PW_POWER_OK : PW_POWER_LIMITED,
                     "%.2f in the last minute, on %u CPU%s", load, cpus, cpus == 1 ? "" : "s");
}

/* Of /proc/stat's first row: user nice system idle iowait irq softirq steal, in ticks since boot.
 * Guests' time is in user's already. proc(5). */
void pw_power_probe_steal(const struct pw_power_machine *machine, struct pw_power *power)
{
    enum { FIELDS = 8, STEAL = 7 };
    char line[PW_POWER_LINE_BYTES];
    const char *text = pw_power_read_line(machine->proc_fd, "stat", line);
    double total = 0, steal = 0;
    int fields = 0;

    if (text != NULL && strncmp(text, "cpu ", strlen("cpu ")) == 0) {
        text += strlen("cpu ");
        for (char *end = NULL; fields < FIELDS; fields++, text = end) {
            double ticks = (double)strtoull(text, &end, 10);
            if (end == text)
                break;
            total += ticks;
            steal = fields == STEAL ? ticks : steal;
        }
    }
    if (fields < FIELDS || total <= 0) {
        pw_power_say(power, PW_POWER_ABSENT, "not known");
        return;
    }
    double pct = steal * 100 / total;
    pw_power_say(power, pct <= STEAL_MOST_PCT ? PW_POWER_OK : PW_POWER_LIMITED,
                 "%.2f %% of the CPUs' time since boot", pct);
}

/* Reading the clock without end: whatever takes the CPU away shows as a gap. */
void pw_power_probe_noise(const struct pw_power_machine *machine, struct pw_power *power)
{
    int64_t start_ns = pw_clock_now_ns(), last_ns = start_ns, largest_ns = 0;

    (void)machine;
    while (last_ns - start_ns < GAP_LOOP_NS) {
        int64_t now_ns = pw_clock_now_ns();
        largest_ns = now_ns - last_ns > largest_ns ? now_ns - last_ns : largest_ns;
        last_ns = now_ns;
    }
    pw_power_say(power, largest_ns < GAP_MOST_NS ? PW_POWER_OK : PW_POWER_LIMITED,
                 "largest gap in 20 ms: %.1f us", (double)largest_ns / 1000);
}

static int compare_ns(const void *a, const void *b)
{
    const int64_t *left = a, *right = b;

    return (*left > *right) - (*left < *right);
}

/* Sleeping until a moment again and again: how late the wake-ups are, the 50 us that the kernel may
 * put timers together by default included. */
void pw_power_probe_wakeups(const struct pw_power_machine *machine, struct pw_power *power)
{
    int64_t late_ns[WAKEUPS];

    (void)machine;
    for (int i = 0; i < WAKEUPS; i++) {
        int64_t until_ns = pw_clock_now_ns() + WAKEUP_GAP_NS;
        const struct timespec until = {.tv_sec = until_ns / PW_NS_PER_SEC,
                                       .tv_nsec = until_ns % PW_NS_PER_SEC};
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) {}
        late_ns[i] = pw_clock_now_ns() - until_ns;
    }
    qsort(late_ns, WAKEUPS, sizeof *late_ns, compare_ns);
    int64_t median_ns = late_ns[WAKEUPS / 2], most_ns = late_ns[WAKEUPS - 1];
    bool is_quiet = median_ns < WAKEUP_MEDIAN_MOST_NS && most_ns < WAKEUP_MOST_NS;
    pw_power_say(power, is_quiet ? PW_POWER_OK : PW_POWER_LIMITED,
                 "%d wake-ups late by %.0f us (median), %.0f us (most)", WAKEUPS,
                 (double)median_ns / 1000, (double)most_ns / 1000);
}

void pw_power_probe_hugepages(const struct pw_power_machine *machine, struct pw_power *power)
{
    char line[PW_POWER_LINE_BYTES];
    const char *mode = NULL;

    if (pw_power_read_line(machine->sys_fd, "kernel/mm/transparent_hugepage/enabled", line) != NULL)
        mode = pw_power_chosen_word(line);
    if (mode == NULL)
        pw_power_say(power, PW_POWER_ABSENT, "this kernel has none");
    else
        pw_power_say(power, strcmp(mode, "always") == 0 ? PW_POWER_LIMITED : PW_POWER_OK, "%.64s",
                     mode);
}

static bool find_kib(const char *text, const char *name, unsigned long long *ret_kib)
{
    const char *value = pw_proc_line_find(text, name);

    if (value == NULL)
        return false;
    *ret_kib = strtoull(value, NULL, 10);
    return true;
}

void pw_power_probe_swap(const struct pw_power_machine *machine, struct pw_power *power)
{
    char text[PW_POWER_TEXT_BYTES];
    unsigned long long total_kib = 0, free_kib = 0;
    bool is_known = pw_proc_text_read(machine->proc_fd, "meminfo", text, sizeof text) > 0 &&
                    find_kib(text, "SwapTotal", &total_kib) &&
                    find_kib(text, "SwapFree", &free_kib);

    if (!is_known)
        pw_power_say(power, PW_POWER_ABSENT, "not known");
    else if (total_kib == 0)
        pw_power_say(power, PW_POWER_OK, "there is none");
    else
        pw_power_say(power, free_kib >= total_kib ? PW_POWER_OK : PW_POWER_LIMITED,
                     "%llu of %llu MiB in use",
                     (free_kib < total_kib ? total_kib - free_kib : 0) / 1024, total_kib / 1024);
}
