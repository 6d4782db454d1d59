#include "sla/guest.h"

#include <math.h>

const char *const pw_guest_keys[PW_GUEST_KEYS] = {
    "accelerator", "guest_kernel",         "monitor", "boot_start",
    "cache_state", "transparent_hugepage", "ksm",
};

const json_t *pw_guest_value(const json_t *root, const char *key)
{
    const json_t *value = json_object_get(json_object_get(root, "environment"), key);
    return json_is_string(value) || json_is_number(value) ? value : NULL;
}

bool pw_guest_is_one(const json_t *root)
{
    return json_is_string(pw_guest_value(root, "guest_kernel")) ||
           json_is_string(pw_guest_value(root, "monitor"));
}

bool pw_guest_differs(const json_t *a, const json_t *b, const char *key)
{
    const json_t *one = pw_guest_value(a, key), *other = pw_guest_value(b, key);
    if (!one || !other) {
        return false;
    }
    if (json_is_number(one) && json_is_number(other)) { /* 0 and 0.0 are the same */
        return fabs(json_number_value(one) - json_number_value(other)) > 0;
    }
    return !json_equal(one, other);
}

const char *pw_guest_difference(const json_t *a, const json_t *b)
{
    if (!pw_guest_is_one(a) || !pw_guest_is_one(b)) {
        return NULL;
    }
    for (size_t i = 0; i < PW_GUEST_KEYS; i++) {
        if (pw_guest_differs(a, b, pw_guest_keys[i])) {
            return pw_guest_keys[i];
        }
    }
    return NULL;
}

void pw_guest_add_value(struct pw_str *out, const json_t *value)
{
    if (json_is_string(value)) {
        pw_str_add(out, json_string_value(value));
    } else {
        pw_str_addf(out, "%g", json_number_value(value));
    }
}
