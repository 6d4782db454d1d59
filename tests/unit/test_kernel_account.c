/* core/kernel_account.h and core/accounting.h: from counts to values and documents. */
#include <string.h>
#include "core/accounting.h"
#include "core/clock.h"
#include "core/json.h"
#include "core/kernel_account.h"
#include "core/limits.h"
#include "core/metric.h"
#include "core/stats.h"
#include "tests/unit/unit.h"

enum { SIGNAL_9 = 9, EXIT_3 = 3 << 8 }; /* as wait(2) has them */

static struct pw_kernel_powers all_powers(void)
{
    return (struct pw_kernel_powers){.tree = true,
                                     .memory = true,
                                     .waits = true,
                                     .decomposition = true,
                                     .reasons = true,
                                     .faults = true,
                                     .io = true,
                                     .block = true,
                                     .tcp = true,
                                     .syscalls = true};
}

static void test_values(void **state)
{
    (void)state;
    struct pw_value values[PW_METRIC_COUNT] = {0};
    struct pw_kernel_account account;
    pw_kernel_account_init(&account);
    account.powers = all_powers();
    account.processes = 1001;
    account.cpu_ns = 250 * PW_NS_PER_MS;
    account.peak_rss_bytes = UINT64_C(150) << 20;
    account.wait_ns[PW_WAIT_LOCK] = 3 * PW_NS_PER_MS;
    account.wall.on_cpu_ns = 7 * PW_NS_PER_MS;
    account.block_requests = 4;
    account.block_ns = 2 * PW_NS_PER_MS;
    pw_kernel_account_set_values(&account, values);
    assert_value(values[PW_METRIC_KERNEL_PROCESSES], 1001);
    assert_value(values[PW_METRIC_KERNEL_CPU], 0.25);
    assert_value(values[PW_METRIC_KERNEL_PEAK_RSS], 150);
    assert_value(values[PW_METRIC_KERNEL_WAIT_LOCK], 3);
    assert_value(values[PW_METRIC_KERNEL_WALL_ON_CPU], 7);
    assert_value(values[PW_METRIC_KERNEL_BLOCK_MEAN], 0.5);
    /* Of no connection there is no latency; that is not 0. */
    assert_int_equal(values[PW_METRIC_KERNEL_TCP_CONNECTS].state, PW_PRESENT);
    assert_int_equal(values[PW_METRIC_KERNEL_TCP_MEAN].state, PW_ABSENT_NO_SAMPLES);
}

/* Every row of the kernel's is absent, with a reason, where nothing could be seen. */
static void test_without_powers(void **state)
{
    (void)state;
    struct pw_value values[PW_METRIC_COUNT] = {0};
    const struct pw_kernel_account nothing = {0};
    size_t rows = 0;
    pw_kernel_account_set_values(&nothing, values);
    for (size_t i = 0; i < PW_METRIC_COUNT; i++) {
        if (strncmp(pw_metrics[i].path, "kernel.", 7) != 0 || i == PW_METRIC_KERNEL_SYSCALLS) {
            assert_int_equal(values[i].state, PW_ABSENT_NOT_MEASURED);
            continue;
        }
        assert_int_equal(values[i].state, PW_ABSENT_NOT_SUPPORTED);
        rows++;
    }
    assert_true(rows > 40);
}

static void test_every_row_is_set(void **state)
{
    (void)state;
    struct pw_value values[PW_METRIC_COUNT] = {0};
    struct pw_kernel_account account = {
        .powers = all_powers(), .tcp_connects = 1, .block_requests = 1};
    pw_kernel_account_set_values(&account, values);
    for (size_t i = 0; i < PW_METRIC_COUNT; i++) {
        bool is_kernel = strncmp(pw_metrics[i].path, "kernel.", 7) == 0;
        assert_int_equal(pw_value_is_present(values[i]), is_kernel);
    }
}

static void test_detail(void **state)
{
    (void)state;
    bool failed = false;
    struct pw_kernel_process processes[] = {
        {.pid = 10,
         .ppid = 9,
         .comm = "sh",
         .started_at_ns = 1000000,
         .ended_at_ns = 9000000,
         .status = EXIT_3,
         .rss_at_tree_peak_bytes = 1 << 20},
        {.pid = 11,
         .ppid = 10,
         .comm = "spike",
         .started_at_ns = 2000000,
         .ended_at_ns = 3000000,
         .status = SIGNAL_9,
         .rss_at_tree_peak_bytes = 150 << 20},
        {.pid = 12, .ppid = 10, .comm = "gone", .started_at_ns = 4000000},
    };
    struct pw_kernel_remote remote = {
        .address = "10.0.0.1", .port = 443, .connects = 2, .connect_ns = 40 * PW_NS_PER_MS};
    struct pw_kernel_syscall call = {.number = 0, .count = 5};
    struct pw_kernel_account account = {.powers = all_powers(),
                                        .process_list = processes,
                                        .process_count = 3,
                                        .remotes = &remote,
                                        .remote_count = 1,
                                        .slowest = &call,
                                        .slowest_count = 1};
    account.runq_slots[3] = 2;
    json_t *detail = pw_kernel_account_to_json(&account, 1000000, &failed);
    assert_false(failed);
    assert_true(json_is_true(json_object_get(detail, "exact")));
    assert_string_equal(json_string_value(pw_json_find(detail, "memory_peak.held_by.0.comm")),
                        "spike");
    assert_int_equal(json_array_size(pw_json_find(detail, "memory_peak.held_by")), 2);
    assert_int_equal(json_array_size(json_object_get(detail, "runq_histogram")), 4);
    assert_near(json_number_value(pw_json_find(detail, "runq_histogram.3.below_ms")), 0.016);
    assert_int_equal(json_integer_value(pw_json_find(detail, "processes.0.exit_code")), 3);
    assert_int_equal(json_integer_value(pw_json_find(detail, "processes.1.signal")), 9);
    assert_true(json_is_null(pw_json_find(detail, "processes.1.exit_code")));
    assert_true(json_is_null(pw_json_find(detail, "processes.2.ended_ms")));
    assert_near(json_number_value(pw_json_find(detail, "processes.1.started_ms")), 1);
    assert_near(json_number_value(pw_json_find(detail, "tcp_remotes.0.mean_connect_ms")), 20);
    assert_true(json_is_string(pw_json_find(detail, "slowest_syscalls.0.name")));
    json_decref(detail);

    account.lost = 1; /* nothing is exact any more */
    detail = pw_kernel_account_to_json(&account, 0, &failed);
    assert_true(json_is_false(json_object_get(detail, "exact")));
    json_decref(detail);
}

