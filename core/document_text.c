/* A document as aligned text for a terminal, with or without colour (ECMA-48 SGR sequences). */
#include "core/document.h"

#include <string.h>

enum { TABLE_COLUMNS_MAX = 16 }; /* further ones are not aligned */

static const char style_bold[] = "\x1b[1m", style_bad[] = "\x1b[31m", style_warn[] = "\x1b[33m";

/* Columns on the terminal: UTF-8 continuation bytes take none. */
static size_t width_of(const char *text)
{
    size_t width = 0;
    for (; *text; text++) {
        width += ((unsigned char)*text & 0xc0) != 0x80;
    }
    return width;
}

static void add_styled(struct pw_str *out, bool color, const char *style, const char *text)
{
    bool styled = color && *text;
    pw_str_add(out, styled ? style : "");
    pw_str_add(out, text);
    pw_str_add(out, styled ? "\x1b[0m" : "");
}

static void add_blanks(struct pw_str *out, size_t count)
{
    while (count-- > 0) {
        pw_str_add_char(out, ' ');
    }
}

static size_t column_width(const struct pw_block *table, size_t column)
{
    const char *cell = table->cells.text;
    size_t widest = 0;
    for (size_t i = 0; i < table->cell_count; i++, cell += strlen(cell) + 1) {
        size_t width = i % table->columns == column ? width_of(cell) : 0;
        widest = width > widest ? width : widest;
    }
    return widest;
}

/* The first `left` columns begin at their left edge, the others end at their right one. */
static void add_table(struct pw_str *out, const struct pw_block *table, bool color)
{
    size_t widths[TABLE_COLUMNS_MAX] = {0};
    const char *cell = table->cells.text;
    size_t column = 0;
    for (size_t c = 0; c < table->columns && c < TABLE_COLUMNS_MAX; c++) {
        widths[c] = column_width(table, c);
    }
    for (size_t i = 0; i < table->cell_count; i++, cell += strlen(cell) + 1) {
        bool last = column + 1 == table->columns;
        size_t pad = column < TABLE_COLUMNS_MAX ? widths[column] - width_of(cell) : 0;
        add_blanks(out, column >= table->left ? pad : 0);
        add_styled(out, color && i < table->columns, style_bold, cell);
        add_blanks(out, column < table->left && !last ? pad : 0);
        pw_str_add(out, last ? "\n" : "  ");
        column = last ? 0 : column + 1;
    }
}

/* Labels of neighbouring fields stand in one column. */
static size_t label_width(const struct pw_document *document, size_t at)
{
    size_t first = at, widest = 0;
    while (first > 0 && document->blocks[first - 1].kind == PW_BLOCK_FIELD) {
        first--;
    }
    for (size_t i = first; i < document->count && document->blocks[i].kind == PW_BLOCK_FIELD; i++) {
        size_t width = width_of(document->blocks[i].label);
        widest = width > widest ? width : widest;
    }
    return widest;
}

static void add_block(struct pw_str *out, const struct pw_document *document, size_t at, bool color)
{
    const struct pw_block *block = &document->blocks[at];
    switch (block->kind) {
    case PW_BLOCK_HEADING:
        add_styled(out, color, style_bold, block->text);
        pw_str_add_char(out, '\n');
        break;
    case PW_BLOCK_FIELD:
        add_styled(out, color, style_bold, block->label);
        add_blanks(out, label_width(document, at) - width_of(block->label) + 2);
        add_styled(out, color && block->bad, style_bad, block->text);
        pw_str_add_char(out, '\n');
        break;
    case PW_BLOCK_PARAGRAPH:
        pw_str_add(out, block->text);
        pw_str_add_char(out, '\n');
        break;
    case PW_BLOCK_FINDING:
        add_styled(out, color, style_warn, "warning: ");
        pw_str_add(out, block->text);
        pw_str_add(out, " [");
        pw_str_add(out, block->label);
        pw_str_add(out, "]\n");
        if (block->advice) {
            pw_str_add(out, "  ");
            pw_str_add(out, block->advice);
            pw_str_add_char(out, '\n');
        }
        break;
    case PW_BLOCK_TABLE: add_table(out, block, color); break;
    }
}

int pw_document_to_text(const struct pw_document *document, bool color, struct pw_str *ret_text,
                        struct pw_err *err)
{
    for (size_t i = 0; i < document->count && !document->failed; i++) {
        if (i > 0 && document->blocks[i].kind == PW_BLOCK_HEADING) {
            pw_str_add_char(ret_text, '\n');
        }
        add_block(ret_text, document, i, color);
    }
    return document->failed || ret_text->failed ? pw_err_memory(err) : 0;
}
