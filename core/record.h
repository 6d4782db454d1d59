/*
 * The run record: what was measured, before it becomes a document. Plain data, filled by
 * wrapper/run, folded and summarised by loops over the metric table.
 *
 * Life: pw_run_record_init(), then iterations are appended, then pw_summary_build() reads it, then
 * pw_run_record_done(). Ownership: a record owns every pointer in it. Threads: one at a time.
 */
#ifndef PW_CORE_RECORD_H
#define PW_CORE_RECORD_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>
#include "core/accounting.h"
#include "core/err.h"
#include "core/metric.h"
#include "core/moments.h"
#include "core/telemetry.h"
#include "core/value.h"

/*
 * What workers report (OTLP) goes the same way as their numbers, from worker to iteration to run,
 * but is too large to be kept of each: pw_iteration_fold() merges it, and makes the blocks that the
 * iteration's document shows; pw_run_record_append() merges the iteration's into the run's and
 * lets go of all but its counts and these blocks, and of the blocks too when those of earlier
 * iterations hold PW_LIMIT_OTEL_LISTED entries already. They are then in the iteration's file only.
 */
enum { PW_TRACE_ID_SIZE = 33 };

/* How a worker came to its end. */
enum pw_end {
    PW_END_EXITED,      /* by itself, with an exit status */
    PW_END_SIGNALED,    /* by a signal that perfwrap did not send */
    PW_END_TIMEOUT,     /* perfwrap ended it at the deadline */
    PW_END_INTERRUPTED, /* perfwrap ended it because it was interrupted itself */
    PW_END_LOST,        /* its warden died: what it returned is not known */
    PW_END_UNTIL,       /* perfwrap ended it, for the mark of --until came: a success, return code
                         * 0, and its duration is that moment */
    PW_END_MISSED,      /* by itself, before that mark came: a failure; its own return code, or 1 */
    PW_END_RUNNING,     /* not at all: it was there before perfwrap looked at it, and went on */
    PW_END_COUNT
};
/* "exited", "signaled", "timeout", "interrupted", "lost", "until", "missed", "running":
 * `termination` in worker_results[]. */
const char *pw_end_name(enum pw_end end);

struct pw_worker_record {
    unsigned id; /* from 1 */
    pid_t pid;
    enum pw_end end;
    int return_code; /* contract, section 3: 0 to 255, 124 timeout, 128+S signal */
    int signal;      /* that ended it, 0 if none */
    int64_t started_at_ns, ended_at_ns; /* CLOCK_MONOTONIC */
    double duration_ms;
    struct pw_value values[PW_METRIC_COUNT]; /* of the metrics known for a worker */
    char *stderr_tail;                       /* last five lines; NULL: not captured */
    bool has_telemetry;                      /* a collector listened to it, if in vain */
    struct pw_telemetry telemetry;           /* of an appended iteration: the counts only */
    uint64_t family_points[PW_FAMILY_COUNT]; /* of `telemetry`; after pw_iteration_fold() */
    char trace_id[PW_TRACE_ID_SIZE];         /* that it was given, in hex; "" if none */
    struct pw_moments moments;               /* of the iteration's `moment_names` */
    const char *verdict;                     /* what became of it, for a kind of worker that is
                                              * judged; constant. NULL: there is no verdict */
    char *verdict_detail;                    /* why; NULL: there is nothing to say */
    json_t *kernel;         /* what the kernel accounted (kernel_account.h); NULL: nothing */
    json_t *memory_at_peak; /* memory_breakdown.h; NULL: not taken */
};

struct pw_orphan {
    unsigned iteration, worker_id; /* iteration 0: warm-up */
    pid_t pid;
    char comm[16];
    bool kept; /* --keep-orphans: left alone, else ended */
};

struct pw_iteration_record {
    unsigned number; /* from 1; 0 for warm-up, which is never kept */
    struct timespec started_wall;
    double duration_ms;
    struct pw_value values[PW_METRIC_COUNT]; /* after pw_iteration_fold() */
    struct pw_worker_record *workers;
    size_t worker_count;
    const struct pw_moment_names *moment_names; /* NULL: the session has no marks. Borrowed */
    /* After pw_iteration_fold(): */
    bool has_telemetry;            /* a worker has */
    struct pw_telemetry telemetry; /* of all workers; once appended the counts only */
    json_t *otel_metrics, *otel_actions, *queue_cancel; /* NULL without telemetry; see above */
    char *trace_path; /* of its CPU profile; NULL: none was taken */
    json_t *hotspots; /* array, of that; NULL likewise */
};

/* A finding about the run itself, for people and for programs. */
struct pw_warning {
    const char *kind; /* constant, from the list in docs: "outliers", "slow_first_run", … */
    char *message;    /* what was found, with its numbers */
    char *advice;     /* what to do about it */
    json_t *data;     /* object with the numbers; may be NULL */
};

