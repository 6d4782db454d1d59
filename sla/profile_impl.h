/*
 * What the files behind sla/profile.h share. Not for others.
 */
#ifndef PW_SLA_PROFILE_IMPL_H
#define PW_SLA_PROFILE_IMPL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include "core/err.h"
#include "core/json_place.h"
#include "sla/bound.h"

/* The keys of a profile, and of a threshold that is an object. The reader and the schema are loops
 * over these tables. */
enum pw_profile_type {
    PW_PROFILE_TEXT,       /* a string, not empty, of one line */
    PW_PROFILE_NOTE,       /* any string */
    PW_PROFILE_WHOLE,      /* a whole number, from 0 to PW_LIMIT_ITERATIONS */
    PW_PROFILE_THRESHOLDS, /* an array of strings and objects, not empty */
    PW_PROFILE_CONDITIONS, /* an array of strings */
    PW_PROFILE_CHOICE,     /* a string of `choices` */
};
struct pw_profile_key {
    const char *name;
    enum pw_profile_type type;
    bool required;
    const char *choices[4]; /* PW_PROFILE_CHOICE: NULL-terminated, in the order of the enum */
    const char *help;
};
struct pw_profile_keys {
    const struct pw_profile_key *items;
    size_t count;
};
extern const struct pw_profile_keys pw_profile_keys, pw_profile_threshold_keys;

/* One profile's text while it is read. All borrowed. */
struct pw_profile_source {
    const char *path, *text;
    size_t size;
    const json_t *root;
};

/* A way into the document. */
enum { PW_PROFILE_STEPS_MAX = 4 };
struct pw_profile_at {
    struct pw_json_step steps[PW_PROFILE_STEPS_MAX];
    size_t count;
};
struct pw_profile_at pw_profile_at_key(struct pw_profile_at at, const char *key);
struct pw_profile_at pw_profile_at_index(struct pw_profile_at at, size_t index);

/* Records the fault as PW_ERR_INPUT, with the place of the value or, with `of_key`, of its key. */
__attribute__((format(printf, 5, 6))) int pw_profile_fail(const struct pw_profile_source *source,
                                                          struct pw_profile_at at, bool of_key,
                                                          struct pw_err *err, const char *format,
                                                          ...);
/* Checks an object: no unknown key, all required ones, each of its type. */
int pw_profile_check_keys(const struct pw_profile_source *source, struct pw_profile_at at,
                          const json_t *object, const struct pw_profile_keys *keys,
                          struct pw_err *err);

/* A bound, and where it stands. */
struct pw_profile_entry {
    struct pw_bound bound;
    char *path;
    struct pw_json_place place;
    bool own_min_samples;
};
struct pw_profile_entries {
    struct pw_profile_entry *items;
    size_t count, capacity;
};
void pw_profile_entries_done(struct pw_profile_entries *entries);
/* Takes what *entry owns, also on failure. */
int pw_profile_entries_add(struct pw_profile_entries *entries, struct pw_profile_entry *entry,
                           struct pw_err *err);

/* Adds the thresholds of one file, whose keys have been checked. */
int pw_profile_read_thresholds(const struct pw_profile_source *source,
                               struct pw_profile_entries *entries, struct pw_err *err);

/* Parses one condition of a bound. PW_ERR_USAGE; *ret_column is where in it the fault is. */
int pw_condition_check(const char *condition, size_t *ret_column, struct pw_err *err);
/* Whether the two have the same conditions, in any order. */
bool pw_bound_same_conditions(const struct pw_bound *a, const struct pw_bound *b);
/* Whether no summary keeps both; `a` and `b` may be one and the same. */
bool pw_bounds_clash(const struct pw_bound *a, const struct pw_bound *b);

#endif
