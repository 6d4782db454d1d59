/* Histograms and summaries of a window, and the payloads of real clients. */
#include "tests/unit/otel_window.h"

static uint64_t loss(const struct otel *otel, enum pw_loss which)
{
    return otel->result.losses[which];
}

/* One point of a histogram called "m"; `members` are those of the point behind its times. */
__attribute__((format(printf, 5, 6))) static void feed_histogram(struct otel *otel, int temporality,
                                                                 uint64_t start, uint64_t time,
                                                                 const char *format, ...)
{
    PW_FREE_AUTO char *members = NULL;
    va_list args;
    va_start(args, format);
    assert_true(vasprintf(&members, format, args) >= 0);
    va_end(args);
    feed_metric(otel, "",
                "{\"name\":\"m\",\"unit\":\"ms\",\"histogram\":{\"aggregationTemporality\":%d,"
                "\"dataPoints\":[{\"startTimeUnixNano\":%llu,\"timeUnixNano\":%llu,%s}]}}",
                temporality, (unsigned long long)start, (unsigned long long)time, members);
}

/* --- delta --- */

static void test_delta_histograms(void **state)
{
    struct otel *otel = *state;
    feed_histogram(otel, DELTA, 2000, 2010,
                   "\"count\":3,\"sum\":12,\"min\":1,\"max\":8,\"explicitBounds\":[2,5],"
                   "\"bucketCounts\":[1,1,1]");
    feed_histogram(otel, DELTA, 2010, 2020,
                   "\"count\":1,\"sum\":20,\"min\":20,\"max\":20,\"explicitBounds\":[2,5],"
                   "\"bucketCounts\":[0,0,1]");
    feed_histogram(otel, DELTA, 2010, 2020, /* sent again */
                   "\"count\":1,\"sum\":20,\"min\":20,\"max\":20,\"explicitBounds\":[2,5],"
                   "\"bucketCounts\":[0,0,1]");
    const struct pw_otel_total *total = total_of_m(otel);
    assert_int_equal(otel->result.metrics->type, PW_OTEL_HISTOGRAM);
    assert_int_equal(total->points, 3);
    assert_int_equal(total->count, 4);
    assert_value(total->sum, 32.0);
    assert_value(total->min, 1.0);
    assert_value(total->max, 20.0);
    assert_int_equal(total->histogram.kind, PW_HISTOGRAM_EXPLICIT);
    assert_int_equal(total->histogram.counts[0], 1);
    assert_int_equal(total->histogram.counts[2], 2);
    assert_value(pw_histogram_quantile(&total->histogram, 0.75, total->min, total->max), 12.5);
    assert_int_equal(loss(otel, PW_LOSS_REPEATED), 1);

    /* Negative values were recorded: no sum. Nothing recorded: changes nothing. */
    feed_histogram(otel, DELTA, 2020, 2030, "\"count\":0");
    assert_value(total_of_m(otel)->sum, 32.0);
    feed_histogram(otel, DELTA, 2030, 2040,
                   "\"count\":1,\"explicitBounds\":[2,5],\"bucketCounts\":[1,0,0]");
    total = total_of_m(otel);
    assert_int_equal(total->count, 5);
    assert_absent(total->sum, PW_ABSENT_NOT_MEASURED);
    assert_absent(total->min, PW_ABSENT_NOT_MEASURED);
    assert_int_equal(total->histogram.kind, PW_HISTOGRAM_EXPLICIT);
    /* Values without buckets: no quantiles any more. */
    feed_histogram(otel, DELTA, 2040, 2050, "\"count\":2,\"sum\":3");
    assert_int_equal(total_of_m(otel)->histogram.kind, PW_HISTOGRAM_MIXED);
}

static void test_bounds_that_change(void **state)
{
    struct otel *otel = *state;
    feed_histogram(otel, DELTA, 2000, 2010,
                   "\"count\":1,\"sum\":1,\"explicitBounds\":[2],\"bucketCounts\":[1,0]");
    feed_histogram(otel, DELTA, 2010, 2020,
                   "\"count\":1,\"sum\":2,\"explicitBounds\":[3],\"bucketCounts\":[1,0]");
    const struct pw_otel_total *total = total_of_m(otel);
    assert_int_equal(total->count, 2);
    assert_value(total->sum, 3.0);
    assert_int_equal(total->histogram.kind, PW_HISTOGRAM_MIXED);
}

