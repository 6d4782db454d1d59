/* wrapper/cli: the option parser and its tables, the plan, the progress line. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/json.h"
#include "core/limits.h"
#include "wrapper/cli/command.h"
#include "wrapper/cli/help.h"
#include "wrapper/cli/progress.h"
#include "wrapper/cli/run_options.h"

enum { WORDS_MAX = 12 };
#define WORDS(...) ((const char *const[WORDS_MAX]){__VA_ARGS__})

static struct pw_run_options options;
static struct pw_parsed parsed;
static struct pw_err err;

static char *const *as_argv(const char *const *words, int *ret_argc)
{
    static char *argv[WORDS_MAX + 1];
    *ret_argc = 0;
    for (; words[*ret_argc]; ++*ret_argc) {
        argv[*ret_argc] = (char *)words[*ret_argc]; /* the parser does not write */
    }
    argv[*ret_argc] = NULL;
    return argv;
}

static int parse(const char *const *words)
{
    int argc = 0;
    char *const *argv = as_argv(words, &argc);
    err = PW_ERR_INIT;
    return pw_options_parse(&pw_run_option_set, argc, argv, &options, &parsed, &err);
}

static void test_defaults(void **state)
{
    (void)state;
    assert_int_equal(parse(WORDS("--", "true")), 0);
    assert_int_equal(options.iterations, 5);
    assert_int_equal(options.warmup, 1);
    assert_int_equal(options.concurrency, 1);
    assert_int_equal(options.max_iterations, 1000);
    assert_true(options.timeout_sec == 300);
    assert_true(options.kill_grace_ms == 2000);
    assert_true(options.probe_interval_ms == 20);
    assert_true(options.probe_budget_pct == 1);
    assert_true(options.top_interval_ms == 250);
    assert_true(isnan(options.max_time_sec) && isnan(options.until_ci_pct));
    assert_string_equal(options.output, "tail");
    assert_string_equal(options.out_dir, "perf-results");
    assert_string_equal(options.profile_phase, "measure");
    assert_null(options.profile_name);
    assert_null(options.prepare);
    assert_false(options.json || options.quiet || options.pss || options.top_attach);
    assert_false(options.ignore_failure.all || options.ignore_failure.given);
    assert_string_equal(options.otlp, "auto");
    assert_string_equal(options.agent, "none");
    assert_true(options.otel_flush_wait_ms == 50);
    assert_int_equal(options.otlp_max_body_mb, PW_LIMIT_OTLP_BODY_BYTES >> 20);
    assert_int_equal(options.otel_env.count + options.worker_env.count + options.worker_files.count,
                     0);
    assert_int_equal(parsed.rest, 1);
    assert_int_equal(parsed.stray, -1);
}

static void test_list(void **state)
{
    enum { TIMES = PW_LIMIT_OPTION_LIST + 1 };
    static char *argv[TIMES];
    (void)state;
    assert_int_equal(parse(WORDS("--otel-env", "A=1", "-q", "--otel-env=B=2", "--otel-env", "A=3")),
                     0);
    assert_int_equal(options.otel_env.count, 3);
    assert_string_equal(options.otel_env.items[0], "A=1");
    assert_string_equal(options.otel_env.items[1], "B=2");
    assert_string_equal(options.otel_env.items[2], "A=3");
    assert_int_equal(options.worker_env.count, 0);
    for (int i = 0; i < TIMES; i++) {
        argv[i] = (char *)"--worker-env=A=1";
    }
    assert_int_equal(pw_options_parse(&pw_run_option_set, TIMES - 1, argv, &options, &parsed, &err),
                     0);
    assert_int_equal(options.otel_env.count, 0);
    assert_int_equal(options.worker_env.count, PW_LIMIT_OPTION_LIST);
    assert_int_equal(pw_options_parse(&pw_run_option_set, TIMES, argv, &options, &parsed, &err),
                     -1);
    assert_int_equal(err.cls, PW_ERR_USAGE);
    assert_non_null(strstr(err.message, "--worker-env: given more than 256 times"));
}

