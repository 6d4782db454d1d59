/* Bounds that cannot hold together. Each bound allows an interval of its number; two intervals of
 * one number, or of two numbers whose order is known, must leave room for both. By Helly's theorem
 * in one dimension intervals of one number have a point in common if each two of them have. */
#include <math.h>
#include <string.h>
#include "sla/profile.h"
#include "sla/profile_impl.h"
#include "sla/subject_impl.h"
#include "sla/unit.h"

/* The numbers that a bound allows, in `unit`. */
struct range {
    double low, high; /* infinite: no limit */
    bool low_strict, high_strict;
};

static const struct pw_unit *find_unit(const char *name)
{
    return name ? pw_unit_find(name, strlen(name)) : NULL;
}

static const struct pw_unit *own_unit(const struct pw_bound *bound)
{
    bool in_summary = false;
    return find_unit(pw_subject_unit(bound, &in_summary));
}

/* The unit that a bound's limit is in: as written, else its number's own. */
static const struct pw_unit *unit_of(const struct pw_bound *bound)
{
    return bound->limit.unit ? find_unit(bound->limit.unit) : own_unit(bound);
}

static bool has_percent(const struct pw_bound *bound)
{
    return bound->tolerance.unit && strcmp(bound->tolerance.unit, "%") == 0;
}

/* How far from its limit a bound lets its number be, in the limit's unit. */
static bool tolerance_of(const struct pw_bound *bound, const struct pw_unit *unit,
                         double *ret_tolerance)
{
    const struct pw_operand *tolerance = &bound->tolerance;
    if (has_percent(bound)) {
        *ret_tolerance = fabs(bound->limit.value) * tolerance->value / 100;
        return true;
    }
    const struct pw_unit *from = tolerance->unit ? find_unit(tolerance->unit) : own_unit(bound);
    if (from && unit) {
        return pw_unit_convert(from, unit, tolerance->value, ret_tolerance);
    }
    *ret_tolerance = tolerance->value;
    return !from && !unit;
}

/* False if it is not known, or is no interval. */
static bool range_of(const struct pw_bound *bound, const struct pw_unit *unit,
                     struct range *ret_range)
{
    double limit = bound->limit.value, tolerance = 0;
    struct range range = {.low = -INFINITY, .high = INFINITY};
    switch (bound->op) {
    case PW_OP_LE:
    case PW_OP_LT:
        range.high = limit;
        range.high_strict = bound->op == PW_OP_LT;
        break;
    case PW_OP_GE:
    case PW_OP_GT:
        range.low = limit;
        range.low_strict = bound->op == PW_OP_GT;
        break;
    case PW_OP_EQ: range.low = range.high = limit; break;
    case PW_OP_NE: return false;
    case PW_OP_WITHIN:
        if (!tolerance_of(bound, unit, &tolerance)) {
            return false;
        }
        range.low = limit - tolerance;
        range.high = limit + tolerance;
        break;
    }
    *ret_range = range;
    return true;
}

/* Takes a range into another unit. False if they are of different kinds. */
static bool convert(struct range *range, const struct pw_unit *from, const struct pw_unit *to)
{
    if (!from || !to) {
        return from == to;
    }
    return pw_unit_convert(from, to, range->low, &range->low) &&
           pw_unit_convert(from, to, range->high, &range->high);
}

/* Rounding of a few operations must not make 0.005 s and 5 ms differ. */
static const double ROUNDING = 1e-12;

/* Whether no number of `lower` is at most some number of `upper`. */
static bool is_above(const struct range *lower, const struct range *upper)
{
    if (isinf(lower->low) || isinf(upper->high)) {
        return false;
    }
    double slack = ROUNDING * fmax(fabs(lower->low), fabs(upper->high));
    if (fabs(lower->low - upper->high) <= slack) {
        return lower->low_strict || upper->high_strict;
    }
    return lower->low > upper->high;
}

