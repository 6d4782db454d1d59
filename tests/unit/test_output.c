/* wrapper/run/output: draining without growth, and the kept end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "core/file.h"
#include "wrapper/run/output.h"

static void put(int fd, const char *bytes, size_t size)
{
    assert_int_equal(write(fd, bytes, size), (ssize_t)size);
}

static void short_output_is_kept_whole(void **state)
{
    (void)state;
    struct pw_tail tail = PW_TAIL_INIT;
    int end;
    assert_int_equal(pw_tail_open(&tail, &end, NULL), 0);
    put(end, "one\ntwo\0three\n", 14);
    assert_true(pw_tail_drain(&tail, SIZE_MAX));
    close(end);
    assert_false(pw_tail_drain(&tail, SIZE_MAX));
    assert_int_equal(tail.fd, -1);
    char *text = pw_tail_text(&tail);
    assert_string_equal(text, "one\ntwo?three\n");
    free(text);
    pw_tail_done(&tail);
}

/* Writes numbered 10-byte lines in pieces of every size around the ring's and checks each time that
 * the kept text is the end of what was written. */
static void the_end_is_kept(void **state)
{
    (void)state;
    const size_t line = 10, size = 5000 * line;
    char *all = malloc(size + 1);
    for (size_t i = 0; i < size / line; i++)
        snprintf(all + i * line, line + 1, "%08zu \n", i);
    static const size_t pieces[] = {1, 7, 4096, 8191, 8192, 8193, 20000};
    for (size_t p = 0; p < sizeof pieces / sizeof pieces[0]; p++) {
        struct pw_tail tail = PW_TAIL_INIT;
        int end;
        assert_int_equal(pw_tail_open(&tail, &end, NULL), 0);
        for (size_t at = 0; at < size; at += pieces[p]) {
            size_t left = size - at;
            put(end, all + at, left < pieces[p] ? left : pieces[p]);
            assert_true(pw_tail_drain(&tail, SIZE_MAX));
        }
        assert_int_equal(tail.total, size);
        char *text = pw_tail_text(&tail);
        assert_int_equal(strlen(text), PW_LIMIT_OUTPUT_TAIL_BYTES);
        assert_string_equal(text, all + size - PW_LIMIT_OUTPUT_TAIL_BYTES);
        free(text);
        close(end);
        pw_tail_done(&tail);
    }
    free(all);
}

static void drain_stops_at_its_limit(void **state)
{
    (void)state;
    struct pw_tail tail = PW_TAIL_INIT;
    int end;
    char block[4096] = {0};
    assert_int_equal(pw_tail_open(&tail, &end, NULL), 0);
    for (int i = 0; i < 8; i++)
        put(end, block, sizeof block);
    assert_true(pw_tail_drain(&tail, 1));
    assert_true(tail.total > 0);
    close(end);
    pw_tail_done(&tail);
}

static void last_lines(void **state)
{
    (void)state;
    char five[] = "1\n2\n3\n4\n5\n6\n7\n\n";
    assert_string_equal(pw_text_last_lines(five, 5), "3\n4\n5\n6\n7");
    char two[] = "a\nb";
    assert_string_equal(pw_text_last_lines(two, 5), "a\nb");
    char none[] = "";
    assert_string_equal(pw_text_last_lines(none, 5), "");
    char newlines[] = "\n\n\n";
    assert_string_equal(pw_text_last_lines(newlines, 5), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_output_is_kept_whole),
        cmocka_unit_test(the_end_is_kept),
        cmocka_unit_test(drain_stops_at_its_limit),
        cmocka_unit_test(last_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
