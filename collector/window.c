#include "collector/window.h"

#include <assert.h>
#include <otlp.pb-c.h>
#include <stdlib.h>
#include <string.h>
#include "collector/logs.h"
#include "collector/series_table.h"
#include "collector/spans.h"

struct pw_window {
    const struct pw_classifier *classifier;
    bool has_trace;
    uint8_t trace_id[PW_TRACE_ID_BYTES];
    uint64_t payloads[PW_SIGNAL_COUNT];
    uint64_t bytes;
    uint64_t losses[PW_LOSS_COUNT]; /* what the tables do not count */
    struct pw_series_table series;
    struct pw_span_table spans;
    struct pw_log_table logs;
};

int pw_window_new(const struct pw_classifier *classifier, int64_t since_unix_ns,
                  const uint8_t *trace_id, struct pw_window **ret_window, struct pw_err *err)
{
    struct pw_window *window = calloc(1, sizeof *window);
    if (!window) {
        pw_err_memory(err);
        return -1;
    }
    window->classifier = classifier;
    window->series.common.since_unix_ns = since_unix_ns > 0 ? (uint64_t)since_unix_ns : 0;
    window->has_trace = trace_id != NULL;
    if (trace_id)
        memcpy(window->trace_id, trace_id, sizeof window->trace_id);
    *ret_window = window;
    return 0;
}

void pw_window_expect_older(struct pw_window *window)
{
    window->series.common.has_older_senders = true;
}

void pw_window_free(struct pw_window *window)
{
    if (!window)
        return;
    pw_series_table_done(&window->series);
    pw_span_table_done(&window->spans);
    pw_log_table_done(&window->logs);
    free(window);
}

int pw_window_add(struct pw_window *window, enum pw_signal signal, const ProtobufCMessage *request,
                  uint64_t bytes, struct pw_err *err)
{
    window->payloads[signal]++;
    window->bytes += bytes;
    switch (signal) {
    case PW_SIGNAL_METRICS:
        assert(request->descriptor == &otlp__metrics_request__descriptor);
        return pw_series_table_add(&window->series, (const Otlp__MetricsRequest *)request, err);
    case PW_SIGNAL_TRACES:
        assert(request->descriptor == &otlp__traces_request__descriptor);
        return pw_span_table_add(&window->spans, window->classifier,
                                 window->has_trace ? window->trace_id : NULL,
                                 (const Otlp__TracesRequest *)request, err);
    case PW_SIGNAL_LOGS:
        assert(request->descriptor == &otlp__logs_request__descriptor);
        return pw_log_table_add(&window->logs, window->classifier,
                                (const Otlp__LogsRequest *)request, err);
    case PW_SIGNAL_COUNT: break;
    }
    return pw_err_set(err, PW_ERR_INTERNAL, "no signal %d", (int)signal);
}

void pw_window_lose(struct pw_window *window, enum pw_loss loss, uint64_t count)
{
    window->losses[loss] += count;
}

int pw_window_result(const struct pw_window *window, struct pw_telemetry *ret_telemetry,
                     struct pw_err *err)
{
    struct pw_telemetry result = {.bytes = window->bytes,
                                  .datapoints = window->series.datapoints,
                                  .spans = window->spans.arrived,
                                  .log_records = window->logs.arrived,
                                  .joined_spans = window->spans.joined};
    memcpy(result.payloads, window->payloads, sizeof result.payloads);
    for (int loss = 0; loss < PW_LOSS_COUNT; loss++)
        result.losses[loss] = window->losses[loss] + window->series.common.losses[loss] +
                              window->spans.losses[loss] + window->logs.losses[loss];
    if (pw_span_table_result(&window->spans, &result, err) != 0 ||
        pw_log_table_result(&window->logs, &result, err) != 0 ||
        pw_series_table_result(&window->series, window->classifier, &result, err) != 0) {
        pw_telemetry_done(&result);
        return -1;
    }
    pw_telemetry_sort(&result);
    *ret_telemetry = result;
    return 0;
}
