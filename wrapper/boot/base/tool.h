/*
 * Programs of others that a boot is prepared with: mke2fs, skopeo, apt-get, dpkg-deb, the machine
 * monitor for its version. How they are run: child.h. Threads: no shared state; the thread that
 * calls must stay until the call returns.
 */
#ifndef PW_BOOT_BASE_TOOL_H
#define PW_BOOT_BASE_TOOL_H

#include "core/err.h"
#include "core/str.h"

/* Where `name` is: `given` if it is not NULL (it must be executable; without a slash it may be in
 * PATH too), else in PATH, /usr/sbin, /sbin. *ret_path is absolute, free() it. PW_ERR_INPUT with
 * ENOENT or EACCES, and the Debian package that has it as remedy. */
int pw_tool_find(const char *name, const char *given, const char *package, char **ret_path,
                 struct pw_err *err);

struct pw_tool_call {
    const char *const *argv; /* NULL-terminated; argv[0] is a path */
    const char *folder;      /* its working folder; NULL: perfwrap's */
    unsigned timeout_sec;    /* then it is killed, with its process group: an error, ETIMEDOUT */
    struct pw_str *output;   /* gets its standard output, at most PW_LIMIT_TOOL_OUTPUT_BYTES; NULL:
                                discarded */
};

/* Runs it until its end. PW_ERR_SYSTEM if it cannot be run, takes too long, prints too much, or
 * returns other than 0: then with the last lines that it wrote to standard error. EINTR: perfwrap
 * was asked to end while such signals are blocked (interrupt.h). What the tool leaves running in
 * its process group is killed. */
int pw_tool_run(const struct pw_tool_call *call, struct pw_err *err);

#endif
