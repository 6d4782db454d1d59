/* Sums, gauges, identity and limits; histograms are in test_otel_histograms.c. */
#include "collector/intern.h"
#include "collector/series_table.h"
#include "tests/unit/otel_window.h"

static uint64_t loss(const struct otel *otel, enum pw_loss which)
{
    return otel->result.losses[which];
}

/* --- cumulative sums --- */

static void test_exported_five_times_counts_once(void **state)
{
    struct otel *otel = *state;
    for (uint64_t i = 1; i <= 5; i++) {
        feed_sum(otel, CUMULATIVE, true, 2000, 2000 + i, 3);
    }
    feed_sum(otel, CUMULATIVE, true, 2000, 2005, 3); /* the last state again, at shutdown */
    const struct pw_otel_total *total = total_of_m(otel);
    assert_value(total->total, 3.0);
    assert_int_equal(total->points, 6);
    assert_int_equal(otel->result.datapoints, 6);
    assert_absent(total->last, PW_ABSENT_NOT_MEASURED);
}

static void test_cumulative_resets(void **state)
{
    struct otel *otel = *state;
    feed_sum(otel, CUMULATIVE, true, 2000, 2001, 5);
    feed_sum(otel, CUMULATIVE, true, 2000, 2002, 9);
    feed_sum(otel, CUMULATIVE, true, 2000, 2003, 2); /* not announced */
    feed_sum(otel, CUMULATIVE, true, 2000, 2004, 6);
    assert_value(total_of_m(otel)->total, 15.0);
    feed_sum(otel, CUMULATIVE, true, 3000, 3001, 1); /* announced */
    feed_sum(otel, CUMULATIVE, true, 3000, 3002, 4);
    assert_value(total_of_m(otel)->total, 19.0);
    assert_value(total_of_m(otel)->total, 19.0); /* a result takes nothing away */
}

static void test_two_processes_of_one_identity(void **state)
{
    struct otel *otel = *state;
    feed_sum(otel, CUMULATIVE, true, 2000, 5001, 5);
    feed_sum(otel, CUMULATIVE, true, 2500, 5002, 100);
    feed_sum(otel, CUMULATIVE, true, 2000, 5003, 7);
    feed_sum(otel, CUMULATIVE, true, 2500, 5004, 110);
    feed_sum(otel, CUMULATIVE, true, 2000, 5005, 8);
    assert_value(total_of_m(otel)->total, 118.0);
}

static void test_base_of_what_started_before(void **state)
{
    struct otel *otel = *state;
    feed_sum(otel, CUMULATIVE, true, 500, 2001, 100);
    assert_absent(total_of_m(otel)->total, PW_ABSENT_NOT_MEASURED); /* one point says nothing */
    feed_sum(otel, CUMULATIVE, true, 500, 2002, 130);
    assert_value(total_of_m(otel)->total, 30.0);
    feed_sum(otel, CUMULATIVE, true, 500, 2003, 10); /* a reset does begin within the window */
    assert_value(total_of_m(otel)->total, 40.0);

    /* The first point's own time as start, or none: from zero. */
    otel_restart(otel, WINDOW_SINCE_NS, NULL);
    feed_sum(otel, CUMULATIVE, true, 2000, 2000, 50);
    assert_value(total_of_m(otel)->total, 50.0);
    feed_sum(otel, CUMULATIVE, true, 2000, 2010, 80);
    assert_value(total_of_m(otel)->total, 80.0);
    feed_sum(otel, CUMULATIVE, true, 0, 2020, 7);
    assert_value(total_of_m(otel)->total, 87.0);
    /* Senders that may be older: the first value of an unknown start is where counting begins. */
    otel_restart(otel, WINDOW_SINCE_NS, NULL);
    pw_window_expect_older(otel->window);
    feed_sum(otel, CUMULATIVE, true, 2000, 2000, 50);
    feed_sum(otel, CUMULATIVE, true, 2000, 2010, 80);
    assert_value(total_of_m(otel)->total, 30.0);
    feed_sum(otel, CUMULATIVE, true, 0, 2020, 7);
    feed_sum(otel, CUMULATIVE, true, 0, 2030, 9);
    assert_value(total_of_m(otel)->total, 32.0);
    otel_restart(otel, WINDOW_SINCE_NS, NULL);
    feed_sum(otel, CUMULATIVE, true, 0, 2020, 87);

    /* Exactly at the window's begin: within. */
    feed_sum(otel, CUMULATIVE, true, WINDOW_SINCE_NS, 2030, 1000);
    assert_value(total_of_m(otel)->total, 1087.0);
}

static void test_old_points_are_ignored(void **state)
{
    struct otel *otel = *state;
    feed_sum(otel, CUMULATIVE, true, 2000, 2010, 5);
    feed_sum(otel, CUMULATIVE, true, 2000, 2030, 9);
    feed_sum(otel, CUMULATIVE, true, 2000, 2020, 7); /* no reset */
    assert_value(total_of_m(otel)->total, 9.0);
    feed_sum(otel, CUMULATIVE, true, 2000, 2040, 10);
    assert_value(total_of_m(otel)->total, 10.0);
    assert_int_equal(otel->result.metrics->total.points, 4);
}

