/*
 * Images of registries, by skopeo. Failures: see pw_image_prepare(). Threads: no shared state.
 */
#ifndef PW_BOOT_IMAGE_REGISTRY_H
#define PW_BOOT_IMAGE_REGISTRY_H

#include "core/err.h"
#include "wrapper/boot/image/image.h"
#include "wrapper/boot/image/oci.h"
#include "wrapper/boot/image/reference.h"

/* Asks the registry, unless the state folder knows the answer: which manifest is meant. */
int pw_registry_resolve(const struct pw_image_request *request,
                        const struct pw_image_reference *reference,
                        char ret_digest[PW_OCI_DIGEST_TEXT], struct pw_err *err);
/* Gets this manifest and its blobs into `folder`, which is not there yet, as flat blobs. */
int pw_registry_pull(const struct pw_image_reference *reference, const char *digest,
                     const char *folder, struct pw_oci_descriptor *ret_manifest,
                     struct pw_err *err);

#endif
