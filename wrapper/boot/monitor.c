#include "wrapper/boot/monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "core/clock.h"
#include "core/file.h"
#include "core/limits.h"
#include "wrapper/boot/interrupt.h"

enum {
    READ_BYTES = 16384,
    CHILD_FDS = PW_MONITOR_FOLDER_FD + 1, /* standard ones, the marks', the folder */
    EXEC_FAILED = 127,
    SHOWN_BYTES = 240, /* of what was said last, in a message */
};

void pw_monitor_end(struct pw_monitor *monitor)
{
    if (monitor->pid > 0) {
        /* Before it is reaped, so that the number cannot be another's. */
        kill(-monitor->pid, SIGKILL);
        kill(monitor->pid, SIGKILL);
        while (waitpid(monitor->pid, NULL, 0) < 0 && errno == EINTR) {}
    }
    for (int i = 0; i < PW_MONITOR_STREAMS; i++) {
        pw_fd_done(&monitor->fds[i]);
        pw_str_done(&monitor->texts[i]);
    }
    *monitor = PW_MONITOR_INIT;
}

/* Between fork and exec: only calls that are safe then (signal-safety(7)). */
_Noreturn static void become(char *const *argv, const int fds[CHILD_FDS], int failed_fd,
                             pid_t parent)
{
    int raised[CHILD_FDS];
    sigset_t none;
    bool ready = true;
    sigemptyset(&none);
    setpgid(0, 0);
    /* The parent may have ended before prctl. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent) {
        _exit(EXEC_FAILED);
    }
    signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    /* Out of the way first: one of them may be where another one belongs. */
    failed_fd = fcntl(failed_fd, F_DUPFD_CLOEXEC, CHILD_FDS);
    for (int i = 0; i < CHILD_FDS; i++) {
        raised[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, CHILD_FDS);
        ready = ready && raised[i] >= 0;
    }
    for (int i = 0; i < CHILD_FDS; i++) {
        ready = ready && dup2(raised[i], i) == i;
    }
    if (ready) {
        syscall(SYS_close_range, (unsigned)CHILD_FDS, ~0u, 1u << 2 /* CLOSE_RANGE_CLOEXEC */);
        execv(argv[0], argv);
    }
    int sys = errno;
    (void)!write(failed_fd, &sys, sizeof(sys));
    _exit(EXEC_FAILED);
}

/* Why exec failed: its end of the pipe is closed by exec, or brings errno. 0: it did not. */
static int read_failure(int fd)
{
    int sys = 0;
    ssize_t count;
    do {
        count = read(fd, &sys, sizeof(sys));
    } while (count < 0 && errno == EINTR);
    return count == (ssize_t)sizeof(sys) ? sys : 0;
}

static int start_with(char *const *argv, const int fds[CHILD_FDS], struct pw_monitor *monitor,
                      struct pw_err *err)
{
    int failed[2];
    const pid_t parent = getpid();
    if (pipe2(failed, O_CLOEXEC) != 0) {
        return pw_err_system(err, errno, "create a pipe");
    }
    monitor->pid = fork();
    if (monitor->pid == 0) {
        become(argv, fds, failed[1], parent);
    }
    int sys = monitor->pid < 0 ? errno : 0;
    close(failed[1]);
    if (monitor->pid > 0) {
        setpgid(monitor->pid, monitor->pid); /* here too: it is so when the group is killed */
        sys = read_failure(failed[0]);
    }
    close(failed[0]);
    return sys == 0 ? 0 : pw_err_system(err, sys, "run `%s`", argv[0]);
}

int pw_monitor_start(char *const *argv, int folder_fd, struct pw_monitor *ret_monitor,
                     struct pw_err *err)
{
    PW_MONITOR_AUTO monitor = PW_MONITOR_INIT;
    int ends[PW_MONITOR_STREAMS] = {-1, -1, -1}, status = 0;
    PW_FD_AUTO null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null_fd < 0) {
        return pw_err_system(err, errno, "open `/dev/null`");
    }
    for (int i = 0; i < PW_MONITOR_STREAMS && status == 0; i++) {
        int both[2];
        if (pipe2(both, O_CLOEXEC) != 0) {
            status = pw_err_system(err, errno, "create a pipe");
        } else {
            monitor.fds[i] = both[0];
            ends[i] = both[1];
            fcntl(both[0], F_SETFL, O_NONBLOCK);
        }
    }
    if (status == 0) {
        const int fds[CHILD_FDS] = {null_fd, ends[PW_MONITOR_CONSOLE], ends[PW_MONITOR_ERRORS],
                                    ends[PW_MONITOR_MARKS], folder_fd};
        status = start_with(argv, fds, &monitor, err);
    }
    for (int i = 0; i < PW_MONITOR_STREAMS; i++) {
        pw_fd_done(&ends[i]);
    }
    if (status != 0) {
        return -1;
    }
    *ret_monitor = monitor;
    monitor = PW_MONITOR_INIT;
    return 0;
}

