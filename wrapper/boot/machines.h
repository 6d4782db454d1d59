/*
 * Machines that were left running (`boot --keep NAME`): a file each, `machines/NAME.json` in the
 * state folder, with the monitor's pid and start time, so that a pid that came to another process
 * is not taken for it. Files of machines that are gone are removed when they are come across.
 * Threads: no shared state.
 */
#ifndef PW_BOOT_MACHINES_H
#define PW_BOOT_MACHINES_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>
#include "core/err.h"
#include "wrapper/boot/base/state.h"

struct pw_kept {
    char *name;
    pid_t monitor, keeper; /* keeper: the warden that watches over it */
    unsigned memory_mib;   /* of the guest */
    json_t *machine;       /* the summary's `machine`, as it was started */
    char *started_at;      /* RFC 3339 */
};
void pw_kept_done(struct pw_kept *kept);

/* A name: [A-Za-z0-9][A-Za-z0-9._-]*, at most 64 bytes. PW_ERR_USAGE. */
int pw_kept_check_name(const char *name, struct pw_err *err);
/* Takes the name: PW_ERR_INPUT with EEXIST if a machine of that name runs. */
int pw_kept_claim(const struct pw_state *state, const char *name, struct pw_err *err);
void pw_kept_disclaim(const struct pw_state *state, const char *name);
/* Replaces the claim. */
int pw_kept_write(const struct pw_state *state, const struct pw_kept *kept, struct pw_err *err);
/* PW_ERR_INPUT with ESRCH if there is no such machine, or it is gone. */
int pw_kept_find(const struct pw_state *state, const char *name, struct pw_kept *ret_kept,
                 struct pw_err *err);
/* Ends it: TERM, grace, KILL, by pidfd; and forgets it. */
int pw_kept_stop(const struct pw_state *state, const char *name, struct pw_err *err);
/* All that run, by name. free() with pw_kept_done() each, then the array. */
int pw_kept_list(const struct pw_state *state, struct pw_kept **ret_kept, size_t *ret_count,
                 struct pw_err *err);

#endif
