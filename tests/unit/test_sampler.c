/* wrapper/run/sampler: the breakdown of a worker's memory that it takes at the peak and keeps. */
#include "core/clock.h"
#include "tests/unit/live_memory.h"
#include "wrapper/run/sampler.h"

static struct pw_sampler *start_sampler(struct pw_plan *plan, bool with_snapshots)
{
    struct pw_sampler *sampler = NULL;

    *plan = (struct pw_plan){.concurrency = 2,
                             .probe_interval_ms = 2,
                             .probe_budget_pct = 100,
                             .vmmap_snapshots = with_snapshots};
    assert_int_equal(pw_sampler_new(plan, &sampler, NULL), 0);
    return sampler;
}

/* Until that many more samples were taken. */
static void wait_samples(struct pw_sampler *sampler, uint64_t count)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    struct pw_observer observer;

    pw_sampler_observer(sampler, &observer);
    uint64_t wanted = observer.samples + count;
    while (observer.samples < wanted) {
        (void)nanosleep(&pause, NULL);
        pw_sampler_observer(sampler, &observer);
    }
}

static void test_the_peak_is_kept(void **state)
{
    PW_FREE_AUTO char *file = live_file(state);
    struct pw_plan plan;
    struct pw_sampler *sampler = start_sampler(&plan, true);
    struct live_worker worker;
    struct pw_memory_breakdown breakdown;
    struct pw_value values[PW_METRIC_COUNT];

    live_start(&worker, file);
    int64_t spawned_at_ns = pw_clock_now_ns();
    assert_int_equal(pw_sampler_add(sampler, 1, worker.warden, worker.root, spawned_at_ns, NULL),
                     0);
    wait_samples(sampler, 3);
    assert_false(pw_sampler_take_breakdown(sampler, 1, &breakdown)); /* not while it runs */
    live_tell(&worker, LIVE_HOLD);
    int64_t held_at_ns = pw_clock_now_ns();
    wait_samples(sampler, 40);
    int64_t dropped_at_ns = pw_clock_now_ns();
    live_tell(&worker, LIVE_DROP);
    wait_samples(sampler, 5);
    live_end(&worker);
    int64_t ended_at_ns = pw_clock_now_ns();
    pw_sampler_take(sampler, 1, ended_at_ns, 0, values);
    assert_true(pw_sampler_take_breakdown(sampler, 1, &breakdown));
    assert_int_equal(breakdown.processes, 2);
    assert_true(breakdown.at_ns > spawned_at_ns && breakdown.at_ns < dropped_at_ns);
    /* One that fell into the mapping may have been the last that was 2 percent larger. */
    double least = 0.98 * LIVE_MIB;
    assert_true((double)breakdown.anon_bytes > LIVE_ANON_MIB * least);
    assert_true((double)breakdown.shmem_bytes > LIVE_SHMEM_MIB * least);
    assert_true((double)breakdown.footprint_bytes > (LIVE_ANON_MIB + LIVE_SHMEM_MIB) * least);
    assert_true(breakdown.peak_footprint_bytes >= breakdown.footprint_bytes);
    assert_true(breakdown.at_ns >= held_at_ns - PW_NS_PER_SEC);
    assert_false(breakdown.partial);
    /* The metrics know of it. */
    struct pw_value pss = values[PW_METRIC_TREE_PEAK_PSS_MB];
    assert_true(pw_value_is_present(pss));
    assert_true(pss.number * LIVE_MIB >= (double)breakdown.pss_bytes - 1);
    /* Once; and the next worker begins anew. */
    assert_false(pw_sampler_take_breakdown(sampler, 1, &breakdown));
    assert_false(pw_sampler_take_breakdown(sampler, 0, &breakdown));
    live_start(&worker, file);
    assert_int_equal(
        pw_sampler_add(sampler, 1, worker.warden, worker.root, pw_clock_now_ns(), NULL), 0);
    wait_samples(sampler, 2);
    live_end(&worker);
    pw_sampler_take(sampler, 1, pw_clock_now_ns(), 0, values);
    assert_true(pw_sampler_take_breakdown(sampler, 1, &breakdown));
    assert_int_equal(breakdown.processes, 1);
    assert_true(breakdown.shmem_bytes < LIVE_SHMEM_MIB * LIVE_MIB / 2);
    assert_true(breakdown.peak_footprint_bytes < LIVE_ANON_MIB * LIVE_MIB);
    pw_sampler_free(sampler);
}

static void test_none_where_none_is_wanted(void **state)
{
    struct pw_plan plan;
    struct pw_sampler *sampler = start_sampler(&plan, false);
    struct live_worker worker;
    struct pw_memory_breakdown breakdown;
    struct pw_value values[PW_METRIC_COUNT];

    (void)state;
    live_start(&worker, "/dev/null");
    assert_int_equal(
        pw_sampler_add(sampler, 0, worker.warden, worker.root, pw_clock_now_ns(), NULL), 0);
    wait_samples(sampler, 3);
    live_end(&worker);
    pw_sampler_take(sampler, 0, pw_clock_now_ns(), 0, values);
    assert_false(pw_sampler_take_breakdown(sampler, 0, &breakdown));
    pw_sampler_free(sampler);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_peak_is_kept, make_folder, drop_folder),
        cmocka_unit_test(test_none_where_none_is_wanted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