static void test_large_integers_stay_exact(void **state)
{
    struct otel *otel = *state;
    feed_sum(otel, CUMULATIVE, true, 500, 2001, (1LL << 53) + 1);
    feed_sum(otel, CUMULATIVE, true, 500, 2002, (1LL << 53) + 4);
    assert_value(total_of_m(otel)->total, 3.0);
    feed_sum(otel, CUMULATIVE, true, 500, 2003, INT64_MAX - 1);
    feed_sum(otel, CUMULATIVE, true, 501, 2003, INT64_MAX - 1);
    feed_sum(otel, CUMULATIVE, true, 501, 2004, INT64_MAX);
    feed_sum(otel, CUMULATIVE, true, 500, 2004, (1LL << 53) + 1); /* a reset: settled exactly */
    feed_sum(otel, CUMULATIVE, true, 500, 2005, (1LL << 53) + 2);
    assert_value(total_of_m(otel)->total, 0x1p63); /* INT64_MAX and 1 */

    otel_restart(otel, WINDOW_SINCE_NS, NULL); /* a reset that doubles could not tell */
    feed_sum(otel, CUMULATIVE, true, 2000, 2001, (1LL << 53) + 1);
    feed_sum(otel, CUMULATIVE, true, 2000, 2002, 1LL << 53);
    assert_value(total_of_m(otel)->total, 0x1p54);

    otel_restart(otel, WINDOW_SINCE_NS, NULL);
    for (uint64_t i = 1; i <= 3; i++) { /* more than an int64_t holds */
        feed_sum(otel, DELTA, true, 2000 + i, 2001 + i, INT64_MAX);
    }
    feed_sum(otel, CUMULATIVE, false, 500, 2001, INT64_MIN);
    feed_sum(otel, CUMULATIVE, false, 500, 2002, INT64_MAX);
    const struct pw_telemetry *result = take(otel);
    assert_value(result->metrics[0].total.total, 3.0 * 0x1p63);
    assert_value(result->metrics[1].total.total, 0x1p64);
}

static void test_updown_sums(void **state)
{
    struct otel *otel = *state;
    feed_sum(otel, CUMULATIVE, false, 2000, 2001, 5);
    feed_sum(otel, CUMULATIVE, false, 2000, 2002, -3); /* no reset */
    const struct pw_otel_metric *metric = find_metric(take(otel), "m");
    assert_int_equal(metric->type, PW_OTEL_UPDOWN);
    assert_value(metric->total.total, -3.0);
    assert_value(metric->total.last, -3.0);
    assert_int_equal(metric->total.last_at_ns, 2002);

    /* What other resources hold is on top of it. */
    feed_metric(otel, "{\"key\":\"pid\",\"value\":{\"intValue\":7}}",
                "{\"name\":\"m\",\"sum\":{\"aggregationTemporality\":2,\"dataPoints\":["
                "{\"startTimeUnixNano\":2000,\"timeUnixNano\":2003,\"asDouble\":10.5}]}}");
    assert_value(total_of_m(otel)->last, 7.5);
    assert_value(total_of_m(otel)->total, 7.5);

    otel_restart(otel, WINDOW_SINCE_NS, NULL);
    feed_sum(otel, DELTA, false, 2000, 2001, 5);
    feed_sum(otel, DELTA, false, 2001, 2002, -7);
    assert_value(total_of_m(otel)->total, -2.0);
    assert_absent(total_of_m(otel)->last, PW_ABSENT_NOT_MEASURED);
}

/* More start times than are told apart: dead ones are settled, the living one goes on. */
static void test_many_start_times(void **state)
{
    struct otel *otel = *state;
    const uint64_t count = (uint64_t)3 * PW_LIMIT_OTEL_STARTS;
    for (uint64_t i = 1; i <= count; i++) {
        uint64_t now = 10000 + 10 * i;
        feed_sum(otel, CUMULATIVE, true, 5000, now, (long long)i); /* lives from the first on */
        feed_sum(otel, CUMULATIVE, true, now, now + 1, 100);
        feed_sum(otel, CUMULATIVE, true, now, now + 2, 1000);
    }
    assert_value(total_of_m(otel)->total, (double)count + 1000.0 * (double)count);
    assert_int_equal(loss(otel, PW_LOSS_SERIES_LIMIT), 0);
    /* One of the settled ones again: it would count twice. */
    feed_sum(otel, CUMULATIVE, true, 10010, 90000, 1001);
    assert_value(total_of_m(otel)->total, (double)count + 1000.0 * (double)count);
    assert_int_equal(loss(otel, PW_LOSS_SERIES_LIMIT), 1);
}

/* --- delta sums --- */

