/*
 * wrapper/probe/tree on real processes. A family is what perfwrap has for a worker: a warden
 * (subreaper), and its child, the worker. All of them live until the test lets go of the leash, a
 * pipe that they read; what they have done they report through another pipe, so nothing waits for
 * time to pass.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include "core/file.h"
#include "wrapper/probe/proc.h"
#include "wrapper/probe/tree.h"

enum { NOBODY = 65534 };
static const int64_t tick_ns = 10000000, burn_ns = 60000000;
static const int64_t after_report_ns = 5000000; /* CPU time for reporting and going to sleep */

struct family {
    pid_t warden, root;
    int leash, orders, reports; /* the test's ends */
    struct pw_proc *proc;
    struct pw_tree *tree;
    struct pw_tree_sample sample;
};

/* In the family */

static int leash_end, report_end;

static void report(int64_t what)
{
    if (write(report_end, &what, sizeof what) != sizeof what)
        _exit(9);
}

static void stay(void)
{
    char byte;

    _exit(read(leash_end, &byte, 1) != 0);
}

static void *stay_in_thread(void *unused)
{
    (void)unused;
    stay();
    return NULL;
}

/* Waits for one child per order; when there are no more orders, ends. */
static void be_warden(int orders)
{
    char order;

    while (read(orders, &order, 1) == 1) {
        if (order == 'w')
            report(waitpid(-1, NULL, 0));
    }
    _exit(0);
}

/* In the test */

static int64_t wait_report(struct family *family)
{
    int64_t what = -1;

    assert_int_equal(read(family->reports, &what, sizeof what), sizeof what);
    return what;
}

static void start(struct family *family, void (*worker)(void))
{
    int leash[2], orders[2], reports[2];

    assert_int_equal(pipe2(leash, O_CLOEXEC) | pipe2(orders, O_CLOEXEC) | pipe2(reports, O_CLOEXEC),
                     0);
    family->warden = fork();
    assert_true(family->warden >= 0);
    if (family->warden == 0) {
        close(leash[1]);
        close(orders[1]);
        close(reports[0]);
        leash_end = leash[0];
        report_end = reports[1];
        prctl(PR_SET_CHILD_SUBREAPER, 1);
        if (fork() == 0) {
            close(orders[0]);
            report(getpid());
            worker();
            stay();
        }
        be_warden(orders[0]);
    }
    close(leash[0]);
    close(orders[0]);
    close(reports[1]);
    family->leash = leash[1];
    family->orders = orders[1];
    family->reports = reports[0];
    family->root = (pid_t)wait_report(family);
    assert_int_equal(pw_proc_open("/proc", &family->proc, NULL), 0);
    assert_int_equal(pw_tree_open(family->proc, family->warden, family->root, &family->tree, NULL),
                     0);
}

static void warden_waits(struct family *family)
{
    assert_int_equal(write(family->orders, "w", 1), 1);
    assert_true(wait_report(family) > 0);
}

static void end(struct family *family)
{
    int status = -1;

    close(family->leash);
    close(family->orders);
    assert_int_equal(waitpid(family->warden, &status, 0), family->warden);
    assert_int_equal(status, 0);
    close(family->reports);
    pw_tree_close(family->tree);
    pw_proc_close(family->proc);
}

static struct pw_tree_sample *look(struct family *family, unsigned want)
{
    assert_int_equal(pw_tree_sample(family->tree, want, &family->sample), PW_TREE_SAMPLED);
    return &family->sample;
}

/* kill(2) does not say when it has worked; a pidfd does, also for a process that is not our child.
 */
static void kill_and_wait(pid_t pid)
{
    PW_FD_AUTO pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    struct pollfd ended = {.fd = pidfd, .events = POLLIN};

    assert_true(pidfd >= 0);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(poll(&ended, 1, -1), 1);
}

