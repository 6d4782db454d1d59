/*
 * A CPU profile's files in the run folder: xctrace-traces/STEM.folded, .pb.gz and .svg, see
 * exporters/cpu_profile.h. Threads: no shared state.
 */
#ifndef PW_CLI_PROFILE_FILES_H
#define PW_CLI_PROFILE_FILES_H

#include <jansson.h>
#include "core/cpu_profile.h"
#include "core/err.h"

#define PW_PROFILE_FOLDER "xctrace-traces"

enum pw_profile_files {
    PW_PROFILE_FILES_ALL,
    PW_PROFILE_FILES_PPROF, /* .pb.gz alone: of one iteration */
};

/* Writes each file whole or not at all; the folder is made if there is none. The paths of those
 * that are there, relative to the run folder, are appended to `paths`, a JSON array: also on
 * failure. After a file that failed the others are still written; `err` is the first failure. A
 * profile without samples is no failure: it makes files that say so. `stem` is a file's name
 * without "/". */
int pw_profile_files_write(const struct pw_cpu_profile *profile, const char *run_dir,
                           const char *stem, const char *title, enum pw_profile_files which,
                           json_t *paths, struct pw_err *err);

#endif
