/*
 * The supervisor: the loop that runs a batch of workers at once, from their wardens' start until
 * nothing of their trees is left. It moves reports, output and signals; it measures no time itself
 * (the wardens do), so being busy with output does not spoil a number.
 *
 * Wardens are all started first and wait; then targets are started, at most as many at a time as
 * there are CPUs, so that one start does not stand in another's way and count in its duration.
 *
 * Threads: one at a time; the sampler's thread is the sampler's.
 */
#ifndef PW_RUN_SUPERVISOR_H
#define PW_RUN_SUPERVISOR_H

#include <stdbool.h>
#include <stddef.h>
#include "core/err.h"
#include "core/record.h"
#include "wrapper/run/accounts.h"
#include "wrapper/run/sampler.h"
#include "wrapper/run/session.h"
#include "wrapper/run/worker.h"

struct pw_supervisor;

/* `events` is borrowed and may be NULL. */
int pw_supervisor_new(const struct pw_session_events *events, struct pw_supervisor **ret_supervisor,
                      struct pw_err *err);
void pw_supervisor_free(struct pw_supervisor *supervisor);
/* The signal that interrupted, 0 if none so far. */
int pw_supervisor_interrupted_by(const struct pw_supervisor *supervisor);
/* A second signal came: nothing more may be started. */
bool pw_supervisor_is_forced(const struct pw_supervisor *supervisor);
/* As if `signal` had come; 0: nothing. For a signal that another supervisor took. */
void pw_supervisor_interrupt(struct pw_supervisor *supervisor, int signal, bool forced);
/* Goes on in spite of the first signal: for --cleanup. */
void pw_supervisor_forgive(struct pw_supervisor *supervisor);
/* Takes a signal that has come while no batch ran. */
void pw_supervisor_poll(struct pw_supervisor *supervisor);

/* Who looks at the workers; each may be NULL. */
struct pw_observers {
    struct pw_sampler *sampler;
    struct pw_accounts *accounts;
    struct pw_worker_record *records; /* one a worker: gets the sampled values. Not NULL with a
                                         sampler */
};

/*
 * Runs `count` workers with one spec each. `workers` is zeroed with ids set; the caller ends each
 * with pw_worker_done() afterwards, also on failure. One that is to be held (pw_worker_spec) and
 * whose mark of --until came is PW_WORKER_HELD then. `observers`: NULL for none. Returns 0 when all
 * have ended or are held, also if interrupted; -1 and err if one could not be started: then the
 * others are ended by pw_worker_done().
 */
int pw_supervisor_run(struct pw_supervisor *supervisor, struct pw_worker *workers,
                      const struct pw_worker_spec *specs, size_t count,
                      const struct pw_observers *observers, struct pw_err *err);

#endif
