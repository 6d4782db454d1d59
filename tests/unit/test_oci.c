/* References and documents of images; layers, friendly and hostile. */
#include "unit.h"

#include <sys/xattr.h>
#include "core/limits.h"
#include "oci_samples.h"
#include "wrapper/boot/image/config.h"
#include "wrapper/boot/image/reference.h"
#include "wrapper/boot/image/tree.h"
#include "wrapper/boot/image/unpack.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- A root to unpack into, beside a folder that nothing may reach ---- */

struct place {
    char *root, *outside, *secret;
    struct pw_unpacking unpacking;
    struct pw_err err;
};

static void open_place(void **state, struct place *place)
{
    *place = (struct place){.err = PW_ERR_INIT};
    place->root = in_folder(state, "root");
    place->outside = in_folder(state, "outside");
    assert_int_equal(mkdir(place->root, 0700), 0);
    assert_int_equal(mkdir(place->outside, 0755), 0);
    place->secret = pw_path_join(place->outside, "secret", NULL);
    write_text(place->outside, "secret", "untouched");
    assert_int_equal(pw_unpacking_start(place->root, true, &place->unpacking, &place->err), 0);
}

static unsigned count_entries(const char *path)
{
    struct pw_tree tree;
    assert_int_equal(pw_tree_measure(path, &tree, NULL), 0);
    return (unsigned)tree.entries;
}

static void close_place(void **state, struct place *place)
{
    char *text = NULL;
    struct stat info;
    assert_int_equal(pw_file_read(place->secret, 100, &text, NULL, NULL), 0);
    assert_string_equal(text, "untouched");
    assert_int_equal(stat(place->secret, &info), 0);
    assert_int_equal(info.st_nlink, 1);
    assert_int_equal(info.st_mode & 0777, 0644);
    assert_int_equal(count_entries(place->outside), 2);
    /* Nothing beside the two. */
    assert_int_equal(count_entries(*state), 3 + count_entries(place->root));
    free(text);
    pw_unpacking_done(&place->unpacking);
    free(place->root);
    free(place->outside);
    free(place->secret);
}

static int unpack(struct place *place, const struct sample *samples, size_t count)
{
    PW_STR_AUTO tar = PW_STR_INIT;
    make_tar(samples, count, ARCHIVE_FILTER_NONE, &tar);
    PW_FD_AUTO fd = open_bytes(&tar);
    place->err = PW_ERR_INIT;
    return pw_unpack_tar(&place->unpacking, fd, NULL, &place->err);
}

#define UNPACK(place, ...) \
    unpack(&(place), (struct sample[]){__VA_ARGS__}, COUNT(((struct sample[]){__VA_ARGS__})))
#define ASSERT_UNPACKED(place, ...)              \
    do {                                         \
        if (UNPACK(place, __VA_ARGS__) != 0) {   \
            fail_msg("%s", (place).err.message); \
        }                                        \
    } while (0)
#define ASSERT_REFUSED(place, why, ...)                   \
    do {                                                  \
        assert_int_equal(UNPACK(place, __VA_ARGS__), -1); \
        assert_int_equal((place).err.cls, PW_ERR_INPUT);  \
        assert_contains((place).err.message, why);        \
    } while (0)

static void assert_text(const struct place *place, const char *name, const char *expected)
{
    char *path = pw_path_join(place->root, name, NULL);
    char *text = NULL;
    struct stat info;
    assert_int_equal(lstat(path, &info), 0);
    assert_true(S_ISREG(info.st_mode));
    assert_int_equal(pw_file_read(path, 1 << 20, &text, NULL, NULL), 0);
    assert_string_equal(text, expected);
    free(text);
    free(path);
}

/* 0 if there is nothing */
static mode_t mode_of(const struct place *place, const char *name)
{
    char *path = pw_path_join(place->root, name, NULL);
    struct stat info;
    mode_t mode = lstat(path, &info) == 0 ? info.st_mode : 0;
    free(path);
    return mode;
}

