/* sla/inputs: which files words stand for, and what is refused as a summary. */
#include "sla/inputs.h"

#include <sys/stat.h>
#include <unistd.h>
#include "core/limits.h"
#include "core/str.h"
#include "tests/unit/unit.h"

/* A folder with files, and what its words come to, as one text relative to it. */
struct place {
    char *root;
    struct pw_str found;
    struct pw_err err;
};

static int setup(void **state)
{
    struct place *place = calloc(1, sizeof(*place));
    void *root = NULL;
    if (!place || make_folder(&root) != 0) {
        free(place);
        return -1;
    }
    place->root = root;
    place->found = PW_STR_INIT;
    *state = place;
    return 0;
}

static int teardown(void **state)
{
    struct place *place = *state;
    void *root = place->root;
    pw_str_done(&place->found);
    free(place);
    return drop_folder(&root);
}

static void put_text(const struct place *place, const char *name, const char *text)
{
    char *path = pw_path_join(place->root, name, NULL);
    char *folder = strdup(path);
    *strrchr(folder, '/') = '\0';
    assert_int_equal(pw_dir_make(folder, NULL), 0);
    assert_int_equal(pw_file_write(path, text, strlen(text), 0600, NULL), 0);
    free(folder);
    free(path);
}

static void put(const struct place *place, const char *name)
{
    put_text(place, name, "{}");
}

/* Expands words, each below the root; the paths behind the root, each with a blank behind it. */
static int expand(struct place *place, const char *const *words, size_t count)
{
    struct pw_inputs inputs = {0};
    char *full[8] = {NULL};
    assert_true(count <= 8);
    for (size_t i = 0; i < count; i++) {
        full[i] = pw_path_join(place->root, words[i], NULL);
    }
    place->err = PW_ERR_INIT;
    pw_str_clear(&place->found);
    int result = pw_inputs_expand((const char *const *)full, count, &inputs, &place->err);
    for (size_t i = 0; i < inputs.count; i++) {
        size_t root = strlen(place->root);
        assert_int_equal(strncmp(inputs.paths[i], place->root, root), 0);
        pw_str_addf(&place->found, "%s ", inputs.paths[i] + root + 1);
    }
    for (size_t i = 0; i < count; i++) {
        free(full[i]);
    }
    pw_inputs_done(&inputs);
    return result;
}

static int expand_word(struct place *place, const char *word)
{
    return expand(place, &word, 1);
}

#define assert_expands(place, word, expected)                 \
    do {                                                      \
        if (expand_word((place), (word)) != 0) {              \
            fail_msg("%s: %s", (word), (place)->err.message); \
        }                                                     \
        assert_string_equal((place)->found.text, (expected)); \
    } while (0)

#define assert_refused(place, word, part)                   \
    do {                                                    \
        assert_int_equal(expand_word((place), (word)), -1); \
        assert_int_equal((place)->err.cls, PW_ERR_INPUT);   \
        assert_contains((place)->err.message, (part));      \
    } while (0)

static void test_file_and_folder(void **state)
{
    struct place *place = *state;
    put(place, "run/summary.json");
    put(place, "run/iteration-001.json");
    put(place, "run/deeper/summary.json");
    put(place, "other.json");
    assert_expands(place, "other.json", "other.json ");
    assert_expands(place, "run", "run/summary.json ");
    assert_expands(place, "run/", "run/summary.json ");
}

static void test_folder_of_runs(void **state)
{
    struct place *place = *state;
    put(place, "out/b/summary.json");
    put(place, "out/a/summary.json");
    put(place, "out/a/iteration-001.json");
    put(place, "out/c/x/y/summary.json");
    put(place, "out/.hidden/summary.json");
    assert_expands(place, "out",
                   "out/.hidden/summary.json out/a/summary.json out/b/summary.json "
                   "out/c/x/y/summary.json ");
}

static void test_links_to_folders_are_not_followed(void **state)
{
    struct place *place = *state;
    put(place, "out/a/summary.json");
    put(place, "away/summary.json");
    char *link = pw_path_join(place->root, "out/link", NULL);
    char *circle = pw_path_join(place->root, "out/a/circle", NULL);
    assert_int_equal(symlink("../away", link), 0);
    assert_int_equal(symlink("..", circle), 0);
    assert_expands(place, "out", "out/a/summary.json ");
    assert_expands(place, "out/**/summary.json", "out/a/summary.json ");
    /* One that is named is. */
    assert_expands(place, "out/link", "out/link/summary.json ");
    assert_expands(place, "out/l*", "out/link/summary.json ");
    free(link);
    free(circle);
}

