/*
 * The session's private folder, for its workers' private folders: `<$TMPDIR or
 * /tmp>/perfwrap-XXXXXX`, mode 0700. It is locked (flock(2)) while in use and removed at the end. A
 * perfwrap that was killed cannot remove its own; the next session of the same user does, knowing
 * it by the lock that nobody holds.
 */
#ifndef PW_RUN_SCRATCH_H
#define PW_RUN_SCRATCH_H

#include "core/err.h"

struct pw_scratch {
    char *path; /* NULL: not open */
    int lock_fd;
};
#define PW_SCRATCH_INIT ((struct pw_scratch){.lock_fd = -1})

/* Makes the folder, after removing those that were left behind. */
int pw_scratch_open(struct pw_scratch *scratch, struct pw_err *err);
/* Removes it with all it holds. */
void pw_scratch_close(struct pw_scratch *scratch);

#endif
