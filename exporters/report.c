#include "exporters/report.h"

#include <stdio.h>
#include <string.h>
#include "core/json.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))
enum { SECTION_STATS_MAX = 11, SECTION_PREFIXES_MAX = 4 };

/* A table of metrics: one row a metric, one column a statistic. */
struct section {
    const char *title;
    const char *first_column;
    const char *prefixes[SECTION_PREFIXES_MAX]; /* of the paths it holds; none: what is left over */
    bool last_segment;                          /* rows are named by the path's last segment */
    size_t stat_count;
    enum pw_stat stats[SECTION_STATS_MAX];
};

/* The order of the older harness's summary.md; a metric stands in the first section whose prefix
 * fits, or else in the one without prefixes. Scalars and the OTEL signals have sections of their
 * own form. */
static const struct section sections[] = {
    {"Latency / Throughput / RSS",
     "Metric",
     {"latency_ms", "throughput_runs_per_sec", "max_rss_"},
     false,
     5,
     {PW_STAT_MEAN, PW_STAT_P50, PW_STAT_P95, PW_STAT_MIN, PW_STAT_MAX}},
    {"Worker Latency",
     "Metric",
     {"worker_latency_ms"},
     false,
     11,
     {PW_STAT_MEAN, PW_STAT_P50, PW_STAT_P50_CI95_LOW, PW_STAT_P50_CI95_HIGH, PW_STAT_P90,
      PW_STAT_P95, PW_STAT_P99, PW_STAT_MIN, PW_STAT_MAX, PW_STAT_STDDEV, PW_STAT_MAD}},
    {"CPU / Scheduler / Process Shape",
     "Metric",
     {NULL},
     false,
     5,
     {PW_STAT_MEAN, PW_STAT_P50, PW_STAT_P95, PW_STAT_MIN, PW_STAT_MAX}},
    {"Process Tree Samples",
     "Metric",
     {"process_tree_sampled."},
     false,
     4,
     {PW_STAT_MEAN, PW_STAT_P50, PW_STAT_P95, PW_STAT_MAX}},
    {"Worker Step Timings (ms)",
     "Step",
     {"worker_step_timings_ms."},
     true,
     3,
     {PW_STAT_MEAN, PW_STAT_P50, PW_STAT_P95}},
    {"top Attach Samples",
     "Metric",
     {"top_attach."},
     false,
     4,
     {PW_STAT_MEAN, PW_STAT_P50, PW_STAT_P95, PW_STAT_MAX}},
    {"vmmap Snapshots",
     "Metric",
     {"vmmap_snapshots."},
     false,
     3,
     {PW_STAT_MEAN, PW_STAT_P50, PW_STAT_P95}},
    {"Footprint",
     "Metric",
     {"footprint."},
     false,
     5,
     {PW_STAT_MEAN, PW_STAT_P50, PW_STAT_P95, PW_STAT_MIN, PW_STAT_MAX}},
    {"Ending and Booting (ms)",
     "Metric",
     {"until.", "boot."},
     true,
     3,
     {PW_STAT_MEAN, PW_STAT_P50, PW_STAT_P95}},
    {"Waiting, of All Threads (ms)",
     "Waiting for",
     {"kernel.wait."},
     true,
     4,
     {PW_STAT_MEAN, PW_STAT_P50, PW_STAT_P95, PW_STAT_MAX}},
    {"Kernel's Account",
     "Metric",
     {"kernel.", "cgroup."},
     false,
     4,
     {PW_STAT_MEAN, PW_STAT_P50, PW_STAT_P95, PW_STAT_MAX}},
};

/* Decimal places by unit, as in the older harness's report. */
static int decimals_of(const char *unit)
{
    static const struct {
        const char *unit;
        int decimals;
    } known[] = {{"ms", 3}, {"s", 3},     {"runs/s", 4},  {"MiB", 2}, {"KiB", 0},
                 {"%", 2},  {"count", 1}, {"samples", 1}, {"B", 0}};
    for (size_t i = 0; i < COUNT_OF(known); i++) {
        if (strcmp(known[i].unit, unit) == 0) {
            return known[i].decimals;
        }
    }
    return 3;
}

