/* wrapper/probe/tree_stats: made-up samples with times and sizes whose results can be worked out by
 * hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "core/clock.h"
#include "core/metric.h"
#include "wrapper/probe/tree_stats.h"

#define MS PW_NS_PER_MS
#define MIB UINT64_C(1048576)

static const int64_t start_ns = INT64_C(5000) * MS;

struct run {
    struct pw_proc *proc;
    struct pw_tree *tree; /* of which there are no samples: this process is no warden */
    struct pw_tree_stats stats;
    struct pw_value values[PW_METRIC_COUNT];
};

static int set_up(void **state)
{
    static struct run run;

    memset(&run, 0, sizeof run);
    assert_int_equal(pw_proc_open("/proc", &run.proc, NULL), 0);
    assert_int_equal(pw_tree_open(run.proc, getpid(), 1, &run.tree, NULL), 0);
    pw_tree_stats_init(&run.stats, start_ns, false);
    *state = &run;
    return 0;
}

static int tear_down(void **state)
{
    struct run *run = *state;

    pw_tree_close(run->tree);
    pw_proc_close(run->proc);
    return 0;
}

/* A sample `at_ms` after the start, with CPU times in ms. */
static struct pw_tree_sample sample_at(int64_t at_ms, int64_t cpu_ms, int64_t root_cpu_ms)
{
    return (struct pw_tree_sample){.earliest_ns = start_ns + at_ms * MS,
                                   .latest_ns = start_ns + at_ms * MS,
                                   .processes = 1,
                                   .threads = 1,
                                   .cpu_ns = cpu_ms * MS,
                                   .cpu_most_ns = cpu_ms * MS,
                                   .cpu_followed_ns = cpu_ms * MS,
                                   .root_cpu_ns = root_cpu_ms * MS};
}

static void add(struct run *run, int64_t at_ms, int64_t cpu_ms)
{
    struct pw_tree_sample sample = sample_at(at_ms, cpu_ms, cpu_ms / 2);

    pw_tree_stats_add(&run->stats, &sample, true);
}

static void finish(struct run *run, int64_t at_ms, double cpu_ms, int64_t root_cpu_ms)
{
    pw_tree_stats_finish(&run->stats, start_ns + at_ms * MS, (int64_t)(cpu_ms * (double)MS),
                         root_cpu_ms < 0 ? -1 : root_cpu_ms * MS);
    pw_tree_stats_values(&run->stats, run->tree, run->values);
}

static void assert_value(const struct run *run, enum pw_metric_id metric, double number)
{
    if (run->values[metric].state != PW_PRESENT)
        fail_msg("%s is %s", pw_metrics[metric].path, pw_absence_name(run->values[metric].state));
    if (run->values[metric].number < number - 1e-6 || run->values[metric].number > number + 1e-6)
        fail_msg("%s is %f, not %f", pw_metrics[metric].path, run->values[metric].number, number);
}

static void assert_absent(const struct run *run, enum pw_metric_id metric, enum pw_absence reason)
{
    if (run->values[metric].state != reason)
        fail_msg("%s is %s, not %s", pw_metrics[metric].path,
                 pw_absence_name(run->values[metric].state), pw_absence_name(reason));
}

static const enum pw_metric_id sampled[] = {
    PW_METRIC_TREE_PEAK_RSS_KB,    PW_METRIC_TREE_PEAK_RSS_MB,    PW_METRIC_TREE_PEAK_CPU,
    PW_METRIC_TREE_MEAN_CPU,       PW_METRIC_TREE_PEAK_PROCESSES, PW_METRIC_TREE_PEAK_THREADS,
    PW_METRIC_PARENT_PEAK_RSS_KB,  PW_METRIC_PARENT_PEAK_CPU,     PW_METRIC_PEAK_OPEN_FDS,
    PW_METRIC_PEAK_DIRECT_CHILDREN};
static const enum pw_metric_id top[] = {PW_METRIC_TOP_PEAK_RSS, PW_METRIC_TOP_MEAN_RSS,
                                        PW_METRIC_TOP_PEAK_CPU, PW_METRIC_TOP_MEAN_CPU};
