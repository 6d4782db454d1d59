#include "collector/classify.h"

#include <stdlib.h>
#include <string.h>
#include "core/limits.h"
#include "core/pattern.h"

const struct pw_classifier_spec pw_classifier_defaults = {
    .patterns = {[PW_FAMILY_TURN] = "turn.*(duration|latency)|codex\\.turn",
                 [PW_FAMILY_ACTION] = "(tool|exec_command|apply_patch|search|agent).*"
                                      "(duration|latency)|codex\\.tool",
                 [PW_FAMILY_STREAM] = "(stream|first_token|first_event|ttfb|chunk).*"
                                      "(duration|latency|ms)",
                 [PW_FAMILY_QUEUE] = "queue|queued|cancel|cancell|interrupt|abort"},
    .action_attributes = "gen_ai.tool.name,tool.name,tool_name,tool,action.name,action",
    .action_log_pattern = "tool.?(result|call|execution|end)|action.?(result|end)",
};

struct pw_classifier {
    struct pw_pattern *families[PW_FAMILY_COUNT];
    struct pw_pattern *action_log;
    char *attribute_text;    /* the names, each with a NUL */
    const char **attributes; /* into it, best first */
    size_t attribute_count;
};

void pw_classifier_free(struct pw_classifier *classifier)
{
    if (!classifier)
        return;
    for (int family = 0; family < PW_FAMILY_COUNT; family++)
        pw_pattern_free(classifier->families[family]);
    pw_pattern_free(classifier->action_log);
    free(classifier->attribute_text);
    free(classifier->attributes);
    free(classifier);
}

static int compile(const char *what, const char *name, const char *text,
                   struct pw_pattern **ret_pattern, struct pw_err *err)
{
    if (pw_pattern_new(text, true, ret_pattern, err) != 0)
        return pw_err_prefix(err, "%s%s", what, name);
    return 0;
}

static int compile_all(struct pw_classifier *classifier, const struct pw_classifier_spec *spec,
                       struct pw_err *err)
{
    for (int family = 0; family < PW_FAMILY_COUNT; family++) {
        const char *pattern = spec->patterns[family];
        if (!pattern)
            pattern = pw_classifier_defaults.patterns[family];
        if (compile("pattern of metric family ", pw_family_name((enum pw_family)family), pattern,
                    &classifier->families[family], err) != 0)
            return -1;
    }
    const char *pattern = spec->action_log_pattern;
    if (!pattern)
        pattern = pw_classifier_defaults.action_log_pattern;
    return compile("pattern of log events that end an action", "", pattern, &classifier->action_log,
                   err);
}

/* Splits at commas; blanks around a name do not count, nor do empty names. */
static int split_attributes(struct pw_classifier *classifier, const char *list, struct pw_err *err)
{
    char *rest = NULL;
    classifier->attribute_text = strdup(list);
    classifier->attributes = calloc(PW_LIMIT_OPTION_LIST, sizeof *classifier->attributes);
    if (!classifier->attribute_text || !classifier->attributes) {
        pw_err_memory(err);
        return -1;
    }
    for (char *name = strtok_r(classifier->attribute_text, ",", &rest); name;
         name = strtok_r(NULL, ",", &rest)) {
        name += strspn(name, " \t");
        size_t length = strlen(name);
        while (length > 0 && strchr(" \t", name[length - 1]))
            name[--length] = '\0';
        if (length > 0 && classifier->attribute_count == PW_LIMIT_OPTION_LIST) {
            pw_err_set(err, PW_ERR_USAGE, "more than %d action attributes",
                       (int)PW_LIMIT_OPTION_LIST);
            return -1;
        }
        if (length > 0)
            classifier->attributes[classifier->attribute_count++] = name;
    }
    return 0;
}

int pw_classifier_new(const struct pw_classifier_spec *spec, struct pw_classifier **ret_classifier,
                      struct pw_err *err)
{
    struct pw_classifier *classifier = calloc(1, sizeof *classifier);
    if (!classifier)
        return pw_err_memory(err);
    const char *attributes = spec->action_attributes ? spec->action_attributes
                                                     : pw_classifier_defaults.action_attributes;
    if (compile_all(classifier, spec, err) != 0 ||
        split_attributes(classifier, attributes, err) != 0) {
        pw_classifier_free(classifier);
        return -1;
    }
    *ret_classifier = classifier;
    return 0;
}

unsigned pw_classify_metric(const struct pw_classifier *classifier, const char *name)
{
    unsigned families = 0;
    size_t length = strlen(name);
    for (int family = 0; family < PW_FAMILY_COUNT; family++)
        if (pw_pattern_matches(classifier->families[family], name, length))
            families |= PW_FAMILY_BIT(family);
    return families;
}

bool pw_classify_is_action(const struct pw_classifier *classifier, const char *attribute,
                           unsigned *ret_rank)
{
    for (size_t i = 0; i < classifier->attribute_count; i++) {
        if (strcmp(classifier->attributes[i], attribute) == 0) {
            *ret_rank = (unsigned)i;
            return true;
        }
    }
    return false;
}

bool pw_classify_is_action_log(const struct pw_classifier *classifier, const char *event_name)
{
    return pw_pattern_matches(classifier->action_log, event_name, strlen(event_name));
}
