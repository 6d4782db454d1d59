/*
 * Files. Whole or absent: what perfwrap writes goes to a file aside in the same folder, is flushed
 * and renamed over the final name, so a reader, or a crash, never sees half of it.
 *
 * Descriptors are close-on-exec. Paths in errors stand in backquotes. Threads: no shared state.
 */
#ifndef PW_CORE_FILE_H
#define PW_CORE_FILE_H

#include <stddef.h>
#include <sys/types.h>
#include "core/err.h"

/* Closes *fd if it is >= 0 and sets it to -1: for PW_FD_AUTO. */
void pw_fd_done(int *fd);
#define PW_FD_AUTO __attribute__((cleanup(pw_fd_done))) int
/* All bytes, whatever pieces write(2) takes; -1 and errno. */
int pw_fd_write_all(int fd, const void *bytes, size_t size);
int pw_fd_take(int *fd);                     /* returns *fd and sets it to -1 */
void pw_free_done(void *pointer_to_pointer); /* free(*(void **)p): for PW_FREE_AUTO */
#define PW_FREE_AUTO __attribute__((cleanup(pw_free_done)))

/* Writes `size` bytes to `path`: aside, fsync, rename. On failure nothing is left aside and an
 * older file of that name is untouched. `mode` as for open(2). */
int pw_file_write(const char *path, const void *bytes, size_t size, mode_t mode,
                  struct pw_err *err);
/* Reads a whole file of at most `limit` bytes. *ret_text is NUL-terminated (the NUL is not counted
 * in *ret_size, which may be NULL); free() it. Errors: PW_ERR_INPUT if missing, unreadable or too
 * large. */
int pw_file_read(const char *path, size_t limit, char **ret_text, size_t *ret_size,
                 struct pw_err *err);
/* The same of the rest of an open file, which is not closed; `path` is for messages. */
int pw_fd_read_all(int fd, const char *path, size_t limit, char **ret_text, size_t *ret_size,
                   struct pw_err *err);
/* mkdir -p, mode 0777 less umask. An existing folder is no error. */
int pw_dir_make(const char *path, struct pw_err *err);
/* Fails, with the path and the remedy, unless a file can be created and written in the folder. */
int pw_dir_check_writable(const char *path, struct pw_err *err);
/* A new private folder (mode 0700) `<$TMPDIR or /tmp>/<prefix>-XXXXXX`; free(*ret_path). */
int pw_dir_make_private(const char *prefix, char **ret_path, struct pw_err *err);
/* Removes a folder and all below it; follows no symbolic link and crosses no mount. Missing: fine.
 */
int pw_dir_remove_tree(const char *path, struct pw_err *err);
/* "<a>/<b>"; free() it. NULL and err when out of memory. */
char *pw_path_join(const char *a, const char *b, struct pw_err *err);

#endif