static void test_all_kinds(void **state)
{
    struct place place;
    open_place(state, &place);
    ASSERT_UNPACKED(place, {'d', "./", "", 0750}, {'d', "./etc/", "", 0711},
                    {'f', "./etc/hostname", "guest", 0}, {'f', "/absolute/file", "beneath", 0},
                    {'f', "größe ü", "name", 0}, {'l', "etc/mtab", "/proc/mounts", 0},
                    {'h', "etc/same", "etc/hostname", 0}, {'h', "etc/again", "/etc/hostname", 0},
                    {'p', "fifo", "", 0600}, {'c', "dev/null", "", 0666},
                    {'f', "bin/su", "#!", 04755}, {'f', "empty", "", 0}, {'f', "locked", "x", 0});
    assert_text(&place, "etc/hostname", "guest");
    assert_text(&place, "etc/same", "guest");
    assert_text(&place, "etc/again", "guest");
    assert_text(&place, "absolute/file", "beneath");
    assert_text(&place, "größe ü", "name");
    assert_text(&place, "empty", "");
    assert_true(S_ISFIFO(mode_of(&place, "fifo")));
    assert_true(S_ISLNK(mode_of(&place, "etc/mtab")));
    assert_int_equal(mode_of(&place, "bin/su") & 07777, 04755);
    mode_t device = mode_of(&place, "dev/null");
    assert_true(S_ISCHR(device) || (device == 0 && place.unpacking.skipped > 0));
    struct stat info;
    char *path = pw_path_join(place.root, "etc/hostname", NULL);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_nlink, 3);
    assert_int_equal(info.st_mtime, SAMPLE_MTIME);
    char note[8] = "";
    if (lsetxattr(path, "user.probe", "1", 1, 0) == 0) {
        assert_int_equal(getxattr(path, "user.note", note, sizeof(note)), 4);
    }
    PW_STR_AUTO script = PW_STR_INIT;
    assert_int_equal(pw_tree_finish(&place.unpacking, &script, &place.err), 0);
    if (place.unpacking.gives_owners) {
        assert_int_equal(stat(path, &info), 0);
        assert_int_equal(info.st_uid, SAMPLE_UID);
        assert_int_equal(info.st_gid, SAMPLE_GID);
        assert_int_equal(mode_of(&place, "etc") & 07777, 0711);
        assert_int_equal(mode_of(&place, "") & 07777, 0750);
        assert_int_equal(script.length, 0);
    }
    free(path);
    path = pw_path_join(place.root, "etc", NULL);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mtime, SAMPLE_MTIME);
    free(path);
    close_place(state, &place);
}

/* What is noted for debugfs where owners cannot be given. A name cannot bring in a command. */
static void test_owners_by_script(void **state)
{
    struct place place;
    open_place(state, &place);
    place.unpacking.gives_owners = false;
    ASSERT_UNPACKED(place, {'d', "shut", "", 0500}, {'f', "shut/in", "x", 0040},
                    {'f', "a \"b\"", "x", 0644}, {'f', "x\nwrite /etc/passwd p", "x", 0});
    ASSERT_UNPACKED(place, {'f', "shut/in2", "x", 0});
    PW_STR_AUTO script = PW_STR_INIT;
    assert_int_equal(pw_tree_finish(&place.unpacking, &script, &place.err), 0);
    assert_contains(script.text, "set_inode_field \"/shut\" uid 1234\n");
    assert_contains(script.text, "set_inode_field \"/shut\" mode 040500\n");
    assert_contains(script.text, "set_inode_field \"/shut/in\" mode 0100040\n");
    assert_contains(script.text, "set_inode_field \"/a \"\"b\"\"\" gid 2345\n");
    assert_null(strstr(script.text, "write"));
    for (const char *line = script.text; *line != '\0'; line = strchr(line, '\n') + 1) {
        assert_int_equal(strncmp(line, "set_inode_field \"/", 18), 0);
    }
    place.unpacking.limit_script_bytes = script.length / 2;
    pw_str_clear(&script);
    assert_int_equal(pw_tree_finish(&place.unpacking, &script, &place.err), -1);
    assert_int_equal(place.err.cls, PW_ERR_INPUT);
    close_place(state, &place);
}

/* Of an image layout there is nothing that could lead elsewhere when its blobs are opened. */
static void test_layout_has_files_only(void **state)
{
    struct place place;
    open_place(state, &place);
    place.unpacking.is_layer = false;
    ASSERT_UNPACKED(place, {'d', "blobs", "", 0}, {'f', "blobs/a", "x", 0}, {'f', ".wh.b", "y", 0},
                    {'l', "link", "/etc", 0}, {'h', "hard", "blobs/a", 0}, {'p', "fifo", "", 0},
                    {'c', "device", "", 0});
    assert_text(&place, "blobs/a", "x");
    assert_text(&place, ".wh.b", "y");
    assert_int_equal(place.unpacking.skipped, 4);
    assert_int_equal(count_entries(place.root), 4); /* with the root */
    close_place(state, &place);
}

