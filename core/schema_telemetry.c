/* The part of the schemas that describes what the measured command reported over OTLP. */
#include "core/json.h"
#include "core/schema_impl.h"
#include "core/telemetry_impl.h"

static const struct pw_schema_field number_fields[PW_OTEL_NUMBER_KINDS] = {
    [PW_OTEL_NUMBER_TOTAL] = {"total", "number|null", "What was added in the window."},
    [PW_OTEL_NUMBER_LAST] = {"last", "number|null", "Newest value."},
    [PW_OTEL_NUMBER_COUNT] = {"count", "integer", "Values."},
    [PW_OTEL_NUMBER_SUM] = {"sum", "number|null", "Sum of the values."},
    [PW_OTEL_NUMBER_MEAN] = {"mean", "number|null", "Mean of the values."},
    [PW_OTEL_NUMBER_MIN] = {"min", "number|null", "Smallest value."},
    [PW_OTEL_NUMBER_MAX] = {"max", "number|null", "Largest value."},
    [PW_OTEL_NUMBER_P50] = {"p50", "number|null", "Median, from the buckets."},
    [PW_OTEL_NUMBER_P95] = {"p95", "number|null", "95th percentile, from the buckets."},
    [PW_OTEL_NUMBER_P99] = {"p99", "number|null", "99th percentile, from the buckets."},
};

static const struct pw_schema_field spread_fields[] = {
    {"total_ms", "number|null", "All durations together. Unit: ms."},
    {"mean_ms", "number|null", "Mean duration. Unit: ms."},
    {"median_ms", "number|null", "Median duration. Unit: ms."},
    {"p95_ms", "number|null", "95th percentile. Unit: ms."},
    {"p99_ms", "number|null", "99th percentile. Unit: ms."},
    {"min_ms", "number|null", "Shortest. Unit: ms."},
    {"max_ms", "number|null", "Longest. Unit: ms."},
    {"stddev_ms", "number|null", "Standard deviation. Unit: ms."},
    {"estimated", "boolean", "True if percentiles are from buckets or a sample."},
};

static const struct pw_schema_field action_fields[] = {
    {"name", "string", "Name of the tool or action."},
    {"source", "string", "Where the durations are from: log, span or histogram."},
    {"also", "array", "Other sources that tell of it."},
    {"count", "integer", "How often it ran."},
    {"failures", "integer", "How often it failed."},
};

static const struct pw_schema_field span_fields[] = {
    {"name", "string", "Name of the spans."},
    {"count", "integer", "Spans."},
    {"errors", "integer", "Spans with the status ERROR."},
    {"self_ms", "number|null", "Time not covered by child spans. Unit: ms."},
};

static const struct pw_schema_field received_fields[] = {
    {"payloads", "integer", "OTLP requests that are in the numbers."},
    {"metrics", "integer", "Those of metrics."},
    {"traces", "integer", "Those of traces."},
    {"logs", "integer", "Those of logs."},
    {"bytes", "integer", "Their size as it came over the wire. Unit: B."},
    {"datapoints", "integer", "Metric datapoints in them."},
    {"spans", "integer", "Spans in them."},
    {"log_records", "integer", "Log records in them."},
};

static const struct pw_schema_field stray_fields[] = {
    {"unknown_path", "integer", "Requests to a path that is nobody's."},
    {"unauthorized", "integer", "Requests without the right token."},
    {"connections_refused", "integer", "Connections over the limit."},
};

static const char *const loss_texts[PW_LOSS_COUNT] = {
    [PW_LOSS_UNDECODABLE] = "Payloads that are no OTLP.",
    [PW_LOSS_TOO_LARGE] = "Payloads over the size limit.",
    [PW_LOSS_UNSUPPORTED] = "Requests of another method, content type or encoding.",
    [PW_LOSS_BUSY] = "Payloads for which there was no room in time.",
    [PW_LOSS_CUT_OFF] = "Payloads that did not arrive whole.",
    [PW_LOSS_LATE] = "Payloads that came after the wait for them was over.",
    [PW_LOSS_SERIES_LIMIT] = "Datapoints of series over the limit.",
    [PW_LOSS_INVALID_POINT] = "Datapoints, spans and actions that contradict themselves.",
    [PW_LOSS_NOT_A_NUMBER] = "Datapoints whose value is NaN or infinite.",
    [PW_LOSS_NO_VALUE] = "Datapoints that say that their series has ended.",
    [PW_LOSS_REPEATED] = "Datapoints and spans that were sent again.",
    [PW_LOSS_SPAN_LIMIT] = "Spans over the limit.",
    [PW_LOSS_NAME_LIMIT] = "Spans, log records and histogram series of names over the limit.",
    [PW_LOSS_MEMORY] = "Payloads for which memory ran out.",
};

