/*
 * Which metrics, spans and log records mean what: metric families by name (contract, section 6),
 * and which attributes name a tool or action, its success and its duration.
 *
 * Patterns are PCRE2, matched anywhere in the name, ignoring case, with a match limit. A classifier
 * is constant after it is made; any thread may use it.
 */
#ifndef PW_COLLECTOR_CLASSIFY_H
#define PW_COLLECTOR_CLASSIFY_H

#include <stdbool.h>
#include <stddef.h>
#include "core/err.h"
#include "core/telemetry.h"

struct pw_classifier_spec {
    const char *patterns[PW_FAMILY_COUNT]; /* NULL: the contract's */
    const char *action_attributes;         /* names, comma-separated; NULL: the default */
    const char
        *action_log_pattern; /* event names of log records that end an action; NULL: default */
};
/* The defaults, for help and documentation. */
extern const struct pw_classifier_spec pw_classifier_defaults;

struct pw_classifier;
/* PW_ERR_USAGE with the place in the pattern if one is faulty. */
int pw_classifier_new(const struct pw_classifier_spec *spec, struct pw_classifier **ret_classifier,
                      struct pw_err *err);
void pw_classifier_free(struct pw_classifier *classifier); /* NULL is fine */

/* PW_FAMILY_BIT()s of the families that a metric's name belongs to. */
unsigned pw_classify_metric(const struct pw_classifier *classifier, const char *name);
/* Whether an attribute of that name tells the tool or action: by default `gen_ai.tool.name`,
 * `tool.name`, `tool_name`, `tool`, `action.name`, `action`. The smaller *ret_rank, the better. */
bool pw_classify_is_action(const struct pw_classifier *classifier, const char *attribute,
                           unsigned *ret_rank);
/* Whether a log record with that event name reports an action that has ended: by default
 * `tool.?(result|call|execution|end)|action.?(result|end)`. */
bool pw_classify_is_action_log(const struct pw_classifier *classifier, const char *event_name);

#endif
