#include "wrapper/run/ask_impl.h"

#include <errno.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include "core/clock.h"

/* 0.5 % of the time since the spawn. */
enum { GAP_DIVISOR = 200, EVENTS = 32 };

/* Who is due so soon is asked along with the others: one wake-up for all. */
#define AHEAD_NS (PW_ASK_FIRST_NS / 4)

/* What takes longer was not asking but waiting for a CPU. */
#define MOST_COST_NS INT64_C(100000)

/* The lock is held whenever the thread does not wait; callers shall not wait for a whole round. */
static void let_others_in_locked(struct pw_ask *ask)
{
    if (!atomic_load(&ask->wanting))
        return;
    pthread_mutex_unlock(&ask->lock);
    while (atomic_load(&ask->wanting))
        sched_yield();
    pthread_mutex_lock(&ask->lock);
}

/* Spots */

static bool is_watched_locked(const struct pw_ask *ask, int wd)
{
    for (size_t i = 0; i < ask->slot_count; i++)
        for (size_t j = 0; j < ask->slots[i].count; j++)
            if (ask->slots[i].spots[j].is_file && ask->slots[i].spots[j].watch.wd == wd)
                return true;
    return false;
}

static void drop_watch_locked(const struct pw_ask *ask, int wd)
{
    if (wd >= 0 && !is_watched_locked(ask, wd))
        inotify_rm_watch(ask->inotify_fd, wd);
}

void pw_ask_close_spot_locked(const struct pw_ask *ask, struct pw_ask_spot *spot)
{
    if (spot->is_file) {
        int wd = spot->watch.wd;
        pw_file_watch_done(&spot->watch);
        drop_watch_locked(ask, wd);
    } else {
        pw_place_done(&spot->place);
    }
}

/* The clock is read here, after the answer: a reading from before could be earlier than what it
 * tells of, by as long as this thread had to wait for a CPU in between. */
static void came_locked(struct pw_ask *ask, const struct pw_ask_slot *slot,
                        struct pw_ask_spot *spot)
{
    spot->came_at_ns = pw_clock_now_ns();
    ask->untold++;
    if (slot->begun)
        ask->asked--;
    pw_ask_close_spot_locked(ask, spot);
}

/* Calls `seen` for what has come, without the lock. */
static void tell_slot_locked(struct pw_ask *ask, size_t index)
{
    struct pw_ask_slot *slot = &ask->slots[index];
    for (size_t i = 0; i < slot->count; i++) {
        struct pw_ask_spot *spot = &slot->spots[i];
        if (!slot->begun || spot->told || !spot->came_at_ns)
            continue;
        size_t mark = spot->mark;
        int64_t at_ns = spot->came_at_ns;
        if (at_ns < slot->spawned_at_ns) /* it came while the spawn was under way */
            at_ns = slot->spawned_at_ns;
        spot->told = true;
        ask->untold--;
        ask->telling = index;
        pthread_mutex_unlock(&ask->lock);
        ask->seen(ask->context, index, mark, at_ns);
        pthread_mutex_lock(&ask->lock);
        ask->telling = ask->slot_count;
        pthread_cond_broadcast(&ask->told);
        /* From here on the slot may be free, or another worker's. */
    }
}

static void tell_locked(struct pw_ask *ask)
{
    for (size_t i = 0; i < ask->slot_count && ask->untold > 0; i++)
        tell_slot_locked(ask, i);
}

/* Asking */

/* Which dial an event is of. By its number, not by its address: it may be gone by then. */
static uint64_t dial_key(size_t slot, size_t spot, size_t dial)
{
    return PW_ASK_KEY_FIRST_DIAL + (slot * PW_LIMIT_MOMENTS + spot) * PW_PLACE_DIALS + dial;
}

static void wait_for_dial(const struct pw_ask *ask, struct pw_dial *dial, uint64_t key)
{
    struct epoll_event event = {.events = pw_dial_wants(dial), .data.u64 = key};
    if (epoll_ctl(ask->epoll_fd, EPOLL_CTL_ADD, dial->fd, &event) &&
        (errno != EEXIST || epoll_ctl(ask->epoll_fd, EPOLL_CTL_MOD, dial->fd, &event)))
        pw_dial_done(dial); /* asked again later */
}

