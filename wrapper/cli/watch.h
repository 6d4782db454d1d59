/*
 * What someone in front of perfwrap sees while a session runs: progress, and workers that fail.
 * Fill a struct pw_watch with pw_watch_init() and give pw_watch_events() to the session.
 */
#ifndef PW_CLI_WATCH_H
#define PW_CLI_WATCH_H

#include <stdint.h>
#include "wrapper/cli/progress.h"
#include "wrapper/run/session.h"

enum { PW_WATCH_FAILURES_SHOWN = 3 }; /* failed workers whose output is shown; others are counted */

struct pw_watch {
    const char *name; /* which of several sessions this is; NULL: there is only one. Borrowed */
    const struct pw_plan *plan;
    struct pw_progress progress;
    uint64_t failures; /* told by the session and not ignored; warm-up too */
    uint64_t warmup_failures;
    /* Passed on (session.h); NULL: nobody asks. */
    void (*kept)(void *context, const struct pw_worker_record *worker, pid_t warden);
    void *kept_context;
};

void pw_watch_init(struct pw_watch *watch, const struct pw_plan *plan, bool quiet);
void pw_watch_set_name(struct pw_watch *watch, const char *name);
/* Clears the progress line and tells how many failures were not shown. */
void pw_watch_done(struct pw_watch *watch);
struct pw_session_events pw_watch_events(struct pw_watch *watch);

#endif
