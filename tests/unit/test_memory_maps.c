/* wrapper/probe/memory_maps and core/memory_breakdown on texts of known sums. */
#include "core/clock.h"
#include "core/json.h"
#include "core/limits.h"
#include "core/memory_breakdown.h"
#include "tests/unit/unit.h"
#include "wrapper/probe/memory_maps.h"

enum { KIB = 1024 };

static int set_up(void **state)
{
    struct pw_memory_maps *maps = NULL;

    assert_int_equal(pw_memory_maps_new(&maps, NULL), 0);
    *state = maps;
    return 0;
}

static int tear_down(void **state)
{
    pw_memory_maps_free(*state);
    return 0;
}

/* A mapping as the kernel writes it. */
static int entry(char *text, size_t size, const char *path, unsigned rss, unsigned pss,
                 unsigned swap_pss)
{
    return snprintf(text, size,
                    "7f1200000000-7f1204000000 rw-p 00001000 08:01 1234%*s%s\n"
                    "Size:              65536 kB\nKernelPageSize:        4 kB\n"
                    "Rss:      %u kB\nPss:   %u kB\nPss_Dirty:     77 kB\nShared_Clean: 5 kB\n"
                    "Swap:   99 kB\nSwapPss:  %u kB\nLocked:    8 kB\nVmFlags: rd wr mr mw me ac\n",
                    path[0] != '\0' ? 26 : 1, "", path, rss, pss, swap_pss);
}

static void feed(struct pw_memory_maps *maps, const char *path, unsigned rss, unsigned pss,
                 unsigned swap_pss)
{
    char text[8192];

    pw_memory_maps_feed(maps, text, (size_t)entry(text, sizeof text, path, rss, pss, swap_pss));
}

static void assert_mapping(const struct pw_memory_breakdown *breakdown, size_t index,
                           const char *name, unsigned pss, unsigned rss, unsigned swap,
                           unsigned processes)
{
    const struct pw_memory_mapping *mapping = &breakdown->mappings[index];

    assert_true(index < breakdown->mapping_count);
    assert_string_equal(mapping->name, name);
    assert_int_equal(mapping->pss_bytes, (uint64_t)pss * KIB);
    assert_int_equal(mapping->rss_bytes, (uint64_t)rss * KIB);
    assert_int_equal(mapping->swap_bytes, (uint64_t)swap * KIB);
    assert_int_equal(mapping->processes, processes);
}

static void test_sums_by_name(void **state)
{
    struct pw_memory_maps *maps = *state;
    struct pw_memory_breakdown breakdown = {0};

    feed(maps, "/usr/lib/libc.so.6", 100, 10, 0);
    feed(maps, "/usr/lib/libc.so.6", 8, 8, 1);
    feed(maps, "[heap]", 500, 500, 20);
    feed(maps, "/never/touched", 0, 0, 0);
    pw_memory_maps_end_process(maps);
    feed(maps, "[heap]", 100, 100, 0);
    feed(maps, "/usr/lib/libc.so.6", 100, 10, 0);
    feed(maps, "/all/swapped", 0, 0, 7);
    pw_memory_maps_end_process(maps);
    pw_memory_maps_top(maps, &breakdown);
    assert_int_equal(breakdown.mapping_count, 3);
    assert_int_equal(breakdown.mapping_names, 3);
    assert_mapping(&breakdown, 0, "[heap]", 600, 600, 20, 2);
    assert_mapping(&breakdown, 1, "/usr/lib/libc.so.6", 28, 208, 1, 2);
    assert_mapping(&breakdown, 2, "/all/swapped", 0, 0, 7, 1);
    assert_false(breakdown.partial);

    pw_memory_maps_begin(maps);
    breakdown = (struct pw_memory_breakdown){0};
    pw_memory_maps_top(maps, &breakdown);
    assert_int_equal(breakdown.mapping_count, 0);
}

static void test_names(void **state)
{
    static const struct {
        const char *path, *name;
    } names[] = {
        {"", "[anon]"},
        {"[stack]", "[stack]"},
        {"[anon:jit cache]", "[anon:jit cache]"},
        {"[anon_shmem:pool]", "[anon_shmem:pool]"},
        {"/memfd:frames (deleted)", "memfd:frames"},
        {"/memfd:a (deleted) (deleted)", "memfd:a (deleted)"},
        {"/memfd: (deleted)", "memfd:"},
        {"/dev/zero (deleted)", "[anon_shmem]"},
        {"/dev/zero", "/dev/zero"},
        {"/SYSV0052e2c1 (deleted)", "SYSV0052e2c1"},
        {"/tmp/gone (deleted)", "/tmp/gone (deleted)"},
        {" (deleted)", "(deleted)"},
        {"/with blanks  and \\012 in it", "/with blanks  and \\012 in it"},
    };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct pw_memory_breakdown breakdown = {0};
        pw_memory_maps_begin(*state);
        feed(*state, names[i].path, 4, 4, 0);
        pw_memory_maps_end_process(*state);
        pw_memory_maps_top(*state, &breakdown);
        assert_int_equal(breakdown.mapping_count, 1);
        assert_mapping(&breakdown, 0, names[i].name, 4, 4, 0, 1);
    }
}

