#include <stdlib.h>
#include "collector/series_impl.h"
#include "core/limits.h"

struct pw_series_state_stretch {
    uint64_t start, last_at;
    struct pw_otel_total base, last; /* base: empty if it counts from zero */
};

static void stretch_done(struct pw_series_common *common, struct pw_series_state_stretch *stretch)
{
    if (common)
        common->bytes -= pw_histogram_bytes(&stretch->base.histogram) +
                         pw_histogram_bytes(&stretch->last.histogram);
    pw_otel_total_done(&stretch->base);
    pw_otel_total_done(&stretch->last);
}

void pw_series_histogram_done(struct pw_series *series)
{
    for (size_t i = 0; i < series->stretch_count; i++)
        stretch_done(NULL, &series->state_stretches[i]);
    free(series->state_stretches);
    series->state_stretches = NULL;
    series->stretch_count = 0;
}

/* Whether the range lies where there are buckets already. */
static bool is_within(const struct pw_histogram_range *part, const struct pw_histogram_range *range)
{
    return part->count == 0 ||
           (part->offset >= range->offset && (int64_t)part->offset + (int64_t)part->count <=
                                                 (int64_t)range->offset + (int64_t)range->count);
}

/* Whether adding could take more memory. */
static bool may_grow(const struct pw_histogram *into, const struct pw_histogram *from)
{
    if (into->kind == PW_HISTOGRAM_NONE)
        return from->kind != PW_HISTOGRAM_NONE;
    return from->kind == PW_HISTOGRAM_EXPONENTIAL && into->kind == PW_HISTOGRAM_EXPONENTIAL &&
           !(is_within(&from->positive, &into->positive) &&
             is_within(&from->negative, &into->negative));
}

/* Adds to what is settled, and to the bytes. */
static int settle(struct pw_series_common *common, struct pw_series *series, enum pw_otel_type type,
                  const struct pw_otel_total *values, struct pw_err *err)
{
    size_t before = pw_histogram_bytes(&series->settled.histogram);
    int result = pw_otel_total_add(&series->settled, values, type, err);
    common->bytes += pw_histogram_bytes(&series->settled.histogram) - before;
    return result;
}

/* What was recorded between the first point of a stretch and its last, into empty *ret_less. */
static int difference(const struct pw_series_state_stretch *stretch, struct pw_otel_total *ret_less,
                      struct pw_err *err)
{
    const struct pw_otel_total *base = &stretch->base;
    struct pw_otel_total less = stretch->last;
    less.histogram = (struct pw_histogram){0};
    less.count -= base->count;
    if (base->count > 0) {
        less.min = less.max = pw_value_absent(PW_ABSENT_NOT_MEASURED);
        less.sum = pw_value_is_present(less.sum) && pw_value_is_present(base->sum)
                       ? pw_value_of(less.sum.number - base->sum.number)
                       : pw_value_absent(PW_ABSENT_NOT_MEASURED);
    }
    if (pw_histogram_copy(&less.histogram, &stretch->last.histogram, err) != 0)
        return -1;
    if (pw_histogram_subtract(&less.histogram, &base->histogram, err) != 0) {
        pw_otel_total_done(&less);
        return -1;
    }
    *ret_less = less;
    return 0;
}

static int settle_stretch(struct pw_series_common *common, struct pw_series *series,
                          enum pw_otel_type type, const struct pw_series_state_stretch *stretch,
                          struct pw_err *err)
{
    struct pw_otel_total less = {0};
    if (difference(stretch, &less, err) != 0)
        return -1;
    int result = settle(common, series, type, &less, err);
    pw_otel_total_done(&less);
    return result;
}

/* --- the list of stretches --- */

static struct pw_series_state_stretch *find(const struct pw_series *series, uint64_t start)
{
    for (size_t i = series->stretch_count; i > 0; i--)
        if (series->state_stretches[i - 1].start == start)
            return &series->state_stretches[i - 1];
    return NULL;
}

/* Takes the stretch not heard of for longest out of a full list, which is left with its last place
 * free. */
static int settle_oldest(struct pw_series_common *common, struct pw_series *series,
                         enum pw_otel_type type, struct pw_err *err)
{
    struct pw_series_state_stretch *oldest = series->state_stretches;
    for (size_t i = 1; i < series->stretch_count; i++)
        if (series->state_stretches[i].last_at < oldest->last_at)
            oldest = &series->state_stretches[i];
    if (settle_stretch(common, series, type, oldest, err) != 0)
        return -1;
    pw_series_forget(series, oldest->start);
    stretch_done(common, oldest);
    *oldest = series->state_stretches[--series->stretch_count];
    return 0;
}

