#include "wrapper/cli/watch.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "core/clock.h"

void pw_watch_init(struct pw_watch *watch, const struct pw_plan *plan, bool quiet)
{
    /* Workers that write to the terminal themselves would write into the progress line. */
    bool show = !quiet && plan->output_mode != PW_OUTPUT_INHERIT && isatty(STDERR_FILENO);
    bool counted = plan->until_ci_pct <= 0 && (plan->max_time_sec <= 0 || plan->iterations_given);
    *watch = (struct pw_watch){.plan = plan};
    pw_progress_init(&watch->progress, show ? STDERR_FILENO : -1,
                     counted ? plan->warmup + plan->iterations : 0, pw_clock_now_ns());
}

void pw_watch_set_name(struct pw_watch *watch, const char *name)
{
    watch->name = watch->progress.name = name;
}

void pw_watch_done(struct pw_watch *watch)
{
    pw_progress_done(&watch->progress);
    if (watch->failures > PW_WATCH_FAILURES_SHOWN) {
        fprintf(stderr, "perfwrap: %s%s%" PRIu64 " further workers failed\n",
                watch->name ? watch->name : "", watch->name ? ", " : "",
                watch->failures - PW_WATCH_FAILURES_SHOWN);
    }
}

static void on_started(void *context, bool warmup, unsigned number, unsigned total)
{
    struct pw_watch *watch = context;
    pw_progress_begin(&watch->progress, warmup, number, total, pw_clock_now_ns());
}

static void on_ended(void *context, bool warmup, const struct pw_iteration_record *iteration)
{
    struct pw_watch *watch = context;
    pw_progress_end(&watch->progress, warmup, iteration->duration_ms, pw_clock_now_ns());
}

static void on_tick(void *context, unsigned running)
{
    struct pw_watch *watch = context;
    pw_progress_tick(&watch->progress, running, pw_clock_now_ns());
}

/* The kept end of an output, each line behind the stream's name. Control characters other than tabs
 * are left out: a target must not be able to change the terminal long after it has ended. */
static void print_tail(const char *stream, const char *tail)
{
    bool line_begins = true;
    for (const char *c = tail ? tail : ""; *c; c++) {
        if (line_begins) {
            fprintf(stderr, "  %s| ", stream);
        }
        line_begins = *c == '\n';
        if (line_begins || *c == '\t' || ((unsigned char)*c >= 0x20 && *c != 0x7f)) {
            fputc(*c, stderr);
        }
    }
    if (!line_begins) {
        fputc('\n', stderr);
    }
}

static void print_end(const struct pw_worker_record *worker)
{
    if (worker->verdict) {
        const char *detail = worker->verdict_detail ? worker->verdict_detail : "";
        fprintf(stderr, "%s%s%.*s\n", worker->verdict, *detail ? ": " : "",
                (int)strcspn(detail, "\n"), detail);
        return;
    }
    switch (worker->end) {
    case PW_END_SIGNALED:
        fprintf(stderr, "killed by signal %d (%s)\n", worker->signal, strsignal(worker->signal));
        break;
    case PW_END_TIMEOUT:
        fprintf(stderr, "timed out, ended at the deadline (see --timeout-sec)\n");
        break;
    case PW_END_MISSED:
        fprintf(stderr, "ended before the mark of --until came, return code %d\n",
                worker->return_code);
        break;
    case PW_END_LOST: fprintf(stderr, "lost: what watched it was killed\n"); break;
    default: fprintf(stderr, "return code %d\n", worker->return_code); break;
    }
}

static void on_failed(void *context, bool warmup, const struct pw_iteration_record *iteration,
                      const struct pw_worker_record *worker, const char *stdout_tail,
                      const char *stderr_tail)
{
    struct pw_watch *watch = context;
    if (worker->end == PW_END_INTERRUPTED || pw_plan_ignores(watch->plan, worker->return_code)) {
        return;
    }
    watch->warmup_failures += warmup;
    if (++watch->failures > PW_WATCH_FAILURES_SHOWN) {
        return;
    }
    pw_progress_clear(&watch->progress);
    fprintf(stderr, "perfwrap: %s%s", watch->name ? watch->name : "", watch->name ? ", " : "");
    if (warmup) {
        fprintf(stderr, "warm-up, worker %u: ", worker->id);
    } else {
        fprintf(stderr, "iteration %u, worker %u: ", iteration->number, worker->id);
    }
    print_end(worker);
    print_tail("stdout", stdout_tail);
    print_tail("stderr", stderr_tail);
}

static void on_kept(void *context, const struct pw_worker_record *worker, pid_t warden)
{
    struct pw_watch *watch = context;
    if (watch->kept) {
        watch->kept(watch->kept_context, worker, warden);
    }
}

struct pw_session_events pw_watch_events(struct pw_watch *watch)
{
    return (struct pw_session_events){.context = watch,
                                      .iteration_started = on_started,
                                      .iteration_ended = on_ended,
                                      .tick = on_tick,
                                      .worker_failed = on_failed,
                                      .kept = on_kept};
}
