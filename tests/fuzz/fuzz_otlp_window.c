/* Whatever passes the wire check: aggregated twice, as after a lost reply, brought to a result and
 * merged. The first byte chooses the signal, and whether senders may be older than the window. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "collector/window.h"
#include "collector/wire.h"
#include "core/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DECODED_BYTES_MOST = 64 << 20 };

static const int64_t since_unix_ns = INT64_C(1750000000000000000); /* between those of the seeds */

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_value(struct pw_value value)
{
    check(!pw_value_is_present(value) || isfinite(value.number));
}

static void check_total(const struct pw_otel_total *total)
{
    enum pw_histogram_kind kind = total->histogram.kind;
    check_value(total->total);
    check_value(total->last);
    check_value(total->sum);
    check_value(total->min);
    check_value(total->max);
    check_value(pw_histogram_quantile(&total->histogram, 0.5, total->min, total->max));
    if (kind == PW_HISTOGRAM_EXPLICIT || kind == PW_HISTOGRAM_EXPONENTIAL)
        check(pw_histogram_count(&total->histogram) == total->count);
}

static void check_attributes(const char *attributes)
{
    json_t *object = json_loads(attributes, 0, NULL);
    check(json_is_object(object));
    json_decref(object);
}

static void check_durations(const struct pw_durations *durations)
{
    check(durations->kept_count <= PW_LIMIT_OTEL_DURATIONS);
    check(durations->kept_count <= durations->count);
    check(durations->count == 0 || durations->min_ms <= durations->max_ms);
    for (size_t i = 0; i < durations->kept_count; i++)
        check(durations->kept[i] >= durations->min_ms && durations->kept[i] <= durations->max_ms);
}

static void check_telemetry(const struct pw_telemetry *telemetry)
{
    uint64_t points = 0;
    for (size_t i = 0; i < telemetry->metric_count; i++) {
        const struct pw_otel_metric *metric = &telemetry->metrics[i];
        check(i == 0 || strcmp(telemetry->metrics[i - 1].name, metric->name) <= 0);
        check_total(&metric->total);
        check(metric->set_count != 1 && metric->set_count <= PW_LIMIT_OTEL_SETS);
        check(metric->set_count == 0 || (!metric->sets_dropped && !metric->attributes));
        if (metric->attributes)
            check_attributes(metric->attributes);
        for (size_t j = 0; j < metric->set_count; j++) {
            check_attributes(metric->sets[j].attributes);
            check_total(&metric->sets[j].total);
        }
        points += metric->total.points;
    }
    check(points <= telemetry->datapoints);
    for (size_t i = 0; i < telemetry->action_count; i++) {
        check_durations(&telemetry->actions[i].durations);
        check_total(&telemetry->actions[i].total);
    }
    for (size_t i = 0; i < telemetry->span_name_count; i++) {
        const struct pw_otel_span *span = &telemetry->span_names[i];
        check_durations(&span->durations);
        check(span->self_ms >= 0 && span->self_ms <= span->durations.sum_ms * (1 + 1e-9));
    }
}

static void aggregate(const struct pw_classifier *classifier, enum pw_signal signal, bool older,
                      const ProtobufCMessage *request, size_t size)
{
    static const uint8_t trace_id[16] = {0};
    struct pw_window *window = NULL;
    struct pw_telemetry once = {0};
    struct pw_telemetry twice = {0};
    check(pw_window_new(classifier, since_unix_ns, trace_id, &window, NULL) == 0);
    if (older)
        pw_window_expect_older(window);
    check(pw_window_add(window, signal, request, size, NULL) == 0);
    check(pw_window_result(window, &once, NULL) == 0);
    check_telemetry(&once);
    check(pw_window_add(window, signal, request, size, NULL) == 0);
    check(pw_window_result(window, &twice, NULL) == 0);
    check_telemetry(&twice);
    check(twice.datapoints == 2 * once.datapoints && twice.spans == 2 * once.spans);
    check(twice.metric_count == once.metric_count);
    check(pw_telemetry_merge(&twice, &once, NULL) == 0);
    check_telemetry(&twice);
    check(twice.metric_count == once.metric_count);
    pw_telemetry_done(&once);
    pw_telemetry_done(&twice);
    pw_window_free(window);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct pw_classifier *classifier;
    size_t need = 0;
    if (!classifier)
        check(pw_classifier_new(&pw_classifier_defaults, &classifier, NULL) == 0);
    if (size == 0)
        return 0;
    enum pw_signal signal = (enum pw_signal)((data[0] & 0x7f) % PW_SIGNAL_COUNT);
    const ProtobufCMessageDescriptor *descriptor = pw_otlp_descriptor(signal);
    if (pw_wire_check(descriptor, data + 1, size - 1, &need, NULL) != 0 ||
        need > DECODED_BYTES_MOST)
        return 0;
    ProtobufCMessage *request = protobuf_c_message_unpack(descriptor, NULL, size - 1, data + 1);
    if (!request)
        return 0;
    aggregate(classifier, signal, (data[0] & 0x80) != 0, request, size);
    protobuf_c_message_free_unpacked(request, NULL);
    return 0;
}
