/*
 * One run of a machine monitor outside of a session: to make a snapshot. It ends with perfwrap, and
 * what it and the guest say is kept, as far as messages need it.
 * Threads: no shared state; PR_SET_PDEATHSIG makes the thread that starts it the one that must
 * stay.
 */
#ifndef PW_BOOT_MONITOR_H
#define PW_BOOT_MONITOR_H

#include <stdint.h>
#include "core/err.h"
#include "core/str.h"
#include "wrapper/boot/base/child.h"

enum pw_monitor_stream { PW_MONITOR_MARKS, PW_MONITOR_CONSOLE, PW_MONITOR_ERRORS };
enum { PW_MONITOR_STREAMS = 3, PW_MONITOR_FOLDER_FD = 4 };

struct pw_monitor {
    struct pw_child child;
    int fds[PW_MONITOR_STREAMS];             /* -1: at its end */
    struct pw_str texts[PW_MONITOR_STREAMS]; /* the end of each */
};
#define PW_MONITOR_AUTO __attribute__((cleanup(pw_monitor_end))) struct pw_monitor
#define PW_MONITOR_INIT                          \
    ((struct pw_monitor){.child = PW_CHILD_INIT, \
                         .fds = {-1, -1, -1},    \
                         .texts = {PW_STR_INIT, PW_STR_INIT, PW_STR_INIT}})

/* Descriptor 3 takes its marks, descriptor PW_MONITOR_FOLDER_FD is `folder_fd`; standard input is
 * /dev/null. PW_ERR_SYSTEM if it cannot be run. */
int pw_monitor_start(const char *const *argv, int folder_fd, struct pw_monitor *ret_monitor,
                     struct pw_err *err);
/* Until the guest has told the mark `name`. PW_ERR_SYSTEM if it tells `fault`, if the monitor ends,
 * or behind the deadline (ETIMEDOUT), with what was said last. */
int pw_monitor_wait_for_mark(struct pw_monitor *monitor, const char *name, int64_t deadline_ns,
                             struct pw_err *err);
/* Kills it, and frees. */
void pw_monitor_end(struct pw_monitor *monitor);

#endif