static void test_invalid_histograms(void **state)
{
    struct otel *otel = *state;
    static const char *const invalid[] = {
        "\"count\":2,\"explicitBounds\":[1],\"bucketCounts\":[2]", /* a bucket too few */
        "\"count\":2,\"explicitBounds\":[1],\"bucketCounts\":[2,0,0]",
        "\"count\":2,\"explicitBounds\":[1]",
        "\"count\":2,\"explicitBounds\":[2,1],\"bucketCounts\":[2,0,0]", /* not increasing */
        "\"count\":2,\"explicitBounds\":[1,1],\"bucketCounts\":[2,0,0]",
        "\"count\":2,\"explicitBounds\":[\"NaN\"],\"bucketCounts\":[2,0]",
        "\"count\":2,\"explicitBounds\":[1,\"Infinity\"],\"bucketCounts\":[2,0,0]",
        "\"count\":2,\"explicitBounds\":[\"-Infinity\",1],\"bucketCounts\":[2,0,0]",
        "\"count\":3,\"explicitBounds\":[1],\"bucketCounts\":[2,0]", /* not that many */
        "\"count\":0,\"explicitBounds\":[1],\"bucketCounts\":[\"18446744073709551615\",1]",
        "\"count\":2,\"min\":3,\"max\":1",
    };
    static const char *const invalid_exponential[] = {
        "\"count\":2,\"zeroCount\":1",
        "\"count\":2,\"positive\":{\"bucketCounts\":[1]},\"negative\":{\"bucketCounts\":[2]}",
        "\"count\":0,\"zeroCount\":\"18446744073709551615\",\"positive\":{\"bucketCounts\":[1]}",
        "\"count\":1,\"zeroCount\":1,\"zeroThreshold\":-1",
        "\"count\":1,\"zeroCount\":1,\"zeroThreshold\":\"NaN\"",
        "\"count\":1,\"scale\":0,\"positive\":{\"offset\":1024,\"bucketCounts\":[1]}",
        "\"count\":1,\"scale\":0,\"positive\":{\"offset\":-1076,\"bucketCounts\":[1]}",
        "\"count\":1,\"scale\":-20,\"positive\":{\"offset\":1,\"bucketCounts\":[1]}",
        "\"count\":1,\"scale\":-2147483648,\"negative\":{\"offset\":-2,\"bucketCounts\":[1]}",
        "\"count\":1,\"zeroCount\":1,\"min\":3,\"max\":1",
    };
    size_t count = sizeof(invalid) / sizeof(*invalid);
    size_t exponential_count = sizeof(invalid_exponential) / sizeof(*invalid_exponential);
    for (size_t i = 0; i < count; i++) {
        feed_histogram(otel, i % 2 ? DELTA : CUMULATIVE, 2000, 2001 + i, "%s", invalid[i]);
        take(otel);
        assert_int_equal(loss(otel, PW_LOSS_INVALID_POINT), i + 1);
    }
    for (size_t i = 0; i < exponential_count; i++) {
        feed_metric(otel, "",
                    "{\"name\":\"e\",\"exponentialHistogram\":{\"aggregationTemporality\":%d,"
                    "\"dataPoints\":[{\"timeUnixNano\":%zu,%s}]}}",
                    i % 2 ? DELTA : CUMULATIVE, 2001 + i, invalid_exponential[i]);
        take(otel);
        assert_int_equal(loss(otel, PW_LOSS_INVALID_POINT), count + i + 1);
    }
    assert_int_equal(otel->result.datapoints, count + exponential_count);
    assert_int_equal(find_metric(&otel->result, "m")->total.points, count);
    assert_int_equal(find_metric(&otel->result, "m")->total.count, 0);
    assert_int_equal(find_metric(&otel->result, "e")->total.count, 0);

    /* At the edge, but valid. */
    feed_histogram(otel, DELTA, 2000, 3000,
                   "\"count\":1,\"explicitBounds\":[],"
                   "\"bucketCounts\":[1]");
    feed_metric(otel, "",
                "{\"name\":\"e\",\"exponentialHistogram\":{\"aggregationTemporality\":1,"
                "\"dataPoints\":[{\"timeUnixNano\":3000,\"count\":3,\"scale\":-20,"
                "\"positive\":{\"offset\":-1,\"bucketCounts\":[1,2,0,0,0]}},"
                "{\"timeUnixNano\":3001,\"count\":2,\"scale\":0,"
                "\"positive\":{\"offset\":1023,\"bucketCounts\":[1]},"
                "\"negative\":{\"offset\":-1075,\"bucketCounts\":[1]}}]}}");
    take(otel);
    assert_int_equal(loss(otel, PW_LOSS_INVALID_POINT), count + exponential_count);
    assert_int_equal(find_metric(&otel->result, "e")->total.count, 5);
}

