/* What `perfwrap boot` does instead of booting: --fetch-kernel, --list, --stop. */
#ifndef PW_CLI_BOOT_OTHER_H
#define PW_CLI_BOOT_OTHER_H

#include <stdbool.h>
#include "core/err.h"
#include "wrapper/cli/boot_options.h"

bool pw_boot_is_other(const struct pw_boot_options *options);
/* As pw_cli_fail(), but what failed while SIGINT, SIGTERM or SIGHUP waited, blocked by
 * pw_signals_prepare(), is told as an interruption, with its exit status. */
int pw_boot_fail(const struct pw_err *err);
/* Returns the exit status. */
int pw_boot_other(const struct pw_boot_options *options);

#endif
