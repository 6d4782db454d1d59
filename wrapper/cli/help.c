#include "wrapper/cli/help.h"

#include <stdio.h>
#include <string.h>

const struct pw_exit_status pw_exit_statuses[PW_EXIT_STATUS_COUNT] = {
    {"0", "all workers of the measured iterations succeeded, and what was asked for holds"},
    {"1", "a worker failed (see --ignore-failure), or a bound, --require or --fail-on says so"},
    {"2", "the command line, or a file given on it, is unusable"},
    {"3",
     "a bound cannot be decided (--tell-apart, --decide ci), or a file is broken (index --strict)"},
    {"125", "perfwrap itself failed, or a hook did"},
    {"126", "the command was found but cannot be executed"},
    {"127", "the command was not found"},
    {"128+N", "perfwrap was interrupted by signal N; the finished iterations are in the summary"},
};

static const struct {
    const char *command, *what;
} examples[] = {
    {"perfwrap -n 20 -- sleep 0.1", "time a command twenty times"},
    {"perfwrap -c 6 --top-attach --profile-name fleet -- ./agent --task t1",
     "six workers at once, with CPU and memory over time"},
    {"perfwrap --until-ci 1 --prepare 'rm -rf cache' --json --shell './build | tail -1' >out.json",
     "a pipeline from a cold start, until the median is known to 1 %"},
};
enum { EXAMPLE_COUNT = sizeof examples / sizeof *examples };

static const char purpose[] =
    "Runs a command again and again, measures latency, throughput, memory, CPU and processes of its "
    "whole process tree, and writes what it found to a run folder.";

enum { HELP_WIDTH = 80, HELP_INDENT = 6 };

/* Adds `text` in lines of at most HELP_WIDTH columns, each behind `indent` blanks. */
static void add_wrapped(struct pw_str *out, const char *text, int indent)
{
    int column = 0;
    while (*text) {
        int length = (int)strcspn(text, " ");
        if (column > 0 && column + 1 + length > HELP_WIDTH) {
            pw_str_add_char(out, '\n');
            column = 0;
        }
        if (column == 0) {
            pw_str_addf(out, "%*s", indent, "");
            column = indent;
        } else {
            pw_str_add_char(out, ' ');
            column++;
        }
        pw_str_add_bytes(out, text, (size_t)length);
        column += length;
        text += length;
        text += strspn(text, " ");
    }
    pw_str_add_char(out, '\n');
}

/* What stands behind an option's sentence: its default and what it may be. */
static void describe_option(const struct pw_option *option, struct pw_str *out)
{
    pw_str_add(out, option->help);
    if (option->no_effect) {
        pw_str_addf(out, " No effect: %s.", option->no_effect);
    }
    if (option->type == PW_OPTION_LIST) {
        pw_str_add(out, " May be repeated.");
    }
    if (option->initial) {
        pw_str_addf(out, " Default: %s.", option->initial);
    }
    if (option->type == PW_OPTION_UNSIGNED || option->type == PW_OPTION_NUMBER) {
        pw_str_addf(out, " From %.15g to %.15g.", option->min, option->max);
    }
}

static void add_option(struct pw_str *out, const struct pw_option *option)
{
    if (option->letter) {
        pw_str_addf(out, "  -%c, --%s", option->letter, option->name);
    } else {
        pw_str_addf(out, "  --%s", option->name);
    }
    if (option->argument) {
        bool optional = pw_option_may_be_bare(option);
        pw_str_addf(out, optional ? "[=%s]" : " %s", option->argument);
    }
    pw_str_add_char(out, '\n');
    PW_STR_AUTO text = PW_STR_INIT;
    describe_option(option, &text);
    add_wrapped(out, text.text, HELP_INDENT);
    out->failed = out->failed || text.failed;
}

static void add_options(struct pw_str *out, const struct pw_option_set *set)
{
    for (unsigned group = 0; group < set->group_count; group++) {
        pw_str_addf(out, "\n%s:\n", set->groups[group]);
        for (size_t i = 0; i < set->count; i++) {
            if (set->options[i].group == group) {
                add_option(out, &set->options[i]);
            }
        }
    }
}

static void add_usages(struct pw_str *out)
{
    pw_str_add(out, "Usage:\n");
    for (size_t i = 0; i < PW_COMMAND_COUNT; i++) {
        pw_str_addf(out, "  perfwrap %s\n", pw_commands[i].usage);
    }
}

void pw_help_text(const struct pw_command *command, struct pw_str *ret_text)
{
    bool general = command == &pw_commands[0];
    if (!general) {
        pw_str_addf(ret_text, "Usage: perfwrap %s\n\n", command->usage);
        add_wrapped(ret_text, command->details, 0);
        add_options(ret_text, command->options);
        return;
    }
    add_usages(ret_text);
    pw_str_add_char(ret_text, '\n');
    add_wrapped(ret_text, purpose, 0);
    pw_str_add(ret_text, "\nSubcommands (perfwrap help NAME tells more):\n");
    for (size_t i = 0; i < PW_COMMAND_COUNT; i++) {
        pw_str_addf(ret_text, "  %-9s %s\n", pw_commands[i].name, pw_commands[i].summary);
    }
    pw_str_add_char(ret_text, '\n');
    add_wrapped(ret_text, command->details, 0);
    add_options(ret_text, command->options);
    pw_str_add(ret_text, "\nExamples:\n");
    for (size_t i = 0; i < EXAMPLE_COUNT; i++) {
        pw_str_addf(ret_text, "  %s\n      %s\n", examples[i].command, examples[i].what);
    }
    pw_str_add(ret_text, "\nExit status:\n");
    for (size_t i = 0; i < PW_EXIT_STATUS_COUNT; i++) {
        pw_str_addf(ret_text, "  %-6s %s\n", pw_exit_statuses[i].status,
                    pw_exit_statuses[i].meaning);
    }
}

