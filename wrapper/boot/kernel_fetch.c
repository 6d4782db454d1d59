#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/file.h"
#include "core/str.h"
#include "wrapper/boot/base/tool.h"
#include "wrapper/boot/kernel_impl.h"

/* Debian's kernel for virtual machines; it depends on the one with the newest release. Sources:
 * apt-cache(8), apt-get(8), dpkg-deb(1); deb-version(7). */
#define META_PACKAGE "linux-image-cloud-amd64"
#define IMAGE_PREFIX "linux-image-"

enum {
    QUERY_SEC = 60,
    UPDATE_SEC = 300,
    DOWNLOAD_SEC = 900,
    UNPACK_SEC = 300,
    VERSION_BYTES = 64,
    KEY_BYTES = 129,
};

/* What of kernel/ a guest may have a use for: disks, networks, consoles and file systems, and what
 * these depend on. */
static const char *const kept_modules[] = {
    "block",       "crypto",         "lib",      "fs",     "drivers/block", "drivers/char",
    "drivers/net", "drivers/virtio", "net/core", "net/9p",
};

struct fetch {
    const struct pw_state *state;
    char *apt_get, *apt_cache, *dpkg_deb;
    /* What is the newest: */
    char release[PW_KERNEL_RELEASE_BYTES];
    char version[VERSION_BYTES]; /* of its package */
    char key[KEY_BYTES];
};

static void fetch_done(struct fetch *fetch)
{
    free(fetch->apt_get);
    free(fetch->apt_cache);
    free(fetch->dpkg_deb);
}

static int fail_here(struct pw_err *err)
{
    return pw_err_remedy(err, "Give a kernel with --kernel FILE: an ELF image or a bzImage, with "
                              "its modules beside it.");
}

static int find_tools(struct fetch *fetch, struct pw_err *err)
{
#ifndef __x86_64__
    pw_err_set(err, PW_ERR_INPUT, "only for x86-64 can a kernel be fetched");
    return fail_here(err);
#endif
    if (pw_tool_find("apt-get", NULL, NULL, &fetch->apt_get, err) != 0 ||
        pw_tool_find("apt-cache", NULL, NULL, &fetch->apt_cache, err) != 0 ||
        pw_tool_find("dpkg-deb", NULL, NULL, &fetch->dpkg_deb, err) != 0) {
        pw_err_prefix(err, "a kernel can be fetched on Debian only");
        return fail_here(err);
    }
    return 0;
}

static int call(const char *const *argv, const char *folder, unsigned timeout_sec,
                struct pw_str *output, struct pw_err *err)
{
    return pw_tool_run(
        &(struct pw_tool_call){
            .argv = argv, .folder = folder, .timeout_sec = timeout_sec, .output = output},
        err);
}

/* What is there to be fetched */

/* The value of the first line that begins with `field`, up to a blank. Returns whether it fits. */
static bool find_field(const char *text, const char *field, char *ret_value, size_t room)
{
    const size_t field_length = strlen(field);
    for (const char *line = text; *line != '\0';) {
        if (strncmp(line, field, field_length) == 0) {
            const char *value = line + field_length;
            const size_t length = strcspn(value, " \t\r\n");
            if (length > 0 && length < room) {
                memcpy(ret_value, value, length);
                ret_value[length] = '\0';
                return true;
            }
        }
        line += strcspn(line, "\n");
        line += *line == '\n';
    }
    return false;
}

static bool is_version(const char *text)
{
    return text[0] >= '0' && text[0] <= '9' &&
           text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                             ".+~:-")] == '\0';
}

static int make_key(struct fetch *fetch, struct pw_err *err)
{
    int length = snprintf(fetch->key, sizeof(fetch->key), "%s-%s", fetch->release, fetch->version);
    if (length < 0 || (size_t)length >= sizeof(fetch->key)) {
        return pw_err_set(err, PW_ERR_SYSTEM, "the name of kernel package %s is too long",
                          fetch->release);
    }
    for (char *at = fetch->key; *at != '\0'; at++) {
        if (strchr("+~:", *at)) {
            *at = '_';
        }
    }
    return 0;
}

