/*
 * The spans of a window: kept small, one by one, because what a span's own time is shows only when
 * its children are known.
 *
 * Spans without a valid id (8 bytes, not all zero) are kept too, but have no children and are never
 * repeats. Over PW_LIMIT_OTEL_SPANS spans are lost; names over PW_LIMIT_OTEL_NAMES are not listed,
 * but such spans still count as somebody's children. Threads: one at a time. Zeroed memory is an
 * empty table.
 */
#ifndef PW_COLLECTOR_SPANS_H
#define PW_COLLECTOR_SPANS_H

#include <otlp.pb-c.h>
#include <stddef.h>
#include <stdint.h>
#include "collector/classify.h"
#include "collector/intern.h"
#include "core/err.h"
#include "core/telemetry.h"

enum { PW_TRACE_ID_BYTES = 16, PW_SPAN_ID_BYTES = 8 };

struct pw_span_record;
struct pw_span_table {
    struct pw_intern names, actions;
    struct pw_span_record *records; /* in the order they came */
    size_t count, capacity;
    uint64_t arrived, joined; /* all spans; those of the given trace */
    uint64_t losses[PW_LOSS_COUNT];
};

void pw_span_table_done(struct pw_span_table *table);
/* `trace_id` may be NULL. Fails for memory only. */
int pw_span_table_add(struct pw_span_table *table, const struct pw_classifier *classifier,
                      const uint8_t *trace_id, const Otlp__TracesRequest *request,
                      struct pw_err *err);
/* Adds to the result: names with their times, actions, both unsorted; to its losses those of
 * spans that came twice. */
int pw_span_table_result(const struct pw_span_table *table, struct pw_telemetry *telemetry,
                         struct pw_err *err);

#endif
