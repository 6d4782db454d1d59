/*
 * A library to preload (LD_PRELOAD=…/clock_jump.so): the wall clock jumps by an hour, forth and
 * back in turns, at each call that reads it. The monotonic clocks are right. For a test that
 * durations do not come from the wall clock.
 */
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* Calls so far; a race between threads only makes a jump come twice. */
static _Atomic unsigned calls;

static time_t jump(void)
{
    return calls++ % 2 ? -3600 : 3600;
}

int clock_gettime(clockid_t clock, struct timespec *ret_time)
{
    long result = syscall(SYS_clock_gettime, clock, ret_time);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        ret_time->tv_sec += jump();
    }
    return (int)result;
}

int gettimeofday(struct timeval *restrict ret_time, void *restrict zone)
{
    (void)zone;
    struct timespec now;
    int result = clock_gettime(CLOCK_REALTIME, &now);
    ret_time->tv_sec = now.tv_sec;
    ret_time->tv_usec = now.tv_nsec / 1000;
    return result;
}

time_t time(time_t *ret_time)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (ret_time) {
        *ret_time = now.tv_sec;
    }
    return now.tv_sec;
}
