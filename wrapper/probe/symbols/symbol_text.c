/* Symbols that come as text: the kernel's, and those of JIT compilers. Sources: kernel/kallsyms.c;
 * tools/perf/Documentation/jit-interface.txt of Linux. */
#include <stdlib.h>
#include <string.h>
#include "core/limits.h"
#include "wrapper/probe/symbols/symbol_table.h"

enum { HEX_DIGITS_MAX = 16 };

struct list {
    struct pw_symbol *symbols;
    size_t count, capacity;
};

/* False: no memory. What is over the limit is left out. */
static bool append(struct list *list, const struct pw_symbol *symbol)
{
    if (list->count == PW_LIMIT_SYMBOLS)
        return true;
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 1024 : list->capacity * 2;
        struct pw_symbol *larger = reallocarray(list->symbols, capacity, sizeof *larger);
        if (larger == NULL)
            return false;
        list->symbols = larger;
        list->capacity = capacity;
    }
    list->symbols[list->count++] = *symbol;
    return true;
}

/* A hexadecimal number and one blank behind it. */
static bool take_hex(char **cursor, uint64_t *ret_number)
{
    char *c = *cursor;
    uint64_t number = 0;
    int digits = 0;

    if (strncmp(c, "0x", 2) == 0)
        c += 2;
    for (;; c++, digits++) {
        if (*c >= '0' && *c <= '9')
            number = number << 4 | (uint64_t)(*c - '0');
        else if (*c >= 'a' && *c <= 'f')
            number = number << 4 | (uint64_t)(*c - 'a' + 10);
        else if (*c >= 'A' && *c <= 'F')
            number = number << 4 | (uint64_t)(*c - 'A' + 10);
        else
            break;
    }
    if (digits == 0 || digits > HEX_DIGITS_MAX || *c != ' ')
        return false;
    *cursor = c + 1;
    *ret_number = number;
    return true;
}

/* "ffffffff81000000 T _text", and "\t[module]" behind it. */
static bool parse_kernel(char *line, uint64_t number, struct pw_symbol *ret_symbol)
{
    uint64_t start;

    (void)number;
    if (!take_hex(&line, &start) || start == 0 || line[0] == '\0' || line[1] != ' ')
        return false;
    char type = line[0], *name = line + 2;
    name[strcspn(name, "\t")] = '\0';
    bool is_code = strchr("tTwW", type) != NULL && *name != '\0';
    /* A weak name and a border at one start yield to a proper function there. */
    *ret_symbol = (struct pw_symbol){.start = start,
                                     .limit = UINT64_MAX,
                                     .name = is_code ? name : NULL,
                                     .rank = !is_code                     ? 2
                                             : type == 'T' || type == 't' ? 0
                                                                          : 1};
    return true;
}

static bool parse_perf_map(char *line, uint64_t number, struct pw_symbol *ret_symbol)
{
    uint64_t start, size;

    if (!take_hex(&line, &start) || !take_hex(&line, &size) || size == 0 || *line == '\0')
        return false;
    /* Names come from outside and go into reports. */
    for (char *c = line; *c != '\0'; c++)
        *c = (unsigned char)*c < ' ' || *c == 0x7f ? ' ' : *c;
    uint32_t line_number = number < UINT32_MAX ? (uint32_t)number : UINT32_MAX;
    *ret_symbol = (struct pw_symbol){
        .start = start, .size = size, .name = line, .rank = UINT32_MAX - line_number};
    return true;
}

static bool build(char *text, size_t length,
                  bool (*parse)(char *line, uint64_t number, struct pw_symbol *ret_symbol),
                  struct pw_symbol_table *ret_table)
{
    struct list list = {0};
    uint64_t number = 0;
    bool ok = true;

    for (char *line = text; ok && line < text + length; number++) {
        char *end = memchr(line, '\n', (size_t)(text + length - line));
        struct pw_symbol symbol;
        if (end == NULL)
            end = text + length;
        *end = '\0';
        if (parse(line, number, &symbol))
            ok = append(&list, &symbol);
        line = end + 1;
    }
    ok = ok && pw_symbol_table_build(list.symbols, list.count, ret_table);
    free(list.symbols);
    return ok;
}

bool pw_symbol_table_of_kallsyms(char *text, size_t length, struct pw_symbol_table *ret_table)
{
    return build(text, length, parse_kernel, ret_table);
}

bool pw_symbol_table_of_perf_map(char *text, size_t length, struct pw_symbol_table *ret_table)
{
    return build(text, length, parse_perf_map, ret_table);
}
