#include "collector/transcode.h"

#include <math.h>
#include <otlp.pb-c.h>
#include "collector/arena.h"
#include "tests/unit/otlp_samples.h"

struct fixture {
    struct pw_transcoder *transcoder;
    struct pw_arena arena;
    struct pw_str bytes; /* as transcoded last */
    struct pw_str json;  /* and back again */
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    fixture->arena = PW_ARENA_INIT;
    fixture->bytes = PW_STR_INIT;
    fixture->json = PW_STR_INIT;
    assert_int_equal(pw_transcoder_new(&fixture->transcoder, NULL), 0);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    pw_transcoder_free(fixture->transcoder);
    pw_transcoder_free(NULL);
    pw_arena_done(&fixture->arena);
    pw_str_done(&fixture->bytes);
    pw_str_done(&fixture->json);
    free(fixture);
    return 0;
}

static int transcode(struct fixture *fixture, enum pw_signal signal, const char *text, size_t size,
                     struct pw_err *err)
{
    char *copy = padded_copy(text, size);
    int status = pw_transcode_from_json(fixture->transcoder, pw_otlp_descriptor(signal), copy, size,
                                        &fixture->bytes, err);
    free(copy);
    return status;
}

/* In the fixture's arena: until the next call. */
static const ProtobufCMessage *decode(struct fixture *fixture, enum pw_signal signal,
                                      const void *bytes, size_t size)
{
    const ProtobufCMessageDescriptor *descriptor = pw_otlp_descriptor(signal);
    ProtobufCAllocator allocator = pw_arena_allocator(&fixture->arena);
    struct pw_err err = PW_ERR_INIT;
    size_t need = 0;
    pw_arena_reset(&fixture->arena);
    if (pw_wire_check(descriptor, bytes, size, &need, &err) != 0) {
        fail_msg("%s", err.message);
    }
    const ProtobufCMessage *message =
        protobuf_c_message_unpack(descriptor, &allocator, size, bytes);
    assert_non_null(message);
    assert_true(fixture->arena.total <= need);
    return message;
}

/* JSON to binary and back; the result is in fixture->json. */
static const ProtobufCMessage *there_and_back(struct fixture *fixture, enum pw_signal signal,
                                              const char *text, size_t size)
{
    struct pw_err err = PW_ERR_INIT;
    if (transcode(fixture, signal, text, size, &err) != 0) {
        fail_msg("%s: %.*s", err.message, (int)(size < 300 ? size : 300), text);
    }
    const ProtobufCMessage *message =
        decode(fixture, signal, fixture->bytes.text, fixture->bytes.length);
    pw_str_clear(&fixture->json);
    pw_transcode_to_json(message, &fixture->json);
    assert_false(fixture->json.failed);
    return message;
}

static void assert_transcodes(struct fixture *fixture, enum pw_signal signal, const char *text,
                              const char *expected)
{
    there_and_back(fixture, signal, text, strlen(text));
    assert_string_equal(fixture->json.text, expected);
}

/* --- captured payloads --- */

/* What perfwrap writes is read back as the same message, and written the same again. */
static void test_captured_round_trip(void **state)
{
    struct fixture *fixture = *state;
    struct otlp_samples samples = load_samples();
    size_t taken = 0;
    for (size_t i = 0; i < samples.count; i++) {
        const struct otlp_sample *sample = &samples.items[i];
        PW_STR_AUTO first = PW_STR_INIT;
        PW_STR_AUTO bytes = PW_STR_INIT;
        if (sample->status != 200) {
            continue;
        }
        if (sample->is_json) {
            there_and_back(fixture, sample->signal, sample->body, sample->size);
        } else {
            pw_str_clear(&fixture->json);
            pw_transcode_to_json(decode(fixture, sample->signal, sample->body, sample->size),
                                 &fixture->json);
        }
        pw_str_add_bytes(&first, fixture->json.text, fixture->json.length);
        there_and_back(fixture, sample->signal, first.text, first.length);
        assert_string_equal(fixture->json.text, first.text);
        pw_str_add_bytes(&bytes, fixture->bytes.text, fixture->bytes.length);
        there_and_back(fixture, sample->signal, first.text, first.length);
        assert_int_equal(fixture->bytes.length, bytes.length);
        assert_memory_equal(fixture->bytes.text, bytes.text, bytes.length);
        taken++;
    }
    assert_true(taken > 40);
    free_samples(&samples);
}

