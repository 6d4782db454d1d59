#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "wrapper/cli/profile_files.h"
#include "wrapper/cli/run_options.h"
#include "wrapper/run/agent.h"

const char *pw_find_shell_syntax(const char *line)
{
    char quote = '\0';
    for (const char *c = line; *c; c++) {
        bool name_follows = c[1] == '(' || c[1] == '{' || c[1] == '_' ||
                            (c[1] >= 'A' && c[1] <= 'Z') || (c[1] >= 'a' && c[1] <= 'z');
        if (*c == '\\' && quote != '\'' && c[1]) {
            c++;
        } else if (quote == *c) {
            quote = '\0';
        } else if (!quote && (*c == '\'' || *c == '"')) {
            quote = *c;
        } else if ((quote != '\'' && (*c == '`' || (*c == '$' && name_follows))) ||
                   (!quote && strchr("<>|&;", *c))) {
            return c;
        }
    }
    return NULL;
}

static int pick_command(const struct pw_run_options *options, char *const *command,
                        struct pw_owned_plan *owned, struct pw_err *err)
{
    if ((command != NULL) + (options->cmd != NULL) + (options->shell != NULL) > 1) {
        return pw_err_set(err, PW_ERR_USAGE,
                          "more than one command: give one of -- CMD, --cmd and --shell");
    }
    if (options->cmd) {
        owned->plan.argv = NULL;
        if (pw_split_words(options->cmd, &owned->words, err) != 0) {
            return pw_err_prefix(err, "option --cmd");
        }
        owned->plan.argv = owned->words;
    } else if (options->shell) {
        static char shell[] = "/bin/sh", from_string[] = "-c";
        /* exec takes the words without const, but does not write to them. */
        char *const shell_argv[] = {shell, from_string, (char *)options->shell, NULL};
        memcpy(owned->shell_argv, shell_argv, sizeof shell_argv);
        owned->plan.argv = owned->shell_argv;
    } else if (command && command[0]) {
        owned->plan.argv = command;
    } else {
        pw_err_set(err, PW_ERR_USAGE, command ? "no command after --" : "no command given");
        return pw_err_remedy(err, "put it behind the options: perfwrap -n 10 -- CMD ARGS");
    }
    pw_str_add_command(&owned->command_text, owned->plan.argv);
    owned->plan.command_text = owned->command_text.text;
    return owned->command_text.failed ? pw_err_memory(err) : 0;
}

static void pick_output(const char *output, struct pw_plan *plan)
{
    static const struct {
        const char *name;
        enum pw_output_mode mode;
    } modes[] = {
        {"null", PW_OUTPUT_NULL}, {"inherit", PW_OUTPUT_INHERIT}, {"tail", PW_OUTPUT_TAIL}};
    plan->output_mode = PW_OUTPUT_FILE;
    plan->output_file = output;
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        if (strcmp(output, modes[i].name) == 0) {
            plan->output_mode = modes[i].mode;
            plan->output_file = NULL;
        }
    }
}

static int pick_classifier(const struct pw_run_options *options, struct pw_plan *plan,
                           struct pw_err *err)
{
    struct pw_classifier *classifier = NULL;
    plan->classifier = (struct pw_classifier_spec){
        .patterns = {[PW_FAMILY_TURN] = options->turn_pattern,
                     [PW_FAMILY_ACTION] = options->action_pattern,
                     [PW_FAMILY_STREAM] = options->stream_pattern,
                     [PW_FAMILY_QUEUE] = options->queue_pattern},
        .action_attributes = options->action_attributes,
    };
    if (pw_classifier_new(&plan->classifier, &classifier, err) != 0) {
        return -1;
    }
    pw_classifier_free(classifier);
    return 0;
}

/* The value of --otlp is known to be one of the three. */
static int pick_otlp(const struct pw_run_options *options, struct pw_owned_plan *owned,
                     struct pw_err *err)
{
    struct pw_plan *plan = &owned->plan;
    plan->otel_flush_wait_ms = options->otel_flush_wait_ms;
    plan->collector_listen = options->collector_listen;
    plan->otlp_body_limit = (size_t)options->otlp_max_body_mb << 20;
    plan->otlp_mode = strcmp(options->otlp, "auto") == 0  ? PW_OTLP_AUTO
                      : strcmp(options->otlp, "off") == 0 ? PW_OTLP_OFF
                                                          : PW_OTLP_ELSEWHERE;
    if (plan->otlp_mode != PW_OTLP_ELSEWHERE) {
        return 0;
    }
    owned->otlp_url = strdup(options->otlp);
    if (!owned->otlp_url) {
        return pw_err_memory(err);
    }
    for (size_t length = strlen(owned->otlp_url); owned->otlp_url[length - 1] == '/';) {
        owned->otlp_url[--length] = '\0';
    }
    plan->otlp_url = owned->otlp_url;
    return 0;
}

