/* wrapper/boot/base/state: the cache of what boots are made of. And wrapper/boot/base/digest. */
#include "tests/unit/unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "core/clock.h"
#include "wrapper/boot/base/digest.h"
#include "wrapper/boot/base/state.h"

static struct pw_state cache;

static int open_cache(void **state)
{
    struct pw_err err = PW_ERR_INIT;
    if (make_folder(state) != 0) {
        return -1;
    }
    return pw_state_open(*state, &cache, &err);
}

static int close_cache(void **state)
{
    pw_state_close(&cache);
    return drop_folder(state);
}

struct making {
    const char *text;
    int fails_with; /* errno, 0: does not */
    unsigned calls;
    char folder[4096];
};

static int fill(void *context, const char *folder, struct pw_err *err)
{
    struct making *making = context;
    struct stat info;
    making->calls++;
    (void)snprintf(making->folder, sizeof(making->folder), "%s", folder);
    assert_int_equal(stat(folder, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0700);
    PW_FREE_AUTO char *path = pw_path_join(folder, "file", NULL);
    assert_int_equal(pw_file_write(path, making->text, strlen(making->text), 0600, err), 0);
    if (making->fails_with != 0) {
        return pw_err_system(err, making->fails_with, "write what was wanted");
    }
    return 0;
}

static bool is_there(const char *name)
{
    PW_FREE_AUTO char *path = pw_path_join(cache.path, name, NULL);
    return access(path, F_OK) == 0;
}

/* All files of a kind: entries, and what is aside. */
static unsigned count_in(const char *kind)
{
    PW_FREE_AUTO char *path = pw_path_join(cache.path, kind, NULL);
    DIR *dir = opendir(path);
    unsigned count = 0;
    const struct dirent *entry;
    assert_non_null(dir);
    while ((entry = readdir(dir))) {
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    }
    closedir(dir);
    return count;
}

static void is_made_once(void **state)
{
    (void)state;
    struct pw_err err = PW_ERR_INIT;
    struct making making = {.text = "first"};
    struct pw_entry entry = {.path = NULL};
    char *found = NULL;
    assert_int_equal(pw_state_find(&cache, "images", "key-1", &found, &err), 0);
    assert_int_equal(pw_state_entry(&cache, "images", "key-1", fill, &making, &entry, &err), 0);
    assert_true(entry.made);
    assert_true(entry.took_ns > 0);
    assert_int_equal(entry.waited_ns, 0);
    assert_int_equal(access(making.folder, F_OK), -1); /* it was made aside */
    assert_int_equal(pw_state_find(&cache, "images", "key-1", &found, &err), 1);
    assert_string_equal(found, entry.path);
    free(found);
    PW_FREE_AUTO char *file = pw_path_join(entry.path, "file", NULL);
    PW_FREE_AUTO char *text = NULL;
    assert_int_equal(pw_file_read(file, 100, &text, NULL, &err), 0);
    assert_string_equal(text, "first");
    pw_entry_done(&entry);

    assert_int_equal(pw_state_entry(&cache, "images", "key-1", fill, &making, &entry, &err), 0);
    assert_false(entry.made);
    assert_int_equal(entry.took_ns, 0);
    assert_int_equal(making.calls, 1);
    assert_int_equal(count_in("images"), 1);
    pw_entry_done(&entry);
}

static void failure_leaves_nothing(void **state)
{
    (void)state;
    struct pw_err err = PW_ERR_INIT;
    struct making making = {.text = "x", .fails_with = EIO};
    struct pw_entry entry = {.path = NULL};
    assert_int_equal(pw_state_entry(&cache, "images", "key", fill, &making, &entry, &err), -1);
    assert_string_equal(err.message, "write what was wanted: Input/output error");
    assert_null(entry.path);
    assert_int_equal(count_in("images"), 0);

    making.fails_with = ENOSPC;
    assert_int_equal(pw_state_entry(&cache, "images", "key", fill, &making, &entry, &err), -1);
    assert_contains(err.message, "is full");
    assert_contains(err.remedy, "--state-dir");
    assert_int_equal(err.sys, ENOSPC);
    assert_int_equal(count_in("images"), 0);
}

static void names_are_checked(void **state)
{
    (void)state;
    char longest[130];
    memset(longest, 'k', sizeof(longest));
    longest[129] = '\0';
    const char *const bad[] = {"", ".", "..", ".hidden", "a/b", "a b", "\xc3\xa4", longest};
    struct pw_err err = PW_ERR_INIT;
    struct making making = {.text = "x"};
    struct pw_entry entry = {.path = NULL};
    char *found = NULL;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(pw_state_entry(&cache, "images", bad[i], fill, &making, &entry, &err), -1);
        assert_int_equal(err.cls, PW_ERR_INTERNAL);
        assert_int_equal(pw_state_entry(&cache, bad[i], "key", fill, &making, &entry, &err), -1);
        assert_int_equal(pw_state_find(&cache, "images", bad[i], &found, &err), -1);
    }
    assert_int_equal(making.calls, 0);
    longest[128] = '\0';
    assert_int_equal(pw_state_entry(&cache, "images", longest, fill, &making, &entry, &err), 0);
    pw_entry_done(&entry);
}

