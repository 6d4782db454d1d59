#include "wrapper/cli/run_options.h"

#include <string.h>
#include "core/limits.h"

enum {
    GROUP_COMMAND,
    GROUP_COUNT,
    GROUP_WORKERS,
    GROUP_MILESTONES,
    GROUP_HOOKS,
    GROUP_SAMPLING,
    GROUP_ATTRIBUTION,
    GROUP_TELEMETRY,
    GROUP_GATE,
    GROUP_RESULT,
    GROUP_OLD
};

static const char *const groups[] = {
    [GROUP_COMMAND] = "What to run (instead of `-- CMD [ARGS]`)",
    [GROUP_COUNT] = "How often",
    [GROUP_WORKERS] = "Workers",
    [GROUP_MILESTONES] = "Milestones: moments between a worker's start and its end",
    [GROUP_HOOKS] = "Hooks: shell commands whose time never counts",
    [GROUP_SAMPLING] = "Sampling",
    [GROUP_ATTRIBUTION] = "Accounting by the kernel, and CPU profile",
    [GROUP_TELEMETRY] = "Telemetry (OpenTelemetry)",
    [GROUP_GATE] = "Gate: exit status 1 if a bound is not kept",
    [GROUP_RESULT] = "Results",
    [GROUP_OLD] = "Without effect, accepted for scripts written for the older harness",
};

/* A run of a year is no measurement, and no time computed from these can overflow. */
enum { SECONDS_MAX = 31536000, INTERVAL_MS_MAX = 60000 };

/* The name becomes the beginning of a folder's name, with a time stamp of 16 bytes behind it. */
int pw_run_check_profile_name(const char *text, struct pw_err *err)
{
    enum { NAME_BYTES_MAX = 200 };
    if (!*text) {
        return pw_err_set(err, PW_ERR_USAGE, "the value is empty");
    }
    if (strlen(text) > NAME_BYTES_MAX) {
        return pw_err_set(err, PW_ERR_USAGE, "longer than %d bytes, too long for a folder's name",
                          NAME_BYTES_MAX);
    }
    for (const char *c = text; *c; c++) {
        if (*c == '/' || (unsigned char)*c < 0x20 || *c == 0x7f) {
            pw_err_set(err, PW_ERR_USAGE, "`%s` cannot be part of a folder's name", text);
            return pw_err_remedy(err, "leave out slashes and control characters");
        }
    }
    return 0;
}

/* What workers and agents can write into a variable, or into quotes, as it is. */
static int check_otlp(const char *text, struct pw_err *err)
{
    static const char unfit[] = " \"'<>\\^`{|}?#";
    const char *host = strstr(text, "://");
    if (strcmp(text, "auto") == 0 || strcmp(text, "off") == 0) {
        return 0;
    }
    if (strncmp(text, "http://", 7) != 0 && strncmp(text, "https://", 8) != 0) {
        host = NULL;
    }
    size_t length = host ? strcspn(host + 3, "/") : 0;
    for (const char *c = text; *c; c++) {
        if (*c < 0x20 || *c > 0x7e || strchr(unfit, *c)) {
            length = 0;
        }
    }
    if (length == 0) {
        pw_err_set(err, PW_ERR_USAGE, "`%s` is not auto, off or a plain http URL", text);
        return pw_err_remedy(err, "name another collector as http://HOST:4318");
    }
    if (memchr(host + 3, '@', length)) { /* the text is not shown: it holds a password */
        pw_err_set(err, PW_ERR_USAGE, "a URL with a user name in it");
        return pw_err_remedy(
            err, "leave it out, and use --otel-env OTEL_EXPORTER_OTLP_HEADERS=... instead");
    }
    return 0;
}

static int check_decide(const char *text, struct pw_err *err)
{
    bool known = strcmp(text, "value") == 0 || strcmp(text, "ci") == 0;
    return known ? 0 : pw_err_set(err, PW_ERR_USAGE, "`%s` is neither value nor ci", text);
}

