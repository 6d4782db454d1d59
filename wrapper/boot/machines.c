#include "wrapper/boot/machines.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/file.h"
#include "core/json.h"
#include "core/limits.h"
#include "core/str.h"
#include "wrapper/boot/machines_note.h"

#define SUFFIX ".json"
#define LOCK_NAME ".lock"
#define ASIDE_SUFFIX ".tmp" /* of pw_file_write() */

enum { NAME_MAX_BYTES = 64 };

void pw_kept_done(struct pw_kept *kept)
{
    free(kept->name);
    free(kept->started_at);
    json_decref(kept->machine);
    *kept = (struct pw_kept){0};
}

int pw_kept_check_name(const char *name, struct pw_err *err)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                  "._-";
    size_t length = strspn(name, letters);
    if (length > 0 && name[length] == '\0' && length <= NAME_MAX_BYTES && !strchr("._-", *name)) {
        return 0;
    }
    pw_err_set(err, PW_ERR_USAGE, "`%.80s` is no name for a machine", name);
    return pw_err_remedy(err,
                         "use at most %d letters, digits, `.`, `_` and `-`, with a letter or "
                         "a digit first",
                         NAME_MAX_BYTES);
}

static char *folder_path(const struct pw_state *state, struct pw_err *err)
{
    return pw_path_join(state->path, "machines", err);
}

/* free() it; NULL and err, also for a name that is none. */
static char *note_path(const struct pw_state *state, const char *name, struct pw_err *err)
{
    char *path = NULL;
    if (pw_kept_check_name(name, err) != 0) {
        return NULL;
    }
    if (asprintf(&path, "%s/machines/%s" SUFFIX, state->path, name) < 0) {
        pw_err_memory(err);
        return NULL;
    }
    return path;
}

static bool ends_in(const char *text, const char *suffix)
{
    size_t length = strlen(text);
    size_t tail = strlen(suffix);
    return length > tail && strcmp(text + length - tail, suffix) == 0;
}

/* All files are written under the lock: one that is aside while nobody writes was left behind. */
static void remove_asides(const char *folder)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry = NULL;
    while (dir && (entry = readdir(dir))) {
        if (ends_in(entry->d_name, ASIDE_SUFFIX)) {
            unlinkat(dirfd(dir), entry->d_name, 0);
        }
    }
    if (dir) {
        closedir(dir);
    }
}

/* Makes the folder if it is missing and takes its lock, which closing the descriptor gives back. */
static int lock_machines(const struct pw_state *state, struct pw_err *err)
{
    PW_FREE_AUTO char *folder = folder_path(state, err);
    PW_FREE_AUTO char *path = folder ? pw_path_join(folder, LOCK_NAME, err) : NULL;
    if (!folder || !path) {
        return -1;
    }
    if (mkdir(folder, 0700) != 0 && errno != EEXIST) {
        return pw_err_system(err, errno, "make folder `%s`", folder);
    }
    PW_FD_AUTO fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return pw_err_system(err, errno, "open `%s`", path);
    }
    while (flock(fd, LOCK_EX) != 0) {
        if (errno != EINTR) {
            return pw_err_system(err, errno, "lock `%s`", path);
        }
    }
    remove_asides(folder);
    return pw_fd_take(&fd);
}

static int fail_taken(const char *name, const struct pw_note *note, struct pw_err *err)
{
    pw_err_set(err, PW_ERR_INPUT, "a machine `%s` %s (process %d)", name,
               note->is_claim ? "is being started" : "runs", (int)note->monitor.pid);
    pw_err_errno(err, EEXIST);
    return pw_err_remedy(err, "choose another name, or end that machine");
}

static int fail_missing(const char *name, struct pw_err *err)
{
    pw_err_set(err, PW_ERR_INPUT, "there is no machine `%s`, or it is gone", name);
    pw_err_errno(err, ESRCH);
    return pw_err_remedy(err, "perfwrap boot --list names those that run");
}

/* Of the notes that end in SUFFIX, whether of living machines or not. */
static int count_notes(const char *folder, size_t *ret_count, struct pw_err *err)
{
    DIR *dir = opendir(folder);
    if (!dir) {
        return pw_err_system(err, errno, "open folder `%s`", folder);
    }
    *ret_count = 0;
    for (const struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        *ret_count += ends_in(entry->d_name, SUFFIX);
    }
    closedir(dir);
    return 0;
}

