/*
 * What attributes say about an action: its name and whether it succeeded. The one place for spans,
 * log records and the attribute sets of histograms. Threads: no shared state.
 */
#ifndef PW_COLLECTOR_ACTIONS_H
#define PW_COLLECTOR_ACTIONS_H

#include <otlp.pb-c.h>
#include <stdbool.h>
#include <stddef.h>
#include "collector/classify.h"

/* Start with zeroed memory. */
struct pw_action_facts {
    const char *name; /* from the best of its attributes, borrowed; NULL: none, or empty */
    unsigned rank;
    bool has_success; /* an attribute `success` that is a boolean or a string */
    bool is_false;    /* which is false or "false" */
};

/* One attribute. `string` is NULL if its value is none; `boolean` -1 if it is none. */
void pw_action_facts_add(struct pw_action_facts *facts, const struct pw_classifier *classifier,
                         const char *key, const char *string, int boolean);
void pw_action_facts_add_value(struct pw_action_facts *facts,
                               const struct pw_classifier *classifier,
                               const Otlp__KeyValue *attribute);

#endif
