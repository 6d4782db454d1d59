#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/file.h"
#include "core/json.h"
#include "wrapper/cli/command.h"
#include "wrapper/cli/compare_options.h"
#include "wrapper/cli/help.h"
#include "wrapper/cli/result.h"
#include "wrapper/cli/run_options.h"
#include "wrapper/cli/watch.h"
#include "wrapper/run/session.h"
#include "wrapper/run/signals.h"

/* `run` comes first: its option table fills it. */
struct ab_options {
    struct pw_run_options run;
    struct pw_compare_choices choices;
    const char *a, *b;
    bool shell;
    bool help;
};
_Static_assert(offsetof(struct ab_options, run) == 0, "the options of run are filled in place");

enum { GROUP_SIDES, GROUP_COMPARISON };
static const char *const groups[] = {[GROUP_SIDES] = "Sides", [GROUP_COMPARISON] = "Comparison"};
static const struct pw_option options[] = {
    {.name = "a",
     .type = PW_OPTION_STRING,
     .group = GROUP_SIDES,
     .argument = "COMMAND",
     .offset = offsetof(struct ab_options, a),
     .help = "What B is compared with. Split into words as a shell would, and run without one."},
    {.name = "b",
     .type = PW_OPTION_STRING,
     .group = GROUP_SIDES,
     .argument = "COMMAND",
     .offset = offsetof(struct ab_options, b),
     .help = "The other one."},
    {.name = "shell",
     .type = PW_OPTION_FLAG,
     .group = GROUP_SIDES,
     .offset = offsetof(struct ab_options, shell),
     .help = "Run both with `/bin/sh -c`; the shell is measured too."},
    PW_COMPARE_OPTION_ROWS(offsetof(struct ab_options, choices), GROUP_COMPARISON),
    {.name = "help",
     .letter = 'h',
     .type = PW_OPTION_FLAG,
     .group = GROUP_COMPARISON,
     .stops = true,
     .offset = offsetof(struct ab_options, help),
     .help = "Show this help."},
};
const struct pw_option_set pw_ab_option_set = {.options = options,
                                               .count = sizeof options / sizeof *options,
                                               .groups = groups,
                                               .group_count = sizeof groups / sizeof *groups,
                                               .also = &pw_run_option_set};

enum { SIDES = 2, DEFAULT_ITERATIONS = 20 };
static const char *const side_names[SIDES] = {"A", "B"};

struct side {
    struct pw_run_options options; /* the plan borrows from it */
    char *profile_name;
    struct pw_owned_plan plan;
    struct pw_result result;
    struct pw_watch watch;
    struct pw_session_events events;
    struct pw_session *session; /* NULL: not open */
    struct pw_err err;          /* if `failed` */
    bool failed;
};

struct call {
    struct ab_options options;
    struct pw_parsed parsed;
    struct side sides[SIDES];
};

/* Options of run that say what ab itself decides. */
static int refuse(const struct call *call, struct pw_err *err)
{
    static const struct pw_refused_option refused[] = {
        {"cmd", "name the commands with --a and --b"},
        {"json", "give --format json"},
        {"sla", "judge a summary of ab with perfwrap check"},
        {"bound", "judge a summary of ab with perfwrap check"},
        {"decide", "judge a summary of ab with perfwrap check"},
        {"baseline", "judge a summary of ab with perfwrap check"},
        {"tell-apart", "judge a summary of ab with perfwrap check"},
        {"extend-to", "say with --iterations how many are measured"},
        {"version", "perfwrap --version"},
    };
    if (pw_run_refuse(&call->parsed, refused, sizeof refused / sizeof *refused, "ab", err) != 0) {
        return -1;
    }
    if (!call->options.a || !call->options.b) {
        pw_err_set(err, PW_ERR_USAGE, "two commands are needed");
        return pw_err_remedy(err, "perfwrap ab --a 'COMMAND' --b 'COMMAND'");
    }
    return 0;
}

static int make_plan(struct call *call, size_t index, struct pw_err *err)
{
    struct side *side = &call->sides[index];
    const char *command = index == 0 ? call->options.a : call->options.b;
    const char *name = call->options.run.profile_name;
    side->options = call->options.run;
    if (call->options.shell) {
        side->options.shell = command;
    } else {
        side->options.cmd = command;
    }
    if (!pw_run_is_given(&call->parsed, "iterations")) {
        side->options.iterations = DEFAULT_ITERATIONS;
    }
    if (asprintf(&side->profile_name, "%s-%c", name ? name : "ab", "ab"[index]) < 0) {
        side->profile_name = NULL;
        return pw_err_memory(err);
    }
    side->options.profile_name = side->profile_name;
    if (pw_plan_make(&side->options, &call->parsed, NULL, &side->plan, err) != 0) {
        return pw_err_prefix(err, "side %s", side_names[index]);
    }
    return 0;
}

