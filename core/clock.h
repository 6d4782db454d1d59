/*
 * Time. Inside perfwrap a time is monotonic nanoseconds (`int64_t x_at_ns`) of CLOCK_MONOTONIC,
 * which a jump of the wall clock does not touch; the wall clock serves only to name and date files.
 */
#ifndef PW_CORE_CLOCK_H
#define PW_CORE_CLOCK_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define PW_NS_PER_MS INT64_C(1000000)
#define PW_NS_PER_SEC INT64_C(1000000000)

/* CLOCK_MONOTONIC now, in ns (clock_gettime(2)). Cannot fail on Linux. */
int64_t pw_clock_now_ns(void);
/* CPU time that the calling thread has used, in ns (CLOCK_THREAD_CPUTIME_ID). */
int64_t pw_clock_thread_cpu_ns(void);
/* How far apart the kernel's ticks are, 1/HZ s: the resolution of CLOCK_MONOTONIC_COARSE
 * (clock_getres(2)). */
int64_t pw_clock_tick_ns(void);
/* The last tick before `at_ns` that all CPUs have surely dealt with by then: a sixteenth of a tick
 * is allowed for that. Ticks are at whole multiples of their distance on CLOCK_MONOTONIC (Linux
 * 6.4, and the stable releases that have "tick/common: Align tick period with the HZ tick"). */
int64_t pw_clock_tick_before_ns(int64_t at_ns, int64_t tick_ns);
/* The latest moment, not after `at_ns`, that is a little behind a tick. */
int64_t pw_clock_behind_tick_ns(int64_t at_ns, int64_t tick_ns);
double pw_ns_to_ms(int64_t ns);
double pw_ns_to_sec(int64_t ns);
int64_t pw_ms_to_ns(double ms);

enum { PW_RFC3339_MAX = 40, PW_TIMESTAMP_MAX = 20 };
/* "2026-11-21T08:30:02.123456+00:00" (UTC). */
void pw_clock_format_rfc3339(struct timespec wall, char buffer[PW_RFC3339_MAX]);
/* "20261121-083002", local time: the stamp at the end of a run folder's name. */
void pw_clock_format_stamp(time_t wall, char buffer[PW_TIMESTAMP_MAX]);

#endif
