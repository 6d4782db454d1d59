#include "wrapper/cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "wrapper/cli/command.h"
#include "wrapper/cli/envelope.h"
#include "wrapper/cli/help.h"

int pw_cli_fail(const struct pw_err *err)
{
    if (pw_envelope_is_used()) {
        return pw_envelope_fail(err, NULL);
    }
    fprintf(stderr, "perfwrap: %s\n", err->message);
    if (err->remedy[0]) {
        fprintf(stderr, "  hint: %s\n", err->remedy);
    }
    return pw_err_exit_status(err);
}

/* All bytes, also to a pipe that somebody made non-blocking. */
static int write_all(int fd, const char *bytes, size_t count)
{
    while (count > 0) {
        ssize_t written = write(fd, bytes, count);
        if (written < 0 && errno == EAGAIN) {
            struct pollfd writable = {.fd = fd, .events = POLLOUT};
            poll(&writable, 1, -1);
        } else if (written < 0 && errno != EINTR) {
            return -1;
        } else if (written > 0) {
            bytes += written;
            count -= (size_t)written;
        }
    }
    return 0;
}

int pw_cli_print(const struct pw_str *text)
{
    struct pw_err err = PW_ERR_INIT;
    /* A reader that went away is told as an error of writing, not as death by a signal. Not done
     * earlier: the workers of `run` inherit what perfwrap was started with, and its session sees to
     * that. */
    signal(SIGPIPE, SIG_IGN);
    if (text->failed) {
        pw_err_memory(&err);
        return pw_cli_fail(&err);
    }
    if (write_all(STDOUT_FILENO, text->text, text->length) != 0) {
        pw_err_system(&err, errno, "write standard output");
        return pw_cli_fail(&err);
    }
    return PW_EXIT_OK;
}

bool pw_cli_may_color(int fd)
{
    const char *objection = getenv("NO_COLOR"), *terminal = getenv("TERM");
    return isatty(fd) && !(objection && *objection) && terminal && strcmp(terminal, "dumb") != 0;
}

static int parse(const struct pw_command *command, int argc, char *const *argv, void *target,
                 struct pw_parsed *ret_parsed, struct pw_err *err)
{
    PW_PARSED_AUTO parsed = {0};
    if (pw_options_parse(command->options, argc, argv, target, &parsed, err) != 0) {
        return -1;
    }
    int word = parsed.rest >= 0 ? parsed.rest : parsed.stray;
    while (!parsed.stopped && word >= 0 && word < argc &&
           parsed.operand_count < command->options->operands) {
        if (pw_parsed_add_operand(&parsed, (size_t)argc, argv[word++], err) != 0) {
            return -1; /* behind `--` */
        }
    }
    if (!parsed.stopped && word >= 0 && word < argc) {
        pw_err_set(err, PW_ERR_USAGE, "unexpected word `%s`", argv[word]);
        return pw_err_remedy(err, "usage: perfwrap %s", command->usage);
    }
    *ret_parsed = parsed;
    parsed.operands = NULL;
    return 0;
}

bool pw_command_begin(const struct pw_command *command, int argc, char *const *argv, void *target,
                      struct pw_parsed *ret_parsed, int *ret_status)
{
    struct pw_err err = PW_ERR_INIT;
    PW_STR_AUTO help = PW_STR_INIT;
    if (parse(command, argc, argv, target, ret_parsed, &err) != 0) {
        *ret_status = pw_cli_fail(&err);
        return false;
    }
    if (ret_parsed->stopped) {
        pw_help_text(command, &help);
        *ret_status = pw_cli_print(&help);
        return false;
    }
    return true;
}

/*
 * Descriptors 0 to 2 must be open, or a file that perfwrap opens gets one of these numbers and
 * takes what is meant for a standard stream. The null device stands in for a missing one; for
 * standard output it is opened for reading only, so that writing the result there still fails, and
 * is told.
 */
static int mend_standard_fds(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF) {
            continue;
        }
        int mode = fd == STDERR_FILENO ? O_WRONLY : O_RDONLY;
        if (open("/dev/null", mode) != fd) { // NOLINT: must survive exec as a standard stream
            return -1;
        }
    }
    return 0;
}

int pw_cli_main(int argc, char **argv)
{
    if (mend_standard_fds() != 0) {
        return PW_EXIT_FAILED;
    }
    if (argc < 2) {
        PW_STR_AUTO text = PW_STR_INIT;
        pw_help_short(&text);
        fputs(text.text, stderr);
        return PW_EXIT_USAGE;
    }
    /* `perfwrap --json NAME …` is `perfwrap NAME --json …`. */
    int before = pw_envelope_words_before(argc - 1, argv + 1);
    char *name = argv[1 + before];
    memmove(argv + 2, argv + 1, (size_t)before * sizeof *argv);
    argv[1] = name;
    const struct pw_command *command = pw_command_find(name);
    int words = command ? 2 : 1;
    command = command ? command : &pw_commands[0];
    pw_envelope_use(command->speaks_ax && pw_envelope_asked_for(argc - words, argv + words));
    return command->run(command, argc - words, argv + words);
}
