#include "collector/series_table.h"

#include <stdlib.h>
#include <string.h>
#include "collector/points.h"
#include "core/limits.h"

enum { FIRST_CAPACITY = 16 };

/* OTLP's DataPointFlags: the series has ended, the point has no value. */
enum { FLAG_NO_RECORDED_VALUE = 1 };

void pw_series_table_done(struct pw_series_table *table)
{
    for (size_t i = 0; i < table->identities.count; i++)
        pw_series_done(&table->series[i], table->metric_list[table->series[i].metric].type);
    free(table->series);
    free(table->metric_list);
    pw_intern_done(&table->resources);
    pw_intern_done(&table->scopes);
    pw_intern_done(&table->metrics);
    pw_intern_done(&table->identities);
    pw_histogram_done(&table->common.incoming);
    pw_attribute_sorter_done(&table->sorter);
    pw_bytes_done(&table->key);
    *table = (struct pw_series_table){0};
}

/* The list with room for one element more behind `count`, or NULL; capacities double. */
static void *grown(void *list, size_t *capacity, size_t count, size_t size)
{
    if (count < *capacity)
        return list;
    size_t wanted = *capacity > 0 ? *capacity * 2 : FIRST_CAPACITY;
    void *moved = reallocarray(list, wanted, size);
    if (moved)
        *capacity = wanted;
    return moved;
}

/* Looks up the key that was put together; what is not known is taken only within the limits, with
 * `bytes` for what belongs to it. Known keys are found over the limits too. */
static uint32_t look_up(struct pw_series_table *table, struct pw_intern *intern, size_t bytes,
                        bool *ret_new)
{
    size_t before = intern->key_bytes;
    if (table->key.failed) {
        table->key.failed = false;
        table->failed = true;
        return PW_INTERN_NONE;
    }
    bool has_room = table->common.bytes + table->key.size + bytes <= PW_LIMIT_OTEL_SERIES_BYTES;
    size_t limit = has_room ? PW_LIMIT_OTEL_SERIES : 0;
    uint32_t number = pw_intern_put(intern, table->key.data, table->key.size, limit, ret_new);
    if (number == PW_INTERN_NONE)
        table->failed = table->failed || intern->count < limit;
    else if (*ret_new)
        table->common.bytes += intern->key_bytes - before + bytes;
    return number;
}

/* --- levels of identity --- */

static uint32_t find_resource(struct pw_series_table *table, const Otlp__Resource *resource)
{
    bool is_new;
    table->key.size = 0;
    pw_bytes_add(&table->key, "r", 1); /* so that no key is NULL */
    if (resource)
        pw_attributes_encode(&table->sorter, resource->attributes, resource->n_attributes,
                             &table->key);
    return look_up(table, &table->resources, 0, &is_new);
}

static uint32_t find_scope(struct pw_series_table *table, const Otlp__InstrumentationScope *scope)
{
    bool is_new;
    const char *name = scope ? scope->name : "";
    const char *version = scope ? scope->version : "";
    table->key.size = 0;
    pw_bytes_add(&table->key, name, strlen(name) + 1);
    pw_bytes_add(&table->key, version, strlen(version) + 1);
    if (scope)
        pw_attributes_encode(&table->sorter, scope->attributes, scope->n_attributes, &table->key);
    return look_up(table, &table->scopes, 0, &is_new);
}

/* Where a block's points come from; looked up when the first of its points is. */
struct block {
    const Otlp__Resource *resource;
    const Otlp__InstrumentationScope *scope;
    bool has_resource, has_scope;
    uint32_t resource_number, scope_number;
};

/* What is behind the block in a metric's key, in front of name and unit. */
struct metric_key {
    uint32_t resource, scope;
    uint8_t type, temporality;
};

/* What the points of one metric in one request share. */
struct metric_points {
    uint32_t metric;
    enum pw_otel_type type;
    bool is_delta;
};

static uint32_t find_metric(struct pw_series_table *table, struct block *block,
                            const Otlp__Metric *metric, enum pw_otel_type type, int temporality)
{
    struct metric_key head;
    memset(&head, 0, sizeof head); /* padding too, for it is compared */
    if (!block->has_resource)
        block->resource_number = find_resource(table, block->resource);
    if (!block->has_scope)
        block->scope_number = find_scope(table, block->scope);
    block->has_resource = block->has_scope = true;
    if (block->resource_number == PW_INTERN_NONE || block->scope_number == PW_INTERN_NONE)
        return PW_INTERN_NONE;
    head.resource = block->resource_number;
    head.scope = block->scope_number;
    head.type = (uint8_t)type;
    head.temporality = (uint8_t)temporality;
    size_t name_length = pw_name_length(metric->name);
    size_t unit_length = pw_name_length(metric->unit);
    table->key.size = 0;
    pw_bytes_add(&table->key, &head, sizeof head);
    pw_bytes_add(&table->key, metric->name, name_length);
    pw_bytes_add(&table->key, "", 1);
    pw_bytes_add(&table->key, metric->unit, unit_length);
    pw_bytes_add(&table->key, "", 1);
    struct pw_series_metric *list = grown(table->metric_list, &table->metric_capacity,
                                          table->metrics.count, sizeof *table->metric_list);
    if (!list) {
        table->failed = true;
        return PW_INTERN_NONE;
    }
    table->metric_list = list;
    bool is_new;
    uint32_t number = look_up(table, &table->metrics, sizeof *table->metric_list, &is_new);
    if (number != PW_INTERN_NONE && is_new) {
        size_t size;
        const char *key = pw_intern_key(&table->metrics, number, &size);
        table->metric_list[number] = (struct pw_series_metric){
            .name = key + sizeof head, .unit = key + sizeof head + name_length + 1, .type = type};
    }
    return number;
}

