#include "collector/series.h"

#include <math.h>
#include "collector/series_impl.h"
#include "core/limits.h"

bool pw_series_is_repeated(struct pw_series *series, uint64_t start, uint64_t time)
{
    if (time == 0)
        return false;
    for (size_t i = 0; i < SERIES_RECENT; i++)
        if (series->recent[i].start == start && series->recent[i].time == time)
            return true;
    series->recent[series->recent_next].start = start;
    series->recent[series->recent_next].time = time;
    series->recent_next = (uint8_t)((series->recent_next + 1) % SERIES_RECENT);
    return false;
}

bool pw_series_starts_at_zero(const struct pw_series_common *common, uint64_t start, uint64_t time)
{
    bool is_known = start != 0 && start != time;
    if (!is_known && common->has_older_senders)
        return false;
    return start == 0 || start >= common->since_unix_ns;
}

bool pw_series_has_room(const struct pw_series_common *common)
{
    return common->bytes < PW_LIMIT_OTEL_SERIES_BYTES;
}

void pw_series_forget(struct pw_series *series, uint64_t start)
{
    if (!series->has_forgotten || start > series->forgotten_start)
        series->forgotten_start = start;
    series->has_forgotten = true;
}

bool pw_series_is_forgotten(const struct pw_series *series, uint64_t start)
{
    return series->has_forgotten && start <= series->forgotten_start;
}

void pw_series_done(struct pw_series *series, enum pw_otel_type type)
{
    if (type == PW_OTEL_SUM || type == PW_OTEL_UPDOWN)
        pw_series_sum_done(series);
    else if (type != PW_OTEL_GAUGE)
        pw_series_histogram_done(series);
    pw_otel_total_done(&series->settled);
    *series = (struct pw_series){0};
}

/* The same sample once more, not another one. */
static bool is_same_sample(const struct pw_otel_total *total, int64_t at_ns, double number)
{
    return at_ns != 0 && at_ns == total->last_at_ns && pw_value_is_present(total->last) &&
           total->last.number == number;
}

void pw_series_take_gauge(struct pw_series_common *common, struct pw_series *series,
                          const struct pw_number_point *point)
{
    struct pw_otel_total *total = &series->settled;
    int64_t at_ns = point->time > INT64_MAX ? INT64_MAX : (int64_t)point->time;
    double number = point->value.is_integer ? (double)point->value.integer : point->value.real;
    if (!isfinite(number)) {
        common->losses[PW_LOSS_NOT_A_NUMBER]++;
        return;
    }
    if (is_same_sample(total, at_ns, number))
        return;
    struct pw_value value = pw_value_of(number);
    struct pw_otel_total sample = {
        .last = value, .last_at_ns = at_ns, .count = 1, .sum = value, .min = value, .max = value};
    pw_otel_total_add(total, &sample, PW_OTEL_GAUGE, NULL); /* without buckets it cannot fail */
}

int pw_series_add_to(const struct pw_series *series, enum pw_otel_type type,
                     struct pw_otel_total *into, struct pw_err *err)
{
    struct pw_otel_total arrived = {.points = series->points};
    int result;
    if (type == PW_OTEL_GAUGE)
        result = pw_otel_total_add(into, &series->settled, type, err);
    else if (type == PW_OTEL_SUM || type == PW_OTEL_UPDOWN)
        result = pw_series_sum_add_to(series, type, into, err);
    else
        result = pw_series_histogram_add_to(series, type, into, err);
    return result == 0 ? pw_otel_total_add(into, &arrived, type, err) : -1;
}