static const enum pw_metric_id on_request[] = {PW_METRIC_TREE_PEAK_PSS_MB,
                                               PW_METRIC_FOOTPRINT_START, PW_METRIC_FOOTPRINT_MID,
                                               PW_METRIC_FOOTPRINT_END};
#define ASSERT_ALL_ABSENT(run, list, reason)                   \
    for (size_t i = 0; i < sizeof(list) / sizeof *(list); i++) \
    assert_absent(run, (list)[i], reason)

static void no_sample(void **state)
{
    struct run *run = *state;
    finish(run, 3, 2, -1);
    assert_value(run, PW_METRIC_TREE_SAMPLES, 0);
    assert_value(run, PW_METRIC_TREE_PROCESSES_SEEN, 0);
    assert_value(run, PW_METRIC_TREE_MISSED_EXITS, 0);
    ASSERT_ALL_ABSENT(run, sampled, PW_ABSENT_NO_SAMPLES);
    ASSERT_ALL_ABSENT(run, on_request, PW_ABSENT_NOT_MEASURED);
    ASSERT_ALL_ABSENT(run, top, PW_ABSENT_NOT_MEASURED);
    assert_absent(run, PW_METRIC_TOP_SAMPLES, PW_ABSENT_NOT_MEASURED);
}

static void no_sample_with_top(void **state)
{
    struct run *run = *state;
    pw_tree_stats_init(&run->stats, start_ns, true);
    finish(run, 3, 2, -1);
    assert_value(run, PW_METRIC_TOP_SAMPLES, 0);
    ASSERT_ALL_ABSENT(run, top, PW_ABSENT_NO_SAMPLES);
}

static void peaks(void **state)
{
    struct run *run = *state;
    struct pw_tree_sample sample = sample_at(1, 0, 0);
    sample.processes = 3;
    sample.threads = 9;
    sample.rss_bytes = 3 * MIB + 1024;
    sample.root_rss_bytes = MIB;
    sample.open_fds = pw_value_of(5);
    sample.direct_children = pw_value_of(2);
    sample.pss_bytes = pw_value_of((double)(2 * MIB));
    pw_tree_stats_add(&run->stats, &sample, false);
    sample = sample_at(2, 0, 0);
    sample.root_rss_bytes = 2 * MIB;
    sample.rss_bytes = 2 * MIB;
    sample.open_fds = pw_value_absent(PW_ABSENT_NO_PERMISSION);
    sample.direct_children = pw_value_of(0);
    pw_tree_stats_add(&run->stats, &sample, false);
    finish(run, 3, 0, -1);
    assert_value(run, PW_METRIC_TREE_SAMPLES, 2);
    assert_value(run, PW_METRIC_TREE_PEAK_RSS_KB, 3 * 1024 + 1);
    assert_value(run, PW_METRIC_TREE_PEAK_RSS_MB, 3 + 1 / 1024.0);
    assert_value(run, PW_METRIC_PARENT_PEAK_RSS_KB, 2048);
    assert_value(run, PW_METRIC_TREE_PEAK_PROCESSES, 3);
    assert_value(run, PW_METRIC_TREE_PEAK_THREADS, 9);
    assert_value(run, PW_METRIC_PEAK_OPEN_FDS, 5);
    assert_value(run, PW_METRIC_PEAK_DIRECT_CHILDREN, 2);
    assert_value(run, PW_METRIC_TREE_PEAK_PSS_MB, 2);
    assert_absent(run, PW_METRIC_FOOTPRINT_START, PW_ABSENT_NOT_MEASURED);
}

static void refused_values_say_so(void **state)
{
    struct run *run = *state;
    struct pw_tree_sample sample = sample_at(1, 0, 0);
    sample.open_fds = sample.pss_bytes = sample.footprint_bytes =
        pw_value_absent(PW_ABSENT_NO_PERMISSION);
    sample.direct_children = pw_value_absent(PW_ABSENT_NO_SAMPLES);
    pw_tree_stats_add(&run->stats, &sample, false);
    finish(run, 3, 0, -1);
    assert_absent(run, PW_METRIC_PEAK_OPEN_FDS, PW_ABSENT_NO_PERMISSION);
    assert_absent(run, PW_METRIC_PEAK_DIRECT_CHILDREN, PW_ABSENT_NO_SAMPLES);
    ASSERT_ALL_ABSENT(run, on_request, PW_ABSENT_NO_PERMISSION);
}