static int check_accounting(const char *text, struct pw_err *err)
{
    bool known = strcmp(text, "auto") == 0 || strcmp(text, "ebpf") == 0 ||
                 strcmp(text, "cgroup") == 0 || strcmp(text, "proc") == 0;
    return known
               ? 0
               : pw_err_set(err, PW_ERR_USAGE, "`%s` is none of auto, ebpf, cgroup and proc", text);
}

#define FIELD(name) .offset = offsetof(struct pw_run_options, name)

/* Which metrics belong to a family. */
#define PATTERN(family, what, pattern)                                                           \
    {                                                                                            \
        .name = #family "-pattern", .type = PW_OPTION_STRING, .group = GROUP_TELEMETRY,          \
        .argument = "REGEX", .initial = (pattern), .profile_key = #family "_pattern",            \
        FIELD(family##_pattern),                                                                 \
        .help = "Metrics about " what ": a regular expression that is searched in their names, " \
                "ignoring case."                                                                 \
    }

/* The order is that of the older harness's `profile` object, and, within a group, that of the help.
 */
static const struct pw_option options[] = {
    {.name = "cmd",
     .type = PW_OPTION_STRING,
     .group = GROUP_COMMAND,
     .argument = "STRING",
     FIELD(cmd),
     .help = "Split STRING into words as a shell would, and run them without a shell."},
    {.name = "shell",
     .type = PW_OPTION_STRING,
     .group = GROUP_COMMAND,
     .argument = "STRING",
     FIELD(shell),
     .help = "Run STRING with `/bin/sh -c`; the shell is measured too."},
    {.name = "profile-name",
     .type = PW_OPTION_STRING,
     .group = GROUP_RESULT,
     .argument = "NAME",
     .check = pw_run_check_profile_name,
     .profile_key = "name",
     FIELD(profile_name),
     .help = "Name of this benchmark: begins the run folder's name and groups baselines."},
    {.name = "profile-phase",
     .type = PW_OPTION_STRING,
     .group = GROUP_RESULT,
     .argument = "WORD",
     .initial = "measure",
     .profile_key = "phase",
     FIELD(profile_phase),
     .help = "Free word that is kept in the summary."},
    {.name = "concurrency",
     .letter = 'c',
     .type = PW_OPTION_UNSIGNED,
     .group = GROUP_COUNT,
     .argument = "N",
     .initial = "1",
     .min = 1,
     .max = PW_LIMIT_WORKERS,
     .profile_key = "concurrency",
     FIELD(concurrency),
     .help = "Workers that each iteration starts at once."},
    {.name = "warmup",
     .letter = 'w',
     .type = PW_OPTION_UNSIGNED,
     .group = GROUP_COUNT,
     .argument = "N",
     .initial = "1",
     .min = 0,
     .max = PW_LIMIT_ITERATIONS,
     .profile_key = "warmup",
     FIELD(warmup),
     .help = "Iterations before those that are measured."},
    {.name = "iterations",
     .letter = 'n',
     .type = PW_OPTION_UNSIGNED,
     .group = GROUP_COUNT,
     .argument = "N",
     .initial = "5",
     .min = 1,
     .max = PW_LIMIT_ITERATIONS,
     .profile_key = "iterations",
     FIELD(iterations),
     .help = "Measured iterations. With --until-ci the least number of them."},
    {.name = "top-attach",
     .type = PW_OPTION_FLAG,
     .group = GROUP_SAMPLING,
     .profile_key = "top_attach",
     FIELD(top_attach),
     .help =
         "Also keep CPU and memory of each worker's tree as a series over time (`top_attach`)."},
    {.name = "top-interval-ms",
     .type = PW_OPTION_NUMBER,
     .group = GROUP_SAMPLING,
     .argument = "MS",
     .initial = "250",
     .min = 1,
     .max = INTERVAL_MS_MAX,
     .unit = "ms",
     .profile_key = "top_interval_ms",
     FIELD(top_interval_ms),
     .help = "Time between two points of that series."},
    {.name = "vmmap-snapshots",
     .type = PW_OPTION_FLAG,
     .group = GROUP_SAMPLING,
     .profile_key = "vmmap_snapshots",
     FIELD(vmmap_snapshots),
     .help =
         "Also take the tree's physical footprint at start, middle and end, and what it consists of "
         "at its largest."},
    {.name = "xctrace-capture",
     .type = PW_OPTION_FLAG,
     .group = GROUP_ATTRIBUTION,
     .profile_key = "xctrace_capture",
     FIELD(xctrace_capture),
     .help = "The same as --cpu-profile, by the name that the older harness gave it."},
    {.name = "xctrace-time-limit-sec",
     .type = PW_OPTION_NUMBER,
     .group = GROUP_ATTRIBUTION,
     .argument = "SEC",
     .initial = "6",
     .min = 0,
     .max = SECONDS_MAX,
     .unit = "s",
     .profile_key = "xctrace_time_limit_sec",
     FIELD(xctrace_time_limit_sec),
     .help =
         "With --xctrace-capture: profile only so much of each worker's beginning; without this "
         "option --cpu-profile takes all of it. 0: all."},
    {.name = "xctrace-hotspots-limit",
     .type = PW_OPTION_UNSIGNED,
     .group = GROUP_ATTRIBUTION,
     .argument = "N",
     .initial = "10",
     .min = 0,
     .max = 10000,
     .profile_key = "xctrace_hotspots_limit",
     FIELD(xctrace_hotspots_limit),
     .help = "Frames listed of a CPU profile; the files hold all of them."},
    {.name = "monitor-sleep-ms",
     .type = PW_OPTION_NUMBER,
     .group = GROUP_OLD,
     .argument = "MS",
     .min = 0,
     .max = INTERVAL_MS_MAX,
     .unit = "ms",
     .profile_key = "monitor_sleep_ms",
     FIELD(monitor_sleep_ms),
     .help = "Pause of the monitor loop.",
     .no_effect = "there is no polling loop, the kernel reports each exit"},
    {.name = "probe-interval-ms",
     .type = PW_OPTION_NUMBER,
     .group = GROUP_SAMPLING,
     .argument = "MS",
     .initial = "20",
     .min = 1,
     .max = INTERVAL_MS_MAX,
     .unit = "ms",
     .profile_key = "probe_interval_ms",
     FIELD(probe_interval_ms),
     .help = "Longest time between two samples of a worker's tree. The first samples come faster."},
    {.name = "otel-flush-wait-ms",
     .type = PW_OPTION_NUMBER,
     .group = GROUP_TELEMETRY,
     .argument = "MS",
     .initial = "50",
     .min = 0,
     .max = INTERVAL_MS_MAX,
     .unit = "ms",
     .profile_key = "otel_flush_wait_ms",
     FIELD(otel_flush_wait_ms),
     .help = "Longest wait, when the workers have ended, for a connection of theirs that is still "
             "open. While a request is being received it waits up to 2000 ms."},
    {.name = "max-time-sec",
     .type = PW_OPTION_NUMBER,
     .group = GROUP_COUNT,
     .argument = "SEC",
     .min = 0.001,
     .max = SECONDS_MAX,
     .unit = "s",
     .profile_key = "max_time_sec",
     FIELD(max_time_sec),
     .help =
         "Start no further iteration after this time. Without --iterations: instead of a count."},
    {.name = "until-ci",
     .type = PW_OPTION_NUMBER,
     .group = GROUP_COUNT,
     .argument = "PCT",
     .min = 0.01,
     .max = 100,
     .unit = "%",
     .profile_key = "until_ci_pct",
     FIELD(until_ci_pct),
     .help =
         "Go on until the 95 % interval of the median latency is at most PCT percent of it to each "
         "side."},
    {.name = "max-iterations",
     .type = PW_OPTION_UNSIGNED,
     .group = GROUP_COUNT,
     .argument = "N",
     .initial = "1000",
     .min = 1,
     .max = PW_LIMIT_ITERATIONS,
     .profile_key = "max_iterations",
     FIELD(max_iterations),
     .help = "Most iterations with --until-ci."},
    {.name = "timeout-sec",
     .type = PW_OPTION_NUMBER,
     .group = GROUP_WORKERS,
     .argument = "SEC",
     .initial = "300",
     .min = 0,
     .max = SECONDS_MAX,
     .unit = "s",
     .profile_key = "timeout_sec",
     FIELD(timeout_sec),
     .help =
         "Deadline of a worker: then its whole tree gets TERM and its return code is 124. 0: none."},
    {.name = "kill-grace-ms",
     .type = PW_OPTION_NUMBER,
     .group = GROUP_WORKERS,
     .argument = "MS",
     .initial = "2000",
     .min = 0,
     .max = 3600000,
     .unit = "ms",
     .profile_key = "kill_grace_ms",
     FIELD(kill_grace_ms),
     .help = "Time between TERM and KILL."},
    {.name = "output",
     .type = PW_OPTION_STRING,
     .group = GROUP_WORKERS,
     .argument = "null|inherit|tail|FILE",
     .initial = "tail",
     .profile_key = "output",
     FIELD(output),
     .help =
         "What becomes of the workers' output: discarded, passed on, its end kept and shown if a "
         "worker fails, or written to FILE (a file of such a name: ./tail)."},
    {.name = "input",
     .type = PW_OPTION_STRING,
     .group = GROUP_WORKERS,
     .argument = "FILE",
     .profile_key = "input",
     FIELD(input),
     .help = "Standard input of each worker, read from its beginning. Without it: /dev/null."},
    {.name = "keep-orphans",
     .type = PW_OPTION_FLAG,
     .group = GROUP_WORKERS,
     .profile_key = "keep_orphans",
     FIELD(keep_orphans),
     .help = "Leave processes alone that outlive their worker; they are reported, but not ended."},
    {.name = "inherit-fds",
     .type = PW_OPTION_FLAG,
     .group = GROUP_WORKERS,
     .profile_key = "inherit_fds",
     FIELD(inherit_fds),
     .help =
         "Pass on descriptors over 2 that perfwrap was started with. Without it workers get 0 to 2 "
         "only, so that descriptors of the caller do not count as theirs."},
    {.name = "ignore-failure",
     .type = PW_OPTION_CODES,
     .group = GROUP_WORKERS,
     .argument = "CODES",
     FIELD(ignore_failure),
     .help = "Count these return codes, or all, as success for perfwrap's exit status: "
             "--ignore-failure=1,64-78. The summary is not changed by it."},
    {.name = "mark",
     .type = PW_OPTION_LIST,
     .group = GROUP_MILESTONES,
     .argument = "NAME=SOURCE",
     .profile_key = "marks",
     FIELD(marks),
     .help = "Measure when each worker comes to this moment, and the phases between such moments. "
             "SOURCE is one of: stdout:/REGEX/ or stderr:/REGEX/, the first line that matches; "
             "serial:/REGEX/, another name of stdout, for the console of a virtual machine; "
             "fd3, a line `PW NAME` written to descriptor 3; file:PATH, the file is there; "
             "tcp:[HOST:]PORT or unix:PATH, a connection is accepted; http:URL, GET answers 2xx; "
             "otlp:span:NAME or otlp:log:/REGEX/, it came to perfwrap. The placeholders of "
             "--worker-file are replaced in PATH, HOST, PORT and URL."},
    {.name = "until",
     .type = PW_OPTION_STRING,
     .group = GROUP_MILESTONES,
     .argument = "NAME",
     .profile_key = "until",
     FIELD(until),
     .help = "A worker is done when it comes to this mark: that is its duration and a success, and "
             "its tree gets TERM, then KILL. So a server that never exits can be measured to the "
             "moment when it is ready. One that ends before has failed."},
    {.name = "setup",
     .type = PW_OPTION_STRING,
     .group = GROUP_HOOKS,
     .argument = "COMMAND",
     .profile_key = "setup",
     FIELD(setup),
     .help = "Once, before everything."},
    {.name = "prepare",
     .type = PW_OPTION_STRING,
     .group = GROUP_HOOKS,
     .argument = "COMMAND",
     .profile_key = "prepare",
     FIELD(prepare),
     .help = "Before each iteration, warm-up too."},
    {.name = "conclude",
     .type = PW_OPTION_STRING,
     .group = GROUP_HOOKS,
     .argument = "COMMAND",
     .profile_key = "conclude",
     FIELD(conclude),
     .help = "After each iteration, warm-up too."},
    {.name = "cleanup",
     .type = PW_OPTION_STRING,
     .group = GROUP_HOOKS,
     .argument = "COMMAND",
     .profile_key = "cleanup",
     FIELD(cleanup),
     .help = "Once, after everything."},
    {.name = "probe-budget-pct",
     .type = PW_OPTION_NUMBER,
     .group = GROUP_SAMPLING,
     .argument = "PCT",
     .initial = "1",
     .min = 0,
     .max = 100,
     .unit = "%",
     .profile_key = "probe_budget_pct",
     FIELD(probe_budget_pct),
     .help =
         "CPU that sampling may use, in percent of one core; it samples less often to keep to it. "
         "0: no sampling."},
    {.name = "accounting",
     .type = PW_OPTION_STRING,
     .group = GROUP_ATTRIBUTION,
     .argument = "auto|ebpf|cgroup|proc",
     .initial = "auto",
     .check = check_accounting,
     .profile_key = "accounting",
     FIELD(accounting),
     .help =
         "The most exact source of numbers to use: the kernel's own account by eBPF (every "
         "process, wait and peak, however short), a cgroup for each worker, or /proc alone. "
         "Each is used together with those after it; where the machine does not allow one, the run "
         "goes on with the others and the summary says so. auto is ebpf without a warning then. See "
         "`perfwrap doctor`."},
    {.name = "account-syscalls",
     .type = PW_OPTION_FLAG,
     .group = GROUP_ATTRIBUTION,
     .profile_key = "account_syscalls",
     FIELD(account_syscalls),
     .help =
         "With eBPF also count and time system calls. Costs every call of the machine a little."},
    {.name = "cpu-profile",
     .type = PW_OPTION_NUMBER,
     .group = GROUP_ATTRIBUTION,
     .argument = "HZ",
     .bare = "997",
     .min = 1,
     .max = 10000,
     .unit = "Hz",
     .profile_key = "cpu_profile_hz",
     FIELD(cpu_profile_hz),
     .help =
         "Sample what the workers run on the CPUs, 997 times a second of CPU time unless HZ says "
         "otherwise: hotspots in the summary, and a flame graph, folded stacks and a pprof file "
         "in xctrace-traces/."},
    {.name = "pss",
     .type = PW_OPTION_FLAG,
     .group = GROUP_SAMPLING,
     .profile_key = "pss",
     FIELD(pss),
     .help =
         "Also sample the proportional set size of the tree: slower, counts shared pages once."},
    {.name = "otlp",
     .type = PW_OPTION_STRING,
     .group = GROUP_TELEMETRY,
     .argument = "auto|off|URL",
     .initial = "auto",
     .check = check_otlp,
     .profile_key = "otlp",
     FIELD(otlp),
     .help =
         "Where the workers report to over OTLP/HTTP. auto: to perfwrap, by the variables that "
         "OpenTelemetry SDKs read. off: these variables are left alone, and perfwrap receives "
         "nothing. URL: to the collector of which this is the base; perfwrap receives nothing."},
    {.name = "otel-env",
     .type = PW_OPTION_LIST,
     .group = GROUP_TELEMETRY,
     .argument = "KEY=VALUE",
     .profile_key = "otel_env",
     .names_only = true,
     FIELD(otel_env),
     .help = "Set this OTEL_ variable for the workers, instead of what perfwrap would set."},
    {.name = "agent",
     .type = PW_OPTION_STRING,
     .group = GROUP_TELEMETRY,
     .argument = "codex|none",
     .initial = "none",
     .profile_key = "agent",
     FIELD(agent),
     .help = "What to set up for an agent that takes its configuration from a file. codex: each "
             "worker has a CODEX_HOME of its own, with your config.toml, in which [otel] leads to "
             "perfwrap, and a copy of your auth.json that is removed at the iteration's end."},
    {.name = "agent-config",
     .type = PW_OPTION_STRING,
     .group = GROUP_TELEMETRY,
     .argument = "FILE",
     .profile_key = "agent_config",
     FIELD(agent_config),
     .help = "With --agent: the template of its configuration, with placeholders as in "
             "--worker-file, instead of your own."},
    {.name = "worker-file",
     .type = PW_OPTION_LIST,
     .group = GROUP_TELEMETRY,
     .argument = "TEMPLATE=DEST",
     .profile_key = "worker_files",
     FIELD(worker_files),
     .help = "Copy the file TEMPLATE to DEST in each worker's private folder, readable for its "
             "owner only, with these placeholders replaced: {worker_dir}, {run_dir}, {run_id}, "
             "{worker_id}, {iteration}, {unix_ns}, {endpoint}, {endpoint_port}, "
             "{endpoint_path}, {metrics_endpoint}, {traces_endpoint}, {logs_endpoint}, "
             "{traceparent}."},
    {.name = "worker-env",
     .type = PW_OPTION_LIST,
     .group = GROUP_TELEMETRY,
     .argument = "KEY=VALUE",
     .profile_key = "worker_env",
     .names_only = true,
     FIELD(worker_env),
     .help = "Set this variable for the workers; the same placeholders. Of its value nothing is "
             "kept in the results."},
    {.name = "collector-listen",
     .type = PW_OPTION_STRING,
     .group = GROUP_TELEMETRY,
     .argument = "[ADDRESS][:PORT]",
     FIELD(collector_listen),
     .help = "Where perfwrap's collector listens, for workers on other hosts or in containers. "
             "Requests must then carry a bearer token, which perfwrap makes and gives to the "
             "workers. Without it: on loopback, any free port, no token."},
    {.name = "otlp-max-body-mb",
     .type = PW_OPTION_UNSIGNED,
     .group = GROUP_TELEMETRY,
     .argument = "N",
     .initial = "64",
     .min = 1,
     .max = PW_LIMIT_OTLP_BODY_BYTES >> 20,
     .unit = "MiB",
     .profile_key = "otlp_max_body_mb",
     FIELD(otlp_max_body_mb),
     .help = "Largest request in MiB, before and after decompression; a larger one is answered "
             "413 and counted."},
    PATTERN(turn, "turns", "turn.*(duration|latency)|codex\\.turn"),
    PATTERN(action, "tools and other actions",
            "(tool|exec_command|apply_patch|search|agent).*(duration|latency)|codex\\.tool"),
    PATTERN(stream, "streams of tokens",
            "(stream|first_token|first_event|ttfb|chunk).*(duration|latency|ms)"),
    PATTERN(queue, "queues and cancelling", "queue|queued|cancel|cancell|interrupt|abort"),
    {.name = "action-attributes",
     .type = PW_OPTION_STRING,
     .group = GROUP_TELEMETRY,
     .argument = "NAMES",
     .initial = "gen_ai.tool.name,tool.name,tool_name,tool,action.name,action",
     .profile_key = "action_attributes",
     FIELD(action_attributes),
     .help = "Attributes that name the tool or action of a span, log record or metric, the best "
             "first."},
    {.name = "sla",
     .type = PW_OPTION_STRING,
     .group = GROUP_GATE,
     .argument = "PROFILE|FILE",
     FIELD(sla),
     .help =
         "Judge the run by this profile when it is done: cold, throughput, exec, streaming, boot, "
         "boot-tcg, or a profile file (see perfwrap check). A profile that cannot be used is told before "
         "anything runs. The run's own name is that of --profile-name, whatever the profile's."},
    {.name = "bound",
     .type = PW_OPTION_LIST,
     .group = GROUP_GATE,
     .argument = "EXPRESSION",
     FIELD(bounds),
     .help = "Judge the run by this bound, as 'latency_ms p(95) <= 250ms'. It takes the place of "
             "the profile's bound on the same number in the same direction."},
    {.name = "decide",
     .type = PW_OPTION_STRING,
     .group = GROUP_GATE,
     .argument = "value|ci",
     .check = check_decide,
     FIELD(decide),
     .help = "By the value alone (the default), or by its 95 % interval: a bound within it is then "
             "inconclusive."},
    {.name = "tell-apart",
     .type = PW_OPTION_FLAG,
     .group = GROUP_GATE,
     FIELD(tell_apart),
     .help = "Exit status 3, not 1, for bounds that are inconclusive or have no data."},
    {.name = "baseline",
     .type = PW_OPTION_STRING,
     .group = GROUP_GATE,
     .argument = "SUMMARY",
     FIELD(baseline),
     .help = "What `baseline` means in a bound: a summary, or a run folder."},
    {.name = "extend-to",
     .type = PW_OPTION_UNSIGNED,
     .group = GROUP_GATE,
     .argument = "N",
     .initial = "0",
     .min = 0,
     .max = PW_LIMIT_ITERATIONS,
     .profile_key = "extend_to",
     FIELD(extend_to),
     .help = "While a bound is inconclusive, add iterations, up to N of them in all; implies "
             "--decide ci. The bounds are looked at again after each quarter more, which makes a "
             "wrong decision by luck somewhat likelier than 5 %. A time budget is still kept. "
             "0: no more than --iterations."},
    {.name = "out-dir",
     .type = PW_OPTION_STRING,
     .group = GROUP_RESULT,
     .argument = "FOLDER",
     .initial = "perf-results",
     FIELD(out_dir),
     .help = "Where the run folder is made. It holds summary.json, summary.md and a file for each "
             "iteration."},
    {.name = "json",
     .type = PW_OPTION_FLAG,
     .group = GROUP_RESULT,
     FIELD(json),
     .help = "Print the summary on standard output, and nothing else there."},
    {.name = "quiet",
     .letter = 'q',
     .type = PW_OPTION_FLAG,
     .group = GROUP_RESULT,
     FIELD(quiet),
     .help = "No progress, no table, no warnings: only the result lines and errors."},
    {.name = "no-color",
     .type = PW_OPTION_FLAG,
     .group = GROUP_RESULT,
     FIELD(no_color),
     .help = "No colours on a terminal. The environment variable NO_COLOR does the same."},
    {.name = "help",
     .letter = 'h',
     .type = PW_OPTION_FLAG,
     .group = GROUP_RESULT,
     FIELD(help),
     .help = "Show this help.",
     .stops = true},
    {.name = "version",
     .type = PW_OPTION_FLAG,
     .group = GROUP_RESULT,
     FIELD(version),
     .help = "Show the version.",
     .stops = true},
};

_Static_assert(sizeof options / sizeof *options <= PW_OPTIONS_MAX, "PW_OPTIONS_MAX is too small");

const struct pw_option_set pw_run_option_set = {
    .options = options,
    .count = sizeof options / sizeof *options,
    .groups = groups,
    .group_count = sizeof groups / sizeof *groups,
};

bool pw_run_is_given(const struct pw_parsed *parsed, const char *name)
{
    for (size_t i = 0; i < pw_run_option_set.count; i++) {
        if (strcmp(pw_run_option_set.options[i].name, name) == 0) {
            return parsed->given[i];
        }
    }
    return false;
}

int pw_run_refuse(const struct pw_parsed *parsed, const struct pw_refused_option *refused,
                  size_t count, const char *subcommand, struct pw_err *err)
{
    for (size_t i = 0; i < count; i++) {
        if (pw_run_is_given(parsed, refused[i].name)) {
            pw_err_set(err, PW_ERR_USAGE, "option --%s has no place in %s", refused[i].name,
                       subcommand);
            return pw_err_remedy(err, "%s", refused[i].remedy);
        }
    }
    return 0;
}
