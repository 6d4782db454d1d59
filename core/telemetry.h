/*
 * What a run's children reported about themselves over OTLP, brought down to what a summary needs:
 * of one worker, of an iteration (its workers merged) or of a run (its iterations merged).
 *
 * Plain data between the collector, which fills it, and the summary, which writes it. Life: zeroed
 * memory is an empty one; pw_telemetry_merge() adds; pw_telemetry_done() frees. Ownership: it owns
 * every pointer in it. Threads: one at a time. Limits: PW_LIMIT_OTEL_* in core/limits.h; what is
 * over them is counted in `losses`.
 */
#ifndef PW_CORE_TELEMETRY_H
#define PW_CORE_TELEMETRY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/err.h"
#include "core/histogram.h"
#include "core/value.h"

enum pw_signal { PW_SIGNAL_METRICS, PW_SIGNAL_TRACES, PW_SIGNAL_LOGS, PW_SIGNAL_COUNT };
/* "metrics", "traces", "logs". */
const char *pw_signal_name(enum pw_signal signal);

/* Groups of metrics by name (contract, section 6). A metric may be of several. */
enum pw_family {
    PW_FAMILY_TURN,
    PW_FAMILY_ACTION,
    PW_FAMILY_STREAM,
    PW_FAMILY_QUEUE, /* queue/cancel */
    PW_FAMILY_COUNT
};
#define PW_FAMILY_BIT(family) (1u << (family))
/* "turn", "action", "stream", "queue". */
const char *pw_family_name(enum pw_family family);

/* Why something that was sent is not in the numbers. The unit is in the comment. */
enum pw_loss {
    PW_LOSS_UNDECODABLE,   /* payloads answered 400 */
    PW_LOSS_TOO_LARGE,     /* payloads answered 413 */
    PW_LOSS_UNSUPPORTED,   /* payloads answered 405 or 415 */
    PW_LOSS_BUSY,          /* payloads answered 503: no room within the wait */
    PW_LOSS_CUT_OFF,       /* payloads whose sender vanished, was too slow, or that were unfinished
                              when the wait after the worker's end was over */
    PW_LOSS_LATE,          /* payloads that came after that: checked, but not in the numbers */
    PW_LOSS_SERIES_LIMIT,  /* datapoints of series over the limit */
    PW_LOSS_INVALID_POINT, /* datapoints that contradict themselves (bucket counts, temporality), or
                              have too many attributes; spans that end before they start; actions
                              of log records with a duration that is none */
    PW_LOSS_NOT_A_NUMBER,  /* datapoints whose value is NaN or infinite */
    PW_LOSS_NO_VALUE,      /* datapoints that say that their series has ended */
    PW_LOSS_REPEATED,      /* delta datapoints and spans sent again after a lost reply */
    PW_LOSS_SPAN_LIMIT,    /* spans over the limit */
    PW_LOSS_NAME_LIMIT,    /* spans, log records and histogram series whose name is one too many to
                              be listed */
    PW_LOSS_MEMORY,        /* payloads for which memory ran out */
    PW_LOSS_COUNT
};
/* "undecodable", "too_large", …: keys in JSON. */
const char *pw_loss_name(enum pw_loss loss);

enum pw_otel_type {
    PW_OTEL_GAUGE,
    PW_OTEL_SUM,    /* monotonic: a counter */
    PW_OTEL_UPDOWN, /* sum that may fall */
    PW_OTEL_HISTOGRAM,
    PW_OTEL_EXPONENTIAL_HISTOGRAM,
    PW_OTEL_SUMMARY,
    PW_OTEL_TYPE_COUNT
};
/* "gauge", "sum", "updown_sum", "histogram", "exponential_histogram", "summary". */
const char *pw_otel_type_name(enum pw_otel_type type);

/* What the points of one or several series come to. A member that the type does not have is
 * absent, or 0 for counts. */
struct pw_otel_total {
    uint64_t points;       /* as they arrived, whatever became of their values */
    struct pw_value total; /* sums: what was added within the window, resets taken into account */
    /* Gauges: the newest value. Up-down sums are additive (connections open, bytes in use): the
     * newest value of each series, and of several series, workers or iterations the sum of these.
     */
    struct pw_value last;
    int64_t last_at_ns;            /* Unix time of it, of the newest of several */
    uint64_t count;                /* histograms, summaries: values recorded; gauges: values seen */
    struct pw_value sum;           /* of these values */
    struct pw_value min, max;      /* of these values; absent where not known of all of them */
    struct pw_histogram histogram; /* for quantiles; MIXED unless it holds all `count` values */
};
void pw_otel_total_done(struct pw_otel_total *total);
/* into += from, of one type. Fails for memory only; then `into` is unchanged. */
int pw_otel_total_add(struct pw_otel_total *into, const struct pw_otel_total *from,
                      enum pw_otel_type type, struct pw_err *err);

/* One attribute set of a metric's points (resource and scope are not told apart here). */
struct pw_otel_set {
    char *attributes; /* canonical JSON object, keys sorted: {"tool":"exec"} */
    struct pw_otel_total total;
};

struct pw_otel_metric {
    char *name, *unit; /* unit "" if not given */
    enum pw_otel_type type;
    unsigned families; /* PW_FAMILY_BIT()s */
    struct pw_otel_total total;
    struct pw_otel_set *sets; /* sorted by attributes; NULL if there are more than
                                 PW_LIMIT_OTEL_SETS or only one */
    size_t set_count;
    bool sets_dropped; /* there were too many to list, or one is over PW_LIMIT_OTEL_SET_BYTES */
    char *attributes;  /* of the only set; NULL if there are several, or were too many */
};

