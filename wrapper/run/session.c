#include "wrapper/run/session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>
#include "core/clock.h"
#include "core/file.h"
#include "core/stats.h"
#include "wrapper/run/iteration.h"
#include "wrapper/run/run_dir.h"
#include "wrapper/run/scratch.h"

struct session {
    struct pw_stage stage;
    struct pw_scratch scratch;
    struct pw_reporting reporting;
    int64_t measuring_since_ns;
};

static void session_done(struct session *session)
{
    struct pw_stage *stage = &session->stage;
    pw_reporting_close(&session->reporting, stage->run);
    pw_sampler_free(stage->sampler);
    pw_supervisor_free(stage->supervisor);
    pw_fd_done(&stage->output_fd);
    pw_fd_done(&stage->null_fd);
    setrlimit(RLIMIT_NOFILE, &stage->nofile);
    pw_scratch_close(&session->scratch);
}

/* Wardens and kept /proc files need descriptors; the workers get the limit back that we were given.
 */
static void raise_descriptor_limit(struct rlimit *ret_before)
{
    if (getrlimit(RLIMIT_NOFILE, ret_before))
        return;
    struct rlimit raised = {.rlim_cur = ret_before->rlim_max, .rlim_max = ret_before->rlim_max};
    setrlimit(RLIMIT_NOFILE, &raised);
}

static int open_file(const char *path, int flags, int *ret_fd, struct pw_err *err)
{
    int fd = open(path, flags | O_CLOEXEC, 0666);
    if (fd < 0)
        return pw_err_system(err, errno, "open `%s`", path);
    *ret_fd = fd;
    return 0;
}

static int open_files(struct pw_stage *stage, struct pw_err *err)
{
    const struct pw_plan *plan = stage->plan;
    if (open_file("/dev/null", O_RDWR, &stage->null_fd, err))
        return -1;
    if (plan->output_mode == PW_OUTPUT_FILE &&
        open_file(plan->output_file, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, &stage->output_fd,
                  err))
        return pw_err_remedy(err, "name a writable file with --output");
    return 0;
}

static int session_init(struct session *session, struct pw_err *err)
{
    struct pw_stage *stage = &session->stage;
    const struct pw_plan *plan = stage->plan;
    raise_descriptor_limit(&stage->nofile);
    prctl(PR_SET_CHILD_SUBREAPER, 1); /* should a warden be killed, its tree comes to us */
    if (pw_run_dir_make(plan->out_dir, plan->profile_name, &stage->run->run_dir, err))
        return -1;
    if (stage->events && stage->events->run_dir)
        stage->events->run_dir(stage->events->context, stage->run->run_dir);
    if (pw_scratch_open(&session->scratch, err) || open_files(stage, err) ||
        pw_supervisor_new(stage->events, &stage->supervisor, err) ||
        pw_sampler_new(plan, &stage->sampler, err) ||
        pw_reporting_open(&session->reporting, plan, err))
        return -1;
    stage->reporting = &session->reporting;
    stage->scratch_dir = session->scratch.path;
    return 0;
}

/* Also takes signals that came between two batches. */
static bool is_interrupted(const struct session *session)
{
    pw_supervisor_poll(session->stage.supervisor);
    return pw_supervisor_interrupted_by(session->stage.supervisor) != 0;
}

/* One iteration and the hook before it. If interrupted meanwhile it is dropped, and *ret_kept
 * false. The hook behind it is run when the iteration is kept safe: conclude(). */
static int run_iteration(const struct session *session, unsigned number, unsigned shown,
                         unsigned total, struct pw_iteration_record *iteration, bool *ret_kept,
                         struct pw_err *err)
{
    const struct pw_stage *stage = &session->stage;
    const struct pw_session_events *events = stage->events;
    *ret_kept = false;
    if (events && events->iteration_started)
        events->iteration_started(events->context, number == 0, shown, total);
    if (pw_hook_run(stage, "--prepare", stage->plan->prepare, number, err))
        return -1;
    if (is_interrupted(session))
        return 0;
    if (pw_iteration_run(stage, number, iteration, err))
        return -1;
    if (pw_supervisor_interrupted_by(stage->supervisor)) { /* while it ran: it is not whole */
        pw_iteration_record_done(iteration);
        return 0;
    }
    *ret_kept = true;
    if (events && events->iteration_ended)
        events->iteration_ended(events->context, number == 0, iteration);
    return 0;
}

