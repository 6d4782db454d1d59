#include "core/value.h"

#include <math.h>

struct pw_value pw_value_of(double number)
{
    if (!isfinite(number)) {
        return pw_value_absent(PW_ABSENT_NOT_MEASURED);
    }
    return (struct pw_value){.number = number, .state = PW_PRESENT};
}

struct pw_value pw_value_absent(enum pw_absence reason)
{
    return (struct pw_value){.state = reason};
}

bool pw_value_is_present(struct pw_value value)
{
    return value.state == PW_PRESENT;
}

const char *pw_absence_name(enum pw_absence state)
{
    static const char *const names[] = {
        [PW_ABSENT_NOT_MEASURED] = "not_measured",   [PW_PRESENT] = "present",
        [PW_ABSENT_NOT_SUPPORTED] = "not_supported", [PW_ABSENT_NO_PERMISSION] = "no_permission",
        [PW_ABSENT_NO_SAMPLES] = "no_samples",
    };
    return names[state];
}
