/* The blocks of a summary that tell what the children reported: see core/telemetry.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "core/file.h"
#include "core/json.h"
#include "core/limits.h"
#include "core/stats.h"
#include "core/telemetry_impl.h"

const char *pw_otel_number_name(enum pw_otel_number number)
{
    static const char *const names[PW_OTEL_NUMBER_KINDS] = {
        [PW_OTEL_NUMBER_TOTAL] = "total", [PW_OTEL_NUMBER_LAST] = "last",
        [PW_OTEL_NUMBER_COUNT] = "count", [PW_OTEL_NUMBER_SUM] = "sum",
        [PW_OTEL_NUMBER_MEAN] = "mean",   [PW_OTEL_NUMBER_MIN] = "min",
        [PW_OTEL_NUMBER_MAX] = "max",     [PW_OTEL_NUMBER_P50] = "p50",
        [PW_OTEL_NUMBER_P95] = "p95",     [PW_OTEL_NUMBER_P99] = "p99",
    };
    return names[number];
}

#define BIT(number) PW_OTEL_NUMBER_BIT(PW_OTEL_NUMBER_##number)

unsigned pw_otel_numbers(enum pw_otel_type type)
{
    static const unsigned of_values = BIT(COUNT) | BIT(SUM) | BIT(MEAN);
    static const unsigned quantiles = BIT(P50) | BIT(P95) | BIT(P99);
    switch (type) {
    case PW_OTEL_SUM: return BIT(TOTAL);
    case PW_OTEL_UPDOWN: return BIT(TOTAL) | BIT(LAST);
    case PW_OTEL_GAUGE: return BIT(LAST) | BIT(COUNT) | BIT(MEAN) | BIT(MIN) | BIT(MAX);
    case PW_OTEL_HISTOGRAM:
    case PW_OTEL_EXPONENTIAL_HISTOGRAM: return of_values | BIT(MIN) | BIT(MAX) | quantiles;
    case PW_OTEL_SUMMARY: return of_values;
    case PW_OTEL_TYPE_COUNT: break;
    }
    return 0;
}

bool pw_otel_is_estimated(enum pw_otel_type type)
{
    return (pw_otel_numbers(type) & BIT(P50)) != 0;
}

const char *pw_loss_group(enum pw_loss loss)
{
    switch (loss) {
    case PW_LOSS_UNDECODABLE:
    case PW_LOSS_CUT_OFF:
    case PW_LOSS_LATE: return NULL;
    case PW_LOSS_TOO_LARGE:
    case PW_LOSS_UNSUPPORTED:
    case PW_LOSS_BUSY: return "refused";
    default: return "dropped";
    }
}

uint64_t pw_telemetry_lost_payloads(const struct pw_telemetry *telemetry)
{
    const uint64_t *losses = telemetry->losses;
    return losses[PW_LOSS_UNDECODABLE] + losses[PW_LOSS_TOO_LARGE] + losses[PW_LOSS_UNSUPPORTED] +
           losses[PW_LOSS_BUSY] + losses[PW_LOSS_CUT_OFF] + losses[PW_LOSS_LATE] +
           losses[PW_LOSS_MEMORY];
}

/* Senders choose some counts: above what jansson's integers hold, the nearest double is written. */
static json_t *count_json(uint64_t count)
{
    return count <= INT64_MAX ? json_integer((json_int_t)count)
                              : pw_json_number(pw_value_of((double)count), true);
}

static struct pw_value mean_of(struct pw_value sum, uint64_t count)
{
    return pw_value_is_present(sum) && count > 0 ? pw_value_of(sum.number / (double)count)
                                                 : pw_value_absent(PW_ABSENT_NO_SAMPLES);
}

static struct pw_value times(struct pw_value value, double factor)
{
    return pw_value_is_present(value) ? pw_value_of(value.number * factor) : value;
}

static void put_value(json_t *object, const char *key, struct pw_value value, bool *failed)
{
    pw_json_put(object, key, pw_json_number(value, false), failed);
}