static void test_climbing_names(void **state)
{
    struct place place;
    open_place(state, &place);
    ASSERT_REFUSED(place, "outside of its root", {'f', "../evil", "x", 0});
    ASSERT_REFUSED(place, "outside of its root", {'f', "a/../../outside/evil", "x", 0});
    ASSERT_REFUSED(place, "outside of its root", {'d', "..", "", 0});
    ASSERT_REFUSED(place, "outside of its root", {'f', "/../outside/evil", "x", 0});
    ASSERT_REFUSED(place, "outside of its root", {'h', "evil", "../outside/secret", 0});
    ASSERT_REFUSED(place, "not there", {'h', "evil", place.secret, 0});
    ASSERT_REFUSED(place, "not there", {'h', "evil", "/", 0});
    ASSERT_REFUSED(place, "folder", {'d', "d", "", 0}, {'h', "evil", "d", 0});
    ASSERT_REFUSED(place, "outside of its root", {'d', "../.wh.outside", "", 0});
    ASSERT_UNPACKED(place, {'f', place.secret, "beneath the root", 0});
    close_place(state, &place);
}

static void test_links_as_folders(void **state)
{
    struct place place;
    open_place(state, &place);
    ASSERT_REFUSED(place, "link to nothing", {'l', "away", place.outside, 0},
                   {'f', "away/evil", "x", 0});
    ASSERT_REFUSED(place, "link to nothing", {'l', "up", "../outside", 0},
                   {'f', "up/evil", "x", 0});
    ASSERT_REFUSED(place, "link to nothing",
                   {'l', "high", "../../../../../../../../tmp/outside", 0},
                   {'f', "high/evil", "x", 0});
    ASSERT_REFUSED(place, "", {'l', "one", "two", 0}, {'l', "two", place.outside, 0},
                   {'f', "one/evil", "x", 0});
    ASSERT_REFUSED(place, "not a folder", {'l', "round", "round", 0}, {'f', "round/evil", "x", 0});
    ASSERT_REFUSED(place, "", {'l', "proc", "/proc/self/cwd", 0}, {'f', "proc/evil", "x", 0});
    ASSERT_REFUSED(place, "not a folder", {'f', "file", "x", 0}, {'f', "file/evil", "x", 0});
    /* Into the root, where the guest would find it. */
    ASSERT_UNPACKED(place, {'d', "usr/lib", "", 0}, {'l', "lib", "/usr/lib", 0},
                    {'f', "lib/a", "in", 0}, {'l', "lib64", "../../../usr/lib", 0},
                    {'f', "lib64/b", "in", 0});
    assert_text(&place, "usr/lib/a", "in");
    assert_text(&place, "usr/lib/b", "in");
    close_place(state, &place);
}

/* A link is replaced, never written through; attributes go to the new file. */
static void test_links_as_files(void **state)
{
    struct place place;
    open_place(state, &place);
    ASSERT_UNPACKED(place, {'l', "l", place.secret, 0}, {'f', "l", "new", 0600},
                    {'l', "m", place.secret, 0}, {'h', "n", "m", 0}, {'f', "n", "new", 0},
                    {'l', "d", place.outside, 0}, {'d', "d", "", 0700}, {'f', "d/in", "new", 0},
                    {'l', "p", place.secret, 0}, {'p', "p", "", 0600});
    assert_text(&place, "l", "new");
    assert_text(&place, "n", "new");
    assert_text(&place, "d/in", "new");
    assert_true(S_ISLNK(mode_of(&place, "m")));
    assert_true(S_ISFIFO(mode_of(&place, "p")));
    close_place(state, &place);
}

static void test_whiteouts(void **state)
{
    struct place place;
    open_place(state, &place);
    ASSERT_UNPACKED(place, {'f', "a/x", "1", 0}, {'f', "a/y", "1", 0}, {'f', "b/deep/f", "1", 0},
                    {'f', "o/old", "1", 0}, {'f', "o/sub/old", "1", 0}, {'f', "keep", "1", 0});
    ASSERT_UNPACKED(place, {'f', "a/.wh.x", "", 0}, {'f', ".wh.b", "", 0},
                    {'f', ".wh.missing", "", 0}, {'f', "nowhere/.wh.x", "", 0},
                    {'f', "o/new", "2", 0}, {'f', "o/sub/new", "2", 0},
                    {'f', "o/.wh..wh..opq", "", 0}, {'f', "o/late", "2", 0}, {'f', "same", "2", 0},
                    {'f', ".wh.same", "", 0}, {'f', ".wh..wh.plnk/1.2", "aufs", 0});
    assert_int_equal(mode_of(&place, "a/x"), 0);
    assert_text(&place, "a/y", "1");
    assert_int_equal(mode_of(&place, "b"), 0);
    assert_int_equal(mode_of(&place, "o/old"), 0);
    assert_int_equal(mode_of(&place, "o/sub/old"), 0);
    assert_text(&place, "o/new", "2");
    assert_text(&place, "o/sub/new", "2");
    assert_text(&place, "o/late", "2");
    assert_text(&place, "same", "2"); /* a whiteout is for the layers below */
    assert_text(&place, "keep", "1");
    /* root, a, a/y, o, o/new, o/late, o/sub, o/sub/new, same, keep: no .wh. of any kind */
    assert_int_equal(count_entries(place.root), 10);
    ASSERT_UNPACKED(place, {'f', ".wh..wh..opq", "", 0});
    assert_int_equal(count_entries(place.root), 1);
    close_place(state, &place);
}