/* The place of a statistic among percentiles, if it has one. */
static bool rank_of(const struct pw_aggregate *aggregate, double *ret_rank)
{
    switch (aggregate->kind) {
    case PW_AGGREGATE_MIN: *ret_rank = 0; return true;
    case PW_AGGREGATE_MAX: *ret_rank = 1; return true;
    case PW_AGGREGATE_PERCENTILE: *ret_rank = aggregate->p; return true;
    default: return false;
    }
}

/* Whether a <= b, whatever the sample. */
static bool is_ordered(const struct pw_aggregate *a, const struct pw_aggregate *b)
{
    double rank_a = 0, rank_b = 0;
    bool ranked_a = rank_of(a, &rank_a), ranked_b = rank_of(b, &rank_b);
    if (ranked_a && ranked_b) {
        return rank_a <= rank_b;
    }
    if (a->kind == PW_AGGREGATE_MEAN && ranked_b) {
        return rank_b >= 1;
    }
    if (b->kind == PW_AGGREGATE_MEAN && ranked_a) {
        return rank_a <= 0;
    }
    return a->kind == b->kind;
}

static bool has_condition(const struct pw_bound *bound, const char *condition)
{
    for (size_t i = 0; i < bound->condition_count; i++) {
        if (strcmp(bound->conditions[i], condition) == 0) {
            return true;
        }
    }
    return false;
}

/* Whether b applies wherever a does. */
static bool conditions_include(const struct pw_bound *a, const struct pw_bound *b)
{
    for (size_t i = 0; i < b->condition_count; i++) {
        if (!has_condition(a, b->conditions[i])) {
            return false;
        }
    }
    return true;
}

bool pw_bound_same_conditions(const struct pw_bound *a, const struct pw_bound *b)
{
    return conditions_include(a, b) && conditions_include(b, a);
}

static bool contradicts_equal(const struct pw_bound *not_equal, const struct pw_bound *equal)
{
    double limit = equal->limit.value;
    const struct pw_unit *from = unit_of(equal), *to = unit_of(not_equal);
    if (not_equal->op != PW_OP_NE || equal->op != PW_OP_EQ ||
        (from && to ? !pw_unit_convert(from, to, limit, &limit) : from != to)) {
        return false;
    }
    return fabs(limit - not_equal->limit.value) <= ROUNDING * fabs(limit);
}

bool pw_bounds_clash(const struct pw_bound *a, const struct pw_bound *b)
{
    if (pw_bound_uses_baseline(a) || pw_bound_uses_baseline(b) || a->subject != b->subject ||
        strcmp(a->name, b->name) != 0 || (!conditions_include(a, b) && !conditions_include(b, a))) {
        return false;
    }
    const struct pw_aggregate *first = &a->aggregate, *second = &b->aggregate;
    bool below = is_ordered(first, second), above = is_ordered(second, first);
    if (below && above && (contradicts_equal(a, b) || contradicts_equal(b, a))) {
        return true;
    }
    struct range range_a, range_b;
    const struct pw_unit *unit = unit_of(a);
    if (!range_of(a, unit, &range_a) || !range_of(b, unit_of(b), &range_b) ||
        !convert(&range_b, unit_of(b), unit)) {
        return false;
    }
    return (below && is_above(&range_a, &range_b)) || (above && is_above(&range_b, &range_a));
}

int pw_bounds_check_possible(const struct pw_bounds *bounds, struct pw_err *err)
{
    for (size_t i = 0; i < bounds->count; i++) {
        const struct pw_bound *a = &bounds->items[i];
        for (size_t j = 0; j <= i; j++) {
            const struct pw_bound *b = &bounds->items[j];
            if (!pw_bounds_clash(b, a)) {
                continue;
            }
            if (i == j) {
                return pw_err_set(err, PW_ERR_USAGE, "no number keeps the bound `%s`", a->text);
            }
            return pw_err_set(err, PW_ERR_USAGE, "the bounds `%s` and `%s` cannot both hold",
                              b->text, a->text);
        }
    }
    return 0;
}
