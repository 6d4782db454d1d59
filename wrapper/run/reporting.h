/*
 * How workers report to perfwrap: the session's collector, each worker's endpoint in it, and what
 * becomes of what arrived.
 *
 * Life: pw_reporting_open() once a session; for each worker of an iteration pw_reporter_open(), and
 * when all of them have ended pw_reporting_take() once; pw_reporting_close() at the end. Where the
 * plan wants no telemetry, or has it sent elsewhere (--otlp URL), there is no collector, and
 * records stay without telemetry. Threads: one at a time.
 */
#ifndef PW_RUN_REPORTING_H
#define PW_RUN_REPORTING_H

#include <stddef.h>
#include "collector/collector.h"
#include "core/err.h"
#include "core/record.h"
#include "wrapper/run/environment.h"
#include "wrapper/run/mark_watch.h"
#include "wrapper/run/plan.h"

enum { PW_UUID_TEXT = 37, PW_TRACE_ID_TEXT = 33, PW_SPAN_ID_TEXT = 17, PW_BEARER_TEXT = 33 };

struct pw_reporting {
    const struct pw_plan *plan;
    struct pw_classifier *classifier;
    struct pw_collector *collector; /* NULL: none */
    char run_id[PW_UUID_TEXT];      /* a random UUID */
    char bearer[PW_BEARER_TEXT];    /* demanded beyond loopback; else "" */
};

/* One worker's way to report. */
struct pw_reporter {
    struct pw_endpoint *endpoint;                              /* NULL: none of ours */
    char trace_id[PW_TRACE_ID_TEXT], span_id[PW_SPAN_ID_TEXT]; /* of the worker's span, hex */
};

/* The plan is borrowed. `reporting` may be closed after a failure too. */
int pw_reporting_open(struct pw_reporting *reporting, const struct pw_plan *plan,
                      struct pw_err *err);
/* `run`, if not NULL, gets what came late and what belonged to nobody. */
void pw_reporting_close(struct pw_reporting *reporting, struct pw_run_record *run);

/* Opens the worker's endpoint and fills the parts of `facts` that tell it where to report; they
 * point into `reporting` and `reporter`. `watch` is told of the plan's marks that come over OTLP,
 * on the collector's thread, and must live as long as the collector; NULL: nobody is told. */
int pw_reporter_open(const struct pw_reporting *reporting, struct pw_reporter *reporter,
                     struct pw_worker_facts *facts, struct pw_mark_watch *watch,
                     struct pw_err *err);
/* After the end of all workers: waits for what is under way, closes the endpoints, and moves what
 * each received into its record. */
int pw_reporting_take(const struct pw_reporting *reporting, struct pw_reporter *const *reporters,
                      struct pw_worker_record *records, size_t count, struct pw_err *err);

#endif
