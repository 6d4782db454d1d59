#include "collector/classify.h"

#include <stdlib.h>
#include <string.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include "core/limits.h"

/* Far more than a name of some hundred bytes takes with any sane pattern. */
enum { MATCH_LIMIT = 100000, DEPTH_LIMIT = 1000 };

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
    pcre2_code *families[PW_FAMILY_COUNT];
    pcre2_code *action_log;
    pcre2_match_context *limits;
    char *attribute_text;    /* the names, each with a NUL */
    const char **attributes; /* into it, best first */
    size_t attribute_count;
};

void pw_classifier_free(struct pw_classifier *classifier)
{
    if (!classifier)
        return;
    for (int family = 0; family < PW_FAMILY_COUNT; family++)
        pcre2_code_free(classifier->families[family]);
    pcre2_code_free(classifier->action_log);
    pcre2_match_context_free(classifier->limits);
    free(classifier->attribute_text);
    free(classifier->attributes);
    free(classifier);
}

static int compile(const char *what, const char *name, const char *pattern, pcre2_code **ret_code,
                   struct pw_err *err)
{
    int code = 0;
    PCRE2_SIZE offset = 0;
    PCRE2_UCHAR message[128] = "";
    pcre2_code *compiled =
        pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
                      PCRE2_CASELESS | PCRE2_UTF | PCRE2_MATCH_INVALID_UTF, &code, &offset, NULL);
    if (!compiled) {
        pcre2_get_error_message(code, message, sizeof message);
        pw_err_set(err, PW_ERR_USAGE, "%s%s: `%s`: at character %zu: %s", what, name, pattern,
                   (size_t)offset + 1, (const char *)message);
        return -1;
    }
    *ret_code = compiled;
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
    if (!classifier || !(classifier->limits = pcre2_match_context_create(NULL))) {
        free(classifier);
        pw_err_memory(err);
        return -1;
    }
    pcre2_set_match_limit(classifier->limits, MATCH_LIMIT);
    pcre2_set_depth_limit(classifier->limits, DEPTH_LIMIT);
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

/* Without memory, or over the limits: no. */
static bool matches(const struct pw_classifier *classifier, const pcre2_code *code,
                    const char *text)
{
    pcre2_match_data *match = pcre2_match_data_create(1, NULL);
    if (!match)
        return false;
    int result = pcre2_match(code, (PCRE2_SPTR)text, strlen(text), 0, 0, match, classifier->limits);
    pcre2_match_data_free(match);
    return result >= 0;
}

unsigned pw_classify_metric(const struct pw_classifier *classifier, const char *name)
{
    unsigned families = 0;
    for (int family = 0; family < PW_FAMILY_COUNT; family++)
        if (matches(classifier, classifier->families[family], name))
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
    return matches(classifier, classifier->action_log, event_name);
}
