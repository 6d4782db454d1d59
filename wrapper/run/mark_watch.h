/*
 * Which marks of one worker have come, and when: reads the lines of its output and of descriptor 3,
 * and takes what others have seen of it.
 *
 * A line counts from when its end was read; a line that is longer than PW_LIMIT_MARK_LINE_BYTES
 * when so much of it was read, and the rest of it is ignored. Of each mark the first time counts.
 * When all marks of a stream have come, its bytes are no longer looked at. Patterns that are so
 * slow on a worker's lines that they would hold up perfwrap are given up for that worker
 * (PW_LIMIT_MARK_MATCH_MS): then `gave_up`. Names are not: what a guest tells is heard on.
 *
 * Times are CLOCK_MONOTONIC and are kept so: the spawn may be reported later than the first line.
 * Threads: pw_mark_watch_see() from any; all else from the supervisor's.
 */
#ifndef PW_RUN_MARK_WATCH_H
#define PW_RUN_MARK_WATCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/err.h"
#include "core/moments.h"
#include "wrapper/run/marks.h"

/* The first sources are streams of bytes. */
#define PW_MARK_STREAMS (PW_MARK_FD3 + 1)

struct pw_mark_board; /* mark_board.h */

struct pw_mark_watch {
    const struct pw_marks *marks; /* borrowed */
    struct pw_mark_board *board;  /* NULL: nobody is to be woken */
    size_t slot;                  /* on the board */
    struct pw_mark_stream {
        char *line;      /* what came of the present line; NULL: no mark hears this stream */
        size_t length;   /* of it */
        bool skips;      /* its rest is ignored */
        bool gave_up;    /* patterns are not looked for */
        unsigned wanted; /* marks that have not come */
        uint64_t lines;
        int64_t spent_ns; /* matching them */
    } streams[PW_MARK_STREAMS];
    _Atomic int64_t at_ns[PW_LIMIT_MOMENTS]; /* 0: has not come */
    char *places[PW_LIMIT_MOMENTS]; /* of those that are asked, as this worker has them; owned */
    uint64_t unknown; /* lines of descriptor 3 that name no mark; a guest may say more than marks */
    bool closed, gave_up;
    bool hopeless; /* the text of marks->hopeless came */
};

int pw_mark_watch_init(struct pw_mark_watch *watch, const struct pw_marks *marks,
                       struct pw_err *err);
void pw_mark_watch_done(struct pw_mark_watch *watch); /* zeroed memory is fine */
/* For another worker. */
void pw_mark_watch_reset(struct pw_mark_watch *watch);

/* These bytes came on a stream and were read just before `at_ns`. None: it has ended. */
void pw_mark_watch_hear(struct pw_mark_watch *watch, enum pw_mark_source stream, const char *bytes,
                        size_t count, int64_t at_ns);
/* Mark number `mark` came. */
void pw_mark_watch_see(struct pw_mark_watch *watch, size_t mark, int64_t at_ns);
/* The worker has ended, and what it wrote was read: begun lines are complete, later ones are not
 * its own. */
void pw_mark_watch_close(struct pw_mark_watch *watch, int64_t at_ns);

/* Whether the mark of --until has come. */
bool pw_mark_watch_is_until(const struct pw_mark_watch *watch);
/* The moments of a worker that lived from `spawned_at_ns` to `ended_at_ns`. What is seen by reading
 * (streams, files) may have come before the end and been seen just after it, and counts as at the
 * end; other marks that came later did not come. */
void pw_mark_watch_moments(const struct pw_mark_watch *watch, int64_t spawned_at_ns,
                           int64_t ended_at_ns, struct pw_moments *ret_moments);

#endif