/* otel_metrics */

static struct pw_value quantile_of(const struct pw_otel_total *total, double q)
{
    return pw_histogram_quantile(&total->histogram, q, total->min, total->max);
}

static json_t *number_json(const struct pw_otel_total *total, enum pw_otel_number number)
{
    switch (number) {
    case PW_OTEL_NUMBER_TOTAL: return pw_json_number(total->total, false);
    case PW_OTEL_NUMBER_LAST: return pw_json_number(total->last, false);
    case PW_OTEL_NUMBER_COUNT: return count_json(total->count);
    case PW_OTEL_NUMBER_SUM: return pw_json_number(total->sum, false);
    case PW_OTEL_NUMBER_MEAN: return pw_json_number(mean_of(total->sum, total->count), false);
    case PW_OTEL_NUMBER_MIN: return pw_json_number(total->min, false);
    case PW_OTEL_NUMBER_MAX: return pw_json_number(total->max, false);
    case PW_OTEL_NUMBER_P50: return pw_json_number(quantile_of(total, 0.50), false);
    case PW_OTEL_NUMBER_P95: return pw_json_number(quantile_of(total, 0.95), false);
    case PW_OTEL_NUMBER_P99: return pw_json_number(quantile_of(total, 0.99), false);
    case PW_OTEL_NUMBER_KINDS: break;
    }
    return json_null();
}

static void put_numbers(json_t *object, enum pw_otel_type type, const struct pw_otel_total *total,
                        bool *failed)
{
    unsigned numbers = pw_otel_numbers(type);
    pw_json_put(object, "points", count_json(total->points), failed);
    for (enum pw_otel_number number = 0; number < PW_OTEL_NUMBER_KINDS; number++) {
        if ((numbers & PW_OTEL_NUMBER_BIT(number)) != 0) {
            pw_json_put(object, pw_otel_number_name(number), number_json(total, number), failed);
        }
    }
    if (pw_otel_is_estimated(type)) {
        pw_json_put(object, "estimated", json_true(), failed);
    }
}

static json_t *family_names(unsigned families, bool *failed)
{
    json_t *names = json_array();
    for (enum pw_family family = 0; family < PW_FAMILY_COUNT; family++) {
        if ((families & PW_FAMILY_BIT(family)) != 0) {
            pw_json_append(names, json_string(pw_family_name(family)), failed);
        }
    }
    return names;
}

/* Null if jansson cannot hold them, as with a NUL in a key. */
static json_t *attributes_json(const char *text)
{
    json_t *attributes = text ? json_loads(text, JSON_ALLOW_NUL, NULL) : NULL;
    if (!json_is_object(attributes)) {
        json_decref(attributes);
        return json_null();
    }
    return attributes;
}

static json_t *sets_json(const struct pw_otel_metric *metric, bool *failed)
{
    json_t *sets = json_array();
    for (size_t i = 0; i < metric->set_count; i++) {
        const struct pw_otel_set *set = &metric->sets[i];
        json_t *object = json_object();
        pw_json_put(object, "attributes", attributes_json(set->attributes), failed);
        put_numbers(object, metric->type, &set->total, failed);
        pw_json_append(sets, object, failed);
    }
    return sets;
}

static json_t *metric_json(const struct pw_otel_metric *metric, bool sets, bool *failed)
{
    json_t *object = json_object();
    pw_json_put(object, "unit", pw_json_string_or_null(metric->unit ? metric->unit : ""), failed);
    pw_json_put(object, "type", json_string(pw_otel_type_name(metric->type)), failed);
    pw_json_put(object, "families", family_names(metric->families, failed), failed);
    put_numbers(object, metric->type, &metric->total, failed);
    if (sets) {
        pw_json_put(object, "sets", sets_json(metric, failed), failed);
        pw_json_put(object, "sets_dropped", json_boolean(metric->sets_dropped), failed);
    }
    return object;
}

