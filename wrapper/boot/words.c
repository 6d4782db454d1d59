#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "wrapper/boot/machine.h"

void pw_words_done(struct pw_words *words)
{
    for (size_t i = 0; i < words->count; i++) {
        free(words->items[i]);
    }
    free(words->items);
    *words = (struct pw_words){0};
}

void pw_words_addf(struct pw_words *words, const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    char **larger = length < 0 || words->failed
                        ? NULL
                        : reallocarray(words->items, words->count + 2, sizeof(*larger));
    if (!larger) {
        words->failed = true;
        if (length >= 0) {
            free(text);
        }
        return;
    }
    words->items = larger;
    larger[words->count++] = text;
    larger[words->count] = NULL;
}
