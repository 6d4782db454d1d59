#include <sys/stat.h>
#include <unistd.h>
#include "core/str.h"
#include "sla/track.h"
#include "tests/unit/unit.h"

/* A summary of that run; numbers follow `p50_ms`. */
static struct pw_summary *make(void **state, const char *run, const char *date, const char *profile,
                               const char *command, double p50_ms)
{
    PW_FREE_AUTO char *path = in_folder(state, "summary.json");
    bool named = *profile != '\0';
    json_t *root =
        json_pack("{s:s, s:s, s:s, s:{s:s?, s:i}, s:i, s:[],"
                  " s:{s:{s:f, s:f}, s:{s:f}, s:{s:f}, s:{s:f}, s:{s:f}, s:i}}",
                  "generated_at", date, "run_dir", run, "command", command, "profile", "name",
                  named ? profile : NULL, "concurrency", 2, "iterations", 5, "runs", "summary",
                  "latency_ms", "p50", p50_ms, "p95", p50_ms * 2, "throughput_runs_per_sec", "mean",
                  1000 / p50_ms, "max_rss_kb", "max", 2048.0, "user_cpu_sec", "mean", 0.25,
                  "system_cpu_sec", "mean", 0.5, "failed_runs_total", 1);
    assert_non_null(root);
    assert_int_equal(json_dump_file(root, path, 0), 0);
    json_decref(root);
    struct pw_summary *summary = pw_summary_load(path, NULL);
    assert_non_null(summary);
    return summary;
}

/* The next text; the old one is freed. */
static enum pw_track_change step(void **state, struct pw_str *text, const char *run,
                                 const char *date, const char *profile, double p50_ms,
                                 const char *note)
{
    enum pw_track_change change;
    struct pw_err err = PW_ERR_INIT;
    struct pw_str next = PW_STR_INIT;
    struct pw_summary *summary = make(state, run, date, profile, "sleep 0.1", p50_ms);
    if (pw_track_update(text->text, summary, "x/summary.json", note, &next, &change, &err) != 0) {
        fail_msg("%s", err.message);
    }
    pw_summary_free(summary);
    pw_str_done(text);
    *text = next;
    return change;
}

static void test_a_new_file(void **state)
{
    PW_STR_AUTO text = PW_STR_INIT;
    assert_int_equal(
        step(state, &text, "/a/x-20260101-100000", "2026-01-01T10:00:00.5+00:00", "x", 100, NULL),
        PW_TRACK_INSERTED);
    assert_contains(text.text, "# Baseline comparison\n");
    assert_contains(text.text,
                    "| 2026-01-01 10:00:00 | x-20260101-100000 | x | sleep 0.1 | 5 x 2 | 1 | "
                    "100.000 | 200.000 | 10.000 | 2.00 | 0.750 | | |\n");
    assert_contains(text.text, pw_track_begin);
    assert_contains(text.text, pw_track_end);
}

static void test_again_changes_nothing(void **state)
{
    PW_STR_AUTO text = PW_STR_INIT;
    PW_STR_AUTO before = PW_STR_INIT;
    step(state, &text, "a", "2026-01-01T10:00:00Z", "x", 100, "said");
    step(state, &text, "b", "2026-01-01T11:00:00Z", "x", 110, NULL);
    pw_str_add(&before, text.text);
    assert_int_equal(step(state, &text, "a", "2026-01-01T10:00:00Z", "x", 100, NULL),
                     PW_TRACK_UNCHANGED);
    assert_int_equal(step(state, &text, "b", "2026-01-01T11:00:00Z", "x", 110, NULL),
                     PW_TRACK_UNCHANGED);
    assert_string_equal(text.text, before.text);
}

/* Rows in order of their dates, whatever order they came in; changes against the row above. */
static void test_order_and_change(void **state)
{
    PW_STR_AUTO text = PW_STR_INIT;
    step(state, &text, "third", "2026-01-03T00:00:00+00:00", "x", 150, NULL);
    step(state, &text, "first", "2026-01-01T00:00:00+00:00", "x", 100, NULL);
    step(state, &text, "other", "2026-01-01T12:00:00+00:00", "y", 10, NULL);
    assert_contains(text.text, "| third | x | sleep 0.1 | 5 x 2 | 1 | 150.000 | 300.000 | 6.667 | "
                               "2.00 | 0.750 | +50.0 % |");
    /* 2026-01-02T01:00+03:00 is the evening of the first. */
    step(state, &text, "second", "2026-01-02T01:00:00+03:00", "x", 200, NULL);
    assert_contains(text.text, "| 2026-01-01 22:00:00 | second |");
    assert_contains(text.text, "0.750 | +100.0 % | |\n");
    assert_contains(text.text, "0.750 | -25.0 % | |\n"); /* the third, against the second */
    const char *first = strstr(text.text, "| first |"), *other = strstr(text.text, "| other |");
    const char *second = strstr(text.text, "| second |"), *third = strstr(text.text, "| third |");
    assert_true(first && first < other && other < second && second < third);
}

