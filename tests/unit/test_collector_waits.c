/* The collector at a worker's end, and when there is no room: what is waited for, and for how long.
 */
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/wait.h>
#include "tests/unit/otlp_client.h"

/* --- the end of a worker --- */

static double flush_ms(struct fixture *fixture, struct pw_endpoint *endpoint, double wait_ms)
{
    int64_t start = pw_clock_now_ns();
    pw_endpoints_flush(fixture->collector, &endpoint, 1, wait_ms);
    return pw_ns_to_ms(pw_clock_now_ns() - start);
}

/* With its sockets closed there is nothing to wait for; what was sent just before is there, and
 * what was not sent to its end is counted. */
static void test_flush_at_once(void **state)
{
    (void)state;
    struct fixture fixture = start_collector((struct pw_collector_options){0}, NULL);
    enum { ROUNDS = 60, BULK = 2 << 20 };
    PW_STR_AUTO bulk = PW_STR_INIT;
    pw_str_add(&bulk, two_points);
    while (bulk.length < BULK) {
        pw_str_add(&bulk, "                                                                ");
    }
    for (int i = 0; i < ROUNDS; i++) {
        struct pw_endpoint *endpoint = open_endpoint(&fixture);
        struct post post = points_post(endpoint);
        if (i % 2) {
            post.body = bulk.text;
            post.size = bulk.length;
        }
        bool whole = i % 3 > 0;
        if (i % 3 == 1) {
            assert_int_equal(post_once(&post).status, 200);
        } else { /* goes without waiting for the reply, and maybe before it is accepted */
            PW_STR_AUTO text = PW_STR_INIT;
            add_request(&text, &post);
            int fd = connect_to(post.url);
            assert_true(send_bytes(fd, text.text, text.length - !whole));
            close(fd);
        }
        assert_true(flush_ms(&fixture, endpoint, 50000) < 20000);
        expect_result(endpoint, whole ? 2 : 0, PW_LOSS_CUT_OFF, !whole);
    }
    stop_collector(&fixture);
}

static bool is_flushing(const struct pw_collector *collector)
{
    for (size_t i = 0; i < collector->endpoints.slot_count; i++) {
        for (const struct pw_endpoint *endpoint = collector->endpoints.slots[i]; endpoint;
             endpoint = endpoint->next_in_slot) {
            if (endpoint->flushing) {
                return true;
            }
        }
    }
    return false;
}

struct flusher {
    pthread_t thread;
    struct fixture *fixture;
    struct pw_endpoint *endpoint;
    double wait_ms, took_ms;
};

static void *flush_aside(void *argument)
{
    struct flusher *flusher = argument;
    flusher->took_ms = flush_ms(flusher->fixture, flusher->endpoint, flusher->wait_ms);
    return NULL;
}

static void test_flush_waits(void **state)
{
    (void)state;
    struct fixture fixture = start_collector((struct pw_collector_options){0}, NULL);
    struct pw_endpoint *endpoint = open_endpoint(&fixture);
    struct post post = points_post(endpoint);
    struct flusher flusher = {.fixture = &fixture, .endpoint = endpoint, .wait_ms = 50000};
    PW_STR_AUTO text = PW_STR_INIT;

    /* A request in the middle is waited for. */
    add_request(&text, &post);
    int fd = connect_to(post.url);
    send_bytes(fd, text.text, text.length - 5);
    assert_int_equal(pthread_create(&flusher.thread, NULL, flush_aside, &flusher), 0);
    wait_for_state(fixture.collector, is_flushing);
    send_bytes(fd, text.text + text.length - 5, 5);
    assert_int_equal(read_reply(fd).status, 200);
    close(fd);
    pthread_join(flusher.thread, NULL);
    assert_true(flusher.took_ms < 20000);

    /* A connection that somebody keeps open: as long as was asked for. */
    fd = connect_to(post.url);
    assert_int_equal(post_on(fd, &post).status, 200);
    double took_ms = flush_ms(&fixture, endpoint, 30);
    assert_true(took_ms >= 30 && took_ms < 20000);
    /* And it may go on. */
    assert_int_equal(post_on(fd, &post).status, 200);
    close(fd);

    /* Connections of others, and of nobody, are not waited for; fresh ones might be anybody's. */
    const struct pw_endpoint *other = open_endpoint(&fixture);
    const struct post theirs = points_post(other);
    int open_fd = connect_to(post.url);
    assert_int_equal(post_on(open_fd, &theirs).status, 200);
    assert_true(flush_ms(&fixture, endpoint, 50000) < 20000);
    int64_t start = pw_clock_now_ns();
    fd = connect_to(post.url);
    flush_ms(&fixture, endpoint, 30);
    assert_true(pw_clock_now_ns() - start >= 30 * PW_NS_PER_MS);
    assert_true(flush_ms(&fixture, endpoint, 30) < 20000);
    close(open_fd);
    close(fd);
    expect_result(endpoint, 6, PW_LOSS_CUT_OFF, 0);
    stop_collector(&fixture);
}