const char *pw_report_number(char buffer[PW_NUMBER_MAX], struct pw_value value, int decimals)
{
    if (!pw_value_is_present(value)) {
        return "n/a";
    }
    /* What does not fit is larger than any place could matter for. */
    if (snprintf(buffer, PW_NUMBER_MAX, "%.*f", decimals, value.number) >= PW_NUMBER_MAX) {
        snprintf(buffer, PW_NUMBER_MAX, "%.17g", value.number);
    }
    return buffer;
}

static bool has_prefix(const struct section *section, const char *path)
{
    for (size_t i = 0; i < SECTION_PREFIXES_MAX && section->prefixes[i]; i++) {
        if (strncmp(path, section->prefixes[i], strlen(section->prefixes[i])) == 0) {
            return true;
        }
    }
    return false;
}

static const struct section *section_of(const struct pw_metric *metric)
{
    const struct section *left_over = NULL;
    if (metric->stats == PW_STATS_SCALAR || strncmp(metric->path, "otel_", 5) == 0) {
        return NULL;
    }
    for (size_t i = 0; i < COUNT_OF(sections); i++) {
        if (has_prefix(&sections[i], metric->path)) {
            return &sections[i];
        }
        left_over = sections[i].prefixes[0] ? left_over : &sections[i];
    }
    return left_over;
}

/* The same quantity in MiB is enough, unless a file has only the one in KiB. */
static bool is_repeated_in_mib(const struct pw_summary *summary, const struct pw_metric *metric)
{
    const char *path = metric->path;
    size_t length = strlen(path);
    if (strcmp(metric->unit, "KiB") != 0 || length < 3 || strcmp(path + length - 3, "_kb") != 0) {
        return false;
    }
    PW_STR_AUTO sibling = PW_STR_INIT;
    pw_str_add_bytes(&sibling, path, length - 3);
    pw_str_add(&sibling, "_mb");
    const struct pw_metric *mib = pw_metric_find(sibling.text);
    return mib && (pw_value_is_present(pw_summary_stat(summary, mib->id, PW_STAT_MEAN)) ||
                   !pw_value_is_present(pw_summary_stat(summary, metric->id, PW_STAT_MEAN)));
}

static const char *row_name(const struct section *section, const struct pw_metric *metric)
{
    const char *dot = strrchr(metric->path, '.');
    if (!dot) {
        return metric->path;
    }
    return section->last_segment || !metric->key ? dot + 1 : metric->key;
}

static void add_row(const struct section *section, const struct pw_metric *metric,
                    const struct pw_summary *summary, struct pw_document *document)
{
    char buffer[PW_NUMBER_MAX];
    pw_document_cell(document, "%s", row_name(section, metric));
    for (size_t s = 0; s < section->stat_count; s++) {
        struct pw_value value = pw_summary_stat(summary, metric->id, section->stats[s]);
        pw_document_cell(document, "%s",
                         pw_report_number(buffer, value, decimals_of(metric->unit)));
    }
}

/* An optional metric is shown where there is a value. */
static bool is_shown(const struct section *section, const struct pw_metric *metric,
                     const struct pw_summary *summary)
{
    if (section_of(metric) != section || is_repeated_in_mib(summary, metric)) {
        return false;
    }
    return !metric->optional ||
           pw_value_is_present(pw_summary_stat(summary, metric->id, PW_STAT_MEAN));
}

static bool is_left_out(const struct section *section, const struct pw_summary *summary)
{
    for (size_t m = 0; m < PW_METRIC_COUNT; m++) {
        if (is_shown(section, &pw_metrics[m], summary)) {
            return false;
        }
    }
    return true;
}

