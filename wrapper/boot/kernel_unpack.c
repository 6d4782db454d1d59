#include <archive.h>
#include <archive_entry.h>
#include <elf.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "core/file.h"
#include "wrapper/boot/kernel_impl.h"

/* Linux, Documentation/arch/x86/boot, "The Real-Mode Kernel Header". */
enum {
    SETUP_SECTS = 0x1f1,
    BOOT_FLAG = 0x1fe,
    HEADER = 0x202,
    VERSION = 0x206,
    PAYLOAD_OFFSET = 0x248,
    PAYLOAD_LENGTH = 0x24c,
    HEADER_END = 0x250,
    BOOT_FLAG_VALUE = 0xaa55,
    VERSION_WITH_PAYLOAD = 0x208,
    SECTOR_BYTES = 512,
    DEFAULT_SETUP_SECTS = 4,
    SIZE_BYTES = 4, /* behind the payload: how large it is unpacked */
};

enum { XEN_ELFNOTE_PHYS32_ENTRY = 18 };

static uint16_t u16_at(const unsigned char *bytes, size_t at)
{
    return (uint16_t)(bytes[at] | bytes[at + 1] << 8);
}

static uint32_t u32_at(const unsigned char *bytes, size_t at)
{
    return u16_at(bytes, at) | (uint32_t)u16_at(bytes, at + 2) << 16;
}

/* Decompression */

/* Those within libarchive: not the ones for which it would start another program. */
static int open_stream(struct archive *reader, const void *bytes, size_t size)
{
    if (archive_read_support_filter_gzip(reader) != ARCHIVE_OK ||
        archive_read_support_filter_bzip2(reader) != ARCHIVE_OK ||
        archive_read_support_filter_lzma(reader) != ARCHIVE_OK ||
        archive_read_support_filter_xz(reader) != ARCHIVE_OK ||
        archive_read_support_filter_lz4(reader) != ARCHIVE_OK ||
        archive_read_support_filter_zstd(reader) != ARCHIVE_OK ||
        archive_read_support_format_raw(reader) != ARCHIVE_OK) {
        return -1;
    }
    struct archive_entry *entry = NULL;
    return archive_read_open_memory(reader, bytes, size) == ARCHIVE_OK &&
                   archive_read_next_header(reader, &entry) == ARCHIVE_OK
               ? 0
               : -1;
}

static int fail_stream(struct archive *reader, struct pw_err *err)
{
    const char *why = archive_error_string(reader);
    return pw_err_set(err, PW_ERR_INPUT, "cannot be decompressed: %s", why ? why : "it is damaged");
}

/* More room, up to one byte over `at_most`: that it is filled shows that there is too much. */
static int grow(char **bytes, size_t *capacity, size_t at_most, struct pw_err *err)
{
    size_t wanted = *capacity < at_most / 2 ? *capacity * 2 : at_most + 1;
    char *larger = realloc(*bytes, wanted);
    if (!larger) {
        return pw_err_memory(err);
    }
    *bytes = larger;
    *capacity = wanted;
    return 0;
}

static int read_stream(struct archive *reader, size_t at_most, char **ret_bytes, size_t *ret_size,
                       struct pw_err *err)
{
    enum { FIRST_BYTES = 1 << 16 };
    size_t size = 0, capacity = at_most < FIRST_BYTES ? at_most + 1 : FIRST_BYTES;
    PW_FREE_AUTO char *bytes = malloc(capacity);
    if (!bytes) {
        return pw_err_memory(err);
    }
    for (;;) {
        ssize_t count = archive_read_data(reader, bytes + size, capacity - size);
        if (count < 0) {
            return fail_stream(reader, err);
        }
        if (count == 0) {
            break;
        }
        size += (size_t)count;
        if (size > at_most) {
            return pw_err_set(err, PW_ERR_INPUT, "larger than %zu bytes when it is decompressed",
                              at_most);
        }
        if (size == capacity && grow(&bytes, &capacity, at_most, err) != 0) {
            return -1;
        }
    }
    *ret_bytes = bytes;
    *ret_size = size;
    bytes = NULL;
    return 0;
}

