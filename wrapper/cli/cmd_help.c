#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include "wrapper/cli/command.h"
#include "wrapper/cli/help.h"

struct help_options {
    const char *format;
    bool help;
};

static int check_format(const char *text, struct pw_err *err)
{
    if (strcmp(text, "text") == 0 || strcmp(text, "man") == 0) {
        return 0;
    }
    return pw_err_set(err, PW_ERR_USAGE, "`%s` is none of text, man", text);
}

static const char *const groups[] = {"Options"};
static const struct pw_option options[] = {
    {.name = "format",
     .type = PW_OPTION_STRING,
     .argument = "text|man",
     .initial = "text",
     .check = check_format,
     .offset = offsetof(struct help_options, format),
     .help = "As text, or the manual page perfwrap(1) for `man -l -`."},
    PW_OPTION_HELP(help_options),
};
const struct pw_option_set pw_help_option_set = {.options = options,
                                                 .count = sizeof options / sizeof *options,
                                                 .groups = groups,
                                                 .group_count = 1,
                                                 .operands = 1};

int pw_cmd_help(const struct pw_command *command, int argc, char *const *argv)
{
    struct help_options given;
    PW_PARSED_AUTO parsed = {0};
    struct pw_err err = PW_ERR_INIT;
    PW_STR_AUTO text = PW_STR_INIT;
    int status;
    if (!pw_command_begin(command, argc, argv, &given, &parsed, &status)) {
        return status;
    }
    const struct pw_command *about = &pw_commands[0];
    if (parsed.operand_count > 0) {
        about = pw_command_find(parsed.operands[0]);
        if (!about) {
            const char *nearest = pw_command_nearest(parsed.operands[0]);
            pw_err_set(&err, PW_ERR_USAGE, "no subcommand `%s`", parsed.operands[0]);
            pw_err_remedy(&err, nearest ? "did you mean %s?" : "perfwrap help lists them", nearest);
            return pw_cli_fail(&err);
        }
    }
    if (strcmp(given.format, "man") == 0) {
        pw_help_man(&text);
    } else {
        pw_help_text(about, &text);
    }
    return pw_cli_print(&text);
}
