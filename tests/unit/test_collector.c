/* The collector with senders that behave: real payloads over real sockets, in every framing. */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include "collector/listen.h"
#include "collector/reply.h"
#include "tests/unit/otlp_client.h"
#include "tests/unit/otlp_samples.h"

static int expected_items(const char *name)
{
    char below[128];
    snprintf(below, sizeof(below), "tests/data/otlp/%s.expect.json", name);
    char *path = source_path(below);
    json_t *expect = json_load_file(path, 0, NULL);
    assert_non_null(expect);
    int count = (int)json_integer_value(json_object_get(expect, "n"));
    json_decref(expect);
    free(path);
    return count;
}

static const char *type_of(const struct otlp_sample *sample)
{
    return sample->status == 415 ? "text/plain" : sample->is_json ? as_json : as_protobuf;
}

static struct post post_of(const struct otlp_sample *sample, const char *url)
{
    return (struct post){.url = url,
                         .type = type_of(sample),
                         .signal = sample->signal,
                         .body = sample->body,
                         .size = sample->size};
}

static uint64_t all_losses(const struct pw_telemetry *telemetry)
{
    return telemetry->losses[PW_LOSS_UNDECODABLE] + telemetry->losses[PW_LOSS_TOO_LARGE] +
           telemetry->losses[PW_LOSS_UNSUPPORTED] + telemetry->losses[PW_LOSS_BUSY] +
           telemetry->losses[PW_LOSS_CUT_OFF] + telemetry->losses[PW_LOSS_MEMORY];
}

static void check_sample(const struct otlp_sample *sample, struct pw_endpoint *endpoint, int fd,
                         bool gzip, bool chunked)
{
    struct post post = post_of(sample, pw_endpoint_url(endpoint));
    post.gzip = gzip;
    post.chunked = chunked;
    struct reply reply = post_on(fd, &post);
    if (reply.status != sample->status) {
        fail_msg("%s%s%s: %d, not %d: %.*s", sample->name, gzip ? " gzip" : "",
                 chunked ? " chunked" : "", reply.status, sample->status, (int)reply.size,
                 reply.body);
    }
    assert_string_equal(reply.content_type, reply.status == 415 ? as_json : post.type);
    if (reply.status == 200 && sample->is_json) {
        assert_int_equal(reply.size, 2);
        assert_memory_equal(reply.body, "{}", 2);
    } else if (reply.status == 200) {
        assert_int_equal(reply.size, 0);
        assert_non_null(reply_header(&reply, "Content-Length"));
    }
    struct pw_telemetry telemetry = close_endpoint(endpoint);
    uint64_t items = telemetry.datapoints + telemetry.spans + telemetry.log_records;
    if (items != (uint64_t)expected_items(sample->name)) {
        fail_msg("%s: %llu items, not %d", sample->name, (unsigned long long)items,
                 expected_items(sample->name));
    }
    assert_int_equal(telemetry.payloads[sample->signal], sample->status == 200);
    assert_int_equal(all_losses(&telemetry), sample->status != 200);
    assert_int_equal(telemetry.losses[PW_LOSS_UNDECODABLE], sample->status == 400);
    assert_int_equal(telemetry.losses[PW_LOSS_UNSUPPORTED], sample->status == 415);
    pw_telemetry_done(&telemetry);
}

/* Each payload, plain and compressed, with a length and chunked, all on one connection that goes
 * on from endpoint to endpoint. */
static void test_samples(void **state)
{
    (void)state;
    struct fixture fixture = start_collector((struct pw_collector_options){0}, NULL);
    struct otlp_samples samples = load_samples();
    int fd = connect_to(pw_collector_url(fixture.collector));
    for (size_t i = 0; i < samples.count; i++) {
        for (unsigned way = 0; way < 4; way++) {
            check_sample(&samples.items[i], open_endpoint(&fixture), fd, (way & 1) != 0,
                         (way & 2) != 0);
        }
    }
    close(fd);
    free_samples(&samples);
    stop_collector(&fixture);
}

