/*
 * The options that make a gate, shared by `check` and by whatever measures and gates in one go: the
 * contract's flags (sla/flags.h), own expressions, a baseline, and how to decide. A command's
 * target structure has a member `struct pw_sla_options sla`, and its table the rows of the macros
 * below.
 */
#ifndef PW_CLI_SLA_OPTIONS_H
#define PW_CLI_SLA_OPTIONS_H

#include <stdbool.h>
#include "core/err.h"
#include "core/summary.h"
#include "sla/check.h"
#include "sla/flags.h"
#include "sla/profile.h"
#include "wrapper/cli/option.h"

struct pw_sla_options {
    double limits[PW_SLA_FLAG_COUNT]; /* of the contract's flags, in their order; NAN: not given */
    struct pw_option_list bounds;
    const char *baseline, *decide;
    bool tell_apart;
};

#define PW_SLA_LIMIT_MAX 1e15

#define PW_SLA_LIMIT(target, in_group, at, flag, what, of, text)                              \
    {                                                                                         \
        .name = (flag), .type = PW_OPTION_NUMBER, .group = (in_group), .argument = (what),    \
        .max = PW_SLA_LIMIT_MAX, .unit = (of),                                                \
        .offset = offsetof(struct target, sla.limits) + (at) * sizeof(double), .help = (text) \
    }

/* The summary that --baseline `word` names, for limits in its terms; without a word *ret_baseline
 * stays as it is, and a bound that needs one is PW_ERR_USAGE. To be freed by the caller. */
int pw_sla_load_baseline(const char *word, const struct pw_bounds *bounds,
                         struct pw_summary **ret_baseline, struct pw_err *err);

/* One row a flag, in the order of pw_sla_flags. */
#define PW_SLA_LIMIT_OPTIONS(t, g)                                                              \
    PW_SLA_LIMIT(t, g, 0, "max-failed-runs", "N", NULL,                                         \
                 "Most failed workers. Always checked: without it, none may fail."),            \
        PW_SLA_LIMIT(t, g, 1, "max-latency-p95-ms", "MS", "ms",                                 \
                     "Longest 95th percentile of latency."),                                    \
        PW_SLA_LIMIT(t, g, 2, "max-latency-mean-ms", "MS", "ms", "Longest mean latency."),      \
        PW_SLA_LIMIT(t, g, 3, "min-throughput-mean", "R", "runs/s", "Least mean throughput."),  \
        PW_SLA_LIMIT(t, g, 4, "max-rss-mean-mb", "MB", "MiB", "Largest mean resident memory."), \
        PW_SLA_LIMIT(t, g, 5, "max-peak-fds-mean", "N", NULL,                                   \
                     "Most open descriptors, as a mean of peaks."),                             \
        PW_SLA_LIMIT(t, g, 6, "max-peak-children-mean", "N", NULL,                              \
                     "Most direct children, as a mean of peaks."),                              \
        PW_SLA_LIMIT(t, g, 7, "min-turn-metric-points-mean", "N", NULL,                         \
                     "Fewest OTLP datapoints of the family `turn`."),                           \
        PW_SLA_LIMIT(t, g, 8, "min-action-metric-points-mean", "N", NULL,                       \
                     "Fewest OTLP datapoints of the family `action`."),                         \
        PW_SLA_LIMIT(t, g, 9, "min-stream-metric-points-mean", "N", NULL,                       \
                     "Fewest OTLP datapoints of the family `stream`."),                         \
        PW_SLA_LIMIT(t, g, 10, "max-turn-metric-value-sum-mean", "X", NULL,                     \
                     "Largest mean sum of the values of the family `turn`."),                   \
        PW_SLA_LIMIT(t, g, 11, "max-action-metric-value-sum-mean", "X", NULL,                   \
                     "Largest mean sum of the values of the family `action`."),                 \
        PW_SLA_LIMIT(t, g, 12, "max-stream-metric-value-sum-mean", "X", NULL,                   \
                     "Largest mean sum of the values of the family `stream`."),                 \
        PW_SLA_LIMIT(t, g, 13, "max-sampled-peak-tree-rss-mean-mb", "MB", "MiB",                \
                     "Largest resident memory of the process tree, as a mean of peaks."),       \
        PW_SLA_LIMIT(t, g, 14, "max-sampled-peak-tree-cpu-p95", "PCT", "%",                     \
                     "Largest CPU use of the process tree: the 95th percentile of peaks."),     \
        PW_SLA_LIMIT(t, g, 15, "max-build-cmd-mean-ms", "MS", "ms",                             \
                     "Longest mean time to prepare a worker's command."),                       \
        PW_SLA_LIMIT(t, g, 16, "max-spawn-proc-mean-ms", "MS", "ms",                            \
                     "Longest mean time to start a worker."),                                   \
        PW_SLA_LIMIT(t, g, 17, "max-monitor-loop-mean-ms", "MS", "ms",                          \
                     "Longest mean time spent observing a worker."),                            \
        PW_SLA_LIMIT(t, g, 18, "max-communicate-mean-ms", "MS", "ms",                           \
                     "Longest mean time spent with a worker's output."),                        \
        PW_SLA_LIMIT(t, g, 19, "max-parse-stats-mean-ms", "MS", "ms",                           \
                     "Longest mean time to work out a worker's numbers."),                      \
        PW_SLA_LIMIT(t, g, 20, "min-top-sample-count-mean", "N", NULL,                          \
                     "Fewest samples over time (--top-attach), as a mean."),                    \
        PW_SLA_LIMIT(t, g, 21, "max-top-peak-rss-mean-mb", "MB", "MiB",                         \
                     "Largest memory over time, as a mean of peaks."),                          \
        PW_SLA_LIMIT(t, g, 22, "max-top-peak-cpu-p95", "PCT", "%",                              \
                     "Largest CPU use over time: the 95th percentile of peaks."),               \
        PW_SLA_LIMIT(t, g, 23, "max-top-mean-cpu-mean", "PCT", "%",                             \
                     "Largest mean CPU use over time."),                                        \
        PW_SLA_LIMIT(t, g, 24, "max-vmmap-start-physical-mean-mb", "MB", "MiB",                 \
                     "Largest mean physical footprint at the start (--vmmap-snapshots)."),      \
        PW_SLA_LIMIT(t, g, 25, "max-vmmap-mid-physical-mean-mb", "MB", "MiB",                   \
                     "The same in the middle."),                                                \
        PW_SLA_LIMIT(t, g, 26, "max-vmmap-end-physical-mean-mb", "MB", "MiB",                   \
                     "The same at the end."),                                                   \
        PW_SLA_LIMIT(t, g, 27, "min-xctrace-trace-count", "N", NULL, "Fewest CPU profiles taken.")

