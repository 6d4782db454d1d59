/* Small files with what perfwrap looks at in a Linux kernel: ELF images, bzImages around them, and
 * modules. */
#ifndef PW_TESTS_UNIT_FAKE_KERNEL_H
#define PW_TESTS_UNIT_FAKE_KERNEL_H

#include <archive.h>
#include <archive_entry.h>
#include <elf.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "core/str.h"
#include "tests/unit/unit.h"

struct fake_elf {
    Elf64_Ehdr header;
    Elf64_Phdr load, notes;
    Elf64_Nhdr other_note;
    char other_name[8], other_content[4];
    Elf64_Nhdr pvh_note;
    char pvh_name[4];
    uint64_t pvh_entry;
    char banner[256];
};

static inline struct fake_elf fake_elf(const char *release)
{
    struct fake_elf elf = {
        .header = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                   .e_type = ET_EXEC,
                   .e_machine = EM_X86_64,
                   .e_version = EV_CURRENT,
                   .e_phoff = offsetof(struct fake_elf, load),
                   .e_ehsize = sizeof(Elf64_Ehdr),
                   .e_phentsize = sizeof(Elf64_Phdr),
                   .e_phnum = 2},
        .load = {.p_type = PT_LOAD, .p_filesz = sizeof(elf), .p_memsz = sizeof(elf)},
        .notes = {.p_type = PT_NOTE,
                  .p_offset = offsetof(struct fake_elf, other_note),
                  .p_filesz =
                      offsetof(struct fake_elf, banner) - offsetof(struct fake_elf, other_note)},
        .other_note = {.n_namesz = 6, .n_descsz = 3, .n_type = 18}, /* both are padded */
        .other_name = "Linux",
        .pvh_note = {.n_namesz = 4, .n_descsz = 8, .n_type = 18},
        .pvh_name = "Xen",
        .pvh_entry = 0x1000000,
    };
    /* As in Linux there is another text that begins so. */
    (void)snprintf(elf.banner, sizeof(elf.banner),
                   "Linux version %%s, Linux version %s (someone@somewhere) #1 SMP", release);
    return elf;
}

enum packing { GZIP, BZIP2, LZMA, XZ, ZSTD, LZ4_LEGACY, PACKINGS };

/* One block of literals only ("LZ4 Frame format", Legacy frame; "LZ4 Block format"). */
static inline void pack_lz4_legacy(struct pw_str *to, const char *bytes, size_t size)
{
    PW_STR_AUTO block = PW_STR_INIT;
    pw_str_add_char(&block, (char)0xf0);
    size_t rest = size - 15;
    for (; rest >= 255; rest -= 255) {
        pw_str_add_char(&block, (char)255);
    }
    pw_str_add_char(&block, (char)rest);
    pw_str_add_bytes(&block, bytes, size);
    uint32_t length = (uint32_t)block.length;
    pw_str_add_bytes(to, "\x02\x21\x4c\x18", 4);
    pw_str_add_bytes(to, &length, 4);
    pw_str_add_bytes(to, block.text, block.length);
}

static inline void pack(struct pw_str *to, enum packing packing, const char *bytes, size_t size)
{
    if (packing == LZ4_LEGACY) {
        pack_lz4_legacy(to, bytes, size);
        return;
    }
    static int (*const add_filter[])(struct archive *) = {
        archive_write_add_filter_gzip, archive_write_add_filter_bzip2,
        archive_write_add_filter_lzma, archive_write_add_filter_xz, archive_write_add_filter_zstd};
    const size_t room = 2 * size + 4096;
    PW_FREE_AUTO char *packed = malloc(room);
    size_t used = 0;
    struct archive *writer = archive_write_new();
    struct archive_entry *entry = archive_entry_new();
    assert_int_equal(add_filter[packing](writer), ARCHIVE_OK);
    assert_int_equal(archive_write_set_format_raw(writer), ARCHIVE_OK);
    archive_write_set_bytes_per_block(writer, 0);
    assert_int_equal(archive_write_open_memory(writer, packed, room, &used), ARCHIVE_OK);
    archive_entry_set_filetype(entry, AE_IFREG);
    assert_int_equal(archive_write_header(writer, entry), ARCHIVE_OK);
    assert_int_equal(archive_write_data(writer, bytes, size), size);
    assert_int_equal(archive_write_close(writer), ARCHIVE_OK);
    archive_entry_free(entry);
    archive_write_free(writer);
    pw_str_add_bytes(to, packed, used);
}

enum { FAKE_SETUP_SECTS = 2, FAKE_PAYLOAD_OFFSET = 64 };

static inline void put_u32(struct pw_str *at, size_t offset, uint32_t value)
{
    memcpy(at->text + offset, &value, sizeof(value));
}

/* The payload, with the size behind it that the kernel's build appends, ends the file. */
static inline void fake_bzimage(struct pw_str *to, enum packing packing, const char *bytes,
                                size_t size)
{
    const size_t payload = (FAKE_SETUP_SECTS + 1) * 512 + FAKE_PAYLOAD_OFFSET;
    char zeros[(FAKE_SETUP_SECTS + 1) * 512 + FAKE_PAYLOAD_OFFSET] = "";
    pw_str_clear(to);
    pw_str_add_bytes(to, zeros, payload);
    pack(to, packing, bytes, size);
    const uint32_t unpacked = (uint32_t)size;
    if (packing != GZIP) {
        pw_str_add_bytes(to, &unpacked, sizeof(unpacked));
    }
    assert_false(to->failed);
    to->text[0x1f1] = FAKE_SETUP_SECTS;
    memcpy(to->text + 0x1fe, "\x55\xaaxxHdrS\x0f\x02", 10);
    put_u32(to, 0x248, FAKE_PAYLOAD_OFFSET);
    put_u32(to, 0x24c, (uint32_t)(to->length - payload));
}

/* A module of the kernel `release`, as a file would have it. */
static inline void fake_module(struct pw_str *to, const char *release)
{
    pw_str_clear(to);
    pw_str_add_bytes(to,
                     "\x7f"
                     "ELF\2\1\1",
                     7);
    pw_str_add_bytes(to, "\0license=GPL", 13);
    pw_str_addf(to, "vermagic=%s SMP preempt mod_unload ", release);
    pw_str_add_bytes(to, "\0name=fake", 11);
}

#endif
