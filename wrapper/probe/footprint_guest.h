/*
 * For wrapper/probe/footprint.c alone: the memory of a virtual machine's guest, which its monitor
 * holds as one mapping of the guest's size. Threads: no state.
 */
#ifndef PW_PROBE_FOOTPRINT_GUEST_H
#define PW_PROBE_FOOTPRINT_GUEST_H

#include <stddef.h>
#include <stdint.h>
#include "core/value.h"

/* The guest's memory in KiB, as `-m` says in a command line of QEMU's: `length` bytes, words that
 * end in a NUL each. 0 if it is none of QEMU's, or if that cannot be read. */
uint64_t pw_foot_guest_parse(const char *words, size_t length);
/* The same of the process whose folder in /proc `dir_fd` is. */
uint64_t pw_foot_guest_kib(int dir_fd);

struct pw_foot_guest {
    struct pw_value rss_kib, pss_kib; /* huge pages of hugetlbfs, which the kernel keeps apart, are
                                         in both, whoever else maps them */
};
/* Absent with PW_ABSENT_NO_SAMPLES if no mapping, or more than one, fits `guest_kib`. */
struct pw_foot_guest pw_foot_guest_read(int dir_fd, uint64_t guest_kib);

#endif
