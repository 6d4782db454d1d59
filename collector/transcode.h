/*
 * OTLP/JSON to OTLP/protobuf, and back. JSON is turned into the binary form at the door, so that
 * behind it there is one encoding, one decoder and one way to keep a payload.
 *
 * Both directions follow the message descriptors: no function knows a message. Mapping: proto3 JSON
 * with OTLP's deviations (OTLP specification, "JSON Protobuf Encoding"): lowerCamelCase keys,
 * unknown keys ignored, null as absent; trace and span ids in hex, other bytes in base64 (also
 * URL-safe or without padding); 64-bit integers as decimal strings or as numbers with an integral
 * value; doubles as numbers, numeric strings, "NaN", "Infinity", "-Infinity"; enums as integers. A
 * known key twice, two members of a oneof, and null within an array are refused.
 *
 * Threads: a struct pw_transcoder belongs to one at a time.
 */
#ifndef PW_COLLECTOR_TRANSCODE_H
#define PW_COLLECTOR_TRANSCODE_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>
#include "core/err.h"
#include "core/str.h"

struct pw_transcoder;
int pw_transcoder_new(struct pw_transcoder **ret_transcoder, struct pw_err *err);
void pw_transcoder_free(struct pw_transcoder *transcoder); /* NULL is fine */

/*
 * Appends the binary form of the JSON `text` to `out` (cleared first). PW_JSON_PADDING bytes behind
 * the text must be readable. Lengths are written as padded varints, so the result is a little
 * larger than the shortest form; it passes pw_wire_check(). Errors: PW_ERR_INPUT, naming the place
 * ("resourceMetrics[0].scopeMetrics[1]: …"), PW_ERR_MEMORY.
 */
int pw_transcode_from_json(struct pw_transcoder *transcoder,
                           const ProtobufCMessageDescriptor *descriptor, const char *text,
                           size_t size, struct pw_str *out, struct pw_err *err);

/* Appends a decoded message as compact OTLP/JSON on one line, without newline. Fields at their
 * default are left out. Fails only by `out->failed`. */
void pw_transcode_to_json(const ProtobufCMessage *message, struct pw_str *out);

#endif
