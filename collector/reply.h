/*
 * Bodies of replies, in the encoding of the request: google.rpc.Status for errors, and the partial
 * success of an export response. Written by hand: two messages of two fields each. Source: OTLP
 * specification, "Failures" and "Partial Success"; google/rpc/status.proto.
 *
 * Texts are brought down to printable ASCII, since what they quote came from outside. Threads: no
 * shared state.
 */
#ifndef PW_COLLECTOR_REPLY_H
#define PW_COLLECTOR_REPLY_H

#include <stdbool.h>
#include <stdint.h>
#include "core/str.h"
#include "core/telemetry.h"

enum pw_media {
    PW_MEDIA_JSON,
    PW_MEDIA_PROTOBUF,
    PW_MEDIA_PROTOBUF_SHORT, /* application/protobuf, which some senders say */
    PW_MEDIA_COUNT
};
/* "application/json", …. */
const char *pw_media_type(enum pw_media media);
/* Reads the value of a Content-Type header; false if it is none of ours, or NULL. */
bool pw_media_parse(const char *content_type, enum pw_media *ret_media);

/* Each appends the body to `out`. */
void pw_reply_status(enum pw_media media, unsigned http_status, const char *message,
                     struct pw_str *out);
/* `rejected` items of the signal were not taken; 0: a warning only. */
void pw_reply_partial(enum pw_media media, enum pw_signal signal, uint64_t rejected,
                      const char *message, struct pw_str *out);

#endif