static int take_kept(const struct pw_note *note, struct pw_kept *ret_kept, struct pw_err *err)
{
    struct pw_kept kept = {
        .name = strdup(json_string_value(json_object_get(note->root, "name"))),
        .monitor = note->monitor.pid,
        .keeper = note->keeper.pid,
        .memory_mib = note->memory_mib,
        .machine = json_incref(json_object_get(note->root, "machine")),
        .started_at = strdup(json_string_value(json_object_get(note->root, "started_at"))),
    };
    if (!kept.name || !kept.started_at) {
        pw_kept_done(&kept);
        return pw_err_memory(err);
    }
    *ret_kept = kept;
    return 0;
}

static int compare_kept(const void *a, const void *b)
{
    return strcmp(((const struct pw_kept *)a)->name, ((const struct pw_kept *)b)->name);
}

struct list {
    struct pw_kept *items;
    size_t count;
};

#define LIST_AUTO __attribute__((cleanup(list_done))) struct list

static void list_done(struct list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        pw_kept_done(&list->items[i]);
    }
    free(list->items);
    *list = (struct list){0};
}

static int add_machine(struct list *list, const struct pw_state *state, const char *file,
                       struct pw_err *err)
{
    PW_NOTE_AUTO note = {0};
    PW_FREE_AUTO char *name = strndup(file, strlen(file) - strlen(SUFFIX));
    if (!name) {
        return pw_err_memory(err);
    }
    if (pw_kept_check_name(name, NULL) != 0) {
        return 0;
    }
    PW_FREE_AUTO char *path = note_path(state, name, err);
    if (!path || pw_note_read_living(path, &note, err) != 0) {
        return -1;
    }
    if (!note.root || note.is_claim) {
        return 0;
    }
    if (list->count == PW_LIMIT_MACHINES) {
        return pw_err_set(err, PW_ERR_INPUT, "more than %d machines run", PW_LIMIT_MACHINES);
    }
    struct pw_kept *larger = reallocarray(list->items, list->count + 1, sizeof(*larger));
    if (!larger) {
        return pw_err_memory(err);
    }
    list->items = larger;
    if (take_kept(&note, &larger[list->count], err) != 0) {
        return -1;
    }
    list->count++;
    return 0;
}

/* With the lock held. */
static int list_machines(const struct pw_state *state, struct list *list, struct pw_err *err)
{
    PW_FREE_AUTO char *folder = folder_path(state, err);
    DIR *dir = folder ? opendir(folder) : NULL;
    if (!folder || !dir) {
        return folder ? pw_err_system(err, errno, "open folder `%s`", folder) : -1;
    }
    int failed = 0;
    for (const struct dirent *entry = readdir(dir); entry && !failed; entry = readdir(dir)) {
        if (ends_in(entry->d_name, SUFFIX)) {
            failed = add_machine(list, state, entry->d_name, err);
        }
    }
    closedir(dir);
    return failed;
}

/* What is stale does not count, but is looked at only when the limit seems to be reached. */
static int check_room(const struct pw_state *state, struct pw_err *err)
{
    LIST_AUTO list = {0};
    size_t count = 0;
    PW_FREE_AUTO char *folder = folder_path(state, err);
    if (!folder || count_notes(folder, &count, err) != 0) {
        return -1;
    }
    if (count < PW_LIMIT_MACHINES) {
        return 0;
    }
    if (list_machines(state, &list, err) != 0 || count_notes(folder, &count, err) != 0) {
        return -1;
    }
    if (count < PW_LIMIT_MACHINES) {
        return 0;
    }
    pw_err_set(err, PW_ERR_INPUT, "%zu machines run already", count);
    return pw_err_remedy(err, "end some of them");
}

static int write_claim(const char *path, const char *name, struct pw_err *err)
{
    struct pw_process self;
    bool failed = false;
    if (pw_process_find(getpid(), &self, err) != 0) {
        return -1;
    }
    json_t *root = json_object();
    pw_json_put(root, "name", json_string(name), &failed);
    pw_json_put(root, "boot_id", json_string(self.boot_id), &failed);
    pw_json_put(root, "claimed_by", pw_note_process(&self, &failed), &failed);
    return pw_note_write(path, root, failed, err);
}

int pw_kept_claim(const struct pw_state *state, const char *name, struct pw_err *err)
{
    PW_NOTE_AUTO note = {0};
    PW_FREE_AUTO char *path = note_path(state, name, err);
    if (!path) {
        return -1;
    }
    PW_FD_AUTO lock_fd = lock_machines(state, err);
    if (lock_fd < 0 || pw_note_read_living(path, &note, err) != 0) {
        return -1;
    }
    if (note.root) {
        return fail_taken(name, &note, err);
    }
    return check_room(state, err) == 0 ? write_claim(path, name, err) : -1;
}

