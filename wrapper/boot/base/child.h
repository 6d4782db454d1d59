/*
 * A program of others as a child of perfwrap, without a shell, in a process group of its own and
 * with the C locale: its messages are shown, and its output is parsed.
 *
 * Between perfwrap and the program stands a keeper: when perfwrap dies it ends the whole process
 * group, for the program's own children know nothing of perfwrap (dpkg-deb has a tar). Otherwise it
 * waits for the program, ends what that left in its group, and ends as it did. Life cycle:
 * pw_child_start(), pw_child_end().
 *
 * Threads: no shared state; PR_SET_PDEATHSIG makes the thread that starts one the one that must
 * stay. Sources: prctl(2), signal-safety(7).
 */
#ifndef PW_BOOT_BASE_CHILD_H
#define PW_BOOT_BASE_CHILD_H

#include <stdint.h>
#include <sys/types.h>
#include "core/err.h"
#include "core/str.h"

enum { PW_CHILD_FDS = 5 };

struct pw_program {
    const char *const *argv; /* NULL-terminated; argv[0] is a path */
    const char *folder;      /* its working folder; NULL: perfwrap's */
    const int *fds;          /* what its descriptors 0, 1, 2, ... are; -1: /dev/null. No others */
    unsigned fd_count;       /* 3 to PW_CHILD_FDS */
};

struct pw_child {
    pid_t pid;  /* of its keeper; 0: none */
    int pid_fd; /* -1: none. Becomes readable when the program has ended */
};
#define PW_CHILD_INIT ((struct pw_child){.pid_fd = -1})

/* Returns when exec has worked, or PW_ERR_SYSTEM with why not. */
int pw_child_start(const struct pw_program *program, struct pw_child *ret_child,
                   struct pw_err *err);
/* Kills what is left of the process group, and returns when the program is gone: its status as
 * waitpid(2) has it, 0 if there was none. */
int pw_child_end(struct pw_child *child);

/* A pipe for a child to write to: *ret_fd, which does not block, is for pw_stream_read(). */
int pw_stream_open(int *ret_fd, int *ret_child_end, struct pw_err *err);
/* One read, into `text` (NULL: discarded), of which the last `keep` bytes stay. At the pipe's end
 * it closes *fd and makes it -1. Returns how many bytes came: 0 if there are none at present. */
size_t pw_stream_read(int *fd, struct pw_str *text, size_t keep);
/* The last lines of what a program said, for a message: on one line, parted by " | ", what is not
 * printable as \xNN, of all that the last `chars`. Blanks at the end of `text` are cut off. */
void pw_stream_show(struct pw_str *text, size_t chars, struct pw_str *shown);

#endif
