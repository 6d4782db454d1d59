/*
 * What is kept of an image's configuration beside its file system, and its user by number. Threads:
 * no shared state.
 */
#ifndef PW_BOOT_IMAGE_CONFIG_H
#define PW_BOOT_IMAGE_CONFIG_H

#include "core/err.h"
#include "wrapper/boot/image/image.h"

/* PW_ERR_SYSTEM if it cannot be written. */
int pw_image_config_write(const char *path, const struct pw_image *image, struct pw_err *err);
/* Into an image that has none. PW_ERR_INPUT if the file is missing or damaged. */
int pw_image_config_read(const char *path, struct pw_image *image, struct pw_err *err);
/* Replaces image->user by numbers, by the passwd and group files beneath `root`.
 * PW_ERR_INPUT for a name that is not in them. */
int pw_image_user_resolve(int root, struct pw_image *image, struct pw_err *err);

#endif
