/* Index, manifest and configuration of an image. Sources: OCI image specification 1.0
 * (image-index.md, manifest.md, descriptor.md, config.md); Docker's image manifest version 2,
 * schema 2. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/file.h"
#include "core/limits.h"
#include "core/str.h"
#include "wrapper/boot/image/oci.h"
#include "wrapper/boot/image/reference.h"
#include "wrapper/boot/image/show.h"

#define JSON_AUTO __attribute__((cleanup(json_done))) json_t
static void json_done(json_t **root)
{
    json_decref(*root);
}

enum { TAGS_SHOWN_BYTES = 300, WORDS = 65536 };

static const struct {
    const char *name;
    enum pw_oci_media media;
} media_types[] = {
    {"application/vnd.oci.image.index.v1+json", PW_OCI_INDEX},
    {"application/vnd.docker.distribution.manifest.list.v2+json", PW_OCI_INDEX},
    {"application/vnd.oci.image.manifest.v1+json", PW_OCI_MANIFEST},
    {"application/vnd.docker.distribution.manifest.v2+json", PW_OCI_MANIFEST},
    {"application/vnd.oci.image.config.v1+json", PW_OCI_CONFIG},
    {"application/vnd.docker.container.image.v1+json", PW_OCI_CONFIG},
    {"application/vnd.oci.image.layer.v1.tar", PW_OCI_TAR},
    {"application/vnd.docker.image.rootfs.diff.tar", PW_OCI_TAR},
    {"application/vnd.oci.image.layer.v1.tar+gzip", PW_OCI_TAR_GZIP},
    {"application/vnd.docker.image.rootfs.diff.tar.gzip", PW_OCI_TAR_GZIP},
    {"application/vnd.oci.image.layer.v1.tar+zstd", PW_OCI_TAR_ZSTD},
    {"application/vnd.docker.image.rootfs.diff.tar.zstd", PW_OCI_TAR_ZSTD},
};

static enum pw_oci_media media_of(const char *name)
{
    for (size_t i = 0; name && i < sizeof(media_types) / sizeof(media_types[0]); i++) {
        if (strcmp(name, media_types[i].name) == 0) {
            return media_types[i].media;
        }
    }
    return PW_OCI_OTHER;
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static json_t *parse(const char *text, size_t size, const char *what, struct pw_err *err)
{
    json_error_t fault;
    json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &fault);
    if (!root) {
        pw_err_set(err, PW_ERR_INPUT, "%s: line %d, column %d: not JSON", what, fault.line,
                   fault.column);
    } else if (!json_is_object(root)) {
        pw_err_set(err, PW_ERR_INPUT, "%s: not a JSON object", what);
        json_decref(root);
        root = NULL;
    }
    return root;
}

enum pw_oci_media pw_oci_document_media(const char *text, size_t size)
{
    JSON_AUTO *root = parse(text, size, "", NULL);
    const char *named = text_of(root, "mediaType");
    if (named) {
        return media_of(named);
    }
    /* OCI leaves it open whether a document names itself. */
    if (json_integer_value(json_object_get(root, "schemaVersion")) != 2) {
        return PW_OCI_OTHER;
    }
    return json_is_array(json_object_get(root, "manifests")) ? PW_OCI_INDEX
           : json_is_array(json_object_get(root, "layers"))  ? PW_OCI_MANIFEST
                                                             : PW_OCI_OTHER;
}

static int parse_descriptor(const json_t *value, struct pw_oci_descriptor *descriptor,
                            struct pw_err *err)
{
    const char *digest = text_of(value, "digest");
    const json_t *size = json_object_get(value, "size");
    if (!digest || !pw_oci_digest_is_valid(digest)) {
        return pw_err_set(err, PW_ERR_INPUT, "a descriptor without a SHA-256 digest");
    }
    if (!json_is_integer(size) || json_integer_value(size) < 0) {
        return pw_err_set(err, PW_ERR_INPUT, "%s: a descriptor without a size", digest);
    }
    descriptor->media = media_of(text_of(value, "mediaType"));
    descriptor->size = (uint64_t)json_integer_value(size);
    memcpy(descriptor->digest, digest, PW_OCI_DIGEST_TEXT);
    return 0;
}

/* ---- Index ---- */

static const char *name_of(const json_t *entry)
{
    return text_of(json_object_get(entry, "annotations"), "org.opencontainers.image.ref.name");
}

/* Some tools write the image's full name: then its end counts. */
static bool has_tag(const json_t *entry, const char *tag)
{
    const char *name = name_of(entry);
    if (!name) {
        return false;
    }
    size_t length = strlen(name);
    size_t wanted = strlen(tag);
    return strcmp(name, tag) == 0 || (length > wanted && name[length - wanted - 1] == ':' &&
                                      strcmp(name + length - wanted, tag) == 0);
}

