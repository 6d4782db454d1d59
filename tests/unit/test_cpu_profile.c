#include "core/cpu_profile.h"

#include "core/limits.h"
#include "tests/unit/sample_cpu_profile.h"

/* "name self total samples" in ms, a line each. */
static void assert_hotspots(const struct pw_cpu_profile *profile, const char *expected)
{
    struct pw_hotspot *spots = NULL;
    size_t count = 0;
    assert_int_equal(pw_cpu_profile_hotspots(profile, &spots, &count, NULL), 0);
    char text[1024] = "";
    size_t length = 0;
    for (size_t i = 0; i < count; i++) {
        length += (size_t)snprintf(text + length, sizeof(text) - length, "%s %lld %lld %llu\n",
                                   spots[i].frame->name, (long long)spots[i].self_ns / 1000000,
                                   (long long)spots[i].total_ns / 1000000,
                                   (unsigned long long)spots[i].samples);
    }
    free(spots);
    assert_string_equal(text, expected);
}

static const char sample_hotspots[] = "parse 750 750 750\nsys_read 150 150 150\nwalk 100 100 100\n";

static void test_interning(void **state)
{
    (void)state;
    struct pw_cpu_profile profile;
    pw_cpu_profile_init(&profile, 997);
    uint32_t frame = add_frame(&profile, "f", "/a", PW_FRAME_USER);
    assert_int_equal(add_frame(&profile, "f", "/a", PW_FRAME_USER), frame);
    assert_int_not_equal(add_frame(&profile, "f", "/b", PW_FRAME_USER), frame);
    assert_int_not_equal(add_frame(&profile, "f", "/a", PW_FRAME_JIT), frame);
    assert_int_not_equal(add_frame(&profile, "f/", "a", PW_FRAME_USER), frame);
    assert_int_equal(profile.frame_count, 4);
    uint32_t process = add_process(&profile, "sh");
    assert_int_equal(add_process(&profile, "sh"), process);
    assert_int_not_equal(add_process(&profile, "s"), process);
    assert_int_equal(profile.process_count, 2);
    pw_cpu_profile_done(&profile);
    assert_null(profile.frames);
}

static void test_adding(void **state)
{
    (void)state;
    struct pw_cpu_profile profile;
    make_sample_profile(&profile);
    assert_int_equal(profile.stack_count, 4);
    assert_int_equal(profile.samples, 1000);
    assert_int_equal(profile.weight_ns, 1000000000);
    assert_int_equal(profile.broken, 50);
    add_sample_stack(&profile, 0);
    assert_int_equal(profile.stack_count, 4);
    assert_int_equal(profile.stacks[0].samples, 1400);
    assert_int_equal(profile.stacks[0].weight_ns, 1400000000);
    /* Not the same: broken, another process, the frames the other way around, fewer of them. */
    add_user_stack(&profile, "app", "parse;main", true, 1, 1);
    add_user_stack(&profile, "sh", "parse;main", false, 1, 1);
    add_user_stack(&profile, "app", "main;parse", false, 1, 1);
    add_user_stack(&profile, "app", "parse", false, 1, 1);
    assert_int_equal(profile.stack_count, 8);
    pw_cpu_profile_done(&profile);
}

static void test_bad_stacks(void **state)
{
    (void)state;
    struct pw_cpu_profile profile;
    struct pw_err err = PW_ERR_INIT;
    pw_cpu_profile_init(&profile, 997);
    uint32_t frame = add_frame(&profile, "f", "", PW_FRAME_UNKNOWN);
    assert_int_equal(pw_cpu_profile_add(&profile, 0, &frame, 1, false, 1, 1, &err), -1);
    assert_int_equal(err.cls, PW_ERR_INTERNAL);
    uint32_t process = add_process(&profile, "p");
    frame++;
    assert_int_equal(pw_cpu_profile_add(&profile, process, &frame, 1, false, 1, 1, &err), -1);
    assert_int_equal(profile.stack_count, 0);
    assert_int_equal(profile.samples, 0);
    /* Without any frame: it still counts. */
    assert_int_equal(pw_cpu_profile_add(&profile, process, NULL, 0, true, 2, 7000000, NULL), 0);
    assert_hotspots(&profile, "[unknown] 7 7 2\n");
    assert_int_equal(profile.broken, 2);
    /* Weights do not wrap, and none is negative. */
    frame = add_frame(&profile, "g", "", PW_FRAME_USER);
    assert_int_equal(pw_cpu_profile_add(&profile, process, &frame, 1, false, 1, INT64_MAX, NULL),
                     0);
    assert_true(profile.weight_ns == INT64_MAX);
    assert_int_equal(pw_cpu_profile_add(&profile, process, &frame, 1, false, 1, -5, NULL), 0);
    assert_true(profile.weight_ns == INT64_MAX);
    pw_cpu_profile_done(&profile);
}