/* ThreadSanitizer has a thread of its own in most processes. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define PW_TSAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__) || defined(PW_TSAN)
static const bool has_runtime_threads = true;
#else
static const bool has_runtime_threads = false;
#endif

static void assert_threads(const struct pw_tree_sample *sample, unsigned threads)
{
    if (has_runtime_threads)
        assert_true(sample->threads >= threads);
    else
        assert_int_equal(sample->threads, threads);
}

/* A worker with children, grandchildren and a daemon */

enum { CHILDREN = 20 };

static void fork_families(void)
{
    for (int i = 0; i < CHILDREN; i++) {
        if (fork() != 0)
            continue;
        if (fork() == 0)
            report(0);
        stay();
    }
    if (fork() == 0) { /* a daemon: its parent ends, it has a session of its own */
        setsid();
        if (fork() != 0)
            _exit(0);
        report(0);
        stay();
    }
    wait(NULL);
    report(1);
}

static void finds_all_descendants(void **state)
{
    (void)state;
    struct family family;
    start(&family, fork_families);
    for (int i = 0; i < CHILDREN + 2; i++)
        wait_report(&family);
    const struct pw_tree_sample *sample = look(&family, PW_TREE_WANT_MAPS);
    assert_string_equal(pw_proc_tree_source(family.proc), "children");
    assert_int_equal(sample->processes, 2 * CHILDREN + 2);
    assert_threads(sample, 2 * CHILDREN + 2);
    assert_int_equal(sample->direct_children.number, CHILDREN);
    assert_int_equal(sample->pss_bytes.state, PW_PRESENT);
    assert_int_equal(sample->footprint_bytes.state, PW_PRESENT);
    assert_true(sample->footprint_bytes.number > 0);
    assert_true(sample->footprint_bytes.number <= sample->pss_bytes.number);
    assert_true(sample->pss_bytes.number < (double)sample->rss_bytes);

    /* The worker ends, and the warden takes its children over and waits for it. */
    assert_int_equal(kill(family.root, SIGKILL), 0);
    warden_waits(&family);
    sample = look(&family, 0);
    assert_int_equal(sample->processes, 2 * CHILDREN + 1);
    assert_int_equal(sample->root_rss_bytes, 0);
    assert_int_equal(sample->open_fds.state, PW_ABSENT_NO_SAMPLES);
    assert_int_equal(pw_tree_processes_seen(family.tree), 2 * CHILDREN + 2);
    end(&family);
}

static void fork_here_and_report(void)
{
    if (fork() == 0) {
        report(0);
        stay();
    }
}

static void *fork_in_thread(void *unused)
{
    fork_here_and_report();
    return stay_in_thread(unused);
}

static void fork_from_threads(void)
{
    pthread_t thread;

    for (int i = 0; i < 3; i++)
        pthread_create(&thread, NULL, fork_in_thread, NULL);
    fork_here_and_report();
}

static void finds_children_of_threads(void **state)
{
    (void)state;
    struct family family;
    start(&family, fork_from_threads);
    for (int i = 0; i < 4; i++)
        wait_report(&family);
    const struct pw_tree_sample *sample = look(&family, 0);
    assert_int_equal(sample->processes, 5);
    assert_threads(sample, 4 + 4);
    assert_int_equal(sample->direct_children.number, 4);
    end(&family);
}

enum { HELD_BYTES = 32 << 20 };

static void *report_in_thread(void *leader)
{
    pthread_join(*(pthread_t *)leader, NULL);
    report(0);
    return stay_in_thread(NULL);
}

