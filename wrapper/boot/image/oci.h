/*
 * The documents and blobs of an image. Sources: OCI image specification 1.0 (image-layout.md,
 * image-index.md, manifest.md, descriptor.md, config.md); Docker's image manifest version 2, schema
 * 2. What is wrong with them is PW_ERR_INPUT. Threads: no shared state.
 */
#ifndef PW_BOOT_IMAGE_OCI_H
#define PW_BOOT_IMAGE_OCI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/err.h"
#include "wrapper/boot/image/image.h"
#include "wrapper/boot/image/reference.h"

enum pw_oci_media {
    PW_OCI_OTHER,
    PW_OCI_INDEX,
    PW_OCI_MANIFEST,
    PW_OCI_CONFIG,
    PW_OCI_TAR,
    PW_OCI_TAR_GZIP,
    PW_OCI_TAR_ZSTD
};
struct pw_oci_descriptor {
    enum pw_oci_media media;
    char digest[PW_OCI_DIGEST_TEXT];
    uint64_t size;
};
struct pw_oci_manifest {
    struct pw_oci_descriptor config, *layers;
    size_t count;
};
#define PW_OCI_MANIFEST_AUTO __attribute__((cleanup(pw_oci_manifest_done))) struct pw_oci_manifest
void pw_oci_manifest_done(struct pw_oci_manifest *manifest);

/* What a document says that it is; PW_OCI_OTHER if it is none of an image's. */
enum pw_oci_media pw_oci_document_media(const char *text, size_t size);
/* The entry of an index that has this tag (NULL: any), for linux/amd64. */
int pw_oci_index_choose(const char *text, size_t size, const char *tag,
                        struct pw_oci_descriptor *ret_descriptor, struct pw_err *err);
int pw_oci_manifest_parse(const char *text, size_t size, struct pw_oci_manifest *ret_manifest,
                          struct pw_err *err);
/* Fills the lists, `folder` and `user` (as it stands there) of an image that has none. */
int pw_oci_config_parse(const char *text, size_t size, struct pw_image *image, struct pw_err *err);

/* ---- Blobs: oci_blobs.c ---- */

struct pw_oci_blobs {
    int folder;   /* -1: none */
    int archive;  /* a tar file of a layout; -1: none */
    bool is_flat; /* the blobs' names are their digests in hex (as skopeo's dir:) */
};
#define PW_OCI_BLOBS_AUTO __attribute__((cleanup(pw_oci_blobs_close))) struct pw_oci_blobs
#define PW_OCI_BLOBS_NONE ((struct pw_oci_blobs){.folder = -1, .archive = -1})
void pw_oci_blobs_close(struct pw_oci_blobs *blobs);
int pw_oci_blobs_open_folder(const char *path, bool is_flat, struct pw_oci_blobs *ret_blobs,
                             struct pw_err *err);
int pw_oci_blobs_open_archive(const char *path, struct pw_oci_blobs *ret_blobs, struct pw_err *err);
/* A file of the layout that has no digest ("index.json"). free(*ret_text). */
int pw_oci_blobs_read(const struct pw_oci_blobs *blobs, const char *name, char **ret_text,
                      size_t *ret_size, struct pw_err *err);
/* A document whose size and digest fit the descriptor. free(*ret_text). */
int pw_oci_blobs_document(const struct pw_oci_blobs *blobs,
                          const struct pw_oci_descriptor *descriptor, char **ret_text,
                          size_t *ret_size, struct pw_err *err);
/* A blob of the descriptor's size, for reading: the descriptor number, or -1. Not of an archive. */
int pw_oci_blobs_open(const struct pw_oci_blobs *blobs, const struct pw_oci_descriptor *descriptor,
                      struct pw_err *err);
/* Follows indexes down to the manifest. */
int pw_oci_blobs_manifest(const struct pw_oci_blobs *blobs, const char *tag,
                          struct pw_oci_descriptor *ret_descriptor, struct pw_err *err);

#endif