/* The series of a point that has a value; NULL otherwise, with the loss counted. */
static struct pw_series *find_series(struct pw_series_table *table,
                                     const struct metric_points *points,
                                     Otlp__KeyValue *const *attributes, size_t count,
                                     uint32_t flags)
{
    uint64_t *losses = table->common.losses;
    bool is_new;
    if (count > PW_LIMIT_OTEL_ATTRIBUTES) {
        losses[PW_LOSS_INVALID_POINT]++;
        return NULL;
    }
    struct pw_series *list = grown(table->series, &table->series_capacity, table->identities.count,
                                   sizeof *table->series);
    if (!list) {
        table->failed = true;
        return NULL;
    }
    table->series = list;
    table->key.size = 0;
    pw_bytes_add(&table->key, &points->metric, sizeof points->metric);
    pw_attributes_encode(&table->sorter, attributes, count, &table->key);
    uint32_t number = look_up(table, &table->identities, sizeof *table->series, &is_new);
    if (number == PW_INTERN_NONE) {
        losses[PW_LOSS_SERIES_LIMIT] += !table->failed;
        return NULL;
    }
    struct pw_series *series = &table->series[number];
    if (is_new)
        *series = (struct pw_series){.metric = points->metric};
    series->points++;
    if (flags & FLAG_NO_RECORDED_VALUE) {
        losses[PW_LOSS_NO_VALUE]++;
        return NULL;
    }
    return series;
}

/* --- points --- */

static void take_numbers(struct pw_series_table *table, const struct metric_points *points,
                         Otlp__NumberDataPoint *const *list, size_t count)
{
    for (size_t i = 0; i < count && !table->failed; i++) {
        struct pw_number_point point;
        struct pw_series *series =
            find_series(table, points, list[i]->attributes, list[i]->n_attributes, list[i]->flags);
        if (!series)
            continue;
        if (!pw_point_of_number(list[i], &point))
            table->common.losses[PW_LOSS_INVALID_POINT]++;
        else if (points->type == PW_OTEL_GAUGE)
            pw_series_take_gauge(&table->common, series, &point);
        else if (pw_series_take_sum(&table->common, series, points->type, points->is_delta, &point,
                                    NULL) != 0)
            table->failed = true;
    }
}

static void take_histogram(struct pw_series_table *table, const struct metric_points *points,
                           struct pw_series *series, const struct pw_histogram_point *point)
{
    if (pw_series_take_histogram(&table->common, series, points->type, points->is_delta, point,
                                 NULL) != 0)
        table->failed = true;
}

static void take_histograms(struct pw_series_table *table, const struct metric_points *points,
                            const Otlp__Histogram *histogram)
{
    for (size_t i = 0; i < histogram->n_data_points && !table->failed; i++) {
        struct pw_histogram_point point;
        const Otlp__HistogramDataPoint *from = histogram->data_points[i];
        struct pw_series *series =
            find_series(table, points, from->attributes, from->n_attributes, from->flags);
        if (!series)
            continue;
        if (pw_point_of_histogram(from, &point))
            take_histogram(table, points, series, &point);
        else
            table->common.losses[PW_LOSS_INVALID_POINT]++;
    }
}

static void take_exponentials(struct pw_series_table *table, const struct metric_points *points,
                              const Otlp__ExponentialHistogram *histogram)
{
    for (size_t i = 0; i < histogram->n_data_points && !table->failed; i++) {
        struct pw_histogram_point point;
        const Otlp__ExponentialHistogramDataPoint *from = histogram->data_points[i];
        struct pw_series *series =
            find_series(table, points, from->attributes, from->n_attributes, from->flags);
        if (!series)
            continue;
        if (pw_point_of_exponential(from, &point))
            take_histogram(table, points, series, &point);
        else
            table->common.losses[PW_LOSS_INVALID_POINT]++;
    }
}

