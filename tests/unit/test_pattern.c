/* core/pattern: what matches, what is refused, and that no match takes long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "core/clock.h"
#include "core/pattern.h"

static bool matches(const char *text, bool ignore_case, const char *subject, size_t length)
{
    struct pw_pattern *pattern = NULL;
    struct pw_err err = PW_ERR_INIT;
    if (pw_pattern_new(text, ignore_case, &pattern, &err) != 0) {
        fail_msg("%s", err.message);
    }
    bool result = pw_pattern_matches(pattern, subject, length);
    pw_pattern_free(pattern);
    return result;
}

static bool finds(const char *text, const char *subject)
{
    return matches(text, false, subject, strlen(subject));
}

static void it_is_searched_anywhere(void **state)
{
    (void)state;
    assert_true(finds("ready", "the server is ready now"));
    assert_true(finds("", ""));
    assert_true(finds("^$", ""));
    assert_true(finds("^port \\d+$", "port 8080"));
    assert_false(finds("^port \\d+$", "port 8080 "));
    assert_false(finds("Ready", "ready"));
    assert_true(matches("Ready", true, "rEADY", 5));
    assert_true(finds("^.$", "\xc3\xa9")); /* one character of two bytes */
}

static void the_length_counts_not_the_nul(void **state)
{
    (void)state;
    assert_true(matches("b$", false, "a\0b", 3));
    assert_false(matches("b", false, "a\0b", 2));
    assert_true(matches("a\\x00b", false, "a\0b", 3));
}

static void bytes_that_are_no_utf8_match_nothing_and_harm_nothing(void **state)
{
    (void)state;
    static const char broken[] = "\xff\xfe ready \xc3";
    assert_true(matches("ready", false, broken, sizeof broken - 1));
    assert_false(matches("^.", false, "\xff", 1));
    assert_false(matches("\xc3\xa9", false, "\xc3", 1));
}

static void faults_have_a_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *place;
    } faulty[] = {{"ab(cd", "character 6"}, {"[a", "character 3"}, {"*a", "character 1"}};
    for (size_t i = 0; i < sizeof faulty / sizeof *faulty; i++) {
        struct pw_pattern *pattern = NULL;
        struct pw_err err = PW_ERR_INIT;
        assert_int_equal(pw_pattern_new(faulty[i].text, false, &pattern, &err), -1);
        assert_int_equal(err.cls, PW_ERR_USAGE);
        assert_non_null(strstr(err.message, faulty[i].text));
        if (!strstr(err.message, faulty[i].place)) {
            fail_msg("%s", err.message);
        }
        assert_null(pattern);
    }
}

/* Each would take longer than the universe is old. */
static void no_match_takes_long(void **state)
{
    (void)state;
    enum { LENGTH = 8192 };
    static const char *const catastrophic[] = {"(a+)+$", "(a|aa)+$", "^(([a-z])+.)+[A-Z]([a-z])+$",
                                               "(.*)*b"};
    static char subject[LENGTH];
    memset(subject, 'a', LENGTH);
    subject[LENGTH - 1] = '!';
    int64_t began = pw_clock_now_ns();
    for (size_t i = 0; i < sizeof catastrophic / sizeof *catastrophic; i++) {
        assert_false(matches(catastrophic[i], false, subject, LENGTH));
    }
    assert_true(pw_clock_now_ns() - began < 20 * PW_NS_PER_SEC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_searched_anywhere),
        cmocka_unit_test(the_length_counts_not_the_nul),
        cmocka_unit_test(bytes_that_are_no_utf8_match_nothing_and_harm_nothing),
        cmocka_unit_test(faults_have_a_place),
        cmocka_unit_test(no_match_takes_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