static void short_life_is_one_window(void **state)
{
    struct run *run = *state;
    add(run, 1, 0);
    add(run, 9, 10); /* a tick came early: 10 ms of CPU in 9 ms */
    finish(run, 20, 12, 6);
    assert_value(run, PW_METRIC_TREE_PEAK_CPU, 60);
    assert_value(run, PW_METRIC_TREE_MEAN_CPU, 60);
    assert_value(run, PW_METRIC_PARENT_PEAK_CPU, 30);
}

static void short_life_without_the_kernels_times(void **state)
{
    struct run *run = *state;
    add(run, 1, 0);
    finish(run, 20, -1, -1);
    assert_absent(run, PW_METRIC_TREE_PEAK_CPU, PW_ABSENT_NO_SAMPLES);
    assert_absent(run, PW_METRIC_TREE_MEAN_CPU, PW_ABSENT_NO_SAMPLES);
    assert_absent(run, PW_METRIC_PARENT_PEAK_CPU, PW_ABSENT_NO_SAMPLES);
    assert_value(run, PW_METRIC_TREE_SAMPLES, 1);
}

static void windows_of_a_hundred_ms(void **state)
{
    struct run *run = *state;
    add(run, 10, 0);
    for (int64_t at_ms = 20; at_ms <= 500; at_ms += 20) /* busy from 200 to 300 with two cores */
        add(run, at_ms, at_ms <= 200 ? 0 : at_ms < 300 ? (at_ms - 200) * 2 : 200);
    finish(run, 510, 200, 100);
    assert_value(run, PW_METRIC_TREE_PEAK_CPU, 200);
    assert_value(run, PW_METRIC_PARENT_PEAK_CPU, 100);
    assert_value(run, PW_METRIC_TREE_MEAN_CPU, 200 * 100.0 / 500);
}

static void rest_at_the_end_counts_with_the_window_before(void **state)
{
    struct run *run = *state;
    add(run, 1, 0);
    add(run, 100, 0);
    add(run, 200, 0);
    finish(run, 250, 50, 50);
    assert_value(run, PW_METRIC_TREE_PEAK_CPU, 50 * 100.0 / 150);
    assert_value(run, PW_METRIC_TREE_MEAN_CPU, 50 * 100.0 / 249);
}

static void peak_is_never_below_the_mean(void **state)
{
    struct run *run = *state;
    /* Idle before the first sample: the windows, which begin at the spawn, all have part of that.
     */
    add(run, 50, 0);
    add(run, 120, 70);
    finish(run, 170, 120, 120);
    assert_value(run, PW_METRIC_TREE_MEAN_CPU, 100);
    assert_value(run, PW_METRIC_TREE_PEAK_CPU, 100);
}

static void late_first_sample_takes_the_whole_life(void **state)
{
    struct run *run = *state;
    add(run, 150, 75);
    finish(run, 200, 100, -1);
    assert_value(run, PW_METRIC_TREE_MEAN_CPU, 50);
    assert_value(run, PW_METRIC_TREE_PEAK_CPU, 50);
}

static void add_late(struct run *run, int64_t earliest_ms, int64_t latest_ms, int64_t cpu_ms)
{
    struct pw_tree_sample sample = sample_at(earliest_ms, cpu_ms, cpu_ms);

    sample.latest_ns = start_ns + latest_ms * MS;
    pw_tree_stats_add(&run->stats, &sample, true);
}

static void reading_late_does_not_raise_the_peak(void **state)
{
    struct run *run = *state;
    /* One core is busy all the time. The first reading was delayed after it, the second before. */
    add_late(run, 100, 160, 100);
    add_late(run, 200, 260, 260);
    finish(run, 300, 300, 300);
    assert_value(run, PW_METRIC_TREE_PEAK_CPU, 100);
    assert_value(run, PW_METRIC_PARENT_PEAK_CPU, 100);
    assert_value(run, PW_METRIC_TREE_MEAN_CPU, 100);
}

