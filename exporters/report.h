/*
 * What a report says: picks and words the numbers of a summary, as blocks of a document. Tables of
 * metrics are loops over the metric table, so a new row appears by itself. A number that is missing
 * reads "n/a". Summaries of the older harness, which lack blocks, are fine.
 */
#ifndef PW_EXPORTERS_REPORT_H
#define PW_EXPORTERS_REPORT_H

#include "core/document.h"
#include "core/summary.h"

enum {
    PW_REPORT_ITERATIONS_MAX = 1000, /* rows of the table of iterations; the rest is counted */
    PW_NUMBER_MAX = 48,              /* bytes of a number as text */
};

/* Everything: the sections of the older harness's summary.md under their names, then perfwrap's
 * own. */
void pw_report_full(const struct pw_summary *summary, struct pw_document *document);
/* The end of a run at a glance: latency, throughput, memory, CPU, failures, warnings. */
void pw_report_short(const struct pw_summary *summary, struct pw_document *document);
/* What the command reported about itself, from an object with the keys `telemetry`, `otel_actions`,
 * `otel_spans` and `otel_metrics`, such as a summary's `summary`; `strays` may stand beside them.
 * Adds nothing, and returns false, if nothing came or the keys are not there. */
bool pw_report_telemetry(const json_t *block, struct pw_document *document);
/* Marks and phases, as tables or, of marks only, as short lines; nothing without marks. */
void pw_report_moments(const struct pw_summary *summary, struct pw_document *document);
void pw_report_moments_short(const struct pw_summary *summary, struct pw_document *document);
/* The wall-clock decomposition and where the numbers come from, or, of the first only, a short
 * line; nothing where the kernel was not asked. */
void pw_report_accounting(const struct pw_summary *summary, struct pw_document *document);
void pw_report_accounting_short(const struct pw_summary *summary, struct pw_document *document);
/* Verdicts, counted, and of each failed worker; nothing where none was judged. */
void pw_report_verdicts(const struct pw_summary *summary, struct pw_document *document);
void pw_report_verdicts_short(const struct pw_summary *summary, struct pw_document *document);
/* The metric table itself: what each number is called, its unit and what it means. */
void pw_report_metrics(struct pw_document *document);

/* For the reports: the number with `decimals` places, or "n/a", in `buffer`, which is returned. */
const char *pw_report_number(char buffer[PW_NUMBER_MAX], struct pw_value value, int decimals);
/* A member of a JSON object; absent, or `otherwise`, if there is none of that type. */
struct pw_value pw_report_number_in(const json_t *object, const char *key);
const char *pw_report_string_or(const json_t *object, const char *key, const char *otherwise);
/* The findings of the summary's `warnings`; returns how many. */
size_t pw_report_warnings(const struct pw_summary *summary, struct pw_document *document);

#endif