static void test_delta_sums(void **state)
{
    struct otel *otel = *state;
    feed_sum(otel, DELTA, true, 2000, 2010, 1);
    feed_sum(otel, DELTA, true, 2010, 2020, 2);
    feed_sum(otel, DELTA, true, 2000, 2030, 4); /* the same start: seen of real senders */
    feed_sum(otel, DELTA, true, 2100, 2200, 8); /* a gap */
    feed_sum(otel, DELTA, true, 100, 200, 16);  /* before the window, and older: still a change */
    assert_value(total_of_m(otel)->total, 31.0);
    assert_int_equal(loss(otel, PW_LOSS_REPEATED), 0);
    feed_sum(otel, DELTA, true, 2010, 2020, 2); /* sent again, three points later */
    feed_sum(otel, DELTA, true, 100, 200, 16);
    assert_value(total_of_m(otel)->total, 31.0);
    assert_int_equal(loss(otel, PW_LOSS_REPEATED), 2);
    assert_int_equal(otel->result.metrics->total.points, 7);

    otel_restart(otel, WINDOW_SINCE_NS, NULL); /* no times: nothing to tell a repeat by */
    feed_sum(otel, DELTA, true, 0, 0, 3);
    feed_sum(otel, DELTA, true, 0, 0, 3);
    assert_value(total_of_m(otel)->total, 6.0);
}

static void test_doubles_and_integers_are_one_series(void **state)
{
    struct otel *otel = *state;
    feed_sum(otel, CUMULATIVE, true, 2000, 2001, 5);
    feed_metric(otel, "",
                "{\"name\":\"m\",\"description\":\"other\",\"sum\":{\"aggregationTemporality\":2,"
                "\"isMonotonic\":true,\"dataPoints\":[{\"startTimeUnixNano\":2000,"
                "\"timeUnixNano\":2002,\"asDouble\":7.25}]}}");
    assert_value(total_of_m(otel)->total, 7.25);
}

static void test_values_that_are_none(void **state)
{
    struct otel *otel = *state;
    static const char *const values[] = {"\"asDouble\":\"NaN\"", "\"asDouble\":\"Infinity\"",
                                         "\"asDouble\":\"-Infinity\""};
    static const char *const kinds[] = {
        "\"gauge\":{", "\"sum\":{\"aggregationTemporality\":1,\"isMonotonic\":true,",
        "\"sum\":{\"aggregationTemporality\":2,"};
    for (size_t kind = 0; kind < 3; kind++) {
        for (size_t i = 0; i < 3; i++) {
            feed_metric(otel, "", "{\"name\":\"m\",%s\"dataPoints\":[{\"timeUnixNano\":%zu,%s}]}}",
                        kinds[kind], 2000 + i, values[i]);
        }
        /* A value at all is missing; or the series has ended. */
        feed_metric(otel, "",
                    "{\"name\":\"m\",%s\"dataPoints\":[{\"timeUnixNano\":2010},"
                    "{\"timeUnixNano\":2020,\"flags\":1},"
                    "{\"timeUnixNano\":2020,\"flags\":1,\"asInt\":5}]}}",
                    kinds[kind]);
    }
    feed_sum(otel, DELTA, true, 2000, 2001, -1); /* a counter that falls */
    feed_sum(otel, CUMULATIVE, true, 2000, 2001, -1);
    const struct pw_telemetry *result = take(otel);
    assert_int_equal(result->datapoints, 20);
    assert_int_equal(loss(otel, PW_LOSS_NOT_A_NUMBER), 9);
    assert_int_equal(loss(otel, PW_LOSS_INVALID_POINT), 3 + 2);
    assert_int_equal(loss(otel, PW_LOSS_NO_VALUE), 6);
    uint64_t points = 0;
    for (size_t i = 0; i < result->metric_count; i++) {
        points += result->metrics[i].total.points;
        assert_absent(result->metrics[i].total.total, PW_ABSENT_NOT_MEASURED);
        assert_absent(result->metrics[i].total.last, PW_ABSENT_NOT_MEASURED);
        assert_int_equal(result->metrics[i].total.count, 0);
    }
    assert_int_equal(points, 20);
}

static void test_no_temporality(void **state)
{
    struct otel *otel = *state;
    feed_metric(otel, "",
                "{\"name\":\"m\",\"sum\":{\"isMonotonic\":true,\"dataPoints\":[{\"asInt\":1},"
                "{\"asInt\":2}]}}");
    feed_metric(otel, "",
                "{\"name\":\"h\",\"histogram\":{\"aggregationTemporality\":3,\"dataPoints\":["
                "{\"count\":1,\"sum\":1}]}}");
    feed_metric(otel, "", "{\"name\":\"nothing\"}");
    const struct pw_telemetry *result = take(otel);
    assert_int_equal(result->datapoints, 3);
    assert_int_equal(loss(otel, PW_LOSS_INVALID_POINT), 3);
    assert_int_equal(result->metric_count, 2);
    assert_int_equal(find_metric(result, "m")->total.points, 2);
    assert_absent(find_metric(result, "m")->total.total, PW_ABSENT_NOT_MEASURED);
    assert_int_equal(find_metric(result, "h")->total.count, 0);
}

