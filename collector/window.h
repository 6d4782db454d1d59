/*
 * One worker's window: everything that it and its children report while it runs, brought down to
 * a struct pw_telemetry. Decoded requests go in, one call each; the result comes out once.
 *
 * Series are told apart by resource, scope (name, version, attributes), name, unit, type,
 * temporality, monotonicity and attributes, in any order of these. Delta points add up, exact
 * repetitions are dropped. Cumulative points count as last minus first within the window, for each
 * start time of a series separately (several processes of one identity, restarts); a series that
 * started within the window counts from zero; a fall without a new start time is a reset. Source:
 * opentelemetry-specification, metrics data model, "Sums" and "Resets and Gaps".
 *
 * Actions come from
 * - spans with an action attribute (classify.h) whose value is a string, or named "execute_tool
 *   NAME" (OpenTelemetry's convention for generative AI); failed: status ERROR, or the attribute
 *   `success` is false or "false";
 * - log records whose event name (attribute `event.name`, else the field: some SDKs put a place in
 *   the source into the field) reports an action's end, with an action attribute and a duration in
 *   `duration_ms` or `duration_s`, a number or a numeric string; failed: `success` is false or
 *   "false"; without `success`: `error` is there and not empty, or the severity is ERROR or worse;
 * - histograms of the action family whose unit is a time and whose points have an action attribute;
 *   failed: values of the sets in which `success` is false or "false". If several metrics report
 *   the same action, the one with the most values counts.
 *
 * Threads: one at a time. Ownership: a window copies what it keeps of a request.
 */
#ifndef PW_COLLECTOR_WINDOW_H
#define PW_COLLECTOR_WINDOW_H

#include <protobuf-c/protobuf-c.h>
#include <stdint.h>
#include "collector/classify.h"
#include "core/err.h"
#include "core/telemetry.h"

struct pw_window;

/* `since_unix_ns`: when the worker was started, or a little before; `trace_id`: of its span, 16
 * bytes, or NULL. The classifier is borrowed. */
int pw_window_new(const struct pw_classifier *classifier, int64_t since_unix_ns,
                  const uint8_t *trace_id, struct pw_window **ret_window, struct pw_err *err);
/* Senders may have been started before the window, and may not say when: the first value of a
 * cumulative series whose start is not known then is where counting begins. */
void pw_window_expect_older(struct pw_window *window);
void pw_window_free(struct pw_window *window); /* NULL is fine */

/* Takes a decoded otlp.MetricsRequest, .TracesRequest or .LogsRequest that came in `bytes` on the
 * wire. Fails for memory only; then the part before the failure counts, and the caller tells
 * PW_LOSS_MEMORY with pw_window_lose(). */
int pw_window_add(struct pw_window *window, enum pw_signal signal, const ProtobufCMessage *request,
                  uint64_t bytes, struct pw_err *err);
/* Counts what could not be taken. */
void pw_window_lose(struct pw_window *window, enum pw_loss loss, uint64_t count);
/* What it came to so far, into a zeroed or ended *ret_telemetry. May be called again after more
 * was added. */
int pw_window_result(const struct pw_window *window, struct pw_telemetry *ret_telemetry,
                     struct pw_err *err);

#endif
