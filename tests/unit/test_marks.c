/* wrapper/run/marks and mark_watch: what --mark may say, and which lines of a worker are marks. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "core/clock.h"
#include "wrapper/run/mark_watch.h"
#include "wrapper/run/marks.h"

static void give(struct pw_marks *marks, const char *const *texts)
{
    struct pw_err err = PW_ERR_INIT;
    *marks = PW_MARKS_INIT;
    for (; *texts; texts++) {
        if (pw_marks_add(marks, *texts, &err) != 0) {
            fail_msg("%s", err.message);
        }
    }
}

static void every_source_is_understood(void **state)
{
    (void)state;
    static const char *const texts[] = {"o=stdout:/a=b/",
                                        "e=stderr://",
                                        "d=fd3",
                                        "f=file:/tmp/{worker_id}=x",
                                        "t=tcp:8080",
                                        "t6=tcp:[::1]:65535",
                                        "tp=tcp:localhost:80{worker_id}",
                                        "u=unix:/run/x.sock",
                                        "h=http:http://127.0.0.1:80/health",
                                        "h2=http://[::1]:80{worker_id}/",
                                        "s=otlp:span:my span:x",
                                        "l=otlp:log:/up$/",
                                        "c=serial:/^login:/",
                                        NULL};
    static const struct {
        enum pw_mark_source source;
        const char *text;
    } expected[] = {{PW_MARK_STDOUT, "/a=b/"},
                    {PW_MARK_STDERR, "//"},
                    {PW_MARK_FD3, ""},
                    {PW_MARK_FILE, "/tmp/{worker_id}=x"},
                    {PW_MARK_TCP, "8080"},
                    {PW_MARK_TCP, "[::1]:65535"},
                    {PW_MARK_TCP, "localhost:80{worker_id}"},
                    {PW_MARK_UNIX, "/run/x.sock"},
                    {PW_MARK_HTTP, "http://127.0.0.1:80/health"},
                    {PW_MARK_HTTP, "http://[::1]:80{worker_id}/"},
                    {PW_MARK_OTLP_SPAN, "my span:x"},
                    {PW_MARK_OTLP_LOG, "/up$/"},
                    {PW_MARK_STDOUT, "/^login:/"}};
    struct pw_marks marks;
    give(&marks, texts);
    assert_int_equal(marks.names.count, sizeof expected / sizeof *expected);
    for (size_t i = 0; i < marks.names.count; i++) {
        const struct pw_mark *mark = &marks.items[i];
        bool has_pattern = mark->source == PW_MARK_STDOUT || mark->source == PW_MARK_STDERR ||
                           mark->source == PW_MARK_OTLP_LOG;
        assert_int_equal(mark->source, expected[i].source);
        assert_string_equal(mark->text, expected[i].text);
        assert_int_equal(mark->pattern != NULL, has_pattern);
        assert_true(pw_marks_has(&marks, mark->source));
        assert_int_equal(strncmp(marks.names.names[i], texts[i], strcspn(texts[i], "=")), 0);
    }
    assert_int_equal(marks.until, -1);
    assert_int_equal(pw_marks_set_until(&marks, "t6", NULL), 0);
    assert_int_equal(marks.until, 5);
    pw_marks_done(&marks);
    assert_false(pw_marks_has(&marks, PW_MARK_TCP));
}

static void faults_are_told_with_a_remedy(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message, *remedy;
    } faulty[] = {
        {"ready", "not NAME=SOURCE", "tcp:8080"},
        {"=fd3", "0 bytes", "1 to 64"},
        {"re ady=fd3", "not NAME=SOURCE", "letters"},
        {"end=fd3", "`end` is taken", "another"},
        {"there=fd3", "two marks are named `there`", "own"},
        {"x=stdot:/a/", "no source", "`stdout:`"},
        {"x=fd4", "no source", "`fd3`"},
        {"x=otlp:spam:a", "no source", "`otlp:span:`"},
        {"x=", "no source", "one of"},
        {"x=serial:a", "not /REGEX/", "/listening on/"},
        {"x=seral:/a/", "no source", "`serial:`"},
        {"x=guest:/a/", "no source", ""},
        {"x=guest", "no source", ""},
        {"x=stdout:a", "not /REGEX/", "stdout:/"},
        {"x=stdout:/", "not /REGEX/", ""},
        {"x=stderr:/a(/", "character 3", ""},
        {"x=otlp:log:/[/", "character", ""},
        {"x=otlp:span:", "without a span's name", ""},
        {"x=tcp:", "no port", "1 to 65535"},
        {"x=tcp:0", "no port", ""},
        {"x=tcp:65536", "no port", ""},
        {"x=tcp:99999999999999999999", "no port", ""},
        {"x=tcp:host", "no port", ""},
        {"x=tcp::80", "no host", ""},
        {"x=tcp:http://a:80", "no host", ""},
        {"x=file:", "no path", "file:PATH"},
        {"x=unix:", "no path", ""},
        {"x=https://a/", "no URL", "no https"},
        {"x=http:a", "no URL", ""},
        {"x=http://", "no URL", ""},
        {"x=http://a b/", "no URL", ""},
        {"x=http://me:secret@a/", "no URL", "user name"},
    };
    static const char *const there[] = {"there=fd3", NULL};
    struct pw_marks marks;
    give(&marks, there);
    for (size_t i = 0; i < sizeof faulty / sizeof *faulty; i++) {
        struct pw_err err = PW_ERR_INIT;
        assert_int_equal(pw_marks_add(&marks, faulty[i].text, &err), -1);
        assert_int_equal(err.cls, PW_ERR_USAGE);
        if (!strstr(err.message, faulty[i].message) || !strstr(err.remedy, faulty[i].remedy)) {
            fail_msg("%s: %s / %s", faulty[i].text, err.message, err.remedy);
        }
    }
    assert_int_equal(marks.names.count, 1);
    pw_marks_done(&marks);
}

static void bounds_are_kept(void **state)
{
    (void)state;
    struct pw_marks marks = PW_MARKS_INIT;
    struct pw_err err = PW_ERR_INIT;
    char text[256];
    memset(text, 'n', PW_LIMIT_MOMENT_NAME + 1);
    snprintf(text + PW_LIMIT_MOMENT_NAME + 1, 8, "=fd3");
    assert_int_equal(pw_marks_add(&marks, text, &err), -1);
    assert_int_equal(pw_marks_add(&marks, text + 1, &err), 0); /* just not too long */
    for (int i = 1; i < PW_LIMIT_MOMENTS; i++) {
        snprintf(text, sizeof text, "m%d=fd3", i);
        assert_int_equal(pw_marks_add(&marks, text, &err), 0);
    }
    assert_int_equal(pw_marks_add(&marks, "more=fd3", &err), -1);
    assert_non_null(strstr(err.message, "more than 32"));
    memset(text, 'p', sizeof text - 1);
    memcpy(text, "u=unix:", 7);
    text[7 + 108] = '\0';
    pw_marks_done(&marks);
    assert_int_equal(pw_marks_add(&marks, text, &err), -1);
    text[7 + 107] = '\0';
    assert_int_equal(pw_marks_add(&marks, text, &err), 0);
    pw_marks_done(&marks);
}