/* --- gauges --- */

static void feed_gauge(struct otel *otel, const char *attributes, uint64_t time, double value)
{
    feed_metric(otel, "",
                "{\"name\":\"m\",\"gauge\":{\"dataPoints\":[{\"timeUnixNano\":\"%llu\","
                "\"asDouble\":%.17g,\"attributes\":[%s]}]}}",
                (unsigned long long)time, value, attributes);
}

static void test_gauges(void **state)
{
    struct otel *otel = *state;
    feed_gauge(otel, "", 2010, 5);
    feed_gauge(otel, "", 2030, 3);
    feed_gauge(otel, "", 2020, 10); /* late, but a sample */
    feed_gauge(otel, "", 2030, 3);  /* sent again */
    const struct pw_otel_total *total = total_of_m(otel);
    assert_value(total->last, 3.0);
    assert_int_equal(total->last_at_ns, 2030);
    assert_int_equal(total->count, 3);
    assert_int_equal(total->points, 4);
    assert_value(total->sum, 18.0);
    assert_value(total->min, 3.0);
    assert_value(total->max, 10.0);
    assert_absent(total->total, PW_ABSENT_NOT_MEASURED);

    feed_gauge(otel, "{\"key\":\"zone\",\"value\":{\"stringValue\":\"b\"}}", 2025, 77);
    const struct pw_otel_metric *metric = find_metric(take(otel), "m");
    assert_value(metric->total.last, 3.0); /* the newest of all sets */
    assert_value(metric->total.max, 77.0);
    assert_int_equal(metric->set_count, 2);
    assert_string_equal(metric->sets[0].attributes, "{\"zone\":\"b\"}");
    assert_string_equal(metric->sets[1].attributes, "{}");
    assert_value(metric->sets[0].total.last, 77.0);
}

/* --- identity --- */

/* A cumulative counter of 5: two series give 10, one gives 5. */
static void feed_identity(struct otel *otel, const char *resource, const char *attributes)
{
    feed_metric(otel, resource,
                "{\"name\":\"m\",\"sum\":{\"aggregationTemporality\":2,\"isMonotonic\":true,"
                "\"dataPoints\":[{\"startTimeUnixNano\":2000,\"timeUnixNano\":2001,\"asInt\":5,"
                "\"attributes\":[%s]}]}}",
                attributes);
}

#define STRING(key, value) "{\"key\":\"" key "\",\"value\":{\"stringValue\":\"" value "\"}}"
#define VALUE(key, value) "{\"key\":\"" key "\",\"value\":{" value "}}"

static void test_order_of_attributes_does_not_matter(void **state)
{
    struct otel *otel = *state;
    feed_identity(otel, STRING("a", "1") "," STRING("b", "2") "," STRING("c", "3"),
                  STRING("x", "1") "," STRING("y", "2") "," STRING("xx", "3"));
    feed_identity(otel, STRING("c", "3") "," STRING("a", "1") "," STRING("b", "2"),
                  STRING("xx", "3") "," STRING("x", "1") "," STRING("y", "2"));
    feed_identity(otel, STRING("b", "2") "," STRING("c", "3") "," STRING("a", "1"),
                  STRING("y", "2") "," STRING("xx", "3") "," STRING("x", "1"));
    assert_value(total_of_m(otel)->total, 5.0);
    assert_string_equal(otel->result.metrics->attributes, "{\"x\":\"1\",\"xx\":\"3\",\"y\":\"2\"}");
    /* Another resource is another series, but of the same metric and set. */
    feed_identity(otel, STRING("a", "1"), STRING("x", "1"));
    feed_identity(otel, STRING("a", "2"), STRING("x", "1"));
    assert_value(total_of_m(otel)->total, 15.0);
    assert_int_equal(otel->result.metric_count, 1);
    assert_int_equal(otel->result.metrics->set_count, 2);
    assert_string_equal(otel->result.metrics->sets[1].attributes, "{\"x\":\"1\"}");
    assert_value(otel->result.metrics->sets[1].total.total, 10.0);
}

/* Long lists are sorted another way. */
static void test_order_of_many_attributes(void **state)
{
    struct otel *otel = *state;
    PW_STR_AUTO json = PW_STR_INIT;
    for (int turn = 0; turn < 2; turn++) {
        PW_STR_AUTO list = PW_STR_INIT;
        for (int i = 0; i < 100; i++) {
            int key = turn == 0 ? i : (i * 77) % 100;
            pw_str_addf(&list, "%s" VALUE("k%02d", "\"intValue\":%d"), i > 0 ? "," : "", key,
                        i < 99 ? key : -1);
        }
        pw_str_add(&list, "," VALUE("k99", "\"intValue\":99") "," VALUE("k23", "\"intValue\":23"));
        feed_identity(otel, list.text, list.text);
    }
    for (int i = 0; i < 100; i++) {
        pw_str_addf(&json, "%s\"k%02d\":%d", i > 0 ? "," : "{", i, i);
    }
    pw_str_add(&json, "}");
    assert_value(total_of_m(otel)->total, 5.0);
    assert_string_equal(otel->result.metrics->attributes, json.text);
}

