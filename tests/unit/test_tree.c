/* wrapper/probe/tree on fake /proc folders: every rule that real processes would break only now and then. Its
 * pids are above what Linux can give. Real processes: test_tree_live.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>
#include "core/limits.h"
#include "core/str.h"
#include "tests/unit/fake_root.h"
#include "wrapper/probe/proc_file.h"
#include "wrapper/probe/tree.h"

enum { WARDEN = 9000001, ROOT = 9000002, A = 9000003, B = 9000004, C = 9000005, SELF = 9000009 };
enum { NOBODY = 65534, TICK_NS = 10000000, DEFAULT_START = 100 };

struct world {
    struct fake_root fake;
    struct pw_proc *proc;
    struct pw_tree *tree;
    struct pw_tree_sample sample;
};

/* What a fake process says; 0 stands for a usual value where 0 would not be one. */
struct fields {
    pid_t ppid;
    char state;
    unsigned utime, stime, cutime, cstime, threads, start, rss;
};

static void put_stat(struct world *world, const char *name, pid_t pid, struct fields fields)
{
    char text[512];

    snprintf(text, sizeof text,
             "%d (a) b) %c %d 1 1 0 -1 0 0 0 0 0 %u %u %u %u 20 0 %u 0 %u 4096 %u 0 0\n", pid,
             fields.state ? fields.state : 'S', fields.ppid, fields.utime, fields.stime,
             fields.cutime, fields.cstime, fields.threads ? fields.threads : 1,
             fields.start ? fields.start : DEFAULT_START, fields.rss);
    fake_text(&world->fake, name, text);
}

static void put_process(struct world *world, pid_t pid, struct fields fields)
{
    char name[64];

    snprintf(name, sizeof name, "%d/stat", pid);
    put_stat(world, name, pid, fields);
}

static void put_children(struct world *world, pid_t pid, pid_t tid, const char *children)
{
    char name[64];

    snprintf(name, sizeof name, "%d/task/%d/children", pid, tid);
    fake_text(&world->fake, name, children);
}

static void put_file(struct world *world, pid_t pid, const char *file, const char *text)
{
    char name[128];

    snprintf(name, sizeof name, "%d/%s", pid, file);
    fake_text(&world->fake, name, text);
}

/* An ended process: its files are still open here, but say nothing more. */
static void end_process(struct world *world, pid_t pid)
{
    char path[PATH_MAX], name[64];

    put_file(world, pid, "stat", "");
    snprintf(name, sizeof name, "%d", pid);
    fake_path(&world->fake, path, name);
    assert_int_equal(pw_dir_remove_tree(path, NULL), 0);
}

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);

    fake_root_make(&world->fake);
    put_stat(world, "self/stat", SELF, (struct fields){.ppid = 1});
    fake_text(&world->fake, "self/task/9000009/children", "");
    fake_text(&world->fake, "self/smaps_rollup", "");
    put_process(world, WARDEN, (struct fields){.ppid = SELF, .utime = 1000, .rss = 1000});
    put_children(world, WARDEN, WARDEN, "9000002 ");
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    pw_tree_close(world->tree);
    pw_proc_close(world->proc);
    fake_root_remove(&world->fake);
    free(world);
    return 0;
}

static void open_tree(struct world *world)
{
    assert_int_equal(pw_proc_open(world->fake.path, &world->proc, NULL), 0);
    assert_int_equal(pw_tree_open(world->proc, WARDEN, ROOT, &world->tree, NULL), 0);
}

/* With room for no kept descriptor: each file is opened by its path each time. */
static void open_tree_keeping_nothing(struct world *world)
{
    struct rlimit old, none;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    none = old;
    none.rlim_cur = 1;
    PW_FD_AUTO gap = open("/dev/null", O_RDONLY | O_CLOEXEC);
    (void)gap;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    /* Under that limit nothing can be opened, so the root is opened as descriptor 0 would be. */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    open_tree(world);
}

static struct pw_tree_sample *look(struct world *world)
{
    assert_int_equal(pw_tree_sample(world->tree, 5, PW_TREE_WANT_BASIC, &world->sample),
                     PW_TREE_SAMPLED);
    return &world->sample;
}

static void assert_number(struct pw_value value, double number)
{
    assert_int_equal(value.state, PW_PRESENT);
    assert_float_equal(value.number, number, 0);
}
