/* Walks over a tree: to measure and to name it, and to give an unpacked one its last attributes. */
#include "wrapper/boot/image/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/file.h"
#include "core/limits.h"
#include "wrapper/boot/base/interrupt.h"
#include "wrapper/boot/image/inodes.h"
#include "wrapper/boot/image/show.h"
#include "wrapper/boot/image/unpack.h"

/* Longer lines of a script are cut by debugfs; of a name each byte may take two. */
enum { BLOCK_BYTES = 4096, INLINE_LINK_BYTES = 60, SCRIPT_PATH_BYTES = 2000, MODE_BITS = 07777 };

struct walk {
    /* At each entry, before what is in it; the root is ".". */
    int (*visit)(struct walk *walk, int folder, const char *name, const struct stat *info,
                 struct pw_err *err);
    /* At each folder, behind what is in it. May be NULL. */
    int (*leave)(struct walk *walk, int folder, const char *name, const struct stat *info,
                 struct pw_err *err);
    struct pw_str path; /* from the root: "/a/b"; of the root "/" */
    dev_t device;
    unsigned depth;
    /* measuring */
    struct pw_tree tree;
    struct sha256_ctx sha256;
    struct pw_inodes linked; /* files with several names */
    /* finishing */
    const struct pw_unpacking *unpacking;
    struct pw_str *script;
};

static int fail(const struct walk *walk, const char *what, struct pw_err *err)
{
    int sys = errno;
    char shown[PW_IMAGE_SHOWN_BYTES];
    pw_err_system(err, sys, "%s `%s`", what, pw_image_show(walk->path.text, shown));
    if (err && (sys == ENOENT || sys == ENOTDIR || sys == EACCES)) {
        err->cls = PW_ERR_INPUT;
    }
    return -1;
}