static void test_hostile_whiteouts(void **state)
{
    struct place place;
    open_place(state, &place);
    ASSERT_REFUSED(place, "whiteout of nothing", {'f', ".wh.", "", 0});
    ASSERT_REFUSED(place, "whiteout of nothing", {'f', "a/.wh..", "", 0});
    ASSERT_REFUSED(place, "whiteout of nothing", {'f', "a/.wh...", "", 0});
    ASSERT_REFUSED(place, "whiteout for a folder", {'f', ".wh./etc", "", 0});
    ASSERT_REFUSED(place, "whiteout for a folder", {'f', ".wh.x/y", "", 0});
    ASSERT_UNPACKED(place, {'l', "away", place.outside, 0}, {'l', "up", "../outside", 0});
    ASSERT_UNPACKED(place, {'f', "away/.wh.secret", "", 0}, {'f', "up/.wh.secret", "", 0},
                    {'f', "away/.wh..wh..opq", "", 0}, {'f', "up/.wh..wh..opq", "", 0});
    ASSERT_UNPACKED(place, {'f', ".wh.away", "", 0}); /* the link itself */
    assert_int_equal(mode_of(&place, "away"), 0);
    close_place(state, &place);
}

static void test_replacing(void **state)
{
    struct place place;
    open_place(state, &place);
    ASSERT_UNPACKED(place, {'f', "a/b/c", "1", 0}, {'f', "f", "1", 0}, {'d', "keep", "", 0700},
                    {'f', "keep/x", "1", 0}, {'f', "g", "a longer text", 0});
    ASSERT_UNPACKED(place, {'f', "a", "2", 0}, {'d', "f", "", 0}, {'f', "f/in", "2", 0},
                    {'d', "keep", "", 0711}, {'f', "g", "short", 0}, {'h', "g", "g", 0});
    assert_text(&place, "a", "2");
    assert_text(&place, "f/in", "2");
    assert_text(&place, "keep/x", "1");
    assert_text(&place, "g", "short");
    ASSERT_REFUSED(place, "not there", {'f', "t/u", "1", 0}, {'h', "t", "t/u", 0});
    close_place(state, &place);
}

static void test_bounds(void **state)
{
    struct place place;
    open_place(state, &place);
    char name[5001];
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    ASSERT_REFUSED(place, "too long", {'f', name, "x", 0});
    name[300] = '\0';
    ASSERT_REFUSED(place, "too long", {'f', name, "x", 0});
    PW_STR_AUTO deep = PW_STR_INIT;
    for (int i = 0; i < PW_LIMIT_IMAGE_DEPTH + 1; i++) {
        pw_str_add(&deep, "d/");
    }
    ASSERT_REFUSED(place, "too deep", {'d', deep.text, "", 0});
    /* As deep, by way of a link. */
    PW_STR_AUTO half = PW_STR_INIT;
    for (int i = 0; i < PW_LIMIT_IMAGE_DEPTH / 2 + 1; i++) {
        pw_str_add(&half, "h/");
    }
    PW_STR_AUTO linked = PW_STR_INIT;
    pw_str_addf(&linked, "link/%s", half.text);
    ASSERT_REFUSED(place, "too deep", {'d', half.text, "", 0}, {'l', "link", half.text, 0},
                   {'d', linked.text, "", 0});
    assert_true(count_entries(place.root) >= PW_LIMIT_IMAGE_DEPTH);
    ASSERT_UNPACKED(place, {'f', ".wh..wh..opq", "", 0});
    assert_int_equal(count_entries(place.root), 1);
    place.unpacking.limit_entries = place.unpacking.entries + 2;
    ASSERT_REFUSED(place, "too many", {'f', "1", "", 0}, {'f', "2", "", 0}, {'f', "3", "", 0});
    close_place(state, &place);
}

/* ---- Compression and digests ---- */

static int unpack_bytes(struct place *place, const struct pw_str *bytes,
                        const struct pw_oci_descriptor *expected)
{
    PW_FD_AUTO fd = open_bytes(bytes);
    place->err = PW_ERR_INIT;
    return pw_unpack_tar(&place->unpacking, fd, expected, &place->err);
}

