/*
 * The marks of all workers of an iteration: a slot for each, used again by the next iteration.
 *
 * Life: pw_mark_board_new() once a session; for each worker pw_mark_board_prepare() before its
 * start, pw_mark_board_begin() when its spawn is reported, pw_mark_board_end() when it has ended or
 * is given up; pw_mark_board_free(). Threads: one; pw_mark_board_wake() from any.
 */
#ifndef PW_RUN_MARK_BOARD_H
#define PW_RUN_MARK_BOARD_H

#include <stddef.h>
#include <stdint.h>
#include "core/err.h"
#include "wrapper/run/ask.h"
#include "wrapper/run/environment.h"
#include "wrapper/run/mark_watch.h"

struct pw_mark_board {
    const struct pw_marks *marks; /* borrowed */
    struct pw_mark_watch *watches;
    size_t count;
    struct pw_ask *ask; /* NULL: no mark needs it */
    int wake_fd;        /* eventfd: readable when the mark of --until has come for some worker */
    uint64_t unknown, gave_up; /* of workers before: lines that named no mark; too slow patterns */
};

int pw_mark_board_new(const struct pw_marks *marks, size_t slots, struct pw_mark_board **ret_board,
                      struct pw_err *err);
void pw_mark_board_free(struct pw_mark_board *board); /* NULL is fine */

/* The slot is for a worker with these facts. PW_ERR_SYSTEM if one of its places answers already. */
int pw_mark_board_prepare(struct pw_mark_board *board, size_t slot,
                          const struct pw_worker_facts *facts, struct pw_err *err);
void pw_mark_board_begin(struct pw_mark_watch *watch, int64_t spawned_at_ns);
/* What was written until now was read: nothing of the streams or of places that are asked comes
 * after it. May be called again. */
void pw_mark_board_end(struct pw_mark_watch *watch);

/* Adds the workers of the last iteration to the sums. */
void pw_mark_board_sum(struct pw_mark_board *board);

void pw_mark_board_wake(struct pw_mark_board *board);
/* Makes wake_fd unreadable. */
void pw_mark_board_woken(struct pw_mark_board *board);

#endif
