/*
 * What observes workers beyond sampling, as one thing: the kernel's account by eBPF, a cgroup for
 * each worker, and the CPU profile. Each is optional; what the machine does not allow is noted in
 * the run record (accounting, warnings) and left out, and never fails a session.
 *
 * A worker is watched when its warden is there and its target has not started, and taken when its
 * tree has gone. In between, the session's loop drains what the kernel tells. Threads: one at a
 * time.
 */
#ifndef PW_RUN_ACCOUNTS_H
#define PW_RUN_ACCOUNTS_H

#include <sys/types.h>
#include "core/err.h"
#include "core/record.h"
#include "wrapper/run/plan.h"

struct pw_accounts;

enum {
    PW_ACCOUNTS_FDS = 2,       /* descriptors to poll, at most */
    PW_ACCOUNTS_DRAIN_MS = 100 /* longest time between two drains while workers run */
};

/* What the plan asks for and the machine allows; `run` gets the statement and is borrowed until the
 * end. *ret_accounts is NULL if nothing is to be observed. -1 and err: out of memory. */
int pw_accounts_open(const struct pw_plan *plan, struct pw_run_record *run,
                     struct pw_accounts **ret_accounts, struct pw_err *err);
/* Detaches everything, and puts the profile of all iterations into the record. NULL is fine. */
void pw_accounts_close(struct pw_accounts *accounts);

/* Of a worker whose warden waits. NULL is fine, also below. */
void pw_accounts_watch(struct pw_accounts *accounts, unsigned slot, pid_t warden_pid);
/* The moment that it is measured to has just come, and it lives on: as it is ended, or held. */
void pw_accounts_mark(struct pw_accounts *accounts, unsigned slot);
/* Its tree has ended. */
void pw_accounts_end(struct pw_accounts *accounts, unsigned slot);
/* Descriptors for poll(2), readable when they should be drained; -1 where there is none. */
void pw_accounts_fds(const struct pw_accounts *accounts, int ret_fds[PW_ACCOUNTS_FDS]);
void pw_accounts_drain(struct pw_accounts *accounts);

/* What was accounted for the worker in that slot: values and `kernel` of its record, whose times
 * are set. */
int pw_accounts_take(struct pw_accounts *accounts, unsigned slot, struct pw_worker_record *record,
                     struct pw_err *err);
/* When its warden is reaped, taken or not: ends what is left of it. */
void pw_accounts_drop(struct pw_accounts *accounts, unsigned slot);
/* After the workers: the iteration's CPU profile, its file and hotspots, and the count of traces.
 * Of warm-up (number 0) it is forgotten. */
int pw_accounts_take_profile(struct pw_accounts *accounts, struct pw_iteration_record *iteration,
                             struct pw_err *err);

#endif
