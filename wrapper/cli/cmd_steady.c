/* `perfwrap steady`: the memory and CPU of a running process tree over time. */
#include <errno.h>
#include <unistd.h>
#include "core/clock.h"
#include "core/file.h"
#include "wrapper/cli/envelope.h"
#include "wrapper/cli/footprint_summary.h"
#include "wrapper/cli/help.h"
#include "wrapper/cli/steady.h"
#include "wrapper/run/signals.h"

enum { SECONDS_MAX = 31536000 };

struct steady_options {
    struct pw_foot_options foot; /* must be first, see PW_FOOT_OPTIONS */
    double duration_sec, interval_sec;
};

static const char *const groups[] = {"Options"};
static const struct pw_option options[] = {
    {.name = "duration",
     .type = PW_OPTION_NUMBER,
     .argument = "SEC",
     .initial = "10",
     .min = 0.01,
     .max = SECONDS_MAX,
     .unit = "s",
     .offset = offsetof(struct steady_options, duration_sec),
     .help = "How long. There is one sample more than intervals fit in it: at both ends."},
    {.name = "interval",
     .type = PW_OPTION_NUMBER,
     .argument = "SEC",
     .initial = "1",
     .min = 0.01,
     .max = SECONDS_MAX,
     .unit = "s",
     .offset = offsetof(struct steady_options, interval_sec),
     .help = "From sample to sample. For each one the kernel walks all page tables of the tree: "
             "some ms for a GiB."},
    PW_FOOT_OPTIONS,
    PW_OPTION_HELP(pw_foot_options),
};
const struct pw_option_set pw_steady_option_set = {.options = options,
                                                   .count = sizeof options / sizeof *options,
                                                   .groups = groups,
                                                   .group_count = 1,
                                                   .operands = 1};

/* Why the measurement is not whole; returns the exit status. */
static int set_end(const struct pw_steady *steady, const struct pw_foot_session *session,
                   struct pw_err *err)
{
    double after_sec = pw_ns_to_sec(steady->ended_ns);
    if (steady->end == PW_STEADY_INTERRUPTED) {
        pw_err_set(err, PW_ERR_SYSTEM, "interrupted by signal %d after %.2f of %g s",
                   steady->signal, after_sec, steady->duration_sec);
        err->sys = EINTR;
        return PW_EXIT_SIGNAL + steady->signal;
    }
    if (session->target.count == 1) {
        pw_err_set(err, PW_ERR_INPUT, "process %d ended after %.2f of %g s",
                   session->target.pids[0], after_sec, steady->duration_sec);
    } else {
        pw_err_set(err, PW_ERR_INPUT, "the last of %zu processes ended after %.2f of %g s",
                   session->target.count, after_sec, steady->duration_sec);
    }
    err->sys = ESRCH;
    return PW_EXIT_WORKER_FAILED;
}

static int print(const struct steady_options *given, const struct pw_foot_session *session,
                 const struct pw_steady *steady, const struct pw_foot_summary *summary)
{
    struct pw_steady_series series[PW_STEADY_SERIES_COUNT];
    PW_DOCUMENT_AUTO document = PW_DOCUMENT_INIT;
    struct pw_err err = PW_ERR_INIT;
    json_t *json = NULL;
    if (pw_steady_summarise(steady, series, &err) != 0) {
        return pw_cli_fail(&err);
    }
    if (pw_foot_wants_json(&given->foot)) {
        json = pw_steady_to_json(session, steady, series);
    } else {
        pw_steady_report(session, steady, series, &document);
    }
    if (steady->end == PW_STEADY_DONE) {
        return pw_foot_summary_print(&given->foot, summary, &document, json);
    }
    int end_status = set_end(steady, session, &err);
    if (pw_envelope_is_used()) {
        pw_foot_summary_put_path(summary, json);
        return pw_envelope_fail(&err, json);
    }
    int status = pw_foot_summary_print(&given->foot, summary, &document, json);
    if (status == PW_EXIT_OK) {
        (void)pw_cli_fail(&err);
        status = end_status;
    }
    return status;
}

int pw_cmd_steady(const struct pw_command *command, int argc, char *const *argv)
{
    struct steady_options given;
    PW_PARSED_AUTO parsed = {0};
    PW_FOOT_SESSION_AUTO session = {0};
    PW_FOOT_SUMMARY_AUTO summary = {.is_open = false};
    PW_STEADY_AUTO steady = {0};
    struct pw_err err = PW_ERR_INIT;
    int status;
    size_t count;
    if (!pw_command_begin(command, argc, argv, &given, &parsed, &status)) {
        return status;
    }
    if (pw_steady_count(given.duration_sec, given.interval_sec, &count, &err) != 0) {
        return pw_cli_fail(&err);
    }
    pw_signals_prepare();
    PW_FD_AUTO signal_fd = pw_signals_open(&err);
    steady.duration_sec = given.duration_sec;
    steady.interval_sec = given.interval_sec;
    if (signal_fd < 0 || pw_foot_session_open(&given.foot, &parsed, &session, &err) != 0 ||
        pw_foot_summary_begin(&given.foot, "steady", &session, &summary, &err) != 0 ||
        pw_steady_run(&session, signal_fd, &steady, &err) != 0 ||
        pw_foot_summary_write(&summary, &session, &steady, &err) != 0) {
        return pw_cli_fail(&err);
    }
    return print(&given, &session, &steady, &summary);
}
