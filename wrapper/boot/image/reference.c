/* Names of images. Sources: distribution/reference (names, tags, digests); containers-transports(5)
 * for what is put before them. */
#include "wrapper/boot/image/reference.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "core/file.h"
#include "wrapper/boot/image/show.h"

enum { NAME_BYTES = 255, TAG_BYTES = 128, SHA256_HEX = 64 };

static const char remedy[] =
    "Give oci:DIR[:TAG], oci-archive:FILE[:TAG], docker://HOST/NAME[:TAG], "
    "NAME[:TAG|@sha256:...], dir:FOLDER or ext4:FILE.";

void pw_image_reference_done(struct pw_image_reference *reference)
{
    free(reference->path);
    free(reference->tag);
    *reference = (struct pw_image_reference){0};
}

bool pw_oci_digest_is_valid(const char *text)
{
    if (strncmp(text, "sha256:", 7) != 0) {
        return false;
    }
    return strspn(text + 7, "0123456789abcdef") == SHA256_HEX && text[7 + SHA256_HEX] == '\0';
}

static int refuse(struct pw_err *err, const char *text, const char *why)
{
    char shown[PW_IMAGE_SHOWN_BYTES];
    pw_err_set(err, PW_ERR_USAGE, "image `%s`: %s", pw_image_show(text, shown), why);
    return pw_err_remedy(err, "%s", remedy);
}

static bool is_tag(const char *text)
{
    size_t length = strlen(text);
    if (length == 0 || length > TAG_BYTES || text[0] == '.' || text[0] == '-') {
        return false;
    }
    for (; *text != '\0'; text++) {
        if (!isalnum((unsigned char)*text) && !strchr("_.-", *text)) {
            return false;
        }
    }
    return true;
}

/* [a-z0-9]+ with ".", "_", "__" or "-"s between. */
static bool is_name_part(const char *text, size_t length)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    for (size_t at = 0;;) {
        size_t run = strspn(text + at, letters);
        run = run < length - at ? run : length - at;
        at += run;
        if (run == 0 || at == length) {
            return run > 0;
        }
        size_t dashes = strspn(text + at, "-");
        if (dashes > 0) {
            at += dashes;
        } else if (text[at] == '.') {
            at++;
        } else if (text[at] == '_') {
            at += text[at + 1] == '_' ? 2 : 1;
        } else {
            return false;
        }
        if (at >= length) {
            return false;
        }
    }
}

/* The first part is a host if it has a dot or a port, or is localhost (as docker and skopeo see
 * it). */
static bool is_host(const char *text, size_t length)
{
    return memchr(text, '.', length) || memchr(text, ':', length) ||
           (length == strlen("localhost") && memcmp(text, "localhost", length) == 0);
}

/* host[:port], an IPv6 address in brackets. */
static bool is_host_valid(const char *text, size_t length)
{
    size_t name = 0;
    if (text[0] == '[') {
        char address[INET6_ADDRSTRLEN];
        struct in6_addr parsed;
        size_t inner = strcspn(text + 1, "]");
        name = inner + 2;
        if (name > length || inner >= sizeof(address)) {
            return false;
        }
        memcpy(address, text + 1, inner);
        address[inner] = '\0';
        if (inet_pton(AF_INET6, address, &parsed) != 1) {
            return false;
        }
    } else {
        while (name < length && (isalnum((unsigned char)text[name]) || strchr(".-", text[name]))) {
            name++;
        }
        const char *twice = strstr(text, "..");
        if (name == 0 || text[0] == '-' || text[0] == '.' || text[name - 1] == '.' ||
            (twice && twice < text + name)) {
            return false;
        }
    }
    if (name == length) {
        return true;
    }
    size_t digits = strspn(text + name + 1, "0123456789");
    return text[name] == ':' && digits >= 1 && digits <= 5 && name + 1 + digits == length;
}

static bool is_loopback(const char *text, size_t length)
{
    char host[NAME_BYTES + 1];
    struct in_addr address;
    size_t name = text[0] == '[' ? strcspn(text, "]") + 1 : strcspn(text, ":/");
    name = name < length ? name : length;
    memcpy(host, text, name);
    host[name] = '\0';
    return strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0 ||
           (strncmp(host, "127.", 4) == 0 && inet_pton(AF_INET, host, &address) == 1);
}