/* What has not been received when the time is over is cut off, and counted once. */
static void test_flush_cuts(void **state)
{
    (void)state;
    for (int going_on = 0; going_on < 2; going_on++) {
        struct pw_collector_limits limits = default_limits();
        limits.flush_cap_ns = short_ns;
        limits.receiving_ns = going_on ? 600 * PW_NS_PER_SEC : 0;
        struct fixture fixture = start_collector((struct pw_collector_options){0}, &limits);
        struct pw_endpoint *endpoint = open_endpoint(&fixture);
        const struct post post = points_post(endpoint);
        PW_STR_AUTO text = PW_STR_INIT;
        add_request(&text, &post);
        int fd = connect_to(post.url);
        send_bytes(fd, text.text, text.length - 5);
        wait_for_state(fixture.collector, is_receiving);
        double took_ms = flush_ms(&fixture, endpoint, 1);
        assert_true(took_ms >= (going_on ? pw_ns_to_ms(short_ns) : 1));
        assert_int_equal(peek_loss(endpoint, PW_LOSS_CUT_OFF), 1);
        send_bytes(fd, text.text + text.length - 5, 5);
        expect_end(fd);
        close(fd);
        expect_result(endpoint, 0, PW_LOSS_CUT_OFF, 1);
        stop_collector(&fixture);
    }
}

/* In a process of its own: stops this one for longer than a sender may be silent, sends the rest of
 * a request meanwhile, and lets it go on. */
static void stop_parent_and_send(int fd, const char *rest, size_t size)
{
    const struct timespec until_it_waits = {.tv_nsec = 20 * PW_NS_PER_MS};
    const struct timespec longer = {.tv_nsec = 300 * PW_NS_PER_MS};
    nanosleep(&until_it_waits, NULL);
    kill(getppid(), SIGSTOP);
    nanosleep(&longer, NULL);
    bool is_sent = send(fd, rest, size, MSG_NOSIGNAL) == (ssize_t)size;
    kill(getppid(), SIGCONT);
    _exit(!is_sent);
}

/* The time for which the machine stands still, or perfwrap does, is not the sender's silence. */
static void test_flush_stands_still(void **state)
{
    (void)state;
    enum { ROUNDS = 6 };
    struct fixture fixture = start_collector((struct pw_collector_options){0}, NULL);
    for (int i = 0; i < ROUNDS; i++) {
        struct pw_endpoint *endpoint = open_endpoint(&fixture);
        const struct post post = points_post(endpoint);
        PW_STR_AUTO text = PW_STR_INIT;
        add_request(&text, &post);
        size_t begun = text.length / 2;
        int fd = connect_to(post.url), status = 0;
        send_bytes(fd, text.text, begun);
        wait_for_state(fixture.collector, is_receiving);
        pid_t pid = fork();
        if (pid == 0) {
            stop_parent_and_send(fd, text.text + begun, text.length - begun);
        }
        flush_ms(&fixture, endpoint, 1);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        expect_result(endpoint, 2, PW_LOSS_CUT_OFF, 0);
        close(fd);
    }
    stop_collector(&fixture);
}

/* --- no room --- */

static void wait_in_tap(void *context, const struct pw_payload *payload)
{
    (void)payload;
    while (sem_wait(context) != 0) {}
}

static bool is_parked(const struct pw_collector *collector)
{
    return !TAILQ_EMPTY(&collector->connections.parked);
}

