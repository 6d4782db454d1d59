/*
 * The progress line: one line on a terminal that is rewritten while a run goes on. Where there is
 * no terminal all calls do nothing. Whoever else writes to that terminal calls pw_progress_clear()
 * before. Threads: one at a time. Times are CLOCK_MONOTONIC, given by the caller, so that a test
 * needs no clock.
 */
#ifndef PW_CLI_PROGRESS_H
#define PW_CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/str.h"

struct pw_progress {
    int fd;           /* the terminal; -1: no progress is shown */
    const char *name; /* of what runs, before the line; NULL: none. Borrowed */
    bool on_screen;
    unsigned planned; /* iterations with warm-up; 0: not known */
    unsigned done;
    bool warmup;
    unsigned number, total, running;
    int64_t started_at_ns, last_end_ns, drawn_at_ns;
    double *sorted_ms; /* durations of the measured iterations, ascending */
    size_t count, capacity;
};

/* `fd` -1: none. */
void pw_progress_init(struct pw_progress *progress, int fd, unsigned planned, int64_t now_ns);
void pw_progress_done(struct pw_progress *progress); /* clears the line too */
void pw_progress_begin(struct pw_progress *progress, bool warmup, unsigned number, unsigned total,
                       int64_t now_ns);
void pw_progress_end(struct pw_progress *progress, bool warmup, double duration_ms, int64_t now_ns);
void pw_progress_tick(struct pw_progress *progress, unsigned running, int64_t now_ns);
void pw_progress_clear(struct pw_progress *progress);

/* The line as text, without control characters. */
void pw_progress_format(const struct pw_progress *progress, int64_t now_ns,
                        struct pw_str *ret_text);

#endif
