#include "wrapper/boot/base/state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>
#include "core/clock.h"
#include "core/file.h"
#include "wrapper/boot/base/interrupt.h"

/*
 * In the folder of a kind: KEY/ are entries, .KEY.tmp/ is one in the making, .KEY.lock is held by
 * who makes it, and goes when that is done. So .KEY.tmp with a lock that is free was left behind.
 */
#define LOCK_END ".lock"
#define ASIDE_END ".tmp"

enum {
    KEY_BYTES = 128,
    LOCK_LOOK_MS = 20,
    FULL_BYTES = 1 << 20, /* less free space than that: the file system is full */
};

static const char remedy_other_folder[] = "Choose another folder with --state-dir.";

/* The folder */

static int default_path(char **ret_path, struct pw_err *err)
{
    /* A relative one is to be ignored (XDG Base Directory Specification). */
    const char *xdg = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    int length = -1;
    if (xdg && xdg[0] == '/') {
        length = asprintf(ret_path, "%s/perfwrap", xdg);
    } else if (home && home[0] == '/') {
        length = asprintf(ret_path, "%s/.local/state/perfwrap", home);
    } else {
        pw_err_set(err, PW_ERR_SYSTEM, "no folder for what is kept: HOME is not set");
        return pw_err_remedy(err, "%s", remedy_other_folder);
    }
    return length >= 0 ? 0 : pw_err_memory(err);
}

/* With what is above it; only the folder itself is private. */
static int make_private(const char *path, struct pw_err *err)
{
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/') {
        length--;
    }
    PW_FREE_AUTO char *folder = strndup(path, length);
    PW_FREE_AUTO char *parent = strndup(path, length);
    if (!folder || !parent) {
        return pw_err_memory(err);
    }
    char *slash = strrchr(parent, '/');
    if (slash && slash != parent) {
        *slash = '\0';
        if (pw_dir_make(parent, err) != 0) {
            return -1;
        }
    }
    struct stat info;
    if (mkdir(folder, 0700) == 0) {
        return 0;
    }
    int sys = errno;
    if (stat(folder, &info) != 0 || !S_ISDIR(info.st_mode)) {
        return pw_err_system(err, sys == EEXIST ? ENOTDIR : sys, "make folder `%s`", folder);
    }
    /* Somebody else's kernel would be started, or his link followed. */
    if (info.st_mode & S_IWOTH) {
        return pw_err_set(err, PW_ERR_INPUT, "the state folder `%s` may be written to by everybody",
                          folder);
    }
    return 0;
}

/* Names */

static bool is_name(const char *name)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    const size_t length = strlen(name);
    return length > 0 && length <= KEY_BYTES && name[0] != '.' && strspn(name, allowed) == length;
}

static int check_names(const char *kind, const char *key, struct pw_err *err)
{
    if (!is_name(kind) || !is_name(key)) {
        return pw_err_set(err, PW_ERR_INTERNAL, "`%s/%s` is no name of an entry", kind, key);
    }
    return 0;
}

/* Everything that has to do with one entry. */
struct place {
    char *kind_folder, *final, *aside, *lock;
};

static void place_done(struct place *place)
{
    free(place->kind_folder);
    free(place->final);
    free(place->aside);
    free(place->lock);
}

static int place_of(const struct pw_state *state, const char *kind, const char *key,
                    struct place *ret_place, struct pw_err *err)
{
    *ret_place = (struct place){.final = NULL};
    if (asprintf(&ret_place->kind_folder, "%s/%s", state->path, kind) < 0 ||
        asprintf(&ret_place->final, "%s/%s/%s", state->path, kind, key) < 0 ||
        asprintf(&ret_place->aside, "%s/%s/.%s" ASIDE_END, state->path, kind, key) < 0 ||
        asprintf(&ret_place->lock, "%s/%s/.%s" LOCK_END, state->path, kind, key) < 0) {
        return pw_err_memory(err);
    }
    return 0;
}

/* 1: there is such a folder; 0: nothing; -1: something that is no entry, or it cannot be seen. */
static int look(const char *path, struct pw_err *err)
{
    struct stat info;
    if (lstat(path, &info) != 0) {
        return errno == ENOENT ? 0 : pw_err_system(err, errno, "look at `%s`", path);
    }
    return S_ISDIR(info.st_mode) ? 1 : pw_err_system(err, ENOTDIR, "use entry `%s`", path);
}

int pw_state_find(const struct pw_state *state, const char *kind, const char *key, char **ret_path,
                  struct pw_err *err)
{
    if (check_names(kind, key, err) != 0) {
        return -1;
    }
    char *path = NULL;
    if (asprintf(&path, "%s/%s/%s", state->path, kind, key) < 0) {
        return pw_err_memory(err);
    }
    int found = look(path, err);
    if (found == 1) {
        *ret_path = path;
    } else {
        free(path);
    }
    return found;
}

