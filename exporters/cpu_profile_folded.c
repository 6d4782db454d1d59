#include "core/saturate.h"
#include "exporters/cpu_profile.h"
#include "exporters/cpu_profile_impl.h"

/* Semicolons divide frames, and the last space stands before the weight (Brendan Gregg's
 * FlameGraph, flamegraph.pl): a name may hold spaces, but no semicolon. */
static void add_line(const struct pw_profile_order *order, const struct pw_stack *stack,
                     int64_t weight_ns, struct pw_str *text)
{
    int64_t weight_us = weight_ns / 1000 + (weight_ns % 1000 >= 500);
    if (weight_us == 0) {
        return;
    }
    pw_str_add(text, pw_profile_name(&order->processes, stack->process));
    if (stack->broken) {
        pw_str_add(text, ";" PW_PROFILE_BROKEN);
    }
    for (uint32_t i = stack->depth; i > 0; i--) {
        pw_str_add_char(text, ';');
        pw_str_add(text, pw_profile_name(&order->names, stack->frames[i - 1]));
    }
    pw_str_addf(text, " %lld\n", (long long)weight_us);
}

int pw_cpu_profile_to_folded(const struct pw_cpu_profile *profile, struct pw_str *ret_text,
                             struct pw_err *err)
{
    struct pw_profile_order order;
    if (pw_profile_order_make(profile, ';', false, &order, err) != 0) {
        return -1;
    }
    struct pw_str text = PW_STR_INIT;
    int64_t weight_ns = 0;
    for (size_t i = 0; i < order.stack_count; i++) {
        weight_ns = pw_add_ns_saturated(weight_ns, order.stacks[i]->weight_ns);
        /* The format has no objects: stacks that differ in these alone are one line. */
        if (i + 1 < order.stack_count &&
            pw_profile_compare(&order, order.stacks[i], order.stacks[i + 1]) == 0) {
            continue;
        }
        add_line(&order, order.stacks[i], weight_ns, &text);
        weight_ns = 0;
    }
    pw_profile_order_done(&order);
    if (text.failed) {
        pw_str_done(&text);
        return pw_err_memory(err);
    }
    pw_str_done(ret_text);
    *ret_text = text;
    return 0;
}
