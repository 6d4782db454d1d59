/* Footprints of process trees: on fake /proc folders, whose pids are above what Linux can give, and
 * of a real child; what TARGET means; the summary of steady; and the envelope. */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include "core/err.h"
#include "tests/unit/fake_root.h"
#include "wrapper/cli/command.h"
#include "wrapper/cli/envelope.h"
#include "wrapper/cli/steady.h"
#include "wrapper/cli/target.h"
#include "wrapper/probe/footprint.h"
#include "wrapper/probe/footprint_guest.h"
#include "wrapper/probe/proc_file.h"

enum { ROOT = 9000002, A = 9000003, B = 9000004, SELF = 9000009, TEXT_BYTES = 512 };

struct world {
    struct fake_root fake;
    struct pw_proc *proc;
    struct pw_footprint *footprint;
    struct pw_foot_look look;
};

static void put(struct world *world, pid_t pid, const char *file, const char *text)
{
    char name[128];
    snprintf(name, sizeof name, "%d/%s", pid, file);
    fake_text(&world->fake, name, text);
}

struct fields {
    pid_t ppid;
    char state;
    unsigned flags, utime, stime, cutime, start;
};

static void put_stat(struct world *world, pid_t pid, struct fields fields)
{
    char text[TEXT_BYTES];
    snprintf(text, sizeof text,
             "%d (a) b) %c %d 1 1 0 -1 %u 0 %d 0 0 %u %u %u 0 20 0 1 0 %u 4096 7 0 0\n", pid,
             fields.state ? fields.state : 'S', fields.ppid, fields.flags, fields.cutime > 0,
             fields.utime, fields.stime, fields.cutime, fields.start ? fields.start : 100);
    put(world, pid, "stat", text);
}

static void put_children(struct world *world, pid_t pid, const char *children)
{
    char name[64];
    snprintf(name, sizeof name, "task/%d/children", pid);
    put(world, pid, name, children);
}

/* A process with `kib` of memory, all private and anonymous, but for 4 KiB of a file that four
 * share. */
static void put_process(struct world *world, pid_t pid, unsigned kib, struct fields fields)
{
    char text[TEXT_BYTES];
    put_stat(world, pid, fields);
    put_children(world, pid, "");
    snprintf(text, sizeof text,
             "0-1 ---p 00000000 00:00 0 [rollup]\nRss: %u kB\nPss: %u kB\nPss_Dirty: 9 kB\n"
             "Pss_Anon: %u kB\nPss_File: 1 kB\nPss_Shmem: 0 kB\nShared_Clean: 4 kB\n"
             "Private_Clean: 5 kB\nPrivate_Dirty: %u kB\nSwapPss: 3 kB\n"
             "Shared_Hugetlb: 2048 kB\nPrivate_Hugetlb: 4096 kB\n",
             kib + 4, kib + 1, kib, kib - 5);
    put(world, pid, "smaps_rollup", text);
    snprintf(text, sizeof text, "VmSize:\t 9999 kB\nVmHWM:\t %u kB\nVmRSS:\t %u kB\n", kib * 2,
             kib + 4);
    put(world, pid, "status", text);
    put(world, pid, "fd/0", "");
    put(world, pid, "fd/1", "");
}

static void remove_process(struct world *world, pid_t pid)
{
    char path[PATH_MAX], name[64];
    snprintf(name, sizeof name, "%d", pid);
    fake_path(&world->fake, path, name);
    assert_int_equal(pw_dir_remove_tree(path, NULL), 0);
}

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    fake_root_make(&world->fake);
    fake_text(&world->fake, "self/stat",
              "9000009 (pw) R 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 0 0 1 0 1 4 1\n");
    fake_text(&world->fake, "self/task/9000009/children", "");
    fake_text(&world->fake, "self/smaps_rollup", "");
    put_process(world, ROOT, 1000, (struct fields){.ppid = 1, .utime = 100, .stime = 50});
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    pw_footprint_close(world->footprint);
    pw_proc_close(world->proc);
    fake_root_remove(&world->fake);
    free(world);
    return 0;
}

static enum pw_foot_outcome look(struct world *world)
{
    pid_t root = ROOT;
    if (!world->footprint) {
        assert_int_equal(pw_proc_open(world->fake.path, &world->proc, NULL), 0);
        assert_int_equal(pw_footprint_open(world->proc, &root, 1, &world->footprint, NULL), 0);
    }
    return pw_footprint_look(world->footprint, &world->look);
}

