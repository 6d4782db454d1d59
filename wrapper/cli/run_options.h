/* The options of `perfwrap run`, and the plan that they make. */
#ifndef PW_CLI_RUN_OPTIONS_H
#define PW_CLI_RUN_OPTIONS_H

#include <stdbool.h>
#include "core/err.h"
#include "core/str.h"
#include "wrapper/cli/option.h"
#include "wrapper/run/marks.h"
#include "wrapper/run/outfit.h"
#include "wrapper/run/plan.h"

/* One field an option; what each means stands in the table in run_options.c. */
struct pw_run_options {
    const char *cmd, *shell;
    const char *profile_name, *profile_phase;
    unsigned concurrency, warmup, iterations, max_iterations;
    double max_time_sec, until_ci_pct;
    double timeout_sec, kill_grace_ms;
    const char *output, *input;
    bool keep_orphans;
    bool inherit_fds;
    struct pw_option_codes ignore_failure;
    const char *setup, *prepare, *conclude, *cleanup;
    double probe_interval_ms, probe_budget_pct, top_interval_ms;
    bool pss, top_attach, vmmap_snapshots;
    const char *out_dir;
    bool json, quiet, no_color;
    const char *otlp, *collector_listen;
    double otel_flush_wait_ms;
    unsigned otlp_max_body_mb;
    const char *turn_pattern, *action_pattern, *stream_pattern, *queue_pattern, *action_attributes;
    const char *agent, *agent_config;
    struct pw_option_list otel_env, worker_env, worker_files;
    struct pw_option_list marks;
    const char *until;
    double monitor_sleep_ms, xctrace_time_limit_sec, cpu_profile_hz;
    const char *accounting;
    bool account_syscalls;
    bool xctrace_capture;
    unsigned xctrace_hotspots_limit;
    const char *sla, *decide, *baseline;
    struct pw_option_list bounds;
    unsigned extend_to;
    bool tell_apart;
    bool help, version;
};

extern const struct pw_option_set pw_run_option_set;

/* For subcommands that take these options too (option.h: `also`). */
bool pw_run_is_given(const struct pw_parsed *parsed, const char *name);
struct pw_refused_option {
    const char *name, *remedy;
};
/* PW_ERR_USAGE if one of the `count` options, which have no place in that subcommand, was given. */
int pw_run_refuse(const struct pw_parsed *parsed, const struct pw_refused_option *refused,
                  size_t count, const char *subcommand, struct pw_err *err);

/* For --profile-name: what can begin the name of a folder. */
int pw_run_check_profile_name(const char *text, struct pw_err *err);

/*
 * A plan with what it owns. Start with a zeroed one; pw_plan_done() also after a failure. The
 * options and the argument vector must outlive it.
 */
struct pw_owned_plan {
    struct pw_plan plan;
    char *shell_argv[4];
    char **words; /* of --cmd */
    struct pw_str command_text;
    char *otlp_url;
    struct pw_outfit outfit;
    struct pw_marks marks;
    json_t *profile;
};
#define PW_OWNED_PLAN_INIT \
    ((struct pw_owned_plan){.command_text = PW_STR_INIT, .marks = PW_MARKS_INIT})

/* `options` must outlive the plan, which borrows from it; it is completed with what some options
 * imply for others. `command`: the NULL-terminated words after `--`, NULL if there was none.
 * Errors: PW_ERR_USAGE, and PW_ERR_INPUT for a file that cannot be used. */
int pw_plan_make(struct pw_run_options *options, const struct pw_parsed *parsed,
                 char *const *command, struct pw_owned_plan *ret_plan, struct pw_err *err);
void pw_plan_done(struct pw_owned_plan *plan);

/* The first thing in `line`, outside of quotes, that only a shell would understand (`>`, `|`, `&&`,
 * `$(`,
 * `$HOME` …): points into `line`, NULL if there is none. */
const char *pw_find_shell_syntax(const char *line);

#endif
