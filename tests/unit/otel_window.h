/* A window to feed with OTLP/JSON written in the test, or with files of tests/data/otlp, and its
 * result. */
#ifndef PW_TESTS_OTEL_WINDOW_H
#define PW_TESTS_OTEL_WINDOW_H

#include <jansson.h>
#include <otlp.pb-c.h>
#include "collector/transcode.h"
#include "collector/window.h"
#include "collector/wire.h"
#include "core/json_reader.h"
#include "core/limits.h"
#include "core/str.h"
#include "tests/unit/unit.h"

enum { WINDOW_SINCE_NS = 1000 }; /* of windows made here, unless said otherwise */

struct otel {
    struct pw_classifier *classifier;
    struct pw_transcoder *transcoder;
    struct pw_window *window;
    struct pw_telemetry result; /* of the last call of take() */
};

static inline int otel_set_up(void **state)
{
    struct otel *otel = calloc(1, sizeof(*otel));
    assert_non_null(otel);
    assert_int_equal(pw_classifier_new(&pw_classifier_defaults, &otel->classifier, NULL), 0);
    assert_int_equal(pw_transcoder_new(&otel->transcoder, NULL), 0);
    assert_int_equal(pw_window_new(otel->classifier, WINDOW_SINCE_NS, NULL, &otel->window, NULL),
                     0);
    *state = otel;
    return 0;
}

static inline int otel_tear_down(void **state)
{
    struct otel *otel = *state;
    pw_telemetry_done(&otel->result);
    pw_window_free(otel->window);
    pw_transcoder_free(otel->transcoder);
    pw_classifier_free(otel->classifier);
    free(otel);
    return 0;
}

/* Begins anew with an empty window. */
static inline void otel_restart(struct otel *otel, int64_t since_unix_ns, const uint8_t *trace_id)
{
    pw_window_free(otel->window);
    otel->window = NULL;
    assert_int_equal(pw_window_new(otel->classifier, since_unix_ns, trace_id, &otel->window, NULL),
                     0);
}

static inline void feed_bytes(struct otel *otel, enum pw_signal signal, const void *bytes,
                              size_t size)
{
    const ProtobufCMessageDescriptor *descriptor = pw_otlp_descriptor(signal);
    ProtobufCMessage *message = protobuf_c_message_unpack(descriptor, NULL, size, bytes);
    assert_non_null(message);
    assert_int_equal(pw_window_add(otel->window, signal, message, size, NULL), 0);
    protobuf_c_message_free_unpacked(message, NULL);
}

static inline void feed_json(struct otel *otel, enum pw_signal signal, const char *text,
                             size_t size)
{
    PW_STR_AUTO bytes = PW_STR_INIT;
    struct pw_err err = PW_ERR_INIT;
    char *padded = calloc(1, size + PW_JSON_PADDING);
    assert_non_null(padded);
    memcpy(padded, text, size);
    if (pw_transcode_from_json(otel->transcoder, pw_otlp_descriptor(signal), padded, size, &bytes,
                               &err) != 0) {
        fail_msg("%s in %.*s", err.message, (int)size, text);
    }
    free(padded);
    feed_bytes(otel, signal, bytes.text, bytes.length);
}

/* A file of tests/data/otlp; .json or .pb. */
static inline void feed_file(struct otel *otel, enum pw_signal signal, const char *name)
{
    const char *source = getenv("PW_SOURCE_DIR");
    PW_STR_AUTO path = PW_STR_INIT;
    PW_FREE_AUTO char *text = NULL;
    size_t size = 0;
    pw_str_addf(&path, "%s/tests/data/otlp/%s", source ? source : ".", name);
    assert_int_equal(pw_file_read(path.text, PW_LIMIT_OTLP_BODY_BYTES, &text, &size, NULL), 0);
    if (strcmp(name + strlen(name) - 3, ".pb") == 0) {
        feed_bytes(otel, signal, text, size);
    } else {
        feed_json(otel, signal, text, size);
    }
}

/* What the file holds, decoded by others: a new reference to its list of points, spans, records. */
static inline json_t *expected_items(const char *name)
{
    const char *source = getenv("PW_SOURCE_DIR");
    PW_STR_AUTO path = PW_STR_INIT;
    pw_str_addf(&path, "%s/tests/data/otlp/%s.expect.json", source ? source : ".", name);
    json_t *root = json_load_file(path.text, 0, NULL);
    json_t *items = json_incref(json_object_get(root, "items"));
    assert_non_null(items);
    json_decref(root);
    return items;
}

/* The result so far, into otel->result. */
static inline const struct pw_telemetry *take(struct otel *otel)
{
    pw_telemetry_done(&otel->result);
    assert_int_equal(pw_window_result(otel->window, &otel->result, NULL), 0);
    return &otel->result;
}

static inline const struct pw_otel_metric *find_metric(const struct pw_telemetry *telemetry,
                                                       const char *name)
{
    for (size_t i = 0; i < telemetry->metric_count; i++) {
        if (strcmp(telemetry->metrics[i].name, name) == 0) {
            return &telemetry->metrics[i];
        }
    }
    fail_msg("no metric %s", name);
    return NULL;
}

static inline const struct pw_otel_action *find_action(const struct pw_telemetry *telemetry,
                                                       const char *name,
                                                       enum pw_action_source source)
{
    for (size_t i = 0; i < telemetry->action_count; i++) {
        if (telemetry->actions[i].source == source &&
            strcmp(telemetry->actions[i].name, name) == 0) {
            return &telemetry->actions[i];
        }
    }
    fail_msg("no action %s from %s", name, pw_action_source_name(source));
    return NULL;
}

/* Feeds one metric, of the resource and scope of these attributes (JSON lists without brackets). */
__attribute__((format(printf, 3, 4))) static inline void feed_metric(struct otel *otel,
                                                                     const char *resource,
                                                                     const char *format, ...)
{
    PW_STR_AUTO text = PW_STR_INIT;
    PW_FREE_AUTO char *metric = NULL;
    va_list args;
    va_start(args, format);
    assert_true(vasprintf(&metric, format, args) >= 0);
    va_end(args);
    pw_str_addf(&text,
                "{\"resourceMetrics\":[{\"resource\":{\"attributes\":[%s]},"
                "\"scopeMetrics\":[{\"scope\":{\"name\":\"s\"},\"metrics\":[%s]}]}]}",
                resource, metric);
    feed_json(otel, PW_SIGNAL_METRICS, text.text, text.length);
}

enum { DELTA = 1, CUMULATIVE = 2 };

/* One integer point of a sum called "m". */
static inline void feed_sum(struct otel *otel, int temporality, bool is_monotonic, uint64_t start,
                            uint64_t time, long long value)
{
    feed_metric(otel, "",
                "{\"name\":\"m\",\"sum\":{\"aggregationTemporality\":%d,\"isMonotonic\":%s,"
                "\"dataPoints\":[{\"startTimeUnixNano\":\"%llu\",\"timeUnixNano\":\"%llu\","
                "\"asInt\":\"%lld\"}]}}",
                temporality, is_monotonic ? "true" : "false", (unsigned long long)start,
                (unsigned long long)time, value);
}

/* The total of "m". */
static inline const struct pw_otel_total *total_of_m(struct otel *otel)
{
    return &find_metric(take(otel), "m")->total;
}

#endif