static void sums_of_a_tree(void **state)
{
    struct world *world = *state;
    put_children(world, ROOT, "9000003 ");
    put_process(world, A, 200, (struct fields){.ppid = ROOT, .utime = 7});
    put_children(world, A, "9000004 ");
    put_stat(world, B, (struct fields){.ppid = A, .state = 'Z', .utime = 3});
    assert_int_equal(look(world), PW_FOOT_SEEN);
    const struct pw_value *totals = world->look.totals;
    assert_int_equal(world->look.process_count, 2);
    assert_value(totals[PW_FOOT_RSS], 1208);
    assert_value(totals[PW_FOOT_PSS], 1202);
    assert_value(totals[PW_FOOT_USS], 1200);
    assert_value(totals[PW_FOOT_PSS_ANON], 1200);
    assert_value(totals[PW_FOOT_PSS_FILE], 2);
    assert_value(totals[PW_FOOT_PSS_SHMEM], 0);
    assert_value(totals[PW_FOOT_SWAP_PSS], 6);
    assert_value(totals[PW_FOOT_HUGETLB], 2 * 6144);
    assert_value(totals[PW_FOOT_PEAK_RSS], 2400);
    assert_value(totals[PW_FOOT_THREADS], 2);
    assert_value(totals[PW_FOOT_OPEN_FILES], 4);
    assert_value(totals[PW_FOOT_CPU_USER], 1.07);
    assert_value(totals[PW_FOOT_CPU_SYSTEM], 0.5);
    assert_int_equal(world->look.cpu_ns, 1600000000);
    const struct pw_foot_process *second = pw_footprint_process(world->footprint, 1);
    assert_int_equal(second->pid, A);
    assert_int_equal(second->ppid, ROOT);
    assert_string_equal(second->name, "a) b");
    assert_false(second->is_root);
}

static void put_words(struct world *world, pid_t pid, const char *words, size_t length)
{
    char path[PATH_MAX], name[64];
    snprintf(name, sizeof name, "%d/cmdline", pid);
    put(world, pid, "cmdline", "");
    fake_path(&world->fake, path, name);
    assert_int_equal(pw_file_write(path, words, length, 0600, NULL), 0);
}
#define WORDS(text) text, sizeof text

/* Mappings of a monitor: its program, an arena that is as large and not to be touched, code that it
 * made, the guest, a file. */
static const char smaps[] =
    "1000-8001000 ---p 00000000 00:00 0 \nSize: 131072 kB\nRss: 0 kB\nPss: 0 kB\n"
    "10000000-18000000 rwxp 00000000 00:00 0 \nRss: 70 kB\nPss: 70 kB\n"
    "20000000-28200000 rw-s 00000000 00:01 77    /memfd:ram (deleted)\nSize: 133120 kB\n"
    "Rss: 600 kB\nPss: 300 kB\nShared_Hugetlb: 2 kB\nPrivate_Hugetlb: 4 kB\nVmFlags: rd wr\n"
    "30000000-38000000 rw-p 00000000 08:01 78    /home/disk with\\012blanks\nRss: 9 kB\nPss: 9 kB\n"
    "7000000000-7000800000 rw-p 00000000 00:00 0 [stack]\nRss: 80 kB\nPss: 80 kB\n";

static void memory_of_a_guest(void **state)
{
    struct world *world = *state;
    put_words(world, ROOT, WORDS("/usr/bin/qemu-system-x86_64\0-M\0pc\0-m\000128"));
    put(world, ROOT, "smaps", smaps);
    put_children(world, ROOT, "9000003 ");
    put_process(world, A, 200, (struct fields){.ppid = ROOT});
    assert_int_equal(look(world), PW_FOOT_SEEN);
    const struct pw_value *totals = world->look.totals;
    assert_value(totals[PW_FOOT_GUEST_RSS], 606);
    assert_value(totals[PW_FOOT_GUEST_PSS], 306);
    assert_value(totals[PW_FOOT_OVERHEAD], 1202 + 2 * 6144 - 306);
    assert_int_equal(pw_footprint_process(world->footprint, 0)->guest_kib, 128 << 10);
    assert_int_equal(pw_footprint_process(world->footprint, 1)->guest_kib, 0);
}

