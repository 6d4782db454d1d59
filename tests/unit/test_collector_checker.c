/* The collector with bodies that are checked aside: what comes of them, and that nobody else waits.
 */
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include "tests/unit/otlp_client.h"
#include "tests/unit/otlp_samples.h"

static bool is_given_locked(const struct pw_connection_list *list, enum pw_check_state state)
{
    const struct pw_connection *connection = TAILQ_FIRST(list);
    while (connection && connection->check != state) {
        connection = TAILQ_NEXT(connection, link);
    }
    return connection != NULL;
}

/* Also if it has been ended meanwhile. */
static bool is_checking(const struct pw_collector *collector)
{
    return is_given_locked(&collector->connections.timed, PW_CHECK_GOING) ||
           is_given_locked(&collector->connections.ended, PW_CHECK_GOING);
}

static bool is_one_waiting(const struct pw_collector *collector)
{
    return !TAILQ_EMPTY(&collector->checker.waiting);
}

static bool is_parked(const struct pw_collector *collector)
{
    return !TAILQ_EMPTY(&collector->connections.parked);
}

static bool is_one_left(const struct pw_collector *collector)
{
    return collector->connections.count == 1;
}

static bool is_checking_now(const struct fixture *fixture)
{
    pthread_mutex_lock(&fixture->collector->lock);
    bool checking = is_checking(fixture->collector);
    pthread_mutex_unlock(&fixture->collector->lock);
    return checking;
}

/* All of the budget has come back. */
static void expect_nothing_held(const struct fixture *fixture)
{
    pthread_mutex_lock(&fixture->collector->lock);
    assert_int_equal(fixture->collector->queue.held_bytes, 0);
    pthread_mutex_unlock(&fixture->collector->lock);
}

/* For what takes long with sanitizers: no timer of the collector's shall matter. */
static struct pw_collector_limits patient_limits(void)
{
    struct pw_collector_limits limits = default_limits();
    limits.request_ns = limits.busy_wait_ns = 600 * PW_NS_PER_SEC;
    return limits;
}

static void add_repeated(struct pw_str *out, const char *unit, size_t bytes)
{
    PW_STR_AUTO part = PW_STR_INIT;
    while (part.length < 1 << 16) {
        pw_str_add(&part, unit);
    }
    for (size_t end = out->length + bytes; out->length < end;) {
        pw_str_add_bytes(out, part.text, part.length);
    }
}

/* Two datapoints, and before them what takes the check far longer than anything else here: a list
 * of millions of numbers under a key that OTLP does not know. */
static void add_dense(struct pw_str *out)
{
    pw_str_add(out, "{\"x\":[");
    add_repeated(out, "1,", 32 << 20);
    pw_str_addf(out, "1],%s", two_points + 1);
    assert_false(out->failed);
}

/* Two datapoints, a little over the bound. */
static void add_sparse(struct pw_str *out)
{
    add_repeated(out, "                ", PW_LIMIT_OTLP_CHECK_HERE_BYTES);
    pw_str_add(out, two_points);
    assert_false(out->failed);
}

static struct post post_of(const struct pw_endpoint *endpoint, const struct pw_str *body)
{
    struct post post = points_post(endpoint);
    post.body = body->text;
    post.size = body->length;
    return post;
}

/* --- what comes of large bodies --- */

static const uint64_t points = 182; /* in a codex_metrics payload */
enum { COPIES = 12 };               /* of it, in a large body */

static void add_copies(struct pw_str *out, const struct otlp_sample *sample)
{
    static const char start[] = "{\"resourceMetrics\":[", end[] = "]}";
    if (!sample->is_json) { /* protobuf messages in a row are their union */
        for (int i = 0; i < COPIES; i++) {
            pw_str_add_bytes(out, sample->body, sample->size);
        }
        return;
    }
    const char *list = memchr(sample->body, '[', sample->size);
    const char *last = memrchr(sample->body, ']', sample->size);
    assert_non_null(list);
    assert_non_null(last);
    list++;
    pw_str_add(out, start);
    for (int i = 0; i < COPIES; i++) {
        pw_str_add(out, i ? "," : "");
        pw_str_add_bytes(out, list, (size_t)(last - list));
    }
    pw_str_add(out, end);
}

