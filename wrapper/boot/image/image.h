/*
 * The guest's root file system, as an ext4 file that machines share and none of them changes.
 *
 * References: `oci:DIR[:TAG]` (an OCI image layout), `oci-archive:FILE[:TAG]` (the same as a tar
 * file), `docker://HOST/NAME[:TAG|@sha256:...]` or such a name alone (pulled with skopeo),
 * `dir:FOLDER` (a root file system; nothing else is known of it), `ext4:FILE` (used as it is).
 * What is made is kept in the state folder under the digest of the image's manifest (of a folder:
 * of its contents' names, sizes, times and owners), the size and the way it is made; what is there
 * is used again. All that comes from an image is untrusted: digests are checked, layers are
 * unpacked beneath their root whatever their names and links say.
 *
 * Without root's power owners and modes are given to the file system by debugfs(8), and devices are
 * left out: the guest has its own in /dev.
 *
 * Sources: OCI image specification 1.0 (image-layout, manifest, config, layer: whiteouts); tar and
 * decompression by libarchive. Threads: no shared state.
 */
#ifndef PW_BOOT_IMAGE_IMAGE_H
#define PW_BOOT_IMAGE_IMAGE_H

#include <stdbool.h>
#include <stdint.h>
#include "core/err.h"
#include "wrapper/boot/base/digest.h"
#include "wrapper/boot/base/state.h"

struct pw_image_request {
    const char *reference;
    unsigned disk_mib;  /* size of the file system; more if the content needs more */
    const char *mke2fs; /* --mke2fs; NULL: look for it */
    const struct pw_state *state;
    /* What is going on, for a terminal: "pulling ...". May be NULL. */
    void (*progress)(void *context, const char *text);
    void *progress_context;
};

struct pw_image {
    char *reference;                 /* as given */
    char *disk;                      /* path of the ext4 file */
    char digest[7 + PW_DIGEST_TEXT]; /* "sha256:..." of the manifest, or what stands for it; "" of
                                        ext4: */
    uint64_t disk_bytes;
    bool built;         /* by this call; else it was in the cache, or needed no work */
    int64_t prepare_ns; /* all that this call did */
    /* The image's configuration; NULL where it has none. NULL-terminated lists, owned. */
    char **environment, **entrypoint, **command;
    char *folder, *user; /* WorkingDir; User, as a number UID[:GID] of its /etc/passwd */
};
#define PW_IMAGE_AUTO __attribute__((cleanup(pw_image_done))) struct pw_image
void pw_image_done(struct pw_image *image);

/* PW_ERR_USAGE for a reference that is none. PW_ERR_INPUT: nothing there, no such tag or digest,
 * another architecture, a digest that does not fit, a layer that is damaged or reaches outside of
 * its root, larger than the bounds, a tool is missing; PW_ERR_SYSTEM: a tool failed, the registry
 * cannot be reached, no room on the disk. */
int pw_image_prepare(const struct pw_image_request *request, struct pw_image *ret_image,
                     struct pw_err *err);

#endif