static void memory_of_a_guest_that_is_told(void **state)
{
    struct world *world = *state;
    put_words(world, ROOT, WORDS("/opt/firecracker\0--no-api"));
    put(world, ROOT, "smaps", smaps);
    assert_int_equal(look(world), PW_FOOT_SEEN);
    assert_int_equal(world->look.totals[PW_FOOT_OVERHEAD].state, PW_ABSENT_NOT_SUPPORTED);
    pw_footprint_set_guest(world->footprint, ROOT, 129 << 10);
    assert_int_equal(look(world), PW_FOOT_SEEN);
    assert_value(world->look.totals[PW_FOOT_GUEST_RSS], 606);
    pw_footprint_set_guest(world->footprint, ROOT, 131 << 10); /* larger than the mapping */
    assert_int_equal(look(world), PW_FOOT_SEEN);
    assert_int_equal(world->look.totals[PW_FOOT_GUEST_RSS].state, PW_ABSENT_NO_SAMPLES);
    assert_int_equal(world->look.totals[PW_FOOT_OVERHEAD].state, PW_ABSENT_NO_SAMPLES);
}

static void a_guest_that_cannot_be_told_from_another(void **state)
{
    struct world *world = *state;
    put_words(world, ROOT, WORDS("qemu-kvm"));
    put(world, ROOT, "smaps",
        "10000000-18000000 rw-p 00000000 00:00 0 \nRss: 7 kB\nPss: 7 kB\n"
        "20000000-28000000 rw-p 00000000 00:00 0 \nRss: 8 kB\nPss: 8 kB\n");
    assert_int_equal(look(world), PW_FOOT_SEEN);
    assert_int_equal(world->look.totals[PW_FOOT_GUEST_PSS].state, PW_ABSENT_NO_SAMPLES);
    /* A third one that fits better. */
    put(world, ROOT, "smaps",
        "10000000-18200000 rw-p 00000000 00:00 0 \nRss: 7 kB\nPss: 7 kB\n"
        "20000000-28200000 rw-p 00000000 00:00 0 \nRss: 8 kB\nPss: 8 kB\n"
        "30000000-38000000 rw-p 00000000 00:00 0 \nRss: 9 kB\nPss: 9 kB\n");
    assert_int_equal(look(world), PW_FOOT_SEEN);
    assert_value(world->look.totals[PW_FOOT_GUEST_PSS], 9);
    put(world, ROOT, "smaps", "");
    assert_int_equal(look(world), PW_FOOT_SEEN);
    assert_int_equal(world->look.totals[PW_FOOT_GUEST_PSS].state, PW_ABSENT_NO_SAMPLES);
}

static void memory_in_a_command_line(void **state)
{
    (void)state;
    static const struct {
        const char *words;
        size_t length;
        uint64_t kib;
    } rows[] = {
        {WORDS("qemu-system-x86_64\0-m\000512"), 512 << 10},
        {WORDS("qemu-system-aarch64\0-m\0002G,slots=2,maxmem=8G"), 2 << 20},
        {WORDS("/usr/bin/qemu-system-x86_64\0-m\0slots=2,size=1024M"), 1024 << 10},
        {WORDS("qemu-system-x86_64\0--m\0size=4096k"), 4096},
        {WORDS("qemu-system-x86_64\0-S"), 128 << 10},
        {WORDS("qemu-system-x86_64\0-m"), 128 << 10},
        {WORDS("qemu-system-x86_64\0-m\0lots"), 0},
        {WORDS("qemu-system-x86_64\0-m\0001Q"), 0},
        {WORDS("qemu-system-x86_64\0-m\00099999999999999999999"), 0},
        {WORDS("qemu-img\0-m\000512"), 0},
        {WORDS(""), 0},
        {"qemu-system-x86_64", 18, 0}, /* cut off */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(pw_foot_guest_parse(rows[i].words, rows[i].length), rows[i].kib);
    }
}

/* smaps_rollup is not there (refused or before Linux 4.14): what status has stays, the rest is
 * absent, of the whole tree too. */
