/*
 * One metric series: what its points come to within the window, in memory that does not grow with
 * their number. How series are told apart is not its business: see series_table.h.
 *
 * Rules (opentelemetry-specification, metrics data model, "Sums", "Resets and Gaps", "Gauge"):
 * - Delta: points add up. A point with start and time of one of the last SERIES_RECENT is a repeat.
 * - Cumulative, for each start time: last - base. The base is zero if the start time lies within
 *   the window; it is the first value seen if the start time lies before the window, and then one
 *   point alone says nothing. A start time that is not given, or is the first point's own time, is
 *   not known. Then the base is zero too, for senders are started by the worker, within the window
 *   (the SDK for JavaScript sends such points for all observable instruments, and, as its clock
 *   has milliseconds, for any other one that is exported at once); but not with
 *   `has_older_senders`.
 * - A point older than the last is ignored. A fall of a monotonic sum, of a histogram's count or of
 *   one of its buckets (of its sum only if no negative values were recorded), or other bounds, is
 *   a reset: counting goes on from zero. Up-down sums have no resets.
 * - Of more than PW_LIMIT_OTEL_STARTS start times, the one not heard of for longest is settled;
 *   later points of it, and of start times before it, are lost (PW_LOSS_SERIES_LIMIT).
 * - Minimum and maximum of a cumulative histogram are known only if it counts from zero.
 *
 * Threads: one at a time. Zeroed memory is a series without points; end with pw_series_done().
 */
#ifndef PW_COLLECTOR_SERIES_H
#define PW_COLLECTOR_SERIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/err.h"
#include "core/telemetry.h"

enum { SERIES_RECENT = 4 };

/* What all series of a window share. */
struct pw_series_common {
    uint64_t since_unix_ns;
    bool has_older_senders;         /* some may have been started before that */
    size_t bytes;                   /* of all series */
    uint64_t losses[PW_LOSS_COUNT]; /* points by what became of them */
    struct pw_histogram incoming;   /* scratch */
};

/* A number as it was sent: integers beyond 2^53 stay exact in differences. */
struct pw_number {
    bool is_integer;
    int64_t integer;
    double real;
};

struct pw_number_point {
    uint64_t start, time; /* Unix ns, 0: not given */
    struct pw_number value;
};

/* Of a histogram of any kind, or of a summary, which has no buckets. */
struct pw_histogram_point {
    uint64_t start, time;
    struct pw_otel_total state; /* count, sum, min, max; `histogram` borrows its arrays */
};

struct pw_series_stretch;       /* a start time of a cumulative sum */
struct pw_series_state_stretch; /* of a cumulative histogram */
struct pw_series {
    uint32_t metric;              /* for the table */
    uint64_t points;              /* for the table */
    struct pw_otel_total settled; /* all that does not change any more */
    int64_t settled_whole; /* its part in integers, for sums; then settled.total is the rest */
    struct {
        uint64_t start, time;
    } recent[SERIES_RECENT];
    uint8_t recent_next;
    bool has_forgotten; /* start times up to `forgotten_start` are settled */
    uint64_t forgotten_start;
    size_t stretch_count;
    union {
        struct pw_series_stretch *stretches;
        struct pw_series_state_stretch *state_stretches;
    };
};

/* `type` is the same for all calls for a series. */
void pw_series_done(struct pw_series *series, enum pw_otel_type type);

void pw_series_take_gauge(struct pw_series_common *common, struct pw_series *series,
                          const struct pw_number_point *point);
/* PW_OTEL_SUM and PW_OTEL_UPDOWN. Fail for memory only. */
int pw_series_take_sum(struct pw_series_common *common, struct pw_series *series,
                       enum pw_otel_type type, bool is_delta, const struct pw_number_point *point,
                       struct pw_err *err);
/* Histograms and summaries. Takes a point that was checked. */
int pw_series_take_histogram(struct pw_series_common *common, struct pw_series *series,
                             enum pw_otel_type type, bool is_delta,
                             const struct pw_histogram_point *point, struct pw_err *err);

/* Adds what the series came to, and its number of points. */
int pw_series_add_to(const struct pw_series *series, enum pw_otel_type type,
                     struct pw_otel_total *into, struct pw_err *err);

#endif
