/* wrapper/probe/proc_file: the parsers on texts good and bad, the readers on the real /proc. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "tests/unit/fake_root.h"
#include "wrapper/probe/proc_file.h"

/* Fields 3 to 29 of a stat line; those that are read have numbers that tell them apart. */
#define STAT_TAIL                                                                \
    " S 10 11 12 13 -1 4194304 5 6 7 8 141 152 163 174 20 0 31 0 222 999999 24 " \
    "18446744073709551615 1 1 0 0"

static bool parse_stat(const char *text, struct pw_proc_stat *ret_stat)
{
    return pw_proc_stat_parse(text, strlen(text), ret_stat);
}

static void stat_fields(void **state)
{
    (void)state;
    struct pw_proc_stat stat;
    assert_true(parse_stat("42 (name)" STAT_TAIL, &stat));
    assert_int_equal(stat.pid, 42);
    assert_int_equal(stat.state, 'S');
    assert_int_equal(stat.ppid, 10);
    assert_true(stat.has_waited);
    assert_int_equal(stat.utime_ticks, 141);
    assert_int_equal(stat.stime_ticks, 152);
    assert_int_equal(stat.cutime_ticks, 163);
    assert_int_equal(stat.cstime_ticks, 174);
    assert_int_equal(stat.threads, 31);
    assert_int_equal(stat.starttime_ticks, 222);
    assert_int_equal(stat.rss_pages, 24);
}

static void stat_of_who_has_not_waited(void **state)
{
    (void)state;
    struct pw_proc_stat stat;
    assert_true(parse_stat("42 (x) S 1 1 1 0 -1 1 5 0 7 8 1 1 1 1 20 0 1 0 2 9 24", &stat));
    assert_false(stat.has_waited);
}

static void stat_names_with_anything(void **state)
{
    (void)state;
    static const char *const names[] = {"", " ", ")", "a b", ") R 1 2 3", "((", "\n", "1 (x) S 5"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char text[512];
        struct pw_proc_stat stat;
        snprintf(text, sizeof text, "42 (%s)%s", names[i], STAT_TAIL);
        assert_true(parse_stat(text, &stat));
        assert_int_equal(stat.ppid, 10);
        assert_int_equal(stat.rss_pages, 24);
    }
}

static void stat_refuses_what_is_cut(void **state)
{
    (void)state;
    static const char whole[] =
        "42 (name) S 10 11 12 13 -1 4194304 5 6 7 8 141 152 163 174 20 0 31 0 222 9 24";
    struct pw_proc_stat stat = {.pid = 7};
    for (size_t length = 0; length < sizeof whole - 2; length++)
        assert_false(pw_proc_stat_parse(whole, length, &stat));
    assert_int_equal(stat.pid, 7);
    assert_true(pw_proc_stat_parse(whole, sizeof whole - 1, &stat));
    assert_false(parse_stat("x (name)" STAT_TAIL, &stat));
    assert_false(parse_stat("99999999999 (name)" STAT_TAIL, &stat));
    assert_false(parse_stat("42 (name) S 10 x", &stat));
}

static void stat_large_numbers_stick(void **state)
{
    (void)state;
    struct pw_proc_stat stat;
    assert_true(
        parse_stat("1 (x) R 1 1 1 1 1 1 1 1 1 1 99999999999999999999999 18446744073709551615 "
                   "-5 9223372036854775807 1 1 1 1 1 1 1",
                   &stat));
    assert_true(stat.utime_ticks > UINT64_C(1000000000000000000));
    assert_true(stat.utime_ticks + stat.stime_ticks + stat.cstime_ticks >= stat.utime_ticks);
    assert_int_equal(stat.cutime_ticks, 0);
}

static void pids_one_after_the_other(void **state)
{
    (void)state;
    static const char text[] = "12 345 67";
    const char *cursor = text, *end = text + strlen(text);
    pid_t pid = 0;
    assert_true(pw_proc_pid_next(&cursor, end, &pid));
    assert_int_equal(pid, 12);
    assert_true(pw_proc_pid_next(&cursor, end, &pid));
    assert_int_equal(pid, 345);
    /* The last one may go on in the next chunk. */
    assert_false(pw_proc_pid_next(&cursor, end, &pid));
    assert_string_equal(cursor, "67");
    assert_int_equal(pid, 345);
    cursor = text;
    assert_false(pw_proc_pid_next(&cursor, cursor, &pid));
    for (const char *const *bad = (const char *const[]){"x ", "-3x ", "4294967296 ", NULL};
         *bad != NULL; bad++) {
        cursor = *bad;
        assert_false(pw_proc_pid_next(&cursor, cursor + strlen(cursor), &pid));
    }
}

