/* The guest's init (guest/init.c), embedded at build time: a static ELF program. */
#ifndef PW_BOOT_GUEST_IMAGE_H
#define PW_BOOT_GUEST_IMAGE_H

#include <stddef.h>

extern const unsigned char pw_guest_image[];
extern const size_t pw_guest_image_size;

#endif
