/* wrapper/run/outfit: placeholders, and the variables and files that workers are given. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "core/limits.h"
#include "wrapper/run/outfit.h"

static const struct pw_worker_facts sample = {
    .iteration = 4,
    .worker_id = 11,
    .run_dir = "/results/run",
    .worker_dir = "/private/worker-11",
    .run_id = "id",
    .endpoint = "http://h:1/w",
    .trace_id = "0123456789abcdef0123456789abcdef",
    .span_id = "fedcba9876543210",
};

static struct pw_outfit outfit;
static struct pw_err err;

static int begin(void **state)
{
    err = PW_ERR_INIT;
    return make_folder(state);
}

static int end(void **state)
{
    pw_outfit_done(&outfit);
    return drop_folder(state);
}

static void expect_expanded(const char *text, const struct pw_worker_facts *facts,
                            const char *expected)
{
    PW_STR_AUTO out = PW_STR_INIT;
    pw_outfit_expand(text, strlen(text), facts, &out);
    assert_string_equal(out.text, expected);
}

static void test_placeholders(void **state)
{
    struct pw_worker_facts silent = sample;
    (void)state;
    expect_expanded("", &sample, "");
    expect_expanded("{worker_dir}|{run_dir}|{run_id}|{worker_id}|{iteration}", &sample,
                    "/private/worker-11|/results/run|id|11|4");
    expect_expanded("{endpoint} {metrics_endpoint} {traces_endpoint} {logs_endpoint}", &sample,
                    "http://h:1/w http://h:1/w/v1/metrics http://h:1/w/v1/traces "
                    "http://h:1/w/v1/logs");
    expect_expanded("{traceparent}", &sample,
                    "00-0123456789abcdef0123456789abcdef-fedcba9876543210-01");
    silent.endpoint = silent.trace_id = silent.span_id = silent.run_id = NULL;
    expect_expanded("<{endpoint_port}{endpoint_path}>", &silent, "<>");
    expect_expanded("<{endpoint}{metrics_endpoint}{traces_endpoint}{logs_endpoint}{traceparent}"
                    "{run_id}>{worker_id}",
                    &silent, "<>11");
}

static void test_parts_of_endpoint(void **state)
{
    static const struct {
        const char *endpoint, *port, *path;
    } cases[] = {{"http://127.0.0.1:40123/TOKEN", "40123", "/TOKEN"},
                 {"http://127.0.0.1:40123", "40123", ""},
                 {"http://[::1]:4318/a:1/b", "4318", "/a:1/b"},
                 {"http://[::1]/x", "80", "/x"},
                 {"https://collector.example/v:9", "443", "/v:9"},
                 {"http://host", "80", ""}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pw_worker_facts facts = sample;
        PW_STR_AUTO expected = PW_STR_INIT;
        facts.endpoint = cases[i].endpoint;
        pw_str_addf(&expected, "http://10.0.2.2:%s%s", cases[i].port, cases[i].path);
        expect_expanded("http://10.0.2.2:{endpoint_port}{endpoint_path}", &facts, expected.text);
    }
}

static void test_time(void **state)
{
    PW_STR_AUTO out = PW_STR_INIT;
    struct timespec before, after;
    (void)state;
    clock_gettime(CLOCK_REALTIME, &before);
    pw_outfit_expand("{unix_ns}", 9, &sample, &out);
    clock_gettime(CLOCK_REALTIME, &after);
    long long ns = strtoll(out.text, NULL, 10);
    assert_int_equal(strspn(out.text, "0123456789"), out.length);
    assert_true(ns >= before.tv_sec * 1000000000LL + before.tv_nsec);
    assert_true(ns <= after.tv_sec * 1000000000LL + after.tv_nsec);
}

/* TOML, JSON, templates of others: what is no placeholder of ours is left as it is. */
static void test_other_braces(void **state)
{
    static const char *const kept[] = {"{",
                                       "}",
                                       "{}",
                                       "{{}}",
                                       "{worker_id",
                                       "worker_id}",
                                       "{ worker_id }",
                                       "{Worker_id}",
                                       "{worker_ids}",
                                       "{worker}",
                                       "{_endpoint}",
                                       "{otlp-http = { protocol = \"binary\" } }",
                                       "{\"a\":{\"b\":1}}",
                                       "${HOME}"};
    (void)state;
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        expect_expanded(kept[i], &sample, kept[i]);
    }
    expect_expanded("{{worker_id}}", &sample, "{11}");
    expect_expanded("{worker_{worker_id}", &sample, "{worker_11");
    expect_expanded("${worker_id}{", &sample, "$11{");
}