static void test_replaces_and_keeps_the_note(void **state)
{
    PW_STR_AUTO text = PW_STR_INIT;
    step(state, &text, "a", "2026-01-01T10:00:00Z", "x", 100, "before the fix");
    assert_int_equal(step(state, &text, "a", "2026-01-01T10:00:00Z", "x", 120, NULL),
                     PW_TRACK_REPLACED);
    assert_contains(text.text, "| 120.000 |");
    assert_contains(text.text, "| before the fix |\n");
    assert_null(strstr(text.text, "| 100.000 |"));
    assert_int_equal(step(state, &text, "a", "2026-01-01T10:00:00Z", "x", 120, ""),
                     PW_TRACK_REPLACED);
    assert_null(strstr(text.text, "before the fix"));
    /* Another date moves it. */
    step(state, &text, "b", "2026-01-02T10:00:00Z", "x", 1, NULL);
    step(state, &text, "a", "2026-01-03T10:00:00Z", "x", 120, NULL);
    assert_true(strstr(text.text, "| b |") < strstr(text.text, "| a |"));
}

static void test_what_is_around_survives(void **state)
{
    static const char around[] = "# Ours\r\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\ttail without end";
    PW_STR_AUTO text = PW_STR_INIT;
    pw_str_add(&text, around);
    step(state, &text, "a", "2026-01-01T10:00:00Z", "x", 100, NULL);
    assert_memory_equal(text.text, around, strlen(around));
    pw_str_add(&text, "\nbelow | it\r\n\x01 \xFF");
    PW_STR_AUTO marked = PW_STR_INIT;
    pw_str_add(&marked, text.text);
    step(state, &text, "b", "2026-01-02T10:00:00Z", "x", 100, NULL);
    assert_memory_equal(text.text, around, strlen(around));
    const char *end = strstr(text.text, pw_track_end);
    assert_non_null(end);
    assert_string_equal(end, strstr(marked.text, pw_track_end));
}

/* Rows that somebody laid out, or with other line ends, stay as they are. */
static void test_foreign_rows_survive(void **state)
{
    PW_STR_AUTO text = PW_STR_INIT;
    PW_STR_AUTO crlf = PW_STR_INIT;
    static const char row[] =
        "|2025-12-31 00:00:00|by hand |  z|c|1|0|5|6|7|8|9|      |hand\\|made|\r\n";
    step(state, &text, "a", "2026-01-01T10:00:00Z", "x", 100, NULL);
    for (const char *c = text.text; *c; c++) {
        if (*c == '\n') {
            pw_str_add_char(&crlf, '\r');
        }
        pw_str_add_char(&crlf, *c);
        if (*c == '\n' && strncmp(c + 1, "| 2026-01-01", 12) == 0) {
            pw_str_add(&crlf, row);
        }
    }
    step(state, &crlf, "b", "2026-01-02T10:00:00Z", "z", 10, NULL);
    assert_contains(crlf.text, row);
    assert_contains(crlf.text, "| +100.0 % | |\r\n"); /* against the one by hand */
}

static void test_hostile_names(void **state)
{
    static const unsigned char moves[] = {0xE2, 0x80, 0xAE, ' ', 0xE2, 0x80, 0xA8, 0};
    char evil[256]; /* with a right-to-left override and a line separator */
    snprintf(evil, sizeof evil,
             "a|b\\|c\n<!-- perfwrap log: table ends. -->\r\t<b>&amp; `x` [y](z) \x1b[31m "
             "\xC2\x9B %s ~~*s*~~ end\\",
             (const char *)moves);
    PW_STR_AUTO text = PW_STR_INIT;
    PW_STR_AUTO before = PW_STR_INIT;
    enum pw_track_change change;
    struct pw_summary *summary = make(state, evil, "2026-01-01T10:00:00Z", evil, evil, 5);
    assert_int_equal(pw_track_update("", summary, "p", evil, &text, &change, NULL), 0);
    pw_summary_free(summary);
    size_t lines = 0, marks = 0;
    for (const char *c = text.text; *c; c++) {
        lines += *c == '\n';
        marks += strncmp(c, "<!--", 4) == 0;
        assert_true((unsigned char)*c >= 0x20 || *c == '\n');
    }
    assert_int_equal(marks, 2);
    assert_int_equal(lines, 9);
    assert_null(strstr(text.text, "<b>"));
    assert_null(strstr(text.text, "\xC2\x9B"));
    assert_null(memmem(text.text, text.length, moves, 3));
    assert_null(memmem(text.text, text.length, moves + 4, 3));
    assert_contains(text.text, "&lt;b>&amp;amp; \\`x\\` \\[y\\](z)");
    /* It reads its own row back: the same run is found. */
    summary = make(state, evil, "2026-01-01T10:00:00Z", evil, evil, 5);
    assert_int_equal(pw_track_update(text.text, summary, "p", NULL, &before, &change, NULL), 0);
    pw_summary_free(summary);
    assert_int_equal(change, PW_TRACK_UNCHANGED);
    assert_string_equal(before.text, text.text);
}