static void test_captured_refused(void **state)
{
    struct fixture *fixture = *state;
    struct otlp_samples samples = load_samples();
    size_t refused = 0;
    for (size_t i = 0; i < samples.count; i++) {
        const struct otlp_sample *sample = &samples.items[i];
        struct pw_err err = PW_ERR_INIT;
        if (sample->status == 400 && sample->is_json) {
            assert_int_equal(transcode(fixture, sample->signal, sample->body, sample->size, &err),
                             -1);
            assert_int_equal(err.cls, PW_ERR_INPUT);
            assert_int_equal(fixture->bytes.length, 0);
            refused++;
        }
    }
    assert_int_equal(refused, 3);
    free_samples(&samples);
}

/* The same payload in both encodings, written by another program. */
static void test_captured_twins(void **state)
{
    struct fixture *fixture = *state;
    struct otlp_samples samples = load_samples();
    const struct otlp_sample *json = find_sample(&samples, "edge_metrics_json");
    there_and_back(fixture, json->signal, json->body, json->size);
    static const char *const names[] = {"edge_metrics_proto", "edge_unknown_fields_proto"};
    for (size_t i = 0; i < 2; i++) {
        const struct otlp_sample *proto = find_sample(&samples, names[i]);
        PW_STR_AUTO text = PW_STR_INIT;
        pw_transcode_to_json(decode(fixture, proto->signal, proto->body, proto->size), &text);
        assert_string_equal(text.text, fixture->json.text);
    }
    free_samples(&samples);
}

/* --- captured payloads against a comparison of documents that knows no schema --- */

static bool is_blank(const json_t *value)
{
    return !value || json_is_null(value) || json_is_false(value) ||
           (json_is_number(value) && json_number_value(value) == 0) ||
           (json_is_string(value) &&
            (json_string_length(value) == 0 || strcmp(json_string_value(value), "0") == 0)) ||
           (json_is_array(value) && json_array_size(value) == 0);
}

static bool same_scalar(const json_t *theirs, const json_t *ours)
{
    if (json_is_string(theirs) && json_is_string(ours) &&
        strcasecmp(json_string_value(theirs), json_string_value(ours)) == 0) {
        return true; /* ids differ in case */
    }
    char numbers[2][64];
    const json_t *values[2] = {theirs, ours};
    for (size_t i = 0; i < 2; i++) {
        if (json_is_string(values[i])) {
            snprintf(numbers[i], sizeof(numbers[i]), "%s", json_string_value(values[i]));
        } else if (json_is_integer(values[i])) {
            snprintf(numbers[i], sizeof(numbers[i]), "%lld",
                     (long long)json_integer_value(values[i]));
        } else if (json_is_real(values[i])) {
            snprintf(numbers[i], sizeof(numbers[i]), "%.17g", json_real_value(values[i]));
        } else {
            return json_equal(theirs, ours);
        }
    }
    char *end = NULL;
    double number = strtod(numbers[0], &end);
    return strcmp(numbers[0], numbers[1]) == 0 ||
           (*end == '\0' && fabs(number) < 0x1p53 && number == strtod(numbers[1], NULL));
}

/* The senders' document and ours agree, but for what is unknown and what is left out. */
static void assert_alike(const json_t *theirs, const json_t *ours, const char *where)
{
    const char *key = NULL;
    json_t *value = NULL;
    size_t i = 0;
    if (json_is_object(theirs)) {
        json_object_foreach((json_t *)theirs, key, value)
        {
            const json_t *member = json_object_get(ours, key);
            if (member) {
                assert_alike(value, member, key);
            } else if (!is_blank(value) && strcmp(key, "unknownTop") != 0 &&
                       strcmp(key, "futureField") != 0 && strcmp(key, "resource_metrics") != 0) {
                fail_msg("%s was lost", key);
            }
        }
        json_object_foreach((json_t *)ours, key, value)
        {
            if (!json_object_get(theirs, key)) {
                fail_msg("%s was made up", key);
            }
        }
    } else if (json_is_array(theirs)) {
        assert_int_equal(json_array_size(theirs), json_array_size(ours));
        json_array_foreach(theirs, i, value)
        {
            assert_alike(value, json_array_get(ours, i), where);
        }
    } else if (!same_scalar(theirs, ours)) {
        fail_msg("%s differs", where);
    }
}

