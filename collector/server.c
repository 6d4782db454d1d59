#include "collector/server.h"

#include <errno.h>
#include <limits.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include "collector/collector_impl.h"
#include "collector/request.h"
#include "collector/transcode.h"
#include "core/clock.h"
#include "core/file.h"

enum {
    CONNECTION_MEMORY_BYTES = 64 << 10, /* of each: libmicrohttpd reads half of it at a time */
    ACCEPT_AT_ONCE = 16,                /* then the others have their turn */
    CONNECTIONS_ENDING = 64,            /* over the limit, of those that we have ended */
    EVENTS_AT_ONCE = 64,
    NUDGES = 1000, /* enough to read the largest body */
};
static const int64_t no_descriptors_pause_ns = 100 * PW_NS_PER_MS;

/* Ending connections. All on the server's thread: nobody else may use a descriptor that
 * libmicrohttpd may close. */

/* Of a suspended one. The time that it waited was ours: its sender, or the reply, has all of its
 * own again. */
static void go_on_locked(struct pw_collector *collector, struct pw_connection *connection)
{
    pw_connection_move_locked(collector, connection, PW_CONNECTION_BUSY, pw_clock_now_ns());
    MHD_resume_connection(connection->mhd);
}

static void unpark_locked(struct pw_collector *collector, struct pw_connection *connection)
{
    if (!connection->parked)
        return;
    connection->parked = false;
    TAILQ_REMOVE(&collector->connections.parked, connection, parked_link);
    go_on_locked(collector, connection);
}

/* What is still waiting to be checked need not be. What is just being checked must be waited for,
 * but nothing of it is taken: a flush does not look at connections that have been ended. */
static void abandon_check_locked(struct pw_collector *collector, struct pw_connection *connection)
{
    if (connection->check == PW_CHECK_NONE)
        return;
    if (!connection->counted)
        pw_endpoint_lose_locked(connection->endpoint, PW_LOSS_CUT_OFF);
    connection->counted = connection->cut = true;
    if (!pw_checker_withdraw_locked(collector, connection))
        return;
    pw_request_offer_locked(connection->request); /* finds that it is cut */
    go_on_locked(collector, connection);
}

static void end_locked(struct pw_collector *collector, struct pw_connection *connection,
                       int64_t now_ns)
{
    if (connection->state == PW_CONNECTION_FRESH)
        collector->strays.connections_refused++;
    pw_connection_move_locked(collector, connection, PW_CONNECTION_ENDED, now_ns);
    shutdown(connection->fd, SHUT_RDWR);
    unpark_locked(collector, connection);
    abandon_check_locked(collector, connection);
}

static void end_expired_locked(struct pw_collector *collector, int64_t now_ns)
{
    struct pw_connections *table = &collector->connections;
    struct pw_connection *oldest;
    while ((oldest = TAILQ_FIRST(&table->timed)) &&
           oldest->since_ns + collector->limits.request_ns <= now_ns) {
        if (oldest->parked || oldest->check ||
            oldest->recent_bytes >= collector->limits.request_bytes)
            pw_connection_move_locked(collector, oldest, oldest->state, now_ns);
        else
            end_locked(collector, oldest, now_ns);
    }
    while ((oldest = TAILQ_FIRST(&table->idle)) &&
           oldest->since_ns + collector->limits.idle_ns <= now_ns)
        end_locked(collector, oldest, now_ns);
}

static void cut_marked_locked(struct pw_collector *collector, int64_t now_ns)
{
    struct pw_connection *next, *connection = TAILQ_FIRST(&collector->connections.timed);
    for (; connection; connection = next) {
        next = TAILQ_NEXT(connection, link);
        if (connection->cut)
            end_locked(collector, connection, now_ns);
    }
}

/* Lets those go on whose time is over and, if there is room, those for whom it is enough. */
static void unpark_some_locked(struct pw_collector *collector, bool room, int64_t now_ns)
{
    struct pw_connection *next, *connection = TAILQ_FIRST(&collector->connections.parked);
    for (; connection; connection = next) {
        next = TAILQ_NEXT(connection, parked_link);
        if (connection->busy_until_ns <= now_ns ||
            (room && pw_request_offer_locked(connection->request)))
            unpark_locked(collector, connection);
    }
}

