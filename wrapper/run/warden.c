/* The warden: see warden_proto.h. A program of its own; it prints nothing and links only libc. */
#include "wrapper/run/warden_proto.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "wrapper/run/kin.h"

#define NS_PER_SEC INT64_C(1000000000)
#define REKILL_NS INT64_C(10000000)           /* between two passes of SIGKILL */
#define GIVE_UP_NS (INT64_C(10) * NS_PER_SEC) /* unkillable: stuck in the kernel */

enum phase {
    PHASE_RUNNING, /* the target runs, or has ended by itself */
    PHASE_TERM,    /* TERM was sent to the tree */
    PHASE_KILL,    /* KILL is sent until nothing is left */
};

struct warden {
    int control, signals, pidfd;
    pid_t parent; /* perfwrap */
    pid_t root;   /* 0 once reaped */
    pid_t root_group;
    struct pw_warden_order go;
    enum phase phase;
    enum pw_warden_cause cause;
    int64_t deadline_ns; /* of the phase; INT64_MAX: none */
    int64_t give_up_ns;
    uint32_t orphans;
    int inherited_nice;
    bool fifo;
    bool held;     /* perfwrap reads no more of what the tree writes */
    bool orphaned; /* perfwrap is gone */
};

struct child_job {
    char **argv;
    const struct pw_warden_order *go;
    int nice;
    volatile int failed_step, sys; /* written by the child: it shares our memory until exec */
};

static pid_t kin[PW_KIN_MAX];
static char child_stack[256 * 1024] __attribute__((aligned(16)));

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * NS_PER_SEC + now.tv_nsec;
}

static void report(const struct warden *warden, const struct pw_warden_report *message)
{
    while (send(warden->control, message, sizeof *message, MSG_NOSIGNAL) < 0 && errno == EINTR)
        ;
}

/* posix_spawn(3) of glibc, which started us, leaves the two signals ignored that glibc keeps for
 * itself, and its signal(2) refuses them. */
static void reset_internal_signals(void)
{
    enum { FIRST_INTERNAL = 32, LAST_INTERNAL = 33, MASK_BYTES = 8 };
    const unsigned long by_default[4] = {0}; /* the kernel's struct sigaction: SIG_DFL, no flags */
    for (long sig = FIRST_INTERNAL; sig <= LAST_INTERNAL; sig++)
        syscall(SYS_rt_sigaction, sig, by_default, NULL, MASK_BYTES);
}

/* As execvp(3), but never through a shell: what the kernel cannot execute is an error, not a
 * script. Returns errno. As there, a place in PATH without permission is told only if no other has
 * the command. */
static int exec_by_path(char **argv)
{
    const char *name = argv[0], *path = getenv("PATH");
    char candidate[PATH_MAX];
    int sys = ENOENT;
    if (strchr(name, '/')) {
        execve(name, argv, environ);
        return errno;
    }
    for (const char *at = path ? path : "/bin:/usr/bin"; at && *name; at = *at ? at + 1 : NULL) {
        int length = (int)strcspn(at, ":");
        if (snprintf(candidate, sizeof candidate, "%.*s%s%s", length, at, length ? "/" : "", name) <
            (int)sizeof candidate) {
            execve(candidate, argv, environ);
            if (errno != ENOENT && errno != ENOTDIR && errno != EACCES)
                return errno;
            sys = errno == EACCES ? EACCES : sys;
        }
        at += length;
    }
    return sys;
}

