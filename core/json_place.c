#include "core/json_place.h"

#include <stdint.h>
#include <string.h>

struct cursor {
    const char *text;
    size_t size, at;
};

/* The byte at the cursor; NUL, which no JSON text holds, at the end. */
static char peek(const struct cursor *cursor)
{
    return cursor->at < cursor->size ? cursor->text[cursor->at] : '\0';
}

static void skip_blanks(struct cursor *cursor)
{
    while (cursor->at < cursor->size && strchr(" \t\r\n", cursor->text[cursor->at]) != NULL &&
           cursor->text[cursor->at] != '\0') {
        cursor->at++;
    }
}

static unsigned hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return (unsigned)(c - '0');
    }
    if (c >= 'a' && c <= 'f') {
        return (unsigned)(c - 'a') + 10;
    }
    return c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10 : 0;
}

/* The four digits behind "\u" at `at`; 0 if they are not there. */
static unsigned code_unit(const struct cursor *cursor, size_t at)
{
    if (at + 6 > cursor->size || cursor->text[at] != '\\' || cursor->text[at + 1] != 'u') {
        return 0;
    }
    unsigned unit = 0;
    for (size_t i = at + 2; i < at + 6; i++) {
        unit = unit << 4 | hex_digit(cursor->text[i]);
    }
    return unit;
}

/* Bytes of UTF-8 (RFC 3629) into `bytes`; how many. */
static size_t encode(unsigned code, char bytes[4])
{
    static const unsigned char heads[] = {0, 0, 0xC0, 0xE0, 0xF0};
    size_t length = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    if (length == 1) {
        bytes[0] = (char)code;
        return 1;
    }
    for (size_t i = length; i-- > 1; code >>= 6) {
        bytes[i] = (char)(0x80 | (code & 0x3F));
    }
    bytes[0] = (char)(heads[length] | code);
    return length;
}

/* Steps over what stands for one character, or over one byte that stands for itself, within a
 * string. Returns how many bytes it stands for; 0 at the closing quote or at the end of the text.
 */
static size_t next_of_string(struct cursor *cursor, char bytes[4])
{
    char c = peek(cursor);
    if (cursor->at >= cursor->size || c == '"') {
        return 0;
    }
    if (c != '\\') {
        bytes[0] = c;
        cursor->at++;
        return 1;
    }
    unsigned unit = code_unit(cursor, cursor->at);
    if (cursor->at + 1 < cursor->size && cursor->text[cursor->at + 1] == 'u') {
        unsigned low = code_unit(cursor, cursor->at + 6 <= cursor->size ? cursor->at + 6 : 0);
        cursor->at += 6;
        if (unit >= 0xD800 && unit <= 0xDBFF && low >= 0xDC00 && low <= 0xDFFF) {
            unit = 0x10000 + ((unit & 0x3FF) << 10) + (low & 0x3FF);
            cursor->at += 6;
        }
        cursor->at = cursor->at < cursor->size ? cursor->at : cursor->size;
        return encode(unit, bytes);
    }
    static const char names[] = "bfnrt", meanings[] = "\b\f\n\r\t";
    cursor->at++;
    c = peek(cursor);
    const char *name = c != '\0' ? strchr(names, c) : NULL;
    bytes[0] = name ? meanings[name - names] : c;
    cursor->at += cursor->at < cursor->size;
    return 1;
}

/* Steps over a string. Whether it stands for `wanted`. */
static bool string_is(struct cursor *cursor, const char *wanted)
{
    char bytes[4];
    size_t count, length = strlen(wanted), same = 0;
    bool equal = true;
    cursor->at += peek(cursor) == '"';
    while ((count = next_of_string(cursor, bytes)) > 0) {
        equal = equal && count <= length - same && memcmp(wanted + same, bytes, count) == 0;
        same += equal ? count : 0;
    }
    cursor->at += cursor->at < cursor->size;
    return equal && same == length;
}

/* Steps over a value: to the comma or bracket behind it. */
static void skip_value(struct cursor *cursor)
{
    size_t depth = 0;
    while (cursor->at < cursor->size) {
        char c = peek(cursor);
        if (c == '"') {
            (void)string_is(cursor, "");
            continue;
        }
        if (c == '[' || c == '{') {
            depth++;
        } else if (depth == 0 && (c == ']' || c == '}' || c == ',')) {
            return;
        } else if (c == ']' || c == '}') {
            depth--;
        }
        cursor->at++;
    }
}

/* From the opening brace to the value under `key`; *ret_key is where the key stands. */
static bool enter_member(struct cursor *cursor, const char *key, size_t *ret_key)
{
    if (peek(cursor) != '{') {
        return false;
    }
    do {
        cursor->at++;
        skip_blanks(cursor);
        if (peek(cursor) != '"') {
            return false;
        }
        size_t start = cursor->at;
        bool found = string_is(cursor, key);
        skip_blanks(cursor);
        cursor->at += peek(cursor) == ':';
        skip_blanks(cursor);
        if (found) {
            *ret_key = start;
            return true;
        }
        skip_value(cursor);
    } while (peek(cursor) == ',');
    return false;
}

/* From the opening bracket to the value at `index`. */
static bool enter_entry(struct cursor *cursor, size_t index)
{
    if (peek(cursor) != '[') {
        return false;
    }
    cursor->at++;
    skip_blanks(cursor);
    for (; index > 0; index--) {
        skip_value(cursor);
        if (peek(cursor) != ',') {
            return false;
        }
        cursor->at++;
        skip_blanks(cursor);
    }
    return cursor->at < cursor->size && peek(cursor) != ']';
}

/* Moves a place on to `offset`, counting lines and characters. */
static struct pw_json_place advance(const char *text, struct pw_json_place place, size_t offset)
{
    for (; place.offset < offset; place.offset++) {
        unsigned char c = (unsigned char)text[place.offset];
        if (c == '\n') {
            place.line++;
            place.column = 1;
        } else if ((c & 0xC0) != 0x80) { /* no continuation byte: a character begins */
            place.column++;
        }
    }
    return place;
}

bool pw_json_place_find(const char *text, size_t size, const struct pw_json_step *steps,
                        size_t count, bool of_key, struct pw_json_place *ret_place)
{
    const struct pw_json_place start = {.line = 1, .column = 1};
    struct cursor cursor = {.text = text, .size = size};
    skip_blanks(&cursor);
    size_t key = cursor.at;
    for (size_t i = 0; i < count; i++) {
        key = SIZE_MAX;
        if (!(steps[i].key ? enter_member(&cursor, steps[i].key, &key)
                           : enter_entry(&cursor, steps[i].index))) {
            return false;
        }
    }
    if (cursor.at >= size) {
        return false;
    }
    *ret_place = advance(text, start, of_key && key != SIZE_MAX ? key : cursor.at);
    return true;
}

struct pw_json_place pw_json_place_in_string(const char *text, size_t size,
                                             struct pw_json_place string, size_t byte)
{
    struct cursor cursor = {.text = text, .size = size, .at = string.offset};
    if (peek(&cursor) != '"') {
        return string;
    }
    cursor.at++;
    size_t before = 0, at;
    for (;;) {
        char bytes[4];
        at = cursor.at;
        size_t count = next_of_string(&cursor, bytes);
        if (count == 0 || before + count > byte) {
            break;
        }
        before += count;
    }
    return advance(text, string, at);
}
