/* Image layouts, as a folder or in a tar file (OCI image specification 1.0, image-layout.md), and
 * the flat folder that skopeo's dir: makes. */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/file.h"
#include "core/limits.h"
#include "wrapper/boot/image/beneath.h"
#include "wrapper/boot/image/oci.h"
#include "wrapper/boot/image/unpack.h"

enum { NAME_BYTES = 128, ARCHIVE_BLOCK_BYTES = 64 << 10 };

void pw_oci_blobs_close(struct pw_oci_blobs *blobs)
{
    pw_fd_done(&blobs->folder);
    pw_fd_done(&blobs->archive);
}

static int missing(struct pw_err *err, int sys, const char *path)
{
    pw_err_system(err, sys, "open `%s`", path);
    if (err && (sys == ENOENT || sys == ENOTDIR || sys == EACCES || sys == ELOOP)) {
        err->cls = PW_ERR_INPUT;
    }
    return -1;
}

int pw_oci_blobs_open_folder(const char *path, bool is_flat, struct pw_oci_blobs *ret_blobs,
                             struct pw_err *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return missing(err, errno, path);
    }
    *ret_blobs = (struct pw_oci_blobs){.folder = fd, .archive = -1, .is_flat = is_flat};
    return 0;
}

int pw_oci_blobs_open_archive(const char *path, struct pw_oci_blobs *ret_blobs, struct pw_err *err)
{
    PW_FD_AUTO fd = pw_open_readable(AT_FDCWD, path);
    struct stat info;
    if (fd < 0) {
        return missing(err, errno, path);
    }
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        return pw_err_set(err, PW_ERR_INPUT, "`%s` is not a regular file", path);
    }
    *ret_blobs = (struct pw_oci_blobs){.folder = -1, .archive = pw_fd_take(&fd)};
    return 0;
}

/* ---- A tar file, of which only what is wanted is read: the rest is skipped by lseek(2) ---- */

static int read_member(struct archive *archive, struct archive_entry *entry, const char *name,
                       char **ret_text, size_t *ret_size, struct pw_err *err)
{
    int64_t size = archive_entry_size(entry);
    if (archive_entry_filetype(entry) != AE_IFREG || size < 0 ||
        size > PW_LIMIT_IMAGE_DOCUMENT_BYTES) {
        return pw_err_set(err, PW_ERR_INPUT, "`%s` is no document", name);
    }
    char *text = malloc((size_t)size + 1);
    if (!text) {
        return pw_err_memory(err);
    }
    size_t used = 0;
    while (used < (size_t)size) {
        la_ssize_t count = archive_read_data(archive, text + used, (size_t)size - used);
        if (count <= 0) {
            free(text);
            return pw_err_set(err, PW_ERR_INPUT, "`%s` is damaged", name);
        }
        used += (size_t)count;
    }
    text[used] = '\0';
    *ret_text = text;
    *ret_size = used;
    return 0;
}

static int find_member(struct archive *archive, const char *name, char **ret_text, size_t *ret_size,
                       struct pw_err *err)
{
    for (unsigned entries = 0; entries < PW_LIMIT_IMAGE_ENTRIES; entries++) {
        struct archive_entry *entry = NULL;
        int status = archive_read_next_header(archive, &entry);
        if (status == ARCHIVE_EOF) {
            break;
        }
        if (status == ARCHIVE_RETRY || status < ARCHIVE_WARN) {
            return pw_err_set(err, PW_ERR_INPUT, "it is damaged, or no tar file");
        }
        char path[PW_UNPACK_PATH_BYTES];
        const char *found = archive_entry_pathname(entry);
        if (found && pw_unpack_path(found, path, NULL) == 0 && strcmp(path, name) == 0) {
            return read_member(archive, entry, name, ret_text, ret_size, err);
        }
    }
    return pw_err_set(err, PW_ERR_INPUT, "there is no `%s` in it", name);
}

static int read_from_archive(int fd, const char *name, char **ret_text, size_t *ret_size,
                             struct pw_err *err)
{
    struct archive *archive = pw_tar_new(PW_OCI_OTHER);
    if (!archive) {
        return pw_err_memory(err);
    }
    int status = -1;
    if (lseek(fd, 0, SEEK_SET) != 0 ||
        archive_read_open_fd(archive, fd, ARCHIVE_BLOCK_BYTES) != ARCHIVE_OK) {
        pw_err_set(err, PW_ERR_INPUT, "it is damaged, or no tar file");
    } else {
        status = find_member(archive, name, ret_text, ret_size, err);
    }
    archive_read_free(archive);
    return status;
}

