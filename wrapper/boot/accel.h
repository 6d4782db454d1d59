/*
 * The accelerator: hardware virtualisation, or emulation (QEMU's TCG).
 *
 * That /dev/kvm opens says little: where the host is a guest itself, KVM may run a guest one
 * instruction at a time, a thousand times too slow, and die on some. So a guest of a few
 * instructions is run and timed. Sources: Linux, Documentation/virt/kvm/api.
 * Threads: no shared state; the probe uses a thread's timer signal of its own.
 */
#ifndef PW_BOOT_ACCEL_H
#define PW_BOOT_ACCEL_H

#include "core/err.h"

enum pw_accel { PW_ACCEL_KVM, PW_ACCEL_TCG };
const char *pw_accel_name(enum pw_accel accel); /* "kvm", "tcg" */

enum pw_kvm {
    PW_KVM_USABLE,
    PW_KVM_EMULATED, /* it runs guests, but does not let them run on the CPU */
    PW_KVM_ABSENT,
    PW_KVM_DENIED, /* no permission for /dev/kvm */
    PW_KVM_BROKEN, /* it is there and cannot run the guest */
    PW_KVM_COUNT
};
const char *pw_kvm_name(enum pw_kvm kvm); /* "usable", "emulated", "absent", "denied", "broken" */

struct pw_kvm_probe {
    enum pw_kvm kvm;
    double loop_ms;   /* CPU time of the guest's loop; < 0: it did not run to its end */
    char reason[160]; /* one sentence with the figure */
};
/* Takes at most some 50 ms of CPU time. `device` is "/dev/kvm", or another file in tests. */
void pw_kvm_probe(const char *device, struct pw_kvm_probe *ret_probe);

struct pw_accel_choice {
    enum pw_accel accel;
    struct pw_kvm_probe kvm;
    unsigned tsc_khz; /* of the host's time stamp counter; 0: it is not constant, or not known */
};
/* `wanted`: "auto", "kvm" or "tcg". PW_ERR_INPUT if KVM is wanted and not usable, with why and the
 * remedy (the group kvm, --accel tcg). */
int pw_accel_choose(const char *wanted, struct pw_accel_choice *ret_choice, struct pw_err *err);

#endif
