/*
 * One way to fail.
 *
 * A function that can fail takes `struct pw_err *err` as its last argument, fills it and returns -1
 * (or NULL). The caller owns the object, normally on its stack, and must start it with PW_ERR_INIT.
 * Whoever crosses a folder's border adds what it was doing with pw_err_prefix(), so that the text
 * reads from the outside in: "write summary: open `x/summary.json`: No space left on device".
 *
 * `err` may be NULL where the caller does not care. No function here allocates, prints or exits.
 * Threads: an object belongs to one thread at a time; there is no global state.
 */
#ifndef PW_CORE_ERR_H
#define PW_CORE_ERR_H

#include <stdbool.h>

/* What kind of failure: decides the exit status of perfwrap, see pw_err_exit_status(). */
enum pw_err_class {
    PW_ERR_NONE = 0,     /* no failure */
    PW_ERR_USAGE,        /* the command line is wrong: exit 2 */
    PW_ERR_INPUT,        /* a file or document from outside is unusable: exit 2 */
    PW_ERR_SYSTEM,       /* a system call or the machine refused: exit 125 */
    PW_ERR_MEMORY,       /* out of memory: exit 125 */
    PW_ERR_INTERNAL,     /* a defect of perfwrap: exit 125 */
    PW_ERR_EXEC_DENIED,  /* the target was found but cannot be executed: exit 126 */
    PW_ERR_EXEC_MISSING, /* the target was not found: exit 127 */
    PW_ERR_CLASS_COUNT,
};

enum { PW_ERR_MESSAGE_MAX = 512, PW_ERR_REMEDY_MAX = 256 };

struct pw_err {
    enum pw_err_class cls;
    int sys;                          /* errno behind it, 0 if none; never an exit status */
    char message[PW_ERR_MESSAGE_MAX]; /* one line, no newline at its end; cut off if too long */
    char remedy[PW_ERR_REMEDY_MAX];   /* what the user can do, or "" */
};

#define PW_ERR_INIT ((struct pw_err){.cls = PW_ERR_NONE})

/* Each sets class and message (and errno) anew, clears the remedy, and returns -1. */
__attribute__((format(printf, 3, 4))) int pw_err_set(struct pw_err *err, enum pw_err_class cls,
                                                     const char *format, ...);
/* As pw_err_set with class PW_ERR_SYSTEM, and ": " with strerror(sys) behind the message. */
__attribute__((format(printf, 3, 4))) int pw_err_system(struct pw_err *err, int sys,
                                                        const char *format, ...);
/* As pw_err_system, with class PW_ERR_INPUT: what was named from outside cannot be used. */
__attribute__((format(printf, 3, 4))) int pw_err_input(struct pw_err *err, int sys,
                                                       const char *format, ...);
/* "out of memory", class PW_ERR_MEMORY. */
int pw_err_memory(struct pw_err *err);
/* Puts "<text>: " before the message; does nothing if no failure is recorded. Returns -1. */
__attribute__((format(printf, 2, 3))) int pw_err_prefix(struct pw_err *err, const char *format,
                                                        ...);
/* Sets the remedy: one sentence to the user. Returns -1. */
__attribute__((format(printf, 2, 3))) int pw_err_remedy(struct pw_err *err, const char *format,
                                                        ...);
/* Sets the errno behind it, for what failed otherwise than in a system call. Returns -1. */
int pw_err_errno(struct pw_err *err, int sys);
bool pw_err_is_set(const struct pw_err *err);
/* The documented exit status for the class: 0, 2, 125, 126 or 127. */
int pw_err_exit_status(const struct pw_err *err);

#endif
