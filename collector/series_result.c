/* From series back to metrics: what pw_series_table_result() does. */
#include <stdlib.h>
#include <string.h>
#include "collector/actions.h"
#include "collector/series_table.h"
#include "core/file.h"
#include "core/limits.h"

/* A JSON text is not that much shorter than the bytes of a set. */
enum { SET_BYTES_MOST = 16 * PW_LIMIT_OTEL_SET_BYTES };

/* One series, with the place of its metric in the result. */
struct member {
    const struct pw_series *series;
    size_t place;
    const uint8_t *attributes;
    size_t size;
};

/* The result, while it is put together. */
struct result {
    const struct pw_series_table *table;
    const struct pw_classifier *classifier;
    struct pw_telemetry *telemetry;
    size_t *places;            /* by number of the metric in the table */
    struct pw_telemetry found; /* actions of the metric at hand */
    size_t first_action;       /* of ours in `telemetry` */
};

struct entry {
    const struct pw_series_metric *metric;
};

static int compare_metrics(const void *left, const void *right)
{
    const struct pw_series_metric *a = ((const struct entry *)left)->metric;
    const struct pw_series_metric *b = ((const struct entry *)right)->metric;
    int order = strcmp(a->name, b->name);
    if (order == 0)
        order = (a->type > b->type) - (a->type < b->type);
    return order != 0 ? order : strcmp(a->unit, b->unit);
}

static int compare_members(const void *left, const void *right)
{
    const struct member *a = left;
    const struct member *b = right;
    if (a->place != b->place)
        return a->place < b->place ? -1 : 1;
    int order = memcmp(a->attributes, b->attributes, a->size < b->size ? a->size : b->size);
    return order != 0 ? order : (a->size > b->size) - (a->size < b->size);
}

static int add_metric(struct result *result, const struct pw_series_metric *from,
                      struct pw_err *err)
{
    struct pw_otel_metric *metric = &result->telemetry->metrics[result->telemetry->metric_count];
    *metric =
        (struct pw_otel_metric){.type = from->type,
                                .families = pw_classify_metric(result->classifier, from->name),
                                .name = strdup(from->name),
                                .unit = strdup(from->unit)};
    if (!metric->name || !metric->unit) {
        pw_otel_metric_done(metric);
        pw_err_memory(err);
        return -1;
    }
    result->telemetry->metric_count++;
    return 0;
}

/* Makes one empty metric of all that have the same name, type and unit, and notes its place. */
static int add_metrics(struct result *result, struct pw_err *err)
{
    const struct pw_series_table *table = result->table;
    size_t count = table->metrics.count;
    PW_FREE_AUTO struct entry *order = calloc(count, sizeof *order);
    result->telemetry->metrics = calloc(count, sizeof *result->telemetry->metrics);
    if (!order || !result->telemetry->metrics) {
        pw_err_memory(err);
        return -1;
    }
    for (size_t i = 0; i < count; i++)
        order[i].metric = &table->metric_list[i];
    qsort(order, count, sizeof *order, compare_metrics);
    for (size_t i = 0; i < count; i++) {
        if ((i == 0 || compare_metrics(&order[i - 1], &order[i]) != 0) &&
            add_metric(result, order[i].metric, err) != 0)
            return -1;
        result->places[order[i].metric - table->metric_list] = result->telemetry->metric_count - 1;
    }
    return 0;
}

/* --- actions --- */

/* Milliseconds of one of the metric's unit; 0 if that is no time. */
static double unit_ms(const struct pw_otel_metric *metric)
{
    static const struct {
        const char *unit;
        double ms;
    } units[] = {{"ms", 1.0}, {"s", 1e3}, {"us", 1e-3}, {"\xC2\xB5s", 1e-3}, {"ns", 1e-6}};
    size_t length = strlen(metric->name);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcmp(metric->unit, units[i].unit) == 0)
            return units[i].ms;
    bool says_ms = length >= 3 && strcmp(metric->name + length - 3, "_ms") == 0;
    return metric->unit[0] == '\0' && says_ms ? 1.0 : 0.0;
}

static struct pw_otel_action *find_action(const struct pw_telemetry *telemetry, size_t first,
                                          const char *name)
{
    for (size_t i = first; i < telemetry->action_count; i++)
        if (strcmp(telemetry->actions[i].name, name) == 0)
            return &telemetry->actions[i];
    return NULL;
}

/* If the attributes name an action, adds the set to it. */
static int add_to_action(struct result *result, const struct pw_otel_metric *metric,
                         const struct member *member, const struct pw_otel_total *total,
                         struct pw_err *err)
{
    struct pw_action_facts facts = {0};
    struct pw_attribute attribute;
    struct pw_attribute_walk walk = {member->attributes, member->attributes + member->size};
    double ms = unit_ms(metric);
    char name[PW_LIMIT_OTEL_NAME_BYTES + 1];
    if (!(metric->families & PW_FAMILY_BIT(PW_FAMILY_ACTION)) || ms <= 0 ||
        (metric->type != PW_OTEL_HISTOGRAM && metric->type != PW_OTEL_EXPONENTIAL_HISTOGRAM))
        return 0;
    while (pw_attribute_next(&walk, &attribute))
        pw_action_facts_add(&facts, result->classifier, attribute.key, attribute.string,
                            attribute.is_false ? 0 : -1);
    if (!facts.name)
        return 0;
    size_t length = pw_name_length(facts.name);
    memcpy(name, facts.name, length);
    name[length] = '\0';
    struct pw_otel_action *action = find_action(&result->found, 0, name);
    if (!action && result->found.action_count == PW_LIMIT_OTEL_NAMES) {
        result->telemetry->losses[PW_LOSS_NAME_LIMIT]++;
        return 0;
    }
    if (!action)
        action = pw_telemetry_add_action(&result->found, name, PW_ACTION_HISTOGRAM, err);
    if (!action)
        return -1;
    action->unit_ms = ms;
    action->failures += facts.is_false ? total->count : 0;
    return pw_otel_total_add(&action->total, total, metric->type, err);
}