static void test_captured_against_jansson(void **state)
{
    struct fixture *fixture = *state;
    struct otlp_samples samples = load_samples();
    size_t compared = 0;
    for (size_t i = 0; i < samples.count; i++) {
        const struct otlp_sample *sample = &samples.items[i];
        if (!sample->is_json || sample->status != 200) {
            continue;
        }
        there_and_back(fixture, sample->signal, sample->body, sample->size);
        json_t *theirs = json_loadb(sample->body, sample->size, JSON_ALLOW_NUL, NULL);
        json_t *ours = json_loads(fixture->json.text, JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(theirs);
        assert_non_null(ours);
        assert_alike(theirs, ours, "the document");
        json_decref(theirs);
        json_decref(ours);
        compared++;
    }
    assert_true(compared > 20);
    free_samples(&samples);
}

/* --- the mapping, case by case --- */

#define METRIC(members) "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{" members "}]}]}]}"
#define POINT(members) METRIC("\"gauge\":{\"dataPoints\":[{" members "}]}")
#define HISTOGRAM(members) METRIC("\"histogram\":{\"dataPoints\":[{" members "}]}")
#define BUCKETS(members) \
    METRIC("\"exponentialHistogram\":{\"dataPoints\":[{\"positive\":{" members "}}]}")
#define RECORD(members) "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{" members "}]}]}]}"
#define VALUE(members) RECORD("\"body\":{" members "}")
#define SPAN(members) "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{" members "}]}]}]}"

struct mapping {
    enum pw_signal signal;
    const char *text;
    const char *expected;
};

static void check_mappings(void **state, const struct mapping *mappings, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_transcodes(*state, mappings[i].signal, mappings[i].text, mappings[i].expected);
    }
}
#define CHECK_MAPPINGS(mappings) \
    check_mappings(state, mappings, sizeof(mappings) / sizeof(*(mappings)))

static void test_integers(void **state)
{
    static const struct mapping mappings[] = {
        {PW_SIGNAL_METRICS, POINT("\"asInt\":5"), POINT("\"asInt\":\"5\"")},
        {PW_SIGNAL_METRICS, POINT("\"asInt\":\"5\""), POINT("\"asInt\":\"5\"")},
        {PW_SIGNAL_METRICS, POINT("\"asInt\":5.0"), POINT("\"asInt\":\"5\"")},
        {PW_SIGNAL_METRICS, POINT("\"asInt\":\"5.0\""), POINT("\"asInt\":\"5\"")},
        {PW_SIGNAL_METRICS, POINT("\"asInt\":-1e3"), POINT("\"asInt\":\"-1000\"")},
        {PW_SIGNAL_METRICS, POINT("\"asInt\":\"-1E3\""), POINT("\"asInt\":\"-1000\"")},
        {PW_SIGNAL_METRICS, POINT("\"asInt\":0"), POINT("\"asInt\":\"0\"")},
        {PW_SIGNAL_METRICS, POINT("\"asInt\":\"-0\""), POINT("\"asInt\":\"0\"")},
        {PW_SIGNAL_METRICS, POINT("\"asInt\":9223372036854775807"),
         POINT("\"asInt\":\"9223372036854775807\"")},
        {PW_SIGNAL_METRICS, POINT("\"asInt\":\"-9223372036854775808\""),
         POINT("\"asInt\":\"-9223372036854775808\"")},
        {PW_SIGNAL_METRICS, HISTOGRAM("\"count\":18446744073709551615"),
         HISTOGRAM("\"count\":\"18446744073709551615\"")},
        {PW_SIGNAL_METRICS, HISTOGRAM("\"count\":\"18446744073709551615\""),
         HISTOGRAM("\"count\":\"18446744073709551615\"")},
        {PW_SIGNAL_METRICS, HISTOGRAM("\"count\":\"9223372036854775808\",\"flags\":4294967295"),
         HISTOGRAM("\"count\":\"9223372036854775808\",\"flags\":4294967295")},
        {PW_SIGNAL_METRICS, HISTOGRAM("\"flags\":\"1\""), HISTOGRAM("\"flags\":1")},
        {PW_SIGNAL_METRICS, HISTOGRAM("\"bucketCounts\":[\"1\",2,3e0]"),
         HISTOGRAM("\"bucketCounts\":[\"1\",\"2\",\"3\"]")},
        {PW_SIGNAL_METRICS, BUCKETS("\"offset\":-2147483648,\"bucketCounts\":[0,300]"),
         BUCKETS("\"offset\":-2147483648,\"bucketCounts\":[\"0\",\"300\"]")},
        {PW_SIGNAL_METRICS, BUCKETS("\"offset\":\"2147483647\""), BUCKETS("\"offset\":2147483647")},
        {PW_SIGNAL_LOGS, VALUE("\"intValue\":-9223372036854775808"),
         VALUE("\"intValue\":\"-9223372036854775808\"")},
        {PW_SIGNAL_LOGS, RECORD("\"severityNumber\":-1,\"flags\":4294967295"),
         RECORD("\"severityNumber\":-1,\"flags\":4294967295")},
        {PW_SIGNAL_TRACES, SPAN("\"kind\":3,\"flags\":257"), SPAN("\"kind\":3,\"flags\":257")},
    };
    CHECK_MAPPINGS(mappings);
}