static void test_forms(void **state)
{
    (void)state;
    assert_int_equal(parse(WORDS("--iterations=7", "--warmup", "2", "-c3")), 0);
    assert_int_equal(options.iterations, 7);
    assert_int_equal(options.warmup, 2);
    assert_int_equal(options.concurrency, 3);
    assert_int_equal(parsed.rest, -1);
    assert_int_equal(parse(WORDS("-n", "8", "-n9", "-qn10", "--", "-n", "3")), 0);
    assert_int_equal(options.iterations, 10);
    assert_true(options.quiet);
    assert_int_equal(parsed.rest, 5);
    /* A value may look like an option, and be empty only where that means something. */
    assert_int_equal(parse(WORDS("--prepare", "-x", "--shell=--")), 0);
    assert_string_equal(options.prepare, "-x");
    assert_string_equal(options.shell, "--");
    /* Nothing after --help is read, so that it works on any command line. */
    assert_int_equal(parse(WORDS("-n2", "--help", "--no-such")), 0);
    assert_true(options.help && parsed.stopped);
}

static void test_stray_word(void **state)
{
    (void)state;
    assert_int_equal(parse(WORDS("-q", "ls", "--bad")), 0);
    assert_int_equal(parsed.stray, 1);
    assert_int_equal(parse(WORDS("-")), 0);
    assert_int_equal(parsed.stray, 0);
}

