#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include "core/file.h"
#include "sla/inputs.h"
#include "wrapper/cli/command.h"
#include "wrapper/cli/help.h"
#include "wrapper/cli/sla_options.h"

struct check_options {
    struct pw_option_list summaries;
    const char *label, *profile, *of_profile[PW_MATRIX_PROFILE_COUNT];
    bool extra;
    struct pw_sla_options sla;
    const char *format, *out, *print_profile;
    bool help;
};

#define FORMAT_NAMES "text|json|markdown|junit|github"

static int check_format(const char *text, struct pw_err *err)
{
    return pw_check_format_find(text)
               ? 0
               : pw_err_set(err, PW_ERR_USAGE, "`%s` is none of %s", text, FORMAT_NAMES);
}

enum { GROUP_WHAT, GROUP_PROFILE, GROUP_OWN, GROUP_FLAGS, GROUP_REPORT };
static const char *const groups[] = {
    [GROUP_WHAT] = "What to check",
    [GROUP_PROFILE] = "Profiles",
    [GROUP_OWN] = "Bounds of your own, and how to decide",
    [GROUP_FLAGS] = "Bounds by name",
    [GROUP_REPORT] = "The report",
};

#define FIELD(field) .offset = offsetof(struct check_options, field)
#define OF_PROFILE(at, profile_name)                                                       \
    {                                                                                      \
        .name = profile_name "-summary", .type = PW_OPTION_STRING, .group = GROUP_PROFILE, \
        .argument = "SUMMARY", FIELD(of_profile[at]),                                      \
        .help = "With --profile all: what is checked with " profile_name "."               \
    }

static const struct pw_option options[] = {
    {.name = "summary",
     .letter = 's',
     .type = PW_OPTION_LIST,
     .group = GROUP_WHAT,
     .argument = "PATH",
     FIELD(summaries),
     .help = "A summary.json, a run folder, a folder of run folders, or a glob (** for any depth). "
             "Words without --summary are the same."},
    {.name = "label",
     .type = PW_OPTION_STRING,
     .group = GROUP_WHAT,
     .argument = "TEXT",
     FIELD(label),
     .help = "What the report calls the summary. Without it: the profile's name, else perf."},
    {.name = "profile",
     .letter = 'p',
     .type = PW_OPTION_STRING,
     .group = GROUP_PROFILE,
     .argument = "NAME|FILE|all",
     FIELD(profile),
     .help =
         "Bounds of cold, throughput, exec, streaming, boot or boot-tcg, or of a profile file. all: "
         "each of the first four, with a summary for each, and a table of the verdicts at the end."},
    OF_PROFILE(0, "cold"),
    OF_PROFILE(1, "throughput"),
    OF_PROFILE(2, "exec"),
    OF_PROFILE(3, "streaming"),
    {.name = "extra",
     .type = PW_OPTION_FLAG,
     .group = GROUP_PROFILE,
     FIELD(extra),
     .help = "May stand before bounds that take the place of the profile's; they do so without it, "
             "too."},
    {.name = "print-profile",
     .type = PW_OPTION_STRING,
     .group = GROUP_PROFILE,
     .argument = "NAME",
     FIELD(print_profile),
     .help = "Print a profile that perfwrap carries, as a file to start from."},
    PW_SLA_DECIDE_OPTIONS(check_options, GROUP_OWN),
    PW_SLA_LIMIT_OPTIONS(check_options, GROUP_FLAGS),
    {.name = "format",
     .letter = 'f',
     .type = PW_OPTION_STRING,
     .group = GROUP_REPORT,
     .argument = FORMAT_NAMES,
     .initial = "text",
     .check = check_format,
     FIELD(format),
     .help = "github: annotations for GitHub Actions behind the text, and a table appended to the "
             "file that GITHUB_STEP_SUMMARY names."},
    {.name = "out",
     .letter = 'o',
     .type = PW_OPTION_STRING,
     .group = GROUP_REPORT,
     .argument = "FILE",
     FIELD(out),
     .help = "Write the report to FILE, and the text to standard output."},
    PW_OPTION_HELP(check_options),
};
const struct pw_option_set pw_check_option_set = {.options = options,
                                                  .count = sizeof options / sizeof *options,
                                                  .groups = groups,
                                                  .group_count = sizeof groups / sizeof *groups,
                                                  .operands = PW_OPERANDS_ANY};