/* The same whichever way the text is cut in pieces. */
static void test_pieces(void **state)
{
    char text[4096];
    size_t length = 0;

    length += (size_t)entry(text, sizeof text, "/some/path", 12, 6, 3);
    length += (size_t)entry(text + length, sizeof text - length, "", 100, 50, 0);
    for (size_t piece = 1; piece < 80; piece++) {
        struct pw_memory_breakdown breakdown = {0};
        pw_memory_maps_begin(*state);
        for (size_t at = 0; at < length; at += piece)
            pw_memory_maps_feed(*state, text + at, length - at < piece ? length - at : piece);
        pw_memory_maps_end_process(*state);
        pw_memory_maps_top(*state, &breakdown);
        assert_int_equal(breakdown.mapping_count, 2);
        assert_mapping(&breakdown, 0, "[anon]", 50, 100, 0, 1);
        assert_mapping(&breakdown, 1, "/some/path", 6, 12, 3, 1);
    }
}

static void test_the_largest_ten(void **state)
{
    struct pw_memory_breakdown breakdown = {0};
    char path[32];

    for (unsigned i = 0; i < 1000; i++) {
        (void)snprintf(path, sizeof path, "/file/%03u", i * 7 % 1000);
        feed(*state, path, 1, 1 + i * 7 % 1000 / 2, 0); /* two of each size */
    }
    pw_memory_maps_end_process(*state);
    pw_memory_maps_top(*state, &breakdown);
    assert_int_equal(breakdown.mapping_count, PW_MEMORY_TOP);
    assert_int_equal(breakdown.mapping_names, 1000);
    for (unsigned i = 0; i < PW_MEMORY_TOP; i++) {
        /* Of equals the first by name. */
        (void)snprintf(path, sizeof path, "/file/%03u", 998 - i / 2 * 2 + i % 2);
        assert_mapping(&breakdown, i, path, 500 - i / 2, 1, 0, 1);
    }
}

static void test_more_names_than_are_kept(void **state)
{
    struct pw_memory_breakdown breakdown = {0};
    char path[32];

    for (unsigned i = 0; i < PW_LIMIT_MAPPING_NAMES + 5; i++) {
        (void)snprintf(path, sizeof path, "/file/%u", i);
        feed(*state, path, 2, 1, 0);
    }
    feed(*state, "/file/0", 10, 5, 0); /* known: it still counts as itself */
    pw_memory_maps_end_process(*state);
    pw_memory_maps_top(*state, &breakdown);
    assert_true(breakdown.partial);
    assert_int_equal(breakdown.mapping_names, PW_LIMIT_MAPPING_NAMES + 1);
    assert_mapping(&breakdown, 0, "/file/0", 6, 12, 0, 1);
    assert_mapping(&breakdown, 1, "[beyond the limit]", 5, 10, 0, 1);
}

static void test_nonsense(void **state)
{
    static const char text[] =
        "Rss: 5 kB\nPss: 5 kB\n" /* of no mapping */
        "-\nzz-zz rw-p 0 0 0 /no\n\n"
        "1-2\nPss: 99999999999999999999999 kB\nRss: -5 kB\n" /* a header without fields */
        "3-4 r 0 0 0 /cut off here";
    struct pw_memory_breakdown breakdown = {0};

    pw_memory_maps_feed(*state, text, sizeof text - 1);
    pw_memory_maps_end_process(*state);
    pw_memory_maps_top(*state, &breakdown);
    assert_int_equal(breakdown.mapping_count, 1);
    assert_string_equal(breakdown.mappings[0].name, "[anon]");
    assert_int_equal(breakdown.mappings[0].pss_bytes, PW_PROC_NUMBER_MAX);
    assert_int_equal(breakdown.mappings[0].rss_bytes, 0);

    /* A line that is longer than any the kernel writes is cut, and the next is found. */
    char *path = malloc(100001);
    assert_non_null(path);
    memset(path, 'x', 100000);
    path[0] = '/';
    path[100000] = '\0';
    pw_memory_maps_begin(*state);
    pw_memory_maps_feed(*state, "1-2 rw-p 0 0:0 5 ", 17);
    pw_memory_maps_feed(*state, path, 100000);
    pw_memory_maps_feed(*state, "\nPss: 3 kB\n", 11);
    pw_memory_maps_end_process(*state);
    free(path);
    breakdown = (struct pw_memory_breakdown){0};
    pw_memory_maps_top(*state, &breakdown);
    assert_int_equal(breakdown.mapping_count, 1);
    assert_int_equal(breakdown.mappings[0].pss_bytes, 3 * KIB);
    assert_int_equal(strlen(breakdown.mappings[0].name), PW_MEMORY_NAME_MAX - 1);
    assert_memory_equal(breakdown.mappings[0].name, "...xxx", 6);
}