static void test_compressions(void **state)
{
    static const struct {
        int filter;
        enum pw_oci_media media;
    } cases[] = {{ARCHIVE_FILTER_NONE, PW_OCI_TAR},
                 {ARCHIVE_FILTER_GZIP, PW_OCI_TAR_GZIP},
                 {ARCHIVE_FILTER_ZSTD, PW_OCI_TAR_ZSTD}};
    struct place place;
    open_place(state, &place);
    for (size_t i = 0; i < COUNT(cases); i++) {
        PW_STR_AUTO tar = PW_STR_INIT;
        char text[] = {(char)('0' + i), '\0'};
        make_tar((struct sample[]){{'f', "file", text, 0}}, 1, cases[i].filter, &tar);
        struct pw_oci_descriptor expected = describe(&tar, cases[i].media);
        assert_int_equal(unpack_bytes(&place, &tar, &expected), 0);
        assert_text(&place, "file", text);
        /* Named as another. */
        expected.media = cases[(i + 1) % COUNT(cases)].media;
        assert_int_equal(unpack_bytes(&place, &tar, &expected), -1);
        assert_int_equal(place.err.cls, PW_ERR_INPUT);
        assert_contains(place.err.message, "damaged");
    }
    PW_STR_AUTO empty = PW_STR_INIT;
    make_tar(NULL, 0, ARCHIVE_FILTER_GZIP, &empty);
    struct pw_oci_descriptor expected = describe(&empty, PW_OCI_TAR_GZIP);
    assert_int_equal(unpack_bytes(&place, &empty, &expected), 0);
    close_place(state, &place);
}

static void test_damaged_layers(void **state)
{
    struct place place;
    open_place(state, &place);
    char content[20001];
    for (size_t i = 0; i < sizeof(content) - 1; i++) {
        content[i] = (char)('a' + i * i % 23);
    }
    content[sizeof(content) - 1] = '\0';
    PW_STR_AUTO tar = PW_STR_INIT;
    make_tar((struct sample[]){{'f', "file", content, 0}, {'f', "file2", content, 0}}, 2,
             ARCHIVE_FILTER_GZIP, &tar);
    struct pw_oci_descriptor right = describe(&tar, PW_OCI_TAR_GZIP);
    struct pw_oci_descriptor wrong = right;
    wrong.digest[10] = wrong.digest[10] == '0' ? '1' : '0';
    assert_int_equal(unpack_bytes(&place, &tar, &wrong), -1);
    assert_contains(place.err.message, "digest");
    wrong = right;
    wrong.size++;
    assert_int_equal(unpack_bytes(&place, &tar, &wrong), -1);
    assert_contains(place.err.message, "digest");
    /* What is behind the end counts too. */
    pw_str_add(&tar, "tail");
    assert_int_equal(unpack_bytes(&place, &tar, &right), -1);
    assert_contains(place.err.message, "digest");
    tar.length -= 4;
    for (size_t cut = 1; cut < tar.length; cut += tar.length / 7) {
        struct pw_str part = {.text = tar.text, .length = cut};
        assert_int_equal(unpack_bytes(&place, &part, &right), -1);
        assert_contains(place.err.message, "digest");
        /* Named rightly, and yet no layer. */
        struct pw_oci_descriptor named = describe(&part, PW_OCI_TAR_GZIP);
        assert_int_equal(unpack_bytes(&place, &part, &named), -1);
        assert_int_equal(place.err.cls, PW_ERR_INPUT);
        assert_contains(place.err.message, "damaged");
    }
    close_place(state, &place);
}

static void test_bomb(void **state)
{
    struct place place;
    open_place(state, &place);
    PW_STR_AUTO zeros = PW_STR_INIT;
    for (int i = 0; i < 1 << 14; i++) {
        pw_str_add(&zeros, "0000000000000000000000000000000000000000000000000000000000000000");
    }
    PW_STR_AUTO tar = PW_STR_INIT;
    struct sample samples[8];
    for (size_t i = 0; i < COUNT(samples); i++) {
        samples[i] = (struct sample){'f', "bomb", zeros.text, 0};
    }
    make_tar(samples, COUNT(samples), ARCHIVE_FILTER_GZIP, &tar);
    assert_true(tar.length < zeros.length / 20);
    struct pw_oci_descriptor expected = describe(&tar, PW_OCI_TAR_GZIP);
    place.unpacking.limit_bytes = 4 * zeros.length + 1;
    assert_int_equal(unpack_bytes(&place, &tar, &expected), -1);
    assert_int_equal(place.err.cls, PW_ERR_INPUT);
    assert_contains(place.err.message, "larger than the bound");
    assert_int_equal(place.unpacking.bytes, 4 * zeros.length);
    close_place(state, &place);
}

