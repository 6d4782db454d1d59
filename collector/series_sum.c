#include <math.h>
#include <stdlib.h>
#include "collector/series_impl.h"
#include "core/limits.h"

struct pw_series_stretch {
    uint64_t start, last_at;
    bool is_known; /* a difference can be told: it counts from zero, or there were two points */
    struct pw_number base, last;
};

static double real_of(struct pw_number number)
{
    return number.is_integer ? (double)number.integer : number.real;
}

static bool is_less(struct pw_number a, struct pw_number b)
{
    return a.is_integer && b.is_integer ? a.integer < b.integer : real_of(a) < real_of(b);
}

static struct pw_number difference(struct pw_number a, struct pw_number b)
{
    struct pw_number less = {.is_integer = true};
    if (a.is_integer && b.is_integer &&
        !__builtin_sub_overflow(a.integer, b.integer, &less.integer))
        return less;
    return (struct pw_number){.real = real_of(a) - real_of(b)};
}

/* Integers and the rest add up apart; what overflows in integers goes to the rest. */
struct tally {
    bool is_known;
    int64_t whole;
    double rest;
};

static void tally_add(struct tally *tally, struct pw_number number)
{
    int64_t sum;
    tally->is_known = true;
    if (!number.is_integer) {
        tally->rest += number.real;
    } else if (__builtin_add_overflow(tally->whole, number.integer, &sum)) {
        tally->rest += (double)tally->whole;
        tally->whole = number.integer;
    } else {
        tally->whole = sum;
    }
}

static void settle(struct pw_series *series, struct pw_number number)
{
    struct pw_value *rest = &series->settled.total;
    struct tally tally = {.whole = series->settled_whole,
                          .rest = pw_value_is_present(*rest) ? rest->number : 0.0};
    tally_add(&tally, number);
    series->settled_whole = tally.whole;
    if (isfinite(tally.rest)) /* beyond the largest double it stays there */
        *rest = pw_value_of(tally.rest);
}

void pw_series_sum_done(struct pw_series *series)
{
    free(series->stretches);
    series->stretches = NULL;
    series->stretch_count = 0;
}

static struct pw_series_stretch *find(const struct pw_series *series, uint64_t start)
{
    for (size_t i = series->stretch_count; i > 0; i--)
        if (series->stretches[i - 1].start == start)
            return &series->stretches[i - 1];
    return NULL;
}

/* Makes room in a full list: the stretch not heard of for longest goes into the settled part. */
static struct pw_series_stretch *replace_oldest(struct pw_series *series)
{
    struct pw_series_stretch *oldest = series->stretches;
    for (size_t i = 1; i < series->stretch_count; i++)
        if (series->stretches[i].last_at < oldest->last_at)
            oldest = &series->stretches[i];
    if (oldest->is_known)
        settle(series, difference(oldest->last, oldest->base));
    pw_series_forget(series, oldest->start);
    return oldest;
}

/* A place for one more; *ret_stretch stays NULL if there is none, which is counted. */
static int append(struct pw_series_common *common, struct pw_series *series, uint64_t start,
                  struct pw_series_stretch **ret_stretch, struct pw_err *err)
{
    size_t count = series->stretch_count;
    if (pw_series_is_forgotten(series, start) || (count > 0 && !pw_series_has_room(common))) {
        common->losses[PW_LOSS_SERIES_LIMIT]++;
        return 0;
    }
    if (count == PW_LIMIT_OTEL_STARTS) {
        *ret_stretch = replace_oldest(series);
        return 0;
    }
    struct pw_series_stretch *stretches =
        reallocarray(series->stretches, count + 1, sizeof *stretches);
    if (!stretches) {
        pw_err_memory(err);
        return -1;
    }
    common->bytes += sizeof *stretches;
    series->stretches = stretches;
    series->stretch_count++;
    *ret_stretch = &stretches[count];
    return 0;
}

static int take_cumulative(struct pw_series_common *common, struct pw_series *series,
                           bool is_monotonic, const struct pw_number_point *point,
                           struct pw_err *err)
{
    const struct pw_number zero = {.is_integer = true};
    struct pw_series_stretch *stretch = find(series, point->start);
    if (!stretch) {
        bool from_zero = pw_series_starts_at_zero(common, point->start, point->time);
        if (append(common, series, point->start, &stretch, err) != 0)
            return -1;
        if (!stretch)
            return 0;
        *stretch = (struct pw_series_stretch){
            .start = point->start, .is_known = from_zero, .base = from_zero ? zero : point->value};
    } else if (point->time < stretch->last_at) {
        return 0;
    } else {
        if (is_monotonic && is_less(point->value, stretch->last)) {
            settle(series, difference(stretch->last, stretch->base));
            stretch->base = zero;
        }
        stretch->is_known = true;
    }
    stretch->last = point->value;
    stretch->last_at = point->time;
    return 0;
}

int pw_series_take_sum(struct pw_series_common *common, struct pw_series *series,
                       enum pw_otel_type type, bool is_delta, const struct pw_number_point *point,
                       struct pw_err *err)
{
    double number = real_of(point->value);
    if (!isfinite(number)) {
        common->losses[PW_LOSS_NOT_A_NUMBER]++;
        return 0;
    }
    if (type == PW_OTEL_SUM && number < 0) {
        common->losses[PW_LOSS_INVALID_POINT]++;
        return 0;
    }
    if (!is_delta)
        return take_cumulative(common, series, type == PW_OTEL_SUM, point, err);
    if (pw_series_is_repeated(series, point->start, point->time))
        common->losses[PW_LOSS_REPEATED]++;
    else
        settle(series, point->value);
    return 0;
}

int pw_series_sum_add_to(const struct pw_series *series, enum pw_otel_type type,
                         struct pw_otel_total *into, struct pw_err *err)
{
    bool has_settled = pw_value_is_present(series->settled.total);
    struct tally tally = {.is_known = has_settled,
                          .whole = series->settled_whole,
                          .rest = has_settled ? series->settled.total.number : 0.0};
    const struct pw_series_stretch *newest = NULL;
    for (size_t i = 0; i < series->stretch_count; i++) {
        const struct pw_series_stretch *stretch = &series->stretches[i];
        if (stretch->is_known)
            tally_add(&tally, difference(stretch->last, stretch->base));
        if (!newest || stretch->last_at >= newest->last_at)
            newest = stretch;
    }
    struct pw_otel_total sum = {0};
    if (tally.is_known)
        sum.total = pw_value_of((double)tally.whole + tally.rest);
    if (newest && type == PW_OTEL_UPDOWN) {
        sum.last = pw_value_of(real_of(newest->last));
        sum.last_at_ns = newest->last_at > INT64_MAX ? INT64_MAX : (int64_t)newest->last_at;
    }
    return pw_otel_total_add(into, &sum, type, err);
}
