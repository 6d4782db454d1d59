/*
 * Subcommands: one row each in the table in commands.c, one thin file each. A subcommand gets the
 * words behind its name, writes its result with pw_cli_print() and its complaints to standard
 * error, and returns perfwrap's exit status.
 */
#ifndef PW_CLI_COMMAND_H
#define PW_CLI_COMMAND_H

#include "core/err.h"
#include "core/str.h"
#include "wrapper/cli/option.h"

struct pw_command {
    const char *name;
    const char *usage;   /* behind "perfwrap" */
    const char *summary; /* half a sentence */
    const char *details; /* a paragraph, or NULL */
    const struct pw_option_set *options;
    bool speaks_ax; /* has `--mode`, see envelope.h */
    int (*run)(const struct pw_command *command, int argc, char *const *argv);
};

enum { PW_COMMAND_COUNT = 15 };
extern const struct pw_command pw_commands[PW_COMMAND_COUNT];
/* The subcommand of that name, or NULL; and the name nearest to `name`, or NULL. */
const struct pw_command *pw_command_find(const char *name);
const char *pw_command_nearest(const char *name);

int pw_cmd_run(const struct pw_command *command, int argc, char *const *argv);
int pw_cmd_metrics(const struct pw_command *command, int argc, char *const *argv);
int pw_cmd_check(const struct pw_command *command, int argc, char *const *argv);
int pw_cmd_index(const struct pw_command *command, int argc, char *const *argv);
int pw_cmd_compare(const struct pw_command *command, int argc, char *const *argv);
int pw_cmd_ab(const struct pw_command *command, int argc, char *const *argv);
int pw_cmd_suggest(const struct pw_command *command, int argc, char *const *argv);
int pw_cmd_log(const struct pw_command *command, int argc, char *const *argv);
int pw_cmd_show(const struct pw_command *command, int argc, char *const *argv);
int pw_cmd_collect(const struct pw_command *command, int argc, char *const *argv);
int pw_cmd_boot(const struct pw_command *command, int argc, char *const *argv);
int pw_cmd_doctor(const struct pw_command *command, int argc, char *const *argv);
int pw_cmd_footprint(const struct pw_command *command, int argc, char *const *argv);
int pw_cmd_steady(const struct pw_command *command, int argc, char *const *argv);
int pw_cmd_help(const struct pw_command *command, int argc, char *const *argv);

extern const struct pw_option_set pw_metrics_option_set, pw_show_option_set, pw_help_option_set,
    pw_collect_option_set, pw_compare_option_set, pw_ab_option_set, pw_index_option_set,
    pw_check_option_set, pw_suggest_option_set, pw_log_option_set, pw_footprint_option_set,
    pw_steady_option_set, pw_doctor_option_set;

/* "perfwrap: message", and its remedy on a second line, on standard error; or, if that is the mode,
 * the error's envelope on standard output (envelope.h). Returns the exit status. */
int pw_cli_fail(const struct pw_err *err);
/* For a subcommand that takes operands only, and whose one option that stops is --help: parses its
 * words. If that fails, or help was asked for and is shown, returns false with the exit status; a
 * word too many is an error. */
bool pw_command_begin(const struct pw_command *command, int argc, char *const *argv, void *target,
                      struct pw_parsed *ret_parsed, int *ret_status);
/* Writes a result to standard output, past stdio. Returns the exit status: PW_EXIT_FAILED, told on
 * standard error, if memory ran out while the text was made or if it could not be written. */
int pw_cli_print(const struct pw_str *text);
/* Whether escape sequences may be written to `fd`: a terminal, and nobody objects (NO_COLOR, TERM).
 */
bool pw_cli_may_color(int fd);

#endif
