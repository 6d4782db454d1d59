#include "exporters/report.h"

#include <string.h>

/* A number of a summary as text; each use has its own buffer. */
#define TEXT(value, decimals) pw_report_number((char[PW_NUMBER_MAX]){0}, (value), (decimals))

static const char *stat_text(char buffer[PW_NUMBER_MAX], const struct pw_summary *summary,
                             enum pw_metric_id id, enum pw_stat stat, int decimals)
{
    return pw_report_number(buffer, pw_summary_stat(summary, id, stat), decimals);
}
#define STAT(id, stat, decimals) \
    stat_text((char[PW_NUMBER_MAX]){0}, summary, PW_METRIC_##id, PW_STAT_##stat, (decimals))

static void add_latency(const struct pw_summary *summary, struct pw_document *document)
{
    if (!pw_value_is_present(pw_summary_stat(summary, PW_METRIC_WORKER_LATENCY, PW_STAT_P50))) {
        /* No worker succeeded, or a file of the older harness: it knows the batch window only. */
        pw_document_field(document, "Latency", "p50 %s ms, p95 %s ms, p99 n/a (iterations)",
                          STAT(LATENCY, P50, 3), STAT(LATENCY, P95, 3));
        return;
    }
    pw_document_field(document, "Latency", "p50 %s ms, p95 %s ms, p99 %s ms",
                      STAT(WORKER_LATENCY, P50, 3), STAT(WORKER_LATENCY, P95, 3),
                      STAT(WORKER_LATENCY, P99, 3));
    pw_document_field(document, "", "median between %s and %s ms (95 %% interval)",
                      STAT(WORKER_LATENCY, P50_CI95_LOW, 3),
                      STAT(WORKER_LATENCY, P50_CI95_HIGH, 3));
}

static void add_failures(const struct pw_summary *summary, struct pw_document *document)
{
    struct pw_value failed = pw_summary_stat(summary, PW_METRIC_FAILED_RUNS, PW_STAT_SCALAR);
    struct pw_value total = pw_summary_number(summary, "resource_budget.stability.total_runs");
    struct pw_value timeouts =
        pw_summary_number(summary, "resource_budget.stability.timeout_runs_total");
    if (pw_value_is_present(failed) && failed.number > 0) {
        pw_document_bad_field(document, "Failures", "%s of %s workers, %s timed out",
                              TEXT(failed, 0), TEXT(total, 0), TEXT(timeouts, 0));
    } else {
        pw_document_field(document, "Failures", "%s of %s workers", TEXT(failed, 0),
                          TEXT(total, 0));
    }
}

static void add_telemetry(const struct pw_summary *summary, struct pw_document *document)
{
    struct pw_value payloads = pw_summary_number(summary, "telemetry.received.payloads");
    struct pw_value lost = pw_summary_stat(summary, PW_METRIC_TELEMETRY_LOST, PW_STAT_SCALAR);
    bool any_lost = pw_value_is_present(lost) && lost.number > 0;
    if (!any_lost && !(pw_value_is_present(payloads) && payloads.number > 0)) {
        return;
    }
    pw_document_field(document, "Telemetry", "%s payloads: %s datapoints, %s spans, %s log records",
                      TEXT(payloads, 0),
                      TEXT(pw_summary_number(summary, "telemetry.received.datapoints"), 0),
                      TEXT(pw_summary_number(summary, "telemetry.received.spans"), 0),
                      TEXT(pw_summary_number(summary, "telemetry.received.log_records"), 0));
    if (any_lost) {
        pw_document_bad_field(document, "", "%s payloads are not in the numbers", TEXT(lost, 0));
    }
}

/* Of what ran anyway: it has no duration, and nothing of a run but this. */
static bool add_footprint(const struct pw_summary *summary, struct pw_document *document)
{
    if (!pw_value_is_present(pw_summary_stat(summary, PW_METRIC_FOOT_RSS, PW_STAT_MAX))) {
        return false;
    }
    pw_document_field(document, "RSS", "p50 %s MiB, p95 %s MiB, largest %s MiB",
                      STAT(FOOT_RSS, P50, 2), STAT(FOOT_RSS, P95, 2), STAT(FOOT_RSS, MAX, 2));
    pw_document_field(document, "PSS", "p50 %s MiB, p95 %s MiB, largest %s MiB",
                      STAT(FOOT_PSS, P50, 2), STAT(FOOT_PSS, P95, 2), STAT(FOOT_PSS, MAX, 2));
    pw_document_field(document, "CPU", "%s %%, at most %s %%", STAT(FOOT_CPU_PCT, MEAN, 1),
                      STAT(FOOT_CPU_PCT, MAX, 1));
    return true;
}

void pw_report_short(const struct pw_summary *summary, struct pw_document *document)
{
    const char *command = pw_summary_string(summary, "command");
    pw_document_field(document, "Command", "%s", command ? command : "n/a");
    pw_document_field(document, "Iterations", "%s of %s at once, after %s of warm-up",
                      TEXT(pw_summary_number(summary, "iterations"), 0),
                      TEXT(pw_summary_number(summary, "profile.concurrency"), 0),
                      TEXT(pw_summary_number(summary, "profile.warmup"), 0));
    const char *stop = pw_summary_string(summary, "stop_reason");
    if (stop && strcmp(stop, pw_stop_name(PW_STOP_ITERATIONS)) != 0) {
        const char *detail = pw_summary_string(summary, "stop_detail");
        pw_document_field(document, "Stopped", "%s", detail ? detail : stop);
    }
    if (add_footprint(summary, document)) {
        pw_report_warnings(summary, document);
        return;
    }
    add_latency(summary, document);
    pw_report_moments_short(summary, document);
    pw_report_accounting_short(summary, document);
    pw_document_field(document, "Throughput", "%s runs/s", STAT(THROUGHPUT, MEAN, 3));
    pw_document_field(document, "Peak RSS", "%s MiB largest process, %s MiB whole tree",
                      STAT(MAX_RSS_MB, MAX, 2), STAT(TREE_PEAK_RSS_MB, MAX, 2));
    pw_document_field(document, "CPU", "%s s user, %s s system, %s %% of one core",
                      STAT(USER_CPU, MEAN, 3), STAT(SYSTEM_CPU, MEAN, 3), STAT(CPU_PCT, MEAN, 1));
    add_telemetry(summary, document);
    add_failures(summary, document);
    pw_report_verdicts_short(summary, document);
    pw_report_warnings(summary, document);
}
