/*
 * From addresses to names: ELF symbol tables of files (by elfutils; separate debug files by build
 * id below /usr/lib/debug where they are there), /proc/kallsyms, and the maps that JIT compilers
 * leave in /tmp/perf-PID.map.
 *
 * A file is opened below /proc/PID/root while the process lives if it has another root than this
 * process. What was deleted or replaced has no symbols, and its frames say object and offset: a
 * file is taken if it has the build id that was mapped, and the inode that was, and has not changed
 * since that was mapped first; each as far as it is known. Tables are kept for all later calls, and
 * looked after when a file is mapped later than it was read. C++ and Rust names (Rust's older
 * mangling) are demangled. Without a full symbol table only what is exported, and has a size, has a
 * name.
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
#include "wrapper/probe/symbolizer.h"

struct pw_symbols;
int pw_symbols_new(const char *proc_root, struct pw_symbols **ret_symbols, struct pw_err *err);
void pw_symbols_free(struct pw_symbols *symbols);
/* What was learnt of processes is forgotten, for their pids will be others': their roots and users,
 * and the names in their perf maps. Files stay known. */
void pw_symbols_forget_processes(struct pw_symbols *symbols);
/* The function's name (valid until the next call); NULL: none is known. */
const char *pw_symbols_user(struct pw_symbols *symbols, const struct pw_symbol_place *place,
                            enum pw_frame_kind *ret_kind);
/* Of the kernel; NULL if kptr_restrict hides it. Modules' functions too. */
const char *pw_symbols_kernel(struct pw_symbols *symbols, uint64_t address);
/* The same, for whoever samples; valid as long as `symbols`. */
struct pw_symbolizer pw_symbols_symbolizer(struct pw_symbols *symbols);

#endif
