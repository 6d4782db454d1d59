/* What all unit tests include: cmocka behind the headers that it wants, and a few helpers. */
#ifndef PW_TESTS_UNIT_H
#define PW_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* After those: */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "core/file.h"
#include "core/value.h"

/* Equal but for the rounding of a few operations. */
#define assert_near(actual, expected)                                      \
    do {                                                                   \
        double near_a = (actual);                                          \
        double near_e = (expected);                                        \
        if (!(fabs(near_a - near_e) <= 1e-12 * fmax(1.0, fabs(near_e)))) { \
            fail_msg("%s is %.17g, not %.17g", #actual, near_a, near_e);   \
        }                                                                  \
    } while (0)

#define assert_value(value, expected)                                   \
    do {                                                                \
        struct pw_value value_v = (value);                              \
        assert_string_equal(pw_absence_name(value_v.state), "present"); \
        assert_near(value_v.number, expected);                          \
    } while (0)

#define assert_absent(value, reason) \
    assert_string_equal(pw_absence_name((value).state), pw_absence_name(reason))

#define assert_contains(text, part)                                 \
    do {                                                            \
        if (!strstr((text), (part))) {                              \
            fail_msg("`%s` does not contain `%s`", (text), (part)); \
        }                                                           \
    } while (0)

/* Setup and teardown: *state is a new private folder. */
static inline int make_folder(void **state)
{
    char *path = NULL;
    struct pw_err err = PW_ERR_INIT;
    if (pw_dir_make_private("perfwrap-unit", &path, &err) != 0) {
        print_message("%s\n", err.message);
        return -1;
    }
    *state = path;
    return 0;
}

static inline int drop_folder(void **state)
{
    struct pw_err err = PW_ERR_INIT;
    if (pw_dir_remove_tree(*state, &err) != 0) {
        print_message("%s\n", err.message);
        return -1;
    }
    free(*state);
    return 0;
}

/* In the folder of make_folder(); free() it. */
static inline char *in_folder(void **state, const char *name)
{
    char *path = pw_path_join(*state, name, NULL);
    assert_non_null(path);
    return path;
}

/* Descriptors of this process, and a few more at each call alike. */
static inline unsigned open_files(void)
{
    unsigned count = 0;
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    while (readdir(dir)) {
        count++;
    }
    closedir(dir);
    return count;
}

#endif