static void test_values_have_types(void **state)
{
    struct otel *otel = *state;
    static const struct {
        const char *value, *json;
    } values[] = {
        {"\"arrayValue\":{\"values\":[{\"intValue\":1},{\"stringValue\":\"1\"},{}]}",
         "{\"k\":[1,\"1\",null]}"},
        {"\"arrayValue\":{\"values\":[{\"stringValue\":\"1\"},{\"intValue\":1},{}]}",
         "{\"k\":[\"1\",1,null]}"},
        {"\"arrayValue\":{}", "{\"k\":[]}"},
        {"\"boolValue\":false", "{\"k\":false}"},
        {"\"boolValue\":true", "{\"k\":true}"},
        {"\"bytesValue\":\"AQI=\"", "{\"k\":\"AQI=\"}"},
        {"\"doubleValue\":\"NaN\"", "{\"k\":\"NaN\"}"},
        {"\"doubleValue\":1", "{\"k\":1.0}"},
        {"\"intValue\":\"-9223372036854775808\"", "{\"k\":-9223372036854775808}"},
        {"\"intValue\":1", "{\"k\":1}"},
        {"\"kvlistValue\":{\"values\":[" STRING("a", "x") "," STRING("b", "y") "]}",
         "{\"k\":{\"a\":\"x\",\"b\":\"y\"}}"},
        {"\"kvlistValue\":{\"values\":[" STRING("b", "y") "," STRING("a", "x") "]}",
         "{\"k\":{\"b\":\"y\",\"a\":\"x\"}}"}, /* order kept */
        {"\"stringValue\":\"1\"", "{\"k\":\"1\"}"},
        {"\"stringValue\":\"\\u00e9\\\"\\\\\\n\"", "{\"k\":\"\xC3\xA9\\\"\\\\\\n\"}"},
        {"\"stringValue\":\"\"", "{\"k\":\"\"}"},
        {"", "{\"k\":null}"},
    };
    const size_t count = sizeof(values) / sizeof(*values);
    assert_int_equal(count, PW_LIMIT_OTEL_SETS);
    for (size_t i = 0; i < 2 * count; i++) {
        PW_STR_AUTO attribute = PW_STR_INIT;
        pw_str_addf(&attribute, VALUE("k", "%s"), values[i % count].value);
        feed_identity(otel, "", attribute.text);
    }
    const struct pw_otel_metric *metric = find_metric(take(otel), "m");
    assert_value(metric->total.total, 5.0 * (double)count);
    assert_int_equal(metric->set_count, count);
    for (size_t i = 0; i < count; i++) {
        bool found = false;
        for (size_t j = 0; j < count; j++) {
            found = found || strcmp(metric->sets[j].attributes, values[i].json) == 0;
        }
        if (!found) {
            fail_msg("no set %s", values[i].json);
        }
        assert_true(i == 0 ||
                    strcmp(metric->sets[i - 1].attributes, metric->sets[i].attributes) < 0);
    }
}

static void test_same_key_twice_the_last_counts(void **state)
{
    struct otel *otel = *state;
    feed_identity(otel, "", STRING("a", "1") "," STRING("b", "2") "," STRING("a", "3"));
    feed_identity(otel, "", STRING("b", "2") "," STRING("a", "3"));
    assert_value(total_of_m(otel)->total, 5.0);
    assert_string_equal(otel->result.metrics->attributes, "{\"a\":\"3\",\"b\":\"2\"}");
}

static void test_what_else_tells_series_apart(void **state)
{
    struct otel *otel = *state;
    static const char *const scopes[] = {
        "{\"name\":\"s\"}", "{\"name\":\"t\"}", "{\"name\":\"s\",\"version\":\"1\"}",
        "{\"name\":\"s\",\"attributes\":[" STRING("a", "1") "]}", "{}"};
    PW_STR_AUTO blocks = PW_STR_INIT;
    for (size_t i = 0; i < 10; i++) {
        pw_str_addf(&blocks,
                    "%s{\"scope\":%s,\"metrics\":[{\"name\":\"m\",\"sum\":{"
                    "\"aggregationTemporality\":2,\"isMonotonic\":true,\"dataPoints\":[{"
                    "\"startTimeUnixNano\":2000,\"timeUnixNano\":2001,\"asInt\":1}]}}]}",
                    i > 0 ? "," : "", scopes[i % 5]);
    }
    PW_STR_AUTO text = PW_STR_INIT;
    pw_str_addf(&text, "{\"resourceMetrics\":[{\"scopeMetrics\":[%s]}]}", blocks.text);
    feed_json(otel, PW_SIGNAL_METRICS, text.text, text.length);
    assert_value(total_of_m(otel)->total, 5.0);
    assert_int_equal(otel->result.metric_count, 1);
    /* Unit and type make another metric; names sort before types, and these before units. */
    feed_metric(otel, "",
                "{\"name\":\"m\",\"unit\":\"s\",\"sum\":{\"aggregationTemporality\":2,"
                "\"isMonotonic\":true,\"dataPoints\":[{\"asInt\":1}]}},"
                "{\"name\":\"m\",\"gauge\":{\"dataPoints\":[{\"asInt\":1}]}},"
                "{\"name\":\"l\",\"summary\":{\"dataPoints\":[{\"count\":1,\"sum\":2}]}}");
    const struct pw_telemetry *result = take(otel);
    assert_int_equal(result->metric_count, 4);
    assert_string_equal(result->metrics[0].name, "l");
    assert_int_equal(result->metrics[1].type, PW_OTEL_GAUGE);
    assert_string_equal(result->metrics[2].unit, "");
    assert_string_equal(result->metrics[3].unit, "s");
}

