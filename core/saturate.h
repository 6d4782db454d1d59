/* Counts that stop at the largest number instead of beginning anew. Threads: no state. */
#ifndef PW_CORE_SATURATE_H
#define PW_CORE_SATURATE_H

#include <stdint.h>

static inline uint64_t pw_add_saturated(uint64_t a, uint64_t b)
{
    uint64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static inline int64_t pw_add_ns_saturated(int64_t a_ns, int64_t b_ns)
{
    int64_t sum_ns;
    return __builtin_add_overflow(a_ns, b_ns, &sum_ns) ? (a_ns < 0 ? INT64_MIN : INT64_MAX)
                                                       : sum_ns;
}

#endif
