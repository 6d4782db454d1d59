/*
 * What this machine lets perfwrap see, for `perfwrap doctor` and the ladder: each power is tried,
 * not guessed from a version. Nothing is changed, and nothing stays. Threads: one at a time.
 */
#ifndef PW_PROBE_POWERS_H
#define PW_PROBE_POWERS_H

#include <stddef.h>
#include "core/err.h"

enum pw_power_state { PW_POWER_OK, PW_POWER_LIMITED, PW_POWER_DENIED, PW_POWER_ABSENT };

struct pw_power {
    const char *name; /* "btf", "bpf_tracepoints", "bpf_ring_buffer", "perf_events", ... constant */
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
const char *pw_power_state_name(
    enum pw_power_state state); /* "ok", "limited", "denied", "absent" */

#endif
