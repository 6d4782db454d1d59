/*
 * One run from the command line's point of view: the record while it is measured, and afterwards
 * the documents in its folder.
 *
 * Life: pw_result_init(), pw_result_describe() before the session, the session, then
 * pw_result_write(); pw_result_done() at any point.
 */
#ifndef PW_CLI_RESULT_H
#define PW_CLI_RESULT_H

#include "core/err.h"
#include "core/record.h"
#include "core/str.h"
#include "core/summary.h"
#include "exporters/exporter.h"
#include "wrapper/cli/run_options.h"
#include "wrapper/cli/watch.h"

struct pw_result {
    struct pw_run_record run;
    struct pw_summary *summary;     /* NULL until it is written */
    char *paths[PW_EXPORTER_COUNT]; /* of the documents that were written */
};

void pw_result_init(struct pw_result *result);
void pw_result_done(struct pw_result *result);

/* What the record says about the call itself. */
int pw_result_describe(struct pw_result *result, const struct pw_owned_plan *plan,
                       struct pw_err *err);

/* A warning that is known before the session: told at once, unless `quiet`, and kept in the
 * summary. */
int pw_result_note(struct pw_result *result, bool quiet, const char *kind, const char *advice,
                   const char *message, struct pw_err *err);
/* Options without effect, shell syntax that no shell will see, and inherited variables that bear on
 * what the workers report. */
int pw_result_note_call(struct pw_result *result, const struct pw_run_options *options,
                        const struct pw_parsed *parsed, const struct pw_owned_plan *plan,
                        bool quiet, struct pw_err *err);

/* So that bounds, which are on numbers, can ask for it: `environment.hardware_virtualization` is 1
 * or 0 where `environment.accelerator` names what machines run on ("qemu-kvm", "qemu-tcg"). Before
 * a gate judges; pw_result_write() does it too. */
int pw_result_describe_accelerator(struct pw_result *result, struct pw_err *err);

/* Keeps what was seen of failures in the warm-up. */
void pw_result_keep_warmup(struct pw_result *result, const struct pw_watch *watch);
/* The exit status of a session, which returned `session_result` and `session_err`: an interruption
 * or a failure, which is told on standard error, else that of the workers. */
int pw_result_status(const struct pw_result *result, const struct pw_plan *plan, int session_result,
                     const struct pw_err *session_err);
/* Judges the record, makes the summary and writes all documents. Not possible without a run folder;
 * a folder in which nothing was measured is removed instead, unless the run was interrupted, and
 * the summary stays NULL. */
int pw_result_write(struct pw_result *result, struct pw_err *err);
/* Adds the lines that name the documents: `summary_json=PATH`. */
void pw_result_add_lines(const struct pw_result *result, struct pw_str *ret_text);
/* The path of summary.json, "" if it was not written. */
const char *pw_result_summary_path(const struct pw_result *result);

#endif
