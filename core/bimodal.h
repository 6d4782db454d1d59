/*
 * Does a sample have more than one mode? Hartigan's dip test: bimodal.c says with which threshold,
 * and why. Threads: no state. Errors: PW_ERR_MEMORY, PW_ERR_INPUT for a value that is not finite.
 */
#ifndef PW_CORE_BIMODAL_H
#define PW_CORE_BIMODAL_H

#include <stdbool.h>
#include <stddef.h>
#include "core/err.h"

enum { PW_BIMODAL_LEAST = 10 }; /* fewer values are never called bimodal */

/* Wrong for 3 % of normally distributed samples. Always false where there are not three different
 * values. */
int pw_is_bimodal(const double *values, size_t n, bool *ret_bimodal, struct pw_err *err);

/* The dip, 1 / 2n to 1/4; 0 where all values are equal. Equal values count as if rounding had made
 * them equal. */
int pw_dip_of(const double *values, size_t n, double *ret_dip, struct pw_err *err);

#endif
