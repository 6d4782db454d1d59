/* wrapper/cli/profile_files: which files are there, and what is left when one cannot be. */
#include <sys/stat.h>
#include <unistd.h>
#include "tests/unit/sample_cpu_profile.h"
#include "wrapper/cli/profile_files.h"

static char *read_file(const char *folder, const char *name, size_t *ret_size)
{
    PW_FREE_AUTO char *path = pw_path_join(folder, name, NULL);
    char *text = NULL;
    assert_int_equal(pw_file_read(path, 1 << 20, &text, ret_size, NULL), 0);
    return text;
}

static void assert_paths(const json_t *paths, const char *expected)
{
    PW_FREE_AUTO char *text = json_dumps(paths, JSON_COMPACT);
    assert_string_equal(text, expected);
}

static void all_files(void **state)
{
    struct pw_cpu_profile profile;
    json_t *paths = json_array();
    size_t size = 0;
    make_sample_profile(&profile);
    assert_int_equal(pw_profile_files_write(&profile, *state, "profile", "the <title>",
                                            PW_PROFILE_FILES_ALL, paths, NULL),
                     0);
    assert_paths(paths, "[\"xctrace-traces/profile.pb.gz\",\"xctrace-traces/profile.folded\","
                        "\"xctrace-traces/profile.svg\"]");
    PW_FREE_AUTO char *folded = read_file(*state, "xctrace-traces/profile.folded", NULL);
    PW_FREE_AUTO char *svg = read_file(*state, "xctrace-traces/profile.svg", NULL);
    PW_FREE_AUTO char *pprof = read_file(*state, "xctrace-traces/profile.pb.gz", &size);
    assert_contains(folded, "app;main;parse 700000\n");
    assert_contains(svg, "the &lt;title&gt;");
    assert_true(size > 20 && (unsigned char)pprof[0] == 0x1f && (unsigned char)pprof[1] == 0x8b);

    /* Once more into the folder that is there; of an iteration one file. */
    assert_int_equal(pw_profile_files_write(&profile, *state, "iteration-001", "",
                                            PW_PROFILE_FILES_PPROF, paths, NULL),
                     0);
    assert_int_equal(json_array_size(paths), 4);
    assert_string_equal(json_string_value(json_array_get(paths, 3)),
                        "xctrace-traces/iteration-001.pb.gz");
    PW_FREE_AUTO char *absent = in_folder(state, "xctrace-traces/iteration-001.svg");
    assert_int_equal(access(absent, F_OK), -1);
    json_decref(paths);
    pw_cpu_profile_done(&profile);
}

static void no_samples(void **state)
{
    struct pw_cpu_profile profile;
    json_t *paths = json_array();
    pw_cpu_profile_init(&profile, 997);
    assert_int_equal(
        pw_profile_files_write(&profile, *state, "empty", "", PW_PROFILE_FILES_ALL, paths, NULL),
        0);
    assert_int_equal(json_array_size(paths), 3);
    PW_FREE_AUTO char *svg = read_file(*state, "xctrace-traces/empty.svg", NULL);
    assert_contains(svg, "</svg>");
    json_decref(paths);
    pw_cpu_profile_done(&profile);
}

static void failures(void **state)
{
    struct pw_cpu_profile profile;
    struct pw_err err = PW_ERR_INIT;
    json_t *paths = json_array();
    make_sample_profile(&profile);
    assert_int_equal(
        pw_profile_files_write(&profile, *state, "../x", "", PW_PROFILE_FILES_ALL, paths, &err),
        -1);
    assert_int_equal(err.cls, PW_ERR_INTERNAL);

    /* A folder stands where one file should be: the others are there, and no leftover. */
    PW_FREE_AUTO char *in_the_way = in_folder(state, "xctrace-traces/half.folded/inside");
    assert_int_equal(pw_dir_make(in_the_way, NULL), 0);
    err = PW_ERR_INIT;
    assert_int_equal(
        pw_profile_files_write(&profile, *state, "half", "", PW_PROFILE_FILES_ALL, paths, &err),
        -1);
    assert_contains(err.message, "half.folded");
    assert_paths(paths, "[\"xctrace-traces/half.pb.gz\",\"xctrace-traces/half.svg\"]");

    PW_FREE_AUTO char *file = in_folder(state, "file");
    assert_int_equal(pw_file_write(file, "", 0, 0600, NULL), 0);
    err = PW_ERR_INIT;
    assert_int_equal(
        pw_profile_files_write(&profile, file, "x", "", PW_PROFILE_FILES_ALL, paths, &err), -1);
    assert_true(pw_err_is_set(&err));
    assert_int_equal(json_array_size(paths), 2);
    json_decref(paths);
    pw_cpu_profile_done(&profile);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_files, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(no_samples, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(failures, make_folder, drop_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
