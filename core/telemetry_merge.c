#include <stdlib.h>
#include <string.h>
#include "core/limits.h"
#include "core/saturate.h"
#include "core/telemetry.h"

/* Names that carry ids are new in every iteration: what is merged is bounded as each part is. */
static void lose(struct pw_telemetry *into, enum pw_loss loss, uint64_t count)
{
    into->losses[loss] = pw_add_saturated(into->losses[loss], count);
}

/* --- attribute sets --- */

static int compare_sets(const void *left, const void *right)
{
    const struct pw_otel_set *a = left;
    const struct pw_otel_set *b = right;
    return strcmp(a->attributes, b->attributes);
}

static void drop_sets(struct pw_otel_metric *metric)
{
    for (size_t i = 0; i < metric->set_count; i++) {
        free(metric->sets[i].attributes);
        pw_otel_total_done(&metric->sets[i].total);
    }
    free(metric->sets);
    free(metric->attributes);
    metric->sets = NULL;
    metric->set_count = 0;
    metric->attributes = NULL;
}

/* Adds to the set of these attributes; with one set too many, all are dropped. Room for it is
 * there. */
static int add_set(struct pw_otel_metric *metric, const char *attributes,
                   const struct pw_otel_total *total, struct pw_err *err)
{
    struct pw_otel_set *found = NULL;
    for (size_t i = 0; i < metric->set_count && !found; i++) {
        found = strcmp(metric->sets[i].attributes, attributes) == 0 ? &metric->sets[i] : NULL;
    }
    if (!found && metric->set_count == PW_LIMIT_OTEL_SETS) {
        drop_sets(metric);
        metric->sets_dropped = true;
        return 0;
    }
    if (!found) {
        char *copy = strdup(attributes);
        if (!copy) {
            pw_err_memory(err);
            return -1;
        }
        found = &metric->sets[metric->set_count++];
        *found = (struct pw_otel_set){.attributes = copy};
    }
    return pw_otel_total_add(&found->total, total, metric->type, err);
}

/* From one set that is not listed, whose numbers are the metric's, to a list, and back. */
static int list_sets(struct pw_otel_metric *metric, struct pw_err *err)
{
    struct pw_otel_set *sets = reallocarray(metric->sets, PW_LIMIT_OTEL_SETS, sizeof(*sets));
    if (!sets) {
        pw_err_memory(err);
        return -1;
    }
    metric->sets = sets;
    if (!metric->attributes) {
        return 0;
    }
    sets[0] = (struct pw_otel_set){.attributes = metric->attributes};
    metric->attributes = NULL;
    metric->set_count = 1;
    return pw_otel_total_add(&sets[0].total, &metric->total, metric->type, err);
}

static void unlist_single_set(struct pw_otel_metric *metric)
{
    if (metric->set_count > 1) {
        qsort(metric->sets, metric->set_count, sizeof(*metric->sets), compare_sets);
        return;
    }
    char *attributes = NULL;
    if (metric->set_count == 1) {
        attributes = metric->sets[0].attributes;
        metric->sets[0].attributes = NULL;
    }
    drop_sets(metric);
    metric->attributes = attributes;
}

/* Before the metrics' totals are added. */
static int merge_sets(struct pw_otel_metric *into, const struct pw_otel_metric *from,
                      struct pw_err *err)
{
    if (into->sets_dropped || from->sets_dropped) {
        drop_sets(into);
        into->sets_dropped = true;
        return 0;
    }
    if (list_sets(into, err) != 0) {
        return -1;
    }
    int result = from->attributes ? add_set(into, from->attributes, &from->total, err) : 0;
    for (size_t i = 0; i < from->set_count && !into->sets_dropped && result == 0; i++) {
        result = add_set(into, from->sets[i].attributes, &from->sets[i].total, err);
    }
    if (!into->sets_dropped) {
        unlist_single_set(into);
    }
    return result;
}

/* --- metrics --- */

static int compare_metrics(const void *left, const void *right)
{
    const struct pw_otel_metric *a = left;
    const struct pw_otel_metric *b = right;
    int order = strcmp(a->name, b->name);
    if (order == 0) {
        order = (a->type > b->type) - (a->type < b->type);
    }
    return order != 0 ? order : strcmp(a->unit, b->unit);
}

void pw_otel_metric_done(struct pw_otel_metric *metric)
{
    drop_sets(metric);
    pw_otel_total_done(&metric->total);
    free(metric->name);
    free(metric->unit);
    *metric = (struct pw_otel_metric){0};
}

int pw_otel_metric_add(struct pw_otel_metric *into, const struct pw_otel_metric *from,
                       struct pw_err *err)
{
    if (merge_sets(into, from, err) != 0) {
        return -1;
    }
    return pw_otel_total_add(&into->total, &from->total, into->type, err);
}

