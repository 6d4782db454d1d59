/* Spans and log records that an endpoint's owner waits for, over HTTP, in both encodings. */
#include <otlp.pb-c.h>
#include <pthread.h>
#include <time.h>
#include "core/pattern.h"
#include "tests/unit/otlp_client.h"

enum { IDS = 8 };

static struct seen {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int64_t at_ns[IDS]; /* -1: told twice */
    unsigned calls;
} seen = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void note(void *context, size_t id, int64_t received_at_ns)
{
    struct seen *to = context;
    pthread_mutex_lock(&to->lock);
    assert_true(id < IDS);
    to->at_ns[id] = to->at_ns[id] ? -1 : received_at_ns;
    to->calls++;
    pthread_cond_broadcast(&to->changed);
    pthread_mutex_unlock(&to->lock);
}

static int forget(void **state)
{
    (void)state;
    memset(seen.at_ns, 0, sizeof(seen.at_ns));
    seen.calls = 0;
    return 0;
}

/* While the worker is still running: nobody flushes. */
static int64_t wait_for(size_t id)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 30;
    int failed = 0;
    pthread_mutex_lock(&seen.lock);
    while (!seen.at_ns[id] && !failed) {
        failed = pthread_cond_timedwait(&seen.changed, &seen.lock, &until);
    }
    int64_t at_ns = seen.at_ns[id];
    pthread_mutex_unlock(&seen.lock);
    assert_int_equal(failed, 0);
    return at_ns;
}

/* After a flush or a close: it is known what has come. Bit i: id i. */
static unsigned all_seen(void)
{
    unsigned bits = 0;
    pthread_mutex_lock(&seen.lock);
    for (size_t i = 0; i < IDS; i++) {
        assert_true(seen.at_ns[i] >= 0);
        bits |= seen.at_ns[i] ? 1U << i : 0;
    }
    pthread_mutex_unlock(&seen.lock);
    return bits;
}

/* Waits for the span `ready` (id 1), the span `done` (2), and logs of the pattern (3). */
struct waiting {
    struct fixture fixture;
    struct pw_pattern *pattern;
    struct pw_endpoint *endpoint;
};

static struct waiting wait_at(const char *pattern)
{
    struct waiting waiting = {
        .fixture = start_collector((struct pw_collector_options){0}, NULL),
    };
    assert_int_equal(pw_pattern_new(pattern, false, &waiting.pattern, NULL), 0);
    const struct pw_awaited awaited[] = {
        {.id = 1, .span_name = "ready"},
        {.id = 2, .span_name = "done"},
        {.id = 3, .is_log = true, .log_pattern = waiting.pattern},
    };
    const struct pw_endpoint_options options = {.since_unix_ns = 1,
                                                .awaited = awaited,
                                                .awaited_count = 3,
                                                .awaited_came = note,
                                                .awaited_context = &seen};
    assert_int_equal(pw_endpoint_open(waiting.fixture.collector, &options, &waiting.endpoint, NULL),
                     0);
    return waiting;
}

static void end_waiting(struct waiting *waiting)
{
    stop_collector(&waiting->fixture);
    pw_pattern_free(waiting->pattern);
}

static void flush(const struct waiting *waiting)
{
    pw_endpoints_flush(waiting->fixture.collector, &(struct pw_endpoint *){waiting->endpoint}, 1,
                       5000);
}

static void post_spans(const char *url, const char *const *names, size_t count)
{
    PW_STR_AUTO body = PW_STR_INIT;
    pw_str_add(&body, "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[");
    for (size_t i = 0; i < count; i++) {
        pw_str_addf(&body,
                    "%s{\"name\":\"%s\",\"startTimeUnixNano\":\"1\",\"endTimeUnixNano\":\"2\"}",
                    i ? "," : "", names[i]);
    }
    pw_str_add(&body, "]}]}]}");
    const struct post post = {.url = url,
                              .type = as_json,
                              .signal = PW_SIGNAL_TRACES,
                              .body = body.text,
                              .size = body.length};
    assert_int_equal(post_once(&post).status, 200);
}