/* True if the place answers. */
static bool use_dial_locked(struct pw_ask *ask, struct pw_dial *dial, uint64_t key, int64_t now)
{
    enum pw_dial_result result =
        dial->state == PW_DIAL_IDLE ? pw_dial_start(dial, now) : pw_dial_go_on(dial, now);
    ask->missed += result == PW_DIAL_MISSED;
    if (result == PW_DIAL_WAIT)
        wait_for_dial(ask, dial, key);
    return result == PW_DIAL_YES;
}

bool pw_ask_look_for_file_locked(const struct pw_ask *ask, struct pw_ask_spot *spot)
{
    int before = spot->watch.wd;
    bool is_there = pw_file_watch_look(&spot->watch, ask->inotify_fd);
    if (before != spot->watch.wd)
        drop_watch_locked(ask, before);
    return is_there;
}

static bool ask_spot_locked(struct pw_ask *ask, size_t slot, size_t index, int64_t now)
{
    struct pw_ask_spot *spot = &ask->slots[slot].spots[index];
    if (spot->is_file)
        return pw_ask_look_for_file_locked(ask, spot);
    for (size_t i = 0; i < spot->place.dial_count; i++) {
        struct pw_dial *dial = &spot->place.dials[i];
        if (dial->state != PW_DIAL_IDLE && now < dial->give_up_at_ns)
            continue; /* its answer wakes us */
        if (use_dial_locked(ask, dial, dial_key(slot, index, i), now))
            return true;
    }
    return false;
}

/* How long until the next ask: see ask.h. */
static int64_t gap_ns(const struct pw_ask *ask, const struct pw_ask_slot *slot,
                      const struct pw_ask_spot *spot, int64_t now)
{
    int64_t gap = (now - slot->spawned_at_ns) / GAP_DIVISOR;
    if (gap < PW_ASK_FIRST_NS)
        gap = PW_ASK_FIRST_NS;
    if (gap > PW_ASK_LAST_NS || (spot->is_file && spot->watch.wd >= 0))
        gap = PW_ASK_LAST_NS;
    int64_t least = spot->cost_ns * PW_ASK_SHARE * (int64_t)ask->asked;
    return gap > least ? gap : least;
}

/* When to ask next: not before a dial's patience ends if all of them wait. */
static int64_t next_due_ns(const struct pw_ask *ask, const struct pw_ask_slot *slot,
                           const struct pw_ask_spot *spot, int64_t now)
{
    int64_t due = now + gap_ns(ask, slot, spot, now), give_up = INT64_MAX;
    for (size_t i = 0; i < spot->place.dial_count; i++) {
        const struct pw_dial *dial = &spot->place.dials[i];
        if (dial->state == PW_DIAL_IDLE)
            return due;
        if (dial->give_up_at_ns < give_up)
            give_up = dial->give_up_at_ns;
    }
    return spot->place.dial_count > 0 && give_up > due ? give_up : due;
}

/* Asks for the slot's spots that are due; *next becomes when the next one is, if that is earlier.
 */
static void ask_slot_locked(struct pw_ask *ask, size_t index, int64_t *next)
{
    struct pw_ask_slot *slot = &ask->slots[index];
    /* The slot may be taken, even filled anew, while others are let in: nothing is kept of it. */
    for (size_t i = 0; slot->begun && i < slot->count; i++) {
        struct pw_ask_spot *spot = &slot->spots[i];
        if (spot->came_at_ns)
            continue;
        int64_t began = pw_clock_now_ns();
        if (spot->due_ns <= began + AHEAD_NS) {
            bool came = ask_spot_locked(ask, index, i, began);
            int64_t now = pw_clock_now_ns();
            int64_t cost = now - began < MOST_COST_NS ? now - began : MOST_COST_NS;
            spot->cost_ns += (cost - spot->cost_ns) / 4;
            spot->due_ns = next_due_ns(ask, slot, spot, now);
            if (came) {
                came_locked(ask, slot, spot);
                continue;
            }
        }
        if (spot->due_ns < *next)
            *next = spot->due_ns;
        let_others_in_locked(ask);
    }
}

/* Returns when to ask again; INT64_MAX: nothing is asked for. */
static int64_t ask_all_locked(struct pw_ask *ask)
{
    int64_t next = INT64_MAX;
    for (size_t i = 0; i < ask->slot_count && ask->asked > 0; i++)
        ask_slot_locked(ask, i, &next);
    return next;
}

