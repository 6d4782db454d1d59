#include "wrapper/run/reporting.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include "core/clock.h"
#include "core/limits.h"
#include "core/random.h"

/* The clock of a worker's first point may be read a little before ours, by rounding. */
#define CLOCK_SLACK_NS PW_NS_PER_MS

/* A random UUID: RFC 9562, version 4. */
static int make_run_id(char ret_text[PW_UUID_TEXT], struct pw_err *err)
{
    uint8_t bytes[16];
    char hex[33];
    if (pw_random_bytes(bytes, sizeof bytes, err))
        return -1;
    bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x40);
    bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80);
    pw_hex(bytes, sizeof bytes, hex);
    snprintf(ret_text, PW_UUID_TEXT, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16,
             hex + 20);
    return 0;
}

static int start_collector(struct pw_reporting *reporting, struct pw_err *err)
{
    const struct pw_plan *plan = reporting->plan;
    uint8_t token[(PW_BEARER_TEXT - 1) / 2];
    if (pw_classifier_new(&plan->classifier, &reporting->classifier, err))
        return -1;
    if (plan->collector_listen) { /* beyond this machine a path alone is no protection */
        if (pw_random_bytes(token, sizeof token, err))
            return -1;
        pw_hex(token, sizeof token, reporting->bearer);
    }
    const struct pw_collector_options options = {
        .listen = plan->collector_listen,
        .bearer_token = reporting->bearer[0] ? reporting->bearer : NULL,
        .body_limit = plan->otlp_body_limit,
        .classifier = reporting->classifier,
    };
    return pw_collector_start(&options, &reporting->collector, err);
}

int pw_reporting_open(struct pw_reporting *reporting, const struct pw_plan *plan,
                      struct pw_err *err)
{
    *reporting = (struct pw_reporting){.plan = plan};
    if (make_run_id(reporting->run_id, err))
        return -1;
    if (plan->otlp_mode != PW_OTLP_AUTO)
        return 0;
    return start_collector(reporting, err) ? pw_err_prefix(err, "start the OTLP collector") : 0;
}

static void take_late(void *context, const struct pw_late *late)
{
    pw_run_record_add_late(context, late->iteration, late->worker_id, late->payloads);
}

void pw_reporting_close(struct pw_reporting *reporting, struct pw_run_record *run)
{
    if (reporting->collector && run) {
        pw_collector_strays(reporting->collector, &run->strays);
        pw_collector_each_late(reporting->collector, take_late, run);
    }
    pw_collector_stop(reporting->collector);
    pw_classifier_free(reporting->classifier);
    reporting->collector = NULL;
    reporting->classifier = NULL;
}

static void on_awaited(void *watch, size_t mark, int64_t received_at_ns)
{
    pw_mark_watch_see(watch, mark, received_at_ns);
}

/* The marks that come over OTLP, each with its number as its id. */
static size_t list_awaited(const struct pw_marks *marks,
                           struct pw_awaited ret_awaited[PW_LIMIT_MOMENTS])
{
    size_t count = 0;
    for (size_t i = 0; i < marks->names.count; i++) {
        const struct pw_mark *mark = &marks->items[i];
        if (mark->source != PW_MARK_OTLP_SPAN && mark->source != PW_MARK_OTLP_LOG)
            continue;
        ret_awaited[count++] = (struct pw_awaited){.id = i,
                                                   .is_log = mark->source == PW_MARK_OTLP_LOG,
                                                   .span_name = mark->text,
                                                   .log_pattern = mark->pattern};
    }
    return count;
}

int pw_reporter_open(const struct pw_reporting *reporting, struct pw_reporter *reporter,
                     struct pw_worker_facts *facts, struct pw_mark_watch *watch, struct pw_err *err)
{
    struct pw_awaited awaited[PW_LIMIT_MOMENTS];
    uint8_t trace_id[16], span_id[8];
    struct timespec now;
    *reporter = (struct pw_reporter){0};
    facts->run_id = reporting->run_id;
    if (reporting->plan->otlp_mode == PW_OTLP_OFF)
        return 0;
    if (pw_random_bytes(trace_id, sizeof trace_id, err) ||
        pw_random_bytes(span_id, sizeof span_id, err))
        return -1;
    pw_hex(trace_id, sizeof trace_id, reporter->trace_id);
    pw_hex(span_id, sizeof span_id, reporter->span_id);
    facts->trace_id = reporter->trace_id;
    facts->span_id = reporter->span_id;
    facts->endpoint = reporting->plan->otlp_url;
    if (!reporting->collector)
        return 0;
    clock_gettime(CLOCK_REALTIME, &now);
    const bool awaits = watch && reporting->plan->marks;
    const struct pw_endpoint_options options = {
        .since_unix_ns = now.tv_sec * PW_NS_PER_SEC + now.tv_nsec - CLOCK_SLACK_NS,
        .trace_id = trace_id,
        .iteration = facts->iteration,
        .worker_id = facts->worker_id,
        .awaited = awaited,
        .awaited_count = awaits ? list_awaited(reporting->plan->marks, awaited) : 0,
        .awaited_came = on_awaited,
        .awaited_context = watch,
    };
    if (pw_endpoint_open(reporting->collector, &options, &reporter->endpoint, err))
        return -1;
    facts->endpoint = pw_endpoint_url(reporter->endpoint);
    facts->bearer_token = reporting->bearer[0] ? reporting->bearer : NULL;
    return 0;
}

int pw_reporting_take(const struct pw_reporting *reporting, struct pw_reporter *const *reporters,
                      struct pw_worker_record *records, size_t count, struct pw_err *err)
{
    struct pw_endpoint *endpoints[PW_LIMIT_WORKERS] = {NULL};
    for (size_t i = 0; i < count; i++) {
        memcpy(records[i].trace_id, reporters[i]->trace_id, sizeof records[i].trace_id);
        endpoints[i] = reporters[i]->endpoint;
    }
    if (!reporting->collector)
        return 0;
    pw_endpoints_flush(reporting->collector, endpoints, count, reporting->plan->otel_flush_wait_ms);
    for (size_t i = 0; i < count; i++) {
        if (pw_endpoint_close(endpoints[i], &records[i].telemetry, err))
            return pw_err_prefix(err, "take what worker %zu reported", i + 1);
        records[i].has_telemetry = true;
    }
    return 0;
}