#define PW_SLA_DECIDE_OPTIONS(target, in_group)                                                 \
    {.name = "bound",                                                                           \
     .letter = 'b',                                                                             \
     .type = PW_OPTION_LIST,                                                                    \
     .group = (in_group),                                                                       \
     .argument = "EXPR",                                                                        \
     .offset = offsetof(struct target, sla.bounds),                                             \
     .help = "A bound of your own: METRIC [AGGREGATE] OP LIMIT, for example 'latency_ms p(90) " \
             "<= 1.2s', 'max_rss_mb mean within 15% of 120', 'latency_ms med <= "               \
             "baseline*1.10+20', 'otel.codex.turn.e2e_duration_ms p(50) < 1500ms'. Any number " \
             "of the summary can be named (perfwrap show --numbers)."},                         \
        {.name = "baseline",                                                                    \
         .type = PW_OPTION_STRING,                                                              \
         .group = (in_group),                                                                   \
         .argument = "SUMMARY",                                                                 \
         .offset = offsetof(struct target, sla.baseline),                                       \
         .help = "The summary.json, or run folder, that `baseline` in bounds stands for."},     \
        {.name = "decide",                                                                      \
         .type = PW_OPTION_STRING,                                                              \
         .group = (in_group),                                                                   \
         .argument = "value|ci",                                                                \
         .initial = "value",                                                                    \
         .check = pw_sla_check_decide,                                                          \
         .offset = offsetof(struct target, sla.decide),                                         \
         .help = "value: the number passes or fails. ci: its 95 % confidence interval does; "   \
                 "where that spans the bound, the verdict is INCONCLUSIVE. Implies "            \
                 "--tell-apart."},                                                              \
    {                                                                                           \
        .name = "tell-apart", .type = PW_OPTION_FLAG, .group = (in_group),                      \
        .offset = offsetof(struct target, sla.tell_apart),                                      \
        .help = "Exit with 3, not 1, if no bound is broken but one is inconclusive or has no "  \
                "data."                                                                         \
    }

int pw_sla_check_decide(const char *text, struct pw_err *err);

/* Bounds, ready to be checked. */
struct pw_sla_gate {
    struct pw_profile profile; /* its bounds with those of the options; without one: `perf` */
    struct pw_summary *baseline;
    enum pw_decide decide;
    bool tell_apart;
};
#define PW_SLA_GATE_AUTO __attribute__((cleanup(pw_sla_gate_done))) struct pw_sla_gate

/* `profile`: a name or a file, NULL for none. Bounds of the options take the place of the
 * profile's on the same numbers; failed runs are always bounded. Errors: what is wrong with the
 * profile or an expression, bounds that cannot all hold, a baseline that is missing or no summary:
 * PW_ERR_USAGE and PW_ERR_INPUT. */
int pw_sla_gate_make(const struct pw_sla_options *options, const char *profile,
                     struct pw_sla_gate *ret_gate, struct pw_err *err);
void pw_sla_gate_done(struct pw_sla_gate *gate);
/* `label`: NULL for the profile's name. The report borrows from the gate. */
int pw_sla_gate_check(const struct pw_sla_gate *gate, const struct pw_summary *summary,
                      const char *path, const char *label, struct pw_check_report *ret_report,
                      struct pw_err *err);

#endif