/* ---- References ---- */

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void test_references(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum pw_image_kind kind;
        const char *path, *tag, *digest;
        bool is_loopback;
    } cases[] = {
        {"oci:dir", PW_IMAGE_LAYOUT, "dir", NULL, "", false},
        {"oci:/a/b:v1.0", PW_IMAGE_LAYOUT, "/a/b", "v1.0", "", false},
        {"oci:/a:b/c", PW_IMAGE_LAYOUT, "/a:b/c", NULL, "", false},
        {"oci-archive:x.tar:v", PW_IMAGE_ARCHIVE, "x.tar", "v", "", false},
        {"dir:/a:b", PW_IMAGE_FOLDER, "/a:b", NULL, "", false},
        {"ext4:disk", PW_IMAGE_EXT4, "disk", NULL, "", false},
        {"debian", PW_IMAGE_REGISTRY, "debian", "latest", "", false},
        {"debian:12", PW_IMAGE_REGISTRY, "debian", "12", "", false},
        {"docker://debian:12", PW_IMAGE_REGISTRY, "debian", "12", "", false},
        {"localhost/x", PW_IMAGE_REGISTRY, "localhost/x", "latest", "", true},
        {"127.0.0.1:5000/x:v1", PW_IMAGE_REGISTRY, "127.0.0.1:5000/x", "v1", "", true},
        {"[::1]:5000/x", PW_IMAGE_REGISTRY, "[::1]:5000/x", "latest", "", true},
        {"127.evil.example/x", PW_IMAGE_REGISTRY, "127.evil.example/x", "latest", "", false},
        {"localhost.example/x", PW_IMAGE_REGISTRY, "localhost.example/x", "latest", "", false},
        {"ghcr.io/a/b-c__d:x@sha256:" HEX64, PW_IMAGE_REGISTRY, "ghcr.io/a/b-c__d", NULL,
         "sha256:" HEX64, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct pw_err err = PW_ERR_INIT;
        PW_IMAGE_REFERENCE_AUTO reference = {0};
        if (pw_image_reference_parse(cases[i].text, &reference, &err) != 0) {
            fail_msg("%s: %s", cases[i].text, err.message);
        }
        assert_int_equal(reference.kind, cases[i].kind);
        assert_string_equal(reference.path, cases[i].path);
        assert_string_equal(reference.tag ? reference.tag : "-", cases[i].tag ? cases[i].tag : "-");
        assert_string_equal(reference.digest, cases[i].digest);
        assert_int_equal(reference.is_loopback, cases[i].is_loopback);
    }
}

static void test_bad_references(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "-x",
        "--help",
        "oci:",
        "oci::v1",
        "dir:",
        "a b",
        "a\nb",
        "Debian",
        "debian:",
        "debian:-x",
        "debian:a b",
        "a//b",
        "/a",
        "a/",
        "-host.x/a",
        "h.x:port/a",
        "h.x:/a",
        "a..b",
        "a..b.x/y",
        "127.0.0../y",
        "a.x./y",
        "a_-b",
        "a@sha256:1",
        "a@sha512:00",
        "a:b:c",
        "docker://",
        "docker:///a",
        "a/../b",
        "a;b",
        "$(x)",
        "oci:dir:t g",
        "docker-daemon:x",
        "https://x",
        "[::1/a",
        "[::12..]/a",
        "[::1]x/a",
        "[]/a",
        "docker://-x",
        ("a@" HEX64),
        ("a@sha256:" HEX64 "0"),
        "x@sha256:0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef",
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct pw_err err = PW_ERR_INIT;
        struct pw_image_reference reference;
        if (pw_image_reference_parse(cases[i], &reference, &err) == 0) {
            fail_msg("taken: %s", cases[i]);
        }
        assert_int_equal(err.cls, PW_ERR_USAGE);
        assert_true(err.remedy[0] != '\0');
    }
}

/* ---- Documents ---- */

#define DESCRIPTOR(type, digit, more)                                   \
    "{\"mediaType\":\"" type "\",\"size\":7,\"digest\":\"sha256:" digit \
    "123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"" more "}"
#define OCI(what) "application/vnd.oci.image." what
#define IMAGE(digit, more) DESCRIPTOR(OCI("manifest.v1+json"), digit, more)
#define TAG(name) ",\"annotations\":{\"org.opencontainers.image.ref.name\":\"" name "\"}"
#define FOR(arch) ",\"platform\":{\"os\":\"linux\",\"architecture\":\"" arch "\"}"
#define INDEX(list) "{\"schemaVersion\":2,\"manifests\":[" list "]}"

