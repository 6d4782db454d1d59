#include "wrapper/probe/symbols/symbol_elf.h"

#include <elfutils/libdwelf.h>
#include <gelf.h>
#include <libelf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "core/limits.h"

/* Ranks: a proper function before one that is chosen at load time (then the address is that of the
 * code that chooses), before a label; a name for users before an internal alias ("write" before
 * "__libc_write"); global before weak before local. */
enum { RANK_TYPE = 64, RANK_UNDERSCORE = 4, UNDERSCORES_MAX = 8 };

static void read_segments(Elf *file, struct pw_symbol_elf *elf)
{
    size_t count = 0;

    if (elf_getphdrnum(file, &count) != 0)
        return;
    for (size_t i = 0; i < count && i <= INT32_MAX; i++) {
        GElf_Phdr header;
        if (elf->segment_count == PW_SYMBOL_SEGMENTS_MAX ||
            gelf_getphdr(file, (int)i, &header) == NULL)
            return;
        if (header.p_type != PT_LOAD)
            continue;
        elf->segments[elf->segment_count++] = (struct pw_symbol_segment){
            .offset = header.p_offset,
            .size = header.p_filesz,
            .address = header.p_vaddr,
            .is_code = (header.p_flags & PF_X) != 0,
        };
    }
}

static void read_build_id(Elf *file, struct pw_symbol_elf *elf)
{
    const void *bytes = NULL;
    ssize_t size = dwelf_elf_gnu_build_id(file, &bytes);

    if (size > 0 && size <= PW_BUILD_ID_MAX) {
        memcpy(elf->build_id, bytes, (size_t)size);
        elf->build_id_size = (size_t)size;
    }
}

/* The bytes of a section, as long as the file lives; NULL: it is not usable. */
static Elf_Data *section_data(Elf_Scn *section, const GElf_Shdr *header)
{
    if (header->sh_type == SHT_NOBITS || (header->sh_flags & SHF_COMPRESSED) != 0 ||
        header->sh_size > PW_LIMIT_SYMBOL_SECTION_BYTES)
        return NULL;
    Elf_Data *data = elf_getdata(section, NULL);
    return data != NULL && data->d_buf != NULL && data->d_size > 0 ? data : NULL;
}

/* The first section of a type, with its names. */
struct symbol_section {
    Elf_Data *symbols;
    const char *names;
    size_t names_size, count;
};

static bool find_section(Elf *file, GElf_Word type, struct symbol_section *ret_section)
{
    for (Elf_Scn *scn = elf_nextscn(file, NULL); scn != NULL; scn = elf_nextscn(file, scn)) {
        GElf_Shdr header, names_header;
        if (gelf_getshdr(scn, &header) == NULL || header.sh_type != type)
            continue;
        Elf_Data *symbols = section_data(scn, &header);
        Elf_Scn *names_scn = elf_getscn(file, header.sh_link);
        size_t entry = gelf_fsize(file, ELF_T_SYM, 1, EV_CURRENT);
        if (symbols == NULL || symbols->d_type != ELF_T_SYM || names_scn == NULL || entry == 0 ||
            gelf_getshdr(names_scn, &names_header) == NULL || names_header.sh_type != SHT_STRTAB)
            return false;
        Elf_Data *names = section_data(names_scn, &names_header);
        if (names == NULL || ((const char *)names->d_buf)[names->d_size - 1] != '\0')
            return false;
        *ret_section = (struct symbol_section){.symbols = symbols,
                                               .names = names->d_buf,
                                               .names_size = names->d_size,
                                               .count = symbols->d_size / entry};
        return true;
    }
    return false;
}

static uint32_t rank_of(const GElf_Sym *symbol, const char *name)
{
    unsigned type = GELF_ST_TYPE(symbol->st_info), binding = GELF_ST_BIND(symbol->st_info);
    size_t underscores = strspn(name, "_");
    uint32_t rank = type == STT_FUNC ? 0 : type == STT_GNU_IFUNC ? 1 : 2;

    if (underscores > UNDERSCORES_MAX)
        underscores = UNDERSCORES_MAX;
    /* A mangled name has an underscore of its own. */
    if (underscores > 0 && (strncmp(name, "_Z", 2) == 0 || strncmp(name, "_R", 2) == 0))
        underscores--;
    return rank * RANK_TYPE + (uint32_t)underscores * RANK_UNDERSCORE +
           (binding == STB_GLOBAL ? 0U
            : binding == STB_WEAK ? 1U
                                  : 2U);
}

/* Where code ends at the latest that is known to begin in this symbol's section; 0: it is no code.
 */
