#include "wrapper/run/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "core/clock.h"
#include "core/file.h"
#include "wrapper/run/warden_image.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

/* Below FIRST_SPARE_FD are the target's own. */
enum { MARK_FD = 3, FIRST_SPARE_FD };

/* Moves a descriptor out of the target's range, whatever perfwrap was started with. -1 and errno.
 */
static int move_up(int *fd)
{
    if (*fd >= FIRST_SPARE_FD)
        return 0;
    int moved = fcntl(*fd, F_DUPFD_CLOEXEC, FIRST_SPARE_FD);
    if (moved < 0)
        return -1;
    close(*fd);
    *fd = moved;
    return 0;
}

static int write_all(int fd, const unsigned char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t written = write(fd, bytes, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return -1;
        bytes += written;
        size -= (size_t)written;
    }
    return 0;
}

int pw_warden_open(struct pw_err *err)
{
    PW_FD_AUTO fd = memfd_create(PW_WARDEN_NAME, MFD_CLOEXEC | MFD_EXEC);
    if (fd < 0 && errno == EINVAL) /* before Linux 6.3: executable by default */
        fd = memfd_create(PW_WARDEN_NAME, MFD_CLOEXEC);
    if (fd < 0 || move_up(&fd)) {
        pw_err_system(err, errno, "create the warden's memory file");
        return pw_err_remedy(err, "allow executable memory files (sysctl vm.memfd_noexec=0), or "
                                  "raise the limit on open files (ulimit -n)");
    }
    if (write_all(fd, pw_warden_image, pw_warden_image_size))
        return pw_err_system(err, errno, "write the warden's memory file");
    return pw_fd_take(&fd);
}

/* argv of the warden: its name, the control descriptor, then the target's argv. NULL out of memory.
 */
static char **warden_argv(char *const *target, char *control)
{
    size_t count = 0;
    while (target[count])
        count++;
    char **argv = calloc(count + 3, sizeof *argv);
    if (!argv)
        return NULL;
    argv[0] = (char *)PW_WARDEN_NAME;
    argv[1] = control;
    memcpy(argv + 2, target, count * sizeof *argv);
    return argv;
}

/* Where /proc is not mounted, posix_spawn(3) has no way to execute a descriptor. If exec fails
 * here, the closed control socket tells it. */
static int fork_warden(int warden_fd, char **argv, char *const *environment, int control_fd,
                       const int own[FIRST_SPARE_FD], pid_t *ret_pid)
{
    pid_t pid = fork();
    if (pid < 0)
        return errno;
    if (pid == 0) {
        for (int fd = 0; fd < FIRST_SPARE_FD; fd++)
            if (own[fd] == fd)
                fcntl(fd, F_SETFD, 0);
            else if (own[fd] >= 0)
                dup2(own[fd], fd);
        fcntl(control_fd, F_SETFD, 0);
        execveat(warden_fd, "", argv, environment, AT_EMPTY_PATH);
        _exit(127);
    }
    *ret_pid = pid;
    return 0;
}

/* `own`: what become the target's descriptors; the last may be -1: none. */
static int spawn_warden(struct pw_worker *worker, int warden_fd, const struct pw_worker_spec *spec,
                        int control_fd, const int own[FIRST_SPARE_FD], struct pw_err *err)
{
    char path[32], control[16];
    snprintf(path, sizeof path, "/proc/self/fd/%d", warden_fd);
    snprintf(control, sizeof control, "%d", control_fd);
    PW_FREE_AUTO char **argv = warden_argv(spec->argv, control);
    if (!argv)
        return pw_err_memory(err);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    for (int fd = 0; fd < FIRST_SPARE_FD; fd++)
        if (own[fd] >= 0)
            posix_spawn_file_actions_adddup2(&actions, own[fd], fd);
    posix_spawn_file_actions_adddup2(&actions, control_fd, control_fd); /* clears close-on-exec */
    int sys = posix_spawn(&worker->warden_pid, path, &actions, NULL, argv, spec->environment);
    posix_spawn_file_actions_destroy(&actions);
    if (sys == ENOENT)
        sys = fork_warden(warden_fd, argv, spec->environment, control_fd, own, &worker->warden_pid);
    if (sys == 0)
        return 0;
    worker->warden_pid = 0;
    pw_err_system(err, sys, "start the warden of worker %u", worker->id);
    if (sys == EAGAIN)
        pw_err_remedy(err, "raise the limit on processes (ulimit -u, pids.max), or lower "
                           "--concurrency");
    else if (sys == E2BIG)
        pw_err_remedy(err, "shorten the command or the environment");
    else if (sys == EACCES || sys == EPERM)
        pw_err_remedy(err, "allow executable memory files (sysctl vm.memfd_noexec=0)");
    return -1;
}