int pw_kernel_inflate(const void *bytes, size_t size, size_t at_most, char **ret_bytes,
                      size_t *ret_size, struct pw_err *err)
{
    struct archive *reader = archive_read_new();
    if (!reader) {
        return pw_err_memory(err);
    }
    int status = -1;
    if (open_stream(reader, bytes, size) != 0) {
        fail_stream(reader, err);
    } else if (archive_filter_count(reader) <
               2) { /* the last one is that of the bytes themselves */
        pw_err_set(err, PW_ERR_INPUT, "compressed in a way that is not known here");
    } else {
        status = read_stream(reader, at_most, ret_bytes, ret_size, err);
    }
    archive_read_free(reader);
    return status;
}

/* bzImage */

/* Where the packed kernel is, with the four bytes of its size. */
static int find_payload(const unsigned char *bytes, size_t size, size_t *ret_at, size_t *ret_length,
                        struct pw_err *err)
{
    if (size < HEADER_END || u16_at(bytes, BOOT_FLAG) != BOOT_FLAG_VALUE ||
        memcmp(bytes + HEADER, "HdrS", 4) != 0) {
        return pw_err_set(err, PW_ERR_INPUT, "neither an ELF image nor a bzImage of Linux");
    }
    if (u16_at(bytes, VERSION) < VERSION_WITH_PAYLOAD) {
        return pw_err_set(err, PW_ERR_INPUT, "a bzImage of Linux before 2.6.24");
    }
    const unsigned sectors = bytes[SETUP_SECTS] ? bytes[SETUP_SECTS] : DEFAULT_SETUP_SECTS;
    const uint64_t at = (uint64_t)(sectors + 1) * SECTOR_BYTES + u32_at(bytes, PAYLOAD_OFFSET);
    const uint64_t length = u32_at(bytes, PAYLOAD_LENGTH);
    if (length <= SIZE_BYTES || at + length > size) {
        return pw_err_set(err, PW_ERR_INPUT,
                          "damaged: the packed kernel should be %llu bytes at %llu, and the file "
                          "has %zu",
                          (unsigned long long)length, (unsigned long long)at, size);
    }
    *ret_at = (size_t)at;
    *ret_length = (size_t)length;
    return 0;
}

static bool is_gzip(const unsigned char *bytes, size_t size)
{
    return size >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b;
}

int pw_kernel_unpack_bytes(const void *bytes, size_t size, size_t at_most, char **ret_image,
                           size_t *ret_size, struct pw_err *err)
{
    size_t at = 0, length = 0;
    if (find_payload(bytes, size, &at, &length, err) != 0) {
        return -1;
    }
    const unsigned char *payload = (const unsigned char *)bytes + at;
    const size_t unpacked_size = u32_at(payload, length - SIZE_BYTES);
    if (unpacked_size > at_most) {
        return pw_err_set(err, PW_ERR_INPUT, "damaged, or too large: %zu bytes unpacked, over %zu",
                          unpacked_size, at_most);
    }
    if (length >= 3 && memcmp(payload, "\x89LZ", 3) == 0) {
        pw_err_set(err, PW_ERR_INPUT, "packed with LZO, which is not supported");
        return pw_err_remedy(err, "Unpack it with the kernel's scripts/extract-vmlinux, and give "
                                  "that image to --kernel.");
    }
    /* gzip has the size as its own end; to the others it was appended. */
    const size_t stream = is_gzip(payload, length) ? length : length - SIZE_BYTES;
    char *image = NULL;
    size_t image_size = 0;
    if (pw_kernel_inflate(payload, stream, unpacked_size, &image, &image_size, err) != 0) {
        return pw_err_prefix(err, "the packed kernel");
    }
    if (image_size != unpacked_size) {
        free(image);
        return pw_err_set(err, PW_ERR_INPUT, "damaged: it unpacks to %zu bytes instead of %zu",
                          image_size, unpacked_size);
    }
    *ret_image = image;
    *ret_size = image_size;
    return 0;
}

/* ELF (System V ABI, "Object Files") */

bool pw_kernel_is_elf(const void *bytes, size_t size)
{
    return size >= SELFMAG && memcmp(bytes, ELFMAG, SELFMAG) == 0;
}