/* A place for one more: not yet counted as one, but its memory is. */
static struct pw_series_state_stretch *reserve(struct pw_series_common *common,
                                               struct pw_series *series, struct pw_err *err)
{
    size_t count = series->stretch_count;
    if (count + 1 == PW_LIMIT_OTEL_STARTS && series->has_forgotten) /* by settle_oldest() */
        return &series->state_stretches[count];
    struct pw_series_state_stretch *stretches =
        reallocarray(series->state_stretches, count + 1, sizeof *stretches);
    if (!stretches) {
        pw_err_memory(err);
        return NULL;
    }
    series->state_stretches = stretches;
    common->bytes += sizeof *stretches;
    return &stretches[count];
}

/* --- cumulative points --- */

/* Takes the scratch histogram of `common` as that of the newest state. */
static void move_last(struct pw_series_common *common, struct pw_series_state_stretch *stretch,
                      const struct pw_histogram_point *point)
{
    struct pw_histogram before = stretch->last.histogram;
    common->bytes += pw_histogram_bytes(&common->incoming) - pw_histogram_bytes(&before);
    stretch->last = point->state;
    stretch->last.histogram = common->incoming;
    stretch->last_at = point->time;
    common->incoming = before;
}

static int begin_stretch(struct pw_series_common *common, struct pw_series *series,
                         enum pw_otel_type type, const struct pw_histogram_point *point,
                         struct pw_err *err)
{
    struct pw_series_state_stretch made = {.start = point->start};
    if (pw_series_is_forgotten(series, point->start) || !pw_series_has_room(common)) {
        common->losses[PW_LOSS_SERIES_LIMIT]++;
        return 0;
    }
    if (series->stretch_count == PW_LIMIT_OTEL_STARTS &&
        settle_oldest(common, series, type, err) != 0)
        return -1;
    struct pw_series_state_stretch *stretch = reserve(common, series, err);
    if (!stretch)
        return -1;
    if (!pw_series_starts_at_zero(common, point->start, point->time)) {
        made.base = point->state;
        made.base.histogram = (struct pw_histogram){0};
        if (pw_histogram_copy(&made.base.histogram, &common->incoming, err) != 0)
            return -1;
        common->bytes += pw_histogram_bytes(&made.base.histogram);
    }
    *stretch = made;
    series->stretch_count++;
    move_last(common, stretch, point);
    return 0;
}

/* Whether the point can be the stretch's state with more recorded. */
static bool follows(const struct pw_histogram_point *point, const struct pw_histogram *histogram,
                    const struct pw_otel_total *last)
{
    const struct pw_otel_total *state = &point->state;
    bool only_grows = pw_value_is_present(state->min) && state->min.number >= 0;
    bool fell = pw_value_is_present(state->sum) && pw_value_is_present(last->sum) &&
                state->sum.number < last->sum.number;
    return state->count >= last->count && !(fell && only_grows) &&
           pw_histogram_follows(histogram, &last->histogram);
}

static int take_cumulative(struct pw_series_common *common, struct pw_series *series,
                           enum pw_otel_type type, const struct pw_histogram_point *point,
                           struct pw_err *err)
{
    struct pw_series_state_stretch *stretch = find(series, point->start);
    if (stretch && point->time < stretch->last_at)
        return 0;
    if (pw_histogram_copy(&common->incoming, &point->state.histogram, err) != 0)
        return -1;
    if (!stretch)
        return begin_stretch(common, series, type, point, err);
    if (pw_histogram_bytes(&common->incoming) > pw_histogram_bytes(&stretch->last.histogram) &&
        !pw_series_has_room(common)) {
        common->losses[PW_LOSS_SERIES_LIMIT]++;
        return 0;
    }
    if (!follows(point, &common->incoming, &stretch->last)) {
        if (settle_stretch(common, series, type, stretch, err) != 0)
            return -1;
        common->bytes -= pw_histogram_bytes(&stretch->base.histogram);
        pw_otel_total_done(&stretch->base);
    }
    move_last(common, stretch, point);
    return 0;
}

int pw_series_take_histogram(struct pw_series_common *common, struct pw_series *series,
                             enum pw_otel_type type, bool is_delta,
                             const struct pw_histogram_point *point, struct pw_err *err)
{
    if (!is_delta)
        return take_cumulative(common, series, type, point, err);
    if (!pw_series_has_room(common) &&
        may_grow(&series->settled.histogram, &point->state.histogram)) {
        common->losses[PW_LOSS_SERIES_LIMIT]++;
        return 0;
    }
    if (pw_series_is_repeated(series, point->start, point->time)) {
        common->losses[PW_LOSS_REPEATED]++;
        return 0;
    }
    return settle(common, series, type, &point->state, err);
}

int pw_series_histogram_add_to(const struct pw_series *series, enum pw_otel_type type,
                               struct pw_otel_total *into, struct pw_err *err)
{
    int result = pw_otel_total_add(into, &series->settled, type, err);
    for (size_t i = 0; i < series->stretch_count && result == 0; i++) {
        struct pw_otel_total less = {0};
        result = difference(&series->state_stretches[i], &less, err);
        if (result == 0)
            result = pw_otel_total_add(into, &less, type, err);
        pw_otel_total_done(&less);
    }
    return result;
}