static void test_globs(void **state)
{
    struct place *place = *state;
    put(place, "r/a-1/summary.json");
    put(place, "r/a-2/summary.json");
    put(place, "r/b-1/summary.json");
    put(place, "r/b-1/deep/er/summary.json");
    put(place, "r/empty/x.json");
    put(place, "r/.h/summary.json");
    assert_expands(place, "r/a-*/summary.json", "r/a-1/summary.json r/a-2/summary.json ");
    assert_expands(place, "r/?-1/summary.json", "r/a-1/summary.json r/b-1/summary.json ");
    assert_expands(place, "r/[!a]-[0-9]", "r/b-1/summary.json ");
    /* Folders that match: as if given; one without a summary is passed over. */
    assert_expands(place, "r/*", "r/a-1/summary.json r/a-2/summary.json r/b-1/summary.json ");
    assert_expands(place, "r/.*", "r/.h/summary.json ");
    assert_expands(place, "r/empty/*.json", "r/empty/x.json ");
    assert_expands(place, "**/er/summary.json", "r/b-1/deep/er/summary.json ");
    assert_expands(place, "r/**/summary.json",
                   "r/a-1/summary.json r/a-2/summary.json r/b-1/summary.json "
                   "r/b-1/deep/er/summary.json ");
    assert_expands(place, "r/**/**/**/er/**", "r/b-1/deep/er/summary.json ");
    assert_refused(place, "r/z*", "matches no summary");
    assert_refused(place, "r/em*", "matches no summary");
    assert_refused(place, "nothing/*/summary.json", "matches no summary");
}

static void test_a_name_that_looks_like_a_glob(void **state)
{
    struct place *place = *state;
    put(place, "x[1].json");
    put(place, "x1.json");
    assert_expands(place, "x[1].json", "x[1].json ");
    assert_expands(place, "x[1]*.json", "x1.json ");
}

static void test_each_file_once(void **state)
{
    struct place *place = *state;
    put(place, "out/a/summary.json");
    put(place, "out/b/summary.json");
    char *first = pw_path_join(place->root, "out/a/summary.json", NULL);
    char *second = pw_path_join(place->root, "hard.json", NULL);
    assert_int_equal(link(first, second), 0);
    const char *words[] = {"out/b", "out", "out/b/../b/summary.json", "hard.json", "out/*"};
    assert_int_equal(expand(place, words, 5), 0);
    assert_string_equal(place->found.text, "out/b/summary.json out/a/summary.json ");
    free(first);
    free(second);
}

static void test_many_files(void **state)
{
    struct place *place = *state;
    struct pw_inputs inputs = {0};
    for (int i = 0; i < 1500; i++) {
        char name[64];
        snprintf(name, sizeof(name), "%04d/summary.json", i);
        put(place, name);
    }
    const char *words[] = {place->root, place->root};
    assert_int_equal(pw_inputs_expand(words, 2, &inputs, NULL), 0);
    assert_int_equal(inputs.count, 1500);
    for (size_t i = 1; i < inputs.count; i++) {
        assert_true(strcmp(inputs.paths[i - 1], inputs.paths[i]) < 0);
    }
    pw_inputs_done(&inputs);
}

static void test_what_is_not_there(void **state)
{
    struct place *place = *state;
    put(place, "empty/iteration-001.json");
    put(place, "there/summary.json");
    assert_refused(place, "nowhere.json", "nowhere.json`: No such file");
    assert_refused(place, "empty", "holds no summary.json");
    assert_non_null(strstr(place->err.remedy, "run folder"));
    /* One bad word spoils all, and nothing is left to free. */
    const char *words[] = {"there", "nowhere"};
    assert_int_equal(expand(place, words, 2), -1);
    const char *blank = "";
    struct pw_inputs inputs = {0};
    assert_int_equal(pw_inputs_expand(&blank, 1, &inputs, &place->err), -1);
    assert_contains(place->err.message, "empty word");
}

