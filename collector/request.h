/*
 * One request: what it asks for, its body, its reply. Called by libmicrohttpd's callbacks, on the
 * server's thread; only pw_request_check() also on the checker's, while a request is its own.
 *
 * Every request for a known endpoint is counted exactly once (`counted` of its connection): taken,
 * late, or lost for one reason.
 */
#ifndef PW_COLLECTOR_REQUEST_H
#define PW_COLLECTOR_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct MHD_Connection;
struct pw_collector;
struct pw_connection;
struct pw_request;
struct pw_transcoder;

/* The head has come. May queue a reply at once. NULL: end the connection. */
struct pw_request *pw_request_begin(struct pw_collector *collector,
                                    struct pw_connection *connection, const char *path,
                                    const char *method);
/* *size bytes of the body; *size becomes how many of them are left for later. False: end the
 * connection. */
bool pw_request_body(struct pw_request *request, const char *bytes, size_t *size);
/* The body has ended: queues the reply, or suspends the connection until there is room, or until a
 * large body has been checked, and is called again. */
bool pw_request_end(struct pw_request *request);
/* Checks the whole body and makes it a payload for the decoder, or refuses it. */
void pw_request_check(struct pw_request *request, struct pw_transcoder *transcoder);
/* For one that is suspended: gives it to the decoder if it is complete. False: it must wait. */
bool pw_request_offer_locked(struct pw_request *request);
/* How long it may wait for room; the time runs from the first call. */
int64_t pw_request_busy_until_ns(struct pw_request *request);
/* Whoever calls counts it as lost, if it is not counted yet. NULL is fine. */
void pw_request_free(struct pw_request *request);

#endif