/* --- cumulative --- */

static void test_cumulative_histograms(void **state)
{
    struct otel *otel = *state;
    feed_histogram(otel, CUMULATIVE, 2000, 2010,
                   "\"count\":3,\"sum\":12,\"min\":1,\"max\":8,\"explicitBounds\":[2,5],"
                   "\"bucketCounts\":[1,1,1]");
    feed_histogram(otel, CUMULATIVE, 2000, 2020,
                   "\"count\":5,\"sum\":15,\"min\":1,\"max\":8,\"explicitBounds\":[2,5],"
                   "\"bucketCounts\":[2,2,1]");
    feed_histogram(otel, CUMULATIVE, 2000, 2015, /* late */
                   "\"count\":4,\"sum\":13,\"min\":1,\"max\":8,\"explicitBounds\":[2,5],"
                   "\"bucketCounts\":[2,1,1]");
    feed_histogram(otel, CUMULATIVE, 2000, 2020, /* again */
                   "\"count\":5,\"sum\":15,\"min\":1,\"max\":8,\"explicitBounds\":[2,5],"
                   "\"bucketCounts\":[2,2,1]");
    const struct pw_otel_total *total = total_of_m(otel);
    assert_int_equal(total->count, 5);
    assert_value(total->sum, 15.0);
    assert_value(total->min, 1.0);
    assert_value(total->max, 8.0);
    assert_int_equal(total->histogram.counts[0], 2);
    assert_int_equal(total->histogram.counts[1], 2);
    assert_int_equal(total->histogram.counts[2], 1);

    /* The count grows, but a bucket falls: a reset all the same. */
    feed_histogram(otel, CUMULATIVE, 2000, 2030,
                   "\"count\":6,\"sum\":100,\"min\":0.5,\"max\":50,\"explicitBounds\":[2,5],"
                   "\"bucketCounts\":[1,2,3]");
    total = total_of_m(otel);
    assert_int_equal(total->count, 11);
    assert_value(total->sum, 115.0);
    assert_value(total->min, 0.5);
    assert_value(total->max, 50.0);
    assert_int_equal(total->histogram.counts[2], 4);

    /* The count falls. */
    feed_histogram(otel, CUMULATIVE, 2000, 2040,
                   "\"count\":1,\"sum\":1,\"min\":1,\"max\":1,\"explicitBounds\":[2,5],"
                   "\"bucketCounts\":[1,0,0]");
    assert_int_equal(total_of_m(otel)->count, 12);
    /* Only the sum falls, though no value is negative. */
    feed_histogram(otel, CUMULATIVE, 2000, 2050,
                   "\"count\":1,\"sum\":0.5,\"min\":0.5,\"max\":0.5,\"explicitBounds\":[2,5],"
                   "\"bucketCounts\":[1,0,0]");
    assert_int_equal(total_of_m(otel)->count, 13);
    assert_value(total_of_m(otel)->sum, 116.5);
    /* Other bounds. */
    feed_histogram(otel, CUMULATIVE, 2000, 2060,
                   "\"count\":2,\"sum\":2,\"min\":1,\"max\":1,\"explicitBounds\":[2,6],"
                   "\"bucketCounts\":[2,0,0]");
    assert_int_equal(total_of_m(otel)->count, 15);
    assert_int_equal(total_of_m(otel)->histogram.kind, PW_HISTOGRAM_MIXED);
    assert_int_equal(total_of_m(otel)->count, 15);
}

static void test_negative_values_are_no_reset(void **state)
{
    struct otel *otel = *state;
    feed_histogram(otel, CUMULATIVE, 2000, 2010,
                   "\"count\":1,\"sum\":5,\"min\":5,\"max\":5,\"explicitBounds\":[0],"
                   "\"bucketCounts\":[0,1]");
    feed_histogram(otel, CUMULATIVE, 2000, 2020,
                   "\"count\":2,\"sum\":-3,\"min\":-8,\"max\":5,\"explicitBounds\":[0],"
                   "\"bucketCounts\":[1,1]");
    assert_int_equal(total_of_m(otel)->count, 2);
    assert_value(total_of_m(otel)->sum, -3.0);
}