/* What observing cost, and what it may have missed. */
struct pw_observer {
    int64_t sampler_cpu_ns;     /* CPU of the sampling thread, warm-up included */
    int64_t observed_ns;        /* wall time in which any worker was sampled */
    int64_t largest_gap_ns;     /* longest time between two samples of one worker */
    uint64_t samples;           /* of one worker's tree each */
    uint64_t lengthened_gaps;   /* gaps made longer to keep the CPU budget */
    uint64_t processes_skipped; /* over PW_LIMIT_TREE_PROCESSES */
    double budget_pct;          /* --probe-budget-pct */
    double interval_ms;         /* --probe-interval-ms */
    const char *tree_source;    /* "children", "scan" or "none": constant */
    const char *exit_clock; /* "fifo" or "normal": how the exit watcher was scheduled; constant */
};

enum pw_stop {
    PW_STOP_ITERATIONS,     /* all that were asked for */
    PW_STOP_TIME_BUDGET,    /* --max-time-sec */
    PW_STOP_CONFIDENCE,     /* --until-ci reached */
    PW_STOP_MAX_ITERATIONS, /* --until-ci not reached within --max-iterations */
    PW_STOP_INTERRUPTED,    /* a signal */
    PW_STOP_ERROR,          /* perfwrap, a hook or exec failed */
    PW_STOP_SLA_DECIDED,    /* --extend-to: the bounds could be decided */
    PW_STOP_SLA_UNDECIDED,  /* --extend-to: they could not, with all the iterations it allows */
    PW_STOP_COUNT
};
/* "iterations", "time_budget", "confidence", "max_iterations", "interrupted", "error",
 * "sla_decided", "sla_undecided". */
const char *pw_stop_name(enum pw_stop stop);

struct pw_run_record {
    char *run_dir;       /* absolute */
    char *command;       /* shell-quoted argv */
    char *config_path;   /* "" where there is none */
    json_t *profile;     /* object: contract, section 2 */
    json_t *environment; /* object, from wrapper/probe/host.h */
    json_t *machine; /* object: the virtual machine that each worker was; NULL: plain commands */
    struct pw_iteration_record *iterations;
    size_t iteration_count, iteration_capacity;
    const struct pw_moment_names *moment_names; /* NULL: no marks; append() sets it. Borrowed */
    struct pw_orphan *orphans;                  /* at most PW_LIMIT_ORPHANS_LISTED */
    size_t orphan_count;
    uint64_t orphans_total;
    struct pw_warning *warnings; /* at most PW_LIMIT_WARNINGS */
    size_t warning_count;
    struct pw_observer observer;
    bool has_telemetry;            /* an iteration has */
    struct pw_telemetry telemetry; /* of all measured iterations */
    struct pw_strays strays;
    struct pw_accounting accounting; /* which sources were used */
    json_t *cpu_profile;     /* object: the members of `xctrace` but for the count; NULL: none */
    size_t processes_listed; /* of the iterations' kernel accounts, that are kept */
    size_t otel_listed;      /* entries of the iterations' blocks that are kept */
    size_t otel_unlisted;    /* iterations whose blocks are not */
    enum pw_stop stop;
    char *stop_detail;      /* one sentence */
    int interrupted_by;     /* signal number, 0 if none */
    double first_warmup_ms; /* duration of the first warm-up iteration, 0 if none */
};

void pw_run_record_init(struct pw_run_record *run);
void pw_run_record_done(struct pw_run_record *run);
/* Takes what `iteration` owns and leaves it empty. On failure it is left as it was. Its document
 * is to be written before, for not all of its telemetry is kept. The run gets its `moment_names`,
 * which must outlive the run's summary. */
int pw_run_record_append(struct pw_run_record *run, struct pw_iteration_record *iteration,
                         struct pw_err *err);
int pw_run_record_add_orphan(struct pw_run_record *run, const struct pw_orphan *orphan,
                             struct pw_err *err);
/* Counts payloads of a worker (its id) that came when the iteration with that number had long been
 * appended. Of warm-up, and of iterations that were not kept, nothing is counted. */
void pw_run_record_add_late(struct pw_run_record *run, unsigned iteration, unsigned worker_id,
                            uint64_t payloads);
/* Takes the reference to `data` also on failure. Over the limit it is dropped silently. */
__attribute__((format(printf, 5, 6))) int pw_run_record_warn(struct pw_run_record *run,
                                                             const char *kind, const char *advice,
                                                             json_t *data, const char *message,
                                                             ...);

/* `workers` zeroed, ids from 1, no moment of theirs came. Free with pw_iteration_record_done(). */
int pw_iteration_record_init(struct pw_iteration_record *iteration, unsigned number,
                             size_t worker_count, struct pw_err *err);
void pw_iteration_record_done(struct pw_iteration_record *iteration);
/* Sets the iteration's duration (first start to last end), throughput, run counts, every folded
 * metric from the workers, and, if one has telemetry, all that comes from it. Values of
 * PW_FOLD_WINDOW metrics other than these are kept as set. May be called again, until the iteration
 * is appended. */
int pw_iteration_fold(struct pw_iteration_record *iteration, struct pw_err *err);
/* 0 if every worker returned 0, else 1. */
int pw_iteration_return_code(const struct pw_iteration_record *iteration);

/* Adds the warnings that the numbers themselves give: outliers, slow first run, high load, too few
 * runs for p95, failures, timeouts, marks that did not come, sampling stretched by its budget,
 * telemetry that was lost.
 * Called once, before the summary. */
int pw_run_record_judge(struct pw_run_record *run, struct pw_err *err);

#endif
