/*
 * Names as they were written in the source, from those that linkers see.
 *
 * C++ (Itanium ABI) and Rust's legacy mangling, which is a C++ name with a hash at its end and
 * escapes of its own. Rust's v0 names (_R...) stay as they are. Sources: Itanium C++ ABI, 5.1;
 * rustc's compiler/rustc_symbol_mangling/src/legacy.rs.
 *
 * Untrusted: a name can be made to grow exponentially by references to its own parts, so those with
 * many references, and long ones, stay mangled. Any thread may call it.
 */
#ifndef PW_PROBE_DEMANGLE_H
#define PW_PROBE_DEMANGLE_H

#ifdef __cplusplus
extern "C" {
#endif

enum {
    PW_DEMANGLE_BYTES_MAX = 2048,   /* of a name that is demangled */
    PW_DEMANGLE_REFERENCES_MAX = 40 /* to parts of itself: some 2^21 of these at most */
};

/* By the C++ library, without limits; NULL: it is no such name. free(). */
char *pw_demangle_cxx(const char *mangled);
/* NULL: it stays as it is (or no memory is left). free(). */
char *pw_demangle(const char *name);

#ifdef __cplusplus
}
#endif

#endif
