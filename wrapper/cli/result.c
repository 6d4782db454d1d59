#include "wrapper/cli/result.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include "core/file.h"
#include "wrapper/cli/command.h"
#include "wrapper/cli/help.h"
#include "wrapper/probe/host.h"

void pw_result_init(struct pw_result *result)
{
    *result = (struct pw_result){.summary = NULL};
    pw_run_record_init(&result->run);
}

void pw_result_done(struct pw_result *result)
{
    for (size_t i = 0; i < PW_EXPORTER_COUNT; i++) {
        free(result->paths[i]);
    }
    pw_summary_free(result->summary);
    pw_run_record_done(&result->run);
    *result = (struct pw_result){.summary = NULL};
}

int pw_result_describe(struct pw_result *result, const struct pw_owned_plan *plan,
                       struct pw_err *err)
{
    struct pw_run_record *run = &result->run;
    run->command = strdup(plan->plan.command_text);
    run->config_path = strdup("");
    run->profile = json_incref(plan->profile);
    if (!run->command || !run->config_path) {
        return pw_err_memory(err);
    }
    run->environment = pw_host_describe("/proc", "/sys", err);
    return run->environment ? 0 : -1;
}

int pw_result_note(struct pw_result *result, bool quiet, const char *kind, const char *advice,
                   const char *message, struct pw_err *err)
{
    if (!quiet) {
        fprintf(stderr, "perfwrap: %s\n  hint: %s\n", message, advice);
    }
    return pw_run_record_warn(&result->run, kind, advice, NULL, "%s", message) == 0
               ? 0
               : pw_err_memory(err);
}

/* What workers will find in a variable that perfwrap inherited and leaves as it is; NULL: nothing.
 */
static const char *passed_on(const struct pw_owned_plan *plan, const char *name)
{
    const char *value = pw_outfit_variable(&plan->outfit, name) ? NULL : getenv(name);
    return value && *value ? value : NULL;
}

