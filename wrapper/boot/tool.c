#include "wrapper/boot/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "core/clock.h"
#include "core/file.h"
#include "core/limits.h"
#include "wrapper/boot/interrupt.h"

enum {
    READ_BYTES = 65536,
    ERRORS_KEPT_BYTES = 4096, /* the end of standard error */
    ERRORS_SHOWN_CHARS = 380, /* of it, in the message */
    EXEC_FAILED = 127,
};

struct run {
    const struct pw_tool_call *call;
    const char *name; /* for messages */
    pid_t pid;        /* of its keeper */
    int pid_fd, output_fd, errors_fd, failed_fd;
    size_t output_bytes;
    struct pw_str errors; /* the end of standard error */
};

/* The environment with LC_ALL=C: messages are shown and output is parsed. One allocation. */
static char **make_environment(void)
{
    static char c_locale[] = "LC_ALL=C";
    static char *no_variables[] = {NULL};
    char *const *inherited = environ ? environ : no_variables;
    size_t count = 0;
    while (inherited[count]) {
        count++;
    }
    char **environment = calloc(count + 2, sizeof(*environment));
    if (!environment) {
        return NULL;
    }
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (strncmp(inherited[i], "LC_ALL=", 7) != 0 &&
            strncmp(inherited[i], "LANGUAGE=", 9) != 0) {
            environment[kept++] = inherited[i];
        }
    }
    environment[kept] = c_locale;
    return environment;
}

/*
 * Between perfwrap and the tool stands a keeper: when perfwrap dies it ends the tool's whole
 * process group, for the tool's own children know nothing of perfwrap (dpkg-deb has a tar).
 * Otherwise it waits for the tool and ends as the tool does. Both make only calls that are safe
 * after fork (signal-safety(7)), for perfwrap may have threads.
 */
static void end_group(int sig)
{
    (void)sig;
    kill(0, SIGKILL);
}

_Noreturn static void become_tool(const struct pw_tool_call *call, char **environment,
                                  const int std_fds[3], int failed_fd, pid_t keeper)
{
    int fds[3];
    bool ready = prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == keeper;
    signal(SIGPIPE, SIG_DFL);
    /* Out of the way first: one of them may be where another one belongs. */
    for (int i = 0; i < 3; i++) {
        fds[i] = fcntl(std_fds[i], F_DUPFD_CLOEXEC, 3);
        ready = ready && fds[i] >= 0;
    }
    for (int i = 0; i < 3; i++) {
        ready = ready && dup2(fds[i], i) == i;
    }
    if (ready && (!call->folder || chdir(call->folder) == 0)) {
        syscall(SYS_close_range, 3u, ~0u, 1u << 2 /* CLOSE_RANGE_CLOEXEC */);
        execve(call->argv[0], (char *const *)call->argv, environment);
    }
    int sys = errno;
    (void)!write(failed_fd, &sys, sizeof(sys));
    _exit(EXEC_FAILED);
}

_Noreturn static void end_as(int wait_status)
{
    if (WIFSIGNALED(wait_status)) {
        const int sig = WTERMSIG(wait_status);
        setrlimit(RLIMIT_CORE, &(struct rlimit){0}); /* it would be perfwrap's */
        signal(sig, SIG_DFL);
        kill(getpid(), sig);
    }
    _exit(WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : EXEC_FAILED);
}

_Noreturn static void become_keeper(const struct pw_tool_call *call, char **environment,
                                    const int std_fds[3], int failed_fd, pid_t parent)
{
    sigset_t none;
    sigemptyset(&none);
    setpgid(0, 0);
    signal(SIGTERM, end_group);
    sigprocmask(SIG_SETMASK, &none, NULL);
    /* The parent may have ended before prctl. */
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != parent) {
        _exit(EXEC_FAILED);
    }
    const pid_t keeper = getpid();
    /* As fork(2), without what the library's function does besides. */
    pid_t tool = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (tool == 0) {
        become_tool(call, environment, std_fds, failed_fd, keeper);
    }
    if (tool < 0) {
        int sys = errno;
        (void)!write(failed_fd, &sys, sizeof(sys));
        _exit(EXEC_FAILED);
    }
    /* That it is closed tells perfwrap that exec has worked. */
    close(failed_fd);
    close(std_fds[1]);
    close(std_fds[2]);
    syscall(SYS_close_range, 0u, ~0u, 0u);
    int wait_status = 0;
    while (waitpid(tool, &wait_status, 0) < 0 && errno == EINTR) {}
    end_as(wait_status);
}

