/*
 * One iteration: `concurrency` workers at once, each in a private folder, from preparation to the
 * folded record; and a hook, which is one worker that is not measured.
 */
#ifndef PW_RUN_ITERATION_H
#define PW_RUN_ITERATION_H

#include "core/err.h"
#include "core/record.h"
#include "wrapper/run/plan.h"
#include "wrapper/run/reporting.h"
#include "wrapper/run/sampler.h"
#include "wrapper/run/session.h"
#include "wrapper/run/supervisor.h"

/* What stays the same over a session's iterations; all borrowed. */
struct pw_stage {
    const struct pw_plan *plan;
    const struct pw_session_events *events; /* may be NULL */
    struct pw_supervisor *supervisor;
    struct pw_sampler *sampler;
    struct pw_accounts *accounts;         /* NULL: nothing but the sampler observes */
    const struct pw_reporting *reporting; /* how workers report */
    struct pw_mark_board *board;          /* NULL: no marks */
    struct pw_held *held;                 /* NULL: no worker is held */
    struct pw_run_record *run;            /* gets orphans, and how exits were watched */
    const char *scratch_dir; /* private; the workers' folders are made and removed below it */
    struct rlimit nofile;    /* for the workers: as perfwrap was started */
    int output_fd, null_fd;  /* --output FILE (or -1); /dev/null */
};

/* `number` 0: warm-up. On success `iteration` is folded; end it with pw_iteration_record_done(),
 * unless -1. If the supervisor was interrupted meanwhile, the record is not to be used. */
int pw_iteration_run(const struct pw_stage *stage, unsigned number,
                     struct pw_iteration_record *iteration, struct pw_err *err);
/* Runs `command` by `sh -c`, with its output to standard error. A status other than 0 is an error
 * that names `option`. NULL command: nothing. */
int pw_hook_run(const struct pw_stage *stage, const char *option, const char *command,
                unsigned number, struct pw_err *err);

#endif