/* Locks */

/* The file may have been removed, by who held it, between open and flock: then it locks nothing. */
static bool is_still_there(int fd, const char *path)
{
    struct stat opened, named;
    return fstat(fd, &opened) == 0 && stat(path, &named) == 0 && opened.st_dev == named.st_dev &&
           opened.st_ino == named.st_ino;
}

/* Returns the descriptor that holds the lock; -1 and errno, EWOULDBLOCK if another one has it. */
static int try_lock(const char *path)
{
    for (;;) {
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0) {
            return -1;
        }
        if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
            int sys = errno;
            close(fd);
            if (sys == EINTR) {
                continue;
            }
            errno = sys;
            return -1;
        }
        if (is_still_there(fd, path)) {
            return fd;
        }
        close(fd);
    }
}

static void unlock(int fd, const char *path)
{
    if (fd >= 0) {
        unlink(path);
        close(fd);
    }
}

static int wait_for_lock(const struct place *place, int64_t *ret_waited_ns, struct pw_err *err)
{
    const int64_t began_ns = pw_clock_now_ns();
    bool has_waited = false;
    int fd;
    while ((fd = try_lock(place->lock)) < 0) {
        if (errno != EWOULDBLOCK) {
            return pw_err_system(err, errno, "lock `%s`", place->lock);
        }
        if (pw_interrupt_is_pending()) {
            return pw_err_system(err, EINTR, "wait for another perfwrap that makes `%s`",
                                 place->final);
        }
        has_waited = true;
        nanosleep(&(struct timespec){.tv_nsec = LOCK_LOOK_MS * PW_NS_PER_MS}, NULL);
    }
    *ret_waited_ns = has_waited ? pw_clock_now_ns() - began_ns : 0;
    return fd;
}

/* What others left behind */

/* ".KEY.tmp" or ".KEY.lock", of which *ret_key_length is KEY's. */
static bool is_ours(const char *name, size_t *ret_key_length)
{
    static const char *const ends[] = {ASIDE_END, LOCK_END};
    const size_t length = strlen(name);
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        const size_t end = strlen(ends[i]);
        if (name[0] == '.' && length > end + 1 && strcmp(name + length - end, ends[i]) == 0) {
            *ret_key_length = length - end - 1;
            return true;
        }
    }
    return false;
}

static void remove_if_left(const char *kind_folder, const char *key, size_t key_length)
{
    char *lock = NULL, *aside = NULL;
    const int length = (int)key_length;
    if (asprintf(&lock, "%s/.%.*s" LOCK_END, kind_folder, length, key) < 0) {
        return;
    }
    if (asprintf(&aside, "%s/.%.*s" ASIDE_END, kind_folder, length, key) >= 0) {
        int fd = try_lock(lock);
        if (fd >= 0) {
            pw_dir_remove_tree(aside, NULL);
            unlock(fd, lock);
        }
        free(aside);
    }
    free(lock);
}

/* `own`: the name of the lock that this process holds. A failure here is nobody's concern. */
static void remove_left_behind(const char *kind_folder, const char *own)
{
    DIR *dir = opendir(kind_folder);
    const struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        size_t key_length = 0;
        if (is_ours(entry->d_name, &key_length) && strcmp(entry->d_name, own) != 0) {
            remove_if_left(kind_folder, entry->d_name + 1, key_length);
        }
    }
    if (dir) {
        closedir(dir);
    }
}

/* Of all kinds: what is made next may be of another one. */
static void sweep(const char *path)
{
    DIR *dir = opendir(path);
    const struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        char *kind_folder = NULL;
        if (is_name(entry->d_name) && asprintf(&kind_folder, "%s/%s", path, entry->d_name) >= 0) {
            remove_left_behind(kind_folder, "");
            free(kind_folder);
        }
    }
    if (dir) {
        closedir(dir);
    }
}

/* Opening */

int pw_state_open(const char *given, struct pw_state *ret_state, struct pw_err *err)
{
    PW_FREE_AUTO char *standard = NULL;
    if (!given && default_path(&standard, err) != 0) {
        return -1;
    }
    const char *wanted = given ? given : standard;
    if (!wanted) {
        return -1;
    }
    if (wanted[0] == '\0') {
        return pw_err_set(err, PW_ERR_USAGE, "the name of the state folder is empty");
    }
    int status = make_private(wanted, err);
    if (status == 0) {
        status = pw_dir_check_writable(wanted, err);
    }
    char *path = status == 0 ? realpath(wanted, NULL) : NULL;
    if (status == 0 && !path) {
        status = pw_err_system(err, errno, "open state folder `%s`", wanted);
    }
    if (status != 0) {
        const bool is_full = err && (err->sys == ENOSPC || err->sys == EDQUOT);
        return pw_err_remedy(err, "%s%s", is_full ? "Free space there, or choose" : "Choose",
                             remedy_other_folder + strlen("Choose"));
    }
    sweep(path);
    ret_state->path = path;
    return 0;
}

