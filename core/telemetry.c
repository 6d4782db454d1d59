#include "core/telemetry.h"
#include "core/saturate.h"

const char *pw_signal_name(enum pw_signal signal)
{
    static const char *const names[PW_SIGNAL_COUNT] = {
        [PW_SIGNAL_METRICS] = "metrics",
        [PW_SIGNAL_TRACES] = "traces",
        [PW_SIGNAL_LOGS] = "logs",
    };
    return names[signal];
}

const char *pw_family_name(enum pw_family family)
{
    static const char *const names[PW_FAMILY_COUNT] = {
        [PW_FAMILY_TURN] = "turn",
        [PW_FAMILY_ACTION] = "action",
        [PW_FAMILY_STREAM] = "stream",
        [PW_FAMILY_QUEUE] = "queue",
    };
    return names[family];
}

const char *pw_loss_name(enum pw_loss loss)
{
    static const char *const names[PW_LOSS_COUNT] = {
        [PW_LOSS_UNDECODABLE] = "undecodable",   [PW_LOSS_TOO_LARGE] = "too_large",
        [PW_LOSS_UNSUPPORTED] = "unsupported",   [PW_LOSS_BUSY] = "busy",
        [PW_LOSS_CUT_OFF] = "cut_off",           [PW_LOSS_LATE] = "late",
        [PW_LOSS_SERIES_LIMIT] = "series_limit", [PW_LOSS_INVALID_POINT] = "invalid_point",
        [PW_LOSS_NOT_A_NUMBER] = "not_a_number", [PW_LOSS_NO_VALUE] = "no_value",
        [PW_LOSS_REPEATED] = "repeated",         [PW_LOSS_SPAN_LIMIT] = "span_limit",
        [PW_LOSS_NAME_LIMIT] = "name_limit",     [PW_LOSS_MEMORY] = "memory",
    };
    return names[loss];
}

const char *pw_otel_type_name(enum pw_otel_type type)
{
    static const char *const names[PW_OTEL_TYPE_COUNT] = {
        [PW_OTEL_GAUGE] = "gauge",
        [PW_OTEL_SUM] = "sum",
        [PW_OTEL_UPDOWN] = "updown_sum",
        [PW_OTEL_HISTOGRAM] = "histogram",
        [PW_OTEL_EXPONENTIAL_HISTOGRAM] = "exponential_histogram",
        [PW_OTEL_SUMMARY] = "summary",
    };
    return names[type];
}

const char *pw_action_source_name(enum pw_action_source source)
{
    static const char *const names[PW_ACTION_SOURCE_COUNT] = {
        [PW_ACTION_SPAN] = "span",
        [PW_ACTION_LOG] = "log",
        [PW_ACTION_HISTOGRAM] = "histogram",
    };
    return names[source];
}

/* --- totals --- */

/* What is known of both; of one alone, that. */
static struct pw_value known_sum(struct pw_value a, struct pw_value b)
{
    if (!pw_value_is_present(a)) {
        return b;
    }
    return pw_value_is_present(b) ? pw_value_of(a.number + b.number) : a;
}

enum join { JOIN_SUM, JOIN_MIN, JOIN_MAX };

/* A number about all values of `into` and `from`: known only if it is known of both. */
static struct pw_value joined(enum join how, struct pw_value into, uint64_t into_count,
                              struct pw_value from, uint64_t from_count)
{
    if (from_count == 0) {
        return into;
    }
    if (into_count == 0) {
        return from;
    }
    if (!pw_value_is_present(into) || !pw_value_is_present(from)) {
        return pw_value_absent(PW_ABSENT_NOT_MEASURED);
    }
    if (how == JOIN_SUM) {
        return pw_value_of(into.number + from.number);
    }
    bool takes_from = how == JOIN_MIN ? from.number < into.number : from.number > into.number;
    return takes_from ? from : into;
}

void pw_otel_total_done(struct pw_otel_total *total)
{
    pw_histogram_done(&total->histogram);
    *total = (struct pw_otel_total){0};
}

static void join_last(struct pw_otel_total *into, const struct pw_otel_total *from,
                      enum pw_otel_type type)
{
    bool newer = from->last_at_ns >= into->last_at_ns;
    if (!pw_value_is_present(from->last)) {
        return;
    }
    if (type == PW_OTEL_UPDOWN) {
        into->last = known_sum(into->last, from->last);
    } else if (newer || !pw_value_is_present(into->last)) {
        into->last = from->last;
        into->last_at_ns = from->last_at_ns;
    }
    into->last_at_ns = newer ? from->last_at_ns : into->last_at_ns;
}

int pw_otel_total_add(struct pw_otel_total *into, const struct pw_otel_total *from,
                      enum pw_otel_type type, struct pw_err *err)
{
    if (pw_histogram_add(&into->histogram, &from->histogram, err) != 0) {
        return -1;
    }
    into->points = pw_add_saturated(into->points, from->points);
    into->total = known_sum(into->total, from->total);
    join_last(into, from, type);
    into->sum = joined(JOIN_SUM, into->sum, into->count, from->sum, from->count);
    into->min = joined(JOIN_MIN, into->min, into->count, from->min, from->count);
    into->max = joined(JOIN_MAX, into->max, into->count, from->max, from->count);
    into->count = pw_add_saturated(into->count, from->count);
    enum pw_histogram_kind kind = into->histogram.kind;
    if ((kind == PW_HISTOGRAM_EXPLICIT || kind == PW_HISTOGRAM_EXPONENTIAL) &&
        pw_histogram_count(&into->histogram) != into->count) {
        pw_histogram_done(&into->histogram);
        into->histogram.kind = PW_HISTOGRAM_MIXED;
    }
    return 0;
}

/* --- of a whole --- */

uint64_t pw_telemetry_family_points(const struct pw_telemetry *telemetry, enum pw_family family)
{
    uint64_t points = 0;
    for (size_t i = 0; i < telemetry->metric_count; i++) {
        if (telemetry->metrics[i].families & PW_FAMILY_BIT(family)) {
            points = pw_add_saturated(points, telemetry->metrics[i].total.points);
        }
    }
    return points;
}

double pw_telemetry_family_value_sum(const struct pw_telemetry *telemetry, enum pw_family family)
{
    double sum = 0;
    for (size_t i = 0; i < telemetry->metric_count; i++) {
        const struct pw_otel_metric *metric = &telemetry->metrics[i];
        bool is_sum = metric->type == PW_OTEL_SUM || metric->type == PW_OTEL_UPDOWN;
        struct pw_value value = is_sum ? metric->total.total : metric->total.sum;
        if ((metric->families & PW_FAMILY_BIT(family)) && pw_value_is_present(value)) {
            sum += value.number;
        }
    }
    return sum;
}

uint64_t pw_telemetry_payloads(const struct pw_telemetry *telemetry)
{
    uint64_t payloads = 0;
    for (int signal = 0; signal < PW_SIGNAL_COUNT; signal++) {
        payloads = pw_add_saturated(payloads, telemetry->payloads[signal]);
    }
    return payloads;
}