static void test_refused(void **state)
{
    static const struct {
        const char *words[3];
        const char *message; /* part of it */
        const char *remedy;  /* part of it */
    } cases[] = {
        {{"--iteratons", "3"}, "unknown option --iteratons", "--iterations"},
        {{"--iter", "3"}, "unknown option --iter", "--iterations"},
        {{"--zzzzzzzzzz"}, "unknown option --zzzzzzzzzz", "--help"},
        {{"-Z"}, "unknown option -Z", "--help"},
        {{"-qZ"}, "unknown option -Z", "--help"},
        {{"--", NULL}, NULL, NULL},
        {{"-n"}, "--iterations needs a value", ""},
        {{"-n", "--"}, "--iterations needs a value", ""},
        {{"-n", "0"}, "a whole number from 1 to 1000000", ""},
        {{"-n", "-5"}, "`-5` is not", ""},
        {{"-n", "5x"}, "`5x` is not", ""},
        {{"-n", " 5"}, "` 5` is not", ""},
        {{"-n", "1e3"}, "`1e3` is not a whole number", ""},
        {{"-n", ""}, "`` is not", ""},
        {{"-n", "1000001"}, "1000001", ""},
        {{"-n", "99999999999999999999999"}, "is not a whole number", ""},
        {{"-c", "1025"}, "from 1 to 1024", ""},
        {{"--timeout-sec=inf"}, "`inf` is not a number of s from 0", ""},
        {{"--timeout-sec=nan"}, "`nan`", ""},
        {{"--timeout-sec=0x10"}, "`0x10`", ""},
        {{"--timeout-sec=1e999"}, "`1e999`", ""},
        {{"--timeout-sec=-1"}, "`-1`", ""},
        {{"--timeout-sec=1,5"}, "`1,5`", ""},
        {{"--probe-interval-ms=0"}, "a number of ms from 1 to 60000", ""},
        {{"--until-ci=101"}, "from 0.01 to 100", ""},
        {{"--quiet=yes"}, "--quiet takes no value", ""},
        {{"--out-dir="}, "--out-dir: the value is empty", ""},
        {{"--profile-name="}, "--profile-name: the value is empty", ""},
        {{"--profile-name=a/b"}, "cannot be part of a folder's name", "slashes"},
        {{"--profile-name=a\nb"}, "cannot be part of a folder's name", "control"},
        {{"--otlp="}, "is not auto, off or a plain http URL", "http://HOST:4318"},
        {{"--otlp=on"}, "`on` is not", ""},
        {{"--otlp=localhost:4318"}, "is not auto", ""},
        {{"--otlp=grpc://h:4317"}, "is not auto", ""},
        {{"--otlp=http://"}, "is not auto", ""},
        {{"--otlp=http:///v1"}, "is not auto", ""},
        {{"--otlp=x://y#http://h"}, "is not auto", ""},
        {{"--otlp=http://h?a=b"}, "is not auto", ""},
        {{"--otlp=http://h/\""}, "is not auto", ""},
        {{"--otlp=http://h/a b"}, "is not auto", ""},
        {{"--otlp=http://h/\xc3\xa4"}, "is not auto", ""},
        {{"--otlp=http://me:hunter2@h/"}, "a URL with a user name", "OTEL_EXPORTER_OTLP_HEADERS"},
        {{"--otlp=http://h/@"}, NULL, NULL},
        {{"--otlp=https://[::1]:4318/base"}, NULL, NULL},
        {{"--otlp-max-body-mb=0"}, "from 1 to 64", ""},
        {{"--worker-env="}, "--worker-env: the value is empty", ""},
        {{"--turn-pattern="}, "--turn-pattern: the value is empty", ""},
        {{"--ignore-failure="}, "is not a list of return codes", "--ignore-failure=1,64-78"},
        {{"--ignore-failure=0"}, "`0`", "from 1 to 255"},
        {{"--ignore-failure=256"}, "`256`", "from 1 to 255"},
        {{"--ignore-failure=3-2"}, "`3-2`", ""},
        {{"--ignore-failure=1,"}, "`1,`", ""},
        {{"--ignore-failure=1;2"}, "`1;2`", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int result = parse(WORDS(cases[i].words[0], cases[i].words[1]));
        if (!cases[i].message) {
            assert_int_equal(result, 0);
            continue;
        }
        if (result != -1 || err.cls != PW_ERR_USAGE || !strstr(err.message, cases[i].message) ||
            !strstr(err.remedy, cases[i].remedy)) {
            fail_msg("case %zu (%s): %d, `%s`, `%s`", i, cases[i].words[0], result, err.message,
                     err.remedy);
        }
    }
}

static void test_ignore_failure(void **state)
{
    (void)state;
    assert_int_equal(parse(WORDS("--ignore-failure")), 0);
    assert_true(options.ignore_failure.all);
    assert_int_equal(parse(WORDS("--ignore-failure=1,64-66,255")), 0);
    assert_true(options.ignore_failure.given);
    assert_false(options.ignore_failure.all);
    for (unsigned code = 0; code < 256; code++) {
        bool listed = code == 1 || (code >= 64 && code <= 66) || code == 255;
        assert_int_equal(options.ignore_failure.code[code], listed);
    }
}

/* Faults in the tables themselves. */
static void test_tables(void **state)
{
    (void)state;
    for (size_t c = 0; c < PW_COMMAND_COUNT; c++) {
        const struct pw_option_set *set = pw_commands[c].options;
        assert_true(set->count + (set->also ? set->also->count : 0) <= PW_OPTIONS_MAX);
        assert_non_null(pw_commands[c].details);
        assert_ptr_equal(pw_command_find(pw_commands[c].name), &pw_commands[c]);
        for (size_t i = 0; i < set->count; i++) {
            const struct pw_option *option = &set->options[i];
            bool numeric = option->type == PW_OPTION_UNSIGNED || option->type == PW_OPTION_NUMBER;
            assert_true(option->group < set->group_count);
            assert_true(strlen(option->help) > 0);
            assert_int_equal(option->type == PW_OPTION_FLAG, option->argument == NULL);
            assert_int_equal(numeric, option->min < option->max);
            assert_true(option->type != PW_OPTION_UNSIGNED || option->initial);
            assert_true(option->type != PW_OPTION_LIST || !option->initial);
            assert_true(!option->names_only || option->type == PW_OPTION_LIST);
            if (option->type == PW_OPTION_STRING && option->initial && option->check) {
                assert_int_equal(option->check(option->initial, NULL), 0);
            }
            for (size_t j = 0; j < i; j++) {
                assert_string_not_equal(option->name, set->options[j].name);
                assert_true(!option->letter || option->letter != set->options[j].letter);
                assert_true(option->offset != set->options[j].offset);
                assert_true(!option->profile_key || !set->options[j].profile_key ||
                            strcmp(option->profile_key, set->options[j].profile_key) != 0);
            }
        }
    }
}

/* Every option of every subcommand stands in its help and in the manual page, and every exit
 * status. */
static void test_help_is_complete(void **state)
{
    (void)state;
    PW_STR_AUTO man = PW_STR_INIT;
    pw_help_man(&man);
    for (size_t c = 0; c < PW_COMMAND_COUNT; c++) {
        PW_STR_AUTO text = PW_STR_INIT;
        pw_help_text(&pw_commands[c], &text);
        assert_false(text.failed);
        for (size_t i = 0; i < pw_commands[c].options->count; i++) {
            char wanted[64], *end = wanted;
            snprintf(wanted, sizeof wanted, "--%s", pw_commands[c].options->options[i].name);
            assert_non_null(strstr(text.text, wanted));
            PW_STR_AUTO roff = PW_STR_INIT;
            for (; *end; end++) {
                pw_str_addf(&roff, *end == '-' ? "\\-" : "%c", *end);
            }
            assert_non_null(strstr(man.text, roff.text));
        }
        bool repeated = false;
        for (size_t i = 0; i < pw_commands[c].options->count; i++) {
            repeated |= pw_commands[c].options->options[i].type == PW_OPTION_LIST;
        }
        assert_int_equal(repeated, strstr(text.text, " May be repeated.") != NULL);
        for (const char *line = text.text; line; line = strchr(line, '\n')) {
            line += *line == '\n';
            assert_true(strcspn(line, "\n") <= 100);
        }
    }
    PW_STR_AUTO text = PW_STR_INIT;
    pw_help_text(&pw_commands[0], &text);
    for (size_t i = 0; i < PW_EXIT_STATUS_COUNT; i++) {
        assert_non_null(strstr(text.text, pw_exit_statuses[i].meaning));
    }
}

static int make_plan(const char *const *words, struct pw_owned_plan *plan)
{
    int argc = 0;
    char *const *argv = as_argv(words, &argc);
    err = PW_ERR_INIT;
    *plan = PW_OWNED_PLAN_INIT;
    assert_int_equal(pw_options_parse(&pw_run_option_set, argc, argv, &options, &parsed, &err), 0);
    return pw_plan_make(&options, &parsed, parsed.rest >= 0 ? argv + parsed.rest : NULL, plan,
                        &err);
}

static void test_plan_command(void **state)
{
    struct pw_owned_plan plan;
    (void)state;
    assert_int_equal(make_plan(WORDS("--", "echo", "a b"), &plan), 0);
    assert_string_equal(plan.plan.command_text, "echo 'a b'");
    assert_string_equal(plan.plan.argv[1], "a b");
    assert_null(plan.plan.argv[2]);
    pw_plan_done(&plan);
    assert_int_equal(make_plan(WORDS("--cmd", "echo 'a b' c\\ d"), &plan), 0);
    assert_string_equal(plan.plan.argv[1], "a b");
    assert_string_equal(plan.plan.argv[2], "c d");
    assert_null(plan.plan.argv[3]);
    pw_plan_done(&plan);
    assert_int_equal(make_plan(WORDS("--shell", "a | b"), &plan), 0);
    assert_string_equal(plan.plan.command_text, "/bin/sh -c 'a | b'");
    pw_plan_done(&plan);
}

static void test_plan_refused(void **state)
{
    static const struct {
        const char *words[5];
        const char *message;
    } cases[] = {
        {{"-q"}, "no command given"},
        {{"-q", "--"}, "no command after --"},
        {{"--cmd", "a", "--", "b"}, "more than one command"},
        {{"--cmd", "a", "--shell", "b"}, "more than one command"},
        {{"--cmd", "a 'b"}, "option --cmd: "},
        {{"--cmd", "  "}, "option --cmd: "},
        {{"--agent=kodex", "--", "a"}, "option --agent: unknown agent `kodex`"},
        {{"--agent-config=x", "--", "a"}, "--agent-config without --agent"},
        {{"--otel-env=A", "--", "a"}, "option --otel-env: "},
        {{"--worker-env=PERFWRAP_X=1", "--", "a"}, "option --worker-env: PERFWRAP_X: "},
        {{"--worker-file=/dev/null", "--", "a"}, "option --worker-file: "},
        {{"--worker-file=/dev/null=../x", "--", "a"}, "option --worker-file: `../x` leaves"},
        {{"--queue-pattern=a(", "--", "a"}, "pattern of metric family queue: `a(`"},
        {{"-n6", "--until-ci=1", "--max-iterations=5", "--", "a"}, "more than --max-iterations 5"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pw_owned_plan plan;
        const char *const *words = cases[i].words;
        int result = make_plan(WORDS(words[0], words[1], words[2], words[3], words[4]), &plan);
        pw_plan_done(&plan);
        if (result != -1 || err.cls != PW_ERR_USAGE || !strstr(err.message, cases[i].message)) {
            fail_msg("case %zu: %d, `%s`", i, result, err.message);
        }
    }
}

static void test_plan_values(void **state)
{
    struct pw_owned_plan plan;
    (void)state;
    assert_int_equal(make_plan(WORDS("--", "a"), &plan), 0);
    assert_int_equal(plan.plan.output_mode, PW_OUTPUT_TAIL);
    assert_null(plan.plan.output_file);
    assert_false(plan.plan.iterations_given);
    assert_true(plan.plan.max_time_sec == 0 && plan.plan.until_ci_pct == 0);
    assert_null(plan.plan.ignored_codes);
    pw_plan_done(&plan);
    assert_int_equal(make_plan(WORDS("-n3", "--output=./tail", "--json", "--max-time-sec=2.5",
                                     "--ignore-failure=7", "--", "a"),
                               &plan),
                     0);
    assert_int_equal(plan.plan.output_mode, PW_OUTPUT_FILE);
    assert_string_equal(plan.plan.output_file, "./tail");
    assert_true(plan.plan.iterations_given);
    assert_true(plan.plan.stdout_is_reserved);
    assert_true(plan.plan.max_time_sec == 2.5);
    assert_int_equal(plan.plan.ignored_codes[7], 1);
    pw_plan_done(&plan);
}

static void test_plan_telemetry(void **state)
{
    struct pw_owned_plan plan;
    (void)state;
    assert_int_equal(make_plan(WORDS("--", "a"), &plan), 0);
    assert_int_equal(plan.plan.otlp_mode, PW_OTLP_AUTO);
    assert_null(plan.plan.otlp_url);
    assert_null(plan.plan.collector_listen);
    assert_true(plan.plan.otel_flush_wait_ms == 50);
    assert_int_equal(plan.plan.otlp_body_limit, PW_LIMIT_OTLP_BODY_BYTES);
    for (int family = 0; family < PW_FAMILY_COUNT; family++) {
        assert_string_equal(plan.plan.classifier.patterns[family],
                            pw_classifier_defaults.patterns[family]);
    }
    assert_string_equal(plan.plan.classifier.action_attributes,
                        pw_classifier_defaults.action_attributes);
    assert_int_equal(plan.plan.outfit->variable_count + plan.plan.outfit->file_count, 0);
    pw_plan_done(&plan);
    assert_int_equal(
        make_plan(WORDS("--otlp=off", "--stream-pattern=x", "--otlp-max-body-mb=2",
                        "--otel-flush-wait-ms=7", "--collector-listen=0.0.0.0", "--", "a"),
                  &plan),
        0);
    assert_int_equal(plan.plan.otlp_mode, PW_OTLP_OFF);
    assert_string_equal(plan.plan.classifier.patterns[PW_FAMILY_STREAM], "x");
    assert_int_equal(plan.plan.otlp_body_limit, 2 << 20);
    assert_true(plan.plan.otel_flush_wait_ms == 7);
    assert_string_equal(plan.plan.collector_listen, "0.0.0.0");
    pw_plan_done(&plan);
    /* An agent that is known has names of its own for streaming, unless others are given. */
    assert_int_equal(make_plan(WORDS("--agent=codex", "--", "a"), &plan), 0);
    assert_non_null(strstr(plan.plan.classifier.patterns[PW_FAMILY_STREAM], "ttf"));
    assert_non_null(strstr(plan.plan.classifier.patterns[PW_FAMILY_STREAM],
                           pw_classifier_defaults.patterns[PW_FAMILY_STREAM]));
    assert_string_equal(json_string_value(json_object_get(plan.plan.profile, "stream_pattern")),
                        plan.plan.classifier.patterns[PW_FAMILY_STREAM]);
    pw_plan_done(&plan);
    assert_int_equal(make_plan(WORDS("--agent=codex", "--stream-pattern=x", "--", "a"), &plan), 0);
    assert_string_equal(plan.plan.classifier.patterns[PW_FAMILY_STREAM], "x");
    pw_plan_done(&plan);
    assert_int_equal(make_plan(WORDS("--otlp=https://h:4318/base//", "--", "a"), &plan), 0);
    assert_int_equal(plan.plan.otlp_mode, PW_OTLP_ELSEWHERE);
    assert_string_equal(plan.plan.otlp_url, "https://h:4318/base");
    pw_plan_done(&plan);
}

/* In whatever order they are given: what is for the worker alone wins. */
static void test_plan_outfit(void **state)
{
    struct pw_owned_plan plan;
    (void)state;
    assert_int_equal(make_plan(WORDS("--worker-env=A=w", "--otel-env=A=o", "--otel-env=B=o",
                                     "--worker-file=/dev/null=x", "--", "a"),
                               &plan),
                     0);
    assert_int_equal(plan.outfit.variable_count, 3);
    assert_string_equal(pw_outfit_variable(plan.plan.outfit, "A"), "w");
    assert_string_equal(pw_outfit_variable(plan.plan.outfit, "B"), "o");
    assert_int_equal(plan.outfit.file_count, 1);
    assert_string_equal(plan.outfit.files[0].dest, "x");
    pw_plan_done(&plan);
    assert_int_equal(plan.outfit.file_count, 0);
}

/* Which variables were set can matter to a reader; what they hold may be a secret. */
static void test_profile_keeps_no_values(void **state)
{
    struct pw_owned_plan plan;
    (void)state;
    assert_int_equal(make_plan(WORDS("--otel-env=OTEL_EXPORTER_OTLP_HEADERS=k=hunter2",
                                     "--worker-env=TOKEN=hunter2",
                                     "--worker-env=B=", "--worker-file=/dev/null=x/y", "--", "a"),
                               &plan),
                     0);
    char *text = json_dumps(plan.profile, JSON_COMPACT);
    assert_non_null(text);
    assert_null(strstr(text, "hunter2"));
    assert_non_null(strstr(text, "\"otel_env\":[\"OTEL_EXPORTER_OTLP_HEADERS\"]"));
    assert_non_null(strstr(text, "\"worker_env\":[\"TOKEN\",\"B\"]"));
    assert_non_null(strstr(text, "\"worker_files\":[\"/dev/null=x/y\"]"));
    assert_non_null(strstr(text, "\"agent\":\"none\",\"agent_config\":null"));
    assert_non_null(strstr(text, "\"probe_interval_ms\":20.0,\"otel_flush_wait_ms\":50.0"));
    free(text);
    pw_plan_done(&plan);
    assert_int_equal(make_plan(WORDS("--", "a"), &plan), 0);
    assert_int_equal(json_array_size(json_object_get(plan.profile, "worker_env")), 0);
    assert_true(json_is_array(json_object_get(plan.profile, "worker_env")));
    pw_plan_done(&plan);
}

static void test_profile(void **state)
{
    static const char *const order[] = {"name", "phase", "concurrency", "warmup", "iterations"};
    struct pw_owned_plan plan;
    (void)state;
    assert_int_equal(
        make_plan(WORDS("--top-attach", "--top-interval-ms=100", "-n3", "--", "a"), &plan), 0);
    const json_t *profile = plan.profile;
    const char *key;
    const json_t *value;
    size_t at = 0;
    json_object_foreach((json_t *)profile, key, value)
    {
        if (at < sizeof order / sizeof *order) {
            assert_string_equal(key, order[at++]);
        }
    }
    assert_true(json_is_null(json_object_get(profile, "name")));
    assert_int_equal(json_integer_value(json_object_get(profile, "iterations")), 3);
    assert_true(json_is_true(json_object_get(profile, "top_attach")));
    assert_true(json_is_false(json_object_get(profile, "vmmap_snapshots")));
    assert_true(json_is_real(json_object_get(profile, "top_interval_ms")));
    assert_true(json_real_value(json_object_get(profile, "top_interval_ms")) == 100);
    assert_true(json_is_null(json_object_get(profile, "max_time_sec")));
    assert_null(json_object_get(profile, "out_dir")); /* changes nothing that is measured */
    assert_null(json_object_get(profile, "quiet"));
    pw_plan_done(&plan);
}

static void test_shell_syntax(void **state)
{
    static const struct {
        const char *line;
        int at; /* -1: none */
    } cases[] = {
        {"codex --help", -1},
        {"codex --help >/dev/null", 13},
        {"a | b", 2},
        {"a && b", 2},
        {"a; b", 1},
        {"echo $(date)", 5},
        {"echo `date`", 5},
        {"echo \"$HOME\"", 6},
        {"echo '$HOME > x'", -1},
        {"echo \"a > b\"", -1},
        {"echo a\\>b", -1},
        {"echo 5$ 10$", -1},
        {"", -1},
        {"echo ${A}", 5},
        {"echo \"it's\" > x", 12},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *found = pw_find_shell_syntax(cases[i].line);
        int at = found ? (int)(found - cases[i].line) : -1;
        if (at != cases[i].at) {
            fail_msg("`%s`: %d, not %d", cases[i].line, at, cases[i].at);
        }
    }
}

static void test_progress(void **state)
{
    struct pw_progress progress;
    PW_STR_AUTO line = PW_STR_INIT;
    int null_fds[2];
    (void)state;
    assert_int_equal(pipe(null_fds), 0);
    pw_progress_init(&progress, null_fds[1], 5, 0);
    pw_progress_begin(&progress, true, 1, 1, 0);
    pw_progress_format(&progress, PW_NS_PER_SEC / 2, &line);
    assert_string_equal(line.text, "warm-up 1/1  0 running  0.5 s elapsed");
    pw_progress_end(&progress, true, 1000, PW_NS_PER_SEC);
    static const double durations[] = {900, 1100, 1000};
    for (unsigned i = 0; i < 3; i++) {
        pw_progress_begin(&progress, false, i + 1, 4, (i + 1) * PW_NS_PER_SEC);
        pw_progress_end(&progress, false, durations[i], (i + 2) * PW_NS_PER_SEC);
    }
    pw_progress_tick(&progress, 6, 4 * PW_NS_PER_SEC);
    pw_str_clear(&line);
    pw_progress_format(&progress, 4 * PW_NS_PER_SEC + PW_NS_PER_SEC / 4, &line);
    assert_string_equal(line.text, "iteration 3/4  6 running  4.2 s elapsed  about 0.8 s left"
                                   "  median 1000.000 ms");
    pw_progress_done(&progress);
    assert_false(progress.on_screen);
    char written[4096];
    ssize_t count = read(null_fds[0], written, sizeof written);
    assert_true(count > 4);
    assert_memory_equal(written + count - 4, "\r\x1b[K", 4); /* nothing is left on the screen */
    close(null_fds[0]);
    close(null_fds[1]);
}

/* A set that takes another's options too: defaults and values of both, its own before the other's
 * of the same name, and `given` in the other's numbering. */
static void test_also(void **state)
{
    (void)state;
    struct both {
        struct pw_run_options run;
        bool shell;
        unsigned own;
    } both;
    static const struct pw_option own[] = {
        {.name = "shell", .type = PW_OPTION_FLAG, .offset = offsetof(struct both, shell)},
        {.name = "own",
         .letter = 'n', /* hides --iterations */
         .type = PW_OPTION_UNSIGNED,
         .argument = "N",
         .initial = "7",
         .max = 9,
         .offset = offsetof(struct both, own)},
    };
    const struct pw_option_set set = {.options = own, .count = 2, .also = &pw_run_option_set};
    const char *const words[] = {"--shell", "-n", "8", "--iterations=3", "--warmup", "0", NULL};
    int argc = 0;
    char *const *argv = as_argv(words, &argc);
    err = PW_ERR_INIT;
    assert_int_equal(pw_options_parse(&set, argc, argv, &both, &parsed, &err), 0);
    assert_true(both.shell);
    assert_null(both.run.shell);
    assert_int_equal(both.own, 8);
    assert_int_equal(both.run.iterations, 3);
    assert_int_equal(both.run.warmup, 0);
    assert_int_equal(both.run.concurrency, 1); /* a default */
    for (size_t i = 0; i < pw_run_option_set.count; i++) {
        const char *name = pw_run_option_set.options[i].name;
        bool wanted = strcmp(name, "iterations") == 0 || strcmp(name, "warmup") == 0;
        assert_int_equal(parsed.given[i], wanted);
    }
    assert_true(parsed.given[pw_run_option_set.count]);
    assert_true(parsed.given[pw_run_option_set.count + 1]);

    const char *const unknown[] = {"--owm", NULL};
    argv = as_argv(unknown, &argc);
    assert_int_equal(pw_options_parse(&set, argc, argv, &both, &parsed, &err), -1);
    assert_non_null(strstr(err.remedy, "--own"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),       cmocka_unit_test(test_forms),
        cmocka_unit_test(test_stray_word),     cmocka_unit_test(test_refused),
        cmocka_unit_test(test_ignore_failure), cmocka_unit_test(test_tables),
        cmocka_unit_test(test_also),           cmocka_unit_test(test_help_is_complete),
        cmocka_unit_test(test_plan_command),   cmocka_unit_test(test_plan_refused),
        cmocka_unit_test(test_plan_values),    cmocka_unit_test(test_profile),
        cmocka_unit_test(test_shell_syntax),   cmocka_unit_test(test_progress),
        cmocka_unit_test(test_list),           cmocka_unit_test(test_plan_telemetry),
        cmocka_unit_test(test_plan_outfit),    cmocka_unit_test(test_profile_keeps_no_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