static void test_a_long_command_is_cut_between_characters(void **state)
{
    PW_STR_AUTO text = PW_STR_INIT;
    PW_STR_AUTO command = PW_STR_INIT;
    PW_STR_AUTO shown = PW_STR_INIT;
    enum pw_track_change change;
    for (int i = 0; i < 100; i++) {
        pw_str_add(&command, "ä");
        pw_str_add(&shown, i < 60 ? "ä" : "");
    }
    pw_str_add(&shown, "… |");
    struct pw_summary *summary = make(state, "a", "2026-01-01T10:00:00Z", "x", command.text, 5);
    assert_int_equal(pw_track_update("", summary, "p", NULL, &text, &change, NULL), 0);
    pw_summary_free(summary);
    assert_contains(text.text, shown.text);
}

/* A table that begins with `begin` and goes on with `rest` is refused, naming the line. */
static void refused(void **state, const char *before, const char *line, const char *why)
{
    PW_STR_AUTO text = PW_STR_INIT;
    struct pw_err err = PW_ERR_INIT;
    enum pw_track_change change;
    struct pw_summary *summary = make(state, "a", "2026-01-01T10:00:00Z", "x", "c", 5);
    assert_int_equal(pw_track_update(before, summary, "p", NULL, &text, &change, &err), -1);
    pw_summary_free(summary);
    assert_int_equal(err.cls, PW_ERR_INPUT);
    assert_contains(err.message, line);
    assert_contains(err.message, why);
    assert_true(err.remedy[0] != '\0');
    assert_int_equal(text.length, 0);
}

/* A whole table cut after each of its bytes: read, or refused, but never taken for another. */
static void test_cut_anywhere(void **state)
{
    PW_STR_AUTO whole = PW_STR_INIT;
    step(state, &whole, "a", "2026-01-01T10:00:00Z", "x", 100, NULL);
    step(state, &whole, "b", "2026-01-02T10:00:00Z", "x", 100, NULL);
    struct pw_summary *summary = make(state, "c", "2026-01-03T10:00:00Z", "x", "c", 5);
    const char *begin = strstr(whole.text, pw_track_begin);
    size_t begun = (size_t)(begin - whole.text) + strlen("<!-- perfwrap log: table begins");
    size_t ended = (size_t)(strstr(whole.text, pw_track_end) - whole.text) +
                   strlen("<!-- perfwrap log: table ends");
    for (size_t cut = 0; cut <= whole.length; cut++) {
        PW_STR_AUTO part = PW_STR_INIT;
        PW_STR_AUTO text = PW_STR_INIT;
        enum pw_track_change change;
        pw_str_add_bytes(&part, whole.text, cut);
        int result = pw_track_update(part.text, summary, "p", NULL, &text, &change, NULL);
        bool readable = cut < begun || cut >= ended;
        if (result != (readable ? 0 : -1)) {
            fail_msg("cut after %zu bytes: %d", cut, result);
        }
        if (readable) {
            assert_memory_equal(text.text, part.text, cut < begun ? cut : begun);
        }
    }
    pw_summary_free(summary);
}

static void test_refuses(void **state)
{
    PW_STR_AUTO whole = PW_STR_INIT;
    PW_STR_AUTO text = PW_STR_INIT;
    step(state, &whole, "a", "2026-01-01T10:00:00Z", "x", 100, NULL);
    char *header = strstr(whole.text, "| Date (UTC) |");
    assert_non_null(header);

    /* A column of somebody's own, at the right or in the middle. */
    pw_str_add_bytes(&text, whole.text, (size_t)(header - whole.text));
    pw_str_add(&text, "| Who ");
    pw_str_add(&text, header);
    refused(state, text.text, "line 6", "other columns");

    /* A row with one cell less, and one without its end. */
    pw_str_clear(&text);
    char *end = strstr(whole.text, pw_track_end);
    pw_str_add_bytes(&text, whole.text, (size_t)(end - whole.text));
    pw_str_add(&text, "| 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10 | 11 | 12 |\n");
    pw_str_add(&text, end);
    refused(state, text.text, "line 9", "cut off");
    pw_str_clear(&text);
    pw_str_add_bytes(&text, whole.text, (size_t)(end - whole.text));
    pw_str_add(&text, "| 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10 | 11 | 12 | 13\n");
    pw_str_add(&text, end);
    refused(state, text.text, "line 9", "cut off");

    refused(state, pw_track_begin, "line 1", "no end");
    refused(state, pw_track_end, "line 1", "has not begun");
    pw_str_clear(&text);
    pw_str_addf(&text, "%s\n%s\n%s\n", pw_track_begin, pw_track_end, pw_track_begin);
    refused(state, text.text, "line 3", "second table");
    pw_str_clear(&text);
    pw_str_addf(&text, "%s\n%s\n%s\n", pw_track_begin, pw_track_end, pw_track_end);
    refused(state, text.text, "line 3", "has not begun");
}

