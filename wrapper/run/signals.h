/*
 * Signals of perfwrap itself, and what of them its workers must not inherit.
 *
 * perfwrap takes SIGINT, SIGTERM and SIGHUP from a signalfd and ignores SIGPIPE; a worker gets the
 * mask and the dispositions that perfwrap was started with. A signal that was ignored at the start
 * (nohup) stays so.
 */
#ifndef PW_RUN_SIGNALS_H
#define PW_RUN_SIGNALS_H

#include <stdbool.h>
#include <stdint.h>
#include "core/err.h"

/* Call once, before any thread is started: remembers what was inherited, blocks the three, ignores
 * SIGPIPE. Errors: none are possible with valid arguments (sigprocmask(2)). */
void pw_signals_prepare(void);
/* What was inherited: bit S-1 for blocked signal S. 0 and false before pw_signals_prepare(). */
uint64_t pw_signals_inherited_mask(void);
bool pw_signals_inherited_sigpipe_ignored(void);
/* A signalfd (non-blocking, close-on-exec) for those of the three that were not ignored; -1 and
 * err. */
int pw_signals_open(struct pw_err *err);
/* The number of a pending signal, 0 if there is none. */
int pw_signals_read(int fd);

#endif