static int open_pipe(int ret_ends[2], bool is_polled, struct pw_err *err)
{
    if (pipe2(ret_ends, O_CLOEXEC) != 0) {
        return pw_err_system(err, errno, "create a pipe");
    }
    /* Above the standard three, which the child fills; and not blocking on our side. */
    for (int i = 0; i < 2; i++) {
        if (ret_ends[i] < 3) {
            int raised = fcntl(ret_ends[i], F_DUPFD_CLOEXEC, 3);
            close(ret_ends[i]);
            ret_ends[i] = raised;
        }
    }
    if (ret_ends[0] < 0 || ret_ends[1] < 0 ||
        (is_polled && fcntl(ret_ends[0], F_SETFL, O_NONBLOCK) != 0)) {
        int sys = errno;
        pw_fd_done(&ret_ends[0]);
        pw_fd_done(&ret_ends[1]);
        return pw_err_system(err, sys, "prepare a pipe");
    }
    return 0;
}

static int fail_to_start(const struct run *run, int sys, struct pw_err *err)
{
    return pw_err_system(err, sys, "run `%s`", run->call->argv[0]);
}

/* `ends` are the other ends of run's three pipes. */
static int start_with(struct run *run, int null_fd, const int ends[3], struct pw_err *err)
{
    PW_FREE_AUTO char **environment = make_environment();
    if (!environment) {
        return pw_err_memory(err);
    }
    const pid_t parent = getpid();
    run->pid = fork();
    if (run->pid < 0) {
        return fail_to_start(run, errno, err);
    }
    if (run->pid == 0) {
        const int std_fds[3] = {null_fd, ends[0], ends[1]};
        become_keeper(run->call, environment, std_fds, ends[2], parent);
    }
    setpgid(run->pid, run->pid); /* here too, so that it is so when the group is killed */
    run->pid_fd = (int)syscall(SYS_pidfd_open, run->pid, 0);
    return run->pid_fd >= 0 ? 0 : pw_err_system(err, errno, "watch `%s`", run->name);
}

static int start(struct run *run, struct pw_err *err)
{
    PW_FD_AUTO null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null_fd < 0) {
        return pw_err_system(err, errno, "open `/dev/null`");
    }
    int output[2] = {-1, -1}, errors[2] = {-1, -1}, failed[2] = {-1, -1};
    int status = open_pipe(output, true, err);
    if (status == 0) {
        status = open_pipe(errors, true, err);
    }
    if (status == 0) {
        status = open_pipe(failed, false, err);
    }
    if (status == 0) {
        const int ends[3] = {output[1], errors[1], failed[1]};
        status = start_with(run, null_fd, ends, err);
    }
    pw_fd_done(&output[1]);
    pw_fd_done(&errors[1]);
    pw_fd_done(&failed[1]);
    run->output_fd = output[0];
    run->errors_fd = errors[0];
    run->failed_fd = failed[0];
    if (status != 0) {
        return -1;
    }
    /* Its end is closed by exec, or brings why that failed. */
    int sys = 0;
    ssize_t count;
    do {
        count = read(run->failed_fd, &sys, sizeof(sys));
    } while (count < 0 && errno == EINTR);
    return count == (ssize_t)sizeof(sys) ? fail_to_start(run, sys, err) : 0;
}

/* One read of a pipe; it is closed at its end. Returns the bytes read, 0 if there is nothing more
 * at present. */
static size_t read_some(int *fd, char *buffer)
{
    if (*fd < 0) {
        return 0;
    }
    ssize_t count = read(*fd, buffer, READ_BYTES);
    if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) {
        pw_fd_done(fd);
    }
    return count > 0 ? (size_t)count : 0;
}

static void keep_end(struct pw_str *text, const char *bytes, size_t size)
{
    pw_str_add_bytes(text, bytes, size);
    if (!text->failed && text->length > ERRORS_KEPT_BYTES) {
        size_t excess = text->length - ERRORS_KEPT_BYTES;
        memmove(text->text, text->text + excess, ERRORS_KEPT_BYTES);
        text->length = ERRORS_KEPT_BYTES;
        text->text[text->length] = '\0';
    }
}

/* Reads what is there, of both. */
static int drain(struct run *run, char *buffer, struct pw_err *err)
{
    size_t count;
    while ((count = read_some(&run->errors_fd, buffer)) > 0) {
        keep_end(&run->errors, buffer, count);
    }
    while ((count = read_some(&run->output_fd, buffer)) > 0) {
        run->output_bytes += count;
        if (run->call->output && run->output_bytes > PW_LIMIT_TOOL_OUTPUT_BYTES) {
            return pw_err_set(err, PW_ERR_SYSTEM, "`%s` printed more than %d MiB", run->name,
                              PW_LIMIT_TOOL_OUTPUT_BYTES >> 20);
        }
        if (run->call->output) {
            pw_str_add_bytes(run->call->output, buffer, count);
            if (run->call->output->failed) {
                return pw_err_memory(err);
            }
        }
    }
    return 0;
}

static int fail_late(const struct run *run, struct pw_err *err)
{
    pw_err_set(err, PW_ERR_SYSTEM, "`%s` took longer than %u s and was ended", run->name,
               run->call->timeout_sec);
    if (err) {
        err->sys = ETIMEDOUT;
    }
    return -1;
}