static void test_list_is_bounded(void **state)
{
    (void)state;
    bool failed = false;
    struct pw_kernel_process *many = calloc(PW_LIMIT_KERNEL_PROCESSES_LISTED + 1, sizeof(*many));
    assert_non_null(many);
    struct pw_kernel_account account = {.powers = {.tree = true},
                                        .process_list = many,
                                        .process_count = PW_LIMIT_KERNEL_PROCESSES_LISTED + 1};
    json_t *detail = pw_kernel_account_to_json(&account, 0, &failed);
    assert_int_equal(json_array_size(json_object_get(detail, "processes")),
                     PW_LIMIT_KERNEL_PROCESSES_LISTED);
    json_decref(detail);
    free(many);
}

static const json_t *source_about(const json_t *document, const char *about)
{
    const json_t *sources = json_object_get(document, "sources");
    for (size_t i = 0; i < json_array_size(sources); i++) {
        const json_t *source = json_array_get(sources, i);
        if (strcmp(json_string_value(json_object_get(source, "about")), about) == 0) {
            return source;
        }
    }
    fail_msg("nothing about %s", about);
    return NULL;
}

static void test_statement(void **state)
{
    (void)state;
    bool failed = false;
    struct pw_stats stats[PW_METRIC_COUNT] = {0};
    struct pw_accounting accounting = {.asked = "auto"};
    json_t *document = pw_accounting_to_json(&accounting, stats, &failed);
    assert_true(json_is_null(document)); /* nobody chose */
    json_decref(document);

    accounting.is_stated = true;
    accounting.workers = 2;
    accounting.rungs[PW_RUNG_EBPF].state = PW_RUNG_USED;
    accounting.rungs[PW_RUNG_CGROUP].state = PW_RUNG_REFUSED;
    strcpy(accounting.rungs[PW_RUNG_CGROUP].why, "not delegated");
    accounting.rungs[PW_RUNG_PROC].state = PW_RUNG_USED;
    stats[PW_METRIC_TREE_PEAK_RSS_MB] = (struct pw_stats){.n = 1, .mean = pw_value_of(30)};
    stats[PW_METRIC_KERNEL_PEAK_RSS] = (struct pw_stats){.n = 1, .mean = pw_value_of(150)};
    document = pw_accounting_to_json(&accounting, stats, &failed);
    assert_false(failed);
    assert_string_equal(json_string_value(json_object_get(document, "used")), "ebpf");
    assert_true(json_is_true(json_object_get(document, "exact")));
    assert_string_equal(json_string_value(pw_json_find(document, "rungs.1.why")), "not delegated");
    assert_string_equal(
        json_string_value(json_object_get(source_about(document, "memory of the tree"), "metric")),
        "kernel.peak_tree_rss_mb");
    assert_true(
        json_is_null(json_object_get(source_about(document, "latency of the network"), "metric")));
    assert_near(json_number_value(pw_json_find(document, "sampling_missed.0.missed_pct")), 80);
    json_decref(document);

    accounting.lost = 3;
    accounting.untraced = 2;
    stats[PW_METRIC_KERNEL_PEAK_RSS].n = 0; /* then the next best source answers */
    document = pw_accounting_to_json(&accounting, stats, &failed);
    assert_true(json_is_false(json_object_get(document, "exact")));
    assert_int_equal(json_integer_value(json_object_get(document, "untraced_switches")), 2);
    assert_string_equal(
        json_string_value(json_object_get(source_about(document, "memory of the tree"), "metric")),
        "process_tree_sampled.peak_tree_rss_mb");
    assert_int_equal(json_array_size(json_object_get(document, "sampling_missed")), 0);
    json_decref(document);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),           cmocka_unit_test(test_without_powers),
        cmocka_unit_test(test_every_row_is_set), cmocka_unit_test(test_detail),
        cmocka_unit_test(test_list_is_bounded),  cmocka_unit_test(test_statement),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
