/* Entries of a layer that say what of the layers below is gone (OCI image specification 1.0,
 * layer.md). What this layer brought itself stays, whichever comes first. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "core/file.h"
#include "wrapper/boot/image/beneath.h"
#include "wrapper/boot/image/unpack_impl.h"

#define WHITEOUT ".wh."
#define WHITEOUT_META ".wh..wh."
#define WHITEOUT_OPAQUE ".wh..wh..opq"

static int apply_whiteout(struct pw_unpacking *unpacking, const char *path, struct pw_err *err)
{
    char parent[PW_UNPACK_PATH_BYTES];
    const char *name = pw_unpack_split(path, parent);
    const char *hidden = name + strlen(WHITEOUT);
    bool is_opaque = strcmp(name, WHITEOUT_OPAQUE) == 0;
    if (!is_opaque &&
        (hidden[0] == '\0' || strcmp(hidden, ".") == 0 || strcmp(hidden, "..") == 0)) {
        return pw_unpack_refuse(err, path, "is a whiteout of nothing");
    }
    PW_FD_AUTO folder = pw_beneath_open(unpacking->root, parent, O_PATH | O_DIRECTORY);
    if (folder < 0) {
        /* There is nothing to hide. */
        return errno == ENOENT || errno == ENOTDIR || errno == ELOOP
                   ? 0
                   : pw_unpack_fail(err, errno, "open folder", parent);
    }
    return pw_unpack_remove(&unpacking->inodes, unpacking->layer, folder,
                            is_opaque ? NULL : hidden) == 0
               ? 0
               : pw_unpack_fail(err, errno, "remove what is hidden by", path);
}

int pw_unpack_whiteout(struct pw_unpacking *unpacking, const char *path, struct pw_err *err)
{
    for (const char *at = path; *at != '\0';) {
        size_t length = strcspn(at, "/");
        bool is_last = at[length] == '\0';
        bool is_opaque = is_last && strcmp(at, WHITEOUT_OPAQUE) == 0;
        if (strncmp(at, WHITEOUT_META, strlen(WHITEOUT_META)) == 0 && !is_opaque) {
            return 1; /* of aufs, for itself */
        }
        if (strncmp(at, WHITEOUT, strlen(WHITEOUT)) == 0) {
            if (!is_last) {
                return pw_unpack_refuse(err, path, "has a whiteout for a folder");
            }
            return apply_whiteout(unpacking, path, err) == 0 ? 1 : -1;
        }
        at += length;
        at += *at == '/';
    }
    return 0;
}
