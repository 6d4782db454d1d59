/*
 * Moments that nobody tells: a thread that asks for them. Files are told by inotify(7); places that
 * accept connections (TCP, Unix sockets, HTTP) are asked, every PW_ASK_FIRST_NS at first and later
 * every 0.5 % of the time since the worker's spawn, at most every PW_ASK_LAST_NS; an answer counts
 * from when it came. Asking opens a connection and closes it; nothing is sent but an HTTP request.
 * All asking together takes at most 1/PW_ASK_SHARE of a CPU: with many places at once it is rarer.
 * What places are: ask_place.h. Files are also looked for every PW_ASK_LAST_NS, for file systems
 * that tell nothing; without inotify as often as places are asked.
 *
 * A place that answers before the worker is spawned is not the worker's: PW_ERR_SYSTEM from
 * pw_ask_add(), with the place and the remedy (a port that is in use would give a moment at once).
 *
 * Life: pw_ask_new() once a session, if a mark needs it; pw_ask_add() for each worker before its
 * spawn, pw_ask_begin() when the spawn is reported, pw_ask_take() at its end; pw_ask_free().
 * Threads: all functions from one thread; `seen` is called on ask's own thread.
 */
#ifndef PW_RUN_ASK_H
#define PW_RUN_ASK_H

#include <stddef.h>
#include <stdint.h>
#include "core/err.h"
#include "core/moments.h"
#include "wrapper/run/marks.h"

#define PW_ASK_FIRST_NS INT64_C(200000)
#define PW_ASK_LAST_NS INT64_C(50000000)
enum { PW_ASK_SHARE = 4 };

struct pw_ask;

/* `seen`: mark `mark` of the worker in slot `slot` came at `at_ns` (CLOCK_MONOTONIC, not before its
 * spawn); once for each mark, and not before pw_ask_begin(). Not called with any lock held. `marks`
 * is borrowed. */
int pw_ask_new(const struct pw_marks *marks, size_t slots,
               void (*seen)(void *context, size_t slot, size_t mark, int64_t at_ns), void *context,
               struct pw_ask **ret_ask, struct pw_err *err);
void pw_ask_free(struct pw_ask *ask); /* NULL is fine */

/* `texts[i]`: the text of mark i with its placeholders replaced; those of marks that are not for
 * this module are ignored, NULL too. Copied. Errors: PW_ERR_SYSTEM if something answers already or
 * a file is there, PW_ERR_USAGE if a text names no place. May take PW_DIAL_PATIENCE_NS for each
 * place that neither answers nor refuses. */
int pw_ask_add(struct pw_ask *ask, size_t slot, const char *const texts[PW_LIMIT_MOMENTS],
               struct pw_err *err);
void pw_ask_begin(struct pw_ask *ask, size_t slot, int64_t spawned_at_ns);
/* Stops asking for a worker; no `seen` of that slot comes after it returns. */
void pw_ask_take(struct pw_ask *ask, size_t slot);
/* How often a place could not be asked, because no descriptor or memory was free. */
uint64_t pw_ask_missed(struct pw_ask *ask);

#endif