struct pids {
    uint64_t sum;
    size_t count;
};

static void add_pid(void *context, pid_t pid)
{
    struct pids *pids = context;
    pids->sum += (uint64_t)pid;
    pids->count++;
}

static void long_lists_are_read_in_chunks(void **state)
{
    (void)state;
    enum { COUNT = 5000 };
    struct fake_root fake;
    char text[COUNT * 8], path[PATH_MAX];
    size_t length = 0;
    uint64_t sum = 0;
    for (int i = 1; i <= COUNT; i++) {
        length += (size_t)sprintf(text + length, "%d ", i * 7);
        sum += (uint64_t)i * 7;
    }
    fake_root_make(&fake);
    fake_text(&fake, "children", text);
    fake_path(&fake, path, "children");
    PW_FD_AUTO fd = open(path, O_RDONLY | O_CLOEXEC);
    for (int again = 0; again < 2; again++) {
        struct pids pids = {0};
        assert_int_equal(pw_proc_children_read(fd, add_pid, &pids), PW_PROC_OK);
        assert_int_equal(pids.count, COUNT);
        assert_int_equal(pids.sum, sum);
    }
    struct pids pids = {0};
    fake_text(&fake, "children", "12 garbage");
    assert_int_equal(pw_proc_children_read(fd, add_pid, &pids), PW_PROC_FAILED);
    assert_int_equal(pids.count, 1);
    fake_root_remove(&fake);
}

static void rollup_sums(void **state)
{
    (void)state;
    static const char text[] = "5563-7ffe ---p 00000000 00:00 0    [rollup]\n"
                               "Rss:                1616 kB\nPss:                 372 kB\n"
                               "Pss_Anon:            100 kB\nPss_File:            260 kB\n"
                               "Pss_Shmem:            20 kB\nSwap:                  9 kB\n"
                               "SwapPss:               3 kB\n";
    static const char old[] = "a [rollup]\nRss: 4 kB\nPss: 2 kB\nSwap: 0 kB\nSwapPss: 0 kB\n";
    struct pw_proc_rollup rollup;
    assert_true(pw_proc_rollup_parse(text, strlen(text), &rollup));
    assert_int_equal(rollup.pss_bytes, 372 * 1024);
    assert_true(rollup.has_footprint);
    assert_int_equal(rollup.footprint_bytes, 123 * 1024);
    assert_true(pw_proc_rollup_parse(old, strlen(old), &rollup));
    assert_int_equal(rollup.pss_bytes, 2048);
    assert_false(rollup.has_footprint);
    assert_int_equal(rollup.footprint_bytes, 0);
    assert_false(pw_proc_rollup_parse("Rss: 1 kB\n", 10, &rollup));
    assert_false(pw_proc_rollup_parse("", 0, &rollup));
    assert_true(pw_proc_rollup_parse("Pss: 99999999999999999999 kB\n", 29, &rollup));
    assert_true(rollup.pss_bytes > UINT64_C(1) << 59);
}

static void lines_by_name(void **state)
{
    (void)state;
    static const char text[] = "model name\t: AMD\nmodel\t: 1\nPss_Anon: 5\nPss:   6 kB\nlast:";
    assert_memory_equal(pw_proc_line_find(text, "model"), "1\n", 2);
    assert_memory_equal(pw_proc_line_find(text, "model name"), "AMD\n", 4);
    assert_memory_equal(pw_proc_line_find(text, "Pss"), "6 kB", 4);
    assert_string_equal(pw_proc_line_find(text, "last"), "");
    assert_null(pw_proc_line_find(text, "name"));
    assert_null(pw_proc_line_find("", "name"));
    assert_null(pw_proc_line_find("\n\n", "name"));
}