static void test_base_of_cumulative_histograms(void **state)
{
    struct otel *otel = *state;
    feed_histogram(otel, CUMULATIVE, 500, 2010,
                   "\"count\":3,\"sum\":12,\"min\":1,\"max\":8,\"explicitBounds\":[2,5],"
                   "\"bucketCounts\":[1,1,1]");
    assert_int_equal(total_of_m(otel)->count, 0);
    feed_histogram(otel, CUMULATIVE, 500, 2020,
                   "\"count\":5,\"sum\":18,\"min\":1,\"max\":8,\"explicitBounds\":[2,5],"
                   "\"bucketCounts\":[1,3,1]");
    const struct pw_otel_total *total = total_of_m(otel);
    assert_int_equal(total->count, 2);
    assert_value(total->sum, 6.0);
    assert_absent(total->min, PW_ABSENT_NOT_MEASURED); /* perhaps of before */
    assert_absent(total->max, PW_ABSENT_NOT_MEASURED);
    assert_int_equal(total->histogram.counts[0], 0);
    assert_int_equal(total->histogram.counts[1], 2);
    assert_value(pw_histogram_quantile(&total->histogram, 0.5, total->min, total->max), 3.5);

    /* A second process beside it. */
    feed_histogram(otel, CUMULATIVE, 2015, 2025,
                   "\"count\":1,\"sum\":1,\"min\":1,\"max\":1,\"explicitBounds\":[2,5],"
                   "\"bucketCounts\":[1,0,0]");
    feed_histogram(otel, CUMULATIVE, 500, 2030,
                   "\"count\":6,\"sum\":19,\"min\":1,\"max\":8,\"explicitBounds\":[2,5],"
                   "\"bucketCounts\":[2,3,1]");
    assert_int_equal(total_of_m(otel)->count, 4);
    assert_value(total_of_m(otel)->sum, 8.0);
}

static void test_many_start_times(void **state)
{
    struct otel *otel = *state;
    const uint64_t count = (uint64_t)3 * PW_LIMIT_OTEL_STARTS;
    for (uint64_t i = 1; i <= count; i++) {
        uint64_t now = 10000 + 10 * i;
        feed_histogram(otel, CUMULATIVE, 5000, now,
                       "\"count\":%d,\"sum\":%d,\"explicitBounds\":[1],\"bucketCounts\":[0,%d]",
                       (int)i, (int)i, (int)i);
        feed_histogram(otel, CUMULATIVE, now, now + 1,
                       "\"count\":2,\"sum\":20,\"explicitBounds\":[1],\"bucketCounts\":[1,1]");
    }
    const struct pw_otel_total *total = total_of_m(otel);
    assert_int_equal(total->count, count + 2 * count);
    assert_value(total->sum, 21.0 * (double)count);
    assert_int_equal(total->histogram.counts[0], count);
    assert_int_equal(total->histogram.counts[1], 2 * count);
    assert_int_equal(loss(otel, PW_LOSS_SERIES_LIMIT), 0);
    feed_histogram(otel, CUMULATIVE, 10010, 90000, "\"count\":5,\"sum\":50");
    assert_int_equal(total_of_m(otel)->count, 3 * count);
    assert_int_equal(loss(otel, PW_LOSS_SERIES_LIMIT), 1);
}

static void feed_exponential(struct otel *otel, int temporality, uint64_t time, const char *members)
{
    feed_metric(otel, "",
                "{\"name\":\"m\",\"exponentialHistogram\":{\"aggregationTemporality\":%d,"
                "\"dataPoints\":[{\"startTimeUnixNano\":2000,\"timeUnixNano\":%llu,%s}]}}",
                temporality, (unsigned long long)time, members);
}

static void test_exponential_histograms(void **state)
{
    struct otel *otel = *state;
    feed_exponential(otel, DELTA, 2010,
                     "\"count\":3,\"sum\":6,\"min\":1.5,\"max\":3,\"scale\":1,"
                     "\"positive\":{\"offset\":0,\"bucketCounts\":[1,0,2]}");
    feed_exponential(otel, DELTA, 2020,
                     "\"count\":4,\"sum\":2,\"min\":0,\"max\":1.2,\"scale\":0,\"zeroCount\":3,"
                     "\"positive\":{\"offset\":0,\"bucketCounts\":[1]}");
    const struct pw_otel_total *total = total_of_m(otel);
    assert_int_equal(otel->result.metrics->type, PW_OTEL_EXPONENTIAL_HISTOGRAM);
    assert_int_equal(total->count, 7);
    assert_value(total->sum, 8.0);
    assert_value(total->min, 0.0);
    assert_int_equal(total->histogram.scale, 0);
    assert_int_equal(total->histogram.zero_count, 3);
    assert_int_equal(total->histogram.positive.counts[0], 2);
    assert_int_equal(total->histogram.positive.counts[1], 2);
}

