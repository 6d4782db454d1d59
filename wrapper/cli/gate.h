/*
 * The gate of `run`: --sla and --bound, which are read before anything is measured and judged when
 * all is, or, with --extend-to, in between too.
 */
#ifndef PW_CLI_GATE_H
#define PW_CLI_GATE_H

#include <stdbool.h>
#include "core/err.h"
#include "core/record.h"
#include "sla/check.h"
#include "sla/profile.h"
#include "wrapper/cli/run_options.h"

struct pw_gate {
    struct pw_bounds bounds; /* none: there is no gate */
    char *label;
    struct pw_check_options check;
    struct pw_summary *baseline; /* may be NULL */
    bool tell_apart;
    unsigned extend_to; /* 0: no further */
    size_t ask_again;   /* not before so many iterations */
};
/* Zeroed is an empty one. */
#define PW_GATE_AUTO __attribute__((cleanup(pw_gate_done))) struct pw_gate

/* Errors: PW_ERR_USAGE and PW_ERR_INPUT for what is unusable, PW_ERR_MEMORY. */
int pw_gate_load(const struct pw_run_options *options, struct pw_gate *ret_gate,
                 struct pw_err *err);
void pw_gate_done(struct pw_gate *gate);
bool pw_gate_is_there(const struct pw_gate *gate);

/* Whether a run that has what its plan asked for should go on, so that more bounds can be decided.
 * *ret_stop, if not: PW_STOP_SLA_DECIDED, PW_STOP_SLA_UNDECIDED, or PW_STOP_COUNT if the plan's
 * own reason holds. */
int pw_gate_wants_more(struct pw_gate *gate, const struct pw_run_record *run, bool *ret_more,
                       enum pw_stop *ret_stop, struct pw_err *err);
/* The report as text, and the exit status that it means. */
int pw_gate_judge(const struct pw_gate *gate, const struct pw_summary *summary, const char *path,
                  struct pw_str *ret_text, int *ret_status, struct pw_err *err);

#endif
