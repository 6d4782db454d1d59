/*
 * What the memory of a worker's process tree consisted of at one moment, the peak as far as samples
 * found it: plain data, filled by wrapper/run/sampler.h, written into iteration files.
 *
 * Sums are over all processes of the tree. A page that several processes map counts in Pss as parts
 * that add up to one page, in Rss once for each. Huge pages of hugetlbfs are in none of the sums,
 * as the kernel has it. Source: Documentation/filesystems/proc.rst. Threads: one at a time.
 */
#ifndef PW_CORE_MEMORY_BREAKDOWN_H
#define PW_CORE_MEMORY_BREAKDOWN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PW_MEMORY_TOP = 10,
    PW_MEMORY_NAME_MAX = 256, /* with the NUL; of a longer name the end is kept, behind "..." */
};

/* All mappings of one name, in all processes. */
struct pw_memory_mapping {
    /* A path (with " (deleted)" if that is so), "memfd:NAME", "[heap]", "[stack]", "[anon]",
     * "[anon:NAME]" where the program gave a name, "[anon_shmem]", ... */
    char name[PW_MEMORY_NAME_MAX];
    uint64_t pss_bytes, rss_bytes, swap_bytes; /* swap: its part of SwapPss */
    uint32_t processes;                        /* that have something of it in memory or swap */
};

struct pw_memory_breakdown {
    int64_t at_ns;      /* CLOCK_MONOTONIC, when reading had ended */
    uint32_t processes; /* that were read */
    uint64_t rss_bytes, pss_bytes;
    bool has_parts; /* false before Linux 5.3: then the next five are not known */
    uint64_t anon_bytes, file_bytes, shmem_bytes; /* the parts of pss_bytes */
    uint64_t swap_bytes;                          /* SwapPss */
    uint64_t footprint_bytes;                     /* anon, shmem and swap */
    uint64_t peak_footprint_bytes; /* the largest of any sample: if it is larger, this moment was
                                      not quite the peak */
    struct pw_memory_mapping mappings[PW_MEMORY_TOP]; /* the largest, by Pss */
    size_t mapping_count;
    uint64_t mapping_names; /* how many there were */
    bool partial; /* something could not be read, or was beyond a limit: the sums are too small */
};

/* {"at_ms": 12.5, "pss_mb": ..., "mappings": [{"name": ..., "pss_mb": ...}, ...], ...}: times since
 * the worker's spawn, sizes in MiB, null where unknown. New reference. */
json_t *pw_memory_breakdown_to_json(const struct pw_memory_breakdown *breakdown,
                                    int64_t spawned_at_ns, bool *failed);
/* Copies a name of `length` bytes, or its end if it is too long. */
void pw_memory_name_set(char name[PW_MEMORY_NAME_MAX], const char *text, size_t length);

#endif
