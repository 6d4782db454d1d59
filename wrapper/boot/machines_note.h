/*
 * The file of a machine that was left running: {"name", "boot_id", "monitor": {"pid",
 * "start_ticks"}, "keeper": likewise, "memory_mib", "machine", "started_at"}; a claim has
 * "claimed_by", a process, instead of the monitor and what follows. All is done under one lock
 * (machines.c), so that no two take one name and what is stale can be removed without a race.
 * Threads: no shared state.
 */
#ifndef PW_BOOT_MACHINES_NOTE_H
#define PW_BOOT_MACHINES_NOTE_H

#include <jansson.h>
#include <stdbool.h>
#include "core/err.h"
#include "wrapper/boot/base/process.h"

struct pw_note {
    bool is_claim;
    struct pw_process monitor, keeper; /* a claim: monitor is who claims */
    unsigned memory_mib;
    json_t *root; /* NULL: there is no such file */
};
#define PW_NOTE_AUTO __attribute__((cleanup(pw_note_done))) struct pw_note
void pw_note_done(struct pw_note *note);

/* PW_ERR_INPUT if the file does not describe a machine; one that is missing is none. */
int pw_note_read(const char *path, struct pw_note *ret_note, struct pw_err *err);
/* As pw_note_read(), but what is gone is removed and counts as not there. */
int pw_note_read_living(const char *path, struct pw_note *ret_note, struct pw_err *err);
/* A new reference. */
json_t *pw_note_process(const struct pw_process *process, bool *failed);
/* Takes the reference to `root`. `failed`: of making it. */
int pw_note_write(const char *path, json_t *root, bool failed, struct pw_err *err);

#endif
