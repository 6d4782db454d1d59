/* A run record with marks, for the tests of everything that tells of them. */
#ifndef PW_TESTS_UNIT_SAMPLE_MOMENTS_H
#define PW_TESTS_UNIT_SAMPLE_MOMENTS_H

#include "core/clock.h"
#include "core/record.h"
#include "tests/unit/unit.h"

/* What one worker was like; a moment < 0 did not come. */
struct moment_worker {
    int code;
    double duration_ms; /* 0: it never ran */
    double at_ms[PW_LIMIT_MOMENTS];
};

static const struct pw_moment_names sample_names = {.count = 3,
                                                    .names = {"ready", "db-up", "never"}};

static inline void add_moment_iteration(struct pw_run_record *run,
                                        const struct pw_moment_names *names,
                                        const struct moment_worker *workers, size_t count)
{
    struct pw_iteration_record iteration;
    unsigned number = (unsigned)run->iteration_count + 1;
    assert_int_equal(pw_iteration_record_init(&iteration, number, count, NULL), 0);
    iteration.moment_names = names;
    for (size_t i = 0; i < count; i++) {
        struct pw_worker_record *worker = &iteration.workers[i];
        worker->return_code = workers[i].code;
        worker->started_at_ns = PW_NS_PER_SEC;
        worker->ended_at_ns = PW_NS_PER_SEC + pw_ms_to_ns(workers[i].duration_ms);
        worker->duration_ms = workers[i].duration_ms;
        for (size_t m = 0; m < names->count; m++) {
            worker->moments.at_ns[m] =
                workers[i].at_ms[m] < 0 ? -1 : pw_ms_to_ns(workers[i].at_ms[m]);
        }
    }
    assert_int_equal(pw_iteration_fold(&iteration, NULL), 0);
    assert_int_equal(pw_run_record_append(run, &iteration, NULL), 0);
}

/* Three iterations of two workers. Ready came in all successful ones at 10, 20, 30, 40 and 60 ms;
 * db-up in the first two, before and after it; never in none. One worker failed. */
static inline void make_moments_sample(struct pw_run_record *run)
{
    static const struct moment_worker workers[3][2] = {
        {{0, 100, {10, 25, -1}}, {0, 110, {20, 5, -1}}},
        {{0, 120, {30, -1, -1}}, {3, 130, {1, 2, 3}}},
        {{0, 140, {40, -1, -1}}, {0, 50, {60, -1, -1}}},
    };
    pw_run_record_init(run);
    run->run_dir = strdup("/tmp/out/x-20261121-083002");
    run->command = strdup("server");
    run->profile = json_pack("{s:n, s:s, s:i, s:i, s:i}", "name", "phase", "measure", "concurrency",
                             2, "warmup", 0, "iterations", 3);
    run->environment = json_pack("{s:i, s:f}", "cpu_count", 2, "load_1m", 0.5);
    run->stop_detail = strdup("All iterations are done.");
    for (size_t i = 0; i < 3; i++) {
        add_moment_iteration(run, &sample_names, workers[i], 2);
    }
}

#endif
