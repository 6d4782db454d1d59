#include "collector/checker.h"

#include <sys/resource.h>
#include <unistd.h>
#include "collector/collector_impl.h"
#include "collector/request.h"
#include "collector/transcode.h"

static void *checker_main(void *argument)
{
    struct pw_collector *collector = argument;
    struct pw_checker *checker = &collector->checker;
    setpriority(PRIO_PROCESS, (id_t)gettid(), PW_COLLECTOR_NICE); /* on Linux: of this thread */
    pthread_mutex_lock(&collector->lock);
    while (!checker->stopping) {
        struct pw_connection *connection = TAILQ_FIRST(&checker->waiting);
        if (!connection) {
            pthread_cond_wait(&checker->work, &collector->lock);
            continue;
        }
        TAILQ_REMOVE(&checker->waiting, connection, check_link);
        connection->check = PW_CHECK_GOING;
        pthread_mutex_unlock(&collector->lock);
        pw_request_check(connection->request, checker->transcoder);
        pthread_mutex_lock(&collector->lock);
        connection->check = PW_CHECK_DONE;
        TAILQ_INSERT_TAIL(&checker->done, connection, check_link);
        pw_server_wake(collector);
    }
    pthread_mutex_unlock(&collector->lock);
    return NULL;
}

int pw_checker_start(struct pw_collector *collector, struct pw_err *err)
{
    struct pw_checker *checker = &collector->checker;
    if (pw_transcoder_new(&checker->transcoder, err))
        return -1;
    int sys = pthread_create(&checker->thread, NULL, checker_main, collector);
    if (sys) {
        pw_err_system(err, sys, "start the collector's checking thread");
        return pw_err_remedy(err, "raise the limit on processes (ulimit -u, pids.max)");
    }
    checker->threaded = true;
    pthread_setname_np(checker->thread, "otlp-checker");
    return 0;
}

void pw_checker_stop(struct pw_collector *collector)
{
    struct pw_checker *checker = &collector->checker;
    if (checker->threaded) {
        pthread_mutex_lock(&collector->lock);
        checker->stopping = true;
        pthread_cond_signal(&checker->work);
        pthread_mutex_unlock(&collector->lock);
        pthread_join(checker->thread, NULL);
        checker->threaded = false;
    }
    TAILQ_CONCAT(&checker->done, &checker->waiting, check_link);
    pw_transcoder_free(checker->transcoder);
    checker->transcoder = NULL;
}

void pw_checker_put_locked(struct pw_collector *collector, struct pw_connection *connection)
{
    struct pw_checker *checker = &collector->checker;
    connection->check = PW_CHECK_WAITING;
    TAILQ_INSERT_TAIL(&checker->waiting, connection, check_link);
    pthread_cond_signal(&checker->work);
}

struct pw_connection *pw_checker_take_back_locked(struct pw_collector *collector)
{
    struct pw_checker *checker = &collector->checker;
    struct pw_connection *connection = TAILQ_FIRST(&checker->done);
    if (!connection)
        return NULL;
    TAILQ_REMOVE(&checker->done, connection, check_link);
    connection->check = PW_CHECK_NONE;
    return connection;
}

bool pw_checker_withdraw_locked(struct pw_collector *collector, struct pw_connection *connection)
{
    if (connection->check != PW_CHECK_WAITING)
        return false;
    TAILQ_REMOVE(&collector->checker.waiting, connection, check_link);
    connection->check = PW_CHECK_NONE;
    return true;
}
