#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include "sla/index_impl.h"

enum { THREADS_MAX = 64 };

size_t pw_index_thread_count(void)
{
    cpu_set_t allowed;
    /* A machine with more CPUs than fit the set has enough of them. */
    size_t cpus = sched_getaffinity(0, sizeof allowed, &allowed) == 0 ? (size_t)CPU_COUNT(&allowed)
                                                                      : (size_t)THREADS_MAX;
    return cpus < THREADS_MAX ? cpus : THREADS_MAX;
}

struct job {
    size_t count;
    int (*work)(size_t i, void *context, struct pw_err *err);
    void *context;
    atomic_size_t next;
    atomic_bool failed;
};

struct worker {
    struct job *job;
    pthread_t thread;
    bool started;
    struct pw_err err;
};

static void *run(void *argument)
{
    struct worker *self = argument;
    struct job *job = self->job;
    while (!atomic_load(&job->failed)) {
        size_t i = atomic_fetch_add(&job->next, 1);
        if (i >= job->count) {
            break;
        }
        if (job->work(i, job->context, &self->err) != 0) {
            atomic_store(&job->failed, true);
        }
    }
    return NULL;
}

int pw_index_each(size_t count, int (*work)(size_t i, void *context, struct pw_err *err),
                  void *context, struct pw_err *err)
{
    struct worker workers[THREADS_MAX] = {0};
    struct job job = {.count = count, .work = work, .context = context};
    size_t threads = pw_index_thread_count();
    threads = threads < count ? threads : count;
    for (size_t i = 0; i < THREADS_MAX; i++) {
        workers[i].job = &job;
    }
    for (size_t i = 1; i < threads; i++) {
        /* Without it the others have more to do. */
        workers[i].started = pthread_create(&workers[i].thread, NULL, run, &workers[i]) == 0;
    }
    run(&workers[0]);
    for (size_t i = 1; i < threads; i++) {
        if (workers[i].started) {
            pthread_join(workers[i].thread, NULL);
        }
    }
    for (size_t i = 0; i < threads; i++) {
        if (pw_err_is_set(&workers[i].err)) {
            if (err) {
                *err = workers[i].err;
            }
            return -1;
        }
    }
    return 0;
}
