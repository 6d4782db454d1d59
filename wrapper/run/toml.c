#include "wrapper/run/toml.h"

#include <stdbool.h>
#include <string.h>

/* Behind a string that begins at `at`; NULL if it is not closed. */
static const char *skip_string(const char *at)
{
    char quote = *at;
    bool multiline = at[1] == quote && at[2] == quote;
    for (at += multiline ? 3 : 1; *at; at++) {
        if (*at == '\\' && quote == '"' && at[1]) {
            at++;
        } else if (*at == '\n' && !multiline) {
            return NULL;
        } else if (*at == quote && !multiline) {
            return at + 1;
        } else if (*at == quote && at[1] == quote && at[2] == quote) {
            at += 3; /* one or two more quotes are the text's last */
            for (int i = 0; i < 2 && *at == quote; i++)
                at++;
            return at;
        }
    }
    return NULL;
}

/* Behind the line, or lines, of the header, assignment, comment or blank line that begins at `at`.
 * NULL if something in it is not closed. */
static const char *skip_expression(const char *at)
{
    int depth = 0;
    while (*at) {
        switch (*at) {
        case '\n':
            if (depth <= 0)
                return at + 1;
            at++;
            break;
        case '#': at += strcspn(at, "\n"); break;
        case '"':
        case '\'':
            at = skip_string(at);
            if (!at)
                return NULL;
            break;
        default: depth += (*at == '[' || *at == '{') - (*at == ']' || *at == '}'); at++;
        }
    }
    return depth > 0 ? NULL : at;
}

/* Whether the key at `at` is `name`, or begins with it and a dot. Escapes in a quoted key are not
 * looked into. */
static bool key_is(const char *at, const char *name)
{
    char quote = *at == '"' || *at == '\'' ? *at : '\0';
    size_t length = strlen(name);
    at += quote ? 1 : 0;
    if (strncmp(at, name, length) != 0)
        return false;
    at += length;
    if (quote && *at++ != quote)
        return false;
    at += strspn(at, " \t");
    return *at && strchr(".=]", *at);
}

static unsigned line_of(const char *text, const char *at)
{
    unsigned line = 1;
    for (; text < at; text++)
        line += *text == '\n';
    return line;
}

int pw_toml_drop_table(const char *text, const char *name, struct pw_str *out, struct pw_err *err)
{
    static const char byte_order_mark[] = "\xef\xbb\xbf";
    bool in_root = true, in_dropped = false;
    const char *at = text;
    if (strncmp(at, byte_order_mark, strlen(byte_order_mark)) == 0)
        at += strlen(byte_order_mark);
    while (*at) {
        const char *key = at + strspn(at, " \t");
        const char *end = skip_expression(key);
        if (!end)
            return pw_err_set(err, PW_ERR_INPUT, "line %u: a string or bracket is not closed",
                              line_of(text, at));
        if (*key == '[') {
            key += key[1] == '[' ? 2 : 1;
            in_dropped = key_is(key + strspn(key, " \t"), name);
            in_root = false;
        }
        if (!in_dropped && !(in_root && key_is(key, name)))
            pw_str_add_bytes(out, at, (size_t)(end - at));
        at = end;
    }
    if (out->length > 0 && out->text[out->length - 1] != '\n')
        pw_str_add_char(out, '\n');
    return out->failed ? pw_err_memory(err) : 0;
}
