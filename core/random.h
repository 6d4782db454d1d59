/* Random bits that cannot be guessed, for tokens and ids; and numbers that only look random, the
 * same in each run. Threads: no state. */
#ifndef PW_CORE_RANDOM_H
#define PW_CORE_RANDOM_H

#include <stddef.h>
#include <stdint.h>
#include "core/err.h"

/* At most 256, which getrandom(2) gives whole. */
int pw_random_bytes(void *bytes, size_t count, struct pw_err *err);
/* Lower-case hex, two digits a byte, with a NUL behind. */
void pw_hex(const uint8_t *bytes, size_t count, char *ret_text);

/* The next number of a repeatable sequence, for resampling, never for secrets: splitmix64 (Steele,
 * Lea and Flood 2014). */
uint64_t pw_splitmix64(uint64_t *state);

#endif