static void test_hotspots(void **state)
{
    (void)state;
    struct pw_cpu_profile profile;
    pw_cpu_profile_init(&profile, 1000);
    assert_hotspots(&profile, "");
    pw_cpu_profile_done(&profile);
    make_sample_profile(&profile);
    assert_hotspots(&profile, sample_hotspots); /* walk twice in one stack, counted once */
    /* A tie goes by name; what is only ever called from has no line. */
    add_user_stack(&profile, "app", "alpha;walk;main", false, 1, 100000000);
    assert_hotspots(&profile, "parse 750 750 750\nsys_read 150 150 150\nalpha 100 100 1\n"
                              "walk 100 200 100\n");
    pw_cpu_profile_done(&profile);
}

static void test_any_order(void **state)
{
    (void)state;
    static const unsigned orders[][SAMPLE_STACKS] = {{3, 2, 1, 0}, {1, 3, 0, 2}, {2, 0, 3, 1}};
    for (size_t i = 0; i < sizeof(orders) / sizeof(*orders); i++) {
        struct pw_cpu_profile profile;
        pw_cpu_profile_init(&profile, 1000);
        for (unsigned k = 0; k < SAMPLE_STACKS; k++) {
            add_sample_stack(&profile, orders[i][k]);
        }
        assert_hotspots(&profile, sample_hotspots);
        pw_cpu_profile_done(&profile);
    }
}

static void test_hotspots_json(void **state)
{
    (void)state;
    struct pw_cpu_profile profile;
    make_sample_profile(&profile);
    uint32_t frame = add_frame(&profile, "\"bad\xFF", "", PW_FRAME_UNKNOWN);
    assert_int_equal(pw_cpu_profile_add(&profile, 0, &frame, 1, false, 3, 200500000, NULL), 0);
    bool failed = false;
    json_t *list = pw_cpu_profile_hotspots_json(&profile, 2, &failed);
    assert_false(failed);
    char *text = json_dumps(list, JSON_COMPACT | JSON_SORT_KEYS);
    assert_string_equal(text, "[{\"frame\":\"parse\",\"object\":\"/bin/app\",\"samples\":750,"
                              "\"total_ms\":750.0,\"weight_ms\":750.0},"
                              "{\"frame\":\"\\\"bad\xEF\xBF\xBD\",\"object\":null,\"samples\":3,"
                              "\"total_ms\":200.5,\"weight_ms\":200.5}]");
    free(text);
    json_decref(list);
    list = pw_cpu_profile_hotspots_json(&profile, 100, &failed);
    assert_int_equal(json_array_size(list), 4);
    json_decref(list);
    list = pw_cpu_profile_hotspots_json(&profile, 0, &failed);
    assert_int_equal(json_array_size(list), 0);
    json_decref(list);
    assert_false(failed);
    pw_cpu_profile_done(&profile);
}

static void test_merge(void **state)
{
    (void)state;
    struct pw_cpu_profile into;
    struct pw_cpu_profile from;
    pw_cpu_profile_init(&into, 0);
    /* Other numbers for the same names. */
    add_user_stack(&into, "sh", "walk;other", false, 10, 10000000);
    add_user_stack(&into, "sh", "parse", true, 1, 1000000);
    into.first_at_ns = 500;
    into.last_at_ns = 900;
    into.lost = 3;
    make_sample_profile(&from);
    from.first_at_ns = 200;
    from.last_at_ns = 700;
    from.lost = 4;
    assert_int_equal(pw_cpu_profile_merge(&into, &from, NULL), 0);
    assert_int_equal(into.stack_count, 5);
    assert_int_equal(into.samples, 1011);
    assert_int_equal(into.weight_ns, 1011000000);
    assert_int_equal(into.broken, 51);
    assert_int_equal(into.lost, 7);
    assert_int_equal(into.first_at_ns, 200);
    assert_int_equal(into.last_at_ns, 900);
    assert_near(into.hz, 1000);
    assert_hotspots(&into, "parse 751 751 751\nsys_read 150 150 150\nwalk 110 110 110\n");
    /* Nothing from nothing; and a profile with itself. */
    struct pw_cpu_profile empty;
    pw_cpu_profile_init(&empty, 50);
    assert_int_equal(pw_cpu_profile_merge(&into, &empty, NULL), 0);
    assert_int_equal(into.first_at_ns, 200);
    assert_int_equal(pw_cpu_profile_merge(&into, &into, NULL), 0);
    assert_int_equal(into.stack_count, 5);
    assert_int_equal(into.samples, 2022);
    assert_int_equal(into.broken, 102);
    assert_int_equal(pw_cpu_profile_merge(&empty, &from, NULL), 0);
    assert_near(empty.hz, 50);
    assert_int_equal(empty.first_at_ns, 200);
    assert_hotspots(&empty, sample_hotspots);
    pw_cpu_profile_done(&empty);
    pw_cpu_profile_done(&into);
    pw_cpu_profile_done(&from);
}