static void test_large(void **state)
{
    (void)state;
    struct fixture fixture = start_collector((struct pw_collector_options){0}, NULL);
    struct otlp_samples samples = load_samples();
    int fd = connect_to(pw_collector_url(fixture.collector));
    for (int way = 0; way < 8; way++) {
        const struct otlp_sample *sample =
            find_sample(&samples, way & 1 ? "codex_metrics_json" : "codex_metrics_proto");
        PW_STR_AUTO body = PW_STR_INIT;
        add_copies(&body, sample);
        assert_true(body.length > 1 << 20);
        struct pw_endpoint *endpoint = open_endpoint(&fixture);
        struct post post = post_of(endpoint, &body);
        post.type = way & 1 ? as_json : as_protobuf;
        post.gzip = (way & 2) != 0;
        post.chunked = (way & 4) != 0;
        struct reply reply = post_on(fd, &post);
        assert_int_equal(reply.status, 200);
        assert_string_equal(reply.content_type, post.type);
        expect_result(endpoint, points * COPIES, PW_LOSS_REPEATED, points * (COPIES - 1));

        /* The same with an error in its last bytes. */
        endpoint = open_endpoint(&fixture);
        post.url = pw_endpoint_url(endpoint);
        post.size = body.length - 1;
        reply = post_on(fd, &post);
        assert_int_equal(reply.status, 400);
        assert_string_equal(reply.content_type, post.type);
        assert_memory_equal(reply.body, way & 1 ? "{\"code\":3," : "\x08\x03", 2);
        expect_result(endpoint, 0, PW_LOSS_UNDECODABLE, 1);
    }
    expect_nothing_held(&fixture);
    close(fd);
    free_samples(&samples);
    stop_collector(&fixture);
}

/* Every payload is judged by the checker as it is by the server's thread. */
static void test_same_verdicts(void **state)
{
    (void)state;
    struct pw_collector_limits limits = patient_limits();
    limits.check_here_bytes = 0;
    struct fixture fixture = start_collector((struct pw_collector_options){0}, &limits);
    struct otlp_samples samples = load_samples();
    int fd = connect_to(pw_collector_url(fixture.collector));
    for (size_t i = 0; i < samples.count; i++) {
        const struct otlp_sample *sample = &samples.items[i];
        if (sample->status != 200 && sample->status != 400) {
            continue;
        }
        struct pw_endpoint *endpoint = open_endpoint(&fixture);
        const struct post post = {.url = pw_endpoint_url(endpoint),
                                  .type = sample->is_json ? as_json : as_protobuf,
                                  .signal = sample->signal,
                                  .body = sample->body,
                                  .size = sample->size};
        assert_int_equal(post_on(fd, &post).status, sample->status);
        struct pw_telemetry telemetry = close_endpoint(endpoint);
        assert_int_equal(telemetry.payloads[sample->signal], sample->status == 200);
        assert_int_equal(telemetry.losses[PW_LOSS_UNDECODABLE], sample->status == 400);
        pw_telemetry_done(&telemetry);
    }
    close(fd);
    free_samples(&samples);
    stop_collector(&fixture);
}

enum { SENDERS = 10, POSTS = 2 };

struct sender {
    pthread_t thread;
    struct post post;
    unsigned refused;
};

static void *send_posts(void *argument)
{
    struct sender *sender = argument;
    int fd = connect_to(sender->post.url);
    for (int i = 0; i < POSTS; i++) {
        sender->refused += post_on(fd, &sender->post).status != 200;
    }
    close(fd);
    return NULL;
}

