#include "core/json.h"

#include <ctype.h>
#include <math.h>
#include <string.h>
#include "core/file.h"
#include "core/limits.h"
#include "core/str.h"

void pw_json_put(json_t *object, const char *key, json_t *value, bool *failed)
{
    if (json_object_set_new(object, key, value) != 0) {
        *failed = true;
    }
}

void pw_json_append(json_t *array, json_t *value, bool *failed)
{
    if (json_array_append_new(array, value) != 0) {
        *failed = true;
    }
}

/* Every decimal number of 15 digits survives the way to a double and back (IEEE 754), and 0.1 stays
 * 0.1. */
enum { REAL_DIGITS = 15 };

/* What a reader of the file will get: so that a document is the same before and after. */
static double as_written(double number)
{
    char text[32];
    snprintf(text, sizeof text, "%.*g", REAL_DIGITS, number);
    return strtod(text, NULL);
}

json_t *pw_json_number(struct pw_value value, bool integer)
{
    if (!pw_value_is_present(value) || !isfinite(value.number)) {
        return json_null();
    }
    /* Above 2^53 a double cannot tell one integer from the next. */
    if (integer && fabs(value.number) <= 0x1p53 && value.number == floor(value.number)) {
        return json_integer((json_int_t)value.number);
    }
    return json_real(as_written(value.number));
}

/* Length of the well-formed UTF-8 character at `text`, 0 if it is none (RFC 3629, section 4). */
static size_t utf8_length(const unsigned char *text)
{
    unsigned char first = text[0];
    if (first < 0x80) {
        return 1;
    }
    size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (first < 0xC2 || first > 0xF4) {
        return 0;
    }
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    /* Overlong forms, surrogates, and what lies above U+10FFFF. */
    if ((first == 0xE0 && text[1] < 0xA0) || (first == 0xED && text[1] > 0x9F) ||
        (first == 0xF0 && text[1] < 0x90) || (first == 0xF4 && text[1] > 0x8F)) {
        return 0;
    }
    return length;
}

json_t *pw_json_string_or_null(const char *text)
{
    if (!text) {
        return json_null();
    }
    PW_STR_AUTO mended = PW_STR_INIT;
    const unsigned char *at = (const unsigned char *)text;
    while (*at != '\0') {
        size_t length = utf8_length(at);
        if (length > 0) {
            pw_str_add_bytes(&mended, at, length);
        } else {
            pw_str_add(&mended, "\xEF\xBF\xBD"); /* U+FFFD, the replacement character */
        }
        at += length > 0 ? length : 1;
    }
    return mended.failed ? NULL : json_stringn(mended.text, mended.length);
}

json_t *pw_json_make_path(json_t *root, const char *path, bool *failed)
{
    json_t *at = root;
    while (at && *path != '\0') {
        size_t length = strcspn(path, ".");
        json_t *next = json_object_getn(at, path, length);
        if (!next) {
            next = json_object();
            /* The object owns it now; on failure it is gone. */
            if (json_object_setn_new(at, path, length, next) != 0) {
                next = NULL;
            }
        }
        at = json_is_object(next) ? next : NULL;
        path += length + (path[length] == '.');
    }
    if (!at) {
        *failed = true;
    }
    return at;
}

/* A lookup under way. */
struct search {
    bool number; /* only a number will do */
    int depth;
    size_t lookups; /* so far: a document with keys made for it could make them many */
};

static const json_t *find(struct search *search, const json_t *at, const char *path);

/* `value` is what stands at a name's segment; `path` is what of the name is behind it, NULL:
 * nothing.
 */
static const json_t *find_behind(struct search *search, const json_t *value, const char *path)
{
    if (!path) {
        return !search->number || json_is_number(value) ? value : NULL;
    }
    search->depth++;
    const json_t *found = find(search, value, path);
    search->depth--;
    return found;
}

static const json_t *find_in_array(struct search *search, const json_t *array, const char *path)
{
    size_t index = 0;
    const char *digit = path;
    for (; isdigit((unsigned char)*digit); digit++) {
        index = index * 10 + (size_t)(*digit - '0');
        if (index >= json_array_size(array)) {
            return NULL;
        }
    }
    if (digit == path || (*digit != '\0' && *digit != '.')) {
        return NULL;
    }
    return find_behind(search, json_array_get(array, index), *digit == '\0' ? NULL : digit + 1);
}

/* A key may hold dots itself (metric names do), so each length that ends at a dot is tried, the
 * longest first. */
static const json_t *find(struct search *search, const json_t *at, const char *path)
{
    if (search->depth >= PW_LIMIT_PATH_DEPTH) {
        return NULL;
    }
    if (json_is_array(at)) {
        return find_in_array(search, at, path);
    }
    size_t whole = strlen(path);
    for (size_t length = whole; search->lookups < PW_LIMIT_PATH_LOOKUPS; length--) {
        if (length == whole || path[length] == '.') {
            search->lookups++;
            const json_t *next = json_object_getn(at, path, length);
            const char *behind = length == whole ? NULL : path + length + 1;
            const json_t *found = next ? find_behind(search, next, behind) : NULL;
            if (found) {
                return found;
            }
        }
        if (length == 0) {
            break;
        }
    }
    return NULL;
}

const json_t *pw_json_find(const json_t *root, const char *path)
{
    struct search search = {.number = false};
    return find(&search, root, path);
}

const json_t *pw_json_find_number(const json_t *root, const char *path)
{
    struct search search = {.number = true};
    return find(&search, root, path);
}

int pw_json_read_file(const char *path, json_t **ret_root, struct pw_err *err)
{
    PW_FREE_AUTO char *text = NULL;
    size_t size = 0;
    if (pw_file_read(path, PW_LIMIT_JSON_BYTES, &text, &size, err) != 0) {
        return -1;
    }
    json_error_t fault;
    json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &fault);
    if (!root) {
        return pw_err_set(err, PW_ERR_INPUT, "read `%s`: line %d, column %d: %s", path, fault.line,
                          fault.column, fault.text);
    }
    *ret_root = root;
    return 0;
}

static int add_part(const char *part, size_t size, void *context)
{
    struct pw_str *text = context;
    pw_str_add_bytes(text, part, size);
    return text->failed ? -1 : 0;
}

static int dump(const json_t *root, struct pw_str *text, struct pw_err *err)
{
    const size_t flags = JSON_INDENT(2) | JSON_REAL_PRECISION(REAL_DIGITS);
    if (json_dump_callback(root, add_part, text, flags) != 0) {
        return text->failed
                   ? pw_err_memory(err)
                   : pw_err_set(err, PW_ERR_INTERNAL, "document cannot be written as JSON");
    }
    pw_str_add_char(text, '\n');
    return text->failed ? pw_err_memory(err) : 0;
}

int pw_json_write_file(const char *path, const json_t *root, struct pw_err *err)
{
    PW_STR_AUTO text = PW_STR_INIT;
    if (dump(root, &text, err) != 0) {
        return -1;
    }
    return pw_file_write(path, text.text, text.length, 0666, err);
}

char *pw_json_dump(const json_t *root, struct pw_err *err)
{
    PW_STR_AUTO text = PW_STR_INIT;
    return dump(root, &text, err) == 0 ? pw_str_take(&text, err) : NULL;
}
