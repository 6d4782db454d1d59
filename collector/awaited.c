#include "collector/awaited.h"

#include <otlp.pb-c.h>
#include <stdlib.h>
#include <string.h>
#include "core/limits.h"
#include "core/pattern.h"

int pw_awaiting_init(struct pw_awaiting *awaiting, const struct pw_endpoint_options *options,
                     struct pw_err *err)
{
    size_t count = options->awaited_count;
    if (count == 0)
        return 0;
    awaiting->items = calloc(count, sizeof *awaiting->items);
    if (!awaiting->items)
        return pw_err_memory(err);
    memcpy(awaiting->items, options->awaited, count * sizeof *awaiting->items);
    awaiting->left = count;
    awaiting->came = options->awaited_came;
    awaiting->context = options->awaited_context;
    return 0;
}

void pw_awaiting_done(struct pw_awaiting *awaiting)
{
    free(awaiting->items);
    *awaiting = (struct pw_awaiting){0};
}

/* The last one takes its place. */
static void came(struct pw_awaiting *awaiting, size_t i, int64_t received_at_ns)
{
    size_t id = awaiting->items[i].id;
    awaiting->items[i] = awaiting->items[--awaiting->left];
    awaiting->came(awaiting->context, id, received_at_ns);
}

static void look_at_span(struct pw_awaiting *awaiting, const Otlp__Span *span, int64_t at_ns)
{
    for (size_t i = awaiting->left; i-- > 0;) {
        const struct pw_awaited *item = &awaiting->items[i];
        if (!item->is_log && strcmp(item->span_name, span->name) == 0)
            came(awaiting, i, at_ns);
    }
}

/* As of a line of output, a beginning of it counts. */
static bool matches(const struct pw_pattern *pattern, const char *text)
{
    return text && text[0] &&
           pw_pattern_matches(pattern, text, strnlen(text, PW_LIMIT_MARK_LINE_BYTES));
}

/* The attribute is how the event's name was told before it had a field of its own. */
static const char *event_attribute(const Otlp__LogRecord *record)
{
    size_t count = record->n_attributes < PW_LIMIT_OTEL_ATTRIBUTES ? record->n_attributes
                                                                   : PW_LIMIT_OTEL_ATTRIBUTES;
    for (size_t i = 0; i < count; i++) {
        const Otlp__KeyValue *attribute = record->attributes[i];
        if (strcmp(attribute->key, "event.name") == 0 && attribute->value &&
            attribute->value->value_case == OTLP__ANY_VALUE__VALUE_STRING_VALUE)
            return attribute->value->string_value;
    }
    return NULL;
}

static void look_at_record(struct pw_awaiting *awaiting, const Otlp__LogRecord *record,
                           int64_t at_ns)
{
    const char *attribute = event_attribute(record), *body = NULL;
    if (record->body && record->body->value_case == OTLP__ANY_VALUE__VALUE_STRING_VALUE)
        body = record->body->string_value;
    for (size_t i = awaiting->left; i-- > 0;) {
        const struct pw_awaited *item = &awaiting->items[i];
        if (item->is_log &&
            (matches(item->log_pattern, record->event_name) ||
             matches(item->log_pattern, attribute) || matches(item->log_pattern, body)))
            came(awaiting, i, at_ns);
    }
}

static void look_at_spans(struct pw_awaiting *awaiting, const Otlp__TracesRequest *request,
                          int64_t at_ns)
{
    for (size_t i = 0; i < request->n_resource_spans; i++) {
        const Otlp__ResourceSpans *of_resource = request->resource_spans[i];
        for (size_t j = 0; j < of_resource->n_scope_spans; j++) {
            const Otlp__ScopeSpans *of_scope = of_resource->scope_spans[j];
            for (size_t k = 0; k < of_scope->n_spans && awaiting->left > 0; k++)
                look_at_span(awaiting, of_scope->spans[k], at_ns);
        }
    }
}

static void look_at_records(struct pw_awaiting *awaiting, const Otlp__LogsRequest *request,
                            int64_t at_ns)
{
    for (size_t i = 0; i < request->n_resource_logs; i++) {
        const Otlp__ResourceLogs *of_resource = request->resource_logs[i];
        for (size_t j = 0; j < of_resource->n_scope_logs; j++) {
            const Otlp__ScopeLogs *of_scope = of_resource->scope_logs[j];
            for (size_t k = 0; k < of_scope->n_log_records && awaiting->left > 0; k++)
                look_at_record(awaiting, of_scope->log_records[k], at_ns);
        }
    }
}

void pw_awaiting_look(struct pw_awaiting *awaiting, enum pw_signal signal,
                      const ProtobufCMessage *request, int64_t received_at_ns)
{
    if (signal == PW_SIGNAL_TRACES)
        look_at_spans(awaiting, (const Otlp__TracesRequest *)request, received_at_ns);
    else if (signal == PW_SIGNAL_LOGS)
        look_at_records(awaiting, (const Otlp__LogsRequest *)request, received_at_ns);
}