void pw_kept_disclaim(const struct pw_state *state, const char *name)
{
    PW_NOTE_AUTO note = {0};
    PW_FREE_AUTO char *path = note_path(state, name, NULL);
    PW_FD_AUTO lock_fd = path ? lock_machines(state, NULL) : -1;
    if (lock_fd >= 0 && pw_note_read(path, &note, NULL) == 0 && note.root && note.is_claim &&
        note.monitor.pid == getpid()) {
        unlink(path);
    }
}

int pw_kept_write(const struct pw_state *state, const struct pw_kept *kept, struct pw_err *err)
{
    PW_NOTE_AUTO note = {0};
    struct pw_process monitor;
    struct pw_process keeper;
    bool failed = false;
    PW_FREE_AUTO char *path = note_path(state, kept->name, err);
    if (!path) {
        return -1;
    }
    PW_FD_AUTO lock_fd = lock_machines(state, err);
    if (lock_fd < 0 || pw_note_read_living(path, &note, err) != 0 ||
        pw_process_find(kept->monitor, &monitor, err) != 0 ||
        pw_process_find(kept->keeper, &keeper, err) != 0) {
        return -1;
    }
    if (note.root &&
        (note.is_claim ? note.monitor.pid != getpid() : note.monitor.pid != kept->monitor)) {
        return fail_taken(kept->name, &note, err);
    }
    json_t *root = json_object();
    pw_json_put(root, "name", json_string(kept->name), &failed);
    pw_json_put(root, "boot_id", json_string(monitor.boot_id), &failed);
    pw_json_put(root, "monitor", pw_note_process(&monitor, &failed), &failed);
    pw_json_put(root, "keeper", pw_note_process(&keeper, &failed), &failed);
    pw_json_put(root, "memory_mib", json_integer(kept->memory_mib), &failed);
    pw_json_put(root, "machine", kept->machine ? json_deep_copy(kept->machine) : json_object(),
                &failed);
    pw_json_put(root, "started_at", json_string(kept->started_at), &failed);
    return pw_note_write(path, root, failed, err);
}

/* The note of a machine that runs; a claim is none yet. */
static int find_note(const struct pw_state *state, const char *name, struct pw_note *ret_note,
                     struct pw_err *err)
{
    PW_FREE_AUTO char *path = note_path(state, name, err);
    if (!path) {
        return -1;
    }
    PW_FD_AUTO lock_fd = lock_machines(state, err);
    if (lock_fd < 0 || pw_note_read_living(path, ret_note, err) != 0) {
        return -1;
    }
    return ret_note->root && !ret_note->is_claim ? 0 : fail_missing(name, err);
}

int pw_kept_find(const struct pw_state *state, const char *name, struct pw_kept *ret_kept,
                 struct pw_err *err)
{
    PW_NOTE_AUTO note = {0};
    return find_note(state, name, &note, err) == 0 ? take_kept(&note, ret_kept, err) : -1;
}

/* The keeper ends by itself when its machine has; one that does not is ended too. */
int pw_kept_stop(const struct pw_state *state, const char *name, struct pw_err *err)
{
    PW_NOTE_AUTO note = {0};
    PW_NOTE_AUTO left = {0};
    if (find_note(state, name, &note, err) != 0) {
        return -1;
    }
    if (pw_process_end(&note.monitor, true, err) != 0 ||
        pw_process_end(&note.keeper, false, err) != 0) {
        return pw_err_prefix(err, "end machine `%s`", name);
    }
    PW_FREE_AUTO char *path = note_path(state, name, err);
    if (!path) {
        return -1;
    }
    PW_FD_AUTO lock_fd = lock_machines(state, err);
    return lock_fd >= 0 ? pw_note_read_living(path, &left, err)
                        : -1; /* removes it, as it is gone */
}

int pw_kept_list(const struct pw_state *state, struct pw_kept **ret_kept, size_t *ret_count,
                 struct pw_err *err)
{
    LIST_AUTO list = {0};
    PW_FD_AUTO lock_fd = lock_machines(state, err);
    if (lock_fd < 0 || list_machines(state, &list, err) != 0) {
        return -1;
    }
    if (list.count > 0) {
        qsort(list.items, list.count, sizeof(*list.items), compare_kept);
    }
    *ret_kept = list.items;
    *ret_count = list.count;
    list = (struct list){0};
    return 0;
}
