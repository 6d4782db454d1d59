#include "core/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tests/unit/unit.h"

static size_t count_entries(const char *path)
{
    DIR *dir = opendir(path);
    assert_non_null(dir);
    size_t count = 0;
    while (readdir(dir)) {
        count++;
    }
    closedir(dir);
    return count - 2; /* . and .. */
}

static void assert_holds(const char *path, const char *expected)
{
    char *text = NULL;
    size_t size = 0;
    assert_int_equal(pw_file_read(path, 1000, &text, &size, NULL), 0);
    assert_int_equal(size, strlen(expected));
    assert_string_equal(text, expected);
    free(text);
}

static void test_write_and_read(void **state)
{
    PW_FREE_AUTO char *path = in_folder(state, "a.txt");
    mode_t before = umask(027);
    assert_int_equal(pw_file_write(path, "one\n", 4, 0666, NULL), 0);
    umask(before);
    assert_holds(path, "one\n");
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0640);
    assert_int_equal(pw_file_write(path, "", 0, 0666, NULL), 0);
    assert_holds(path, "");
    assert_int_equal(count_entries(*state), 1);
}

/* What a crash left aside must not stand in the way. */
static void test_write_passes_over_leftovers(void **state)
{
    PW_FREE_AUTO char *path = in_folder(state, "a.txt");
    char leftover[600];
    snprintf(leftover, sizeof(leftover), "%s.%ld-0.tmp", path, (long)getpid());
    assert_int_equal(pw_file_write(leftover, "half", 4, 0666, NULL), 0);
    assert_int_equal(pw_file_write(path, "whole", 5, 0666, NULL), 0);
    assert_holds(path, "whole");
    assert_holds(leftover, "half");
}

static void test_write_refuses(void **state)
{
    struct pw_err err = PW_ERR_INIT;
    PW_FREE_AUTO char *missing = in_folder(state, "none/a.txt");
    assert_int_equal(pw_file_write(missing, "x", 1, 0666, &err), -1);
    assert_int_equal(err.sys, ENOENT);
    assert_int_equal(err.cls, PW_ERR_SYSTEM);
    assert_contains(err.message, missing);

    /* A rename would replace what is not a file of ours. */
    PW_FREE_AUTO char *fifo = in_folder(state, "fifo");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(pw_file_write(fifo, "x", 1, 0666, &err), -1);
    assert_contains(err.message, "not a regular file");
    struct stat info;
    assert_int_equal(lstat(fifo, &info), 0);
    assert_true(S_ISFIFO(info.st_mode));

    assert_int_equal(pw_file_write(*state, "x", 1, 0666, &err), -1);
    assert_int_equal(count_entries(*state), 1);
}

static void test_read_limits(void **state)
{
    struct pw_err err = PW_ERR_INIT;
    char *text = NULL;
    PW_FREE_AUTO char *path = in_folder(state, "a.txt");
    assert_int_equal(pw_file_write(path, "a\0cdefghij", 10, 0666, NULL), 0);

    size_t size = 0;
    assert_int_equal(pw_file_read(path, 10, &text, &size, &err), 0);
    assert_int_equal(size, 10);
    assert_memory_equal(text, "a\0cdefghij", 11); /* with the NUL behind it */
    free(text);
    text = NULL;
    assert_int_equal(pw_file_read(path, 9, &text, &size, &err), -1);
    assert_int_equal(err.cls, PW_ERR_INPUT);
    assert_contains(err.message, "larger than 9 bytes");
    assert_null(text);
    assert_int_equal(size, 10);

    assert_int_equal(pw_file_read("/nonexistent/x", 9, &text, NULL, &err), -1);
    assert_int_equal(err.cls, PW_ERR_INPUT);
    assert_string_equal(err.message, "open `/nonexistent/x`: No such file or directory");
    assert_int_equal(pw_file_read(*state, 9, &text, NULL, &err), -1);
    assert_int_equal(err.sys, EISDIR);
    /* A file whose size is not known before, and larger than the first read. */
    assert_int_equal(pw_file_read("/dev/zero", 1000000, &text, NULL, &err), -1);
    assert_contains(err.message, "larger than 1000000 bytes");
    assert_int_equal(pw_file_read("/proc/self/stat", 1000000, &text, &size, &err), 0);
    assert_true(size > 20);
    free(text);
}

