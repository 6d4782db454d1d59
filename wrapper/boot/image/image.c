#include "wrapper/boot/image/image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/clock.h"
#include "core/file.h"
#include "core/limits.h"
#include "core/str.h"
#include "wrapper/boot/base/tool.h"
#include "wrapper/boot/image/config.h"
#include "wrapper/boot/image/ext4.h"
#include "wrapper/boot/image/oci.h"
#include "wrapper/boot/image/reference.h"
#include "wrapper/boot/image/registry.h"
#include "wrapper/boot/image/show.h"
#include "wrapper/boot/image/tree.h"
#include "wrapper/boot/image/unpack.h"

/*
 * An entry of the cache: disk.ext4 and image.json. Its key: what it is made from, the size, and how
 * it is made, which is RECIPE: to be counted up when the way of making it changes.
 */
#define KIND "images"
#define RECIPE "1"
enum { KEY_BYTES = 128, PROGRESS_BYTES = 160 };

struct preparation {
    const struct pw_image_request *request;
    const struct pw_image_reference *reference;
    struct pw_oci_blobs blobs;         /* of a layout */
    struct pw_oci_descriptor manifest; /* of an image; of a registry's its digest only */
    struct pw_tree tree;               /* of a folder */
};

static void done_list(char **list)
{
    for (size_t i = 0; list && list[i]; i++) {
        free(list[i]);
    }
    free(list);
}

void pw_image_done(struct pw_image *image)
{
    free(image->reference);
    free(image->disk);
    free(image->folder);
    free(image->user);
    done_list(image->environment);
    done_list(image->entrypoint);
    done_list(image->command);
    *image = (struct pw_image){0};
}

