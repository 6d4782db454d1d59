/*
 * From numbers to what to look at first. Two tables of rules: the contract's (section 9), over a
 * baseline index; and perfwrap's own, over one summary and what it knows.
 *
 * Each suggestion cites its evidence. Rules never guess from a number that is missing. The
 * document: `generated_from`, `warnings[]` (the contract's rules: profile, severity, signal,
 * message, suggestion, and `evidence`), `findings[]` (the own rules: the same keys; `profile` is
 * the summary's profile or run folder). `evidence`: metric, baseline, current, change_pct, samples,
 * confidence
 * ("low", "medium", "high": see suggest_rules.c), next_command.
 */
#ifndef PW_SLA_SUGGEST_H
#define PW_SLA_SUGGEST_H

#include <jansson.h>
#include "core/document.h"
#include "core/err.h"
#include "core/summary.h"

/* Adds the contract's warnings for `index` to `document` (made by pw_suggest_new()). */
json_t *pw_suggest_new(const char *generated_from, struct pw_err *err);
int pw_suggest_from_index(const json_t *index, const char *index_path, json_t *document,
                          struct pw_err *err);
/* Adds the own rules' findings for a summary. */
int pw_suggest_from_summary(const struct pw_summary *summary, const char *path, json_t *document,
                            struct pw_err *err);
/* The document as headings and findings, worst first. */
void pw_suggest_report(const json_t *document, struct pw_document *report);

/* The tables themselves, for `perfwrap suggest --rules` and the docs. */
void pw_suggest_list_rules(struct pw_document *report);

#endif
