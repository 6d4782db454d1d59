/*
 * The baseline index (contract, section 8): many summaries, grouped, each metric's last value
 * judged against those before it.
 *
 * The contract's keys are exactly the contract's. Beside them each metric has: `robust_z_fallback`
 * and `status_strict` (a spread of zero is no blindness); `baseline` {n, median, mad, robust_z,
 * robust_z_fallback, delta_pct, noise_floor, status}: the current run against the runs before it
 * only, differences below the metric table's noise floor never warn; `change_points`
 * [{index, path, generated_at, before, after, change_pct, p, worse}]; `trend` {slope_per_run,
 * slope_low, slope_high, p}. A profile has `environment` (fingerprint of the latest run: CPU model,
 * core count, kernel release, architecture, accelerator; null where unknown; of boots also what
 * sla/guest.h names) and
 * `excluded_other_environment`: runs of other machines are left out of its metrics unless mixed.
 * The file has `skipped` [{path, reason}], `group` (heuristic or exact), `mixed` and
 * `perfwrap_version`. schemas/baseline-index.schema.json has all of it.
 *
 * Beside the contract's metrics a profile has `marks.NAME_ms.p50` and `phases.NAME_ms.p50` of
 * --mark, where a run of it has them.
 *
 * Too few values (n < min_samples; in `baseline` also fewer than two before the current one) are
 * `insufficient_data`. `status_strict` is the contract's status where there is a robust_z, else by
 * robust_z_fallback, and green if all values are the same. In `baseline`, where values have no
 * spread at all, a difference of the noise floor or more is red.
 *
 * `generated_at` is compared as a time, with any offset; what is no time counts as older.
 *
 * Of a summary only what is wanted is checked: what stands in `runs` is not. A file that was cut
 * off is always found to be broken.
 *
 * Threads: reads with as many threads as CPUs are allowed, none outlives the call.
 */
#ifndef PW_SLA_INDEX_H
#define PW_SLA_INDEX_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include "core/document.h"
#include "core/err.h"
#include "core/metric.h"

/* The metrics of an index, in the contract's order. */
struct pw_index_metric {
    const char *key; /* "latency_p95_ms" */
    enum pw_metric_id metric;
    enum pw_stat stat;
    bool higher_is_better;
};
/* Those of the contract, then optional ones (core/metric.h), which a group has if a run has. */
enum { PW_INDEX_CONTRACT_COUNT = 13, PW_INDEX_METRIC_COUNT = 16 };
extern const struct pw_index_metric pw_index_metrics[PW_INDEX_METRIC_COUNT];

struct pw_index_options {
    unsigned window, min_samples;
    bool exact;               /* group mode */
    bool mix;                 /* runs of different machines together */
    const char *cache_path;   /* NULL: none */
    const char *generated_at; /* NULL: the time of the call */
    /* Called now and then while files are read, by the calling thread; may be NULL. */
    void (*progress)(size_t done, size_t total, void *context);
    void *context;
};

struct pw_index_counts {
    size_t files, read, from_cache, skipped;
    const char *cache_fault; /* why the cache was made anew, a constant; NULL: it was not */
};

/* `words` name summaries as in sla/inputs.h; what cannot be expanded is an error. *ret_index is the
 * document (new reference). A file that is broken or no summary is named in
 * `skipped`; none that is usable: PW_ERR_INPUT. A cache that is damaged is made anew; a file that
 * is no cache at all is not overwritten: PW_ERR_INPUT before anything is read. A cache that cannot
 * be written is an error after *ret_index and *ret_counts were set. */
int pw_index_build(const char *const *words, size_t count, struct pw_index_options options,
                   json_t **ret_index, struct pw_index_counts *ret_counts, struct pw_err *err);

/* Reads a file that pw_index_build() (or the older harness) made. PW_ERR_INPUT, with what is wrong,
 * if it is anything else. New reference. */
json_t *pw_index_load(const char *path, struct pw_err *err);

/* An index as a table of groups and metrics, with the changes of level below it. */
void pw_index_report(const json_t *index, struct pw_document *report);

#endif
