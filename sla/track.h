/*
 * The tracking table, a Markdown file that people keep in their repository: one row a run, newest
 * last, inserted or replaced by the run's folder name. Everything around the table, and rows of
 * others, stay as they are byte by byte.
 */
#ifndef PW_SLA_TRACK_H
#define PW_SLA_TRACK_H

#include "core/err.h"
#include "core/str.h"
#include "core/summary.h"

enum pw_track_change { PW_TRACK_INSERTED, PW_TRACK_REPLACED, PW_TRACK_UNCHANGED };

/* `before`: the file's text, "" if there is none. The new text goes to *ret_text. PW_ERR_INPUT if
 * the file has a table of ours that cannot be read (other columns, a cut-off row), with its line.
 */
int pw_track_update(const char *before, const struct pw_summary *summary, const char *path,
                    struct pw_str *ret_text, enum pw_track_change *ret_change, struct pw_err *err);

#endif
