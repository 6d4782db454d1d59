#include <sys/wait.h>
#include <unistd.h>
#include "core/json.h"
#include "core/summary.h"
#include "tests/unit/sample_moments.h"
#include "tests/unit/sample_run.h"

static void test_heads(void **state)
{
    (void)state;
    json_t *schemas[] = {pw_summary_schema(NULL), pw_iteration_schema(NULL)};
    const char *ids[2];
    for (size_t i = 0; i < 2; i++) {
        assert_non_null(schemas[i]);
        assert_string_equal(json_string_value(json_object_get(schemas[i], "$schema")),
                            "https://json-schema.org/draft/2020-12/schema");
        assert_true(json_string_length(json_object_get(schemas[i], "title")) > 10);
        assert_true(json_is_true(json_object_get(schemas[i], "additionalProperties")));
        ids[i] = json_string_value(json_object_get(schemas[i], "$id"));
        assert_non_null(ids[i]);
    }
    assert_string_not_equal(ids[0], ids[1]);
    json_decref(schemas[0]);
    json_decref(schemas[1]);
}

static const json_t *property(const json_t *schema, const char *key)
{
    return json_object_get(json_object_get(schema, "properties"), key);
}

static void test_units_are_told(void **state)
{
    (void)state;
    json_t *schema = pw_summary_schema(NULL);
    const json_t *summary = property(schema, "summary");
    const json_t *rss = property(property(summary, "process_tree_sampled"), "peak_tree_rss_mb");
    const char *text = json_string_value(json_object_get(property(rss, "p95"), "description"));
    assert_string_equal(text, "p95 over measured iterations. Unit: MiB.");
    json_t *type = json_object_get(property(rss, "p95"), "type");
    assert_string_equal(json_string_value(json_array_get(type, 0)), "number");
    assert_string_equal(json_string_value(json_array_get(type, 1)), "null");
    type = json_object_get(property(summary, "failed_runs_total"), "type");
    assert_string_equal(json_string_value(json_array_get(type, 0)), "integer");
    json_decref(schema);
}