static void until_wants_a_mark(void **state)
{
    (void)state;
    static const char *const texts[] = {"ready=fd3", NULL};
    struct pw_marks marks;
    struct pw_err err = PW_ERR_INIT;
    give(&marks, texts);
    assert_int_equal(pw_marks_set_until(&marks, "raedy", &err), -1);
    assert_int_equal(err.cls, PW_ERR_USAGE);
    assert_non_null(strstr(err.remedy, "`ready`"));
    assert_int_equal(pw_marks_set_until(&marks, "something-else", &err), -1);
    assert_non_null(strstr(err.remedy, "--mark something-else="));
    assert_int_equal(marks.until, -1);
    pw_marks_done(&marks);
}

static const char *const three[] = {"a=stdout:/^alpha$/", "b=stdout:/beta/", "c=stderr:/^alpha$/",
                                    "d=fd3", NULL};

struct bench {
    struct pw_marks marks;
    struct pw_mark_watch watch;
};

static void bench_init(struct bench *bench, const char *const *texts)
{
    give(&bench->marks, texts);
    assert_int_equal(pw_mark_watch_init(&bench->watch, &bench->marks, NULL), 0);
}

static void bench_done(struct bench *bench)
{
    pw_mark_watch_done(&bench->watch);
    pw_marks_done(&bench->marks);
}

static void hear(struct bench *bench, enum pw_mark_source source, const char *text, int64_t at_ns)
{
    pw_mark_watch_hear(&bench->watch, source, text, strlen(text), at_ns);
}

static void expect_all(const struct bench *bench, const int64_t *at_ns, size_t count)
{
    assert_int_equal(count, bench->marks.names.count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(atomic_load(&bench->watch.at_ns[i]), at_ns[i]);
    }
}

