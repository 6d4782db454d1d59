/*
 * What `run` and `boot` have in common once there is a plan: the session with what someone in front
 * of perfwrap sees of it, the documents, the gate, and the exit status of it all.
 *
 * Life: pw_measurement_init(); options and plan are filled by the caller (pw_gate_load(),
 * pw_plan_make(), pw_result_describe()); pw_measure(); pw_measurement_print(), or whatever the
 * caller prints in its place; pw_measurement_done() at any point. Threads: one at a time; signals
 * are blocked before (pw_signals_prepare()).
 */
#ifndef PW_CLI_MEASURE_H
#define PW_CLI_MEASURE_H

#include <stdbool.h>
#include "core/err.h"
#include "core/str.h"
#include "wrapper/cli/gate.h"
#include "wrapper/cli/option.h"
#include "wrapper/cli/result.h"
#include "wrapper/cli/run_options.h"
#include "wrapper/cli/watch.h"
#include "wrapper/run/session.h"

/* All that one call has; kept together so that it ends in one place. */
struct pw_measurement {
    struct pw_run_options options; /* as the plan was made from; json, quiet and no_color decide how
                                      the result is printed */
    struct pw_owned_plan plan;
    struct pw_gate gate;
    struct pw_result result;
    /* Told of workers that are left running for good (plan->keep); NULL: nobody. */
    void (*kept)(void *context, const struct pw_worker_record *worker, pid_t warden);
    void *kept_context;
    struct pw_str gate_report; /* what the bounds say, as text; empty without bounds */
    int gate_status;           /* PW_EXIT_OK unless the bounds say otherwise */
};
#define PW_MEASUREMENT_AUTO __attribute__((cleanup(pw_measurement_done))) struct pw_measurement

void pw_measurement_init(struct pw_measurement *measurement);
void pw_measurement_done(struct pw_measurement *measurement);

/* The session, and whatever can still be done after it, whether it failed or not: documents and
 * gate. Failures are told on standard error. Returns the exit status; result.summary is NULL if
 * there is nothing to print. */
int pw_measure(struct pw_measurement *measurement);

/*
 * The short table goes before the result lines on a terminal, else to standard error; so does the
 * report of the bounds, of which --quiet leaves only what failed. `own_text` stands in place of the
 * short table, `own_json` in place of the summary that --json prints; NULL: those. Returns the exit
 * status of printing.
 */
int pw_measurement_print(const struct pw_measurement *measurement, const struct pw_str *own_text,
                         const struct pw_str *own_json);
/* Whether the short table is printed to standard output: it is a terminal and not wanted as JSON.
 */
bool pw_measurement_prints_here(const struct pw_measurement *measurement);
/* Adds the short table, as it would be printed. */
int pw_measurement_add_table(const struct pw_measurement *measurement, struct pw_str *text,
                             struct pw_err *err);
/* `status` of pw_measure(), or, if printing failed, that. */
int pw_measurement_status(int measured, int printed);

#endif
