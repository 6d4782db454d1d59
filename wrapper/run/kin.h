/*
 * Kin: all living descendants of a process, as /proc tells at one moment, for ending them.
 *
 * Used by the warden and by perfwrap itself; allocates nothing, so it also works when memory is
 * short. A process that forks while the list is made may be missing from it: whoever must be
 * certain repeats until nothing is left. This is not the sampler's view (wrapper/probe/tree.h),
 * which remembers. Source: proc(5), /proc/PID/task/TID/children (CONFIG_PROC_CHILDREN) and
 * /proc/PID/stat.
 */
#ifndef PW_RUN_KIN_H
#define PW_RUN_KIN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* More processes than this are not listed at once; repeating finds the others. */
enum { PW_KIN_MAX = 32768, PW_KIN_COMM_MAX = 16 };

/* Lists the descendants of `ancestor`, parents before children, zombies included, into `pids`.
 * Returns how many, or -1 with errno if /proc cannot be read. */
ssize_t pw_kin_list(pid_t ancestor, pid_t *pids, size_t capacity);
/* Whether `pid` is one of them. */
bool pw_kin_holds(const pid_t *pids, size_t count, pid_t pid);
/* Name and state of a process; false if it is gone. `comm` as in /proc/PID/stat, without brackets.
 */
bool pw_kin_describe(pid_t pid, char comm[PW_KIN_COMM_MAX], char *ret_state);

#endif
