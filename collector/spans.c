#include "collector/spans.h"

#include <stdlib.h>
#include <string.h>
#include "collector/actions.h"
#include "core/limits.h"

enum { FIRST_CAPACITY = 256, STATUS_ERROR = 2 };

static const double ns_in_ms = 1e6;

/* Spans named so run the tool that follows: OpenTelemetry's semantic conventions for generative AI,
 * "Execute tool span". */
static const char execute_tool[] = "execute_tool ";

struct pw_span_record {
    uint8_t trace[PW_TRACE_ID_BYTES];
    uint64_t id, parent;   /* 0: none; byte order does not matter */
    uint64_t start, end;   /* Unix ns */
    uint32_t name, action; /* PW_INTERN_NONE: not listed; none */
    bool is_error, has_failed;
};

void pw_span_table_done(struct pw_span_table *table)
{
    pw_intern_done(&table->names);
    pw_intern_done(&table->actions);
    free(table->records);
    *table = (struct pw_span_table){0};
}

static uint64_t span_id(const ProtobufCBinaryData *bytes)
{
    uint64_t id = 0;
    if (bytes->len == sizeof id)
        memcpy(&id, bytes->data, sizeof id);
    return id;
}

/* The number of a name; *ret_over tells whether it is one too many. -1 without memory. */
static int number_name(struct pw_intern *names, const char *name, uint32_t *ret_number,
                       uint64_t *losses)
{
    bool is_new;
    *ret_number = pw_intern_put_name(names, name, PW_LIMIT_OTEL_NAMES, &is_new);
    if (*ret_number != PW_INTERN_NONE)
        return 0;
    losses[PW_LOSS_NAME_LIMIT]++;
    return names->count < PW_LIMIT_OTEL_NAMES ? -1 : 0;
}

/* Spans around and below a call may carry the tool's name too (codex has it on two besides the
 * call's own). The call's own is named after the tool, or says that it is a tool's. */
static bool is_call(const Otlp__Span *span, const char *action)
{
    return strcasestr(span->name, action) || strcasestr(span->name, "tool") ||
           strcasestr(span->name, "action");
}

static struct pw_action_facts find_action(const struct pw_classifier *classifier,
                                          const Otlp__Span *span)
{
    struct pw_action_facts facts = {0};
    size_t count = span->n_attributes < PW_LIMIT_OTEL_ATTRIBUTES ? span->n_attributes
                                                                 : PW_LIMIT_OTEL_ATTRIBUTES;
    for (size_t i = 0; i < count; i++)
        pw_action_facts_add_value(&facts, classifier, span->attributes[i]);
    if (facts.name && !is_call(span, facts.name))
        facts.name = NULL;
    if (!facts.name && strncmp(span->name, execute_tool, strlen(execute_tool)) == 0 &&
        span->name[strlen(execute_tool)] != '\0')
        facts.name = span->name + strlen(execute_tool);
    return facts;
}

static int reserve(struct pw_span_table *table)
{
    size_t capacity = table->capacity > 0 ? table->capacity * 2 : FIRST_CAPACITY;
    if (table->count < table->capacity)
        return 0;
    struct pw_span_record *records = reallocarray(table->records, capacity, sizeof *records);
    if (!records)
        return -1;
    table->records = records;
    table->capacity = capacity;
    return 0;
}

/* -1 without memory. */
static int add_span(struct pw_span_table *table, const struct pw_classifier *classifier,
                    const uint8_t *trace_id, const Otlp__Span *span)
{
    struct pw_span_record record = {.id = span_id(&span->span_id),
                                    .parent = span_id(&span->parent_span_id),
                                    .start = span->start_time_unix_nano,
                                    .end = span->end_time_unix_nano,
                                    .name = PW_INTERN_NONE,
                                    .action = PW_INTERN_NONE,
                                    .is_error = span->status && span->status->code == STATUS_ERROR};
    table->arrived++;
    if (span->trace_id.len == sizeof record.trace)
        memcpy(record.trace, span->trace_id.data, sizeof record.trace);
    if (trace_id && span->trace_id.len == sizeof record.trace &&
        memcmp(record.trace, trace_id, sizeof record.trace) == 0)
        table->joined++;
    if (record.start == 0 || record.end < record.start) {
        table->losses[PW_LOSS_INVALID_POINT]++;
        return 0;
    }
    if (table->count == PW_LIMIT_OTEL_SPANS) {
        table->losses[PW_LOSS_SPAN_LIMIT]++;
        return 0;
    }
    struct pw_action_facts facts = find_action(classifier, span);
    record.has_failed = record.is_error || facts.is_false;
    if (reserve(table) != 0 ||
        number_name(&table->names, span->name, &record.name, table->losses) != 0 ||
        (facts.name &&
         number_name(&table->actions, facts.name, &record.action, table->losses) != 0))
        return -1;
    table->records[table->count++] = record;
    return 0;
}