static void test_many(void **state)
{
    (void)state;
    const struct pw_collector_limits limits = patient_limits();
    struct fixture fixture = start_collector((struct pw_collector_options){0}, &limits);
    struct pw_endpoint *endpoints[2] = {open_endpoint(&fixture), open_endpoint(&fixture)};
    struct otlp_samples samples = load_samples();
    struct sender senders[SENDERS] = {0};
    PW_STR_AUTO json = PW_STR_INIT;
    PW_STR_AUTO protobuf = PW_STR_INIT;
    add_copies(&json, find_sample(&samples, "codex_metrics_json"));
    add_copies(&protobuf, find_sample(&samples, "codex_metrics_proto"));
    for (int i = 0; i < SENDERS; i++) {
        senders[i].post = post_of(endpoints[i % 2], i % 3 ? &json : &protobuf);
        senders[i].post.type = i % 3 ? as_json : as_protobuf;
        assert_int_equal(pthread_create(&senders[i].thread, NULL, send_posts, &senders[i]), 0);
    }
    for (int i = 0; i < SENDERS; i++) {
        pthread_join(senders[i].thread, NULL);
        assert_int_equal(senders[i].refused, 0);
    }
    for (int i = 0; i < 2; i++) {
        /* Of each kind of payload they are the same points again and again. */
        const uint64_t sent = points * COPIES * POSTS * SENDERS / 2;
        expect_result(endpoints[i], sent, PW_LOSS_REPEATED, sent - 2 * points);
    }
    expect_nothing_held(&fixture);
    free_samples(&samples);
    stop_collector(&fixture);
}

/* --- while one is being checked --- */

static bool has_input(int fd)
{
    return poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 0) > 0;
}

static void test_neighbours(void **state)
{
    (void)state;
    const struct pw_collector_limits limits = patient_limits();
    struct fixture fixture = start_collector((struct pw_collector_options){0}, &limits);
    struct pw_endpoint *endpoint = open_endpoint(&fixture), *other = open_endpoint(&fixture);
    PW_STR_AUTO dense = PW_STR_INIT;
    add_dense(&dense);
    const struct post post = post_of(endpoint, &dense), small = points_post(other);
    int fd = connect_to(post.url), small_fd = connect_to(small.url);
    send_request(fd, &post);
    wait_for_state(fixture.collector, is_checking);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(post_on(small_fd, &small).status, 200);
        assert_int_equal(post_once(&small).status, 200);
    }
    close(small_fd);
    pw_endpoints_flush(fixture.collector, &other, 1, 50000);
    expect_result(other, 20, PW_LOSS_BUSY, 0);
    assert_false(has_input(fd));
    assert_true(is_checking_now(&fixture));
    assert_int_equal(read_reply(fd).status, 200);
    assert_int_equal(post_on(fd, &post).status, 200);
    close(fd);
    pw_endpoints_flush(fixture.collector, &endpoint, 1, 50000);
    expect_result(endpoint, 4, PW_LOSS_BUSY, 0);
    stop_collector(&fixture);
}

/* The flush waits for what is being checked, whether its sender is there or has gone. */
static void test_flush(void **state)
{
    (void)state;
    struct pw_collector_limits limits = patient_limits();
    limits.flush_cap_ns = 600 * PW_NS_PER_SEC;
    struct fixture fixture = start_collector((struct pw_collector_options){0}, &limits);
    PW_STR_AUTO dense = PW_STR_INIT;
    PW_STR_AUTO sparse = PW_STR_INIT;
    add_dense(&dense);
    add_sparse(&sparse);
    for (int way = 0; way < 3; way++) {
        bool gone = way > 0, broken = way == 2;
        struct pw_endpoint *endpoint = open_endpoint(&fixture);
        struct post first = post_of(endpoint, &dense);
        const struct post second = post_of(endpoint, &sparse);
        first.size -= broken;
        int fd = connect_to(first.url), second_fd = connect_to(second.url);
        send_request(fd, &first);
        wait_for_state(fixture.collector, is_checking);
        send_request(second_fd, &second);
        if (gone) {
            close(fd);
            close(second_fd);
        } else {
            wait_for_state(fixture.collector, is_one_waiting);
        }
        pw_endpoints_flush(fixture.collector, &endpoint, 1, 1);
        if (!gone) {
            assert_int_equal(read_reply(fd).status, 200);
            assert_int_equal(read_reply(second_fd).status, 200);
            close(fd);
            close(second_fd);
        }
        expect_result(endpoint, broken ? 2 : 4, PW_LOSS_UNDECODABLE, broken);
    }
    stop_collector(&fixture);
}

