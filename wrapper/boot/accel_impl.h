/* What the parts of accel.h share with its tests. Threads: no shared state. */
#ifndef PW_BOOT_ACCEL_IMPL_H
#define PW_BOOT_ACCEL_IMPL_H

#include <stdbool.h>

#include "wrapper/boot/accel.h"

/* pw_accel_choose() after the probe. */
int pw_accel_choose_probed(const char *wanted, const struct pw_kvm_probe *probe,
                           struct pw_accel_choice *ret_choice, struct pw_err *err);
/* Whether the text of /proc/cpuinfo says that the time stamp counter runs at one rate always. */
bool pw_tsc_is_constant(const char *cpuinfo);
/* Measured for some 50 ms against CLOCK_MONOTONIC_RAW, whether or not it is constant. 0: it does
 * not run evenly, or there is none. */
unsigned pw_tsc_measure_khz(void);

#endif
