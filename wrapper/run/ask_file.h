/*
 * A file that is waited for with inotify(7): in its folder, or, as long as that is not there, in
 * the nearest one above that is. Folders may come, go and come again.
 *
 * One inotify descriptor serves all; a folder's watch is one number, however many wait in it. Where
 * there is no watch to be had (limits, permissions), `wd` is -1, and whoever waits must look.
 * Threads: one at a time.
 */
#ifndef PW_RUN_ASK_FILE_H
#define PW_RUN_ASK_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/inotify.h>
#include "core/err.h"

struct pw_file_watch {
    char *path;                 /* owned */
    int wd;                     /* -1: none */
    size_t name_at, name_bytes; /* of `path`: what is awaited in the watched folder */
};

int pw_file_watch_init(struct pw_file_watch *watch, const char *path, struct pw_err *err);
/* The watch itself stays: others may use it. */
void pw_file_watch_done(struct pw_file_watch *watch);
/* Whether the file is there. If not, watches as near to it as can be; `wd` may be another one
 * afterwards. `fd` -1: no inotify. */
bool pw_file_watch_look(struct pw_file_watch *watch, int fd);
/* Whether the file came, going by an event in the watched folder; looks if it must. */
bool pw_file_watch_take(struct pw_file_watch *watch, int fd, const struct inotify_event *event);

#endif
