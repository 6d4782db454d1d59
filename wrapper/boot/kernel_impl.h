/* What the parts of kernel.h share. Threads: no shared state. */
#ifndef PW_BOOT_KERNEL_IMPL_H
#define PW_BOOT_KERNEL_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include "core/err.h"
#include "wrapper/boot/kernel.h"

enum { PW_KERNEL_RELEASE_BYTES = 65 };

/* Unpacking: kernel_unpack.c. Everything is bytes from outside. */

bool pw_kernel_is_elf(const void *bytes, size_t size);
/* Something that may be the release of a kernel, and so part of a path. */
bool pw_kernel_is_release(const char *text);
/* The ELF image within a bzImage, of `at_most` bytes. free(*ret_image). PW_ERR_INPUT: it is none,
 * or damaged, or larger, or packed in a way that is not known here (LZO). */
int pw_kernel_unpack_bytes(const void *bytes, size_t size, size_t at_most, char **ret_image,
                           size_t *ret_size, struct pw_err *err);
/* Whether it is the image of a Linux kernel for x86-64 with a PVH entry, and whole; and its
 * release. PW_ERR_INPUT. */
int pw_kernel_check_image(const void *bytes, size_t size, char ret_release[PW_KERNEL_RELEASE_BYTES],
                          struct pw_err *err);
/* Decompresses one stream of gzip, bzip2, LZMA, xz, LZ4 or zstd. `at_most` bytes come out, else
 * PW_ERR_INPUT; also if it is damaged, or none of these. */
int pw_kernel_inflate(const void *bytes, size_t size, size_t at_most, char **ret_bytes,
                      size_t *ret_size, struct pw_err *err);

/* An entry of the cache: kernel.c.
 *
 *   vmlinux            the ELF image
 *   vmlinux.sha256     its digest: taken once, for it takes longer than much of a boot
 *   release            text
 *   config             of a fetched one
 *   lib/modules/RELEASE/{kernel,modules.builtin}    of a fetched one
 */

/* Unpacks the image `path`, ELF or bzImage, which must be of `release`, into the entry that is
 * being made in `folder`. */
int pw_kernel_fill_entry(const char *path, const char *release, const char *folder,
                         struct pw_err *err);
/* Reads an entry. */
int pw_kernel_load_entry(const char *entry, struct pw_guest_kernel *ret_kernel, struct pw_err *err);
/* The newest fetched one: 1, 0 if there is none, -1. */
int pw_kernel_newest(const struct pw_state *state, struct pw_guest_kernel *ret_kernel,
                     struct pw_err *err);

#define PW_KERNEL_KIND "kernels"

#endif
