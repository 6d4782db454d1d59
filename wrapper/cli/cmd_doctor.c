/* `perfwrap doctor`: what this machine lets perfwrap see, and how to let it see more. */
#include <unistd.h>
#include "core/document.h"
#include "core/json.h"
#include "wrapper/cli/command.h"
#include "wrapper/cli/envelope.h"
#include "wrapper/cli/help.h"
#include "wrapper/probe/powers.h"

struct doctor_options {
    bool json, no_color, help;
    const char *mode;
};

static const char *const groups[] = {"Options"};
static const struct pw_option options[] = {
    {.name = "json",
     .type = PW_OPTION_FLAG,
     .offset = offsetof(struct doctor_options, json),
     .help = "Print one JSON document; may also stand before the subcommand."},
    {.name = "mode",
     .type = PW_OPTION_STRING,
     .argument = "plain|ax",
     .initial = "plain",
     .check = pw_envelope_check_mode,
     .offset = offsetof(struct doctor_options, mode),
     .help =
         "ax: exactly one JSON document on standard output, with `ok` and `result` or `error`."},
    {.name = "no-color",
     .type = PW_OPTION_FLAG,
     .offset = offsetof(struct doctor_options, no_color),
     .help = "No colours on a terminal."},
    PW_OPTION_HELP(doctor_options),
};
const struct pw_option_set pw_doctor_option_set = {.options = options,
                                                   .count = sizeof options / sizeof *options,
                                                   .groups = groups,
                                                   .group_count = 1};

static json_t *to_json(const struct pw_powers *powers)
{
    bool failed = false;
    json_t *root = json_object(), *list = json_array();
    for (size_t i = 0; i < powers->count; i++) {
        const struct pw_power *power = &powers->items[i];
        json_t *item = json_object();
        pw_json_put(item, "name", json_string(power->name), &failed);
        pw_json_put(item, "state", json_string(pw_power_state_name(power->state)), &failed);
        pw_json_put(item, "found", pw_json_string_or_null(power->found), &failed);
        pw_json_put(item, "adds", pw_json_string_or_null(power->adds), &failed);
        pw_json_put(item, "remedy", pw_json_string_or_null(power->remedy), &failed);
        pw_json_append(list, item, &failed);
    }
    pw_json_put(root, "powers", list, &failed);
    if (failed) {
        json_decref(root);
        return NULL;
    }
    return root;
}

static void report(const struct pw_powers *powers, struct pw_document *document)
{
    for (size_t i = 0; i < powers->count; i++) {
        const struct pw_power *power = &powers->items[i];
        if (power->state == PW_POWER_OK) {
            pw_document_field(document, power->name, "ok: %s", power->found);
            continue;
        }
        pw_document_bad_field(document, power->name, "%s: %s", pw_power_state_name(power->state),
                              power->found);
        pw_document_paragraph(document, "It would add: %s.%s%s", power->adds,
                              power->remedy ? " To enable it: " : "",
                              power->remedy ? power->remedy : "");
    }
}

int pw_cmd_doctor(const struct pw_command *command, int argc, char *const *argv)
{
    struct doctor_options given;
    PW_PARSED_AUTO parsed = {0};
    PW_DOCUMENT_AUTO document = PW_DOCUMENT_INIT;
    PW_STR_AUTO text = PW_STR_INIT;
    struct pw_powers powers;
    struct pw_err err = PW_ERR_INIT;
    int status;
    if (!pw_command_begin(command, argc, argv, &given, &parsed, &status)) {
        return status;
    }
    pw_powers_probe("/proc", "/sys", &powers);
    if (given.json || pw_envelope_is_used()) {
        return pw_envelope_print(to_json(&powers));
    }
    report(&powers, &document);
    bool color = !given.no_color && pw_cli_may_color(STDOUT_FILENO);
    if (pw_document_to_text(&document, color, &text, &err) != 0) {
        return pw_cli_fail(&err);
    }
    return pw_cli_print(&text);
}
