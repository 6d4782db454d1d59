#include "wrapper/run/ask_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Each round of looking follows a folder that has just come; who makes and removes them faster than
 * that is looked for again later. */
enum { ROUNDS = 16 };

static const unsigned events_of_interest =
    IN_CREATE | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;

int pw_file_watch_init(struct pw_file_watch *watch, const char *path, struct pw_err *err)
{
    *watch = (struct pw_file_watch){.wd = -1, .path = strdup(path)};
    if (!watch->path)
        return pw_err_memory(err);
    return 0;
}

void pw_file_watch_done(struct pw_file_watch *watch)
{
    free(watch->path);
    *watch = (struct pw_file_watch){.wd = -1};
}

/* The folder above what ends at `length`: where its name begins, and its own length in *ret_length;
 * 0 there for the working folder. Slashes may be doubled or stand at the end. */
static size_t name_before(const char *path, size_t length, size_t *ret_name_bytes,
                          size_t *ret_folder_bytes)
{
    while (length > 1 && path[length - 1] == '/')
        length--;
    size_t at = length;
    while (at > 0 && path[at - 1] != '/')
        at--;
    *ret_name_bytes = length - at;
    size_t folder = at;
    while (folder > 1 && path[folder - 1] == '/')
        folder--;
    *ret_folder_bytes = folder;
    return at;
}

/* Watches the nearest folder that is there. */
static void watch_nearest(struct pw_file_watch *watch, int fd)
{
    char *path = watch->path;
    size_t length = strlen(path);
    watch->wd = -1;
    do {
        size_t folder;
        watch->name_at = name_before(path, length, &watch->name_bytes, &folder);
        char after = path[folder];
        path[folder] = '\0';
        watch->wd = inotify_add_watch(fd, folder > 0 ? path : ".", events_of_interest);
        int sys = errno;
        path[folder] = after;
        if (watch->wd >= 0 || (sys != ENOENT && sys != ENOTDIR))
            return;
        length = folder < length ? folder : 0;
    } while (length > 0);
}

/* Whether what is awaited in the watched folder is there, so that one below can be watched. */
static bool is_next_there(struct pw_file_watch *watch)
{
    size_t end = watch->name_at + watch->name_bytes;
    char after = watch->path[end];
    watch->path[end] = '\0';
    bool is_there = access(watch->path, F_OK) == 0;
    watch->path[end] = after;
    return is_there;
}

bool pw_file_watch_look(struct pw_file_watch *watch, int fd)
{
    for (int round = 0; round < ROUNDS; round++) {
        if (fd >= 0)
            watch_nearest(watch, fd);
        /* Looked at after the watch is set: what comes between cannot be missed. */
        if (access(watch->path, F_OK) == 0)
            return true;
        if (watch->wd < 0 || !is_next_there(watch))
            break;
    }
    return false;
}

bool pw_file_watch_take(struct pw_file_watch *watch, int fd, const struct inotify_event *event)
{
    if (event->mask & (IN_CREATE | IN_MOVED_TO)) {
        const char *name = watch->path + watch->name_at;
        bool is_ours = strlen(event->name) == watch->name_bytes &&
                       memcmp(event->name, name, watch->name_bytes) == 0;
        if (!is_ours)
            return false;
        if (!name[watch->name_bytes]) /* the file itself, even if it has gone again */
            return true;
    }
    return pw_file_watch_look(watch, fd);
}
