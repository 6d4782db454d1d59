/* What independent implementations make of generated samples: tests/data/statistics/make.py. */
#ifndef PW_TESTS_STATISTICS_H
#define PW_TESTS_STATISTICS_H

#include <jansson.h>
#include "tests/unit/unit.h"

enum { STATISTICS_VALUES_MAX = 200 };

/* Setup and teardown: *state is the whole document. */
static inline int load_statistics(void **state)
{
    const char *source = getenv("PW_SOURCE_DIR");
    char *path = pw_path_join(source ? source : ".", "tests/data/statistics/expected.json", NULL);
    *state = path ? json_load_file(path, JSON_DECODE_INT_AS_REAL, NULL) : NULL;
    if (!*state) {
        print_message("cannot read %s\n", path ? path : "expected.json");
    }
    free(path);
    return *state ? 0 : -1;
}

static inline int drop_statistics(void **state)
{
    json_decref(*state);
    return 0;
}

/* A list of the document, of at least so many cases. */
static inline json_t *cases_of(void **state, const char *name, size_t least)
{
    json_t *cases = json_object_get(*state, name);
    assert_true(json_array_size(cases) >= least);
    return cases;
}

static inline double number_of(const json_t *of, const char *key)
{
    const json_t *number = json_object_get(of, key);
    assert_true(json_is_real(number));
    return json_real_value(number);
}

static inline double number_at(const json_t *row, size_t index)
{
    const json_t *number = json_array_get(row, index);
    assert_true(json_is_real(number));
    return json_real_value(number);
}

/* null stands for an infinite end. */
static inline double end_at(const json_t *row, size_t index, double infinite)
{
    return json_is_null(json_array_get(row, index)) ? infinite : number_at(row, index);
}

static inline size_t values_of(const json_t *of, const char *key, double *ret_values)
{
    const json_t *list = json_object_get(of, key);
    size_t n = json_array_size(list);
    assert_in_range(n, 1, STATISTICS_VALUES_MAX);
    for (size_t i = 0; i < n; i++) {
        ret_values[i] = number_at(list, i);
    }
    return n;
}

/* Equal infinities are near, too. */
#define assert_within(actual, expected, tolerance)                                                 \
    do {                                                                                           \
        double within_a = (actual);                                                                \
        double within_e = (expected);                                                              \
        if (within_a != within_e && !(fabs(within_a - within_e) <= (tolerance))) {                 \
            fail_msg("%s, line %d: %s is %.17g, not %.17g", __func__, __LINE__, #actual, within_a, \
                     within_e);                                                                    \
        }                                                                                          \
    } while (0)

/* Splitmix64 (Steele, Lea and Flood 2014), for samples; above 0, below 1. */
static inline double random_unit(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    z ^= z >> 31;
    return ((double)(z >> 11) + 0.5) * 0x1p-53;
}

static inline double random_normal(uint64_t *state)
{
    double radius = sqrt(-2 * log(random_unit(state)));
    return radius * cos(2 * M_PI * random_unit(state));
}

#endif