/* The first is being checked, the second waits for it. */
static void keep_checker_busy(struct pw_collector *collector, int fd, const struct post *first,
                              int waiting, const struct post *second)
{
    send_request(fd, first);
    wait_for_state(collector, is_checking);
    send_request(waiting, second);
    wait_for_state(collector, is_one_waiting);
}

/* Cut off by the flush: counted once, at once; those that still wait end at once, too. */
static void test_cut_off(void **state)
{
    (void)state;
    PW_STR_AUTO dense = PW_STR_INIT;
    PW_STR_AUTO sparse = PW_STR_INIT;
    add_dense(&dense);
    add_sparse(&sparse);
    for (int broken = 0; broken < 2; broken++) {
        struct pw_collector_limits limits = patient_limits();
        limits.flush_cap_ns = 1;
        struct fixture fixture = start_collector((struct pw_collector_options){0}, &limits);
        struct pw_collector *collector = fixture.collector;
        struct pw_endpoint *endpoint = open_endpoint(&fixture);
        struct post post = post_of(endpoint, &dense);
        const struct post second = post_of(endpoint, &sparse);
        post.size -= broken;
        int fd = connect_to(post.url), waiting = connect_to(post.url);
        keep_checker_busy(collector, fd, &post, waiting, &second);
        pw_endpoints_flush(collector, &endpoint, 1, 0.001);
        assert_int_equal(peek_loss(endpoint, PW_LOSS_CUT_OFF), 2);
        wait_for_state(collector, is_one_left);
        assert_true(is_checking_now(&fixture));
        expect_end(waiting);
        expect_end(fd);
        close(fd);
        close(waiting);
        pw_endpoints_flush(collector, &endpoint, 1, 50000);
        expect_result(endpoint, 0, PW_LOSS_CUT_OFF, 2);
        expect_nothing_held(&fixture);
        stop_collector(&fixture);
    }
}

/* However long the check takes, and if the time of a request is over at its very end: who is
 * counted as taken hears of it. */
static void test_no_hurry(void **state)
{
    (void)state;
    PW_STR_AUTO dense = PW_STR_INIT;
    PW_STR_AUTO sparse = PW_STR_INIT;
    add_dense(&dense);
    add_sparse(&sparse);
    const struct pw_collector_limits limits = patient_limits();
    struct fixture fixture = start_collector((struct pw_collector_options){0}, &limits);
    struct pw_collector *collector = fixture.collector;
    for (int meanwhile = 0; meanwhile < 2; meanwhile++) {
        struct pw_endpoint *endpoint = open_endpoint(&fixture);
        const struct post first = post_of(endpoint, &dense), second = post_of(endpoint, &sparse);
        int fd = connect_to(first.url), waiting = connect_to(first.url);
        keep_checker_busy(collector, fd, &first, waiting, &second);
        pthread_mutex_lock(&collector->lock);
        struct pw_connection *connection;
        TAILQ_FOREACH(connection, &collector->connections.timed, link)
        {
            connection->since_ns -= limits.request_ns;
        }
        pthread_mutex_unlock(&collector->lock);
        if (meanwhile) { /* else the server looks when the check is done */
            pw_server_wake(collector);
        }
        assert_int_equal(read_reply(fd).status, 200);
        assert_int_equal(read_reply(waiting).status, 200);
        close(fd);
        close(waiting);
        pw_endpoints_flush(collector, &endpoint, 1, 50000);
        expect_result(endpoint, 4, PW_LOSS_CUT_OFF, 0);
    }
    stop_collector(&fixture);
}

/* Its endpoint has been closed meanwhile. */
static void test_late(void **state)
{
    (void)state;
    const struct pw_collector_limits limits = patient_limits();
    struct fixture fixture = start_collector((struct pw_collector_options){0}, &limits);
    struct pw_endpoint *endpoint = open_endpoint(&fixture);
    PW_STR_AUTO dense = PW_STR_INIT;
    add_dense(&dense);
    const struct post post = post_of(endpoint, &dense);
    int fd = connect_to(post.url);
    send_request(fd, &post);
    wait_for_state(fixture.collector, is_checking);
    expect_result(endpoint, 0, PW_LOSS_CUT_OFF, 0);
    struct reply reply = read_reply(fd);
    assert_int_equal(reply.status, 200);
    assert_contains(reply.body, "partialSuccess");
    assert_int_equal(pw_endpoint_late(endpoint), 1);
    close(fd);
    stop_collector(&fixture);
}

