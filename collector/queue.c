#include "collector/queue.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include "collector/arena.h"
#include "collector/collector_impl.h"
#include "collector/wire.h"
#include "core/limits.h"

void pw_received_free(struct pw_received *received)
{
    if (!received)
        return;
    free(received->bytes);
    free(received);
}

/* Tries to turn the payload into numbers; false when out of memory. */
static bool decode(struct pw_collector *collector, const struct pw_received *received,
                   struct pw_arena *arena)
{
    struct pw_queue *queue = &collector->queue;
    ProtobufCAllocator allocator = pw_arena_allocator(arena);
    const ProtobufCMessage *request = protobuf_c_message_unpack(
        pw_otlp_descriptor(received->signal), &allocator, received->size, received->bytes);
    bool added = false;
    if (request) {
        const struct pw_payload payload = {.signal = received->signal,
                                           .request = request,
                                           .bytes = received->wire_bytes,
                                           .was_json = received->was_json,
                                           .received_unix_ns = received->received_unix_ns};
        if (queue->tap)
            queue->tap(queue->tap_context, &payload);
        if (received->endpoint->awaiting.left > 0)
            pw_awaiting_look(&received->endpoint->awaiting, received->signal, request,
                             received->received_at_ns);
        pthread_mutex_lock(&queue->windows);
        added = pw_window_add(received->endpoint->window, received->signal, request,
                              received->wire_bytes, NULL) == 0;
        pthread_mutex_unlock(&queue->windows);
    }
    pw_arena_reset(arena);
    return added;
}

/* Those who wait for room are let in again when an eighth of it is free, so that not each of many
 * is woken for each payload. */
static size_t seven_eighths(size_t limit)
{
    return limit - limit / 8;
}

bool pw_queue_has_room_locked(const struct pw_collector *collector,
                              const struct pw_endpoint *endpoint)
{
    return endpoint->held_bytes <= seven_eighths(collector->limits.held_bytes_one) &&
           endpoint->queued_bytes <= seven_eighths(collector->limits.queued_bytes_one);
}

static void change_room_locked(struct pw_collector *collector, struct pw_endpoint *endpoint,
                               size_t from, size_t to)
{
    struct pw_queue *queue = &collector->queue;
    queue->held_bytes += to - from;
    endpoint->held_bytes += to - from;
    queue->freed++;
    if (!TAILQ_EMPTY(&collector->connections.parked) && !collector->server.room_made &&
        queue->count < seven_eighths(collector->limits.queued_payloads) &&
        queue->held_bytes <= seven_eighths(collector->limits.held_bytes)) {
        collector->server.room_made = true;
        pw_server_wake(collector);
    }
}

static void *decoder_main(void *argument)
{
    struct pw_collector *collector = argument;
    struct pw_queue *queue = &collector->queue;
    struct pw_arena arena = PW_ARENA_INIT;
    setpriority(PRIO_PROCESS, (id_t)gettid(), PW_COLLECTOR_NICE); /* on Linux: of this thread */
    pthread_mutex_lock(&collector->lock);
    for (;;) {
        struct pw_received *received = STAILQ_FIRST(&queue->payloads);
        if (!received && queue->stopping)
            break;
        if (!received) {
            pthread_cond_wait(&queue->work, &collector->lock);
            continue;
        }
        STAILQ_REMOVE_HEAD(&queue->payloads, link);
        pthread_mutex_unlock(&collector->lock);
        bool added = decode(collector, received, &arena);
        pthread_mutex_lock(&collector->lock);
        if (!added)
            received->endpoint->losses[PW_LOSS_MEMORY]++;
        received->endpoint->queued--;
        received->endpoint->queued_bytes -= received->size;
        queue->count--;
        change_room_locked(collector, received->endpoint, received->held, 0);
        pthread_cond_broadcast(&collector->changed);
        pthread_mutex_unlock(&collector->lock);
        pw_received_free(received);
        pthread_mutex_lock(&collector->lock);
    }
    pthread_mutex_unlock(&collector->lock);
    pw_arena_done(&arena);
    return NULL;
}

int pw_queue_start(struct pw_collector *collector, struct pw_err *err)
{
    struct pw_queue *queue = &collector->queue;
    int sys = pthread_create(&queue->thread, NULL, decoder_main, collector);
    if (sys) {
        pw_err_system(err, sys, "start the collector's decoding thread");
        return pw_err_remedy(err, "raise the limit on processes (ulimit -u, pids.max)");
    }
    queue->threaded = true;
    pthread_setname_np(queue->thread, "otlp-decoder");
    return 0;
}

void pw_queue_stop(struct pw_collector *collector)
{
    struct pw_queue *queue = &collector->queue;
    if (!queue->threaded)
        return;
    pthread_mutex_lock(&collector->lock);
    queue->stopping = true;
    pw_queue_kick_locked(collector);
    pthread_mutex_unlock(&collector->lock);
    pthread_join(queue->thread, NULL);
    queue->threaded = false;
}

bool pw_queue_take_room(struct pw_collector *collector, struct pw_endpoint *endpoint, size_t more)
{
    const struct pw_collector_limits *limits = &collector->limits;
    struct pw_queue *queue = &collector->queue;
    pthread_mutex_lock(&collector->lock);
    bool room = queue->held_bytes + more <= limits->held_bytes &&
                endpoint->held_bytes + more <= limits->held_bytes_one;
    if (room) {
        queue->held_bytes += more;
        endpoint->held_bytes += more;
    } else {
        queue->freed_at_refusal = queue->freed;
    }
    pthread_mutex_unlock(&collector->lock);
    return room;
}

void pw_queue_change_room(struct pw_collector *collector, struct pw_endpoint *endpoint, size_t from,
                          size_t to)
{
    pthread_mutex_lock(&collector->lock);
    change_room_locked(collector, endpoint, from, to);
    pthread_mutex_unlock(&collector->lock);
}

bool pw_queue_put_locked(struct pw_collector *collector, struct pw_received *received)
{
    struct pw_queue *queue = &collector->queue;
    struct pw_endpoint *endpoint = received->endpoint;
    bool is_share_full = endpoint->queued && endpoint->queued_bytes + received->size >
                                                 collector->limits.queued_bytes_one;
    if (queue->count >= collector->limits.queued_payloads || is_share_full) {
        queue->freed_at_refusal = queue->freed;
        return false;
    }
    STAILQ_INSERT_TAIL(&queue->payloads, received, link);
    queue->count++;
    endpoint->queued++;
    endpoint->queued_bytes += received->size;
    return true;
}

void pw_queue_kick_locked(struct pw_collector *collector)
{
    pthread_cond_signal(&collector->queue.work);
}