static void add_section(const struct section *section, const struct pw_summary *summary,
                        struct pw_document *document)
{
    if (is_left_out(section, summary)) {
        return;
    }
    const char *headers[SECTION_STATS_MAX + 1] = {section->first_column};
    char names[SECTION_STATS_MAX][16];
    for (size_t s = 0; s < section->stat_count; s++) {
        snprintf(names[s], sizeof names[s], "%s", pw_stat_name(section->stats[s]));
        names[s][0] = (char)(names[s][0] - 'a' + 'A'); /* all names are lower case */
        headers[s + 1] = names[s];
    }
    pw_document_heading(document, 2, section->title);
    pw_document_table(document, headers, section->stat_count + 1, 1);
    for (size_t m = 0; m < PW_METRIC_COUNT; m++) {
        if (is_shown(section, &pw_metrics[m], summary)) {
            add_row(section, &pw_metrics[m], summary, document);
        }
    }
}

/* A block that perfwrap adds to a summary; NULL if it is not there. */
static const json_t *find_block(const struct pw_summary *summary, const char *name)
{
    const json_t *root = pw_summary_root(summary);
    const json_t *block = json_object_get(root, name);
    return block ? block : json_object_get(json_object_get(root, "summary"), name);
}

const char *pw_report_string_or(const json_t *object, const char *key, const char *otherwise)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : otherwise;
}

struct pw_value pw_report_number_in(const json_t *object, const char *key)
{
    const json_t *number = json_object_get(object, key);
    return json_is_number(number) ? pw_value_of(json_number_value(number))
                                  : pw_value_absent(PW_ABSENT_NOT_MEASURED);
}

/* A scalar, or a short list, of any kind as text. */
static void add_scalar(struct pw_str *out, const json_t *value)
{
    if (json_is_string(value)) {
        pw_str_add(out, json_string_value(value));
    } else if (json_is_integer(value)) {
        pw_str_addf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    } else if (json_is_real(value)) {
        pw_str_addf(out, "%.6g", json_real_value(value));
    } else if (json_is_boolean(value)) {
        pw_str_add(out, json_is_true(value) ? "yes" : "no");
    } else if (json_is_array(value) && json_array_size(value) > 0) {
        for (size_t i = 0; i < json_array_size(value); i++) {
            const json_t *item = json_array_get(value, i);
            pw_str_add(out, i > 0 ? " " : "");
            if (!json_is_array(item)) {
                add_scalar(out, item);
            }
        }
    } else {
        pw_str_add(out, "n/a");
    }
}

/* All of a block, whatever it holds; objects inside are named "outer.inner". */
static void add_fields(const json_t *object, const char *prefix, unsigned depth,
                       struct pw_document *document)
{
    const char *key;
    const json_t *value;
    /* jansson's iterator takes a pointer that is not const but changes nothing. */
    json_object_foreach((json_t *)object, key, value)
    {
        PW_STR_AUTO name = PW_STR_INIT;
        PW_STR_AUTO text = PW_STR_INIT;
        pw_str_addf(&name, "%s%s%s", prefix, *prefix ? "." : "", key);
        if (json_is_object(value) && depth > 0) {
            add_fields(value, name.text, depth - 1, document);
            continue;
        }
        add_scalar(&text, value);
        document->failed = document->failed || name.failed || text.failed;
        pw_document_field(document, name.text, "%s", text.text);
    }
}

static void add_block_fields(const struct pw_summary *summary, const char *name, const char *title,
                             struct pw_document *document)
{
    const json_t *block = find_block(summary, name);
    if (json_is_object(block)) {
        pw_document_heading(document, 2, title);
        add_fields(block, "", 2, document);
    }
}

size_t pw_report_warnings(const struct pw_summary *summary, struct pw_document *document)
{
    const json_t *warnings = find_block(summary, "warnings");
    for (size_t i = 0; i < json_array_size(warnings); i++) {
        const json_t *warning = json_array_get(warnings, i);
        pw_document_finding(document, pw_report_string_or(warning, "kind", "unknown"),
                            pw_report_string_or(warning, "message", "n/a"),
                            json_string_value(json_object_get(warning, "advice")));
    }
    return json_array_size(warnings);
}

