#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/file.h"
#include "core/summary.h"
#include "exporters/exporter.h"
#include "wrapper/cli/command.h"

struct show_options {
    const char *format;
    bool numbers, no_color, help;
};

static int check_format(const char *text, struct pw_err *err)
{
    return pw_exporter_find(text)
               ? 0
               : pw_err_set(err, PW_ERR_USAGE, "`%s` is none of text, md, json", text);
}

static const char *const groups[] = {"Options"};
static const struct pw_option options[] = {
    {.name = "format",
     .type = PW_OPTION_STRING,
     .argument = "text|md|json",
     .initial = "text",
     .check = check_format,
     .offset = offsetof(struct show_options, format),
     .help = "The short table, the whole report as Markdown, or the summary itself."},
    {.name = "numbers",
     .type = PW_OPTION_FLAG,
     .offset = offsetof(struct show_options, numbers),
     .help = "List every number instead, one a line: its dotted name and its value, exactly."},
    {.name = "no-color",
     .type = PW_OPTION_FLAG,
     .offset = offsetof(struct show_options, no_color),
     .help = "No colours on a terminal."},
    PW_OPTION_HELP(show_options),
};
const struct pw_option_set pw_show_option_set = {.options = options,
                                                 .count = sizeof options / sizeof *options,
                                                 .groups = groups,
                                                 .group_count = 1,
                                                 .operands = 1};

static void add_number(const char *name, double number, void *context)
{
    pw_str_addf(context, "%s %.17g\n", name, number);
}

/* A run folder stands for the summary in it. */
static struct pw_summary *load(const char *path, struct pw_err *err)
{
    struct stat status;
    if (stat(path, &status) != 0 || !S_ISDIR(status.st_mode)) {
        return pw_summary_load(path, err);
    }
    char *inside = pw_path_join(path, "summary.json", err);
    struct pw_summary *summary = inside ? pw_summary_load(inside, err) : NULL;
    free(inside);
    return summary;
}

static int render(const struct show_options *given, const char *path, struct pw_str *ret_text,
                  struct pw_err *err)
{
    __attribute__((cleanup(pw_summary_done))) struct pw_summary *summary = load(path, err);
    if (!summary) {
        return -1;
    }
    if (given->numbers) {
        pw_summary_each_number(summary, add_number, ret_text);
        return 0;
    }
    struct pw_export_style style = {.color = !given->no_color && pw_cli_may_color(STDOUT_FILENO)};
    return pw_exporter_find(given->format)->render(summary, style, ret_text, err);
}

int pw_cmd_show(const struct pw_command *command, int argc, char *const *argv)
{
    struct show_options given;
    PW_PARSED_AUTO parsed = {0};
    struct pw_err err = PW_ERR_INIT;
    PW_STR_AUTO text = PW_STR_INIT;
    int status;
    if (!pw_command_begin(command, argc, argv, &given, &parsed, &status)) {
        return status;
    }
    if (parsed.operand_count == 0) {
        pw_err_set(&err, PW_ERR_USAGE, "no summary given");
        pw_err_remedy(&err, "usage: perfwrap %s", command->usage);
        return pw_cli_fail(&err);
    }
    if (render(&given, parsed.operands[0], &text, &err) != 0) {
        return pw_cli_fail(&err);
    }
    return pw_cli_print(&text);
}
