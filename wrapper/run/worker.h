/*
 * One worker as perfwrap sees it: its warden, its control socket, its output, and what was
 * reported.
 *
 * Life: pw_worker_start() starts the warden; pw_worker_go() makes it start the target;
 * pw_worker_read() takes its reports, until `state` is PW_WORKER_ENDED; pw_worker_done() reaps the
 * warden and frees all. A worker that is given up early is ended by closing its control socket,
 * which pw_worker_done() does. Threads: one at a time.
 */
#ifndef PW_RUN_WORKER_H
#define PW_RUN_WORKER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "core/err.h"
#include "core/record.h"
#include "wrapper/run/live.h"
#include "wrapper/run/output.h"
#include "wrapper/run/warden_proto.h"

enum pw_worker_state {
    PW_WORKER_NONE,    /* not started */
    PW_WORKER_WAKING,  /* the warden is starting */
    PW_WORKER_READY,   /* the warden waits for pw_worker_go() */
    PW_WORKER_GOING,   /* the order was given */
    PW_WORKER_RUNNING, /* the target runs */
    PW_WORKER_HELD,    /* it still runs, but is measured: pw_worker_hold() */
    PW_WORKER_EXITED,  /* the target has ended, its tree may have not */
    PW_WORKER_ENDED,   /* nothing of its tree is left (or it is lost, or could not be started) */
};

/* What to start, and with which descriptors 0 to 2 (borrowed). */
struct pw_worker_spec {
    char *const *argv;
    char *const *environment;
    int stdin_fd, stdout_fd, stderr_fd; /* -1 for the two latter: into the worker's tails */
    struct pw_warden_order go;
    struct pw_mark_watch *watch; /* its marks; NULL: none. Borrowed until pw_worker_done() */
    bool holds;                  /* it is held, not ended, when its mark of --until comes */
    bool keeps_told;             /* the end of what it writes to descriptor 3 is kept */
};

struct pw_worker {
    unsigned id; /* from 1 */
    enum pw_worker_state state;
    pid_t warden_pid;
    int control_fd;
    struct pw_warden_order go;
    struct pw_tail out, err;
    struct pw_tail told; /* what it writes to descriptor 3, if a mark wants that */
    struct pw_mark_watch *watch;
    bool until_ordered; /* its tree is being ended, for the mark of --until came */
    bool holds;
    struct pw_live live; /* if it is held: what was known of it then */
    bool fifo;           /* its warden waits with real-time priority */
    bool failed_start;   /* the target could not be started: `failure` tells why */
    bool lost;           /* the warden died */
    bool survivors;
    struct pw_warden_report started, exited, failure, done; /* as reported */
    struct pw_orphan *orphans;                              /* at most PW_LIMIT_ORPHANS_LISTED */
    size_t orphan_count;
    int64_t build_ns, communicate_ns; /* time spent on it */
};

/* The program of the wardens, as a descriptor for exec; made once, close-on-exec. -1 and err. */
int pw_warden_open(struct pw_err *err);

/* `worker` must be zeroed, with its id set. On failure it is as after pw_worker_done(). */
int pw_worker_start(struct pw_worker *worker, int warden_fd, const struct pw_worker_spec *spec,
                    struct pw_err *err);
int pw_worker_go(struct pw_worker *worker, struct pw_err *err);
/* PW_ORDER_END or PW_ORDER_KILL; a warden that is gone is no error. */
void pw_worker_order(struct pw_worker *worker, enum pw_order_kind kind);
/* The target, which runs, goes on without being measured: its account is read, its deadline is off,
 * and its output is not read any more. The warden still ends its tree if perfwrap dies. */
void pw_worker_hold(struct pw_worker *worker);
/* Takes one report if there is one, and changes `state`. True if it took one. */
bool pw_worker_read(struct pw_worker *worker);
void pw_worker_done(struct pw_worker *worker);

/* The failure of a worker with `failed_start` as an error: class, step, reason and remedy. Returns
 * -1. */
int pw_worker_start_error(const struct pw_worker *worker, const char *command, struct pw_err *err);
/* Turns the reports into the record: end, return code, times, and every metric of the kernel's
 * account. The sampled metrics are the sampler's. */
void pw_worker_record(struct pw_worker *worker, struct pw_worker_record *record);
/* Then, when nothing more is to come that could be a mark: the moments, and what --until makes of
 * the end. If that mark came, the worker lasted until then. */
void pw_worker_record_marks(const struct pw_worker *worker, struct pw_worker_record *record);
/* User and system time of the target and all it waited for, in ns; 0 unless exited or held. */
int64_t pw_worker_cpu_ns(const struct pw_worker *worker);

#endif
