/* `perfwrap footprint`: the memory of a running process tree. */
#include "wrapper/cli/envelope.h"
#include "wrapper/cli/footprint_report.h"
#include "wrapper/cli/footprint_summary.h"

static const char *const groups[] = {"Options"};
static const struct pw_option options[] = {
    PW_FOOT_OPTIONS,
    PW_OPTION_HELP(pw_foot_options),
};
const struct pw_option_set pw_footprint_option_set = {.options = options,
                                                      .count = sizeof options / sizeof *options,
                                                      .groups = groups,
                                                      .group_count = 1,
                                                      .operands = 1};

int pw_cmd_footprint(const struct pw_command *command, int argc, char *const *argv)
{
    struct pw_foot_options given;
    PW_PARSED_AUTO parsed = {0};
    PW_FOOT_SESSION_AUTO session = {0};
    PW_FOOT_SUMMARY_AUTO summary = {.is_open = false};
    PW_DOCUMENT_AUTO document = PW_DOCUMENT_INIT;
    struct pw_err err = PW_ERR_INIT;
    int status;
    if (!pw_command_begin(command, argc, argv, &given, &parsed, &status)) {
        return status;
    }
    if (pw_foot_session_open(&given, &parsed, &session, &err) != 0 ||
        pw_foot_summary_begin(&given, "footprint", &session, &summary, &err) != 0 ||
        pw_foot_summary_write_one(&summary, &session, &err) != 0) {
        return pw_cli_fail(&err);
    }
    if (pw_foot_wants_json(&given)) {
        return pw_foot_summary_print(&given, &summary, NULL, pw_footprint_to_json(&session));
    }
    pw_footprint_report(&session, &document);
    return pw_foot_summary_print(&given, &summary, &document, NULL);
}
