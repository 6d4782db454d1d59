/*
 * From what stands on a command line to summary files: paths, folders and globs.
 *
 * A file is itself. A folder is the summary.json in it; if there is none, all summary.json below it
 * (symbolic links to folders are not followed). Anything with * ? [ that names no file is a glob
 * (glob(7), and ** for any depth). Each file once, also if named twice or by two paths (device and
 * inode); order: as given, within a folder or glob by name.
 *
 * Names that begin with a dot are matched only by a pattern that does, also by **. What a glob
 * matches is a file or a folder as if it had been given; a folder without a summary is passed over.
 *
 * Errors: PW_ERR_INPUT, naming the word, if it does not exist, matches nothing, or holds no
 * summary; or if there are more than PW_LIMIT_INPUT_FILES. Threads: no state.
 */
#ifndef PW_SLA_INPUTS_H
#define PW_SLA_INPUTS_H

#include <stddef.h>
#include <sys/stat.h>
#include "core/err.h"
#include "core/summary.h"

struct pw_inputs {
    char **paths;
    size_t count, capacity;
};
int pw_inputs_expand(const char *const *words, size_t count, struct pw_inputs *ret_inputs,
                     struct pw_err *err);
/* The same, and calls `taken` for each file as soon as it is found, with what stat(2) says of it,
 * so that reading can begin; a failure of `taken` ends it. The path is to be copied. */
int pw_inputs_expand_each(const char *const *words, size_t count,
                          int (*taken)(const char *path, const struct stat *info, void *context,
                                       struct pw_err *err),
                          void *context, struct pw_inputs *ret_inputs, struct pw_err *err);
void pw_inputs_done(struct pw_inputs *inputs);

/* As pw_inputs_expand(), for a place where exactly one summary is meant; `what` names it in
 * messages ("--baseline"). free(*ret_path). */
int pw_inputs_expand_one(const char *word, const char *what, char **ret_path, struct pw_err *err);

/* pw_summary_load(), and stricter: a baseline index in the place of a summary is called that, and
 * where the metric table expects a number, anything else but null is refused. For gates: a number
 * written as a string would else count as missing. */
struct pw_summary *pw_inputs_load_summary(const char *path, struct pw_err *err);

#endif
