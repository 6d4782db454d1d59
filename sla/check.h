/*
 * Does a summary keep its bounds? The one evaluator.
 *
 * A bound gets one of five verdicts. Values decide by themselves (PW_DECIDE_VALUE, the contract's
 * behaviour: pass or fail), or with their 95 % interval (PW_DECIDE_CI): pass if the whole interval
 * keeps the bound, fail if none of it does, else inconclusive. Intervals: core/interval.h for
 * percentiles and means of a sample; a number without a sample, a count, a minimum or a maximum is
 * decided by its value (`interval` then has no width).
 *
 * Threads: no state. The report borrows the bounds.
 */
#ifndef PW_SLA_CHECK_H
#define PW_SLA_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include "core/err.h"
#include "core/interval.h"
#include "core/str.h"
#include "core/summary.h"
#include "sla/bound.h"

enum pw_verdict {
    PW_VERDICT_PASS,
    PW_VERDICT_FAIL,
    PW_VERDICT_INCONCLUSIVE, /* the interval spans the bound, or there are fewer samples than
                                the bound's min_samples */
    PW_VERDICT_NO_DATA,      /* the number is not there, or its unit is not the bound's */
    PW_VERDICT_SKIPPED,      /* its conditions do not hold, or missing and `missing: skip`; not in
                                the contract's report */
    PW_VERDICT_COUNT
};
const char *pw_verdict_name(enum pw_verdict verdict); /* "pass", … "no_data", "skipped" */

enum pw_decide { PW_DECIDE_VALUE, PW_DECIDE_CI };
struct pw_check_options {
    enum pw_decide decide;
    const struct pw_summary *baseline; /* of limits in its terms; NULL: such a bound has no data */
};

struct pw_check_result {
    const struct pw_bound *bound; /* borrowed */
    enum pw_verdict verdict;
    enum pw_verdict taken_for; /* the same, but for noise what the bound's on_noise says */
    struct pw_value value;     /* in the number's own unit */
    double limit, tolerance;   /* resolved, in that unit */
    bool has_limit;            /* false: no baseline, or units of different kinds */
    char *unit;                /* of the three, or NULL */
    bool integer;
    bool has_interval; /* PW_DECIDE_CI, of a statistic with a sample */
    struct pw_interval interval;
    size_t samples; /* 0: there is no sample */
    char *reason;   /* why no data, inconclusive or skipped; else NULL */
};

struct pw_check_report {
    char *label, *path;
    struct pw_check_result *results; /* in the order of the bounds */
    size_t count;
    size_t verdicts[PW_VERDICT_COUNT]; /* of bounds with severity error, before on_noise */
    size_t warnings;                   /* bounds with severity warning that are not kept */
};

int pw_check_run(const struct pw_summary *summary, const char *path, const char *label,
                 const struct pw_bounds *bounds, struct pw_check_options options,
                 struct pw_check_report *ret_report, struct pw_err *err);
void pw_check_report_done(struct pw_check_report *report);

/* What the whole means: PW_VERDICT_FAIL if any bound of severity error fails (missing: fail
 * counts), else INCONCLUSIVE if one is, else PASS. With `tell_apart` missing data is NO_DATA
 * instead of a failure. on_noise has been applied. */
enum pw_verdict pw_check_verdict(const struct pw_check_report *report, bool tell_apart);
/* Of several: the worst. FAIL is worse than NO_DATA, that than INCONCLUSIVE, that than PASS. */
enum pw_verdict pw_check_verdict_of_all(const struct pw_check_report *reports, size_t count,
                                        bool tell_apart);
/* 0 pass; 1 fail; 3 inconclusive or no data if `tell_apart`, else 1. */
int pw_check_exit_status(enum pw_verdict verdict, bool tell_apart);

/* The reports of one call, to be rendered. */
struct pw_check_reports {
    const struct pw_check_report *items;
    size_t count;
    bool matrix;     /* with the contract's table of profiles at the end */
    bool tell_apart; /* as for pw_check_verdict() */
};
/* text (the contract's, exactly), json, markdown, junit, github. */
struct pw_check_format {
    const char *name, *help;
    int (*render)(const struct pw_check_reports *reports, struct pw_str *ret_text,
                  struct pw_err *err);
};
enum { PW_CHECK_FORMAT_COUNT = 5 };
extern const struct pw_check_format pw_check_formats[PW_CHECK_FORMAT_COUNT];
const struct pw_check_format *pw_check_format_find(const char *name);

#endif
