/*
 * Whether perfwrap was asked to end (SIGINT, SIGTERM, SIGHUP) while these signals are blocked.
 * Where they are not, they end it by themselves. What waits long looks now and then; the signal
 * stays pending for whoever reads it in the end. Threads: no shared state.
 */
#ifndef PW_BOOT_BASE_INTERRUPT_H
#define PW_BOOT_BASE_INTERRUPT_H

#include <stdbool.h>

enum { PW_INTERRUPT_LOOK_MS = 50 };

bool pw_interrupt_is_pending(void);

#endif
