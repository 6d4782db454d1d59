#include "collector/request.h"

#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include "collector/body.h"
#include "collector/collector_impl.h"
#include "collector/reply.h"
#include "collector/transcode.h"
#include "collector/wire.h"
#include "core/clock.h"
#include "core/limits.h"

/* What became of a complete and good body. */
enum verdict { OPEN, TAKEN, LATE, CUT };

struct pw_request {
    struct pw_collector *collector;
    struct pw_connection *connection;
    struct pw_endpoint *endpoint; /* NULL: nobody's */
    enum pw_signal signal;
    enum pw_media media;
    struct pw_body body;
    uint64_t wire_bytes, discarded_bytes;
    int64_t busy_until_ns; /* 0: it has not had to wait for room yet */
    unsigned status; /* of the reply at the end, if it is an error; then the body is discarded */
    char message[PW_ERR_MESSAGE_MAX];
    struct pw_received *received; /* what the body came to, as long as it is not taken */
    enum verdict verdict;
};

/* Replies */

static bool queue_reply(const struct pw_request *request, unsigned status,
                        const struct pw_str *text)
{
    if (text->failed)
        return false;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(text->length, (void *)text->text, MHD_RESPMEM_MUST_COPY);
    if (!response)
        return false;
    bool complete = MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
                                            pw_media_type(request->media)) == MHD_YES;
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        complete &= MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW,
                                            MHD_HTTP_METHOD_POST) == MHD_YES;
    if (status == MHD_HTTP_UNAUTHORIZED)
        complete &= MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer") ==
                    MHD_YES;
    if (status == MHD_HTTP_SERVICE_UNAVAILABLE)
        complete &= MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, "1") == MHD_YES;
    complete =
        complete && MHD_queue_response(request->connection->mhd, status, response) == MHD_YES;
    MHD_destroy_response(response);
    return complete;
}

static bool reply_error(const struct pw_request *request)
{
    PW_STR_AUTO text = PW_STR_INIT;
    pw_reply_status(request->media, request->status, request->message, &text);
    return queue_reply(request, request->status, &text);
}

static bool reply_late(const struct pw_request *request)
{
    PW_STR_AUTO text = PW_STR_INIT;
    pw_reply_partial(request->media, request->signal, 0,
                     "the run that this belongs to has ended: it is not counted", &text);
    return queue_reply(request, MHD_HTTP_OK, &text);
}

static bool reply_taken(const struct pw_request *request)
{
    return MHD_queue_response(request->connection->mhd, MHD_HTTP_OK,
                              request->collector->server.accepted[request->media]) == MHD_YES;
}

/* Counts */

static void lose(struct pw_request *request, enum pw_loss loss)
{
    pthread_mutex_lock(&request->collector->lock);
    if (!request->connection->counted)
        pw_endpoint_lose_locked(request->endpoint, loss);
    request->connection->counted = true;
    pthread_mutex_unlock(&request->collector->lock);
}

/* The request will be answered with that status; nothing of it is kept. */
__attribute__((format(printf, 4, 5))) static void refuse(struct pw_request *request,
                                                         unsigned status, enum pw_loss loss,
                                                         const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(request->message, sizeof request->message, format, arguments);
    va_end(arguments);
    request->status = status;
    lose(request, loss);
    pw_body_done(&request->body);
    pw_received_free(request->received);
    request->received = NULL;
}

static void refuse_stranger(struct pw_request *request, unsigned status, uint64_t *counter,
                            const char *message)
{
    snprintf(request->message, sizeof request->message, "%s", message);
    request->status = status;
    pthread_mutex_lock(&request->collector->lock);
    ++*counter;
    request->connection->counted = true;
    pthread_mutex_unlock(&request->collector->lock);
}

static void refuse_busy(struct pw_request *request)
{
    refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, PW_LOSS_BUSY,
           "too much is waiting to be decoded");
}

static void refuse_memory(struct pw_request *request)
{
    refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, PW_LOSS_MEMORY, "out of memory");
}

