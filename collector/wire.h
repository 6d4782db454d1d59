/*
 * Checks a protobuf body before it is decoded, because protobuf-c checks neither depth nor UTF-8,
 * and allocates without limit.
 *
 * Without recursion and without allocating. Threads: no shared state. Source: protobuf's encoding
 * specification; opentelemetry-proto.
 */
#ifndef PW_COLLECTOR_WIRE_H
#define PW_COLLECTOR_WIRE_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>
#include "core/err.h"
#include "core/telemetry.h"

/* What one value of the type takes in a decoded message, or in the array of a repeated field. */
size_t pw_otlp_value_bytes(ProtobufCType type);
/* The export request of a signal: otlp.MetricsRequest, …. */
const ProtobufCMessageDescriptor *pw_otlp_descriptor(enum pw_signal signal);

/*
 * Whether `bytes` is a well-formed message of the descriptor, and one that protobuf-c decodes:
 * known fields with a wire type that fits (repeated numbers packed or not), lengths that end within
 * their message, varints of at most ten bytes (tags and lengths: five), strings of valid UTF-8,
 * messages nested at most PW_LIMIT_OTLP_DEPTH deep; unknown fields of any kind are skipped,
 * deprecated groups refused. A message that is not repeated may come only once: protobuf would
 * merge the second into the first, no encoder writes it, and protobuf-c takes memory for it without
 * bound. *ret_need is an upper bound of the memory that protobuf_c_message_unpack() takes for it
 * from an arena. Errors: PW_ERR_INPUT, with the offset and the field ("byte 17:
 * resource_metrics.scope_metrics: …").
 */
int pw_wire_check(const ProtobufCMessageDescriptor *descriptor, const uint8_t *bytes, size_t size,
                  size_t *ret_need, struct pw_err *err);

#endif