/* --- limits --- */

static void test_frame_limit(void **state)
{
    (void)state;
    struct pw_cpu_profile profile;
    pw_cpu_profile_init(&profile, 997);
    uint32_t process = add_process(&profile, "p");
    uint32_t last = 0;
    char name[32];
    for (unsigned i = 0; i < PW_LIMIT_PROFILE_FRAMES + 100U; i++) {
        snprintf(name, sizeof(name), "f%u", i);
        last = add_frame(&profile, name, "/a", PW_FRAME_USER);
    }
    assert_int_equal(profile.frame_count, PW_LIMIT_PROFILE_FRAMES);
    assert_string_equal(profile.frames[last].name, "[beyond the limit]");
    /* What is known stays known. */
    uint32_t first = add_frame(&profile, "f0", "/a", PW_FRAME_USER);
    assert_string_equal(profile.frames[first].name, "f0");
    assert_int_equal(pw_cpu_profile_add(&profile, process, &last, 1, false, 5, 5000000, NULL), 0);
    assert_int_equal(pw_cpu_profile_add(&profile, process, &first, 1, false, 2, 2000000, NULL), 0);
    assert_int_equal(profile.beyond_limit, 5);
    assert_hotspots(&profile, "[beyond the limit] 5 5 5\nf0 2 2 2\n");
    /* Counted again where it is merged. */
    struct pw_cpu_profile into;
    pw_cpu_profile_init(&into, 997);
    assert_int_equal(pw_cpu_profile_merge(&into, &profile, NULL), 0);
    assert_int_equal(into.beyond_limit, 5);
    assert_hotspots(&into, "[beyond the limit] 5 5 5\nf0 2 2 2\n");
    pw_cpu_profile_done(&into);
    pw_cpu_profile_done(&profile);
}

static void test_stack_limit(void **state)
{
    (void)state;
    struct pw_cpu_profile profile;
    pw_cpu_profile_init(&profile, 997);
    uint32_t process = add_process(&profile, "p");
    uint32_t names[512];
    char name[32];
    for (unsigned i = 0; i < 512; i++) {
        snprintf(name, sizeof(name), "f%u", i);
        names[i] = add_frame(&profile, name, "/a", PW_FRAME_USER);
    }
    for (unsigned i = 0; i < PW_LIMIT_PROFILE_STACKS + 100U; i++) {
        const uint32_t frames[] = {names[i % 512], names[i / 512]};
        assert_int_equal(pw_cpu_profile_add(&profile, process, frames, 2, i % 2, 1, 1, NULL), 0);
    }
    assert_int_equal(profile.stack_count, PW_LIMIT_PROFILE_STACKS);
    assert_int_equal(profile.samples, PW_LIMIT_PROFILE_STACKS + 100);
    assert_int_equal(profile.weight_ns, PW_LIMIT_PROFILE_STACKS + 100);
    assert_int_equal(profile.beyond_limit, 101);
    assert_int_equal(profile.broken, PW_LIMIT_PROFILE_STACKS / 2 + 50);
    const struct pw_stack *last = &profile.stacks[profile.stack_count - 1];
    assert_string_equal(profile.frames[last->frames[0]].name, "[beyond the limit]");
    assert_int_equal(last->samples, 101);
    struct pw_cpu_profile into;
    pw_cpu_profile_init(&into, 997);
    assert_int_equal(pw_cpu_profile_merge(&into, &profile, NULL), 0);
    assert_int_equal(into.samples, profile.samples);
    assert_int_equal(into.broken, profile.broken);
    assert_int_equal(into.beyond_limit, 101);
    pw_cpu_profile_done(&into);
    pw_cpu_profile_done(&profile);
}

