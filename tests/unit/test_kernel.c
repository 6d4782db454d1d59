/* wrapper/boot/kernel: the guest's kernel and its modules. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "core/limits.h"
#include "tests/unit/fake_kernel.h"
#include "tests/unit/fake_root.h"
#include "wrapper/boot/base/digest.h"
#include "wrapper/boot/base/tool.h"
#include "wrapper/boot/kernel.h"
#include "wrapper/boot/kernel_impl.h"

#define RELEASE "9.9.9-test"

static struct fake_root root; /* files of a test */
static struct pw_state cache; /* its folder `state` */

static int open_all(void **state)
{
    (void)state;
    fake_root_make(&root);
    char path[PATH_MAX];
    fake_path(&root, path, "state");
    return pw_state_open(path, &cache, NULL);
}

static int close_all(void **state)
{
    (void)state;
    pw_state_close(&cache);
    fake_root_remove(&root);
    return 0;
}

static void write_elf(const char *name, const char *release)
{
    struct fake_elf elf = fake_elf(release);
    fake_bytes(&root, name, (const char *)&elf, sizeof(elf));
}

static void write_bzimage(const char *name, enum packing packing, const char *release)
{
    struct fake_elf elf = fake_elf(release);
    PW_STR_AUTO image = PW_STR_INIT;
    fake_bzimage(&image, packing, (const char *)&elf, sizeof(elf));
    fake_bytes(&root, name, image.text, image.length);
}

static void write_module(const char *name, const char *release)
{
    PW_STR_AUTO module = PW_STR_INIT;
    fake_module(&module, release);
    fake_bytes(&root, name, module.text, module.length);
}

/* In the folder of the test. */
static void run(const char *script)
{
    struct pw_err err = PW_ERR_INIT;
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};
    if (pw_tool_run(&(struct pw_tool_call){.argv = argv, .folder = root.path, .timeout_sec = 60},
                    &err) != 0) {
        fail_msg("%s", err.message);
    }
}

static int find(const char *name, struct pw_guest_kernel *ret_kernel, struct pw_err *err)
{
    char path[PATH_MAX];
    fake_path(&root, path, name);
    return pw_kernel_find(&cache, path, ret_kernel, err);
}

/* Unpacking */

static void every_packing_is_unpacked(void **state)
{
    (void)state;
    const struct fake_elf elf = fake_elf(RELEASE);
    char digest[PW_DIGEST_TEXT];
    pw_digest_bytes(&elf, sizeof(elf), digest);
    for (enum packing packing = 0; packing < PACKINGS; packing++) {
        struct pw_err err = PW_ERR_INIT;
        PW_GUEST_KERNEL_AUTO kernel = {.image = NULL};
        write_bzimage("vmlinuz", packing, RELEASE);
        if (find("vmlinuz", &kernel, &err) != 0) {
            fail_msg("packing %d: %s", packing, err.message);
        }
        assert_string_equal(kernel.release, RELEASE);
        assert_string_equal(kernel.digest, digest);
        assert_null(kernel.modules);
        PW_FREE_AUTO char *image = NULL;
        size_t size = 0;
        assert_int_equal(pw_file_read(kernel.image, 1 << 20, &image, &size, &err), 0);
        assert_int_equal(size, sizeof(elf));
        assert_memory_equal(image, &elf, size);
    }
}

static void is_unpacked_once(void **state)
{
    (void)state;
    struct pw_err err = PW_ERR_INIT;
    struct stat first, second;
    write_bzimage("vmlinuz", GZIP, RELEASE);
    for (int i = 0; i < 2; i++) {
        PW_GUEST_KERNEL_AUTO kernel = {.image = NULL};
        assert_int_equal(find("vmlinuz", &kernel, &err), 0);
        assert_int_equal(stat(kernel.image, i == 0 ? &first : &second), 0);
    }
    assert_int_equal(first.st_ino, second.st_ino);
    assert_int_equal(first.st_ctim.tv_nsec, second.st_ctim.tv_nsec);
}

