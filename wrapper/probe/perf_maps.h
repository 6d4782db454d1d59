/*
 * Which files were where in which process, from the kernel's records (PERF_RECORD_FORK, COMM,
 * MMAP2, EXIT), of the tree below one process.
 *
 * Records are given in the order of their times, and so are the questions: an address is resolved
 * by the map that is valid at that time; maps are forgotten with a process's last thread, its name
 * a while later, or when the pid is another's. A fork shares its parent's maps until one of both
 * changes; an exec begins anew. Records must be of events without attr.build_id. Only what is
 * executable is known: the kernel tells no more, nor that something was unmapped. Limits:
 * PW_LIMIT_TREE_PROCESSES, PW_LIMIT_SAMPLED_MAPS, PW_LIMIT_SAMPLED_OBJECTS. Threads: one at a time.
 */
#ifndef PW_PROBE_PERF_MAPS_H
#define PW_PROBE_PERF_MAPS_H

#include <linux/perf_event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "core/err.h"
#include "wrapper/probe/symbolizer.h"

enum {
    PW_PERF_OBJECT_NOWHERE = 0, /* no map is known there */
    PW_PERF_OBJECT_KERNEL = 1,
    PW_PERF_COMM_BYTES = 16,
};

/* What is mapped. Anonymous memory is another object in each process: code that is made there can
 * only be told apart by pid and address. The kernel's [vdso] is as a file: the same for all. */
struct pw_perf_object {
    const char *path; /* "": anonymous */
    bool is_file;
    pid_t pid; /* that has it; of a file, the last one that mapped it */
    struct pw_file_id file;
    int64_t mapped_at_ns; /* CLOCK_MONOTONIC: first */
};

struct pw_perf_maps;

struct pw_perf_maps *pw_perf_maps_new(void); /* NULL: out of memory */
void pw_perf_maps_free(struct pw_perf_maps *maps);
/* What is mapped in a process that is there before its first record. */
int pw_perf_maps_read(struct pw_perf_maps *maps, const char *proc_root, pid_t pid,
                      struct pw_err *err);
/* Any record; what does not concern maps is ignored. Malformed ones too. */
void pw_perf_maps_record(struct pw_perf_maps *maps, const struct perf_event_header *record);
/* The object's number (pw_perf_maps_object()) and the offset in its file; or, where there is no
 * file, the address. */
uint32_t pw_perf_maps_resolve(const struct pw_perf_maps *maps, pid_t pid, uint64_t address,
                              uint64_t *ret_offset);
const struct pw_perf_object *pw_perf_maps_object(const struct pw_perf_maps *maps, uint32_t number);
/* The command's name; "" of a process that is not known. */
const char *pw_perf_maps_comm(const struct pw_perf_maps *maps, pid_t pid);
/* The pid is another's from now on. */
void pw_perf_maps_forget(struct pw_perf_maps *maps, pid_t pid);
/* Also a while after its last thread has gone: the kernel ends processes for a long time. */
bool pw_perf_maps_knows(const struct pw_perf_maps *maps, pid_t pid);
size_t pw_perf_maps_processes(const struct pw_perf_maps *maps); /* known at present */
uint64_t pw_perf_maps_dropped(const struct pw_perf_maps *maps); /* beyond a limit, or no memory */

#endif