static int open_control(int ends[2], struct pw_err *err)
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
        return pw_err_system(err, errno, "create the control socket");
    if (move_up(&ends[0]) || move_up(&ends[1])) {
        int sys = errno;
        close(ends[0]);
        close(ends[1]);
        return pw_err_system(err, sys, "create the control socket");
    }
    return 0;
}

/* Opens a pipe for what the worker writes to a descriptor; for nothing, if nobody wants to know. */
static int open_tail(struct pw_worker *worker, struct pw_tail *tail, enum pw_mark_source source,
                     bool kept, int *ret_fd, struct pw_err *err)
{
    if (worker->watch && pw_marks_hear(worker->watch->marks, source))
        tail->watch = worker->watch;
    tail->source = source;
    if (kept)
        return pw_tail_open(tail, ret_fd, err);
    return tail->watch ? pw_tail_open_unkept(tail, ret_fd, err) : 0;
}

static int too_few_descriptors(struct pw_err *err)
{
    if (err && (err->sys == EMFILE || err->sys == ENFILE))
        pw_err_remedy(err, "raise the limit on open files (ulimit -n), or lower --concurrency");
    return -1;
}

int pw_worker_start(struct pw_worker *worker, int warden_fd, const struct pw_worker_spec *spec,
                    struct pw_err *err)
{
    int64_t began = pw_clock_now_ns();
    int ends[2];
    worker->out = worker->err = worker->told = PW_TAIL_INIT;
    worker->control_fd = -1;
    worker->go = spec->go;
    worker->watch = spec->watch;
    worker->holds = spec->holds;
    PW_FD_AUTO out_fd = -1;
    PW_FD_AUTO err_fd = -1;
    PW_FD_AUTO told_fd = -1;
    PW_FD_AUTO warden_end = -1;
    if (open_control(ends, err))
        return too_few_descriptors(err);
    worker->control_fd = ends[0];
    warden_end = ends[1];
    if ((spec->stdout_fd < 0 &&
         open_tail(worker, &worker->out, PW_MARK_STDOUT, true, &out_fd, err)) ||
        (spec->stderr_fd < 0 &&
         open_tail(worker, &worker->err, PW_MARK_STDERR, true, &err_fd, err)) ||
        open_tail(worker, &worker->told, PW_MARK_FD3, spec->keeps_told, &told_fd, err) ||
        spawn_warden(worker, warden_fd, spec, warden_end,
                     (int[]){spec->stdin_fd, spec->stdout_fd < 0 ? out_fd : spec->stdout_fd,
                             spec->stderr_fd < 0 ? err_fd : spec->stderr_fd, told_fd},
                     err)) {
        pw_worker_done(worker);
        return too_few_descriptors(err);
    }
    worker->go.has_mark_fd = told_fd >= 0;
    worker->state = PW_WORKER_WAKING;
    worker->build_ns += pw_clock_now_ns() - began;
    return 0;
}

int pw_worker_go(struct pw_worker *worker, struct pw_err *err)
{
    if (send(worker->control_fd, &worker->go, sizeof worker->go, MSG_NOSIGNAL) < 0)
        return pw_err_system(err, errno, "give worker %u the order to start", worker->id);
    worker->state = PW_WORKER_GOING;
    return 0;
}

