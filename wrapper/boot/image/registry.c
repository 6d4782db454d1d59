/*
 * Images of registries, by skopeo. It brings the bytes; that they are what was named is checked
 * here: manifests by their digest, blobs when they are unpacked. skopeo's dir: keeps all bytes as
 * they are, where its oci: may write manifests anew. Source: skopeo(1), containers-transports(5).
 */
#include "wrapper/boot/image/registry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "core/file.h"
#include "core/limits.h"
#include "core/str.h"
#include "wrapper/boot/base/tool.h"
#include "wrapper/boot/image/oci.h"
#include "wrapper/boot/image/reference.h"

enum { ASK_SEC = 120, PULL_SEC = 3600, KEY_BYTES = 128 };

static const char offline_remedy[] =
    "Name an image that is here: oci:DIR[:TAG], oci-archive:FILE, dir:FOLDER or ext4:FILE.";

static bool has_any(const char *text, const char *const *parts)
{
    for (; *parts; parts++) {
        if (strcasestr(text, *parts)) {
            return true;
        }
    }
    return false;
}

/* skopeo logs `time="..." level=fatal msg="..."`: the message is what counts. */
static void shorten(struct pw_err *err)
{
    const char *start = strstr(err->message, "time=\"");
    const char *text = start ? strstr(start, " msg=\"") : NULL;
    if (!text) {
        return;
    }
    char message[PW_ERR_MESSAGE_MAX];
    size_t length = (size_t)(start - err->message);
    memcpy(message, err->message, length);
    for (text += strlen(" msg=\""); *text != '\0' && *text != '"'; text++) {
        text += text[0] == '\\' && text[1] != '\0';
        message[length++] = *text;
    }
    message[length] = '\0';
    memcpy(err->message, message, length + 1);
}

/* skopeo has one status for all failures; its words tell them apart. */
static int explain(const struct pw_image_reference *reference, struct pw_err *err)
{
    static const char *const absent[] = {"manifest unknown",
                                         "name unknown",
                                         "not found",
                                         "unauthorized",
                                         "denied",
                                         "status 404",
                                         "repository name not known",
                                         NULL};
    static const char *const offline[] = {
        "dial tcp",    "no such host", "connection refused",
        "i/o timeout", "unreachable",  "TLS handshake",
        "timed out",   "x509",         "pinging container registry",
        NULL};
    if (!err || err->cls != PW_ERR_SYSTEM) {
        return -1;
    }
    shorten(err);
    if (has_any(err->message, absent)) {
        err->cls = PW_ERR_INPUT;
        pw_err_prefix(err, "the registry has no such image, or not for you: `%s`", reference->path);
        return pw_err_remedy(err, "Check name and tag; `skopeo login` for a private one.");
    }
    if (err->sys == ETIMEDOUT || has_any(err->message, offline)) {
        pw_err_prefix(err, "the registry of `%s` cannot be reached", reference->path);
        return pw_err_remedy(err, "%s", offline_remedy);
    }
    return pw_err_prefix(err, "the registry of `%s`", reference->path);
}

static int ask_registry(const struct pw_image_reference *reference, struct pw_str *ret_manifest,
                        struct pw_err *err)
{
    PW_FREE_AUTO char *tool = NULL;
    PW_STR_AUTO name = PW_STR_INIT;
    pw_str_addf(&name, "docker://%s%s%s", reference->path, reference->tag ? ":" : "@",
                reference->tag ? reference->tag : reference->digest);
    if (name.failed) {
        return pw_err_memory(err);
    }
    if (pw_tool_find("skopeo", NULL, "skopeo", &tool, err) != 0) {
        return -1;
    }
    const char *argv[] = {
        tool,      "--override-arch",
        "amd64",   "--override-os",
        "linux",   "inspect",
        "--raw",   reference->is_loopback ? "--tls-verify=false" : "--tls-verify=true",
        name.text, NULL};
    struct pw_tool_call call = {.argv = argv, .timeout_sec = ASK_SEC, .output = ret_manifest};
    return pw_tool_run(&call, err) == 0 ? 0 : explain(reference, err);
}

static int check_manifest(const struct pw_image_reference *reference, const struct pw_str *manifest,
                          char ret_digest[PW_OCI_DIGEST_TEXT], struct pw_err *err)
{
    char digest[PW_OCI_DIGEST_TEXT] = "sha256:";
    pw_digest_bytes(manifest->text, manifest->length, digest + 7);
    if (reference->digest[0] != '\0' && strcmp(digest, reference->digest) != 0) {
        return pw_err_set(err, PW_ERR_INPUT, "what the registry sent is not %s", reference->digest);
    }
    memcpy(ret_digest, digest, PW_OCI_DIGEST_TEXT);
    return 0;
}