static void test_families(void **state)
{
    struct otel *otel = *state;
    feed_metric(otel, "",
                "{\"name\":\"codex.turn.x\",\"gauge\":{\"dataPoints\":[{\"asInt\":2},"
                "{\"asInt\":3}]}},"
                "{\"name\":\"job.queue\",\"sum\":{\"aggregationTemporality\":1,"
                "\"dataPoints\":[{\"asInt\":7}]}},"
                "{\"name\":\"other\",\"gauge\":{\"dataPoints\":[{\"asInt\":100}]}}");
    const struct pw_telemetry *result = take(otel);
    assert_int_equal(pw_telemetry_family_points(result, PW_FAMILY_TURN), 2);
    assert_near(pw_telemetry_family_value_sum(result, PW_FAMILY_TURN), 5.0);
    assert_int_equal(pw_telemetry_family_points(result, PW_FAMILY_QUEUE), 1);
    assert_near(pw_telemetry_family_value_sum(result, PW_FAMILY_QUEUE), 7.0);
    assert_int_equal(pw_telemetry_family_points(result, PW_FAMILY_ACTION), 0);
}

/* --- limits --- */

/* Points of `count` sets, whose numbers go from `first` on. */
static void feed_many(struct otel *otel, int first, int count)
{
    PW_STR_AUTO points = PW_STR_INIT;
    for (int i = first; i < first + count; i++) {
        pw_str_addf(&points,
                    "%s{\"startTimeUnixNano\":2000,\"timeUnixNano\":2001,\"asInt\":1,"
                    "\"attributes\":[" VALUE("n", "\"intValue\":%d") "]}",
                    i > first ? "," : "", i);
    }
    feed_metric(otel, "",
                "{\"name\":\"m\",\"sum\":{\"aggregationTemporality\":2,\"isMonotonic\":true,"
                "\"dataPoints\":[%s]}}",
                points.text);
}

static void test_too_many_series(void **state)
{
    struct otel *otel = *state;
    feed_many(otel, 0, PW_LIMIT_OTEL_SERIES - 1);
    assert_int_equal(total_of_m(otel)->total.number, PW_LIMIT_OTEL_SERIES - 1);
    assert_int_equal(loss(otel, PW_LOSS_SERIES_LIMIT), 0);
    feed_many(otel, PW_LIMIT_OTEL_SERIES - 1, 11);
    assert_int_equal(total_of_m(otel)->total.number, PW_LIMIT_OTEL_SERIES);
    assert_int_equal(loss(otel, PW_LOSS_SERIES_LIMIT), 10);
    assert_int_equal(otel->result.metrics->total.points, PW_LIMIT_OTEL_SERIES + 10);
    assert_true(otel->result.metrics->sets_dropped);
    feed_many(otel, 0, 100); /* those that are known go on */
    assert_int_equal(total_of_m(otel)->points, PW_LIMIT_OTEL_SERIES + 110);
    assert_int_equal(loss(otel, PW_LOSS_SERIES_LIMIT), 10);
}

static void test_too_many_bytes(void **state)
{
    struct otel *otel = *state;
    const size_t size = 4 << 20;
    PW_FREE_AUTO char *large = malloc(size + 1);
    assert_non_null(large);
    memset(large, 'x', size);
    large[size] = '\0';
    for (int i = 0; i < 20; i++) {
        PW_STR_AUTO attribute = PW_STR_INIT;
        pw_str_addf(&attribute, VALUE("k%d", "\"stringValue\":\"%s\""), i, large);
        feed_identity(otel, "", attribute.text);
    }
    take(otel);
    /* 16 of them fill the limit, but for what belongs to them. */
    assert_int_equal(loss(otel, PW_LOSS_SERIES_LIMIT), 5);
    assert_value(otel->result.metrics->total.total, 75.0);
    assert_true(otel->result.metrics->sets_dropped); /* too long to be listed */
    PW_STR_AUTO resource = PW_STR_INIT;
    pw_str_addf(&resource, VALUE("k", "\"stringValue\":\"%s\""), large);
    feed_identity(otel, resource.text, "");
    take(otel);
    assert_int_equal(loss(otel, PW_LOSS_SERIES_LIMIT), 6);
    assert_int_equal(otel->result.datapoints, 21);
}

