#include "core/str.h"

#include "core/limits.h"
#include "tests/unit/unit.h"

static void test_grows(void **state)
{
    (void)state;
    PW_STR_AUTO str = PW_STR_INIT;
    assert_string_equal(str.text, "");
    for (int i = 0; i < 1000; i++) {
        pw_str_addf(&str, "%d,", i);
    }
    assert_int_equal(str.length, 10 * 2 + 90 * 3 + 900 * 4);
    assert_int_equal(strlen(str.text), str.length);
    assert_memory_equal(str.text, "0,1,2,", 6);
    assert_string_equal(str.text + str.length - 4, "999,");
    pw_str_clear(&str);
    assert_string_equal(str.text, "");
    pw_str_add_bytes(&str, "a\0b", 3);
    pw_str_add_char(&str, 'c');
    assert_int_equal(str.length, 4);
    assert_memory_equal(str.text, "a\0bc", 5);
    pw_str_done(&str);
    pw_str_done(&str); /* twice is fine */
    pw_str_clear(&str);
    assert_string_equal(str.text, "");
}

static void test_failure_is_sticky(void **state)
{
    (void)state;
    struct pw_err err = PW_ERR_INIT;
    PW_STR_AUTO str = PW_STR_INIT;
    pw_str_add(&str, "abc");
    pw_str_add_bytes(&str, "x", SIZE_MAX - 2); /* cannot be had */
    assert_true(str.failed);
    pw_str_add(&str, "def");
    assert_string_equal(str.text, "abc");
    assert_null(pw_str_take(&str, &err));
    assert_int_equal(err.cls, PW_ERR_MEMORY);
    assert_string_equal(str.text, "");
    assert_false(str.failed);
}

static void test_take(void **state)
{
    (void)state;
    PW_STR_AUTO str = PW_STR_INIT;
    char *text = pw_str_take(&str, NULL);
    assert_string_equal(text, "");
    free(text);
    pw_str_add(&str, "abc");
    text = pw_str_take(&str, NULL);
    assert_string_equal(text, "abc");
    assert_string_equal(str.text, "");
    assert_int_equal(str.length, 0);
    free(text);
}

static void test_shell_words(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", "''"},         {"abc", "abc"},         {"/usr/bin/x-1.2_3", "/usr/bin/x-1.2_3"},
        {"a b", "'a b'"},   {"it's", "'it'\\''s'"}, {"$HOME", "'$HOME'"},
        {"a\nb", "'a\nb'"}, {"--x=1,2", "--x=1,2"}, {"\xC3\xA4", "'\xC3\xA4'"},
        {"*", "'*'"},       {"~", "'~'"},           {"a;b", "'a;b'"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        PW_STR_AUTO str = PW_STR_INIT;
        pw_str_add_shell_word(&str, cases[i][0]);
        assert_string_equal(str.text, cases[i][1]);
    }
    char *argv[] = {"sh", "-c", "echo 'x y'", "", NULL};
    PW_STR_AUTO command = PW_STR_INIT;
    pw_str_add_command(&command, argv);
    assert_string_equal(command.text, "sh -c 'echo '\\''x y'\\''' ''");
}

/* Splits and joins with bars. */
static void assert_split(const char *line, const char *expected)
{
    struct pw_err err = PW_ERR_INIT;
    char **words = NULL;
    if (pw_split_words(line, &words, &err) != 0) {
        fail_msg("%s: %s", line, err.message);
    }
    PW_STR_AUTO joined = PW_STR_INIT;
    for (size_t i = 0; words[i]; i++) {
        pw_str_addf(&joined, "%s|", words[i]);
    }
    free(words);
    assert_string_equal(joined.text, expected);
}

static void test_split(void **state)
{
    (void)state;
    assert_split("a", "a|");
    assert_split("a b", "a|b|");
    assert_split(" \t a\n\n b  ", "a|b|");
    assert_split("'a b' \"c d\"", "a b|c d|");
    assert_split("a'b'\"c\"d", "abcd|");
    assert_split("'' \"\" x", "||x|");
    assert_split("''", "|");
    assert_split("a\\ b \\'c\\' \\\\", "a b|'c'|\\|");
    assert_split("'a\\b\"$'", "a\\b\"$|");
    /* Between double quotes a backslash quotes only these; else it stands for itself. */
    assert_split("\"\\$ \\` \\\" \\\\ \\n \\' '\"", "$ ` \" \\ \\n \\' '|");
    /* Backslash and newline are nothing, anywhere but between single quotes. */
    assert_split("a\\\nb \\\n c \"d\\\ne\" 'f\\\ng'", "ab|c|de|f\\\ng|");
    assert_split("a \\\n", "a|");
    /* No expansions, no operators, no comments. */
    assert_split("a|b $X `c` * ~ #d > e; f&", "a|b|$X|`c`|*|~|#d|>|e;|f&|");
    assert_split("K=V \xC3\xA4", "K=V|\xC3\xA4|");
}

