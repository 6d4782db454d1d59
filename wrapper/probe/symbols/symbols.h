/*
 * From addresses to names: ELF symbol tables of files (by elfutils; separate debug files by build
 * id below /usr/lib/debug where they are there), /proc/kallsyms, and the maps that JIT compilers
 * leave in /tmp/perf-PID.map.
 *
 * A file is opened below /proc/PID/root while the process lives if it has another root than this
 * process; a file that was deleted or replaced (another build id than the one that was mapped) has
 * no symbols, and its frames say object and offset. Where no build id is known, the file that is
 * there is taken. Tables are kept for all later calls. C++ and Rust names (Rust's older mangling)
 * are demangled. Without a full symbol table only what is exported, and has a size, has a name.
 *
 * Untrusted: files are those of the measured program. A perf map counts if it belongs to the
 * process's user, to root, or, when the process has gone, to this one's. Limits:
 * PW_LIMIT_SYMBOL_*. Threads: one at a time.
 */
#ifndef PW_PROBE_SYMBOLS_H
#define PW_PROBE_SYMBOLS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "core/cpu_profile.h"
#include "core/err.h"

enum { PW_BUILD_ID_MAX = 20 };

/* A piece of a file in an address space. */
struct pw_symbol_place {
    const char *object;   /* path as the process had it; "" or "[heap]"-like: no file */
    uint64_t file_offset; /* of the address in it */
    uint64_t address;     /* as the process had it: for JIT maps */
    pid_t pid;
    unsigned char build_id[PW_BUILD_ID_MAX];
    size_t build_id_size; /* 0: not known */
};

struct pw_symbols;
int pw_symbols_new(const char *proc_root, struct pw_symbols **ret_symbols, struct pw_err *err);
void pw_symbols_free(struct pw_symbols *symbols);
/* The function's name (valid until pw_symbols_free()); NULL: none is known. */
const char *pw_symbols_user(struct pw_symbols *symbols, const struct pw_symbol_place *place,
                            enum pw_frame_kind *ret_kind);
/* Of the kernel; NULL if kptr_restrict hides it. Modules' functions too. */
const char *pw_symbols_kernel(struct pw_symbols *symbols, uint64_t address);

#endif
