/*
 * The body of a request as it comes in, plain or compressed: kept in one growing buffer, within its
 * limit and the collector's budget.
 *
 * gzip is inflated chunk by chunk, so that a bomb is noticed when the limit is passed and not after
 * it has been unpacked. Streams of several members are one body (RFC 1952, 2.2). Threads: one at a
 * time.
 */
#ifndef PW_COLLECTOR_BODY_H
#define PW_COLLECTOR_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <zlib.h>

struct pw_collector;
struct pw_endpoint;

struct pw_body {
    struct pw_collector *collector;
    struct pw_endpoint *endpoint;
    uint8_t *bytes; /* PW_JSON_PADDING bytes more than `size` are readable; NULL at first */
    size_t size, capacity;
    size_t held;     /* of the budget */
    size_t expected; /* bytes that will come if the sender tells the truth; 0: unknown */
    z_stream *inflater;
    bool between_members; /* the gzip stream may end here */
};

enum pw_body_result {
    PW_BODY_TAKEN,
    PW_BODY_NO_ROOM,   /* the budget is used up: try again later with what is left */
    PW_BODY_TOO_LARGE, /* over the limit */
    PW_BODY_CORRUPT,   /* not gzip */
    PW_BODY_TRUNCATED, /* gzip that stops in the middle */
    PW_BODY_NO_MEMORY,
};

/* `expected`: the length of a plain body, 0 if unknown. */
enum pw_body_result pw_body_init(struct pw_body *body, struct pw_collector *collector,
                                 struct pw_endpoint *endpoint, bool gzip, size_t expected);
/* Gives back all memory, and the budget's too. */
void pw_body_done(struct pw_body *body);
/* *size becomes the number of bytes that were not taken. */
enum pw_body_result pw_body_add(struct pw_body *body, const void *bytes, size_t *size);
/* Nothing more will come: makes the padding, and `bytes` not NULL. */
enum pw_body_result pw_body_finish(struct pw_body *body);
/* Puts other bytes in its place, of which `capacity` are allocated; takes them over. */
void pw_body_replace(struct pw_body *body, uint8_t *bytes, size_t size, size_t capacity);

#endif
