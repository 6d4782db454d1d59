/*
 * Picks values at known places out of JSON documents, without building them: for thousands of
 * files, of each of which a handful of numbers is wanted. Over simdjson; see
 * core/json_reader.h for reading all of a document.
 *
 * What is checked: UTF-8, that strings end, that brackets balance and nothing stands behind the
 * document, so a file that was cut off is always refused; the whole grammar of each object on the
 * way to a place, and of the values picked. What is not: the grammar inside of values that no place
 * leads to. Keys are compared as they are written: one with escapes is never found.
 *
 * Life: pw_json_picker_new(), pw_json_picker_run() any number of times, pw_json_picker_free(). It
 * keeps its memory between documents; see pw_json_picker_trim(). Threads: one at a time.
 */
#ifndef PW_CORE_JSON_PICK_H
#define PW_CORE_JSON_PICK_H

#include <stddef.h>
#include "core/json_reader.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { PW_JSON_PICKS_MAX = 64, PW_JSON_PICK_DEPTH_MAX = 8, PW_JSON_PICK_KEY_MAX = 63 };

struct pw_json_picked {
    bool present;
    enum pw_json_kind kind; /* numbers: always PW_JSON_DOUBLE */
    double number;          /* finite */
    const char *text;       /* of a string: UTF-8, unescaped, may hold NULs, not NUL-terminated; a
                               part of the document's text, or kept until the next document */
    size_t length;
};

struct pw_json_picker;
/* `paths`: dotted places, such as "summary.latency_ms.mean"; keys with dots cannot be named. The
 * texts are borrowed for the picker's life. At most PW_JSON_PICKS_MAX, of the depth and the length
 * of keys given above, none twice: PW_ERR_INTERNAL. */
int pw_json_picker_new(const char *const *paths, size_t count, struct pw_json_picker **ret_picker,
                       struct pw_err *err);
void pw_json_picker_free(struct pw_json_picker *picker); /* NULL is fine */
/* Fills ret_picked[i] for each paths[i], undefined after a failure. PW_JSON_PADDING bytes behind
 * the text must be readable. Errors: PW_ERR_INPUT (also for a place that is there twice, or a
 * document that is no object), PW_ERR_MEMORY. */
int pw_json_picker_run(struct pw_json_picker *picker, const char *text, size_t size,
                       struct pw_json_picked *ret_picked, struct pw_err *err);

/* Gives back what a large document took; the texts picked out of it are gone then. */
void pw_json_picker_trim(struct pw_json_picker *picker);

#ifdef __cplusplus
}
#endif

#endif
