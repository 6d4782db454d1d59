#include "wrapper/boot/machines_note.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>
#include "core/file.h"
#include "core/json.h"
#include "core/limits.h"

void pw_note_done(struct pw_note *note)
{
    json_decref(note->root);
    note->root = NULL;
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

static bool take_fields(struct pw_note *note)
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

int pw_note_read(const char *path, struct pw_note *ret_note, struct pw_err *err)
{
    PW_FREE_AUTO char *text = NULL;
    size_t size = 0;
    struct pw_err why = PW_ERR_INIT;
    struct pw_note note = {0};
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

int pw_note_read_living(const char *path, struct pw_note *ret_note, struct pw_err *err)
{
    if (pw_note_read(path, ret_note, err) != 0) {
        return -1;
    }
    if (ret_note->root && !pw_process_runs(&ret_note->monitor)) {
        pw_note_done(ret_note);
        unlink(path);
    }
    return 0;
}

json_t *pw_note_process(const struct pw_process *process, bool *failed)
{
    json_t *object = json_object();
    pw_json_put(object, "pid", json_integer(process->pid), failed);
    pw_json_put(object, "start_ticks", json_integer((json_int_t)process->start_ticks), failed);
    return object;
}

int pw_note_write(const char *path, json_t *root, bool failed, struct pw_err *err)
{
    PW_FREE_AUTO char *text = failed ? NULL : pw_json_dump(root, err);
    json_decref(root);
    if (failed) {
        return pw_err_memory(err);
    }
    return text ? pw_file_write(path, text, strlen(text), 0600, err) : -1;
}