static int unpack(const struct pw_str *image, struct pw_err *err)
{
    /* In memory of its exact size, so that a sanitizer sees what is read behind it. */
    PW_FREE_AUTO char *exact = malloc(image->length ? image->length : 1);
    char release[PW_KERNEL_RELEASE_BYTES];
    char *elf = NULL;
    size_t size = 0;
    memcpy(exact, image->text, image->length);
    int status = pw_kernel_unpack_bytes(exact, image->length, 1 << 20, &elf, &size, err);
    if (status == 0) {
        status = pw_kernel_check_image(elf, size, release, err);
        free(elf);
    } else {
        assert_null(elf);
    }
    return status;
}

static void cut_off_is_refused(void **state)
{
    (void)state;
    const struct fake_elf elf = fake_elf(RELEASE);
    for (enum packing packing = 0; packing < PACKINGS; packing++) {
        PW_STR_AUTO image = PW_STR_INIT;
        fake_bzimage(&image, packing, (const char *)&elf, sizeof(elf));
        assert_int_equal(unpack(&image, NULL), 0);
        const size_t payload = (FAKE_SETUP_SECTS + 1) * 512 + FAKE_PAYLOAD_OFFSET;
        while (image.length > 0) {
            struct pw_err err = PW_ERR_INIT;
            const size_t step = image.length % 7 + 1; /* not each: compressors are slow to start */
            image.length -= step < image.length ? step : image.length;
            assert_int_equal(unpack(&image, &err), -1);
            assert_int_equal(err.cls, PW_ERR_INPUT);
            if (image.length <= payload + 8) {
                continue;
            }
            /* The same with a header that admits it. */
            put_u32(&image, 0x24c, (uint32_t)(image.length - payload));
            assert_int_equal(unpack(&image, &err), -1);
        }
    }
}

static void damage_is_seen_or_harmless(void **state)
{
    (void)state;
    const struct fake_elf elf = fake_elf(RELEASE);
    const size_t payload = (FAKE_SETUP_SECTS + 1) * 512 + FAKE_PAYLOAD_OFFSET;
    for (enum packing packing = 0; packing < PACKINGS; packing++) {
        PW_STR_AUTO image = PW_STR_INIT;
        fake_bzimage(&image, packing, (const char *)&elf, sizeof(elf));
        size_t refused = 0;
        for (size_t at = payload; at < image.length; at += 3) {
            image.text[at] ^= 0x55;
            refused += unpack(&image, NULL) != 0;
            image.text[at] ^= 0x55;
        }
        /* Of those with a checksum most, of the others what hits what is looked at. */
        const bool has_checksum = packing == GZIP || packing == BZIP2 || packing == XZ;
        assert_true(refused > (image.length - payload) / 3 * (has_checksum ? 9 : 2) / 10);
    }
}

static void no_bzimage(void **state)
{
    (void)state;
    const struct fake_elf elf = fake_elf(RELEASE);
    struct pw_err err = PW_ERR_INIT;
    PW_STR_AUTO image = PW_STR_INIT;
    fake_bzimage(&image, XZ, (const char *)&elf, sizeof(elf));
    image.text[0x206] = 7; /* protocol 2.07 */
    assert_int_equal(unpack(&image, &err), -1);
    assert_contains(err.message, "before 2.6.24");
    image.text[0x206] = 15;
    image.text[0x202] = 'h';
    assert_int_equal(unpack(&image, &err), -1);
    assert_contains(err.message, "neither an ELF image nor a bzImage");
    image.text[0x202] = 'H';
    put_u32(&image, 0x248, UINT32_MAX);
    assert_int_equal(unpack(&image, &err), -1);
    assert_contains(err.message, "damaged");
    put_u32(&image, 0x248, FAKE_PAYLOAD_OFFSET);

    put_u32(&image, image.length - 4, 600 << 20);
    assert_int_equal(unpack(&image, &err), -1);
    assert_contains(err.message, "too large");
    put_u32(&image, image.length - 4, sizeof(elf) + 1);
    assert_int_equal(unpack(&image, &err), -1);
    assert_contains(err.message, "unpacks to");
    put_u32(&image, image.length - 4, sizeof(elf) - 1);
    assert_int_equal(unpack(&image, &err), -1);
    assert_contains(err.message, "larger than");

    const size_t payload = (FAKE_SETUP_SECTS + 1) * 512 + FAKE_PAYLOAD_OFFSET;
    put_u32(&image, image.length - 4, sizeof(elf));
    memcpy(image.text + payload, "\x89LZO", 4);
    assert_int_equal(unpack(&image, &err), -1);
    assert_contains(err.message, "LZO");
    assert_contains(err.remedy, "extract-vmlinux");
    memcpy(image.text + payload, "none", 4);
    assert_int_equal(unpack(&image, &err), -1);
    assert_contains(err.message, "not known here");
}