/* While it grows, the sender lowers its scale: no reset. */
static void test_cumulative_exponential_histograms(void **state)
{
    struct otel *otel = *state;
    feed_exponential(otel, CUMULATIVE, 2010,
                     "\"count\":3,\"sum\":6,\"scale\":1,"
                     "\"positive\":{\"offset\":0,\"bucketCounts\":[1,0,2]}");
    feed_exponential(otel, CUMULATIVE, 2020,
                     "\"count\":6,\"sum\":100,\"scale\":0,\"zeroCount\":1,"
                     "\"positive\":{\"offset\":0,\"bucketCounts\":[1,2,0,0,2]}");
    const struct pw_otel_total *total = total_of_m(otel);
    assert_int_equal(total->count, 6);
    assert_value(total->sum, 100.0);
    assert_int_equal(total->histogram.scale, 0);
    assert_int_equal(pw_histogram_count(&total->histogram), 6);
    feed_exponential(otel, CUMULATIVE, 2030, /* finer again: begun anew */
                     "\"count\":7,\"sum\":6,\"scale\":2,"
                     "\"positive\":{\"offset\":0,\"bucketCounts\":[1,0,6]}");
    total = total_of_m(otel);
    assert_int_equal(total->count, 13);
    assert_int_equal(total->histogram.scale, 0);
    assert_int_equal(pw_histogram_count(&total->histogram), 13);
}

static void test_summaries(void **state)
{
    struct otel *otel = *state;
    static const int counts[] = {10, 15, 4, 6}; /* a reset between */
    for (size_t i = 0; i < 4; i++) {
        feed_metric(otel, "",
                    "{\"name\":\"m\",\"summary\":{\"dataPoints\":[{\"startTimeUnixNano\":2000,"
                    "\"timeUnixNano\":%zu,\"count\":%d,\"sum\":%d,\"quantileValues\":["
                    "{\"quantile\":0.5,\"value\":3}]}]}}",
                    2010 + i, counts[i], counts[i] * 2);
    }
    const struct pw_otel_total *total = total_of_m(otel);
    assert_int_equal(otel->result.metrics->type, PW_OTEL_SUMMARY);
    assert_int_equal(total->count, 21);
    assert_value(total->sum, 42.0);
    assert_absent(total->min, PW_ABSENT_NOT_MEASURED);
    assert_absent(pw_histogram_quantile(&total->histogram, 0.5, total->min, total->max),
                  PW_ABSENT_NOT_MEASURED);
}

/* Over the memory limit, what has buckets already goes on; what would need new ones does not. */
static void test_memory_limit_of_buckets(void **state)
{
    struct otel *otel = *state;
    PW_STR_AUTO bounds = PW_STR_INIT;
    PW_STR_AUTO counts = PW_STR_INIT;
    for (int i = 0; i < 4000; i++) {
        pw_str_addf(&bounds, "%s%d", i > 0 ? "," : "", i);
        pw_str_add(&counts, "1,");
    }
    /* Each takes 64 KB twice: the state, and the base. */
    for (int i = 0; i < 600; i++) {
        feed_metric(otel, "",
                    "{\"name\":\"m\",\"histogram\":{\"aggregationTemporality\":2,\"dataPoints\":[{"
                    "\"startTimeUnixNano\":500,\"timeUnixNano\":2001,\"count\":4001,"
                    "\"explicitBounds\":[%s],\"bucketCounts\":[%s1],"
                    "\"attributes\":[{\"key\":\"i\",\"value\":{\"intValue\":%d}}]}]}}",
                    bounds.text, counts.text, i);
    }
    take(otel);
    assert_in_range(loss(otel, PW_LOSS_SERIES_LIMIT), 600 - 530, 600 - 510);
    uint64_t lost = loss(otel, PW_LOSS_SERIES_LIMIT);
    feed_metric(otel, "",
                "{\"name\":\"m\",\"histogram\":{\"aggregationTemporality\":2,\"dataPoints\":[{"
                "\"startTimeUnixNano\":500,\"timeUnixNano\":2002,\"count\":4002,"
                "\"explicitBounds\":[%s],\"bucketCounts\":[%s2],"
                "\"attributes\":[{\"key\":\"i\",\"value\":{\"intValue\":0}}]}]}}",
                bounds.text, counts.text);
    assert_int_equal(total_of_m(otel)->count, 1);
    assert_int_equal(loss(otel, PW_LOSS_SERIES_LIMIT), lost);
    /* Another process of a known identity would need more. */
    feed_metric(otel, "",
                "{\"name\":\"m\",\"histogram\":{\"aggregationTemporality\":2,\"dataPoints\":[{"
                "\"startTimeUnixNano\":2000,\"timeUnixNano\":2003,\"count\":1,"
                "\"attributes\":[{\"key\":\"i\",\"value\":{\"intValue\":0}}]}]}}");
    assert_int_equal(total_of_m(otel)->count, 1);
    assert_int_equal(loss(otel, PW_LOSS_SERIES_LIMIT), lost + 1);
}

