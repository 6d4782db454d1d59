/* Help texts, made from the tables of subcommands, options and exit statuses. */
#ifndef PW_CLI_HELP_H
#define PW_CLI_HELP_H

#include "core/str.h"
#include "wrapper/cli/command.h"

/* What perfwrap's exit status tells. */
enum pw_exit {
    PW_EXIT_OK = 0,
    PW_EXIT_WORKER_FAILED = 1,
    PW_EXIT_USAGE = 2,
    PW_EXIT_UNDECIDED = 3,
    PW_EXIT_FAILED = 125,
    PW_EXIT_NOT_EXECUTABLE = 126,
    PW_EXIT_NOT_FOUND = 127,
    PW_EXIT_SIGNAL = 128, /* plus the signal's number */
};
struct pw_exit_status {
    const char *status; /* "125", "128+N" */
    const char *meaning;
};
enum { PW_EXIT_STATUS_COUNT = 8 };
extern const struct pw_exit_status pw_exit_statuses[PW_EXIT_STATUS_COUNT];

/* All about one subcommand. That of `run` is perfwrap's general help. */
void pw_help_text(const struct pw_command *command, struct pw_str *ret_text);
/* Some lines for someone who typed perfwrap alone. */
void pw_help_short(struct pw_str *ret_text);
/* The manual page perfwrap(1): roff with man(7) macros. */
void pw_help_man(struct pw_str *ret_text);

#endif
