/* Places that are asked, with real listeners and files that come at known times. */
#include "wrapper/run/ask.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include "core/clock.h"
#include "tests/unit/unit.h"
#include "wrapper/run/ask_impl.h"

enum { SLOTS = 4, PATIENCE_SEC = 30 };

/* --- what was seen --- */

struct log {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int64_t at_ns[SLOTS][PW_LIMIT_MOMENTS];
    unsigned calls;
};

static void note(void *context, size_t slot, size_t mark, int64_t at_ns)
{
    struct log *log = context;
    pthread_mutex_lock(&log->lock);
    log->calls++;
    if (log->at_ns[slot][mark]) {
        log->at_ns[slot][mark] = -1; /* twice */
    } else {
        log->at_ns[slot][mark] = at_ns;
    }
    pthread_cond_broadcast(&log->changed);
    pthread_mutex_unlock(&log->lock);
}

/* When it was seen; a test fails rather than hang. */
static int64_t wait_for(struct log *log, size_t slot, size_t mark)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_SEC;
    pthread_mutex_lock(&log->lock);
    int failed = 0;
    while (!log->at_ns[slot][mark] && !failed) {
        failed = pthread_cond_timedwait(&log->changed, &log->lock, &until);
    }
    int64_t at_ns = log->at_ns[slot][mark];
    pthread_mutex_unlock(&log->lock);
    assert_int_equal(failed, 0);
    assert_true(at_ns > 0);
    return at_ns;
}

static bool was_seen(struct log *log, size_t slot, size_t mark)
{
    pthread_mutex_lock(&log->lock);
    bool seen = log->at_ns[slot][mark] != 0;
    pthread_mutex_unlock(&log->lock);
    return seen;
}

static unsigned call_count(struct log *log)
{
    pthread_mutex_lock(&log->lock);
    unsigned calls = log->calls;
    pthread_mutex_unlock(&log->lock);
    return calls;
}

/* --- one asker, and marks of given sources --- */

struct fixture {
    struct log log;
    struct pw_marks marks;
    struct pw_ask *ask;
    const char *texts[PW_LIMIT_MOMENTS];
};

static void add_mark(struct fixture *fixture, enum pw_mark_source source, const char *text)
{
    size_t i = fixture->marks.names.count++;
    snprintf(fixture->marks.names.names[i], sizeof(fixture->marks.names.names[i]), "m%zu", i);
    fixture->marks.items[i].source = source;
    fixture->texts[i] = text;
}

static void begin_asking(struct fixture *fixture)
{
    pthread_mutex_init(&fixture->log.lock, NULL);
    pthread_cond_init(&fixture->log.changed, NULL);
    assert_int_equal(pw_ask_new(&fixture->marks, SLOTS, note, &fixture->log, &fixture->ask, NULL),
                     0);
}

static void end_asking(struct fixture *fixture)
{
    pw_ask_free(fixture->ask);
    pthread_cond_destroy(&fixture->log.changed);
    pthread_mutex_destroy(&fixture->log.lock);
}

static void add_worker(struct fixture *fixture, size_t slot)
{
    struct pw_err err = PW_ERR_INIT;
    if (pw_ask_add(fixture->ask, slot, fixture->texts, &err) != 0) {
        fail_msg("%s", err.message);
    }
}

static void start_worker(struct fixture *fixture, size_t slot)
{
    add_worker(fixture, slot);
    pw_ask_begin(fixture->ask, slot, pw_clock_now_ns());
}

/* A fixture with one mark, whose worker 0 is running. */
static struct fixture *ask_for(enum pw_mark_source source, const char *text)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    add_mark(fixture, source, text);
    begin_asking(fixture);
    start_worker(fixture, 0);
    return fixture;
}

static void drop(struct fixture *fixture)
{
    end_asking(fixture);
    free(fixture);
}

/* --- listeners --- */

static int bind_tcp(int family, uint16_t *port)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(*port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(*port)};
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    v6.sin6_addr = in6addr_loopback;
    struct sockaddr *address = family == AF_INET ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6;
    socklen_t length = family == AF_INET ? sizeof(v4) : sizeof(v6);
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, address, length) != 0) {
        pw_fd_done(&fd);
        return -1;
    }
    assert_int_equal(getsockname(fd, address, &length), 0);
    *port = ntohs(family == AF_INET ? v4.sin_port : v6.sin6_port);
    return fd;
}

