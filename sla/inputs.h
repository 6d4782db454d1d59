/*
 * From what stands on a command line to summary files: paths, folders and globs.
 *
 * A file is itself. A folder is the summary.json in it; if there is none, all summary.json below it
 * (symbolic links to folders are not followed). Anything with * ? [ that names no file is a glob
 * (glob(7), and ** for any depth). Each file once, also if named twice or by two paths (device and
 * inode); order: as given, within a folder or glob by name.
 *
 * Errors: PW_ERR_INPUT, naming the word, if it does not exist, matches nothing, or holds no
 * summary; or if there are more than PW_LIMIT_INPUT_FILES.
 */
#ifndef PW_SLA_INPUTS_H
#define PW_SLA_INPUTS_H

#include <stddef.h>
#include "core/err.h"

struct pw_inputs {
    char **paths;
    size_t count, capacity;
};
int pw_inputs_expand(const char *const *words, size_t count, struct pw_inputs *ret_inputs,
                     struct pw_err *err);
void pw_inputs_done(struct pw_inputs *inputs);

#endif