/* Images */

static int check(const struct fake_elf *elf, size_t size, struct pw_err *err)
{
    char release[PW_KERNEL_RELEASE_BYTES];
    PW_FREE_AUTO char *exact = malloc(size ? size : 1);
    memcpy(exact, elf, size);
    return pw_kernel_check_image(exact, size, release, err);
}

static void images_are_checked(void **state)
{
    (void)state;
    const struct fake_elf good = fake_elf(RELEASE);
    struct pw_err err = PW_ERR_INIT;
    struct fake_elf elf = good;
    assert_int_equal(check(&elf, sizeof(elf), &err), 0);
    for (size_t size = 0; size < sizeof(elf); size++) {
        assert_int_equal(check(&elf, size, &err), -1);
        assert_int_equal(err.cls, PW_ERR_INPUT);
    }
    elf.header.e_ident[EI_CLASS] = ELFCLASS32;
    assert_int_equal(check(&elf, sizeof(elf), &err), -1);
    assert_contains(err.message, "not for x86-64");
    elf = good;
    elf.header.e_machine = EM_AARCH64;
    assert_int_equal(check(&elf, sizeof(elf), &err), -1);
    assert_contains(err.message, "not for x86-64");
    elf = good;
    memcpy(elf.pvh_name, "Xem", 4);
    assert_int_equal(check(&elf, sizeof(elf), &err), -1);
    assert_contains(err.message, "no PVH entry");
    assert_contains(err.remedy, "CONFIG_PVH");
    elf = good;
    elf.pvh_note.n_type = 17;
    assert_int_equal(check(&elf, sizeof(elf), &err), -1);
    elf = good;
    elf.other_note.n_namesz = UINT32_MAX;
    elf.other_note.n_descsz = UINT32_MAX;
    assert_int_equal(check(&elf, sizeof(elf), &err), -1);
    elf = good;
    elf.header.e_phoff = UINT64_MAX;
    assert_int_equal(check(&elf, sizeof(elf), &err), -1);
    elf = good;
    elf.header.e_phnum = UINT16_MAX;
    assert_int_equal(check(&elf, sizeof(elf), &err), -1);
    elf = good;
    elf.notes.p_offset = UINT64_MAX - 1;
    assert_int_equal(check(&elf, sizeof(elf), &err), -1);
    elf = good;
    elf.load.p_filesz = UINT64_MAX;
    assert_int_equal(check(&elf, sizeof(elf), &err), -1);
    assert_contains(err.message, "not in the file");
    elf = good;
    memset(elf.banner, 0, sizeof(elf.banner));
    assert_int_equal(check(&elf, sizeof(elf), &err), -1);
    assert_contains(err.message, "does not name its version");
    /* A release becomes a part of paths. */
    elf = fake_elf("9/../../x");
    assert_int_equal(check(&elf, sizeof(elf), &err), -1);
    elf = fake_elf("../x");
    assert_int_equal(check(&elf, sizeof(elf), &err), -1);
}

