#include "core/json_reader.h"

#include <glob.h>
#include <math.h>
#include "tests/unit/otlp_samples.h"

enum { DEPTH_MAX = 4 * PW_LIMIT_OTLP_DEPTH };

static struct pw_json_reader *new_reader(void)
{
    struct pw_json_reader *reader = NULL;
    assert_int_equal(pw_json_reader_new(&reader, NULL), 0);
    return reader;
}

static int open_copy(struct pw_json_reader *reader, const char *text, size_t size,
                     struct pw_json_value *ret_root, struct pw_err *err)
{
    char *copy = padded_copy(text, size);
    int status = pw_json_reader_open(reader, copy, size, ret_root, err);
    free(copy); /* the walk does not need it */
    return status;
}

static int open_text(struct pw_json_reader *reader, const char *text,
                     struct pw_json_value *ret_root)
{
    return open_copy(reader, text, strlen(text), ret_root, NULL);
}

static bool has_key(const struct pw_json_value *value, const char *key)
{
    return value->key && value->key_length == strlen(key) &&
           memcmp(value->key, key, value->key_length) == 0;
}

static void test_walk(void **state)
{
    (void)state;
    struct pw_json_reader *reader = new_reader();
    struct pw_json_value value;
    assert_int_equal(open_text(reader,
                               "{\"a\": [1, [2], {\"x\": []}, \"t\\u0000\\n\"], \"b\": {\"c\": {}},"
                               "\"d\\u00e9\": null, \"\": true}",
                               &value),
                     0);
    assert_int_equal(value.kind, PW_JSON_OBJECT);
    assert_null(value.key);
    pw_json_reader_enter(reader);
    assert_true(pw_json_reader_next(reader, &value));
    assert_int_equal(value.kind, PW_JSON_ARRAY);
    assert_true(has_key(&value, "a"));
    pw_json_reader_enter(reader);
    assert_true(pw_json_reader_next(reader, &value));
    assert_int_equal(value.kind, PW_JSON_INT);
    assert_int_equal(value.integer, 1);
    assert_null(value.key);
    assert_true(pw_json_reader_next(reader, &value)); /* [2], entered */
    pw_json_reader_enter(reader);
    assert_true(pw_json_reader_next(reader, &value));
    assert_int_equal(value.integer, 2);
    assert_false(pw_json_reader_next(reader, &value));
    assert_true(pw_json_reader_next(reader, &value)); /* skipped */
    assert_int_equal(value.kind, PW_JSON_OBJECT);
    assert_true(pw_json_reader_next(reader, &value));
    assert_int_equal(value.kind, PW_JSON_STRING);
    assert_int_equal(value.length, 3);
    assert_memory_equal(value.text, "t\0\n", 3);
    assert_false(pw_json_reader_next(reader, &value));
    assert_true(pw_json_reader_next(reader, &value)); /* skipped */
    assert_true(has_key(&value, "b"));
    assert_true(pw_json_reader_next(reader, &value));
    assert_true(has_key(&value, "d\xc3\xa9"));
    assert_int_equal(value.kind, PW_JSON_NULL);
    assert_true(pw_json_reader_next(reader, &value));
    assert_true(has_key(&value, ""));
    assert_int_equal(value.kind, PW_JSON_BOOL);
    assert_true(value.boolean);
    assert_false(pw_json_reader_next(reader, &value));

    assert_int_equal(open_text(reader, " \"alone\" ", &value), 0);
    assert_int_equal(value.length, 5);
    pw_json_reader_close(reader);
    pw_json_reader_close(reader);
    pw_json_reader_free(reader);
    pw_json_reader_free(NULL);
}

