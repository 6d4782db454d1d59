/*
 * The folder of a run: `<out-dir>/<name>-<YYYYMMDD-HHMMSS>/` (contract, section 1).
 */
#ifndef PW_RUN_RUN_DIR_H
#define PW_RUN_RUN_DIR_H

#include "core/err.h"
#include "core/record.h"

/*
 * Makes it, with the parents, and proves that it can be written to. Of two runs in one second the
 * later takes the next free second, so that the name keeps its form. *ret_path is absolute; free()
 * it. `name` NULL: "local-perf".
 */
int pw_run_dir_make(const char *out_dir, const char *name, char **ret_path, struct pw_err *err);
/* Writes iteration-NNN.json, whole or not at all. */
int pw_run_dir_write_iteration(const char *run_dir, const struct pw_iteration_record *iteration,
                               struct pw_err *err);

#endif
