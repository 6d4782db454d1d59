/* All runs: one thread finds files, the others read them, and it helps when it has found all. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "core/clock.h"
#include "sla/index_impl.h"
#include "sla/inputs.h"

enum {
    THREADS_MAX = 64,
    RUNS_AT_A_TIME = 16,  /* that a thread takes */
    RUNS_PER_THREAD = 64, /* fewer are not worth another thread */
    /* A file may change again within one tick of its time stamp, unseen. Two seconds are enough on
     * every file system, also on FAT. */
    RACY_NS = 2000000000,
};

/* ---------------------------------------------------------------- the list of runs */

struct pw_index_run *pw_index_runs_at(const struct pw_index_runs *runs, size_t i)
{
    return &runs->blocks[i / PW_INDEX_BLOCK][i % PW_INDEX_BLOCK];
}

/* What changes while it is read has another time stamp then than noted here. */
static void note_file(struct pw_index_run *run, const struct stat *info)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t settled_ns = now.tv_sec * PW_NS_PER_SEC + now.tv_nsec - (int64_t)RACY_NS;
    run->regular = S_ISREG(info->st_mode);
    pw_index_identify(info, &run->identity);
    run->cacheable = run->regular && run->identity.mtime_ns <= settled_ns;
}

int pw_index_runs_add(struct pw_index_runs *runs, const char *path, const struct stat *info,
                      struct pw_err *err)
{
    size_t block = runs->count / PW_INDEX_BLOCK;
    if (block == PW_INDEX_BLOCKS) {
        return pw_err_set(err, PW_ERR_INPUT, "more than %d summaries", PW_LIMIT_INPUT_FILES);
    }
    if (!runs->blocks[block]) {
        runs->blocks[block] = calloc(PW_INDEX_BLOCK, sizeof(struct pw_index_run));
        if (!runs->blocks[block]) {
            return pw_err_memory(err);
        }
    }
    struct pw_index_run *run = pw_index_runs_at(runs, runs->count);
    run->path = strdup(path);
    if (!run->path) {
        return pw_err_memory(err);
    }
    run->order = runs->count++;
    note_file(run, info);
    return 0;
}

void pw_index_runs_done(struct pw_index_runs *runs)
{
    for (size_t i = 0; i < runs->count; i++) {
        struct pw_index_run *run = pw_index_runs_at(runs, i);
        free(run->path);
        free(run->reason);
        free(run->block);
    }
    for (size_t i = 0; i < PW_INDEX_BLOCKS; i++) {
        free(runs->blocks[i]);
    }
    *runs = (struct pw_index_runs){0};
}

/* ---------------------------------------------------------------- reading one */

static int skip(struct pw_index_run *run, const struct pw_err *why, struct pw_err *err)
{
    run->state = PW_INDEX_SKIPPED;
    run->reason = strdup(why->message);
    return run->reason ? 0 : pw_err_memory(err);
}

static int load_run(struct pw_index_reader *reader, struct pw_index_cache *cache,
                    struct pw_index_run *run, struct pw_err *err)
{
    struct pw_err why;
    why.cls = PW_ERR_NONE; /* all of it is large, and this is done for each file */
    if (cache && pw_index_cache_take(cache, run)) {
        run->state = PW_INDEX_FROM_CACHE;
    } else if (pw_index_reader_read(reader, run, &why) == 0) {
        run->state = PW_INDEX_READ;
    } else if (why.cls != PW_ERR_INPUT) {
        *err = why;
        return -1;
    } else {
        return skip(run, &why, err);
    }
    const char *time = run->texts[PW_INDEX_GENERATED_AT];
    run->has_time = time && pw_index_parse_time(time, &run->time_sec, &run->time_nsec);
    return 0;
}

/* ---------------------------------------------------------------- the queue */

struct thread {
    struct queue *queue;
    pthread_t id;
    struct pw_err err;
};

/* Runs that were found wait here for a reader. */
struct queue {
    struct pw_index_runs *runs; /* its count: under the lock */
    struct pw_index_cache *cache;
    const struct pw_index_options *options;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t next, done;   /* taken by readers; read. Under the lock */
    bool closed, failed; /* under the lock */
    size_t thread_count; /* from here on: the finding thread's own */
    size_t thread_most;
    struct thread threads[THREADS_MAX];
};

