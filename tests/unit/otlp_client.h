/* A small HTTP client for tests of the collector: raw sockets, so that it can misbehave as well. */
#ifndef PW_TESTS_OTLP_CLIENT_H
#define PW_TESTS_OTLP_CLIENT_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <zlib.h>
#include "collector/collector_impl.h"
#include "core/clock.h"
#include "core/str.h"
#include "tests/unit/unit.h"

static const char as_json[] = "application/json";
static const char as_protobuf[] = "application/x-protobuf";

struct reply {
    int status; /* 0: the connection ended without a reply */
    char head[4096];
    char content_type[64];
    char body[4096];
    size_t size;
};

/* --- connections --- */

/* Longer than anything here may take: a test fails then, it does not hang. */
static inline int connect_to(const char *url)
{
    const struct timeval patience = {.tv_sec = 60};
    const int on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    address.sin_port = htons((uint16_t)strtoul(strrchr(url, ':') + 1, NULL, 10));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

/* False when the other side has gone. */
static inline bool send_bytes(int fd, const void *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t sent = send(fd, (const char *)bytes + done, size - done, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent <= 0) {
            return false;
        }
        done += (size_t)sent;
    }
    return true;
}

static inline bool send_text(int fd, const char *text)
{
    return send_bytes(fd, text, strlen(text));
}

/* False at the end of the connection. A connection that stays silent is a failure. */
static inline bool receive_byte(int fd, char *ret_byte)
{
    ssize_t got = recv(fd, ret_byte, 1, 0);
    assert_false(got < 0 && errno == EAGAIN);
    return got == 1;
}

/* Reads until the other side closes. */
static inline void expect_end(int fd)
{
    char byte;
    while (receive_byte(fd, &byte)) {}
}

static inline const char *reply_header(const struct reply *reply, const char *name)
{
    for (const char *line = strstr(reply->head, "\r\n"); line; line = strstr(line + 2, "\r\n")) {
        if (strncasecmp(line + 2, name, strlen(name)) == 0 && line[2 + strlen(name)] == ':') {
            return line + 2 + strlen(name) + 2;
        }
    }
    return NULL;
}

/* Interim replies (100) are replies here too. */
static inline struct reply read_reply(int fd)
{
    struct reply reply = {0};
    size_t length = 0;
    while (!strstr(reply.head, "\r\n\r\n")) {
        assert_true(length + 1 < sizeof(reply.head));
        if (!receive_byte(fd, &reply.head[length])) {
            return (struct reply){0};
        }
        length++;
    }
    const char *size = reply_header(&reply, "Content-Length");
    const char *type = reply_header(&reply, "Content-Type");
    reply.status = (int)strtol(reply.head + strlen("HTTP/1.1 "), NULL, 10);
    reply.size = size ? strtoul(size, NULL, 10) : 0;
    assert_true(reply.size < sizeof(reply.body));
    for (size_t i = 0; i < reply.size; i++) {
        assert_true(receive_byte(fd, &reply.body[i]));
    }
    if (type) {
        snprintf(reply.content_type, sizeof(reply.content_type), "%.*s", (int)strcspn(type, "\r"),
                 type);
    }
    return reply;
}

/* --- requests --- */

struct post {
    const char *url;    /* of the endpoint */
    const char *path;   /* behind it; NULL: that of the signal */
    const char *type;   /* content type; NULL: none */
    const char *method; /* NULL: POST */
    const char *extra;  /* further header lines, each with its end; NULL: none */
    enum pw_signal signal;
    bool gzip, chunked;
    const void *body;
    size_t size;
};

static inline char *gzip_bytes(const void *bytes, size_t size, size_t *ret_size)
{
    z_stream stream = {0};
    assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY),
                     Z_OK);
    size_t bound = deflateBound(&stream, size);
    char *compressed = malloc(bound);
    assert_non_null(compressed);
    stream.next_in = (Bytef *)(uintptr_t)bytes;
    stream.avail_in = (uInt)size;
    stream.next_out = (Bytef *)compressed;
    stream.avail_out = (uInt)bound;
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    *ret_size = stream.total_out;
    deflateEnd(&stream);
    return compressed;
}