static int conclude(const struct session *session, unsigned number, struct pw_err *err)
{
    const struct pw_stage *stage = &session->stage;
    return pw_hook_run(stage, "--conclude", stage->plan->conclude, number, err);
}

static int warm_up(const struct session *session, struct pw_err *err)
{
    struct pw_run_record *run = session->stage.run;
    unsigned total = session->stage.plan->warmup;
    for (unsigned i = 1; i <= total && !is_interrupted(session); i++) {
        struct pw_iteration_record iteration = {0};
        bool kept;
        if (run_iteration(session, 0, i, total, &iteration, &kept, err))
            return pw_err_prefix(err, "warm-up %u", i);
        if (kept && i == 1)
            run->first_warmup_ms = iteration.duration_ms;
        if (!kept)
            continue;
        pw_iteration_record_done(&iteration);
        if (conclude(session, 0, err))
            return pw_err_prefix(err, "warm-up %u", i);
    }
    return 0;
}

/* Half the 95 % interval of the median over successful workers, in percent of the median; -1: not
 * known. */
static int interval_pct(const struct pw_run_record *run, double *ret_pct, struct pw_err *err)
{
    size_t most = 0, n = 0;
    for (size_t i = 0; i < run->iteration_count; i++)
        most += run->iterations[i].worker_count;
    PW_FREE_AUTO double *durations = calloc(most ? most : 1, sizeof *durations);
    if (!durations)
        return pw_err_memory(err);
    for (size_t i = 0; i < run->iteration_count; i++)
        for (size_t j = 0; j < run->iterations[i].worker_count; j++)
            if (run->iterations[i].workers[j].return_code == 0)
                durations[n++] = run->iterations[i].workers[j].duration_ms;
    struct pw_stats stats;
    if (pw_stats_describe(durations, n, true, &stats, err))
        return -1;
    *ret_pct = -1;
    if (pw_value_is_present(stats.p50_ci95_low) && stats.p50.number > 0)
        *ret_pct =
            (stats.p50_ci95_high.number - stats.p50_ci95_low.number) / 2 / stats.p50.number * 100;
    return 0;
}

__attribute__((format(printf, 3, 4))) static void stop(struct pw_run_record *run, enum pw_stop why,
                                                       const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    free(run->stop_detail);
    if (vasprintf(&run->stop_detail, format, arguments) < 0)
        run->stop_detail = NULL;
    va_end(arguments);
    run->stop = why;
}

static int check_interval(const struct session *session, bool *ret_stop, struct pw_err *err)
{
    const struct pw_plan *plan = session->stage.plan;
    struct pw_run_record *run = session->stage.run;
    double pct = -1;
    if (run->iteration_count < plan->iterations)
        return 0;
    if (interval_pct(run, &pct, err))
        return -1;
    if (pct >= 0 && pct <= plan->until_ci_pct) {
        *ret_stop = true;
        stop(
            run, PW_STOP_CONFIDENCE,
            "the 95 %% interval of the median is within %.2f %% after %zu iterations (asked: %.2f %%)",
            pct, run->iteration_count, plan->until_ci_pct);
    } else if (run->iteration_count >= plan->max_iterations) {
        *ret_stop = true;
        stop(run, PW_STOP_MAX_ITERATIONS,
             "%zu iterations were not enough for an interval of %.2f %% (reached: %.2f %%)",
             run->iteration_count, plan->until_ci_pct, pct);
    }
    return 0;
}

/* Whether the number of iterations is fixed, and so known beforehand. */
static bool is_counted(const struct pw_plan *plan)
{
    return plan->until_ci_pct <= 0 && (plan->max_time_sec <= 0 || plan->iterations_given);
}

/* Whether enough was measured, and why. */
static int check_stop(const struct session *session, bool *ret_stop, struct pw_err *err)
{
    const struct pw_plan *plan = session->stage.plan;
    struct pw_run_record *run = session->stage.run;
    double elapsed_sec = pw_ns_to_sec(pw_clock_now_ns() - session->measuring_since_ns);
    *ret_stop = false;
    if (is_counted(plan) && run->iteration_count >= plan->iterations) {
        *ret_stop = true;
        stop(run, PW_STOP_ITERATIONS, "all %u iterations were measured", plan->iterations);
    } else if (run->iteration_count > 0 && plan->max_time_sec > 0 &&
               elapsed_sec >= plan->max_time_sec) {
        *ret_stop = true;
        stop(run, PW_STOP_TIME_BUDGET, "the time budget of %.3g s was used up after %zu iterations",
             plan->max_time_sec, run->iteration_count);
    } else if (plan->until_ci_pct > 0 && check_interval(session, ret_stop, err)) {
        return -1;
    }
    return 0;
}

