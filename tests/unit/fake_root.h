/* Fake /proc and /sys folders for unit tests: files below a private folder that the test makes and
 * removes. */
#ifndef PW_TESTS_UNIT_FAKE_ROOT_H
#define PW_TESTS_UNIT_FAKE_ROOT_H

#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/file.h"
#include "tests/unit/unit.h"

struct fake_root {
    char *path;
};

static inline void fake_root_make(struct fake_root *fake)
{
    assert_int_equal(pw_dir_make_private("fake", &fake->path, NULL), 0);
    assert_int_equal(chmod(fake->path, 0755), 0); /* some tests give up being root */
}

static inline void fake_root_remove(struct fake_root *fake)
{
    assert_int_equal(pw_dir_remove_tree(fake->path, NULL), 0);
    free(fake->path);
}

static inline void fake_path(const struct fake_root *fake, char path[PATH_MAX], const char *name)
{
    assert_true(snprintf(path, PATH_MAX, "%s/%s", fake->path, name) < PATH_MAX);
}

static inline void fake_dir(const struct fake_root *fake, const char *name)
{
    char path[PATH_MAX];

    fake_path(fake, path, name);
    assert_int_equal(pw_dir_make(path, NULL), 0);
}

/* Writes in place, so that a descriptor that is kept sees the new text, as in the real /proc. */
static inline void fake_bytes(const struct fake_root *fake, const char *name, const char *bytes,
                              size_t size)
{
    char path[PATH_MAX];

    fake_path(fake, path, name);
    char *slash = strrchr(path, '/');
    *slash = '\0';
    assert_int_equal(pw_dir_make(path, NULL), 0);
    *slash = '/';
    PW_FD_AUTO fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, size), (ssize_t)size);
}

static inline void fake_text(const struct fake_root *fake, const char *name, const char *text)
{
    fake_bytes(fake, name, text, strlen(text));
}

/* Setup and teardown: *state is a machine with an empty /proc and /sys. */
static inline int fake_machine_make(void **state)
{
    static struct fake_root fake;

    fake_root_make(&fake);
    fake_dir(&fake, "proc");
    fake_dir(&fake, "sys");
    *state = &fake;
    return 0;
}

static inline int fake_machine_remove(void **state)
{
    fake_root_remove(*state);
    return 0;
}

#endif
