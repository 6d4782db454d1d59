#include "wrapper/cli/run_options.h"

#include <string.h>
#include "core/limits.h"

enum { GROUP_COMMAND, GROUP_COUNT, GROUP_WORKERS, GROUP_HOOKS, GROUP_SAMPLING, GROUP_RESULT, GROUP_OLD };

static const char *const groups[] = {
    [GROUP_COMMAND] = "What to run (instead of `-- CMD [ARGS]`)",
    [GROUP_COUNT] = "How often",
    [GROUP_WORKERS] = "Workers",
    [GROUP_HOOKS] = "Hooks: shell commands whose time never counts",
    [GROUP_SAMPLING] = "Sampling",
    [GROUP_RESULT] = "Results",
    [GROUP_OLD] = "Without effect, accepted for scripts written for the older harness",
};

/* A run of a year is no measurement, and no time computed from these can overflow. */
static const double seconds_max = 31536000, interval_ms_max = 60000;

/* The name becomes the beginning of a folder's name, with a time stamp of 16 bytes behind it. */
static int check_profile_name(const char *text, struct pw_err *err)
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

#define FIELD(name) .offset = offsetof(struct pw_run_options, name)

/* The order is that of the older harness's `profile` object, and, within a group, that of the help. */
static const struct pw_option options[] = {
    {.name = "cmd", .type = PW_OPTION_STRING, .group = GROUP_COMMAND, .argument = "STRING",
     FIELD(cmd),
     .help = "Split STRING into words as a shell would, and run them without a shell."},
    {.name = "shell", .type = PW_OPTION_STRING, .group = GROUP_COMMAND, .argument = "STRING",
     FIELD(shell), .help = "Run STRING with `/bin/sh -c`; the shell is measured too."},
    {.name = "profile-name", .type = PW_OPTION_STRING, .group = GROUP_RESULT, .argument = "NAME",
     .check = check_profile_name, .profile_key = "name", FIELD(profile_name),
     .help = "Name of this benchmark: begins the run folder's name and groups baselines."},
    {.name = "profile-phase", .type = PW_OPTION_STRING, .group = GROUP_RESULT, .argument = "WORD",
     .initial = "measure", .profile_key = "phase", FIELD(profile_phase),
     .help = "Free word that is kept in the summary."},
    {.name = "concurrency", .letter = 'c', .type = PW_OPTION_UNSIGNED, .group = GROUP_COUNT,
     .argument = "N", .initial = "1", .min = 1, .max = PW_LIMIT_WORKERS,
     .profile_key = "concurrency", FIELD(concurrency),
     .help = "Workers that each iteration starts at once."},
    {.name = "warmup", .letter = 'w', .type = PW_OPTION_UNSIGNED, .group = GROUP_COUNT,
     .argument = "N", .initial = "1", .min = 0, .max = PW_LIMIT_ITERATIONS,
     .profile_key = "warmup", FIELD(warmup), .help = "Iterations before those that are measured."},
    {.name = "iterations", .letter = 'n', .type = PW_OPTION_UNSIGNED, .group = GROUP_COUNT,
     .argument = "N", .initial = "5", .min = 1, .max = PW_LIMIT_ITERATIONS,
     .profile_key = "iterations", FIELD(iterations),
     .help = "Measured iterations. With --until-ci the least number of them."},
    {.name = "top-attach", .type = PW_OPTION_FLAG, .group = GROUP_SAMPLING,
     .profile_key = "top_attach", FIELD(top_attach),
     .help = "Also keep CPU and memory of each worker's tree as a series over time (`top_attach`)."},
    {.name = "top-interval-ms", .type = PW_OPTION_NUMBER, .group = GROUP_SAMPLING,
     .argument = "MS", .initial = "250", .min = 1, .max = interval_ms_max, .unit = "ms",
     .profile_key = "top_interval_ms", FIELD(top_interval_ms),
     .help = "Time between two points of that series."},
    {.name = "vmmap-snapshots", .type = PW_OPTION_FLAG, .group = GROUP_SAMPLING,
     .profile_key = "vmmap_snapshots", FIELD(vmmap_snapshots),
     .help = "Also take the tree's physical footprint at start, middle and end."},
    {.name = "xctrace-capture", .type = PW_OPTION_FLAG, .group = GROUP_OLD,
     .profile_key = "xctrace_capture", FIELD(xctrace_capture),
     .help = "Take a CPU profile.", .no_effect = "no CPU profiler is built in"},
    {.name = "xctrace-time-limit-sec", .type = PW_OPTION_NUMBER, .group = GROUP_OLD,
     .argument = "SEC", .initial = "6", .min = 0, .max = seconds_max, .unit = "s",
     .profile_key = "xctrace_time_limit_sec", FIELD(xctrace_time_limit_sec),
     .help = "Longest CPU profile.", .no_effect = "no CPU profiler is built in"},
    {.name = "xctrace-hotspots-limit", .type = PW_OPTION_UNSIGNED, .group = GROUP_OLD,
     .argument = "N", .initial = "10", .min = 0, .max = 1000000,
     .profile_key = "xctrace_hotspots_limit", FIELD(xctrace_hotspots_limit),
     .help = "Frames listed of a CPU profile.", .no_effect = "no CPU profiler is built in"},
    {.name = "monitor-sleep-ms", .type = PW_OPTION_NUMBER, .group = GROUP_OLD, .argument = "MS",
     .min = 0, .max = interval_ms_max, .unit = "ms", .profile_key = "monitor_sleep_ms",
     FIELD(monitor_sleep_ms), .help = "Pause of the monitor loop.",
     .no_effect = "there is no polling loop, the kernel reports each exit"},
    {.name = "probe-interval-ms", .type = PW_OPTION_NUMBER, .group = GROUP_SAMPLING,
     .argument = "MS", .initial = "20", .min = 1, .max = interval_ms_max, .unit = "ms",
     .profile_key = "probe_interval_ms", FIELD(probe_interval_ms),
     .help = "Longest time between two samples of a worker's tree. The first samples come faster."},
    {.name = "otel-flush-wait-ms", .type = PW_OPTION_NUMBER, .group = GROUP_OLD, .argument = "MS",
     .initial = "50", .min = 0, .max = interval_ms_max, .unit = "ms",
     .profile_key = "otel_flush_wait_ms", FIELD(otel_flush_wait_ms),
     .help = "Wait for late OpenTelemetry data.",
     .no_effect = "no OpenTelemetry collector is built in"},
    {.name = "max-time-sec", .type = PW_OPTION_NUMBER, .group = GROUP_COUNT, .argument = "SEC",
     .min = 0.001, .max = seconds_max, .unit = "s", .profile_key = "max_time_sec",
     FIELD(max_time_sec),
     .help = "Start no further iteration after this time. Without --iterations: instead of a count."},
    {.name = "until-ci", .type = PW_OPTION_NUMBER, .group = GROUP_COUNT, .argument = "PCT",
     .min = 0.01, .max = 100, .unit = "%", .profile_key = "until_ci_pct", FIELD(until_ci_pct),
     .help = "Go on until the 95 % interval of the median latency is at most PCT percent of it to each "
             "side."},
    {.name = "max-iterations", .type = PW_OPTION_UNSIGNED, .group = GROUP_COUNT, .argument = "N",
     .initial = "1000", .min = 1, .max = PW_LIMIT_ITERATIONS, .profile_key = "max_iterations",
     FIELD(max_iterations), .help = "Most iterations with --until-ci."},
    {.name = "timeout-sec", .type = PW_OPTION_NUMBER, .group = GROUP_WORKERS, .argument = "SEC",
     .initial = "300", .min = 0, .max = seconds_max, .unit = "s", .profile_key = "timeout_sec",
     FIELD(timeout_sec),
     .help = "Deadline of a worker: then its whole tree gets TERM and its return code is 124. 0: none."},
    {.name = "kill-grace-ms", .type = PW_OPTION_NUMBER, .group = GROUP_WORKERS, .argument = "MS",
     .initial = "2000", .min = 0, .max = 3600000, .unit = "ms", .profile_key = "kill_grace_ms",
     FIELD(kill_grace_ms), .help = "Time between TERM and KILL."},
    {.name = "output", .type = PW_OPTION_STRING, .group = GROUP_WORKERS,
     .argument = "null|inherit|tail|FILE", .initial = "tail", .profile_key = "output",
     FIELD(output),
     .help = "What becomes of the workers' output: discarded, passed on, its end kept and shown if a "
             "worker fails, or written to FILE (a file of such a name: ./tail)."},
    {.name = "input", .type = PW_OPTION_STRING, .group = GROUP_WORKERS, .argument = "FILE",
     .profile_key = "input", FIELD(input),
     .help = "Standard input of each worker, read from its beginning. Without it: /dev/null."},
    {.name = "keep-orphans", .type = PW_OPTION_FLAG, .group = GROUP_WORKERS,
     .profile_key = "keep_orphans", FIELD(keep_orphans),
     .help = "Leave processes alone that outlive their worker; they are reported, but not ended."},
    {.name = "inherit-fds", .type = PW_OPTION_FLAG, .group = GROUP_WORKERS,
     .profile_key = "inherit_fds", FIELD(inherit_fds),
     .help = "Pass on descriptors over 2 that perfwrap was started with. Without it workers get 0 to 2 "
             "only, so that descriptors of the caller do not count as theirs."},
    {.name = "ignore-failure", .type = PW_OPTION_CODES, .group = GROUP_WORKERS,
     .argument = "CODES", FIELD(ignore_failure),
     .help = "Count these return codes, or all, as success for perfwrap's exit status: "
             "--ignore-failure=1,64-78. The summary is not changed by it."},
    {.name = "setup", .type = PW_OPTION_STRING, .group = GROUP_HOOKS, .argument = "COMMAND",
     .profile_key = "setup", FIELD(setup), .help = "Once, before everything."},
    {.name = "prepare", .type = PW_OPTION_STRING, .group = GROUP_HOOKS, .argument = "COMMAND",
     .profile_key = "prepare", FIELD(prepare), .help = "Before each iteration, warm-up too."},
    {.name = "conclude", .type = PW_OPTION_STRING, .group = GROUP_HOOKS, .argument = "COMMAND",
     .profile_key = "conclude", FIELD(conclude), .help = "After each iteration, warm-up too."},
    {.name = "cleanup", .type = PW_OPTION_STRING, .group = GROUP_HOOKS, .argument = "COMMAND",
     .profile_key = "cleanup", FIELD(cleanup), .help = "Once, after everything."},
    {.name = "probe-budget-pct", .type = PW_OPTION_NUMBER, .group = GROUP_SAMPLING,
     .argument = "PCT", .initial = "1", .min = 0, .max = 100, .unit = "%",
     .profile_key = "probe_budget_pct", FIELD(probe_budget_pct),
     .help = "CPU that sampling may use, in percent of one core; it samples less often to keep to it. "
             "0: no sampling."},
    {.name = "pss", .type = PW_OPTION_FLAG, .group = GROUP_SAMPLING, .profile_key = "pss",
     FIELD(pss),
     .help = "Also sample the proportional set size of the tree: slower, counts shared pages once."},
    {.name = "out-dir", .type = PW_OPTION_STRING, .group = GROUP_RESULT, .argument = "FOLDER",
     .initial = "perf-results", FIELD(out_dir),
     .help = "Where the run folder is made. It holds summary.json, summary.md and a file for each "
             "iteration."},
    {.name = "json", .type = PW_OPTION_FLAG, .group = GROUP_RESULT, FIELD(json),
     .help = "Print the summary on standard output, and nothing else there."},
    {.name = "quiet", .letter = 'q', .type = PW_OPTION_FLAG, .group = GROUP_RESULT, FIELD(quiet),
     .help = "No progress, no table, no warnings: only the result lines and errors."},
    {.name = "no-color", .type = PW_OPTION_FLAG, .group = GROUP_RESULT, FIELD(no_color),
     .help = "No colours on a terminal. The environment variable NO_COLOR does the same."},
    {.name = "help", .letter = 'h', .type = PW_OPTION_FLAG, .group = GROUP_RESULT, FIELD(help),
     .help = "Show this help.", .stops = true},
    {.name = "version", .type = PW_OPTION_FLAG, .group = GROUP_RESULT, FIELD(version),
     .help = "Show the version.", .stops = true},
};

_Static_assert(sizeof options / sizeof *options <= PW_OPTIONS_MAX, "PW_OPTIONS_MAX is too small");

const struct pw_option_set pw_run_option_set = {
    .options = options,
    .count = sizeof options / sizeof *options,
    .groups = groups,
    .group_count = sizeof groups / sizeof *groups,
};
