/* What `perfwrap boot` prints. Threads: no shared state. */
#ifndef PW_CLI_BOOT_REPORT_H
#define PW_CLI_BOOT_REPORT_H

#include <jansson.h>
#include <stddef.h>
#include "core/document.h"
#include "core/record.h"

/* Boots of the run that did not end with verdict `ok`. */
size_t pw_boot_failures(const struct pw_run_record *run);
/* One document with the fields that tools for machine boots have settled on (benchmark, image_ref,
 * profile, boundary, cache_condition, iterations[], summary), and ours beside them. New reference;
 * NULL if memory ran out. */
json_t *pw_boot_to_json(const struct pw_run_record *run, const char *summary_path);
/* The machine, for before the short table of every run. */
void pw_boot_report(const struct pw_run_record *run, struct pw_document *document);

#endif
