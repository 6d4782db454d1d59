/*
 * The run folder of `footprint` and `steady`, with summary.json as every run has it: an iteration
 * for each look, with one worker that has no duration, for it was there before and went on.
 *
 * Life: zeroed, begin (before anything is waited for, so that a folder that cannot be written is
 * told at once), write; done at any point, which removes a folder without a summary. Threads: one
 * at a time.
 */
#ifndef PW_CLI_FOOTPRINT_SUMMARY_H
#define PW_CLI_FOOTPRINT_SUMMARY_H

#include "core/err.h"
#include "wrapper/cli/footprint_report.h"
#include "wrapper/cli/result.h"
#include "wrapper/cli/steady.h"

struct pw_foot_summary {
    struct pw_result result;
    bool is_open;
};
#define PW_FOOT_SUMMARY_AUTO __attribute__((cleanup(pw_foot_summary_done))) struct pw_foot_summary
void pw_foot_summary_done(struct pw_foot_summary *summary);

/* Makes the folder. `benchmark`: "footprint", "steady", which is also the profile's name unless
 * --profile-name says another. PW_ERR_SYSTEM if it cannot be made. */
int pw_foot_summary_begin(const struct pw_foot_options *given, const char *benchmark,
                          const struct pw_foot_session *session, struct pw_foot_summary *summary,
                          struct pw_err *err);
/* Of more than PW_LIMIT_FOOTPRINT_ITERATIONS samples only every second, third, … becomes an
 * iteration, with a warning in the summary. */
int pw_foot_summary_write(struct pw_foot_summary *summary, const struct pw_foot_session *session,
                          const struct pw_steady *steady, struct pw_err *err);
/* The one look of `footprint`. */
int pw_foot_summary_write_one(struct pw_foot_summary *summary,
                              const struct pw_foot_session *session, struct pw_err *err);

/* The result in the form that is asked for, with where the summary is: as `summary_json` of a JSON
 * document, as lines behind a text. Takes the reference of `json`. Returns the exit status. */
int pw_foot_summary_print(const struct pw_foot_options *given,
                          const struct pw_foot_summary *summary, const struct pw_document *document,
                          json_t *json);
/* Puts `summary_json` into the document, if a summary was written. */
void pw_foot_summary_put_path(const struct pw_foot_summary *summary, json_t *json);

#endif
