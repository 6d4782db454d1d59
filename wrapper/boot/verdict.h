/*
 * What became of a boot, judged from what the monitor did and what the guest said. Pure functions.
 *
 *   ok                    the command ended with 0
 *   guest_command_failed  it ended otherwise; the worker's return code and signal are the guest's
 *   guest_fault           init could not go on (its step and errno)
 *   guest_panic           the machine ended without an answer: the kernel panicked, or it was
 *                         switched off; with the last lines of the console
 *   monitor_error         the monitor ended by itself with a status other than 0, or reported a
 *                         failure that leaves it without a running guest
 *   monitor_crashed       a signal that perfwrap did not send ended the monitor
 *   timeout               no answer in time; with the last phase that was reached
 *   interrupted           perfwrap was
 */
#ifndef PW_BOOT_VERDICT_H
#define PW_BOOT_VERDICT_H

#include "core/err.h"
#include "core/moments.h"
#include "core/record.h"

enum pw_boot_verdict {
    PW_BOOT_OK,
    PW_BOOT_COMMAND_FAILED,
    PW_BOOT_FAULT,
    PW_BOOT_PANIC,
    PW_BOOT_MONITOR_ERROR,
    PW_BOOT_MONITOR_CRASHED,
    PW_BOOT_TIMEOUT,
    PW_BOOT_INTERRUPTED,
    PW_BOOT_COUNT
};
const char *pw_boot_verdict_name(enum pw_boot_verdict verdict);

/* What is known of a boot that is over. Texts may be NULL. */
struct pw_boot_end {
    const char *told;    /* the end of what came on descriptor 3 */
    const char *console; /* the end of standard output: the serial console */
    const char *errors;  /* the end of the monitor's standard error */
    enum pw_end end;
    int return_code, signal; /* the monitor's */
    const struct pw_moment_names *names;
    const struct pw_moments *moments;
};
struct pw_boot_judgement {
    enum pw_boot_verdict verdict;
    int return_code, signal; /* for the worker's record: of the guest's command, if it ended */
    char detail[2048];       /* a sentence or the last lines; "" if there is nothing to say */
};
void pw_boot_judge(const struct pw_boot_end *end, struct pw_boot_judgement *ret_judgement);

#endif