void pw_state_close(struct pw_state *state)
{
    free(state->path);
    state->path = NULL;
}

void pw_entry_done(struct pw_entry *entry)
{
    free(entry->path);
    entry->path = NULL;
}

/* Making */

static bool is_full(const char *path)
{
    struct statvfs info;
    if (statvfs(path, &info) != 0) {
        return false;
    }
    const fsblkcnt_t free_blocks = geteuid() == 0 ? info.f_bfree : info.f_bavail;
    return free_blocks * info.f_frsize < FULL_BYTES || (info.f_files > 0 && info.f_favail == 0);
}

/* A tool that ran out of room says so in its own words, or not at all. */
static void explain(const char *kind_folder, struct pw_err *err)
{
    if (err && (err->sys == ENOSPC || err->sys == EDQUOT || is_full(kind_folder))) {
        err->sys = err->sys == EDQUOT ? EDQUOT : ENOSPC;
        pw_err_prefix(err, "the file system of `%s` is full", kind_folder);
        pw_err_remedy(err, "Free space there, or choose another folder with --state-dir.");
    }
}

/* All of it at once: an entry may have thousands of files. Reports errors of writing since Linux
 * 5.8. */
static int flush_files(const char *folder, struct pw_err *err)
{
    PW_FD_AUTO fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return pw_err_system(err, errno, "open `%s`", folder);
    }
    return syncfs(fd) == 0 ? 0 : pw_err_system(err, errno, "flush `%s`", folder);
}

static int flush_name(const char *folder, struct pw_err *err)
{
    PW_FD_AUTO fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return pw_err_system(err, errno, "open `%s`", folder);
    }
    return fsync(fd) == 0 || errno == EINVAL ? 0 : pw_err_system(err, errno, "flush `%s`", folder);
}

static int make_entry(const struct place *place, pw_entry_make *make, void *context,
                      struct pw_err *err)
{
    if (pw_dir_remove_tree(place->aside, err) != 0) {
        return -1;
    }
    if (mkdir(place->aside, 0700) != 0) {
        pw_err_system(err, errno, "make folder `%s`", place->aside);
        explain(place->kind_folder, err);
        return -1;
    }
    int status = make(context, place->aside, err);
    if (status == 0) {
        status = flush_files(place->aside, err);
    }
    if (status == 0 && rename(place->aside, place->final) != 0) {
        status = pw_err_system(err, errno, "rename to `%s`", place->final);
    }
    if (status != 0) {
        explain(place->kind_folder, err);
        pw_dir_remove_tree(place->aside, NULL);
        return -1;
    }
    return flush_name(place->kind_folder, err);
}

/* Under the lock. */
static int make_if_missing(const struct place *place, pw_entry_make *make, void *context,
                           struct pw_entry *entry, struct pw_err *err)
{
    int found = look(place->final, err);
    if (found != 0) {
        return found == 1 ? 0 : -1; /* another one made it meanwhile */
    }
    remove_left_behind(place->kind_folder, strrchr(place->lock, '/') + 1);
    const int64_t began_ns = pw_clock_now_ns();
    if (make_entry(place, make, context, err) != 0) {
        return -1;
    }
    entry->took_ns = pw_clock_now_ns() - began_ns;
    entry->made = true;
    return 0;
}

static int get(struct place *place, pw_entry_make *make, void *context, struct pw_entry *entry,
               struct pw_err *err)
{
    int found = look(place->final, err);
    if (found < 0) {
        return -1;
    }
    if (found == 0) {
        if (mkdir(place->kind_folder, 0700) != 0 && errno != EEXIST) {
            return pw_err_system(err, errno, "make folder `%s`", place->kind_folder);
        }
        int fd = wait_for_lock(place, &entry->waited_ns, err);
        if (fd < 0) {
            return -1;
        }
        int status = make_if_missing(place, make, context, entry, err);
        unlock(fd, place->lock);
        if (status != 0) {
            return -1;
        }
    }
    entry->path = place->final;
    place->final = NULL;
    return 0;
}

int pw_state_entry(const struct pw_state *state, const char *kind, const char *key,
                   pw_entry_make *make, void *context, struct pw_entry *ret_entry,
                   struct pw_err *err)
{
    if (check_names(kind, key, err) != 0) {
        return -1;
    }
    struct place place;
    struct pw_entry entry = {.path = NULL};
    int status = place_of(state, kind, key, &place, err);
    if (status == 0) {
        status = get(&place, make, context, &entry, err);
    }
    place_done(&place);
    if (status == 0) {
        *ret_entry = entry;
    }
    return status;
}