/* Release and version of the newest, of apt's package lists. */
static int resolve(struct fetch *fetch, struct pw_err *err)
{
    PW_STR_AUTO depends = PW_STR_INIT;
    PW_STR_AUTO shown = PW_STR_INIT;
    char package[sizeof(IMAGE_PREFIX) + PW_KERNEL_RELEASE_BYTES];
    const char *const depends_argv[] = {fetch->apt_cache, "depends", META_PACKAGE, NULL};
    const char *const show_argv[] = {fetch->apt_cache, "show", "--no-all-versions", package, NULL};
    if (call(depends_argv, NULL, QUERY_SEC, &depends, err) != 0) {
        return -1;
    }
    if (!find_field(depends.text, "  Depends: " IMAGE_PREFIX, fetch->release,
                    sizeof(fetch->release)) ||
        !pw_kernel_is_release(fetch->release)) {
        return pw_err_set(err, PW_ERR_SYSTEM, "the package lists have no kernel for %s",
                          META_PACKAGE);
    }
    (void)snprintf(package, sizeof(package), IMAGE_PREFIX "%s", fetch->release);
    if (call(show_argv, NULL, QUERY_SEC, &shown, err) != 0) {
        return -1;
    }
    if (!find_field(shown.text, "Version: ", fetch->version, sizeof(fetch->version)) ||
        !is_version(fetch->version)) {
        return pw_err_set(err, PW_ERR_SYSTEM, "the package lists have no version of %s", package);
    }
    return make_key(fetch, err);
}

/* Into an entry */

static int download(const struct fetch *fetch, const char *folder, struct pw_err *err)
{
    char package[sizeof(IMAGE_PREFIX) + PW_KERNEL_RELEASE_BYTES + VERSION_BYTES];
    (void)snprintf(package, sizeof(package), IMAGE_PREFIX "%s=%s", fetch->release, fetch->version);
    /* As root apt would download as a user of its own, who may not write here. */
    const char *const argv[] = {
        fetch->apt_get, "-q",    "-o", "APT::Sandbox::User=root", "-o", "Acquire::Retries=2",
        "download",     package, NULL};
    return call(argv, folder, DOWNLOAD_SEC, NULL, err);
}

/* The one file *.deb in `folder`. */
static int find_package(const char *folder, char **ret_path, struct pw_err *err)
{
    DIR *dir = opendir(folder);
    char *path = NULL;
    const struct dirent *entry;
    while (dir && !path && (entry = readdir(dir))) {
        const size_t length = strlen(entry->d_name);
        if (length > 4 && strcmp(entry->d_name + length - 4, ".deb") == 0 &&
            asprintf(&path, "%s/%s", folder, entry->d_name) < 0) {
            path = NULL;
            break;
        }
    }
    if (dir) {
        closedir(dir);
    }
    if (!path) {
        return pw_err_set(err, PW_ERR_SYSTEM, "`apt-get download` left no package in `%s`", folder);
    }
    *ret_path = path;
    return 0;
}

/* Moves BASE/name to TARGET/name, if it is there, making the folders on the way. */
static int keep(const char *base, const char *target, const char *name, struct pw_err *err)
{
    PW_FREE_AUTO char *from = pw_path_join(base, name, err);
    PW_FREE_AUTO char *to = pw_path_join(target, name, err);
    PW_FREE_AUTO char *parent = to ? strdup(to) : NULL;
    struct stat info;
    if (!from || !to || !parent) {
        return pw_err_memory(err);
    }
    if (lstat(from, &info) != 0 || S_ISLNK(info.st_mode)) {
        return 0;
    }
    *strrchr(parent, '/') = '\0';
    if (pw_dir_make(parent, err) != 0) {
        return -1;
    }
    return rename(from, to) == 0 ? 0 : pw_err_system(err, errno, "move `%s`", from);
}

static int keep_modules(const char *base, const char *target, struct pw_err *err)
{
    char name[64];
    for (size_t i = 0; i < sizeof(kept_modules) / sizeof(kept_modules[0]); i++) {
        (void)snprintf(name, sizeof(name), "kernel/%s", kept_modules[i]);
        if (keep(base, target, name, err) != 0) {
            return -1;
        }
    }
    return keep(base, target, "modules.builtin", err);
}

/* `root`: the package, unpacked. */
static int keep_parts(const struct fetch *fetch, const char *root, const char *folder,
                      struct pw_err *err)
{
    PW_STR_AUTO image = PW_STR_INIT;
    PW_STR_AUTO boot = PW_STR_INIT;
    PW_STR_AUTO modules = PW_STR_INIT;
    PW_STR_AUTO moved = PW_STR_INIT;
    PW_STR_AUTO target = PW_STR_INIT;
    pw_str_addf(&image, "%s/boot/vmlinuz-%s", root, fetch->release);
    pw_str_addf(&boot, "%s/boot/config-%s", root, fetch->release);
    pw_str_addf(&modules, "%s/lib/modules/%s", root, fetch->release);
    pw_str_addf(&moved, "%s/usr/lib/modules/%s", root, fetch->release); /* since Debian 13 */
    pw_str_addf(&target, "%s/lib/modules/%s", folder, fetch->release);
    PW_FREE_AUTO char *config = pw_path_join(folder, "config", err);
    if (image.failed || boot.failed || modules.failed || moved.failed || target.failed || !config) {
        return pw_err_memory(err);
    }
    if (pw_kernel_fill_entry(image.text, fetch->release, folder, err) != 0) {
        return -1;
    }
    if (rename(boot.text, config) != 0 && errno != ENOENT) {
        return pw_err_system(err, errno, "move `%s`", boot.text);
    }
    const bool is_moved = access(moved.text, F_OK) == 0;
    return keep_modules(is_moved ? moved.text : modules.text, target.text, err);
}