static void take_summaries(struct pw_series_table *table, const struct metric_points *points,
                           const Otlp__Summary *summary)
{
    for (size_t i = 0; i < summary->n_data_points && !table->failed; i++) {
        struct pw_histogram_point point;
        const Otlp__SummaryDataPoint *from = summary->data_points[i];
        struct pw_series *series =
            find_series(table, points, from->attributes, from->n_attributes, from->flags);
        if (!series)
            continue;
        pw_point_of_summary(from, &point);
        take_histogram(table, points, series, &point);
    }
}

/* --- metrics --- */

/* A metric's kind of points. */
struct shape {
    enum pw_otel_type type;
    int temporality;
    size_t count;
};

/* False for a kind that a later version of OTLP may have. */
static bool shape_of(const Otlp__Metric *metric, struct shape *ret_shape)
{
    const int none = OTLP__AGGREGATION_TEMPORALITY__DELTA;        /* gauges have none */
    const int summed = OTLP__AGGREGATION_TEMPORALITY__CUMULATIVE; /* summaries always are */
    switch (metric->data_case) {
    case OTLP__METRIC__DATA_GAUGE:
        *ret_shape = (struct shape){PW_OTEL_GAUGE, none, metric->gauge->n_data_points};
        return true;
    case OTLP__METRIC__DATA_SUM:
        *ret_shape =
            (struct shape){metric->sum->is_monotonic ? PW_OTEL_SUM : PW_OTEL_UPDOWN,
                           (int)metric->sum->aggregation_temporality, metric->sum->n_data_points};
        return true;
    case OTLP__METRIC__DATA_HISTOGRAM:
        *ret_shape =
            (struct shape){PW_OTEL_HISTOGRAM, (int)metric->histogram->aggregation_temporality,
                           metric->histogram->n_data_points};
        return true;
    case OTLP__METRIC__DATA_EXPONENTIAL_HISTOGRAM:
        *ret_shape = (struct shape){PW_OTEL_EXPONENTIAL_HISTOGRAM,
                                    (int)metric->exponential_histogram->aggregation_temporality,
                                    metric->exponential_histogram->n_data_points};
        return true;
    case OTLP__METRIC__DATA_SUMMARY:
        *ret_shape = (struct shape){PW_OTEL_SUMMARY, summed, metric->summary->n_data_points};
        return true;
    case OTLP__METRIC__DATA__NOT_SET:
    default: return false;
    }
}

static void take_metric(struct pw_series_table *table, struct block *block,
                        const Otlp__Metric *metric)
{
    struct shape shape;
    if (!shape_of(metric, &shape) || shape.count == 0)
        return;
    bool is_delta = shape.temporality == OTLP__AGGREGATION_TEMPORALITY__DELTA;
    bool is_valid = is_delta || shape.temporality == OTLP__AGGREGATION_TEMPORALITY__CUMULATIVE;
    uint32_t number =
        find_metric(table, block, metric, shape.type, is_valid ? shape.temporality : 0);
    if (table->failed)
        return;
    table->datapoints += shape.count;
    if (number == PW_INTERN_NONE) {
        table->common.losses[PW_LOSS_SERIES_LIMIT] += shape.count;
        return;
    }
    table->metric_list[number].points += shape.count;
    if (!is_valid) {
        table->common.losses[PW_LOSS_INVALID_POINT] += shape.count;
        return;
    }
    struct metric_points points = {.metric = number, .type = shape.type, .is_delta = is_delta};
    if (shape.type == PW_OTEL_GAUGE)
        take_numbers(table, &points, metric->gauge->data_points, shape.count);
    else if (shape.type == PW_OTEL_SUM || shape.type == PW_OTEL_UPDOWN)
        take_numbers(table, &points, metric->sum->data_points, shape.count);
    else if (shape.type == PW_OTEL_HISTOGRAM)
        take_histograms(table, &points, metric->histogram);
    else if (shape.type == PW_OTEL_EXPONENTIAL_HISTOGRAM)
        take_exponentials(table, &points, metric->exponential_histogram);
    else
        take_summaries(table, &points, metric->summary);
}

int pw_series_table_add(struct pw_series_table *table, const Otlp__MetricsRequest *request,
                        struct pw_err *err)
{
    table->failed = false;
    for (size_t i = 0; i < request->n_resource_metrics; i++) {
        const Otlp__ResourceMetrics *of_resource = request->resource_metrics[i];
        struct block block = {.resource = of_resource->resource};
        for (size_t j = 0; j < of_resource->n_scope_metrics; j++) {
            const Otlp__ScopeMetrics *of_scope = of_resource->scope_metrics[j];
            block.scope = of_scope->scope;
            block.has_scope = false;
            for (size_t k = 0; k < of_scope->n_metrics && !table->failed; k++)
                take_metric(table, &block, of_scope->metrics[k]);
        }
    }
    if (table->failed) {
        pw_err_memory(err);
        return -1;
    }
    return 0;
}
