#include "wrapper/run/iteration.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "core/clock.h"
#include "core/file.h"
#include "wrapper/run/accounts.h"
#include "wrapper/run/environment.h"
#include "wrapper/run/held.h"
#include "wrapper/run/kind.h"
#include "wrapper/run/mark_board.h"
#include "wrapper/run/outfit.h"
#include "wrapper/run/signals.h"

/* The workers of one iteration with what they need to start. */
struct crew {
    size_t count;
    bool is_observed; /* its slots are those of the accounts; false: a hook */
    struct pw_worker *workers;
    struct pw_worker_spec *specs;
    struct berth {
        char *dir;    /* the worker's private folder */
        char **argv;  /* with its placeholders replaced; NULL: the plan's is used */
        int input_fd; /* its own, so that each reads the file from its beginning; -1: none */
        struct pw_worker_facts facts;
        struct pw_reporter reporter;
    } * berths;
};

static void crew_done(const struct pw_stage *stage, struct crew *crew)
{
    pw_held_end_workers(crew->workers, crew->count, stage->supervisor);
    for (size_t i = 0; i < crew->count; i++) {
        pw_worker_done(&crew->workers[i]);
        if (crew->is_observed)
            pw_accounts_drop(stage->accounts, (unsigned)i);
        if (crew->specs[i].watch) /* it may not have been started */
            pw_mark_board_end(crew->specs[i].watch);
        if (crew->berths[i].dir)
            pw_outfit_take_secrets(stage->plan->outfit, &crew->berths[i].facts);
        pw_environment_free((char **)crew->specs[i].environment);
        pw_fd_done(&crew->berths[i].input_fd);
        if (crew->berths[i].dir)
            pw_dir_remove_tree(crew->berths[i].dir, NULL);
        free(crew->berths[i].dir);
        pw_environment_free(crew->berths[i].argv);
    }
    free(crew->workers);
    free(crew->specs);
    free(crew->berths);
}

static int crew_init(struct crew *crew, size_t count, struct pw_err *err)
{
    crew->workers = calloc(count, sizeof *crew->workers);
    crew->specs = calloc(count, sizeof *crew->specs);
    crew->berths = calloc(count, sizeof *crew->berths);
    if (!crew->workers || !crew->specs || !crew->berths) {
        pw_err_memory(err);
        return -1; /* count stays 0: crew_done() frees the arrays */
    }
    crew->count = count;
    for (size_t i = 0; i < count; i++) {
        crew->workers[i].id = (unsigned)i + 1;
        crew->berths[i].input_fd = -1;
        crew->workers[i].control_fd = -1;
        crew->workers[i].out = crew->workers[i].err = crew->workers[i].told = PW_TAIL_INIT;
    }
    return 0;
}

static struct pw_warden_order go_order(const struct pw_stage *stage)
{
    return (struct pw_warden_order){
        .kind = PW_ORDER_GO,
        .keep_orphans = stage->plan->keep_orphans,
        .inherit_fds = stage->plan->inherit_fds,
        .sigpipe_ignored = pw_signals_inherited_sigpipe_ignored() || stage->held,
        .blocked_signals = pw_signals_inherited_mask(),
        .nofile = stage->nofile,
        .timeout_ns = pw_ms_to_ns(stage->plan->timeout_sec * 1e3),
        .grace_ns = pw_ms_to_ns(stage->plan->kill_grace_ms),
        .patience_ns = pw_ms_to_ns(stage->plan->until_patience_ms),
    };
}

static void choose_output(const struct pw_stage *stage, struct pw_worker_spec *spec)
{
    switch (stage->plan->output_mode) {
    case PW_OUTPUT_TAIL: spec->stdout_fd = spec->stderr_fd = -1; break;
    case PW_OUTPUT_NULL:
        spec->stdout_fd = stage->null_fd;
        spec->stderr_fd = -1;
        break;
    case PW_OUTPUT_INHERIT:
        spec->stdout_fd = stage->plan->stdout_is_reserved ? STDERR_FILENO : STDOUT_FILENO;
        spec->stderr_fd = STDERR_FILENO;
        break;
    case PW_OUTPUT_FILE: spec->stdout_fd = spec->stderr_fd = stage->output_fd; break;
    }
}