static void add_head(const struct pw_summary *summary, struct pw_document *document)
{
    static const struct {
        const char *label, *name;
    } fields[] = {{"Generated", "generated_at"},
                  {"Command", "command"},
                  {"Iterations", "iterations"},
                  {"Config", "config_path"},
                  {"Stopped because", "stop_detail"}},
      profile[] = {{"Name", "profile.name"},
                   {"Phase", "profile.phase"},
                   {"Concurrency", "profile.concurrency"},
                   {"Warmup", "profile.warmup"},
                   {"Measured iterations", "profile.iterations"}};
    const json_t *root = pw_summary_root(summary);
    pw_document_heading(document, 1, "Perf Summary");
    for (size_t i = 0; i < COUNT_OF(fields) + COUNT_OF(profile); i++) {
        bool first = i < COUNT_OF(fields);
        size_t at = first ? i : i - COUNT_OF(fields);
        if (!first && at == 0) {
            pw_document_heading(document, 2, "Profile");
        }
        PW_STR_AUTO text = PW_STR_INIT;
        add_scalar(&text, pw_json_find(root, first ? fields[at].name : profile[at].name));
        document->failed = document->failed || text.failed;
        pw_document_field(document, first ? fields[at].label : profile[at].label, "%s",
                          *text.text ? text.text : "n/a");
    }
}

static void add_budget(const struct pw_summary *summary, struct pw_document *document)
{
    static const char *const headers[] = {"Budget", "Metric", "Value"};
    const json_t *budget = find_block(summary, "resource_budget");
    if (!json_is_object(budget)) {
        return;
    }
    pw_document_heading(document, 2, "Resource Budget (Normalized)");
    pw_document_table(document, headers, COUNT_OF(headers), 2);
    const char *group, *key;
    const json_t *numbers, *number;
    json_object_foreach((json_t *)budget, group, numbers)
    {
        int group_length = (int)strcspn(group, "_"); /* "time_budget_ms" is "time" */
        json_object_foreach((json_t *)numbers, key, number)
        {
            char buffer[PW_NUMBER_MAX];
            pw_document_cell(document, "%.*s", group_length, group);
            pw_document_cell(document, "%s", key);
            int decimals = json_is_integer(number) ? 0 : strstr(key, "_sec") ? 3 : 2;
            pw_document_cell(document, "%s",
                             pw_report_number(buffer, pw_report_number_in(numbers, key), decimals));
        }
    }
}

static void add_hotspots(const struct pw_summary *summary, struct pw_document *document)
{
    static const char *const headers[] = {"Frame", "Weight (ms)", "Samples", "With callees (ms)"};
    const json_t *xctrace = find_block(summary, "xctrace");
    const json_t *hotspots = json_object_get(xctrace, "hotspots_top");
    char buffer[PW_NUMBER_MAX];
    pw_document_heading(document, 2, "xctrace Hotspots");
    pw_document_field(document, "Trace captures", "%s",
                      pw_report_number(buffer, pw_report_number_in(xctrace, "trace_count"), 0));
    if (json_array_size(hotspots) == 0) {
        pw_document_paragraph(document, "No hotspots captured.");
        return;
    }
    pw_document_table(document, headers, COUNT_OF(headers), 1);
    for (size_t i = 0; i < json_array_size(hotspots); i++) {
        const json_t *hotspot = json_array_get(hotspots, i);
        pw_document_cell(document, "%s", pw_report_string_or(hotspot, "frame", "n/a"));
        pw_document_cell(document, "%s",
                         pw_report_number(buffer, pw_report_number_in(hotspot, "weight_ms"), 3));
        pw_document_cell(document, "%s",
                         pw_report_number(buffer, pw_report_number_in(hotspot, "samples"), 0));
        pw_document_cell(document, "%s",
                         pw_report_number(buffer, pw_report_number_in(hotspot, "total_ms"), 3));
    }
    struct pw_value broken = pw_report_number_in(xctrace, "broken_stacks_pct");
    if (pw_value_is_present(broken)) {
        pw_document_paragraph(document,
                              "%s %% of the stacks are broken: their callers are missing.",
                              pw_report_number(buffer, broken, 1));
    }
}

