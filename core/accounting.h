/*
 * Where a run's numbers come from: the ladder of sources, which of them were used and why the
 * others were not, and what each cannot see. The summary states it as `accounting`.
 *
 * Plain data, filled by wrapper/run. Threads: one at a time.
 */
#ifndef PW_CORE_ACCOUNTING_H
#define PW_CORE_ACCOUNTING_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include "core/kernel_account.h"
#include "core/metric.h"

struct pw_stats; /* core/stats.h */

/* From the most exact one down; each is used together with those below it. */
enum pw_rung { PW_RUNG_EBPF, PW_RUNG_CGROUP, PW_RUNG_PROC, PW_RUNG_COUNT };
const char *pw_rung_name(enum pw_rung rung); /* "ebpf", "cgroup", "proc" */

enum pw_rung_state {
    PW_RUNG_NOT_ASKED, /* --accounting names a lower one */
    PW_RUNG_USED,
    PW_RUNG_REFUSED, /* it was tried, and the machine or the build cannot: `why` */
};
const char *pw_rung_state_name(enum pw_rung_state state); /* "not_asked", "used", "refused" */

enum { PW_ACCOUNTING_WHY = 512 };

struct pw_accounting {
    bool is_stated;    /* else there is nothing to tell: no worker was started, or it was only
                          looked at */
    const char *asked; /* "auto" or a rung's name; constant */
    struct {
        enum pw_rung_state state;
        char why[PW_ACCOUNTING_WHY];    /* refused: why; used: what of it is missing; or "" */
        char remedy[PW_ACCOUNTING_WHY]; /* or "" */
        double setup_ms;                /* what getting ready took, before the first iteration */
    } rungs[PW_RUNG_COUNT];
    struct pw_kernel_powers powers; /* of eBPF */
    /* Sums over the workers that the kernel accounted for. */
    uint64_t lost, untracked, untraced, workers;
};

/* The document, with what sampling missed where both are known; `stats`: one a metric. null if
 * nothing is stated; new reference. */
json_t *pw_accounting_to_json(const struct pw_accounting *accounting, const struct pw_stats *stats,
                              bool *failed);

#endif
