/* What a look at a process tree becomes: JSON, and blocks of a document. For cmd_footprint.c and
 * the files of `steady`. Threads: no shared state. */
#ifndef PW_CLI_FOOTPRINT_REPORT_H
#define PW_CLI_FOOTPRINT_REPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <time.h>
#include "core/document.h"
#include "core/str.h"
#include "wrapper/boot/machines.h"
#include "wrapper/cli/footprint_options.h"
#include "wrapper/cli/target.h"
#include "wrapper/probe/footprint.h"

/* A target that was found, and the first look at it. */
struct pw_foot_session {
    struct pw_target target;
    struct pw_proc *proc;
    struct pw_footprint *footprint;
    struct pw_foot_look look;
    struct timespec at; /* wall clock when the look began */
    bool is_machine;    /* TARGET is the name of a machine that `boot` left running */
    struct pw_kept machine;
};
#define PW_FOOT_SESSION_AUTO __attribute__((cleanup(pw_foot_session_done))) struct pw_foot_session

/* Fills *session, which is all zero. A word of digits is a pid, any other the name of a machine.
 * Errors: as pw_target_resolve() and pw_kept_find(), and PW_ERR_INPUT for a process that is gone,
 * is a kernel thread, or cannot be seen. */
int pw_foot_session_open(const struct pw_foot_options *given, const struct pw_parsed *parsed,
                         struct pw_foot_session *session, struct pw_err *err);
void pw_foot_session_done(struct pw_foot_session *session);
/* For an outcome that is not PW_FOOT_SEEN. Returns -1. */
int pw_foot_set_error(const struct pw_target *target, enum pw_foot_outcome outcome,
                      struct pw_err *err);

/* "2026-11-21T08:30:02.123456789Z". */
json_t *pw_foot_time_to_json(struct timespec wall);
/* `benchmark`, `workspace`, `backend`, `pid`, `pids`, `state`. */
void pw_foot_head_to_json(json_t *root, const char *benchmark,
                          const struct pw_foot_session *session, bool *failed);
/* Each of the first `count` fields under its key; if `unavailable` is not NULL, the reasons of
 * absent ones go there. */
void pw_foot_values_to_json(json_t *object, const struct pw_value *values, size_t count,
                            json_t *unavailable, bool *failed);
json_t *pw_footprint_to_json(const struct pw_foot_session *session);

/* "12.50 MiB", "7", "0.31 s", "no permission". */
void pw_foot_add_value(struct pw_str *out, enum pw_foot_unit unit, struct pw_value value);
/* The target, as a field. */
void pw_foot_target_field(struct pw_document *document, const struct pw_foot_session *session);
void pw_footprint_report(const struct pw_foot_session *session, struct pw_document *document);

#endif
