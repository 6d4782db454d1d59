#include "core/json.h"

#include "core/limits.h"
#include "core/str.h"
#include "tests/unit/unit.h"

static void assert_json(json_t *value, const char *expected)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    assert_non_null(text);
    assert_string_equal(text, expected);
    free(text);
    json_decref(value);
}

static void test_numbers(void **state)
{
    (void)state;
    assert_json(pw_json_number(pw_value_of(3), true), "3");
    assert_json(pw_json_number(pw_value_of(3), false), "3.0");
    assert_json(pw_json_number(pw_value_of(-0.5), true), "-0.5");
    assert_json(pw_json_number(pw_value_of(0.1), false), "0.10000000000000001");
    assert_json(pw_json_number(pw_value_of(9007199254740992.0), true), "9007199254740992");
    assert_json(pw_json_number(pw_value_of(1e300), true), "1.0000000000000001e300");
    assert_json(pw_json_number(pw_value_absent(PW_ABSENT_NO_SAMPLES), true), "null");
    assert_json(pw_json_number((struct pw_value){.number = NAN, .state = PW_PRESENT}, false),
                "null");
}

static void test_failure_is_kept(void **state)
{
    (void)state;
    bool failed = false;
    json_t *object = json_object();
    pw_json_put(object, "a", json_integer(1), &failed);
    assert_false(failed);
    pw_json_put(object, "b", NULL, &failed);
    assert_true(failed);
    pw_json_put(object, "c", json_integer(1), &failed);
    assert_true(failed);
    failed = false;
    pw_json_put(NULL, "a", json_integer(1), &failed); /* takes the reference */
    assert_true(failed);
    failed = false;
    pw_json_append(NULL, json_integer(1), &failed);
    assert_true(failed);
    assert_json(object, "{\"a\":1,\"c\":1}");
}

#define MENDED "\xEF\xBF\xBD"

static void test_strings(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", ""},
        {"a\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80", "a\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80"},
        {"a\xFFz", "a" MENDED "z"},
        {"\x80", MENDED},
        {"a\xC3", "a" MENDED},                             /* cut off */
        {"\xE2\x82", MENDED MENDED},                       /* cut off */
        {"\xC0\xAF", MENDED MENDED},                       /* overlong */
        {"\xE0\x9F\xBF", MENDED MENDED MENDED},            /* overlong */
        {"\xED\xA0\x80", MENDED MENDED MENDED},            /* surrogate */
        {"\xF4\x90\x80\x80", MENDED MENDED MENDED MENDED}, /* above U+10FFFF */
        {"\xF5\x80\x80\x80", MENDED MENDED MENDED MENDED},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_t *string = pw_json_string_or_null(cases[i][0]);
        assert_non_null(string);
        assert_string_equal(json_string_value(string), cases[i][1]);
        json_decref(string);
    }
    assert_json(pw_json_string_or_null(NULL), "null");
}

static void test_make_path(void **state)
{
    (void)state;
    bool failed = false;
    json_t *root = json_object();
    json_t *inner = pw_json_make_path(root, "a.bb.c", &failed);
    pw_json_put(inner, "x", json_integer(1), &failed);
    assert_ptr_equal(pw_json_make_path(root, "a.bb.c", &failed), inner);
    pw_json_put(pw_json_make_path(root, "a.d", &failed), "y", json_integer(2), &failed);
    assert_ptr_equal(pw_json_make_path(root, "", &failed), root);
    assert_false(failed);
    assert_null(pw_json_make_path(root, "a.d.y.z", &failed)); /* y is a number */
    assert_true(failed);
    assert_json(root, "{\"a\":{\"bb\":{\"c\":{\"x\":1}},\"d\":{\"y\":2}}}");
}