/* Who finds the queue full waits, and is taken when there is room, even if its sender has gone. */
static void test_queue_full(void **state)
{
    (void)state;
    sem_t gate;
    sem_init(&gate, 0, 0);
    struct pw_collector_limits limits = default_limits();
    limits.queued_payloads = 2;
    limits.busy_wait_ns = 60 * PW_NS_PER_SEC;
    struct fixture fixture = start_collector(
        (struct pw_collector_options){.tap = wait_in_tap, .tap_context = &gate}, &limits);
    struct pw_endpoint *endpoint = open_endpoint(&fixture);
    const struct post post = points_post(endpoint);
    assert_int_equal(post_once(&post).status, 200);
    assert_int_equal(post_once(&post).status, 200);
    int fd = connect_to(post.url), gone = connect_to(post.url);
    send_request(fd, &post);
    wait_for_state(fixture.collector, is_parked);
    sem_post(&gate);
    assert_int_equal(read_reply(fd).status, 200);
    send_request(gone, &post);
    wait_for_state(fixture.collector, is_parked);
    close(gone);
    for (int i = 0; i < 3; i++) {
        sem_post(&gate);
    }
    assert_int_equal(post_on(fd, &post).status, 200);
    close(fd);
    sem_post(&gate);
    pw_endpoints_flush(fixture.collector, &endpoint, 1, 50000);
    expect_result(endpoint, 10, PW_LOSS_BUSY, 0);
    stop_collector(&fixture);
    sem_destroy(&gate);
}

enum { FLOODERS = 12, FLOOD_POSTS = 100 };

struct flooder {
    pthread_t thread;
    const struct pw_endpoint *endpoint;
    unsigned refused;
};

static void *flood(void *argument)
{
    struct flooder *flooder = argument;
    struct post post = points_post(flooder->endpoint);
    int fd = connect_to(post.url);
    for (int i = 0; i < FLOOD_POSTS; i++) {
        post.gzip = i % 3 == 0;
        flooder->refused += post_on(fd, &post).status != 200;
    }
    close(fd);
    return NULL;
}

/* Many who are all in each other's way: each of them has its turn, and in time. */
static void test_flood(void **state)
{
    (void)state;
    struct pw_collector_limits limits = default_limits();
    limits.queued_payloads = 2;
    limits.held_bytes = 200000; /* a few first buffers */
    limits.held_bytes_one = 100000;
    limits.busy_wait_ns = 600 * PW_NS_PER_SEC;
    struct fixture fixture = start_collector((struct pw_collector_options){0}, &limits);
    struct pw_endpoint *endpoints[3];
    struct flooder flooders[FLOODERS] = {0};
    for (int i = 0; i < 3; i++) {
        endpoints[i] = open_endpoint(&fixture);
    }
    for (int i = 0; i < FLOODERS; i++) {
        flooders[i].endpoint = endpoints[i % 3];
        assert_int_equal(pthread_create(&flooders[i].thread, NULL, flood, &flooders[i]), 0);
    }
    for (int i = 0; i < FLOODERS; i++) {
        pthread_join(flooders[i].thread, NULL);
        assert_int_equal(flooders[i].refused, 0);
    }
    pw_endpoints_flush(fixture.collector, endpoints, 3, 50000);
    for (int i = 0; i < 3; i++) {
        expect_result(endpoints[i], UINT64_C(2) * FLOODERS / 3 * FLOOD_POSTS, PW_LOSS_BUSY, 0);
    }
    stop_collector(&fixture);
}

/* Nobody waits for ever. */
static void test_busy(void **state)
{
    (void)state;
    sem_t gate;
    sem_init(&gate, 0, 0);
    struct pw_collector_limits limits = default_limits();
    limits.queued_payloads = 1;
    limits.busy_wait_ns = short_ns;
    struct fixture fixture = start_collector(
        (struct pw_collector_options){.tap = wait_in_tap, .tap_context = &gate}, &limits);
    struct pw_endpoint *endpoint = open_endpoint(&fixture);
    const struct post post = points_post(endpoint);
    int fd = connect_to(post.url);
    assert_int_equal(post_on(fd, &post).status, 200);
    struct reply reply = post_on(fd, &post);
    assert_int_equal(reply.status, 503);
    assert_memory_equal(reply_header(&reply, "Retry-After"), "1\r\n", 3);
    assert_contains(reply.body, "{\"code\":14,");
    int gone = connect_to(post.url);
    send_request(gone, &post);
    close(gone);
    assert_int_equal(post_on(fd, &post).status, 503);
    while (peek_loss(endpoint, PW_LOSS_BUSY) < 3) { /* who has gone was sent no reply to wait for */
        usleep(1000);
    }
    for (int i = 0; i < 2; i++) {
        sem_post(&gate);
    }
    pw_endpoints_flush(fixture.collector, &endpoint, 1, 1);
    assert_int_equal(post_on(fd, &post).status, 200);
    close(fd);
    pw_endpoints_flush(fixture.collector, &endpoint, 1, 50000);
    expect_result(endpoint, 4, PW_LOSS_BUSY, 3);
    stop_collector(&fixture);
    sem_destroy(&gate);
}

