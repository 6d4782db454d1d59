/* The part of a report that shows what the measured command reported about itself. */
#include "exporters/report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))
enum { METRICS_SHOWN = 30, ACTIONS_SHOWN = 30, SPANS_SHOWN = 15 };

/* A number of a list's entry. */
struct column {
    const char *header, *key;
    int decimals;
};

/* Of a metric whose unit and magnitude can be anything. */
static const char *any_number(char buffer[PW_NUMBER_MAX], struct pw_value value)
{
    if (!pw_value_is_present(value)) {
        return "n/a";
    }
    bool whole = value.number == floor(value.number) && fabs(value.number) < 1e15;
    snprintf(buffer, PW_NUMBER_MAX, whole ? "%.0f" : "%.6g", value.number);
    return buffer;
}

static double number_or_zero(const json_t *object, const char *key)
{
    struct pw_value value = pw_report_number_in(object, key);
    return pw_value_is_present(value) ? value.number : 0;
}

/* Adds "late 3" for each number of `counts` that is not 0. */
static void add_counts(struct pw_str *out, const json_t *counts)
{
    const char *key;
    const json_t *count;
    json_object_foreach((json_t *)counts, key, count)
    {
        if (json_number_value(count) > 0 && strcmp(key, "joined_spans") != 0) {
            pw_str_addf(out, "%s%s %.0f", out->length > 0 ? ", " : "", key,
                        json_number_value(count));
        }
    }
}

static void add_received(const json_t *received, struct pw_document *document)
{
    pw_document_field(document, "Received",
                      "%.0f payloads (%.0f of metrics, %.0f of traces, %.0f of logs), %.0f bytes",
                      number_or_zero(received, "payloads"), number_or_zero(received, "metrics"),
                      number_or_zero(received, "traces"), number_or_zero(received, "logs"),
                      number_or_zero(received, "bytes"));
    pw_document_field(document, "In them", "%.0f datapoints, %.0f spans, %.0f log records",
                      number_or_zero(received, "datapoints"), number_or_zero(received, "spans"),
                      number_or_zero(received, "log_records"));
}

/* Returns false, and adds nothing, if nothing came. */
static bool add_telemetry(const json_t *block, struct pw_document *document)
{
    const json_t *telemetry = json_object_get(block, "telemetry");
    const json_t *received = json_object_get(telemetry, "received");
    const json_t *strays = json_object_get(telemetry, "strays");
    PW_STR_AUTO lost = PW_STR_INIT;
    PW_STR_AUTO dropped = PW_STR_INIT;
    add_counts(&lost, telemetry);
    add_counts(&lost, json_object_get(telemetry, "refused"));
    add_counts(&dropped, json_object_get(telemetry, "dropped"));
    add_counts(&dropped, strays ? strays : json_object_get(block, "strays"));
    document->failed = document->failed || lost.failed || dropped.failed;
    if (number_or_zero(received, "payloads") <= 0 && lost.length == 0 && dropped.length == 0) {
        return false;
    }
    pw_document_heading(document, 2, "Telemetry");
    add_received(received, document);
    pw_document_field(document, "Spans of the workers' traces", "%.0f",
                      number_or_zero(telemetry, "joined_spans"));
    if (lost.length > 0) {
        pw_document_bad_field(document, "Payloads lost", "%s", lost.text);
    } else {
        pw_document_field(document, "Payloads lost", "none");
    }
    if (dropped.length > 0) {
        pw_document_field(document, "Left out", "%s", dropped.text);
    }
    return true;
}

static void add_rest(struct pw_document *document, size_t shown, size_t count, const char *what)
{
    if (shown < count) {
        pw_document_paragraph(document, "%zu further %s are in the summary as JSON.", count - shown,
                              what);
    }
}

/* The entries of a list, by name; `source_key`, if not NULL, is a second column of words. */
static void add_list(const json_t *list, const char *name_header, const char *source_key,
                     const struct column *columns, size_t column_count, size_t most,
                     struct pw_document *document)
{
    const char *headers[16] = {name_header, "Source"};
    size_t left = source_key ? 2 : 1;
    size_t shown = json_array_size(list) < most ? json_array_size(list) : most;
    for (size_t c = 0; c < column_count; c++) {
        headers[left + c] = columns[c].header;
    }
    pw_document_table(document, headers, left + column_count, left);
    for (size_t i = 0; i < shown; i++) {
        const json_t *entry = json_array_get(list, i);
        char buffer[PW_NUMBER_MAX];
        pw_document_cell(document, "%s", pw_report_string_or(entry, "name", "n/a"));
        if (source_key) {
            bool estimated = json_is_true(json_object_get(entry, "estimated"));
            pw_document_cell(document, "%s%s", pw_report_string_or(entry, source_key, "n/a"),
                             estimated ? " (estimated)" : "");
        }
        for (size_t c = 0; c < column_count; c++) {
            struct pw_value value = pw_report_number_in(entry, columns[c].key);
            pw_document_cell(document, "%s", pw_report_number(buffer, value, columns[c].decimals));
        }
    }
}