/* Until it has ended. Its descendants may keep its pipes open: what they say later is not read. */
static int follow(struct run *run, char *buffer, struct pw_err *err)
{
    const int64_t deadline_ns = pw_clock_now_ns() + run->call->timeout_sec * PW_NS_PER_SEC;
    for (;;) {
        struct pollfd polled[] = {{.fd = run->pid_fd, .events = POLLIN},
                                  {.fd = run->output_fd, .events = POLLIN},
                                  {.fd = run->errors_fd, .events = POLLIN}};
        if (poll(polled, 3, PW_INTERRUPT_LOOK_MS) < 0 && errno != EINTR) {
            return pw_err_system(err, errno, "wait for `%s`", run->name);
        }
        /* Looked at before the pipes are read: what it wrote before its end is then there. */
        const bool has_ended = polled[0].revents != 0;
        if (drain(run, buffer, err) != 0) {
            return -1;
        }
        if (has_ended) {
            return 0;
        }
        if (pw_clock_now_ns() >= deadline_ns) {
            return fail_late(run, err);
        }
        if (pw_interrupt_is_pending()) {
            return pw_err_system(err, EINTR, "`%s` was ended", run->name);
        }
    }
}

/* Ends what is left of its process group, and reaps it. */
static int finish(struct run *run)
{
    int wait_status = 0;
    if (run->pid > 0) {
        /* Before it is reaped, so that the number cannot be another's. */
        kill(-run->pid, SIGKILL);
        kill(run->pid, SIGKILL);
        while (waitpid(run->pid, &wait_status, 0) < 0 && errno == EINTR) {}
    }
    pw_fd_done(&run->pid_fd);
    pw_fd_done(&run->output_fd);
    pw_fd_done(&run->errors_fd);
    pw_fd_done(&run->failed_fd);
    return wait_status;
}

/* Where the last lines of `text` begin; blank ends do not count. */
static const char *last_lines(char *text, size_t length)
{
    while (length > 0 && strchr(" \t\r\n", text[length - 1])) {
        text[--length] = '\0';
    }
    size_t at = length;
    for (unsigned lines = 0; at > 0; at--) {
        if (text[at - 1] == '\n' && ++lines == PW_LIMIT_STDERR_TAIL_LINES) {
            break;
        }
    }
    return text + at;
}

/* On one line, lines parted by " | ", what is not printable as \xNN. */
static void make_visible(struct pw_str *ret_shown, const char *text)
{
    for (; *text != '\0'; text++) {
        const unsigned char c = (unsigned char)*text;
        if (c == '\n') {
            pw_str_add(ret_shown, " | ");
        } else if (c == '\t') {
            pw_str_add_char(ret_shown, ' ');
        } else if (c == '\r') {
            continue;
        } else if (c < ' ' || c >= 0x7f) {
            pw_str_addf(ret_shown, "\\x%02x", c);
        } else {
            pw_str_add_char(ret_shown, (char)c);
        }
    }
}

static int judge(struct run *run, int wait_status, struct pw_err *err)
{
    if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0) {
        return 0;
    }
    PW_STR_AUTO shown = PW_STR_INIT;
    if (run->errors.length > 0) {
        make_visible(&shown, last_lines(run->errors.text, run->errors.length));
    }
    const char *tail = shown.text;
    const char *cut = "";
    if (shown.length > ERRORS_SHOWN_CHARS) {
        tail += shown.length - ERRORS_SHOWN_CHARS;
        cut = "...";
    }
    const char *colon = shown.length > 0 ? ": " : "";
    if (WIFSIGNALED(wait_status)) {
        return pw_err_set(err, PW_ERR_SYSTEM, "`%s` was ended by signal %d (%s)%s%s%s", run->name,
                          WTERMSIG(wait_status), strsignal(WTERMSIG(wait_status)), colon, cut,
                          tail);
    }
    return pw_err_set(err, PW_ERR_SYSTEM, "`%s` failed with status %d%s%s%s", run->name,
                      WEXITSTATUS(wait_status), colon, cut, tail);
}

int pw_tool_run(const struct pw_tool_call *call, struct pw_err *err)
{
    const char *slash = strrchr(call->argv[0], '/');
    struct run run = {.call = call,
                      .name = slash ? slash + 1 : call->argv[0],
                      .pid_fd = -1,
                      .output_fd = -1,
                      .errors_fd = -1,
                      .failed_fd = -1,
                      .errors = PW_STR_INIT};
    PW_FREE_AUTO char *buffer = malloc(READ_BYTES);
    if (!buffer) {
        return pw_err_memory(err);
    }
    int status = start(&run, err);
    if (status == 0) {
        status = follow(&run, buffer, err);
    }
    int wait_status = finish(&run);
    if (status == 0) {
        status = judge(&run, wait_status, err);
    }
    pw_str_done(&run.errors);
    return status;
}
