/* The JSON Schema of profile files, by a loop over the same tables as the reader. What it cannot
 * say (expressions, circles, bounds that contradict each other) the reader checks. */
#include <string.h>
#include "core/json.h"
#include "core/limits.h"
#include "sla/profile.h"
#include "sla/profile_impl.h"

static json_t *of_type(const char *type, bool *failed)
{
    json_t *schema = json_object();
    pw_json_put(schema, "type", json_string(type), failed);
    return schema;
}

static json_t *line_schema(bool *failed)
{
    json_t *schema = of_type("string", failed);
    pw_json_put(schema, "minLength", json_integer(1), failed);
    pw_json_put(schema, "maxLength", json_integer(PW_LIMIT_EXPRESSION_BYTES), failed);
    pw_json_put(schema, "pattern", json_string("^[^\\u0000-\\u001f\\u007f]*$"), failed);
    return schema;
}

static json_t *whole_schema(bool *failed)
{
    json_t *schema = of_type("integer", failed);
    pw_json_put(schema, "minimum", json_integer(0), failed);
    pw_json_put(schema, "maximum", json_integer(PW_LIMIT_ITERATIONS), failed);
    return schema;
}

static json_t *choice_schema(const struct pw_profile_key *key, bool *failed)
{
    json_t *schema = of_type("string", failed);
    json_t *choices = json_array();
    for (size_t i = 0; key->choices[i]; i++) {
        pw_json_append(choices, json_string(key->choices[i]), failed);
    }
    pw_json_put(schema, "enum", choices, failed);
    return schema;
}

static json_t *object_schema(const struct pw_profile_keys *table, bool *failed);

static json_t *thresholds_schema(bool *failed)
{
    json_t *kinds = json_array();
    pw_json_append(kinds, line_schema(failed), failed);
    pw_json_append(kinds, object_schema(&pw_profile_threshold_keys, failed), failed);
    json_t *items = json_object();
    pw_json_put(items, "oneOf", kinds, failed);
    json_t *schema = of_type("array", failed);
    pw_json_put(schema, "items", items, failed);
    pw_json_put(schema, "minItems", json_integer(1), failed);
    pw_json_put(schema, "maxItems", json_integer(PW_LIMIT_PROFILE_BOUNDS), failed);
    return schema;
}

static json_t *conditions_schema(bool *failed)
{
    json_t *schema = of_type("array", failed);
    pw_json_put(schema, "items", line_schema(failed), failed);
    pw_json_put(schema, "maxItems", json_integer(PW_BOUND_CONDITIONS_MAX), failed);
    return schema;
}

static json_t *value_schema(const struct pw_profile_key *key, bool *failed)
{
    switch (key->type) {
    case PW_PROFILE_TEXT: return line_schema(failed);
    case PW_PROFILE_WHOLE: return whole_schema(failed);
    case PW_PROFILE_THRESHOLDS: return thresholds_schema(failed);
    case PW_PROFILE_CONDITIONS: return conditions_schema(failed);
    case PW_PROFILE_CHOICE: return choice_schema(key, failed);
    default: return of_type("string", failed);
    }
}

static json_t *object_schema(const struct pw_profile_keys *table, bool *failed)
{
    json_t *required = json_array(), *properties = json_object();
    for (size_t i = 0; i < table->count; i++) {
        const struct pw_profile_key *key = &table->items[i];
        json_t *value = value_schema(key, failed);
        pw_json_put(value, "description", json_string(key->help), failed);
        pw_json_put(properties, key->name, value, failed);
        if (key->required) {
            pw_json_append(required, json_string(key->name), failed);
        }
    }
    json_t *schema = of_type("object", failed);
    pw_json_put(schema, "required", required, failed);
    pw_json_put(schema, "properties", properties, failed);
    pw_json_put(schema, "additionalProperties", json_false(), failed);
    return schema;
}

/* At least one of the two keys that bring bounds. */
static json_t *either_schema(bool *failed)
{
    static const char *const names[] = {"thresholds", "extends"};
    json_t *either = json_array();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        json_t *required = json_array(), *schema = json_object();
        pw_json_append(required, json_string(names[i]), failed);
        pw_json_put(schema, "required", required, failed);
        pw_json_append(either, schema, failed);
    }
    return either;
}

json_t *pw_profile_schema(struct pw_err *err)
{
    bool failed = false;
    json_t *schema = json_object();
    json_t *body = object_schema(&pw_profile_keys, &failed);
    pw_json_put(schema, "$schema", json_string("https://json-schema.org/draft/2020-12/schema"),
                &failed);
    pw_json_put(schema, "$id", json_string("urn:perfwrap:schema:sla-profile:1"), &failed);
    pw_json_put(schema, "title", json_string("SLA profile of perfwrap: a named list of bounds"),
                &failed);
    failed = json_object_update(schema, body) != 0 || failed;
    json_decref(body);
    pw_json_put(schema, "anyOf", either_schema(&failed), &failed);
    if (failed) {
        json_decref(schema);
        pw_err_memory(err);
        return NULL;
    }
    return schema;
}