static int refuse(const struct walk *walk, const char *why, struct pw_err *err)
{
    char shown[PW_IMAGE_SHOWN_BYTES];
    return pw_err_set(err, PW_ERR_INPUT, "`%s` %s", pw_image_show(walk->path.text, shown), why);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_entry(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static int walk_entry(struct walk *walk, int folder, const char *name, struct pw_err *err);

static int walk_content(struct walk *walk, int folder, const char *name, struct pw_err *err)
{
    if (walk->depth > PW_LIMIT_IMAGE_DEPTH) {
        return refuse(walk, "lies too deep", err);
    }
    PW_FD_AUTO fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct dirent **entries = NULL;
    int count = fd < 0 ? -1 : scandirat(fd, ".", &entries, is_entry, by_name);
    if (count < 0) {
        return fail(walk, "read folder", err);
    }
    size_t length = walk->path.length;
    int status = 0;
    walk->depth++;
    for (int i = 0; i < count; i++) {
        if (status == 0) {
            pw_str_addf(&walk->path, "%s%s", length > 1 ? "/" : "", entries[i]->d_name);
            status = walk->path.failed ? pw_err_memory(err)
                                       : walk_entry(walk, fd, entries[i]->d_name, err);
            walk->path.length = length;
            walk->path.text[length] = '\0';
        }
        free(entries[i]);
    }
    walk->depth--;
    free(entries);
    return status;
}

static int walk_entry(struct walk *walk, int folder, const char *name, struct pw_err *err)
{
    struct stat info;
    if (fstatat(folder, name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
        return fail(walk, "look at", err);
    }
    if (info.st_dev != walk->device) {
        return refuse(walk, "is another file system, mounted there", err);
    }
    if (pw_interrupt_is_pending()) {
        return pw_err_system(err, EINTR, "look at `%s`", walk->path.text);
    }
    if (++walk->tree.entries > PW_LIMIT_IMAGE_ENTRIES) {
        return refuse(walk, "is one file too many", err);
    }
    if (walk->visit(walk, folder, name, &info, err) != 0) {
        return -1;
    }
    if (!S_ISDIR(info.st_mode)) {
        return 0;
    }
    if (walk_content(walk, folder, name, err) != 0) {
        return -1;
    }
    return walk->leave ? walk->leave(walk, folder, name, &info, err) : 0;
}

static int walk_root(struct walk *walk, int root, struct pw_err *err)
{
    struct stat info;
    walk->path = PW_STR_INIT;
    pw_str_add(&walk->path, "/");
    if (walk->path.failed) {
        return pw_err_memory(err);
    }
    int status = fstat(root, &info) == 0 ? 0 : fail(walk, "look at", err);
    if (status == 0) {
        walk->device = info.st_dev;
        status = walk_entry(walk, root, ".", err);
    }
    pw_str_done(&walk->path);
    return status;
}

/* ---- Measuring ---- */

static uint64_t in_blocks(uint64_t bytes)
{
    return (bytes + BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_BYTES;
}

/* Without its holes: mke2fs keeps them. */
static uint64_t bytes_of_sparse(int folder, const char *name, uint64_t size)
{
    PW_FD_AUTO fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    uint64_t bytes = 0;
    off_t at = 0;
    while (fd >= 0) {
        off_t data = lseek(fd, at, SEEK_DATA);
        if (data < 0 && errno == ENXIO) {
            return bytes;
        }
        off_t hole = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
        if (hole <= data) {
            break;
        }
        bytes += in_blocks((uint64_t)(hole - data));
        at = hole;
    }
    return in_blocks(size);
}

static int count_bytes(struct walk *walk, int folder, const char *name, const struct stat *info,
                       struct pw_err *err)
{
    uint64_t size = (uint64_t)info->st_size;
    if (S_ISDIR(info->st_mode)) {
        size = size < BLOCK_BYTES ? BLOCK_BYTES : in_blocks(size);
    } else if (S_ISLNK(info->st_mode)) {
        size = size < INLINE_LINK_BYTES ? 0 : BLOCK_BYTES;
    } else if (!S_ISREG(info->st_mode)) {
        size = 0;
    } else if ((uint64_t)info->st_blocks * 512 < size) {
        size = bytes_of_sparse(folder, name, size);
    } else {
        size = in_blocks(size);
    }
    if (info->st_nlink > 1 && !S_ISDIR(info->st_mode)) {
        struct pw_inode inode = {.number = info->st_ino};
        if (pw_inodes_find(&walk->linked, inode.number)) {
            return 0;
        }
        if (pw_inodes_put(&walk->linked, &inode) != 0) {
            return pw_err_memory(err);
        }
    }
    walk->tree.bytes += size;
    if (walk->tree.bytes >> 20 > PW_LIMIT_IMAGE_MIB) {
        return refuse(walk, "is more than the bound of an image's size", err);
    }
    return 0;
}

static int measure_entry(struct walk *walk, int folder, const char *name, const struct stat *info,
                         struct pw_err *err)
{
    char text[256];
    char target[BLOCK_BYTES];
    /* The time of change is there for what else may change: attributes, other content. */
    int length = snprintf(
        text, sizeof(text), "%o %u %u %lld %lld %lld.%ld %lld.%ld %u", info->st_mode, info->st_uid,
        info->st_gid, S_ISDIR(info->st_mode) ? 0LL : (long long)info->st_size,
        (long long)info->st_rdev, (long long)info->st_mtim.tv_sec, info->st_mtim.tv_nsec,
        (long long)info->st_ctim.tv_sec, info->st_ctim.tv_nsec, walk->depth);
    sha256_update(&walk->sha256, walk->path.length + 1, (const uint8_t *)walk->path.text);
    sha256_update(&walk->sha256, (size_t)length + 1, (const uint8_t *)text);
    if (S_ISLNK(info->st_mode)) {
        ssize_t size = readlinkat(folder, name, target, sizeof(target));
        if (size < 0) {
            return fail(walk, "read link", err);
        }
        sha256_update(&walk->sha256, (size_t)size, (const uint8_t *)target);
    }
    return count_bytes(walk, folder, name, info, err);
}

int pw_tree_measure(const char *path, struct pw_tree *ret_tree, struct pw_err *err)
{
    PW_FD_AUTO root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) {
        return pw_err_input(err, errno, "open folder `%s`", path);
    }
    struct walk walk = {.visit = measure_entry};
    sha256_init(&walk.sha256);
    int status = walk_root(&walk, root, err);
    pw_inodes_done(&walk.linked);
    if (status != 0) {
        return -1;
    }
    pw_digest_end(&walk.sha256, walk.tree.digest);
    *ret_tree = walk.tree;
    return 0;
}

/* ---- Finishing ---- */

/* Whether debugfs can be told of it: its scripts have a command a line, and end none otherwise. */
static bool is_scriptable(const char *path)
{
    for (const char *at = path; *at != '\0'; at++) {
        if ((unsigned char)*at < ' ' || *at == 0x7f || at - path >= SCRIPT_PATH_BYTES) {
            return false;
        }
    }
    return true;
}

static void add_field(struct walk *walk, const char *field, const char *format, unsigned value)
{
    pw_str_add(walk->script, "set_inode_field \"");
    for (const char *at = walk->path.text; *at != '\0'; at++) {
        pw_str_add(walk->script, *at == '"' ? "\"\"" : (char[]){*at, '\0'});
    }
    pw_str_addf(walk->script, "\" %s ", field);
    char number[32];
    snprintf(number, sizeof(number), format[0] == 'o' ? "0%o" : "%u", value);
    pw_str_addf(walk->script, "%s\n", number);
}

/* What the tree has is what mke2fs copies; the rest is debugfs's. */
static int script_entry(struct walk *walk, int folder, const char *name, const struct stat *info,
                        struct pw_err *err)
{
    (void)folder;
    (void)name;
    static const struct pw_inode unknown = {.mode = 0755};
    const struct pw_inode *known = pw_inodes_find(&walk->unpacking->inodes, info->st_ino);
    known = known ? known : &unknown;
    if (walk->unpacking->gives_owners || !is_scriptable(walk->path.text)) {
        return 0;
    }
    if (info->st_uid != known->uid) {
        add_field(walk, "uid", "u", known->uid);
    }
    if (info->st_gid != known->gid) {
        add_field(walk, "gid", "u", known->gid);
    }
    if (!S_ISLNK(info->st_mode) &&
        (S_ISDIR(info->st_mode) || (info->st_mode & MODE_BITS) != known->mode)) {
        add_field(walk, "mode", "o", (info->st_mode & S_IFMT) | known->mode);
    }
    if (walk->script->length > walk->unpacking->limit_script_bytes) {
        return refuse(walk, "is one too many whose owner or mode has to be set", err);
    }
    return walk->script->failed ? pw_err_memory(err) : 0;
}

static int leave_folder(struct walk *walk, int folder, const char *name, const struct stat *info,
                        struct pw_err *err)
{
    const struct pw_inode *known = pw_inodes_find(&walk->unpacking->inodes, info->st_ino);
    struct timespec time = {.tv_sec = known ? known->mtime_sec : 0,
                            .tv_nsec = known ? known->mtime_nsec : 0};
    struct timespec times[2] = {time, time};
    if (walk->unpacking->gives_owners && known && fchmodat(folder, name, known->mode, 0) != 0) {
        return fail(walk, "set the mode of", err);
    }
    return utimensat(folder, name, times, AT_SYMLINK_NOFOLLOW) == 0
               ? 0
               : fail(walk, "set the time of", err);
}

int pw_tree_finish(const struct pw_unpacking *unpacking, struct pw_str *script, struct pw_err *err)
{
    struct walk walk = {
        .visit = script_entry, .leave = leave_folder, .unpacking = unpacking, .script = script};
    return walk_root(&walk, unpacking->root, err);
}
