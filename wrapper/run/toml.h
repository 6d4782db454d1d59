/*
 * As much of TOML as is needed to take one table out of a configuration file and leave the rest as
 * it is, to the byte. Source: TOML 1.0.0.
 */
#ifndef PW_RUN_TOML_H
#define PW_RUN_TOML_H

#include "core/err.h"
#include "core/str.h"

/*
 * Adds `text` without the top-level table `name`, in whatever ways it is written: [name],
 * [name.sub], [[name]], name.key = …, name = { … }. Tables of that name within others stay. What
 * follows ends in a newline, so that a table may be added. PW_ERR_INPUT with the line of a string
 * or bracket that is not closed; other faults are left for the file's reader to find.
 */
int pw_toml_drop_table(const char *text, const char *name, struct pw_str *out, struct pw_err *err);

#endif
