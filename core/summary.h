/*
 * The summary document: its only writer and its only reader. Contract, sections 2 to 5.
 *
 * A struct pw_summary is a JSON document plus the knowledge of what its keys mean. It is built from
 * a run record, or loaded from a file of perfwrap or of the harness that perfwrap replaces (older
 * ones lack blocks). Exporters and checks see only this, never a probe. Threads: immutable after it
 * is made; any thread may read.
 */
#ifndef PW_CORE_SUMMARY_H
#define PW_CORE_SUMMARY_H

#include <jansson.h>
#include "core/err.h"
#include "core/metric.h"
#include "core/record.h"
#include "core/value.h"

#define PW_SUMMARY_SCHEMA_VERSION "4.0"

struct pw_summary;

/* New summary; free with pw_summary_free(). NULL and err on failure. */
struct pw_summary *pw_summary_build(const struct pw_run_record *run, struct pw_err *err);
/* PW_ERR_INPUT, with what is wrong, if the file is unreadable, no JSON, or no summary. */
struct pw_summary *pw_summary_load(const char *path, struct pw_err *err);
void pw_summary_free(struct pw_summary *summary);
/* pw_summary_free() for __attribute__((cleanup)). */
void pw_summary_done(struct pw_summary **summary);

int pw_summary_write(const struct pw_summary *summary, const char *path, struct pw_err *err);
/* The document; borrowed. */
const json_t *pw_summary_root(const struct pw_summary *summary);

/* A statistic of a metric. Absent (with the reason the document gives) if null or not there. */
struct pw_value pw_summary_stat(const struct pw_summary *summary, enum pw_metric_id metric,
                                enum pw_stat stat);
/* Any number by its dotted name: under `summary` first ("latency_ms.p95"), then from the top
 * ("runs.0.duration_ms", "profile.warmup"). Absent if there is no such number. */
struct pw_value pw_summary_number(const struct pw_summary *summary, const char *name);
/* Calls `visit` for every number of the document with its full dotted name
 * ("summary.latency_ms.p95"), in document order. */
void pw_summary_each_number(const struct pw_summary *summary,
                            void (*visit)(const char *name, double number, void *context),
                            void *context);
/* A string by dotted name from the top ("command", "profile.name"), or NULL. Borrowed. */
const char *pw_summary_string(const struct pw_summary *summary, const char *name);

/* The JSON of one iteration: what iteration-NNN.json holds and what runs[] repeats. New reference.
 */
json_t *pw_iteration_to_json(const struct pw_iteration_record *iteration, struct pw_err *err);

/* The JSON Schemas (draft 2020-12), made from the metric table. New references; NULL and err. */
json_t *pw_summary_schema(struct pw_err *err);
json_t *pw_iteration_schema(struct pw_err *err);
/* The metric table as a document, and as the Markdown page docs/metrics.md. */
json_t *pw_metrics_to_json(struct pw_err *err);
char *pw_metrics_to_markdown(struct pw_err *err);

#endif