static void test_doubles(void **state)
{
    static const struct mapping mappings[] = {
        {PW_SIGNAL_METRICS, POINT("\"asDouble\":7"), POINT("\"asDouble\":7")},
        {PW_SIGNAL_METRICS, POINT("\"asDouble\":0"), POINT("\"asDouble\":0")},
        {PW_SIGNAL_METRICS, POINT("\"asDouble\":-0.0"), POINT("\"asDouble\":-0.0")},
        {PW_SIGNAL_METRICS, POINT("\"asDouble\":\"1.5e3\""), POINT("\"asDouble\":1500")},
        {PW_SIGNAL_METRICS, POINT("\"asDouble\":0.1"), POINT("\"asDouble\":0.1")},
        {PW_SIGNAL_METRICS, POINT("\"asDouble\":0.30000000000000004"),
         POINT("\"asDouble\":0.30000000000000004")},
        {PW_SIGNAL_METRICS, POINT("\"asDouble\":1e20"), POINT("\"asDouble\":1e+20")},
        /* As JavaScript writes 1e20. */
        {PW_SIGNAL_METRICS, POINT("\"asDouble\":100000000000000000000"),
         POINT("\"asDouble\":1e+20")},
        {PW_SIGNAL_METRICS, POINT("\"asDouble\":\"100000000000000000000\""),
         POINT("\"asDouble\":1e+20")},
        {PW_SIGNAL_METRICS, POINT("\"asDouble\":1.7976931348623157e308"),
         POINT("\"asDouble\":1.7976931348623157e+308")},
        {PW_SIGNAL_METRICS, POINT("\"asDouble\":5e-324"),
         POINT("\"asDouble\":4.94065645841247e-324")},
        {PW_SIGNAL_METRICS, POINT("\"asDouble\":\"NaN\""), POINT("\"asDouble\":\"NaN\"")},
        {PW_SIGNAL_METRICS, POINT("\"asDouble\":\"Infinity\""), POINT("\"asDouble\":\"Infinity\"")},
        {PW_SIGNAL_METRICS, POINT("\"asDouble\":\"-Infinity\""),
         POINT("\"asDouble\":\"-Infinity\"")},
        {PW_SIGNAL_METRICS, POINT("\"asDouble\":999999999999999"),
         POINT("\"asDouble\":999999999999999")},
        {PW_SIGNAL_METRICS, POINT("\"asDouble\":-12345678901234567"),
         POINT("\"asDouble\":-12345678901234568")},
        {PW_SIGNAL_METRICS, HISTOGRAM("\"explicitBounds\":[0,1,2.5,\"5\",\"Infinity\"]"),
         HISTOGRAM("\"explicitBounds\":[0,1,2.5,5,\"Infinity\"]")},
    };
    CHECK_MAPPINGS(mappings);
}

/* What is there counts, also when it is 0: optional fields, members of a oneof, messages. */
static void test_presence(void **state)
{
    static const struct mapping mappings[] = {
        {PW_SIGNAL_METRICS, HISTOGRAM("\"sum\":0,\"min\":0,\"count\":0,\"bucketCounts\":[]"),
         HISTOGRAM("\"sum\":0,\"min\":0")},
        {PW_SIGNAL_METRICS, HISTOGRAM("\"sum\":null,\"max\":null"), HISTOGRAM("")},
        {PW_SIGNAL_LOGS, VALUE(""), VALUE("")},
        {PW_SIGNAL_LOGS, VALUE("\"stringValue\":\"\""), VALUE("\"stringValue\":\"\"")},
        {PW_SIGNAL_LOGS, VALUE("\"boolValue\":false"), VALUE("\"boolValue\":false")},
        {PW_SIGNAL_LOGS, VALUE("\"boolValue\":true"), VALUE("\"boolValue\":true")},
        {PW_SIGNAL_LOGS, VALUE("\"bytesValue\":\"\""), VALUE("\"bytesValue\":\"\"")},
        {PW_SIGNAL_LOGS, VALUE("\"arrayValue\":{}"), VALUE("\"arrayValue\":{}")},
        {PW_SIGNAL_LOGS, VALUE("\"arrayValue\":{\"values\":[{},{}]}"),
         VALUE("\"arrayValue\":{\"values\":[{},{}]}")},
        {PW_SIGNAL_LOGS, VALUE("\"stringValue\":null,\"intValue\":1,\"boolValue\":null"),
         VALUE("\"intValue\":\"1\"")},
        {PW_SIGNAL_LOGS, RECORD("\"body\":null,\"attributes\":null"), RECORD("")},
        {PW_SIGNAL_TRACES, "{}", "{}"},
        {PW_SIGNAL_TRACES, "{\"resourceSpans\":[]}", "{}"},
        {PW_SIGNAL_TRACES, "{\"resourceSpans\":null}", "{}"},
        {PW_SIGNAL_TRACES, "{\"resourceSpans\":[{},{\"resource\":{}}]}",
         "{\"resourceSpans\":[{},{\"resource\":{}}]}"},
    };
    CHECK_MAPPINGS(mappings);
}

