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
