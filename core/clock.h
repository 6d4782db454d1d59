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
double pw_ns_to_ms(int64_t ns);
double pw_ns_to_sec(int64_t ns);
int64_t pw_ms_to_ns(double ms);

enum { PW_RFC3339_MAX = 40, PW_TIMESTAMP_MAX = 20 };
/* "2026-11-21T08:30:02.123456+00:00" (UTC). */
void pw_clock_format_rfc3339(struct timespec wall, char buffer[PW_RFC3339_MAX]);
/* "20261121-083002", local time: the stamp at the end of a run folder's name. */
void pw_clock_format_stamp(time_t wall, char buffer[PW_TIMESTAMP_MAX]);

#endif
