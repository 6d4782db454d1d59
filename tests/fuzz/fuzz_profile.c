/* A profile from outside. What is taken must be whole: bounds that have texts which parse again and
 * that can hold together. And the places of values in the text: what jansson reads at each of them
 * must be that value. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "core/json_place.h"
#include "sla/expression.h"
#include "sla/profile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DEPTH_MAX = 5, MEMBERS_MAX = 8 };

static void check_place(const char *text, size_t size, const json_t *value,
                        const struct pw_json_step *steps, size_t depth)
{
    struct pw_json_place place, key;
    if (!pw_json_place_find(text, size, steps, depth, false, &place) ||
        !pw_json_place_find(text, size, steps, depth, true, &key) || place.offset >= size ||
        key.offset > place.offset) {
        abort();
    }
    json_t *again = json_loadb(text + place.offset, size - place.offset,
                               JSON_DECODE_ANY | JSON_DISABLE_EOF_CHECK, NULL);
    if (!json_equal(again, value)) {
        abort();
    }
    json_decref(again);
    if (json_is_string(value)) {
        size_t length = json_string_length(value);
        struct pw_json_place end = pw_json_place_in_string(text, size, place, length);
        if (text[end.offset] != '"' || end.offset <= place.offset) {
            abort();
        }
        struct pw_json_place last = pw_json_place_in_string(text, size, place, length / 2);
        if (last.offset > end.offset || last.line != place.line || last.column <= place.column) {
            abort();
        }
    }
}

static void check_places(const char *text, size_t size, const json_t *value,
                         struct pw_json_step *steps, size_t depth)
{
    check_place(text, size, value, steps, depth);
    if (depth == DEPTH_MAX) {
        return;
    }
    size_t count = 0;
    const json_t *member;
    json_object_foreach((json_t *)value, steps[depth].key, member)
    {
        if (++count <= MEMBERS_MAX) {
            check_places(text, size, member, steps, depth + 1);
        }
    }
    for (size_t i = 0; i < json_array_size(value) && i < MEMBERS_MAX; i++) {
        steps[depth] = (struct pw_json_step){.index = i};
        check_places(text, size, json_array_get(value, i), steps, depth + 1);
    }
}

static void check_profile(const struct pw_profile *profile)
{
    if (!profile->name || profile->bounds.count == 0 ||
        pw_bounds_check_possible(&profile->bounds, NULL) != 0) {
        abort();
    }
    for (size_t i = 0; i < profile->bounds.count; i++) {
        const struct pw_bound *bound = &profile->bounds.items[i];
        struct pw_bound again = {0};
        if (!bound->label || pw_expression_parse(bound->text, &again, NULL, NULL) != 0 ||
            !pw_bound_is_same(bound, &again)) {
            abort();
        }
        pw_bound_done(&again);
        for (size_t j = 0; j < bound->condition_count; j++) {
            struct pw_bound condition = {0};
            if (!pw_condition_is_block(bound->conditions[j]) &&
                pw_expression_parse(bound->conditions[j], &condition, NULL, NULL) != 0) {
                abort();
            }
            pw_bound_done(&condition);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    if (!text) {
        return 0;
    }
    memcpy(text, data, size);
    text[size] = '\0';
    json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
    if (root) {
        struct pw_json_step steps[DEPTH_MAX] = {{NULL, 0}};
        check_places(text, size, root, steps, 0);
    }
    /* Files of this machine are not read: there is no such folder for relative paths to begin in.
     */
    const char *extends = json_string_value(json_object_get(root, "extends"));
    struct pw_profile profile;
    struct pw_err err = PW_ERR_INIT;
    if (!extends || extends[0] != '/') {
        if (pw_profile_parse(text, size, "/no/such/folder/fuzz.json", &profile, &err) == 0) {
            check_profile(&profile);
            pw_profile_done(&profile);
        } else if (err.message[0] == '\0') {
            abort();
        }
    }
    json_decref(root);
    free(text);
    return 0;
}
