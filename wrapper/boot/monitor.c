#include "wrapper/boot/monitor.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include "core/clock.h"
#include "core/file.h"
#include "core/limits.h"
#include "wrapper/boot/base/interrupt.h"

enum { SHOWN_CHARS = 240 /* of what was said last, in a message */ };

void pw_monitor_end(struct pw_monitor *monitor)
{
    pw_child_end(&monitor->child);
    for (int i = 0; i < PW_MONITOR_STREAMS; i++) {
        pw_fd_done(&monitor->fds[i]);
        pw_str_done(&monitor->texts[i]);
    }
}

/* The caller closes `ends`. */
static int start(const char *const *argv, int folder_fd, struct pw_monitor *monitor,
                 int ends[PW_MONITOR_STREAMS], struct pw_err *err)
{
    for (int i = 0; i < PW_MONITOR_STREAMS; i++) {
        if (pw_stream_open(&monitor->fds[i], &ends[i], err) != 0) {
            return -1;
        }
    }
    const int fds[] = {-1, ends[PW_MONITOR_CONSOLE], ends[PW_MONITOR_ERRORS],
                       ends[PW_MONITOR_MARKS], folder_fd};
    const struct pw_program program = {
        .argv = argv, .fds = fds, .fd_count = PW_MONITOR_FOLDER_FD + 1};
    return pw_child_start(&program, &monitor->child, err);
}

int pw_monitor_start(const char *const *argv, int folder_fd, struct pw_monitor *ret_monitor,
                     struct pw_err *err)
{
    PW_MONITOR_AUTO monitor = PW_MONITOR_INIT;
    int ends[PW_MONITOR_STREAMS] = {-1, -1, -1};
    int status = start(argv, folder_fd, &monitor, ends, err);
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
        if (polled[i].revents != 0) {
            pw_stream_read(&monitor->fds[i], &monitor->texts[i], PW_LIMIT_OUTPUT_TAIL_BYTES);
        }
    }
    return 0;
}

/* With the last of what was said: errors of the monitor are nearer to the cause than the console.
 */
static int fail(struct pw_monitor *monitor, const char *what, const char *name, const char *when,
                struct pw_err *err)
{
    struct pw_str *errors = &monitor->texts[PW_MONITOR_ERRORS];
    PW_STR_AUTO shown = PW_STR_INIT;
    pw_stream_show(errors->length > 0 ? errors : &monitor->texts[PW_MONITOR_CONSOLE], SHOWN_CHARS,
                   &shown);
    return pw_err_set(err, PW_ERR_SYSTEM, "the machine %s `%s`%s; it said last: %s", what, name,
                      when, shown.length > 0 ? shown.text : "nothing");
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
            return fail(monitor, "ended before it came to", name, "", err);
        }
        if (pw_clock_now_ns() >= deadline_ns) {
            fail(monitor, "did not come to", name, " in time", err);
            return pw_err_errno(err, ETIMEDOUT);
        }
        if (pw_interrupt_is_pending()) {
            return pw_err_system(err, EINTR, "wait for the machine");
        }
        if (read_streams(monitor, err) != 0) {
            return -1;
        }
    }
}
