#include "core/moments.h"

#include <stdio.h>
#include "core/clock.h"
#include "core/json.h"

void pw_moments_init(struct pw_moments *moments)
{
    for (size_t i = 0; i < PW_LIMIT_MOMENTS; i++) {
        moments->at_ns[i] = -1;
    }
}

/* The moments that came, earliest first; insertion, for they mostly come in the order of the names.
 */
static size_t sort_moments(const struct pw_moment_names *names, const struct pw_moments *moments,
                           size_t ret_order[PW_LIMIT_MOMENTS])
{
    size_t count = 0;
    for (size_t i = 0; i < names->count; i++) {
        if (moments->at_ns[i] < 0) {
            continue;
        }
        size_t place = count++;
        while (place > 0 && moments->at_ns[ret_order[place - 1]] > moments->at_ns[i]) {
            ret_order[place] = ret_order[place - 1];
            place--;
        }
        ret_order[place] = i;
    }
    return count;
}

void pw_moments_phases(const struct pw_moment_names *names, const struct pw_moments *moments,
                       int64_t duration_ns, int64_t ret_phase_ns[PW_LIMIT_MOMENTS + 1])
{
    size_t order[PW_LIMIT_MOMENTS];
    int64_t last_ns = 0;
    for (size_t i = 0; i <= PW_LIMIT_MOMENTS; i++) {
        ret_phase_ns[i] = -1;
    }
    if (duration_ns < 0) {
        return;
    }
    size_t count = sort_moments(names, moments, order);
    for (size_t i = 0; i < count; i++) {
        /* Telemetry may tell of a moment after the worker's end; a phase does not reach beyond. */
        int64_t at_ns = moments->at_ns[order[i]];
        at_ns = at_ns < duration_ns ? at_ns : duration_ns;
        ret_phase_ns[order[i]] = at_ns - last_ns;
        last_ns = at_ns;
    }
    ret_phase_ns[names->count] = duration_ns - last_ns;
}

void pw_moment_key(const char *name, char ret_key[PW_MOMENT_KEY_MAX])
{
    snprintf(ret_key, PW_MOMENT_KEY_MAX, "%s_ms", name);
}

static json_t *milliseconds(int64_t ns)
{
    return ns < 0 ? json_null() : pw_json_number(pw_value_of(pw_ns_to_ms(ns)), false);
}

static void put(json_t *object, const char *name, int64_t ns, bool *failed)
{
    char key[PW_MOMENT_KEY_MAX];
    pw_moment_key(name, key);
    pw_json_put(object, key, milliseconds(ns), failed);
}

json_t *pw_moments_to_json(const struct pw_moment_names *names, const struct pw_moments *moments,
                           bool *failed)
{
    json_t *object = json_object();
    for (size_t i = 0; i < names->count; i++) {
        put(object, names->names[i], moments->at_ns[i], failed);
    }
    return object;
}

json_t *pw_phases_to_json(const struct pw_moment_names *names, const struct pw_moments *moments,
                          int64_t duration_ns, bool *failed)
{
    int64_t phase_ns[PW_LIMIT_MOMENTS + 1];
    json_t *object = json_object();
    pw_moments_phases(names, moments, duration_ns, phase_ns);
    for (size_t i = 0; i < names->count; i++) {
        put(object, names->names[i], phase_ns[i], failed);
    }
    put(object, PW_PHASE_END, phase_ns[names->count], failed);
    return object;
}
