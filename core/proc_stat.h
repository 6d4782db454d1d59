/*
 * /proc/PID/stat, as a text. It may hold anything: what the kernel would not write is refused or
 * read as far as it makes sense, never beyond its end. Threads: no shared state. Source: proc(5).
 */
#ifndef PW_CORE_PROC_STAT_H
#define PW_CORE_PROC_STAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What is used of /proc/PID/stat. Times are in clock ticks, sysconf(_SC_CLK_TCK). */
struct pw_proc_stat {
    pid_t pid;             /* field 1 */
    char state;            /* field 3: R S D T t I, Z zombie, X dead */
    pid_t ppid;            /* field 4 */
    bool is_kernel_thread; /* field 9 has PF_KTHREAD: it has no memory of its own */
    bool has_waited; /* field 11 is not 0: it has waited for a child, any of which had a fault */
    uint64_t utime_ticks, stime_ticks;   /* fields 14, 15: of all threads, ended ones too */
    uint64_t cutime_ticks, cstime_ticks; /* fields 16, 17: of descendants that were waited for */
    uint64_t threads;                    /* field 20; a zombie whose threads all ended has 1 */
    uint64_t starttime_ticks;            /* field 22: since boot; with the pid, names a process */
    uint64_t rss_pages;                  /* field 24 */
};
bool pw_proc_stat_parse(const char *text, size_t length, struct pw_proc_stat *ret_stat);

/* Larger numbers stick here, so that a few can be added without overflow. */
#define PW_PROC_NUMBER_MAX (INT64_MAX / 8)
/* What the files of /proc are made of. The decimal number at *cursor, not beyond `end`; it moves on
 * behind it. A negative one, which the kernel prints only in fields that are not used, is 0. */
bool pw_proc_number_next(const char **cursor, const char *end, uint64_t *ret_number);
bool pw_proc_pid_of(uint64_t number, pid_t *ret_pid);

#endif
