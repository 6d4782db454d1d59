#include "core/json_place.h"
#include "tests/unit/unit.h"

#define KEY(name) ((struct pw_json_step){.key = (name)})
#define INDEX(number) ((struct pw_json_step){.index = (number)})
#define FIND(text, of_key, ret, ...)                                                               \
    pw_json_place_find(text, strlen(text), (struct pw_json_step[]){__VA_ARGS__},                   \
                       sizeof((struct pw_json_step[]){__VA_ARGS__}) / sizeof(struct pw_json_step), \
                       of_key, ret)
#define assert_place(place, l, c)            \
    do {                                     \
        assert_int_equal((place).line, l);   \
        assert_int_equal((place).column, c); \
    } while (0)

static const char document[] = "\n {\"a\": [1, {\"b\" :\n\t[], \"c\":\"x,]}\\\"\"},\n  null],\n"
                               "\"d\": {\"a\": -1.5e3}, \"\\u0041\\n\": true }";

static void test_values(void **state)
{
    (void)state;
    struct pw_json_place place;
    assert_true(pw_json_place_find(document, strlen(document), NULL, 0, false, &place));
    assert_place(place, 2, 2);
    assert_true(FIND(document, false, &place, KEY("a")));
    assert_place(place, 2, 8);
    assert_true(FIND(document, false, &place, KEY("a"), INDEX(0)));
    assert_place(place, 2, 9);
    assert_true(FIND(document, false, &place, KEY("a"), INDEX(1), KEY("b")));
    assert_place(place, 3, 2);
    assert_true(FIND(document, false, &place, KEY("a"), INDEX(1), KEY("c")));
    assert_place(place, 3, 10);
    assert_true(FIND(document, false, &place, KEY("a"), INDEX(2)));
    assert_place(place, 4, 3);
    assert_true(FIND(document, false, &place, KEY("d"), KEY("a")));
    assert_place(place, 5, 12);
    assert_memory_equal(document + place.offset, "-1.5e3", 6);
}

static void test_keys(void **state)
{
    (void)state;
    struct pw_json_place place;
    assert_true(FIND(document, true, &place, KEY("d")));
    assert_place(place, 5, 1);
    assert_true(FIND(document, true, &place, KEY("A\n"))); /* written with escapes */
    assert_place(place, 5, 21);
    /* An entry has no key: its value. */
    assert_true(FIND(document, true, &place, KEY("a"), INDEX(0)));
    assert_place(place, 2, 9);
}

static void test_not_there(void **state)
{
    (void)state;
    struct pw_json_place place = {.line = 77};
    assert_false(FIND(document, false, &place, KEY("z")));
    assert_false(FIND(document, false, &place, KEY("a"), INDEX(3)));
    assert_false(FIND(document, false, &place, KEY("a"), INDEX(1), KEY("b"), INDEX(0)));
    assert_false(FIND(document, false, &place, KEY("a"), KEY("b")));
    assert_false(FIND(document, false, &place, INDEX(0)));
    assert_false(FIND(document, false, &place, KEY("d"), KEY("a"), KEY("a")));
    assert_false(FIND("", false, &place, KEY("a")));
    assert_false(FIND("  ", false, &place, KEY("a")));
    assert_int_equal(place.line, 77);
}

/* Characters, not bytes: two before the value have two and four bytes. */
static void test_columns_are_characters(void **state)
{
    (void)state;
    struct pw_json_place place;
    assert_true(
        FIND("{\"\xC3\xA4\xF0\x9F\x98\x80\": 1}", false, &place, KEY("\xC3\xA4\xF0\x9F\x98\x80")));
    assert_place(place, 1, 8);
    assert_true(
        FIND("{\"\\u00e4\\uD83D\\ude00\": 1}", false, &place, KEY("\xC3\xA4\xF0\x9F\x98\x80")));
    assert_place(place, 1, 24);
}

static struct pw_json_place in_string(const char *text, size_t byte)
{
    struct pw_json_place place;
    assert_true(FIND(text, false, &place, INDEX(0)));
    return pw_json_place_in_string(text, strlen(text), place, byte);
}

static void test_in_string(void **state)
{
    (void)state;
    assert_place(in_string("[\"abc\"]", 0), 1, 3);
    assert_place(in_string("[\"abc\"]", 2), 1, 5);
    assert_place(in_string("[\"abc\"]", 3), 1, 6); /* the closing quote */
    assert_place(in_string("[\"abc\"]", 99), 1, 6);
    assert_place(in_string("[\"\"]", 0), 1, 3);
    assert_place(in_string("[\"\\\"\\n\\/d\"]", 3), 1, 9);
    assert_place(in_string("[\"\\u0041b\"]", 0), 1, 3);
    assert_place(in_string("[\"\\u0041b\"]", 1), 1, 9);
    /* Two, three and four bytes of UTF-8: each belongs to the character it is part of. */
    assert_place(in_string("[\"\\u00e4\\u20ac\\ud83d\\ude00x\"]", 1), 1, 3);
    assert_place(in_string("[\"\\u00e4\\u20ac\\ud83d\\ude00x\"]", 2), 1, 9);
    assert_place(in_string("[\"\\u00e4\\u20ac\\ud83d\\ude00x\"]", 8), 1, 15);
    assert_place(in_string("[\"\\u00e4\\u20ac\\ud83d\\ude00x\"]", 9), 1, 27);
    assert_place(in_string("[\"\xC3\xA4x\"]", 2), 1, 4);
    /* No string: the value itself. */
    assert_place(in_string("[12]", 1), 1, 2);
}

static void test_deep(void **state)
{
    (void)state;
    enum { DEPTH = 200000 };
    char *text = malloc((size_t)2 * DEPTH + 1);
    assert_non_null(text);
    memset(text, '[', DEPTH);
    memset(text + DEPTH, ']', DEPTH);
    text[(size_t)2 * DEPTH] = '\0';
    struct pw_json_place place;
    assert_true(FIND(text, false, &place, INDEX(0), INDEX(0)));
    assert_place(place, 1, 3);
    assert_false(FIND(text, false, &place, INDEX(1)));
    free(text);
}

/* Cut off anywhere, in a buffer of exactly that size: nothing is read behind it. */
static void test_cut_off(void **state)
{
    (void)state;
    for (size_t size = 0; size <= strlen(document); size++) {
        char *cut = malloc(size > 0 ? size : 1);
        assert_non_null(cut);
        memcpy(cut, document, size);
        struct pw_json_place place = {.offset = 0, .line = 1, .column = 1};
        struct pw_json_step steps[] = {KEY("a"), INDEX(1), KEY("c")};
        bool found = pw_json_place_find(cut, size, steps, 3, false, &place);
        assert_true(found == (size > (size_t)(strstr(document, "\"x") - document)));
        (void)pw_json_place_in_string(cut, size, place, 3);
        (void)pw_json_place_find(cut, size, &steps[2], 1, true, &place);
        free(cut);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),    cmocka_unit_test(test_keys),
        cmocka_unit_test(test_not_there), cmocka_unit_test(test_columns_are_characters),
        cmocka_unit_test(test_in_string), cmocka_unit_test(test_deep),
        cmocka_unit_test(test_cut_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