/* An empty one with the names of `like`. */
static int metric_start(struct pw_otel_metric *metric, const struct pw_otel_metric *like,
                        struct pw_err *err)
{
    struct pw_otel_metric made = {.type = like->type, .families = like->families};
    made.name = strdup(like->name);
    made.unit = strdup(like->unit);
    if (!made.name || !made.unit) {
        pw_otel_metric_done(&made);
        pw_err_memory(err);
        return -1;
    }
    *metric = made;
    return 0;
}

static int merge_metrics(struct pw_telemetry *into, const struct pw_telemetry *from,
                         struct pw_err *err)
{
    size_t sorted = into->metric_count;
    if (from->metric_count == 0) {
        return 0;
    }
    struct pw_otel_metric *metrics =
        reallocarray(into->metrics, sorted + from->metric_count, sizeof(*metrics));
    if (!metrics) {
        pw_err_memory(err);
        return -1;
    }
    into->metrics = metrics;
    int result = 0;
    for (size_t i = 0; i < from->metric_count && result == 0; i++) {
        const struct pw_otel_metric *metric = &from->metrics[i];
        struct pw_otel_metric *found =
            sorted > 0 ? bsearch(metric, metrics, sorted, sizeof(*metric), compare_metrics) : NULL;
        if (!found && into->metric_count >= PW_LIMIT_OTEL_SERIES) {
            lose(into, PW_LOSS_SERIES_LIMIT, metric->total.points);
            continue;
        }
        if (!found) {
            found = &metrics[into->metric_count];
            result = metric_start(found, metric, err);
            into->metric_count += result == 0;
        }
        if (result == 0) {
            result = pw_otel_metric_add(found, metric, err);
        }
    }
    return result;
}

/* --- actions --- */

static int compare_actions(const void *left, const void *right)
{
    const struct pw_otel_action *a = left;
    const struct pw_otel_action *b = right;
    int order = strcmp(a->name, b->name);
    return order != 0 ? order : (a->source > b->source) - (a->source < b->source);
}

static struct pw_value scaled(struct pw_value value, double factor)
{
    return pw_value_is_present(value) ? pw_value_of(value.number * factor) : value;
}

static int merge_action(struct pw_otel_action *into, const struct pw_otel_action *from,
                        struct pw_err *err)
{
    struct pw_otel_total total = from->total; /* borrows the histogram */
    if (into->total.count == 0) {
        into->unit_ms = from->unit_ms;
    }
    if (from->unit_ms != into->unit_ms && into->unit_ms > 0) {
        double factor = from->unit_ms / into->unit_ms;
        total.sum = scaled(total.sum, factor);
        total.min = scaled(total.min, factor);
        total.max = scaled(total.max, factor);
        total.histogram = (struct pw_histogram){.kind = PW_HISTOGRAM_MIXED};
    }
    if (pw_durations_merge(&into->durations, &from->durations, err) != 0 ||
        pw_otel_total_add(&into->total, &total, PW_OTEL_HISTOGRAM, err) != 0) {
        return -1;
    }
    into->failures = pw_add_saturated(into->failures, from->failures);
    return 0;
}

struct pw_otel_action *pw_telemetry_add_action(struct pw_telemetry *telemetry, const char *name,
                                               enum pw_action_source source, struct pw_err *err)
{
    size_t count = telemetry->action_count;
    struct pw_otel_action *actions = telemetry->actions;
    if ((count & (count - 1)) == 0) { /* maybe full: capacities are powers of two */
        actions = reallocarray(actions, count > 0 ? 2 * count : 1, sizeof(*actions));
    }
    char *copy = strdup(name);
    if (actions) {
        telemetry->actions = actions;
    }
    if (!actions || !copy) {
        free(copy);
        pw_err_memory(err);
        return NULL;
    }
    actions[count] = (struct pw_otel_action){.name = copy, .source = source};
    telemetry->action_count++;
    return &actions[count];
}

static int merge_actions(struct pw_telemetry *into, const struct pw_telemetry *from,
                         struct pw_err *err)
{
    size_t sorted = into->action_count;
    for (size_t i = 0; i < from->action_count; i++) {
        const struct pw_otel_action *action = &from->actions[i];
        struct pw_otel_action *found = NULL;
        if (sorted > 0) {
            found = bsearch(action, into->actions, sorted, sizeof(*action), compare_actions);
        }
        if (!found && into->action_count >= (size_t)PW_LIMIT_OTEL_NAMES * PW_ACTION_SOURCE_COUNT) {
            lose(into, PW_LOSS_NAME_LIMIT,
                 pw_add_saturated(action->durations.count, action->total.count));
            continue;
        }
        if (!found) {
            found = pw_telemetry_add_action(into, action->name, action->source, err);
        }
        if (!found || merge_action(found, action, err) != 0) {
            return -1;
        }
    }
    return 0;
}