static int note_environment(struct pw_result *result, const struct pw_owned_plan *plan, bool quiet,
                            struct pw_err *err)
{
    static const char *const config_files[] = {"OTEL_CONFIG_FILE", "OTEL_EXPERIMENTAL_CONFIG_FILE"};
    const char *disabled = passed_on(plan, "OTEL_SDK_DISABLED");
    enum pw_otlp_mode mode = plan->plan.otlp_mode;
    char message[256];
    if (mode == PW_OTLP_AUTO && passed_on(plan, "OTEL_EXPORTER_OTLP_ENDPOINT") &&
        pw_result_note(
            result, quiet, "otlp_endpoint_replaced",
            "--otlp URL names a collector for them, --otlp off leaves the variables alone",
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, but the workers report to perfwrap", err) != 0) {
        return -1;
    }
    if (mode != PW_OTLP_OFF && disabled && strcasecmp(disabled, "true") == 0 &&
        pw_result_note(result, quiet, "otel_sdk_disabled",
                       "give --otel-env OTEL_SDK_DISABLED=false",
                       "OTEL_SDK_DISABLED is set: workers with an OpenTelemetry SDK report nothing",
                       err) != 0) {
        return -1;
    }
    for (size_t i = 0; mode != PW_OTLP_OFF && i < sizeof config_files / sizeof *config_files; i++) {
        if (!passed_on(plan, config_files[i])) {
            continue;
        }
        snprintf(message, sizeof message,
                 "%s is set: an SDK that reads that file ignores all other OTEL_ variables, and "
                 "with them where to report",
                 config_files[i]);
        if (pw_result_note(result, quiet, "otel_config_file", "unset it, or give --otlp off",
                           message, err) != 0) {
            return -1;
        }
    }
    return 0;
}

static int note_options(struct pw_result *result, const struct pw_run_options *given,
                        const struct pw_parsed *parsed, bool quiet, struct pw_err *err)
{
    const struct pw_option *options = pw_run_option_set.options;
    const char *syntax = given->cmd ? pw_find_shell_syntax(given->cmd) : NULL;
    char message[256];
    for (size_t i = 0; i < pw_run_option_set.count; i++) {
        if (!parsed->given[i] || !options[i].no_effect) {
            continue;
        }
        snprintf(message, sizeof message, "option --%s has no effect: %s", options[i].name,
                 options[i].no_effect);
        if (pw_result_note(result, quiet, "option_without_effect", "leave it out", message, err) !=
            0) {
            return -1;
        }
    }
    if (syntax) {
        snprintf(message, sizeof message, "--cmd runs no shell: `%.40s` is passed on as it is",
                 syntax);
        return pw_result_note(result, quiet, "shell_syntax_in_cmd",
                              "use --shell where a shell is meant", message, err);
    }
    return 0;
}

int pw_result_note_call(struct pw_result *result, const struct pw_run_options *options,
                        const struct pw_parsed *parsed, const struct pw_owned_plan *plan,
                        bool quiet, struct pw_err *err)
{
    if (note_options(result, options, parsed, quiet, err) != 0) {
        return -1;
    }
    return note_environment(result, plan, quiet, err);
}

static int status_of_workers(const struct pw_run_record *run, const struct pw_plan *plan)
{
    for (size_t i = 0; i < run->iteration_count; i++) {
        const struct pw_iteration_record *iteration = &run->iterations[i];
        for (size_t w = 0; w < iteration->worker_count; w++) {
            int code = iteration->workers[w].return_code;
            if (code != 0 && !pw_plan_ignores(plan, code)) {
                return PW_EXIT_WORKER_FAILED;
            }
        }
    }
    return PW_EXIT_OK;
}

void pw_result_keep_warmup(struct pw_result *result, const struct pw_watch *watch)
{
    if (watch->warmup_failures > 0) {
        pw_run_record_warn(&result->run, "warmup_failed",
                           "Look at its output: what is measured after it may be something else.",
                           NULL,
                           "%llu %s of the warm-up failed; the exit status tells of the measured "
                           "ones only.",
                           (unsigned long long)watch->warmup_failures,
                           watch->warmup_failures == 1 ? "worker" : "workers");
    }
}

int pw_result_status(const struct pw_result *result, const struct pw_plan *plan, int session_result,
                     const struct pw_err *session_err)
{
    const struct pw_run_record *run = &result->run;
    if (run->interrupted_by) {
        fprintf(stderr, "perfwrap: interrupted by signal %d (%s)\n", run->interrupted_by,
                strsignal(run->interrupted_by));
        return PW_EXIT_SIGNAL + run->interrupted_by;
    }
    return session_result != 0 ? pw_cli_fail(session_err) : status_of_workers(run, plan);
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

int pw_result_describe_accelerator(struct pw_result *result, struct pw_err *err)
{
    json_t *environment = result->run.environment;
    const char *name = json_string_value(json_object_get(environment, "accelerator"));
    const char *dash = name ? strrchr(name, '-') : NULL;
    const char *kind = dash ? dash + 1 : name;
    bool is_hardware = kind && strcmp(kind, "kvm") == 0;
    if (!is_hardware && !(kind && strcmp(kind, "tcg") == 0)) {
        return 0;
    }
    return json_object_set_new(environment, "hardware_virtualization", json_integer(is_hardware)) ==
                   0
               ? 0
               : pw_err_memory(err);
}

int pw_result_write(struct pw_result *result, struct pw_err *err)
{
    struct pw_run_record *run = &result->run;
    if (!run->run_dir) {
        return 0;
    }
    if (run->iteration_count == 0 && !run->interrupted_by) {
        rmdir(run->run_dir); /* of no use to anyone, if it is empty */
        return 0;
    }
    if (pw_run_record_judge(run, err) != 0 || pw_result_describe_accelerator(result, err) != 0) {
        return -1;
    }
    result->summary = pw_summary_build(run, err);
    if (!result->summary) {
        return pw_err_prefix(err, "build the summary");
    }
    for (size_t i = 0; i < PW_EXPORTER_COUNT; i++) {
        if (pw_exporters[i].file_name && write_document(&pw_exporters[i], result->summary,
                                                        run->run_dir, &result->paths[i], err)) {
            pw_err_prefix(err, "write the summary");
            return pw_err_remedy(err, "kept: the %zu iteration files in %s", run->iteration_count,
                                 run->run_dir);
        }
    }
    return 0;
}

void pw_result_add_lines(const struct pw_result *result, struct pw_str *ret_text)
{
    for (size_t i = 0; i < PW_EXPORTER_COUNT; i++) {
        if (result->paths[i]) {
            pw_str_addf(ret_text, "%s=%s\n", pw_exporters[i].result_key, result->paths[i]);
        }
    }
}

const char *pw_result_summary_path(const struct pw_result *result)
{
    for (size_t i = 0; i < PW_EXPORTER_COUNT; i++) {
        if (result->paths[i] && strcmp(pw_exporters[i].name, "json") == 0) {
            return result->paths[i];
        }
    }
    return "";
}
