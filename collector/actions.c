#include "collector/actions.h"

#include <string.h>

void pw_action_facts_add(struct pw_action_facts *facts, const struct pw_classifier *classifier,
                         const char *key, const char *string, int boolean)
{
    unsigned rank;
    if (strcmp(key, "success") == 0 && (string || boolean >= 0)) {
        facts->has_success = true;
        facts->is_false = string ? strcasecmp(string, "false") == 0 : boolean == 0;
    }
    if (string && string[0] != '\0' && pw_classify_is_action(classifier, key, &rank) &&
        (!facts->name || rank < facts->rank)) {
        facts->name = string;
        facts->rank = rank;
    }
}

void pw_action_facts_add_value(struct pw_action_facts *facts,
                               const struct pw_classifier *classifier,
                               const Otlp__KeyValue *attribute)
{
    const Otlp__AnyValue *value = attribute->value;
    if (value && value->value_case == OTLP__ANY_VALUE__VALUE_STRING_VALUE)
        pw_action_facts_add(facts, classifier, attribute->key, value->string_value, -1);
    else if (value && value->value_case == OTLP__ANY_VALUE__VALUE_BOOL_VALUE)
        pw_action_facts_add(facts, classifier, attribute->key, NULL, value->bool_value ? 1 : 0);
}
