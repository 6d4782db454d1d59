/*
 * The state folder of `boot`: what is worth keeping from one call to the next.
 *
 *   kernels/ images/ snapshots/ initrds/    entries of the cache: a folder each, named by its key
 *   machines/                               machines that were left running, see machines.h
 *
 * An entry is made once, aside and under a lock (flock(2)), flushed and renamed: it is whole or
 * absent, and two perfwraps at once make it once (EINTR: perfwrap was asked to end while it
 * waited). What a killed one left aside is removed by the next that opens the folder, or makes
 * an entry of that kind. Entries are constant once made.
 *
 * Threads: one at a time.
 */
#ifndef PW_BOOT_BASE_STATE_H
#define PW_BOOT_BASE_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include "core/err.h"

struct pw_state {
    char *path; /* absolute; NULL: not open */
};
#define PW_STATE_AUTO __attribute__((cleanup(pw_state_close))) struct pw_state

/* `given` (--state-dir), or NULL: $XDG_STATE_HOME/perfwrap, else ~/.local/state/perfwrap. Made with
 * mode 0700 if it is missing. PW_ERR_INPUT if everybody may write to it; PW_ERR_SYSTEM with the
 * remedy --state-dir if it cannot be written. */
int pw_state_open(const char *given, struct pw_state *ret_state, struct pw_err *err);
void pw_state_close(struct pw_state *state);

struct pw_entry {
    char *path;        /* absolute; the entry's folder */
    bool made;         /* by this call */
    int64_t took_ns;   /* to make it; 0 if it was there */
    int64_t waited_ns; /* for another perfwrap that was making it */
};
void pw_entry_done(struct pw_entry *entry);

/* Fills the empty, private folder `folder`. */
typedef int pw_entry_make(void *context, const char *folder, struct pw_err *err);

/* The entry `kind`/`key`, made with `make` if it is missing. `key`: [A-Za-z0-9._-], not beginning
 * with a dot, at most 128 bytes. */
int pw_state_entry(const struct pw_state *state, const char *kind, const char *key,
                   pw_entry_make *make, void *context, struct pw_entry *ret_entry,
                   struct pw_err *err);
/* Whether it is there, without making it: 1, with *ret_path (free() it), 0, or -1 and err. */
int pw_state_find(const struct pw_state *state, const char *kind, const char *key, char **ret_path,
                  struct pw_err *err);

#endif
