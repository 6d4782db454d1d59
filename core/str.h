/*
 * Growable byte strings, and the few string jobs that several folders need.
 *
 * struct pw_str owns its buffer; start with PW_STR_INIT, end with pw_str_done(), or declare it with
 * PW_STR_AUTO. `text` is never NULL and always ends in a NUL. Running out of memory is sticky:
 * later additions do nothing, `failed` stays set, and the caller checks once, where the text
 * leaves. Threads: none shared.
 */
#ifndef PW_CORE_STR_H
#define PW_CORE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include "core/err.h"

struct pw_str {
    char *text;      /* NUL-terminated; points to a constant "" while nothing is allocated */
    size_t length;   /* bytes without the NUL */
    size_t capacity; /* allocated bytes; 0 while nothing is allocated */
    bool failed;     /* memory ran out at some point: the text is incomplete */
};

extern char pw_str_empty[1];
#define PW_STR_INIT ((struct pw_str){.text = pw_str_empty})
#define PW_STR_AUTO __attribute__((cleanup(pw_str_done))) struct pw_str

void pw_str_done(struct pw_str *str);
void pw_str_clear(struct pw_str *str); /* length 0, keeps the buffer */
void pw_str_add(struct pw_str *str, const char *text);
void pw_str_add_bytes(struct pw_str *str, const void *bytes, size_t count);
void pw_str_add_char(struct pw_str *str, char c);
__attribute__((format(printf, 2, 3))) void pw_str_addf(struct pw_str *str, const char *format, ...);
/* Takes the text out (caller frees with free()), leaves `str` empty. NULL and err if it failed. */
char *pw_str_take(struct pw_str *str, struct pw_err *err);

/* Adds `word` quoted for a POSIX shell: as is if it holds only safe characters, else in single
 * quotes. pw_str_add_command() joins a NULL-terminated argv so, with spaces. */
void pw_str_add_shell_word(struct pw_str *str, const char *word);
void pw_str_add_command(struct pw_str *str, char *const *argv);

/*
 * Splits `line` into words as a POSIX shell does, without expansions: blanks separate, single
 * quotes, double quotes (backslash before $ ` " \ and newline) and backslashes quote; nothing else
 * is special. On success *ret_words is a NULL-terminated array in one allocation: free() it.
 * Errors: PW_ERR_USAGE for an unclosed quote, a trailing backslash, or no words.
 */
int pw_split_words(const char *line, char ***ret_words, struct pw_err *err);

/* Where the last `count` lines of the first `length` bytes of `text` begin. A newline at their end
 * counts as a line: leave it out. */
const char *pw_lines_last(const char *text, size_t length, unsigned count);

/* The entry of the NULL-terminated `names` with the smallest edit distance to `name` (insert,
 * delete, replace, swap of neighbours), or NULL if none is near enough to be what was meant. */
const char *pw_nearest_name(const char *name, const char *const *names);

#endif