/*
 * libmicrohttpd waits for edges (EPOLLET), and after a short read does not try again: the end of a
 * connection that came together with its last bytes it notices only when something more happens.
 * For a sender that has gone nothing more would: so it is nudged, by an edge of our making, as long
 * as it takes it to read what is left. The nudge ends the direction that has ended anyway.
 */
static void nudge_locked(struct pw_collector *collector)
{
    struct pw_connection *connection;
    for (connection = TAILQ_FIRST(&collector->connections.leaving); connection;
         connection = TAILQ_NEXT(connection, leaving_link))
        if (!connection->parked && !connection->check && connection->nudges++ < NUDGES)
            shutdown(connection->fd, SHUT_RD);
}

/* Of a connection that is, or will be, suspended. */
static void park_locked(struct pw_collector *collector, struct pw_connection *connection,
                        int64_t busy_until_ns)
{
    connection->parked = true;
    connection->busy_until_ns = busy_until_ns;
    TAILQ_INSERT_TAIL(&collector->connections.parked, connection, parked_link);
    pw_queue_kick_locked(collector);
    if (collector->queue.freed != collector->queue.freed_at_refusal) { /* in between */
        collector->server.room_made = true;
        pw_server_wake(collector);
    }
}

void pw_server_park(struct pw_collector *collector, struct pw_connection *connection,
                    int64_t busy_until_ns)
{
    pthread_mutex_lock(&collector->lock);
    park_locked(collector, connection, busy_until_ns);
    pthread_mutex_unlock(&collector->lock);
    MHD_suspend_connection(connection->mhd);
}

void pw_server_have_checked(struct pw_collector *collector, struct pw_connection *connection)
{
    pthread_mutex_lock(&collector->lock);
    pw_checker_put_locked(collector, connection);
    pthread_mutex_unlock(&collector->lock);
    MHD_suspend_connection(connection->mhd); /* only this thread resumes it: so not before */
}

/* What was checked is given to the decoder here, and waits for room without going on in between:
 * of a sender that has gone libmicrohttpd would not ask again. */
static void take_checked_locked(struct pw_collector *collector)
{
    struct pw_connection *connection;
    while ((connection = pw_checker_take_back_locked(collector))) {
        if (pw_request_offer_locked(connection->request))
            go_on_locked(collector, connection);
        else
            park_locked(collector, connection, pw_request_busy_until_ns(connection->request));
    }
}

/* What libmicrohttpd calls */

static struct pw_connection *connection_of(struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info->socket_context; /* which every connection has, since on_connection() */
}

/* Whether libmicrohttpd, and not we, ends the connection while its sender is there: so it has
 * refused what was sent. tcp(7), TCP_INFO. */
static bool peer_is_there(const struct pw_connection *connection)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    if (connection->state == PW_CONNECTION_ENDED ||
        getsockopt(connection->fd, IPPROTO_TCP, TCP_INFO, &info, &size))
        return false;
    return info.tcpi_state == TCP_ESTABLISHED || info.tcpi_state == TCP_FIN_WAIT1 ||
           info.tcpi_state == TCP_FIN_WAIT2;
}

static void on_connection(void *context, struct MHD_Connection *mhd, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct pw_collector *collector = context;
    struct pw_connection *connection = *socket_context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        connection = collector->server.adding;
        connection->mhd = mhd;
        *socket_context = connection;
        return;
    }
    if (connection == collector->server.adding)
        collector->server.adding = NULL;
    /* Its descriptor may live on in a child that has not executed its program yet. */
    epoll_ctl(collector->server.epoll_fd, EPOLL_CTL_DEL, connection->fd, NULL);
    pthread_mutex_lock(&collector->lock);
    pw_connection_close_locked(collector, connection);
    pthread_cond_broadcast(&collector->changed);
    pthread_mutex_unlock(&collector->lock);
}

