/*
 * The guest's kernel: an uncompressed ELF image that a monitor starts by the PVH entry, and the
 * modules that belong to it.
 *
 * A compressed one (bzImage) is unpacked once and kept in the cache, for unpacking it in the guest
 * takes longer than most of the boot. Sources: Linux, Documentation/arch/x86/boot; Xen,
 * docs/misc/pvh.pandoc (the ELF note XEN_ELFNOTE_PHYS32_ENTRY).
 * Threads: no shared state.
 */
#ifndef PW_BOOT_KERNEL_H
#define PW_BOOT_KERNEL_H

#include <stdbool.h>
#include "core/err.h"
#include "wrapper/boot/base/digest.h"
#include "wrapper/boot/base/state.h"

struct pw_guest_kernel {
    char *image;   /* path of the ELF image */
    char *release; /* "6.1.0-56-cloud-amd64" */
    char *modules; /* a folder with lib/modules/RELEASE's `kernel` tree below; NULL: none */
    char digest[PW_DIGEST_TEXT]; /* of the image */
};
#define PW_GUEST_KERNEL_AUTO __attribute__((cleanup(pw_guest_kernel_done))) struct pw_guest_kernel
void pw_guest_kernel_done(struct pw_guest_kernel *kernel);

/* `given` (--kernel): an ELF image or a bzImage, with modules beside it (../lib/modules/RELEASE) or
 * in /lib/modules/RELEASE. NULL: the newest that pw_kernel_fetch() put into the state folder.
 * PW_ERR_INPUT: no kernel (remedy: --fetch-kernel), not a kernel, no PVH entry, damaged, for
 * another architecture, packed with LZO. */
int pw_kernel_find(const struct pw_state *state, const char *given,
                   struct pw_guest_kernel *ret_kernel, struct pw_err *err);
/* Gets the newest cloud kernel of this Debian's packages into the state folder, without installing
 * it. *ret_new: it was not there. Without network or package lists one that is there will do. As
 * root the package lists are got if they are missing. PW_ERR_INPUT where there is no apt-get
 * (remedy: --kernel); PW_ERR_SYSTEM if it cannot be downloaded. */
int pw_kernel_fetch(const struct pw_state *state, struct pw_guest_kernel *ret_kernel, bool *ret_new,
                    struct pw_err *err);

/* The path of module NAME ("virtio_blk") below kernel->modules, free() it. PW_ERR_INPUT if it is
 * not there, or of another release, unless the kernel has it built in, as modules.builtin says:
 * then *ret_path is NULL. Compressed modules (.ko.xz, .ko.gz, .ko.zst) are found too. */
int pw_kernel_module(const struct pw_guest_kernel *kernel, const char *name, char **ret_path,
                     struct pw_err *err);
/* The bytes of a module, decompressed. free(*ret_bytes). */
int pw_kernel_module_read(const char *path, char **ret_bytes, size_t *ret_size, struct pw_err *err);

#endif
