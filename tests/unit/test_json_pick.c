#include "core/json_pick.h"

#include "tests/unit/unit.h"

static const char *const places[] = {"a", "b.c", "b", "b.longer_than_eight", "d.e.f", "n"};
enum { PLACE_COUNT = sizeof places / sizeof *places };

static struct pw_json_picker *new_picker(void)
{
    struct pw_json_picker *picker = NULL;
    assert_int_equal(pw_json_picker_new(places, PLACE_COUNT, &picker, NULL), 0);
    return picker;
}

/* Exactly the padding may be read; its content must not matter. free() it. */
static char *padded(const char *text, size_t size, char padding)
{
    char *copy = malloc(size + PW_JSON_PADDING);
    assert_non_null(copy);
    memcpy(copy, text, size);
    memset(copy + size, padding, PW_JSON_PADDING);
    return copy;
}

/* Picks; the texts are good for plain strings only while `*ret_copy`, to be freed, is there. */
static int run(struct pw_json_picker *picker, const char *text, struct pw_json_picked *ret_picked,
               char **ret_copy)
{
    *ret_copy = padded(text, strlen(text), '7');
    return pw_json_picker_run(picker, *ret_copy, strlen(text), ret_picked, NULL);
}

static void test_places(void **state)
{
    (void)state;
    struct pw_json_picker *picker = new_picker();
    struct pw_json_picked picked[PLACE_COUNT];
    char *copy = NULL;
    const char *text = " {\"x\": [1, {\"a\": 2}], \"a\": -1.5e2, \"b\": {\"longer_than_eighty\": 1,"
                       " \"longer_than_eight\": \"caf\\u00e9 \\\"}\", \"c\": null}, "
                       "\"d\": {\"e\": [\"}\"], \"f\": 3}, \"n\": 12345678901234567890123} \n";
    assert_int_equal(run(picker, text, picked, &copy), 0);
    assert_true(picked[0].present);
    assert_int_equal(picked[0].kind, PW_JSON_DOUBLE);
    assert_near(picked[0].number, -150);
    assert_int_equal(picked[1].kind, PW_JSON_NULL);
    assert_true(picked[1].present);
    assert_int_equal(picked[2].kind, PW_JSON_OBJECT);
    assert_int_equal(picked[3].kind, PW_JSON_STRING);
    assert_int_equal(picked[3].length, strlen("caf\xc3\xa9 \"}"));
    assert_memory_equal(picked[3].text, "caf\xc3\xa9 \"}", picked[3].length);
    assert_false(picked[4].present); /* `e` is no object */
    assert_near(picked[5].number, 12345678901234567890123.0);
    free(copy);
    assert_int_equal(run(picker, "{\"b\": [true], \"a\": \"text\", \"n\": false}", picked, &copy),
                     0);
    assert_int_equal(picked[2].kind, PW_JSON_ARRAY);
    assert_int_equal(picked[0].length, 4);
    assert_memory_equal(picked[0].text, "text", 4);
    assert_int_equal(picked[5].kind, PW_JSON_BOOL);
    assert_false(picked[3].present);
    free(copy);
    pw_json_picker_free(picker);
    pw_json_picker_free(NULL);
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        " ",
        "{",
        "}",
        "[]",
        "1",
        "\"a\"",
        "null",
        "{}1",
        "{} {}",
        "{}}",
        "{\"a\":1e999}",
        "{\"a\":01}",
        "{\"a\":1.}",
        "{\"a\":.5}",
        "{\"a\":+1}",
        "{\"a\":-}",
        "{\"a\":1x}",
        "{\"a\":0x10}",
        "{\"a\":NaN}",
        "{\"a\":Infinity}",
        "{\"a\":nul}",
        "{\"a\":nullx}",
        "{\"a\":truefalse}",
        "{\"a\":1,\"a\":2}",
        "{\"a\":1,}",
        "{\"a\" 1}",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"x\":,}",
        "{\"x\"::1}",
        "{\"x\":1 2}",
        "{1:2}",
        "{\"a\":\"\xff\"}",
        "{\"a\":\"x}",
        "{\"a\":\"\x01\"}",
        "{\"a\":\"\\q\"}",
        "{\"b\":{\"c\":1}",
        "{\"x\":[}",
        "{\"x\":]}",
        "{\"a\":\"\\ud800\"}",
    };
    struct pw_json_picker *picker = new_picker();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct pw_json_picked picked[PLACE_COUNT];
        struct pw_err err = PW_ERR_INIT;
        char *copy = padded(bad[i], strlen(bad[i]), '7');
        if (pw_json_picker_run(picker, copy, strlen(bad[i]), picked, &err) == 0) {
            fail_msg("`%s` was taken", bad[i]);
        }
        assert_int_equal(err.cls, PW_ERR_INPUT);
        assert_contains(err.message, "JSON: ");
        free(copy);
    }
    pw_json_picker_free(picker);
}

