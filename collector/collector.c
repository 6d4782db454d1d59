#include "collector/collector.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include "collector/collector_impl.h"
#include "collector/listen.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/limits.h"

const struct pw_collector_limits pw_collector_default_limits = {
    .body_bytes = PW_LIMIT_OTLP_BODY_BYTES,
    .check_here_bytes = PW_LIMIT_OTLP_CHECK_HERE_BYTES,
    .held_bytes = PW_LIMIT_OTLP_HELD_BYTES,
    .held_bytes_one = PW_LIMIT_OTLP_HELD_BYTES_ONE,
    .queued_payloads = PW_LIMIT_OTLP_QUEUED_PAYLOADS,
    .queued_bytes_one = PW_LIMIT_OTLP_QUEUED_BYTES_ONE,
    .connections = PW_LIMIT_OTLP_CONNECTIONS,
    .endpoints = PW_LIMIT_OTLP_ENDPOINTS,
    .request_bytes = PW_LIMIT_OTLP_REQUEST_BYTES,
    .idle_ns = PW_LIMIT_OTLP_IDLE_SEC * PW_NS_PER_SEC,
    .request_ns = PW_LIMIT_OTLP_REQUEST_SEC * PW_NS_PER_SEC,
    .busy_wait_ns = PW_LIMIT_OTLP_BUSY_WAIT_MS * PW_NS_PER_MS,
    .flush_cap_ns = PW_LIMIT_OTLP_FLUSH_CAP_MS * PW_NS_PER_MS,
    .receiving_ns = 100 * PW_NS_PER_MS,
};

/* Life */

static void init(struct pw_collector *collector, const struct pw_collector_options *options,
                 const struct pw_collector_limits *limits)
{
    collector->limits = *limits;
    if (options->body_limit)
        collector->limits.body_bytes = options->body_limit;
    collector->classifier = options->classifier;
    collector->queue.tap = options->tap;
    collector->queue.tap_context = options->tap_context;
    collector->server.listen_fd = collector->server.wake_fd = collector->server.epoll_fd = -1;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&collector->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_cond_init(&collector->queue.work, NULL);
    pthread_cond_init(&collector->checker.work, NULL);
    pthread_mutex_init(&collector->lock, NULL);
    pthread_mutex_init(&collector->queue.windows, NULL);
    STAILQ_INIT(&collector->queue.payloads);
    TAILQ_INIT(&collector->checker.waiting);
    TAILQ_INIT(&collector->checker.done);
    pw_endpoints_init(&collector->endpoints);
    pw_connections_init(&collector->connections);
}

static int open_socket(struct pw_collector *collector, const struct pw_collector_options *options,
                       int *ret_fd, struct pw_err *err)
{
    struct pw_address address;
    if (pw_address_parse(options->listen, &address, err))
        return -1;
    bool has_token = options->bearer_token && options->bearer_token[0];
    if (!address.is_loopback && !has_token) {
        pw_err_set(err, PW_ERR_USAGE, "others can reach `%s`: a bearer token must be demanded",
                   options->listen);
        return pw_err_remedy(err, "give a token, or listen at 127.0.0.1");
    }
    if (has_token) {
        collector->bearer_token = strdup(options->bearer_token);
        if (!collector->bearer_token)
            return pw_err_memory(err);
    }
    return pw_listen(&address, ret_fd, &collector->url, err);
}

/* The threads shall not take the program's signals. */
static int start_threads(struct pw_collector *collector, int listen_fd, struct pw_err *err)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pw_server_start(collector, listen_fd, err) || pw_checker_start(collector, err) ||
                 pw_queue_start(collector, err);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed ? -1 : 0;
}