static void test_unknown_keys(void **state)
{
    static const struct mapping mappings[] = {
        {PW_SIGNAL_LOGS, "{\"resource_logs\":[{}],\"x\":{\"resourceLogs\":[1]},\"\":[[{}],2]}",
         "{}"},
        {PW_SIGNAL_LOGS, RECORD("\"body\":{\"value\":1,\"stringValue\":\"a\",\"y\":[null]}"),
         VALUE("\"stringValue\":\"a\"")},
        {PW_SIGNAL_LOGS, RECORD("\"Body\":1,\"bod\":2,\"bodyy\":3,\"body\\u0000\":4"), RECORD("")},
        {PW_SIGNAL_LOGS, RECORD("\"unknown\":1,\"unknown\":2"), RECORD("")},
    };
    CHECK_MAPPINGS(mappings);
}

static void test_texts(void **state)
{
    static const struct mapping mappings[] = {
        {PW_SIGNAL_LOGS, VALUE("\"stringValue\":\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0001\\u007f\""),
         VALUE("\"stringValue\":\"a\\\"\\\\/\\u0008\\u000c\\n\\r\\t\\u0001\x7f\"")},
        {PW_SIGNAL_LOGS, VALUE("\"stringValue\":\"\\u00e9\\ud83d\\ude00\xe2\x82\xac\""),
         VALUE("\"stringValue\":\"\xc3\xa9\xf0\x9f\x98\x80\xe2\x82\xac\"")},
        {PW_SIGNAL_LOGS, VALUE("\"bytesValue\":\"AAEC/w==\""),
         VALUE("\"bytesValue\":\"AAEC/w==\"")},
        {PW_SIGNAL_LOGS, VALUE("\"bytesValue\":\"AAEC_w\""), VALUE("\"bytesValue\":\"AAEC/w==\"")},
        {PW_SIGNAL_LOGS, VALUE("\"bytesValue\":\"-_-_\""), VALUE("\"bytesValue\":\"+/+/\"")},
        {PW_SIGNAL_LOGS, VALUE("\"bytesValue\":\"YWI=\""), VALUE("\"bytesValue\":\"YWI=\"")},
        {PW_SIGNAL_LOGS, VALUE("\"bytesValue\":\"YWI\""), VALUE("\"bytesValue\":\"YWI=\"")},
        {PW_SIGNAL_TRACES,
         SPAN("\"traceId\":\"5B8EFFF798038103D269B633813FC60C\",\"spanId\":\"eEe19b7ec3c1b174\","
              "\"parentSpanId\":\"\""),
         SPAN("\"traceId\":\"5b8efff798038103d269b633813fc60c\",\"spanId\":\"eee19b7ec3c1b174\"")},
        {PW_SIGNAL_TRACES, SPAN("\"links\":[{\"spanId\":\"00ff\"}]"),
         SPAN("\"links\":[{\"spanId\":\"00ff\"}]")},
    };
    CHECK_MAPPINGS(mappings);

    /* protobuf's strings may hold NULs; protobuf-c's end there. */
    struct fixture *fixture = *state;
    static const char text[] = VALUE("\"stringValue\":\"a\\u0000b\"");
    there_and_back(fixture, PW_SIGNAL_LOGS, text, strlen(text));
    assert_memory_equal(fixture->bytes.text + fixture->bytes.length - 5, "\x0a\x03\x61\x00\x62", 5);
    assert_string_equal(fixture->json.text, VALUE("\"stringValue\":\"a\""));
}

/* Members in any order, the same table for senders of different habits. */
static void test_order(void **state)
{
    static const struct mapping mappings[] = {
        {PW_SIGNAL_LOGS,
         RECORD("\"traceId\":\"01\",\"eventName\":\"e\",\"timeUnixNano\":1,\"flags\":2"),
         RECORD("\"timeUnixNano\":\"1\",\"flags\":2,\"traceId\":\"01\",\"eventName\":\"e\"")},
        {PW_SIGNAL_LOGS,
         RECORD("\"eventName\":\"e\",\"flags\":2,\"traceId\":\"01\",\"timeUnixNano\":1"),
         RECORD("\"timeUnixNano\":\"1\",\"flags\":2,\"traceId\":\"01\",\"eventName\":\"e\"")},
        {PW_SIGNAL_LOGS, RECORD("\"timeUnixNano\":1,\"eventName\":\"e\""),
         RECORD("\"timeUnixNano\":\"1\",\"eventName\":\"e\"")},
    };
    for (int i = 0; i < 3; i++) {
        CHECK_MAPPINGS(mappings);
    }
}

