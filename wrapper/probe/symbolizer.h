/*
 * What a probe that samples code wants of whoever knows names: the sampler asks, the symbolizer of
 * symbols/ answers, and neither knows the other. Plain data.
 */
#ifndef PW_PROBE_SYMBOLIZER_H
#define PW_PROBE_SYMBOLIZER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "core/cpu_profile.h"

enum { PW_BUILD_ID_MAX = 20 };

/* What a path was when it was mapped: another file there has another one, but on file systems that
 * give numbers again without a generation. Numbers of the file system itself: stat(2) may say
 * others (overlayfs, btrfs). */
struct pw_file_id {
    uint32_t major, minor;
    uint64_t inode, generation; /* all 0: not known */
};

/* A piece of a file in an address space. */
struct pw_symbol_place {
    const char *object;   /* path as the process had it; "" or "[heap]"-like: no file; "[vdso]" */
    uint64_t file_offset; /* of the address in it */
    uint64_t address;     /* as the process had it: for JIT maps */
    pid_t pid;
    unsigned char build_id[PW_BUILD_ID_MAX];
    size_t build_id_size; /* 0: not known */
    struct pw_file_id file;
    int64_t mapped_at_ns; /* CLOCK_MONOTONIC: the first time that is known of; 0: not known */
};

/* Names are the symbolizer's: whoever keeps one copies it before the next call. */
struct pw_symbolizer {
    void *context;
    /* NULL: none is known, then *ret_kind is untouched. */
    const char *(*user)(void *context, const struct pw_symbol_place *place,
                        enum pw_frame_kind *ret_kind);
    const char *(*kernel)(void *context, uint64_t address); /* NULL: none is known */
};

#endif
