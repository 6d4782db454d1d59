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

/* A piece of a file in an address space. */
struct pw_symbol_place {
    const char *object;   /* path as the process had it; "" or "[heap]"-like: no file; "[vdso]" */
    uint64_t file_offset; /* of the address in it */
    uint64_t address;     /* as the process had it: for JIT maps */
    pid_t pid;
    unsigned char build_id[PW_BUILD_ID_MAX];
    size_t build_id_size; /* 0: not known */
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