static void test_wire_form(void **state)
{
    struct fixture *fixture = *state;
    static const char text[] =
        "{\"resourceMetrics\":[{\"schemaUrl\":\"u\",\"scopeMetrics\":[{\"metrics\":[{\"histogram\":"
        "{\"aggregationTemporality\":2,\"dataPoints\":[{\"explicitBounds\":[],"
        "\"bucketCounts\":[1,\"2\"]}]}}]}]}]}";
    static const char expected[] =
        "\x0a\xae\x80\x80\x00" /* the request: its only field, 46 bytes */
        "\x1a\x01u"
        "\x12\xa6\x80\x80\x00"
        "\x12\xa1\x80\x80\x00"
        "\x4a\x9c\x80\x80\x00"
        "\x10\x02"
        "\x0a\x95\x80\x80\x00"
        "\x32\x90\x80\x80\x00\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0";
    assert_int_equal(transcode(fixture, PW_SIGNAL_METRICS, text, strlen(text), NULL), 0);
    assert_int_equal(fixture->bytes.length, sizeof(expected) - 1);
    assert_memory_equal(fixture->bytes.text, expected, sizeof(expected) - 1);
    assert_int_equal(fixture->bytes.text[fixture->bytes.length], '\0');
}

/* `expected`: part of the message. */
static const struct mapping refused[] = {
    {PW_SIGNAL_METRICS, "", "JSON"},
    {PW_SIGNAL_METRICS, "[]", "the document is not an object"},
    {PW_SIGNAL_METRICS, "null", "the document is not an object"},
    {PW_SIGNAL_METRICS, "{\"resourceMetrics\":[{},{\"scopeMetrics\":[{\"scope\":7}]}]}",
     "resourceMetrics[1].scopeMetrics[0].scope: not an object"},
    {PW_SIGNAL_METRICS, "{\"resourceMetrics\":{}}", "resourceMetrics: not an array"},
    {PW_SIGNAL_METRICS, "{\"resourceMetrics\":[{},null]}", "resourceMetrics[1]: not an object"},
    {PW_SIGNAL_METRICS, "{\"resourceMetrics\":[[]]}", "resourceMetrics[0]: not an object"},
    {PW_SIGNAL_METRICS, HISTOGRAM("\"bucketCounts\":[1,null]"),
     "dataPoints[0].bucketCounts[1]: not a number"},
    {PW_SIGNAL_METRICS, HISTOGRAM("\"bucketCounts\":[1,-1]"),
     "bucketCounts[1]: not an integer, or out of range"},
    {PW_SIGNAL_METRICS, HISTOGRAM("\"bucketCounts\":7"), "bucketCounts: not an array"},
    {PW_SIGNAL_METRICS, HISTOGRAM("\"count\":1.5"), "count: not an integer"},
    {PW_SIGNAL_METRICS, HISTOGRAM("\"count\":\"-1\""), "count: not an integer"},
    {PW_SIGNAL_METRICS, HISTOGRAM("\"count\":18446744073709551616"), "count: not an integer"},
    {PW_SIGNAL_METRICS, HISTOGRAM("\"count\":1e20"), "count: not an integer"},
    {PW_SIGNAL_METRICS, HISTOGRAM("\"count\":\"NaN\""), "count: not a number"},
    {PW_SIGNAL_METRICS, HISTOGRAM("\"count\":\"\""), "count: not a number"},
    {PW_SIGNAL_METRICS, HISTOGRAM("\"count\":true"), "count: not a number"},
    {PW_SIGNAL_METRICS, HISTOGRAM("\"count\":[1]"), "count: not a number"},
    {PW_SIGNAL_METRICS, HISTOGRAM("\"flags\":4294967296"), "flags: not an integer"},
    {PW_SIGNAL_METRICS, HISTOGRAM("\"flags\":-1"), "flags: not an integer"},
    {PW_SIGNAL_METRICS, POINT("\"asInt\":9223372036854775808"), "asInt: not an integer"},
    {PW_SIGNAL_METRICS, POINT("\"asInt\":9223372036854775807.0"), "asInt: not an integer"},
    {PW_SIGNAL_METRICS, POINT("\"asInt\":-9223372036854775809"), "asInt: not an integer"},
    {PW_SIGNAL_METRICS, POINT("\"asInt\":-9.3e18"), "asInt: not an integer"},
    {PW_SIGNAL_METRICS, POINT("\"asInt\":\"-9223372036854775809\""), "asInt: not an integer"},
    {PW_SIGNAL_METRICS, POINT("\"asInt\":1.5"), "asInt: not an integer"},
    {PW_SIGNAL_METRICS, POINT("\"asInt\":\"-\""), "asInt: not a number"},
    {PW_SIGNAL_METRICS, POINT("\"asInt\":\"0x10\""), "asInt: not a number"},
    {PW_SIGNAL_METRICS, POINT("\"asInt\":\" 1\""), "asInt: not a number"},
    {PW_SIGNAL_METRICS, POINT("\"asInt\":\"1 \""), "asInt: not a number"},
    {PW_SIGNAL_METRICS, POINT("\"asInt\":\"+1\""), "asInt: not a number"},
    {PW_SIGNAL_METRICS, POINT("\"asInt\":\"007\""), "asInt: not a number"},
    {PW_SIGNAL_METRICS, POINT("\"asInt\":\"1\\u0000\""), "asInt: not a number"},
    {PW_SIGNAL_METRICS, POINT("\"asDouble\":\"nan\""), "asDouble: not a number"},
    {PW_SIGNAL_METRICS, POINT("\"asDouble\":\"inf\""), "asDouble: not a number"},
    {PW_SIGNAL_METRICS, POINT("\"asDouble\":\"0x1p3\""), "asDouble: not a number"},
    {PW_SIGNAL_METRICS, POINT("\"asDouble\":\"1,5\""), "asDouble: not a number"},
    {PW_SIGNAL_METRICS, POINT("\"asDouble\":\"1e400\""), "asDouble: not a number"},
    {PW_SIGNAL_METRICS, POINT("\"asDouble\":true"), "asDouble: not a number"},
    {PW_SIGNAL_METRICS, POINT("\"asDouble\":1e400"), "JSON"},
    {PW_SIGNAL_METRICS, BUCKETS("\"offset\":2147483648"), "positive.offset: not an integer"},
    {PW_SIGNAL_METRICS,
     "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"sum\":"
     "{\"aggregationTemporality\":\"AGGREGATION_TEMPORALITY_DELTA\"}}]}]}]}",
     "sum.aggregationTemporality: not a number"},
    {PW_SIGNAL_METRICS, POINT("\"asInt\":1,\"asDouble\":1"), "asDouble: given twice"},
    {PW_SIGNAL_METRICS, POINT("\"flags\":1,\"flags\":1"), "flags: given twice"},
    {PW_SIGNAL_METRICS, "{\"resourceMetrics\":[],\"resourceMetrics\":[]}",
     "resourceMetrics: given twice"},
    {PW_SIGNAL_LOGS, VALUE("\"boolValue\":1"), "body.boolValue: neither true nor false"},
    {PW_SIGNAL_LOGS, VALUE("\"boolValue\":\"true\""), "neither true nor false"},
    {PW_SIGNAL_LOGS, VALUE("\"stringValue\":1"), "body.stringValue: not a string"},
    {PW_SIGNAL_LOGS, VALUE("\"stringValue\":[\"a\"]"), "body.stringValue: not a string"},
    {PW_SIGNAL_LOGS, VALUE("\"bytesValue\":\"A\""), "bytesValue: not base64"},
    {PW_SIGNAL_LOGS, VALUE("\"bytesValue\":\"AA=\""), "bytesValue: not base64"},
    {PW_SIGNAL_LOGS, VALUE("\"bytesValue\":\"A===\""), "bytesValue: not base64"},
    {PW_SIGNAL_LOGS, VALUE("\"bytesValue\":\"AA==AAAA\""), "bytesValue: not base64"},
    {PW_SIGNAL_LOGS, VALUE("\"bytesValue\":\"A A=\""), "bytesValue: not base64"},
    {PW_SIGNAL_LOGS, VALUE("\"bytesValue\":7"), "bytesValue: not a string"},
    {PW_SIGNAL_LOGS, RECORD("\"traceId\":\"012\""), "traceId: not bytes in hex"},
    {PW_SIGNAL_LOGS, RECORD("\"spanId\":\"0g\""), "spanId: not bytes in hex"},
    {PW_SIGNAL_LOGS, RECORD("\"spanId\":\"g0\""), "spanId: not bytes in hex"},
    {PW_SIGNAL_LOGS, RECORD("\"attributes\":[{\"key\":\"a\"},{\"key\":{}}]"),
     "resourceLogs[0].scopeLogs[0].logRecords[0].attributes[1].key: not a string"},
};