/* The budget of one endpoint is used up: its senders wait, those of others do not. */
static void test_budget(void **state)
{
    (void)state;
    sem_t gate;
    sem_init(&gate, 0, 0);
    struct pw_collector_limits limits = default_limits();
    limits.held_bytes_one = 100000;
    limits.busy_wait_ns = short_ns;
    struct fixture fixture = start_collector(
        (struct pw_collector_options){.tap = wait_in_tap, .tap_context = &gate}, &limits);
    struct pw_endpoint *endpoint = open_endpoint(&fixture), *other = open_endpoint(&fixture);
    PW_STR_AUTO bulky = PW_STR_INIT; /* as protobuf too: a metric with a long name */
    pw_str_add(&bulky, "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"name\":\"");
    while (bulky.length < 60000) {
        pw_str_add_char(&bulky, 'x');
    }
    pw_str_add(&bulky, "\"}]}]}]}");
    struct post post = points_post(endpoint);
    post.body = bulky.text;
    post.size = bulky.length;
    int fd = connect_to(post.url);
    assert_int_equal(post_on(fd, &post).status, 200);
    for (int way = 0; way < 3; way++) { /* refused while the body comes in, or is inflated */
        post.chunked = way == 1;
        post.gzip = way == 2;
        assert_int_equal(post_on(fd, &post).status, 503);
    }
    post.gzip = false;
    const struct post theirs = points_post(other);
    assert_int_equal(post_once(&theirs).status, 200);
    /* Two halves that are in each other's way: neither takes the other down for ever. */
    for (int i = 0; i < 10; i++) {
        sem_post(&gate);
    }
    pw_endpoints_flush(fixture.collector, (struct pw_endpoint *[]){endpoint, other}, 2, 1);
    post.chunked = true;
    int second = connect_to(post.url);
    PW_STR_AUTO text = PW_STR_INIT;
    add_request(&text, &post);
    send_bytes(fd, text.text, text.length - 10);
    send_bytes(second, text.text, text.length - 10);
    send_bytes(fd, text.text + text.length - 10, 10);
    send_bytes(second, text.text + text.length - 10, 10);
    int one = read_reply(fd).status, two = read_reply(second).status;
    assert_true((one == 200 || one == 503) && (two == 200 || two == 503));
    unsigned refused = 3 + (one == 503) + (two == 503);
    close(fd);
    close(second);
    pw_endpoints_flush(fixture.collector, &endpoint, 1, 50000);
    expect_result(endpoint, 0, PW_LOSS_BUSY, refused);
    expect_result(other, 2, PW_LOSS_BUSY, 0);
    /* All of the budget has come back. */
    assert_int_equal(fixture.collector->queue.held_bytes, 0);
    assert_int_equal(fixture.collector->queue.count, 0);
    stop_collector(&fixture);
    sem_destroy(&gate);
}

/* Stopped in the middle of everything: nothing hangs, nothing leaks. */
static void test_stop_amid(void **state)
{
    (void)state;
    sem_t gate;
    sem_init(&gate, 0, 0);
    struct pw_collector_limits limits = default_limits();
    limits.queued_payloads = 1;
    struct fixture fixture = start_collector(
        (struct pw_collector_options){.tap = wait_in_tap, .tap_context = &gate}, &limits);
    struct pw_endpoint *endpoint = open_endpoint(&fixture);
    struct post post = points_post(endpoint);
    PW_STR_AUTO text = PW_STR_INIT;
    post.gzip = true;
    add_request(&text, &post);
    assert_int_equal(post_once(&post).status, 200);
    int parked = connect_to(post.url), half = connect_to(post.url), fresh = connect_to(post.url);
    send_request(parked, &post);
    send_bytes(half, text.text, text.length - 5);
    wait_for_state(fixture.collector, is_parked);
    sem_post(&gate);
    sem_post(&gate);
    stop_collector(&fixture);
    expect_end(half);
    expect_end(fresh);
    close(parked);
    close(half);
    close(fresh);
    sem_destroy(&gate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flush_at_once), cmocka_unit_test(test_flush_waits),
        cmocka_unit_test(test_flush_cuts),    cmocka_unit_test(test_flush_stands_still),
        cmocka_unit_test(test_queue_full),    cmocka_unit_test(test_flood),
        cmocka_unit_test(test_busy),          cmocka_unit_test(test_budget),
        cmocka_unit_test(test_stop_amid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
