#include "exporters/document.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void block_done(struct pw_block *block)
{
    free(block->label);
    free(block->text);
    free(block->advice);
    for (size_t i = 0; i < block->cell_count; i++) {
        free(block->cells[i]);
    }
    free(block->cells);
}

void pw_document_done(struct pw_document *document)
{
    for (size_t i = 0; i < document->count; i++) {
        block_done(&document->blocks[i]);
    }
    free(document->blocks);
    *document = PW_DOCUMENT_INIT;
}

/* One more element of `size` bytes in a growing array; false when memory is out. */
static bool grow(void **array, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity) {
        return true;
    }
    size_t wanted = *capacity > 0 ? *capacity * 2 : 16;
    void *bigger = reallocarray(*array, wanted, size);
    if (!bigger) {
        return false;
    }
    *array = bigger;
    *capacity = wanted;
    return true;
}

/* A control character in a text from outside could move the cursor or end a table row. */
static char *clean(char *text)
{
    for (char *c = text; c && *c; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f) {
            *c = ' ';
        }
    }
    return text;
}

static char *copy(struct pw_document *document, const char *text)
{
    char *own = clean(strdup(text));
    document->failed = document->failed || !own;
    return own;
}

__attribute__((format(printf, 2, 0))) static char *format_text(struct pw_document *document,
                                                               const char *format, va_list args)
{
    char *text = NULL;
    if (vasprintf(&text, format, args) < 0) {
        document->failed = true;
        return NULL;
    }
    return clean(text);
}

/* The new last block, or NULL once memory was out: a document with a hole is never rendered. */
static struct pw_block *add_block(struct pw_document *document, enum pw_block_kind kind)
{
    void *blocks = document->blocks;
    if (document->failed ||
        !grow(&blocks, document->count, &document->capacity, sizeof *document->blocks)) {
        document->failed = true;
        return NULL;
    }
    document->blocks = blocks;
    struct pw_block *block = &document->blocks[document->count++];
    *block = (struct pw_block){.kind = kind};
    return block;
}

void pw_document_heading(struct pw_document *document, unsigned level, const char *text)
{
    struct pw_block *block = add_block(document, PW_BLOCK_HEADING);
    if (block) {
        block->level = level;
        block->text = copy(document, text);
    }
}

__attribute__((format(printf, 4, 0))) static void add_field(struct pw_document *document, bool bad,
                                                            const char *label, const char *format,
                                                            va_list args)
{
    struct pw_block *block = add_block(document, PW_BLOCK_FIELD);
    if (block) {
        block->bad = bad;
        block->label = copy(document, label);
        block->text = format_text(document, format, args);
    }
}

void pw_document_field(struct pw_document *document, const char *label, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add_field(document, false, label, format, args);
    va_end(args);
}

void pw_document_bad_field(struct pw_document *document, const char *label, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add_field(document, true, label, format, args);
    va_end(args);
}

void pw_document_paragraph(struct pw_document *document, const char *format, ...)
{
    struct pw_block *block = add_block(document, PW_BLOCK_PARAGRAPH);
    if (block) {
        va_list args;
        va_start(args, format);
        block->text = format_text(document, format, args);
        va_end(args);
    }
}

void pw_document_finding(struct pw_document *document, const char *kind, const char *text,
                         const char *advice)
{
    struct pw_block *block = add_block(document, PW_BLOCK_FINDING);
    if (block) {
        block->label = copy(document, kind);
        block->text = copy(document, text);
        block->advice = advice ? copy(document, advice) : NULL;
    }
}

/* Takes `text`. */
static void add_cell(struct pw_document *document, char *text)
{
    struct pw_block *table = document->count > 0 ? &document->blocks[document->count - 1] : NULL;
    void *cells = table ? table->cells : NULL;
    if (document->failed || !text || !table || table->kind != PW_BLOCK_TABLE ||
        !grow(&cells, table->cell_count, &table->cell_capacity, sizeof *table->cells)) {
        document->failed = true;
        free(text);
        return;
    }
    table->cells = cells;
    table->cells[table->cell_count++] = text;
}

void pw_document_table(struct pw_document *document, const char *const *headers, size_t columns,
                       size_t left)
{
    struct pw_block *block = add_block(document, PW_BLOCK_TABLE);
    if (!block) {
        return;
    }
    block->columns = columns;
    block->left = left;
    for (size_t i = 0; i < columns; i++) {
        add_cell(document, copy(document, headers[i]));
    }
}

void pw_document_cell(struct pw_document *document, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add_cell(document, format_text(document, format, args));
    va_end(args);
}
