/*
 * JSON read as a stream of values, over simdjson. The one file behind this header is C++; nothing
 * of that shows here.
 *
 * Life: pw_json_reader_new(), then for each document pw_json_reader_open(), a walk and
 * pw_json_reader_close(); a reader is used again for the next document, and keeps its memory (up to
 * a bound) between them. Texts are borrowed from it until the document is closed. Threads: one at a
 * time.
 */
#ifndef PW_CORE_JSON_READER_H
#define PW_CORE_JSON_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#include "core/err.h"

enum { PW_JSON_PADDING = 64 }; /* readable bytes behind a document, of any content */

enum pw_json_kind {
    PW_JSON_NULL,
    PW_JSON_BOOL,
    PW_JSON_INT,    /* fits int64_t */
    PW_JSON_UINT,   /* above INT64_MAX */
    PW_JSON_DOUBLE, /* written with a fraction or an exponent, or too large for the others */
    PW_JSON_STRING,
    PW_JSON_ARRAY,
    PW_JSON_OBJECT,
};

struct pw_json_value {
    enum pw_json_kind kind;
    const char *key; /* in an object; else NULL. UTF-8, unescaped, not NUL-terminated */
    size_t key_length;
    union {
        bool boolean;
        int64_t integer;
        uint64_t unsigned_integer;
        double number;
        struct {
            const char *text; /* UTF-8, unescaped; may hold NULs; not NUL-terminated */
            size_t length;
        };
    };
};

struct pw_json_reader;
int pw_json_reader_new(struct pw_json_reader **ret_reader, struct pw_err *err);
void pw_json_reader_free(struct pw_json_reader *reader); /* NULL is fine */

/*
 * Parses a whole document: grammar, UTF-8, numbers in range of a double, depth at most
 * PW_LIMIT_OTLP_DEPTH times 4 (a message within a list within an object: an OTLP message takes up
 * to three levels). PW_JSON_PADDING bytes behind it must be readable; neither they nor the text are
 * needed afterwards. *ret_root is its value. Errors: PW_ERR_INPUT, PW_ERR_MEMORY.
 */
int pw_json_reader_open(struct pw_json_reader *reader, const char *text, size_t size,
                        struct pw_json_value *ret_root, struct pw_err *err);
/* Goes into the array or object that pw_json_reader_open() or _next() gave last; without this call
 * it is skipped. */
void pw_json_reader_enter(struct pw_json_reader *reader);
/* The next element or member of the container that was entered last; false at its end, which also
 * leaves it for the one around it. */
bool pw_json_reader_next(struct pw_json_reader *reader, struct pw_json_value *ret_value);
/* Ends the walk; gives memory over the bound back. pw_json_reader_open() does it too. */
void pw_json_reader_close(struct pw_json_reader *reader);

/* A text that is a number by JSON's grammar, without blanks, as a value of one of the three kinds
 * of numbers; false if it is not one. Does not disturb a walk. */
bool pw_json_reader_number(struct pw_json_reader *reader, const char *text, size_t length,
                           struct pw_json_value *ret_value);

bool pw_utf8_is_valid(const char *text, size_t length);

#ifdef __cplusplus
}
#endif

#endif
