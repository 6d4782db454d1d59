#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include "core/document.h"
#include "core/json.h"
#include "core/summary.h"
#include "exporters/report.h"
#include "sla/profile.h"
#include "wrapper/cli/command.h"

struct metrics_options {
    const char *format;
    bool help;
};

/* Takes the document; NULL and err if there is none. */
static char *dump(json_t *document, struct pw_err *err)
{
    char *text = document ? pw_json_dump(document, err) : NULL;
    json_decref(document);
    return text;
}

static char *as_json(struct pw_err *err)
{
    return dump(pw_metrics_to_json(err), err);
}

static char *as_summary_schema(struct pw_err *err)
{
    return dump(pw_summary_schema(err), err);
}

static char *as_iteration_schema(struct pw_err *err)
{
    return dump(pw_iteration_schema(err), err);
}

static char *as_sla_profile_schema(struct pw_err *err)
{
    return dump(pw_profile_schema(err), err);
}

static char *as_text(struct pw_err *err)
{
    PW_DOCUMENT_AUTO document = PW_DOCUMENT_INIT;
    PW_STR_AUTO text = PW_STR_INIT;
    pw_report_metrics(&document);
    if (pw_document_to_text(&document, false, &text, err) != 0) {
        return NULL;
    }
    return pw_str_take(&text, err);
}

static const struct {
    const char *name;
    char *(*make)(struct pw_err *err);
} formats[] = {{"text", as_text},
               {"md", pw_metrics_to_markdown},
               {"json", as_json},
               {"summary-schema", as_summary_schema},
               {"iteration-schema", as_iteration_schema},
               {"sla-profile-schema", as_sla_profile_schema}};
enum { FORMAT_COUNT = sizeof formats / sizeof *formats };
#define FORMAT_NAMES "text|md|json|summary-schema|iteration-schema|sla-profile-schema"

static int check_format(const char *text, struct pw_err *err)
{
    for (size_t i = 0; i < FORMAT_COUNT; i++) {
        if (strcmp(formats[i].name, text) == 0) {
            return 0;
        }
    }
    return pw_err_set(err, PW_ERR_USAGE, "`%s` is none of %s", text, FORMAT_NAMES);
}

static const char *const groups[] = {"Options"};
static const struct pw_option options[] = {
    {.name = "format",
     .type = PW_OPTION_STRING,
     .argument = FORMAT_NAMES,
     .initial = "text",
     .check = check_format,
     .offset = offsetof(struct metrics_options, format),
     .help = "The table as text, as the Markdown page of the documentation or as JSON; or the JSON "
             "Schema of summary.json, of iteration-NNN.json or of SLA profiles."},
    PW_OPTION_HELP(metrics_options),
};
const struct pw_option_set pw_metrics_option_set = {.options = options,
                                                    .count = sizeof options / sizeof *options,
                                                    .groups = groups,
                                                    .group_count = 1};

int pw_cmd_metrics(const struct pw_command *command, int argc, char *const *argv)
{
    struct metrics_options given;
    PW_PARSED_AUTO parsed = {0};
    struct pw_err err = PW_ERR_INIT;
    PW_STR_AUTO text = PW_STR_INIT;
    int status;
    if (!pw_command_begin(command, argc, argv, &given, &parsed, &status)) {
        return status;
    }
    for (size_t i = 0; i < FORMAT_COUNT; i++) {
        if (strcmp(formats[i].name, given.format) == 0) {
            char *made = formats[i].make(&err);
            if (!made) {
                return pw_cli_fail(&err);
            }
            pw_str_add(&text, made);
            free(made);
        }
    }
    return pw_cli_print(&text);
}