static inline void add_chunk(struct pw_str *out, const char *bytes, size_t size)
{
    pw_str_addf(out, "%zx\r\n", size);
    pw_str_add_bytes(out, bytes, size);
    pw_str_add(out, "\r\n");
}

static inline void add_chunks(struct pw_str *out, const char *bytes, size_t size)
{
    enum { CHUNK_BYTES = 5000 };
    for (size_t done = 0; done < size; done += CHUNK_BYTES) {
        add_chunk(out, bytes + done, size - done < CHUNK_BYTES ? size - done : CHUNK_BYTES);
    }
    pw_str_add(out, "0\r\n\r\n");
}

/* Appends the head, with `length` as Content-Length, or chunked. */
static inline void add_head(struct pw_str *out, const struct post *post, size_t length)
{
    const char *base = strchr(post->url + strlen("http://"), '/');
    pw_str_addf(out, "%s %s", post->method ? post->method : "POST", base ? base : "");
    if (post->path) {
        pw_str_add(out, post->path);
    } else {
        pw_str_addf(out, "/v1/%s", pw_signal_name(post->signal));
    }
    pw_str_add(out, " HTTP/1.1\r\nHost: 127.0.0.1\r\n");
    if (post->type) {
        pw_str_addf(out, "Content-Type: %s\r\n", post->type);
    }
    if (post->gzip) {
        pw_str_add(out, "Content-Encoding: gzip\r\n");
    }
    if (post->chunked) {
        pw_str_add(out, "Transfer-Encoding: chunked\r\n");
    } else {
        pw_str_addf(out, "Content-Length: %zu\r\n", length);
    }
    pw_str_addf(out, "%s\r\n", post->extra ? post->extra : "");
}

static inline void add_request(struct pw_str *out, const struct post *post)
{
    size_t size = post->size;
    char *compressed = post->gzip ? gzip_bytes(post->body, post->size, &size) : NULL;
    const char *body = compressed ? compressed : post->body;
    add_head(out, post, size);
    if (post->chunked) {
        add_chunks(out, body, size);
    } else if (size > 0) {
        pw_str_add_bytes(out, body, size);
    }
    free(compressed);
    assert_false(out->failed);
}

static inline bool send_request(int fd, const struct post *post)
{
    PW_STR_AUTO text = PW_STR_INIT;
    add_request(&text, post);
    return send_bytes(fd, text.text, text.length);
}

static inline struct reply post_on(int fd, const struct post *post)
{
    send_request(fd, post);
    return read_reply(fd);
}

static inline struct reply post_once(const struct post *post)
{
    int fd = connect_to(post->url);
    struct reply reply = post_on(fd, post);
    close(fd);
    return reply;
}

static inline int post_json(const char *url, const char *body)
{
    return post_once(
               &(struct post){.url = url, .type = as_json, .body = body, .size = strlen(body)})
        .status;
}

/* Two datapoints. */
static const char two_points[] =
    "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"name\":\"m\",\"gauge\":{"
    "\"dataPoints\":[{\"timeUnixNano\":\"1\",\"asInt\":\"3\"},{\"timeUnixNano\":\"2\","
    "\"asInt\":\"4\"}]}}]}]}]}";

/* --- collectors --- */

static inline struct pw_classifier *default_classifier(void)
{
    struct pw_classifier *classifier = NULL;
    assert_int_equal(pw_classifier_new(&(struct pw_classifier_spec){0}, &classifier, NULL), 0);
    return classifier;
}

struct fixture {
    struct pw_classifier *classifier;
    struct pw_collector *collector;
};

static inline struct fixture start_collector(struct pw_collector_options options,
                                             const struct pw_collector_limits *limits)
{
    struct fixture fixture = {.classifier = default_classifier()};
    struct pw_err err = PW_ERR_INIT;
    options.classifier = fixture.classifier;
    if (pw_collector_start_within(&options, limits, &fixture.collector, &err) != 0) {
        fail_msg("%s", err.message);
    }
    return fixture;
}

