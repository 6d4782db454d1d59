/* The collector with senders that do not behave: each is answered or cut off, is counted, and
 * disturbs nobody else. */
#include <poll.h>
#include <sys/resource.h>
#include "tests/unit/otlp_client.h"

/* --- bodies --- */

static size_t peak_rss_bytes(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (size_t)usage.ru_maxrss * 1024;
}

/* Deflates a gigabyte of zeros without having it: a megabyte that says it is a thousand times more.
 * Under AddressSanitizer, freed memory stays counted: so the limit of a body is small here. */
static void test_gzip_bomb(void **state)
{
    (void)state;
    struct pw_collector_limits limits = default_limits();
    limits.body_bytes = 8 << 20;
    struct fixture fixture = start_collector((struct pw_collector_options){0}, &limits);
    struct pw_endpoint *endpoint = open_endpoint(&fixture);
    enum { ZEROS = 1 << 20, TIMES = 1024 };
    static char zeros[ZEROS];
    PW_STR_AUTO bomb = PW_STR_INIT;
    z_stream stream = {0};
    char out[65536];
    assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, MAX_WBITS + 16, 9, Z_DEFAULT_STRATEGY),
                     Z_OK);
    for (int i = 0; i <= TIMES; i++) {
        stream.next_in = (Bytef *)zeros;
        stream.avail_in = i < TIMES ? ZEROS : 0;
        do {
            stream.next_out = (Bytef *)out;
            stream.avail_out = sizeof(out);
            deflate(&stream, i < TIMES ? Z_NO_FLUSH : Z_FINISH);
            pw_str_add_bytes(&bomb, out, sizeof(out) - stream.avail_out);
        } while (stream.avail_out == 0);
    }
    deflateEnd(&stream);
    size_t before = peak_rss_bytes();
    struct post post = {.url = pw_endpoint_url(endpoint), .type = as_protobuf, .gzip = true};
    for (int chunked = 0; chunked < 2; chunked++) {
        PW_STR_AUTO head = PW_STR_INIT;
        post.chunked = chunked != 0;
        add_head(&head, &post, bomb.length);
        int fd = connect_to(post.url);
        assert_true(send_bytes(fd, head.text, head.length));
        pw_str_clear(&head);
        add_chunks(&head, bomb.text, bomb.length);
        assert_true(chunked ? send_bytes(fd, head.text, head.length)
                            : send_bytes(fd, bomb.text, bomb.length));
        struct reply reply = read_reply(fd);
        assert_int_equal(reply.status, 413);
        assert_string_equal(reply.content_type, as_protobuf);
        post.gzip = false; /* and the connection goes on */
        assert_int_equal(post_on(fd, &post).status, 200);
        post.gzip = true;
        close(fd);
    }
    assert_true(peak_rss_bytes() - before < (size_t)200 << 20);
    expect_result(endpoint, 0, PW_LOSS_TOO_LARGE, 2);
    stop_collector(&fixture);
}

