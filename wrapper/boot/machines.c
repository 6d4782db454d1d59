#include "wrapper/boot/machines.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
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
#include "wrapper/boot/process.h"

#define SUFFIX ".json"
#define LOCK_NAME ".lock"
#define ASIDE_SUFFIX ".tmp" /* of pw_file_write() */

enum { NAME_MAX_BYTES = 64 };

/*
 * A file holds {"name", "boot_id", "monitor": {"pid", "start_ticks"}, "keeper": likewise,
 * "memory_mib", "machine", "started_at"}; a claim has "claimed_by", a process, instead of the
 * monitor and what follows. All is done under one lock, so that no two take one name and what is
 * stale can be removed without a race.
 */
struct note {
    bool is_claim;
    struct pw_process monitor, keeper; /* a claim: monitor is who claims */
    unsigned memory_mib;
    json_t *root; /* NULL: there is no such file */
};

#define NOTE_AUTO __attribute__((cleanup(note_done))) struct note

static void note_done(struct note *note)
{
    json_decref(note->root);
    note->root = NULL;
}

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

static bool read_process(const json_t *root, const char *key, struct pw_process *ret_process)
{
    const json_t *process = json_object_get(root, key);
    json_int_t pid = json_integer_value(json_object_get(process, "pid"));
    json_int_t ticks = json_integer_value(json_object_get(process, "start_ticks"));
    const char *boot = json_string_value(json_object_get(root, "boot_id"));
    if (pid < 1 || pid > INT_MAX || ticks < 0 || !boot || strlen(boot) >= PW_BOOT_ID_TEXT) {
        return false;
    }
    *ret_process = (struct pw_process){.pid = (pid_t)pid, .start_ticks = (uint64_t)ticks};
    memcpy(ret_process->boot_id, boot, strlen(boot) + 1);
    return true;
}

static bool take_fields(struct note *note)
{
    const json_t *root = note->root;
    if (!json_is_string(json_object_get(root, "name"))) {
        return false;
    }
    if (json_object_get(root, "claimed_by")) {
        note->is_claim = true;
        return read_process(root, "claimed_by", &note->monitor);
    }
    json_int_t memory = json_integer_value(json_object_get(root, "memory_mib"));
    note->memory_mib = memory > 0 && memory <= UINT_MAX ? (unsigned)memory : 0;
    return note->memory_mib > 0 && json_is_object(json_object_get(root, "machine")) &&
           json_is_string(json_object_get(root, "started_at")) &&
           read_process(root, "monitor", &note->monitor) &&
           read_process(root, "keeper", &note->keeper);
}

static int read_note(const char *path, struct note *ret_note, struct pw_err *err)
{
    PW_FREE_AUTO char *text = NULL;
    size_t size = 0;
    struct pw_err why = PW_ERR_INIT;
    struct note note = {0};
    *ret_note = note;
    if (pw_file_read(path, PW_LIMIT_MACHINE_FILE_BYTES, &text, &size, &why) != 0) {
        if (why.sys == ENOENT) {
            return 0;
        }
        if (err) {
            *err = why;
        }
        return -1;
    }
    note.root = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
    if (!note.root || !take_fields(&note)) {
        json_decref(note.root);
        pw_err_set(err, PW_ERR_INPUT, "`%s` does not describe a machine", path);
        return pw_err_remedy(err, "if no machine of that name runs, remove the file");
    }
    *ret_note = note;
    return 0;
}

/* As read_note(), but what is gone is removed and counts as not there. */
static int read_living(const char *path, struct note *ret_note, struct pw_err *err)
{
    if (read_note(path, ret_note, err) != 0) {
        return -1;
    }
    if (ret_note->root && !pw_process_runs(&ret_note->monitor)) {
        note_done(ret_note);
        unlink(path);
    }
    return 0;
}

static json_t *process_json(const struct pw_process *process, bool *failed)
{
    json_t *object = json_object();
    pw_json_put(object, "pid", json_integer(process->pid), failed);
    pw_json_put(object, "start_ticks", json_integer((json_int_t)process->start_ticks), failed);
    return object;
}

/* Takes the reference to `root`. */
static int write_note(const char *path, json_t *root, bool failed, struct pw_err *err)
{
    PW_FREE_AUTO char *text = failed ? NULL : pw_json_dump(root, err);
    json_decref(root);
    if (failed) {
        return pw_err_memory(err);
    }
    return text ? pw_file_write(path, text, strlen(text), 0600, err) : -1;
}

