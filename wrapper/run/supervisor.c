#include "wrapper/run/supervisor.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "core/clock.h"
#include "core/file.h"
#include "wrapper/run/kin.h"
#include "wrapper/run/mark_board.h"
#include "wrapper/run/signals.h"

enum {
    EVENTS_AT_ONCE = 64,
    DRAIN_AT_ONCE = 1 << 20, /* bytes of one pipe before the others have their turn */
    TICK_MS = 100,
    ADOPTED_MAX = 256, /* what was adopted before and is spared; more is not remembered */
};

/* In a crowd, the time between two starts, shared by the CPUs: about the CPU time of one start,
 * until the target runs its own code. Closer, and starts would wait for each other's CPU, which
 * would count in the targets' durations. A few at once find their CPU anyway. */
#define START_GAP_NS INT64_C(800000)
enum { CROWD_PER_CPU = 4 };

/* What an epoll event is about: worker index and source in one number; signals have their own. */
enum source { SOURCE_CONTROL, SOURCE_OUT, SOURCE_ERR, SOURCE_TOLD, SOURCE_COUNT };
#define TAG_SIGNAL UINT64_MAX
#define TAG_MARK (UINT64_MAX - 1)
#define TAG_ACCOUNTS (UINT64_MAX - 2)

struct pw_supervisor {
    const struct pw_session_events *events;
    int epoll_fd, signal_fd, warden_fd;
    unsigned starts_at_once; /* as many as there are CPUs */
    int interrupted_by;
    bool forced;
};

/* One call of pw_supervisor_run(). */
struct batch {
    struct pw_supervisor *supervisor;
    struct pw_worker *workers;
    size_t count;
    struct pw_sampler *sampler;   /* NULL: none */
    struct pw_accounts *accounts; /* likewise */
    struct pw_worker_record *records;
    struct pw_mark_board *board; /* NULL: no marks */
    int64_t drained_ns;          /* when the accounts were drained */
    bool all_ready;
    int64_t next_start_ns; /* not before, in a crowd */
    size_t ended, failed;
    pid_t adopted[ADOPTED_MAX]; /* kin of perfwrap before the batch */
    size_t adopted_count;
};

static unsigned cpus_allowed(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set))
        return 1;
    return (unsigned)CPU_COUNT(&set);
}

static int watch(struct pw_supervisor *supervisor, int fd, uint64_t tag, struct pw_err *err)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = tag};
    if (fd >= 0 && epoll_ctl(supervisor->epoll_fd, EPOLL_CTL_ADD, fd, &event))
        return pw_err_system(err, errno, "watch a worker");
    return 0;
}

int pw_supervisor_new(const struct pw_session_events *events, struct pw_supervisor **ret_supervisor,
                      struct pw_err *err)
{
    struct pw_supervisor *supervisor = calloc(1, sizeof *supervisor);
    if (!supervisor)
        return pw_err_memory(err);
    supervisor->events = events;
    supervisor->starts_at_once = cpus_allowed();
    supervisor->signal_fd = supervisor->warden_fd = -1;
    supervisor->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (supervisor->epoll_fd < 0)
        pw_err_system(err, errno, "create epoll descriptor");
    else
        supervisor->signal_fd = pw_signals_open(err);
    if (supervisor->signal_fd >= 0)
        supervisor->warden_fd = pw_warden_open(err);
    if (supervisor->warden_fd < 0 || watch(supervisor, supervisor->signal_fd, TAG_SIGNAL, err)) {
        pw_supervisor_free(supervisor);
        return -1;
    }
    *ret_supervisor = supervisor;
    return 0;
}

void pw_supervisor_free(struct pw_supervisor *supervisor)
{
    if (!supervisor)
        return;
    pw_fd_done(&supervisor->epoll_fd);
    pw_fd_done(&supervisor->signal_fd);
    pw_fd_done(&supervisor->warden_fd);
    free(supervisor);
}

int pw_supervisor_interrupted_by(const struct pw_supervisor *supervisor)
{
    return supervisor->interrupted_by;
}

bool pw_supervisor_is_forced(const struct pw_supervisor *supervisor)
{
    return supervisor->forced;
}