/* What one metric says of actions is all of it, unless another has more values. */
static int take_actions(struct result *result, struct pw_err *err)
{
    for (size_t i = 0; i < result->found.action_count; i++) {
        struct pw_otel_action *from = &result->found.actions[i];
        struct pw_otel_action *into =
            find_action(result->telemetry, result->first_action, from->name);
        size_t count = result->telemetry->action_count - result->first_action;
        if (!into && count >= PW_LIMIT_OTEL_NAMES) {
            result->telemetry->losses[PW_LOSS_NAME_LIMIT]++;
            continue;
        }
        if (!into)
            into = pw_telemetry_add_action(result->telemetry, from->name, from->source, err);
        if (!into)
            return -1;
        if (into->total.count > 0 && into->total.count >= from->total.count)
            continue;
        pw_otel_total_done(&into->total);
        into->total = from->total;
        into->failures = from->failures;
        into->unit_ms = from->unit_ms;
        from->total = (struct pw_otel_total){0};
    }
    pw_telemetry_done(&result->found);
    return 0;
}

/* --- sets --- */

/* The canonical JSON, or that it is too long to be listed. */
static int describe_set(struct pw_otel_metric *set, const struct member *member, struct pw_err *err)
{
    set->sets_dropped = member->size > SET_BYTES_MOST;
    if (set->sets_dropped)
        return 0;
    set->attributes = pw_attributes_to_json(member->attributes, member->size, err);
    if (!set->attributes)
        return -1;
    set->sets_dropped = strlen(set->attributes) > PW_LIMIT_OTEL_SET_BYTES;
    return 0;
}

/* Adds the series of one metric and one attribute set, whatever resources they are of. */
static int add_set(struct result *result, const struct member *members, size_t count,
                   struct pw_err *err)
{
    struct pw_otel_metric *metric = &result->telemetry->metrics[members->place];
    struct pw_otel_metric set = {.type = metric->type, .sets_dropped = metric->sets_dropped};
    int status = set.sets_dropped ? 0 : describe_set(&set, members, err);
    for (size_t i = 0; i < count && status == 0; i++)
        status = pw_series_add_to(members[i].series, metric->type, &set.total, err);
    if (status == 0)
        status = pw_otel_metric_add(metric, &set, err);
    if (status == 0)
        status = add_to_action(result, metric, members, &set.total, err);
    pw_otel_metric_done(&set);
    return status;
}

static int add_sets(struct result *result, struct member *members, size_t count, struct pw_err *err)
{
    size_t next;
    qsort(members, count, sizeof *members, compare_members);
    for (size_t i = 0; i < count; i = next) {
        for (next = i + 1; next < count; next++)
            if (compare_members(&members[i], &members[next]) != 0)
                break;
        if (add_set(result, &members[i], next - i, err) != 0)
            return -1;
        if ((next == count || members[next].place != members[i].place) &&
            take_actions(result, err) != 0)
            return -1;
    }
    return 0;
}

/* A series' identity is its metric's number, then its attributes. */
static void list_members(const struct result *result, struct member *members)
{
    const struct pw_series_table *table = result->table;
    for (size_t i = 0; i < table->identities.count; i++) {
        size_t size;
        const uint8_t *key = pw_intern_key(&table->identities, (uint32_t)i, &size);
        const struct pw_series *series = &table->series[i];
        members[i] = (struct member){.series = series,
                                     .place = result->places[series->metric],
                                     .attributes = key + sizeof series->metric,
                                     .size = size - sizeof series->metric};
    }
}

/* Points without a series count too. */
static void count_points(const struct result *result)
{
    const struct pw_series_table *table = result->table;
    for (size_t i = 0; i < result->telemetry->metric_count; i++)
        result->telemetry->metrics[i].total.points = 0;
    for (size_t i = 0; i < table->metrics.count; i++)
        result->telemetry->metrics[result->places[i]].total.points += table->metric_list[i].points;
}

static int fill(struct result *result, struct member *members, struct pw_err *err)
{
    size_t count = result->table->identities.count;
    if (add_metrics(result, err) != 0)
        return -1;
    list_members(result, members);
    int status = count > 0 ? add_sets(result, members, count, err) : 0;
    pw_telemetry_done(&result->found);
    count_points(result);
    return status;
}

int pw_series_table_result(const struct pw_series_table *table,
                           const struct pw_classifier *classifier, struct pw_telemetry *telemetry,
                           struct pw_err *err)
{
    struct result result = {.table = table,
                            .classifier = classifier,
                            .telemetry = telemetry,
                            .first_action = telemetry->action_count};
    int status = -1;
    if (table->metrics.count == 0)
        return 0;
    struct member *members = calloc(table->identities.count + 1, sizeof *members);
    result.places = calloc(table->metrics.count, sizeof *result.places);
    if (members && result.places)
        status = fill(&result, members, err);
    else
        pw_err_memory(err);
    free(members);
    free(result.places);
    return status;
}
