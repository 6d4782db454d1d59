/*
 * The environment variables of workers and hooks. In order, of two with one name the later wins:
 *
 *   1. perfwrap's own environment.
 *   2. Workers that report over OTLP: where to, and how often. What was inherited for another
 *      collector (OTEL_EXPORTER_OTLP_*: headers, compression, certificates) is not passed on, save
 *      what says how metrics are to be aggregated. Exporters, intervals and delays that are set
 *      already stay. OTEL_RESOURCE_ATTRIBUTES, NO_PROXY and no_proxy are added to.
 *   3. Workers: the variables of the plan's outfit (--agent, --otel-env, --worker-env).
 *   4. What tells them which one they are, instead of anything inherited under these names:
 *
 *      PERFWRAP_ITERATION   from 1; 0 in warm-up and in --setup and --cleanup
 *      PERFWRAP_WORKER_ID   from 1; not set for hooks
 *      PERFWRAP_RUN_DIR     the run's output folder, absolute
 *      PERFWRAP_WORKER_DIR  the worker's private working folder; not set for hooks
 *      PERFWRAP_MARK_FD     3, for workers, if a mark is to be told there (--mark NAME=fd3)
 *
 * Sources: OpenTelemetry specification, "Environment Variable Specification", "OpenTelemetry
 * Protocol Exporter" and "Environment Variables as Context Propagation Carriers"; W3C Trace
 * Context.
 */
#ifndef PW_RUN_ENVIRONMENT_H
#define PW_RUN_ENVIRONMENT_H

#include "core/err.h"
#include "wrapper/run/plan.h"

/* What is known about one worker before it starts, or about a hook; all borrowed. */
struct pw_worker_facts {
    unsigned iteration;
    unsigned worker_id;     /* 0: a hook, which is told nothing about reporting */
    const char *run_dir;    /* absolute */
    const char *worker_dir; /* absolute; NULL for a hook */
    const char *run_id;     /* NULL if `endpoint` is */
    const char *endpoint;   /* base URL without a slash at its end; with --otlp URL that one. NULL:
                               the worker is not told to report */
    const char *trace_id;   /* 32 and 16 hexadecimal digits: the span that the worker is. NULL if */
    const char *span_id;    /* `endpoint` is */
    const char *bearer_token; /* that the endpoint demands; NULL: none */
};

/* NULL-terminated, ready for exec; free with pw_environment_free(). NULL and err when out of
 * memory. */
char **pw_environment_new(const struct pw_plan *plan, const struct pw_worker_facts *facts,
                          struct pw_err *err);
void pw_environment_free(char **environment); /* NULL is fine */

#endif