/* Names come from outside and become keys: their bad UTF-8 is mended. New reference, a string. */
static json_t *key_of(const char *name)
{
    return pw_json_string_or_null(name ? name : "");
}

json_t *pw_telemetry_metrics_to_json(const struct pw_telemetry *telemetry, bool sets, bool *failed)
{
    json_t *metrics = json_object();
    for (size_t i = 0; i < telemetry->metric_count; i++) {
        json_t *name = key_of(telemetry->metrics[i].name);
        json_t *metric = metric_json(&telemetry->metrics[i], sets, failed);
        json_t *first = json_object_get(metrics, json_string_value(name));
        if (!first) {
            pw_json_put(metrics, json_string_value(name), metric, failed);
        } else { /* the same name with another type or unit */
            if (!json_object_get(first, "conflicting")) {
                pw_json_put(first, "conflicting", json_array(), failed);
            }
            pw_json_append(json_object_get(first, "conflicting"), metric, failed);
        }
        json_decref(name);
    }
    return metrics;
}

json_t *pw_telemetry_queue_to_json(const struct pw_telemetry *telemetry, bool *failed)
{
    json_t *totals = json_object();
    for (size_t i = 0; i < telemetry->metric_count; i++) {
        const struct pw_otel_metric *metric = &telemetry->metrics[i];
        if ((metric->families & PW_FAMILY_BIT(PW_FAMILY_QUEUE)) == 0) {
            continue;
        }
        bool number = metric->type == PW_OTEL_GAUGE || metric->type == PW_OTEL_SUM ||
                      metric->type == PW_OTEL_UPDOWN;
        uint64_t total = number ? metric->total.points : metric->total.count;
        json_t *name = key_of(metric->name);
        double before = json_number_value(json_object_get(totals, json_string_value(name)));
        pw_json_put(totals, json_string_value(name),
                    pw_json_number(pw_value_of(before + (double)total), true), failed);
        json_decref(name);
    }
    return totals;
}

/* otel_actions and otel_spans */

/* Durations in ms, whatever they were made of. */
struct spread {
    struct pw_value total, mean, median, p95, p99, min, max, stddev;
    uint64_t count;
    bool estimated;
};

static struct spread spread_of_durations(const struct pw_durations *durations, bool *failed)
{
    uint64_t count = durations->count;
    struct spread spread = {
        .total = pw_value_of(durations->sum_ms),
        .count = count,
        .estimated = count > durations->kept_count,
    };
    struct pw_stats stats;
    if (pw_stats_describe(durations->kept, durations->kept_count, false, &stats, NULL) != 0) {
        *failed = true;
        return spread;
    }
    spread.median = stats.p50;
    spread.p95 = stats.p95;
    spread.p99 = stats.p99;
    if (count > 0) {
        spread.mean = pw_value_of(durations->mean_ms);
        spread.min = pw_value_of(durations->min_ms);
        spread.max = pw_value_of(durations->max_ms);
    }
    if (count > 1) {
        spread.stddev = pw_value_of(sqrt(durations->m2 / (double)(count - 1)));
    }
    return spread;
}

static struct spread spread_of_histogram(const struct pw_otel_total *total, double unit_ms)
{
    struct pw_value sum = times(total->sum, unit_ms);
    return (struct spread){
        .total = sum,
        .mean = mean_of(sum, total->count),
        .median = times(quantile_of(total, 0.50), unit_ms),
        .p95 = times(quantile_of(total, 0.95), unit_ms),
        .p99 = times(quantile_of(total, 0.99), unit_ms),
        .min = times(total->min, unit_ms),
        .max = times(total->max, unit_ms),
        .count = total->count,
        .estimated = true,
    };
}

