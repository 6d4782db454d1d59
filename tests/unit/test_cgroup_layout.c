/* Control groups: where they are and what their files say, from fakes. */
#include "wrapper/probe/cgroup_layout.h"

#include "tests/unit/unit.h"

#include <errno.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "wrapper/probe/cgroup.h"
#include "wrapper/probe/cgroup_impl.h"

static void write_text(void **state, const char *name, const char *text)
{
    PW_FREE_AUTO char *path = in_folder(state, name);
    assert_int_equal(pw_file_write(path, text, strlen(text), 0666, NULL), 0);
}

static void make_dir(void **state, const char *name)
{
    PW_FREE_AUTO char *path = in_folder(state, name);
    assert_int_equal(pw_dir_make(path, NULL), 0);
}

/* `format` of mountinfo has one %s for each mount point's beginning: the test's folder. */
static struct pw_cgroup_layout *layout_of(void **state, const char *groups, const char *mounts)
{
    struct pw_cgroup_layout *layout = NULL;
    char text[4096] = "";
    const char *at;

    make_dir(state, "self");
    write_text(state, "self/cgroup", groups);
    while ((at = strchr(mounts, '@')) != NULL) {
        size_t length = strlen(text);
        snprintf(text + length, sizeof text - length, "%.*s%s", (int)(at - mounts), mounts,
                 (const char *)*state);
        mounts = at + 1;
    }
    size_t length = strlen(text);
    snprintf(text + length, sizeof text - length, "%s", mounts);
    write_text(state, "self/mountinfo", text);
    assert_int_equal(pw_cgroup_layout_read(*state, &layout, NULL), 0);
    return layout;
}

static void assert_place(void **state, const struct pw_cgroup_layout *layout, const char *name,
                         const char *below)
{
    const struct pw_cgroup_place *place = pw_cgroup_layout_find(layout, name);
    if (below == NULL) {
        assert_null(place);
        return;
    }
    PW_FREE_AUTO char *path = in_folder(state, below);
    assert_non_null(place);
    assert_string_equal(place->folder, path);
}

#define V2_MOUNT(root, point) "30 23 0:26 " root " @/" point " rw,nosuid shared:4 - cgroup2 cg rw\n"

static void test_layout_v2(void **state)
{
    PW_FREE_AUTO struct pw_cgroup_layout *layout =
        layout_of(state, "0::/user.slice/a b\n",
                  "22 1 0:20 / /proc rw - proc proc rw\n" V2_MOUNT("/", "c\\040g"));
    assert_place(state, layout, NULL, "c g/user.slice/a b");
    assert_place(state, layout, "memory", NULL);
}

static void test_layout_hybrid(void **state)
{
    PW_FREE_AUTO struct pw_cgroup_layout *layout =
        layout_of(state, "9:name=systemd:/s\n4:memory:/m/n\n3:cpu,cpuacct:/\n0::/\n",
                  "31 23 0:28 / @ rw - tmpfs tmpfs rw\n"
                  "32 31 0:29 / @/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
                  "35 31 0:32 / @/memory rw - cgroup cgroup rw,memory\n"
                  "40 31 0:37 / @/systemd rw - cgroup cgroup rw,xattr,name=systemd\n" V2_MOUNT(
                      "/", "unified"));
    assert_place(state, layout, NULL, "unified");
    assert_place(state, layout, "memory", "memory/m/n");
    assert_place(state, layout, "cpuacct", "cpu,cpuacct");
    assert_place(state, layout, "name=systemd", "systemd/s");
    assert_place(state, layout, "pids", NULL);
    assert_place(state, layout, "mem", NULL);
}

static void test_layout_v1_only(void **state)
{
    /* The kernel lists version 2 also where nobody has mounted it. */
    PW_FREE_AUTO struct pw_cgroup_layout *layout =
        layout_of(state, "2:pids:/p\n0::/\n", "35 31 0:32 / @/p rw - cgroup cgroup rw,pids\n");
    assert_place(state, layout, NULL, NULL);
    assert_place(state, layout, "pids", "p/p");
}