static void refuse_large(struct pw_request *request)
{
    refuse(request, MHD_HTTP_CONTENT_TOO_LARGE, PW_LOSS_TOO_LARGE,
           "the body has more than %zu bytes, before or after decompression",
           request->collector->limits.body_bytes);
}

/* The head */

static const char *header(const struct pw_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection->mhd, MHD_HEADER_KIND, name);
}

/* In a time that does not depend on where the two differ. */
static bool is_authorized(const char *authorization, const char *token)
{
    static const char scheme[] = "Bearer ";
    if (!authorization || strncasecmp(authorization, scheme, sizeof scheme - 1) != 0)
        return false;
    authorization += sizeof scheme - 1;
    size_t given = strlen(authorization), wanted = strlen(token);
    unsigned difference = given != wanted;
    for (size_t i = 0; i < given; i++)
        difference |= (unsigned char)authorization[i] ^ (unsigned char)token[i % (wanted + 1)];
    return difference == 0;
}

static uint64_t content_length(const struct pw_request *request)
{
    const char *length = header(request, MHD_HTTP_HEADER_CONTENT_LENGTH);
    /* libmicrohttpd has made sure that it is a number. */
    return length && !header(request, MHD_HTTP_HEADER_TRANSFER_ENCODING)
               ? strtoull(length, NULL, 10)
               : 0;
}

/* Finds out whose it is; false if it is refused. */
static bool find_endpoint(struct pw_request *request, const char *path)
{
    struct pw_collector *collector = request->collector;
    if (collector->bearer_token &&
        !is_authorized(header(request, MHD_HTTP_HEADER_AUTHORIZATION), collector->bearer_token)) {
        refuse_stranger(request, MHD_HTTP_UNAUTHORIZED, &collector->strays.unauthorized,
                        "a bearer token is demanded, and not this one");
        return false;
    }
    struct pw_route route = {0};
    bool routed = pw_route_parse(path, &route);
    pthread_mutex_lock(&collector->lock);
    request->endpoint = routed ? pw_endpoints_find_locked(&collector->endpoints, &route) : NULL;
    request->signal = route.signal;
    /* As at the request line already, unless the path was percent-encoded there. */
    pw_connection_give_locked(collector, request->connection, request->endpoint);
    pthread_mutex_unlock(&collector->lock);
    if (!request->endpoint) {
        refuse_stranger(request, MHD_HTTP_NOT_FOUND, &collector->strays.unknown_path,
                        "nothing is received at this path");
        return false;
    }
    if (!route.has_signal) {
        refuse(request, MHD_HTTP_NOT_FOUND, PW_LOSS_UNSUPPORTED,
               "this is the base URL; POST to its /v1/metrics, /v1/traces or /v1/logs");
        return false;
    }
    return true;
}

/* Whether we can make something of such a body; false if it is refused. */
static bool check_kind(struct pw_request *request, const char *method, bool is_ours, bool endless,
                       bool *ret_gzip)
{
    const char *coding = header(request, MHD_HTTP_HEADER_CONTENT_ENCODING);
    *ret_gzip = coding && strcasecmp(coding, "gzip") == 0;
    if (strcmp(method, MHD_HTTP_METHOD_POST) != 0)
        refuse(request, MHD_HTTP_METHOD_NOT_ALLOWED, PW_LOSS_UNSUPPORTED, "only POST is served");
    else if (!is_ours)
        refuse(request, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, PW_LOSS_UNSUPPORTED,
               "the content type must be application/x-protobuf or application/json");
    else if (coding && !*ret_gzip && coding[0] && strcasecmp(coding, "identity") != 0)
        refuse(request, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, PW_LOSS_UNSUPPORTED,
               "the content encoding must be gzip, or none");
    else if (endless)
        refuse(request, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, PW_LOSS_UNSUPPORTED,
               "the transfer encoding must be chunked, or none");
    else
        return true;
    return false;
}