/* --- payloads of real clients --- */

/* The numbers of all delta points of a name, from the independent decoding. */
struct expectation {
    double total; /* sums */
    double count, sum;
    size_t points;
};

static void expect_from(const char *file, const char *name, struct expectation *expectation)
{
    json_t *items = expected_items(file);
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *item = json_array_get(items, i);
        if (strcmp(json_string_value(json_object_get(item, "name")), name) == 0) {
            expectation->total += json_number_value(json_object_get(item, "int")) +
                                  json_number_value(json_object_get(item, "double"));
            expectation->count += json_number_value(json_object_get(item, "count"));
            expectation->sum += json_number_value(json_object_get(item, "sum"));
            expectation->points++;
        }
    }
    json_decref(items);
}

/* Every metric of delta payloads against the sums of what others decoded. */
static void check_delta_files(struct otel *otel, const char *const *files, size_t count)
{
    const struct pw_telemetry *result = take(otel);
    assert_true(result->metric_count > 0);
    size_t points = 0;
    for (size_t i = 0; i < result->metric_count; i++) {
        const struct pw_otel_metric *metric = &result->metrics[i];
        struct expectation expected = {0};
        for (size_t j = 0; j < count; j++) {
            expect_from(files[j], metric->name, &expected);
        }
        assert_int_equal(metric->total.points, expected.points);
        points += expected.points;
        if (metric->type == PW_OTEL_SUM) {
            assert_value(metric->total.total, expected.total);
        } else {
            assert_int_equal(metric->type, PW_OTEL_HISTOGRAM);
            assert_int_equal(metric->total.count, (uint64_t)expected.count);
            assert_value(metric->total.sum, expected.sum);
        }
        double of_sets = 0;
        for (size_t j = 0; j < metric->set_count; j++) {
            of_sets += (double)metric->sets[j].total.points;
        }
        assert_true(metric->set_count == 0 || of_sets == (double)metric->total.points);
    }
    assert_int_equal(result->datapoints, points);
    for (int i = 0; i < PW_LOSS_COUNT; i++) {
        assert_int_equal(result->losses[i], 0);
    }
}

static void test_codex_metrics(void **state)
{
    struct otel *otel = *state;
    static const char *const proto[] = {"codex_metrics_proto"};
    static const char *const json[] = {"codex_metrics_json"};
    feed_file(otel, PW_SIGNAL_METRICS, "codex_metrics_proto.pb");
    check_delta_files(otel, proto, 1);
    assert_int_equal(otel->result.datapoints, 182);
    const struct pw_otel_action *action =
        find_action(&otel->result, "exec_command", PW_ACTION_HISTOGRAM);
    assert_int_equal(action->total.count, 1);
    assert_value(action->total.sum, 297.0);
    assert_near(action->unit_ms, 1.0);
    assert_int_equal(action->failures, 0);
    assert_int_equal(otel->result.action_count, 1);
    assert_int_equal(pw_telemetry_family_points(&otel->result, PW_FAMILY_ACTION), 9);

    otel_restart(otel, WINDOW_SINCE_NS, NULL);
    feed_file(otel, PW_SIGNAL_METRICS, "codex_metrics_json.json");
    check_delta_files(otel, json, 1);
}

