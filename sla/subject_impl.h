/*
 * What the left side of a bound means: shared by the parser and by whoever looks the number up. Not
 * for others.
 */
#ifndef PW_SLA_SUBJECT_IMPL_H
#define PW_SLA_SUBJECT_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include "core/err.h"
#include "sla/bound.h"
#include "sla/unit.h"

/* A text within another. */
struct pw_piece {
    const char *text;
    size_t length;
};
bool pw_piece_is(struct pw_piece piece, const char *text);
/* As much of it as a message has room for, cut between characters. */
int pw_piece_shown(struct pw_piece piece);

/* An aggregate's word: "mean", "p95"; with `p(N)` the number has been read already. False if it is
 * none. */
bool pw_aggregate_find(struct pw_piece word, struct pw_aggregate *ret_aggregate);
/* NULL-terminated, for pw_nearest_name(). */
extern const char *const pw_aggregate_words[];
/* "mean", "p(95)", as a bound is written. */
enum { PW_AGGREGATE_TEXT_MAX = 40 };
void pw_aggregate_text(struct pw_aggregate aggregate, char text[PW_AGGREGATE_TEXT_MAX]);
/* The statistic that the metric table has for it; PW_STAT_COUNT if there is none (p(90.5)). */
enum pw_stat pw_aggregate_stat(struct pw_aggregate aggregate);

/* Which part of the left side is wrong. */
enum pw_subject_fault { PW_FAULT_NAME, PW_FAULT_AGGREGATE };

/* Fills subject, name, metric and aggregate of *bound; `aggregate` is what was written behind the
 * name (PW_AGGREGATE_NONE: nothing). On failure *ret_fault says where; err has no column. */
int pw_subject_resolve(const char *name, struct pw_aggregate aggregate, struct pw_bound *bound,
                       enum pw_subject_fault *ret_fault, struct pw_err *err);

/* Whether `name` is of a mark or a phase ("marks.…", "phases.…"), and, if so, what it means: as
 * pw_subject_resolve(). In subject_moment.c. */
bool pw_subject_is_moment(const char *name);
int pw_subject_resolve_moment(const char *name, struct pw_aggregate aggregate,
                              struct pw_bound *bound, enum pw_subject_fault *ret_fault,
                              struct pw_err *err);

/* The text of the unit of a bound's number, as far as it is known without a summary; NULL if not
 * (then *ret_in_summary says whether the summary itself will tell). */
const char *pw_subject_unit(const struct pw_bound *bound, bool *ret_in_summary);

#endif