static inline void stop_collector(struct fixture *fixture)
{
    pw_collector_stop(fixture->collector);
    pw_classifier_free(fixture->classifier);
}

static inline struct pw_endpoint *open_endpoint(const struct fixture *fixture)
{
    struct pw_endpoint *endpoint = NULL;
    const struct pw_endpoint_options options = {.since_unix_ns = 1};
    assert_int_equal(pw_endpoint_open(fixture->collector, &options, &endpoint, NULL), 0);
    return endpoint;
}

/* pw_telemetry_done() it. */
static inline struct pw_telemetry close_endpoint(struct pw_endpoint *endpoint)
{
    struct pw_telemetry telemetry = {0};
    assert_int_equal(pw_endpoint_close(endpoint, &telemetry, NULL), 0);
    return telemetry;
}

/* What it has so far, as one number each. */
static inline uint64_t peek_loss(struct pw_endpoint *endpoint, enum pw_loss loss)
{
    struct pw_telemetry telemetry = {0};
    assert_int_equal(pw_endpoint_peek(endpoint, &telemetry, NULL), 0);
    uint64_t count = telemetry.losses[loss];
    pw_telemetry_done(&telemetry);
    return count;
}

static inline struct pw_strays strays_of(const struct fixture *fixture)
{
    struct pw_strays strays;
    pw_collector_strays(fixture->collector, &strays);
    return strays;
}

/* Waits for the collector to be in a state that no reply tells; `condition` under the lock. */
static inline void wait_for_state(struct pw_collector *collector,
                                  bool (*condition)(const struct pw_collector *collector))
{
    int64_t patience_ns = pw_clock_now_ns() + 60 * PW_NS_PER_SEC;
    struct timespec until = {.tv_sec = patience_ns / PW_NS_PER_SEC,
                             .tv_nsec = patience_ns % PW_NS_PER_SEC};
    pthread_mutex_lock(&collector->lock);
    while (!condition(collector)) {
        /* What is not broadcast is found out at the next look. */
        struct timespec look;
        clock_gettime(CLOCK_MONOTONIC, &look);
        assert_true(look.tv_sec < until.tv_sec);
        look.tv_nsec += 1000000;
        look.tv_sec += look.tv_nsec / 1000000000;
        look.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&collector->changed, &collector->lock, &look);
    }
    pthread_mutex_unlock(&collector->lock);
}

/* --- what several tests do --- */

/* For limits that a test waits for. */
static const int64_t short_ns = 400 * PW_NS_PER_MS;

static inline struct post points_post(const struct pw_endpoint *endpoint)
{
    return (struct post){.url = pw_endpoint_url(endpoint),
                         .type = as_json,
                         .body = two_points,
                         .size = strlen(two_points)};
}

static inline struct pw_collector_limits default_limits(void)
{
    return pw_collector_default_limits;
}

/* Closes the endpoint, which must have come to that. */
static inline void expect_result(struct pw_endpoint *endpoint, uint64_t datapoints,
                                 enum pw_loss loss, uint64_t lost)
{
    struct pw_telemetry telemetry = close_endpoint(endpoint);
    assert_int_equal(telemetry.datapoints, datapoints);
    for (unsigned i = 0; i < PW_LOSS_COUNT; i++) {
        uint64_t expected = i == (unsigned)loss ? lost : 0;
        if (telemetry.losses[i] != expected) {
            fail_msg("%s: %llu, not %llu", pw_loss_name(i), (unsigned long long)telemetry.losses[i],
                     (unsigned long long)expected);
        }
    }
    pw_telemetry_done(&telemetry);
}

static inline bool is_receiving(const struct pw_collector *collector)
{
    const struct pw_connection *first = TAILQ_FIRST(&collector->connections.timed);
    return first && first->state == PW_CONNECTION_BUSY;
}

#endif