static void post_log(const char *url, const char *record)
{
    PW_STR_AUTO body = PW_STR_INIT;
    pw_str_addf(&body, "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{},%s]}]}]}", record);
    const struct post post = {.url = url,
                              .type = as_json,
                              .signal = PW_SIGNAL_LOGS,
                              .gzip = true,
                              .body = body.text,
                              .size = body.length};
    assert_int_equal(post_once(&post).status, 200);
}

/* A span as protobuf; no times: what does not count as a span still has come. */
static void post_binary_span(const char *url, const char *name)
{
    uint8_t bytes[256];
    Otlp__Span span = OTLP__SPAN__INIT, *spans[] = {&span};
    Otlp__ScopeSpans scope = OTLP__SCOPE_SPANS__INIT, *scopes[] = {&scope};
    Otlp__ResourceSpans resource = OTLP__RESOURCE_SPANS__INIT, *resources[] = {&resource};
    Otlp__TracesRequest request = OTLP__TRACES_REQUEST__INIT;
    span.name = (char *)(uintptr_t)name;
    scope.spans = spans;
    resource.scope_spans = scopes;
    request.resource_spans = resources;
    scope.n_spans = resource.n_scope_spans = request.n_resource_spans = 1;
    assert_true(otlp__traces_request__get_packed_size(&request) <= sizeof(bytes));
    const struct post post = {.url = url,
                              .type = as_protobuf,
                              .signal = PW_SIGNAL_TRACES,
                              .body = bytes,
                              .size = otlp__traces_request__pack(&request, bytes)};
    assert_int_equal(post_once(&post).status, 200);
}

/* Told at once, with the time between sending and the reply; the first time only. */
static void test_spans(void **state)
{
    (void)state;
    struct waiting waiting = wait_at("never");
    const char *url = pw_endpoint_url(waiting.endpoint);
    post_spans(url, (const char *const[]){"Ready", "ready ", "already", ""}, 4);
    flush(&waiting);
    assert_int_equal(all_seen(), 0);
    int64_t before = pw_clock_now_ns();
    post_spans(url, (const char *const[]){"x", "ready", "ready"}, 3);
    int64_t after = pw_clock_now_ns();
    int64_t at_ns = wait_for(1);
    assert_true(at_ns >= before && at_ns <= after);
    before = pw_clock_now_ns();
    post_binary_span(url, "done");
    after = pw_clock_now_ns();
    at_ns = wait_for(2);
    assert_true(at_ns >= before && at_ns <= after);
    post_binary_span(url, "ready");
    post_spans(url, (const char *const[]){"done", "ready"}, 2);
    flush(&waiting);
    assert_int_equal(all_seen(), 1U << 1 | 1U << 2);
    assert_int_equal(seen.calls, 2);
    struct pw_telemetry telemetry = close_endpoint(waiting.endpoint);
    assert_int_equal(telemetry.spans, 11); /* waiting takes nothing away */
    pw_telemetry_done(&telemetry);
    end_waiting(&waiting);
}

/* The time is that of the last byte, however long the first ones have been there. */
static void test_last_byte(void **state)
{
    (void)state;
    static const char body[] =
        "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"name\":\"ready\"}]}]}]}";
    struct waiting waiting = wait_at("never");
    const struct post post = {.url = pw_endpoint_url(waiting.endpoint),
                              .type = as_json,
                              .signal = PW_SIGNAL_TRACES,
                              .body = body,
                              .size = sizeof(body) - 1};
    PW_STR_AUTO text = PW_STR_INIT;
    int fd = connect_to(post.url);
    add_request(&text, &post);
    assert_true(send_bytes(fd, text.text, text.length - 1));
    const struct timespec while_it_waits = {.tv_nsec = 20 * PW_NS_PER_MS};
    nanosleep(&while_it_waits, NULL);
    int64_t before = pw_clock_now_ns();
    assert_true(send_bytes(fd, text.text + text.length - 1, 1));
    assert_int_equal(read_reply(fd).status, 200);
    close(fd);
    assert_true(wait_for(1) >= before);
    end_waiting(&waiting);
}