static void what_a_killed_one_left_goes(void **state)
{
    (void)state;
    struct pw_err err = PW_ERR_INIT;
    const char *const left[] = {"images/.one.tmp", "images/.two.tmp", "images/.two.lock",
                                "images/.busy.tmp", "images/.busy.lock"};
    PW_FREE_AUTO char *busy = pw_path_join(cache.path, left[4], NULL);
    for (size_t i = 0; i < 4; i++) {
        PW_FREE_AUTO char *path = pw_path_join(cache.path, left[i], NULL);
        assert_int_equal(pw_dir_make(path, &err), 0);
        if (i == 2) { /* a lock is a file */
            assert_int_equal(rmdir(path), 0);
            assert_int_equal(pw_file_write(path, "", 0, 0600, &err), 0);
        }
    }
    PW_FD_AUTO held = open(busy, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(flock(held, LOCK_EX), 0);

    struct making making = {.text = "x"};
    struct pw_entry entry = {.path = NULL};
    assert_int_equal(pw_state_entry(&cache, "images", "one", fill, &making, &entry, &err), 0);
    pw_entry_done(&entry);
    assert_false(is_there(left[0]));
    assert_false(is_there(left[1]));
    assert_false(is_there(left[2]));
    assert_true(is_there(left[3])); /* its maker lives */
    assert_true(is_there(left[4]));
    assert_int_equal(count_in("images"), 3);
}

/* Waits for the parent to say so. */
static int fill_slowly(void *context, const char *folder, struct pw_err *err)
{
    char byte;
    const int *ends = context;
    assert_int_equal(write(ends[1], "m", 1), 1);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    struct making making = {.text = "by the child"};
    return fill(&making, folder, err);
}

static void two_at_once_make_it_once(void **state)
{
    (void)state;
    struct pw_err err = PW_ERR_INIT;
    int to_child[2], to_parent[2];
    assert_int_equal(pipe(to_child) | pipe(to_parent), 0);
    pid_t child = fork();
    if (child == 0) {
        int ends[2] = {to_child[0], to_parent[1]};
        struct pw_entry entry = {.path = NULL};
        int failed = pw_state_entry(&cache, "images", "key", fill_slowly, ends, &entry, &err);
        pw_entry_done(&entry);
        _exit(failed != 0);
    }
    char byte;
    assert_int_equal(read(to_parent[0], &byte, 1), 1);

    /* Another key does not wait. */
    struct making making = {.text = "by the parent"};
    struct pw_entry entry = {.path = NULL};
    assert_int_equal(pw_state_entry(&cache, "images", "other", fill, &making, &entry, &err), 0);
    assert_int_equal(entry.waited_ns, 0);
    pw_entry_done(&entry);

    /* Whether it waits for the lock or finds the entry, it is the child's. */
    assert_int_equal(write(to_child[1], "g", 1), 1);
    assert_int_equal(pw_state_entry(&cache, "images", "key", fill, &making, &entry, &err), 0);
    assert_false(entry.made);
    assert_int_equal(making.calls, 1); /* for the other key */
    PW_FREE_AUTO char *file = pw_path_join(entry.path, "file", NULL);
    PW_FREE_AUTO char *text = NULL;
    assert_int_equal(pw_file_read(file, 100, &text, NULL, &err), 0);
    assert_string_equal(text, "by the child");
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(count_in("images"), 2);
    pw_entry_done(&entry);
    for (int i = 0; i < 2; i++) {
        close(to_child[i]);
        close(to_parent[i]);
    }
}

static void many_at_once_make_it_once(void **state)
{
    (void)state;
    enum { PROCESSES = 12, KEYS = 5 };
    pid_t pids[PROCESSES];
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    for (int i = 0; i < PROCESSES; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            int failed = 0;
            for (int key = 0; key < KEYS; key++) {
                char name[16];
                (void)snprintf(name, sizeof(name), "key-%d", key);
                struct making making = {.text = "x"};
                struct pw_entry entry = {.path = NULL};
                failed |= pw_state_entry(&cache, "images", name, fill, &making, &entry, NULL);
                if (entry.made) {
                    failed |= write(ends[1], "m", 1) != 1;
                }
                pw_entry_done(&entry);
            }
            _exit(failed != 0);
        }
    }
    close(ends[1]);
    for (int i = 0; i < PROCESSES; i++) {
        int status = -1;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    char made[PROCESSES * KEYS + 1];
    assert_int_equal(read(ends[0], made, sizeof(made)), KEYS);
    close(ends[0]);
    assert_int_equal(count_in("images"), KEYS);
}

/* Makes the entry in a child, which is killed in the middle. */
static void killed_in_the_middle(void **state)
{
    (void)state;
    struct pw_err err = PW_ERR_INIT;
    int to_child[2], to_parent[2];
    assert_int_equal(pipe(to_child) | pipe(to_parent), 0);
    pid_t child = fork();
    if (child == 0) {
        int ends[2] = {to_child[0], to_parent[1]};
        struct pw_entry entry = {.path = NULL};
        _exit(pw_state_entry(&cache, "images", "key", fill_slowly, ends, &entry, &err) != 0);
    }
    char byte;
    assert_int_equal(read(to_parent[0], &byte, 1), 1);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_true(is_there("images/.key.tmp"));
    assert_false(is_there("images/key"));
    struct making making = {.text = "x"};
    struct pw_entry entry = {.path = NULL};
    assert_int_equal(pw_state_entry(&cache, "images", "key", fill, &making, &entry, &err), 0);
    assert_true(entry.made);
    assert_int_equal(count_in("images"), 1);
    pw_entry_done(&entry);
    for (int i = 0; i < 2; i++) {
        close(to_child[i]);
        close(to_parent[i]);
    }
}

static void where_it_is(void **state)
{
    struct pw_err err = PW_ERR_INIT;
    struct stat info;
    struct pw_state opened = {NULL};
    char *expected = in_folder(state, "xdg/perfwrap");
    char *xdg = in_folder(state, "xdg");
    assert_int_equal(setenv("XDG_STATE_HOME", xdg, 1), 0);
    assert_int_equal(pw_state_open(NULL, &opened, &err), 0);
    assert_string_equal(opened.path, expected);
    assert_int_equal(stat(opened.path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0700);
    pw_state_close(&opened);
    assert_null(opened.path);

    assert_int_equal(setenv("XDG_STATE_HOME", "relative", 1), 0);
    assert_int_equal(setenv("HOME", *state, 1), 0);
    assert_int_equal(pw_state_open(NULL, &opened, &err), 0);
    assert_contains(opened.path, "/.local/state/perfwrap");
    pw_state_close(&opened);
    assert_int_equal(unsetenv("HOME"), 0);
    assert_int_equal(pw_state_open(NULL, &opened, &err), -1);
    assert_int_equal(err.cls, PW_ERR_SYSTEM);
    assert_contains(err.remedy, "--state-dir");
    free(expected);
    free(xdg);
}

static void deep_folders_work(void **state)
{
    struct pw_err err = PW_ERR_INIT;
    char deep[600];
    int length = snprintf(deep, sizeof(deep), "%s", (char *)*state);
    while (length < 400) {
        length += snprintf(deep + length, sizeof(deep) - (size_t)length, "/%060d", 0);
    }
    struct pw_state opened = {NULL};
    struct making making = {.text = "x"};
    struct pw_entry entry = {.path = NULL};
    assert_int_equal(pw_state_open(deep, &opened, &err), 0);
    assert_int_equal(pw_state_entry(&opened, "images", "key", fill, &making, &entry, &err), 0);
    pw_entry_done(&entry);
    pw_state_close(&opened);
}

static void cannot_be_opened(void **state)
{
    struct pw_err err = PW_ERR_INIT;
    struct pw_state opened = {NULL};
    char *file = in_folder(state, "file");
    char *below = in_folder(state, "file/below");
    assert_int_equal(pw_file_write(file, "x", 1, 0644, &err), 0);
    const char *const bad[] = {file, below, "/proc/perfwrap-state", "/dev/full"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(pw_state_open(bad[i], &opened, &err), -1);
        assert_int_equal(err.cls, PW_ERR_SYSTEM);
        assert_contains(err.remedy, "--state-dir");
        assert_null(opened.path);
    }
    free(file);
    free(below);

    /* Its entries are trusted. */
    char *open_to_all = in_folder(state, "open");
    assert_int_equal(mkdir(open_to_all, 0700), 0);
    assert_int_equal(chmod(open_to_all, 01777), 0);
    assert_int_equal(pw_state_open(open_to_all, &opened, &err), -1);
    assert_int_equal(err.cls, PW_ERR_INPUT);
    assert_contains(err.message, "by everybody");
    assert_contains(err.remedy, "--state-dir");
    assert_null(opened.path);
    free(open_to_all);
}

/* The examples of FIPS 180-4's validation, and a file that is read in several pieces. */
static void digests(void **state)
{
    struct pw_err err = PW_ERR_INIT;
    char digest[PW_DIGEST_TEXT], again[PW_DIGEST_TEXT];
    pw_digest_bytes("abc", 3, digest);
    assert_string_equal(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    pw_digest_bytes("", 0, digest);
    assert_string_equal(digest, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    enum { MILLION = 1000000 };
    char *million = malloc(MILLION);
    memset(million, 'a', MILLION);
    char *path = in_folder(state, "million");
    assert_int_equal(pw_file_write(path, million, MILLION, 0600, &err), 0);
    assert_int_equal(pw_digest_file(path, again, &err), 0);
    assert_string_equal(again, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    assert_int_equal(pw_digest_file("/no/such/file", again, &err), -1);
    assert_int_equal(err.cls, PW_ERR_INPUT);
    assert_int_equal(err.sys, ENOENT);
    assert_int_equal(pw_digest_file(*state, again, &err), -1);
    assert_int_equal(err.sys, EISDIR);
    free(path);
    free(million);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(is_made_once, open_cache, close_cache),
        cmocka_unit_test_setup_teardown(failure_leaves_nothing, open_cache, close_cache),
        cmocka_unit_test_setup_teardown(names_are_checked, open_cache, close_cache),
        cmocka_unit_test_setup_teardown(what_a_killed_one_left_goes, open_cache, close_cache),
        cmocka_unit_test_setup_teardown(two_at_once_make_it_once, open_cache, close_cache),
        cmocka_unit_test_setup_teardown(many_at_once_make_it_once, open_cache, close_cache),
        cmocka_unit_test_setup_teardown(killed_in_the_middle, open_cache, close_cache),
        cmocka_unit_test_setup_teardown(where_it_is, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(deep_folders_work, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(cannot_be_opened, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(digests, make_folder, drop_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
