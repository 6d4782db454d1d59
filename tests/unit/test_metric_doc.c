#include "core/json.h"
#include "core/summary.h"
#include "tests/unit/unit.h"

static void test_json_has_every_row(void **state)
{
    (void)state;
    json_t *root = pw_metrics_to_json(NULL);
    assert_non_null(root);
    assert_int_equal(json_array_size(json_object_get(root, "metrics")), PW_METRIC_COUNT);
    const json_t *row = pw_json_find(root, "metrics.0");
    assert_string_equal(json_string_value(json_object_get(row, "path")), "latency_ms");
    assert_string_equal(json_string_value(json_object_get(row, "key")), "duration_ms");
    assert_string_equal(json_string_value(json_object_get(row, "unit")), "ms");
    assert_string_equal(json_string_value(json_object_get(row, "fold")), "window");
    assert_string_equal(json_string_value(json_object_get(row, "better")), "lower");
    assert_true(json_is_true(json_object_get(row, "frozen")));
    assert_true(json_is_false(json_object_get(row, "scalar")));
    assert_int_equal(json_array_size(json_object_get(row, "stats")), 5);
    assert_near(json_number_value(pw_json_find(row, "otel.factor")), 0.001);
    const json_t *last = json_array_get(json_object_get(root, "metrics"), PW_METRIC_FAILED_RUNS);
    assert_true(json_is_true(json_object_get(last, "scalar")));
    assert_int_equal(json_array_size(json_object_get(last, "stats")), 0);
    assert_true(json_is_true(json_object_get(last, "in_runs")));
    assert_true(json_is_false(json_object_get(last, "in_worker_results")));
    json_decref(root);
}

/* Number of cells of a table's line; bars behind a backslash belong to the text. */
static size_t count_cells(const char *line, size_t length)
{
    size_t bars = 0;
    for (size_t i = 0; i < length; i++) {
        bars += line[i] == '|' && (i == 0 || line[i - 1] != '\\');
    }
    return bars - 1;
}

static void test_page_has_every_row(void **state)
{
    (void)state;
    char *page = pw_metrics_to_markdown(NULL);
    assert_non_null(page);
    size_t lines = 0;
    size_t cells = 0; /* of the table at hand */
    for (const char *line = page; *line != '\0';) {
        size_t length = strcspn(line, "\n");
        if (line[0] != '|') {
            cells = 0;
        } else if (cells == 0) {
            cells = count_cells(line, length);
        } else {
            assert_int_equal(count_cells(line, length), cells);
            lines++;
        }
        line += length + (line[length] == '\n');
    }
    assert_int_equal(lines, 3 * (PW_METRIC_COUNT + 1)); /* and the line below each heading */
    for (size_t i = 0; i < PW_METRIC_COUNT; i++) {
        assert_contains(page, pw_metrics[i].path);
        assert_contains(page, pw_metrics[i].help);
        assert_contains(page, pw_metrics[i].otel_name);
    }
    assert_contains(page, "| `latency_ms` * | ms | mean, p50, p95, min, max | lower | 0.1 |");
    free(page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_has_every_row),
        cmocka_unit_test(test_page_has_every_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