static void put_spread(json_t *object, const struct spread *spread, bool *failed)
{
    put_value(object, "mean_ms", spread->mean, failed);
    put_value(object, "median_ms", spread->median, failed);
    put_value(object, "p95_ms", spread->p95, failed);
    put_value(object, "p99_ms", spread->p99, failed);
    put_value(object, "min_ms", spread->min, failed);
    put_value(object, "max_ms", spread->max, failed);
    put_value(object, "stddev_ms", spread->stddev, failed);
}

/* An entry of a list that is sorted by weight, heaviest first, then by name. */
struct ranked {
    double weight;
    const char *name;
    size_t first, count; /* of the array that it came from */
};

static int by_weight(const void *left, const void *right)
{
    const struct ranked *a = left, *b = right;
    if (a->weight != b->weight) {
        return a->weight < b->weight ? 1 : -1;
    }
    return strcmp(a->name, b->name);
}

/* Room for `count`, or NULL with *failed set. */
static struct ranked *new_ranking(size_t count, bool *failed)
{
    struct ranked *ranking = calloc(count + 1, sizeof(*ranking));
    *failed = *failed || !ranking;
    return ranking;
}

static size_t sort_ranking(struct ranked *ranking, size_t count)
{
    qsort(ranking, count, sizeof(*ranking), by_weight);
    return count < PW_LIMIT_OTEL_NAMES ? count : PW_LIMIT_OTEL_NAMES;
}

static double action_weight(const struct pw_otel_action *action)
{
    if (action->source != PW_ACTION_HISTOGRAM) {
        return action->durations.sum_ms;
    }
    struct pw_value total = times(action->total.sum, action->unit_ms);
    return pw_value_is_present(total) ? total.number : 0;
}

/* `actions` are of one name, the best source first. */
static json_t *action_json(const struct pw_otel_action *actions, size_t count, bool *failed)
{
    const struct pw_otel_action *best = &actions[0];
    struct spread spread = best->source == PW_ACTION_HISTOGRAM
                               ? spread_of_histogram(&best->total, best->unit_ms)
                               : spread_of_durations(&best->durations, failed);
    json_t *also = json_array();
    for (size_t i = 1; i < count; i++) {
        pw_json_append(also, json_string(pw_action_source_name(actions[i].source)), failed);
    }
    json_t *object = json_object();
    pw_json_put(object, "name", pw_json_string_or_null(best->name), failed);
    pw_json_put(object, "source", json_string(pw_action_source_name(best->source)), failed);
    pw_json_put(object, "also", also, failed);
    pw_json_put(object, "count", count_json(spread.count), failed);
    pw_json_put(object, "failures", count_json(best->failures), failed);
    put_value(object, "total_ms", spread.total, failed);
    put_spread(object, &spread, failed);
    pw_json_put(object, "estimated", json_boolean(spread.estimated), failed);
    return object;
}

json_t *pw_telemetry_actions_to_json(const struct pw_telemetry *telemetry, bool *failed)
{
    PW_FREE_AUTO struct ranked *ranking = new_ranking(telemetry->action_count, failed);
    if (!ranking) {
        return NULL;
    }
    const struct pw_otel_action *actions = telemetry->actions;
    size_t names = 0;
    for (size_t i = 0; i < telemetry->action_count; i++) {
        if (names > 0 && strcmp(ranking[names - 1].name, actions[i].name) == 0) {
            ranking[names - 1].count++;
            continue;
        }
        ranking[names++] = (struct ranked){
            .weight = action_weight(&actions[i]), .name = actions[i].name, .first = i, .count = 1};
    }
    names = sort_ranking(ranking, names);
    json_t *list = json_array();
    for (size_t i = 0; i < names; i++) {
        pw_json_append(list, action_json(&actions[ranking[i].first], ranking[i].count, failed),
                       failed);
    }
    return list;
}