static void test_long_names_keep_their_end(void **state)
{
    char name[PW_MEMORY_NAME_MAX], text[400];

    (void)state;
    memset(text, 'a', sizeof text);
    pw_memory_name_set(name, text, PW_MEMORY_NAME_MAX - 1);
    assert_int_equal(strlen(name), PW_MEMORY_NAME_MAX - 1);
    assert_int_equal(name[0], 'a');
    /* Cut in the middle of a character of two bytes: that is left out whole. */
    text[sizeof text - 253] = '\xc3';
    text[sizeof text - 252] = '\xa4';
    pw_memory_name_set(name, text, sizeof text);
    assert_memory_equal(name, "...aaa", 6);
    assert_int_equal(strlen(name), PW_MEMORY_NAME_MAX - 2);
    pw_memory_name_set(name, "", 0);
    assert_string_equal(name, "");
}

static double number_at(const json_t *root, const char *path)
{
    const json_t *found = pw_json_find(root, path);

    if (!json_is_number(found))
        fail_msg("no number at %s", path);
    return json_number_value(found);
}

static void test_json(void **state)
{
    struct pw_memory_breakdown breakdown = {
        .at_ns = 5 * PW_NS_PER_MS,
        .processes = 2,
        .rss_bytes = 3 << 20,
        .pss_bytes = 2 << 20,
        .has_parts = true,
        .anon_bytes = 1 << 20,
        .file_bytes = 512 << 10,
        .shmem_bytes = 512 << 10,
        .swap_bytes = 256 << 10,
        .footprint_bytes = 1792 << 10,
        .peak_footprint_bytes = 2 << 20,
        .mapping_count = 1,
        .mapping_names = 9,
    };
    bool failed = false;

    (void)state;
    breakdown.mappings[0] = (struct pw_memory_mapping){"/a\xff", 1 << 20, 2 << 20, 1 << 19, 2};
    json_t *json = pw_memory_breakdown_to_json(&breakdown, 3 * PW_NS_PER_MS, &failed);
    assert_false(failed);
    assert_near(number_at(json, "at_ms"), 2);
    assert_near(number_at(json, "processes"), 2);
    assert_near(number_at(json, "rss_mb"), 3);
    assert_near(number_at(json, "pss_mb"), 2);
    assert_near(number_at(json, "anon_mb"), 1);
    assert_near(number_at(json, "file_mb"), 0.5);
    assert_near(number_at(json, "shmem_mb"), 0.5);
    assert_near(number_at(json, "swap_mb"), 0.25);
    assert_near(number_at(json, "footprint_mb"), 1.75);
    assert_near(number_at(json, "peak_footprint_mb"), 2);
    assert_near(number_at(json, "mapping_names"), 9);
    assert_near(number_at(json, "mappings.0.pss_mb"), 1);
    assert_near(number_at(json, "mappings.0.rss_mb"), 2);
    assert_near(number_at(json, "mappings.0.swap_mb"), 0.5);
    assert_near(number_at(json, "mappings.0.processes"), 2);
    assert_non_null(json_string_value(pw_json_find(json, "mappings.0.name")));
    assert_true(json_is_false(pw_json_find(json, "partial")));
    json_decref(json);

    breakdown.has_parts = false;
    breakdown.partial = true;
    json = pw_memory_breakdown_to_json(&breakdown, 0, &failed);
    assert_false(failed);
    assert_true(json_is_null(json_object_get(json, "anon_mb")));
    assert_true(json_is_null(json_object_get(json, "footprint_mb")));
    assert_near(number_at(json, "pss_mb"), 2);
    assert_true(json_is_true(json_object_get(json, "partial")));
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sums_by_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_pieces, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_largest_ten, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_more_names_than_are_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nonsense, set_up, tear_down),
        cmocka_unit_test(test_long_names_keep_their_end),
        cmocka_unit_test(test_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