static int add_each(const struct pw_option_list *list, const char *name,
                    int (*add)(struct pw_outfit *outfit, const char *text, struct pw_err *err),
                    struct pw_outfit *outfit, struct pw_err *err)
{
    for (size_t i = 0; i < list->count; i++) {
        if (add(outfit, list->items[i], err) != 0) {
            return pw_err_prefix(err, "option --%s", name);
        }
    }
    return 0;
}

/* What workers are given. Of two variables with one name the later one wins. */
static int pick_outfit(const struct pw_run_options *options, struct pw_owned_plan *owned,
                       struct pw_err *err)
{
    struct pw_outfit *outfit = &owned->outfit;
    const struct pw_agent_request agent = {
        .name = options->agent,
        .config = options->agent_config,
        .reports = owned->plan.otlp_mode != PW_OTLP_OFF,
    };
    owned->plan.outfit = outfit;
    if (agent.config && strcmp(agent.name, "none") == 0) {
        pw_err_set(err, PW_ERR_USAGE, "--agent-config without --agent");
        return pw_err_remedy(err, "say for which agent: --agent codex");
    }
    if (pw_agent_add(&agent, outfit, err) != 0) {
        return pw_err_prefix(err, "option --agent");
    }
    if (add_each(&options->otel_env, "otel-env", pw_outfit_add_variable, outfit, err) != 0 ||
        add_each(&options->worker_env, "worker-env", pw_outfit_add_variable, outfit, err) != 0) {
        return -1;
    }
    return add_each(&options->worker_files, "worker-file", pw_outfit_add_template, outfit, err);
}

/* Whether what the marks want to see can be seen. */
static int check_marks(const struct pw_plan *plan, const struct pw_marks *marks, struct pw_err *err)
{
    for (size_t i = 0; i < marks->names.count; i++) {
        enum pw_mark_source source = marks->items[i].source;
        bool is_otlp = source == PW_MARK_OTLP_SPAN || source == PW_MARK_OTLP_LOG;
        bool is_read = plan->output_mode == PW_OUTPUT_TAIL ||
                       (plan->output_mode == PW_OUTPUT_NULL && source == PW_MARK_STDERR);
        if ((source == PW_MARK_STDOUT || source == PW_MARK_STDERR) && !is_read) {
            pw_err_set(err, PW_ERR_USAGE, "mark `%s`: with this --output perfwrap does not read %s",
                       marks->names.names[i], pw_mark_source_name(source));
            return pw_err_remedy(err, "use --output tail%s",
                                 source == PW_MARK_STDERR ? " or --output null" : "");
        }
        if (is_otlp && plan->otlp_mode != PW_OTLP_AUTO) {
            pw_err_set(err, PW_ERR_USAGE, "mark `%s`: with this --otlp perfwrap receives nothing",
                       marks->names.names[i]);
            return pw_err_remedy(err, "use --otlp auto");
        }
    }
    return 0;
}

/* After output and telemetry were picked. */
static int pick_marks(const struct pw_run_options *options, struct pw_owned_plan *owned,
                      struct pw_err *err)
{
    struct pw_marks *marks = &owned->marks;
    for (size_t i = 0; i < options->marks.count; i++) {
        if (pw_marks_add(marks, options->marks.items[i], err) != 0) {
            return pw_err_prefix(err, "option --mark");
        }
    }
    if (options->until && pw_marks_set_until(marks, options->until, err) != 0) {
        return pw_err_prefix(err, "option --until");
    }
    owned->plan.marks = marks->names.count > 0 ? marks : NULL;
    return check_marks(&owned->plan, marks, err);
}

/* What one option implies for others that were not given. */
static void complete(struct pw_run_options *options, const struct pw_parsed *parsed)
{
    const char *pattern = pw_agent_stream_pattern(options->agent);
    if (pattern && !pw_run_is_given(parsed, "stream-pattern")) {
        options->stream_pattern = pattern;
    }
}

