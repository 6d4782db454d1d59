/* A bound as typed. What is taken must be plain: finite numbers, a name, a label; and its text, or
 * the same bound written from its parts, must be taken as the same bound. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/limits.h"
#include "core/str.h"
#include "sla/expression.h"
#include "sla/flags.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_operand(struct pw_operand a, struct pw_operand b)
{
    return a.factor == b.factor && a.value == b.value && same_text(a.unit, b.unit);
}

static void require_same(const struct pw_bound *a, const struct pw_bound *b)
{
    require(pw_bound_is_same(a, b) && a->op == b->op && a->metric == b->metric);
    require(same_operand(a->limit, b->limit) && same_operand(a->tolerance, b->tolerance));
}

static void write_operand(struct pw_str *text, struct pw_operand operand)
{
    if (operand.factor != 0) {
        pw_str_addf(text, "baseline*%.17g%s", operand.factor, operand.value < 0 ? "" : "+");
    }
    pw_str_addf(text, "%.17g%s", operand.value, operand.unit ? operand.unit : "");
}

/* The bound from its parts, the name always in quotes. */
static void write_bound(struct pw_str *text, const struct pw_bound *bound)
{
    static const char *const prefixes[] = {
        [PW_SUBJECT_METRIC] = "",    [PW_SUBJECT_OTEL] = "otel.", [PW_SUBJECT_ACTION] = "action.",
        [PW_SUBJECT_SPAN] = "span.", [PW_SUBJECT_MOMENT] = "",    [PW_SUBJECT_NUMBER] = "",
    };
    static const char *const aggregates[] = {
        [PW_AGGREGATE_NONE] = "",       [PW_AGGREGATE_MEAN] = "mean",
        [PW_AGGREGATE_PERCENTILE] = "", [PW_AGGREGATE_MIN] = "min",
        [PW_AGGREGATE_MAX] = "max",     [PW_AGGREGATE_STDDEV] = "stddev",
        [PW_AGGREGATE_MAD] = "mad",     [PW_AGGREGATE_TOTAL] = "total",
        [PW_AGGREGATE_COUNT] = "count", [PW_AGGREGATE_FAILURES] = "failures",
    };
    pw_str_addf(text, "\"%s", prefixes[bound->subject]);
    for (const char *at = bound->name; *at != '\0'; at++) {
        if (*at == '"' || *at == '\\') {
            pw_str_add_char(text, '\\');
        }
        pw_str_add_char(text, *at);
    }
    pw_str_addf(text, "\"%s", aggregates[bound->aggregate.kind]);
    if (bound->aggregate.kind == PW_AGGREGATE_PERCENTILE) {
        pw_str_addf(text, "p(%.17g)", 100 * bound->aggregate.p);
    }
    pw_str_addf(text, " %s ", pw_bound_op_text(bound->op));
    if (bound->op == PW_OP_WITHIN) {
        write_operand(text, bound->tolerance);
        pw_str_add(text, " of ");
    }
    write_operand(text, bound->limit);
}

static void check_taken(const struct pw_bound *bound)
{
    require(bound->name && bound->name[0] != '\0' && bound->label && bound->label[0] != '\0');
    require((bound->metric != NULL) == (bound->subject == PW_SUBJECT_METRIC));
    require(isfinite(bound->limit.value) && isfinite(bound->limit.factor));
    require(isfinite(bound->tolerance.value) && bound->tolerance.value >= 0);
    require(bound->aggregate.p >= 0 && bound->aggregate.p <= 1);

    struct pw_bound again;
    require(pw_expression_parse(bound->text, &again, NULL, NULL) == 0);
    require_same(bound, &again);
    require(strcmp(bound->text, again.text) == 0 && strcmp(bound->label, again.label) == 0);
    pw_bound_done(&again);

    /* 100 times p/100 need not be p. */
    double percent = 100 * bound->aggregate.p;
    PW_STR_AUTO text = PW_STR_INIT;
    write_bound(&text, bound);
    if (percent / 100 == bound->aggregate.p && text.length <= PW_LIMIT_EXPRESSION_BYTES) {
        require(pw_expression_parse(text.text, &again, NULL, NULL) == 0);
        require_same(bound, &again);
        pw_bound_done(&again);
    }
    (void)pw_sla_flag_of(bound);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = strndup((const char *)data, size);
    struct pw_bound bound;
    struct pw_err err = PW_ERR_INIT;
    size_t column = 0;
    require(text != NULL);
    if (pw_expression_parse(text, &bound, &column, &err) == 0) {
        check_taken(&bound);
        pw_bound_done(&bound);
    } else {
        char prefix[40];
        require(err.cls == PW_ERR_USAGE && column >= 1 && column <= strlen(text) + 1);
        snprintf(prefix, sizeof(prefix), "column %zu: ", column);
        require(strncmp(err.message, prefix, strlen(prefix)) == 0);
    }
    free(text);
    return 0;
}