static int bind_unix(const char *text, int type)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(text);
    assert_true(length < sizeof(address.sun_path));
    memcpy(address.sun_path, text, length);
    if (text[0] == '@') {
        address.sun_path[0] = '\0';
    }
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)),
                     0);
    return fd;
}

static void wait_until(int64_t at_ns)
{
    const struct timespec at = {.tv_sec = at_ns / PW_NS_PER_SEC, .tv_nsec = at_ns % PW_NS_PER_SEC};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR) {}
}

/* --- accuracy --- */

enum { ROUNDS = 15 };

static int compare_ns(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* How late each of several files, or listeners if `file` is NULL, was seen that came 5 to 187 ms
 * after the spawn. */
static int64_t median_lateness_ns(const char *file)
{
    int64_t late_ns[ROUNDS];
    char text[32];
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    add_mark(fixture, file ? PW_MARK_FILE : PW_MARK_TCP, file ? file : text);
    begin_asking(fixture);
    for (int i = 0; i < ROUNDS; i++) {
        uint16_t port = 0;
        int fd = file ? -1 : bind_tcp(AF_INET, &port);
        snprintf(text, sizeof(text), "%u", port);
        start_worker(fixture, 0);
        wait_until(pw_clock_now_ns() + (5 + i * 13) * PW_NS_PER_MS);
        int64_t before = pw_clock_now_ns();
        fd = file ? open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600) : fd;
        assert_true(fd >= 0 && (file || listen(fd, 16) == 0));
        int64_t after = pw_clock_now_ns();
        int64_t seen = wait_for(&fixture->log, 0, 0);
        assert_true(seen >= before);
        late_ns[i] = seen > after ? seen - after : 0;
        pw_ask_take(fixture->ask, 0);
        fixture->log.at_ns[0][0] = 0;
        close(fd);
        assert_true(!file || unlink(file) == 0);
    }
    qsort(late_ns, ROUNDS, sizeof(*late_ns), compare_ns);
    print_message("%s: median %lld us, worst %lld us late\n", file ? "file" : "tcp",
                  (long long)late_ns[ROUNDS / 2] / 1000, (long long)late_ns[ROUNDS - 1] / 1000);
    drop(fixture);
    return late_ns[ROUNDS / 2];
}

/* The machine may be busy with something else: the best of three counts. */
static void check_accuracy(const char *file)
{
    int64_t late_ns = INT64_MAX;
    for (int i = 0; i < 3 && late_ns > PW_NS_PER_MS; i++) {
        late_ns = median_lateness_ns(file);
    }
    assert_true(late_ns <= PW_NS_PER_MS);
}

static void test_tcp_in_time(void **state)
{
    (void)state;
    check_accuracy(NULL);
}

static void test_file_in_time(void **state)
{
    char *path = in_folder(state, "ready");
    check_accuracy(path);
    free(path);
}

/* --- TCP and Unix sockets --- */

static void check_family(int family, const char *format)
{
    char text[64];
    uint16_t port = 0;
    int fd = bind_tcp(family, &port);
    if (fd < 0) {
        print_message("no IPv6 here\n");
        skip();
    }
    snprintf(text, sizeof(text), format, port);
    struct fixture *fixture = ask_for(PW_MARK_TCP, text);
    assert_false(was_seen(&fixture->log, 0, 0));
    int64_t before = pw_clock_now_ns();
    assert_int_equal(listen(fd, 4), 0);
    assert_true(wait_for(&fixture->log, 0, 0) >= before);
    drop(fixture);
    close(fd);
}

static void test_tcp_v4(void **state)
{
    (void)state;
    check_family(AF_INET, "%u");
    check_family(AF_INET, "localhost:%u");
    check_family(AF_INET, "127.0.0.1:%u");
}

static void test_tcp_v6(void **state)
{
    (void)state;
    check_family(AF_INET6, "%u");
    check_family(AF_INET6, "[::1]:%u");
}