int pw_collector_start_within(const struct pw_collector_options *options,
                              const struct pw_collector_limits *limits,
                              struct pw_collector **ret_collector, struct pw_err *err)
{
    struct pw_collector *collector = calloc(1, sizeof *collector);
    if (!collector)
        return pw_err_memory(err);
    int listen_fd = -1;
    init(collector, options, limits ? limits : &pw_collector_default_limits);
    if (open_socket(collector, options, &listen_fd, err) ||
        start_threads(collector, listen_fd, err)) {
        pw_collector_stop(collector);
        return -1;
    }
    *ret_collector = collector;
    return 0;
}

int pw_collector_start(const struct pw_collector_options *options,
                       struct pw_collector **ret_collector, struct pw_err *err)
{
    return pw_collector_start_within(options, NULL, ret_collector, err);
}

void pw_collector_stop(struct pw_collector *collector)
{
    if (!collector)
        return;
    pw_server_stop(collector);
    pw_queue_stop(collector);
    pw_fd_done(&collector->server.wake_fd);
    pw_endpoints_done(&collector->endpoints);
    pthread_mutex_destroy(&collector->queue.windows);
    pthread_mutex_destroy(&collector->lock);
    pthread_cond_destroy(&collector->queue.work);
    pthread_cond_destroy(&collector->checker.work);
    pthread_cond_destroy(&collector->changed);
    free(collector->bearer_token);
    free(collector->url);
    free(collector);
}

const char *pw_collector_url(const struct pw_collector *collector)
{
    return collector->url;
}

void pw_collector_strays(struct pw_collector *collector, struct pw_strays *ret_strays)
{
    pthread_mutex_lock(&collector->lock);
    *ret_strays = collector->strays;
    pthread_mutex_unlock(&collector->lock);
}

void pw_collector_each_late(struct pw_collector *collector,
                            void (*visit)(void *context, const struct pw_late *late), void *context)
{
    pthread_mutex_lock(&collector->lock);
    pw_endpoints_each_late_locked(&collector->endpoints, visit, context);
    pthread_mutex_unlock(&collector->lock);
}

/* Endpoints */

int pw_endpoint_open(struct pw_collector *collector, const struct pw_endpoint_options *options,
                     struct pw_endpoint **ret_endpoint, struct pw_err *err)
{
    struct pw_endpoint *endpoint = NULL;
    if (pw_endpoint_new(collector, options, &endpoint, err))
        return -1;
    pthread_mutex_lock(&collector->lock);
    pw_endpoints_forget_locked(&collector->endpoints, collector->limits.endpoints - 1);
    int failed = pw_endpoints_put_locked(&collector->endpoints, endpoint, err);
    pthread_mutex_unlock(&collector->lock);
    if (failed) {
        pw_endpoint_free(endpoint);
        return -1;
    }
    *ret_endpoint = endpoint;
    return 0;
}

const char *pw_endpoint_url(const struct pw_endpoint *endpoint)
{
    return endpoint->url;
}

uint64_t pw_endpoint_late(const struct pw_endpoint *endpoint)
{
    pthread_mutex_lock(&endpoint->collector->lock);
    uint64_t late = endpoint->late;
    pthread_mutex_unlock(&endpoint->collector->lock);
    return late;
}

static int result(struct pw_endpoint *endpoint, const uint64_t losses[PW_LOSS_COUNT],
                  struct pw_telemetry *ret_telemetry, struct pw_err *err)
{
    for (unsigned loss = 0; loss < PW_LOSS_COUNT; loss++)
        if (losses[loss])
            pw_window_lose(endpoint->window, loss, losses[loss]);
    return pw_window_result(endpoint->window, ret_telemetry, err);
}

static void take_losses_locked(struct pw_endpoint *endpoint, uint64_t ret_losses[PW_LOSS_COUNT])
{
    memcpy(ret_losses, endpoint->losses, sizeof endpoint->losses);
    memset(endpoint->losses, 0, sizeof endpoint->losses);
}