__attribute__((format(printf, 2, 3))) static void tell(const struct pw_image_request *request,
                                                       const char *format, ...)
{
    char text[PROGRESS_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (request->progress) {
        request->progress(request->progress_context, text);
    }
}

/* ---- Making an entry ---- */

/* What an entry is made with. */
struct workshop {
    char *root;   /* the unpacked tree */
    char *pulled; /* blobs from elsewhere */
    char *disk, *config;
};

static void workshop_done(struct workshop *workshop)
{
    free(workshop->root);
    free(workshop->pulled);
    free(workshop->disk);
    free(workshop->config);
}
#define WORKSHOP_AUTO __attribute__((cleanup(workshop_done))) struct workshop

static int workshop_open(const char *folder, struct workshop *workshop, struct pw_err *err)
{
    workshop->root = pw_path_join(folder, "root", err);
    workshop->pulled = pw_path_join(folder, "pulled", err);
    workshop->disk = pw_path_join(folder, "disk.ext4", err);
    workshop->config = pw_path_join(folder, "image.json", err);
    return workshop->root && workshop->pulled && workshop->disk && workshop->config
               ? 0
               : pw_err_memory(err);
}

static int make_folder(const char *path, struct pw_err *err)
{
    return mkdir(path, 0700) == 0 ? 0 : pw_err_system(err, errno, "make folder `%s`", path);
}

static int unpack_layers(const struct preparation *preparation, const struct pw_oci_blobs *blobs,
                         const struct pw_oci_manifest *manifest, struct pw_unpacking *unpacking,
                         struct pw_err *err)
{
    for (size_t i = 0; i < manifest->count; i++) {
        const struct pw_oci_descriptor *layer = &manifest->layers[i];
        tell(preparation->request, "unpacking layer %zu of %zu", i + 1, manifest->count);
        PW_FD_AUTO fd = pw_oci_blobs_open(blobs, layer, err);
        if (fd < 0 || pw_unpack_tar(unpacking, fd, layer, err) != 0) {
            return pw_err_prefix(err, "layer %zu of %zu", i + 1, manifest->count);
        }
    }
    return 0;
}

/* Fills the workshop's root, and the image's configuration. */
static int unpack_image(const struct preparation *preparation, const struct pw_oci_blobs *blobs,
                        const struct workshop *workshop, struct pw_image *image,
                        struct pw_str *script, struct pw_err *err)
{
    PW_OCI_MANIFEST_AUTO manifest = {0};
    PW_FREE_AUTO char *text = NULL;
    PW_FREE_AUTO char *config = NULL;
    size_t size = 0;
    if (pw_oci_blobs_document(blobs, &preparation->manifest, &text, &size, err) != 0 ||
        pw_oci_manifest_parse(text, size, &manifest, err) != 0 ||
        pw_oci_blobs_document(blobs, &manifest.config, &config, &size, err) != 0 ||
        pw_oci_config_parse(config, size, image, err) != 0) {
        return -1;
    }
    uint64_t packed = 0;
    for (size_t i = 0; i < manifest.count; i++) {
        uint64_t layer = manifest.layers[i].size;
        packed = layer > UINT64_MAX - packed ? UINT64_MAX : packed + layer;
    }
    PW_UNPACKING_AUTO unpacking = {.root = -1};
    if (make_folder(workshop->root, err) != 0 ||
        pw_ext4_check_room(workshop->root, packed, err) != 0 ||
        pw_unpacking_start(workshop->root, true, &unpacking, err) != 0 ||
        unpack_layers(preparation, blobs, &manifest, &unpacking, err) != 0) {
        return -1;
    }
    return pw_image_user_resolve(unpacking.root, image, err) != 0
               ? -1
               : pw_tree_finish(&unpacking, script, err);
}

/* The blobs of an archive or a registry, in the workshop. */
static int get_blobs(struct preparation *preparation, const struct workshop *workshop,
                     struct pw_oci_blobs *ret_blobs, struct pw_err *err)
{
    if (preparation->reference->kind == PW_IMAGE_REGISTRY) {
        tell(preparation->request, "pulling %s", preparation->reference->path);
        char digest[PW_OCI_DIGEST_TEXT];
        memcpy(digest, preparation->manifest.digest, sizeof(digest));
        return pw_registry_pull(preparation->reference, digest, workshop->pulled,
                                &preparation->manifest, err) != 0
                   ? -1
                   : pw_oci_blobs_open_folder(workshop->pulled, true, ret_blobs, err);
    }
    tell(preparation->request, "unpacking %s", preparation->reference->path);
    PW_UNPACKING_AUTO unpacking = {.root = -1};
    int archive = preparation->blobs.archive;
    if (make_folder(workshop->pulled, err) != 0 ||
        pw_unpacking_start(workshop->pulled, false, &unpacking, err) != 0) {
        return -1;
    }
    if (lseek(archive, 0, SEEK_SET) != 0) {
        return pw_err_system(err, errno, "read `%s`", preparation->reference->path);
    }
    return pw_unpack_tar(&unpacking, archive, NULL, err) != 0
               ? -1
               : pw_oci_blobs_open_folder(workshop->pulled, false, ret_blobs, err);
}

static int fill_root(struct preparation *preparation, const struct workshop *workshop,
                     struct pw_image *image, struct pw_str *script, struct pw_err *err)
{
    if (preparation->blobs.folder >= 0) {
        return unpack_image(preparation, &preparation->blobs, workshop, image, script, err);
    }
    PW_OCI_BLOBS_AUTO blobs = PW_OCI_BLOBS_NONE;
    if (get_blobs(preparation, workshop, &blobs, err) != 0 ||
        unpack_image(preparation, &blobs, workshop, image, script, err) != 0) {
        return -1;
    }
    return pw_dir_remove_tree(workshop->pulled, err);
}

static int build_disk(const struct preparation *preparation, const struct workshop *workshop,
                      const char *folder, const char *root, const struct pw_str *script,
                      struct pw_err *err)
{
    struct pw_tree tree = preparation->tree;
    bool is_folder = preparation->reference->kind == PW_IMAGE_FOLDER;
    if (!is_folder && pw_tree_measure(root, &tree, err) != 0) {
        return -1;
    }
    tell(preparation->request, "making the file system (%llu MiB, %llu files)",
         (unsigned long long)(tree.bytes >> 20), (unsigned long long)tree.entries);
    struct pw_ext4 ext4 = {
        .mke2fs = preparation->request->mke2fs,
        .root = root,
        .disk = workshop->disk,
        .tree = &tree,
        .disk_mib = preparation->request->disk_mib,
        .seed = preparation->manifest.digest + 7,
        .script = script->text,
        .folder = folder,
    };
    return pw_ext4_build(&ext4, err);
}

/* The entry's key is of what it was: it may not hold what became of it meanwhile. */
static int check_unchanged(const struct preparation *preparation, struct pw_err *err)
{
    struct pw_tree tree;
    if (pw_tree_measure(preparation->reference->path, &tree, err) != 0) {
        return -1;
    }
    return strcmp(tree.digest, preparation->tree.digest) == 0
               ? 0
               : pw_err_set(err, PW_ERR_INPUT, "the folder changed while it was copied");
}

static int make_entry(void *context, const char *folder, struct pw_err *err)
{
    struct preparation *preparation = context;
    WORKSHOP_AUTO workshop = {0};
    PW_IMAGE_AUTO image = {0};
    PW_STR_AUTO script = PW_STR_INIT;
    if (workshop_open(folder, &workshop, err) != 0) {
        return -1;
    }
    /* Before all the work, not behind it. */
    PW_FREE_AUTO char *tool = NULL;
    if (pw_tool_find("mke2fs", preparation->request->mke2fs, "e2fsprogs", &tool, err) != 0) {
        return -1;
    }
    bool is_folder = preparation->reference->kind == PW_IMAGE_FOLDER;
    const char *root = is_folder ? preparation->reference->path : workshop.root;
    if (!is_folder && fill_root(preparation, &workshop, &image, &script, err) != 0) {
        return -1;
    }
    if (build_disk(preparation, &workshop, folder, root, &script, err) != 0 ||
        (is_folder && check_unchanged(preparation, err) != 0)) {
        return -1;
    }
    memcpy(image.digest, preparation->manifest.digest, sizeof(image.digest));
    if (pw_image_config_write(workshop.config, &image, err) != 0) {
        return -1;
    }
    return is_folder ? 0 : pw_dir_remove_tree(workshop.root, err);
}

/* ---- What is named ---- */

static void make_key(const struct pw_image_request *request, const char *digest,
                     char key[KEY_BYTES])
{
    snprintf(key, KEY_BYTES, "%.64s-%u-%s", digest + 7, request->disk_mib, RECIPE);
}

/* An image that is named by its digest and was made before needs no registry. */
static int identify_registry(struct preparation *preparation, struct pw_err *err)
{
    const struct pw_image_reference *reference = preparation->reference;
    if (reference->digest[0] != '\0') {
        char key[KEY_BYTES];
        PW_FREE_AUTO char *path = NULL;
        make_key(preparation->request, reference->digest, key);
        int found = pw_state_find(preparation->request->state, KIND, key, &path, err);
        if (found != 0) {
            memcpy(preparation->manifest.digest, reference->digest, PW_OCI_DIGEST_TEXT);
            return found > 0 ? 0 : -1;
        }
    }
    tell(preparation->request, "asking for %s", reference->path);
    return pw_registry_resolve(preparation->request, reference, preparation->manifest.digest, err);
}

static int identify(struct preparation *preparation, struct pw_err *err)
{
    const struct pw_image_reference *reference = preparation->reference;
    switch (reference->kind) {
    case PW_IMAGE_LAYOUT:
        return pw_oci_blobs_open_folder(reference->path, false, &preparation->blobs, err) != 0
                   ? -1
                   : pw_oci_blobs_manifest(&preparation->blobs, reference->tag,
                                           &preparation->manifest, err);
    case PW_IMAGE_ARCHIVE:
        return pw_oci_blobs_open_archive(reference->path, &preparation->blobs, err) != 0
                   ? -1
                   : pw_oci_blobs_manifest(&preparation->blobs, reference->tag,
                                           &preparation->manifest, err);
    case PW_IMAGE_REGISTRY: return identify_registry(preparation, err);
    case PW_IMAGE_FOLDER:
    case PW_IMAGE_EXT4: break;
    }
    if (pw_tree_measure(reference->path, &preparation->tree, err) != 0) {
        return -1;
    }
    snprintf(preparation->manifest.digest, sizeof(preparation->manifest.digest), "sha256:%s",
             preparation->tree.digest);
    return 0;
}

static int make_absolute(struct pw_image_reference *reference, struct pw_err *err)
{
    if (reference->kind == PW_IMAGE_REGISTRY) {
        return 0;
    }
    char *path = realpath(reference->path, NULL);
    if (!path) {
        return pw_err_input(err, errno, "open `%s`", reference->path);
    }
    free(reference->path);
    reference->path = path;
    return 0;
}

static int take_ext4(struct pw_image_reference *reference, struct pw_image *image,
                     struct pw_err *err)
{
    if (pw_ext4_check(reference->path, &image->disk_bytes, err) != 0) {
        return -1;
    }
    image->disk = reference->path;
    reference->path = NULL;
    return 0;
}

static int take_entry(const struct pw_entry *entry, struct pw_image *image, struct pw_err *err)
{
    image->built = entry->made;
    image->disk = pw_path_join(entry->path, "disk.ext4", err);
    PW_FREE_AUTO char *config = pw_path_join(entry->path, "image.json", err);
    if (!image->disk || !config) {
        return -1;
    }
    return pw_ext4_check(image->disk, &image->disk_bytes, err) != 0
               ? -1
               : pw_image_config_read(config, image, err);
}

static int prepare(const struct pw_image_request *request, struct pw_image_reference *reference,
                   struct pw_image *image, struct pw_err *err)
{
    if (make_absolute(reference, err) != 0) {
        return -1;
    }
    if (reference->kind == PW_IMAGE_EXT4) {
        return take_ext4(reference, image, err);
    }
    struct preparation preparation = {
        .request = request, .reference = reference, .blobs = PW_OCI_BLOBS_NONE};
    struct pw_entry entry = {0};
    char key[KEY_BYTES];
    int status = identify(&preparation, err);
    if (status == 0) {
        make_key(request, preparation.manifest.digest, key);
        status = pw_state_entry(request->state, KIND, key, make_entry, &preparation, &entry, err);
    }
    if (status == 0) {
        status = take_entry(&entry, image, err);
        pw_entry_done(&entry);
    }
    pw_oci_blobs_close(&preparation.blobs);
    return status;
}

int pw_image_prepare(const struct pw_image_request *request, struct pw_image *ret_image,
                     struct pw_err *err)
{
    int64_t start_at_ns = pw_clock_now_ns();
    PW_IMAGE_REFERENCE_AUTO reference = {0};
    PW_IMAGE_AUTO image = {.reference = strdup(request->reference)};
    if (!image.reference) {
        return pw_err_memory(err);
    }
    if (pw_image_reference_parse(request->reference, &reference, err) != 0) {
        return -1;
    }
    if (prepare(request, &reference, &image, err) != 0) {
        char shown[PW_IMAGE_SHOWN_BYTES];
        return pw_err_prefix(err, "image `%s`", pw_image_show(request->reference, shown));
    }
    image.prepare_ns = pw_clock_now_ns() - start_at_ns;
    *ret_image = image;
    image = (struct pw_image){0};
    return 0;
}
