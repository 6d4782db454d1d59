/*
 * Attribute sets as byte strings: two sets are the same if and only if their bytes are, in whatever
 * order they were sent. Values compare with their type: the string "1" is not the integer 1, and
 * 1.0 is neither. Of several attributes of one key the last counts.
 *
 * The bytes are of this machine and this process; they are not for files. Layout, for each
 * attribute in the order of its key: the key with its NUL, a type, the value. Threads: none shared.
 */
#ifndef PW_COLLECTOR_ATTRIBUTES_H
#define PW_COLLECTOR_ATTRIBUTES_H

#include <otlp.pb-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/err.h"

/* Bytes that are put together, in memory that is used again. Zeroed memory is an empty one. */
struct pw_bytes {
    uint8_t *data;
    size_t size, capacity;
    bool failed; /* memory ran out: incomplete */
};
void pw_bytes_done(struct pw_bytes *bytes);
void pw_bytes_add(struct pw_bytes *bytes, const void *data, size_t size);

/* Scratch memory of an encoder. Zeroed memory is an empty one. */
struct pw_attribute_sorter {
    Otlp__KeyValue *const **order;
    size_t capacity;
};
void pw_attribute_sorter_done(struct pw_attribute_sorter *sorter);

/* Appends the set, without its length. Failure shows in `bytes->failed`. */
void pw_attributes_encode(struct pw_attribute_sorter *sorter, Otlp__KeyValue *const *attributes,
                          size_t count, struct pw_bytes *bytes);

/* A walk over an encoded set. */
struct pw_attribute {
    const char *key;
    const char *string; /* the value if it is a string; else NULL */
    bool is_false;      /* the value is the boolean false */
};
struct pw_attribute_walk {
    const uint8_t *at, *end;
};
bool pw_attribute_next(struct pw_attribute_walk *walk, struct pw_attribute *ret_attribute);

/* The set as a JSON object in one line, keys sorted; free() it. Bytes are in base64; what JSON has
 * no number for is "NaN", "Infinity" or "-Infinity". NULL and err without memory. */
char *pw_attributes_to_json(const void *encoded, size_t size, struct pw_err *err);

#endif
