/* The guest's first file system: see initrd.h. */
#include "wrapper/boot/initrd.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "core/file.h"
#include "core/limits.h"
#include "wrapper/boot/guest_image.h"
#include "wrapper/boot/guest_proto.h"

enum {
    MEMBER_ALIGN = 4,
    ARCHIVE_ALIGN = 512,
    FOLDER_MODE = 0755,
    PROGRAM_MODE = 0755,
    FILE_MODE = 0644,
    DEVICE_MODE = 0600,
    CONSOLE_MAJOR = 5, /* Linux, Documentation/admin-guide/devices.txt */
    CONSOLE_MINOR = 1,
    MODULE_PATH_BYTES = 128,
    MODULES_MAX = 16,
};

static void pad(struct pw_str *archive, size_t align)
{
    while (archive->length % align != 0 && !archive->failed) {
        pw_str_add_char(archive, '\0');
    }
}

struct member {
    const char *path;
    unsigned mode, links, major, minor;
    const void *bytes;
    size_t size;
};

/* The header's fields are 8 hex digits each. There is one owner, no time, and no hard link, so that
 * the same content always makes the same archive. */
static void add_member(struct pw_str *archive, const struct member *member)
{
    size_t name = strlen(member->path) + 1;
    pw_str_addf(archive, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", 0U,
                member->mode, 0U, 0U, member->links, 0U, (unsigned)member->size, 0U, 0U,
                member->major, member->minor, (unsigned)name, 0U);
    pw_str_add_bytes(archive, member->path, name);
    pad(archive, MEMBER_ALIGN);
    if (member->size > 0) {
        pw_str_add_bytes(archive, member->bytes, member->size);
    }
    pad(archive, MEMBER_ALIGN);
}

void pw_cpio_add_folder(struct pw_str *archive, const char *path)
{
    const struct member member = {.path = path, .mode = S_IFDIR | FOLDER_MODE, .links = 2};
    add_member(archive, &member);
}

void pw_cpio_add_file(struct pw_str *archive, const char *path, unsigned mode, const void *bytes,
                      size_t size)
{
    const struct member member = {
        .path = path, .mode = S_IFREG | mode, .links = 1, .bytes = bytes, .size = size};
    add_member(archive, &member);
}

void pw_cpio_add_device(struct pw_str *archive, const char *path, unsigned major, unsigned minor)
{
    const struct member member = {
        .path = path, .mode = S_IFCHR | DEVICE_MODE, .links = 1, .major = major, .minor = minor};
    add_member(archive, &member);
}

void pw_cpio_end(struct pw_str *archive)
{
    const struct member member = {.path = "TRAILER!!!", .links = 1};
    add_member(archive, &member);
    pad(archive, ARCHIVE_ALIGN);
}

/* Each one behind those whose symbols it uses. */
static size_t list_modules(const struct pw_initrd_needs *needs,
                           const char *ret_names[static MODULES_MAX])
{
    static const char *const mmio[] = {"virtio_ring", "virtio", "virtio_mmio", NULL};
    static const char *const pci[] = {
        "virtio_ring",           "virtio",     "virtio_pci_legacy_dev",
        "virtio_pci_modern_dev", "virtio_pci", NULL};
    static const char *const disk[] = {"virtio_blk", NULL};
    static const char *const network[] = {"failover", "net_failover", "virtio_net", NULL};
    const char *const *lists[] = {needs->pci ? pci : mmio, needs->disk ? disk : NULL,
                                  needs->network ? network : NULL};
    size_t count = 0;
    if (!needs->disk && !needs->network) {
        return 0;
    }
    for (size_t list = 0; list < sizeof lists / sizeof lists[0]; list++) {
        for (const char *const *name = lists[list]; name && *name; name++) {
            ret_names[count++] = *name;
        }
    }
    return count;
}

static int add_module(struct pw_str *archive, const struct pw_guest_kernel *kernel, size_t number,
                      const char *name, struct pw_err *err)
{
    PW_FREE_AUTO char *path = NULL, *bytes = NULL;
    size_t size = 0;
    char member[MODULE_PATH_BYTES];
    if (pw_kernel_module(kernel, name, &path, err) != 0) {
        return -1;
    }
    if (!path) {
        return 0; /* built in */
    }
    if (pw_kernel_module_read(path, &bytes, &size, err) != 0) {
        return -1;
    }
    snprintf(member, sizeof member, "modules/%02zu-%s.ko", number, name);
    pw_cpio_add_file(archive, member, FILE_MODE, bytes, size);
    return 0;
}

int pw_initrd_build(const struct pw_guest_kernel *kernel, const struct pw_initrd_needs *needs,
                    struct pw_str *ret_archive, struct pw_err *err)
{
    PW_STR_AUTO archive = PW_STR_INIT;
    const char *names[MODULES_MAX];
    size_t count = list_modules(needs, names);
    pw_cpio_add_folder(&archive, "dev");
    pw_cpio_add_device(&archive, "dev/console", CONSOLE_MAJOR, CONSOLE_MINOR);
    pw_cpio_add_file(&archive, "init", PROGRAM_MODE, pw_guest_image, pw_guest_image_size);
    pw_cpio_add_folder(&archive, "modules");
    for (size_t i = 0; i < count; i++) {
        if (add_module(&archive, kernel, i, names[i], err) != 0) {
            return -1;
        }
    }
    pw_cpio_end(&archive);
    if (archive.failed) {
        return pw_err_memory(err);
    }
    if (archive.length > PW_LIMIT_INITRD_BYTES) {
        return pw_err_set(err, PW_ERR_INPUT, "the guest's first file system has more than %d MiB",
                          PW_LIMIT_INITRD_BYTES >> 20);
    }
    pw_str_done(ret_archive);
    *ret_archive = archive;
    archive = PW_STR_INIT;
    return 0;
}

void pw_initrd_add_job(struct pw_str *archive, const void *job, size_t size)
{
    pw_cpio_add_folder(archive, "pw");
    pw_cpio_add_file(archive, &PW_JOB_FILE[1], FILE_MODE, job, size);
    pw_cpio_end(archive);
}