static void test_find(void **state)
{
    (void)state;
    json_t *root = json_loads("{\"a\":{\"b\":[10,{\"c\":11}],\"x.y\":{\"z\":12},\"x\":{\"w\":13}},"
                              "\"codex.tool.ms\":14,\"e\":{}}",
                              0, NULL);
    static const struct {
        const char *path;
        int expected; /* 0: not there */
    } cases[] = {
        {"a.b.0", 10},
        {"a.b.1.c", 11},
        {"a.x.y.z", 12},
        {"a.x.w", 13},
        {"a.b.2", 0},
        {"codex.tool.ms", 14},
        {"codex.tool", 0},
        {"a.b.c", 0},
        {"a.b.0.x", 0},
        {"a.b.-1", 0},
        {"a.b.", 0},
        {"", 0},
        {".", 0},
        {"a..b", 0},
        {"a.b.1x", 0},
        {"e.x", 0},
        {"a.b.99999999999999999999999999", 0},
        {"a.b. 1", 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const json_t *found = pw_json_find(root, cases[i].path);
        if (json_integer_value(found) != cases[i].expected) {
            fail_msg("%s", cases[i].path);
        }
    }
    assert_null(pw_json_find(NULL, "a"));
    json_decref(root);
}

static void test_find_is_bounded(void **state)
{
    (void)state;
    json_t *root = json_integer(7);
    PW_STR_AUTO path = PW_STR_INIT;
    pw_str_add(&path, "a");
    for (int depth = 1; depth <= PW_LIMIT_PATH_DEPTH; depth++) {
        json_t *outer = json_object();
        json_object_set_new(outer, "a", root);
        root = outer;
        if (depth > 1) {
            pw_str_add(&path, ".a");
        }
    }
    assert_int_equal(json_integer_value(pw_json_find(root, path.text)), 7);
    json_t *outer = json_object();
    json_object_set_new(outer, "a", root);
    pw_str_add(&path, ".a");
    assert_null(pw_json_find(outer, path.text));
    json_decref(outer);
}

static void write_text(const char *path, const char *text)
{
    assert_int_equal(pw_file_write(path, text, strlen(text), 0666, NULL), 0);
}

static void test_read_faults(void **state)
{
    PW_FREE_AUTO char *path = in_folder(state, "a.json");
    static const char *const cases[][2] = {
        {"", "line 1"},
        {"{\"a\": 1,\n \"b\": x}", "line 2, column 7"},
        {"{\"a\": 1, \"a\": 2}", "duplicate"},
        {"{\"a\": NaN}", "line 1, column 9"},
        {"{} {}", "line 1"},
        {"{\"a\": 1e999}", "overflow"},
        {"{\"a\": \"\xFF\"}", "unable to decode"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pw_err err = PW_ERR_INIT;
        json_t *root = NULL;
        write_text(path, cases[i][0]);
        assert_int_equal(pw_json_read_file(path, &root, &err), -1);
        assert_int_equal(err.cls, PW_ERR_INPUT);
        assert_contains(err.message, path);
        assert_contains(err.message, cases[i][1]);
        assert_null(root);
    }
    /* Brackets without end must not exhaust the stack. */
    PW_FREE_AUTO char *deep = malloc(1000001);
    memset(deep, '[', 1000000);
    deep[1000000] = '\0';
    struct pw_err err = PW_ERR_INIT;
    json_t *root = NULL;
    write_text(path, deep);
    assert_int_equal(pw_json_read_file(path, &root, &err), -1);
    assert_contains(err.message, "depth");
    assert_int_equal(pw_json_read_file("/nonexistent.json", &root, &err), -1);
    assert_int_equal(err.cls, PW_ERR_INPUT);
}

static void test_write_and_read(void **state)
{
    struct pw_err err = PW_ERR_INIT;
    PW_FREE_AUTO char *path = in_folder(state, "a.json");
    json_t *root = json_pack("{s:f, s:[i,n], s:s}", "z", 0.1, "a", 1, "m", "\xC3\xA4\n");
    assert_int_equal(pw_json_write_file(path, root, &err), 0);
    PW_FREE_AUTO char *text = NULL;
    assert_int_equal(pw_file_read(path, 1000, &text, NULL, &err), 0);
    assert_string_equal(text, "{\n  \"z\": 0.1,\n  \"a\": [\n    1,\n    null\n  ],\n"
                              "  \"m\": \"\xC3\xA4\\n\"\n}\n");
    PW_FREE_AUTO char *dumped = pw_json_dump(root, &err);
    assert_string_equal(dumped, text);
    json_t *again = NULL;
    assert_int_equal(pw_json_read_file(path, &again, &err), 0);
    assert_true(json_equal(root, again));
    json_decref(again);
    json_decref(root);
    root = json_integer(1); /* no document */
    assert_null(pw_json_dump(root, &err));
    assert_int_equal(err.cls, PW_ERR_INTERNAL);
    assert_int_equal(pw_json_write_file(path, root, &err), -1);
    json_decref(root);
    PW_FREE_AUTO char *kept = NULL;
    assert_int_equal(pw_file_read(path, 1000, &kept, NULL, &err), 0);
    assert_string_equal(kept, text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_failure_is_kept),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_make_path),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_find_is_bounded),
        cmocka_unit_test_setup_teardown(test_read_faults, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(test_write_and_read, make_folder, drop_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
