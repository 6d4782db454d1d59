/*
 * /proc/PID/smaps of several processes, summed by the names of their mappings.
 *
 * The text may be as long as a process has mappings, so it is read in pieces and never held. What
 * is kept is one entry for each name, within PW_LIMIT_MAPPING_NAMES and
 * PW_LIMIT_MAPPING_NAME_BYTES in all; mappings beyond count under one name of their own, and a
 * process's text beyond what is left of PW_LIMIT_SMAPS_BYTES is not read: then the result is
 * partial. Memory that ran out is a limit too.
 * Source: Documentation/filesystems/proc.rst, memfd_create(2). Threads: one at a time.
 */
#ifndef PW_PROBE_MEMORY_MAPS_H
#define PW_PROBE_MEMORY_MAPS_H

#include <stddef.h>
#include "core/err.h"
#include "core/memory_breakdown.h"
#include "wrapper/probe/proc_file.h"

struct pw_memory_maps;

int pw_memory_maps_new(struct pw_memory_maps **ret_maps, struct pw_err *err);
void pw_memory_maps_free(struct pw_memory_maps *maps); /* NULL is fine */
/* Forgets all; keeps the memory for the next time. */
void pw_memory_maps_begin(struct pw_memory_maps *maps);
/* Adds a process's open smaps, from where it is read to its end. */
enum pw_proc_outcome pw_memory_maps_read(struct pw_memory_maps *maps, int fd);
/* The same by text: any pieces of one process's, then its end. */
void pw_memory_maps_feed(struct pw_memory_maps *maps, const char *text, size_t length);
void pw_memory_maps_end_process(struct pw_memory_maps *maps);
/* Sets `mappings`, `mapping_count` and `mapping_names`, and `partial` if it is so. */
void pw_memory_maps_top(const struct pw_memory_maps *maps, struct pw_memory_breakdown *breakdown);

#endif
