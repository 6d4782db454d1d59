/* Tar files and image layouts made for tests, with libarchive as the writer. */
#ifndef PW_TESTS_OCI_SAMPLES_H
#define PW_TESTS_OCI_SAMPLES_H

#include "unit.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/str.h"
#include "wrapper/boot/image/oci.h"

struct sample {
    char kind; /* 'f'ile, 'd' folder, 'l'ink, 'h'ard link, fi'p'o, 'c'haracter device */
    const char *name, *content; /* content: of a link, to where */
    unsigned mode;
};
enum { SAMPLE_MTIME = 1000000000, SAMPLE_UID = 1234, SAMPLE_GID = 2345 };

static inline la_ssize_t add_to_tar(struct archive *archive, void *context, const void *bytes,
                                    size_t size)
{
    (void)archive;
    pw_str_add_bytes(context, bytes, size);
    return (la_ssize_t)size;
}

static inline void write_sample(struct archive *archive, const struct sample *sample)
{
    static const struct {
        char kind;
        mode_t type;
    } types[] = {{'f', AE_IFREG}, {'d', AE_IFDIR}, {'l', AE_IFLNK},
                 {'h', AE_IFREG}, {'p', AE_IFIFO}, {'c', AE_IFCHR}};
    struct archive_entry *entry = archive_entry_new();
    assert_non_null(entry);
    archive_entry_set_pathname(entry, sample->name);
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (types[i].kind == sample->kind) {
            archive_entry_set_filetype(entry, types[i].type);
        }
    }
    archive_entry_set_perm(entry, sample->mode != 0     ? sample->mode
                                  : sample->kind == 'd' ? 0755
                                                        : 0644);
    archive_entry_set_mtime(entry, SAMPLE_MTIME, 0);
    archive_entry_set_uid(entry, SAMPLE_UID);
    archive_entry_set_gid(entry, SAMPLE_GID);
    size_t size = 0;
    if (sample->kind == 'l') {
        archive_entry_set_symlink(entry, sample->content);
    } else if (sample->kind == 'h') {
        archive_entry_set_hardlink(entry, sample->content);
    } else if (sample->kind == 'c') {
        archive_entry_set_rdevmajor(entry, 1);
        archive_entry_set_rdevminor(entry, 3);
    } else if (sample->kind == 'f') {
        size = strlen(sample->content);
        archive_entry_set_size(entry, (int64_t)size);
        archive_entry_xattr_add_entry(entry, "user.note", "kept", 4);
    }
    assert_int_equal(archive_write_header(archive, entry), ARCHIVE_OK);
    if (size > 0) {
        assert_int_equal(archive_write_data(archive, sample->content, size), size);
    }
    archive_entry_free(entry);
}

/* `filter`: ARCHIVE_FILTER_NONE, _GZIP or _ZSTD. */
static inline void make_tar(const struct sample *samples, size_t count, int filter,
                            struct pw_str *ret_tar)
{
    struct archive *archive = archive_write_new();
    assert_non_null(archive);
    assert_int_equal(archive_write_set_format_pax_restricted(archive), ARCHIVE_OK);
    /* Names are bytes, whatever the locale. */
    assert_int_equal(archive_write_set_options(archive, "hdrcharset=BINARY"), ARCHIVE_OK);
    assert_int_equal(archive_write_add_filter(archive, filter), ARCHIVE_OK);
    archive_write_set_bytes_in_last_block(archive, 1);
    assert_int_equal(archive_write_open(archive, ret_tar, NULL, add_to_tar, NULL), ARCHIVE_OK);
    for (size_t i = 0; i < count; i++) {
        write_sample(archive, &samples[i]);
    }
    assert_int_equal(archive_write_close(archive), ARCHIVE_OK);
    archive_write_free(archive);
    assert_false(ret_tar->failed);
}

/* An open file with this content. */
static inline int open_bytes(const struct pw_str *bytes)
{
    int fd = memfd_create("sample", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pw_fd_write_all(fd, bytes->text, bytes->length), 0);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

static inline struct pw_oci_descriptor describe(const struct pw_str *bytes, enum pw_oci_media media)
{
    struct pw_oci_descriptor descriptor = {.media = media, .size = bytes->length};
    memcpy(descriptor.digest, "sha256:", 7);
    pw_digest_bytes(bytes->text, bytes->length, descriptor.digest + 7);
    return descriptor;
}

static inline void write_at(const char *folder, const char *name, const struct pw_str *bytes)
{
    char *path = pw_path_join(folder, name, NULL);
    assert_non_null(path);
    assert_int_equal(pw_file_write(path, bytes->text, bytes->length, 0644, NULL), 0);
    free(path);
}

static inline void write_text(const char *folder, const char *name, const char *text)
{
    struct pw_str bytes = {.text = (char *)(uintptr_t)text, .length = strlen(text)};
    write_at(folder, name, &bytes);
}

static inline struct pw_oci_descriptor write_blob(const char *layout, const struct pw_str *bytes)
{
    struct pw_oci_descriptor descriptor = describe(bytes, PW_OCI_OTHER);
    char name[256];
    snprintf(name, sizeof(name), "blobs/sha256/%s", descriptor.digest + 7);
    write_at(layout, name, bytes);
    return descriptor;
}

#endif
