/* wrapper/probe/tree on fake /proc folders: every rule that real processes would break only now and
 * then. Its pids are above what Linux can give. Real processes: test_tree_live.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>
#include "core/clock.h"
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
    bool has_waited;
};

static void put_stat(struct world *world, const char *name, pid_t pid, struct fields fields)
{
    char text[512];

    snprintf(text, sizeof text,
             "%d (a) b) %c %d 1 1 0 -1 0 0 %d 0 0 %u %u %u %u 20 0 %u 0 %u 4096 %u 0 0\n", pid,
             fields.state ? fields.state : 'S', fields.ppid, fields.has_waited ? 9 : 0,
             fields.utime, fields.stime, fields.cutime, fields.cstime,
             fields.threads ? fields.threads : 1, fields.start ? fields.start : DEFAULT_START,
             fields.rss);
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

enum { HOG_WARDEN = 9100000, HOGS = 20, FEW_FDS = 24 };

/* Opens /proc with room for few kept descriptors, and has another tree take them all. */
static void open_tree_keeping_nothing(struct world *world, struct pw_tree **ret_hog)
{
    struct rlimit old, few;
    PW_STR_AUTO children = PW_STR_INIT;

    put_process(world, HOG_WARDEN, (struct fields){.ppid = SELF});
    for (pid_t pid = HOG_WARDEN + 1; pid <= HOG_WARDEN + HOGS; pid++) {
        pw_str_addf(&children, "%d ", pid);
        put_process(world, pid, (struct fields){.ppid = HOG_WARDEN});
    }
    put_children(world, HOG_WARDEN, HOG_WARDEN, children.text);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    few = (struct rlimit){.rlim_cur = FEW_FDS, .rlim_max = old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    open_tree(world);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_int_equal(pw_tree_open(world->proc, HOG_WARDEN, HOG_WARDEN + 1, ret_hog, NULL), 0);
    assert_int_equal(pw_tree_sample(*ret_hog, PW_TREE_WANT_BASIC, &world->sample), PW_TREE_SAMPLED);
    assert_int_equal(world->sample.processes, HOGS);
}

static struct pw_tree_sample *look(struct world *world)
{
    assert_int_equal(pw_tree_sample(world->tree, PW_TREE_WANT_BASIC, &world->sample),
                     PW_TREE_SAMPLED);
    return &world->sample;
}

static void assert_number(struct pw_value value, double number)
{
    assert_int_equal(value.state, PW_PRESENT);
    assert_float_equal(value.number, number, 0);
}

static void count_one(void *context, pid_t number)
{
    (void)number;
    ++*(unsigned *)context;
}

static unsigned own_fds(void)
{
    unsigned count = 0;
    PW_FD_AUTO fd = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_int_equal(pw_proc_numbers_read(fd, count_one, &count), PW_PROC_OK);
    return count;
}

static void sums_over_the_tree(void **state)
{
    struct world *world = *state;
    put_process(world, ROOT, (struct fields){.ppid = WARDEN, .utime = 3, .stime = 4, .rss = 10});
    put_process(world, A, (struct fields){.ppid = ROOT, .utime = 5, .rss = 20, .threads = 3});
    put_process(world, B, (struct fields){.ppid = A, .stime = 6, .cutime = 7, .rss = 30});
    put_children(world, ROOT, ROOT, "9000003 ");
    put_children(world, A, A, "");
    put_children(world, A, A + 100, "9000004 "); /* forked by another thread */
    put_file(world, ROOT, "fd/0", "");
    put_file(world, ROOT, "fd/1", "");
    put_file(world, ROOT, "fd/7", "");
    open_tree(world);
    assert_string_equal(pw_proc_tree_source(world->proc), "children");
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    for (int again = 0; again < 2; again++) {
        int64_t before_ns = pw_clock_now_ns();
        const struct pw_tree_sample *sample = look(world);
        assert_in_range(sample->earliest_ns, before_ns, sample->latest_ns);
        assert_in_range(sample->latest_ns, sample->earliest_ns, pw_clock_now_ns());
        assert_int_equal(sample->processes, 3);
        assert_int_equal(sample->threads, 5);
        assert_int_equal(sample->rss_bytes, 60 * page);
        assert_int_equal(sample->root_rss_bytes, 10 * page);
        assert_int_equal(sample->cpu_ns, INT64_C(25) * TICK_NS);
        assert_int_equal(sample->root_cpu_ns, INT64_C(7) * TICK_NS);
        assert_number(sample->open_fds, 3);
        assert_number(sample->direct_children, 1);
        assert_int_equal(sample->pss_bytes.state, PW_ABSENT_NOT_MEASURED);
        assert_int_equal(sample->footprint_bytes.state, PW_ABSENT_NOT_MEASURED);
    }
    assert_int_equal(pw_tree_processes_seen(world->tree), 3);
    assert_int_equal(pw_tree_missed_exits(world->tree), 0);
    assert_int_equal(pw_tree_skipped(world->tree), 0);
}

static void zombies_hold_nothing_but_time(void **state)
{
    struct world *world = *state;
    put_process(world, ROOT, (struct fields){.ppid = WARDEN, .rss = 10});
    put_process(world, A, (struct fields){.ppid = ROOT, .state = 'Z', .utime = 9, .rss = 5});
    put_children(world, ROOT, ROOT, "9000003 ");
    open_tree(world);
    const struct pw_tree_sample *sample = look(world);
    assert_int_equal(sample->processes, 1);
    assert_int_equal(sample->threads, 1);
    assert_int_equal(sample->rss_bytes, 10 * sysconf(_SC_PAGESIZE));
    assert_int_equal(sample->cpu_ns, INT64_C(9) * TICK_NS);
    assert_number(sample->direct_children, 1); /* still one, until it is waited for */

    put_process(world, ROOT, (struct fields){.ppid = WARDEN, .state = 'Z'});
    world->sample.processes = 77;
    assert_int_equal(pw_tree_sample(world->tree, 0, &world->sample), PW_TREE_GONE);
    assert_int_equal(world->sample.processes, 77);
}

static void orphans_outlive_the_worker(void **state)
{
    struct world *world = *state;
    put_process(world, ROOT, (struct fields){.ppid = WARDEN, .utime = 2, .rss = 10});
    put_process(world, A, (struct fields){.ppid = ROOT, .utime = 3, .rss = 20});
    put_children(world, ROOT, ROOT, "9000003 ");
    open_tree(world);
    assert_int_equal(look(world)->processes, 2);

    /* The warden waited for the worker and is the parent of A now. */
    end_process(world, ROOT);
    put_process(world, WARDEN, (struct fields){.ppid = SELF, .cutime = 2});
    put_process(world, A, (struct fields){.ppid = WARDEN, .utime = 4, .rss = 20});
    put_children(world, WARDEN, WARDEN, "9000003 ");
    const struct pw_tree_sample *sample = look(world);
    assert_int_equal(sample->processes, 1);
    assert_int_equal(sample->root_rss_bytes, 0);
    assert_int_equal(sample->cpu_ns, INT64_C(6) * TICK_NS);
    assert_int_equal(sample->root_cpu_ns, INT64_C(2) * TICK_NS);
    assert_int_equal(sample->open_fds.state, PW_ABSENT_NO_SAMPLES);
    assert_int_equal(sample->direct_children.state, PW_ABSENT_NO_SAMPLES);
    end_process(world, A);
    put_children(world, WARDEN, WARDEN, "");
    assert_int_equal(pw_tree_sample(world->tree, 0, &world->sample), PW_TREE_GONE);
    assert_int_equal(pw_tree_processes_seen(world->tree), 2);
    assert_int_equal(pw_tree_missed_exits(world->tree), 0);
}

static void first_thread_ended_before_the_others(void **state)
{
    struct world *world = *state;
    put_process(world, ROOT,
                (struct fields){.ppid = WARDEN, .state = 'Z', .threads = 2, .utime = 1});
    put_stat(world, "9000002/task/9000002/stat", ROOT, (struct fields){.state = 'Z'});
    put_stat(world, "9000002/task/9000102/stat", ROOT + 100, (struct fields){.rss = 40});
    put_children(world, ROOT, ROOT + 100, "");
    open_tree(world);
    const struct pw_tree_sample *sample = look(world);
    assert_int_equal(sample->processes, 1);
    assert_int_equal(sample->threads, 2);
    assert_int_equal(sample->root_rss_bytes, 40 * sysconf(_SC_PAGESIZE));
}

static void time_is_neither_lost_nor_counted_twice(void **state)
{
    struct world *world = *state;
    put_process(world, ROOT, (struct fields){.ppid = WARDEN, .utime = 1});
    put_process(world, A, (struct fields){.ppid = ROOT, .utime = 50});
    put_children(world, ROOT, ROOT, "9000003 ");
    open_tree(world);
    assert_int_equal(look(world)->cpu_ns, INT64_C(51) * TICK_NS);
    /* Being waited for: its parent has the time already, the kernel is about to remove it. */
    put_process(world, ROOT, (struct fields){.ppid = WARDEN, .utime = 1, .cutime = 52});
    put_process(world, A, (struct fields){.ppid = ROOT, .state = 'X', .utime = 52});
    assert_int_equal(look(world)->cpu_ns, INT64_C(53) * TICK_NS);
    end_process(world, A);
    put_children(world, ROOT, ROOT, "");
    assert_int_equal(look(world)->cpu_ns, INT64_C(53) * TICK_NS);
    /* Another one, which no sample sees, was waited for. */
    put_process(world, ROOT, (struct fields){.ppid = WARDEN, .utime = 1, .cutime = 60});
    assert_int_equal(look(world)->cpu_ns, INT64_C(61) * TICK_NS);
    assert_int_equal(world->sample.root_cpu_ns, INT64_C(1) * TICK_NS);
}

static void what_clock_ticks_may_hide(void **state)
{
    struct world *world = *state;
    put_process(world, ROOT, (struct fields){.ppid = WARDEN, .utime = 1});
    put_process(world, A, (struct fields){.ppid = ROOT, .stime = 4});
    put_children(world, ROOT, ROOT, "9000003 ");
    open_tree(world);
    const struct pw_tree_sample *sample = look(world);
    assert_int_equal(sample->cpu_ns, INT64_C(5) * TICK_NS);
    assert_int_equal(sample->cpu_most_ns, INT64_C(5) * TICK_NS);
    assert_int_equal(sample->cpu_followed_ns, INT64_C(5) * TICK_NS);
    /* Both have waited, A for what has not filled a tick. */
    put_process(world, ROOT,
                (struct fields){.ppid = WARDEN, .utime = 2, .cutime = 7, .has_waited = true});
    put_process(world, A, (struct fields){.ppid = ROOT, .stime = 4, .has_waited = true});
    sample = look(world);
    assert_int_equal(sample->cpu_ns, INT64_C(13) * TICK_NS);
    assert_int_equal(sample->cpu_most_ns, INT64_C(17) * TICK_NS);
    assert_int_equal(sample->cpu_followed_ns, INT64_C(6) * TICK_NS);
    /* A was waited for, and what of it is in full ticks is less than was read before. */
    put_process(world, ROOT,
                (struct fields){.ppid = WARDEN, .utime = 2, .cutime = 10, .has_waited = true});
    end_process(world, A);
    put_children(world, ROOT, ROOT, "");
    sample = look(world);
    assert_int_equal(sample->cpu_ns, INT64_C(13) * TICK_NS);
    assert_int_equal(sample->cpu_most_ns, INT64_C(14) * TICK_NS);
    assert_int_equal(sample->cpu_followed_ns, INT64_C(6) * TICK_NS);
}

static void clocks_are_those_of_the_real_proc(void **state)
{
    struct world *world = *state;
    char child[32];
    snprintf(child, sizeof child, "%d ", getpid()); /* has a CPU clock, but is not the one here */
    put_children(world, WARDEN, WARDEN, child);
    put_process(world, getpid(), (struct fields){.ppid = WARDEN, .utime = 12345});
    assert_int_equal(pw_proc_open(world->fake.path, &world->proc, NULL), 0);
    assert_int_equal(pw_tree_open(world->proc, WARDEN, getpid(), &world->tree, NULL), 0);
    assert_int_equal(look(world)->cpu_ns, INT64_C(12345) * TICK_NS);
    assert_int_equal(world->sample.root_cpu_ns, INT64_C(12345) * TICK_NS);
}

static void time_of_children_nobody_waits_for(void **state)
{
    struct world *world = *state;
    open_tree(world);
    /* A parent that ignores SIGCHLD: their time is added nowhere. */
    for (pid_t pid = A; pid < A + 3; pid++) {
        char children[32];
        snprintf(children, sizeof children, "%d ", pid);
        put_process(world, ROOT, (struct fields){.ppid = WARDEN, .utime = (unsigned)(pid - A)});
        put_children(world, ROOT, ROOT, children);
        put_process(world, pid, (struct fields){.ppid = ROOT, .utime = 100});
        assert_int_equal(look(world)->cpu_ns, INT64_C(101) * (pid - A + 1) * TICK_NS - TICK_NS);
        end_process(world, pid);
    }
}

static void absurd_times_do_not_overflow(void **state)
{
    struct world *world = *state;
    put_file(world, ROOT, "stat",
             "9000002 (x) R 9000001 1 1 1 1 1 1 1 1 1 9223372036854775807 9223372036854775807 "
             "9223372036854775807 9223372036854775807 20 0 1 0 5 1 1\n");
    open_tree(world);
    assert_true(look(world)->cpu_ns > INT64_MAX / 2);
    assert_true(world->sample.root_cpu_ns > INT64_MAX / 2);
    assert_true(world->sample.cpu_most_ns >= world->sample.cpu_ns);
}

static void gone_before_the_first_look(void **state)
{
    struct world *world = *state;
    put_process(world, ROOT, (struct fields){.ppid = WARDEN});
    put_children(world, ROOT, ROOT, "9000003 9000004 ");
    put_process(world, B, (struct fields){.ppid = ROOT});
    open_tree(world);
    assert_int_equal(look(world)->processes, 2);
    assert_int_equal(pw_tree_missed_exits(world->tree), 1);
    assert_int_equal(pw_tree_processes_seen(world->tree), 2);
}

static void worker_already_gone(void **state)
{
    struct world *world = *state;
    open_tree(world);
    assert_int_equal(pw_tree_sample(world->tree, 0, &world->sample), PW_TREE_GONE);
    assert_int_equal(pw_tree_absence(world->tree), PW_ABSENT_NO_SAMPLES);
    assert_int_equal(pw_tree_processes_seen(world->tree), 0);
}

static void pid_of_a_stranger(void **state)
{
    struct world *world = *state;
    put_process(world, ROOT, (struct fields){.ppid = SELF, .rss = 1}); /* the pid was given again */
    put_children(world, WARDEN, WARDEN, "9000003 ");
    put_process(world, A, (struct fields){.ppid = WARDEN});
    put_children(world, A, A, "9000004 ");
    put_process(world, B, (struct fields){.ppid = SELF});
    open_tree(world);
    const struct pw_tree_sample *sample = look(world);
    assert_int_equal(sample->processes, 1);
    assert_int_equal(sample->root_rss_bytes, 0);
    assert_int_equal(pw_tree_missed_exits(world->tree), 1);
}

static void pid_given_again_without_a_kept_descriptor(void **state)
{
    struct world *world = *state;
    struct pw_tree *hog;
    put_process(world, ROOT, (struct fields){.ppid = WARDEN, .utime = 1});
    put_children(world, ROOT, ROOT, "9000003 ");
    put_process(world, A, (struct fields){.ppid = ROOT, .utime = 10, .start = 500});
    unsigned before = own_fds();
    open_tree_keeping_nothing(world, &hog);
    unsigned full = own_fds();
    assert_int_equal(full - before, FEW_FDS / 2 + 1); /* /proc itself too */
    assert_int_equal(look(world)->processes, 2);
    assert_int_equal(own_fds(), full);

    /* Another process, of the tree too, has the pid: it is found by the next look at the latest. */
    put_process(world, A, (struct fields){.ppid = ROOT, .utime = 2, .start = 600});
    look(world);
    assert_int_equal(look(world)->processes, 2);
    assert_int_equal(pw_tree_processes_seen(world->tree), 3);
    assert_int_equal(look(world)->cpu_ns, INT64_C(13) * TICK_NS);
    pw_tree_close(hog);
    assert_int_equal(own_fds(), before + 1);
    look(world);
    assert_true(own_fds() > before + 1); /* there is room again */
}

static void kept_descriptors_are_close_on_exec(void **state)
{
    struct world *world = *state;
    unsigned before = own_fds();
    put_process(world, ROOT, (struct fields){.ppid = WARDEN});
    put_children(world, ROOT, ROOT, "");
    fake_dir(&world->fake, "9000002/fd");
    open_tree(world);
    look(world);
    /* /proc; stat and children of two processes; the worker's fd folder. */
    assert_int_equal(own_fds(), before + 6);
    for (int fd = 3; fd < 20; fd++) {
        int flags = fcntl(fd, F_GETFD);
        char path[64], target[PATH_MAX] = "";
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        if (flags >= 0 && readlink(path, target, sizeof target - 1) > 0 &&
            strncmp(target, world->fake.path, strlen(world->fake.path)) == 0)
            assert_true(flags & FD_CLOEXEC);
    }
    pw_tree_close(world->tree);
    pw_proc_close(world->proc);
    world->tree = NULL;
    world->proc = NULL;
    assert_int_equal(own_fds(), before);
}

static void scan_where_children_are_not_listed(void **state)
{
    struct world *world = *state;
    char path[PATH_MAX];
    fake_path(&world->fake, path, "self/task");
    assert_int_equal(pw_dir_remove_tree(path, NULL), 0);
    put_process(world, ROOT, (struct fields){.ppid = WARDEN});
    put_process(world, C, (struct fields){.ppid = ROOT});
    put_process(world, B, (struct fields){.ppid = ROOT, .threads = 2});
    put_process(world, A, (struct fields){.ppid = B});
    put_process(world, 9000100, (struct fields){.ppid = SELF}); /* somebody else's */
    put_process(world, 9000101, (struct fields){.ppid = 9000100});
    fake_text(&world->fake, "uptime", "1 2\n");
    open_tree(world);
    assert_string_equal(pw_proc_tree_source(world->proc), "scan");
    assert_int_equal(look(world)->processes, 4);
    assert_number(world->sample.direct_children, 2);
    end_process(world, B);
    put_process(world, A, (struct fields){.ppid = WARDEN});
    assert_int_equal(look(world)->processes, 3);
    assert_number(world->sample.direct_children, 1);
}

static void nothing_mounted(void **state)
{
    struct world *world = *state;
    char path[PATH_MAX];
    struct pw_err err = PW_ERR_INIT;
    fake_path(&world->fake, path, "self");
    assert_int_equal(pw_dir_remove_tree(path, NULL), 0);
    put_process(world, ROOT, (struct fields){.ppid = WARDEN});
    open_tree(world);
    assert_string_equal(pw_proc_tree_source(world->proc), "none");
    assert_int_equal(pw_tree_sample(world->tree, 0, &world->sample), PW_TREE_GONE);
    assert_int_equal(pw_tree_absence(world->tree), PW_ABSENT_NOT_SUPPORTED);
    struct pw_proc *proc = NULL;
    assert_int_equal(pw_proc_open("/no/such/folder", &proc, &err), -1);
    assert_int_equal(err.cls, PW_ERR_SYSTEM);
    assert_null(proc);
}

/* Root may read anything, so these tests are somebody else for a while. */
static void become(uid_t uid)
{
    if (getuid() == 0)
        assert_int_equal(seteuid(uid), 0);
}

static void set_mode(struct world *world, const char *name, mode_t mode)
{
    char path[PATH_MAX];

    fake_path(&world->fake, path, name);
    assert_int_equal(chmod(path, mode), 0);
}

static void not_ours_to_read(void **state)
{
    struct world *world = *state;
    put_process(world, ROOT, (struct fields){.ppid = WARDEN});
    put_children(world, ROOT, ROOT, "");
    put_file(world, ROOT, "smaps_rollup", "Pss: 1 kB\n");
    fake_dir(&world->fake, "9000002/fd");
    set_mode(world, "9000002/fd", 0);
    set_mode(world, "9000002/smaps_rollup", 0);
    become(NOBODY);
    open_tree(world);
    assert_int_equal(pw_tree_sample(world->tree, PW_TREE_WANT_MAPS, &world->sample),
                     PW_TREE_SAMPLED);
    become(0);
    set_mode(world, "9000002/fd", 0755); /* to be removed */
    assert_int_equal(world->sample.open_fds.state, PW_ABSENT_NO_PERMISSION);
    assert_int_equal(world->sample.pss_bytes.state, PW_ABSENT_NO_PERMISSION);
    assert_int_equal(world->sample.footprint_bytes.state, PW_ABSENT_NO_PERMISSION);
}

static void nothing_is_ours_to_read(void **state)
{
    struct world *world = *state;
    put_process(world, ROOT, (struct fields){.ppid = WARDEN});
    set_mode(world, "9000002/stat", 0);
    become(NOBODY);
    open_tree(world);
    assert_int_equal(pw_tree_sample(world->tree, 0, &world->sample), PW_TREE_GONE);
    assert_int_equal(pw_tree_absence(world->tree), PW_ABSENT_NO_PERMISSION);
    pw_tree_close(world->tree);
    pw_proc_close(world->proc);
    become(0);
    set_mode(world, "self/stat", 0);
    become(NOBODY);
    open_tree(world);
    become(0);
    assert_string_equal(pw_proc_tree_source(world->proc), "none");
    assert_int_equal(pw_tree_absence(world->tree), PW_ABSENT_NO_PERMISSION);
}

static void maps(void **state)
{
    struct world *world = *state;
    put_process(world, ROOT, (struct fields){.ppid = WARDEN});
    put_children(world, ROOT, ROOT, "9000003 9000004 ");
    put_process(world, A, (struct fields){.ppid = ROOT});
    put_process(world, B, (struct fields){.ppid = ROOT}); /* ends before it is asked */
    put_file(world, ROOT, "smaps_rollup",
             "Pss: 100 kB\nPss_Anon: 50 kB\nPss_Shmem: 20 kB\nSwapPss: 1 kB\n");
    put_file(world, A, "smaps_rollup",
             "Pss: 10 kB\nPss_Anon: 5 kB\nPss_Shmem: 2 kB\nSwapPss: 0 kB\n");
    open_tree(world);
    assert_int_equal(pw_tree_sample(world->tree, PW_TREE_WANT_MAPS, &world->sample),
                     PW_TREE_SAMPLED);
    assert_number(world->sample.pss_bytes, 110 * 1024);
    assert_number(world->sample.footprint_bytes, 78 * 1024);
    assert_int_equal(world->sample.processes, 3);

    put_file(world, A, "smaps_rollup", "Pss: 10 kB\nSwapPss: 0 kB\n");
    pw_tree_sample(world->tree, PW_TREE_WANT_MAPS, &world->sample);
    assert_number(world->sample.pss_bytes, 110 * 1024);
    assert_int_equal(world->sample.footprint_bytes.state, PW_ABSENT_NOT_SUPPORTED);
    put_file(world, ROOT, "smaps_rollup", "");
    put_file(world, A, "smaps_rollup", "");
    pw_tree_sample(world->tree, PW_TREE_WANT_MAPS, &world->sample);
    assert_int_equal(world->sample.pss_bytes.state, PW_ABSENT_NO_SAMPLES);
}

static void maps_on_an_old_kernel(void **state)
{
    struct world *world = *state;
    char path[PATH_MAX];
    fake_path(&world->fake, path, "self/smaps_rollup");
    assert_int_equal(unlink(path), 0);
    put_process(world, ROOT, (struct fields){.ppid = WARDEN});
    open_tree(world);
    assert_int_equal(pw_tree_sample(world->tree, PW_TREE_WANT_MAPS, &world->sample),
                     PW_TREE_SAMPLED);
    assert_int_equal(world->sample.pss_bytes.state, PW_ABSENT_NOT_SUPPORTED);
    assert_int_equal(world->sample.footprint_bytes.state, PW_ABSENT_NOT_SUPPORTED);
}

static void more_processes_than_the_limit(void **state)
{
    struct world *world = *state;
    enum { OVER = 5 };
    PW_STR_AUTO children = PW_STR_INIT;
    put_process(world, ROOT, (struct fields){.ppid = WARDEN});
    for (pid_t pid = 9500001; pid < 9500001 + PW_LIMIT_TREE_PROCESSES + OVER - 1; pid++)
        pw_str_addf(&children, "%d ", pid);
    put_children(world, ROOT, ROOT, children.text);
    open_tree(world);
    for (int again = 0; again < 2; again++) {
        assert_int_equal(look(world)->processes, 1);
        assert_number(world->sample.direct_children, PW_LIMIT_TREE_PROCESSES + OVER - 1);
        assert_int_equal(pw_tree_skipped(world->tree), OVER);
    }
}

static void circles_and_garbage(void **state)
{
    struct world *world = *state;
    put_process(world, ROOT, (struct fields){.ppid = WARDEN});
    put_children(world, ROOT, ROOT, "9000001 9000002 9000003 9000003 ");
    put_process(world, A, (struct fields){.ppid = ROOT});
    put_children(world, A, A, "9000002 9000004 garbage ");
    put_file(world, B, "stat", "not a stat line\n");
    open_tree(world);
    assert_int_equal(look(world)->processes, 2);
    assert_int_equal(pw_tree_missed_exits(world->tree), 0);
    /* What could not be read is tried again. */
    put_process(world, B, (struct fields){.ppid = A});
    assert_int_equal(look(world)->processes, 3);
}

static void many_processes_come_and_go(void **state)
{
    struct world *world = *state;
    enum { FIRST = 9200000, COUNT = 300 };
    put_process(world, ROOT, (struct fields){.ppid = WARDEN});
    open_tree(world);
    for (int round = 0; round < 4; round++) {
        PW_STR_AUTO children = PW_STR_INIT;
        unsigned alive = 0;
        for (pid_t pid = FIRST; pid < FIRST + COUNT; pid++) {
            bool lives = pid % (round + 1) == 0;
            if (lives) {
                put_process(world, pid, (struct fields){.ppid = ROOT, .utime = 1});
                pw_str_addf(&children, "%d ", pid);
                alive++;
            } else if (round > 0 && pid % round == 0) {
                end_process(world, pid);
            }
        }
        put_children(world, ROOT, ROOT, children.text);
        assert_int_equal(look(world)->processes, alive + 1);
        assert_number(world->sample.direct_children, alive);
    }
    assert_true(pw_tree_processes_seen(world->tree) > COUNT);
}

#define TREE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TREE_TEST(sums_over_the_tree),
        TREE_TEST(zombies_hold_nothing_but_time),
        TREE_TEST(orphans_outlive_the_worker),
        TREE_TEST(first_thread_ended_before_the_others),
        TREE_TEST(time_is_neither_lost_nor_counted_twice),
        TREE_TEST(what_clock_ticks_may_hide),
        TREE_TEST(clocks_are_those_of_the_real_proc),
        TREE_TEST(time_of_children_nobody_waits_for),
        TREE_TEST(absurd_times_do_not_overflow),
        TREE_TEST(gone_before_the_first_look),
        TREE_TEST(worker_already_gone),
        TREE_TEST(pid_of_a_stranger),
        TREE_TEST(pid_given_again_without_a_kept_descriptor),
        TREE_TEST(kept_descriptors_are_close_on_exec),
        TREE_TEST(scan_where_children_are_not_listed),
        TREE_TEST(nothing_mounted),
        TREE_TEST(not_ours_to_read),
        TREE_TEST(nothing_is_ours_to_read),
        TREE_TEST(maps),
        TREE_TEST(maps_on_an_old_kernel),
        TREE_TEST(more_processes_than_the_limit),
        TREE_TEST(circles_and_garbage),
        TREE_TEST(many_processes_come_and_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
