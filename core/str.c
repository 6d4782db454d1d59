#include "core/str.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/limits.h"

char pw_str_empty[1] = "";

enum { STR_FIRST_CAPACITY = 64, NAME_MAX_COMPARED = 63 };

void pw_str_done(struct pw_str *str)
{
    if (str->capacity > 0) {
        free(str->text);
    }
    *str = PW_STR_INIT;
}

void pw_str_clear(struct pw_str *str)
{
    str->length = 0;
    if (str->capacity > 0) {
        str->text[0] = '\0';
    }
}

/* Room for `count` more bytes and the NUL. */
static bool reserve(struct pw_str *str, size_t count)
{
    if (str->failed || count > SIZE_MAX / 2 - str->length) {
        str->failed = true;
        return false;
    }
    size_t needed = str->length + count + 1;
    if (needed <= str->capacity) {
        return true;
    }
    size_t capacity = str->capacity > 0 ? str->capacity : STR_FIRST_CAPACITY;
    while (capacity < needed) {
        capacity *= 2;
    }
    char *text = realloc(str->capacity > 0 ? str->text : NULL, capacity);
    if (!text) {
        str->failed = true;
        return false;
    }
    text[str->length] = '\0';
    str->text = text;
    str->capacity = capacity;
    return true;
}

void pw_str_add_bytes(struct pw_str *str, const void *bytes, size_t count)
{
    if (count == 0 || !reserve(str, count)) {
        return;
    }
    memcpy(str->text + str->length, bytes, count);
    str->length += count;
    str->text[str->length] = '\0';
}

void pw_str_add(struct pw_str *str, const char *text)
{
    pw_str_add_bytes(str, text, strlen(text));
}

void pw_str_add_char(struct pw_str *str, char c)
{
    pw_str_add_bytes(str, &c, 1);
}

void pw_str_addf(struct pw_str *str, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = NULL;
    int count = vasprintf(&text, format, args);
    va_end(args);
    if (count < 0) {
        str->failed = true;
        return;
    }
    pw_str_add_bytes(str, text, (size_t)count);
    free(text);
}

char *pw_str_take(struct pw_str *str, struct pw_err *err)
{
    char *text = NULL;
    if (!str->failed) {
        text = str->capacity > 0 ? str->text : strdup("");
    }
    if (!text) {
        pw_err_memory(err);
        pw_str_done(str);
        return NULL;
    }
    *str = PW_STR_INIT;
    return text;
}

void pw_str_add_shell_word(struct pw_str *str, const char *word)
{
    static const char safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                               "@%+=:,./_-";
    if (word[0] != '\0' && word[strspn(word, safe)] == '\0') {
        pw_str_add(str, word);
        return;
    }
    pw_str_add_char(str, '\'');
    for (const char *at = word; *at != '\0'; at++) {
        if (*at == '\'') {
            pw_str_add(str, "'\\''");
        } else {
            pw_str_add_char(str, *at);
        }
    }
    pw_str_add_char(str, '\'');
}

void pw_str_add_command(struct pw_str *str, char *const *argv)
{
    for (size_t i = 0; argv[i]; i++) {
        if (i > 0) {
            pw_str_add_char(str, ' ');
        }
        pw_str_add_shell_word(str, argv[i]);
    }
}

/* State of pw_split_words(): reads from `in`, writes to `out`, which can never overtake it. */
struct splitter {
    const char *in;
    char *out;
};

static int split_single_quoted(struct splitter *state, struct pw_err *err)
{
    for (state->in++; *state->in != '\''; state->in++) {
        if (*state->in == '\0') {
            return pw_err_set(err, PW_ERR_USAGE, "unclosed single quote");
        }
        *state->out++ = *state->in;
    }
    state->in++;
    return 0;
}

