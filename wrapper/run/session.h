/*
 * A session: one call of perfwrap that measures. Makes the run folder, runs hooks, warm-up and
 * measured iterations, writes iteration-NNN.json as each ends, and fills the run record. It writes
 * no summary and prints nothing: that is for its caller, also after a failure, with whatever the
 * record then holds.
 *
 * Signals: SIGINT, SIGTERM and SIGHUP must be blocked by the caller in all threads before; the
 * session takes them from a signalfd. The first ends the workers (TERM, grace, KILL) and the
 * session; the second kills them and ends the process with status 128+N at once. Threads: one
 * session at a time; its events are called on the thread that runs it.
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
};

/*
 * Runs the plan. `run` must be initialised; afterwards it holds all finished iterations, why it
 * stopped and what it cost, also on failure. Returns 0 if it came to a planned end or was
 * interrupted (run->interrupted_by), -1 and err else: PW_ERR_EXEC_MISSING or _DENIED if the command
 * cannot be executed, PW_ERR_SYSTEM for what the machine refused and for a failing hook.
 */
int pw_session_run(const struct pw_plan *plan, const struct pw_session_events *events,
                   struct pw_run_record *run, struct pw_err *err);

/* True if `code` counts as success under --ignore-failure. */
bool pw_plan_ignores(const struct pw_plan *plan, int return_code);

#endif