static int open_input(const struct pw_stage *stage, struct berth *berth, struct pw_err *err)
{
    const char *path = stage->plan->input_file ? stage->plan->input_file : "/dev/null";
    berth->input_fd = open(path, O_RDONLY | O_CLOEXEC);
    if (berth->input_fd >= 0)
        return 0;
    pw_err_system(err, errno, "open `%s`", path);
    return pw_err_remedy(err, "name a readable file with --input");
}

/* The folder of a worker that may be held must not get in the way of a later one. */
static int make_folder(const struct pw_stage *stage, struct berth *berth, size_t index,
                       struct pw_err *err)
{
    int length =
        stage->held
            ? asprintf(&berth->dir, "%s/held-%u", stage->scratch_dir, pw_held_number(stage->held))
            : asprintf(&berth->dir, "%s/worker-%zu", stage->scratch_dir, index + 1);
    if (length < 0) {
        berth->dir = NULL;
        return pw_err_memory(err);
    }
    if (mkdir(berth->dir, 0700))
        return pw_err_system(err, errno, "create folder `%s`", berth->dir);
    return 0;
}

static int prepare_worker(const struct pw_stage *stage, struct crew *crew, size_t index,
                          unsigned number, struct pw_err *err)
{
    struct pw_worker_spec *spec = &crew->specs[index];
    struct berth *berth = &crew->berths[index];
    if (make_folder(stage, berth, index, err))
        return -1;
    berth->facts = (struct pw_worker_facts){.iteration = number,
                                            .worker_id = (unsigned)index + 1,
                                            .run_dir = stage->run->run_dir,
                                            .worker_dir = berth->dir};
    struct pw_mark_watch *watch = stage->board ? &stage->board->watches[index] : NULL;
    if (pw_reporter_open(stage->reporting, &berth->reporter, &berth->facts, watch, err) ||
        pw_outfit_give(stage->plan->outfit, &berth->facts, err))
        return -1;
    if (stage->plan->argv_has_placeholders) {
        berth->argv = pw_outfit_expand_words(stage->plan->argv, &berth->facts, err);
        if (!berth->argv)
            return -1;
    }
    spec->argv = berth->argv ? berth->argv : stage->plan->argv;
    spec->environment = pw_environment_new(stage->plan, &berth->facts, err);
    if (!spec->environment || open_input(stage, berth, err))
        return -1;
    if (stage->board) {
        if (pw_mark_board_prepare(stage->board, index, &berth->facts, err))
            return -1;
        spec->watch = watch;
    }
    spec->stdin_fd = berth->input_fd;
    spec->go = go_order(stage);
    spec->holds = stage->held && spec->watch;
    spec->keeps_told = stage->plan->kind && stage->plan->kind->judge;
    choose_output(stage, spec);
    return 0;
}

static void tell_failures(const struct pw_stage *stage, const struct crew *crew,
                          const struct pw_iteration_record *iteration)
{
    const struct pw_session_events *events = stage->events;
    if (!events || !events->worker_failed)
        return;
    for (size_t i = 0; i < crew->count; i++) {
        if (iteration->workers[i].return_code == 0)
            continue;
        PW_FREE_AUTO char *out = pw_tail_text(&crew->workers[i].out);
        PW_FREE_AUTO char *error_output = pw_tail_text(&crew->workers[i].err);
        events->worker_failed(events->context, iteration->number == 0, iteration,
                              &iteration->workers[i], out, error_output);
    }
}