/* ---- Blobs ---- */

int pw_oci_blobs_read(const struct pw_oci_blobs *blobs, const char *name, char **ret_text,
                      size_t *ret_size, struct pw_err *err)
{
    if (blobs->archive >= 0) {
        return read_from_archive(blobs->archive, name, ret_text, ret_size, err);
    }
    PW_FD_AUTO fd = pw_open_readable(blobs->folder, name);
    if (fd < 0) {
        return missing(err, errno, name);
    }
    return pw_read_regular(fd, name, PW_LIMIT_IMAGE_DOCUMENT_BYTES, ret_text, ret_size, err);
}

static void name_blob(const struct pw_oci_blobs *blobs, const char *digest, char name[NAME_BYTES])
{
    snprintf(name, NAME_BYTES, "%s%s", blobs->is_flat ? "" : "blobs/sha256/", digest + 7);
}

int pw_oci_blobs_document(const struct pw_oci_blobs *blobs,
                          const struct pw_oci_descriptor *descriptor, char **ret_text,
                          size_t *ret_size, struct pw_err *err)
{
    char name[NAME_BYTES];
    char digest[PW_DIGEST_TEXT];
    PW_FREE_AUTO char *text = NULL;
    size_t size = 0;
    name_blob(blobs, descriptor->digest, name);
    if (pw_oci_blobs_read(blobs, name, &text, &size, err) != 0) {
        return -1;
    }
    pw_digest_bytes(text, size, digest);
    if (size != descriptor->size || strcmp(digest, descriptor->digest + 7) != 0) {
        return pw_err_set(err, PW_ERR_INPUT, "the content is not that of its digest %s",
                          descriptor->digest);
    }
    *ret_text = text;
    text = NULL;
    *ret_size = size;
    return 0;
}

int pw_oci_blobs_open(const struct pw_oci_blobs *blobs, const struct pw_oci_descriptor *descriptor,
                      struct pw_err *err)
{
    char name[NAME_BYTES];
    name_blob(blobs, descriptor->digest, name);
    PW_FD_AUTO fd = pw_open_readable(blobs->folder, name);
    struct stat info;
    if (fd < 0) {
        return missing(err, errno, name);
    }
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        return pw_err_set(err, PW_ERR_INPUT, "`%s` is not a regular file", name);
    }
    if ((uint64_t)info.st_size != descriptor->size) {
        return pw_err_set(err, PW_ERR_INPUT, "it has %lld bytes, and should have %llu",
                          (long long)info.st_size, (unsigned long long)descriptor->size);
    }
    return pw_fd_take(&fd);
}

/* ---- From the layout to the manifest ---- */

static int check_layout(const struct pw_oci_blobs *blobs, struct pw_err *err)
{
    PW_FREE_AUTO char *text = NULL;
    size_t size = 0;
    if (pw_oci_blobs_read(blobs, "oci-layout", &text, &size, err) != 0) {
        return pw_err_prefix(err, "not an OCI image layout");
    }
    json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
    const char *version = json_string_value(json_object_get(root, "imageLayoutVersion"));
    bool is_known = version && strncmp(version, "1.", 2) == 0;
    json_decref(root);
    return is_known ? 0 : pw_err_set(err, PW_ERR_INPUT, "not an OCI image layout of version 1");
}

int pw_oci_blobs_manifest(const struct pw_oci_blobs *blobs, const char *tag,
                          struct pw_oci_descriptor *ret_descriptor, struct pw_err *err)
{
    PW_FREE_AUTO char *text = NULL;
    size_t size = 0;
    struct pw_oci_descriptor descriptor;
    if (check_layout(blobs, err) != 0 ||
        pw_oci_blobs_read(blobs, "index.json", &text, &size, err) != 0) {
        return -1;
    }
    for (int depth = 0; depth < PW_LIMIT_IMAGE_INDEXES; depth++) {
        if (pw_oci_index_choose(text, size, depth == 0 ? tag : NULL, &descriptor, err) != 0) {
            return -1;
        }
        free(text);
        text = NULL;
        if (pw_oci_blobs_document(blobs, &descriptor, &text, &size, err) != 0) {
            return -1;
        }
        descriptor.media = pw_oci_document_media(text, size);
        if (descriptor.media != PW_OCI_INDEX) {
            *ret_descriptor = descriptor;
            return 0;
        }
    }
    return pw_err_set(err, PW_ERR_INPUT, "indexes within indexes, more than %d deep",
                      PW_LIMIT_IMAGE_INDEXES);
}
