#include "core/err.h"

#include <errno.h>
#include "tests/unit/unit.h"

static void test_starts_empty(void **state)
{
    (void)state;
    struct pw_err err = PW_ERR_INIT;
    assert_false(pw_err_is_set(&err));
    assert_false(pw_err_is_set(NULL));
    assert_int_equal(pw_err_exit_status(&err), 0);
    assert_int_equal(pw_err_prefix(&err, "no failure"), -1);
    assert_string_equal(err.message, "");
    assert_false(pw_err_is_set(&err));
}

static void test_set_replaces_all(void **state)
{
    (void)state;
    struct pw_err err = PW_ERR_INIT;
    assert_int_equal(pw_err_system(&err, ENOENT, "open `%s`", "x.json"), -1);
    assert_int_equal(pw_err_remedy(&err, "Make %s.", "it"), -1);
    assert_int_equal(err.cls, PW_ERR_SYSTEM);
    assert_int_equal(err.sys, ENOENT);
    assert_string_equal(err.message, "open `x.json`: No such file or directory");
    assert_string_equal(err.remedy, "Make it.");

    assert_int_equal(pw_err_set(&err, PW_ERR_INPUT, "line %d", 7), -1);
    assert_int_equal(err.cls, PW_ERR_INPUT);
    assert_int_equal(err.sys, 0);
    assert_string_equal(err.message, "line 7");
    assert_string_equal(err.remedy, "");

    pw_err_memory(&err);
    assert_int_equal(err.cls, PW_ERR_MEMORY);
    assert_string_equal(err.message, "out of memory");
}

static void test_errno_of_other_classes(void **state)
{
    (void)state;
    struct pw_err err = PW_ERR_INIT;
    pw_err_remedy(&err, "of before");
    assert_int_equal(pw_err_input(&err, ENOENT, "open `%s`", "x"), -1);
    assert_int_equal(err.cls, PW_ERR_INPUT);
    assert_int_equal(err.sys, ENOENT);
    assert_string_equal(err.message, "open `x`: No such file or directory");
    assert_string_equal(err.remedy, "");
    pw_err_set(&err, PW_ERR_SYSTEM, "too late");
    assert_int_equal(pw_err_errno(&err, ETIMEDOUT), -1);
    assert_int_equal(err.cls, PW_ERR_SYSTEM);
    assert_int_equal(err.sys, ETIMEDOUT);
    assert_string_equal(err.message, "too late");
    assert_int_equal(pw_err_input(NULL, ENOENT, "x"), -1);
    assert_int_equal(pw_err_errno(NULL, ENOENT), -1);
}

static void test_unknown_errno(void **state)
{
    (void)state;
    struct pw_err err = PW_ERR_INIT;
    pw_err_system(&err, 987654, "do");
    assert_string_equal(err.message, "do: unknown error");
}

static void test_prefix_goes_outward(void **state)
{
    (void)state;
    struct pw_err err = PW_ERR_INIT;
    pw_err_system(&err, ENOSPC, "open `x`");
    pw_err_remedy(&err, "Free space.");
    pw_err_prefix(&err, "write summary");
    pw_err_prefix(&err, "run %d", 3);
    assert_string_equal(err.message, "run 3: write summary: open `x`: No space left on device");
    assert_int_equal(err.sys, ENOSPC);
    assert_string_equal(err.remedy, "Free space.");
    /* The arguments may be the message itself. */
    pw_err_set(&err, PW_ERR_INPUT, "inner");
    pw_err_prefix(&err, "<%s>", err.message);
    assert_string_equal(err.message, "<inner>: inner");
}

static void test_cuts_off(void **state)
{
    (void)state;
    char text[2 * PW_ERR_MESSAGE_MAX];
    memset(text, 'a', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    struct pw_err err = PW_ERR_INIT;

    pw_err_set(&err, PW_ERR_INPUT, "%s", text);
    assert_int_equal(strlen(err.message), PW_ERR_MESSAGE_MAX - 1);
    pw_err_prefix(&err, "b");
    assert_int_equal(strlen(err.message), PW_ERR_MESSAGE_MAX - 1);
    assert_memory_equal(err.message, "b: aaa", 6);
    pw_err_system(&err, ENOENT, "%s", text);
    assert_int_equal(strlen(err.message), PW_ERR_MESSAGE_MAX - 1);
    pw_err_set(&err, PW_ERR_INPUT, "short");
    pw_err_prefix(&err, "%s", text);
    assert_int_equal(strlen(err.message), PW_ERR_MESSAGE_MAX - 1);
    assert_int_equal(err.message[PW_ERR_MESSAGE_MAX - 2], 'a');
    pw_err_remedy(&err, "%s", text);
    assert_int_equal(strlen(err.remedy), PW_ERR_REMEDY_MAX - 1);
    /* What just fits is whole. */
    pw_err_set(&err, PW_ERR_INPUT, "%.*s", PW_ERR_MESSAGE_MAX - 4, text);
    pw_err_prefix(&err, "b");
    assert_int_equal(strlen(err.message), PW_ERR_MESSAGE_MAX - 1);
    assert_int_equal(err.message[3], 'a');
}

static void test_accepts_null(void **state)
{
    (void)state;
    assert_int_equal(pw_err_set(NULL, PW_ERR_INPUT, "x"), -1);
    assert_int_equal(pw_err_system(NULL, ENOENT, "x"), -1);
    assert_int_equal(pw_err_memory(NULL), -1);
    assert_int_equal(pw_err_prefix(NULL, "x"), -1);
    assert_int_equal(pw_err_remedy(NULL, "x"), -1);
    assert_int_equal(pw_err_exit_status(NULL), 0);
}

static void test_exit_statuses(void **state)
{
    (void)state;
    static const int expected[PW_ERR_CLASS_COUNT] = {0, 2, 2, 125, 125, 125, 126, 127};
    for (int cls = 0; cls < PW_ERR_CLASS_COUNT; cls++) {
        struct pw_err err = {.cls = (enum pw_err_class)cls, .sys = 99};
        assert_int_equal(pw_err_exit_status(&err), expected[cls]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_starts_empty),           cmocka_unit_test(test_set_replaces_all),
        cmocka_unit_test(test_errno_of_other_classes), cmocka_unit_test(test_unknown_errno),
        cmocka_unit_test(test_prefix_goes_outward),    cmocka_unit_test(test_cuts_off),
        cmocka_unit_test(test_accepts_null),           cmocka_unit_test(test_exit_statuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