/* Without tag and digest. */
static bool is_name(const char *name, bool *ret_is_loopback)
{
    size_t length = strlen(name);
    size_t first = strcspn(name, "/");
    *ret_is_loopback = false;
    if (length == 0 || length > NAME_BYTES) {
        return false;
    }
    if (first < length && is_host(name, first)) {
        if (!is_host_valid(name, first)) {
            return false;
        }
        *ret_is_loopback = is_loopback(name, first);
        name += first + 1;
    }
    for (;;) {
        size_t part = strcspn(name, "/");
        if (part == 0 || !is_name_part(name, part)) {
            return false;
        }
        if (name[part] == '\0') {
            return true;
        }
        name += part + 1;
    }
}

static int parse_name(const char *text, const char *name, struct pw_image_reference *reference,
                      struct pw_err *err)
{
    reference->path = strdup(name);
    if (!reference->path) {
        return pw_err_memory(err);
    }
    char *at = strchr(reference->path, '@');
    if (at) {
        if (!pw_oci_digest_is_valid(at + 1)) {
            return refuse(err, text, "a digest is sha256: and 64 digits (0-9, a-f)");
        }
        memcpy(reference->digest, at + 1, PW_OCI_DIGEST_TEXT);
        *at = '\0';
    }
    char *slash = strrchr(reference->path, '/');
    char *colon = strchr(slash ? slash : reference->path, ':');
    if (colon) {
        *colon = '\0';
        if (!is_tag(colon + 1)) {
            return refuse(err, text, "the tag is not one");
        }
    }
    const char *tag = reference->digest[0] != '\0' ? NULL : colon ? colon + 1 : "latest";
    reference->tag = tag ? strdup(tag) : NULL;
    if (tag && !reference->tag) {
        return pw_err_memory(err);
    }
    if (!is_name(reference->path, &reference->is_loopback)) {
        return refuse(err, text, "not a name of an image ([HOST[:PORT]/]NAME, in lower case)");
    }
    return 0;
}

/* PATH[:TAG]: what is behind the last colon, if there is no slash in it. */
static int parse_path(const char *text, const char *path, bool has_tag,
                      struct pw_image_reference *reference, struct pw_err *err)
{
    reference->path = strdup(path);
    if (!reference->path) {
        return pw_err_memory(err);
    }
    char *colon = has_tag ? strrchr(reference->path, ':') : NULL;
    if (colon && !strchr(colon, '/')) {
        *colon = '\0';
        if (!is_tag(colon + 1)) {
            return refuse(err, text, "the tag is not one");
        }
        reference->tag = strdup(colon + 1);
        if (!reference->tag) {
            return pw_err_memory(err);
        }
    }
    return reference->path[0] == '\0' ? refuse(err, text, "a path is missing") : 0;
}

static int parse(const char *text, struct pw_image_reference *reference, struct pw_err *err)
{
    static const struct {
        const char *prefix;
        enum pw_image_kind kind;
        bool has_tag;
    } kinds[] = {
        {"oci:", PW_IMAGE_LAYOUT, true},
        {"oci-archive:", PW_IMAGE_ARCHIVE, true},
        {"dir:", PW_IMAGE_FOLDER, false},
        {"ext4:", PW_IMAGE_EXT4, false},
    };
    static const char *const others[] = {"docker-archive:", "docker-daemon:", "containers-storage:",
                                         "ostree:",         "sif:",           "tarball:",
                                         "http:",           "https:",         "file:"};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        size_t length = strlen(kinds[i].prefix);
        if (strncmp(text, kinds[i].prefix, length) == 0) {
            reference->kind = kinds[i].kind;
            return parse_path(text, text + length, kinds[i].has_tag, reference, err);
        }
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (strncmp(text, others[i], strlen(others[i])) == 0) {
            return refuse(err, text, "perfwrap cannot read this kind of image");
        }
    }
    reference->kind = PW_IMAGE_REGISTRY;
    bool has_scheme = strncmp(text, "docker://", 9) == 0;
    return parse_name(text, has_scheme ? text + 9 : text, reference, err);
}

int pw_image_reference_parse(const char *text, struct pw_image_reference *ret_reference,
                             struct pw_err *err)
{
    if (text[0] == '\0' || text[0] == '-') {
        return refuse(err, text, text[0] == '-' ? "it begins like an option" : "it is empty");
    }
    for (const char *at = text; *at != '\0'; at++) {
        if ((unsigned char)*at < ' ' || *at == 0x7f) {
            return refuse(err, text, "it holds a control character");
        }
    }
    PW_IMAGE_REFERENCE_AUTO reference = {0};
    if (parse(text, &reference, err) != 0) {
        return -1;
    }
    *ret_reference = reference;
    reference = (struct pw_image_reference){0};
    return 0;
}
