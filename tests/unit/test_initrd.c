/* wrapper/boot/initrd.h: what is written is read back by libarchive. */
#include "tests/unit/unit.h"

#include <archive.h>
#include <archive_entry.h>
#include "core/str.h"
#include "wrapper/boot/guest_image.h"
#include "wrapper/boot/guest_proto.h"
#include "wrapper/boot/initrd.h"

#define RELEASE "6.1.0-test"

/* A kernel's folder with modules of a few bytes, each with its own name in it. */
static struct pw_guest_kernel make_kernel(void **state, const char *const *names)
{
    char *modules = in_folder(state, "lib/modules/" RELEASE);
    char *folder = pw_path_join(modules, "kernel/drivers", NULL);
    assert_int_equal(pw_dir_make(folder, NULL), 0);
    for (; *names; names++) {
        PW_STR_AUTO path = PW_STR_INIT;
        PW_STR_AUTO bytes = PW_STR_INIT;
        pw_str_addf(&path, "%s/%s.ko", folder, *names);
        pw_str_add_bytes(&bytes, "\177ELF\2\1\1", 8);
        pw_str_addf(&bytes, "module %s", *names);
        pw_str_add_bytes(&bytes, "\0vermagic=" RELEASE " SMP ", 10 + sizeof(RELEASE " SMP "));
        assert_int_equal(pw_file_write(path.text, bytes.text, bytes.length, 0644, NULL), 0);
    }
    free(folder);
    return (struct pw_guest_kernel){.modules = modules, .release = RELEASE, .image = "kernel"};
}

/* "MODE NAME SIZE[ MAJOR,MINOR]" a line; the bytes of `wanted` go to ret_wanted. */
static void list_archive(const struct pw_str *archive, struct pw_str *listing, const char *wanted,
                         struct pw_str *ret_wanted)
{
    struct archive_entry *entry;
    struct archive *reader = archive_read_new();
    assert_int_equal(archive_read_support_format_cpio(reader), ARCHIVE_OK);
    assert_int_equal(archive_read_open_memory(reader, archive->text, archive->length), ARCHIVE_OK);
    int status;
    while ((status = archive_read_next_header(reader, &entry)) == ARCHIVE_OK) {
        const char *name = archive_entry_pathname(entry);
        pw_str_addf(listing, "%o %s", (unsigned)archive_entry_mode(entry), name);
        if (archive_entry_filetype(entry) == AE_IFCHR) {
            pw_str_addf(listing, " %u,%u", (unsigned)archive_entry_rdevmajor(entry),
                        (unsigned)archive_entry_rdevminor(entry));
        }
        pw_str_add(listing, "\n");
        if (strcmp(name, wanted) == 0) {
            size_t size = (size_t)archive_entry_size(entry);
            char *bytes = malloc(size + 1);
            assert_non_null(bytes);
            assert_int_equal(archive_read_data(reader, bytes, size), size);
            pw_str_add_bytes(ret_wanted, bytes, size);
            free(bytes);
        }
        assert_int_equal(archive_entry_uid(entry), 0);
    }
    assert_int_equal(status, ARCHIVE_EOF);
    assert_string_equal(archive_format_name(reader), "ASCII cpio (SVR4 with no CRC)");
    archive_read_free(reader);
}

static void check(const struct pw_str *archive, const char *expected, const char *wanted,
                  const void *bytes, size_t size)
{
    PW_STR_AUTO listing = PW_STR_INIT;
    PW_STR_AUTO found = PW_STR_INIT;
    list_archive(archive, &listing, wanted, &found);
    assert_string_equal(listing.text, expected);
    assert_int_equal(found.length, size);
    assert_memory_equal(found.text, bytes, size);
    assert_int_equal(archive->length % 512, 0);
}

static void test_members(void **state)
{
    static const char odd[] = "an odd number of bytes.";
    PW_STR_AUTO archive = PW_STR_INIT;
    (void)state;
    pw_cpio_add_folder(&archive, "a");
    pw_cpio_add_file(&archive, "a/empty", 0600, "", 0);
    pw_cpio_add_file(&archive, "a/odd", 0755, odd, sizeof(odd));
    pw_cpio_add_device(&archive, "a/device", 10, 4097);
    pw_cpio_end(&archive);
    check(&archive, "40755 a\n100600 a/empty\n100755 a/odd\n20600 a/device 10,4097\n", "a/odd", odd,
          sizeof(odd));
}

#define BASE "40755 dev\n20600 dev/console 5,1\n100755 init\n40755 modules\n"

static void test_no_devices(void **state)
{
    const struct pw_initrd_needs needs = {.pci = true};
    const struct pw_guest_kernel kernel = {.release = RELEASE};
    PW_STR_AUTO archive = PW_STR_INIT;
    struct pw_err err = PW_ERR_INIT;
    (void)state;
    assert_int_equal(pw_initrd_build(&kernel, &needs, &archive, &err), 0);
    check(&archive, BASE, "init", pw_guest_image, pw_guest_image_size);
    assert_memory_equal(pw_guest_image, "\177ELF", 4);
}

