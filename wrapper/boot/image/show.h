/*
 * Names from outside, in messages. Threads: no shared state.
 */
#ifndef PW_BOOT_IMAGE_SHOW_H
#define PW_BOOT_IMAGE_SHOW_H

/* `name` with `?` for what cannot be printed, cut off with `...` if it is long: `buffer`. */
enum { PW_IMAGE_SHOWN_BYTES = 96 };
const char *pw_image_show(const char *name, char buffer[PW_IMAGE_SHOWN_BYTES]);

#endif
