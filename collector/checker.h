/*
 * The thread that checks large bodies, so that others' replies do not wait for it: 64 MiB take the
 * check tens of milliseconds, and seconds if they were made to be slow.
 *
 * A connection is suspended while its request is here. From pw_checker_put_locked() until it comes
 * back from pw_checker_take_back_locked() or pw_checker_withdraw_locked(), its request belongs to
 * this module: nobody else may use or free it. One body at a time, first come first served.
 *
 * Threads: the server's, but for pw_checker_start() and pw_checker_stop().
 */
#ifndef PW_COLLECTOR_CHECKER_H
#define PW_COLLECTOR_CHECKER_H

#include <pthread.h>
#include <stdbool.h>
#include "collector/connection.h"
#include "core/err.h"

struct pw_transcoder;

struct pw_checker {
    pthread_t thread;
    bool threaded; /* the thread was started */
    bool stopping;
    pthread_cond_t work;
    struct pw_connection_list waiting, done;
    struct pw_transcoder *transcoder; /* the checker's thread's */
};

int pw_checker_start(struct pw_collector *collector, struct pw_err *err);
/* Ends the thread, after the body that it is at. What waits can then be taken back unchecked. Once
 * the server's thread has ended; also after a failed or no start. */
void pw_checker_stop(struct pw_collector *collector);

/* The server's thread is woken when the request of that connection has been checked. */
void pw_checker_put_locked(struct pw_collector *collector, struct pw_connection *connection);
/* The next connection whose request has been checked; NULL if there is none. */
struct pw_connection *pw_checker_take_back_locked(struct pw_collector *collector);
/* Gives back a request that is still waiting, unchecked. False if it is not: then it comes back by
 * itself. */
bool pw_checker_withdraw_locked(struct pw_collector *collector, struct pw_connection *connection);

#endif
