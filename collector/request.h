/*
 * One request: what it asks for, its body, its reply. Called by libmicrohttpd's callbacks, on the
 * server's thread.
 *
 * Every request for a known endpoint is counted exactly once (`counted` of its connection): taken,
 * late, or lost for one reason.
 */
#ifndef PW_COLLECTOR_REQUEST_H
#define PW_COLLECTOR_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

struct MHD_Connection;
struct pw_collector;
struct pw_connection;
struct pw_request;

/* The head has come. May queue a reply at once. NULL: end the connection. */
struct pw_request *pw_request_begin(struct pw_collector *collector,
                                    struct pw_connection *connection, const char *path,
                                    const char *method);
/* *size bytes of the body; *size becomes how many of them are left for later. False: end the
 * connection. */
bool pw_request_body(struct pw_request *request, const char *bytes, size_t *size);
/* The body has ended: queues the reply, or parks the connection and is called again. */
bool pw_request_end(struct pw_request *request);
/* For one that waits for room: gives it to the decoder if it is complete. False: wait on. */
bool pw_request_offer_locked(struct pw_request *request);
/* Whoever calls counts it as lost, if it is not counted yet. NULL is fine. */
void pw_request_free(struct pw_request *request);

#endif
