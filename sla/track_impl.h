/* Inside the tracking table: its columns, and one row made of a summary. */
#ifndef PW_SLA_TRACK_IMPL_H
#define PW_SLA_TRACK_IMPL_H

#include <stddef.h>
#include "core/err.h"
#include "core/str.h"
#include "core/summary.h"

enum pw_track_column {
    PW_TRACK_DATE,
    PW_TRACK_RUN,
    PW_TRACK_PROFILE,
    PW_TRACK_COMMAND,
    PW_TRACK_COUNTS,
    PW_TRACK_FAILED,
    PW_TRACK_P50,
    PW_TRACK_P95,
    PW_TRACK_THROUGHPUT,
    PW_TRACK_RSS,
    PW_TRACK_CPU,
    PW_TRACK_DELTA,
    PW_TRACK_NOTE,
    PW_TRACK_COLUMNS
};
extern const char *const pw_track_headers[PW_TRACK_COLUMNS];
/* The columns from here to PW_TRACK_DELTA hold numbers. */
enum { PW_TRACK_FIRST_NUMBER = PW_TRACK_COUNTS };

/* A part of a text. */
struct pw_track_cell {
    const char *text;
    size_t length;
};

/* Adds `text` so that Markdown shows it as it is, in one line. */
void pw_track_add_cell(struct pw_str *out, const char *text);
/* The cells of a summary, escaped, each in a string of its own; PW_TRACK_DELTA is left empty, and
 * so is PW_TRACK_NOTE without a note. */
int pw_track_cells_of(const struct pw_summary *summary, const char *path, const char *note,
                      struct pw_str cells[PW_TRACK_COLUMNS], struct pw_err *err);

#endif
