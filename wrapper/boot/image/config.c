/* The image's configuration as it is kept beside its file system, and its user by number. */
#include "wrapper/boot/image/config.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/file.h"
#include "core/json.h"
#include "core/limits.h"
#include "wrapper/boot/image/beneath.h"
#include "wrapper/boot/image/reference.h"
#include "wrapper/boot/image/show.h"

static json_t *list_or_null(char *const *list, bool *failed)
{
    if (!list) {
        return json_null();
    }
    json_t *array = json_array();
    for (; *list; list++) {
        pw_json_append(array, json_string(*list), failed);
    }
    return array;
}

int pw_image_config_write(const char *path, const struct pw_image *image, struct pw_err *err)
{
    bool failed = false;
    json_t *root = json_object();
    pw_json_put(root, "digest", json_string(image->digest), &failed);
    pw_json_put(root, "environment", list_or_null(image->environment, &failed), &failed);
    pw_json_put(root, "entrypoint", list_or_null(image->entrypoint, &failed), &failed);
    pw_json_put(root, "command", list_or_null(image->command, &failed), &failed);
    pw_json_put(root, "folder", pw_json_string_or_null(image->folder), &failed);
    pw_json_put(root, "user", pw_json_string_or_null(image->user), &failed);
    int status = failed ? pw_err_memory(err) : pw_json_write_file(path, root, err);
    json_decref(root);
    return status;
}

static int take_list(const json_t *value, char ***ret_list)
{
    if (!json_is_array(value)) {
        return json_is_null(value) ? 0 : -1;
    }
    size_t count = json_array_size(value);
    char **list = calloc(count + 1, sizeof(*list));
    *ret_list = list;
    for (size_t i = 0; list && i < count; i++) {
        const char *text = json_string_value(json_array_get(value, i));
        list[i] = text ? strdup(text) : NULL;
        if (!list[i]) {
            return -1;
        }
    }
    return list ? 0 : -1;
}

static int take_text(const json_t *value, char **ret_text)
{
    if (!json_is_string(value)) {
        return json_is_null(value) ? 0 : -1;
    }
    *ret_text = strdup(json_string_value(value));
    return *ret_text ? 0 : -1;
}

int pw_image_config_read(const char *path, struct pw_image *image, struct pw_err *err)
{
    json_t *root = NULL;
    if (pw_json_read_file(path, &root, err) != 0) {
        return -1;
    }
    const char *digest = json_string_value(json_object_get(root, "digest"));
    int status = digest && pw_oci_digest_is_valid(digest) ? 0 : -1;
    if (status == 0) {
        memcpy(image->digest, digest, PW_OCI_DIGEST_TEXT);
    }
    if (status != 0 || take_list(json_object_get(root, "environment"), &image->environment) != 0 ||
        take_list(json_object_get(root, "entrypoint"), &image->entrypoint) != 0 ||
        take_list(json_object_get(root, "command"), &image->command) != 0 ||
        take_text(json_object_get(root, "folder"), &image->folder) != 0 ||
        take_text(json_object_get(root, "user"), &image->user) != 0) {
        pw_err_set(err, PW_ERR_INPUT, "`%s` is damaged", path);
        pw_err_remedy(err, "Remove its folder: the image is then made anew.");
        status = -1;
    }
    json_decref(root);
    return status;
}

/* ---- Users ---- */

/* Field `index` of a line of passwd(5) or group(5), as borrowed text; false if it has none. */
static bool field_of(const char *line, size_t length, unsigned index, const char **ret_text,
                     size_t *ret_length)
{
    for (;; index--) {
        const char *colon = memchr(line, ':', length);
        size_t size = colon ? (size_t)(colon - line) : length;
        if (index == 0) {
            *ret_text = line;
            *ret_length = size;
            return true;
        }
        if (!colon) {
            return false;
        }
        line += size + 1;
        length -= size + 1;
    }
}

static bool parse_number(const char *text, size_t length, uint32_t *ret_number)
{
    uint64_t number = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9' || i >= 10) {
            return false;
        }
        number = number * 10 + (uint64_t)(text[i] - '0');
    }
    /* The highest means "none" (chown(2)). */
    if (length == 0 || number >= UINT32_MAX) {
        return false;
    }
    *ret_number = (uint32_t)number;
    return true;
}

static bool number_of(const char *line, size_t length, unsigned index, uint32_t *ret_number)
{
    const char *text = NULL;
    size_t size = 0;
    return field_of(line, length, index, &text, &size) && parse_number(text, size, ret_number);
}

/* The line of `wanted`: by its name, or by its number, in the third field. Both files have these
 * two. */
static bool find_line(const char *text, const char *wanted, const char **ret_line,
                      size_t *ret_length)
{
    uint32_t number = 0;
    bool by_number = parse_number(wanted, strlen(wanted), &number);
    for (const char *line = text; line && *line != '\0';) {
        size_t length = strcspn(line, "\n");
        const char *name = NULL;
        size_t size = 0;
        uint32_t here = 0;
        bool fits = field_of(line, length, 0, &name, &size) && size == strlen(wanted) &&
                    memcmp(name, wanted, size) == 0;
        if (number_of(line, length, 2, &here) && (fits || (by_number && here == number))) {
            *ret_line = line;
            *ret_length = length;
            return true;
        }
        line += length + (line[length] == '\n');
    }
    return false;
}

static int read_text(int root, const char *path, char **ret_text, struct pw_err *err)
{
    size_t size = 0;
    return pw_beneath_read(root, path, PW_LIMIT_IMAGE_DOCUMENT_BYTES, ret_text, &size, err);
}

/* A name that is not there is refused; a number needs no line. */
static int look_up(const char *text, const char *wanted, const char *what, uint32_t *ret_number,
                   uint32_t *ret_group, struct pw_err *err)
{
    const char *line = NULL;
    size_t length = 0;
    if (find_line(text, wanted, &line, &length)) {
        number_of(line, length, 2, ret_number);
        if (ret_group) {
            number_of(line, length, 3, ret_group);
        }
        return 0;
    }
    if (parse_number(wanted, strlen(wanted), ret_number)) {
        return 0;
    }
    char shown[PW_IMAGE_SHOWN_BYTES];
    return pw_err_set(err, PW_ERR_INPUT, "the image has no %s `%s`", what,
                      pw_image_show(wanted, shown));
}

int pw_image_user_resolve(int root, struct pw_image *image, struct pw_err *err)
{
    PW_FREE_AUTO char *passwd = NULL;
    PW_FREE_AUTO char *group = NULL;
    uint32_t uid = 0;
    uint32_t gid = 0;
    if (!image->user) {
        return 0;
    }
    char *colon = strchr(image->user, ':');
    if (colon) {
        *colon = '\0';
    }
    const char *user = image->user[0] == '\0' ? "0" : image->user;
    if (read_text(root, "etc/passwd", &passwd, err) < 0 ||
        look_up(passwd, user, "user", &uid, &gid, err) != 0) {
        return -1;
    }
    if (colon && colon[1] != '\0' &&
        (read_text(root, "etc/group", &group, err) < 0 ||
         look_up(group, colon + 1, "group", &gid, NULL, err) != 0)) {
        return -1;
    }
    char *text = NULL;
    if (asprintf(&text, "%u:%u", uid, gid) < 0) {
        return pw_err_memory(err);
    }
    free(image->user);
    image->user = text;
    return 0;
}