static void test_unix(void **state)
{
    char *path = in_folder(state, "socket");
    char abstract[64];
    snprintf(abstract, sizeof(abstract), "@perfwrap-test-%d", (int)getpid());
    const struct {
        const char *text;
        int type;
    } rows[] = {{path, SOCK_STREAM}, {path, SOCK_SEQPACKET}, {abstract, SOCK_STREAM}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        if (rows[i].text == path) { /* one that is left from a dead server does not count */
            close(bind_unix(path, SOCK_STREAM));
        }
        struct fixture *fixture = ask_for(PW_MARK_UNIX, rows[i].text);
        unlink(path);
        int fd = bind_unix(rows[i].text, rows[i].type);
        int64_t before = pw_clock_now_ns();
        assert_int_equal(listen(fd, 4), 0);
        assert_true(wait_for(&fixture->log, 0, 0) >= before);
        drop(fixture);
        close(fd);
        unlink(path);
    }
    free(path);
}

/* The kernel walks through its ports when it chooses one to connect from: after this many asks it
 * has tried the one that is asked, and connected the socket to itself. */
static void test_own_echo(void **state)
{
    (void)state;
    unsigned echoes = 0;
    char text[64] = "", *end = text;
    FILE *range = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
    assert_non_null(range);
    assert_non_null(fgets(text, sizeof(text), range));
    fclose(range);
    unsigned long low = strtoul(text, &end, 10), high = strtoul(end, NULL, 10);
    snprintf(text, sizeof(text), "%lu", low + ((high - low) / 2 & ~1UL));
    struct pw_place place;
    assert_int_equal(pw_place_parse(PW_MARK_TCP, text, &place, NULL), 0);
    for (unsigned long i = 0; i < high - low + 2; i++) {
        enum pw_dial_result result = pw_dial_start(&place.dials[0], 0);
        assert_true(result == PW_DIAL_NO || result == PW_DIAL_WAIT);
        echoes += place.dials[0].fd < 0;
        if (result == PW_DIAL_WAIT) {
            pw_dial_done(&place.dials[0]);
        }
    }
    print_message("%u connections of a socket to itself\n", echoes);
    pw_place_done(&place);
}

/* --- HTTP --- */

/* Answers each connection with the next of its replies, the last one again and again. NULL: accepts
 * and stays silent. A reply that begins with '*' goes on for ever. */
struct answerer {
    int fd;
    const char *const *replies;
    size_t count;
    atomic_size_t next;
    atomic_bool ending;
    atomic_llong last_at_ns; /* when the last reply was first given */
    pthread_t thread;
    char request[1024];
    char text[64];
};

static void read_request(struct answerer *answerer, int fd)
{
    size_t length = 0;
    memset(answerer->request, 0, sizeof(answerer->request));
    while (!strstr(answerer->request, "\r\n\r\n") && length < sizeof(answerer->request) - 1) {
        if (recv(fd, &answerer->request[length++], 1, 0) <= 0) {
            return;
        }
    }
}

static void give(int fd, const char *reply)
{
    bool is_endless = *reply == '*';
    reply += is_endless;
    while (send(fd, reply, strlen(reply), MSG_NOSIGNAL) > 0 && is_endless) {}
}

static void *answer(void *argument)
{
    struct answerer *answerer = argument;
    int silent[16];
    size_t silent_count = 0;
    while (!atomic_load(&answerer->ending)) {
        int fd = accept(answerer->fd, NULL, NULL);
        if (fd < 0) {
            break;
        }
        size_t i = atomic_load(&answerer->next);
        const char *reply = answerer->replies[i];
        if (i + 1 < answerer->count) {
            atomic_store(&answerer->next, i + 1);
        } else if (!atomic_load(&answerer->last_at_ns)) {
            atomic_store(&answerer->last_at_ns, pw_clock_now_ns());
        }
        if (!reply && silent_count < sizeof(silent) / sizeof(*silent)) {
            silent[silent_count++] = fd;
            continue;
        }
        read_request(answerer, fd);
        give(fd, reply ? reply : "");
        close(fd);
    }
    while (silent_count > 0) {
        close(silent[--silent_count]);
    }
    return NULL;
}