static void given_ones(void **state)
{
    (void)state;
    struct pw_err err = PW_ERR_INIT;
    PW_GUEST_KERNEL_AUTO kernel = {.image = NULL};
    PW_GUEST_KERNEL_AUTO linked = {.image = NULL};
    char path[PATH_MAX], link[PATH_MAX];
    assert_int_equal(find("missing", &kernel, &err), -1);
    assert_int_equal(err.cls, PW_ERR_INPUT);
    assert_int_equal(err.sys, ENOENT);
    assert_contains(err.remedy, "--fetch-kernel");
    fake_bytes(&root, "text", "text", 4);
    assert_int_equal(find("text", &kernel, &err), -1);
    assert_contains(err.message, "text`: neither an ELF image");
    assert_int_equal(find("", &kernel, &err), -1);
    assert_int_equal(err.cls, PW_ERR_INPUT);

    write_elf("a/boot/vmlinux", RELEASE);
    write_module("a/lib/modules/" RELEASE "/kernel/fs/x.ko", RELEASE);
    assert_int_equal(find("a/boot/vmlinux", &kernel, &err), 0);
    fake_path(&root, path, "a/boot/vmlinux");
    assert_string_equal(kernel.image, path);
    fake_path(&root, path, "a/lib/modules/" RELEASE);
    assert_string_equal(kernel.modules, path);

    fake_path(&root, path, "a/boot/vmlinux");
    fake_path(&root, link, "link");
    assert_int_equal(symlink(path, link), 0);
    assert_int_equal(find("link", &linked, &err), 0);
    assert_string_equal(linked.modules, kernel.modules);
}

static void write_fetched(const char *release, const char *version)
{
    char name[256];
    struct fake_elf elf = fake_elf(release);
    char digest[PW_DIGEST_TEXT];
    pw_digest_bytes(&elf, sizeof(elf), digest);
    (void)snprintf(name, sizeof(name), "state/kernels/%s-%s/vmlinux", release, version);
    write_elf(name, release);
    (void)snprintf(name, sizeof(name), "state/kernels/%s-%s/vmlinux.sha256", release, version);
    fake_bytes(&root, name, digest, strlen(digest));
    (void)snprintf(name, sizeof(name), "state/kernels/%s-%s/release", release, version);
    fake_bytes(&root, name, release, strlen(release));
}

static void the_newest_is_taken(void **state)
{
    (void)state;
    struct pw_err err = PW_ERR_INIT;
    PW_GUEST_KERNEL_AUTO kernel = {.image = NULL};
    assert_int_equal(pw_kernel_find(&cache, NULL, &kernel, &err), -1);
    assert_int_equal(err.cls, PW_ERR_INPUT);
    assert_contains(err.remedy, "--fetch-kernel");
    static const char *const releases[] = {"6.1.0-9", "6.1.0-56", "6.1.0-10", "5.99.1-99"};
    for (size_t i = 0; i < 4; i++) {
        write_fetched(releases[i], "1-1");
    }
    write_bzimage("vmlinuz", GZIP, RELEASE); /* unpacked there too, and not fetched */
    assert_int_equal(find("vmlinuz", &kernel, &err), 0);
    pw_guest_kernel_done(&kernel);
    assert_int_equal(pw_kernel_find(&cache, NULL, &kernel, &err), 0);
    assert_string_equal(kernel.release, "6.1.0-56");

    /* The same release, of another package. */
    pw_guest_kernel_done(&kernel);
    write_fetched("6.1.0-56", "1-2");
    assert_int_equal(pw_kernel_find(&cache, NULL, &kernel, &err), 0);
    assert_contains(kernel.image, "/6.1.0-56-1-2/");
    fake_bytes(&root, "state/kernels/6.1.0-56-1-2/release", "../..", 5);
    pw_guest_kernel_done(&kernel);
    assert_int_equal(pw_kernel_find(&cache, NULL, &kernel, &err), -1);
    assert_contains(err.message, "damaged");
}

/* Modules */

