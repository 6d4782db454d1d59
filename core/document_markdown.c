/* A document as GitHub-flavoured Markdown. */
#include "core/document.h"

#include <string.h>

/* Words outside of code: what Markdown would take for markup is escaped. */
static void add_words(struct pw_str *out, const char *text)
{
    for (const char *c = text; *c; c++) {
        if (*c == '<') {
            pw_str_add(out, "&lt;");
            continue;
        }
        if (strchr("|*`\\[", *c)) {
            pw_str_add_char(out, '\\');
        }
        pw_str_add_char(out, *c);
    }
}

/* A code span needs a fence longer than any run of backticks in it, and blanks inside if it has
 * one. */
static void add_code(struct pw_str *out, const char *text)
{
    size_t run = 0, longest = 0;
    for (const char *c = text; *c; c++) {
        run = *c == '`' ? run + 1 : 0;
        longest = run > longest ? run : longest;
    }
    const char *pad = longest > 0 || !*text ? " " : "";
    for (size_t i = 0; i <= longest; i++) {
        pw_str_add_char(out, '`');
    }
    pw_str_add(out, pad);
    pw_str_add(out, text);
    pw_str_add(out, pad);
    for (size_t i = 0; i <= longest; i++) {
        pw_str_add_char(out, '`');
    }
}

static void add_table(struct pw_str *out, const struct pw_block *table)
{
    const char *cell = table->cells.text;
    for (size_t i = 0; i < table->cell_count; i++, cell += strlen(cell) + 1) {
        size_t column = i % table->columns;
        pw_str_add(out, "| ");
        add_words(out, cell);
        pw_str_add_char(out, ' ');
        if (column + 1 < table->columns) {
            continue;
        }
        pw_str_add(out, "|\n");
        if (i + 1 == table->columns) {
            for (size_t c = 0; c < table->columns; c++) {
                pw_str_add(out, c < table->left ? "|---" : "|---:");
            }
            pw_str_add(out, "|\n");
        }
    }
}

static void add_block(struct pw_str *out, const struct pw_block *block)
{
    switch (block->kind) {
    case PW_BLOCK_HEADING:
        for (unsigned i = 0; i < block->level; i++) {
            pw_str_add_char(out, '#');
        }
        pw_str_add_char(out, ' ');
        add_words(out, block->text);
        pw_str_add_char(out, '\n');
        break;
    case PW_BLOCK_FIELD:
        pw_str_add(out, "- ");
        add_words(out, block->label);
        pw_str_add(out, ": ");
        add_code(out, block->text);
        pw_str_add_char(out, '\n');
        break;
    case PW_BLOCK_PARAGRAPH:
        add_words(out, block->text);
        pw_str_add_char(out, '\n');
        break;
    case PW_BLOCK_FINDING:
        pw_str_add(out, "- **");
        add_words(out, block->label);
        pw_str_add(out, "**: ");
        add_words(out, block->text);
        if (block->advice) {
            pw_str_add(out, "\n  ");
            add_words(out, block->advice);
        }
        pw_str_add_char(out, '\n');
        break;
    case PW_BLOCK_TABLE: add_table(out, block); break;
    }
}

int pw_document_to_markdown(const struct pw_document *document, struct pw_str *ret_text,
                            struct pw_err *err)
{
    for (size_t i = 0; i < document->count && !document->failed; i++) {
        const struct pw_block *block = &document->blocks[i];
        bool in_list = i > 0 && block[-1].kind == block->kind &&
                       (block->kind == PW_BLOCK_FIELD || block->kind == PW_BLOCK_FINDING);
        if (i > 0 && !in_list) {
            pw_str_add_char(ret_text, '\n');
        }
        add_block(ret_text, block);
    }
    return document->failed || ret_text->failed ? pw_err_memory(err) : 0;
}