static void start_answerer(struct answerer *answerer, const char *const *replies, size_t count)
{
    uint16_t port = 0;
    *answerer = (struct answerer){.fd = bind_tcp(AF_INET, &port), .replies = replies};
    answerer->count = count;
    assert_true(answerer->fd >= 0);
    snprintf(answerer->text, sizeof(answerer->text), "http://127.0.0.1:%u/live?x=1#y", port);
}

static void open_answerer(struct answerer *answerer)
{
    assert_int_equal(listen(answerer->fd, 16), 0);
    assert_int_equal(pthread_create(&answerer->thread, NULL, answer, answerer), 0);
}

static void stop_answerer(struct answerer *answerer)
{
    atomic_store(&answerer->ending, true);
    shutdown(answerer->fd, SHUT_RDWR);
    pthread_join(answerer->thread, NULL);
    close(answerer->fd);
}

static void check_replies(const char *const *replies, size_t count)
{
    struct answerer answerer;
    start_answerer(&answerer, replies, count);
    struct fixture *fixture = ask_for(PW_MARK_HTTP, answerer.text);
    open_answerer(&answerer);
    int64_t at_ns = wait_for(&fixture->log, 0, 0);
    /* Only the last one counts; that it was given in between says so. */
    assert_int_equal(atomic_load(&answerer.next), count - 1);
    assert_true(at_ns >= atomic_load(&answerer.last_at_ns));
    drop(fixture);
    stop_answerer(&answerer);
    static const char expected[] = "GET /live?x=1 HTTP/1.1\r\nHost: 127.0.0.1:";
    assert_memory_equal(answerer.request, expected, sizeof(expected) - 1);
    assert_null(strstr(answerer.request, "#y"));
}

static void test_http(void **state)
{
    (void)state;
    static const char *const replies[] = {
        "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "",
        "\xff\xfe\n\n\n",
        "HTTP/1.1 302 Found\r\nLocation: /ok\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 200",
        "HTTP/2 200 OK\r\n\r\n",
        "*no end of a line ",
        "*HTTP/1.1 102 Processing\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    };
    check_replies(replies, sizeof(replies) / sizeof(*replies));
}

static void test_http_forms(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "HTTP/1.0 200 OK\n\n",
        "HTTP/1.1 204\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 299 Fine\r\n\r\n",
        "*HTTP/1.1 200 OK\r\n\r\nendless",
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        check_replies(&rows[i], 1);
    }
}

/* It accepts and says nothing: after its patience it is asked again. */
static void test_http_silent(void **state)
{
    (void)state;
    static const char *const replies[] = {NULL, "HTTP/1.1 200 OK\r\n\r\n"};
    struct answerer answerer;
    start_answerer(&answerer, replies, 2);
    struct fixture *fixture = ask_for(PW_MARK_HTTP, answerer.text);
    int64_t before = pw_clock_now_ns();
    open_answerer(&answerer);
    assert_true(wait_for(&fixture->log, 0, 0) >= before + PW_DIAL_PATIENCE_NS);
    drop(fixture);
    stop_answerer(&answerer);
}

/* --- files --- */

static void make(const char *path)
{
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
}

/* The folders above it come, go, and come again. */
static void test_file_folders(void **state)
{
    char *a = in_folder(state, "a"), *b = in_folder(state, "a/b"), *c = in_folder(state, "a/b/c");
    char *path = in_folder(state, "a/b/c/ready"), *aside = in_folder(state, "aside");
    for (int moved = 0; moved < 2; moved++) {
        struct fixture *fixture = ask_for(PW_MARK_FILE, path);
        for (int again = 0; again < 20; again++) {
            assert_int_equal(mkdir(a, 0700) | mkdir(b, 0700) | mkdir(c, 0700), 0);
            assert_int_equal(rmdir(c) | rmdir(b) | rmdir(a), 0);
        }
        assert_int_equal(mkdir(a, 0700) | mkdir(b, 0700) | mkdir(c, 0700), 0);
        make(aside);
        assert_false(was_seen(&fixture->log, 0, 0));
        int64_t before = pw_clock_now_ns();
        if (moved) {
            assert_int_equal(rename(aside, path), 0);
        } else {
            make(path);
        }
        assert_true(wait_for(&fixture->log, 0, 0) >= before);
        drop(fixture);
        assert_int_equal(unlink(path) | rmdir(c) | rmdir(b) | rmdir(a), 0);
    }
    free(a);
    free(b);
    free(c);
    free(path);
    free(aside);
}