static void modules_are_found(void **state)
{
    (void)state;
    struct pw_err err = PW_ERR_INIT;
    char top[PATH_MAX];
    fake_dir(&root, "top");
    fake_path(&root, top, "top");
    struct pw_guest_kernel kernel = {.release = (char *)RELEASE, .modules = top};
    write_module("top/m/kernel/drivers/block/virtio_blk.ko", RELEASE);
    write_module("top/m/kernel/a/longer_virtio_blk.ko", RELEASE);
    write_module("top/m/kernel/a/virtio_blk_more.ko", RELEASE);
    write_module("top/m/kernel/net/net-failover.ko", RELEASE);
    write_module("top/m/kernel/net/other.ko", "9.9.9-other");
    fake_bytes(&root, "top/m/kernel/net/text.ko",
               "\x7f"
               "ELF text",
               9);
    static const char builtin[] = "kernel/fs/ext4/ext4.ko\nkernel/drivers/char/hw-random.ko\n";
    fake_bytes(&root, "top/m/modules.builtin", builtin, strlen(builtin));
    const struct {
        const char *name, *end; /* NULL: built in */
    } found[] = {{"virtio_blk", "/block/virtio_blk.ko"},
                 {"virtio-blk", "/block/virtio_blk.ko"},
                 {"net_failover", "/net/net-failover.ko"},
                 {"ext4", NULL},
                 {"hw_random", NULL}};
    for (size_t i = 0; i < sizeof(found) / sizeof(found[0]); i++) {
        char *path = top;
        assert_int_equal(pw_kernel_module(&kernel, found[i].name, &path, &err), 0);
        if (found[i].end) {
            assert_contains(path, found[i].end);
            free(path);
        } else {
            assert_null(path);
        }
    }
    static const char *const missing[] = {"virtio", "blk", "ext", "ext4.ko", "", "../x"};
    for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]); i++) {
        char *path = top;
        assert_int_equal(pw_kernel_module(&kernel, missing[i], &path, &err), -1);
        assert_int_equal(err.cls, PW_ERR_INPUT);
        assert_int_equal(err.sys, ENOENT);
        assert_ptr_equal(path, top); /* untouched */
    }
    char *path = NULL;
    assert_int_equal(pw_kernel_module(&kernel, "other", &path, &err), -1);
    assert_contains(err.message, "is of the kernel 9.9.9-other, and not of " RELEASE);
    assert_int_equal(pw_kernel_module(&kernel, "text", &path, &err), -1);
    assert_contains(err.message, "no vermagic");
    kernel.modules = NULL;
    assert_int_equal(pw_kernel_module(&kernel, "virtio_blk", &path, &err), -1);
    assert_contains(err.message, "has no modules");
    /* "9.9.9-te" is not "9.9.9-test". */
    kernel.modules = top;
    kernel.release = (char *)"9.9.9-te";
    assert_int_equal(pw_kernel_module(&kernel, "virtio_blk", &path, &err), -1);
    assert_null(path);
}

static void modules_are_decompressed(void **state)
{
    (void)state;
    static const struct {
        const char *end;
        enum packing packing;
    } kinds[] = {{".xz", XZ}, {".gz", GZIP}, {".zst", ZSTD}};
    struct pw_err err = PW_ERR_INIT;
    char top[PATH_MAX], name[64];
    fake_path(&root, top, "m");
    struct pw_guest_kernel kernel = {.release = (char *)RELEASE, .modules = top};
    PW_STR_AUTO module = PW_STR_INIT;
    fake_module(&module, RELEASE);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        PW_STR_AUTO packed = PW_STR_INIT;
        pack(&packed, kinds[i].packing, module.text, module.length);
        (void)snprintf(name, sizeof(name), "m/kernel/m%zu.ko%s", i, kinds[i].end);
        fake_bytes(&root, name, packed.text, packed.length);
        (void)snprintf(name, sizeof(name), "m%zu", i);
        PW_FREE_AUTO char *path = NULL;
        PW_FREE_AUTO char *bytes = NULL;
        size_t size = 0;
        assert_int_equal(pw_kernel_module(&kernel, name, &path, &err), 0);
        assert_int_equal(pw_kernel_module_read(path, &bytes, &size, &err), 0);
        assert_int_equal(size, module.length);
        assert_memory_equal(bytes, module.text, size);

        /* Cut off in the middle. */
        fake_bytes(&root, "m/cut", packed.text, packed.length / 2);
        fake_path(&root, top, "m/cut");
        char *cut = NULL;
        assert_int_equal(pw_kernel_module_read(top, &cut, &size, &err), -1);
        assert_int_equal(err.cls, PW_ERR_INPUT);
        assert_null(cut);
        fake_path(&root, top, "m");
    }
}