/* The first digit of what was chosen, 0 if nothing was. */
static char choose(const char *text, const char *tag, struct pw_err *err)
{
    struct pw_oci_descriptor descriptor;
    *err = PW_ERR_INIT;
    int status = pw_oci_index_choose(text, strlen(text), tag, &descriptor, err);
    if (status != 0) {
        assert_int_equal(err->cls, PW_ERR_INPUT);
        return '\0';
    }
    return descriptor.digest[7];
}

static void test_index(void **state)
{
    (void)state;
    struct pw_err err;
    const char *two = INDEX(IMAGE("1", TAG("v1")) "," IMAGE("2", TAG("docker.io/x/y:v2")));
    assert_int_equal(choose(two, "v1", &err), '1');
    assert_int_equal(choose(two, "v2", &err), '2');
    assert_int_equal(choose(two, NULL, &err), 0);
    assert_contains(err.message, "v1, docker.io/x/y:v2");
    assert_int_equal(choose(two, "v3", &err), 0);
    assert_contains(err.message, "no tag `v3`");
    assert_contains(err.message, "v1");
    const char *platforms =
        INDEX(IMAGE("1", FOR("arm64")) "," IMAGE("2", FOR("amd64")) "," IMAGE("3", FOR("s390x")));
    assert_int_equal(choose(platforms, NULL, &err), '2');
    assert_int_equal(choose(INDEX(IMAGE("1", FOR("arm64"))), NULL, &err), 0);
    assert_contains(err.message, "linux/amd64");
    assert_int_equal(
        choose(INDEX(IMAGE("1", "") "," DESCRIPTOR("text/plain", "2", "")), NULL, &err), '1');
    assert_int_equal(choose(INDEX(IMAGE("1", TAG("a")) "," IMAGE("1", TAG("b"))), NULL, &err), '1');
    static const char *const bad[] = {"",
                                      "[]",
                                      "{}",
                                      "{\"schemaVersion\":2}",
                                      "{\"schemaVersion\":1,\"manifests\":[]}",
                                      INDEX(""),
                                      INDEX("1"),
                                      INDEX("{}"),
                                      "{\"schemaVersion\":2,\"manifests\":{}}",
                                      INDEX("{\"digest\":\"sha256:../../x\",\"size\":1}"),
                                      "{\"schemaVersion\":2,\"schemaVersion\":2,\"manifests\":[]}"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_int_equal(choose(bad[i], NULL, &err), 0);
    }
}

static int parse_manifest(const char *layers, struct pw_err *err)
{
    PW_STR_AUTO text = PW_STR_INIT;
    pw_str_addf(&text, "{\"schemaVersion\":2,\"config\":%s,\"layers\":[%s]}",
                DESCRIPTOR(OCI("config.v1+json"), "c", ""), layers);
    *err = PW_ERR_INIT;
    PW_OCI_MANIFEST_AUTO manifest = {0};
    if (pw_oci_manifest_parse(text.text, text.length, &manifest, err) != 0) {
        assert_int_equal(err->cls, PW_ERR_INPUT);
        return -1;
    }
    assert_int_equal(manifest.config.digest[7], 'c');
    return (int)manifest.count;
}

