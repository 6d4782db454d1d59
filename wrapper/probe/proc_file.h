/*
 * Readers of single /proc files. Each format has one parser that works on text, so that it can be
 * tested and fuzzed, and one reader that fills it from a descriptor. What belongs together over
 * files and over time is not here, see wrapper/probe/tree.h.
 *
 * A descriptor may be read again and again: the readers use pread(2) from offset 0, and the kernel
 * makes the text anew each time. No function allocates. Nothing here keeps state; any thread may
 * call it. Texts that the kernel would not write are refused or read as far as they make sense,
 * never beyond their end. Source: proc(5); Documentation/filesystems/proc.rst of the kernel.
 */
#ifndef PW_PROBE_PROC_FILE_H
#define PW_PROBE_PROC_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "core/proc_stat.h"

enum pw_proc_outcome {
    PW_PROC_OK,
    PW_PROC_GONE,   /* ESRCH, ENOENT: the process has ended (or the file does not exist) */
    PW_PROC_DENIED, /* EACCES, EPERM */
    PW_PROC_FAILED, /* anything else: no descriptor left, a text that makes no sense, … */
};
/* The outcome that an errno means. */
enum pw_proc_outcome pw_proc_outcome_of(int sys);

/* A process that ended gives PW_PROC_GONE. */
enum pw_proc_outcome pw_proc_stat_read(int fd, struct pw_proc_stat *ret_stat);

/* Takes the next pid of a /proc/PID/task/TID/children text, where each is followed by a space.
 * False, and *cursor at the start of what is left, if no whole one remains. */
bool pw_proc_pid_next(const char **cursor, const char *end, pid_t *ret_pid);
/* Calls `visit` for each child; a thread that ended has none. */
enum pw_proc_outcome pw_proc_children_read(int fd, void (*visit)(void *context, pid_t pid),
                                           void *context);

/* Lines of /proc/PID/smaps_rollup, each the sum over all mappings. */
enum pw_proc_rollup_part {
    PW_ROLLUP_RSS,
    PW_ROLLUP_PSS_ANON, /* the parts of Pss: Linux 5.3 */
    PW_ROLLUP_PSS_FILE,
    PW_ROLLUP_PSS_SHMEM,
    PW_ROLLUP_SWAP_PSS,
    PW_ROLLUP_PRIVATE_CLEAN,
    PW_ROLLUP_PRIVATE_DIRTY,
    PW_ROLLUP_PRIVATE_HUGETLB, /* not in Rss, nor in anything above */
    PW_ROLLUP_SHARED_HUGETLB,
    PW_ROLLUP_PARTS
};
/* What is used of /proc/PID/smaps_rollup. */
struct pw_proc_rollup {
    uint64_t pss_bytes;       /* Pss: each page divided by the number of processes that map it */
    bool has_footprint;       /* false before Linux 5.3, which lacks the parts of Pss */
    uint64_t footprint_bytes; /* Pss_Anon + Pss_Shmem + SwapPss */
    uint64_t part_bytes[PW_ROLLUP_PARTS];
    bool has_part[PW_ROLLUP_PARTS]; /* the line is there */
};
bool pw_proc_rollup_parse(const char *text, size_t length, struct pw_proc_rollup *ret_rollup);
enum pw_proc_outcome pw_proc_rollup_read(int fd, struct pw_proc_rollup *ret_rollup);

/* Calls `visit` for each entry of a directory whose name is a number: the processes of /proc, the
 * threads of /proc/PID/task, the descriptors of /proc/PID/fd. Begins anew with each call. */
enum pw_proc_outcome pw_proc_numbers_read(int dir_fd, void (*visit)(void *context, pid_t number),
                                          void *context);

/* Reads the file `path`, relative to `dir_fd` as openat(2) does, into `buffer` of `size` bytes and
 * puts a NUL behind; what does not fit is left out. Returns the length, or -1 and errno. */
ssize_t pw_proc_text_read(int dir_fd, const char *path, char *buffer, size_t size);
/* The text behind "<name>:" and blanks, at the start of a line of the NUL-terminated `text`, as
 * meminfo, cpuinfo, status and smaps_rollup have it; it ends with the line. NULL if there is none.
 */
const char *pw_proc_line_find(const char *text, const char *name);

#endif
