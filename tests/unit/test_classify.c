#include "collector/classify.h"

#include "tests/unit/unit.h"

static struct pw_classifier *make(const struct pw_classifier_spec *spec)
{
    struct pw_classifier *classifier = NULL;
    struct pw_err err = PW_ERR_INIT;
    if (pw_classifier_new(spec, &classifier, &err) != 0) {
        fail_msg("%s", err.message);
    }
    return classifier;
}

enum {
    TURN = PW_FAMILY_BIT(PW_FAMILY_TURN),
    ACTION = PW_FAMILY_BIT(PW_FAMILY_ACTION),
    STREAM = PW_FAMILY_BIT(PW_FAMILY_STREAM),
    QUEUE = PW_FAMILY_BIT(PW_FAMILY_QUEUE)
};

static void test_families_of_the_contract(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        unsigned families;
    } metrics[] = {
        {"codex.turn.e2e_duration_ms", TURN},
        {"codex.turn.tool.call", TURN}, /* `codex\.tool` is not in it, nor a duration of a tool */
        {"codex.turn.memory", TURN},
        {"codexXturn.memory", 0}, /* the dot is a dot */
        {"agent.turn.latency", TURN | ACTION},
        {"my.TURN.Duration", TURN},
        {"turn_count", 0},
        {"codex.tool.call", ACTION},
        {"codex.tool.call.duration_ms", ACTION},
        {"codex.tools.registered", ACTION},
        {"apply_patch.latency", ACTION},
        {"search.index.duration", ACTION},
        {"agent.step.duration", ACTION},
        {"duration.of.search", 0}, /* in that order */
        {"stream.chunk.ms", STREAM},
        {"llm.first_token.latency", STREAM},
        {"http.ttfb.duration", STREAM},
        {"codex.turn.ttft.duration_ms", TURN},
        {"streams", 0},
        {"tool.stream.duration", ACTION | STREAM},
        {"job.queue.size", QUEUE},
        {"requests_cancelled", QUEUE},
        {"turn.interrupt.duration", TURN | QUEUE},
        {"aborted", QUEUE},
        {"process.cpu.time", 0},
        {"", 0},
        {"caf\xC3\xA9.queue", QUEUE},
        {"bad \xFF utf8 queue", QUEUE},
    };
    struct pw_classifier *classifier = make(&pw_classifier_defaults);
    for (size_t i = 0; i < sizeof(metrics) / sizeof(*metrics); i++) {
        unsigned families = pw_classify_metric(classifier, metrics[i].name);
        if (families != metrics[i].families) {
            fail_msg("`%s` is of families %#x, not %#x", metrics[i].name, families,
                     metrics[i].families);
        }
    }
    pw_classifier_free(classifier);
    pw_classifier_free(NULL);
}

static void test_own_patterns(void **state)
{
    (void)state;
    struct pw_classifier_spec spec = {.patterns = {[PW_FAMILY_QUEUE] = "^wait$"}};
    struct pw_classifier *classifier = make(&spec);
    assert_int_equal(pw_classify_metric(classifier, "WAIT"), QUEUE);
    assert_int_equal(pw_classify_metric(classifier, "await"), 0);
    assert_int_equal(pw_classify_metric(classifier, "job.queue"), 0);
    assert_int_equal(pw_classify_metric(classifier, "codex.turn"), TURN); /* the default */
    pw_classifier_free(classifier);
}

static void test_faulty_patterns(void **state)
{
    (void)state;
    struct pw_classifier *classifier = NULL;
    struct pw_err err = PW_ERR_INIT;
    struct pw_classifier_spec spec = {.patterns = {[PW_FAMILY_STREAM] = "stream(ms"}};
    assert_int_equal(pw_classifier_new(&spec, &classifier, &err), -1);
    assert_int_equal(err.cls, PW_ERR_USAGE);
    assert_contains(err.message, "family stream");
    assert_contains(err.message, "`stream(ms`");
    assert_contains(err.message, "character 10");
    assert_contains(err.message, "parenthesis");
    spec = (struct pw_classifier_spec){.action_log_pattern = "*"};
    assert_int_equal(pw_classifier_new(&spec, &classifier, &err), -1);
    assert_int_equal(err.cls, PW_ERR_USAGE);
    assert_contains(err.message, "log events");
    assert_null(classifier);
}

/* A pattern that backtracks without end is cut short: the name then is of no family. */
static void test_match_limit(void **state)
{
    (void)state;
    char name[256];
    struct pw_classifier_spec spec = {.patterns = {[PW_FAMILY_TURN] = "^(a|a)*(a|a)*b$"}};
    struct pw_classifier *classifier = make(&spec);
    memset(name, 'a', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    assert_int_equal(pw_classify_metric(classifier, name), 0);
    assert_int_equal(pw_classify_metric(classifier, "aaab"), TURN);
    pw_classifier_free(classifier);
}

static void test_action_attributes(void **state)
{
    (void)state;
    unsigned rank = 99;
    struct pw_classifier *classifier = make(&pw_classifier_defaults);
    static const char *const best_first[] = {"gen_ai.tool.name", "tool.name", "tool_name", "tool",
                                             "action.name",      "action"};
    for (unsigned i = 0; i < 6; i++) {
        assert_true(pw_classify_is_action(classifier, best_first[i], &rank));
        assert_int_equal(rank, i);
    }
    assert_false(pw_classify_is_action(classifier, "Tool", &rank));
    assert_false(pw_classify_is_action(classifier, "tools", &rank));
    assert_false(pw_classify_is_action(classifier, "", &rank));
    assert_int_equal(rank, 5);
    pw_classifier_free(classifier);

    struct pw_classifier_spec spec = {.action_attributes = " step , ,\tphase\t,"};
    classifier = make(&spec);
    assert_true(pw_classify_is_action(classifier, "phase", &rank));
    assert_int_equal(rank, 1);
    assert_true(pw_classify_is_action(classifier, "step", &rank));
    assert_int_equal(rank, 0);
    assert_false(pw_classify_is_action(classifier, "", &rank));
    assert_false(pw_classify_is_action(classifier, "tool", &rank));
    pw_classifier_free(classifier);
}

static void test_action_logs(void **state)
{
    (void)state;
    struct pw_classifier *classifier = make(&pw_classifier_defaults);
    assert_true(pw_classify_is_action_log(classifier, "codex.tool_result"));
    assert_true(pw_classify_is_action_log(classifier, "claude_code.tool_result"));
    assert_true(pw_classify_is_action_log(classifier, "Tool.Execution"));
    assert_true(pw_classify_is_action_log(classifier, "toolcall"));
    assert_true(pw_classify_is_action_log(classifier, "action end"));
    assert_false(pw_classify_is_action_log(classifier, "codex.tool_decision"));
    assert_false(pw_classify_is_action_log(classifier, "tool__result"));
    assert_false(pw_classify_is_action_log(classifier, ""));
    pw_classifier_free(classifier);
    struct pw_classifier_spec spec = {.action_log_pattern = "^done$"};
    classifier = make(&spec);
    assert_true(pw_classify_is_action_log(classifier, "done"));
    assert_false(pw_classify_is_action_log(classifier, "tool_result"));
    pw_classifier_free(classifier);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_families_of_the_contract), cmocka_unit_test(test_own_patterns),
        cmocka_unit_test(test_faulty_patterns),          cmocka_unit_test(test_match_limit),
        cmocka_unit_test(test_action_attributes),        cmocka_unit_test(test_action_logs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