static void unknown_is_not_zero(void **state)
{
    struct world *world = *state;
    char path[PATH_MAX];
    put_children(world, ROOT, "9000003 ");
    put_process(world, A, 200, (struct fields){.ppid = ROOT});
    fake_path(&world->fake, path, "9000003/smaps_rollup");
    assert_int_equal(unlink(path), 0);
    put(world, A, "status", "VmSize: 1 kB\nVmRSS: 55 kB\nHugetlbPages: 2048 kB\n");
    assert_int_equal(look(world), PW_FOOT_SEEN);
    assert_value(world->look.totals[PW_FOOT_RSS], 1004 + 55);
    assert_value(world->look.totals[PW_FOOT_HUGETLB], 6144 + 2048);
    assert_absent(world->look.totals[PW_FOOT_PSS], PW_ABSENT_NO_SAMPLES);
    assert_absent(world->look.totals[PW_FOOT_PEAK_RSS], PW_ABSENT_NOT_SUPPORTED);
    assert_value(pw_footprint_process(world->footprint, 0)->values[PW_FOOT_PSS], 1001);
}

static void an_old_kernel(void **state)
{
    struct world *world = *state;
    put(world, ROOT, "smaps_rollup",
        "a [rollup]\nRss: 8 kB\nPss: 6 kB\nPrivate_Clean: 1 kB\nPrivate_Dirty: 2 kB\n"
        "SwapPss: 0 kB\nShared_Hugetlb: 0 kB\nPrivate_Hugetlb: 0 kB\n");
    assert_int_equal(look(world), PW_FOOT_SEEN);
    assert_value(world->look.totals[PW_FOOT_PSS], 6);
    assert_value(world->look.totals[PW_FOOT_USS], 3);
    assert_absent(world->look.totals[PW_FOOT_PSS_ANON], PW_ABSENT_NOT_SUPPORTED);
}

static void who_is_gone(void **state)
{
    struct world *world = *state;
    put_children(world, ROOT, "9000003 ");
    put_process(world, A, 200, (struct fields){.ppid = ROOT, .utime = 40});
    put_children(world, A, "9000004 ");
    put_process(world, B, 300, (struct fields){.ppid = A, .utime = 60});
    assert_int_equal(look(world), PW_FOOT_SEEN);
    assert_int_equal(world->look.process_count, 3);
    assert_int_equal(world->look.cpu_ns, 2500000000);

    /* The parent ends; the child has another one, and is still of the tree. */
    remove_process(world, A);
    put_children(world, ROOT, "");
    put_process(world, B, 300, (struct fields){.ppid = 1, .utime = 65});
    assert_int_equal(look(world), PW_FOOT_SEEN);
    assert_int_equal(world->look.process_count, 2);
    assert_value(world->look.totals[PW_FOOT_RSS], 1308);
    assert_int_equal(world->look.cpu_ns, 2550000000);

    /* Its pid is given again. */
    put_process(world, B, 900, (struct fields){.ppid = 1, .start = 999});
    assert_int_equal(look(world), PW_FOOT_SEEN);
    assert_int_equal(world->look.process_count, 1);
    assert_int_equal(world->look.cpu_ns, 2550000000);

    put_process(world, ROOT, 900, (struct fields){.ppid = 1, .start = 999});
    assert_int_equal(look(world), PW_FOOT_GONE);
    assert_int_equal(look(world), PW_FOOT_GONE);
}

static void no_tree_at_all(void **state)
{
    struct world *world = *state;
    put_stat(world, ROOT, (struct fields){.ppid = 1, .state = 'Z'});
    assert_int_equal(look(world), PW_FOOT_GONE);
    put(world, ROOT, "stat", "9000002 (x");
    assert_int_equal(look(world), PW_FOOT_GONE);
    put_stat(world, ROOT, (struct fields){.ppid = 1});
    put(world, ROOT, "status", "Name: ending\n");
    assert_int_equal(look(world), PW_FOOT_GONE);
    put_stat(world, ROOT, (struct fields){.ppid = 2, .flags = 0x00208040});
    assert_int_equal(look(world), PW_FOOT_SEEN);
    assert_true(pw_footprint_process(world->footprint, 0)->is_kernel_thread);
}