static int measure(struct session *session, struct pw_err *err)
{
    const struct pw_plan *plan = session->stage.plan;
    struct pw_run_record *run = session->stage.run;
    session->measuring_since_ns = pw_clock_now_ns();
    while (!is_interrupted(session)) {
        bool enough, kept;
        struct pw_iteration_record iteration = {0};
        unsigned number = (unsigned)run->iteration_count + 1;
        if (check_stop(session, &enough, err))
            return -1;
        if (enough || number > PW_LIMIT_ITERATIONS)
            return 0;
        if (run_iteration(session, number, number, is_counted(plan) ? plan->iterations : 0,
                          &iteration, &kept, err))
            return pw_err_prefix(err, "iteration %u", number);
        if (!kept)
            continue;
        int result = pw_run_dir_write_iteration(run->run_dir, &iteration, err);
        if (result == 0)
            result = pw_run_record_append(run, &iteration, err);
        pw_iteration_record_done(&iteration);
        if (result)
            return pw_err_prefix(err, "keep iteration %u (the %zu before it are kept)", number,
                                 run->iteration_count);
        if (conclude(session, number, err))
            return pw_err_prefix(err, "iteration %u", number);
    }
    return 0;
}

static int run_all(struct session *session, struct pw_err *err)
{
    const struct pw_stage *stage = &session->stage;
    if (pw_hook_run(stage, "--setup", stage->plan->setup, 0, err) || warm_up(session, err) ||
        measure(session, err))
        return -1;
    return 0;
}

/* Cost of observing, over everything but the start. */
static void take_observer(const struct session *session)
{
    struct pw_observer *observer = &session->stage.run->observer, measured;
    pw_sampler_observer(session->stage.sampler, &measured);
    measured.exit_clock = observer->exit_clock;
    measured.budget_pct = session->stage.plan->probe_budget_pct;
    measured.interval_ms = session->stage.plan->probe_interval_ms;
    *observer = measured;
}

static int finish(struct session *session, int result, struct pw_err *err)
{
    const struct pw_stage *stage = &session->stage;
    struct pw_run_record *run = stage->run;
    run->interrupted_by = pw_supervisor_interrupted_by(stage->supervisor);
    if (run->interrupted_by)
        stop(run, PW_STOP_INTERRUPTED, "interrupted by signal %d (%s)", run->interrupted_by,
             strsignal(run->interrupted_by));
    else if (result)
        stop(run, PW_STOP_ERROR, "%s", err ? err->message : "perfwrap failed");
    take_observer(session);
    if (pw_supervisor_is_forced(stage->supervisor))
        return result;
    pw_supervisor_forgive(stage->supervisor);
    struct pw_err cleanup_err = PW_ERR_INIT;
    int cleanup_result = pw_hook_run(stage, "--cleanup", stage->plan->cleanup, 0, &cleanup_err);
    if (run->interrupted_by == 0) /* in the hook: all is measured, but the exit status must tell */
        run->interrupted_by = pw_supervisor_interrupted_by(stage->supervisor);
    if (cleanup_result && result == 0) {
        if (err)
            *err = cleanup_err;
        return -1;
    }
    return result;
}

int pw_session_run(const struct pw_plan *plan, const struct pw_session_events *events,
                   struct pw_run_record *run, struct pw_err *err)
{
    struct pw_err own_err = PW_ERR_INIT;
    struct session session = {
        .stage = {.plan = plan, .events = events, .run = run, .output_fd = -1, .null_fd = -1},
        .scratch = PW_SCRATCH_INIT};
    if (!err)
        err = &own_err;
    run->observer.tree_source = "none";
    run->observer.exit_clock = "normal";
    int result = session_init(&session, err);
    if (result == 0)
        result = finish(&session, run_all(&session, err), err);
    else
        stop(run, PW_STOP_ERROR, "%s", err->message);
    session_done(&session);
    return result;
}

bool pw_plan_ignores(const struct pw_plan *plan, int return_code)
{
    return plan->ignore_all_failures || (plan->ignored_codes && return_code >= 0 &&
                                         return_code < 256 && plan->ignored_codes[return_code]);
}
