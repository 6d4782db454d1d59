#include "core/random.h"

#include <errno.h>
#include <stdio.h>
#include <sys/random.h>

int pw_random_bytes(void *bytes, size_t count, struct pw_err *err)
{
    if (getrandom(bytes, count, 0) == (ssize_t)count) {
        return 0;
    }
    return pw_err_system(err, errno, "get random bytes");
}

void pw_hex(const uint8_t *bytes, size_t count, char *ret_text)
{
    ret_text[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        snprintf(ret_text + 2 * i, 3, "%02x", bytes[i]);
    }
}

uint64_t pw_splitmix64(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}