static int read_header(const unsigned char *bytes, size_t size, Elf64_Ehdr *ret_header,
                       struct pw_err *err)
{
    if (!pw_kernel_is_elf(bytes, size)) {
        return pw_err_set(err, PW_ERR_INPUT, "no ELF image");
    }
    if (size < sizeof(*ret_header)) {
        return pw_err_set(err, PW_ERR_INPUT, "damaged: its ELF header is cut off");
    }
    memcpy(ret_header, bytes, sizeof(*ret_header));
    if (ret_header->e_ident[EI_CLASS] != ELFCLASS64 ||
        ret_header->e_ident[EI_DATA] != ELFDATA2LSB || ret_header->e_machine != EM_X86_64) {
        return pw_err_set(err, PW_ERR_INPUT, "not for x86-64");
    }
    if (ret_header->e_phentsize != sizeof(Elf64_Phdr) || ret_header->e_phnum == 0 ||
        ret_header->e_phoff > size ||
        (size - ret_header->e_phoff) / sizeof(Elf64_Phdr) < ret_header->e_phnum) {
        return pw_err_set(err, PW_ERR_INPUT, "damaged: its program headers are not in the file");
    }
    return 0;
}

static uint64_t padded(uint64_t size)
{
    return (size + 3) & ~(uint64_t)3;
}

/* One segment of notes: (name size, descriptor size, type, name, descriptor), padded to 4 bytes. */
static bool has_pvh_entry(const unsigned char *notes, size_t size)
{
    size_t at = 0;
    while (size - at >= sizeof(Elf64_Nhdr)) {
        Elf64_Nhdr note;
        memcpy(&note, notes + at, sizeof(note));
        at += sizeof(note);
        const uint64_t name = padded(note.n_namesz), rest = name + padded(note.n_descsz);
        if (rest > size - at) {
            return false;
        }
        if (note.n_type == XEN_ELFNOTE_PHYS32_ENTRY && note.n_namesz == sizeof("Xen") &&
            memcmp(notes + at, "Xen", sizeof("Xen")) == 0 && note.n_descsz >= 4) {
            return true;
        }
        at += (size_t)rest;
    }
    return false;
}

static int check_segments(const unsigned char *bytes, size_t size, const Elf64_Ehdr *header,
                          struct pw_err *err)
{
    bool has_entry = false;
    for (unsigned i = 0; i < header->e_phnum; i++) {
        Elf64_Phdr segment;
        memcpy(&segment, bytes + header->e_phoff + i * sizeof(segment), sizeof(segment));
        if (segment.p_type != PT_LOAD && segment.p_type != PT_NOTE) {
            continue;
        }
        if (segment.p_offset > size || segment.p_filesz > size - segment.p_offset) {
            return pw_err_set(err, PW_ERR_INPUT, "damaged: a part of it is not in the file");
        }
        has_entry = has_entry || (segment.p_type == PT_NOTE &&
                                  has_pvh_entry(bytes + segment.p_offset, segment.p_filesz));
    }
    if (!has_entry) {
        pw_err_set(err, PW_ERR_INPUT, "it has no PVH entry");
        return pw_err_remedy(err, "A kernel built with CONFIG_PVH=y is needed, as Debian's are: "
                                  "perfwrap boot --fetch-kernel.");
    }
    return 0;
}

bool pw_kernel_is_release(const char *text)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+_~-";
    const size_t length = strlen(text);
    return length > 0 && length < PW_KERNEL_RELEASE_BYTES && text[0] >= '0' && text[0] <= '9' &&
           strspn(text, allowed) == length;
}

/* From the text that /proc/version shows. There may be others with the same beginning. */
static bool find_release(const char *bytes, size_t size, char ret_release[PW_KERNEL_RELEASE_BYTES])
{
    static const char banner[] = "Linux version ";
    const char *end = bytes + size;
    const char *at = bytes;
    while ((at = memmem(at, (size_t)(end - at), banner, sizeof(banner) - 1))) {
        at += sizeof(banner) - 1;
        char release[PW_KERNEL_RELEASE_BYTES];
        size_t length = 0;
        while (at + length < end && length < sizeof(release) - 1 && at[length] > ' ' &&
               at[length] < 0x7f) {
            release[length] = at[length];
            length++;
        }
        release[length] = '\0';
        if (at + length < end && at[length] == ' ' && pw_kernel_is_release(release)) {
            memcpy(ret_release, release, length + 1);
            return true;
        }
    }
    return false;
}

int pw_kernel_check_image(const void *bytes, size_t size, char ret_release[PW_KERNEL_RELEASE_BYTES],
                          struct pw_err *err)
{
    Elf64_Ehdr header = {.e_phnum = 0};
    if (read_header(bytes, size, &header, err) != 0 ||
        check_segments(bytes, size, &header, err) != 0) {
        return -1;
    }
    if (!find_release(bytes, size, ret_release)) {
        return pw_err_set(err, PW_ERR_INPUT, "no Linux kernel: it does not name its version");
    }
    return 0;
}
