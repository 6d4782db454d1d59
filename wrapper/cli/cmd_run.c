#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "exporters/exporter.h"
#include "wrapper/cli/command.h"
#include "wrapper/cli/gate.h"
#include "wrapper/cli/help.h"
#include "wrapper/cli/result.h"
#include "wrapper/cli/run_options.h"
#include "wrapper/cli/watch.h"
#include "wrapper/run/session.h"
#include "wrapper/run/signals.h"

/* All that one call has; kept together so that it ends in one place. */
struct call {
    struct pw_run_options options;
    struct pw_parsed parsed;
    struct pw_owned_plan plan;
    struct pw_gate gate;
    struct pw_result result;
};

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

static int render(const struct call *call, const char *format, int fd, struct pw_str *text,
                  struct pw_err *err)
{
    struct pw_export_style style = {.color = !call->options.no_color && pw_cli_may_color(fd)};
    return pw_exporter_find(format)->render(call->result.summary, style, text, err);
}

/* The short table goes before the result lines on a terminal, else to standard error; so does
 * `gate`, the report of the bounds, of which --quiet leaves only what `failed`. */
static int print_result(const struct call *call, const char *gate, bool failed)
{
    PW_STR_AUTO text = PW_STR_INIT;
    PW_STR_AUTO aside = PW_STR_INIT;
    struct pw_err err = PW_ERR_INIT;
    bool here = isatty(STDOUT_FILENO) && !call->options.json;
    int result = 0;
    if (call->options.json) {
        result = render(call, "json", STDOUT_FILENO, &text, &err);
    } else if (!call->options.quiet) {
        result =
            render(call, "text", here ? STDOUT_FILENO : STDERR_FILENO, here ? &text : &aside, &err);
    }
    if (result != 0) {
        return pw_cli_fail(&err);
    }
    if (!call->options.quiet || failed) {
        pw_str_add(here ? &text : &aside, gate);
    }
    fputs(aside.text, stderr);
    if (!call->options.json) {
        pw_result_add_lines(&call->result, &text);
    }
    return pw_cli_print(&text);
}

/* As pw_session_run(), but with --extend-to it goes on while a bound is open. */
static int measure_steps(struct call *call, struct pw_session *session, struct pw_err *err)
{
    const struct pw_run_record *run = &call->result.run;
    bool enough = false, more = false, kept;
    while (!pw_session_interrupted_by(session)) {
        enum pw_stop stop = PW_STOP_COUNT;
        if (pw_session_is_enough(session, &enough, err) != 0 ||
            (enough && pw_gate_wants_more(&call->gate, run, &more, &stop, err) != 0)) {
            return -1;
        }
        if (enough && !more) {
            if (stop != PW_STOP_COUNT) {
                pw_session_stop(
                    session, stop, "the bounds %s after %zu iterations (--extend-to %u)",
                    stop == PW_STOP_SLA_DECIDED ? "could be decided" : "were still open",
                    run->iteration_count, call->gate.extend_to);
            }
            return 0;
        }
        if (pw_session_step(session, &kept, err) != 0) {
            return -1;
        }
    }
    return 0;
}

static int run_session(struct call *call, struct pw_watch *watch, struct pw_err *err)
{
    struct pw_session_events events = pw_watch_events(watch);
    struct pw_session *session;
    if (pw_session_open(&call->plan.plan, &events, &call->result.run, &session, err) != 0) {
        return -1;
    }
    int result = pw_session_start(session, err);
    if (result == 0) {
        result = measure_steps(call, session, err);
    }
    return pw_session_close(session, result != 0 ? NULL : err) != 0 ? -1 : result;
}

/* The exit status that the bounds mean, of a run that came to its end: of another one nothing can
 * be said. */
static int judge(const struct call *call, bool whole, struct pw_str *ret_text)
{
    struct pw_err err = PW_ERR_INIT;
    int status = PW_EXIT_OK;
    if (!pw_gate_is_there(&call->gate)) {
        return PW_EXIT_OK;
    }
    if (!whole) {
        fputs("perfwrap: the bounds are not judged: the run did not come to its end\n", stderr);
    } else if (pw_gate_judge(&call->gate, call->result.summary,
                             pw_result_summary_path(&call->result), ret_text, &status, &err) != 0) {
        status = pw_cli_fail(&err);
    }
    return status;
}

/* The session, and whatever can still be done after it, whether it failed or not. */
static int measure(struct call *call)
{
    struct pw_err session_err = PW_ERR_INIT, err = PW_ERR_INIT;
    PW_STR_AUTO report = PW_STR_INIT;
    struct pw_watch watch;
    pw_watch_init(&watch, &call->plan.plan, call->options.quiet);
    int result = run_session(call, &watch, &session_err);
    pw_watch_done(&watch);
    pw_result_keep_warmup(&call->result, &watch);
    int status = pw_result_status(&call->result, &call->plan.plan, result, &session_err);
    if (pw_result_write(&call->result, &err) != 0) {
        status = pw_cli_fail(&err);
    }
    if (!call->result.summary) {
        return status;
    }
    int gate_status = judge(call, result == 0 && !call->result.run.interrupted_by, &report);
    status = status == PW_EXIT_OK ? gate_status : status;
    int printed = print_result(call, report.text, gate_status != PW_EXIT_OK);
    return printed == PW_EXIT_OK ? status : printed;
}

static int prepare_and_measure(struct call *call, char *const *command)
{
    struct pw_err err = PW_ERR_INIT;
    if (pw_gate_load(&call->options, &call->gate, &err) != 0 ||
        pw_plan_make(&call->options, &call->parsed, command, &call->plan, &err) != 0) {
        return pw_cli_fail(&err);
    }
    pw_signals_prepare();
    if (pw_result_note_call(&call->result, &call->options, &call->parsed, &call->plan,
                            call->options.quiet, &err) != 0 ||
        pw_result_describe(&call->result, &call->plan, &err) != 0) {
        return pw_cli_fail(&err);
    }
    return measure(call);
}

int pw_cmd_run(const struct pw_command *command, int argc, char *const *argv)
{
    struct call call = {.plan = PW_OWNED_PLAN_INIT};
    struct pw_err err = PW_ERR_INIT;
    PW_STR_AUTO text = PW_STR_INIT;
    if (pw_options_parse(command->options, argc, argv, &call.options, &call.parsed, &err) != 0) {
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
    if (call.parsed.stray >= 0) {
        refuse_stray(argc, argv, call.parsed.stray, &err);
        return pw_cli_fail(&err);
    }
    pw_result_init(&call.result);
    int status = prepare_and_measure(&call, call.parsed.rest >= 0 ? argv + call.parsed.rest : NULL);
    pw_result_done(&call.result);
    pw_gate_done(&call.gate);
    pw_plan_done(&call.plan);
    return status;
}
