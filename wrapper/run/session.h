/*
 * A session: one call of perfwrap that measures. Makes the run folder, runs hooks, warm-up and
 * measured iterations, writes iteration-NNN.json as each ends, and fills the run record. It writes
 * no summary and prints nothing: that is for its caller, also after a failure, with whatever the
 * record then holds.
 *
 * Signals: SIGINT, SIGTERM and SIGHUP must be blocked by the caller in all threads before; the
 * session takes them from a signalfd. The first ends the workers (TERM, grace, KILL) and the
 * session; the second kills them and ends the process with status 128+N at once. Threads: sessions
 * belong to one thread, which may have several open and step them in turn, but runs one at a time;
 * their events are called on it.
 */
#ifndef PW_RUN_SESSION_H
#define PW_RUN_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/err.h"
#include "core/record.h"
#include "wrapper/run/plan.h"

/* What a session tells while it goes on; each may be NULL. Strings and records are borrowed. */
struct pw_session_events {
    void *context;
    void (*run_dir)(void *context, const char *path);
    /* `total` is 0 when not known (time budget, until-ci). Warm-up: `warmup` true, `number` from 1.
     */
    void (*iteration_started)(void *context, bool warmup, unsigned number, unsigned total);
    void (*iteration_ended)(void *context, bool warmup,
                            const struct pw_iteration_record *iteration);
    /* At least every 100 ms while workers run. */
    void (*tick)(void *context, unsigned running);
    /* A worker that did not return 0, with what is kept of its output (NULL: not kept). */
    void (*worker_failed)(void *context, bool warmup, const struct pw_iteration_record *iteration,
                          const struct pw_worker_record *worker, const char *stdout_tail,
                          const char *stderr_tail);
    /* A held worker is left running for good, from now on under its warden alone: if that is
     * killed, the worker is too, and when the worker ends, the warden ends what is left of its tree
     * and itself. The record's strings are NULL. */
    void (*kept)(void *context, const struct pw_worker_record *worker, pid_t warden);
};

/*
 * Runs the plan. `run` must be initialised; afterwards it holds all finished iterations, why it
 * stopped and what it cost, also on failure. Returns 0 if it came to a planned end or was
 * interrupted (run->interrupted_by), -1 and err else: PW_ERR_EXEC_MISSING or _DENIED if the command
 * cannot be executed, PW_ERR_SYSTEM for what the machine refused and for a failing hook.
 */
int pw_session_run(const struct pw_plan *plan, const struct pw_session_events *events,
                   struct pw_run_record *run, struct pw_err *err);

/*
 * The same in steps, for who decides what comes next: open, start, then is_enough and step as
 * often as wanted, close. Errors as for pw_session_run(); after one, only close.
 */
struct pw_session;

/* Makes the run folder (run->run_dir), the private folder, supervisor, sampler and collector. Plan,
 * events and run are borrowed until the end. On failure there is nothing to close. */
int pw_session_open(const struct pw_plan *plan, const struct pw_session_events *events,
                    struct pw_run_record *run, struct pw_session **ret_session, struct pw_err *err);
/* --setup and warm-up. */
int pw_session_start(struct pw_session *session, struct pw_err *err);
/* Whether the plan has enough; run->stop and its detail then say why. The time budget begins with
 * the first call of this or of pw_session_step(). */
int pw_session_is_enough(struct pw_session *session, bool *ret_enough, struct pw_err *err);
/* One measured iteration with its hooks, beyond the plan's number too. *ret_kept: it is written and
 * appended to the run (also if --conclude failed after it); else a signal came. */
int pw_session_step(struct pw_session *session, bool *ret_kept, struct pw_err *err);
/* The signal that interrupted, also between two steps; 0 if none. */
int pw_session_interrupted_by(struct pw_session *session);
/* Interrupts `session` as `other` was. A signal comes to one of the open sessions only. */
void pw_session_follow(struct pw_session *session, const struct pw_session *other);
/* Another reason why it stopped, instead of the plan's. A signal or failure still goes before it.
 */
__attribute__((format(printf, 3, 4))) void pw_session_stop(struct pw_session *session,
                                                           enum pw_stop why, const char *format,
                                                           ...);
/* --cleanup, what observing cost, and the end of all that was opened; run->interrupted_by is set.
 * -1 and err if --cleanup fails and nothing failed before. NULL is fine. */
int pw_session_close(struct pw_session *session, struct pw_err *err);

/* True if `code` counts as success under --ignore-failure. */
bool pw_plan_ignores(const struct pw_plan *plan, int return_code);

#endif