static void test_split_undoes_quoting(void **state)
{
    (void)state;
    char *argv[] = {"a", "", "b c", "it's", "\"", "\\", "x\ny", "\\\n", "$(x)", "-", NULL};
    PW_STR_AUTO line = PW_STR_INIT;
    pw_str_add_command(&line, argv);
    char **words = NULL;
    assert_int_equal(pw_split_words(line.text, &words, NULL), 0);
    size_t i = 0;
    for (; argv[i]; i++) {
        assert_non_null(words[i]);
        assert_string_equal(words[i], argv[i]);
    }
    assert_null(words[i]);
    free(words);
}

static void test_split_refuses(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", "no words"},
        {" \t\n", "no words"},
        {"\\\n", "no words"},
        {"a 'b", "unclosed single quote"},
        {"a \"b", "unclosed double quote"},
        {"a \"b\\", "unclosed double quote"},
        {"a \"b\\\"", "unclosed double quote"},
        {"a\\", "backslash at the end"},
        {"\\", "backslash at the end"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pw_err err = PW_ERR_INIT;
        char *untouched[] = {NULL};
        char **words = untouched;
        assert_int_equal(pw_split_words(cases[i][0], &words, &err), -1);
        assert_int_equal(err.cls, PW_ERR_USAGE);
        assert_string_equal(err.message, cases[i][1]);
        assert_ptr_equal(words, untouched);
    }
}

static void test_split_is_bounded(void **state)
{
    (void)state;
    PW_STR_AUTO line = PW_STR_INIT;
    for (int i = 0; i < PW_LIMIT_COMMAND_WORDS; i++) {
        pw_str_add(&line, "a ");
    }
    char **words = NULL;
    assert_int_equal(pw_split_words(line.text, &words, NULL), 0);
    assert_string_equal(words[PW_LIMIT_COMMAND_WORDS - 1], "a");
    assert_null(words[PW_LIMIT_COMMAND_WORDS]);
    free(words);
    struct pw_err err = PW_ERR_INIT;
    pw_str_add(&line, "b");
    assert_int_equal(pw_split_words(line.text, &words, &err), -1);
    assert_string_equal(err.message, "too many words");
}

static void test_nearest(void **state)
{
    (void)state;
    static const char *const names[] = {
        "--iterations", "--warmup", "--timeout-sec", "--shell", "--setup", "--pss", NULL};
    static const char *const cases[][2] = {
        {"--iteration", "--iterations"},
        {"--itertaions", "--iterations"},
        {"--warm-up", "--warmup"},
        {"--warnup", "--warmup"},
        {"--timeout", "--timeout-sec"},
        {"--timeout-secs", "--timeout-sec"},
        {"--shel", "--shell"},
        {"--setpu", "--setup"},
        {"--pss", "--pss"},
        {"--frobnicate", NULL},
        {"", NULL},
        {"x", NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *nearest = pw_nearest_name(cases[i][0], names);
        assert_string_equal(nearest ? nearest : "(none)", cases[i][1] ? cases[i][1] : "(none)");
    }
    static const char *const none[] = {NULL};
    assert_null(pw_nearest_name("--pss", none));
    /* Of equally near ones the first; nothing overlong is compared. */
    static const char *const alike[] = {"--bat", "--car", NULL};
    assert_ptr_equal(pw_nearest_name("--cat", alike), alike[0]);
    char overlong[200];
    memset(overlong, 'a', sizeof(overlong) - 1);
    overlong[sizeof(overlong) - 1] = '\0';
    const char *const with_overlong[] = {overlong, "--pss", NULL};
    assert_null(pw_nearest_name(overlong, with_overlong));
    assert_ptr_equal(pw_nearest_name("--ps", with_overlong), with_overlong[1]);
}

static void test_last_lines(void **state)
{
    (void)state;
    static const char text[] = "1\n2\n\n4";
    assert_string_equal(pw_lines_last(text, sizeof(text) - 1, 1), "4");
    assert_string_equal(pw_lines_last(text, sizeof(text) - 1, 3), "2\n\n4");
    assert_string_equal(pw_lines_last(text, sizeof(text) - 1, 4), text);
    assert_string_equal(pw_lines_last(text, sizeof(text) - 1, 9), text);
    assert_string_equal(pw_lines_last(text, 3, 1), "2\n\n4");
    assert_string_equal(pw_lines_last(text, 0, 1), text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grows),         cmocka_unit_test(test_failure_is_sticky),
        cmocka_unit_test(test_take),          cmocka_unit_test(test_shell_words),
        cmocka_unit_test(test_split),         cmocka_unit_test(test_split_undoes_quoting),
        cmocka_unit_test(test_split_refuses), cmocka_unit_test(test_split_is_bounded),
        cmocka_unit_test(test_nearest),       cmocka_unit_test(test_last_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