static void test_disk(void **state)
{
    static const char *const names[] = {"virtio", "virtio_ring", "virtio_mmio", "virtio_blk", NULL};
    const struct pw_initrd_needs needs = {.disk = true};
    struct pw_guest_kernel kernel = make_kernel(state, names);
    PW_STR_AUTO archive = PW_STR_INIT;
    PW_STR_AUTO again = PW_STR_INIT;
    static const char bytes[] = "\177ELF\2\1\1\0module virtio_ring\0vermagic=" RELEASE " SMP ";
    struct pw_err err = PW_ERR_INIT;
    if (pw_initrd_build(&kernel, &needs, &archive, &err) != 0) {
        fail_msg("%s", err.message);
    }
    check(&archive,
          BASE "100644 modules/00-virtio_ring.ko\n100644 modules/01-virtio.ko\n"
               "100644 modules/02-virtio_mmio.ko\n100644 modules/03-virtio_blk.ko\n",
          "modules/00-virtio_ring.ko", bytes, sizeof(bytes));
    assert_int_equal(pw_initrd_build(&kernel, &needs, &again, &err), 0);
    assert_int_equal(again.length, archive.length);
    assert_memory_equal(again.text, archive.text, again.length);
    free(kernel.modules);
}

/* virtio_pci_legacy_dev and failover are built in. */
static void test_pci_network(void **state)
{
    static const char *const names[] = {"virtio-ring",  "virtio",     "virtio_pci_modern_dev",
                                        "virtio_pci",   "virtio_blk", "virtio_mmio",
                                        "net_failover", "virtio_net", NULL};
    static const char builtin[] =
        "kernel/drivers/virtio/virtio_pci_legacy_dev.ko\nkernel/net/core/failover.ko\n";
    const struct pw_initrd_needs needs = {.network = true, .pci = true};
    struct pw_guest_kernel kernel = make_kernel(state, names);
    char *list = pw_path_join(kernel.modules, "modules.builtin", NULL);
    PW_STR_AUTO archive = PW_STR_INIT;
    struct pw_err err = PW_ERR_INIT;
    assert_int_equal(pw_file_write(list, builtin, sizeof(builtin) - 1, 0644, NULL), 0);
    if (pw_initrd_build(&kernel, &needs, &archive, &err) != 0) {
        fail_msg("%s", err.message);
    }
    check(&archive,
          BASE "100644 modules/00-virtio_ring.ko\n100644 modules/01-virtio.ko\n"
               "100644 modules/03-virtio_pci_modern_dev.ko\n100644 modules/04-virtio_pci.ko\n"
               "100644 modules/06-net_failover.ko\n100644 modules/07-virtio_net.ko\n",
          "nothing", "", 0);
    free(list);
    free(kernel.modules);
}

static void test_missing_module(void **state)
{
    static const char *const names[] = {"virtio", "virtio_ring", "virtio_mmio", NULL};
    const struct pw_initrd_needs needs = {.disk = true};
    struct pw_guest_kernel kernel = make_kernel(state, names);
    PW_STR_AUTO archive = PW_STR_INIT;
    struct pw_err err = PW_ERR_INIT;
    assert_int_equal(pw_initrd_build(&kernel, &needs, &archive, &err), -1);
    assert_int_equal(err.cls, PW_ERR_INPUT);
    assert_contains(err.message, "virtio_blk");
    assert_int_equal(archive.length, 0);
    free(kernel.modules);
}

static void test_broken_module(void **state)
{
    static const char *const names[] = {"virtio", "virtio_ring", "virtio_mmio", NULL};
    const struct pw_initrd_needs needs = {.disk = true};
    struct pw_guest_kernel kernel = make_kernel(state, names);
    char *path = pw_path_join(kernel.modules, "kernel/virtio_blk.ko.xz", NULL);
    PW_STR_AUTO archive = PW_STR_INIT;
    struct pw_err err = PW_ERR_INIT;
    assert_int_equal(pw_file_write(path, "no module", 9, 0644, NULL), 0);
    assert_int_equal(pw_initrd_build(&kernel, &needs, &archive, &err), -1);
    assert_int_equal(err.cls, PW_ERR_INPUT);
    assert_contains(err.message, "virtio_blk");
    free(path);
    free(kernel.modules);
}

/* The kernel unpacks archives that stand one behind the other; libarchive sees the first. */
static void test_job(void **state)
{
    static const char job[] = "arg=exit\0arg=7";
    PW_STR_AUTO archive = PW_STR_INIT;
    (void)state;
    pw_initrd_add_job(&archive, job, sizeof(job));
    check(&archive, "40755 pw\n100644 pw/job\n", "pw/job", job, sizeof(job));
    assert_string_equal(PW_JOB_FILE, "/pw/job");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_no_devices),
        cmocka_unit_test_setup_teardown(test_disk, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(test_pci_network, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(test_missing_module, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(test_broken_module, make_folder, drop_folder),
        cmocka_unit_test(test_job),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
