#include "wrapper/probe/symbols/symbol_table.h"

#include <stdlib.h>
#include <string.h>
#include "core/limits.h"
#include "wrapper/probe/symbols/demangle.h"

static int compare(const void *left, const void *right)
{
    const struct pw_symbol *a = left, *b = right;

    if (a->start != b->start)
        return a->start < b->start ? -1 : 1;
    if ((a->size == 0) != (b->size == 0))
        return a->size == 0 ? 1 : -1;
    if (a->rank != b->rank)
        return a->rank < b->rank ? -1 : 1;
    if (a->name == NULL || b->name == NULL)
        return (a->name == NULL ? 1 : 0) - (b->name == NULL ? 1 : 0);
    return strcmp(a->name, b->name);
}

/* One symbol of each start, the best, as long as the longest of them. */
static size_t merge_starts(struct pw_symbol *symbols, size_t count)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        struct pw_symbol *last = kept > 0 ? &symbols[kept - 1] : NULL;
        if (last == NULL || last->start != symbols[i].start)
            symbols[kept++] = symbols[i];
        else if (symbols[i].size > last->size)
            last->size = symbols[i].size;
    }
    return kept;
}

/* Gives those without a size theirs, and drops what has no name or no end. */
static size_t settle_sizes(struct pw_symbol *symbols, size_t count)
{
    uint64_t reach = 0;
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        struct pw_symbol symbol = symbols[i];
        uint64_t most = UINT64_MAX - symbol.start;
        if (symbol.size == 0 && symbol.start >= reach) {
            uint64_t end = symbol.limit;
            if (i + 1 < count && symbols[i + 1].start < end)
                end = symbols[i + 1].start;
            symbol.size = end > symbol.start ? end - symbol.start : 0;
            if (symbol.size > PW_SYMBOL_UNSIZED_MAX)
                symbol.size = PW_SYMBOL_UNSIZED_MAX;
        } else if (symbol.size > most) {
            symbol.size = 0;
        } else if (symbol.size > 0 && symbol.start + symbol.size > reach) {
            reach = symbol.start + symbol.size;
        }
        if (symbol.size > 0 && symbol.name != NULL)
            symbols[kept++] = symbol;
    }
    return kept;
}

struct sweep {
    const struct pw_symbol *symbols;
    uint32_t *open; /* a stack of symbols that have begun */
    size_t open_count;
    struct pw_symbol_span *spans;
    size_t span_count;
    uint64_t at;
};

/* What is open up to `to` becomes spans: each step but the last ends a symbol, so all of them
 * together are linear. */
static void advance(struct sweep *sweep, uint64_t to)
{
    while (sweep->open_count > 0) {
        uint32_t number = sweep->open[sweep->open_count - 1];
        uint64_t end = sweep->symbols[number].start + sweep->symbols[number].size;
        uint64_t until = end < to ? end : to;
        if (until > sweep->at) {
            sweep->spans[sweep->span_count++] =
                (struct pw_symbol_span){.start = sweep->at, .end = until, .name = number};
            sweep->at = until;
        }
        if (end > to)
            return;
        sweep->open_count--;
    }
}

/* Each symbol begins at most one span and continues at most one below it when it ends: two of each.
 */
static bool flatten(const struct pw_symbol *symbols, size_t count, struct pw_symbol_table *table)
{
    struct sweep sweep = {.symbols = symbols};

    sweep.open = calloc(count, sizeof *sweep.open);
    sweep.spans = calloc(count * 2, sizeof *sweep.spans);
    if (sweep.open == NULL || sweep.spans == NULL) {
        free(sweep.open);
        free(sweep.spans);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        advance(&sweep, symbols[i].start);
        sweep.at = symbols[i].start;
        sweep.open[sweep.open_count++] = (uint32_t)i;
    }
    advance(&sweep, UINT64_MAX);
    free(sweep.open);
    struct pw_symbol_span *exact = NULL;
    if (sweep.span_count > 0)
        exact = realloc(sweep.spans, sweep.span_count * sizeof *exact);
    table->spans = exact != NULL ? exact : sweep.spans;
    table->span_count = sweep.span_count;
    return true;
}

static size_t name_length(const struct pw_symbol *symbol)
{
    return strnlen(symbol->name, PW_LIMIT_SYMBOL_NAME_BYTES);
}

static bool copy_names(const struct pw_symbol *symbols, size_t count, struct pw_symbol_table *table)
{
    size_t bytes = 0, at = 0;

    for (size_t i = 0; i < count; i++)
        bytes += name_length(&symbols[i]) + 1;
    table->names = calloc(count, sizeof *table->names);
    table->texts = malloc(bytes);
    if (table->names == NULL || table->texts == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        size_t length = name_length(&symbols[i]);
        memcpy(table->texts + at, symbols[i].name, length);
        table->texts[at + length] = '\0';
        table->names[i].at = at;
        at += length + 1;
    }
    table->name_count = count;
    table->bytes = bytes + count * sizeof *table->names + table->span_count * sizeof *table->spans;
    return true;
}

bool pw_symbol_table_build(struct pw_symbol *symbols, size_t count,
                           struct pw_symbol_table *ret_table)
{
    struct pw_symbol_table table = {0};

    if (count > 0)
        qsort(symbols, count, sizeof *symbols, compare);
    count = settle_sizes(symbols, merge_starts(symbols, count));
    if (count > 0 && (!flatten(symbols, count, &table) || !copy_names(symbols, count, &table))) {
        pw_symbol_table_done(&table);
        return false;
    }
    *ret_table = table;
    return true;
}

void pw_symbol_table_done(struct pw_symbol_table *table)
{
    for (size_t i = 0; i < table->name_count; i++)
        free(table->names[i].shown);
    free(table->names);
    free(table->spans);
    free(table->texts);
    *table = (struct pw_symbol_table){0};
}

static const char *show(struct pw_symbol_table *table, uint32_t number)
{
    struct pw_symbol_name *name = &table->names[number];
    const char *text = table->texts + name->at;

    if (!name->is_asked) {
        name->is_asked = true;
        name->shown = pw_demangle(text);
        if (name->shown != NULL &&
            strnlen(name->shown, PW_LIMIT_SYMBOL_NAME_BYTES + 1) > PW_LIMIT_SYMBOL_NAME_BYTES) {
            char *shorter = strndup(name->shown, PW_LIMIT_SYMBOL_NAME_BYTES);
            free(name->shown);
            name->shown = shorter;
        }
    }
    return name->shown != NULL ? name->shown : text;
}

const char *pw_symbol_table_find(struct pw_symbol_table *table, uint64_t address)
{
    size_t low = 0, high = table->span_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (table->spans[middle].end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == table->span_count || table->spans[low].start > address)
        return NULL;
    return show(table, table->spans[low].name);
}
