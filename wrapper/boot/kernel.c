#include "wrapper/boot/kernel.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/file.h"
#include "core/limits.h"
#include "wrapper/boot/kernel_impl.h"

/* Keys of entries: a fetched kernel's begins with its release, a digit; others with this. */
#define UNPACKED_PREFIX "unpacked-"

static const char remedy_fetch[] =
    "perfwrap boot --fetch-kernel gets one; --kernel FILE names another.";

void pw_guest_kernel_done(struct pw_guest_kernel *kernel)
{
    free(kernel->image);
    free(kernel->release);
    free(kernel->modules);
    *kernel = (struct pw_guest_kernel){.image = NULL};
}

static void hand_over(struct pw_guest_kernel *from, struct pw_guest_kernel *to)
{
    *to = *from;
    *from = (struct pw_guest_kernel){.image = NULL};
}

static bool is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* Files of an entry */

static int write_part(const char *folder, const char *name, const void *bytes, size_t size,
                      struct pw_err *err)
{
    PW_FREE_AUTO char *path = pw_path_join(folder, name, err);
    return path ? pw_file_write(path, bytes, size, 0600, err) : -1;
}

static int write_entry(const char *folder, const char *image, size_t size, const char *release,
                       struct pw_err *err)
{
    char digest[PW_DIGEST_TEXT];
    pw_digest_bytes(image, size, digest);
    return write_part(folder, "vmlinux", image, size, err) == 0 &&
                   write_part(folder, "vmlinux.sha256", digest, strlen(digest), err) == 0 &&
                   write_part(folder, "release", release, strlen(release), err) == 0
               ? 0
               : -1;
}

/* Of bytes that are a bzImage or an ELF image, of the release `expected` if that is not NULL. */
static int fill_from_bytes(const char *bytes, size_t size, const char *expected, const char *folder,
                           struct pw_err *err)
{
    char release[PW_KERNEL_RELEASE_BYTES];
    PW_FREE_AUTO char *unpacked = NULL;
    if (!pw_kernel_is_elf(bytes, size)) {
        if (pw_kernel_unpack_bytes(bytes, size, PW_LIMIT_KERNEL_BYTES, &unpacked, &size, err) !=
            0) {
            return -1;
        }
        bytes = unpacked;
    }
    if (pw_kernel_check_image(bytes, size, release, err) != 0) {
        return -1;
    }
    if (expected && strcmp(release, expected) != 0) {
        return pw_err_set(err, PW_ERR_INPUT, "it is %s, and not %s", release, expected);
    }
    return write_entry(folder, bytes, size, release, err);
}

int pw_kernel_fill_entry(const char *path, const char *release, const char *folder,
                         struct pw_err *err)
{
    PW_FREE_AUTO char *bytes = NULL;
    size_t size = 0;
    if (pw_file_read(path, PW_LIMIT_KERNEL_BYTES, &bytes, &size, err) != 0) {
        return -1;
    }
    return fill_from_bytes(bytes, size, release, folder, err) == 0
               ? 0
               : pw_err_prefix(err, "kernel `%s`", path);
}

/* A short text of an entry. free() it; NULL and err. */
static char *read_part(const char *entry, const char *name, struct pw_err *err)
{
    enum { PART_BYTES = 256 };
    char *text = NULL;
    PW_FREE_AUTO char *path = pw_path_join(entry, name, err);
    if (!path) {
        return NULL;
    }
    return pw_file_read(path, PART_BYTES, &text, NULL, err) == 0 ? text : NULL;
}

static int fail_entry(const char *entry, struct pw_err *err)
{
    pw_err_set(err, PW_ERR_INPUT, "the cached kernel `%s` is damaged", entry);
    return pw_err_remedy(err, "Remove that folder, and try again.");
}

int pw_kernel_load_entry(const char *entry, struct pw_guest_kernel *ret_kernel, struct pw_err *err)
{
    PW_GUEST_KERNEL_AUTO kernel = {.image = NULL};
    PW_FREE_AUTO char *digest = read_part(entry, "vmlinux.sha256", NULL);
    kernel.release = read_part(entry, "release", NULL);
    kernel.image = pw_path_join(entry, "vmlinux", err);
    if (!kernel.image) {
        return -1;
    }
    if (!digest || strlen(digest) != PW_DIGEST_TEXT - 1 || !kernel.release ||
        !pw_kernel_is_release(kernel.release) || access(kernel.image, R_OK) != 0) {
        return fail_entry(entry, err);
    }
    memcpy(kernel.digest, digest, PW_DIGEST_TEXT);
    if (asprintf(&kernel.modules, "%s/lib/modules/%s", entry, kernel.release) < 0) {
        kernel.modules = NULL;
        return pw_err_memory(err);
    }
    if (!is_folder(kernel.modules)) {
        free(kernel.modules);
        kernel.modules = NULL;
    }
    hand_over(&kernel, ret_kernel);
    return 0;
}

/* One that is given */