static void test_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum pw_json_kind kind;
        double number;
    } cases[] = {
        {"0", PW_JSON_INT, 0},
        {"-0", PW_JSON_INT, 0},
        {"9223372036854775807", PW_JSON_INT, 0x1p63},
        {"-9223372036854775808", PW_JSON_INT, -0x1p63},
        {"9223372036854775808", PW_JSON_UINT, 0x1p63},
        {"18446744073709551615", PW_JSON_UINT, 0x1p64},
        {"18446744073709551616", PW_JSON_DOUBLE, 0x1p64},
        {"-9223372036854775809", PW_JSON_DOUBLE, -0x1p63},
        {"100000000000000000000", PW_JSON_DOUBLE, 1e20},
        {"5.0", PW_JSON_DOUBLE, 5},
        {"-1e3", PW_JSON_DOUBLE, -1000},
        {"1E-7", PW_JSON_DOUBLE, 1e-7},
        {"4.9e-324", PW_JSON_DOUBLE, 4.9e-324},
        {"1e-400", PW_JSON_DOUBLE, 0},
        {"0e999999999999999999999", PW_JSON_DOUBLE, 0},
        {"1.7976931348623157e308", PW_JSON_DOUBLE, 1.7976931348623157e308},
        {"0.1000000000000000055511151231257827021181583404541015625", PW_JSON_DOUBLE, 0.1},
    };
    struct pw_json_reader *reader = new_reader();
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct pw_json_value value;
        struct pw_json_value alone;
        assert_int_equal(open_text(reader, cases[i].text, &value), 0);
        assert_true(pw_json_reader_number(reader, cases[i].text, strlen(cases[i].text), &alone));
        assert_int_equal(value.kind, cases[i].kind);
        assert_int_equal(alone.kind, cases[i].kind);
        double number = value.kind == PW_JSON_INT    ? (double)value.integer
                        : value.kind == PW_JSON_UINT ? (double)value.unsigned_integer
                                                     : value.number;
        assert_true(number == cases[i].number);
        assert_memory_equal(&alone.number, &value.number, sizeof(double));
    }
    pw_json_reader_free(reader);
}

static void test_not_numbers(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",      "-",     "+1",     "01",       "-01",  "1.",       ".5",  "1e",  "1e+", "0x10",
        "1 ",    " 1",    "1\n",    "1,1",      "NaN",  "Infinity", "inf", "1d",  "1f",  "1_000",
        "1e0e0", "1e400", "-1e400", "\xd9\xa1", "true", "\"1\"",    "[1]", "--1", "1-1", "1.2.3"};
    struct pw_json_reader *reader = new_reader();
    struct pw_json_value value;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        if (pw_json_reader_number(reader, texts[i], strlen(texts[i]), &value)) {
            fail_msg("`%s` was taken for a number", texts[i]);
        }
    }
    char many[1000];
    memset(many, '1', sizeof(many));
    assert_false(pw_json_reader_number(reader, many, sizeof(many), &value));
    assert_false(pw_json_reader_number(reader, "1\0", 2, &value));
    pw_json_reader_free(reader);
}

