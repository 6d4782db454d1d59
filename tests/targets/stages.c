/*
 * stages RECORD STEP... — comes to known stages at known times, and records when.
 *
 * RECORD: a file that gets one line for each step that comes to a stage, `NAME NS`: CLOCK_MONOTONIC
 * just before the stage was made visible. Written at once, so that it is there however this ends.
 * A first line `start NS` tells when main() began. In RECORD, PATH and PORT `%w` becomes the
 * worker's number and `%i` the iteration's.
 *
 * Steps, in order:
 *   MS               sleep for so many milliseconds
 *   out:NAME         the line `stage NAME` on standard output
 *   err:NAME         the line on standard error
 *   fd3:NAME         the line `PW NAME` on descriptor 3 (PERFWRAP_MARK_FD must say 3)
 *   file:NAME=PATH   makes the file
 *   tcp:NAME=PORT    listens on 127.0.0.1
 *   unix:NAME=PATH   listens on that socket
 *   exit:CODE        ends
 *   hang             sleeps until it is ended by a signal
 *   deaf             ignores TERM
 *   child            starts a child in a session of its own, that hangs
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "target.h"

static int record_fd;

static void record(const char *name, size_t length)
{
    char line[256];
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    int size = snprintf(line, sizeof line, "%.*s %lld\n", (int)length, name,
                        (long long)now.tv_sec * 1000000000 + now.tv_nsec);
    if (write(record_fd, line, (size_t)size) != size) {
        target_die("write the record");
    }
}

static void say(int fd, const char *format, const char *name)
{
    char line[256];
    int size = snprintf(line, sizeof line, format, name);
    record(name, strlen(name));
    if (write(fd, line, (size_t)size) != size) {
        target_die(name);
    }
}

/* The socket is bound before the time is taken: it is listen(2) that makes it answer. */
static void serve(int family, const struct sockaddr *address, socklen_t size, const char *name,
                  size_t length)
{
    const int on = 1;
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd, address, size) != 0) {
        target_die("bind");
    }
    record(name, length);
    if (listen(fd, 16) != 0) {
        target_die("listen");
    }
}

/* Into a buffer of its own for the latest text. */
static const char *expand(const char *text)
{
    static char expanded[4096];
    size_t length = 0;
    for (; *text && length < sizeof expanded - 32; text++) {
        const char *name = strncmp(text, "%w", 2) == 0   ? "PERFWRAP_WORKER_ID"
                           : strncmp(text, "%i", 2) == 0 ? "PERFWRAP_ITERATION"
                                                         : NULL;
        const char *value = name ? getenv(name) : NULL;
        if (value) {
            length += (size_t)snprintf(expanded + length, 16, "%s", value);
            text++;
        } else {
            expanded[length++] = *text;
        }
    }
    expanded[length] = '\0';
    return expanded;
}

static void hang(void)
{
    for (;;) {
        pause();
    }
}

static void start_child(void)
{
    pid_t pid = fork();
    if (pid < 0) {
        target_die("fork");
    }
    if (pid == 0) {
        setsid();
        hang();
    }
}

/* `NAME=VALUE` */
static void reach(const char *kind, const char *argument)
{
    size_t length = strcspn(argument, "=");
    const char *value = argument[length] ? expand(argument + length + 1) : "";
    if (strcmp(kind, "file") == 0) {
        record(argument, length);
        int fd = open(value, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0) {
            target_die(value);
        }
        close(fd);
    } else if (strcmp(kind, "tcp") == 0) {
        struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_port = htons((uint16_t)target_number(value)),
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        serve(AF_INET, (struct sockaddr *)&address, sizeof address, argument, length);
    } else if (strcmp(kind, "unix") == 0) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        snprintf(address.sun_path, sizeof address.sun_path, "%s", value);
        serve(AF_UNIX, (struct sockaddr *)&address, sizeof address, argument, length);
    } else {
        target_usage("RECORD STEP...");
    }
}

static void take(const char *step)
{
    const char *told = getenv("PERFWRAP_MARK_FD");
    size_t kind_length = strcspn(step, ":");
    const char *argument = step[kind_length] ? step + kind_length + 1 : "";
    char kind[16];
    snprintf(kind, sizeof kind, "%.*s", (int)kind_length, step);
    if (*step >= '0' && *step <= '9') {
        target_pause_ms(target_number(step));
    } else if (strcmp(kind, "out") == 0) {
        say(STDOUT_FILENO, "stage %s\n", argument);
    } else if (strcmp(kind, "err") == 0) {
        say(STDERR_FILENO, "stage %s\n", argument);
    } else if (strcmp(kind, "fd3") == 0) {
        if (!told || strcmp(told, "3") != 0) {
            errno = ENOENT;
            target_die("PERFWRAP_MARK_FD");
        }
        say(3, "PW %s\n", argument);
    } else if (strcmp(kind, "exit") == 0) {
        _exit((int)target_number(argument));
    } else if (strcmp(kind, "hang") == 0) {
        hang();
    } else if (strcmp(kind, "deaf") == 0) {
        signal(SIGTERM, SIG_IGN);
    } else if (strcmp(kind, "child") == 0) {
        start_child();
    } else {
        reach(kind, argument);
    }
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        target_usage("RECORD STEP...");
    }
    record_fd = open(expand(argv[1]), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (record_fd < 0) {
        target_die(argv[1]);
    }
    record("start", strlen("start"));
    for (int i = 2; i < argc; i++) {
        take(argv[i]);
    }
    return 0;
}