struct pw_request *pw_request_begin(struct pw_collector *collector,
                                    struct pw_connection *connection, const char *path,
                                    const char *method)
{
    struct pw_request *request = calloc(1, sizeof *request);
    if (!request)
        return NULL;
    request->collector = collector;
    request->connection = connection;
    bool gzip = false,
         is_ours = pw_media_parse(header(request, MHD_HTTP_HEADER_CONTENT_TYPE), &request->media);
    uint64_t length = content_length(request);
    bool too_long = length > collector->limits.body_bytes;
    const char *transfer = header(request, MHD_HTTP_HEADER_TRANSFER_ENCODING);
    bool endless = transfer && strcasecmp(transfer, "chunked") != 0;
    if (find_endpoint(request, path) && check_kind(request, method, is_ours, endless, &gzip)) {
        if (too_long)
            refuse_large(request);
        else if (pw_body_init(&request->body, collector, request->endpoint, gzip,
                              gzip ? 0 : (size_t)length) != PW_BODY_TAKEN)
            refuse_memory(request);
    }
    /* A refusal is said at once to those who wait for it, or who would send too much, or without
     * an end; the connection ends with it. To others after the body, so that it can go on. */
    if (request->status && (too_long || endless || header(request, MHD_HTTP_HEADER_EXPECT)) &&
        !reply_error(request)) {
        pw_request_free(request);
        return NULL;
    }
    return request;
}

/* The body */

int64_t pw_request_busy_until_ns(struct pw_request *request)
{
    if (!request->busy_until_ns)
        request->busy_until_ns = pw_clock_now_ns() + request->collector->limits.busy_wait_ns;
    return request->busy_until_ns;
}

/* False if the time for waiting is over. */
static bool wait_for_room(struct pw_request *request)
{
    if (pw_clock_now_ns() >= pw_request_busy_until_ns(request))
        return false;
    pw_server_park(request->collector, request->connection, request->busy_until_ns);
    return true;
}

/* What became of a part of the body; true if the request now waits for room. */
static bool judge(struct pw_request *request, enum pw_body_result result)
{
    switch (result) {
    case PW_BODY_TAKEN: break;
    case PW_BODY_NO_ROOM:
        if (wait_for_room(request))
            return true;
        refuse_busy(request);
        break;
    case PW_BODY_TOO_LARGE: refuse_large(request); break;
    case PW_BODY_CORRUPT:
        refuse(request, MHD_HTTP_BAD_REQUEST, PW_LOSS_UNDECODABLE, "the body is not valid gzip");
        break;
    case PW_BODY_TRUNCATED:
        refuse(request, MHD_HTTP_BAD_REQUEST, PW_LOSS_UNDECODABLE, "the gzip stream is cut off");
        break;
    case PW_BODY_NO_MEMORY: refuse_memory(request); break;
    }
    return false;
}

bool pw_request_body(struct pw_request *request, const char *bytes, size_t *size)
{
    size_t left = *size;
    atomic_store_explicit(&request->connection->last_bytes_ns, pw_clock_now_ns(),
                          memory_order_relaxed);
    if (!request->status) {
        bool waits = judge(request, pw_body_add(&request->body, bytes, &left));
        request->wire_bytes += *size - left;
        request->connection->recent_bytes += *size - left;
        if (waits || !request->status) {
            *size = left;
            return true;
        }
    }
    request->discarded_bytes += left;
    request->connection->recent_bytes += left;
    *size = 0;
    return request->discarded_bytes <= request->collector->limits.body_bytes;
}

static int64_t unix_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * PW_NS_PER_SEC + now.tv_nsec;
}

/* Puts the binary form in the place of a JSON body. */
static int transcode(struct pw_request *request, struct pw_transcoder *transcoder,
                     struct pw_err *err)
{
    struct pw_body *body = &request->body;
    PW_STR_AUTO binary = PW_STR_INIT;
    if (pw_transcode_from_json(transcoder, pw_otlp_descriptor(request->signal),
                               (const char *)body->bytes, body->size, &binary, err))
        return -1;
    size_t size = binary.length;
    char *bytes = pw_str_take(&binary, err);
    if (!bytes)
        return -1;
    char *shrunk = realloc(bytes, size + 1);
    if (shrunk)
        bytes = shrunk;
    pw_body_replace(body, (uint8_t *)bytes, size, size + 1);
    return 0;
}

