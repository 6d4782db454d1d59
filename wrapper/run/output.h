/*
 * What a worker prints: drained without bound, kept without growth.
 *
 * A struct pw_tail is the read end of a pipe and a ring of its last PW_LIMIT_OUTPUT_TAIL_BYTES
 * bytes, so a target that prints gigabytes never waits long for a reader and never makes perfwrap
 * grow. Threads: one at a time. Start with PW_TAIL_INIT.
 */
#ifndef PW_RUN_OUTPUT_H
#define PW_RUN_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/err.h"
#include "core/limits.h"
#include "wrapper/run/mark_watch.h"

struct pw_tail {
    int fd;                      /* read end, non-blocking; -1: closed, or never opened */
    uint64_t total;              /* bytes read */
    char *ring;                  /* allocated with the pipe; NULL: output is not kept */
    struct pw_mark_watch *watch; /* hears what is read, as `source`; NULL: nobody does. Borrowed */
    enum pw_mark_source source;
};
#define PW_TAIL_INIT ((struct pw_tail){.fd = -1})

/* Makes the pipe; *ret_write_fd is its other end, close-on-exec. */
int pw_tail_open(struct pw_tail *tail, int *ret_write_fd, struct pw_err *err);
/* The same for what is heard only: nothing is kept. */
int pw_tail_open_unkept(struct pw_tail *tail, int *ret_write_fd, struct pw_err *err);
void pw_tail_done(struct pw_tail *tail);
/* Reads what is there, at most `limit` bytes. False when the pipe has ended or is closed (then the
 * descriptor is closed), true if more may come. */
bool pw_tail_drain(struct pw_tail *tail, size_t limit);
/* The kept end as text, NULs made visible as '?'; free() it. NULL if nothing is kept, or out of
 * memory. */
char *pw_tail_text(const struct pw_tail *tail);
/* The last `count` lines of `text`, newline at the end dropped: points into it. */
const char *pw_text_last_lines(char *text, unsigned count);

#endif
