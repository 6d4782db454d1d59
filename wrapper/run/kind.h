/*
 * What kind of worker it is, where that is more than a command: something is made ready for each
 * worker before its start, and what became of it is judged by what it said, not by its exit status
 * alone. A virtual machine is such a kind: the monitor's exit status says little of the guest's.
 *
 * A plan names one kind for all its workers, warm-up included; hooks are plain commands. The order
 * for each worker: its folder and files (outfit.h), prepare(), its life, its record with the marks,
 * judge(). Life: constant during the session, borrowed by the plan. Threads: the functions are
 * called on the session's.
 */
#ifndef PW_RUN_KIND_H
#define PW_RUN_KIND_H

#include "core/err.h"
#include "core/record.h"
#include "wrapper/run/environment.h"

/* The end of what the worker wrote: at most PW_LIMIT_OUTPUT_TAIL_BYTES each, NULs shown as '?'.
 * NULL: not kept (--output). */
struct pw_worker_output {
    const char *told; /* to descriptor 3, which workers of a kind with a judge always have */
    const char *out, *err;
};

struct pw_worker_kind {
    void *context;
    /* May set values of the record, which holds the worker's id and nothing else yet. Not part of
     * the worker's duration, nor of any step. An error ends the session. NULL: nothing is to be
     * done. */
    int (*prepare)(void *context, const struct pw_worker_facts *facts,
                   struct pw_worker_record *record, struct pw_err *err);
    /* May change end, return_code, signal, values, verdict and verdict_detail (strdup). A record
     * with a return code other than 0 counts as failed, whatever else it says. Of a worker that is
     * held (plan.h) the end is PW_END_UNTIL, too, though it still runs; if it is judged a failure
     * it is ended. NULL: no verdict. */
    int (*judge)(void *context, const struct pw_worker_output *output,
                 struct pw_worker_record *record, struct pw_err *err);
};

#endif
