#include <stdlib.h>
#include <string.h>
#include "core/cpu_profile.h"
#include "core/json.h"
#include "core/saturate.h"

static int hotspot_order(const void *a, const void *b)
{
    const struct pw_hotspot *left = a;
    const struct pw_hotspot *right = b;
    if (left->self_ns != right->self_ns) {
        return left->self_ns < right->self_ns ? 1 : -1;
    }
    int order = strcmp(left->frame->name, right->frame->name);
    order = order != 0 ? order : strcmp(left->frame->object, right->frame->object);
    return order != 0 ? order : (int)left->frame->kind - (int)right->frame->kind;
}

static void weigh(const struct pw_cpu_profile *profile, struct pw_hotspot *spots, size_t *seen_in)
{
    for (size_t i = 0; i < profile->stack_count; i++) {
        const struct pw_stack *stack = &profile->stacks[i];
        struct pw_hotspot *leaf = &spots[stack->frames[0]];
        leaf->samples = pw_add_saturated(leaf->samples, stack->samples);
        leaf->self_ns = pw_add_ns_saturated(leaf->self_ns, stack->weight_ns);
        for (uint32_t k = 0; k < stack->depth; k++) {
            uint32_t frame = stack->frames[k];
            if (seen_in[frame] != i + 1) {
                seen_in[frame] = i + 1;
                spots[frame].total_ns =
                    pw_add_ns_saturated(spots[frame].total_ns, stack->weight_ns);
            }
        }
    }
}

int pw_cpu_profile_hotspots(const struct pw_cpu_profile *profile, struct pw_hotspot **ret_hotspots,
                            size_t *ret_count, struct pw_err *err)
{
    struct pw_hotspot *spots = calloc(profile->frame_count + 1, sizeof(*spots));
    size_t *seen_in = calloc(profile->frame_count + 1, sizeof(*seen_in));
    if (!spots || !seen_in) {
        free(spots);
        free(seen_in);
        return pw_err_memory(err);
    }
    weigh(profile, spots, seen_in);
    free(seen_in);
    size_t count = 0;
    for (size_t i = 0; i < profile->frame_count; i++) {
        if (spots[i].self_ns > 0) {
            spots[count] = spots[i];
            spots[count++].frame = &profile->frames[i];
        }
    }
    if (count > 1) {
        qsort(spots, count, sizeof(*spots), hotspot_order);
    }
    *ret_hotspots = spots;
    *ret_count = count;
    return 0;
}

json_t *pw_cpu_profile_hotspots_json(const struct pw_cpu_profile *profile, size_t limit,
                                     bool *failed)
{
    struct pw_hotspot *spots = NULL;
    size_t count = 0;
    json_t *list = json_array();
    if (!list || pw_cpu_profile_hotspots(profile, &spots, &count, NULL) != 0) {
        *failed = true;
        return list;
    }
    for (size_t i = 0; i < count && i < limit; i++) {
        const struct pw_hotspot *spot = &spots[i];
        json_t *row = json_object();
        pw_json_put(row, "frame", pw_json_string_or_null(spot->frame->name), failed);
        pw_json_put(row, "weight_ms",
                    pw_json_number(pw_value_of((double)spot->self_ns / 1e6), false), failed);
        pw_json_put(row, "samples", pw_json_number(pw_value_of((double)spot->samples), true),
                    failed);
        pw_json_put(row, "total_ms",
                    pw_json_number(pw_value_of((double)spot->total_ns / 1e6), false), failed);
        const char *object = spot->frame->object;
        pw_json_put(row, "object", pw_json_string_or_null(object[0] != '\0' ? object : NULL),
                    failed);
        pw_json_append(list, row, failed);
    }
    free(spots);
    return list;
}
