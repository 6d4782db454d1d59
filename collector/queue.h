/*
 * Payloads that were answered and wait to be decoded, the thread that decodes them, and the memory
 * budget of all bodies, being received or waiting.
 *
 * Threads: any may call.
 */
#ifndef PW_COLLECTOR_QUEUE_H
#define PW_COLLECTOR_QUEUE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include "collector/collector.h"
#include "core/err.h"

struct pw_received {
    struct pw_endpoint *endpoint;
    enum pw_signal signal;
    uint8_t *bytes; /* protobuf that passed pw_wire_check(); owned, not NULL */
    size_t size;
    size_t held; /* of the budget */
    uint64_t wire_bytes;
    bool was_json;
    int64_t received_unix_ns;
    int64_t received_at_ns; /* its last byte */
    STAILQ_ENTRY(pw_received) link;
};

struct pw_queue {
    pthread_t thread;
    bool threaded; /* the thread was started */
    bool stopping;
    pthread_cond_t work;
    STAILQ_HEAD(pw_received_list, pw_received) payloads;
    unsigned count;            /* of them, and the one that is being decoded */
    size_t held_bytes;         /* of all endpoints */
    uint64_t freed;            /* how often room was made */
    uint64_t freed_at_refusal; /* the same, when there was none for somebody */
    pthread_mutex_t windows;   /* guards the endpoints' windows; not taken with the lock held */
    void (*tap)(void *context, const struct pw_payload *payload);
    void *tap_context;
};

int pw_queue_start(struct pw_collector *collector, struct pw_err *err);
/* Decodes what is waiting, then ends the thread. Also after a failed or no start. */
void pw_queue_stop(struct pw_collector *collector);

/* Takes `more` bytes of the budget for an endpoint's body; false if there is no room. */
bool pw_queue_take_room(struct pw_collector *collector, struct pw_endpoint *endpoint, size_t more);
/* Changes what was taken from `from` to `to` bytes, and lets those try again who wait for room. */
void pw_queue_change_room(struct pw_collector *collector, struct pw_endpoint *endpoint, size_t from,
                          size_t to);
/* Whether somebody who waits for room for that endpoint's body may try again. */
bool pw_queue_has_room_locked(const struct pw_collector *collector,
                              const struct pw_endpoint *endpoint);
/* Takes the payload over, unless the queue is full. The decoder may see it later only, when
 * pw_queue_kick() tells that its sender has the reply. */
bool pw_queue_put_locked(struct pw_collector *collector, struct pw_received *received);
void pw_queue_kick_locked(struct pw_collector *collector);
void pw_received_free(struct pw_received *received); /* NULL is fine */

#endif
