/* The warden's program (see warden_proto.h), embedded at build time: an ELF image for
 * memfd_create(2). */
#ifndef PW_RUN_WARDEN_IMAGE_H
#define PW_RUN_WARDEN_IMAGE_H

#include <stddef.h>

extern const unsigned char pw_warden_image[];
extern const size_t pw_warden_image_size;

#endif
