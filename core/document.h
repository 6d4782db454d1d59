/*
 * A small document: headings, fields, paragraphs, findings and tables, built first and rendered
 * after. So the code that picks numbers knows nothing of Markdown or terminals, and the other way
 * round.
 *
 * Life: start with PW_DOCUMENT_INIT, add blocks in reading order, render any number of times, end
 * with pw_document_done() or declare it with PW_DOCUMENT_AUTO. The document owns copies of all
 * texts. Texts may come from outside: control characters in them become blanks, so that no command
 * line or process name can move a cursor or break a table. Memory failure is sticky (`failed`) and
 * is told when the document is rendered. Threads: one at a time.
 */
#ifndef PW_CORE_DOCUMENT_H
#define PW_CORE_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>
#include "core/err.h"
#include "core/str.h"

enum pw_block_kind {
    PW_BLOCK_HEADING,
    PW_BLOCK_FIELD,     /* a label and what it says */
    PW_BLOCK_PARAGRAPH, /* plain words */
    PW_BLOCK_FINDING,   /* a warning: its kind, what was found, and what to do about it */
    PW_BLOCK_TABLE,
};

struct pw_block {
    enum pw_block_kind kind;
    unsigned level; /* of a heading, from 1 */
    bool bad;       /* of a field: it tells of a failure */
    char *label;    /* of a field, or a finding's kind */
    char *text;
    char *advice; /* of a finding; may be NULL */
    /* Of a table, row by row, each with its NUL; the first row is the header. The first `left`
     * columns are words, the others numbers. */
    size_t columns, left, cell_count;
    struct pw_str cells;
};

struct pw_document {
    struct pw_block *blocks;
    size_t count, capacity;
    bool failed;
};

#define PW_DOCUMENT_INIT ((struct pw_document){0})
#define PW_DOCUMENT_AUTO __attribute__((cleanup(pw_document_done))) struct pw_document

void pw_document_done(struct pw_document *document);
void pw_document_heading(struct pw_document *document, unsigned level, const char *text);
__attribute__((format(printf, 3, 4))) void pw_document_field(struct pw_document *document,
                                                             const char *label, const char *format,
                                                             ...);
/* As pw_document_field(), for what failed. */
__attribute__((format(printf, 3, 4))) void pw_document_bad_field(struct pw_document *document,
                                                                 const char *label,
                                                                 const char *format, ...);
__attribute__((format(printf, 2, 3))) void pw_document_paragraph(struct pw_document *document,
                                                                 const char *format, ...);
/* `advice` may be NULL. */
void pw_document_finding(struct pw_document *document, const char *kind, const char *text,
                         const char *advice);
/* Starts a table with `columns` headers, of which the first `left` hold words. */
void pw_document_table(struct pw_document *document, const char *const *headers, size_t columns,
                       size_t left);
/* Adds the next cell to the table that was started last. */
__attribute__((format(printf, 2, 3))) void pw_document_cell(struct pw_document *document,
                                                            const char *format, ...);

/* Adds the rendered document to *ret_text. Errors: PW_ERR_MEMORY. */
int pw_document_to_markdown(const struct pw_document *document, struct pw_str *ret_text,
                            struct pw_err *err);
int pw_document_to_text(const struct pw_document *document, bool color, struct pw_str *ret_text,
                        struct pw_err *err);

#endif
