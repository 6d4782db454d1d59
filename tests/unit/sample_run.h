/* A run record with known numbers, for the tests of summaries, schemas and judgement. */
#ifndef PW_TESTS_UNIT_SAMPLE_RUN_H
#define PW_TESTS_UNIT_SAMPLE_RUN_H

#include "core/clock.h"
#include "core/record.h"
#include "tests/unit/sample_telemetry.h"
#include "tests/unit/unit.h"

/* Appends an iteration; its workers last duration_ms[i] from a common start and return codes[i]. */
static inline void add_iteration(struct pw_run_record *run, size_t worker_count,
                                 const double *duration_ms, const int *codes)
{
    struct pw_iteration_record iteration;
    unsigned number = (unsigned)run->iteration_count + 1;
    assert_int_equal(pw_iteration_record_init(&iteration, number, worker_count, NULL), 0);
    iteration.started_wall = (struct timespec){1795249802, 0};
    for (size_t i = 0; i < worker_count; i++) {
        struct pw_worker_record *worker = &iteration.workers[i];
        worker->pid = 100 + (pid_t)i;
        worker->return_code = codes ? codes[i] : 0;
        worker->started_at_ns = PW_NS_PER_SEC;
        worker->ended_at_ns = PW_NS_PER_SEC + pw_ms_to_ns(duration_ms[i]);
        worker->duration_ms = duration_ms[i];
    }
    assert_int_equal(pw_iteration_fold(&iteration, NULL), 0);
    assert_int_equal(pw_run_record_append(run, &iteration, NULL), 0);
}

/* A run of one machine after another: the second's command returned 3. */
static inline void make_machines_sample(struct pw_run_record *run)
{
    static const char *const verdicts[] = {"ok", "guest_command_failed", "ok"};
    pw_run_record_init(run);
    run->profile = json_pack("{s:n, s:s, s:i, s:i, s:i}", "name", "phase", "measure", "concurrency",
                             1, "warmup", 0, "iterations", 3);
    run->machine = json_pack("{s:s, s:i}", "accel", "tcg", "memory_mib", 256);
    for (size_t i = 0; i < 3; i++) {
        struct pw_iteration_record iteration;
        assert_int_equal(pw_iteration_record_init(&iteration, (unsigned)i + 1, 1, NULL), 0);
        struct pw_worker_record *worker = &iteration.workers[0];
        worker->started_at_ns = PW_NS_PER_SEC;
        worker->ended_at_ns = PW_NS_PER_SEC + pw_ms_to_ns(1200);
        worker->duration_ms = 1200;
        worker->end = PW_END_UNTIL;
        worker->verdict = verdicts[i];
        worker->return_code = i == 1 ? 3 : 0;
        worker->verdict_detail = i == 1 ? strdup("the command returned 3\nlast line") : NULL;
        worker->values[PW_METRIC_DISK_CLONE] = pw_value_of(2);
        worker->values[PW_METRIC_TEARDOWN] = pw_value_of(15);
        assert_int_equal(pw_iteration_fold(&iteration, NULL), 0);
        assert_int_equal(pw_run_record_append(run, &iteration, NULL), 0);
    }
}

static inline void set_all(struct pw_iteration_record *iteration, enum pw_metric_id id,
                           double number)
{
    for (size_t i = 0; i < iteration->worker_count; i++) {
        iteration->workers[i].values[id] = pw_value_of(number + (double)i);
    }
}

/* An iteration of two workers that ran for 100 ms: the first reported the sample of telemetry, the
 * second nothing. Folded. */
static inline void make_reporting_iteration(struct pw_iteration_record *iteration, unsigned number)
{
    assert_int_equal(pw_iteration_record_init(iteration, number, 2, NULL), 0);
    for (size_t i = 0; i < 2; i++) {
        struct pw_worker_record *worker = &iteration->workers[i];
        worker->started_at_ns = PW_NS_PER_SEC;
        worker->ended_at_ns = PW_NS_PER_SEC + pw_ms_to_ns(100);
        worker->duration_ms = 100;
        worker->has_telemetry = true;
        snprintf(worker->trace_id, sizeof(worker->trace_id), "%032zx", i + 10);
    }
    fill_telemetry(&iteration->workers[0].telemetry);
    assert_int_equal(pw_iteration_fold(iteration, NULL), 0);
}

static inline void add_reporting_iteration(struct pw_run_record *run)
{
    struct pw_iteration_record iteration;
    make_reporting_iteration(&iteration, (unsigned)run->iteration_count + 1);
    assert_int_equal(pw_run_record_append(run, &iteration, NULL), 0);
}

/* Two iterations of two workers; the second worker of the second iteration timed out. */
static inline void make_sample(struct pw_run_record *run)
{
    static const double first_ms[] = {100, 120};
    static const double second_ms[] = {110, 300};
    static const int codes[] = {0, 124};
    pw_run_record_init(run);
    run->run_dir = strdup("/tmp/out/x-20261121-083002");
    run->command = strdup("sleep 0.1");
    run->profile = json_pack("{s:n, s:s, s:i, s:i, s:i}", "name", "phase", "measure", "concurrency",
                             2, "warmup", 1, "iterations", 2);
    run->environment = json_pack("{s:i, s:f}", "cpu_count", 2, "load_1m", 0.5);
    run->stop_detail = strdup("All iterations are done.");
    add_iteration(run, 2, first_ms, NULL);
    add_iteration(run, 2, second_ms, codes);
    run->iterations[1].workers[1].end = PW_END_TIMEOUT;
    run->iterations[1].workers[1].signal = 9;
    run->iterations[0].workers[0].stderr_tail = strdup("first\n");
    run->iterations[1].workers[0].stderr_tail = strdup("fine\n");
    run->iterations[1].workers[1].stderr_tail = strdup("bad \xFF byte\n");
    for (size_t i = 0; i < 2; i++) {
        struct pw_iteration_record *iteration = &run->iterations[i];
        double add = 10 * (double)i;
        set_all(iteration, PW_METRIC_MAX_RSS_KB, 1024 + add);
        set_all(iteration, PW_METRIC_USER_CPU, 0.25);
        set_all(iteration, PW_METRIC_SYSTEM_CPU, 0.5 + add);
        set_all(iteration, PW_METRIC_STEP_BUILD_CMD, 1);
        set_all(iteration, PW_METRIC_STEP_SPAWN_PROC, 2);
        set_all(iteration, PW_METRIC_STEP_MONITOR_LOOP, 3);
        set_all(iteration, PW_METRIC_STEP_COMMUNICATE, 4);
        set_all(iteration, PW_METRIC_STEP_PARSE_STATS, 5);
        set_all(iteration, PW_METRIC_PEAK_OPEN_FDS, 3 + add);
        iteration->workers[0].values[PW_METRIC_TREE_PEAK_PSS_MB] =
            pw_value_absent(PW_ABSENT_NO_PERMISSION);
        assert_int_equal(pw_iteration_fold(iteration, NULL), 0);
    }
    const struct pw_orphan orphan = {
        .iteration = 2, .worker_id = 1, .pid = 4711, .comm = "daemon", .kept = false};
    assert_int_equal(pw_run_record_add_orphan(run, &orphan, NULL), 0);
    run->observer.samples = 40;
    run->observer.observed_ns = pw_ms_to_ns(420);
    run->observer.sampler_cpu_ns = pw_ms_to_ns(2.1);
    run->observer.largest_gap_ns = pw_ms_to_ns(21);
    run->observer.interval_ms = 20;
    run->observer.budget_pct = 1;
}

#endif
