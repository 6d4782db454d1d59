#include "wrapper/probe/symbols/demangle.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { RUST_HASH_DIGITS = 16 };

/* How often the name may refer to its own parts: "S_", "S1A_", "T_", "T0_". Some are only letters
 * of an identifier; that errs on the safe side. */
static unsigned count_references(const char *name)
{
    unsigned count = 0;

    for (const char *c = name; *c != '\0'; c++) {
        if (*c != 'S' && *c != 'T')
            continue;
        size_t digits = strspn(c + 1, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ");
        count += c[1 + digits] == '_' ? 1 : 0;
    }
    return count;
}

/* The length without "::h" and 16 hexadecimal digits; 0 if it does not end so. */
static size_t length_without_hash(const char *text)
{
    static const char mark[] = "::h";
    size_t length = strlen(text), tail = strlen(mark) + RUST_HASH_DIGITS;

    if (length <= tail || memcmp(text + length - tail, mark, strlen(mark)) != 0)
        return 0;
    return strspn(text + length - RUST_HASH_DIGITS, "0123456789abcdef") == RUST_HASH_DIGITS
               ? length - tail
               : 0;
}

/* One escape of Rust's, "$LT$" or "$u20$", at `text`; returns its length, 0: none. */
static size_t unescape(const char *text, char *ret_letter)
{
    static const struct {
        const char *escape;
        char letter;
    } escapes[] = {{"$SP$", '@'}, {"$BP$", '*'}, {"$RF$", '&'}, {"$LT$", '<'},
                   {"$GT$", '>'}, {"$LP$", '('}, {"$RP$", ')'}, {"$C$", ','}};

    for (size_t i = 0; i < sizeof escapes / sizeof *escapes; i++) {
        if (strncmp(text, escapes[i].escape, strlen(escapes[i].escape)) == 0) {
            *ret_letter = escapes[i].letter;
            return strlen(escapes[i].escape);
        }
    }
    if (strncmp(text, "$u", 2) != 0 || strspn(text + 2, "0123456789abcdef") != 2 || text[4] != '$')
        return 0;
    const char hex[] = {text[2], text[3], '\0'};
    long code = strtol(hex, NULL, 16);
    if (code < ' ' || code > '~')
        return 0;
    *ret_letter = (char)code;
    return 5;
}

/* In place: the text gets no longer. */
static void clean_rust(char *text, size_t length)
{
    char *to = text;
    bool at_start = true; /* of a part of the path */

    text[length] = '\0';
    for (const char *from = text; *from != '\0';) {
        char letter;
        size_t taken = unescape(from, &letter);
        /* A part that would begin with an escape has "_" before it. */
        if (at_start && taken == 0 && from[0] == '_' && unescape(from + 1, &letter) > 0) {
            from++;
            taken = unescape(from, &letter);
        }
        at_start = false;
        if (taken > 0) {
            *to++ = letter;
            from += taken;
        } else if (strncmp(from, "..", 2) == 0 || strncmp(from, "::", 2) == 0) {
            *to++ = ':';
            *to++ = ':';
            from += 2;
            at_start = true;
        } else {
            *to++ = *from++;
        }
    }
    *to = '\0';
}

char *pw_demangle(const char *name)
{
    if (strncmp(name, "_Z", 2) != 0 ||
        strnlen(name, PW_DEMANGLE_BYTES_MAX + 1) > PW_DEMANGLE_BYTES_MAX ||
        count_references(name) > PW_DEMANGLE_REFERENCES_MAX)
        return NULL;
    char *text = pw_demangle_cxx(name);
    size_t length = text == NULL ? 0 : length_without_hash(text);
    if (length > 0)
        clean_rust(text, length);
    return text;
}