/* Where the modules of RELEASE are, for an image in `folder`; NULL if nowhere. */
static int find_modules(const char *folder, const char *release, char **ret_modules,
                        struct pw_err *err)
{
    static const char *const places[] = {"/../lib/modules/", "/lib/modules/",
                                         "/../usr/lib/modules/"};
    for (size_t i = 0; i <= sizeof(places) / sizeof(places[0]); i++) {
        const bool is_host = i == sizeof(places) / sizeof(places[0]);
        PW_FREE_AUTO char *path = NULL;
        if (asprintf(&path, "%s%s%s", is_host ? "" : folder, is_host ? "/lib/modules/" : places[i],
                     release) < 0) {
            path = NULL;
            return pw_err_memory(err);
        }
        if (is_folder(path)) {
            *ret_modules = realpath(path, NULL);
            return *ret_modules ? 0 : pw_err_memory(err);
        }
    }
    *ret_modules = NULL;
    return 0;
}

struct given {
    const char *path, *bytes;
    size_t size;
};

static int make_unpacked(void *context, const char *folder, struct pw_err *err)
{
    const struct given *given = context;
    return fill_from_bytes(given->bytes, given->size, NULL, folder, err);
}

/* Unpacked once; the digest of the bzImage is quicker taken than it is unpacked. */
static int use_packed(const struct pw_state *state, struct given *given,
                      struct pw_guest_kernel *kernel, struct pw_err *err)
{
    char key[sizeof(UNPACKED_PREFIX) + PW_DIGEST_TEXT] = UNPACKED_PREFIX;
    pw_digest_bytes(given->bytes, given->size, key + strlen(UNPACKED_PREFIX));
    struct pw_entry entry = {.path = NULL};
    if (pw_state_entry(state, PW_KERNEL_KIND, key, make_unpacked, given, &entry, err) != 0) {
        return -1;
    }
    int status = pw_kernel_load_entry(entry.path, kernel, err);
    pw_entry_done(&entry);
    return status;
}

static int use_elf(const struct given *given, struct pw_guest_kernel *kernel, struct pw_err *err)
{
    char release[PW_KERNEL_RELEASE_BYTES];
    if (pw_kernel_check_image(given->bytes, given->size, release, err) != 0) {
        return -1;
    }
    pw_digest_bytes(given->bytes, given->size, kernel->digest);
    kernel->image = strdup(given->path);
    kernel->release = strdup(release);
    return kernel->image && kernel->release ? 0 : pw_err_memory(err);
}

static int use_given(const struct pw_state *state, struct given *given,
                     struct pw_guest_kernel *ret_kernel, struct pw_err *err)
{
    PW_GUEST_KERNEL_AUTO kernel = {.image = NULL};
    int status = pw_kernel_is_elf(given->bytes, given->size)
                     ? use_elf(given, &kernel, err)
                     : use_packed(state, given, &kernel, err);
    if (status != 0) {
        return pw_err_prefix(err, "kernel `%s`", given->path);
    }
    const char *slash = strrchr(given->path, '/'); /* it is absolute */
    PW_FREE_AUTO char *folder = strndup(given->path, slash ? (size_t)(slash - given->path) : 0);
    if (!folder) {
        return pw_err_memory(err);
    }
    free(kernel.modules);
    kernel.modules = NULL;
    if (find_modules(folder, kernel.release, &kernel.modules, err) != 0) {
        return -1;
    }
    hand_over(&kernel, ret_kernel);
    return 0;
}

/* Those that were fetched */

int pw_kernel_newest(const struct pw_state *state, struct pw_guest_kernel *ret_kernel,
                     struct pw_err *err)
{
    PW_FREE_AUTO char *folder = pw_path_join(state->path, PW_KERNEL_KIND, err);
    if (!folder) {
        return -1;
    }
    DIR *dir = opendir(folder);
    if (!dir) {
        return errno == ENOENT ? 0 : pw_err_system(err, errno, "open `%s`", folder);
    }
    char newest[NAME_MAX + 1] = "";
    const struct dirent *entry;
    while ((entry = readdir(dir))) {
        const char *name = entry->d_name;
        if (name[0] >= '0' && name[0] <= '9' && strverscmp(name, newest) > 0) {
            (void)snprintf(newest, sizeof(newest), "%s", name);
        }
    }
    closedir(dir);
    if (newest[0] == '\0') {
        return 0;
    }
    PW_FREE_AUTO char *path = pw_path_join(folder, newest, err);
    if (!path) {
        return -1;
    }
    return pw_kernel_load_entry(path, ret_kernel, err) == 0 ? 1 : -1;
}

int pw_kernel_find(const struct pw_state *state, const char *given,
                   struct pw_guest_kernel *ret_kernel, struct pw_err *err)
{
    if (!given) {
        int found = pw_kernel_newest(state, ret_kernel, err);
        if (found == 0) {
            pw_err_set(err, PW_ERR_INPUT, "no kernel for guests in `%s`", state->path);
            return pw_err_remedy(err, "%s", remedy_fetch);
        }
        return found == 1 ? 0 : -1;
    }
    /* /vmlinuz is a link to where its modules are near. */
    PW_FREE_AUTO char *path = realpath(given, NULL);
    PW_FREE_AUTO char *bytes = NULL;
    size_t size = 0;
    if (!path) {
        pw_err_input(err, errno, "kernel `%s`", given);
        return pw_err_remedy(err, "%s", remedy_fetch);
    }
    if (pw_file_read(path, PW_LIMIT_KERNEL_BYTES, &bytes, &size, err) != 0) {
        return pw_err_prefix(err, "kernel");
    }
    return use_given(state, &(struct given){.path = path, .bytes = bytes, .size = size}, ret_kernel,
                     err);
}
