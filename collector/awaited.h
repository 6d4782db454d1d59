/*
 * Spans and log records that an endpoint's owner waits for (collector.h: struct pw_awaited).
 *
 * Threads: one at a time; the decoder's, between init and done.
 */
#ifndef PW_COLLECTOR_AWAITED_H
#define PW_COLLECTOR_AWAITED_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>
#include "collector/collector.h"
#include "core/err.h"

struct pw_awaiting {
    struct pw_awaited *items; /* those that have not come are the first `left` */
    size_t left;
    void (*came)(void *context, size_t id, int64_t received_at_ns);
    void *context;
};

/* Zeroed memory is one that waits for nothing. */
int pw_awaiting_init(struct pw_awaiting *awaiting, const struct pw_endpoint_options *options,
                     struct pw_err *err);
void pw_awaiting_done(struct pw_awaiting *awaiting);
/* Looks through a decoded request, and tells what has come. Only if `left` > 0. */
void pw_awaiting_look(struct pw_awaiting *awaiting, enum pw_signal signal,
                      const ProtobufCMessage *request, int64_t received_at_ns);

#endif