/* Several workers wait in one folder: that one of them ends does not make the others deaf. */
static void test_file_shared_folder(void **state)
{
    char *paths[SLOTS];
    struct fixture fixture = {0};
    add_mark(&fixture, PW_MARK_FILE, NULL);
    begin_asking(&fixture);
    for (size_t i = 0; i < SLOTS; i++) {
        char name[16];
        snprintf(name, sizeof(name), "file-%zu", i);
        paths[i] = in_folder(state, name);
        fixture.texts[0] = paths[i];
        start_worker(&fixture, i);
    }
    pw_ask_take(fixture.ask, 0);
    make(paths[0]);
    for (size_t i = SLOTS - 1; i > 0; i--) {
        int64_t before = pw_clock_now_ns();
        make(paths[i]);
        assert_true(wait_for(&fixture.log, i, 0) >= before);
        assert_false(was_seen(&fixture.log, i - 1, 0));
    }
    assert_int_equal(call_count(&fixture.log), SLOTS - 1);
    end_asking(&fixture);
    for (size_t i = 0; i < SLOTS; i++) {
        free(paths[i]);
    }
}

/* Where there is no inotify to be had, it is looked for. */
static void test_file_without_inotify(void **state)
{
    char *path = in_folder(state, "ready");
    struct fixture fixture = {0};
    add_mark(&fixture, PW_MARK_FILE, path);
    begin_asking(&fixture);
    pthread_mutex_lock(&fixture.ask->lock);
    pw_fd_done(&fixture.ask->inotify_fd);
    pthread_mutex_unlock(&fixture.ask->lock);
    start_worker(&fixture, 0);
    int64_t before = pw_clock_now_ns();
    make(path);
    assert_true(wait_for(&fixture.log, 0, 0) >= before);
    end_asking(&fixture);
    free(path);
}

/* What comes between the two is told once the worker has begun, and not as before its spawn. */
static void test_before_begin(void **state)
{
    char *path = in_folder(state, "ready"), *other = in_folder(state, "other");
    struct fixture fixture = {0};
    add_mark(&fixture, PW_MARK_FILE, path);
    add_mark(&fixture, PW_MARK_FILE, other);
    begin_asking(&fixture);
    add_worker(&fixture, 0);
    make(path);
    bool has_come = false;
    while (!has_come) {
        pthread_mutex_lock(&fixture.ask->lock);
        has_come = fixture.ask->slots[0].spots[0].came_at_ns != 0;
        pthread_mutex_unlock(&fixture.ask->lock);
        sched_yield();
    }
    assert_false(was_seen(&fixture.log, 0, 0));
    int64_t spawned = pw_clock_now_ns();
    pw_ask_begin(fixture.ask, 0, spawned);
    assert_true(wait_for(&fixture.log, 0, 0) == spawned);
    assert_false(was_seen(&fixture.log, 0, 1));
    end_asking(&fixture);
    free(path);
    free(other);
}

/* --- what is there already --- */

static void expect_refusal(enum pw_mark_source source, const char *text, enum pw_err_class cls)
{
    struct fixture fixture = {0};
    struct pw_err err = PW_ERR_INIT;
    add_mark(&fixture, source, text);
    begin_asking(&fixture);
    assert_int_equal(pw_ask_add(fixture.ask, 0, fixture.texts, &err), -1);
    assert_int_equal(err.cls, cls);
    assert_contains(err.message, "mark `m0`");
    assert_true(err.remedy[0] != '\0');
    end_asking(&fixture);
}