static void add_queue(const struct pw_summary *summary, struct pw_document *document)
{
    static const char *const headers[] = {"Metric", "Datapoints"};
    const json_t *queue = find_block(summary, "queue_cancel_metrics");
    pw_document_heading(document, 2, "Queue / Cancel Metrics");
    if (json_object_size(queue) == 0) {
        pw_document_paragraph(document, "No queue/cancel metric datapoints were observed.");
        return;
    }
    pw_document_table(document, headers, COUNT_OF(headers), 1);
    const char *name;
    const json_t *count;
    json_object_foreach((json_t *)queue, name, count)
    {
        char buffer[PW_NUMBER_MAX];
        pw_document_cell(document, "%s", name);
        pw_document_cell(document, "%s",
                         pw_report_number(buffer, pw_report_number_in(queue, name), 0));
    }
}

/* Sums over the run that have no section of their own: "failed_runs_total" reads "Failed runs". */
static void add_totals(const struct pw_summary *summary, struct pw_document *document)
{
    pw_document_heading(document, 2, "Totals");
    for (size_t m = 0; m < PW_METRIC_COUNT; m++) {
        const struct pw_metric *metric = &pw_metrics[m];
        const char *end = strstr(metric->path, "_total");
        if (metric->stats != PW_STATS_SCALAR || !end || strchr(metric->path, '.')) {
            continue;
        }
        char label[64], buffer[PW_NUMBER_MAX];
        snprintf(label, sizeof label, "%.*s", (int)(end - metric->path), metric->path);
        for (char *c = label; *c; c++) {
            *c = *c == '_' ? ' ' : *c;
        }
        label[0] = (char)(label[0] - 'a' + 'A');
        struct pw_value value = pw_summary_stat(summary, metric->id, PW_STAT_SCALAR);
        pw_document_field(document, label, "%s", pw_report_number(buffer, value, 0));
    }
}

static void add_signals(const struct pw_summary *summary, struct pw_document *document)
{
    static const char *const headers[] = {"Signal",     "Mean points",  "P50 points",
                                          "P95 points", "Total points", "Mean value-sum"};
    static const struct {
        const char *name;
        enum pw_metric_id points, sum;
    } signals[] = {{"turn", PW_METRIC_OTEL_TURN_POINTS, PW_METRIC_OTEL_TURN_SUM},
                   {"action", PW_METRIC_OTEL_ACTION_POINTS, PW_METRIC_OTEL_ACTION_SUM},
                   {"stream", PW_METRIC_OTEL_STREAM_POINTS, PW_METRIC_OTEL_STREAM_SUM}};
    static const struct {
        bool of_sum;
        enum pw_stat stat;
        int decimals;
    } columns[] = {{false, PW_STAT_MEAN, 2},
                   {false, PW_STAT_P50, 2},
                   {false, PW_STAT_P95, 2},
                   {false, PW_STAT_TOTAL, 0},
                   {true, PW_STAT_MEAN, 3}};
    pw_document_heading(document, 2, "Turn / Action / Streaming OTEL Signals");
    pw_document_table(document, headers, COUNT_OF(headers), 1);
    for (size_t i = 0; i < COUNT_OF(signals); i++) {
        pw_document_cell(document, "%s", signals[i].name);
        for (size_t c = 0; c < COUNT_OF(columns); c++) {
            enum pw_metric_id id = columns[c].of_sum ? signals[i].sum : signals[i].points;
            struct pw_value value = pw_summary_stat(summary, id, columns[c].stat);
            char buffer[PW_NUMBER_MAX];
            pw_document_cell(document, "%s", pw_report_number(buffer, value, columns[c].decimals));
        }
    }
}

