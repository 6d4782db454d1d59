/*
 * From numbers to what to look at first. Two tables of rules: the contract's (section 9), over a
 * baseline index; and perfwrap's own, over one summary and what it knows.
 *
 * Each suggestion cites its evidence. Rules never guess from a number that is missing. The
 * document: `generated_from`, `warnings[]` (the contract's rules: profile, severity, signal,
 * message, suggestion, and `evidence`), `findings[]` (the own rules: the same keys; `profile` is
 * the summary's profile or run folder), `notes[]` (sentences: what could not be looked at).
 *
 * Warnings look at the contract's `status` only, so they are those of any other reader of the
 * index. What only perfwrap's own judgement of an index sees, or no rule of the contract names, is
 * a finding with `basis`: the key of the index that it comes from ("status", "baseline.status",
 * "status_strict", "change_points").
 *
 * `evidence`: metric, baseline, baseline_is (in words), current, change_pct, samples, confidence
 * ("low", "medium", "high": see suggest_impl.h), next_command. Severity of findings: also "info",
 * for what explains a number and is no fault.
 */
#ifndef PW_SLA_SUGGEST_H
#define PW_SLA_SUGGEST_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include "core/document.h"
#include "core/err.h"
#include "core/summary.h"

enum pw_suggest_severity { PW_SUGGEST_NONE, PW_SUGGEST_INFO, PW_SUGGEST_YELLOW, PW_SUGGEST_RED };
/* "none", "info", "yellow", "red". */
const char *pw_suggest_severity_name(enum pw_suggest_severity severity);

/* A document without suggestions. New reference. */
json_t *pw_suggest_new(const char *generated_from, struct pw_err *err);
/* Adds the contract's warnings for `index`, and the findings that it gives. */
int pw_suggest_from_index(const json_t *index, const char *index_path, json_t *document,
                          struct pw_err *err);
/* Adds the own rules' findings for a summary. */
int pw_suggest_from_summary(const struct pw_summary *summary, const char *path, json_t *document,
                            struct pw_err *err);
/*
 * All of that for files: words as pw_inputs_expand() takes them, each an index (it has `profiles`)
 * or a summary, and `index_path`, which must be an index, or NULL. With `latest`, the newest
 * summary of each profile of an index (relative to the index's folder, else to the working folder)
 * is looked at too; one that cannot be read is a note. New reference. PW_ERR_INPUT for what is
 * neither.
 */
json_t *pw_suggest_from_files(const char *index_path, const char *const *words, size_t count,
                              bool latest, struct pw_err *err);
int pw_suggest_note(json_t *document, const char *note, struct pw_err *err);
/* The worst severity of all warnings and findings. */
enum pw_suggest_severity pw_suggest_worst(const json_t *document);
/* The document as headings and findings, worst first. */
void pw_suggest_report(const json_t *document, struct pw_document *report);

/* The tables themselves, for `perfwrap suggest --rules` and the docs. */
void pw_suggest_list_rules(struct pw_document *report);
json_t *pw_suggest_rules_to_json(struct pw_err *err);

#endif