static void test_process_limit(void **state)
{
    (void)state;
    struct pw_cpu_profile profile;
    pw_cpu_profile_init(&profile, 997);
    uint32_t frame = add_frame(&profile, "f", "/a", PW_FRAME_USER);
    char name[32];
    for (unsigned i = 0; i < PW_LIMIT_PROFILE_PROCESSES + 10U; i++) {
        snprintf(name, sizeof(name), "p%u", i);
        uint32_t process = add_process(&profile, name);
        assert_int_equal(pw_cpu_profile_add(&profile, process, &frame, 1, false, 1, 1, NULL), 0);
    }
    assert_int_equal(profile.process_count, PW_LIMIT_PROFILE_PROCESSES);
    assert_int_equal(profile.stack_count, PW_LIMIT_PROFILE_PROCESSES);
    assert_int_equal(profile.beyond_limit, 11);
    pw_cpu_profile_done(&profile);
}

static void test_depth_limit(void **state)
{
    (void)state;
    struct pw_cpu_profile profile;
    pw_cpu_profile_init(&profile, 997);
    uint32_t frames[PW_LIMIT_PROFILE_DEPTH + 1];
    char name[32];
    for (unsigned i = 0; i < PW_LIMIT_PROFILE_DEPTH + 1U; i++) {
        snprintf(name, sizeof(name), "f%u", i);
        frames[i] = add_frame(&profile, name, "/a", PW_FRAME_USER);
    }
    uint32_t process = add_process(&profile, "p");
    assert_int_equal(
        pw_cpu_profile_add(&profile, process, frames, PW_LIMIT_PROFILE_DEPTH, false, 1, 1, NULL),
        0);
    assert_int_equal(profile.broken, 0);
    assert_int_equal(pw_cpu_profile_add(&profile, process, frames, PW_LIMIT_PROFILE_DEPTH + 1,
                                        false, 1, 1000000, NULL),
                     0);
    assert_int_equal(profile.broken, 1);
    assert_int_equal(profile.stacks[1].depth, PW_LIMIT_PROFILE_DEPTH);
    assert_true(profile.stacks[1].broken);
    assert_hotspots(&profile, "f0 1 1 2\n"); /* the leaf is what is kept */
    pw_cpu_profile_done(&profile);
}

static void test_name_limit(void **state)
{
    (void)state;
    struct pw_cpu_profile profile;
    pw_cpu_profile_init(&profile, 997);
    char name[PW_LIMIT_PROFILE_NAME_BYTES + 10];
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    uint32_t frame = add_frame(&profile, name, name, PW_FRAME_USER);
    assert_int_equal(strlen(profile.frames[frame].name), PW_LIMIT_PROFILE_NAME_BYTES);
    assert_int_equal(strlen(profile.frames[frame].object), PW_LIMIT_PROFILE_NAME_BYTES);
    assert_int_equal(add_frame(&profile, name, name, PW_FRAME_USER), frame);
    assert_int_equal(profile.frame_count, 1);
    /* U+20AC across the limit is left out whole. */
    memcpy(name + PW_LIMIT_PROFILE_NAME_BYTES - 2, "\xE2\x82\xAC", 3);
    frame = add_frame(&profile, name, "", PW_FRAME_USER);
    assert_int_equal(strlen(profile.frames[frame].name), PW_LIMIT_PROFILE_NAME_BYTES - 2);
    uint32_t process = add_process(&profile, name);
    assert_int_equal(strlen(profile.processes[process]), PW_LIMIT_PROFILE_NAME_BYTES - 2);
    pw_cpu_profile_done(&profile);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_interning),   cmocka_unit_test(test_adding),
        cmocka_unit_test(test_bad_stacks),  cmocka_unit_test(test_hotspots),
        cmocka_unit_test(test_any_order),   cmocka_unit_test(test_hotspots_json),
        cmocka_unit_test(test_merge),       cmocka_unit_test(test_frame_limit),
        cmocka_unit_test(test_stack_limit), cmocka_unit_test(test_process_limit),
        cmocka_unit_test(test_depth_limit), cmocka_unit_test(test_name_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
