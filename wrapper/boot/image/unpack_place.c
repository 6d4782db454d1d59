/* Where the entries of a tar file go: names, and the folders that hold them. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/file.h"
#include "core/limits.h"
#include "wrapper/boot/image/beneath.h"
#include "wrapper/boot/image/show.h"
#include "wrapper/boot/image/unpack_impl.h"

int pw_unpack_refuse(struct pw_err *err, const char *name, const char *why)
{
    char shown[PW_IMAGE_SHOWN_BYTES];
    return pw_err_set(err, PW_ERR_INPUT, "`%s` %s", pw_image_show(name, shown), why);
}

int pw_unpack_fail(struct pw_err *err, int sys, const char *what, const char *name)
{
    char shown[PW_IMAGE_SHOWN_BYTES];
    pw_err_system(err, sys, "%s `%s`", what, pw_image_show(name, shown));
    if (sys == ENOSPC || sys == EDQUOT) {
        pw_err_remedy(err, "Free space on that file system, or choose another --state-dir.");
    }
    return -1;
}

int pw_unpack_path(const char *name, char ret_path[PW_UNPACK_PATH_BYTES], struct pw_err *err)
{
    size_t used = 0;
    unsigned depth = 0;
    if (strlen(name) >= PW_UNPACK_PATH_BYTES) {
        return pw_unpack_refuse(err, name, "has too long a name");
    }
    for (const char *at = name; *at != '\0';) {
        size_t length = strcspn(at, "/");
        if (length == 2 && memcmp(at, "..", 2) == 0) {
            return pw_unpack_refuse(err, name, "reaches outside of its root");
        }
        if (length > PW_UNPACK_NAME_BYTES || (length > 0 && ++depth > PW_LIMIT_IMAGE_DEPTH)) {
            return pw_unpack_refuse(
                err, name, length > PW_UNPACK_NAME_BYTES ? "has too long a name" : "lies too deep");
        }
        if (length > 0 && !(length == 1 && at[0] == '.')) {
            if (used > 0) {
                ret_path[used++] = '/';
            }
            memcpy(ret_path + used, at, length);
            used += length;
        }
        at += length;
        at += strspn(at, "/");
    }
    ret_path[used] = '\0';
    return 0;
}

const char *pw_unpack_split(const char *path, char ret_parent[PW_UNPACK_PATH_BYTES])
{
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) : 0;
    memcpy(ret_parent, path, length);
    ret_parent[length] = '\0';
    return slash ? slash + 1 : path;
}

int pw_unpack_count(struct pw_unpacking *unpacking, const char *path, struct pw_err *err)
{
    if (++unpacking->entries > unpacking->limit_entries) {
        return pw_unpack_refuse(err, path,
                                "is one file too many: the image has more than the bound");
    }
    return 0;
}

int pw_unpack_note(struct pw_unpacking *unpacking, const struct pw_unpack_place *place,
                   struct pw_inode inode, struct pw_err *err)
{
    struct stat info;
    if (fstatat(place->folder, place->name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
        return pw_unpack_fail(err, errno, "look at", place->path);
    }
    inode.number = info.st_ino;
    inode.layer = (uint16_t)unpacking->layer;
    inode.depth = (uint16_t)(place->depth + 1);
    return pw_inodes_put(&unpacking->inodes, &inode) == 0 ? 0 : pw_err_memory(err);
}

int pw_unpack_find_depth(const struct pw_unpacking *unpacking, struct pw_unpack_place *place,
                         struct pw_err *err)
{
    struct stat info;
    if (fstat(place->folder, &info) != 0) {
        return pw_unpack_fail(err, errno, "look at the folder of", place->path);
    }
    const struct pw_inode *known = pw_inodes_find(&unpacking->inodes, info.st_ino);
    place->depth = known ? known->depth : 0;
    if (place->depth >= PW_LIMIT_IMAGE_DEPTH) {
        return pw_unpack_refuse(err, place->path, "lies too deep");
    }
    return 0;
}

/* Opens the folder `path`, making what is missing on the way: the descriptor, or -1. */
static int make_folders(struct pw_unpacking *unpacking, const char *path, struct pw_err *err)
{
    char part[PW_UNPACK_PATH_BYTES];
    PW_FD_AUTO folder = pw_beneath_open(unpacking->root, "", O_PATH | O_DIRECTORY);
    for (const char *at = path; folder >= 0 && *at != '\0';) {
        size_t length = strcspn(at, "/");
        size_t end = (size_t)(at - path) + length;
        memcpy(part, path, end);
        part[end] = '\0';
        int next = pw_beneath_open(unpacking->root, part, O_PATH | O_DIRECTORY);
        if (next < 0 && errno == ENOENT) {
            struct pw_unpack_place place = {
                .path = part, .name = part + end - length, .folder = folder};
            struct pw_inode inode = {.mode = 0755};
            if (pw_unpack_count(unpacking, part, err) != 0 ||
                pw_unpack_find_depth(unpacking, &place, err) != 0) {
                return -1;
            }
            if (mkdirat(folder, place.name, 0755) != 0) {
                return errno == EEXIST
                           ? pw_unpack_refuse(err, part, "is a link to nothing, not a folder")
                           : pw_unpack_fail(err, errno, "make folder", part);
            }
            if (pw_unpack_note(unpacking, &place, inode, err) != 0) {
                return -1;
            }
            next = pw_beneath_open(unpacking->root, part, O_PATH | O_DIRECTORY);
        }
        int sys = errno;
        pw_fd_done(&folder);
        errno = sys;
        folder = next;
        at += length;
        at += *at == '/';
    }
    if (folder < 0) {
        if (errno == ENOTDIR || errno == ELOOP || errno == ENOENT) {
            return pw_unpack_refuse(err, path, "is not a folder, but has files in it");
        }
        return pw_unpack_fail(err, errno, "open folder", path);
    }
    return pw_fd_take(&folder);
}

int pw_unpack_open_parent(struct pw_unpacking *unpacking, const char *path, const char **ret_name,
                          struct pw_err *err)
{
    char parent[PW_UNPACK_PATH_BYTES];
    *ret_name = pw_unpack_split(path, parent);
    int fd = pw_beneath_open(unpacking->root, parent, O_PATH | O_DIRECTORY);
    return fd >= 0 ? fd : make_folders(unpacking, parent, err);
}
