/*
 * Where something stands in a JSON text: jansson says so for faults of syntax only, and forgets
 * positions once a document is read. This finds them again, for whoever judges what the text means.
 *
 * Lines and columns count from 1; a column is a character (code point of UTF-8), not a byte, as in
 * jansson's own messages. The text must be valid JSON (UTF-8): for anything else the answer may be
 * "not found" or some place, never a read outside the text. Iterative: any depth. Threads: no
 * state.
 */
#ifndef PW_CORE_JSON_PLACE_H
#define PW_CORE_JSON_PLACE_H

#include <stdbool.h>
#include <stddef.h>

/* One step into a document: a member of an object, or with a NULL key an entry of an array. */
struct pw_json_step {
    const char *key;
    size_t index;
};

struct pw_json_place {
    size_t offset; /* bytes before it */
    unsigned line, column;
};

/* The first character of the value at the end of `steps` (no steps: the document itself); with
 * `of_key`, of its key instead, if the last step has one. False if there is no such value. Of
 * members that have the same key the first counts. */
bool pw_json_place_find(const char *text, size_t size, const struct pw_json_step *steps,
                        size_t count, bool of_key, struct pw_json_place *ret_place);

/* Within the string that begins at `string` (its quote): where byte `byte` (from 0) of what it
 * stands for is written, escapes counted as what they are. A byte at or behind the end: the closing
 * quote. `string` itself if no string stands there. */
struct pw_json_place pw_json_place_in_string(const char *text, size_t size,
                                             struct pw_json_place string, size_t byte);

#endif