static int fail_taken(const char *name, const struct note *note, struct pw_err *err)
{
    pw_err_set(err, PW_ERR_INPUT, "a machine `%s` %s (process %d)", name,
               note->is_claim ? "is being started" : "runs", (int)note->monitor.pid);
    if (err) {
        err->sys = EEXIST;
    }
    return pw_err_remedy(err, "choose another name, or end that machine");
}

static int fail_missing(const char *name, struct pw_err *err)
{
    pw_err_set(err, PW_ERR_INPUT, "there is no machine `%s`, or it is gone", name);
    if (err) {
        err->sys = ESRCH;
    }
    return -1;
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

/* What is stale does not count, but is looked at only when the limit seems to be reached. */
static int check_room(const struct pw_state *state, struct pw_err *err);

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
    pw_json_put(root, "claimed_by", process_json(&self, &failed), &failed);
    return write_note(path, root, failed, err);
}

int pw_kept_claim(const struct pw_state *state, const char *name, struct pw_err *err)
{
    NOTE_AUTO note = {0};
    PW_FREE_AUTO char *path = note_path(state, name, err);
    if (!path) {
        return -1;
    }
    PW_FD_AUTO lock_fd = lock_machines(state, err);
    if (lock_fd < 0 || read_living(path, &note, err) != 0) {
        return -1;
    }
    if (note.root) {
        return fail_taken(name, &note, err);
    }
    return check_room(state, err) == 0 ? write_claim(path, name, err) : -1;
}

void pw_kept_disclaim(const struct pw_state *state, const char *name)
{
    NOTE_AUTO note = {0};
    PW_FREE_AUTO char *path = note_path(state, name, NULL);
    PW_FD_AUTO lock_fd = path ? lock_machines(state, NULL) : -1;
    if (lock_fd >= 0 && read_note(path, &note, NULL) == 0 && note.root && note.is_claim &&
        note.monitor.pid == getpid()) {
        unlink(path);
    }
}

int pw_kept_write(const struct pw_state *state, const struct pw_kept *kept, struct pw_err *err)
{
    NOTE_AUTO note = {0};
    struct pw_process monitor;
    struct pw_process keeper;
    bool failed = false;
    PW_FREE_AUTO char *path = note_path(state, kept->name, err);
    if (!path) {
        return -1;
    }
    PW_FD_AUTO lock_fd = lock_machines(state, err);
    if (lock_fd < 0 || read_living(path, &note, err) != 0 ||
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
    pw_json_put(root, "monitor", process_json(&monitor, &failed), &failed);
    pw_json_put(root, "keeper", process_json(&keeper, &failed), &failed);
    pw_json_put(root, "memory_mib", json_integer(kept->memory_mib), &failed);
    pw_json_put(root, "machine", kept->machine ? json_deep_copy(kept->machine) : json_object(),
                &failed);
    pw_json_put(root, "started_at", json_string(kept->started_at), &failed);
    return write_note(path, root, failed, err);
}

static int take_kept(const struct note *note, struct pw_kept *ret_kept, struct pw_err *err)
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

/* The note of a machine that runs; a claim is none yet. */
static int find_note(const struct pw_state *state, const char *name, struct note *ret_note,
                     struct pw_err *err)
{
    PW_FREE_AUTO char *path = note_path(state, name, err);
    if (!path) {
        return -1;
    }
    PW_FD_AUTO lock_fd = lock_machines(state, err);
    if (lock_fd < 0 || read_living(path, ret_note, err) != 0) {
        return -1;
    }
    return ret_note->root && !ret_note->is_claim ? 0 : fail_missing(name, err);
}

int pw_kept_find(const struct pw_state *state, const char *name, struct pw_kept *ret_kept,
                 struct pw_err *err)
{
    NOTE_AUTO note = {0};
    return find_note(state, name, &note, err) == 0 ? take_kept(&note, ret_kept, err) : -1;
}

/* The keeper ends by itself when its machine has; one that does not is ended too. */
int pw_kept_stop(const struct pw_state *state, const char *name, struct pw_err *err)
{
    NOTE_AUTO note = {0};
    NOTE_AUTO left = {0};
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
    return lock_fd >= 0 ? read_living(path, &left, err) : -1; /* removes it, as it is gone */
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
    NOTE_AUTO note = {0};
    PW_FREE_AUTO char *name = strndup(file, strlen(file) - strlen(SUFFIX));
    if (!name) {
        return pw_err_memory(err);
    }
    if (pw_kept_check_name(name, NULL) != 0) {
        return 0;
    }
    PW_FREE_AUTO char *path = note_path(state, name, err);
    if (!path || read_living(path, &note, err) != 0) {
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
