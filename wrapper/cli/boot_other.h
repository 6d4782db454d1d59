/* What `perfwrap boot` does instead of booting: --fetch-kernel, --list, --stop. */
#ifndef PW_CLI_BOOT_OTHER_H
#define PW_CLI_BOOT_OTHER_H

#include <stdbool.h>
#include "wrapper/cli/boot_options.h"

bool pw_boot_is_other(const struct pw_boot_options *options);
/* Returns the exit status. */
int pw_boot_other(const struct pw_boot_options *options);

#endif
