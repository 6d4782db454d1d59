#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/clock.h"
#include "core/document.h"
#include "core/file.h"
#include "core/json.h"
#include "core/limits.h"
#include "sla/index.h"
#include "wrapper/cli/command.h"
#include "wrapper/cli/help.h"

/* `perfwrap index`: the baseline index of many summaries. */

struct index_options {
    struct pw_option_list globs, summaries;
    const char *group, *cache, *out, *format;
    unsigned window, min_samples;
    bool mix, strict, no_color, help;
};

enum {
    NAMED_MAX = 10,           /* broken files that are named on standard error */
    PROGRESS_FIRST_MS = 1000, /* what is faster needs none */
    PROGRESS_PAUSE_MS = 200,
};

/* ---------------------------------------------------------------- formats */

static int render_json(const json_t *index, bool color, struct pw_str *ret_text, struct pw_err *err)
{
    (void)color;
    PW_FREE_AUTO char *text = pw_json_dump(index, err);
    if (!text) {
        return -1;
    }
    pw_str_add(ret_text, text);
    return 0;
}

static int render_text(const json_t *index, bool color, struct pw_str *ret_text, struct pw_err *err)
{
    PW_DOCUMENT_AUTO report = PW_DOCUMENT_INIT;
    pw_index_report(index, &report);
    return pw_document_to_text(&report, color, ret_text, err);
}

static int render_markdown(const json_t *index, bool color, struct pw_str *ret_text,
                           struct pw_err *err)
{
    (void)color;
    PW_DOCUMENT_AUTO report = PW_DOCUMENT_INIT;
    pw_index_report(index, &report);
    return pw_document_to_markdown(&report, ret_text, err);
}

static const struct format {
    const char *name;
    int (*render)(const json_t *index, bool color, struct pw_str *ret_text, struct pw_err *err);
} formats[] = {{"json", render_json}, {"text", render_text}, {"markdown", render_markdown}};

static const struct format *find_format(const char *name)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        if (strcmp(formats[i].name, name) == 0) {
            return &formats[i];
        }
    }
    return NULL;
}

static int check_format(const char *text, struct pw_err *err)
{
    return find_format(text)
               ? 0
               : pw_err_set(err, PW_ERR_USAGE, "`%s` is none of json, text, markdown", text);
}

static int check_group(const char *text, struct pw_err *err)
{
    return strcmp(text, "heuristic") == 0 || strcmp(text, "exact") == 0
               ? 0
               : pw_err_set(err, PW_ERR_USAGE, "`%s` is neither heuristic nor exact", text);
}

/* ---------------------------------------------------------------- options */

#define FIELD(name) .offset = offsetof(struct index_options, name)
static const char *const groups[] = {"Options"};
static const struct pw_option options[] = {
    {.name = "summary",
     .type = PW_OPTION_LIST,
     .argument = "PATH",
     FIELD(summaries),
     .help = "A summary, as if it stood among the operands. May be repeated."},
    {.name = "glob",
     .type = PW_OPTION_LIST,
     .argument = "PATTERN",
     FIELD(globs),
     .help = "All files that match, as if PATTERN stood among the operands; ** crosses folders. "
             "May be repeated."},
    {.name = "window",
     .type = PW_OPTION_UNSIGNED,
     .argument = "N",
     .initial = "30",
     .min = 1,
     .max = PW_LIMIT_INDEX_WINDOW,
     FIELD(window),
     .help = "How many runs of each group count: the last N."},
    {.name = "min-samples",
     .type = PW_OPTION_UNSIGNED,
     .argument = "N",
     .initial = "5",
     .min = 1,
     .max = PW_LIMIT_INDEX_WINDOW,
     FIELD(min_samples),
     .help = "With fewer values than that a metric's status is insufficient_data."},
    {.name = "group",
     .type = PW_OPTION_STRING,
     .argument = "heuristic|exact",
     .initial = "heuristic",
     .check = check_group,
     FIELD(group),
     .help = "What belongs together: runs of the same profile name (without one: of the same run "
             "folder's name, without its time stamp), or, heuristic, all whose name says cold or "
             "startup, exec, stream, throughput, smoke, stress."},
    {.name = "mix",
     .type = PW_OPTION_FLAG,
     FIELD(mix),
     .help =
         "Count runs of other machines than the latest run's too. Without it, runs of another "
         "CPU model, number of CPUs, kernel, architecture or accelerator are left out, and boots "
         "with another guest kernel, monitor, way to start, huge pages, page merging or cache."},
    {.name = "strict",
     .type = PW_OPTION_FLAG,
     FIELD(strict),
     .help = "Exit with 3 if a file was skipped because it is broken or no summary. The index is "
             "written all the same."},
    {.name = "cache",
     .type = PW_OPTION_STRING,
     .argument = "FILE",
     FIELD(cache),
     .help = "Remember in FILE what was read, and read only new and changed files the next time. "
             "Made if it is not there; for its owner only."},
    {.name = "out",
     .letter = 'o',
     .type = PW_OPTION_STRING,
     .argument = "FILE",
     FIELD(out),
     .help = "Write to FILE, whole or not at all, instead of to standard output."},
    {.name = "format",
     .type = PW_OPTION_STRING,
     .argument = "json|text|markdown",
     .initial = "json",
     .check = check_format,
     FIELD(format),
     .help = "The index itself, or a table of groups and metrics with the changes of level."},
    {.name = "no-color",
     .type = PW_OPTION_FLAG,
     FIELD(no_color),
     .help = "No colours on a terminal."},
    PW_OPTION_HELP(index_options),
};
const struct pw_option_set pw_index_option_set = {.options = options,
                                                  .count = sizeof options / sizeof *options,
                                                  .groups = groups,
                                                  .group_count = 1,
                                                  .operands = PW_OPERANDS_ANY};

