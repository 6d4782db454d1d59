/* The documents of an image: whatever is in them, what is taken of them is within its bounds. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "core/limits.h"
#include "wrapper/boot/image/oci.h"
#include "wrapper/boot/image/reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void check_descriptor(const struct pw_oci_descriptor *descriptor)
{
    require(pw_oci_digest_is_valid(descriptor->digest));
    require(descriptor->size <= INT64_MAX);
}

static void check_list(char *const *list)
{
    for (; list && *list; list++) {
        require(strlen(*list) < SIZE_MAX);
    }
}

static void check_reference(const uint8_t *data, size_t size)
{
    char text[512];
    size = size < sizeof(text) - 1 ? size : sizeof(text) - 1;
    memcpy(text, data, size);
    text[size] = '\0';
    PW_IMAGE_REFERENCE_AUTO reference = {0};
    struct pw_err err = PW_ERR_INIT;
    if (pw_image_reference_parse(text, &reference, &err) != 0) {
        require(err.cls == PW_ERR_USAGE);
    } else if (reference.kind == PW_IMAGE_REGISTRY) {
        /* It becomes a word of skopeo's: nothing but names, and either a tag or a digest. */
        require(strspn(reference.path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                       "0123456789._-:[]/") == strlen(reference.path));
        require(reference.path[0] != '-' && !strstr(reference.path, ".."));
        require((reference.tag == NULL) != (reference.digest[0] == '\0'));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct pw_err err = PW_ERR_INIT;
    struct pw_oci_descriptor descriptor;
    PW_OCI_MANIFEST_AUTO manifest = {0};
    PW_IMAGE_AUTO image = {0};
    enum pw_oci_media media = pw_oci_document_media(text, size);
    if (pw_oci_index_choose(text, size, NULL, &descriptor, &err) == 0 ||
        pw_oci_index_choose(text, size, "v1", &descriptor, &err) == 0) {
        check_descriptor(&descriptor);
    }
    if (pw_oci_manifest_parse(text, size, &manifest, &err) == 0) {
        require(media == PW_OCI_MANIFEST && manifest.count <= PW_LIMIT_IMAGE_LAYERS);
        check_descriptor(&manifest.config);
        for (size_t i = 0; i < manifest.count; i++) {
            check_descriptor(&manifest.layers[i]);
            require(manifest.layers[i].media >= PW_OCI_TAR);
        }
    }
    if (pw_oci_config_parse(text, size, &image, &err) == 0) {
        require(!image.folder || image.folder[0] == '/');
        for (char **entry = image.environment; entry && *entry; entry++) {
            require(strchr(*entry, '=') && **entry != '=');
        }
    }
    check_list(image.command);
    check_list(image.entrypoint);
    check_reference(data, size);
    return 0;
}