void pw_supervisor_interrupt(struct pw_supervisor *supervisor, int signal, bool forced)
{
    if (signal != 0) {
        supervisor->interrupted_by = signal;
        supervisor->forced = forced;
    }
}

void pw_supervisor_forgive(struct pw_supervisor *supervisor)
{
    supervisor->interrupted_by = 0;
}

static void order_all(const struct batch *batch, enum pw_order_kind kind)
{
    for (size_t i = 0; i < batch->count; i++)
        pw_worker_order(&batch->workers[i], kind);
}

/* Signals that have come: the first ends the workers gently, a second one at once. */
static void take_signals(struct pw_supervisor *supervisor, const struct batch *batch)
{
    int sig;
    while ((sig = pw_signals_read(supervisor->signal_fd)) > 0) {
        supervisor->forced = supervisor->interrupted_by != 0;
        if (!supervisor->forced)
            supervisor->interrupted_by = sig;
        if (batch)
            order_all(batch, supervisor->forced ? PW_ORDER_KILL : PW_ORDER_END);
    }
}

void pw_supervisor_poll(struct pw_supervisor *supervisor)
{
    take_signals(supervisor, NULL);
}

/* Ends a worker whose mark of --until has come, or never will. */
static void end_if_until(const struct batch *batch, size_t index)
{
    struct pw_worker *worker = &batch->workers[index];
    bool is_alive = worker->state == PW_WORKER_GOING || worker->state == PW_WORKER_RUNNING;
    if (!is_alive || !worker->watch || worker->until_ordered)
        return;
    bool came = pw_mark_watch_is_until(worker->watch);
    if (!worker->watch->hopeless && (!came || worker->holds))
        return;
    worker->until_ordered = true;
    if (came)
        pw_accounts_mark(batch->accounts, (unsigned)index);
    pw_worker_order(worker, came && worker->go.patience_ns > 0 ? PW_ORDER_EXPECT : PW_ORDER_END);
}

static void drain(const struct batch *batch, size_t index, struct pw_tail *tail)
{
    struct pw_worker *worker = &batch->workers[index];
    int64_t began = pw_clock_now_ns();
    pw_tail_drain(tail, DRAIN_AT_ONCE); /* a pipe that is closed leaves the epoll set */
    worker->communicate_ns += pw_clock_now_ns() - began;
    end_if_until(batch, index);
}

/* Marks that another thread has seen. */
static void take_marks(const struct batch *batch)
{
    pw_mark_board_woken(batch->board);
    for (size_t i = 0; i < batch->count; i++)
        end_if_until(batch, i);
}

/* What the worker wrote before its end is still to be read; what comes later is not its own. */
static void end_marks(const struct batch *batch, size_t index)
{
    struct pw_worker *worker = &batch->workers[index];
    if (!worker->watch)
        return;
    drain(batch, index, &worker->out);
    drain(batch, index, &worker->err);
    drain(batch, index, &worker->told);
    pw_mark_board_end(worker->watch);
}

/* The sampler's share of a worker's record, whose sampling ends. */
static void take_samples(const struct batch *batch, size_t index, int64_t ended_at_ns)
{
    const struct pw_worker *worker = &batch->workers[index];
    struct pw_worker_record *record = &batch->records[index];
    struct pw_memory_breakdown breakdown;
    bool failed = false;
    if (!batch->sampler)
        return;
    pw_sampler_take(batch->sampler, (unsigned)index, ended_at_ns, pw_worker_cpu_ns(worker),
                    record->values);
    if (!pw_sampler_take_breakdown(batch->sampler, (unsigned)index, &breakdown))
        return;
    json_decref(record->memory_at_peak);
    record->memory_at_peak =
        pw_memory_breakdown_to_json(&breakdown, worker->started.started.spawned_at_ns, &failed);
    if (failed) { /* without memory it is as if it had not been taken */
        json_decref(record->memory_at_peak);
        record->memory_at_peak = NULL;
    }
}