static void bombs_are_refused(void **state)
{
    (void)state;
    struct pw_err err = PW_ERR_INIT;
    const size_t size = PW_LIMIT_MODULE_BYTES + 1;
    char *zeros = calloc(1, size);
    PW_STR_AUTO packed = PW_STR_INIT;
    pack(&packed, ZSTD, zeros, size);
    free(zeros);
    assert_true(packed.length < 1 << 20);
    fake_bytes(&root, "bomb.ko.zst", packed.text, packed.length);
    char path[PATH_MAX];
    char *bytes = NULL;
    size_t read_size = 0;
    fake_path(&root, path, "bomb.ko.zst");
    assert_int_equal(pw_kernel_module_read(path, &bytes, &read_size, &err), -1);
    assert_contains(err.message, "larger than");
}

/* Fetching: apt and dpkg are scripts that do what is asked of them with files of the test. */

static void write_script(const char *name, const char *text)
{
    char path[PATH_MAX];
    PW_STR_AUTO script = PW_STR_INIT;
    pw_str_addf(&script, "#!/bin/sh\ncd '%s' || exit 99\necho \"%s $*\" >>calls\n%s", root.path,
                name, text);
    (void)snprintf(path, sizeof(path), "%s/tools/%s", root.path, name);
    assert_int_equal(pw_file_write(path, script.text, script.length, 0755, NULL), 0);
}

static void write_tools(const char *release, const char *version)
{
    char text[1024];
    fake_dir(&root, "tools");
    (void)snprintf(text, sizeof(text),
                   "[ -e lists ] || { echo 'E: No packages found' >&2; exit 100; }\n"
                   "case $1 in depends) echo linux-image-cloud-amd64\n"
                   "echo '  Depends: linux-image-%s';;\n"
                   "show) echo 'Package: x'; echo 'Version: %s'; echo;; esac\n",
                   release, version);
    write_script("apt-cache", text);
    write_script("apt-get",
                 "case \"$*\" in *update) [ -e network ] && >lists;;\n"
                 "*download*) [ -e network ] || { echo 'E: no network' >&2; exit 100; }\n"
                 "cd \"$OLDPWD\" && >some_amd64.deb;; esac\n");
    write_script("dpkg-deb", "case $2 in *.deb) cp -r package/. \"$3\";; *) exit 2;; esac\n");
    char name[256];
    (void)snprintf(name, sizeof(name), "package/boot/vmlinuz-%s", release);
    write_bzimage(name, XZ, release);
    (void)snprintf(name, sizeof(name), "package/boot/config-%s", release);
    fake_bytes(&root, name, "CONFIG_PVH=y\n", 13);
    static const char *const modules[] = {"drivers/block/virtio_blk.ko", "net/core/failover.ko",
                                          "sound/large.ko"};
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(name, sizeof(name), "package/lib/modules/%s/kernel/%s", release, modules[i]);
        write_module(name, release);
    }
    (void)snprintf(name, sizeof(name), "package/lib/modules/%s/modules.builtin", release);
    fake_bytes(&root, name, "kernel/fs/ext4/ext4.ko\n", 23);
    char path[2 * PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/tools:/usr/bin:/bin", root.path);
    assert_int_equal(setenv("PATH", path, 1), 0);
}

/* How often a tool was called so since the last time. */
static unsigned calls_of(const char *what)
{
    char path[PATH_MAX];
    fake_path(&root, path, "calls");
    PW_FREE_AUTO char *text = NULL;
    unsigned count = 0;
    if (pw_file_read(path, 1 << 20, &text, NULL, NULL) == 0 && text) {
        for (const char *at = text; (at = strstr(at, what)); at++) {
            count++;
        }
        unlink(path);
    }
    return count;
}

static int fetch(struct pw_guest_kernel *ret_kernel, bool *ret_new, struct pw_err *err)
{
    *err = PW_ERR_INIT;
    pw_guest_kernel_done(ret_kernel);
    return pw_kernel_fetch(&cache, ret_kernel, ret_new, err);
}

static void drop_file(const char *name)
{
    char path[PATH_MAX];
    fake_path(&root, path, name);
    assert_int_equal(unlink(path), 0);
}

