/*
 * ext4 files, made by mke2fs(8). Without a journal and checksums of metadata: each machine writes
 * to an overlay of its own that is thrown away. Sources: mke2fs(8), debugfs(8); Linux,
 * Documentation/filesystems/ext4/super.rst.
 */
#include "wrapper/boot/image/ext4.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "core/file.h"
#include "core/str.h"
#include "wrapper/boot/base/tool.h"
#include "wrapper/boot/image/beneath.h"
#include "wrapper/boot/image/tree.h"

enum {
    TOOL_SEC = 3600,
    MAGIC_AT = 1024 + 56,
    MAGIC = 0xEF53,
    SPARE_MIB = 64,
    INODE_BYTES = 256,
    BYTES_AN_INODE = 16384, /* as mke2fs.conf(5) has it */
    SPARE_INODES = 1024,
    WORD_BYTES = 160
};

int pw_ext4_check(const char *path, uint64_t *ret_bytes, struct pw_err *err)
{
    PW_FD_AUTO fd = pw_open_readable(AT_FDCWD, path);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) != 0) {
        return pw_err_input(err, errno, "open `%s`", path);
    }
    unsigned char magic[2] = {0};
    if (!S_ISREG(info.st_mode)) {
        return pw_err_set(err, PW_ERR_INPUT, "`%s` is not a regular file", path);
    }
    if (pread(fd, magic, sizeof(magic), MAGIC_AT) != (ssize_t)sizeof(magic) ||
        (magic[0] | magic[1] << 8) != MAGIC) {
        return pw_err_set(err, PW_ERR_INPUT, "`%s` is not an ext4 file system", path);
    }
    *ret_bytes = (uint64_t)info.st_size;
    return 0;
}

int pw_ext4_check_room(const char *folder, uint64_t bytes, struct pw_err *err)
{
    struct statvfs room;
    if (statvfs(folder, &room) != 0) {
        return pw_err_system(err, errno, "look at the file system of `%s`", folder);
    }
    uint64_t free_bytes = (uint64_t)room.f_bavail * room.f_frsize;
    if (free_bytes >= bytes) {
        return 0;
    }
    pw_err_system(err, ENOSPC, "the image needs %llu MiB, and `%s` has %llu MiB",
                  (unsigned long long)(bytes >> 20), folder,
                  (unsigned long long)(free_bytes >> 20));
    return pw_err_remedy(err, "Free space on that file system, or choose another --state-dir.");
}

/* What the files take, with inodes and what keeps the books of them. */
static uint64_t content_bytes(const struct pw_tree *tree)
{
    return tree->bytes + tree->bytes / 10 + (tree->entries + SPARE_INODES) * INODE_BYTES;
}

/* From the image's digest: the same for the same content. */
static void make_uuid(const char *seed, char uuid[WORD_BYTES])
{
    /* Version 8: of one's own making (RFC 9562). */
    snprintf(uuid, WORD_BYTES, "%.8s-%.4s-8%.3s-a%.3s-%.12s", seed, seed + 8, seed + 12, seed + 15,
             seed + 18);
}

static int run_mke2fs(const struct pw_ext4 *ext4, const char *tool, struct pw_err *err)
{
    char uuid[WORD_BYTES];
    char extended[WORD_BYTES * 2];
    char inodes[WORD_BYTES];
    char size[WORD_BYTES];
    struct stat root;
    if (stat(ext4->root, &root) != 0) {
        return pw_err_system(err, errno, "look at `%s`", ext4->root);
    }
    uint64_t bytes = (uint64_t)ext4->disk_mib << 20;
    uint64_t needed = content_bytes(ext4->tree) + ((uint64_t)SPARE_MIB << 20);
    bytes = bytes > needed ? bytes : (needed + (1 << 20) - 1) >> 20 << 20;
    uint64_t count = ext4->tree->entries + ext4->tree->entries / 10 + SPARE_INODES;
    count = count > bytes / BYTES_AN_INODE ? count : bytes / BYTES_AN_INODE;
    make_uuid(ext4->seed, uuid);
    snprintf(size, sizeof(size), "%lluk", (unsigned long long)(bytes >> 10));
    snprintf(inodes, sizeof(inodes), "%llu", (unsigned long long)count);
    snprintf(extended, sizeof(extended),
             "lazy_itable_init=1,lazy_journal_init=1,nodiscard,hash_seed=%s,root_owner=%u:%u", uuid,
             root.st_uid, root.st_gid);
    const char *argv[] = {tool,
                          "-q",
                          "-F",
                          "-t",
                          "ext4",
                          "-b",
                          "4096",
                          "-m",
                          "0",
                          "-O",
                          "^has_journal,^metadata_csum",
                          "-E",
                          extended,
                          "-U",
                          uuid,
                          "-N",
                          inodes,
                          "-d",
                          ext4->root,
                          ext4->disk,
                          size,
                          NULL};
    struct pw_tool_call call = {.argv = argv, .timeout_sec = TOOL_SEC};
    return pw_tool_run(&call, err);
}

/* Owners and modes that the tree could not be given, as we are not root. */
static int run_debugfs(const struct pw_ext4 *ext4, struct pw_err *err)
{
    PW_FREE_AUTO char *tool = NULL;
    PW_FREE_AUTO char *script = pw_path_join(ext4->folder, "owners", err);
    if (!script || pw_tool_find("debugfs", NULL, "e2fsprogs", &tool, err) != 0 ||
        pw_file_write(script, ext4->script, strlen(ext4->script), 0600, err) != 0) {
        return -1;
    }
    const char *argv[] = {tool, "-w", "-f", script, ext4->disk, NULL};
    struct pw_tool_call call = {.argv = argv, .timeout_sec = TOOL_SEC};
    int status = pw_tool_run(&call, err);
    unlink(script);
    return status;
}

int pw_ext4_build(const struct pw_ext4 *ext4, struct pw_err *err)
{
    PW_FREE_AUTO char *tool = NULL;
    uint64_t bytes = 0;
    if (pw_tool_find("mke2fs", ext4->mke2fs, "e2fsprogs", &tool, err) != 0 ||
        pw_ext4_check_room(ext4->folder, content_bytes(ext4->tree), err) != 0 ||
        run_mke2fs(ext4, tool, err) != 0 ||
        (ext4->script[0] != '\0' && run_debugfs(ext4, err) != 0)) {
        return -1;
    }
    if (pw_ext4_check(ext4->disk, &bytes, err) != 0) {
        return pw_err_prefix(err, "what %s made", tool);
    }
    return 0;
}
