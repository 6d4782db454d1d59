/* wrapper/run/scratch: a private folder that leaves nothing behind, not even after a kill. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "core/file.h"
#include "wrapper/run/scratch.h"

static char *folder; /* TMPDIR of these tests */

static char *make(const char *name, mode_t mode, bool old)
{
    char *path = pw_path_join(folder, name, NULL);
    assert_int_equal(mkdir(path, mode), 0);
    const struct timespec hour_ago = {.tv_sec = time(NULL) - 3600};
    if (old)
        assert_int_equal(utimensat(AT_FDCWD, path, (struct timespec[]){hour_ago, hour_ago}, 0), 0);
    return path;
}

static bool is_there(char *path)
{
    bool there = access(path, F_OK) == 0;
    free(path);
    return there;
}

static void is_private_and_goes(void **state)
{
    (void)state;
    struct pw_scratch scratch = PW_SCRATCH_INIT;
    struct stat found;
    assert_int_equal(pw_scratch_open(&scratch, NULL), 0);
    assert_int_equal(stat(scratch.path, &found), 0);
    assert_int_equal(found.st_mode & 07777, 0700);
    char *inside = pw_path_join(scratch.path, "worker-1", NULL);
    assert_int_equal(mkdir(inside, 0700), 0);
    pw_scratch_close(&scratch);
    assert_null(scratch.path);
    assert_false(is_there(inside));
    pw_scratch_close(&scratch); /* closed already */
}

static void what_a_killed_one_left_goes(void **state)
{
    (void)state;
    char *stale = make("perfwrap-aaaaaa", 0700, true);
    char *young = make("perfwrap-bbbbbb", 0700, false);
    char *in_use = make("perfwrap-cccccc", 0700, true);
    char *open_to_others = make("perfwrap-dddddd", 0755, true);
    char *other_name = make("perfwrap-results", 0700, true);
    char *link = pw_path_join(folder, "perfwrap-eeeeee", NULL);
    assert_int_equal(symlink(other_name, link), 0);
    PW_FD_AUTO lock = open(in_use, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(flock(lock, LOCK_EX), 0);

    struct pw_scratch scratch = PW_SCRATCH_INIT;
    assert_int_equal(pw_scratch_open(&scratch, NULL), 0);
    assert_false(is_there(stale));
    assert_true(is_there(young));
    assert_true(is_there(in_use));
    assert_true(is_there(open_to_others));
    assert_true(is_there(other_name));
    assert_true(is_there(link));
    pw_scratch_close(&scratch);
}

static void two_at_once(void **state)
{
    (void)state;
    struct pw_scratch first = PW_SCRATCH_INIT, second = PW_SCRATCH_INIT;
    assert_int_equal(pw_scratch_open(&first, NULL), 0);
    const struct timespec old = {.tv_sec = 1};
    assert_int_equal(utimensat(AT_FDCWD, first.path, (struct timespec[]){old, old}, 0), 0);
    assert_int_equal(pw_scratch_open(&second, NULL), 0);
    assert_int_equal(access(first.path, F_OK), 0); /* old, but locked */
    pw_scratch_close(&first);
    pw_scratch_close(&second);
}

static int make_tmpdir(void **state)
{
    if (make_folder(state) != 0)
        return -1;
    folder = *state;
    return setenv("TMPDIR", folder, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_private_and_goes),
        cmocka_unit_test(what_a_killed_one_left_goes),
        cmocka_unit_test(two_at_once),
    };
    return cmocka_run_group_tests(tests, make_tmpdir, drop_folder);
}