static void reading_late_lowers_the_peak_by_what_it_is_late(void **state)
{
    struct run *run = *state;
    add(run, 1, 0);
    add_late(run, 100, 101, 0);
    add_late(run, 200, 225, 100);
    add_late(run, 325, 326, 100);
    finish(run, 426, 100, 100);
    assert_value(run, PW_METRIC_TREE_PEAK_CPU, 100 * 100.0 / 125);
    assert_value(run, PW_METRIC_TREE_MEAN_CPU, 100 * 100.0 / 425);
}

static void the_tick_before_the_spawn_does_not_count(void **state)
{
    struct run *run = *state;
    add_late(run, -3, 1, 0);
    finish(run, 200, 200, 200);
    assert_value(run, PW_METRIC_TREE_MEAN_CPU, 100);
    assert_value(run, PW_METRIC_TREE_PEAK_CPU, 100);
}

static void add_hiding(struct run *run, int64_t at_ms, int64_t cpu_ms, int64_t hidden_ms,
                       int64_t followed_ms)
{
    struct pw_tree_sample sample = sample_at(at_ms, cpu_ms, 0);

    sample.cpu_most_ns += hidden_ms * MS;
    sample.cpu_followed_ns = followed_ms * MS;
    pw_tree_stats_add(&run->stats, &sample, true);
}

static void what_ticks_hid_before_does_not_count(void **state)
{
    struct run *run = *state;
    add_hiding(run, 100, 50, 20, 30);
    add_hiding(run, 200, 150, 20, 90); /* 80 more than can have been before */
    finish(run, 300, 180, -1);
    assert_value(run, PW_METRIC_TREE_PEAK_CPU, 80);
    assert_value(run, PW_METRIC_TREE_MEAN_CPU, 130 * 100.0 / 200);
}

static void what_was_followed_does_count(void **state)
{
    struct run *run = *state;
    add_hiding(run, 100, 50, 40, 30);
    add_hiding(run, 200, 150, 40, 125); /* 95 were read as own times */
    finish(run, 300, 180, -1);
    assert_value(run, PW_METRIC_TREE_PEAK_CPU, 95);
    assert_value(run, PW_METRIC_TREE_MEAN_CPU, 130 * 100.0 / 200);
}

static void samples_know_more_than_the_kernels_sum(void **state)
{
    struct run *run = *state;
    add(run, 1, 0);
    add(run, 201, 100); /* of children that nobody waited for */
    finish(run, 301, 3, -1);
    assert_value(run, PW_METRIC_TREE_MEAN_CPU, 100 * 100.0 / 300);
}

static void sample_after_the_end(void **state)
{
    struct run *run = *state;
    add(run, 1, 0);
    add(run, 40, 10); /* of an orphan, say */
    finish(run, 30, 15, 15);
    assert_value(run, PW_METRIC_TREE_PEAK_CPU, 50);
    assert_value(run, PW_METRIC_TREE_MEAN_CPU, 50);
    pw_tree_stats_init(&run->stats, start_ns, false);
    add(run, 0, 0);
    finish(run, 0, 0, 0); /* no time at all */
    assert_absent(run, PW_METRIC_TREE_PEAK_CPU, PW_ABSENT_NO_SAMPLES);
}

static void add_top(struct run *run, int64_t at_ms, int64_t cpu_ms, uint64_t rss_bytes,
                    bool top_point)
{
    struct pw_tree_sample sample = sample_at(at_ms, cpu_ms, cpu_ms);

    sample.rss_bytes = rss_bytes;
    pw_tree_stats_add(&run->stats, &sample, top_point);
}

static void top_series(void **state)
{
    struct run *run = *state;
    pw_tree_stats_init(&run->stats, start_ns, true);
    add_top(run, 5, 0, 1 * MIB, true);
    add_top(run, 100, 90, 100 * MIB, false); /* between the points: not its business */
    add_top(run, 205, 100, 2 * MIB, true);
    add_top(run, 405, 400, 6 * MIB, true);
    finish(run, 600, 400, -1);
    assert_value(run, PW_METRIC_TOP_SAMPLES, 3);
    assert_value(run, PW_METRIC_TOP_PEAK_RSS, 6);
    assert_value(run, PW_METRIC_TOP_MEAN_RSS, 3);
    assert_value(run, PW_METRIC_TOP_PEAK_CPU, 150);
    assert_value(run, PW_METRIC_TOP_MEAN_CPU, 100);
    assert_value(run, PW_METRIC_TREE_SAMPLES, 4);
}