/* Workers whose mark of --until has come and that are to go on: for the batch they are over. */
static void hold_workers(struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        struct pw_worker *worker = &batch->workers[i];
        if (worker->state != PW_WORKER_RUNNING || !worker->holds ||
            !pw_mark_watch_is_until(worker->watch) || batch->supervisor->interrupted_by)
            continue;
        pw_accounts_mark(batch->accounts, (unsigned)i);
        end_marks(batch, i);
        pw_worker_hold(worker);
        epoll_ctl(batch->supervisor->epoll_fd, EPOLL_CTL_DEL, worker->control_fd, NULL);
        take_samples(batch, i, worker->live.at_ns);
        batch->ended++;
    }
}

/* The consequences of a report: the sampler follows, and the batch counts. */
static int state_changed(struct batch *batch, size_t index, enum pw_worker_state before,
                         struct pw_err *err)
{
    struct pw_worker *worker = &batch->workers[index];
    if (worker->state == before)
        return 0;
    if (worker->state == PW_WORKER_READY)
        pw_accounts_watch(batch->accounts, (unsigned)index, worker->warden_pid);
    if (worker->state == PW_WORKER_RUNNING && worker->watch)
        pw_mark_board_begin(worker->watch, worker->started.started.spawned_at_ns);
    if (before == PW_WORKER_RUNNING)
        end_marks(batch, index);
    if (worker->state == PW_WORKER_EXITED && !worker->go.keep_orphans)
        pw_worker_order(worker, PW_ORDER_END); /* now what it left may hear of it */
    if (worker->state == PW_WORKER_RUNNING && batch->sampler &&
        pw_sampler_add(batch->sampler, (unsigned)index, worker->warden_pid,
                       worker->started.started.pid, worker->started.started.spawned_at_ns, err))
        return -1;
    if (before == PW_WORKER_RUNNING) {
        bool exited = worker->exited.kind == PW_REPORT_EXITED;
        take_samples(batch, index, exited ? worker->exited.exited.ended_at_ns : pw_clock_now_ns());
    }
    if (worker->state == PW_WORKER_ENDED) {
        pw_accounts_end(batch->accounts, (unsigned)index);
        batch->ended++;
        batch->failed += worker->failed_start;
    }
    return 0;
}

static int take_reports(struct batch *batch, size_t index, struct pw_err *err)
{
    struct pw_worker *worker = &batch->workers[index];
    for (;;) {
        enum pw_worker_state before = worker->state;
        if (!pw_worker_read(worker))
            return 0;
        if (state_changed(batch, index, before, err))
            return -1;
    }
}

/* Calls off workers whose targets were not started: an interrupt came first. */
static int call_off(struct batch *batch, struct pw_err *err)
{
    for (size_t i = 0; i < batch->count; i++) {
        struct pw_worker *worker = &batch->workers[i];
        if (worker->state != PW_WORKER_WAKING && worker->state != PW_WORKER_READY)
            continue;
        enum pw_worker_state before = worker->state;
        pw_fd_done(&worker->control_fd);
        worker->state = PW_WORKER_ENDED;
        if (state_changed(batch, i, before, err))
            return -1;
    }
    return 0;
}

/* The loop may stand still for so long: nothing in it is urgent, the wardens take the times. */
static void wait_for_gap(struct batch *batch)
{
    unsigned cpus = batch->supervisor->starts_at_once;
    const struct timespec until = {.tv_sec = batch->next_start_ns / PW_NS_PER_SEC,
                                   .tv_nsec = batch->next_start_ns % PW_NS_PER_SEC};
    if (batch->count <= (size_t)cpus * CROWD_PER_CPU)
        return;
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        ;
    batch->next_start_ns = pw_clock_now_ns() + START_GAP_NS / cpus;
}

/* Once all wardens wait: starts targets, a few at a time. */
static int start_targets(struct batch *batch, struct pw_err *err)
{
    if (batch->supervisor->interrupted_by)
        return call_off(batch, err);
    unsigned going = 0;
    for (size_t i = 0; i < batch->count; i++) {
        going += batch->workers[i].state == PW_WORKER_GOING;
        if (!batch->all_ready && batch->workers[i].state == PW_WORKER_WAKING)
            return 0;
    }
    batch->all_ready = true;
    for (size_t i = 0; i < batch->count && going < batch->supervisor->starts_at_once; i++) {
        if (batch->workers[i].state != PW_WORKER_READY)
            continue;
        wait_for_gap(batch);
        if (pw_worker_go(&batch->workers[i], err))
            return -1;
        going++;
    }
    return 0;
}

