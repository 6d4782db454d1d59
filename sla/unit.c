#include "sla/unit.h"

#include <math.h>
#include <string.h>

/* KB, MB, GB are powers of 1000 (IEC 80000-13), KiB, MiB, GiB of 1024. "m" is left out: minutes to
 * some, milli to others. */
static const struct pw_unit units[] = {
    {"ns", PW_DIMENSION_TIME, 1e-9},
    {"us", PW_DIMENSION_TIME, 1e-6},
    {"\xC2\xB5s", PW_DIMENSION_TIME, 1e-6}, /* U+00B5, the micro sign */
    {"\xCE\xBCs", PW_DIMENSION_TIME, 1e-6}, /* U+03BC, the Greek letter */
    {"ms", PW_DIMENSION_TIME, 1e-3},
    {"s", PW_DIMENSION_TIME, 1},
    {"min", PW_DIMENSION_TIME, 60},
    {"h", PW_DIMENSION_TIME, 3600},
    {"B", PW_DIMENSION_BYTES, 1},
    {"KB", PW_DIMENSION_BYTES, 1e3},
    {"kB", PW_DIMENSION_BYTES, 1e3},
    {"MB", PW_DIMENSION_BYTES, 1e6},
    {"GB", PW_DIMENSION_BYTES, 1e9},
    {"KiB", PW_DIMENSION_BYTES, 1024},
    {"MiB", PW_DIMENSION_BYTES, 1048576},
    {"GiB", PW_DIMENSION_BYTES, 1073741824},
    {"%", PW_DIMENSION_RATIO, 0.01},
    {"runs/s", PW_DIMENSION_RATE, 1},
    {"count", PW_DIMENSION_COUNT, 1},
    {"samples", PW_DIMENSION_COUNT, 1},
    {"points", PW_DIMENSION_COUNT, 1},
    {"workers", PW_DIMENSION_COUNT, 1},
    /* UCUM 2.1, case-sensitive codes */
    {"d", PW_DIMENSION_TIME, 86400},
    {"By", PW_DIMENSION_BYTES, 1},
    {"kBy", PW_DIMENSION_BYTES, 1e3},
    {"MBy", PW_DIMENSION_BYTES, 1e6},
    {"GBy", PW_DIMENSION_BYTES, 1e9},
    {"KiBy", PW_DIMENSION_BYTES, 1024},
    {"MiBy", PW_DIMENSION_BYTES, 1048576},
    {"GiBy", PW_DIMENSION_BYTES, 1073741824},
    {"1", PW_DIMENSION_RATIO, 1},
    {"1/s", PW_DIMENSION_RATE, 1},
    {"Hz", PW_DIMENSION_RATE, 1},
};

static const struct pw_unit annotation = {"count", PW_DIMENSION_COUNT, 1};
static const struct pw_unit annotation_per_sec = {"1/s", PW_DIMENSION_RATE, 1};

/* "{call}" and "{call}/s": UCUM takes what stands in braces for 1. */
static const struct pw_unit *find_annotation(const char *name, unsigned long length)
{
    const char *close = memchr(name, '}', length);
    if (!close) {
        return NULL;
    }
    unsigned long behind = length - (unsigned long)(close + 1 - name);
    if (behind == 0) {
        return &annotation;
    }
    return behind == 2 && memcmp(close + 1, "/s", 2) == 0 ? &annotation_per_sec : NULL;
}

const struct pw_unit *pw_unit_find(const char *name, unsigned long length)
{
    if (length > 0 && name[0] == '{') {
        return find_annotation(name, length);
    }
    for (unsigned long i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strlen(units[i].name) == length && memcmp(units[i].name, name, length) == 0) {
            return &units[i];
        }
    }
    return NULL;
}

/* How many of `small` are one `large`: exact where it is a whole number, for 1e-6 and 1e-3 are not.
 */
static double ratio_of(double large, double small)
{
    double ratio = large / small;
    double whole = rint(ratio);
    return fabs(ratio - whole) <= 1e-12 * whole ? whole : ratio;
}

bool pw_unit_convert(const struct pw_unit *from, const struct pw_unit *to, double value,
                     double *ret_value)
{
    if (from->dimension != to->dimension || from->dimension == PW_DIMENSION_UNKNOWN) {
        return false;
    }
    *ret_value = from->factor >= to->factor ? value * ratio_of(from->factor, to->factor)
                                            : value / ratio_of(to->factor, from->factor);
    return true;
}
