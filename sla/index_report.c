/* An index for people: what a metric is now, what it was before, and where it changed. From the
 * JSON, so that an index that was kept is shown like one just made. */
#include <string.h>
#include "core/json.h"
#include "core/str.h"
#include "sla/index.h"

static const char *text_of(const json_t *object, const char *key, const char *otherwise)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : otherwise;
}

/* `scale` is printf's for a double, such as "%.6g"; what is not there is a dash. */
__attribute__((format(printf, 4, 0))) static void number_cell(struct pw_document *report,
                                                              const json_t *object, const char *key,
                                                              const char *format)
{
    const json_t *number = json_object_get(object, key);
    if (json_is_number(number)) {
        char text[64];
        snprintf(text, sizeof text, format, json_number_value(number));
        pw_document_cell(report, "%s", text);
    } else {
        pw_document_cell(report, "-");
    }
}

/* ---------------------------------------------------------------- the table */

static void metric_row(struct pw_document *report, const char *profile, const char *key,
                       const json_t *metric)
{
    const json_t *baseline = json_object_get(metric, "baseline");
    const char *status = text_of(metric, "status", "-");
    pw_document_cell(report, "%s", profile);
    pw_document_cell(report, "%s", key);
    pw_document_cell(report, "%s", text_of(baseline, "status", "-"));
    pw_document_cell(report, "%s", status);
    pw_document_cell(report, "%s", text_of(metric, "status_strict", "-"));
    number_cell(report, metric, "n", "%.0f");
    number_cell(report, metric, "current", "%.6g");
    number_cell(report, baseline, "median", "%.6g");
    number_cell(report, baseline, "delta_pct", "%+.1f");
    pw_document_cell(report, "%zu", json_array_size(json_object_get(metric, "change_points")));
}

static void metric_table(struct pw_document *report, const json_t *profiles)
{
    static const char *const headers[] = {
        "profile", "metric",  "against before", "status",   "strict",
        "runs",    "current", "median before",  "change %", "change points"};
    const char *name = NULL, *key = NULL;
    json_t *profile = NULL, *metric = NULL;
    pw_document_table(report, headers, sizeof headers / sizeof *headers, 5);
    json_object_foreach((json_t *)profiles, name, profile)
    {
        json_object_foreach(json_object_get(profile, "metrics"), key, metric)
        {
            if (json_is_true(json_object_get(metric, "present"))) {
                metric_row(report, name, key, metric);
            }
        }
    }
}

/* ---------------------------------------------------------------- changes */

static void change_finding(struct pw_document *report, const char *profile, const char *key,
                           const json_t *point)
{
    PW_STR_AUTO text = PW_STR_INIT;
    bool worse = json_is_true(json_object_get(point, "worse"));
    const json_t *change = json_object_get(point, "change_pct");
    pw_str_addf(&text, "%s: %s went from %.6g to %.6g", profile, key,
                json_number_value(json_object_get(point, "before")),
                json_number_value(json_object_get(point, "after")));
    if (json_is_number(change)) {
        pw_str_addf(&text, " (%+.1f %%)", json_number_value(change));
    }
    pw_str_addf(&text, ", p = %.3g; the first such run is %s of %s",
                json_number_value(json_object_get(point, "p")), text_of(point, "path", "unknown"),
                text_of(point, "generated_at", "an unknown time"));
    report->failed = report->failed || text.failed;
    pw_document_finding(report, worse ? "worse" : "better", text.text, NULL);
}

static void changes(struct pw_document *report, const json_t *profiles)
{
    const char *name = NULL, *key = NULL;
    json_t *profile = NULL, *metric = NULL, *point = NULL;
    size_t i = 0;
    bool any = false;
    json_object_foreach((json_t *)profiles, name, profile)
    {
        json_object_foreach(json_object_get(profile, "metrics"), key, metric)
        {
            json_array_foreach(json_object_get(metric, "change_points"), i, point)
            {
                if (!any) {
                    pw_document_heading(report, 2, "Changes of level");
                }
                any = true;
                change_finding(report, name, key, point);
            }
        }
    }
}

/* ---------------------------------------------------------------- profiles */

static void machine_words(const json_t *machine, struct pw_str *ret_text)
{
    const json_t *cpus = json_object_get(machine, "cpu_count");
    const char *model = text_of(machine, "cpu_model", NULL);
    const char *kernel = text_of(machine, "kernel", NULL);
    if (!model && !kernel) {
        pw_str_add(ret_text, "an unknown machine");
        return;
    }
    pw_str_add(ret_text, model ? model : "unknown CPU");
    if (json_is_integer(cpus)) {
        pw_str_addf(ret_text, " (%lld)", (long long)json_integer_value(cpus));
    }
    pw_str_addf(ret_text, ", Linux %s", kernel ? kernel : "unknown");
}

static void profile_fields(struct pw_document *report, const json_t *profiles)
{
    const char *name = NULL;
    json_t *profile = NULL;
    json_object_foreach((json_t *)profiles, name, profile)
    {
        PW_STR_AUTO text = PW_STR_INIT;
        const json_t *machine = json_object_get(profile, "environment");
        json_int_t others =
            json_integer_value(json_object_get(profile, "excluded_other_environment"));
        json_int_t runs = json_integer_value(json_object_get(profile, "sample_count"));
        pw_str_addf(&text, "%lld run%s, the last %s", (long long)runs, runs == 1 ? "" : "s",
                    text_of(profile, "latest_summary_path", "unknown"));
        if (machine) {
            pw_str_add(&text, ", on ");
            machine_words(machine, &text);
        }
        if (others > 0) {
            pw_str_addf(&text, "; %lld of other machines left out", (long long)others);
        }
        report->failed = report->failed || text.failed;
        pw_document_field(report, name, "%s", text.text);
    }
}

void pw_index_report(const json_t *index, struct pw_document *report)
{
    const json_t *profiles = json_object_get(index, "profiles");
    size_t skipped = json_array_size(json_object_get(index, "skipped"));
    pw_document_heading(report, 1, "Baseline index");
    profile_fields(report, profiles);
    if (skipped > 0) {
        pw_document_bad_field(report, "skipped", "%zu files that are no summaries", skipped);
    }
    metric_table(report, profiles);
    changes(report, profiles);
    pw_document_paragraph(
        report, "against before: the last run against those before it, differences below the "
                "metric's noise floor left out. status: the last run against all, itself included. "
                "strict: the same, and not blind where the values have no spread.");
}