static int handle_events(struct batch *batch, const struct epoll_event *events, int count,
                         struct pw_err *err)
{
    struct pw_supervisor *supervisor = batch->supervisor;
    for (int i = 0; i < count; i++) {
        uint64_t tag = events[i].data.u64;
        if (tag == TAG_SIGNAL) {
            take_signals(supervisor, batch);
            continue;
        }
        if (tag == TAG_MARK) {
            take_marks(batch);
            continue;
        }
        if (tag == TAG_ACCOUNTS) {
            batch->drained_ns = 0;
            continue;
        }
        size_t index = tag / SOURCE_COUNT;
        struct pw_worker *worker = &batch->workers[index];
        enum source source = (enum source)(tag % SOURCE_COUNT);
        if (source == SOURCE_CONTROL && take_reports(batch, index, err))
            return -1;
        if (source != SOURCE_CONTROL)
            drain(batch, index,
                  source == SOURCE_OUT   ? &worker->out
                  : source == SOURCE_ERR ? &worker->err
                                         : &worker->told);
    }
    return 0;
}

static void tick(const struct batch *batch)
{
    unsigned running = 0;
    for (size_t i = 0; i < batch->count; i++)
        running += batch->workers[i].state == PW_WORKER_RUNNING;
    batch->supervisor->events->tick(batch->supervisor->events->context, running);
}

/* What the kernel tells of the workers, when a buffer fills or some time has passed. */
static void drain_accounts(struct batch *batch)
{
    int64_t now_ns = pw_clock_now_ns();
    if (!batch->accounts || now_ns - batch->drained_ns < pw_ms_to_ns(PW_ACCOUNTS_DRAIN_MS))
        return;
    pw_accounts_drain(batch->accounts);
    batch->drained_ns = now_ns;
}

static int loop(struct batch *batch, struct pw_err *err)
{
    struct pw_supervisor *supervisor = batch->supervisor;
    bool ticking = supervisor->events && supervisor->events->tick;
    while (batch->ended < batch->count) {
        if (start_targets(batch, err))
            return -1;
        if (batch->ended == batch->count)
            break;
        struct epoll_event events[EVENTS_AT_ONCE];
        int timeout_ms = ticking || batch->accounts ? TICK_MS : -1;
        int count = epoll_wait(supervisor->epoll_fd, events, EVENTS_AT_ONCE, timeout_ms);
        if (count < 0 && errno != EINTR)
            return pw_err_system(err, errno, "wait for workers");
        if (count > 0 && handle_events(batch, events, count, err))
            return -1;
        drain_accounts(batch);
        hold_workers(batch);
        if (batch->failed > 0)
            return 0; /* no use in starting the others */
        if (ticking)
            tick(batch);
    }
    return 0;
}

static int start_wardens(struct batch *batch, const struct pw_worker_spec *specs,
                         struct pw_err *err)
{
    struct pw_supervisor *supervisor = batch->supervisor;
    for (size_t i = 0; i < batch->count; i++) {
        struct pw_worker *worker = &batch->workers[i];
        uint64_t tag = (uint64_t)i * SOURCE_COUNT;
        if (pw_worker_start(worker, supervisor->warden_fd, &specs[i], err) ||
            watch(supervisor, worker->control_fd, tag + SOURCE_CONTROL, err) ||
            watch(supervisor, worker->out.fd, tag + SOURCE_OUT, err) ||
            watch(supervisor, worker->err.fd, tag + SOURCE_ERR, err) ||
            watch(supervisor, worker->told.fd, tag + SOURCE_TOLD, err))
            return -1;
    }
    int fds[PW_ACCOUNTS_FDS];
    pw_accounts_fds(batch->accounts, fds);
    for (size_t i = 0; i < PW_ACCOUNTS_FDS; i++)
        if (watch(supervisor, fds[i], TAG_ACCOUNTS, err))
            return -1;
    return batch->board ? watch(supervisor, batch->board->wake_fd, TAG_MARK, err) : 0;
}

