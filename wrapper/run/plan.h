/*
 * What is to be measured, and how: plain data, made by wrapper/cli from the command line, read by
 * wrapper/run. Strings are borrowed from the command line or owned by the maker; they outlive the
 * session.
 */
#ifndef PW_RUN_PLAN_H
#define PW_RUN_PLAN_H

#include <jansson.h>
#include <stdbool.h>
#include "collector/classify.h"
#include "core/err.h"
#include "wrapper/run/marks.h"

enum pw_otlp_mode {
    PW_OTLP_AUTO,      /* workers report to perfwrap */
    PW_OTLP_OFF,       /* perfwrap has no collector and leaves the workers' variables alone */
    PW_OTLP_ELSEWHERE, /* workers report to `otlp_url`, and perfwrap has no collector */
};

enum pw_output_mode {
    PW_OUTPUT_TAIL,    /* drained; the end is kept, and shown if the worker fails */
    PW_OUTPUT_NULL,    /* standard output discarded; the end of standard error is kept */
    PW_OUTPUT_INHERIT, /* perfwrap's own */
    PW_OUTPUT_FILE,    /* both written to one file, emptied when the session starts */
};

struct pw_worker_kind; /* wrapper/run/kind.h */

/* Writes a CPU profile's files into the run's folder, of one iteration or (0) of the whole run, and
 * adds their paths to `paths`. For who may know file formats. */
struct pw_cpu_profile; /* core/cpu_profile.h */
typedef int pw_profile_writer(const struct pw_cpu_profile *profile, const char *run_dir,
                              unsigned iteration, json_t *paths, struct pw_err *err);

struct pw_plan {
    char *const *argv;          /* the command, NULL-terminated */
    bool argv_has_placeholders; /* those of outfit.h are replaced in its words for each worker */
    const char *command_text;   /* shell-quoted argv */
    unsigned concurrency;       /* workers at once, from 1 */
    unsigned iterations;        /* measured; with until_ci_pct the least number */
    unsigned warmup;
    bool iterations_given;   /* --iterations was on the command line */
    unsigned max_iterations; /* upper bound for until_ci_pct */
    double max_time_sec;     /* 0: none */
    double until_ci_pct; /* 0: none; half width of the median's 95 % interval, in % of the median */
    double timeout_sec;  /* a worker's deadline, from its spawn; 0: none */
    double kill_grace_ms;     /* between TERM and KILL */
    double until_patience_ms; /* a worker whose mark of --until came has so long to end by itself
                                 before it is ended */
    bool keep_orphans;
    bool inherit_fds; /* --inherit-fds: pass on descriptors over 2 that perfwrap inherited */
    bool ignore_all_failures;           /* --ignore-failure */
    const unsigned char *ignored_codes; /* 256 flags for --ignore-failure=CODES, or NULL */
    enum pw_output_mode output_mode;
    const char *output_file;
    bool stdout_is_reserved; /* --json: a worker that inherits writes to standard error instead */
    const char *input_file;  /* standard input of the workers; NULL: /dev/null */
    const char *out_dir;
    const char *profile_name; /* NULL if not given */
    const char *profile_phase;
    double probe_interval_ms;
    double probe_budget_pct; /* CPU of the sampler, percent of one core; 0: no sampling at all */
    bool pss;
    bool top_attach;
    double top_interval_ms;
    bool vmmap_snapshots;
    const char *accounting; /* "auto", "ebpf", "cgroup", "proc" (core/accounting.h); NULL: no
                               account but by /proc, and nothing is stated */
    bool account_syscalls;
    double cpu_profile_hz;                            /* 0: no CPU profile */
    double cpu_profile_limit_sec;                     /* of each worker; 0: all of it */
    unsigned cpu_profile_hotspots;                    /* frames listed */
    pw_profile_writer *write_profile;                 /* of the profile's files; NULL: no files */
    const char *setup, *prepare, *conclude, *cleanup; /* shell commands or NULL */
    enum pw_otlp_mode otlp_mode;
    const char *otlp_url; /* of PW_OTLP_ELSEWHERE, without a slash at its end; else NULL */
    double otel_flush_wait_ms;
    const char *collector_listen; /* as for pw_collector_start(); NULL: loopback, any port */
    size_t otlp_body_limit;       /* bytes */
    struct pw_classifier_spec classifier;
    const struct pw_marks *marks;      /* NULL: none */
    const struct pw_outfit *outfit;    /* variables and files for each worker; NULL: none */
    const struct pw_worker_kind *kind; /* NULL: plain commands. Borrowed */
    /* So many of the last workers whose mark of --until came, and that did not fail, are not ended
     * but left running while the following iterations are measured, warm-up included; the oldest
     * are ended when there are more, and all at the session's end, before --cleanup. They are
     * recorded as they were at the mark: CPU time so far and peak memory, nothing else of the
     * kernel's account. Their output is not read any more: they get EPIPE, and SIGPIPE is ignored
     * in them from the start. Their folders have other names than those of plain workers. */
    unsigned hold;
    bool keep; /* at the end of a session that neither failed nor was interrupted, those held are
                  left running for good (`kept` of the session's events); their folders are removed
                */
    json_t *profile; /* every option that changes the measurement, under its name; borrowed */
};

#endif
