#include "wrapper/run/session.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
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
#include "wrapper/run/accounts.h"
#include "wrapper/run/held.h"
#include "wrapper/run/iteration.h"
#include "wrapper/run/mark_board.h"
#include "wrapper/run/run_dir.h"
#include "wrapper/run/scratch.h"

struct pw_session {
    struct pw_stage stage;
    struct pw_scratch scratch;
    struct pw_reporting reporting;
    int64_t measuring_since_ns; /* 0: nothing was asked for yet */
    bool failed;
};

/* The limit is the process's: the first session raises it, the last one puts it back. */
static struct {
    unsigned sessions;
    struct rlimit before;
} descriptors;

/* Wardens and kept /proc files need descriptors; the workers get the limit back that we were given.
 */
static void raise_descriptor_limit(struct rlimit *ret_before)
{
    if (descriptors.sessions++ == 0 && getrlimit(RLIMIT_NOFILE, &descriptors.before) == 0) {
        struct rlimit raised = descriptors.before;
        raised.rlim_cur = raised.rlim_max;
        setrlimit(RLIMIT_NOFILE, &raised);
    }
    *ret_before = descriptors.before;
}

static void restore_descriptor_limit(void)
{
    if (--descriptors.sessions == 0)
        setrlimit(RLIMIT_NOFILE, &descriptors.before);
}

static void session_free(struct pw_session *session)
{
    struct pw_stage *stage = &session->stage;
    pw_reporting_close(&session->reporting, stage->run);
    pw_accounts_close(stage->accounts);
    pw_sampler_free(stage->sampler);
    pw_supervisor_free(stage->supervisor);
    pw_held_free(stage->held);
    pw_mark_board_free(stage->board);
    pw_fd_done(&stage->output_fd);
    pw_fd_done(&stage->null_fd);
    restore_descriptor_limit();
    pw_scratch_close(&session->scratch);
    free(session);
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

static int session_init(struct pw_session *session, struct pw_err *err)
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
        /* It makes a process: better before there are threads. */
        pw_accounts_open(plan, stage->run, &stage->accounts, err) ||
        pw_sampler_new(plan, &stage->sampler, err) ||
        pw_reporting_open(&session->reporting, plan, err) ||
        (plan->marks && pw_mark_board_new(plan->marks, plan->concurrency, &stage->board, err)) ||
        (plan->hold > 0 && pw_held_new(plan->hold, &stage->held, err)))
        return -1;
    stage->reporting = &session->reporting;
    stage->scratch_dir = session->scratch.path;
    return 0;
}

/* Also takes signals that came between two batches. */
static bool is_interrupted(const struct pw_session *session)
{
    pw_supervisor_poll(session->stage.supervisor);
    return pw_supervisor_interrupted_by(session->stage.supervisor) != 0;
}

/* One iteration and the hook before it. If interrupted meanwhile it is dropped, and *ret_kept
 * false. The hook behind it is run when the iteration is kept safe: conclude(). */