int pw_span_table_add(struct pw_span_table *table, const struct pw_classifier *classifier,
                      const uint8_t *trace_id, const Otlp__TracesRequest *request,
                      struct pw_err *err)
{
    for (size_t i = 0; i < request->n_resource_spans; i++) {
        const Otlp__ResourceSpans *of_resource = request->resource_spans[i];
        for (size_t j = 0; j < of_resource->n_scope_spans; j++) {
            const Otlp__ScopeSpans *of_scope = of_resource->scope_spans[j];
            for (size_t k = 0; k < of_scope->n_spans; k++) {
                if (add_span(table, classifier, trace_id, of_scope->spans[k]) != 0) {
                    pw_err_memory(err);
                    return -1;
                }
            }
        }
    }
    return 0;
}

/* --- result --- */

/* An element of a list of spans that is sorted. */
struct listed {
    const struct pw_span_record *span;
};

/* By trace and id; of the same, in the order they came. */
static int compare_ids(const void *left, const void *right)
{
    const struct pw_span_record *a = ((const struct listed *)left)->span;
    const struct pw_span_record *b = ((const struct listed *)right)->span;
    int order = memcmp(a->trace, b->trace, sizeof a->trace);
    if (order == 0)
        order = (a->id > b->id) - (a->id < b->id);
    return order != 0 ? order : (a > b) - (a < b);
}

/* By trace and parent, then by start. */
static int compare_parents(const void *left, const void *right)
{
    const struct pw_span_record *a = ((const struct listed *)left)->span;
    const struct pw_span_record *b = ((const struct listed *)right)->span;
    int order = memcmp(a->trace, b->trace, sizeof a->trace);
    if (order == 0)
        order = (a->parent > b->parent) - (a->parent < b->parent);
    if (order == 0)
        order = (a->start > b->start) - (a->start < b->start);
    return order;
}

/* Leaves out what came twice; the number that is left. */
static size_t drop_repeats(struct listed *spans, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        const struct pw_span_record *span = spans[i].span;
        const struct pw_span_record *before = kept > 0 ? spans[kept - 1].span : NULL;
        if (!before || span->id == 0 || span->id != before->id ||
            memcmp(span->trace, before->trace, sizeof span->trace) != 0)
            spans[kept++] = spans[i];
    }
    return kept;
}

