/*
 * A table of names of address ranges: built once from symbols that may overlap, be aliases of each
 * other or have no size; read by binary search.
 *
 * Symbols are flattened to spans that do not overlap, so that each search is logarithmic whatever
 * the symbols are: of nested ones the innermost counts (the one that begins last). Of those that
 * begin at one address the best counts, see struct pw_symbol. Threads: one at a time.
 */
#ifndef PW_PROBE_SYMBOL_TABLE_H
#define PW_PROBE_SYMBOL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pw_symbol {
    uint64_t start;
    uint64_t size;    /* 0: not known, it ends where the next one begins, at `limit` at the latest;
                         and is no symbol at all within one that has a size */
    uint64_t limit;   /* with size 0 alone */
    const char *name; /* NULL: only a border for the symbol before it; copied */
    uint32_t rank;    /* among those with one start, first those with a size, then the lowest rank,
                         then the first in order of names */
};

/* A symbol without a size is not believed to be longer than this. */
#define PW_SYMBOL_UNSIZED_MAX UINT64_C(0x100000)

struct pw_symbol_table {
    struct pw_symbol_span {
        uint64_t start, end;
        uint32_t name; /* number of it */
    } * spans;
    size_t span_count;
    struct pw_symbol_name {
        size_t at;   /* in texts */
        char *shown; /* demangled; NULL: not yet asked for, or it is as in texts */
        bool is_asked;
    } * names;
    size_t name_count;
    char *texts;
    size_t bytes; /* of memory, but for demangled names */
};

/* Sorts and changes `symbols`. False: no memory is left. */
bool pw_symbol_table_build(struct pw_symbol *symbols, size_t count,
                           struct pw_symbol_table *ret_table);
void pw_symbol_table_done(struct pw_symbol_table *table);
/* NULL: no symbol is there. Lives as long as the table. */
const char *pw_symbol_table_find(struct pw_symbol_table *table, uint64_t address);

/* A table of /proc/kallsyms; without spans if the addresses are hidden. False: no memory. `text` is
 * changed, and ends with a NUL. */
bool pw_symbol_table_of_kallsyms(char *text, size_t length, struct pw_symbol_table *ret_table);
/* A table of a perf map, lines "START SIZE NAME" in hexadecimal; those that are none are passed
 * over. Of code at one address the last that was written counts. */
bool pw_symbol_table_of_perf_map(char *text, size_t length, struct pw_symbol_table *ret_table);

#endif