static void test_logs(void **state)
{
    (void)state;
    static const char *const others[] = {
        "{\"body\":{\"stringValue\":\"server is starting\"}}",
        "{\"body\":{\"intValue\":\"8080\"}}",
        "{\"severityText\":\"listening on 8080\"}",
        "{\"attributes\":[{\"key\":\"message\",\"value\":{\"stringValue\":\"listening on 1\"}}]}",
        "{\"attributes\":[{\"key\":\"event.name\",\"value\":{\"intValue\":\"1\"}}]}",
        "{\"body\":{\"arrayValue\":{\"values\":[{\"stringValue\":\"listening on 1\"}]}}}",
    };
    static const char *const ones[] = {
        "{\"body\":{\"stringValue\":\"2026 INFO listening on 8080.\"}}",
        "{\"eventName\":\"listening on 1\"}",
        ("{\"attributes\":[{\"key\":\"event.name\",\"value\":{\"stringValue\":\"listening on "
         "1\"}}],\"body\":{\"stringValue\":\"other\"}}"),
    };
    for (size_t i = 0; i < sizeof(ones) / sizeof(*ones); i++) {
        forget(NULL);
        struct waiting waiting = wait_at("listening on [0-9]+");
        const char *url = pw_endpoint_url(waiting.endpoint);
        for (size_t j = 0; j < sizeof(others) / sizeof(*others); j++) {
            post_log(url, others[j]);
        }
        post_spans(url, (const char *const[]){"listening on 1"}, 1);
        flush(&waiting);
        assert_int_equal(all_seen(), 0);
        post_log(url, ones[i]);
        wait_for(3);
        assert_int_equal(all_seen(), 1U << 3);
        end_waiting(&waiting);
    }
}

/* What was answered before the close is looked at, by then; what comes after it is not. */
static void test_close(void **state)
{
    (void)state;
    struct waiting waiting = wait_at("x");
    const char *url = pw_endpoint_url(waiting.endpoint);
    post_binary_span(url, "ready");
    struct pw_telemetry telemetry = close_endpoint(waiting.endpoint);
    assert_int_equal(all_seen(), 1U << 1);
    pw_telemetry_done(&telemetry);
    post_binary_span(url, "done");
    post_log(url, "{\"body\":{\"stringValue\":\"x\"}}");
    assert_int_equal(pw_endpoint_late(waiting.endpoint), 2);
    end_waiting(&waiting);
    assert_int_equal(all_seen(), 1U << 1);
}

/* What came to another endpoint, or was refused, has not come. */
static void test_strangers(void **state)
{
    (void)state;
    struct waiting waiting = wait_at("x");
    struct pw_endpoint *other = open_endpoint(&waiting.fixture);
    post_binary_span(pw_endpoint_url(other), "ready");
    static const char body[] =
        "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"name\":\"ready\"}]}]}";
    const struct post broken = {.url = pw_endpoint_url(waiting.endpoint),
                                .type = as_json,
                                .signal = PW_SIGNAL_TRACES,
                                .body = body,
                                .size = sizeof(body) - 1};
    assert_int_equal(post_once(&broken).status, 400);
    struct pw_endpoint *const both[] = {waiting.endpoint, other};
    pw_endpoints_flush(waiting.fixture.collector, both, 2, 5000);
    assert_int_equal(all_seen(), 0);
    end_waiting(&waiting);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_spans, forget),
        cmocka_unit_test_setup(test_last_byte, forget),
        cmocka_unit_test_setup(test_logs, forget),
        cmocka_unit_test_setup(test_close, forget),
        cmocka_unit_test_setup(test_strangers, forget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