/* The request line has been read: from here on it is known whose the connection is. */
static void *on_request_line(void *context, const char *uri, struct MHD_Connection *mhd)
{
    struct pw_collector *collector = context;
    struct pw_connection *connection = connection_of(mhd);
    struct pw_route route;
    bool routed = uri && pw_route_parse(uri, &route);
    int64_t now = pw_clock_now_ns();
    pthread_mutex_lock(&collector->lock);
    pw_connection_move_locked(collector, connection, PW_CONNECTION_BUSY, now);
    atomic_store_explicit(&connection->last_bytes_ns, now, memory_order_relaxed);
    connection->counted = false;
    pw_connection_give_locked(collector, connection,
                              routed ? pw_endpoints_find_locked(&collector->endpoints, &route)
                                     : NULL);
    pthread_mutex_unlock(&collector->lock);
    return NULL;
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *mhd, const char *path,
                                  const char *method, const char *version, const char *bytes,
                                  size_t *size, void **request_context)
{
    (void)version;
    struct pw_request *request = *request_context;
    bool going;
    if (!request) {
        struct pw_connection *connection = connection_of(mhd);
        request = pw_request_begin(context, connection, path, method);
        *request_context = connection->request = request;
        going = request != NULL;
    } else if (*size) {
        going = pw_request_body(request, bytes, size);
    } else {
        going = pw_request_end(request);
    }
    return going ? MHD_YES : MHD_NO;
}

/* Of every request whose line was read, also if its head never was. */
static void on_completed(void *context, struct MHD_Connection *mhd, void **request_context,
                         enum MHD_RequestTerminationCode code)
{
    struct pw_collector *collector = context;
    struct pw_connection *connection = connection_of(mhd);
    bool refused = code == MHD_REQUEST_TERMINATED_WITH_ERROR && peer_is_there(connection);
    pw_request_free(*request_context);
    *request_context = connection->request = NULL;
    pthread_mutex_lock(&collector->lock);
    if (!connection->counted)
        pw_endpoint_lose_locked(connection->endpoint,
                                refused ? PW_LOSS_UNDECODABLE : PW_LOSS_CUT_OFF);
    connection->counted = true;
    pw_connection_move_locked(collector, connection, PW_CONNECTION_IDLE, pw_clock_now_ns());
    pw_queue_kick_locked(collector);
    pthread_cond_broadcast(&collector->changed);
    pthread_mutex_unlock(&collector->lock);
}

/* New connections */

bool pw_server_is_asked(const struct pw_collector *collector)
{
    struct pollfd asked = {.fd = collector->server.listen_fd, .events = POLLIN};
    return poll(&asked, 1, 0) > 0;
}

/* Makes room for one more connection; false if there is none to be had. */
static bool make_place_locked(struct pw_collector *collector, int64_t now_ns)
{
    struct pw_connections *table = &collector->connections;
    if (table->count - table->ended_count < collector->limits.connections)
        return true;
    struct pw_connection *victim = pw_connections_victim_locked(table);
    if (!victim)
        return false;
    if (victim->state != PW_CONNECTION_FRESH) /* which end_locked() counts */
        collector->strays.connections_refused++;
    end_locked(collector, victim, now_ns);
    return true;
}

/* Accepts one connection and writes it down, in one step. False if there is nothing to accept. */
static bool accept_locked(struct pw_collector *collector, struct sockaddr_storage *address,
                          socklen_t *length)
{
    struct pw_server *server = &collector->server;
    int64_t now = pw_clock_now_ns();
    server->adding = NULL;
    int fd = accept4(server->listen_fd, (struct sockaddr *)address, length,
                     SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0 && (errno == ECONNABORTED || errno == EINTR))
        return true;
    if (fd < 0) {
        if (errno != EAGAIN)
            server->accept_after_ns = now + no_descriptors_pause_ns;
        return false;
    }
    if (make_place_locked(collector, now))
        server->adding = pw_connection_open_locked(collector, fd, now);
    if (server->adding)
        return true;
    collector->strays.connections_refused++;
    close(fd);
    return true;
}

/* Gives it to libmicrohttpd, which closes the socket if it fails, with or without a call of
 * on_connection(). */
static void add_connection(struct pw_collector *collector, const struct sockaddr_storage *address,
                           socklen_t length)
{
    struct pw_server *server = &collector->server;
    struct pw_connection *connection = server->adding;
    if (MHD_add_connection(server->daemon, connection->fd, (const struct sockaddr *)address,
                           length) == MHD_YES) {
        struct epoll_event leaving = {.events = EPOLLRDHUP | EPOLLET, .data.ptr = connection};
        epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, connection->fd, &leaving);
    } else if (server->adding) { /* on_connection() did not hear of it */
        pthread_mutex_lock(&collector->lock);
        collector->strays.connections_refused++;
        pw_connection_close_locked(collector, connection);
        pthread_mutex_unlock(&collector->lock);
    }
    server->adding = NULL;
}

