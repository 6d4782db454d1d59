/* The table of subcommands. */
#include "wrapper/cli/command.h"

#include <string.h>
#include "wrapper/cli/boot_options.h"
#include "wrapper/cli/run_options.h"

const struct pw_command pw_commands[PW_COMMAND_COUNT] = {
    {.name = "run",
     .usage = "[run] [OPTIONS] -- CMD [ARGS]",
     .summary = "measure a command (what perfwrap does without a subcommand)",
     .details = "The last two lines on standard output name the result: summary_json=PATH and "
                "summary_md=PATH. On a terminal a short table stands before them; otherwise it "
                "goes to standard error. Each worker gets PERFWRAP_ITERATION, PERFWRAP_WORKER_ID, "
                "PERFWRAP_RUN_DIR and PERFWRAP_WORKER_DIR, a private folder.",
     .options = &pw_run_option_set,
     .run = pw_cmd_run},
    {.name = "check",
     .usage = "check [OPTIONS] SUMMARY...",
     .summary = "check summaries against bounds: the gate of a CI job",
     .details =
         "Prints PASS or FAIL for each bound and exits with 0 if all are kept, 1 if one is not. A "
         "number that is missing fails. A bound is a flag, an expression (--bound), or a line of a "
         "profile. Beside a profile, bounds on the command line take the place of its bounds on "
         "the same numbers; failed runs are bounded in any case. Bad input, and bounds that cannot "
         "all hold, exit with 2 before anything is checked.",
     .options = &pw_check_option_set,
     .run = pw_cmd_check},
    {.name = "index",
     .usage = "index [OPTIONS] PATH...",
     .summary = "make a baseline index of many summaries, and find what got worse",
     .details =
         "PATH is a summary, a folder (its summary.json, or all below it) or a glob; each file "
         "counts once. Runs are grouped by profile name and sorted by time; in each group the last "
         "run is judged, metric by metric, against all of the window and against those before it, "
         "and changes of level name the first run that had them. A file that is broken or no "
         "summary is named on standard error and in `skipped`.",
     .options = &pw_index_option_set,
     .run = pw_cmd_index},
    {.name = "suggest",
     .usage = "suggest [OPTIONS] INDEX|SUMMARY|FOLDER...",
     .summary = "say what to look at first, and why",
     .details =
         "From a baseline index (see index): what got worse, and what to do about it, and what the "
         "newest summary of each profile says. From a summary or a run folder: where the time went, "
         "what grows, what failed and why, and what makes the numbers doubtful. Each suggestion cites "
         "its numbers and the next command to run; --rules lists all rules with their thresholds. "
         "Suggestions are no gate: the exit status is 0 unless --fail-on says otherwise.",
     .options = &pw_suggest_option_set,
     .run = pw_cmd_suggest},
    {.name = "compare",
     .usage = "compare [OPTIONS] A B",
     .summary = "compare two sets of runs: what changed, and how sure that is",
     .details =
         "A and B are each a summary, a run folder, a folder of runs or a glob; with --a and --b "
         "several. For each metric that both have: the shift from A to B with its interval, the "
         "chance that there is none, and a verdict. \"same\" means that the whole interval lies "
         "within the floor, \"unsure\" that more runs are needed. Runs made at different times "
         "also differ in what the machine was doing: perfwrap ab measures both sides in turn.",
     .options = &pw_compare_option_set,
     .run = pw_cmd_compare},
    {.name = "ab",
     .usage = "ab --a COMMAND --b COMMAND [OPTIONS] [OPTIONS of run]",
     .summary = "measure two commands in turn, and compare them",
     .details =
         "Runs A B B A A B B A and so on, so that a drift of the machine falls on both alike, after "
         "a warm-up of both, and writes a run folder for each. The last lines on standard output "
         "are summary_json_a=PATH, summary_json_b=PATH and comparison_json=PATH; the comparison "
         "stands before them. All options of run are taken too, for both sides, but those that "
         "name a command, judge bounds or print the summary; --iterations is 20 if it is not given. "
         "Interrupted, it compares what there is.",
     .options = &pw_ab_option_set,
     .run = pw_cmd_ab},
    {.name = "log",
     .usage = "log [--file=PATH] [--note=TEXT] SUMMARY|FOLDER...",
     .summary = "keep a tracking table of runs in a Markdown file",
     .details =
         "Puts one row for each run into the table, in order of their dates, or replaces the row of "
         "that run folder. The table stands between two HTML comments; what is around it stays as it "
         "is, byte for byte. A table with other columns, or cut off, is refused with its line. The "
         "file's folder is locked meanwhile, so calls at once lose no row.",
     .options = &pw_log_option_set,
     .run = pw_cmd_log},
    {.name = "show",
     .usage = "show [OPTIONS] SUMMARY",
     .summary = "render a stored summary again",
     .details = "SUMMARY is a summary.json of perfwrap or of the harness that it replaces, or a "
                "run folder with one.",
     .options = &pw_show_option_set,
     .run = pw_cmd_show},
    {.name = "collect",
     .usage = "collect [OPTIONS]",
     .summary = "receive OpenTelemetry data, without measuring anything",
     .details =
         "Listens for OTLP/HTTP (metrics, traces, logs; JSON or protobuf; gzip or plain) and "
         "names each request on standard error. At the end it prints what came: metrics by "
         "name, actions, spans, and what was refused. Point a program at it with "
         "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 and "
         "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf.",
     .options = &pw_collect_option_set,
     .run = pw_cmd_collect},
    {.name = "boot",
     .usage = "boot [OPTIONS] [OPTIONS of run]",
     .summary = "measure how long virtual machines take to boot, phase by phase",
     .details =
         "Boots machines, each with a command of its own, and measures from before the monitor's spawn "
         "to the command's result; making images and ending machines is reported apart. A machine is "
         "one more kind of worker: all options of run are taken but those that name a command on this "
         "host. The phases are vmm_start, kernel, modules (or, from a snapshot, restore), network, "
         "rootfs and exec. Each boot has a verdict: ok, guest_command_failed, guest_fault, "
         "guest_panic, monitor_error, monitor_crashed or timeout. The exit status is 0 only if every "
         "boot is ok.",
     .options = &pw_boot_option_set,
     .speaks_ax = true,
     .run = pw_cmd_boot},
    {.name = "footprint",
     .usage = "footprint [OPTIONS] PID|--match=REGEX",
     .summary = "report the memory of a running process and all below it",
     .details =
         "RSS, PSS, USS, anonymous, file and shared memory, swap, huge pages, descriptors, threads "
         "and CPU time, in all and for each process. Nothing is started, stopped or changed. What "
         "the kernel refuses to tell of another user's process is named as such, never 0. PSS "
         "divides a shared page among those that share it, so it can be summed; RSS counts it each "
         "time.",
     .options = &pw_footprint_option_set,
     .speaks_ax = true,
     .run = pw_cmd_footprint},
    {.name = "steady",
     .usage = "steady [OPTIONS] PID|--match=REGEX",
     .summary = "sample the memory and CPU of a running process tree over time",
     .details =
         "Takes what footprint reports at fixed times, also at the very start, and says for each "
         "series its range and whether it rises or falls: the Theil-Sen slope per minute with its "
         "95 % interval. If the process ends before its time, or on SIGINT, what was measured is "
         "printed, and the exit status is 1, or 128 and the signal's number.",
     .options = &pw_steady_option_set,
     .speaks_ax = true,
     .run = pw_cmd_steady},
    {.name = "doctor",
     .usage = "doctor [OPTIONS]",
     .summary = "say what this machine lets perfwrap see, and how to let it see more",
     .details =
         "Tries each power for real and leaves nothing behind: eBPF, perf events, cgroups, KVM, "
         "/proc, and how quiet the machine is. ok; limited; denied: the kernel has it, this "
         "user may not; absent. Nothing in the list is required.",
     .options = &pw_doctor_option_set,
     .speaks_ax = true,
     .run = pw_cmd_doctor},
    {.name = "metrics",
     .usage = "metrics [--format=FORMAT]",
     .summary = "list every number that perfwrap reports",
     .details = "Prints the metric table, or the JSON Schemas that are made from it.",
     .options = &pw_metrics_option_set,
     .run = pw_cmd_metrics},
    {.name = "help",
     .usage = "help [--format=FORMAT] [SUBCOMMAND]",
     .summary = "show help, or the manual page",
     .details = "Without SUBCOMMAND: general help, with all options of run.",
     .options = &pw_help_option_set,
     .run = pw_cmd_help},
};

const struct pw_command *pw_command_find(const char *name)
{
    for (size_t i = 0; i < PW_COMMAND_COUNT; i++) {
        if (strcmp(pw_commands[i].name, name) == 0) {
            return &pw_commands[i];
        }
    }
    return NULL;
}

const char *pw_command_nearest(const char *name)
{
    const char *names[PW_COMMAND_COUNT + 1] = {NULL};
    for (size_t i = 0; i < PW_COMMAND_COUNT; i++) {
        names[i] = pw_commands[i].name;
    }
    return pw_nearest_name(name, names);
}
