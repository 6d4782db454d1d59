/* The options of `perfwrap boot`. Threads: no shared state. */
#ifndef PW_CLI_BOOT_OPTIONS_H
#define PW_CLI_BOOT_OPTIONS_H

#include <stdbool.h>
#include "core/err.h"
#include "wrapper/boot/machine.h"
#include "wrapper/cli/run_options.h"

/* `run` comes first: its option table fills it. */
struct pw_boot_options {
    struct pw_run_options run;
    const char *image, *exec, *size, *network, *start, *accel;
    const char *kernel, *supervisor, *mke2fs, *vmm_cmd, *vmm_config, *state_dir;
    struct pw_option_list environment;
    double timeout_sec;
    unsigned hold;
    const char *keep, *stop;
    bool fetch_kernel, list;
    const char *mode;
    bool help;
};

extern const struct pw_option_set pw_boot_option_set;

/* What the table cannot say: options of run that have no place here, and those that exclude each
 * other. Sets what differs from run's defaults. PW_ERR_USAGE. */
int pw_boot_options_complete(struct pw_boot_options *options, const struct pw_parsed *parsed,
                             struct pw_err *err);

#endif
