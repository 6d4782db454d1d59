#include "wrapper/run/held.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include "core/file.h"

enum {
    SIGNALS_MS = 100,          /* how often it is looked for a signal while a worker is ended */
    RELEASE_TIMEOUT_MS = 10000 /* a warden answers in some microseconds */
};

struct held_worker {
    struct pw_worker worker;
    struct pw_worker_record record; /* its strings are NULL */
    char *dir;
};

struct pw_held {
    struct held_worker *items; /* oldest first */
    size_t count, capacity;
    unsigned last_number;
};

int pw_held_new(unsigned most, struct pw_held **ret_held, struct pw_err *err)
{
    struct pw_held *held = calloc(1, sizeof *held);
    if (held)
        held->items = calloc(most, sizeof *held->items);
    if (!held || !held->items) {
        free(held);
        return pw_err_memory(err);
    }
    held->capacity = most;
    *ret_held = held;
    return 0;
}

void pw_held_free(struct pw_held *held)
{
    if (!held)
        return;
    free(held->items);
    free(held);
}

unsigned pw_held_number(struct pw_held *held)
{
    return ++held->last_number;
}

static int make_room(struct pw_held *held, struct pw_err *err)
{
    if (held->count < held->capacity)
        return 0;
    size_t capacity = held->capacity * 2 + 1;
    struct held_worker *larger = reallocarray(held->items, capacity, sizeof *larger);
    if (!larger)
        return pw_err_memory(err);
    held->items = larger;
    held->capacity = capacity;
    return 0;
}

int pw_held_take(struct pw_held *held, struct pw_worker *worker,
                 const struct pw_worker_record *record, char **dir, struct pw_err *err)
{
    if (make_room(held, err))
        return -1;
    struct held_worker *item = &held->items[held->count++];
    *item = (struct held_worker){.worker = *worker, .record = *record, .dir = *dir};
    /* The watch is the next iteration's, and what the record owns stays with the iteration. */
    item->worker.watch = item->worker.out.watch = item->worker.err.watch = item->worker.told.watch =
        NULL;
    item->record.stderr_tail = item->record.verdict_detail = NULL;
    item->record.telemetry = (struct pw_telemetry){0};
    *dir = NULL;
    *worker = (struct pw_worker){.id = worker->id,
                                 .control_fd = -1,
                                 .out = PW_TAIL_INIT,
                                 .err = PW_TAIL_INIT,
                                 .told = PW_TAIL_INIT};
    return 0;
}

/* It was told to end. */
static void await_end(struct pw_worker *worker, struct pw_supervisor *supervisor)
{
    bool is_forced = false;
    while (worker->state != PW_WORKER_ENDED) {
        struct pollfd event = {.fd = worker->control_fd, .events = POLLIN};
        poll(&event, 1, SIGNALS_MS);
        while (pw_worker_read(worker))
            ;
        pw_supervisor_poll(supervisor);
        if (pw_supervisor_is_forced(supervisor) && !is_forced)
            pw_worker_order(worker, PW_ORDER_KILL);
        is_forced = pw_supervisor_is_forced(supervisor);
    }
}

void pw_held_end_workers(struct pw_worker *workers, size_t count, struct pw_supervisor *supervisor)
{
    for (size_t i = 0; i < count; i++)
        if (workers[i].state == PW_WORKER_HELD)
            pw_worker_order(&workers[i], PW_ORDER_END);
    for (size_t i = 0; i < count; i++)
        if (workers[i].state == PW_WORKER_HELD)
            await_end(&workers[i], supervisor);
}

static void held_worker_done(struct held_worker *item)
{
    pw_worker_done(&item->worker);
    pw_dir_remove_tree(item->dir, NULL);
    free(item->dir);
}

void pw_held_end(struct pw_held *held, size_t left, struct pw_supervisor *supervisor)
{
    if (held->count <= left)
        return;
    size_t ending = held->count - left;
    for (size_t i = 0; i < ending; i++)
        pw_worker_order(&held->items[i].worker, PW_ORDER_END);
    for (size_t i = 0; i < ending; i++) {
        await_end(&held->items[i].worker, supervisor);
        held_worker_done(&held->items[i]);
    }
    memmove(held->items, held->items + ending, left * sizeof *held->items);
    held->count = left;
}

/* True if the warden has taken the order: it closes its end, and lives. */
static bool release(struct pw_worker *worker)
{
    pw_worker_order(worker, PW_ORDER_RELEASE);
    while (worker->state == PW_WORKER_HELD) {
        struct pollfd event = {.fd = worker->control_fd, .events = POLLIN};
        if (poll(&event, 1, RELEASE_TIMEOUT_MS) == 0)
            return false;
        pw_worker_read(worker);
    }
    return worker->state == PW_WORKER_ENDED && worker->exited.kind != PW_REPORT_EXITED &&
           waitpid(worker->warden_pid, NULL, WNOHANG) == 0;
}

void pw_held_release(struct pw_held *held, const struct pw_session_events *events)
{
    for (size_t i = 0; i < held->count; i++) {
        struct held_worker *item = &held->items[i];
        if (release(&item->worker)) {
            if (events && events->kept)
                events->kept(events->context, &item->record, item->worker.warden_pid);
            item->worker.warden_pid = 0; /* it is not waited for */
        }
        held_worker_done(item);
    }
    held->count = 0;
}