/* What holds for both is told once. */
static int describe(struct call *call, size_t index, struct pw_err *err)
{
    struct side *side = &call->sides[index];
    bool quiet = call->options.run.quiet || index > 0;
    if (pw_result_note_call(&side->result, &side->options, &call->parsed, &side->plan, quiet,
                            err) != 0) {
        return -1;
    }
    return pw_result_describe(&side->result, &side->plan, err);
}

static int fail_side(struct side *side, const struct pw_err *err)
{
    side->err = *err;
    side->failed = true;
    return -1;
}

static int open_sides(struct call *call)
{
    for (size_t i = 0; i < SIDES; i++) {
        struct side *side = &call->sides[i];
        struct pw_err err = PW_ERR_INIT;
        pw_watch_init(&side->watch, &side->plan.plan, call->options.run.quiet);
        pw_watch_set_name(&side->watch, side_names[i]);
        side->events = pw_watch_events(&side->watch);
        if (pw_session_open(&side->plan.plan, &side->events, &side->result.run, &side->session,
                            &err) != 0) {
            side->session = NULL;
            return fail_side(side, &err);
        }
    }
    return 0;
}

/* A signal comes to one of the sessions; both are to know. */
static bool is_interrupted(struct call *call)
{
    struct pw_session *a = call->sides[0].session, *b = call->sides[1].session;
    if (pw_session_interrupted_by(a) != 0) {
        pw_session_follow(b, a);
    } else if (pw_session_interrupted_by(b) != 0) {
        pw_session_follow(a, b);
    }
    return pw_session_interrupted_by(a) != 0;
}

static int ask_enough(struct call *call, bool *ret_enough)
{
    *ret_enough = true;
    for (size_t i = 0; i < SIDES; i++) {
        struct pw_err err = PW_ERR_INIT;
        bool enough = false;
        if (pw_session_is_enough(call->sides[i].session, &enough, &err) != 0) {
            return fail_side(&call->sides[i], &err);
        }
        *ret_enough = *ret_enough && enough;
    }
    return 0;
}

/* A B B A A B B A …: each side has as many neighbours before and after the other, so that a drift
 * of the machine (heat, a cache that fills) falls on both alike, and so does whatever one run
 * leaves behind for the next. */
static int measure_pairs(struct call *call)
{
    for (size_t pair = 0; !is_interrupted(call); pair++) {
        bool enough = false, kept;
        if (ask_enough(call, &enough) != 0) {
            return -1;
        }
        if (enough) {
            return 0;
        }
        for (size_t turn = 0; turn < SIDES && !is_interrupted(call); turn++) {
            struct side *side = &call->sides[(pair + turn) % SIDES];
            struct pw_err err = PW_ERR_INIT;
            if (pw_session_step(side->session, &kept, &err) != 0) {
                return fail_side(side, &err);
            }
        }
    }
    return 0;
}

static int measure(struct call *call)
{
    if (open_sides(call) != 0) {
        return -1;
    }
    for (size_t i = 0; i < SIDES && !is_interrupted(call); i++) {
        struct pw_err err = PW_ERR_INIT;
        if (pw_session_start(call->sides[i].session, &err) != 0) {
            return fail_side(&call->sides[i], &err);
        }
    }
    return measure_pairs(call);
}

/* A session that stops because the other side failed says so. */
static void tell_other_side(struct call *call)
{
    for (size_t i = 0; i < SIDES; i++) {
        const struct side *failed = &call->sides[i];
        struct side *other = &call->sides[1 - i];
        if (failed->failed && !other->failed && other->session) {
            pw_session_stop(other->session, PW_STOP_ERROR, "side %s failed: %s", side_names[i],
                            failed->err.message);
        }
    }
}

static int status_of(const struct call *call, size_t index)
{
    const struct side *side = &call->sides[index];
    const struct pw_run_record *run = &side->result.run;
    if (index > 0 && run->interrupted_by && call->sides[0].result.run.interrupted_by) {
        return PW_EXIT_SIGNAL + run->interrupted_by; /* is told already */
    }
    return pw_result_status(&side->result, &side->plan.plan, side->failed ? -1 : 0, &side->err);
}

