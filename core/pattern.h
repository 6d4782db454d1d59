/*
 * Regular expressions: PCRE2, UTF-8 (invalid UTF-8 never matches and is no error), with limits on
 * the work of one match, so that no pattern and no text from outside can take long.
 *
 * A pattern is constant after it is made; any thread may match with it.
 */
#ifndef PW_CORE_PATTERN_H
#define PW_CORE_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include "core/err.h"

struct pw_pattern;
/* PW_ERR_USAGE, with the place (from 1) in the pattern, if it is faulty. */
int pw_pattern_new(const char *text, bool ignore_case, struct pw_pattern **ret_pattern,
                   struct pw_err *err);
void pw_pattern_free(struct pw_pattern *pattern); /* NULL is fine */
/* Whether it matches anywhere; false too if a limit was reached. */
bool pw_pattern_matches(const struct pw_pattern *pattern, const char *subject, size_t length);

#endif