static void test_layout_namespaces(void **state)
{
    static const struct {
        const char *group, *root, *below;
    } cases[] = {
        {"/", "/", "cg"},
        {"/a/b", "/a", "cg/b"},
        {"/ab", "/a", NULL},            /* not below it, though it begins so */
        {"/../../x", "/../..", "cg/x"}, /* both are seen from within */
        {"/../../x", "/..", NULL},      /* above what is mounted */
        {"/", "/../../..", NULL},       /* below, but names in between are not told */
        {"/../x", "/", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char groups[64], mounts[128];
        snprintf(groups, sizeof groups, "0::%s\n", cases[i].group);
        snprintf(mounts, sizeof mounts, "30 23 0:26 %s @/cg rw - cgroup2 cg rw\n", cases[i].root);
        PW_FREE_AUTO struct pw_cgroup_layout *layout = layout_of(state, groups, mounts);
        assert_place(state, layout, NULL, cases[i].below);
    }
}

static void test_layout_writable_first(void **state)
{
    PW_FREE_AUTO struct pw_cgroup_layout *layout = layout_of(
        state, "0::/x\n",
        "30 23 0:26 / @/ro ro - cgroup2 cg rw\n" V2_MOUNT("/", "rw") V2_MOUNT("/", "later"));
    assert_place(state, layout, NULL, "rw/x");
}

static void test_layout_nonsense(void **state)
{
    PW_FREE_AUTO struct pw_cgroup_layout *layout =
        layout_of(state, "\n::\n0::\n0::x\n5:memory\n7:pids:/ok\n",
                  " - \n - cgroup2 x rw\n1 2 3 / @/m rw - cgroup\nx - cgroup cgroup rw,pids\n"
                  "1 2 3 / @/\\9 rw - cgroup cgroup rw,pids\n");
    assert_int_equal(layout->count, 1);
    assert_place(state, layout, "pids", "\\9/ok");
}

static void test_nothing_there(void **state)
{
    struct pw_cgroups_setup setup = {.proc_root = *state, .run_root = *state};
    struct pw_cgroups *cgroups = NULL;
    struct pw_err err = PW_ERR_INIT;

    assert_int_equal(pw_cgroups_open(&setup, &cgroups, &err), -1);
    assert_int_equal(err.cls, PW_ERR_SYSTEM);
    assert_contains(err.message, "no control groups");
    assert_contains(err.remedy, "CONFIG_CGROUPS");

    free(layout_of(state, "0::/x\n", ""));
    assert_int_equal(pw_cgroups_open(&setup, &cgroups, &err), -1);
    assert_contains(err.message, "`/x` is not to be seen in any mount");

    free(layout_of(state, "0::/x (deleted)\n", V2_MOUNT("/", "cg")));
    assert_int_equal(pw_cgroups_open(&setup, &cgroups, &err), -1);
    assert_contains(err.remedy, "was removed");
    assert_null(cgroups);
}

/* A folder of a file system that makes no files of groups. */
static void test_not_a_cgroupfs(void **state)
{
    struct pw_cgroups_setup setup = {.proc_root = *state, .run_root = *state};
    struct pw_cgroups *cgroups = NULL;
    struct pw_err err = PW_ERR_INIT;
    PW_FREE_AUTO struct pw_cgroup_layout *layout = layout_of(state, "0::/x\n", V2_MOUNT("/", "cg"));

    assert_place(state, layout, NULL, "cg/x");
    make_dir(state, "cg/x");
    assert_int_equal(pw_cgroups_open(&setup, &cgroups, &err), -1);
    assert_int_equal(err.sys, ENOENT);
    PW_FREE_AUTO char *folder = in_folder(state, "cg/x");
    assert_int_equal(rmdir(folder), 0); /* nothing was left in it */
}

static void test_delegation(void **state)
{
    PW_FREE_AUTO struct pw_cgroup_layout *layout =
        layout_of(state, "0::/a.slice/b.scope\n", V2_MOUNT("/", "cg"));
    struct pw_cgroups_setup setup = {.proc_root = *state, .run_root = *state};
    struct pw_cgroups *cgroups = NULL;
    struct pw_err err = PW_ERR_INIT;

    make_dir(state, "cg/a.slice/b.scope");
    assert_true(pw_cgroup_layout_is_delegated(layout, *state)); /* there is no systemd */
    make_dir(state, "systemd/system");
    assert_false(pw_cgroup_layout_is_delegated(layout, *state));
    assert_int_equal(pw_cgroups_open(&setup, &cgroups, &err), -1);
    assert_contains(err.message, "not delegated");
    assert_contains(err.remedy, "Delegate=yes");
    setup.is_forced = true;
    assert_int_equal(pw_cgroups_open(&setup, &cgroups, &err), -1);
    assert_int_equal(err.sys, ENOENT); /* it is tried */

    PW_FREE_AUTO char *slice = in_folder(state, "cg/a.slice");
    if (setxattr(slice, "user.delegate", "1", 1, 0) == 0)
        assert_true(pw_cgroup_layout_is_delegated(layout, *state));
    else
        print_message("[  SKIP  ] no attributes here: %s\n", strerror(errno));
}

static void test_delegation_of_users_and_namespaces(void **state)
{
    make_dir(state, "systemd/system");
    PW_FREE_AUTO struct pw_cgroup_layout *user = layout_of(
        state, "0::/user.slice/user-1.slice/user@1.service/x.scope\n", V2_MOUNT("/", "cg"));
    assert_true(pw_cgroup_layout_is_delegated(user, *state));
    PW_FREE_AUTO struct pw_cgroup_layout *root = layout_of(state, "0::/\n", V2_MOUNT("/", "cg"));
    make_dir(state, "cg");
    assert_false(pw_cgroup_layout_is_delegated(root, *state));
    write_text(state, "cg/cgroup.events", "populated 1\n");
    assert_true(pw_cgroup_layout_is_delegated(root, *state));
}

static void assert_number(const char *text, const char *line, const char *key, double expected)
{
    double number = -1;
    assert_true(pw_cgroup_number_find(text, line, key, &number));
    assert_near(number, expected);
}

static void test_numbers(void **state)
{
    (void)state;
    double number = 7;
    const char *cpu = "usage_usec 120\nuser_usec 100\nsystem_usec 20\n";
    const char *pressure = "some avg10=0.00 avg60=1.50 avg300=0.00 total=42\n"
                           "full avg10=0.00 avg60=0.00 avg300=0.00 total=9\n";
    const char *io = "253:0 rbytes=4096 wbytes=10 rios=1 wios=2 dbytes=0 dios=0\n"
                     "8:0 rbytes=1 wbytes=5 rios=3 wios=0 dbytes=0 dios=0\n8:16 \n";

    assert_number("67108864\n", "", NULL, 67108864);
    assert_number(cpu, "", "usage_usec", 120);
    assert_number(cpu, "", "user_usec", 100);
    assert_number(pressure, "some", "total", 42);
    assert_number(pressure, "full", "total", 9);
    assert_number(io, "", "rbytes", 4097);
    assert_number(io, "", "wios", 2);
    assert_number("", "", "rbytes", 0);
    assert_number("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n", "", "oom_kill", 3);
    assert_false(pw_cgroup_number_find("max\n", "", NULL, &number));
    assert_false(pw_cgroup_number_find("", "", NULL, &number));
    assert_false(pw_cgroup_number_find("-5\n", "", NULL, &number));
    assert_false(pw_cgroup_number_find("usage_usec\n", "", "usage_usec", &number));
    assert_false(pw_cgroup_number_find("usage_usec inf\n", "", "usage_usec", &number));
    assert_false(pw_cgroup_number_find("full total=1\n", "some", "total", &number));
    assert_near(number, 7);
}

static void test_since(void **state)
{
    (void)state;
    struct pw_cgroup_sums base = {0}, sums = {0};

    base.cpu_ns = pw_value_of(10);
    base.pids_peak = pw_value_of(1);
    base.memory_peak_bytes = pw_value_of(100);
    sums = base;
    sums.cpu_ns = pw_value_of(25);
    sums.pids_peak = pw_value_of(4);
    sums.memory_peak_bytes = pw_value_of(300);
    pw_cgroup_sums_since(&sums, &base);
    assert_value(sums.cpu_ns, 15);
    assert_value(sums.pids_peak, 3);
    assert_value(sums.memory_peak_bytes, 300);
    assert_absent(sums.io_reads, PW_ABSENT_NOT_MEASURED);
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        int sys;
        const char *remedy;
    } cases[] = {{EACCES, "delegated"},   {EPERM, "delegated"}, {EROFS, "writable"},
                 {ENOSPC, "too many"},    {EAGAIN, "too many"}, {ENODEV, "removed"},
                 {EOPNOTSUPP, "threaded"}};
    struct pw_cgroup_branch branch = {.folder = "/cg/own", .label = "v2"};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pw_err err = PW_ERR_INIT;
        assert_int_equal(pw_cgroup_refuse(&err, cases[i].sys, &branch), -1);
        assert_int_equal(err.cls, PW_ERR_SYSTEM);
        assert_contains(err.message, "`/cg/own` (v2)");
        assert_contains(err.remedy, cases[i].remedy);
    }
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, drop_folder)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(test_layout_v2),
        IN_FOLDER(test_layout_hybrid),
        IN_FOLDER(test_layout_v1_only),
        IN_FOLDER(test_layout_namespaces),
        IN_FOLDER(test_layout_writable_first),
        IN_FOLDER(test_layout_nonsense),
        IN_FOLDER(test_nothing_there),
        IN_FOLDER(test_not_a_cgroupfs),
        IN_FOLDER(test_delegation),
        IN_FOLDER(test_delegation_of_users_and_namespaces),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_since),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
