/* wrapper/run/agent: what --agent codex makes of the user's home. */
#include "tests/unit/unit.h"

#include <sys/stat.h>
#include <unistd.h>
#include "core/limits.h"
#include "wrapper/run/agent.h"

#define OTEL(endpoint)                                                                            \
    "\n[otel]\nenvironment = \"perfwrap\"\nlog_user_prompt = false\n"                             \
    "exporter = { otlp-http = { endpoint = \"" endpoint "/v1/logs\", protocol = \"binary\" } }\n" \
    "trace_exporter = { otlp-http = { endpoint = \"" endpoint                                     \
    "/v1/traces\", protocol = \"binary\" } }\n"                                                   \
    "metrics_exporter = { otlp-http = { endpoint = \"" endpoint                                   \
    "/v1/metrics\", protocol = \"binary\" } }\n"

static struct pw_outfit outfit;
static struct pw_err err;
static char *worker_dir;

/* HOME is a folder of the test's; CODEX_HOME is not set. */
static int begin(void **state)
{
    err = PW_ERR_INIT;
    if (make_folder(state) != 0) {
        return -1;
    }
    worker_dir = in_folder(state, "worker-1");
    unsetenv("CODEX_HOME");
    unsetenv("CODEX_SQLITE_HOME");
    return setenv("HOME", *state, 1) || mkdir(worker_dir, 0700);
}

static int end(void **state)
{
    pw_outfit_done(&outfit);
    free(worker_dir);
    return drop_folder(state);
}

/* In the test's folder, with the folder before it. */
static void put(void **state, const char *folder, const char *name, const char *text)
{
    PW_FREE_AUTO char *dir = in_folder(state, folder);
    PW_FREE_AUTO char *path = pw_path_join(dir, name, NULL);
    assert_int_equal(pw_dir_make(dir, NULL), 0);
    assert_int_equal(pw_file_write(path, text, strlen(text), 0644, NULL), 0);
}

static int add(const char *name, const char *config, bool reports)
{
    const struct pw_agent_request request = {.name = name, .config = config, .reports = reports};
    return pw_agent_add(&request, &outfit, &err);
}

static struct pw_worker_facts facts_of_worker(void)
{
    return (struct pw_worker_facts){.worker_id = 1,
                                    .worker_dir = worker_dir,
                                    .run_dir = "/run",
                                    .endpoint = "http://127.0.0.1:1/w"};
}

static void give(void)
{
    const struct pw_worker_facts facts = facts_of_worker();
    if (pw_outfit_give(&outfit, &facts, &err) != 0) {
        fail_msg("%s", err.message);
    }
}

/* In the worker's folder; NULL: there is none. */
static void expect_file(const char *name, const char *text)
{
    PW_FREE_AUTO char *path = pw_path_join(worker_dir, name, NULL), *found = NULL;
    struct stat info;
    if (!text) {
        assert_int_equal(access(path, F_OK), -1);
        return;
    }
    if (pw_file_read(path, 65536, &found, NULL, &err) != 0) {
        fail_msg("%s", err.message);
    }
    assert_string_equal(found, text);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
}

static void test_none(void **state)
{
    (void)state;
    assert_int_equal(add("none", NULL, true), 0);
    assert_int_equal(outfit.file_count + outfit.variable_count, 0);
}

static void test_unknown(void **state)
{
    (void)state;
    assert_int_equal(add("kodex", NULL, true), -1);
    assert_int_equal(err.cls, PW_ERR_USAGE);
    assert_contains(err.message, "`kodex`");
    assert_contains(err.remedy, "codex, none");
}