/* The time of each mark. */
#define EXPECT(bench, ...)                              \
    expect_all((bench), (const int64_t[]){__VA_ARGS__}, \
               sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

static void a_line_counts_when_its_end_is_read(void **state)
{
    (void)state;
    struct bench bench;
    bench_init(&bench, three);
    hear(&bench, PW_MARK_STDOUT, "alp", 1);
    hear(&bench, PW_MARK_STDOUT, "ha", 2);
    EXPECT(&bench, 0, 0, 0, 0);
    hear(&bench, PW_MARK_STDOUT, "\nalpha\nxbetax\n", 3);
    EXPECT(&bench, 3, 3, 0, 0);
    hear(&bench, PW_MARK_STDOUT, "alpha\n", 4); /* the first one counts */
    hear(&bench, PW_MARK_STDERR, "alphabet\nalpha", 5);
    EXPECT(&bench, 3, 3, 0, 0);
    pw_mark_watch_hear(&bench.watch, PW_MARK_STDERR, NULL, 0, 6); /* the stream's end */
    EXPECT(&bench, 3, 3, 6, 0);
    pw_mark_watch_reset(&bench.watch);
    EXPECT(&bench, 0, 0, 0, 0);
    hear(&bench, PW_MARK_STDOUT, "alpha\n", 7);
    EXPECT(&bench, 7, 0, 0, 0);
    bench_done(&bench);
}

/* Whatever pieces the bytes come in. */
static void pieces_make_no_difference(void **state)
{
    (void)state;
    static const char text[] = "\n\nnone\nalpha \n\0alpha\nalpha\nbeta";
    const size_t size = sizeof text - 1;
    for (size_t piece = 1; piece <= size; piece++) {
        struct bench bench;
        bench_init(&bench, three);
        for (size_t at = 0; at < size; at += piece) {
            pw_mark_watch_hear(&bench.watch, PW_MARK_STDOUT, text + at,
                               size - at < piece ? size - at : piece, 10);
        }
        EXPECT(&bench, 10, 0, 0, 0);
        pw_mark_watch_close(&bench.watch, 11);
        EXPECT(&bench, 10, 11, 0, 0);
        bench_done(&bench);
    }
}

static void long_lines_are_cut(void **state)
{
    (void)state;
    enum { LIMIT = PW_LIMIT_MARK_LINE_BYTES };
    static const char *const texts[] = {"head=stdout:/^head/", "tail=stdout:/tail/",
                                        "next=stdout:/^next$/", NULL};
    static char line[3 * LIMIT];
    memset(line, 'x', sizeof line);
    static const char head[] = {'h', 'e', 'a', 'd'}, tail[] = {'t', 'a', 'i', 'l'};
    memcpy(line, head, sizeof head);
    memcpy(line + LIMIT - 2, tail, sizeof tail); /* half of it is over the limit */
    struct bench bench;
    bench_init(&bench, texts);
    pw_mark_watch_hear(&bench.watch, PW_MARK_STDOUT, line, LIMIT, 1);
    EXPECT(&bench, 0, 0, 0);
    pw_mark_watch_hear(&bench.watch, PW_MARK_STDOUT, line + LIMIT, 1, 2);
    EXPECT(&bench, 2, 0, 0); /* what it is cut to is known */
    pw_mark_watch_hear(&bench.watch, PW_MARK_STDOUT, line, sizeof line, 3);
    hear(&bench, PW_MARK_STDOUT, "tail\nnext\n", 4);
    EXPECT(&bench, 2, 0, 4);
    bench_done(&bench);
}

static void descriptor_3_names_marks(void **state)
{
    (void)state;
    static const char *const texts[] = {"up=fd3", "upper=fd3", "out=stdout:/x/", NULL};
    struct bench bench;
    bench_init(&bench, texts);
    hear(&bench, PW_MARK_FD3, "PW out\nPW\nup\n PW up\nPWup\nPW  up\npw up\n\n", 1);
    EXPECT(&bench, 0, 0, 0);
    assert_int_equal(bench.watch.unknown, 8);
    hear(&bench, PW_MARK_FD3, "PW upper and more\nPW up\r\n", 2);
    EXPECT(&bench, 2, 2, 0);
    hear(&bench, PW_MARK_FD3, "PW up\nPW what\n", 3);
    EXPECT(&bench, 2, 2, 0);
    assert_int_equal(bench.watch.unknown, 9);
    bench_done(&bench);
}

/* What a guest tells may come either way, and is more than marks. */
static void guests_name_marks_on_both_streams(void **state)
{
    (void)state;
    static const char *const texts[] = {"up=fd3", "out=stdout:/^x/", NULL};
    struct bench bench;
    struct pw_moments moments;
    give(&bench.marks, texts);
    assert_int_equal(pw_marks_add_guest(&bench.marks, "kernel", NULL), 0);
    assert_int_equal(pw_marks_add_guest(&bench.marks, "exec", NULL), 0);
    assert_string_equal(pw_mark_source_name(bench.marks.items[2].source), "guest");
    assert_int_equal(pw_mark_watch_init(&bench.watch, &bench.marks, NULL), 0);
    hear(&bench, PW_MARK_FD3, "PW out\nPW fault\nPW kernel uptime=0.6\n", 1);
    EXPECT(&bench, 0, 0, 1, 0);
    hear(&bench, PW_MARK_STDOUT, "PW up\n PW exec\nPW execs\nPW kernel\r\n", 2);
    EXPECT(&bench, 0, 0, 1, 0); /* `up` is told on descriptor 3 only */
    hear(&bench, PW_MARK_STDERR, "PW exec\n", 3);
    hear(&bench, PW_MARK_STDOUT, "x\nPW exec\r\n", 4);
    hear(&bench, PW_MARK_FD3, "PW exec\nPW up\n", 5);
    EXPECT(&bench, 5, 4, 1, 4);
    assert_int_equal(bench.watch.unknown, 0);
    pw_mark_watch_moments(&bench.watch, 0, 3, &moments); /* read after the end, written before */
    assert_int_equal(moments.at_ns[3], 3);
    pw_mark_watch_reset(&bench.watch);
    hear(&bench, PW_MARK_STDOUT, "PW exec\nx\nPW kernel", 6);
    EXPECT(&bench, 0, 6, 0, 6);
    pw_mark_watch_close(&bench.watch, 7);
    EXPECT(&bench, 0, 6, 7, 6);
    bench_done(&bench);
}

static void names_of_guests_are_checked(void **state)
{
    (void)state;
    static const char *const faulty[] = {"", "end", "a b", "a=fd3", "there"};
    static const char *const there[] = {"there=fd3", NULL};
    struct pw_marks marks;
    give(&marks, there);
    for (size_t i = 0; i < sizeof faulty / sizeof *faulty; i++) {
        struct pw_err err = PW_ERR_INIT;
        assert_int_equal(pw_marks_add_guest(&marks, faulty[i], &err), -1);
        assert_int_equal(err.cls, PW_ERR_USAGE);
    }
    assert_int_equal(marks.names.count, 1);
    for (int i = 1; i < PW_LIMIT_MOMENTS; i++) {
        char name[16];
        snprintf(name, sizeof name, "g%d", i);
        assert_int_equal(pw_marks_add_guest(&marks, name, NULL), 0);
    }
    assert_int_equal(pw_marks_add_guest(&marks, "more", NULL), -1);
    pw_marks_done(&marks);
}

static void what_comes_after_the_end_is_not_the_workers(void **state)
{
    (void)state;
    static const char *const texts[] = {"late=stdout:/late/",   "file=file:/x", "tcp=tcp:80",
                                        "early=stdout:/early/", "never=fd3",    NULL};
    struct bench bench;
    struct pw_moments moments;
    bench_init(&bench, texts);
    hear(&bench, PW_MARK_STDOUT, "early\n", 1500);
    hear(&bench, PW_MARK_STDOUT, "late\n", 2001); /* written before, read after the end */
    pw_mark_watch_see(&bench.watch, 1, 2002);
    pw_mark_watch_see(&bench.watch, 2, 2003);
    pw_mark_watch_close(&bench.watch, 2004);
    hear(&bench, PW_MARK_FD3, "PW never\n", 2005);
    pw_mark_watch_moments(&bench.watch, 1000, 2000, &moments);
    assert_int_equal(moments.at_ns[0], 1000);
    assert_int_equal(moments.at_ns[1], 1000);
    assert_true(moments.at_ns[2] < 0);
    assert_int_equal(moments.at_ns[3], 500);
    assert_true(moments.at_ns[4] < 0);
    pw_mark_watch_moments(&bench.watch, 1600, 2000, &moments);
    assert_true(moments.at_ns[3] < 0); /* before the spawn: not a time of this worker */
    bench_done(&bench);
}

/* A pattern that is slow on every line of a flood does not hold perfwrap up. */
static void a_slow_pattern_is_given_up(void **state)
{
    (void)state;
    enum { LINES = 200000, LENGTH = 64 };
    static const char *const texts[] = {"slow=stdout:/^(a+)+$/", NULL};
    char line[LENGTH + 1];
    memset(line, 'a', LENGTH);
    line[LENGTH - 1] = '\n';
    line[LENGTH - 2] = '!';
    line[LENGTH] = '\0';
    struct bench bench;
    bench_init(&bench, texts);
    int64_t began = pw_clock_now_ns();
    for (int i = 0; i < LINES; i++) {
        hear(&bench, PW_MARK_STDOUT, line, 1);
    }
    assert_true(pw_clock_now_ns() - began < 20 * PW_NS_PER_SEC);
    assert_true(bench.watch.gave_up);
    pw_mark_watch_reset(&bench.watch);
    assert_false(bench.watch.gave_up);
    hear(&bench, PW_MARK_STDOUT, "aaa\n", 2);
    EXPECT(&bench, 2);
    bench_done(&bench);
}

/* What a guest tells is heard on all the same, there and on descriptor 3. */
static void guests_are_not_given_up(void **state)
{
    (void)state;
    static const char *const texts[] = {"slow=stdout:/^(a+)+$/", NULL};
    static const char line[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!\n";
    struct bench bench;
    give(&bench.marks, texts);
    assert_int_equal(pw_marks_add_guest(&bench.marks, "console", NULL), 0);
    assert_int_equal(pw_marks_add_guest(&bench.marks, "told", NULL), 0);
    assert_int_equal(pw_mark_watch_init(&bench.watch, &bench.marks, NULL), 0);
    while (!bench.watch.gave_up) {
        hear(&bench, PW_MARK_STDOUT, line, 1);
    }
    hear(&bench, PW_MARK_STDOUT, "aaa\nPW console\n", 2);
    EXPECT(&bench, 0, 2, 0);
    hear(&bench, PW_MARK_FD3, "PW told\n", 3);
    EXPECT(&bench, 0, 2, 3);
    for (int i = 0; i < PW_MARK_STREAMS; i++) {
        assert_int_equal(bench.watch.streams[i].wanted, 0);
    }
    bench_done(&bench);
}

struct seer {
    struct pw_mark_watch *watch;
    int64_t at_ns;
};

static void *see(void *argument)
{
    const struct seer *seer = argument;
    for (size_t i = 0; i < PW_LIMIT_MOMENTS; i++) {
        pw_mark_watch_see(seer->watch, i, seer->at_ns);
    }
    return NULL;
}

static void other_threads_may_see(void **state)
{
    (void)state;
    struct bench bench = {.marks = PW_MARKS_INIT};
    for (int i = 0; i < PW_LIMIT_MOMENTS; i++) {
        char text[32];
        snprintf(text, sizeof text, "m%d=tcp:80", i);
        assert_int_equal(pw_marks_add(&bench.marks, text, NULL), 0);
    }
    assert_int_equal(pw_marks_set_until(&bench.marks, "m31", NULL), 0);
    assert_int_equal(pw_mark_watch_init(&bench.watch, &bench.marks, NULL), 0);
    assert_false(pw_mark_watch_is_until(&bench.watch));
    struct seer seers[] = {{&bench.watch, 1}, {&bench.watch, 2}};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, see, &seers[i]), 0);
    }
    while (!pw_mark_watch_is_until(&bench.watch)) {}
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    for (size_t i = 0; i < PW_LIMIT_MOMENTS; i++) {
        int64_t at_ns = atomic_load(&bench.watch.at_ns[i]);
        assert_true(at_ns == 1 || at_ns == 2);
    }
    bench_done(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_source_is_understood),
        cmocka_unit_test(faults_are_told_with_a_remedy),
        cmocka_unit_test(bounds_are_kept),
        cmocka_unit_test(until_wants_a_mark),
        cmocka_unit_test(a_line_counts_when_its_end_is_read),
        cmocka_unit_test(pieces_make_no_difference),
        cmocka_unit_test(long_lines_are_cut),
        cmocka_unit_test(descriptor_3_names_marks),
        cmocka_unit_test(guests_name_marks_on_both_streams),
        cmocka_unit_test(names_of_guests_are_checked),
        cmocka_unit_test(what_comes_after_the_end_is_not_the_workers),
        cmocka_unit_test(a_slow_pattern_is_given_up),
        cmocka_unit_test(guests_are_not_given_up),
        cmocka_unit_test(other_threads_may_see),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
