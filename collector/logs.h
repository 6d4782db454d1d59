/*
 * What a window keeps of log records: how many there were, and the actions that they report.
 *
 * Names over PW_LIMIT_OTEL_NAMES are not listed. Threads: one at a time. Zeroed memory is an empty
 * table.
 */
#ifndef PW_COLLECTOR_LOGS_H
#define PW_COLLECTOR_LOGS_H

#include <otlp.pb-c.h>
#include <stddef.h>
#include <stdint.h>
#include "collector/classify.h"
#include "collector/intern.h"
#include "core/err.h"
#include "core/telemetry.h"

struct pw_log_action {
    uint64_t failures;
    struct pw_durations durations;
};

struct pw_log_table {
    struct pw_intern actions;
    struct pw_log_action *action_list; /* by number in `actions` */
    size_t capacity;
    struct pw_intern events; /* names that were looked at before */
    uint8_t *is_action;      /* by number in `events`: whether that is an action's end */
    uint64_t arrived;
    uint64_t losses[PW_LOSS_COUNT];
};

void pw_log_table_done(struct pw_log_table *table);
/* Fails for memory only. */
int pw_log_table_add(struct pw_log_table *table, const struct pw_classifier *classifier,
                     const Otlp__LogsRequest *request, struct pw_err *err);
/* Adds the actions to the result, unsorted. */
int pw_log_table_result(const struct pw_log_table *table, struct pw_telemetry *telemetry,
                        struct pw_err *err);

#endif