static double total_of(const struct pw_telemetry *telemetry, const char *name)
{
    double total = 0;
    for (size_t i = 0; i < telemetry->metric_count; i++) {
        const struct pw_otel_metric *metric = &telemetry->metrics[i];
        if (strcmp(metric->name, name) == 0) {
            total += metric->type == PW_OTEL_SUM ? metric->total.total.number
                                                 : (double)metric->total.count;
        }
    }
    return total;
}

/* One process's nine exports, to one endpoint; beside it another endpoint gets something else. */
static void test_intervals(void **state)
{
    (void)state;
    struct fixture fixture = start_collector((struct pw_collector_options){0}, NULL);
    struct otlp_samples samples = load_samples();
    struct pw_endpoint *endpoint = open_endpoint(&fixture), *other = open_endpoint(&fixture);
    assert_string_not_equal(pw_endpoint_url(endpoint), pw_endpoint_url(other));
    for (int i = 1; i <= 9; i++) {
        char name[64];
        snprintf(name, sizeof(name), "codex_interval_%d_json", i);
        struct post post = post_of(find_sample(&samples, name), pw_endpoint_url(endpoint));
        assert_int_equal(post_once(&post).status, 200);
        assert_int_equal(post_json(pw_endpoint_url(other), two_points), 200);
    }
    pw_endpoints_flush(fixture.collector, (struct pw_endpoint *[]){endpoint, other}, 2, 5000);
    struct pw_telemetry telemetry = close_endpoint(endpoint);
    assert_near(total_of(&telemetry, "codex.tool.call"), 6);
    assert_near(total_of(&telemetry, "codex.api_request"), 7);
    assert_near(total_of(&telemetry, "codex.turn.e2e_duration_ms"), 1);
    assert_int_equal(telemetry.payloads[PW_SIGNAL_METRICS], 9);
    pw_telemetry_done(&telemetry);
    telemetry = close_endpoint(other);
    assert_int_equal(telemetry.payloads[PW_SIGNAL_METRICS], 9);
    assert_int_equal(telemetry.metric_count, 1);
    assert_string_equal(telemetry.metrics[0].name, "m");
    assert_int_equal(telemetry.datapoints, 18);
    pw_telemetry_done(&telemetry);
    free_samples(&samples);
    stop_collector(&fixture);
}

