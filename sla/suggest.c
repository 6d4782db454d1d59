/* The document of suggestions, and how it reads. */
#include "sla/suggest.h"

#include <math.h>
#include <string.h>
#include "core/json.h"
#include "core/str.h"
#include "sla/suggest_impl.h"

const char *pw_suggest_severity_name(enum pw_suggest_severity severity)
{
    static const char *const names[] = {[PW_SUGGEST_NONE] = "none",
                                        [PW_SUGGEST_INFO] = "info",
                                        [PW_SUGGEST_YELLOW] = "yellow",
                                        [PW_SUGGEST_RED] = "red"};
    return names[severity];
}

static const char *confidence_name(enum pw_confidence confidence)
{
    static const char *const names[] = {[PW_CONFIDENCE_LOW] = "low",
                                        [PW_CONFIDENCE_MEDIUM] = "medium",
                                        [PW_CONFIDENCE_HIGH] = "high"};
    return names[confidence];
}

static const char *const lists[] = {"warnings", "findings"};
enum { LIST_COUNT = sizeof(lists) / sizeof(lists[0]) };

json_t *pw_suggest_new(const char *generated_from, struct pw_err *err)
{
    bool failed = false;
    json_t *document = json_object();
    pw_json_put(document, "generated_from", pw_json_string_or_null(generated_from), &failed);
    for (size_t i = 0; i < LIST_COUNT; i++) {
        pw_json_put(document, lists[i], json_array(), &failed);
    }
    pw_json_put(document, "notes", json_array(), &failed);
    if (failed) {
        json_decref(document);
        pw_err_memory(err);
        return NULL;
    }
    return document;
}

int pw_suggest_note(json_t *document, const char *note, struct pw_err *err)
{
    bool failed = false;
    pw_json_append(json_object_get(document, "notes"), pw_json_string_or_null(note), &failed);
    return failed ? pw_err_memory(err) : 0;
}

static struct pw_value change_pct(struct pw_value from, struct pw_value to)
{
    if (!pw_value_is_present(from) || !pw_value_is_present(to) || from.number == 0) {
        return pw_value_absent(PW_ABSENT_NOT_MEASURED);
    }
    return pw_value_of(100 * (to.number - from.number) / fabs(from.number));
}

static json_t *evidence_of(const struct pw_suggestion *suggestion, bool *failed)
{
    json_t *evidence = json_object();
    struct pw_value change = suggestion->changed
                                 ? change_pct(suggestion->baseline, suggestion->current)
                                 : pw_value_absent(PW_ABSENT_NOT_MEASURED);
    pw_json_put(evidence, "metric", pw_json_string_or_null(suggestion->metric), failed);
    pw_json_put(evidence, "baseline", pw_json_number(suggestion->baseline, false), failed);
    pw_json_put(evidence, "baseline_is", pw_json_string_or_null(suggestion->baseline_is), failed);
    pw_json_put(evidence, "current", pw_json_number(suggestion->current, false), failed);
    pw_json_put(evidence, "change_pct", pw_json_number(change, false), failed);
    pw_json_put(evidence, "samples", pw_json_number(pw_value_of(suggestion->samples), true),
                failed);
    pw_json_put(evidence, "confidence", json_string(confidence_name(suggestion->confidence)),
                failed);
    pw_json_put(evidence, "next_command", pw_json_string_or_null(suggestion->next_command), failed);
    return evidence;
}

int pw_suggestion_put(json_t *document, const char *list, const struct pw_suggestion *suggestion,
                      struct pw_err *err)
{
    bool failed = false;
    json_t *entry = json_object();
    pw_json_put(entry, "profile", pw_json_string_or_null(suggestion->profile), &failed);
    pw_json_put(entry, "severity", json_string(pw_suggest_severity_name(suggestion->severity)),
                &failed);
    pw_json_put(entry, "signal", pw_json_string_or_null(suggestion->signal), &failed);
    if (suggestion->basis) {
        pw_json_put(entry, "basis", json_string(suggestion->basis), &failed);
    }
    pw_json_put(entry, "message", pw_json_string_or_null(suggestion->message), &failed);
    pw_json_put(entry, "suggestion", json_string(suggestion->advice), &failed);
    pw_json_put(entry, "evidence", evidence_of(suggestion, &failed), &failed);
    pw_json_append(json_object_get(document, list), entry, &failed);
    return failed ? pw_err_memory(err) : 0;
}

static const char *text_in(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "n/a";
}

static enum pw_suggest_severity severity_of(const json_t *entry)
{
    for (enum pw_suggest_severity s = PW_SUGGEST_INFO; s <= PW_SUGGEST_RED; s++) {
        if (strcmp(text_in(entry, "severity"), pw_suggest_severity_name(s)) == 0) {
            return s;
        }
    }
    return PW_SUGGEST_NONE;
}