/* Which manifest the registry's answer means: of an index that for our platform. */
static int settle(const struct pw_image_reference *reference, const struct pw_str *answer,
                  char ret_digest[PW_OCI_DIGEST_TEXT], struct pw_err *err)
{
    char digest[PW_OCI_DIGEST_TEXT];
    struct pw_oci_descriptor descriptor;
    if (check_manifest(reference, answer, digest, err) != 0) {
        return -1;
    }
    if (answer->length > PW_LIMIT_IMAGE_DOCUMENT_BYTES) {
        return pw_err_set(err, PW_ERR_INPUT, "its manifest is larger than the bound");
    }
    switch (pw_oci_document_media(answer->text, answer->length)) {
    case PW_OCI_MANIFEST: memcpy(ret_digest, digest, PW_OCI_DIGEST_TEXT); return 0;
    case PW_OCI_INDEX: break;
    default: return pw_err_set(err, PW_ERR_INPUT, "what the registry sent is no image");
    }
    if (pw_oci_index_choose(answer->text, answer->length, NULL, &descriptor, err) != 0) {
        return -1;
    }
    memcpy(ret_digest, descriptor.digest, PW_OCI_DIGEST_TEXT);
    return 0;
}

/* An index that is named by its digest never changes, so it is kept. */
struct kept_index {
    const struct pw_image_reference *reference;
};

static int keep_index(void *context, const char *folder, struct pw_err *err)
{
    const struct kept_index *kept = context;
    PW_STR_AUTO manifest = PW_STR_INIT;
    char digest[PW_OCI_DIGEST_TEXT];
    PW_FREE_AUTO char *path = pw_path_join(folder, "manifest.json", err);
    if (!path || ask_registry(kept->reference, &manifest, err) != 0 ||
        check_manifest(kept->reference, &manifest, digest, err) != 0) {
        return -1;
    }
    return pw_file_write(path, manifest.text, manifest.length, 0600, err);
}

static int resolve_digest(const struct pw_image_request *request,
                          const struct pw_image_reference *reference,
                          char ret_digest[PW_OCI_DIGEST_TEXT], struct pw_err *err)
{
    char key[KEY_BYTES];
    struct kept_index kept = {.reference = reference};
    struct pw_entry entry = {0};
    snprintf(key, sizeof(key), "manifest-%s", reference->digest + 7);
    if (pw_state_entry(request->state, "images", key, keep_index, &kept, &entry, err) != 0) {
        return -1;
    }
    PW_FREE_AUTO char *path = pw_path_join(entry.path, "manifest.json", err);
    PW_FREE_AUTO char *text = NULL;
    size_t size = 0;
    pw_entry_done(&entry);
    if (!path || pw_file_read(path, PW_LIMIT_TOOL_OUTPUT_BYTES, &text, &size, err) != 0) {
        return -1;
    }
    const struct pw_str manifest = {.text = text, .length = size};
    return settle(reference, &manifest, ret_digest, err);
}

int pw_registry_resolve(const struct pw_image_request *request,
                        const struct pw_image_reference *reference,
                        char ret_digest[PW_OCI_DIGEST_TEXT], struct pw_err *err)
{
    if (reference->digest[0] != '\0') {
        return resolve_digest(request, reference, ret_digest, err);
    }
    /* A tag may mean another image each time. */
    PW_STR_AUTO manifest = PW_STR_INIT;
    return ask_registry(reference, &manifest, err) != 0
               ? -1
               : settle(reference, &manifest, ret_digest, err);
}

/* manifest.json takes its place among the blobs. */
static int file_manifest(const char *folder, const char *digest,
                         struct pw_oci_descriptor *ret_manifest, struct pw_err *err)
{
    char found[PW_DIGEST_TEXT];
    struct stat info;
    PW_FREE_AUTO char *from = pw_path_join(folder, "manifest.json", err);
    PW_FREE_AUTO char *to = pw_path_join(folder, digest + 7, err);
    if (!from || !to || pw_digest_file(from, found, err) != 0) {
        return -1;
    }
    if (strcmp(found, digest + 7) != 0) {
        return pw_err_set(err, PW_ERR_INPUT, "what the registry sent is not %s", digest);
    }
    if (stat(from, &info) != 0 || rename(from, to) != 0) {
        return pw_err_system(err, errno, "rename `%s`", from);
    }
    struct pw_oci_descriptor manifest = {.media = PW_OCI_MANIFEST, .size = (uint64_t)info.st_size};
    memcpy(manifest.digest, digest, PW_OCI_DIGEST_TEXT);
    *ret_manifest = manifest;
    return 0;
}

int pw_registry_pull(const struct pw_image_reference *reference, const char *digest,
                     const char *folder, struct pw_oci_descriptor *ret_manifest, struct pw_err *err)
{
    PW_FREE_AUTO char *tool = NULL;
    PW_STR_AUTO from = PW_STR_INIT;
    PW_STR_AUTO to = PW_STR_INIT;
    pw_str_addf(&from, "docker://%s@%s", reference->path, digest);
    pw_str_addf(&to, "dir:%s", folder);
    if (from.failed || to.failed) {
        return pw_err_memory(err);
    }
    if (pw_tool_find("skopeo", NULL, "skopeo", &tool, err) != 0) {
        return -1;
    }
    const char *argv[] = {tool,
                          "--override-arch",
                          "amd64",
                          "--override-os",
                          "linux",
                          "--insecure-policy",
                          "copy",
                          "-q",
                          reference->is_loopback ? "--src-tls-verify=false"
                                                 : "--src-tls-verify=true",
                          from.text,
                          to.text,
                          NULL};
    struct pw_tool_call call = {.argv = argv, .timeout_sec = PULL_SEC};
    if (pw_tool_run(&call, err) != 0) {
        return explain(reference, err);
    }
    return file_manifest(folder, digest, ret_manifest, err);
}