/* What is wrong with a request, and what is said about it. */
static void test_statuses(void **state)
{
    (void)state;
    struct fixture fixture = start_collector((struct pw_collector_options){0}, NULL);
    struct pw_endpoint *endpoint = open_endpoint(&fixture);
    const char *url = pw_endpoint_url(endpoint), *base = pw_collector_url(fixture.collector);
    const struct {
        struct post post;
        int status;
        const char *text; /* in the reply */
    } cases[] = {
        {{.url = url, .type = as_json, .body = "{}", .size = 2}, 200, "{}"},
        {{.url = url, .path = "/v1/logs/", .type = as_json, .body = "{}", .size = 2}, 200, "{}"},
        {{.url = url, .path = "/v1/logs?a=b", .type = as_json, .body = "{}", .size = 2}, 200, "{}"},
        {{.url = url, .type = "Application/JSON; charset=utf-8", .body = "{}", .size = 2},
         200,
         "{}"},
        {{.url = url, .type = "application/protobuf"}, 200, ""},
        {{.url = url,
          .type = as_json,
          .extra = "Content-Encoding: identity\r\n",
          .body = "{}",
          .size = 2},
         200,
         "{}"},
        {{.url = url, .path = "", .type = as_json, .body = "{}", .size = 2}, 404, "/v1/traces"},
        {{.url = url, .path = "/", .type = as_json, .body = "{}", .size = 2}, 404, "/v1/traces"},
        {{.url = url, .path = "/v1development/profiles", .type = as_protobuf}, 404, "base URL"},
        {{.url = base, .type = as_json, .body = "{}", .size = 2}, 404, "{\"code\":5,"},
        {{.url = base, .path = "/", .type = as_json}, 404, "{\"code\":5,"},
        {{.url = base, .path = "/0123456789abcdef0123456789abcdef/v1/logs", .type = as_json},
         404,
         "{\"code\":5,"},
        {{.url = url, .path = "0/v1/logs", .type = as_json}, 404, "{\"code\":5,"},
        {{.url = url, .method = "GET"}, 405, "POST"},
        {{.url = url, .method = "PUT", .type = as_protobuf, .body = "ab", .size = 2}, 405, "POST"},
        {{.url = url, .body = "{}", .size = 2}, 415, "content type"},
        {{.url = url, .type = "application/jsonx", .body = "{}", .size = 2}, 415, "content type"},
        {{.url = url,
          .type = as_json,
          .extra = "Content-Encoding: br\r\n",
          .body = "{}",
          .size = 2},
         415,
         "content encoding"},
        {{.url = url, .type = as_json, .body = "{\"resourceMetrics\":7}", .size = 21},
         400,
         "resourceMetrics"},
        {{.url = url, .type = as_json}, 400, "fieldViolations"},
        {{.url = url, .type = as_protobuf, .body = "\x0f", .size = 1}, 400, "byte "},
    };
    int fd = connect_to(url); /* the same for all of them */
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct reply reply = post_on(fd, &cases[i].post);
        if (reply.status != cases[i].status ||
            !memmem(reply.body, reply.size, cases[i].text, strlen(cases[i].text))) {
            fail_msg("case %zu: %d %.*s", i, reply.status, (int)reply.size, reply.body);
        }
        assert_int_equal(reply_header(&reply, "Allow") != NULL, reply.status == 405);
    }
    /* A body without an end that could be known. */
    struct post endless = {.url = url, .type = as_json, .extra = "Transfer-Encoding: gzip\r\n"};
    assert_int_equal(post_on(fd, &endless).status, 415);
    expect_end(fd);
    close(fd);
    struct pw_telemetry telemetry = close_endpoint(endpoint);
    assert_int_equal(telemetry.losses[PW_LOSS_UNSUPPORTED], 9);
    assert_int_equal(telemetry.losses[PW_LOSS_UNDECODABLE], 3);
    assert_int_equal(all_losses(&telemetry), 12);
    assert_int_equal(pw_telemetry_payloads(&telemetry), 6);
    assert_int_equal(strays_of(&fixture).unknown_path, 4);
    pw_telemetry_done(&telemetry);
    stop_collector(&fixture);
}

static void test_expect_continue(void **state)
{
    (void)state;
    struct fixture fixture =
        start_collector((struct pw_collector_options){.body_limit = 1000}, NULL);
    struct pw_endpoint *endpoint = open_endpoint(&fixture);
    struct post post = {
        .url = pw_endpoint_url(endpoint), .type = as_json, .extra = "Expect: 100-continue\r\n"};
    int fd = connect_to(post.url);
    PW_STR_AUTO head = PW_STR_INIT;
    add_head(&head, &post, strlen(two_points));
    send_bytes(fd, head.text, head.length);
    assert_int_equal(read_reply(fd).status, 100);
    send_text(fd, two_points);
    assert_int_equal(read_reply(fd).status, 200);

    /* Refused before a byte of the body is sent: too long, and elsewhere. */
    pw_str_clear(&head);
    add_head(&head, &post, 1001);
    send_bytes(fd, head.text, head.length);
    struct reply reply = read_reply(fd);
    assert_int_equal(reply.status, 413);
    assert_contains(reply.body, "1000 bytes");
    expect_end(fd);
    close(fd);
    fd = connect_to(post.url);
    pw_str_clear(&head);
    post.path = "/v1/nothing";
    add_head(&head, &post, 10);
    send_bytes(fd, head.text, head.length);
    assert_int_equal(read_reply(fd).status, 404);
    close(fd);

    struct pw_telemetry telemetry = close_endpoint(endpoint);
    assert_int_equal(telemetry.datapoints, 2);
    assert_int_equal(telemetry.losses[PW_LOSS_TOO_LARGE], 1);
    assert_int_equal(telemetry.losses[PW_LOSS_UNSUPPORTED], 1);
    assert_int_equal(all_losses(&telemetry), 2);
    pw_telemetry_done(&telemetry);
    stop_collector(&fixture);
}

