/* The options that `footprint` and `steady` share. */
#ifndef PW_CLI_FOOTPRINT_OPTIONS_H
#define PW_CLI_FOOTPRINT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include "core/document.h"
#include "wrapper/cli/command.h"
#include "wrapper/cli/option.h"
#include "wrapper/cli/run_options.h"

struct pw_foot_options {
    const char *match, *format, *mode;
    const char *out_dir, *profile_name, *state_dir;
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
        {.name = "state-dir",                                                                     \
         .type = PW_OPTION_STRING,                                                                \
         .argument = "FOLDER",                                                                    \
         .offset = offsetof(struct pw_foot_options, state_dir),                                   \
         .help = "Where machines are noted that `perfwrap boot --keep NAME` left running, if "    \
                 "TARGET is such a name: as given to boot."},                                     \
        {.name = "out-dir",                                                                       \
         .type = PW_OPTION_STRING,                                                                \
         .argument = "FOLDER",                                                                    \
         .initial = "perf-results",                                                               \
         .offset = offsetof(struct pw_foot_options, out_dir),                                     \
         .help = "Where the run folder is made. It holds summary.json, as of every run: for "     \
                 "check, index, suggest and compare."},                                           \
        {.name = "profile-name",                                                                  \
         .type = PW_OPTION_STRING,                                                                \
         .argument = "NAME",                                                                      \
         .check = pw_run_check_profile_name,                                                      \
         .offset = offsetof(struct pw_foot_options, profile_name),                                \
         .help = "Name of this benchmark: begins the run folder's name and groups baselines. "    \
                 "Without it the subcommand's."},                                                 \
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
