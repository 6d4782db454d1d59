/* Bounds on marks and phases: marks.NAME_ms AGGREGATE, phases.NAME_ms AGGREGATE. Which names there
 * are is known of a summary only. */
#include <stdlib.h>
#include <string.h>
#include "core/limits.h"
#include "core/moments.h"
#include "sla/subject_impl.h"

static const char *const prefixes[] = {"marks.", "phases."};

/* NULL: of another kind. */
static const char *prefix_of(const char *name)
{
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0) {
            return prefixes[i];
        }
    }
    return NULL;
}

bool pw_subject_is_moment(const char *name)
{
    return prefix_of(name) != NULL;
}

static int shown(const char *name)
{
    return pw_piece_shown((struct pw_piece){name, strlen(name)});
}

static int remedy_with_aggregates(const char *name, struct pw_err *err)
{
    return pw_err_remedy(err,
                         "It has mean, med, min, max, stddev, mad, count and p(0) to p(100): "
                         "`%.*s p(95)`.",
                         shown(name), name);
}

/* What stands behind the prefix must be a key: "ready_ms". */
static int check_name(const char *name, const char *prefix, struct pw_err *err)
{
    static const char suffix[] = "_ms";
    const char *key = name + strlen(prefix);
    size_t length = strlen(key), end = strlen(suffix);
    size_t allowed = strspn(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                 "0123456789_-");
    if (length == 0) {
        pw_err_set(err, PW_ERR_USAGE, "`%s` has no name behind it", name);
        return pw_err_remedy(err, "Write `%sNAME_ms`, with NAME of --mark.", prefix);
    }
    if (allowed < length || length >= PW_MOMENT_KEY_MAX) {
        pw_err_set(err, PW_ERR_USAGE, "`%.*s` is no name of a mark", shown(name), name);
        return pw_err_remedy(err,
                             "A mark's name is at most %d of A-Z a-z 0-9 _ and -; behind it stand "
                             "_ms and, if need be, one statistic: `%sready_ms p(95)`.",
                             PW_LIMIT_MOMENT_NAME, prefix);
    }
    if (length <= end || strcmp(key + length - end, suffix) != 0) {
        pw_err_set(err, PW_ERR_USAGE, "unknown metric `%.*s`", shown(name), name);
        return pw_err_remedy(err, "Did you mean `%.*s_ms`?", shown(name), name);
    }
    return 0;
}

static int check_aggregate(const char *name, enum pw_aggregate_kind kind, struct pw_err *err)
{
    if (kind == PW_AGGREGATE_NONE) {
        pw_err_set(err, PW_ERR_USAGE, "`%.*s` is many values: which number of them?", shown(name),
                   name);
        return remedy_with_aggregates(name, err);
    }
    if (kind == PW_AGGREGATE_TOTAL || kind == PW_AGGREGATE_FAILURES) {
        char text[PW_AGGREGATE_TEXT_MAX];
        pw_aggregate_text((struct pw_aggregate){.kind = kind}, text);
        pw_err_set(err, PW_ERR_USAGE, "`%.*s` has no %s", shown(name), name, text);
        return remedy_with_aggregates(name, err);
    }
    return 0;
}

/* Cuts `.p95` off and gives its aggregate; false if there is no such word. */
static bool cut_statistic(char *name, const char *prefix, struct pw_aggregate *ret_aggregate)
{
    char *dot = strrchr(name + strlen(prefix), '.');
    if (!dot || !pw_aggregate_find((struct pw_piece){dot + 1, strlen(dot + 1)}, ret_aggregate)) {
        return false;
    }
    *dot = '\0';
    return true;
}

static int resolve(char *name, const char *prefix, struct pw_aggregate *aggregate,
                   enum pw_subject_fault *ret_fault, struct pw_err *err)
{
    bool written = aggregate->kind != PW_AGGREGATE_NONE;
    struct pw_aggregate stated;
    *ret_fault = PW_FAULT_NAME;
    if (cut_statistic(name, prefix, &stated)) {
        if (written) {
            *ret_fault = PW_FAULT_AGGREGATE;
            pw_err_set(err, PW_ERR_USAGE, "`%.*s` has a statistic in its name already", shown(name),
                       name);
            return pw_err_remedy(err, "Leave one of the two out.");
        }
        *aggregate = stated;
    }
    if (check_name(name, prefix, err) != 0) {
        return -1;
    }
    *ret_fault = written ? PW_FAULT_AGGREGATE : PW_FAULT_NAME;
    return check_aggregate(name, aggregate->kind, err);
}

int pw_subject_resolve_moment(const char *name, struct pw_aggregate aggregate,
                              struct pw_bound *bound, enum pw_subject_fault *ret_fault,
                              struct pw_err *err)
{
    enum pw_subject_fault fault = PW_FAULT_NAME;
    const char *prefix = prefix_of(name);
    if (!prefix) {
        return pw_err_set(err, PW_ERR_INTERNAL, "`%.*s` is of no mark", shown(name), name);
    }
    char *own = strdup(name);
    if (!own) {
        return pw_err_memory(err);
    }
    if (resolve(own, prefix, &aggregate, &fault, err) != 0) {
        *ret_fault = fault;
        free(own);
        return -1;
    }
    bound->subject = PW_SUBJECT_MOMENT;
    bound->name = own;
    bound->aggregate = aggregate;
    return 0;
}