/* Integers beyond 64 bits are doubles, and nothing else in the document is touched. */
static void test_big_integers(void **state)
{
    (void)state;
    static const char text[] =
        "{\"99999999999999999999\": 99999999999999999999, \"b\": [1700000000123456789, "
        "-9223372036854775808, 18446744073709551615, -99999999999999999999, "
        "99999999999999999999.5, 1e-99999999999999999999],"
        "\"c\\\"123456789012345678901\\\\\": \"\\\\\\\"123456789012345678901\"}";
    struct pw_json_reader *reader = new_reader();
    struct pw_json_value value;
    assert_int_equal(open_text(reader, text, &value), 0);
    pw_json_reader_enter(reader);
    assert_true(pw_json_reader_next(reader, &value));
    assert_true(has_key(&value, "99999999999999999999"));
    assert_int_equal(value.kind, PW_JSON_DOUBLE);
    assert_true(value.number == 1e20);
    assert_true(pw_json_reader_next(reader, &value));
    pw_json_reader_enter(reader);
    assert_true(pw_json_reader_next(reader, &value));
    assert_int_equal(value.integer, INT64_C(1700000000123456789));
    assert_true(pw_json_reader_next(reader, &value));
    assert_true(value.kind == PW_JSON_INT && value.integer == INT64_MIN);
    assert_true(pw_json_reader_next(reader, &value));
    assert_true(value.kind == PW_JSON_UINT && value.unsigned_integer == UINT64_MAX);
    assert_true(pw_json_reader_next(reader, &value));
    assert_true(value.kind == PW_JSON_DOUBLE && value.number == -1e20);
    assert_true(pw_json_reader_next(reader, &value));
    assert_true(value.kind == PW_JSON_DOUBLE && value.number == 1e20);
    assert_true(pw_json_reader_next(reader, &value));
    assert_true(value.kind == PW_JSON_DOUBLE && value.number == 0);
    assert_false(pw_json_reader_next(reader, &value));
    assert_true(pw_json_reader_next(reader, &value));
    assert_true(has_key(&value, "c\"123456789012345678901\\"));
    assert_int_equal(value.length, 23);
    assert_memory_equal(value.text, "\\\"123456789012345678901", 23);
    assert_false(pw_json_reader_next(reader, &value));

    /* What made no sense before makes none with an exponent. */
    static const char *const refused[] = {"[099999999999999999999]",
                                          "[99999999999999999999 1]",
                                          "[99999999999999999999",
                                          "[\"99999999999999999999]",
                                          "[-]",
                                          "[99999999999999999999, 1e400]",
                                          "[99999999999999999999+]",
                                          "[\"\\",
                                          "[99999999999999999999, \"\\"};
    for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
        assert_int_equal(open_text(reader, refused[i], &value), -1);
    }
    pw_json_reader_free(reader);
}

static int open_nested(struct pw_json_reader *reader, size_t depth, struct pw_err *err)
{
    struct pw_json_value value;
    PW_STR_AUTO text = PW_STR_INIT;
    for (size_t i = 0; i < depth; i++) {
        pw_str_add(&text, i % 2 == 0 ? "[" : "{\"a\":");
    }
    pw_str_add_char(&text, '1');
    for (size_t i = depth; i > 0; i--) {
        pw_str_add_char(&text, (i - 1) % 2 == 0 ? ']' : '}');
    }
    int status = open_copy(reader, text.text, text.length, &value, err);
    for (size_t i = 0; status == 0 && i < depth; i++) {
        pw_json_reader_enter(reader);
        assert_true(pw_json_reader_next(reader, &value));
    }
    return status;
}

static void test_depth(void **state)
{
    (void)state;
    struct pw_json_reader *reader = new_reader();
    struct pw_err err = PW_ERR_INIT;
    assert_int_equal(open_nested(reader, DEPTH_MAX, &err), 0);
    assert_int_equal(open_nested(reader, DEPTH_MAX + 1, &err), -1);
    assert_int_equal(err.cls, PW_ERR_INPUT);
    assert_contains(err.message, "too deep");
    assert_int_equal(open_nested(reader, 100000, &err), -1);
    assert_int_equal(open_nested(reader, 3, &err), 0);
    pw_json_reader_free(reader);
}

/* After a large document the memory is given back; the depth stays bounded. */
static void test_large_document(void **state)
{
    (void)state;
    struct pw_json_reader *reader = new_reader();
    struct pw_json_value value;
    struct pw_err err = PW_ERR_INIT;
    PW_STR_AUTO text = PW_STR_INIT;
    pw_str_add(&text, "[0");
    while (text.length < 9 << 20) {
        pw_str_add(&text, ",\"0123456789012345678901234567890123456789\"");
    }
    pw_str_add_char(&text, ']');
    for (int round = 0; round < 2; round++) {
        size_t count = 0;
        assert_int_equal(open_copy(reader, text.text, text.length, &value, &err), 0);
        pw_json_reader_enter(reader);
        while (pw_json_reader_next(reader, &value)) {
            count++;
        }
        assert_int_equal(count, 1 + (text.length - 3) / 43);
        pw_json_reader_close(reader);
        assert_int_equal(open_nested(reader, DEPTH_MAX, &err), 0);
        assert_int_equal(open_nested(reader, DEPTH_MAX + 1, &err), -1);
    }
    pw_json_reader_free(reader);
}

