/*
 * The collector's endpoints, and the table from the token in a request's path to its endpoint.
 *
 * Tokens are 128 random bits in lower-case hex. They are the only thing that keeps one worker from
 * another's endpoint; looking them up in a hash table tells nothing about them in its timing that
 * could be used. Threads: all of it under the collector's lock, where nothing else is said.
 */
#ifndef PW_COLLECTOR_ENDPOINT_H
#define PW_COLLECTOR_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include "collector/awaited.h"
#include "collector/collector.h"
#include "collector/window.h"

enum { PW_TOKEN_LENGTH = 32 };

struct pw_endpoint {
    struct pw_collector *collector;
    char token[PW_TOKEN_LENGTH + 1]; /* constant; "" if public */
    char *url;                       /* constant */
    unsigned iteration, worker_id;   /* constant */
    struct pw_window *window;        /* guarded by the queue's `windows`; NULL when closed */
    struct pw_awaiting awaiting;     /* the decoder's thread's */
    bool closed;
    bool flushing;                    /* pw_endpoints_flush() waits for it */
    uint64_t late;                    /* payloads since it was closed */
    uint64_t losses[PW_LOSS_COUNT];   /* not yet told to the window */
    unsigned connections;             /* open ones whose last request was for it */
    unsigned queued;                  /* payloads waiting to be decoded, or just being */
    size_t queued_bytes;              /* of these */
    size_t held_bytes;                /* of bodies */
    struct pw_endpoint *next_in_slot; /* hash chain */
    TAILQ_ENTRY(pw_endpoint) closing; /* in the order of being closed */
};

struct pw_endpoints {
    struct pw_endpoint **slots;  /* a power of two */
    size_t slot_count, count;    /* count: without the public one */
    struct pw_endpoint *at_root; /* the public one, or NULL */
    TAILQ_HEAD(pw_endpoints_closed, pw_endpoint) closed;
};

/* What a path asks for. */
struct pw_route {
    char token[PW_TOKEN_LENGTH + 1]; /* "": the public endpoint */
    bool has_signal;                 /* else the path is that of an endpoint itself */
    enum pw_signal signal;
};

void pw_endpoints_init(struct pw_endpoints *table);
void pw_endpoints_done(struct pw_endpoints *table);
/* A new one with a random token and a window; it belongs to nobody yet. Without the lock. */
int pw_endpoint_new(struct pw_collector *collector, const struct pw_endpoint_options *options,
                    struct pw_endpoint **ret_endpoint, struct pw_err *err);
void pw_endpoint_free(struct pw_endpoint *endpoint); /* NULL is fine */
/* The table owns it afterwards. PW_ERR_USAGE if there is a public one already. */
int pw_endpoints_put_locked(struct pw_endpoints *table, struct pw_endpoint *endpoint,
                            struct pw_err *err);
void pw_endpoints_each_late_locked(const struct pw_endpoints *table,
                                   void (*visit)(void *context, const struct pw_late *late),
                                   void *context);
/* NULL if there is none. */
struct pw_endpoint *pw_endpoints_find_locked(const struct pw_endpoints *table,
                                             const struct pw_route *route);
/* From the oldest on, forgets closed endpoints without a connection, until `limit` are left. */
void pw_endpoints_forget_locked(struct pw_endpoints *table, size_t limit);
/* One payload of it was not taken, for that reason; after its end: came late. NULL is fine. */
void pw_endpoint_lose_locked(struct pw_endpoint *endpoint, enum pw_loss loss);

/* Reads the path of a request ("/TOKEN/v1/traces", "/v1/logs/", …) up to a `?`. False if it cannot
 * be any endpoint's. Any thread. */
bool pw_route_parse(const char *path, struct pw_route *ret_route);

#endif
