/*
 * Helpers over jansson. Building: memory failure is sticky in the document's `failed`, so the
 * builder checks once at the end. Reading: bounded, duplicate keys refused, one clear error with
 * line and column.
 *
 * Numbers: written with 15 significant digits. A value that is absent or not finite becomes null. A
 * double that holds an integer and is asked for as one is written without a fraction.
 */
#ifndef PW_CORE_JSON_H
#define PW_CORE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include "core/err.h"
#include "core/value.h"

/* Puts `value` (the reference is taken, also on failure) under `key`; NULL value or object, or a
 * failing jansson, sets *failed. */
void pw_json_put(json_t *object, const char *key, json_t *value, bool *failed);
void pw_json_append(json_t *array, json_t *value, bool *failed);
json_t *pw_json_number(struct pw_value value, bool integer); /* new reference; null if absent */
json_t *pw_json_string_or_null(const char *text); /* NULL gives null; bad UTF-8 is mended */
/* The object at dotted `path` below `root`, made where missing; borrowed. NULL on failure. */
json_t *pw_json_make_path(json_t *root, const char *path, bool *failed);
/* Looks up a dotted path; segments of digits index arrays. Keys may hold dots themselves: at each
 * object the longest key that fits is tried first, and shorter ones if that leads nowhere.
 * Borrowed, NULL if not there. */
const json_t *pw_json_find(const json_t *root, const char *path);
/* As pw_json_find(), but only a number is found, also behind something else of the same name. */
const json_t *pw_json_find_number(const json_t *root, const char *path);
/* Reads a file into *ret_root (new reference). Errors: PW_ERR_INPUT. */
int pw_json_read_file(const char *path, json_t **ret_root, struct pw_err *err);
/* Writes whole or not at all, indented by two, newline at the end. */
int pw_json_write_file(const char *path, const json_t *root, struct pw_err *err);
/* The same text as pw_json_write_file() writes; free() it. NULL and err on failure. */
char *pw_json_dump(const json_t *root, struct pw_err *err);

#endif
