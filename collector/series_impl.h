/* What the two sources of series share: series_sum.c and series_histogram.c. Not for others. */
#ifndef PW_COLLECTOR_SERIES_IMPL_H
#define PW_COLLECTOR_SERIES_IMPL_H

#include "collector/series.h"

/* Whether a delta point was seen before; remembers it if not. A point without a time never was. */
bool pw_series_is_repeated(struct pw_series *series, uint64_t start, uint64_t time);
/* Whether a cumulative point that is the first of its start time counts from zero. */
bool pw_series_starts_at_zero(const struct pw_series_common *common, uint64_t start, uint64_t time);
/* Whether the series' memory may grow. */
bool pw_series_has_room(const struct pw_series_common *common);
/* Notes that this start time is settled. */
void pw_series_forget(struct pw_series *series, uint64_t start);
bool pw_series_is_forgotten(const struct pw_series *series, uint64_t start);

void pw_series_sum_done(struct pw_series *series);
int pw_series_sum_add_to(const struct pw_series *series, enum pw_otel_type type,
                         struct pw_otel_total *into, struct pw_err *err);
void pw_series_histogram_done(struct pw_series *series);
int pw_series_histogram_add_to(const struct pw_series *series, enum pw_otel_type type,
                               struct pw_otel_total *into, struct pw_err *err);

#endif