static void add_orphans(const struct pw_summary *summary, struct pw_document *document)
{
    static const char *const headers[] = {"Name", "Iteration", "Worker", "Pid", "Kept"};
    static const char *const keys[] = {"iteration", "worker_id", "pid"};
    const json_t *block = find_block(summary, "orphans");
    const json_t *list = json_is_object(block) ? json_object_get(block, "listed") : block;
    if (json_array_size(list) == 0) {
        return;
    }
    pw_document_heading(document, 2, "Orphans");
    pw_document_paragraph(document,
                          "Processes that were still there after their worker had ended.");
    pw_document_table(document, headers, COUNT_OF(headers), 1);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *orphan = json_array_get(list, i);
        char buffer[PW_NUMBER_MAX];
        pw_document_cell(document, "%s", pw_report_string_or(orphan, "comm", "n/a"));
        for (size_t k = 0; k < COUNT_OF(keys); k++) {
            pw_document_cell(document, "%s",
                             pw_report_number(buffer, pw_report_number_in(orphan, keys[k]), 0));
        }
        pw_document_cell(document, "%s",
                         json_is_true(json_object_get(orphan, "kept")) ? "yes" : "no");
    }
}

static void add_iterations(const struct pw_summary *summary, struct pw_document *document)
{
    static const struct {
        const char *header, *key;
        int decimals;
    } columns[] = {{"Iteration", "iteration", 0},  {"Return code", "return_code", 0},
                   {"Workers", "worker_count", 0}, {"Success", "successful_runs", 0},
                   {"Failed", "failed_runs", 0},   {"Duration (ms)", "duration_ms", 3},
                   {"RSS (MiB)", "max_rss_mb", 2}, {"OTEL payloads", "otel_payload_count", 0}};
    const char *headers[COUNT_OF(columns)];
    const json_t *runs = json_object_get(pw_summary_root(summary), "runs");
    size_t count = json_array_size(runs);
    size_t shown = count < PW_REPORT_ITERATIONS_MAX ? count : PW_REPORT_ITERATIONS_MAX;
    for (size_t c = 0; c < COUNT_OF(columns); c++) {
        headers[c] = columns[c].header;
    }
    pw_document_heading(document, 2, "Iteration Return Codes");
    pw_document_table(document, headers, COUNT_OF(columns), 1);
    for (size_t i = 0; i < shown; i++) {
        const json_t *run = json_array_get(runs, i);
        for (size_t c = 0; c < COUNT_OF(columns); c++) {
            char buffer[PW_NUMBER_MAX];
            pw_document_cell(document, "%s",
                             pw_report_number(buffer, pw_report_number_in(run, columns[c].key),
                                              columns[c].decimals));
        }
    }
    if (shown < count) {
        pw_document_paragraph(document, "%zu further iterations are in summary.json.",
                              count - shown);
    }
}

void pw_report_full(const struct pw_summary *summary, struct pw_document *document)
{
    add_head(summary, document);
    pw_document_heading(document, 2, "Warnings");
    if (pw_report_warnings(summary, document) == 0) {
        pw_document_paragraph(document, "None.");
    }
    add_totals(summary, document);
    for (size_t i = 0; i < COUNT_OF(sections); i++) {
        add_section(&sections[i], summary, document);
    }
    pw_report_moments(summary, document);
    pw_report_verdicts(summary, document);
    add_budget(summary, document);
    pw_report_accounting(summary, document);
    add_hotspots(summary, document);
    add_queue(summary, document);
    add_signals(summary, document);
    pw_report_telemetry(json_object_get(pw_summary_root(summary), "summary"), document);
    add_orphans(summary, document);
    add_block_fields(summary, "observer", "Observer", document);
    add_block_fields(summary, "machine", "Virtual Machine", document);
    add_block_fields(summary, "environment", "Environment", document);
    add_iterations(summary, document);
}

void pw_report_metrics(struct pw_document *document)
{
    static const char *const headers[] = {"Name under `summary`", "Unit", "Better", "Meaning"};
    pw_document_table(document, headers, COUNT_OF(headers), COUNT_OF(headers));
    for (size_t m = 0; m < PW_METRIC_COUNT; m++) {
        pw_document_cell(document, "%s", pw_metrics[m].path);
        pw_document_cell(document, "%s", pw_metrics[m].unit);
        pw_document_cell(document, "%s", pw_better_name(pw_metrics[m].better));
        pw_document_cell(document, "%s", pw_metrics[m].help);
    }
}