static void test_already_there(void **state)
{
    static const char *const replies[] = {"HTTP/1.1 503 No\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"};
    char text[32];
    char *path = in_folder(state, "socket");
    struct answerer answerer;
    uint16_t port = 0;
    int tcp = bind_tcp(AF_INET, &port), unix_fd = bind_unix(path, SOCK_STREAM);
    assert_int_equal(listen(tcp, 1) | listen(unix_fd, 1), 0);
    snprintf(text, sizeof(text), "%u", port);
    expect_refusal(PW_MARK_TCP, text, PW_ERR_SYSTEM);
    expect_refusal(PW_MARK_UNIX, path, PW_ERR_SYSTEM);
    expect_refusal(PW_MARK_FILE, path, PW_ERR_SYSTEM);
    expect_refusal(PW_MARK_FILE, "/", PW_ERR_SYSTEM);
    start_answerer(&answerer, replies, 2);
    open_answerer(&answerer);
    struct fixture *fixture = ask_for(PW_MARK_HTTP, answerer.text); /* 503: not ready, no error */
    wait_for(&fixture->log, 0, 0);
    drop(fixture);
    expect_refusal(PW_MARK_HTTP, answerer.text, PW_ERR_SYSTEM);
    stop_answerer(&answerer);
    close(tcp);
    close(unix_fd);
    free(path);
}

/* --- texts --- */