static void test_refused(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
        struct pw_err err = PW_ERR_INIT;
        pw_str_clear(&fixture->bytes);
        pw_str_add(&fixture->bytes, "from before");
        if (transcode(fixture, refused[i].signal, refused[i].text, strlen(refused[i].text), &err) ==
            0) {
            fail_msg("taken: %s", refused[i].text);
        }
        assert_int_equal(err.cls, PW_ERR_INPUT);
        assert_contains(err.message, refused[i].expected);
        assert_string_equal(fixture->bytes.text, "");
    }
}

/* Any message of the schema will do, not only requests. */
static void test_part(void **state)
{
    struct fixture *fixture = *state;
    char *text = padded_copy("{\"name\":\"n\"}", 12);
    assert_int_equal(pw_transcode_from_json(fixture->transcoder, &otlp__metric__descriptor, text,
                                            12, &fixture->bytes, NULL),
                     0);
    assert_string_equal(fixture->bytes.text, "\x0a\x01n");
    free(text);
}

/* --- sizes --- */

/* `depth` messages in all: request, ResourceLogs, ScopeLogs, LogRecord, AnyValue, ArrayValue, … */
static void add_nested(struct pw_str *out, unsigned depth)
{
    pw_str_add(out, "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{");
    for (unsigned i = 5; i <= depth; i++) {
        pw_str_add(out, i == 5 ? "\"body\":{" : i % 2 == 0 ? "\"arrayValue\":{" : "\"values\":[{");
    }
    for (unsigned i = depth; i >= 5; i--) {
        pw_str_add(out, i % 2 != 0 && i > 5 ? "}]" : "}");
    }
    pw_str_add(out, "}]}]}]}");
}

