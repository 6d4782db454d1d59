/* Everything that reads /proc texts, on any bytes: no access beyond them, and results within their
 * bounds. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "wrapper/probe/proc_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int holds)
{
    if (!holds)
        abort();
}

static void fuzz_pids(const char *text, size_t size)
{
    const char *cursor = text, *last = text;
    pid_t pid = -1;

    while (pw_proc_pid_next(&cursor, text + size, &pid)) {
        check(pid >= 0 && cursor > last && cursor <= text + size);
        last = cursor;
    }
    check(cursor >= last && cursor <= text + size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pw_proc_stat stat;
    struct pw_proc_rollup rollup;
    /* Exactly as large as the input, so that a step beyond it is seen; and one with a NUL for the
     * lines. */
    char *text = malloc(size), *line_text = malloc(size + 1);

    if ((text == NULL && size > 0) || line_text == NULL)
        abort();
    if (size > 0)
        memcpy(text, data, size);
    if (size > 0)
        memcpy(line_text, data, size);
    line_text[size] = '\0';
    if (size > 0 && pw_proc_stat_parse(text, size, &stat)) {
        uint64_t ticks = stat.utime_ticks + stat.stime_ticks;
        check(stat.pid >= 0 && stat.ppid >= 0 && ticks >= stat.utime_ticks);
        check(ticks + stat.cutime_ticks + stat.cstime_ticks >= ticks);
    }
    if (size > 0)
        fuzz_pids(text, size);
    if (size > 0 && pw_proc_rollup_parse(text, size, &rollup))
        check(rollup.has_footprint || rollup.footprint_bytes == 0);
    for (size_t i = 0; i < size && i < 16; i++) {
        /* A name out of the text itself is the likeliest to be found. */
        char name[8] = "";
        memcpy(name, line_text + i, size - i < 7 ? size - i : 7);
        name[strcspn(name, ":\n")] = '\0';
        const char *value = pw_proc_line_find(line_text, name);
        check(value == NULL || (value > line_text && value <= line_text + size));
    }
    free(text);
    free(line_text);
    return 0;
}