/* Waits for runs and takes some; 0: there will be no more. */
static size_t take(struct queue *queue, size_t finished, struct pw_index_run *ret_taken[],
                   size_t *ret_done)
{
    pthread_mutex_lock(&queue->lock);
    queue->done += finished;
    while (!queue->closed && !queue->failed && queue->runs->count - queue->next < RUNS_AT_A_TIME) {
        pthread_cond_wait(&queue->changed, &queue->lock);
    }
    size_t left = queue->failed ? 0 : queue->runs->count - queue->next;
    size_t count = left < RUNS_AT_A_TIME ? left : RUNS_AT_A_TIME;
    for (size_t i = 0; i < count; i++) {
        ret_taken[i] = pw_index_runs_at(queue->runs, queue->next + i);
    }
    queue->next += count;
    *ret_done = queue->done;
    pthread_mutex_unlock(&queue->lock);
    return count;
}

static void end(struct queue *queue, bool failed)
{
    pthread_mutex_lock(&queue->lock);
    queue->closed = true;
    queue->failed = queue->failed || failed;
    pthread_cond_broadcast(&queue->changed);
    pthread_mutex_unlock(&queue->lock);
}

/* `progress` may be NULL. */
static int read_all(struct queue *queue, const struct pw_index_options *progress,
                    struct pw_err *err)
{
    struct pw_index_run *taken[RUNS_AT_A_TIME];
    struct pw_index_reader *reader = NULL;
    size_t count = 0, done = 0;
    int failed = pw_index_reader_new(&reader, err);
    while (!failed && (count = take(queue, count, taken, &done)) > 0) {
        if (progress && progress->progress) {
            progress->progress(done, queue->runs->count, progress->context);
        }
        for (size_t i = 0; i < count && !failed; i++) {
            failed = load_run(reader, queue->cache, taken[i], err);
        }
    }
    pw_index_reader_free(reader);
    return failed;
}

static void *run_thread(void *argument)
{
    struct thread *self = argument;
    if (read_all(self->queue, NULL, &self->err) != 0) {
        end(self->queue, true);
    }
    return NULL;
}

/* ---------------------------------------------------------------- finding */

/* Another reader, if there is enough to do. Without it the others have more of it. */
static void add_thread(struct queue *queue, size_t found)
{
    if (queue->thread_count + 1 < queue->thread_most &&
        found >= (queue->thread_count + 1) * RUNS_PER_THREAD) {
        struct thread *thread = &queue->threads[queue->thread_count];
        thread->queue = queue;
        if (pthread_create(&thread->id, NULL, run_thread, thread) == 0) {
            queue->thread_count++;
        } else {
            queue->thread_most = 0;
        }
    }
}

static int found(const char *path, const struct stat *info, void *context, struct pw_err *err)
{
    struct queue *queue = context;
    pthread_mutex_lock(&queue->lock);
    int failed = pw_index_runs_add(queue->runs, path, info, err);
    size_t count = queue->runs->count;
    if (count - queue->next >= RUNS_AT_A_TIME) {
        pthread_cond_signal(&queue->changed);
    }
    pthread_mutex_unlock(&queue->lock);
    add_thread(queue, count);
    return failed;
}

static int join(struct queue *queue, int failed, struct pw_err *err)
{
    for (size_t i = 0; i < queue->thread_count; i++) {
        struct thread *thread = &queue->threads[i];
        pthread_join(thread->id, NULL);
        if (!failed && pw_err_is_set(&thread->err)) {
            failed = -1;
            *err = thread->err;
        }
    }
    return failed;
}

int pw_index_load_runs(const char *const *words, size_t count, struct pw_index_cache *cache,
                       const struct pw_index_options *options, struct pw_index_runs *ret_runs,
                       struct pw_err *err)
{
    struct pw_inputs inputs = {0};
    struct pw_err own = PW_ERR_INIT;
    struct queue *queue = calloc(1, sizeof(*queue));
    *ret_runs = (struct pw_index_runs){0};
    if (!queue) {
        return pw_err_memory(err);
    }
    queue->runs = ret_runs;
    queue->cache = cache;
    queue->options = options;
    queue->thread_most = pw_index_thread_count();
    pthread_mutex_init(&queue->lock, NULL);
    pthread_cond_init(&queue->changed, NULL);
    int failed = pw_inputs_expand_each(words, count, found, queue, &inputs, &own);
    end(queue, failed);
    if (!failed) {
        failed = read_all(queue, options, &own);
        end(queue, failed);
    }
    failed = join(queue, failed, &own);
    pw_inputs_done(&inputs);
    pthread_cond_destroy(&queue->changed);
    pthread_mutex_destroy(&queue->lock);
    free(queue);
    if (failed && err) {
        *err = own;
    }
    return failed;
}