void pw_help_short(struct pw_str *ret_text)
{
    PW_STR_AUTO names = PW_STR_INIT;
    pw_str_addf(ret_text, "Usage:\n  perfwrap %s\n  perfwrap SUBCOMMAND ...\n",
                pw_commands[0].usage);
    pw_str_add(&names, "Subcommands:");
    for (size_t i = 1; i < PW_COMMAND_COUNT; i++) {
        pw_str_addf(&names, " %s%s", pw_commands[i].name, i + 1 < PW_COMMAND_COUNT ? "," : ".");
    }
    add_wrapped(ret_text, names.text, 0);
    ret_text->failed = ret_text->failed || names.failed;
    pw_str_addf(ret_text, "Example: %s\n", examples[0].command);
    pw_str_add(ret_text, "perfwrap --help tells more, perfwrap help SUBCOMMAND all about one.\n");
}

/* Text in roff: a backslash and a dash have meanings there, and a leading dot or quote is a
 * request. */
static void add_roff(struct pw_str *out, const char *text)
{
    for (const char *c = text; *c; c++) {
        if (*c == '\\') {
            pw_str_add(out, "\\e");
        } else if (*c == '-') {
            pw_str_add(out, "\\-");
        } else if (c == text && (*c == '.' || *c == '\'')) {
            pw_str_addf(out, "\\&%c", *c);
        } else {
            pw_str_add_char(out, *c);
        }
    }
    pw_str_add_char(out, '\n');
}

static void add_roff_option(struct pw_str *out, const struct pw_option *option)
{
    PW_STR_AUTO text = PW_STR_INIT;
    pw_str_add(out, ".TP\n\\fB");
    if (option->letter) {
        pw_str_addf(out, "\\-%c\\fR, \\fB", option->letter);
    }
    pw_str_add(out, "\\-\\-");
    for (const char *c = option->name; *c; c++) {
        pw_str_addf(out, *c == '-' ? "\\-" : "%c", *c);
    }
    pw_str_add(out, "\\fR");
    if (option->argument) {
        bool optional = pw_option_may_be_bare(option);
        pw_str_addf(out, optional ? "[=\\fI%s\\fR]" : " \\fI%s\\fR", option->argument);
    }
    pw_str_add_char(out, '\n');
    describe_option(option, &text);
    add_roff(out, text.text);
    out->failed = out->failed || text.failed;
}

static void add_roff_command(struct pw_str *out, const struct pw_command *command)
{
    pw_str_add(out, ".SH ");
    for (const char *c = command->name; *c; c++) {
        pw_str_add_char(out, (char)(*c - 'a' + 'A'));
    }
    pw_str_add(out, "\n.B perfwrap\n");
    add_roff(out, command->usage);
    pw_str_add(out, ".PP\n");
    add_roff(out, command->details);
    for (unsigned group = 0; group < command->options->group_count; group++) {
        pw_str_add(out, ".SS \"");
        pw_str_add(out, command->options->groups[group]);
        pw_str_add(out, "\"\n");
        for (size_t i = 0; i < command->options->count; i++) {
            if (command->options->options[i].group == group) {
                add_roff_option(out, &command->options->options[i]);
            }
        }
    }
}

void pw_help_man(struct pw_str *ret_text)
{
    pw_str_add(ret_text, ".\\\" Made by: perfwrap help --format=man\n");
    pw_str_addf(ret_text, ".TH PERFWRAP 1 \"\" \"perfwrap %s\" \"User Commands\"\n",
                PERFWRAP_VERSION);
    pw_str_add(ret_text, ".SH NAME\nperfwrap \\- measure a command and its process tree\n");
    pw_str_add(ret_text, ".SH SYNOPSIS\n.nf\n");
    for (size_t i = 0; i < PW_COMMAND_COUNT; i++) {
        pw_str_add(ret_text, "\\fBperfwrap\\fR ");
        add_roff(ret_text, pw_commands[i].usage);
    }
    pw_str_add(ret_text, ".fi\n.SH DESCRIPTION\n");
    add_roff(ret_text, purpose);
    for (size_t i = 0; i < PW_COMMAND_COUNT; i++) {
        add_roff_command(ret_text, &pw_commands[i]);
    }
    pw_str_add(ret_text, ".SH EXAMPLES\n");
    for (size_t i = 0; i < EXAMPLE_COUNT; i++) {
        pw_str_add(ret_text, ".TP\n");
        add_roff(ret_text, examples[i].command);
        add_roff(ret_text, examples[i].what);
    }
    pw_str_add(ret_text, ".SH EXIT STATUS\n");
    for (size_t i = 0; i < PW_EXIT_STATUS_COUNT; i++) {
        pw_str_addf(ret_text, ".TP\n%s\n", pw_exit_statuses[i].status);
        add_roff(ret_text, pw_exit_statuses[i].meaning);
    }
}
