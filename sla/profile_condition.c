/* Conditions of bounds: the name of a block of the summary, or an expression. A block that no
 * summary can hold is refused: a bound that never applies would pass everything. */
#include <stdlib.h>
#include <string.h>
#include "core/metric.h"
#include "core/str.h"
#include "sla/expression.h"
#include "sla/profile.h"
#include "sla/profile_impl.h"

/* Blocks of `summary` that hold no metric of the table. */
static const char *const other_blocks[] = {
    "queue_cancel_metrics",
    "failed_iterations",
    "resource_budget",
    "resource_budget.time_budget_ms",
    "resource_budget.cpu_budget",
    "resource_budget.process_budget",
    "resource_budget.stability",
    "otel_metrics",
    "otel_actions",
    "otel_spans",
    "marks",
    "phases",
};
enum { OTHER_BLOCK_COUNT = sizeof other_blocks / sizeof *other_blocks };

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-';
}

bool pw_condition_is_block(const char *condition)
{
    const char *at = condition;
    while (is_name_byte(*at)) {
        at++;
    }
    return at > condition && *at == '\0';
}

/* Whether `path` is `name`, or lies below it. */
static bool is_at_or_below(const char *path, const char *name, size_t length)
{
    return strncmp(path, name, length) == 0 && (path[length] == '\0' || path[length] == '.');
}

static bool is_known(const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 0; i < PW_METRIC_COUNT; i++) {
        if (is_at_or_below(pw_metrics[i].path, name, length)) {
            return true;
        }
    }
    for (size_t i = 0; i < OTHER_BLOCK_COUNT; i++) {
        if (strcmp(other_blocks[i], name) == 0) {
            return true;
        }
    }
    /* What stands in these is named on the command line of the run. */
    return strncmp(name, "marks.", strlen("marks.")) == 0 ||
           strncmp(name, "phases.", strlen("phases.")) == 0;
}

/* The names of blocks: of each metric its own path, and the first part of it. */
enum { NAMES_MAX = 2 * PW_METRIC_COUNT + OTHER_BLOCK_COUNT };

static int fail_unknown(const char *name, struct pw_err *err)
{
    const char *names[NAMES_MAX + 1];
    char *owned[PW_METRIC_COUNT];
    size_t count = 0, owned_count = 0;
    for (size_t i = 0; i < OTHER_BLOCK_COUNT; i++) {
        names[count++] = other_blocks[i];
    }
    for (size_t i = 0; i < PW_METRIC_COUNT; i++) {
        const char *path = pw_metrics[i].path;
        names[count++] = path;
        char *first = strndup(path, strcspn(path, "."));
        if (first) {
            names[count++] = owned[owned_count++] = first;
        }
    }
    names[count] = NULL;
    const char *nearest = pw_nearest_name(name, names);
    if (nearest) {
        (void)pw_err_set(err, PW_ERR_USAGE, "no summary has a block `%s`; did you mean `%s`?", name,
                         nearest);
    } else {
        (void)pw_err_set(err, PW_ERR_USAGE, "no summary has a block `%s`", name);
    }
    while (owned_count > 0) {
        free(owned[--owned_count]);
    }
    return pw_err_remedy(err, "A condition is a block of the summary, such as `top_attach`, or a "
                              "bound, such as `xctrace.trace_count > 0`.");
}

int pw_condition_check(const char *condition, size_t *ret_column, struct pw_err *err)
{
    if (pw_condition_is_block(condition)) {
        if (is_known(condition)) {
            return 0;
        }
        *ret_column = 1;
        return fail_unknown(condition, err);
    }
    struct pw_bound bound = {0};
    if (pw_expression_parse(condition, &bound, ret_column, err) != 0) {
        return -1;
    }
    bool relative = pw_bound_uses_baseline(&bound);
    pw_bound_done(&bound);
    if (relative) {
        *ret_column = 1;
        return pw_err_set(err, PW_ERR_USAGE, "a condition cannot be in terms of a baseline");
    }
    return 0;
}
