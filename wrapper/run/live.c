#include "wrapper/run/live.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "core/clock.h"
#include "core/file.h"
#include "wrapper/probe/proc_file.h"

/* The process's own clock counts in nanoseconds, /proc/PID/stat in ticks of some 10 ms, but tells
 * user and system time apart. So the clock says how much it is, and the file which share of it is
 * whose. */
static void read_cpu(pid_t pid, int fd, struct pw_live *live)
{
    struct pw_proc_stat stat;
    clockid_t clock;
    struct timespec used;
    long ticks_per_sec = sysconf(_SC_CLK_TCK);
    if (ticks_per_sec <= 0 || pw_proc_stat_read(fd, &stat) != PW_PROC_OK)
        return;
    const int64_t tick_ns = PW_NS_PER_SEC / ticks_per_sec;
    double user = (double)stat.utime_ticks, system_time = (double)stat.stime_ticks;
    double own_ns = (user + system_time) * (double)tick_ns;
    if (clock_getcpuclockid(pid, &clock) == 0 && clock_gettime(clock, &used) == 0)
        own_ns = (double)used.tv_sec * 1e9 + (double)used.tv_nsec;
    double share = user + system_time > 0 ? user / (user + system_time) : 1;
    live->user_ns = (int64_t)(own_ns * share) + (int64_t)stat.cutime_ticks * tick_ns;
    live->system_ns = (int64_t)(own_ns * (1 - share)) + (int64_t)stat.cstime_ticks * tick_ns;
    live->has_cpu = true;
}

void pw_live_read(pid_t pid, struct pw_live *live)
{
    char path[32], text[4096];
    live->has_cpu = false;
    live->user_ns = live->system_ns = 0;
    live->peak_rss_kib = pw_value_absent(PW_ABSENT_NOT_MEASURED);
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    PW_FD_AUTO fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0)
        read_cpu(pid, fd, live);
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    if (pw_proc_text_read(AT_FDCWD, path, text, sizeof text) <= 0)
        return;
    const char *peak = pw_proc_line_find(text, "VmHWM");
    if (peak)
        live->peak_rss_kib = pw_value_of(strtod(peak, NULL));
}
