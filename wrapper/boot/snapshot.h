/*
 * Snapshots: a machine's state at the mark `ready`, from which others are started.
 *
 * The guest has loaded its modules and waits for a job; nothing of its disk is mounted yet, so the
 * disk may be any of the same size. Kept in the state folder under a key of all that the state
 * depends on: monitor and its version, machine, sizes, accelerator, kernel, initrd.
 * Sources: QEMU, "Migration framework", "QMP Reference Manual" (migrate, query-migrate).
 * Threads: no shared state.
 */
#ifndef PW_BOOT_SNAPSHOT_H
#define PW_BOOT_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>
#include "core/err.h"
#include "wrapper/boot/base/state.h"
#include "wrapper/boot/machine.h"

struct pw_snapshot {
    char *state_file; /* for the standard input of a machine with waits_for_state */
    uint64_t bytes;
    bool made;          /* by this call */
    int64_t prepare_ns; /* all that this call did */
};
void pw_snapshot_done(struct pw_snapshot *snapshot);

/* `machine` as it will be started, but for waits_for_state and qmp_socket, which are this
 * function's. `monitor_version` is part of the key. PW_ERR_SYSTEM if the machine does not come to
 * `ready` within `timeout_sec` or its state cannot be saved; no monitor is left. */
int pw_snapshot_prepare(const struct pw_state *state, const struct pw_machine *machine,
                        const char *monitor_version, double timeout_sec,
                        struct pw_snapshot *ret_snapshot, struct pw_err *err);

#endif
