/*
 * What the writer of telemetry blocks and their schema share: which numbers a metric has in JSON,
 * and where a loss is counted. Not for others.
 */
#ifndef PW_CORE_TELEMETRY_IMPL_H
#define PW_CORE_TELEMETRY_IMPL_H

#include "core/telemetry.h"

enum pw_otel_number {
    PW_OTEL_NUMBER_TOTAL,
    PW_OTEL_NUMBER_LAST,
    PW_OTEL_NUMBER_COUNT,
    PW_OTEL_NUMBER_SUM,
    PW_OTEL_NUMBER_MEAN,
    PW_OTEL_NUMBER_MIN,
    PW_OTEL_NUMBER_MAX,
    PW_OTEL_NUMBER_P50,
    PW_OTEL_NUMBER_P95,
    PW_OTEL_NUMBER_P99,
    PW_OTEL_NUMBER_KINDS
};
#define PW_OTEL_NUMBER_BIT(number) (1u << (number))
/* "total", "last", …: keys in JSON. */
const char *pw_otel_number_name(enum pw_otel_number number);
/* PW_OTEL_NUMBER_BIT()s of what a metric of that type has beside `points`. */
unsigned pw_otel_numbers(enum pw_otel_type type);
/* Whether its quantiles are estimates, which `estimated` then says. */
bool pw_otel_is_estimated(enum pw_otel_type type);

/* The object within `telemetry` that counts a loss: "refused", "dropped", or NULL for `telemetry`
 * itself. */
const char *pw_loss_group(enum pw_loss loss);

#endif
