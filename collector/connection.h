/*
 * The open connections of the collector: whose they are, what they are doing, and since when.
 *
 * Written by the server's thread only, under the collector's lock; read by a flush. The server's
 * thread may read without the lock. Others write, under the lock: `counted` and `cut` (a flush, and
 * the checker's thread for the request that it has), `check` (the checker's thread).
 */
#ifndef PW_COLLECTOR_CONNECTION_H
#define PW_COLLECTOR_CONNECTION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct MHD_Connection;
struct pw_collector;
struct pw_endpoint;
struct pw_request;

enum pw_connection_state {
    PW_CONNECTION_FRESH, /* nothing is known of it: no request line has been read */
    PW_CONNECTION_BUSY,  /* in a request: from its line until its reply is sent */
    PW_CONNECTION_IDLE,  /* between requests */
    PW_CONNECTION_ENDED, /* shut down by us; libmicrohttpd will notice */
};

/* In any but the first it is suspended, and its request is the checker's (checker.h). */
enum pw_check_state { PW_CHECK_NONE, PW_CHECK_WAITING, PW_CHECK_GOING, PW_CHECK_DONE };

struct pw_connection {
    struct MHD_Connection *mhd; /* the server's thread's */
    int fd;                     /* the server's thread's, which alone may shut it down */
    struct pw_request *request; /* the server's thread's; NULL: none, or its head is incomplete */
    unsigned nudges;            /* of libmicrohttpd, since the sender has gone */
    bool leaving;               /* the sender has gone, or will send no more */
    bool parked;                /* suspended until there is room */
    bool counted;               /* its request is: as taken, late or lost */
    bool cut;                   /* its request is counted as cut off: nothing of it may be taken */
    enum pw_check_state check;
    enum pw_connection_state state;
    int64_t since_ns;                       /* in this state, or in a request: its time counts */
    size_t recent_bytes;                    /* of a body, since then; the server's thread's */
    _Atomic int64_t last_bytes_ns;          /* of its request's body; any thread */
    int64_t busy_until_ns;                  /* while parked: no longer than that */
    struct pw_endpoint *endpoint;           /* of its last request; NULL: unknown or nobody's */
    TAILQ_ENTRY(pw_connection) link;        /* in the list of its state */
    TAILQ_ENTRY(pw_connection) parked_link; /* in the list of those that are parked */
    TAILQ_ENTRY(pw_connection) leaving_link;
    TAILQ_ENTRY(pw_connection) check_link; /* in one of the checker's lists */
};
TAILQ_HEAD(pw_connection_list, pw_connection);

struct pw_connections {
    /* Each ordered by since_ns: new ones and those in a request, idle ones, ended ones. */
    struct pw_connection_list timed, idle, ended;
    struct pw_connection_list parked, leaving;
    unsigned count, ended_count, fresh_count, unowned_count;
};

void pw_connections_init(struct pw_connections *table);
/* NULL when out of memory. */
struct pw_connection *pw_connection_open_locked(struct pw_collector *collector, int fd,
                                                int64_t now_ns);
void pw_connection_close_locked(struct pw_collector *collector, struct pw_connection *connection);
/* Into another state, or once more into its own: its time counts from now. One that has ended stays
 * so. */
void pw_connection_move_locked(struct pw_collector *collector, struct pw_connection *connection,
                               enum pw_connection_state state, int64_t now_ns);
void pw_connection_give_locked(struct pw_collector *collector, struct pw_connection *connection,
                               struct pw_endpoint *endpoint);
/* Whether bytes, or the end, have come that libmicrohttpd has not read. Any thread: a descriptor is
 * closed only after its connection is. */
bool pw_connection_has_input_locked(const struct pw_connection *connection);
/* Which connection to close when there is one too many: of those without a request, the oldest of
 * whoever has most. NULL if all are busy. */
struct pw_connection *pw_connections_victim_locked(const struct pw_connections *table);
/* When the next connection is to be ended for its time; INT64_MAX if none. */
int64_t pw_connections_deadline_locked(const struct pw_collector *collector);

#endif
