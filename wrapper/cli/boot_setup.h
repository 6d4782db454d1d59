/*
 * All that a boot needs before the first machine is started, in the order in which it is found or
 * made: accelerator, kernel, image, first file system, snapshot; and what it says of itself in the
 * summary. What can be told of a machine while it is measured is in wrapper/boot/verdict.h.
 *
 * Life: PW_BOOT_SETUP_INIT, pw_boot_set_up(), pw_boot_fill_plan(); pw_boot_setup_done() also after
 * a failure, and after the session that uses the plan. Threads: one at a time.
 */
#ifndef PW_CLI_BOOT_SETUP_H
#define PW_CLI_BOOT_SETUP_H

#include <jansson.h>
#include <stdint.h>
#include "core/err.h"
#include "core/record.h"
#include "wrapper/boot/base/state.h"
#include "wrapper/boot/image/image.h"
#include "wrapper/boot/kernel.h"
#include "wrapper/boot/machine.h"
#include "wrapper/boot/snapshot.h"
#include "wrapper/cli/boot_options.h"
#include "wrapper/run/kind.h"

struct pw_boot_setup {
    const struct pw_boot_options *options;
    struct pw_state state;
    struct pw_guest_kernel kernel;
    struct pw_image image; /* if options->image */
    struct pw_snapshot snapshot;
    struct pw_machine machine;
    struct pw_words argv;
    char *monitor, *version; /* its path, and what it says of itself */
    char *initrd;
    bool is_qemu;
    /* Of another monitor: */
    struct pw_machine_uses uses;
    struct pw_str config; /* for each machine, with placeholders of wrapper/run/outfit.h */
    /* For the session: */
    struct pw_worker_kind kind;
    const struct pw_moment_names *names;
};
#define PW_BOOT_SETUP_INIT ((struct pw_boot_setup){.config = PW_STR_INIT})

/* Whether files were in memory already is left to chance, and said. */
#define PW_BOOT_CACHE_CONDITION "host_page_cache_uncontrolled"

/* Tells what takes long on standard error, unless --quiet. Errors: as of the headers above. */
int pw_boot_set_up(const struct pw_boot_options *options, struct pw_boot_setup *setup,
                   struct pw_err *err);
void pw_boot_setup_done(struct pw_boot_setup *setup);

/* Whether the host's memory would hold all machines that are to run at once: PW_ERR_SYSTEM with
 * ENOMEM if not. `environment` is of wrapper/probe/host.h. */
int pw_boot_check_memory(const struct pw_boot_setup *setup, const json_t *environment,
                         struct pw_err *err);
/* Completes a plan that was made with setup->argv.items as its command. */
int pw_boot_fill_plan(struct pw_boot_setup *setup, struct pw_owned_plan *plan, struct pw_err *err);
/* The run's `machine`, and what its `environment` gets. */
int pw_boot_describe(const struct pw_boot_setup *setup, struct pw_run_record *run,
                     struct pw_err *err);

#endif
