/*
 * The HTTP server: listening socket, libmicrohttpd, and the thread that runs both.
 *
 * libmicrohttpd's own thread is not used, because it accepts connections on its own: here accepting
 * one and writing it down are one step under the lock, so that a flush never overlooks a connection
 * between the two. Timers are the thread's too: of requests, of idle connections, of those that
 * wait for room. Others make the thread do what only it may, by pw_server_wake().
 */
#ifndef PW_COLLECTOR_SERVER_H
#define PW_COLLECTOR_SERVER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include "collector/reply.h"
#include "core/err.h"

struct MHD_Daemon;
struct MHD_Response;
struct pw_collector;
struct pw_connection;
struct pw_transcoder;

struct pw_server {
    int listen_fd, wake_fd; /* constant while the thread runs */
    int epoll_fd;           /* the thread's: these two, libmicrohttpd, and senders that go */
    bool stopping;          /* the thread should end */
    bool room_made;         /* parked connections may try again */
    bool cutting;           /* some connection is marked to be cut off */
    /* Of the server's thread: */
    pthread_t thread;
    bool threaded;
    struct MHD_Daemon *daemon;
    struct pw_connection *adding; /* the one that libmicrohttpd is being given */
    int64_t accept_after_ns;      /* not before: there were no descriptors left */
    bool pausing;                 /* because of that */
    struct pw_transcoder *transcoder;
    struct MHD_Response *accepted[PW_MEDIA_COUNT]; /* replies to a payload that was taken */
};

/* Takes over `listen_fd`, also on failure. */
int pw_server_start(struct pw_collector *collector, int listen_fd, struct pw_err *err);
/* Ends the thread and all connections. Also after a failed or no start. */
void pw_server_stop(struct pw_collector *collector);
/* The thread looks at its orders: `stopping`, `room_made`, `cutting`, what has been checked. */
void pw_server_wake(struct pw_collector *collector);
/* Suspends a connection until there is room, or the time is over. Server's thread. */
void pw_server_park(struct pw_collector *collector, struct pw_connection *connection,
                    int64_t busy_until_ns);
/* Suspends a connection until the checker's thread has checked its request. Server's thread. */
void pw_server_have_checked(struct pw_collector *collector, struct pw_connection *connection);
/* Whether connections wait to be accepted. */
bool pw_server_is_asked(const struct pw_collector *collector);

#endif