static void wait_in_tap(void *context, const struct pw_payload *payload)
{
    (void)payload;
    while (sem_wait(context) != 0) {}
}

/* Checked, but there is no room: it waits like any other, also if its sender has gone. */
static void test_queue_full(void **state)
{
    (void)state;
    sem_t gate;
    sem_init(&gate, 0, 0);
    struct pw_collector_limits limits = patient_limits();
    limits.queued_payloads = 1;
    struct fixture fixture = start_collector(
        (struct pw_collector_options){.tap = wait_in_tap, .tap_context = &gate}, &limits);
    struct pw_endpoint *endpoint = open_endpoint(&fixture);
    PW_STR_AUTO sparse = PW_STR_INIT;
    add_sparse(&sparse);
    const struct post post = post_of(endpoint, &sparse);
    int fd = connect_to(post.url);
    for (int gone = 0; gone < 2; gone++) {
        assert_int_equal(post_once(&post).status, 200);
        send_request(fd, &post);
        wait_for_state(fixture.collector, is_parked);
        if (gone) {
            close(fd);
        }
        sem_post(&gate);
        sem_post(&gate);
        if (!gone) {
            assert_int_equal(read_reply(fd).status, 200);
        }
    }
    pw_endpoints_flush(fixture.collector, &endpoint, 1, 50000);
    expect_result(endpoint, 8, PW_LOSS_BUSY, 0);

    /* And not for ever. */
    endpoint = open_endpoint(&fixture);
    const struct post theirs = post_of(endpoint, &sparse);
    fixture.collector->limits.busy_wait_ns = short_ns; /* nobody is connected */
    fd = connect_to(theirs.url);
    assert_int_equal(post_on(fd, &theirs).status, 200);
    assert_int_equal(post_on(fd, &theirs).status, 503);
    sem_post(&gate);
    close(fd);
    pw_endpoints_flush(fixture.collector, &endpoint, 1, 50000);
    expect_result(endpoint, 2, PW_LOSS_BUSY, 1);
    stop_collector(&fixture);
    sem_destroy(&gate);
}

/* Stopped with one being checked and others waiting for it: nothing hangs, nothing leaks. */
static void test_stop(void **state)
{
    (void)state;
    PW_STR_AUTO dense = PW_STR_INIT;
    PW_STR_AUTO sparse = PW_STR_INIT;
    add_dense(&dense);
    add_sparse(&sparse);
    for (int cut = 0; cut < 2; cut++) {
        struct pw_collector_limits limits = patient_limits();
        limits.flush_cap_ns = 1;
        struct fixture fixture = start_collector((struct pw_collector_options){0}, &limits);
        struct pw_endpoint *endpoint = open_endpoint(&fixture), *other = open_endpoint(&fixture);
        const struct post post = post_of(endpoint, &dense), second = post_of(other, &sparse);
        int fd = connect_to(post.url), waiting = connect_to(post.url), gone = connect_to(post.url);
        send_request(fd, &post);
        wait_for_state(fixture.collector, is_checking);
        send_request(waiting, &second);
        send_request(gone, &second);
        close(gone);
        wait_for_state(fixture.collector, is_one_waiting);
        if (cut) {
            pw_endpoints_flush(fixture.collector, &endpoint, 1, 0.001);
        }
        assert_true(is_checking_now(&fixture));
        stop_collector(&fixture);
        expect_end(fd);
        expect_end(waiting);
        close(fd);
        close(waiting);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_large),      cmocka_unit_test(test_same_verdicts),
        cmocka_unit_test(test_many),       cmocka_unit_test(test_neighbours),
        cmocka_unit_test(test_flush),      cmocka_unit_test(test_cut_off),
        cmocka_unit_test(test_no_hurry),   cmocka_unit_test(test_late),
        cmocka_unit_test(test_queue_full), cmocka_unit_test(test_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