static void test_pipelined(void **state)
{
    (void)state;
    struct fixture fixture = start_collector((struct pw_collector_options){0}, NULL);
    struct pw_endpoint *endpoint = open_endpoint(&fixture);
    const char *url = pw_endpoint_url(endpoint);
    const struct post good = {
        .url = url, .type = as_json, .body = two_points, .size = strlen(two_points)};
    const struct post bad = {
        .url = url, .type = as_protobuf, .chunked = true, .body = "\x0f", .size = 1};
    PW_STR_AUTO text = PW_STR_INIT;
    for (int i = 0; i < 20; i++) {
        add_request(&text, &good);
        add_request(&text, &bad);
    }
    int fd = connect_to(url);
    send_bytes(fd, text.text, text.length);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(read_reply(fd).status, 200);
        assert_int_equal(read_reply(fd).status, 400);
    }
    close(fd);
    struct pw_telemetry telemetry = close_endpoint(endpoint);
    assert_int_equal(telemetry.datapoints, 40);
    assert_int_equal(telemetry.losses[PW_LOSS_UNDECODABLE], 20);
    pw_telemetry_done(&telemetry);
    stop_collector(&fixture);
}

static void test_late(void **state)
{
    (void)state;
    struct pw_collector_limits limits = pw_collector_default_limits;
    limits.endpoints = 3;
    struct fixture fixture = start_collector((struct pw_collector_options){0}, &limits);
    struct pw_endpoint *endpoint = open_endpoint(&fixture);
    char url[128];
    snprintf(url, sizeof(url), "%s", pw_endpoint_url(endpoint));
    assert_int_equal(post_json(url, two_points), 200);
    struct pw_telemetry telemetry = close_endpoint(endpoint);
    assert_int_equal(telemetry.datapoints, 2);
    assert_int_equal(pw_endpoint_late(endpoint), 0);
    pw_telemetry_done(&telemetry);

    struct post late = {
        .url = url, .type = as_json, .body = two_points, .size = strlen(two_points)};
    struct reply reply = post_once(&late);
    assert_int_equal(reply.status, 200);
    assert_contains(reply.body, "{\"partialSuccess\":{\"errorMessage\":\"");
    late.type = as_protobuf;
    late.size = 0;
    reply = post_once(&late);
    assert_int_equal(reply.status, 200);
    assert_int_equal(reply.body[0], 1 << 3 | 2); /* partial_success */
    assert_int_equal((size_t)reply.body[1] + 2, reply.size);
    assert_int_equal(reply.body[2], 2 << 3 | 2); /* error_message */
    assert_int_equal(pw_endpoint_late(endpoint), 2);
    assert_int_equal(strays_of(&fixture).late, 2);

    /* Forgotten when there are too many; not as long as a connection of its own is open. */
    int fd = connect_to(url);
    assert_int_equal(post_on(fd, &late).status, 200);
    for (int i = 0; i < 5; i++) {
        telemetry = close_endpoint(open_endpoint(&fixture));
        pw_telemetry_done(&telemetry);
    }
    assert_int_equal(post_on(fd, &late).status, 200);
    assert_int_equal(pw_endpoint_late(endpoint), 4);
    close(fd);
    pw_endpoints_flush(fixture.collector, &endpoint, 1, 50000);
    for (int i = 0; i < 5; i++) {
        telemetry = close_endpoint(open_endpoint(&fixture));
        pw_telemetry_done(&telemetry);
    }
    assert_int_equal(post_once(&late).status, 404);
    stop_collector(&fixture);
}

