#include "wrapper/boot/base/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include "core/file.h"
#include "wrapper/boot/base/interrupt.h"

enum { READ_BYTES = 128 * 1024 };

void pw_digest_end(struct sha256_ctx *context, char ret_digest[PW_DIGEST_TEXT])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t raw[SHA256_DIGEST_SIZE];
    sha256_digest(context, sizeof(raw), raw);
    for (size_t i = 0; i < sizeof(raw); i++) {
        ret_digest[2 * i] = digits[raw[i] >> 4];
        ret_digest[2 * i + 1] = digits[raw[i] & 15];
    }
    ret_digest[2 * sizeof(raw)] = '\0';
}

void pw_digest_bytes(const void *bytes, size_t size, char ret_digest[PW_DIGEST_TEXT])
{
    struct sha256_ctx context;
    sha256_init(&context);
    sha256_update(&context, size, bytes);
    pw_digest_end(&context, ret_digest);
}

static int add_all(int fd, struct sha256_ctx *context, const char *path, struct pw_err *err)
{
    PW_FREE_AUTO uint8_t *buffer = malloc(READ_BYTES);
    if (!buffer) {
        return pw_err_memory(err);
    }
    for (;;) {
        if (pw_interrupt_is_pending()) {
            return pw_err_system(err, EINTR, "read `%s`", path);
        }
        ssize_t count = read(fd, buffer, READ_BYTES);
        if (count < 0 && errno != EINTR) {
            return pw_err_input(err, errno, "read `%s`", path);
        }
        if (count == 0) {
            return 0;
        }
        if (count > 0) {
            sha256_update(context, (size_t)count, buffer);
        }
    }
}

int pw_digest_file(const char *path, char ret_digest[PW_DIGEST_TEXT], struct pw_err *err)
{
    struct sha256_ctx context;
    sha256_init(&context);
    PW_FD_AUTO fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return pw_err_input(err, errno, "open `%s`", path);
    }
    if (add_all(fd, &context, path, err) != 0) {
        return -1;
    }
    pw_digest_end(&context, ret_digest);
    return 0;
}