static void test_bytes(void **state)
{
    static const char text[] = "a\0{worker_id}\0{worker\0_id}";
    static const char expected[] = "a\0"
                                   "11\0{worker\0_id}";
    PW_STR_AUTO out = PW_STR_INIT;
    (void)state;
    pw_outfit_expand(text, sizeof text - 1, &sample, &out);
    assert_int_equal(out.length, sizeof expected - 1);
    assert_memory_equal(out.text, expected, sizeof expected - 1);
    pw_str_clear(&out);
    pw_outfit_expand("{worker_id}", 10, &sample, &out); /* without its last byte */
    assert_string_equal(out.text, "{worker_id");
}

static void test_variables(void **state)
{
    static const char *const refused[] = {"",      "A",    "=",    "=x",         "1A=x", "A-B=x",
                                          "A B=x", " A=x", "A =x", "\xc3\x84=x", "A.B=x"};
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        assert_int_equal(pw_outfit_add_variable(&outfit, refused[i], &err), -1);
        assert_int_equal(err.cls, PW_ERR_USAGE);
        assert_contains(err.remedy, "NAME=VALUE");
    }
    assert_int_equal(pw_outfit_add_variable(&outfit, "api key=hunter2", &err), -1);
    assert_null(strstr(err.message, "hunter2"));
    assert_int_equal(pw_outfit_add_variable(&outfit, "PERFWRAP_X=hunter2", &err), -1);
    assert_contains(err.message, "PERFWRAP_X");
    assert_null(strstr(err.message, "hunter2"));
    assert_int_equal(outfit.variable_count, 0);
    assert_null(pw_outfit_variable(&outfit, "A"));
    assert_int_equal(pw_outfit_add_variable(&outfit, "A=1=2", &err), 0);
    assert_int_equal(pw_outfit_add_variable(&outfit, "_b9=", &err), 0);
    assert_string_equal(pw_outfit_variable(&outfit, "A"), "1=2");
    assert_string_equal(pw_outfit_variable(&outfit, "_b9"), "");
    assert_null(pw_outfit_variable(&outfit, "_b"));
    assert_int_equal(pw_outfit_add_variable(&outfit, "A=3", &err), 0);
    assert_string_equal(pw_outfit_variable(&outfit, "A"), "3");
}

static int add_template(void **state, const char *name, const char *text, const char *dest)
{
    PW_FREE_AUTO char *path = in_folder(state, name);
    PW_STR_AUTO words = PW_STR_INIT;
    assert_int_equal(pw_file_write(path, text, strlen(text), 0644, NULL), 0);
    pw_str_addf(&words, "%s=%s", path, dest);
    return pw_outfit_add_template(&outfit, words.text, &err);
}

