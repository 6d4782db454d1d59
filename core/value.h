/*
 * A measured number, or the reason why there is none. Unknown is not zero: an absent value is
 * `null` in JSON and passes no bound.
 */
#ifndef PW_CORE_VALUE_H
#define PW_CORE_VALUE_H

#include <stdbool.h>

enum pw_absence {
    PW_ABSENT_NOT_MEASURED = 0, /* not asked for; also what zeroed memory means */
    PW_PRESENT,
    PW_ABSENT_NOT_SUPPORTED, /* this machine or this build cannot */
    PW_ABSENT_NO_PERMISSION, /* the kernel refused */
    PW_ABSENT_NO_SAMPLES,    /* nothing came: the process was gone before the first sample, or it
                                reported nothing */
};

struct pw_value {
    double number; /* meaningful only if `state` is PW_PRESENT; always finite */
    enum pw_absence state;
};

/* A number; becomes absent (PW_ABSENT_NOT_MEASURED) if it is not finite. */
struct pw_value pw_value_of(double number);
struct pw_value pw_value_absent(enum pw_absence reason);
bool pw_value_is_present(struct pw_value value);
/* "not_measured", "present", "not_supported", "no_permission", "no_samples": the names in JSON. */
const char *pw_absence_name(enum pw_absence state);

#endif
