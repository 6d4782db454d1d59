#include "collector/json_scalar.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TWO_TO_63 9223372036854775808.0
#define TWO_TO_64 18446744073709551616.0

/* The usual numeric string: at most 19 digits, which fit uint64_t. */
static bool read_digits(const char *text, size_t length, struct pw_json_value *ret_number)
{
    bool negative = length > 0 && text[0] == '-';
    size_t i = negative ? 1 : 0;
    size_t digits = length - i;
    uint64_t value = 0;
    if (digits < 1 || digits > 19 || (text[i] == '0' && digits > 1))
        return false;
    for (; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(text[i] - '0');
    }
    if (negative && value > (uint64_t)INT64_MAX + 1)
        return false;
    if (negative || value <= INT64_MAX)
        *ret_number = (struct pw_json_value){.kind = PW_JSON_INT,
                                             .integer = (int64_t)(negative ? 0 - value : value)};
    else
        *ret_number = (struct pw_json_value){.kind = PW_JSON_UINT, .unsigned_integer = value};
    return true;
}

const struct pw_json_value *pw_json_number_in(struct pw_json_reader *reader,
                                              const struct pw_json_value *value,
                                              struct pw_json_value *scratch)
{
    switch (value->kind) {
    case PW_JSON_INT:
    case PW_JSON_UINT:
    case PW_JSON_DOUBLE: return value;
    case PW_JSON_STRING:
        if (read_digits(value->text, value->length, scratch) ||
            pw_json_reader_number(reader, value->text, value->length, scratch))
            return scratch;
        return NULL;
    default: return NULL;
    }
}

bool pw_json_to_signed(const struct pw_json_value *number, int64_t least, int64_t most,
                       uint64_t *ret_value)
{
    int64_t integer = 0;
    if (number->kind == PW_JSON_INT)
        integer = number->integer;
    /* -2^63 itself is what lower numbers are rounded to. */
    else if (number->kind == PW_JSON_DOUBLE && number->number > -TWO_TO_63 &&
             number->number < TWO_TO_63 && number->number == trunc(number->number))
        integer = (int64_t)number->number;
    else
        return false;
    if (integer < least || integer > most)
        return false;
    *ret_value = (uint64_t)integer;
    return true;
}

bool pw_json_to_unsigned(const struct pw_json_value *number, uint64_t most, uint64_t *ret_value)
{
    uint64_t integer = 0;
    if (number->kind == PW_JSON_INT && number->integer >= 0)
        integer = (uint64_t)number->integer;
    else if (number->kind == PW_JSON_UINT)
        integer = number->unsigned_integer;
    else if (number->kind == PW_JSON_DOUBLE && number->number >= 0 && number->number < TWO_TO_64 &&
             number->number == trunc(number->number))
        integer = (uint64_t)number->number;
    else
        return false;
    if (integer > most)
        return false;
    *ret_value = integer;
    return true;
}

static bool is_word(const struct pw_json_value *value, const char *word)
{
    return value->length == strlen(word) && memcmp(value->text, word, value->length) == 0;
}

bool pw_json_to_double(struct pw_json_reader *reader, const struct pw_json_value *value,
                       double *ret_value)
{
    struct pw_json_value scratch;
    const struct pw_json_value *number = pw_json_number_in(reader, value, &scratch);
    if (number) {
        *ret_value = number->kind == PW_JSON_INT    ? (double)number->integer
                     : number->kind == PW_JSON_UINT ? (double)number->unsigned_integer
                                                    : number->number;
        return true;
    }
    if (value->kind != PW_JSON_STRING)
        return false;
    if (is_word(value, "NaN"))
        *ret_value = NAN;
    else if (is_word(value, "Infinity"))
        *ret_value = INFINITY;
    else if (is_word(value, "-Infinity"))
        *ret_value = -INFINITY;
    else
        return false;
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool pw_hex_decode(const char *text, size_t length, uint8_t *ret_bytes)
{
    if (length % 2 != 0)
        return false;
    for (size_t i = 0; i < length; i += 2) {
        int high = hex_digit(text[i]);
        int low = hex_digit(text[i + 1]);
        if (high < 0 || low < 0)
            return false;
        *ret_bytes++ = (uint8_t)(high << 4 | low);
    }
    return true;
}

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+' || c == '-')
        return 62;
    return c == '/' || c == '_' ? 63 : -1;
}