/* From where it is; and the descriptor stays the caller's. */
static void test_read_open_file(void **state)
{
    struct pw_err err = PW_ERR_INIT;
    char *path = in_folder(state, "file");
    char *text = NULL;
    size_t size = 0;
    assert_int_equal(pw_file_write(path, "0123456789", 10, 0644, &err), 0);
    PW_FD_AUTO fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(lseek(fd, 4, SEEK_SET), 4);
    assert_int_equal(pw_fd_read_all(fd, path, 6, &text, &size, &err), 0);
    assert_string_equal(text, "456789");
    assert_int_equal(size, 6);
    free(text);
    text = NULL;
    assert_int_equal(lseek(fd, 3, SEEK_SET), 3);
    assert_int_equal(pw_fd_read_all(fd, path, 6, &text, &size, &err), -1);
    assert_int_equal(err.cls, PW_ERR_INPUT);
    assert_contains(err.message, path);
    assert_null(text);
    free(path);
}

static void test_read_grows(void **state)
{
    enum { SIZE = 300000 };
    PW_FREE_AUTO char *path = in_folder(state, "fifo");
    PW_FREE_AUTO char *sent = malloc(SIZE);
    for (size_t i = 0; i < SIZE; i++) {
        sent[i] = (char)('a' + i % 23);
    }
    assert_int_equal(mkfifo(path, 0600), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        FILE *file = fopen(path, "w");
        bool sent_all = file && fwrite(sent, 1, SIZE, file) == SIZE && fclose(file) == 0;
        _exit(sent_all ? 0 : 1);
    }
    char *text = NULL;
    size_t size = 0;
    assert_int_equal(pw_file_read(path, SIZE, &text, &size, NULL), 0);
    assert_int_equal(size, SIZE);
    assert_memory_equal(text, sent, SIZE);
    assert_int_equal(text[SIZE], 0);
    free(text);
}

static void test_make_folders(void **state)
{
    struct pw_err err = PW_ERR_INIT;
    PW_FREE_AUTO char *deep = in_folder(state, "a//b/c/");
    assert_int_equal(pw_dir_make(deep, &err), 0);
    assert_int_equal(pw_dir_make(deep, &err), 0);
    struct stat info;
    assert_int_equal(stat(deep, &info), 0);
    assert_int_equal(pw_dir_make("/", &err), 0);
    assert_int_equal(pw_dir_make(".", &err), 0);
    assert_int_equal(pw_dir_make("", &err), -1);

    PW_FREE_AUTO char *file = in_folder(state, "file");
    PW_FREE_AUTO char *below = in_folder(state, "file/x");
    assert_int_equal(pw_file_write(file, "x", 1, 0666, &err), 0);
    assert_int_equal(pw_dir_make(file, &err), -1);
    assert_int_equal(err.sys, ENOTDIR);
    assert_int_equal(pw_dir_make(below, &err), -1);
    assert_int_equal(err.sys, ENOTDIR);
    assert_contains(err.message, "file`");
}

static void test_check_writable(void **state)
{
    struct pw_err err = PW_ERR_INIT;
    assert_int_equal(pw_dir_check_writable(*state, &err), 0);
    assert_int_equal(count_entries(*state), 0);
    PW_FREE_AUTO char *missing = in_folder(state, "none");
    assert_int_equal(pw_dir_check_writable(missing, &err), -1);
    assert_int_equal(err.sys, ENOENT);
    assert_contains(err.message, missing);
    /* Nobody can create files there, not even root. */
    assert_int_equal(pw_dir_check_writable("/proc/self", &err), -1);
    assert_contains(err.message, "/proc/self");
    if (geteuid() == 0) {
        print_message("read-only folder: skipped, root may write anywhere\n");
        return;
    }
    assert_int_equal(chmod(*state, 0500), 0);
    assert_int_equal(pw_dir_check_writable(*state, &err), -1);
    assert_int_equal(err.sys, EACCES);
    assert_string_not_equal(err.remedy, "");
    assert_int_equal(chmod(*state, 0700), 0);
}

