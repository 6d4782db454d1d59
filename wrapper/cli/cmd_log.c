#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include "core/summary.h"
#include "sla/inputs.h"
#include "sla/track.h"
#include "wrapper/cli/command.h"

/* `perfwrap log`: the tracking table of a repository. */

struct log_options {
    const char *file, *note;
    bool help;
};

static int check_note(const char *text, struct pw_err *err)
{
    (void)text; /* an empty one takes a note away */
    (void)err;
    return 0;
}

static const char *const groups[] = {"Options"};
static const struct pw_option options[] = {
    {.name = "file",
     .type = PW_OPTION_STRING,
     .argument = "PATH",
     .initial = "BASELINE_COMPARISON.md",
     .offset = offsetof(struct log_options, file),
     .help = "The file with the table; it is made if it is not there."},
    {.name = "note",
     .type = PW_OPTION_STRING,
     .argument = "TEXT",
     .check = check_note,
     .offset = offsetof(struct log_options, note),
     .help = "For the last column of these rows. Without it, a row keeps the note that it has."},
    PW_OPTION_HELP(log_options),
};
const struct pw_option_set pw_log_option_set = {.options = options,
                                                .count = sizeof options / sizeof *options,
                                                .groups = groups,
                                                .group_count = 1,
                                                .operands = PW_OPERANDS_ANY};

static int add_one(struct pw_track_file *file, const char *path, const char *note,
                   struct pw_str *report, struct pw_err *err)
{
    enum pw_track_change change;
    struct pw_summary *summary = pw_summary_load(path, err);
    if (!summary) {
        return -1;
    }
    int result = pw_track_add(file, summary, path, note, &change, err);
    pw_summary_free(summary);
    if (result == 0) {
        pw_str_addf(report, "%s: %s\n", pw_track_change_name(change), path);
    }
    return result;
}

/* All rows, or, if one summary cannot be read, none. */
static int keep_log(const struct log_options *given, const struct pw_inputs *inputs,
                    struct pw_str *report, struct pw_err *err)
{
    struct pw_track_file *file = pw_track_open(given->file, err);
    if (!file) {
        return -1;
    }
    int result = 0;
    bool written = false;
    for (size_t i = 0; result == 0 && i < inputs->count; i++) {
        result = add_one(file, inputs->paths[i], given->note, report, err);
    }
    if (result == 0) {
        result = pw_track_save(file, &written, err);
    }
    pw_track_close(file);
    pw_str_addf(report, "%s %s\n", written ? "wrote" : "left as it is:", given->file);
    return result;
}

int pw_cmd_log(const struct pw_command *command, int argc, char *const *argv)
{
    struct log_options given;
    PW_PARSED_AUTO parsed = {0};
    struct pw_err err = PW_ERR_INIT;
    struct pw_inputs inputs = {0};
    PW_STR_AUTO report = PW_STR_INIT;
    int status;
    if (!pw_command_begin(command, argc, argv, &given, &parsed, &status)) {
        return status;
    }
    if (parsed.operand_count == 0) {
        pw_err_set(&err, PW_ERR_USAGE, "no summary given");
        pw_err_remedy(&err, "usage: perfwrap %s", command->usage);
        return pw_cli_fail(&err);
    }
    if (pw_inputs_expand(parsed.operands, parsed.operand_count, &inputs, &err) != 0) {
        return pw_cli_fail(&err);
    }
    int result = keep_log(&given, &inputs, &report, &err);
    pw_inputs_done(&inputs);
    return result == 0 ? pw_cli_print(&report) : pw_cli_fail(&err);
}
