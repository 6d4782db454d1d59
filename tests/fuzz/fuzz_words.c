/* Splitting a command into words: `--cmd`. What it splits and quotes again must split into the same
 * words. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "core/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *line = strndup((const char *)data, size);
    char **words = NULL, **again = NULL;
    struct pw_err err = PW_ERR_INIT;

    if (line && pw_split_words(line, &words, &err) == 0) {
        PW_STR_AUTO quoted = PW_STR_INIT;
        pw_str_add_command(&quoted, words);
        if (pw_split_words(quoted.text, &again, &err) != 0) {
            abort();
        }
        size_t i = 0;
        for (; words[i] && again[i]; i++) {
            if (strcmp(words[i], again[i]) != 0) {
                abort();
            }
        }
        if (words[i] || again[i]) {
            abort();
        }
    }
    free(again);
    free(words);
    free(line);
    return 0;
}
