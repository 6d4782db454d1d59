#include "core/memory_breakdown.h"

#include <string.h>
#include "core/clock.h"
#include "core/json.h"

#define MIB 1048576.0

static void put_count(json_t *object, const char *key, uint64_t count, bool *failed)
{
    pw_json_put(object, key, pw_json_number(pw_value_of((double)count), true), failed);
}

static void put_mb(json_t *object, const char *key, uint64_t bytes, bool known, bool *failed)
{
    struct pw_value value =
        known ? pw_value_of((double)bytes / MIB) : pw_value_absent(PW_ABSENT_NOT_SUPPORTED);
    pw_json_put(object, key, pw_json_number(value, false), failed);
}

static json_t *mapping_to_json(const struct pw_memory_mapping *mapping, bool has_parts,
                               bool *failed)
{
    json_t *object = json_object();
    pw_json_put(object, "name", pw_json_string_or_null(mapping->name), failed);
    put_mb(object, "pss_mb", mapping->pss_bytes, true, failed);
    put_mb(object, "rss_mb", mapping->rss_bytes, true, failed);
    put_mb(object, "swap_mb", mapping->swap_bytes, has_parts, failed);
    put_count(object, "processes", mapping->processes, failed);
    return object;
}

json_t *pw_memory_breakdown_to_json(const struct pw_memory_breakdown *breakdown,
                                    int64_t spawned_at_ns, bool *failed)
{
    const bool has_parts = breakdown->has_parts;
    json_t *object = json_object(), *mappings = json_array();
    double at_ms = pw_ns_to_ms(breakdown->at_ns - spawned_at_ns);
    pw_json_put(object, "at_ms", pw_json_number(pw_value_of(at_ms), false), failed);
    put_count(object, "processes", breakdown->processes, failed);
    put_mb(object, "rss_mb", breakdown->rss_bytes, true, failed);
    put_mb(object, "pss_mb", breakdown->pss_bytes, true, failed);
    put_mb(object, "anon_mb", breakdown->anon_bytes, has_parts, failed);
    put_mb(object, "file_mb", breakdown->file_bytes, has_parts, failed);
    put_mb(object, "shmem_mb", breakdown->shmem_bytes, has_parts, failed);
    put_mb(object, "swap_mb", breakdown->swap_bytes, has_parts, failed);
    put_mb(object, "footprint_mb", breakdown->footprint_bytes, has_parts, failed);
    put_mb(object, "peak_footprint_mb", breakdown->peak_footprint_bytes, has_parts, failed);
    for (size_t i = 0; i < breakdown->mapping_count; i++) {
        pw_json_append(mappings, mapping_to_json(&breakdown->mappings[i], has_parts, failed),
                       failed);
    }
    pw_json_put(object, "mappings", mappings, failed);
    put_count(object, "mapping_names", breakdown->mapping_names, failed);
    pw_json_put(object, "partial", json_boolean(breakdown->partial), failed);
    return object;
}

void pw_memory_name_set(char name[PW_MEMORY_NAME_MAX], const char *text, size_t length)
{
    static const char cut[] = "...";
    size_t at = 0;
    if (length >= PW_MEMORY_NAME_MAX) {
        at = sizeof(cut) - 1;
        memcpy(name, cut, at);
        size_t left = PW_MEMORY_NAME_MAX - 1 - at;
        text += length - left;
        length = left;
        /* Not in the middle of a character. */
        while (length > 0 && ((unsigned char)*text & 0xc0) == 0x80) {
            text++;
            length--;
        }
    }
    memcpy(name + at, text, length);
    name[at + length] = '\0';
}