/* 1: linux/amd64; 0: another one; -1: it does not say */
static int is_our_platform(const json_t *entry)
{
    const json_t *platform = json_object_get(entry, "platform");
    const char *os = text_of(platform, "os");
    const char *architecture = text_of(platform, "architecture");
    if (!os || !architecture) {
        return -1;
    }
    return strcmp(os, "linux") == 0 && strcmp(architecture, "amd64") == 0;
}

static bool is_image(const json_t *entry)
{
    const char *type = text_of(entry, "mediaType");
    enum pw_oci_media media = media_of(type);
    return !type || media == PW_OCI_INDEX || media == PW_OCI_MANIFEST;
}

static int refuse_index(const json_t *manifests, const char *tag, size_t other_platforms,
                        size_t found, struct pw_err *err)
{
    PW_STR_AUTO tags = PW_STR_INIT;
    const json_t *entry = NULL;
    size_t i = 0;
    json_array_foreach(manifests, i, entry)
    {
        const char *name = name_of(entry);
        char shown[PW_IMAGE_SHOWN_BYTES];
        if (name && tags.length < TAGS_SHOWN_BYTES) {
            pw_str_addf(&tags, "%s%s", tags.length > 0 ? ", " : "", pw_image_show(name, shown));
        }
    }
    const char *has = tags.length > 0 ? tags.text : "none";
    if (found > 0) {
        pw_err_set(err, PW_ERR_INPUT, "%zu images fit; there are the tags: %s", found, has);
        return pw_err_remedy(err, "Name one by its tag.");
    }
    if (other_platforms > 0) {
        return pw_err_set(err, PW_ERR_INPUT, "it is not for linux/amd64, but for others only");
    }
    if (tag) {
        return pw_err_set(err, PW_ERR_INPUT, "no tag `%s`; there are: %s", tag, has);
    }
    return pw_err_set(err, PW_ERR_INPUT, "it holds no image");
}

/* Several for our platform are taken as one if they are one: the same digest. */
int pw_oci_index_choose(const char *text, size_t size, const char *tag,
                        struct pw_oci_descriptor *ret_descriptor, struct pw_err *err)
{
    JSON_AUTO *root = parse(text, size, "index", err);
    if (!root) {
        return -1;
    }
    const json_t *manifests = json_object_get(root, "manifests");
    if (!json_is_array(manifests) ||
        json_integer_value(json_object_get(root, "schemaVersion")) != 2) {
        return pw_err_set(err, PW_ERR_INPUT, "not an index of images");
    }
    struct pw_oci_descriptor chosen[2] = {0}; /* by platform known, and not known */
    size_t counts[2] = {0};
    size_t other_platforms = 0;
    const json_t *entry = NULL;
    size_t i = 0;
    json_array_foreach(manifests, i, entry)
    {
        struct pw_oci_descriptor descriptor;
        if (!is_image(entry) || (tag && !has_tag(entry, tag))) {
            continue;
        }
        int platform = is_our_platform(entry);
        if (platform == 0) {
            other_platforms++;
            continue;
        }
        if (parse_descriptor(entry, &descriptor, err) != 0) {
            return -1;
        }
        size_t at = platform > 0 ? 0 : 1;
        if (counts[at] == 0 || strcmp(chosen[at].digest, descriptor.digest) != 0) {
            counts[at]++;
            chosen[at] = descriptor;
        }
    }
    size_t at = counts[0] > 0 ? 0 : 1;
    if (counts[at] != 1) {
        return refuse_index(manifests, tag, other_platforms, counts[at], err);
    }
    *ret_descriptor = chosen[at];
    return 0;
}

/* ---- Manifest ---- */

void pw_oci_manifest_done(struct pw_oci_manifest *manifest)
{
    free(manifest->layers);
    *manifest = (struct pw_oci_manifest){0};
}

