/* wrapper/run/toml: one table out of a file, and nothing else changed. */
#include "tests/unit/unit.h"

#include "wrapper/run/toml.h"

static void expect(const char *text, const char *left)
{
    struct pw_err err = PW_ERR_INIT;
    PW_STR_AUTO out = PW_STR_INIT;
    if (pw_toml_drop_table(text, "otel", &out, &err) != 0) {
        fail_msg("`%s`: %s", text, err.message);
    }
    assert_string_equal(out.text, left);
}

static void test_nothing_to_drop(void **state)
{
    static const char *const kept[] = {
        "",
        "\n",
        "# [otel]\n",
        "a = 1\r\n[b]\r\nc = 2\r\n",
        "otels = 1\n[otel2]\na = 1\n[\"otel \"]\nb = 1\n",
        "[a]\notel = 1\notel.b = 2\n[a.otel]\nc = 3\n", /* tables of others */
        "a = { otel = 1 }\n",
        "a = \"otel = 1\"\n\"a.otel\" = 1\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        expect(kept[i], kept[i]);
    }
    expect("a = 1", "a = 1\n"); /* so that a table can be added behind */
}

static void test_headers(void **state)
{
    (void)state;
    expect("a = 1\n[otel]\nb = 2\n# c\n\nd = 3\n[e]\nf = 4\n", "a = 1\n[e]\nf = 4\n");
    expect("[otel]\nb = 2", "");
    expect("[otel]\r\nb = 2\r\n[c]\r\n", "[c]\r\n");
    expect("  [ otel ]  # ]\nb = 2\n\t[c]\n", "\t[c]\n");
    expect("[otel.exporter.otlp-http]\na = 1\n[ otel . b ]\nc = 1\n[d]\n", "[d]\n");
    expect("[\"otel\"]\na = 1\n['otel'.x]\nb = 1\n[d]\n", "[d]\n");
    expect("[[otel]]\na = 1\n[[ otel.b ]]\nc = 1\n[[d]]\n", "[[d]]\n");
    expect("[a]\nb = 1\n[otel]\nc = 1\n[a.d]\ne = 1\n[otel.f]\ng = 1\n",
           "[a]\nb = 1\n[a.d]\ne = 1\n");
    expect("\xef\xbb\xbf[otel]\na = 1\n[b]\n", "[b]\n");
}

static void test_top_level_keys(void **state)
{
    (void)state;
    expect("otel.a = 1\nb = 2\notel . c.d = 3\n\"otel\".e = 4\n[f]\n", "b = 2\n[f]\n");
    expect("otel = { a = 1, b = { c = \"}\" } }\nd = 1\n", "d = 1\n");
    expect("otel=1\notel\t=2\n'otel'= 3\nd = 1\n", "d = 1\n");
    expect("otel.a = [\n  1, # ]\n  [2],\n]\nb = 1\n", "b = 1\n");
    expect("otel.a = \"\"\"\nb = 1\n\"\"\"\nc = 1\n", "c = 1\n");
}

/* What looks like a table of ours within strings and arrays is none, and ends none. */
static void test_values(void **state)
{
    static const char *const kept[] = {
        "a = \"\"\"\n[otel]\nb = 1\n\"\"\"\nc = 1\n",
        "a = '''\n[otel]\n\\'''\nb = 1\n",
        "a = [\n[\"otel\"],\n[1]\n]\nb = 1\n",
        "a = \"\"\"x\\\"\"\"\"\nb = 1\n",     /* an escaped quote before the end */
        "a = \"\"\"\"\"x\"\"\"\"\"\nb = 1\n", /* two quotes at each end of the text */
        "a = '''''x'''''\nb = 1\n",
        "a = \"\"\"x\"\"\"\"\nb = '''x''''\nc = 1\n", /* one at the end */
        "a = \"\"\nb = ''\nc = \"\\\\\"\nd = '\\'\n",
        "a = \"#\" # \"\nb = 1\n",
        "a = [ # [\n\"]\", ']' ]\nb = { c = \"{\" }\n",
        "\"a=[\" = 1\n'b{' = 2\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        PW_STR_AUTO all = PW_STR_INIT;
        pw_str_addf(&all, "%s[otel]\nx = \"\"\"\n[y]\n\"\"\"\nz = [\n[1],\n]\n[end]\n", kept[i]);
        PW_STR_AUTO left = PW_STR_INIT;
        pw_str_addf(&left, "%s[end]\n", kept[i]);
        expect(all.text, left.text);
    }
}

static void test_not_closed(void **state)
{
    static const struct {
        const char *text, *where;
    } cases[] = {
        {"a = \"x\nb = 1\n", "line 1:"},     {"a = 1\nb = 'x\n", "line 2:"},
        {"a = 1\n\nb = [\n1,\n", "line 3:"}, {"a = {", "line 1:"},
        {"a = \"\"\"\nx\"\"\n", "line 1:"},  {"a = 1\n[otel\nb = 1\n", "line 2:"},
        {"a = '''x''", "line 1:"},           {"a = \"x\\", "line 1:"},
        {"a = \"\"\"x\\\"\"\"", "line 1:"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pw_err err = PW_ERR_INIT;
        PW_STR_AUTO out = PW_STR_INIT;
        int result = pw_toml_drop_table(cases[i].text, "otel", &out, &err);
        if (result != -1 || err.cls != PW_ERR_INPUT || !strstr(err.message, cases[i].where)) {
            fail_msg("`%s`: %d, `%s`", cases[i].text, result, err.message);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_to_drop), cmocka_unit_test(test_headers),
        cmocka_unit_test(test_top_level_keys),  cmocka_unit_test(test_values),
        cmocka_unit_test(test_not_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
