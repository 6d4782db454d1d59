#include "collector/points.h"

#include <float.h>
#include <math.h>

bool pw_point_of_number(const Otlp__NumberDataPoint *from, struct pw_number_point *ret_point)
{
    struct pw_number value = {0};
    switch (from->value_case) {
    case OTLP__NUMBER_DATA_POINT__VALUE_AS_INT:
        value.is_integer = true;
        value.integer = from->as_int;
        break;
    case OTLP__NUMBER_DATA_POINT__VALUE_AS_DOUBLE: value.real = from->as_double; break;
    case OTLP__NUMBER_DATA_POINT__VALUE__NOT_SET:
    default: return false;
    }
    *ret_point = (struct pw_number_point){
        .start = from->start_time_unix_nano, .time = from->time_unix_nano, .value = value};
    return true;
}

/* Adds the values of some buckets; false if that overflows. */
static bool add_counts(const uint64_t *counts, size_t count, uint64_t *sum)
{
    uint64_t total = *sum;
    for (size_t i = 0; i < count; i++)
        if (__builtin_add_overflow(total, counts[i], &total))
            return false;
    *sum = total;
    return true;
}

static bool are_bounds(const double *bounds, size_t count)
{
    double before = -INFINITY;
    for (size_t i = 0; i < count; i++) {
        if (!(bounds[i] > before) || bounds[i] > DBL_MAX)
            return false;
        before = bounds[i];
    }
    return true;
}

static bool is_order(struct pw_value min, struct pw_value max)
{
    return !pw_value_is_present(min) || !pw_value_is_present(max) || min.number <= max.number;
}

/* Absent also if it is not finite. */
static struct pw_value value_if(bool present, double number)
{
    return present ? pw_value_of(number) : pw_value_absent(PW_ABSENT_NOT_MEASURED);
}

bool pw_point_of_histogram(const Otlp__HistogramDataPoint *from,
                           struct pw_histogram_point *ret_point)
{
    struct pw_histogram_point point = {.start = from->start_time_unix_nano,
                                       .time = from->time_unix_nano};
    point.state.count = from->count;
    point.state.sum =
        value_if(from->_sum_case != OTLP__HISTOGRAM_DATA_POINT___SUM__NOT_SET, from->sum);
    point.state.min =
        value_if(from->_min_case != OTLP__HISTOGRAM_DATA_POINT___MIN__NOT_SET, from->min);
    point.state.max =
        value_if(from->_max_case != OTLP__HISTOGRAM_DATA_POINT___MAX__NOT_SET, from->max);
    if (!is_order(point.state.min, point.state.max))
        return false;
    if (from->n_bucket_counts > 0 || from->n_explicit_bounds > 0) {
        uint64_t sum = 0;
        if (from->n_bucket_counts != from->n_explicit_bounds + 1 ||
            !are_bounds(from->explicit_bounds, from->n_explicit_bounds) ||
            !add_counts(from->bucket_counts, from->n_bucket_counts, &sum) || sum != from->count)
            return false;
        point.state.histogram = (struct pw_histogram){.kind = PW_HISTOGRAM_EXPLICIT,
                                                      .bounds = from->explicit_bounds,
                                                      .counts = from->bucket_counts,
                                                      .bucket_count = from->n_bucket_counts};
    }
    *ret_point = point;
    return true;
}

/* Whether each populated bucket (base^i, base^(i+1)] has numbers between 2^-1074 and 2^1024. */
static bool range_is_valid(const Otlp__Buckets *buckets, int32_t scale)
{
    size_t first = 0;
    size_t end = buckets->n_bucket_counts;
    while (first < end && buckets->bucket_counts[first] == 0)
        first++;
    while (end > first && buckets->bucket_counts[end - 1] == 0)
        end--;
    if (first == end)
        return true;
    int exponent = scale < -5000 ? 5000 : scale > 5000 ? -5000 : -scale;
    double lowest = (double)buckets->offset + (double)first;
    double highest = (double)buckets->offset + (double)end - 1;
    return ldexp(highest, exponent) < DBL_MAX_EXP &&
           ldexp(lowest + 1, exponent) >= DBL_MIN_EXP - DBL_MANT_DIG;
}

static bool take_range(const Otlp__Buckets *buckets, int32_t scale,
                       struct pw_histogram_range *range, uint64_t *sum)
{
    if (!buckets)
        return true;
    *range = (struct pw_histogram_range){.offset = buckets->offset,
                                         .counts = buckets->bucket_counts,
                                         .count = buckets->n_bucket_counts};
    return range_is_valid(buckets, scale) && add_counts(range->counts, range->count, sum);
}

bool pw_point_of_exponential(const Otlp__ExponentialHistogramDataPoint *from,
                             struct pw_histogram_point *ret_point)
{
    struct pw_histogram_point point = {.start = from->start_time_unix_nano,
                                       .time = from->time_unix_nano};
    struct pw_histogram *histogram = &point.state.histogram;
    uint64_t sum = from->zero_count;
    point.state.count = from->count;
    point.state.sum = value_if(
        from->_sum_case != OTLP__EXPONENTIAL_HISTOGRAM_DATA_POINT___SUM__NOT_SET, from->sum);
    point.state.min = value_if(
        from->_min_case != OTLP__EXPONENTIAL_HISTOGRAM_DATA_POINT___MIN__NOT_SET, from->min);
    point.state.max = value_if(
        from->_max_case != OTLP__EXPONENTIAL_HISTOGRAM_DATA_POINT___MAX__NOT_SET, from->max);
    *histogram = (struct pw_histogram){.kind = PW_HISTOGRAM_EXPONENTIAL,
                                       .scale = from->scale,
                                       .zero_threshold = from->zero_threshold,
                                       .zero_count = from->zero_count};
    if (!is_order(point.state.min, point.state.max) ||
        !(from->zero_threshold >= 0 && from->zero_threshold <= DBL_MAX) ||
        !take_range(from->positive, from->scale, &histogram->positive, &sum) ||
        !take_range(from->negative, from->scale, &histogram->negative, &sum) || sum != from->count)
        return false;
    *ret_point = point;
    return true;
}

void pw_point_of_summary(const Otlp__SummaryDataPoint *from, struct pw_histogram_point *ret_point)
{
    struct pw_histogram_point point = {.start = from->start_time_unix_nano,
                                       .time = from->time_unix_nano};
    point.state.count = from->count;
    point.state.sum = pw_value_of(from->sum);
    *ret_point = point;
}