/* Events */

static void take_file_event_locked(struct pw_ask *ask, const struct inotify_event *event)
{
    for (size_t i = 0; i < ask->slot_count; i++) {
        struct pw_ask_slot *slot = &ask->slots[i];
        for (size_t j = 0; j < slot->count; j++) {
            struct pw_ask_spot *spot = &slot->spots[j];
            int before = spot->watch.wd;
            bool is_lost = (event->mask & IN_Q_OVERFLOW) != 0;
            if (!spot->is_file || spot->came_at_ns || (!is_lost && before != event->wd))
                continue;
            bool came = pw_file_watch_take(&spot->watch, ask->inotify_fd, event);
            if (before != spot->watch.wd)
                drop_watch_locked(ask, before);
            if (came)
                came_locked(ask, slot, spot);
        }
    }
}

static void take_file_events_locked(struct pw_ask *ask)
{
    _Alignas(struct inotify_event) char buffer[16384];
    ssize_t got = read(ask->inotify_fd, buffer, sizeof buffer);
    for (ssize_t at = 0; at < got;) {
        const struct inotify_event *event = (const struct inotify_event *)(buffer + at);
        take_file_event_locked(ask, event);
        at += (ssize_t)(sizeof *event + event->len);
    }
}

static void take_dial_event_locked(struct pw_ask *ask, uint64_t key, int64_t now)
{
    key -= PW_ASK_KEY_FIRST_DIAL;
    size_t dial_index = key % PW_PLACE_DIALS;
    size_t spot_index = key / PW_PLACE_DIALS % PW_LIMIT_MOMENTS;
    struct pw_ask_slot *slot = &ask->slots[key / PW_PLACE_DIALS / PW_LIMIT_MOMENTS];
    if (spot_index >= slot->count)
        return;
    struct pw_ask_spot *spot = &slot->spots[spot_index];
    if (spot->came_at_ns || dial_index >= spot->place.dial_count ||
        spot->place.dials[dial_index].state == PW_DIAL_IDLE)
        return;
    if (use_dial_locked(ask, &spot->place.dials[dial_index], key + PW_ASK_KEY_FIRST_DIAL, now)) {
        came_locked(ask, slot, spot);
        return;
    }
    /* After a reply that does not count, the next ask is due as after any other. */
    int64_t due = next_due_ns(ask, slot, spot, now);
    if (due < spot->due_ns)
        spot->due_ns = due;
}

static void take_event_locked(struct pw_ask *ask, uint64_t key, int64_t now)
{
    uint64_t count;
    switch (key) {
    case PW_ASK_KEY_WAKE: /* both only end the wait */
    case PW_ASK_KEY_TIMER:
        if (read(key == PW_ASK_KEY_WAKE ? ask->wake_fd : ask->timer_fd, &count, sizeof count) < 0)
            return;
        break;
    case PW_ASK_KEY_INOTIFY: take_file_events_locked(ask); break;
    default: take_dial_event_locked(ask, key, now); break;
    }
}

/* epoll_wait(2) knows milliseconds only. */
static void set_timer(const struct pw_ask *ask, int64_t at_ns)
{
    struct itimerspec when = {0};
    if (at_ns != INT64_MAX) {
        when.it_value.tv_sec = at_ns / PW_NS_PER_SEC;
        when.it_value.tv_nsec = at_ns % PW_NS_PER_SEC;
    }
    timerfd_settime(ask->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

void *pw_ask_main(void *argument)
{
    struct pw_ask *ask = argument;
    struct epoll_event events[EVENTS];
    pthread_mutex_lock(&ask->lock);
    while (!ask->ending) {
        int64_t next = ask_all_locked(ask);
        tell_locked(ask);
        set_timer(ask, next);
        pthread_mutex_unlock(&ask->lock);
        int count = epoll_wait(ask->epoll_fd, events, EVENTS, -1);
        int64_t now = pw_clock_now_ns();
        pthread_mutex_lock(&ask->lock);
        for (int i = 0; i < count; i++)
            take_event_locked(ask, events[i].data.u64, now);
        tell_locked(ask);
    }
    pthread_mutex_unlock(&ask->lock);
    return NULL;
}
