/*
 * The contract's flags (section 7), in its order: each is a spelling of an expression. The options
 * of `perfwrap check` and of `run --sla` are made from this table.
 */
#ifndef PW_SLA_FLAGS_H
#define PW_SLA_FLAGS_H

#include <stddef.h>
#include "core/err.h"
#include "sla/bound.h"

struct pw_sla_flag {
    const char *flag;  /* without the dashes: "max-latency-p95-ms" */
    const char *label; /* "latency_p95_ms" */
    const char *left;  /* of the expression: "latency_ms p(95)" */
    enum pw_bound_op op;
};
enum { PW_SLA_FLAG_COUNT = 28 };
extern const struct pw_sla_flag pw_sla_flags[PW_SLA_FLAG_COUNT];

/* The bound that a flag with this limit means, with its label and its place in the order. */
int pw_sla_flag_bound(const struct pw_sla_flag *flag, double limit, struct pw_bound *ret_bound,
                      struct pw_err *err);
/* The row whose number and direction a bound has, so that a profile's bound gets the contract's
 * label and place; NULL if there is none. */
const struct pw_sla_flag *pw_sla_flag_of(const struct pw_bound *bound);

#endif
