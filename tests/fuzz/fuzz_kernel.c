/* A kernel from outside: what is in a bzImage, and what an ELF image says of itself. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "wrapper/boot/kernel_impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const void *bytes, size_t size)
{
    char release[PW_KERNEL_RELEASE_BYTES];
    if (pw_kernel_check_image(bytes, size, release, NULL) == 0 &&
        (!pw_kernel_is_release(release) || strchr(release, '/') || release[0] == '.')) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { AT_MOST = 1 << 20 };
    char *image = NULL;
    size_t image_size = 0;

    check(data, size);
    if (pw_kernel_unpack_bytes(data, size, AT_MOST, &image, &image_size, NULL) == 0) {
        if (image_size > AT_MOST) {
            abort();
        }
        check(image, image_size);
        free(image);
    }
    return 0;
}
