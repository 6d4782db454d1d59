#include "wrapper/boot/image/show.h"

#include <stdio.h>

const char *pw_image_show(const char *name, char buffer[PW_IMAGE_SHOWN_BYTES])
{
    size_t length = 0;
    for (; length < PW_IMAGE_SHOWN_BYTES - 4 && name[length] != '\0'; length++) {
        unsigned char c = (unsigned char)name[length];
        buffer[length] = c < ' ' || c >= 0x7f ? '?' : (char)c;
    }
    snprintf(buffer + length, 4, "%s", name[length] == '\0' ? "" : "...");
    return buffer;
}
