/* Any bytes as /proc/PID/smaps, in two processes and in pieces of any size: no access beyond them,
 * the largest come first, have names, and add up to no more than the text says. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "wrapper/probe/memory_maps.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int holds)
{
    if (!holds)
        abort();
}

static void check_top(const struct pw_memory_breakdown *breakdown, uint32_t processes)
{
    check(breakdown->mapping_count <= PW_MEMORY_TOP);
    check(breakdown->mapping_count <= breakdown->mapping_names);
    for (size_t i = 0; i < breakdown->mapping_count; i++) {
        const struct pw_memory_mapping *mapping = &breakdown->mappings[i];
        check(strnlen(mapping->name, sizeof mapping->name) < sizeof mapping->name);
        check(mapping->pss_bytes > 0 || mapping->rss_bytes > 0 || mapping->swap_bytes > 0);
        check(mapping->processes >= 1 && mapping->processes <= processes);
        check(i == 0 || mapping->pss_bytes <= mapping[-1].pss_bytes);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct pw_memory_maps *maps;
    struct pw_memory_breakdown whole = {0}, pieces = {0};
    /* Exactly as large as the input, so that a step beyond it is seen. */
    char *text = malloc(size);

    if (text == NULL && size > 0)
        abort();
    if (size > 0)
        memcpy(text, data, size);
    check(maps != NULL || pw_memory_maps_new(&maps, NULL) == 0);
    pw_memory_maps_begin(maps);
    pw_memory_maps_feed(maps, text, size);
    pw_memory_maps_end_process(maps);
    pw_memory_maps_top(maps, &whole);
    check_top(&whole, 1);
    /* The pieces are as large as the text's own bytes say. */
    pw_memory_maps_begin(maps);
    for (size_t at = 0; at < size;) {
        size_t piece = 1 + data[at] % 32;
        piece = piece < size - at ? piece : size - at;
        pw_memory_maps_feed(maps, text + at, piece);
        at += piece;
    }
    pw_memory_maps_end_process(maps);
    pw_memory_maps_top(maps, &pieces);
    check(memcmp(&whole, &pieces, sizeof whole) == 0);
    /* The same again as a second process: as many names, in both. */
    pw_memory_maps_feed(maps, text, size);
    pw_memory_maps_end_process(maps);
    pw_memory_maps_top(maps, &pieces);
    check_top(&pieces, 2);
    check(pieces.mapping_names == whole.mapping_names);
    free(text);
    return 0;
}