static void test_texts(void **state)
{
    (void)state;
    static const struct {
        enum pw_mark_source source;
        const char *text;
        size_t dials; /* 0: refused */
    } rows[] = {
        {PW_MARK_TCP, "80", 2},
        {PW_MARK_TCP, "LOCALHOST:80", 2},
        {PW_MARK_TCP, "10.0.0.1:65535", 1},
        {PW_MARK_TCP, "[::1]:1", 1},
        {PW_MARK_TCP, "", 0},
        {PW_MARK_TCP, "0", 0},
        {PW_MARK_TCP, "65536", 0},
        {PW_MARK_TCP, "99999999999", 0},
        {PW_MARK_TCP, "8o", 0},
        {PW_MARK_TCP, ":80", 0},
        {PW_MARK_TCP, "::1:80", 0},
        {PW_MARK_TCP, "[::1]", 0},
        {PW_MARK_TCP, "[::1]80", 0},
        {PW_MARK_TCP, "[::1", 0},
        {PW_MARK_TCP, "127.0.0.1:", 0},
        {PW_MARK_TCP, "db.example:80", 0},
        {PW_MARK_UNIX, "/run/x", 1},
        {PW_MARK_UNIX, "@x", 1},
        {PW_MARK_UNIX, "@", 0},
        {PW_MARK_UNIX, "", 0},
        {PW_MARK_HTTP, "http://localhost", 2},
        {PW_MARK_HTTP, "http://127.0.0.1:80?x", 1},
        {PW_MARK_HTTP, "HTTP://[::1]:8080/x", 1},
        {PW_MARK_HTTP, "//127.0.0.1/", 1},
        {PW_MARK_HTTP, "https://127.0.0.1/", 0},
        {PW_MARK_HTTP, "http://", 0},
        {PW_MARK_HTTP, "http:///x", 0},
        {PW_MARK_HTTP, "http://a@127.0.0.1/", 0},
        {PW_MARK_HTTP, "http://127.0.0.1:x/", 0},
        {PW_MARK_HTTP, "http://127.0.0.1/a b", 0},
        {PW_MARK_HTTP, "http://127.0.0.1/\r\nX: y", 0},
        {PW_MARK_HTTP, "127.0.0.1", 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct pw_place place = {0};
        struct pw_err err = PW_ERR_INIT;
        int failed = pw_place_parse(rows[i].source, rows[i].text, &place, &err);
        if (place.dial_count != rows[i].dials || (failed != 0) != (rows[i].dials == 0)) {
            fail_msg("`%s`: %zu addresses, not %zu: %s", rows[i].text, place.dial_count,
                     rows[i].dials, err.message);
        }
        assert_int_equal(err.cls, failed ? PW_ERR_USAGE : PW_ERR_NONE);
        assert_true(!failed || err.remedy[0]);
        pw_place_done(&place);
    }
    char longer[200];
    memset(longer, 'x', sizeof(longer));
    longer[108] = '\0';
    expect_refusal(PW_MARK_UNIX, longer, PW_ERR_USAGE);
}

/* --- no descriptors, and the threads --- */

/* A socket that is no stream makes each ask open a new one of ours. */
static void test_no_descriptors(void **state)
{
    char *path = in_folder(state, "socket");
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    const struct rlimit none = {.rlim_cur = 3, .rlim_max = before.rlim_max};
    int datagrams = bind_unix(path, SOCK_DGRAM);
    struct fixture *fixture = ask_for(PW_MARK_UNIX, path);
    int64_t until = pw_clock_now_ns() + PATIENCE_SEC * PW_NS_PER_SEC;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    while (pw_ask_missed(fixture->ask) == 0 && pw_clock_now_ns() < until) {
        sched_yield();
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_true(pw_ask_missed(fixture->ask) > 0);
    close(datagrams);
    unlink(path);
    int fd = bind_unix(path, SOCK_STREAM);
    assert_int_equal(listen(fd, 4), 0);
    wait_for(&fixture->log, 0, 0);
    drop(fixture);
    close(fd);
    free(path);
}

struct slow {
    atomic_bool began, ended;
};

static void note_slowly(void *context, size_t slot, size_t mark, int64_t at_ns)
{
    struct slow *slow = context;
    (void)slot, (void)mark;
    atomic_store(&slow->began, true);
    wait_until(at_ns + 50 * PW_NS_PER_MS);
    atomic_store(&slow->ended, true);
}

static void test_take_waits(void **state)
{
    char *path = in_folder(state, "ready");
    struct fixture fixture = {0};
    struct slow slow = {0};
    add_mark(&fixture, PW_MARK_FILE, path);
    assert_int_equal(pw_ask_new(&fixture.marks, SLOTS, note_slowly, &slow, &fixture.ask, NULL), 0);
    start_worker(&fixture, 2);
    make(path);
    while (!atomic_load(&slow.began)) {
        sched_yield();
    }
    pw_ask_take(fixture.ask, 2);
    assert_true(atomic_load(&slow.ended));
    pw_ask_free(fixture.ask);
    free(path);
}

/* Workers come and go while their places are asked; one that is taken is not heard of again. */
static void test_churn(void **state)
{
    char *path = in_folder(state, "ready");
    char text[32];
    uint16_t port = 0;
    int fd = bind_tcp(AF_INET, &port);
    snprintf(text, sizeof(text), "%u", port);
    struct fixture fixture = {0};
    add_mark(&fixture, PW_MARK_TCP, text);
    add_mark(&fixture, PW_MARK_STDOUT, "not asked");
    add_mark(&fixture, PW_MARK_FILE, path);
    begin_asking(&fixture);
    for (unsigned round = 0; round < 300; round++) {
        size_t slot = round % SLOTS;
        start_worker(&fixture, slot);
        if (round % 2) {
            make(path);
        }
        if (round % 4 == 1) {
            wait_for(&fixture.log, slot, 2);
        }
        for (size_t i = 0; i < SLOTS; i++) {
            pw_ask_take(fixture.ask, i);
        }
        unsigned calls = call_count(&fixture.log);
        unlink(path);
        memset(fixture.log.at_ns, 0, sizeof(fixture.log.at_ns));
        sched_yield();
        assert_int_equal(call_count(&fixture.log), calls);
    }
    end_asking(&fixture);
    close(fd);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_tcp_in_time),
        cmocka_unit_test_setup_teardown(test_file_in_time, make_folder, drop_folder),
        cmocka_unit_test(test_tcp_v4),
        cmocka_unit_test(test_tcp_v6),
        cmocka_unit_test_setup_teardown(test_unix, make_folder, drop_folder),
        cmocka_unit_test(test_own_echo),
        cmocka_unit_test(test_http),
        cmocka_unit_test(test_http_forms),
        cmocka_unit_test(test_http_silent),
        cmocka_unit_test_setup_teardown(test_file_folders, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(test_file_shared_folder, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(test_file_without_inotify, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(test_before_begin, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(test_already_there, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(test_no_descriptors, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(test_take_waits, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(test_churn, make_folder, drop_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