/* One process, nine intervals. */
static void test_codex_intervals(void **state)
{
    struct otel *otel = *state;
    const char *names[9];
    char buffers[9][64];
    for (int i = 0; i < 9; i++) {
        char file[64];
        snprintf(buffers[i], sizeof(buffers[i]), "codex_interval_%d_json", i + 1);
        names[i] = buffers[i];
        snprintf(file, sizeof(file), "codex_interval_%d_json.json", i + 1);
        feed_file(otel, PW_SIGNAL_METRICS, file);
    }
    check_delta_files(otel, names, 9);
    assert_value(find_metric(&otel->result, "codex.tool.call")->total.total, 6.0);
    assert_value(find_metric(&otel->result, "codex.api_request")->total.total, 7.0);
    const struct pw_otel_total *turn =
        &find_metric(&otel->result, "codex.turn.e2e_duration_ms")->total;
    assert_int_equal(turn->count, 1);
    assert_value(turn->sum, 2368.0);
    assert_value(pw_histogram_quantile(&turn->histogram, 0.5, turn->min, turn->max), 2368.0);
    assert_int_equal(find_action(&otel->result, "exec_command", PW_ACTION_HISTOGRAM)->total.count,
                     6);

    /* All of it sent again, as after a lost reply: nothing changes but the counts. */
    uint64_t datapoints = otel->result.datapoints;
    feed_file(otel, PW_SIGNAL_METRICS, "codex_interval_9_json.json");
    const struct pw_telemetry *result = take(otel);
    assert_value(find_metric(result, "codex.tool.call")->total.total, 6.0);
    assert_int_equal(result->losses[PW_LOSS_REPEATED], result->datapoints - datapoints);
}

/* The only point of that name in a file. */
static double expected_double(const char *file, const char *name)
{
    struct expectation expected = {0};
    expect_from(file, name, &expected);
    assert_int_equal(expected.points, 1);
    return expected.total;
}

/* After two exports of one process, of which `last` is the later. */
static void check_js(struct otel *otel, const char *last)
{
    const struct pw_telemetry *result = take(otel);
    assert_value(find_metric(result, "c.int")->total.total, 15.0); /* 8 of /a, 7 of /b */
    assert_value(find_metric(result, "c.double")->total.total, 7.5);
    assert_value(find_metric(result, "ud")->total.last, 7.0);
    assert_value(find_metric(result, "oud")->total.last, -7.0);
    assert_value(find_metric(result, "g.sync")->total.last, 25.0);
    assert_int_equal(find_metric(result, "g.sync")->total.count, 2);
    assert_string_equal(find_metric(result, "g.sync")->attributes,
                        "{\"zone\":\"\xC3\xA9\\\"\\\\\\n\"}");
    assert_string_equal(find_metric(result, "c.int")->sets[1].attributes,
                        "{\"code\":200,\"route\":\"/b\"}");
    const struct pw_otel_total *custom = &find_metric(result, "h.custom")->total;
    assert_int_equal(custom->count, 15);
    assert_value(custom->sum, 23.333333333333332);
    assert_int_equal(custom->histogram.counts[0], 6);
    const struct pw_otel_total *exponential = &find_metric(result, "h.exp")->total;
    assert_int_equal(exponential->count, 30);
    assert_int_equal(exponential->histogram.zero_count, 15);
    assert_int_equal(pw_histogram_count(&exponential->histogram), 30);
    assert_value(exponential->max, 37.0);
    /* Its start is the first point's own time, so not known: counted from zero. */
    assert_value(find_metric(result, "oc")->total.total, expected_double(last, "oc"));
    assert_int_equal(result->datapoints, 22);
}

static void test_js_cumulative_metrics(void **state)
{
    struct otel *otel = *state;
    feed_file(otel, PW_SIGNAL_METRICS, "js_metrics_cumulative_1_proto.pb");
    feed_file(otel, PW_SIGNAL_METRICS, "js_metrics_cumulative_2_proto.pb");
    check_js(otel, "js_metrics_cumulative_2_proto");
    otel_restart(otel, WINDOW_SINCE_NS, NULL);
    feed_file(otel, PW_SIGNAL_METRICS, "js_metrics_cumulative_1_json.json");
    feed_file(otel, PW_SIGNAL_METRICS, "js_metrics_cumulative_2_json.json");
    check_js(otel, "js_metrics_cumulative_2_json");
    /* A window that began between the two exports of a process that is older. */
    otel_restart(otel, INT64_C(1795244664900000000), NULL);
    feed_file(otel, PW_SIGNAL_METRICS, "js_metrics_cumulative_1_proto.pb");
    feed_file(otel, PW_SIGNAL_METRICS, "js_metrics_cumulative_2_proto.pb");
    const struct pw_telemetry *result = take(otel);
    assert_value(find_metric(result, "c.int")->total.total, 5.0);
    assert_value(find_metric(result, "c.double")->total.total, 2.5);
    assert_int_equal(find_metric(result, "h.custom")->total.count, 5);
    assert_int_equal(find_metric(result, "h.exp")->total.count, 10);
}