/* otel_metrics */

static json_t *type_names(enum pw_otel_type type, bool *failed)
{
    json_t *names = json_array();
    pw_json_append(names, json_string(pw_otel_type_name(type)), failed);
    return names;
}

static json_t *required_numbers(enum pw_otel_type type, bool *failed)
{
    json_t *required = json_array();
    for (enum pw_otel_number number = 0; number < PW_OTEL_NUMBER_KINDS; number++) {
        if ((pw_otel_numbers(type) & PW_OTEL_NUMBER_BIT(number)) != 0) {
            pw_json_append(required, json_string(pw_otel_number_name(number)), failed);
        }
    }
    if (pw_otel_is_estimated(type)) {
        pw_json_append(required, json_string("estimated"), failed);
    }
    return required;
}

/* What a metric of that type must have, and its attribute sets too. */
static json_t *variant(enum pw_otel_type type, bool sets, bool *failed)
{
    json_t *schema = json_object();
    json_t *names = pw_json_make_path(schema, "properties.type", failed);
    pw_json_put(names, "enum", type_names(type, failed), failed);
    pw_json_put(schema, "required", required_numbers(type, failed), failed);
    if (sets) {
        json_t *items = pw_json_make_path(schema, "properties.sets.items", failed);
        pw_json_put(items, "required", required_numbers(type, failed), failed);
    }
    return schema;
}

/* Which of them there are depends on the type: see variant(). */
static void add_numbers(json_t *schema, bool *failed)
{
    json_t *properties = json_object_get(schema, "properties");
    pw_schema_add(schema, "points", pw_schema_of("integer", "Datapoints that arrived.", failed),
                  failed);
    for (size_t i = 0; i < PW_OTEL_NUMBER_KINDS; i++) {
        const struct pw_schema_field *field = &number_fields[i];
        pw_json_put(properties, field->key, pw_schema_of(field->types, field->description, failed),
                    failed);
    }
    pw_json_put(properties, "estimated",
                pw_schema_of("boolean", "True: quantiles are from the buckets.", failed), failed);
}

static json_t *set_schema(bool *failed)
{
    json_t *set = pw_schema_object(NULL, failed);
    pw_schema_add(set, "attributes",
                  pw_schema_of("object|null", "Attributes of its datapoints.", failed), failed);
    add_numbers(set, failed);
    return set;
}

static json_t *metric_schema(bool sets, bool *failed)
{
    static const struct pw_schema_field fields[] = {
        {"unit", "string", "Its unit, empty if it has none."},
        {"type", "string", "Its type, on which the other keys depend."},
        {"families", "array", "Groups that its name belongs to."},
    };
    json_t *metric = pw_schema_object(NULL, failed);
    PW_SCHEMA_ADD_FIELDS(metric, fields, failed);
    pw_schema_refine(metric, "families",
                     pw_schema_array(pw_schema_of("string", NULL, failed), failed), failed);
    add_numbers(metric, failed);
    if (sets) {
        pw_schema_add(metric, "sets", pw_schema_array(set_schema(failed), failed), failed);
        pw_schema_add(metric, "sets_dropped",
                      pw_schema_of("boolean", "True if there were too many to list.", failed),
                      failed);
    }
    json_t *variants = json_array();
    for (enum pw_otel_type type = 0; type < PW_OTEL_TYPE_COUNT; type++) {
        pw_json_append(variants, variant(type, sets, failed), failed);
    }
    pw_json_put(metric, "oneOf", variants, failed);
    return metric;
}

static json_t *reference_to(bool sets, bool *failed)
{
    json_t *reference = json_object();
    pw_json_put(reference, "$ref",
                json_string(sets ? "#/$defs/otel_metric_with_sets" : "#/$defs/otel_metric"),
                failed);
    return reference;
}

/* A metric may hold others of its name, which is why it has a definition of its own. */
static json_t *metric_definition(bool sets, bool *failed)
{
    json_t *metric = metric_schema(sets, failed);
    json_t *conflicting = pw_schema_array(reference_to(sets, failed), failed);
    pw_json_put(conflicting, "description",
                json_string("Metrics of the same name with another type or unit."), failed);
    pw_json_put(json_object_get(metric, "properties"), "conflicting", conflicting, failed);
    return metric;
}

json_t *pw_schema_telemetry_definitions(bool of_run, bool *failed)
{
    json_t *definitions = json_object();
    pw_json_put(definitions, "otel_metric", metric_definition(false, failed), failed);
    if (of_run) {
        pw_json_put(definitions, "otel_metric_with_sets", metric_definition(true, failed), failed);
    }
    return definitions;
}