static const char whole[] =
    "{\"a\": 12, \"x\": [{\"y\": \"}]\"}, [], 1.5], \"b\": {\"c\": \"t\", \"z\": {}}, \"n\": true}";

static void test_cut_off(void **state)
{
    (void)state;
    struct pw_json_picker *picker = new_picker();
    struct pw_json_picked picked[PLACE_COUNT];
    static const char paddings[] = {'7', '}', '"', '\0'};
    for (size_t p = 0; p < sizeof paddings; p++) {
        for (size_t size = 0; size <= strlen(whole); size++) {
            char *copy = padded(whole, size, paddings[p]);
            int result = pw_json_picker_run(picker, copy, size, picked, NULL);
            if ((result == 0) != (size == strlen(whole))) {
                fail_msg("%zu bytes: %d", size, result);
            }
            free(copy);
        }
    }
    pw_json_picker_free(picker);
}

/* Whatever the bytes: no crash, no read outside (AddressSanitizer sees it), and finite numbers. */
static void test_random_damage(void **state)
{
    (void)state;
    static const char likely[] = "{}[],:\"\\01eE+-.tfn \n\x01\xff";
    struct pw_json_picker *picker = new_picker();
    unsigned taken = 0;
    srand(4);
    for (unsigned round = 0; round < 20000; round++) {
        struct pw_json_picked picked[PLACE_COUNT];
        size_t size = strlen(whole);
        char *copy = padded(whole, size, (char)rand());
        for (int changes = 1 + rand() % 3; changes > 0; changes--) {
            copy[(size_t)rand() % size] = likely[(size_t)rand() % (sizeof likely - 1)];
        }
        if (pw_json_picker_run(picker, copy, size, picked, NULL) == 0) {
            taken++;
            for (size_t i = 0; i < PLACE_COUNT; i++) {
                if (picked[i].present && picked[i].kind == PW_JSON_DOUBLE) {
                    assert_true(isfinite(picked[i].number));
                }
            }
        }
        free(copy);
    }
    assert_in_range(taken, 100, 19900);
    pw_json_picker_free(picker);
}

static void test_large(void **state)
{
    (void)state;
    enum { SIZE = 9 << 20 };
    struct pw_json_picker *picker = new_picker();
    struct pw_json_picked picked[PLACE_COUNT];
    char *text = malloc(SIZE + PW_JSON_PADDING);
    assert_non_null(text);
    memset(text, '1', SIZE + PW_JSON_PADDING);
    for (size_t i = 0; i < SIZE; i += 2) {
        text[i] = ',';
    }
    static const char before[] = "{\"x\":[0", behind[] = "],\"a\":4}";
    for (size_t i = 0; i < sizeof before - 1; i++) {
        text[i] = before[i];
    }
    for (size_t i = 0; i < sizeof behind - 1; i++) {
        text[SIZE - (sizeof behind - 1) + i] = behind[i];
    }
    assert_int_equal(pw_json_picker_run(picker, text, SIZE, picked, NULL), 0);
    assert_near(picked[0].number, 4);
    pw_json_picker_trim(picker);
    assert_int_equal(pw_json_picker_run(picker, text, SIZE, picked, NULL), 0);
    free(text);
    pw_json_picker_free(picker);
}

static void test_bad_places(void **state)
{
    (void)state;
    static const char *const twice[] = {"a.b", "a.b"}, *const empty[] = {"a..b"},
                             *const deep[] = {"1.2.3.4.5.6.7.8.9"};
    struct pw_json_picker *picker = NULL;
    struct pw_err err = PW_ERR_INIT;
    assert_int_equal(pw_json_picker_new(twice, 2, &picker, &err), -1);
    assert_int_equal(err.cls, PW_ERR_INTERNAL);
    assert_int_equal(pw_json_picker_new(empty, 1, &picker, NULL), -1);
    assert_int_equal(pw_json_picker_new(deep, 1, &picker, NULL), -1);
    assert_null(picker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),  cmocka_unit_test(test_refused),
        cmocka_unit_test(test_cut_off), cmocka_unit_test(test_random_damage),
        cmocka_unit_test(test_large),   cmocka_unit_test(test_bad_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