static void is_fetched_once(void **state)
{
    (void)state;
    struct pw_err err = PW_ERR_INIT;
    PW_GUEST_KERNEL_AUTO kernel = {.image = NULL};
    bool is_new = false;
    write_tools("6.1.0-9-cloud", "6.1.9-1~bpo12+1");
    fake_bytes(&root, "lists", "", 0);
    fake_bytes(&root, "network", "", 0);
    if (fetch(&kernel, &is_new, &err) != 0) {
        fail_msg("%s", err.message);
    }
    assert_true(is_new);
    assert_contains(kernel.image, "/kernels/6.1.0-9-cloud-6.1.9-1_bpo12_1/vmlinux");
    assert_string_equal(kernel.release, "6.1.0-9-cloud");
    PW_FREE_AUTO char *module = NULL;
    PW_FREE_AUTO char *built_in = NULL;
    assert_int_equal(pw_kernel_module(&kernel, "failover", &module, &err), 0);
    assert_contains(module, "net/core/failover.ko");
    assert_int_equal(pw_kernel_module(&kernel, "ext4", &built_in, &err), 0);
    assert_null(built_in);
    char *no_use = NULL;
    assert_int_equal(pw_kernel_module(&kernel, "large", &no_use, &err), -1);
    char path[PATH_MAX];
    fake_path(&root, path, "state/kernels/6.1.0-9-cloud-6.1.9-1_bpo12_1/work");
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(calls_of("download"), 1);

    assert_int_equal(fetch(&kernel, &is_new, &err), 0);
    assert_false(is_new);
    assert_int_equal(calls_of("download"), 0);

    /* A newer one. */
    write_tools("6.1.0-10-cloud", "6.1.10-1");
    assert_int_equal(fetch(&kernel, &is_new, &err), 0);
    assert_true(is_new);
    assert_string_equal(kernel.release, "6.1.0-10-cloud");
    pw_guest_kernel_done(&kernel);
    assert_int_equal(pw_kernel_find(&cache, NULL, &kernel, &err), 0);
    assert_string_equal(kernel.release, "6.1.0-10-cloud");

    /* Another newer one, which cannot be had. */
    write_tools("6.1.0-11-cloud", "6.1.11-1");
    drop_file("network");
    assert_int_equal(fetch(&kernel, &is_new, &err), 0);
    assert_false(is_new);
    assert_string_equal(kernel.release, "6.1.0-10-cloud");
    drop_file("lists");
    assert_int_equal(fetch(&kernel, &is_new, &err), 0);
    assert_false(is_new);
    assert_int_equal(calls_of("update"), 0);
}

static void cannot_be_fetched(void **state)
{
    (void)state;
    struct pw_err err = PW_ERR_INIT;
    PW_GUEST_KERNEL_AUTO kernel = {.image = NULL};
    bool is_new = false;
    write_tools("6.1.0-9-cloud", "6.1.9-1");
    fake_bytes(&root, "lists", "", 0);
    assert_int_equal(fetch(&kernel, &is_new, &err), -1);
    assert_int_equal(err.cls, PW_ERR_SYSTEM);
    assert_contains(err.message, "no network");
    assert_contains(err.remedy, "--kernel");
    fake_bytes(&root, "network", "", 0);

    /* The package has another kernel in it than its name says. */
    write_bzimage("package/boot/vmlinuz-6.1.0-9-cloud", XZ, RELEASE);
    assert_int_equal(fetch(&kernel, &is_new, &err), -1);
    assert_contains(err.message, RELEASE);
    fake_bytes(&root, "package/boot/vmlinuz-6.1.0-9-cloud", "x", 1);
    assert_int_equal(fetch(&kernel, &is_new, &err), -1);
    assert_contains(err.message, "neither an ELF image");

    /* Lists that name no kernel, or nonsense. */
    write_script("apt-cache", "echo '  Depends: something-else'\n");
    assert_int_equal(fetch(&kernel, &is_new, &err), -1);
    assert_contains(err.message, "no kernel");
    write_script("apt-cache", "echo '  Depends: linux-image-../../../etc'\n");
    assert_int_equal(fetch(&kernel, &is_new, &err), -1);
    write_script("apt-cache", "echo '  Depends: linux-image-6.1'; echo 'Version: ../..'\n");
    assert_int_equal(fetch(&kernel, &is_new, &err), -1);

    char left[PATH_MAX];
    fake_path(&root, left, "state/kernels");
    assert_int_equal(rmdir(left), 0); /* it is empty */
    assert_int_equal(setenv("PATH", "/no/such/folder", 1), 0);
    assert_int_equal(fetch(&kernel, &is_new, &err), -1);
    assert_int_equal(err.cls, PW_ERR_INPUT);
    assert_contains(err.remedy, "--kernel");
}