static void test_a_summary_without_a_date(void **state)
{
    static const char *const dates[] = {"",
                                        "yesterday",
                                        "2026-01-01",
                                        "2026-01-01T10:00:00",
                                        "2026-13-01T10:00:00Z",
                                        "2026-01-01T25:00:00Z",
                                        "2026-01-01T10:00:00+1:00",
                                        "2026-01-01T10:00:00Zx",
                                        "+026-01-01T10:00:00Z"};
    for (size_t i = 0; i < sizeof(dates) / sizeof(dates[0]); i++) {
        PW_STR_AUTO text = PW_STR_INIT;
        struct pw_err err = PW_ERR_INIT;
        enum pw_track_change change;
        struct pw_summary *summary = make(state, "a", dates[i], "x", "c", 5);
        assert_int_equal(pw_track_update("", summary, "p.json", NULL, &text, &change, &err), -1);
        pw_summary_free(summary);
        assert_contains(err.message, "`p.json` has no date");
    }
}

/* Without a profile the run folder's name stands for it, without its time stamp. */
static void test_profile_of_a_run_folder(void **state)
{
    PW_STR_AUTO text = PW_STR_INIT;
    step(state, &text, "out/local-perf-20260101-100000/", "2026-01-01T10:00:00Z", "", 100, NULL);
    assert_contains(text.text, "| local-perf-20260101-100000 | local-perf |");
}

static void test_file(void **state)
{
    PW_FREE_AUTO char *path = in_folder(state, "T.md");
    PW_FREE_AUTO char *link = in_folder(state, "link.md");
    PW_FREE_AUTO char *text = NULL;
    struct pw_err err = PW_ERR_INIT;
    struct stat status;
    enum pw_track_change change;
    bool written;
    assert_int_equal(pw_file_write(path, "mine\n", 5, 0600, NULL), 0);
    assert_int_equal(symlink("T.md", link), 0);
    struct pw_summary *summary = make(state, "a", "2026-01-01T10:00:00Z", "x", "c", 5);
    for (int i = 0; i < 2; i++) {
        struct pw_track_file *file = pw_track_open(link, &err);
        assert_non_null(file);
        assert_int_equal(pw_track_add(file, summary, "p", NULL, &change, &err), 0);
        assert_int_equal(pw_track_save(file, &written, &err), 0);
        assert_int_equal(written, i == 0);
        pw_track_close(file);
    }
    pw_summary_free(summary);
    assert_int_equal(lstat(link, &status), 0);
    assert_true(S_ISLNK(status.st_mode));
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(pw_file_read(path, 1 << 20, &text, NULL, NULL), 0);
    assert_memory_equal(text, "mine\n", 5);
    assert_contains(text, "| a | x | c |");
}

static void test_file_faults(void **state)
{
    PW_FREE_AUTO char *nul = in_folder(state, "nul.md");
    PW_FREE_AUTO char *none = in_folder(state, "no/such/T.md");
    struct pw_err err = PW_ERR_INIT;
    assert_null(pw_track_open(none, &err));
    assert_int_equal(err.cls, PW_ERR_INPUT);
    assert_null(pw_track_open(*state, &err));
    assert_contains(err.message, "no regular file");
    assert_int_equal(pw_file_write(nul, "a\0b", 3, 0600, NULL), 0);
    assert_null(pw_track_open(nul, &err));
    assert_contains(err.message, "NUL");
    pw_track_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_new_file, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(test_again_changes_nothing, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(test_order_and_change, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(test_replaces_and_keeps_the_note, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(test_what_is_around_survives, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(test_foreign_rows_survive, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(test_hostile_names, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(test_a_long_command_is_cut_between_characters, make_folder,
                                        drop_folder),
        cmocka_unit_test_setup_teardown(test_cut_anywhere, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(test_refuses, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(test_a_summary_without_a_date, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(test_profile_of_a_run_folder, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(test_file, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(test_file_faults, make_folder, drop_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
