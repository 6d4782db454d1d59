/*
 * OTLP's datapoints, checked and brought to the form in which series take them. No function
 * allocates; what comes out borrows from the message. Threads: no shared state.
 */
#ifndef PW_COLLECTOR_POINTS_H
#define PW_COLLECTOR_POINTS_H

#include <otlp.pb-c.h>
#include <stdbool.h>
#include "collector/series.h"

/* False if the point contradicts itself; then the output is untouched. */
/* It has a value. */
bool pw_point_of_number(const Otlp__NumberDataPoint *from, struct pw_number_point *ret_point);
/* One bucket more than bounds, or neither; bounds finite and increasing; the buckets' values are as
 * many as `count`; minimum not above maximum. */
bool pw_point_of_histogram(const Otlp__HistogramDataPoint *from,
                           struct pw_histogram_point *ret_point);
/* The same for exponential buckets; populated ones hold numbers that a double can have. */
bool pw_point_of_exponential(const Otlp__ExponentialHistogramDataPoint *from,
                             struct pw_histogram_point *ret_point);
/* Nothing in it can contradict itself. Its quantiles are left: they cannot be merged. */
void pw_point_of_summary(const Otlp__SummaryDataPoint *from, struct pw_histogram_point *ret_point);

#endif
