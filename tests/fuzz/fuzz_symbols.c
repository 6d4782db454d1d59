/* Any bytes as an ELF file, as a perf map, as /proc/kallsyms and as a mangled name: no access
 * beyond them, and every span that comes out is in order and has a name. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "core/file.h"
#include "core/limits.h"
#include "wrapper/probe/symbols/demangle.h"
#include "wrapper/probe/symbols/symbol_elf.h"
#include "wrapper/probe/symbols/symbol_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int holds)
{
    if (!holds)
        abort();
}

static void check_table(struct pw_symbol_table *table)
{
    uint64_t at = 0;

    for (size_t i = 0; i < table->span_count; i++) {
        const struct pw_symbol_span *span = &table->spans[i];
        check(span->start >= at && span->end > span->start && span->name < table->name_count);
        at = span->end;
        const char *name = pw_symbol_table_find(table, span->end - 1);
        check(name != NULL && strlen(name) <= PW_LIMIT_SYMBOL_NAME_BYTES);
        check(pw_symbol_table_find(table, span->start) == name);
    }
    pw_symbol_table_done(table);
}

static void fuzz_text(const uint8_t *data, size_t size,
                      bool (*make)(char *text, size_t length, struct pw_symbol_table *ret_table))
{
    struct pw_symbol_table table;
    char *text = malloc(size + 1);

    check(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    if (make(text, size, &table)) {
        memset(text, 'x', size); /* names are copies */
        check_table(&table);
    }
    free(text);
}

static void fuzz_elf(const uint8_t *data, size_t size)
{
    struct pw_symbol_elf elf;
    PW_FD_AUTO fd = memfd_create("fuzz", MFD_CLOEXEC);

    check(fd >= 0 && pw_fd_write_all(fd, data, size) == 0);
    if (!pw_symbol_elf_read(fd, &elf))
        return;
    check(elf.segment_count <= PW_SYMBOL_SEGMENTS_MAX && elf.build_id_size <= PW_BUILD_ID_MAX);
    for (size_t i = 0; i < elf.segment_count; i++) {
        uint64_t address;
        bool is_there = pw_symbol_elf_address(&elf, elf.segments[i].offset, &address);
        check(is_there || elf.segments[i].size == 0);
    }
    check_table(&elf.table);
}

static void fuzz_name(const uint8_t *data, size_t size)
{
    char *name = malloc(size + 1);

    check(name != NULL);
    memcpy(name, data, size);
    name[size] = '\0';
    free(pw_demangle(name));
    free(name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] == 0x7f) {
        fuzz_elf(data, size);
    } else if (data[0] == '_') {
        fuzz_name(data, size);
    } else {
        fuzz_text(data, size, pw_symbol_table_of_perf_map);
        fuzz_text(data, size, pw_symbol_table_of_kallsyms);
    }
    return 0;
}
