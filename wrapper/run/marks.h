/*
 * --mark NAME=SOURCE: which moments of a worker are to be seen, and how (core/moments.h is what
 * becomes of them).
 *
 *   stdout:/REGEX/  stderr:/REGEX/   the first line of output that matches
 *   serial:/REGEX/                   the same as stdout: the serial console of a machine is the
 *                                    standard output of its monitor
 *   fd3                              a line `PW NAME` that the worker writes to descriptor 3
 *   file:PATH                        the file is there
 *   tcp:[HOST:]PORT                  something accepts connections there; without HOST at 127.0.0.1
 *                                    or ::1
 *   unix:PATH                        something accepts connections on that socket
 *   http:URL                         GET answers 2xx; redirects are not followed
 *   otlp:span:NAME                   a span of that name came to the worker's endpoint
 *   otlp:log:/REGEX/                 a log record came whose event name or text body matches
 *
 * Besides these, a program of perfwrap's own can add marks that a guest of a machine tells
 * (pw_marks_add_guest()): a line `PW NAME` on descriptor 3 or on standard output, for a guest may
 * have nothing but its console to write to.
 *
 * REGEX: PCRE2, matched anywhere in a line, with match limits; lines are cut at
 * PW_LIMIT_MARK_LINE_BYTES. Placeholders as for --worker-env are replaced in PATH, HOST, PORT and
 * URL, so that workers at once can have places of their own.
 *
 * Life: made from the command line, constant then; the plan borrows it. Threads: any may read it.
 */
#ifndef PW_RUN_MARKS_H
#define PW_RUN_MARKS_H

#include <stdbool.h>
#include <stddef.h>
#include "core/err.h"
#include "core/limits.h"
#include "core/moments.h"

enum pw_mark_source {
    PW_MARK_STDOUT,
    PW_MARK_STDERR,
    PW_MARK_FD3,
    PW_MARK_FILE,
    PW_MARK_TCP,
    PW_MARK_UNIX,
    PW_MARK_HTTP,
    PW_MARK_OTLP_SPAN,
    PW_MARK_OTLP_LOG,
    PW_MARK_GUEST, /* not from the command line */
    PW_MARK_SOURCE_COUNT
};

struct pw_pattern; /* core/pattern.h */

struct pw_mark {
    enum pw_mark_source source;
    char *text;                 /* PATH, [HOST:]PORT, URL or span name, placeholders and all */
    struct pw_pattern *pattern; /* of STDOUT, STDERR, OTLP_LOG; else NULL */
};

/* Mark i is the moment names.names[i]. */
struct pw_marks {
    struct pw_moment_names names;
    struct pw_mark items[PW_LIMIT_MOMENTS];
    int until; /* --until: index of the moment that ends a worker; -1: none */
    /* A line of standard error with this text says that the mark of --until will never come: the
     * worker is ended at once, and has missed it. Constant; NULL: none. */
    const char *hopeless;
};
#define PW_MARKS_INIT ((struct pw_marks){.until = -1})

/* Adds one `NAME=SOURCE`. PW_ERR_USAGE with the remedy: a bad or doubled name ("end" is taken), an
 * unknown source (nearest), a faulty pattern with its place, a bad port or URL. */
int pw_marks_add(struct pw_marks *marks, const char *text, struct pw_err *err);
/* Adds a mark NAME that a guest tells. PW_ERR_USAGE as above. */
int pw_marks_add_guest(struct pw_marks *marks, const char *name, struct pw_err *err);
/* Sets `until`; PW_ERR_USAGE if no mark has that name. */
int pw_marks_set_until(struct pw_marks *marks, const char *name, struct pw_err *err);
void pw_marks_done(struct pw_marks *marks);
bool pw_marks_has(const struct pw_marks *marks, enum pw_mark_source source);
/* Whether a line on that stream (PW_MARK_STDOUT, _STDERR or _FD3) can be a mark, or that mark. */
bool pw_marks_hear(const struct pw_marks *marks, enum pw_mark_source stream);
bool pw_mark_hears(const struct pw_mark *mark, enum pw_mark_source stream);
/* "stdout", "fd3", "otlp:span" … */
const char *pw_mark_source_name(enum pw_mark_source source);

#endif
