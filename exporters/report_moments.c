/* Marks and the phases between them, in the reports. */
#include <string.h>
#include "exporters/report.h"

/* Lines of the short report; the full one has all. */
enum { SHOWN_MARKS = 8, DECIMALS = 3 };

static const char *number(char buffer[PW_NUMBER_MAX], const json_t *entry, const char *key)
{
    return pw_report_number(buffer, pw_report_number_in(entry, key), DECIMALS);
}
#define NUMBER(entry, key) number((char[PW_NUMBER_MAX]){0}, (entry), (key))

static const json_t *block_of(const struct pw_summary *summary, const char *name)
{
    return json_object_get(json_object_get(pw_summary_root(summary), "summary"), name);
}

/* "ready_ms" is the mark "ready". */
static int name_length(const char *key)
{
    static const char suffix[] = "_ms";
    size_t length = strlen(key), end = strlen(suffix);
    bool has_suffix = length > end && strcmp(key + length - end, suffix) == 0;
    return (int)(has_suffix ? length - end : length);
}

static void add_table(const json_t *block, const char *title, const char *first_column,
                      struct pw_document *document)
{
    static const char *const keys[] = {"mean", "p50", "p95", "p99", "min", "max", "stddev"};
    const char *const headers[] = {first_column, "Count", "Mean", "P50",   "P95",
                                   "P99",        "Min",   "Max",  "Stddev"};
    const char *key = NULL;
    const json_t *entry = NULL;
    char buffer[PW_NUMBER_MAX];
    if (json_object_size(block) == 0) {
        return;
    }
    pw_document_heading(document, 2, title);
    pw_document_table(document, headers, sizeof headers / sizeof *headers, 1);
    /* jansson's iterator takes a pointer that is not const but changes nothing. */
    json_object_foreach((json_t *)block, key, entry)
    {
        pw_document_cell(document, "%.*s", name_length(key), key);
        pw_document_cell(document, "%s",
                         pw_report_number(buffer, pw_report_number_in(entry, "count"), 0));
        for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
            pw_document_cell(document, "%s", NUMBER(entry, keys[i]));
        }
    }
}

void pw_report_moments(const struct pw_summary *summary, struct pw_document *document)
{
    add_table(block_of(summary, "marks"), "Marks (ms from spawn)", "Mark", document);
    add_table(block_of(summary, "phases"), "Phases (ms)", "Up to", document);
}

void pw_report_moments_short(const struct pw_summary *summary, struct pw_document *document)
{
    const json_t *marks = block_of(summary, "marks");
    const char *key = NULL;
    const json_t *entry = NULL;
    size_t shown = 0;
    /* What a failed run came to is in its own record only. */
    struct pw_value failed = pw_report_number_in(
        json_object_get(pw_summary_root(summary), "summary"), "failed_runs_total");
    bool has_failed = pw_value_is_present(failed) && failed.number > 0;
    json_object_foreach((json_t *)marks, key, entry)
    {
        if (shown == SHOWN_MARKS) {
            pw_document_field(document, "", "%zu further marks are in summary.json",
                              json_object_size(marks) - shown);
            return;
        }
        struct pw_value count = pw_report_number_in(entry, "count");
        const char *label = shown++ == 0 ? "Marks" : "";
        if (pw_value_is_present(count) && count.number > 0) {
            pw_document_field(document, label, "%.*s: p50 %s ms, p95 %s ms, max %s ms",
                              name_length(key), key, NUMBER(entry, "p50"), NUMBER(entry, "p95"),
                              NUMBER(entry, "max"));
        } else {
            pw_document_bad_field(document, label, "%.*s: never came%s", name_length(key), key,
                                  has_failed ? " in a successful run" : "");
        }
    }
}