/* Runs in the target-to-be, between clone and exec, on our memory: system calls only. */
static int child_main(void *argument)
{
    struct child_job *job = argument;
    /* Should the warden be killed: nobody else may know the target. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setpgid(0, 0);
    if (job->nice != 0)
        setpriority(PRIO_PROCESS, 0, job->nice);
    job->failed_step = PW_STEP_RLIMIT;
    if (setrlimit(RLIMIT_NOFILE, &job->go->nofile)) {
        job->sys = errno;
        _exit(127);
    }
    signal(SIGPIPE, job->go->sigpipe_ignored ? SIG_IGN : SIG_DFL);
    sigset_t blocked;
    sigemptyset(&blocked);
    for (int sig = 1; sig <= 64; sig++)
        if (job->go->blocked_signals & (UINT64_C(1) << (sig - 1)))
            sigaddset(&blocked, sig);
    sigprocmask(SIG_SETMASK, &blocked, NULL);
    reset_internal_signals();
    job->failed_step = PW_STEP_EXEC;
    job->sys = exec_by_path(job->argv);
    _exit(127);
}

/* The target gets no descriptor from `first` on: what perfwrap happened to inherit would count as
 * the target's. */
static void hide_descriptors(int first)
{
    enum { LAST_TRIED = 4096 };
    if (close_range((unsigned)first, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
        return;
    for (int fd = first; fd < LAST_TRIED; fd++) /* before Linux 5.11 */
        fcntl(fd, F_SETFD, FD_CLOEXEC);
}

/* Starts the target. CLONE_VFORK: returns once exec has succeeded or failed, so both are told apart
 * without a pipe. CLONE_PIDFD: the exit can be polled for. */
static int start_target(struct warden *warden, char **argv)
{
    struct child_job job = {.argv = argv, .go = &warden->go, .nice = warden->inherited_nice};
    struct pw_warden_report message = {.kind = PW_REPORT_STARTED};
    message.started.spawned_at_ns = now_ns();
    pid_t pid = clone(child_main, child_stack + sizeof child_stack,
                      CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &job, &warden->pidfd);
    int clone_sys = errno;
    message.started.execed_at_ns = now_ns();
    if (pid < 0 || job.sys != 0) {
        message.kind = PW_REPORT_FAILED;
        message.failed.step = pid < 0 ? PW_STEP_CLONE : (enum pw_spawn_step)job.failed_step;
        message.failed.sys = pid < 0 ? clone_sys : job.sys;
        report(warden, &message);
        return -1;
    }
    message.started.pid = pid;
    warden->root = warden->root_group = pid;
    if (warden->go.timeout_ns > 0)
        warden->deadline_ns = message.started.spawned_at_ns + warden->go.timeout_ns;
    report(warden, &message);
    return 0;
}

/* /proc/PID/io of a zombie holds its own bytes and those of all descendants it waited for. */
static int read_io(pid_t pid, uint64_t io[PW_WARDEN_IO_COUNT])
{
    static const char *const names[PW_WARDEN_IO_COUNT] = {
        "rchar: ", "wchar: ", "\nread_bytes: ", "\nwrite_bytes: "};
    char path[32], buffer[512];
    snprintf(path, sizeof path, "/proc/%d/io", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    ssize_t got = read(fd, buffer, sizeof buffer - 1);
    int sys = got < 0 ? errno : 0;
    close(fd);
    if (got <= 0)
        return sys ? sys : ENODATA;
    buffer[got] = '\0';
    for (int i = 0; i < PW_WARDEN_IO_COUNT; i++) {
        const char *found = strstr(buffer, names[i]);
        if (!found)
            return ENODATA;
        io[i] = strtoull(found + strlen(names[i]), NULL, 10);
    }
    return 0;
}

/* Whether the number of the target's process group is still its own: while the target is not
 * reaped, or a child of ours is in the group. Else it may belong to others. */
static bool holds_group(const struct warden *warden)
{
    siginfo_t info;
    return warden->root ||
           waitid(P_PGID, (id_t)warden->root_group, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

/* What is left to do after the target's end is urgent to nobody: it must not delay the starts and
 * ends of other targets. Only where real-time priority was allowed, for there the way back is
 * allowed too. */
static void step_back(const struct warden *warden)
{
    const struct sched_param none = {0};
    if (warden->fifo)
        sched_setscheduler(0, SCHED_IDLE, &none);
}

static void step_forward(const struct warden *warden)
{
    const struct sched_param none = {0};
    if (warden->fifo)
        sched_setscheduler(0, SCHED_OTHER, &none);
}

static void signal_tree(const struct warden *warden, int sig)
{
    step_forward(warden); /* against what forks, speed counts */
    ssize_t count = pw_kin_list(getpid(), kin, PW_KIN_MAX);
    /* The group first: the kernel signals it in one go, before any member can fork again. */
    if (holds_group(warden) && (sig == SIGKILL || count <= 0))
        kill(-warden->root_group, sig);
    for (ssize_t i = 0; i < count; i++)
        kill(kin[i], sig);
}

static void begin_term(struct warden *warden, int64_t now)
{
    warden->phase = PHASE_TERM;
    warden->deadline_ns = now + warden->go.grace_ns;
    signal_tree(warden, SIGTERM);
    signal_tree(warden, SIGCONT); /* what was stopped must run to see the TERM */
}

static void kill_pass(struct warden *warden, int64_t now)
{
    if (warden->phase != PHASE_KILL)
        warden->give_up_ns = now + GIVE_UP_NS;
    warden->phase = PHASE_KILL;
    warden->deadline_ns = now + REKILL_NS;
    signal_tree(warden, SIGKILL);
}

/* The target has ended by itself: whoever of its tree is still alive is an orphan. */
static void find_orphans(struct warden *warden)
{
    ssize_t count = pw_kin_list(getpid(), kin, PW_KIN_MAX);
    for (ssize_t i = 0; i < count; i++) {
        struct pw_warden_report message = {.kind = PW_REPORT_ORPHAN};
        char state;
        if (!pw_kin_describe(kin[i], message.orphan.comm, &state) || state == 'Z' || state == 'X')
            continue;
        message.orphan.pid = kin[i];
        warden->orphans++;
        report(warden, &message);
    }
}

static void root_ended(struct warden *warden, int64_t ended_at_ns)
{
    struct pw_warden_report message = {.kind = PW_REPORT_EXITED};
    step_back(warden);
    message.exited.ended_at_ns = ended_at_ns;
    message.exited.cause = warden->cause;
    message.exited.io_sys = read_io(warden->root, message.exited.io);
    while (wait4(warden->root, &message.exited.status, 0, &message.exited.usage) < 0 &&
           errno == EINTR)
        ;
    warden->root = 0;
    close(warden->pidfd);
    warden->pidfd = -1;
    report(warden, &message);
    if (warden->phase != PHASE_RUNNING)
        return;
    warden->deadline_ns = INT64_MAX;
    find_orphans(warden);
}

/* Reaps what was re-parented to us. Returns false once there are no children at all. */
static bool reap_others(struct warden *warden)
{
    for (;;) {
        siginfo_t info = {0};
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT))
            return errno != ECHILD;
        if (info.si_pid == 0 || info.si_pid == warden->root)
            return true; /* the target's exit is for the pidfd to tell */
        waitpid(info.si_pid, NULL, 0);
    }
}

static void close_from_to(int first, int last)
{
    enum { LAST_TRIED = 4096 };
    if (first > last || close_range((unsigned)first, (unsigned)last, 0) == 0)
        return;
    for (int fd = first; fd <= last && fd < LAST_TRIED; fd++) /* before Linux 5.9 */
        close(fd);
}

/* From now on the target is ours alone. Whatever perfwrap has inherited must not stay open for as
 * long: somebody may wait for a pipe's end. */
static void leave_perfwrap(struct warden *warden)
{
    int low = warden->pidfd < warden->signals ? warden->pidfd : warden->signals;
    int high = warden->pidfd < warden->signals ? warden->signals : warden->pidfd;
    step_forward(warden); /* the time of its end is of no interest: no real-time priority */
    warden->fifo = false;
    warden->deadline_ns = INT64_MAX;
    warden->control = -1;
    close_from_to(0, low - 1);
    close_from_to(low + 1, high - 1);
    close_from_to(high + 1, INT_MAX);
    for (int fd = open("/dev/null", O_RDWR); fd >= 0 && fd < STDERR_FILENO;) {
        int next = dup(fd); /* a library that writes there must not hit what is opened later */
        if (next < fd)
            break;
        fd = next;
    }
}

static void take_order(struct warden *warden, int64_t now)
{
    struct pw_warden_order order;
    ssize_t got = recv(warden->control, &order, sizeof order, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got != sizeof order) { /* perfwrap is gone: nobody is left to wait for a grace */
        warden->go.keep_orphans = false;
        warden->orphaned = true;
        close(warden->control);
        warden->control = -1;
        kill_pass(warden, now);
    } else if (order.kind == PW_ORDER_KILL) {
        warden->cause = warden->cause ? warden->cause : PW_CAUSE_ORDER;
        kill_pass(warden, now);
    } else if (order.kind == PW_ORDER_END && warden->phase == PHASE_RUNNING) {
        warden->cause = PW_CAUSE_ORDER;
        begin_term(warden, now);
    } else if (order.kind == PW_ORDER_EXPECT && warden->phase == PHASE_RUNNING) {
        warden->cause = PW_CAUSE_ORDER;
        warden->deadline_ns = now + warden->go.patience_ns;
    } else if (order.kind == PW_ORDER_HOLD && warden->phase == PHASE_RUNNING) {
        warden->deadline_ns = INT64_MAX;
        warden->held = true;
    } else if (order.kind == PW_ORDER_RELEASE && warden->phase == PHASE_RUNNING && warden->root) {
        leave_perfwrap(warden);
    }
}

static void deadline_reached(struct warden *warden, int64_t now)
{
    if (warden->phase == PHASE_RUNNING) {
        warden->cause = warden->cause ? warden->cause : PW_CAUSE_TIMEOUT;
        begin_term(warden, now);
    } else {
        kill_pass(warden, now);
    }
}

static void wait_for_event(struct warden *warden)
{
    struct pollfd events[] = {
        {.fd = warden->pidfd, .events = POLLIN},
        {.fd = warden->signals, .events = POLLIN},
        {.fd = warden->control, .events = POLLIN},
    };
    struct timespec timeout, *limit = NULL;
    if (warden->deadline_ns != INT64_MAX) {
        int64_t left = warden->deadline_ns - now_ns();
        left = left < 0 ? 0 : left;
        timeout = (struct timespec){.tv_sec = left / NS_PER_SEC, .tv_nsec = left % NS_PER_SEC};
        limit = &timeout;
    }
    int ready = ppoll(events, 3, limit, NULL);
    int64_t now = now_ns();
    if (ready > 0 && events[0].revents)
        root_ended(warden, now);
    if (ready > 0 && events[1].revents) {
        struct signalfd_siginfo drained[8];
        while (read(warden->signals, drained, sizeof drained) > 0)
            ;
    }
    if (ready > 0 && events[2].revents)
        take_order(warden, now);
    if (now >= warden->deadline_ns)
        deadline_reached(warden, now);
}

static bool is_finished(struct warden *warden, bool *ret_survivors)
{
    bool has_children = reap_others(warden);
    *ret_survivors = false;
    if (warden->root)
        return false;
    if (!has_children)
        return true;
    if (warden->phase == PHASE_RUNNING) {
        if (warden->orphans == 0)
            warden->orphans = 1; /* not listed: it forks too fast for that, or there is no /proc */
        if (warden->go.keep_orphans)
            return true;
        if (warden->held || warden->control < 0)
            begin_term(warden, now_ns());
    }
    *ret_survivors = warden->phase == PHASE_KILL && now_ns() >= warden->give_up_ns;
    return *ret_survivors;
}

/* Waits with real-time priority if allowed, so that a crowd of runnable workers does not delay the
 * time of an exit. SCHED_RESET_ON_FORK keeps it from the target (sched(7)). */
static bool become_real_time(void)
{
    const struct sched_param lowest = {.sched_priority = 1};
    return sched_getscheduler(0) == SCHED_OTHER &&
           sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &lowest) == 0;
}

static int prepare(struct warden *warden, const char *control)
{
    warden->control = (int)strtol(control, NULL, 10);
    warden->parent = getppid();
    fcntl(warden->control, F_SETFD, FD_CLOEXEC);
    setpgid(0, 0); /* out of the terminal's foreground group: its signals are for perfwrap */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    prctl(PR_SET_NAME, PW_WARDEN_NAME);
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    signal(SIGCHLD, SIG_DFL); /* an inherited SIG_IGN would reap the target unseen */
    warden->signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    errno = 0;
    warden->inherited_nice = getpriority(PRIO_PROCESS, 0);
    warden->fifo = become_real_time();
    struct pw_warden_report ready = {.kind = PW_REPORT_READY, .fifo = warden->fifo};
    report(warden, &ready);
    ssize_t got;
    do
        got = recv(warden->control, &warden->go, sizeof warden->go, 0);
    while (got < 0 && errno == EINTR);
    return got == sizeof warden->go && warden->go.kind == PW_ORDER_GO ? 0 : -1;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status, (void)kind, (void)place;
    remove(path);
    return 0;
}

/* Whether perfwrap is really gone: while it lives it is our parent, and has the folder of all
 * workers locked (scratch.h). Other wardens want the lock too. */
static bool take_lock(const char *folder, pid_t parent)
{
    enum { TRIES = 400, TRIES_IF_IT_LIVES = 10, PAUSE_NS = 5000000 };
    const struct timespec pause = {.tv_nsec = PAUSE_NS};
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    for (int i = 0; fd >= 0 && i < (getppid() == parent ? TRIES_IF_IT_LIVES : TRIES); i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return true; /* until our end */
        nanosleep(&pause, NULL);
    }
    return false;
}

/* Does what perfwrap would have done. Of several workers the last one's warden finds the folder
 * above empty. */
static void remove_folder(const struct warden *warden)
{
    enum { FOLDERS_OPEN = 16 };
    const char *folder = getenv("PERFWRAP_WORKER_DIR");
    char above[PATH_MAX];
    if (!folder || folder[0] != '/' || strlen(folder) >= sizeof above)
        return;
    stpcpy(above, folder);
    *strrchr(above, '/') = '\0';
    step_forward(warden);
    if (!take_lock(above, warden->parent))
        return;
    nftw(folder, remove_entry, FOLDERS_OPEN, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    rmdir(above);
}

int main(int argc, char **argv)
{
    static struct warden warden = {.pidfd = -1, .deadline_ns = INT64_MAX};
    if (argc < 3)
        return 0;
    if (prepare(&warden, argv[1])) { /* called off before the start */
        remove_folder(&warden);
        return 0;
    }
    const int first_hidden = warden.go.has_mark_fd ? 4 : 3;
    if (!warden.go.inherit_fds)
        hide_descriptors(first_hidden);
    if (start_target(&warden, argv + 2))
        return 0;
    for (int fd = 0; fd < first_hidden; fd++)
        close(fd); /* they are the target's: its pipes must end with its tree */
    bool survivors = false;
    while (!is_finished(&warden, &survivors))
        wait_for_event(&warden);
    struct pw_warden_report done = {.kind = PW_REPORT_DONE};
    done.done.orphans = warden.orphans;
    done.done.survivors = survivors;
    if (warden.control >= 0)
        report(&warden, &done);
    if (warden.orphaned)
        remove_folder(&warden);
    return 0;
}
