/*
 * Workers that go on running after they were measured (plan.h: hold), oldest first, each with its
 * private folder.
 *
 * Life: pw_held_new() once a session; after each iteration pw_held_take() for each of its workers
 * that is PW_WORKER_HELD, then pw_held_end() for those that are too many; at the session's end
 * pw_held_release() if they are to be kept, pw_held_end() for all, pw_held_free(). Threads: one.
 */
#ifndef PW_RUN_HELD_H
#define PW_RUN_HELD_H

#include <stddef.h>
#include "core/err.h"
#include "core/record.h"
#include "wrapper/run/session.h"
#include "wrapper/run/supervisor.h"
#include "wrapper/run/worker.h"

struct pw_held;

/* For `most` workers that stay, and those of an iteration in passing. */
int pw_held_new(unsigned most, struct pw_held **ret_held, struct pw_err *err);
/* None may be left. NULL is fine. */
void pw_held_free(struct pw_held *held);
/* Another number with each call: for the name of a worker's folder. */
unsigned pw_held_number(struct pw_held *held);
/* Takes the worker and its folder *dir, and leaves `worker` as after pw_worker_done() and *dir
 * NULL. On failure, which is only memory, they are as before. */
int pw_held_take(struct pw_held *held, struct pw_worker *worker,
                 const struct pw_worker_record *record, char **dir, struct pw_err *err);
/* Ends the oldest ones until no more than `left` are left: TERM, grace, KILL; at once if a second
 * signal comes. Removes their folders. */
void pw_held_end(struct pw_held *held, size_t left, struct pw_supervisor *supervisor);
/* Leaves all that still run alone, for good, and removes their folders; tells `events`, which may
 * be NULL, of each. */
void pw_held_release(struct pw_held *held, const struct pw_session_events *events);

/* Ends those of `workers` that are PW_WORKER_HELD in the same way; pw_worker_done() is still to be
 * called. */
void pw_held_end_workers(struct pw_worker *workers, size_t count, struct pw_supervisor *supervisor);

#endif
