#include "wrapper/cli/measure.h"

#include <stdio.h>
#include <unistd.h>
#include "exporters/exporter.h"
#include "wrapper/cli/command.h"
#include "wrapper/cli/help.h"

void pw_measurement_init(struct pw_measurement *measurement)
{
    *measurement = (struct pw_measurement){
        .plan = PW_OWNED_PLAN_INIT, .gate_report = PW_STR_INIT, .gate_status = PW_EXIT_OK};
    pw_result_init(&measurement->result);
}

void pw_measurement_done(struct pw_measurement *measurement)
{
    pw_result_done(&measurement->result);
    pw_gate_done(&measurement->gate);
    pw_plan_done(&measurement->plan);
    pw_str_done(&measurement->gate_report);
}

/* As pw_session_run(), but with --extend-to it goes on while a bound is open. */
static int measure_steps(struct pw_measurement *measurement, struct pw_session *session,
                         struct pw_err *err)
{
    const struct pw_run_record *run = &measurement->result.run;
    bool enough = false, more = false, kept;
    while (!pw_session_interrupted_by(session)) {
        enum pw_stop stop = PW_STOP_COUNT;
        if (pw_session_is_enough(session, &enough, err) != 0 ||
            (enough && pw_gate_wants_more(&measurement->gate, run, &more, &stop, err) != 0)) {
            return -1;
        }
        if (enough && !more) {
            if (stop != PW_STOP_COUNT) {
                pw_session_stop(
                    session, stop, "the bounds %s after %zu iterations (--extend-to %u)",
                    stop == PW_STOP_SLA_DECIDED ? "could be decided" : "were still open",
                    run->iteration_count, measurement->gate.extend_to);
            }
            return 0;
        }
        if (pw_session_step(session, &kept, err) != 0) {
            return -1;
        }
    }
    return 0;
}

static int run_session(struct pw_measurement *measurement, struct pw_watch *watch,
                       struct pw_err *err)
{
    struct pw_session_events events = pw_watch_events(watch);
    struct pw_session *session;
    if (pw_session_open(&measurement->plan.plan, &events, &measurement->result.run, &session,
                        err) != 0) {
        return -1;
    }
    int result = pw_session_start(session, err);
    if (result == 0) {
        result = measure_steps(measurement, session, err);
    }
    return pw_session_close(session, result != 0 ? NULL : err) != 0 ? -1 : result;
}

/* The exit status that the bounds mean, of a run that came to its end: of another one nothing can
 * be said. */
static int judge(struct pw_measurement *measurement, bool whole)
{
    struct pw_err err = PW_ERR_INIT;
    int status = PW_EXIT_OK;
    if (!pw_gate_is_there(&measurement->gate)) {
        return PW_EXIT_OK;
    }
    if (!whole) {
        fputs("perfwrap: the bounds are not judged: the run did not come to its end\n", stderr);
    } else if (pw_gate_judge(&measurement->gate, measurement->result.summary,
                             pw_result_summary_path(&measurement->result),
                             &measurement->gate_report, &status, &err) != 0) {
        status = pw_cli_fail(&err);
    }
    return status;
}

int pw_measure(struct pw_measurement *measurement)
{
    struct pw_err session_err = PW_ERR_INIT, err = PW_ERR_INIT;
    struct pw_result *result = &measurement->result;
    struct pw_watch watch;
    if (pw_result_describe_accelerator(result, &err) != 0) {
        return pw_cli_fail(&err);
    }
    pw_watch_init(&watch, &measurement->plan.plan, measurement->options.quiet);
    watch.kept = measurement->kept;
    watch.kept_context = measurement->kept_context;
    int session_result = run_session(measurement, &watch, &session_err);
    pw_watch_done(&watch);
    pw_result_keep_warmup(result, &watch);
    int status = pw_result_status(result, &measurement->plan.plan, session_result, &session_err);
    if (pw_result_write(result, &err) != 0) {
        status = pw_cli_fail(&err);
    }
    if (!result->summary) {
        return status;
    }
    measurement->gate_status =
        judge(measurement, session_result == 0 && !result->run.interrupted_by);
    return status == PW_EXIT_OK ? measurement->gate_status : status;
}

bool pw_measurement_prints_here(const struct pw_measurement *measurement)
{
    return isatty(STDOUT_FILENO) && !measurement->options.json;
}

static int render(const struct pw_measurement *measurement, const char *format, int fd,
                  struct pw_str *text, struct pw_err *err)
{
    struct pw_export_style style = {.color =
                                        !measurement->options.no_color && pw_cli_may_color(fd)};
    return pw_exporter_find(format)->render(measurement->result.summary, style, text, err);
}

int pw_measurement_add_table(const struct pw_measurement *measurement, struct pw_str *text,
                             struct pw_err *err)
{
    int fd = pw_measurement_prints_here(measurement) ? STDOUT_FILENO : STDERR_FILENO;
    return render(measurement, "text", fd, text, err);
}

/* `own`, or else the summary in that form. */
static int add_summary(const struct pw_measurement *measurement, const struct pw_str *own,
                       const char *format, int fd, struct pw_str *text, struct pw_err *err)
{
    if (!own) {
        return render(measurement, format, fd, text, err);
    }
    pw_str_add_bytes(text, own->text, own->length);
    return own->failed ? pw_err_memory(err) : 0;
}

int pw_measurement_print(const struct pw_measurement *measurement, const struct pw_str *own_text,
                         const struct pw_str *own_json)
{
    PW_STR_AUTO text = PW_STR_INIT;
    PW_STR_AUTO aside = PW_STR_INIT;
    struct pw_err err = PW_ERR_INIT;
    bool here = pw_measurement_prints_here(measurement);
    int result = 0;
    if (measurement->options.json) {
        result = add_summary(measurement, own_json, "json", STDOUT_FILENO, &text, &err);
    } else if (!measurement->options.quiet) {
        result = add_summary(measurement, own_text, "text", here ? STDOUT_FILENO : STDERR_FILENO,
                             here ? &text : &aside, &err);
    }
    if (result != 0) {
        return pw_cli_fail(&err);
    }
    if (!measurement->options.quiet || measurement->gate_status != PW_EXIT_OK) {
        pw_str_add(here ? &text : &aside, measurement->gate_report.text);
    }
    fputs(aside.text, stderr);
    if (!measurement->options.json) {
        pw_result_add_lines(&measurement->result, &text);
    }
    return pw_cli_print(&text);
}

int pw_measurement_status(int measured, int printed)
{
    return printed == PW_EXIT_OK ? measured : printed;
}