static int run_iteration(const struct pw_session *session, unsigned number, unsigned shown,
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

static int conclude(const struct pw_session *session, unsigned number, struct pw_err *err)
{
    const struct pw_stage *stage = &session->stage;
    return pw_hook_run(stage, "--conclude", stage->plan->conclude, number, err);
}

static int warm_up(const struct pw_session *session, struct pw_err *err)
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

static void stop_with(struct pw_run_record *run, enum pw_stop why, const char *format,
                      va_list arguments)
{
    free(run->stop_detail);
    if (vasprintf(&run->stop_detail, format, arguments) < 0)
        run->stop_detail = NULL;
    run->stop = why;
}

__attribute__((format(printf, 3, 4))) static void stop(struct pw_run_record *run, enum pw_stop why,
                                                       const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    stop_with(run, why, format, arguments);
    va_end(arguments);
}

void pw_session_stop(struct pw_session *session, enum pw_stop why, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    stop_with(session->stage.run, why, format, arguments);
    va_end(arguments);
}

static int check_interval(const struct pw_session *session, bool *ret_stop, struct pw_err *err)
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

/* Remembers a failure, which then is why the session stopped. Returns -1. */
static int failed(struct pw_session *session, const struct pw_err *err)
{
    session->failed = true;
    stop(session->stage.run, PW_STOP_ERROR, "%s", err->message);
    return -1;
}

/* The time budget begins with the first question or step. */
static int64_t measuring_since(struct pw_session *session)
{
    if (session->measuring_since_ns == 0)
        session->measuring_since_ns = pw_clock_now_ns();
    return session->measuring_since_ns;
}

int pw_session_is_enough(struct pw_session *session, bool *ret_enough, struct pw_err *err)
{
    const struct pw_plan *plan = session->stage.plan;
    struct pw_run_record *run = session->stage.run;
    struct pw_err own_err = PW_ERR_INIT;
    int64_t since_ns = measuring_since(session);
    double elapsed_sec = pw_ns_to_sec(pw_clock_now_ns() - since_ns);
    err = err ? err : &own_err;
    bool enough = run->iteration_count >= PW_LIMIT_ITERATIONS;
    if (is_counted(plan) && run->iteration_count >= plan->iterations) {
        enough = true;
        stop(run, PW_STOP_ITERATIONS, "all %u iterations were measured", plan->iterations);
    } else if (run->iteration_count > 0 && plan->max_time_sec > 0 &&
               elapsed_sec >= plan->max_time_sec) {
        enough = true;
        stop(run, PW_STOP_TIME_BUDGET, "the time budget of %.3g s was used up after %zu iterations",
             plan->max_time_sec, run->iteration_count);
    } else if (plan->until_ci_pct > 0 && check_interval(session, &enough, err)) {
        return failed(session, err);
    }
    *ret_enough = enough;
    return 0;
}

static int keep(struct pw_run_record *run, struct pw_iteration_record *iteration,
                struct pw_err *err)
{
    unsigned number = iteration->number;
    int result = pw_run_dir_write_iteration(run->run_dir, iteration, err);
    if (result == 0)
        result = pw_run_record_append(run, iteration, err);
    pw_iteration_record_done(iteration);
    return result ? pw_err_prefix(err, "keep iteration %u (the %zu before it are kept)", number,
                                  run->iteration_count)
                  : 0;
}

int pw_session_step(struct pw_session *session, bool *ret_kept, struct pw_err *err)
{
    const struct pw_plan *plan = session->stage.plan;
    struct pw_run_record *run = session->stage.run;
    struct pw_iteration_record iteration = {0};
    struct pw_err own_err = PW_ERR_INIT;
    unsigned number = (unsigned)run->iteration_count + 1;
    unsigned total = is_counted(plan) && number <= plan->iterations ? plan->iterations : 0;
    bool kept;
    err = err ? err : &own_err;
    *ret_kept = false;
    measuring_since(session);
    if (is_interrupted(session))
        return 0;
    if (run_iteration(session, number, number, total, &iteration, &kept, err)) {
        pw_err_prefix(err, "iteration %u", number);
        return failed(session, err);
    }
    if (!kept)
        return 0;
    if (keep(run, &iteration, err))
        return failed(session, err);
    *ret_kept = true;
    if (conclude(session, number, err)) {
        pw_err_prefix(err, "iteration %u", number);
        return failed(session, err);
    }
    return 0;
}

int pw_session_start(struct pw_session *session, struct pw_err *err)
{
    const struct pw_stage *stage = &session->stage;
    struct pw_err own_err = PW_ERR_INIT;
    err = err ? err : &own_err;
    if (pw_hook_run(stage, "--setup", stage->plan->setup, 0, err) || warm_up(session, err))
        return failed(session, err);
    return 0;
}

int pw_session_interrupted_by(struct pw_session *session)
{
    is_interrupted(session);
    return pw_supervisor_interrupted_by(session->stage.supervisor);
}

void pw_session_follow(struct pw_session *session, const struct pw_session *other)
{
    const struct pw_supervisor *supervisor = other->stage.supervisor;
    pw_supervisor_interrupt(session->stage.supervisor, pw_supervisor_interrupted_by(supervisor),
                            pw_supervisor_is_forced(supervisor));
}

/* Cost of observing, over everything but the start. */
static void take_observer(const struct pw_session *session)
{
    struct pw_observer *observer = &session->stage.run->observer, measured;
    pw_sampler_observer(session->stage.sampler, &measured);
    measured.exit_clock = observer->exit_clock;
    measured.budget_pct = session->stage.plan->probe_budget_pct;
    measured.interval_ms = session->stage.plan->probe_interval_ms;
    *observer = measured;
}

/* What the marks themselves tell: of all workers, warm-up included. */
static void warn_of_marks(const struct pw_session *session)
{
    struct pw_mark_board *board = session->stage.board;
    struct pw_run_record *run = session->stage.run;
    if (!board)
        return;
    pw_mark_board_sum(board);
    if (board->unknown > 0)
        pw_run_record_warn(
            run, "unknown_marks", "write `PW NAME`, with a NAME that --mark NAME=fd3 gives", NULL,
            "%" PRIu64 " lines that workers wrote to descriptor 3 name no mark", board->unknown);
    if (board->gave_up > 0)
        pw_run_record_warn(
            run, "slow_mark_pattern", "make the regular expression simpler: no nested repeats",
            NULL, "matching the output of %" PRIu64 " workers took so long that it was given up",
            board->gave_up);
}

/* Those that still run: left alone if that is wanted and all went well, else ended. */
static void end_held(const struct pw_session *session)
{
    const struct pw_stage *stage = &session->stage;
    if (!stage->held)
        return;
    if (stage->plan->keep && !session->failed && !is_interrupted(session))
        pw_held_release(stage->held, stage->events);
    pw_held_end(stage->held, 0, stage->supervisor);
}

/* The end of a session that was opened: why it stopped, and --cleanup. */
static int finish(struct pw_session *session, struct pw_err *err)
{
    struct pw_stage *stage = &session->stage;
    struct pw_run_record *run = stage->run;
    run->interrupted_by = pw_supervisor_interrupted_by(stage->supervisor);
    if (run->interrupted_by)
        stop(run, PW_STOP_INTERRUPTED, "interrupted by signal %d (%s)", run->interrupted_by,
             strsignal(run->interrupted_by));
    take_observer(session);
    warn_of_marks(session);
    end_held(session);
    pw_accounts_close(stage->accounts);
    stage->accounts = NULL;
    if (pw_supervisor_is_forced(stage->supervisor))
        return 0;
    pw_supervisor_forgive(stage->supervisor);
    int result = pw_hook_run(stage, "--cleanup", stage->plan->cleanup, 0, err);
    if (run->interrupted_by == 0) /* in the hook: all is measured, but the exit status must tell */
        run->interrupted_by = pw_supervisor_interrupted_by(stage->supervisor);
    return session->failed ? 0 : result;
}

int pw_session_open(const struct pw_plan *plan, const struct pw_session_events *events,
                    struct pw_run_record *run, struct pw_session **ret_session, struct pw_err *err)
{
    struct pw_err own_err = PW_ERR_INIT;
    err = err ? err : &own_err;
    struct pw_session *session = calloc(1, sizeof *session);
    if (!session) {
        pw_err_memory(err);
        return -1;
    }
    *session = (struct pw_session){
        .stage = {.plan = plan, .events = events, .run = run, .output_fd = -1, .null_fd = -1},
        .scratch = PW_SCRATCH_INIT};
    run->observer.tree_source = "none";
    run->observer.exit_clock = "normal";
    if (session_init(session, err)) {
        failed(session, err);
        session_free(session);
        return -1;
    }
    *ret_session = session;
    return 0;
}

int pw_session_close(struct pw_session *session, struct pw_err *err)
{
    int result = session ? finish(session, err) : 0;
    if (session)
        session_free(session);
    return result;
}

/* The measured iterations, until the plan has enough or a signal comes. */
static int measure(struct pw_session *session, struct pw_err *err)
{
    bool enough = false, kept;
    while (!is_interrupted(session)) {
        if (pw_session_is_enough(session, &enough, err))
            return -1;
        if (enough)
            return 0;
        if (pw_session_step(session, &kept, err))
            return -1;
    }
    return 0;
}

int pw_session_run(const struct pw_plan *plan, const struct pw_session_events *events,
                   struct pw_run_record *run, struct pw_err *err)
{
    struct pw_session *session;
    if (pw_session_open(plan, events, run, &session, err))
        return -1;
    int result = pw_session_start(session, err);
    if (result == 0)
        result = measure(session, err);
    return pw_session_close(session, result ? NULL : err) ? -1 : result;
}

bool pw_plan_ignores(const struct pw_plan *plan, int return_code)
{
    return plan->ignore_all_failures || (plan->ignored_codes && return_code >= 0 &&
                                         return_code < 256 && plan->ignored_codes[return_code]);
}