static void test_gzip_streams(void **state)
{
    (void)state;
    struct pw_collector_limits limits = default_limits();
    limits.body_bytes = strlen(two_points);
    struct fixture fixture = start_collector((struct pw_collector_options){0}, &limits);
    struct pw_endpoint *endpoint = open_endpoint(&fixture);
    const size_t length = strlen(two_points), half = length / 2;
    size_t first_size, second_size, whole_size;
    PW_FREE_AUTO char *first = gzip_bytes(two_points, half, &first_size);
    PW_FREE_AUTO char *second = gzip_bytes(two_points + half, length - half, &second_size);
    PW_FREE_AUTO char *whole = gzip_bytes(two_points, length, &whole_size);
    PW_STR_AUTO body = PW_STR_INIT;
    struct post post = {
        .url = pw_endpoint_url(endpoint), .type = as_json, .extra = "Content-Encoding: gzip\r\n"};
    int fd = connect_to(post.url);

    /* Two members are one body, also when it comes in pieces, and when it is as long as it may be.
     */
    pw_str_add_bytes(&body, first, first_size);
    pw_str_add_bytes(&body, second, second_size);
    PW_STR_AUTO request = PW_STR_INIT;
    post.chunked = true;
    add_head(&request, &post, 0);
    for (size_t i = 0; i < body.length; i++) {
        add_chunk(&request, body.text + i, 1);
    }
    pw_str_add(&request, "0\r\n\r\n");
    send_bytes(fd, request.text, request.length);
    struct reply reply = read_reply(fd);
    assert_int_equal(reply.status, 200);
    post.chunked = false;

    const struct {
        const char *before, *after;
        size_t whole_size;
        int status;
        const char *text;
    } cases[] = {
        {"", "", whole_size, 200, "{}"},
        {"", "", whole_size - 1, 400, "cut off"},
        {"", "", 5, 400, "cut off"},
        {"", "", 0, 400, "cut off"},
        {"", "xy", whole_size, 400, "not valid"},
        {"xy", "", whole_size, 400, "not valid"},
        {"", "\x1f\x8b\x08", whole_size, 400, "cut off"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        pw_str_clear(&body);
        pw_str_add(&body, cases[i].before);
        pw_str_add_bytes(&body, whole, cases[i].whole_size);
        pw_str_add(&body, cases[i].after);
        post.body = body.text;
        post.size = body.length;
        reply = post_on(fd, &post);
        if (reply.status != cases[i].status || !strstr(reply.body, cases[i].text)) {
            fail_msg("case %zu: %d %s", i, reply.status, reply.body);
        }
    }
    /* A broken checksum. */
    whole[whole_size - 5] = (char)(whole[whole_size - 5] ^ 1);
    post.body = whole;
    post.size = whole_size;
    assert_int_equal(post_on(fd, &post).status, 400);
    close(fd);
    expect_result(endpoint, 4, PW_LOSS_UNDECODABLE, 7);
    stop_collector(&fixture);
}

/* A byte of input that becomes more output than there is space for. */
static void test_gzip_growth(void **state)
{
    (void)state;
    struct fixture fixture = start_collector((struct pw_collector_options){0}, NULL);
    struct pw_endpoint *endpoint = open_endpoint(&fixture);
    PW_STR_AUTO body = PW_STR_INIT, request = PW_STR_INIT;
    for (int i = 0; i < 4 << 20; i++) {
        pw_str_add_char(&body, ' ');
    }
    pw_str_add(&body, two_points);
    size_t size;
    PW_FREE_AUTO char *compressed = gzip_bytes(body.text, body.length, &size);
    struct post post = {
        .url = pw_endpoint_url(endpoint), .type = as_json, .gzip = true, .chunked = true};
    add_head(&request, &post, 0);
    for (size_t i = 0; i < size; i++) {
        add_chunk(&request, compressed + i, 1);
    }
    pw_str_add(&request, "0\r\n\r\n");
    int fd = connect_to(post.url);
    send_bytes(fd, request.text, request.length);
    assert_int_equal(read_reply(fd).status, 200);
    close(fd);
    expect_result(endpoint, 2, PW_LOSS_TOO_LARGE, 0);
    stop_collector(&fixture);
}

/* Plain bodies: as large as allowed, larger, endless. */
static void test_body_limits(void **state)
{
    (void)state;
    struct pw_collector_limits limits = default_limits();
    limits.body_bytes = 1 << 20;
    struct fixture fixture = start_collector((struct pw_collector_options){0}, &limits);
    struct pw_endpoint *endpoint = open_endpoint(&fixture);
    PW_STR_AUTO body = PW_STR_INIT;
    pw_str_add(&body, two_points);
    while (body.length < limits.body_bytes) {
        pw_str_add_char(&body, ' ');
    }
    struct post post = points_post(endpoint);
    post.body = body.text;
    post.size = body.length;
    int fd = connect_to(post.url);
    assert_int_equal(post_on(fd, &post).status, 200);
    post.chunked = true;
    assert_int_equal(post_on(fd, &post).status, 200);
    pw_str_add_char(&body, ' ');
    post.body = body.text;
    post.size = body.length;
    assert_int_equal(post_on(fd, &post).status, 413); /* with chunks: at the end */
    post.chunked = false;
    assert_int_equal(post_on(fd, &post).status, 413); /* with a length: at once, and the end */
    close(fd);

    /* One that never ends is not listened to for ever. */
    PW_STR_AUTO text = PW_STR_INIT;
    post.chunked = true;
    add_head(&text, &post, 0);
    fd = connect_to(post.url);
    while (send_bytes(fd, text.text, text.length)) {
        pw_str_clear(&text);
        add_chunk(&text, body.text, 65536);
    }
    close(fd);
    expect_result(endpoint, 4, PW_LOSS_TOO_LARGE, 3);
    stop_collector(&fixture);
}

static void test_lying_lengths(void **state)
{
    (void)state;
    struct fixture fixture = start_collector((struct pw_collector_options){0}, NULL);
    struct pw_endpoint *endpoint = open_endpoint(&fixture), *other = open_endpoint(&fixture);
    struct post post = points_post(endpoint);

    /* Too short: what is behind is no request. */
    PW_STR_AUTO text = PW_STR_INIT;
    add_head(&text, &post, 2);
    pw_str_add(&text, "{}and more\r\n\r\n");
    int fd = connect_to(post.url);
    send_bytes(fd, text.text, text.length);
    assert_int_equal(read_reply(fd).status, 200);
    assert_int_equal(read_reply(fd).status, 400);
    expect_end(fd);
    close(fd);

    /* Too long, and the sender goes: with and without a reset. */
    for (int reset = 0; reset < 2; reset++) {
        const struct linger at_once = {.l_onoff = 1};
        pw_str_clear(&text);
        add_head(&text, &post, 5000);
        pw_str_add(&text, two_points);
        fd = connect_to(post.url);
        send_bytes(fd, text.text, text.length);
        if (reset) {
            wait_for_state(fixture.collector, is_receiving);
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
        } else {
            shutdown(fd, SHUT_WR);
            expect_end(fd);
        }
        close(fd);
        pw_endpoints_flush(fixture.collector, &endpoint, 1, 5000);
    }

    /* In the middle of the head. */
    post = points_post(other);
    pw_str_clear(&text);
    add_head(&text, &post, 5000);
    fd = connect_to(post.url);
    send_bytes(fd, text.text, text.length - 10);
    shutdown(fd, SHUT_WR);
    expect_end(fd);
    close(fd);
    pw_endpoints_flush(fixture.collector, &other, 1, 5000);
    expect_result(endpoint, 0, PW_LOSS_CUT_OFF, 2);
    expect_result(other, 0, PW_LOSS_CUT_OFF, 1);
    stop_collector(&fixture);
}

/* What libmicrohttpd itself refuses is counted too, where it is known whose it is. */
static void test_malformed_http(void **state)
{
    (void)state;
    struct fixture fixture = start_collector((struct pw_collector_options){0}, NULL);
    struct pw_endpoint *endpoint = open_endpoint(&fixture);
    struct post post = points_post(endpoint);
    static const char *const bodies[] = {"not a chunk\r\n", "3\r\nabcdef\r\n",
                                         "fffffffffffffffffff\r\n", "-1\r\n"};
    PW_STR_AUTO text = PW_STR_INIT;
    post.chunked = true;
    for (size_t i = 0; i < sizeof(bodies) / sizeof(*bodies); i++) {
        pw_str_clear(&text);
        add_head(&text, &post, 0);
        pw_str_add(&text, bodies[i]);
        int fd = connect_to(post.url);
        send_bytes(fd, text.text, text.length);
        int status = read_reply(fd).status;
        assert_true(status == 400 || status == 413);
        expect_end(fd);
        close(fd);
    }
    post.chunked = false;
    post.extra = "Content-Length: 7x\r\n";
    pw_str_clear(&text);
    add_head(&text, &post, 0);
    char *right = strstr(text.text, "Content-Length: 0\r\n"); /* only the wrong one stays */
    memmove(right, right + strlen("Content-Length: 0\r\n"),
            strlen(right + strlen("Content-Length: 0\r\n")) + 1);
    int fd = connect_to(post.url);
    send_text(fd, text.text);
    assert_int_equal(read_reply(fd).status, 400);
    expect_end(fd);
    close(fd);
    static const char *const heads[] = {"\x16\x03\x01\x02\r\n\r\n",
                                        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "POST\r\n\r\n",
                                        "\r\n\r\n\r\n"};
    for (size_t i = 0; i < sizeof(heads) / sizeof(*heads); i++) {
        fd = connect_to(post.url);
        send_text(fd, heads[i]);
        shutdown(fd, SHUT_WR);
        expect_end(fd);
        close(fd);
    }
    pw_endpoints_flush(fixture.collector, &endpoint, 1, 5000);
    expect_result(endpoint, 0, PW_LOSS_UNDECODABLE, 5);
    stop_collector(&fixture);
}

/* --- time --- */

/* One byte after the other, as long as it is listened to. */
static void drip(int fd, const char *byte)
{
    struct pollfd ended = {.fd = fd, .events = POLLIN};
    while (poll(&ended, 1, 10) == 0 && send_bytes(fd, byte, strlen(byte))) {}
}

static void test_slow_senders(void **state)
{
    (void)state;
    struct pw_collector_limits limits = default_limits();
    limits.request_ns = limits.idle_ns = short_ns;
    struct fixture fixture = start_collector((struct pw_collector_options){0}, &limits);
    struct pw_endpoint *endpoint = open_endpoint(&fixture), *other = open_endpoint(&fixture);
    struct post post = points_post(endpoint);
    int64_t start = pw_clock_now_ns();

    /* In the body, in the head, and before it. */
    PW_STR_AUTO text = PW_STR_INIT;
    add_head(&text, &post, 5000);
    int in_body = connect_to(post.url), in_head = connect_to(post.url);
    int in_line = connect_to(post.url), silent = connect_to(post.url);
    send_bytes(in_body, text.text, text.length);
    send_bytes(in_head, text.text, text.length - 2);
    send_text(in_line, "POST /");
    drip(in_body, "{");
    drip(in_head, "a");
    drip(in_line, "b");
    drip(silent, "");
    expect_end(silent);
    assert_true(pw_clock_now_ns() - start >= short_ns);
    /* An idle one, whose next request drips. */
    struct post good = points_post(other);
    int idle = connect_to(post.url), quiet = connect_to(post.url);
    assert_int_equal(post_on(idle, &good).status, 200);
    assert_int_equal(post_on(quiet, &good).status, 200);
    drip(idle, "P");
    expect_end(quiet);
    close(in_body);
    close(in_head);
    close(in_line);
    close(silent);
    close(idle);
    close(quiet);
    pw_endpoints_flush(fixture.collector, (struct pw_endpoint *[]){endpoint, other}, 2, 5000);
    expect_result(endpoint, 0, PW_LOSS_CUT_OFF, 2);
    expect_result(other, 4, PW_LOSS_CUT_OFF, 0);
    assert_int_equal(strays_of(&fixture).connections_refused, 2);
    stop_collector(&fixture);
}

/* It takes several times as long as a request may that does not come on. */
static void test_steady_sender(void **state)
{
    (void)state;
    enum { PIECES = 64 };
    char piece[4096];
    memset(piece, ' ', sizeof piece);
    struct pw_collector_limits limits = default_limits();
    limits.request_ns = 5 * short_ns;
    limits.request_bytes = 4 * sizeof piece;
    struct fixture fixture = start_collector((struct pw_collector_options){0}, &limits);
    struct pw_endpoint *endpoint = open_endpoint(&fixture);
    struct post post = points_post(endpoint);
    PW_STR_AUTO text = PW_STR_INIT;
    add_head(&text, &post, PIECES * sizeof piece + strlen(two_points));
    int fd = connect_to(post.url);
    int64_t start = pw_clock_now_ns();
    send_bytes(fd, text.text, text.length);
    for (int i = 0; i < PIECES; i++) {
        assert_true(send_bytes(fd, piece, sizeof piece));
        nanosleep(&(struct timespec){.tv_nsec = limits.request_ns / (PIECES / 3)}, NULL);
    }
    assert_true(pw_clock_now_ns() - start > 2 * limits.request_ns);
    send_text(fd, two_points);
    assert_int_equal(read_reply(fd).status, 200);
    close(fd);
    pw_endpoints_flush(fixture.collector, &endpoint, 1, 5000);
    expect_result(endpoint, 2, PW_LOSS_CUT_OFF, 0);
    stop_collector(&fixture);
}

/* --- many connections --- */

static void test_many_connections(void **state)
{
    (void)state;
    enum { FLOOD = 2000, LIMIT = 300 };
    struct rlimit files;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = files.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
    if (files.rlim_cur < FLOOD + LIMIT + 100) {
        skip(); /* not enough descriptors for both sides */
    }
    struct pw_collector_limits limits = default_limits();
    limits.connections = LIMIT;
    struct fixture fixture = start_collector((struct pw_collector_options){0}, &limits);
    struct pw_endpoint *endpoint = open_endpoint(&fixture), *flooder = open_endpoint(&fixture);
    const struct post good = points_post(endpoint), flood = points_post(flooder);
    int steady = connect_to(good.url);
    assert_int_equal(post_on(steady, &good).status, 200);
    static int fds[FLOOD];
    for (int i = 0; i < FLOOD; i++) {
        fds[i] = connect_to(good.url);
        if (i % 2) { /* half of them say whose they are */
            send_request(fds[i], &flood);
        } else if (i % 4) {
            send_text(fds[i], "POST /");
        }
        if (i % 100 == 0) { /* others are served all the time */
            assert_int_equal(post_on(steady, &good).status, 200);
            assert_int_equal(post_once(&good).status, 200);
        }
    }
    assert_int_equal(post_on(steady, &good).status, 200);
    assert_int_equal(post_once(&good).status, 200); /* so all before it have been accepted */
    struct pw_strays strays = strays_of(&fixture);
    assert_true(strays.connections_refused >= FLOOD - LIMIT);
    assert_true(strays.connections_refused <= FLOOD);
    for (int i = 0; i < FLOOD; i++) {
        close(fds[i]);
    }
    close(steady);
    pw_endpoints_flush(fixture.collector, (struct pw_endpoint *[]){endpoint, flooder}, 2, 5000);
    expect_result(endpoint, UINT64_C(2) * (3 + 2 * FLOOD / 100), PW_LOSS_CUT_OFF, 0);
    stop_collector(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gzip_bomb),        cmocka_unit_test(test_gzip_streams),
        cmocka_unit_test(test_gzip_growth),      cmocka_unit_test(test_body_limits),
        cmocka_unit_test(test_lying_lengths),    cmocka_unit_test(test_malformed_http),
        cmocka_unit_test(test_slow_senders),     cmocka_unit_test(test_steady_sender),
        cmocka_unit_test(test_many_connections),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