enum pw_suggest_severity pw_suggest_worst(const json_t *document)
{
    enum pw_suggest_severity worst = PW_SUGGEST_NONE;
    for (size_t i = 0; i < LIST_COUNT; i++) {
        const json_t *list = json_object_get(document, lists[i]);
        for (size_t k = 0; k < json_array_size(list); k++) {
            enum pw_suggest_severity severity = severity_of(json_array_get(list, k));
            worst = severity > worst ? severity : worst;
        }
    }
    return worst;
}

static const char *number_text(char buffer[PW_SHORT_NUMBER_MAX], const json_t *object,
                               const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? pw_short_number(buffer, json_number_value(value)) : "n/a";
}
#define NUMBER(object, key) number_text((char[PW_SHORT_NUMBER_MAX]){0}, (object), (key))

/* "cpu_pct: 97 against 100 (one core, all the time), -3 %; 30 samples; confidence high". */
static void describe_evidence(const json_t *evidence, struct pw_str *out)
{
    const json_t *change = json_object_get(evidence, "change_pct");
    pw_str_addf(out, "%s: %s", text_in(evidence, "metric"), NUMBER(evidence, "current"));
    if (json_is_number(json_object_get(evidence, "baseline"))) {
        pw_str_addf(out, " against %s (%s)", NUMBER(evidence, "baseline"),
                    text_in(evidence, "baseline_is"));
    }
    if (json_is_number(change)) {
        pw_str_addf(out, ", %+.1f %%", json_number_value(change));
    }
    pw_str_addf(out, "; samples: %s; confidence: %s", NUMBER(evidence, "samples"),
                text_in(evidence, "confidence"));
}

static void report_entry(const json_t *entry, struct pw_document *report)
{
    const json_t *evidence = json_object_get(entry, "evidence");
    const char *basis = json_string_value(json_object_get(entry, "basis"));
    PW_STR_AUTO label = PW_STR_INIT;
    PW_STR_AUTO words = PW_STR_INIT;
    pw_str_addf(&label, "%s: %s", text_in(entry, "profile"), text_in(entry, "signal"));
    if (basis) {
        pw_str_addf(&label, " (by %s)", basis);
    }
    describe_evidence(evidence, &words);
    report->failed = report->failed || label.failed || words.failed;
    pw_document_heading(report, 3, label.text);
    pw_document_paragraph(report, "%s", text_in(entry, "message"));
    pw_document_paragraph(report, "%s", text_in(entry, "suggestion"));
    pw_document_field(report, "Evidence", "%s", words.text);
    pw_document_field(report, "Next", "%s", text_in(evidence, "next_command"));
}

static size_t count_of(const json_t *document, enum pw_suggest_severity severity)
{
    size_t count = 0;
    for (size_t i = 0; i < LIST_COUNT; i++) {
        const json_t *list = json_object_get(document, lists[i]);
        for (size_t k = 0; k < json_array_size(list); k++) {
            count += severity_of(json_array_get(list, k)) == severity;
        }
    }
    return count;
}

static void report_severity(const json_t *document, enum pw_suggest_severity severity,
                            struct pw_document *report)
{
    for (size_t i = 0; i < LIST_COUNT; i++) {
        const json_t *list = json_object_get(document, lists[i]);
        for (size_t k = 0; k < json_array_size(list); k++) {
            const json_t *entry = json_array_get(list, k);
            if (severity_of(entry) == severity) {
                report_entry(entry, report);
            }
        }
    }
}

void pw_suggest_report(const json_t *document, struct pw_document *report)
{
    static const char *const titles[] = {[PW_SUGGEST_INFO] = "Info: explains the numbers",
                                         [PW_SUGGEST_YELLOW] = "Yellow: worth a look",
                                         [PW_SUGGEST_RED] = "Red: look here first"};
    const json_t *notes = json_object_get(document, "notes");
    pw_document_heading(report, 1, "Suggestions");
    pw_document_field(report, "From", "%s", text_in(document, "generated_from"));
    pw_document_field(report, "Found", "%zu red, %zu yellow, %zu info",
                      count_of(document, PW_SUGGEST_RED), count_of(document, PW_SUGGEST_YELLOW),
                      count_of(document, PW_SUGGEST_INFO));
    for (size_t i = 0; i < json_array_size(notes); i++) {
        const char *note = json_string_value(json_array_get(notes, i));
        pw_document_field(report, "Note", "%s", note ? note : "n/a");
    }
    if (pw_suggest_worst(document) == PW_SUGGEST_NONE) {
        pw_document_paragraph(report, "Nothing stands out.");
    }
    for (enum pw_suggest_severity s = PW_SUGGEST_RED; s >= PW_SUGGEST_INFO; s--) {
        if (count_of(document, s) > 0) {
            pw_document_heading(report, 2, titles[s]);
            report_severity(document, s, report);
        }
    }
}