static void test_template_refused(void **state)
{
    static const struct {
        const char *dest, *message;
    } cases[] = {
        {"", "names no file"},           {"a/", "names no file"},   {".", "names no file"},
        {"{endpoint}", "names no file"}, {"..", "leaves"},          {"../a", "leaves"},
        {"a/../../b", "leaves"},         {"a/..", "leaves"},        {"{worker_dir}/../a", "leaves"},
        {"/etc/passwd", "leaves"},       {"{run_dir}/a", "leaves"}, {"{worker_dir}xy/a", "leaves"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int result = add_template(state, "t", "x", cases[i].dest);
        if (result != -1 || err.cls != PW_ERR_USAGE || !strstr(err.message, cases[i].message)) {
            fail_msg("%s: %d, `%s`", cases[i].dest, result, err.message);
        }
    }
    static const char *const words[] = {"", "a", "=", "=dest"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        assert_int_equal(pw_outfit_add_template(&outfit, words[i], &err), -1);
        assert_contains(err.message, "is not TEMPLATE=DEST");
    }
    assert_int_equal(pw_outfit_add_template(&outfit, "/no/such=a", &err), -1);
    assert_int_equal(err.cls, PW_ERR_INPUT);
    assert_int_equal(err.sys, ENOENT);
    assert_contains(err.remedy, "readable");
    assert_int_equal(outfit.file_count, 0);
}

static void test_template_too_large(void **state)
{
    size_t size = PW_LIMIT_TEMPLATE_BYTES + 1;
    char *text = malloc(size + 1);
    assert_non_null(text);
    memset(text, 'x', size);
    text[size] = '\0';
    assert_int_equal(add_template(state, "t", text, "a"), -1);
    assert_int_equal(err.cls, PW_ERR_INPUT);
    text[size - 1] = '\0';
    assert_int_equal(add_template(state, "t", text, "a"), 0);
    free(text);
}

static void expect_file(const char *folder, const char *name, const char *text)
{
    PW_FREE_AUTO char *path = pw_path_join(folder, name, NULL), *found = NULL;
    struct stat info;
    assert_int_equal(pw_file_read(path, 4096, &found, NULL, &err), 0);
    assert_string_equal(found, text);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
}

static void expect_private(const char *folder, const char *name)
{
    PW_FREE_AUTO char *path = pw_path_join(folder, name, NULL);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_true(S_ISDIR(info.st_mode));
    assert_int_equal(info.st_mode & 07777, 0700);
}

/* The modes are the same under any umask. */
static void test_give(void **state)
{
    static const mode_t masks[] = {0, 022, 0777};
    assert_int_equal(add_template(state, "a=b", "w{worker_id} {x}\n", "one"), 0);
    assert_int_equal(add_template(state, "t", "{worker_dir}", "{worker_dir}/deep/er/w-{worker_id}"),
                     0);
    assert_int_equal(add_template(state, "t", "", ".//empty"), 0);
    for (size_t i = 0; i < sizeof masks / sizeof *masks; i++) {
        PW_STR_AUTO name = PW_STR_INIT;
        pw_str_addf(&name, "worker-%zu", i);
        PW_FREE_AUTO char *folder = in_folder(state, name.text);
        struct pw_worker_facts facts = sample;
        facts.worker_dir = folder;
        assert_int_equal(mkdir(folder, 0700), 0);
        mode_t before = umask(masks[i]);
        int result = pw_outfit_give(&outfit, &facts, &err);
        umask(before);
        if (result != 0) {
            fail_msg("umask %o: %s", (unsigned)masks[i], err.message);
        }
        expect_file(folder, "one", "w11 {x}\n");
        expect_file(folder, "deep/er/w-11", folder);
        expect_file(folder, "empty", "");
        expect_private(folder, "deep");
        expect_private(folder, "deep/er");
    }
}

static void test_give_fails(void **state)
{
    struct pw_worker_facts facts = sample;
    facts.worker_dir = *state;
    assert_int_equal(pw_outfit_give(NULL, &facts, &err), 0);
    assert_int_equal(add_template(state, "t", "x", "t2"), 0);
    assert_int_equal(add_template(state, "t", "x", "t2/below-a-file"), 0);
    assert_int_equal(pw_outfit_give(&outfit, &facts, &err), -1);
    assert_int_equal(err.cls, PW_ERR_SYSTEM);
    assert_int_equal(err.sys, ENOTDIR);
    assert_contains(err.message, "give worker 11 its files: ");
}

/* Strings with NULs between them, verbatim and not. */
static void test_give_bytes(void **state)
{
    static const char text[] = "WAIT\0{worker_id}\0"
                               "arg={worker_id}\0\0{iteration}\0";
    static const char expected[] = "WAIT\0{worker_id}\0"
                                   "arg=11\0\0"
                                   "4\0";
    struct pw_worker_file file = {.dest = strdup("job"),
                                  .text = malloc(sizeof text - 1),
                                  .size = sizeof text - 1,
                                  .verbatim = sizeof "WAIT\0{worker_id}"};
    struct pw_worker_facts facts = sample;
    PW_FREE_AUTO char *path = in_folder(state, "job"), *found = NULL;
    size_t size = 0;
    assert_non_null(file.text);
    memcpy(file.text, text, sizeof text - 1);
    facts.worker_dir = *state;
    assert_int_equal(pw_outfit_add_file(&outfit, &file, &err), 0);
    assert_int_equal(pw_outfit_give(&outfit, &facts, &err), 0);
    assert_int_equal(pw_file_read(path, 4096, &found, &size, &err), 0);
    assert_int_equal(size, sizeof expected - 1);
    assert_memory_equal(found, expected, sizeof expected - 1);
}

/* No link in the place of the file is followed. */
static void test_link_in_the_way(void **state)
{
    struct pw_worker_facts facts = sample;
    PW_FREE_AUTO char *target = in_folder(state, "t");
    PW_FREE_AUTO char *link = in_folder(state, "link");
    facts.worker_dir = *state;
    assert_int_equal(add_template(state, "t", "x", "link"), 0);
    assert_int_equal(symlink(target, link), 0);
    assert_int_equal(pw_outfit_give(&outfit, &facts, &err), -1);
    assert_int_equal(err.sys, ELOOP);
}

/* The first bytes of a file may be meant as they are; a secret one goes, the others stay. */
static void test_secret(void **state)
{
    struct pw_worker_file secret = {.dest = strdup("home/s"),
                                    .text = strdup("{worker_id}"),
                                    .size = 11,
                                    .verbatim = 11,
                                    .secret = true};
    struct pw_worker_file plain = {.dest = strdup("home/p"),
                                   .text = strdup("{worker_id}{worker_id}"),
                                   .size = 22,
                                   .verbatim = 11};
    struct pw_worker_facts facts = sample;
    facts.worker_dir = *state;
    assert_int_equal(pw_outfit_add_file(&outfit, &secret, &err), 0);
    assert_int_equal(pw_outfit_add_file(&outfit, &plain, &err), 0);
    assert_int_equal(pw_outfit_give(&outfit, &facts, &err), 0);
    expect_file(*state, "home/s", "{worker_id}");
    expect_file(*state, "home/p", "{worker_id}11");
    pw_outfit_take_secrets(&outfit, &facts);
    PW_FREE_AUTO char *path = in_folder(state, "home/s");
    assert_int_equal(access(path, F_OK), -1);
    expect_file(*state, "home/p", "{worker_id}11");
    pw_outfit_take_secrets(&outfit, &facts); /* nothing left to take */
    facts.worker_dir = NULL;                 /* a worker that never got its folder */
    pw_outfit_take_secrets(&outfit, &facts);
    pw_outfit_take_secrets(NULL, &facts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_placeholders),
        cmocka_unit_test(test_parts_of_endpoint),
        cmocka_unit_test(test_time),
        cmocka_unit_test(test_other_braces),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test_setup_teardown(test_variables, begin, end),
        cmocka_unit_test_setup_teardown(test_template_refused, begin, end),
        cmocka_unit_test_setup_teardown(test_template_too_large, begin, end),
        cmocka_unit_test_setup_teardown(test_give, begin, end),
        cmocka_unit_test_setup_teardown(test_give_bytes, begin, end),
        cmocka_unit_test_setup_teardown(test_give_fails, begin, end),
        cmocka_unit_test_setup_teardown(test_link_in_the_way, begin, end),
        cmocka_unit_test_setup_teardown(test_secret, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