void pw_otel_metric_done(struct pw_otel_metric *metric);
/* into += from, of one name, type and unit. */
int pw_otel_metric_add(struct pw_otel_metric *into, const struct pw_otel_metric *from,
                       struct pw_err *err);

/* Where the durations of an action come from, the best first. A record of an ended call stands for
 * one call; spans that name a tool may be several of one call (codex has three). */
enum pw_action_source {
    PW_ACTION_LOG,
    PW_ACTION_SPAN,
    PW_ACTION_HISTOGRAM,
    PW_ACTION_SOURCE_COUNT
};
/* "log", "span", "histogram". */
const char *pw_action_source_name(enum pw_action_source source);

/* Durations in ms of things of one name: all of them up to PW_LIMIT_OTEL_DURATIONS, then a uniform
 * sample of that size (Vitter 1985, algorithm R, fixed seed). Merging draws the sample of the union
 * from both samples without replacement, each side weighted by what it stands for, so that it is
 * uniform too; means and deviations merge exactly (Chan, Golub and LeVeque 1979). */
struct pw_durations {
    uint64_t count;
    double sum_ms, min_ms, max_ms; /* of all; min and max only if count > 0 */
    double mean_ms, m2;            /* running mean and sum of squared deviations (Welford 1962) */
    double *kept;
    size_t kept_count, kept_capacity;
};
void pw_durations_done(struct pw_durations *durations);
int pw_durations_add(struct pw_durations *durations, double ms, struct pw_err *err);
int pw_durations_merge(struct pw_durations *into, const struct pw_durations *from,
                       struct pw_err *err);

/* A tool or another action of the agent. */
struct pw_otel_action {
    char *name;
    enum pw_action_source source;
    uint64_t failures;
    struct pw_durations durations; /* span, log */
    struct pw_otel_total total;    /* histogram: count, sum, min, max, buckets; in its own unit */
    double unit_ms;                /* histogram: ms for one of its unit */
};

/* The spans of one name. */
struct pw_otel_span {
    char *name;
    uint64_t errors; /* status ERROR */
    struct pw_durations durations;
    double self_ms; /* time not covered by child spans, over all of them */
};

struct pw_telemetry {
    uint64_t payloads[PW_SIGNAL_COUNT];      /* accepted in time */
    uint64_t bytes;                          /* of these, as they came over the wire */
    uint64_t datapoints, spans, log_records; /* in these */
    uint64_t joined_spans;                   /* spans of the trace that the worker was given */
    uint64_t losses[PW_LOSS_COUNT];
    struct pw_otel_metric *metrics; /* sorted by name, then type, then unit */
    size_t metric_count;
    struct pw_otel_action *actions; /* sorted by name, then source */
    size_t action_count;
    struct pw_otel_span *span_names; /* sorted by name */
    size_t span_name_count;
};

/* What was refused without belonging to anyone: unknown paths, wrong tokens, connections that were
 * closed because there were too many or because they said nothing for too long. And what belonged
 * to endpoints that had been closed: late payloads, of all of them. */
struct pw_strays {
    uint64_t unknown_path, unauthorized, connections_refused, late;
};
/* New reference: all but `late`, which the telemetry has. NULL only with *failed set. */
json_t *pw_strays_to_json(const struct pw_strays *strays, bool *failed);

void pw_telemetry_done(struct pw_telemetry *telemetry);
/* For who fills one: appends an action without values; the pointer is good until the next. NULL and
 * err without memory. At the end, pw_telemetry_sort() brings the lists into their order. */
struct pw_otel_action *pw_telemetry_add_action(struct pw_telemetry *telemetry, const char *name,
                                               enum pw_action_source source, struct pw_err *err);
void pw_telemetry_sort(struct pw_telemetry *telemetry);
/* into += from: metrics by name, type and unit; sets by attributes; actions by name and source;
 * spans by name. Sums of different workers add up; of gauges the newest value stays. Fails for
 * memory only; then a part of `from` is missing in `into`. */
int pw_telemetry_merge(struct pw_telemetry *into, const struct pw_telemetry *from,
                       struct pw_err *err);

/* Datapoints of a family that arrived. */
uint64_t pw_telemetry_family_points(const struct pw_telemetry *telemetry, enum pw_family family);
/* Sum of the family's values: totals of sums, sums of the others. */
double pw_telemetry_family_value_sum(const struct pw_telemetry *telemetry, enum pw_family family);
uint64_t pw_telemetry_payloads(const struct pw_telemetry *telemetry); /* of all signals */
/* Payloads that came but are not in the numbers, for whatever reason. */
uint64_t pw_telemetry_lost_payloads(const struct pw_telemetry *telemetry);

/* For the summary and for iteration files; each a new reference, NULL only with *failed set. */
/* Queue/cancel totals by metric name: a number point counts 1, a histogram its values. */
json_t *pw_telemetry_queue_to_json(const struct pw_telemetry *telemetry, bool *failed);
/* `otel_metrics`: object by metric name. With `sets`, also by attribute set. */
json_t *pw_telemetry_metrics_to_json(const struct pw_telemetry *telemetry, bool sets, bool *failed);
/* `otel_actions`: one object a name, from the best source: log, then span, then histogram. */
json_t *pw_telemetry_actions_to_json(const struct pw_telemetry *telemetry, bool *failed);
json_t *pw_telemetry_spans_to_json(const struct pw_telemetry *telemetry, bool *failed);
/* `telemetry`: what was received, late, lost, undecodable, dropped. */
json_t *pw_telemetry_counts_to_json(const struct pw_telemetry *telemetry, bool *failed);
/* The same of one worker in brief: datapoints by family, and only the losses that are not 0. */
json_t *pw_telemetry_worker_to_json(const struct pw_telemetry *telemetry,
                                    const uint64_t points[PW_FAMILY_COUNT], bool *failed);

#endif