static void list_own_rules(struct pw_document *report)
{
    static const char *const headers[] = {"signal",     "severity", "looks at",
                                          "fires when", "advice",   "next"};
    pw_document_table(report, headers, 6, 6);
    for (size_t i = 0; i < pw_rule_count; i++) {
        PW_STR_AUTO when = PW_STR_INIT;
        pw_rule_fill_thresholds(pw_rules[i].fires_when, &when);
        pw_document_cell(report, "%s", pw_rules[i].signal);
        pw_document_cell(report, "%s", pw_suggest_severity_name(pw_rules[i].severity));
        pw_document_cell(report, "%s", pw_rules[i].looks_at);
        pw_document_cell(report, "%s", when.text);
        pw_document_cell(report, "%s", pw_rules[i].advice);
        pw_document_cell(report, "%s", pw_rules[i].next);
        report->failed = report->failed || when.failed;
    }
}

static void list_thresholds(struct pw_document *report)
{
    static const char *const headers[] = {"threshold", "value", "why"};
    pw_document_table(report, headers, 3, 3);
    for (size_t i = 0; i < PW_THRESHOLD_COUNT; i++) {
        const struct pw_threshold *threshold = &pw_thresholds[i];
        pw_document_cell(report, "%s", threshold->name);
        pw_document_cell(report, "%s%s%s", PW_SHORT(threshold->value), *threshold->unit ? " " : "",
                         threshold->unit);
        pw_document_cell(report, "%s", threshold->why);
    }
}

void pw_suggest_list_rules(struct pw_document *report)
{
    pw_document_heading(report, 1, "Suggestions");
    pw_document_paragraph(report, "Made by perfwrap suggest --rules --format markdown from the "
                                  "tables in sla/. Do not edit.");
    pw_document_paragraph(
        report,
        "Each suggestion names its profile, severity, signal, the numbers behind it and what to do, "
        "and cites its evidence: metric, baseline and what that is, current value, change, number of "
        "samples, confidence, and the next command to run. A rule whose numbers are missing does "
        "not fire. Confidence: what was counted is high; a statistic is high from %d values, medium "
        "from %d, else low; what is inferred is at most medium. Of an index: high from %d runs with a "
        "robust z of 3, low under %d runs, else medium.",
        PW_CONFIDENT_SAMPLES, PW_SOME_SAMPLES, PW_CONFIDENT_SAMPLES, PW_SOME_RUNS);
    pw_document_heading(report, 2, "Warnings: the contract's rules over a baseline index");
    pw_document_paragraph(report,
                          "A metric warns if its status is yellow or red. Nothing else decides "
                          "about warnings[], so any reader of the index comes to the same ones.");
    pw_suggest_list_index_rules(report);
    pw_document_heading(report, 2, "Findings from a baseline index");
    pw_document_paragraph(
        report,
        "A metric that no warning of its profile speaks of is a finding if it warns by status, by "
        "baseline.status (the newest run against the runs before it only) or by status_strict "
        "(which a spread of zero does not blind); its basis says by which: the worst, or the first of "
        "equals. The last of a metric's change_points, if it is for the worse, is a finding "
        "change_point:METRIC, yellow, that names the first run after it.");
    pw_document_heading(report, 2, "Findings from a summary: perfwrap's own rules");
    list_own_rules(report);
    pw_document_heading(report, 2, "Thresholds, and why");
    list_thresholds(report);
    pw_document_heading(report, 2, "What no rule speaks of");
    pw_document_paragraph(
        report,
        "How throughput grows with concurrency: that takes several summaries. Time in the run queue "
        "is measured where eBPF is allowed (see accounting.md), else inferred from preemptions.");
}

json_t *pw_suggest_rules_to_json(struct pw_err *err)
{
    bool failed = false;
    json_t *root = json_object(), *list = json_array(), *thresholds = json_array();
    if (pw_suggest_index_rules_to_json(list, err) != 0) {
        failed = true;
    }
    for (size_t i = 0; i < pw_rule_count; i++) {
        PW_STR_AUTO when = PW_STR_INIT;
        pw_rule_fill_thresholds(pw_rules[i].fires_when, &when);
        pw_json_append(list,
                       json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "table", "summary",
                                 "signal", pw_rules[i].signal, "severity",
                                 pw_suggest_severity_name(pw_rules[i].severity), "looks_at",
                                 pw_rules[i].looks_at, "fires_when", when.text, "suggestion",
                                 pw_rules[i].advice, "next_command", pw_rules[i].next),
                       &failed);
    }
    for (size_t i = 0; i < PW_THRESHOLD_COUNT; i++) {
        pw_json_append(thresholds,
                       json_pack("{s:s, s:f, s:s, s:s}", "name", pw_thresholds[i].name, "value",
                                 pw_thresholds[i].value, "unit", pw_thresholds[i].unit, "why",
                                 pw_thresholds[i].why),
                       &failed);
    }
    pw_json_put(root, "rules", list, &failed);
    pw_json_put(root, "thresholds", thresholds, &failed);
    if (failed) {
        json_decref(root);
        pw_err_memory(err);
        return NULL;
    }
    return root;
}
