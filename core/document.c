#include "core/document.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void block_done(struct pw_block *block)
{
    free(block->label);
    free(block->text);
    free(block->advice);
    pw_str_done(&block->cells);
}

void pw_document_done(struct pw_document *document)
{
    for (size_t i = 0; i < document->count; i++) {
        block_done(&document->blocks[i]);
    }
    free(document->blocks);
    *document = PW_DOCUMENT_INIT;
}

/* A control character in a text from outside could move the cursor or end a table row: those of
 * ASCII, and those above it (U+0080 to U+009F), which UTF-8 writes as C2 80 to C2 9F. */
static void clean(char *text)
{
    for (unsigned char *c = (unsigned char *)text; *c; c++) {
        if (*c < 0x20 || *c == 0x7f) {
            *c = ' ';
        } else if (c[0] == 0xC2 && c[1] >= 0x80 && c[1] <= 0x9F) {
            c[0] = c[1] = ' ';
        }
    }
}

static char *copy(struct pw_document *document, const char *text)
{
    char *own = strdup(text);
    if (!own) {
        document->failed = true;
        return NULL;
    }
    clean(own);
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
    clean(text);
    return text;
}

/* Room for one more block. */
static bool reserve(struct pw_document *document)
{
    if (document->count < document->capacity) {
        return true;
    }
    size_t capacity = document->capacity > 0 ? document->capacity * 2 : 16;
    struct pw_block *blocks = reallocarray(document->blocks, capacity, sizeof *blocks);
    if (!blocks) {
        return false;
    }
    document->blocks = blocks;
    document->capacity = capacity;
    return true;
}

/* Takes what the block owns. Once memory was out nothing is added: a document with a hole is never
 * rendered. */
static void add_block(struct pw_document *document, struct pw_block block)
{
    if (document->failed || !reserve(document)) {
        document->failed = true;
        block_done(&block);
        return;
    }
    document->blocks[document->count++] = block;
}

void pw_document_heading(struct pw_document *document, unsigned level, const char *text)
{
    char *own = copy(document, text);
    add_block(document, (struct pw_block){.kind = PW_BLOCK_HEADING, .level = level, .text = own});
}

__attribute__((format(printf, 4, 0))) static void add_field(struct pw_document *document, bool bad,
                                                            const char *label, const char *format,
                                                            va_list args)
{
    struct pw_block block = {.kind = PW_BLOCK_FIELD, .bad = bad};
    block.label = copy(document, label);
    block.text = format_text(document, format, args);
    add_block(document, block);
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
    va_list args;
    va_start(args, format);
    char *text = format_text(document, format, args);
    va_end(args);
    add_block(document, (struct pw_block){.kind = PW_BLOCK_PARAGRAPH, .text = text});
}

void pw_document_finding(struct pw_document *document, const char *kind, const char *text,
                         const char *advice)
{
    struct pw_block block = {.kind = PW_BLOCK_FINDING};
    block.label = copy(document, kind);
    block.text = copy(document, text);
    block.advice = advice ? copy(document, advice) : NULL;
    add_block(document, block);
}

void pw_document_table(struct pw_document *document, const char *const *headers, size_t columns,
                       size_t left)
{
    add_block(document,
              (struct pw_block){
                  .kind = PW_BLOCK_TABLE, .columns = columns, .left = left, .cells = PW_STR_INIT});
    for (size_t i = 0; i < columns; i++) {
        pw_document_cell(document, "%s", headers[i]);
    }
}

void pw_document_cell(struct pw_document *document, const char *format, ...)
{
    struct pw_block *table = document->count > 0 ? &document->blocks[document->count - 1] : NULL;
    va_list args;
    va_start(args, format);
    char *text = format_text(document, format, args);
    va_end(args);
    if (text && table && table->kind == PW_BLOCK_TABLE) {
        pw_str_add_bytes(&table->cells, text, strlen(text) + 1);
        table->cell_count++;
        document->failed = document->failed || table->cells.failed;
    } else {
        document->failed = true;
    }
    free(text);
}