/* ---------------------------------------------------------------- progress */

struct reading {
    int64_t started_at_ns, drawn_at_ns;
    bool on_screen;
};

static void draw(size_t done, size_t total, void *context)
{
    struct reading *reading = context;
    int64_t now = pw_clock_now_ns();
    int64_t pause = reading->on_screen ? PROGRESS_PAUSE_MS : PROGRESS_FIRST_MS;
    int64_t since = reading->on_screen ? reading->drawn_at_ns : reading->started_at_ns;
    if (now - since >= pause * PW_NS_PER_MS) {
        fprintf(stderr, "\r%zu of %zu files", done, total);
        reading->on_screen = true;
        reading->drawn_at_ns = now;
    }
}

static void wipe(const struct reading *reading)
{
    if (reading->on_screen) {
        fputs("\r\x1b[K", stderr);
    }
}

/* ---------------------------------------------------------------- the call */

/* All words that name inputs: --summary, --glob, operands. free(*ret_words). */
static int join_words(const struct index_options *given, const struct pw_parsed *parsed,
                      const char ***ret_words, size_t *ret_count, struct pw_err *err)
{
    size_t count = 0;
    size_t most = parsed->operand_count + given->summaries.count + given->globs.count;
    if (most == 0) {
        pw_err_set(err, PW_ERR_USAGE, "no summaries given");
        return pw_err_remedy(err,
                             "Name files, folders or globs, such as 'results/*/summary.json'.");
    }
    const char **words = calloc(most, sizeof(*words));
    if (!words) {
        return pw_err_memory(err);
    }
    for (size_t i = 0; i < given->summaries.count; i++) {
        words[count++] = given->summaries.items[i];
    }
    for (size_t i = 0; i < given->globs.count; i++) {
        words[count++] = given->globs.items[i];
    }
    for (size_t i = 0; i < parsed->operand_count; i++) {
        words[count++] = parsed->operands[i];
    }
    *ret_words = words;
    *ret_count = count;
    return 0;
}

static void tell_skipped(const json_t *index, const struct pw_index_counts *counts)
{
    size_t i = 0;
    json_t *one = NULL;
    json_array_foreach(json_object_get(index, "skipped"), i, one)
    {
        if (i == NAMED_MAX) {
            fprintf(stderr, "perfwrap: skipped %zu more files\n", counts->skipped - NAMED_MAX);
            break;
        }
        fprintf(stderr, "perfwrap: skipped: %s\n",
                json_string_value(json_object_get(one, "reason")));
    }
}

static int write_out(const struct index_options *given, const json_t *index, struct pw_err *err)
{
    PW_STR_AUTO text = PW_STR_INIT;
    bool color = !given->out && !given->no_color && pw_cli_may_color(STDOUT_FILENO);
    const struct format *format = find_format(given->format); /* the option was checked */
    if (!format || format->render(index, color, &text, err) != 0) {
        return pw_cli_fail(err);
    }
    if (!given->out) {
        return pw_cli_print(&text);
    }
    if (text.failed) {
        pw_err_memory(err);
        return pw_cli_fail(err);
    }
    if (pw_file_write(given->out, text.text, text.length, 0666, err) != 0) {
        return pw_cli_fail(err);
    }
    return PW_EXIT_OK;
}

/* The index is written also where the cache could not be. */
static int make(const struct index_options *given, const char *const *words, size_t count)
{
    struct pw_err err = PW_ERR_INIT, write_err = PW_ERR_INIT;
    struct reading reading = {.started_at_ns = pw_clock_now_ns()};
    struct pw_index_counts counts = {0};
    json_t *index = NULL;
    struct pw_index_options how = {.window = given->window,
                                   .min_samples = given->min_samples,
                                   .exact = strcmp(given->group, "exact") == 0,
                                   .mix = given->mix,
                                   .cache_path = given->cache,
                                   .progress = isatty(STDERR_FILENO) ? draw : NULL,
                                   .context = &reading};
    int failed = pw_index_build(words, count, how, &index, &counts, &err);
    wipe(&reading);
    if (!index) {
        return pw_cli_fail(&err);
    }
    if (counts.cache_fault) {
        fprintf(stderr, "perfwrap: the cache `%s` is made anew: %s\n", given->cache,
                counts.cache_fault);
    }
    tell_skipped(index, &counts);
    int status = write_out(given, index, &write_err);
    json_decref(index);
    if (failed) {
        int told = pw_cli_fail(&err);
        status = status == PW_EXIT_OK ? told : status;
    }
    return status == PW_EXIT_OK && given->strict && counts.skipped > 0 ? PW_EXIT_UNDECIDED : status;
}

int pw_cmd_index(const struct pw_command *command, int argc, char *const *argv)
{
    static struct index_options given; /* its lists are large */
    PW_PARSED_AUTO parsed = {0};
    PW_FREE_AUTO const char **words = NULL;
    size_t count = 0;
    struct pw_err err = PW_ERR_INIT;
    int status;
    if (!pw_command_begin(command, argc, argv, &given, &parsed, &status)) {
        return status;
    }
    if (join_words(&given, &parsed, &words, &count, &err) != 0) {
        return pw_cli_fail(&err);
    }
    return make(&given, words, count);
}
