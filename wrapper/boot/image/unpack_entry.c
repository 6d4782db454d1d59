/*
 * One entry of a tar file, written beneath the root.
 *
 * Parents are opened with openat2(2) in the root, so links among them lead where they would lead in
 * the guest. The last name is never followed: what is there and is not a folder, or is to become
 * something else, is removed first. Sources: OCI image specification 1.0, layer.md.
 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "core/clock.h"
#include "core/file.h"
#include "core/limits.h"
#include "wrapper/boot/image/beneath.h"
#include "wrapper/boot/image/tree.h"
#include "wrapper/boot/image/unpack_impl.h"

enum { MODE_BITS = 07777 };

/* ---- What an entry is made of ---- */

static int write_content(struct archive *archive, int fd, int64_t size, const char *path,
                         struct pw_err *err)
{
    for (;;) {
        const void *bytes = NULL;
        size_t count = 0;
        int64_t offset = 0;
        int status = archive_read_data_block(archive, &bytes, &count, &offset);
        if (status == ARCHIVE_EOF) {
            break;
        }
        if (status < ARCHIVE_WARN) {
            return pw_unpack_refuse(err, path, "cannot be unpacked: the archive is damaged");
        }
        if (count == 0) {
            continue;
        }
        if (offset < 0 || offset > size || (int64_t)count > size - offset) {
            return pw_unpack_refuse(err, path, "has more bytes than it says");
        }
        if (lseek(fd, offset, SEEK_SET) < 0 || pw_fd_write_all(fd, bytes, count) != 0) {
            return pw_unpack_fail(err, errno, "write", path);
        }
    }
    /* A hole at the end. */
    return ftruncate(fd, size) == 0 ? 0 : pw_unpack_fail(err, errno, "write", path);
}

static int make_file(struct archive *archive, struct archive_entry *entry,
                     const struct pw_unpack_place *place, struct pw_err *err)
{
    int64_t size = archive_entry_size_is_set(entry) ? archive_entry_size(entry) : 0;
    PW_FD_AUTO fd = openat(place->folder, place->name,
                           O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return pw_unpack_fail(err, errno, "make", place->path);
    }
    return write_content(archive, fd, size, place->path, err);
}

/* 1: made; 0: it cannot be made here, and need not be; -1 */
static int make_node(struct archive_entry *entry, const struct pw_unpack_place *place,
                     struct pw_err *err)
{
    mode_t type = archive_entry_filetype(entry);
    dev_t device =
        makedev((unsigned)archive_entry_rdevmajor(entry), (unsigned)archive_entry_rdevminor(entry));
    if (mknodat(place->folder, place->name, type | 0600, type == AE_IFIFO ? 0 : device) == 0) {
        return 1;
    }
    return type != AE_IFIFO && (errno == EPERM || errno == EACCES || errno == EINVAL)
               ? 0
               : pw_unpack_fail(err, errno, "make", place->path);
}

static int make_link(const struct pw_unpack_place *place, const char *target, struct pw_err *err)
{
    if (target[0] == '\0' || strlen(target) >= PW_UNPACK_PATH_BYTES) {
        return pw_unpack_refuse(err, place->path, "is a link to an impossible name");
    }
    return symlinkat(target, place->folder, place->name) == 0
               ? 0
               : pw_unpack_fail(err, errno, "make link", place->path);
}

