/* wrapper/boot/base/clone: private copies of disks. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/str.h"
#include "wrapper/boot/base/clone.h"

#define MIB INT64_C(1048576)
enum { LIMIT_BYTES = 65 << 20 };

static struct pw_err err;

static int begin(void **state)
{
    err = PW_ERR_INIT;
    return make_folder(state);
}

/* 64 MiB with some bytes at the front, at 20 MiB and, if asked for, at the end. */
static void make_sparse(const char *path, bool ends_in_data)
{
    PW_FD_AUTO fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, 64 * MIB), 0);
    assert_int_equal(pwrite(fd, "front", 5, 0), 5);
    assert_int_equal(pwrite(fd, "middle", 6, 20 * MIB + 123), 6);
    if (ends_in_data) {
        assert_int_equal(pwrite(fd, "end", 3, 64 * MIB - 3), 3);
    }
}

static void expect_same(const char *a, const char *b)
{
    PW_FREE_AUTO char *text_a = NULL;
    PW_FREE_AUTO char *text_b = NULL;
    size_t size_a = 0;
    size_t size_b = 0;
    assert_int_equal(pw_file_read(a, LIMIT_BYTES, &text_a, &size_a, &err), 0);
    assert_int_equal(pw_file_read(b, LIMIT_BYTES, &text_b, &size_b, &err), 0);
    assert_int_equal(size_a, size_b);
    assert_int_equal(memcmp(text_a, text_b, size_a), 0);
}

static void clone_sparse(void **state, const char *to, bool ends_in_data)
{
    struct pw_clone clone = {0};
    struct stat info;
    PW_FREE_AUTO char *from = in_folder(state, ends_in_data ? "from-1" : "from-0");
    make_sparse(from, ends_in_data);
    assert_int_equal(pw_file_clone(from, to, &clone, &err), 0);
    assert_int_equal(clone.bytes, 64 * MIB);
    assert_non_null(clone.how);
    assert_true(clone.took_ns > 0);
    if (strcmp(clone.how, "reflink") != 0) {
        assert_true(clone.moved_bytes > 0 && clone.moved_bytes <= MIB);
    }
    expect_same(from, to);
    assert_int_equal(stat(to, &info), 0);
    assert_true(info.st_blocks * 512 <= MIB); /* holes stay holes */
    assert_int_equal(info.st_mode & 07777, 0600);
}

static void test_sparse(void **state)
{
    PW_FREE_AUTO char *to = in_folder(state, "to");
    PW_FREE_AUTO char *to_end = in_folder(state, "to-end");
    clone_sparse(state, to, false);
    clone_sparse(state, to_end, true);
}

/* Another file system: nothing can be shared. */
static void test_across(void **state)
{
    PW_STR_AUTO to = PW_STR_INIT;
    pw_str_addf(&to, "/dev/shm/perfwrap-unit-clone-%d", (int)getpid());
    if (access("/dev/shm", W_OK) != 0) {
        skip();
    }
    clone_sparse(state, to.text, true);
    unlink(to.text);
}

static void test_small(void **state)
{
    struct pw_clone clone = {0};
    PW_FREE_AUTO char *from = in_folder(state, "from");
    PW_FREE_AUTO char *to = in_folder(state, "to");
    assert_int_equal(pw_file_write(from, "", 0, 0600, &err), 0);
    assert_int_equal(pw_file_clone(from, to, &clone, &err), 0);
    assert_int_equal(clone.bytes, 0);
    expect_same(from, to);
    assert_int_equal(pw_file_clone(from, to, NULL, &err), -1); /* it is there */
    assert_int_equal(err.sys, EEXIST);
    assert_int_equal(access(to, F_OK), 0);
}

static void test_refused(void **state)
{
    PW_FREE_AUTO char *missing = in_folder(state, "missing");
    PW_FREE_AUTO char *to = in_folder(state, "to");
    assert_int_equal(pw_file_clone(missing, to, NULL, &err), -1);
    assert_int_equal(err.cls, PW_ERR_INPUT);
    assert_int_equal(err.sys, ENOENT);
    assert_int_equal(pw_file_clone(*state, to, NULL, &err), -1);
    assert_int_equal(err.cls, PW_ERR_INPUT);
    assert_contains(err.message, "not a regular file");
    assert_int_equal(access(to, F_OK), -1);
}

/* No room: a file size limit stands for a full disk; the message says what to do. */
static void test_no_room(void **state)
{
    struct rlimit old;
    PW_FREE_AUTO char *from = in_folder(state, "from");
    PW_FREE_AUTO char *to = in_folder(state, "to");
    make_sparse(from, true);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    const struct rlimit tight = {.rlim_cur = 4096, .rlim_max = old.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    int failed = pw_file_clone(from, to, NULL, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    if (failed == 0) {
        skip(); /* blocks are shared here: that takes no room */
    }
    assert_int_equal(err.cls, PW_ERR_SYSTEM);
    assert_contains(err.remedy, "TMPDIR");
    assert_int_equal(access(to, F_OK), -1); /* nothing half is left */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sparse, begin, drop_folder),
        cmocka_unit_test_setup_teardown(test_across, begin, drop_folder),
        cmocka_unit_test_setup_teardown(test_small, begin, drop_folder),
        cmocka_unit_test_setup_teardown(test_refused, begin, drop_folder),
        cmocka_unit_test_setup_teardown(test_no_room, begin, drop_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
