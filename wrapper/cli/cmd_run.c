#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include "core/file.h"
#include "core/summary.h"
#include "exporters/exporter.h"
#include "wrapper/cli/command.h"
#include "wrapper/cli/help.h"
#include "wrapper/cli/run_options.h"
#include "wrapper/cli/watch.h"
#include "wrapper/probe/host.h"
#include "wrapper/run/session.h"
#include "wrapper/run/signals.h"

/* All that one call has; kept together so that it ends in one place. */
struct call {
    struct pw_run_options options;
    struct pw_parsed parsed;
    struct pw_owned_plan plan;
    struct pw_run_record run;
    struct pw_summary *summary;
    char *paths[PW_EXPORTER_COUNT]; /* of the documents that were written */
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

/* A warning that is known before the session: told at once, and kept in the summary. */
static int note(struct call *call, const char *kind, const char *advice, const char *message,
                struct pw_err *err)
{
    if (!call->options.quiet) {
        fprintf(stderr, "perfwrap: %s\n  hint: %s\n", message, advice);
    }
    return pw_run_record_warn(&call->run, kind, advice, NULL, "%s", message) == 0
               ? 0
               : pw_err_memory(err);
}

/* What workers will find in a variable that perfwrap inherited and leaves as it is; NULL: nothing.
 */
static const char *passed_on(const struct call *call, const char *name)
{
    const char *value = pw_outfit_variable(&call->plan.outfit, name) ? NULL : getenv(name);
    return value && *value ? value : NULL;
}

/* Inherited variables that bear on what the workers report. */
static int note_environment(struct call *call, struct pw_err *err)
{
    static const char *const config_files[] = {"OTEL_CONFIG_FILE", "OTEL_EXPERIMENTAL_CONFIG_FILE"};
    const char *disabled = passed_on(call, "OTEL_SDK_DISABLED");
    enum pw_otlp_mode mode = call->plan.plan.otlp_mode;
    char message[256];
    if (mode == PW_OTLP_AUTO && passed_on(call, "OTEL_EXPORTER_OTLP_ENDPOINT") &&
        note(call, "otlp_endpoint_replaced",
             "--otlp URL names a collector for them, --otlp off leaves the variables alone",
             "OTEL_EXPORTER_OTLP_ENDPOINT is set, but the workers report to perfwrap", err) != 0) {
        return -1;
    }
    if (mode != PW_OTLP_OFF && disabled && strcasecmp(disabled, "true") == 0 &&
        note(call, "otel_sdk_disabled", "give --otel-env OTEL_SDK_DISABLED=false",
             "OTEL_SDK_DISABLED is set: workers with an OpenTelemetry SDK report nothing",
             err) != 0) {
        return -1;
    }
    for (size_t i = 0; mode != PW_OTLP_OFF && i < sizeof config_files / sizeof *config_files; i++) {
        if (!passed_on(call, config_files[i])) {
            continue;
        }
        snprintf(message, sizeof message,
                 "%s is set: an SDK that reads that file ignores all other OTEL_ variables, and "
                 "with them where to report",
                 config_files[i]);
        if (note(call, "otel_config_file", "unset it, or give --otlp off", message, err) != 0) {
            return -1;
        }
    }
    return 0;
}

static int note_options(struct call *call, struct pw_err *err)
{
    const struct pw_option *options = pw_run_option_set.options;
    const char *syntax = call->options.cmd ? pw_find_shell_syntax(call->options.cmd) : NULL;
    for (size_t i = 0; i < pw_run_option_set.count; i++) {
        char message[256];
        if (!call->parsed.given[i] || !options[i].no_effect) {
            continue;
        }
        snprintf(message, sizeof message, "option --%s has no effect: %s", options[i].name,
                 options[i].no_effect);
        if (note(call, "option_without_effect", "leave it out", message, err) != 0) {
            return -1;
        }
    }
    if (syntax) {
        char message[256];
        snprintf(message, sizeof message, "--cmd runs no shell: `%.40s` is passed on as it is",
                 syntax);
        return note(call, "shell_syntax_in_cmd", "use --shell where a shell is meant", message,
                    err);
    }
    return 0;
}

/* What the record says about the call itself. */
static int describe_call(struct call *call, struct pw_err *err)
{
    struct pw_run_record *run = &call->run;
    run->command = strdup(call->plan.plan.command_text);
    run->config_path = strdup("");
    run->profile = json_incref(call->plan.profile);
    if (!run->command || !run->config_path) {
        return pw_err_memory(err);
    }
    run->environment = pw_host_describe("/proc", "/sys", err);
    return run->environment ? 0 : -1;
}

static int write_document(const struct pw_exporter *exporter, const struct pw_summary *summary,
                          const char *folder, char **ret_path, struct pw_err *err)
{
    PW_STR_AUTO text = PW_STR_INIT;
    PW_FREE_AUTO char *path = pw_path_join(folder, exporter->file_name, err);
    if (!path || exporter->render(summary, (struct pw_export_style){0}, &text, err) != 0 ||
        pw_file_write(path, text.text, text.length, 0666, err) != 0) {
        return -1;
    }
    *ret_path = path;
    path = NULL;
    return 0;
}

static int write_documents(struct call *call, struct pw_err *err)
{
    const struct pw_run_record *run = &call->run;
    if (pw_run_record_judge(&call->run, err) != 0) {
        return -1;
    }
    call->summary = pw_summary_build(run, err);
    if (!call->summary) {
        return pw_err_prefix(err, "build the summary");
    }
    for (size_t i = 0; i < PW_EXPORTER_COUNT; i++) {
        if (pw_exporters[i].file_name &&
            write_document(&pw_exporters[i], call->summary, run->run_dir, &call->paths[i], err)) {
            pw_err_prefix(err, "write the summary");
            return pw_err_remedy(err, "kept: the %zu iteration files in %s", run->iteration_count,
                                 run->run_dir);
        }
    }
    return 0;
}

static int render(const struct call *call, const char *format, int fd, struct pw_str *text,
                  struct pw_err *err)
{
    struct pw_export_style style = {.color = !call->options.no_color && pw_cli_may_color(fd)};
    return pw_exporter_find(format)->render(call->summary, style, text, err);
}

/* Returns PW_EXIT_OK, or the status of what went wrong, which is told. */
static int print_result(const struct call *call)
{
    PW_STR_AUTO text = PW_STR_INIT;
    PW_STR_AUTO table = PW_STR_INIT;
    struct pw_err err = PW_ERR_INIT;
    bool terminal = isatty(STDOUT_FILENO);
    int failed = 0;
    if (call->options.json) {
        failed = render(call, "json", STDOUT_FILENO, &text, &err);
    } else if (!call->options.quiet && terminal) {
        failed = render(call, "text", STDOUT_FILENO, &text, &err);
    } else if (!call->options.quiet) {
        failed = render(call, "text", STDERR_FILENO, &table, &err);
        fputs(table.text, stderr);
    }
    if (failed) {
        return pw_cli_fail(&err);
    }
    for (size_t i = 0; i < PW_EXPORTER_COUNT && !call->options.json; i++) {
        if (call->paths[i]) {
            pw_str_addf(&text, "%s=%s\n", pw_exporters[i].result_key, call->paths[i]);
        }
    }
    return pw_cli_print(&text);
}

static int status_of_workers(const struct call *call)
{
    for (size_t i = 0; i < call->run.iteration_count; i++) {
        const struct pw_iteration_record *iteration = &call->run.iterations[i];
        for (size_t w = 0; w < iteration->worker_count; w++) {
            int code = iteration->workers[w].return_code;
            if (code != 0 && !pw_plan_ignores(&call->plan.plan, code)) {
                return PW_EXIT_WORKER_FAILED;
            }
        }
    }
    return PW_EXIT_OK;
}

static int run_session(struct call *call, struct pw_err *err)
{
    struct pw_watch watch;
    pw_watch_init(&watch, &call->plan.plan, call->options.quiet);
    struct pw_session_events events = pw_watch_events(&watch);
    int result = pw_session_run(&call->plan.plan, &events, &call->run, err);
    pw_watch_done(&watch);
    if (watch.warmup_failures > 0) {
        pw_run_record_warn(&call->run, "warmup_failed",
                           "Look at its output: what is measured after it may be something else.",
                           NULL,
                           "%llu %s of the warm-up failed; the exit status tells of the measured "
                           "ones only.",
                           (unsigned long long)watch.warmup_failures,
                           watch.warmup_failures == 1 ? "worker" : "workers");
    }
    return result;
}

/* The session, and whatever can still be done after it, whether it failed or not. */
static int measure(struct call *call)
{
    struct pw_run_record *run = &call->run;
    struct pw_err session_err = PW_ERR_INIT, err = PW_ERR_INIT;
    int status = PW_EXIT_OK;
    int result = run_session(call, &session_err);
    if (run->interrupted_by) {
        fprintf(stderr, "perfwrap: interrupted by signal %d (%s)\n", run->interrupted_by,
                strsignal(run->interrupted_by));
        status = PW_EXIT_SIGNAL + run->interrupted_by;
    } else if (result != 0) {
        status = pw_cli_fail(&session_err);
    } else {
        status = status_of_workers(call);
    }
    if (!run->run_dir) {
        return status;
    }
    if (run->iteration_count == 0 && !run->interrupted_by) {
        rmdir(run->run_dir); /* of no use to anyone, if it is empty */
        return status;
    }
    if (write_documents(call, &err) != 0) {
        status = pw_cli_fail(&err);
    }
    int printed = call->summary ? print_result(call) : PW_EXIT_OK;
    return printed == PW_EXIT_OK ? status : printed;
}

static int prepare_and_measure(struct call *call, char *const *command)
{
    struct pw_err err = PW_ERR_INIT;
    if (pw_plan_make(&call->options, &call->parsed, command, &call->plan, &err) != 0) {
        return pw_cli_fail(&err);
    }
    pw_signals_prepare();
    if (note_options(call, &err) != 0 || note_environment(call, &err) != 0 ||
        describe_call(call, &err) != 0) {
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
    pw_run_record_init(&call.run);
    int status = prepare_and_measure(&call, call.parsed.rest >= 0 ? argv + call.parsed.rest : NULL);
    for (size_t i = 0; i < PW_EXPORTER_COUNT; i++) {
        free(call.paths[i]);
    }
    pw_summary_free(call.summary);
    pw_run_record_done(&call.run);
    pw_plan_done(&call.plan);
    return status;
}