static void test_peek(void **state)
{
    (void)state;
    struct fixture fixture = start_collector((struct pw_collector_options){0}, NULL);
    struct pw_endpoint *endpoint = open_endpoint(&fixture);
    for (uint64_t i = 1; i <= 3; i++) {
        struct pw_telemetry telemetry = {0};
        assert_int_equal(post_json(pw_endpoint_url(endpoint), two_points), 200);
        assert_int_equal(post_json(pw_endpoint_url(endpoint), "["), 400);
        pw_endpoints_flush(fixture.collector, &endpoint, 1, 5000);
        assert_int_equal(pw_endpoint_peek(endpoint, &telemetry, NULL), 0);
        assert_int_equal(telemetry.datapoints, 2 * i);
        assert_int_equal(telemetry.losses[PW_LOSS_UNDECODABLE], i);
        pw_telemetry_done(&telemetry);
    }
    struct pw_telemetry telemetry = close_endpoint(endpoint);
    assert_int_equal(telemetry.losses[PW_LOSS_UNDECODABLE], 3);
    struct pw_telemetry more = {0};
    struct pw_err err = PW_ERR_INIT;
    assert_int_equal(pw_endpoint_peek(endpoint, &more, &err), -1);
    assert_int_equal(pw_endpoint_close(endpoint, &more, &err), -1);
    assert_int_equal(err.cls, PW_ERR_INTERNAL);
    pw_telemetry_done(&telemetry);
    stop_collector(&fixture);
}

struct tapped {
    uint64_t payloads, bytes, json;
    int64_t received_unix_ns;
};

static void tap(void *context, const struct pw_payload *payload)
{
    struct tapped *tapped = context;
    assert_ptr_equal(payload->request->descriptor, pw_otlp_descriptor(payload->signal));
    tapped->payloads++;
    tapped->bytes += payload->bytes;
    tapped->json += payload->was_json;
    tapped->received_unix_ns = payload->received_unix_ns;
}

/* The public endpoint; what was answered is decoded, even if the collector is stopped at once. */
static void test_public(void **state)
{
    (void)state;
    struct tapped tapped = {0};
    struct fixture fixture =
        start_collector((struct pw_collector_options){.tap = tap, .tap_context = &tapped}, NULL);
    const struct pw_endpoint_options options = {.is_public = true};
    struct pw_endpoint *endpoint = NULL, *second = NULL;
    struct pw_err err = PW_ERR_INIT;
    assert_int_equal(pw_endpoint_open(fixture.collector, &options, &endpoint, &err), 0);
    assert_int_equal(pw_endpoint_open(fixture.collector, &options, &second, &err), -1);
    assert_int_equal(err.cls, PW_ERR_USAGE);
    assert_string_equal(pw_endpoint_url(endpoint), pw_collector_url(fixture.collector));
    struct post post = {.url = pw_endpoint_url(endpoint),
                        .type = as_json,
                        .gzip = true,
                        .body = two_points,
                        .size = strlen(two_points)};
    size_t compressed_size = 0;
    free(gzip_bytes(post.body, post.size, &compressed_size));
    for (int i = 0; i < 100; i++) {
        assert_int_equal(post_once(&post).status, 200);
    }
    post = (struct post){.url = post.url, .type = as_protobuf};
    assert_int_equal(post_once(&post).status, 200);
    stop_collector(&fixture);
    assert_int_equal(tapped.payloads, 101);
    assert_int_equal(tapped.json, 100);
    assert_int_equal(tapped.bytes, 100 * compressed_size);
    assert_true(tapped.received_unix_ns > INT64_C(1700000000) * PW_NS_PER_SEC);
}