int pw_endpoint_peek(struct pw_endpoint *endpoint, struct pw_telemetry *ret_telemetry,
                     struct pw_err *err)
{
    struct pw_collector *collector = endpoint->collector;
    uint64_t losses[PW_LOSS_COUNT];
    pthread_mutex_lock(&collector->lock);
    bool closed = endpoint->closed;
    take_losses_locked(endpoint, losses);
    pthread_mutex_unlock(&collector->lock);
    if (closed)
        return pw_err_set(err, PW_ERR_INTERNAL, "an endpoint is looked at after it was closed");
    pthread_mutex_lock(&collector->queue.windows);
    int failed = result(endpoint, losses, ret_telemetry, err);
    pthread_mutex_unlock(&collector->queue.windows);
    return failed;
}

static void wait_decoded_locked(struct pw_collector *collector, const struct pw_endpoint *endpoint)
{
    pw_queue_kick_locked(collector);
    while (endpoint->queued)
        pthread_cond_wait(&collector->changed, &collector->lock);
}

int pw_endpoint_close(struct pw_endpoint *endpoint, struct pw_telemetry *ret_telemetry,
                      struct pw_err *err)
{
    struct pw_collector *collector = endpoint->collector;
    uint64_t losses[PW_LOSS_COUNT];
    pthread_mutex_lock(&collector->lock);
    bool again = endpoint->closed;
    endpoint->closed = true;
    wait_decoded_locked(collector, endpoint);
    take_losses_locked(endpoint, losses);
    pthread_mutex_unlock(&collector->lock);
    if (again)
        return pw_err_set(err, PW_ERR_INTERNAL, "an endpoint is closed twice");
    pthread_mutex_lock(&collector->queue.windows);
    int failed = result(endpoint, losses, ret_telemetry, err);
    pw_window_free(endpoint->window);
    endpoint->window = NULL;
    pthread_mutex_unlock(&collector->queue.windows);
    pthread_mutex_lock(&collector->lock);
    if (endpoint->token[0])
        TAILQ_INSERT_TAIL(&collector->endpoints.closed, endpoint, closing);
    pthread_mutex_unlock(&collector->lock);
    return failed;
}

/* Flush */

enum { STEP_MS = 25 };

struct flush {
    struct pw_endpoint *const *endpoints;
    size_t count;
    int64_t wait_ns, until_ns, cap_ns;
    int64_t awake_ns; /* since when this thread gets the CPU when it is due */
};

/* Until when connections of unknown owners may be theirs; 0 if there is none to wait for. One that
 * is older than the wait matters only if something has come that has not been read yet. */
static int64_t strangers_until_locked(const struct pw_collector *collector,
                                      const struct flush *flush, int64_t now_ns)
{
    const struct pw_connections *table = &collector->connections;
    if (!table->fresh_count)
        return 0;
    const struct pw_connection *connection;
    int64_t until = 0;
    for (connection = TAILQ_FIRST(&table->timed); connection;
         connection = TAILQ_NEXT(connection, link)) {
        if (connection->state != PW_CONNECTION_FRESH)
            continue;
        int64_t due_ns = connection->since_ns + flush->wait_ns;
        if (due_ns <= now_ns && pw_connection_has_input_locked(connection))
            due_ns = flush->until_ns;
        if (due_ns > now_ns && due_ns > until)
            until = due_ns;
    }
    return until;
}

static bool has_connections_locked(const struct flush *flush)
{
    for (size_t i = 0; i < flush->count; i++)
        if (flush->endpoints[i]->connections)
            return true;
    return false;
}

/* Whether a request for one of them is being received, and how long that counts; 0 if none is.
 * While the machine stood still nobody could send, and nobody read. */