static void text_is_cut_to_the_buffer(void **state)
{
    (void)state;
    struct fake_root fake;
    char buffer[5];
    fake_root_make(&fake);
    fake_text(&fake, "file", "abcdefgh");
    PW_FD_AUTO dir = open(fake.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(pw_proc_text_read(dir, "file", buffer, sizeof buffer), 4);
    assert_string_equal(buffer, "abcd");
    assert_int_equal(pw_proc_text_read(dir, "none", buffer, sizeof buffer), -1);
    assert_int_equal(errno, ENOENT);
    fake_root_remove(&fake);
}

static void numbers_of_a_folder(void **state)
{
    (void)state;
    struct fake_root fake;
    struct pids pids = {0};
    fake_root_make(&fake);
    fake_text(&fake, "12", "");
    fake_dir(&fake, "30");
    fake_text(&fake, "12a", "");
    fake_text(&fake, "-4", "");
    fake_text(&fake, "99999999999", "");
    PW_FD_AUTO dir = open(fake.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int again = 1; again <= 2; again++) {
        assert_int_equal(pw_proc_numbers_read(dir, add_pid, &pids), PW_PROC_OK);
        assert_int_equal(pids.count, 2 * again);
        assert_int_equal(pids.sum, 42 * again);
    }
    PW_FD_AUTO no_dir = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(pw_proc_numbers_read(no_dir, add_pid, &pids), PW_PROC_FAILED);
    fake_root_remove(&fake);
}

/* The same descriptors before and after the process has ended. */
static void real_process_until_its_end(void **state)
{
    (void)state;
    char path[PATH_MAX];
    struct pw_proc_stat stat;
    struct pw_proc_rollup rollup;
    struct pids pids = {0};
    int leash[2];
    assert_int_equal(pipe2(leash, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        char byte;
        close(leash[1]);
        _exit(read(leash[0], &byte, 1) != 0);
    }
    close(leash[0]);
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    PW_FD_AUTO stat_fd = open(path, O_RDONLY | O_CLOEXEC);
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", pid);
    PW_FD_AUTO rollup_fd = open(path, O_RDONLY | O_CLOEXEC);
    snprintf(path, sizeof path, "/proc/self/task/%d/children", getpid());
    PW_FD_AUTO children_fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(pw_proc_stat_read(stat_fd, &stat), PW_PROC_OK);
    assert_int_equal(stat.pid, pid);
    assert_int_equal(stat.ppid, getpid());
    assert_int_equal(stat.threads, 1);
    assert_true(stat.rss_pages > 0);
    assert_int_equal(pw_proc_rollup_read(rollup_fd, &rollup), PW_PROC_OK);
    assert_true(rollup.has_footprint && rollup.footprint_bytes > 0);
    assert_true(rollup.pss_bytes <= stat.rss_pages * (uint64_t)sysconf(_SC_PAGESIZE) * 2);
    assert_int_equal(pw_proc_children_read(children_fd, add_pid, &pids), PW_PROC_OK);
    assert_int_equal(pids.count, 1);
    assert_int_equal(pids.sum, pid);

    siginfo_t info;
    close(leash[1]);
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    assert_int_equal(pw_proc_stat_read(stat_fd, &stat), PW_PROC_OK);
    assert_int_equal(stat.state, 'Z');
    assert_int_equal(stat.rss_pages, 0);
    assert_int_equal(pw_proc_rollup_read(rollup_fd, &rollup), PW_PROC_GONE);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(pw_proc_stat_read(stat_fd, &stat), PW_PROC_GONE);
    pids = (struct pids){0};
    assert_int_equal(pw_proc_children_read(children_fd, add_pid, &pids), PW_PROC_OK);
    assert_int_equal(pids.count, 0);
}

static void outcomes(void **state)
{
    (void)state;
    assert_int_equal(pw_proc_outcome_of(0), PW_PROC_OK);
    assert_int_equal(pw_proc_outcome_of(ESRCH), PW_PROC_GONE);
    assert_int_equal(pw_proc_outcome_of(ENOENT), PW_PROC_GONE);
    assert_int_equal(pw_proc_outcome_of(EACCES), PW_PROC_DENIED);
    assert_int_equal(pw_proc_outcome_of(EPERM), PW_PROC_DENIED);
    assert_int_equal(pw_proc_outcome_of(EMFILE), PW_PROC_FAILED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stat_fields),
        cmocka_unit_test(stat_of_who_has_not_waited),
        cmocka_unit_test(stat_names_with_anything),
        cmocka_unit_test(stat_refuses_what_is_cut),
        cmocka_unit_test(stat_large_numbers_stick),
        cmocka_unit_test(pids_one_after_the_other),
        cmocka_unit_test(long_lists_are_read_in_chunks),
        cmocka_unit_test(rollup_sums),
        cmocka_unit_test(lines_by_name),
        cmocka_unit_test(text_is_cut_to_the_buffer),
        cmocka_unit_test(numbers_of_a_folder),
        cmocka_unit_test(real_process_until_its_end),
        cmocka_unit_test(outcomes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
