/*
 * The symbols of one ELF file, and where in its address space its pieces lie.
 *
 * Read with pread(2) into memory, never mapped: a file that is cut off meanwhile cannot end this
 * process. Sections that are compressed, larger than PW_LIMIT_SYMBOL_SECTION_BYTES or that lie
 * about their size are passed over. Sources: System V ABI, chapters 4 and 5; elf(5). Untrusted
 * throughout. Threads: one at a time.
 */
#ifndef PW_PROBE_SYMBOL_ELF_H
#define PW_PROBE_SYMBOL_ELF_H

#include "wrapper/probe/symbols/symbol_table.h"
#include "wrapper/probe/symbols/symbols.h"

enum { PW_SYMBOL_SEGMENTS_MAX = 64 };

struct pw_symbol_elf {
    struct pw_symbol_segment {
        uint64_t offset, size, address;
        bool is_code;
    } segments[PW_SYMBOL_SEGMENTS_MAX]; /* those that are loaded */
    size_t segment_count;
    unsigned char build_id[PW_BUILD_ID_MAX];
    size_t build_id_size; /* 0: none */
    bool is_full;         /* it has .symtab, not only what is exported */
    struct pw_symbol_table table;
};

/* `fd`: a regular file, which stays open. False: it is no ELF file, too large, or memory is out;
 * then nothing is to be released. */
bool pw_symbol_elf_read(int fd, struct pw_symbol_elf *ret_elf);
void pw_symbol_elf_done(struct pw_symbol_elf *elf);
/* False: no segment holds this offset. */
bool pw_symbol_elf_address(const struct pw_symbol_elf *elf, uint64_t file_offset,
                           uint64_t *ret_address);

#endif