static int64_t receiving_until_locked(const struct pw_collector *collector,
                                      const struct flush *flush, int64_t now_ns)
{
    const struct pw_connection *connection;
    int64_t until = 0;
    for (connection = TAILQ_FIRST(&collector->connections.timed); connection;
         connection = TAILQ_NEXT(connection, link)) {
        if (connection->state != PW_CONNECTION_BUSY || !connection->endpoint ||
            !connection->endpoint->flushing)
            continue;
        int64_t since_ns = atomic_load_explicit(&connection->last_bytes_ns, memory_order_relaxed);
        if (since_ns < flush->awake_ns)
            since_ns = flush->awake_ns;
        if (connection->parked || connection->check) /* that it does not send is our doing */
            since_ns = now_ns;
        int64_t silent_ns = since_ns + collector->limits.receiving_ns;
        if (silent_ns > now_ns && silent_ns > until)
            until = silent_ns;
    }
    return until;
}

/* Until when to wait for something to happen; 0: it is over. */
static int64_t wait_until_locked(const struct pw_collector *collector, const struct flush *flush)
{
    int64_t now = pw_clock_now_ns();
    if (now < flush->until_ns) {
        if (has_connections_locked(flush) || pw_server_is_asked(collector))
            return flush->until_ns;
        int64_t strangers = strangers_until_locked(collector, flush, now);
        return strangers < flush->until_ns ? strangers : flush->until_ns;
    }
    if (now >= flush->cap_ns)
        return 0;
    int64_t receiving = receiving_until_locked(collector, flush, now);
    return receiving < flush->cap_ns ? receiving : flush->cap_ns;
}

/* Waits in steps, so that it notices when it was not woken in time. What it was late is time that
 * nobody had, and counts in no wait. */
static void wait_locked(struct pw_collector *collector, struct flush *flush, int64_t until_ns)
{
    const int64_t step_ns = STEP_MS * PW_NS_PER_MS, step_end_ns = pw_clock_now_ns() + step_ns;
    int64_t due_ns = until_ns < step_end_ns ? until_ns : step_end_ns;
    struct timespec wake = {.tv_sec = due_ns / PW_NS_PER_SEC, .tv_nsec = due_ns % PW_NS_PER_SEC};
    pthread_cond_timedwait(&collector->changed, &collector->lock, &wake);
    int64_t now_ns = pw_clock_now_ns(), late_ns = now_ns - due_ns;
    if (late_ns <= step_ns)
        return;
    flush->awake_ns = now_ns;
    flush->until_ns += late_ns;
    flush->cap_ns += late_ns;
}

/* What has not been received by now is not taken any more. */
static void cut_off_locked(struct pw_collector *collector)
{
    struct pw_connection *connection;
    for (connection = TAILQ_FIRST(&collector->connections.timed); connection;
         connection = TAILQ_NEXT(connection, link)) {
        if (connection->state != PW_CONNECTION_BUSY || !connection->endpoint ||
            !connection->endpoint->flushing || connection->counted)
            continue;
        connection->endpoint->losses[PW_LOSS_CUT_OFF]++;
        connection->counted = connection->cut = true;
        collector->server.cutting = true;
    }
    if (collector->server.cutting)
        pw_server_wake(collector);
}

void pw_endpoints_flush(struct pw_collector *collector, struct pw_endpoint *const *endpoints,
                        size_t count, double wait_ms)
{
    int64_t now = pw_clock_now_ns(), wait_ns = pw_ms_to_ns(wait_ms);
    int64_t cap_ns = collector->limits.flush_cap_ns;
    struct flush flush = {.endpoints = endpoints,
                          .count = count,
                          .wait_ns = wait_ns,
                          .until_ns = now + wait_ns,
                          .cap_ns = now + (cap_ns > wait_ns ? cap_ns : wait_ns),
                          .awake_ns = now};
    pthread_mutex_lock(&collector->lock);
    for (size_t i = 0; i < count; i++)
        endpoints[i]->flushing = true;
    pw_queue_kick_locked(collector);
    for (int64_t until; (until = wait_until_locked(collector, &flush));)
        wait_locked(collector, &flush, until);
    cut_off_locked(collector);
    for (size_t i = 0; i < count; i++) {
        endpoints[i]->flushing = false;
        wait_decoded_locked(collector, endpoints[i]);
    }
    pthread_mutex_unlock(&collector->lock);
}
