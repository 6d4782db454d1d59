/* Counts that stop at the largest number instead of beginning anew. Threads: no state. */
#ifndef PW_CORE_SATURATE_H
#define PW_CORE_SATURATE_H

#include <stdint.h>

static inline uint64_t pw_add_saturated(uint64_t a, uint64_t b)
{
    uint64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

#endif
