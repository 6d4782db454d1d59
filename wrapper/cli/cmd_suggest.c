#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/document.h"
#include "core/file.h"
#include "core/json.h"
#include "sla/suggest.h"
#include "wrapper/cli/command.h"
#include "wrapper/cli/help.h"

/* `perfwrap suggest`: what to look at first, from an index or from summaries. */

struct suggest_options {
    const char *index, *out, *format, *fail_on;
    bool no_summaries, rules, no_color, help;
};

static int check_format(const char *text, struct pw_err *err)
{
    if (strcmp(text, "text") == 0 || strcmp(text, "json") == 0 || strcmp(text, "markdown") == 0) {
        return 0;
    }
    return pw_err_set(err, PW_ERR_USAGE, "`%s` is none of text, json, markdown", text);
}

static int check_severity(const char *text, struct pw_err *err)
{
    if (strcmp(text, "red") == 0 || strcmp(text, "yellow") == 0) {
        return 0;
    }
    return pw_err_set(err, PW_ERR_USAGE, "`%s` is none of red, yellow", text);
}

#define FIELD(name) .offset = offsetof(struct suggest_options, name)
static const char *const groups[] = {"Options"};
static const struct pw_option options[] = {
    {.name = "index",
     .type = PW_OPTION_STRING,
     .argument = "PATH",
     FIELD(index),
     .help = "A baseline index, as `perfwrap index` writes it; the same as naming it as a word."},
    {.name = "format",
     .type = PW_OPTION_STRING,
     .argument = "text|json|markdown",
     .initial = "text",
     .check = check_format,
     FIELD(format),
     .help = "How to print the suggestions."},
    {.name = "out",
     .type = PW_OPTION_STRING,
     .argument = "PATH",
     FIELD(out),
     .help = "Write them to PATH too, always as JSON."},
    {.name = "fail-on",
     .type = PW_OPTION_STRING,
     .argument = "red|yellow",
     .check = check_severity,
     FIELD(fail_on),
     .help = "Exit 1 if anything that severe, or worse, was found. Without it: 0."},
    {.name = "no-summaries",
     .type = PW_OPTION_FLAG,
     FIELD(no_summaries),
     .help = "Of an index, do not look at the newest summary of each profile."},
    {.name = "rules",
     .type = PW_OPTION_FLAG,
     FIELD(rules),
     .help = "Print the rules and their thresholds instead."},
    {.name = "no-color",
     .type = PW_OPTION_FLAG,
     FIELD(no_color),
     .help = "No colours on a terminal."},
    PW_OPTION_HELP(suggest_options),
};
const struct pw_option_set pw_suggest_option_set = {.options = options,
                                                    .count = sizeof options / sizeof *options,
                                                    .groups = groups,
                                                    .group_count = 1,
                                                    .operands = PW_OPERANDS_ANY};

/* Either as a report or as JSON. */
static int render(const struct suggest_options *given, const json_t *document,
                  const struct pw_document *report, struct pw_str *ret_text, struct pw_err *err)
{
    if (strcmp(given->format, "json") == 0) {
        PW_FREE_AUTO char *dumped = pw_json_dump(document, err);
        pw_str_add(ret_text, dumped ? dumped : "");
        return dumped ? 0 : -1;
    }
    if (strcmp(given->format, "markdown") == 0) {
        return pw_document_to_markdown(report, ret_text, err);
    }
    bool color = !given->no_color && pw_cli_may_color(STDOUT_FILENO);
    return pw_document_to_text(report, color, ret_text, err);
}

static int print_rules(const struct suggest_options *given)
{
    struct pw_err err = PW_ERR_INIT;
    PW_STR_AUTO text = PW_STR_INIT;
    PW_DOCUMENT_AUTO report = PW_DOCUMENT_INIT;
    json_t *rules = pw_suggest_rules_to_json(&err);
    pw_suggest_list_rules(&report);
    int result = rules ? render(given, rules, &report, &text, &err) : -1;
    json_decref(rules);
    return result == 0 ? pw_cli_print(&text) : pw_cli_fail(&err);
}

static int print_suggestions(const struct suggest_options *given, const json_t *document)
{
    struct pw_err err = PW_ERR_INIT;
    PW_STR_AUTO text = PW_STR_INIT;
    PW_DOCUMENT_AUTO report = PW_DOCUMENT_INIT;
    pw_suggest_report(document, &report);
    if (render(given, document, &report, &text, &err) != 0 ||
        (given->out && pw_json_write_file(given->out, document, &err) != 0)) {
        return pw_cli_fail(&err);
    }
    int status = pw_cli_print(&text);
    if (status != PW_EXIT_OK || !given->fail_on) {
        return status;
    }
    enum pw_suggest_severity limit =
        strcmp(given->fail_on, "red") == 0 ? PW_SUGGEST_RED : PW_SUGGEST_YELLOW;
    return pw_suggest_worst(document) >= limit ? PW_EXIT_WORKER_FAILED : PW_EXIT_OK;
}

int pw_cmd_suggest(const struct pw_command *command, int argc, char *const *argv)
{
    struct suggest_options given;
    PW_PARSED_AUTO parsed = {0};
    struct pw_err err = PW_ERR_INIT;
    int status;
    if (!pw_command_begin(command, argc, argv, &given, &parsed, &status)) {
        return status;
    }
    if (given.rules) {
        return print_rules(&given);
    }
    if (!given.index && parsed.operand_count == 0) {
        pw_err_set(&err, PW_ERR_USAGE, "no index and no summary given");
        pw_err_remedy(&err, "usage: perfwrap %s", command->usage);
        return pw_cli_fail(&err);
    }
    json_t *document = pw_suggest_from_files(given.index, parsed.operands, parsed.operand_count,
                                             !given.no_summaries, &err);
    if (!document) {
        return pw_cli_fail(&err);
    }
    status = print_suggestions(&given, document);
    json_decref(document);
    return status;
}
