/*
 * The tracking table, a Markdown file that people keep in their repository: one row a run, in order
 * of their dates, inserted or replaced by the run's folder name.
 *
 * The table stands between two HTML comments, pw_track_begin and pw_track_end, each a line of its
 * own. What is around them stays as it is, byte for byte, and so do the other rows, but for their
 * change against the row before them, which is made anew. A file without these lines gets them,
 * with an empty table, at its end.
 *
 * Cells are escaped: nothing in a name or command can end a row, become markup or HTML, or look
 * like the end of the table. Threads: no shared state; see pw_track_open() for processes.
 */
#ifndef PW_SLA_TRACK_H
#define PW_SLA_TRACK_H

#include <stdbool.h>
#include "core/err.h"
#include "core/str.h"
#include "core/summary.h"

extern const char pw_track_begin[], pw_track_end[];

enum pw_track_change { PW_TRACK_INSERTED, PW_TRACK_REPLACED, PW_TRACK_UNCHANGED };
/* "inserted", "replaced", "unchanged". */
const char *pw_track_change_name(enum pw_track_change change);

/* `before`: the file's text, "" if there is none. The new text is added to *ret_text. `note`: for
 * the last column; NULL keeps that of the row. PW_ERR_INPUT if the table cannot be read (other
 * columns, a row that is cut off, no end), with its line, or if the summary has no date. */
int pw_track_update(const char *before, const struct pw_summary *summary, const char *path,
                    const char *note, struct pw_str *ret_text, enum pw_track_change *ret_change,
                    struct pw_err *err);

/*
 * The file itself. While it is open, the folder that it is in is locked (flock(2) of the folder, so
 * no lock file is left behind): several calls at once wait for each other and no row is lost. If
 * the file is a symbolic link, what it points to is meant.
 */
struct pw_track_file;

/* A missing file is an empty one; a missing folder, or one that cannot be locked, is an error: NULL
 * and err. Close it with pw_track_close(). */
struct pw_track_file *pw_track_open(const char *path, struct pw_err *err);
int pw_track_add(struct pw_track_file *file, const struct pw_summary *summary, const char *path,
                 const char *note, enum pw_track_change *ret_change, struct pw_err *err);
/* Writes the file whole, if anything changed; *ret_written says whether. */
int pw_track_save(const struct pw_track_file *file, bool *ret_written, struct pw_err *err);
void pw_track_close(struct pw_track_file *file); /* NULL is fine */

#endif
