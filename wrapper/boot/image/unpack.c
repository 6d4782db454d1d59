/* Tar files, read by libarchive and written by unpack_entry.c. Digest and size are of the file as
 * it is stored, whatever libarchive makes of it: all of it is read. */
#include "wrapper/boot/image/unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "core/file.h"
#include "core/limits.h"
#include "wrapper/boot/base/interrupt.h"
#include "wrapper/boot/image/beneath.h"
#include "wrapper/boot/image/inodes.h"
#include "wrapper/boot/image/oci.h"
#include "wrapper/boot/image/reference.h"
#include "wrapper/boot/image/show.h"
#include "wrapper/boot/image/unpack_impl.h"

enum { BLOCK_BYTES = 128 << 10 };

struct source {
    int fd, sys; /* sys: errno of a read that failed */
    struct sha256_ctx sha256;
    uint64_t bytes;
    unsigned char block[BLOCK_BYTES];
};

int pw_unpacking_start(const char *folder, bool is_layer, struct pw_unpacking *ret_unpacking,
                       struct pw_err *err)
{
    if (pw_beneath_check(err) != 0) {
        return -1;
    }
    PW_FD_AUTO root = open(folder, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat info;
    struct statvfs room;
    if (root < 0 || fstat(root, &info) != 0 || fstatvfs(root, &room) != 0) {
        return pw_err_system(err, errno, "open folder `%s`", folder);
    }
    uint64_t limit = (uint64_t)PW_LIMIT_IMAGE_MIB << 20;
    uint64_t free_bytes = (uint64_t)room.f_bavail * room.f_frsize;
    struct pw_unpacking unpacking = {
        .is_layer = is_layer,
        .gives_owners = geteuid() == 0,
        .limit_entries = PW_LIMIT_IMAGE_ENTRIES,
        .limit_script_bytes = PW_LIMIT_IMAGE_SCRIPT_BYTES,
        .limit_bytes = free_bytes < limit ? free_bytes : limit,
    };
    struct pw_inode inode = {.number = info.st_ino, .mode = 0755};
    if (pw_inodes_put(&unpacking.inodes, &inode) != 0) {
        return pw_err_memory(err);
    }
    unpacking.root = pw_fd_take(&root);
    *ret_unpacking = unpacking;
    return 0;
}

void pw_unpacking_done(struct pw_unpacking *unpacking)
{
    pw_fd_done(&unpacking->root);
    pw_inodes_done(&unpacking->inodes);
}

/* The next bytes of the file; 0 at its end. */
static ssize_t read_block(struct source *source)
{
    ssize_t count = 0;
    if (pw_interrupt_is_pending()) {
        source->sys = EINTR;
        return -1;
    }
    do {
        count = read(source->fd, source->block, BLOCK_BYTES);
    } while (count < 0 && errno == EINTR);
    if (count < 0) {
        source->sys = errno;
    } else {
        sha256_update(&source->sha256, (size_t)count, source->block);
        source->bytes += (uint64_t)count;
    }
    return count;
}

static la_ssize_t read_for_archive(struct archive *archive, void *context, const void **ret_bytes)
{
    struct source *source = context;
    ssize_t count = read_block(source);
    if (count < 0) {
        archive_set_error(archive, source->sys, "it cannot be read");
        return ARCHIVE_FATAL;
    }
    *ret_bytes = source->block;
    return count;
}

/* Reads what libarchive left, and compares. */
static int check_digest(struct source *source, const struct pw_oci_descriptor *expected,
                        struct pw_err *err)
{
    ssize_t count = 0;
    do {
        count = read_block(source);
    } while (count > 0 && (!expected || source->bytes <= expected->size));
    if (source->sys != 0) {
        return pw_err_system(err, source->sys, "read");
    }
    if (!expected) {
        return 0;
    }
    char digest[PW_OCI_DIGEST_TEXT] = "sha256:";
    pw_digest_end(&source->sha256, digest + strlen("sha256:"));
    if (source->bytes != expected->size || strcmp(digest, expected->digest) != 0) {
        return pw_err_set(err, PW_ERR_INPUT, "its content is not that of its digest %s",
                          expected->digest);
    }
    return 0;
}

struct archive *pw_tar_new(enum pw_oci_media media)
{
    struct archive *archive = archive_read_new();
    if (!archive) {
        return NULL;
    }
    int status = ARCHIVE_OK;
    if (media == PW_OCI_TAR_GZIP || media == PW_OCI_OTHER) {
        status = archive_read_support_filter_gzip(archive);
    }
    if (status == ARCHIVE_OK && (media == PW_OCI_TAR_ZSTD || media == PW_OCI_OTHER)) {
        status = archive_read_support_filter_zstd(archive);
    }
    /* ARCHIVE_WARN would mean that libarchive runs a program instead. */
    if (status != ARCHIVE_OK || archive_read_support_format_tar(archive) != ARCHIVE_OK ||
        archive_read_support_format_empty(archive) != ARCHIVE_OK) {
        archive_read_free(archive);
        return NULL;
    }
    return archive;
}

/* What is found may be less than what is allowed: no compression. */
static bool has_filter(struct archive *archive, const struct pw_oci_descriptor *expected)
{
    static const int filters[] = {
        [PW_OCI_TAR] = ARCHIVE_FILTER_NONE,
        [PW_OCI_TAR_GZIP] = ARCHIVE_FILTER_GZIP,
        [PW_OCI_TAR_ZSTD] = ARCHIVE_FILTER_ZSTD,
    };
    return !expected || expected->media < PW_OCI_TAR ||
           archive_filter_code(archive, 0) == filters[expected->media];
}

static int damaged(struct archive *archive, struct pw_err *err)
{
    const char *why = archive_error_string(archive);
    char shown[PW_IMAGE_SHOWN_BYTES];
    return pw_err_set(err, PW_ERR_INPUT, "it is damaged, or no tar file: %s",
                      pw_image_show(why ? why : "unknown", shown));
}

static int unpack_entries(struct pw_unpacking *unpacking, struct archive *archive,
                          struct pw_err *err)
{
    for (;;) {
        struct archive_entry *entry = NULL;
        int status = archive_read_next_header(archive, &entry);
        if (status == ARCHIVE_EOF) {
            return 0;
        }
        /* A warning: a name in a character set that is not ours. It comes as bytes, as it is. */
        if (status == ARCHIVE_RETRY || status < ARCHIVE_WARN) {
            return damaged(archive, err);
        }
        if (pw_unpack_entry(unpacking, archive, entry, err) != 0) {
            return -1;
        }
    }
}

int pw_unpack_tar(struct pw_unpacking *unpacking, int fd, const struct pw_oci_descriptor *expected,
                  struct pw_err *err)
{
    unpacking->layer++;
    PW_FREE_AUTO struct source *source = calloc(1, sizeof(*source));
    if (!source) {
        return pw_err_memory(err);
    }
    source->fd = fd;
    sha256_init(&source->sha256);
    struct archive *archive = pw_tar_new(expected ? expected->media : PW_OCI_OTHER);
    if (!archive) {
        return pw_err_set(err, PW_ERR_SYSTEM, "libarchive was built without this compression");
    }
    int status = 0;
    if (archive_read_open(archive, source, NULL, read_for_archive, NULL) != ARCHIVE_OK) {
        status = damaged(archive, err);
    } else if (!has_filter(archive, expected)) {
        status = pw_err_set(err, PW_ERR_INPUT, "it is damaged: not compressed as it should be");
    } else {
        status = unpack_entries(unpacking, archive, err);
    }
    archive_read_free(archive);
    /* A wrong digest explains whatever else was found, but the machine's own failures. */
    if (status != 0 && err && err->cls != PW_ERR_INPUT) {
        return status;
    }
    struct pw_err other = PW_ERR_INIT;
    if (check_digest(source, expected, &other) != 0) {
        if (err) {
            *err = other;
        }
        return -1;
    }
    return status;
}