int pw_oci_manifest_parse(const char *text, size_t size, struct pw_oci_manifest *ret_manifest,
                          struct pw_err *err)
{
    JSON_AUTO *root = parse(text, size, "manifest", err);
    if (!root) {
        return -1;
    }
    const json_t *layers = json_object_get(root, "layers");
    if (!json_is_array(layers) || pw_oci_document_media(text, size) != PW_OCI_MANIFEST) {
        return pw_err_set(err, PW_ERR_INPUT, "not a manifest of an image");
    }
    size_t count = json_array_size(layers);
    if (count > PW_LIMIT_IMAGE_LAYERS) {
        return pw_err_set(err, PW_ERR_INPUT, "manifest: %zu layers, more than %d", count,
                          PW_LIMIT_IMAGE_LAYERS);
    }
    PW_OCI_MANIFEST_AUTO manifest = {.count = count};
    manifest.layers = calloc(count + 1, sizeof(*manifest.layers));
    if (!manifest.layers) {
        return pw_err_memory(err);
    }
    if (parse_descriptor(json_object_get(root, "config"), &manifest.config, err) != 0) {
        return pw_err_prefix(err, "manifest: config");
    }
    if (manifest.config.media != PW_OCI_CONFIG) {
        return pw_err_set(err, PW_ERR_INPUT, "manifest: it is of something that is not an image");
    }
    for (size_t i = 0; i < count; i++) {
        const json_t *layer = json_array_get(layers, i);
        if (parse_descriptor(layer, &manifest.layers[i], err) != 0) {
            return pw_err_prefix(err, "manifest: layer %zu", i + 1);
        }
        if (manifest.layers[i].media < PW_OCI_TAR) {
            char shown[PW_IMAGE_SHOWN_BYTES];
            const char *type = text_of(layer, "mediaType");
            return pw_err_set(err, PW_ERR_INPUT, "layer %zu: a kind that cannot be used: `%s`",
                              i + 1, pw_image_show(type ? type : "", shown));
        }
    }
    *ret_manifest = manifest;
    manifest.layers = NULL;
    return 0;
}

/* ---- Configuration ---- */

/* A list of texts; NULL and null: none. free() each, and the list. */
static int parse_list(const json_t *value, const char *name, char ***ret_list, struct pw_err *err)
{
    if (!value || json_is_null(value)) {
        return 0;
    }
    size_t count = json_array_size(value);
    if (!json_is_array(value) || count > WORDS) {
        return pw_err_set(err, PW_ERR_INPUT, "configuration: `%s` is not a list of texts", name);
    }
    /* The image frees it, also half full. */
    *ret_list = calloc(count + 1, sizeof(**ret_list));
    if (!*ret_list) {
        return pw_err_memory(err);
    }
    for (size_t i = 0; i < count; i++) {
        const char *text = json_string_value(json_array_get(value, i));
        if (!text) {
            return pw_err_set(err, PW_ERR_INPUT, "configuration: `%s` is not a list of texts",
                              name);
        }
        if (strcmp(name, "Env") == 0 && (text[0] == '=' || !strchr(text, '='))) {
            char shown[PW_IMAGE_SHOWN_BYTES];
            return pw_err_set(err, PW_ERR_INPUT, "configuration: `%s` in `Env` is not NAME=VALUE",
                              pw_image_show(text, shown));
        }
        (*ret_list)[i] = strdup(text);
        if (!(*ret_list)[i]) {
            return pw_err_memory(err);
        }
    }
    return 0;
}

/* "" is none. */
static int parse_text(const json_t *value, const char *name, char **ret_text, struct pw_err *err)
{
    if (!value || json_is_null(value)) {
        return 0;
    }
    const char *text = json_string_value(value);
    if (!text) {
        return pw_err_set(err, PW_ERR_INPUT, "configuration: `%s` is not a text", name);
    }
    if (text[0] == '\0') {
        return 0;
    }
    *ret_text = strdup(text);
    return *ret_text ? 0 : pw_err_memory(err);
}

int pw_oci_config_parse(const char *text, size_t size, struct pw_image *image, struct pw_err *err)
{
    JSON_AUTO *root = parse(text, size, "configuration", err);
    if (!root) {
        return -1;
    }
    const char *os = text_of(root, "os");
    const char *architecture = text_of(root, "architecture");
    if ((os && strcmp(os, "linux") != 0) || (architecture && strcmp(architecture, "amd64") != 0)) {
        char shown[2][PW_IMAGE_SHOWN_BYTES];
        return pw_err_set(err, PW_ERR_INPUT, "it is not for linux/amd64, but for %s/%s",
                          pw_image_show(os ? os : "?", shown[0]),
                          pw_image_show(architecture ? architecture : "?", shown[1]));
    }
    const json_t *config = json_object_get(root, "config");
    if (config && !json_is_object(config) && !json_is_null(config)) {
        return pw_err_set(err, PW_ERR_INPUT, "configuration: `config` is not an object");
    }
    PW_FREE_AUTO char *folder = NULL;
    if (parse_list(json_object_get(config, "Env"), "Env", &image->environment, err) != 0 ||
        parse_list(json_object_get(config, "Entrypoint"), "Entrypoint", &image->entrypoint, err) !=
            0 ||
        parse_list(json_object_get(config, "Cmd"), "Cmd", &image->command, err) != 0 ||
        parse_text(json_object_get(config, "User"), "User", &image->user, err) != 0 ||
        parse_text(json_object_get(config, "WorkingDir"), "WorkingDir", &folder, err) != 0) {
        return -1;
    }
    /* Docker takes a relative one as beneath the root. */
    if (folder && asprintf(&image->folder, "%s%s", folder[0] == '/' ? "" : "/", folder) < 0) {
        image->folder = NULL;
        return pw_err_memory(err);
    }
    return 0;
}
