/* Images from reference to file system: layouts, archives, folders, files, and a registry that a
 * script plays. Of other programs only mke2fs and debugfs (e2fsprogs) are needed. */
#include "unit.h"

#include <errno.h>
#include "oci_samples.h"
#include "wrapper/boot/base/tool.h"
#include "wrapper/boot/image/ext4.h"
#include "wrapper/boot/image/image.h"
#include "wrapper/boot/image/tree.h"

#define OCI(what) "application/vnd.oci.image." what

struct place {
    char *layout, *state_path;
    struct pw_state state;
    struct pw_err err;
    struct pw_image image;
    struct pw_oci_descriptor manifest, layer;
};

static bool has_e2fsprogs(void)
{
    PW_FREE_AUTO char *mke2fs = NULL;
    PW_FREE_AUTO char *debugfs = NULL;
    return pw_tool_find("mke2fs", NULL, "e2fsprogs", &mke2fs, NULL) == 0 &&
           pw_tool_find("debugfs", NULL, "e2fsprogs", &debugfs, NULL) == 0;
}

static void add_descriptor(struct pw_str *text, const char *type,
                           const struct pw_oci_descriptor *descriptor, const char *more)
{
    pw_str_addf(text, "{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%llu%s}", type,
                descriptor->digest, (unsigned long long)descriptor->size, more);
}

static void write_index(struct place *place, const char *more)
{
    PW_STR_AUTO index = PW_STR_INIT;
    pw_str_add(&index, "{\"schemaVersion\":2,\"manifests\":[");
    add_descriptor(&index, OCI("manifest.v1+json"), &place->manifest,
                   ",\"annotations\":{\"org.opencontainers.image.ref.name\":\"v1\"}");
    pw_str_addf(&index, "%s]}", more);
    write_at(place->layout, "index.json", &index);
}