static void test_bearer(void **state)
{
    (void)state;
    struct fixture fixture = start_collector(
        (struct pw_collector_options){.listen = "0.0.0.0", .bearer_token = "s3cret"}, NULL);
    assert_contains(pw_collector_url(fixture.collector), "http://127.0.0.1:");
    struct pw_endpoint *endpoint = open_endpoint(&fixture);
    struct post post = {.url = pw_endpoint_url(endpoint), .type = as_protobuf};
    static const char *const wrong[] = {
        "",
        "Authorization: Bearer\r\n",
        "Authorization: Bearer \r\n",
        "Authorization: Bearer s3cre\r\n",
        "Authorization: Bearer s3cretly\r\n",
        "Authorization: Basic s3cret\r\n",
        "Authorization: s3cret\r\n",
    };
    int fd = connect_to(post.url);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        post.extra = wrong[i];
        struct reply reply = post_on(fd, &post);
        assert_int_equal(reply.status, 401);
        assert_non_null(reply_header(&reply, "WWW-Authenticate"));
        assert_string_equal(reply.content_type, as_protobuf);
        assert_memory_equal(reply.body, "\x08\x10\x12", 3); /* code 16, then the message */
    }
    post.extra = "Authorization: bearer s3cret\r\n";
    assert_int_equal(post_on(fd, &post).status, 200);
    close(fd);
    assert_int_equal(strays_of(&fixture).unauthorized, sizeof(wrong) / sizeof(*wrong));
    struct pw_telemetry telemetry = close_endpoint(endpoint);
    assert_int_equal(pw_telemetry_payloads(&telemetry), 1);
    assert_int_equal(all_losses(&telemetry), 0);
    pw_telemetry_done(&telemetry);
    stop_collector(&fixture);
}

static void test_where_to_listen(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool good, loopback;
    } cases[] = {
        {NULL, true, true},
        {"", true, true},
        {":4318", true, true},
        {"127.0.0.1", true, true},
        {"127.9.8.7:1", true, true},
        {"localhost:65535", true, true},
        {"[::1]:4318", true, true},
        {"[::1]", true, true},
        {"[::]:0", true, false},
        {"0.0.0.0:4318", true, false},
        {"128.0.0.1", true, false},
        {"127.0.0.1:", false, false},
        {"127.0.0.1:65536", false, false},
        {"127.0.0.1:-1", false, false},
        {"127.0.0.1:80x", false, false},
        {"127.0.0", false, false},
        {"::1", false, false},
        {"[::1", false, false},
        {"[::1]x", false, false},
        {"[::1]:", false, false},
        {"[127.0.0.1]:1", false, false},
        {"example.com:4318", false, false},
        {"a-name-that-is-much-longer-than-any-numeric-address-can-be.example", false, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct pw_address address = {0};
        struct pw_err err = PW_ERR_INIT;
        int result = pw_address_parse(cases[i].text, &address, &err);
        if ((result == 0) != cases[i].good || address.is_loopback != cases[i].loopback) {
            fail_msg("%s", cases[i].text);
        }
        assert_int_equal(err.cls, cases[i].good ? PW_ERR_NONE : PW_ERR_USAGE);
    }

    /* Others may come only with a token. */
    struct pw_collector *collector = NULL;
    struct pw_err err = PW_ERR_INIT;
    struct pw_collector_options options = {.listen = "0.0.0.0:0"};
    assert_int_equal(pw_collector_start(&options, &collector, &err), -1);
    assert_int_equal(err.cls, PW_ERR_USAGE);
    assert_true(err.remedy[0] != '\0');

    /* A port that is taken. */
    struct fixture fixture = start_collector((struct pw_collector_options){0}, NULL);
    options.listen = pw_collector_url(fixture.collector) + strlen("http://");
    assert_int_equal(pw_collector_start(&options, &collector, &err), -1);
    assert_int_equal(err.cls, PW_ERR_SYSTEM);
    assert_int_equal(err.sys, EADDRINUSE);
    assert_contains(err.message, options.listen);
    assert_true(err.remedy[0] != '\0');
    stop_collector(&fixture);
    pw_collector_stop(NULL);
}