static void add_metrics(json_t *schema, bool sets, bool *failed)
{
    json_t *metrics =
        pw_schema_of("object|null",
                     sets ? "Metrics that the command reported, by name; null without a collector."
                          : "Metrics that the command reported, by name; null without a collector, "
                            "and in a summary that lists too many already.",
                     failed);
    pw_json_put(metrics, "additionalProperties", reference_to(sets, failed), failed);
    pw_schema_add(schema, "otel_metrics", metrics, failed);
}

/* otel_actions and otel_spans */

static void add_list(json_t *schema, const char *key, const char *description, json_t *items,
                     bool *failed)
{
    json_t *list = pw_schema_array(items, failed);
    pw_json_put(list, "description", json_string(description), failed);
    pw_schema_allow_null(list, failed);
    pw_schema_add(schema, key, list, failed);
}

static void add_actions(json_t *schema, const char *description, bool *failed)
{
    json_t *action = pw_schema_object(NULL, failed);
    PW_SCHEMA_ADD_FIELDS(action, action_fields, failed);
    PW_SCHEMA_ADD_FIELDS(action, spread_fields, failed);
    pw_schema_refine(action, "also", pw_schema_array(pw_schema_of("string", NULL, failed), failed),
                     failed);
    add_list(schema, "otel_actions", description, action, failed);
}

static void add_spans(json_t *schema, bool *failed)
{
    json_t *span = pw_schema_object(NULL, failed);
    PW_SCHEMA_ADD_FIELDS(span, span_fields, failed);
    PW_SCHEMA_ADD_FIELDS(span, spread_fields, failed);
    add_list(schema, "otel_spans", "Spans by name, most self time first; null without a collector.",
             span, failed);
}

/* telemetry */

static json_t *received_schema(bool *failed)
{
    json_t *received = pw_schema_object("What arrived in time.", failed);
    PW_SCHEMA_ADD_FIELDS(received, received_fields, failed);
    return received;
}

static json_t *add_counts(json_t *schema, bool *failed)
{
    json_t *counts = pw_schema_object(
        "What was received, and what is not in the numbers; null without a collector.", failed);
    pw_schema_allow_null(counts, failed);
    pw_schema_add(counts, "received", received_schema(failed), failed);
    pw_schema_add(counts, "joined_spans",
                  pw_schema_of("integer", "Spans of the trace that the worker was given.", failed),
                  failed);
    return pw_schema_add(schema, "telemetry", counts, failed);
}

static json_t *add_all_counts(json_t *schema, bool *failed)
{
    json_t *counts = add_counts(schema, failed);
    pw_schema_add(counts, "refused", pw_schema_object("Payloads that were refused.", failed),
                  failed);
    pw_schema_add(counts, "dropped", pw_schema_object("What was left out.", failed), failed);
    json_t *properties = json_object_get(counts, "properties");
    for (enum pw_loss loss = 0; loss < PW_LOSS_COUNT; loss++) {
        const char *group = pw_loss_group(loss);
        pw_schema_add(group ? json_object_get(properties, group) : counts, pw_loss_name(loss),
                      pw_schema_of("integer", loss_texts[loss], failed), failed);
    }
    return counts;
}

void pw_schema_add_worker_telemetry(json_t *worker, bool *failed)
{
    pw_schema_add(worker, "trace_id",
                  pw_schema_of("string|null", "Trace that it was given, in hex.", failed), failed);
    json_t *counts = add_counts(worker, failed);
    json_t *points = pw_schema_object("Datapoints by family of metrics.", failed);
    for (enum pw_family family = 0; family < PW_FAMILY_COUNT; family++) {
        pw_schema_add(points, pw_family_name(family), pw_schema_of("integer", NULL, failed),
                      failed);
    }
    pw_schema_add(counts, "points", points, failed);
    json_t *lost = pw_schema_of("object", "Losses by reason; those that are not 0.", failed);
    pw_json_put(lost, "additionalProperties", pw_schema_of("integer", NULL, failed), failed);
    pw_schema_add(counts, "lost", lost, failed);
}

void pw_schema_add_iteration_telemetry(json_t *iteration, bool *failed)
{
    add_metrics(iteration, false, failed);
    add_actions(iteration,
                "Tools and other actions, most time first; null where otel_metrics is null.",
                failed);
    add_all_counts(iteration, failed);
}

void pw_schema_add_run_telemetry(json_t *aggregates, bool *failed)
{
    add_metrics(aggregates, true, failed);
    add_actions(aggregates, "Tools and other actions, most time first; null without a collector.",
                failed);
    add_spans(aggregates, failed);
    json_t *counts = add_all_counts(aggregates, failed);
    json_t *strays = pw_schema_object("What belonged to no worker.", failed);
    PW_SCHEMA_ADD_FIELDS(strays, stray_fields, failed);
    pw_schema_add(counts, "strays", strays, failed);
}
