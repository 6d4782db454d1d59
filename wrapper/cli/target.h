/*
 * What TARGET means to the subcommands that look at something that runs: a pid, or whatever process
 * has a command line that a regular expression matches. Threads: no shared state.
 */
#ifndef PW_CLI_TARGET_H
#define PW_CLI_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include "core/err.h"

struct pw_target {
    const char *text; /* as it was given; borrowed */
    pid_t *pids;      /* the roots of the process trees, ascending; at least one */
    size_t count;
};
#define PW_TARGET_AUTO __attribute__((cleanup(pw_target_done))) struct pw_target

/*
 * `word` is TARGET, `match` the value of --match: exactly one of them is not NULL, or that is the
 * error. With `match`: processes whose command line, its words joined by blanks, is matched, less
 * those that have such a process above them; perfwrap and its ancestors never are. One must be
 * left, unless `all`. `proc_root` is "/proc", or a fake in tests.
 *
 * Errors: PW_ERR_USAGE for words that make no sense; PW_ERR_INPUT, with `sys` ESRCH if there is no
 * such process and ENOTUNIQ if there are several, which are listed; PW_ERR_SYSTEM.
 */
int pw_target_resolve(const char *word, const char *match, bool all, const char *proc_root,
                      struct pw_target *ret_target, struct pw_err *err);
void pw_target_done(struct pw_target *target);

#endif