/* The reports of this call; they borrow from the gates. */
struct check_run {
    struct pw_sla_gate gates[PW_MATRIX_PROFILE_COUNT];
    struct pw_check_report *items;
    size_t count;
    bool matrix;
};

static void check_run_done(struct check_run *run)
{
    for (size_t i = 0; i < run->count; i++) {
        pw_check_report_done(&run->items[i]);
    }
    free(run->items);
    for (size_t i = 0; i < PW_MATRIX_PROFILE_COUNT; i++) {
        pw_sla_gate_done(&run->gates[i]);
    }
}

static int make_room(struct check_run *run, size_t count, struct pw_err *err)
{
    run->items = calloc(count, sizeof(*run->items));
    return run->items ? 0 : pw_err_memory(err);
}

static int check_one(struct check_run *run, const struct pw_sla_gate *gate, const char *path,
                     const char *label, struct pw_err *err)
{
    struct pw_summary *summary = pw_inputs_load_summary(path, err);
    if (!summary) {
        return -1;
    }
    int failed = pw_sla_gate_check(gate, summary, path, label, &run->items[run->count], err);
    pw_summary_free(summary);
    run->count += failed ? 0 : 1;
    return failed;
}

/* ---------------------------------------------------------------- --profile all */

static int refuse_alone(const char *what, struct pw_err *err)
{
    pw_err_set(err, PW_ERR_USAGE, "%s cannot stand beside --profile all", what);
    return pw_err_remedy(err, "Give a summary for each profile: --cold-summary PATH and so on.");
}

static int check_all(const struct check_options *given, const struct pw_parsed *parsed,
                     struct check_run *run, struct pw_err *err)
{
    if (given->summaries.count > 0 || parsed->operand_count > 0) {
        return refuse_alone(given->summaries.count > 0 ? "--summary" : "a summary", err);
    }
    if (given->label) {
        return refuse_alone("--label", err);
    }
    for (size_t i = 0; i < PW_MATRIX_PROFILE_COUNT; i++) {
        const char *name = pw_named_profiles[i].name;
        if (!given->of_profile[i]) {
            return pw_err_set(err, PW_ERR_USAGE, "--profile all needs --%s-summary PATH", name);
        }
        if (pw_sla_gate_make(&given->sla, name, &run->gates[i], err) != 0) {
            return -1;
        }
    }
    if (make_room(run, PW_MATRIX_PROFILE_COUNT, err) != 0) {
        return -1;
    }
    run->matrix = true;
    for (size_t i = 0; i < PW_MATRIX_PROFILE_COUNT; i++) {
        PW_FREE_AUTO char *path = NULL;
        PW_STR_AUTO option = PW_STR_INIT;
        pw_str_addf(&option, "--%s-summary", pw_named_profiles[i].name);
        if (pw_inputs_expand_one(given->of_profile[i], option.text, &path, err) != 0 ||
            check_one(run, &run->gates[i], path, NULL, err) != 0) {
            return -1;
        }
    }
    return 0;
}

/* ---------------------------------------------------------------- one profile, or none */

static int expand(const struct check_options *given, const struct pw_parsed *parsed,
                  struct pw_inputs *ret_inputs, struct pw_err *err)
{
    size_t named = given->summaries.count, count = named + parsed->operand_count;
    if (count == 0) {
        pw_err_set(err, PW_ERR_USAGE, "no summary given");
        return pw_err_remedy(err, "Give the summary.json of a run, or its folder.");
    }
    const char **words = calloc(count, sizeof(*words));
    if (!words) {
        return pw_err_memory(err);
    }
    for (size_t i = 0; i < count; i++) {
        words[i] = i < named ? given->summaries.items[i] : parsed->operands[i - named];
    }
    int failed = pw_inputs_expand(words, count, ret_inputs, err);
    free(words);
    return failed;
}

