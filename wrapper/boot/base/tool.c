#include "wrapper/boot/base/tool.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include "core/clock.h"
#include "core/file.h"
#include "core/limits.h"
#include "wrapper/boot/base/child.h"
#include "wrapper/boot/base/interrupt.h"

enum {
    ERRORS_KEPT_BYTES = 4096, /* the end of standard error */
    ERRORS_SHOWN_CHARS = 380, /* of it, in the message */
    /* In a row, of one pipe: enough to empty it, and an end to it if the tool writes faster than is
     * read here. */
    READS = 128,
};

struct run {
    const struct pw_tool_call *call;
    const char *name; /* for messages */
    struct pw_child child;
    int output_fd, errors_fd;
    size_t output_bytes;
    struct pw_str errors; /* the end of standard error */
};

static int start(struct run *run, struct pw_err *err)
{
    PW_FD_AUTO output_end = -1;
    PW_FD_AUTO errors_end = -1;
    if (pw_stream_open(&run->output_fd, &output_end, err) != 0 ||
        pw_stream_open(&run->errors_fd, &errors_end, err) != 0) {
        return -1;
    }
    const int fds[] = {-1, output_end, errors_end};
    const struct pw_program program = {
        .argv = run->call->argv, .folder = run->call->folder, .fds = fds, .fd_count = 3};
    return pw_child_start(&program, &run->child, err);
}

/* Reads what is there, of both. */
static int drain(struct run *run, struct pw_err *err)
{
    struct pw_str *output = run->call->output;
    size_t count = 1;
    for (int i = 0; i < READS && count > 0; i++) {
        count = pw_stream_read(&run->errors_fd, &run->errors, ERRORS_KEPT_BYTES);
    }
    count = 1;
    for (int i = 0; i < READS && count > 0; i++) {
        count = pw_stream_read(&run->output_fd, output, PW_LIMIT_TOOL_OUTPUT_BYTES);
        run->output_bytes += count;
        if (output && run->output_bytes > PW_LIMIT_TOOL_OUTPUT_BYTES) {
            return pw_err_set(err, PW_ERR_SYSTEM, "`%s` printed more than %d MiB", run->name,
                              PW_LIMIT_TOOL_OUTPUT_BYTES >> 20);
        }
    }
    return output && output->failed ? pw_err_memory(err) : 0;
}

/* Until it has ended. Its descendants may keep its pipes open: what they say later is not read. */
static int follow(struct run *run, struct pw_err *err)
{
    const int64_t deadline_ns = pw_clock_now_ns() + run->call->timeout_sec * PW_NS_PER_SEC;
    for (;;) {
        struct pollfd polled[] = {{.fd = run->child.pid_fd, .events = POLLIN},
                                  {.fd = run->output_fd, .events = POLLIN},
                                  {.fd = run->errors_fd, .events = POLLIN}};
        if (poll(polled, 3, PW_INTERRUPT_LOOK_MS) < 0 && errno != EINTR) {
            return pw_err_system(err, errno, "wait for `%s`", run->name);
        }
        /* Looked at before the pipes are read: what it wrote before its end is then there. */
        const bool has_ended = polled[0].revents != 0;
        if (drain(run, err) != 0) {
            return -1;
        }
        if (has_ended) {
            return 0;
        }
        if (pw_clock_now_ns() >= deadline_ns) {
            pw_err_set(err, PW_ERR_SYSTEM, "`%s` took longer than %u s and was ended", run->name,
                       run->call->timeout_sec);
            return pw_err_errno(err, ETIMEDOUT);
        }
        if (pw_interrupt_is_pending()) {
            return pw_err_system(err, EINTR, "`%s` was ended", run->name);
        }
    }
}

static int judge(struct run *run, int wait_status, struct pw_err *err)
{
    if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0) {
        return 0;
    }
    PW_STR_AUTO shown = PW_STR_INIT;
    pw_stream_show(&run->errors, ERRORS_SHOWN_CHARS, &shown);
    const char *colon = shown.length > 0 ? ": " : "";
    if (WIFSIGNALED(wait_status)) {
        return pw_err_set(err, PW_ERR_SYSTEM, "`%s` was ended by signal %d (%s)%s%s", run->name,
                          WTERMSIG(wait_status), strsignal(WTERMSIG(wait_status)), colon,
                          shown.text);
    }
    return pw_err_set(err, PW_ERR_SYSTEM, "`%s` failed with status %d%s%s", run->name,
                      WEXITSTATUS(wait_status), colon, shown.text);
}

int pw_tool_run(const struct pw_tool_call *call, struct pw_err *err)
{
    const char *slash = strrchr(call->argv[0], '/');
    struct run run = {.call = call,
                      .name = slash ? slash + 1 : call->argv[0],
                      .child = PW_CHILD_INIT,
                      .output_fd = -1,
                      .errors_fd = -1,
                      .errors = PW_STR_INIT};
    int status = start(&run, err);
    if (status == 0) {
        status = follow(&run, err);
    }
    int wait_status = pw_child_end(&run.child);
    pw_fd_done(&run.output_fd);
    pw_fd_done(&run.errors_fd);
    if (status == 0) {
        status = judge(&run, wait_status, err);
    }
    pw_str_done(&run.errors);
    return status;
}
