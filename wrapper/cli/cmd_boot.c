/* `perfwrap boot`: virtual machines, from before the monitor's spawn to the guest command's result.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "core/clock.h"
#include "core/file.h"
#include "core/json.h"
#include "wrapper/boot/machines.h"
#include "wrapper/cli/boot_options.h"
#include "wrapper/cli/boot_other.h"
#include "wrapper/cli/boot_report.h"
#include "wrapper/cli/boot_setup.h"
#include "wrapper/cli/command.h"
#include "wrapper/cli/envelope.h"
#include "wrapper/cli/help.h"
#include "wrapper/cli/measure.h"
#include "wrapper/run/signals.h"

struct call {
    struct pw_boot_options options;
    struct pw_parsed parsed;
    struct pw_boot_setup setup;
    struct pw_measurement measurement;
    struct pw_err keep_err; /* set if a machine that was to be kept could not be noted */
    bool claimed;
};

/* A machine goes on without perfwrap: it is noted under its name. */
static void kept(void *context, const struct pw_worker_record *worker, pid_t warden)
{
    struct call *call = context;
    const struct pw_run_record *run = &call->measurement.result.run;
    char started_at[PW_RFC3339_MAX];
    pw_clock_format_rfc3339(run->iterations[run->iteration_count - 1].started_wall, started_at);
    struct pw_kept note = {.name = (char *)call->options.keep,
                           .monitor = worker->pid,
                           .keeper = warden,
                           .memory_mib = call->setup.machine.size->memory_mib,
                           .machine = run->machine,
                           .started_at = started_at};
    if (pw_kept_write(&call->setup.state, &note, &call->keep_err) == 0) {
        call->claimed = false;
    } else {
        kill(warden, SIGKILL); /* nobody could find the machine: it ends with its keeper */
    }
}

static int prepare(struct call *call, struct pw_err *err)
{
    struct pw_measurement *measurement = &call->measurement;
    struct pw_run_options *run = &measurement->options;
    const char *keep = call->options.keep;
    bool quiet = call->options.run.quiet;
    pw_signals_prepare(); /* what is made before the first boot is then whole or gone */
    if (pw_boot_set_up(&call->options, &call->setup, err) != 0) {
        return -1;
    }
    if (keep && pw_kept_claim(&call->setup.state, keep, err) != 0) {
        return -1;
    }
    call->claimed = keep != NULL;
    *run = call->options.run;
    if (pw_gate_load(run, &measurement->gate, err) != 0 ||
        pw_plan_make(run, &call->parsed, call->setup.argv.items, &measurement->plan, err) != 0 ||
        pw_boot_fill_plan(&call->setup, &measurement->plan, err) != 0) {
        return -1;
    }
    if (pw_result_note_call(&measurement->result, run, &call->parsed, &measurement->plan, quiet,
                            err) != 0 ||
        pw_result_describe(&measurement->result, &measurement->plan, err) != 0) {
        return -1;
    }
    if (pw_boot_check_memory(&call->setup, measurement->result.run.environment, err) != 0) {
        return -1;
    }
    return pw_boot_describe(&call->setup, &measurement->result.run, err);
}

/* Exit status 0 means that every boot was measured. */
static int set_failure(const struct call *call, struct pw_err *err)
{
    const struct pw_run_record *run = &call->measurement.result.run;
    size_t failures = pw_boot_failures(run), count = 0;
    for (size_t i = 0; i < run->iteration_count; i++) {
        count += run->iterations[i].worker_count;
    }
    if (failures > 0) {
        return pw_err_set(err, PW_ERR_SYSTEM, "%zu of %zu boots failed", failures, count);
    }
    return 0;
}

/* Why the envelope is that of an error. */
static void explain(const struct call *call, struct pw_err *err)
{
    int sig = call->measurement.result.run.interrupted_by;
    if (sig) {
        pw_err_set(err, PW_ERR_SYSTEM, "interrupted by signal %d (%s)", sig, strsignal(sig));
        err->sys = EINTR;
    } else if (set_failure(call, err) == 0) {
        pw_err_set(err, PW_ERR_SYSTEM, "the bounds are not kept");
    }
}

static int print_json(const struct call *call, int measured)
{
    const struct pw_result *result = &call->measurement.result;
    struct pw_err err = PW_ERR_INIT;
    json_t *document = pw_boot_to_json(&result->run, pw_result_summary_path(result));
    if (!pw_envelope_is_used()) {
        int printed = pw_envelope_print(document);
        return pw_measurement_status(measured, printed);
    }
    if (measured == PW_EXIT_OK) {
        return pw_envelope_print(document);
    }
    explain(call, &err);
    return pw_envelope_fail(&err, document);
}

/* The machine and the verdicts before the table that every run has. */
static int print_text(const struct call *call, int measured)
{
    const struct pw_measurement *measurement = &call->measurement;
    PW_DOCUMENT_AUTO document = PW_DOCUMENT_INIT;
    PW_STR_AUTO text = PW_STR_INIT;
    struct pw_err err = PW_ERR_INIT;
    int fd = pw_measurement_prints_here(measurement) ? STDOUT_FILENO : STDERR_FILENO;
    bool color = !measurement->options.no_color && pw_cli_may_color(fd);
    pw_boot_report(&measurement->result.run, &document);
    if (pw_document_to_text(&document, color, &text, &err) != 0 ||
        pw_measurement_add_table(measurement, &text, &err) != 0) {
        return pw_cli_fail(&err);
    }
    return pw_measurement_status(measured, pw_measurement_print(measurement, &text, NULL));
}

static int print(const struct call *call, int measured)
{
    struct pw_err err = PW_ERR_INIT;
    bool as_json = call->measurement.options.json || pw_envelope_is_used();
    int status = as_json ? print_json(call, measured) : print_text(call, measured);
    if (!as_json && set_failure(call, &err) != 0) {
        fprintf(stderr, "perfwrap: %s\n", err.message);
    }
    return status;
}

static int measure_and_print(struct call *call)
{
    struct pw_err err = PW_ERR_INIT;
    const bool in_envelope = pw_envelope_is_used();
    if (prepare(call, &err) != 0) {
        return pw_boot_fail(&err);
    }
    call->measurement.kept = kept;
    call->measurement.kept_context = call;
    int status = pw_measure(&call->measurement);
    if (pw_err_is_set(&call->keep_err)) {
        status = pw_cli_fail(&call->keep_err);
    }
    if (in_envelope && !pw_envelope_is_used()) {
        return PW_EXIT_WORKER_FAILED; /* the error is told */
    }
    if (!call->measurement.result.summary) {
        return status;
    }
    return print(call, status);
}

int pw_cmd_boot(const struct pw_command *command, int argc, char *const *argv)
{
    struct call call = {.setup = PW_BOOT_SETUP_INIT, .keep_err = PW_ERR_INIT};
    struct pw_err err = PW_ERR_INIT;
    int status;
    if (!pw_command_begin(command, argc, argv, &call.options, &call.parsed, &status)) {
        return status;
    }
    pw_measurement_init(&call.measurement);
    if (pw_boot_options_complete(&call.options, &call.parsed, &err) != 0) {
        status = pw_cli_fail(&err);
    } else if (pw_boot_is_other(&call.options)) {
        status = pw_boot_other(&call.options);
    } else {
        status = measure_and_print(&call);
    }
    if (call.claimed) {
        pw_kept_disclaim(&call.setup.state, call.options.keep);
    }
    pw_measurement_done(&call.measurement);
    pw_boot_setup_done(&call.setup);
    pw_parsed_done(&call.parsed);
    return status;
}
