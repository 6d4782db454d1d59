#include "wrapper/boot/base/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "core/file.h"
#include "core/limits.h"

enum { READ_BYTES = 16384, EXEC_FAILED = 127, KEEPER_MS = 10000 };

/* perfwrap's own with LC_ALL=C. One allocation. */
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

/* ---- Behind fork(2): only calls that are safe then, for perfwrap may have threads ---- */

/* The keeper's: the program, whose group has its number. */
static volatile pid_t kept;

static void end_kept(int sig)
{
    (void)sig;
    kill(-kept, SIGKILL);
}

_Noreturn static void fail_here(int failed_fd, int sys)
{
    (void)!write(failed_fd, &sys, sizeof(sys));
    _exit(EXEC_FAILED);
}

_Noreturn static void become_program(const struct pw_program *program, char **environment,
                                     int failed_fd, pid_t keeper)
{
    int fds[PW_CHILD_FDS];
    const int count = (int)program->fd_count;
    sigset_t none;
    sigemptyset(&none);
    bool ready = prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == keeper && setpgid(0, 0) == 0;
    signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    /* Out of the way first: one of them may be where another one belongs. */
    failed_fd = fcntl(failed_fd, F_DUPFD_CLOEXEC, count);
    for (int i = 0; i < count; i++) {
        const int fd =
            program->fds[i] < 0 ? open("/dev/null", O_RDWR | O_CLOEXEC) : program->fds[i];
        fds[i] = fcntl(fd, F_DUPFD_CLOEXEC, count);
        ready = ready && fds[i] >= 0;
    }
    for (int i = 0; i < count; i++) {
        ready = ready && dup2(fds[i], i) == i;
    }
    if (ready && (!program->folder || chdir(program->folder) == 0)) {
        syscall(SYS_close_range, (unsigned)count, ~0u, 1u << 2 /* CLOSE_RANGE_CLOEXEC */);
        execve(program->argv[0], (char *const *)program->argv, environment);
    }
    fail_here(failed_fd, errno);
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

/* Ends with the program, and after it: so whoever waits for the keeper knows that it is gone, with
 * all that it had. */
_Noreturn static void keep(pid_t pid)
{
    siginfo_t info;
    int wait_status = 0;
    while (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) != 0 && errno == EINTR) {}
    /* Before it is reaped, so that the number cannot be another's. */
    kill(-pid, SIGKILL);
    signal(SIGTERM, SIG_IGN);
    while (waitpid(pid, &wait_status, 0) < 0 && errno == EINTR) {}
    end_as(wait_status);
}

_Noreturn static void become_keeper(const struct pw_program *program, char **environment,
                                    int failed_fd, pid_t parent)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM); /* until it is known whom to end */
    sigprocmask(SIG_SETMASK, &signals, NULL);
    setpgid(0, 0); /* away from the terminal's signals */
    /* The parent may have ended before prctl. */
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != parent) {
        fail_here(failed_fd, ECHILD);
    }
    const pid_t keeper = getpid();
    /* As fork(2), without what the library's function does besides. */
    kept = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (kept == 0) {
        become_program(program, environment, failed_fd, keeper);
    }
    if (kept < 0) {
        fail_here(failed_fd, errno);
    }
    setpgid(kept, kept); /* here too, so that it is so when the group is killed */
    signal(SIGTERM, end_kept);
    sigemptyset(&signals);
    sigprocmask(SIG_SETMASK, &signals, NULL);
    /* That failed_fd is closed tells perfwrap that exec has worked, and that the others are, that
     * the program has said all. Then what else perfwrap had open, locks among it. */
    close(failed_fd);
    for (unsigned i = 0; i < program->fd_count; i++) {
        close(program->fds[i]);
    }
    syscall(SYS_close_range, 0u, ~0u, 0u);
    keep(kept);
}

/* ---- perfwrap's side ---- */

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

