#include <errno.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include "core/file.h"
#include "core/limits.h"
#include "wrapper/boot/kernel_impl.h"

/* Linux, Documentation/kbuild/kbuild: modules.builtin has a path a line, "kernel/.../NAME.ko". */
enum { BUILTIN_BYTES = 4 << 20, WALK_DEPTH = 32 };

static const char *const endings[] = {".ko", ".ko.xz", ".ko.gz", ".ko.zst"};

/* `-` and `_` are the same in a module's name (modprobe(8)). */
static bool is_same_name(const char *a, const char *b, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        const char x = a[i] == '-' ? '_' : a[i];
        const char y = b[i] == '-' ? '_' : b[i];
        if (x != y) {
            return false;
        }
    }
    return true;
}

static bool is_module_file(const char *file, size_t file_length, const char *name)
{
    const size_t length = strlen(name);
    if (file_length <= length || !is_same_name(file, name, length)) {
        return false;
    }
    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        if (strlen(endings[i]) == file_length - length &&
            memcmp(file + length, endings[i], file_length - length) == 0) {
            return true;
        }
    }
    return false;
}

struct search {
    const char *name;
    char *module;  /* path */
    char *builtin; /* path of modules.builtin */
    bool failed;
};

static void see_file(struct search *search, const FTSENT *file)
{
    char **slot = NULL;
    if (is_module_file(file->fts_name, file->fts_namelen, search->name)) {
        slot = &search->module;
    } else if (strcmp(file->fts_name, "modules.builtin") == 0 && !search->builtin) {
        slot = &search->builtin;
    }
    if (slot) {
        *slot = strdup(file->fts_path);
        search->failed = !*slot;
    }
}

/* In the order of names, so that of two with one name it is always the same. */
static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static int walk(char *folder, struct search *search, struct pw_err *err)
{
    char *const tops[] = {folder, NULL};
    FTS *tree = fts_open(tops, FTS_PHYSICAL | FTS_NOCHDIR | FTS_NOSTAT, by_name);
    if (!tree) {
        return pw_err_system(err, errno, "open `%s`", folder);
    }
    FTSENT *entry;
    while (!search->module && !search->failed && (entry = fts_read(tree))) {
        if (entry->fts_info == FTS_D && entry->fts_level > WALK_DEPTH) {
            fts_set(tree, entry, FTS_SKIP);
        } else if (entry->fts_info == FTS_F || entry->fts_info == FTS_NSOK) {
            see_file(search, entry);
        }
    }
    fts_close(tree);
    return search->failed ? pw_err_memory(err) : 0;
}

/* 1: modules.builtin names it. */
static int is_built_in(const char *list, const char *name, struct pw_err *err)
{
    PW_FREE_AUTO char *text = NULL;
    if (pw_file_read(list, BUILTIN_BYTES, &text, NULL, err) != 0) {
        return -1;
    }
    for (const char *line = text; *line != '\0';) {
        const size_t length = strcspn(line, "\n");
        const char *slash = memrchr(line, '/', length);
        const char *file = slash ? slash + 1 : line;
        if (is_module_file(file, (size_t)(line + length - file), name)) {
            return 1;
        }
        line += length + (line[length] == '\n');
    }
    return 0;
}

int pw_kernel_module_read(const char *path, char **ret_bytes, size_t *ret_size, struct pw_err *err)
{
    PW_FREE_AUTO char *bytes = NULL;
    size_t size = 0;
    if (pw_file_read(path, PW_LIMIT_MODULE_BYTES, &bytes, &size, err) != 0) {
        return -1;
    }
    if (!pw_kernel_is_elf(bytes, size)) {
        char *inflated = NULL;
        if (pw_kernel_inflate(bytes, size, PW_LIMIT_MODULE_BYTES, &inflated, &size, err) != 0) {
            return pw_err_prefix(err, "module `%s`", path);
        }
        free(bytes);
        bytes = inflated;
        if (!pw_kernel_is_elf(bytes, size)) {
            return pw_err_set(err, PW_ERR_INPUT, "module `%s`: no ELF file", path);
        }
    }
    *ret_bytes = bytes;
    *ret_size = size;
    bytes = NULL;
    return 0;
}

/* The kernel refuses a module of another one: "vermagic=RELEASE SMP preempt ..." in its .modinfo,
 * where strings are ended by a NUL. */
static int check_vermagic(const char *path, const char *release, struct pw_err *err)
{
    static const char key[] = "vermagic=";
    PW_FREE_AUTO char *bytes = NULL;
    size_t size = 0;
    if (pw_kernel_module_read(path, &bytes, &size, err) != 0 || !bytes) {
        return -1;
    }
    const char *found = memmem(bytes, size, key, sizeof(key) - 1);
    if (!found) {
        return pw_err_set(err, PW_ERR_INPUT, "`%s` is no kernel module: it has no vermagic", path);
    }
    found += sizeof(key) - 1;
    const size_t rest = (size_t)(bytes + size - found), length = strlen(release);
    if (rest > length && memcmp(found, release, length) == 0 &&
        (found[length] == ' ' || found[length] == '\0')) {
        return 0;
    }
    size_t shown = 0;
    while (shown < rest && shown < PW_KERNEL_RELEASE_BYTES && found[shown] > ' ' &&
           found[shown] < 0x7f) {
        shown++;
    }
    pw_err_set(err, PW_ERR_INPUT, "module `%s` is of the kernel %.*s, and not of %s", path,
               (int)shown, found, release);
    return pw_err_remedy(err, "Put the kernel's own modules into lib/modules/%s beside it.",
                         release);
}

static int fail_missing(const struct pw_guest_kernel *kernel, const char *name, struct pw_err *err)
{
    if (kernel->modules) {
        pw_err_set(err, PW_ERR_INPUT, "the kernel %s has no module `%s` in `%s`", kernel->release,
                   name, kernel->modules);
    } else {
        pw_err_set(err, PW_ERR_INPUT, "the kernel %s needs its module `%s`, and has no modules",
                   kernel->release, name);
    }
    pw_err_errno(err, ENOENT);
    return pw_err_remedy(err,
                         "Put lib/modules/%s beside the image; what is built in, its "
                         "modules.builtin names.",
                         kernel->release);
}

static int check_built_in(const struct pw_guest_kernel *kernel, const struct search *search,
                          struct pw_err *err)
{
    int built_in = search->builtin ? is_built_in(search->builtin, search->name, err) : 0;
    if (built_in == 0) {
        return fail_missing(kernel, search->name, err);
    }
    return built_in == 1 ? 0 : -1;
}

int pw_kernel_module(const struct pw_guest_kernel *kernel, const char *name, char **ret_path,
                     struct pw_err *err)
{
    if (!kernel->modules) {
        return fail_missing(kernel, name, err);
    }
    struct search search = {.name = name};
    int status = walk(kernel->modules, &search, err);
    if (status == 0 && search.module) {
        status = check_vermagic(search.module, kernel->release, err);
    } else if (status == 0) {
        status = check_built_in(kernel, &search, err);
    }
    free(search.builtin);
    if (status == 0) {
        *ret_path = search.module;
    } else {
        free(search.module);
    }
    return status;
}
