#include "collector/logs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "collector/actions.h"
#include "core/limits.h"

enum { FIRST_CAPACITY = 16, SEVERITY_ERROR = 17 };

void pw_log_table_done(struct pw_log_table *table)
{
    for (size_t i = 0; i < table->actions.count; i++)
        pw_durations_done(&table->action_list[i].durations);
    free(table->action_list);
    free(table->is_action);
    pw_intern_done(&table->actions);
    pw_intern_done(&table->events);
    *table = (struct pw_log_table){0};
}

/* What a record says, if it is about an action. */
struct facts {
    struct pw_action_facts action;
    const char *event;
    bool has_duration, has_error;
    double duration_ms; /* NaN: given, but none */
};

/* A number, or a string that is one; NaN for all else. */
static double number_of(const Otlp__AnyValue *value)
{
    char *end;
    double number;
    switch (value->value_case) {
    case OTLP__ANY_VALUE__VALUE_INT_VALUE: return (double)value->int_value;
    case OTLP__ANY_VALUE__VALUE_DOUBLE_VALUE: return value->double_value;
    case OTLP__ANY_VALUE__VALUE_STRING_VALUE:
        number = strtod(value->string_value, &end);
        return end != value->string_value && *end == '\0' ? number : (double)NAN;
    default: return (double)NAN;
    }
}

static bool is_error(const Otlp__AnyValue *value)
{
    switch (value->value_case) {
    case OTLP__ANY_VALUE__VALUE__NOT_SET: return false;
    case OTLP__ANY_VALUE__VALUE_STRING_VALUE: return value->string_value[0] != '\0';
    case OTLP__ANY_VALUE__VALUE_BOOL_VALUE: return value->bool_value;
    default: return true;
    }
}

static void take_attribute(struct facts *facts, const struct pw_classifier *classifier,
                           const Otlp__KeyValue *attribute)
{
    const char *key = attribute->key;
    const Otlp__AnyValue *value = attribute->value;
    if (!value)
        return;
    if (strcmp(key, "duration_ms") == 0) {
        facts->has_duration = true;
        facts->duration_ms = number_of(value);
    } else if (strcmp(key, "duration_s") == 0 && !facts->has_duration) {
        facts->has_duration = true;
        facts->duration_ms = number_of(value) * 1e3;
    } else if (strcmp(key, "error") == 0) {
        facts->has_error = is_error(value);
    } else if (strcmp(key, "event.name") == 0 &&
               value->value_case == OTLP__ANY_VALUE__VALUE_STRING_VALUE) {
        facts->event = value->string_value;
    } else {
        pw_action_facts_add_value(&facts->action, classifier, attribute);
    }
}

/* Whether that event is an action's end: asked of the classifier once for each name. 1, 0, or -1
 * without memory. */
static int is_action_end(struct pw_log_table *table, const struct pw_classifier *classifier,
                         const char *event)
{
    bool is_new;
    if (!table->is_action)
        table->is_action = calloc(PW_LIMIT_OTEL_NAMES, sizeof *table->is_action);
    if (!table->is_action)
        return -1;
    uint32_t number = pw_intern_put_name(&table->events, event, PW_LIMIT_OTEL_NAMES, &is_new);
    if (number == PW_INTERN_NONE)
        return pw_classify_is_action_log(classifier, event);
    if (is_new) {
        const char *name = pw_intern_name(&table->events, number);
        table->is_action[number] = pw_classify_is_action_log(classifier, name);
    }
    return table->is_action[number];
}

/* -1 without memory. */
static int add_action(struct pw_log_table *table, const struct facts *facts, bool failed)
{
    bool is_new;
    if (table->actions.count == table->capacity) {
        size_t capacity = table->capacity > 0 ? table->capacity * 2 : FIRST_CAPACITY;
        struct pw_log_action *list = reallocarray(table->action_list, capacity, sizeof *list);
        if (!list)
            return -1;
        table->action_list = list;
        table->capacity = capacity;
    }
    uint32_t number =
        pw_intern_put_name(&table->actions, facts->action.name, PW_LIMIT_OTEL_NAMES, &is_new);
    if (number == PW_INTERN_NONE) {
        table->losses[PW_LOSS_NAME_LIMIT]++;
        return table->actions.count < PW_LIMIT_OTEL_NAMES ? -1 : 0;
    }
    struct pw_log_action *action = &table->action_list[number];
    if (is_new)
        *action = (struct pw_log_action){0};
    if (pw_durations_add(&action->durations, facts->duration_ms, NULL) != 0)
        return -1;
    action->failures += failed;
    return 0;
}

/* -1 without memory. */
static int add_record(struct pw_log_table *table, const struct pw_classifier *classifier,
                      const Otlp__LogRecord *record)
{
    struct facts facts = {.event = record->event_name};
    size_t count = record->n_attributes < PW_LIMIT_OTEL_ATTRIBUTES ? record->n_attributes
                                                                   : PW_LIMIT_OTEL_ATTRIBUTES;
    table->arrived++;
    for (size_t i = 0; i < count; i++)
        take_attribute(&facts, classifier, record->attributes[i]);
    if (!facts.action.name || !facts.has_duration)
        return 0;
    int ends = is_action_end(table, classifier, facts.event);
    if (ends <= 0)
        return ends;
    if (!(facts.duration_ms >= 0 && isfinite(facts.duration_ms))) {
        table->losses[PW_LOSS_INVALID_POINT]++;
        return 0;
    }
    bool failed = facts.action.has_success
                      ? facts.action.is_false
                      : facts.has_error || record->severity_number >= SEVERITY_ERROR;
    return add_action(table, &facts, failed);
}

int pw_log_table_add(struct pw_log_table *table, const struct pw_classifier *classifier,
                     const Otlp__LogsRequest *request, struct pw_err *err)
{
    for (size_t i = 0; i < request->n_resource_logs; i++) {
        const Otlp__ResourceLogs *of_resource = request->resource_logs[i];
        for (size_t j = 0; j < of_resource->n_scope_logs; j++) {
            const Otlp__ScopeLogs *of_scope = of_resource->scope_logs[j];
            for (size_t k = 0; k < of_scope->n_log_records; k++) {
                if (add_record(table, classifier, of_scope->log_records[k]) != 0) {
                    pw_err_memory(err);
                    return -1;
                }
            }
        }
    }
    return 0;
}

int pw_log_table_result(const struct pw_log_table *table, struct pw_telemetry *telemetry,
                        struct pw_err *err)
{
    for (size_t i = 0; i < table->actions.count; i++) {
        const struct pw_log_action *from = &table->action_list[i];
        struct pw_otel_action *action = pw_telemetry_add_action(
            telemetry, pw_intern_name(&table->actions, (uint32_t)i), PW_ACTION_LOG, err);
        if (!action || pw_durations_merge(&action->durations, &from->durations, err) != 0)
            return -1;
        action->failures = from->failures;
    }
    return 0;
}