static void test_utf8(void **state)
{
    (void)state;
    assert_true(pw_utf8_is_valid("", 0));
    assert_true(pw_utf8_is_valid("a\0\xf0\x9f\x98\x80", 6));
    assert_false(pw_utf8_is_valid("\xf0\x9f\x98", 3));
    assert_false(pw_utf8_is_valid("\xc0\xaf", 2));
    assert_false(pw_utf8_is_valid("\xed\xa0\x80", 3));
    assert_false(pw_utf8_is_valid("\xf4\x90\x80\x80", 4));
}

/* --- against jansson --- */

/* The container that was entered holds the same as jansson's. */
static void assert_same_content(struct pw_json_reader *reader, json_t *expected);

static void assert_same(struct pw_json_reader *reader, const struct pw_json_value *value,
                        json_t *expected)
{
    switch (value->kind) {
    case PW_JSON_NULL: assert_true(json_is_null(expected)); break;
    case PW_JSON_BOOL: assert_int_equal(value->boolean, json_is_true(expected)); break;
    case PW_JSON_INT:
        assert_true(json_is_integer(expected));
        assert_int_equal(value->integer, json_integer_value(expected));
        break;
    case PW_JSON_DOUBLE:
        assert_true(json_is_real(expected));
        assert_true(value->number == json_real_value(expected));
        break;
    case PW_JSON_STRING:
        assert_int_equal(value->length, json_string_length(expected));
        assert_memory_equal(value->text, json_string_value(expected), value->length);
        break;
    case PW_JSON_ARRAY:
        assert_true(json_is_array(expected));
        assert_same_content(reader, expected);
        break;
    case PW_JSON_OBJECT:
        assert_true(json_is_object(expected));
        assert_same_content(reader, expected);
        break;
    default: fail_msg("jansson reads no such integer");
    }
}

static void assert_same_content(struct pw_json_reader *reader, json_t *expected)
{
    struct pw_json_value value;
    size_t count = 0;
    pw_json_reader_enter(reader);
    while (pw_json_reader_next(reader, &value)) {
        char key[256] = "";
        if (json_is_object(expected)) {
            assert_non_null(value.key);
            assert_true(value.key_length < sizeof(key));
            memcpy(key, value.key, value.key_length);
        }
        json_t *member =
            value.key ? json_object_get(expected, key) : json_array_get(expected, count);
        assert_non_null(member);
        assert_same(reader, &value, member);
        count++;
    }
    assert_int_equal(count, json_is_object(expected) ? json_object_size(expected)
                                                     : json_array_size(expected));
}

/*
 * Where the two may differ: integers over int64_t, which we take; escaped NULs in keys, which
 * jansson cannot hold; nesting, where our bound is lower than its 2048; NUL bytes behind a number,
 * which jansson overlooks.
 */
static bool is_known_difference(bool accepted, const struct pw_err *err, const char *jansson,
                                const char *text, size_t size)
{
    if (accepted) {
        return strstr(jansson, "too big") || strstr(jansson, "NUL byte in object key");
    }
    return strstr(err->message, "too deep") || memchr(text, '\0', size);
}