bool pw_base64_decode(const char *text, size_t length, uint8_t *ret_bytes, size_t *ret_count)
{
    uint8_t *byte = ret_bytes;
    uint32_t bits = 0;
    unsigned bit_count = 0;
    if (length % 4 == 0) {
        for (int i = 0; i < 2 && length > 0 && text[length - 1] == '='; i++)
            length--;
    }
    if (length % 4 == 1)
        return false;
    for (size_t i = 0; i < length; i++) {
        int digit = base64_digit(text[i]);
        if (digit < 0)
            return false;
        bits = bits << 6 | (uint32_t)digit;
        bit_count += 6;
        if (bit_count >= 8) {
            bit_count -= 8;
            *byte++ = (uint8_t)(bits >> bit_count);
        }
    }
    *ret_count = (size_t)(byte - ret_bytes);
    return true;
}

void pw_json_add_unsigned(struct pw_str *out, uint64_t value)
{
    char text[20];
    size_t at = sizeof(text);
    do
        text[--at] = (char)('0' + value % 10);
    while (value /= 10);
    pw_str_add_bytes(out, text + at, sizeof(text) - at);
}

void pw_json_add_signed(struct pw_str *out, int64_t value)
{
    if (value < 0)
        pw_str_add_char(out, '-');
    pw_json_add_unsigned(out, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void pw_json_add_hex(struct pw_str *out, const uint8_t *bytes, size_t count)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < count; i++) {
        char pair[2] = {digits[bytes[i] >> 4], digits[bytes[i] & 15]};
        pw_str_add_bytes(out, pair, sizeof(pair));
    }
}

void pw_json_add_base64(struct pw_str *out, const uint8_t *bytes, size_t count)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < count; i += 3) {
        size_t left = count - i;
        uint32_t bits = (uint32_t)bytes[i] << 16 | (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
                        (left > 2 ? bytes[i + 2] : 0);
        char group[4] = {digits[bits >> 18], digits[bits >> 12 & 63],
                         left > 1 ? digits[bits >> 6 & 63] : '=',
                         left > 2 ? digits[bits & 63] : '='};
        pw_str_add_bytes(out, group, sizeof(group));
    }
}

static void add_escape(struct pw_str *out, char c)
{
    switch (c) {
    case '"': pw_str_add(out, "\\\""); break;
    case '\\': pw_str_add(out, "\\\\"); break;
    case '\n': pw_str_add(out, "\\n"); break;
    case '\r': pw_str_add(out, "\\r"); break;
    case '\t': pw_str_add(out, "\\t"); break;
    default: pw_str_addf(out, "\\u%04x", (unsigned)(unsigned char)c); break;
    }
}

void pw_json_add_string(struct pw_str *out, const char *text, size_t length)
{
    size_t plain = 0; /* where what needs no escape begins */
    pw_str_add_char(out, '"');
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)text[i] >= 0x20 && text[i] != '"' && text[i] != '\\')
            continue;
        pw_str_add_bytes(out, text + plain, i - plain);
        add_escape(out, text[i]);
        plain = i + 1;
    }
    pw_str_add_bytes(out, text + plain, length - plain);
    pw_str_add_char(out, '"');
}

void pw_json_add_double(struct pw_str *out, double value)
{
    char text[32];
    if (isnan(value)) {
        pw_str_add(out, "\"NaN\"");
        return;
    }
    if (isinf(value)) {
        pw_str_add(out, value > 0 ? "\"Infinity\"" : "\"-Infinity\"");
        return;
    }
    if (value == trunc(value) && fabs(value) < 1e15 && !(value == 0 && signbit(value))) {
        pw_json_add_signed(out, (int64_t)value);
        return;
    }
    int digits = 15;
    do
        snprintf(text, sizeof(text), "%.*g", digits, value);
    while (digits++ < 17 && strtod(text, NULL) != value);
    /* As an integer, -0 would lose its sign. */
    pw_str_add(out, value == 0 ? "-0.0" : text);
}