/* Gives both to the validator. */
static void check(void **state, json_t *schema, json_t *document)
{
    const char *source = getenv("PW_SOURCE_DIR");
    if (!source) {
        print_message("skipped: PW_SOURCE_DIR is not set\n");
        skip();
    }
    PW_FREE_AUTO char *schema_path = in_folder(state, "schema.json");
    PW_FREE_AUTO char *document_path = in_folder(state, "document.json");
    assert_int_equal(pw_json_write_file(schema_path, schema, NULL), 0);
    assert_int_equal(pw_json_write_file(document_path, document, NULL), 0);
    PW_FREE_AUTO char *script = pw_path_join(source, "tests/unit/check_schema.py", NULL);
    char *argv[] = {"/usr/bin/python3", script, schema_path, document_path, NULL};
    pid_t pid = fork();
    if (pid == 0) {
        execv(argv[0], argv);
        _exit(127);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77 || WEXITSTATUS(status) == 127) {
        print_message("skipped: /usr/bin/python3 with jsonschema is not there\n");
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_summary_validates(void **state)
{
    struct pw_run_record run;
    make_sample(&run);
    assert_int_equal(pw_run_record_judge(&run, NULL), 0);
    assert_true(run.warning_count > 0);
    struct pw_summary *summary = pw_summary_build(&run, NULL);
    json_t *schema = pw_summary_schema(NULL);
    check(state, schema, (json_t *)pw_summary_root(summary));
    json_decref(schema);
    pw_summary_free(summary);
    pw_run_record_done(&run);
}

static void test_summary_with_telemetry_validates(void **state)
{
    struct pw_run_record run;
    make_sample(&run);
    add_reporting_iteration(&run);
    struct pw_summary *summary = pw_summary_build(&run, NULL);
    json_t *schema = pw_summary_schema(NULL);
    check(state, schema, (json_t *)pw_summary_root(summary));
    json_decref(schema);
    pw_summary_free(summary);
    pw_run_record_done(&run);
}

static void test_iteration_with_telemetry_validates(void **state)
{
    struct pw_iteration_record record;
    make_reporting_iteration(&record, 1);
    json_t *schema = pw_iteration_schema(NULL);
    json_t *iteration = pw_iteration_to_json(&record, NULL);
    check(state, schema, iteration);
    json_decref(iteration);
    json_decref(schema);
    pw_iteration_record_done(&record);
}

static void test_summary_with_marks_validates(void **state)
{
    struct pw_run_record run;
    make_moments_sample(&run);
    assert_int_equal(pw_run_record_judge(&run, NULL), 0);
    struct pw_summary *summary = pw_summary_build(&run, NULL);
    json_t *schema = pw_summary_schema(NULL);
    check(state, schema, (json_t *)pw_summary_root(summary));
    json_decref(schema);
    pw_summary_free(summary);
    pw_run_record_done(&run);
}

static void test_summary_of_machines_validates(void **state)
{
    struct pw_run_record run;
    make_machines_sample(&run);
    struct pw_summary *summary = pw_summary_build(&run, NULL);
    json_t *schema = pw_summary_schema(NULL);
    check(state, schema, (json_t *)pw_summary_root(summary));
    json_decref(schema);
    pw_summary_free(summary);
    pw_run_record_done(&run);
}

static void test_iteration_of_a_machine_validates(void **state)
{
    struct pw_run_record run;
    make_machines_sample(&run);
    json_t *schema = pw_iteration_schema(NULL);
    json_t *iteration = pw_iteration_to_json(&run.iterations[1], NULL);
    check(state, schema, iteration);
    json_decref(iteration);
    json_decref(schema);
    pw_run_record_done(&run);
}

static void test_iteration_with_marks_validates(void **state)
{
    struct pw_run_record run;
    make_moments_sample(&run);
    json_t *schema = pw_iteration_schema(NULL);
    json_t *iteration = pw_iteration_to_json(&run.iterations[0], NULL);
    check(state, schema, iteration);
    json_decref(iteration);
    json_decref(schema);
    pw_run_record_done(&run);
}

/* Of the blocks of marks every key is a mark's, in any document. */
static void test_marks_are_closed(void **state)
{
    (void)state;
    json_t *schemas[] = {pw_summary_schema(NULL), pw_iteration_schema(NULL)};
    const json_t *runs = property(schemas[0], "runs");
    const json_t *places[] = {property(schemas[0], "summary"), json_object_get(runs, "items"),
                              schemas[1],
                              json_object_get(property(schemas[1], "worker_results"), "items")};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        for (size_t j = 0; j < 2; j++) {
            const json_t *block = property(places[i], j == 0 ? "marks" : "phases");
            assert_non_null(block);
            assert_true(json_is_false(json_object_get(block, "additionalProperties")));
            assert_int_equal(json_object_size(json_object_get(block, "patternProperties")), 1);
        }
    }
    json_decref(schemas[0]);
    json_decref(schemas[1]);
}

static void test_empty_summary_validates(void **state)
{
    struct pw_run_record run;
    pw_run_record_init(&run);
    run.profile = json_pack("{s:n, s:n, s:i, s:i, s:i}", "name", "phase", "concurrency", 1,
                            "warmup", 0, "iterations", 5);
    struct pw_summary *summary = pw_summary_build(&run, NULL);
    json_t *schema = pw_summary_schema(NULL);
    check(state, schema, (json_t *)pw_summary_root(summary));
    json_decref(schema);
    pw_summary_free(summary);
    pw_run_record_done(&run);
}

static void test_iteration_validates(void **state)
{
    struct pw_run_record run;
    make_sample(&run);
    json_t *schema = pw_iteration_schema(NULL);
    json_t *iteration = pw_iteration_to_json(&run.iterations[1], NULL);
    check(state, schema, iteration);
    json_decref(iteration);
    json_decref(schema);
    pw_run_record_done(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heads),
        cmocka_unit_test(test_units_are_told),
        cmocka_unit_test(test_marks_are_closed),
        cmocka_unit_test_setup_teardown(test_summary_with_marks_validates, make_folder,
                                        drop_folder),
        cmocka_unit_test_setup_teardown(test_iteration_with_marks_validates, make_folder,
                                        drop_folder),
        cmocka_unit_test_setup_teardown(test_summary_validates, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(test_summary_of_machines_validates, make_folder,
                                        drop_folder),
        cmocka_unit_test_setup_teardown(test_iteration_of_a_machine_validates, make_folder,
                                        drop_folder),
        cmocka_unit_test_setup_teardown(test_empty_summary_validates, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(test_iteration_validates, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(test_summary_with_telemetry_validates, make_folder,
                                        drop_folder),
        cmocka_unit_test_setup_teardown(test_iteration_with_telemetry_validates, make_folder,
                                        drop_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