static void top_with_one_point(void **state)
{
    struct run *run = *state;
    pw_tree_stats_init(&run->stats, start_ns, true);
    add_top(run, 1, 0, 2 * MIB, true);
    finish(run, 40, 10, 10);
    assert_value(run, PW_METRIC_TOP_SAMPLES, 1);
    assert_value(run, PW_METRIC_TOP_MEAN_RSS, 2);
    assert_value(run, PW_METRIC_TOP_PEAK_CPU, 25);
    assert_value(run, PW_METRIC_TOP_MEAN_CPU, 25);
}

static void top_not_asked_for(void **state)
{
    struct run *run = *state;
    add_top(run, 1, 0, 2 * MIB, true);
    finish(run, 40, 10, 10);
    ASSERT_ALL_ABSENT(run, top, PW_ABSENT_NOT_MEASURED);
    assert_absent(run, PW_METRIC_TOP_SAMPLES, PW_ABSENT_NOT_MEASURED);
}

static void add_footprint(struct run *run, int64_t at_ms, uint64_t mib)
{
    struct pw_tree_sample sample = sample_at(at_ms, 0, 0);

    sample.footprint_bytes = pw_value_of((double)(mib * MIB));
    pw_tree_stats_add(&run->stats, &sample, false);
}

static void footprints(void **state)
{
    struct run *run = *state;
    add_footprint(run, 10, 1);
    add_footprint(run, 400, 5);
    add(run, 500, 0); /* without one */
    add_footprint(run, 700, 3);
    finish(run, 1000, 0, -1);
    assert_value(run, PW_METRIC_FOOTPRINT_START, 1);
    assert_value(run, PW_METRIC_FOOTPRINT_MID, 5);
    assert_value(run, PW_METRIC_FOOTPRINT_END, 3);
}

static void one_footprint_is_all_three(void **state)
{
    struct run *run = *state;
    add_footprint(run, 10, 7);
    pw_tree_stats_values(&run->stats, run->tree, run->values); /* also before the end is known */
    assert_value(run, PW_METRIC_FOOTPRINT_START, 7);
    assert_value(run, PW_METRIC_FOOTPRINT_MID, 7);
    assert_value(run, PW_METRIC_FOOTPRINT_END, 7);
}

static void many_footprints_are_thinned_out(void **state)
{
    struct run *run = *state;
    enum { COUNT = 100000 };
    for (int64_t i = 0; i < COUNT; i++)
        add_footprint(run, i, (uint64_t)i);
    finish(run, COUNT, 0, -1);
    assert_value(run, PW_METRIC_FOOTPRINT_START, 0);
    assert_value(run, PW_METRIC_FOOTPRINT_END, COUNT - 1);
    assert_in_range(run->values[PW_METRIC_FOOTPRINT_MID].number, COUNT / 2 - COUNT / 32,
                    COUNT / 2 + COUNT / 32);
}

#define STATS_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STATS_TEST(no_sample),
        STATS_TEST(no_sample_with_top),
        STATS_TEST(peaks),
        STATS_TEST(refused_values_say_so),
        STATS_TEST(short_life_is_one_window),
        STATS_TEST(short_life_without_the_kernels_times),
        STATS_TEST(windows_of_a_hundred_ms),
        STATS_TEST(rest_at_the_end_counts_with_the_window_before),
        STATS_TEST(peak_is_never_below_the_mean),
        STATS_TEST(late_first_sample_takes_the_whole_life),
        STATS_TEST(reading_late_does_not_raise_the_peak),
        STATS_TEST(reading_late_lowers_the_peak_by_what_it_is_late),
        STATS_TEST(the_tick_before_the_spawn_does_not_count),
        STATS_TEST(what_ticks_hid_before_does_not_count),
        STATS_TEST(what_was_followed_does_count),
        STATS_TEST(samples_know_more_than_the_kernels_sum),
        STATS_TEST(sample_after_the_end),
        STATS_TEST(top_series),
        STATS_TEST(top_with_one_point),
        STATS_TEST(top_not_asked_for),
        STATS_TEST(footprints),
        STATS_TEST(one_footprint_is_all_three),
        STATS_TEST(many_footprints_are_thinned_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