static void test_too_many_attributes(void **state)
{
    struct otel *otel = *state;
    PW_STR_AUTO list = PW_STR_INIT;
    for (int i = 0; i < PW_LIMIT_OTEL_ATTRIBUTES; i++) {
        pw_str_addf(&list, "%s" VALUE("k%d", ""), i > 0 ? "," : "", i);
    }
    feed_identity(otel, "", list.text);
    pw_str_add(&list, "," STRING("one", "more"));
    feed_identity(otel, "", list.text);
    assert_value(total_of_m(otel)->total, 5.0);
    assert_int_equal(loss(otel, PW_LOSS_INVALID_POINT), 1);
    assert_int_equal(otel->result.metrics->total.points, 2);
}

static void test_too_many_sets(void **state)
{
    struct otel *otel = *state;
    feed_many(otel, 0, PW_LIMIT_OTEL_SETS);
    const struct pw_otel_metric *metric = find_metric(take(otel), "m");
    assert_int_equal(metric->set_count, PW_LIMIT_OTEL_SETS);
    assert_false(metric->sets_dropped);
    feed_many(otel, PW_LIMIT_OTEL_SETS, 1);
    metric = find_metric(take(otel), "m");
    assert_int_equal(metric->set_count, 0);
    assert_null(metric->sets);
    assert_true(metric->sets_dropped);
    assert_value(metric->total.total, PW_LIMIT_OTEL_SETS + 1.0);
}

static void test_long_sets_are_not_listed(void **state)
{
    struct otel *otel = *state;
    char value[PW_LIMIT_OTEL_SET_BYTES];
    const size_t longest = sizeof(value) - strlen("{\"k\":\"\"}");
    for (size_t length = longest; length <= longest + 1; length++) {
        PW_STR_AUTO attribute = PW_STR_INIT;
        memset(value, 'v', sizeof(value));
        pw_str_addf(&attribute, VALUE("k", "\"stringValue\":\"%.*s\""), (int)length, value);
        otel_restart(otel, WINDOW_SINCE_NS, NULL);
        feed_identity(otel, "", attribute.text);
        feed_identity(otel, "", "");
        const struct pw_otel_metric *metric = find_metric(take(otel), "m");
        assert_int_equal(metric->sets_dropped, length > longest);
        assert_int_equal(metric->set_count, length > longest ? 0 : 2);
        assert_value(metric->total.total, 10.0);
    }
}

static void test_long_names_are_cut(void **state)
{
    struct otel *otel = *state;
    char name[2 * PW_LIMIT_OTEL_NAME_BYTES];
    size_t length = PW_LIMIT_OTEL_NAME_BYTES - 1;
    memset(name, 'n', length);
    snprintf(name + length, sizeof(name) - length, "\xE2\x82\xAC and more"); /* three bytes */
    feed_metric(otel, "", "{\"name\":\"%s\",\"gauge\":{\"dataPoints\":[{\"asInt\":2}]}}", name);
    take(otel);
    assert_int_equal(strlen(otel->result.metrics->name), length);
    name[length] = '\0';
    assert_string_equal(otel->result.metrics->name, name);
}

/* --- memory --- */

/* Makes it another export: later by `later_ns`, and of a process that started so much later. */
static void shift_times(const Otlp__ScopeMetrics *scope, uint64_t later_ns, uint64_t started_ns)
{
    for (size_t i = 0; i < scope->n_metrics; i++) {
        const Otlp__Metric *metric = scope->metrics[i];
        if (metric->data_case == OTLP__METRIC__DATA_HISTOGRAM) {
            metric->histogram->data_points[0]->time_unix_nano += later_ns;
            metric->histogram->data_points[0]->start_time_unix_nano += started_ns;
        } else if (metric->data_case == OTLP__METRIC__DATA_SUM) {
            metric->sum->data_points[0]->time_unix_nano += later_ns;
            metric->sum->data_points[0]->start_time_unix_nano += started_ns;
        }
    }
}

static void add_to_table(struct pw_series_table *table, const char *name, uint64_t later_ns,
                         uint64_t started_ns)
{
    const char *source = getenv("PW_SOURCE_DIR");
    PW_STR_AUTO path = PW_STR_INIT;
    PW_FREE_AUTO char *text = NULL;
    size_t size = 0;
    pw_str_addf(&path, "%s/tests/data/otlp/%s", source ? source : ".", name);
    assert_int_equal(pw_file_read(path.text, PW_LIMIT_OTLP_BODY_BYTES, &text, &size, NULL), 0);
    Otlp__MetricsRequest *request =
        otlp__metrics_request__unpack(NULL, size, (const uint8_t *)text);
    assert_non_null(request);
    for (size_t i = 0; i < request->resource_metrics[0]->n_scope_metrics; i++) {
        shift_times(request->resource_metrics[0]->scope_metrics[i], later_ns, started_ns);
    }
    assert_int_equal(pw_series_table_add(table, request, NULL), 0);
    otlp__metrics_request__free_unpacked(request, NULL);
}