static int unpack(const struct fetch *fetch, const char *downloaded, const char *root,
                  struct pw_err *err)
{
    PW_FREE_AUTO char *package = NULL;
    if (find_package(downloaded, &package, err) != 0 || !package) {
        return -1;
    }
    const char *const argv[] = {fetch->dpkg_deb, "-x", package, root, NULL};
    return call(argv, NULL, UNPACK_SEC, NULL, err);
}

static int make_entry(void *context, const char *folder, struct pw_err *err)
{
    const struct fetch *fetch = context;
    PW_FREE_AUTO char *work = pw_path_join(folder, "work", err);
    PW_FREE_AUTO char *root = pw_path_join(folder, "work/root", err);
    if (!work || !root) {
        return -1;
    }
    if (pw_dir_make(root, err) != 0 || download(fetch, work, err) != 0 ||
        unpack(fetch, work, root, err) != 0 || keep_parts(fetch, root, folder, err) != 0) {
        return -1;
    }
    return pw_dir_remove_tree(work, err);
}

/* The whole */

static int get_newest(struct fetch *fetch, struct pw_guest_kernel *ret_kernel, bool *ret_new,
                      struct pw_err *err)
{
    struct pw_entry entry = {.path = NULL};
    if (resolve(fetch, err) != 0 || pw_state_entry(fetch->state, PW_KERNEL_KIND, fetch->key,
                                                   make_entry, fetch, &entry, err) != 0) {
        return -1;
    }
    int status = pw_kernel_load_entry(entry.path, ret_kernel, err);
    if (status == 0) {
        *ret_new = entry.made;
    }
    pw_entry_done(&entry);
    return status;
}

/* What failed before is in `err`, and stays there if this fails too. */
static int update_lists(const struct fetch *fetch, struct pw_err *err)
{
    const char *const argv[] = {fetch->apt_get, "-q", "update", NULL};
    struct pw_err update = PW_ERR_INIT;
    if (call(argv, NULL, UPDATE_SEC, NULL, &update) == 0) {
        return 0;
    }
    const struct pw_err before = *err;
    return pw_err_set(err, PW_ERR_SYSTEM, "%s; and the package lists cannot be updated: %s",
                      before.message, update.message);
}

static bool is_hopeless(const struct pw_err *err)
{
    return err->cls == PW_ERR_MEMORY || err->sys == EINTR || err->sys == ENOSPC ||
           err->sys == EDQUOT;
}

/* Without network or package lists, a kernel that is there will do; else the lists may be missing,
 * or so old that what they name is gone. */
static int get(struct fetch *fetch, struct pw_guest_kernel *ret_kernel, bool *ret_new,
               struct pw_err *err)
{
    struct pw_err first = PW_ERR_INIT;
    if (get_newest(fetch, ret_kernel, ret_new, &first) == 0) {
        return 0;
    }
    int status = -1;
    if (!is_hopeless(&first)) {
        int found = pw_kernel_newest(fetch->state, ret_kernel, NULL);
        if (found == 1) {
            *ret_new = false;
            return 0;
        }
        if (geteuid() == 0 && update_lists(fetch, &first) == 0) {
            first = PW_ERR_INIT;
            status = get_newest(fetch, ret_kernel, ret_new, &first);
        }
    }
    if (status != 0) {
        if (first.remedy[0] == '\0') {
            pw_err_remedy(&first,
                          "Run `apt-get update` as root, see that its servers can be reached, or "
                          "give a kernel with --kernel FILE.");
        }
        if (err) {
            *err = first;
        }
        pw_err_prefix(err, "fetch a kernel");
    }
    return status;
}

int pw_kernel_fetch(const struct pw_state *state, struct pw_guest_kernel *ret_kernel, bool *ret_new,
                    struct pw_err *err)
{
    struct fetch fetch = {.state = state};
    int status = find_tools(&fetch, err);
    if (status == 0) {
        status = get(&fetch, ret_kernel, ret_new, err);
    }
    fetch_done(&fetch);
    return status;
}