/* Takes what is in the way away. */
static int clear_place(const struct pw_unpack_place *place, bool to_be_folder, bool *ret_is_there,
                       struct pw_err *err)
{
    struct stat info;
    *ret_is_there = false;
    if (fstatat(place->folder, place->name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
        return errno == ENOENT ? 0 : pw_unpack_fail(err, errno, "look at", place->path);
    }
    if (to_be_folder && S_ISDIR(info.st_mode)) {
        *ret_is_there = true;
        return 0;
    }
    return pw_unpack_remove(NULL, 0, place->folder, place->name) == 0
               ? 0
               : pw_unpack_fail(err, errno, "replace", place->path);
}

static int unpack_hard_link(struct pw_unpacking *unpacking, const struct pw_unpack_place *place,
                            const char *target, struct pw_err *err)
{
    char path[PW_UNPACK_PATH_BYTES];
    if (pw_unpack_path(target, path, err) != 0) {
        return -1;
    }
    char parent[PW_UNPACK_PATH_BYTES];
    const char *name = pw_unpack_split(path, parent);
    PW_FD_AUTO folder = pw_beneath_open(unpacking->root, parent, O_PATH | O_DIRECTORY);
    struct stat info;
    struct stat here;
    if (name[0] == '\0' || folder < 0 || fstatat(folder, name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
        return pw_unpack_refuse(err, place->path, "is a hard link to what is not there");
    }
    if (S_ISDIR(info.st_mode)) {
        return pw_unpack_refuse(err, place->path, "is a hard link to a folder");
    }
    if (fstatat(place->folder, place->name, &here, AT_SYMLINK_NOFOLLOW) == 0 &&
        here.st_ino == info.st_ino) {
        return 0;
    }
    bool is_there = false;
    if (clear_place(place, false, &is_there, err) != 0) {
        return -1;
    }
    /* What was in the way may have been a folder with the target in it. */
    if (linkat(folder, name, place->folder, place->name, 0) != 0) {
        return errno == ENOENT
                   ? pw_unpack_refuse(err, place->path, "is a hard link to what is not there")
                   : pw_unpack_fail(err, errno, "make hard link", place->path);
    }
    return 0;
}

/* ---- Attributes ---- */

static void set_attributes(struct pw_unpacking *unpacking, struct archive_entry *entry,
                           const struct pw_unpack_place *place)
{
    const char *name = NULL;
    const void *value = NULL;
    size_t size = 0;
    char path[64 + PW_UNPACK_NAME_BYTES];
    snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", place->folder, place->name);
    archive_entry_xattr_reset(entry);
    while (archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK) {
        bool is_wanted =
            name && (strcmp(name, "security.capability") == 0 || strncmp(name, "user.", 5) == 0);
        /* File systems differ in what they take; a guest's command seldom needs one. */
        if (is_wanted && lsetxattr(path, name, value, size, 0) != 0) {
            unpacking->skipped++;
        }
    }
}

static int64_t narrow(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

static int finish_entry(struct pw_unpacking *unpacking, struct archive_entry *entry,
                        const struct pw_unpack_place *place, struct pw_err *err)
{
    mode_t type = archive_entry_filetype(entry);
    struct pw_inode inode = {
        .mtime_sec = narrow(archive_entry_mtime(entry), 0, UINT32_MAX),
        .mtime_nsec = (uint32_t)narrow(archive_entry_mtime_nsec(entry), 0, PW_NS_PER_SEC - 1),
        .uid = (uint32_t)narrow(archive_entry_uid(entry), 0, UINT32_MAX - 1),
        .gid = (uint32_t)narrow(archive_entry_gid(entry), 0, UINT32_MAX - 1),
        .mode = archive_entry_perm(entry) & MODE_BITS,
    };
    if (pw_unpack_note(unpacking, place, inode, err) != 0) {
        return -1;
    }
    if (unpacking->gives_owners &&
        fchownat(place->folder, place->name, inode.uid, inode.gid, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno != EPERM && errno != EINVAL) {
            return pw_unpack_fail(err, errno, "give an owner to", place->path);
        }
        unpacking->gives_owners = false; /* a user namespace that has not all of them */
    }
    /* Folders stay ours until all is there: pw_tree_finish(). */
    if (type != AE_IFLNK && type != AE_IFDIR) {
        mode_t mode = unpacking->gives_owners ? inode.mode : (inode.mode | 0600);
        if (fchmodat(place->folder, place->name, mode, 0) != 0) {
            return pw_unpack_fail(err, errno, "set the mode of", place->path);
        }
    }
    set_attributes(unpacking, entry, place);
    struct timespec time = {.tv_sec = inode.mtime_sec, .tv_nsec = inode.mtime_nsec};
    struct timespec times[2] = {time, time};
    if (utimensat(place->folder, place->name, times, AT_SYMLINK_NOFOLLOW) != 0) {
        return pw_unpack_fail(err, errno, "set the time of", place->path);
    }
    return 0;
}

/* ---- The entry ---- */

/* 1: made; 0: left out; -1 */
static int make_entry(struct archive *archive, struct archive_entry *entry,
                      const struct pw_unpack_place *place, struct pw_err *err)
{
    mode_t type = archive_entry_filetype(entry);
    bool is_there = false;
    if (clear_place(place, type == AE_IFDIR, &is_there, err) != 0) {
        return -1;
    }
    switch (type) {
    case AE_IFREG: return make_file(archive, entry, place, err) == 0 ? 1 : -1;
    case AE_IFLNK: {
        const char *target = archive_entry_symlink(entry);
        return make_link(place, target ? target : "", err) == 0 ? 1 : -1;
    }
    case AE_IFDIR:
        if (!is_there && mkdirat(place->folder, place->name, 0700) != 0) {
            return pw_unpack_fail(err, errno, "make folder", place->path);
        }
        return 1;
    case AE_IFIFO:
    case AE_IFCHR:
    case AE_IFBLK: return make_node(entry, place, err);
    default: return 0; /* sockets, and what is unknown */
    }
}

/* The root's own entry. */
static int take_root(struct pw_unpacking *unpacking, struct archive_entry *entry,
                     struct pw_err *err)
{
    struct pw_unpack_place place = {.path = "/", .name = ".", .folder = unpacking->root};
    if (archive_entry_filetype(entry) != AE_IFDIR) {
        return pw_unpack_refuse(err, "/", "is not a folder");
    }
    if (finish_entry(unpacking, entry, &place, err) != 0) {
        return -1;
    }
    struct stat info;
    if (fstat(unpacking->root, &info) != 0) {
        return pw_unpack_fail(err, errno, "look at", "/");
    }
    struct pw_inode inode = *pw_inodes_find(&unpacking->inodes, info.st_ino);
    inode.depth = 0;
    return pw_inodes_put(&unpacking->inodes, &inode) == 0 ? 0 : pw_err_memory(err);
}

static int count_bytes(struct pw_unpacking *unpacking, struct archive_entry *entry,
                       const char *path, struct pw_err *err)
{
    int64_t size = archive_entry_size_is_set(entry) ? archive_entry_size(entry) : 0;
    if (size < 0 || (uint64_t)size > unpacking->limit_bytes - unpacking->bytes) {
        return pw_unpack_refuse(err, path,
                                "makes the image larger than the bound, or than there is room");
    }
    unpacking->bytes += (uint64_t)size;
    return 0;
}

int pw_unpack_entry(struct pw_unpacking *unpacking, struct archive *archive,
                    struct archive_entry *entry, struct pw_err *err)
{
    char path[PW_UNPACK_PATH_BYTES];
    const char *name = archive_entry_pathname(entry);
    if (!name || name[0] == '\0') {
        return pw_err_set(err, PW_ERR_INPUT, "an entry has no name");
    }
    if (pw_unpack_path(name, path, err) != 0 || pw_unpack_count(unpacking, path, err) != 0 ||
        count_bytes(unpacking, entry, path, err) != 0) {
        return -1;
    }
    if (path[0] == '\0') {
        return take_root(unpacking, entry, err);
    }
    int whiteout = unpacking->is_layer ? pw_unpack_whiteout(unpacking, path, err) : 0;
    if (whiteout != 0) {
        return whiteout > 0 ? 0 : -1;
    }
    struct pw_unpack_place place = {.path = path};
    PW_FD_AUTO folder = pw_unpack_open_parent(unpacking, path, &place.name, err);
    if (folder < 0) {
        return -1;
    }
    place.folder = folder;
    if (pw_unpack_find_depth(unpacking, &place, err) != 0) {
        return -1;
    }
    const char *target = archive_entry_hardlink(entry);
    mode_t type = archive_entry_filetype(entry);
    if (!unpacking->is_layer && (target || (type != AE_IFREG && type != AE_IFDIR))) {
        unpacking->skipped++;
        return 0;
    }
    if (target) {
        return unpack_hard_link(unpacking, &place, target, err);
    }
    int made = make_entry(archive, entry, &place, err);
    if (made <= 0) {
        unpacking->skipped += made == 0;
        return made;
    }
    return finish_entry(unpacking, entry, &place, err);
}