static void add_actions(const json_t *block, struct pw_document *document)
{
    static const struct column columns[] = {
        {"Count", "count", 0},      {"Failures", "failures", 0}, {"Total (ms)", "total_ms", 3},
        {"Mean", "mean_ms", 3},     {"P50", "median_ms", 3},     {"P95", "p95_ms", 3},
        {"P99", "p99_ms", 3},       {"Min", "min_ms", 3},        {"Max", "max_ms", 3},
        {"Stddev", "stddev_ms", 3},
    };
    const json_t *actions = json_object_get(block, "otel_actions");
    if (json_array_size(actions) == 0) {
        return;
    }
    pw_document_heading(document, 2, "Actions");
    add_list(actions, "Action", "source", columns, COUNT_OF(columns), ACTIONS_SHOWN, document);
    add_rest(document, ACTIONS_SHOWN, json_array_size(actions), "actions");
}

static void add_spans(const json_t *block, struct pw_document *document)
{
    static const struct column columns[] = {
        {"Count", "count", 0},         {"Errors", "errors", 0}, {"Self (ms)", "self_ms", 3},
        {"Total (ms)", "total_ms", 3}, {"Mean", "mean_ms", 3},  {"P50", "median_ms", 3},
        {"P95", "p95_ms", 3},          {"P99", "p99_ms", 3},    {"Max", "max_ms", 3},
    };
    const json_t *spans = json_object_get(block, "otel_spans");
    if (json_array_size(spans) == 0) {
        return;
    }
    pw_document_heading(document, 2, "Spans");
    add_list(spans, "Span", NULL, columns, COUNT_OF(columns), SPANS_SHOWN, document);
    add_rest(document, SPANS_SHOWN, json_array_size(spans), "spans");
}

/* Turns, actions and streams are what most come for: they stand first. */
static bool is_of_interest(const json_t *metric)
{
    const json_t *families = json_object_get(metric, "families");
    for (size_t i = 0; i < json_array_size(families); i++) {
        const char *family = json_string_value(json_array_get(families, i));
        if (family && strcmp(family, pw_family_name(PW_FAMILY_QUEUE)) != 0) {
            return true;
        }
    }
    return false;
}

/* The one number that says most of a metric of its type: its total, newest value, or sum. */
static struct pw_value main_number(const json_t *metric)
{
    static const char *const keys[] = {"last", "total", "sum"}; /* an up-down sum has two */
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        if (json_object_get(metric, keys[i])) {
            return pw_report_number_in(metric, keys[i]);
        }
    }
    return pw_value_absent(PW_ABSENT_NOT_MEASURED);
}

static void add_metric(const char *name, const json_t *metric, struct pw_document *document)
{
    static const char *const keys[] = {"mean", "p50", "p95", "max"};
    char buffer[PW_NUMBER_MAX];
    pw_document_cell(document, "%s", name);
    pw_document_cell(document, "%s", pw_report_string_or(metric, "type", "n/a"));
    pw_document_cell(document, "%s", pw_report_string_or(metric, "unit", ""));
    pw_document_cell(document, "%s", any_number(buffer, pw_report_number_in(metric, "points")));
    pw_document_cell(document, "%s", any_number(buffer, pw_report_number_in(metric, "count")));
    pw_document_cell(document, "%s", any_number(buffer, main_number(metric)));
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        pw_document_cell(document, "%s", any_number(buffer, pw_report_number_in(metric, keys[i])));
    }
}

static void add_metrics(const json_t *block, struct pw_document *document)
{
    static const char *const headers[] = {
        "Metric", "Type", "Unit", "Points", "Count", "Total, sum or last",
        "Mean",   "P50",  "P95",  "Max"};
    const json_t *metrics = json_object_get(block, "otel_metrics");
    size_t shown = 0;
    if (json_object_size(metrics) == 0) {
        return;
    }
    pw_document_heading(document, 2, "Metrics of the Target");
    pw_document_table(document, headers, COUNT_OF(headers), 3);
    for (int pass = 0; pass < 2; pass++) {
        const char *name;
        const json_t *metric;
        json_object_foreach((json_t *)metrics, name, metric)
        {
            if (is_of_interest(metric) == (pass == 0) && shown < METRICS_SHOWN) {
                add_metric(name, metric, document);
                shown++;
            }
        }
    }
    add_rest(document, shown, json_object_size(metrics), "metrics");
}

bool pw_report_telemetry(const json_t *block, struct pw_document *document)
{
    bool anything = add_telemetry(block, document);
    add_actions(block, document);
    add_spans(block, document);
    add_metrics(block, document);
    return anything;
}