static int start(const struct pw_program *program, const int failed[2], struct pw_child *child)
{
    PW_FREE_AUTO char **environment = make_environment();
    if (!environment) {
        return ENOMEM;
    }
    const pid_t parent = getpid();
    child->pid = fork();
    if (child->pid == 0) {
        become_keeper(program, environment, failed[1], parent);
    }
    if (child->pid < 0) {
        child->pid = 0;
        return errno;
    }
    child->pid_fd = (int)syscall(SYS_pidfd_open, child->pid, 0);
    return child->pid_fd < 0 ? errno : 0;
}

int pw_child_start(const struct pw_program *program, struct pw_child *ret_child, struct pw_err *err)
{
    int failed[2];
    struct pw_child child = PW_CHILD_INIT;
    if (pipe2(failed, O_CLOEXEC) != 0) {
        return pw_err_system(err, errno, "create a pipe");
    }
    int sys = start(program, failed, &child);
    close(failed[1]);
    if (sys == 0) {
        sys = read_failure(failed[0]);
    }
    close(failed[0]);
    if (sys != 0) {
        pw_child_end(&child);
        return pw_err_system(err, sys, "run `%s`", program->argv[0]);
    }
    *ret_child = child;
    return 0;
}

int pw_child_end(struct pw_child *child)
{
    int wait_status = 0;
    if (child->pid > 0) {
        struct pollfd ended = {.fd = child->pid_fd, .events = POLLIN};
        kill(child->pid, SIGTERM);
        /* A keeper that is stopped, say, ends nobody; the program ends with it all the same. */
        if (poll(&ended, 1, KEEPER_MS) == 0) {
            kill(child->pid, SIGKILL);
        }
        while (waitpid(child->pid, &wait_status, 0) < 0 && errno == EINTR) {}
    }
    pw_fd_done(&child->pid_fd);
    *child = PW_CHILD_INIT;
    return wait_status;
}

/* ---- What it says ---- */

int pw_stream_open(int *ret_fd, int *ret_child_end, struct pw_err *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return pw_err_system(err, errno, "create a pipe");
    }
    if (fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0) {
        pw_err_system(err, errno, "prepare a pipe");
        close(ends[0]);
        close(ends[1]);
        return -1;
    }
    *ret_fd = ends[0];
    *ret_child_end = ends[1];
    return 0;
}

size_t pw_stream_read(int *fd, struct pw_str *text, size_t keep)
{
    char buffer[READ_BYTES];
    if (*fd < 0) {
        return 0;
    }
    ssize_t count = read(*fd, buffer, sizeof(buffer));
    if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) {
        pw_fd_done(fd);
    }
    if (count <= 0) {
        return 0;
    }
    if (text) {
        pw_str_add_bytes(text, buffer, (size_t)count);
    }
    if (text && !text->failed && text->length > keep) {
        memmove(text->text, text->text + text->length - keep, keep + 1);
        text->length = keep;
    }
    return (size_t)count;
}

void pw_stream_show(struct pw_str *text, size_t chars, struct pw_str *shown)
{
    while (text->length > 0 && strchr(" \t\r\n", text->text[text->length - 1])) {
        text->text[--text->length] = '\0';
    }
    PW_STR_AUTO visible = PW_STR_INIT;
    const char *at = pw_lines_last(text->text, text->length, PW_LIMIT_STDERR_TAIL_LINES);
    for (; at < text->text + text->length; at++) {
        const unsigned char c = (unsigned char)*at;
        if (c == '\n') {
            pw_str_add(&visible, " | ");
        } else if (c == '\t') {
            pw_str_add_char(&visible, ' ');
        } else if (c != '\r' && (c < ' ' || c >= 0x7f)) {
            pw_str_addf(&visible, "\\x%02x", c);
        } else if (c != '\r') {
            pw_str_add_char(&visible, (char)c);
        }
    }
    const bool is_cut = visible.length > chars;
    pw_str_add(shown, is_cut ? "..." : "");
    pw_str_add(shown, visible.text + (is_cut ? visible.length - chars : 0));
}
