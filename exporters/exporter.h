/*
 * Exporters: from a summary to a text, one format each, in one table. An exporter sees the summary
 * and nothing else: no probe, no terminal, no file. Who calls it decides where the text goes.
 *
 * To add a format: write its render function in a file of its own and add a row in exporters.c.
 * Threads: the table is constant and the functions keep no state.
 */
#ifndef PW_EXPORTERS_EXPORTER_H
#define PW_EXPORTERS_EXPORTER_H

#include <stdbool.h>
#include <stddef.h>
#include "core/err.h"
#include "core/str.h"
#include "core/summary.h"

struct pw_export_style {
    bool color; /* escape sequences for a terminal may be used; formats that know none ignore it */
};

struct pw_exporter {
    const char *name; /* what --format calls it */
    const char
        *file_name; /* written into the run folder under this name; NULL: not written there */
    const char *result_key; /* names the file in the result lines; NULL with file_name */
    const char *help;       /* half a sentence */
    /* Adds the text to *ret_text. On failure, which can only be memory, *ret_text is of no use. */
    int (*render)(const struct pw_summary *summary, struct pw_export_style style,
                  struct pw_str *ret_text, struct pw_err *err);
};

enum { PW_EXPORTER_COUNT = 3 };
/* In the order in which files are written and result lines are printed. */
extern const struct pw_exporter pw_exporters[PW_EXPORTER_COUNT];

/* The exporter of that name, or NULL. */
const struct pw_exporter *pw_exporter_find(const char *name);

#endif