/* Both take it or both do not. */
static bool check_grammar(struct pw_json_reader *reader, const char *text, size_t size)
{
    struct pw_json_value root;
    struct pw_err err = PW_ERR_INIT;
    json_error_t error;
    bool accepted = open_copy(reader, text, size, &root, &err) == 0;
    json_t *expected = json_loadb(text, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (accepted != (expected != NULL) &&
        !is_known_difference(accepted, &err, expected ? "" : error.text, text, size)) {
        fail_msg("simdjson: %s; jansson: %s; of %zu bytes: `%.*s`",
                 accepted ? "accepts" : err.message, expected ? "accepts" : error.text, size,
                 (int)(size < 300 ? size : 300), text);
    }
    json_decref(expected);
    return accepted;
}

/* One byte replaced, added, taken out, or the two halves swapped. */
static size_t mutate(uint64_t *state, char *text, size_t size)
{
    static const char bytes[] = "{}[]\",:\\/0123456789+-.eEtfnu \t\n\0\x1f\x80\xc3\xa9\xff";
    size_t at = (size_t)random_below(state, size);
    char byte = bytes[random_below(state, sizeof(bytes) - 1)];
    switch (random_below(state, 4)) {
    case 0: text[at] = byte; return size;
    case 1:
        memmove(text + at + 1, text + at, size - at);
        text[at] = byte;
        return size + 1;
    case 2: memmove(text + at, text + at + 1, size - at - 1); return size - 1;
    default: text[at] = text[random_below(state, size)]; return size;
    }
}

static void check_file(struct pw_json_reader *reader, const char *path, size_t *accepted)
{
    struct pw_err err = PW_ERR_INIT;
    char *text = NULL;
    size_t size = 0;
    uint64_t random = 1;
    assert_int_equal(pw_file_read(path, PW_LIMIT_JSON_BYTES, &text, &size, &err), 0);
    char *changed = malloc(size + 4);
    assert_non_null(changed);
    *accepted += check_grammar(reader, text, size);
    /* jansson is slow. */
    size_t rounds = size == 0 ? 0 : size < 4096 ? 300 : size < 65536 ? 60 : 10;
    for (size_t i = 0; i < rounds; i++) {
        size_t cut = (size_t)random_below(&random, size + 1);
        check_grammar(reader, text, cut);
        size_t changed_size = size;
        memcpy(changed, text, size);
        for (uint64_t j = random_below(&random, 3); changed_size > 0 && j < 3; j++) {
            changed_size = mutate(&random, changed, changed_size);
        }
        *accepted += check_grammar(reader, changed, changed_size);
    }
    free(changed);
    free(text);
}

static void test_grammar_against_jansson(void **state)
{
    (void)state;
    static const char *const folders[] = {"tests/data/otlp/*.json", "tests/data/fuzz/otlp_json/*",
                                          "tests/data/fuzz/summary/*"};
    struct pw_json_reader *reader = new_reader();
    size_t files = 0;
    size_t accepted = 0;
    for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
        glob_t found;
        char *pattern = source_path(folders[i]);
        assert_int_equal(glob(pattern, 0, NULL, &found), 0);
        for (size_t j = 0; j < found.gl_pathc; j++) {
            check_file(reader, found.gl_pathv[j], &accepted);
        }
        files += found.gl_pathc;
        globfree(&found);
        free(pattern);
    }
    assert_true(files > 60);
    assert_true(accepted > files); /* not only documents that neither takes */
    pw_json_reader_free(reader);
}

static void test_content_against_jansson(void **state)
{
    (void)state;
    struct otlp_samples samples = load_samples();
    struct pw_json_reader *reader = new_reader();
    for (size_t i = 0; i < samples.count; i++) {
        const struct otlp_sample *sample = &samples.items[i];
        struct pw_json_value root;
        if (!sample->is_json || sample->status != 200) {
            continue;
        }
        json_t *expected = json_loadb(sample->body, sample->size, JSON_ALLOW_NUL, NULL);
        assert_non_null(expected);
        assert_int_equal(pw_json_reader_open(reader, sample->body, sample->size, &root, NULL), 0);
        assert_same(reader, &root, expected);
        json_decref(expected);
    }
    pw_json_reader_free(reader);
    free_samples(&samples);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_walk),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_not_numbers),
        cmocka_unit_test(test_big_integers),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_large_document),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_grammar_against_jansson),
        cmocka_unit_test(test_content_against_jansson),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
