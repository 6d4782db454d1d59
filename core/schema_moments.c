#include <stdio.h>
#include "core/json.h"
#include "core/schema_impl.h"

static const struct pw_schema_field statistic_fields[] = {
    {"count", "integer", "Successful workers that have it."},
    {"mean", "number|null", "mean over these workers. Unit: ms."},
    {"p50", "number|null", "p50 over these workers. Unit: ms."},
    {"p95", "number|null", "p95 over these workers. Unit: ms."},
    {"p99", "number|null", "p99 over these workers. Unit: ms."},
    {"min", "number|null", "min over these workers. Unit: ms."},
    {"max", "number|null", "max over these workers. Unit: ms."},
    {"stddev", "number|null", "stddev over these workers. Unit: ms."},
};

/* An object of named entries, not required. Takes `entry`. */
static void add_block(json_t *schema, const char *key, const char *description, json_t *entry,
                      bool *failed)
{
    json_t *block = pw_schema_of("object", description, failed);
    json_t *patterns = json_object();
    pw_json_put(patterns, "^[A-Za-z0-9_-]+_ms$", entry, failed);
    pw_json_put(block, "patternProperties", patterns, failed);
    pw_json_put(block, "additionalProperties", json_false(), failed);
    pw_schema_add_optional(schema, key, block, failed);
}

static void add_blocks(json_t *schema, const char *what, json_t *(*entry)(bool *failed),
                       bool *failed)
{
    char text[160];
    snprintf(text, sizeof(text), "Time from spawn to each mark (--mark), %s; absent without marks.",
             what);
    add_block(schema, "marks", text, entry(failed), failed);
    snprintf(text, sizeof(text),
             "Time between marks, up to the one that names it, and to the end, %s; absent without "
             "marks.",
             what);
    add_block(schema, "phases", text, entry(failed), failed);
}

static json_t *number_entry(bool *failed)
{
    return pw_schema_of("number|null", "null: it did not come. Unit: ms.", failed);
}

static json_t *statistics_entry(bool *failed)
{
    json_t *entry = pw_schema_object(NULL, failed);
    PW_SCHEMA_ADD_FIELDS(entry, statistic_fields, failed);
    return entry;
}

void pw_schema_add_moments(json_t *schema, const char *what, bool *failed)
{
    add_blocks(schema, what, number_entry, failed);
}

void pw_schema_add_run_moments(json_t *aggregates, bool *failed)
{
    add_blocks(aggregates, "over successful workers of all measured iterations", statistics_entry,
               failed);
}