void pw_worker_order(struct pw_worker *worker, enum pw_order_kind kind)
{
    if (worker->control_fd < 0)
        return;
    struct pw_warden_order order = {.kind = kind};
    send(worker->control_fd, &order, sizeof order, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void pw_worker_hold(struct pw_worker *worker)
{
    worker->live.at_ns = pw_clock_now_ns();
    pw_live_read(worker->started.started.pid, &worker->live);
    worker->state = PW_WORKER_HELD;
    pw_worker_order(worker, PW_ORDER_HOLD);
    pw_fd_done(&worker->out.fd);
    pw_fd_done(&worker->err.fd);
    pw_fd_done(&worker->told.fd);
}

static void add_orphan(struct pw_worker *worker, const struct pw_warden_report *report)
{
    if (!worker->orphans)
        worker->orphans = calloc(PW_LIMIT_ORPHANS_LISTED, sizeof *worker->orphans);
    if (!worker->orphans || worker->orphan_count >= PW_LIMIT_ORPHANS_LISTED)
        return;
    struct pw_orphan *orphan = &worker->orphans[worker->orphan_count++];
    orphan->worker_id = worker->id;
    orphan->pid = report->orphan.pid;
    orphan->kept = worker->go.keep_orphans;
    memcpy(orphan->comm, report->orphan.comm, sizeof orphan->comm);
}

static void warden_is_gone(struct pw_worker *worker)
{
    worker->lost = worker->state != PW_WORKER_ENDED;
    worker->state = PW_WORKER_ENDED;
    pw_fd_done(&worker->control_fd);
}

static void take_report(struct pw_worker *worker, const struct pw_warden_report *report)
{
    switch (report->kind) {
    case PW_REPORT_READY:
        worker->fifo = report->fifo;
        worker->state = PW_WORKER_READY;
        break;
    case PW_REPORT_STARTED:
        worker->started = *report;
        worker->state = PW_WORKER_RUNNING;
        break;
    case PW_REPORT_FAILED:
        worker->failure = *report;
        worker->failed_start = true;
        worker->state = PW_WORKER_ENDED;
        break;
    case PW_REPORT_EXITED:
        worker->exited = *report;
        worker->state = PW_WORKER_EXITED;
        break;
    case PW_REPORT_ORPHAN: add_orphan(worker, report); break;
    case PW_REPORT_DONE:
        worker->done = *report;
        worker->survivors = report->done.survivors;
        worker->state = PW_WORKER_ENDED;
        break;
    }
}

bool pw_worker_read(struct pw_worker *worker)
{
    struct pw_warden_report report;
    if (worker->control_fd < 0)
        return false;
    ssize_t got = recv(worker->control_fd, &report, sizeof report, MSG_DONTWAIT);
    /* The warden was done before it took our last order: told once, its reports follow. */
    if (got < 0 && errno == ECONNRESET)
        got = recv(worker->control_fd, &report, sizeof report, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (got != sizeof report) {
        warden_is_gone(worker);
        return true;
    }
    take_report(worker, &report);
    return true;
}

void pw_worker_done(struct pw_worker *worker)
{
    pw_fd_done(&worker->control_fd); /* a warden that is still there ends its tree and itself */
    if (worker->warden_pid > 0)
        while (waitpid(worker->warden_pid, NULL, 0) < 0 && errno == EINTR)
            ;
    worker->warden_pid = 0;
    pw_tail_done(&worker->out);
    pw_tail_done(&worker->err);
    pw_tail_done(&worker->told);
    free(worker->orphans);
    worker->orphans = NULL;
    worker->orphan_count = 0;
}

int pw_worker_start_error(const struct pw_worker *worker, const char *command, struct pw_err *err)
{
    static const char *const steps[] = {[PW_STEP_CLONE] = "clone a process",
                                        [PW_STEP_RLIMIT] = "restore the limit on open files",
                                        [PW_STEP_EXEC] = "exec"};
    int sys = worker->failure.failed.sys;
    enum pw_spawn_step step = worker->failure.failed.step;
    pw_err_system(err, sys, "start worker %u: %s `%s`", worker->id, steps[step], command);
    if (!err)
        return -1;
    if (step == PW_STEP_CLONE && (sys == EAGAIN || sys == ENOMEM))
        pw_err_remedy(err, "raise the limit on processes (ulimit -u, pids.max), or lower "
                           "--concurrency");
    if (step != PW_STEP_EXEC)
        return -1;
    err->cls = sys == ENOENT ? PW_ERR_EXEC_MISSING : PW_ERR_EXEC_DENIED;
    if (sys == ENOENT && strchr(command, '/'))
        pw_err_remedy(err,
                      "check the path; if the file is there, the interpreter named in its first "
                      "line, or its dynamic loader, is missing");
    else if (sys == ENOENT)
        pw_err_remedy(err, "check the name and PATH; shell commands and pipelines need --shell");
    else if (sys == EACCES)
        pw_err_remedy(err, "make the file executable (chmod +x), or start it with its interpreter");
    return -1;
}

int64_t pw_worker_cpu_ns(const struct pw_worker *worker)
{
    const struct rusage *usage = &worker->exited.exited.usage;
    if (worker->state == PW_WORKER_HELD)
        return worker->live.user_ns + worker->live.system_ns;
    if (worker->exited.kind != PW_REPORT_EXITED)
        return 0;
    return (usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * PW_NS_PER_SEC +
           (usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) * INT64_C(1000);
}

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static void record_end(const struct pw_worker *worker, struct pw_worker_record *record)
{
    int status = worker->exited.exited.status;
    enum pw_warden_cause cause = worker->exited.exited.cause;
    record->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    record->return_code = record->signal ? 128 + record->signal : WEXITSTATUS(status);
    record->end = record->signal ? PW_END_SIGNALED : PW_END_EXITED;
    if (cause == PW_CAUSE_TIMEOUT) {
        record->end = PW_END_TIMEOUT;
        record->return_code = 124;
    } else if (cause == PW_CAUSE_ORDER) {
        record->end = PW_END_INTERRUPTED;
    }
}

static void record_io(const struct pw_worker *worker, struct pw_value *values)
{
    static const enum pw_metric_id ids[PW_WARDEN_IO_COUNT] = {
        PW_METRIC_IO_RCHAR, PW_METRIC_IO_WCHAR, PW_METRIC_IO_READ, PW_METRIC_IO_WRITE};
    int sys = worker->exited.exited.io_sys;
    for (int i = 0; i < PW_WARDEN_IO_COUNT; i++)
        values[ids[i]] =
            sys == 0 ? pw_value_of((double)worker->exited.exited.io[i])
                     : pw_value_absent(sys == EACCES || sys == EPERM ? PW_ABSENT_NO_PERMISSION
                                                                     : PW_ABSENT_NOT_SUPPORTED);
}

static void record_usage(const struct pw_worker *worker, struct pw_worker_record *record)
{
    const struct rusage *usage = &worker->exited.exited.usage;
    struct pw_value *values = record->values;
    double user = seconds(usage->ru_utime), system_time = seconds(usage->ru_stime);
    values[PW_METRIC_MAX_RSS_KB] = pw_value_of((double)usage->ru_maxrss);
    values[PW_METRIC_MAX_RSS_MB] = pw_value_of((double)usage->ru_maxrss / 1024);
    values[PW_METRIC_USER_CPU] = pw_value_of(user);
    values[PW_METRIC_SYSTEM_CPU] = pw_value_of(system_time);
    values[PW_METRIC_CPU_PCT] =
        pw_value_of((user + system_time) * 1e5 / record->duration_ms); /* not finite: absent */
    values[PW_METRIC_VOLUNTARY_CTX_SWITCHES] = pw_value_of((double)usage->ru_nvcsw);
    values[PW_METRIC_INVOLUNTARY_CTX_SWITCHES] = pw_value_of((double)usage->ru_nivcsw);
    values[PW_METRIC_MINOR_FAULTS] = pw_value_of((double)usage->ru_minflt);
    values[PW_METRIC_MAJOR_FAULTS] = pw_value_of((double)usage->ru_majflt);
    record_io(worker, values);
}

/* It lasts; what is known is what was read of it when it was held. */
static void record_live(const struct pw_worker *worker, struct pw_worker_record *record)
{
    const struct pw_live *live = &worker->live;
    struct pw_value *values = record->values;
    record->end = PW_END_UNTIL;
    record->ended_at_ns = live->at_ns;
    record->duration_ms = pw_ns_to_ms(record->ended_at_ns - record->started_at_ns);
    values[PW_METRIC_MAX_RSS_KB] = live->peak_rss_kib;
    if (pw_value_is_present(live->peak_rss_kib))
        values[PW_METRIC_MAX_RSS_MB] = pw_value_of(live->peak_rss_kib.number / 1024);
    if (!live->has_cpu)
        return;
    values[PW_METRIC_USER_CPU] = pw_value_of(pw_ns_to_sec(live->user_ns));
    values[PW_METRIC_SYSTEM_CPU] = pw_value_of(pw_ns_to_sec(live->system_ns));
    values[PW_METRIC_CPU_PCT] =
        pw_value_of(pw_ns_to_ms(live->user_ns + live->system_ns) * 100 / record->duration_ms);
}

void pw_worker_record(struct pw_worker *worker, struct pw_worker_record *record)
{
    int64_t began = pw_clock_now_ns();
    record->id = worker->id;
    PW_FREE_AUTO char *tail = pw_tail_text(&worker->err);
    if (tail)
        record->stderr_tail = strdup(pw_text_last_lines(tail, PW_LIMIT_STDERR_TAIL_LINES));
    if (worker->started.kind == PW_REPORT_STARTED) {
        record->pid = worker->started.started.pid;
        record->started_at_ns = worker->started.started.spawned_at_ns;
        record->values[PW_METRIC_STEP_SPAWN_PROC] = pw_value_of(pw_ns_to_ms(
            worker->started.started.execed_at_ns - worker->started.started.spawned_at_ns));
    }
    if (worker->exited.kind == PW_REPORT_EXITED) {
        record->ended_at_ns = worker->exited.exited.ended_at_ns;
        record->duration_ms = pw_ns_to_ms(record->ended_at_ns - record->started_at_ns);
        record_end(worker, record);
        record_usage(worker, record);
    } else if (worker->state == PW_WORKER_HELD) {
        record_live(worker, record);
    } else {
        record->end = PW_END_LOST;
        record->return_code = 1;
        record->ended_at_ns = began;
        if (record->started_at_ns == 0)
            record->started_at_ns = began;
        record->duration_ms = pw_ns_to_ms(record->ended_at_ns - record->started_at_ns);
    }
    record->values[PW_METRIC_STEP_BUILD_CMD] = pw_value_of(pw_ns_to_ms(worker->build_ns));
    record->values[PW_METRIC_STEP_COMMUNICATE] = pw_value_of(pw_ns_to_ms(worker->communicate_ns));
    record->values[PW_METRIC_STEP_PARSE_STATS] =
        pw_value_of(pw_ns_to_ms(pw_clock_now_ns() - began));
}

/* The mark came while the worker had the time for it: not when it was being ended at its deadline.
 */
static bool came_in_time(const struct pw_worker *worker, const struct pw_worker_record *record,
                         int64_t at_ns)
{
    bool late = record->end == PW_END_TIMEOUT && at_ns > worker->go.timeout_ns;
    return at_ns >= 0 && record->end != PW_END_LOST && !late;
}

void pw_worker_record_marks(const struct pw_worker *worker, struct pw_worker_record *record)
{
    struct pw_moments *moments = &record->moments;
    pw_moments_init(moments);
    if (!worker->watch)
        return;
    pw_mark_watch_moments(worker->watch, record->started_at_ns, record->ended_at_ns, moments);
    const struct pw_marks *marks = worker->watch->marks;
    if (marks->until < 0)
        return;
    int64_t until_ns = moments->at_ns[marks->until];
    if (came_in_time(worker, record, until_ns)) {
        if (worker->exited.kind == PW_REPORT_EXITED)
            record->values[PW_METRIC_TEARDOWN] =
                pw_value_of(pw_ns_to_ms(record->ended_at_ns - record->started_at_ns - until_ns));
        record->end = PW_END_UNTIL;
        record->return_code = record->signal = 0;
        record->ended_at_ns = record->started_at_ns + until_ns;
        record->duration_ms = pw_ns_to_ms(until_ns);
        for (size_t i = 0; i < marks->names.count; i++)
            if (moments->at_ns[i] > until_ns)
                moments->at_ns[i] = -1;
    } else if (record->end == PW_END_EXITED || record->end == PW_END_SIGNALED) {
        record->end = PW_END_MISSED;
        record->return_code = record->return_code ? record->return_code : 1;
    } else if (record->end == PW_END_INTERRUPTED && worker->watch->hopeless) { /* by us */
        record->end = PW_END_MISSED;
        record->return_code = 1;
        record->signal = 0;
    }
}
