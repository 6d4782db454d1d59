/*
 * What the targets share. A target is a small program whose true use of resources is known before
 * it runs, so that a test can hold perfwrap's number against the truth. Every target prints nothing
 * unless it is asked to, returns 0, and returns 99 with one line on standard error when it could
 * not do what it was asked for: then no truth is claimed. The truth stands in the comment at the
 * head of each file.
 *
 * Targets are built without sanitizers in every preset, since those change what is measured.
 */
#ifndef PW_TESTS_TARGET_H
#define PW_TESTS_TARGET_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { TARGET_FAILED = 99 };

__attribute__((noreturn)) static inline void target_die(const char *what)
{
    fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(errno));
    _exit(TARGET_FAILED);
}

__attribute__((noreturn)) static inline void target_usage(const char *usage)
{
    fprintf(stderr, "usage: %s %s\n", program_invocation_short_name, usage);
    _exit(TARGET_FAILED);
}

static inline long target_number(const char *text)
{
    char *end = NULL;
    errno = 0;
    long number = strtol(text, &end, 10);
    if (errno || end == text || *end || number < 0) {
        errno = EINVAL;
        target_die(text);
    }
    return number;
}

/* Sleeps for the whole time, also when signals arrive. */
static inline void target_pause_ms(long ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) {}
}

/* Takes `mib` MiB of private memory and writes to every page of it. Never given back. */
static inline void target_touch_mib(long mib)
{
    size_t size = (size_t)mib << 20;
    volatile char *memory = malloc(size + 1);
    if (!memory) {
        target_die("malloc");
    }
    for (size_t at = 0; at < size; at += 4096) {
        memory[at] = 1;
    }
}

#endif
