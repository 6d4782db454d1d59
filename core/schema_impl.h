/*
 * What the files behind pw_summary_schema() share: the parts that JSON Schemas are made of. Each is
 * a new reference; memory failure sets *failed. Not for others.
 */
#ifndef PW_CORE_SCHEMA_IMPL_H
#define PW_CORE_SCHEMA_IMPL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* A key that is no metric. `types` are the JSON types, with bars between. */
struct pw_schema_field {
    const char *key;
    const char *types;
    const char *description;
};

/* A value of one of these types; integers count something, so they are not negative. */
json_t *pw_schema_of(const char *types, const char *description, bool *failed);
/* An object, of which pw_schema_add() says the keys. */
json_t *pw_schema_object(const char *description, bool *failed);
json_t *pw_schema_array(json_t *items, bool *failed);
/* Adds a required key. Takes `member` and returns it, borrowed. */
json_t *pw_schema_add(json_t *schema, const char *key, json_t *member, bool *failed);
void pw_schema_add_fields(json_t *schema, const struct pw_schema_field *fields, size_t count,
                          bool *failed);
#define PW_SCHEMA_ADD_FIELDS(schema, fields, failed) \
    pw_schema_add_fields(schema, fields, sizeof(fields) / sizeof((fields)[0]), failed)
/* Puts another schema in the place of a listed field, with the field's description. */
void pw_schema_refine(json_t *schema, const char *key, json_t *member, bool *failed);
/* The same with an object of listed fields. */
void pw_schema_refine_fields(json_t *schema, const char *key, const struct pw_schema_field *fields,
                             size_t count, bool *failed);
#define PW_SCHEMA_REFINE_FIELDS(schema, key, fields, failed) \
    pw_schema_refine_fields(schema, key, fields, sizeof(fields) / sizeof((fields)[0]), failed)
/* Lets `schema` be null, too. */
void pw_schema_allow_null(json_t *schema, bool *failed);

/* Adds a key that is not always there. Takes `member`. */
void pw_schema_add_optional(json_t *schema, const char *key, json_t *member, bool *failed);

/* `marks` and `phases`, in core/schema_moments.c: of an iteration or a worker, `what` its numbers
 * are; and of the run. Their keys are names from the command line, and without marks neither block
 * is there. */
void pw_schema_add_moments(json_t *schema, const char *what, bool *failed);
void pw_schema_add_run_moments(json_t *aggregates, bool *failed);

/* What the kernel accounted, in core/schema_kernel.c: `kernel` and `memory_at_peak` of a worker,
 * and the document's `accounting`. */
void pw_schema_add_worker_kernel(json_t *worker, bool *failed);
json_t *pw_schema_accounting(bool *failed);
/* How the CPU profile was taken, where there is one. */
void pw_schema_add_cpu_profile(json_t *traces, bool *failed);

/* What the measured command reports, in core/schema_telemetry.c: adds its keys to an iteration, a
 * worker, or the aggregates. */
void pw_schema_add_iteration_telemetry(json_t *iteration, bool *failed);
void pw_schema_add_worker_telemetry(json_t *worker, bool *failed);
void pw_schema_add_run_telemetry(json_t *aggregates, bool *failed);
/* `$defs` that these refer to, of the iteration's document or, with `of_run`, the summary. */
json_t *pw_schema_telemetry_definitions(bool of_run, bool *failed);

#endif