static int check_some(const struct check_options *given, const struct pw_parsed *parsed,
                      struct check_run *run, struct pw_err *err)
{
    struct pw_inputs inputs = {0};
    for (size_t i = 0; i < PW_MATRIX_PROFILE_COUNT; i++) {
        if (given->of_profile[i]) {
            pw_err_set(err, PW_ERR_USAGE, "--%s-summary is for --profile all",
                       pw_named_profiles[i].name);
            return pw_err_remedy(err, "Name the summary with --summary.");
        }
    }
    if (pw_sla_gate_make(&given->sla, given->profile, &run->gates[0], err) != 0 ||
        expand(given, parsed, &inputs, err) != 0) {
        return -1;
    }
    int failed = make_room(run, inputs.count, err);
    for (size_t i = 0; i < inputs.count && !failed; i++) {
        failed = check_one(run, &run->gates[0], inputs.paths[i], given->label, err);
    }
    pw_inputs_done(&inputs);
    return failed;
}

/* ---------------------------------------------------------------- output */

static int append_step_summary(const struct pw_check_reports *reports, struct pw_err *err)
{
    const char *path = getenv("GITHUB_STEP_SUMMARY");
    PW_STR_AUTO text = PW_STR_INIT;
    if (!path || !*path) {
        return 0;
    }
    if (pw_check_format_find("markdown")->render(reports, &text, err) != 0) {
        return -1;
    }
    pw_str_add_char(&text, '\n'); /* what the next step appends begins a block of its own */
    PW_FD_AUTO fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0 || text.failed || pw_fd_write_all(fd, text.text, text.length) != 0) {
        return pw_err_system(err, text.failed ? ENOMEM : errno, "append to `%s`", path);
    }
    return 0;
}

static int write_report(const struct check_options *given, const struct pw_check_reports *reports,
                        struct pw_err *err)
{
    PW_STR_AUTO report = PW_STR_INIT;
    PW_STR_AUTO text = PW_STR_INIT;
    if (pw_check_format_find(given->format)->render(reports, &report, err) != 0) {
        return pw_cli_fail(err);
    }
    if (given->out) {
        if (pw_check_format_find("text")->render(reports, &text, err) != 0 ||
            pw_file_write(given->out, report.text, report.length, 0666, err) != 0) {
            return pw_cli_fail(err);
        }
    }
    int status = pw_cli_print(given->out ? &text : &report);
    if (status == PW_EXIT_OK && strcmp(given->format, "github") == 0 &&
        append_step_summary(reports, err) != 0) {
        status = pw_cli_fail(err);
    }
    return status;
}

static int print_profile(const char *name)
{
    struct pw_err err = PW_ERR_INIT;
    PW_STR_AUTO text = PW_STR_INIT;
    const struct pw_named_profile *profile = pw_named_profile_find(name);
    if (!profile) {
        pw_err_set(&err, PW_ERR_USAGE, "no profile `%s` to print", name);
        pw_err_remedy(&err,
                      "perfwrap carries cold, throughput, exec, streaming, boot and boot-tcg");
        return pw_cli_fail(&err);
    }
    pw_str_add_bytes(&text, profile->text, profile->size);
    return pw_cli_print(&text);
}

int pw_cmd_check(const struct pw_command *command, int argc, char *const *argv)
{
    struct check_options given;
    PW_PARSED_AUTO parsed = {0};
    struct pw_err err = PW_ERR_INIT;
    struct check_run run = {0};
    int status;
    if (!pw_command_begin(command, argc, argv, &given, &parsed, &status)) {
        return status;
    }
    if (given.print_profile) {
        return print_profile(given.print_profile);
    }
    bool all = given.profile && strcmp(given.profile, "all") == 0;
    if ((all ? check_all : check_some)(&given, &parsed, &run, &err) != 0) {
        status = pw_cli_fail(&err);
    } else {
        struct pw_check_reports reports = {run.items, run.count, run.matrix,
                                           run.gates[0].tell_apart};
        status = write_report(&given, &reports, &err);
        if (status == PW_EXIT_OK) {
            status = pw_check_exit_status(
                pw_check_verdict_of_all(run.items, run.count, reports.tell_apart),
                reports.tell_apart);
        }
    }
    check_run_done(&run);
    return status;
}