static uint64_t section_end(Elf *file, const GElf_Sym *symbol)
{
    GElf_Shdr header;
    Elf_Scn *scn = symbol->st_shndx < SHN_LORESERVE ? elf_getscn(file, symbol->st_shndx) : NULL;

    if (scn == NULL || gelf_getshdr(scn, &header) == NULL ||
        (header.sh_flags & SHF_EXECINSTR) == 0 || symbol->st_value < header.sh_addr ||
        symbol->st_value - header.sh_addr >= header.sh_size ||
        header.sh_size > UINT64_MAX - header.sh_addr)
        return 0;
    return header.sh_addr + header.sh_size;
}

static bool use_symbol(Elf *file, const struct symbol_section *section, const GElf_Sym *symbol,
                       bool is_full, struct pw_symbol *ret_symbol)
{
    unsigned type = GELF_ST_TYPE(symbol->st_info);
    bool is_function = type == STT_FUNC || type == STT_GNU_IFUNC;

    if ((!is_function && type != STT_NOTYPE) || symbol->st_shndx == SHN_UNDEF ||
        symbol->st_value == 0 || symbol->st_name >= section->names_size)
        return false;
    const char *name = section->names + symbol->st_name;
    /* "$x", "$d" and ".L1" mark places for the assembler. */
    if (*name == '\0' || (!is_function && (*name == '$' || *name == '.')))
        return false;
    /* Where the local functions have been stripped, one cannot say where an exported one without a
     * size ends. */
    if (symbol->st_size == 0 && !is_full)
        return false;
    uint64_t end = is_function && symbol->st_size > 0 ? 0 : section_end(file, symbol);
    if (end == 0 && (!is_function || symbol->st_size == 0))
        return false;
    *ret_symbol = (struct pw_symbol){.start = symbol->st_value,
                                     .size = symbol->st_size,
                                     .limit = end,
                                     .name = name,
                                     .rank = rank_of(symbol, name)};
    return true;
}

static size_t collect(Elf *file, const struct symbol_section *section, bool is_full,
                      struct pw_symbol *symbols, size_t count, size_t capacity)
{
    for (size_t i = 0; i < section->count && i <= INT32_MAX && count < capacity; i++) {
        GElf_Sym symbol;
        if (gelf_getsym(section->symbols, (int)i, &symbol) != NULL &&
            use_symbol(file, section, &symbol, is_full, &symbols[count]))
            count++;
    }
    return count;
}

static bool read_table(Elf *file, struct pw_symbol_elf *elf)
{
    struct symbol_section full = {0}, exported = {0};

    elf->is_full = find_section(file, SHT_SYMTAB, &full);
    (void)find_section(file, SHT_DYNSYM, &exported);
    size_t capacity = full.count + exported.count;
    if (capacity > PW_LIMIT_SYMBOLS)
        capacity = PW_LIMIT_SYMBOLS;
    if (capacity == 0)
        return true;
    struct pw_symbol *symbols = calloc(capacity, sizeof *symbols);
    if (symbols == NULL)
        return false;
    size_t count = collect(file, &full, elf->is_full, symbols, 0, capacity);
    count = collect(file, &exported, elf->is_full, symbols, count, capacity);
    bool ok = pw_symbol_table_build(symbols, count, &elf->table);
    free(symbols);
    return ok;
}

bool pw_symbol_elf_read(int fd, struct pw_symbol_elf *ret_elf)
{
    struct pw_symbol_elf elf = {0};
    struct stat stat;
    bool ok = false;

    if (fstat(fd, &stat) != 0 || !S_ISREG(stat.st_mode) ||
        stat.st_size > PW_LIMIT_SYMBOL_FILE_BYTES || elf_version(EV_CURRENT) == EV_NONE)
        return false;
    Elf *file = elf_begin(fd, ELF_C_READ, NULL);
    if (file != NULL && elf_kind(file) == ELF_K_ELF) {
        read_segments(file, &elf);
        read_build_id(file, &elf);
        ok = read_table(file, &elf);
    }
    (void)elf_end(file);
    if (ok)
        *ret_elf = elf;
    return ok;
}

void pw_symbol_elf_done(struct pw_symbol_elf *elf)
{
    pw_symbol_table_done(&elf->table);
}

bool pw_symbol_elf_address(const struct pw_symbol_elf *elf, uint64_t file_offset,
                           uint64_t *ret_address)
{
    /* Pages at a border of two segments are mapped for both; an address that is executed is of the
     * one with code. */
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < elf->segment_count; i++) {
            const struct pw_symbol_segment *segment = &elf->segments[i];
            if (segment->is_code == (pass == 0) && file_offset >= segment->offset &&
                file_offset - segment->offset < segment->size) {
                *ret_address = segment->address + (file_offset - segment->offset);
                return true;
            }
        }
    }
    return false;
}
