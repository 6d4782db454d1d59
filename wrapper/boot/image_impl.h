/* The parts of image.c. */
#ifndef PW_BOOT_IMAGE_IMPL_H
#define PW_BOOT_IMAGE_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/err.h"
#include "core/str.h"
#include "wrapper/boot/image.h"

/* ---- References: image_reference.c ---- */

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
/* PW_ERR_USAGE */
int pw_image_reference_parse(const char *text, struct pw_image_reference *ret_reference,
                             struct pw_err *err);
/* "sha256:" and 64 lower-case hex digits */
bool pw_oci_digest_is_valid(const char *text);

/* ---- The documents of an image: oci_document.c. PW_ERR_INPUT ---- */

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

/* ---- A folder as a root: beneath.c. errno ---- */

/* openat2(2): whatever the names and links of `path` are, nothing above `root` is reached. */
int pw_beneath_open(int root, const char *path, int flags);
/* PW_ERR_SYSTEM where the kernel has no openat2(2). */
int pw_beneath_check(struct pw_err *err);
/* For reading; does not wait for a fifo's writer. */
int pw_open_readable(int folder, const char *path);
/* The rest of an open file. PW_ERR_INPUT if it is no regular one or larger than `limit`.
 * free(*ret_text). */
int pw_read_regular(int fd, const char *name, size_t limit, char **ret_text, size_t *ret_size,
                    struct pw_err *err);
/* A regular file's content. 1; 0: it is not there, or no regular file; -1 and err.
 * free(*ret_text). */
int pw_beneath_read(int root, const char *path, size_t limit, char **ret_text, size_t *ret_size,
                    struct pw_err *err);

/* ---- What is known of the files of a tree that is being unpacked: inodes.c ---- */

struct pw_inode {
    uint64_t number; /* 0: an empty slot */
    int64_t mtime_sec;
    uint32_t mtime_nsec, uid, gid, mode; /* as they shall be in the guest */
    uint16_t layer, depth;
};
struct pw_inodes { /* a hash table with linear probing */
    struct pw_inode *slots;
    size_t capacity, count;
};
void pw_inodes_done(struct pw_inodes *inodes);
const struct pw_inode *pw_inodes_find(const struct pw_inodes *inodes, uint64_t number);
/* Puts it in the place of what was known of that number; -1 when out of memory. */
int pw_inodes_put(struct pw_inodes *inodes, const struct pw_inode *inode);

/* ---- Unpacking: unpack.c, unpack_entry.c, unpack_remove.c ---- */

struct pw_unpacking {
    int root;
    bool has_whiteouts; /* it is a layer of an image; else names with .wh. are as any */
    /* Owners can be given. If not, files are kept readable for us, and `inodes` knows better. */
    bool gives_owners;
    unsigned layer;          /* counted from 1 */
    uint64_t entries, bytes; /* so far, in all layers */
    uint64_t limit_entries, limit_bytes;
    uint64_t skipped; /* devices and attributes that could not be made */
    struct pw_inodes inodes;
};
#define PW_UNPACKING_AUTO __attribute__((cleanup(pw_unpacking_done))) struct pw_unpacking
/* `folder` must be there, empty and private. */
int pw_unpacking_start(const char *folder, bool has_whiteouts, struct pw_unpacking *ret_unpacking,
                       struct pw_err *err);
void pw_unpacking_done(struct pw_unpacking *unpacking);
/* A tar file over what was unpacked before. `expected`: its digest and compression; NULL: any. */
int pw_unpack_tar(struct pw_unpacking *unpacking, int fd, const struct pw_oci_descriptor *expected,
                  struct pw_err *err);

struct archive;
struct archive_entry;
int pw_unpack_entry(struct pw_unpacking *unpacking, struct archive *archive,
                    struct archive_entry *entry, struct pw_err *err);
/* A name as in a tar file as a path beneath a root: "a/b", "" for the root itself. */
enum { PW_UNPACK_PATH_BYTES = 4096 };
int pw_unpack_path(const char *name, char ret_path[PW_UNPACK_PATH_BYTES], struct pw_err *err);
/* Removes `name` of the open folder and all below it, but what `layer` brought (0: nothing is
 * kept); errno. `name` NULL: all in the folder, but not itself. */
int pw_unpack_remove(const struct pw_inodes *inodes, unsigned layer, int folder, const char *name);
/* A name in a message. */
enum { PW_UNPACK_SHOWN_BYTES = 96 };
const char *pw_unpack_show(const char *name, char buffer[PW_UNPACK_SHOWN_BYTES]);

/* ---- Trees: image_tree.c ---- */

struct pw_tree {
    uint64_t entries, bytes; /* bytes that its files will take, in whole blocks */
    char digest[PW_DIGEST_TEXT];
};
/* Measures; follows no link. PW_ERR_INPUT: not a folder, another file system mounted in it, too
 * large. */
int pw_tree_measure(const char *path, struct pw_tree *ret_tree, struct pw_err *err);
/* Gives folders their times and modes. `script` gets what debugfs has to set, if owners could not
 * be given. */
int pw_tree_finish(const struct pw_unpacking *unpacking, struct pw_str *script, struct pw_err *err);

/* ---- The file system: ext4.c ---- */

struct pw_ext4 {
    const char *mke2fs; /* may be NULL */
    const char *root, *disk;
    const struct pw_tree *tree;
    unsigned disk_mib;
    const char *seed;   /* hex digits, of which its UUID is made */
    const char *script; /* for debugfs; "": none */
    const char *folder; /* a private one */
};
int pw_ext4_build(const struct pw_ext4 *ext4, struct pw_err *err);
/* PW_ERR_INPUT if it is none. */
int pw_ext4_check(const char *path, uint64_t *ret_bytes, struct pw_err *err);
/* PW_ERR_SYSTEM unless so many bytes are free. */
int pw_ext4_check_room(const char *folder, uint64_t bytes, struct pw_err *err);

/* ---- What is kept of the configuration: image_config.c ---- */

int pw_image_config_write(const char *path, const struct pw_image *image, struct pw_err *err);
int pw_image_config_read(const char *path, struct pw_image *image, struct pw_err *err);
/* Replaces image->user by numbers, by the passwd and group files beneath `root`. */
int pw_image_user_resolve(int root, struct pw_image *image, struct pw_err *err);

/* ---- Registries: image_registry.c ---- */

/* Asks the registry, unless the state folder knows the answer: which manifest is meant. */
int pw_registry_resolve(const struct pw_image_request *request,
                        const struct pw_image_reference *reference,
                        char ret_digest[PW_OCI_DIGEST_TEXT], struct pw_err *err);
/* Gets this manifest and its blobs into `folder`, which is not there yet, as flat blobs. */
int pw_registry_pull(const struct pw_image_reference *reference, const char *digest,
                     const char *folder, struct pw_oci_descriptor *ret_manifest,
                     struct pw_err *err);

#endif