static void test_depth(void **state)
{
    struct fixture *fixture = *state;
    for (unsigned depth = 4; depth < PW_LIMIT_OTLP_DEPTH + 4; depth++) {
        PW_STR_AUTO text = PW_STR_INIT;
        struct pw_err err = PW_ERR_INIT;
        add_nested(&text, depth);
        if (depth <= PW_LIMIT_OTLP_DEPTH) {
            assert_transcodes(fixture, PW_SIGNAL_LOGS, text.text, text.text);
            continue;
        }
        assert_int_equal(transcode(fixture, PW_SIGNAL_LOGS, text.text, text.length, &err), -1);
        assert_contains(err.message, "resourceLogs[0].scopeLogs[0].logRecords[0].body.arrayValue");
        assert_contains(err.message, "...: nested too deep");
    }
}

/* A result that grows many times, a buffer that is used again. */
static void test_large(void **state)
{
    struct fixture *fixture = *state;
    PW_STR_AUTO text = PW_STR_INIT;
    pw_str_add(&text, "{\"resourceLogs\":[{}");
    for (int i = 0; i < 100000; i++) {
        pw_str_add(&text, ",{}");
    }
    pw_str_add(&text, "]}");
    for (int i = 0; i < 2; i++) {
        there_and_back(fixture, PW_SIGNAL_LOGS, text.text, text.length);
        assert_string_equal(fixture->json.text, text.text);
        assert_int_equal(fixture->bytes.length, 100001 * 5);
        assert_transcodes(fixture, PW_SIGNAL_LOGS, "{\"resourceLogs\":[{}]}",
                          "{\"resourceLogs\":[{}]}");
    }
    pw_str_done(&fixture->bytes);
    assert_transcodes(fixture, PW_SIGNAL_LOGS, "{}", "{}");
}

/* --- random messages: whatever can be in one survives the way there and back --- */

static void test_random(void **state)
{
    struct fixture *fixture = *state;
    uint64_t random = 7;
    for (int i = 0; i < 2000; i++) {
        enum pw_signal signal = (enum pw_signal)(i % PW_SIGNAL_COUNT);
        PW_STR_AUTO message = PW_STR_INIT;
        PW_STR_AUTO first = PW_STR_INIT;
        add_random_message(&random, pw_otlp_descriptor(signal), 8, &message);
        const ProtobufCMessage *decoded = decode(fixture, signal, message.text, message.length);
        pw_transcode_to_json(decoded, &first);
        assert_false(first.failed);
        there_and_back(fixture, signal, first.text, first.length);
        assert_string_equal(fixture->json.text, first.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_captured_round_trip, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_captured_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_captured_twins, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_captured_against_jansson, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_integers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_doubles, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_presence, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unknown_keys, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_texts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_wire_form, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_part, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_depth, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_large, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_random, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