void pw_request_check(struct pw_request *request, struct pw_transcoder *transcoder)
{
    struct pw_err err = PW_ERR_INIT;
    struct pw_body *body = &request->body;
    const ProtobufCMessageDescriptor *descriptor = pw_otlp_descriptor(request->signal);
    size_t need = 0;
    if ((request->media == PW_MEDIA_JSON && transcode(request, transcoder, &err)) ||
        pw_wire_check(descriptor, body->bytes, body->size, &need, &err)) {
        if (err.cls == PW_ERR_MEMORY)
            refuse_memory(request);
        else
            refuse(request, MHD_HTTP_BAD_REQUEST, PW_LOSS_UNDECODABLE, "%s", err.message);
        return;
    }
    if (need > PW_LIMIT_OTLP_DECODED_BYTES) {
        refuse(request, MHD_HTTP_CONTENT_TOO_LARGE, PW_LOSS_TOO_LARGE,
               "the body would take %zu bytes of memory when decoded", need);
        return;
    }
    struct pw_received *received = calloc(1, sizeof *received);
    if (!received) {
        refuse_memory(request);
        return;
    }
    *received =
        (struct pw_received){.endpoint = request->endpoint,
                             .signal = request->signal,
                             .bytes = body->bytes,
                             .size = body->size,
                             .held = body->held,
                             .wire_bytes = request->wire_bytes,
                             .was_json = request->media == PW_MEDIA_JSON,
                             .received_unix_ns = unix_now_ns(),
                             .received_at_ns = atomic_load_explicit(
                                 &request->connection->last_bytes_ns, memory_order_relaxed)};
    /* Until it is queued, the budget's part of it stays in the body's name. */
    body->bytes = NULL;
    request->received = received;
}

bool pw_request_offer_locked(struct pw_request *request)
{
    struct pw_connection *connection = request->connection;
    if (request->verdict != OPEN || request->status)
        return true;
    if (connection->cut) {
        request->verdict = CUT;
    } else if (!request->received) { /* more of the body is to come */
        return pw_queue_has_room_locked(request->collector, request->endpoint);
    } else if (request->endpoint->closed) {
        pw_endpoint_lose_locked(request->endpoint, PW_LOSS_LATE);
        connection->counted = true;
        request->verdict = LATE;
    } else if (pw_queue_put_locked(request->collector, request->received)) {
        request->received = NULL;
        request->body.held = 0; /* the payload's */
        connection->counted = true;
        request->verdict = TAKEN;
    }
    return request->verdict != OPEN;
}

bool pw_request_end(struct pw_request *request)
{
    if (!request->status && !request->received && request->verdict == OPEN) {
        if (judge(request, pw_body_finish(&request->body)))
            return true;
        if (!request->status && request->body.size > request->collector->limits.check_here_bytes) {
            pw_server_have_checked(request->collector, request->connection);
            return true;
        }
        if (!request->status)
            pw_request_check(request, request->collector->server.transcoder);
    }
    if (request->status)
        return reply_error(request);
    pthread_mutex_lock(&request->collector->lock);
    pw_request_offer_locked(request);
    pthread_mutex_unlock(&request->collector->lock);
    switch (request->verdict) {
    case TAKEN: return reply_taken(request);
    case LATE: return reply_late(request);
    case CUT: return false;
    case OPEN: break;
    }
    if (wait_for_room(request))
        return true;
    refuse_busy(request);
    return reply_error(request);
}

void pw_request_free(struct pw_request *request)
{
    if (!request)
        return;
    if (request->received && request->verdict == OPEN) /* gone while it waited for room */
        lose(request, PW_LOSS_BUSY);
    pw_body_done(&request->body);
    pw_received_free(request->received);
    free(request);
}
