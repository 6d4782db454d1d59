/*
 * What the parts of the collector share. Only files of this folder, and their tests, include it.
 *
 * Three threads of its own: the server's (server.c), which alone talks to libmicrohttpd; the
 * checker's (checker.c), which has requests with a large body for as long as it checks them; and
 * the decoder's (queue.c). They and the caller's meet under one lock, which nobody holds for longer
 * than a few list operations. Functions called ..._locked want it held.
 */
#ifndef PW_COLLECTOR_IMPL_H
#define PW_COLLECTOR_IMPL_H

#include <pthread.h>
#include <stdint.h>
#include "collector/checker.h"
#include "collector/collector.h"
#include "collector/connection.h"
#include "collector/endpoint.h"
#include "collector/queue.h"
#include "collector/server.h"

enum { PW_COLLECTOR_NICE = 10 }; /* checker and decoder: whoever is measured goes first */

/* The bounds that a collector works with: those of core/limits.h, unless a test shortens them. */
struct pw_collector_limits {
    size_t body_bytes;                     /* of one request, before and after decompression */
    size_t check_here_bytes;               /* larger bodies are the checker's thread's */
    size_t held_bytes, held_bytes_one;     /* of bodies: of all endpoints, of one */
    unsigned queued_payloads, connections; /* of all */
    size_t queued_bytes_one;               /* of one endpoint, unless it is one payload */
    unsigned endpoints;                    /* known by their token, the closed ones too */
    size_t request_bytes; /* of a body: as many within request_ns, and it may take longer */
    int64_t idle_ns, request_ns, busy_wait_ns, flush_cap_ns;
    int64_t receiving_ns; /* a request is being received as long as bytes came within this time */
};
extern const struct pw_collector_limits pw_collector_default_limits;

struct pw_collector {
    struct pw_collector_limits limits;
    const struct pw_classifier *classifier;
    char *bearer_token; /* NULL: none is demanded */
    char *url;
    pthread_mutex_t lock;   /* guards all below */
    pthread_cond_t changed; /* something happened that a flush or a close may wait for */
    struct pw_endpoints endpoints;
    struct pw_connections connections;
    struct pw_checker checker;
    struct pw_queue queue;
    struct pw_server server;
    struct pw_strays strays;
};

/* pw_collector_start() with other limits; NULL: the default ones. */
int pw_collector_start_within(const struct pw_collector_options *options,
                              const struct pw_collector_limits *limits,
                              struct pw_collector **ret_collector, struct pw_err *err);

#endif