static void test_too_deep(void **state)
{
    struct place *place = *state;
    struct pw_str path = PW_STR_INIT;
    for (int i = 0; i < PW_LIMIT_FOLDER_DEPTH + 3; i++) {
        pw_str_add(&path, "d/");
    }
    pw_str_add(&path, "summary.json");
    put(place, path.text);
    assert_refused(place, "d", "deep");
    assert_refused(place, "**/none", "deep");
    pw_str_done(&path);
}

static void test_closed_folder(void **state)
{
    struct place *place = *state;
    if (geteuid() == 0) {
        skip(); /* nothing is closed to root */
    }
    put(place, "out/closed/summary.json");
    char *closed = pw_path_join(place->root, "out/closed", NULL);
    assert_int_equal(chmod(closed, 0), 0);
    assert_refused(place, "out", "Permission denied");
    assert_int_equal(chmod(closed, 0700), 0);
    free(closed);
}

static void test_exactly_one(void **state)
{
    struct place *place = *state;
    put(place, "out/a/summary.json");
    put(place, "out/b/summary.json");
    char *out = pw_path_join(place->root, "out", NULL);
    char *a = pw_path_join(place->root, "out/a", NULL);
    char *path = NULL;
    assert_int_equal(pw_inputs_expand_one(a, "--baseline", &path, &place->err), 0);
    assert_contains(path, "/out/a/summary.json");
    free(path);
    path = NULL;
    assert_int_equal(pw_inputs_expand_one(out, "--baseline", &path, &place->err), -1);
    assert_contains(place->err.message, "--baseline: `");
    assert_contains(place->err.message, "stands for 2 summaries");
    assert_int_equal(pw_inputs_expand_one("/nowhere/at/all", "--x", &path, &place->err), -1);
    assert_contains(place->err.message, "--x: `/nowhere/at/all`");
    assert_null(path);
    free(out);
    free(a);
}

#define GOOD \
    "{\"summary\":{\"latency_ms\":{\"mean\":1,\"p95\":null}},\"runs\":[{\"duration_ms\":5}]}"

static void test_loading(void **state)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {GOOD, NULL},
        {"{\"summary\":{\"latency_ms\":{\"p95\":\"12\"}},\"runs\":[]}",
         "summary.latency_ms.p95 is a string, not a number"},
        {"{\"summary\":{\"latency_ms\":{\"p95\":true}},\"runs\":[]}", "is true or false"},
        {"{\"summary\":{\"latency_ms\":{},\"failed_runs_total\":\"0\"},\"runs\":[]}",
         "summary.failed_runs_total is a string, not a number"},
        {"{\"summary\":{\"latency_ms\":{},\"max_rss_mb\":7},\"runs\":[]}",
         "summary.max_rss_mb is a number, not an object"},
        {"{\"summary\":{\"latency_ms\":{}},\"runs\":[{\"duration_ms\":\"5\"}]}",
         "runs.0.duration_ms is a string, not a number"},
        {"{\"summary\":{\"latency_ms\":{}},\"runs\":[3]}", "runs.0 is a number, not an object"},
        {"{\"summary\":{\"latency_ms\":{}},\"ru", "summary.json"},
        {"", "summary.json"},
        {"{\"results\":[]}", "is no summary"},
        {"{\"generated_at\":\"x\",\"window\":30,\"min_samples\":5,\"profiles\":{}}",
         "is a baseline index, not a summary"},
    };
    struct place *place = *state;
    char *path = pw_path_join(place->root, "summary.json", NULL);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        put_text(place, "summary.json", cases[i].text);
        place->err = PW_ERR_INIT;
        struct pw_summary *summary = pw_inputs_load_summary(path, &place->err);
        if (!cases[i].message) {
            assert_non_null(summary);
        } else {
            assert_null(summary);
            assert_int_equal(place->err.cls, PW_ERR_INPUT);
            assert_contains(place->err.message, cases[i].message);
            assert_null(strchr(place->err.message, '\n'));
        }
        pw_summary_free(summary);
    }
    free(path);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_file_and_folder),
        TEST(test_folder_of_runs),
        TEST(test_links_to_folders_are_not_followed),
        TEST(test_globs),
        TEST(test_a_name_that_looks_like_a_glob),
        TEST(test_each_file_once),
        TEST(test_many_files),
        TEST(test_what_is_not_there),
        TEST(test_too_deep),
        TEST(test_closed_folder),
        TEST(test_exactly_one),
        TEST(test_loading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
