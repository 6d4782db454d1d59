#include "wrapper/cli/command.h"
#include "wrapper/cli/help.h"
#include "wrapper/cli/measure.h"
#include "wrapper/run/signals.h"

/* A word where an option was expected: most likely the command, or a mistyped subcommand. */
static int refuse_stray(int argc, char *const *argv, int stray, struct pw_err *err)
{
    PW_STR_AUTO words = PW_STR_INIT;
    const char *word = argv[stray];
    const char *nearest = stray == 0 ? pw_command_nearest(word) : NULL;
    for (int i = 0; i < stray; i++) {
        pw_str_add_shell_word(&words, argv[i]);
        pw_str_add_char(&words, ' ');
    }
    pw_str_add(&words, "-- ");
    pw_str_add_shell_word(&words, word);
    pw_err_set(err, PW_ERR_USAGE, "`%s` is no subcommand, and a command stands behind --", word);
    pw_err_remedy(err, "perfwrap %s%s", words.text, stray + 1 < argc ? " ..." : "");
    if (nearest) {
        pw_err_remedy(err, "perfwrap %s%s, or did you mean the subcommand %s?", words.text,
                      stray + 1 < argc ? " ..." : "", nearest);
    }
    return -1;
}

static int prepare_and_measure(struct pw_measurement *call, const struct pw_parsed *parsed,
                               char *const *command)
{
    struct pw_err err = PW_ERR_INIT;
    if (pw_gate_load(&call->options, &call->gate, &err) != 0 ||
        pw_plan_make(&call->options, parsed, command, &call->plan, &err) != 0) {
        return pw_cli_fail(&err);
    }
    pw_signals_prepare();
    if (pw_result_note_call(&call->result, &call->options, parsed, &call->plan, call->options.quiet,
                            &err) != 0 ||
        pw_result_describe(&call->result, &call->plan, &err) != 0) {
        return pw_cli_fail(&err);
    }
    int status = pw_measure(call);
    return call->result.summary
               ? pw_measurement_status(status, pw_measurement_print(call, NULL, NULL))
               : status;
}

int pw_cmd_run(const struct pw_command *command, int argc, char *const *argv)
{
    PW_MEASUREMENT_AUTO call;
    PW_PARSED_AUTO parsed = {0};
    struct pw_err err = PW_ERR_INIT;
    PW_STR_AUTO text = PW_STR_INIT;
    pw_measurement_init(&call);
    if (pw_options_parse(command->options, argc, argv, &call.options, &parsed, &err) != 0) {
        return pw_cli_fail(&err);
    }
    if (call.options.help) {
        pw_help_text(command, &text);
        return pw_cli_print(&text);
    }
    if (call.options.version) {
        pw_str_addf(&text, "perfwrap %s\n", PERFWRAP_VERSION);
        return pw_cli_print(&text);
    }
    if (parsed.stray >= 0) {
        refuse_stray(argc, argv, parsed.stray, &err);
        return pw_cli_fail(&err);
    }
    return prepare_and_measure(&call, &parsed, parsed.rest >= 0 ? argv + parsed.rest : NULL);
}