/* Of the descriptors that outlive the batch. */
static void stop_watching(const struct batch *batch)
{
    int fds[PW_ACCOUNTS_FDS];
    pw_accounts_fds(batch->accounts, fds);
    for (size_t i = 0; i < PW_ACCOUNTS_FDS; i++)
        if (fds[i] >= 0)
            epoll_ctl(batch->supervisor->epoll_fd, EPOLL_CTL_DEL, fds[i], NULL);
    if (batch->board)
        epoll_ctl(batch->supervisor->epoll_fd, EPOLL_CTL_DEL, batch->board->wake_fd, NULL);
}

/* Adds a process and what it has started; returns how many there are then. */
static size_t spare(pid_t spared[PW_KIN_MAX], size_t count, pid_t pid)
{
    spared[count++] = pid;
    ssize_t below = pw_kin_list(pid, spared + count, PW_KIN_MAX - count);
    return count + (below > 0 ? (size_t)below : 0);
}

/* Ends the trees of lost wardens: they have become perfwrap's own, for it is a subreaper too.
 * Spares what was adopted before the batch (kept orphans, a server that --setup started, workers
 * that are held) and what that has started, and workers of the batch that are held now. */
static void end_adopted(const struct batch *batch)
{
    enum { PASSES = 1000 };
    static pid_t kin[PW_KIN_MAX], spared[PW_KIN_MAX];
    for (int pass = 0; pass < PASSES; pass++) {
        size_t spared_count = 0;
        for (size_t i = 0; i < batch->adopted_count && spared_count < PW_KIN_MAX; i++)
            spared_count = spare(spared, spared_count, batch->adopted[i]);
        for (size_t i = 0; i < batch->count && spared_count < PW_KIN_MAX; i++)
            if (batch->workers[i].state == PW_WORKER_HELD)
                spared_count = spare(spared, spared_count, batch->workers[i].warden_pid);
        ssize_t count = pw_kin_list(getpid(), kin, PW_KIN_MAX);
        bool found = false;
        for (ssize_t i = 0; i < count; i++) {
            if (pw_kin_holds(spared, spared_count, kin[i]))
                continue;
            found = true;
            kill(kin[i], SIGKILL);
            waitpid(kin[i], NULL, WNOHANG);
        }
        if (!found)
            return;
        usleep(1000);
    }
}

static int first_failure(const struct batch *batch, const struct pw_worker_spec *specs,
                         struct pw_err *err)
{
    for (size_t i = 0; i < batch->count; i++)
        if (batch->workers[i].failed_start)
            return pw_worker_start_error(&batch->workers[i], specs[i].argv[0], err);
    return 0;
}

int pw_supervisor_run(struct pw_supervisor *supervisor, struct pw_worker *workers,
                      const struct pw_worker_spec *specs, size_t count,
                      const struct pw_observers *observers, struct pw_err *err)
{
    struct batch batch = {.supervisor = supervisor,
                          .workers = workers,
                          .count = count,
                          .sampler = observers ? observers->sampler : NULL,
                          .accounts = observers ? observers->accounts : NULL,
                          .records = observers ? observers->records : NULL,
                          .board = specs[0].watch ? specs[0].watch->board : NULL};
    ssize_t adopted = pw_kin_list(getpid(), batch.adopted, ADOPTED_MAX);
    batch.adopted_count = adopted > 0 ? (size_t)adopted : 0;
    int result = start_wardens(&batch, specs, err);
    if (result == 0)
        result = loop(&batch, err);
    if (result == 0)
        result = first_failure(&batch, specs, err);
    bool lost = false;
    for (size_t i = 0; i < count; i++) {
        drain(&batch, i, &workers[i].out);
        drain(&batch, i, &workers[i].err);
        drain(&batch, i, &workers[i].told);
        if (workers[i].watch)
            pw_mark_board_end(workers[i].watch);
        lost |= workers[i].lost && !workers[i].go.keep_orphans;
        if (workers[i].state == PW_WORKER_RUNNING) /* given up */
            take_samples(&batch, i, pw_clock_now_ns());
    }
    stop_watching(&batch);
    if (lost)
        end_adopted(&batch);
    return result;
}
