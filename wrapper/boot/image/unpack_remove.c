/* Removal beneath an open folder. Depth is bounded by PW_LIMIT_IMAGE_DEPTH where trees are made. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/limits.h"
#include "wrapper/boot/image/inodes.h"
#include "wrapper/boot/image/unpack.h"
#include "wrapper/boot/image/unpack_impl.h"

struct removal {
    const struct pw_inodes *inodes;
    unsigned layer, depth;
};

static int remove_one(struct removal *removal, int folder, const char *name);

static int remove_content(struct removal *removal, int folder, const char *name)
{
    if (removal->depth > PW_LIMIT_IMAGE_DEPTH) {
        errno = ELOOP;
        return -1;
    }
    int fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        int sys = errno;
        if (fd >= 0) {
            close(fd);
        }
        errno = sys;
        return -1;
    }
    int status = 0;
    removal->depth++;
    for (;;) {
        errno = 0;
        const struct dirent *entry = status == 0 ? readdir(dir) : NULL;
        if (!entry) {
            status = status != 0 || errno != 0 ? -1 : 0;
            break;
        }
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            status = remove_one(removal, dirfd(dir), entry->d_name);
        }
    }
    removal->depth--;
    int sys = errno;
    closedir(dir);
    errno = sys;
    return status;
}

static int remove_one(struct removal *removal, int folder, const char *name)
{
    struct stat info;
    if (fstatat(folder, name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
        return errno == ENOENT ? 0 : -1;
    }
    const struct pw_inode *known =
        removal->layer == 0 ? NULL : pw_inodes_find(removal->inodes, info.st_ino);
    bool is_kept = known && known->layer == removal->layer;
    if (!S_ISDIR(info.st_mode)) {
        return is_kept || unlinkat(folder, name, 0) == 0 || errno == ENOENT ? 0 : -1;
    }
    if (remove_content(removal, folder, name) != 0) {
        return -1;
    }
    /* Something of this layer may be left in a folder of a layer before. */
    if (is_kept || unlinkat(folder, name, AT_REMOVEDIR) == 0 || errno == ENOENT ||
        (removal->layer != 0 && (errno == ENOTEMPTY || errno == EEXIST))) {
        return 0;
    }
    return -1;
}

int pw_unpack_remove(const struct pw_inodes *inodes, unsigned layer, int folder, const char *name)
{
    struct removal removal = {.inodes = inodes, .layer = layer};
    return name ? remove_one(&removal, folder, name) : remove_content(&removal, folder, ".");
}
