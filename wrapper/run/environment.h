/*
 * The environment variables of workers and hooks: perfwrap's own, less any PERFWRAP_* name that is
 * set here, and what tells the worker which one it is:
 *
 *   PERFWRAP_ITERATION   from 1; 0 in warm-up and in --setup and --cleanup
 *   PERFWRAP_WORKER_ID   from 1; not set for hooks
 *   PERFWRAP_RUN_DIR     the run's output folder, absolute
 *   PERFWRAP_WORKER_DIR  the worker's private working folder; not set for hooks
 */
#ifndef PW_RUN_ENVIRONMENT_H
#define PW_RUN_ENVIRONMENT_H

#include "core/err.h"

/* NULL-terminated, ready for exec; free with pw_environment_free(). `worker_id` 0 and `worker_dir`
 * NULL: a hook's. NULL and err when out of memory. */
char **pw_environment_new(unsigned iteration, unsigned worker_id, const char *run_dir,
                          const char *worker_dir, struct pw_err *err);
void pw_environment_free(char **environment);

#endif
