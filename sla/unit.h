/*
 * Units of limits and of numbers: the metric table's ("ms", "MiB", "runs/s", "count"), what people
 * type ("GiB", "us"), and UCUM as OpenTelemetry metrics carry it ("By", "s", "{call}", "1").
 */
#ifndef PW_SLA_UNIT_H
#define PW_SLA_UNIT_H

#include <stdbool.h>

enum pw_dimension {
    PW_DIMENSION_UNKNOWN,
    PW_DIMENSION_TIME,  /* base: s */
    PW_DIMENSION_BYTES, /* base: B */
    PW_DIMENSION_RATIO, /* base: 1; "%" is 0.01 */
    PW_DIMENSION_RATE,  /* base: 1/s */
    PW_DIMENSION_COUNT, /* base: 1 of something */
};
struct pw_unit {
    const char *name;
    enum pw_dimension dimension;
    double factor; /* of the base */
};

/* The unit, also a UCUM annotation ("{call}": a count); NULL if it is not known. */
const struct pw_unit *pw_unit_find(const char *name, unsigned long length);
/* value in `from` as a value in `to`; false, and nothing set, if they are of different kinds. */
bool pw_unit_convert(const struct pw_unit *from, const struct pw_unit *to, double value,
                     double *ret_value);

#endif