static void test_no_home(void **state)
{
    struct stat info;
    (void)state;
    assert_int_equal(add("codex", NULL, true), 0);
    give();
    expect_file("codex-home/config.toml", OTEL("http://127.0.0.1:1/w"));
    expect_file("codex-home/auth.json", NULL);
    PW_FREE_AUTO char *home = pw_path_join(worker_dir, "codex-home", NULL);
    assert_int_equal(stat(home, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0700);
    assert_string_equal(pw_outfit_variable(&outfit, "CODEX_HOME"), "{worker_dir}/codex-home");
    assert_null(pw_outfit_variable(&outfit, "CODEX_SQLITE_HOME"));
}

/* [otel] is replaced; all else, placeholders or not, is as the user wrote it. */
static void test_own_config(void **state)
{
    put(state, ".codex", "config.toml",
        "model = \"{worker_id}\"\n[otel]\nexporter = \"none\"\n[mcp.x]\nurl = \"{endpoint}\"\n");
    put(state, ".codex", "auth.json", "{\"token\":\"{run_id}\"}");
    assert_int_equal(add("codex", NULL, true), 0);
    give();
    expect_file(
        "codex-home/config.toml",
        "model = \"{worker_id}\"\n[mcp.x]\nurl = \"{endpoint}\"\n" OTEL("http://127.0.0.1:1/w"));
    expect_file("codex-home/auth.json", "{\"token\":\"{run_id}\"}");
    const struct pw_worker_facts facts = facts_of_worker();
    pw_outfit_take_secrets(&outfit, &facts);
    expect_file("codex-home/auth.json", NULL);
    PW_FREE_AUTO char *original = in_folder(state, ".codex/auth.json");
    assert_int_equal(access(original, R_OK), 0);
}

static void test_codex_home(void **state)
{
    PW_FREE_AUTO char *home = in_folder(state, "other");
    put(state, ".codex", "config.toml", "wrong = true\n");
    put(state, "other", "config.toml", "right = true\n");
    assert_int_equal(setenv("CODEX_HOME", home, 1), 0);
    assert_int_equal(setenv("CODEX_SQLITE_HOME", "/shared", 1), 0);
    assert_int_equal(add("codex", NULL, true), 0);
    give();
    expect_file("codex-home/config.toml", "right = true\n" OTEL("http://127.0.0.1:1/w"));
    assert_string_equal(pw_outfit_variable(&outfit, "CODEX_SQLITE_HOME"),
                        "{worker_dir}/codex-home");
}

/* Without a collector of ours the user's own telemetry stays. */
static void test_not_reporting(void **state)
{
    static const char config[] = "[otel]\nexporter = \"none\" # {endpoint}";
    put(state, ".codex", "config.toml", config);
    assert_int_equal(add("codex", NULL, false), 0);
    give();
    expect_file("codex-home/config.toml", config);
}

/* A file that is given is a template; who logs in stays the same. */
static void test_given_config(void **state)
{
    PW_FREE_AUTO char *path = in_folder(state, "t.toml");
    put(state, ".codex", "config.toml", "wrong = true\n");
    put(state, ".codex", "auth.json", "token");
    put(state, ".", "t.toml",
        "a = \"{worker_id}\"\notel.x = [\n1]\n[b]\nc = \"{metrics_endpoint}\"");
    assert_int_equal(add("codex", path, true), 0);
    give();
    expect_file(
        "codex-home/config.toml",
        "a = \"1\"\n[b]\nc = \"http://127.0.0.1:1/w/v1/metrics\"\n" OTEL("http://127.0.0.1:1/w"));
    expect_file("codex-home/auth.json", "token");
}

static void test_unusable(void **state)
{
    PW_FREE_AUTO char *missing = in_folder(state, "missing.toml");
    PW_FREE_AUTO char *binary = in_folder(state, "binary.toml");
    assert_int_equal(add("codex", missing, true), -1);
    assert_int_equal(err.cls, PW_ERR_INPUT);
    assert_contains(err.message, missing);
    assert_contains(err.remedy, "--agent-config");
    assert_int_equal(pw_file_write(binary, "a\0b", 3, 0600, NULL), 0);
    assert_int_equal(add("codex", binary, true), -1);
    assert_contains(err.message, "binary.toml: it holds a NUL byte");
    put(state, ".codex", "config.toml", "a = 1\nb = \"x\n");
    assert_int_equal(add("codex", NULL, true), -1);
    assert_int_equal(err.cls, PW_ERR_INPUT);
    assert_contains(err.message, "config.toml: line 2: ");
    put(state, ".codex", "config.toml", "");
    put(state, ".codex/auth.json", "x", ""); /* a folder in its place */
    assert_int_equal(add("codex", NULL, true), -1);
    assert_contains(err.message, "auth.json");
    assert_contains(err.remedy, "CODEX_HOME");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_none, begin, end),
        cmocka_unit_test_setup_teardown(test_unknown, begin, end),
        cmocka_unit_test_setup_teardown(test_no_home, begin, end),
        cmocka_unit_test_setup_teardown(test_own_config, begin, end),
        cmocka_unit_test_setup_teardown(test_codex_home, begin, end),
        cmocka_unit_test_setup_teardown(test_not_reporting, begin, end),
        cmocka_unit_test_setup_teardown(test_given_config, begin, end),
        cmocka_unit_test_setup_teardown(test_unusable, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