/* A real one: memory that a child touches is in it, and so is the CPU time that it uses. */
static void a_real_tree(void **state)
{
    (void)state;
    enum { HELD_KIB = 8192, BYTES = HELD_KIB * 1024 };
    int ready[2], leash[2];
    char byte = 0;
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    assert_int_equal(pipe2(leash, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(leash[1]);
        char *block = malloc(BYTES);
        if (!block) {
            _exit(1);
        }
        memset(block, 1, BYTES);
        /* Used, so that it is not left out. */
        ssize_t told = write(ready[1], block, 1);
        _exit(told != 1 || read(leash[0], &byte, 1) != 0);
    }
    assert_true(pid > 0);
    close(leash[0]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    struct pw_proc *proc = NULL;
    struct pw_footprint *footprint = NULL;
    struct pw_foot_look seen;
    assert_int_equal(pw_proc_open("/proc", &proc, NULL), 0);
    assert_int_equal(pw_footprint_open(proc, &pid, 1, &footprint, NULL), 0);
    assert_int_equal(pw_footprint_look(footprint, &seen), PW_FOOT_SEEN);
    assert_int_equal(seen.process_count, 1);
    assert_true(seen.totals[PW_FOOT_USS].number >= HELD_KIB);
    assert_true(seen.totals[PW_FOOT_RSS].number >= seen.totals[PW_FOOT_PSS].number);
    assert_true(seen.totals[PW_FOOT_OPEN_FILES].number >= 4);
    assert_true(seen.cpu_ns > 0);
    close(leash[1]);
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    assert_int_equal(pw_footprint_look(footprint, &seen), PW_FOOT_GONE);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(pw_footprint_look(footprint, &seen), PW_FOOT_GONE);
    pw_footprint_close(footprint);
    pw_proc_close(proc);
    close(ready[0]);
    close(ready[1]);
}

/* TARGET */

static void put_command(struct world *world, pid_t pid, pid_t parent, const char *words)
{
    char name[64];
    put_stat(world, pid, (struct fields){.ppid = parent});
    snprintf(name, sizeof name, "%d/cmdline", pid);
    fake_bytes(&world->fake, name, words, strlen(words) + 1);
}

static int resolve(struct world *world, const char *match, bool all, struct pw_target *ret_target,
                   struct pw_err *err)
{
    *err = PW_ERR_INIT;
    return pw_target_resolve(NULL, match, all, world->fake.path, ret_target, err);
}

static void matching(void **state)
{
    struct world *world = *state;
    struct pw_err err;
    struct pw_target target = {0};
    fake_bytes(&world->fake, "9000002/cmdline",
               "server\0--port\0"
               "80",
               17);
    put_command(world, A, ROOT, "server worker");
    put_command(world, SELF, 9000008, "perfwrap --match server");
    put_command(world, 9000008, 1, "sh -c perfwrap --match server");
    put_command(world, 9000010, 2, ""); /* as a kernel thread */
    assert_int_equal(resolve(world, "^server --port 80$", false, &target, &err), 0);
    assert_int_equal(target.count, 1);
    assert_int_equal(target.pids[0], ROOT);
    pw_target_done(&target);
    /* The worker is below the server: one tree. */
    assert_int_equal(resolve(world, "server", false, &target, &err), 0);
    assert_int_equal(target.count, 1);
    pw_target_done(&target);
    assert_int_equal(resolve(world, "worker$", false, &target, &err), 0);
    assert_int_equal(target.pids[0], A);
    pw_target_done(&target);
    for (const char *const *none = (const char *const[]){"perfwrap", "nosuch", "^$", NULL}; *none;
         none++) {
        assert_int_equal(resolve(world, *none, true, &target, &err), -1);
        assert_int_equal(err.sys, ESRCH);
    }
    assert_int_equal(resolve(world, "(", false, &target, &err), -1);
    assert_int_equal(err.cls, PW_ERR_USAGE);
}

static void several(void **state)
{
    struct world *world = *state;
    struct pw_err err;
    struct pw_target target = {0};
    for (pid_t pid = 9000100; pid < 9000112; pid++) {
        put_command(world, pid, 1, "twin\x1b[2J");
    }
    assert_int_equal(resolve(world, "twin", false, &target, &err), -1);
    assert_int_equal(err.sys, ENOTUNIQ);
    assert_contains(err.message, "12 processes match: 9000100 (twin?[2J), 9000101");
    assert_contains(err.message, "9000109");
    assert_null(strstr(err.message, "9000110"));
    assert_contains(err.remedy, "--all");
    assert_int_equal(resolve(world, "twin", true, &target, &err), 0);
    assert_int_equal(target.count, 12);
    pw_target_done(&target);
}

/* Links read at different times may form a circle; nothing runs forever. */
static void a_circle(void **state)
{
    struct world *world = *state;
    struct pw_err err;
    struct pw_target target = {0};
    put_command(world, A, B, "loop a");
    put_command(world, B, A, "loop b");
    put_command(world, SELF, SELF, "self");
    assert_int_equal(resolve(world, "loop a", false, &target, &err), 0);
    assert_int_equal(target.pids[0], A);
    pw_target_done(&target);
    assert_int_equal(resolve(world, "loop", true, &target, &err), -1);
}

static void words_for_targets(void **state)
{
    (void)state;
    struct pw_err err = PW_ERR_INIT;
    struct pw_target target = {0};
    static const char *const bad[] = {"x", "", "-1", "0", "1x", "99999999999999999999", "+1", " 1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(pw_target_resolve(bad[i], NULL, false, "/proc", &target, &err), -1);
        assert_int_equal(err.cls, PW_ERR_USAGE);
    }
    assert_int_equal(pw_target_resolve("vm1", NULL, false, "/proc", &target, &err), -1);
    assert_contains(err.remedy, "--match");
    assert_int_equal(pw_target_resolve(NULL, NULL, false, "/proc", &target, &err), -1);
    assert_int_equal(pw_target_resolve("1", "x", false, "/proc", &target, &err), -1);
    assert_int_equal(pw_target_resolve("1", NULL, true, "/proc", &target, &err), -1);
    assert_int_equal(pw_target_resolve("1", NULL, false, "/proc", &target, &err), 0);
    assert_int_equal(target.pids[0], 1);
    pw_target_done(&target);
}

/* steady */

static void counts_of_times(void **state)
{
    (void)state;
    size_t count;
    struct pw_err err = PW_ERR_INIT;
    assert_int_equal(pw_steady_count(10, 1, &count, &err), 0);
    assert_int_equal(count, 11);
    assert_int_equal(pw_steady_count(0.3, 0.1, &count, &err), 0);
    assert_int_equal(count, 4);
    assert_int_equal(pw_steady_count(1, 1, &count, &err), 0);
    assert_int_equal(count, 2);
    assert_int_equal(pw_steady_count(1, 0.7, &count, &err), 0);
    assert_int_equal(count, 2);
    assert_int_equal(pw_steady_count(1, 1.1, &count, &err), -1);
    assert_string_equal(err.message, "steady interval must be less than or equal to duration");
    assert_int_equal(pw_steady_count(31536000, 0.01, &count, &err), -1);
    assert_contains(err.message, "too many");
}

static void fill(struct pw_steady *steady, const double *rss, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct pw_steady_sample *sample = &steady->samples[i];
        *sample =
            (struct pw_steady_sample){.offset_ns = (int64_t)i * 500000000, .process_count = 1};
        sample->totals[PW_FOOT_RSS] = pw_value_of(rss[i]);
        sample->totals[PW_FOOT_PSS] = pw_value_absent(PW_ABSENT_NO_PERMISSION);
        sample->cpu_percent = i > 0 ? pw_value_of(50) : pw_value_absent(PW_ABSENT_NOT_MEASURED);
    }
    steady->count = count;
}

static void trends(void **state)
{
    (void)state;
    struct pw_steady_sample samples[8];
    struct pw_steady steady = {.samples = samples};
    struct pw_steady_series series[PW_STEADY_SERIES_COUNT];
    fill(&steady, (const double[]){10, 20, 30, 41, 50, 60}, 6);
    assert_int_equal(pw_steady_summarise(&steady, series, NULL), 0);
    assert_string_equal(series[0].key, "rss_kib");
    assert_value(series[0].stats.min, 10);
    assert_value(series[0].stats.max, 60);
    assert_near(series[0].per_minute.slope, 1200);
    assert_true(series[0].per_minute.slope_ci.low > 0);
    assert_string_equal(pw_steady_direction(&series[0]), "rising");
    assert_int_equal(series[1].stats.n, 0);
    assert_int_equal(series[1].absence, PW_ABSENT_NO_PERMISSION);
    assert_string_equal(pw_steady_direction(&series[1]), "unknown");
    assert_string_equal(series[3].key, "cpu_percent");
    assert_int_equal(series[3].stats.n, 5);
    assert_true(series[3].has_trend);
    for (size_t n = 1; n <= 8; n++) {
        fill(&steady, (const double[]){7, 7, 7, 7, 7, 7, 7, 7}, n);
        assert_int_equal(pw_steady_summarise(&steady, series, NULL), 0);
        assert_string_equal(pw_steady_direction(&series[0]), n < 5 ? "unknown" : "none");
    }
    fill(&steady, (const double[]){60, 50, 40, 30, 20}, 5);
    assert_int_equal(pw_steady_summarise(&steady, series, NULL), 0);
    assert_string_equal(pw_steady_direction(&series[0]), "falling");
    fill(&steady, NULL, 0);
    assert_int_equal(pw_steady_summarise(&steady, series, NULL), 0);
    assert_int_equal(series[0].absence, PW_ABSENT_NO_SAMPLES);
}

/* The envelope */

static void kinds_of_failures(void **state)
{
    (void)state;
    static const struct {
        enum pw_err_class cls;
        int sys;
        const char *kind;
    } rows[] = {
        {PW_ERR_INPUT, ESRCH, "not_found"},       {PW_ERR_INPUT, ENOTUNIQ, "conflict"},
        {PW_ERR_SYSTEM, EPERM, "policy_denied"},  {PW_ERR_SYSTEM, EMFILE, "resource_exhausted"},
        {PW_ERR_MEMORY, 0, "resource_exhausted"}, {PW_ERR_USAGE, 0, "permanent"},
        {PW_ERR_SYSTEM, EINTR, "transient"},      {PW_ERR_INPUT, EOPNOTSUPP, "unsupported"},
        {PW_ERR_SYSTEM, EIO, "permanent"},        {PW_ERR_EXEC_MISSING, 0, "not_found"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct pw_err err = {.cls = rows[i].cls, .sys = rows[i].sys};
        assert_string_equal(pw_envelope_kind(&err), rows[i].kind);
    }
}

static int words(int (*count)(int, char *const *), const char *line)
{
    char **argv = NULL;
    int argc = 0;
    assert_int_equal(pw_split_words(line, &argv, NULL), 0);
    while (argv[argc]) {
        argc++;
    }
    int result = count(argc, argv);
    free(argv);
    return result;
}

static int asked(int argc, char *const *argv)
{
    return pw_envelope_asked_for(argc, argv);
}

static void words_of_the_mode(void **state)
{
    (void)state;
    assert_int_equal(words(pw_envelope_words_before, "--json footprint 1"), 1);
    assert_int_equal(words(pw_envelope_words_before, "--mode ax --json steady 1"), 3);
    assert_int_equal(words(pw_envelope_words_before, "--mode=ax steady"), 1);
    assert_int_equal(words(pw_envelope_words_before, "--json -- footprint"), 0);
    assert_int_equal(words(pw_envelope_words_before, "--json -n 3 footprint"), 0);
    assert_int_equal(words(pw_envelope_words_before, "--json"), 0);
    assert_int_equal(words(pw_envelope_words_before, "--mode"), 0);
    assert_int_equal(words(pw_envelope_words_before, "footprint"), 0);
    assert_true(words(asked, "1 --mode ax"));
    assert_true(words(asked, "--mode=ax"));
    assert_false(words(asked, "--mode ax --mode plain"));
    assert_false(words(asked, "--mode"));
    assert_false(words(asked, "-- --mode ax"));
    assert_false(words(asked, "--json"));
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(sums_of_a_tree),
        IN_WORLD(memory_of_a_guest),
        IN_WORLD(memory_of_a_guest_that_is_told),
        IN_WORLD(a_guest_that_cannot_be_told_from_another),
        cmocka_unit_test(memory_in_a_command_line),
        IN_WORLD(unknown_is_not_zero),
        IN_WORLD(an_old_kernel),
        IN_WORLD(who_is_gone),
        IN_WORLD(no_tree_at_all),
        cmocka_unit_test(a_real_tree),
        IN_WORLD(matching),
        IN_WORLD(several),
        IN_WORLD(a_circle),
        cmocka_unit_test(words_for_targets),
        cmocka_unit_test(counts_of_times),
        cmocka_unit_test(trends),
        cmocka_unit_test(kinds_of_failures),
        cmocka_unit_test(words_of_the_mode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