/* Of the run all files, of an iteration the one that tools compare. */
static int write_profile(const struct pw_cpu_profile *profile, const char *run_dir,
                         unsigned iteration, json_t *paths, struct pw_err *err)
{
    char stem[32] = "profile";
    if (iteration == 0) {
        return pw_profile_files_write(profile, run_dir, stem, run_dir, PW_PROFILE_FILES_ALL, paths,
                                      err);
    }
    snprintf(stem, sizeof stem, "iteration-%03u", iteration);
    return pw_profile_files_write(profile, run_dir, stem, run_dir, PW_PROFILE_FILES_PPROF, paths,
                                  err);
}

/* The older harness's name brings the older harness's time limit. */
static void pick_cpu_profile(const struct pw_run_options *options, const struct pw_parsed *parsed,
                             struct pw_plan *plan)
{
    static const double DEFAULT_HZ = 997;
    bool limited = options->xctrace_capture || pw_run_is_given(parsed, "xctrace-time-limit-sec");
    bool given = !isnan(options->cpu_profile_hz);
    plan->cpu_profile_hz = given                      ? options->cpu_profile_hz
                           : options->xctrace_capture ? DEFAULT_HZ
                                                      : 0;
    plan->cpu_profile_limit_sec = limited ? options->xctrace_time_limit_sec : 0;
    plan->cpu_profile_hotspots = options->xctrace_hotspots_limit;
    plan->write_profile = write_profile;
}

int pw_plan_make(struct pw_run_options *options, const struct pw_parsed *parsed,
                 char *const *command, struct pw_owned_plan *ret_plan, struct pw_err *err)
{
    struct pw_plan *plan = &ret_plan->plan;
    complete(options, parsed);
    if (pick_command(options, command, ret_plan, err) != 0) {
        return -1;
    }
    bool until_ci = !isnan(options->until_ci_pct);
    if (until_ci && options->iterations > options->max_iterations) {
        return pw_err_set(err, PW_ERR_USAGE, "--iterations %u is more than --max-iterations %u",
                          options->iterations, options->max_iterations);
    }
    pick_output(options->output, plan);
    if (pick_classifier(options, plan, err) != 0 || pick_otlp(options, ret_plan, err) != 0 ||
        pick_outfit(options, ret_plan, err) != 0 || pick_marks(options, ret_plan, err) != 0) {
        return -1;
    }
    ret_plan->profile = pw_options_profile(&pw_run_option_set, options, err);
    if (!ret_plan->profile) {
        return -1;
    }
    plan->concurrency = options->concurrency;
    plan->iterations = options->iterations;
    plan->warmup = options->warmup;
    plan->iterations_given = pw_run_is_given(parsed, "iterations");
    plan->max_iterations = options->max_iterations;
    plan->max_time_sec = isnan(options->max_time_sec) ? 0 : options->max_time_sec;
    plan->until_ci_pct = until_ci ? options->until_ci_pct : 0;
    plan->timeout_sec = options->timeout_sec;
    plan->kill_grace_ms = options->kill_grace_ms;
    plan->keep_orphans = options->keep_orphans;
    plan->inherit_fds = options->inherit_fds;
    plan->ignore_all_failures = options->ignore_failure.all;
    plan->ignored_codes = options->ignore_failure.given ? options->ignore_failure.code : NULL;
    plan->stdout_is_reserved = options->json;
    plan->input_file = options->input;
    plan->out_dir = options->out_dir;
    plan->profile_name = options->profile_name;
    plan->profile_phase = options->profile_phase;
    plan->probe_interval_ms = options->probe_interval_ms;
    plan->probe_budget_pct = options->probe_budget_pct;
    plan->pss = options->pss;
    plan->top_attach = options->top_attach;
    plan->top_interval_ms = options->top_interval_ms;
    plan->vmmap_snapshots = options->vmmap_snapshots;
    plan->accounting = options->accounting;
    plan->account_syscalls = options->account_syscalls;
    pick_cpu_profile(options, parsed, plan);
    plan->setup = options->setup;
    plan->prepare = options->prepare;
    plan->conclude = options->conclude;
    plan->cleanup = options->cleanup;
    plan->profile = ret_plan->profile;
    return 0;
}

void pw_plan_done(struct pw_owned_plan *plan)
{
    json_decref(plan->profile);
    free(plan->words);
    pw_str_done(&plan->command_text);
    pw_outfit_done(&plan->outfit);
    pw_marks_done(&plan->marks);
    free(plan->otlp_url);
    *plan = PW_OWNED_PLAN_INIT;
}