static bool is_socket(int fd)
{
    int type;
    socklen_t size = sizeof(type);
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0;
}

/* Sockets do not reach the workers, and signals do not reach the threads. */
static void test_kept_to_itself(void **state)
{
    (void)state;
    enum { FDS = 1000 };
    static bool inherited[FDS]; /* from whoever runs the tests */
    for (int fd = 0; fd < FDS; fd++) {
        inherited[fd] = is_socket(fd);
    }
    struct fixture fixture = start_collector((struct pw_collector_options){0}, NULL);
    const struct pw_endpoint *endpoint = open_endpoint(&fixture);
    const struct post post = {.url = pw_endpoint_url(endpoint), .type = as_protobuf};
    int client = connect_to(post.url);
    assert_int_equal(post_on(client, &post).status, 200);
    unsigned sockets = 0;
    for (int fd = 0; fd < FDS; fd++) {
        if (is_socket(fd) && !inherited[fd]) {
            assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
            sockets++;
        }
    }
    assert_int_equal(sockets, 3); /* listening, both ends of one connection */
    close(client);

    unsigned threads = 0;
    DIR *tasks = opendir("/proc/self/task");
    assert_non_null(tasks);
    for (const struct dirent *task; (task = readdir(tasks));) {
        char path[512], *status = NULL;
        snprintf(path, sizeof(path), "/proc/self/task/%s/status", task->d_name);
        if (task->d_name[0] == '.' || pw_file_read(path, 1 << 16, &status, NULL, NULL) != 0) {
            continue;
        }
        if (strstr(status, "Name:\totlp-")) {
            /* The first 31, but SIGKILL and SIGSTOP, which cannot be blocked. */
            const char *blocked = strstr(status, "SigBlk:\t");
            assert_non_null(blocked);
            assert_int_equal(strtoull(blocked + strlen("SigBlk:\t"), NULL, 16) & 0x7fffffff,
                             0x7ffbfeff);
            threads++;
        }
        free(status);
    }
    closedir(tasks);
    assert_int_equal(threads, 3);
    stop_collector(&fixture);
}

/* --- many at once --- */

enum { SENDERS = 8, POSTS = 100 };

struct sender {
    pthread_t thread;
    const char *urls[2];
    atomic_uint *refused;
};

static void *send_many(void *argument)
{
    struct sender *sender = argument;
    int fd = connect_to(sender->urls[0]);
    for (int i = 0; i < POSTS; i++) {
        struct post post = {.url = sender->urls[i % 2],
                            .type = as_json,
                            .gzip = i % 3 == 0,
                            .chunked = i % 5 == 0,
                            .body = two_points,
                            .size = strlen(two_points)};
        if (i % 7 == 0) {
            close(fd);
            fd = connect_to(sender->urls[0]);
        }
        if (post_on(fd, &post).status != 200) {
            atomic_fetch_add(sender->refused, 1);
        }
    }
    close(fd);
    return NULL;
}