static json_t *span_json(const struct pw_otel_span *span, bool *failed)
{
    struct spread spread = spread_of_durations(&span->durations, failed);
    json_t *object = json_object();
    pw_json_put(object, "name", pw_json_string_or_null(span->name), failed);
    pw_json_put(object, "count", count_json(spread.count), failed);
    pw_json_put(object, "errors", count_json(span->errors), failed);
    put_value(object, "total_ms", spread.total, failed);
    put_value(object, "self_ms", pw_value_of(span->self_ms), failed);
    put_spread(object, &spread, failed);
    pw_json_put(object, "estimated", json_boolean(spread.estimated), failed);
    return object;
}

json_t *pw_telemetry_spans_to_json(const struct pw_telemetry *telemetry, bool *failed)
{
    size_t count = telemetry->span_name_count;
    PW_FREE_AUTO struct ranked *ranking = new_ranking(count, failed);
    if (!ranking) {
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        const struct pw_otel_span *span = &telemetry->span_names[i];
        ranking[i] = (struct ranked){.weight = span->self_ms, .name = span->name, .first = i};
    }
    count = sort_ranking(ranking, count);
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        pw_json_append(list, span_json(&telemetry->span_names[ranking[i].first], failed), failed);
    }
    return list;
}

/* telemetry */

static json_t *received_json(const struct pw_telemetry *telemetry, bool *failed)
{
    json_t *received = json_object();
    pw_json_put(received, "payloads", count_json(pw_telemetry_payloads(telemetry)), failed);
    for (enum pw_signal signal = 0; signal < PW_SIGNAL_COUNT; signal++) {
        pw_json_put(received, pw_signal_name(signal), count_json(telemetry->payloads[signal]),
                    failed);
    }
    pw_json_put(received, "bytes", count_json(telemetry->bytes), failed);
    pw_json_put(received, "datapoints", count_json(telemetry->datapoints), failed);
    pw_json_put(received, "spans", count_json(telemetry->spans), failed);
    pw_json_put(received, "log_records", count_json(telemetry->log_records), failed);
    return received;
}

json_t *pw_telemetry_counts_to_json(const struct pw_telemetry *telemetry, bool *failed)
{
    json_t *counts = json_object();
    pw_json_put(counts, "received", received_json(telemetry, failed), failed);
    pw_json_put(counts, "joined_spans", count_json(telemetry->joined_spans), failed);
    for (enum pw_loss loss = 0; loss < PW_LOSS_COUNT; loss++) {
        const char *group = pw_loss_group(loss);
        json_t *object = group ? pw_json_make_path(counts, group, failed) : counts;
        pw_json_put(object, pw_loss_name(loss), count_json(telemetry->losses[loss]), failed);
    }
    return counts;
}

json_t *pw_telemetry_worker_to_json(const struct pw_telemetry *telemetry,
                                    const uint64_t points[PW_FAMILY_COUNT], bool *failed)
{
    json_t *by_family = json_object();
    for (enum pw_family family = 0; family < PW_FAMILY_COUNT; family++) {
        pw_json_put(by_family, pw_family_name(family), count_json(points[family]), failed);
    }
    json_t *lost = json_object();
    for (enum pw_loss loss = 0; loss < PW_LOSS_COUNT; loss++) {
        if (telemetry->losses[loss] > 0) {
            pw_json_put(lost, pw_loss_name(loss), count_json(telemetry->losses[loss]), failed);
        }
    }
    json_t *counts = json_object();
    pw_json_put(counts, "received", received_json(telemetry, failed), failed);
    pw_json_put(counts, "joined_spans", count_json(telemetry->joined_spans), failed);
    pw_json_put(counts, "points", by_family, failed);
    pw_json_put(counts, "lost", lost, failed);
    return counts;
}

json_t *pw_strays_to_json(const struct pw_strays *strays, bool *failed)
{
    json_t *object = json_object();
    pw_json_put(object, "unknown_path", json_integer((json_int_t)strays->unknown_path), failed);
    pw_json_put(object, "unauthorized", json_integer((json_int_t)strays->unauthorized), failed);
    pw_json_put(object, "connections_refused",
                json_integer((json_int_t)strays->connections_refused), failed);
    return object;
}