/* Without package lists: root gets them, another user is told. */
static void lists_are_missing(void **state)
{
    (void)state;
    struct pw_err err = PW_ERR_INIT;
    PW_GUEST_KERNEL_AUTO kernel = {.image = NULL};
    bool is_new = false;
    write_tools("6.1.0-9-cloud", "6.1.9-1");
    fake_bytes(&root, "network", "", 0);
    run("chmod -R a+rwX .");
    pid_t user = fork();
    if (user == 0) {
        enum { NOBODY = 65534 };
        if (geteuid() == 0 &&
            (setgroups(0, NULL) != 0 || setgid(NOBODY) != 0 || setuid(NOBODY) != 0)) {
            _exit(2);
        }
        int status = fetch(&kernel, &is_new, &err);
        _exit(status == -1 && calls_of("update") == 0 && strstr(err.remedy, "apt-get update") ? 0
                                                                                              : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(user, &status, 0), user);
    assert_int_equal(status, 0);
    if (geteuid() != 0) {
        print_message("not root: what root does was not tested\n");
        return;
    }
    assert_int_equal(fetch(&kernel, &is_new, &err), 0);
    assert_true(is_new);
    assert_int_equal(calls_of("update"), 1);
}

static void a_real_one(void **state)
{
    (void)state;
    const char *package = getenv("PW_GUEST_KERNEL_DEB");
    if (!package) {
        print_message("PW_GUEST_KERNEL_DEB (a file linux-image-*-cloud-amd64_*.deb) is not set\n");
        skip();
    }
    PW_STR_AUTO script = PW_STR_INIT;
    pw_str_add(&script, "dpkg-deb -x ");
    pw_str_add_shell_word(&script, package);
    pw_str_add(&script, " . && mv boot/vmlinuz-* boot/vmlinuz");
    run(script.text);
    struct pw_err err = PW_ERR_INIT;
    PW_GUEST_KERNEL_AUTO kernel = {.image = NULL};
    if (find("boot/vmlinuz", &kernel, &err) != 0) {
        fail_msg("%s", err.message);
    }
    assert_non_null(kernel.modules);
    static const char *const needed[] = {"virtio_ring", "virtio",     "virtio_mmio", "virtio_pci",
                                         "virtio_blk",  "virtio_net", "failover",    "ext4"};
    for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
        PW_FREE_AUTO char *path = NULL;
        if (pw_kernel_module(&kernel, needed[i], &path, &err) != 0) {
            fail_msg("%s", err.message);
        }
    }
}

int main(void)
{
    const char *set = getenv("PATH");
    PW_FREE_AUTO char *path = strdup(set ? set : "/usr/bin:/bin");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_packing_is_unpacked, open_all, close_all),
        cmocka_unit_test_setup_teardown(is_unpacked_once, open_all, close_all),
        cmocka_unit_test(cut_off_is_refused),
        cmocka_unit_test(damage_is_seen_or_harmless),
        cmocka_unit_test(no_bzimage),
        cmocka_unit_test(images_are_checked),
        cmocka_unit_test_setup_teardown(given_ones, open_all, close_all),
        cmocka_unit_test_setup_teardown(the_newest_is_taken, open_all, close_all),
        cmocka_unit_test_setup_teardown(modules_are_found, open_all, close_all),
        cmocka_unit_test_setup_teardown(modules_are_decompressed, open_all, close_all),
        cmocka_unit_test_setup_teardown(bombs_are_refused, open_all, close_all),
        cmocka_unit_test_setup_teardown(a_real_one, open_all, close_all),
    };
    const struct CMUnitTest fetching[] = {
        cmocka_unit_test_setup_teardown(is_fetched_once, open_all, close_all),
        cmocka_unit_test_setup_teardown(cannot_be_fetched, open_all, close_all),
        cmocka_unit_test_setup_teardown(lists_are_missing, open_all, close_all),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    failed += cmocka_run_group_tests(fetching, NULL, NULL);
    setenv("PATH", path, 1);
    return failed;
}
