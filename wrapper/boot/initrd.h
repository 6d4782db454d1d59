/*
 * The guest's first file system: its init, the modules that the machine needs in the order of their
 * dependencies, and, for monitors without fw_cfg, the job. Format: cpio "newc" (Linux,
 * Documentation/driver-api/early-userspace/buffer-format). Threads: no shared state.
 */
#ifndef PW_BOOT_INITRD_H
#define PW_BOOT_INITRD_H

#include <stdbool.h>
#include <stddef.h>
#include "core/err.h"
#include "core/str.h"
#include "wrapper/boot/kernel.h"

/* One member of an archive. */
void pw_cpio_add_folder(struct pw_str *archive, const char *path);
void pw_cpio_add_file(struct pw_str *archive, const char *path, unsigned mode, const void *bytes,
                      size_t size);
/* A character device. */
void pw_cpio_add_device(struct pw_str *archive, const char *path, unsigned major, unsigned minor);
void pw_cpio_end(struct pw_str *archive); /* the trailer, padded to 512 bytes */

struct pw_initrd_needs {
    bool disk, network;
    bool pci; /* virtio over PCI; else over MMIO */
};
/* The archive: /init, /dev/console, /modules/NN-NAME.ko in loading order. PW_ERR_INPUT for a module
 * that is missing. */
int pw_initrd_build(const struct pw_guest_kernel *kernel, const struct pw_initrd_needs *needs,
                    struct pw_str *ret_archive, struct pw_err *err);
/* A second archive, to be put behind the first: PW_JOB_FILE. */
void pw_initrd_add_job(struct pw_str *archive, const void *job, size_t size);

#endif
