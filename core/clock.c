#include "core/clock.h"

#include <stdio.h>

enum { SETTLED_PART = 16 }; /* of a tick */

static int64_t read_clock_ns(clockid_t clock)
{
    struct timespec now = {0};
    clock_gettime(clock, &now);
    return now.tv_sec * PW_NS_PER_SEC + now.tv_nsec;
}

int64_t pw_clock_now_ns(void)
{
    return read_clock_ns(CLOCK_MONOTONIC);
}

int64_t pw_clock_thread_cpu_ns(void)
{
    return read_clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

int64_t pw_clock_tick_ns(void)
{
    struct timespec tick = {.tv_nsec = 1};
    clock_getres(CLOCK_MONOTONIC_COARSE, &tick);
    return tick.tv_sec * PW_NS_PER_SEC + tick.tv_nsec;
}

int64_t pw_clock_tick_before_ns(int64_t at_ns, int64_t tick_ns)
{
    at_ns -= tick_ns / SETTLED_PART;
    return at_ns - at_ns % tick_ns;
}

int64_t pw_clock_behind_tick_ns(int64_t at_ns, int64_t tick_ns)
{
    int64_t behind_ns = 2 * (tick_ns / SETTLED_PART);
    at_ns -= behind_ns;
    return at_ns - at_ns % tick_ns + behind_ns;
}

double pw_ns_to_ms(int64_t ns)
{
    return (double)ns / (double)PW_NS_PER_MS;
}

double pw_ns_to_sec(int64_t ns)
{
    return (double)ns / (double)PW_NS_PER_SEC;
}

int64_t pw_ms_to_ns(double ms)
{
    return (int64_t)(ms * (double)PW_NS_PER_MS);
}

void pw_clock_format_rfc3339(struct timespec wall, char buffer[PW_RFC3339_MAX])
{
    struct tm parts = {0};
    gmtime_r(&wall.tv_sec, &parts);
    size_t used = strftime(buffer, PW_RFC3339_MAX, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(buffer + used, PW_RFC3339_MAX - used, ".%06ld+00:00", wall.tv_nsec / 1000);
}

void pw_clock_format_stamp(time_t wall, char buffer[PW_TIMESTAMP_MAX])
{
    struct tm parts = {0};
    localtime_r(&wall, &parts);
    if (strftime(buffer, PW_TIMESTAMP_MAX, "%Y%m%d-%H%M%S", &parts) == 0) {
        buffer[0] = '\0';
    }
}