/* A layout of one image, in two layers. */
static void open_place(void **state, struct place *place)
{
    *place = (struct place){.err = PW_ERR_INIT};
    place->layout = in_folder(state, "layout");
    place->state_path = in_folder(state, "state");
    char *blobs = pw_path_join(place->layout, "blobs/sha256", NULL);
    assert_int_equal(pw_dir_make(blobs, NULL), 0);
    free(blobs);
    write_text(place->layout, "oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
    PW_STR_AUTO first = PW_STR_INIT;
    PW_STR_AUTO second = PW_STR_INIT;
    PW_STR_AUTO config = PW_STR_INIT;
    PW_STR_AUTO manifest = PW_STR_INIT;
    const struct sample base[] = {
        {'d', "etc", "", 0},
        {'f', "etc/hostname", "first\n", 0},
        {'f', "etc/passwd", "bob:x:1000:1001::/:\n", 0},
        {'f', "bin/tool", "#!", 04755},
        {'f', "gone", "x", 0},
        {'d', "shut", "", 0500},
        {'f', "shut/in", "x", 0400},
    };
    const struct sample above[] = {{'f', "etc/hostname", "second\n", 0}, {'f', ".wh.gone", "", 0}};
    make_tar(base, sizeof(base) / sizeof(base[0]), ARCHIVE_FILTER_GZIP, &first);
    make_tar(above, sizeof(above) / sizeof(above[0]), ARCHIVE_FILTER_NONE, &second);
    pw_str_add(&config, "{\"os\":\"linux\",\"architecture\":\"amd64\",\"config\":{\"Env\":[\"A=b\"]"
                        ",\"Cmd\":[\"/bin/tool\"],\"WorkingDir\":\"/etc\",\"User\":\"bob\"}}");
    place->layer = write_blob(place->layout, &first);
    struct pw_oci_descriptor upper = write_blob(place->layout, &second);
    struct pw_oci_descriptor settings = write_blob(place->layout, &config);
    pw_str_add(&manifest, "{\"schemaVersion\":2,\"config\":");
    add_descriptor(&manifest, OCI("config.v1+json"), &settings, "");
    pw_str_add(&manifest, ",\"layers\":[");
    add_descriptor(&manifest, OCI("layer.v1.tar+gzip"), &place->layer, "");
    pw_str_add(&manifest, ",");
    add_descriptor(&manifest, OCI("layer.v1.tar"), &upper, "");
    pw_str_add(&manifest, "]}");
    place->manifest = write_blob(place->layout, &manifest);
    write_index(place, "");
    assert_int_equal(pw_state_open(place->state_path, &place->state, &place->err), 0);
}

static void close_place(struct place *place)
{
    pw_image_done(&place->image);
    pw_state_close(&place->state);
    free(place->layout);
    free(place->state_path);
}

/* `format` holds one %s, for `path`. */
__attribute__((format(printf, 2, 0))) static int prepare_with(struct place *place,
                                                              const char *format, const char *path,
                                                              const char *mke2fs)
{
    char reference[4096];
    snprintf(reference, sizeof(reference), format, path);
    struct pw_image_request request = {
        .reference = reference, .disk_mib = 8, .mke2fs = mke2fs, .state = &place->state};
    pw_image_done(&place->image);
    place->err = PW_ERR_INIT;
    return pw_image_prepare(&request, &place->image, &place->err);
}

__attribute__((format(printf, 2, 0))) static int prepare(struct place *place, const char *format,
                                                         const char *path)
{
    return prepare_with(place, format, path, NULL);
}

static unsigned count_images(const struct place *place)
{
    PW_FREE_AUTO char *path = pw_path_join(place->state_path, "images", NULL);
    struct pw_tree tree;
    return pw_tree_measure(path, &tree, NULL) == 0 ? (unsigned)tree.entries - 1 : 0;
}

/* What debugfs says of it. */
static void assert_in_disk(const struct place *place, const char *request, const char *expected)
{
    PW_FREE_AUTO char *tool = NULL;
    PW_STR_AUTO said = PW_STR_INIT;
    assert_int_equal(pw_tool_find("debugfs", NULL, "e2fsprogs", &tool, NULL), 0);
    const char *argv[] = {tool, "-R", request, place->image.disk, NULL};
    struct pw_tool_call call = {.argv = argv, .timeout_sec = 60, .output = &said};
    assert_int_equal(pw_tool_run(&call, NULL), 0);
    assert_contains(said.text, expected);
}

static void test_layout(void **state)
{
    struct place place;
    if (!has_e2fsprogs()) {
        print_message("skipped: e2fsprogs is not installed\n");
        skip();
    }
    open_place(state, &place);
    if (prepare(&place, "oci:%s:v1", place.layout) != 0) {
        fail_msg("%s", place.err.message);
    }
    assert_true(place.image.built);
    assert_true(place.image.prepare_ns > 0);
    assert_string_equal(place.image.digest, place.manifest.digest);
    assert_string_equal(place.image.user, "1000:1001");
    assert_string_equal(place.image.folder, "/etc");
    assert_string_equal(place.image.environment[0], "A=b");
    assert_null(place.image.environment[1]);
    assert_string_equal(place.image.command[0], "/bin/tool");
    assert_null(place.image.entrypoint);
    assert_int_equal(place.image.disk[0], '/');
    assert_true(place.image.disk_bytes >= 64 << 20);
    assert_in_disk(&place, "cat /etc/hostname", "second\n");
    assert_in_disk(&place, "stat /bin/tool", "Mode:  04755");
    assert_in_disk(&place, "stat /bin/tool", "User:  1234   Group:  2345");
    assert_in_disk(&place, "stat /shut", "Mode:  0500");
    assert_in_disk(&place, "stat /shut/in", "Mode:  0400");
    assert_in_disk(&place, "stat /shut/in", "User:  1234");
    assert_in_disk(&place, "stat /", "Mode:  0755");
    /* Only the entry is left: its folder, disk.ext4 and image.json. */
    assert_int_equal(count_images(&place), 3);
    char *first = strdup(place.image.disk);
    assert_int_equal(prepare(&place, "oci:%s", place.layout), 0);
    assert_false(place.image.built);
    assert_string_equal(place.image.disk, first);
    assert_string_equal(place.image.user, "1000:1001");
    free(first);
    close_place(&place);
}

static void test_choice(void **state)
{
    struct place place;
    open_place(state, &place);
    assert_int_equal(prepare(&place, "oci:%s:v2", place.layout), -1);
    assert_int_equal(place.err.cls, PW_ERR_INPUT);
    assert_contains(place.err.message, "no tag `v2`; there are: v1");
    PW_STR_AUTO more = PW_STR_INIT;
    pw_str_add(&more, ",");
    add_descriptor(&more, OCI("manifest.v1+json"), &place.layer,
                   ",\"annotations\":{\"org.opencontainers.image.ref.name\":\"other\"}");
    write_index(&place, more.text);
    assert_int_equal(prepare(&place, "oci:%s", place.layout), -1);
    assert_contains(place.err.message, "v1, other");
    /* It is named a manifest, and is a layer. */
    assert_int_equal(prepare(&place, "oci:%s:other", place.layout), -1);
    assert_int_equal(place.err.cls, PW_ERR_INPUT);
    assert_int_equal(prepare(&place, "oci:%s/blobs", place.layout), -1);
    assert_contains(place.err.message, "not an OCI image layout");
    assert_int_equal(prepare(&place, "oci:%s/none", place.layout), -1);
    assert_int_equal(place.err.cls, PW_ERR_INPUT);
    close_place(&place);
}

/* An index in the index, with other platforms. */
static void test_nested_index(void **state)
{
    struct place place;
    if (!has_e2fsprogs()) {
        skip();
    }
    open_place(state, &place);
    PW_STR_AUTO inner = PW_STR_INIT;
    PW_STR_AUTO outer = PW_STR_INIT;
    pw_str_add(&inner,
               "{\"schemaVersion\":2,\"mediaType\":\"" OCI("index.v1+json") "\","
                                                                            "\"manifests\":[");
    add_descriptor(&inner, OCI("manifest.v1+json"), &place.layer,
                   ",\"platform\":{\"os\":\"linux\",\"architecture\":\"arm64\"}");
    pw_str_add(&inner, ",");
    add_descriptor(&inner, OCI("manifest.v1+json"), &place.manifest,
                   ",\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\"}");
    pw_str_add(&inner, "]}");
    struct pw_oci_descriptor index = write_blob(place.layout, &inner);
    pw_str_add(&outer, "{\"schemaVersion\":2,\"manifests\":[");
    add_descriptor(&outer, OCI("index.v1+json"), &index, "");
    pw_str_add(&outer, "]}");
    write_at(place.layout, "index.json", &outer);
    assert_int_equal(prepare(&place, "oci:%s", place.layout), 0);
    assert_string_equal(place.image.digest, place.manifest.digest);
    close_place(&place);
}

static void blob_path(const struct place *place, const struct pw_oci_descriptor *blob,
                      char path[4096])
{
    snprintf(path, 4096, "%s/blobs/sha256/%s", place->layout, blob->digest + 7);
}

/* Nothing is kept of an image that is not what it says. */
static void test_damage(void **state)
{
    struct place place;
    char path[4096];
    if (!has_e2fsprogs()) {
        skip();
    }
    open_place(state, &place);
    blob_path(&place, &place.layer, path);
    PW_FREE_AUTO char *right = NULL;
    size_t size = 0;
    assert_int_equal(pw_file_read(path, 1 << 20, &right, &size, NULL), 0);
    right[size / 2] ^= 1;
    assert_int_equal(pw_file_write(path, right, size, 0644, NULL), 0);
    assert_int_equal(prepare(&place, "oci:%s", place.layout), -1);
    assert_int_equal(place.err.cls, PW_ERR_INPUT);
    assert_contains(place.err.message, "layer 1 of 2: its content is not that of its digest");
    assert_int_equal(pw_file_write(path, right, size - 1, 0644, NULL), 0);
    assert_int_equal(prepare(&place, "oci:%s", place.layout), -1);
    assert_int_equal(place.err.cls, PW_ERR_INPUT);
    assert_contains(place.err.message, "and should have");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(prepare(&place, "oci:%s", place.layout), -1);
    assert_int_equal(place.err.cls, PW_ERR_INPUT);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(prepare(&place, "oci:%s", place.layout), -1);
    assert_int_equal(place.err.cls, PW_ERR_INPUT);
    blob_path(&place, &place.manifest, path);
    assert_int_equal(pw_file_write(path, "{}", 2, 0644, NULL), 0);
    assert_int_equal(prepare(&place, "oci:%s", place.layout), -1);
    assert_int_equal(place.err.cls, PW_ERR_INPUT);
    assert_contains(place.err.message, "digest");
    assert_int_equal(count_images(&place), 0);
    close_place(&place);
}

static void test_archive(void **state)
{
    struct place place;
    if (!has_e2fsprogs()) {
        skip();
    }
    open_place(state, &place);
    char *archive = in_folder(state, "image.tar");
    PW_FREE_AUTO char *tar = NULL;
    assert_int_equal(pw_tool_find("tar", NULL, "tar", &tar, NULL), 0);
    const char *argv[] = {tar, "-C", place.layout, "-cf", archive, ".", NULL};
    struct pw_tool_call call = {.argv = argv, .timeout_sec = 60};
    assert_int_equal(pw_tool_run(&call, NULL), 0);
    assert_int_equal(prepare(&place, "oci-archive:%s:v1", archive), 0);
    assert_true(place.image.built);
    assert_string_equal(place.image.digest, place.manifest.digest);
    assert_in_disk(&place, "cat /etc/hostname", "second\n");
    assert_int_equal(count_images(&place), 3);
    /* The same image by another way. */
    assert_int_equal(prepare(&place, "oci:%s", place.layout), 0);
    assert_false(place.image.built);
    assert_int_equal(prepare(&place, "oci-archive:%s", archive), 0);
    assert_false(place.image.built);
    assert_int_equal(truncate(archive, 700), 0);
    assert_int_equal(prepare(&place, "oci-archive:%s", archive), -1);
    assert_int_equal(place.err.cls, PW_ERR_INPUT);
    free(archive);
    close_place(&place);
}

static void test_folder(void **state)
{
    struct place place;
    if (!has_e2fsprogs()) {
        skip();
    }
    open_place(state, &place);
    char *folder = in_folder(state, "tree");
    char *etc = in_folder(state, "tree/etc");
    assert_int_equal(pw_dir_make(etc, NULL), 0);
    write_text(etc, "hostname", "mine\n");
    assert_int_equal(prepare(&place, "dir:%s", folder), 0);
    assert_true(place.image.built);
    assert_null(place.image.environment);
    assert_null(place.image.command);
    assert_null(place.image.user);
    assert_in_disk(&place, "cat /etc/hostname", "mine\n");
    assert_int_equal(prepare(&place, "dir:%s", folder), 0);
    assert_false(place.image.built);
    char *first = strdup(place.image.digest);
    write_text(etc, "hostname", "more\n");
    assert_int_equal(prepare(&place, "dir:%s", folder), 0);
    assert_true(place.image.built);
    assert_string_not_equal(place.image.digest, first);
    assert_in_disk(&place, "cat /etc/hostname", "more\n");
    assert_int_equal(prepare(&place, "dir:%s/hostname", etc), -1);
    assert_int_equal(place.err.cls, PW_ERR_INPUT);
    /* What was copied while it changed is not kept as what it was before. */
    char script[8192];
    char *changing = in_folder(state, "mke2fs");
    snprintf(script, sizeof(script),
             "#!/bin/sh\necho late >'%s/hostname'\nPATH=$PATH:/usr/sbin:/sbin exec mke2fs \"$@\"\n",
             etc);
    assert_int_equal(pw_file_write(changing, script, strlen(script), 0755, NULL), 0);
    write_text(etc, "hostname", "last\n");
    unsigned images = count_images(&place);
    assert_int_equal(prepare_with(&place, "dir:%s", folder, changing), -1);
    assert_int_equal(place.err.cls, PW_ERR_INPUT);
    assert_contains(place.err.message, "changed while");
    assert_int_equal(count_images(&place), images);
    free(changing);
    free(first);
    free(folder);
    free(etc);
    close_place(&place);
}

static void test_ext4(void **state)
{
    struct place place;
    open_place(state, &place);
    char *path = in_folder(state, "disk");
    char bytes[4096] = {0};
    bytes[1080] = 0x53;
    bytes[1081] = (char)0xEF;
    assert_int_equal(pw_file_write(path, bytes, sizeof(bytes), 0644, NULL), 0);
    assert_int_equal(prepare(&place, "ext4:%s", path), 0);
    assert_string_equal(place.image.disk, path);
    assert_string_equal(place.image.digest, "");
    assert_int_equal(place.image.disk_bytes, sizeof(bytes));
    assert_false(place.image.built);
    assert_int_equal(pw_file_write(path, bytes, 1081, 0644, NULL), 0);
    assert_int_equal(prepare(&place, "ext4:%s", path), -1);
    assert_int_equal(place.err.cls, PW_ERR_INPUT);
    assert_contains(place.err.message, "not an ext4 file system");
    assert_int_equal(prepare(&place, "ext4:%s", place.layout), -1);
    assert_int_equal(place.err.cls, PW_ERR_INPUT);
    free(path);
    close_place(&place);
}

static void test_tools_and_room(void **state)
{
    struct place place;
    open_place(state, &place);
    assert_int_equal(prepare_with(&place, "oci:%s", place.layout, "/nonexistent/mke2fs"), -1);
    assert_contains(place.err.remedy, "e2fsprogs");
    assert_int_equal(prepare_with(&place, "oci:%s", place.layout, "/bin/false"), -1);
    assert_int_equal(place.err.cls, PW_ERR_SYSTEM);
    assert_int_equal(count_images(&place), 0);
    assert_int_equal(pw_ext4_check_room(place.layout, UINT64_C(1) << 62, &place.err), -1);
    assert_int_equal(place.err.cls, PW_ERR_SYSTEM);
    assert_int_equal(place.err.sys, ENOSPC);
    assert_contains(place.err.remedy, "--state-dir");
    assert_int_equal(prepare(&place, "-%s", "x"), -1);
    assert_int_equal(place.err.cls, PW_ERR_USAGE);
    close_place(&place);
}

/* ---- A registry ---- */

/* A skopeo that knows one image, and says with which words it was called. $FAKE is its folder. */
static const char fake_skopeo[] =
    "#!/bin/sh\n"
    "echo \"$*\" >> $FAKE/calls\n"
    "[ -e $FAKE/offline ] && { echo 'time=\"x\" level=fatal msg=\"pinging container registry \\\""
    "r\\\": dial tcp: connection refused\"' >&2; exit 1; }\n"
    "case \"$*\" in\n"
    "*:none*) echo 'level=fatal msg=\"manifest unknown\"' >&2; exit 1;;\n"
    "*inspect*) cat $FAKE/manifest;;\n"
    "*copy*) for to; do :; done; cp -r $FAKE/pulled ${to#dir:};;\n"
    "esac\n";

static char *open_registry(void **state, struct place *place)
{
    char *bin = in_folder(state, "bin");
    char *pulled = in_folder(state, "pulled");
    char from[8192];
    PW_FREE_AUTO char *manifest = NULL;
    blob_path(place, &place->manifest, from);
    assert_int_equal(pw_file_read(from, 1 << 20, &manifest, NULL, NULL), 0);
    assert_int_equal(mkdir(bin, 0700), 0);
    char path[8192];
    snprintf(path, sizeof(path), "%s/skopeo", bin);
    assert_int_equal(pw_file_write(path, fake_skopeo, strlen(fake_skopeo), 0700, NULL), 0);
    snprintf(path, sizeof(path), "%s/blobs/sha256", place->layout);
    assert_int_equal(rename(path, pulled), 0);
    write_text(pulled, "manifest.json", manifest);
    write_text(*state, "manifest", manifest);
    const char *found = getenv("PATH");
    char *before = strdup(found ? found : "/usr/bin:/bin");
    snprintf(path, sizeof(path), "%s:%s", bin, before);
    setenv("PATH", path, 1);
    setenv("FAKE", *state, 1);
    free(bin);
    free(pulled);
    return before;
}

static char *read_calls(void **state)
{
    char *path = in_folder(state, "calls");
    char *text = NULL;
    if (pw_file_read(path, 1 << 20, &text, NULL, NULL) != 0) {
        text = strdup("");
    }
    unlink(path);
    free(path);
    return text;
}

static void assert_calls(void **state, const char *first, const char *second)
{
    PW_FREE_AUTO char *calls = read_calls(state);
    if (!first) {
        assert_string_equal(calls, "");
        return;
    }
    assert_contains(calls, first);
    if (second) {
        assert_contains(calls, second);
    } else {
        assert_ptr_equal(strchr(calls, '\n'), calls + strlen(calls) - 1);
    }
}

static void test_registry(void **state)
{
    struct place place;
    if (!has_e2fsprogs()) {
        skip();
    }
    open_place(state, &place);
    PW_FREE_AUTO char *path = open_registry(state, &place);
    if (prepare(&place, "127.0.0.1:5/x%s", ":v1") != 0) {
        fail_msg("%s", place.err.message);
    }
    assert_true(place.image.built);
    assert_string_equal(place.image.digest, place.manifest.digest);
    assert_in_disk(&place, "cat /etc/hostname", "second\n");
    assert_int_equal(count_images(&place), 3);
    assert_calls(state, "--tls-verify=false docker://127.0.0.1:5/x:v1",
                 "--insecure-policy copy -q --src-tls-verify=false docker://127.0.0.1:5/x@sha256:");
    /* A tag is asked for each time, a digest never again. */
    assert_int_equal(prepare(&place, "registry.example/x%s", ":v1"), 0);
    assert_false(place.image.built);
    assert_calls(state, "--tls-verify=true docker://registry.example/x:v1", NULL);
    assert_int_equal(prepare(&place, "x@%s", place.manifest.digest), 0);
    assert_false(place.image.built);
    assert_calls(state, NULL, NULL);
    assert_int_equal(prepare(&place, "x:%s", "none"), -1);
    assert_int_equal(place.err.cls, PW_ERR_INPUT);
    write_text(*state, "offline", "");
    assert_int_equal(prepare(&place, "x@%s", place.manifest.digest), 0);
    assert_int_equal(prepare(&place, "x:%s", "v1"), -1);
    assert_int_equal(place.err.cls, PW_ERR_SYSTEM);
    assert_contains(place.err.message, "cannot be reached");
    assert_contains(place.err.message, "registry \"r\": dial tcp: connection refused");
    assert_null(strstr(place.err.message, "level="));
    assert_contains(place.err.remedy, "oci:DIR");
    setenv("PATH", path, 1);
    close_place(&place);
}

/* A registry that sends another image than it was asked for. */
static void test_false_registry(void **state)
{
    struct place place;
    char text[4096];
    if (!has_e2fsprogs()) {
        skip();
    }
    open_place(state, &place);
    PW_FREE_AUTO char *path = open_registry(state, &place);
    assert_int_equal(prepare(&place, "x@%s", place.layer.digest), -1);
    assert_int_equal(place.err.cls, PW_ERR_INPUT);
    assert_contains(place.err.message, "what the registry sent is not sha256:");
    /* The manifest that was pulled is not the one that was named. */
    snprintf(text, sizeof(text), "%s/pulled", (const char *)*state);
    write_text(text, "manifest.json", "{}");
    assert_int_equal(prepare(&place, "x:%s", "v1"), -1);
    assert_int_equal(place.err.cls, PW_ERR_INPUT);
    assert_contains(place.err.message, "what the registry sent is not sha256:");
    write_text(*state, "manifest", "{\"schemaVersion\":1}");
    assert_int_equal(prepare(&place, "x:%s", "v1"), -1);
    assert_int_equal(place.err.cls, PW_ERR_INPUT);
    assert_contains(place.err.message, "no image");
    assert_int_equal(count_images(&place), 0);
    setenv("PATH", path, 1);
    close_place(&place);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, drop_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(test_layout),       IN_FOLDER(test_choice),
        IN_FOLDER(test_nested_index), IN_FOLDER(test_damage),
        IN_FOLDER(test_archive),      IN_FOLDER(test_folder),
        IN_FOLDER(test_ext4),         IN_FOLDER(test_tools_and_room),
        IN_FOLDER(test_registry),     IN_FOLDER(test_false_registry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
