/*
 * The language of bounds, the same on the command line and in profile files:
 *
 *   METRIC [AGGREGATE] OP LIMIT
 *   METRIC [AGGREGATE] within TOLERANCE of LIMIT
 *
 *   METRIC     a row of the metric table (latency_ms), any dotted number of the summary,
 *              marks.NAME_ms, phases.NAME_ms, or otel.NAME, action.NAME, span.NAME; in double
 * quotes where it holds blanks or operators: "span.tool call" AGGREGATE  mean, avg, med, median,
 * min, max, stddev, mad, total, count, failures, errors, p(N), pN (0 to 100) OP         <= < >= >
 * == != LIMIT      NUMBER[UNIT], or baseline[*NUMBER][+NUMBER[UNIT]|-NUMBER[UNIT]] TOLERANCE
 * NUMBER% (of the limit, whatever the metric is in) or NUMBER[UNIT]
 *
 * METRIC.STATISTIC (latency_ms.p95) means the same as METRIC AGGREGATE (latency_ms p(95)). Every
 * metric that is no single number needs an aggregate. Blanks are free around operators. There is no
 * `and` and no `or`: one bound, one line. Units: ns us ms s min h; B KB MB GB KiB MiB GiB; %;
 * runs/s; a plain count has none. A unit of another kind than the metric's is an error. Unknown
 * names of what looks like a metric get the nearest one.
 *
 * KB, MB and GB are powers of 1000, KiB, MiB and GiB of 1024.
 *
 * Errors: PW_ERR_USAGE; the message begins with "column N: ", in bytes from 1, and there is a
 * remedy where one is known. At most PW_LIMIT_EXPRESSION_BYTES. Threads: no state.
 */
#ifndef PW_SLA_EXPRESSION_H
#define PW_SLA_EXPRESSION_H

#include <stddef.h>
#include "core/err.h"
#include "sla/bound.h"

/* Fills *ret_bound (to be ended with pw_bound_done()). `ret_column`, which may be NULL, is set on
 * failure: where in `text` the fault is, from 1. */
int pw_expression_parse(const char *text, struct pw_bound *ret_bound, size_t *ret_column,
                        struct pw_err *err);

#endif
