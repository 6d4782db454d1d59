/*
 * A folder as a root: whatever the names and links in it are, nothing above it is reached. What
 * does not take an err gives errno. Threads: no shared state. Source: openat2(2).
 */
#ifndef PW_BOOT_IMAGE_BENEATH_H
#define PW_BOOT_IMAGE_BENEATH_H

#include <stddef.h>
#include "core/err.h"

int pw_beneath_open(int root, const char *path, int flags);
/* PW_ERR_SYSTEM where the kernel has no openat2(2). */
int pw_beneath_check(struct pw_err *err);
/* For reading; does not wait for a fifo's writer. */
int pw_open_readable(int folder, const char *path);
/* The rest of an open file. PW_ERR_INPUT if it is no regular one or larger than `limit`.
 * free(*ret_text). */
int pw_read_regular(int fd, const char *name, size_t limit, char **ret_text, size_t *ret_size,
                    struct pw_err *err);
/* A regular file's content. 1; 0: it is not there, or no regular file; -1 and err.
 * free(*ret_text). */
int pw_beneath_read(int root, const char *path, size_t limit, char **ret_text, size_t *ret_size,
                    struct pw_err *err);

#endif
