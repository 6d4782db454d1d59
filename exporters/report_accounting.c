/* Where the time went, what the kernel accounted, and who says so. */
#include <string.h>
#include "exporters/report.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

static const struct part {
    const char *name;
    enum pw_metric_id metric;
} parts[] = {
    {"spawn", PW_METRIC_KERNEL_WALL_SPAWN},
    {"on CPU", PW_METRIC_KERNEL_WALL_ON_CPU},
    {"waiting for a CPU", PW_METRIC_KERNEL_WALL_RUNQ},
    {"I/O", PW_METRIC_KERNEL_WALL_IO},
    {"blocked", PW_METRIC_KERNEL_WALL_BLOCKED},
    {"exit tail", PW_METRIC_KERNEL_WALL_EXIT_TAIL},
};

/* The means of the parts, and their sum; absent if one is. */
static struct pw_value sum_of_parts(const struct pw_summary *summary,
                                    struct pw_value means[COUNT_OF(parts)])
{
    double sum = 0;
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        means[i] = pw_summary_stat(summary, parts[i].metric, PW_STAT_MEAN);
        if (!pw_value_is_present(means[i])) {
            return means[i];
        }
        sum += means[i].number;
    }
    return pw_value_of(sum);
}

static struct pw_value share(struct pw_value part, struct pw_value whole)
{
    return whole.number > 0 ? pw_value_of(100 * part.number / whole.number)
                            : pw_value_absent(PW_ABSENT_NO_SAMPLES);
}

static void add_wall(const struct pw_summary *summary, struct pw_document *document)
{
    static const char *const headers[] = {"Part of the duration", "Mean (ms)", "Share (%)"};
    struct pw_value means[COUNT_OF(parts)];
    struct pw_value sum = sum_of_parts(summary, means);
    char buffer[PW_NUMBER_MAX];
    if (!pw_value_is_present(sum)) {
        return;
    }
    pw_document_heading(document, 2, "Where the Time Went");
    pw_document_paragraph(document,
                          "Of each worker's duration: at each moment the tree is in the first of "
                          "these states that holds for any of its threads.");
    pw_document_table(document, headers, COUNT_OF(headers), 1);
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        pw_document_cell(document, "%s", parts[i].name);
        pw_document_cell(document, "%s", pw_report_number(buffer, means[i], 3));
        pw_document_cell(document, "%s", pw_report_number(buffer, share(means[i], sum), 1));
    }
    pw_document_cell(document, "sum");
    pw_document_cell(document, "%s", pw_report_number(buffer, sum, 3));
    pw_document_cell(document, "100.0");
}

static void add_rungs(const json_t *accounting, struct pw_document *document)
{
    static const char *const headers[] = {"Source", "State", "Cannot see, or why not"};
    const json_t *rungs = json_object_get(accounting, "rungs");
    pw_document_table(document, headers, COUNT_OF(headers), COUNT_OF(headers));
    for (size_t i = 0; i < json_array_size(rungs); i++) {
        const json_t *rung = json_array_get(rungs, i);
        const char *blind = pw_report_string_or(rung, "cannot_see", NULL);
        pw_document_cell(document, "%s", pw_report_string_or(rung, "name", "n/a"));
        pw_document_cell(document, "%s", pw_report_string_or(rung, "state", "n/a"));
        pw_document_cell(document, "%s", blind ? blind : pw_report_string_or(rung, "why", "n/a"));
    }
}

static void add_missed(const json_t *accounting, struct pw_document *document)
{
    static const char *const headers[] = {"Seen by sampling or waiting", "Mean", "Exact mean",
                                          "Missed (%)"};
    static const char *const keys[] = {"mean", "exact_mean", "missed_pct"};
    const json_t *missed = json_object_get(accounting, "sampling_missed");
    char buffer[PW_NUMBER_MAX];
    if (json_array_size(missed) == 0) {
        return;
    }
    pw_document_table(document, headers, COUNT_OF(headers), 1);
    for (size_t i = 0; i < json_array_size(missed); i++) {
        const json_t *twin = json_array_get(missed, i);
        pw_document_cell(document, "%s", pw_report_string_or(twin, "metric", "n/a"));
        for (size_t k = 0; k < COUNT_OF(keys); k++) {
            pw_document_cell(document, "%s",
                             pw_report_number(buffer, pw_report_number_in(twin, keys[k]), 1));
        }
    }
}

void pw_report_accounting(const struct pw_summary *summary, struct pw_document *document)
{
    const json_t *accounting = json_object_get(pw_summary_root(summary), "accounting");
    add_wall(summary, document);
    if (!json_is_object(accounting)) {
        return;
    }
    const json_t *exact = json_object_get(accounting, "exact");
    pw_document_heading(document, 2, "Accounting");
    pw_document_field(document, "Highest source used", "%s",
                      pw_report_string_or(accounting, "used", "n/a"));
    if (json_is_boolean(exact)) {
        pw_document_field(document, "Exact", "%s", json_is_true(exact) ? "yes" : "no");
    }
    add_rungs(accounting, document);
    add_missed(accounting, document);
}

void pw_report_accounting_short(const struct pw_summary *summary, struct pw_document *document)
{
    struct pw_value means[COUNT_OF(parts)];
    struct pw_value sum = sum_of_parts(summary, means);
    PW_STR_AUTO text = PW_STR_INIT;
    if (!pw_value_is_present(sum)) {
        return;
    }
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        char buffer[PW_NUMBER_MAX];
        struct pw_value part = share(means[i], sum);
        if (pw_value_is_present(part) && part.number >= 0.5) {
            pw_str_addf(&text, "%s%s %% %s", text.length > 0 ? ", " : "",
                        pw_report_number(buffer, part, 0), parts[i].name);
        }
    }
    document->failed = document->failed || text.failed;
    pw_document_field(document, "Time", "%s", text.text);
}