static void leave_a_thread_alone(void)
{
    static pthread_t leader, thread;
    char *held = mmap(NULL, HELD_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    memset(held, 1, HELD_BYTES);
    leader = pthread_self();
    pthread_create(&thread, NULL, report_in_thread, &leader);
    pthread_exit(NULL);
}

static void sees_memory_behind_an_ended_first_thread(void **state)
{
    (void)state;
    struct family family;
    if (has_runtime_threads)
        skip(); /* such a runtime does not outlive the first thread */
    start(&family, leave_a_thread_alone);
    wait_report(&family);
    const struct pw_tree_sample *sample = look(&family, 0);
    assert_int_equal(sample->processes, 1);
    assert_true(sample->root_rss_bytes >= HELD_BYTES);
    end(&family);
}

enum { OPEN_FILES = 100 };

static void open_files(void)
{
    report((int64_t)syscall(SYS_close_range, 100, ~0U, 0));
    for (int fd = 100; fd < 100 + OPEN_FILES; fd++)
        dup2(report_end, fd);
    report(0);
}

static void counts_open_files(void **state)
{
    (void)state;
    struct family family;
    char path[64];
    int entries = -2; /* . and .. */
    start(&family, open_files);
    assert_int_equal(wait_report(&family), 0);
    wait_report(&family);
    struct pw_value count = look(&family, 0)->open_fds;
    snprintf(path, sizeof path, "/proc/%d/fd", family.root);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    while (readdir(dir) != NULL)
        entries++;
    closedir(dir);
    assert_int_equal(count.state, PW_PRESENT);
    assert_int_equal(count.number, entries);
    assert_true(entries >= OPEN_FILES);
    end(&family);
}

/* CPU time */

static int64_t own_cpu_ns(void)
{
    struct timespec used;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return used.tv_sec * INT64_C(1000000000) + used.tv_nsec;
}

static void burn(int64_t ns)
{
    int64_t until = own_cpu_ns() + ns;

    while (own_cpu_ns() < until)
        ;
}

/* One child that was waited for, one that waits to be, one that lives, and the worker itself. */
static void burn_in_all_ways(void)
{
    siginfo_t info;

    burn(burn_ns);
    if (fork() == 0) {
        burn(burn_ns);
        _exit(0);
    }
    wait(NULL);
    pid_t zombie = fork();
    if (zombie == 0) {
        burn(burn_ns);
        _exit(0);
    }
    waitid(P_PID, (id_t)zombie, &info, WEXITED | WNOWAIT);
    if (fork() == 0) {
        burn(burn_ns);
        report(0);
        stay();
    }
    report(own_cpu_ns());
}

static void counts_time_of_all(void **state)
{
    (void)state;
    struct family family;
    start(&family, burn_in_all_ways);
    int64_t root_ns = wait_report(&family) + wait_report(&family); /* one is the worker's */
    const struct pw_tree_sample *sample = look(&family, 0);
    assert_in_range(sample->root_cpu_ns, root_ns, root_ns + after_report_ns);
    /* Of the child that was waited for, what does not fill a tick is missing in user and in system
     * time; some time goes to forking. */
    assert_in_range(sample->cpu_ns, root_ns + 3 * burn_ns - 2 * tick_ns, 4 * burn_ns + 4 * tick_ns);
    assert_true(sample->cpu_most_ns >= root_ns + 3 * burn_ns);
    assert_in_range(sample->cpu_followed_ns, root_ns + 2 * burn_ns, sample->cpu_ns);
    int64_t before = sample->cpu_ns;
    assert_int_equal(kill(family.root, SIGKILL), 0);
    warden_waits(&family);
    sample = look(&family, 0);
    assert_in_range(sample->cpu_ns, before, before + 3 * tick_ns);
    end(&family);
}

static void *burn_in_thread(void *unused)
{
    burn(burn_ns);
    return unused;
}

static void burn_in_a_thread_that_ends(void)
{
    pthread_t thread;

    pthread_create(&thread, NULL, burn_in_thread, NULL);
    pthread_join(thread, NULL);
    report(own_cpu_ns());
}

static void counts_time_of_threads_that_ended(void **state)
{
    (void)state;
    struct family family;
    start(&family, burn_in_a_thread_that_ends);
    int64_t root_ns = wait_report(&family);
    assert_true(root_ns >= burn_ns);
    const struct pw_tree_sample *sample = look(&family, 0);
    assert_in_range(sample->root_cpu_ns, root_ns, root_ns + after_report_ns);
    assert_int_equal(sample->cpu_ns, sample->root_cpu_ns);
    end(&family);
}

/* In a pid namespace of its own, where the pids in the /proc of the machine are others than ours: 0
 * if it says so, 77 if that cannot be tried. */
static int look_from_another_namespace(void)
{
    struct pw_proc *proc;
    int status;

    if (unshare(CLONE_NEWPID) != 0)
        return 77;
    pid_t first = fork();
    if (first == 0)
        _exit(pw_proc_open("/proc", &proc, NULL) != 0 || proc->has_clocks);
    return waitpid(first, &status, 0) == first && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static void clocks_are_of_one_namespace(void **state)
{
    (void)state;
    struct pw_proc *proc;
    int status;
    assert_int_equal(pw_proc_open("/proc", &proc, NULL), 0);
    assert_true(proc->has_clocks);
    pw_proc_close(proc);
    pid_t looker = fork();
    if (looker == 0)
        _exit(look_from_another_namespace());
    assert_int_equal(waitpid(looker, &status, 0), looker);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void ignore_children(void)
{
    signal(SIGCHLD, SIG_IGN);
    for (int i = 0; i < 2; i++) {
        pid_t child = fork();
        if (child == 0) {
            burn(burn_ns);
            report(getpid());
            stay();
        }
    }
}

static void keeps_time_of_children_nobody_waits_for(void **state)
{
    (void)state;
    struct family family;
    start(&family, ignore_children);
    pid_t first = (pid_t)wait_report(&family), second = (pid_t)wait_report(&family);
    int64_t before = look(&family, 0)->cpu_ns;
    assert_true(before >= 2 * burn_ns);
    kill_and_wait(first);
    kill_and_wait(second);
    const struct pw_tree_sample *sample = look(&family, 0);
    assert_int_equal(sample->processes, 1);
    assert_in_range(sample->cpu_ns, before, before + 3 * tick_ns);
    end(&family);
}

/* Forks and waits as fast as it can until it is killed; never more than one child at a time. */
static void fork_and_wait_for_ever(void)
{
    report(0);
    for (;;) {
        pid_t child = fork();
        if (child == 0)
            _exit(0);
        if (child > 0)
            waitpid(child, NULL, 0);
    }
}

static void survives_a_storm_of_short_processes(void **state)
{
    (void)state;
    struct family family;
    int64_t cpu_ns = 0;
    start(&family, fork_and_wait_for_ever);
    wait_report(&family);
    /* Until some were caught alive, however fast they are. */
    for (long tries = 0; pw_tree_processes_seen(family.tree) < 20; tries++) {
        const struct pw_tree_sample *sample = look(&family, PW_TREE_WANT_MAPS);
        assert_in_range(sample->processes, 1, 2);
        assert_in_range(sample->direct_children.number, 0, 1);
        assert_true(sample->cpu_ns >= cpu_ns);
        cpu_ns = sample->cpu_ns;
        assert_true(tries < 1000000);
    }
    kill(family.root, SIGKILL);
    warden_waits(&family);
    end(&family);
}

enum { SHELL_LEASH = 8, SHELL_REPORT = 9 }; /* the shell knows no descriptors of two digits */

static void exec_shell(void)
{
    int leash = fcntl(leash_end, F_DUPFD_CLOEXEC, SHELL_REPORT + 1);
    int reports = fcntl(report_end, F_DUPFD_CLOEXEC, SHELL_REPORT + 1);

    report(0);
    dup2(leash, SHELL_LEASH);
    dup2(reports, SHELL_REPORT);
    execl("/bin/sh", "sh", "-c", "echo 1234567 >&9; read line <&8", (char *)NULL);
    _exit(1);
}

static void follows_an_exec(void **state)
{
    (void)state;
    struct family family;
    start(&family, exec_shell);
    wait_report(&family);
    look(&family, PW_TREE_WANT_MAPS);
    int64_t text = wait_report(&family); /* "1234567\n", from the shell */
    assert_memory_equal(&text, "1234567\n", sizeof text);
    const struct pw_tree_sample *sample = look(&family, PW_TREE_WANT_MAPS);
    assert_int_equal(sample->processes, 1);
    assert_int_equal(sample->pss_bytes.state, PW_PRESENT);
    assert_true(sample->open_fds.number > 0);
    assert_int_equal(pw_tree_processes_seen(family.tree), 1);
    end(&family);
}

static void do_nothing(void)
{
    report(0);
}

static void stranger_as_worker(void **state)
{
    (void)state;
    struct family family;
    start(&family, do_nothing);
    wait_report(&family);
    struct pw_tree *tree;
    /* The warden is a child of this process, not of the worker. */
    assert_int_equal(pw_tree_open(family.proc, family.root, family.warden, &tree, NULL), 0);
    assert_int_equal(pw_tree_sample(tree, 0, &family.sample), PW_TREE_GONE);
    assert_int_equal(pw_tree_absence(tree), PW_ABSENT_NO_SAMPLES);
    pw_tree_close(tree);
    end(&family);
}

/* In a mount namespace of its own: 0 if the tree is hidden and says so, 77 if that cannot be tried.
 */
static int look_at_hidden(pid_t warden, pid_t root)
{
    struct pw_proc *proc = NULL;
    struct pw_tree *tree = NULL;
    struct pw_tree_sample sample;
    char *path;
    struct utsname kernel;

    /* Before Linux 5.8 the option would be that of the machine's own /proc too. */
    if (uname(&kernel) != 0 || strverscmp(kernel.release, "5.8") < 0)
        return 77;
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        pw_dir_make_private("hidden", &path, NULL) != 0)
        return 77;
    bool is_mounted = mount("proc", path, "proc", 0, "hidepid=2,gid=65533") == 0;
    bool is_open = is_mounted && seteuid(NOBODY) == 0 && pw_proc_open(path, &proc, NULL) == 0 &&
                   pw_tree_open(proc, warden, root, &tree, NULL) == 0;
    int result = is_mounted ? 1 : 77;
    if (is_open && pw_tree_sample(tree, 0, &sample) == PW_TREE_GONE &&
        pw_tree_absence(tree) == PW_ABSENT_NO_PERMISSION && pw_tree_missed_exits(tree) == 0)
        result = 0;
    pw_tree_close(tree);
    pw_proc_close(proc);
    if (seteuid(0) != 0)
        result = 1;
    umount2(path, MNT_DETACH);
    rmdir(path);
    free(path);
    return result;
}

static void hidden_processes(void **state)
{
    (void)state;
    struct family family;
    int status;
    if (geteuid() != 0)
        skip();
    start(&family, do_nothing);
    wait_report(&family);
    pid_t looker = fork();
    if (looker == 0)
        _exit(look_at_hidden(family.warden, family.root));
    assert_int_equal(waitpid(looker, &status, 0), looker);
    end(&family);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_all_descendants),
        cmocka_unit_test(finds_children_of_threads),
        cmocka_unit_test(sees_memory_behind_an_ended_first_thread),
        cmocka_unit_test(counts_open_files),
        cmocka_unit_test(counts_time_of_all),
        cmocka_unit_test(counts_time_of_threads_that_ended),
        cmocka_unit_test(clocks_are_of_one_namespace),
        cmocka_unit_test(keeps_time_of_children_nobody_waits_for),
        cmocka_unit_test(survives_a_storm_of_short_processes),
        cmocka_unit_test(follows_an_exec),
        cmocka_unit_test(stranger_as_worker),
        cmocka_unit_test(hidden_processes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