static int split_double_quoted(struct splitter *state, struct pw_err *err)
{
    for (state->in++; *state->in != '"'; state->in++) {
        if (*state->in == '\\' && state->in[1] == '\n') {
            state->in++;
            continue;
        }
        if (*state->in == '\\' && state->in[1] != '\0' && strchr("$`\"\\", state->in[1])) {
            state->in++;
        }
        if (*state->in == '\0') {
            return pw_err_set(err, PW_ERR_USAGE, "unclosed double quote");
        }
        *state->out++ = *state->in;
    }
    state->in++;
    return 0;
}

/* A backslash and a newline together are nothing, as in a shell. */
static void skip_blanks(struct splitter *state)
{
    for (;;) {
        state->in += strspn(state->in, " \t\n");
        if (strncmp(state->in, "\\\n", 2) != 0) {
            return;
        }
        state->in += 2;
    }
}

static int split_one_word(struct splitter *state, struct pw_err *err)
{
    while (*state->in != '\0' && !strchr(" \t\n", *state->in)) {
        int status = 0;
        if (*state->in == '\'') {
            status = split_single_quoted(state, err);
        } else if (*state->in == '"') {
            status = split_double_quoted(state, err);
        } else if (strncmp(state->in, "\\\n", 2) == 0) {
            state->in += 2;
        } else {
            if (*state->in == '\\' && *++state->in == '\0') {
                status = pw_err_set(err, PW_ERR_USAGE, "backslash at the end");
            } else {
                *state->out++ = *state->in++;
            }
        }
        if (status != 0) {
            return status;
        }
    }
    return 0;
}

int pw_split_words(const char *line, char ***ret_words, struct pw_err *err)
{
    size_t length = strlen(line);
    size_t most_words = length / 2 + 1; /* a word and the blank behind it take two bytes */
    char **words = malloc((most_words + 1) * sizeof(*words) + length + 1);
    if (!words) {
        return pw_err_memory(err);
    }
    struct splitter state = {.in = line, .out = (char *)(words + most_words + 1)};
    size_t count = 0;
    for (skip_blanks(&state); *state.in != '\0'; skip_blanks(&state)) {
        words[count++] = state.out;
        if (split_one_word(&state, err) != 0) {
            goto fail;
        }
        *state.out++ = '\0';
    }
    if (count == 0 || count > PW_LIMIT_COMMAND_WORDS) {
        pw_err_set(err, PW_ERR_USAGE, count == 0 ? "no words" : "too many words");
        goto fail;
    }
    words[count] = NULL;
    *ret_words = words;
    return 0;
fail:
    free(words);
    return -1;
}

const char *pw_lines_last(const char *text, size_t length, unsigned count)
{
    size_t at = length;
    while (at > 0 && !(text[at - 1] == '\n' && --count == 0)) {
        at--;
    }
    return text + at;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Optimal string alignment: edit distance with swaps of neighbours. Both at most
 * NAME_MAX_COMPARED bytes. */
static size_t edit_distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
    size_t rows[3][NAME_MAX_COMPARED + 1];
    size_t *before = rows[0];
    size_t *last = rows[1];
    size_t *row = rows[2];
    for (size_t j = 0; j <= b_length; j++) {
        last[j] = j;
    }
    for (size_t i = 1; i <= a_length; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            size_t best = last[j - 1] + (a[i - 1] != b[j - 1]);
            best = smaller(best, smaller(last[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                best = smaller(best, before[j - 2] + 1);
            }
            row[j] = best;
        }
        size_t *oldest = before;
        before = last;
        last = row;
        row = oldest;
    }
    return last[b_length];
}

const char *pw_nearest_name(const char *name, const char *const *names)
{
    size_t length = strlen(name);
    if (length > NAME_MAX_COMPARED) {
        return NULL;
    }
    const char *nearest = NULL;
    /* A slip in three letters and one more is taken for a slip; beyond that it is another word. */
    size_t best = length / 3 + 2;
    for (size_t i = 0; names[i]; i++) {
        size_t other = strlen(names[i]);
        if (other > NAME_MAX_COMPARED) {
            continue;
        }
        size_t distance = edit_distance(name, length, names[i], other);
        if (distance < best && distance < other) {
            nearest = names[i];
            best = distance;
        }
    }
    return nearest;
}
