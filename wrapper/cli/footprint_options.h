/* The options that `footprint` and `steady` share. */
#ifndef PW_CLI_FOOTPRINT_OPTIONS_H
#define PW_CLI_FOOTPRINT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include "core/document.h"
#include "wrapper/cli/command.h"
#include "wrapper/cli/option.h"

struct pw_foot_options {
    const char *match, *format, *mode;
    bool all, json, no_color, help;
};

int pw_foot_check_format(const char *text, struct pw_err *err);
/* Prints the document, or its JSON form, as the options say; takes the reference of `json`, which
 * may be NULL if JSON is not asked for. Returns the exit status. */
int pw_foot_print(const struct pw_foot_options *given, const struct pw_document *document,
                  json_t *json);
bool pw_foot_wants_json(const struct pw_foot_options *given);

/* Rows for a table whose target begins with a struct pw_foot_options. */
#define PW_FOOT_OPTIONS                                                                           \
    {.name = "match",                                                                             \
     .type = PW_OPTION_STRING,                                                                    \
     .argument = "REGEX",                                                                         \
     .offset = offsetof(struct pw_foot_options, match),                                           \
     .help = "Instead of a pid: the process whose command line, words joined by blanks, this "    \
             "PCRE2 expression matches. What is below such a process belongs to it; perfwrap "    \
             "and what started it never match."},                                                 \
        {.name = "all",                                                                           \
         .type = PW_OPTION_FLAG,                                                                  \
         .offset = offsetof(struct pw_foot_options, all),                                         \
         .help = "Sum all processes that --match finds; without it several are an error."},       \
        {.name = "format",                                                                        \
         .type = PW_OPTION_STRING,                                                                \
         .argument = "text|markdown|json",                                                        \
         .initial = "text",                                                                       \
         .check = pw_foot_check_format,                                                           \
         .offset = offsetof(struct pw_foot_options, format),                                      \
         .help = "How to print the result."},                                                     \
        {.name = "json",                                                                          \
         .type = PW_OPTION_FLAG,                                                                  \
         .offset = offsetof(struct pw_foot_options, json),                                        \
         .help = "The same as --format json; may also stand before the subcommand."},             \
        {.name = "mode",                                                                          \
         .type = PW_OPTION_STRING,                                                                \
         .argument = "plain|ax",                                                                  \
         .initial = "plain",                                                                      \
         .check = pw_envelope_check_mode,                                                         \
         .offset = offsetof(struct pw_foot_options, mode),                                        \
         .help = "ax: exactly one JSON document on standard output whatever happens, with `ok` "  \
                 "and `result` or `error`, and exit status 1 on any error. May also stand "       \
                 "before the subcommand."},                                                       \
    {                                                                                             \
        .name = "no-color", .type = PW_OPTION_FLAG,                                               \
        .offset = offsetof(struct pw_foot_options, no_color), .help = "No colours on a terminal." \
    }

#endif