static int record_orphans(const struct pw_stage *stage, const struct crew *crew, unsigned number,
                          struct pw_err *err)
{
    for (size_t i = 0; i < crew->count; i++) {
        struct pw_worker *worker = &crew->workers[i];
        for (size_t j = 0; j < worker->orphan_count; j++) {
            worker->orphans[j].iteration = number;
            if (pw_run_record_add_orphan(stage->run, &worker->orphans[j], err))
                return -1;
        }
        if (worker->done.kind == PW_REPORT_DONE && worker->done.done.orphans > worker->orphan_count)
            stage->run->orphans_total += worker->done.done.orphans - worker->orphan_count;
    }
    return 0;
}

static void warn_survivors(const struct pw_stage *stage, const struct crew *crew)
{
    for (size_t i = 0; i < crew->count; i++)
        if (crew->workers[i].survivors)
            pw_run_record_warn(
                stage->run, "survivors",
                "look for processes in uninterruptible sleep (state D in ps) and for "
                "the device or file system they wait for",
                NULL, "processes of worker %u could not be killed", crew->workers[i].id);
}

/* What the workers reported, into their records. */
static int take_reports(const struct pw_stage *stage, struct crew *crew,
                        struct pw_iteration_record *iteration, struct pw_err *err)
{
    struct pw_reporter *reporters[PW_LIMIT_WORKERS];
    for (size_t i = 0; i < crew->count; i++)
        reporters[i] = &crew->berths[i].reporter;
    iteration->values[PW_METRIC_TRACE_COUNT] = pw_value_absent(PW_ABSENT_NOT_SUPPORTED);
    return pw_reporting_take(stage->reporting, reporters, iteration->workers, crew->count, err);
}

/* What this kind of worker needs besides; its time counts nowhere. */
static int prepare_kind(const struct pw_stage *stage, const struct crew *crew, size_t index,
                        struct pw_iteration_record *iteration, struct pw_err *err)
{
    const struct pw_worker_kind *kind = stage->plan->kind;
    if (!kind || !kind->prepare)
        return 0;
    return kind->prepare(kind->context, &crew->berths[index].facts, &iteration->workers[index],
                         err);
}

/* What became of the workers, from what they said. */
static int judge(const struct pw_stage *stage, const struct crew *crew,
                 struct pw_iteration_record *iteration, struct pw_err *err)
{
    const struct pw_worker_kind *kind = stage->plan->kind;
    for (size_t i = 0; kind && kind->judge && i < crew->count; i++) {
        PW_FREE_AUTO char *told = pw_tail_text(&crew->workers[i].told);
        PW_FREE_AUTO char *out = pw_tail_text(&crew->workers[i].out);
        PW_FREE_AUTO char *error_output = pw_tail_text(&crew->workers[i].err);
        const struct pw_worker_output output = {.told = told, .out = out, .err = error_output};
        if (kind->judge(kind->context, &output, &iteration->workers[i], err))
            return pw_err_prefix(err, "judge worker %zu", i + 1);
    }
    return 0;
}

/* Those that run on, from the crew to the session. */
static int hold(const struct pw_stage *stage, const struct crew *crew,
                const struct pw_iteration_record *iteration, struct pw_err *err)
{
    for (size_t i = 0; stage->held && i < crew->count; i++) {
        if (crew->workers[i].state != PW_WORKER_HELD || iteration->workers[i].return_code != 0)
            continue;
        if (pw_held_take(stage->held, &crew->workers[i], &iteration->workers[i],
                         &crew->berths[i].dir, err))
            return -1;
    }
    if (stage->held)
        pw_held_end(stage->held, stage->plan->hold, stage->supervisor);
    return 0;
}

