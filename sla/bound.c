#include "sla/bound.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "core/err.h"

void pw_bound_done(struct pw_bound *bound)
{
    free(bound->label);
    free(bound->text);
    free(bound->name);
    for (size_t i = 0; i < bound->condition_count; i++) {
        free(bound->conditions[i]);
    }
    *bound = (struct pw_bound){0};
}

const char *pw_bound_op_text(enum pw_bound_op op)
{
    static const char *const texts[] = {
        [PW_OP_LE] = "<=", [PW_OP_LT] = "<",  [PW_OP_GE] = ">=",         [PW_OP_GT] = ">",
        [PW_OP_EQ] = "==", [PW_OP_NE] = "!=", [PW_OP_WITHIN] = "within",
    };
    return texts[op];
}

bool pw_bound_uses_baseline(const struct pw_bound *bound)
{
    return bound->limit.factor != 0;
}

void pw_bounds_done(struct pw_bounds *bounds)
{
    for (size_t i = 0; i < bounds->count; i++) {
        pw_bound_done(&bounds->items[i]);
    }
    free(bounds->items);
    *bounds = (struct pw_bounds){0};
}

static int grow(struct pw_bounds *bounds, struct pw_err *err)
{
    if (bounds->count < bounds->capacity) {
        return 0;
    }
    size_t capacity = bounds->capacity > 0 ? 2 * bounds->capacity : 16;
    struct pw_bound *items = NULL;
    if (capacity <= SIZE_MAX / sizeof(*items)) {
        items = realloc(bounds->items, capacity * sizeof(*items));
    }
    if (!items) {
        return pw_err_memory(err);
    }
    bounds->items = items;
    bounds->capacity = capacity;
    return 0;
}

int pw_bounds_add(struct pw_bounds *bounds, struct pw_bound *bound, struct pw_err *err)
{
    if (grow(bounds, err) != 0) {
        pw_bound_done(bound);
        return -1;
    }
    size_t place = bounds->count;
    while (place > 0 && bounds->items[place - 1].order > bound->order) {
        place--;
    }
    memmove(&bounds->items[place + 1], &bounds->items[place],
            (bounds->count - place) * sizeof(*bound));
    bounds->items[place] = *bound;
    bounds->count++;
    *bound = (struct pw_bound){0};
    return 0;
}

/* A number can be bounded once from above and once from below, and so on. */
static enum pw_bound_op direction(enum pw_bound_op op)
{
    return op == PW_OP_LT ? PW_OP_LE : op == PW_OP_GT ? PW_OP_GE : op;
}

bool pw_bound_is_same(const struct pw_bound *a, const struct pw_bound *b)
{
    return a->subject == b->subject && a->aggregate.kind == b->aggregate.kind &&
           (a->aggregate.kind != PW_AGGREGATE_PERCENTILE || a->aggregate.p == b->aggregate.p) &&
           direction(a->op) == direction(b->op) && strcmp(a->name, b->name) == 0;
}

int pw_bounds_override(struct pw_bounds *bounds, struct pw_bound *bound, struct pw_err *err)
{
    for (size_t i = 0; i < bounds->count; i++) {
        struct pw_bound *old = &bounds->items[i];
        if (!pw_bound_is_same(old, bound)) {
            continue;
        }
        if (bound->order == PW_BOUND_ORDER_OWN || bound->order == old->order) {
            bound->order = old->order;
            pw_bound_done(old);
            *old = *bound;
            *bound = (struct pw_bound){0};
            return 0;
        }
        pw_bound_done(old);
        bounds->count--;
        memmove(old, old + 1, (bounds->count - i) * sizeof(*old));
        break;
    }
    return pw_bounds_add(bounds, bound, err);
}