static void test_private_folder(void **state)
{
    setenv("TMPDIR", *state, 1);
    char *one = NULL;
    char *two = NULL;
    assert_int_equal(pw_dir_make_private("pre", &one, NULL), 0);
    assert_int_equal(pw_dir_make_private("pre", &two, NULL), 0);
    assert_string_not_equal(one, two);
    assert_memory_equal(one, *state, strlen(*state));
    assert_memory_equal(one + strlen(*state), "/pre-", 5);
    struct stat info;
    assert_int_equal(stat(one, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    free(one);
    free(two);
    struct pw_err err = PW_ERR_INIT;
    setenv("TMPDIR", "/nonexistent", 1);
    assert_int_equal(pw_dir_make_private("pre", &one, &err), -1);
    assert_contains(err.message, "/nonexistent/pre-");
    unsetenv("TMPDIR");
}

static void test_remove_does_not_follow_links(void **state)
{
    struct pw_err err = PW_ERR_INIT;
    PW_FREE_AUTO char *kept = in_folder(state, "kept");
    PW_FREE_AUTO char *kept_file = in_folder(state, "kept/file");
    PW_FREE_AUTO char *tree = in_folder(state, "tree");
    PW_FREE_AUTO char *inner = in_folder(state, "tree/a/b");
    PW_FREE_AUTO char *to_dir = in_folder(state, "tree/a/to_dir");
    PW_FREE_AUTO char *to_file = in_folder(state, "tree/to_file");
    PW_FREE_AUTO char *to_nothing = in_folder(state, "tree/to_nothing");
    PW_FREE_AUTO char *link_to_tree = in_folder(state, "link");
    assert_int_equal(pw_dir_make(kept, &err), 0);
    assert_int_equal(pw_dir_make(inner, &err), 0);
    assert_int_equal(pw_file_write(kept_file, "x", 1, 0666, &err), 0);
    assert_int_equal(symlink(kept, to_dir), 0);
    assert_int_equal(symlink(kept_file, to_file), 0);
    assert_int_equal(symlink("nowhere", to_nothing), 0);
    assert_int_equal(symlink(kept, link_to_tree), 0);
    /* A link in the place of the folder is not followed either. */
    assert_int_equal(pw_dir_remove_tree(link_to_tree, &err), -1);
    assert_int_equal(pw_dir_remove_tree(tree, &err), 0);
    assert_int_equal(access(tree, F_OK), -1);
    assert_holds(kept_file, "x");
    assert_int_equal(pw_dir_remove_tree(tree, &err), 0); /* missing: fine */
}

static void test_remove_wide_and_read_only(void **state)
{
    PW_FREE_AUTO char *tree = in_folder(state, "tree");
    for (int i = 0; i < 300; i++) {
        char path[700];
        snprintf(path, sizeof(path), "%s/%d/x/y", tree, i);
        assert_int_equal(pw_dir_make(path, NULL), 0);
        snprintf(path, sizeof(path), "%s/%d/x", tree, i);
        assert_int_equal(chmod(path, 0500), 0);
    }
    struct pw_err err = PW_ERR_INIT;
    assert_int_equal(pw_dir_remove_tree(tree, &err), 0);
    assert_int_equal(access(tree, F_OK), -1);
}

/* Deeper than PATH_MAX and than the descriptor limit. */
static void test_remove_deep(void **state)
{
    PW_FREE_AUTO char *tree = in_folder(state, "tree");
    assert_int_equal(pw_dir_make(tree, NULL), 0);
    int at = open(tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < 3000; i++) {
        assert_int_equal(mkdirat(at, "deeper", 0700), 0);
        int next = openat(at, "deeper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(next >= 0);
        close(at);
        at = next;
    }
    close(at);
    struct pw_err err = PW_ERR_INIT;
    assert_int_equal(pw_dir_remove_tree(tree, &err), 0);
    assert_int_equal(access(tree, F_OK), -1);
}

/* A small file system at `path`, seen by this process only. */
static void mount_small(const char *path)
{
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", path, "tmpfs", 0, "size=64k") != 0) {
        print_message("skipped: cannot mount a tmpfs: %s\n", strerror(errno));
        skip();
    }
}

static void test_full_disk(void **state)
{
    enum { SIZE = 100000 };
    mount_small(*state);
    struct pw_err err = PW_ERR_INIT;
    PW_FREE_AUTO char *path = in_folder(state, "a.txt");
    PW_FREE_AUTO char *filler = in_folder(state, "filler");
    PW_FREE_AUTO char *zeros = calloc(1, SIZE);
    assert_int_equal(pw_file_write(path, "old", 3, 0666, &err), 0);
    assert_int_equal(pw_file_write(path, zeros, SIZE, 0666, &err), -1);
    assert_int_equal(err.sys, ENOSPC);
    assert_contains(err.message, path);
    assert_contains(err.remedy, "Free space");
    assert_holds(path, "old");
    assert_int_equal(count_entries(*state), 1);

    int fd = open(filler, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    while (write(fd, zeros, 4096) > 0) {}
    assert_int_equal(close(fd), 0);
    assert_int_equal(pw_dir_check_writable(*state, &err), -1);
    assert_int_equal(err.sys, ENOSPC);
    assert_contains(err.message, (const char *)*state);
    assert_int_equal(count_entries(*state), 2);
    assert_int_equal(umount(*state), 0);
}

static void test_remove_crosses_no_mount(void **state)
{
    PW_FREE_AUTO char *tree = in_folder(state, "tree");
    PW_FREE_AUTO char *mounted = in_folder(state, "tree/mounted");
    PW_FREE_AUTO char *kept = in_folder(state, "tree/mounted/kept");
    assert_int_equal(pw_dir_make(mounted, NULL), 0);
    mount_small(mounted);
    assert_int_equal(pw_file_write(kept, "x", 1, 0666, NULL), 0);
    struct pw_err err = PW_ERR_INIT;
    assert_int_equal(pw_dir_remove_tree(tree, &err), -1);
    assert_int_equal(err.sys, EBUSY);
    assert_holds(kept, "x");
    assert_int_equal(umount(mounted), 0);
}

static void test_join(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"/", "b", "/b"}, {"", "b", "b"}, {"a", "", "a/"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        PW_FREE_AUTO char *path = pw_path_join(cases[i][0], cases[i][1], NULL);
        assert_string_equal(path, cases[i][2]);
    }
}

static void test_descriptors(void **state)
{
    (void)state;
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    {
        PW_FD_AUTO held = fd;
        assert_int_equal(pw_fd_take(&held), fd);
        assert_int_equal(held, -1);
    }
    assert_true(fcntl(fd, F_GETFD) >= 0); /* taken out, so still open */
    {
        PW_FD_AUTO held = fd;
        assert_true(held >= 0);
    }
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    pw_fd_done(&(int){-1});
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, drop_folder)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(test_write_and_read),
        IN_FOLDER(test_write_passes_over_leftovers),
        IN_FOLDER(test_write_refuses),
        IN_FOLDER(test_read_limits),
        IN_FOLDER(test_read_open_file),
        IN_FOLDER(test_read_grows),
        IN_FOLDER(test_make_folders),
        IN_FOLDER(test_check_writable),
        IN_FOLDER(test_private_folder),
        IN_FOLDER(test_remove_does_not_follow_links),
        IN_FOLDER(test_remove_wide_and_read_only),
        IN_FOLDER(test_remove_deep),
        IN_FOLDER(test_full_disk),
        IN_FOLDER(test_remove_crosses_no_mount),
        cmocka_unit_test(test_join),
        cmocka_unit_test(test_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