static int run_crew(const struct pw_stage *stage, struct crew *crew, unsigned number,
                    struct pw_iteration_record *iteration, struct pw_err *err)
{
    for (size_t i = 0; i < crew->count; i++) {
        int64_t began = pw_clock_now_ns();
        if (prepare_worker(stage, crew, i, number, err))
            return pw_err_prefix(err, "prepare worker %zu", i + 1);
        crew->workers[i].build_ns = pw_clock_now_ns() - began;
        if (prepare_kind(stage, crew, i, iteration, err))
            return pw_err_prefix(err, "prepare worker %zu", i + 1);
    }
    clock_gettime(CLOCK_REALTIME, &iteration->started_wall);
    const struct pw_observers observers = {
        .sampler = stage->sampler, .accounts = stage->accounts, .records = iteration->workers};
    if (pw_supervisor_run(stage->supervisor, crew->workers, crew->specs, crew->count, &observers,
                          err))
        return -1;
    if (pw_supervisor_interrupted_by(stage->supervisor))
        return 0;
    bool fifo = true;
    for (size_t i = 0; i < crew->count; i++) {
        pw_worker_record(&crew->workers[i], &iteration->workers[i]);
        fifo &= crew->workers[i].fifo;
    }
    stage->run->observer.exit_clock = fifo ? "fifo" : "normal";
    if (take_reports(stage, crew, iteration, err))
        return -1;
    for (size_t i = 0; i < crew->count; i++) {
        pw_worker_record_marks(&crew->workers[i], &iteration->workers[i]);
        if (pw_accounts_take(stage->accounts, (unsigned)i, &iteration->workers[i], err))
            return pw_err_prefix(err, "account for worker %zu", i + 1);
    }
    if (judge(stage, crew, iteration, err) || pw_iteration_fold(iteration, err) ||
        pw_accounts_take_profile(stage->accounts, iteration, err))
        return -1;
    warn_survivors(stage, crew);
    tell_failures(stage, crew, iteration);
    if (record_orphans(stage, crew, number, err))
        return -1;
    return hold(stage, crew, iteration, err);
}

int pw_iteration_run(const struct pw_stage *stage, unsigned number,
                     struct pw_iteration_record *iteration, struct pw_err *err)
{
    struct crew crew = {.is_observed = true};
    if (pw_iteration_record_init(iteration, number, stage->plan->concurrency, err))
        return -1;
    iteration->moment_names = stage->plan->marks ? &stage->plan->marks->names : NULL;
    int result = crew_init(&crew, stage->plan->concurrency, err);
    if (result == 0)
        result = run_crew(stage, &crew, number, iteration, err);
    crew_done(stage, &crew);
    while (waitpid(-1, NULL, WNOHANG) > 0) /* orphans of ended wardens have become ours */
        ;
    if (result)
        pw_iteration_record_done(iteration);
    return result;
}

static int run_hook(const struct pw_stage *stage, struct crew *crew, const char *option,
                    const char *command, unsigned number, struct pw_err *err)
{
    char *argv[] = {(char *)"sh", (char *)"-c", (char *)command, NULL};
    struct pw_worker_spec *spec = crew->specs;
    spec->argv = argv;
    const struct pw_worker_facts facts = {.iteration = number, .run_dir = stage->run->run_dir};
    spec->environment = pw_environment_new(stage->plan, &facts, err);
    if (!spec->environment)
        return -1;
    spec->stdin_fd = stage->null_fd;
    spec->stdout_fd = spec->stderr_fd = STDERR_FILENO;
    spec->go = go_order(stage);
    spec->go.keep_orphans = true; /* a hook may start a server for the workers */
    if (pw_supervisor_run(stage->supervisor, crew->workers, spec, 1, NULL, err))
        return -1;
    if (pw_supervisor_interrupted_by(stage->supervisor))
        return 0;
    struct pw_worker_record record = {0};
    pw_worker_record(crew->workers, &record);
    free(record.stderr_tail);
    if (record.return_code == 0)
        return 0;
    pw_err_set(err, PW_ERR_SYSTEM, "%s `%s` failed: %s %d", option, command,
               record.end == PW_END_TIMEOUT ? "timed out, return code" : "return code",
               record.return_code);
    return pw_err_remedy(err, "its output is above; run the command by hand to see why");
}

int pw_hook_run(const struct pw_stage *stage, const char *option, const char *command,
                unsigned number, struct pw_err *err)
{
    struct crew crew = {0};
    if (!command)
        return 0;
    int result = crew_init(&crew, 1, err);
    if (result == 0)
        result = run_hook(stage, &crew, option, command, number, err);
    crew_done(stage, &crew);
    return result;
}
