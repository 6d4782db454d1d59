#include "wrapper/run/ask.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include "core/clock.h"
#include "core/file.h"
#include "wrapper/run/ask_impl.h"

/* The asker's thread lets us in between two asks. */
static void lock_from_outside(struct pw_ask *ask)
{
    atomic_fetch_add(&ask->wanting, 1);
    pthread_mutex_lock(&ask->lock);
    atomic_fetch_sub(&ask->wanting, 1);
}

static void wake(const struct pw_ask *ask)
{
    const uint64_t one = 1;
    while (write(ask->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

/* Life */

static bool wants_source(enum pw_mark_source source)
{
    return source == PW_MARK_FILE || source == PW_MARK_TCP || source == PW_MARK_UNIX ||
           source == PW_MARK_HTTP;
}

static int watch_fd(const struct pw_ask *ask, int fd, uint64_t key)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = key};
    return fd < 0 ? -1 : epoll_ctl(ask->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

static int open_fds(struct pw_ask *ask, struct pw_err *err)
{
    ask->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    ask->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    ask->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (ask->epoll_fd < 0 || watch_fd(ask, ask->wake_fd, PW_ASK_KEY_WAKE) ||
        watch_fd(ask, ask->timer_fd, PW_ASK_KEY_TIMER)) {
        pw_err_system(err, errno, "open descriptors to ask for marks with");
        return pw_err_remedy(err, "raise the limit on open files (ulimit -n)");
    }
    if (pw_marks_has(ask->marks, PW_MARK_FILE))
        ask->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (ask->inotify_fd >= 0 && watch_fd(ask, ask->inotify_fd, PW_ASK_KEY_INOTIFY))
        pw_fd_done(&ask->inotify_fd);
    return 0;
}

/* The thread shall not take the program's signals. */
static int start_thread(struct pw_ask *ask, struct pw_err *err)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int sys = pthread_create(&ask->thread, NULL, pw_ask_main, ask);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (sys) {
        pw_err_system(err, sys, "start the thread that asks for marks");
        return pw_err_remedy(err, "raise the limit on processes (ulimit -u, pids.max)");
    }
    ask->threaded = true;
    pthread_setname_np(ask->thread, "asker");
    return 0;
}

int pw_ask_new(const struct pw_marks *marks, size_t slots,
               void (*seen)(void *context, size_t slot, size_t mark, int64_t at_ns), void *context,
               struct pw_ask **ret_ask, struct pw_err *err)
{
    struct pw_ask *ask = calloc(1, sizeof *ask);
    if (!ask)
        return pw_err_memory(err);
    *ask = (struct pw_ask){.marks = marks,
                           .seen = seen,
                           .context = context,
                           .slot_count = slots,
                           .telling = slots,
                           .epoll_fd = -1,
                           .wake_fd = -1,
                           .timer_fd = -1,
                           .inotify_fd = -1};
    pthread_mutex_init(&ask->lock, NULL);
    pthread_cond_init(&ask->told, NULL);
    ask->slots = calloc(slots, sizeof *ask->slots);
    int failed = ask->slots ? 0 : pw_err_memory(err);
    if (failed || open_fds(ask, err) || start_thread(ask, err)) {
        pw_ask_free(ask);
        return -1;
    }
    *ret_ask = ask;
    return 0;
}

void pw_ask_free(struct pw_ask *ask)
{
    if (!ask)
        return;
    if (ask->threaded) {
        for (size_t i = 0; i < ask->slot_count; i++)
            pw_ask_take(ask, i);
        lock_from_outside(ask);
        ask->ending = true;
        pthread_mutex_unlock(&ask->lock);
        wake(ask);
        pthread_join(ask->thread, NULL);
    }
    pw_fd_done(&ask->inotify_fd);
    pw_fd_done(&ask->timer_fd);
    pw_fd_done(&ask->wake_fd);
    pw_fd_done(&ask->epoll_fd);
    pthread_cond_destroy(&ask->told);
    pthread_mutex_destroy(&ask->lock);
    free(ask->slots);
    free(ask);
}

/* Workers */

static void free_spots_locked(const struct pw_ask *ask, struct pw_ask_slot *slot)
{
    struct pw_ask_slot old = *slot;
    *slot = (struct pw_ask_slot){0};
    for (size_t i = 0; i < old.count; i++)
        pw_ask_close_spot_locked(ask, &old.spots[i]);
    free(old.spots);
}

/* Whether it answers before any worker can have started it. -1: it could not be asked. */
static int answers_already(struct pw_dial *dial)
{
    int64_t now = pw_clock_now_ns();
    enum pw_dial_result result = pw_dial_start(dial, now);
    while (result == PW_DIAL_WAIT) {
        struct pollfd ready = {.fd = dial->fd,
                               .events = pw_dial_wants(dial) == EPOLLIN ? POLLIN : POLLOUT};
        int64_t left_ns = dial->give_up_at_ns - now;
        poll(&ready, 1, left_ns > 0 ? (int)(left_ns / PW_NS_PER_MS) + 1 : 0);
        now = pw_clock_now_ns();
        result = pw_dial_go_on(dial, now);
    }
    if (result == PW_DIAL_MISSED)
        return -1;
    return result == PW_DIAL_YES;
}

static int check_place(struct pw_place *place, const char *text, struct pw_err *err)
{
    for (size_t i = 0; i < place->dial_count; i++) {
        int answers = answers_already(&place->dials[i]);
        if (answers < 0) {
            pw_err_system(err, errno, "ask at `%s`", text);
            return pw_err_remedy(err, "raise the limit on open files (ulimit -n)");
        }
        if (answers > 0) {
            pw_err_set(err, PW_ERR_SYSTEM, "`%s` answers before the worker is started", text);
            return pw_err_remedy(err, "stop what answers there, or give each worker a place of "
                                      "its own (placeholders such as {worker_dir}, {worker_id})");
        }
    }
    return 0;
}

static int fill_spot(const struct pw_ask *ask, struct pw_ask_spot *spot, const char *text,
                     struct pw_err *err)
{
    enum pw_mark_source source = ask->marks->items[spot->mark].source;
    spot->is_file = source == PW_MARK_FILE;
    if (spot->is_file)
        return pw_file_watch_init(&spot->watch, text, err);
    if (pw_place_parse(source, text, &spot->place, err))
        return -1;
    return check_place(&spot->place, text, err);
}

static int watch_files_locked(const struct pw_ask *ask, const struct pw_ask_slot *slot,
                              struct pw_err *err)
{
    for (size_t i = 0; i < slot->count; i++) {
        struct pw_ask_spot *spot = &slot->spots[i];
        if (!spot->is_file || !pw_ask_look_for_file_locked(ask, spot))
            continue;
        pw_err_set(err, PW_ERR_SYSTEM, "mark `%s`: `%s` exists before the worker is started",
                   ask->marks->names.names[spot->mark], spot->watch.path);
        return pw_err_remedy(err, "remove it (--prepare can do so each time), or name a file in "
                                  "the worker's own folder: file:{worker_dir}/NAME");
    }
    return 0;
}

int pw_ask_add(struct pw_ask *ask, size_t index, const char *const texts[PW_LIMIT_MOMENTS],
               struct pw_err *err)
{
    struct pw_ask_slot fresh = {.spots = calloc(PW_LIMIT_MOMENTS, sizeof *fresh.spots)};
    int failed = 0;
    if (!fresh.spots)
        return pw_err_memory(err);
    /* Without the lock: an answer may take its time. */
    for (size_t i = 0; i < ask->marks->names.count && !failed; i++) {
        if (!texts[i] || !wants_source(ask->marks->items[i].source))
            continue;
        struct pw_ask_spot *spot = &fresh.spots[fresh.count++];
        *spot = (struct pw_ask_spot){.mark = i, .watch.wd = -1};
        failed = fill_spot(ask, spot, texts[i], err);
        if (failed)
            pw_err_prefix(err, "mark `%s`", ask->marks->names.names[i]);
    }
    lock_from_outside(ask);
    ask->slots[index] = fresh;
    if (!failed)
        failed = watch_files_locked(ask, &fresh, err);
    if (failed)
        free_spots_locked(ask, &ask->slots[index]);
    pthread_mutex_unlock(&ask->lock);
    return failed;
}

void pw_ask_begin(struct pw_ask *ask, size_t index, int64_t spawned_at_ns)
{
    lock_from_outside(ask);
    struct pw_ask_slot *slot = &ask->slots[index];
    slot->begun = true;
    slot->spawned_at_ns = spawned_at_ns;
    for (size_t i = 0; i < slot->count; i++) {
        slot->spots[i].due_ns = 0;
        ask->asked += !slot->spots[i].came_at_ns;
    }
    pthread_mutex_unlock(&ask->lock);
    wake(ask);
}

void pw_ask_take(struct pw_ask *ask, size_t index)
{
    lock_from_outside(ask);
    struct pw_ask_slot *slot = &ask->slots[index];
    for (size_t i = 0; i < slot->count; i++) {
        const struct pw_ask_spot *spot = &slot->spots[i];
        ask->asked -= slot->begun && !spot->came_at_ns;
        ask->untold -= spot->came_at_ns && !spot->told;
    }
    free_spots_locked(ask, slot);
    while (ask->telling == index)
        pthread_cond_wait(&ask->told, &ask->lock);
    pthread_mutex_unlock(&ask->lock);
}

uint64_t pw_ask_missed(struct pw_ask *ask)
{
    lock_from_outside(ask);
    uint64_t missed = ask->missed;
    pthread_mutex_unlock(&ask->lock);
    return missed;
}