/* Ends what was opened and writes what was measured. The exit status of the worse side. */
static int finish(struct call *call)
{
    int status = PW_EXIT_OK;
    tell_other_side(call);
    for (size_t i = 0; i < SIDES; i++) {
        struct side *side = &call->sides[i];
        struct pw_err err = PW_ERR_INIT;
        if (pw_session_close(side->session, &err) != 0) {
            fail_side(side, &err);
        }
        side->session = NULL;
        pw_watch_done(&side->watch);
        pw_result_keep_warmup(&side->result, &side->watch);
        pw_err_prefix(&side->err, "side %s", side_names[i]);
    }
    for (size_t i = 0; i < SIDES; i++) {
        struct pw_err err = PW_ERR_INIT;
        int own = status_of(call, i);
        if (pw_result_write(&call->sides[i].result, &err) != 0) {
            own = pw_cli_fail(&err);
        }
        status = own > status ? own : status;
    }
    return status;
}

static int write_comparison(const struct pw_comparison *comparison, const char *folder,
                            char **ret_path, struct pw_err *err)
{
    PW_FREE_AUTO char *path = pw_path_join(folder, "comparison.json", err);
    json_t *document = path ? pw_comparison_to_json(comparison, err) : NULL;
    if (!document) {
        return -1;
    }
    int result = pw_json_write_file(path, document, err);
    json_decref(document);
    if (result != 0) {
        return pw_err_prefix(err, "write the comparison");
    }
    *ret_path = path;
    path = NULL;
    return 0;
}

static int add_comparison(const struct call *call, const struct pw_comparison *comparison,
                          struct pw_str *ret_text, char **ret_path, struct pw_err *err)
{
    const struct pw_compare_choices *choices = &call->options.choices;
    bool shown = !call->options.run.quiet || strcmp(choices->format, "json") == 0;
    if (shown && pw_compare_render(comparison, choices, ret_text, err) != 0) {
        return -1;
    }
    return write_comparison(comparison, call->sides[1].result.run.run_dir, ret_path, err);
}

/* Compares what there is, and prints it and the result lines. The exit status. */
static int compare(const struct call *call)
{
    const struct pw_result *a = &call->sides[0].result, *b = &call->sides[1].result;
    const struct pw_summary *summary_a = a->summary, *summary_b = b->summary;
    struct pw_err err = PW_ERR_INIT;
    PW_STR_AUTO text = PW_STR_INIT;
    PW_FREE_AUTO char *path = NULL;
    struct pw_comparison comparison;
    int status = PW_EXIT_OK;
    if (pw_compare_run(call->sides[0].profile_name, &summary_a, 1, call->sides[1].profile_name,
                       &summary_b, 1, pw_compare_options_of(&call->options.choices), &comparison,
                       &err) != 0) {
        status = pw_cli_fail(&err);
    } else {
        status = pw_compare_gate(&comparison, &call->options.choices);
        if (add_comparison(call, &comparison, &text, &path, &err) != 0) {
            status = pw_cli_fail(&err);
        }
        pw_comparison_done(&comparison);
    }
    if (strcmp(call->options.choices.format, "json") != 0) {
        pw_str_addf(&text, "%ssummary_json_a=%s\nsummary_json_b=%s\n", text.length > 0 ? "\n" : "",
                    pw_result_summary_path(a), pw_result_summary_path(b));
        if (path) {
            pw_str_addf(&text, "comparison_json=%s\n", path);
        }
    }
    int printed = pw_cli_print(&text);
    return printed != PW_EXIT_OK ? printed : status;
}

static int prepare_and_measure(struct call *call)
{
    struct pw_err err = PW_ERR_INIT;
    call->options.choices.no_color = call->options.run.no_color;
    if (refuse(call, &err) != 0 || make_plan(call, 0, &err) != 0 || make_plan(call, 1, &err) != 0) {
        return pw_cli_fail(&err);
    }
    pw_signals_prepare();
    if (describe(call, 0, &err) != 0 || describe(call, 1, &err) != 0) {
        return pw_cli_fail(&err);
    }
    measure(call); /* each side remembers whether it failed */
    int status = finish(call);
    if (!call->sides[0].result.summary || !call->sides[1].result.summary) {
        return status; /* why is told */
    }
    int compared = compare(call);
    return status != PW_EXIT_OK ? status : compared;
}

int pw_cmd_ab(const struct pw_command *command, int argc, char *const *argv)
{
    struct call call = {.parsed = {.rest = -1}};
    int status;
    for (size_t i = 0; i < SIDES; i++) {
        call.sides[i] = (struct side){.plan = PW_OWNED_PLAN_INIT, .err = PW_ERR_INIT};
        pw_result_init(&call.sides[i].result);
    }
    if (pw_command_begin(command, argc, argv, &call.options, &call.parsed, &status)) {
        status = prepare_and_measure(&call);
    }
    for (size_t i = 0; i < SIDES; i++) {
        pw_result_done(&call.sides[i].result);
        pw_plan_done(&call.sides[i].plan);
        free(call.sides[i].profile_name);
    }
    pw_parsed_done(&call.parsed);
    return status;
}
