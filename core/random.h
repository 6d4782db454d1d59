/* Random bits that cannot be guessed, for tokens and ids. Threads: no state. */
#ifndef PW_CORE_RANDOM_H
#define PW_CORE_RANDOM_H

#include <stddef.h>
#include <stdint.h>
#include "core/err.h"

/* At most 256, which getrandom(2) gives whole. */
int pw_random_bytes(void *bytes, size_t count, struct pw_err *err);
/* Lower-case hex, two digits a byte, with a NUL behind. */
void pw_hex(const uint8_t *bytes, size_t count, char *ret_text);

#endif
