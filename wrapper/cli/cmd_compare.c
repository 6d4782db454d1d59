#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/file.h"
#include "sla/inputs.h"
#include "wrapper/cli/command.h"
#include "wrapper/cli/compare_options.h"
#include "wrapper/cli/help.h"

struct compare_options {
    struct pw_compare_choices choices;
    struct pw_option_list a, b;
    bool help;
};

static const char *const groups[] = {"Options"};
static const struct pw_option options[] = {
    {.name = "a",
     .type = PW_OPTION_LIST,
     .argument = "PATH",
     .offset = offsetof(struct compare_options, a),
     .help = "Side A, instead of the first word: a summary, a folder of runs, or a glob."},
    {.name = "b",
     .type = PW_OPTION_LIST,
     .argument = "PATH",
     .offset = offsetof(struct compare_options, b),
     .help = "Side B, instead of the second word."},
    PW_COMPARE_OPTION_ROWS(offsetof(struct compare_options, choices), 0),
    {.name = "across",
     .type = PW_OPTION_FLAG,
     .offset = offsetof(struct compare_options, choices.across),
     .help = "Compare boots of machines although accelerator, guest kernel, monitor, way to start, "
             "or the host's huge pages, page merging or cache differ; the differences become "
             "warnings. Without it such sides are refused."},
    {.name = "no-color",
     .type = PW_OPTION_FLAG,
     .offset = offsetof(struct compare_options, choices.no_color),
     .help = "No colours on a terminal."},
    PW_OPTION_HELP(compare_options),
};
const struct pw_option_set pw_compare_option_set = {.options = options,
                                                    .count = sizeof options / sizeof *options,
                                                    .groups = groups,
                                                    .group_count = 1,
                                                    .operands = 2};

/* The summaries of one side. */
struct side {
    char *name;
    struct pw_summary **summaries;
    size_t count;
};

static void side_done(struct side *side)
{
    for (size_t i = 0; i < side->count; i++) {
        pw_summary_free(side->summaries[i]);
    }
    free(side->summaries);
    free(side->name);
}
#define SIDE_AUTO __attribute__((cleanup(side_done))) struct side

static int load(const char *const *words, size_t count, struct side *side, struct pw_err *err)
{
    __attribute__((cleanup(pw_inputs_done))) struct pw_inputs inputs = {0};
    if (pw_inputs_expand(words, count, &inputs, err) != 0) {
        return -1;
    }
    int length = count == 1 ? asprintf(&side->name, "%s", words[0])
                            : asprintf(&side->name, "%s and %zu more", words[0], count - 1);
    side->summaries = calloc(inputs.count, sizeof(struct pw_summary *));
    if (length < 0 || !side->summaries) {
        side->name = length < 0 ? NULL : side->name;
        return pw_err_memory(err);
    }
    for (; side->count < inputs.count; side->count++) {
        side->summaries[side->count] = pw_inputs_load_summary(inputs.paths[side->count], err);
        if (!side->summaries[side->count]) {
            return -1;
        }
    }
    return 0;
}

static int load_sides(const struct compare_options *given, const struct pw_parsed *parsed,
                      struct side *a, struct side *b, struct pw_err *err)
{
    bool by_option = given->a.count > 0 && given->b.count > 0 && parsed->operand_count == 0;
    bool by_word = given->a.count == 0 && given->b.count == 0 && parsed->operand_count == 2;
    if (!by_option && !by_word) {
        pw_err_set(err, PW_ERR_USAGE, "two sides are needed");
        return pw_err_remedy(err, "perfwrap compare A B, or --a PATH ... --b PATH ...");
    }
    if (by_word) {
        return load(parsed->operands, 1, a, err) != 0 || load(parsed->operands + 1, 1, b, err) != 0
                   ? -1
                   : 0;
    }
    return load(given->a.items, given->a.count, a, err) != 0 ||
                   load(given->b.items, given->b.count, b, err) != 0
               ? -1
               : 0;
}

static int compare(const struct compare_options *given, const struct pw_parsed *parsed,
                   struct pw_comparison *ret_comparison, struct pw_err *err)
{
    SIDE_AUTO a = {0};
    SIDE_AUTO b = {0};
    if (load_sides(given, parsed, &a, &b, err) != 0) {
        return -1;
    }
    return pw_compare_run(a.name, (const struct pw_summary *const *)a.summaries, a.count, b.name,
                          (const struct pw_summary *const *)b.summaries, b.count,
                          pw_compare_options_of(&given->choices), ret_comparison, err);
}

int pw_cmd_compare(const struct pw_command *command, int argc, char *const *argv)
{
    struct compare_options given;
    PW_PARSED_AUTO parsed = {0};
    struct pw_err err = PW_ERR_INIT;
    PW_STR_AUTO text = PW_STR_INIT;
    struct pw_comparison comparison;
    int status;
    if (!pw_command_begin(command, argc, argv, &given, &parsed, &status)) {
        return status;
    }
    if (compare(&given, &parsed, &comparison, &err) != 0) {
        return pw_cli_fail(&err);
    }
    if (pw_compare_render(&comparison, &given.choices, &text, &err) != 0) {
        status = pw_cli_fail(&err);
    } else {
        status = pw_cli_print(&text);
    }
    int gate = pw_compare_gate(&comparison, &given.choices);
    pw_comparison_done(&comparison);
    return status != PW_EXIT_OK ? status : gate;
}
