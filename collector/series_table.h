/*
 * The metric series of a window: told apart by resource, scope (name, version, attributes), metric
 * (name, unit, type, temporality) and the points' attributes, and brought together again by metric
 * in the result.
 *
 * Each level is looked up once: the resource and the scope of a block, the metric of a list of
 * points, and for a point only its attributes. Series over PW_LIMIT_OTEL_SERIES, or that would need
 * more than PW_LIMIT_OTEL_SERIES_BYTES, are not taken; those that are known go on.
 *
 * Threads: one at a time. Start with zeroed memory and `common.since_unix_ns`.
 */
#ifndef PW_COLLECTOR_SERIES_TABLE_H
#define PW_COLLECTOR_SERIES_TABLE_H

#include <otlp.pb-c.h>
#include <stddef.h>
#include <stdint.h>
#include "collector/attributes.h"
#include "collector/classify.h"
#include "collector/intern.h"
#include "collector/series.h"
#include "core/err.h"
#include "core/telemetry.h"

/* A metric of one resource and scope; names are borrowed from the table. */
struct pw_series_metric {
    const char *name, *unit;
    enum pw_otel_type type;
    uint64_t points; /* as they arrived */
};

struct pw_series_table {
    struct pw_series_common common;
    struct pw_intern resources, scopes, metrics, identities;
    struct pw_series_metric *metric_list; /* by number in `metrics` */
    size_t metric_capacity;
    struct pw_series *series; /* by number in `identities` */
    size_t series_capacity;
    uint64_t datapoints; /* as they arrived */
    bool failed;         /* memory ran out in the present request */
    struct pw_attribute_sorter sorter;
    struct pw_bytes key; /* scratch */
};

void pw_series_table_done(struct pw_series_table *table);
/* Fails for memory only. */
int pw_series_table_add(struct pw_series_table *table, const Otlp__MetricsRequest *request,
                        struct pw_err *err);
/* Adds to the result: its metrics, and its actions from histograms; both unsorted; to its losses
 * those of names over the limit. */
int pw_series_table_result(const struct pw_series_table *table,
                           const struct pw_classifier *classifier, struct pw_telemetry *telemetry,
                           struct pw_err *err);

#endif