static void test_manifest(void **state)
{
    (void)state;
    struct pw_err err;
    assert_int_equal(parse_manifest("", &err), 0);
    assert_int_equal(
        parse_manifest(DESCRIPTOR(OCI("layer.v1.tar"), "1", "") "," DESCRIPTOR(
                           OCI("layer.v1.tar+gzip"), "2", "") "," DESCRIPTOR(OCI("layer.v1.tar+"
                                                                                 "zstd"),
                                                                             "3", ""),
                       &err),
        3);
    assert_int_equal(
        parse_manifest(
            DESCRIPTOR("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "1", ""), &err),
        -1);
    assert_contains(err.message, "foreign");
    assert_int_equal(parse_manifest(DESCRIPTOR("a\\u001b[2Jb", "1", ""), &err), -1);
    assert_null(strchr(err.message, '\x1b'));
    assert_int_equal(parse_manifest("{}", &err), -1);
    PW_STR_AUTO many = PW_STR_INIT;
    for (int i = 0; i <= PW_LIMIT_IMAGE_LAYERS; i++) {
        pw_str_addf(&many, "%s%s", i > 0 ? "," : "", DESCRIPTOR(OCI("layer.v1.tar"), "1", ""));
    }
    assert_int_equal(parse_manifest(many.text, &err), -1);
    assert_contains(err.message, "layers");
}

static void test_config(void **state)
{
    (void)state;
    struct pw_err err = PW_ERR_INIT;
    PW_IMAGE_AUTO image = {0};
    const char *text =
        "{\"os\":\"linux\",\"architecture\":\"amd64\",\"config\":{\"Env\":[\"A=b=c\","
        "\"E=\"],\"Entrypoint\":null,\"Cmd\":[\"/bin/sh\",\"-c\",\"x y\"],"
        "\"WorkingDir\":\"srv\",\"User\":\"\"}}";
    assert_int_equal(pw_oci_config_parse(text, strlen(text), &image, &err), 0);
    assert_string_equal(image.environment[0], "A=b=c");
    assert_string_equal(image.environment[1], "E=");
    assert_null(image.environment[2]);
    assert_null(image.entrypoint);
    assert_string_equal(image.command[2], "x y");
    assert_string_equal(image.folder, "/srv");
    assert_null(image.user);
    static const char *const bad[] = {"{\"architecture\":\"arm64\"}",
                                      "{\"os\":\"windows\"}",
                                      "{\"config\":{\"Env\":[\"A\"]}}",
                                      "{\"config\":{\"Env\":[\"=x\"]}}",
                                      "{\"config\":{\"Env\":{}}}",
                                      "{\"config\":{\"Cmd\":\"sh\"}}",
                                      "{\"config\":{\"Cmd\":[1]}}",
                                      "{\"config\":{\"User\":5}}",
                                      "{\"config\":{\"Cmd\":[\"\\u0000\"]}}",
                                      "{\"config\":[]}",
                                      "nonsense"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        PW_IMAGE_AUTO other = {0};
        err = PW_ERR_INIT;
        assert_int_equal(pw_oci_config_parse(bad[i], strlen(bad[i]), &other, &err), -1);
        assert_int_equal(err.cls, PW_ERR_INPUT);
    }
}

static void test_users(void **state)
{
    struct place place;
    open_place(state, &place);
    write_text(place.outside, "passwd", "evil:x:666:666::/:\n");
    ASSERT_UNPACKED(place,
                    {'f', "etc/passwd",
                     "root:x:0:0::/:\nbroken\nbob:x:1000:1001:Bob:/:/bin/sh\n7:x:70:71::/:", 0},
                    {'f', "etc/group", "root:x:0:\nstaff:x:50:bob", 0});
    static const struct {
        const char *user, *expected;
    } cases[] = {
        {"bob", "1000:1001"}, {"1000", "1000:1001"}, {"5", "5:0"},     {"bob:staff", "1000:50"},
        {"5:9", "5:9"},       {":staff", "0:50"},    {"7", "70:71"},   {"nobody", NULL},
        {"bob:none", NULL},   {"bro", NULL},         {"broken", NULL}, {"4294967295", NULL},
        {"-1", NULL},         {"0x10", NULL}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        PW_IMAGE_AUTO image = {.user = strdup(cases[i].user)};
        struct pw_err err = PW_ERR_INIT;
        int status = pw_image_user_resolve(place.unpacking.root, &image, &err);
        assert_int_equal(status, cases[i].expected ? 0 : -1);
        if (cases[i].expected) {
            assert_string_equal(image.user, cases[i].expected);
        } else {
            assert_int_equal(err.cls, PW_ERR_INPUT);
        }
    }
    /* The machine's own file is not looked into. */
    PW_STR_AUTO target = PW_STR_INIT;
    pw_str_addf(&target, "%s/passwd", place.outside);
    ASSERT_UNPACKED(place, {'l', "etc/passwd", target.text, 0}, {'p', "etc/group", "", 0});
    PW_IMAGE_AUTO image = {.user = strdup("evil")};
    assert_int_equal(pw_image_user_resolve(place.unpacking.root, &image, &place.err), -1);
    PW_IMAGE_AUTO by_fifo = {.user = strdup("5:evil")};
    assert_int_equal(pw_image_user_resolve(place.unpacking.root, &by_fifo, &place.err), -1);
    unlink(target.text);
    close_place(state, &place);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, drop_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(test_all_kinds),
        IN_FOLDER(test_owners_by_script),
        IN_FOLDER(test_layout_has_files_only),
        IN_FOLDER(test_climbing_names),
        IN_FOLDER(test_links_as_folders),
        IN_FOLDER(test_links_as_files),
        IN_FOLDER(test_whiteouts),
        IN_FOLDER(test_hostile_whiteouts),
        IN_FOLDER(test_replacing),
        IN_FOLDER(test_bounds),
        IN_FOLDER(test_compressions),
        IN_FOLDER(test_damaged_layers),
        IN_FOLDER(test_bomb),
        cmocka_unit_test(test_references),
        cmocka_unit_test(test_bad_references),
        cmocka_unit_test(test_index),
        cmocka_unit_test(test_manifest),
        cmocka_unit_test(test_config),
        IN_FOLDER(test_users),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