static void accept_some(struct pw_collector *collector)
{
    bool more = true;
    for (int i = 0; more && i < ACCEPT_AT_ONCE; i++) {
        struct sockaddr_storage address = {0};
        socklen_t length = sizeof address;
        pthread_mutex_lock(&collector->lock);
        more = collector->connections.ended_count < CONNECTIONS_ENDING - ACCEPT_AT_ONCE &&
               accept_locked(collector, &address, &length);
        pthread_cond_broadcast(&collector->changed);
        pthread_mutex_unlock(&collector->lock);
        if (more && collector->server.adding)
            add_connection(collector, &address, length);
    }
}

/* The thread */

/* Until the next timer, in poll()'s milliseconds. */
static int time_left_ms(struct pw_collector *collector)
{
    MHD_UNSIGNED_LONG_LONG pending_ms = 0;
    if (MHD_get_timeout(collector->server.daemon, &pending_ms) == MHD_YES && pending_ms == 0)
        return 0;
    pthread_mutex_lock(&collector->lock);
    int64_t deadline = pw_connections_deadline_locked(collector);
    pthread_mutex_unlock(&collector->lock);
    int64_t now = pw_clock_now_ns();
    if (collector->server.accept_after_ns > now && collector->server.accept_after_ns < deadline)
        deadline = collector->server.accept_after_ns;
    if (deadline == INT64_MAX)
        return -1;
    int64_t left_ms = (deadline - now + PW_NS_PER_MS - 1) / PW_NS_PER_MS;
    return left_ms < 0 ? 0 : left_ms > INT_MAX ? INT_MAX : (int)left_ms;
}

/* Orders of other threads, and timers. False when it is time to end. */
static bool follow_orders(struct pw_collector *collector)
{
    struct pw_server *server = &collector->server;
    int64_t now = pw_clock_now_ns();
    pthread_mutex_lock(&collector->lock);
    take_checked_locked(collector);
    end_expired_locked(collector, now);
    if (server->cutting)
        cut_marked_locked(collector, now);
    unpark_some_locked(collector, server->room_made, now);
    server->room_made = server->cutting = false;
    nudge_locked(collector);
    bool stopping = server->stopping;
    pthread_mutex_unlock(&collector->lock);
    return !stopping;
}

static void note_leaving(struct pw_collector *collector, struct pw_connection *connection)
{
    pthread_mutex_lock(&collector->lock);
    if (!connection->leaving)
        TAILQ_INSERT_TAIL(&collector->connections.leaving, connection, leaving_link);
    connection->leaving = true;
    pthread_mutex_unlock(&collector->lock);
}

/* What is waited for besides connections: told apart by address. */
static const char wake_mark[1], daemon_mark[1], listen_mark[1];

static int watch(struct pw_server *server, int fd, const char *mark)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = (void *)mark};
    return epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

/* While there are no descriptors left, connections wait to be accepted. */
static void pause_accepting(struct pw_server *server)
{
    bool pausing = server->accept_after_ns > pw_clock_now_ns();
    if (pausing == server->pausing)
        return;
    struct epoll_event event = {.events = pausing ? 0 : EPOLLIN, .data.ptr = (void *)listen_mark};
    epoll_ctl(server->epoll_fd, EPOLL_CTL_MOD, server->listen_fd, &event);
    server->pausing = pausing;
}

static void *server_main(void *argument)
{
    struct pw_collector *collector = argument;
    struct pw_server *server = &collector->server;
    struct epoll_event events[EVENTS_AT_ONCE];
    while (follow_orders(collector)) {
        MHD_run(server->daemon);
        pause_accepting(server);
        int count = epoll_wait(server->epoll_fd, events, EVENTS_AT_ONCE, time_left_ms(collector));
        bool asked = false;
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == wake_mark)
                eventfd_read(server->wake_fd, &(eventfd_t){0});
            else if (events[i].data.ptr == listen_mark)
                asked = true;
            else if (events[i].data.ptr != daemon_mark)
                note_leaving(collector, events[i].data.ptr);
        }
        if (asked) /* last: connections in `events` may end by it */
            accept_some(collector);
    }
    return NULL;
}