static void test_js_delta_metrics(void **state)
{
    struct otel *otel = *state;
    feed_file(otel, PW_SIGNAL_METRICS, "js_metrics_delta_1_proto.pb");
    const struct pw_telemetry *result = take(otel);
    assert_value(find_metric(result, "c.int")->total.total, 10.0);
    assert_value(find_metric(result, "c.double")->total.total, 5.0);
    assert_value(find_metric(result, "oc")->total.total,
                 expected_double("js_metrics_delta_1_proto", "oc"));
    assert_value(find_metric(result, "ud")->total.last, 4.0); /* cumulative all the same */
    assert_int_equal(find_metric(result, "h.explicit")->total.count, 10);
    feed_file(otel, PW_SIGNAL_METRICS, "js_metrics_delta_1_json.json"); /* another process */
    result = take(otel);
    assert_value(find_metric(result, "c.int")->total.total, 20.0);
    assert_value(find_metric(result, "ud")->total.last, 8.0);
    assert_int_equal(result->losses[PW_LOSS_REPEATED], 0);
}

/* What was made by hand to be difficult. */
static void test_edge_metrics(void **state)
{
    struct otel *otel = *state;
    static const char *const files[] = {"edge_metrics_proto.pb", "edge_metrics_json.json",
                                        "edge_unknown_fields_proto.pb"};
    for (size_t i = 0; i < 3; i++) {
        otel_restart(otel, WINDOW_SINCE_NS, NULL);
        feed_file(otel, PW_SIGNAL_METRICS, files[i]);
        const struct pw_telemetry *result = take(otel);
        assert_int_equal(result->losses[PW_LOSS_NOT_A_NUMBER], 3);
        assert_int_equal(result->losses[PW_LOSS_NO_VALUE], 1);
        assert_int_equal(result->losses[PW_LOSS_INVALID_POINT], 0);
        assert_value(find_metric(result, "e.sum.str")->total.total, (double)INT64_MAX);
        assert_value(find_metric(result, "e.sum.num")->total.total, -5.0);
        assert_value(find_metric(result, "e.gauge.nan")->total.last, 1500.0);
        assert_int_equal(find_metric(result, "e.gauge.nan")->total.points, 4);
        assert_int_equal(find_metric(result, "e.hist.nobuckets")->total.count, 4);
        assert_int_equal(find_metric(result, "e.exp.neg")->total.count, 9);
        assert_int_equal(find_metric(result, "e.summary")->total.count, 100);
    }
    otel_restart(otel, WINDOW_SINCE_NS, NULL);
    feed_file(otel, PW_SIGNAL_METRICS, "edge_unpacked_proto.pb");
    assert_int_equal(find_metric(take(otel), "e.unpacked")->total.histogram.counts[1], 2);
}

#define WINDOW_TEST(test) cmocka_unit_test_setup_teardown(test, otel_set_up, otel_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WINDOW_TEST(test_delta_histograms),
        WINDOW_TEST(test_bounds_that_change),
        WINDOW_TEST(test_invalid_histograms),
        WINDOW_TEST(test_cumulative_histograms),
        WINDOW_TEST(test_negative_values_are_no_reset),
        WINDOW_TEST(test_base_of_cumulative_histograms),
        WINDOW_TEST(test_many_start_times),
        WINDOW_TEST(test_exponential_histograms),
        WINDOW_TEST(test_cumulative_exponential_histograms),
        WINDOW_TEST(test_summaries),
        WINDOW_TEST(test_memory_limit_of_buckets),
        WINDOW_TEST(test_codex_metrics),
        WINDOW_TEST(test_codex_intervals),
        WINDOW_TEST(test_js_cumulative_metrics),
        WINDOW_TEST(test_js_delta_metrics),
        WINDOW_TEST(test_edge_metrics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
