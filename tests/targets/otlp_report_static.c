/*
 * otlp_report_static N: reports over OTLP/HTTP with JSON bodies to OTEL_EXPORTER_OTLP_ENDPOINT,
 * which must be http://ADDRESS:PORT/PATH with a numeric IPv4 address: one span "guest.work" of 250
 * ms, child of TRACEPARENT if that is set, and one cumulative counter "guest.items" with the value
 * N. Statically linked, so that it runs in a machine with nothing else in it. Truth: two payloads,
 * one span, one data point, each answered 200.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include "target.h"

enum { BODY_MAX = 2048, REPLY_MAX = 512, SPAN_MS = 250 };

static struct sockaddr_in place = {.sin_family = AF_INET};
static char path[512];

/* http://ADDRESS:PORT[PATH] */
static void parse_endpoint(void)
{
    static const char scheme[] = "http://";
    const char *url = getenv("OTEL_EXPORTER_OTLP_ENDPOINT");
    char address[INET_ADDRSTRLEN] = "", *behind = NULL;
    errno = EINVAL;
    if (!url || strncmp(url, scheme, strlen(scheme)) != 0) {
        target_die(url ? url : "OTEL_EXPORTER_OTLP_ENDPOINT is not set");
    }
    const char *host = url + strlen(scheme);
    size_t length = strcspn(host, ":");
    if (length < sizeof address && host[length] == ':') {
        memcpy(address, host, length);
        place.sin_port = htons((uint16_t)strtoul(host + length + 1, &behind, 10));
    }
    if (!behind || strlen(behind) >= sizeof path ||
        inet_pton(AF_INET, address, &place.sin_addr) != 1) {
        errno = EINVAL;
        target_die(url);
    }
    memcpy(path, behind, strlen(behind) + 1);
}

static void post(const char *signal_path, const char *body)
{
    char request[BODY_MAX + 1024], reply[REPLY_MAX];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int length =
        snprintf(request, sizeof request,
                 "POST %s%s HTTP/1.1\r\nHost: collector\r\nContent-Type: application/json\r\n"
                 "Content-Length: %zu\r\nConnection: close\r\n\r\n%s",
                 path, signal_path, strlen(body), body);
    if (fd < 0 || connect(fd, (struct sockaddr *)&place, sizeof place) ||
        write(fd, request, (size_t)length) != length) {
        target_die("post");
    }
    ssize_t got = read(fd, reply, sizeof reply - 1);
    reply[got > 0 ? got : 0] = '\0';
    if (!strstr(reply, " 200 ")) {
        errno = EPROTO;
        target_die(reply);
    }
    close(fd);
}

/* 00-TRACE_ID-SPAN_ID-FLAGS */
static void take_traceparent(const char *text, char trace_id[33], char parent[17])
{
    enum { TRACE_AT = 3, TRACE_LENGTH = 32, PARENT_AT = 36, PARENT_LENGTH = 16 };
    if (strlen(text) >= PARENT_AT + PARENT_LENGTH) {
        memcpy(trace_id, text + TRACE_AT, TRACE_LENGTH);
        memcpy(parent, text + PARENT_AT, PARENT_LENGTH);
    }
}

static int64_t unix_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

int main(int argc, char **argv)
{
    char body[BODY_MAX], trace_id[33] = "0af7651916cd43dd8448eb211c80319c", parent[17] = "";
    const char *traceparent = getenv("TRACEPARENT");
    if (argc != 2) {
        target_usage("N");
    }
    long items = target_number(argv[1]);
    parse_endpoint();
    if (traceparent) {
        take_traceparent(traceparent, trace_id, parent);
    }
    int64_t now = unix_ns();
    snprintf(
        body, sizeof body,
        "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"traceId\":\"%s\",\"spanId\":\"00f067aa0ba902b7\","
        "\"parentSpanId\":\"%s\",\"name\":\"guest.work\",\"kind\":1,\"startTimeUnixNano\":\"%" PRId64
        "\","
        "\"endTimeUnixNano\":\"%" PRId64 "\"}]}]}]}",
        trace_id, parent, now - SPAN_MS * INT64_C(1000000), now);
    post("/v1/traces", body);
    snprintf(
        body, sizeof body,
        "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"name\":\"guest.items\",\"unit\":\"{item}\","
        "\"sum\":{\"aggregationTemporality\":2,\"isMonotonic\":true,\"dataPoints\":[{\"asInt\":\"%ld\","
        "\"startTimeUnixNano\":\"%" PRId64 "\",\"timeUnixNano\":\"%" PRId64 "\"}]}}]}]}]}",
        items, now - INT64_C(1000000), now);
    post("/v1/metrics", body);
    return 0;
}