void pw_server_wake(struct pw_collector *collector)
{
    eventfd_write(collector->server.wake_fd, 1);
}

/* Its life */

/* Not more than a quarter of the descriptors that perfwrap may have. */
static void fit_descriptors(struct pw_collector *collector)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur / 4 < collector->limits.connections)
        collector->limits.connections = files.rlim_cur < 4 ? 1 : (unsigned)(files.rlim_cur / 4);
}

static int make_replies(struct pw_server *server, struct pw_err *err)
{
    for (unsigned media = 0; media < PW_MEDIA_COUNT; media++) {
        /* An empty message, without partial success: everything was taken. */
        const char *text = media == PW_MEDIA_JSON ? "{}" : "";
        server->accepted[media] = MHD_create_response_from_buffer(
            media == PW_MEDIA_JSON ? 2 : 0, (void *)text, MHD_RESPMEM_PERSISTENT);
        if (!server->accepted[media] ||
            MHD_add_response_header(server->accepted[media], MHD_HTTP_HEADER_CONTENT_TYPE,
                                    pw_media_type(media)) != MHD_YES)
            return pw_err_memory(err);
    }
    return 0;
}

int pw_server_start(struct pw_collector *collector, int listen_fd, struct pw_err *err)
{
    struct pw_server *server = &collector->server;
    server->listen_fd = listen_fd;
    server->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (server->wake_fd < 0 || server->epoll_fd < 0)
        return pw_err_system(err, errno, "create an eventfd and an epoll for the collector");
    fit_descriptors(collector);
    if (make_replies(server, err) || pw_transcoder_new(&server->transcoder, err))
        return -1;
    server->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
        on_request, collector, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY_BYTES,
        MHD_OPTION_CONNECTION_LIMIT, collector->limits.connections + CONNECTIONS_ENDING,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, collector, MHD_OPTION_NOTIFY_COMPLETED,
        on_completed, collector, MHD_OPTION_URI_LOG_CALLBACK, on_request_line, collector,
        MHD_OPTION_END);
    if (!server->daemon)
        return pw_err_system(err, errno, "start libmicrohttpd");
    int daemon_fd = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    if (watch(server, server->wake_fd, wake_mark) || watch(server, daemon_fd, daemon_mark) ||
        watch(server, listen_fd, listen_mark))
        return pw_err_system(err, errno, "wait for connections");
    int sys = pthread_create(&server->thread, NULL, server_main, collector);
    if (sys) {
        pw_err_system(err, sys, "start the collector's thread");
        return pw_err_remedy(err, "raise the limit on processes (ulimit -u, pids.max)");
    }
    server->threaded = true;
    pthread_setname_np(server->thread, "otlp-server");
    return 0;
}

/* libmicrohttpd stops only when no connection is suspended. It asks nothing of them any more. */
static void resume_all(struct pw_collector *collector)
{
    struct pw_connection *connection;
    pthread_mutex_lock(&collector->lock);
    while ((connection = pw_checker_take_back_locked(collector)))
        MHD_resume_connection(connection->mhd);
    unpark_some_locked(collector, false, INT64_MAX);
    pthread_mutex_unlock(&collector->lock);
}

void pw_server_stop(struct pw_collector *collector)
{
    struct pw_server *server = &collector->server;
    if (server->threaded) {
        pthread_mutex_lock(&collector->lock);
        server->stopping = true;
        pthread_mutex_unlock(&collector->lock);
        pw_server_wake(collector);
        pthread_join(server->thread, NULL);
        server->threaded = false;
    }
    pw_checker_stop(collector); /* whose thread may have a request */
    if (server->daemon) {
        resume_all(collector);
        MHD_stop_daemon(server->daemon);
        server->daemon = NULL;
    }
    for (unsigned media = 0; media < PW_MEDIA_COUNT; media++) {
        if (server->accepted[media])
            MHD_destroy_response(server->accepted[media]);
        server->accepted[media] = NULL;
    }
    pw_transcoder_free(server->transcoder);
    server->transcoder = NULL;
    pw_fd_done(&server->listen_fd);
    pw_fd_done(&server->epoll_fd);
}
