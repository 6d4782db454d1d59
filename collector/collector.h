/*
 * The embedded OTLP/HTTP collector: a server on loopback, a decoder behind it, and one endpoint for
 * each worker, whose unguessable path makes every payload belong to exactly one of them.
 *
 * A request is received, checked and answered by the server's thread; it is decoded and aggregated
 * afterwards by the decoder's thread, so that a sender waits as little as possible. Bodies over
 * PW_LIMIT_OTLP_CHECK_HERE_BYTES are checked by a third thread, so that a sender of large ones
 * makes nobody else wait. What was
 * answered 200 is never lost: when the decoder is behind, requests wait for room, at most
 * PW_LIMIT_OTLP_BUSY_WAIT_MS, and are then answered 503.
 *
 * Statuses: 200; 400 undecodable; 404 another path; 405 not POST; 413 over the body limit, before
 * or after decompression; 415 another content type or encoding; 401 without the bearer token where
 * one is demanded; 503 no room. Errors carry a google.rpc.Status in the request's encoding. Source:
 * OTLP specification, "OTLP/HTTP".
 *
 * Threads: all functions from one thread, except pw_collector_url() and pw_endpoint_*_url(), which
 * any may call. Life: pw_collector_start(), endpoints, pw_collector_stop().
 */
#ifndef PW_COLLECTOR_COLLECTOR_H
#define PW_COLLECTOR_COLLECTOR_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdint.h>
#include "collector/classify.h"
#include "core/err.h"
#include "core/telemetry.h"

struct pw_collector;
struct pw_endpoint;

/* A payload that was accepted, decoded: for `perfwrap collect`. Called on the decoder's thread;
 * everything is borrowed for the call. */
struct pw_payload {
    enum pw_signal signal;
    const ProtobufCMessage *request;
    uint64_t bytes; /* as it came over the wire */
    bool was_json;
    int64_t received_unix_ns;
};

struct pw_collector_options {
    const char *listen;       /* "ADDRESS:PORT", "ADDRESS" or ":PORT"; "[::1]:4318" for IPv6. NULL:
                                 127.0.0.1, any free port */
    const char *bearer_token; /* demanded of every request; NULL: none. Must be given for an
                                 address that is not loopback: PW_ERR_USAGE else */
    size_t body_limit;        /* bytes of a body; 0: PW_LIMIT_OTLP_BODY_BYTES */
    const struct pw_classifier *classifier;                       /* borrowed */
    void (*tap)(void *context, const struct pw_payload *payload); /* may be NULL */
    void *tap_context;
};

/* PW_ERR_SYSTEM if the address is in use or cannot be had, with the remedy. */
int pw_collector_start(const struct pw_collector_options *options,
                       struct pw_collector **ret_collector, struct pw_err *err);
/* Ends the server, decodes what was answered, frees everything, the endpoints too. NULL is fine. */
void pw_collector_stop(struct pw_collector *collector);
/* "http://127.0.0.1:40123", with the real port. Borrowed. */
const char *pw_collector_url(const struct pw_collector *collector);

void pw_collector_strays(struct pw_collector *collector, struct pw_strays *ret_strays);

/* What came for one worker after its endpoint was closed. */
struct pw_late {
    unsigned iteration, worker_id;
    uint64_t payloads;
};
/* Calls `visit` for each endpoint with late payloads that is not forgotten, in no order. It must
 * call no function of this header. */
void pw_collector_each_late(struct pw_collector *collector,
                            void (*visit)(void *context, const struct pw_late *late),
                            void *context);

struct pw_pattern; /* core/pattern.h */

/* What an endpoint's owner waits for: a span of that name, or a log record whose event name or text
 * body matches (of a body, the first PW_LIMIT_MARK_LINE_BYTES). Name and pattern are borrowed until
 * the endpoint is closed. */
struct pw_awaited {
    size_t id; /* the owner's, given back */
    bool is_log;
    const char *span_name;                /* unless is_log */
    const struct pw_pattern *log_pattern; /* if is_log */
};

struct pw_endpoint_options {
    bool is_public;          /* at /v1/metrics itself, without a token: for `perfwrap collect` */
    int64_t since_unix_ns;   /* as for pw_window_new() */
    const uint8_t *trace_id; /* as for pw_window_new() */
    unsigned iteration, worker_id;    /* whose it is: given back by pw_collector_each_late() */
    const struct pw_awaited *awaited; /* `awaited_count` of them; copied */
    size_t awaited_count;
    /* What has that id came, in a request whose last byte was received at `received_at_ns`
     * (CLOCK_MONOTONIC). Once for each, on the decoder's thread, without a lock held; not after
     * pw_endpoint_close() has returned. */
    void (*awaited_came)(void *context, size_t id, int64_t received_at_ns);
    void *awaited_context;
};
/* Owned by the collector, until pw_collector_stop(), so that late payloads are known. Over
 * PW_LIMIT_OTLP_ENDPOINTS the oldest closed ones are forgotten: their paths are unknown from then
 * on, and pointers to them end. */
int pw_endpoint_open(struct pw_collector *collector, const struct pw_endpoint_options *options,
                     struct pw_endpoint **ret_endpoint, struct pw_err *err);
/* The base URL, without a slash at its end: "/v1/metrics" and so on follow. Borrowed. */
const char *pw_endpoint_url(const struct pw_endpoint *endpoint);

/*
 * Waits until nothing more can come for these endpoints: no connection of theirs is open (nor one
 * of which it is not yet known whose it is), nothing of theirs is waiting to be decoded. At most
 * `wait_ms`; while a request is being received, up to PW_LIMIT_OTLP_FLUSH_CAP_MS if that is more.
 * What was answered is decoded in any case; requests that are unfinished then are cut off and count
 * as PW_LOSS_CUT_OFF. Time for which the machine stands still counts in none of this.
 */
void pw_endpoints_flush(struct pw_collector *collector, struct pw_endpoint *const *endpoints,
                        size_t count, double wait_ms);
/* What came to in the end, into zeroed memory. From now on its payloads are late: they are answered
 * 200, and counted. */
int pw_endpoint_close(struct pw_endpoint *endpoint, struct pw_telemetry *ret_telemetry,
                      struct pw_err *err);
/* What it has so far, without closing it. */
int pw_endpoint_peek(struct pw_endpoint *endpoint, struct pw_telemetry *ret_telemetry,
                     struct pw_err *err);
/* Payloads that came after pw_endpoint_close(). */
uint64_t pw_endpoint_late(const struct pw_endpoint *endpoint);

#endif