static void test_memory_stays_flat(void **state)
{
    (void)state;
    static const char *const names[] = {"codex_metrics_proto.pb", "js_metrics_delta_1_proto.pb",
                                        "js_metrics_cumulative_1_proto.pb",
                                        "js_metrics_cumulative_2_proto.pb"};
    struct pw_series_table table = {0};
    size_t bytes = 0;
    for (uint64_t round = 0; round < 200; round++) {
        for (size_t i = 0; i < 4; i++) {
            add_to_table(&table, names[i], round * 1000000000, 0);
        }
        if (round == 2) { /* resets have been seen too: _2 is followed by _1 */
            bytes = table.common.bytes;
        }
    }
    assert_true(bytes > 10000);
    assert_int_equal(table.common.bytes, bytes);
    pw_series_table_done(&table);
}

/* One process after the other; with and without a base of their own. */
static void test_memory_stays_flat_with_many_start_times(void **state)
{
    (void)state;
    for (int older = 0; older < 2; older++) {
        struct pw_series_table table = {.common = {.since_unix_ns = older ? UINT64_MAX : 0}};
        size_t bytes = 0;
        for (uint64_t round = 0; round < (uint64_t)5 * PW_LIMIT_OTEL_STARTS; round++) {
            add_to_table(&table, "js_metrics_cumulative_1_proto.pb", round, round);
            if (round == PW_LIMIT_OTEL_STARTS) {
                bytes = table.common.bytes;
            }
        }
        assert_true(bytes > 10000);
        assert_int_equal(table.common.bytes, bytes);
        pw_series_table_done(&table);
    }
}

static void test_intern(void **state)
{
    (void)state;
    struct pw_intern table = {0};
    bool is_new = false;
    assert_int_equal(pw_intern_put(&table, "", 0, 0, &is_new), PW_INTERN_NONE);
    for (uint32_t turn = 0; turn < 2; turn++) {
        for (uint32_t i = 0; i < 5000; i++) {
            char key[200] = {0}; /* zeros count, and the length does */
            memcpy(key, &i, sizeof(i));
            assert_int_equal(pw_intern_put(&table, key, sizeof(i) + i % 190, 5000, &is_new), i);
            assert_int_equal(is_new, turn == 0);
        }
    }
    assert_int_equal(table.count, 5000);
    assert_int_equal(pw_intern_put(&table, "x", 1, 5000, &is_new), PW_INTERN_NONE);
    assert_int_equal(pw_intern_put(&table, "x", 1, 5001, &is_new), 5000);
    size_t size = 0;
    assert_memory_equal(pw_intern_key(&table, 5000, &size), "x", 1);
    assert_int_equal(size, 1);
    pw_intern_key(&table, 4999, &size);
    assert_int_equal(size, 4 + 4999 % 190);
    char *large = calloc(1, 1 << 20);
    assert_non_null(large);
    assert_int_equal(pw_intern_put(&table, large, 1 << 20, SIZE_MAX, &is_new), 5001);
    assert_int_equal(pw_intern_put(&table, large, 1 << 20, 0, &is_new), 5001);
    free(large);
    pw_intern_done(&table);
    assert_int_equal(pw_intern_put_name(&table, "name", 1, &is_new), 0);
    assert_string_equal(pw_intern_name(&table, 0), "name");
    pw_intern_done(&table);
}

#define WINDOW_TEST(test) cmocka_unit_test_setup_teardown(test, otel_set_up, otel_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WINDOW_TEST(test_exported_five_times_counts_once),
        WINDOW_TEST(test_cumulative_resets),
        WINDOW_TEST(test_two_processes_of_one_identity),
        WINDOW_TEST(test_base_of_what_started_before),
        WINDOW_TEST(test_old_points_are_ignored),
        WINDOW_TEST(test_large_integers_stay_exact),
        WINDOW_TEST(test_updown_sums),
        WINDOW_TEST(test_many_start_times),
        WINDOW_TEST(test_delta_sums),
        WINDOW_TEST(test_doubles_and_integers_are_one_series),
        WINDOW_TEST(test_values_that_are_none),
        WINDOW_TEST(test_no_temporality),
        WINDOW_TEST(test_gauges),
        WINDOW_TEST(test_order_of_attributes_does_not_matter),
        WINDOW_TEST(test_order_of_many_attributes),
        WINDOW_TEST(test_values_have_types),
        WINDOW_TEST(test_same_key_twice_the_last_counts),
        WINDOW_TEST(test_what_else_tells_series_apart),
        WINDOW_TEST(test_families),
        WINDOW_TEST(test_too_many_series),
        WINDOW_TEST(test_too_many_bytes),
        WINDOW_TEST(test_too_many_attributes),
        WINDOW_TEST(test_too_many_sets),
        WINDOW_TEST(test_long_sets_are_not_listed),
        WINDOW_TEST(test_long_names_are_cut),
        cmocka_unit_test(test_memory_stays_flat),
        cmocka_unit_test(test_memory_stays_flat_with_many_start_times),
        cmocka_unit_test(test_intern),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