/* Reads what is there. */
static void read_stream(int *fd, struct pw_str *text)
{
    char buffer[READ_BYTES];
    ssize_t count = read(*fd, buffer, sizeof(buffer));
    if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) {
        pw_fd_done(fd);
        return;
    }
    pw_str_add_bytes(text, buffer, count > 0 ? (size_t)count : 0);
    if (!text->failed && text->length > PW_LIMIT_OUTPUT_TAIL_BYTES) {
        size_t excess = text->length - PW_LIMIT_OUTPUT_TAIL_BYTES;
        memmove(text->text, text->text + excess, PW_LIMIT_OUTPUT_TAIL_BYTES + 1);
        text->length = PW_LIMIT_OUTPUT_TAIL_BYTES;
    }
}

/* The line of a mark, if it is there in full. */
static const char *find_mark(const struct pw_str *text, const char *name)
{
    size_t length = strlen(name);
    for (const char *line = text->text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, "PW ", 3) == 0 && strncmp(line + 3, name, length) == 0 &&
            strchr(" \r\n", line[3 + length]) && strchr(line, '\n')) {
            return line;
        }
    }
    return NULL;
}

/* The last of what was said, as one line: errors of the monitor are nearer to the cause than the
 * console. */
static void last_said(const struct pw_monitor *monitor, char ret_line[static SHOWN_BYTES])
{
    const struct pw_str *errors = &monitor->texts[PW_MONITOR_ERRORS];
    const struct pw_str *text = errors->length > 0 ? errors : &monitor->texts[PW_MONITOR_CONSOLE];
    size_t from = text->length >= SHOWN_BYTES ? text->length - SHOWN_BYTES + 1 : 0, length = 0;
    for (const char *at = text->text + from; *at; at++) {
        bool is_control = (unsigned char)*at < ' ';
        if (!is_control || (length > 0 && ret_line[length - 1] != ' ')) {
            ret_line[length++] = is_control ? ' ' : *at;
        }
    }
    ret_line[length] = '\0';
    if (length == 0) {
        snprintf(ret_line, SHOWN_BYTES, "nothing");
    }
}

static int read_streams(struct pw_monitor *monitor, struct pw_err *err)
{
    struct pollfd polled[PW_MONITOR_STREAMS];
    for (int i = 0; i < PW_MONITOR_STREAMS; i++) {
        polled[i] = (struct pollfd){.fd = monitor->fds[i], .events = POLLIN};
    }
    if (poll(polled, PW_MONITOR_STREAMS, PW_INTERRUPT_LOOK_MS) < 0 && errno != EINTR) {
        return pw_err_system(err, errno, "wait for the machine");
    }
    for (int i = 0; i < PW_MONITOR_STREAMS; i++) {
        if (polled[i].revents != 0 && monitor->fds[i] >= 0) {
            read_stream(&monitor->fds[i], &monitor->texts[i]);
        }
    }
    return 0;
}

static int fail_ended(const struct pw_monitor *monitor, const char *name, struct pw_err *err)
{
    char said[SHOWN_BYTES];
    last_said(monitor, said);
    return pw_err_set(err, PW_ERR_SYSTEM,
                      "the machine ended before it came to `%s`; it said last: %s", name, said);
}

static int fail_late(const struct pw_monitor *monitor, const char *name, struct pw_err *err)
{
    char said[SHOWN_BYTES];
    last_said(monitor, said);
    pw_err_set(err, PW_ERR_SYSTEM, "the machine did not come to `%s` in time; it said last: %s",
               name, said);
    if (err) {
        err->sys = ETIMEDOUT;
    }
    return -1;
}

int pw_monitor_wait_for_mark(struct pw_monitor *monitor, const char *name, int64_t deadline_ns,
                             struct pw_err *err)
{
    const struct pw_str *marks = &monitor->texts[PW_MONITOR_MARKS];
    for (;;) {
        const char *fault = find_mark(marks, "fault");
        if (find_mark(marks, name)) {
            return 0;
        }
        if (fault) {
            return pw_err_set(err, PW_ERR_SYSTEM, "the guest cannot go on: %.*s",
                              (int)strcspn(fault, "\r\n"), fault);
        }
        /* Not before all was read. */
        if (monitor->fds[PW_MONITOR_MARKS] < 0 && monitor->fds[PW_MONITOR_CONSOLE] < 0 &&
            monitor->fds[PW_MONITOR_ERRORS] < 0) {
            return fail_ended(monitor, name, err);
        }
        if (pw_clock_now_ns() >= deadline_ns) {
            return fail_late(monitor, name, err);
        }
        if (pw_interrupt_is_pending()) {
            return pw_err_system(err, EINTR, "wait for the machine");
        }
        if (read_streams(monitor, err) != 0) {
            return -1;
        }
    }
}