/* --- spans --- */

static int compare_spans(const void *left, const void *right)
{
    const struct pw_otel_span *a = left;
    const struct pw_otel_span *b = right;
    return strcmp(a->name, b->name);
}

static int merge_span(struct pw_otel_span *into, const struct pw_otel_span *from,
                      struct pw_err *err)
{
    if (pw_durations_merge(&into->durations, &from->durations, err) != 0) {
        return -1;
    }
    into->errors = pw_add_saturated(into->errors, from->errors);
    into->self_ms += from->self_ms;
    return 0;
}

static int merge_spans(struct pw_telemetry *into, const struct pw_telemetry *from,
                       struct pw_err *err)
{
    size_t sorted = into->span_name_count;
    if (from->span_name_count == 0) {
        return 0;
    }
    struct pw_otel_span *spans =
        reallocarray(into->span_names, sorted + from->span_name_count, sizeof(*spans));
    if (!spans) {
        pw_err_memory(err);
        return -1;
    }
    into->span_names = spans;
    int result = 0;
    for (size_t i = 0; i < from->span_name_count && result == 0; i++) {
        const struct pw_otel_span *span = &from->span_names[i];
        struct pw_otel_span *found =
            sorted > 0 ? bsearch(span, spans, sorted, sizeof(*span), compare_spans) : NULL;
        if (!found && into->span_name_count >= PW_LIMIT_OTEL_NAMES) {
            lose(into, PW_LOSS_NAME_LIMIT, span->durations.count);
            continue;
        }
        if (!found) {
            found = &spans[into->span_name_count];
            *found = (struct pw_otel_span){.name = strdup(span->name)};
            result = found->name ? 0 : -1;
            into->span_name_count += result == 0;
        }
        if (result != 0) {
            pw_err_memory(err);
        } else {
            result = merge_span(found, span, err);
        }
    }
    return result;
}

/* --- all of it --- */

void pw_telemetry_done(struct pw_telemetry *telemetry)
{
    for (size_t i = 0; i < telemetry->metric_count; i++) {
        pw_otel_metric_done(&telemetry->metrics[i]);
    }
    for (size_t i = 0; i < telemetry->action_count; i++) {
        free(telemetry->actions[i].name);
        pw_durations_done(&telemetry->actions[i].durations);
        pw_otel_total_done(&telemetry->actions[i].total);
    }
    for (size_t i = 0; i < telemetry->span_name_count; i++) {
        free(telemetry->span_names[i].name);
        pw_durations_done(&telemetry->span_names[i].durations);
    }
    free(telemetry->metrics);
    free(telemetry->actions);
    free(telemetry->span_names);
    *telemetry = (struct pw_telemetry){0};
}

static void sort(void *items, size_t count, size_t size, int (*compare)(const void *, const void *))
{
    if (count > 1) {
        qsort(items, count, size, compare);
    }
}

void pw_telemetry_sort(struct pw_telemetry *telemetry)
{
    sort(telemetry->metrics, telemetry->metric_count, sizeof(*telemetry->metrics), compare_metrics);
    sort(telemetry->actions, telemetry->action_count, sizeof(*telemetry->actions), compare_actions);
    sort(telemetry->span_names, telemetry->span_name_count, sizeof(*telemetry->span_names),
         compare_spans);
}

int pw_telemetry_merge(struct pw_telemetry *into, const struct pw_telemetry *from,
                       struct pw_err *err)
{
    for (int signal = 0; signal < PW_SIGNAL_COUNT; signal++) {
        into->payloads[signal] = pw_add_saturated(into->payloads[signal], from->payloads[signal]);
    }
    for (int loss = 0; loss < PW_LOSS_COUNT; loss++) {
        into->losses[loss] = pw_add_saturated(into->losses[loss], from->losses[loss]);
    }
    into->bytes = pw_add_saturated(into->bytes, from->bytes);
    into->datapoints = pw_add_saturated(into->datapoints, from->datapoints);
    into->spans = pw_add_saturated(into->spans, from->spans);
    into->log_records = pw_add_saturated(into->log_records, from->log_records);
    into->joined_spans = pw_add_saturated(into->joined_spans, from->joined_spans);
    bool failed = merge_metrics(into, from, err) != 0 || merge_actions(into, from, err) != 0 ||
                  merge_spans(into, from, err) != 0;
    pw_telemetry_sort(into);
    return failed ? -1 : 0;
}
