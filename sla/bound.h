/*
 * A bound: one comparison of one number of a summary with a limit. Everything that gates is a list
 * of these: the contract's flags, profile files, expressions on the command line. There is one
 * parser (sla/expression.h) and one evaluator (sla/check.h).
 *
 * Plain data. Whoever holds a bound owns its strings: pw_bound_done(). Threads: one at a time while
 * it is made; any thread may read it after.
 */
#ifndef PW_SLA_BOUND_H
#define PW_SLA_BOUND_H

#include <stdbool.h>
#include <stddef.h>
#include "core/metric.h"

/* Which number of a metric. */
enum pw_aggregate_kind {
    PW_AGGREGATE_NONE, /* the name is itself a number: "failed_runs_total" */
    PW_AGGREGATE_MEAN,
    PW_AGGREGATE_PERCENTILE, /* `p`; median is 0.5 */
    PW_AGGREGATE_MIN,
    PW_AGGREGATE_MAX,
    PW_AGGREGATE_STDDEV,
    PW_AGGREGATE_MAD,
    PW_AGGREGATE_TOTAL,
    PW_AGGREGATE_COUNT,    /* of OTLP metrics, actions and spans: "count" */
    PW_AGGREGATE_FAILURES, /* of actions and spans: how many of them failed */
};
struct pw_aggregate {
    enum pw_aggregate_kind kind;
    double p; /* 0 <= p <= 1 */
};

/* What the name of a bound means. */
enum pw_subject_kind {
    PW_SUBJECT_METRIC, /* a row of the metric table: latency_ms */
    PW_SUBJECT_OTEL,   /* otel.NAME: an entry of summary.otel_metrics */
    PW_SUBJECT_ACTION, /* action.NAME: an entry of summary.otel_actions */
    PW_SUBJECT_SPAN,   /* span.NAME: an entry of summary.otel_spans */
    PW_SUBJECT_MOMENT, /* marks.NAME_ms, phases.NAME_ms: an entry of summary.marks, .phases */
    PW_SUBJECT_NUMBER, /* any other number, by its dotted name: resource_budget.stability.… */
};

enum pw_bound_op {
    PW_OP_LE,     /* <= */
    PW_OP_LT,     /* < */
    PW_OP_GE,     /* >= */
    PW_OP_GT,     /* > */
    PW_OP_EQ,     /* == */
    PW_OP_NE,     /* != */
    PW_OP_WITHIN, /* within TOLERANCE of LIMIT: both sides */
};

/* factor * baseline + value. Without a baseline factor is 0. */
struct pw_operand {
    double factor;    /* of the same number in the baseline */
    double value;     /* in `unit` */
    const char *unit; /* as written ("ms", "GiB", "%"); NULL: in the number's own. Constant. */
};

enum pw_missing { PW_MISSING_FAIL, PW_MISSING_SKIP };
enum pw_severity { PW_SEVERITY_ERROR, PW_SEVERITY_WARNING }; /* a breached warning fails nothing */
/* What an interval that spans the bound means for the exit status (--decide ci only). */
enum pw_on_noise { PW_NOISE_INCONCLUSIVE, PW_NOISE_PASS, PW_NOISE_FAIL };

enum { PW_BOUND_CONDITIONS_MAX = 4 };

struct pw_bound {
    char *label; /* what reports call it: the contract's check name, or the left side as written */
    char *text;  /* the expression as written */
    enum pw_subject_kind subject;
    char *name; /* METRIC: its path; OTEL, ACTION, SPAN: without the prefix; MOMENT: with */
    const struct pw_metric *metric; /* METRIC only */
    struct pw_aggregate aggregate;
    enum pw_bound_op op;
    struct pw_operand limit;
    struct pw_operand tolerance; /* WITHIN: of the limit; unit "%": percent of it */
    /* From a profile; the defaults are zero. */
    char *conditions[PW_BOUND_CONDITIONS_MAX]; /* applies only if all hold: see sla/profile.h */
    size_t condition_count;
    enum pw_missing missing;
    enum pw_severity severity;
    enum pw_on_noise on_noise;
    unsigned min_samples; /* fewer samples: no data. 0: any */
    int order;            /* place in the contract's table of flags; others: PW_BOUND_ORDER_OWN */
};
enum { PW_BOUND_ORDER_OWN = 1000 };

/* Whether the aggregate is a number of things, without a unit. */
bool pw_aggregate_is_count(enum pw_aggregate_kind kind);
void pw_bound_done(struct pw_bound *bound);
const char *pw_bound_op_text(enum pw_bound_op op); /* "<=", … "within" */
bool pw_bound_uses_baseline(const struct pw_bound *bound);
/* Whether two bounds are on the same number in the same direction, see pw_bounds_override(). */
bool pw_bound_is_same(const struct pw_bound *a, const struct pw_bound *b);

/* A growing list that owns its bounds. */
struct pw_bounds {
    struct pw_bound *items;
    size_t count, capacity;
};
struct pw_err;
void pw_bounds_done(struct pw_bounds *bounds);
/* Takes what *bound owns, also on failure, and leaves it empty. Bounds keep the order of `order`;
 * of one `order`, that in which they were added. */
int pw_bounds_add(struct pw_bounds *bounds, struct pw_bound *bound, struct pw_err *err);
/* As pw_bounds_add(), but a bound on the same number, in the same direction (<= and < are one, >=
 * and > are one), takes the place of the one that is there. */
int pw_bounds_override(struct pw_bounds *bounds, struct pw_bound *bound, struct pw_err *err);

#endif
