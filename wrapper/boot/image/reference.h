/*
 * Names of images: see image.h. Sources: distribution/reference (names, tags, digests);
 * containers-transports(5) for what is put before them. Threads: no shared state.
 */
#ifndef PW_BOOT_IMAGE_REFERENCE_H
#define PW_BOOT_IMAGE_REFERENCE_H

#include <stdbool.h>
#include "core/err.h"
#include "wrapper/boot/base/digest.h"

enum { PW_OCI_DIGEST_TEXT = 7 + PW_DIGEST_TEXT }; /* "sha256:" and hex */

enum pw_image_kind {
    PW_IMAGE_LAYOUT,
    PW_IMAGE_ARCHIVE,
    PW_IMAGE_REGISTRY,
    PW_IMAGE_FOLDER,
    PW_IMAGE_EXT4
};
struct pw_image_reference {
    enum pw_image_kind kind;
    char *path;                      /* of the folder or file; of a registry: [HOST/]NAME */
    char *tag;                       /* NULL: none */
    char digest[PW_OCI_DIGEST_TEXT]; /* of a registry's image; "": by tag */
    bool is_loopback;                /* the registry is on this machine: it needs no TLS */
};
#define PW_IMAGE_REFERENCE_AUTO \
    __attribute__((cleanup(pw_image_reference_done))) struct pw_image_reference
void pw_image_reference_done(struct pw_image_reference *reference);
/* PW_ERR_USAGE, with what there is as remedy. pw_image_reference_done() in the end. */
int pw_image_reference_parse(const char *text, struct pw_image_reference *ret_reference,
                             struct pw_err *err);
/* "sha256:" and 64 lower-case hex digits */
bool pw_oci_digest_is_valid(const char *text);

#endif