static void test_many_senders(void **state)
{
    (void)state;
    struct fixture fixture = start_collector((struct pw_collector_options){0}, NULL);
    struct pw_endpoint *endpoints[4];
    struct sender senders[SENDERS];
    atomic_uint refused = 0;
    for (int i = 0; i < 4; i++) {
        endpoints[i] = open_endpoint(&fixture);
    }
    for (int i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){
            .urls = {pw_endpoint_url(endpoints[i % 4]), pw_endpoint_url(endpoints[(i + 1) % 4])},
            .refused = &refused};
        assert_int_equal(pthread_create(&senders[i].thread, NULL, send_many, &senders[i]), 0);
    }
    for (int i = 0; i < SENDERS; i++) {
        struct pw_telemetry telemetry = {0};
        assert_int_equal(pw_endpoint_peek(endpoints[i % 4], &telemetry, NULL), 0);
        pw_telemetry_done(&telemetry);
        pthread_join(senders[i].thread, NULL);
    }
    pw_endpoints_flush(fixture.collector, endpoints, 4, 5000);
    assert_int_equal(refused, 0);
    for (int i = 0; i < 4; i++) {
        struct pw_telemetry telemetry = close_endpoint(endpoints[i]);
        assert_int_equal(telemetry.datapoints, 2 * SENDERS / 4 * POSTS);
        assert_int_equal(all_losses(&telemetry), 0);
        pw_telemetry_done(&telemetry);
    }
    stop_collector(&fixture);
}

/* --- bodies of replies --- */

static void test_reply_bodies(void **state)
{
    (void)state;
    PW_STR_AUTO text = PW_STR_INIT;
    pw_reply_status(PW_MEDIA_JSON, 400, "at \"a\\b\"\n\xc3\xa9", &text);
    json_t *root = json_loads(text.text, 0, NULL);
    assert_non_null(root);
    assert_int_equal(json_integer_value(json_object_get(root, "code")), 3);
    assert_string_equal(json_string_value(json_object_get(root, "message")), "at \"a\\b\"???");
    assert_int_equal(json_array_size(json_object_get(root, "details")), 1);
    json_decref(root);

    pw_str_clear(&text);
    pw_reply_status(PW_MEDIA_PROTOBUF, 503, "busy", &text);
    assert_int_equal(text.length, 8);
    assert_memory_equal(text.text,
                        "\x08\x0e\x12\x04"
                        "busy",
                        8);
    pw_str_clear(&text);
    pw_reply_status(PW_MEDIA_PROTOBUF, 400, "bad", &text);
    static const char bad[] = "\x08\x03\x12\x03"
                              "bad\x1a\x34\x0a\x29"
                              "type.googleapis.com/google.rpc.BadRequest\x12\x07\x0a\x05\x12\x03"
                              "bad";
    assert_int_equal(text.length, sizeof(bad) - 1);
    assert_memory_equal(text.text, bad, sizeof(bad) - 1);
    pw_str_clear(&text);
    char longer[201];
    memset(longer, 'x', 200);
    longer[200] = '\0';
    pw_reply_status(PW_MEDIA_PROTOBUF_SHORT, 404, longer, &text);
    assert_int_equal(text.length, 2 + 3 + 200);
    assert_memory_equal(text.text, "\x08\x05\x12\xc8\x01xx", 7);

    pw_str_clear(&text);
    pw_reply_partial(PW_MEDIA_JSON, PW_SIGNAL_TRACES, 300, "a \"b\"", &text);
    assert_string_equal(text.text, "{\"partialSuccess\":{\"rejectedSpans\":\"300\","
                                   "\"errorMessage\":\"a \\\"b\\\"\"}}");
    pw_str_clear(&text);
    pw_reply_partial(PW_MEDIA_PROTOBUF, PW_SIGNAL_LOGS, 300, "ab", &text);
    assert_int_equal(text.length, 9);
    assert_memory_equal(text.text,
                        "\x0a\x07\x08\xac\x02\x12\x02"
                        "ab",
                        9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reply_bodies), cmocka_unit_test(test_where_to_listen),
        cmocka_unit_test(test_statuses),     cmocka_unit_test(test_expect_continue),
        cmocka_unit_test(test_pipelined),    cmocka_unit_test(test_samples),
        cmocka_unit_test(test_intervals),    cmocka_unit_test(test_late),
        cmocka_unit_test(test_peek),         cmocka_unit_test(test_public),
        cmocka_unit_test(test_bearer),       cmocka_unit_test(test_kept_to_itself),
        cmocka_unit_test(test_many_senders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
