/*
 * What this machine lets perfwrap see, for `perfwrap doctor` and the ladder: each power is tried,
 * not guessed from a version. Nothing is changed, and nothing stays: where a trial would leave
 * something for others to see (a cgroup, say), the permission is asked for instead. Takes some 50
 * ms, most of them for watching how quiet the machine is. Threads: one at a time; one of its own,
 * which has ended when pw_powers_probe() returns.
 */
#ifndef PW_PROBE_POWERS_H
#define PW_PROBE_POWERS_H

#include <stddef.h>
#include "core/err.h"

enum pw_power_state { PW_POWER_OK, PW_POWER_LIMITED, PW_POWER_DENIED, PW_POWER_ABSENT };

struct pw_power {
    const char *name; /* "btf", "bpf_tracepoints", "bpf_ring_buffer", "perf_events", ... constant */
    const char *area; /* a heading that neighbours share; constant */
    enum pw_power_state state;
    char found[160];    /* what was found: a figure, or the refusal */
    const char *adds;   /* what it is for; constant */
    const char *remedy; /* how to enable it; constant; NULL if it is ok */
};
enum { PW_POWERS_MAX = 32 };

struct pw_powers {
    struct pw_power items[PW_POWERS_MAX];
    size_t count;
};
/* `proc_root`, `sys_root`: "/proc", "/sys", or fakes in tests, in which nothing is tried that needs
 * the real kernel. */
void pw_powers_probe(const char *proc_root, const char *sys_root, struct pw_powers *ret_powers);
/* The names in the order of pw_powers_probe(), without trying anything; NULL: no further one. */
const char *pw_power_name(size_t index);
const char *pw_power_state_name(
    enum pw_power_state state); /* "ok", "limited", "denied", "absent" */

#endif