/* The first of `children`, sorted by parents, whose parent is this span or comes behind it. */
static size_t first_child(const struct listed *children, size_t count,
                          const struct pw_span_record *span)
{
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct pw_span_record *child = children[middle].span;
        int order = memcmp(child->trace, span->trace, sizeof span->trace);
        if (order < 0 || (order == 0 && child->parent < span->id))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Duration less the time that any of its children covers. */
static uint64_t self_ns(const struct listed *children, size_t count,
                        const struct pw_span_record *span)
{
    uint64_t covered = 0;
    uint64_t upto = span->start; /* what lies before is accounted for */
    if (span->id == 0)
        return span->end - span->start;
    for (size_t i = first_child(children, count, span); i < count; i++) {
        const struct pw_span_record *child = children[i].span;
        if (child->parent != span->id || memcmp(child->trace, span->trace, sizeof span->trace) != 0)
            break;
        if (child->id == span->id)
            continue;
        uint64_t start = child->start > upto ? child->start : upto;
        uint64_t end = child->end < span->end ? child->end : span->end;
        if (end > start) {
            covered += end - start;
            upto = end;
        }
    }
    return span->end - span->start - covered;
}

/* What the result is put into: one entry for each name and action, empty ones not yet left out. */
struct result {
    struct pw_otel_span *names;
    struct pw_otel_action *actions;
};

static int add_record(struct result *result, const struct pw_span_record *span, uint64_t self,
                      struct pw_err *err)
{
    double ms = (double)(span->end - span->start) / ns_in_ms;
    if (span->name != PW_INTERN_NONE) {
        struct pw_otel_span *name = &result->names[span->name];
        if (pw_durations_add(&name->durations, ms, err) != 0)
            return -1;
        name->errors += span->is_error;
        name->self_ms += (double)self / ns_in_ms;
    }
    if (span->action != PW_INTERN_NONE && result->actions) {
        struct pw_otel_action *action = &result->actions[span->action];
        if (pw_durations_add(&action->durations, ms, err) != 0)
            return -1;
        action->failures += span->has_failed;
    }
    return 0;
}

/* Puts empty entries of all names and actions into the result; later ones are for the caller. */
static int add_entries(const struct pw_span_table *table, struct pw_telemetry *telemetry,
                       struct result *ret_result, struct pw_err *err)
{
    size_t first = telemetry->action_count;
    for (size_t i = 0; i < table->actions.count; i++)
        if (!pw_telemetry_add_action(telemetry, pw_intern_name(&table->actions, (uint32_t)i),
                                     PW_ACTION_SPAN, err))
            return -1;
    telemetry->span_names = calloc(table->names.count + 1, sizeof *telemetry->span_names);
    for (size_t i = 0; telemetry->span_names && i < table->names.count; i++) {
        struct pw_otel_span *name = &telemetry->span_names[i];
        name->name = strdup(pw_intern_name(&table->names, (uint32_t)i));
        if (!name->name)
            break;
        telemetry->span_name_count++;
    }
    if (!telemetry->span_names || telemetry->span_name_count != table->names.count) {
        pw_err_memory(err);
        return -1;
    }
    ret_result->names = telemetry->span_names;
    ret_result->actions = telemetry->actions ? telemetry->actions + first : NULL;
    return 0;
}

/* Names whose spans all were repeats of others' come to nothing. */
static void drop_empty(struct pw_telemetry *telemetry, size_t first_action)
{
    size_t names = 0;
    size_t actions = first_action;
    for (size_t i = 0; i < telemetry->span_name_count; i++) {
        if (telemetry->span_names[i].durations.count > 0)
            telemetry->span_names[names++] = telemetry->span_names[i];
        else
            free(telemetry->span_names[i].name);
    }
    for (size_t i = first_action; i < telemetry->action_count; i++) {
        if (telemetry->actions[i].durations.count > 0)
            telemetry->actions[actions++] = telemetry->actions[i];
        else
            free(telemetry->actions[i].name);
    }
    telemetry->span_name_count = names;
    telemetry->action_count = actions;
}

/* `spans` and `children` are for scratch, with room for all. */
static int fill(const struct pw_span_table *table, struct pw_telemetry *telemetry,
                struct listed *spans, struct listed *children, struct pw_err *err)
{
    struct result result = {0};
    size_t first_action = telemetry->action_count;
    if (add_entries(table, telemetry, &result, err) != 0)
        return -1;
    for (size_t i = 0; i < table->count; i++)
        spans[i].span = &table->records[i];
    qsort(spans, table->count, sizeof *spans, compare_ids);
    size_t count = drop_repeats(spans, table->count);
    telemetry->losses[PW_LOSS_REPEATED] += table->count - count;
    memcpy(children, spans, count * sizeof *children);
    qsort(children, count, sizeof *children, compare_parents);
    for (size_t i = 0; i < count; i++)
        if (add_record(&result, spans[i].span, self_ns(children, count, spans[i].span), err) != 0)
            return -1;
    drop_empty(telemetry, first_action);
    return 0;
}

int pw_span_table_result(const struct pw_span_table *table, struct pw_telemetry *telemetry,
                         struct pw_err *err)
{
    int status = -1;
    if (table->count == 0)
        return 0;
    struct listed *spans = calloc(table->count, sizeof *spans);
    struct listed *children = calloc(table->count, sizeof *children);
    if (spans && children)
        status = fill(table, telemetry, spans, children, err);
    else
        pw_err_memory(err);
    free(spans);
    free(children);
    return status;
}
