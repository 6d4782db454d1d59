#include <string.h>
#include "core/json.h"
#include "core/schema_impl.h"

/* "number|null" becomes ["number", "null"], "object" stays a string. */
static json_t *type_of(const char *types, bool *failed)
{
    if (!strchr(types, '|')) {
        return json_string(types);
    }
    json_t *list = json_array();
    for (;;) {
        size_t length = strcspn(types, "|");
        pw_json_append(list, json_stringn(types, length), failed);
        if (types[length] == '\0') {
            return list;
        }
        types += length + 1;
    }
}

json_t *pw_schema_of(const char *types, const char *description, bool *failed)
{
    json_t *schema = json_object();
    pw_json_put(schema, "type", type_of(types, failed), failed);
    if (strncmp(types, "integer", strlen("integer")) == 0) {
        pw_json_put(schema, "minimum", json_integer(0), failed);
    }
    if (description) {
        pw_json_put(schema, "description", json_string(description), failed);
    }
    return schema;
}

json_t *pw_schema_object(const char *description, bool *failed)
{
    json_t *schema = pw_schema_of("object", description, failed);
    pw_json_put(schema, "required", json_array(), failed);
    pw_json_put(schema, "properties", json_object(), failed);
    pw_json_put(schema, "additionalProperties", json_true(), failed);
    return schema;
}

json_t *pw_schema_array(json_t *items, bool *failed)
{
    json_t *schema = pw_schema_of("array", NULL, failed);
    pw_json_put(schema, "items", items, failed);
    return schema;
}

json_t *pw_schema_add(json_t *schema, const char *key, json_t *member, bool *failed)
{
    pw_json_append(json_object_get(schema, "required"), json_string(key), failed);
    pw_json_put(json_object_get(schema, "properties"), key, member, failed);
    return json_object_get(json_object_get(schema, "properties"), key);
}

void pw_schema_add_optional(json_t *schema, const char *key, json_t *member, bool *failed)
{
    pw_json_put(json_object_get(schema, "properties"), key, member, failed);
}

void pw_schema_add_fields(json_t *schema, const struct pw_schema_field *fields, size_t count,
                          bool *failed)
{
    for (size_t i = 0; i < count; i++) {
        pw_schema_add(schema, fields[i].key,
                      pw_schema_of(fields[i].types, fields[i].description, failed), failed);
    }
}

void pw_schema_refine(json_t *schema, const char *key, json_t *member, bool *failed)
{
    json_t *properties = json_object_get(schema, "properties");
    json_t *description = json_object_get(json_object_get(properties, key), "description");
    pw_json_put(member, "description", json_incref(description), failed);
    pw_json_put(properties, key, member, failed);
}

void pw_schema_refine_fields(json_t *schema, const char *key, const struct pw_schema_field *fields,
                             size_t count, bool *failed)
{
    json_t *object = pw_schema_object(NULL, failed);
    pw_schema_add_fields(object, fields, count, failed);
    pw_schema_refine(schema, key, object, failed);
}

void pw_schema_allow_null(json_t *schema, bool *failed)
{
    json_t *types = json_array();
    pw_json_append(types, json_incref(json_object_get(schema, "type")), failed);
    pw_json_append(types, json_string("null"), failed);
    pw_json_put(schema, "type", types, failed);
}
