/* QEMU's devices that need no driver. Source: QEMU, docs/specs/fw_cfg. */
#include "wrapper/boot/guest/guest.h"

#include <string.h>
#include "wrapper/boot/guest_proto.h"

#if defined __x86_64__ || defined __i386__
#include <sys/io.h>

enum {
    FW_CFG_SELECT = 0x510, /* 16 bits */
    FW_CFG_DATA = 0x511,
    FW_CFG_SIGNATURE = 0, /* keys */
    FW_CFG_DIRECTORY = 0x19,
    FW_CFG_NAME_BYTES = 56,
    FW_CFG_FILES_MAX = 4096,
};

static bool have_ports, have_debug_console, have_fw_cfg;

/* Not insb(3): the compiler is not told that it writes to memory. */
static void fw_cfg_read(void *bytes, size_t size)
{
    for (unsigned char *at = bytes; size > 0; size--) {
        *at++ = inb(FW_CFG_DATA);
    }
}

void pw_guest_ports_open(void)
{
    char signature[4];
    have_ports = ioperm(PW_MARK_PORT, 1, 1) == 0 && ioperm(PW_EXIT_PORT, 1, 1) == 0 &&
                 ioperm(FW_CFG_SELECT, 2, 1) == 0;
    if (!have_ports) {
        return;
    }
    have_debug_console = inb(PW_MARK_PORT) == PW_MARK_PORT_READ;
    outw(FW_CFG_SIGNATURE, FW_CFG_SELECT);
    fw_cfg_read(signature, sizeof signature);
    have_fw_cfg = memcmp(signature, "QEMU", sizeof signature) == 0;
}

bool pw_guest_ports_tell(const char *text, size_t length)
{
    for (size_t i = 0; have_debug_console && i < length; i++) {
        outb((unsigned char)text[i], PW_MARK_PORT);
    }
    return have_debug_console;
}

static uint32_t big_endian(const unsigned char *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

ssize_t pw_guest_ports_job(char *buffer, size_t capacity)
{
    struct {
        unsigned char size[4], key[2], reserved[2];
        char name[FW_CFG_NAME_BYTES];
    } file;
    unsigned char count_bytes[4];
    if (!have_fw_cfg) {
        return -1;
    }
    outw(FW_CFG_DIRECTORY, FW_CFG_SELECT);
    fw_cfg_read(count_bytes, sizeof count_bytes);
    uint32_t count = big_endian(count_bytes);
    for (uint32_t i = 0; i < count && i < FW_CFG_FILES_MAX; i++) {
        fw_cfg_read(&file, sizeof file);
        if (strncmp(file.name, PW_JOB_FW_CFG, sizeof file.name) != 0) {
            continue;
        }
        size_t size = big_endian(file.size);
        if (size > capacity) {
            return -1;
        }
        outw((unsigned short)(file.key[0] << 8 | file.key[1]), FW_CFG_SELECT);
        fw_cfg_read(buffer, size);
        return (ssize_t)size;
    }
    return -1;
}

void pw_guest_ports_exit(void)
{
    if (have_ports) {
        outb(PW_EXIT_VALUE, PW_EXIT_PORT);
    }
}
#else
void pw_guest_ports_open(void)
{
}

bool pw_guest_ports_tell(const char *text, size_t length)
{
    (void)text;
    (void)length;
    return false;
}

ssize_t pw_guest_ports_job(char *buffer, size_t capacity)
{
    (void)buffer;
    (void)capacity;
    return -1;
}

void pw_guest_ports_exit(void)
{
}
#endif
